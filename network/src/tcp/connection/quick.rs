// SPDX-License-Identifier: MIT OR Apache-2.0
//! The short way of most segments of an open connection, in and out: the next data, or an acknowledgment in order, between
//! hosts that know RFC 7323, with nothing else in it: "header prediction", as V. Jacobson called it in 1990.
//!
//! What must always hold: this way does what the long one does, only sooner; whatever it does not expect it leaves as it was, for
//! the long one.

use runtime::buf::{Buf, Sga};
use runtime::time::Time;

use super::open::Open;
use super::stamps::Stamps;
use super::{Connection, Phase, State};
use crate::tcp::receive::Need;
use crate::tcp::send::{Offer, amount};
use crate::tcp::seq::Seq;
use crate::wire::Ecn;
use crate::wire::segment::Plain;
use crate::wire::tcp::Flags;

/// What an ordinary segment carries.
#[derive(Debug)]
pub(crate) enum Payload<'a> {
    /// Nothing, or a few bytes, which are copied sooner than a second view of them is made.
    Short(&'a [u8]),
    /// Views of what was pushed.
    Long(Sga),
}

impl Connection {
    /// Whether this is a segment for [`take_plain`](Self::take_plain), with so many bytes of payload.
    #[inline(always)]
    pub(crate) fn expects(&self, segment: &Plain, len: u32) -> bool {
        match &self.phase {
            Phase::Open(open) => open.expects(segment, len),
            Phase::Opening(_) => false,
        }
    }

    /// Takes a segment that was expected, and its payload, if there is one.
    #[inline(always)]
    pub(crate) fn take_plain(&mut self, segment: &Plain, payload: Option<Buf>, now: Time) {
        if let Phase::Open(open) = &mut self.phase {
            open.take_plain(segment, payload, now);
        }
    }

    /// The next segment, if it is an ordinary one: what its header says, whether routers may mark it,
    /// whether there may be more behind it, and what it carries. Payloads up to `short` are given as
    /// bytes. `alone`: it is ordinary only if nothing waits behind it.
    #[inline(always)]
    pub(crate) fn transmit_plain(
        &mut self,
        short: u32,
        alone: bool,
        now: Time,
    ) -> Option<(Plain, Ecn, bool, Payload<'_>)> {
        match &mut self.phase {
            Phase::Open(open) => open.transmit_plain(short, alone, now),
            Phase::Opening(_) => None,
        }
    }
}

impl Open {
    #[inline(always)]
    fn expects(&self, segment: &Plain, len: u32) -> bool {
        let Some(stamps) = &self.stamps else { return false };
        let (una, next) = (self.recovery.una(), self.recovery.next());
        let acked = segment.acknowledgment.wrapping_sub(una.0);
        self.state == State::Established
            // RFC 7323 section 5.3, R1, and RFC 9293 section 3.4.
            && segment.clocks.value.wrapping_sub(stamps.recent).cast_signed() >= 0
            && segment.sequence == self.receiver.next().0
            && acked <= next.0.wrapping_sub(una.0)
            && (acked == 0 || self.recovery.is_calm())
            && if len == 0 { acked > 0 } else { self.receiver.expects(len) && self.ecn.is_quiet() }
            && self.orphan.is_none()
            && self.timers.asks_nothing()
    }

    #[inline(always)]
    fn take_plain(&mut self, segment: &Plain, payload: Option<Buf>, now: Time) {
        let (seq, ack) = (Seq(segment.sequence), Seq(segment.acknowledgment));
        self.counts.segments_received = self.counts.segments_received.wrapping_add(1);
        self.heard = now;
        self.keep_alive.sent = 0;
        if let Some(stamps) = &mut self.stamps
            && !seq.is_behind(self.acknowledged)
        {
            // RFC 7323 section 4.3.
            stamps.recent = segment.clocks.value;
        }
        self.window.update(seq, ack, segment.window);
        let acked = ack.since(self.recovery.una());
        if acked > 0 {
            let stamps = self.stamps;
            let measure = || stamps?.measure(segment.clocks.echo, now).map(|(rtt, _)| rtt);
            self.recovery.acknowledged_plain(ack, measure, now);
            self.acknowledged_some(acked, now);
        }
        if let Some(payload) = payload {
            self.counts.bytes_received += payload.len() as u64;
            self.news.readable = true;
            self.receiver.take_plain(payload, now);
        }
        self.stirred |= self.has_unsent() || self.receiver.acknowledge(now) == Need::Now;
    }

    #[inline(always)]
    fn transmit_plain(&mut self, short: u32, alone: bool, now: Time) -> Option<(Plain, Ecn, bool, Payload<'_>)> {
        let (una, next) = (self.recovery.una(), self.recovery.next());
        let waiting = self.queue.end().since(next);
        let is_ordinary = self.due.is_nothing()
            && self.state.may_push()
            && self.ecn.says_nothing()
            && !self.receiver.has_sack()
            && self.completions.is_none()
            && self.recovery.is_calm()
            && self.timers.asks_nothing()
            && !(self.timers.is_search_due(now) && waiting > self.mss.payload());
        let stamps = self.stamps.filter(|_| is_ordinary)?;
        if waiting == 0 {
            if self.receiver.acknowledge(now) != Need::Now {
                return None;
            }
            self.recovery.limited();
            self.stirred = false;
            return Some((self.header(next, stamps, Flags::ACK, now), Ecn::NotCapable, false, Payload::Short(&[])));
        }
        let (segment, room, idle) = (self.mss.payload(), self.recovery.room_in_order(), una == next);
        let len = amount(&Offer {
            waiting,
            window: (una + self.window.size()).since(next),
            largest: self.window.largest(),
            room,
            segment,
            most: 0,
            eager: self.no_delay,
            small: self.has_small_under_way(una, next),
            idle,
        });
        let is_last = len == waiting;
        if len == 0 || (alone && !is_last) {
            return None;
        }
        // Whether there is a view shows before anything is said to have left.
        let views = if len <= short && self.queue.piece(next, len).is_some() {
            None
        } else {
            Some(self.queue.slice(next, len).ok().filter(|views| views.len() == len as usize)?)
        };
        if len < segment {
            self.small = next + len;
        }
        if idle {
            self.progress = now;
        }
        self.recovery.sent_in_order(next + len, room, is_last, now);
        // RFC 9293 section 3.9.1.2.
        let flags = if is_last { Flags::ACK | Flags::PSH } else { Flags::ACK };
        let header = self.header(next, stamps, flags, now);
        self.stirred = !is_last;
        // Data that leave for the first time.
        let ecn = if self.ecn.on { Ecn::Capable0 } else { Ecn::NotCapable };
        let payload = match views {
            None => Payload::Short(self.queue.piece(next, len).unwrap_or_default()),
            Some(views) => Payload::Long(views),
        };
        Some((header, ecn, !is_last, payload))
    }

    /// What every segment says.
    #[inline(always)]
    fn header(&mut self, sequence: Seq, stamps: Stamps, flags: Flags, now: Time) -> Plain {
        let ack = self.receiver.next();
        let window = (self.receiver.window() >> self.shifts.0).min(u32::from(u16::MAX)) as u16;
        self.receiver.acknowledged(now);
        self.acknowledged = ack;
        self.offered = window;
        self.counts.segments_sent = self.counts.segments_sent.wrapping_add(1);
        Plain { sequence: sequence.0, acknowledgment: ack.0, flags, window, clocks: stamps.now(now) }
    }
}
