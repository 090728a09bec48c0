// SPDX-License-Identifier: MIT OR Apache-2.0
//! One push that leaves as many datagrams, and one frame of a device that stands for many (`udp(7)`, `UDP_SEGMENT`).

use super::*;
use crate::limits::{OUTPUT_FRAMES_MAX, UDP_SEGMENTS_MAX};
use crate::wire::{checksum, ipv4, udp};
use runtime::device::{SegmentKind, Segmentation};
use runtime::socket::{OptionName, SocketOption};

const PAIRS: [(&str, &str); 2] = [("10.0.0.1:1", "10.0.0.2:7"), ("[fd00::1]:1", "[fd00::2]:7")];

fn sizes(wire: &mut Wire, host: usize, id: SocketId) -> Vec<usize> {
    let mut sizes = vec![];
    while let Poll::Ready(Ok((_, message))) = wire.stacks[host].receive_from(id) {
        sizes.push(message.len());
    }
    sizes
}

#[test]
fn one_push_leaves_as_datagrams_of_a_size() {
    let mut wire = Wire::pair();
    for (own, to) in PAIRS {
        let (one, two) = (wire.udp(0, own), wire.udp(1, to));
        wire.stacks[0].set_option(one, SocketOption::SegmentSize(1000)).unwrap();
        assert_eq!(wire.stacks[0].option(one, OptionName::SegmentSize), Ok(SocketOption::SegmentSize(1000)));
        // The first one waits for the neighbour.
        for (len, expected) in [
            (5500, vec![1000, 1000, 1000, 1000, 1000, 500]),
            (3000, vec![1000; 3]),
            (1001, vec![1000, 1]),
            (1000, vec![1000]),
            (0, vec![0]),
        ] {
            let copies = wire.pools[0].stats()[0].in_use;
            let message = wire.message(&pattern(len));
            done(wire.stacks[0].send(one, &mut message.view().unwrap(), Some(at(to)), wire.now));
            wire.settle();
            let mut got = vec![];
            for size in &expected {
                let (from, bytes) = wire.take(1, two);
                assert_eq!((from, bytes.len()), (at(own), *size));
                got.extend(bytes);
            }
            assert!(got == pattern(len) && wire.stacks[1].receive_from(two).is_pending());
            drop(message);
            assert_eq!(wire.pools[0].stats()[0].in_use, copies);
        }
        assert_eq!(wire.stacks[0].counters().fragmented, 0);
        wire.stacks[0].close(one, wire.now).unwrap();
    }
    assert_eq!((wire.lost(0), wire.lost(1)), (0, 0));
    wire.assert_all_back();
}

#[test]
fn to_groups_and_to_this_host_as_well() {
    let mut wire = Wire::pair();
    let (one, two) = (wire.udp(0, "0.0.0.0:7"), wire.udp(1, "0.0.0.0:7"));
    wire.stacks[0].set(one, Setting::SegmentSize(100)).unwrap();
    for (host, id) in [(0, one), (1, two)] {
        wire.stacks[host].join(id, ip("239.1.2.3"), wire.now).unwrap();
    }
    wire.send(0, one, &pattern(250), "239.1.2.3:7");
    wire.settle();
    assert_eq!((sizes(&mut wire, 0, one), sizes(&mut wire, 1, two)), (vec![100, 100, 50], vec![100, 100, 50]));
    let most = UDP_SEGMENTS_MAX * 100;
    wire.send(0, one, &pattern(most), "10.0.0.1:7");
    wire.settle();
    assert_eq!(sizes(&mut wire, 0, one), [100; UDP_SEGMENTS_MAX]);
    wire.assert_all_back();
}

#[test]
fn what_cannot_be_cut_so_is_refused_whole() {
    let mut wire = Wire::pair();
    for (own, to) in PAIRS {
        let one = wire.udp(0, own);
        let headers = if own.starts_with('[') { 48 } else { 28 };
        for (segment, len, fits) in [
            (1_u16, UDP_SEGMENTS_MAX, true),
            (1, UDP_SEGMENTS_MAX + 1, false),
            (1500 - headers, 6000, true),
            (1501 - headers, 6000, false),
            // Shorter than one: the option says nothing of it.
            (60_000, 50_000, true),
        ] {
            wire.stacks[0].set(one, Setting::SegmentSize(segment)).unwrap();
            let mut message = wire.message(&pattern(len));
            match wire.stacks[0].send(one, &mut message, Some(at(to)), wire.now) {
                Poll::Ready(Ok(())) => assert!(fits && message.has_no_segment(), "{segment} {len}"),
                Poll::Ready(Err(error)) => {
                    assert_eq!((error.errno(), message.len(), fits), (Errno::MSGSIZE, len, false), "{segment} {len}");
                }
                Poll::Pending => panic!("there is room"),
            }
            wire.settle();
        }
    }
    // To a neighbour that does not answer it stays as it was, too; and so does one that is cut into fragments.
    let one = wire.udp(0, "10.0.0.1:9");
    wire.send(0, one, b"anybody?", "10.0.0.9:7");
    wire.run(Duration::from_millis(4500));
    for segment in [100, 0] {
        wire.stacks[0].set(one, Setting::SegmentSize(segment)).unwrap();
        let mut message = wire.message(&pattern(9000));
        assert_eq!(errno(wire.stacks[0].send(one, &mut message, Some(at("10.0.0.9:7")), wire.now)), Errno::HOSTUNREACH);
        assert!(message.to_vec() == pattern(9000));
    }
}

/// Cuts a frame as a device does: headers in front of each piece, with lengths and checksums of their own.
fn cut(frame: &Frame) -> Vec<Vec<u8>> {
    let Segmentation { kind, size, header } = frame.segmentation.unwrap();
    let Checksum::Partial { start, offset } = frame.checksum else { panic!("{:?}", frame.checksum) };
    let (header, start) = (usize::from(header), usize::from(start));
    assert_eq!((kind, usize::from(offset), start + udp::HEADER), (SegmentKind::Udp, udp::CHECKSUM, header));
    let bytes = frame.data.to_vec();
    let (headers, payload) = bytes.split_at(header);
    let is_v4 = headers[12] == 8;
    let whole = u16::from_be_bytes([headers[start + 4], headers[start + 5]]);
    assert_eq!(usize::from(whole), udp::HEADER + payload.len());
    payload
        .chunks(size.into())
        .map(|piece| {
            let mut headers = headers.to_vec();
            let len = (udp::HEADER + piece.len()) as u16;
            headers[start + 4..start + 6].copy_from_slice(&len.to_be_bytes());
            if is_v4 {
                headers[16..18].copy_from_slice(&(len + 20).to_be_bytes());
                headers[24..26].fill(0);
                let sum = checksum::sum(&headers[14..14 + ipv4::HEADER]).finish();
                headers[24..26].copy_from_slice(&sum.to_be_bytes());
            } else {
                headers[18..20].copy_from_slice(&len.to_be_bytes());
            }
            // The pseudo-header's sum goes by the length of the whole.
            let field = u16::from_be_bytes([headers[start + 6], headers[start + 7]]);
            headers[start + 6..start + 8].fill(0);
            let mut sum = checksum::sum(&headers[start..]);
            sum.add_u16(field);
            sum.add_u16(!whole);
            sum.add_u16(len);
            sum.add_sum(checksum::sum(piece));
            headers[start + 6..start + 8].copy_from_slice(&sum.finish().to_be_bytes());
            [&headers[..], piece].concat()
        })
        .collect()
}

#[test]
fn a_device_that_cuts_gets_one_frame() {
    for vlan in [None, Some(5)] {
        let mut configs = vec![config(1), config(2)];
        configs[0].caps = Caps { checksum: true, segments_udp: true, ..CAPS };
        for config in &mut configs {
            config.vlan = vlan;
        }
        let mut wire = Wire::of(configs);
        for (own, to) in PAIRS {
            let (one, two) = (wire.udp(0, own), wire.udp(1, to));
            wire.stacks[0].set(one, Setting::SegmentSize(1400)).unwrap();
            wire.send(0, one, b"resolves", to);
            wire.settle();
            wire.take(1, two);
            wire.send(0, one, &pattern(40_000), to);
            let frame = wire.stacks[0].transmit().unwrap();
            assert!(wire.stacks[0].transmit().is_none());
            if vlan.is_none() {
                let pieces = cut(&frame);
                assert_eq!(pieces.len(), 29);
                for piece in pieces {
                    let data = wire.pools[1].alloc_copy(&piece).unwrap();
                    wire.stacks[1].receive(Sga::from(data).into(), wire.now);
                }
                let mut got = vec![];
                for _ in 0..29 {
                    got.extend(wire.take(1, two).1);
                }
                assert!(got == pattern(40_000));
            }
            // A device that has put them together gives them as one frame, too.
            wire.stacks[1].receive(
                Frame {
                    data: wire.pools[1].alloc_copy(&frame.data.to_vec()).unwrap().into(),
                    checksum: frame.checksum,
                    segmentation: frame.segmentation,
                },
                wire.now,
            );
            let mut got = vec![];
            for number in 0..29 {
                let (from, bytes) = wire.take(1, two);
                assert_eq!((from, bytes.len()), (at(own), if number < 28 { 1400 } else { 800 }));
                got.extend(bytes);
            }
            assert!(got == pattern(40_000) && wire.stacks[1].receive_from(two).is_pending());
        }
        assert_eq!((wire.lost(0), wire.lost(1)), (0, 0));
        wire.assert_all_back();
    }
}

/// What a device says of a frame is bounded as what a peer says.
#[test]
fn a_frame_that_stands_for_too_many_is_dropped() {
    let (mut wire, id) = input::listening();
    let frame = input::datagram(input::v4_packet, &pattern(UDP_SEGMENTS_MAX + 1));
    for (size, expected) in
        [(1, 0), (2, UDP_SEGMENTS_MAX.div_ceil(2) + usize::from(UDP_SEGMENTS_MAX.is_multiple_of(2))), (500, 1)]
    {
        let segmentation = Some(Segmentation { kind: SegmentKind::Udp, size, header: 42 });
        let data = wire.pools[0].alloc_copy(&frame).unwrap().into();
        wire.stacks[0].receive(Frame { data, checksum: Checksum::Verified, segmentation }, wire.now);
        assert_eq!(sizes(&mut wire, 0, id).len(), expected, "{size}");
    }
    assert_eq!(wire.dropped(0, Reason::Udp), 1);
    wire.assert_all_back();
}

/// What many sockets hold together leaves buffers for what comes; one in which nothing waits takes one even so.
#[test]
fn idle_sockets_leave_buffers_for_others() {
    let mut wire = Wire::pair();
    let sender = wire.udp(0, "10.0.0.1:1");
    let idle: Vec<_> = (0..8).map(|port| wire.udp(1, &format!("10.0.0.2:{}", 100 + port))).collect();
    let busy = wire.udp(1, "10.0.0.2:7");
    wire.send(0, sender, b"resolves", "10.0.0.2:7");
    wire.settle();
    wire.take(1, busy);
    for (port, _) in idle.iter().enumerate() {
        for _ in 0..1000 {
            wire.send(0, sender, b"flood", &format!("10.0.0.2:{}", 100 + port));
            wire.carry();
        }
    }
    wire.settle();
    let capacity = wire.pools[1].stats()[0].capacity as usize;
    let waiting: usize = idle.iter().map(|id| wire.stacks[1].waiting(*id).unwrap()).sum();
    assert!(waiting >= capacity / 2 && waiting <= capacity / 2 + idle.len(), "{waiting} of {capacity}");
    assert_eq!(wire.dropped(1, Reason::ReceiveFull), 8000 - waiting as u64);
    for _ in 0..10 {
        wire.send(0, sender, b"hello", "10.0.0.2:7");
        wire.settle();
        assert_eq!(wire.take(1, busy).1, b"hello");
    }
    // Taken, or dropped with their socket, they count no more.
    sizes(&mut wire, 1, idle[0]);
    for id in &idle[1..] {
        wire.stacks[1].close(*id, wire.now).unwrap();
    }
    for _ in 0..OUTPUT_FRAMES_MAX {
        wire.send(0, sender, b"hello", "10.0.0.2:7");
        wire.carry();
    }
    assert_eq!(wire.stacks[1].waiting(busy).unwrap(), OUTPUT_FRAMES_MAX);
    assert_eq!(sizes(&mut wire, 1, busy).len(), OUTPUT_FRAMES_MAX);
    assert_eq!(wire.stacks[1].held, 0);
    wire.assert_all_back();
}
