// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which of several addresses a packet leaves with (RFC 6724 §5).
//!
//! Rules 4 (home addresses), 5 (outgoing interface) and 7 (temporary addresses) have nothing to choose between here: a
//! stack has one interface, and makes no temporary addresses. IPv4 goes by the same rules (§3.2, §5).

use core::cmp::Ordering;
use core::net::{IpAddr, Ipv6Addr};

use super::{Address, State};
use crate::ip::prefix::{high_bits, high_mask};

/// Scopes of RFC 4291 §2.7, by whose numbers RFC 6724 §3.1 compares unicast and multicast addresses.
const LINK_LOCAL: u8 = 2;
const SITE_LOCAL: u8 = 5;
const GLOBAL: u8 = 14;

/// The best source for `destination` among the addresses that are in use.
pub(super) fn source(addresses: &[Address], destination: IpAddr) -> Option<IpAddr> {
    let mut best: Option<&Address> = None;
    for candidate in addresses {
        let fits = candidate.prefix.address().is_ipv4() == destination.is_ipv4() && candidate.state != State::Tentative;
        // Of two that are as good the first stays.
        if fits && best.is_none_or(|best| compare(candidate, best, destination) == Ordering::Greater) {
            best = Some(candidate);
        }
    }
    best.map(|best| best.prefix.address())
}

/// `Greater` if `a` is the better source.
fn compare(a: &Address, b: &Address, destination: IpAddr) -> Ordering {
    let (address_a, address_b) = (a.prefix.address(), b.prefix.address());
    // Rule 1: the destination itself.
    (address_a == destination)
        .cmp(&(address_b == destination))
        // Rule 2: the smallest scope that reaches as far as the destination, and else the largest.
        .then_with(|| {
            let (a, b, wanted) = (scope(address_a), scope(address_b), scope(destination));
            match a.cmp(&b) {
                Ordering::Less if a < wanted => Ordering::Less,
                Ordering::Less => Ordering::Greater,
                Ordering::Greater if b < wanted => Ordering::Greater,
                Ordering::Greater => Ordering::Less,
                Ordering::Equal => Ordering::Equal,
            }
        })
        // Rule 3: not deprecated.
        .then_with(|| (a.state == State::Preferred).cmp(&(b.state == State::Preferred)))
        // Rule 6: the label of the destination.
        .then_with(|| {
            let wanted = label(destination);
            (label(address_a) == wanted).cmp(&(label(address_b) == wanted))
        })
        // Rule 8: the longest common prefix.
        .then_with(|| common(a, destination).cmp(&common(b, destination)))
}

/// How far an address reaches (RFC 6724 §3.1, §3.2; RFC 5771 §4 and RFC 2365 §6 for groups of IPv4).
fn scope(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(v4) => match v4.octets() {
            [224, 0, 0, _] => LINK_LOCAL,
            [239, 255, _, _] => SITE_LOCAL,
            _ if v4.is_link_local() || v4.is_loopback() => LINK_LOCAL,
            _ => GLOBAL,
        },
        IpAddr::V6(v6) => match v6.octets() {
            [0xff, flags_and_scope, ..] => flags_and_scope & 0xf,
            [0xfe, second, ..] if second & 0xc0 == 0xc0 => SITE_LOCAL,
            _ if v6.is_unicast_link_local() || v6.is_loopback() => LINK_LOCAL,
            _ => GLOBAL,
        },
    }
}

/// The default policy table (RFC 6724 §2.1): prefix, length, label. The longest stand first.
const POLICY: [(Ipv6Addr, u8, u8); 9] = [
    (Ipv6Addr::LOCALHOST, 128, 0),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96, 4),
    (Ipv6Addr::UNSPECIFIED, 96, 3),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32, 5),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, 2),
    (Ipv6Addr::new(0x3ffe, 0, 0, 0, 0, 0, 0, 0), 16, 12),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, 11),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, 13),
    (Ipv6Addr::UNSPECIFIED, 0, 1),
];

/// What kind of network an address belongs to, by the policy table.
fn label(address: IpAddr) -> u8 {
    let bits = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    };
    let matches = |(network, length, _): &&(Ipv6Addr, u8, u8)| (bits ^ network.to_bits()) & high_mask(*length) == 0;
    POLICY.iter().find(matches).map_or(0, |&(_, _, label)| label)
}

/// How many leading bits a source shares with the destination, at most the length of its prefix (RFC 6724 §2.2).
fn common(source: &Address, destination: IpAddr) -> u32 {
    let differing = high_bits(source.prefix.address()) ^ high_bits(destination);
    differing.leading_zeros().min(u32::from(source.prefix.length()))
}
