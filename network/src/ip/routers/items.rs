// SPDX-License-Identifier: MIT OR Apache-2.0
//! What routers announce: themselves, prefixes of the link, and prefixes to make addresses from.

use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;

use runtime::time::Time;

use super::announced::Item;
use super::stable_address;
use crate::ip::Prefix;
use crate::ip::addresses::Lifetimes;
use crate::keyed::Secret;
use crate::limits::{ANNOUNCED_PREFIXES_MAX, ROUTERS_MAX, STABLE_ADDRESS_TRIES};

#[derive(Clone, Copy, Debug)]
pub(super) struct DefaultRouter {
    pub address: Ipv6Addr,
    /// Neighbour discovery has found that it does not answer.
    pub suspect: bool,
}

impl Item for DefaultRouter {
    const MAX: usize = ROUTERS_MAX;

    fn is_same(&self, other: &Self) -> bool {
        self.address == other.address
    }

    fn renew(&mut self, _: &Self) -> bool {
        false
    }
}

impl Item for Prefix {
    const MAX: usize = ANNOUNCED_PREFIXES_MAX;

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }

    fn renew(&mut self, _: &Self) -> bool {
        false
    }
}

/// A prefix that this host has made an address from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Autonomous {
    pub prefix: Prefix,
    pub lifetimes: Lifetimes,
    /// How many addresses of it turned out to be another host's.
    pub conflicts: u8,
}

impl Autonomous {
    pub const fn new(prefix: Prefix, lifetimes: Lifetimes) -> Self {
        Self { prefix, lifetimes, conflicts: 0 }
    }

    /// The address; `None` if too many turned out to be taken (RFC 7217 §6).
    pub fn address(&self, secret: &Secret) -> Option<Ipv6Addr> {
        if self.conflicts < STABLE_ADDRESS_TRIES { stable_address(secret, self.prefix, self.conflicts) } else { None }
    }

    pub fn with_address(&self, secret: &Secret) -> Option<Prefix> {
        Prefix::new(IpAddr::V6(self.address(secret)?), self.prefix.length()).ok()
    }
}

impl Item for Autonomous {
    /// One more than are announced: that of the link itself.
    const MAX: usize = ANNOUNCED_PREFIXES_MAX + 1;

    fn is_same(&self, other: &Self) -> bool {
        self.prefix == other.prefix
    }

    fn renew(&mut self, later: &Self) -> bool {
        let changed = self.lifetimes != later.lifetimes;
        self.lifetimes = later.lifetimes;
        changed
    }
}

/// Until when an address is valid that is so until `here`, when an advertisement that nobody vouches for says until
/// `said`: it is not cut shorter than two hours (RFC 4862 §5.5.3 e).
pub(super) fn renewed(here: Time, said: Time, now: Time) -> Time {
    let two_hours = now + Duration::from_hours(2);
    if said > two_hours || said > here { said } else { here.min(two_hours) }
}
