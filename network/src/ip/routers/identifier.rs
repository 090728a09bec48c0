// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interface identifiers that are the same each time on one link, and tell nothing on another (RFC 7217 §5).

use core::net::{IpAddr, Ipv6Addr};

use crate::ip::Prefix;
use crate::keyed::Secret;

/// The address of this host in a prefix of 64 bits of IPv6; `None` for any other prefix. `conflicts` is how many
/// addresses of that prefix another host was found to have.
///
/// The secret stands for the interface too: two of them in one host have two.
#[must_use]
pub fn stable_address(secret: &Secret, prefix: Prefix, conflicts: u8) -> Option<Ipv6Addr> {
    let IpAddr::V6(network) = prefix.network().address() else { return None };
    if prefix.length() != 64 {
        return None;
    }
    // Of 2^64 identifiers some 2^24 are reserved: the second try is already one that nobody will see.
    let identifier = (0..=u8::MAX)
        .map(|again| secret.hash(&(network, conflicts, again)))
        .find(|&identifier| !is_reserved(identifier))?;
    Some(Ipv6Addr::from_bits(network.to_bits() | u128::from(identifier)))
}

/// Identifiers that no host may take (RFC 5453 §3, as the registry has them today).
pub(super) fn is_reserved(identifier: u64) -> bool {
    matches!(identifier, 0 | 0x0200_5eff_fe00_0000..=0x0200_5eff_feff_ffff | 0xfdff_ffff_ffff_ff80..=0xfdff_ffff_ffff_ffff)
}
