// SPDX-License-Identifier: MIT OR Apache-2.0
//! What goes wrong with a datagram, and which socket hears of it.

use super::*;
use crate::wire::{Protocol, icmpv4, icmpv6, ipv4};

/// RFC 1122 §4.1, RFC 4443 §3.1.
#[test]
fn an_empty_port_refuses_connected_sockets() {
    let mut wire = Wire::pair();
    for (own, to) in [("10.0.0.1:1", "10.0.0.2:9"), ("[fd00::1]:1", "[fd00::2]:9")] {
        let (connected, free) =
            (wire.udp(0, own), wire.udp(0, if own.starts_with('[') { "[::]:2" } else { "0.0.0.0:2" }));
        wire.stacks[0].connect(connected, at(to), wire.now).unwrap();
        let mut message = wire.message(b"anybody?");
        done(wire.stacks[0].send(connected, &mut message, None, wire.now));
        wire.settle();
        assert_eq!(wire.stacks[0].woken(), Some((connected, Readiness { readable: true, writable: true })));
        assert_eq!(errno(wire.stacks[0].receive_from(connected)), Errno::CONNREFUSED);
        assert!(wire.stacks[0].receive_from(connected).is_pending(), "it is told once");
        // Or by the next send, which then sends nothing.
        let mut message = wire.message(b"anybody?");
        done(wire.stacks[0].send(connected, &mut message, None, wire.now));
        wire.settle();
        let mut message = wire.message(b"now?");
        assert_eq!(errno(wire.stacks[0].send(connected, &mut message, None, wire.now)), Errno::CONNREFUSED);
        assert_eq!(message.to_vec(), b"now?");
        // One that speaks to many hears nothing, as on Linux.
        wire.send(0, free, b"anybody?", to);
        wire.settle();
        assert!(wire.stacks[0].receive_from(free).is_pending());
        wire.stacks[0].close(connected, wire.now).unwrap();
        wire.stacks[0].close(free, wire.now).unwrap();
    }
    assert_eq!(wire.dropped(0, Reason::IcmpQuote), 2);
    assert_eq!(wire.stacks[1].counters().errors_sent, 6);
    wire.assert_all_back();
}

#[test]
fn a_long_datagram_to_an_empty_port_is_refused_too() {
    let mut wire = Wire::pair();
    for (own, to) in [("10.0.0.1:1", "10.0.0.2:9"), ("[fd00::1]:1", "[fd00::2]:9")] {
        let id = wire.udp(0, own);
        wire.stacks[0].connect(id, at(to), wire.now).unwrap();
        let mut message = wire.message(&pattern(20_000));
        done(wire.stacks[0].send(id, &mut message, None, wire.now));
        wire.settle();
        assert_eq!(errno(wire.stacks[0].receive_from(id)), Errno::CONNREFUSED);
    }
}

/// RFC 1122 §2.3.2.2, RFC 4861 §7.2.2.
#[test]
fn a_neighbour_that_is_not_there_makes_its_host_unreachable() {
    let mut wire = Wire::pair();
    for (own, to) in [("10.0.0.1:1", "10.0.0.9:9"), ("[fd00::1]:1", "[fd00::9]:9")] {
        let id = wire.udp(0, own);
        wire.stacks[0].connect(id, at(to), wire.now).unwrap();
        let mut message = wire.message(b"anybody?");
        done(wire.stacks[0].send(id, &mut message, None, wire.now));
        assert!(wire.stacks[0].receive_from(id).is_pending());
        wire.run(Duration::from_millis(4500));
        assert_eq!(errno(wire.stacks[0].receive_from(id)), Errno::HOSTUNREACH);
        // For a while nobody is asked again.
        let asked = wire.seen.len();
        let mut message = wire.message(b"still nobody?");
        assert_eq!(errno(wire.stacks[0].send(id, &mut message, None, wire.now)), Errno::HOSTUNREACH);
        assert_eq!(message.to_vec(), b"still nobody?");
        wire.settle();
        assert_eq!(wire.seen.len(), asked);
        wire.run(Duration::from_secs(10));
        done(wire.stacks[0].send(id, &mut message, None, wire.now));
        wire.settle();
        assert!(wire.seen.len() > asked);
    }
    wire.run(Duration::from_secs(10));
    wire.assert_all_back();
}

/// RFC 5942.
#[test]
fn without_a_route_nothing_is_sent() {
    let mut wire = Wire::pair();
    let id = wire.udp(0, "[::]:1");
    for to in ["[::ffff:192.0.2.1]:9", "[2001:db8::1]:9", "[::ffff:0.0.0.0]:9", "[::]:9"] {
        let mut message = wire.message(b"x");
        assert_eq!(errno(wire.stacks[0].send(id, &mut message, Some(at(to)), wire.now)), Errno::NETUNREACH, "{to}");
        assert_eq!(wire.stacks[0].connect(id, at(to), wire.now).unwrap_err().errno(), Errno::NETUNREACH);
        assert_eq!(message.len(), 1);
    }
    let four = wire.udp(0, "0.0.0.0:2");
    let mut message = wire.message(b"x");
    let mut said = |id, to| errno(wire.stacks[0].send(id, &mut message, to, wire.now));
    assert_eq!(said(four, None), Errno::DESTADDRREQ);
    assert_eq!(said(four, Some(at("[fd00::2]:9"))), Errno::AFNOSUPPORT);
    assert_eq!(said(id, Some(at("10.0.0.2:9"))), Errno::AFNOSUPPORT);
    assert_eq!(said(four, Some(at("10.0.0.2:0"))), Errno::ADDRNOTAVAIL);
    assert_eq!(said(four, Some(at("10.0.0.255:9"))), Errno::ACCESS);
    assert_eq!(said(four, Some(at("255.255.255.255:9"))), Errno::ACCESS);
    wire.settle();
    assert!(wire.seen.iter().all(|(_, frame)| frame[12..14] != [8, 0] || frame[23] == 2), "nothing but IGMP");
}

/// A router's message to host 1 about a packet that it had sent.
pub fn from_router(quote: &[u8], v4: icmpv4::Header, v6: icmpv6::Header) -> Vec<u8> {
    let mut frame = vec![];
    frame.extend(mac(1).0);
    frame.extend(mac(9).0);
    if quote[0] >> 4 == 4 {
        let quote = &quote[..quote.len().min(28)];
        frame.extend([8, 0]);
        let header =
            output::v4_header("10.0.0.254".parse().unwrap(), "10.0.0.1".parse().unwrap(), 64, Protocol::ICMPV4);
        let header = ipv4::Header { payload_len: 8 + quote.len() as u16, ..header };
        let mut bytes = vec![0; 28];
        header.emit(&mut bytes);
        v4.emit(&mut bytes[20..]);
        icmpv4::complete(&mut bytes[20..], crate::wire::checksum::sum(quote));
        frame.extend(bytes);
        frame.extend(quote);
    } else {
        let quote = &quote[..quote.len().min(1232)];
        frame.extend([0x86, 0xdd]);
        let len = 8 + quote.len();
        let header =
            output::v6_header("fd00::fe".parse().unwrap(), "fd00::1".parse().unwrap(), 64, Protocol::ICMPV6, len);
        let mut bytes = vec![0; 48];
        header.emit(&mut bytes);
        v6.emit(&mut bytes[40..]);
        let mut rest = header.pseudo_header(Protocol::ICMPV6, len as u32);
        rest.add_sum(crate::wire::checksum::sum(quote));
        icmpv6::complete(&mut bytes[40..], rest);
        frame.extend(bytes);
        frame.extend(quote);
    }
    frame
}

/// RFC 1191 §3, §6.3; RFC 8201 §4; RFC 4443 §3.2.
#[test]
fn routers_shrink_the_path() {
    for (own, to, mtu, limit) in [("10.0.0.1:1", "10.0.0.2:7", 1000, 1014), ("[fd00::1]:1", "[fd00::2]:7", 1280, 1294)]
    {
        let mut wire = Wire::pair();
        let (one, two) = (wire.udp(0, own), wire.udp(1, to));
        // The path drops what is too long; the test says so in the router's name.
        wire.fate = Box::new(move |_, frame| (frame.len() <= limit).then(|| frame.to_vec()));
        wire.send(0, one, &pattern(1400), to);
        wire.settle();
        assert!(wire.stacks[1].receive_from(two).is_pending());
        let lost = wire.seen.iter().find(|(_, frame)| frame.len() > limit).unwrap().1[14..].to_vec();
        let v4 = icmpv4::Header::Unreachable { code: icmpv4::Unreachable::FRAGMENTATION_NEEDED, mtu };
        let v6 = icmpv6::Header::PacketTooBig { mtu: u32::from(mtu) };
        // One about a packet of nobody's changes nothing.
        let mut forged = lost.clone();
        let ports = if lost[0] >> 4 == 4 { 20 } else { 40 };
        forged[ports] ^= 0x55;
        for (quote, arrives) in [(forged, false), (lost, true)] {
            let frame = wire.pools[0].alloc_copy(&from_router(&quote, v4, v6)).unwrap();
            wire.stacks[0].receive(Sga::from(frame).into(), wire.now);
            wire.send(0, one, &pattern(1400), to);
            wire.settle();
            if arrives {
                assert!(wire.take(1, two).1 == pattern(1400));
            }
            assert!(wire.stacks[1].receive_from(two).is_pending());
        }
        assert_eq!(wire.dropped(0, Reason::IcmpQuote), 1);
        assert_eq!(wire.stacks[1].counters().reassembled, 1);
        // Ten minutes later the whole length is tried again.
        wire.run(Duration::from_secs(601));
        wire.send(0, one, &pattern(1400), to);
        wire.settle();
        assert!(wire.stacks[1].receive_from(two).is_pending());
    }
}

/// RFC 1191 section 3, RFC 8201 section 4: what is said must be about a packet of ours, to us, and shorter than that was.
#[test]
fn a_forged_message_shrinks_no_path() {
    for (own, to) in [("10.0.0.1:1", "10.0.0.2:7"), ("[fd00::1]:1", "[fd00::2]:7")] {
        let mut wire = Wire::pair();
        let (one, two) = (wire.udp(0, if own.starts_with('[') { "[::]:1" } else { "0.0.0.0:1" }), wire.udp(1, to));
        wire.send(0, one, &pattern(1300), to);
        wire.settle();
        wire.take(1, two);
        let sent = wire.seen.iter().rfind(|(_, frame)| frame.len() > 1000).unwrap().1[14..].to_vec();
        let source = if own.starts_with('[') { 23 } else { 15 };
        let mut of_another = sent.clone();
        of_another[source] = 99;
        for (quote, mtu) in [(of_another, 1290), (sent.clone(), 1400), (sent, 1348)] {
            let v4 = icmpv4::Header::Unreachable { code: icmpv4::Unreachable::FRAGMENTATION_NEEDED, mtu };
            let v6 = icmpv6::Header::PacketTooBig { mtu: u32::from(mtu) };
            input::give(&mut wire, &from_router(&quote, v4, v6), Checksum::Complete);
        }
        assert_eq!(wire.dropped(0, Reason::IcmpQuote), 1);
        wire.send(0, one, &pattern(1400), to);
        wire.settle();
        wire.take(1, two);
        assert_eq!(wire.stacks[0].counters().fragmented, 0);
    }
}

/// RFC 6633: nobody is slowed down by who says that he is flooded.
#[test]
fn source_quench_is_nobodys() {
    let mut wire = Wire::pair();
    let id = wire.udp(0, "10.0.0.1:1");
    wire.stacks[0].connect(id, at("10.0.0.2:7"), wire.now).unwrap();
    let mut message = wire.message(b"hello");
    done(wire.stacks[0].send(id, &mut message, None, wire.now));
    wire.settle();
    let sent =
        wire.seen.iter().rfind(|(from, frame)| *from == 0 && frame.ends_with(b"hello")).unwrap().1[14..].to_vec();
    let quench = icmpv4::Header::Other { kind: 4, code: 0, rest: [0; 4] };
    done(wire.stacks[0].receive_from(id).map(|refused| refused.map(drop).or(Ok(()))));
    input::give(&mut wire, &from_router(&sent, quench, icmpv6::Header::PacketTooBig { mtu: 0 }), Checksum::Complete);
    assert_eq!(wire.dropped(0, Reason::IcmpType), 1);
    assert!(wire.stacks[0].receive_from(id).is_pending());
}

/// Packets that make place for newer ones are counted as any that is lost.
#[test]
fn packets_that_wait_too_many_are_counted() {
    let mut wire = Wire::pair();
    let id = wire.udp(0, "10.0.0.1:1");
    for _ in 0..crate::limits::NEIGHBOUR_PACKETS_MAX + 5 {
        wire.send(0, id, b"anybody?", "10.0.0.9:9");
        wire.carry();
    }
    assert_eq!(wire.dropped(0, Reason::NeighbourFull), 5);
    wire.run(Duration::from_secs(10));
    assert_eq!(wire.dropped(0, Reason::NeighbourFull), 5);
    assert_eq!(wire.dropped(0, Reason::NeighbourFailed), u64::from(crate::limits::NEIGHBOUR_PACKETS_MAX));
}

/// A datagram that left in fragments has its ports in the first of them.
#[test]
fn a_long_datagram_to_nobody_is_told_too() {
    let mut wire = Wire::pair();
    for (own, to) in [("10.0.0.1:1", "10.0.0.9:9"), ("[fd00::1]:1", "[fd00::9]:9")] {
        let id = wire.udp(0, own);
        wire.stacks[0].connect(id, at(to), wire.now).unwrap();
        let message = wire.message(&pattern(9000));
        // Somebody else sees the memory, so that headers stand in buffers of their own.
        done(wire.stacks[0].send(id, &mut message.view().unwrap(), None, wire.now));
        wire.run(Duration::from_millis(4500));
        assert_eq!(errno(wire.stacks[0].receive_from(id)), Errno::HOSTUNREACH);
    }
}

/// RFC 1122 §3.2.2, RFC 4443 §3, §3.1, §3.4.
#[test]
fn what_routers_say_reaches_the_socket_it_is_about() {
    let mut wire = Wire::pair();
    let four: [(icmpv4::Header, Errno); 6] = [
        (icmpv4::Header::Unreachable { code: icmpv4::Unreachable::NETWORK, mtu: 0 }, Errno::NETUNREACH),
        (icmpv4::Header::Unreachable { code: icmpv4::Unreachable::HOST, mtu: 0 }, Errno::HOSTUNREACH),
        (icmpv4::Header::Unreachable { code: icmpv4::Unreachable::PROTOCOL, mtu: 0 }, Errno::NOPROTOOPT),
        (icmpv4::Header::Unreachable { code: icmpv4::Unreachable::PROHIBITED, mtu: 0 }, Errno::ACCESS),
        (icmpv4::Header::TimeExceeded { code: 0 }, Errno::HOSTUNREACH),
        (icmpv4::Header::ParameterProblem { code: 0, pointer: 1 }, Errno::PROTO),
    ];
    let six: [(icmpv6::Header, Errno); 6] = [
        (icmpv6::Header::Unreachable { code: icmpv6::Unreachable::NO_ROUTE }, Errno::NETUNREACH),
        (icmpv6::Header::Unreachable { code: icmpv6::Unreachable::ADDRESS }, Errno::HOSTUNREACH),
        (icmpv6::Header::ParameterProblem { code: 1, pointer: 6 }, Errno::NOPROTOOPT),
        (icmpv6::Header::Unreachable { code: icmpv6::Unreachable::PROHIBITED }, Errno::ACCESS),
        (icmpv6::Header::TimeExceeded { code: 0 }, Errno::HOSTUNREACH),
        (icmpv6::Header::ParameterProblem { code: 0, pointer: 1 }, Errno::PROTO),
    ];
    for (own, to) in [("10.0.0.1:1", "10.0.0.2:7"), ("[fd00::1]:1", "[fd00::2]:7")] {
        let id = wire.udp(0, own);
        wire.udp(1, to);
        wire.stacks[0].connect(id, at(to), wire.now).unwrap();
        let mut message = wire.message(b"hello");
        done(wire.stacks[0].send(id, &mut message, None, wire.now));
        wire.settle();
        let sent =
            wire.seen.iter().rfind(|(from, frame)| *from == 0 && frame.ends_with(b"hello")).unwrap().1[14..].to_vec();
        for ((v4, expected), (v6, also)) in four.into_iter().zip(six) {
            assert_eq!(expected, also);
            let mut frame = from_router(&sent, v4, v6);
            // With a wrong checksum it says nothing.
            let last = frame.len() - 1;
            frame[last] ^= 1;
            for right in [false, true] {
                let buf = wire.pools[0].alloc_copy(&frame).unwrap();
                wire.stacks[0].receive(Sga::from(buf).into(), wire.now);
                if right {
                    assert_eq!(errno(wire.stacks[0].receive_from(id)), expected);
                }
                assert!(wire.stacks[0].receive_from(id).is_pending());
                frame[last] ^= 1;
            }
        }
    }
}

/// RFC 1812 §4.3.2.8, RFC 4443 §2.4.
#[test]
fn errors_are_sent_at_a_bounded_rate() {
    let mut wire = Wire::pair();
    let id = wire.udp(0, "10.0.0.1:1");
    for _ in 0..500 {
        wire.send(0, id, b"flood", "10.0.0.2:9");
        wire.settle();
    }
    let sent = wire.stacks[1].counters().errors_sent;
    assert!(sent > 5 && sent <= u64::from(crate::limits::ICMP_ERRORS_BURST), "{sent}");
    assert_eq!(wire.dropped(1, Reason::IcmpLimit), 500 - sent);
    assert_eq!(wire.dropped(1, Reason::NoSocket), 500);
}

/// RFC 4443 §2.4 c, §3.4: what came in fragments is quoted behind an IPv6 header, to which the pointer
/// belongs, though extension headers stood behind that of the fragments.
#[test]
fn what_was_put_together_is_quoted_with_a_header() {
    let mut wire = Wire::of(vec![config(1)]);
    wire.run(Duration::from_secs(10));
    wire.stacks[0].neighbours.insert_static(ip("fd00::3"), mac(3)).unwrap();
    let to_nobody = input::datagram(input::v6_packet, b"hello")[54..].to_vec();
    let options = |next, rest: &[u8]| [&[next, 0, 1, 4, 0, 0, 0, 0], rest].concat();
    // What stands first, and all of it; type, code and pointer of the answer.
    let cases = [
        (Protocol::UDP, to_nobody.clone(), [1, 4, 0]),
        (Protocol::DESTINATION_OPTIONS, options(17, &to_nobody), [1, 4, 0]),
        (Protocol(200), b"what is this?".to_vec(), [4, 1, 6]),
        (Protocol::DESTINATION_OPTIONS, options(200, b"what is this?"), [4, 1, 40]),
        (Protocol::DESTINATION_OPTIONS, options(60, &options(200, b"and this?")), [4, 1, 48]),
    ];
    for (next_header, data, expected) in cases {
        let mut bytes = vec![0; 8];
        crate::wire::ipv6::Fragment { next_header, offset: 0, more: false, identification: 7 }.emit(&mut bytes);
        bytes.extend(&data);
        input::give(&mut wire, &input::v6_packet(3, Protocol::FRAGMENT, &bytes), Checksum::Complete);
        let answer = wire.stacks[0].transmit().unwrap().data.to_vec();
        assert_eq!([answer[54], answer[55], answer[61]], expected);
        let quote = &answer[62..];
        assert_eq!((quote[0] >> 4, quote[4], quote[5], quote[6]), (6, 0, data.len() as u8, next_header.0));
        assert_eq!(quote[8..24], input::v6_packet(3, Protocol::UDP, b"")[22..38]);
        assert_eq!(quote[40..], data);
    }
}

/// RFC 1122 §3.2.2, RFC 4443 §3.4.
#[test]
fn an_unknown_protocol_is_answered() {
    let mut wire = Wire::pair();
    wire.run(Duration::from_secs(10));
    wire.seen.clear();
    let frames = [
        crate::stack::tests::input::v4_packet(3, Protocol(200), b"what is this?"),
        crate::stack::tests::input::v6_packet(3, Protocol(200), b"what is this?"),
    ];
    wire.stacks[0].neighbours.insert_static(ip("10.0.0.3"), mac(3)).unwrap();
    wire.stacks[0].neighbours.insert_static(ip("fd00::3"), mac(3)).unwrap();
    for frame in frames {
        let buf = wire.pools[0].alloc_copy(&frame).unwrap();
        wire.stacks[0].receive(Sga::from(buf).into(), wire.now);
        let answer = wire.stacks[0].transmit().unwrap().data.to_vec();
        if frame[12] == 8 {
            assert_eq!(answer[34..36], [3, 2]);
            assert_eq!(answer[42..], frame[14..]);
        } else {
            assert_eq!((&answer[54..56], &answer[58..62]), (&[4, 1][..], &[0, 0, 0, 6][..]));
            assert_eq!(answer[62..], frame[14..]);
        }
    }
}
