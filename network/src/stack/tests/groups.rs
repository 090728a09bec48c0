// SPDX-License-Identifier: MIT OR Apache-2.0
//! Multicast and broadcast between three hosts.

use super::*;
use crate::wire::{Protocol, igmp, ipv4};

fn trio() -> Wire {
    let mut wire = Wire::of(vec![config(1), config(2), config(3)]);
    wire.run(Duration::from_secs(10));
    wire
}

/// RFC 1112 §6.1; RFC 3376 §4.2.13, §4.2.14; RFC 3810 §5.2.14.
#[test]
fn members_hear_what_goes_to_their_group() {
    for (group, any) in [("239.1.2.3", "0.0.0.0:5000"), ("ff05::1:3", "[::]:5000")] {
        let mut wire = trio();
        let [sender, member, other] = [0, 1, 2].map(|host| wire.udp(host, any));
        let to = SocketAddr::new(ip(group), 5000).to_string();
        wire.stacks[1].join(member, ip(group), wire.now).unwrap();
        assert_eq!(wire.stacks[1].join(member, ip(group), wire.now).unwrap_err().errno(), Errno::ADDRINUSE);
        assert_eq!(
            wire.stacks[1].join(member, ip("10.0.0.1"), wire.now).unwrap_err().errno(),
            if group.contains(':') { Errno::AFNOSUPPORT } else { Errno::INVAL }
        );
        wire.run(Duration::from_secs(3));
        // Routers are told so by a report.
        let report = if group.contains(':') { [0x33, 0x33, 0, 0, 0, 0x16] } else { [1, 0, 0x5e, 0, 0, 22] };
        assert!(wire.seen.iter().any(|(from, frame)| *from == 1 && frame[..6] == report));
        wire.send(0, sender, b"to the group", &to);
        wire.settle();
        assert_eq!(wire.take(1, member).1, b"to the group");
        assert!(wire.stacks[1].receive_from(member).is_pending());
        assert!(wire.stacks[2].receive_from(other).is_pending());
        assert!(wire.stacks[0].receive_from(sender).is_pending(), "the sender is no member");
        let (_, frame) = wire.seen.iter().rfind(|(_, frame)| frame.ends_with(b"to the group")).unwrap();
        assert_eq!(frame[if group.contains(':') { 21 } else { 22 }], 1, "one hop, if nothing else is said");
        assert_eq!(frame[..6], MacAddress::multicast_of(ip(group)).0);
        // A member that sends hears itself, unless it does not want to.
        wire.stacks[0].join(sender, ip(group), wire.now).unwrap();
        wire.send(0, sender, b"again", &to);
        wire.settle();
        assert_eq!(wire.take(0, sender).1, b"again");
        wire.stacks[0].set(sender, Setting::MulticastLoop(false)).unwrap();
        wire.send(0, sender, b"once more", &to);
        wire.settle();
        assert!(wire.stacks[0].receive_from(sender).is_pending());
        for text in [&b"again"[..], b"once more"] {
            assert_eq!(wire.take(1, member).1, text);
        }
        wire.stacks[1].leave(member, ip(group), wire.now).unwrap();
        assert_eq!(wire.stacks[1].leave(member, ip(group), wire.now).unwrap_err().errno(), Errno::ADDRNOTAVAIL);
        wire.send(0, sender, b"to nobody", &to);
        wire.settle();
        assert!(wire.stacks[1].receive_from(member).is_pending());
        wire.stacks[0].set(sender, Setting::MulticastHops(0)).unwrap();
        wire.seen.clear();
        wire.send(0, sender, b"not out", &to);
        wire.settle();
        assert!(wire.seen.is_empty());
        wire.run(Duration::from_secs(3));
        wire.assert_all_back();
    }
}

#[test]
fn several_members_of_one_host_each_hear() {
    let mut wire = trio();
    let members: Vec<_> = (0..3)
        .map(|_| {
            let id = wire.stacks[1].udp_socket(Domain::V4).unwrap();
            wire.stacks[1].set_option(id, runtime::socket::SocketOption::ReuseAddress(true)).unwrap();
            wire.stacks[1].bind(id, at("239.1.2.3:5000")).unwrap();
            wire.stacks[1].join(id, ip("239.1.2.3"), wire.now).unwrap();
            id
        })
        .collect();
    let sender = wire.udp(0, "10.0.0.1:1");
    for len in [10, 5000] {
        wire.send(0, sender, &pattern(len), "239.1.2.3:5000");
        wire.settle();
        for id in &members {
            assert_eq!(wire.take(1, *id), (at("10.0.0.1:1"), pattern(len)));
        }
    }
    // The last one that closes ends the membership.
    for id in &members {
        wire.stacks[1].close(*id, wire.now).unwrap();
    }
    let before = wire.dropped(1, Reason::OtherHost);
    wire.send(0, sender, b"x", "239.1.2.3:5000");
    wire.settle();
    assert_eq!(wire.dropped(1, Reason::OtherHost), before + 1);
}

/// RFC 1122 §3.3.6.
#[test]
fn everybody_hears_a_broadcast() {
    let mut wire = trio();
    let listeners: Vec<_> = [1, 2].into_iter().map(|host| (host, wire.udp(host, "0.0.0.0:5000"))).collect();
    let sender = wire.udp(0, "10.0.0.1:1");
    wire.stacks[0].set(sender, Setting::Broadcast(true)).unwrap();
    for to in ["10.0.0.255:5000", "255.255.255.255:5000"] {
        wire.send(0, sender, b"all", to);
        wire.settle();
        for (host, id) in &listeners {
            assert_eq!(wire.take(*host, *id), (at("10.0.0.1:1"), b"all".to_vec()));
        }
    }
    wire.send(0, sender, b"nobody is there", "10.0.0.255:5001");
    wire.settle();
    assert_eq!((wire.dropped(1, Reason::NoSocket), wire.stacks[1].counters().errors_sent), (1, 0));
}

/// Who is at the port hears, wherever he is bound and if he is connected to the sender; nobody hears twice.
#[test]
fn a_packet_for_many_finds_each_of_them_once() {
    let mut wire = trio();
    let sender = wire.udp(0, "10.0.0.1:9");
    wire.stacks[0].set(sender, Setting::Broadcast(true)).unwrap();
    let open = |wire: &mut Wire, address: &str, peer: Option<&str>, group: Option<&str>| {
        let now = wire.now;
        let stack = &mut wire.stacks[1];
        let id = stack.udp_socket(Domain::of(&at(address))).unwrap();
        stack.set_option(id, runtime::socket::SocketOption::ReuseAddress(true)).unwrap();
        stack.bind(id, at(address)).unwrap();
        if let Some(peer) = peer {
            stack.connect(id, at(peer), now).unwrap();
        }
        if let Some(group) = group {
            stack.join(id, ip(group), now).unwrap();
        }
        id
    };
    let group = Some("239.1.2.3");
    // Address, peer, group; whether it hears what goes to everybody, and what goes to the group.
    let cases = [
        ("0.0.0.0:7", None, None, true, false),
        ("0.0.0.0:7", None, group, true, true),
        ("[::]:7", None, None, true, false),
        ("0.0.0.0:7", Some("10.0.0.1:9"), group, true, true),
        ("0.0.0.0:7", Some("10.0.0.3:9"), group, false, false),
        ("10.0.0.2:7", None, group, false, false),
        ("10.0.0.2:7", Some("10.0.0.1:9"), group, false, false),
        ("10.0.0.255:7", None, None, true, false),
        ("10.0.0.255:7", Some("10.0.0.1:9"), None, true, false),
        ("239.1.2.3:7", None, group, false, true),
        ("239.1.2.3:7", None, None, false, false),
        ("0.0.0.0:8", None, group, false, false),
    ];
    let ids = cases.map(|(address, peer, group, ..)| open(&mut wire, address, peer, group));
    for (to, many) in [("10.0.0.255:7", true), ("239.1.2.3:7", false)] {
        for len in [10, 5000] {
            wire.send(0, sender, &pattern(len), to);
            wire.settle();
            for (id, case) in ids.iter().zip(cases) {
                let hears = if many { case.3 } else { case.4 };
                assert_eq!(wire.stacks[1].waiting(*id).unwrap(), usize::from(hears), "{case:?} {to}");
                if hears {
                    let (from, bytes) = wire.take(1, *id);
                    assert!(from.port() == 9 && bytes == pattern(len), "{case:?} {to} from {from}");
                }
            }
        }
    }
    // In no socket of host 3, which is at no port.
    assert_eq!(wire.dropped(2, Reason::NoSocket), 2);
    wire.assert_all_back();
}

/// What routers are told goes no further than them, and has the option by which they look at it (RFC 2236 §2, RFC 3376 §4,
/// RFC 3810 §5; RFC 2113 §2.1, RFC 2711 §2.1; RFC 3590).
#[test]
fn reports_alert_the_routers_of_the_link() {
    let mut wire = trio();
    let (four, six) = (wire.udp(1, "0.0.0.0:5000"), wire.udp(1, "[::]:5001"));
    wire.seen.clear();
    wire.stacks[1].join(four, ip("239.1.2.3"), wire.now).unwrap();
    wire.stacks[1].join(six, ip("ff05::1:3"), wire.now).unwrap();
    wire.run(Duration::from_secs(3));
    let reports: Vec<_> = wire.seen.iter().filter(|(from, _)| *from == 1).map(|(_, frame)| frame).collect();
    assert_eq!(reports.len(), 4, "two of each family");
    for frame in reports {
        if frame[12] == 8 {
            assert_eq!((frame[22], &frame[34..38]), (1, &[148, 4, 0, 0][..]));
        } else {
            assert_eq!((frame[20], frame[21], &frame[54..60]), (0, 1, &[58, 0, 5, 2, 0, 0][..]));
            // From the link-local address.
            assert_eq!(frame[22..24], [0xfe, 0x80]);
        }
    }
}

/// RFC 3590 section 4: what was said before there was a link-local address is said again from it.
#[test]
fn groups_are_reported_again_from_the_link_local_address() {
    for slaac in [false, true] {
        let mut config = config(1);
        (config.slaac, config.detect_duplicates) = (slaac, !slaac);
        let mut wire = Wire::of(vec![config]);
        let id = wire.udp(0, "[::]:5000");
        wire.stacks[0].join(id, ip("ff05::1:3"), wire.now).unwrap();
        wire.run(Duration::from_secs(5));
        let IpAddr::V6(group) = ip("ff05::1:3") else { panic!("it is one of IPv6") };
        let reports = wire.seen.iter().map(|(_, frame)| frame);
        let reports: Vec<_> = reports.filter(|frame| frame.windows(16).any(|bytes| bytes == group.octets())).collect();
        let from = |start: [u8; 2]| reports.iter().filter(|frame| frame[22..24] == start).count();
        assert_eq!((from([0, 0]), from([0xfe, 0x80])), (2, 2), "slaac: {slaac}");
    }
}

/// A message of IGMP to host 1.
fn igmp_from(source: &str, to: &str, hops: u8, router_alert: bool, message: &igmp::Header) -> Vec<u8> {
    let header = output::v4_header(source.parse().unwrap(), to.parse().unwrap(), hops, Protocol::IGMP);
    let header = ipv4::Header { payload_len: message.len() as u16, router_alert, ..header };
    let mut frame = [MacAddress::multicast_of(ip(to)).0, mac(3).0].concat();
    frame.extend([8, 0]);
    frame.resize(14 + header.len() + message.len(), 0);
    header.emit(&mut frame[14..]);
    message.emit(&mut frame[14 + header.len()..]);
    frame
}

/// A question for all groups in a version of IGMP, to be answered within a tenth of a second but in the first.
fn igmp_query(version: u8) -> igmp::Header {
    let v3 = (version == 3).then_some(igmp::QueryV3 { suppress: false, robustness: 2, interval_code: 125 });
    igmp::Header::Query(igmp::Query { group: [0; 4].into(), max_response_code: u8::from(version > 1), v3 })
}

/// RFC 3376 section 9.1: a question of IGMP counts if it alerts routers, as all but the oldest do, and went to all systems.
#[test]
fn questions_for_ipv4_from_further_away_are_not_answered() {
    let mut wire = trio();
    let id = wire.udp(0, "0.0.0.0:5000");
    wire.stacks[0].join(id, ip("239.1.2.3"), wire.now).unwrap();
    wire.run(Duration::from_secs(3));
    let mut ask = |version, to: &str, hops, alert| {
        let seen = wire.seen.len();
        input::give(&mut wire, &igmp_from("10.0.0.3", to, hops, alert, &igmp_query(version)), Checksum::Complete);
        // As long as the oldest version leaves.
        wire.run(Duration::from_secs(10));
        (wire.seen.len() > seen, wire.dropped(0, Reason::GroupReport))
    };
    for (number, version) in (0..).zip([3, 2]) {
        assert_eq!(ask(version, "224.0.0.1", 2, true), (false, 3 * number + 1));
        assert_eq!(ask(version, "224.0.0.1", 1, false), (false, 3 * number + 2));
        assert_eq!(ask(version, "239.1.2.3", 1, true), (false, 3 * number + 3));
        assert_eq!(ask(version, "224.0.0.1", 1, true), (true, 3 * number + 3));
    }
    assert_eq!(ask(1, "239.1.2.3", 1, false), (false, 7));
    assert_eq!(ask(1, "224.0.0.1", 1, false), (true, 7));
}

/// RFC 2236 section 3 and section 10: another member's report is enough, if it is one of this link.
#[test]
fn reports_from_other_networks_keep_nobody_silent() {
    for (source, answers) in [("10.0.0.3", false), ("192.0.2.3", true), ("0.0.0.0", true)] {
        let mut wire = trio();
        let id = wire.udp(0, "0.0.0.0:5000");
        wire.stacks[0].join(id, ip("239.1.2.3"), wire.now).unwrap();
        wire.run(Duration::from_secs(3));
        wire.seen.clear();
        let report = igmp::Header::ReportV2([239, 1, 2, 3].into());
        for frame in [
            igmp_from("10.0.0.3", "224.0.0.1", 1, true, &igmp_query(2)),
            igmp_from(source, "239.1.2.3", 1, true, &report),
        ] {
            input::give(&mut wire, &frame, Checksum::Complete);
        }
        wire.run(Duration::from_secs(1));
        assert_eq!(
            (wire.seen.len(), wire.dropped(0, Reason::GroupReport)),
            (answers.into(), answers.into()),
            "{source}"
        );
    }
}

/// RFC 2710 §5, RFC 3810 §5.1.14 and §6: a question counts if it is from a router of this link.
#[test]
fn questions_from_further_away_are_not_answered() {
    let mut wire = trio();
    let query = crate::wire::mld::Header::Query(crate::wire::mld::Query {
        group: core::net::Ipv6Addr::UNSPECIFIED,
        max_response_code: 1,
        v2: None,
    });
    let mut message = vec![0; query.len()];
    query.emit(&mut message);
    let alert = crate::wire::ipv6::extension::router_alert(crate::wire::Protocol::ICMPV6);
    let by = crate::wire::Protocol::HOP_BY_HOP;
    let mut ask = |source: &str, hops: u8, extensions: &[u8], first| {
        let seen = wire.seen.len();
        let frame = super::sources::icmpv6_from(source, "ff02::1", hops, extensions, first, &message);
        input::give(&mut wire, &frame, Checksum::Complete);
        wire.run(Duration::from_secs(1));
        (wire.seen.len() > seen, wire.dropped(0, Reason::GroupReport))
    };
    assert_eq!(ask("fe80::3", 2, &alert, by), (false, 1));
    assert_eq!(ask("fd00::3", 1, &alert, by), (false, 2));
    assert_eq!(ask("fe80::3", 1, &[], crate::wire::Protocol::ICMPV6), (false, 3));
    assert_eq!(ask("fe80::3", 1, &alert, by), (true, 3));
}
