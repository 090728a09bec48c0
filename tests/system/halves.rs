// SPDX-License-Identifier: MIT OR Apache-2.0
//! The end of a stream: half-closed either way, closed, and closed while the other side opens.

use crate::harness::bytes::{matches, message};
use crate::harness::{Context, LIMIT, done, pair, pop_message, push_message};
use margay::{Errno, LibOs, Qd};
use std::net::Shutdown;

fn errno_of_pop(libos: &mut LibOs, qd: Qd) -> Errno {
    let qt = libos.pop(qd, None).unwrap();
    libos.wait(qt, LIMIT).unwrap().into_message().unwrap_err().errno()
}

/// The end once, then `EPIPE`.
fn read_end(libos: &mut LibOs, qd: Qd) {
    assert!(pop_message(libos, qd).is_empty());
    for _ in 0..3 {
        assert_eq!(errno_of_pop(libos, qd), Errno::PIPE);
    }
}

const SERVER_ENDS: u64 = 0;
const CLIENT_ENDS: u64 = 1;

/// One side ends what it writes; the other goes on.
fn one_way(context: &Context, libos: &mut LibOs, qd: Qd, ends_first: bool) {
    if ends_first {
        for number in 0..50 {
            push_message(libos, qd, &message(3000, context.seed, number));
        }
        libos.shutdown(qd, Shutdown::Write).unwrap();
        assert_eq!(libos.push(qd, b"late").unwrap_err().errno(), Errno::PIPE);
        assert_eq!(libos.shutdown(qd, Shutdown::Write).unwrap_err().errno(), Errno::PIPE);
        for number in 100..200 {
            assert!(matches(&pop_message(libos, qd), context.seed, number));
        }
        read_end(libos, qd);
    } else {
        for number in 0..50 {
            assert!(matches(&pop_message(libos, qd), context.seed, number));
        }
        read_end(libos, qd);
        for number in 100..200 {
            push_message(libos, qd, &message(5000, context.seed, number));
        }
        libos.shutdown(qd, Shutdown::Write).unwrap();
    }
    let closed = libos.close(qd).unwrap();
    done(libos, closed);
    assert_eq!(libos.pop(qd, None).unwrap_err().errno(), Errno::BADF);
}

#[test]
fn half_close_either_way() {
    for ends_first in [SERVER_ENDS, CLIENT_ENDS] {
        let report = pair!()
            .argument(ends_first)
            .server(|context| {
                let mut libos = context.libos_with(|config| config.catmem.ring = 16 << 10);
                let qd = libos.create_pipe("half").unwrap();
                one_way(context, &mut libos, qd, context.argument == SERVER_ENDS);
            })
            .client(|context| {
                let mut libos = context.libos();
                let qd = context.open(&mut libos, "half");
                one_way(context, &mut libos, qd, context.argument == CLIENT_ENDS);
            })
            .run();
        report.assert_no_pipes();
    }
}

/// A shutdown behind pushes that wait for room: the end comes after all of them.
#[test]
fn the_end_comes_after_pushes_that_waited() {
    pair!()
        .server(|context| {
            let mut libos = context.libos_with(|config| config.catmem.ring = 4096);
            let qd = libos.create_pipe("tail").unwrap();
            let tokens: Vec<_> =
                (0..200).map(|number| libos.push(qd, &message(700, context.seed, number)[..]).unwrap()).collect();
            libos.shutdown(qd, Shutdown::Write).unwrap();
            for qt in tokens {
                done(&mut libos, qt);
            }
            assert!(pop_message(&mut libos, qd).is_empty());
        })
        .client(|context| {
            let mut libos = context.libos();
            let qd = context.open(&mut libos, "tail");
            for number in 0..200 {
                assert!(matches(&pop_message(&mut libos, qd), context.seed, number));
            }
            read_end(&mut libos, qd);
        })
        .run();
}

/// The peer closed: what it had pushed, the end, then errors, for pops that waited and for pushes.
#[test]
fn close_ends_both_halves() {
    const CLOSED: usize = 0;
    pair!()
        .server(|context| {
            let mut libos = context.libos();
            let qd = libos.create_pipe("close").unwrap();
            push_message(&mut libos, qd, b"last words");
            assert_eq!(pop_message(&mut libos, qd).to_vec(), b"ready");
            let closed = libos.close(qd).unwrap();
            done(&mut libos, closed);
            context.board.set(CLOSED, 1);
            context.board.wait(CLOSED, 2);
        })
        .client(|context| {
            let mut libos = context.libos();
            let qd = context.open(&mut libos, "close");
            let pops: Vec<_> = (0..4).map(|_| libos.pop(qd, None).unwrap()).collect();
            push_message(&mut libos, qd, b"ready");
            let mut ends = pops.into_iter().map(|qt| libos.wait(qt, LIMIT).unwrap().into_message());
            assert_eq!(ends.next().unwrap().unwrap().to_vec(), b"last words");
            assert!(ends.next().unwrap().unwrap().is_empty());
            assert_eq!(ends.next().unwrap().unwrap_err().errno(), Errno::PIPE);
            assert_eq!(ends.next().unwrap().unwrap_err().errno(), Errno::PIPE);
            context.board.wait(CLOSED, 1);
            libos.poll();
            libos.poll();
            let pushed = libos.push(qd, b"anybody?").unwrap();
            assert_eq!(libos.wait(pushed, LIMIT).unwrap().ok().unwrap_err().errno(), Errno::PIPE);
            context.board.set(CLOSED, 2);
        })
        .run();
}

/// The creator closes while somebody opens: each try ends, with the message or with a refusal, and the name is free.
#[test]
fn create_and_close_against_open() {
    const ROUND: usize = 0;
    const DONE: usize = 1;
    const GOT: usize = 2;
    const ROUNDS: u64 = 1000;
    let report = pair!()
        .server(|context| {
            let mut libos = context.libos();
            let mut random = context.random();
            for round in 1..=ROUNDS {
                let qd = libos.create_pipe("race").unwrap();
                push_message(&mut libos, qd, b"first");
                context.board.set(ROUND, round);
                for _ in 0..random.below(60) {
                    libos.poll();
                }
                let closed = libos.close(qd).unwrap();
                done(&mut libos, closed);
                context.board.wait(DONE, round);
            }
        })
        .client(|context| {
            let mut libos = context.libos();
            let mut got = 0;
            for round in 1..=ROUNDS {
                context.board.wait(ROUND, round);
                if let Ok(qd) = libos.open_pipe("race") {
                    let qt = libos.pop(qd, None).unwrap();
                    match libos.wait(qt, LIMIT).unwrap().into_message() {
                        // Who got in gets all of it.
                        Ok(message) => {
                            assert_eq!(message.to_vec(), b"first", "round {round}");
                            assert!(pop_message(&mut libos, qd).is_empty(), "round {round}");
                            got += 1;
                        }
                        Err(error) => {
                            let refusals = [Errno::CONNRESET, Errno::CONNREFUSED];
                            assert!(refusals.contains(&error.errno()), "round {round}: {error}");
                        }
                    }
                    let closed = libos.close(qd).unwrap();
                    done(&mut libos, closed);
                }
                context.board.set(DONE, round);
            }
            context.board.set(GOT, got);
        })
        .run();
    println!("{} of {ROUNDS} openers got in", report.board.get(GOT));
    report.assert_no_pipes();
}
