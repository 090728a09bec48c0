// SPDX-License-Identifier: MIT OR Apache-2.0
//! Timestamps of a connection whose both ends have them, and PAWS (RFC 7323 sections 4 and 5).

use core::time::Duration;

use runtime::time::Time;

use crate::tcp::clock::{nanos, ticks};
use crate::wire::tcp::Timestamps;

/// How long the last timestamp of a silent peer is believed (RFC 7323 section 5.5).
const BELIEVED: Duration = Duration::from_hours(24 * 24);

/// The clocks of both ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamps {
    /// Of ours.
    pub origin: u32,
    /// What the peer's has shown last (TS.Recent).
    pub recent: u32,
}

impl Stamps {
    /// What is sent.
    #[inline]
    pub const fn now(self, now: Time) -> Timestamps {
        Timestamps { value: ticks(now, self.origin), echo: self.recent }
    }

    /// Whether a segment is older than one that has come before (RFC 7323 section 5.3, R1); `silence` is how long nothing came.
    #[inline]
    pub fn is_old(self, value: u32, silence: Duration) -> bool {
        value.wrapping_sub(self.recent).cast_signed() < 0 && silence < BELIEVED
    }

    /// The round trip that an echo tells (RFC 7323 section 4.1), and the last moment at which what it echoes can have left;
    /// `None` for one that our clock has not shown.
    #[inline]
    pub fn measure(self, echo: u32, now: Time) -> Option<(Duration, Time)> {
        let age = ticks(now, self.origin).wrapping_sub(echo);
        if age.cast_signed() < 0 {
            return None;
        }
        let begin = now.as_nanos() / TICK * TICK;
        let end = begin.checked_sub(nanos(age))? + (TICK - 1);
        Some((Duration::from_nanos(nanos(age)), Time::from_nanos(end)))
    }
}

/// Nanoseconds of a tick: a power of two.
const TICK: u64 = nanos(1);
