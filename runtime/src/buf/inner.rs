// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a pool's handles and buffers share: header array, free lists, backing; and the way back of a block.
//!
//! It is freed when no handle and no block is left. Whatever may free it takes a raw pointer, never a reference, and
//! touches nothing after.

use ::alloc::alloc::{self, Layout};
use ::alloc::boxed::Box;
use core::cell::Cell;
use core::ptr::NonNull;

use super::backing::{Backing, TOO_LARGE, free_block};
use super::header::{Header, Slab, narrow};
use super::poison;
use crate::{Errno, Error, Result};

pub(super) const NO_VIEWS: Error = Error::new(Errno::NOBUFS, "the pool's second views are used up");

pub(super) struct Inner {
    /// Headers of slots; none in a pool without slots.
    pub blocks: Slab,
    /// The longest payload that fits a slot.
    pub slot_size: usize,
    pub headroom: u32,
    /// Whether blocks are slots of `memory`, which is the fast way back.
    pub slots: bool,
    /// Whether blocks are loans that somebody else may look at, too.
    pub lent: bool,
    pub handles: Cell<usize>,
    /// Headers of second views, and of the blocks themselves in a pool without slots.
    pub views: Slab,
    /// The first slot.
    pub memory: NonNull<u8>,
    /// Bytes from one slot to the next.
    pub stride: usize,
    /// How often the pool had nothing left to give.
    pub exhausted: Cell<u64>,
    pub backing: Backing,
    headers: NonNull<u8>,
    header_layout: Layout,
}

/// The slots of a pool: where, how many, how large.
pub(super) struct Slots {
    pub memory: NonNull<u8>,
    pub count: u32,
    pub slot_size: u32,
    pub headroom: u32,
    pub stride: usize,
}

impl Slots {
    pub const NONE: Slots = Slots { memory: NonNull::dangling(), count: 0, slot_size: 0, headroom: 0, stride: 0 };
}

/// How many headers a pool needs: fewer than `u32::MAX`, so that no count of views overflows, else `EINVAL`.
pub(super) fn header_count(blocks: u32, views: u32) -> Result<u32> {
    blocks.checked_add(views).filter(|&count| count < u32::MAX).ok_or(TOO_LARGE)
}

impl Inner {
    /// Makes the shared part of a pool, with one handle, which the caller then owns.
    ///
    /// # Safety
    /// The backing holds `count` slots of `stride` bytes from `memory` on (a region as its trait promises), and
    /// headroom and slot size together are no more than the stride and than `u32::MAX`.
    pub unsafe fn create(backing: Backing, slots: &Slots, views: u32) -> Result<NonNull<Inner>> {
        let headers = header_count(slots.count, views)? as usize;
        // One more than needed, so that the allocation is never empty.
        let layout = Layout::array::<Header>(headers + 1).map_err(|_| TOO_LARGE)?;
        // SAFETY: the layout is not empty.
        let memory = NonNull::new(unsafe { alloc::alloc(layout) })
            .ok_or(Error::new(Errno::NOMEM, "no memory for the headers of buffers"))?;
        let first = memory.cast::<Header>();
        if matches!(backing, Backing::Heap(_)) {
            // SAFETY: the backing's memory, says the caller.
            unsafe { poison::free(slots.memory, slots.count as usize * slots.stride) };
        }
        let has_slots = matches!(backing, Backing::Heap(_) | Backing::Region(_));
        let lent = matches!(backing, Backing::Loans(_));
        let inner = Inner {
            // SAFETY: the first `count` headers of the array, which is freed together with the slabs.
            blocks: unsafe { Slab::new(first, slots.count) },
            slot_size: slots.slot_size as usize,
            headroom: slots.headroom,
            slots: has_slots,
            lent,
            handles: Cell::new(1),
            // SAFETY: the `views` headers behind those, likewise.
            views: unsafe { Slab::new(first.add(slots.count as usize), views) },
            memory: slots.memory,
            stride: slots.stride,
            exhausted: Cell::new(0),
            backing,
            headers: memory,
            header_layout: layout,
        };
        Ok(NonNull::from(Box::leak(Box::new(inner))))
    }

    /// Takes a slot's header, ready but for the view's start and length.
    ///
    /// # Safety
    /// `inner` is alive and a pool of slots, or one with none.
    #[inline]
    pub unsafe fn take_block(inner: NonNull<Inner>) -> Option<NonNull<Header>> {
        // SAFETY: alive, says the caller.
        let pool = unsafe { inner.as_ref() };
        let taken = match pool.blocks.take_used() {
            Some(header) => Some(header),
            // SAFETY: as above.
            None => unsafe { Self::take_fresh_block(inner) },
        };
        if cfg!(asan)
            && let Some(header) = taken
        {
            // SAFETY: just taken, so that it is initialised, and its block lies in the pool's memory.
            unsafe { poison::taken(header.as_ref().base.get(), header.as_ref().capacity.get() as usize) };
        }
        taken
    }

    /// # Safety
    /// The pool is alive.
    #[cold]
    unsafe fn take_fresh_block(inner: NonNull<Inner>) -> Option<NonNull<Header>> {
        // SAFETY: alive, says the caller.
        let pool = unsafe { inner.as_ref() };
        let capacity = pool.headroom + narrow(pool.slot_size); // `create` was promised that the sum fits
        let header = pool.blocks.take_fresh(|at, number| {
            // SAFETY: number < count, and the memory holds `count` strides.
            let base = unsafe { pool.memory.add(number as usize * pool.stride) };
            Header::new(at, inner, base, capacity, number)
        });
        if header.is_none() {
            pool.exhausted.set(pool.exhausted.get() + 1);
        }
        header
    }

    /// Takes a view's header, its owner not set.
    ///
    /// # Safety
    /// `inner` is alive.
    #[inline]
    pub unsafe fn take_view(inner: NonNull<Inner>) -> Result<NonNull<Header>> {
        // SAFETY: alive, says the caller.
        let pool = unsafe { inner.as_ref() };
        if let Some(header) = pool.views.take_used() {
            return Ok(header);
        }
        let fresh = pool.views.take_fresh(|at, _| Header::new(at, inner, NonNull::dangling(), 0, 0));
        fresh.ok_or_else(|| {
            pool.exhausted.set(pool.exhausted.get() + 1);
            NO_VIEWS
        })
    }

    /// Gives a block back: to the free list, to its lender, or to the heap.
    ///
    /// # Safety
    /// `block` is an owner header without views, and nobody uses it any more. The pool may be gone afterwards.
    #[inline]
    pub unsafe fn give_back(block: NonNull<Header>) {
        // SAFETY: the header is initialised, and its pool lives as long as the block is out.
        let inner = unsafe { block.as_ref() }.pool;
        // SAFETY: as above.
        let pool = unsafe { inner.as_ref() };
        if !pool.slots {
            // SAFETY: the caller's promise.
            return unsafe { Self::give_back_foreign(inner, block) };
        }
        // Foreign memory may be unmapped without a word to the sanitizer, which would then fault what is mapped there next.
        if cfg!(asan) && matches!(pool.backing, Backing::Heap(_)) {
            // SAFETY: initialised, and its block lies in the pool's memory.
            unsafe { poison::free(block.as_ref().base.get(), block.as_ref().capacity.get() as usize) };
        }
        // SAFETY: blocks of a pool with slots come from `blocks`.
        unsafe { pool.blocks.put(block) };
        if pool.blocks.out() == 0 && pool.handles.get() == 0 {
            // SAFETY: no handle and no block is left; views without a block do not exist.
            unsafe { Self::destroy(inner) };
        }
    }

    /// # Safety
    /// The block is out and belongs to this pool, and no view of it is left.
    #[inline]
    unsafe fn give_back_foreign(inner: NonNull<Inner>, block: NonNull<Header>) {
        // SAFETY: the block is out, so that the pool is alive.
        let pool = unsafe { inner.as_ref() };
        // SAFETY: the block's header is initialised.
        let header = unsafe { block.as_ref() };
        let (token, base, capacity) = (header.token.get(), header.base.get(), header.capacity.get());
        // The lender's hook may drop handles and buffers of this very pool: a handle of our own keeps the pool.
        pool.handles.set(pool.handles.get() + 1);
        // SAFETY: blocks of a pool without slots come from `views`.
        unsafe { pool.views.put(block) };
        match &pool.backing {
            Backing::Loans(hook) | Backing::Whole(hook) => hook.release(token),
            Backing::Oversize { used, .. } => {
                used.set(used.get() - capacity as usize);
                // SAFETY: allocated with this capacity, and its last view is gone.
                unsafe { free_block(base, capacity) };
            }
            Backing::Heap(_) | Backing::Region(_) => {}
        }
        // SAFETY: the handle counted above.
        unsafe { Self::drop_handle(inner) };
    }

    /// Drops one view, and the block with its last one.
    ///
    /// # Safety
    /// `view` is the header of a buffer that nobody uses any more. The pool may be gone afterwards.
    #[cold]
    pub unsafe fn drop_view(view: NonNull<Header>) {
        // SAFETY: the header of a buffer is initialised and its pool is alive.
        let (owner, inner) = unsafe { (view.as_ref().owner.get(), view.as_ref().pool) };
        if owner != view {
            // SAFETY: second views come from `views`, and this one is not used any more.
            unsafe { inner.as_ref().views.put(view) };
        }
        // SAFETY: a block's header stays until its last view is gone, and this was one.
        let refs = unsafe { &owner.as_ref().refs };
        if refs.get() > 1 {
            refs.set(refs.get() - 1);
        } else {
            // SAFETY: this was the last view.
            unsafe { Self::give_back(owner) };
        }
    }

    /// Drops one handle.
    ///
    /// # Safety
    /// The caller owns a handle and does not use it any more. The pool may be gone afterwards.
    pub unsafe fn drop_handle(inner: NonNull<Inner>) {
        // SAFETY: a handle keeps the pool alive.
        let pool = unsafe { inner.as_ref() };
        pool.handles.set(pool.handles.get() - 1);
        if pool.handles.get() == 0 && pool.blocks.out() == 0 && pool.views.out() == 0 {
            // SAFETY: no handle and no block is left.
            unsafe { Self::destroy(inner) };
        }
    }

    /// # Safety
    /// No handle and no buffer of the pool is left.
    #[cold]
    unsafe fn destroy(inner: NonNull<Inner>) {
        // SAFETY: made from a box in `create`, and nobody else holds a pointer that will be used again.
        let inner = unsafe { Box::from_raw(inner.as_ptr()) };
        // SAFETY: allocated in `create` with this layout. Headers need no drop.
        unsafe { alloc::dealloc(inner.headers.as_ptr(), inner.header_layout) };
    }
}
