// SPDX-License-Identifier: MIT OR Apache-2.0
//! What was sent and is not acknowledged, what of it is lost, and when to send it again.
//!
//! [`Recovery`] is told what left ([`sent`](Recovery::sent), [`resent`](Recovery::resent)), which ACKs came
//! ([`acknowledged`](Recovery::acknowledged)) and that its [`deadline`](Recovery::deadline) is over
//! ([`expired`](Recovery::expired)); it says how much new data may leave ([`room`](Recovery::room)) and what is to leave again
//! ([`lost`](Recovery::lost)). It owns congestion control, and tells it once for each window in which something was lost.
//!
//! | concern | text |
//! |---|---|
//! | `rtt` | round trip and retransmission timeout: RFC 6298, RFC 7323 |
//! | `board`, `sack` | scoreboard, SACK and D-SACK blocks: RFC 2018, 2883, 6675 |
//! | `rack`, `tlp` | which loss is found when: RFC 8985 |
//! | `duplicates` | the same without RACK, and without SACK: RFC 5681, 6582, 6675 |
//! | `prr` | how much leaves in recovery: RFC 6937, 9937 |
//! | `frto`, `undo` | what was not lost after all: RFC 5682, 3522, 3708 |
//! | `repair` | probes of the path, whose loss is no congestion: RFC 4821 |
//!
//! Limited transmit (RFC 3042) needs no rule of its own: what arrives behind a gap is no longer in flight, and so makes room for
//! as much new data.
//!
//! What must always hold: as long as something is not acknowledged, a deadline is armed; in flight are never more bytes than
//! twice those that are not acknowledged; an ACK of data in order costs what it acknowledges, whatever else is under way.

mod ack;
mod board;
mod duplicates;
mod episode;
mod fresh;
mod frto;
mod prr;
mod rack;
mod repair;
mod rtt;
mod sack;
mod sampling;
#[cfg(test)]
mod tests;
mod timers;
mod tlp;
mod types;
mod undo;

pub use rtt::Rto;
pub use types::{Acknowledgment, Expired, Features, Outcome, State};

use core::time::Duration;

use runtime::time::Time;

use self::board::Board;
use self::duplicates::Duplicates;
use self::frto::Frto;
use self::prr::Prr;
use self::rack::Rack;
use self::sampling::Sampling;
use self::timers::{Timers, after};
use self::tlp::Tlp;
use self::undo::Undo;
use crate::tcp::congestion::Controller;
use crate::tcp::rate::{Sample, Stamp};
use crate::tcp::seq::Seq;
use crate::tcp::settings::{Algorithm, Settings};

/// What was sent and is not acknowledged.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "what was agreed on, and what the short way for an ACK asks at once")]
pub struct Recovery {
    una: Seq,
    next: Seq,
    mss: u32,
    state: State,
    frto: Frto,
    has_sack: bool,
    has_rack: bool,
    has_ecn: bool,
    /// PRR governs in recovery; else the controller's window does.
    has_prr: bool,
    /// Without SACK: SND.UNA has not passed `recover`, so that duplicates prove nothing (RFC 6582 section 3.2, step 2).
    is_guarded: bool,
    /// The window was reduced because of ECE, and `reduced` is not acknowledged.
    is_reduced: bool,
    /// Nothing is missing, repeated or in doubt, so that an ACK of data in order can take the short way.
    is_calm: bool,
    /// The next retransmission leaves whatever the window says: the first after a timeout, or for a partial acknowledgment.
    is_forced: bool,
    timeouts: u8,
    timers: Timers,
    rto: Rto,
    board: Board,
    rack: Rack,
    tlp: Tlp,
    duplicates: Duplicates,
    /// SND.NXT when recovery or a timeout began (RecoveryPoint of RFC 6675, `recover` of RFC 6582).
    recover: Seq,
    /// SND.NXT when the window was reduced because of ECE: not again before that is acknowledged.
    reduced: Seq,
    prr: Prr,
    undo: Undo,
    /// Bytes of new data that F-RTO lets leave.
    frto_room: u32,
    retransmits: u32,
    sampling: Sampling,
    controller: Controller,
}

impl Recovery {
    /// For a connection whose SYN is acknowledged; `una` is the next number to be sent, `mss` the payload bytes of a segment.
    #[must_use]
    pub fn new(settings: &Settings, features: Features, mss: u32, una: Seq, now: Time) -> Self {
        let mss = mss.max(1);
        let is_bbr = settings.algorithm == Algorithm::Bbr;
        Self {
            una,
            next: una,
            mss,
            state: State::Open,
            frto: Frto::Off,
            has_sack: features.sack,
            has_rack: features.sack && settings.rack,
            has_ecn: features.ecn,
            has_prr: !is_bbr,
            is_guarded: false,
            is_reduced: false,
            is_calm: !is_bbr,
            is_forced: false,
            timeouts: 0,
            timers: Timers::new(now),
            rto: Rto::new(settings),
            board: Board::new(una),
            rack: Rack::new(una),
            tlp: Tlp::OFF,
            duplicates: Duplicates::default(),
            recover: una,
            reduced: una,
            prr: Prr::default(),
            undo: Undo::default(),
            frto_room: 0,
            retransmits: 0,
            sampling: Sampling::new(is_bbr, now),
            controller: Controller::new(settings.algorithm, mss, now),
        }
    }

    /// What the handshake has shown: its round trip, if it was measured, and whether our SYN was sent more than once. Before
    /// anything is sent.
    pub fn opened(&mut self, rtt: Option<Duration>, retransmitted: bool, now: Time) {
        if let Some(rtt) = rtt {
            self.rto.measured(rtt, rtt, now);
        } else if retransmitted {
            // RFC 6298 section 5.7.
            self.rto.start_over();
        }
        if retransmitted {
            // RFC 5681 section 3.1: the window begins with one segment. The threshold stays.
            self.controller.on_timeout(now, 0, false);
        }
    }

    /// New data left, from SND.NXT up to `end`, FIN included; they may stand for several segments.
    pub fn sent(&mut self, end: Seq, now: Time) {
        let start = self.next;
        let bytes = end.since(start);
        if bytes == 0 {
            return;
        }
        let in_flight = self.in_flight();
        if start == self.una {
            self.looks_at_silence(now);
        }
        let stamp = self.sampling.sent(now, in_flight, bytes);
        self.board.push(start, end, now, stamp);
        self.next = end;
        self.controller.on_sent(now, in_flight, bytes);
        self.timers.sent(now, &self.rto);
        if self.is_calm {
            self.arm_probe_in_order(now);
        } else {
            self.sent_in_disorder(bytes, now);
        }
    }

    /// [`sent`](Self::sent), and [`limited`](Self::limited) if it is the last, while [`is_calm`](Self::is_calm); there was as much
    /// room as [`room_in_order`](Self::room_in_order) has said, and it is not more than that.
    #[inline(always)]
    pub fn sent_in_order(&mut self, end: Seq, room: u32, is_last: bool, now: Time) {
        let start = self.next;
        let (bytes, in_flight) = (end.since(start), start.since(self.una));
        if in_flight == 0 {
            self.looks_at_silence(now);
        }
        self.board.push(start, end, now, Stamp::UNUSED);
        self.next = end;
        self.controller.on_sent(now, in_flight, bytes);
        self.timers.sent(now, &self.rto);
        self.arm_probe_in_order(now);
        if is_last && room.saturating_sub(bytes) < self.mss {
            self.controller.set_application_limited(false);
        }
    }

    /// Something is to leave, with nothing under way: perhaps for the first time since long (RFC 5681 section 4.1).
    #[inline]
    fn looks_at_silence(&mut self, now: Time) {
        if now.as_nanos() > after(self.timers.last(), self.rto.nanos()).as_nanos() {
            self.controller.on_idle(now, now - self.timers.last(), self.rto.get());
        }
    }

    #[cold]
    fn sent_in_disorder(&mut self, bytes: u32, now: Time) {
        self.prr.sent(bytes);
        self.frto_room = self.frto_room.saturating_sub(bytes);
        self.tlp.sent(self.next, false);
        self.arm_probe(now);
        self.pace(bytes, now);
    }

    /// What was sent before left again.
    pub fn resent(&mut self, start: Seq, end: Seq, now: Time) {
        let (start, end) = (start.max(self.una), end.min(self.next));
        let bytes = end.since(start);
        if bytes == 0 {
            return;
        }
        let in_flight = self.in_flight();
        let stamp = self.sampling.sent(now, in_flight, bytes);
        self.board.resent(start, end, now, stamp);
        self.controller.on_sent(now, in_flight, bytes);
        self.retransmits = self.retransmits.saturating_add(1);
        self.is_forced = false;
        self.undo.resent(bytes, now);
        self.prr.sent(bytes);
        self.tlp.sent(self.next, true);
        self.pace(bytes, now);
        if start == self.una {
            // RFC 6298 section 5.1: what the timer waits for has only now left.
            self.timers.restart(now, &self.rto);
        }
        self.settle_down();
    }

    fn pace(&mut self, bytes: u32, now: Time) {
        self.sampling.paced(now, bytes, self.controller.pacing_rate(self.rto.srtt()));
    }

    /// The next to be sent again, at most a segment, if the window has room for it; [`Self::resent`] tells that it left.
    #[inline]
    pub fn lost(&mut self) -> Option<(Seq, Seq)> {
        if self.board.waiting() == 0 { None } else { self.next_lost() }
    }

    #[cold]
    fn next_lost(&mut self) -> Option<(Seq, Seq)> {
        if self.frto == Frto::Second {
            // RFC 5682 section 2.1, step 2b: new data leave instead.
            return None;
        }
        let (start, end) = self.board.next_lost(self.mss)?;
        let is_free = self.is_forced || self.in_flight() == 0;
        (is_free || self.allowance() >= end.since(start)).then_some((start, end))
    }

    /// The segment to send again as a probe: the last (RFC 8985 section 7.3).
    pub fn probe(&self) -> Option<(Seq, Seq)> {
        let start = self.board.last_segment(self.mss)?;
        Some((start, self.next))
    }

    /// What congestion control, or PRR, lets leave now.
    #[inline]
    fn allowance(&self) -> u32 {
        if self.state == State::Recovery && self.has_prr {
            return self.prr.budget();
        }
        self.controller.window().saturating_sub(self.in_flight())
    }

    /// Bytes of new data that may leave now; what is [`lost`](Self::lost) comes first. Who has more than that should wait until
    /// a whole segment fits.
    #[inline]
    pub fn room(&self) -> u32 {
        if self.board.is_full() {
            return 0;
        }
        if self.frto == Frto::Second {
            return self.frto_room;
        }
        // RFC 6675 section 4, `NextSeg()`: what is lost comes first.
        if self.board.waiting() != 0 { 0 } else { self.allowance() }
    }

    /// The same while [`is_calm`](Self::is_calm).
    #[inline(always)]
    pub fn room_in_order(&self) -> u32 {
        // What is under way is never less than nothing.
        let in_flight = self.next.0.wrapping_sub(self.una.0);
        if self.board.is_full() { 0 } else { self.controller.window().saturating_sub(in_flight) }
    }

    /// When the next segment may leave, if not now (pacing).
    #[inline]
    pub fn ready_at(&self, now: Time) -> Option<Time> {
        self.sampling.ready_at(now)
    }

    /// All that may be sent is sent although there may be room: there are no data, or the peer's window has none for them. Told
    /// after each round of sending.
    #[inline]
    pub fn limited(&mut self) {
        let has_room = self.allowance() >= self.mss;
        self.controller.set_application_limited(has_room);
        if has_room && self.sampling.is_on() && self.board.waiting() == 0 {
            self.sampling.limited(self.in_flight());
        }
        if self.frto == Frto::Second && self.frto_room == self.mss.saturating_mul(2) {
            // There was nothing to send after all (RFC 5682 section 2.1, step 2b).
            self.frto_is_over();
        }
    }

    /// Segments have another size from now on (path MTU). What was sent in longer ones cannot have arrived, and goes again at once;
    /// the path is not full because of that (RFC 1191 section 6.5, RFC 8201 section 5.4).
    pub fn set_mss(&mut self, mss: u32) {
        let mss = mss.max(1);
        self.controller.set_mss(mss);
        let is_less = mss < self.mss;
        if mss > self.mss && self.state == State::Open {
            // See `may_probe`.
            self.recover = self.next;
        }
        self.mss = mss;
        self.duplicates.reset();
        if is_less && self.board.lose_longer(mss) {
            if self.state != State::Loss {
                // What follows is as after a timeout, but for what that does to the window.
                self.state = State::Loss;
                self.recover = self.next;
                self.is_guarded = !self.has_sack;
            }
            self.undo.cancel();
            self.tlp.cancel();
            self.timers.no_probe();
        }
        self.settle_down();
    }

    /// Bytes under way: sent, and neither arrived nor thought lost (RFC 6675 section 4, `pipe`).
    #[inline]
    pub fn in_flight(&self) -> u32 {
        let gone = self.board.sacked() + self.board.lost() + self.duplicates.bytes();
        (self.next.since(self.una) + self.board.copied()).saturating_sub(gone)
    }

    /// SND.UNA.
    #[inline]
    pub fn una(&self) -> Seq {
        self.una
    }

    /// SND.NXT.
    #[inline]
    pub fn next(&self) -> Seq {
        self.next
    }

    /// Whether everything is acknowledged.
    #[inline]
    pub fn is_idle(&self) -> bool {
        self.una == self.next
    }

    /// Whether something is being made good.
    pub fn state(&self) -> State {
        self.state
    }

    /// The smoothed round trip; zero before the first was measured.
    #[inline]
    pub fn srtt(&self) -> Duration {
        self.rto.srtt()
    }

    /// How much it varies.
    pub fn rttvar(&self) -> Duration {
        self.rto.rttvar()
    }

    /// The shortest round trip of the last minutes; zero before the first was measured.
    #[inline]
    pub fn min_rtt(&self) -> Duration {
        self.rto.min_rtt()
    }

    /// The retransmission timeout as it is now, doubled as often as it ran out.
    pub fn rto(&self) -> Duration {
        self.rto.get()
    }

    /// How many segments were sent again.
    pub fn retransmits(&self) -> u64 {
        self.retransmits.into()
    }

    /// How often in a row the retransmission timer ran out.
    pub fn timeouts(&self) -> u8 {
        self.timeouts
    }

    /// Bytes selectively acknowledged.
    pub fn sacked(&self) -> u32 {
        self.board.sacked()
    }

    /// Bytes thought lost and not known to have arrived yet.
    pub fn missing(&self) -> u32 {
        self.board.lost()
    }

    /// The last delivery rate that was measured; only where congestion control asks for it.
    pub fn delivery_rate(&self) -> Option<Sample> {
        self.sampling.last()
    }

    /// Congestion control.
    #[inline]
    pub fn controller(&self) -> &Controller {
        &self.controller
    }
}
