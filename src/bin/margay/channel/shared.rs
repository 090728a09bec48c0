// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bare shared memory: what the limits are measured on, with nothing between them and the hardware.
//!
//! Every offset is checked against the length, so nothing outside the mapping is ever touched. That one side does not
//! write what the other reads is kept by the words that they exchange, in `two_line` and `copy_ring`.

#![expect(unsafe_code, reason = "a limit is a loop over the memory itself")]

use anyhow::{Context, Result};
use catmem::mapping::Mapping;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// Far enough apart that the hardware does not fetch one word along with another.
pub const APART: usize = 128;

/// A mapped segment.
pub struct Shared(Mapping);

impl Shared {
    /// Maps `len` bytes of what the descriptor stands for.
    pub fn new(fd: &OwnedFd, len: usize) -> Result<Self> {
        Ok(Self(Mapping::attach(fd, len).context("cannot map shared memory")?))
    }

    /// The bytes from `offset` on; the caller keeps to `len` of them.
    #[inline]
    fn at(&self, offset: usize, len: usize) -> *mut u8 {
        assert!(offset <= self.0.len() && len <= self.0.len() - offset, "outside the segment");
        // SAFETY: the offset is inside the mapping, as just checked.
        unsafe { self.0.base().as_ptr().add(offset) }
    }

    /// A word at a multiple of 8.
    #[inline]
    pub fn word(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8), "a word is aligned");
        // SAFETY: `at` gives 8 bytes that stay mapped as long as `self`; the mapping starts at a page, so they are
        // aligned; any bits are a word, and others may change an atomic one.
        unsafe { AtomicU64::from_ptr(self.at(offset, 8).cast()) }
    }

    /// A half word at a multiple of 8, for the kernel to wait on.
    #[inline]
    pub fn half_word(&self, offset: usize) -> &AtomicU32 {
        assert!(offset.is_multiple_of(8), "a word is aligned");
        // SAFETY: as in `word`.
        unsafe { AtomicU32::from_ptr(self.at(offset, 4).cast()) }
    }

    /// Copies private memory in.
    #[inline]
    pub fn copy_in(&self, offset: usize, from: &[u8]) {
        // SAFETY: `at` has checked the target; the source is private, so they do not overlap.
        unsafe { self.at(offset, from.len()).copy_from_nonoverlapping(from.as_ptr(), from.len()) }
    }

    /// Copies out into private memory.
    #[inline]
    pub fn copy_out(&self, offset: usize, into: &mut [u8]) {
        // SAFETY: `at` has checked the source; the target is private, so they do not overlap.
        unsafe { self.at(offset, into.len()).copy_to_nonoverlapping(into.as_mut_ptr(), into.len()) }
    }

    /// Reads bytes where they lie. The other side does not write them until this returns.
    #[inline]
    pub fn with<T>(&self, offset: usize, len: usize, read: impl FnOnce(&[u8]) -> T) -> T {
        // SAFETY: `at` has checked the range, any bytes are initialised ones, and `copy_ring`, the only caller, calls
        // between the word that says the slot is full and the one that says it is free.
        read(unsafe { std::slice::from_raw_parts(self.at(offset, len), len) })
    }
}
