// SPDX-License-Identifier: MIT OR Apache-2.0
//! The three timers: retransmission (RFC 6298 section 5), probe (RFC 8985 section 7.2) and reordering (RFC 8985 section 6.2).

use runtime::time::Time;

use super::repair::Found;
use super::rtt::Rto;
use super::types::{Expired, State};
use super::{Recovery, board};
use crate::limits::TCP_RECORDS_IDLE;

/// When each runs out; [`Time::MAX`]: it is not armed.
#[derive(Clone, Copy, Debug)]
pub struct Timers {
    retransmit: Time,
    probe: Time,
    reorder: Time,
    /// When something was last sent or acknowledged.
    last: Time,
}

/// So many nanoseconds later.
#[inline]
pub fn after(time: Time, nanos: u64) -> Time {
    Time::from_nanos(time.as_nanos().saturating_add(nanos))
}

impl Timers {
    pub const fn new(now: Time) -> Self {
        Self { retransmit: Time::MAX, probe: Time::MAX, reorder: Time::MAX, last: now }
    }

    #[inline]
    pub const fn last(&self) -> Time {
        self.last
    }

    #[inline]
    fn next(&self) -> Time {
        self.retransmit.min(self.probe).min(self.reorder)
    }

    /// Something new has left: section 5.1.
    #[inline]
    pub fn sent(&mut self, now: Time, rto: &Rto) {
        self.last = now;
        if self.retransmit == Time::MAX {
            self.retransmit = after(now, rto.nanos());
        }
    }

    /// The retransmission timer begins anew: section 5.3.
    #[inline]
    pub fn restart(&mut self, now: Time, rto: &Rto) {
        self.last = now;
        self.retransmit = after(now, rto.nanos());
    }

    /// It must not run out later than that.
    pub fn hasten(&mut self, at: Time) {
        self.retransmit = self.retransmit.min(at);
    }

    /// Everything is acknowledged: section 5.2.
    #[inline]
    pub fn stop(&mut self, now: Time) {
        *self = Self::new(now);
    }

    #[inline]
    pub fn probe_at(&mut self, at: Time) {
        // RFC 8985 section 7.2: not later than the retransmission timer, in whose place it runs out then.
        self.probe = at.min(self.retransmit);
    }

    #[inline]
    pub const fn no_probe(&mut self) {
        self.probe = Time::MAX;
    }

    pub fn reorder_at(&mut self, at: Option<Time>) {
        self.reorder = at.unwrap_or(Time::MAX);
    }
}

impl Recovery {
    /// When [`Self::expired`] is to be called; armed as long as something is not acknowledged. An idle connection that holds
    /// more memory than it should has one more, to give it back.
    #[inline]
    pub fn deadline(&self) -> Option<Time> {
        Some(self.due()).filter(|due| *due < Time::MAX)
    }

    /// The same; [`Time::MAX`]: it is not to be called.
    #[inline]
    pub fn due(&self) -> Time {
        let next = self.timers.next();
        if next == Time::MAX { self.release_at().unwrap_or(Time::MAX) } else { next }
    }

    #[inline]
    fn release_at(&self) -> Option<Time> {
        (self.is_idle() && self.board.is_large()).then(|| self.timers.last + TCP_RECORDS_IDLE)
    }

    /// Whichever timer is over. It is called again as long as [`Self::deadline`] is not later than `now`.
    pub fn expired(&mut self, now: Time) -> Expired {
        let expired = self.run_out(now);
        self.settle_down();
        expired
    }

    fn run_out(&mut self, now: Time) -> Expired {
        if self.timers.reorder <= now {
            self.timers.reorder = Time::MAX;
            let found = self.find_losses(now);
            if found.bytes != 0 {
                let reduced = self.looked(found, self.next.since(self.una), self.unsettled(), now);
                return Expired::Reordered { reduced };
            }
        }
        if self.timers.probe <= now {
            self.timers.probe = Time::MAX;
            // RFC 8985 section 7.3: the retransmission timer follows the probe.
            self.timers.restart(now, &self.rto);
            self.tlp.due();
            return Expired::Probe;
        }
        if self.timers.retransmit <= now {
            return self.timed_out(now);
        }
        if self.release_at().is_some_and(|at| at <= now) {
            self.board.release();
        }
        Expired::Nothing
    }

    /// Arms the probe timer, or not (RFC 8985 section 7.2): after new data left, and when the left edge has moved.
    pub(super) fn arm_probe(&mut self, now: Time) {
        if !self.has_rack || self.state != State::Open || !self.tlp.is_off() || self.board.sacked() != 0 {
            self.timers.no_probe();
            return;
        }
        self.arm_probe_in_order(now);
    }

    /// The same, where nothing is missing, and no probe under way.
    #[inline]
    pub(super) fn arm_probe_in_order(&mut self, now: Time) {
        if self.has_rack {
            let is_one = self.next.since(self.una) <= self.mss;
            self.timers.probe_at(after(now, self.rto.probe_nanos(is_one)));
        }
    }

    /// RACK's fifth step, and its timer.
    pub(super) fn find_losses(&mut self, now: Time) -> Found {
        let Self { rack, sampling, controller, .. } = self;
        let three = self.board.has_three_sacked(self.mss);
        let window = rack.window(self.rto.min_rtt(), self.rto.srtt(), self.state != State::Open, three);
        let judge = |record: &board::Record| rack.judge(record, window, now);
        let mut found = Found::default();
        let mut tell = |record: &board::Record| found.add(record, sampling, controller);
        let judge_copy = |record: &board::Record| match judge(record) {
            // Which of two that left at one time was the first, nobody knows: for a probe it would be congestion.
            judgment if !record.is_of_probe() || !rack.is_as_old(record) => judgment,
            _ => board::Judgment::Open,
        };
        let copies = self.board.judge_copies(judge_copy, &mut tell);
        let once = self.board.judge(judge, &mut tell);
        self.timers.reorder_at(match (copies, once) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        });
        found
    }
}
