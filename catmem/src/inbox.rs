// SPDX-License-Identifier: MIT OR Apache-2.0
//! The reading half of a pipe: records into messages. Everything read here was written by a peer that may be hostile.

mod loans;
mod stream;

use crate::arena::{Descriptor, Incoming};
use crate::doorbell::{CREDIT, Doorbell};
use crate::mapping::Mapping;
use crate::ring::record::{DESCRIPTOR, TOTAL};
use crate::ring::release::Release;
use crate::ring::{Consumer, Kind, Record, SharedMemory};
use core::ptr::NonNull;
use core::task::Poll;
use loans::Loans;
use runtime::buf::{self, Buf, Pools, SGA_SEGMENTS_MAX, Sga};
use runtime::limits::{DATAGRAM_MAX, MESSAGE_MAX, RECORDS_PER_LOOK};
use runtime::transport::PopMode;
use runtime::{Errno, Error, Result};
use std::rc::Rc;

/// Set in a loan's token if it is a descriptor's id, clear if it is a record in the ring.
const BY_REFERENCE: u64 = 1 << 63;

/// A record that comes within so many looks belongs to a stream.
const STREAM_LOOKS: u32 = 16;
/// Pauses before the next look in a stream.
const STREAM_PAUSES: u32 = 4;

const BROKEN: Error = Error::new(Errno::PROTO, "the peer published records in an order that cannot be");

/// What dropping a message that was read in place does.
struct GiveBack {
    ring: Rc<Release<SharedMemory>>,
    arena: Incoming,
    bell: Rc<Doorbell>,
    /// Keeps the memory of all of these in place.
    _mapping: Rc<Mapping>,
}

impl buf::Release for GiveBack {
    fn release(&self, token: u64) {
        if token & BY_REFERENCE != 0 {
            self.arena.give_back((token & !BY_REFERENCE) as u32);
            self.bell.notify(CREDIT);
        } else if self.ring.release(token) {
            self.bell.notify(CREDIT);
        }
    }
}

const HELD: Error = Error::new(Errno::NOBUFS, "too many messages are held in place: drop some first");
const TOO_LONG: Error =
    Error::new(Errno::MSGSIZE, "a message was dropped: it was longer than catmem.max_message or than any buffer");

/// What was begun, and is not done with.
enum Begun {
    /// A message that comes in pieces.
    Message { buf: Buf, filled: usize },
    /// One that is longer than what is taken: its pieces are thrown away.
    TooLong { total: usize, passed: usize },
    /// A record of a stream that no buffer is long enough for, still at the head: all before `from` was copied out.
    Record { record: Record, from: usize },
}

/// The reading half.
pub struct Inbox {
    ring: Consumer<SharedMemory>,
    bell: Rc<Doorbell>,
    pools: Pools,
    loans: Loans,
    /// The peer's arena: first byte and length.
    arena: (NonNull<u8>, usize),
    begun: Option<Begun>,
    /// What a sized pop has left of its message.
    rest: Sga,
    /// The last record came within a few looks.
    streaming: bool,
    /// Bytes without boundaries: pieces of long messages are delivered as they come.
    pieces: bool,
    /// A message may have no bytes.
    datagrams: bool,
    /// The longest message that is taken.
    longest: usize,
    _mapping: Rc<Mapping>,
}

impl Inbox {
    /// The reading half over these; `arena` is the range of the segment that the peer hands memory over from.
    pub fn new(
        mapping: &Rc<Mapping>,
        ring: SharedMemory,
        arena: core::ops::Range<usize>,
        returns: usize,
        bell: &Rc<Doorbell>,
        (pools, max_message): (&Pools, usize),
    ) -> Self {
        assert!(arena.start <= arena.end && arena.end <= mapping.len());
        // SAFETY: the start lies inside the mapping, which `_mapping` keeps.
        let base = unsafe { mapping.base().add(arena.start) };
        let ring = Consumer::new(ring);
        let hook = GiveBack {
            ring: Rc::clone(ring.release()),
            arena: Incoming::new(mapping, returns),
            bell: Rc::clone(bell),
            _mapping: Rc::clone(mapping),
        };
        Self {
            ring,
            bell: Rc::clone(bell),
            pools: pools.clone(),
            loans: Loans::new(hook),
            arena: (base, arena.len()),
            begun: None,
            rest: Sga::new(),
            streaming: false,
            pieces: false,
            datagrams: false,
            longest: max_message.min(MESSAGE_MAX),
            _mapping: Rc::clone(mapping),
        }
    }

    /// Whether a pop may find something.
    #[inline]
    pub fn is_ready(&self) -> bool {
        self.ring.is_ready() || !self.rest.is_empty()
    }

    /// Whether the next record is the end.
    #[inline]
    pub fn is_at_end(&self) -> bool {
        matches!(self.ring.peek(), Ok(Some(Record { kind: Kind::End, .. })))
    }

    /// Looks for a record up to `looks` times, in as short a loop as can be.
    ///
    /// If the last record came at once, they come in a stream, and looking at the line that the writer is just filling would
    /// only take it away from it: then a pause comes first, in which some more can be written.
    #[inline]
    pub fn spin(&mut self, looks: u32) -> bool {
        !self.rest.is_empty() || self.look(looks) != 0
    }

    #[inline(always)]
    fn look(&mut self, looks: u32) -> u64 {
        if core::mem::take(&mut self.streaming) {
            for _ in 0..STREAM_PAUSES {
                core::hint::spin_loop();
            }
        }
        let (looked, word) = self.ring.spin(looks);
        self.streaming = looked < STREAM_LOOKS && word != 0;
        word
    }

    /// Looks for a record up to `looks` times, and takes it if it is a whole message: copies it out, or with
    /// [`PopMode::InPlace`] lends it. What is not stays where it is, for [`pop`](Self::pop), and so does what cannot be taken: an
    /// empty result says so.
    #[inline]
    pub fn spin_for_message(&mut self, mode: PopMode, looks: u32) -> Sga {
        // Asked here, and not when the message is there.
        if !self.rest.has_no_segment() || self.begun.is_some() {
            return Sga::new();
        }
        match mode {
            PopMode::Whole if self.ring.release().is_idle() => match self.look(looks) {
                0 => Sga::new(),
                word => self.take_whole(word),
            },
            PopMode::InPlace => match self.look(looks) {
                0 => Sga::new(),
                word => self.take_in_place(word),
            },
            _ => Sga::new(),
        }
    }

    /// A whole message, if that is the next record and takes nothing but a copy, or with [`PopMode::InPlace`] a loan.
    #[inline(always)]
    pub fn pop_now(&mut self, mode: PopMode) -> Sga {
        if !self.rest.has_no_segment() || self.begun.is_some() {
            return Sga::new();
        }
        match (self.ring.header(), mode) {
            (0, _) | (_, PopMode::AtMost(_)) => Sga::new(),
            (word, PopMode::Whole) if self.ring.release().is_idle() => self.take_whole(word),
            (word, PopMode::InPlace) => self.take_in_place(word),
            (_, PopMode::Whole) => Sga::new(),
        }
    }

    /// Copies a record out whose header `word` was found, while none is held. Empty if it is no whole message, or one that no
    /// small buffer is there for.
    #[inline(always)]
    fn take_whole(&mut self, word: u64) -> Sga {
        match self.ring.whole(word) {
            Some(record) if record.len <= self.longest => {
                let read = |bytes: &mut [u8]| self.ring.read(0, bytes);
                let Ok(buf) = self.pools.alloc_small_filled(record.len, read) else {
                    return Sga::new();
                };
                if self.ring.consume_idle(record) {
                    self.bell.notify(CREDIT);
                }
                buf.into()
            }
            _ => Sga::new(),
        }
    }

    #[inline(always)]
    fn take_in_place(&mut self, word: u64) -> Sga {
        match self.ring.whole(word) {
            Some(record) if record.len <= self.longest => {
                self.in_place(record).ok().flatten().map_or_else(Sga::new, Sga::from)
            }
            _ => Sga::new(),
        }
    }

    /// From now on a message may have no bytes. It has a segment all the same, which the end has not. None is longer than a
    /// datagram can be.
    pub fn as_datagrams(&mut self) {
        self.datagrams = true;
        self.longest = DATAGRAM_MAX;
    }

    /// The next message; one without segments is the end.
    ///
    /// # Errors
    /// `EPROTO`: the peer broke the rules. `ENOBUFS`: no buffer; the message is still there. `EMSGSIZE`: it was longer than
    /// what is taken, or than any buffer can be, and is gone, because nothing behind it would ever come through.
    #[inline]
    pub fn pop(&mut self, mode: PopMode) -> Poll<Result<Sga>> {
        // The usual case: a small whole message, to be copied.
        if mode == PopMode::Whole && self.rest.is_empty() && self.begun.is_none() {
            match self.ring.peek() {
                Ok(None) => return Poll::Pending,
                Ok(Some(record)) if record.kind == Kind::Whole && record.len <= self.longest => {
                    return Poll::Ready(self.copy(record).map(Sga::from));
                }
                Ok(Some(_)) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        match self.pop_other(mode) {
            Ok(Some(message)) => Poll::Ready(Ok(message)),
            Ok(None) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn pop_other(&mut self, mode: PopMode) -> Result<Option<Sga>> {
        if self.rest.is_empty() {
            let Some(message) = self.message(mode)? else { return Ok(None) };
            self.rest = message;
        }
        match mode {
            PopMode::AtMost(size) if size.get() < self.rest.len() => self.rest.split_front(size.get()).map(Some),
            _ => Ok(Some(core::mem::take(&mut self.rest))),
        }
    }

    fn message(&mut self, mode: PopMode) -> Result<Option<Sga>> {
        if let Some(Begun::Record { record, from }) = self.begun {
            return self.part(record, from).map(|buf| Some(buf.into()));
        }
        for _ in 0..RECORDS_PER_LOOK {
            let Some(record) = self.ring.peek()? else { return Ok(None) };
            match record.kind {
                Kind::Whole if self.begun.is_none() && record.len <= self.longest => {
                    if mode == PopMode::InPlace {
                        if let Some(buf) = self.in_place(record)? {
                            return Ok(Some(buf.into()));
                        }
                        self.check_loans(record)?;
                    }
                    return self.copy(record).map(|buf| Some(buf.into()));
                }
                Kind::Whole if self.begun.is_none() && !self.datagrams => {
                    self.check_held()?;
                    self.consume(record);
                    return Err(TOO_LONG);
                }
                Kind::Empty if self.datagrams && self.begun.is_none() => {
                    return self.copy(record).map(|buf| Some(buf.into()));
                }
                Kind::Descriptors if self.begun.is_none() => return self.by_reference(record).map(Some),
                Kind::First | Kind::Next | Kind::Last if self.pieces => return self.piece(record).map(Some),
                Kind::Abort if self.pieces => self.consume(record),
                Kind::First if self.begun.is_none() => self.begin(record)?,
                Kind::Next => self.fill(record, false)?,
                Kind::Last => {
                    self.fill(record, true)?;
                    return match self.begun.take() {
                        Some(Begun::Message { buf, .. }) => Ok(Some(buf.into())),
                        _ => Err(TOO_LONG),
                    };
                }
                Kind::Abort if self.begun.is_some() => {
                    self.begun = None;
                    self.consume(record);
                }
                Kind::End if self.begun.is_none() => {
                    self.consume(record);
                    self.tell_all();
                    return Ok(Some(Sga::new()));
                }
                _ => return Err(BROKEN),
            }
        }
        Ok(None)
    }

    #[inline]
    fn consume(&mut self, record: Record) {
        if self.ring.consume(record) {
            self.bell.notify(CREDIT);
        }
    }

    #[cold]
    fn check_held(&self) -> Result<()> {
        if self.ring.release().has_room() { Ok(()) } else { Err(HELD) }
    }

    /// What fits no buffer can still be read in place once views of others are dropped.
    #[cold]
    fn check_loans(&self, record: Record) -> Result<()> {
        if self.loans.available() == 0 && !self.pieces && record.len > self.pools.longest() {
            return Err(HELD);
        }
        Ok(())
    }

    #[inline]
    fn copy(&mut self, record: Record) -> Result<Buf> {
        if !self.ring.release().is_idle() {
            self.check_held()?;
        }
        match self.pools.alloc_filled(record.len, |bytes| self.ring.read(0, bytes)) {
            Ok(buf) => {
                self.consume(record);
                Ok(buf)
            }
            Err(error) => self.not_copied(record, error),
        }
    }

    /// There was no buffer for the record; if there never will be, it must not stand in front of all others.
    #[cold]
    fn not_copied(&mut self, record: Record, error: Error) -> Result<Buf> {
        if record.len <= self.pools.longest() {
            Err(error)
        } else if self.pieces {
            self.part(record, 0)
        } else {
            self.consume(record);
            Err(TOO_LONG)
        }
    }

    /// The record as a buffer over the ring itself, unless it goes around the ring's end or too many are held.
    #[inline(always)]
    fn in_place(&mut self, record: Record) -> Result<Option<Buf>> {
        let (at, here) = self.ring.release().memory().span(self.ring.payload(), record.len);
        if here < record.len || !self.ring.release().has_room() || self.loans.available() == 0 {
            return Ok(None);
        }
        let token = self.ring.release().next_token();
        // SAFETY: `span` says that `len` bytes at `at` lie in the ring. The hook, which the pool keeps until the last
        // view is gone, keeps the mapping. The writer does not overwrite them before the token is released; a hostile
        // one may, and then the reader sees changing bytes, never memory outside the segment.
        let buf = unsafe { self.loans.loan(at, record.len as u32, token) }?;
        self.ring.hold(record);
        Ok(Some(buf))
    }

    fn by_reference(&mut self, record: Record) -> Result<Sga> {
        let mut bytes = [0; SGA_SEGMENTS_MAX * DESCRIPTOR];
        let bytes = bytes.get_mut(..record.len).ok_or(BROKEN)?;
        self.ring.read(0, bytes);
        let (descriptors, _) = bytes.as_chunks::<DESCRIPTOR>();
        for descriptor in descriptors {
            Descriptor::from_bytes(descriptor, self.arena.1)?;
        }
        self.check_held()?;
        if (self.loans.available() as usize) < descriptors.len() {
            return Err(HELD);
        }
        let mut message = Sga::new();
        for descriptor in descriptors {
            let descriptor = Descriptor::from_bytes(descriptor, self.arena.1)?;
            // SAFETY: `from_bytes` checked that the offset and the length lie in the arena, which lies in the mapping
            // (checked in `new`), which the hook keeps. What a hostile writer may do is as in `in_place`.
            let buf = unsafe {
                let at = self.arena.0.add(descriptor.offset as usize);
                self.loans.loan(at, descriptor.len, BY_REFERENCE | u64::from(descriptor.id))?
            };
            message.push_back(buf)?;
        }
        self.consume(record);
        // Dropped, it goes back to its sender.
        if message.len() > self.longest { Err(TOO_LONG) } else { Ok(message) }
    }

    fn begin(&mut self, record: Record) -> Result<()> {
        self.check_held()?;
        let mut total = [0; TOTAL];
        self.ring.read(0, &mut total);
        let total = usize::try_from(u64::from_le_bytes(total)).map_err(|_| BROKEN)?;
        let len = record.len - TOTAL;
        let most = if self.datagrams { DATAGRAM_MAX } else { MESSAGE_MAX };
        if total <= len || total > most {
            return Err(BROKEN);
        }
        self.begun = Some(if total > self.longest.min(self.pools.longest()) {
            Begun::TooLong { total, passed: len }
        } else {
            let mut buf = self.pools.alloc(total)?;
            let into = buf.get_mut().and_then(|bytes| bytes.get_mut(..len)).ok_or(BROKEN)?;
            self.ring.read(TOTAL, into);
            Begun::Message { buf, filled: len }
        });
        self.consume(record);
        Ok(())
    }

    fn fill(&mut self, record: Record, last: bool) -> Result<()> {
        self.check_held()?;
        let (total, done) = match &mut self.begun {
            Some(Begun::Message { buf, filled }) => (buf.len(), filled),
            Some(Begun::TooLong { total, passed }) => (*total, passed),
            Some(Begun::Record { .. }) | None => return Err(BROKEN),
        };
        let from = core::mem::replace(done, *done + record.len);
        let end = *done;
        if end > total || (end == total) != last {
            return Err(BROKEN);
        }
        if let Some(Begun::Message { buf, .. }) = &mut self.begun {
            let into = buf.get_mut().and_then(|bytes| bytes.get_mut(from..end)).ok_or(BROKEN)?;
            self.ring.read(0, into);
        }
        self.consume(record);
        Ok(())
    }
}
