// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is written gives the value back when it is read, for values of all kinds, and touches nothing behind its end.

use crate::limits::{
    ADVERTISED_PREFIXES_MAX, DHCP_IDENTIFIER_MAX, DHCP_PARAMETERS_MAX, DHCP_ROUTES_MAX, DHCP_SERVERS_MAX,
    REPORT_RECORDS_MAX,
};
use crate::wire::igmp::{QueryV3, RecordKind};
use crate::wire::tcp::{Cookie, Flags, Options, SackBlock, Timestamps};
use crate::wire::*;
use arrayvec::ArrayVec;
use core::fmt::Debug;
use core::net::{Ipv4Addr, Ipv6Addr};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// Writes into bytes that are longer and dirty; returns what was written, `payload` zero bytes behind it.
fn written(len: usize, payload: usize, emit: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut out = vec![0xa5; len + 32];
    emit(&mut out);
    assert!(out[len..].iter().all(|byte| *byte == 0xa5), "wrote behind its end");
    out.truncate(len);
    out.resize(len + payload, 0);
    out
}

macro_rules! gives_back {
    ($header:expr, $module:ident, $payload:expr) => {{
        let header = $header;
        let out = written(header.len(), $payload, |out| header.emit(out));
        let view = $module::View::new(&out).unwrap();
        let parsed = $module::Header::parse(&view);
        prop_assert_eq!(parsed.as_ref(), Ok(&header));
        out
    }};
    ($header:expr, $module:ident) => {
        gives_back!($header, $module, 0)
    };
}

fn mac() -> impl Strategy<Value = MacAddress> {
    any::<[u8; 6]>().prop_map(MacAddress)
}

pub(super) fn host() -> impl Strategy<Value = MacAddress> {
    mac().prop_map(|MacAddress([a, rest @ ..])| MacAddress([a & !1 | 2, rest[0], rest[1], rest[2], rest[3], rest[4]]))
}

pub(super) fn v4() -> impl Strategy<Value = Ipv4Addr> {
    any::<[u8; 4]>().prop_map(|[a, b, c, d]| Ipv4Addr::new(a % 224, b, c, d))
}

fn group_v4() -> impl Strategy<Value = Ipv4Addr> {
    any::<[u8; 4]>().prop_map(|[a, b, c, d]| Ipv4Addr::new(0xe0 | a & 0x0f, b, c, d))
}

pub(super) fn v6() -> impl Strategy<Value = Ipv6Addr> {
    any::<[u8; 15]>().prop_map(|rest| {
        let mut octets = [0x20; 16];
        octets[1..].copy_from_slice(&rest);
        Ipv6Addr::from(octets)
    })
}

fn group_v6() -> impl Strategy<Value = Ipv6Addr> {
    v6().prop_map(|address| Ipv6Addr::from_bits(address.to_bits() | 0xff << 120))
}

fn ecn() -> impl Strategy<Value = Ecn> {
    any::<u8>().prop_map(Ecn::of)
}

fn ether_type() -> impl Strategy<Value = EtherType> {
    (0x0600_u16..).prop_map(EtherType).prop_filter("a second tag", |kind| *kind != EtherType::VLAN)
}

fn list<T: Debug, const N: usize>(items: impl Strategy<Value = T>) -> impl Strategy<Value = ArrayVec<T, N>> {
    vec(items, 0..=N).prop_map(|items| items.into_iter().collect())
}

pub(super) fn ipv4_header() -> impl Strategy<Value = ipv4::Header> {
    let fragment = (any::<bool>(), any::<bool>(), 0_u16..4000).prop_map(|(dont, more, units)| (dont, more, units * 8));
    (0_u8..64, ecn(), 0_u16..2000, any::<(u16, u8, u8, bool)>(), fragment, v4(), any::<u32>()).prop_map(
        |(dscp, ecn, payload_len, (identification, ttl, protocol, router_alert), fragment, source, destination)| {
            ipv4::Header {
                dscp,
                ecn,
                payload_len,
                identification,
                dont_fragment: fragment.0,
                more_fragments: fragment.1,
                fragment_offset: fragment.2,
                ttl,
                protocol: Protocol(protocol),
                source,
                destination: Ipv4Addr::from_bits(destination),
                router_alert,
            }
        },
    )
}

pub(super) fn ipv6_header() -> impl Strategy<Value = ipv6::Header> {
    (0_u8..64, ecn(), 0_u32..1 << 20, 0_u16..2000, any::<(u8, u8)>(), v6(), prop_oneof![v6(), group_v6()]).prop_map(
        |(dscp, ecn, flow_label, payload_len, (next, hop_limit), source, destination)| ipv6::Header {
            dscp,
            ecn,
            flow_label,
            payload_len,
            next_header: Protocol(next),
            hop_limit,
            source,
            destination,
        },
    )
}

pub(super) fn tcp_header() -> impl Strategy<Value = tcp::Header> {
    let clocks = option::of(any::<(u32, u32)>().prop_map(|(value, echo)| Timestamps { value, echo }));
    let block = any::<(u32, u32)>().prop_map(|(start, end)| SackBlock { start, end });
    let cookie = (0_usize..=8, any::<[u8; 16]>()).prop_map(|(half, bytes)| Cookie::new(&bytes[..half * 2]));
    let options = (option::of(any::<u16>()), option::of(0_u8..=14), any::<bool>(), clocks, list(block), cookie)
        .prop_map(|(mss, window_scale, sack_permitted, timestamps, sack, fast_open)| {
            let mut options = Options { mss, window_scale, sack_permitted, timestamps, fast_open, sack };
            options.sack.truncate(options.sack_blocks());
            options
        });
    (1_u16.., 1_u16.., any::<(u32, u32, u8, u16, u16)>(), options).prop_map(
        |(source, destination, (sequence, acknowledgment, flags, window, urgent), options)| tcp::Header {
            source,
            destination,
            sequence,
            acknowledgment,
            flags: Flags(flags),
            window,
            urgent,
            options,
        },
    )
}

pub(super) fn icmpv4_header() -> impl Strategy<Value = icmpv4::Header> {
    use icmpv4::{Header, Unreachable};
    prop_oneof![
        any::<(u16, u16)>().prop_map(|(identifier, sequence)| Header::EchoRequest { identifier, sequence }),
        any::<(u16, u16)>().prop_map(|(identifier, sequence)| Header::EchoReply { identifier, sequence }),
        any::<u8>()
            .prop_filter("with an MTU", |code| *code != 4)
            .prop_map(|code| Header::Unreachable { code: Unreachable(code), mtu: 0 }),
        any::<u16>().prop_map(|mtu| Header::Unreachable { code: Unreachable::FRAGMENTATION_NEEDED, mtu }),
        any::<u8>().prop_map(|code| Header::TimeExceeded { code }),
        any::<(u8, u8)>().prop_map(|(code, pointer)| Header::ParameterProblem { code, pointer }),
        (any::<u8>(), v4()).prop_map(|(code, gateway)| Header::Redirect { code, gateway }),
        (13_u8.., any::<(u8, [u8; 4])>()).prop_map(|(kind, (code, rest))| Header::Other { kind, code, rest }),
    ]
}

pub(super) fn icmpv6_header() -> impl Strategy<Value = icmpv6::Header> {
    use icmpv6::{Header, Unreachable};
    prop_oneof![
        any::<(u16, u16)>().prop_map(|(identifier, sequence)| Header::EchoRequest { identifier, sequence }),
        any::<(u16, u16)>().prop_map(|(identifier, sequence)| Header::EchoReply { identifier, sequence }),
        any::<u8>().prop_map(|code| Header::Unreachable { code: Unreachable(code) }),
        any::<u32>().prop_map(|mtu| Header::PacketTooBig { mtu }),
        any::<u8>().prop_map(|code| Header::TimeExceeded { code }),
        any::<(u8, u32)>().prop_map(|(code, pointer)| Header::ParameterProblem { code, pointer }),
        (130_u8.., any::<(u8, [u8; 4])>()).prop_map(|(kind, (code, rest))| Header::Other { kind, code, rest }),
    ]
}

fn prefix_information() -> impl Strategy<Value = ndp::PrefixInformation> {
    (v6(), 0_u8..=128, any::<(bool, bool, u32, u32)>()).prop_map(
        |(prefix, length, (on_link, autonomous, valid, preferred))| ndp::PrefixInformation {
            prefix,
            length,
            on_link,
            autonomous,
            valid,
            preferred,
        },
    )
}

fn router_advertisement() -> impl Strategy<Value = ndp::RouterAdvertisement> {
    let numbers = any::<(u8, bool, bool, u16, u32, u32)>();
    let prefixes = list::<_, ADVERTISED_PREFIXES_MAX>(prefix_information());
    (numbers, option::of(mac()), option::of(any::<u32>()), prefixes).prop_map(
        |((hop_limit, managed, other, lifetime, reachable, retransmit), source_mac, mtu, prefixes)| {
            ndp::RouterAdvertisement {
                hop_limit,
                managed,
                other,
                lifetime,
                reachable,
                retransmit,
                source_mac,
                mtu,
                prefixes,
            }
        },
    )
}

fn ndp_header() -> impl Strategy<Value = ndp::Header> {
    use ndp::Header;
    prop_oneof![
        option::of(mac()).prop_map(|source_mac| Header::RouterSolicitation { source_mac }),
        router_advertisement().prop_map(Header::RouterAdvertisement),
        (v6(), option::of(mac())).prop_map(|(target, source_mac)| Header::NeighbourSolicitation { target, source_mac }),
        (v6(), any::<(bool, bool, bool)>(), option::of(mac())).prop_map(
            |(target, (router, solicited, override_), target_mac)| Header::NeighbourAdvertisement {
                target,
                router,
                solicited,
                override_,
                target_mac
            }
        ),
        (v6(), v6(), option::of(mac())).prop_map(|(target, destination, target_mac)| Header::Redirect {
            target: Ipv6Addr::from_bits(target.to_bits() & u128::from(u64::MAX) | 0xfe80 << 112),
            destination,
            target_mac
        }),
        (v6(), option::of(mac())).prop_map(|(destination, target_mac)| Header::Redirect {
            target: destination,
            destination,
            target_mac
        }),
    ]
}

fn query_v3() -> impl Strategy<Value = QueryV3> {
    (any::<bool>(), 0_u8..8, any::<u8>()).prop_map(|(suppress, robustness, interval_code)| QueryV3 {
        suppress,
        robustness,
        interval_code,
    })
}

fn record_kind() -> impl Strategy<Value = RecordKind> {
    (1_u8..=6).prop_map(|number| RecordKind::of(number).unwrap())
}

fn igmp_header() -> impl Strategy<Value = igmp::Header> {
    use igmp::{Header, Query, Record};
    let group = prop_oneof![Just(Ipv4Addr::UNSPECIFIED), group_v4()];
    let query = (group, any::<u8>(), option::of(query_v3()));
    let record = (record_kind(), group_v4()).prop_map(|(kind, group)| Record { kind, group });
    prop_oneof![
        query.prop_map(|(group, max_response_code, v3)| Header::Query(Query { group, max_response_code, v3 })),
        group_v4().prop_map(Header::ReportV1),
        group_v4().prop_map(Header::ReportV2),
        group_v4().prop_map(Header::Leave),
        list::<_, REPORT_RECORDS_MAX>(record).prop_map(Header::ReportV3),
    ]
}

fn mld_header() -> impl Strategy<Value = mld::Header> {
    use mld::{Header, Query, Record};
    let group = prop_oneof![Just(Ipv6Addr::UNSPECIFIED), group_v6()];
    let query = (group, any::<u16>(), option::of(query_v3()));
    let record = (record_kind(), group_v6()).prop_map(|(kind, group)| Record { kind, group });
    prop_oneof![
        query.prop_map(|(group, max_response_code, v2)| Header::Query(Query { group, max_response_code, v2 })),
        group_v6().prop_map(Header::ReportV1),
        group_v6().prop_map(Header::Done),
        list::<_, REPORT_RECORDS_MAX>(record).prop_map(Header::ReportV2),
    ]
}

fn dhcp_options() -> impl Strategy<Value = dhcpv4::Options> {
    let route = (any::<u32>(), 0_u8..=32, v4()).prop_map(|(bits, length, router)| dhcpv4::Route {
        destination: Ipv4Addr::from_bits(bits & u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0)),
        length,
        router,
    });
    let mask = (0_u32..=32).prop_map(|ones| Ipv4Addr::from_bits(u32::MAX.checked_shl(32 - ones).unwrap_or(0)));
    let addresses = (option::of(mask), option::of(v4()), option::of(v4()), option::of(v4()));
    let times = any::<(Option<u32>, Option<u32>, Option<u32>)>();
    let servers = || list::<_, DHCP_SERVERS_MAX>(v4());
    let sizes = (option::of(68_u16..), option::of(any::<u16>()));
    let bytes = (list::<_, DHCP_PARAMETERS_MAX>(any::<u8>()), list::<_, DHCP_IDENTIFIER_MAX>(any::<u8>()));
    (addresses, times, servers(), servers(), sizes, bytes, list::<_, DHCP_ROUTES_MAX>(route)).prop_map(
        |(addresses, times, routers, name_servers, sizes, bytes, classless_routes)| dhcpv4::Options {
            subnet_mask: addresses.0,
            routers,
            name_servers,
            mtu: sizes.0,
            broadcast_address: addresses.1,
            requested_address: addresses.2,
            lease: times.0,
            server: addresses.3,
            parameters: bytes.0,
            message_size: sizes.1,
            renewal: times.1,
            rebinding: times.2,
            identifier: bytes.1,
            classless_routes,
        },
    )
}

proptest! {
    #[test]
    fn ethernet_headers(destination in mac(), source in host(), ether_type in ether_type(), payload in 0_usize..100) {
        gives_back!(ethernet::Header { destination, source, ether_type }, ethernet, payload);
    }

    #[test]
    fn vlan_tags(id in 0_u16..0x0fff, priority in 0_u8..8, drop_eligible: bool, ether_type in ether_type()) {
        gives_back!(vlan::Header { id, priority, drop_eligible, ether_type }, vlan);
    }

    #[test]
    fn arp_packets(reply: bool, sender_mac in host(), sender in v4(), target_mac in mac(), target: u32, padding in 0_usize..20) {
        let operation = if reply { arp::Operation::Reply } else { arp::Operation::Request };
        let target = Ipv4Addr::from_bits(target);
        gives_back!(arp::Header { operation, sender_mac, sender, target_mac, target }, arp, padding);
    }

    /// RFC 791 §3.1, RFC 2474 §3, RFC 3168 §5.
    #[test]
    fn ipv4_headers(header in ipv4_header(), padding in 0_usize..50) {
        let payload = usize::from(header.payload_len);
        let out = gives_back!(header, ipv4, payload + padding);
        let view = ipv4::View::new(&out).unwrap();
        prop_assert_eq!(view.payload().len(), payload);
        prop_assert_eq!(view.is_fragment(), header.more_fragments || header.fragment_offset > 0);
        // One bit of the header, and the checksum is wrong, or the lengths are.
        for bit in 0..header.len() * 8 {
            let mut changed = out.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(ipv4::View::new(&changed).and_then(|view| ipv4::Header::parse(&view)).is_err(), "bit {bit}");
        }
    }

    /// RFC 8200 §3, RFC 6437.
    #[test]
    fn ipv6_headers(header in ipv6_header(), padding in 0_usize..50) {
        let payload = usize::from(header.payload_len);
        let out = gives_back!(header, ipv6, payload + padding);
        prop_assert_eq!(ipv6::View::new(&out).unwrap().payload().len(), payload);
        prop_assert_eq!(ipv6::View::new(&out[..out.len() - padding - usize::from(payload > 0)]).is_err(), payload > 0);
    }

    #[test]
    fn ipv6_fragments(next: u8, units in 0_u16..8192, more: bool, identification: u32) {
        let header = ipv6::Fragment { next_header: Protocol(next), offset: units * 8, more, identification };
        let out = written(header.len(), 0, |out| header.emit(out));
        prop_assert_eq!(ipv6::Fragment::parse(&out), Ok(header));
    }

    #[test]
    fn udp_headers(source: u16, destination in 1_u16.., payload in vec(any::<u8>(), 0..200), trailing in 0_usize..9,
                   from in v4(), to in v4()) {
        let header = udp::Header { source, destination, payload_len: payload.len() as u16 };
        let mut out = gives_back!(header, udp, payload.len() + trailing);
        out[udp::HEADER..][..payload.len()].copy_from_slice(&payload);
        let length = u32::from(header.payload_len) + 8;
        let pseudo = checksum::pseudo_header(from.into(), to.into(), 17, length);
        let mut rest = pseudo;
        rest.add(&payload);
        udp::complete(&mut out, rest);
        let view = udp::View::new(&out).unwrap();
        prop_assert_ne!(view.checksum(), 0);
        prop_assert!(view.checksum_is_right(pseudo));
        prop_assert_eq!(view.payload(), &payload[..]);
        // What a device makes of the partial one is the same.
        let whole = view.checksum();
        let out = &mut out[..length as usize];
        udp::partial(out, pseudo);
        let filled = match checksum::sum(out).finish() { 0 => 0xffff, checksum => checksum };
        prop_assert_eq!(filled, whole);
    }

    /// RFC 9293 §3.1, RFC 3168 §6.1.
    #[test]
    fn tcp_headers(header in tcp_header(), payload in vec(any::<u8>(), 0..100), from in v6(), to in v6()) {
        prop_assert_eq!(header.len() % 4, 0);
        let mut out = gives_back!(header, tcp, 0);
        let length = out.len() + payload.len();
        let pseudo = checksum::pseudo_header(from.into(), to.into(), 6, length as u32);
        let mut rest = pseudo;
        rest.add(&payload);
        out.extend(&payload);
        tcp::complete(&mut out, rest);
        prop_assert!(tcp::View::new(&out).unwrap().checksum_is_right(pseudo));
        let whole = out[tcp::CHECKSUM..][..2].to_vec();
        tcp::partial(&mut out, pseudo);
        prop_assert_eq!(checksum::sum(&out).finish().to_be_bytes().to_vec(), whole);
    }

    #[test]
    fn icmpv4_headers(header in icmpv4_header(), payload in vec(any::<u8>(), 0..100)) {
        let mut out = gives_back!(header, icmpv4);
        out.extend(&payload);
        icmpv4::complete(&mut out, checksum::sum(&payload));
        let view = icmpv4::View::new(&out).unwrap();
        prop_assert!(view.checksum_is_right());
        prop_assert_eq!(view.payload(), &payload[..]);
    }

    #[test]
    fn icmpv6_headers(header in icmpv6_header(), payload in vec(any::<u8>(), 0..100), from in v6(), to in v6()) {
        let mut out = gives_back!(header, icmpv6);
        out.extend(&payload);
        let pseudo = checksum::pseudo_header(from.into(), to.into(), 58, out.len() as u32);
        let mut rest = pseudo;
        rest.add(&payload);
        icmpv6::complete(&mut out, rest);
        prop_assert!(icmpv6::View::new(&out).unwrap().checksum_is_right(pseudo));
        let completed = out.clone();
        out[2..4].fill(0);
        icmpv6::complete_whole(&mut out, pseudo);
        prop_assert_eq!(out, completed);
    }

    #[test]
    fn ndp_messages(header in ndp_header()) {
        let out = gives_back!(header, ndp);
        prop_assert!(icmpv6::View::new(&out).unwrap().is_ndp());
    }

    #[test]
    fn igmp_messages(header in igmp_header()) {
        let out = gives_back!(header, igmp);
        for bit in 0..out.len() * 8 {
            let mut changed = out.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let parsed = igmp::Header::parse(&igmp::View::new(&changed).unwrap());
            prop_assert_eq!(parsed, Err(Malformed::Checksum));
        }
    }

    #[test]
    fn mld_messages(header in mld_header()) {
        let out = gives_back!(header, mld);
        prop_assert!(icmpv6::View::new(&out).unwrap().is_mld());
    }

    /// RFC 2131 §2.
    #[test]
    fn dhcp_messages(kind in 1_u8..=8, numbers: (u32, u16, bool), addresses in (v4(), v4(), v4(), v4()), mac in host(),
                     options in dhcp_options()) {
        use dhcpv4::Kind;
        let kinds = [Kind::Discover, Kind::Offer, Kind::Request, Kind::Decline, Kind::Ack, Kind::Nak, Kind::Release, Kind::Inform];
        let (transaction, seconds, broadcast) = numbers;
        let (client, yours, next_server, relay) = addresses;
        let kind = kinds[usize::from(kind - 1)];
        let header = dhcpv4::Header { kind, transaction, seconds, broadcast, client, yours, next_server, relay, mac, options };
        prop_assert!(header.len() >= dhcpv4::MESSAGE_MIN);
        gives_back!(header, dhcpv4);
    }

    #[test]
    fn hardware_addresses(mac in mac()) {
        prop_assert_eq!(mac.to_string().parse(), Ok(mac));
        prop_assert_eq!(mac.to_string().to_uppercase().parse(), Ok(mac));
    }

    #[test]
    fn hardware_addresses_of_any_text(text in "[0-9a-fA-F:+ ]{0,20}") {
        if let Ok(mac) = text.parse::<MacAddress>() {
            prop_assert_eq!(mac.to_string(), text.to_lowercase());
        }
    }
}
