// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations that are given up: cancelled, or closed under.

use crate::harness::bytes::{matches, message};
use crate::harness::{LIMIT, done, pair, pop_message, push_message};
use core::time::Duration;
use margay::{Errno, Outcome};

/// Of a large message that was cancelled half way, the peer sees all or nothing, and what comes behind is whole.
#[test]
fn cancelled_push_is_all_or_nothing() {
    const ROUNDS: u64 = 300;
    const MARKER: u64 = 1 << 32;
    const CANCELLED: usize = 0;
    let report = pair!()
        .server(|context| {
            let mut libos = context.libos_with(|config| config.catmem.ring = 8192);
            let qd = libos.create_pipe("cut").unwrap();
            // What comes is a large message of this round, or its marker.
            let mut round = 0;
            while round < ROUNDS {
                let popped = pop_message(&mut libos, qd);
                if popped.len() == 10 {
                    assert!(matches(&popped, context.seed, MARKER + round), "the marker of round {round}");
                    round += 1;
                } else {
                    assert_eq!(popped.len(), 100_000);
                    assert!(matches(&popped, context.seed, round), "a message of round {round}");
                }
            }
        })
        .client(|context| {
            let mut libos = context.libos();
            let qd = context.open(&mut libos, "cut");
            let mut random = context.random();
            let mut cancelled = 0;
            for round in 0..ROUNDS {
                let large = libos.push(qd, &message(100_000, context.seed, round)[..]).unwrap();
                let marker = libos.push(qd, &message(10, context.seed, MARKER + round)[..]).unwrap();
                for _ in 0..random.below(40) {
                    libos.poll();
                }
                match libos.cancel(large) {
                    Ok(()) => {
                        let outcome = libos.wait(large, LIMIT).unwrap();
                        assert_eq!(outcome.ok().unwrap_err().errno(), Errno::CANCELED);
                        cancelled += 1;
                    }
                    Err(error) => {
                        assert_eq!(error.errno(), Errno::ALREADY);
                        done(&mut libos, large);
                    }
                }
                done(&mut libos, marker);
            }
            context.board.set(CANCELLED, cancelled);
            assert!(pop_message(&mut libos, qd).is_empty());
        })
        .run();
    println!("{} of {ROUNDS} were cancelled in time", report.board.get(CANCELLED));
}

/// A cancelled pop takes nothing with it; those around it keep their order.
#[test]
fn cancelled_pops_take_nothing() {
    const READY: usize = 0;
    pair!()
        .server(|context| {
            let mut libos = context.libos();
            let qd = libos.create_pipe("pops").unwrap();
            for round in 0..200 {
                let qts: Vec<_> = (0..6).map(|_| libos.pop(qd, None).unwrap()).collect();
                // The first, one in the middle, the last.
                for index in [0, 2, 5] {
                    libos.cancel(qts[index]).unwrap();
                    assert_eq!(libos.wait(qts[index], LIMIT).unwrap().ok().unwrap_err().errno(), Errno::CANCELED);
                    assert_eq!(libos.cancel(qts[index]).unwrap_err().errno(), Errno::INVAL);
                }
                context.board.set(READY, round + 1);
                for (number, index) in [1, 3, 4].into_iter().enumerate() {
                    let popped = libos.wait(qts[index], LIMIT).unwrap().into_message().unwrap();
                    assert!(matches(&popped, context.seed, round * 3 + number as u64));
                }
            }
        })
        .client(|context| {
            let mut libos = context.libos();
            let qd = context.open(&mut libos, "pops");
            for round in 0..200 {
                context.board.wait(READY, round + 1);
                for number in 0..3 {
                    push_message(&mut libos, qd, &message(50, context.seed, round * 3 + number));
                }
            }
            assert!(pop_message(&mut libos, qd).is_empty());
        })
        .run();
}

/// Close ends what is pending, in order, and the peer sees whole messages and the end.
#[test]
fn close_cancels_what_is_pending() {
    const SHUT: usize = 0;
    pair!()
        .server(|context| {
            let mut libos = context.libos_with(|config| config.catmem.ring = 4096);
            let qd = libos.create_pipe("shut").unwrap();
            assert_eq!(pop_message(&mut libos, qd).to_vec(), b"here");
            let mut expected = Vec::new();
            let mut pushes = Vec::new();
            for number in 0..20 {
                pushes.push(libos.push(qd, &message(3000, context.seed, number)[..]).unwrap());
            }
            expected.extend(pushes.iter().copied());
            expected.extend((0..20).map(|_| libos.pop(qd, None).unwrap()));
            expected.push(libos.close(qd).unwrap());
            assert_eq!(libos.push(qd, b"late").unwrap_err().errno(), Errno::BADF);
            let mut out = Vec::new();
            while out.len() < expected.len() {
                libos.wait_next_n(&mut out, 64, LIMIT).unwrap();
            }
            let mut published = 0;
            for (completion, qt) in out.iter().zip(&expected) {
                assert_eq!(completion.qt, *qt, "completions come in order");
                match completion.outcome {
                    Outcome::Push if published as usize == pushes.iter().position(|push| push == qt).unwrap() => {
                        published += 1;
                    }
                    Outcome::Failed(error) => assert_eq!(error.errno(), Errno::CANCELED),
                    Outcome::Close => assert_eq!(Some(qt), expected.last()),
                    ref other => panic!("{other:?}"),
                }
            }
            assert_ne!(published, 20, "twenty messages do not fit");
            context.board.set(SHUT, published + 1);
            let error = libos.wait_next_n(&mut out, 1, Some(Duration::ZERO)).unwrap_err();
            assert_eq!(error.errno(), Errno::TIMEDOUT);
        })
        .client(|context| {
            let mut libos = context.libos();
            let qd = context.open(&mut libos, "shut");
            push_message(&mut libos, qd, b"here");
            let published = context.board.wait(SHUT, 1) - 1;
            for number in 0..published {
                assert!(matches(&pop_message(&mut libos, qd), context.seed, number), "message {number}");
            }
            assert!(pop_message(&mut libos, qd).is_empty());
        })
        .run();
}
