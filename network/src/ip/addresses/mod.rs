// SPDX-License-Identifier: MIT OR Apache-2.0
//! The addresses of the interface: their states and lifetimes (RFC 4862 §5.5.4), what a destination is to this host,
//! and which of them a packet leaves with (RFC 6724 §5).
//!
//! What must always hold: an address stands here once; a tentative one is no source and no destination (RFC 4862 §5.4);
//! the preferred lifetime never ends after the valid one.

mod select;

use alloc::vec::Vec;
use core::net::IpAddr;

use runtime::time::Time;
use runtime::{Errno, Error, Result};

use super::Prefix;
use crate::limits::ADDRESSES_MAX;

const FULL: Error = Error::new(Errno::MFILE, "the stack has as many addresses as it may");
const NOT_ASSIGNABLE: Error = Error::new(Errno::INVAL, "not the address of one host");

/// What an address may be used for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum State {
    /// Nobody knows yet whether another host has it: not used.
    Tentative,
    /// Used.
    Preferred,
    /// Used for what goes on already, and not for what is new as long as there is another one.
    Deprecated,
}

/// When an address stops being used for what is new, and when altogether.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lifetimes {
    /// Preferred until then.
    pub preferred: Time,
    /// Valid until then.
    pub valid: Time,
}

impl Lifetimes {
    /// Without end: of an address that was configured by hand.
    pub const FOREVER: Self = Self { preferred: Time::MAX, valid: Time::MAX };
}

/// One address of the interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Address {
    /// The address and the prefix of its link.
    pub prefix: Prefix,
    /// What it may be used for.
    pub state: State,
    /// How long.
    pub lifetimes: Lifetimes,
}

/// What a destination is to this host.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Class {
    /// One of our own addresses, in use.
    Ours,
    /// One that may become ours: nothing is taken for it but what tells whether another host has it.
    Tentative,
    /// Every host of the link: 255.255.255.255, or the broadcast address of one of our prefixes, in its old form too.
    Broadcast,
    /// A group; whether we are in it, the groups know.
    Multicast,
    /// 127.0.0.0/8 or ::1, which never stands on a wire (RFC 1122 §3.2.1.3 g, RFC 4291 §2.5.3).
    Loopback,
    /// 0.0.0.0 or ::, which is no destination.
    Unspecified,
    /// Another host.
    Other,
}

/// What time has done to an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// It is deprecated from now on.
    Deprecated(IpAddr),
    /// It is gone.
    Expired(Prefix),
}

/// The addresses of one stack.
#[derive(Default)]
pub struct Addresses {
    all: Vec<Address>,
}

impl Addresses {
    /// No address.
    #[must_use]
    pub const fn new() -> Self {
        Self { all: Vec::new() }
    }

    /// Adds an address, tentative or in use at once, or gives the one that is here new lifetimes and prefix. One that
    /// is here keeps its state, but is preferred again if its preferred lifetime is not over.
    ///
    /// # Errors
    /// `EINVAL` if it is no host's address (unspecified, multicast, loopback or broadcast, the network's own); `EMFILE`
    /// beyond [`ADDRESSES_MAX`].
    pub fn add(&mut self, prefix: Prefix, tentative: bool, lifetimes: Lifetimes, now: Time) -> Result<()> {
        let address = prefix.address();
        let broadcast = match address {
            IpAddr::V4(v4) => v4.is_broadcast() || prefix.broadcast() == Some(v4) || prefix.is_network_address(address),
            IpAddr::V6(_) => false,
        };
        if broadcast || address.is_unspecified() || address.is_multicast() || address.is_loopback() {
            return Err(NOT_ASSIGNABLE);
        }
        let lifetimes = Lifetimes { preferred: lifetimes.preferred.min(lifetimes.valid), ..lifetimes };
        let in_use = if now < lifetimes.preferred { State::Preferred } else { State::Deprecated };
        if let Some(here) = self.find(address) {
            let state = if here.state == State::Tentative { State::Tentative } else { in_use };
            *here = Address { prefix, state, lifetimes };
            return Ok(());
        }
        if self.all.len() >= ADDRESSES_MAX {
            return Err(FULL);
        }
        let state = if tentative { State::Tentative } else { in_use };
        self.all.push(Address { prefix, state, lifetimes });
        Ok(())
    }

    fn find(&mut self, address: IpAddr) -> Option<&mut Address> {
        self.all.iter_mut().find(|here| here.prefix.address() == address)
    }

    /// No other host has this tentative address: it is in use from now on. Says whether there was such a one.
    pub fn claimed(&mut self, address: IpAddr, now: Time) -> bool {
        match self.find(address) {
            Some(here) if here.state == State::Tentative => {
                here.state = if now < here.lifetimes.preferred { State::Preferred } else { State::Deprecated };
                true
            }
            _ => false,
        }
    }

    /// Takes an address away, and gives what it was.
    pub fn remove(&mut self, address: IpAddr) -> Option<Address> {
        let at = self.all.iter().position(|here| here.prefix.address() == address)?;
        // In order, since the first of two that are as good is taken as a source.
        Some(self.all.remove(at))
    }

    /// Whether packets to this address are for us.
    #[inline]
    #[must_use]
    pub fn is_ours(&self, address: IpAddr) -> bool {
        self.all.iter().any(|here| here.prefix.address() == address && here.state != State::Tentative)
    }

    /// What a destination is to this host.
    #[must_use]
    pub fn class(&self, destination: IpAddr) -> Class {
        if let Some(here) = self.all.iter().find(|here| here.prefix.address() == destination) {
            return if here.state == State::Tentative { Class::Tentative } else { Class::Ours };
        }
        if destination.is_multicast() {
            return Class::Multicast;
        }
        if destination.is_loopback() {
            return Class::Loopback;
        }
        if destination.is_unspecified() {
            return Class::Unspecified;
        }
        if self.is_broadcast(destination) { Class::Broadcast } else { Class::Other }
    }

    /// Whether every host of the link has it: the limited broadcast address, or that of one of our prefixes.
    #[must_use]
    pub fn is_broadcast(&self, address: IpAddr) -> bool {
        let IpAddr::V4(v4) = address else { return false };
        v4.is_broadcast()
            || self.all.iter().any(|here| {
                let prefix = here.prefix;
                prefix.broadcast() == Some(v4) || (prefix.address().is_ipv4() && prefix.is_network_address(address))
            })
    }

    /// The address that a packet to `destination` leaves with if its sender named none; `None` if there is none of that
    /// family in use (`EADDRNOTAVAIL`).
    #[must_use]
    pub fn source_for(&self, destination: IpAddr) -> Option<IpAddr> {
        if destination.is_loopback() {
            return Some(destination);
        }
        select::source(&self.all, destination)
    }

    /// What time has done, one event at a call; to be called until there is none.
    pub fn poll(&mut self, now: Time) -> Option<Event> {
        let at = self.all.iter().position(|here| due(here).is_some_and(|due| due <= now))?;
        let here = self.all.get_mut(at)?;
        if here.lifetimes.valid <= now {
            return Some(Event::Expired(self.all.remove(at).prefix));
        }
        here.state = State::Deprecated;
        Some(Event::Deprecated(here.prefix.address()))
    }

    /// When [`poll`](Self::poll) will have something to say.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.all.iter().filter_map(due).min()
    }

    /// The addresses in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Address> {
        self.all.iter()
    }
}

/// When time next changes something about an address.
fn due(address: &Address) -> Option<Time> {
    let lifetimes = address.lifetimes;
    let due = if address.state == State::Preferred { lifetimes.preferred } else { lifetimes.valid };
    (due < Time::MAX).then_some(due)
}

#[cfg(test)]
mod tests;
