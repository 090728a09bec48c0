// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a pool's memory comes from: the heap, a foreign region, a lender, or one heap block for each buffer.

use ::alloc::alloc::{self, Layout};
use ::alloc::boxed::Box;
use core::cell::Cell;
use core::ptr::NonNull;

use crate::{Errno, Error, Result};

/// Bytes of a cache line, to which heap blocks are aligned.
pub(super) const LINE: usize = 64;
/// Bytes of the largest page that Linux is built with: memory that is longer starts on such, because only so can it be shared with a
/// device.
const PAGE: usize = 64 << 10;

/// Memory that a pool hands out in slots, such as a mapped segment.
///
/// The value is kept until the last buffer of the pool is back, and dropped then.
///
/// # Safety
/// Until the value is dropped, `base()` and `len()` give the same answer at each call, and the memory they describe is
/// initialised, readable and writable by this process through `base()`, and no part of the value itself (a value may
/// move, the memory may not). The memory of a slot is written by nobody else while a [`Buf`](super::Buf) of that slot
/// exists here.
pub unsafe trait Region {
    /// The first byte.
    fn base(&self) -> NonNull<u8>;

    /// The length in bytes.
    fn len(&self) -> usize;

    /// Whether there is no memory at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Who lent memory to a pool and wants to hear when it is free again.
pub trait Release {
    /// The last view of the loan `token` is gone.
    ///
    /// Runs wherever a buffer is dropped, so that the pool's owner may be borrowed at that time: keep what it changes
    /// in cells, and do not wait.
    fn release(&self, token: u64);
}

/// What stands behind the blocks of one pool.
pub(super) enum Backing {
    /// Slots in one heap allocation.
    Heap(#[expect(dead_code, reason = "held for its drop")] HeapMemory),
    /// Slots in foreign memory.
    Region(#[expect(dead_code, reason = "held for its drop")] Box<dyn Region>),
    /// No memory: each block is lent.
    Loans(Box<dyn Release>),
    /// The same, and nobody else has what is lent.
    Whole(Box<dyn Release>),
    /// A heap allocation for each block.
    Oversize { budget: usize, used: Cell<usize> },
}

/// One zeroed heap allocation that starts on a cache line, and a long one on a page; its pages are touched by whoever uses them first.
pub(super) struct HeapMemory {
    start: NonNull<u8>,
    align: usize,
    layout: Layout,
}

impl HeapMemory {
    /// # Errors
    /// `EINVAL` if the size is beyond the address space, `ENOMEM` if there is no memory.
    pub fn new(len: usize) -> Result<Self> {
        // Room to align by hand: the allocator gives fresh zero pages at its natural alignment only, and would clear
        // (and so touch) the whole of an allocation with a larger one.
        let align = if len < PAGE { LINE } else { PAGE };
        let size = len.checked_add(align).ok_or(TOO_LARGE)?;
        let layout = Layout::from_size_align(size, align_of::<usize>()).map_err(|_| TOO_LARGE)?;
        Ok(Self { start: allocate_zeroed(layout)?, align, layout })
    }

    /// The first byte, aligned, with the length that `new` was asked for behind it.
    pub fn base(&self) -> NonNull<u8> {
        let pad = self.start.addr().get().wrapping_neg() % self.align;
        // SAFETY: pad < align, and the allocation is that much longer than what is used of it.
        unsafe { self.start.add(pad) }
    }
}

impl Drop for HeapMemory {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout, and freed only here.
        unsafe { alloc::dealloc(self.start.as_ptr(), self.layout) };
    }
}

pub(super) const TOO_LARGE: Error = Error::new(Errno::INVAL, "the pool would be larger than the address space");

fn allocate_zeroed(layout: Layout) -> Result<NonNull<u8>> {
    // SAFETY: every caller's layout has a size above zero.
    NonNull::new(unsafe { alloc::alloc_zeroed(layout) }).ok_or(Error::new(Errno::NOMEM, "no memory for buffers"))
}

/// The layout of one oversize block of `capacity` bytes, which is at least one.
fn oversize_layout(capacity: u32) -> Result<Layout> {
    Layout::from_size_align(capacity as usize, align_of::<usize>()).map_err(|_| TOO_LARGE)
}

/// Allocates one zeroed oversize block of `capacity` bytes, which is at least one.
pub(super) fn allocate_block(capacity: u32) -> Result<NonNull<u8>> {
    allocate_zeroed(oversize_layout(capacity)?)
}

/// Frees a block.
///
/// # Safety
/// The block came from [`allocate_block`] with this capacity, and nobody uses it any more.
pub(super) unsafe fn free_block(base: NonNull<u8>, capacity: u32) {
    if let Ok(layout) = oversize_layout(capacity) {
        // SAFETY: the caller's promise; the layout is the one of the allocation, which could be made.
        unsafe { alloc::dealloc(base.as_ptr(), layout) };
    }
}
