// SPDX-License-Identifier: MIT OR Apache-2.0
//! What sockets are found by: the pair of a local address and port, and that of both ends.
//!
//! They hash as one to five words: a packet's key is hashed for every packet, and a `write` for each octet string would be
//! most of its cost.

use core::hash::{Hash, Hasher};
use core::net::IpAddr;

/// What kind of socket has a port. Their ports are spaces of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// UDP.
    Udp,
    /// ICMP echo: the port is the identifier.
    Echo,
}

/// A local address and port. The address is unspecified for a wildcard, and never v4-mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    pub kind: Kind,
    pub address: IpAddr,
    pub port: u16,
}

/// Both ends. The addresses are of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    pub local: Local,
    pub address: IpAddr,
    pub port: u16,
}

impl Local {
    /// The kind and the port as one word, whose high half is free.
    fn word(&self) -> u64 {
        u64::from(self.port) | (self.kind as u64) << 16
    }
}

impl Hash for Local {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.address {
            IpAddr::V4(address) => state.write_u64(u64::from(address.to_bits()) << 32 | self.word()),
            IpAddr::V6(address) => {
                let bits = address.to_bits();
                state.write_u64((bits >> 64) as u64);
                state.write_u64(bits as u64);
                state.write_u64(self.word());
            }
        }
    }
}

impl Hash for Flow {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.local.hash(state);
        match self.address {
            IpAddr::V4(address) => state.write_u64(u64::from(address.to_bits()) << 32 | u64::from(self.port)),
            IpAddr::V6(address) => {
                let bits = address.to_bits();
                state.write_u64((bits >> 64) as u64);
                state.write_u64(bits as u64);
                state.write_u64(u64::from(self.port));
            }
        }
    }
}
