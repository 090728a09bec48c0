// SPDX-License-Identifier: MIT OR Apache-2.0
//! The frames that come in, and who is at both ends.

use network::wire::arp::Operation;
use network::wire::checksum::{pseudo_header, sum};
use network::wire::{Ecn, EtherType, MacAddress, Protocol, arp, ethernet, ipv4, udp};
use std::net::Ipv4Addr;

/// One end of the datagrams.
#[derive(Clone, Copy, Debug)]
pub struct End {
    pub mac: [u8; 6],
    pub address: Ipv4Addr,
    pub port: u16,
}

/// The stack that is measured.
pub const OURS: End = End { mac: [2, 0, 0, 0, 0, 1], address: Ipv4Addr::new(10, 0, 0, 1), port: 7 };
/// Its peer, which is not there.
pub const PEER: End = End { mac: [2, 0, 0, 0, 0, 2], address: Ipv4Addr::new(10, 0, 0, 2), port: 50_000 };
/// The length of the network's prefix.
pub const PREFIX: u8 = 24;
/// The longest packet.
pub const MTU: u16 = 1500;

/// Bytes of the headers in front of a payload.
pub const HEADERS: usize = ethernet::HEADER + ipv4::HEADER + udp::HEADER;

/// A payload of so many bytes.
pub fn payload(size: usize) -> Vec<u8> {
    (0..size).map(|index| (index * 7 + 3) as u8).collect()
}

/// A datagram with a payload of so many bytes, on its way from the peer.
pub fn datagram(size: usize) -> Vec<u8> {
    let payload = payload(size);
    let mut frame = vec![0; HEADERS];
    let (link, packet) = frame.split_at_mut(ethernet::HEADER);
    let (network, transport) = packet.split_at_mut(ipv4::HEADER);
    link_header(EtherType::IPV4).emit(link);
    let len = (udp::HEADER + size) as u16;
    let header = ipv4::Header {
        dscp: 0,
        ecn: Ecn::NotCapable,
        payload_len: len,
        identification: 0,
        dont_fragment: true,
        more_fragments: false,
        fragment_offset: 0,
        ttl: 64,
        protocol: Protocol::UDP,
        source: PEER.address,
        destination: OURS.address,
        router_alert: false,
    };
    header.emit(network);
    udp::Header { source: PEER.port, destination: OURS.port, payload_len: size as u16 }.emit(transport);
    let mut rest = pseudo_header(PEER.address.into(), OURS.address.into(), Protocol::UDP.0, len.into());
    rest.add_sum(sum(&payload));
    udp::complete(transport, rest);
    frame.extend(payload);
    frame
}

/// The peer's answer to who has its address.
pub fn arp_reply() -> Vec<u8> {
    let mut frame = vec![0; ethernet::HEADER + arp::PACKET];
    let (link, packet) = frame.split_at_mut(ethernet::HEADER);
    link_header(EtherType::ARP).emit(link);
    let reply = arp::Header {
        operation: Operation::Reply,
        sender_mac: MacAddress(PEER.mac),
        sender: PEER.address,
        target_mac: MacAddress(OURS.mac),
        target: OURS.address,
    };
    reply.emit(packet);
    frame
}

const fn link_header(ether_type: EtherType) -> ethernet::Header {
    ethernet::Header { destination: MacAddress(OURS.mac), source: MacAddress(PEER.mac), ether_type }
}
