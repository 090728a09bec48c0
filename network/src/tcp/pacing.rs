// SPDX-License-Identifier: MIT OR Apache-2.0
//! Segments leave at a rate instead of in bursts: a token bucket, kept as the moment at which the next may leave.
//!
//! What must always hold: in any span of time no more leaves than the rate gives in it, plus one burst
//! ([`PACING_BURST`], or what the rate gives in [`PACING_CREDIT`] if that is less), plus what the last release was long.

use core::time::Duration;

use runtime::time::Time;

use crate::limits::{PACING_BURST, PACING_CREDIT};

/// When the next segment may leave.
#[derive(Clone, Copy, Debug)]
pub struct Pacer {
    next: Time,
}

impl Pacer {
    /// One that lets the first segments leave at once.
    #[must_use]
    pub const fn new(now: Time) -> Self {
        Self { next: now }
    }

    /// Bytes have left, at a rate in bytes per second.
    #[inline]
    pub fn release(&mut self, now: Time, bytes: u32, rate: u64) {
        // One division: the time of a whole burst, of which the others are parts.
        let burst = u64::from(PACING_BURST) * 1_000_000_000 / rate.max(1);
        let cost = burst.saturating_mul(u64::from(bytes)) / u64::from(PACING_BURST);
        let credit = burst.min(PACING_CREDIT.as_nanos() as u64);
        self.next = self.next.max(now - Duration::from_nanos(credit)) + Duration::from_nanos(cost);
    }

    /// When the next segment may leave; nothing: now.
    #[inline]
    #[must_use]
    pub fn ready_at(&self, now: Time) -> Option<Time> {
        (self.next > now).then_some(self.next)
    }
}

#[cfg(test)]
mod tests;
