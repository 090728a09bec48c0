// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages by reference: the sender's arena in the shared segment, and the way back of what was read.
//!
//! The sender keeps a view of every segment that it handed over, under an id. The reader gets `(id, offset, length)`,
//! checks that offset and length lie in the arena, reads in place, and writes `id + 1` into the returns area when it is
//! done. Ids come back in any order, and at most [`RETURNS`] are out at once, so an honest reader's entry is always free;
//! a dishonest one can only hurt memory that is its own to read.

use crate::layout::RETURNS;
use crate::mapping::Mapping;
use crate::ring::record::DESCRIPTOR;
use core::cell::Cell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};
use runtime::buf::{Buf, Layout, Pool, Region};
use runtime::{Errno, Error, Result};
use std::rc::Rc;

/// One segment by reference, as it stands in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// What comes back through the returns area.
    pub id: u32,
    /// Bytes of the segment.
    pub len: u32,
    /// Where it begins in the sender's arena.
    pub offset: u64,
}

impl Descriptor {
    /// As it stands in the ring.
    #[must_use]
    pub fn to_bytes(self) -> [u8; DESCRIPTOR] {
        let mut bytes = [0; DESCRIPTOR];
        bytes[..4].copy_from_slice(&self.id.to_ne_bytes());
        bytes[4..8].copy_from_slice(&self.len.to_ne_bytes());
        bytes[8..].copy_from_slice(&self.offset.to_ne_bytes());
        bytes
    }

    /// Reads and checks a descriptor against an arena of `arena` bytes.
    ///
    /// # Errors
    /// `EPROTO` if it names memory outside the arena, no bytes at all, or an id that cannot be.
    pub fn from_bytes(bytes: &[u8; DESCRIPTOR], arena: usize) -> Result<Self> {
        let word = |at| u32::from_ne_bytes(core::array::from_fn(|i| bytes[at + i]));
        let (id, len) = (word(0), word(4));
        let offset = u64::from_ne_bytes(core::array::from_fn(|i| bytes[8 + i]));
        let fits = offset.checked_add(u64::from(len)).is_some_and(|end| end <= arena as u64);
        if len == 0 || !fits || id as usize >= RETURNS {
            return Err(Error::new(Errno::PROTO, "the peer handed over memory that it does not have"));
        }
        Ok(Self { id, len, offset })
    }
}

/// Part of a mapping as a pool's memory.
#[derive(Clone)]
struct Part {
    mapping: Rc<Mapping>,
    offset: usize,
    len: usize,
}

// SAFETY: the part lies inside the mapping (checked in `Outgoing::new`), which lives as long as this value. The pool's
// slots are this side's to write; a peer that writes there spoils bytes that it is about to read itself.
unsafe impl Region for Part {
    fn base(&self) -> NonNull<u8> {
        // SAFETY: inside the mapping, as above.
        unsafe { self.mapping.base().add(self.offset) }
    }

    fn len(&self) -> usize {
        self.len
    }
}

/// The words that ids come back through.
struct Returns {
    mapping: Rc<Mapping>,
    offset: usize,
}

impl Returns {
    fn new(mapping: Rc<Mapping>, offset: usize) -> Self {
        assert!(offset.is_multiple_of(4) && offset + RETURNS * 4 <= mapping.len());
        Self { mapping, offset }
    }

    fn word(&self, index: u32) -> &AtomicU32 {
        let at = self.offset + (index as usize % RETURNS) * 4;
        // SAFETY: `new` checked that the area lies in the mapping, which is page aligned; the word is atomic.
        unsafe { self.mapping.base().add(at).cast::<AtomicU32>().as_ref() }
    }
}

/// The sender's side. What it takes to lend memory is made with the first allocation: most pipes never lend any.
pub struct Outgoing {
    part: Part,
    layout: Layout,
    returns: Returns,
    next_return: u32,
    lent: Option<Box<Lent>>,
}

/// Slots, and which of them the peer has.
struct Lent {
    pool: Pool,
    base: usize,
    out: Box<[Option<Buf>]>,
    free: Vec<u32>,
}

impl Lent {
    fn new(part: Part, layout: Layout) -> Result<Self> {
        Ok(Self {
            base: part.base().as_ptr() as usize,
            pool: Pool::over(Box::new(part), layout)?,
            out: (0..RETURNS).map(|_| None).collect(),
            free: (0..RETURNS as u32).rev().collect(),
        })
    }
}

impl Outgoing {
    /// An arena of `slots` slots of `slot_size` bytes at `offset`, whose ids come back at `returns`.
    pub fn new(mapping: &Rc<Mapping>, offset: usize, slot_size: usize, slots: u16, returns: usize) -> Self {
        let len = slot_size * usize::from(slots);
        assert!(offset + len <= mapping.len());
        Self {
            part: Part { mapping: Rc::clone(mapping), offset, len },
            layout: Layout { slot_size: slot_size as u32, slots: slots.into(), headroom: 0, views: 4 * RETURNS as u32 },
            returns: Returns::new(Rc::clone(mapping), returns),
            next_return: 0,
            lent: None,
        }
    }

    /// Memory in the arena.
    ///
    /// # Errors
    /// `ENOBUFS` if all slots are out, `EMSGSIZE` above the slot size, `EPROTO` if the peer returned nonsense, `ENOMEM`.
    pub fn alloc(&mut self, len: usize) -> Result<Buf> {
        self.reap()?;
        let lent = match &mut self.lent {
            Some(lent) => lent,
            none => none.insert(Box::new(Lent::new(self.part.clone(), self.layout)?)),
        };
        lent.pool.alloc(len)
    }

    /// Whether this buffer lies in the arena.
    #[inline]
    pub fn owns(&self, buf: &Buf) -> bool {
        self.lent.as_ref().is_some_and(|lent| buf.belongs_to(&lent.pool))
    }

    /// Ids that can be handed out now, after a look at what came back.
    ///
    /// # Errors
    /// `EPROTO` if the peer returned nonsense.
    pub fn available(&mut self) -> Result<usize> {
        self.reap()?;
        Ok(self.lent.as_ref().map_or(RETURNS, |lent| lent.free.len()))
    }

    /// Keeps a view and gives the descriptor under which the peer reads it. The caller asked [`available`](Self::available).
    pub fn lend(&mut self, buf: Buf) -> Option<Descriptor> {
        let lent = self.lent.as_mut()?;
        let id = lent.free.pop()?;
        let offset = (buf.as_ptr() as usize - lent.base) as u64;
        let descriptor = Descriptor { id, len: buf.len() as u32, offset };
        lent.out[id as usize] = Some(buf);
        Some(descriptor)
    }

    /// Takes back what the peer has read. Ends after at most [`RETURNS`] entries.
    ///
    /// # Errors
    /// `EPROTO` if an id comes back that is not out.
    pub fn reap(&mut self) -> Result<()> {
        for _ in 0..RETURNS {
            let word = self.returns.word(self.next_return);
            // SYNC POINT acquire: pairs with `Incoming::give_back`, so that the peer's reads come before our next writes.
            let Some(id) = word.load(Ordering::Acquire).checked_sub(1) else { break };
            word.store(0, Ordering::Relaxed);
            self.next_return = self.next_return.wrapping_add(1);
            let taken = self.lent.as_mut().and_then(|lent| {
                let buf = lent.out.get_mut(id as usize).and_then(Option::take)?;
                lent.free.push(id);
                Some(buf)
            });
            match taken {
                Some(buf) => drop(buf),
                None => return Err(Error::new(Errno::PROTO, "the peer gave back memory that it never had")),
            }
        }
        Ok(())
    }
}

/// The reader's side.
pub struct Incoming {
    returns: Returns,
    next: Cell<u32>,
}

impl Incoming {
    /// Ids go back at `returns`.
    pub fn new(mapping: &Rc<Mapping>, returns: usize) -> Self {
        Self { returns: Returns::new(Rc::clone(mapping), returns), next: Cell::new(0) }
    }

    /// The reader is done with the segment of this id.
    pub fn give_back(&self, id: u32) {
        // SYNC POINT release: pairs with `Outgoing::reap`.
        self.returns.word(self.next.get()).store(id + 1, Ordering::Release);
        self.next.set(self.next.get().wrapping_add(1));
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
