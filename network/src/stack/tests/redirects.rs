// SPDX-License-Identifier: MIT OR Apache-2.0
//! Redirects between a host and two routers of its link (RFC 1122 section 3.2.2.2, RFC 4861 section 8).

use super::errors::from_router;
use super::*;
use crate::ip::{Hop, Route};
use crate::wire::{Protocol, icmpv4, icmpv6, ndp};

/// Host 1 with routers 2 and 3, and far networks by the first.
fn routed() -> Wire {
    let mut configs = vec![config(1), config(2), config(3)];
    configs[0].routes = vec![
        Route { prefix: Prefix::DEFAULT_V4, hop: Hop::Gateway(ip("10.0.0.2")), metric: 0 },
        Route { prefix: Prefix::DEFAULT_V6, hop: Hop::Gateway(ip("fe80::2")), metric: 0 },
    ];
    configs[0].neighbours =
        [(2, "10.0.0.2"), (3, "10.0.0.3"), (2, "fe80::2")].map(|(host, address)| (ip(address), mac(host))).to_vec();
    Wire::of(configs)
}

/// Whom a datagram to there is handed to.
fn next_hop(wire: &mut Wire, id: SocketId, to: &str) -> [u8; 6] {
    wire.send(0, id, b"whither?", to);
    wire.settle();
    let (_, frame) = wire.seen.iter().rfind(|(_, frame)| frame.ends_with(b"whither?")).unwrap();
    frame[..6].try_into().unwrap()
}

/// What is changed in a quote.
type Change = fn(&mut Vec<u8>);

/// What a router says of the last datagram.
fn redirect_v4(wire: &mut Wire, from: [u8; 4], gateway: &str, change: Change) {
    let mut sent = wire.seen.iter().rfind(|(_, frame)| frame.ends_with(b"whither?")).unwrap().1[14..].to_vec();
    change(&mut sent);
    let IpAddr::V4(gateway) = ip(gateway) else { panic!("{gateway}") };
    let code = icmpv4::Header::Redirect { code: 1, gateway };
    let mut frame = from_router(&sent, code, icmpv6::Header::PacketTooBig { mtu: 0 });
    // The helper's router is another one; its address is that of the redirect's source.
    frame[24..26].fill(0);
    frame[26..30].copy_from_slice(&from);
    let sum = crate::wire::checksum::sum(&frame[14..34]).finish();
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    input::give(wire, &frame, Checksum::Complete);
}

/// RFC 1122 §3.2.2.2, §3.3.1.2.
#[test]
fn a_better_router_is_taken_from_the_present_one_alone() {
    let mut wire = routed();
    let id = wire.udp(0, "10.0.0.1:1");
    let far = "192.0.2.9:7";
    assert_eq!(next_hop(&mut wire, id, far), mac(2).0);
    let wrong: [([u8; 4], &str, Change); 5] = [
        ([10, 0, 0, 3], "10.0.0.3", |_| {}),
        ([10, 0, 0, 2], "192.0.2.1", |_| {}),
        ([10, 0, 0, 2], "10.0.0.1", |_| {}),
        ([10, 0, 0, 2], "10.0.0.255", |_| {}),
        // About a packet of nobody's.
        ([10, 0, 0, 2], "10.0.0.3", |quote| quote[20] ^= 0x55),
    ];
    for (number, (from, gateway, change)) in wrong.into_iter().enumerate() {
        redirect_v4(&mut wire, from, gateway, change);
        assert_eq!(wire.dropped(0, Reason::IcmpQuote), number as u64 + 1, "{from:?} {gateway}");
        assert_eq!(next_hop(&mut wire, id, far), mac(2).0, "{from:?} {gateway}");
    }
    redirect_v4(&mut wire, [10, 0, 0, 2], "10.0.0.3", |_| {});
    assert_eq!(wire.dropped(0, Reason::IcmpQuote), 5);
    assert_eq!(next_hop(&mut wire, id, far), mac(3).0, "the socket's path as well");
    assert_eq!(next_hop(&mut wire, id, "192.0.2.10:7"), mac(2).0, "others go as before");
}

/// RFC 1122 section 3.3.1.4: a way that does not work is left.
#[test]
fn a_router_that_does_not_answer_is_left() {
    let mut wire = routed();
    let id = wire.udp(0, "10.0.0.1:1");
    let far = "192.0.2.9:7";
    next_hop(&mut wire, id, far);
    redirect_v4(&mut wire, [10, 0, 0, 2], "10.0.0.9", |_| {});
    wire.send(0, id, b"lost", far);
    wire.run(Duration::from_millis(4500));
    assert_eq!(next_hop(&mut wire, id, far), mac(2).0);
}

fn redirect_v6(wire: &mut Wire, from: &str, target: &str, destination: &str, target_mac: Option<MacAddress>, hops: u8) {
    let message = ndp::Header::Redirect {
        target: target.parse().unwrap(),
        destination: destination.parse().unwrap(),
        target_mac,
    };
    let len = message.len();
    let mut bytes = vec![0; 54 + len];
    bytes[..12].copy_from_slice(&[mac(1).0, mac(2).0].concat());
    bytes[12..14].copy_from_slice(&[0x86, 0xdd]);
    let header = output::v6_header(from.parse().unwrap(), "fd00::1".parse().unwrap(), hops, Protocol::ICMPV6, len);
    header.emit(&mut bytes[14..]);
    message.emit(&mut bytes[54..]);
    icmpv6::complete_whole(&mut bytes[54..], header.pseudo_header(Protocol::ICMPV6, len as u32));
    input::give(wire, &bytes, Checksum::Complete);
}

/// RFC 4861 §8, §8.1, §8.3.
#[test]
fn routers_of_ipv6_name_others_and_neighbours() {
    let mut wire = routed();
    let id = wire.udp(0, "[fd00::1]:1");
    let (far, to) = ("2001:db8::9", "[2001:db8::9]:7");
    assert_eq!(next_hop(&mut wire, id, to), mac(2).0);
    for (from, target, hops) in [
        ("fe80::3", "fe80::3", 255),
        ("fe80::2", "fe80::3", 254),
        ("fd00::2", "fe80::3", 255),
        ("fe80::2", "fd00::3", 255),
    ] {
        redirect_v6(&mut wire, from, target, far, Some(mac(3)), hops);
        assert_eq!(next_hop(&mut wire, id, to), mac(2).0, "{from} {target}");
    }
    assert_eq!(wire.dropped(0, Reason::Ndp) + wire.dropped(0, Reason::IcmpQuote), 4);
    redirect_v6(&mut wire, "fe80::2", "fe80::3", far, Some(mac(3)), 255);
    assert_eq!(next_hop(&mut wire, id, to), mac(3).0);
    let known = wire.stacks[0].neighbours(wire.now).find(|here| here.address == ip("fe80::3")).unwrap();
    assert!(known.router);
    // Now that one says that the destination is on the link itself.
    redirect_v6(&mut wire, "fe80::3", far, far, Some(mac(9)), 255);
    assert_eq!(next_hop(&mut wire, id, to), mac(9).0);
    let known = wire.stacks[0].neighbours(wire.now).find(|here| here.address == ip(far)).unwrap();
    assert!(!known.router);
}
