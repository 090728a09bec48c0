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
        let v4 = icmpv4::Header::Unreachable { code: icmpv4::Unreachable::FRAGMENTATION_NEEDED, mtu: mtu as u16 };
        let v6 = icmpv6::Header::PacketTooBig { mtu: mtu as u32 };
        let said = self.pools[0].alloc_copy(&from_router(&lost, v4, v6)).unwrap();
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

/// Whether a frame has a SYN of TCP that acknowledges nothing.
fn is_first_syn(frame: &[u8]) -> bool {
    let (protocol, tcp) = if frame[14] >> 4 == 4 { (frame[23], 34) } else { (frame[20], 54) };
    protocol == 6 && frame[tcp + 13] & 0x12 == 0x02
}
