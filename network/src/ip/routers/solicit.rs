// SPDX-License-Identifier: MIT OR Apache-2.0
//! When routers are solicited: once in any case, and then again at growing intervals until a default router has
//! answered (RFC 4861 §6.3.7, RFC 7559 §2, with the arithmetic of RFC 8415 §15).

use core::time::Duration;

use runtime::time::Time;

use crate::keyed::Random;

/// `MAX_RTR_SOLICITATION_DELAY` (RFC 4861 §10): hosts that were switched on together do not speak at once.
const DELAY_MAX: Duration = Duration::from_secs(1);
/// IRT and MRT of RFC 7559 §2.
const FIRST: Duration = Duration::from_secs(4);
const LAST: Duration = Duration::from_hours(1);

#[derive(Debug)]
pub(super) struct Solicitor {
    random: Random,
    /// When to solicit; `None` once there is no more need to.
    next: Option<Time>,
    /// The interval before the next one; `None` before the first.
    interval: Option<Duration>,
    answered: bool,
}

impl Solicitor {
    pub fn new(mut random: Random, now: Time) -> Self {
        let next = Some(now + random.between(Duration::ZERO, DELAY_MAX));
        Self { random, next, interval: None, answered: false }
    }

    /// A router has said that it is a default router. Before the first solicitation that is no reason not to send one:
    /// what a router sends to all may lack what it says to who asks (RFC 4861 §6.3.7).
    pub fn answered(&mut self) {
        self.answered = true;
        if self.interval.is_some() {
            self.next = None;
        }
    }

    /// Whether to send one now.
    pub fn poll(&mut self, now: Time) -> bool {
        if self.next.is_none_or(|next| now < next) {
            return false;
        }
        let base = self.interval.map_or(FIRST, |before| (2 * before).min(LAST));
        // A tenth more or less: of the interval before, or of the first or the last one.
        let tenth = match self.interval {
            Some(before) if base < LAST => before / 10,
            _ => base / 10,
        };
        let interval = self.random.between(base.saturating_sub(tenth), base + tenth);
        self.interval = Some(interval);
        self.next = if self.answered { None } else { Some(now + interval) };
        true
    }

    pub fn next_deadline(&self) -> Option<Time> {
        self.next
    }
}
