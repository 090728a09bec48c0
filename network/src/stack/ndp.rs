// SPDX-License-Identifier: MIT OR Apache-2.0
//! Neighbour discovery for IPv6 (RFC 4861, RFC 4862): solicitations for our addresses are answered, advertisements go to the
//! neighbour cache, to the claims and to router discovery.

use core::net::{IpAddr, Ipv6Addr};

use runtime::time::Time;

use super::input::Packet;
use super::output::{Head, How};
use super::{Stack, message};
use crate::counters::Reason;
use crate::link::claim::Evidence;
use crate::link::neighbours::{Heard, Kind};
use crate::udp::{Path, Target};
use crate::wire::checksum::pseudo_header;
use crate::wire::ndp::{Header, View};
use crate::wire::{MacAddress, Protocol, icmpv6};

/// Everybody on the link (RFC 4291 section 2.7.1).
pub(super) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// Every router on it.
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
/// What tells that a packet has passed no router (RFC 4861 section 7.1).
const HOPS: u8 = 255;

/// The group that is asked for an address (RFC 4291 section 2.7.1).
pub(super) const fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b] = address.segments();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | (a & 0xff), b)
}

impl Stack {
    pub(super) fn receive_ndp(&mut self, packet: &Packet, now: Time) {
        let (IpAddr::V6(source), IpAddr::V6(destination)) = (packet.source, packet.destination) else { return };
        let bytes = message::front(&packet.data).get(packet.at..).unwrap_or_default();
        // Never in fragments (RFC 6980 section 5): what a filter on the link has not seen whole is not believed.
        let whole = bytes.len() == packet.len && packet.hops == HOPS && packet.put_together.is_none();
        let parsed = if whole { View::new(bytes).and_then(|view| Header::parse(&view)).ok() } else { None };
        match parsed {
            Some(Header::NeighbourSolicitation { target, source_mac }) => {
                self.solicited(source, destination, target, source_mac, now);
            }
            Some(Header::NeighbourAdvertisement { target, router, solicited, override_, target_mac }) => {
                // RFC 4861 section 7.1.2: nobody was asked by a group.
                if (solicited && destination.is_multicast()) || target_mac == Some(self.mac) {
                    return self.counters.drop(Reason::Ndp);
                }
                if self.evidence(IpAddr::V6(target), Evidence::Use, now) {
                    return self.counters.drop(Reason::Duplicate);
                }
                let kind = Kind::Advertisement { solicited, override_, router };
                self.heard(Heard { address: IpAddr::V6(target), mac: target_mac, kind }, now);
            }
            Some(Header::RouterAdvertisement(router)) => {
                let Some(routers) = self.routers.as_mut() else { return self.counters.drop(Reason::IcmpType) };
                if !routers.heard_advertisement(source, &router, now) {
                    return self.counters.drop(Reason::Ndp);
                }
                if let Some(mac) = router.source_mac {
                    let heard = Heard { address: packet.source, mac: Some(mac), kind: Kind::Router };
                    self.heard(heard, now);
                }
                self.poll_routers(now);
                self.set_due();
            }
            Some(Header::Redirect { target, destination, target_mac }) => {
                self.redirected_v6(source, target, destination, target_mac, now);
            }
            // A host is no router.
            Some(Header::RouterSolicitation { .. }) => self.counters.drop(Reason::IcmpType),
            None => self.counters.drop(Reason::Ndp),
        }
    }

    /// Somebody asks for an address (RFC 4861 section 7.2.3, RFC 4862 section 5.4.3).
    fn solicited(
        &mut self,
        source: Ipv6Addr,
        destination: Ipv6Addr,
        target: Ipv6Addr,
        source_mac: Option<MacAddress>,
        now: Time,
    ) {
        let probe = source.is_unspecified();
        if (probe && (source_mac.is_some() || destination != solicited_node(target))) || source_mac == Some(self.mac) {
            return self.counters.drop(Reason::Ndp);
        }
        let concerns = probe && self.evidence(IpAddr::V6(target), Evidence::Probe, now);
        if !self.addresses.is_ours(IpAddr::V6(target)) {
            // One that is not in use yet is asked for in vain (RFC 4862 section 5.4.3); others have the group of one of ours.
            if !concerns {
                self.counters.drop(Reason::IcmpType);
            }
            return;
        }
        // Nobody else asks from one of our addresses.
        if self.evidence(IpAddr::V6(source), Evidence::Use, now) {
            return self.counters.drop(Reason::Duplicate);
        }
        if let Some(mac) = source_mac {
            let heard = Heard { address: IpAddr::V6(source), mac: Some(mac), kind: Kind::Solicitation };
            self.heard(heard, now);
        }
        let answer = Header::NeighbourAdvertisement {
            target,
            router: false,
            solicited: !probe,
            override_: true,
            target_mac: Some(self.mac),
        };
        let to = if probe { ALL_NODES } else { source };
        self.send_ndp(&answer, target, to, None, now);
    }

    /// Asks who has an address, of one station or of all that it may be.
    pub(super) fn ask_ndp(&mut self, target: Ipv6Addr, to: Option<MacAddress>, now: Time) {
        let Some(IpAddr::V6(source)) = self.addresses.source_for(IpAddr::V6(target)) else {
            return self.counters.drop(Reason::NoRoute);
        };
        let question = Header::NeighbourSolicitation { target, source_mac: Some(self.mac) };
        let group = if to.is_some() { target } else { solicited_node(target) };
        self.send_ndp(&question, source, group, to, now);
    }

    /// Asks whether somebody has an address that is to be ours.
    pub(super) fn probe_ndp(&mut self, target: Ipv6Addr, now: Time) {
        let question = Header::NeighbourSolicitation { target, source_mac: None };
        self.send_ndp(&question, Ipv6Addr::UNSPECIFIED, solicited_node(target), None, now);
    }

    /// Asks for routers (RFC 4861 section 6.3.7).
    pub(super) fn ask_routers(&mut self, now: Time) {
        let source = self.addresses.source_for(IpAddr::V6(ALL_ROUTERS));
        let (source, source_mac) = match source {
            Some(IpAddr::V6(source)) => (source, Some(self.mac)),
            _ => (Ipv6Addr::UNSPECIFIED, None),
        };
        self.send_ndp(&Header::RouterSolicitation { source_mac }, source, ALL_ROUTERS, None, now);
    }

    fn send_ndp(&mut self, header: &Header, source: Ipv6Addr, to: Ipv6Addr, mac: Option<MacAddress>, now: Time) {
        let (source, destination) = (IpAddr::V6(source), IpAddr::V6(to));
        let len = header.len();
        let message = self.pools.alloc_filled(len, |bytes| {
            header.emit(bytes);
            icmpv6::complete_whole(bytes, pseudo_header(source, destination, Protocol::ICMPV6.0, len as u32));
        });
        let Ok(message) = message else { return self.counters.drop(Reason::NoBuffer) };
        let target = match mac {
            Some(mac) => Target::Group(mac),
            None if to.is_multicast() => Target::Group(MacAddress::multicast_of(destination)),
            None => Target::Neighbour(destination),
        };
        let path = Path { source, destination, target, epoch: self.epoch };
        let how = How { hops: HOPS, head: Head::Whole(Protocol::ICMPV6) };
        if self.send_packet(&path, &how, &mut message.into(), now).is_err() {
            self.counters.drop(Reason::NoBuffer);
        }
    }
}
