// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ring over heap memory: record headers by table, and both ends against a queue of messages, step by step.

use super::memory::{Memory, SharedMemory};
use super::producer::RESERVE;
use super::record::{DESCRIPTOR, HEADER, LONG, TOTAL, behind, footprint};
use super::release::HELD_MAX;
use super::{Consumer, Kind, Producer, Record};
use core::ptr::NonNull;
use core::sync::atomic::AtomicU64;
use proptest::prelude::*;
use runtime::Errno;
use std::collections::VecDeque;

const KINDS: [Kind; 8] =
    [Kind::Whole, Kind::First, Kind::Next, Kind::Last, Kind::Descriptors, Kind::Abort, Kind::End, Kind::Empty];

/// Whether an honest writer may publish this.
fn is_valid(kind: Kind, len: usize, capacity: usize) -> bool {
    let fits = len <= capacity - 2 * HEADER;
    fits && match kind {
        Kind::Whole | Kind::Next | Kind::Last => len > 0,
        Kind::First => len > TOTAL,
        Kind::Descriptors => len > 0 && len.is_multiple_of(DESCRIPTOR),
        Kind::Abort | Kind::End | Kind::Empty => len == 0,
    }
}

#[test]
fn headers_of_every_kind_and_length() {
    for order in 6..=16 {
        let capacity = 1_usize << order;
        let lens = (0..=3 * DESCRIPTOR).chain(capacity - 40..=capacity + 40).chain([
            1 << 26,
            u32::MAX as usize - 1,
            u32::MAX as usize,
        ]);
        for (len, kind) in lens.flat_map(|len| KINDS.map(|kind| (len, kind))) {
            let record = Record { kind, len };
            assert_ne!(record.encode(), 0);
            let decoded = Record::decode(record.encode(), capacity);
            if is_valid(kind, len, capacity) {
                assert_eq!(decoded.unwrap(), record, "ring of {capacity}");
            } else {
                assert_eq!(decoded.unwrap_err().errno(), Errno::PROTO, "{record:?} in a ring of {capacity}");
            }
        }
    }
}

#[test]
fn headers_with_unknown_kinds_or_reserved_bits() {
    for kind in (8..=255).chain([0]) {
        assert_eq!(Record::decode(kind << 32 | 16, 4096).unwrap_err().errno(), Errno::PROTO);
    }
    for bit in 40..64 {
        for kind in KINDS {
            let word = Record { kind, len: 16 }.encode() | 1 << bit;
            assert_eq!(Record::decode(word, 4096).unwrap_err().errno(), Errno::PROTO, "{word:#x}");
        }
    }
}

#[test]
fn a_long_payload_behind_a_long_one_starts_on_a_line() {
    for position in (0..256).step_by(HEADER) {
        for len in [LONG, LONG + 1, 16 << 10, 65_537] {
            let next = behind(position, len);
            let least = position + footprint(len) as u64;
            assert!((least..least + 64).contains(&next), "{position} {len}");
            assert_eq!((next + HEADER as u64) % 64, 0, "{position} {len}");
        }
        assert_eq!(behind(position, LONG - 1), position + footprint(LONG - 1) as u64);
    }
}

#[test]
fn footprints_are_whole_words() {
    for (len, bytes) in [(0, 8), (1, 16), (7, 16), (8, 16), (9, 24), (4080, 4088)] {
        assert_eq!(footprint(len), bytes);
    }
}

/// A ring in a heap block of exactly its size, so that a memory checker sees every access outside it. Leaked: its two
/// ends may live as long as they like.
fn heap_ring(capacity: usize) -> [SharedMemory; 2] {
    let words: &'static [AtomicU64] = Vec::leak((0..capacity / 8).map(|_| AtomicU64::new(0)).collect());
    let credit: &'static AtomicU64 = Box::leak(Box::new(AtomicU64::new(0)));
    // SAFETY: aligned to 8, of that size, and never freed; nothing else refers to the bytes.
    [(); 2].map(|()| unsafe { SharedMemory::new(NonNull::from(words).cast(), capacity, NonNull::from(credit)) })
}

fn ring(capacity: usize) -> (Producer<SharedMemory>, Consumer<SharedMemory>) {
    let [write, read] = heap_ring(capacity);
    (Producer::new(write), Consumer::new(read))
}

#[test]
fn copies_of_every_length_at_every_offset() {
    const CAPACITY: usize = 256;
    let [ring, _] = heap_ring(CAPACITY);
    for position in 0..CAPACITY as u64 {
        for len in (0..=CAPACITY).step_by(if position % 8 == 0 { 1 } else { 37 }) {
            let bytes: Vec<u8> = (0..len).map(|i| (i as u64 * 7 + position) as u8).collect();
            let mut back = vec![0; len];
            ring.write(position, &bytes);
            ring.read(position, &mut back);
            assert_eq!(back, bytes, "{len} bytes at {position}");
        }
    }
}

#[test]
fn closing_always_finds_room() {
    // Whatever is published, and however full the ring is, an abort and an end fit behind it.
    for order in 6..=12 {
        let capacity = 1_usize << order;
        for len in 1..=capacity / 4 - HEADER {
            let (mut producer, mut consumer) = ring(capacity);
            let bytes = vec![1; len];
            let mut count = 0;
            while producer.room(len, RESERVE).unwrap() {
                producer.put(Kind::Next, len, [&bytes[..]].into_iter());
                count += 1;
            }
            for kind in [Kind::Abort, Kind::End] {
                assert!(producer.room(0, HEADER).unwrap(), "{kind:?} behind {count} of {len} in {capacity}");
                producer.put(kind, 0, std::iter::empty());
            }
            for expected in std::iter::repeat_n(Kind::Next, count).chain([Kind::Abort, Kind::End]) {
                let record = consumer.peek().unwrap().unwrap();
                assert_eq!(record.kind, expected);
                consumer.consume(record);
            }
            assert!(!consumer.is_ready() && consumer.peek().unwrap().is_none());
        }
    }
}

#[test]
fn an_empty_ring_always_has_room_for_the_largest_record() {
    // The reader holds back credit of less than an eighth: a writer that waits must not need that rest.
    for order in 6..=13 {
        let capacity = 1_usize << order;
        let (mut producer, mut consumer) = ring(capacity);
        let largest = producer.record_max();
        for len in (1..=largest).chain((1..=largest).rev()) {
            assert!(producer.room(len, RESERVE).unwrap(), "{len} in {capacity}");
            assert!(producer.room(largest, RESERVE).unwrap(), "{largest} in {capacity}");
            producer.put(Kind::Whole, len, [&vec![0; len][..]].into_iter());
            let record = consumer.peek().unwrap().unwrap();
            consumer.consume(record);
        }
    }
}

#[test]
fn credit_that_was_never_given_is_refused() {
    for (given, ok) in [(16, true), (0, true), (17, false), (24, false), (u64::MAX, false)] {
        let [write, peer] = heap_ring(64);
        let mut producer = Producer::new(write);
        producer.put(Kind::Whole, 8, [&[1; 8][..]].into_iter());
        peer.give_credit(given);
        assert_eq!(producer.refresh().is_ok(), ok, "{given}");
        if ok && given != 0 {
            peer.give_credit(given - 8);
            assert_eq!(producer.refresh().unwrap_err().errno(), Errno::PROTO, "it went back");
        }
    }
}

#[test]
fn held_records_are_bounded() {
    let (mut producer, mut consumer) = ring(1 << 16);
    let mut tokens = Vec::new();
    while consumer.release().has_room() {
        producer.put(Kind::Whole, 1, [&[1][..]].into_iter());
        let record = consumer.peek().unwrap().unwrap();
        tokens.push(consumer.hold(record));
    }
    assert_eq!(tokens.len(), HELD_MAX - 1);
    // Copied records behind held ones share one entry, however many they are.
    for _ in 0..1000 {
        producer.put(Kind::Whole, 1, [&[1][..]].into_iter());
        let record = consumer.peek().unwrap().unwrap();
        consumer.consume(record);
    }
    assert!(!producer.refresh().unwrap(), "credit passed a held record");
    for token in tokens.into_iter().rev() {
        consumer.release().release(token);
    }
    assert!(consumer.release().has_room() && producer.refresh().unwrap());
}

/// One step of both ends.
#[derive(Clone, Debug)]
enum Step {
    /// Publish a record, if there is room.
    Put(Kind, usize),
    /// Publish a message that is announced with its length, piece by piece, as far as there is room.
    Stream(usize),
    Consume,
    Hold,
    /// Release one of the held records, by its place among them.
    Release(usize),
    Refresh,
    Flush,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let kinds = prop::sample::select(KINDS.to_vec());
    let step = prop_oneof![
        4 => (kinds, 0_usize..20_000).prop_map(|(kind, len)| Step::Put(kind, len)),
        2 => (1_usize..100_000).prop_map(Step::Stream),
        5 => Just(Step::Consume),
        2 => Just(Step::Hold),
        3 => any::<usize>().prop_map(Step::Release),
        1 => Just(Step::Refresh),
        1 => Just(Step::Flush),
    ];
    prop::collection::vec(step, 1..200)
}

/// Both ends of one ring, and what must be in it.
struct Model {
    capacity: usize,
    producer: Producer<SharedMemory>,
    consumer: Consumer<SharedMemory>,
    /// Published and not read.
    queue: VecDeque<(Kind, Vec<u8>)>,
    /// Held in place: token, first position, bytes.
    held: Vec<(u64, u64, Vec<u8>)>,
    /// Positions behind the last record published and read.
    tail: u64,
    head: u64,
    seed: u8,
}

impl Model {
    fn new(order: u32) -> Self {
        let (producer, consumer) = ring(1 << order);
        let (queue, held) = (VecDeque::new(), Vec::new());
        Self { capacity: 1 << order, producer, consumer, queue, held, tail: 0, head: 0, seed: 0 }
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        self.seed = self.seed.wrapping_add(1);
        (0..len).map(|i| (i as u8).wrapping_mul(13) ^ self.seed).collect()
    }

    /// The oldest position that the reader still needs.
    fn oldest(&self) -> u64 {
        self.held.iter().map(|held| held.1 - HEADER as u64).min().unwrap_or(self.head)
    }

    fn put(&mut self, kind: Kind, bytes: Vec<u8>) -> bool {
        if kind == Kind::Whole && self.seed.is_multiple_of(2) {
            // The short way: what it has no room for, there is no room for.
            if !self.producer.put_now(&bytes) {
                assert!(!self.producer.room(bytes.len(), RESERVE).unwrap());
                return false;
            }
        } else {
            if !self.producer.room(bytes.len(), RESERVE).unwrap() {
                return false;
            }
            // Two parts, so that the payload is put together from pieces.
            let (front, back) = bytes.split_at(bytes.len() / 3);
            self.producer.put(kind, bytes.len(), [front, back].into_iter());
        }
        self.tail = behind(self.tail, bytes.len());
        assert!(self.tail + RESERVE as u64 - self.oldest() <= self.capacity as u64, "it overwrites what is being read");
        self.queue.push_back((kind, bytes));
        true
    }

    fn stream(&mut self, total: usize) {
        let piece = self.producer.piece();
        if piece <= TOTAL {
            return;
        }
        let bytes = self.bytes(total);
        let mut left = &bytes[..];
        let mut kind = Kind::First;
        loop {
            let lead = if kind == Kind::First { TOTAL } else { 0 };
            let (now, later) = left.split_at(left.len().min(piece - lead));
            let record = if lead == 0 { now.to_vec() } else { [&(total as u64).to_le_bytes(), now].concat() };
            if !self.put(kind, record) {
                break;
            }
            left = later;
            if left.is_empty() {
                return;
            }
            kind = if left.len() <= piece { Kind::Last } else { Kind::Next };
        }
        if kind != Kind::First {
            assert!(self.producer.room(0, HEADER).unwrap(), "no room for an abort");
            self.producer.put(Kind::Abort, 0, std::iter::empty());
            self.tail += HEADER as u64;
            self.queue.push_back((Kind::Abort, Vec::new()));
        }
    }

    /// The next record, checked against the oracle.
    fn next(&mut self) -> Option<(Record, Vec<u8>)> {
        let record = self.consumer.peek().unwrap();
        assert_eq!(self.consumer.is_ready(), record.is_some());
        let whole = self.consumer.whole(self.consumer.header());
        assert_eq!(whole, record.filter(|record| record.kind == Kind::Whole));
        let expected = self.queue.pop_front();
        assert_eq!(record, expected.as_ref().map(|(kind, bytes)| Record { kind: *kind, len: bytes.len() }));
        let (record, (_, bytes)) = record.zip(expected)?;
        let mut read = vec![0; record.len];
        self.consumer.read(0, &mut read);
        assert_eq!(read, bytes);
        if record.len > 3 {
            self.consumer.read(2, &mut read[3..]);
            assert_eq!(read[3..], bytes[2..bytes.len() - 1]);
        }
        self.head = behind(self.head, record.len);
        Some((record, bytes))
    }

    fn check_held(&self) {
        for (token, position, bytes) in &self.held {
            let mut read = vec![0; bytes.len()];
            self.consumer.release().memory().read(*position, &mut read);
            assert!(read == *bytes, "held record {token} has changed");
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Put(kind, len) => {
                let len = match kind {
                    Kind::Abort | Kind::End | Kind::Empty => 0,
                    Kind::Descriptors => (len % (self.producer.record_max() / DESCRIPTOR + 1)) * DESCRIPTOR,
                    _ => 1 + len % self.producer.record_max(),
                };
                if is_valid(kind, len, self.capacity) {
                    let bytes = self.bytes(len);
                    self.put(kind, bytes);
                }
            }
            Step::Stream(total) => self.stream(1 + total % (3 * self.capacity)),
            Step::Consume => {
                if let Some((record, bytes)) = self.next() {
                    let short = self.consumer.release().is_idle() && bytes.first().is_some_and(|byte| byte % 2 == 0);
                    let told = if short { self.consumer.consume_idle(record) } else { self.consumer.consume(record) };
                    assert!(!told || self.consumer.release().memory().credit() == self.head);
                }
            }
            Step::Hold if self.consumer.release().has_room() => {
                let position = self.consumer.payload();
                if let Some((record, bytes)) = self.next() {
                    let token = self.consumer.release().next_token();
                    assert_eq!(self.consumer.hold(record), token);
                    self.held.push((token, position, bytes));
                }
            }
            Step::Hold => {}
            Step::Release(which) => {
                if !self.held.is_empty() {
                    let (token, ..) = self.held.swap_remove(which % self.held.len());
                    self.consumer.release().release(token);
                }
            }
            Step::Refresh => {
                self.producer.refresh().unwrap();
            }
            Step::Flush => drop(self.consumer.release().flush()),
        }
        self.check_held();
    }

    /// Nothing may be lost at the end, and all of the ring comes back.
    fn finish(mut self) {
        while let Some((record, _)) = self.next() {
            self.consumer.consume(record);
            self.check_held();
        }
        for (token, ..) in std::mem::take(&mut self.held) {
            self.consumer.release().release(token);
        }
        self.consumer.release().flush();
        self.producer.refresh().unwrap();
        assert_eq!(self.producer.position(), self.tail);
        assert_eq!(self.consumer.release().memory().credit(), self.tail, "ring space was lost");
        assert!(self.producer.room(self.producer.record_max(), RESERVE).unwrap());
    }
}

proptest! {
    #[test]
    fn both_ends_agree_with_a_queue(order in 6_u32..=16, steps in steps()) {
        let mut model = Model::new(order);
        for step in &steps {
            model.step(step);
        }
        model.finish();
    }
}
