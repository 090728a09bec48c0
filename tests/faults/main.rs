// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can go wrong with the kernel's sockets, with real peers: other processes that know nothing of Margay, and
//! networks that do not lead anywhere. Each errno comes as itself, on the token that it belongs to; nothing is lost that
//! could be delivered, nothing leaks, nothing hangs. Every test has a network of its own, for which it needs root.
//!
//! - `peer`: the other side, made of plain sockets.
//! - `resets`: peers that reset, half-close or are killed. `floods`: more connections than there is room for.
//! - `endings`: closes while the peer still sends.
//! - `shortage`: no descriptors, no buffers. `routes`: networks and hosts that cannot be reached.
//! - `volume`: windows of a byte, pushes of 64 MiB, memory that the kernel still reads when a socket is closed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where what it stands on is missing")]

#[macro_use]
#[path = "../common/suite.rs"]
mod suite;

#[path = "../common/backends.rs"]
mod backends;
mod endings;
mod floods;
#[path = "../common/harness/mod.rs"]
mod harness;
mod peer;
mod resets;
mod routes;
mod shortage;
#[path = "../common/subject.rs"]
mod subject;
mod volume;
#[path = "../common/wires.rs"]
mod wires;

suite! {
    {
        resets: before_and_behind_a_pop with_pushes_under_way before_the_accept half_closed half_closed_at_once killed;
        endings: answered_early dropped_with_something_unread a_peer_that_stays zero_resets;
        floods: beyond_the_backlog hundreds_at_once;
        shortage: descriptors_for_accepts descriptors_for_sockets buffers;
        routes: errnos_of_this_host errnos_of_a_router a_silent_host a_peer_that_vanishes;
        volume: windows_of_a_byte sixty_four_mebibytes closed_with_sends_under_way dropped_with_sends_under_way;
    } on
    catnap_v4 = CATNAP_V4;
    catnap_v6 = CATNAP_V6;
    catcollar_v4 = CATCOLLAR_V4;
    catcollar_v6 = CATCOLLAR_V6;
}

/// No buffer is in use, but for one of a kind that a back end may keep at hand for what comes next.
#[track_caller]
fn assert_buffers_are_back(libos: &margay::LibOs) {
    let in_use = libos.pool_stats().map(|stats| stats.in_use);
    assert!(in_use.iter().all(|&count| count <= 1), "buffers are in use: {in_use:?}");
}
