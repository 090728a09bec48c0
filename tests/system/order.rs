// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many operations outstanding on one queue: order, and that every token completes.

use crate::harness::bytes::{matches, message};
use crate::harness::{LIMIT, Random, done, pair, pop_message};
use margay::Outcome;
use std::collections::VecDeque;

const FULL: usize = 0;

/// More than one push outstanding while the ring is full: nothing overtakes, and no token is forgotten.
#[test]
fn pushes_wait_for_a_full_ring_in_order() {
    const COUNT: u64 = 30_000;
    pair!()
        .server(|context| {
            let mut libos = context.libos_with(|config| config.catmem.ring = 4096);
            let qd = libos.create_pipe("full").unwrap();
            context.board.wait(FULL, 1);
            let mut random = context.random();
            for number in 0..COUNT {
                // Slow at times, so that the ring fills up again.
                if random.below(2000) == 0 {
                    crate::harness::system::sleep(1_000_000);
                }
                let popped = pop_message(&mut libos, qd);
                assert!(matches(&popped, context.seed, number), "message {number} of {} bytes", popped.len());
            }
        })
        .client(|context| {
            let mut libos = context.libos();
            let qd = context.open(&mut libos, "full");
            let mut lengths = Random::new(context.seed);
            let mut under_way = VecDeque::new();
            let mut out = Vec::with_capacity(32);
            let mut number = 0;
            while number < COUNT || !under_way.is_empty() {
                while number < COUNT && under_way.len() < 256 {
                    let bytes = message(lengths.length(900), context.seed, number);
                    under_way.push_back(libos.push(qd, &bytes[..]).unwrap());
                    number += 1;
                }
                context.board.set(FULL, 1);
                libos.wait_next_n(&mut out, 32, LIMIT).unwrap();
                for completion in out.drain(..) {
                    completion.ok().unwrap();
                    assert_eq!(Some(completion.qt), under_way.pop_front(), "pushes complete in order");
                }
            }
            // The server leaves when it has all.
            assert!(pop_message(&mut libos, qd).is_empty());
        })
        .run();
}

/// Pops that were begun first are served first, each with its own message.
#[test]
fn pops_wait_in_order() {
    const COUNT: u64 = 10_000;
    pair!()
        .server(|context| {
            let mut libos = context.libos();
            let qd = libos.create_pipe("pops").unwrap();
            let mut pops: VecDeque<_> = (0..128).map(|_| libos.pop(qd, None).unwrap()).collect();
            let mut out = Vec::with_capacity(64);
            let mut number = 0;
            context.board.set(FULL, 1);
            while number < COUNT {
                libos.wait_next_n(&mut out, 64, LIMIT).unwrap();
                for completion in out.drain(..) {
                    assert_eq!(Some(completion.qt), pops.pop_front(), "pops complete in order");
                    let Outcome::Pop(popped) = completion.outcome else { panic!("{:?}", completion.outcome) };
                    assert!(matches(&popped, context.seed, number), "message {number}");
                    number += 1;
                    if number + (pops.len() as u64) < COUNT {
                        pops.push_back(libos.pop(qd, None).unwrap());
                    }
                }
            }
            assert!(pops.is_empty());
        })
        .client(|context| {
            let mut libos = context.libos();
            let qd = context.open(&mut libos, "pops");
            context.board.wait(FULL, 1);
            let mut random = context.random();
            for number in 0..COUNT {
                let pushed = libos.push(qd, &message(random.length(300), context.seed, number)[..]).unwrap();
                done(&mut libos, pushed);
            }
        })
        .run();
}

/// What was pushed before the peer opened is there when it does.
#[test]
fn pushes_before_anybody_opened() {
    const OPEN: usize = 0;
    pair!()
        .server(|context| {
            let mut libos = context.libos_with(|config| config.catmem.ring = 16 << 10);
            let qd = libos.create_pipe("early").unwrap();
            let mut tokens = Vec::new();
            for number in 0..100 {
                tokens.push(libos.push(qd, &message(1 + number as usize * 10, context.seed, number)[..]).unwrap());
            }
            // Those that fit are done already; the others wait for somebody.
            done(&mut libos, tokens[0]);
            context.board.set(OPEN, 1);
            for &qt in &tokens[1..] {
                done(&mut libos, qt);
            }
            assert!(matches(&pop_message(&mut libos, qd), context.seed, 1000));
        })
        .client(|context| {
            context.board.wait(OPEN, 1);
            let mut libos = context.libos();
            let qd = libos.open_pipe("early").unwrap();
            // The same from this side: begun before the handshake is done.
            let pushed = libos.push(qd, &message(77, context.seed, 1000)[..]).unwrap();
            for number in 0..100 {
                let popped = pop_message(&mut libos, qd);
                assert_eq!(popped.len(), 1 + number as usize * 10);
                assert!(matches(&popped, context.seed, number), "message {number}");
            }
            done(&mut libos, pushed);
        })
        .run();
}

/// A sized pop gives at most so many bytes, never of two messages, and the bytes are those of the stream.
#[test]
fn partial_pops_give_every_byte_once() {
    const COUNT: u64 = 1500;
    pair!()
        .server(|context| {
            let mut libos = context.libos_with(|config| config.catmem.ring = 8192);
            let qd = libos.create_pipe("parts").unwrap();
            let (mut lengths, mut sizes) = (Random::new(context.seed), context.random());
            for number in 0..COUNT {
                let len = lengths.length(20_000);
                let mut bytes = Vec::new();
                while bytes.len() < len {
                    let most = sizes.length(5000);
                    let qt = libos.pop(qd, Some(most)).unwrap();
                    let part = libos.wait(qt, LIMIT).unwrap().into_message().unwrap();
                    assert_eq!(part.len(), most.min(len - bytes.len()), "message {number} at byte {}", bytes.len());
                    bytes.extend(part.to_vec());
                }
                assert!(bytes == message(len, context.seed, number), "message {number}");
            }
            assert!(pop_message(&mut libos, qd).is_empty());
        })
        .client(|context| {
            let mut libos = context.libos();
            let qd = context.open(&mut libos, "parts");
            let mut lengths = Random::new(context.seed);
            for number in 0..COUNT {
                let pushed = libos.push(qd, &message(lengths.length(20_000), context.seed, number)[..]).unwrap();
                done(&mut libos, pushed);
            }
        })
        .run();
}
