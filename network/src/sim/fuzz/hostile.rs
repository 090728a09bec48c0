// SPDX-License-Identifier: MIT OR Apache-2.0
//! Frames that nobody should send: of each protocol something that gets past its first checks, and anything at all.

use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use runtime::device::{Checksum, SegmentKind, Segmentation};

use super::{Input, World};
use crate::sim::{frames, mac};
use crate::wire::ndp::{PrefixInformation, RouterAdvertisement};
use crate::wire::{
    EtherType, MacAddress, Protocol, arp, checksum, dhcpv4, ethernet, icmpv4, icmpv6, igmp, ipv4, ipv6, ndp, vlan,
};

pub(super) const V4: [Ipv4Addr; 12] = [
    Ipv4Addr::new(10, 0, 0, 1),
    Ipv4Addr::new(10, 0, 0, 2),
    Ipv4Addr::UNSPECIFIED,
    Ipv4Addr::new(10, 0, 0, 9),
    Ipv4Addr::BROADCAST,
    Ipv4Addr::new(10, 0, 0, 255),
    Ipv4Addr::new(224, 0, 0, 1),
    Ipv4Addr::new(239, 1, 1, 1),
    Ipv4Addr::LOCALHOST,
    Ipv4Addr::new(192, 0, 2, 1),
    Ipv4Addr::new(10, 0, 0, 0),
    Ipv4Addr::new(240, 0, 0, 1),
];

pub(super) const V6: [Ipv6Addr; 12] = [
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2),
    Ipv6Addr::UNSPECIFIED,
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 9),
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 1),
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 2),
    Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::LOCALHOST,
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9),
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0),
];

fn v4(input: &mut Input<'_>) -> Ipv4Addr {
    V4[usize::from(input.byte()) % V4.len()]
}

fn v6(input: &mut Input<'_>) -> Ipv6Addr {
    V6[usize::from(input.byte()) % V6.len()]
}

fn station(input: &mut Input<'_>) -> MacAddress {
    match input.byte() % 8 {
        0..3 => mac(9),
        3 => mac(1),
        4 => mac(2),
        5 => MacAddress::BROADCAST,
        6 => MacAddress([0x33, 0x33, 0, 0, 0, 1]),
        _ => MacAddress::UNSPECIFIED,
    }
}

/// So many of the next bytes.
fn bytes<'a>(input: &mut Input<'a>) -> &'a [u8] {
    let len = usize::from(input.byte());
    input.take(len)
}

impl World {
    /// A frame for one of the stacks.
    pub(super) fn invent(&self, side: usize, input: &mut Input<'_>) -> Vec<u8> {
        let (kind, to) = (input.byte(), input.byte());
        let own = mac(side as u8 + 1);
        let destination = if to < 0xc0 { own } else { station(input) };
        let mut frame = match kind % 16 {
            0 => return bytes(input).to_vec(),
            1 => arp(destination, input),
            2 | 3 => {
                let (source, to) = if kind % 16 == 2 {
                    (IpAddr::V4(v4(input)), IpAddr::V4(v4(input)))
                } else {
                    (IpAddr::V6(v6(input)), IpAddr::V6(v6(input)))
                };
                let (from, to) =
                    (SocketAddr::new(source, input.word()), SocketAddr::new(to, u16::from(input.byte() % 5)));
                frames::ip_frame(destination, mac(9), &frames::udp_packet(from, to, bytes(input)))
            }
            4 => frames::ip_frame(destination, mac(9), &self.icmpv4(side, input)),
            5 => frames::ip_frame(destination, mac(9), &self.icmpv6(side, input)),
            6 => frames::ip_frame(destination, mac(9), &frames::ndp_packet(v6(input), v6(input), &discovery(input))),
            7 => frames::ip_frame(destination, mac(9), &fragment_v4(input)),
            8 => frames::ip_frame(destination, mac(9), &fragment_v6(input)),
            9 => {
                let (source, to) = (v4(input), v4(input));
                let (protocol, hops) = (Protocol(input.byte()), input.byte());
                let mut payload = bytes(input).to_vec();
                if protocol == Protocol::IGMP {
                    fix_igmp(&mut payload);
                }
                let header = frames::v4_header(source, to, hops, protocol);
                let header = ipv4::Header { router_alert: hops & 1 == 1, ..header };
                frames::ip_frame(destination, mac(9), &frames::v4_packet(&header, &payload))
            }
            10 => {
                let (source, to) = (v6(input), v6(input));
                let packet =
                    frames::packet(source.into(), to.into(), input.byte(), Protocol(input.byte()), bytes(input));
                frames::ip_frame(destination, mac(9), &packet)
            }
            11 => frames::ip_frame(destination, mac(9), &listener_query(input)),
            12 => self.lease(side, destination, input),
            13 => {
                // As many as a train of datagrams may have.
                let (from, to) = if input.byte() & 1 == 0 {
                    (IpAddr::V4(V4[3]), IpAddr::V4(v4(input)))
                } else {
                    (IpAddr::V6(V6[3]), IpAddr::V6(v6(input)))
                };
                let (from, to) = (SocketAddr::new(from, 1), SocketAddr::new(to, u16::from(input.byte() % 5)));
                let payload = vec![7; usize::from(input.word()) % 9000];
                frames::ip_frame(destination, mac(9), &frames::udp_packet(from, to, &payload))
            }
            // What it or the other has sent last comes back, or once more.
            14 => self.sides[side].last.clone(),
            _ => self.sides[1 - side].last.clone(),
        };
        if self.mode.is(4) && kind % 16 < 14 {
            frame = tagged(&frame, u16::from(kind >> 4 & 7));
        }
        if kind >> 7 == 1 && !frame.is_empty() {
            let at = usize::from(input.word()) % frame.len();
            frame[at] = input.byte();
        }
        frame
    }

    /// What a stack has sent last, from its IP header on: for errors that concern somebody.
    fn quote(&self, side: usize) -> &[u8] {
        let skip = ethernet::HEADER + if self.mode.is(4) { vlan::HEADER } else { 0 };
        self.sides[side].last.get(skip..).unwrap_or_default()
    }

    fn icmpv4(&self, side: usize, input: &mut Input<'_>) -> Vec<u8> {
        let (source, to) = (v4(input), v4(input));
        let header = match input.byte() % 8 {
            0 => icmpv4::Header::EchoRequest { identifier: input.word(), sequence: 1 },
            1 => icmpv4::Header::EchoReply { identifier: input.word(), sequence: 1 },
            2 => icmpv4::Header::TimeExceeded { code: 0 },
            3 => icmpv4::Header::ParameterProblem { code: 0, pointer: 0 },
            4 => icmpv4::Header::Redirect { code: input.byte() % 4, gateway: v4(input) },
            _ => {
                let code = icmpv4::Unreachable(if input.byte() < 128 { 4 } else { input.byte() % 17 });
                icmpv4::Header::Unreachable { code, mtu: input.word() }
            }
        };
        let quote = self.quote(side);
        let quote =
            if input.byte() < 200 { &quote[..quote.len().min(usize::from(input.byte()))] } else { bytes(input) };
        frames::icmpv4_packet(source, to, &header, quote)
    }

    fn icmpv6(&self, side: usize, input: &mut Input<'_>) -> Vec<u8> {
        let (source, to) = (v6(input), v6(input));
        let header = match input.byte() % 8 {
            0 => icmpv6::Header::EchoRequest { identifier: input.word(), sequence: 1 },
            1 => icmpv6::Header::EchoReply { identifier: input.word(), sequence: 1 },
            2 => icmpv6::Header::TimeExceeded { code: 0 },
            3 => icmpv6::Header::ParameterProblem { code: input.byte() % 3, pointer: 6 },
            4 => icmpv6::Header::Unreachable { code: icmpv6::Unreachable(input.byte() % 8) },
            _ => icmpv6::Header::PacketTooBig { mtu: u32::from(input.word()) },
        };
        let quote = self.quote(side);
        let quote =
            if input.byte() < 200 { &quote[..quote.len().min(usize::from(input.byte()))] } else { bytes(input) };
        frames::icmpv6_packet(source, to, &header, quote)
    }

    /// What a server of DHCP says, to the question that was asked last if there was one.
    fn lease(&self, side: usize, destination: MacAddress, input: &mut Input<'_>) -> Vec<u8> {
        let asked = self.quote(side).get(ipv4::HEADER + 8..).unwrap_or_default();
        let asked = dhcpv4::View::new(asked).and_then(|view| dhcpv4::Header::parse(&view));
        let transaction = asked.map_or(u32::from(input.byte()), |asked| asked.transaction);
        let kind = match input.byte() % 4 {
            0 => dhcpv4::Kind::Offer,
            1 | 2 => dhcpv4::Kind::Ack,
            _ => dhcpv4::Kind::Nak,
        };
        let mut answer = dhcpv4::Header::new(kind, transaction, mac(side as u8 + 1));
        answer.yours = v4(input);
        answer.options.subnet_mask = Some(Ipv4Addr::from_bits(!(u32::MAX >> (input.byte() % 33).min(31))));
        let _ = answer.options.routers.try_push(v4(input));
        answer.options.lease = Some(u32::from(input.byte()));
        answer.options.server = Some(v4(input));
        let mut payload = vec![0; answer.len()];
        answer.emit(&mut payload);
        let from = SocketAddr::new(V4[3].into(), 67);
        let to = SocketAddr::new(if input.byte() < 128 { answer.yours } else { Ipv4Addr::BROADCAST }.into(), 68);
        frames::ip_frame(destination, mac(9), &frames::udp_packet(from, to, &payload))
    }
}

/// What a device says of a frame that it gives, true or not.
pub(super) fn offloads(which: u8, input: &mut Input<'_>) -> (Checksum, Option<Segmentation>) {
    match which {
        0 => (Checksum::Complete, None),
        1 => (Checksum::Verified, None),
        2 => (Checksum::Partial { start: input.word() % 80, offset: u16::from(input.byte()) }, None),
        _ => {
            let kind = [SegmentKind::Udp, SegmentKind::Udp, SegmentKind::TcpV4, SegmentKind::TcpV6];
            let kind = kind[usize::from(input.byte() % 4)];
            let segmentation = Segmentation { kind, size: input.word() % 2000, header: input.word() % 200 };
            (Checksum::Partial { start: 34, offset: 6 }, Some(segmentation))
        }
    }
}

fn arp(destination: MacAddress, input: &mut Input<'_>) -> Vec<u8> {
    let operation = if input.byte() & 1 == 0 { arp::Operation::Request } else { arp::Operation::Reply };
    let sender_mac = station(input);
    let header = arp::Header { operation, sender_mac, sender: v4(input), target_mac: mac(1), target: v4(input) };
    frames::arp_frame(destination, &header)
}

fn discovery(input: &mut Input<'_>) -> ndp::Header {
    let source_mac = (input.byte() < 200).then(|| station(input));
    match input.byte() % 8 {
        0 => ndp::Header::RouterSolicitation { source_mac },
        1 => ndp::Header::Redirect { target: v6(input), destination: v6(input), target_mac: source_mac },
        2 | 3 => ndp::Header::NeighbourSolicitation { target: v6(input), source_mac },
        4 | 5 => {
            let (target, flags) = (v6(input), input.byte());
            let [router, solicited, override_] = [1, 2, 4].map(|bit| flags & bit != 0);
            ndp::Header::NeighbourAdvertisement { target, router, solicited, override_, target_mac: source_mac }
        }
        _ => {
            let mut router = RouterAdvertisement {
                hop_limit: input.byte(),
                lifetime: u16::from(input.byte()),
                reachable: u32::from(input.word()) << (input.byte() % 17),
                retransmit: u32::from(input.word()) << (input.byte() % 17),
                source_mac,
                mtu: (input.byte() < 128).then(|| u32::from(input.word())),
                ..RouterAdvertisement::default()
            };
            for _ in 0..input.byte() % 4 {
                let (length, flags) = (input.byte() % 129, input.byte());
                let (valid, preferred) = (u32::from(input.byte()) << (flags % 24), u32::from(input.byte()));
                let [on_link, autonomous] = [64, 128].map(|bit| flags & bit != 0);
                let length = if length < 100 { 64 } else { length };
                let prefix = PrefixInformation { prefix: v6(input), length, on_link, autonomous, valid, preferred };
                let _ = router.prefixes.try_push(prefix);
            }
            ndp::Header::RouterAdvertisement(router)
        }
    }
}

fn fragment_v4(input: &mut Input<'_>) -> Vec<u8> {
    let header =
        frames::v4_header(v4(input), v4(input), 64, if input.byte() < 128 { Protocol::UDP } else { Protocol::ICMPV4 });
    let (place, form) = (input.byte(), input.byte());
    let header = ipv4::Header {
        identification: u16::from(form >> 6),
        fragment_offset: u16::from(place % 0x3f) << if place < 0xf0 { 3 } else { 10 },
        more_fragments: form & 1 == 1,
        ..header
    };
    let payload = vec![form; usize::from(input.byte()) * 8];
    frames::v4_packet(&header, &payload)
}

fn fragment_v6(input: &mut Input<'_>) -> Vec<u8> {
    let (source, to) = (v6(input), v6(input));
    let (place, form, next) = (input.byte(), input.byte(), input.byte());
    let fragment = ipv6::Fragment {
        next_header: [Protocol::UDP, Protocol::ICMPV6, Protocol::HOP_BY_HOP, Protocol(60)][usize::from(next % 4)],
        offset: u16::from(place % 0x3f) << if place < 0xf0 { 3 } else { 10 },
        more: form & 1 == 1,
        identification: u32::from(form >> 6),
    };
    let mut payload = vec![0; ipv6::extension::FRAGMENT];
    fragment.emit(&mut payload);
    payload.resize(payload.len() + usize::from(input.byte()) * 8 + usize::from(form >> 5 & 1), form);
    frames::packet(source.into(), to.into(), 64, Protocol::FRAGMENT, &payload)
}

/// A query of MLD, behind its router alert.
fn listener_query(input: &mut Input<'_>) -> Vec<u8> {
    let (source, to) = (if input.byte() < 200 { V6[9] } else { v6(input) }, v6(input));
    let mut message = vec![130, 0, 0, 0];
    message.extend_from_slice(&input.word().to_be_bytes());
    message.extend_from_slice(&[0, 0]);
    message.extend_from_slice(&v6(input).octets());
    message.extend_from_slice(bytes(input));
    let pseudo_header = checksum::pseudo_header(source.into(), to.into(), Protocol::ICMPV6.0, message.len() as u32);
    icmpv6::complete_whole(&mut message, pseudo_header);
    let mut payload = ipv6::extension::router_alert(Protocol::ICMPV6).to_vec();
    payload.extend_from_slice(&message);
    frames::packet(source.into(), to.into(), 1, Protocol::HOP_BY_HOP, &payload)
}

fn fix_igmp(message: &mut [u8]) {
    if let Some(field) = message.get_mut(2..4) {
        field.fill(0);
        let sum = checksum::sum(message).finish();
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        debug_assert!(igmp::View::new(message).is_ok_and(|view| view.checksum_is_right()) || message.len() < 8);
    }
}

/// The frame in a VLAN: mostly that of the stacks.
fn tagged(frame: &[u8], other: u16) -> Vec<u8> {
    let Ok(view) = ethernet::View::new(frame) else { return frame.to_vec() };
    let header = vlan::Header {
        id: if other == 3 { 8 } else { 7 },
        priority: 0,
        drop_eligible: false,
        ether_type: view.ether_type(),
    };
    let mut tag = vec![0; header.len()];
    header.emit(&mut tag);
    tag.extend_from_slice(view.payload());
    frames::frame(view.destination(), view.source(), EtherType::VLAN, &tag)
}
