// SPDX-License-Identifier: MIT OR Apache-2.0
//! A segment comes to an open connection (RFC 9293 section 3.10.7.4).

use core::mem;

use runtime::time::Time;

use super::ending::millis;
use super::open::{Due, Open};
use super::{Env, State, Verdict};
use crate::counters::Reason;
use crate::tcp::receive::{Need, Taken};
use crate::tcp::recovery::Acknowledgment;
use crate::tcp::segment::Incoming;
use crate::wire::Ecn;
use crate::wire::tcp::Flags;

/// Control bits of a segment that has to be looked at closely if others are set, or ACK is not.
const PLAIN: u8 = Flags::ACK.0 | Flags::PSH.0 | Flags::FIN.0 | Flags::ECE.0 | Flags::CWR.0 | Flags::URG.0;

impl Open {
    /// Takes a segment.
    #[inline]
    pub fn receive(&mut self, segment: &mut Incoming, env: &mut Env<'_>, now: Time) -> Verdict {
        if self.state == State::Closed {
            return if segment.flags.contains(Flags::RST) { Verdict::Fine } else { Verdict::Reset };
        }
        self.stirred = true;
        self.counts.segments_received = self.counts.segments_received.wrapping_add(1);
        if !self.is_plain(segment) {
            let silence = now - self.heard;
            if let Err(verdict) = self.check(segment, env, silence, now) {
                return verdict;
            }
        }
        self.heard = now;
        self.keep_alive.sent = 0;
        if !self.is_acknowledgment_acceptable(segment.ack) {
            return self.challenge(env, now);
        }
        // RFC 7323 section 4.3: of what is acknowledged next, the first that came. It is young, or the last is too old to count.
        if let (Some(stamps), Some(stamp)) = (&mut self.stamps, segment.options.timestamps)
            && !segment.seq.is_behind(self.acknowledged)
        {
            stamps.recent = stamp.value;
        }
        self.acknowledge(segment, now);
        if segment.is_empty() {
            return Verdict::Fine;
        }
        self.take(segment, now)
    }

    /// Takes the rest of the segment whose SYN has opened the connection: its window and what it acknowledges are known.
    pub fn receive_syn(&mut self, segment: &mut Incoming, now: Time) -> Verdict {
        self.counts.segments_received = self.counts.segments_received.wrapping_add(1);
        self.due.set(Due::ANSWER);
        segment.seq += 1;
        if segment.payload.has_no_segment() && !segment.flags.contains(Flags::FIN) {
            return Verdict::Fine;
        }
        self.take(segment, now)
    }

    /// Whether a segment is what nearly all are: with an acknowledgment, young, and in the window.
    #[inline]
    fn is_plain(&self, segment: &Incoming) -> bool {
        let stamp_is_right = match (&self.stamps, segment.options.timestamps) {
            (Some(stamps), Some(stamp)) => stamp.value.wrapping_sub(stamps.recent).cast_signed() >= 0,
            (stamps, _) => stamps.is_none(),
        };
        segment.flags.0 & !PLAIN == 0
            && segment.flags.contains(Flags::ACK)
            && stamp_is_right
            && self.receiver.is_acceptable(segment.seq, segment.len())
    }

    /// What it acknowledges (RFC 9293 section 3.10.7.4, fifth).
    #[inline]
    fn acknowledge(&mut self, segment: &Incoming, now: Time) {
        let una = self.recovery.una();
        let was_closed = self.window.size() == 0;
        let changed = !segment.ack.is_before(una) && self.window.update(segment.seq, segment.ack, segment.window);
        if self.timers.probes.asked() {
            self.probe_answered(segment, was_closed);
        }
        let has_data = !segment.is_empty();
        if segment.ack == una
            && segment.options.sack.is_empty()
            && (has_data || changed)
            && !segment.flags.contains(Flags::ECE)
        {
            // Nothing new for recovery: data the other way, or a window update.
            return;
        }
        let measured = match (&self.stamps, segment.options.timestamps) {
            (Some(stamps), Some(stamp)) => stamps.measure(stamp.echo, now),
            _ => None,
        };
        let ece = self.ecn.on && segment.flags.contains(Flags::ECE);
        let outcome = self.recovery.acknowledged(
            &Acknowledgment {
                ack: segment.ack,
                sack: if self.sack { &segment.options.sack } else { &[] },
                rtt: measured.map(|(rtt, _)| rtt),
                echo: measured.map(|(_, end)| end),
                has_data,
                window_changed: changed,
                unsent: self.has_unsent() && self.window.size() > self.recovery.next().since(segment.ack),
                ece,
                // RFC 8257 section 3.3: all that an ACK with ECE acknowledges.
                marked: if ece { segment.ack.since(una) } else { 0 },
            },
            now,
        );
        if outcome.reduced {
            self.ecn.reduced = self.ecn.on;
        }
        if outcome.acked > 0 {
            self.acknowledged_some(outcome.acked, now);
        }
        if self.timers.probe().is_some() {
            self.look_at_probe(now);
        }
    }

    /// SND.UNA has moved.
    #[inline]
    pub fn acknowledged_some(&mut self, bytes: u32, now: Time) {
        let una = self.recovery.una();
        self.queue.acknowledge(una);
        self.progress = now;
        self.error = None;
        self.counts.bytes_acknowledged += u64::from(bytes);
        self.make_room();
        if self.fin && una.is_behind(self.queue.end()) {
            self.counts.bytes_acknowledged -= 1;
            self.enter(self.state.end_acknowledged(), now);
        }
    }

    /// Whoever was asked for its window has answered.
    #[cold]
    fn probe_answered(&mut self, segment: &Incoming, was_closed: bool) {
        let next = self.recovery.next();
        let was_probed = self.timers.probes.last < Time::MAX || self.timers.probes.sent > 0;
        // RFC 9293 section 3.8.6.1 (MUST-37): who keeps its window closed may throw away what was sent before, and is there as long as it says
        // so.
        let is_closed = was_closed || self.window.size() == 0;
        if is_closed || self.recovery.is_idle() || segment.ack.is_behind(self.recovery.una()) {
            self.timers.probes.unanswered = 0;
        }
        if segment.ack.is_behind(next) && self.timers.probes.last < Time::MAX {
            let last = mem::replace(&mut self.timers.probes.last, Time::MAX);
            // It took the byte: this was sent after all.
            self.recovery.sent(segment.ack, last);
            if self.timers.probes.sent > 1 {
                // Which of them it took, nobody knows (Karn).
                self.recovery.resent(next, segment.ack, last);
            }
        }
        if was_probed && self.window.size() > 0 {
            self.disarm_persist();
        }
    }

    /// What it carries (RFC 9293 section 3.10.7.4, seventh and eighth). The urgent pointer is not looked at: urgent data are
    /// data (section 3.8.5 leaves the mechanism to old applications).
    #[inline]
    fn take(&mut self, segment: &mut Incoming, now: Time) -> Verdict {
        if !self.state.may_come() {
            return self.take_behind_end(segment, now);
        }
        let fin = segment.flags.contains(Flags::FIN);
        let payload = mem::take(&mut segment.payload);
        if self.orphan.is_some() && !payload.has_no_segment() && self.is_unwanted(payload.len(), now) {
            // RFC 9293 section 3.6.1: data for nobody. Numbered behind our end, which a peer that has not heard of it yet may have by then.
            self.abort();
            return Verdict::Fine;
        }
        let marked = segment.ecn == Ecn::Congestion;
        if self.ecn.received(segment.flags, marked) && self.receiver.acknowledge(now) != Need::Nothing {
            self.early = self.receiver.next();
            self.due.set(Due::EARLY);
        }
        match self.receiver.take(segment.seq, payload, fin, marked, now) {
            Taken::InOrder { bytes } => {
                self.counts.bytes_received += u64::from(bytes);
                if self.orphan.is_some() {
                    self.throw_away(now);
                } else {
                    self.news.readable = true;
                }
                if self.receiver.has_end() {
                    self.peer_ended(now);
                }
                Verdict::Fine
            }
            Taken::OutOfOrder => Verdict::Fine,
            Taken::Duplicate | Taken::Refused => Verdict::Dropped(Reason::TcpUnacceptable),
        }
    }

    /// The peer's FIN has come, and all in front of it (RFC 9293 section 3.10.7.4, eighth).
    #[cold]
    fn peer_ended(&mut self, now: Time) {
        self.receiver.acknowledge_now();
        self.news.readable = true;
        self.enter(self.state.ended_there(), now);
    }

    /// Data or a FIN although the peer has ended: the same again, whose acknowledgment was lost; anything else is ignored.
    #[cold]
    fn take_behind_end(&mut self, segment: &Incoming, now: Time) -> Verdict {
        if self.state == State::TimeWait && segment.flags.contains(Flags::FIN) {
            self.timers.end = now + millis(self.time_wait);
        }
        self.receiver.acknowledge_now();
        Verdict::Dropped(Reason::TcpUnacceptable)
    }
}
