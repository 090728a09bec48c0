// SPDX-License-Identifier: MIT OR Apache-2.0
//! What every back end with sockets must do, written once over the public API, with processes of its own for each test.
//! A new back end is one constant in `backends`, and one line at the end of this file. Those that use the kernel's
//! network have one of their own in each test, for which they need root.
//!
//! - `backends`: the back ends. `subject`: one test on one of them. `harness`: processes, boards, seeds. These are in
//!   `tests/common`.
//! - `arguments`, `addresses`, `options`: calls that are wrong, and what sockets say about themselves.
//! - `connecting`, `backlog`, `ends`, `cancel`, `death`: how connections come and go.
//! - `transfer`, `many`, `datagrams`, `losses`: what goes through them. `waits`, `sleeping`: how it is waited for.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where what it stands on is missing")]

#[macro_use]
#[path = "../common/suite.rs"]
mod suite;

mod addresses;
mod arguments;
#[path = "../common/backends.rs"]
mod backends;
mod backlog;
mod cancel;
mod connecting;
mod datagrams;
mod death;
mod ends;
#[path = "../common/harness/mod.rs"]
mod harness;
mod losses;
mod many;
mod options;
mod sleeping;
#[path = "../common/subject.rs"]
mod subject;
mod transfer;
mod waits;

suite! {
    {
        arguments: bad_descriptors pipes_are_no_sockets sockets_need_a_back_end bind listen odd_backlogs
            accept_what_does_not_listen connect while_connecting not_connected messages stale_tokens full_tables;
        addresses: port_zero port_zero_across_processes one_owner one_owner_across_processes a_killed_owner
            both_ends_tell_the_truth only_where_it_is_bound dual_stack;
        connecting: either_first begun_while_connecting refused close_cancels_everything closed_before_or_after_accept
            both_close_at_once to_oneself thirty_two_clients_at_once;
        backlog: a_full_backlog_waits a_full_backlog_times_out a_full_backlog_refuses closed_with_a_backlog;
        ends: half_close_by_the_server half_close_by_the_client shut_for_reading shut_both_ways the_end_comes_last
            pops_behind_the_end the_peer_has_closed double_close no_linger linger_zero linger_until_it_is_read linger_runs_out libos_dropped;
        transfer: every_length_and_segments pop_sizes pop_before_push ping_pong thousands_outstanding
            many_connections_at_once without_a_copy what_was_popped_stays more_than_the_ring_before_the_end;
        many: at_once one_after_another any_one_of_many idle;
        cancel: accepts connects pops pushes a_push_half_way a_close too_late thousands_of_pops_given_up
            against_a_busy_peer;
        waits: wait_any_gives_the_oldest wait_next_n_gives_the_oldest wait_sets_give_the_oldest_of_their_own
            a_busy_socket_starves_nobody a_busy_pipe_starves_nobody a_flood_does_not_starve_accept
            each_token_its_own_completion one_set_for_everything;
        sleeping: timeouts sleepers_are_woken two_threads woken_by_another_thread readiness;
        options: set_and_read ranges sizes inherited_on_accept small_buffers of_datagram_sockets;
        death: of_the_server of_the_client of_clients_in_the_backlog of_a_server_that_is_called leaves_nothing;
        datagrams: boundaries errors reply_to_the_sender wildcard_server connected_filter connected_both_ways sized_pops
            pops_wait;
        losses: drops_are_counted order_of_each_sender to_nobody the_server_comes_back a_killed_peer hundreds_of_peers;
    } on
    catloop_v4 = CATLOOP_V4;
    catloop_v6 = CATLOOP_V6;
    catnap_v4 = CATNAP_V4;
    catnap_v6 = CATNAP_V6;
    catcollar_v4 = CATCOLLAR_V4;
    catcollar_v6 = CATCOLLAR_V6;
}

// Unix-domain sockets, whose addresses are paths: what does not ask for addresses, ports or half of the network.
suite! {
    {
        connecting: either_first begun_while_connecting closed_before_or_after_accept both_close_at_once;
        ends: half_close_by_the_server half_close_by_the_client the_end_comes_last pops_behind_the_end the_peer_has_closed no_linger;
        transfer: every_length_and_segments pop_sizes pop_before_push ping_pong thousands_outstanding
            many_connections_at_once without_a_copy what_was_popped_stays more_than_the_ring_before_the_end;
        many: at_once one_after_another any_one_of_many idle;
        cancel: accepts pops pushes a_push_half_way too_late thousands_of_pops_given_up against_a_busy_peer;
        waits: wait_any_gives_the_oldest wait_next_n_gives_the_oldest a_busy_socket_starves_nobody
            a_busy_pipe_starves_nobody a_flood_does_not_starve_accept each_token_its_own_completion one_set_for_everything;
        sleeping: sleepers_are_woken readiness;
        death: of_the_server of_the_client of_clients_in_the_backlog;
    } on
    catnap_unix = CATNAP_UNIX;
    catcollar_unix = CATCOLLAR_UNIX;
}
