// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who listens where: found by address and port, a named address before a wildcard, and IPv4's wildcard before that of IPv6.
//! Several that share an address (`SO_REUSEPORT`) have a flow each, by its hash.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hashbrown::HashMap;

use crate::keyed::{Keyed, Secret};

/// The sockets that listen.
pub(super) struct Listeners {
    at: HashMap<(IpAddr, u16), Vec<u32>, Keyed>,
}

impl Listeners {
    pub fn new(secret: &Secret) -> Self {
        Self { at: HashMap::with_hasher(secret.derive("listeners").hasher()) }
    }

    pub fn insert(&mut self, address: IpAddr, port: u16, index: u32) {
        self.at.entry((address, port)).or_default().push(index);
    }

    pub fn remove(&mut self, address: IpAddr, port: u16, index: u32) {
        if let Some(sharing) = self.at.get_mut(&(address, port)) {
            sharing.retain(|other| *other != index);
            if sharing.is_empty() {
                self.at.remove(&(address, port));
            }
        }
    }

    /// Whom a SYN to this address is for, of those that `serves` says take it.
    pub fn find(&self, address: IpAddr, port: u16, hash: u32, serves: impl Fn(u32) -> bool) -> Option<u32> {
        if self.at.is_empty() {
            return None;
        }
        let wildcards = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
        // Of IPv6, the second alone.
        let wildcards = wildcards.into_iter().skip(usize::from(address.is_ipv6()));
        [address].into_iter().chain(wildcards).find_map(|address| {
            let sharing = self.at.get(&(address, port))?;
            let serving = || sharing.iter().copied().filter(|index| serves(*index));
            match serving().count() {
                0 => None,
                count => serving().nth(hash as usize % count),
            }
        })
    }
}
