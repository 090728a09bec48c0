// SPDX-License-Identifier: MIT OR Apache-2.0
//! Queue descriptors and tokens: an index and a generation each, so that a stale one is an error and never somebody
//! else's queue or operation.

use core::fmt;

/// A queue descriptor: what a file descriptor is to the kernel.
///
/// 31 bits are used, so that it fits C's `int`: a slot index below 2^20 and a generation of 11 bits above it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Qd(u32);

impl Qd {
    const INDEX_BITS: u32 = 20;
    const GENERATION_MASK: u32 = (1 << (31 - Self::INDEX_BITS)) - 1;
    /// Slots that a descriptor can name.
    pub const SLOTS_MAX: usize = 1 << Self::INDEX_BITS;

    /// The descriptor of slot `index` in its `generation`; surplus bits of either are dropped.
    #[must_use]
    #[inline]
    pub const fn new(index: u32, generation: u32) -> Self {
        Self((index & (Self::SLOTS_MAX as u32 - 1)) | ((generation & Self::GENERATION_MASK) << Self::INDEX_BITS))
    }

    /// The slot.
    #[must_use]
    #[inline]
    pub const fn index(self) -> usize {
        (self.0 & (Self::SLOTS_MAX as u32 - 1)) as usize
    }

    /// The descriptor of the same slot, one generation on.
    #[must_use]
    pub const fn next_generation(self) -> Self {
        Self::new(self.0, (self.0 >> Self::INDEX_BITS) + 1)
    }

    /// As C's `int`; never negative.
    #[must_use]
    pub const fn to_raw(self) -> i32 {
        self.0.cast_signed()
    }

    /// From C's `int`. A negative one is `None`.
    #[must_use]
    pub const fn from_raw(raw: i32) -> Option<Self> {
        if raw < 0 { None } else { Some(Self(raw.cast_unsigned())) }
    }
}

impl fmt::Debug for Qd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "qd {} (generation {})", self.index(), self.0 >> Self::INDEX_BITS)
    }
}

/// The token of one operation: 32 bits of slot index and 32 of generation. Never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Qt(u64);

impl Qt {
    /// The token of slot `index` in its `generation`, which is not zero.
    #[must_use]
    #[inline]
    pub const fn new(index: u32, generation: u32) -> Self {
        Self(index as u64 | (generation as u64) << 32)
    }

    /// The slot.
    #[must_use]
    #[inline]
    pub const fn index(self) -> usize {
        (self.0 & 0xffff_ffff) as usize
    }

    /// The generation.
    #[must_use]
    #[inline]
    pub const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The token of the same slot, one generation on. Generations go round, and leave out zero.
    #[must_use]
    #[inline]
    pub const fn next_generation(self) -> Self {
        match self.0.overflowing_add(1 << 32) {
            (next, false) => Self(next),
            (next, true) => Self(next | 1 << 32),
        }
    }

    /// As C's `demi_qtoken_t`.
    #[must_use]
    pub const fn to_raw(self) -> u64 {
        self.0
    }

    /// From C's `demi_qtoken_t`. Any number is one; whether it is pending is looked up.
    #[must_use]
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }
}

impl fmt::Debug for Qt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "qt {} (generation {})", self.index(), self.generation())
    }
}
