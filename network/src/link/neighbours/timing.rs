// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long a neighbour is believed and how often it is asked: RFC 4861 sections 6.3.2 and 10. ARP has the same times, which
//! satisfy RFC 1122 section 2.3.2.1 (at most one request a second for one address).

use core::time::Duration;

use runtime::time::Time;

use crate::keyed::Random;

/// How long an address in use is not asked for after it was last heard from: DELAY_FIRST_PROBE_TIME.
pub(super) const DELAY_FIRST_PROBE: Duration = Duration::from_secs(5);
/// MAX_MULTICAST_SOLICIT.
pub(super) const MULTICAST_SOLICITS_MAX: u8 = 3;
/// MAX_UNICAST_SOLICIT.
pub(super) const UNICAST_SOLICITS_MAX: u8 = 3;
/// How long packets to a neighbour that did not answer fail at once.
pub(super) const FAILED_HOLD: Duration = Duration::from_secs(3);
/// How long an ARP entry stands against others that nobody asked for: of several answers, the first counts.
pub(super) const LOCK: Duration = Duration::from_secs(1);

const REACHABLE: Duration = Duration::from_secs(30);
const RETRANSMIT: Duration = Duration::from_secs(1);
/// AdvReachableTime is at most an hour (section 6.2.1).
const REACHABLE_MAX: Duration = Duration::from_hours(1);
/// A router cannot make us ask faster or slower than this.
const RETRANSMIT_RANGE: [Duration; 2] = [Duration::from_millis(100), Duration::from_mins(1)];
/// A new random factor is drawn "at least every few hours" (section 6.3.4).
const REDRAW: Duration = Duration::from_hours(2);

/// The times of one address family.
pub(super) struct Timing {
    base_reachable: Duration,
    reachable: Duration,
    redraw: Time,
    retransmit: Duration,
}

impl Timing {
    pub(super) const fn new() -> Self {
        Self { base_reachable: REACHABLE, reachable: REACHABLE, redraw: Time::ZERO, retransmit: RETRANSMIT }
    }

    /// ReachableTime: half to one and a half of what the router said, so that hosts do not ask in step.
    pub(super) fn reachable(&mut self, random: &mut Random, now: Time) -> Duration {
        if now >= self.redraw {
            self.reachable = random.between(self.base_reachable / 2, self.base_reachable * 3 / 2);
            self.redraw = now + REDRAW;
        }
        self.reachable
    }

    /// RetransTimer: between two solicitations of one neighbour.
    pub(super) const fn retransmit(&self) -> Duration {
        self.retransmit
    }

    /// Takes what a router advertises; zero says nothing (section 6.3.4).
    pub(super) fn advertised(&mut self, reachable: Duration, retransmit: Duration) {
        let reachable = reachable.min(REACHABLE_MAX);
        if !reachable.is_zero() && reachable != self.base_reachable {
            self.base_reachable = reachable;
            self.redraw = Time::ZERO;
        }
        if !retransmit.is_zero() {
            self.retransmit = retransmit.clamp(RETRANSMIT_RANGE[0], RETRANSMIT_RANGE[1]);
        }
    }
}
