// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages that are handed over, or read, where they lie.

use crate::harness::bytes::{fill, matches, message};
use crate::harness::{Context, LIMIT, Random, done, pair, pop_message};
use margay::{Buf, Errno, LibOs, Qd, Sga};
use std::collections::VecDeque;

const COUNT: u64 = 3000;

/// Shared memory, waiting for the reader to give some back if all of it is out.
fn alloc(libos: &mut LibOs, qd: Qd, len: usize) -> Buf {
    for _ in 0..2_000_000 {
        match libos.alloc_on(qd, len) {
            Ok(buf) => return buf,
            Err(error) if matches!(error.errno(), Errno::NOBUFS | Errno::NOTCONN) => libos.poll(),
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the reader gives nothing back");
}

fn push_by_reference(context: &Context, segments: u64) {
    let mut libos = context.libos();
    let qd = context.open(&mut libos, "frames");
    let mut lengths = Random::new(context.seed);
    let mut under_way = VecDeque::new();
    for number in 0..COUNT {
        let mut frame = Sga::new();
        for part in 0..segments {
            let mut buf = alloc(&mut libos, qd, lengths.length(16 << 10));
            fill(buf.get_mut().unwrap(), context.seed, number * 8 + part);
            frame.push_back(buf).unwrap();
        }
        if under_way.len() == 16 {
            done(&mut libos, under_way.pop_front().unwrap());
        }
        under_way.push_back(libos.push(qd, frame).unwrap());
    }
    for qt in under_way {
        done(&mut libos, qt);
    }
    assert!(pop_message(&mut libos, qd).is_empty());
}

fn expected(context: &Context, lengths: &mut Random, number: u64, segments: u64) -> Vec<u8> {
    (0..segments).flat_map(|part| message(lengths.length(16 << 10), context.seed, number * 8 + part)).collect()
}

fn server(context: &Context) -> (LibOs, Qd) {
    let mut libos = context.libos_with(|config| {
        config.catmem.ring = 4096;
        config.catmem.slot = 16 << 10;
        config.catmem.slots = 24;
    });
    let qd = libos.create_pipe("frames").unwrap();
    (libos, qd)
}

#[test]
fn messages_by_reference_arrive_in_order() {
    pair!()
        .server(|context| {
            let (mut libos, qd) = server(context);
            let mut lengths = Random::new(context.seed);
            for number in 0..COUNT {
                let popped = pop_message(&mut libos, qd);
                assert!(popped.to_vec() == expected(context, &mut lengths, number, 1), "message {number}");
            }
        })
        .client(|context| push_by_reference(context, 1))
        .run();
}

/// Several segments each, kept for a while and dropped in any order.
#[test]
fn messages_by_reference_are_given_back_in_any_order() {
    pair!()
        .server(|context| {
            let (mut libos, qd) = server(context);
            let (mut lengths, mut random) = (Random::new(context.seed), context.random());
            let mut held = Vec::new();
            for number in 0..COUNT {
                let qt = libos.pop_in_place(qd).unwrap();
                let popped = libos.wait(qt, LIMIT).unwrap().into_message().unwrap();
                held.push((popped, expected(context, &mut lengths, number, 3)));
                while held.len() > random.below(6) as usize {
                    let (popped, bytes) = held.swap_remove(random.below(held.len() as u64) as usize);
                    assert!(popped.to_vec() == bytes, "a message before {number}");
                }
            }
        })
        .client(|context| push_by_reference(context, 3))
        .run();
}

/// Read in the ring, kept for a while and dropped in any order: what is held does not change, and what is dropped makes
/// room.
#[test]
fn messages_read_in_place_are_dropped_in_any_order() {
    const COUNT: u64 = 20_000;
    pair!()
        .server(|context| {
            let mut libos = context.libos_with(|config| config.catmem.ring = 8192);
            let qd = libos.create_pipe("place").unwrap();
            let mut random = context.random();
            let mut held = Vec::new();
            for number in 0..COUNT {
                let qt = libos.pop_in_place(qd).unwrap();
                held.push((libos.wait(qt, LIMIT).unwrap().into_message().unwrap(), number));
                // What is held keeps the ring from turning, so the oldest must go in time.
                while held.len() > 8
                    || held.first().is_some_and(|(_, first)| first + 8 < number)
                    || random.below(3) == 0
                {
                    if held.is_empty() {
                        break;
                    }
                    let old = held.iter().position(|(_, first)| first + 8 < number);
                    let index = old.unwrap_or(random.below(held.len() as u64) as usize);
                    let (popped, number) = held.swap_remove(index);
                    assert!(matches(&popped, context.seed, number), "message {number}");
                }
            }
        })
        .client(|context| {
            let mut libos = context.libos();
            let qd = context.open(&mut libos, "place");
            let mut lengths = context.random();
            let mut under_way = VecDeque::new();
            for number in 0..COUNT {
                if under_way.len() == 32 {
                    done(&mut libos, under_way.pop_front().unwrap());
                }
                under_way.push_back(libos.push(qd, &message(lengths.length(400), context.seed, number)[..]).unwrap());
            }
            for qt in under_way {
                done(&mut libos, qt);
            }
            assert!(pop_message(&mut libos, qd).is_empty());
        })
        .run();
}

/// What the owner drops without pushing comes back, and a message outlives its queue.
#[test]
fn shared_memory_is_not_lost() {
    pair!()
        .server(|context| {
            let (mut libos, qd) = server(context);
            for _ in 0..100 {
                let all: Vec<Buf> = (0..24).map(|_| libos.alloc_on(qd, 16 << 10).unwrap()).collect();
                assert_eq!(libos.alloc_on(qd, 1).unwrap_err().errno(), Errno::NOBUFS);
                drop(all);
            }
            assert_eq!(libos.alloc_on(qd, (16 << 10) + 1).unwrap_err().errno(), Errno::MSGSIZE);
            let mut buf = libos.alloc_on(qd, 10_000).unwrap();
            fill(buf.get_mut().unwrap(), context.seed, 1);
            let pushed = libos.push(qd, buf).unwrap();
            done(&mut libos, pushed);
            // The client leaves when it has it.
            assert!(pop_message(&mut libos, qd).is_empty());
        })
        .client(|context| {
            let mut libos = context.libos();
            let qd = context.open(&mut libos, "frames");
            let popped = pop_message(&mut libos, qd);
            let closed = libos.close(qd).unwrap();
            done(&mut libos, closed);
            drop(libos);
            assert_eq!(popped.len(), 10_000);
            assert!(matches(&popped, context.seed, 1), "a message outlives the LibOs that popped it");
        })
        .run();
}
