// SPDX-License-Identifier: MIT OR Apache-2.0
//! A process is killed: its peers get all that it had pushed, then `ECONNRESET`, and serve others on. Where the kernel
//! closes for the dead, its peers get what is on its way, then a reset or the end.

use crate::harness::bytes::Stream;
use crate::harness::system::sleep;
use crate::harness::{LIMIT, Random, Role, push_message};
use crate::subject::{Side, Subject, close, fails, pop, pop_to_the_end, push_stream, push_until_it_fails, wait};
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

/// Whether this is how a connection may end whose other side has died: `EPIPE` stands for the end.
fn is_fair(side: &Side<'_>, end: Errno) -> bool {
    end == Errno::CONNRESET || (end == Errno::PIPE && !side.backend.tells_death())
}

/// Pops until the victim is gone, with pushes of its own under way.
fn survivor(side: &Side<'_>, libos: &mut LibOs, qd: Qd) {
    // More than there is room for, and nobody pops them.
    let pushes: Vec<Qt> = (0..640).map(|_| libos.push(qd, &[1; 1500]).unwrap()).collect();
    let mut stream = Stream::new(side.seed);
    let end = pop_to_the_end(libos, qd, &mut stream);
    assert!(is_fair(side, end), "a death is no end: {end:?}");
    if side.backend.tells_death() {
        let published = side.board.get(PUBLISHED);
        assert!(stream.at() >= published, "{} of {published} published bytes were delivered", stream.at());
    }
    let mut failed = 0;
    for qt in pushes {
        if let Outcome::Failed(error) = wait(libos, qt).outcome {
            assert!(is_fair(side, error.errno()), "{error}");
            failed += 1;
        }
    }
    assert_ne!(failed, 0, "640 messages do not fit");
    for _ in 0..2 {
        let begun = libos.pop(qd, None);
        assert_eq!(fails(libos, begun), end);
        let said = push_until_it_fails(libos, qd);
        assert!(is_fair(side, said), "{said:?}");
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
                let (mut libos, qd) = side.served_with(|config| side.narrow(config, 16 << 10));
                if victim_is == Role::Server { victim(side, &mut libos, qd) } else { survivor(side, &mut libos, qd) }
            })
            .client(|side| {
                let (mut libos, qd) = side.called_with(|config| side.narrow(config, 16 << 10));
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
                            Outcome::Pop(end) => assert!(end.is_empty() && is_fair(side, Errno::PIPE), "of a dead one"),
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
                    let _ = side.begin(&mut libos, qd, to).unwrap();
                }
                let mut out = Vec::new();
                let _ = libos.wait_next_n(&mut out, 20, LIMIT);
                hang();
            })
            .third(|side| {
                side.board.wait(STARTED, 1);
                sleep(5_000_000);
                let (mut libos, qd) = side.called();
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
                let tokens: Vec<_> =
                    qds.iter().map(|&qd| side.begin(&mut libos, qd, to).map(|qt| (qd, qt)).unwrap()).collect();
                for (qd, qt) in tokens {
                    match wait(&mut libos, qt).outcome {
                        Outcome::Connect => {
                            // A listener whose backlog was full at the handshake's last step has forgotten this connection with its end, and its
                            // host says so only to who sends something.
                            if side.backend.kernel_answers() {
                                let _ = libos.push(qd, b"anybody?");
                            }
                            let end = pop_to_the_end(&mut libos, qd, &mut Stream::new(0));
                            assert!(is_fair(side, end), "{end:?}");
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
                    let said = match side.begin(&mut libos, qd, to).map(|qt| wait(&mut libos, qt).outcome) {
                        Err(error) | Ok(Outcome::Failed(error)) => error.errno(),
                        // What io_uring has of a killed process the kernel closes after all else, its listener, too.
                        Ok(Outcome::Connect) if !side.backend.tells_death() => Errno::CONNRESET,
                        Ok(other) => panic!("the dead have answered: {other:?}"),
                    };
                    if said == Errno::CONNREFUSED {
                        break;
                    }
                    assert!(tries < 1000 && said == Errno::CONNRESET, "{said:?}");
                    close(&mut libos, qd);
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
            // It is nobody's turn to accept; the connection is made by the kernel, or refused by the dead.
            let begun = side.begin(&mut libos, near, to).unwrap();
            let end = match wait(&mut libos, begun).outcome {
                Outcome::Connect => pop_to_the_end(&mut libos, near, &mut Stream::new(0)),
                Outcome::Failed(error) => error.errno(),
                other => panic!("{other:?}"),
            };
            assert!([Errno::CONNREFUSED, Errno::CONNRESET].contains(&end), "{end:?}");
            drop(libos);
            // Whoever uses the directory next sweeps it, once the kernel has closed what the dead one had.
            for tries in 0.. {
                let mut libos = side.libos();
                let qd = side.stream(&mut libos);
                let served = side.bind(&mut libos, qd, to).is_ok() && libos.listen(qd, 1).is_ok();
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
