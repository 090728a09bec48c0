// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every parser over bytes that anybody may have sent.
//!
//! The fuzzer invents them; the tests run those that were kept, and some random ones. What must always hold: nothing panics;
//! views stay inside the bytes; a value that was parsed is written in as many bytes as it says, not one beside, and gives
//! itself back when it is parsed again.
#![expect(clippy::missing_panics_doc, reason = "a panic is how the fuzzer hears of a defect")]

use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Debug;
use core::net::IpAddr;

use super::checksum::{Sum, pseudo_header, sum};
use super::{Malformed, Protocol, arp, dhcpv4, ethernet, icmpv4, icmpv6, igmp, ipv4, ipv6, mld, ndp, tcp, udp, vlan};

/// Bytes that stand behind what is written, and must stay.
const CANARY: [u8; 16] = *b"nobody writes me";

/// Writes a value and reads it again: `len` bytes and `payload` zero ones behind.
fn again<H: PartialEq + Debug>(
    header: &H,
    len: usize,
    payload: usize,
    emit: impl Fn(&H, &mut [u8]),
    parse: impl Fn(&[u8]) -> Result<H, Malformed>,
) -> Vec<u8> {
    let mut out = vec![0xa5; len];
    out.extend(CANARY);
    emit(header, &mut out);
    assert_eq!(out.get(len..), Some(&CANARY[..]), "{header:?} wrote beyond its length");
    out.truncate(len);
    out.resize(len + payload, 0);
    assert_eq!(parse(&out).as_ref(), Ok(header));
    out
}

macro_rules! parsers {
    ($($parse:ident: $module:ident;)*) => {
        $(
            pub(super) fn $parse(bytes: &[u8]) -> Result<$module::Header, Malformed> {
                $module::View::new(bytes).and_then(|view| $module::Header::parse(&view))
            }
        )*
    };
}

parsers! {
    parse_ethernet: ethernet;
    parse_vlan: vlan;
    parse_arp: arp;
    parse_ipv4: ipv4;
    parse_ipv6: ipv6;
    parse_icmpv4: icmpv4;
    parse_icmpv6: icmpv6;
    parse_ndp: ndp;
    parse_udp: udp;
    parse_tcp: tcp;
    parse_igmp: igmp;
    parse_mld: mld;
    parse_dhcpv4: dhcpv4;
}

/// A frame, and all that may stand in it.
pub fn frame(bytes: &[u8]) {
    let Ok(view) = ethernet::View::new(bytes) else { return };
    assert_eq!(view.header_len() + view.payload().len(), bytes.len());
    let (mut ether_type, mut payload) = (view.ether_type(), view.payload());
    if let Ok(header) = ethernet::Header::parse(&view) {
        again(&header, header.len(), 0, ethernet::Header::emit, parse_ethernet);
    }
    if ether_type == super::EtherType::VLAN
        && let Ok(tag) = vlan::View::new(payload)
    {
        if let Ok(header) = vlan::Header::parse(&tag) {
            again(&header, header.len(), 0, vlan::Header::emit, parse_vlan);
        }
        (ether_type, payload) = (tag.ether_type(), tag.payload());
    }
    match ether_type {
        super::EtherType::ARP => arp(payload),
        super::EtherType::IPV4 => ipv4(payload),
        super::EtherType::IPV6 => ipv6(payload),
        _ => {}
    }
}

/// An ARP packet.
pub fn arp(bytes: &[u8]) {
    if let Ok(header) = parse_arp(bytes) {
        again(&header, header.len(), 0, arp::Header::emit, parse_arp);
    }
}

/// An IPv4 packet, and what it carries.
pub fn ipv4(bytes: &[u8]) {
    let _ = ipv4::View::quoted(bytes).map(|view| (view.checksum_is_right(), view.payload().len()));
    let Ok(view) = ipv4::View::new(bytes) else { return };
    assert_eq!(view.header_len() + view.payload().len(), view.total_len());
    assert!(view.total_len() <= bytes.len());
    // The fuzzer does not guess checksums.
    let mut fixed = bytes.to_vec();
    fixed[10..12].fill(0);
    let checksum = sum(&fixed[..view.header_len()]).finish();
    fixed[10..12].copy_from_slice(&checksum.to_be_bytes());
    match parse_ipv4(&fixed) {
        Ok(header) => {
            let payload = usize::from(header.payload_len);
            again(&header, header.len(), payload, ipv4::Header::emit, parse_ipv4);
        }
        Err(why) => assert!(matches!(why, Malformed::Options | Malformed::Field), "{why:?}"),
    }
    let mut sum = view.pseudo_header(view.payload().len() as u32);
    sum.add(view.payload());
    match view.protocol() {
        Protocol::ICMPV4 => icmpv4(view.payload()),
        Protocol::IGMP => igmp(view.payload()),
        Protocol::TCP => transport_sums(view.payload(), view.pseudo_header(view.payload().len() as u32), sum, tcp),
        Protocol::UDP => transport_sums(view.payload(), view.pseudo_header(view.payload().len() as u32), sum, udp),
        _ => {}
    }
}

/// The sum of a whole must be that of its parts, wherever it is cut.
fn transport_sums(bytes: &[u8], mut pseudo_header: Sum, whole: Sum, parse: fn(&[u8])) {
    let (front, back) = bytes.split_at(bytes.len() / 3);
    pseudo_header.add(front);
    pseudo_header.add(back);
    assert_eq!(pseudo_header.finish(), whole.finish());
    parse(bytes);
}

/// An IPv6 packet, and what it carries.
pub fn ipv6(bytes: &[u8]) {
    let _ = ipv6::View::quoted(bytes).map(|view| view.upper().is_ok());
    let Ok(view) = ipv6::View::new(bytes) else { return };
    assert_eq!(view.payload().len(), usize::from(view.payload_len()));
    if let Ok(header) = ipv6::Header::parse(&view) {
        again(&header, header.len(), usize::from(header.payload_len), ipv6::Header::emit, parse_ipv6);
    }
    let packet = &bytes[..ipv6::HEADER + view.payload().len()];
    let upper = match view.upper() {
        Ok(upper) => upper,
        Err(refused) => {
            let pointer = refused.problem.map_or(0, |problem| problem.pointer as usize);
            return assert!(pointer < packet.len(), "{refused:?} of {} bytes", packet.len());
        }
    };
    assert_eq!(packet.get(upper.named_at).copied(), Some(upper.protocol.0));
    let payload = &packet[upper.offset..];
    if let Some(fragment) = upper.fragment {
        assert_eq!(fragment.next_header, upper.protocol);
        assert_eq!(ipv6::Fragment::parse(&packet[upper.offset - 8..]), Ok(fragment));
        again(&fragment, fragment.len(), 0, ipv6::Fragment::emit, ipv6::Fragment::parse);
        let _ = ipv6::walk(upper.protocol, upper.named_at, payload, upper.offset);
        return;
    }
    match upper.protocol {
        Protocol::ICMPV6 => icmpv6(payload),
        Protocol::TCP => tcp(payload),
        Protocol::UDP => udp(payload),
        _ => {}
    }
}

/// An ICMP message.
pub fn icmpv4(bytes: &[u8]) {
    let Ok(view) = icmpv4::View::new(bytes) else { return };
    let _ = view.checksum_is_right();
    if let Ok(header) = icmpv4::Header::parse(&view) {
        let mut out = again(&header, header.len(), 0, icmpv4::Header::emit, parse_icmpv4);
        out.extend(view.payload());
        icmpv4::complete(&mut out, sum(view.payload()));
        assert!(icmpv4::View::new(&out).is_ok_and(|view| view.checksum_is_right()));
        let _ = ipv4::View::quoted(view.payload());
    }
}

/// An ICMPv6 message, of whatever kind.
pub fn icmpv6(bytes: &[u8]) {
    let Ok(view) = icmpv6::View::new(bytes) else { return };
    let length = bytes.len() as u32;
    let loopback = IpAddr::V6(core::net::Ipv6Addr::LOCALHOST);
    let pseudo = pseudo_header(loopback, loopback, Protocol::ICMPV6.0, length);
    if let Ok(header) = icmpv6::Header::parse(&view) {
        let mut out = again(&header, header.len(), 0, icmpv6::Header::emit, parse_icmpv6);
        out.extend(view.payload());
        let mut rest = pseudo;
        rest.add(view.payload());
        icmpv6::complete(&mut out, rest);
        assert!(icmpv6::View::new(&out).is_ok_and(|view| view.checksum_is_right(pseudo)));
        let _ = ipv6::View::quoted(view.payload()).map(|quoted| quoted.upper());
    }
    ndp(bytes);
    mld(bytes);
}

/// A message of neighbour discovery.
pub fn ndp(bytes: &[u8]) {
    let Ok(view) = ndp::View::new(bytes) else { return };
    assert_eq!(view.header_len() + view.payload().len(), bytes.len());
    if let Ok(header) = ndp::Header::parse(&view) {
        again(&header, header.len(), 0, ndp::Header::emit, parse_ndp);
    }
}

/// A UDP datagram.
pub fn udp(bytes: &[u8]) {
    let _ = udp::View::of_front(bytes, bytes.len() + 1000).map(|view| view.payload().len());
    let Ok(view) = udp::View::new(bytes) else { return };
    assert_eq!(view.header_len() + view.payload().len(), usize::from(view.length()));
    if let Ok(header) = udp::Header::parse(&view) {
        let payload = usize::from(header.payload_len);
        let mut out = again(&header, header.len(), payload, udp::Header::emit, parse_udp);
        udp::complete(&mut out, Sum::new());
        assert!(udp::View::new(&out).is_ok_and(|view| view.checksum_is_right(Sum::new())));
    }
}

/// A TCP segment.
pub fn tcp(bytes: &[u8]) {
    let Ok(view) = tcp::View::new(bytes) else { return };
    assert_eq!(view.header_len() + view.payload().len(), bytes.len());
    if let Ok(mut header) = tcp::Header::parse(&view) {
        // Padding leaves less room for selective acknowledgments than the sender may have had.
        header.options.sack.truncate(header.options.sack_blocks());
        let mut out = again(&header, header.len(), 0, tcp::Header::emit, parse_tcp);
        out.extend(view.payload());
        tcp::complete(&mut out, sum(view.payload()));
        assert!(tcp::View::new(&out).is_ok_and(|view| view.checksum_is_right(Sum::new())));
    }
}

/// An IGMP message.
pub fn igmp(bytes: &[u8]) {
    let Ok(view) = igmp::View::new(bytes) else { return };
    let _ = view.sources().count();
    let mut fixed = bytes.to_vec();
    fixed[2..4].fill(0);
    let checksum = sum(&fixed).finish();
    fixed[2..4].copy_from_slice(&checksum.to_be_bytes());
    if let Ok(header) = parse_igmp(&fixed) {
        again(&header, header.len(), 0, igmp::Header::emit, parse_igmp);
    }
}

/// A message of multicast listener discovery.
pub fn mld(bytes: &[u8]) {
    let Ok(view) = mld::View::new(bytes) else { return };
    let _ = view.sources().count();
    if let Ok(header) = parse_mld(bytes) {
        again(&header, header.len(), 0, mld::Header::emit, parse_mld);
    }
}

/// A DHCP message.
pub fn dhcpv4(bytes: &[u8]) {
    if let Ok(header) = parse_dhcpv4(bytes) {
        again(&header, header.len(), 0, dhcpv4::Header::emit, parse_dhcpv4);
    }
}
