// SPDX-License-Identifier: MIT OR Apache-2.0
//! Redirects of both families: a router says that another neighbour is the better next hop (RFC 1122 section 3.2.2.2,
//! RFC 4861 section 8). Which are believed and kept is the business of [`ip::redirects`](crate::ip::redirects).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use runtime::time::Time;

use super::Stack;
use super::icmp::quote;
use super::input::Packet;
use crate::counters::Reason;
use crate::ip::Hop;
use crate::ip::addresses::Class;
use crate::link::neighbours::{Heard, Kind};
use crate::wire::MacAddress;

impl Stack {
    /// One of IPv4: about a packet that a socket here has sent, to a gateway that is on the link as the router is.
    pub(super) fn redirected_v4(&mut self, packet: &Packet, gateway: Ipv4Addr) {
        let gateway = IpAddr::V4(gateway);
        let sent = quote(packet).filter(|quote| self.has_sent(quote));
        let taken = sent.is_some_and(|quote| self.redirect(packet.source, quote.destination(), gateway));
        self.counters.drop_unless(taken, Reason::IcmpQuote);
    }

    /// One of IPv6, which was found to be one (RFC 4861 section 8.1). The option that quotes a packet may be missing.
    pub(super) fn redirected_v6(
        &mut self,
        router: Ipv6Addr,
        target: Ipv6Addr,
        destination: Ipv6Addr,
        mac: Option<MacAddress>,
        now: Time,
    ) {
        let (target, destination) = (IpAddr::V6(target), IpAddr::V6(destination));
        if !router.is_unicast_link_local() || mac == Some(self.mac) {
            return self.counters.drop(Reason::Ndp);
        }
        if !self.redirect(IpAddr::V6(router), destination, target) {
            return self.counters.drop(Reason::IcmpQuote);
        }
        if mac.is_some() {
            // RFC 4861 section 8.3: another router, or the destination itself.
            let kind = if target == destination { Kind::Solicitation } else { Kind::Router };
            self.heard(Heard { address: target, mac, kind }, now);
        }
    }

    /// Takes in that packets to `destination` are to go to `target`; false if that is not believed.
    fn redirect(&mut self, router: IpAddr, destination: IpAddr, target: IpAddr) -> bool {
        if self.addresses.class(destination) != Class::Other || self.addresses.class(target) != Class::Other {
            return false;
        }
        let Some(hop) = self.routes.lookup(destination) else { return false };
        // On the link, by the routes; the destination of IPv6 is so by being named (RFC 4861 section 8.3).
        let is_near = self.routes.lookup(target) == Some(Hop::OnLink) || (target == destination && target.is_ipv6());
        let taken = is_near && self.redirects.heard(router, destination, target, hop);
        if taken {
            self.epoch = self.epoch.wrapping_add(1);
        }
        taken
    }

    /// Nothing goes any more by a neighbour that does not answer, or is no router, if there is another one.
    pub(super) fn is_gone(&mut self, neighbour: IpAddr) {
        if self.redirects.gone(neighbour) | self.routes.suspect(neighbour, true) {
            self.epoch = self.epoch.wrapping_add(1);
        }
    }

    /// Tells the neighbour cache what a packet has said; a gateway that is heard from is worth a try again.
    pub(super) fn heard(&mut self, heard: Heard, now: Time) {
        self.neighbours.heard(heard, now);
        if self.routes.suspect(heard.address, false) {
            self.epoch = self.epoch.wrapping_add(1);
        }
    }
}
