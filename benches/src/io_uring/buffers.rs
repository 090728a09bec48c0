// SPDX-License-Identifier: MIT OR Apache-2.0
//! Buffers that the kernel fills with what it receives, given to it through a ring (`io_uring_register_buf_ring(3)`).
//!
//! A buffer belongs to the kernel from [`Buffers::give`] until a completion names it, and to the server from then until it
//! gives it back.

use io_uring::Submitter;
use io_uring::types::BufRingEntry;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io::Result;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

/// The one group of buffers.
pub const GROUP: u16 = 0;
/// What the kernel asks of the ring's address.
const PAGE: usize = 4096;

/// The ring, and the memory that its entries name.
pub struct Buffers {
    ring: NonNull<BufRingEntry>,
    memory: NonNull<u8>,
    count: u16,
    size: usize,
    stride: usize,
    tail: u16,
}

impl Buffers {
    /// `count`, a power of two, buffers of `size` bytes.
    pub fn new(count: u16, size: usize) -> Self {
        let stride = size.next_multiple_of(64);
        let mut buffers = Self {
            ring: zeroed(ring_layout(count)).cast(),
            memory: zeroed(memory_layout(count, stride)),
            count,
            size,
            stride,
            tail: 0,
        };
        for id in 0..count {
            buffers.give(id);
        }
        buffers.publish();
        buffers
    }

    /// Tells the kernel of them.
    pub fn register(&self, submitter: &Submitter<'_>) -> Result<()> {
        // SAFETY: the ring has `count` entries at a page's start, and lives until `Drop`, which the server puts after all
        // requests are done or cancelled.
        unsafe { submitter.register_buf_ring_with_flags(self.ring.as_ptr() as u64, self.count, GROUP, 0) }
    }

    /// Gives one back; the kernel sees it after the next [`publish`](Self::publish).
    #[inline]
    pub fn give(&mut self, id: u16) {
        let slot = usize::from(self.tail & (self.count - 1));
        let address = self.at(id) as u64;
        // SAFETY: the slot is one of `count`. Its tail and the one before it tell the kernel which entries it may read;
        // there are no more buffers than slots, so it has read this one before its buffer could come back. The fields are
        // written one by one, because the first entry's last field is the tail itself.
        let entry = unsafe { &mut *self.ring.as_ptr().add(slot) };
        entry.set_addr(address);
        entry.set_len(self.size as u32);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Shows the kernel what was given back.
    #[inline]
    pub fn publish(&self) {
        // SAFETY: the ring lives, is aligned, and its tail is changed by this side only; the kernel reads it.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.ring.as_ptr()).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }

    /// Where a buffer is.
    #[inline]
    pub fn at(&self, id: u16) -> *const u8 {
        assert!(id < self.count, "a buffer that there is not");
        // SAFETY: one of the `count` strides of the memory.
        unsafe { self.memory.as_ptr().add(usize::from(id) * self.stride) }
    }

    /// What the kernel has put into a buffer that a completion named.
    #[inline]
    pub fn filled(&self, id: u16, len: usize) -> &[u8] {
        assert!(len <= self.size, "more than a buffer holds");
        // SAFETY: inside the memory, which was zeroed at first, so every byte is initialised; the buffer is the server's
        // until it is given back, which takes `&mut self`.
        unsafe { std::slice::from_raw_parts(self.at(id), len) }
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // SAFETY: both were allocated with these layouts, in `new`, and no request is under way any more.
        unsafe {
            dealloc(self.ring.as_ptr().cast(), ring_layout(self.count));
            dealloc(self.memory.as_ptr(), memory_layout(self.count, self.stride));
        }
    }
}

#[expect(clippy::expect_used, reason = "some megabytes are no size that overflows")]
fn layout(len: usize) -> Layout {
    Layout::from_size_align(len, PAGE).expect("a page is a power of two")
}

fn ring_layout(count: u16) -> Layout {
    layout(usize::from(count) * size_of::<BufRingEntry>())
}

fn memory_layout(count: u16, stride: usize) -> Layout {
    layout(usize::from(count) * stride)
}

fn zeroed(layout: Layout) -> NonNull<u8> {
    // SAFETY: there is at least one buffer of at least one byte, so the size is not zero.
    NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
}
