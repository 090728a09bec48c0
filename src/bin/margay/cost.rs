// SPDX-License-Identifier: MIT OR Apache-2.0
//! How many messages make a block of some milliseconds.
//!
//! Both processes must know the number beforehand, so it comes from what messages take on a usual machine. On another
//! one, blocks take longer or shorter; no figure depends on it.

use crate::channel::{Connections, Kind};
use crate::process::job::Pattern;

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Blocks that count.
    pub blocks: u32,
    /// About how long one is meant to take. Shorter than the time for which the scheduler lets a process run, so that on
    /// a busy machine most blocks are not interrupted.
    pub milliseconds: f64,
    /// Round trips that are timed one by one take about so long in all.
    pub timed_milliseconds: f64,
}

impl Effort {
    /// For items that take turns in many rounds.
    pub fn for_rounds(quick: bool) -> Self {
        let (blocks, timed_milliseconds) = if quick { (16, 4.0) } else { (32, 8.0) };
        Self { blocks, milliseconds: 0.5, timed_milliseconds }
    }

    /// For servers of many connections.
    pub fn for_load(quick: bool) -> Self {
        let (blocks, timed_milliseconds) = if quick { (4, 4.0) } else { (8, 8.0) };
        Self { blocks, milliseconds: 5.0, timed_milliseconds }
    }

    /// Round trips over `kind`.
    pub fn round_trip(self, kind: Kind) -> Pattern {
        let nanoseconds = round_trip(kind);
        Pattern::RoundTrip {
            blocks: self.blocks,
            per_block: count(self.milliseconds, nanoseconds),
            // What is slower gets longer, so that rare times are still seen.
            timed: count(self.timed_milliseconds, nanoseconds.min(5_000.0)),
        }
    }

    /// Messages one way over `kind`.
    pub fn one_way(self, kind: Kind) -> Pattern {
        // What waits in a full ring or socket must be little beside a block.
        Pattern::OneWay { blocks: (self.blocks / 4).max(1), per_block: count(self.milliseconds * 4.0, one_way(kind)) }
    }

    /// Requests of so many connections, all of which work.
    pub fn load(self, connections: u32, size: usize) -> Pattern {
        // One connection waits for the whole way there and back, many for the slower of the two sides.
        let nanoseconds = if connections == 1 { 10_000.0 } else { 4_000.0 } + size as f64 / 4.0;
        // Several rounds of all connections, so that none is told by how the requests are bunched.
        let per_block = count(self.milliseconds, nanoseconds).max(4 * connections);
        let timed = if connections == 1 { count(self.timed_milliseconds, nanoseconds) } else { 4 * connections };
        Pattern::Load { connections, active: connections, blocks: self.blocks, per_block, timed }
    }

    /// What one thread does alone.
    pub fn one_thread(self, kind: Kind) -> Pattern {
        let nanoseconds = match kind {
            Kind::Stack { size, .. } => 80.0 + size as f64 / 10.0,
            Kind::Ring { .. } => 1_000.0,
            Kind::Connections(Connections::Visit) => 10_000.0,
            Kind::Connections(Connections::Crowd(_)) => 600.0,
            Kind::Bulk { size, .. } => size as f64 / 4.0,
            Kind::Bytes { size, .. } => 10.0 + size as f64 / 20.0,
            _ => 60.0,
        };
        Pattern::OneThread { blocks: self.blocks, per_block: count(self.milliseconds, nanoseconds) }
    }
}

#[expect(clippy::cast_sign_loss, reason = "clamped to what is positive")]
fn count(milliseconds: f64, nanoseconds: f64) -> u32 {
    (milliseconds * 1e6 / nanoseconds).clamp(16.0, 4e6) as u32
}

fn round_trip(kind: Kind) -> f64 {
    match kind {
        Kind::TwoLine { .. } | Kind::Rtrb => 250.0,
        Kind::CopyRing { size, .. } => 300.0 + size as f64 / 5.0,
        Kind::Margay(how) if how.over.is_kernel() => 15_000.0 + how.size as f64,
        Kind::Margay(how) => 350.0 + how.size as f64 / 4.0,
        Kind::SpinningTcp { .. } | Kind::Echo { .. } | Kind::Veth { .. } | Kind::Tap { .. } => 10_000.0 + bytes(kind),
        Kind::Stack { .. } | Kind::Bytes { .. } | Kind::Connections(_) | Kind::Bulk { .. } => 200.0,
        Kind::Memif { size, .. } | Kind::Ring { size, .. } => 1_000.0 + size as f64,
        Kind::Futex | Kind::UnixSocket { .. } | Kind::KernelPipe { .. } | Kind::Tcp { .. } => 15_000.0 + bytes(kind),
    }
}

fn one_way(kind: Kind) -> f64 {
    match kind {
        Kind::TwoLine { .. }
        | Kind::Rtrb
        | Kind::Futex
        | Kind::Stack { .. }
        | Kind::Bytes { .. }
        | Kind::Connections(_)
        | Kind::Memif { .. }
        | Kind::Ring { .. }
        | Kind::Bulk { .. } => round_trip(kind) / 2.0,
        Kind::CopyRing { size, .. } => 20.0 + size as f64 / 10.0,
        Kind::Margay(how) if how.over.is_kernel() => 3_000.0 + how.size as f64 / 3.0,
        Kind::Margay(how) => 40.0 + how.size as f64 / 8.0,
        Kind::UnixSocket { .. }
        | Kind::KernelPipe { .. }
        | Kind::Tcp { .. }
        | Kind::SpinningTcp { .. }
        | Kind::Veth { .. }
        | Kind::Tap { .. }
        | Kind::Echo { .. } => 1_000.0 + bytes(kind) / 2.0,
    }
}

fn bytes(kind: Kind) -> f64 {
    match kind {
        Kind::UnixSocket { size }
        | Kind::KernelPipe { size }
        | Kind::Tcp { size }
        | Kind::SpinningTcp { size }
        | Kind::Veth { size, .. }
        | Kind::Tap { size, .. }
        | Kind::Echo { size, .. } => size as f64,
        _ => 0.0,
    }
}
