// SPDX-License-Identifier: MIT OR Apache-2.0
//! A router between links: as much of RFC 1812 and RFC 8200 as it takes to be in a host's way. It forwards, counts hops down,
//! cuts IPv4 packets that may be cut, says what is too big or has come too far, and finds its neighbours by ARP and NDP.
//!
//! It is small, not fast, and trusts its links; hosts are what is proved here.

mod errors;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use runtime::Result;
use runtime::buf::{Classes, Pools, Sga};
use runtime::time::Time;

use super::frames;
use crate::ip::Prefix;
use crate::keyed::Secret;
use crate::link::neighbours::{Action, Heard, Kind, Neighbours, Resolved};
use crate::wire::{EtherType, MacAddress, Protocol, arp, checksum, ethernet, icmpv6, ipv4, ipv6, ndp};
use errors::Trouble;

/// What a router has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouterCounters {
    /// Packets that went on.
    pub forwarded: u64,
    /// Of those, that were cut.
    pub cut: u64,
    /// Packets that were too long for the next link and must not be cut.
    pub too_big: u64,
    /// Packets that had made all their hops.
    pub expired: u64,
    /// Packets to where no way leads, or to a neighbour that does not answer.
    pub unreachable: u64,
    /// Frames that were no business of a router, or malformed.
    pub ignored: u64,
}

/// One side of a router.
struct Interface {
    mac: MacAddress,
    mtu: u16,
    addresses: [Prefix; 2],
    neighbours: Neighbours,
}

impl Interface {
    fn owns(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|prefix| prefix.address() == address)
    }

    fn v4(&self) -> Ipv4Addr {
        match self.addresses[0].address() {
            IpAddr::V4(address) => address,
            IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
        }
    }

    fn v6(&self) -> Ipv6Addr {
        match self.addresses[1].address() {
            IpAddr::V6(address) => address,
            IpAddr::V4(_) => Ipv6Addr::UNSPECIFIED,
        }
    }
}

/// A router. See the module's first lines.
pub struct Router {
    /// It says nothing about what it does not forward: the black hole of RFC 2923 section 2.1.
    pub silent: bool,
    interfaces: Vec<Interface>,
    /// Networks behind other routers: the prefix, by which interface, to whom.
    routes: Vec<(Prefix, usize, IpAddr)>,
    pools: Pools,
    secret: Secret,
    out: VecDeque<(usize, Vec<u8>)>,
    counters: RouterCounters,
}

impl Router {
    /// A router with no interface.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new(seed: u64) -> Result<Self> {
        let mut key = [0x52; 16];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        Ok(Self {
            silent: false,
            interfaces: Vec::new(),
            routes: Vec::new(),
            pools: Pools::new(&Classes { small_count: 1024, large_count: 16, ..Classes::default() })?,
            secret: Secret(key),
            out: VecDeque::new(),
            counters: RouterCounters::default(),
        })
    }

    /// Adds an interface, for the next of the links that the router will be on: an address of each family, and how long the
    /// packets are that it sends.
    #[must_use]
    pub fn on(mut self, v4: Prefix, v6: Prefix, mtu: u16) -> Self {
        let number = self.interfaces.len() as u8;
        let Secret([a, b, c, ..]) = self.secret.derive("hardware addresses");
        self.interfaces.push(Interface {
            mac: MacAddress([2, 0x52, a, b, c, number]),
            mtu,
            addresses: [v4, v6],
            neighbours: Neighbours::new(&self.secret.derive("neighbours"), Time::ZERO),
        });
        self
    }

    /// Adds a network behind another router, that is `gateway` on the link of this interface.
    #[must_use]
    pub fn via(mut self, prefix: Prefix, interface: usize, gateway: IpAddr) -> Self {
        self.routes.push((prefix, interface, gateway));
        self
    }

    /// Sets how long the packets are that an interface sends, as when a route changes.
    pub fn set_mtu(&mut self, interface: usize, mtu: u16) {
        self.interfaces[interface].mtu = mtu;
    }

    /// What it has counted.
    #[must_use]
    pub const fn counters(&self) -> RouterCounters {
        self.counters
    }

    /// Its hardware address on a link.
    #[must_use]
    pub fn mac(&self, interface: usize) -> MacAddress {
        self.interfaces[interface].mac
    }

    pub(super) fn transmit(&mut self) -> Option<(usize, Vec<u8>)> {
        self.out.pop_front()
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.interfaces.iter().filter_map(|interface| interface.neighbours.next_deadline()).min()
    }

    pub(super) fn receive(&mut self, at: usize, bytes: &[u8], now: Time) {
        let own = self.interfaces[at].mac;
        let Ok(view) = ethernet::View::new(bytes) else { return self.ignore() };
        let to_many = view.destination().is_multicast();
        if view.destination() != own && !to_many {
            return self.ignore();
        }
        match view.ether_type() {
            EtherType::ARP => self.receive_arp(at, view.payload(), now),
            EtherType::IPV4 => self.receive_v4(at, view.payload(), to_many, now),
            EtherType::IPV6 => self.receive_v6(at, view.payload(), to_many, now),
            _ => self.ignore(),
        }
        self.poll(now);
    }

    const fn ignore(&mut self) {
        self.counters.ignored += 1;
    }

    fn receive_arp(&mut self, at: usize, bytes: &[u8], now: Time) {
        let interface = &mut self.interfaces[at];
        let parsed = arp::View::new(bytes).and_then(|view| arp::Header::parse(&view));
        let Ok(header) = parsed else { return self.ignore() };
        let asked = interface.owns(header.target.into());
        if header.sender.is_unspecified() || interface.owns(header.sender.into()) {
            return self.ignore();
        }
        let kind = match header.operation {
            arp::Operation::Request if asked => Kind::Request,
            arp::Operation::Reply if asked => Kind::Reply,
            _ => Kind::Gratuitous,
        };
        interface.neighbours.heard(Heard { address: header.sender.into(), mac: Some(header.sender_mac), kind }, now);
        if asked && header.operation == arp::Operation::Request {
            let reply = arp::Header {
                operation: arp::Operation::Reply,
                sender_mac: interface.mac,
                sender: header.target,
                target_mac: header.sender_mac,
                target: header.sender,
            };
            self.out.push_back((at, frames::arp_frame(header.sender_mac, &reply)));
        }
    }

    fn receive_v4(&mut self, at: usize, bytes: &[u8], to_many: bool, now: Time) {
        let parsed = ipv4::View::new(bytes).and_then(|view| ipv4::Header::parse(&view).map(|header| (view, header)));
        let Ok((view, header)) = parsed else { return self.ignore() };
        let destination = IpAddr::V4(header.destination);
        if to_many || self.interfaces.iter().any(|interface| interface.owns(destination)) {
            return self.ignore();
        }
        let packet = &bytes[..view.total_len()];
        if header.ttl <= 1 {
            return self.tell(at, Trouble::Expired, packet, now);
        }
        let Some((to, hop)) = self.route(destination) else { return self.tell(at, Trouble::NoRoute, packet, now) };
        let mtu = self.interfaces[to].mtu;
        if packet.len() <= usize::from(mtu) {
            let mut packet = packet.to_vec();
            let word = u16::from_be_bytes([packet[8], packet[9]]);
            packet[8] -= 1;
            let sum = u16::from_be_bytes([packet[10], packet[11]]);
            let new = checksum::update(sum, word, u16::from_be_bytes([packet[8], packet[9]]));
            packet[10..12].copy_from_slice(&new.to_be_bytes());
            self.counters.forwarded += 1;
            self.forward(to, hop, &packet, now);
        } else if header.dont_fragment {
            self.tell(at, Trouble::TooBig(mtu), packet, now);
        } else {
            self.counters.forwarded += 1;
            self.counters.cut += 1;
            self.cut(to, hop, &header, view.payload(), now);
        }
    }

    /// Cuts a packet for a link of a smaller MTU (RFC 791 section 3.2). Options are not copied.
    fn cut(&mut self, to: usize, hop: IpAddr, header: &ipv4::Header, payload: &[u8], now: Time) {
        let each = (usize::from(self.interfaces[to].mtu) - ipv4::HEADER) / 8 * 8;
        for (number, piece) in payload.chunks(each).enumerate() {
            let header = ipv4::Header {
                ttl: header.ttl - 1,
                fragment_offset: header.fragment_offset + (number * each) as u16,
                more_fragments: header.more_fragments || (number + 1) * each < payload.len(),
                router_alert: false,
                ..*header
            };
            self.forward(to, hop, &frames::v4_packet(&header, piece), now);
        }
    }

    fn receive_v6(&mut self, at: usize, bytes: &[u8], to_many: bool, now: Time) {
        let parsed = ipv6::View::new(bytes).and_then(|view| ipv6::Header::parse(&view).map(|header| (view, header)));
        let Ok((view, header)) = parsed else { return self.ignore() };
        if header.next_header == Protocol::ICMPV6 && header.hop_limit == 255 {
            return self.receive_ndp(at, &view, now);
        }
        let destination = IpAddr::V6(header.destination);
        let link_local = header.source.is_unicast_link_local() || header.destination.is_unicast_link_local();
        if to_many || link_local || self.interfaces.iter().any(|interface| interface.owns(destination)) {
            return self.ignore();
        }
        let packet = &bytes[..ipv6::HEADER + usize::from(header.payload_len)];
        if header.hop_limit <= 1 {
            return self.tell(at, Trouble::Expired, packet, now);
        }
        let Some((to, hop)) = self.route(destination) else { return self.tell(at, Trouble::NoRoute, packet, now) };
        let mtu = self.interfaces[to].mtu;
        if packet.len() > usize::from(mtu) {
            return self.tell(at, Trouble::TooBig(mtu), packet, now);
        }
        let mut packet = packet.to_vec();
        packet[7] -= 1;
        self.counters.forwarded += 1;
        self.forward(to, hop, &packet, now);
    }

    fn receive_ndp(&mut self, at: usize, view: &ipv6::View<'_>, now: Time) {
        let interface = &mut self.interfaces[at];
        let right = icmpv6::View::new(view.payload()).is_ok_and(|message| {
            message.checksum_is_right(view.pseudo_header(Protocol::ICMPV6, view.payload().len() as u32))
        });
        let parsed = ndp::View::new(view.payload()).and_then(|message| ndp::Header::parse(&message));
        match parsed {
            Ok(ndp::Header::NeighbourSolicitation { target, source_mac }) if right && target == interface.v6() => {
                let (source, mac) = (view.source(), interface.mac);
                let Some(source_mac) = source_mac.filter(|_| !source.is_unspecified()) else { return self.ignore() };
                let heard = Heard { address: source.into(), mac: Some(source_mac), kind: Kind::Solicitation };
                interface.neighbours.heard(heard, now);
                let answer = ndp::Header::NeighbourAdvertisement {
                    target,
                    router: true,
                    solicited: true,
                    override_: true,
                    target_mac: Some(mac),
                };
                let packet = frames::ndp_packet(target, source, &answer);
                self.out.push_back((at, frames::ip_frame(source_mac, mac, &packet)));
            }
            Ok(ndp::Header::NeighbourAdvertisement { target, router, solicited, override_, target_mac }) if right => {
                let kind = Kind::Advertisement { solicited, override_, router };
                interface.neighbours.heard(Heard { address: target.into(), mac: target_mac, kind }, now);
            }
            _ => self.ignore(),
        }
    }

    /// By which interface, and to which neighbour.
    fn route(&self, destination: IpAddr) -> Option<(usize, IpAddr)> {
        let connected = self
            .interfaces
            .iter()
            .position(|interface| interface.addresses.iter().any(|prefix| prefix.contains(destination)));
        let farther = || self.routes.iter().find(|(prefix, ..)| prefix.contains(destination));
        connected.map(|at| (at, destination)).or_else(|| farther().map(|&(_, at, gateway)| (at, gateway)))
    }

    /// Gives a packet to a neighbour, once its hardware address is known.
    fn forward(&mut self, to: usize, hop: IpAddr, packet: &[u8], now: Time) {
        let Ok(packet) = self.pools.alloc_copy(packet) else { return };
        match self.interfaces[to].neighbours.resolve(hop, packet.into(), now) {
            Resolved::Send(mac, packet) => self.send(to, mac, &packet),
            Resolved::Waits => {}
            Resolved::Dropped(_) => self.counters.unreachable += 1,
        }
    }

    fn send(&mut self, to: usize, mac: MacAddress, packet: &Sga) {
        let own = self.interfaces[to].mac;
        self.out.push_back((to, frames::ip_frame(mac, own, &packet.to_vec())));
    }

    /// Does what is due: questions for neighbours, and what waited for their answers.
    pub(super) fn poll(&mut self, now: Time) {
        for at in 0..self.interfaces.len() {
            while let Some(action) = self.interfaces[at].neighbours.poll(now) {
                match action {
                    Action::Solicit { target, to } => self.ask(at, target, to),
                    Action::Send(mac, packet) => self.send(at, mac, &packet),
                    Action::Unreachable(..) => self.counters.unreachable += 1,
                    Action::NoRouter(_) => {}
                }
            }
        }
    }

    fn ask(&mut self, at: usize, target: IpAddr, to: Option<MacAddress>) {
        let interface = &self.interfaces[at];
        let mac = interface.mac;
        let question = match target {
            IpAddr::V4(target) => {
                let header = arp::Header {
                    operation: arp::Operation::Request,
                    sender_mac: mac,
                    sender: interface.v4(),
                    target_mac: MacAddress::UNSPECIFIED,
                    target,
                };
                frames::arp_frame(to.unwrap_or(MacAddress::BROADCAST), &header)
            }
            IpAddr::V6(target) => {
                let group = frames::solicited_node(target);
                let header = ndp::Header::NeighbourSolicitation { target, source_mac: Some(mac) };
                let packet = frames::ndp_packet(interface.v6(), if to.is_some() { target } else { group }, &header);
                frames::ip_frame(to.unwrap_or(MacAddress::multicast_of(group.into())), mac, &packet)
            }
        };
        self.out.push_back((at, question));
    }
}

impl core::fmt::Debug for Router {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut shown = f.debug_struct("Router");
        shown.field("interfaces", &self.interfaces.len()).field("counters", &self.counters).finish_non_exhaustive()
    }
}
