// SPDX-License-Identifier: MIT OR Apache-2.0
//! [`Queue`]: what was pushed, from the first byte that is not acknowledged on, as the buffers that it was pushed in.
//!
//! What must always hold: the pieces lie behind each other without a gap, from no later than `start` up to `end`, and none is
//! empty. What leaves are further views of them, so that no byte is copied, and each byte can leave again.

use alloc::collections::VecDeque;

use runtime::buf::{Buf, SGA_SEGMENTS_MAX, Sga};
use runtime::{Errno, Error, Result};

use crate::limits::{TCP_SEND_PIECES_BY_BYTES, TCP_SEND_PIECES_KEPT, TCP_SEND_PIECES_MAX};
use crate::tcp::seq::Seq;

const BEYOND: Error = Error::new(Errno::INVAL, "beyond what was pushed");

/// Pieces of one segment; the others of an `Sga` are for headers.
const SEGMENT_PIECES: usize = SGA_SEGMENTS_MAX - 4;

/// A buffer of what was pushed.
#[derive(Debug)]
struct Piece {
    /// The number of its first byte.
    start: Seq,
    /// What it counts in [`Queue::held`].
    held: u32,
    buf: Buf,
}

/// What was pushed and is not acknowledged.
#[derive(Debug)]
pub struct Queue {
    pieces: VecDeque<Piece>,
    /// The number of the first byte that is not acknowledged.
    start: Seq,
    /// The number behind the last byte.
    end: Seq,
    /// Bytes of memory that the pieces keep from others: a short message in a long buffer holds all of it, unless it is one of the
    /// first, of which only the bytes count ([`TCP_SEND_PIECES_BY_BYTES`]).
    held: u32,
    /// What that may be.
    limit: u32,
}

impl Queue {
    /// An empty one, whose first byte will have this number.
    #[must_use]
    pub fn new(start: Seq, limit: usize) -> Self {
        let mut queue = Self { pieces: VecDeque::new(), start, end: start, held: 0, limit: 0 };
        queue.set_limit(limit);
        queue
    }

    /// How many bytes of memory it may hold; what is in it stays.
    pub fn set_limit(&mut self, limit: usize) {
        // Less than half of the circle of numbers may be under way.
        self.limit = limit.clamp(1, 1 << 30) as u32;
    }

    /// How many bytes of memory it may hold.
    #[must_use]
    pub const fn limit(&self) -> usize {
        self.limit as usize
    }

    /// The number behind the last byte: that of the FIN, once nothing more comes.
    #[inline]
    #[must_use]
    pub const fn end(&self) -> Seq {
        self.end
    }

    /// Bytes in it.
    #[inline]
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.end.since(self.start)
    }

    /// Whether everything is acknowledged.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether enough is free that whoever waits for room should try again.
    #[inline]
    #[must_use]
    pub fn is_roomy(&self) -> bool {
        self.held <= self.limit - self.limit / 4 && self.pieces.len() <= TCP_SEND_PIECES_MAX / 4 * 3
    }

    /// Takes the front of a message as far as there is room. What it leaves is to be pushed again.
    ///
    /// # Errors
    /// `ENOBUFS` if a buffer has to be split and the pool has no second view of it left.
    #[inline]
    pub fn push(&mut self, message: &mut Sga) -> Result<()> {
        while let Some(buf) = message.pop_front() {
            // Short messages in long blocks would go one by one where the bound is low, and each wait for an acknowledgment that the
            // peer holds back.
            let held = if self.pieces.len() < TCP_SEND_PIECES_BY_BYTES { buf.len() } else { held(&buf) };
            if self.held as usize + held > self.limit as usize || self.pieces.len() >= TCP_SEND_PIECES_MAX {
                return self.push_part(buf, message);
            }
            self.append(buf, held);
        }
        Ok(())
    }

    #[inline]
    fn append(&mut self, buf: Buf, held: usize) {
        let start = self.end;
        self.end += buf.len() as u32;
        if start != self.end {
            self.held += held as u32;
            if self.pieces.capacity() == 0 {
                self.begin();
            }
            self.pieces.push_back(Piece { start, held: held as u32, buf });
        }
    }

    /// Many connections never have more than one piece: the first place is one, and only then are there several.
    #[cold]
    fn begin(&mut self) {
        self.pieces.reserve_exact(1);
    }

    /// Takes the front of a buffer that does not fit as a whole, if there is room for much of it, and puts the rest back.
    #[cold]
    fn push_part(&mut self, mut buf: Buf, message: &mut Sga) -> Result<()> {
        let room = self.limit.saturating_sub(self.held) as usize;
        let mut result = Ok(());
        if room >= self.limit as usize / 4 && buf.len() > room && self.pieces.len() < TCP_SEND_PIECES_MAX {
            match buf.split_front(room) {
                Ok(front) => self.append(front, room),
                // What is in it will be acknowledged, and then there may be a view.
                Err(error) => result = if self.is_empty() { Err(error) } else { Ok(()) },
            }
        }
        // There was one segment more in it a moment ago.
        message.push_front(buf)?;
        result
    }

    /// Views of `len` bytes from `start` on; of fewer, if those lie in more pieces than a segment may have.
    ///
    /// # Errors
    /// `EINVAL` not all of it is here; `ENOBUFS` a pool's second views are used up.
    #[inline]
    pub fn slice(&self, start: Seq, len: u32) -> Result<Sga> {
        let last = self.pieces.back().ok_or(BEYOND)?;
        if !start.is_before(last.start) {
            // The usual case: what was pushed last has not left yet.
            return Ok(view(last, start, len)?.into());
        }
        self.slice_across(start, len)
    }

    /// The same as bytes, if they lie in the piece that was pushed last.
    #[inline(always)]
    #[must_use]
    pub fn piece(&self, start: Seq, len: u32) -> Option<&[u8]> {
        let last = self.pieces.back()?;
        let skip = start.0.wrapping_sub(last.start.0) as usize;
        last.buf.get(skip..skip.checked_add(len as usize)?)
    }

    fn slice_across(&self, start: Seq, len: u32) -> Result<Sga> {
        let first = self.pieces.partition_point(|piece| !piece.start.is_behind(start)).checked_sub(1).ok_or(BEYOND)?;
        let mut sga = Sga::new();
        let (mut at, end) = (start, start + len);
        for piece in self.pieces.iter().skip(first).take(SEGMENT_PIECES) {
            if !at.is_before(end) {
                break;
            }
            let buf = view(piece, at, end.since(at))?;
            at += buf.len() as u32;
            sga.push_back(buf)?;
        }
        Ok(sga)
    }

    /// Lets go of everything in front of `una`.
    #[inline]
    pub fn acknowledge(&mut self, una: Seq) {
        let una = una.min(self.end);
        if !una.is_behind(self.start) {
            return;
        }
        self.start = una;
        while let Some(front) = self.pieces.front() {
            if (front.start + front.buf.len() as u32).is_behind(una) {
                break;
            }
            self.held -= front.held;
            self.pieces.pop_front();
        }
    }

    /// How many buffers it holds.
    #[inline]
    #[must_use]
    pub fn buffers(&self) -> usize {
        self.pieces.len()
    }

    /// Gives memory back that a short queue does not need.
    pub fn trim(&mut self) {
        if self.holds_too_much() {
            self.pieces.shrink_to(TCP_SEND_PIECES_KEPT);
        }
    }

    /// Whether [`trim`](Self::trim) would do something.
    #[inline]
    #[must_use]
    pub fn holds_too_much(&self) -> bool {
        self.pieces.is_empty() && self.pieces.capacity() > TCP_SEND_PIECES_KEPT
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.pieces = VecDeque::new();
        self.held = 0;
        self.start = self.end;
    }
}

/// Bytes of memory that a buffer keeps from others, its share of the block if that has several views.
#[inline]
fn held(buf: &Buf) -> usize {
    let block = buf.offset() + buf.len() + buf.tailroom();
    match buf.ref_count() {
        1 => block,
        views => (block / views as usize).max(buf.len()),
    }
    .min(u32::MAX as usize)
}

/// At most `len` bytes of a piece from `start` on, which lies in it.
#[inline]
fn view(piece: &Piece, start: Seq, len: u32) -> Result<Buf> {
    let mut buf = piece.buf.view()?;
    let skip = start.since(piece.start) as usize;
    if skip > 0 {
        buf.trim_front(skip)?;
    }
    if buf.len() > len as usize {
        buf.truncate(len as usize)?;
    }
    Ok(buf)
}
