// SPDX-License-Identifier: MIT OR Apache-2.0
//! Models of the two ends of a ring: `RUSTFLAGS="--cfg loom" cargo test -p catmem --release --lib loom_`.
//!
//! A header is an atomic word. A payload word is stored in the same atomic, relaxed, so that a reader that takes old
//! payload for a header is seen; and in a checked cell beside it, so that loom reports each access that is not ordered
//! after the other side's.

use super::memory::Memory;
use super::producer::RESERVE;
use super::record::HEADER;
use super::{Consumer, Kind, Producer};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

/// Bytes of the model's ring.
const CAPACITY: usize = 64;

struct Words {
    headers: Vec<AtomicU64>,
    payload: Vec<UnsafeCell<u64>>,
    credit: AtomicU64,
    /// How headers are published and looked at, and how credit is given and looked at.
    order: [Ordering; 4],
}

// SAFETY: loom checks that no payload cell is used by both sides at once; that is what these models are for.
unsafe impl Sync for Words {}
// SAFETY: as above.
unsafe impl Send for Words {}

/// One side's handle of the ring.
#[derive(Clone)]
struct Ring(Arc<Words>);

impl Ring {
    fn new(order: [Ordering; 4]) -> Self {
        Self(Arc::new(Words {
            headers: (0..CAPACITY / 8).map(|_| AtomicU64::new(0)).collect(),
            payload: (0..CAPACITY / 8).map(|_| UnsafeCell::new(0)).collect(),
            credit: AtomicU64::new(0),
            order,
        }))
    }

    fn index(position: u64) -> usize {
        (position as usize % CAPACITY) / 8
    }

    /// The word is written over: nobody may still be reading payload there.
    fn overwrite(&self, position: u64, value: u64) {
        // SAFETY: see `Sync` above.
        self.0.payload[Self::index(position)].with_mut(|cell| unsafe { *cell = value });
    }
}

impl Memory for Ring {
    fn capacity(&self) -> usize {
        CAPACITY
    }

    fn header(&self, position: u64) -> u64 {
        self.0.headers[Self::index(position)].load(self.0.order[1])
    }

    fn clear(&self, position: u64) {
        self.overwrite(position, 0);
        self.0.headers[Self::index(position)].store(0, Ordering::Relaxed);
    }

    fn publish(&self, position: u64, word: u64) {
        self.overwrite(position, word);
        self.0.headers[Self::index(position)].store(word, self.0.order[0]);
    }

    fn write(&self, position: u64, bytes: &[u8]) {
        for (word, bytes) in (position..).step_by(8).zip(bytes.as_chunks().0) {
            let value = u64::from_ne_bytes(*bytes);
            self.overwrite(word, value);
            self.0.headers[Self::index(word)].store(value, Ordering::Relaxed);
        }
    }

    fn read(&self, position: u64, into: &mut [u8]) {
        for (word, bytes) in (position..).step_by(8).zip(into.as_chunks_mut().0) {
            let value = self.0.headers[Self::index(word)].load(Ordering::Relaxed);
            // SAFETY: see `Sync` above.
            let checked = self.0.payload[Self::index(word)].with(|cell| unsafe { *cell });
            assert_eq!(value, checked, "stale payload");
            *bytes = value.to_ne_bytes();
        }
    }

    fn credit(&self) -> u64 {
        self.0.credit.load(self.0.order[3])
    }

    fn give_credit(&self, position: u64) {
        self.0.credit.store(position, self.0.order[2]);
    }
}

fn payload(message: usize, words: usize) -> Vec<u8> {
    // Never zero, so that old payload taken for a header is seen.
    (0..words).flat_map(|word| (0x100 * (message as u64 + 1) + word as u64).to_ne_bytes()).collect()
}

/// Sends messages of these lengths in words; the reader holds the first of each group of `hold` until the next one is
/// read. `hold` 0: it copies all. Every other message goes, and is taken, the short way.
fn exchange(order: [Ordering; 4], lens: &'static [usize], hold: usize) {
    let ring = Ring::new(order);
    let mut producer = Producer::new(ring.clone());
    let writer = thread::spawn(move || {
        for (message, &words) in lens.iter().enumerate() {
            let bytes = payload(message, words);
            if message % 2 == 1 {
                while !producer.put_now(&bytes) {
                    thread::yield_now();
                }
                continue;
            }
            while !producer.room(words * 8, RESERVE).unwrap() {
                thread::yield_now();
            }
            producer.put(Kind::Whole, words * 8, [&bytes[..]].into_iter());
        }
        assert!(producer.room(0, HEADER).unwrap());
        producer.put(Kind::End, 0, core::iter::empty());
    });
    let mut consumer = Consumer::new(ring);
    let mut held = None;
    for message in 0..=lens.len() {
        let record = loop {
            match consumer.header() {
                0 => thread::yield_now(),
                word => break consumer.whole(word).or_else(|| consumer.peek().unwrap()).unwrap(),
            }
        };
        let Some(&words) = lens.get(message) else {
            assert_eq!((record.kind, record.len), (Kind::End, 0));
            break;
        };
        assert_eq!((record.kind, record.len), (Kind::Whole, words * 8));
        let position = consumer.payload();
        let mut read = vec![0; record.len];
        consumer.read(0, &mut read);
        assert_eq!(read, payload(message, words));
        if hold != 0 && message % hold == 0 {
            held = Some((consumer.hold(record), position, read));
        } else {
            if message % 2 == 1 && consumer.release().is_idle() {
                consumer.consume_idle(record);
            } else {
                consumer.consume(record);
            }
            if let Some((token, position, before)) = held.take() {
                let mut again = vec![0; before.len()];
                consumer.release().memory().read(position, &mut again);
                assert_eq!(again, before, "a held record was overwritten");
                consumer.release().release(token);
            }
        }
    }
    writer.join().unwrap();
}

const RIGHT: [Ordering; 4] = [Ordering::Release, Ordering::Acquire, Ordering::Release, Ordering::Acquire];

fn check(body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(body);
}

#[test]
fn loom_records_around_the_ring() {
    // The third goes around the end, over what the first two have given back.
    check(|| exchange(RIGHT, &[2, 2, 2, 2], 0));
}

#[test]
fn loom_small_records_with_credit_in_batches() {
    check(|| exchange(RIGHT, &[1, 1, 1, 1], 0));
}

#[test]
fn loom_held_records_are_not_overwritten() {
    check(|| exchange(RIGHT, &[1, 1, 1, 2], 2));
}

/// One of the four orderings is missing.
fn check_without(which: usize) {
    let mut order = RIGHT;
    order[which] = Ordering::Relaxed;
    check(move || exchange(order, &[2, 2, 2, 2], 0));
}

#[test]
#[should_panic(expected = "Causality violation")]
fn loom_finds_a_publication_without_release() {
    check_without(0);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn loom_finds_a_look_without_acquire() {
    check_without(1);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn loom_finds_credit_that_is_given_without_release() {
    check_without(2);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn loom_finds_credit_that_is_taken_without_acquire() {
    check_without(3);
}
