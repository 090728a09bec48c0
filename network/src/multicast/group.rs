// SPDX-License-Identifier: MIT OR Apache-2.0
//! One group.

use core::time::Duration;

use runtime::time::Time;

use super::family::UNSOLICITED_INTERVAL;
use crate::keyed::Random;
use crate::wire::igmp::RecordKind;

/// One group: that it was joined, or was left and routers do not know yet.
#[derive(Default)]
pub(super) struct Group {
    /// How often it was joined; 0 once it is left.
    pub(super) references: u32,
    /// When to answer a router.
    pub(super) respond_at: Option<Time>,
    /// When to tell once more that the group was joined or left, and how often.
    pub(super) change_at: Option<Time>,
    changes: u8,
    /// Whether this host was the last member that told routers of it, as far as it has heard.
    pub(super) answered_last: bool,
}

impl Group {
    /// It was joined or left: routers are told so many times, at once for the first.
    pub(super) fn changed(&mut self, times: u8, now: Time) {
        self.changes = times;
        self.change_at = Some(now);
    }

    /// Answers a router at this time if no answer is due before (RFC 2236 section 3, RFC 3376 section 5.2).
    pub(super) fn respond_by(&mut self, at: Time) {
        self.respond_at = Some(self.respond_at.map_or(at, |before| before.min(at)));
    }

    /// Ends what was still to be told of its change.
    pub(super) fn silence(&mut self) {
        self.change_at = None;
        self.changes = 0;
    }

    /// Whether there is something to say.
    pub(super) fn is_due(&self, now: Time) -> bool {
        self.respond_at.is_some_and(|at| at <= now) || self.change_at.is_some_and(|at| at <= now)
    }

    /// Whether it was left and routers know.
    pub(super) const fn is_over(&self) -> bool {
        self.references == 0 && self.changes == 0
    }

    /// What a report of the newest version says of it at `now`, if anything and if there is room.
    pub(super) fn record(&mut self, room: bool, random: &mut Random, now: Time) -> Option<RecordKind> {
        if !room || !self.is_due(now) {
            return None;
        }
        let change = self.change_at.is_some_and(|at| at <= now);
        self.told(UNSOLICITED_INTERVAL, random, now);
        // A change says what an answer would say.
        Some(match (change, self.references) {
            (true, 0) => RecordKind::ToInclude,
            (true, _) => RecordKind::ToExclude,
            (false, _) => RecordKind::IsExclude,
        })
    }

    /// Routers were told; the next time, if there is one, comes within `interval`.
    pub(super) fn told(&mut self, interval: Duration, random: &mut Random, now: Time) {
        self.answered_last = true;
        self.respond_at = None;
        if self.change_at.is_some_and(|at| at <= now) {
            self.changes = self.changes.saturating_sub(1);
            self.change_at = (self.changes > 0).then(|| now + random.between(Duration::ZERO, interval));
        }
    }
}
