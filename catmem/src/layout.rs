// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where things lie in a pipe's shared segment.
//!
//! ```text
//!     0  control page: one pair of cache lines each for
//!   128    the creator's wake word      256  the opener's wake word
//!   384    credit of direction 0        512  credit of direction 1
//!  1024    returns of direction 0      2048  returns of direction 1      (RETURNS words of 32 bits each)
//!  4096  ring 0 (creator → opener) · ring 1 (opener → creator) · arena 0 (creator's) · arena 1 (opener's)
//! ```
//!
//! Both sides compute this from the sizes in the handshake; nothing in the segment itself says where things are.

use crate::rendezvous::Direction;

/// Descriptors that may be out at once in one direction: entries of its returns area.
pub use runtime::limits::LENT_SEGMENTS_MAX as RETURNS;
/// Bytes in front of the first ring.
pub const CONTROL: usize = 4096;

/// Which end of the pipe this process has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that made the name and the memory; it writes direction 0.
    Creator = 0,
    /// The one that opened; it writes direction 1.
    Opener = 1,
}

impl Side {
    /// The other end.
    #[must_use]
    pub const fn peer(self) -> Self {
        match self {
            Self::Creator => Self::Opener,
            Self::Opener => Self::Creator,
        }
    }
}

/// Offsets in bytes from the start of the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The rings.
    pub ring: [usize; 2],
    /// The arenas.
    pub arena: [usize; 2],
    /// The whole segment.
    pub total: usize,
}

impl Layout {
    /// The layout for these sizes.
    #[must_use]
    pub fn new(directions: [Direction; 2]) -> Self {
        let [a, b] = directions;
        let arena_len = |d: Direction| d.slot_size() * usize::from(d.slots());
        let ring = [CONTROL, CONTROL + a.ring_size()];
        let arena_0 = ring[1] + b.ring_size();
        let arena = [arena_0, arena_0 + arena_len(a)];
        Self { ring, arena, total: arena[1] + arena_len(b) }
    }

    /// The wake word of this side.
    #[must_use]
    pub const fn wake(side: Side) -> usize {
        128 * (side as usize + 1)
    }

    /// The credit word of the direction that this side writes.
    #[must_use]
    pub const fn credit(writer: Side) -> usize {
        384 + 128 * writer as usize
    }

    /// The returns area of the direction that this side writes.
    #[must_use]
    pub const fn returns(writer: Side) -> usize {
        1024 * (writer as usize + 1)
    }
}

const _: () = assert!(RETURNS * size_of::<u32>() <= 1024 && Layout::returns(Side::Opener) + RETURNS * 4 <= CONTROL);

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
