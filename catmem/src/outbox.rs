// SPDX-License-Identifier: MIT OR Apache-2.0
//! The writing half of a pipe: messages into records.
//!
//! A message goes as one record if it fits, by reference if all of it lies in the arena, else in pieces. A message that
//! is given up half way is ended with an abort record, for which the ring always has room.

use crate::arena::Outgoing;
use crate::ring::producer::RESERVE;
use crate::ring::record::{DESCRIPTOR, HEADER, TOTAL};
use crate::ring::{Kind, Producer, SharedMemory};
use core::task::Poll;
use runtime::buf::{Buf, SGA_SEGMENTS_MAX, Sga};
use runtime::{Errno, Error, Result};

/// Messages in arena memory up to this length are copied into the ring all the same: it is cheaper.
const COPY_MAX: usize = 256;

/// The writing half.
pub struct Outbox {
    ring: Producer<SharedMemory>,
    arena: Outgoing,
    /// Bytes of the current message that are published, if it goes in pieces.
    sent: usize,
    /// Its length in all; 0 if no message is under way.
    total: usize,
    max_message: usize,
    /// The longest message that goes as one record.
    single_max: usize,
    blocked: Blocked,
}

/// What the last push did not find enough of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blocked {
    No,
    /// Room in the ring for a record with so many bytes of payload.
    Room(usize),
    /// So many free ids for segments by reference.
    Ids(usize),
    /// Everything, the end included, read by the peer.
    Drain,
}

impl Outbox {
    /// The writing half over these.
    pub fn new(ring: Producer<SharedMemory>, arena: Outgoing, max_message: usize) -> Self {
        let single_max = ring.record_max().min(max_message);
        Self { ring, arena, sent: 0, total: 0, max_message, single_max, blocked: Blocked::No }
    }

    /// Memory that can be handed over without a copy.
    ///
    /// # Errors
    /// As [`Outgoing::alloc`].
    pub fn alloc(&mut self, len: usize) -> Result<Buf> {
        self.arena.alloc(len)
    }

    /// Publishes the message, or as much of it as there is room for.
    #[inline]
    pub fn push(&mut self, message: &mut Sga) -> Poll<Result<()>> {
        // The usual case: one segment of private memory that fits into one record.
        if let Some(buf) = message.as_single()
            && buf.len() <= self.single_max
            && (buf.len() <= COPY_MAX || !self.arena.owns(buf))
        {
            return match self.push_bytes(buf) {
                Ok(true) => Poll::Ready(Ok(())),
                Ok(false) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            };
        }
        match self.push_other(message) {
            Ok(true) => Poll::Ready(Ok(())),
            Ok(false) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// As [`push_bytes`](Self::push_bytes), and asks nothing but that; whoever is told no asks again there.
    #[inline(always)]
    pub fn push_now(&mut self, bytes: &[u8]) -> bool {
        bytes.len() <= self.single_max && self.ring.put_now(bytes)
    }

    /// Publishes the bytes as one record, if they fit into one and there is room. True if so.
    ///
    /// # Errors
    /// As [`Producer::room`].
    #[inline(always)]
    pub fn push_bytes(&mut self, bytes: &[u8]) -> Result<bool> {
        if bytes.len() > self.single_max {
            return Ok(false);
        }
        if !self.ring.room(bytes.len(), RESERVE)? {
            self.blocked = Blocked::Room(bytes.len());
            return Ok(false);
        }
        self.ring.put_whole(bytes);
        Ok(true)
    }

    /// Publishes a message without a byte, if there is room.
    pub fn push_empty(&mut self) -> Poll<Result<()>> {
        match self.room(0) {
            Ok(true) => {
                self.ring.put(Kind::Empty, 0, core::iter::empty());
                Poll::Ready(Ok(()))
            }
            Ok(false) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn push_other(&mut self, message: &mut Sga) -> Result<bool> {
        let len = message.len();
        if len > self.max_message {
            return Err(Error::new(Errno::MSGSIZE, "the message is longer than catmem.max_message"));
        }
        if self.total == 0 && len > COPY_MAX && message.iter().all(|buf| !buf.is_empty() && self.arena.owns(buf)) {
            return self.push_by_reference(message);
        }
        if len <= self.single_max {
            if !self.room(len)? {
                return Ok(false);
            }
            self.ring.put(Kind::Whole, len, message.iter().map(|buf| &buf[..]));
            return Ok(true);
        }
        self.push_pieces(message, len)
    }

    /// Whether there is room for a data record, and what is missing if not.
    fn room(&mut self, len: usize) -> Result<bool> {
        let room = self.ring.room(len, RESERVE)?;
        if !room {
            self.blocked = Blocked::Room(len);
        }
        Ok(room)
    }

    fn push_by_reference(&mut self, message: &mut Sga) -> Result<bool> {
        let segments = message.segments();
        let len = segments * DESCRIPTOR;
        if segments > self.arena.available()? {
            self.blocked = Blocked::Ids(segments);
            return Ok(false);
        }
        if !self.room(len)? {
            return Ok(false);
        }
        let mut record = [0_u8; SGA_SEGMENTS_MAX * DESCRIPTOR];
        let mut used = 0;
        while let Some(buf) = message.pop_front() {
            // `available` said that there is an id for each segment, and an Sga has at most SGA_SEGMENTS_MAX.
            let Some(descriptor) = self.arena.lend(buf) else { break };
            record[used..used + DESCRIPTOR].copy_from_slice(&descriptor.to_bytes());
            used += DESCRIPTOR;
        }
        self.ring.put(Kind::Descriptors, used, core::iter::once(&record[..used]));
        Ok(true)
    }

    fn push_pieces(&mut self, message: &Sga, total: usize) -> Result<bool> {
        loop {
            let first = self.total == 0;
            let lead = if first { TOTAL } else { 0 };
            let rest = total - self.sent;
            let len = rest.min(self.ring.piece() - lead);
            if !self.room(lead + len)? {
                return Ok(false);
            }
            let parts = range(message, self.sent, len);
            if first {
                self.ring.put_first(total as u64, len, parts);
                self.total = total;
            } else {
                self.ring.put(if len == rest { Kind::Last } else { Kind::Next }, len, parts);
            }
            self.sent += len;
            if self.sent == total {
                (self.sent, self.total) = (0, 0);
                return Ok(true);
            }
        }
    }

    /// The message under way, if any, will not be finished.
    pub fn abandon(&mut self) {
        if self.total != 0 {
            (self.sent, self.total) = (0, 0);
            self.put_empty(Kind::Abort);
        }
    }

    /// Publishes the end of the stream.
    pub fn end(&mut self) {
        self.put_empty(Kind::End);
    }

    /// A record without payload: every data record has left room for an abort and an end behind it ([`RESERVE`]).
    fn put_empty(&mut self, kind: Kind) {
        debug_assert!(matches!(self.ring.room(0, HEADER), Ok(true) | Err(_)));
        self.ring.put(kind, 0, core::iter::empty());
    }

    /// Whether the peer has read all that was published. If not, that is what [`has_news`](Self::has_news) asks from now on.
    ///
    /// # Errors
    /// `EPROTO` if the peer gave back what it never had.
    pub fn drained(&mut self) -> Result<bool> {
        self.blocked = Blocked::Drain;
        self.ring.is_drained()
    }

    /// Whether there is now what the last push lacked. Asking changes nothing: the answer stays until a push is tried.
    ///
    /// # Errors
    /// `EPROTO` if the peer gave back what it never had.
    pub fn has_news(&mut self) -> Result<bool> {
        match self.blocked {
            Blocked::No => Ok(true),
            Blocked::Room(len) => self.ring.room(len, RESERVE),
            Blocked::Ids(count) => Ok(self.arena.available()? >= count),
            Blocked::Drain => self.ring.is_drained(),
        }
    }
}

/// The bytes `from .. from + len` of a message, segment by segment.
fn range(message: &Sga, from: usize, len: usize) -> impl Iterator<Item = &[u8]> {
    let mut skip = from;
    let mut left = len;
    message.iter().filter_map(move |buf| {
        let start = skip.min(buf.len());
        skip -= start;
        let take = (buf.len() - start).min(left);
        left -= take;
        (take != 0).then(|| &buf[start..start + take])
    })
}

const _: () = assert!(RESERVE == 3 * HEADER);
