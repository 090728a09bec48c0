// SPDX-License-Identifier: MIT OR Apache-2.0
//! What routers say of better ways: for one destination each, another next hop (RFC 1122 §3.2.2.2 and §3.3.1.2, RFC 4861 §8.3).
//!
//! What must always hold: a redirect counts only as long as the routes still lead to the router that has said it; it is
//! believed only from that router; and there are at most [`REDIRECTS_MAX`], of which the oldest goes. Redirects for networks
//! count for the one destination, since nobody says how large the network is (RFC 1122 §3.2.2.2).
//!
//! Destinations are sorted, so that no choice of addresses makes a search long.

use alloc::vec::Vec;
use core::net::IpAddr;

use super::Hop;
use crate::limits::REDIRECTS_MAX;

#[derive(Clone, Copy, Debug)]
struct Entry {
    destination: IpAddr,
    /// Who has said it.
    router: IpAddr,
    /// To whom packets go instead: another router, or the destination itself.
    target: IpAddr,
    /// How many had come before.
    number: u64,
}

/// The redirects of one stack.
#[derive(Debug, Default)]
pub struct Redirects {
    entries: Vec<Entry>,
    count: u64,
}

impl Redirects {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new(), count: 0 }
    }

    fn find(&self, destination: IpAddr) -> Result<usize, usize> {
        self.entries.binary_search_by(|entry| entry.destination.cmp(&destination))
    }

    /// The neighbour that a packet to `destination` is handed to, where the routes say `hop`.
    #[must_use]
    pub fn next_hop(&self, destination: IpAddr, hop: Hop) -> IpAddr {
        // Nearly always so, and then no search.
        if self.entries.is_empty() {
            return hop.neighbour(destination);
        }
        match self.find(destination).ok().and_then(|at| self.entries.get(at)) {
            Some(entry) if hop == Hop::Gateway(entry.router) => entry.target,
            _ => hop.neighbour(destination),
        }
    }

    /// Takes in that `router` names `target` for packets to `destination`, which the routes send by `hop`. Says whether that
    /// is believed and news: it is not from a router that packets to there do not go to now.
    pub fn heard(&mut self, router: IpAddr, destination: IpAddr, target: IpAddr, hop: Hop) -> bool {
        let now = self.next_hop(destination, hop);
        let Hop::Gateway(gateway) = hop else { return false };
        if now != router || target == router || target.is_ipv4() != destination.is_ipv4() {
            return false;
        }
        self.count += 1;
        let entry = Entry { destination, router: gateway, target, number: self.count };
        match self.find(destination) {
            Ok(at) => {
                if let Some(here) = self.entries.get_mut(at) {
                    *here = entry;
                }
            }
            Err(_) => self.insert(entry),
        }
        true
    }

    fn insert(&mut self, entry: Entry) {
        if self.entries.len() >= REDIRECTS_MAX
            && let Some(oldest) =
                (0..self.entries.len()).min_by_key(|&at| self.entries.get(at).map(|entry| entry.number))
        {
            self.entries.remove(oldest);
        }
        if let Err(at) = self.find(entry.destination) {
            self.entries.insert(at, entry);
        }
    }

    /// A neighbour does not answer, or is no router any more: nothing goes by it (RFC 1122 §3.3.1.4). Says whether something
    /// did.
    pub fn gone(&mut self, neighbour: IpAddr) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.target != neighbour);
        self.entries.len() < before
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests;
