// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sequence numbers: a circle of 2^32, on which one is before another if it is less than half of it away (RFC 9293 section
//! 3.4).

use core::cmp::Ordering;
use core::ops::{Add, AddAssign, Sub};

/// A sequence number. Two are compared as long as they are less than 2^31 apart, as all in one window are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Seq(pub u32);

impl Seq {
    /// Whether it comes before the other.
    #[inline]
    #[must_use]
    pub const fn is_before(self, other: Self) -> bool {
        (self.0.wrapping_sub(other.0)).cast_signed() < 0
    }

    /// Whether it comes behind the other.
    #[inline]
    #[must_use]
    pub const fn is_behind(self, other: Self) -> bool {
        other.is_before(self)
    }

    /// The later of the two.
    #[inline]
    #[must_use]
    pub const fn max(self, other: Self) -> Self {
        if self.is_before(other) { other } else { self }
    }

    /// The earlier of the two.
    #[inline]
    #[must_use]
    pub const fn min(self, other: Self) -> Self {
        if self.is_before(other) { self } else { other }
    }

    /// How many numbers lie from an earlier one to this; 0 if the other is not earlier.
    #[inline]
    #[must_use]
    pub const fn since(self, earlier: Self) -> u32 {
        let distance = self.0.wrapping_sub(earlier.0);
        if distance.cast_signed() < 0 { 0 } else { distance }
    }

    /// Whether it lies in `start..end`.
    #[inline]
    #[must_use]
    pub const fn is_in(self, start: Self, end: Self) -> bool {
        !self.is_before(start) && self.is_before(end)
    }
}

impl Add<u32> for Seq {
    type Output = Self;

    #[inline]
    fn add(self, count: u32) -> Self {
        Self(self.0.wrapping_add(count))
    }
}

impl AddAssign<u32> for Seq {
    #[inline]
    fn add_assign(&mut self, count: u32) {
        *self = *self + count;
    }
}

impl Sub<u32> for Seq {
    type Output = Self;

    #[inline]
    fn sub(self, count: u32) -> Self {
        Self(self.0.wrapping_sub(count))
    }
}

impl PartialOrd for Seq {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self.0.wrapping_sub(other.0)).cast_signed() {
            0 => Some(Ordering::Equal),
            // Half of the circle away: neither is before the other.
            i32::MIN => None,
            1.. => Some(Ordering::Greater),
            _ => Some(Ordering::Less),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_circle_closes() {
        let last = Seq(u32::MAX);
        assert_eq!(last + 1, Seq(0));
        assert!(last.is_before(last + 1) && (last + 1).is_behind(last));
        assert_eq!((last.max(Seq(3)), last.min(Seq(3))), (Seq(3), last));
        assert_eq!((Seq(3).since(last), last.since(Seq(3))), (4, 0));
        assert!(last.is_in(last, Seq(0)) && !Seq(0).is_in(last, Seq(0)));
        assert_eq!(Seq(0).partial_cmp(&Seq(1 << 31)), None);
    }

    proptest! {
        #[test]
        fn order_is_that_of_distance(start: u32, distance in 1_u32..1 << 31) {
            let (one, other) = (Seq(start), Seq(start) + distance);
            prop_assert!(one < other);
            prop_assert!(other > one);
            prop_assert_eq!(other.since(one), distance);
            prop_assert_eq!(other - distance, one);
        }
    }
}
