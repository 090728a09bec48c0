// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every bound that is not configuration, in one place. What a user can set, and its range, stands in `docs/config.md`.
//!
//! Reaching one is an errno, given beside it.

/// Segments of one message (`EINVAL`).
pub const SGA_SEGMENTS_MAX: usize = 64;

/// Coroutines of one LibOs (`EMFILE`).
pub const COROUTINES_MAX: u32 = 16_384;
/// Timers of one LibOs (`EMFILE`).
pub const TIMERS_MAX: u32 = 65_536;
/// Descriptors that coroutines of one LibOs wait for at once (`EMFILE`).
pub const SOURCES_MAX: u32 = 16_384;
/// Events of one collection; what is left comes with the next.
pub const EVENTS_MAX: usize = 64;

/// Pipes that are looked at in every poll; more are armed and come back by their doorbell.
pub const HOT_PIPES_MAX: usize = 32;
/// Messages of one pipe that are read in place, or were read behind such, at once (`ENOBUFS`); one less in practice.
pub const HELD_MESSAGES_MAX: usize = 256;
/// Buffers over memory that a peer lent, per pipe, second views included (`ENOBUFS`).
pub const LOANS_MAX: u32 = 1024;
/// The longest message that a peer may announce (`EPROTO`); what is pushed is bounded by `catmem.max_message`.
pub const MESSAGE_MAX: usize = 1 << 30;
/// Segments of one pipe and direction that are handed over by reference at once (the push waits).
pub const LENT_SEGMENTS_MAX: usize = 256;
/// Records of a large message that one look takes in.
pub const RECORDS_PER_LOOK: usize = 16;

/// Queue directions that one look tries, and operations of each, before others have their turn.
pub const QUEUES_PER_LOOK: usize = 256;
/// See [`QUEUES_PER_LOOK`].
pub const OPERATIONS_PER_QUEUE: usize = 64;
/// Coroutines, and timers, that one round runs.
pub const BACKGROUND_PER_ROUND: usize = 64;

/// Memory segments that one C thread holds (`ENOBUFS`).
pub const C_SEGMENTS_MAX: usize = 1 << 20;
/// Wait sets of one C thread (`EMFILE`).
pub const C_WAIT_SETS_MAX: usize = 1 << 12;
/// Completions that one `demi_wait_next_n` gives.
pub const C_BATCH_MAX: usize = 1024;
