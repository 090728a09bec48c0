// SPDX-License-Identifier: MIT OR Apache-2.0
//! Addresses of this host as they come and go: with each its claim, its route to the link, and in IPv6 its group for
//! solicitations.

use core::net::IpAddr;

use runtime::Result;
use runtime::time::Time;

use super::Stack;
use super::ndp::solicited_node;
use crate::ip::addresses::Lifetimes;
use crate::ip::{Hop, Prefix, Route};
use crate::link::claim::Claim;

impl Stack {
    /// Adds an address; `detect`: it is used once nobody else is found to have it.
    ///
    /// # Errors
    /// `EINVAL` no address of a host, `EMFILE` too many.
    pub(super) fn add_address(&mut self, prefix: Prefix, detect: bool, lifetimes: Lifetimes, now: Time) -> Result<()> {
        let address = prefix.address();
        self.addresses.add(prefix, detect, lifetimes, now)?;
        if let IpAddr::V6(v6) = address {
            self.v6 = true;
            if let Err(error) = self.groups.join(IpAddr::V6(solicited_node(v6)), now) {
                // Nobody could find it.
                self.addresses.remove(address);
                return Err(error);
            }
        }
        self.claims.push(if detect {
            Claim::new(address, &mut self.random, now)
        } else {
            Claim::announced(address, now)
        });
        self.epoch = self.epoch.wrapping_add(1);
        self.set_due();
        Ok(())
    }

    /// Adds an address of the configuration whose whole prefix is on the link.
    ///
    /// # Errors
    /// As [`add_address`](Self::add_address).
    pub(super) fn add_network(&mut self, prefix: Prefix, detect: bool, now: Time) -> Result<()> {
        let route = link_route(prefix);
        let before = self.routes.iter().any(|here| *here == route);
        self.routes.add(route)?;
        self.add_address(prefix, detect, Lifetimes::FOREVER, now).inspect_err(|_| {
            if !before {
                self.routes.remove(route.prefix, route.hop);
            }
        })
    }

    /// The same of an address that a server has given.
    ///
    /// # Errors
    /// As [`add_address`](Self::add_address).
    pub(super) fn learn_network(&mut self, prefix: Prefix, detect: bool, now: Time) -> Result<()> {
        let route = link_route(prefix);
        self.routes.learn(route)?;
        self.add_address(prefix, detect, Lifetimes::FOREVER, now).inspect_err(|_| {
            self.routes.forget(route.prefix, route.hop);
        })
    }

    /// Takes an address away.
    pub(super) fn remove_address(&mut self, address: IpAddr, now: Time) {
        self.addresses.remove(address);
        self.forget_address(address, now);
    }

    /// Takes away what came with an address that is gone.
    pub(super) fn forget_address(&mut self, address: IpAddr, now: Time) {
        self.claims.retain(|claim| claim.address() != address);
        if let IpAddr::V6(address) = address {
            // It was joined with the address.
            let _ = self.groups.leave(IpAddr::V6(solicited_node(address)), now);
        }
        self.epoch = self.epoch.wrapping_add(1);
        self.set_due();
    }

    /// Another host has the address: it is not used any more. Router discovery and DHCP look for another one.
    pub(super) fn lose_address(&mut self, address: IpAddr, now: Time) {
        self.remove_address(address, now);
        if let (Some(routers), IpAddr::V6(address)) = (self.routers.as_mut(), address) {
            routers.conflict(address);
            self.poll_routers(now);
        }
        self.lose_lease(address, now);
        self.set_due();
    }
}

/// The neighbours that an address by hand or from DHCP makes: those of its prefix. For SLAAC's, routers say what is on the link
/// (RFC 5942).
pub(super) const fn link_route(prefix: Prefix) -> Route {
    Route { prefix: prefix.network(), hop: Hop::OnLink, metric: 0 }
}
