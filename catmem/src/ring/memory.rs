// SPDX-License-Identifier: MIT OR Apache-2.0
//! The memory under a ring: header words, payload bytes and the credit word, and nothing else.
//!
//! The rings are written over this trait, so that loom can run them over its own atomics and the fuzzer over a plain
//! heap block. [`SharedMemory`] is the one that ships. Positions run freely (they never wrap in a process' lifetime)
//! and are masked here, so no position, whatever its value, reaches outside the ring.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};

/// Bytes of a cache line.
#[cfg(target_arch = "x86_64")]
const LINE: usize = 64;

/// The memory of one ring.
pub trait Memory {
    /// Bytes of the data area; a power of two, at least 4096.
    fn capacity(&self) -> usize;
    /// SYNC POINT acquire: pairs with `publish` of the peer.
    fn header(&self, position: u64) -> u64;
    /// Looks at the header at `position` up to `looks` times until it is not zero: how many looks were in vain, and the word.
    #[inline]
    fn spin(&self, position: u64, looks: u32) -> (u32, u64) {
        for looked in 0..looks {
            match self.header(position) {
                0 => {}
                word => return (looked, word),
            }
        }
        (looks, 0)
    }
    /// Clears the header at `position`; becomes visible with the next `publish`.
    fn clear(&self, position: u64);
    /// SYNC POINT release: makes all that was written before visible to whoever sees `word`.
    fn publish(&self, position: u64, word: u64);
    /// Copies `bytes` into the ring at `position`, around its end if need be. At most `capacity` bytes.
    fn write(&self, position: u64, bytes: &[u8]);
    /// Copies out of the ring into `into`, around its end if need be. At most `capacity` bytes.
    fn read(&self, position: u64, into: &mut [u8]);
    /// Brings the bytes at `position` near, to be read or, if `write`, to be written. A hint.
    fn prefetch(&self, _position: u64, _write: bool) {}
    /// Brings `len` bytes from `position` on near, to be written, as far as they lie before the ring's end. A hint.
    fn prefetch_for_writing(&self, _position: u64, _len: usize) {}
    /// SYNC POINT acquire: the bytes that the consumer has given back so far; pairs with `give_credit`.
    fn credit(&self) -> u64;
    /// SYNC POINT release: the consumer is done with everything before `position`.
    fn give_credit(&self, position: u64);
}

/// A ring in a shared mapping.
///
/// Holds raw pointers: whoever makes one keeps the mapping alive for as long (see `new`).
pub struct SharedMemory {
    data: NonNull<u8>,
    mask: u64,
    credit: NonNull<AtomicU64>,
}

impl SharedMemory {
    /// A ring over `capacity` bytes at `data`, with its credit word at `credit`.
    ///
    /// # Safety
    /// `data` is aligned to 8 and valid for reads and writes of `capacity` bytes, `credit` is aligned to 8 and valid,
    /// both for as long as the value lives; other processes may write to both at any time, but in this process no
    /// reference to that memory exists.
    ///
    /// # Panics
    /// If `capacity` is not a power of two of at least 64.
    #[must_use]
    pub unsafe fn new(data: NonNull<u8>, capacity: usize, credit: NonNull<AtomicU64>) -> Self {
        assert!(capacity.is_power_of_two() && capacity >= 64, "a ring is a power of two");
        Self { data, mask: capacity as u64 - 1, credit }
    }

    #[inline]
    fn offset(&self, position: u64) -> usize {
        (position & self.mask) as usize
    }

    #[inline]
    fn word(&self, position: u64) -> &AtomicU64 {
        let offset = self.offset(position) & !7;
        // SAFETY: the mask keeps the offset inside the data area, a multiple of 8 below a power of two >= 64 leaves room
        // for 8 bytes, and `new` promises alignment and validity. An AtomicU64 may be changed by others at any time.
        unsafe { self.data.add(offset).cast::<AtomicU64>().as_ref() }
    }

    /// Where the bytes at `position` lie, and how many of `len` lie there before the ring's end.
    #[inline]
    #[must_use]
    pub fn span(&self, position: u64, len: usize) -> (NonNull<u8>, usize) {
        let offset = self.offset(position);
        // SAFETY: the masked offset lies inside the data area.
        (unsafe { self.data.add(offset) }, len.min(self.capacity() - offset))
    }

    /// As `write`, around the ring's end.
    #[cold]
    fn write_around(&self, offset: usize, bytes: &[u8]) {
        assert!(bytes.len() <= self.capacity() && offset < self.capacity());
        let (first, rest) = bytes.split_at(bytes.len().min(self.capacity() - offset));
        // SAFETY: `first` goes no further than the end of the data area; `rest` starts at its base, and is no longer than it. The
        // rest is as in `write`.
        unsafe {
            self.data.add(offset).as_ptr().copy_from_nonoverlapping(first.as_ptr(), first.len());
            self.data.as_ptr().copy_from_nonoverlapping(rest.as_ptr(), rest.len());
        }
    }

    /// As `read`, around the ring's end.
    #[cold]
    fn read_around(&self, offset: usize, into: &mut [u8]) {
        assert!(into.len() <= self.capacity() && offset < self.capacity());
        let (first, rest) = into.split_at_mut(into.len().min(self.capacity() - offset));
        // SAFETY: as in `write_around`, with the roles of source and target exchanged.
        unsafe {
            self.data.add(offset).as_ptr().copy_to_nonoverlapping(first.as_mut_ptr(), first.len());
            self.data.as_ptr().copy_to_nonoverlapping(rest.as_mut_ptr(), rest.len());
        }
    }

    /// The first byte of the data area.
    #[must_use]
    pub fn base(&self) -> NonNull<u8> {
        self.data
    }
}

/// Copies `len` bytes; up to 64 without a call, in two overlapping halves.
///
/// # Safety
/// As [`core::ptr::copy_nonoverlapping`].
#[inline]
unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    /// Both ends of a length between `N` and `2 * N`.
    ///
    /// # Safety
    /// As `copy`, and `len` is at least `N`.
    #[inline(always)]
    unsafe fn halves<const N: usize>(from: *const u8, to: *mut u8, len: usize) {
        // SAFETY: the caller has len >= N, so both pieces lie inside the range; they are read before either is written.
        unsafe {
            let head = from.cast::<[u8; N]>().read();
            let tail = from.add(len - N).cast::<[u8; N]>().read();
            // The far end first: where the header's line is the near one, nobody takes it away between these and the header.
            to.add(len - N).cast::<[u8; N]>().write(tail);
            to.cast::<[u8; N]>().write(head);
        }
    }
    // SAFETY: each arm has N <= len; the rest is the caller's promise.
    unsafe {
        match len {
            32..=64 => halves::<32>(from, to, len),
            16..32 => halves::<16>(from, to, len),
            8..16 => halves::<8>(from, to, len),
            _ => core::ptr::copy_nonoverlapping(from, to, len),
        }
    }
}

impl Memory for SharedMemory {
    #[inline]
    fn capacity(&self) -> usize {
        self.mask as usize + 1
    }

    #[inline]
    fn header(&self, position: u64) -> u64 {
        self.word(position).load(Ordering::Acquire)
    }

    #[inline(always)]
    fn spin(&self, position: u64, looks: u32) -> (u32, u64) {
        // Its address is found once: the look that finds something is then as short as can be.
        let header = self.word(position);
        for looked in 0..looks {
            match header.load(Ordering::Acquire) {
                0 => {}
                word => return (looked, word),
            }
        }
        (looks, 0)
    }

    #[inline]
    fn clear(&self, position: u64) {
        self.word(position).store(0, Ordering::Relaxed);
    }

    #[inline]
    fn publish(&self, position: u64, word: u64) {
        self.word(position).store(word, Ordering::Release);
    }

    #[inline(always)]
    fn write(&self, position: u64, bytes: &[u8]) {
        let offset = self.offset(position);
        if bytes.len() > self.capacity() - offset {
            return self.write_around(offset, bytes);
        }
        // SAFETY: the masked offset lies inside the data area, and so many bytes from it on do, too (just checked). The
        // source is this process' private memory, so the two do not overlap. The peer may write the same bytes at the
        // same time: then they are garbage, which only the peer reads.
        unsafe { copy(bytes.as_ptr(), self.data.as_ptr().add(offset), bytes.len()) }
    }

    #[inline(always)]
    fn read(&self, position: u64, into: &mut [u8]) {
        let offset = self.offset(position);
        if into.len() > self.capacity() - offset {
            return self.read_around(offset, into);
        }
        // SAFETY: as in `write`, with the roles of source and target exchanged.
        unsafe { copy(self.data.as_ptr().add(offset), into.as_mut_ptr(), into.len()) }
    }

    #[inline]
    fn prefetch(&self, position: u64, write: bool) {
        #[cfg(target_arch = "x86_64")]
        {
            let at = self.span(position, 0).0.as_ptr();
            // SAFETY: a prefetch reads and writes nothing, whatever the address; this one lies in the ring.
            unsafe {
                if write {
                    core::arch::asm!("prefetchw [{}]", in(reg) at, options(nostack, preserves_flags));
                } else {
                    core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(at.cast());
                }
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (position, write);
    }

    #[inline]
    fn prefetch_for_writing(&self, position: u64, len: usize) {
        #[cfg(target_arch = "x86_64")]
        {
            let (at, here) = self.span(position, len);
            for line in (0..here).step_by(LINE) {
                // SAFETY: a prefetch reads and writes nothing, whatever the address; these lie in the ring, as `span` says.
                unsafe {
                    let at = at.as_ptr().add(line);
                    core::arch::asm!("prefetchw [{}]", in(reg) at, options(nostack, readonly, preserves_flags));
                }
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (position, len);
    }

    #[inline]
    fn credit(&self) -> u64 {
        // SAFETY: `new` promises that the word is valid and aligned; it is atomic, so others may change it.
        unsafe { self.credit.as_ref() }.load(Ordering::Acquire)
    }

    #[inline]
    fn give_credit(&self, position: u64) {
        // SAFETY: as in `credit`.
        unsafe { self.credit.as_ref() }.store(position, Ordering::Release);
    }
}
