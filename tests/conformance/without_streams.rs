// SPDX-License-Identifier: MIT OR Apache-2.0
//! What holds of ports, tokens and waits, by datagram sockets alone: for back ends that have no others, too.

use crate::datagrams::{pop, push_to};
use crate::harness::bytes::message;
use crate::harness::{LIMIT, system};
use crate::subject::{Side, Subject, close, ends_with, errno, poll_for, wait, with_ip};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use margay::config::Spin;
use margay::{Completion, Errno, LibOs, Outcome, Qd, Qt};
use std::collections::HashSet;

/// What a token says that is no longer one.
const SPENT: Errno = Errno::INVAL;

fn wildcard(side: &Side<'_>) -> IpAddr {
    side.backend.domain.unspecified().ip()
}

/// Port 0: some port that nobody has, the same every time it is asked for.
pub fn ports(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos();
        let mut ports = HashSet::new();
        for round in 0..300 {
            let ip = if round % 3 == 0 { wildcard(side) } else { side.host() };
            let qd = side.datagram(&mut libos);
            assert_eq!(libos.local_address(qd).unwrap(), side.backend.domain.unspecified());
            libos.bind(qd, SocketAddr::new(ip, 0)).unwrap();
            let address = libos.local_address(qd).unwrap();
            assert!(address.ip() == ip && address.port() >= 1024, "{address}");
            assert!(ports.insert(address.port()), "{address} was given out twice");
            assert_eq!(errno(libos.bind(qd, side.at(0))), Errno::INVAL, "it is bound");
            assert_eq!(libos.local_address(qd).unwrap(), address);
        }
    });
}

/// An address has one owner; another address or port is another's.
pub fn owners(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos();
        let is_taken = |libos: &mut LibOs, to: SocketAddr| {
            let qd = side.datagram(libos);
            assert_eq!(errno(libos.bind(qd, to)), Errno::ADDRINUSE, "{to}");
            close(libos, qd);
        };
        let bound = |libos: &mut LibOs, to: SocketAddr| {
            let qd = side.datagram(libos);
            libos.bind(qd, to).unwrap();
            qd
        };
        let (first, address) = side.bound_datagram(&mut libos);
        let everywhere = with_ip(address, wildcard(side));
        let elsewhere = with_ip(address, side.other());
        is_taken(&mut libos, address);
        is_taken(&mut libos, everywhere);
        let second = bound(&mut libos, elsewhere);
        close(&mut libos, first);
        is_taken(&mut libos, everywhere);
        close(&mut libos, second);
        let all = bound(&mut libos, everywhere);
        for to in [address, elsewhere, everywhere] {
            is_taken(&mut libos, to);
        }
        close(&mut libos, all);
        bound(&mut libos, address);
        let nobodys = side.datagram(&mut libos);
        assert_eq!(errno(libos.bind(nobodys, with_ip(address, side.backend.foreign))), Errno::ADDRNOTAVAIL);
    });
}

/// Queues that are closed, or never were, and sizes that cannot be.
pub fn bad_calls(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos();
        let (alive, to) = side.bound_datagram(&mut libos);
        let closed = side.datagram(&mut libos);
        close(&mut libos, closed);
        for qd in [Qd::new(77, 0), Qd::new((1 << 20) - 1, 3), closed] {
            assert_eq!(errno(libos.bind(qd, to)), Errno::BADF);
            assert_eq!(errno(libos.connect(qd, to)), Errno::BADF);
            assert_eq!(errno(libos.push_to(qd, b"x", to)), Errno::BADF);
            assert_eq!(errno(libos.pop(qd, None)), Errno::BADF);
            assert_eq!(errno(libos.local_address(qd)), Errno::BADF);
            assert_eq!(errno(libos.close(qd)), Errno::BADF);
        }
        assert_eq!(errno(libos.pop(alive, Some(0))), Errno::INVAL);
        push_to(&mut libos, alive, b"to itself", to);
        assert_eq!(pop(&mut libos, alive).into_message().to_vec(), b"to itself");
        assert_eq!(libos.queues(), 1);
    });
}

/// A wait ends at its limit and not before; the token is as it was, and is spent once.
pub fn limits(subject: &Subject) {
    subject.alone(|side| {
        for spin in [Duration::ZERO, Duration::from_micros(50)] {
            let mut libos = side.libos_with(|config| config.wait.spin = Spin::For(spin));
            let (qd, to) = side.bound_datagram(&mut libos);
            let client = side.datagram(&mut libos);
            let qts = [libos.pop(qd, None).unwrap(), libos.pop(qd, None).unwrap()];
            let mut out = Vec::new();
            for limit in [0, 1, 1_000, 20_000].map(Duration::from_micros) {
                let begun = system::now();
                assert_eq!(errno(libos.wait(qts[0], Some(limit))), Errno::TIMEDOUT);
                assert_eq!(errno(libos.wait_any(&qts, Some(limit))), Errno::TIMEDOUT);
                assert_eq!(errno(libos.wait_next_n(&mut out, 4, Some(limit))), Errno::TIMEDOUT);
                let took = system::now() - begun;
                assert!(u128::from(took) >= 3 * limit.as_nanos(), "{limit:?} took {took} ns");
            }
            push_to(&mut libos, client, b"now", to);
            assert_eq!(libos.wait(qts[0], None).unwrap().into_datagram().unwrap().len(), 3);
            assert_eq!(errno(libos.wait(qts[0], None)), SPENT);
            push_to(&mut libos, client, b"then", to);
            assert_eq!(libos.wait(qts[1], Some(Duration::MAX)).unwrap().into_datagram().unwrap().len(), 4);
        }
    });
}

/// Two that sleep until the other speaks, who takes his time.
pub fn sleepers(subject: &Subject) {
    const ROUNDS: u64 = 200;
    fn sleeper(side: &Side<'_>) -> LibOs {
        side.libos_with(|config| config.wait.spin = Spin::For(Duration::ZERO))
    }
    subject
        .pair()
        .server(|side| {
            let mut libos = sleeper(side);
            let (qd, address) = side.bound_datagram(&mut libos);
            side.announce(address);
            let mut random = side.random();
            for number in 0..ROUNDS {
                let datagram = pop(&mut libos, qd);
                let to = datagram.sender();
                assert!(datagram.into_message().to_vec() == message(500, side.seed, number));
                system::sleep(random.below(500_000));
                push_to(&mut libos, qd, b"heard", to);
            }
        })
        .client(|side| {
            let mut libos = sleeper(side);
            let (qd, to) = (side.datagram(&mut libos), side.announced());
            let mut random = side.random();
            for number in 0..ROUNDS {
                system::sleep(random.below(500_000));
                push_to(&mut libos, qd, &message(500, side.seed, number), to);
                assert_eq!(pop(&mut libos, qd).into_message().to_vec(), b"heard");
            }
        })
        .run();
}

/// Somebody else's loop sleeps on the LibOs' descriptor: it becomes readable for a datagram.
pub fn somebody_elses_loop(subject: &Subject) {
    use rustix::event::{PollFd, PollFlags, poll};
    const ROUNDS: u64 = 100;
    fn owned(libos: &mut LibOs, qt: Qt) -> Completion {
        loop {
            if let Some(completion) = libos.try_wait(qt).unwrap() {
                return completion;
            }
            if libos.arm().unwrap() {
                let mut fds = [PollFd::new(libos, PollFlags::IN)];
                let limit = rustix::time::Timespec { tv_sec: 20, tv_nsec: 0 };
                assert_eq!(poll(&mut fds, Some(&limit)).unwrap(), 1, "nothing became readable");
            }
            libos.poll();
        }
    }
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos();
            let (qd, address) = side.bound_datagram(&mut libos);
            side.announce(address);
            for _ in 0..ROUNDS {
                let qt = libos.pop(qd, None).unwrap();
                let datagram = owned(&mut libos, qt).into_datagram().unwrap();
                let to = datagram.sender();
                let qt = libos.push_to(qd, datagram.into_message(), to).unwrap();
                assert!(matches!(owned(&mut libos, qt).outcome, Outcome::Push));
            }
        })
        .client(|side| {
            let mut libos = side.libos();
            let (qd, to) = (side.datagram(&mut libos), side.announced());
            let mut random = side.random();
            for number in 0..ROUNDS {
                system::sleep(random.below(200_000));
                let qt = libos.push_to(qd, &number.to_le_bytes(), to).unwrap();
                assert!(matches!(owned(&mut libos, qt).outcome, Outcome::Push));
                let qt = libos.pop(qd, None).unwrap();
                let answer = owned(&mut libos, qt).into_datagram().unwrap();
                assert_eq!(answer.into_message().to_vec(), number.to_le_bytes());
            }
        })
        .run();
}

/// Pops that are given up, in any order and often, leave nothing behind and take nothing along.
pub fn given_up(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos_with(|config| config.limits.operations = 16);
        let (qd, to) = side.bound_datagram(&mut libos);
        let client = side.datagram(&mut libos);
        let before = system::private_kib();
        for _ in 0..5000 {
            let qts = [libos.pop(qd, None).unwrap(), libos.pop(qd, None).unwrap()];
            assert_eq!(errno(libos.wait_any(&qts, Some(Duration::ZERO))), Errno::TIMEDOUT);
            for qt in qts {
                libos.cancel(qt).unwrap();
                assert_eq!(errno(libos.cancel(qt)), Errno::ALREADY);
                assert_eq!(ends_with(&mut libos, qt), Errno::CANCELED);
                assert_eq!(errno(libos.cancel(qt)), SPENT);
            }
        }
        let after = system::private_kib();
        assert!(after <= before + 512, "{after} KiB, before {before}");
        push_to(&mut libos, client, b"still there", to);
        assert_eq!(pop(&mut libos, qd).into_message().to_vec(), b"still there");
        // A wake of another thread ends a wait, not the token.
        let qt = libos.pop(qd, None).unwrap();
        let handle = libos.wake_handle();
        let thread = std::thread::spawn(move || handle.wake());
        assert_eq!(errno(libos.wait(qt, None)), Errno::INTR);
        thread.join().unwrap();
        push_to(&mut libos, client, b"and again", to);
        assert_eq!(wait(&mut libos, qt).into_datagram().unwrap().len(), 9);
    });
}

/// Many sockets are waited for at once: each completion is its own token's, the oldest first, in a set or out of it.
pub fn together(subject: &Subject) {
    const ORDER: [usize; 8] = [3, 0, 7, 1, 6, 2, 5, 4];
    subject.alone(|side| {
        let mut libos = side.libos();
        let sockets: Vec<(Qd, SocketAddr)> = (0..8).map(|_| side.bound_datagram(&mut libos)).collect();
        let client = side.datagram(&mut libos);
        let mut qts: Vec<Qt> = sockets.iter().map(|&(qd, _)| libos.pop(qd, None).unwrap()).collect();
        let speak = |libos: &mut LibOs| {
            for queue in ORDER {
                push_to(libos, client, &[queue as u8], sockets[queue].1);
                // It has come before the next one is sent.
                poll_for(libos, Duration::from_millis(2));
            }
        };
        let is = |completion: Completion, queue: usize| {
            assert_eq!(completion.qd, sockets[queue].0);
            assert_eq!(completion.into_datagram().unwrap().into_message().to_vec(), [queue as u8]);
        };
        speak(&mut libos);
        for queue in ORDER {
            let (index, completion) = libos.wait_any(&qts, LIMIT).unwrap();
            qts.remove(index);
            is(completion, queue);
        }
        let set = libos.wait_set();
        for (queue, &(qd, _)) in sockets.iter().enumerate() {
            let qt = libos.pop(qd, None).unwrap();
            if queue % 2 == 0 {
                libos.add_to_wait_set(&set, qt).unwrap();
            }
        }
        speak(&mut libos);
        for queue in ORDER.into_iter().filter(|queue| queue % 2 == 0) {
            is(libos.wait_in_set(&set, LIMIT).unwrap(), queue);
        }
        let mut out = Vec::new();
        while out.len() < 4 {
            libos.wait_next_n(&mut out, 8, LIMIT).unwrap();
        }
        for (completion, queue) in out.into_iter().zip(ORDER.into_iter().filter(|queue| queue % 2 == 1)) {
            is(completion, queue);
        }
        libos.close_wait_set(set).unwrap();
    });
}
