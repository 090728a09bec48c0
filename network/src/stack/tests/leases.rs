// SPDX-License-Identifier: MIT OR Apache-2.0
//! Addresses that others give: a DHCP server and a router on the wire.

use super::*;
use crate::ip::Hop;
use crate::ip::addresses::State;
use crate::wire::dhcpv4::{Header, Kind, View};
use crate::wire::ndp::{PrefixInformation, RouterAdvertisement};
use crate::wire::{Protocol, icmpv6, ndp};
use core::net::Ipv4Addr;

/// Host 2 serves; host 1 asks.
fn served() -> (Wire, SocketId) {
    let mut configs = vec![config(1), config(2)];
    configs[0].addresses = vec!["fd00::1/64".parse().unwrap()];
    configs[0].dhcp = true;
    let mut wire = Wire::of(configs);
    let server = wire.udp(1, "0.0.0.0:67");
    wire.stacks[1].set(server, Setting::Broadcast(true)).unwrap();
    (wire, server)
}

/// Answers what has come, and says what that was.
fn serve(wire: &mut Wire, server: SocketId, refuse: bool) -> Vec<Kind> {
    let mut heard = vec![];
    while let Poll::Ready(Ok((from, message))) = wire.stacks[1].receive_from(server) {
        let bytes = message.to_vec();
        let question = Header::parse(&View::new(&bytes).unwrap()).unwrap();
        heard.push(question.kind);
        let kind = match question.kind {
            Kind::Discover => Kind::Offer,
            Kind::Request if refuse => Kind::Nak,
            Kind::Request => Kind::Ack,
            _ => continue,
        };
        let mut answer = Header::new(kind, question.transaction, question.mac);
        answer.yours = Ipv4Addr::new(10, 0, 0, 77);
        answer.options.subnet_mask = Some(Ipv4Addr::new(255, 255, 255, 0));
        answer.options.routers.push(Ipv4Addr::new(10, 0, 0, 2));
        answer.options.lease = Some(100);
        answer.options.mtu = Some(1280);
        answer.options.server = Some(Ipv4Addr::new(10, 0, 0, 2));
        let mut bytes = vec![0; answer.len()];
        answer.emit(&mut bytes);
        let to = if from.ip().is_unspecified() { at("255.255.255.255:68") } else { from };
        let mut message = wire.message(&bytes);
        done(wire.stacks[1].send(server, &mut message, Some(to), wire.now));
    }
    heard
}

/// Runs for so many seconds, in which the server works.
fn run(wire: &mut Wire, server: SocketId, seconds: u64, refuse: bool) -> Vec<Kind> {
    let mut heard = vec![];
    for _ in 0..seconds * 10 {
        wire.run(Duration::from_millis(100));
        heard.extend(serve(wire, server, refuse));
    }
    heard
}

fn has_address(wire: &Wire) -> bool {
    wire.stacks[0].addresses().any(|here| here.prefix.address() == ip("10.0.0.77") && here.state == State::Preferred)
}

/// RFC 2131 §4.1, §4.4.5, §4.4.6.
#[test]
fn an_address_is_leased_renewed_and_given_back() {
    let (mut wire, server) = served();
    assert_eq!(run(&mut wire, server, 5, false), [Kind::Discover, Kind::Request]);
    assert!(has_address(&wire));
    let lease = wire.stacks[0].lease().unwrap();
    assert_eq!((lease.address(), lease.server), (Ipv4Addr::new(10, 0, 0, 77), Ipv4Addr::new(10, 0, 0, 2)));
    let client = wire.udp(0, "10.0.0.77:1");
    let echo = wire.udp(1, "10.0.0.2:7");
    wire.send(0, client, b"hello", "10.0.0.2:7");
    wire.settle();
    assert_eq!(wire.take(1, echo).0, at("10.0.0.77:1"));
    // By the router that the server named.
    wire.send(0, client, b"far away", "192.0.2.9:7");
    wire.settle();
    assert!(wire.seen.iter().any(|(from, frame)| *from == 0 && frame[..6] == mac(2).0 && frame.ends_with(b"far away")));
    // Renewed at half of its time, for as long as the server is there.
    assert_eq!(run(&mut wire, server, 200, false), [Kind::Request; 4]);
    assert!(has_address(&wire));
    wire.stacks[0].release_lease(wire.now);
    assert_eq!(run(&mut wire, server, 1, false), [Kind::Release]);
    assert!(!has_address(&wire) && wire.stacks[0].lease().is_none());
    let mut message = wire.message(b"x");
    let sent = wire.stacks[0].send(client, &mut message, Some(at("192.0.2.9:7")), wire.now);
    assert_eq!(errno(sent), Errno::NETUNREACH);
    assert_eq!(run(&mut wire, server, 100, false), []);
}

/// RFC 2131 section 4.4.6: the server hears that a lease is given back also if its hardware address has to be asked for, which
/// is done from the address that goes.
#[test]
fn a_lease_is_given_back_by_way_of_a_neighbour_that_was_forgotten() {
    for answers in [true, false] {
        let (mut wire, server) = served();
        run(&mut wire, server, 5, false);
        assert!(has_address(&wire));
        wire.stacks[0].neighbours.flush();
        if !answers {
            wire.fate = Box::new(|from, frame| (from == 0).then(|| frame.to_vec()));
        }
        wire.stacks[0].release_lease(wire.now);
        // A second time changes nothing.
        wire.stacks[0].release_lease(wire.now);
        assert!(wire.stacks[0].lease().is_none() && wire.stacks[0].unresolved() == 1);
        let heard = run(&mut wire, server, 1, false);
        assert_eq!(heard, if answers { vec![Kind::Release] } else { vec![] });
        assert_eq!(has_address(&wire), !answers);
        assert_eq!(run(&mut wire, server, 3, false), []);
        assert!(!has_address(&wire));
        wire.run(Duration::from_secs(5));
        assert!(wire.stacks[0].unresolved() == 0);
    }
}

#[test]
fn a_refusal_begins_anew_and_a_dead_server_ends_the_lease() {
    let (mut wire, server) = served();
    let heard = run(&mut wire, server, 30, true);
    assert!(heard.len() >= 4 && !has_address(&wire), "{heard:?}");
    run(&mut wire, server, 30, false);
    assert!(has_address(&wire));
    wire.fate = Box::new(|from, frame| (from == 0).then(|| frame.to_vec()));
    wire.run(Duration::from_mins(2));
    assert!(!has_address(&wire) && wire.stacks[0].lease().is_none());
    assert!(!wire.stacks[0].routes().any(|route| route.prefix == Prefix::DEFAULT_V4));
}

/// RFC 2132 section 5.1: the MTU of the link, as the server says it, for as long as its lease lasts.
#[test]
fn a_server_says_the_mtu_of_ipv4() {
    let (mut wire, server) = served();
    run(&mut wire, server, 5, false);
    let client = wire.udp(0, "10.0.0.77:1");
    let packets = |wire: &mut Wire, to: &str, id: SocketId| {
        wire.seen.clear();
        wire.send(0, id, &pattern(1400), to);
        wire.run(Duration::from_millis(100));
        wire.seen.iter().filter(|(from, frame)| *from == 0 && frame.len() > 100).count()
    };
    assert_eq!(packets(&mut wire, "10.0.0.2:7", client), 2, "1,280 bytes and the rest");
    let six = wire.udp(0, "[fd00::1]:1");
    assert_eq!(packets(&mut wire, "[fd00::2]:7", six), 1, "it is no matter of IPv6");
    wire.stacks[0].release_lease(wire.now);
    run(&mut wire, server, 1, false);
    assert_eq!(wire.stacks[0].path_mtus.get(ip("10.0.0.2"), wire.now).bytes, 1500);
    assert_eq!(wire.stacks[0].stream_mtus.get(ip("10.0.0.2"), wire.now).bytes, 1500);
}

/// What the configuration says of a network stays, whoever announces the same and takes it back.
#[test]
fn what_others_say_takes_no_configured_route_away() {
    let mut configs = vec![config(1), config(2)];
    let own = |text: &str, gateway: Option<&str>| {
        let hop = gateway.map_or(Hop::OnLink, |gateway| Hop::Gateway(ip(gateway)));
        Route { prefix: text.parse::<Prefix>().unwrap().network(), hop, metric: 0 }
    };
    let routes = [
        own("2001:db8:1::/64", None),
        own("::/0", Some("fe80::9")),
        own("10.0.0.0/24", None),
        own("0.0.0.0/0", Some("10.0.0.2")),
    ];
    configs[0].addresses = ["2001:db8:1::10/64", "10.0.0.5/24"].map(|text| text.parse().unwrap()).into();
    configs[0].routes = vec![routes[1], routes[3]];
    (configs[0].slaac, configs[0].dhcp) = (true, true);
    let mut wire = Wire::of(configs);
    let server = wire.udp(1, "0.0.0.0:67");
    wire.stacks[1].set(server, Setting::Broadcast(true)).unwrap();
    let are_there = |wire: &Wire| routes.iter().all(|own| wire.stacks[0].routes().any(|here| here == own));
    assert!(are_there(&wire));
    advertise(&mut wire, 1800);
    run(&mut wire, server, 5, false);
    assert!(has_address(&wire) && are_there(&wire));
    // The router resigns, its prefix ends, and so does the lease.
    advertise(&mut wire, 0);
    wire.stacks[0].release_lease(wire.now);
    assert_eq!(run(&mut wire, server, 1, false).last(), Some(&Kind::Release));
    wire.run(Duration::from_hours(3));
    assert!(!has_address(&wire) && are_there(&wire));
}

/// Gives host 1 a router's advertisement of 2001:db8:1::/64.
fn advertise(wire: &mut Wire, lifetime: u16) {
    advertise_hops(wire, lifetime, 33);
}

fn advertise_hops(wire: &mut Wire, lifetime: u16, hop_limit: u8) {
    let information = PrefixInformation {
        prefix: "2001:db8:1::".parse().unwrap(),
        length: 64,
        on_link: true,
        autonomous: true,
        valid: 7200 + 600,
        preferred: 600,
    };
    let message = ndp::Header::RouterAdvertisement(RouterAdvertisement {
        hop_limit,
        managed: false,
        other: false,
        lifetime,
        reachable: 0,
        retransmit: 0,
        source_mac: Some(mac(9)),
        mtu: Some(1400),
        prefixes: core::iter::once(information).collect(),
    });
    let (source, to): (core::net::Ipv6Addr, _) = ("fe80::9".parse().unwrap(), crate::stack::ndp::ALL_NODES);
    let len = message.len();
    let mut bytes = vec![0; 14 + 40 + len];
    bytes[..12].copy_from_slice(&[MacAddress::multicast_of(to.into()).0, mac(9).0].concat());
    bytes[12..14].copy_from_slice(&[0x86, 0xdd]);
    let header = output::v6_header(source, to, 255, Protocol::ICMPV6, len);
    header.emit(&mut bytes[14..]);
    message.emit(&mut bytes[54..]);
    icmpv6::complete_whole(&mut bytes[54..], header.pseudo_header(Protocol::ICMPV6, len as u32));
    let frame = wire.pools[0].alloc_copy(&bytes).unwrap();
    wire.stacks[0].receive(Sga::from(frame).into(), wire.now);
}

/// RFC 4861 §6.3.4, §6.3.7; RFC 4862 §5.5, §5.5.4; RFC 5942.
#[test]
fn routers_give_addresses_routes_and_parameters() {
    let mut configs = vec![config(1), config(2)];
    configs[0].addresses.clear();
    configs[0].slaac = true;
    let mut wire = Wire::of(configs);
    wire.run(Duration::from_secs(5));
    let solicitation = |(from, frame): &(usize, Vec<u8>)| *from == 0 && frame.get(54) == Some(&133);
    assert!(wire.seen.iter().any(solicitation), "routers are asked for");
    advertise(&mut wire, 1800);
    wire.run(Duration::from_secs(5));
    let global = |wire: &Wire| {
        let prefix: Prefix = "2001:db8:1::/64".parse().unwrap();
        let found = wire.stacks[0].addresses().find(|here| prefix.contains(here.prefix.address())).copied();
        found.map(|here| (here.prefix.address(), here.state))
    };
    let (address, state) = global(&wire).unwrap();
    assert_eq!(state, State::Preferred);
    let id = wire.stacks[0].udp_socket(Domain::V6).unwrap();
    wire.stacks[0].bind(id, SocketAddr::new(address, 1)).unwrap();
    wire.send(0, id, b"far away", "[2001:db8:9::9]:7");
    wire.settle();
    let (_, frame) = wire.seen.iter().rfind(|(_, frame)| frame.ends_with(b"far away")).unwrap();
    assert_eq!((&frame[..6], frame[21]), (&mac(9).0[..], 33), "by the router, with its hop limit");
    wire.seen.clear();
    wire.send(0, id, &pattern(1390), "[2001:db8:9::9]:7");
    wire.settle();
    assert_eq!(wire.seen.iter().filter(|(_, frame)| frame[20] == 44).count(), 2, "the link's MTU is smaller now");
    // Deprecated, then gone; the router first.
    wire.run(Duration::from_secs(700));
    assert_eq!(global(&wire), Some((address, State::Deprecated)));
    wire.run(Duration::from_mins(20));
    let mut message = wire.message(b"x");
    let sent = wire.stacks[0].send(id, &mut message, Some(at("[2001:db8:9::9]:7")), wire.now);
    assert_eq!(errno(sent), Errno::NETUNREACH);
    wire.run(Duration::from_secs(7000));
    assert_eq!(global(&wire), None);
}

/// RFC 4861 section 6.3.4; a router that says few hops would cut the host off (CVE-2015-2922), and none speaks for IPv4.
#[test]
fn routers_say_hop_limits_of_ipv6_within_bounds() {
    let mut configs = vec![config(1), config(2)];
    configs[0].slaac = true;
    configs[0].hops = 99;
    let mut wire = Wire::of(configs);
    let id = wire.udp(0, "[::]:1");
    let hops = |wire: &mut Wire, to: &str, at: usize| {
        wire.send(0, id, b"how far?", to);
        wire.settle();
        wire.seen.iter().rfind(|(from, frame)| *from == 0 && frame.ends_with(b"how far?")).unwrap().1[at]
    };
    for (said, six) in [(0, 99), (1, 99), (31, 99), (32, 32), (200, 200), (3, 200)] {
        advertise_hops(&mut wire, 1800, said);
        assert_eq!(hops(&mut wire, "[fd00::2]:7", 21), six, "{said}");
        assert_eq!(hops(&mut wire, "[::ffff:10.0.0.2]:7", 22), 99, "{said}");
    }
}

/// RFC 4861 section 7.2.5: an advertisement of a neighbour that is no router any more ends its default route.
#[test]
fn a_router_that_resigns_is_no_default_router() {
    let mut configs = vec![config(1)];
    configs[0].slaac = true;
    let mut wire = Wire::of(configs);
    wire.run(Duration::from_secs(5));
    advertise(&mut wire, 1800);
    let routed = |wire: &Wire| wire.stacks[0].routes().any(|route| route.prefix == Prefix::DEFAULT_V6);
    assert!(routed(&wire));
    let source: core::net::Ipv6Addr = "fe80::9".parse().unwrap();
    for (router, expected) in [(true, true), (false, false)] {
        let message = ndp::Header::NeighbourAdvertisement {
            target: source,
            router,
            solicited: false,
            override_: true,
            target_mac: Some(mac(9)),
        };
        let len = message.len();
        let mut bytes = vec![0; 54 + len];
        bytes[..12].copy_from_slice(&[mac(1).0, mac(9).0].concat());
        bytes[12..14].copy_from_slice(&[0x86, 0xdd]);
        let to = "fd00::1".parse().unwrap();
        let header = output::v6_header(source, to, 255, Protocol::ICMPV6, len);
        header.emit(&mut bytes[14..]);
        message.emit(&mut bytes[54..]);
        icmpv6::complete_whole(&mut bytes[54..], header.pseudo_header(Protocol::ICMPV6, len as u32));
        input::give(&mut wire, &bytes, Checksum::Complete);
        wire.settle();
        assert_eq!(routed(&wire), expected);
    }
}
