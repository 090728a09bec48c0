// SPDX-License-Identifier: MIT OR Apache-2.0
//! How recovery and what follows a timeout begin and end.

use core::time::Duration;

use runtime::time::Time;

use super::Recovery;
use super::board::Record;
use super::frto::Frto;
use super::prr::Prr;
use super::types::{Expired, State};
use super::undo::Undo;
use crate::tcp::congestion::Congested;

impl Recovery {
    /// Bytes neither acknowledged nor selectively acknowledged.
    pub(super) fn unsettled(&self) -> u32 {
        self.next.since(self.una).saturating_sub(self.board.sacked() + self.duplicates.bytes())
    }

    /// Fast recovery begins (RFC 5681 section 3.2, RFC 6675 section 5); `outstanding` is what was not acknowledged before, `unsettled`
    /// what of it was not selectively acknowledged either. Gives whether the window was reduced: it was before, if ECE has come in this window.
    #[cold]
    pub(super) fn enter_recovery(&mut self, outstanding: u32, unsettled: u32, now: Time) -> bool {
        self.state = State::Recovery;
        self.recover = self.next;
        self.is_guarded = !self.has_sack;
        self.tlp.cancel();
        self.timers.no_probe();
        let is_first = !self.is_reduced || !self.una.is_before(self.reduced);
        if is_first {
            self.undo = Undo::begin(self.una, self.board.copied());
            self.controller.on_congestion(Congested::Loss, now, outstanding);
        } else {
            self.undo.cancel();
        }
        self.reduced_now();
        self.prr = Prr::begin(unsettled, self.mss);
        is_first
    }

    /// Marks of what was sent until now say nothing new (RFC 3168 section 6.1.2).
    pub(super) fn reduced_now(&mut self) {
        (self.reduced, self.is_reduced) = (self.next, self.has_ecn);
    }

    /// All that was sent before is acknowledged.
    #[cold]
    pub(super) fn end_episode(&mut self, now: Time) {
        let was_congested = self.state != State::Repair;
        self.state = State::Open;
        self.frto = Frto::Off;
        self.is_forced = false;
        self.rack.recovered();
        self.prr = Prr::default();
        self.duplicates.reset();
        self.undo.end(self.next);
        if was_congested {
            self.controller.on_recovery_end(now);
        }
    }

    /// Nothing had been lost: everything is as before (RFC 4015 section 3.3, but for its timers).
    #[cold]
    pub(super) fn undo_episode(&mut self) {
        self.controller.undo();
        self.undo.cancel();
        self.is_reduced = false;
        self.state = State::Open;
        self.frto = Frto::Off;
        self.is_forced = false;
        self.prr = Prr::default();
        self.duplicates.reset();
        self.board.forget_lost();
        self.rto.undouble();
    }

    /// The timeout was not for nothing, or nobody knows: what is lost leaves again.
    pub(super) fn frto_is_over(&mut self) {
        self.frto = Frto::Off;
        self.frto_room = 0;
    }

    /// The retransmission timer has run out (RFC 6298 sections 5.4 to 5.6, RFC 5681 section 3.1, RFC 8985 section 6.3).
    #[cold]
    pub(super) fn timed_out(&mut self, now: Time) -> Expired {
        let flight = self.next.since(self.una);
        if flight == 0 {
            self.timers.stop(now);
            return Expired::Nothing;
        }
        self.timeouts = self.timeouts.saturating_add(1);
        // RFC 5681 section 3.1: the threshold is lowered once, not for each repetition.
        let is_first =
            matches!(self.state, State::Open | State::Repair) || (self.state == State::Loss && self.timeouts == 1);
        // RFC 5682 section 2.1, step 1: not for what was being made good already.
        let is_clear = self.state == State::Open || self.frto == Frto::First;
        let has_reneged = self.board.has_reneged();
        if has_reneged {
            self.board.forget_sacked(self.una);
        }
        if self.state == State::Open {
            self.undo = Undo::begin(self.una, self.board.copied());
        }
        let Self { board, rack, sampling, controller, .. } = self;
        let window = rack.window(self.rto.min_rtt(), self.rto.srtt(), true, false);
        let all = has_reneged || !self.has_rack;
        board.lose_late(self.mss, |record| all || rack.is_late(record, window, now), &mut |record: &Record| {
            sampling.lost(record, controller);
        });
        self.controller.on_timeout(now, flight, is_first);
        self.state = State::Loss;
        self.recover = self.next;
        self.is_guarded = !self.has_sack;
        self.frto = if is_clear && !has_reneged { Frto::First } else { Frto::Off };
        self.frto_room = 0;
        self.is_forced = true;
        self.reduced_now();
        self.tlp.cancel();
        self.duplicates.reset();
        self.rto.double();
        self.timers.stop(now);
        self.timers.restart(now, &self.rto);
        Expired::Timeout { count: self.timeouts }
    }

    /// The peer has thrown away what it had acknowledged selectively: its left edge is there (RFC 2018 section 8). It may be
    /// that this ACK was overtaken, so the timer decides, but soon.
    #[cold]
    pub(super) fn has_reneged(&mut self, now: Time) {
        let wait = (self.rto.srtt() / 2).max(Duration::from_millis(10));
        self.timers.hasten(now + wait);
    }
}
