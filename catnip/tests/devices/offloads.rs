// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is left to ports of DPDK: checksums, and cutting long frames into segments of TCP. Between a virtual machine's card and its host
//! (virtio 1.2, 5.1.6): what either leaves undone stays so, for nothing is in danger between them, where the other takes it so.

use crate::frames::{folded, sum};
use crate::random::Numbers;
use crate::{receive, send, until};
use catnip::device::dpdk::{Dpdk, Settings};
use core::net::{Ipv4Addr, Ipv6Addr};
use runtime::buf::{Classes, Pools, Sga};
use runtime::device::{Burst, Checksum, Device, Frame, SegmentKind, Segmentation};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

const TCP: u8 = 6;
const UDP: u8 = 17;
/// Bytes of TCP's header with a timestamp, as every segment of ours has it, and of UDP's.
const TCP_HEADER: usize = 32;
const UDP_HEADER: usize = 8;
/// Bytes of the longest payload that a stack leaves to a device to be cut.
const LONGEST: usize = 65_535 - 120;

/// What is in front of a payload.
#[derive(Clone, Copy, Debug)]
struct Kind {
    is_v4: bool,
    protocol: u8,
    tagged: bool,
}

impl Kind {
    /// Of each kind one.
    fn all() -> impl Iterator<Item = Self> {
        (0..8).map(|bits| Self {
            is_v4: bits & 1 == 0,
            protocol: if bits & 2 == 0 { TCP } else { UDP },
            tagged: bits & 4 != 0,
        })
    }

    fn network_at(self) -> usize {
        if self.tagged { 18 } else { 14 }
    }

    fn transport_at(self) -> usize {
        self.network_at() + if self.is_v4 { 20 } else { 40 }
    }

    fn payload_at(self) -> usize {
        self.transport_at() + if self.protocol == TCP { TCP_HEADER } else { UDP_HEADER }
    }

    /// Where the transport's checksum stands in its header (RFC 9293 section 3.1, RFC 768).
    fn checksum_offset(self) -> usize {
        if self.protocol == TCP { 16 } else { 6 }
    }

    /// The sum of the pseudo-header (RFC 9293 section 3.1, RFC 8200 section 8.1).
    fn pseudo(self, frame: &[u8]) -> u32 {
        let addresses = if self.is_v4 { 8 } else { 32 };
        let len = frame.len() - self.transport_at();
        let bytes = &frame[self.transport_at() - addresses..self.transport_at()];
        sum(bytes) + u32::from(self.protocol) + len as u32
    }

    /// A frame, whose transport's checksum is that of the pseudo-header alone.
    fn frame(self, payload: &[u8]) -> Vec<u8> {
        let len = self.payload_at() - self.transport_at() + payload.len();
        let mut bytes = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
        if self.tagged {
            bytes.extend([0x81, 0, 0x60, 7]);
        }
        if self.is_v4 {
            let mut ip = [&[8, 0, 0x45, 0][..], &((20 + len) as u16).to_be_bytes(), &[0, 0, 0x40, 0, 64]].concat();
            ip.extend([self.protocol, 0, 0]);
            ip.extend(Ipv4Addr::new(10, 9, 0, 2).octets());
            ip.extend(Ipv4Addr::new(10, 9, 0, 1).octets());
            let check = !folded(sum(&ip[2..]));
            ip[12..14].copy_from_slice(&check.to_be_bytes());
            bytes.extend(ip);
        } else {
            bytes.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            bytes.extend((len as u16).to_be_bytes());
            bytes.extend([self.protocol, 64]);
            bytes.extend(Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, 2).octets());
            bytes.extend(Ipv6Addr::new(0xfd09, 0, 0, 0, 0, 0, 0, 1).octets());
        }
        if self.protocol == TCP {
            bytes.extend([0x80, 1, 0x1f, 0x90, 1, 2, 3, 4, 5, 6, 7, 8, 0x80, 0x18, 2, 0, 0, 0, 0, 0]);
            bytes.extend([1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 8]);
        } else {
            bytes.extend([0x80, 1, 0x1f, 0x90]);
            bytes.extend((len as u16).to_be_bytes());
            bytes.extend([0, 0]);
        }
        bytes.extend(payload);
        let open = folded(self.pseudo(&bytes));
        let at = self.transport_at() + self.checksum_offset();
        bytes[at..at + 2].copy_from_slice(&open.to_be_bytes());
        bytes
    }

    /// The same as it is given to a device, in pieces as a stack has them: the headers, and what the application has pushed.
    fn left_open(self, bytes: &[u8], piece: usize, cut: Option<u16>, pools: &Pools) -> Frame {
        let (head, payload) = bytes.split_at(self.payload_at());
        let mut data = Sga::from(pools.alloc_copy(head).unwrap());
        for piece in payload.chunks(piece) {
            data.push_back(pools.alloc_copy(piece).unwrap()).unwrap();
        }
        let kind = if self.is_v4 { SegmentKind::TcpV4 } else { SegmentKind::TcpV6 };
        let segmentation = cut.map(|size| Segmentation { kind, size, header: head.len() as u16 });
        let (start, offset) = (self.transport_at() as u16, self.checksum_offset() as u16);
        Frame { data, checksum: Checksum::Partial { start, offset }, segmentation }
    }

    /// Whether what came is what was sent, whose checksum is `open` still, or complete.
    #[track_caller]
    fn check(self, sent: &[u8], came: &[u8], open: bool) {
        assert_eq!(came.len(), sent.len(), "{self:?}");
        let at = self.transport_at() + self.checksum_offset();
        assert!(came[..at] == sent[..at], "{self:?}: {:x?} became {:x?}", &sent[..at], &came[..at]);
        assert!(came[at + 2..] == sent[at + 2..], "{self:?}: the payload of {} bytes", sent.len() - self.payload_at());
        if open {
            assert_eq!(came[at..at + 2], sent[at..at + 2], "{self:?}: the pseudo-header's sum");
        } else {
            let whole = folded(self.pseudo(came) + sum(&came[self.transport_at()..]));
            assert_eq!(whole, 0xffff, "{self:?}: the checksum of {} bytes", came.len());
            assert!(self.protocol == TCP || came[at..at + 2] != [0, 0], "{self:?}: a datagram without a checksum");
        }
    }
}

/// Room for some frames of 64 KiB.
fn pools() -> Pools {
    Pools::new(&Classes { small_count: 1024, large_count: 64, ..Classes::default() }).unwrap()
}

/// A virtual machine's card and its host.
struct Pair {
    // Without its host it could not say goodbye.
    guest: Dpdk,
    host: Dpdk,
    _directory: tempfile::TempDir,
}

impl Pair {
    /// With further arguments, and other settings.
    fn with(arguments: [&str; 2], change: impl Fn(&mut [Settings; 2])) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(500);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory = tempfile::tempdir().unwrap();
        let (socket, [hosts, guests]) = (directory.path().join("vhost.sock"), arguments);
        let mut settings = [
            format!("net_vhost{number},iface={}{hosts}", socket.display()),
            format!("net_virtio_user{number},path={}{guests}", socket.display()),
        ]
        .map(|name| Settings { receive: 256, transmit: 128, buffers: Some(2048), ..Settings::new(&name) });
        change(&mut settings);
        let [host, guest] = settings.map(|settings| {
            Dpdk::open(&settings, &pools()).unwrap_or_else(|error| panic!("{}: {error}", settings.port))
        });
        assert!(until(|| host.link_up() && guest.link_up()), "no link");
        Self { guest, host, _directory: directory }
    }
}

fn random(numbers: &mut Numbers, len: usize) -> Vec<u8> {
    (0..len).map(|_| numbers.next() as u8).collect()
}

/// Frames of TCP that stand for many segments leave as they are, and their receiver sees them so: with their headers, the checksum left open or
/// filled in, and the payload byte for byte.
fn frames_to_be_cut(arguments: [&str; 2], takes_open: bool) {
    let mut pair = Pair::with(arguments, |[host, _]| host.checksum = takes_open);
    assert!(pair.guest.caps().segments_tcp);
    let (pools, mut numbers, mut frames) = (pools(), Numbers(0x5eed_0020), 0);
    for kind in Kind::all().filter(|kind| kind.protocol == TCP) {
        for len in [1449, 2896, 2897, 9000, 30_001, LONGEST - 1, LONGEST] {
            let bytes = kind.frame(&random(&mut numbers, len));
            for piece in [1448, 2048, 65_536] {
                send(&mut pair.guest, [kind.left_open(&bytes, piece, Some(1448), &pools)]);
                let (came, data) = receive(&mut pair.host, |_, _| true);
                kind.check(&bytes, &data, takes_open);
                assert_eq!(came.checksum, Checksum::Verified);
                frames += 1;
            }
        }
    }
    let (sent, received) = (pair.guest.counters(), pair.host.counters());
    assert_eq!((sent.sent, sent.send_drops), (frames, 0));
    assert_eq!((received.received, received.receive_drops), (frames, 0));
}

#[test]
fn a_frame_to_be_cut_comes_whole() {
    frames_to_be_cut([",tso=1", ""], true);
}

#[test]
fn a_frame_to_be_cut_comes_whole_over_a_packed_ring() {
    frames_to_be_cut([",tso=1", ",packed_vq=1"], true);
}

#[test]
fn a_frame_to_be_cut_comes_with_its_checksum() {
    frames_to_be_cut([",tso=1", ""], false);
}

/// By the marks that DPDK had for it before 21.08.
#[test]
fn a_frame_to_be_cut_comes_whole_by_the_old_marks() {
    frames_to_be_cut([",tso=1,legacy-ol-flags=1", ""], true);
}

/// More than the ring has room for, and than the receiver has packet buffers.
#[test]
fn many_frames_to_be_cut() {
    let mut pair = Pair::with([",tso=1", ""], |[host, _]| host.buffers = Some(700));
    let (pools, mut numbers) = (pools(), Numbers(0x5eed_0021));
    let kind = Kind { is_v4: true, protocol: TCP, tagged: false };
    let (mut burst, mut incoming, mut expected, mut kept) = (Burst::new(), Burst::new(), VecDeque::new(), Vec::new());
    let mut left = 400;
    until(|| {
        // An interrupt may have the port's turn, and no processor: then the next look is a while later.
        loop {
            while left > 0 && expected.len() < 12 {
                let bytes = kind.frame(&random(&mut numbers, LONGEST));
                burst.push(kind.left_open(&bytes, 2048, Some(1448), &pools)).unwrap();
                expected.push_back(bytes);
                left -= 1;
            }
            pair.guest.tx(&mut burst).unwrap();
            pair.host.rx(&mut incoming).unwrap();
            if incoming.is_empty() {
                return left == 0 && expected.is_empty();
            }
            while let Some(frame) = incoming.pop() {
                assert_eq!(frame.checksum, Checksum::Verified);
                kind.check(&expected.pop_front().unwrap(), &frame.data.to_vec(), true);
                // Some stay with the application: what has no room then is copied.
                kept.push(frame);
                kept.drain(..kept.len().saturating_sub(8));
            }
        }
    });
    assert_eq!((left, expected.len()), (0, 0), "{:?} {:?}", pair.guest.counters(), pair.host.counters());
}

/// Where a frame of 64 KiB does not fit the ring it would never be sent: there nothing is left to the port to be cut, and what is all the same
/// does not stand in the way.
#[test]
fn a_ring_that_is_too_short_is_left_nothing_to_cut() {
    let kind = Kind { is_v4: true, protocol: TCP, tagged: false };
    let bytes = kind.frame(&vec![7; LONGEST]);
    for (hosts, guests, transmit) in [
        (",tso=1", "", 32),
        (",tso=1", ",queue_size=32", 128),
        (",tso=1", ",packed_vq=1,queue_size=32", 128),
        ("", "", 128),
    ] {
        let mut pair = Pair::with([hosts, guests], |[_, guest]| guest.transmit = transmit);
        assert!(pair.guest.caps().checksum && !pair.guest.caps().segments_tcp, "{guests}");
        send(&mut pair.guest, [kind.left_open(&bytes, 2048, Some(1448), &pools())]);
        assert_eq!(pair.guest.counters().send_drops, 1);
        let short = kind.frame(&[8; 1000]);
        send(&mut pair.guest, [kind.left_open(&short, 2048, None, &pools())]);
        kind.check(&short, &receive(&mut pair.host, |_, _| true).1, true);
    }
}

/// Checksums are left open where the receiver takes them so, and come complete where it does not.
fn checksums(arguments: [&str; 2], [host_takes, guest_takes]: [bool; 2]) {
    let mut pair = Pair::with(arguments, |[host, guest]| {
        (host.checksum, guest.checksum) = (host_takes, guest_takes);
    });
    let (pools, mut numbers) = (pools(), Numbers(0x5eed_0022));
    let Pair { guest, host, .. } = &mut pair;
    assert_eq!(guest.caps().checksum, guest_takes);
    for to_host in [true, false] {
        let (from, to, takes) =
            if to_host { (&mut *guest, &mut *host, host_takes) } else { (&mut *host, &mut *guest, guest_takes) };
        if !from.caps().checksum {
            continue;
        }
        for kind in Kind::all() {
            for len in [0, 1, 2, 17, 128, 129, 255, 1001, 1400] {
                let mut payload = random(&mut numbers, len);
                for round in 0..2 {
                    let bytes = kind.frame(&payload);
                    for piece in [333, 2048] {
                        send(from, [kind.left_open(&bytes, piece, None, &pools)]);
                        let (came, data) = receive(to, |_, _| true);
                        kind.check(&bytes, &data, takes);
                        assert!(came.checksum == Checksum::Verified || !takes, "{kind:?}");
                    }
                    // The next has a sum of zero, for which UDP has all ones (RFC 768).
                    if round == 0 && len >= 2 {
                        payload[..2].fill(0);
                        let rest = kind.frame(&payload);
                        let rest = !folded(sum(&rest[kind.transport_at()..]));
                        payload[..2].copy_from_slice(&rest.to_be_bytes());
                    }
                }
            }
        }
        assert_eq!((from.counters().send_drops, to.counters().receive_drops), (0, 0));
    }
}

#[test]
fn checksums_are_left_open() {
    checksums(["", ""], [true, true]);
}

#[test]
fn checksums_come_complete_at_a_host() {
    checksums(["", ""], [false, true]);
}

#[test]
fn checksums_come_complete_at_a_guest() {
    checksums(["", ""], [true, false]);
}

#[test]
fn checksums_are_left_open_by_the_old_marks() {
    checksums([",legacy-ol-flags=1", ""], [true, true]);
}
