// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an ACK does: a short way for one that acknowledges data in order when nothing is missing, and the whole for the rest.

use core::time::Duration;

use runtime::time::Time;

use super::Recovery;
use super::board::{Marks, Record};
use super::fresh::{Context, Fresh};
use super::frto;
use super::repair::Found;
use super::sack;
use super::tlp;
use super::types::{Acknowledgment, Outcome, State};
use crate::tcp::congestion::{Ack, Congested};
use crate::tcp::seq::Seq;

/// What was before the ACK.
#[derive(Clone, Copy, Debug)]
struct Before {
    in_flight: u32,
    /// Bytes not acknowledged (FlightSize of RFC 5681).
    outstanding: u32,
    /// Bytes neither acknowledged nor selectively acknowledged.
    unsettled: u32,
    state: State,
}

impl Recovery {
    /// A segment with ACK has come.
    #[inline]
    pub fn acknowledged(&mut self, ack: &Acknowledgment<'_>, now: Time) -> Outcome {
        let outstanding = self.next.since(self.una);
        let acked = ack.ack.0.wrapping_sub(self.una.0);
        if self.is_calm && acked != 0 && acked <= outstanding && ack.sack.is_empty() && !ack.ece {
            self.acknowledged_in_order(ack.ack, ack.marked, || ack.rtt, now);
            return Outcome { acked, delivered: acked, ..Outcome::default() };
        }
        let outcome = self.acknowledged_in_disorder(ack, now);
        self.settle_down();
        outcome
    }

    /// The same of an ACK that moves the left edge, without a SACK block and without ECE, while [`is_calm`](Self::is_calm). `rtt`
    /// is what its timestamp tells.
    #[inline]
    pub fn acknowledged_plain(&mut self, ack: Seq, rtt: impl FnOnce() -> Option<Duration>, now: Time) {
        self.acknowledged_in_order(ack, 0, rtt, now);
    }

    /// Whether nothing is missing, repeated or in doubt, and no rate is measured.
    #[inline]
    pub fn is_calm(&self) -> bool {
        self.is_calm
    }

    /// An ACK moves the left edge, and nothing was missing, repeated or in doubt: all that is not acknowledged is in flight.
    #[inline]
    fn acknowledged_in_order(&mut self, ack: Seq, marked: u32, rtt: impl FnOnce() -> Option<Duration>, now: Time) {
        let (acked, in_flight) = (ack.since(self.una), self.next.since(self.una));
        self.una = ack;
        self.timeouts = 0;
        let measured = if let Some((first, last)) = self.board.acknowledge_in_order(ack) {
            let nanos = |sent: Time| now.as_nanos().saturating_sub(sent.as_nanos());
            let shortest = nanos(last);
            self.rack.arrived_in_order(last, ack, shortest);
            self.rto.measured_nanos(nanos(first), shortest, now);
            Some(Duration::from_nanos(shortest))
        } else {
            let rtt = rtt();
            if let Some(rtt) = rtt {
                self.rto.measured(rtt, rtt, now);
            }
            rtt
        };
        if self.una == self.next {
            self.timers.stop(now);
        } else {
            self.timers.restart(now, &self.rto);
            self.arm_probe_in_order(now);
        }
        self.controller.on_ack(&Ack {
            now,
            delivered: acked,
            acked,
            in_flight,
            lost: 0,
            rtt: measured,
            srtt: self.rto.srtt(),
            marked,
            una: self.una,
            next: self.next,
            rate: None,
            in_recovery: false,
        });
    }

    /// Whether nothing is missing, repeated or in doubt.
    pub(super) fn settle_down(&mut self) {
        self.is_calm = !self.sampling.is_on()
            && self.board.is_calm()
            && self.state == State::Open
            && self.tlp.is_off()
            && self.undo.is_off()
            && self.duplicates.is_none()
            && !self.is_reduced
            && !self.is_guarded;
    }

    /// The left edge has moved.
    fn restart_timers(&mut self, now: Time) {
        if self.una == self.next {
            self.timers.stop(now);
        } else {
            self.timers.restart(now, &self.rto);
            self.arm_probe(now);
        }
    }

    /// Takes the round trip: of what was sent once, else by the timestamp (RFC 6298 section 3). Gives that of what left last.
    fn measure(&mut self, ack: &Acknowledgment<'_>, fresh: &Fresh, now: Time) -> Option<Duration> {
        if let Some(first) = fresh.first {
            let longest = now.saturating_since(first);
            if !fresh.has_resent {
                let last = now.saturating_since(fresh.last);
                self.rto.measured(longest, last, now);
                return Some(last);
            }
            self.rto.answered(longest);
        }
        // RFC 7323 section 4.1: only by an ACK that acknowledges something new.
        let rtt = ack.rtt.filter(|_| fresh.delivered != 0)?;
        self.rto.measured(rtt, rtt, now);
        Some(rtt)
    }

    /// Tells congestion control.
    #[expect(clippy::too_many_arguments, reason = "what an ACK says")]
    fn tell(
        &mut self,
        ack: &Acknowledgment<'_>,
        acked: u32,
        delivered: u32,
        lost: u32,
        rtt: Option<Duration>,
        fresh: &Fresh,
        before: Before,
        now: Time,
    ) {
        let rate = self.sampling.finish(fresh, self.rto.min_rtt());
        self.controller.on_ack(&Ack {
            now,
            delivered,
            acked,
            in_flight: before.in_flight,
            lost,
            rtt,
            srtt: self.rto.srtt(),
            marked: ack.marked,
            una: self.una,
            next: self.next,
            rate,
            in_recovery: before.state == State::Recovery || self.state == State::Recovery,
        });
    }

    /// An ACK that says that something is missing, or comes while something is; or whose rate is to be sampled.
    #[cold]
    fn acknowledged_in_disorder(&mut self, ack: &Acknowledgment<'_>, now: Time) -> Outcome {
        let before = Before {
            in_flight: self.in_flight(),
            outstanding: self.next.since(self.una),
            unsettled: self.unsettled(),
            state: self.state,
        };
        let una = self.una.max(ack.ack.min(self.next));
        let acked = una.since(self.una);
        let mut fresh = Fresh::default();
        let mut context = Context {
            sampling: &mut self.sampling,
            rack: &mut self.rack,
            recover: self.recover,
            echo: ack.echo,
            min_rtt: self.rto.min_rtt(),
            now,
        };
        self.board.acknowledge(una, |record, end, bytes| {
            if !record.marks.has(Marks::SACKED) {
                fresh.add(record, end, bytes, &mut context);
            }
        });
        self.una = una;
        let twice = self.take_blocks(ack, &mut fresh, now);
        let (is_duplicate, delivered) = self.count_duplicates(ack, acked, fresh.delivered, before);
        let rtt = self.measure(ack, &fresh, now);
        if acked != 0 {
            self.timeouts = 0;
            self.undo.moved(una);
            self.is_guarded &= !una.is_behind(self.recover);
        }
        let mut outcome = Outcome { acked, delivered, ..Outcome::default() };
        // RFC 8985 section 7.4.2: what a probe has made good was lost like anything else.
        // Nothing need be outstanding: the probe may have been all.
        let says_nothing = acked == 0 && ack.ack == self.una && !ack.has_data && !ack.window_changed;
        let is_bare = says_nothing && ack.sack.is_empty();
        if self.tlp.acknowledged(una, twice, is_bare) == tlp::Verdict::Repaired && self.state == State::Open {
            self.controller.on_congestion(Congested::Loss, now, before.outstanding);
            self.controller.on_recovery_end(now);
            self.undo.cancel();
            self.reduced_now();
            outcome.reduced = true;
        }
        // Without SACK it may be that what was sent again has filled a gap before something that had arrived.
        let has_original = fresh.has_original && (self.has_sack || !fresh.has_resent);
        let has_other = fresh.has_later || is_duplicate;
        outcome.undone = self.take_stock(ack, acked, has_original, has_other, now);
        if acked != 0 {
            self.restart_timers(now);
        } else if self.board.sacked() != 0 {
            self.timers.no_probe();
        }
        let found = self.look_for_losses(acked != 0, now);
        outcome.lost = found.bytes;
        outcome.reduced |= self.looked(found, before.outstanding, before.unsettled, now);
        outcome.reduced |= self.echoed(ack, before.outstanding, now);
        if self.state == State::Recovery && self.has_prr {
            let is_safe = acked != 0 && outcome.lost == 0;
            self.prr.delivered(delivered, self.in_flight(), self.controller.window(), self.mss, is_safe);
        }
        if delivered != 0 || outcome.lost != 0 || ack.marked != 0 {
            self.tell(ack, acked, delivered, outcome.lost, rtt, &fresh, before, now);
        }
        if self.board.has_reneged() {
            self.has_reneged(now);
        }
        outcome
    }

    /// The SACK blocks. Gives what came twice.
    fn take_blocks(&mut self, ack: &Acknowledgment<'_>, fresh: &mut Fresh, now: Time) -> Option<(Seq, Seq)> {
        if ack.sack.is_empty() || !self.has_sack {
            return None;
        }
        let blocks = sack::read(ack.sack, ack.ack, self.una, self.next);
        let mut context = Context {
            sampling: &mut self.sampling,
            rack: &mut self.rack,
            recover: self.recover,
            echo: ack.echo,
            min_rtt: self.rto.min_rtt(),
            now,
        };
        for &(start, end) in &blocks.ranges {
            self.board.sack(start, end, self.mss, |record: &Record, end, bytes| {
                fresh.add(record, end, bytes, &mut context);
            });
        }
        if let Some((start, end)) = blocks.twice {
            self.rack.duplicated(self.una, self.next);
            self.undo.duplicated(start, end);
        }
        blocks.twice
    }

    /// Counts duplicate acknowledgments. Gives whether this is one, and the bytes that the ACK delivers, with those that one without
    /// SACK stands for.
    fn count_duplicates(&mut self, ack: &Acknowledgment<'_>, acked: u32, fresh: u32, before: Before) -> (bool, u32) {
        let outstanding = self.next.since(self.una);
        // The first segment is missing, and whatever is lost.
        let most = outstanding.saturating_sub(self.mss.max(self.board.lost()));
        if acked != 0 {
            let in_recovery = matches!(self.state, State::Recovery | State::Repair);
            let counted = self.duplicates.moved(acked, self.mss, most, in_recovery);
            return (false, fresh.saturating_sub(counted));
        }
        // RFC 5681 section 2, or, with SACK, RFC 6675 section 2: something arrived that is not at the left edge.
        let is_plain = ack.ack == self.una && outstanding != 0 && !ack.has_data && !ack.window_changed;
        if self.has_sack {
            if fresh != 0 {
                self.duplicates.came();
            }
            return (fresh != 0 || is_plain, fresh);
        }
        if !is_plain {
            return (false, fresh);
        }
        if before.state == State::Loss {
            return (true, fresh);
        }
        (true, self.duplicates.stands_for(self.mss, most))
    }

    /// Whether what goes on is over, or was for nothing. Gives the latter.
    fn take_stock(
        &mut self,
        ack: &Acknowledgment<'_>,
        acked: u32,
        has_original: bool,
        has_other: bool,
        now: Time,
    ) -> bool {
        let is_late = acked != 0 && self.undo.is_answer_to_original(ack.echo);
        if self.undo.is_all_duplicated() || (is_late && self.state != State::Open) {
            if self.state == State::Open {
                self.controller.undo();
                self.undo.cancel();
                self.is_reduced = false;
            } else {
                self.undo_episode();
            }
            return true;
        }
        if self.state == State::Open {
            return false;
        }
        if !self.una.is_before(self.recover) {
            self.end_episode(now);
            return false;
        }
        if self.state == State::Loss {
            match self.frto.acknowledged(acked != 0, has_original, has_other, ack.unsent) {
                frto::Verdict::Spurious => {
                    self.undo_episode();
                    return true;
                }
                frto::Verdict::TryNew => self.frto_room = self.mss.saturating_mul(2),
                frto::Verdict::Lost => self.frto_is_over(),
                frto::Verdict::Unknown => {}
            }
        }
        false
    }

    /// Looks for what is lost.
    fn look_for_losses(&mut self, has_moved: bool, now: Time) -> Found {
        if self.has_rack {
            return self.find_losses(now);
        }
        let Self { board, sampling, controller, .. } = self;
        let mut found = Found::default();
        let mut tell = |record: &Record| found.add(record, sampling, controller);
        if self.has_sack {
            // RFC 6675 section 5: by what is selectively acknowledged behind it, or by three ACKs that say something.
            board.lose_below(self.mss, &mut tell);
            if self.duplicates.is_enough() && self.state == State::Open {
                board.lose_first(self.mss, &mut tell);
            }
        } else if self.state == State::Recovery || (self.state == State::Repair && !board.begins_with_probe()) {
            // RFC 6582 section 3.2, step 3: a partial acknowledgment shows the next gap.
            if has_moved {
                board.lose_first(self.mss, &mut tell);
                // It leaves at once: the duplicates before have used up what PRR would allow for it.
                self.is_forced |= found.bytes != 0;
            }
        } else if self.state == State::Open && self.duplicates.is_enough() && !self.is_guarded {
            // Step 2: not because of what was sent again without need.
            board.lose_first(self.mss, &mut tell);
        }
        found
    }

    /// ECE (RFC 3168 section 6.1.2): once for each window, and not while a loss is made good. Gives whether it counts.
    fn echoed(&mut self, ack: &Acknowledgment<'_>, outstanding: u32, now: Time) -> bool {
        self.is_reduced &= !self.una.is_behind(self.reduced);
        let is_free = matches!(self.state, State::Open | State::Repair);
        if !ack.ece || !self.has_ecn || !is_free || self.is_reduced {
            return false;
        }
        self.controller.on_congestion(Congested::Marked, now, outstanding);
        self.reduced_now();
        self.undo.cancel();
        true
    }
}
