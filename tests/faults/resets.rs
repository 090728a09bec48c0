// SPDX-License-Identifier: MIT OR Apache-2.0
//! Peers that reset, that end half of a connection, and that are killed: RFC 9293, 3.5.3 and 3.6, as `tcp(7)` tells them.

use crate::harness::bytes::Stream;
use crate::harness::{Role, push_message};
use crate::peer;
use crate::subject::{
    Side, Subject, accept, close, fails, poll_for, poll_until, pop, pop_rest, pop_stream, pop_to_the_end, push_stream,
    push_until_it_fails, wait,
};
use core::time::Duration;
use margay::{Errno, LibOs, Outcome, Qd, Qt};
use std::net::Shutdown;

const STEP: usize = 0;

/// A connection that was reset says so each time, and nothing else.
fn is_reset(libos: &mut LibOs, qd: Qd) {
    for _ in 0..2 {
        let begun = libos.pop(qd, None);
        assert_eq!(fails(libos, begun), Errno::CONNRESET);
        assert_eq!(push_until_it_fails(libos, qd), Errno::CONNRESET);
    }
}

/// Another connection works as if nothing had been.
fn works(side: &Side<'_>, libos: &mut LibOs, qd: Qd) {
    push_stream(libos, qd, &mut Stream::new(side.seed), 10_000);
    pop_stream(libos, qd, &mut Stream::new(side.seed), 10_000);
}

/// What came before a reset is popped, then `ECONNRESET`; whether the pop or the reset was there first. Nobody else's
/// operation ends with it.
pub fn before_and_behind_a_pop(subject: &Subject) {
    const ROUNDS: u64 = 20;
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos();
            let listening = side.serve(&mut libos, 4);
            let witness = accept(&mut libos, listening);
            let seen = libos.pop(witness, None).unwrap();
            for round in 0..ROUNDS {
                let qd = accept(&mut libos, listening);
                let mut stream = Stream::new(side.seed + round);
                if round % 2 == 0 {
                    let pops: Vec<Qt> = (0..3).map(|_| libos.pop(qd, None).unwrap()).collect();
                    side.board.set(STEP, 2 * round + 1);
                    // A stream: its bytes come with one pop or with some.
                    let mut ends = 0;
                    for qt in pops {
                        match wait(&mut libos, qt).into_message() {
                            Ok(message) => {
                                assert!(ends == 0 && !message.is_empty(), "a reset is no end");
                                stream.check(&message);
                            }
                            Err(error) => {
                                assert_eq!(error.errno(), Errno::CONNRESET);
                                ends += 1;
                            }
                        }
                    }
                } else {
                    side.board.set(STEP, 2 * round + 1);
                    side.board.wait(STEP, 2 * round + 2);
                    poll_for(&mut libos, Duration::from_millis(2));
                }
                assert_eq!(pop_to_the_end(&mut libos, qd, &mut stream), Errno::CONNRESET);
                assert_eq!(stream.at(), 3000);
                is_reset(&mut libos, qd);
                close(&mut libos, qd);
            }
            assert!(libos.try_wait(seen).unwrap().is_none());
            side.board.set(STEP, 2 * ROUNDS + 1);
            pop_rest_of(side, &mut libos, witness, seen);
        })
        .client(|side| {
            let witness = peer::call(side);
            for round in 0..ROUNDS {
                let stream = peer::call(side);
                side.board.wait(STEP, 2 * round + 1);
                peer::write(&stream, &mut Stream::new(side.seed + round), 3000);
                peer::reset(stream);
                side.board.set(STEP, 2 * round + 2);
            }
            side.board.wait(STEP, 2 * ROUNDS + 1);
            peer::write(&witness, &mut Stream::new(side.seed), 100);
        })
        .run();
}

/// The witness, whose pop was there all the time, gets its bytes and its end.
fn pop_rest_of(side: &Side<'_>, libos: &mut LibOs, qd: Qd, seen: Qt) {
    let mut stream = Stream::new(side.seed);
    stream.check(&wait(libos, seen).into_message().unwrap());
    let left = 100 - stream.at() as usize;
    pop_rest(libos, qd, &mut stream, left);
}

/// Pushes that wait for room end with `ECONNRESET`, in order, each on its own token.
pub fn with_pushes_under_way(subject: &Subject) {
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos_with(|config| side.narrow(config, 16 << 10));
            let listening = side.serve(&mut libos, 4);
            let witness = accept(&mut libos, listening);
            let qd = accept(&mut libos, listening);
            let pushes: Vec<Qt> = (0..100).map(|_| libos.push(qd, &[7; 10_000]).unwrap()).collect();
            poll_for(&mut libos, Duration::from_millis(50));
            side.board.set(STEP, 1);
            let mut failed = 0;
            for qt in pushes {
                match wait(&mut libos, qt).outcome {
                    Outcome::Push => assert_eq!(failed, 0, "pushes complete in order"),
                    Outcome::Failed(error) => {
                        assert_eq!(error.errno(), Errno::CONNRESET);
                        failed += 1;
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert_ne!(failed, 0, "a megabyte does not fit");
            is_reset(&mut libos, qd);
            close(&mut libos, qd);
            works(side, &mut libos, witness);
            crate::assert_buffers_are_back(&libos);
            side.board.set(STEP, 2);
        })
        .client(|side| {
            let (witness, stream) = (peer::call(side), peer::call(side));
            side.board.wait(STEP, 1);
            peer::reset(stream);
            peer::read(&witness, &mut Stream::new(side.seed), 10_000);
            peer::write(&witness, &mut Stream::new(side.seed), 10_000);
            side.board.wait(STEP, 2);
        })
        .run();
}

/// Connections that are reset before they are accepted: an accept gives one that says so, or another, and goes on.
pub fn before_the_accept(subject: &Subject) {
    const RESET: usize = 8;
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos();
            let listening = side.serve(&mut libos, 32);
            side.board.wait(STEP, 1);
            let mut resets = 0;
            loop {
                let qd = accept(&mut libos, listening);
                let begun = libos.pop(qd, None).unwrap();
                match wait(&mut libos, begun).into_message() {
                    Ok(message) => {
                        assert_eq!(message.to_vec(), b"alive");
                        push_message(&mut libos, qd, b"you are");
                        assert!(pop(&mut libos, qd).is_empty());
                        break;
                    }
                    Err(error) => {
                        assert_eq!(error.errno(), Errno::CONNRESET);
                        close(&mut libos, qd);
                        resets += 1;
                    }
                }
            }
            assert!(resets <= RESET, "{resets} were accepted");
        })
        .client(|side| {
            for _ in 0..RESET {
                peer::reset(peer::call(side));
            }
            let mut stream = peer::call(side);
            side.board.set(STEP, 1);
            std::io::Write::write_all(&mut stream, b"alive").unwrap();
            let mut answer = [0; 7];
            std::io::Read::read_exact(&mut stream, &mut answer).unwrap();
            assert_eq!(&answer, b"you are");
        })
        .run();
}

/// The peer ends what it writes and goes on reading: the end once, and a megabyte the other way after it.
pub fn half_closed(subject: &Subject) {
    const LEN: usize = 1_000_000;
    subject
        .pair()
        .server(|side| {
            let (mut libos, qd) = side.served();
            pop_rest(&mut libos, qd, &mut Stream::new(side.seed), LEN);
            push_stream(&mut libos, qd, &mut Stream::new(side.seed + 1), LEN);
            close(&mut libos, qd);
            side.board.wait(STEP, 1);
        })
        .client(|side| {
            let stream = peer::call(side);
            peer::write(&stream, &mut Stream::new(side.seed), LEN);
            stream.shutdown(Shutdown::Write).unwrap();
            let mut theirs = Stream::new(side.seed + 1);
            peer::read_to_the_end(&stream, &mut theirs).unwrap();
            assert_eq!(theirs.at(), LEN as u64);
            side.board.set(STEP, 1);
        })
        .run();
}

/// A request, the end and nothing more, in one go, as `curl --http1.0` or `nc -N` do: it is answered.
pub fn half_closed_at_once(subject: &Subject) {
    const ROUNDS: u64 = 100;
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos();
            let listening = side.serve(&mut libos, 4);
            for round in 0..ROUNDS {
                let qd = accept(&mut libos, listening);
                // Pops in advance, or when everything has come.
                let popped = (round % 2 == 0).then(|| libos.pop(qd, None).unwrap());
                poll_for(&mut libos, Duration::from_micros(200));
                let mut stream = Stream::new(side.seed + round);
                if let Some(qt) = popped {
                    stream.check(&wait(&mut libos, qt).into_message().unwrap());
                }
                let left = 100 - stream.at() as usize;
                pop_rest(&mut libos, qd, &mut stream, left);
                push_stream(&mut libos, qd, &mut Stream::new(side.seed ^ round), 1000);
                close(&mut libos, qd);
            }
            assert_eq!(libos.queues(), 1);
        })
        .client(|side| {
            for round in 0..ROUNDS {
                let stream = peer::call(side);
                peer::write(&stream, &mut Stream::new(side.seed + round), 100);
                stream.shutdown(Shutdown::Write).unwrap();
                let mut answer = Stream::new(side.seed ^ round);
                peer::read_to_the_end(&stream, &mut answer).unwrap();
                assert_eq!(answer.at(), 1000);
            }
        })
        .run();
}

/// A peer is killed while it writes on many connections: each of them ends, and others are served on.
pub fn killed(subject: &Subject) {
    const CONNECTIONS: usize = 32;
    for round in 0..5 {
        subject
            .pair()
            .argument(round)
            .server(|side| {
                let mut libos = side.libos();
                let listening = side.serve(&mut libos, 64);
                let qds: Vec<Qd> = (0..CONNECTIONS).map(|_| accept(&mut libos, listening)).collect();
                side.board.set(STEP, 1);
                for &qd in &qds {
                    // Some have something to read that they never will.
                    if side.argument % 2 == 0 {
                        libos.push(qd, &[1; 1000]).unwrap();
                    }
                }
                for qd in qds {
                    let end = pop_to_the_end(&mut libos, qd, &mut Stream::new(side.seed));
                    assert!([Errno::PIPE, Errno::CONNRESET].contains(&end), "{end:?}");
                    let said = push_until_it_fails(&mut libos, qd);
                    assert!([Errno::PIPE, Errno::CONNRESET].contains(&said), "{said:?}");
                    close(&mut libos, qd);
                }
                poll_until(&mut libos, |libos| libos.queues() == 1);
                side.board.set(STEP, 2);
                let living = accept(&mut libos, listening);
                works(side, &mut libos, living);
                side.board.wait(STEP, 3);
            })
            .client(|side| {
                let streams: Vec<_> = (0..CONNECTIONS).map(|_| peer::call(side)).collect();
                let mut each: Vec<_> = streams.iter().map(|stream| (stream, Stream::new(side.seed))).collect();
                loop {
                    for (to, stream) in &mut each {
                        peer::write(to, stream, 700);
                    }
                }
            })
            .third(|side| {
                side.board.wait(STEP, 2);
                let stream = peer::call(side);
                peer::read(&stream, &mut Stream::new(side.seed), 10_000);
                peer::write(&stream, &mut Stream::new(side.seed), 10_000);
                side.board.set(STEP, 3);
            })
            .kill(Role::Client, STEP, Duration::from_micros(500 + round * 700))
            .run();
    }
}
