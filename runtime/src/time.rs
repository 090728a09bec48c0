// SPDX-License-Identifier: MIT OR Apache-2.0
//! A point on the monotonic clock, as `clock_gettime(2)` has it for `CLOCK_MONOTONIC`.
//!
//! Time is read once per poll by the reactor and passed down as an argument. All arithmetic saturates, so that no
//! duration from outside can wrap a deadline into the past.

use core::fmt;
use core::ops::{Add, AddAssign, Sub};
use core::time::Duration;

/// Nanoseconds on the monotonic clock, from an origin that does not change while the host is up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(u64);

impl Time {
    /// The origin of the clock.
    pub const ZERO: Time = Time(0);

    /// Later than any moment that will come: a deadline that never passes.
    pub const MAX: Time = Time(u64::MAX);

    /// The moment that many nanoseconds after the origin.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub const fn saturating_since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A duration in nanoseconds; what does not fit (584 years and more) becomes the largest.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Add<Duration> for Time {
    type Output = Time;

    /// Saturates at [`Time::MAX`].
    fn add(self, duration: Duration) -> Time {
        Time(self.0.saturating_add(nanos(duration)))
    }
}

impl AddAssign<Duration> for Time {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Time {
    type Output = Time;

    /// Saturates at [`Time::ZERO`].
    fn sub(self, duration: Duration) -> Time {
        Time(self.0.saturating_sub(nanos(duration)))
    }
}

impl Sub for Time {
    type Output = Duration;

    /// The same as [`Time::saturating_since`].
    fn sub(self, earlier: Time) -> Duration {
        self.saturating_since(earlier)
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}s", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        let time = Time::from_nanos(1_500_000_000);
        assert_eq!((time + Duration::from_millis(500)).as_nanos(), 2_000_000_000);
        assert_eq!((time - Duration::from_millis(500)).as_nanos(), 1_000_000_000);
        assert_eq!(time + Duration::MAX, Time::MAX);
        assert_eq!(time - Duration::MAX, Time::ZERO);
        assert_eq!(time - Time::MAX, Duration::ZERO);
        assert_eq!(time - Time::ZERO, Duration::from_millis(1500));
        assert_eq!(Time::MAX.saturating_since(Time::MAX), Duration::ZERO);
    }

    #[test]
    fn debug_shows_seconds() {
        assert_eq!(format!("{:?}", Time::from_nanos(1_000_000_007)), "1.000000007s");
    }
}
