// SPDX-License-Identifier: MIT OR Apache-2.0
//! The writing end of a ring.
//!
//! What must hold: the header after the last record is always zero, and it is written before the record in front of it
//! is published, so the reader never takes old bytes for a header. [`RESERVE`] bytes stay free for that zero, an
//! [`Kind::Abort`] and an [`Kind::End`], so that closing never has to wait for room.

use super::memory::Memory;
use super::record::{HEADER, Kind, Record, TOTAL, behind};
use core::ops::RangeInclusive;
use runtime::{Errno, Error, Result};

/// Bytes that data records leave free: the zero header behind the last record, an abort and an end.
pub const RESERVE: usize = 3 * HEADER;

/// Behind a record with a payload of such a length the lines of the record after the next are fetched, to be written.
///
/// A line takes longer to come from the reader's cache than a record takes. Stores become visible in their order: while one
/// waits for its line, those behind it wait in the processor's queue of some sixty, which a record and what comes between two
/// records fill. So lines that are asked for only when their stores stand in that queue come a few at a time. Shorter records need
/// no more than the lines that [`Producer::advance`] fetches; longer ones would ask for more lines than a core can wait for.
const FETCHED_AHEAD: RangeInclusive<usize> = 256..=2048;

/// The writing end. Everything in it is private to this process.
pub struct Producer<M> {
    memory: M,
    /// Where the next record goes.
    tail: u64,
    /// The consumer's credit as last seen: everything before it may be overwritten.
    credit: u64,
}

impl<M: Memory> Producer<M> {
    /// The writing end of a ring whose memory is all zero.
    pub fn new(memory: M) -> Self {
        Self { memory, tail: 0, credit: 0 }
    }

    /// The largest payload of one record; a longer message is cut into several.
    #[inline]
    pub fn record_max(&self) -> usize {
        self.memory.capacity() / 4 - HEADER
    }

    /// The payload of the pieces into which a longer message is cut.
    #[inline]
    pub fn piece(&self) -> usize {
        self.memory.capacity() / 8 - HEADER
    }

    /// Bytes published so far, headers included; runs freely.
    pub fn position(&self) -> u64 {
        self.tail
    }

    /// Whether a record with `len` bytes of payload can be written now, leaving `reserve` bytes free behind it.
    ///
    /// # Errors
    /// `EPROTO` if the consumer gave back what it never had.
    #[inline]
    pub fn room(&mut self, len: usize, reserve: usize) -> Result<bool> {
        let need = behind(self.tail, len) - self.tail + reserve as u64;
        let capacity = self.memory.capacity() as u64;
        if self.tail + need - self.credit <= capacity {
            return Ok(true);
        }
        self.refreshed_room(need)
    }

    #[cold]
    fn refreshed_room(&mut self, need: u64) -> Result<bool> {
        self.refresh()?;
        let capacity = self.memory.capacity() as u64;
        Ok(self.tail + need - self.credit <= capacity)
    }

    /// Looks at the consumer's credit. True if there is more than before.
    ///
    /// # Errors
    /// `EPROTO` if it went back or beyond what was published.
    pub fn refresh(&mut self) -> Result<bool> {
        let credit = self.memory.credit();
        if credit < self.credit || credit > self.tail {
            return Err(Error::new(Errno::PROTO, "the peer gave back ring space that it never had"));
        }
        let more = credit != self.credit;
        self.credit = credit;
        Ok(more)
    }

    /// Whether the consumer is done with all that was published.
    ///
    /// # Errors
    /// As [`refresh`](Self::refresh).
    pub fn is_drained(&mut self) -> Result<bool> {
        self.refresh()?;
        Ok(self.credit == self.tail)
    }

    /// Publishes one record whose payload is the concatenation of `parts`, of `len` bytes in all. The caller has asked
    /// [`room`](Self::room).
    #[inline]
    pub fn put<'a>(&mut self, kind: Kind, len: usize, parts: impl Iterator<Item = &'a [u8]>) {
        let next = behind(self.tail, len);
        self.memory.clear(next);
        let mut at = self.tail + HEADER as u64;
        for part in parts {
            self.memory.write(at, part);
            at += part.len() as u64;
        }
        debug_assert_eq!(at, self.tail + (HEADER + len) as u64);
        self.memory.publish(self.tail, Record { kind, len }.encode());
        self.advance(next);
    }

    /// As [`put`](Self::put), for a payload in one piece.
    #[inline]
    pub fn put_whole(&mut self, bytes: &[u8]) {
        self.put_before(behind(self.tail, bytes.len()), bytes);
    }

    /// Publishes the bytes as one record, if there is room for it, and for [`RESERVE`] behind it. True if so.
    #[inline(always)]
    pub fn put_now(&mut self, bytes: &[u8]) -> bool {
        let next = behind(self.tail, bytes.len());
        if next + RESERVE as u64 - self.credit > self.memory.capacity() as u64
            && !matches!(self.refreshed_room(next + RESERVE as u64 - self.tail), Ok(true))
        {
            return false;
        }
        self.put_before(next, bytes);
        true
    }

    /// Publishes one record, behind which the next one begins at `next`.
    #[inline(always)]
    fn put_before(&mut self, next: u64, bytes: &[u8]) {
        self.memory.clear(next);
        self.memory.write(self.tail + HEADER as u64, bytes);
        self.memory.publish(self.tail, Record { kind: Kind::Whole, len: bytes.len() }.encode());
        self.advance(next);
        if FETCHED_AHEAD.contains(&bytes.len()) {
            self.fetch_ahead(next + bytes.len() as u64, bytes.len());
        }
    }

    /// Brings lines near that a later record will need, unless the reader may still have to read them.
    #[inline]
    fn fetch_ahead(&self, from: u64, len: usize) {
        if from + len as u64 - self.credit <= self.memory.capacity() as u64 {
            self.memory.prefetch_for_writing(from, len);
        }
    }

    #[inline]
    fn advance(&mut self, next: u64) {
        self.tail = next;
        // The lines that the next small record will need, while there is time. The first is here already.
        self.memory.prefetch(next + 64, true);
        self.memory.prefetch(next + 128, true);
    }

    /// Publishes a [`Kind::First`] record: the total length, then `bytes`.
    pub fn put_first<'a>(&mut self, total: u64, len: usize, parts: impl Iterator<Item = &'a [u8]>) {
        let total = total.to_le_bytes();
        self.put(Kind::First, TOTAL + len, core::iter::once(&total[..]).chain(parts.map(|part| part as &[u8])));
    }

    /// The memory, for the tests and the doorbell.
    pub fn memory(&self) -> &M {
        &self.memory
    }
}
