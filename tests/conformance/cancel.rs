// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations that are given up one by one: each ends with `ECANCELED`, and the others go on as if it had not been.

use crate::harness::bytes::Stream;
use crate::harness::{done, push_message};
use crate::subject::{
    Subject, accept, close, connected, ends_with, errno, poll_until, pop, pop_stream, push_stream, push_until_full,
    wait,
};
use core::time::Duration;
use margay::{Errno, LibOs, Outcome, Qt, SocketOption};

const STEP: usize = 0;

#[track_caller]
fn cancel(libos: &mut LibOs, qt: Qt) {
    libos.cancel(qt).expect("it is pending");
    assert_eq!(errno(libos.cancel(qt)), Errno::ALREADY, "it has finished");
    assert_eq!(ends_with(libos, qt), Errno::CANCELED);
    assert_eq!(errno(libos.cancel(qt)), Errno::INVAL, "it is spent");
}

pub fn accepts(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos();
        let (listening, address) = side.listen(&mut libos, 8);
        let tokens: Vec<Qt> = (0..4).map(|_| libos.accept(listening).unwrap()).collect();
        cancel(&mut libos, tokens[0]);
        cancel(&mut libos, tokens[2]);
        let near = [side.connect(&mut libos, address), side.connect(&mut libos, address)];
        for (near, qt) in near.into_iter().zip([tokens[1], tokens[3]]) {
            let far = wait(&mut libos, qt).accepted().unwrap();
            side.assert_ends(&mut libos, near, far);
        }
        // With none pending a connection waits for the next.
        let near = side.connect(&mut libos, address);
        let far = accept(&mut libos, listening);
        side.assert_ends(&mut libos, near, far);
    });
}

/// A connect that is given up; the socket connects again, and nobody accepts the first try.
pub fn connects(subject: &Subject) {
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos();
            let listening = side.serve(&mut libos, 4);
            // It does not answer meanwhile.
            side.board.wait(STEP, 1);
            let far = loop {
                let far = accept(&mut libos, listening);
                // A connect that was given up after it was answered may be here; it is at its end.
                let qt = libos.pop(far, None).unwrap();
                match wait(&mut libos, qt).into_message() {
                    Ok(message) if message.to_vec() == b"second try" => break far,
                    Ok(message) => assert!(message.is_empty()),
                    Err(error) => assert_eq!(error.errno(), Errno::CONNRESET),
                }
            };
            push_message(&mut libos, far, b"welcome");
            side.board.wait(STEP, 2);
        })
        .client(|side| {
            let mut libos = side.libos();
            let to = side.announced();
            let qd = side.stream(&mut libos);
            let begun = side.call_in_vain(&mut libos, qd);
            let (pushed, popped) = (libos.push(qd, b"first try").unwrap(), libos.pop(qd, None).unwrap());
            cancel(&mut libos, begun);
            // What was begun behind it has nothing to go to.
            assert_eq!(ends_with(&mut libos, pushed), Errno::NOTCONN);
            assert_eq!(ends_with(&mut libos, popped), Errno::NOTCONN);
            assert_eq!(errno(libos.peer_address(qd)), Errno::NOTCONN);
            side.board.set(STEP, 1);
            let begun = side.begin(&mut libos, qd, to).unwrap();
            connected(&mut libos, begun);
            push_message(&mut libos, qd, b"second try");
            assert_eq!(pop(&mut libos, qd).to_vec(), b"welcome");
            side.board.set(STEP, 2);
        })
        .run();
}

/// Pops from the front, the middle and the end of their queue: they take nothing with them.
pub fn pops(subject: &Subject) {
    subject
        .pair()
        .server(|side| {
            let (mut libos, qd) = side.served();
            let mut stream = Stream::new(side.seed);
            for round in 0..100 {
                let tokens: Vec<Qt> = (0..6).map(|_| libos.pop(qd, Some(50)).unwrap()).collect();
                for index in [0, 2, 5] {
                    cancel(&mut libos, tokens[index]);
                }
                side.board.set(STEP, round + 1);
                for index in [1, 3, 4] {
                    let popped = wait(&mut libos, tokens[index]).into_message().unwrap();
                    assert_eq!(popped.len(), 50);
                    stream.check(&popped);
                }
            }
        })
        .client(|side| {
            let (mut libos, qd) = side.called();
            let mut stream = Stream::new(side.seed);
            for round in 0..100 {
                side.poll_until(&mut libos, STEP, round + 1);
                for _ in 0..3 {
                    push_stream(&mut libos, qd, &mut stream, 50);
                }
            }
            assert!(pop(&mut libos, qd).is_empty());
        })
        .run();
}

/// Pushes behind one that waits for room: those that are given up are not seen by the peer, the others come in order.
pub fn pushes(subject: &Subject) {
    subject.alone(|side| {
        let (mut libos, [near, far]) = side.both_ends_with(|config| side.narrow(config, 4096));
        for round in 0..20 {
            let mut stream = Stream::new(side.seed + round);
            // The first that waits may have gone in part; those behind it have not.
            let (first, taken) = push_until_full(&mut libos, near, &mut stream, 200);
            let mut behind = Vec::new();
            for index in 0..6 {
                let qt = if index % 2 == 0 {
                    libos.push(near, &stream.take(200)[..]).unwrap()
                } else {
                    libos.push(near, &[0xff; 333]).unwrap()
                };
                behind.push(qt);
            }
            for index in [5, 1, 3] {
                cancel(&mut libos, behind[index]);
            }
            pop_stream(&mut libos, far, &mut Stream::new(side.seed + round), taken + 4 * 200);
            for qt in [first, behind[0], behind[2], behind[4]] {
                assert!(matches!(wait(&mut libos, qt).outcome, Outcome::Push));
            }
            assert!(no_more(&mut libos, far));
        }
    });
}

/// A large push that is given up half way: what has gone of it is its beginning, and what comes behind is whole.
pub fn a_push_half_way(subject: &Subject) {
    const LARGE: usize = 400_000;
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos_with(|config| side.narrow(config, 8192));
            let listening = side.serve(&mut libos, 4);
            for round in 0..50 {
                let qd = accept(&mut libos, listening);
                let mut bytes = Vec::new();
                loop {
                    let popped = pop(&mut libos, qd);
                    if popped.is_empty() {
                        break;
                    }
                    bytes.extend(popped.to_vec());
                }
                let (large, marker) =
                    (Stream::new(side.seed + round).take(LARGE), Stream::new(!side.seed - round).take(100));
                let cut = bytes.len() - marker.len();
                assert!(bytes[cut..] == marker[..], "round {round}: the message behind is whole");
                assert!(bytes[..cut] == large[..cut], "round {round}: {cut} bytes of the push that was given up");
                close(&mut libos, qd);
            }
        })
        .client(|side| {
            let mut libos = side.libos_with(|config| side.narrow(config, 8192));
            let mut random = side.random();
            for round in 0..50 {
                let qd = side.call(&mut libos);
                let large = libos.push(qd, &Stream::new(side.seed + round).take(LARGE)[..]).unwrap();
                let marker = libos.push(qd, &Stream::new(!side.seed - round).take(100)[..]).unwrap();
                for _ in 0..random.below(40) {
                    libos.poll();
                }
                match libos.cancel(large) {
                    Ok(()) => assert_eq!(ends_with(&mut libos, large), Errno::CANCELED),
                    Err(error) => {
                        assert_eq!(error.errno(), Errno::ALREADY);
                        done(&mut libos, large);
                    }
                }
                done(&mut libos, marker);
                close(&mut libos, qd);
            }
        })
        .run();
}

/// Nothing is left to pop.
fn no_more(libos: &mut LibOs, qd: margay::Qd) -> bool {
    let qt = libos.pop(qd, None).unwrap();
    let none = libos.wait(qt, Some(Duration::from_millis(1))).is_err();
    libos.cancel(qt).unwrap();
    none && ends_with(libos, qt) == Errno::CANCELED
}

/// A close that lingers is undone: the queue is open again.
pub fn a_close(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos();
        let (near, far, len) = side.ends_with_something_unread(&mut libos);
        libos.set_option(near, SocketOption::Linger(Some(Duration::from_mins(1)))).unwrap();
        let closed = libos.close(near).unwrap();
        assert_eq!(errno(libos.check(near)), Errno::BADF);
        cancel(&mut libos, closed);
        libos.check(near).unwrap();
        libos.set_option(near, SocketOption::Linger(None)).unwrap();
        close(&mut libos, near);
        pop_stream(&mut libos, far, &mut Stream::new(side.seed), len);
        assert!(pop(&mut libos, far).is_empty());
        assert_eq!(libos.queues(), 1);
    });
}

/// Operations that have finished cannot be cancelled, and are as they were.
pub fn too_late(subject: &Subject) {
    subject.alone(|side| {
        let (mut libos, [near, far]) = side.both_ends();
        let popped = libos.pop(far, None).unwrap();
        let pushed = libos.push(near, b"in time").unwrap();
        for _ in 0..20 {
            libos.poll();
            crate::harness::system::sleep(100_000);
        }
        for qt in [pushed, popped] {
            assert_eq!(errno(libos.cancel(qt)), Errno::ALREADY);
        }
        done(&mut libos, pushed);
        assert_eq!(wait(&mut libos, popped).into_message().unwrap().to_vec(), b"in time");
    });
}

/// Waits that run out again and again leave nothing: with `cancel` a server can give up as often as it likes.
pub fn thousands_of_pops_given_up(subject: &Subject) {
    subject.alone(|side| {
        let (mut libos, [near, far]) = side.both_ends_with(|config| config.limits.operations = 16);
        let before = crate::harness::system::private_kib();
        for _ in 0..20_000 {
            let qt = libos.pop(far, None).unwrap();
            assert_eq!(errno(libos.wait(qt, Some(Duration::ZERO))), Errno::TIMEDOUT);
            libos.cancel(qt).unwrap();
            assert_eq!(ends_with(&mut libos, qt), Errno::CANCELED);
        }
        let after = crate::harness::system::private_kib();
        assert!(after <= before + 512, "{after} KiB, before {before}");
        push_message(&mut libos, near, b"still there");
        assert_eq!(pop(&mut libos, far).to_vec(), b"still there");
    });
}

/// Cancelled at any moment against a peer that pushes and closes: bytes come in order, and each token ends once.
pub fn against_a_busy_peer(subject: &Subject) {
    const LEN: u64 = 2_000_000;
    subject
        .pair()
        .server(|side| {
            let (mut libos, qd) = side.served_with(|config| side.narrow(config, 8192));
            let (mut stream, mut random) = (Stream::new(side.seed), side.random());
            let mut canceled = 0;
            loop {
                let qt = libos.pop(qd, Some(random.length(4000))).unwrap();
                if random.below(3) == 0 {
                    for _ in 0..random.below(10) {
                        libos.poll();
                    }
                    canceled += u32::from(libos.cancel(qt).is_ok());
                }
                match wait(&mut libos, qt).into_message() {
                    Ok(end) if end.is_empty() => break,
                    Ok(message) => stream.check(&message),
                    Err(error) => assert_eq!(error.errno(), Errno::CANCELED),
                }
            }
            assert_eq!(stream.at(), LEN);
            println!("{canceled} pops were cancelled in time");
            side.board.set(STEP, 1);
        })
        .client(|side| {
            let (mut libos, qd) = side.called();
            let (mut stream, mut random) = (Stream::new(side.seed), side.random());
            while stream.at() < LEN {
                let len = random.length(5000).min((LEN - stream.at()) as usize);
                push_stream(&mut libos, qd, &mut stream, len);
                if random.below(20) == 0 {
                    crate::harness::system::sleep(random.below(200_000));
                }
            }
            close(&mut libos, qd);
            poll_until(&mut libos, |_| side.board.get(STEP) == 1);
        })
        .run();
}
