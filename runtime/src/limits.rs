// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every bound that is not configuration, in one place. What a user can set, and its range, stands in `docs/config.md`.
//!
//! Reaching one is an errno, given beside it.

use core::time::Duration;

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
pub const HOT_PIPES_MAX: usize = 512;
/// Of those, so many stay looked at however long nothing comes; more are armed once [`IDLE_LOOKS`] looks found nothing.
pub const HOT_PIPES_IDLE: usize = 16;
/// See [`HOT_PIPES_IDLE`].
pub const IDLE_LOOKS: u32 = 1024;
/// Pipes that are armed with one barrier.
pub const ARMED_AT_ONCE: usize = 64;
/// Messages of one pipe that are read in place, or were read behind such, at once (`ENOBUFS`); one less in practice.
pub const HELD_MESSAGES_MAX: usize = 256;
/// Buffers over memory that a peer lent, per pipe, second views included (`ENOBUFS`).
pub const LOANS_MAX: u32 = 1024;
/// The longest message that a peer may announce (`EPROTO`); what is pushed or popped is bounded by `catmem.max_message`.
pub const MESSAGE_MAX: usize = 1 << 30;
/// Segments of one pipe and direction that are handed over by reference at once (the push waits).
pub const LENT_SEGMENTS_MAX: usize = 256;
/// Records of a large message that one look takes in.
pub const RECORDS_PER_LOOK: usize = 16;

/// Connectors of one listener that were taken and have not said what they want, and as many that wait for room in its
/// backlog; more than that are sent away, silent ones first (`ECONNREFUSED`).
pub const GREETINGS_MAX: usize = 256;
/// Connectors that wait in the kernel for a listener; more try again until their time is over (`ETIMEDOUT`).
pub const KNOCKING_MAX: i32 = 4096;
/// Connections that wait to be accepted at a listener, whatever backlog it asks for (no error, as on Linux).
pub const BACKLOG_MAX: usize = 4096;
/// Connectors that a listener takes in one look.
pub const TAKEN_PER_LOOK: usize = 64;
/// Names in the runtime directory that are looked at for dead owners when it is opened.
pub const NAMES_SWEPT_MAX: usize = 256;
/// Pages of statistics that one reading looks at; more are not shown.
pub const STATISTICS_PAGES_MAX: usize = 4096;
/// Deadlines that one look serves.
pub const DEADLINES_PER_LOOK: usize = 64;
/// The longest datagram, that of UDP over IPv4 (`EMSGSIZE`).
pub const DATAGRAM_MAX: usize = 65_507;
/// The longest datagram of UDP at all, which IPv6 has room for: its length field without its header.
pub const UDP_MAX: usize = 65_527;
/// Bytes of the name of a Unix socket, those of `sun_path`; a path has one less, for its NUL (`ENAMETOOLONG`).
pub const UNIX_PATH_MAX: usize = 108;
/// Pipes of one datagram socket; beyond that the one that was not used for longest goes.
pub const DATAGRAM_PEERS_MAX: usize = 1024;
/// Datagrams that are counted as dropped when a pipe has to go with what was not popped from it: all that fit in a ring of the
/// default size.
pub const EVICTED_MAX: usize = 32_768;
/// Peers that one pop of a datagram socket looks at before others have their turn.
pub const DATAGRAM_LOOKS: usize = 64;
/// Tries, 0.2 ms apart, to open the lock file of the ports while its last user removes it (`EBUSY`).
pub const PORT_FILE_TRIES: u32 = 1000;
/// Runs of ports that others hold, which one search for a free port steps over (`EADDRINUSE`).
pub const PORT_RUNS_MAX: u32 = 1024;

/// Kernel sockets whose events one look takes in; the others come with the next.
pub const SOCKETS_PER_LOOK: usize = 64;
/// Connections of one listener that broke before they were taken, which one accept steps over.
pub const ABORTED_PER_ACCEPT: usize = 64;
/// How long a listener waits after the kernel had no descriptor or memory for a connection, before it tries again.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
/// How long a Unix socket waits for room at its peer where the kernel does not say when there is some.
pub const UNIX_PAUSE: Duration = Duration::from_millis(1);
/// The same, when it has waited in vain again and again: each wait is twice as long as the one before it, up to this.
pub const UNIX_PAUSE_MAX: Duration = Duration::from_millis(16);
/// How long a lingering close waits, by io_uring, before it looks again whether the peer has everything: twice as long each time,
/// from [`UNIX_PAUSE`] up to this.
pub const LINGER_PAUSE_MAX: Duration = Duration::from_millis(128);
/// Bytes that are read away after a close, so that the peer, which may still be sending, reads what was pushed and the end, and is
/// not reset.
pub const DRAINED_MAX: usize = 64 << 20;
/// How long they are.
pub const DRAINED_FOR: Duration = Duration::from_secs(5);
/// Of a peer that has taken everything and has sent nothing for so long no more is expected.
pub const DRAINED_SILENCE: Duration = Duration::from_millis(250);
/// Bytes that are read away in one look.
pub const DRAINED_PER_LOOK: usize = 1 << 20;
/// How long the kernel may read the memory of pushes of a socket that is closed (`catnap.zero_copy`); after that the connection is reset,
/// which gives the memory and the descriptor back.
pub const ORPHANED_FOR: Duration = Duration::from_mins(1);
/// Datagram sockets whose drops one reading of the counters asks the kernel for; the others are asked next time.
pub const DROPS_PER_READING: usize = 64;

/// Buffers of one kernel socket that have arrived and were not popped, beyond which nothing more is received for it (the
/// peer's pushes wait). What was on its way when that number was reached comes in addition.
pub const RECEIVED_MAX: usize = 32;
/// Buffers that one pop gives at most.
pub const RECEIVED_PER_POP: usize = 8;
/// Connections of one kernel socket that were taken from the kernel and not accepted, beyond which no more are taken.
pub const ACCEPTED_MAX: usize = 64;
/// Bytes of a datagram that a kernel socket takes by io_uring: all of UDP's (`EMSGSIZE`, for one of a Unix socket).
pub const DATAGRAM_ROOM: usize = 65_536;
/// Buffers that the kernel fills with datagrams.
pub const DATAGRAM_BUFFERS: u32 = 256;
/// Completions that one look takes from the ring.
pub const COMPLETIONS_PER_LOOK: usize = 4096;

/// Submissions by other threads that wait to be run (`EAGAIN`).
pub const SUBMISSIONS_MAX: usize = 1024;
/// Submissions that one round runs.
pub const SUBMISSIONS_PER_ROUND: usize = 64;

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

/// Frames that a device takes or gives at once.
pub const BURST_FRAMES_MAX: usize = 64;
/// Bursts that one look at a network stack sends; the others go with the next.
pub const TURNS_PER_LOOK: usize = 4;
/// How long frames wait for room in a device that does not say when there is some.
pub const STUCK_PAUSE: Duration = Duration::from_millis(1);
/// Queues of an interface that one XDP device takes; what comes on the others is the kernel's.
pub const XDP_QUEUES_MAX: usize = 64;
/// Of the small buffers, one in so many is lent to XDP sockets to be filled.
pub const XDP_FILL_SHARE: u32 = 8;
/// Pieces of a frame in XDP's rings; one of more segments is copied together.
pub const XDP_PIECES_MAX: usize = 16;
/// How long opening an XDP device waits for a queue that somebody else has: the kernel clears up behind a process that has ended.
pub const XDP_QUEUE_PATIENCE: Duration = Duration::from_secs(1);
/// How long it waits between two tries.
pub const XDP_QUEUE_PAUSE: Duration = Duration::from_millis(10);
/// How often an XDP program is loaded whose check something interrupts (`EAGAIN`).
pub const XDP_LOAD_TRIES: u32 = 100;
/// Frames that one look at an empty queue works for in the driver.
pub const XDP_BUSY_POLL_BUDGET: i32 = 64;
/// Calls that have the kernel send what is in the ring of an XDP socket: each takes 32 frames.
pub const XDP_KICKS_MAX: usize = 4;
