// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether a frame that a stack has made is one that it may make: its own station's, in its VLAN, no longer than its MTU, from an
//! address of its own or from none, each length and each checksum right.

use alloc::vec::Vec;
use core::net::IpAddr;

use runtime::device::Frame;

use super::Mode;
use crate::sim::host::complete;
use crate::stack::Stack;
use crate::wire::{EtherType, Protocol, arp, checksum, ethernet, icmpv4, icmpv6, ipv4, ipv6, tcp, udp, vlan};

/// Checks a frame and gives its bytes, with the checksum that its device fills in.
pub(super) fn frame(stack: &Stack, mode: Mode, own: &[IpAddr], frame: &Frame) -> Vec<u8> {
    let mut bytes = frame.data.to_vec();
    complete(&mut bytes, frame);
    assert!(frame.segmentation.is_none());
    let link = ethernet::Header::parse(&ethernet::View::new(&bytes).unwrap()).unwrap();
    assert_eq!(link.source, stack.mac());
    assert_ne!(link.destination, stack.mac(), "to itself, by the wire");
    let (mut ether_type, mut at) = (link.ether_type, ethernet::HEADER);
    assert_eq!(ether_type == EtherType::VLAN, mode.is(4));
    if mode.is(4) {
        let tag = vlan::Header::parse(&vlan::View::new(&bytes[at..]).unwrap()).unwrap();
        assert_eq!(tag.id, 7);
        (ether_type, at) = (tag.ether_type, at + vlan::HEADER);
    }
    let packet = &bytes[at..];
    assert!(packet.len() <= usize::from(stack.mtu()), "{} bytes", packet.len());
    match ether_type {
        EtherType::ARP => {
            let header = arp::Header::parse(&arp::View::new(packet).unwrap()).unwrap();
            assert_eq!((packet.len(), header.sender_mac), (arp::PACKET, stack.mac()));
        }
        EtherType::IPV4 => v4(own, packet),
        EtherType::IPV6 => v6(own, packet),
        other => panic!("a frame of type {other:?}"),
    }
    bytes
}

/// One that waited for a neighbour may outlive its address.
fn is_own(own: &[IpAddr], source: IpAddr) -> bool {
    source.is_unspecified() || own.contains(&source)
}

fn v4(own: &[IpAddr], packet: &[u8]) {
    let view = ipv4::View::new(packet).unwrap();
    let header = ipv4::Header::parse(&view).unwrap();
    assert_eq!(view.total_len(), packet.len());
    assert!(header.ttl > 0 && is_own(own, header.source.into()), "from {}", header.source);
    assert!(!header.source.is_loopback() && !header.destination.is_loopback());
    if view.is_fragment() {
        assert!(!header.dont_fragment && (!header.more_fragments || view.payload().len().is_multiple_of(8)));
        return;
    }
    transport(header.protocol, view.payload(), header.pseudo_header(view.payload().len() as u32));
}

fn v6(own: &[IpAddr], packet: &[u8]) {
    let view = ipv6::View::new(packet).unwrap();
    let header = ipv6::Header::parse(&view).unwrap();
    assert_eq!(ipv6::HEADER + usize::from(header.payload_len), packet.len());
    assert!(header.hop_limit > 0 && !header.source.is_loopback() && !header.destination.is_loopback());
    assert!(is_own(own, header.source.into()), "from {}", header.source);
    let upper = view.upper().unwrap();
    let payload = &packet[upper.offset..];
    if let Some(fragment) = upper.fragment {
        assert!(!fragment.more || payload.len().is_multiple_of(8));
        assert!(fragment.more || fragment.offset > 0, "an atomic fragment");
        return;
    }
    transport(upper.protocol, payload, header.pseudo_header(upper.protocol, payload.len() as u32));
}

fn transport(protocol: Protocol, bytes: &[u8], pseudo_header: checksum::Sum) {
    match protocol {
        Protocol::UDP => {
            let view = udp::View::new(bytes).unwrap();
            assert_eq!(usize::from(view.length()), bytes.len());
            assert!(view.checksum() != 0 && view.checksum_is_right(pseudo_header), "a wrong checksum of UDP");
        }
        Protocol::ICMPV4 => assert!(icmpv4::View::new(bytes).unwrap().checksum_is_right(), "a wrong checksum of ICMP"),
        Protocol::ICMPV6 => {
            assert!(icmpv6::View::new(bytes).unwrap().checksum_is_right(pseudo_header), "a wrong checksum of ICMPv6");
        }
        // A reset for what nobody waits for.
        Protocol::TCP => {
            assert!(tcp::View::new(bytes).unwrap().checksum_is_right(pseudo_header), "a wrong checksum of TCP");
        }
        Protocol::IGMP => {}
        other => panic!("a packet of protocol {other:?}"),
    }
}
