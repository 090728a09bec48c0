// SPDX-License-Identifier: MIT OR Apache-2.0
//! Packets of other stacks, and bad ones written out byte by byte, each with what must be made of it.
//!
//! The corpus of `wire_frame` has frames that Linux and dnsmasq sent. Every checksum in them is right, every value that is
//! read from them gives the same bytes again where all of them are known here, and what is left out is listed.

use crate::wire::dhcpv4::Kind;
use crate::wire::fuzz::{
    parse_arp, parse_dhcpv4, parse_ethernet, parse_icmpv4, parse_icmpv6, parse_igmp, parse_ipv4, parse_ipv6, parse_mld,
    parse_ndp, parse_tcp, parse_udp, parse_vlan,
};
use crate::wire::*;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

fn packet(path: &str) -> Vec<u8> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    std::fs::read(directory.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What `emit` writes, `len` bytes.
fn bytes(len: usize, emit: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut out = vec![0; len];
    emit(&mut out);
    out
}

/// A transport's message of another stack, its checksum right, comes out the same.
fn transport(protocol: Protocol, message: &[u8], pseudo: checksum::Sum) {
    let rest = |header: usize| {
        let mut sum = pseudo;
        sum.add(&message[header..]);
        sum
    };
    let (len, out) = match protocol {
        Protocol::UDP => {
            let (view, header) = (udp::View::new(message).unwrap(), parse_udp(message).unwrap());
            let mut out = bytes(header.len(), |out| header.emit(out));
            if view.checksum() != 0 {
                assert!(view.checksum_is_right(pseudo));
                udp::complete(&mut out, rest(header.len()));
            }
            match (header.source, header.destination) {
                (dhcpv4::CLIENT_PORT, dhcpv4::SERVER_PORT) | (dhcpv4::SERVER_PORT, dhcpv4::CLIENT_PORT) => {
                    parse_dhcpv4(view.payload()).unwrap();
                }
                _ => {}
            }
            (header.len(), out)
        }
        Protocol::TCP => {
            assert!(tcp::View::new(message).unwrap().checksum_is_right(pseudo));
            let header = parse_tcp(message).unwrap();
            let mut out = bytes(header.len(), |out| header.emit(out));
            tcp::complete(&mut out, rest(header.len()));
            (header.len(), out)
        }
        Protocol::ICMPV4 => {
            assert!(icmpv4::View::new(message).unwrap().checksum_is_right());
            let header = parse_icmpv4(message).unwrap();
            let mut out = bytes(header.len(), |out| header.emit(out));
            icmpv4::complete(&mut out, checksum::sum(&message[header.len()..]));
            (header.len(), out)
        }
        Protocol::IGMP => {
            let header = parse_igmp(message).unwrap();
            (header.len(), bytes(header.len(), |out| header.emit(out)))
        }
        Protocol::ICMPV6 => {
            let view = icmpv6::View::new(message).unwrap();
            assert!(view.checksum_is_right(pseudo));
            let mut out;
            if view.is_ndp() {
                let header = parse_ndp(message).unwrap();
                let skipped: Vec<u8> = ndp::View::new(message).unwrap().options().map(|option| option.0).collect();
                if header.len() < message.len() {
                    // The nonce of RFC 7527, in solicitations of an address that is still tentative.
                    return assert_eq!(skipped, [14]);
                }
                out = bytes(header.len(), |out| header.emit(out));
                icmpv6::complete_whole(&mut out, pseudo);
            } else if view.is_mld() {
                let header = parse_mld(message).unwrap();
                out = bytes(header.len(), |out| header.emit(out));
                icmpv6::complete_whole(&mut out, pseudo);
            } else {
                let header = parse_icmpv6(message).unwrap();
                out = bytes(header.len(), |out| header.emit(out));
                icmpv6::complete(&mut out, rest(header.len()));
            }
            (out.len(), out)
        }
        _ => panic!("{protocol:?} is not in the corpus"),
    };
    assert_eq!(out, message[..len]);
}

/// Goes through one frame.
fn frame(frame: &[u8]) {
    let ethernet = parse_ethernet(frame).unwrap();
    assert_eq!(bytes(ethernet.len(), |out| ethernet.emit(out)), frame[..ethernet.len()]);
    let packet = &frame[ethernet.len()..];
    match ethernet.ether_type {
        EtherType::ARP => {
            let arp = parse_arp(packet).unwrap();
            assert_eq!(bytes(arp.len(), |out| arp.emit(out)), packet[..arp.len()]);
        }
        EtherType::IPV4 => {
            let (view, header) = (ipv4::View::new(packet).unwrap(), parse_ipv4(packet).unwrap());
            if view.header_len() == header.len() {
                assert_eq!(bytes(header.len(), |out| header.emit(out)), packet[..header.len()]);
            } else {
                assert!(!view.options().starts_with(&[148]));
            }
            let payload = view.payload();
            if !view.is_fragment() {
                transport(view.protocol(), payload, view.pseudo_header(payload.len() as u32));
            }
        }
        EtherType::IPV6 => {
            let (view, header) = (ipv6::View::new(packet).unwrap(), parse_ipv6(packet).unwrap());
            assert_eq!(bytes(header.len(), |out| header.emit(out)), packet[..header.len()]);
            let upper = view.upper().unwrap();
            if let Some(fragment) = upper.fragment {
                assert_eq!(bytes(8, |out| fragment.emit(out)), packet[upper.offset - 8..upper.offset]);
            } else {
                let payload = &packet[upper.offset..];
                assert_eq!(icmpv6::View::new(payload).is_ok_and(|icmp| icmp.is_mld()), upper.router_alert);
                if upper.router_alert {
                    assert_eq!(packet[ipv6::HEADER..upper.offset], ipv6::extension::router_alert(Protocol::ICMPV6));
                }
                transport(upper.protocol, payload, view.pseudo_header(upper.protocol, payload.len() as u32));
            }
        }
        other => panic!("{other:?} is not in the corpus"),
    }
}

/// RFC 894; RFC 2464; RFC 2131 §2; RFC 4861 §4; RFC 4443; RFC 792.
#[test]
fn frames_of_other_stacks_come_out_as_they_went_in() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/wire_frame");
    let (mut frames, mut advertisements) = (0, 0);
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let read = std::fs::read(entry.path()).unwrap();
        if name == "dnsmasq-ndp-134-64" {
            // It has an option for name servers, and its own order.
            advertisements += 1;
        } else if ["linux-", "dnsmasq-", "client-"].iter().any(|sender| name.starts_with(sender)) {
            println!("{name}");
            frame(&read);
            frames += 1;
        }
    }
    assert!(frames >= 50 && advertisements == 1, "{frames} frames");
}

/// RFC 4861 §4.2, §4.6.2; RFC 2464 §6.
#[test]
fn advertisement_of_a_router() {
    let ndp::Header::RouterAdvertisement(router) = parse_ndp(&packet("wire_ndp/dnsmasq-ndp-134-64")).unwrap() else {
        panic!("no advertisement")
    };
    assert_eq!((router.hop_limit, router.lifetime, router.mtu), (64, 1200, Some(1400)));
    assert_eq!(router.source_mac, Some(MacAddress([2, 0, 0, 0, 0, 0x0b])));
    let [prefix] = router.prefixes[..] else { panic!("{:?}", router.prefixes) };
    assert_eq!((prefix.prefix, prefix.length), ("fd09::".parse().unwrap(), 64));
    assert!(prefix.on_link && prefix.autonomous && prefix.valid == 3600 && prefix.preferred == 3600);
}

#[test]
fn advertisement_of_more_prefixes_than_are_looked_at() {
    let ndp::Header::RouterAdvertisement(router) = parse_ndp(&packet("wire_ndp/advertisement-of-9-prefixes")).unwrap()
    else {
        panic!("no advertisement")
    };
    assert!(router.managed && router.other && router.prefixes.is_full());
    assert_eq!((router.lifetime, router.reachable, router.retransmit, router.mtu), (0x0708, 256, 512, Some(1280)));
    assert_eq!(router.prefixes[7].prefix.octets()[7], 7);
    assert_eq!(router.source_mac, Some(MacAddress([2, 0, 0, 0, 0, 0x0b])));
}

/// RFC 4861 §4.6, §8.1.
#[test]
fn redirect() {
    let target = "fe80::b".parse().unwrap();
    let redirect = ndp::Header::Redirect {
        target,
        destination: "fd09::1".parse().unwrap(),
        target_mac: Some(MacAddress([2, 0, 0, 0, 0, 0x0b])),
    };
    assert_eq!(parse_ndp(&packet("wire_ndp/redirect")), Ok(redirect));
    assert_eq!(parse_ndp(&packet("wire_ndp/option-without-length")), Err(Malformed::Options));
}

/// RFC 2131 §2; RFC 2132 §5.1, §9.6; RFC 3442.
#[test]
fn lease_of_a_server() {
    let ack = parse_dhcpv4(&packet("wire_dhcpv4/dnsmasq-dhcp-5")).unwrap();
    let server = Ipv4Addr::new(10, 9, 0, 2);
    assert_eq!((ack.kind, ack.transaction, ack.mac), (Kind::Ack, 0x1234_5678, MacAddress([2, 0, 0, 0, 0, 0x0a])));
    assert_eq!(ack.yours.octets()[..3], [10, 9, 0]);
    assert_eq!(ack.options.subnet_mask, Some(Ipv4Addr::new(255, 255, 255, 0)));
    assert_eq!(ack.options.broadcast_address, Some(Ipv4Addr::new(10, 9, 0, 255)));
    assert_eq!((ack.options.server, ack.options.mtu, ack.options.lease), (Some(server), Some(1400), Some(3600)));
    assert_eq!((ack.options.renewal, ack.options.rebinding), (Some(1800), Some(3150)));
    assert_eq!(ack.options.routers[..], [server]);
    assert_eq!(ack.options.name_servers[..], [server, Ipv4Addr::new(10, 9, 0, 3)]);
    let routes: Vec<_> = ack.options.classless_routes.iter().map(|to| (to.destination, to.length, to.router)).collect();
    assert_eq!(routes, [(Ipv4Addr::new(10, 20, 0, 0), 16, server), (Ipv4Addr::UNSPECIFIED, 0, server)]);
    assert_eq!(parse_dhcpv4(&packet("wire_dhcpv4/dnsmasq-dhcp-6")).unwrap().kind, Kind::Nak);
    let discover = parse_dhcpv4(&packet("wire_dhcpv4/client-dhcp-1")).unwrap();
    assert!(discover.broadcast && discover.kind == Kind::Discover);
    assert_eq!(discover.options.parameters[..], [1, 3, 6, 26, 28, 51, 58, 59, 121]);
}

/// RFC 2132 §9.3; RFC 2131 §4.1.
#[test]
fn dhcp_that_is_out_of_the_ordinary() {
    let overloaded = parse_dhcpv4(&packet("wire_dhcpv4/overload")).unwrap();
    assert_eq!(overloaded.options.subnet_mask, Some(Ipv4Addr::new(255, 255, 255, 0)), "from the file");
    assert_eq!(overloaded.options.routers[..], [Ipv4Addr::new(10, 9, 0, 1)], "from the name");
    for name in ["mask-with-a-hole", "no-kind", "routes-33"] {
        assert_eq!(parse_dhcpv4(&packet(&format!("wire_dhcpv4/{name}"))), Err(Malformed::Options), "{name}");
    }
    let mut wrong_way = packet("wire_dhcpv4/dnsmasq-dhcp-5");
    wrong_way[0] = 1;
    assert_eq!(parse_dhcpv4(&wrong_way), Err(Malformed::Field));
    wrong_way[236] = 0;
    assert_eq!(parse_dhcpv4(&wrong_way), Err(Malformed::Version));
}

/// RFC 1191 §4, RFC 1812 §5.2.7.1, RFC 1122 §3.2.2, RFC 4443 §3.
#[test]
fn errors_quote_what_was_sent() {
    let message = packet("wire_icmpv4/linux-icmpv4-3-4");
    let too_long = icmpv4::Header::Unreachable { code: icmpv4::Unreachable::FRAGMENTATION_NEEDED, mtu: 1300 };
    assert_eq!(parse_icmpv4(&message), Ok(too_long));
    let view = icmpv4::View::new(&message).unwrap();
    assert!(view.is_error());
    assert_eq!(ipv4::View::new(view.payload()).err(), Some(Malformed::Truncated));
    let quoted = ipv4::View::quoted(view.payload()).unwrap();
    assert_eq!((quoted.total_len(), quoted.protocol()), (1428, Protocol::ICMPV4));
    assert_eq!(quoted.destination(), Ipv4Addr::new(10, 77, 0, 1));
    assert!(matches!(parse_icmpv4(quoted.payload()), Ok(icmpv4::Header::EchoRequest { sequence: 1, .. })));

    let message = packet("wire_icmpv6/packet-too-big");
    assert_eq!(parse_icmpv6(&message), Ok(icmpv6::Header::PacketTooBig { mtu: 1280 }));
    let quoted = ipv6::View::quoted(&message[icmpv6::HEADER..]).unwrap();
    assert_eq!(quoted.upper().unwrap().protocol, Protocol::UDP);
    let problem = icmpv6::Header::ParameterProblem { code: 1, pointer: 6 };
    assert_eq!(parse_icmpv6(&packet("wire_icmpv6/parameter-problem")), Ok(problem));
    let redirect = icmpv4::Header::Redirect { code: 1, gateway: Ipv4Addr::new(10, 9, 0, 3) };
    assert_eq!(parse_icmpv4(&packet("wire_icmpv4/redirect")), Ok(redirect));
    let problem = icmpv4::Header::ParameterProblem { code: 0, pointer: 20 };
    assert_eq!(parse_icmpv4(&packet("wire_icmpv4/parameter-problem")), Ok(problem));
}

#[test]
fn tags() {
    let frame = packet("wire_frame/vlan-udp");
    let payload = ethernet::View::new(&frame).unwrap().payload();
    let tag = vlan::Header { id: 7, priority: 5, drop_eligible: false, ether_type: EtherType::IPV4 };
    assert_eq!(parse_vlan(payload), Ok(tag));
    let twice = packet("wire_frame/vlan-vlan");
    assert_eq!(parse_vlan(ethernet::View::new(&twice).unwrap().payload()), Err(Malformed::Field));
    assert_eq!(parse_vlan(&[0x0f, 0xff, 8, 0]), Err(Malformed::Field), "VLAN 4095");
}

/// RFC 1122 §2.3.3.
#[test]
fn frames_that_are_refused() {
    assert_eq!(parse_ethernet(&[0; 13]), Err(Malformed::Truncated));
    let mut frame = packet("wire_frame/linux-udp-3");
    frame[6] |= 1;
    assert_eq!(parse_ethernet(&frame), Err(Malformed::Field), "from a group");
    frame[6] &= !1;
    frame[12..14].copy_from_slice(&46_u16.to_be_bytes());
    assert_eq!(parse_ethernet(&frame), Err(Malformed::Field), "a length");
}

/// RFC 826, RFC 5227 §1.1.
#[test]
fn arp_that_is_refused() {
    let good = packet("wire_arp/linux-arp-reply");
    let with = |at: usize, byte: u8| {
        let mut changed = good.clone();
        changed[at] = byte;
        parse_arp(&changed)
    };
    assert!(parse_arp(&good).is_ok_and(|arp| arp.operation == arp::Operation::Reply));
    assert!(parse_arp(&packet("wire_arp/probe")).is_ok_and(|arp| arp.sender.is_unspecified()));
    assert_eq!(parse_arp(&packet("wire_arp/inverse")), Err(Malformed::Field));
    assert_eq!(parse_arp(&good[..27]), Err(Malformed::Truncated));
    assert_eq!((with(1, 6), with(3, 1)), (Err(Malformed::Field), Err(Malformed::Field)), "other hardware, protocol");
    assert_eq!((with(4, 8), with(5, 16)), (Err(Malformed::Length), Err(Malformed::Length)));
    assert_eq!((with(8, 3), with(14, 224)), (Err(Malformed::Field), Err(Malformed::Field)), "a sender that is a group");
}

/// RFC 791 §3.1; RFC 1122 §3.2.1, §3.2.1.3; RFC 7126 §4.3, §4.4; RFC 2113 §2.1.
#[test]
fn ipv4_that_is_refused() {
    let good = packet("wire_ipv4/linux-tcp-flagsc2-options20");
    // Changed at one place, and the checksum made right.
    let with = |at: usize, bytes: &[u8]| {
        let mut changed = good.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        changed[10..12].fill(0);
        let checksum = checksum::sum(&changed[..20]).finish();
        changed[10..12].copy_from_slice(&checksum.to_be_bytes());
        parse_ipv4(&changed)
    };
    assert!(with(8, &[1]).is_ok_and(|header| header.ttl == 1));
    assert_eq!((with(0, &[0x65]), with(0, &[0x44])), (Err(Malformed::Version), Err(Malformed::Length)));
    assert_eq!(with(2, &[0, 19]), Err(Malformed::Length), "shorter than its header");
    assert_eq!(with(2, &[0, 61]), Err(Malformed::Truncated), "longer than the frame");
    assert_eq!(with(6, &[0x1f, 0xff]), Err(Malformed::Length), "ends beyond 64 KiB");
    assert!(with(6, &[0x1f, 0xf8]).is_ok_and(|header| header.fragment_offset == 0xffc0), "ends just below");
    for source in [[224, 0, 0, 1], [255; 4]] {
        assert_eq!(with(12, &source), Err(Malformed::Field));
    }
    let mut wrong = good.clone();
    wrong[10] ^= 1;
    assert_eq!(parse_ipv4(&wrong), Err(Malformed::Checksum));
    assert_eq!(parse_ipv4(&packet("wire_ipv4/source-route")), Err(Malformed::Options));
    assert_eq!(parse_ipv4(&packet("wire_ipv4/option-cut")), Err(Malformed::Options));
    assert_eq!(parse_ipv4(&packet("wire_ipv4/beyond-64k")), Err(Malformed::Length));
    // What Linux's ping -R and -T ask for is passed over.
    for name in ["1-8", "7-0", "68-8", "68-0"] {
        let header = parse_ipv4(&packet(&format!("wire_ipv4/linux-ipv4-options-{name}"))).unwrap();
        assert!(!header.router_alert && header.protocol == Protocol::ICMPV4);
    }
    assert!(parse_ipv4(&packet("wire_ipv4/linux-igmp-16")).unwrap().router_alert);
}

fn upper(path: &str) -> Result<ipv6::Upper, ipv6::Refused> {
    ipv6::View::new(&packet(path)).unwrap().upper()
}

/// RFC 8200 §4, §4.1, §4.2, §4.4, §4.5; RFC 5095 §3; RFC 6946 §4; RFC 4443 §3.4; RFC 2675.
#[test]
fn extension_headers() {
    let told = |code, pointer, also_multicast| Some(ipv6::Problem { code, pointer, also_multicast });
    let refused = |why, problem| Err(ipv6::Refused { why, problem });
    let udp = |offset, named_at| {
        Ok(ipv6::Upper { protocol: Protocol::UDP, offset, named_at, fragment: None, router_alert: false })
    };
    assert_eq!(upper("wire_ipv6/linux-udp-v6"), udp(40, 6));
    assert_eq!(upper("wire_ipv6/linux-ipv6-60"), udp(48, 40));
    assert_eq!(upper("wire_ipv6/linux-ipv6-0-60"), udp(56, 48));
    assert_eq!(upper("wire_ipv6/routing-done"), udp(64, 40));
    assert_eq!(upper("wire_ipv6/routing-left"), refused(Malformed::Extension, told(0, 42, false)));
    assert_eq!(upper("wire_ipv6/hop-by-hop-twice"), refused(Malformed::Extension, told(1, 40, false)));
    assert_eq!(upper("wire_ipv6/nine-headers"), refused(Malformed::Extension, None));
    assert_eq!(upper("wire_ipv6/option-discard"), refused(Malformed::Options, None));
    assert_eq!(upper("wire_ipv6/option-tell"), refused(Malformed::Options, told(2, 43, false)));
    assert_eq!(upper("wire_ipv6/option-cut"), refused(Malformed::Options, None));
    // 10 in the high bits: tell also senders to a group.
    let mut option = packet("wire_ipv6/option-tell");
    option[43] = 0x80;
    assert_eq!(ipv6::View::new(&option).unwrap().upper(), refused(Malformed::Options, told(2, 43, true)));
    // Jumbograms are not known (RFC 2675 §3).
    option[43] = 0xc2;
    assert_eq!(ipv6::View::new(&option).unwrap().upper(), refused(Malformed::Options, told(2, 43, false)));

    let atomic = upper("wire_ipv6/atomic-fragment").unwrap();
    let fragment = atomic.fragment.unwrap();
    assert!(fragment.is_atomic() && fragment.identification == 0x0102_0304 && atomic.offset == 48);
    // The last of three fragments of 3,008 bytes, and the first.
    let linux = upper("wire_ipv6/linux-ipv6-44").unwrap();
    assert_eq!((linux.protocol, linux.named_at), (Protocol::ICMPV6, 40));
    let last = linux.fragment.unwrap();
    let size = packet("wire_ipv6/linux-ipv6-44").len() - linux.offset;
    assert!(!last.more && usize::from(last.offset) + size == 3008, "{last:?} of {size} bytes");
    let first = packet("wire_frame/linux-ipv6-long-44");
    let fragment = ipv6::View::new(&first[14..]).unwrap().upper().unwrap().fragment.unwrap();
    assert!(fragment.more && fragment.offset == 0, "{fragment:?}");
    // Cut anywhere inside the headers, nothing is found in them.
    let whole = packet("wire_ipv6/linux-ipv6-0-60");
    for cut in 0..16 {
        let found = ipv6::walk(Protocol::HOP_BY_HOP, 6, &whole[40..40 + cut], 40);
        assert_eq!(found, refused(Malformed::Truncated, None), "{cut} bytes");
    }
}

/// RFC 8200 §3; RFC 4291 §2.5.2, §2.7.
#[test]
fn ipv6_that_is_refused() {
    let good = packet("wire_ipv6/linux-udp-v6");
    let with = |at: usize, bytes: &[u8]| {
        let mut changed = good.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        parse_ipv6(&changed)
    };
    assert!(parse_ipv6(&good).is_ok());
    assert_eq!(with(0, &[0x40]), Err(Malformed::Version));
    assert_eq!(with(4, &[1, 0]), Err(Malformed::Truncated));
    assert_eq!(with(8, &[0xff]), Err(Malformed::Field), "from a group");
    assert_eq!(with(24, &[0; 16]), Err(Malformed::Field), "to nobody");
    assert_eq!(parse_ipv6(&good[..39]), Err(Malformed::Truncated));
}

/// RFC 768.
#[test]
fn udp_that_is_refused() {
    assert_eq!(parse_udp(&packet("wire_udp/length-too-long")), Err(Malformed::Truncated));
    assert_eq!(parse_udp(&[0, 1, 0, 2, 0, 7, 0, 0]), Err(Malformed::Length));
    assert_eq!(parse_udp(&[0, 1, 0, 0, 0, 8, 0, 0]), Err(Malformed::Field));
    assert_eq!(parse_udp(&[0, 1, 0, 2, 0, 8, 0]), Err(Malformed::Truncated));
    assert_eq!(udp::View::new(&packet("wire_udp/linux-udp-11-unsummed")).unwrap().checksum(), 0);
    // The front of a datagram that lies in more than one piece.
    let view = udp::View::of_front(&[0, 1, 0, 2, 0, 40, 0, 0, 9, 9], 40).unwrap();
    assert_eq!((view.length(), view.payload()), (40, &[9, 9][..]));
    assert_eq!(udp::View::of_front(&[0, 1, 0, 2, 0, 41, 0, 0, 9, 9], 40).err(), Some(Malformed::Truncated));
}

/// RFC 9293 §3.1, §3.2; RFC 7323 §2.3, §3.2; RFC 2018 §3; RFC 2883; RFC 6691.
#[test]
fn tcp_options() {
    let options = parse_tcp(&packet("wire_tcp/linux-tcp-flagsc2-options20")).unwrap().options;
    assert_eq!((options.mss, options.window_scale, options.sack_permitted), (Some(1460), Some(10), true));
    assert!(options.timestamps.is_some_and(|clocks| clocks.value != 0 && clocks.echo == 0));
    for blocks in 1..=3_usize {
        let path = format!("wire_tcp/linux-tcp-flags10-options{}", 16 + blocks * 8);
        assert_eq!(parse_tcp(&packet(&path)).unwrap().options.sack.len(), blocks);
    }
    let all = parse_tcp(&packet("wire_tcp/options-all")).unwrap();
    assert_eq!(all.flags, tcp::Flags::SYN | tcp::Flags::ACK);
    assert_eq!(format!("{:?} {:?}", all.flags, tcp::Flags::default()), "SYN|ACK none");
    assert_eq!((all.options.mss, all.options.window_scale), (Some(1460), Some(14)), "a scale of 20 is one of 14");
    assert_eq!(all.options.timestamps, Some(tcp::Timestamps { value: 1, echo: 2 }));
    assert_eq!(all.options.sack[..], [tcp::SackBlock { start: 1, end: 9 }]);
    assert_eq!(parse_tcp(&packet("wire_tcp/option-length-zero")), Err(Malformed::Options));
    for (bytes, expected) in [
        (&[2, 4, 5][..], Err(Malformed::Options)),
        (&[2], Err(Malformed::Options)),
        (&[99, 1, 0, 0], Err(Malformed::Options)),
        (&[0, 99, 1, 0], Ok(None)),
        (&[2, 3, 5, 2, 4, 0, 9], Ok(Some(9))),
        (&[2, 4, 0, 1, 2, 4, 0, 2], Ok(Some(2))),
        (&[253, 4, 0, 0, 2, 4, 0, 7], Ok(Some(7))),
    ] {
        assert_eq!(tcp::Options::parse(bytes).map(|options| options.mss), expected, "{bytes:?}");
    }
    // More selective acknowledgments than fit behind the clocks.
    let mut many = all.options.clone();
    while !many.sack.is_full() {
        many.sack.push(tcp::SackBlock { start: 5, end: 6 });
    }
    assert!(many.len() <= tcp::options::OPTIONS_MAX);
    let written = bytes(many.len(), |out| many.emit(out));
    assert_eq!(written.len(), tcp::options::OPTIONS_MAX);
    assert_eq!(tcp::Options::parse(&written).unwrap().sack[..], many.sack[..2]);
}

#[test]
fn tcp_that_is_refused() {
    let good = packet("wire_tcp/linux-tcp-flags14-options0");
    assert!(parse_tcp(&good).is_ok_and(|header| header.flags == tcp::Flags::RST | tcp::Flags::ACK));
    let with = |at: usize, byte: u8| {
        let mut changed = good.clone();
        changed[at..at + 2].copy_from_slice(&[0, byte]);
        parse_tcp(&changed)
    };
    assert_eq!((with(0, 0), with(2, 0)), (Err(Malformed::Field), Err(Malformed::Field)));
    assert_eq!(with(11, 0x40), Err(Malformed::Length));
    assert_eq!(with(11, 0x60), Err(Malformed::Truncated));
}

/// RFC 3376 §4.1, §4.1.1, §4.1.6, §4.1.7, §4.2.12, §7.1; RFC 2236 §4; RFC 3810 §5.1, §5.1.3, §5.2.12, §8.1.
#[test]
fn questions_for_listeners() {
    use igmp::{Header, Query};
    let query = |name: &str| match parse_igmp(&packet(&format!("wire_igmp/{name}"))).unwrap() {
        Header::Query(query) => query,
        other => panic!("{other:?}"),
    };
    let any = query("query-v1");
    assert_eq!((any.version(), any.group, any.max_response()), (1, Ipv4Addr::UNSPECIFIED, 10_000));
    let one = query("query-v2");
    assert_eq!((one.version(), one.group, one.max_response()), (2, Ipv4Addr::new(239, 1, 2, 3), 10_000));
    let third = query("query-v3-sources");
    // 0x9a is 10 with the hidden 16, shifted by 1 + 3.
    assert_eq!((third.version(), third.max_response()), (3, (26 << 4) * 100));
    let v3 = third.v3.unwrap();
    assert!(v3.suppress && v3.robustness == 2 && v3.interval() == 125);
    let bytes = packet("wire_igmp/query-v3-sources");
    let sources: Vec<_> = igmp::View::new(&bytes).unwrap().sources().collect();
    assert_eq!(sources, [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)]);
    let Header::ReportV3(records) = parse_igmp(&packet("wire_igmp/report-v3-sources-aux")).unwrap() else {
        panic!("no report")
    };
    let kinds: Vec<_> = records.iter().map(|record| record.kind).collect();
    assert_eq!(kinds, [igmp::RecordKind::IsInclude, igmp::RecordKind::ToExclude]);
    assert_eq!(Query { group: Ipv4Addr::UNSPECIFIED, max_response_code: 5, v3: None }.max_response(), 500);

    let mld::Header::Query(first) = parse_mld(&packet("wire_mld/query-v1")).unwrap() else { panic!("no query") };
    assert_eq!((first.version(), first.group, first.max_response()), (1, Ipv6Addr::UNSPECIFIED, 10_000));
    let bytes = packet("wire_mld/query-v2-sources");
    let mld::Header::Query(second) = parse_mld(&bytes).unwrap() else { panic!("no query") };
    assert_eq!((second.version(), second.max_response()), (2, 0x1abc << 4));
    assert_eq!(mld::View::new(&bytes).unwrap().sources().collect::<Vec<_>>(), ["fd09::1".parse::<Ipv6Addr>().unwrap()]);
    assert!(parse_mld(&packet("wire_mld/report-v2-sources-aux")).is_ok_and(|report| report.len() == 8 + 40));
    // A count of sources that are not there, and a length of no version.
    let mut cut = packet("wire_igmp/query-v3-sources");
    cut.truncate(16);
    for len in [16, 9, 11] {
        cut.truncate(len);
        cut[2..4].fill(0);
        let checksum = checksum::sum(&cut).finish();
        cut[2..4].copy_from_slice(&checksum.to_be_bytes());
        assert!(matches!(parse_igmp(&cut), Err(Malformed::Truncated | Malformed::Length)), "{len} bytes");
    }
    assert_eq!(parse_mld(&bytes[..28]), Err(Malformed::Truncated));
    assert_eq!(parse_mld(&bytes[..26]), Err(Malformed::Length));
    assert_eq!(parse_mld(&bytes[..23]), Err(Malformed::Truncated));
}

/// RFC 1112 §6.4, RFC 2464 §7.
#[test]
fn hardware_addresses() {
    let of = |text: &str| MacAddress::multicast_of(text.parse::<IpAddr>().unwrap()).to_string();
    assert_eq!(of("224.0.0.251"), "01:00:5e:00:00:fb");
    assert_eq!(of("239.129.2.3"), "01:00:5e:01:02:03");
    assert_eq!(of("ff02::1:ff12:3456"), "33:33:ff:12:34:56");
    assert!(MacAddress::BROADCAST.is_broadcast() && MacAddress::BROADCAST.is_multicast());
    assert!(!MacAddress::UNSPECIFIED.is_unicast() && MacAddress([2, 0, 0, 0, 0, 1]).is_unicast());
    for text in ["", "02:00:00:00:00", "02:00:00:00:00:00:00", "2:0:0:0:0:1", "+2:00:00:00:00:01", "02-00-00-00-00-01"]
    {
        assert_eq!(text.parse::<MacAddress>(), Err(NotMac), "{text:?}");
    }
}
