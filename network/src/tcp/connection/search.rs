// SPDX-License-Identifier: MIT OR Apache-2.0
//! [`Search`]: how much a path has room for again, once segments were made shorter for it (RFC 4821 section 7). Sizes are bytes of
//! payload and options together; `low` is always the size that segments have.
//!
//! ```text
//!   Ready ── a probe leaves ──▶ Probing ── it has come, or is lost: the range is narrower ──▶ Ready
//!     ▲                                └── too narrow to be worth a loss ──▶ Resting ── ten minutes ──┐
//!     └──────────────────────────────── nothing is known of what is too long any more ◀───────────────┘
//! ```
//!
//! The longest size that may fit is tried first: an outage looks like a path that drops long segments (section 7.7 leaves
//! `search_high` as it is), and a router that has said something says the next size by itself. Then follow the middles.

use runtime::time::Time;

use crate::limits::{TCP_PROBE_AGAIN, TCP_PROBE_RANGE, TCP_PROBES_UNCLEAR};
use crate::tcp::seq::Seq;

/// A search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Search {
    /// The longest size that may fit (section 7.1, `search_high`).
    high: u16,
    /// `high` itself was not tried yet, and is next.
    is_untried: bool,
    /// How many probes of one size were lost in a row, and nobody knows why: PROBE_COUNT of RFC 8899 section 5.1.3.
    unclear: u8,
    step: Step,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// A probe may leave from then on.
    Ready(Time),
    Probing(Probe),
    /// From then on the path may have become wider.
    Resting(Time),
}

/// A segment that is longer than the others, and the only one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Probe {
    pub start: Seq,
    pub end: Seq,
    pub size: u16,
    /// It was lost; whether something else was, too, is not clear yet.
    pub lost: bool,
}

/// Whether a path that takes `low` may take so much more that this is worth a probe.
pub(super) const fn is_worthwhile(low: u16, high: u16) -> bool {
    high.saturating_sub(low) >= TCP_PROBE_RANGE
}

impl Search {
    /// Segments of up to `high` were lost in silence (section 7.7).
    pub const fn in_silence(high: u16, now: Time) -> Self {
        Self { high, is_untried: true, unclear: 0, step: Step::Ready(now) }
    }

    /// A router has said that no more than `low` fits (RFC 1191 section 6.3: for ten minutes this is not tried).
    pub fn told(low: u16, now: Time) -> Self {
        Self { high: low, is_untried: false, unclear: 0, step: Step::Resting(now + TCP_PROBE_AGAIN) }
    }

    /// The probe that is under way.
    #[inline]
    pub const fn probe(&self) -> Option<&Probe> {
        if let Step::Probing(probe) = &self.step { Some(probe) } else { None }
    }

    /// Whether a probe may leave, as far as the time is concerned.
    #[inline]
    pub fn is_due(&self, now: Time) -> bool {
        match self.step {
            Step::Ready(at) | Step::Resting(at) => at <= now,
            Step::Probing(_) => false,
        }
    }

    /// The size of the next probe, if one may leave; never more than `most`, which the peer and the link take.
    pub fn next(&mut self, low: u16, most: u16, now: Time) -> Option<u16> {
        if let Step::Resting(until) = self.step
            && until <= now
        {
            *self = Self::in_silence(most, now);
        }
        if !self.is_due(now) {
            return None;
        }
        let high = self.high.min(most);
        if !is_worthwhile(low, high) {
            self.step = Step::Resting(now + TCP_PROBE_AGAIN);
            return None;
        }
        Some(if self.is_untried { high } else { low + (high - low).div_ceil(2) })
    }

    /// Not now, but from then on.
    pub const fn later(&mut self, at: Time) {
        self.step = Step::Ready(at);
    }

    /// A probe has left.
    pub const fn sent(&mut self, start: Seq, end: Seq, size: u16) {
        self.step = Step::Probing(Probe { start, end, size, lost: false });
    }

    /// It is lost; see [`Probe::lost`].
    pub const fn lost(&mut self) {
        if let Step::Probing(probe) = &mut self.step {
            probe.lost = true;
        }
    }

    /// It has come: `low` is its size now (section 7.6.1).
    pub fn arrived(&mut self, low: u16, now: Time) {
        self.unclear = 0;
        self.goes_on(low, now, now);
    }

    /// It was lost, and nothing else (section 7.6.2). The next may leave `at` that time.
    pub fn failed(&mut self, low: u16, at: Time, now: Time) {
        if let Step::Probing(probe) = self.step {
            self.narrow(probe.size.saturating_sub(1));
        }
        self.goes_on(low, at, now);
    }

    /// It was lost, but not alone, or the timer has found it so (sections 7.6.3, 7.6.4): the same size again `at` that time, but not
    /// for ever.
    pub fn is_unclear(&mut self, low: u16, at: Time, now: Time) {
        self.unclear += 1;
        if self.unclear >= TCP_PROBES_UNCLEAR {
            return self.failed(low, at, now);
        }
        self.goes_on(low, at, now);
    }

    /// A router has said that `size`, no less than `low`, is what fits, or nobody has. Gives the probe if it was longer; the next
    /// may leave `at` that time.
    pub fn bounded(&mut self, size: u16, low: u16, at: Time, now: Time) -> Option<Probe> {
        if size >= self.high {
            return None;
        }
        self.high = size;
        self.is_untried = true;
        self.unclear = 0;
        match self.step {
            Step::Probing(probe) if probe.size <= size => None,
            Step::Probing(probe) => {
                self.goes_on(low, at, now);
                Some(probe)
            }
            Step::Ready(before) => {
                self.goes_on(low, before, now);
                None
            }
            Step::Resting(_) => {
                self.step = Step::Resting(now + TCP_PROBE_AGAIN);
                None
            }
        }
    }

    /// Segments were lost in silence again, or for the first time since a router has said something: `low` is less now.
    pub fn fell(&mut self, before: u16, now: Time) {
        *self = Self::in_silence(self.high.max(before), now);
    }

    /// The longest that may fit is this.
    const fn narrow(&mut self, high: u16) {
        self.high = high;
        self.is_untried = false;
        self.unclear = 0;
    }

    fn goes_on(&mut self, low: u16, at: Time, now: Time) {
        self.step = if is_worthwhile(low, self.high) { Step::Ready(at) } else { Step::Resting(now + TCP_PROBE_AGAIN) };
    }
}

#[cfg(test)]
mod tests;
