// SPDX-License-Identifier: MIT OR Apache-2.0
//! UMEM: the memory that an XDP socket and we share, which is that of the LibOs' small buffers (`af_xdp.rst`, "UMEM").
//!
//! A block of the pool is a chunk. One that the kernel is to fill is lent to it whole; one that is to be sent is lent as the
//! views of it that are on their way, of which there can be several: a segment and its retransmission.
//!
//! What must always hold: what the kernel has is held here, so that nobody else is given it; what the kernel says that it gives back is
//! looked up, and what it did not have is refused; memory comes back to the pool only by the pool's own way.

use runtime::buf::{Buf, Pool};
use runtime::{Errno, Error, Result};
use rustix::net::xdp::{XSK_UNALIGNED_BUF_ADDR_MASK, XSK_UNALIGNED_BUF_OFFSET_SHIFT};

/// What the kernel leaves free in front of a received frame (`XDP_PACKET_HEADROOM` of `linux/bpf.h`).
pub const XDP_HEADROOM: usize = 256;
/// The smallest chunk that the kernel takes, and the largest: a page.
const CHUNK_MIN: usize = 2048;
const CHUNK_MAX: usize = 4096;

const NO_SLOTS: Error = Error::new(Errno::INVAL, "XDP takes a pool whose memory is one piece");
const TOO_SMALL: Error =
    Error::new(Errno::INVAL, "XDP needs `buffers.small_size` and `buffers.headroom` of 2 KiB together at least");

/// Behind the last of a list.
const NONE: u32 = u32::MAX;

/// A view that is on its way.
struct Sending {
    address: u64,
    buffer: Option<Buf>,
    /// The next of the same block, or the next free place.
    next: u32,
}

/// A block, as far as the kernel has it.
struct Block {
    /// Lent to be filled.
    filling: Option<Buf>,
    /// The first of those views of it that are on their way.
    sending: u32,
}

/// The memory, and what of it the kernel has.
pub struct Umem {
    pool: Pool,
    base: usize,
    len: usize,
    /// Bytes from one block to the next, and where they are a power of two, which.
    stride: usize,
    shift: Option<u32>,
    blocks: Box<[Block]>,
    sending: Box<[Sending]>,
    free: u32,
    /// How many are free.
    room: usize,
    /// The kernel may still write to what it was given when this is dropped.
    lingers: bool,
}

impl Umem {
    /// Over the blocks of a pool; so many views can be on their way.
    ///
    /// # Errors
    /// `EINVAL` the blocks cannot be chunks.
    pub fn new(pool: Pool, sending: u32) -> Result<Self> {
        let (base, len) = pool.memory().ok_or(NO_SLOTS)?;
        let count = pool.capacity() as usize;
        let stride = len.checked_div(count).unwrap_or_default();
        if stride < CHUNK_MIN {
            return Err(TOO_SMALL);
        }
        let blocks = (0..count).map(|_| Block { filling: None, sending: NONE }).collect();
        let places = (1..=sending).map(|next| {
            let next = if next == sending { NONE } else { next };
            Sending { address: 0, buffer: None, next }
        });
        let sending: Box<[Sending]> = places.collect();
        Ok(Self {
            pool,
            base: base.addr().get(),
            len,
            stride,
            shift: stride.is_power_of_two().then(|| stride.trailing_zeros()),
            blocks,
            free: if sending.is_empty() { NONE } else { 0 },
            room: sending.len(),
            lingers: false,
            sending,
        })
    }

    /// The pool.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Where it begins, and how long it is, in bytes.
    pub fn place(&self) -> (usize, usize) {
        (self.base, self.len)
    }

    /// Bytes of a chunk.
    pub fn chunk(&self) -> usize {
        self.stride.min(CHUNK_MAX)
    }

    /// Whether each chunk begins at a multiple of its size, which is a power of two: only then none lies across two pages, which
    /// need not be neighbours for the device.
    pub fn is_aligned(&self) -> bool {
        self.shift.is_some() && self.stride <= CHUNK_MAX
    }

    /// The longest piece of a frame that a chunk receives.
    pub fn receives(&self) -> usize {
        // What the view of a whole block has behind the kernel's headroom.
        let lead = XDP_HEADROOM.saturating_sub(self.stride.saturating_sub(self.pool.slot_size()));
        (self.chunk() - XDP_HEADROOM).min(self.pool.slot_size().saturating_sub(lead))
    }

    /// How many blocks the kernel has to fill.
    #[cfg(test)]
    fn filling(&self) -> usize {
        self.blocks.iter().filter(|block| block.filling.is_some()).count()
    }

    /// How many more views can be on their way.
    #[inline]
    pub fn room(&self) -> usize {
        self.room
    }

    /// Whether views are on their way.
    pub fn lends_to_send(&self) -> bool {
        self.room < self.sending.len()
    }

    /// Which block an address lies in.
    #[inline]
    fn block(&self, address: u64) -> usize {
        let address = address as usize;
        match self.shift {
            Some(shift) => address >> shift,
            None => address / self.stride,
        }
    }

    /// Takes a block for the kernel to fill, and gives its address; `None` if the pool has none left.
    #[inline]
    pub fn lend_to_fill(&mut self) -> Option<u64> {
        let buffer = self.pool.alloc(self.pool.slot_size()).ok()?;
        let index = self.pool.slot_index(&buffer)? as usize;
        self.blocks.get_mut(index)?.filling = Some(buffer);
        Some((index * self.stride) as u64)
    }

    /// The kernel has filled `len` bytes from an address on: they are ours. `None`: it did not have that block, or the bytes do not
    /// lie in it.
    #[inline]
    pub fn filled(&mut self, address: u64, len: u32) -> Option<Buf> {
        // Of chunks that are not aligned, the upper bits have how far in it the frame begins.
        let (start, lead) = (address & XSK_UNALIGNED_BUF_ADDR_MASK, address >> XSK_UNALIGNED_BUF_OFFSET_SHIFT);
        let index = self.block(start);
        let mut buffer = self.blocks.get_mut(index)?.filling.take()?;
        let in_block = (start + lead) as usize - index * self.stride;
        buffer.narrow(in_block.checked_sub(buffer.offset())?, len as usize).ok()?;
        Some(buffer)
    }

    /// Whether a segment of a frame can be sent from where it is.
    #[inline]
    pub fn has(&self, segment: &Buf) -> bool {
        segment.belongs_to(&self.pool) && !segment.is_empty() && segment.len() <= self.chunk()
    }

    /// Lends a segment that [`has`](Self::has) says yes to, and gives its address; there is [`room`](Self::room).
    #[inline]
    pub fn lend_to_send(&mut self, buffer: Buf) -> Option<u64> {
        let address = buffer.as_ptr().addr().checked_sub(self.base)? as u64;
        let (index, place) = (self.block(address), self.free);
        let (block, entry) = (self.blocks.get_mut(index)?, self.sending.get_mut(place as usize)?);
        self.free = entry.next;
        self.room -= 1;
        *entry = Sending { address, buffer: Some(buffer), next: block.sending };
        block.sending = place;
        Some(address)
    }

    /// The kernel has sent what is at an address. False: it did not have it.
    #[inline]
    pub fn sent(&mut self, address: u64) -> bool {
        let index = self.block(address);
        let Some(block) = self.blocks.get_mut(index) else { return false };
        let (mut before, mut place) = (NONE, block.sending);
        while let Some(entry) = self.sending.get_mut(place as usize) {
            let next = entry.next;
            if entry.address != address {
                (before, place) = (place, next);
                continue;
            }
            entry.buffer = None;
            entry.next = self.free;
            self.free = place;
            self.room += 1;
            match self.sending.get_mut(before as usize) {
                Some(before) => before.next = next,
                None => block.sending = next,
            }
            return true;
        }
        false
    }

    /// A driver writes to this memory itself, and may do so for a moment after the sockets are closed: what it was given then is nobody's any more.
    pub fn linger(&mut self) {
        self.lingers = true;
    }

    fn abandon(&mut self) {
        for block in &mut self.blocks {
            if let Some(buffer) = block.filling.take() {
                core::mem::forget(buffer);
            }
        }
    }
}

impl Drop for Umem {
    fn drop(&mut self) {
        if self.lingers {
            self.abandon();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With blocks that are aligned, and with others.
    fn both(test: impl Fn(&mut Umem, Pool)) {
        for (slot_size, headroom) in [(2048, 128), (1920, 128), (4096, 128), (1984, 64), (8192, 0)] {
            let pool = Pool::heap(slot_size, 32, headroom, 64).unwrap();
            let mut umem = Umem::new(pool.clone(), 8).unwrap();
            test(&mut umem, pool.clone());
            drop(umem);
            let stats = pool.stats();
            assert_eq!((stats.in_use, stats.views_in_use), (0, 0), "{slot_size}");
        }
    }

    /// Where the kernel says that a frame is, `lead` bytes into its chunk.
    fn told(umem: &Umem, chunk: u64, lead: u64) -> u64 {
        if umem.is_aligned() { chunk + lead } else { chunk | lead << 48 }
    }

    #[test]
    fn which_are_aligned() {
        let umem = |size, headroom| Umem::new(Pool::heap(size, 32, headroom, 0).unwrap(), 8);
        assert!(!umem(2048, 128).unwrap().is_aligned());
        let aligned = umem(1920, 128).unwrap();
        assert!(aligned.is_aligned() && aligned.chunk() == 2048 && aligned.receives() == 2048 - XDP_HEADROOM);
        assert!(umem(3968, 128).unwrap().is_aligned());
        let large = umem(8192, 0).unwrap();
        assert!(!large.is_aligned() && large.chunk() == 4096 && large.receives() == 4096 - XDP_HEADROOM);
        assert_eq!(umem(2048, 128).unwrap().receives(), 1920);
        assert!(umem(1024, 128).is_err());
    }

    #[test]
    fn filled_in_place() {
        both(|umem, pool| {
            let chunks: Vec<u64> = core::iter::from_fn(|| umem.lend_to_fill()).collect();
            assert_eq!((chunks.len(), pool.available(), umem.filling()), (32, 0, 32));
            let mut came = Vec::new();
            for &chunk in &chunks {
                let buffer = umem.filled(told(umem, chunk, XDP_HEADROOM as u64), 1514).unwrap();
                assert_eq!(buffer.as_ptr().addr() - umem.place().0, chunk as usize + XDP_HEADROOM);
                assert_eq!((buffer.len(), buffer.headroom()), (1514, XDP_HEADROOM));
                came.push(buffer);
                // A second time it is nobody's.
                assert!(umem.filled(told(umem, chunk, XDP_HEADROOM as u64), 1514).is_none());
            }
            assert_eq!(umem.filling(), 0);
            drop(came);
            assert_eq!(pool.available(), 32);
        });
    }

    #[test]
    fn what_the_kernel_cannot_say() {
        both(|umem, pool| {
            let chunk = umem.lend_to_fill().unwrap();
            let far = umem.place().1 as u64;
            let other = told(umem, chunk, 0) + 7 * far / 32;
            for (address, len) in [(far, 60), (u64::MAX, 60), (other, 60), (1 << 47, 60), (far - 1, u32::MAX)] {
                assert!(umem.filled(address, len).is_none(), "{address:x}");
            }
            // Longer than its block, or in front of it: the block is back all the same.
            assert!(umem.filled(told(umem, chunk, 256), u32::MAX).is_none());
            assert_eq!((umem.filling(), pool.available()), (0, 32));
            for address in [0, chunk, far, u64::MAX] {
                assert!(!umem.sent(address));
            }
        });
    }

    #[test]
    fn views_of_one_block_are_told_apart() {
        both(|umem, pool| {
            let mut whole = pool.alloc_copy(&[7; 900]).unwrap();
            let (first, second) = (whole.split_front(300).unwrap(), whole.split_front(300).unwrap());
            let again = whole.view().unwrap();
            let mut addresses = Vec::new();
            assert!(!umem.lends_to_send());
            for view in [first, second, whole, again] {
                assert!(umem.has(&view));
                addresses.push(umem.lend_to_send(view).unwrap());
            }
            assert_eq!(umem.room(), 4);
            assert_eq!(addresses[2], addresses[3]);
            for (number, at) in [1, 2, 0, 3].into_iter().enumerate() {
                assert_eq!((pool.available(), umem.lends_to_send()), (31, true), "until the last");
                assert!(umem.sent(addresses[at]), "{number}");
            }
            assert!(!umem.sent(addresses[0]) && !umem.lends_to_send());
            assert_eq!((pool.available(), umem.room()), (32, 8));
        });
    }

    #[test]
    fn all_places_are_used_again() {
        both(|umem, pool| {
            for round in 0..50 {
                let mut addresses = Vec::new();
                while umem.room() > 0 {
                    addresses.push(umem.lend_to_send(pool.alloc_copy(&[1; 60]).unwrap()).unwrap());
                }
                let one_more = umem.lend_to_send(pool.alloc_copy(&[1; 60]).unwrap());
                assert_eq!((addresses.len(), one_more), (8, None));
                let shift = round % addresses.len();
                addresses.rotate_left(shift);
                assert!(addresses.into_iter().all(|address| umem.sent(address)));
            }
        });
    }

    #[test]
    fn others_memory_is_not_in_it() {
        both(|umem, _| {
            let other = Pool::heap(2048, 1, 0, 0).unwrap();
            assert!(!umem.has(&other.alloc(60).unwrap()));
            let long = umem.pool().alloc(umem.pool().slot_size()).unwrap();
            assert_eq!(umem.has(&long), long.len() <= 4096);
            assert!(!umem.has(&umem.pool().alloc(0).unwrap()));
        });
    }

    #[test]
    fn what_was_abandoned_stays_out() {
        let pool = Pool::heap(2048, 4, 128, 0).unwrap();
        let mut umem = Umem::new(pool.clone(), 8).unwrap();
        umem.lend_to_fill().unwrap();
        umem.linger();
        drop(umem);
        assert_eq!(pool.available(), 3);
    }
}
