// SPDX-License-Identifier: MIT OR Apache-2.0
//! A LibOs that sleeps: what wakes it, and that it uses no processor until then.

use crate::harness::system::{processor_time, sleep};
use crate::harness::{Context, LIMIT, Role, done, pair, pop_message, push_message};
use core::time::Duration;
use margay::config::Spin;
use margay::{Errno, LibOs};

const STEP: usize = 0;
/// Long enough for the other side to have fallen asleep, in nanoseconds.
const NAP: u64 = 300_000;

fn sleeper(context: &Context) -> LibOs {
    libos_that_spins(context, Duration::ZERO)
}

fn libos_that_spins(context: &Context, spin: Duration) -> LibOs {
    context.libos_with(|config| {
        config.wait.spin = Spin::For(spin);
        config.catmem.ring = 4096;
    })
}

/// Both sleep at once, for data all the time; the pauses make every order of events happen.
#[test]
fn data_wakes_a_sleeper() {
    const COUNT: u64 = 20_000;
    pair!()
        .server(|context| {
            let mut libos = sleeper(context);
            let qd = libos.create_pipe("nap").unwrap();
            for number in 0..COUNT {
                assert_eq!(pop_message(&mut libos, qd).to_vec(), number.to_le_bytes());
                push_message(&mut libos, qd, &number.to_le_bytes());
            }
            assert!(pop_message(&mut libos, qd).is_empty());
        })
        .client(|context| {
            let mut libos = sleeper(context);
            let qd = context.open(&mut libos, "nap");
            let mut random = context.random();
            for number in 0..COUNT {
                if random.below(200) == 0 {
                    sleep(random.below(NAP));
                }
                push_message(&mut libos, qd, &number.to_le_bytes());
                assert_eq!(pop_message(&mut libos, qd).to_vec(), number.to_le_bytes());
            }
        })
        .run();
}

/// The writer sleeps for room most of the time, the reader for data; pieces of large messages wake as well.
#[test]
fn credit_wakes_a_sleeper() {
    const COUNT: u64 = 5000;
    pair!()
        .server(|context| {
            let mut libos = sleeper(context);
            let qd = libos.create_pipe("room").unwrap();
            let mut random = context.random();
            for number in 0..COUNT {
                if random.below(500) == 0 {
                    sleep(NAP);
                }
                assert!(crate::harness::bytes::matches(&pop_message(&mut libos, qd), context.seed, number));
            }
        })
        .client(|context| {
            let mut libos = sleeper(context);
            let qd = context.open(&mut libos, "room");
            let mut random = context.random();
            for number in 0..COUNT {
                let len = random.length(30_000);
                push_message(&mut libos, qd, &crate::harness::bytes::message(len, context.seed, number));
            }
            assert!(pop_message(&mut libos, qd).is_empty());
        })
        .run();
}

#[test]
fn death_wakes_a_sleeper() {
    pair!()
        .server(|context| {
            let mut libos = sleeper(context);
            let qd = libos.create_pipe("death").unwrap();
            assert_eq!(pop_message(&mut libos, qd).to_vec(), b"here");
            context.board.set(STEP, 1);
            let qt = libos.pop(qd, None).unwrap();
            let error = libos.wait(qt, None).unwrap().into_message().unwrap_err();
            assert_eq!(error.errno(), Errno::CONNRESET);
        })
        .client(|context| {
            let mut libos = sleeper(context);
            let qd = context.open(&mut libos, "death");
            push_message(&mut libos, qd, b"here");
            sleep(30_000_000_000);
        })
        .kill(Role::Client, STEP, Duration::from_millis(20))
        .run();
}

/// Another thread wakes any kind of wait; a wake before the wait is not lost, and one wake ends one wait.
#[test]
fn another_thread_wakes_a_sleeper() {
    pair!()
        .server(|context| {
            for spin in [Duration::ZERO, Duration::from_millis(1)] {
                let mut libos = libos_that_spins(context, spin);
                let qd = libos.create_pipe("hand").unwrap();
                let qts = [libos.pop(qd, None).unwrap(), libos.pop(qd, None).unwrap()];
                let set = libos.wait_set();
                let third = libos.pop(qd, None).unwrap();
                libos.add_to_wait_set(&set, third).unwrap();
                let mut random = context.random();
                for round in 0..200 {
                    let handle = libos.wake_handle();
                    let pause = random.below(NAP);
                    let thread = std::thread::spawn(move || {
                        sleep(pause);
                        handle.wake();
                    });
                    let error = match round % 4 {
                        0 => libos.wait(qts[0], None).unwrap_err(),
                        1 => libos.wait_any(&qts, None).unwrap_err(),
                        2 => libos.wait_next_n(&mut Vec::new(), 1, None).unwrap_err(),
                        _ => libos.wait_in_set(&set, None).unwrap_err(),
                    };
                    assert_eq!(error.errno(), Errno::INTR);
                    thread.join().unwrap();
                }
                libos.wake_handle().wake();
                assert_eq!(libos.wait(qts[0], LIMIT).unwrap_err().errno(), Errno::INTR);
                let error = libos.wait(qts[0], Some(Duration::from_millis(1))).unwrap_err();
                assert_eq!(error.errno(), Errno::TIMEDOUT);
                libos.close_wait_set(set).unwrap();
                let closed = libos.close(qd).unwrap();
                done(&mut libos, closed);
            }
        })
        .run();
}

fn idle(context: &Context, spin: Duration) {
    let mut libos = libos_that_spins(context, spin);
    let qd = match context.role {
        Role::Server => libos.create_pipe("idle").unwrap(),
        _ => context.open(&mut libos, "idle"),
    };
    push_message(&mut libos, qd, b"x");
    assert_eq!(pop_message(&mut libos, qd).len(), 1);
    // One waits for data, the other for room as well, with its own memory at the other side.
    let popped = libos.pop(qd, None).unwrap();
    if context.role == Role::Client {
        let frame = libos.alloc_on(qd, 3000).unwrap();
        libos.push(qd, frame).unwrap();
        for _ in 0..20 {
            libos.push(qd, &[1; 1000]).unwrap();
        }
    }
    if context.role == Role::Server {
        // Its memory goes back while the client waits for room.
        drop(libos.wait(popped, LIMIT).unwrap());
    }
    let before = processor_time();
    let error = if context.role == Role::Client {
        libos.wait(popped, Some(Duration::from_secs(2))).unwrap_err()
    } else {
        // Nothing of its own: the peer is silent.
        let own = libos.create_pipe("alone").unwrap();
        let qt = libos.pop(own, None).unwrap();
        libos.wait(qt, Some(Duration::from_secs(2))).unwrap_err()
    };
    let used = processor_time() - before;
    assert_eq!(error.errno(), Errno::TIMEDOUT);
    println!("{:?} used {used} ns of processor time in 2 s", context.role);
    assert!(used < 20_000_000, "{used} ns of processor time in 2 s");
    context.board.word(STEP).fetch_add(1, core::sync::atomic::Ordering::AcqRel);
    context.board.wait(STEP, 2);
}

#[test]
fn idle_wait_uses_no_processor() {
    pair!().server(|context| idle(context, Duration::ZERO)).client(|context| idle(context, Duration::ZERO)).run();
}

#[test]
fn idle_wait_uses_no_processor_after_its_spin() {
    pair!()
        .server(|context| idle(context, Duration::from_micros(50)))
        .client(|context| idle(context, Duration::from_micros(50)))
        .run();
}
