// SPDX-License-Identifier: MIT OR Apache-2.0
//! Thousands of connections at once, and thousands one after another: all of them work, and none leaves anything.

use crate::harness::bytes::Stream;
use crate::harness::system::{descriptors, mappings, private_kib};
use crate::harness::{LIMIT, Random, push_message};
use crate::subject::{Subject, accept, close, connected, poll_until, pop, pop_stream, push_stream, wait};
use core::time::Duration;
use margay::config::Spin;
use margay::{Config, Domain, LibOs, Outcome, Qd, Qt};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::collections::HashSet;

const STEP: usize = 0;

fn small(config: &mut Config) {
    config.catloop.ring = 4096;
    config.catloop.slot = 4096;
    config.catloop.slots = 1;
}

/// As many descriptors as this process may have.
fn raise_the_limit_of_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

/// 2,000 connections open at the same time: the server serves whichever has something, in one wait set.
pub fn at_once(subject: &Subject) {
    const CONNECTIONS: usize = 2000;
    const ROUNDS: usize = 3;
    subject
        .pair()
        .deadline(Duration::from_mins(2))
        .server(|side| {
            raise_the_limit_of_descriptors();
            let mut libos = side.libos_with(small);
            let listening = side.serve(&mut libos, 64);
            let before = descriptors();
            let set = libos.wait_set();
            let (mut accepted, mut closed, mut echoed) = (0, 0, 0);
            let qt = libos.accept(listening).unwrap();
            libos.add_to_wait_set(&set, qt).unwrap();
            while closed < CONNECTIONS {
                let completion = libos.wait_in_set(&set, LIMIT).unwrap();
                let qd = completion.qd;
                let mut next = Vec::with_capacity(2);
                match completion.outcome {
                    Outcome::Accept(qd) => {
                        accepted += 1;
                        side.board.set(STEP, accepted as u64);
                        next.push(libos.pop(qd, None).unwrap());
                        if accepted < CONNECTIONS {
                            next.push(libos.accept(listening).unwrap());
                        }
                    }
                    Outcome::Pop(message) if message.is_empty() => next.push(libos.close(qd).unwrap()),
                    Outcome::Pop(message) => {
                        echoed += message.len();
                        next.push(libos.push(qd, message).unwrap());
                        next.push(libos.pop(qd, None).unwrap());
                    }
                    Outcome::Close => closed += 1,
                    Outcome::Push => {}
                    other => panic!("{other:?}"),
                }
                for qt in next {
                    libos.add_to_wait_set(&set, qt).unwrap();
                }
            }
            assert_eq!(echoed, CONNECTIONS * ROUNDS * 100);
            assert_eq!((libos.queues(), libos.counters().accepted), (1, CONNECTIONS as u64));
            assert_eq!(descriptors(), before);
        })
        .client(|side| {
            raise_the_limit_of_descriptors();
            let mut libos = side.libos_with(small);
            let to = side.announced();
            let warm = side.stream(&mut libos);
            side.bind(&mut libos, warm, side.at(0)).unwrap();
            let before = descriptors();
            let mut qds = Vec::new();
            // Many connects under way at once.
            for _ in 0..CONNECTIONS / 50 {
                let batch: Vec<_> = (0..50).map(|_| side.stream(&mut libos)).collect();
                let tokens: Vec<_> = batch.iter().map(|&qd| side.begin(&mut libos, qd, to).unwrap()).collect();
                for qt in tokens {
                    connected(&mut libos, qt);
                }
                qds.extend(batch);
                // What finds the backlog full comes again after a second at the earliest (RFC 6298 section 2.1), and then after ever longer.
                side.poll_until(&mut libos, STEP, qds.len() as u64);
            }
            let mut streams: Vec<_> = (0..qds.len() as u64)
                .map(|number| [Stream::new(side.seed ^ number), Stream::new(side.seed ^ number)])
                .collect();
            for _ in 0..ROUNDS {
                for (streams, &qd) in streams.iter_mut().zip(&qds) {
                    push_stream(&mut libos, qd, &mut streams[0], 100);
                }
                for (streams, &qd) in streams.iter_mut().zip(&qds) {
                    pop_stream(&mut libos, qd, &mut streams[1], 100);
                }
            }
            if side.backend.domain != Domain::Unix {
                let ports: HashSet<_> = qds.iter().map(|&qd| libos.local_address(qd).unwrap()).collect();
                assert_eq!(ports.len(), CONNECTIONS);
            }
            for qd in qds {
                close(&mut libos, qd);
            }
            assert_eq!((libos.queues(), descriptors()), (1, before));
        })
        .run();
}

/// Thousands of connections one after another: no descriptor, mapping or memory stays.
pub fn one_after_another(subject: &Subject) {
    // The first ones may grow tables, and those of two processes that share memory touch each of their packet buffers once.
    let warm: u64 = if subject.backend().wire_is_memory() { 20_000 } else { 1000 };
    let connections = warm + 4000;
    let held = || (descriptors(), mappings(), private_kib());
    let compare = |now: (usize, usize, u64), before: (usize, usize, u64)| {
        assert!(now.0 <= before.0, "{} descriptors, before {}", now.0, before.0);
        assert!(now.1 <= before.1 + 4, "{} mappings, before {}", now.1, before.1);
        assert!(now.2 <= before.2 + 512, "{} KiB, before {}", now.2, before.2);
    };
    let report = subject
        .pair()
        .deadline(Duration::from_mins(2))
        .server(move |side| {
            let mut libos = side.libos_with(small);
            let listening = side.serve(&mut libos, 4);
            let mut before = held();
            for number in 0..connections {
                if number == warm {
                    before = held();
                }
                let qd = accept(&mut libos, listening);
                let message = pop(&mut libos, qd);
                assert_eq!(message.to_vec(), number.to_le_bytes());
                let qt = libos.push(qd, message).unwrap();
                assert!(matches!(wait(&mut libos, qt).outcome, Outcome::Push));
                assert!(pop(&mut libos, qd).is_empty());
                close(&mut libos, qd);
            }
            compare(held(), before);
        })
        .client(move |side| {
            let mut libos = side.libos_with(small);
            let mut before = held();
            for number in 0..connections {
                if number == warm {
                    before = held();
                }
                let qd = side.call(&mut libos);
                push_message(&mut libos, qd, &number.to_le_bytes());
                assert_eq!(pop(&mut libos, qd).to_vec(), number.to_le_bytes());
                close(&mut libos, qd);
            }
            assert_eq!(libos.queues(), 0);
            compare(held(), before);
        })
        .run();
    report.assert_no_files();
}

/// One of hundreds has something, each time another one, and the reader sleeps for it or spins, in each way of waiting.
pub fn any_one_of_many(subject: &Subject) {
    const CONNECTIONS: u64 = 200;
    const ROUNDS: u64 = 1200;
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos_with(small);
            let listening = side.serve(&mut libos, 64);
            let qds: Vec<Qd> = (0..CONNECTIONS).map(|_| accept(&mut libos, listening)).collect();
            let mut random = Random::new(side.seed);
            let mut pauses = side.random();
            for round in 1..=ROUNDS {
                let qd = qds[random.below(CONNECTIONS) as usize];
                side.poll_until(&mut libos, STEP, round);
                if pauses.below(4) == 0 {
                    crate::harness::system::sleep(pauses.below(300_000));
                }
                push_message(&mut libos, qd, &round.to_le_bytes());
            }
            side.poll_until(&mut libos, STEP, ROUNDS + 1);
        })
        .client(|side| {
            let mut random = Random::new(side.seed);
            let mut libos = side.libos_with(|config| {
                small(config);
                config.wait.spin = Spin::For(Duration::from_micros(side.seed % 2 * 50));
            });
            let qds: Vec<Qd> = (0..CONNECTIONS).map(|_| side.call(&mut libos)).collect();
            let mut pops: Vec<Qt> = qds.iter().map(|&qd| libos.pop(qd, None).unwrap()).collect();
            let mut out = Vec::new();
            for round in 1..=ROUNDS {
                let index = random.below(CONNECTIONS) as usize;
                side.board.set(STEP, round);
                let completion = match round % 4 {
                    0 => wait(&mut libos, pops[index]),
                    1 => {
                        let (which, completion) = libos.wait_any(&pops, LIMIT).unwrap();
                        assert_eq!(which, index, "round {round}");
                        completion
                    }
                    2 => {
                        assert_eq!(libos.wait_next_n(&mut out, 4, LIMIT).unwrap(), 1);
                        out.pop().unwrap()
                    }
                    _ => {
                        let set = libos.wait_set();
                        libos.add_to_wait_set(&set, pops[index]).unwrap();
                        let completion = libos.wait_in_set(&set, LIMIT).unwrap();
                        libos.close_wait_set(set).unwrap();
                        completion
                    }
                };
                assert_eq!((completion.qd, completion.qt), (qds[index], pops[index]), "round {round}");
                assert_eq!(completion.into_message().unwrap().to_vec(), round.to_le_bytes());
                pops[index] = libos.pop(qds[index], None).unwrap();
            }
            side.board.set(STEP, ROUNDS + 1);
        })
        .run();
}

/// Idle connections take nothing: a server that waits, with hundreds of them, does not run.
pub fn idle(subject: &Subject) {
    idle_within(subject, &Idle { spin: None, percent: 1, calls: 500 });
}

/// Where nothing tells of a frame, it wakes to look each millisecond, and sleeps again at once: with a spin after each look, it would run most of
/// the time. What a look itself takes is for the machine to say, and no test's concern.
#[cfg(feature = "catnip-dpdk")]
pub fn idle_that_looks(subject: &Subject) {
    idle_within(subject, &Idle { spin: Some(Spin::For(Duration::from_millis(2))), percent: 30, calls: 15_000 });
}

/// What waiting in vain may take.
struct Idle {
    /// How long the waiting ones spin, if not as it is by default.
    spin: Option<Spin>,
    /// Of a processor's time, so many percent.
    percent: u64,
    /// System calls, those of a spin with them.
    calls: u64,
}

impl Idle {
    fn configure(&self, config: &mut Config) {
        small(config);
        if let Some(spin) = self.spin {
            config.wait.spin = spin;
        }
    }

    /// Waits in vain, and looks at what that has taken.
    fn check(&self, libos: &mut LibOs, lasts: Duration, wait: impl FnOnce(&mut LibOs)) {
        let (began, calls) = (crate::harness::system::processor_time(), libos.counters().system_calls);
        wait(libos);
        let used = crate::harness::system::processor_time() - began;
        let calls = libos.counters().system_calls - calls;
        println!("{used} ns of processor time and {calls} system calls in {lasts:?}");
        let most = lasts.as_nanos() as u64 * self.percent / 100;
        assert!(used < most, "{used} ns of processor time in {lasts:?}: more than {} %", self.percent);
        assert!(calls < self.calls, "{calls} system calls in {lasts:?}");
    }
}

fn idle_within(subject: &Subject, idle: &Idle) {
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos_with(|config| idle.configure(config));
            let listening = side.serve(&mut libos, 64);
            let qds: Vec<Qd> = (0..300).map(|_| accept(&mut libos, listening)).collect();
            for &qd in &qds {
                libos.pop(qd, None).unwrap();
            }
            libos.accept(listening).unwrap();
            side.board.set(STEP, 1);
            side.poll_until(&mut libos, STEP, 2);
            let mut out = Vec::new();
            let lasts = Duration::from_secs(2);
            idle.check(&mut libos, lasts, |libos| {
                let error = libos.wait_next_n(&mut out, 1, Some(lasts)).unwrap_err();
                assert_eq!(error.errno(), margay::Errno::TIMEDOUT);
            });
            side.board.set(STEP, 3);
            // The one that speaks is heard.
            libos.wait_next_n(&mut out, 1, LIMIT).unwrap();
            assert_eq!(out.pop().unwrap().into_message().unwrap().to_vec(), b"hello");
        })
        .client(|side| {
            let mut libos = side.libos_with(|config| idle.configure(config));
            let qds: Vec<Qd> = (0..300).map(|_| side.call(&mut libos)).collect();
            side.poll_until(&mut libos, STEP, 1);
            side.board.set(STEP, 2);
            let qt = libos.pop(qds[0], None).unwrap();
            let lasts = Duration::from_millis(1900);
            idle.check(&mut libos, lasts, |libos| {
                let _ = libos.wait(qt, Some(lasts));
            });
            poll_until(&mut libos, |_| side.board.get(STEP) >= 3);
            push_message(&mut libos, qds[150], b"hello");
            assert!(matches!(wait(&mut libos, qt).outcome, Outcome::Pop(_)));
        })
        .run();
}
