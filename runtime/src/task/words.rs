// SPDX-License-Identifier: MIT OR Apache-2.0
//! A two-level bitmap of who was woken: any thread sets bits, one owner takes them.
//!
//! ```text
//! summary   1 bit per leaf:  the leaf may have a bit set
//! leaves    1 bit per index: this index was woken
//! ```
//!
//! What must always hold: a bit is in a leaf before its summary bit is set, and the owner clears a summary bit before
//! it reads the leaf and sets it again if it leaves bits behind. All four are read-modify-write operations on one
//! word each, so they have one order: a wake comes either before the owner's clearing, and then the owner sees its
//! bit, or after it, and then the summary bit stays.

use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};

const BITS: usize = 64;

/// Which of a fixed number of indices were woken.
pub struct WakeWords {
    summary: Box<[AtomicU64]>,
    leaves: Box<[AtomicU64]>,
    capacity: u32,
    /// Where the next scan starts. Only the owner uses it; it is atomic so that the whole can be shared.
    cursor: AtomicU32,
}

impl WakeWords {
    /// Words for the indices below `capacity`, none woken.
    #[must_use]
    pub fn new(capacity: u32) -> Self {
        let words = |bits: usize| (0..bits.div_ceil(BITS)).map(|_| AtomicU64::new(0)).collect::<Box<[_]>>();
        let leaves = words(capacity as usize);
        Self { summary: words(leaves.len()), leaves, capacity, cursor: AtomicU32::new(0) }
    }

    /// Marks an index as woken; more often than once is the same as once. An index out of range is ignored.
    ///
    /// What the caller wrote before is visible to the owner when it takes the index.
    pub fn wake(&self, index: u32) {
        let leaf = index as usize / BITS;
        let (Some(word), Some(summary)) = (self.leaves.get(leaf), self.summary.get(leaf / BITS)) else { return };
        let bit = 1 << (index as usize % BITS);
        // SYNC POINT: release, with the acquire of `take_leaf`.
        if index < self.capacity && word.fetch_or(bit, Ordering::AcqRel) & bit == 0 {
            // SYNC POINT: release, with the clearing of the summary bit in `take_leaf`. If the bit above was set
            // already, whoever set it comes to this line too.
            summary.fetch_or(1 << (leaf % BITS), Ordering::AcqRel);
        }
    }

    /// Whether no index waits to be taken.
    ///
    /// While another thread is in [`WakeWords::wake`], either answer is possible. It may say no after the last index was
    /// taken, but not after a [`WakeWords::take`] that found nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.summary.iter().all(|word| word.load(Ordering::Acquire) == 0)
    }

    /// Takes woken indices, at most `budget`, and hands each to `run`; returns how many.
    ///
    /// The scan starts after the index that was taken last and goes round once, so an index is taken at most once per
    /// call, even if `run` wakes it again, and none is passed over for ever. Only the owner may call this: callers in
    /// parallel would each get a part.
    pub fn take(&self, budget: usize, mut run: impl FnMut(u32)) -> usize {
        let start = self.cursor.load(Ordering::Relaxed) as usize;
        let (first, from) = (start / BITS, !0 << (start % BITS));
        let mut left = budget;
        self.take_leaf(first, from, &mut left, &mut run);
        self.take_leaves(first + 1, self.leaves.len(), &mut left, &mut run);
        self.take_leaves(0, first, &mut left, &mut run);
        self.take_leaf(first, !from, &mut left, &mut run);
        budget - left
    }

    /// Takes from the leaves `from..to`, finding them by their summary bits.
    fn take_leaves(&self, from: usize, to: usize, left: &mut usize, run: &mut impl FnMut(u32)) {
        let mut leaf = from;
        while leaf < to && *left > 0 {
            let Some(summary) = self.summary.get(leaf / BITS) else { return };
            let ahead = summary.load(Ordering::Acquire) >> (leaf % BITS);
            if ahead == 0 {
                leaf = (leaf / BITS + 1) * BITS;
                continue;
            }
            leaf += ahead.trailing_zeros() as usize;
            if leaf < to {
                self.take_leaf(leaf, !0, left, run);
            }
            leaf += 1;
        }
    }

    /// Takes from the bits of one leaf that are in `mask`, lowest first.
    fn take_leaf(&self, leaf: usize, mut mask: u64, left: &mut usize, run: &mut impl FnMut(u32)) {
        let (Some(word), Some(summary)) = (self.leaves.get(leaf), self.summary.get(leaf / BITS)) else { return };
        let Ok(base) = u32::try_from(leaf * BITS) else { return };
        let bit = 1 << (leaf % BITS);
        if *left == 0 || summary.load(Ordering::Acquire) & bit == 0 {
            return;
        }
        // SYNC POINT: acquire, with the release of the summary bit in `wake`.
        summary.fetch_and(!bit, Ordering::AcqRel);
        let _restore = Restore { word, summary, bit };
        while *left > 0 {
            let woken = word.load(Ordering::Acquire) & mask;
            if woken == 0 {
                return;
            }
            let lowest = woken & woken.wrapping_neg();
            mask &= !(lowest | (lowest - 1));
            // SYNC POINT: acquire, with the release of the bit in `wake`: of the last one that woke this index.
            word.fetch_and(!lowest, Ordering::AcqRel);
            let index = base + lowest.trailing_zeros();
            let next = if index + 1 < self.capacity { index + 1 } else { 0 };
            self.cursor.store(next, Ordering::Relaxed);
            *left -= 1;
            run(index);
        }
    }
}

/// Sets the summary bit again if bits stay behind in the leaf, also when `run` unwinds.
struct Restore<'a> {
    word: &'a AtomicU64,
    summary: &'a AtomicU64,
    bit: u64,
}

impl Drop for Restore<'_> {
    fn drop(&mut self) {
        if self.word.load(Ordering::Acquire) != 0 {
            self.summary.fetch_or(self.bit, Ordering::AcqRel);
        }
    }
}
