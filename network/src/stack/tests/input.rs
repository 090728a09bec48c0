// SPDX-License-Identifier: MIT OR Apache-2.0
//! Frames that are not as they should be: each is dropped, counted by its reason, and changes nothing else.

use super::*;
use crate::wire::{Protocol, ipv4};

/// A frame from a host to host 1.
pub fn v4_packet(from: u8, protocol: Protocol, payload: &[u8]) -> Vec<u8> {
    let mut frame = [mac(1).0, mac(from).0].concat();
    frame.extend([8, 0]);
    let header = output::v4_header([10, 0, 0, from].into(), [10, 0, 0, 1].into(), 64, protocol);
    let header = ipv4::Header { payload_len: payload.len() as u16, ..header };
    let mut bytes = vec![0; 20];
    header.emit(&mut bytes);
    frame.extend(bytes);
    frame.extend(payload);
    frame
}

pub fn v6_packet(from: u8, protocol: Protocol, payload: &[u8]) -> Vec<u8> {
    let mut frame = [mac(1).0, mac(from).0].concat();
    frame.extend([0x86, 0xdd]);
    let source = format!("fd00::{from}").parse().unwrap();
    let header = output::v6_header(source, "fd00::1".parse().unwrap(), 64, protocol, payload.len());
    let mut bytes = vec![0; 40];
    header.emit(&mut bytes);
    frame.extend(bytes);
    frame.extend(payload);
    frame
}

/// A UDP datagram to port 7 with its checksum.
pub fn datagram(frame: fn(u8, Protocol, &[u8]) -> Vec<u8>, payload: &[u8]) -> Vec<u8> {
    let header = crate::wire::udp::Header { source: 5, destination: 7, payload_len: payload.len() as u16 };
    let mut bytes = vec![0; 8];
    header.emit(&mut bytes);
    let is_v4 = frame(3, Protocol::UDP, b"").len() == 34;
    let (source, destination) = if is_v4 { ("10.0.0.3", "10.0.0.1") } else { ("fd00::3", "fd00::1") };
    let len = 8 + payload.len() as u32;
    let mut rest = crate::wire::checksum::pseudo_header(ip(source), ip(destination), 17, len);
    rest.add_sum(crate::wire::checksum::sum(payload));
    crate::wire::udp::complete(&mut bytes, rest);
    bytes.extend(payload);
    frame(3, Protocol::UDP, &bytes)
}

/// A wire with a socket at port 7 of host 1.
pub fn listening() -> (Wire, SocketId) {
    let mut wire = Wire::of(vec![config(1)]);
    let id = wire.udp(0, "[::]:7");
    wire.run(Duration::from_secs(10));
    (wire, id)
}

pub fn give(wire: &mut Wire, frame: &[u8], checksum: Checksum) {
    let data = wire.pools[0].alloc_copy(frame).unwrap().into();
    wire.stacks[0].receive(Frame { data, checksum, segmentation: None }, wire.now);
}

/// The frame is dropped for this reason, once.
#[track_caller]
pub fn drops(frame: &[u8], reason: Reason) {
    let (mut wire, id) = listening();
    let before = wire.stacks[0].counters().drops();
    give(&mut wire, frame, Checksum::Complete);
    assert_eq!((wire.dropped(0, reason), wire.stacks[0].counters().drops() - before), (1, 1), "{reason:?}");
    assert!(wire.stacks[0].receive_from(id).is_pending());
}

/// RFC 894, RFC 2464.
#[test]
fn good_ones_arrive_with_and_without_padding() {
    for frame in [datagram(v4_packet, b"hello"), datagram(v6_packet, b"hello")] {
        let (mut wire, id) = listening();
        give(&mut wire, &frame, Checksum::Complete);
        let mut padded = frame.clone();
        padded.resize(frame.len() + 20, 0xee);
        give(&mut wire, &padded, Checksum::Complete);
        // In pieces of any length.
        for cut in 0..frame.len() {
            let mut data = Sga::from(wire.pools[0].alloc_copy(&frame[..cut]).unwrap());
            data.push_back(wire.pools[0].alloc_copy(&padded[cut..]).unwrap()).unwrap();
            wire.stacks[0].receive(data.into(), wire.now);
        }
        for _ in 0..frame.len() + 2 {
            assert_eq!(wire.take(0, id).1, b"hello");
        }
        assert_eq!(wire.stacks[0].counters().drops(), 0);
        assert!(wire.stacks[0].receive_from(id).is_pending());
        wire.assert_all_back();
    }
}

#[test]
fn a_wrong_bit_anywhere_is_found() {
    for frame in [datagram(v4_packet, b"hello"), datagram(v6_packet, b"hello")] {
        let (mut wire, id) = listening();
        for bit in 14 * 8..frame.len() * 8 {
            let mut broken = frame.clone();
            broken[bit / 8] ^= 1 << (bit % 8);
            // Neither class, flow label nor hop limit of IPv6 is covered by any checksum.
            let uncovered = (112..116).contains(&bit) || (120..144).contains(&bit) || bit / 8 == 21;
            if frame[12] == 0x86 && uncovered {
                continue;
            }
            // By the short way as well.
            give(&mut wire, &frame, Checksum::Complete);
            assert_eq!(wire.take(0, id).1, b"hello");
            let before = wire.stacks[0].counters().drops();
            give(&mut wire, &broken, Checksum::Complete);
            assert!(wire.stacks[0].receive_from(id).is_pending(), "bit {bit}");
            // A fragment with nothing behind it only waits.
            let after = wire.stacks[0].counters().drops();
            assert!(after == before + 1 || (frame[12] == 8 && bit / 8 == 20 && after == before), "bit {bit}");
        }
    }
}

#[test]
fn what_a_device_has_checked_is_not_checked_again() {
    for mut frame in [datagram(v4_packet, b"hello"), datagram(v6_packet, b"hello")] {
        let last = frame.len() - 1;
        frame[last] ^= 1;
        let (mut wire, id) = listening();
        give(&mut wire, &frame, Checksum::Complete);
        assert_eq!(wire.dropped(0, Reason::UdpChecksum), 1);
        give(&mut wire, &frame, Checksum::Verified);
        give(&mut wire, &frame, Checksum::Partial { start: 34, offset: 6 });
        for _ in 0..2 {
            assert_eq!(wire.take(0, id).1, b"helln");
        }
    }
}

/// RFC 768, RFC 8200 §8.1.
#[test]
fn no_checksum_is_one_in_v4_only() {
    for (mut frame, at, fine) in [(datagram(v4_packet, b"hello"), 40, true), (datagram(v6_packet, b"hello"), 60, false)]
    {
        frame[at] = 0;
        frame[at + 1] = 0;
        // Whatever the device says of it.
        for checksum in [Checksum::Complete, Checksum::Verified] {
            let (mut wire, id) = listening();
            give(&mut wire, &frame, checksum);
            assert_eq!(wire.stacks[0].receive_from(id).is_ready(), fine, "{checksum:?}");
            assert_eq!(wire.dropped(0, Reason::UdpChecksum), u64::from(!fine));
        }
    }
}

/// RFC 791; RFC 1122 §3.2.1, §3.2.1.3, §3.3.1, §3.3.6; RFC 8200 §4.7.
#[test]
fn each_kind_of_bad_frame_has_its_reason() {
    let good = datagram(v4_packet, b"hello");
    let with = |at: usize, bytes: &[u8]| {
        let mut frame = good.clone();
        frame[at..at + bytes.len()].copy_from_slice(bytes);
        frame
    };
    drops(b"", Reason::Ethernet);
    drops(&good[..13], Reason::Ethernet);
    drops(&with(0, &mac(2).0), Reason::OtherStation);
    drops(&with(6, &[1]), Reason::Ethernet);
    drops(&with(12, &[0x12, 0x34]), Reason::EtherType);
    drops(&with(12, &[8, 6]), Reason::Arp);
    drops(&with(12, &[0x81, 0, 0, 5, 8, 0]), Reason::OtherVlan);
    drops(&good[..40], Reason::Ipv4);
    drops(&with(14, &[0x44]), Reason::Ipv4);
    drops(&with(24, &[0, 0]), Reason::Ipv4);
    let to = |source: [u8; 4], destination: [u8; 4], protocol| {
        let mut frame = good[..14].to_vec();
        let header = output::v4_header(source.into(), destination.into(), 64, protocol);
        let mut bytes = vec![0; 20];
        ipv4::Header { payload_len: 13, ..header }.emit(&mut bytes);
        frame.extend(bytes);
        frame.extend(&good[34..]);
        frame
    };
    drops(&to([10, 0, 0, 3], [10, 0, 0, 2], Protocol::UDP), Reason::OtherHost);
    drops(&to([10, 0, 0, 3], [127, 0, 0, 1], Protocol::UDP), Reason::OtherHost);
    drops(&to([10, 0, 0, 3], [239, 1, 2, 3], Protocol::UDP), Reason::OtherHost);
    drops(&to([10, 0, 0, 1], [10, 0, 0, 1], Protocol::UDP), Reason::Source);
    drops(&to([127, 0, 0, 1], [10, 0, 0, 1], Protocol::UDP), Reason::Source);
    drops(&to([255, 255, 255, 255], [10, 0, 0, 1], Protocol::UDP), Reason::Ipv4);
    drops(&to([10, 0, 0, 255], [10, 0, 0, 1], Protocol::UDP), Reason::Source);
    drops(&to([10, 0, 0, 0], [10, 0, 0, 1], Protocol::UDP), Reason::Source);
    drops(&to([0, 0, 0, 0], [10, 0, 0, 1], Protocol::UDP), Reason::Source);
    drops(&to([10, 0, 0, 3], [10, 0, 0, 1], Protocol(200)), Reason::Protocol);
    drops(&to([10, 0, 0, 3], [10, 0, 0, 1], Protocol::ICMPV4), Reason::Icmp);
    drops(&to([10, 0, 0, 3], [10, 0, 0, 1], Protocol::IGMP), Reason::GroupReport);
    // One for us alone in a frame for everybody.
    drops(&with(0, &[0xff; 6]), Reason::OtherHost);
    drops(&with(38, &[0, 7]), Reason::Udp);
    drops(&with(38, &[0, 99]), Reason::Udp);
    drops(&with(36, &[0, 0]), Reason::Udp);
    drops(&v6_packet(3, Protocol::ICMPV6, &[0; 8]), Reason::Icmp);
    drops(&v6_packet(3, Protocol::HOP_BY_HOP, &[17, 9, 0, 0]), Reason::Ipv6);
    drops(&v6_packet(3, Protocol(200), b"?"), Reason::Protocol);
    drops(&v6_packet(3, Protocol::NO_NEXT_HEADER, b""), Reason::Protocol);
}

/// RFC 8200 §4.7.
#[test]
fn a_packet_with_nothing_in_it_is_counted_and_not_answered() {
    let (mut wire, _) = listening();
    wire.seen.clear();
    for payload in [&b""[..], b"something all the same"] {
        give(&mut wire, &v6_packet(3, Protocol::NO_NEXT_HEADER, payload), Checksum::Complete);
    }
    wire.settle();
    assert_eq!((wire.dropped(0, Reason::Protocol), wire.seen.len()), (2, 0));
    wire.assert_all_back();
}

/// RFC 792, RFC 8200 §4.5.
#[test]
fn fragments_that_never_end_are_given_up_and_their_sender_hears() {
    let mut wire = Wire::pair();
    let one = wire.udp(0, "10.0.0.1:1");
    let two = wire.udp(1, "10.0.0.2:7");
    let mut count = 0;
    // The second fragment is lost.
    wire.fate = Box::new(move |from, frame| {
        count += u32::from(from == 0 && frame.len() > 1000);
        (count != 2).then(|| frame.to_vec())
    });
    wire.send(0, one, &pattern(4000), "10.0.0.2:7");
    wire.run(Duration::from_secs(61));
    assert_eq!((wire.dropped(1, Reason::FragmentLate), wire.stacks[1].counters().errors_sent), (1, 1));
    assert!(wire.stacks[1].receive_from(two).is_pending());
    let (_, answer) = wire.seen.iter().rfind(|(from, frame)| *from == 1 && frame[23] == 1).unwrap();
    assert_eq!(answer[34..36], [11, 1]);
    wire.assert_all_back();
}

#[test]
fn fragments_may_come_in_any_order() {
    let mut wire = Wire::pair();
    for (own, to) in [("10.0.0.1:1", "10.0.0.2:7"), ("[fd00::1]:1", "[fd00::2]:7")] {
        let (one, two) = (wire.udp(0, own), wire.udp(1, to));
        wire.send(0, one, b"resolves", to);
        wire.settle();
        wire.take(1, two);
        wire.send(0, one, &pattern(9000), to);
        let mut frames: Vec<_> = core::iter::from_fn(|| wire.stacks[0].transmit()).collect();
        frames.reverse();
        assert_eq!(frames.len(), 7);
        for frame in frames {
            let data = wire.pools[1].alloc_copy(&frame.data.to_vec()).unwrap();
            wire.stacks[1].receive(Sga::from(data).into(), wire.now);
        }
        assert!(wire.take(1, two).1 == pattern(9000));
    }
    wire.assert_all_back();
}
