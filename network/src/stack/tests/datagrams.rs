// SPDX-License-Identifier: MIT OR Apache-2.0
//! UDP between two stacks: lengths, bounds, who hears what.

use super::*;

/// RFC 768; RFC 894; RFC 2464; RFC 1122 §3.3, §4.1; RFC 8085; RFC 6864 §4.1.
#[test]
fn every_length_is_echoed() {
    let mut wire = Wire::pair();
    for (client, server) in [("10.0.0.1:1000", "10.0.0.2:7"), ("[fd00::1]:1000", "[fd00::2]:7")] {
        let (one, two) = (wire.udp(0, client), wire.udp(1, server));
        for len in [0, 1, 18, 64, 1452, 1453, 1472, 1473, 9000, 30_000, 65_506, 65_507] {
            wire.send(0, one, &pattern(len), server);
            wire.settle();
            let (from, bytes) = wire.take(1, two);
            assert_eq!(from, at(client));
            assert!(bytes == pattern(len), "{len} bytes");
            wire.send(1, two, &bytes, client);
            wire.settle();
            let (from, bytes) = wire.take(0, one);
            assert_eq!(from, at(server));
            assert!(bytes == pattern(len), "{len} bytes back");
        }
        let mut long = wire.message(&pattern(65_528));
        assert_eq!(errno(wire.stacks[0].send(one, &mut long, Some(at(server)), wire.now)), Errno::MSGSIZE);
        assert_eq!(long.len(), 65_528, "it is as it was");
    }
    assert_eq!((wire.lost(0), wire.lost(1)), (0, 0));
    wire.assert_all_back();
}

#[test]
fn messages_in_pieces_and_shared_ones_arrive_whole() {
    let mut wire = Wire::pair();
    let (one, two) = (wire.udp(0, "10.0.0.1:1"), wire.udp(1, "10.0.0.2:7"));
    for pieces in [1, 2, 3, 63, 64] {
        for len in [64, 6400] {
            let bytes = pattern(len);
            let mut message = Sga::new();
            for piece in bytes.chunks(len.div_ceil(pieces)) {
                message.push_back(wire.pools[0].alloc_copy(piece).unwrap()).unwrap();
            }
            let kept = message.view().unwrap();
            let mut again = message.view().unwrap();
            for message in [&mut message, &mut again] {
                done(wire.stacks[0].send(one, message, Some(at("10.0.0.2:7")), wire.now));
                wire.settle();
                assert!(wire.take(1, two).1 == bytes, "{pieces} pieces, {len} bytes");
            }
            assert_eq!(kept.to_vec(), bytes, "what was sent is as it was");
        }
    }
    wire.assert_all_back();
}

#[test]
fn checksums_are_left_to_a_device_that_makes_them() {
    let mut configs = vec![config(1), config(2)];
    configs[0].caps.checksum = true;
    let mut wire = Wire::of(configs);
    let (one, two) = (wire.udp(0, "[::]:1"), wire.udp(1, "[::]:7"));
    for (to, start) in [("[::ffff:10.0.0.2]:7", 34), ("[fd00::2]:7", 54)] {
        wire.send(0, one, b"resolves", to);
        wire.settle();
        wire.take(1, two);
        wire.send(0, one, b"direct", to);
        let frame = wire.stacks[0].transmit().unwrap();
        assert_eq!(frame.checksum, Checksum::Partial { start, offset: 6 });
        // What the device does: sum from `start` on, and put there.
        let mut bytes = frame.data.to_vec();
        let start = usize::from(start);
        let sum = crate::wire::checksum::sum(&bytes[start..]).finish();
        bytes[start + 6..start + 8].copy_from_slice(&sum.to_be_bytes());
        let data = wire.pools[1].alloc_copy(&bytes).unwrap();
        wire.stacks[1].receive(Sga::from(data).into(), wire.now);
        assert_eq!(wire.take(1, two).1, b"direct");
    }
    assert_eq!(wire.dropped(1, Reason::UdpChecksum), 0);
}

#[test]
fn a_full_receive_buffer_drops_and_counts() {
    let mut wire = Wire::pair();
    let (one, two) = (wire.udp(0, "10.0.0.1:1"), wire.udp(1, "10.0.0.2:7"));
    wire.stacks[1].set_option(two, runtime::socket::SocketOption::ReceiveBuffer(20_000)).unwrap();
    for number in 0..100_u8 {
        wire.send(0, one, &[number; 1000], "10.0.0.2:7");
        wire.settle();
    }
    let fit = 20_000 / (1000 + crate::limits::DATAGRAM_OVERHEAD);
    assert_eq!(wire.stacks[1].waiting(two).unwrap(), fit);
    assert_eq!(wire.dropped(1, Reason::ReceiveFull), 100 - fit as u64);
    for number in 0..fit {
        assert_eq!(wire.take(1, two).1[0], number as u8, "the oldest stay");
    }
    assert!(wire.stacks[1].receive_from(two).is_pending());
    wire.send(0, one, b"room again", "10.0.0.2:7");
    wire.settle();
    wire.take(1, two);
    // Empty ones are bounded, too.
    for _ in 0..5000 {
        wire.send(0, one, b"", "10.0.0.2:7");
        wire.settle();
    }
    assert!(wire.stacks[1].waiting(two).unwrap() <= 20_000 / crate::limits::DATAGRAM_OVERHEAD);
}

#[test]
fn a_full_output_makes_senders_wait_and_wakes_them() {
    let mut wire = Wire::pair();
    let (one, other, two) = (wire.udp(0, "10.0.0.1:1"), wire.udp(0, "10.0.0.1:2"), wire.udp(1, "10.0.0.2:7"));
    wire.send(0, one, b"resolves", "10.0.0.2:7");
    wire.settle();
    let mut sent = 0;
    loop {
        let mut message = wire.message(&[1; 100]);
        match wire.stacks[0].send(one, &mut message, Some(at("10.0.0.2:7")), wire.now) {
            Poll::Ready(result) => result.unwrap(),
            Poll::Pending => {
                assert_eq!(message.len(), 100, "it is as it was");
                break;
            }
        }
        sent += 1;
    }
    assert_eq!(sent, crate::limits::OUTPUT_FRAMES_MAX);
    let mut message = wire.message(&[2; 100]);
    assert!(wire.stacks[0].send(other, &mut message, Some(at("10.0.0.2:7")), wire.now).is_pending());
    assert!(wire.stacks[0].woken().is_none());
    wire.settle();
    let woken: Vec<_> = core::iter::from_fn(|| wire.stacks[0].woken()).collect();
    let writable = Readiness { readable: false, writable: true };
    assert_eq!(woken, [(one, writable), (other, writable)]);
    assert_eq!(wire.stacks[1].waiting(two).unwrap() as u64 + wire.dropped(1, Reason::ReceiveFull), sent as u64 + 1);
}

#[test]
fn a_socket_is_woken_once_however_much_came() {
    let mut wire = Wire::pair();
    let (one, two) = (wire.udp(0, "10.0.0.1:1"), wire.udp(1, "10.0.0.2:7"));
    for round in 0..3 {
        for _ in 0..5 {
            wire.send(0, one, b"x", "10.0.0.2:7");
        }
        wire.settle();
        assert_eq!(wire.stacks[1].woken(), Some((two, Readiness { readable: true, writable: false })), "{round}");
        assert_eq!(wire.stacks[1].woken(), None);
    }
    wire.send(0, one, b"x", "10.0.0.2:7");
    wire.settle();
    wire.stacks[1].close(two, wire.now).unwrap();
    assert_eq!(wire.stacks[1].woken(), None, "of one that is closed nothing is heard");
    assert_eq!(errno(wire.stacks[1].receive_from(two)), Errno::BADF);
    wire.assert_all_back();
}

#[test]
fn connected_sockets_hear_their_peer_only() {
    let mut wire = Wire::pair();
    let (one, other, two) = (wire.udp(0, "10.0.0.1:1"), wire.udp(0, "10.0.0.1:2"), wire.udp(1, "0.0.0.0:7"));
    assert_eq!(wire.stacks[1].peer(two).unwrap_err().errno(), Errno::NOTCONN);
    wire.send(0, other, b"before", "10.0.0.2:7");
    wire.settle();
    wire.stacks[1].connect(two, at("10.0.0.1:1"), wire.now).unwrap();
    assert_eq!(wire.stacks[1].local(two).unwrap(), at("10.0.0.2:7"));
    assert_eq!(wire.stacks[1].peer(two).unwrap(), at("10.0.0.1:1"));
    wire.send(0, other, b"a stranger", "10.0.0.2:7");
    wire.send(0, one, b"the peer", "10.0.0.2:7");
    wire.settle();
    assert_eq!(wire.take(1, two), (at("10.0.0.1:1"), b"the peer".to_vec()));
    assert!(wire.stacks[1].receive_from(two).is_pending());
    assert_eq!(wire.dropped(1, Reason::NoSocket), 2, "what had come before, too");
    let mut message = wire.message(b"to the peer");
    done(wire.stacks[1].send(two, &mut message, None, wire.now));
    wire.settle();
    assert_eq!(wire.take(0, one), (at("10.0.0.2:7"), b"to the peer".to_vec()));
    wire.stacks[1].connect(two, at("10.0.0.1:2"), wire.now).unwrap();
    wire.send(0, other, b"now the peer", "10.0.0.2:7");
    wire.settle();
    assert_eq!(wire.take(1, two), (at("10.0.0.1:2"), b"now the peer".to_vec()));
}

/// RFC 3493 §3.7.
#[test]
fn a_wildcard_of_v6_serves_v4_unless_it_is_told_not_to() {
    let mut wire = Wire::pair();
    let both = wire.udp(1, "[::]:7");
    let client = wire.udp(0, "10.0.0.1:1");
    wire.send(0, client, b"four", "10.0.0.2:7");
    wire.settle();
    let (from, bytes) = wire.take(1, both);
    assert_eq!((from, bytes), (at("[::ffff:10.0.0.1]:1"), b"four".to_vec()));
    wire.send(1, both, b"back", "[::ffff:10.0.0.1]:1");
    wire.settle();
    assert_eq!(wire.take(0, client), (at("10.0.0.2:7"), b"back".to_vec()));
    let client6 = wire.udp(0, "[fd00::1]:1");
    wire.send(0, client6, b"six", "[fd00::2]:7");
    wire.settle();
    assert_eq!(wire.take(1, both), (at("[fd00::1]:1"), b"six".to_vec()));
    // Its port is taken in both families; of one that is IPv6 only, in one.
    let four = wire.stacks[1].udp_socket(Domain::V4).unwrap();
    assert_eq!(wire.stacks[1].bind(four, at("0.0.0.0:7")).unwrap_err().errno(), Errno::ADDRINUSE);
    let six = wire.stacks[1].udp_socket(Domain::V6).unwrap();
    wire.stacks[1].set(six, Setting::V6Only(true)).unwrap();
    wire.stacks[1].bind(six, at("[::]:8")).unwrap();
    assert_eq!(wire.stacks[1].set(six, Setting::V6Only(false)).unwrap_err().errno(), Errno::INVAL);
    wire.stacks[1].bind(four, at("0.0.0.0:8")).unwrap();
    wire.send(0, client, b"four", "10.0.0.2:8");
    wire.settle();
    assert_eq!(wire.take(1, four).1, b"four");
    assert!(wire.stacks[1].receive_from(six).is_pending());
    let mut message = wire.message(b"x");
    let sent = wire.stacks[1].send(six, &mut message, Some(at("[::ffff:10.0.0.1]:1")), wire.now);
    assert_eq!(errno(sent), Errno::NETUNREACH);
}

#[test]
fn the_closest_socket_hears() {
    let mut wire = Wire::pair();
    let sockets = ["10.0.0.2:7", "0.0.0.0:7", "[::]:7"].map(|address| {
        let id = wire.stacks[1].udp_socket(Domain::of(&at(address))).unwrap();
        wire.stacks[1].set_option(id, runtime::socket::SocketOption::ReuseAddress(true)).unwrap();
        wire.stacks[1].bind(id, at(address)).unwrap();
        id
    });
    let client = wire.udp(0, "10.0.0.1:1");
    for id in sockets {
        wire.send(0, client, b"x", "10.0.0.2:7");
        wire.settle();
        for other in sockets {
            let waiting = wire.stacks[1].waiting(other).unwrap_or(0);
            assert_eq!(waiting, usize::from(other == id));
        }
        wire.stacks[1].close(id, wire.now).unwrap();
    }
    wire.send(0, client, b"x", "10.0.0.2:7");
    wire.settle();
    assert_eq!(wire.dropped(1, Reason::NoSocket), 1);
}

#[test]
fn shared_ports_give_each_peer_one_socket() {
    let mut wire = Wire::pair();
    let sockets: Vec<_> = (0..4)
        .map(|_| {
            let id = wire.stacks[1].udp_socket(Domain::V4).unwrap();
            wire.stacks[1].set(id, Setting::ReusePort(true)).unwrap();
            wire.stacks[1].bind(id, at("10.0.0.2:7")).unwrap();
            id
        })
        .collect();
    let stranger = wire.stacks[1].udp_socket(Domain::V4).unwrap();
    assert_eq!(wire.stacks[1].bind(stranger, at("10.0.0.2:7")).unwrap_err().errno(), Errno::ADDRINUSE);
    for port in 0..64_u8 {
        let client = wire.udp(0, &format!("10.0.0.1:{}", 1000 + u16::from(port)));
        for _ in 0..3 {
            wire.send(0, client, &[port], "10.0.0.2:7");
        }
        wire.settle();
    }
    let mut seen = [0; 64];
    for (number, id) in sockets.iter().enumerate() {
        let waiting = wire.stacks[1].waiting(*id).unwrap();
        assert!((15..90).contains(&waiting), "{waiting} of 192");
        for _ in 0..waiting {
            let port = usize::from(wire.take(1, *id).1[0]);
            assert!(seen[port] % 10 == 0 || seen[port] % 10 == number as u32 + 1, "one peer, two sockets");
            seen[port] = (seen[port] / 10 + 1) * 10 + number as u32 + 1;
        }
    }
    assert!(seen.iter().all(|seen| seen / 10 == 3));
}

/// The short way of a flow that was seen before knows of every change: of sockets, of peers, of addresses.
#[test]
fn a_flow_is_looked_up_again_after_every_change() {
    for (own, to, any) in [("10.0.0.1:1", "10.0.0.2:7", "0.0.0.0:7"), ("[fd00::1]:1", "[fd00::2]:7", "[::]:7")] {
        let mut wire = Wire::pair();
        let (client, wildcard) = (wire.udp(0, own), {
            let id = wire.stacks[1].udp_socket(Domain::of(&at(any))).unwrap();
            wire.stacks[1].set_option(id, runtime::socket::SocketOption::ReuseAddress(true)).unwrap();
            wire.stacks[1].bind(id, at(any)).unwrap();
            id
        });
        let send = |wire: &mut Wire, number: u8| {
            for _ in 0..3 {
                wire.send(0, client, &[number], to);
                wire.settle();
            }
        };
        let heard = |wire: &mut Wire, id, number: u8| {
            for _ in 0..3 {
                assert_eq!(wire.take(1, id), (at(own), vec![number]));
            }
            assert!(wire.stacks[1].receive_from(id).is_pending());
        };
        send(&mut wire, 0);
        heard(&mut wire, wildcard, 0);
        // A closer one comes, then one that is connected; then they go.
        let closer = wire.stacks[1].udp_socket(Domain::of(&at(to))).unwrap();
        wire.stacks[1].set_option(closer, runtime::socket::SocketOption::ReuseAddress(true)).unwrap();
        wire.stacks[1].bind(closer, at(to)).unwrap();
        send(&mut wire, 1);
        heard(&mut wire, closer, 1);
        wire.stacks[1].connect(wildcard, at(own), wire.now).unwrap();
        send(&mut wire, 2);
        heard(&mut wire, wildcard, 2);
        wire.stacks[1].close(wildcard, wire.now).unwrap();
        send(&mut wire, 3);
        heard(&mut wire, closer, 3);
        wire.stacks[1].remove_address(at(to).ip(), wire.now);
        let before = wire.dropped(1, Reason::OtherHost);
        send(&mut wire, 4);
        assert_eq!(wire.dropped(1, Reason::OtherHost), before + 3);
        assert!(wire.stacks[1].receive_from(closer).is_pending());
    }
}

#[test]
fn this_host_hears_itself() {
    let mut wire = Wire::pair();
    let (one, two) = (wire.udp(0, "[::]:1"), wire.udp(0, "[::]:2"));
    for (to, from) in
        [("[fd00::1]:2", "[fd00::1]:1"), ("[::1]:2", "[::1]:1"), ("[::ffff:127.0.0.1]:2", "[::ffff:127.0.0.1]:1")]
    {
        for len in [0, 100, 65_000] {
            wire.send(0, one, &pattern(len), to);
            assert_eq!(wire.stacks[0].next_deadline(), Some(Time::ZERO));
            wire.settle();
            assert_eq!(wire.take(0, two), (at(from), pattern(len)));
        }
    }
    // What the sender could still write to is not what the receiver gets.
    let message = wire.message(b"shared");
    done(wire.stacks[0].send(one, &mut message.view().unwrap(), Some(at("[::1]:2")), wire.now));
    wire.settle();
    let (_, got) = done(wire.stacks[0].receive_from(two));
    assert_eq!(got.as_single().map(runtime::buf::Buf::ref_count), Some(1));
    assert_ne!(got.as_single().unwrap().as_ptr(), message.as_single().unwrap().as_ptr());
    drop((got, message));
    wire.assert_all_back();
}

#[test]
fn steady_state_keeps_every_buffer_and_table() {
    let mut wire = Wire::pair();
    let (one, two) = (wire.udp(0, "10.0.0.1:1"), wire.udp(1, "10.0.0.2:7"));
    for number in 0..10_000_u32 {
        wire.send(0, one, &number.to_be_bytes(), "10.0.0.2:7");
        wire.settle();
        assert_eq!(wire.take(1, two).1, number.to_be_bytes());
        wire.seen.clear();
        wire.now += Duration::from_millis(3);
    }
    assert_eq!(wire.stacks[1].counters().datagrams_received, 10_000);
    // Thirty seconds: the neighbour was asked for again now and then.
    assert_eq!((wire.lost(0), wire.lost(1)), (0, 0));
    wire.assert_all_back();
}
