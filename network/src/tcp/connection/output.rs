// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an open connection sends: an RST, what is lost, new data, probes, and acknowledgments for which nothing else leaves
//! (RFC 9293 section 3.8).
//!
//! What must always hold: new data lie inside of the peer's window and of what recovery lets out; each segment but the RST says
//! what is expected next and how much of it.

use core::time::Duration;

use runtime::Result;
use runtime::buf::Sga;
use runtime::time::Time;

use super::open::{Due, Open};
use super::probing::Turn;
use super::{Limit, State};
use crate::tcp::receive::Need;
use crate::tcp::segment::Outgoing;
use crate::tcp::send::{Offer, amount};
use crate::tcp::seq::Seq;
use crate::wire::Ecn;
use crate::wire::tcp::{Flags, Options, SackBlock};

/// How long to wait for a view of a buffer when there is none.
const SCARCE: Duration = Duration::from_millis(1);
/// Bytes that selective acknowledgments take beside the blocks themselves.
const SACK_HEAD: usize = 4;

impl Open {
    /// The next segment to send, if there is one.
    #[inline]
    pub fn transmit(&mut self, limit: Limit, now: Time) -> Option<Outgoing> {
        if !self.stirred {
            return None;
        }
        if !self.due.is_nothing()
            && let Some(segment) = self.transmit_due(limit, now)
        {
            return Some(segment);
        }
        if self.state != State::Closed {
            if let Some((start, end)) = self.recovery.lost()
                && let Some(segment) = self.again(start, end, now)
            {
                return Some(segment);
            }
            if let Some(segment) = self.new_data(limit, now) {
                return Some(segment);
            }
            // RFC 5682 section 2.1, step 2b: that nothing new could leave may have ended the test, and what is lost leaves then.
            if let Some((start, end)) = self.recovery.lost()
                && let Some(segment) = self.again(start, end, now)
            {
                return Some(segment);
            }
            if self.due.take(Due::ANSWER) || matches!(self.receiver.acknowledge(now), Need::Now) {
                return Some(self.bare(self.recovery.next(), Flags::ACK, now));
            }
        }
        self.stirred = false;
        None
    }

    /// What is to leave beside data.
    #[cold]
    fn transmit_due(&mut self, limit: Limit, now: Time) -> Option<Outgoing> {
        if self.due.take(Due::RESET) {
            self.due = Due::default();
            // RFC 9293 section 3.10.5.
            return Some(Outgoing { window: 0, ..self.bare(self.recovery.next(), Flags::RST | Flags::ACK, now) });
        }
        if self.state == State::Closed {
            return None;
        }
        if self.due.take(Due::EARLY) {
            let mut segment = self.bare(self.recovery.next(), Flags::ACK, now);
            segment.ack = self.early;
            // The same right edge, seen from there.
            let more = self.receiver.next().since(self.early) >> self.shifts.0;
            segment.window = segment.window.saturating_add(more.min(u32::from(u16::MAX)) as u16);
            segment.flags = Flags::ACK | self.ecn.echo_before();
            // What came since is still to be acknowledged.
            self.receiver.acknowledge_now();
            return Some(segment);
        }
        if self.due.take(Due::TAIL)
            && let Some(segment) = self.tail(limit, now)
        {
            return Some(segment);
        }
        if self.due.take(Due::WINDOW)
            && let Some(segment) = self.window_probe(limit, now)
        {
            return Some(segment);
        }
        // RFC 9293 section 3.8.4: an old number, so that the peer has to answer.
        self.due.take(Due::KEEP_ALIVE).then(|| self.bare(self.recovery.next() - 1, Flags::ACK, now))
    }

    /// New data, and the FIN behind them.
    #[inline]
    fn new_data(&mut self, limit: Limit, now: Time) -> Option<Outgoing> {
        let waiting = self.queue.end().since(self.recovery.next());
        if waiting == 0 && !(self.fin && self.has_unsent()) {
            self.recovery.limited();
            return None;
        }
        if let Some(at) = self.recovery.ready_at(now) {
            self.timers.resume = at;
            return None;
        }
        if self.timers.is_search_due(now) {
            match self.probe_path(waiting, limit, now) {
                Turn::Leaves(segment) => return Some(segment),
                Turn::Waits => return None,
                Turn::Passes => {}
            }
        }
        let offer = self.offer(waiting, limit);
        let len = amount(&offer);
        if len == 0 && (waiting > 0 || offer.window == 0) {
            if offer.idle && offer.window < waiting.max(1) && offer.window < offer.segment {
                self.arm_persist(now);
            }
            if offer.room >= waiting.min(offer.segment) {
                self.recovery.limited();
            }
            return None;
        }
        self.fresh(len, &offer, now)
    }

    /// Whether a segment is under way that was not full (RFC 9293 section 3.7.4). The place of one that was sent 2 GiB ago seems to lie ahead.
    #[inline]
    pub(super) const fn has_small_under_way(&self, una: Seq, next: Seq) -> bool {
        // One comparison: from `una` on the circle it lies before `next`, or there.
        self.small.0.wrapping_sub(una.0).wrapping_sub(1) < next.0.wrapping_sub(una.0)
    }

    #[inline]
    pub(super) fn offer(&self, waiting: u32, limit: Limit) -> Offer {
        let (una, next) = (self.recovery.una(), self.recovery.next());
        Offer {
            waiting,
            window: (una + self.window.size()).since(next),
            largest: self.window.largest(),
            room: self.recovery.room(),
            segment: self.mss.payload(),
            most: limit.most,
            // Who waits for room has no company to give, as on Linux.
            eager: self.no_delay || self.fin || (self.awaits_room && !self.queue.is_roomy()),
            small: self.has_small_under_way(una, next),
            idle: self.recovery.is_idle(),
        }
    }

    /// Sends `len` bytes that have not left yet, and the FIN if it is next then.
    #[inline]
    pub(super) fn fresh(&mut self, len: u32, offer: &Offer, now: Time) -> Option<Outgoing> {
        let next = self.recovery.next();
        let (payload, len) = if len == 0 { (Sga::new(), 0) } else { self.slice(next, len, offer.segment, now)? };
        let mut flags = Flags::ACK;
        let mut end = next + len;
        if len == offer.waiting {
            // RFC 9293 section 3.9.1.2: the receiver need not wait for more.
            if len > 0 {
                flags |= Flags::PSH;
            }
            if self.fin && offer.window > len {
                flags |= Flags::FIN;
                end += 1;
            }
        }
        if len < offer.segment || flags.contains(Flags::PSH) && len % offer.segment != 0 {
            self.small = end;
        }
        if offer.idle {
            self.progress = now;
        }
        if self.timers.probes.last < Time::MAX {
            self.timers.probes.last = Time::MAX;
        }
        self.recovery.sent(end, now);
        if self.completions.is_some() {
            self.make_room();
        }
        let mut ecn = Ecn::NotCapable;
        if self.ecn.on && len > 0 {
            ecn = Ecn::Capable0;
            if core::mem::take(&mut self.ecn.reduced) {
                flags |= Flags::CWR; // RFC 3168 section 6.1.2
            }
        }
        let segment = if len > offer.segment { offer.segment as u16 } else { 0 };
        Some(self.finish(next, flags, ecn, payload, len, segment, now))
    }

    /// Views of `len` bytes, fewer if they lie in too many pieces, and how many those are. `None`: there are no views; it is
    /// tried again.
    #[inline]
    fn slice(&mut self, start: Seq, len: u32, segment: u32, now: Time) -> Option<(Sga, u32)> {
        let Ok(payload) = self.queue.slice(start, len).and_then(|payload| whole(payload, len, segment)) else {
            self.timers.resume = now + SCARCE;
            return None;
        };
        let len = payload.len() as u32;
        Some((payload, len))
    }

    /// Sends what was sent before again.
    #[cold]
    fn again(&mut self, start: Seq, end: Seq, now: Time) -> Option<Outgoing> {
        let una = self.recovery.una();
        // What lies behind a window that has shrunk would be dropped; but the first asks for the window.
        if start != una && !start.is_before(una + self.window.size()) {
            return None;
        }
        let data_end = end.min(self.queue.end());
        let (payload, len) = match data_end.since(start) {
            0 => (Sga::new(), 0),
            len => self.slice(start, len, self.mss.payload(), now)?,
        };
        let mut flags = Flags::ACK;
        let mut sent = start + len;
        if sent == self.queue.end() {
            if len > 0 {
                flags |= Flags::PSH;
            }
            if self.fin && end.is_behind(sent) {
                flags |= Flags::FIN;
                sent += 1;
            }
        }
        if sent == start {
            return None;
        }
        self.recovery.resent(start, sent, now);
        Some(self.finish(start, flags, Ecn::NotCapable, payload, len, 0, now))
    }

    /// Asks whether the end of what is under way has come: with new data if there are some, else with the last again (RFC 8985
    /// section 7.3).
    fn tail(&mut self, limit: Limit, now: Time) -> Option<Outgoing> {
        let waiting = self.queue.end().since(self.recovery.next());
        let offer = self.offer(waiting, limit);
        let len = waiting.min(offer.window).min(offer.segment);
        if len > 0
            && let Some(segment) = self.fresh(len, &offer, now)
        {
            return Some(segment);
        }
        let (start, end) = self.recovery.probe()?;
        self.again(start, end, now)
    }

    /// Asks a peer whose window has no room (RFC 9293 section 3.8.6.1), or uses what room there is.
    fn window_probe(&mut self, limit: Limit, now: Time) -> Option<Outgoing> {
        if !self.recovery.is_idle() || !self.has_unsent() {
            return None;
        }
        let next = self.recovery.next();
        let waiting = self.queue.end().since(next);
        let offer = self.offer(waiting, limit);
        let len = waiting.min(offer.window).min(offer.segment);
        if len > 0 {
            return self.fresh(len, &offer, now);
        }
        if offer.window > 0 {
            return None;
        }
        let (payload, flags) = if waiting > 0 {
            (self.slice(next, 1, 1, now)?.0, Flags::ACK)
        } else {
            (Sga::new(), Flags::ACK | Flags::FIN)
        };
        self.timers.probes.last = now;
        Some(self.finish(next, flags, Ecn::NotCapable, payload, waiting.min(1), 0, now))
    }

    /// A segment without data.
    fn bare(&mut self, seq: Seq, flags: Flags, now: Time) -> Outgoing {
        self.finish(seq, flags, Ecn::NotCapable, Sga::new(), 0, 0, now)
    }

    /// Puts around `payload`, which is `len` bytes, what every segment says.
    #[inline]
    #[expect(clippy::too_many_arguments, reason = "each is a field of the segment")]
    fn finish(
        &mut self,
        seq: Seq,
        flags: Flags,
        ecn: Ecn,
        payload: Sga,
        len: u32,
        segment: u16,
        now: Time,
    ) -> Outgoing {
        let ack = self.receiver.next();
        let window = (self.receiver.window() >> self.shifts.0).min(u32::from(u16::MAX)) as u16;
        let mut options = Options { timestamps: self.stamps.map(|stamps| stamps.now(now)), ..Options::default() };
        let mut tells = true;
        if self.sack && self.receiver.has_sack() {
            let room =
                (u32::from(self.mss.whole()).saturating_sub(len) as usize).saturating_sub(options.len() + SACK_HEAD);
            let blocks = (room / size_of::<SackBlock>()).min(if self.stamps.is_some() { 3 } else { 4 });
            if blocks > 0 {
                options.sack = self.receiver.sack(blocks);
            } else {
                // A full segment has no room for them: an acknowledgment of its own follows.
                tells = false;
            }
        }
        if tells {
            self.receiver.acknowledged(now);
            self.due.take(Due::ANSWER);
        }
        self.acknowledged = ack;
        self.offered = window;
        self.counts.segments_sent = self.counts.segments_sent.wrapping_add(1);
        Outgoing { seq, ack, flags: flags | self.ecn.echo(), window, options, ecn, payload, segment }
    }
}

/// Cuts what did not become as long as asked for to whole segments, if it is more than one.
#[inline]
fn whole(mut payload: Sga, len: u32, segment: u32) -> Result<Sga> {
    if len <= segment {
        return Ok(payload);
    }
    let got = payload.len() as u32;
    if got == len || got < segment {
        return Ok(payload);
    }
    payload.split_front((got - got % segment) as usize)
}
