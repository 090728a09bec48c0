// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every bound of ports of DPDK that is not configuration.

use core::time::Duration;
use runtime::device::BURST_FRAMES_MAX;

/// The shortest sleep of a port without interrupts, which is the first after something has come.
pub const PAUSE_SHORTEST: Duration = Duration::from_micros(50);
/// The longest, to which they double.
pub const PAUSE_LONGEST: Duration = Duration::from_millis(1);

/// Packet buffers that a thread's cache holds in front of a pool.
pub const CACHE: u32 = 128;
/// Bytes of a packet buffer's data, where the port can use several for one packet; behind DPDK's own headroom.
pub const SEGMENT: u32 = 2048;
/// Packet buffers beside those of the descriptors: in bursts, caches and on their way.
pub const SPARE: u32 = 4 * BURST_FRAMES_MAX as u32 + 2 * CACHE;

/// Frames that the driver had no room for, and that are ready to be sent (the burst waits).
pub const WAITING_MAX: usize = BURST_FRAMES_MAX;
/// How often a driver takes nothing until its link is looked at: without one, what waits is dropped.
pub const TRIES_PER_LINK: u32 = 32;
/// Views whose memory is attached to packet buffers at once (payloads are copied).
pub const LOANS_MAX: u32 = 4096;
/// A frame that is no longer is copied: that costs less than attaching.
pub const COPIED_MAX: usize = 256;
/// So is a piece of a longer frame.
pub const COPIED_PIECE_MAX: usize = 128;
/// How often the port is looked at until its driver is asked for what it has sent, while it has some.
pub const LOOKS_PER_CLEANUP: u32 = 256;
/// Sleeps that end by themselves since something was attached, because the driver may not have sent it before.
pub const LATE_SLEEPS: u32 = 3;
/// Bytes of a page, as memory is registered by.
pub const PAGE: usize = 4096;

/// Tries to start a port whose peer is not there yet (`net_memif` as a client), and the pause between them (`ECONNREFUSED` or what the driver
/// says).
pub const START_TRIES: u32 = 100;
/// See [`START_TRIES`].
pub const START_PAUSE: Duration = Duration::from_millis(50);
/// Tries to open a port of `net_af_xdp`, since the kernel gives a queue back some time after its last user's end, and the first of the pauses
/// between them, which double: half a second and a bit in all (`EINVAL`, as the driver has it).
pub const QUEUE_TRIES: u32 = 6;
/// See [`QUEUE_TRIES`].
pub const QUEUE_PAUSE: Duration = Duration::from_millis(20);
/// How often the link of such a client is looked at until it is started again, and the pause between two looks.
pub const LINK_LOOKS: u32 = 20;
/// See [`LINK_LOOKS`].
pub const LINK_PAUSE: Duration = Duration::from_millis(5);
/// How often a turn that another thread has is tried for, until that is left to pauses, and how long those are. Also how long DPDK's interrupt
/// thread waits at most where `/proc` does not say what it waits for.
pub const TURN_LOOKS: u32 = 64;
/// See [`TURN_LOOKS`].
pub const TURN_PAUSE: Duration = Duration::from_micros(200);
/// How often DPDK's interrupt thread finds more to do until the ports have their turns for a pause.
pub const TURN_ROUNDS: u32 = 64;
/// How soon a client of `net_memif` without a link looks for its server again while there is something to send, at first; the pause doubles.
pub const LOOK_SHORTEST: Duration = Duration::from_millis(50);
/// See [`LOOK_SHORTEST`].
pub const LOOK_LONGEST: Duration = Duration::from_secs(1);
/// What a port has at its end for the frames that were sent last: a peer over memory looks for them after [`PAUSE_LONGEST`] at the latest.
pub const LAST_FRAMES: Duration = Duration::from_millis(5);
/// Packet buffers that `net_af_xdp` puts aside for each queue, however few descriptors it has.
pub const AF_XDP_FILLED: u32 = 2048;
/// Extended statistics of a port: NICs have some hundred for each queue. One that has more tells none.
pub const EXTENDED_MAX: u32 = 16_384;
