// SPDX-License-Identifier: MIT OR Apache-2.0
//! A LibOs inside somebody else's epoll loop: armed before each wait, polled after it, and nothing is lost.

use crate::harness::{Context, Role, pair};
use margay::config::Spin;
use margay::{LibOs, Outcome, Qd};
use rustix::event::{Timespec, epoll};
use std::os::fd::AsFd;

const COUNT: u64 = 10_000;

struct Loop {
    epoll: std::os::fd::OwnedFd,
    slept: u64,
}

impl Loop {
    fn new(libos: &LibOs) -> Self {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        epoll::add(&epoll, libos.readiness_fd(), epoll::EventData::new_u64(1), epoll::EventFlags::IN).unwrap();
        Self { epoll, slept: 0 }
    }

    /// As an application would: sleeps only when the LibOs says that it may.
    fn turn(&mut self, libos: &mut LibOs) {
        if libos.arm().unwrap() {
            let mut events = Vec::with_capacity(4);
            let limit = Timespec { tv_sec: 20, tv_nsec: 0 };
            let ready =
                epoll::wait(self.epoll.as_fd(), rustix::buffer::spare_capacity(&mut events), Some(&limit)).unwrap();
            assert_ne!(ready, 0, "nothing came, but the other side has more to say");
            self.slept += 1;
        }
        libos.poll();
    }
}

/// Both sides in such loops: a window of messages there, each answered.
fn play(context: &Context, libos: &mut LibOs, qd: Qd) {
    let mut turns = Loop::new(libos);
    let client = context.role == Role::Client;
    let mut random = context.random();
    let (mut pushed, mut popped, mut out) = (0, 0, Vec::with_capacity(16));
    libos.pop(qd, None).unwrap();
    let mut window = 1;
    while popped < COUNT {
        while client && pushed < COUNT && pushed - popped < window {
            libos.push(qd, &pushed.to_le_bytes()).unwrap();
            pushed += 1;
        }
        while libos.wait_next_n(&mut out, 16, Some(core::time::Duration::ZERO)).is_ok() {}
        if out.is_empty() {
            turns.turn(libos);
        }
        for completion in out.drain(..) {
            match completion.outcome {
                Outcome::Push => {}
                Outcome::Pop(message) => {
                    assert_eq!(message.to_vec(), popped.to_le_bytes());
                    popped += 1;
                    if !client {
                        libos.push(qd, message).unwrap();
                    }
                    if popped < COUNT {
                        libos.pop(qd, None).unwrap();
                    }
                    window = 1 + random.below(40);
                }
                other => panic!("{other:?}"),
            }
        }
    }
    println!("slept {} times", turns.slept);
}

#[test]
fn nothing_is_lost_in_an_outer_loop() {
    pair!()
        .server(|context| {
            let mut libos = context.libos_with(|config| config.wait.spin = Spin::For(core::time::Duration::ZERO));
            let qd = libos.create_pipe("outer").unwrap();
            play(context, &mut libos, qd);
            // The client leaves first.
            assert!(crate::harness::pop_message(&mut libos, qd).is_empty());
        })
        .client(|context| {
            let mut libos = context.libos();
            let qd = context.open(&mut libos, "outer");
            play(context, &mut libos, qd);
        })
        .run();
}

/// The handshake, a wake from another thread and the peer's end come through the descriptor as well.
#[test]
fn everything_comes_through_the_descriptor() {
    pair!()
        .server(|context| {
            let mut libos = context.libos();
            let mut turns = Loop::new(&libos);
            let handle = libos.wake_handle();
            let thread = std::thread::spawn(move || {
                crate::harness::system::sleep(1_000_000);
                handle.wake();
            });
            turns.turn(&mut libos);
            thread.join().unwrap();
            let qd = libos.create_pipe("all").unwrap();
            for expected in [&b"hello"[..], b""] {
                let qt = libos.pop(qd, None).unwrap();
                let popped = loop {
                    if let Some(done) = libos.try_wait(qt).unwrap() {
                        break done.into_message().unwrap();
                    }
                    turns.turn(&mut libos);
                };
                assert_eq!(popped.to_vec(), expected);
            }
        })
        .client(|context| {
            let mut libos = context.libos();
            let qd = context.open(&mut libos, "all");
            let mut turns = Loop::new(&libos);
            let qt = libos.push(qd, b"hello").unwrap();
            while libos.try_wait(qt).unwrap().is_none() {
                turns.turn(&mut libos);
            }
            crate::harness::system::sleep(2_000_000);
        })
        .run();
}
