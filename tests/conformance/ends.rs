// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a connection ends: half-closed either way, closed, with and without linger.

use crate::harness::bytes::Stream;
use crate::harness::{LIMIT, Role, pop_message, push_message};
use crate::subject::{
    Side, Subject, accept, close, connected, ends_with, errno, fails, poll_for, pop, pop_rest, pop_stream, push_stream,
    push_until_it_fails, read_end, wait,
};
use core::time::Duration;
use margay::{Errno, LibOs, OptionName, Outcome, Qd, Qt, SocketOption};
use std::net::Shutdown;

const STEP: usize = 0;

/// One side ends what it writes: the other reads all of it, the end once, and goes on writing.
fn one_way(side: &Side<'_>, libos: &mut LibOs, qd: Qd, ends_first: bool) {
    let (mut first, mut second) = (Stream::new(side.seed), Stream::new(side.seed + 1));
    if ends_first {
        for len in [1, 3000, 100, 70_000] {
            push_stream(libos, qd, &mut first, len);
        }
        libos.shutdown(qd, Shutdown::Write).unwrap();
        assert_eq!(errno(libos.push(qd, b"late")), Errno::PIPE);
        assert_eq!(errno(libos.shutdown(qd, Shutdown::Write)), Errno::PIPE);
        pop_rest(libos, qd, &mut second, 50 * 3000);
    } else {
        pop_rest(libos, qd, &mut first, 73_101);
        for _ in 0..50 {
            push_stream(libos, qd, &mut second, 3000);
        }
        libos.shutdown(qd, Shutdown::Write).unwrap();
    }
    close(libos, qd);
    assert_eq!(errno(libos.pop(qd, None)), Errno::BADF);
}

pub fn half_close_by_the_server(subject: &Subject) {
    half_close(subject, Role::Server);
}

pub fn half_close_by_the_client(subject: &Subject) {
    half_close(subject, Role::Client);
}

fn half_close(subject: &Subject, ends_first: Role) {
    let report = subject
        .pair()
        .server(|side| {
            let (mut libos, qd) = side.served_with(|config| side.narrow(config, 16 << 10));
            one_way(side, &mut libos, qd, ends_first == Role::Server);
        })
        .client(|side| {
            let (mut libos, qd) = side.called();
            one_way(side, &mut libos, qd, ends_first == Role::Client);
        })
        .run();
    report.assert_no_files();
}

/// Shut down for reading: pops that wait and those that come get the end once, then `EPIPE`; the peer is not told, and
/// what is written here arrives.
pub fn shut_for_reading(subject: &Subject) {
    subject
        .pair()
        .server(|side| {
            let (mut libos, qd) = side.served();
            push_stream(&mut libos, qd, &mut Stream::new(side.seed), 2000);
            side.board.set(STEP, 1);
            side.board.wait(STEP, 2);
            push_stream(&mut libos, qd, &mut Stream::new(side.seed), 2000);
            pop_rest(&mut libos, qd, &mut Stream::new(side.seed + 1), 5000);
        })
        .client(|side| {
            let (mut libos, qd) = side.called();
            pop_stream(&mut libos, qd, &mut Stream::new(side.seed), 2000);
            let pops: Vec<Qt> = (0..4).map(|_| libos.pop(qd, None).unwrap()).collect();
            libos.shutdown(qd, Shutdown::Read).unwrap();
            let mut ends = pops.into_iter().map(|qt| wait(&mut libos, qt).into_message());
            assert!(ends.next().unwrap().unwrap().is_empty());
            ends.for_each(|end| assert_eq!(errno(end), Errno::PIPE));
            side.board.wait(STEP, 1);
            side.board.set(STEP, 2);
            for _ in 0..3 {
                let begun = libos.pop(qd, None);
                assert_eq!(fails(&mut libos, begun), Errno::PIPE);
            }
            push_stream(&mut libos, qd, &mut Stream::new(side.seed + 1), 5000);
            libos.shutdown(qd, Shutdown::Write).unwrap();
            assert_eq!(errno(libos.push(qd, b"late")), Errno::PIPE);
            // Closed when the peer has read it.
            close(&mut libos, qd);
        })
        .run();
}

pub fn shut_both_ways(subject: &Subject) {
    subject.alone(|side| {
        let (mut libos, [near, far]) = side.both_ends();
        push_message(&mut libos, near, b"last words");
        libos.shutdown(near, Shutdown::Both).unwrap();
        assert_eq!(errno(libos.push(near, b"late")), Errno::PIPE);
        read_end(&mut libos, near);
        assert_eq!(pop(&mut libos, far).to_vec(), b"last words");
        read_end(&mut libos, far);
        // Both addresses are there until it is closed.
        libos.peer_address(near).unwrap();
        assert_eq!(libos.queues(), 2);
    });
}

/// The end comes behind pushes that wait for room, however it is asked for; with many pops outstanding, it is given once.
pub fn the_end_comes_last(subject: &Subject) {
    const PUSHES: usize = 200;
    subject
        .pair()
        .server(|side| {
            let (mut libos, qd) = side.served_with(|config| side.narrow(config, 4096));
            let mut stream = Stream::new(side.seed);
            let pushes: Vec<Qt> = (0..PUSHES).map(|_| libos.push(qd, &stream.take(700)[..]).unwrap()).collect();
            libos.shutdown(qd, Shutdown::Write).unwrap();
            side.board.set(STEP, 1);
            for qt in pushes {
                assert!(matches!(wait(&mut libos, qt).outcome, Outcome::Push));
            }
            read_end(&mut libos, qd);
        })
        .client(|side| {
            let (mut libos, qd) = side.called();
            side.board.wait(STEP, 1);
            let mut stream = Stream::new(side.seed);
            let pops: Vec<Qt> = (0..2 * PUSHES).map(|_| libos.pop(qd, None).unwrap()).collect();
            let (mut ends, mut after) = (0, 0);
            for qt in pops {
                match wait(&mut libos, qt).into_message() {
                    Ok(message) => {
                        assert_eq!(after, 0, "nothing comes after the end");
                        ends += u32::from(message.is_empty());
                        stream.check(&message);
                    }
                    Err(error) => {
                        assert_eq!((error.errno(), ends), (Errno::PIPE, 1));
                        after += 1;
                    }
                }
            }
            assert_eq!((stream.at(), ends), (700 * PUSHES as u64, 1));
            assert_ne!(after, 0);
        })
        .run();
}

/// Pops that wait behind the end are told so, each when it is waited for.
pub fn pops_behind_the_end(subject: &Subject) {
    subject.alone(|side| {
        let (mut libos, [near, far]) = side.both_ends();
        let pops: Vec<Qt> = (0..8).map(|_| libos.pop(far, None).unwrap()).collect();
        push_message(&mut libos, near, b"last words");
        libos.shutdown(near, Shutdown::Write).unwrap();
        let mut ends = pops.into_iter().map(|qt| wait(&mut libos, qt).into_message());
        assert_eq!(ends.next().unwrap().unwrap().to_vec(), b"last words");
        assert!(ends.next().unwrap().unwrap().is_empty());
        ends.for_each(|end| assert_eq!(errno(end), Errno::PIPE));
        // The other way is open.
        push_message(&mut libos, far, b"an answer");
        assert_eq!(pop(&mut libos, near).to_vec(), b"an answer");
    });
}

/// The peer has closed: pops give the rest, the end once, then `EPIPE`; pushes give `EPIPE`, those that waited, too, unless
/// the back end takes them for it.
pub fn the_peer_has_closed(subject: &Subject) {
    subject
        .pair()
        .server(|side| {
            let (mut libos, qd) = side.served();
            side.board.wait(STEP, 1);
            push_stream(&mut libos, qd, &mut Stream::new(side.seed), 10);
            close(&mut libos, qd);
            side.board.set(STEP, 2);
            side.poll_until(&mut libos, STEP, 3);
        })
        .client(|side| {
            let (mut libos, qd) = side.called_with(|config| side.narrow(config, 4096));
            let pops: Vec<Qt> = (0..4).map(|_| libos.pop(qd, None).unwrap()).collect();
            // More than there is room for, and nobody pops them.
            let pushes: Vec<Qt> = (0..400).map(|_| libos.push(qd, &[1; 1000]).unwrap()).collect();
            poll_for(&mut libos, Duration::from_millis(5));
            side.board.set(STEP, 1);
            let mut ends = pops.into_iter().map(|qt| wait(&mut libos, qt).into_message());
            let mut stream = Stream::new(side.seed);
            stream.check(&ends.next().unwrap().unwrap());
            assert_eq!(stream.at(), 10);
            assert!(ends.next().unwrap().unwrap().is_empty());
            ends.for_each(|end| assert_eq!(errno(end), Errno::PIPE));
            side.board.wait(STEP, 2);
            let mut failed = 0;
            for qt in pushes {
                if let Outcome::Failed(error) = wait(&mut libos, qt).outcome {
                    assert_eq!(error.errno(), Errno::PIPE);
                    failed += 1;
                } else {
                    assert_eq!(failed, 0, "pushes complete in order");
                }
            }
            assert!(failed > 0 || side.backend.takes_what_is_late(), "400 messages do not fit");
            if side.backend.takes_what_is_late() {
                // Until nothing has come for a while.
                loop {
                    let qt = libos.push(qd, b"anybody?").unwrap();
                    if !matches!(wait(&mut libos, qt).outcome, Outcome::Push) {
                        break;
                    }
                    poll_for(&mut libos, Duration::from_millis(300));
                }
            }
            assert_eq!(push_until_it_fails(&mut libos, qd), Errno::PIPE);
            close(&mut libos, qd);
            side.board.set(STEP, 3);
        })
        .run();
}

/// Closed twice, and its number used again by another.
pub fn double_close(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos();
        for round in 0..300 {
            let (listening, address) = side.listen(&mut libos, 1);
            let near = side.connect(&mut libos, address);
            let far = accept(&mut libos, listening);
            let mut old = Vec::new();
            for qd in [far, listening, near] {
                let closed = libos.close(qd).unwrap();
                assert_eq!(errno(libos.close(qd)), Errno::BADF, "round {round}");
                old.push(qd);
                assert!(matches!(wait(&mut libos, closed).outcome, Outcome::Close));
                assert_eq!(errno(libos.close(qd)), Errno::BADF);
            }
            let new = side.stream(&mut libos);
            for qd in old {
                assert_ne!(qd, new);
                assert_eq!(errno(libos.close(qd)), Errno::BADF);
            }
            close(&mut libos, new);
            assert_eq!(libos.queues(), 0);
        }
    });
}

/// Without linger a close is done at once, and what was pushed arrives though the process has ended.
pub fn no_linger(subject: &Subject) {
    // Where the host goes with the LibOs, it is what the peer has room for.
    let len = if subject.backend().host_goes_with_libos() { 30_000 } else { 150_000 };
    subject
        .pair()
        .server(|side| {
            let (mut libos, qd) = side.served();
            assert_eq!(libos.option(qd, OptionName::Linger).unwrap(), SocketOption::Linger(None));
            push_stream(&mut libos, qd, &mut Stream::new(side.seed), len);
            let closed = libos.close(qd).unwrap();
            assert!(matches!(wait(&mut libos, closed).outcome, Outcome::Close));
            drop(libos);
            side.board.set(STEP, 1);
        })
        .client(|side| {
            let (mut libos, qd) = side.called();
            side.poll_until(&mut libos, STEP, 1);
            crate::harness::system::sleep(20_000_000);
            pop_rest(&mut libos, qd, &mut Stream::new(side.seed), len);
        })
        .run();
}

/// A linger time of zero: what was published is read, then a reset in place of the end.
pub fn linger_zero(subject: &Subject) {
    subject
        .pair()
        .server(|side| {
            let (mut libos, qd) = side.served();
            libos.set_option(qd, SocketOption::Linger(Some(Duration::ZERO))).unwrap();
            push_stream(&mut libos, qd, &mut Stream::new(side.seed), 5000);
            side.board.wait(STEP, 1);
            close(&mut libos, qd);
            assert_eq!(libos.queues(), 1);
            side.board.wait(STEP, 2);
        })
        .client(|side| {
            let (mut libos, qd) = side.called();
            side.board.set(STEP, 1);
            let mut stream = Stream::new(side.seed);
            let end = loop {
                let qt = libos.pop(qd, None).unwrap();
                match wait(&mut libos, qt).into_message() {
                    Ok(message) => {
                        assert!(!message.is_empty(), "a reset is no end");
                        stream.check(&message);
                    }
                    Err(error) => break error.errno(),
                }
            };
            assert_eq!((end, stream.at()), (Errno::CONNRESET, 5000));
            let begun = libos.pop(qd, None);
            assert_eq!(fails(&mut libos, begun), Errno::CONNRESET);
            assert_eq!(push_until_it_fails(&mut libos, qd), Errno::CONNRESET);
            close(&mut libos, qd);
            side.board.set(STEP, 2);
        })
        .run();
}

/// With a linger time a close is done once the peer has read everything, or has room for it where that is enough.
pub fn linger_until_it_is_read(subject: &Subject) {
    let len = if subject.backend().lingers_until_read() { 20_000 } else { 150_000 };
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos();
            let listening = side.serve(&mut libos, 1);
            libos.set_option(listening, SocketOption::Linger(Some(Duration::from_mins(1)))).unwrap();
            if !side.backend.lingers_until_read() {
                // The whole finds room at this end, also while the peer's window is small.
                libos.set_option(listening, SocketOption::SendBuffer(2 * len)).unwrap();
            }
            for round in 0..3 {
                let qd = accept(&mut libos, listening);
                push_stream(&mut libos, qd, &mut Stream::new(side.seed), len);
                let closed = libos.close(qd).unwrap();
                // The descriptor is gone, the close is not done.
                assert_eq!(errno(libos.push(qd, b"late")), Errno::BADF);
                let error = libos.wait(closed, Some(Duration::from_millis(20))).unwrap_err();
                assert_eq!(error.errno(), Errno::TIMEDOUT);
                side.board.set(STEP, round + 1);
                assert!(matches!(libos.wait(closed, LIMIT).unwrap().outcome, Outcome::Close));
            }
            assert_eq!(libos.queues(), 1);
        })
        .client(|side| {
            let mut libos = side.libos();
            for round in 0..3 {
                let qd = side.stream(&mut libos);
                if !side.backend.lingers_until_read() {
                    libos.set_option(qd, SocketOption::ReceiveBuffer(4096)).unwrap();
                }
                let begun = side.begin(&mut libos, qd, side.announced()).unwrap();
                connected(&mut libos, begun);
                // It takes in meanwhile what comes for the one before, which is closed.
                side.poll_until(&mut libos, STEP, round + 1);
                // Read, or closed without reading, or read in part only.
                match round {
                    0 => pop_rest(&mut libos, qd, &mut Stream::new(side.seed), len),
                    1 => {}
                    _ => pop_stream(&mut libos, qd, &mut Stream::new(side.seed), 10_000),
                }
                if round > 0 {
                    close(&mut libos, qd);
                }
            }
        })
        .run();
}

/// Nobody reads: a close with a linger time is done after that, never before it.
pub fn linger_runs_out(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos();
        let (near, far, _) = side.ends_with_something_unread(&mut libos);
        libos.set_option(near, SocketOption::Linger(Some(Duration::from_millis(50)))).unwrap();
        let begun = crate::harness::system::now();
        let closed = libos.close(near).unwrap();
        let completion = wait(&mut libos, closed);
        assert!(crate::harness::system::now() - begun >= 50_000_000, "it was closed too early");
        assert_eq!((completion.qd, completion.qt), (near, closed));
        assert_eq!(libos.queues(), 1);
        libos.check(far).unwrap();
        // With everything read, the end included, there is nothing to wait for.
        let [near, far] = side.two_ends(&mut libos);
        libos.set_option(near, SocketOption::Linger(Some(Duration::from_mins(1)))).unwrap();
        push_stream(&mut libos, near, &mut Stream::new(side.seed), 1000);
        pop_stream(&mut libos, far, &mut Stream::new(side.seed), 1000);
        let closed = libos.close(near).unwrap();
        read_end(&mut libos, far);
        assert!(matches!(wait(&mut libos, closed).outcome, Outcome::Close));
    });
}

/// A LibOs that goes takes its sockets with it: ends for the peers, refusals for those who wait, and no file is left.
pub fn libos_dropped(subject: &Subject) {
    let report = subject
        .pair()
        .server(|side| {
            let mut libos = side.libos();
            let listening = side.serve(&mut libos, 2);
            let qd = accept(&mut libos, listening);
            push_stream(&mut libos, qd, &mut Stream::new(side.seed), 500);
            side.poll_until(&mut libos, STEP, 1);
            let (bound, _) = side.bound_datagram(&mut libos);
            libos.pop(bound, None).unwrap();
            libos.accept(listening).unwrap();
            libos.pop(qd, None).unwrap();
            drop(libos);
            side.board.set(STEP, 2);
            side.board.wait(STEP, 3);
        })
        .client(|side| {
            let (mut libos, first) = side.called();
            let second = side.call(&mut libos);
            let popped = libos.pop(second, None).unwrap();
            side.board.set(STEP, 1);
            // It was accepted or not.
            match wait(&mut libos, popped).into_message() {
                Ok(end) => assert!(end.is_empty()),
                Err(error) => assert_eq!(error.errno(), Errno::CONNRESET),
            }
            pop_rest(&mut libos, first, &mut Stream::new(side.seed), 500);
            side.board.wait(STEP, 2);
            if !side.backend.host_goes_with_libos() {
                let qd = side.stream(&mut libos);
                let begun = side.begin(&mut libos, qd, side.announced()).unwrap();
                assert_eq!(ends_with(&mut libos, begun), Errno::CONNREFUSED);
            }
            side.board.set(STEP, 3);
        })
        .run();
    report.assert_no_files();
}

/// A peer that keeps sending hears of the end of a LibOs, too: it does not wait for somebody who is gone.
pub fn libos_dropped_under_a_flood(subject: &Subject) {
    const UNDER_WAY: usize = 32;
    subject
        .pair()
        .server(|side| {
            let (mut libos, qd) = side.served();
            for _ in 0..10 {
                assert!(!pop_message(&mut libos, qd).is_empty());
            }
            drop(libos);
            // Its host stays, where it is of the kernel.
            side.board.wait(STEP, 1);
        })
        .client(|side| {
            let (mut libos, qd) = side.called();
            let (mut under_way, mut out) = (0, Vec::new());
            let error = loop {
                if under_way < UNDER_WAY {
                    match libos.push(qd, &[5; 500]) {
                        Ok(_) => under_way += 1,
                        Err(error) => break error,
                    }
                    continue;
                }
                under_way -= libos.wait_next_n(&mut out, UNDER_WAY, LIMIT).expect("it ends in time");
                if let Some(error) = out.drain(..).find_map(|completion| completion.ok().err()) {
                    break error;
                }
            };
            assert!([Errno::CONNRESET, Errno::PIPE].contains(&error.errno()), "{error}");
            side.board.set(STEP, 1);
        })
        .run();
}
