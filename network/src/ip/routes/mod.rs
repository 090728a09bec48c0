// SPDX-License-Identifier: MIT OR Apache-2.0
//! The routing table: the longest prefix wins, then a gateway that answers, then the smaller metric, then what was added first
//! (RFC 1122 §3.3.1, RFC 4861 §5.2).
//!
//! What must always hold: routes are sorted in that order, so that the first that matches is the one. A host has few of
//! them, and a walk over a few words of each is less work than any index.

use alloc::vec::Vec;
use core::cmp::Reverse;
use core::net::IpAddr;

use runtime::{Errno, Error, Result};

use super::Prefix;
use super::prefix::{high_bits, high_mask};
use crate::limits::ROUTES_MAX;

const FULL: Error = Error::new(Errno::MFILE, "the routing table is full");
const OTHER_FAMILY: Error = Error::new(Errno::INVAL, "a gateway is of the family of its route");
const NOT_A_HOST: Error = Error::new(Errno::INVAL, "a gateway is the address of one host");

/// Where a packet goes next.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Hop {
    /// To its destination, which is a neighbour.
    OnLink,
    /// To this neighbour, which forwards it.
    Gateway(IpAddr),
}

impl Hop {
    /// The neighbour that a packet to `destination` is handed to.
    #[must_use]
    pub const fn neighbour(self, destination: IpAddr) -> IpAddr {
        match self {
            Hop::OnLink => destination,
            Hop::Gateway(gateway) => gateway,
        }
    }
}

/// One line of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Route {
    /// What it leads to.
    pub prefix: Prefix,
    /// Which way.
    pub hop: Hop,
    /// Of two routes with one prefix the one with the smaller metric is taken.
    pub metric: u32,
}

/// What the hot path needs of a route.
#[derive(Clone, Copy)]
struct Entry {
    network: u128,
    mask: u128,
    route: Route,
    /// Somebody on the network has said so.
    learned: bool,
}

/// The routing table of one stack, for both families.
#[derive(Default)]
pub struct Routes {
    v4: Vec<Entry>,
    v6: Vec<Entry>,
    /// Gateways that did not answer when they were last asked.
    suspects: Vec<IpAddr>,
}

impl Routes {
    /// An empty table.
    #[must_use]
    pub const fn new() -> Self {
        Self { v4: Vec::new(), v6: Vec::new(), suspects: Vec::new() }
    }

    fn family(&mut self, address: IpAddr) -> &mut Vec<Entry> {
        match address {
            IpAddr::V4(_) => &mut self.v4,
            IpAddr::V6(_) => &mut self.v6,
        }
    }

    /// Adds a route, or gives the one of the same prefix and hop another metric. Bits behind the prefix do not count.
    ///
    /// # Errors
    /// `EINVAL` if the gateway is of the other family, or unspecified, multicast, broadcast or loopback; `EMFILE`
    /// beyond [`ROUTES_MAX`].
    pub fn add(&mut self, route: Route) -> Result<()> {
        self.insert(route, false)
    }

    /// The same of a route that routers or servers announce, which leaves one of the configuration as it is.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn learn(&mut self, route: Route) -> Result<()> {
        if self.is_configured(route.prefix, route.hop) { Ok(()) } else { self.insert(route, true) }
    }

    /// Takes such a route out, and says whether there was one.
    pub fn forget(&mut self, prefix: Prefix, hop: Hop) -> bool {
        !self.is_configured(prefix, hop) && self.remove(prefix, hop)
    }

    fn is_configured(&self, prefix: Prefix, hop: Hop) -> bool {
        let prefix = prefix.network();
        let mut table = self.v4.iter().chain(&self.v6);
        table.any(|entry| !entry.learned && (entry.route.prefix, entry.route.hop) == (prefix, hop))
    }

    fn insert(&mut self, route: Route, learned: bool) -> Result<()> {
        let prefix = route.prefix.network();
        if let Hop::Gateway(gateway) = route.hop {
            if gateway.is_ipv4() != prefix.address().is_ipv4() {
                return Err(OTHER_FAMILY);
            }
            let limited = matches!(gateway, IpAddr::V4(gateway) if gateway.is_broadcast());
            if gateway.is_unspecified() || gateway.is_multicast() || gateway.is_loopback() || limited {
                return Err(NOT_A_HOST);
            }
        }
        self.remove(prefix, route.hop);
        if self.len() >= ROUTES_MAX {
            return Err(FULL);
        }
        let entry = Entry {
            network: high_bits(prefix.address()),
            mask: high_mask(prefix.length()),
            route: Route { prefix, ..route },
            learned,
        };
        let table = self.family(prefix.address());
        let order = |route: &Route| (Reverse(route.prefix.length()), route.metric);
        let at = table.partition_point(|before| order(&before.route) <= order(&entry.route));
        table.insert(at, entry);
        Ok(())
    }

    /// Takes the route of this prefix and hop out, and says whether there was one.
    pub fn remove(&mut self, prefix: Prefix, hop: Hop) -> bool {
        let prefix = prefix.network();
        let table = self.family(prefix.address());
        let before = table.len();
        table.retain(|entry| (entry.route.prefix, entry.route.hop) != (prefix, hop));
        let removed = table.len() < before;
        if let Hop::Gateway(gateway) = hop
            && !self.iter().any(|route| route.hop == hop)
        {
            self.suspect(gateway, false);
        }
        removed
    }

    /// Which way a packet to `destination` goes; `None` if there is none (`ENETUNREACH`).
    ///
    /// Multicast, the limited broadcast address and link-local IPv6 addresses are on the link whatever the table says
    /// (RFC 1122 §3.3.1.1, RFC 4861 §5.1 and §5.2).
    #[inline]
    #[must_use]
    pub fn lookup(&self, destination: IpAddr) -> Option<Hop> {
        let (table, always) = match destination {
            IpAddr::V4(address) => (&self.v4, address.is_multicast() || address.is_broadcast()),
            IpAddr::V6(address) => (&self.v6, address.is_multicast() || address.is_unicast_link_local()),
        };
        if always {
            return Some(Hop::OnLink);
        }
        let bits = high_bits(destination);
        let mut leading =
            table.iter().filter(|entry| (bits ^ entry.network) & entry.mask == 0).map(|entry| &entry.route);
        let first = leading.next()?;
        if self.suspects.is_empty() || !self.is_suspect(first.hop) {
            return Some(first.hop);
        }
        let others = leading.take_while(|route| route.prefix == first.prefix);
        Some(others.map(|route| route.hop).find(|hop| !self.is_suspect(*hop)).unwrap_or(first.hop))
    }

    #[cold]
    fn is_suspect(&self, hop: Hop) -> bool {
        matches!(hop, Hop::Gateway(gateway) if self.suspects.contains(&gateway))
    }

    /// Whether a gateway answers, by what is known of neighbours: one that does not is taken only where no other one has the
    /// same prefix (RFC 1122 §3.3.1.4 and §3.3.1.5). Says whether that is news.
    pub fn suspect(&mut self, gateway: IpAddr, suspect: bool) -> bool {
        let known = self.suspects.iter().position(|here| *here == gateway);
        match known {
            Some(at) if !suspect => {
                self.suspects.swap_remove(at);
                true
            }
            None if suspect && self.iter().any(|route| route.hop == Hop::Gateway(gateway)) => {
                self.suspects.push(gateway);
                true
            }
            _ => false,
        }
    }

    /// How many routes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The routes in the order in which they are tried, IPv4 first.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.v4.iter().chain(&self.v6).map(|entry| &entry.route)
    }
}

#[cfg(test)]
mod tests;
