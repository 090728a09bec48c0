// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connections that begin after a router has said that their path is narrow: they keep to that from their first segment on, ask for no less
//! themselves, and find out ten minutes later that there is room again.

use super::errors::from_router;
use super::*;
use crate::limits::TCP_PROBE_AGAIN;
use crate::stack::StreamId;
use crate::wire::{icmpv4, icmpv6};

impl Wire {
    /// What crosses the path to host 2 is no longer than this from now on, and a router says so of what a connection sends. Host 2 is not heard
    /// meanwhile if it is `mute`.
    fn narrow(&mut self, connection: StreamId, mtu: usize, mute: bool) {
        self.seen.clear();
        self.fate = Box::new(move |from, frame| {
            let passes = if from == 0 { frame.len() <= 14 + mtu } else { !mute };
            passes.then(|| frame.to_vec())
        });
        self.push(0, connection, &pattern(1400));
        self.settle();
        let lost =
            self.seen.iter().find(|(host, frame)| *host == 0 && frame.len() > 14 + mtu).unwrap().1[14..].to_vec();
        self.say_too_big(&lost, mtu);
    }

    /// Host 0 hears that a packet was too long.
    fn say_too_big(&mut self, packet: &[u8], mtu: usize) {
        let v4 = icmpv4::Header::Unreachable { code: icmpv4::Unreachable::FRAGMENTATION_NEEDED, mtu: mtu as u16 };
        let v6 = icmpv6::Header::PacketTooBig { mtu: mtu as u32 };
        let said = self.pools[0].alloc_copy(&from_router(packet, v4, v6)).unwrap();
        self.stacks[0].receive(Sga::from(said).into(), self.now);
        self.settle();
    }

    /// The size of a connection's segments, without options, and how many it has sent again.
    fn sizes(&self, host: usize, id: StreamId) -> (u16, u64) {
        let info = self.stacks[host].stream_info(id, self.now).unwrap();
        (info.mss, info.retransmits)
    }

    /// Pushes a lot, 40,000 bytes at a time, which host `to` pops; the longest frame that left.
    fn carry_much(&mut self, (from, near): (usize, StreamId), (to, far): (usize, StreamId)) -> usize {
        self.seen.clear();
        let all = pattern(40_000);
        for _ in 0..20 {
            self.push(from, near, &all);
            let mut got = Vec::new();
            for _ in 0..1000 {
                self.run(Duration::from_millis(20));
                got.extend(self.pop_all(to, far));
                if got.len() == all.len() {
                    break;
                }
            }
            assert!(got == all);
        }
        self.seen.iter().filter(|(host, _)| *host == from).map(|(_, frame)| frame.len() - 14).max().unwrap()
    }
}

/// RFC 9293 section 3.7.1, RFC 1191 section 6.3, RFC 4821 section 7.
#[test]
fn a_connection_begins_on_a_narrow_path() {
    for (own, to, mtu) in [("10.0.0.1:80", "10.0.0.2:80", 1000), ("[fd00::1]:80", "[fd00::2]:80", 1280)] {
        let mut wire = Wire::pair();
        let (first, _, listener) = wire.connect(to);
        let own_listener = wire.listen(0, own, 8);
        wire.narrow(first, mtu, false);

        // One that host 1 begins, and one that it is called for.
        let called = wire.call(0, to);
        let calling = wire.call(1, own);
        wire.settle();
        let (answering, called_for) = (wire.accept(1, listener), wire.accept(0, own_listener));
        for (near, far) in [(called, answering), (called_for, calling)] {
            assert_eq!(wire.carry_much((0, near), (1, far)), mtu, "{own}");
            assert_eq!(wire.sizes(0, near).1, 0, "nothing was too long");
            // Whether the way back is narrow, nobody has said.
            assert_eq!(wire.carry_much((1, far), (0, near)), 1500, "{own}");
        }

        // Nothing is tried before its time. Then a probe finds that all is as it was.
        wire.fate = Box::new(|_, frame| Some(frame.to_vec()));
        for wide in [mtu, 1500] {
            for (near, far) in [(called, answering), (called_for, calling)] {
                assert_eq!(wire.carry_much((0, near), (1, far)), wide, "{own}");
                assert_eq!(wire.sizes(0, near).1, 0);
            }
            wire.run(TCP_PROBE_AGAIN);
        }
        assert_eq!(wire.sizes(0, called).0, wire.sizes(1, answering).0);
    }
}

/// The router says so while a handshake is under way: neither end's first segments are too long for that.
#[test]
fn a_path_becomes_narrow_in_a_handshake() {
    for (own, to, mtu) in [("10.0.0.1:80", "10.0.0.2:80", 1000), ("[fd00::1]:80", "[fd00::2]:80", 1280)] {
        let mut wire = Wire::pair();
        let (first, _, listener) = wire.connect(to);
        let own_listener = wire.listen(0, own, 8);
        // Of host 2 nothing is heard but its first SYN.
        wire.fate = Box::new(|from, frame| (from == 0 || is_first_syn(frame)).then(|| frame.to_vec()));
        let calling = wire.call(1, own);
        let called = wire.call(0, to);
        wire.settle();
        wire.narrow(first, mtu, true);
        wire.fate = Box::new(move |from, frame| (from != 0 || frame.len() <= 14 + mtu).then(|| frame.to_vec()));
        wire.run(Duration::from_secs(10));
        done(wire.stacks[0].stream_connected(called));
        let (answering, called_for) = (wire.accept(1, listener), wire.accept(0, own_listener));
        for (near, far) in [(called, answering), (called_for, calling)] {
            let before = wire.sizes(0, near).1;
            assert_eq!(wire.carry_much((0, near), (1, far)), mtu, "{own}");
            assert_eq!(wire.sizes(0, near).1, before, "nothing was too long");
        }
    }
}

/// RFC 5927 section 4.1, RFC 8899 section 4.6.1: whoever cannot see the segments of a connection makes them no shorter by what he says of a
/// datagram, of which he has to know nothing but a port, and has nothing sent again.
#[test]
fn what_is_said_of_a_datagram_narrows_no_connection() {
    for (any, to, mtu) in [("0.0.0.0:53", "10.0.0.2:80", 600), ("[::]:53", "[fd00::2]:80", 1280)] {
        let mut wire = Wire::pair();
        let (near, far, listener) = wire.connect(to);
        let (socket, server) = (wire.udp(0, any), wire.udp(1, to));
        wire.send(0, socket, &pattern(1300), to);
        wire.settle();
        wire.take(1, server);
        let datagram =
            wire.seen.iter().rfind(|(host, frame)| *host == 0 && frame.len() > 1300).unwrap().1[14..].to_vec();
        // Nothing comes back, so that all of this is under way.
        wire.fate = Box::new(|from, frame| (from == 0).then(|| frame.to_vec()));
        let all = pattern(8_000);
        wire.push(0, near, &all);
        wire.settle();
        wire.say_too_big(&datagram, mtu);
        assert_eq!(wire.dropped(0, Reason::IcmpQuote), 0, "{any}: it is believed, of datagrams");
        assert_eq!(wire.sizes(0, near).1, 0, "{any}: nothing is sent again");
        wire.fate = Box::new(|_, frame| Some(frame.to_vec()));
        wire.run(Duration::from_secs(3));
        assert!(wire.pop_all(1, far) == all);

        // Nor is one that begins now.
        let called = wire.call(0, to);
        wire.settle();
        let answering = wire.accept(1, listener);
        for (near, far) in [(near, far), (called, answering)] {
            assert_eq!(wire.carry_much((0, near), (1, far)), 1500, "{any}");
        }
        wire.send(0, socket, &pattern(1300), to);
        assert_eq!(wire.stacks[0].counters().fragmented, 1, "{any}");
    }
}

/// RFC 6864 section 4.3: what routers may cut is told apart by its identification, and everything else goes whole.
#[test]
fn what_routers_may_cut_has_names_of_its_own() {
    let mut wire = Wire::pair();
    let (near, far, _) = wire.connect("10.0.0.2:80");
    let (socket, server) = (wire.udp(0, "10.0.0.1:7"), wire.udp(1, "10.0.0.2:7"));
    let names = |wire: &mut Wire| {
        for _ in 0..5 {
            wire.send(0, socket, &pattern(400), "10.0.0.2:7");
            wire.push(0, near, &pattern(400));
            wire.run(Duration::from_millis(100));
            assert_eq!((wire.take(1, server).1, wire.pop_all(1, far)), (pattern(400), pattern(400)));
        }
        let of = |frame: &[u8]| (frame[23], frame[20] & 0x40 != 0, u16::from_be_bytes([frame[18], frame[19]]));
        let sent = wire.seen.iter().filter(|(host, frame)| *host == 0 && frame.len() > 400);
        let names: Vec<_> = sent.map(|(_, frame)| of(frame)).collect();
        wire.seen.clear();
        names
    };
    wire.seen.clear();
    assert!(names(&mut wire).iter().all(|&(_, whole, name)| whole && name == 0));
    // Below the shortest path that is believed, routers cut.
    wire.send(0, socket, &pattern(400), "10.0.0.2:7");
    wire.settle();
    let datagram = wire.seen.last().unwrap().1[14..].to_vec();
    wire.take(1, server);
    wire.narrow(near, 552, false);
    wire.fate = Box::new(|_, frame| Some(frame.to_vec()));
    wire.run(Duration::from_secs(3));
    wire.pop_all(1, far);
    wire.say_too_big(&datagram, 300);
    wire.push(0, near, &pattern(400));
    wire.settle();
    let segment = wire.seen.iter().rfind(|(host, frame)| *host == 0 && frame.len() > 400).unwrap().1[14..].to_vec();
    assert_eq!(wire.pop_all(1, far), pattern(400));
    assert_eq!(segment[6] & 0x40, 0x40, "what is said of datagrams is not said of segments");
    wire.seen.clear();
    let mut names = names(&mut wire);
    names.retain(|&(protocol, ..)| protocol == 17);
    assert!(names.len() == 5 && names.iter().all(|&(_, whole, _)| !whole), "{names:?}");
    names.dedup();
    assert_eq!(names.len(), 5);
}

/// Whether a frame has a SYN of TCP that acknowledges nothing.
fn is_first_syn(frame: &[u8]) -> bool {
    let (protocol, tcp) = if frame[14] >> 4 == 4 { (frame[23], 34) } else { (frame[20], 54) };
    protocol == 6 && frame[tcp + 13] & 0x12 == 0x02
}
