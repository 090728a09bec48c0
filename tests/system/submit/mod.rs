// SPDX-License-Identifier: MIT OR Apache-2.0
//! Work that other threads hand to a LibOs, and LibOses of one process side by side.
//!
//! The processes of these tests have one role with many threads; the harness holds them to a deadline. A closure that
//! panics ends quietly by design, so closures here send what they see, or count it, and the test asserts it.

mod stress;

use crate::harness::bytes::{matches, message};
use crate::harness::system::sleep;
use crate::harness::{Context, LIMIT, Random, done, pair, pop_message, push_message};
use core::time::Duration;
use margay::config::Spin;
use margay::{Config, Errno, LibOs, Qd, Submitter};
use runtime::limits::{SUBMISSIONS_MAX, SUBMISSIONS_PER_ROUND};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, mpsc};

/// Long enough for the other side to have fallen asleep, in nanoseconds.
const NAP: u64 = 200_000;

fn libos_that_spins(context: &Context, spin: Duration) -> LibOs {
    start(&context.config(), spin)
}

fn start(config: &Config, spin: Duration) -> LibOs {
    let mut config = config.clone();
    config.wait.spin = Spin::For(spin);
    LibOs::new(&config).unwrap()
}

fn pipe(libos: &mut LibOs, name: &str) -> (Qd, Qd) {
    (libos.create_pipe(name).unwrap(), libos.open_pipe(name).unwrap())
}

/// Every kind of wait runs what comes while it sleeps or spins, and ends for its completion only.
#[test]
fn a_submission_is_run_by_every_kind_of_wait_and_ends_none() {
    const ROUNDS: u64 = 4000;
    pair!()
        .server(|context| {
            for spin in [Duration::ZERO, Duration::from_micros(50)] {
                let mut libos = libos_that_spins(context, spin);
                let (made, opened) = pipe(&mut libos, "hand");
                let set = libos.wait_set();
                let (order, orders) = mpsc::channel();
                let (submitter, mut random) = (libos.submitter(), context.random());
                let producer = std::thread::spawn(move || {
                    for round in orders {
                        // Each one alone must end the sleep: the others come when the first was run.
                        for _ in 0..random.below(3) {
                            if random.below(3) == 0 {
                                sleep(random.below(NAP));
                            }
                            let (ran, answer) = mpsc::channel();
                            submitter.submit(move |_| ran.send(()).unwrap()).unwrap();
                            answer.recv_timeout(LIMIT.unwrap()).expect("it is run");
                        }
                        let push = move |libos: &mut LibOs| _ = libos.push(made, &u64::to_le_bytes(round));
                        submitter.submit(push).unwrap();
                    }
                });
                for round in 0..ROUNDS {
                    let popped = libos.pop(opened, None).unwrap();
                    let other = libos.pop(made, None).unwrap();
                    order.send(round).unwrap();
                    let completion = match round % 4 {
                        0 => libos.wait(popped, LIMIT).unwrap(),
                        1 => libos.wait_any(&[other, popped], LIMIT).unwrap().1,
                        2 => next(&mut libos),
                        _ => {
                            libos.add_to_wait_set(&set, popped).unwrap();
                            libos.wait_in_set(&set, LIMIT).unwrap()
                        }
                    };
                    assert_eq!(completion.qt, popped);
                    assert_eq!(completion.into_message().unwrap().to_vec(), round.to_le_bytes());
                    libos.cancel(other).unwrap();
                    assert_eq!(libos.wait(other, LIMIT).unwrap().ok().unwrap_err().errno(), Errno::CANCELED);
                }
                drop(order);
                producer.join().unwrap();
            }
        })
        .run();
}

/// The next pop that completes; pushes may complete before it.
fn next(libos: &mut LibOs) -> margay::Completion {
    loop {
        let mut out = Vec::new();
        libos.wait_next_n(&mut out, 1, LIMIT).unwrap();
        if let Some(completion) = out.pop().filter(|completion| matches!(completion.outcome, margay::Outcome::Pop(_))) {
            return completion;
        }
    }
}

/// Submits, and polls until the closure has run; gives what it gave.
fn run<T: Send + 'static>(libos: &mut LibOs, job: impl FnOnce(&mut LibOs) -> T + Send + 'static) -> T {
    let (send, receive) = mpsc::channel();
    libos.submitter().submit(move |libos| send.send(job(libos)).unwrap()).unwrap();
    libos.poll();
    receive.try_recv().expect("a poll runs it")
}

#[test]
fn a_closure_may_make_any_call() {
    pair!()
        .server(|context| {
            let mut libos = context.libos();
            let echo = |libos: &mut LibOs| {
                let (made, opened) = pipe(libos, "inside");
                push_message(libos, made, b"there");
                let there = pop_message(libos, opened).to_vec();
                let (popped, other) = (libos.pop(made, None).unwrap(), libos.pop(opened, None).unwrap());
                let silent = libos.wait(popped, Some(Duration::from_millis(2))).unwrap_err().errno();
                push_message(libos, opened, b"back");
                let (first, completion) = libos.wait_any(&[other, popped], LIMIT).unwrap();
                let back = completion.into_message().unwrap().to_vec();
                for qd in [made, opened] {
                    let closed = libos.close(qd).unwrap();
                    done(libos, closed);
                }
                libos.wait(other, LIMIT).unwrap();
                (there, silent, first, back)
            };
            for _ in 0..3 {
                let expected = (b"there".to_vec(), Errno::TIMEDOUT, 1, b"back".to_vec());
                assert_eq!(run(&mut libos, echo), expected);
                assert_eq!(libos.queues(), 0);
            }

            // While one closure waits, no other is run; then they are, in their order.
            let order = Arc::new(AtomicU64::new(0));
            let digit = |digit: u64| {
                let order = order.clone();
                move || order.store(order.load(Ordering::Relaxed) * 10 + digit, Ordering::Relaxed)
            };
            let (begin, end, second) = (digit(1), digit(2), digit(3));
            let submitter = libos.submitter();
            let inner = submitter.clone();
            let first = move |libos: &mut LibOs| {
                begin();
                inner.submit(move |_| second()).unwrap();
                let qd = libos.create_pipe("silent").unwrap();
                let qt = libos.pop(qd, None).unwrap();
                let _ = libos.wait(qt, Some(Duration::from_millis(5)));
                end();
            };
            submitter.submit(first).unwrap();
            libos.poll();
            libos.poll();
            assert_eq!(order.load(Ordering::Relaxed), 123);
        })
        .run();
}

/// What a closure does to the tokens of the wait that runs it is seen by this wait.
#[test]
fn a_closure_may_take_what_a_wait_is_for() {
    pair!()
        .server(|context| {
            let mut libos = libos_that_spins(context, Duration::ZERO);
            let (made, opened) = pipe(&mut libos, "taken");
            let submitter = libos.submitter();
            for round in 0..20 {
                // Its token is taken: nothing can come for it any more.
                let qts = [libos.pop(made, None).unwrap(), libos.pop(opened, None).unwrap()];
                let thief = move |libos: &mut LibOs| {
                    push_message(libos, made, b"stolen");
                    libos.wait(qts[1], LIMIT).unwrap().into_message().unwrap();
                    // In its slot there is another one now.
                    libos.push(made, b"not asked for").unwrap();
                };
                submitter.submit(thief).unwrap();
                let stolen = match round % 3 {
                    0 => libos.wait_any(&qts, LIMIT).map(|(_, completion)| completion),
                    1 => libos.wait(qts[1], LIMIT),
                    _ => {
                        let set = libos.wait_set();
                        libos.add_to_wait_set(&set, qts[1]).unwrap();
                        let stolen = libos.wait_in_set(&set, LIMIT);
                        libos.close_wait_set(set).unwrap();
                        stolen
                    }
                };
                assert_eq!(stolen.unwrap_err().errno(), Errno::INVAL);
                assert_eq!(pop_message(&mut libos, opened).to_vec(), b"not asked for");

                // It waits for any of others in between.
                let asks = move |libos: &mut LibOs| {
                    let (own, other) = pipe(libos, "own");
                    let qts = [libos.pop(own, None).unwrap(), libos.pop(other, None).unwrap()];
                    libos.push(opened, b"for the outer one").unwrap();
                    let _ = libos.wait_any(&qts, Some(Duration::from_millis(1)));
                    for qd in [own, other] {
                        let closed = libos.close(qd).unwrap();
                        done(libos, closed);
                    }
                };
                submitter.submit(asks).unwrap();
                let third = libos.pop(opened, None).unwrap();
                let (which, completion) = libos.wait_any(&[third, qts[0]], LIMIT).unwrap();
                assert_eq!((which, completion.into_message().unwrap().to_vec()), (1, b"for the outer one".to_vec()));
                libos.cancel(third).unwrap();
                libos.wait(third, LIMIT).unwrap();
            }

            // The queue is closed under the wait.
            let popped = libos.pop(opened, None).unwrap();
            submitter.submit(move |libos| _ = libos.close(opened)).unwrap();
            assert_eq!(libos.wait(popped, LIMIT).unwrap().ok().unwrap_err().errno(), Errno::CANCELED);
        })
        .run();
}

#[test]
fn a_panic_ends_the_closure_and_nothing_else() {
    pair!()
        .server(|context| {
            let mut libos = libos_that_spins(context, Duration::ZERO);
            let (made, opened) = pipe(&mut libos, "panic");
            let submitter = libos.submitter();
            let (seen, sight) = mpsc::channel();
            let popped = libos.pop(opened, None).unwrap();
            submitter.submit(|_| panic!("a closure of this test panics")).unwrap();
            let waits = move |libos: &mut LibOs| {
                let qd = libos.create_pipe("silent").unwrap();
                let qt = libos.pop(qd, None).unwrap();
                seen.send(libos.wait(qt, Some(Duration::from_millis(1))).unwrap_err().errno()).unwrap();
                panic!("and another one, with a queue open");
            };
            submitter.submit(waits).unwrap();
            submitter.submit(move |libos| _ = libos.push(made, b"still here")).unwrap();
            assert_eq!(libos.wait(popped, LIMIT).unwrap().into_message().unwrap().to_vec(), b"still here");
            assert_eq!(sight.try_recv(), Ok(Errno::TIMEDOUT));
            assert_eq!(libos.queues(), 3);
        })
        .run();
}

/// Submits a closure that submits itself again and again.
fn again(submitter: &Submitter) {
    let own = submitter.clone();
    // It fails when the LibOs is gone.
    let _ = submitter.submit(move |_| again(&own));
}

/// Not more than is said wait or run at once; the rest has its turn later, and is refused first.
#[test]
fn the_queue_and_the_batch_are_bounded() {
    pair!()
        .server(|context| {
            let mut libos = context.libos();
            let (submitter, count) = (libos.submitter(), Arc::new(AtomicU64::new(0)));
            let submit = || {
                let count = count.clone();
                submitter.submit(move |_| _ = count.fetch_add(1, Ordering::Relaxed))
            };
            for _ in 0..3 {
                count.store(0, Ordering::Relaxed);
                (0..SUBMISSIONS_MAX).for_each(|_| submit().unwrap());
                assert_eq!(submit().unwrap_err().errno(), Errno::AGAIN);
                for batch in 1..=SUBMISSIONS_MAX / SUBMISSIONS_PER_ROUND {
                    libos.poll();
                    assert_eq!(count.load(Ordering::Relaxed), (batch * SUBMISSIONS_PER_ROUND) as u64);
                }
                assert_eq!(Arc::strong_count(&count), 1, "what was run or refused is gone");
            }

            // One that submits itself again and again starves nobody.
            again(&submitter);
            let (made, opened) = pipe(&mut libos, "fair");
            for number in 0..1000u64 {
                push_message(&mut libos, made, &number.to_le_bytes());
                assert_eq!(pop_message(&mut libos, opened).to_vec(), number.to_le_bytes());
            }
            let silent = libos.pop(opened, None).unwrap();
            let error = libos.wait(silent, Some(Duration::from_millis(5))).unwrap_err();
            assert_eq!(error.errno(), Errno::TIMEDOUT);
        })
        .run();
}

#[test]
fn a_foreign_event_loop_runs_what_is_submitted() {
    const COUNT: u64 = 5000;
    pair!()
        .server(|context| {
            let mut libos = context.libos();
            let submitter = libos.submitter();
            submitter.submit(|_| ()).unwrap();
            assert!(!libos.arm().unwrap(), "there is something to run");
            libos.poll();
            let ((ran, answers), (went_on, go_on)) = (mpsc::channel(), mpsc::channel());
            let mut random = context.random();
            let producer = std::thread::spawn(move || {
                for number in 0..COUNT {
                    if random.below(8) == 0 {
                        sleep(random.below(NAP));
                    }
                    let ran = ran.clone();
                    submitter.submit(move |_| ran.send(number).unwrap()).unwrap();
                    // One at a time: each alone must end the sleep.
                    go_on.recv_timeout(LIMIT.unwrap()).expect("it is run");
                }
            });
            let mut next = 0;
            while next < COUNT {
                if libos.arm().unwrap() {
                    let fd = libos.readiness_fd();
                    let limit = Timespec { tv_sec: 20, tv_nsec: 0 };
                    assert_eq!(poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&limit)).unwrap(), 1);
                }
                libos.poll();
                for number in answers.try_iter() {
                    assert_eq!(number, next);
                    next += 1;
                    went_on.send(()).unwrap();
                }
            }
            producer.join().unwrap();
            assert!(libos.arm().unwrap(), "nothing is left to run");
        })
        .run();
}

/// A LibOs goes while others submit: every closure is run or dropped, once, and in the end all are refused.
#[test]
fn a_libos_that_goes_runs_or_drops_every_closure() {
    const PRODUCERS: usize = 3;
    pair!()
        .server(|context| {
            let mut random = context.random();
            for _ in 0..100 {
                let mut libos = context.libos();
                let [made, accepted, ran, dropped] = [(); 4].map(|()| Arc::new(AtomicU64::new(0)));
                let producers = [(); PRODUCERS].map(|()| {
                    let (submitter, ran, dropped) = (libos.submitter(), ran.clone(), dropped.clone());
                    let (made, accepted) = (made.clone(), accepted.clone());
                    std::thread::spawn(move || {
                        loop {
                            let (ran, guard) = (ran.clone(), CountDrop(dropped.clone()));
                            made.fetch_add(1, Ordering::Relaxed);
                            let result = submitter.submit(move |_| {
                                ran.fetch_add(1, Ordering::Relaxed);
                                drop(guard);
                            });
                            match result.map_err(margay::Error::errno) {
                                Ok(()) => drop(accepted.fetch_add(1, Ordering::Relaxed)),
                                Err(Errno::AGAIN) => std::thread::yield_now(),
                                Err(errno) => return errno,
                            }
                        }
                    })
                });
                for _ in 0..random.below(50) {
                    libos.poll();
                }
                drop(libos);
                for producer in producers {
                    assert_eq!(producer.join().unwrap(), Errno::CANCELED);
                }
                let [made, accepted, ran, dropped] = [made, accepted, ran, dropped].map(|n| n.load(Ordering::Relaxed));
                assert_eq!(made, dropped);
                assert!(ran <= accepted && accepted + PRODUCERS as u64 <= made, "{ran} of {accepted} of {made}");
            }
        })
        .run();
}

struct CountDrop(Arc<AtomicU64>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// One side of a pipe between two threads: pushes and pops with several of both outstanding, all checked.
fn play(libos: &mut LibOs, qd: Qd, seed: u64, peer: u64, count: u64) {
    const WINDOW: usize = 8;
    let mut random = Random::new(seed);
    let (mut pushed, mut popped) = (0, 0);
    let (mut pushes, mut pops) = (VecDeque::new(), VecDeque::new());
    while popped < count || !pushes.is_empty() {
        while pushed < count && pushes.len() < WINDOW {
            pushes.push_back(libos.push(qd, &message(16 + random.length(20_000), seed, pushed)[..]).unwrap());
            pushed += 1;
        }
        while popped + (pops.len() as u64) < count && pops.len() < WINDOW {
            pops.push_back(libos.pop(qd, None).unwrap());
        }
        let qts: Vec<_> = pushes.front().into_iter().chain(pops.front()).copied().collect();
        let (_, completion) = libos.wait_any(&qts, LIMIT).unwrap();
        if pushes.front() == Some(&completion.qt) {
            pushes.pop_front();
            completion.ok().unwrap();
        } else {
            pops.pop_front();
            assert!(matches(&completion.into_message().unwrap(), peer, popped), "message {popped}");
            popped += 1;
        }
    }
}

/// Each on its own thread, with queues of its own and one to the other, all busy at once.
#[test]
fn two_liboses_of_one_process_work_at_once() {
    const COUNT: u64 = 4000;
    pair!()
        .server(|context| {
            let (config, seed) = (context.config(), context.seed);
            let meet = Barrier::new(2);
            std::thread::scope(|scope| {
                for own in 0..2u64 {
                    let (config, meet) = (&config, &meet);
                    scope.spawn(move || {
                        let mut libos = start(config, Duration::from_micros(50 * own));
                        let made = (own == 0).then(|| libos.create_pipe("between").unwrap());
                        meet.wait();
                        let between = made.unwrap_or_else(|| libos.open_pipe("between").unwrap());
                        play(&mut libos, between, seed + own, seed + 1 - own, COUNT);
                        meet.wait();
                        // Alone with itself, while the other is, too: the same names of queues and tokens, other memory.
                        let (made, opened) = pipe(&mut libos, if own == 0 { "zero" } else { "one" });
                        for number in 0..COUNT {
                            let sent = message(100, seed + own, number);
                            let popped = libos.pop(opened, None).unwrap();
                            push_message(&mut libos, made, &sent);
                            assert_eq!(libos.wait(popped, LIMIT).unwrap().into_message().unwrap().to_vec(), sent);
                        }
                        assert_eq!(libos.queues(), 3);
                        meet.wait();
                    });
                }
            });
        })
        .run();
}
