// SPDX-License-Identifier: MIT OR Apache-2.0
//! Addresses that come, are claimed, and are lost.

use super::*;
use crate::ip::addresses::State;

fn states(wire: &Wire, host: usize) -> Vec<(String, State)> {
    wire.stacks[host].addresses().map(|here| (here.prefix.address().to_string(), here.state)).collect()
}

/// RFC 5227, RFC 4862 §5.4.
#[test]
fn addresses_are_used_once_nobody_else_has_them() {
    let mut configs = vec![config(1), config(2)];
    configs[0].detect_duplicates = true;
    let mut wire = Wire::of(configs);
    assert!(states(&wire, 0).iter().all(|(_, state)| *state == State::Tentative));
    let id = wire.stacks[0].udp_socket(Domain::V4).unwrap();
    assert_eq!(wire.stacks[0].bind(id, at("10.0.0.1:7")).unwrap_err().errno(), Errno::ADDRNOTAVAIL);
    wire.run(Duration::from_secs(12));
    assert!(states(&wire, 0).iter().all(|(_, state)| *state == State::Preferred), "{:?}", states(&wire, 0));
    wire.stacks[0].bind(id, at("10.0.0.1:7")).unwrap();
    assert_eq!(wire.lost(0), 0);
}

/// RFC 5227 §2.1.1; RFC 4862 §5.4.3, §5.4.4.
#[test]
fn an_address_that_another_host_has_is_given_up() {
    let mut configs = vec![config(1), config(2)];
    // The second comes later and wants the addresses of the first.
    configs[1].addresses = configs[0].addresses.clone();
    configs[1].detect_duplicates = true;
    let mut wire = Wire::of(configs);
    wire.run(Duration::from_secs(12));
    assert_eq!(states(&wire, 1).len(), 1, "the link-local one: {:?}", states(&wire, 1));
    assert_eq!(states(&wire, 0).len(), 3);
    assert_eq!(wire.dropped(0, Reason::Duplicate), 0);
}

/// RFC 5227 section 2.4 c: nobody would give a host another address than that which it was configured with.
#[test]
fn a_configured_address_is_kept_against_who_claims_it_later() {
    let mut configs = vec![config(1), config(2)];
    configs[0].detect_duplicates = true;
    let mut wire = Wire::of(configs);
    wire.run(Duration::from_secs(12));
    wire.seen.clear();
    for _ in 0..50 {
        let claim = crate::wire::arp::Header {
            operation: crate::wire::arp::Operation::Request,
            sender_mac: mac(9),
            sender: [10, 0, 0, 1].into(),
            target_mac: MacAddress::UNSPECIFIED,
            target: [10, 0, 0, 1].into(),
        };
        let mut frame = [MacAddress::BROADCAST.0, mac(9).0].concat();
        frame.extend([8, 6]);
        frame.resize(42, 0);
        claim.emit(&mut frame[14..]);
        input::give(&mut wire, &frame, Checksum::Complete);
        wire.run(Duration::from_millis(100));
    }
    assert!(states(&wire, 0).contains(&("10.0.0.1".into(), State::Preferred)));
    assert_eq!(wire.seen.len(), 1, "defended, but not at any price");
    assert_eq!(wire.dropped(0, Reason::Duplicate), 50);
}

/// RFC 5227 section 2.4 c: nor before the stack was polled for the first time, if it is not probed at all.
#[test]
fn a_configured_address_is_kept_against_who_wants_it_at_once() {
    let mut wire = Wire::of(vec![config(1)]);
    let probe = crate::wire::arp::Header {
        operation: crate::wire::arp::Operation::Request,
        sender_mac: mac(9),
        sender: [0; 4].into(),
        target_mac: MacAddress::UNSPECIFIED,
        target: [10, 0, 0, 1].into(),
    };
    let mut frame = [MacAddress::BROADCAST.0, mac(9).0].concat();
    frame.extend([8, 6]);
    frame.resize(42, 0);
    probe.emit(&mut frame[14..]);
    input::give(&mut wire, &frame, Checksum::Complete);
    let (target, to) = ("fd00::1".parse().unwrap(), "ff02::1:ff00:1");
    let solicitation = crate::wire::ndp::Header::NeighbourSolicitation { target, source_mac: None };
    let mut message = vec![0; solicitation.len()];
    solicitation.emit(&mut message);
    let frame = super::sources::icmpv6_from("::", to, 255, &[], crate::wire::Protocol::ICMPV6, &message);
    input::give(&mut wire, &frame, Checksum::Complete);
    wire.run(Duration::from_secs(5));
    for address in ["10.0.0.1", "fd00::1"] {
        assert!(states(&wire, 0).contains(&(address.into(), State::Preferred)), "{address}");
    }
    // Who has asked hears that they are taken.
    assert!(wire.seen.iter().any(|(_, frame)| frame[12..14] == [8, 6] && frame[21] == 2 && frame[..6] == mac(9).0));
    assert!(wire.seen.iter().any(|(_, frame)| frame[12] == 0x86 && frame[54] == 136));
    assert_eq!(wire.dropped(0, Reason::Duplicate), 0);
}

#[test]
fn wrong_configurations_are_refused() {
    let refused = |change: fn(&mut Config)| {
        let mut config = config(1);
        change(&mut config);
        Stack::new(config, pools(), Time::ZERO).map(|_| ()).unwrap_err().errno()
    };
    assert_eq!(refused(|config| config.mac = MacAddress::BROADCAST), Errno::INVAL);
    assert_eq!(refused(|config| config.mac = MacAddress::UNSPECIFIED), Errno::INVAL);
    assert_eq!(refused(|config| config.vlan = Some(0)), Errno::INVAL);
    assert_eq!(refused(|config| config.vlan = Some(4095)), Errno::INVAL);
    assert_eq!(refused(|config| config.mtu = 1501), Errno::INVAL);
    assert_eq!(refused(|config| config.mtu = 1279), Errno::INVAL);
    assert_eq!(refused(|config| config.hops = 0), Errno::INVAL);
    assert_eq!(refused(|config| config.addresses = vec!["224.0.0.1/24".parse().unwrap()]), Errno::INVAL);
    let four = |mtu| {
        let mut config = config(1);
        config.addresses = vec!["10.0.0.1/24".parse().unwrap()];
        config.mtu = mtu;
        Stack::new(config, pools(), Time::ZERO).map(|stack| stack.mtu())
    };
    assert_eq!(four(576), Ok(576));
    assert_eq!(four(0), Ok(1500));
    assert_eq!(four(575).unwrap_err().errno(), Errno::INVAL);
}

/// RFC 1122 §3.3.1.
#[test]
fn packets_go_through_the_router_that_the_table_says() {
    let mut configs = vec![config(1), config(2)];
    configs[0].routes = vec![
        crate::ip::Route { prefix: Prefix::DEFAULT_V4, hop: crate::ip::Hop::Gateway(ip("10.0.0.2")), metric: 0 },
        crate::ip::Route { prefix: Prefix::DEFAULT_V6, hop: crate::ip::Hop::Gateway(ip("fd00::2")), metric: 0 },
    ];
    configs[0].neighbours = vec![(ip("10.0.0.2"), mac(2))];
    let mut wire = Wire::of(configs);
    let id = wire.udp(0, "[::]:1");
    for to in ["[::ffff:192.0.2.9]:7", "[2001:db8::9]:7"] {
        wire.send(0, id, b"far away", to);
        wire.settle();
        let (_, frame) = wire.seen.iter().rfind(|(_, frame)| frame.ends_with(b"far away")).unwrap();
        assert_eq!(frame[..6], mac(2).0);
    }
    assert!(
        !wire.seen.iter().any(|(from, frame)| *from == 0 && frame[12..14] == [8, 6] && frame[38..42] == [10, 0, 0, 2]),
        "static"
    );
    assert!(wire.dropped(1, Reason::OtherHost) >= 2);
}

/// RFC 1122 §3.3.1.4 and §3.3.1.5: a gateway that is dead is left for the next, and taken again once it is heard from.
#[test]
fn a_dead_gateway_is_left_for_another() {
    let mut configs = vec![config(1), config(2), config(3)];
    let route = |gateway: &str, metric| crate::ip::Route {
        prefix: if gateway.contains(':') { Prefix::DEFAULT_V6 } else { Prefix::DEFAULT_V4 },
        hop: crate::ip::Hop::Gateway(ip(gateway)),
        metric,
    };
    configs[0].routes = vec![route("10.0.0.3", 0), route("10.0.0.2", 1), route("fd00::3", 0), route("fd00::2", 1)];
    let mut wire = Wire::of(configs);
    let id = wire.udp(0, "[::]:1");
    wire.settle();
    let next = |wire: &mut Wire, to: &str| {
        wire.send(0, id, b"far away", to);
        wire.run(Duration::from_millis(4500));
        let found = wire.seen.iter().rfind(|(from, frame)| *from == 0 && frame.ends_with(b"far away"));
        found.map(|(_, frame)| frame[5])
    };
    for (to, own) in [("[::ffff:192.0.2.9]:7", "10.0.0.3:5"), ("[2001:db8::9]:7", "[fd00::3]:5")] {
        // Nothing of the third host arrives for a while.
        wire.fate = Box::new(|from, frame| (from != 2).then(|| frame.to_vec()));
        wire.seen.clear();
        assert_eq!(next(&mut wire, to), None, "the first one waits in vain");
        assert_eq!(next(&mut wire, to), Some(2));
        wire.fate = Box::new(|_, frame| Some(frame.to_vec()));
        assert_eq!(next(&mut wire, to), Some(2));
        // It has been away, and asks for its neighbours anew.
        wire.stacks[2].neighbours.flush();
        let third = wire.udp(2, own);
        wire.send(2, third, b"here I am again", if own.starts_with('[') { "[fd00::1]:1" } else { "10.0.0.1:1" });
        wire.settle();
        assert_eq!(next(&mut wire, to), Some(3));
    }
}

#[test]
fn what_comes_and_goes_is_the_same_each_time() {
    let run = || {
        let mut wire = Wire::of(vec![config(1), config(2), config(3)]);
        let (one, two) = (wire.udp(0, "0.0.0.0:0"), wire.udp(1, "[::]:7"));
        for len in [1, 5000, 70] {
            wire.send(0, one, &pattern(len), "10.0.0.2:7");
            wire.run(Duration::from_secs(7));
            wire.take(1, two);
        }
        wire.seen
    };
    assert!(run() == run());
}
