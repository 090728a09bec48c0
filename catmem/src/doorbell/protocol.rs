// SPDX-License-Identifier: MIT OR Apache-2.0
//! The protocol on a wake word, apart from where the word lies, so that loom can run it on its own atomics.

use core::sync::atomic::{AtomicU32, Ordering};

/// Wake me when something was published for me.
pub const DATA: u32 = 1;
/// Wake me when ring space or arena memory came back.
pub const CREDIT: u32 = 2;

/// A wake word.
pub trait Word {
    /// An atomic load.
    fn load(&self, order: Ordering) -> u32;
    /// An atomic store.
    fn store(&self, value: u32, order: Ordering);
    /// An atomic and; gives the value before.
    fn fetch_and(&self, mask: u32, order: Ordering) -> u32;
}

impl Word for AtomicU32 {
    #[inline]
    fn load(&self, order: Ordering) -> u32 {
        AtomicU32::load(self, order)
    }

    #[inline]
    fn store(&self, value: u32, order: Ordering) {
        AtomicU32::store(self, value, order);
    }

    #[inline]
    fn fetch_and(&self, mask: u32, order: Ordering) -> u32 {
        AtomicU32::fetch_and(self, mask, order)
    }
}

/// Whether the peer sleeps and waits for `what`; if so it is told only once. A light barrier comes before.
#[inline]
pub fn must_ring(theirs: &impl Word, what: u32) -> bool {
    // Read first: two busy sides never write to the word.
    theirs.load(Ordering::Relaxed) & what != 0 && theirs.fetch_and(!what, Ordering::AcqRel) & what != 0
}

/// Sets the own word; a heavy barrier comes behind.
#[inline]
pub fn arm(mine: &impl Word, what: u32) {
    mine.store(what, Ordering::Relaxed);
}

/// Clears the own word.
#[inline]
pub fn disarm(mine: &impl Word) {
    if mine.load(Ordering::Relaxed) != 0 {
        mine.store(0, Ordering::Relaxed);
    }
}
