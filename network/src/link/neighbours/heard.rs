// SPDX-License-Identifier: MIT OR Apache-2.0
//! What packets say about neighbours: RFC 826 and RFC 4861 sections 6.3.4, 7.2.3 and 7.2.5.

use core::net::IpAddr;

use runtime::time::Time;

use super::Neighbours;
use super::entry::Entry;
use super::timing::LOCK;
use super::types::{Heard, Kind, State};
use crate::limits::NEIGHBOURS_LOOK_MAX;
use crate::wire::MacAddress;

/// Whether an address can be that of a neighbour.
pub(super) fn is_host(address: IpAddr) -> bool {
    !address.is_unspecified()
        && !address.is_multicast()
        && !address.is_loopback()
        && !matches!(address, IpAddr::V4(address) if address.is_broadcast())
}

impl Neighbours {
    /// Takes what a packet said about a neighbour.
    pub fn heard(&mut self, heard: Heard, now: Time) {
        // RFC 1812 section 3.3.2: no host has a group's MAC address.
        if !is_host(heard.address) || heard.mac.is_some_and(|mac| !mac.is_unicast()) {
            self.counters.refused += 1;
            return;
        }
        let Some(index) = self.find(heard.address) else {
            if let (Some(mac), Kind::Request | Kind::Solicitation | Kind::Router) = (heard.mac, heard.kind) {
                self.met(heard, mac, now);
            }
            return;
        };
        let Some(entry) = self.entries.at(index) else { return };
        if entry.state == State::Static {
            return;
        }
        match (heard.kind, heard.mac) {
            (Kind::Advertisement { solicited, override_, router }, mac) => {
                self.advertised(index, mac, [solicited, override_, router], now);
            }
            (Kind::Reply, Some(mac)) if matches!(entry.state, State::Incomplete | State::Probe) => {
                // The question to one host is answered by that host only; if another answers, it is to be asked in turn.
                let asked = entry.state == State::Incomplete || entry.mac == mac;
                self.learn(index, mac, now);
                if asked {
                    self.answered(index, now);
                }
            }
            // An answer to us that nobody has asked for: no host has a reason to send one, and it is how caches are poisoned. Who
            // has moved says so to all, or asks for us.
            (Kind::Reply, Some(mac)) if !entry.is_unresolved() => self.counters.locked += u64::from(entry.mac != mac),
            (Kind::Request | Kind::Reply | Kind::Gratuitous, Some(mac)) => {
                if entry.is_unresolved() || now >= entry.learned + LOCK {
                    self.learn(index, mac, now);
                } else if entry.mac != mac {
                    self.counters.locked += 1;
                }
            }
            (Kind::Solicitation | Kind::Router, mac) => {
                if let Some(mac) = mac {
                    self.learn(index, mac, now);
                }
                if heard.kind == Kind::Router
                    && let Some(entry) = self.entries.at_mut(index)
                {
                    entry.router = true;
                }
            }
            (Kind::Request | Kind::Reply | Kind::Gratuitous, None) => self.counters.refused += 1,
        }
    }

    /// Somebody unknown asks for us: an entry that is stale (RFC 4861 section 7.2.3) and, since nothing was ever sent to it,
    /// the first to make place.
    fn met(&mut self, heard: Heard, mac: MacAddress, now: Time) {
        let mut entry = Entry::new(heard.address, State::Stale);
        entry.mac = mac;
        entry.learned = now;
        entry.router = heard.kind == Kind::Router;
        self.insert(entry, NEIGHBOURS_LOOK_MAX, now);
    }

    /// Somebody says what his MAC address is: if that is news, the entry is stale from then on.
    fn learn(&mut self, index: u32, mac: MacAddress, now: Time) {
        let Some(entry) = self.entries.at_mut(index) else { return };
        if !entry.is_unresolved() && entry.mac == mac {
            return;
        }
        entry.mac = mac;
        entry.learned = now;
        self.enter(index, State::Stale);
        self.list_waiting(index);
    }

    /// A neighbour advertisement (RFC 4861 section 7.2.5); flags: solicited, override, router.
    fn advertised(&mut self, index: u32, mac: Option<MacAddress>, flags: [bool; 3], now: Time) {
        let [solicited, override_, router] = flags;
        let Some(entry) = self.entries.at_mut(index) else { return };
        // That it answers is believed only where something was asked.
        let solicited = solicited && matches!(entry.state, State::Incomplete | State::Probe);
        if entry.is_unresolved() {
            // Without the option there is nothing to learn.
            let Some(mac) = mac else { return };
            entry.router = router;
            self.learn(index, mac, now);
        } else {
            let other = mac.filter(|mac| *mac != entry.mac);
            if !override_ && other.is_some() {
                self.counters.locked += 1;
                if entry.state == State::Reachable {
                    self.enter(index, State::Stale);
                }
                return;
            }
            if entry.router && !router {
                entry.resigned = true;
            }
            entry.router = router;
            if entry.resigned {
                self.list(index);
            }
            if let Some(mac) = other {
                self.learn(index, mac, now);
            }
        }
        if solicited {
            self.answered(index, now);
        }
    }

    /// The neighbour has answered a solicitation.
    fn answered(&mut self, index: u32, now: Time) {
        self.reachable(index, now);
        self.list_waiting(index);
        if let Some(entry) = self.entries.at_mut(index) {
            entry.learned = now;
        }
    }
}
