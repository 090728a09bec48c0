// SPDX-License-Identifier: MIT OR Apache-2.0
//! The header behind every buffer, and the bounded slab that headers come from.
//!
//! Headers are only ever reached by raw pointers into the pool's one header array, and all that changes in them is in
//! cells, so that short-lived shared references to the same header may overlap. A header is written as a whole when it
//! is taken for the first time: an unused pool touches no header memory.

use core::cell::Cell;
use core::ptr::NonNull;

use super::inner::Inner;

/// One view of a block, and for the first view of a block also the block's own state. One cache line.
#[repr(C, align(64))]
pub(super) struct Header {
    /// The view's first byte.
    pub data: Cell<NonNull<u8>>,
    /// The view's length in bytes.
    pub len: Cell<u32>,
    /// Views of the block; counts in the owner only, and is 1 while the header is free.
    pub refs: Cell<u32>,
    /// The next segment of a message, or the next free header. `None` in a buffer that is part of no message.
    pub next: Cell<Option<NonNull<Header>>>,
    /// The header that holds the block's state: this one, or the one it is a further view of.
    pub owner: Cell<NonNull<Header>>,
    /// The block's first byte; means something in the owner only, as the next three do.
    pub base: Cell<NonNull<u8>>,
    /// The block's size in bytes.
    pub capacity: Cell<u32>,
    /// Which slot of the pool the block is; zero where the pool has no slots.
    pub index: u32,
    /// What the lender calls the block; zero unless it is a loan.
    pub token: Cell<u64>,
    /// The pool that the header belongs to.
    pub pool: NonNull<Inner>,
}

const _: () = assert!(size_of::<Header>() == 64);

/// A length that is known to be no more than some `u32`, as every length inside a block is.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "every caller has compared the length with one that is a u32")]
pub(super) const fn narrow(len: usize) -> u32 {
    len as u32
}

impl Header {
    /// A header for a block at `base`, its view empty, owned by itself at address `at`.
    pub fn new(at: NonNull<Header>, pool: NonNull<Inner>, base: NonNull<u8>, capacity: u32, index: u32) -> Self {
        Self {
            data: Cell::new(base),
            len: Cell::new(0),
            refs: Cell::new(1),
            next: Cell::new(None),
            owner: Cell::new(at),
            base: Cell::new(base),
            capacity: Cell::new(capacity),
            index,
            token: Cell::new(0),
            pool,
        }
    }
}

/// A run of the header array with a LIFO free list, so that the warmest header is taken next.
pub(super) struct Slab {
    free: Cell<Option<NonNull<Header>>>,
    out: Cell<u32>,
    fresh: Cell<u32>,
    size: u32,
    first: NonNull<Header>,
}

impl Slab {
    /// A slab over `size` headers from `first` on, none of which needs to be initialised.
    ///
    /// # Safety
    /// The headers lie in one allocation, which outlives the slab, and nobody else takes them.
    pub unsafe fn new(first: NonNull<Header>, size: u32) -> Self {
        Self { free: Cell::new(None), out: Cell::new(0), fresh: Cell::new(0), size, first }
    }

    #[inline]
    pub fn size(&self) -> u32 {
        self.size
    }

    /// Headers in use.
    #[inline]
    pub fn out(&self) -> u32 {
        self.out.get()
    }

    /// Takes the header that was put back last; it is initialised. `None` if no used one is free.
    #[inline]
    pub fn take_used(&self) -> Option<NonNull<Header>> {
        let header = self.free.get()?;
        // SAFETY: the free list holds initialised headers of the pool's array, which outlives the slab.
        self.free.set(unsafe { header.as_ref() }.next.get());
        self.out.set(self.out.get() + 1);
        Some(header)
    }

    /// Takes a header that was never used, initialised with `make(address, number)`. `None` if there are none left.
    #[cold]
    pub fn take_fresh(&self, make: impl FnOnce(NonNull<Header>, u32) -> Header) -> Option<NonNull<Header>> {
        let number = self.fresh.get();
        if number == self.size {
            return None;
        }
        self.fresh.set(number + 1);
        self.out.set(self.out.get() + 1);
        // SAFETY: number < size, so that the header is inside the run that `new` was given.
        let header = unsafe { self.first.add(number as usize) };
        // SAFETY: the memory is valid for writes and, never having been taken before, nobody looks at it.
        unsafe { header.write(make(header, number)) };
        Some(header)
    }

    /// Puts a header back.
    ///
    /// # Safety
    /// The header was taken from this slab, and nobody uses it any more.
    #[inline]
    pub unsafe fn put(&self, header: NonNull<Header>) {
        // SAFETY: a header that was taken is initialised and lives as long as the slab.
        unsafe { header.as_ref() }.next.set(self.free.get());
        self.free.set(Some(header));
        self.out.set(self.out.get() - 1);
    }
}
