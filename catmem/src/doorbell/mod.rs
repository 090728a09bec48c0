// SPDX-License-Identifier: MIT OR Apache-2.0
//! Doorbells: how a side that sleeps is woken, at no cost to one that does not.
//!
//! Each side has a wake word in shared memory. About to sleep, it sets the bits of what it waits for, puts a heavy
//! barrier behind that, looks at the rings once more, and only then blocks. The other side publishes, puts a light
//! barrier behind that, reads the word, and rings the [`Bell`] only if its bit is set, clearing it. One of the two must
//! see the other's store: with a heavy barrier on the rare side (`membarrier(2)`, which runs a full barrier on every
//! core that runs a registered process) the frequent side needs none but the compiler's.

mod barrier;
mod bell;
#[cfg(test)]
#[cfg(loom)]
mod loom_tests;
mod protocol;

pub use barrier::{can_membarrier, heavy, light};
pub use bell::{Bell, RING};
pub use protocol::{CREDIT, DATA, Word, arm, disarm, must_ring};

use crate::mapping::Mapping;
use core::cell::Cell;
use core::ptr::NonNull;
use core::sync::atomic::AtomicU32;
use std::rc::Rc;

/// One side's view of the two wake words, and the peer's bell.
pub struct Doorbell {
    mine: NonNull<AtomicU32>,
    theirs: NonNull<AtomicU32>,
    peer: Bell,
    /// The peer takes part in `membarrier`. Until that is known, and if it does not, every publication has a fence.
    membarrier: Cell<bool>,
    _mapping: Rc<Mapping>,
}

impl Doorbell {
    /// The doorbell between the wake words at these two offsets of the segment.
    ///
    /// # Panics
    /// If an offset is not a multiple of 4 inside the segment.
    pub fn new(mapping: Rc<Mapping>, mine: usize, theirs: usize, peer: impl Into<Bell>) -> Self {
        let word = |offset: usize| {
            assert!(offset.is_multiple_of(4) && offset + 4 <= mapping.len());
            // SAFETY: the offset lies inside the mapping, which is page aligned, so the word is aligned and valid.
            unsafe { mapping.base().add(offset).cast::<AtomicU32>() }
        };
        Self {
            mine: word(mine),
            theirs: word(theirs),
            peer: peer.into(),
            membarrier: Cell::new(false),
            _mapping: mapping,
        }
    }

    #[inline]
    fn mine(&self) -> &AtomicU32 {
        // SAFETY: checked in `new`; the mapping lives as long as `self`; the word is atomic, so the peer may change it.
        unsafe { self.mine.as_ref() }
    }

    #[inline]
    fn theirs(&self) -> &AtomicU32 {
        // SAFETY: as in `mine`.
        unsafe { self.theirs.as_ref() }
    }

    /// What rings the peer.
    pub fn peer(&self) -> &Bell {
        &self.peer
    }

    /// Both sides have registered with `membarrier`.
    pub fn use_membarrier(&self, both: bool) {
        self.membarrier.set(both && can_membarrier());
    }

    /// After a publication: wakes the peer if it sleeps and waits for this.
    #[inline]
    pub fn notify(&self, what: u32) {
        light(self.membarrier.get());
        if must_ring(self.theirs(), what) {
            self.peer.ring();
        }
    }

    /// Announces that this side is about to sleep. The caller then calls [`heavy`] once for all doorbells, and looks at
    /// the rings once more.
    pub fn arm(&self, what: u32) {
        arm(self.mine(), what);
    }

    /// This side is awake: no need to ring.
    pub fn disarm(&self) {
        disarm(self.mine());
    }
}
