// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages of every size between two processes: echoed, streamed, both ways at once.

use crate::harness::bytes::{matches, message};
use crate::harness::{Context, LIMIT, Random, done, pair, pop_message, push_message};
use margay::{LibOs, Outcome, Qd};
use std::collections::VecDeque;
use std::net::Shutdown;

const SIZES: [usize; 20] = [
    1,
    2,
    7,
    8,
    9,
    63,
    64,
    65,
    1024,
    2048,
    4097,
    65_519,
    65_528,
    65_536,
    65_537,
    262_144,
    300_001,
    1 << 20,
    5_000_003,
    16 << 20,
];

/// Sends back whatever comes, until the end.
fn echo(context: &Context) {
    let mut libos = context.libos();
    let qd = libos.create_pipe("echo").unwrap();
    loop {
        let message = pop_message(&mut libos, qd);
        if message.is_empty() {
            return;
        }
        let pushed = libos.push(qd, message).unwrap();
        done(&mut libos, pushed);
    }
}

#[test]
fn ping_pong_of_every_size() {
    pair!()
        .server(echo)
        .client(|context| {
            let mut libos = context.libos();
            let qd = context.open(&mut libos, "echo");
            for (number, len) in SIZES.into_iter().enumerate() {
                let rounds = if len < 5000 { 50 } else { 2 };
                for round in 0..rounds {
                    let number = number as u64 * 100 + round;
                    push_message(&mut libos, qd, &message(len, context.seed, number));
                    let back = pop_message(&mut libos, qd);
                    assert_eq!(back.len(), len);
                    assert!(matches(&back, context.seed, number), "{len} bytes, message {number}");
                }
            }
        })
        .run();
}

/// Pushes `count` messages of random lengths, with `window` of them under way.
fn push_stream(libos: &mut LibOs, qd: Qd, seed: u64, count: u64, most: usize, window: usize) {
    let mut lengths = Random::new(seed);
    let mut under_way = VecDeque::new();
    for number in 0..count {
        if under_way.len() == window {
            done(libos, under_way.pop_front().unwrap());
        }
        under_way.push_back(libos.push(qd, &message(lengths.length(most), seed, number)[..]).unwrap());
    }
    for qt in under_way {
        done(libos, qt);
    }
}

/// Pops what `push_stream` pushed, with `window` pops under way.
fn pop_stream(libos: &mut LibOs, qd: Qd, seed: u64, count: u64, most: usize, window: usize) {
    let mut lengths = Random::new(seed);
    let mut under_way = VecDeque::new();
    let mut begun = 0;
    for number in 0..count {
        while under_way.len() < window && begun < count {
            under_way.push_back(libos.pop(qd, None).unwrap());
            begun += 1;
        }
        let popped = libos.wait(under_way.pop_front().unwrap(), LIMIT).unwrap().into_message().unwrap();
        assert_eq!(popped.len(), lengths.length(most), "message {number}");
        assert!(matches(&popped, seed, number), "message {number}");
    }
}

#[test]
fn random_sizes_arrive_whole_and_in_order() {
    pair!()
        .server(|context| {
            let mut libos = context.libos();
            let qd = libos.create_pipe("stream").unwrap();
            pop_stream(&mut libos, qd, context.seed, 4000, 400_000, 32);
            assert!(pop_message(&mut libos, qd).is_empty());
        })
        .client(|context| {
            let mut libos = context.libos();
            let qd = context.open(&mut libos, "stream");
            push_stream(&mut libos, qd, context.seed, 4000, 400_000, 64);
        })
        .run();
}

#[test]
fn messages_larger_than_the_ring() {
    pair!()
        .server(|context| {
            let mut libos = context.libos_with(|config| config.catmem.ring = 4096);
            let qd = libos.create_pipe("large").unwrap();
            pop_stream(&mut libos, qd, context.seed, 300, 1 << 20, 4);
            let set = [1, 7].map(|number| message(16 << 20, context.seed, number));
            for expected in set {
                assert!(pop_message(&mut libos, qd).to_vec() == expected);
            }
        })
        .client(|context| {
            let mut libos = context.libos();
            let qd = context.open(&mut libos, "large");
            push_stream(&mut libos, qd, context.seed, 300, 1 << 20, 16);
            let pushed = [1, 7].map(|number| libos.push(qd, &message(16 << 20, context.seed, number)[..]).unwrap());
            for qt in pushed {
                done(&mut libos, qt);
            }
            assert!(pop_message(&mut libos, qd).is_empty());
        })
        .run();
}

/// Both sides push and pop at once, with pushes that wait for room most of the time.
#[test]
fn both_ways_at_once() {
    fn both(context: &Context, libos: &mut LibOs, qd: Qd) {
        const COUNT: u64 = 20_000;
        const WINDOW: u64 = 64;
        let [mine, theirs] = if context.role == crate::harness::Role::Server { [1, 2] } else { [2, 1] };
        let (mut lengths, mut expected) = (Random::new(context.seed + mine), Random::new(context.seed + theirs));
        let (mut pushed, mut push_done, mut popped, mut pops) = (0, 0, 0, 0);
        let mut out = Vec::with_capacity(64);
        while push_done < COUNT || popped < COUNT {
            while pushed < COUNT && pushed - push_done < WINDOW {
                let bytes = message(lengths.length(2000), context.seed + mine, pushed);
                libos.push(qd, &bytes[..]).unwrap();
                pushed += 1;
            }
            while pops < COUNT && pops - popped < WINDOW {
                libos.pop(qd, None).unwrap();
                pops += 1;
            }
            libos.wait_next_n(&mut out, 64, LIMIT).unwrap();
            for completion in out.drain(..) {
                match completion.outcome {
                    Outcome::Push => push_done += 1,
                    Outcome::Pop(message) => {
                        assert_eq!(message.len(), expected.length(2000), "message {popped}");
                        assert!(matches(&message, context.seed + theirs, popped), "message {popped}");
                        popped += 1;
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        // Neither leaves before the other is done.
        libos.shutdown(qd, Shutdown::Write).unwrap();
        assert!(pop_message(libos, qd).is_empty());
    }
    pair!()
        .server(|context| {
            let mut libos = context.libos_with(|config| config.catmem.ring = 4096);
            let qd = libos.create_pipe("both").unwrap();
            both(context, &mut libos, qd);
        })
        .client(|context| {
            let mut libos = context.libos();
            let qd = context.open(&mut libos, "both");
            both(context, &mut libos, qd);
        })
        .run();
}
