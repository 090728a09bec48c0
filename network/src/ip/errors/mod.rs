// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which packets may be answered by an ICMP error, and how much of them it quotes.
//!
//! What must always hold: no error answers an error, nor a packet that went to many, nor one whose source is not one
//! host (RFC 1122 §3.2.2, RFC 4443 §2.4 e): otherwise one packet could make many, or two hosts answer each other for
//! ever.

use core::net::IpAddr;

use crate::limits::MTU_MIN_V6;

/// Protocol numbers of ICMP in both families (RFC 792, RFC 4443 §1).
const ICMPV4: u8 = 1;
const ICMPV6: u8 = 58;

/// A packet that something was wrong with.
#[derive(Clone, Copy, Debug)]
pub struct Offender<'a> {
    /// Where it says that it came from.
    pub source: IpAddr,
    /// Where it went.
    pub destination: IpAddr,
    /// Whether the destination is a broadcast address of one of our prefixes.
    pub broadcast: bool,
    /// Whether its frame went to a broadcast or multicast address of the link.
    pub to_many: bool,
    /// Where its payload lies in the whole datagram, in bytes: above zero for all fragments but the first.
    pub offset: u16,
    /// The protocol above IP.
    pub protocol: u8,
    /// The payload above IP, or what there is of it.
    pub payload: &'a [u8],
}

/// What the error would say.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Complaint {
    /// Unreachable, time exceeded or a parameter problem.
    Usual,
    /// The packet was too big, or an IPv6 option is unknown that says so should be told (its highest bits are 10:
    /// parameter problem, code 2): in IPv6 these also answer what went to many.
    EvenToMany,
}

/// Whether an ICMP error may be sent to the source of this packet. How often is the business of [`rate`](super::rate).
#[must_use]
pub fn may_answer(offender: &Offender<'_>, complaint: Complaint) -> bool {
    if offender.offset > 0 || !is_host(offender.source) || is_error(offender.protocol, offender.payload) {
        return false;
    }
    let to_many = match offender.destination {
        IpAddr::V4(destination) => offender.broadcast || destination.is_broadcast() || destination.is_multicast(),
        IpAddr::V6(destination) => destination.is_multicast(),
    };
    let excepted = offender.destination.is_ipv6() && complaint == Complaint::EvenToMany;
    excepted || !(to_many || offender.to_many)
}

/// Whether the address names one host on a network. (Class E names none, RFC 1122 §3.2.2.)
fn is_host(source: IpAddr) -> bool {
    let reserved = match source {
        IpAddr::V4(source) => matches!(source.octets(), [0 | 240..=255, ..]),
        IpAddr::V6(_) => false,
    };
    !(reserved || source.is_unspecified() || source.is_multicast() || source.is_loopback())
}

/// Whether this is an ICMP error, a redirect, or something of ICMP that nobody knows to be none.
#[must_use]
pub fn is_error(protocol: u8, payload: &[u8]) -> bool {
    match (protocol, payload.first()) {
        // Queries and their replies: echo, router discovery, timestamp, information, address mask, extended echo (RFC
        // 8335).
        (ICMPV4, Some(kind)) => !matches!(kind, 0 | 8 | 9 | 10 | 13..=18 | 42 | 43),
        // Errors have a type below 128 (RFC 4443 §2.1); 137 is a redirect.
        (ICMPV6, Some(kind)) => *kind < 128 || *kind == 137,
        (ICMPV4 | ICMPV6, None) => true,
        _ => false,
    }
}

/// How many bytes of a packet, from its IP header on, an error to `source` quotes: as many as fit into the smallest
/// datagram that every host takes, 576 bytes in IPv4 (RFC 1812 §4.3.2.3) and the minimum MTU in IPv6 (RFC 4443 §2.4 c),
/// behind an IP header without options and the eight bytes of ICMP.
#[must_use]
pub fn quoted(source: IpAddr, packet: usize) -> usize {
    let room = match source {
        IpAddr::V4(_) => 576 - 20 - 8,
        IpAddr::V6(_) => MTU_MIN_V6 as usize - 40 - 8,
    };
    packet.min(room)
}

#[cfg(test)]
mod tests;
