// SPDX-License-Identifier: MIT OR Apache-2.0
//! The short way beside the long one: a stack that has seen a flow, and one that sees it for the first time.

use super::*;
use crate::counters::Reason;
use crate::keyed::Secret;
use crate::stack::{Config, Setting};
use crate::wire::MacAddress;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::task::Poll;
use proptest::prelude::*;
use runtime::Errno;
use runtime::buf::{Classes, Pools};
use runtime::device::Caps;
use runtime::socket::{Domain, SocketOption};

const NOW: Time = Time::ZERO;
const CAPS: Caps = Caps { mtu: 1500, headroom: 0, checksum: false, segments_tcp: false, segments_udp: false };

/// One of two hosts that know each other's hardware address.
struct Host {
    stack: Stack,
    pools: Pools,
    socket: SocketId,
}

fn host(number: u8, caps: Caps, vlan: Option<u16>) -> Host {
    let mac = |number| MacAddress([2, 0, 0, 0, 0, number]);
    let mut config = Config::new(mac(number), caps, Secret([number; 16]));
    let other = 3 - number;
    config.vlan = vlan;
    config.addresses = ["10.0.0.", "fd00::"]
        .map(|net| format!("{net}{number}/{}", if net.contains('.') { 24 } else { 64 }).parse().unwrap())
        .into();
    config.neighbours = ["10.0.0.", "fd00::"].map(|net| (format!("{net}{other}").parse().unwrap(), mac(other))).into();
    let pools = Pools::new(&Classes { small_count: 64, large_count: 2, ..Classes::default() }).unwrap();
    let mut stack = Stack::new(config, pools.clone(), NOW).unwrap();
    stack.poll(NOW);
    while stack.transmit().is_some() {}
    let socket = stack.udp_socket(Domain::V6).unwrap();
    stack.bind(socket, "[::]:7".parse().unwrap()).unwrap();
    Host { stack, pools, socket }
}

/// The datagram that has come, what was dropped, and the bytes that were counted.
type Outcome = (Option<(SocketAddr, Vec<u8>)>, Vec<(Reason, u64)>, u64);

impl Host {
    fn send(&mut self, to: Option<SocketAddr>, payload: &[u8]) -> Poll<runtime::Result<()>> {
        let mut message = self.pools.alloc_copy(payload).unwrap().into();
        self.stack.send(self.socket, &mut message, to, NOW)
    }

    /// What goes out: its bytes, and its checksum.
    fn sent(&mut self, to: Option<SocketAddr>, payload: &[u8]) -> Vec<(Vec<u8>, Checksum)> {
        assert_eq!(self.send(to, payload), Poll::Ready(Ok(())));
        core::iter::from_fn(|| self.stack.transmit()).map(|frame| (frame.data.to_vec(), frame.checksum)).collect()
    }

    /// What a frame does.
    fn receive(&mut self, frame: &[u8], checksum: Checksum) -> Outcome {
        let before = self.stack.counters().clone();
        let data = self.pools.alloc_copy(frame).unwrap().into();
        self.stack.receive(Frame { data, checksum, segmentation: None }, NOW);
        while self.stack.transmit().is_some() {}
        let came = match self.stack.receive_from(self.socket) {
            Poll::Ready(Ok((from, message))) => Some((from, message.to_vec())),
            Poll::Ready(Err(error)) => panic!("{error}"),
            Poll::Pending => None,
        };
        let after = self.stack.counters();
        let drops = after.iter().map(|(reason, count)| (reason, count - before.dropped(reason)));
        let bytes = after.bytes_received - before.bytes_received;
        (came, drops.filter(|(_, count)| *count > 0).collect(), bytes)
    }

    fn has_ways(&self) -> usize {
        self.stack.ready.0.iter().flatten().count()
    }
}

fn to(is_v4: bool) -> SocketAddr {
    if is_v4 { "[::ffff:10.0.0.2]:7" } else { "[fd00::2]:7" }.parse().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever is done to a frame, it makes no difference that the flow was seen before.
    #[test]
    fn a_frame_means_the_same_both_ways(
        is_v4: bool,
        verified: bool,
        payload in prop::collection::vec(any::<u8>(), 0..80),
        changes in prop::collection::vec((0_usize..150, any::<u8>()), 0..3),
        cut in 0_usize..12,
        padding in 0_usize..12,
    ) {
        let (mut sender, mut seen, mut fresh) = (host(1, CAPS, None), host(2, CAPS, None), host(2, CAPS, None));
        let good = sender.sent(Some(to(is_v4)), &payload).remove(0).0;
        let (came, drops, _) = seen.receive(&good, Checksum::Complete);
        prop_assert_eq!((came.map(|(_, bytes)| bytes), drops.len()), (Some(payload), 0));
        let mut frame = good;
        for (at, bits) in changes {
            let at = at % frame.len();
            frame[at] ^= bits;
        }
        frame.truncate(frame.len() - cut);
        frame.extend(vec![0xa5; padding]);
        let checksum = if verified { Checksum::Verified } else { Checksum::Complete };
        prop_assert_eq!(seen.receive(&frame, checksum), fresh.receive(&frame, checksum));
    }

    /// The second datagram to somebody goes out as the first one does.
    #[test]
    fn a_datagram_looks_the_same_both_ways(
        is_v4: bool,
        connected: bool,
        offload: bool,
        vlan in prop::option::of(1_u16..4095),
        hops in prop::option::of(1_u8..),
        payload in prop::collection::vec(any::<u8>(), 0..1500),
    ) {
        let mut host = host(1, Caps { checksum: offload, ..CAPS }, vlan);
        if let Some(hops) = hops {
            host.stack.set(host.socket, Setting::Hops(hops)).unwrap();
        }
        let to = if connected {
            host.stack.connect(host.socket, to(is_v4), NOW).unwrap();
            None
        } else {
            Some(to(is_v4))
        };
        let fits = payload.len() + if is_v4 { 28 } else { 48 } <= 1500;
        let frames = [0; 3].map(|_| host.sent(to, &payload));
        prop_assert_eq!(host.has_ways(), usize::from(vlan.is_none()));
        if fits {
            prop_assert_eq!(&frames[0], &frames[1]);
            prop_assert_eq!(&frames[1], &frames[2]);
        }
        // Beside a host that takes the long way, because somebody else sees the payload.
        let message: Sga = host.pools.alloc_copy(&payload).unwrap().into();
        let _view = message.view().unwrap();
        let mut message = message;
        prop_assert_eq!(host.stack.send(host.socket, &mut message, to, NOW), Poll::Ready(Ok(())));
        let long: Vec<_> = core::iter::from_fn(|| host.stack.transmit()).map(|frame| (frame.data.to_vec(), frame.checksum)).collect();
        if fits {
            prop_assert_eq!(&frames[2], &long);
        }
    }
}

#[test]
fn what_changes_is_seen_by_the_next_datagram() {
    for is_v4 in [true, false] {
        let (hops_at, mut host) = (if is_v4 { 22 } else { 21 }, host(1, CAPS, None));
        host.stack.connect(host.socket, to(is_v4), NOW).unwrap();
        let first = host.sent(None, b"one").remove(0).0;
        assert_eq!((first[hops_at], host.has_ways()), (64, 1));
        host.stack.set(host.socket, Setting::Hops(9)).unwrap();
        assert_eq!(host.sent(None, b"one").remove(0).0[hops_at], 9);
        // Another station has the address now.
        let other = MacAddress([2, 0, 0, 0, 0, 77]);
        let address: IpAddr = if is_v4 { "10.0.0.2" } else { "fd00::2" }.parse().unwrap();
        host.stack.neighbours.insert_static(address, other).unwrap();
        assert_eq!(host.sent(None, b"one").remove(0).0[..6], other.0);
        // One send is several datagrams.
        host.stack.set_option(host.socket, SocketOption::SegmentSize(2)).unwrap();
        assert_eq!(host.sent(None, b"12345").len(), 3);
        host.stack.set_option(host.socket, SocketOption::SegmentSize(0)).unwrap();
        assert_eq!(host.sent(None, b"12345").len(), 1);
        // What ICMP has said comes first, and once.
        let own = host.stack.local(host.socket).unwrap();
        let local = crate::udp::Local { kind: Kind::Udp, address: own.ip().to_canonical(), port: own.port() };
        let flow = crate::udp::Flow { local, address, port: 7 };
        assert!(host.stack.sockets.fail(&flow, runtime::Error::new(Errno::CONNREFUSED, "nobody is there")));
        assert!(matches!(host.send(None, b"x"), Poll::Ready(Err(error)) if error.errno() == Errno::CONNREFUSED));
        assert_eq!(host.sent(None, b"12345").len(), 1);
        // A closed socket sends nothing, nor does the one that has its place in its name.
        let old = host.socket;
        host.stack.close(old, NOW).unwrap();
        assert!(matches!(host.send(None, b"x"), Poll::Ready(Err(error)) if error.errno() == Errno::BADF));
        host.socket = host.stack.udp_socket(Domain::V6).unwrap();
        assert_eq!(host.socket.index(), old.index());
        assert!(matches!(host.send(None, b"x"), Poll::Ready(Err(error)) if error.errno() == Errno::DESTADDRREQ));
    }
}

#[test]
fn who_speaks_to_many_in_turn_takes_the_short_way_to_each() {
    let mut host = host(1, CAPS, None);
    let ends =
        ["[::ffff:10.0.0.2]:8", "[::ffff:10.0.0.2]:9", "[fd00::2]:10"].map(|end| end.parse::<SocketAddr>().unwrap());
    for to in ends {
        assert_eq!(host.sent(Some(to), b"x").len(), 1);
    }
    assert_eq!(host.has_ways(), 3);
    for to in ends {
        let mut message = host.pools.alloc_copy(b"x").unwrap().into();
        assert!(host.stack.send_quickly(host.socket, &mut message, &Some(to), NOW), "{to}");
        assert!(message.has_no_segment());
    }
}

#[test]
fn ways_that_share_a_place_are_told_apart() {
    let mut host = host(1, CAPS, None);
    for _ in 0..2 {
        for end in ["[::ffff:10.0.0.2]:7", "[::ffff:10.0.0.2]:71", "[fd00::2]:7", "[fd00::2]:71", "[::ffff:10.0.0.9]:7"]
        {
            let to: SocketAddr = end.parse().unwrap();
            if host.send(Some(to), b"x") == Poll::Ready(Ok(())) && end != "[::ffff:10.0.0.9]:7" {
                let frame = host.stack.transmit().unwrap().data.to_vec();
                let at = if frame[12..14] == [8, 0] { 36 } else { 56 };
                assert_eq!(frame[at..at + 2], to.port().to_be_bytes(), "{end}");
            }
            while host.stack.transmit().is_some() {}
        }
    }
}
