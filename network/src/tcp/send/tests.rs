// SPDX-License-Identifier: MIT OR Apache-2.0
use super::*;
use crate::limits::TCP_SEND_PIECES_BY_BYTES;
use crate::tcp::seq::Seq;
use crate::tcp::settings::Completion;
use proptest::prelude::*;
use runtime::Errno;
use runtime::buf::{Buf, Pool, SGA_SEGMENTS_MAX, Sga};

const START: Seq = Seq(u32::MAX - 20);

fn pool() -> Pool {
    Pool::heap(64, 4096, 0, 4096).unwrap()
}

fn message(pool: &Pool, bytes: &[u8]) -> Sga {
    pool.alloc_copy(bytes).unwrap().into()
}

/// What is in the queue, at most so much of it.
fn bytes(queue: &Queue, start: Seq, len: u32) -> Vec<u8> {
    queue.slice(start, len).unwrap().to_vec()
}

#[test]
fn gives_out_what_was_pushed() {
    let pool = pool();
    let mut queue = Queue::new(START, 1000);
    for part in ["one ", "two ", "three"] {
        queue.push(&mut message(&pool, part.as_bytes())).unwrap();
    }
    assert_eq!((queue.len(), queue.end(), queue.buffers()), (13, START + 13, 3));
    assert_eq!(bytes(&queue, START, 13), b"one two three");
    assert_eq!(bytes(&queue, START + 2, 4), b"e tw");
    assert_eq!(bytes(&queue, START + 9, 100), b"hree");
    queue.acknowledge(START + 5);
    assert_eq!((queue.len(), queue.buffers()), (8, 2));
    assert_eq!(bytes(&queue, START + 5, 8), b"wo three");
    queue.acknowledge(START + 3);
    assert_eq!(queue.len(), 8, "an old one changes nothing");
    queue.acknowledge(START + 14);
    assert!(queue.is_empty() && queue.slice(START + 13, 1).is_err());
    drop(queue);
    assert_eq!(pool.available(), 4096);
}

/// A short message in a long block holds all of it, but for the first ones.
#[test]
fn counts_memory() {
    let pool = pool();
    let (first, blocks) = (TCP_SEND_PIECES_BY_BYTES, 4);
    let limit = first + blocks * 64;
    let mut queue = Queue::new(START, limit);
    for n in 0..first + blocks {
        assert!(queue.is_roomy() == (n < first + blocks - 1), "{n}");
        queue.push(&mut message(&pool, b"x")).unwrap();
    }
    assert!(!queue.is_roomy());
    let mut last = message(&pool, b"y");
    queue.push(&mut last).unwrap();
    assert_eq!((queue.buffers(), last.len()), (first + blocks, 1));
    queue.acknowledge(START + first as u32);
    queue.push(&mut last).unwrap();
    assert_eq!((queue.buffers(), last.len()), (blocks + 1, 0));
    queue.clear();
    assert_eq!((queue.len(), queue.buffers(), pool.available()), (0, 0, 4096));
}

/// Messages in blocks that are longer than the bound count as their bytes, up to so many of them.
#[test]
fn a_few_short_messages_in_long_blocks() {
    let pool = Pool::heap(4096, 64, 0, 64).unwrap();
    let mut queue = Queue::new(START, 1000);
    for n in 0..TCP_SEND_PIECES_BY_BYTES {
        let mut short = message(&pool, b"short");
        queue.push(&mut short).unwrap();
        assert!(short.is_empty(), "{n}");
    }
    let mut next = message(&pool, b"next");
    queue.push(&mut next).unwrap();
    assert_eq!((queue.buffers(), next.len()), (TCP_SEND_PIECES_BY_BYTES, 4));
    queue.acknowledge(START + 5);
    queue.push(&mut next).unwrap();
    assert_eq!((queue.buffers(), next.len()), (TCP_SEND_PIECES_BY_BYTES, 0));
    queue.acknowledge(queue.end());
    for len in [600, 400] {
        let mut long = message(&pool, &[7; 1000][..len]);
        queue.push(&mut long).unwrap();
        assert!(long.is_empty(), "{len}");
    }
    queue.push(&mut next).unwrap();
    let mut last = message(&pool, b"z");
    queue.push(&mut last).unwrap();
    assert_eq!((queue.len(), last.len()), (1000, 1), "no more bytes than the bound");
}

/// What is longer than the queue is taken in parts.
#[test]
fn takes_long_messages_in_parts() {
    let pool = Pool::heap(4096, 4, 0, 16).unwrap();
    let mut queue = Queue::new(START, 1000);
    let text: Vec<u8> = (0..4000_u32).map(|n| n as u8).collect();
    let mut rest = message(&pool, &text);
    let (mut got, mut next) = (Vec::new(), START);
    while got.len() < text.len() {
        queue.push(&mut rest).unwrap();
        let len = queue.len();
        assert!((1..=1000).contains(&len));
        got.extend(bytes(&queue, next, len));
        next += len;
        queue.acknowledge(next);
    }
    assert_eq!(got, text);
}

#[test]
fn says_when_there_is_no_view() {
    let pool = Pool::heap(4096, 4, 0, 0).unwrap();
    let mut queue = Queue::new(START, 1000);
    let mut long = message(&pool, &[7; 3000]);
    assert_eq!(queue.push(&mut long).map_err(runtime::Error::errno), Err(Errno::NOBUFS));
    assert_eq!(long.len(), 3000);
    let mut short = message(&pool, b"x");
    queue.push(&mut short).unwrap();
    assert_eq!(queue.slice(START, 1).map(|_| ()).map_err(runtime::Error::errno), Err(Errno::NOBUFS));
}

/// A segment has no more pieces than a message may have.
#[test]
fn a_segment_of_many_pieces_is_shorter() {
    let pool = pool();
    let mut queue = Queue::new(START, 1 << 20);
    for _ in 0..200 {
        queue.push(&mut message(&pool, b"ab")).unwrap();
    }
    let slice = queue.slice(START + 1, 399).unwrap();
    assert!(slice.segments() < SGA_SEGMENTS_MAX && slice.len() > 100, "{}", slice.len());
    queue.acknowledge(queue.end());
    assert!(queue.holds_too_much());
    queue.trim();
    assert!(!queue.holds_too_much());
}

#[test]
fn completions_come_in_their_order() {
    assert!(Completions::new(Completion::Queued).is_none());
    let mut sent = Completions::new(Completion::Sent).unwrap();
    sent.pushed(START + 5);
    sent.pushed(START + 10);
    assert!(sent.is_awaited() && !sent.take(START, START + 4));
    assert!(sent.take(START, START + 7) && !sent.take(START, START + 7) && sent.take(START, START + 10));
    assert!(!sent.is_awaited() && sent.take(START, START));
    let mut acked = Completions::new(Completion::Acked).unwrap();
    acked.pushed(START + 5);
    assert!(!acked.take(START + 4, START + 9) && acked.take(START + 5, START + 9));
}

/// RFC 9293 section 3.10.7.4: SND.WL1 and SND.WL2 keep old segments from changing the window.
#[test]
fn windows_of_old_segments_do_not_count() {
    let mut window = Window::new(1000, 3, Seq(50), Seq(10));
    assert_eq!((window.size(), window.largest()), (1000, 1000));
    assert!(window.update(Seq(51), Seq(11), 500));
    assert_eq!((window.size(), window.largest()), (4000, 4000));
    assert!(!window.update(Seq(50), Seq(99), 1) && !window.update(Seq(51), Seq(10), 1));
    assert!(!window.update(Seq(51), Seq(11), 500), "the same");
    assert!(window.update(Seq(51), Seq(11), 0));
    assert_eq!((window.size(), window.largest()), (0, 4000));
}

const OFFER: Offer = Offer {
    waiting: 5000,
    window: 100_000,
    largest: 100_000,
    room: 100_000,
    segment: 1000,
    most: 0,
    eager: false,
    small: false,
    idle: true,
};

/// RFC 9293 sections 3.7.4 and 3.8.6.2.1.
#[test]
fn amounts() {
    let cases = [
        (OFFER, 1000, "a full one"),
        (Offer { waiting: 10, ..OFFER }, 10, "the last"),
        (Offer { waiting: 10, small: true, ..OFFER }, 0, "it waits"),
        (Offer { waiting: 10, small: true, eager: true, ..OFFER }, 10, "it does not wait"),
        (Offer { room: 999, ..OFFER }, 0, "no whole one is let out"),
        (Offer { waiting: 10, room: 10, ..OFFER }, 10, "but the last is"),
        (Offer { window: 999, ..OFFER }, 0, "a silly window"),
        (Offer { window: 999, largest: 1500, ..OFFER }, 999, "half of the largest"),
        (Offer { window: 999, largest: 1500, idle: false, ..OFFER }, 0, "not while something is under way"),
        (Offer { window: 0, ..OFFER }, 0, "closed"),
        (Offer { waiting: 0, ..OFFER }, 0, "nothing"),
        (Offer { most: 3500, ..OFFER }, 3000, "whole ones"),
        (Offer { most: 64_000, ..OFFER }, 5000, "all"),
        (Offer { most: 64_000, waiting: 5100, ..OFFER }, 5100, "all, with the last"),
        (Offer { most: 64_000, waiting: 5100, small: true, ..OFFER }, 5000, "the last waits"),
        (Offer { most: 64_000, room: 2999, ..OFFER }, 2000, "what is let out"),
        (Offer { most: 64_000, window: 4500, ..OFFER }, 4000, "what the window takes"),
    ];
    for (offer, expected, name) in cases {
        assert_eq!(amount(&offer), expected, "{name}");
    }
}

proptest! {
    /// Whatever is offered, no more leaves than each bound says.
    #[test]
    fn amounts_are_bounded(
        waiting in 0_u32..100_000, window in 0_u32..100_000, largest in 0_u32..100_000, room in 0_u32..100_000,
        segment in 1_u32..2000, most in 0_u32..70_000, eager: bool, small: bool, idle: bool,
    ) {
        let len = amount(&Offer { waiting, window, largest, room, segment, most, eager, small, idle });
        prop_assert!(len <= waiting.min(window).min(room).min(most.max(segment)));
        // Whoever may always send sends.
        if waiting > 0 && window >= waiting && room >= waiting && eager && most >= waiting {
            prop_assert_eq!(len, waiting);
        }
    }

    /// The queue against a vector.
    #[test]
    fn queue_is_a_stream(steps in prop::collection::vec((0_u8..4, 1_usize..64, any::<u16>()), 1..80)) {
        let pool = pool();
        let mut queue = Queue::new(START, 2000);
        let (mut stream, mut acknowledged) = (Vec::new(), 0_usize);
        for (step, len, at) in steps {
            match step {
                0 | 1 => {
                    let text: Vec<u8> = (0..len).map(|n| (n ^ at as usize) as u8).collect();
                    let buf: Buf = pool.alloc_copy(&text).unwrap();
                    let mut message = Sga::from(buf);
                    queue.push(&mut message).unwrap();
                    stream.extend_from_slice(&text[..len - message.len()]);
                }
                2 => {
                    acknowledged += at as usize % (stream.len() - acknowledged + 1);
                    queue.acknowledge(START + acknowledged as u32);
                }
                _ if stream.len() > acknowledged => {
                    let start = acknowledged + at as usize % (stream.len() - acknowledged);
                    let slice = bytes(&queue, START + start as u32, len as u32);
                    prop_assert_eq!(&slice[..], &stream[start..(start + len).min(stream.len())]);
                }
                _ => {}
            }
            prop_assert_eq!(queue.len() as usize, stream.len() - acknowledged);
        }
    }
}
