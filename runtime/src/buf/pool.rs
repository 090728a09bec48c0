// SPDX-License-Identifier: MIT OR Apache-2.0
//! [`Pool`]: a bounded supply of blocks of one kind.

use alloc::boxed::Box;
use core::cell::Cell;
use core::fmt;
use core::ptr::NonNull;

use super::backing::{Backing, HeapMemory, LINE, Region, Release, TOO_LARGE, allocate_block};
use super::header::{Header, narrow};
use super::inner::{Inner, Slots, header_count};
use super::view::Buf;
use crate::{Errno, Error, Result};

const EMPTY: Error = Error::new(Errno::NOBUFS, "the buffer pool is empty");
const OVER_BUDGET: Error = Error::new(Errno::NOBUFS, "the budget for oversize buffers is used up");
const TOO_LONG: Error = Error::new(Errno::MSGSIZE, "longer than a buffer of this pool");
const NOT_LOANS: Error = Error::new(Errno::NOTSUP, "this pool has memory of its own");
const OUTSIDE: Error = Error::new(Errno::INVAL, "the view lies outside the block that is lent");
const NOT_OVERSIZE: Error = Error::new(Errno::NOTSUP, "this pool has no budget for oversize buffers");
const NO_SLOT_SIZE: Error = Error::new(Errno::INVAL, "a slot needs at least one byte");
const SHORT_REGION: Error = Error::new(Errno::INVAL, "the region is shorter than its slots");

/// How a region is cut: `slots` blocks, each of `headroom + slot_size` bytes, one right behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The longest payload in bytes; at least 1.
    pub slot_size: u32,
    /// How many blocks there are; 0 makes a pool that is always empty.
    pub slots: u32,
    /// Bytes kept free in front of a payload.
    pub headroom: u32,
    /// How many second views may exist at a time.
    pub views: u32,
}

impl Layout {
    /// The bytes of one block. `EINVAL` if a slot has no size or does not fit a `u32`, or there are too many of them.
    fn block(&self) -> Result<usize> {
        header_count(self.slots, self.views)?;
        if self.slot_size == 0 {
            return Err(NO_SLOT_SIZE);
        }
        Ok(self.headroom.checked_add(self.slot_size).ok_or(TOO_LARGE)? as usize)
    }

    fn cut(&self, memory: NonNull<u8>, stride: usize) -> Slots {
        Slots { memory, count: self.slots, slot_size: self.slot_size, headroom: self.headroom, stride }
    }
}

/// What a pool holds and has given out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Blocks that exist; in a pool without slots, headers for blocks and second views together.
    pub capacity: u32,
    /// How many of those are out.
    pub in_use: u32,
    /// Second views that may exist at a time.
    pub view_capacity: u32,
    /// How many of those are out.
    pub views_in_use: u32,
    /// Bytes out, in a pool of oversize blocks; 0 in the others.
    pub oversize_bytes: usize,
    /// How often the pool had nothing left to give.
    pub exhausted: u64,
}

/// A handle of a pool; a clone is a further handle of the same one.
pub struct Pool {
    /// Shared with the other handles and with the buffers; alive as long as one of them.
    pub(super) inner: NonNull<Inner>,
}

impl Pool {
    /// A pool with memory of its own: `slots` blocks for payloads of up to `slot_size` bytes, `headroom` bytes in front
    /// of each, and `views` second views. Blocks start on cache lines; pages are touched when first used.
    ///
    /// ```
    /// let pool = runtime::buf::Pool::heap(2048, 4, 64, 8)?;
    /// let buf = pool.alloc(100)?;
    /// assert_eq!((buf.len(), buf.headroom(), pool.available()), (100, 64, 3));
    /// # Ok::<(), runtime::Error>(())
    /// ```
    ///
    /// # Errors
    /// `EINVAL` if `slot_size` is 0 or the whole does not fit the address space, `ENOMEM` without memory.
    pub fn heap(slot_size: u32, slots: u32, headroom: u32, views: u32) -> Result<Pool> {
        let layout = Layout { slot_size, slots, headroom, views };
        let stride = layout.block()?.checked_next_multiple_of(LINE).ok_or(TOO_LARGE)?;
        let memory = HeapMemory::new(stride.checked_mul(slots as usize).ok_or(TOO_LARGE)?)?;
        let cut = layout.cut(memory.base(), stride);
        // SAFETY: as long as `slots` strides, each no less than a block, whose size fits a u32.
        unsafe { Inner::create(Backing::Heap(memory), &cut, views) }.map(|inner| Pool { inner })
    }

    /// A pool over foreign memory, which it keeps until its last buffer is back.
    ///
    /// ```
    /// use core::ptr::NonNull;
    /// use runtime::buf::{Layout, Pool, Region};
    ///
    /// struct Leaked(NonNull<u8>, usize);
    /// // SAFETY: leaked memory stays, and only the pool has its address.
    /// unsafe impl Region for Leaked {
    ///     fn base(&self) -> NonNull<u8> { self.0 }
    ///     fn len(&self) -> usize { self.1 }
    /// }
    ///
    /// let memory: &'static mut [u8] = vec![0; 4096].leak();
    /// let region = Leaked(NonNull::from(&mut *memory).cast(), 4096);
    /// let pool = Pool::over(Box::new(region), Layout { slot_size: 1024, slots: 4, headroom: 0, views: 4 })?;
    /// assert_eq!(pool.slot_index(&pool.alloc(1)?), Some(0));
    /// # Ok::<(), runtime::Error>(())
    /// ```
    ///
    /// # Errors
    /// `EINVAL` if `slot_size` is 0 or the region is shorter than its slots, `ENOMEM` without memory for headers.
    pub fn over(region: Box<dyn Region>, layout: Layout) -> Result<Pool> {
        let stride = layout.block()?;
        if stride.checked_mul(layout.slots as usize).is_none_or(|need| need > region.len()) {
            return Err(SHORT_REGION);
        }
        let cut = layout.cut(region.base(), stride);
        // SAFETY: the region is as long as `slots` blocks, whose size fits a u32, and keeps the promise of its trait.
        unsafe { Inner::create(Backing::Region(region), &cut, layout.views) }.map(|inner| Pool { inner })
    }

    /// A pool without memory, for blocks that are lent to it by [`loan`](Pool::loan). `headers` is how many loans and
    /// second views of them may exist at a time; `hook` hears of each loan whose last view is gone.
    ///
    /// # Errors
    /// `ENOMEM` without memory for headers.
    pub fn loans(hook: Box<dyn Release>, headers: u32) -> Result<Pool> {
        // SAFETY: no slots.
        unsafe { Inner::create(Backing::Loans(hook), &Slots::NONE, headers) }.map(|inner| Pool { inner })
    }

    /// As [`loans`](Pool::loans), but what is lent by [`lend`](Pool::lend) is the borrower's alone: a buffer with one view may be
    /// written to, and grown within its block.
    ///
    /// # Errors
    /// `ENOMEM` without memory for headers.
    pub fn lent_whole(hook: Box<dyn Release>, headers: u32) -> Result<Pool> {
        // SAFETY: no slots.
        unsafe { Inner::create(Backing::Whole(hook), &Slots::NONE, headers) }.map(|inner| Pool { inner })
    }

    /// A pool of single heap blocks, `budget` bytes in all, given out by [`alloc_oversize`](Pool::alloc_oversize).
    /// `headers` is how many blocks and second views of them may exist at a time.
    ///
    /// # Errors
    /// `ENOMEM` without memory for headers.
    pub fn oversize(budget: usize, headers: u32) -> Result<Pool> {
        let backing = Backing::Oversize { budget, used: Cell::new(0) };
        // SAFETY: no slots.
        unsafe { Inner::create(backing, &Slots::NONE, headers) }.map(|inner| Pool { inner })
    }

    #[inline]
    fn inner(&self) -> &Inner {
        // SAFETY: alive as long as a handle is.
        unsafe { self.inner.as_ref() }
    }

    /// A block with a view of `len` bytes behind the headroom. The bytes are whatever was there before.
    ///
    /// # Errors
    /// `EMSGSIZE` if a slot is shorter, `ENOBUFS` if all blocks are out.
    #[inline(always)]
    pub fn alloc(&self, len: usize) -> Result<Buf> {
        let inner = self.inner();
        if len > inner.slot_size {
            return Err(TOO_LONG);
        }
        // SAFETY: alive, by this handle.
        let Some(taken) = (unsafe { Inner::take_block(self.inner) }) else {
            return Err(EMPTY);
        };
        // SAFETY: just taken, so that it is initialised and nobody else has it.
        let header = unsafe { taken.as_ref() };
        // SAFETY: a block is as long as headroom and slot size together.
        header.data.set(unsafe { header.base.get().add(inner.headroom as usize) });
        header.len.set(narrow(len)); // no more than the slot size
        header.next.set(None);
        // SAFETY: an owner header with one view, inside its block.
        Ok(unsafe { Buf::from_header(taken) })
    }

    /// As [`alloc`](Pool::alloc), with the view's bytes written by `fill`.
    ///
    /// # Errors
    /// As [`alloc`](Pool::alloc).
    #[inline(always)]
    pub fn alloc_filled(&self, len: usize, fill: impl FnOnce(&mut [u8])) -> Result<Buf> {
        let buf = self.alloc(len)?;
        // SAFETY: a block of this pool's own, just taken: its one view lies inside it, it is initialised and writable, and
        // nobody else has it. (What `get_mut` has to look up first is known here.)
        fill(unsafe { core::slice::from_raw_parts_mut(buf.as_ptr().cast_mut(), len) });
        Ok(buf)
    }

    /// A block that holds a copy of `bytes`.
    ///
    /// ```
    /// let pool = runtime::buf::Pool::heap(64, 1, 0, 0)?;
    /// assert_eq!(&*pool.alloc_copy(b"hello")?, b"hello");
    /// # Ok::<(), runtime::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`alloc`](Pool::alloc).
    #[inline]
    pub fn alloc_copy(&self, bytes: &[u8]) -> Result<Buf> {
        self.alloc_filled(bytes.len(), |to| to.copy_from_slice(bytes))
    }

    /// A block of its own from the heap, zeroed, which is freed when its last view drops. It has no headroom.
    ///
    /// # Errors
    /// `ENOTSUP` if the pool was not made by [`oversize`](Pool::oversize), `EMSGSIZE` beyond `u32::MAX` bytes, `ENOBUFS`
    /// beyond the budget or without a free header, `ENOMEM` without memory.
    pub fn alloc_oversize(&self, len: usize) -> Result<Buf> {
        let inner = self.inner();
        let Backing::Oversize { budget, used } = &inner.backing else {
            return Err(NOT_OVERSIZE);
        };
        let len = u32::try_from(len).map_err(|_| TOO_LONG)?;
        let capacity = len.max(1);
        if capacity as usize > budget - used.get() {
            inner.exhausted.set(inner.exhausted.get() + 1);
            return Err(OVER_BUDGET);
        }
        let header = self.take_owner()?;
        let base = match allocate_block(capacity) {
            Ok(base) => base,
            Err(error) => {
                // SAFETY: taken from there just now.
                unsafe { inner.views.put(header) };
                return Err(error);
            }
        };
        used.set(used.get() + capacity as usize);
        // SAFETY: a fresh header, and a block of `capacity` zeroed bytes, which is freed with it.
        Ok(unsafe { Self::fill(header, base, capacity, len, 0) })
    }

    /// Takes memory on loan: `len` bytes at `ptr`, which the lender calls `token`. The lender's hook runs with that
    /// token when the last view of the loan drops, and not at all if this call fails.
    ///
    /// # Errors
    /// `ENOTSUP` if the pool was not made by [`loans`](Pool::loans), `ENOBUFS` without a free header.
    ///
    /// # Safety
    /// Until the hook runs, the memory is initialised, readable and writable, and used by nobody else.
    #[inline]
    pub unsafe fn loan(&self, ptr: NonNull<u8>, len: u32, token: u64) -> Result<Buf> {
        if !matches!(self.inner().backing, Backing::Loans(_)) {
            return Err(NOT_LOANS);
        }
        let header = self.take_owner()?;
        // SAFETY: a fresh header, and the memory is as the caller promises.
        Ok(unsafe { Self::fill(header, ptr, len, len, token) })
    }

    /// Takes a block on loan: `capacity` bytes at `base`, of which the buffer shows `len` from `offset` on. The hook runs with `token`
    /// when the last view drops, and not at all if this call fails.
    ///
    /// # Errors
    /// `ENOTSUP` if the pool was not made by [`lent_whole`](Pool::lent_whole), `EINVAL` the view does not lie in the block, `ENOBUFS`
    /// without a free header.
    ///
    /// # Safety
    /// Until the hook runs, the block is initialised, readable and writable, and nobody but this buffer uses it.
    #[inline]
    pub unsafe fn lend(&self, base: NonNull<u8>, capacity: u32, offset: u32, len: u32, token: u64) -> Result<Buf> {
        if !matches!(self.inner().backing, Backing::Whole(_)) {
            return Err(NOT_LOANS);
        }
        if offset.checked_add(len).is_none_or(|end| end > capacity) {
            return Err(OUTSIDE);
        }
        let header = self.take_owner()?;
        // SAFETY: a fresh header, and the block is as the caller promises.
        let buf = unsafe { Self::fill(header, base, capacity, len, token) };
        // SAFETY: inside the block, or just behind it.
        buf.header().data.set(unsafe { base.add(offset as usize) });
        Ok(buf)
    }

    /// A header for a block of a pool without slots.
    #[inline]
    fn take_owner(&self) -> Result<NonNull<Header>> {
        // SAFETY: alive, by this handle.
        unsafe { Inner::take_view(self.inner) }.map_err(|_| EMPTY)
    }

    /// Makes `taken` the owner of the block at `base`, with a view of its first `len` bytes.
    ///
    /// # Safety
    /// The header was just taken, and the block is the buffer's alone for as long as it is out.
    #[inline]
    unsafe fn fill(taken: NonNull<Header>, base: NonNull<u8>, capacity: u32, len: u32, token: u64) -> Buf {
        // SAFETY: just taken, so that it is initialised and nobody else has it.
        let header = unsafe { taken.as_ref() };
        header.data.set(base);
        header.len.set(len);
        header.next.set(None);
        header.owner.set(taken);
        header.base.set(base);
        header.capacity.set(capacity);
        header.token.set(token);
        // SAFETY: an owner header with one view, inside its block; its count is 1, as in every free header.
        unsafe { Buf::from_header(taken) }
    }

    /// Which slot of this pool the view lies in; `None` if its memory came from elsewhere or the pool has no slots.
    #[inline]
    #[must_use]
    pub fn slot_index(&self, buf: &Buf) -> Option<u32> {
        if !buf.belongs_to(self) || !self.inner().slots {
            return None;
        }
        // SAFETY: a block's header stays as long as one of its views.
        Some(unsafe { buf.header().owner.get().as_ref() }.index)
    }

    /// Where the slot `index` starts, headroom included; `None` if there is no such slot.
    #[inline]
    #[must_use]
    pub fn slot_at(&self, index: u32) -> Option<NonNull<u8>> {
        let inner = self.inner();
        // SAFETY: there are that many strides behind `memory`.
        (index < inner.blocks.size()).then(|| unsafe { inner.memory.add(index as usize * inner.stride) })
    }

    /// First byte and length of the memory that all slots lie in, one behind the other; `None` in a pool without slots. It stays as
    /// long as a handle of the pool or one of its buffers.
    #[must_use]
    pub fn memory(&self) -> Option<(NonNull<u8>, usize)> {
        let inner = self.inner();
        inner.slots.then(|| (inner.memory, inner.blocks.size() as usize * inner.stride))
    }

    /// The longest payload that [`alloc`](Pool::alloc) takes, in bytes; 0 in a pool without slots.
    #[inline]
    #[must_use]
    pub fn slot_size(&self) -> usize {
        self.inner().slot_size
    }

    /// How many blocks there are; see [`Stats::capacity`].
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.stats().capacity
    }

    /// How many blocks are not out.
    #[inline]
    #[must_use]
    pub fn available(&self) -> u32 {
        let inner = self.inner();
        let blocks = if inner.slots { &inner.blocks } else { &inner.views };
        blocks.size() - blocks.out()
    }

    /// What the pool holds and has given out.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let inner = self.inner();
        let blocks = if inner.slots { &inner.blocks } else { &inner.views };
        let oversize_bytes = match &inner.backing {
            Backing::Oversize { used, .. } => used.get(),
            Backing::Heap(_) | Backing::Region(_) | Backing::Loans(_) | Backing::Whole(_) => 0,
        };
        Stats {
            capacity: blocks.size(),
            in_use: blocks.out(),
            view_capacity: inner.views.size(),
            views_in_use: inner.views.out(),
            oversize_bytes,
            exhausted: inner.exhausted.get(),
        }
    }
}

impl Clone for Pool {
    fn clone(&self) -> Self {
        let handles = &self.inner().handles;
        // No overflow: each handle takes memory, and a forgotten one takes time, of which there is not that much.
        handles.set(handles.get() + 1);
        Self { inner: self.inner }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // SAFETY: this handle ends here.
        unsafe { Inner::drop_handle(self.inner) };
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stats().fmt(f)
    }
}
