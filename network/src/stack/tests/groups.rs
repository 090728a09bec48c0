// SPDX-License-Identifier: MIT OR Apache-2.0
//! Multicast and broadcast between three hosts.

use super::*;

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
