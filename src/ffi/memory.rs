// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory that C holds: a table of handles, so that freeing twice, or freeing what was never given out, is an error.
//!
//! `sga_buf` is no address but a handle:
//!
//! ```text
//!  63                 32 31          21 20              0
//! ┌─────────────────────┬──────────────┬─────────────────┐
//! │ generation of slot  │ table number │ slot index + 1  │
//! └─────────────────────┴──────────────┴─────────────────┘
//! ```
//!
//! The generation changes with every free. Tables are numbered through all threads and all lives of their LibOs, so that
//! what one thread was given is unknown to all others.

use core::ffi::{c_int, c_void};
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};

use runtime::buf::{Buf, Sga};
use runtime::limits::C_SEGMENTS_MAX as HELD_MAX;
use runtime::op::Datagram;
use runtime::{Errno, Error, Result};

use super::arguments::{Out, descriptor, present, read};
use super::state::{State, call};
use super::types::{SgArray, SgSegment, SockAddrIn};
use crate::LibOs;

const INDEX_BITS: u32 = 21;
const TABLE_BITS: u32 = 32 - INDEX_BITS;
const _: () = assert!(HELD_MAX < 1 << INDEX_BITS);

const STALE: Error = Error::new(Errno::INVAL, "the array was freed, or was not given out by this thread's LibOs");
const SEGMENTS: Error = Error::new(Errno::INVAL, "an array holds exactly one segment");
const EMPTY: Error = Error::new(Errno::INVAL, "a push of zero bytes");
const OUTSIDE: Error = Error::new(Errno::INVAL, "the segment lies outside the memory of its array");
const SIZE: Error = Error::new(Errno::INVAL, "an allocation has 1 to 4,294,967,295 bytes");
const LONG: Error = Error::new(Errno::MSGSIZE, "the message is longer than C's array can say");
const NO_SENDER: Error = Error::new(Errno::OPNOTSUPP, "the message is no datagram that was popped");
const FULL: Error = Error::new(Errno::NOBUFS, "the application holds as many messages as it may; free some");

/// Number of the next table.
static TABLES: AtomicU32 = AtomicU32::new(0);

/// What lies behind a handle.
enum Held {
    /// Nothing; the next free slot.
    Free(Option<u32>),
    /// Pooled memory.
    Pooled(Buf),
    /// A message of several segments, joined, since C's array has room for one.
    Joined(Box<[u8]>),
    /// The end of a stream: no memory, but freed like any message.
    End,
}

struct Slot {
    generation: u32,
    held: Held,
    /// An empty datagram that knows who sent the message.
    sender: Option<Datagram>,
}

/// The handles of one thread.
pub(super) struct Table {
    slots: Vec<Slot>,
    free: Option<u32>,
    unused: usize,
    /// The table's number, where it stands in a handle.
    number: u64,
    first_generation: u32,
}

impl Table {
    pub(super) fn new() -> Self {
        let serial = TABLES.fetch_add(1, Ordering::Relaxed);
        let number = u64::from(serial & ((1 << TABLE_BITS) - 1)) << INDEX_BITS;
        // The next table with the same number starts far away from where this one's generations are.
        let first_generation = (serial >> TABLE_BITS).wrapping_mul(0x9e37_79b9);
        Self { slots: Vec::new(), free: None, unused: 0, number, first_generation }
    }

    /// Makes sure that `count` inserts cannot fail. After the table has grown once, this only compares.
    pub(super) fn reserve(&mut self, count: usize) -> Result<()> {
        while self.unused < count {
            let index = u32::try_from(self.slots.len()).map_err(|_| FULL)?;
            if self.slots.len() == HELD_MAX || self.slots.try_reserve(1).is_err() {
                return Err(FULL);
            }
            self.slots.push(Slot { generation: self.first_generation, held: Held::Free(self.free), sender: None });
            self.free = Some(index);
            self.unused += 1;
        }
        Ok(())
    }

    fn insert(&mut self, held: Held) -> Result<*mut c_void> {
        self.reserve(1)?;
        let index = self.free.ok_or(FULL)?;
        let slot = self.slots.get_mut(index as usize).ok_or(FULL)?;
        let Held::Free(next) = slot.held else { return Err(FULL) };
        self.free = next;
        self.unused -= 1;
        slot.held = held;
        let handle = u64::from(slot.generation) << 32 | self.number | u64::from(index + 1);
        Ok(ptr::without_provenance_mut(handle as usize))
    }

    /// The index of a live handle's slot.
    fn find(&self, handle: *mut c_void) -> Result<usize> {
        let handle = handle.addr() as u64;
        // Another table's number leaves a bit above all slots that there can be.
        let index = (handle & 0xffff_ffff ^ self.number).checked_sub(1).ok_or(STALE)? as usize;
        match self.slots.get(index) {
            Some(Slot { held: Held::Free(_), .. }) | None => Err(STALE),
            Some(slot) if u64::from(slot.generation) != handle >> 32 => Err(STALE),
            Some(_) => Ok(index),
        }
    }

    /// Gives memory back. What it held is dropped after the table is in order again.
    fn remove(&mut self, handle: *mut c_void) -> Result<()> {
        let index = self.find(handle)?;
        let Some(slot) = self.slots.get_mut(index) else { return Err(STALE) };
        let held = (core::mem::replace(&mut slot.held, Held::Free(self.free)), slot.sender.take());
        slot.generation = slot.generation.wrapping_add(1);
        self.free = u32::try_from(index).ok();
        self.unused += 1;
        drop(held);
        Ok(())
    }

    fn give(&mut self, buf: Buf) -> Result<SgArray> {
        let len = u32::try_from(buf.len()).map_err(|_| LONG)?;
        let first = buf.as_ptr().cast_mut().cast();
        Ok(array(self.insert(Held::Pooled(buf))?, first, len))
    }

    /// Gives C a popped message; joins its segments if there are several.
    pub(super) fn give_message(&mut self, mut message: Sga) -> Result<SgArray> {
        match message.segments() {
            0 => {
                // C may compare the address with NULL or pass it to memcpy() with length 0, so it is an address.
                static NOTHING: u8 = 0;
                let first = (&raw const NOTHING).cast_mut().cast();
                Ok(array(self.insert(Held::End)?, first, 0))
            }
            1 => message.pop_front().map_or(Err(STALE), |buf| self.give(buf)),
            _ => {
                // The heap and not the pools: a message that has been popped must not be lost because they are empty.
                let mut joined = message.to_vec().into_boxed_slice();
                let len = u32::try_from(joined.len()).map_err(|_| LONG)?;
                let first = joined.as_mut_ptr().cast();
                Ok(array(self.insert(Held::Joined(joined))?, first, len))
            }
        }
    }

    /// Keeps who sent a message that was given out, as long as the message.
    pub(super) fn note_sender(&mut self, handle: *mut c_void, sender: Datagram) -> Result<()> {
        let index = self.find(handle)?;
        self.slots.get_mut(index).ok_or(STALE)?.sender = Some(sender);
        Ok(())
    }

    /// An empty datagram that knows who sent the message.
    pub(super) fn sender(&self, handle: *mut c_void) -> Result<&Datagram> {
        let slot = self.slots.get(self.find(handle)?).ok_or(STALE)?;
        slot.sender.as_ref().ok_or(NO_SENDER)
    }

    /// A segment that C wants pushed, as a buffer that holds on to its memory.
    pub(super) fn segment(&self, libos: &mut LibOs, array: &SgArray) -> Result<Buf> {
        let SgArray { handle, segments, segment: SgSegment { buf: first, len }, addr: _ } = *array;
        let len = len as usize;
        if segments != 1 {
            return Err(SEGMENTS);
        }
        if len == 0 {
            return Err(EMPTY);
        }
        present(first.cast_const())?;
        if handle.is_null() {
            // SAFETY: a null handle says that the segment is memory of the application's own, which it promises to be
            // readable for its length (`demi_push`).
            return copy(libos, unsafe { core::slice::from_raw_parts(first.cast_const().cast(), len) });
        }
        match &self.slots.get(self.find(handle)?).ok_or(STALE)?.held {
            Held::Pooled(buf) => {
                let offset = inside(first, len, buf.as_ptr(), buf.len())?;
                let mut part = buf.view()?;
                part.trim_front(offset)?;
                part.truncate(len)?;
                Ok(part)
            }
            Held::Joined(bytes) => {
                let offset = inside(first, len, bytes.as_ptr(), bytes.len())?;
                copy(libos, bytes.get(offset..offset + len).ok_or(OUTSIDE)?)
            }
            Held::End | Held::Free(_) => Err(OUTSIDE),
        }
    }
}

fn array(handle: *mut c_void, first: *mut c_void, len: u32) -> SgArray {
    SgArray { handle, segments: 1, segment: SgSegment { buf: first, len }, addr: SockAddrIn::NONE }
}

/// How far into a block a segment starts, if it lies inside.
fn inside(first: *mut c_void, len: usize, block: *const u8, block_len: usize) -> Result<usize> {
    let offset = first.addr().checked_sub(block.addr()).ok_or(OUTSIDE)?;
    match offset.checked_add(len) {
        Some(end) if end <= block_len => Ok(offset),
        _ => Err(OUTSIDE),
    }
}

fn copy(libos: &mut LibOs, bytes: &[u8]) -> Result<Buf> {
    const SHARED: Error = Error::new(Errno::IO, "a new buffer is shared");
    let mut buf = libos.alloc(bytes.len())?;
    buf.get_mut().ok_or(SHARED)?.copy_from_slice(bytes);
    Ok(buf)
}

/// The size of an allocation, in range.
fn size(bytes: usize) -> Result<usize> {
    if bytes == 0 || u32::try_from(bytes).is_err() { Err(SIZE) } else { Ok(bytes) }
}

/// `demi_sgaalloc`: [`LibOs::alloc`], with a null array for an error.
#[unsafe(no_mangle)]
pub extern "C" fn demi_sgaalloc(bytes: usize) -> SgArray {
    let mut given = SgArray::NULL;
    call(|State { memory, libos, .. }| {
        memory.reserve(1)?;
        given = memory.give(libos.alloc(size(bytes)?)?)?;
        Ok(())
    });
    given
}

/// `margay_sgaalloc_on`: [`LibOs::alloc_on`].
///
/// # Safety
/// `sga_out` is null or valid for a write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn margay_sgaalloc_on(sga_out: *mut SgArray, qd: c_int, bytes: usize) -> c_int {
    call(|State { memory, libos, .. }| {
        // SAFETY: as C promises.
        let out = unsafe { Out::new(sga_out) }?;
        let qd = descriptor(qd)?;
        memory.reserve(1)?;
        out.put(memory.give(libos.alloc_on(qd, size(bytes)?)?)?);
        Ok(())
    })
}

/// `demi_sgafree`: drops what the array names.
///
/// # Safety
/// `sga` is null or valid for a read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn demi_sgafree(sga: *mut SgArray) -> c_int {
    call(|state| {
        // SAFETY: as C promises.
        let SgArray { handle, segments, .. } = unsafe { read(sga) }?;
        if segments != 1 {
            return Err(SEGMENTS);
        }
        state.memory.remove(handle)
    })
}
