// SPDX-License-Identifier: MIT OR Apache-2.0
//! The clock of timestamps (RFC 7323 section 5.4): about one tick in a millisecond, and from an origin of its own for each
//! pair of ends, so that it tells nobody how long the host is up or which connections are of one host (section 7.1).
//!
//! What must always hold: between one and a thousand ticks in a second, as section 5.4 has it; a later moment never has a
//! smaller number, but for the wrap after some fifty days.

use runtime::time::Time;

/// A tick is 2^20 ns: a shift in place of a division, and 5 % more than a millisecond.
const TICK_SHIFT: u32 = 20;

/// What the clock with this origin shows.
#[inline]
#[must_use]
pub const fn ticks(now: Time, origin: u32) -> u32 {
    ((now.as_nanos() >> TICK_SHIFT) as u32).wrapping_add(origin)
}

/// Nanoseconds of so many ticks.
#[inline]
#[must_use]
pub const fn nanos(ticks: u32) -> u64 {
    (ticks as u64) << TICK_SHIFT
}
