// SPDX-License-Identifier: MIT OR Apache-2.0
//! Path MTU discovery: what ICMP has said about how much reaches a destination in one packet (RFC 1191, RFC 8201).
//!
//! What must always hold: no message raises an estimate (RFC 8201 §4); none gets below 1,280 bytes in IPv6, nor below
//! [`PATH_MTU_MIN_V4`] in IPv4; and an estimate that is older than ten minutes is no longer believed. That a message quotes
//! a packet which one of our sockets did send is checked by the caller.
//!
//! Destinations are sorted, so that no choice of addresses makes a search long.

use alloc::vec::Vec;
use core::net::IpAddr;

use runtime::time::Time;

use crate::limits::{MTU_MIN_V6, PATH_MTU_AGE, PATH_MTU_MIN_V4, PATH_MTUS_MAX};

/// The sizes that links have, largest first (RFC 1191 §7.1), for routers that say only that a packet was too big.
const PLATEAUS: [u16; 8] = [32_000, 17_914, 8166, 4352, 2002, 1492, 1006, 508];

/// What is known of the path to one destination.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PathMtu {
    /// The longest packet in bytes, IP header included.
    pub bytes: u16,
    /// Whether packets are to be sent with "don't fragment" (RFC 1191 §3). They are not where the path takes less than
    /// is believed of any: routers may then fragment. Of no meaning in IPv6.
    pub dont_fragment: bool,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    destination: IpAddr,
    path: PathMtu,
    heard: Time,
}

/// The path MTUs of one stack.
#[derive(Debug)]
pub struct PathMtus {
    link_v4: u16,
    link_v6: u16,
    entries: Vec<Entry>,
    version: u32,
}

impl PathMtus {
    /// Nothing is known but the MTU of the link, in bytes.
    #[must_use]
    pub const fn new(link: u16) -> Self {
        Self { link_v4: link, link_v6: link, entries: Vec::new(), version: 0 }
    }

    /// The MTU of the link has become this for IPv6, as a router may say (RFC 4861 §6.3.4). Routers of IPv6 have no say in
    /// IPv4.
    pub fn set_link_v6(&mut self, link: u16) {
        self.link_v6 = link;
        self.version = self.version.wrapping_add(1);
    }

    /// The same for IPv4, as a DHCP server may say (RFC 2132 §5.1).
    pub fn set_link_v4(&mut self, link: u16) {
        self.link_v4 = link;
        self.version = self.version.wrapping_add(1);
    }

    /// Another number whenever something has become smaller, or the link another. What grows because it is too old to be
    /// believed is no news.
    #[inline]
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }

    fn find(&self, destination: IpAddr) -> Result<usize, usize> {
        self.entries.binary_search_by(|entry| entry.destination.cmp(&destination))
    }

    /// What reaches a destination of which nothing is known.
    #[inline]
    #[must_use]
    pub const fn link(&self, destination: IpAddr) -> PathMtu {
        let bytes = if destination.is_ipv4() { self.link_v4 } else { self.link_v6 };
        PathMtu { bytes, dont_fragment: true }
    }

    /// What reaches `destination`.
    #[inline]
    #[must_use]
    pub fn get(&self, destination: IpAddr, now: Time) -> PathMtu {
        let link = self.link(destination);
        // Nearly always so, and then no search.
        if self.entries.is_empty() {
            return link;
        }
        match self.find(destination).ok().and_then(|at| self.entries.get(at)) {
            Some(entry) if now < entry.heard + PATH_MTU_AGE => {
                PathMtu { bytes: entry.path.bytes.min(link.bytes), ..entry.path }
            }
            _ => link,
        }
    }

    /// A router has said that a packet of ours to `destination`, `sent` bytes long with its IP header, was too big, and
    /// that `next_hop` bytes would fit; old routers of IPv4 say zero (RFC 1191 §5). Gives the new path MTU, if that is
    /// news.
    pub fn too_big(&mut self, destination: IpAddr, next_hop: u32, sent: u16, now: Time) -> Option<PathMtu> {
        let before = self.get(destination, now);
        let said = u16::try_from(next_hop).unwrap_or(u16::MAX);
        // A packet that would have fitted was not too big: whoever says so has not seen it.
        if said >= sent {
            return None;
        }
        let path = match destination {
            IpAddr::V4(_) => {
                // 68 is the smallest MTU that there is in IPv4 (RFC 791 §3.2): less is no number to believe.
                let said = if said < 68 { PLATEAUS.into_iter().find(|size| *size < sent)? } else { said };
                PathMtu {
                    bytes: said.max(PATH_MTU_MIN_V4),
                    dont_fragment: before.dont_fragment && said >= PATH_MTU_MIN_V4,
                }
            }
            // A message that says less is discarded (RFC 8201 §4).
            IpAddr::V6(_) if said < MTU_MIN_V6 => return None,
            IpAddr::V6(_) => PathMtu { bytes: said, dont_fragment: true },
        };
        if path.bytes > before.bytes || path == before {
            return None;
        }
        self.version = self.version.wrapping_add(1);
        let entry = Entry { destination, path, heard: now };
        match self.find(destination) {
            Ok(at) => {
                if let Some(here) = self.entries.get_mut(at) {
                    *here = entry;
                }
            }
            Err(_) => self.insert(entry),
        }
        Some(path)
    }

    fn insert(&mut self, entry: Entry) {
        if self.entries.len() >= PATH_MTUS_MAX {
            self.entries.retain(|old| entry.heard < old.heard + PATH_MTU_AGE);
        }
        if self.entries.len() >= PATH_MTUS_MAX
            && let Some(oldest) =
                (0..self.entries.len()).min_by_key(|&at| self.entries.get(at).map(|entry| entry.heard))
        {
            self.entries.remove(oldest);
        }
        if let Err(at) = self.find(entry.destination) {
            self.entries.insert(at, entry);
        }
    }

    /// How many destinations there are with an estimate, those that are too old included.
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
