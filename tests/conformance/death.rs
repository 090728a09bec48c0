// SPDX-License-Identifier: MIT OR Apache-2.0
//! A process is killed: its peers get all that it had pushed, then `ECONNRESET`, and serve others on.

use crate::harness::bytes::Stream;
use crate::harness::system::sleep;
use crate::harness::{LIMIT, Random, Role, push_message};
use crate::subject::{Side, Subject, accept, close, ends_with, fails, pop, push_stream, push_until_it_fails, wait};
use core::time::Duration;
use margay::{Errno, LibOs, Outcome, Qd, Qt};

const STARTED: usize = 0;
/// Bytes whose push has completed in the process that is killed.
const PUBLISHED: usize = 1;

/// Longer than any test.
fn hang() {
    sleep(100_000_000_000);
}

/// Pushes for ever, small and large ones.
fn victim(side: &Side<'_>, libos: &mut LibOs, qd: Qd) {
    let (mut stream, mut random) = (Stream::new(side.seed), side.random());
    side.board.set(STARTED, 1);
    loop {
        let most = if random.below(20) == 0 { 100_000 } else { 2000 };
        let len = random.length(most);
        push_stream(libos, qd, &mut stream, len);
        side.board.set(PUBLISHED, stream.at());
    }
}

/// Pops until the victim is gone, with pushes of its own under way.
fn survivor(side: &Side<'_>, libos: &mut LibOs, qd: Qd) {
    // More than there is room for, and nobody pops them.
    let pushes: Vec<Qt> = (0..64).map(|_| libos.push(qd, &[1; 1500]).unwrap()).collect();
    let mut stream = Stream::new(side.seed);
    let end = loop {
        let qt = libos.pop(qd, None).unwrap();
        match wait(libos, qt).into_message() {
            Ok(message) => {
                assert!(!message.is_empty(), "a death is no end");
                stream.check(&message);
            }
            Err(error) => break error.errno(),
        }
    };
    assert_eq!(end, Errno::CONNRESET);
    let published = side.board.get(PUBLISHED);
    assert!(stream.at() >= published, "{} of {published} published bytes were delivered", stream.at());
    let mut failed = 0;
    for qt in pushes {
        if let Outcome::Failed(error) = wait(libos, qt).outcome {
            assert_eq!(error.errno(), Errno::CONNRESET);
            failed += 1;
        }
    }
    assert_ne!(failed, 0, "64 messages do not fit");
    for _ in 0..2 {
        let begun = libos.pop(qd, None);
        assert_eq!(fails(libos, begun), Errno::CONNRESET);
        assert_eq!(push_until_it_fails(libos, qd), Errno::CONNRESET);
    }
    close(libos, qd);
}

fn rounds(subject: &Subject, victim_is: Role) {
    let mut delays = Random::new(crate::harness::system::now());
    for round in 0..20 {
        subject
            .pair()
            .argument(round)
            .server(|side| {
                let mut libos = side.libos_with(|config| side.narrow(config, 16 << 10));
                let listening = side.serve(&mut libos, 1);
                let qd = accept(&mut libos, listening);
                if victim_is == Role::Server { victim(side, &mut libos, qd) } else { survivor(side, &mut libos, qd) }
            })
            .client(|side| {
                let mut libos = side.libos_with(|config| side.narrow(config, 16 << 10));
                let qd = side.call(&mut libos);
                if victim_is == Role::Client { victim(side, &mut libos, qd) } else { survivor(side, &mut libos, qd) }
            })
            .kill(victim_is, STARTED, Duration::from_nanos(delays.below(3_000_000)))
            .run();
    }
}

pub fn of_the_server(subject: &Subject) {
    rounds(subject, Role::Server);
}

pub fn of_the_client(subject: &Subject) {
    rounds(subject, Role::Client);
}

/// Clients die while they connect, wait to be accepted, or talk: the listener goes on, and one that lives is served.
pub fn of_clients_in_the_backlog(subject: &Subject) {
    for round in 0..10 {
        subject
            .pair()
            .argument(round)
            .server(|side| {
                let mut libos = side.libos();
                let listening = side.serve(&mut libos, 8);
                // The living one is the only one that says so; the others are at their end, sooner or later.
                let mut qds = Vec::new();
                libos.accept(listening).unwrap();
                let mut out = Vec::new();
                'served: loop {
                    libos.wait_next_n(&mut out, 16, LIMIT).unwrap();
                    for completion in out.drain(..) {
                        match completion.outcome {
                            Outcome::Accept(qd) => {
                                qds.push(qd);
                                libos.pop(qd, None).unwrap();
                                libos.accept(listening).unwrap();
                            }
                            Outcome::Pop(message) if message.to_vec() == b"alive" => {
                                push_message(&mut libos, completion.qd, b"you are");
                                break 'served;
                            }
                            Outcome::Pop(message) => panic!("{} bytes of a dead one", message.len()),
                            Outcome::Failed(error) => assert_eq!(error.errno(), Errno::CONNRESET),
                            other => panic!("{other:?}"),
                        }
                    }
                }
                side.board.set(PUBLISHED, 1);
                for qd in qds {
                    close(&mut libos, qd);
                }
            })
            .client(|side| {
                let mut libos = side.libos();
                let to = side.announced();
                side.board.set(STARTED, 1);
                let qds: Vec<Qd> = (0..20).map(|_| side.stream(&mut libos)).collect();
                for &qd in &qds {
                    let _ = libos.connect(qd, to).unwrap();
                }
                let mut out = Vec::new();
                let _ = libos.wait_next_n(&mut out, 20, LIMIT);
                hang();
            })
            .third(|side| {
                side.board.wait(STARTED, 1);
                sleep(5_000_000);
                let mut libos = side.libos();
                let qd = side.call(&mut libos);
                push_message(&mut libos, qd, b"alive");
                assert_eq!(pop(&mut libos, qd).to_vec(), b"you are");
                side.board.wait(PUBLISHED, 1);
            })
            .kill(Role::Client, STARTED, Duration::from_micros(round * 300))
            .run();
    }
}

/// The server dies with connects on their way: each ends, refused or reset, and the next is refused.
pub fn of_a_server_that_is_called(subject: &Subject) {
    for round in 0..10 {
        subject
            .pair()
            .argument(round)
            .server(|side| {
                let mut libos = side.libos();
                let listening = side.serve(&mut libos, 3);
                side.board.set(STARTED, 1);
                if side.argument % 2 == 0 {
                    libos.accept(listening).unwrap();
                    let _ = libos.wait_next_n(&mut Vec::new(), 1, LIMIT);
                }
                hang();
            })
            .client(|side| {
                let mut libos = side.libos_with(|config| config.catloop.connect_timeout = Duration::from_mins(1));
                let to = side.announced();
                side.board.wait(STARTED, 1);
                let qds: Vec<Qd> = (0..8).map(|_| side.stream(&mut libos)).collect();
                let tokens: Vec<_> = qds.iter().map(|&qd| libos.connect(qd, to).map(|qt| (qd, qt)).unwrap()).collect();
                for (qd, qt) in tokens {
                    match wait(&mut libos, qt).outcome {
                        Outcome::Connect => {
                            let qt = libos.pop(qd, None).unwrap();
                            assert_eq!(ends_with(&mut libos, qt), Errno::CONNRESET);
                        }
                        Outcome::Failed(error) => {
                            let fair = [Errno::CONNREFUSED, Errno::CONNRESET];
                            assert!(fair.contains(&error.errno()), "{error}");
                        }
                        other => panic!("{other:?}"),
                    }
                    close(&mut libos, qd);
                }
                for tries in 0.. {
                    let qd = side.stream(&mut libos);
                    let begun = libos.connect(qd, to);
                    let said = fails(&mut libos, begun);
                    if said == Errno::CONNREFUSED {
                        break;
                    }
                    assert!(tries < 1000 && said == Errno::CONNRESET, "{said:?}");
                    sleep(1_000_000);
                }
            })
            .kill(Role::Server, STARTED, Duration::from_micros(200 + round * 500))
            .run();
    }
}

/// What the dead have left is swept by who comes next: the same address serves again, and no file stays.
pub fn leaves_nothing(subject: &Subject) {
    let report = subject
        .pair()
        .server(|side| {
            let mut libos = side.libos();
            let mut kept = Vec::new();
            for _ in 0..10 {
                kept.push(side.listen(&mut libos, 1));
                kept.push(side.bound_datagram(&mut libos));
            }
            side.serve(&mut libos, 1);
            libos.create_pipe("of-the-dead").unwrap();
            side.board.set(STARTED, 1);
            hang();
        })
        .client(|side| {
            let to = side.announced();
            let mut libos = side.libos();
            let near = side.stream(&mut libos);
            // It is nobody's turn to accept; the connection is made all the same, or refused by the dead.
            let begun = libos.connect(near, to).unwrap();
            let fair = [Errno::CONNREFUSED, Errno::CONNRESET];
            assert!(fair.contains(&ends_with(&mut libos, begun)));
            drop(libos);
            // Whoever uses the directory next sweeps it, once the kernel has closed what the dead one had.
            for tries in 0.. {
                let mut libos = side.libos();
                let qd = side.stream(&mut libos);
                let served = libos.bind(qd, to).is_ok() && libos.listen(qd, 1).is_ok();
                libos.create_pipe("of-the-living").unwrap();
                drop(libos);
                let left = crate::harness::system::files(&side.pipes);
                if served && left.is_empty() {
                    break;
                }
                assert!(tries < 1000, "the address is still taken, or files are left: {left:?}");
                sleep(1_000_000);
            }
        })
        .kill(Role::Server, STARTED, Duration::from_millis(20))
        .run();
    report.assert_no_files();
}
