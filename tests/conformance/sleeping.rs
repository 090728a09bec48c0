// SPDX-License-Identifier: MIT OR Apache-2.0
//! Waits that last: their limits, what wakes them, and the descriptor that stands in for them.

use crate::harness::{done, pop_message, push_message};
use crate::subject::{Side, Subject, accept, close, connected, errno, wait};
use core::time::Duration;
use margay::config::Spin;
use margay::{Errno, LibOs, Outcome, Qt};

const STEP: usize = 0;

/// Zero looks once, a short one comes back, and both leave the token as it was: of an accept, a connect, a pop, a push.
pub fn timeouts(subject: &Subject) {
    const LARGE: usize = 1_000_000;
    const SILENT: usize = 1;
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos_with(|config| side.narrow(config, 4096));
            let listening = side.serve(&mut libos, 1);
            let far = accept(&mut libos, listening);
            // From here on nobody is answered.
            side.board.set(SILENT, 1);
            side.board.wait(STEP, 1);
            accept(&mut libos, listening);
            for _ in 0..2 {
                push_message(&mut libos, far, b"now");
            }
            let mut len = 0;
            while len < LARGE {
                len += pop_message(&mut libos, far).len();
            }
            side.board.wait(STEP, 2);
        })
        .client(|side| {
            for spin in [Duration::ZERO, Duration::from_micros(50)] {
                let mut libos = side.libos_with(|config| config.wait.spin = Spin::For(spin));
                let (listening, _) = side.listen(&mut libos, 1);
                let qts = [libos.accept(listening).unwrap(), libos.accept(listening).unwrap()];
                let mut out = Vec::new();
                for timeout in [0, 1, 1_000, 20_000].map(Duration::from_micros) {
                    let begun = crate::harness::system::now();
                    assert_eq!(errno(libos.wait(qts[0], Some(timeout))), Errno::TIMEDOUT);
                    assert_eq!(errno(libos.wait_any(&qts, Some(timeout))), Errno::TIMEDOUT);
                    assert_eq!(errno(libos.wait_next_n(&mut out, 4, Some(timeout))), Errno::TIMEDOUT);
                    // Never too early.
                    let took = crate::harness::system::now() - begun;
                    assert!(u128::from(took) >= 3 * timeout.as_nanos(), "{timeout:?} took {took} ns");
                }
                assert!(out.is_empty());
            }
            let short = Some(Duration::from_millis(5));
            let (mut libos, near) = side.called_with(|config| side.narrow(config, 4096));
            let popped = libos.pop(near, None).unwrap();
            let pushed = libos.push(near, &vec![7; LARGE][..]).unwrap();
            side.board.wait(SILENT, 1);
            let calling = side.stream(&mut libos);
            let connecting = side.call_in_vain(&mut libos, calling);
            for qt in [popped, pushed, connecting] {
                assert_eq!(errno(libos.wait(qt, short)), Errno::TIMEDOUT);
                assert_eq!(errno(libos.wait(qt, Some(Duration::ZERO))), Errno::TIMEDOUT);
            }
            side.board.set(STEP, 1);
            side.get_through(&mut libos, calling, connecting);
            // No limit, and the longest that can be said.
            assert!(libos.wait(popped, None).unwrap().into_message().unwrap().len() >= 3);
            assert_eq!(errno(libos.wait(popped, None)), Errno::INVAL, "a token is spent once");
            assert!(libos.wait(pushed, Some(Duration::MAX)).unwrap().ok().is_ok());
            side.board.set(STEP, 2);
        })
        .run();
}

/// A server that sleeps is woken by a connect, by data and by room; so is a client by all that answers it.
pub fn sleepers_are_woken(subject: &Subject) {
    // Each takes hundreds of sleeps, at both ends and in a wire that is a program.
    const ROUNDS: u64 = 100;
    fn sleeper(side: &Side<'_>) -> LibOs {
        side.libos_with(|config| {
            config.wait.spin = Spin::For(Duration::ZERO);
            side.narrow(config, 4096);
        })
    }
    subject
        .pair()
        .server(|side| {
            let mut libos = sleeper(side);
            let listening = side.serve(&mut libos, 4);
            let mut random = side.random();
            for _ in 0..ROUNDS {
                let qd = accept(&mut libos, listening);
                let mut len = 0;
                while len < 100_000 {
                    len += pop_message(&mut libos, qd).len();
                    if random.below(50) == 0 {
                        crate::harness::system::sleep(random.below(300_000));
                    }
                }
                push_message(&mut libos, qd, b"got it");
                assert!(pop_message(&mut libos, qd).is_empty());
                close(&mut libos, qd);
            }
        })
        .client(|side| {
            let mut libos = sleeper(side);
            let mut random = side.random();
            for _ in 0..ROUNDS {
                if random.below(10) == 0 {
                    crate::harness::system::sleep(random.below(300_000));
                }
                let qd = side.call(&mut libos);
                let qt = libos.push(qd, &vec![1; 100_000][..]).unwrap();
                done(&mut libos, qt);
                assert_eq!(pop_message(&mut libos, qd).to_vec(), b"got it");
                close(&mut libos, qd);
            }
        })
        .run();
}

/// Two threads, a LibOs each, connected to each other: both work at once, and neither needs the other's hand.
pub fn two_threads(subject: &Subject) {
    subject.alone(|side| {
        let config = side.config();
        let mut libos = side.libos();
        let (listening, address) = side.listen(&mut libos, 1);
        let domain = side.backend.domain;
        let thread = std::thread::spawn(move || {
            let mut libos = LibOs::new(&config).unwrap();
            let qd = libos.socket(domain, margay::Kind::Stream).unwrap();
            let begun = libos.connect(qd, address).unwrap();
            connected(&mut libos, begun);
            for round in 0..2000_u64 {
                push_message(&mut libos, qd, &round.to_le_bytes());
                assert_eq!(pop_message(&mut libos, qd).to_vec(), round.to_le_bytes());
            }
        });
        let qd = accept(&mut libos, listening);
        for round in 0..2000_u64 {
            assert_eq!(pop_message(&mut libos, qd).to_vec(), round.to_le_bytes());
            push_message(&mut libos, qd, &round.to_le_bytes());
        }
        assert!(pop_message(&mut libos, qd).is_empty());
        thread.join().unwrap();
    });
}

/// Another thread wakes a wait for a socket; the token is pending as before.
pub fn woken_by_another_thread(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos_with(|config| config.wait.spin = Spin::For(Duration::ZERO));
        let (listening, address) = side.listen(&mut libos, 1);
        let qt = libos.accept(listening).unwrap();
        for _ in 0..50 {
            let handle = libos.wake_handle();
            let thread = std::thread::spawn(move || handle.wake());
            assert_eq!(errno(libos.wait(qt, None)), Errno::INTR);
            thread.join().unwrap();
        }
        let near = side.connect(&mut libos, address);
        assert!(wait(&mut libos, qt).accepted().is_ok());
        libos.check(near).unwrap();
    });
}

/// The readiness descriptor becomes readable for a connection, for data, and for the end.
pub fn readiness(subject: &Subject) {
    use rustix::event::{PollFd, PollFlags, poll};
    fn owned(libos: &mut LibOs, qt: Qt) -> margay::Completion {
        loop {
            if let Some(completion) = libos.try_wait(qt).unwrap() {
                return completion;
            }
            if libos.arm().unwrap() {
                let mut fds = [PollFd::new(libos, PollFlags::IN)];
                let limit = rustix::time::Timespec { tv_sec: 20, tv_nsec: 0 };
                match poll(&mut fds, Some(&limit)) {
                    // Drivers of DPDK may have signals of their own: net_tap has one for what has come.
                    Err(rustix::io::Errno::INTR) => {}
                    polled => assert_eq!(polled, Ok(1), "nothing became readable"),
                }
            }
            libos.poll();
        }
    }
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos();
            let listening = side.serve(&mut libos, 4);
            for round in 0..50 {
                let qt = libos.accept(listening).unwrap();
                let qd = owned(&mut libos, qt).accepted().unwrap();
                let qt = libos.pop(qd, None).unwrap();
                side.board.set(STEP, round + 1);
                assert_eq!(owned(&mut libos, qt).into_message().unwrap().to_vec(), b"data");
                let qt = libos.pop(qd, None).unwrap();
                assert!(owned(&mut libos, qt).into_message().unwrap().is_empty());
                let qt = libos.close(qd).unwrap();
                assert!(matches!(owned(&mut libos, qt).outcome, Outcome::Close));
            }
        })
        .client(|side| {
            let mut libos = side.libos();
            let to = side.announced();
            let mut random = side.random();
            for round in 0..50 {
                crate::harness::system::sleep(random.below(200_000));
                let qd = side.stream(&mut libos);
                let qt = side.begin(&mut libos, qd, to).unwrap();
                assert!(matches!(owned(&mut libos, qt).outcome, Outcome::Connect));
                side.board.wait(STEP, round + 1);
                crate::harness::system::sleep(random.below(200_000));
                push_message(&mut libos, qd, b"data");
                crate::harness::system::sleep(random.below(200_000));
                close(&mut libos, qd);
            }
        })
        .run();
}
