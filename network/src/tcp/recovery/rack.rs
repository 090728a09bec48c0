// SPDX-License-Identifier: MIT OR Apache-2.0
//! RACK (RFC 8985 section 6): what was sent before something that has arrived, and has not arrived within a round trip and the
//! reordering window, is lost.

use core::time::Duration;

use runtime::time::Time;

use super::board::{Judgment, Record};
use crate::tcp::seq::Seq;

/// Recoveries after which a wider reordering window is given up (section 6.2, step 4).
const PERSIST: u8 = 16;

/// What has arrived of what was sent last, and how much the path reorders.
#[derive(Clone, Copy, Debug)]
pub struct Rack {
    /// When that left which left last of all that has arrived.
    sent: Time,
    /// Behind its last number.
    end: Seq,
    /// Its round trip in ns.
    rtt: u64,
    /// Behind the highest number that has arrived.
    highest: Seq,
    /// SND.NXT when the window was widened because of a D-SACK: not again before that is acknowledged, while it is so.
    round: Seq,
    is_widened: bool,
    multiplier: u8,
    persist: u8,
    has_seen_reordering: bool,
}

impl Rack {
    pub const fn new(una: Seq) -> Self {
        Self {
            sent: Time::ZERO,
            end: una,
            rtt: 0,
            highest: una,
            round: una,
            is_widened: false,
            multiplier: 1,
            persist: 0,
            has_seen_reordering: false,
        }
    }

    /// Steps 2 and 3: something has arrived, up to `end`. `was_resent`: the caller has made sure that it is the retransmission
    /// that has arrived, or says that this is not known by `is_ambiguous`.
    pub fn arrived(&mut self, record: &Record, end: Seq, now: Time, was_resent: bool, is_ambiguous: bool) {
        if !is_ambiguous && self.is_older(record.sent, end) {
            self.sent = record.sent;
            self.end = end;
            self.rtt = now.as_nanos().saturating_sub(record.sent.as_nanos());
        }
        if end.is_behind(self.highest) {
            self.highest = end;
        } else if end != self.highest && !was_resent {
            self.has_seen_reordering = true;
        }
    }

    /// The same of something that was sent once, and nothing was missing before it; `rtt` is in ns.
    #[inline]
    pub fn arrived_in_order(&mut self, sent: Time, end: Seq, rtt: u64) {
        self.sent = sent;
        self.end = end;
        self.rtt = rtt;
        self.highest = self.highest.max(end);
    }

    /// Whether what arrived left before this (`RACK_sent_after`).
    #[inline]
    fn is_older(&self, sent: Time, end: Seq) -> bool {
        self.sent < sent || (self.sent == sent && self.end.is_before(end))
    }

    /// Step 4, a D-SACK: what was sent twice had not been lost, so the window was too narrow.
    pub fn duplicated(&mut self, una: Seq, next: Seq) {
        if !self.is_widened || !una.is_before(self.round) {
            (self.round, self.is_widened) = (next, true);
            self.multiplier = self.multiplier.saturating_add(1);
            self.persist = PERSIST;
        }
    }

    /// Step 4, the end of a recovery.
    pub fn recovered(&mut self) {
        self.is_widened = false;
        self.persist = self.persist.saturating_sub(1);
        if self.persist == 0 {
            self.multiplier = 1;
        }
    }

    /// Step 4: the reordering window in ns.
    pub fn window(&self, min_rtt: Duration, srtt: Duration, in_recovery: bool, three_sacked: bool) -> u64 {
        if !self.has_seen_reordering && (in_recovery || three_sacked) {
            return 0;
        }
        let quarter = min_rtt.as_nanos() as u64 >> 2;
        quarter.saturating_mul(u64::from(self.multiplier)).min(srtt.as_nanos() as u64)
    }

    /// Step 5: what is to be thought of a record that has not arrived, with a reordering window.
    pub fn judge(&self, record: &Record, window: u64, now: Time) -> Judgment {
        if record.sent > self.sent || (record.sent == self.sent && !record.end.is_before(self.end)) {
            return Judgment::Open;
        }
        let due = Time::from_nanos(record.sent.as_nanos().saturating_add(self.rtt).saturating_add(window));
        if due <= now { Judgment::Lost } else { Judgment::At(due) }
    }

    /// Whether a record left at the same time as what has arrived.
    pub fn is_as_old(&self, record: &Record) -> bool {
        record.sent == self.sent
    }

    /// Section 6.3: whether a record is late when the retransmission timer runs out.
    pub fn is_late(&self, record: &Record, window: u64, now: Time) -> bool {
        record.sent.as_nanos().saturating_add(self.rtt).saturating_add(window) <= now.as_nanos()
    }
}
