// SPDX-License-Identifier: MIT OR Apache-2.0
//! What IPv4 and IPv6 each have of their own: the version that routers speak, and the answer to a question for all groups.

use core::time::Duration;

use runtime::time::Time;

use crate::limits::OLDER_QUERIER_MAX;

/// Robustness Variable (RFC 3376 section 8.1, RFC 3810 section 9.1).
const ROBUSTNESS: u8 = 2;
/// Query Interval (RFC 3376 section 8.2, RFC 3810 section 9.2).
const QUERY_INTERVAL: Duration = Duration::from_secs(125);
/// Query Response Interval (RFC 3376 section 8.3, RFC 3810 section 9.3).
const RESPONSE_INTERVAL: Duration = Duration::from_secs(10);
/// Unsolicited Report Interval of the newest versions (RFC 3376 section 8.11, RFC 3810 section 9.11).
pub(super) const UNSOLICITED_INTERVAL: Duration = Duration::from_secs(1);
/// That of those before (RFC 2236 section 8.10, RFC 2710 section 7.10).
pub(super) const UNSOLICITED_INTERVAL_OLD: Duration = Duration::from_secs(10);

/// Which version is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// IGMP version 3, MLD version 2: records of many groups, and each member speaks.
    Newest,
    /// IGMP version 2, MLD version 1: a report for each group, and one member speaks for all.
    Reports,
    /// IGMP version 1: the same, and nobody says that he leaves.
    Oldest,
}

/// One family's part.
pub(super) struct Family {
    pub(super) mode: Mode,
    /// When all groups are to be reported, as was asked.
    pub(super) general_at: Option<Time>,
    /// Until when a querier of the version before the newest, and of the one before that, counts as present.
    reports_until: Time,
    oldest_until: Time,
    robustness: u8,
    interval: Duration,
}

impl Family {
    pub(super) const fn new() -> Self {
        Self {
            mode: Mode::Newest,
            general_at: None,
            reports_until: Time::ZERO,
            oldest_until: Time::ZERO,
            robustness: ROBUSTNESS,
            interval: QUERY_INTERVAL,
        }
    }

    /// Takes what a querier of the newest version says of itself; zero says nothing (RFC 3376 sections 4.1.6 and 4.1.7).
    pub(super) fn queried(&mut self, robustness: u8, interval: u32) {
        self.robustness = if robustness == 0 { ROBUSTNESS } else { robustness };
        self.interval = if interval == 0 { QUERY_INTERVAL } else { Duration::from_secs(interval.into()) };
    }

    /// How often a change is told.
    pub(super) const fn repeats(&self) -> u8 {
        match self.mode {
            Mode::Newest => self.robustness,
            // RFC 2236 section 3: "repeated once or twice".
            Mode::Reports | Mode::Oldest => ROBUSTNESS,
        }
    }

    /// A querier of this version is there (RFC 3376 section 7.2.1 and 8.12, RFC 3810 section 8.2.1 and 9.12), but for no longer
    /// than is bounded, whatever another has said of its interval.
    pub(super) fn querier(&mut self, mode: Mode, now: Time) {
        let present = (self.interval * u32::from(self.robustness)).min(OLDER_QUERIER_MAX);
        let until = now + present + RESPONSE_INTERVAL;
        match mode {
            Mode::Newest => {}
            Mode::Reports => self.reports_until = until,
            Mode::Oldest => self.oldest_until = until,
        }
    }

    /// Finds the version to speak at `now`; true if it is another than before.
    pub(super) fn update(&mut self, now: Time) -> bool {
        let mode = if now < self.oldest_until {
            Mode::Oldest
        } else if now < self.reports_until {
            Mode::Reports
        } else {
            Mode::Newest
        };
        let changed = mode != self.mode;
        if changed {
            self.general_at = None;
        }
        self.mode = mode;
        changed
    }
}
