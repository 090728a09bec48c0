// SPDX-License-Identifier: MIT OR Apache-2.0
//! Initial sequence numbers and the origins of clocks, which nobody outside can foresee (RFC 6528 section 3, RFC 7323 section
//! 7.1).
//!
//! What must always hold: between the same ends the numbers go on by one in about four microseconds, so that a new connection
//! begins behind the one before (RFC 9293 section 3.4.1); between others they say nothing.

use runtime::time::Time;

use super::seq::Seq;
use super::table::Flow;
use crate::keyed::Secret;

/// Where sequences and clocks of connections begin.
#[derive(Clone, Debug)]
pub struct Origins {
    sequences: Secret,
    clocks: Secret,
}

/// A sequence number is used up in 2^12 ns, where RFC 9293 section 3.4.1 has 4 µs: the circle closes in 4.9 hours.
const TICK_SHIFT: u32 = 12;

impl Origins {
    /// Those that belong to this secret.
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        Self { sequences: secret.derive("initial sequence numbers"), clocks: secret.derive("timestamps") }
    }

    /// The number of the SYN of a connection that begins now: ISN = M + F(ends, secret).
    #[must_use]
    pub fn sequence(&self, flow: &Flow, now: Time) -> Seq {
        Seq((now.as_nanos() >> TICK_SHIFT) as u32) + self.sequences.hash(flow) as u32
    }

    /// The origin of the clock that timestamps show to this peer; see [`super::clock`].
    #[must_use]
    pub fn clock(&self, flow: &Flow) -> u32 {
        self.clocks.hash(flow) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    fn flow(port: u16) -> Flow {
        Flow::new("10.0.0.1:80".parse().unwrap(), (core::net::Ipv4Addr::new(10, 0, 0, 2), port).into())
    }

    /// RFC 9293 section 3.4.1, RFC 6528 section 3.
    #[test]
    fn sequences_go_on_between_the_same_ends_and_differ_between_others() {
        let origins = Origins::new(&Secret([1; 16]));
        let start = Time::from_nanos(1 << 50);
        let first = origins.sequence(&flow(1), start);
        let later = origins.sequence(&flow(1), start + Duration::from_secs(1));
        assert!((240_000..=250_000).contains(&later.since(first)));
        assert_eq!(first, origins.sequence(&flow(1), start));
        let others: std::collections::HashSet<u32> =
            (1..200).map(|port| origins.sequence(&flow(port), start).0 >> 16).collect();
        assert!(others.len() > 190, "{}", others.len());
        assert_ne!(first, Origins::new(&Secret([2; 16])).sequence(&flow(1), start));
    }

    /// RFC 7323 section 7.1: the clocks of two connections say nothing of each other.
    #[test]
    fn clocks_have_origins_of_their_own() {
        let origins = Origins::new(&Secret([1; 16]));
        assert_eq!(origins.clock(&flow(1)), origins.clock(&flow(1)));
        assert_ne!(origins.clock(&flow(1)), origins.clock(&flow(2)));
    }
}
