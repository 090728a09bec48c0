// SPDX-License-Identifier: MIT OR Apache-2.0
//! What stands in packets: checked views over bytes, and values that parse and emit.
//!
//! Each protocol is a module with the same two types:
//!
//! - `View<'a>`: the packet where it lies. `View::new` checks every length once; no accessor can panic after that, and none
//!   copies more than a field. Checksums are not looked at unless the text of the type says so: a device may have done it.
//! - `Header`: the same as a plain value. `Header::parse` also checks what the fields mean, `Header::len` is what
//!   `Header::emit` writes, and parsing what was emitted gives the value back. Where the checksum covers a payload that lies
//!   elsewhere, `emit` leaves it zero and `complete` of the module fills it in from a [`checksum::Sum`] of the rest.
//!
//! Bytes from outside never make anything here panic, allocate or loop without end. An output that is shorter than `len` is
//! a mistake of the caller, not of a peer: it is asserted in debug builds, and nothing is written in release builds.

use core::fmt;

pub mod arp;
pub mod checksum;
pub mod dhcpv4;
pub mod ethernet;
#[cfg(any(fuzzing, test))]
pub mod fuzz;
pub mod icmpv4;
pub mod icmpv6;
pub mod igmp;
pub mod ipv4;
pub mod ipv6;
pub mod mld;
pub mod ndp;
pub(crate) mod segment;
pub mod tcp;
pub mod udp;
pub mod vlan;
pub(crate) mod whole;

mod bytes;
mod mac;
mod numbers;

pub use mac::{MacAddress, NotMac};
pub use numbers::{Ecn, EtherType, Protocol};

/// Why bytes are not the packet that they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Malformed {
    /// Shorter than its header or its own length says.
    Truncated,
    /// Of another version of the protocol.
    Version,
    /// A length in it contradicts another.
    Length,
    /// The checksum is wrong.
    Checksum,
    /// A field has a value that it must not have.
    Field,
    /// An option is cut off, has a wrong length, or is one that is refused.
    Options,
    /// An IPv6 extension header is out of place, of a kind that is refused, or one too many.
    Extension,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "shorter than its length",
            Self::Version => "another version",
            Self::Length => "lengths contradict each other",
            Self::Checksum => "wrong checksum",
            Self::Field => "a field out of its range",
            Self::Options => "bad option",
            Self::Extension => "bad extension header",
        })
    }
}

impl core::error::Error for Malformed {}

#[cfg(test)]
mod tests;
