// SPDX-License-Identifier: MIT OR Apache-2.0
//! Addresses that nothing can come from, and that nothing may be sent from.

use super::input::{drops, give, listening, v4_packet, v6_packet};
use super::*;
use crate::wire::checksum::pseudo_header;
use crate::wire::{Protocol, icmpv4, icmpv6, ipv6};

/// A message of ICMPv6 to host 1 in a packet from an address of anybody's, behind extension headers.
pub fn icmpv6_from(source: &str, to: &str, hops: u8, extensions: &[u8], first: Protocol, message: &[u8]) -> Vec<u8> {
    let (source, to): (core::net::Ipv6Addr, core::net::Ipv6Addr) = (source.parse().unwrap(), to.parse().unwrap());
    let destination = if to.is_multicast() { MacAddress::multicast_of(to.into()) } else { mac(1) };
    let mut frame = [destination.0, mac(3).0].concat();
    frame.extend([0x86, 0xdd]);
    let mut header = [0; 40];
    output::v6_header(source, to, hops, first, extensions.len() + message.len()).emit(&mut header);
    frame.extend(header);
    frame.extend(extensions);
    let mut message = message.to_vec();
    let sum = pseudo_header(source.into(), to.into(), Protocol::ICMPV6.0, message.len() as u32);
    icmpv6::complete_whole(&mut message, sum);
    frame.extend(message);
    frame
}

fn echo_request(length: usize) -> Vec<u8> {
    let mut message = vec![0; 8 + length];
    icmpv6::Header::EchoRequest { identifier: 1, sequence: 2 }.emit(&mut message);
    message
}

/// RFC 1122 section 3.2.1.3, RFC 4291 section 2.5.5.2.
#[test]
fn nothing_comes_from_an_address_that_nobody_has() {
    let request = echo_request(4);
    for (source, hops) in [("::ffff:10.0.0.3", 64), ("::1", 64), ("::", 255), ("fd00::1", 64), ("fd00::1", 255)] {
        drops(&icmpv6_from(source, "fd00::1", hops, &[], Protocol::ICMPV6, &request), Reason::Source);
    }
}

/// RFC 1122 section 3.2.2: an answer to everybody would be what the flood is made of.
#[test]
fn an_echo_request_from_everybody_is_answered_to_nobody() {
    let (mut wire, _) = listening();
    let mut message = vec![0; 12];
    icmpv4::Header::EchoRequest { identifier: 1, sequence: 2 }.emit(&mut message);
    icmpv4::complete(&mut message, crate::wire::checksum::Sum::new());
    for payload in [(Protocol::ICMPV4, &message[..]), (Protocol::UDP, &[0, 9, 0, 9, 0, 8, 0, 0]), (Protocol(200), b"?")]
    {
        let before = wire.seen.len();
        let mut frame = v4_packet(255, payload.0, payload.1);
        frame[6..12].copy_from_slice(&mac(3).0);
        give(&mut wire, &frame, Checksum::Complete);
        wire.settle();
        assert_eq!(wire.seen.len(), before);
    }
    assert_eq!((wire.dropped(0, Reason::Source), wire.stacks[0].counters().echoed), (3, 0));
}

/// RFC 4291 section 2.7.1: a group of one interface is on no link.
#[test]
fn groups_of_this_host_alone_stay_inside() {
    let (mut wire, id) = listening();
    wire.stacks[0].join(id, ip("ff01::5"), wire.now).unwrap();
    let seen = wire.seen.len();
    wire.send(0, id, b"inside", "[ff01::5]:7");
    wire.settle();
    assert_eq!(wire.take(0, id).1, b"inside");
    assert_eq!(wire.seen.len(), seen);
    let frame = icmpv6_from("fd00::3", "ff01::1", 64, &[], Protocol::ICMPV6, &echo_request(0));
    give(&mut wire, &frame, Checksum::Complete);
    assert_eq!(wire.dropped(0, Reason::OtherHost), 1);
}

/// RFC 6980 section 5; RFC 8200 section 4.5 lets a fragment be the whole of its packet.
#[test]
fn neighbour_discovery_in_a_fragment_is_nobodys() {
    let (mut wire, _) = listening();
    let solicitation = crate::wire::ndp::Header::NeighbourSolicitation {
        target: "fd00::1".parse().unwrap(),
        source_mac: Some(mac(3)),
    };
    let mut message = vec![0; solicitation.len()];
    solicitation.emit(&mut message);
    let mut fragment = [0; 8];
    let header = ipv6::Fragment { next_header: Protocol::ICMPV6, offset: 0, more: false, identification: 7 };
    header.emit(&mut fragment);
    for (extensions, first, answered) in [(&fragment[..], Protocol::FRAGMENT, false), (&[][..], Protocol::ICMPV6, true)]
    {
        let before = wire.seen.len();
        give(&mut wire, &icmpv6_from("fd00::3", "fd00::1", 255, extensions, first, &message), Checksum::Complete);
        wire.settle();
        assert_eq!(wire.seen.len() > before, answered);
        assert_eq!(wire.stacks[0].neighbours(wire.now).any(|here| here.address == ip("fd00::3")), answered);
    }
    assert_eq!(wire.dropped(0, Reason::Ndp), 1);
}

/// RFC 8200 section 4.5, RFC 7112 section 5: the sender hears so, by code 3.
#[test]
fn a_first_fragment_has_all_headers() {
    let (mut wire, id) = listening();
    wire.stacks[0].neighbours.insert_static(ip("fd00::3"), mac(3)).unwrap();
    let fragment = |next_header, offset, more| {
        let mut bytes = vec![0; 8];
        ipv6::Fragment { next_header, offset, more, identification: 7 }.emit(&mut bytes);
        bytes
    };
    // Destination options of 16 bytes, of which eight are here; and options in front of half a UDP header.
    let short: [(Protocol, &[u8]); 3] = [
        (Protocol::DESTINATION_OPTIONS, &[17, 1, 1, 12, 0, 0, 0, 0]),
        (Protocol::DESTINATION_OPTIONS, &[17, 0, 1, 4, 0, 0, 0, 0]),
        (Protocol::TCP, &[0; 16]),
    ];
    for (number, (next, payload)) in short.into_iter().enumerate() {
        let bytes = [&fragment(next, 0, true)[..], payload].concat();
        give(&mut wire, &v6_packet(3, Protocol::FRAGMENT, &bytes), Checksum::Complete);
        assert_eq!(wire.dropped(0, Reason::Ipv6), number as u64 + 1);
        let answer = wire.stacks[0].transmit().unwrap().data.to_vec();
        assert_eq!((&answer[54..56], &answer[58..62]), (&[4, 3][..], &[0; 4][..]), "parameter problem, code 3");
    }
    // With all of them it waits for the rest.
    let bytes = [&fragment(Protocol::UDP, 0, true)[..], &[0, 5, 0, 7, 0, 16, 0, 0]].concat();
    give(&mut wire, &v6_packet(3, Protocol::FRAGMENT, &bytes), Checksum::Complete);
    assert_eq!(wire.dropped(0, Reason::Ipv6), 3);
    assert!(wire.stacks[0].receive_from(id).is_pending());
}

/// RFC 1122 section 3.2.1.3 g, RFC 4862 section 5.5.4.
#[test]
fn nothing_is_sent_from_an_address_that_is_not_ours() {
    let mut wire = Wire::pair();
    let refused = |wire: &mut Wire, own: &str, to: &str| {
        let id = wire.udp(0, own);
        let mut message = wire.message(b"x");
        let sent = errno(wire.stacks[0].send(id, &mut message, Some(at(to)), wire.now));
        assert_eq!(wire.stacks[0].connect(id, at(to), wire.now).unwrap_err().errno(), sent);
        assert_eq!(message.to_vec(), b"x");
        sent
    };
    assert_eq!(refused(&mut wire, "127.0.0.1:1", "10.0.0.2:7"), Errno::NETUNREACH);
    assert_eq!(refused(&mut wire, "[::1]:1", "[fd00::2]:7"), Errno::NETUNREACH);
    assert_eq!(
        refused(&mut wire, "[fd00::1]:2", "[::ffff:10.0.0.2]:7"),
        Errno::NETUNREACH,
        "one packet has one family"
    );
    // From one that was ours when the socket was bound.
    let id = wire.udp(0, "10.0.0.1:3");
    wire.send(0, id, b"still ours", "10.0.0.2:7");
    wire.settle();
    wire.stacks[0].remove_address(ip("10.0.0.1"), wire.now);
    let mut message = wire.message(b"x");
    assert_eq!(errno(wire.stacks[0].send(id, &mut message, Some(at("10.0.0.2:7")), wire.now)), Errno::NETUNREACH);
}

/// RFC 4862 section 5.5.4: what goes on keeps its address for as long as that is valid, though there is a better one.
#[test]
fn a_connected_socket_keeps_the_address_that_its_peer_knows() {
    let on_link = |prefix: &str| Route { prefix: prefix.parse().unwrap(), hop: crate::ip::Hop::OnLink, metric: 0 };
    let mut configs = vec![config(1), config(2)];
    configs[0].addresses = vec!["10.1.0.1/24".parse().unwrap()];
    configs[0].routes = vec![on_link("10.0.0.0/24")];
    configs[1].routes = vec![on_link("10.1.0.0/24")];
    let mut wire = Wire::of(configs);
    let (one, two) = (wire.udp(0, "0.0.0.0:5"), wire.udp(1, "10.0.0.2:7"));
    wire.stacks[0].connect(one, at("10.0.0.2:7"), wire.now).unwrap();
    wire.stacks[0].add_network("10.0.0.1/24".parse().unwrap(), false, wire.now).unwrap();
    for to in [None, Some(at("10.0.0.2:7"))] {
        let mut message = wire.message(b"to the peer");
        done(wire.stacks[0].send(one, &mut message, to, wire.now));
        wire.settle();
        assert_eq!(wire.take(1, two).0, at("10.1.0.1:5"));
        wire.send(1, two, b"back", "10.1.0.1:5");
        wire.settle();
        assert_eq!(wire.take(0, one), (at("10.0.0.2:7"), b"back".to_vec()));
    }
    // Who is not its peer hears from the better one.
    wire.send(0, one, b"to another", "10.0.0.3:7");
    let path = wire.stacks[0].sockets.get(one).unwrap().path;
    assert_eq!(path.map(|path| path.source), Some(ip("10.0.0.1")));
    // Once it is not ours any more, nothing goes to the peer before the next connect.
    wire.stacks[0].remove_address(ip("10.1.0.1"), wire.now);
    let mut message = wire.message(b"to the peer");
    assert_eq!(errno(wire.stacks[0].send(one, &mut message, None, wire.now)), Errno::NETUNREACH);
    wire.stacks[0].connect(one, at("10.0.0.2:7"), wire.now).unwrap();
    done(wire.stacks[0].send(one, &mut message, None, wire.now));
    wire.settle();
    assert_eq!(wire.take(1, two).0, at("10.0.0.1:5"));
}

/// RFC 1122 section 3.2.1.3: what this host says to itself nobody else can say, also where that was heard before.
#[test]
fn what_a_host_tells_itself_opens_no_way_for_others() {
    let (mut wire, id) = listening();
    for (source, destination) in
        [("10.0.0.1", "10.0.0.1"), ("127.0.0.1", "10.0.0.1"), ("fd00::1", "fd00::1"), ("::1", "fd00::1")]
    {
        let own = wire.udp(0, &SocketAddr::new(ip(source), 5).to_string());
        wire.send(0, own, b"hello", &SocketAddr::new(ip(destination), 7).to_string());
        wire.settle();
        assert_eq!(wire.take(0, id).1, b"hello");
        let mut frame = [mac(1).0, mac(3).0].concat();
        match (ip(source), ip(destination)) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                frame.extend([8, 0]);
                frame.resize(34, 0);
                let header = output::v4_header(source, destination, 64, Protocol::UDP);
                crate::wire::ipv4::Header { payload_len: 13, ..header }.emit(&mut frame[14..]);
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                frame.extend([0x86, 0xdd]);
                frame.resize(54, 0);
                output::v6_header(source, destination, 64, Protocol::UDP, 13).emit(&mut frame[14..]);
            }
            _ => panic!("one packet has one family"),
        }
        frame.extend([0, 5, 0, 7, 0, 13, 1, 1]);
        frame.extend(b"hello");
        let before = wire.dropped(0, Reason::Source);
        give(&mut wire, &frame, Checksum::Verified);
        assert!(wire.stacks[0].receive_from(id).is_pending(), "{source}");
        assert_eq!(wire.dropped(0, Reason::Source), before + 1, "{source}");
    }
}

/// RFC 1122 section 3.2.1.3: a group is nobody's source, nor is everybody.
#[test]
fn sockets_of_groups_speak_as_the_host() {
    let mut wire = Wire::pair();
    let two = wire.udp(1, "10.0.0.2:7");
    for own in ["239.1.2.3:5", "10.0.0.255:6"] {
        let id = wire.udp(0, own);
        wire.send(0, id, b"to one", "10.0.0.2:7");
        wire.settle();
        let from = SocketAddr::new(ip("10.0.0.1"), at(own).port());
        assert_eq!(wire.take(1, two).0, from);
        wire.stacks[0].connect(id, at("10.0.0.2:7"), wire.now).unwrap();
        let mut message = wire.message(b"to the peer");
        done(wire.stacks[0].send(id, &mut message, None, wire.now));
        wire.settle();
        assert_eq!(wire.take(1, two).0, from);
    }
}

/// RFC 1122 section 3.2.1.7: no packet leaves with a time to live of zero.
#[test]
fn an_echo_request_of_no_hops_does_not_leave() {
    let mut wire = Wire::pair();
    let id = wire.stacks[0].echo_socket(Domain::V4).unwrap();
    wire.stacks[0].set(id, Setting::MulticastHops(0)).unwrap();
    wire.settle();
    wire.seen.clear();
    let mut payload = wire.message(b"all");
    done(wire.stacks[0].echo_send(id, ip("224.0.0.1"), 1, &mut payload, wire.now));
    wire.settle();
    assert!(wire.seen.is_empty() && payload.has_no_segment());
}
