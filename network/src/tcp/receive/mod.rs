// SPDX-License-Identifier: MIT OR Apache-2.0
//! Receiving: what has come in order waits to be popped, what has come early waits for what is missing, and the window, the
//! acknowledgments and the SACK blocks say so to the peer.
//!
//! What must always hold:
//!
//! - What is popped is the stream: every byte once, in order, and no byte behind the FIN.
//! - The window's right edge never moves left (RFC 9293 section 3.8.6).
//! - What is held is bounded in bytes of memory, not of payload, and in ranges; what exceeds that is dropped, that which is
//!   farthest ahead first, and the next bytes of the stream last.
//! - An idle connection holds no memory here beyond the [`Receiver`] itself.

mod assembler;
mod delay;
mod sack;
mod sparse;
mod tuning;
mod window;

#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use core::time::Duration;

use runtime::Result;
use runtime::buf::{Buf, Chain, Sga};
use runtime::time::Time;

use self::assembler::{Assembler, Put, Twice};
use self::delay::Delay;
use self::sack::Recent;
use self::tuning::Tuning;
use self::window::{Window, bounded};
use super::seq::Seq;
use super::settings::Settings;
use crate::limits::{RECEIVE_BUFFER_RANGE, TCP_MEMORY_FACTOR, TCP_SPARSE_MEMORY};
use crate::wire::tcp::SackBlock;

pub use sack::SackBlocks;
pub use window::{initial_window, window_scale};

/// What became of a segment's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// They are next in the stream, or fill a hole, or are its end.
    InOrder {
        /// Bytes that can be popped now and could not before; the FIN counts none.
        bytes: u32,
    },
    /// They wait for what is missing in front of them.
    OutOfOrder,
    /// All of them were here already.
    Duplicate,
    /// They are outside of the window, behind the FIN, or there is no memory for them.
    Refused,
}

/// Whether an acknowledgment is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Everything was acknowledged.
    Nothing,
    /// Then at the latest.
    At(Time),
    /// At once.
    Now,
}

/// What has come early.
#[derive(Debug, Default)]
struct Disorder {
    assembler: Assembler,
    recent: Recent,
}

/// The receiving half of a connection.
#[derive(Debug)]
pub struct Receiver {
    /// RCV.NXT.
    next: Seq,
    window: Window,
    delay: Delay,
    /// What can be popped.
    queue: Chain,
    /// There only while a hole is.
    disorder: Option<Box<Disorder>>,
    tuning: Tuning,
    /// What came twice, until it was told.
    twice: Option<SackBlock>,
    /// The FIN's number, once [it has come](Self::end).
    fin: Seq,
    /// Whether the FIN has come, be it early.
    has_fin: bool,
    /// Whether `next` is behind the FIN.
    ended: bool,
}

impl Receiver {
    /// For a stream whose first byte has the number `next`, behind the peer's SYN. `scale`: what this host's windows are shifted
    /// by, 0 if that was not agreed; `mss`: the longest payload that the peer may send.
    #[must_use]
    pub fn new(settings: &Settings, next: Seq, scale: u8, mss: u32, now: Time) -> Self {
        Self {
            next,
            window: Window::new(settings, next, scale, mss),
            delay: Delay::new(settings, mss),
            queue: Chain::new(),
            disorder: None,
            tuning: Tuning::new(settings, next, now),
            twice: None,
            fin: next,
            has_fin: false,
            ended: false,
        }
    }

    /// What came with the peer's SYN can be popped; RCV.NXT is behind it already.
    pub fn begin_with(&mut self, data: Sga) {
        if !data.is_empty() {
            self.window.settled = false;
            self.queue.push_message(data);
        }
    }

    /// The FIN's number, once it has come, be it early.
    #[inline]
    const fn end(&self) -> Option<Seq> {
        if self.has_fin { Some(self.fin) } else { None }
    }

    /// What is expected next (RCV.NXT), behind the FIN once that has come in order.
    #[inline]
    #[must_use]
    pub const fn next(&self) -> Seq {
        self.next
    }

    /// Whether a segment of this length in sequence space touches the window, as far as that was offered (RFC 9293 section
    /// 3.4).
    ///
    /// Two that the table there refuses are let in, for their acknowledgments: one at RCV.NXT while the window is zero, whose
    /// bytes [`take`](Self::take) then refuses; and an empty one just behind the window, which is where a peer speaks from
    /// that has filled it and lost a segment.
    #[inline]
    #[must_use]
    pub const fn is_acceptable(&self, seq: Seq, len: u32) -> bool {
        seq.0 == self.next.0 || self.touches(seq, len)
    }

    const fn touches(&self, seq: Seq, len: u32) -> bool {
        let left = self.window.left(self.next);
        // Distances on the circle; one that lies behind RCV.NXT is more than half of it.
        let (start, end) = (seq.0.wrapping_sub(self.next.0), seq.0.wrapping_add(len).wrapping_sub(self.next.0));
        if start <= left {
            return len == 0 || start < left;
        }
        len > 0 && start > i32::MAX as u32 && end.wrapping_sub(1) <= i32::MAX as u32
    }

    /// A segment was not [acceptable](Self::is_acceptable): the peer is told so at once (RFC 9293 section 3.10.7.4), and what of
    /// it had come before (RFC 2883 section 4).
    #[cold]
    pub fn unacceptable(&mut self, seq: Seq, len: u32) {
        self.note_twice(Some((seq, seq + self.next.since(seq).min(len))));
        self.delay.at_once();
    }

    /// The window to offer in bytes, a multiple of what the scale can express, and remembers that it was.
    #[inline]
    pub fn window(&mut self) -> u32 {
        match self.window.offered(self.next) {
            Some(offered) => offered,
            None => self.window.offer(self.next, self.queue.len(), self.memory()),
        }
    }

    /// Takes in what a segment carries from `seq` on; `fin`: its end is the stream's; `ce`: a router has marked it.
    #[inline]
    pub fn take(&mut self, seq: Seq, payload: Sga, fin: bool, ce: bool, now: Time) -> Taken {
        let len = payload.len() as u32;
        self.window.settled = false;
        if seq == self.next && !fin && self.expects(len) {
            self.queue.push_message(payload);
            self.next += len;
            self.delay.in_order(len, ce, now);
            return Taken::InOrder { bytes: len };
        }
        self.take_slowly(seq, Chain::from(payload), fin, ce, now)
    }

    /// Whether so many bytes, next in the stream, are for [`take_plain`](Self::take_plain).
    #[inline]
    #[must_use]
    pub const fn expects(&self, len: u32) -> bool {
        len.wrapping_sub(1) < self.window.left(self.next)
            && self.disorder.is_none()
            && !self.has_fin
            && !sparse::is_sparse(&self.queue)
    }

    /// Takes in the next bytes of the stream, which are expected.
    #[inline]
    pub fn take_plain(&mut self, payload: Buf, now: Time) {
        let len = payload.len() as u32;
        self.window.settled = false;
        self.queue.push_back(payload);
        self.next += len;
        self.delay.in_order(len, false, now);
    }

    /// Takes in a segment that is anything but the next one.
    #[inline(never)]
    fn take_slowly(&mut self, mut seq: Seq, mut data: Chain, mut fin: bool, ce: bool, now: Time) -> Taken {
        let is_plain = self.disorder.is_none();
        let mut end = seq + data.len() as u32;
        let old = self.next.since(seq).min(data.len() as u32 + u32::from(fin));
        let mut twice = None;
        if old > 0 {
            // What lies in front of RCV.NXT has come before.
            twice = Some((seq, seq + old));
            data.trim_front(old as usize);
            seq += old;
            if !seq.is_before(end + u32::from(fin)) {
                self.note_twice(twice);
                self.delay.disorder(ce);
                return Taken::Duplicate;
            }
        }
        // Nothing is taken from beyond the window, nor from behind the stream's end.
        let edge = self.next + self.window.left(self.next);
        let limit = self.end().map_or(edge, |end| end.min(edge));
        if end.is_behind(limit) {
            fin = false;
            data.truncate(limit.since(seq) as usize);
            end = seq.max(limit);
        }
        fin = fin && self.end_at(end);
        let len = data.len() as u32;
        let taken = match (len, seq == self.next) {
            (0, _) if !fin => Taken::Refused,
            (0, true) => Taken::InOrder { bytes: 0 },
            (0, false) => Taken::OutOfOrder,
            (_, true) => self.take_next(data, end, &mut twice),
            (_, false) => self.take_early(seq, data, &mut twice),
        };
        if self.end() == Some(self.next) && !self.ended {
            self.next += 1;
            self.ended = true;
        }
        if self.disorder.as_ref().is_some_and(|disorder| disorder.assembler.is_empty()) {
            self.disorder = None;
        }
        self.note_twice(twice);
        match taken {
            Taken::InOrder { .. } if is_plain && old == 0 && !self.ended => self.delay.in_order(len, ce, now),
            _ => self.delay.disorder(ce),
        }
        taken
    }

    /// The next bytes of the stream, up to `end`, and what they reach of those that came early.
    fn take_next(&mut self, mut data: Chain, end: Seq, twice: &mut Twice) -> Taken {
        let (most, held) = (self.memory_max(), self.queue.memory() + data.memory());
        if let Some(disorder) = &mut self.disorder {
            disorder.assembler.shrink(most.saturating_sub(held));
        }
        if held > most && !self.queue.is_empty() {
            // All that came early is gone; what is left is not popped.
            if !sparse::copy_behind(&mut self.queue, &data) {
                return Taken::Refused;
            }
            data = Chain::new();
        }
        let mut reached = end;
        if let Some(disorder) = &mut self.disorder {
            let (further, again) = disorder.assembler.join(&mut data, end);
            reached = further;
            *twice = twice.or(again);
        }
        sparse::attach(&mut self.queue, data);
        let bytes = reached.since(self.next);
        self.next = reached;
        Taken::InOrder { bytes }
    }

    /// Bytes with a hole in front of them.
    fn take_early(&mut self, seq: Seq, data: Chain, twice: &mut Twice) -> Taken {
        let room = self.memory_max().saturating_sub(self.memory());
        let disorder = self.disorder.get_or_insert_default();
        let (put, again) = disorder.assembler.put(seq, data, room);
        disorder.recent.touch(seq, &disorder.assembler);
        *twice = twice.or(again);
        match put {
            Put::Held => Taken::OutOfOrder,
            Put::Duplicate => Taken::Duplicate,
            Put::Refused => Taken::Refused,
        }
    }

    /// The stream is said to end in front of this number; false if that cannot be. What was held from behind it goes.
    fn end_at(&mut self, end: Seq) -> bool {
        if let Some(known) = self.end() {
            return known == end;
        }
        if end.is_before(self.next) {
            return false;
        }
        (self.fin, self.has_fin) = (end, true);
        if let Some(disorder) = &mut self.disorder {
            disorder.assembler.end_at(end);
        }
        true
    }

    fn note_twice(&mut self, twice: Twice) {
        if let Some((start, end)) = twice.filter(|(start, end)| start != end) {
            self.twice = Some(SackBlock { start: start.0, end: end.0 });
        }
    }

    /// Gives out what has come in order, as it lies there: as many buffers as one message may have, and no more than `at_most`
    /// bytes. `None`: nothing is there. `rtt` is the smoothed round trip, by which the buffer grows; zero if it was not measured.
    ///
    /// # Errors
    /// `ENOBUFS` if a buffer is longer than `at_most` and the pool has no second view of it left. Nothing is lost.
    #[inline]
    pub fn pop(&mut self, at_most: Option<usize>, rtt: impl Fn() -> Duration, now: Time) -> Result<Option<Sga>> {
        if self.queue.is_empty() {
            return Ok(None);
        }
        self.window.settled = false;
        let before = self.queue.len();
        let popped = match at_most {
            None => self.queue.pop(),
            Some(most) => self.queue.pop_bytes(most)?,
        };
        let edge = self.next + self.window.left(self.next);
        let bytes = before - self.queue.len();
        if let Some(buffer) = self.tuning.popped(bytes, self.next, edge, self.window.mss(), rtt, now) {
            self.window.buffer = self.window.buffer.max(buffer);
        }
        if !self.window.is_plenty(self.next)
            && !self.has_fin
            && self.window.is_worth_telling(self.next, self.queue.len(), self.memory())
        {
            self.delay.at_once();
        }
        Ok(Some(popped))
    }

    /// Whether nothing can be popped.
    #[inline]
    #[must_use]
    pub const fn is_dry(&self) -> bool {
        self.queue.is_empty()
    }

    /// Bytes that can be popped.
    #[inline]
    #[must_use]
    pub const fn readable(&self) -> usize {
        self.queue.len()
    }

    /// Whether the FIN has come, and everything in front of it.
    #[inline]
    #[must_use]
    pub const fn has_end(&self) -> bool {
        self.ended
    }

    /// Whether something came behind what is missing.
    #[inline]
    #[must_use]
    pub const fn has_hole(&self) -> bool {
        self.disorder.is_some()
    }

    /// Whether there is something to acknowledge selectively.
    #[inline]
    #[must_use]
    pub const fn has_sack(&self) -> bool {
        self.disorder.is_some() || self.twice.is_some()
    }

    /// What to acknowledge selectively in the segment that is being made, at most so many blocks: first what came twice, once
    /// (RFC 2883), then what is held, the most recent first (RFC 2018 section 4). None with `room` 0, as where it was not
    /// agreed.
    #[inline]
    pub fn sack(&mut self, room: usize) -> SackBlocks {
        let mut blocks = SackBlocks::new();
        if self.disorder.is_some() || self.twice.is_some() {
            self.fill(room, &mut blocks);
        }
        blocks
    }

    #[cold]
    fn fill(&mut self, room: usize, blocks: &mut SackBlocks) {
        if room > 0
            && let Some(twice) = self.twice.take()
        {
            blocks.push(twice);
        }
        if let Some(disorder) = &self.disorder {
            disorder.recent.blocks(&disorder.assembler, self.end(), room, blocks);
        }
    }

    /// Until when something is to be told to the peer; [`Time::MAX`]: there is nothing.
    #[inline]
    #[must_use]
    pub const fn due(&self) -> Time {
        self.delay.due()
    }

    /// Whether there is something to tell the peer.
    #[inline]
    #[must_use]
    pub fn acknowledge(&self, now: Time) -> Need {
        self.delay.need(now)
    }

    /// A segment has left that acknowledges [`next`](Self::next) and offers [`window`](Self::window).
    #[inline]
    pub const fn acknowledged(&mut self, _now: Time) {
        self.delay.sent();
        self.twice = None;
    }

    /// The next acknowledgment waits no longer.
    #[inline]
    pub const fn acknowledge_now(&mut self) {
        self.delay.at_once();
    }

    /// Whatever the receive buffer is to be, there is memory for no more than this. The scale of the window stays.
    pub fn set_room(&mut self, bytes: usize) {
        let room = bounded(bytes);
        self.window.settled = false;
        self.window.buffer = self.window.buffer.min(room);
        self.tuning.bound(room);
    }

    /// Sets the receive buffer, which from then on does not grow by itself (`SO_RCVBUF`).
    pub fn set_buffer(&mut self, bytes: usize) {
        let (least, most) = RECEIVE_BUFFER_RANGE;
        self.window.settled = false;
        self.window.buffer = bounded(bytes.clamp(least, most));
        self.tuning.stop();
    }

    /// What the receive buffer is now, in bytes.
    #[must_use]
    pub const fn buffer(&self) -> usize {
        self.window.buffer as usize
    }

    /// Bytes of the blocks that lie here, which is more than can be popped.
    #[inline]
    #[must_use]
    pub fn memory(&self) -> usize {
        self.queue.memory() + self.disorder.as_ref().map_or(0, |disorder| disorder.assembler.memory())
    }

    /// How much of that there may be, beyond which segments are dropped; one more is taken where nothing waits.
    #[must_use]
    pub const fn memory_max(&self) -> usize {
        self.window.buffer as usize * TCP_MEMORY_FACTOR + TCP_SPARSE_MEMORY
    }

    /// How many buffers lie here.
    #[inline]
    #[must_use]
    pub fn segments(&self) -> usize {
        self.queue.segments() + self.disorder.as_ref().map_or(0, |disorder| disorder.assembler.segments())
    }
}
