// SPDX-License-Identifier: MIT OR Apache-2.0
//! The reading end of a ring. Whatever the peer writes, every access stays inside the ring and every loop ends.

use super::memory::Memory;
use super::record::{HEADER, Record, behind};
use super::release::Release;
use runtime::Result;
use std::rc::Rc;

/// The reading end. Everything in it is private to this process.
pub struct Consumer<M> {
    release: Rc<Release<M>>,
    /// The next record's position.
    head: u64,
}

impl<M: Memory> Consumer<M> {
    /// The reading end of a ring whose memory was all zero.
    pub fn new(memory: M) -> Self {
        Self { release: Rc::new(Release::new(memory)), head: 0 }
    }

    /// Whether something is published, without looking at what.
    #[inline]
    pub fn is_ready(&self) -> bool {
        self.release.memory().header(self.head) != 0
    }

    /// Looks for a record up to `looks` times, in as short a loop as can be, and brings the line behind its header near: a
    /// small message ends there. How many looks were in vain, and the record's header; zero if none came.
    #[inline(always)]
    pub fn spin(&self, looks: u32) -> (u32, u64) {
        let found = self.release.memory().spin(self.head, looks);
        self.release.memory().prefetch(self.head + 64, false);
        found
    }

    /// The header word of the next record; zero if none is published.
    #[inline(always)]
    pub fn header(&self) -> u64 {
        self.release.memory().header(self.head)
    }

    /// The record whose header is `word`, which was found here, if it is a whole message.
    #[inline(always)]
    pub fn whole(&self, word: u64) -> Option<Record> {
        Record::decode_whole(word, self.release.memory().capacity())
    }

    /// The next record, if one is published.
    ///
    /// # Errors
    /// `EPROTO` if the header is one that no honest peer writes.
    #[inline]
    pub fn peek(&self) -> Result<Option<Record>> {
        match self.release.memory().header(self.head) {
            0 => Ok(None),
            word => Record::decode(word, self.release.memory().capacity()).map(Some),
        }
    }

    /// Copies `into.len()` payload bytes, from `offset` on, out of the record at the head.
    #[inline]
    pub fn read(&self, offset: usize, into: &mut [u8]) {
        self.release.memory().read(self.head + (HEADER + offset) as u64, into);
    }

    /// The payload's first position.
    #[inline]
    pub fn payload(&self) -> u64 {
        self.head + HEADER as u64
    }

    /// Done with the record at the head. True if the writer was told of room, and may have to be woken.
    #[inline]
    pub fn consume(&mut self, record: Record) -> bool {
        self.head = behind(self.head, record.len);
        self.release.consumed(self.head)
    }

    /// As [`consume`](Self::consume), while nothing is held.
    #[inline(always)]
    pub fn consume_idle(&mut self, record: Record) -> bool {
        self.head = behind(self.head, record.len);
        self.release.consumed_idle(self.head)
    }

    /// The record at the head stays where it is until its token is released; the head moves on.
    #[inline]
    pub fn hold(&mut self, record: Record) -> u64 {
        self.head = behind(self.head, record.len);
        self.release.hold(self.head)
    }

    /// What the lent buffers give back to.
    #[inline]
    pub fn release(&self) -> &Rc<Release<M>> {
        &self.release
    }
}
