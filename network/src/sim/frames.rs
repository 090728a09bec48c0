// SPDX-License-Identifier: MIT OR Apache-2.0
//! Frames and packets by hand, for stations, routers and fuzzers: each function gives one layer around the bytes of the next,
//! its lengths and checksums right.

use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::wire::checksum::{pseudo_header, sum};
use crate::wire::{Ecn, EtherType, MacAddress, Protocol, arp, ethernet, icmpv4, icmpv6, ipv4, ipv6, ndp, udp};

/// A frame around a packet, whose type it takes from the packet if that is IP.
#[must_use]
pub fn frame(destination: MacAddress, source: MacAddress, ether_type: EtherType, packet: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; ethernet::HEADER];
    ethernet::Header { destination, source, ether_type }.emit(&mut frame);
    frame.extend_from_slice(packet);
    frame
}

/// A frame around an IP packet of either family.
#[must_use]
pub fn ip_frame(destination: MacAddress, source: MacAddress, packet: &[u8]) -> Vec<u8> {
    let is_v4 = packet.first().is_some_and(|byte| byte >> 4 == 4);
    frame(destination, source, if is_v4 { EtherType::IPV4 } else { EtherType::IPV6 }, packet)
}

/// A frame around an ARP packet.
#[must_use]
pub fn arp_frame(destination: MacAddress, header: &arp::Header) -> Vec<u8> {
    let mut packet = vec![0; header.len()];
    header.emit(&mut packet);
    frame(destination, header.sender_mac, EtherType::ARP, &packet)
}

/// The header of a whole IPv4 packet.
#[must_use]
pub const fn v4_header(source: Ipv4Addr, destination: Ipv4Addr, ttl: u8, protocol: Protocol) -> ipv4::Header {
    ipv4::Header {
        dscp: 0,
        ecn: Ecn::NotCapable,
        payload_len: 0,
        identification: 0,
        dont_fragment: false,
        more_fragments: false,
        fragment_offset: 0,
        ttl,
        protocol,
        source,
        destination,
        router_alert: false,
    }
}

/// An IPv4 packet around a payload, whose length stands in no header yet.
#[must_use]
pub fn v4_packet(header: &ipv4::Header, payload: &[u8]) -> Vec<u8> {
    let header = ipv4::Header { payload_len: payload.len() as u16, ..*header };
    let mut packet = vec![0; header.len()];
    header.emit(&mut packet);
    packet.extend_from_slice(payload);
    packet
}

/// An IP packet of the family that both addresses have; empty if they have not.
#[must_use]
pub fn packet(source: IpAddr, destination: IpAddr, hops: u8, protocol: Protocol, payload: &[u8]) -> Vec<u8> {
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            v4_packet(&v4_header(source, destination, hops, protocol), payload)
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let header = ipv6::Header {
                dscp: 0,
                ecn: Ecn::NotCapable,
                flow_label: 0,
                payload_len: payload.len() as u16,
                next_header: protocol,
                hop_limit: hops,
                source,
                destination,
            };
            let mut packet = vec![0; header.len()];
            header.emit(&mut packet);
            packet.extend_from_slice(payload);
            packet
        }
        _ => vec![],
    }
}

/// A UDP datagram in its packet, of 64 hops.
#[must_use]
pub fn udp_packet(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let header = udp::Header { source: from.port(), destination: to.port(), payload_len: payload.len() as u16 };
    let mut datagram = vec![0; header.len()];
    header.emit(&mut datagram);
    let len = (datagram.len() + payload.len()) as u32;
    let mut rest = pseudo_header(from.ip(), to.ip(), Protocol::UDP.0, len);
    rest.add_sum(sum(payload));
    udp::complete(&mut datagram, rest);
    datagram.extend_from_slice(payload);
    packet(from.ip(), to.ip(), 64, Protocol::UDP, &datagram)
}

/// An ICMP message of IPv4 in its packet.
#[must_use]
pub fn icmpv4_packet(source: Ipv4Addr, destination: Ipv4Addr, header: &icmpv4::Header, payload: &[u8]) -> Vec<u8> {
    let mut message = vec![0; header.len()];
    header.emit(&mut message);
    icmpv4::complete(&mut message, sum(payload));
    message.extend_from_slice(payload);
    packet(source.into(), destination.into(), 64, Protocol::ICMPV4, &message)
}

/// An ICMP message of IPv6 in its packet.
#[must_use]
pub fn icmpv6_packet(source: Ipv6Addr, destination: Ipv6Addr, header: &icmpv6::Header, payload: &[u8]) -> Vec<u8> {
    let mut message = vec![0; header.len()];
    header.emit(&mut message);
    message.extend_from_slice(payload);
    whole_icmpv6(source, destination, 64, message)
}

/// A message of neighbour discovery in its packet.
#[must_use]
pub fn ndp_packet(source: Ipv6Addr, destination: Ipv6Addr, header: &ndp::Header) -> Vec<u8> {
    let mut message = vec![0; header.len()];
    header.emit(&mut message);
    whole_icmpv6(source, destination, 255, message)
}

fn whole_icmpv6(source: Ipv6Addr, destination: Ipv6Addr, hops: u8, mut message: Vec<u8>) -> Vec<u8> {
    let (source, destination) = (source.into(), destination.into());
    let len = message.len() as u32;
    icmpv6::complete_whole(&mut message, pseudo_header(source, destination, Protocol::ICMPV6.0, len));
    packet(source, destination, hops, Protocol::ICMPV6, &message)
}

/// The group that is asked for an IPv6 address (RFC 4291 section 2.7.1).
#[must_use]
pub const fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b] = address.segments();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | (a & 0xff), b)
}
