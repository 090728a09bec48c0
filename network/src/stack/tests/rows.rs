// SPDX-License-Identifier: MIT OR Apache-2.0
//! Segments that come in one burst: what of them is answered together, and what is not.

use super::*;
use crate::limits::TCP_ROW_MAX;
use crate::stack::StreamId;
use crate::wire::{Ecn, ethernet, ipv4, ipv6, tcp};
use runtime::socket::SocketOption;

/// Bytes of a full segment with timestamps.
const FULL: usize = 1448;
const ROW: usize = TCP_ROW_MAX as usize;

impl Wire {
    /// The frames that a host has to send.
    fn take_frames(&mut self, host: usize) -> Vec<Frame> {
        core::iter::from_fn(|| self.stacks[host].transmit()).collect()
    }

    /// The streams of which a host has news.
    fn woken(&mut self, host: usize) -> Vec<StreamId> {
        core::iter::from_fn(|| self.stacks[host].stream_woken()).map(|(id, _)| id).collect()
    }

    /// They come to a host at once.
    fn burst(&mut self, host: usize, frames: Vec<Frame>) {
        let pools = &self.pools[host];
        let copy = |frame: Frame| Frame { data: pools.alloc_copy(&frame.data.to_vec()).unwrap().into(), ..frame };
        self.stacks[host].receive_burst(frames.into_iter().map(copy), self.now);
    }

    /// Opens the windows of a connection, so that many segments may leave the near side at once.
    fn warm_up(&mut self, near: StreamId, far: StreamId) {
        for _ in 0..4 {
            self.push(0, near, &pattern(40 * FULL));
            self.run(Duration::from_millis(100));
            self.pop_all(1, far);
            self.run(Duration::from_millis(100));
        }
        self.woken(1);
    }

    /// A connection to a listener of the far side, with open windows.
    fn warm(to: &str) -> (Self, StreamId, StreamId) {
        let mut wire = Self::pair();
        let (near, far, _) = wire.connect(to);
        wire.warm_up(near, far);
        (wire, near, far)
    }

    /// So many full ones, which leave the near side then.
    fn full_segments(&mut self, near: StreamId, segments: usize) -> Vec<Frame> {
        self.push(0, near, &pattern(segments * self.stacks[0].stream_info(near, self.now).unwrap().mss as usize));
        let frames = self.take_frames(0);
        assert_eq!(frames.len(), segments);
        frames
    }
}

/// What a segment acknowledges, and its flags.
fn answer(frame: &Frame) -> (u32, tcp::Flags) {
    let bytes = frame.data.to_vec();
    let at = ethernet::HEADER + if bytes[12] == 8 { ipv4::HEADER } else { ipv6::HEADER };
    let header = tcp::Header::parse(&tcp::View::new(&bytes[at..]).unwrap()).unwrap();
    (header.acknowledgment, header.flags)
}

#[test]
fn a_row_is_acknowledged_and_told_of_once() {
    for to in ["10.0.0.2:80", "[fd00::2]:80"] {
        let (mut wire, near, far) = Wire::warm(to);
        let frames = wire.full_segments(near, 2 * ROW + 4);
        let held = wire.stacks[1].stream_counts();
        wire.burst(1, frames);
        assert_eq!(wire.take_frames(1).len(), 3, "two full rows, and what was left");
        assert_eq!(wire.woken(1), [far]);
        let mss = wire.stacks[0].stream_info(near, wire.now).unwrap().mss as usize;
        assert_eq!(wire.pop_all(1, far), pattern((2 * ROW + 4) * mss));
        assert_eq!(wire.stacks[1].stream_counts(), held);
    }
}

/// RFC 9293 section 3.8.6.3: one by one, every second full segment is acknowledged.
#[test]
fn one_by_one_every_second_is_acknowledged() {
    let (mut wire, near, _) = Wire::warm("10.0.0.2:80");
    for frame in wire.full_segments(near, ROW) {
        wire.burst(1, vec![frame]);
    }
    assert_eq!(wire.take_frames(1).len(), ROW / 2);
}

#[test]
fn acknowledgments_in_a_row_let_out_what_waits() {
    let mut wire = Wire::pair();
    let (near, far, _) = wire.connect("10.0.0.2:80");
    // More than the first window.
    wire.push(0, near, &pattern(30 * FULL));
    let (mut got, mut turns) = (Vec::new(), 0);
    while got.len() < 30 * FULL {
        for frame in wire.take_frames(0) {
            wire.burst(1, vec![frame]);
        }
        got.extend(wire.pop_all(1, far));
        let acknowledgments = wire.take_frames(1);
        assert!(acknowledgments.len() > 1, "of {} bytes", got.len());
        wire.burst(0, acknowledgments);
        turns += 1;
    }
    assert_eq!((turns, got), (2, pattern(30 * FULL)));
}

/// RFC 5681 section 4.2: what comes behind a hole, and what fills it, is told at once; so is what came in order before.
#[test]
fn a_hole_ends_a_row() {
    let (mut wire, near, far) = Wire::warm("10.0.0.2:80");
    let mut frames = wire.full_segments(near, 7);
    let missing = frames.remove(3);
    frames.push(missing);
    wire.burst(1, frames);
    let answers: Vec<u32> = wire.take_frames(1).iter().map(|frame| answer(frame).0).collect();
    let first = answers[0];
    let full = FULL as u32;
    // The three in front, three with a hole, and all once it is filled.
    assert_eq!(answers.iter().map(|ack| ack.wrapping_sub(first)).collect::<Vec<_>>(), [0, 0, 0, 4 * full]);
    assert_eq!(wire.pop_all(1, far), pattern(7 * FULL));
}

#[test]
fn connections_that_take_turns_are_told_each() {
    let mut wire = Wire::pair();
    let (near, far, listener) = wire.connect("10.0.0.2:80");
    let other_near = wire.call(0, "10.0.0.2:80");
    wire.settle();
    let other_far = wire.accept(1, listener);
    wire.warm_up(near, far);
    wire.warm_up(other_near, other_far);
    let one = wire.full_segments(near, 4);
    let other = wire.full_segments(other_near, 4);
    wire.burst(1, one.into_iter().zip(other).flat_map(|(one, other)| [one, other]).collect());
    assert_eq!(wire.take_frames(1).len(), 4, "every second segment of both");
    assert_eq!(wire.woken(1), [far, other_far]);
    for far in [far, other_far] {
        assert_eq!(wire.pop_all(1, far), pattern(4 * FULL));
    }
}

#[test]
fn an_end_behind_a_row_is_told_with_it() {
    let (mut wire, near, far) = Wire::warm("10.0.0.2:80");
    let mut frames = wire.full_segments(near, 3);
    wire.shut(0, near);
    frames.extend(wire.take_frames(0));
    assert_eq!(frames.len(), 4);
    wire.burst(1, frames);
    let bytes = wire.take_frames(1);
    assert_eq!(bytes.len(), 1);
    assert_eq!(wire.woken(1), [far]);
    assert_eq!(wire.pop_all(1, far), pattern(3 * FULL));
    wire.close(1, far);
    let frames = wire.take_frames(1);
    wire.burst(0, bytes.into_iter().chain(frames).collect());
    assert_eq!(wire.pop(0, near), b"");
    wire.close(0, near);
    wire.run(Duration::from_mins(2));
    wire.assert_all_back();
}

/// The connection goes while its row has not ended, and its place in the tables with it, which a new one may take in the same burst.
#[test]
fn a_reset_behind_a_row_is_told_at_once() {
    let (mut wire, near, far) = Wire::warm("10.0.0.2:80");
    let mut frames = wire.full_segments(near, 3);
    wire.stacks[0].stream_set_option(near, SocketOption::Linger(Some(Duration::ZERO))).unwrap();
    wire.close(0, near);
    wire.call(0, "10.0.0.2:80");
    frames.extend(wire.take_frames(0));
    assert_eq!(frames.len(), 5, "data, the reset and a handshake");
    wire.burst(1, frames);
    assert_eq!(wire.woken(1), [far]);
    // What had come in order can be popped still.
    assert_eq!(wire.pop(1, far), pattern(3 * FULL));
    assert_eq!(errno(wire.stacks[1].stream_pop(far, None, wire.now)), Errno::CONNRESET);
    wire.close(1, far);
    let answers = wire.take_frames(1);
    assert!(answers.iter().any(|frame| answer(frame).1.contains(tcp::Flags::SYN)), "{answers:?}");
}

/// RFC 8257 section 3.2: where marks begin and end is told by acknowledgments of their own.
#[test]
fn marks_within_a_burst_are_told_where_they_are() {
    let mut configs = vec![config(1), config(2)];
    for config in &mut configs {
        config.tcp.algorithm = crate::tcp::settings::Algorithm::Dctcp;
        config.tcp.ecn = true;
    }
    let mut wire = Wire::of(configs);
    let (near, far, _) = wire.connect("10.0.0.2:80");
    wire.warm_up(near, far);
    let frames = wire.full_segments(near, 6);
    let pools = wire.pools[0].clone();
    let marked = frames.into_iter().enumerate().map(|(number, frame)| {
        let mut bytes = frame.data.to_vec();
        if (2..4).contains(&number) {
            let before = u16::from_be_bytes([bytes[14], bytes[15]]);
            bytes[15] |= Ecn::Congestion as u8;
            let after = u16::from_be_bytes([bytes[14], bytes[15]]);
            let check = crate::wire::checksum::update(u16::from_be_bytes([bytes[24], bytes[25]]), before, after);
            bytes[24..26].copy_from_slice(&check.to_be_bytes());
        }
        Frame { data: pools.alloc_copy(&bytes).unwrap().into(), ..frame }
    });
    let frames = marked.collect();
    wire.burst(1, frames);
    let answers: Vec<_> = wire.take_frames(1).iter().map(answer).collect();
    let echoed: Vec<bool> = answers.iter().map(|(_, flags)| flags.contains(tcp::Flags::ECE)).collect();
    let first = answers[0].0;
    let places: Vec<u32> = answers.iter().map(|(ack, _)| ack.wrapping_sub(first) / FULL as u32).collect();
    // Two without a mark, then the two with one, then one without; the last waits.
    assert_eq!((&*places, &*echoed), (&[0, 1, 2, 3][..], &[false, true, true, false][..]), "{answers:?}");
    assert_eq!(wire.pop_all(1, far), pattern(6 * FULL));
}
