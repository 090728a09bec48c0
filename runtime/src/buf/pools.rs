// SPDX-License-Identifier: MIT OR Apache-2.0
//! [`Pools`]: the size classes of one LibOs.
//!
//! A class that is empty stays empty until one of its blocks is back: small buffers never eat up the large ones.

use super::pool::{Pool, Stats};
use super::view::Buf;
use crate::{Errno, Error, Result};

/// Sizes and counts of the classes. The default is 2 KiB × 4096, 64 KiB × 256, and 256 MiB of larger blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classes {
    /// The longest payload of a small block in bytes.
    pub small_size: u32,
    /// How many small blocks there are.
    pub small_count: u32,
    /// The longest payload of a large block in bytes; more than the small size.
    pub large_size: u32,
    /// How many large blocks there are.
    pub large_count: u32,
    /// Bytes kept free in front of the payload of small and large blocks.
    pub headroom: u32,
    /// How many bytes all blocks beyond the large size may have together.
    pub oversize_limit: usize,
    /// How many second views may exist at a time, in each class; beyond the large size, blocks count too.
    pub views: u32,
}

impl Default for Classes {
    fn default() -> Self {
        Self {
            small_size: 2048,
            small_count: 4096,
            large_size: 65536,
            large_count: 256,
            headroom: 128,
            oversize_limit: 256 << 20,
            views: 16384,
        }
    }
}

/// The pools of one LibOs by size; a clone is a further handle of the same ones.
#[derive(Clone, Debug)]
pub struct Pools {
    small: Pool,
    large: Pool,
    oversize: Pool,
    longest: usize,
}

impl Pools {
    /// Makes the pools. Their memory is touched when first used.
    ///
    /// # Errors
    /// `EINVAL` if the large size is below the small one, and what [`Pool::heap`] gives.
    pub fn new(classes: &Classes) -> Result<Pools> {
        let &Classes { small_size, small_count, large_size, large_count, headroom, oversize_limit, views } = classes;
        if large_size < small_size {
            return Err(Error::new(Errno::INVAL, "large buffers must not be smaller than small ones"));
        }
        Ok(Pools {
            small: Pool::heap(small_size, small_count, headroom, views)?,
            large: Pool::heap(large_size, large_count, headroom, views)?,
            oversize: Pool::oversize(oversize_limit, views)?,
            longest: oversize_limit.min(u32::MAX as usize).max(large_size as usize),
        })
    }

    /// A buffer of `len` bytes from the class that fits. The bytes are whatever was there before.
    ///
    /// ```
    /// use runtime::buf::{Classes, Pools};
    ///
    /// let pools = Pools::new(&Classes::default())?;
    /// for len in [64, 9000, 1 << 20] {
    ///     assert_eq!(pools.alloc(len)?.len(), len);
    /// }
    /// # Ok::<(), runtime::Error>(())
    /// ```
    ///
    /// # Errors
    /// `ENOBUFS` if the class is used up, `EMSGSIZE` beyond `u32::MAX` bytes, `ENOMEM` without memory.
    #[inline]
    pub fn alloc(&self, len: usize) -> Result<Buf> {
        if len <= self.small.slot_size() { self.small.alloc(len) } else { self.alloc_large(len) }
    }

    #[inline(never)]
    fn alloc_large(&self, len: usize) -> Result<Buf> {
        if len <= self.large.slot_size() { self.large.alloc(len) } else { self.oversize.alloc_oversize(len) }
    }

    /// As [`alloc`](Pools::alloc), with the bytes written by `fill`.
    ///
    /// # Errors
    /// As [`alloc`](Pools::alloc).
    #[inline]
    pub fn alloc_filled(&self, len: usize, fill: impl FnOnce(&mut [u8])) -> Result<Buf> {
        if len <= self.small.slot_size() {
            self.small.alloc_filled(len, fill)
        } else {
            self.alloc_large_filled(len, fill)
        }
    }

    #[inline(never)]
    fn alloc_large_filled(&self, len: usize, fill: impl FnOnce(&mut [u8])) -> Result<Buf> {
        let mut buf = self.alloc_large(len)?;
        // A buffer that was just allocated has one view.
        if let Some(bytes) = buf.get_mut() {
            fill(bytes);
        }
        Ok(buf)
    }

    /// As [`alloc_filled`](Pools::alloc_filled), of the small class alone: nothing else stands on the way.
    ///
    /// # Errors
    /// `ENOBUFS` if the class is used up, `EMSGSIZE` beyond its size.
    #[inline(always)]
    pub fn alloc_small_filled(&self, len: usize, fill: impl FnOnce(&mut [u8])) -> Result<Buf> {
        self.small.alloc_filled(len, fill)
    }

    /// A buffer that holds a copy of `bytes`.
    ///
    /// # Errors
    /// As [`alloc`](Pools::alloc).
    #[inline]
    pub fn alloc_copy(&self, bytes: &[u8]) -> Result<Buf> {
        self.alloc_filled(bytes.len(), |to| to.copy_from_slice(bytes))
    }

    /// The classes that have their memory in one piece each: small, large.
    #[must_use]
    pub fn slotted(&self) -> [&Pool; 2] {
        [&self.small, &self.large]
    }

    /// The longest payload of a small buffer in bytes.
    #[inline]
    #[must_use]
    pub fn small_size(&self) -> usize {
        self.small.slot_size()
    }

    /// The longest payload in bytes that a buffer can have here at all, when nothing else is out.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// What each class holds: small, large, oversize.
    #[must_use]
    pub fn stats(&self) -> [Stats; 3] {
        [self.small.stats(), self.large.stats(), self.oversize.stats()]
    }
}
