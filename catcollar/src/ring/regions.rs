// SPDX-License-Identifier: MIT OR Apache-2.0
//! Registered memory: pools whose pages the kernel has looked up and locked once, so that a send without a copy need not do
//! so each time (`io_uring_register(2)`: `IORING_REGISTER_BUFFERS`).
//!
//! What must always hold: a pool's memory stays while it is registered. The handles here see to that; they are dropped after the
//! registration has ended, and leaked where the ring is.

use io_uring::IoUring;
use runtime::buf::{Buf, Pool};

/// Registered pools, the index of each being that of its buffer in the kernel's table.
pub struct Regions {
    /// First address and length.
    bounds: Vec<(usize, usize)>,
    #[expect(dead_code, reason = "held for their memory")]
    pools: Vec<Pool>,
}

impl Regions {
    /// Registers the memory of these pools; `None` where so much may not be locked (`RLIMIT_MEMLOCK`), or a pool is larger than
    /// the kernel takes (1 GiB).
    pub fn new(io: &IoUring, pools: Vec<Pool>) -> Option<Self> {
        let memory: Vec<_> = pools.iter().filter_map(Pool::memory).filter(|&(_, len)| len > 0).collect();
        let list: Vec<_> =
            memory.iter().map(|&(start, len)| libc::iovec { iov_base: start.as_ptr().cast(), iov_len: len }).collect();
        // SAFETY: each is the whole memory of a pool that is kept here; who drops this ends the registration first.
        unsafe { io.submitter().register_buffers(&list) }.ok()?;
        Some(Self { bounds: memory.iter().map(|&(start, len)| (start.addr().get(), len)).collect(), pools })
    }

    /// The index of the region that these bytes lie in.
    #[inline]
    pub fn index_of(&self, buf: &Buf) -> Option<u16> {
        let start = buf.as_ptr().addr();
        let inside = |&(first, len): &(usize, usize)| {
            start.checked_sub(first).is_some_and(|offset| offset <= len && buf.len() <= len - offset)
        };
        // As many as there are pools.
        self.bounds.iter().position(inside).map(|index| index as u16)
    }
}
