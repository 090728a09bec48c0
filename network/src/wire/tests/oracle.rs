// SPDX-License-Identifier: MIT OR Apache-2.0
//! Against etherparse: it reads what is written here as it was meant, writes the same bytes, and refuses what is refused
//! here where the two have the same rules.

use super::values::{host, icmpv4_header, icmpv6_header, ipv4_header, ipv6_header, tcp_header, v4, v6};
use crate::wire::fuzz::{parse_icmpv4, parse_ipv6, parse_tcp, parse_udp};
use crate::wire::*;
use core::net::Ipv6Addr;
use etherparse as other;
use proptest::collection::vec;
use proptest::prelude::*;

fn bytes(len: usize, emit: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut out = vec![0; len];
    emit(&mut out);
    out
}

/// Bytes that look like a header of 20 or more with length fields that are often nearly right.
fn header_like(version: u8) -> impl Strategy<Value = Vec<u8>> {
    (vec(any::<u8>(), 0..90), 4_u8..8, 0_u16..5, any::<bool>()).prop_map(move |(mut bytes, words, off, lengths)| {
        let len = (bytes.len() as u16 + off).saturating_sub(2);
        if let Some(start) = bytes.get_mut(..6) {
            start[0] = version << 4 | if version == 4 { words } else { 0 };
            if lengths && version == 4 {
                start[2..4].copy_from_slice(&len.to_be_bytes());
            } else if lengths {
                start[4..6].copy_from_slice(&len.saturating_sub(40).to_be_bytes());
            }
        }
        bytes
    })
}

proptest! {
    #[test]
    fn link(destination: [u8; 6], source in host(), kind in 0x0600_u16.., id in 0_u16..0x0fff, priority in 0_u8..8, eligible: bool) {
        let ethernet = ethernet::Header { destination: MacAddress(destination), source, ether_type: EtherType(kind) };
        let out = bytes(ethernet.len(), |out| ethernet.emit(out));
        let theirs = other::Ethernet2Header { source: source.0, destination, ether_type: other::EtherType(kind) };
        prop_assert_eq!(&out[..], &theirs.to_bytes());
        let tag = vlan::Header { id, priority, drop_eligible: eligible, ether_type: EtherType(kind) };
        let theirs = other::SingleVlanHeader {
            pcp: priority.try_into().unwrap(),
            drop_eligible_indicator: eligible,
            vlan_id: id.try_into().unwrap(),
            ether_type: other::EtherType(kind),
        };
        prop_assert_eq!(&bytes(4, |out| tag.emit(out))[..], &theirs.to_bytes());
    }

    #[test]
    fn arp(reply: bool, sender_mac in host(), sender in v4(), target_mac: [u8; 6], target in v4()) {
        let operation = if reply { arp::Operation::Reply } else { arp::Operation::Request };
        let ours = arp::Header { operation, sender_mac, sender, target_mac: MacAddress(target_mac), target };
        let theirs = other::ArpEthIpv4Packet {
            operation: if reply { other::ArpOperation::REPLY } else { other::ArpOperation::REQUEST },
            sender_mac: sender_mac.0,
            sender_ipv4: sender.octets(),
            target_mac,
            target_ipv4: target.octets(),
        };
        prop_assert_eq!(&bytes(ours.len(), |out| ours.emit(out))[..], &theirs.to_bytes());
    }

    #[test]
    fn ipv4_written(header in ipv4_header()) {
        let mut out = bytes(header.len(), |out| header.emit(out));
        let theirs = other::Ipv4HeaderSlice::from_slice(&out).unwrap();
        prop_assert_eq!(theirs.total_len() as usize, header.len() + usize::from(header.payload_len));
        prop_assert_eq!((theirs.dcp().value(), theirs.ecn().value()), (header.dscp, header.ecn as u8));
        prop_assert_eq!(theirs.fragments_offset().value() * 8, header.fragment_offset);
        prop_assert_eq!((theirs.dont_fragment(), theirs.more_fragments()), (header.dont_fragment, header.more_fragments));
        prop_assert_eq!((theirs.source_addr(), theirs.destination_addr()), (header.source, header.destination));
        prop_assert_eq!((theirs.identification(), theirs.ttl(), theirs.protocol().0), (header.identification, header.ttl, header.protocol.0));
        prop_assert_eq!(theirs.header_checksum(), theirs.to_header().calc_header_checksum());
        prop_assert_eq!(theirs.is_fragmenting_payload(), header.more_fragments || header.fragment_offset > 0);
        out.resize(header.len() + usize::from(header.payload_len), 0);
        prop_assert_eq!(ipv4::View::new(&out).unwrap().is_fragment(), header.more_fragments || header.fragment_offset > 0);
    }

    #[test]
    fn ipv4_read(bytes in header_like(4)) {
        let theirs = other::Ipv4HeaderSlice::from_slice(&bytes).ok().filter(|header| {
            let total = usize::from(header.total_len());
            total >= header.slice().len() && total <= bytes.len()
        });
        match (ipv4::View::new(&bytes), theirs) {
            (Ok(ours), Some(theirs)) => {
                prop_assert_eq!(ours.header_len(), theirs.slice().len());
                prop_assert_eq!(ours.options(), theirs.options());
                prop_assert_eq!((ours.source(), ours.destination()), (theirs.source_addr(), theirs.destination_addr()));
                prop_assert_eq!(ours.payload().len(), usize::from(theirs.payload_len().unwrap()));
                let right = theirs.to_header().calc_header_checksum() == theirs.header_checksum();
                // A bit that must be zero is no part of their value.
                prop_assert!(ours.checksum_is_right() == right || bytes[6] & 0x80 != 0);
            }
            // They do not mind datagrams that end beyond 64 KiB.
            (Err(Malformed::Length), Some(theirs)) => {
                prop_assert!(usize::from(theirs.fragments_offset().value()) * 8 + usize::from(theirs.total_len()) > 0xffff);
            }
            (ours, theirs) => prop_assert!(ours.is_err() && theirs.is_none(), "{ours:?} {theirs:?}"),
        }
    }

    #[test]
    fn ipv6_written(header in ipv6_header()) {
        let out = bytes(header.len(), |out| header.emit(out));
        let theirs = other::Ipv6HeaderSlice::from_slice(&out).unwrap();
        prop_assert_eq!(theirs.traffic_class(), header.dscp << 2 | header.ecn as u8);
        prop_assert_eq!(theirs.flow_label().value(), header.flow_label);
        prop_assert_eq!((theirs.payload_length(), theirs.next_header().0, theirs.hop_limit()), (header.payload_len, header.next_header.0, header.hop_limit));
        prop_assert_eq!((theirs.source_addr(), theirs.destination_addr()), (header.source, header.destination));
        prop_assert_eq!(&out[..], &theirs.to_header().to_bytes());
    }

    #[test]
    fn ipv6_read(bytes in header_like(6)) {
        let theirs = other::Ipv6HeaderSlice::from_slice(&bytes).ok().filter(|header| 40 + usize::from(header.payload_length()) <= bytes.len());
        prop_assert_eq!(ipv6::View::new(&bytes).is_ok(), theirs.is_some());
        if let (Ok(ours), Some(theirs)) = (parse_ipv6(&bytes), theirs) {
            prop_assert_eq!(ours.flow_label, theirs.flow_label().value());
            prop_assert_eq!(ours.dscp << 2 | ours.ecn as u8, theirs.traffic_class());
        }
    }

    #[test]
    fn extension_headers(chain in vec((prop::sample::select(vec![0_u8, 43, 60, 44]), vec(any::<u8>(), 6), 0_u8..3), 0..10), last in 0_u8..=255, cut in 0_usize..300) {
        // Options that may be passed over, routing headers that are done.
        let mut packet = Vec::new();
        let kinds: Vec<u8> = chain.iter().map(|(kind, ..)| *kind).chain([last]).collect();
        for ((kind, data, units), next) in chain.iter().zip(&kinds[1..]) {
            let units = if *kind == 44 { 0 } else { *units };
            let mut header = vec![*next, units];
            match kind {
                43 => header.extend([253, 0, data[2], data[3], data[4], data[5]]),
                44 => header.extend(data),
                _ => header.extend([1, 4, 0, 0, 0, 0]),
            }
            for _ in 0..units {
                header.extend([1, 6, 0, 0, 0, 0, 0, 0]);
            }
            packet.extend(header);
        }
        packet.extend([0; 20]);
        packet.truncate(cut);
        let first = kinds[0];
        let ours = ipv6::walk(Protocol(first), 6, &packet, ipv6::HEADER);
        // Authentication is not known here; they read it.
        prop_assume!(last != 51);
        let theirs = other::Ipv6ExtensionsSlice::from_slice(other::IpNumber(first), &packet);
        match (ours, theirs) {
            (Ok(upper), Ok((theirs, protocol, rest))) if upper.fragment.is_none() => {
                prop_assert_eq!(upper.protocol.0, protocol.0);
                prop_assert_eq!(upper.offset, 40 + packet.len() - rest.len());
                prop_assert!(!theirs.is_fragmenting_payload());
            }
            (Ok(upper), theirs) => {
                // They go on behind a fragment header. Its offset and flags they read from the wrong bits (0.19), so that those
                // are held by packets of Linux instead.
                prop_assert!(upper.fragment.is_some(), "{upper:?} {theirs:?}");
                let header = other::Ipv6FragmentHeaderSlice::from_slice(&packet[upper.offset - 48..]).unwrap();
                prop_assert_eq!(header.next_header().0, upper.protocol.0);
                prop_assert_eq!(upper.fragment.map(|fragment| fragment.identification), Some(header.identification()));
            }
            (Err(refused), theirs) => prop_assert!(
                theirs.is_err() || refused.why == Malformed::Extension && chain.len() > crate::limits::EXTENSION_HEADERS_MAX,
                "{refused:?} {theirs:?}"
            ),
        }
    }

    #[test]
    fn udp_written(source: u16, destination in 1_u16.., payload in vec(any::<u8>(), 0..100), from in v4(), to in v4(), from6 in v6(), to6 in v6()) {
        let ours = udp::Header { source, destination, payload_len: payload.len() as u16 };
        let complete = |pseudo: checksum::Sum| {
            let mut rest = pseudo;
            rest.add(&payload);
            bytes(8, |out| { ours.emit(out); udp::complete(out, rest) })
        };
        let v4 = other::UdpHeader::with_ipv4_checksum(source, destination,
            &other::Ipv4Header::new(0, 1, other::ip_number::UDP, from.octets(), to.octets()).unwrap(), &payload).unwrap();
        let length = u32::from(ours.payload_len) + 8;
        prop_assert_eq!(&complete(checksum::pseudo_header(from.into(), to.into(), 17, length))[..], &v4.to_bytes());
        let v6 = other::UdpHeader::with_ipv6_checksum(source, destination,
            &other::Ipv6Header { source: from6.octets(), destination: to6.octets(), ..Default::default() }, &payload).unwrap();
        prop_assert_eq!(&complete(checksum::pseudo_header(from6.into(), to6.into(), 17, length))[..], &v6.to_bytes());
    }

    #[test]
    fn udp_read(mut bytes in vec(any::<u8>(), 0..40), length in 0_u16..40, use_length: bool) {
        if use_length && let Some(field) = bytes.get_mut(4..6) {
            field.copy_from_slice(&length.to_be_bytes());
        }
        // They take a length of zero for "to the end".
        prop_assume!(bytes.get(4..6) != Some(&[0, 0]));
        let (ours, theirs) = (udp::View::new(&bytes), other::UdpSlice::from_slice(&bytes));
        prop_assert_eq!(ours.is_ok(), theirs.is_ok());
        if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
            prop_assert_eq!(ours.payload(), theirs.payload());
            prop_assert_eq!(parse_udp(&bytes).is_ok(), theirs.destination_port() != 0);
        }
    }

    #[test]
    fn tcp_written(mut header in tcp_header(), payload in vec(any::<u8>(), 0..50), from in v6(), to in v6()) {
        // The other reader does not know it, and stops there.
        header.options.fast_open = None;
        let mut out = bytes(header.len(), |out| header.emit(out));
        let mut rest = checksum::pseudo_header(from.into(), to.into(), 6, (out.len() + payload.len()) as u32);
        rest.add(&payload);
        tcp::complete(&mut out, rest);
        let theirs = other::TcpHeaderSlice::from_slice(&out).unwrap();
        prop_assert_eq!((theirs.source_port(), theirs.destination_port()), (header.source, header.destination));
        prop_assert_eq!((theirs.sequence_number(), theirs.acknowledgment_number()), (header.sequence, header.acknowledgment));
        prop_assert_eq!((theirs.window_size(), theirs.urgent_pointer()), (header.window, header.urgent));
        let bits = [theirs.fin(), theirs.syn(), theirs.rst(), theirs.psh(), theirs.ack(), theirs.urg(), theirs.ece(), theirs.cwr()];
        let flags = bits.iter().rev().fold(0, |flags, bit| flags << 1 | u8::from(*bit));
        prop_assert_eq!(tcp::Flags(flags), header.flags);
        let checksum = theirs.calc_checksum_ipv6_raw(from.octets(), to.octets(), &payload).unwrap();
        prop_assert_eq!(theirs.checksum(), checksum);
        let mut expected = header.options.clone();
        for option in theirs.options_iterator() {
            match option.unwrap() {
                other::TcpOptionElement::Noop => {}
                other::TcpOptionElement::MaximumSegmentSize(mss) => prop_assert_eq!(expected.mss.take(), Some(mss)),
                other::TcpOptionElement::WindowScale(shift) => prop_assert_eq!(expected.window_scale.take(), Some(shift)),
                other::TcpOptionElement::SelectiveAcknowledgementPermitted => {
                    prop_assert!(core::mem::take(&mut expected.sack_permitted));
                }
                other::TcpOptionElement::SelectiveAcknowledgement(first, more) => {
                    let blocks: Vec<_> = more.iter().flatten().fold(vec![first], |mut all, block| { all.push(*block); all });
                    let ours: Vec<_> = expected.sack.take().iter().map(|block| (block.start, block.end)).collect();
                    prop_assert_eq!(ours, blocks);
                }
                other::TcpOptionElement::Timestamp(value, echo) => {
                    prop_assert_eq!(expected.timestamps.take(), Some(tcp::Timestamps { value, echo }));
                }
            }
        }
        prop_assert!(expected.is_empty(), "{expected:?} was not written");
    }

    #[test]
    fn tcp_read(mut bytes in vec(any::<u8>(), 0..70), words in 4_u8..16) {
        if let Some(field) = bytes.get_mut(12) {
            *field = words << 4;
        }
        let (ours, theirs) = (tcp::View::new(&bytes), other::TcpHeaderSlice::from_slice(&bytes));
        prop_assert_eq!(ours.is_ok(), theirs.is_ok());
        if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
            prop_assert_eq!(ours.options(), theirs.options());
            prop_assert_eq!(ours.payload(), &bytes[theirs.slice().len()..]);
            // What they can read to the end can be read here too.
            let readable = theirs.options_iterator().all(|option| option.is_ok());
            prop_assert!(!readable || parse_tcp(&bytes).is_ok() || theirs.source_port() == 0 || theirs.destination_port() == 0);
        }
    }

    #[test]
    fn icmpv4_messages(header in icmpv4_header(), payload in vec(any::<u8>(), 0..50)) {
        let mut out = bytes(8, |out| { header.emit(out); icmpv4::complete(out, checksum::sum(&payload)) });
        out.extend(&payload);
        let Ok(theirs) = other::Icmpv4Slice::from_slice(&out) else {
            // They want timestamp messages to be whole.
            let timestamp = matches!(header, icmpv4::Header::Other { kind: 13 | 14, code: 0, .. });
            prop_assert!(timestamp, "{header:?}");
            return Ok(());
        };
        prop_assert_eq!((theirs.type_u8(), theirs.code_u8()), (out[0], out[1]));
        prop_assert_eq!(other::checksum::Sum16BitWords::new().add_slice(&out).ones_complement(), 0);
        match (header, theirs.icmp_type()) {
            (icmpv4::Header::EchoRequest { identifier, sequence }, other::Icmpv4Type::EchoRequest(echo))
            | (icmpv4::Header::EchoReply { identifier, sequence }, other::Icmpv4Type::EchoReply(echo)) => {
                prop_assert_eq!((identifier, sequence), (echo.id, echo.seq));
            }
            (icmpv4::Header::Unreachable { mtu, .. }, other::Icmpv4Type::DestinationUnreachable(
                other::icmpv4::DestUnreachableHeader::FragmentationNeeded { next_hop_mtu })) => prop_assert_eq!(mtu, next_hop_mtu),
            (icmpv4::Header::Redirect { gateway, .. }, other::Icmpv4Type::Redirect(redirect)) => {
                prop_assert_eq!(gateway.octets(), redirect.gateway_internet_address);
            }
            (icmpv4::Header::EchoRequest { .. } | icmpv4::Header::EchoReply { .. }, theirs) => prop_assert!(false, "{theirs:?}"),
            _ => {}
        }
        prop_assert_eq!(parse_icmpv4(&out), Ok(header));
    }

    #[test]
    fn icmpv6_messages(header in icmpv6_header(), payload in vec(any::<u8>(), 0..50), from in v6(), to in v6()) {
        let mut rest = checksum::pseudo_header(from.into(), to.into(), 58, (payload.len() + 8) as u32);
        rest.add(&payload);
        let mut out = bytes(8, |out| { header.emit(out); icmpv6::complete(out, rest) });
        out.extend(&payload);
        let theirs = other::Icmpv6Slice::from_slice(&out).unwrap();
        prop_assert!(theirs.is_checksum_valid(from.octets(), to.octets()));
        match (header, theirs.icmp_type()) {
            (icmpv6::Header::EchoRequest { identifier, sequence }, other::Icmpv6Type::EchoRequest(echo))
            | (icmpv6::Header::EchoReply { identifier, sequence }, other::Icmpv6Type::EchoReply(echo)) => {
                prop_assert_eq!((identifier, sequence), (echo.id, echo.seq));
            }
            (icmpv6::Header::PacketTooBig { mtu }, other::Icmpv6Type::PacketTooBig { mtu: theirs }) => prop_assert_eq!(mtu, theirs),
            (icmpv6::Header::EchoRequest { .. } | icmpv6::Header::PacketTooBig { .. }, theirs) => prop_assert!(false, "{theirs:?}"),
            _ => {}
        }
    }

    /// Our messages of neighbour discovery, their checksum.
    #[test]
    fn ndp_checksums(target in v6(), from in v6(), mac in host()) {
        let header = ndp::Header::NeighbourSolicitation { target, source_mac: Some(mac) };
        let to = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 1);
        let pseudo = checksum::pseudo_header(from.into(), to.into(), 58, header.len() as u32);
        let out = bytes(header.len(), |out| { header.emit(out); icmpv6::complete_whole(out, pseudo) });
        let theirs = other::Icmpv6Slice::from_slice(&out).unwrap();
        prop_assert!(theirs.is_checksum_valid(from.octets(), to.octets()));
        prop_assert_eq!((theirs.type_u8(), theirs.code_u8()), (135, 0));
    }
}
