// SPDX-License-Identifier: MIT OR Apache-2.0
//! Identifications of datagrams that are, or may be, fragmented: hash-based selection (RFC 7739 §5.3, RFC 6864 §4).
//!
//! What must always hold: a pair of addresses and protocol gets no identification twice before the counter that it shares
//! with a few others has come round; and nobody who sees those that go to him can tell those that go to others.

use alloc::boxed::Box;
use alloc::vec;
use core::net::IpAddr;

use crate::keyed::Secret;
use crate::limits::IDENTIFICATION_COUNTERS;

const _: () = assert!(IDENTIFICATION_COUNTERS.is_power_of_two());

/// Where identifications come from.
#[derive(Debug)]
pub struct Identifications {
    secret: Secret,
    counters: Box<[u32]>,
}

impl Identifications {
    /// The secret is to be this use's alone ([`Secret::derive`]).
    #[must_use]
    pub fn new(secret: Secret) -> Self {
        Self { secret, counters: vec![0; IDENTIFICATION_COUNTERS].into_boxed_slice() }
    }

    /// The identification of the next datagram to be fragmented; IPv4 takes its low 16 bits. A datagram of IPv4 that
    /// may not be fragmented (DF) needs none, and may say zero (RFC 6864 §4.1).
    #[must_use]
    pub fn next(&mut self, source: IpAddr, destination: IpAddr, protocol: u8) -> u32 {
        let hash = self.secret.hash(&(source, destination, protocol));
        let (start, index) = ((hash >> 32) as u32, hash as usize & (IDENTIFICATION_COUNTERS - 1));
        let Some(counter) = self.counters.get_mut(index) else { return start };
        *counter = counter.wrapping_add(1);
        start.wrapping_add(*counter)
    }
}
