// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who has which port: what `bind(2)` and `listen(2)` ask, and a port of its own for who names none.
//!
//! What must always hold: a question takes the same time however many connections a port has, for they are counted by address;
//! which port comes next nobody outside can foresee (RFC 6056). A connection from a port that nobody has named holds none: its
//! ends are its own, and the port is another's to listen at.

use alloc::vec::Vec;
use core::net::IpAddr;

use hashbrown::HashMap;

use crate::keyed::{Keyed, Random, Secret};
use crate::limits::EPHEMERAL_FIRST;
use crate::tcp::table::Flow;

const PORTS: u32 = u16::MAX as u32 - EPHEMERAL_FIRST as u32 + 1;
/// Counters of connections, each for a share of all peers (RFC 6056 section 3.3.4).
const COUNTERS: usize = 256;

/// With whom a socket shares its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sharing {
    pub v6_only: bool,
    /// `SO_REUSEADDR`.
    pub address: bool,
    /// `SO_REUSEPORT`.
    pub port: bool,
}

impl Sharing {
    /// Of a connection that has ended, and whose port is held until it is forgotten.
    pub const fn of_the_dead((address, port): (bool, bool)) -> Self {
        Self { v6_only: false, address, port }
    }
}

/// A port that was found to be free, and how it was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    pub port: u16,
    counter: usize,
    next: u32,
}

/// Those that have a port at one address.
#[derive(Debug)]
struct Holder {
    address: IpAddr,
    v6_only: bool,
    sockets: u32,
    listening: u32,
    /// How many of them do not share it by `SO_REUSEADDR`, and how many not by `SO_REUSEPORT`.
    not_by_address: u32,
    not_by_port: u32,
}

impl Holder {
    fn meets(&self, address: IpAddr, v6_only: bool) -> bool {
        let covers = |wildcard: IpAddr, v6_only: bool, other: IpAddr| {
            wildcard.is_unspecified() && (wildcard.is_ipv4() == other.is_ipv4() || (wildcard.is_ipv6() && !v6_only))
        };
        self.address == address || covers(self.address, self.v6_only, address) || covers(address, v6_only, self.address)
    }
}

/// The ports of one stack's stream sockets.
pub(super) struct Ports {
    held: HashMap<u16, Vec<Holder>, Keyed>,
    random: Random,
    offsets: Secret,
    counters: [u32; COUNTERS],
}

impl Ports {
    pub fn new(secret: &Secret) -> Self {
        Self {
            held: HashMap::with_hasher(secret.derive("held ports").hasher()),
            random: Random::new(secret.derive("ports")),
            offsets: secret.derive("port offsets"),
            counters: [0; COUNTERS],
        }
    }

    /// One more socket has the port.
    pub fn hold(&mut self, port: u16, address: IpAddr, sharing: Sharing) {
        let holders = self.held.entry(port).or_default();
        let same = |holder: &Holder| holder.address == address && holder.v6_only == sharing.v6_only;
        let at = holders.iter().position(same).unwrap_or_else(|| {
            let v6_only = sharing.v6_only;
            holders.push(Holder { address, v6_only, sockets: 0, listening: 0, not_by_address: 0, not_by_port: 0 });
            holders.len() - 1
        });
        if let Some(holder) = holders.get_mut(at) {
            holder.sockets += 1;
            holder.not_by_address += u32::from(!sharing.address);
            holder.not_by_port += u32::from(!sharing.port);
        }
    }

    fn holder(&mut self, port: u16, address: IpAddr, sharing: Sharing) -> Option<&mut Holder> {
        let same = |holder: &&mut Holder| holder.address == address && holder.v6_only == sharing.v6_only;
        self.held.get_mut(&port)?.iter_mut().find(same)
    }

    /// One less has.
    pub fn release(&mut self, port: u16, address: IpAddr, sharing: Sharing) {
        let Some(holder) = self.holder(port, address, sharing) else { return };
        holder.sockets = holder.sockets.saturating_sub(1);
        holder.not_by_address = holder.not_by_address.saturating_sub(u32::from(!sharing.address));
        holder.not_by_port = holder.not_by_port.saturating_sub(u32::from(!sharing.port));
        if let Some(holders) = self.held.get_mut(&port) {
            holders.retain(|holder| holder.sockets > 0);
            if holders.is_empty() {
                self.held.remove(&port);
            }
        }
    }

    /// One that has the port listens, or does not any more.
    pub fn set_listening(&mut self, port: u16, address: IpAddr, sharing: Sharing, listens: bool) {
        if let Some(holder) = self.holder(port, address, sharing) {
            let now = if listens { holder.listening.checked_add(1) } else { holder.listening.checked_sub(1) };
            holder.listening = now.unwrap_or(0);
        }
    }

    /// Whether somebody keeps a socket from this address: another at the same or at a wildcard that covers it, unless both share
    /// it; one that listens shares by `SO_REUSEPORT` only (`socket(7)`).
    pub fn is_taken(&self, port: u16, address: IpAddr, sharing: Sharing) -> bool {
        self.held.get(&port).into_iter().flatten().any(|holder| {
            let by_address = sharing.address && holder.not_by_address == 0 && holder.listening == 0;
            let by_port = sharing.port && holder.not_by_port == 0;
            holder.meets(address, sharing.v6_only) && !by_address && !by_port
        })
    }

    /// Whether another listens where one that has the port is to listen too.
    pub fn is_listened_at(&self, port: u16, address: IpAddr, sharing: Sharing) -> bool {
        self.held.get(&port).into_iter().flatten().any(|holder| {
            let by_port = sharing.port && holder.not_by_port == 0;
            holder.listening > 0 && holder.meets(address, sharing.v6_only) && !by_port
        })
    }

    /// A port for a socket that is bound without a peer (RFC 6056 section 3.3.1).
    pub fn choose(&mut self, address: IpAddr, sharing: Sharing) -> Option<u16> {
        let first = self.random.below(PORTS);
        let ports = || (0..PORTS).map(|next| port(first + next));
        ports()
            .find(|port| !self.held.contains_key(port))
            .or_else(|| ports().find(|port| !self.is_taken(*port, address, sharing)))
    }

    /// A port for a connection to a peer, of those that nobody has, that `is_free` for it (RFC 6056 section 3.3.4, double hash): to
    /// one peer they come in turn, from a place that nobody can tell; how many there were to others, they do not say.
    pub fn choose_for(&self, flow: &Flow, is_free: impl Fn(u16) -> bool) -> Option<Choice> {
        let hash = self.offsets.hash(flow);
        let (offset, counter) = (hash as u32, (hash >> 32) as usize % COUNTERS);
        let start = offset.wrapping_add(self.counters.get(counter).copied()?);
        let next = (0..PORTS).find(|next| {
            let port = port(start.wrapping_add(*next));
            !self.held.contains_key(&port) && is_free(port)
        })?;
        Some(Choice { port: port(start.wrapping_add(next)), counter, next })
    }

    /// A choice was taken: the next begins behind it.
    pub fn take(&mut self, choice: Choice) -> u16 {
        if let Some(counter) = self.counters.get_mut(choice.counter) {
            *counter = counter.wrapping_add(choice.next + 1);
        }
        choice.port
    }
}

const fn port(number: u32) -> u16 {
    // PORTS is a power of two: no number is likelier than another, and a sum that wraps goes on.
    EPHEMERAL_FIRST + (number % PORTS) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const ALONE: Sharing = Sharing { v6_only: false, address: false, port: false };
    const REUSE: Sharing = Sharing { address: true, ..ALONE };
    const SHARED: Sharing = Sharing { port: true, ..ALONE };

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn ports() -> Ports {
        Ports::new(&Secret([5; 16]))
    }

    #[test]
    fn an_address_has_one_owner_unless_all_share_it() {
        let (one, other, v4, v6) = (ip("10.0.0.1"), ip("10.0.0.2"), ip("0.0.0.0"), ip("::"));
        let mut ports = ports();
        ports.hold(80, one, ALONE);
        for (address, taken) in [(one, true), (other, false), (v4, true), (v6, true), (ip("fd00::1"), false)] {
            assert_eq!(ports.is_taken(80, address, ALONE), taken, "{address}");
            assert_eq!(ports.is_taken(80, address, REUSE), taken, "{address}: the other does not share");
            assert!(!ports.is_taken(81, address, ALONE));
        }
        assert!(!ports.is_taken(80, v6, Sharing { v6_only: true, ..ALONE }));
        ports.release(80, one, ALONE);
        assert!(ports.held.is_empty());
        ports.hold(80, v4, REUSE);
        assert!(ports.is_taken(80, one, ALONE) && !ports.is_taken(80, one, REUSE));
        ports.set_listening(80, v4, REUSE, true);
        assert!(ports.is_taken(80, one, REUSE), "who listens has it for itself");
        assert!(ports.is_listened_at(80, v6, REUSE) && !ports.is_listened_at(81, v6, REUSE));
        ports.set_listening(80, v4, REUSE, false);
        assert!(!ports.is_taken(80, one, REUSE));
        ports.release(80, v4, REUSE);
        ports.hold(80, v4, SHARED);
        ports.set_listening(80, v4, SHARED, true);
        assert!(!ports.is_taken(80, v4, SHARED) && ports.is_taken(80, v4, ALONE));
        assert!(!ports.is_listened_at(80, v4, SHARED));
        ports.hold(80, v4, SHARED);
        ports.release(80, v4, SHARED);
        assert!(ports.is_taken(80, v4, ALONE));
    }

    /// RFC 6056 section 3.2.
    #[test]
    fn every_port_is_given_out_once() {
        let (mut ports, here) = (ports(), ip("10.0.0.1"));
        let flow = Flow { local: (here, 0), remote: (ip("10.0.0.2"), 80) };
        let mut taken = HashSet::new();
        for round in 0..PORTS {
            let chosen = if round % 2 == 0 {
                ports.choose(here, ALONE)
            } else {
                ports.choose_for(&flow, |port| !taken.contains(&port)).map(|choice| ports.take(choice))
            };
            let port = chosen.unwrap();
            assert!(port >= EPHEMERAL_FIRST && taken.insert(port), "{port}");
            ports.hold(port, here, ALONE);
        }
        assert!(ports.choose(here, ALONE).is_none() && ports.choose_for(&flow, |_| true).is_none());
        assert!(ports.choose(ip("10.0.0.9"), ALONE).is_some(), "at another address all are free");
    }

    /// RFC 6056 section 3.3.4: from one peer's ports nobody learns those of another.
    #[test]
    fn peers_have_places_of_their_own() {
        let mut ports = ports();
        let mut first = |host: u8| {
            let flow = Flow { local: (ip("10.0.0.1"), 0), remote: (IpAddr::from([10, 0, 1, host]), 80) };
            let choice = ports.choose_for(&flow, |_| true).unwrap();
            ports.take(choice)
        };
        let chosen: Vec<u16> = (0..200).map(&mut first).collect();
        let near = chosen.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) < 64).count();
        assert!(near < 5, "{chosen:?}");
        let again = first(7);
        assert!(again.wrapping_sub(chosen[7]) < 4, "{again} behind {}", chosen[7]);
    }
}
