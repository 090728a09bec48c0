// SPDX-License-Identifier: MIT OR Apache-2.0
//! A ring of buffers that the kernel takes from when something arrives: `io_uring_register_buf_ring(3)`.
//!
//! Each buffer is a [`Buf`] of a pool of its own, so that what the kernel has filled is what the application gets. The
//! kernel takes buffers in the order in which they were put in.
//!
//! The ring holds a *window* of them, not all: the pool gives back what was dropped last, so a small window means that the
//! same few buffers, which the processor's caches hold, are filled again and again. It doubles when it ran low, and shrinks
//! slowly while it does not.
//!
//! What must always hold: a buffer whose number is in the ring is in `table` and nowhere else; its number is that of its slot
//! in the pool.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU16, Ordering};
use io_uring::types::BufRingEntry;
use runtime::buf::{Buf, Pool};
use runtime::{Errno, Error, Result};
use rustix::param::page_size;
use std::alloc::{Layout, alloc_zeroed, dealloc};

/// The smallest window.
const WINDOW_MIN: u16 = 16;
/// Refills that found the window hardly touched, before it shrinks.
const CALM: u32 = 4096;

const NUMBER: Error = Error::new(Errno::INVAL, "the number of buffers is a power of two, up to 32,768");
const NO_MEMORY: Error = Error::new(Errno::NOMEM, "no memory for the ring of buffers");

/// The ring's memory, shared with the kernel.
struct Shared {
    entries: NonNull<BufRingEntry>,
    layout: Layout,
}

impl Shared {
    fn new(count: u16) -> Result<Self> {
        // The kernel wants it to begin a page.
        let layout = Layout::array::<BufRingEntry>(usize::from(count)).and_then(|layout| layout.align_to(page_size()));
        let layout = layout.map_err(|_| NO_MEMORY)?;
        // SAFETY: there is at least one entry, so the layout is not empty.
        let memory = unsafe { alloc_zeroed(layout) };
        Ok(Self { entries: NonNull::new(memory).ok_or(NO_MEMORY)?.cast(), layout })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout.
        unsafe { dealloc(self.entries.as_ptr().cast(), self.layout) };
    }
}

/// A ring of buffers.
pub struct Provided {
    shared: Shared,
    pool: Pool,
    /// Bytes of each buffer.
    size: usize,
    /// The buffers that are in the ring, by their numbers.
    table: Box<[Option<Buf>]>,
    /// Which buffer stands where in the ring, and where in the ring a buffer stands.
    order: Box<[u16]>,
    place: Box<[u16]>,
    mask: u16,
    tail: u16,
    /// How many are in the ring.
    held: u16,
    window: u16,
    calm: u32,
}

impl Provided {
    /// The buffers of a pool, whose number is a power of two, up to 32,768.
    ///
    /// # Errors
    /// `ENOMEM`; `EINVAL` another number of buffers.
    pub fn new(pool: Pool) -> Result<Self> {
        let count = u16::try_from(pool.capacity()).ok().filter(|count| count.is_power_of_two()).ok_or(NUMBER)?;
        let (size, slots) = (pool.slot_size(), usize::from(count));
        Ok(Self {
            shared: Shared::new(count)?,
            pool,
            size,
            table: core::iter::repeat_with(|| None).take(slots).collect(),
            order: vec![0; slots].into(),
            place: vec![0; slots].into(),
            mask: count - 1,
            tail: 0,
            held: 0,
            window: WINDOW_MIN.min(count),
            calm: 0,
        })
    }

    /// Where the ring lies, and how many entries it has.
    pub fn memory(&self) -> (u64, u16) {
        (self.shared.entries.as_ptr().expose_provenance() as u64, self.mask + 1)
    }

    /// Whether the kernel has none left.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Fills the ring up to its window.
    #[inline]
    pub fn refill(&mut self) {
        if self.held < self.window {
            self.refill_some();
        }
    }

    fn refill_some(&mut self) {
        self.adapt();
        let before = self.tail;
        while self.held < self.window {
            if self.pool.available() == 0 {
                break;
            }
            let Ok(buf) = self.pool.alloc(self.size) else { break };
            self.put(buf);
        }
        if self.tail != before {
            self.publish();
        }
    }

    /// Larger if it ran low, smaller if it has not for long.
    fn adapt(&mut self) {
        if self.held < self.window / 4 {
            self.window = self.window.saturating_mul(2).min(self.mask + 1);
            self.calm = 0;
        } else if self.held >= self.window / 4 * 3 {
            self.calm += 1;
            if self.calm >= CALM {
                self.calm = 0;
                self.window = (self.window / 2).max(WINDOW_MIN.min(self.mask + 1));
            }
        }
    }

    /// The kernel had none: from now on there are more.
    #[cold]
    pub fn exhausted(&mut self) {
        self.window = self.window.saturating_mul(2).min(self.mask + 1);
        self.refill();
    }

    fn put(&mut self, buf: Buf) {
        let Some(id) = self.pool.slot_index(&buf) else { return };
        let id = id as u16; // the pool has as many slots as the table
        let at = self.tail & self.mask;
        // SAFETY: at <= mask, so the entry is inside the ring; the kernel does not read it before the tail says so.
        let entry = unsafe { self.shared.entries.add(usize::from(at)).as_mut() };
        // Field by field: the tail lies in an unused part of the first entry.
        entry.set_addr(buf.as_ptr().expose_provenance() as u64);
        entry.set_len(self.size as u32); // as a pool has it
        entry.set_bid(id);
        self.order[usize::from(at)] = id;
        self.place[usize::from(id)] = at;
        self.table[usize::from(id)] = Some(buf);
        self.tail = self.tail.wrapping_add(1);
        self.held += 1;
    }

    fn publish(&mut self) {
        // SAFETY: the first entry of the ring, initialised with zeros.
        let tail = unsafe { BufRingEntry::tail(self.shared.entries.as_ptr()) };
        // SAFETY: aligned and inside the ring's memory; the kernel and this line are all that use it, both atomically.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        // SYNC POINT: the kernel reads the tail with acquire before the entries.
        tail.store(self.tail, Ordering::Release);
    }

    /// The buffer that the kernel has filled with `len` bytes.
    #[inline]
    pub fn take(&mut self, id: u16, len: usize) -> Option<Buf> {
        let mut buf = self.table.get_mut(usize::from(id))?.take()?;
        self.held -= 1;
        // The kernel fills no more than there is.
        buf.truncate(len.min(self.size)).ok()?;
        Some(buf)
    }

    /// The number of the buffer behind this one: a bundle goes on there.
    #[inline]
    pub fn behind(&self, id: u16) -> Option<u16> {
        let at = self.place.get(usize::from(id))?.wrapping_add(1) & self.mask;
        self.order.get(usize::from(at)).copied()
    }
}
