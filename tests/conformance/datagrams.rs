// SPDX-License-Identifier: MIT OR Apache-2.0
//! Datagram sockets: each message whole, with its sender's address, from whom it should be. What is lost is in `losses`.

use crate::harness::bytes::{matches, message};
use crate::harness::{LIMIT, done};
use crate::subject::{Side, Subject, close, ends_with, errno, fails, wait, with_ip};
use core::net::SocketAddr;
use core::time::Duration;
use margay::{Datagram, Errno, LibOs, Outcome, Qd, Qt, Sga};
use std::net::Shutdown;

const STEP: usize = 0;

/// Pushes a datagram and waits for that.
#[track_caller]
pub fn push_to(libos: &mut LibOs, qd: Qd, bytes: &[u8], to: SocketAddr) {
    let qt = libos.push_to(qd, bytes, to).expect("the queue takes it");
    done(libos, qt);
}

/// Pops a datagram.
#[track_caller]
pub fn pop(libos: &mut LibOs, qd: Qd) -> Datagram {
    let qt = libos.pop(qd, None).expect("the queue is open");
    wait(libos, qt).into_datagram().expect("it succeeds")
}

/// What comes within so many milliseconds.
#[track_caller]
pub fn pop_within(libos: &mut LibOs, qd: Qd, milliseconds: u64) -> Option<Datagram> {
    let qt = libos.pop(qd, None).expect("the queue is open");
    match libos.wait(qt, Some(Duration::from_millis(milliseconds))) {
        Ok(completion) => Some(completion.into_datagram().expect("it succeeds")),
        Err(error) => {
            assert_eq!(error.errno(), Errno::TIMEDOUT);
            libos.cancel(qt).expect("it is pending");
            assert_eq!(ends_with(libos, qt), Errno::CANCELED);
            None
        }
    }
}

/// Nothing comes for a while.
#[track_caller]
pub fn assert_silent(libos: &mut LibOs, qd: Qd) {
    assert!(pop_within(libos, qd, 10).is_none(), "a datagram that nobody sent here");
}

/// Datagrams of every length keep their boundaries, the empty one and the longest among them, and their sender.
pub fn boundaries(subject: &Subject) {
    let longest = subject.backend().longest;
    let lengths = [0, 1, 2, 63, 64, 1472, 1473, 2048, 9000, 40_000, longest - 1, longest];
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos();
            let (qd, address) = side.bound_datagram(&mut libos);
            side.announce(address);
            let mut client = None;
            for round in 0..20 {
                for len in lengths {
                    let datagram = pop(&mut libos, qd);
                    assert_eq!(datagram.len(), len);
                    assert_eq!(*client.get_or_insert(datagram.sender()), datagram.sender());
                    assert!(matches(&datagram.into_message(), side.seed, round * 100 + len as u64));
                    // One at a time, so that none is lost.
                    push_to(&mut libos, qd, b"", client.unwrap());
                }
            }
        })
        .client(|side| {
            let mut libos = side.libos();
            let (qd, to) = (side.datagram(&mut libos), side.announced());
            assert_eq!(libos.local_address(qd).unwrap(), side.backend.domain.unspecified());
            for round in 0..20 {
                for len in lengths {
                    let bytes = message(len, side.seed, round * 100 + len as u64);
                    // In one piece or in many.
                    if round % 2 == 0 || len == 0 {
                        push_to(&mut libos, qd, &bytes, to);
                    } else {
                        let mut pieces = Sga::new();
                        for piece in bytes.chunks(len.div_ceil(60)) {
                            let mut segment = libos.alloc(piece.len()).unwrap();
                            segment.get_mut().unwrap().copy_from_slice(piece);
                            pieces.push_back(segment).unwrap();
                        }
                        let qt = libos.push_to(qd, pieces, to).unwrap();
                        done(&mut libos, qt);
                    }
                    let answer = pop(&mut libos, qd);
                    assert_eq!((answer.sender(), answer.is_empty()), (to, true));
                }
            }
            let local = libos.local_address(qd).unwrap();
            assert_ne!(local.port(), 0);
            assert_eq!(libos.counters().drops, 0);
        })
        .run();
}

pub fn errors(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos();
        let (server, to) = side.bound_datagram(&mut libos);
        let qd = side.datagram(&mut libos);
        let begun = libos.push(qd, b"to whom?");
        assert_eq!(fails(&mut libos, begun), Errno::DESTADDRREQ);
        assert_eq!(errno(libos.peer_address(qd)), Errno::NOTCONN);
        let long = vec![1; side.backend.longest + 1];
        let begun = libos.push_to(qd, &long[..], to);
        assert_eq!(fails(&mut libos, begun), Errno::MSGSIZE);
        let family = if side.backend.host.is_ipv4() { "[::1]:9" } else { "127.0.0.1:9" };
        let begun = libos.push_to(qd, b"x", family.parse().unwrap());
        assert_eq!(fails(&mut libos, begun), Errno::AFNOSUPPORT);
        let begun = libos.push_to(qd, b"x", side.at(0));
        assert_eq!(fails(&mut libos, begun), Errno::ADDRNOTAVAIL);
        let begun = libos.push_to(qd, b"x", with_ip(to, side.backend.foreign));
        assert_eq!(fails(&mut libos, begun), Errno::NETUNREACH);
        let begun = libos.connect(qd, family.parse().unwrap());
        assert_eq!(fails(&mut libos, begun), Errno::AFNOSUPPORT);
        assert_eq!(errno(libos.listen(server, 1)), Errno::OPNOTSUPP);
        assert_eq!(errno(libos.accept(server)), Errno::OPNOTSUPP);
        assert_eq!(errno(libos.shutdown(server, Shutdown::Read)), Errno::OPNOTSUPP);
        // None of that got anywhere.
        assert_silent(&mut libos, server);
        push_to(&mut libos, qd, b"this does", to);
        assert_eq!(pop(&mut libos, server).into_message().to_vec(), b"this does");
        assert_eq!(libos.counters().drops, 0);
        let begun = libos.connect(qd, to).unwrap();
        assert!(matches!(wait(&mut libos, begun).outcome, Outcome::Connect));
        let begun = libos.push(qd, &long[..]);
        assert_eq!(fails(&mut libos, begun), Errno::MSGSIZE);
    });
}

/// An unbound client gets an address with its first datagram, keeps it, and is answered there.
pub fn reply_to_the_sender(subject: &Subject) {
    fn asks(side: &Side<'_>) {
        let mut libos = side.libos();
        let (qd, to) = (side.datagram(&mut libos), side.announced());
        let mut own = None;
        for number in 0..500 {
            push_to(&mut libos, qd, &message(40, side.seed ^ side.role as u64, number), to);
            let local = libos.local_address(qd).unwrap();
            assert_ne!(local.port(), 0);
            assert_eq!(*own.get_or_insert(local.port()), local.port());
            let answer = pop(&mut libos, qd);
            assert_eq!(answer.sender(), to);
            // What it says is who it saw.
            let answer = answer.into_message().to_vec();
            let (question, seen) = answer.split_at(40);
            assert!(question == message(40, side.seed ^ side.role as u64, number), "question {number}");
            let seen: SocketAddr = core::str::from_utf8(seen).unwrap().parse().unwrap();
            assert_eq!(seen.port(), local.port());
            // A kernel with two of IPv6 on one link takes either.
            assert!([side.host(), side.other()].contains(&seen.ip()), "{seen}");
        }
    }
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos();
            let (qd, address) = side.bound_datagram(&mut libos);
            side.announce(address);
            for _ in 0..1000 {
                let datagram = pop(&mut libos, qd);
                let sender = datagram.sender();
                let mut answer = datagram.into_message().to_vec();
                answer.extend(sender.to_string().bytes());
                push_to(&mut libos, qd, &answer, sender);
            }
        })
        .client(asks)
        .third(asks)
        .run();
}

/// A server at the wildcard gets what is sent to any address of this host.
pub fn wildcard_server(subject: &Subject) {
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos();
            let qd = side.datagram(&mut libos);
            libos.bind(qd, side.backend.domain.unspecified()).unwrap();
            side.announce(libos.local_address(qd).unwrap());
            for number in 0..2 {
                let datagram = pop(&mut libos, qd);
                let sender = datagram.sender();
                assert!(!sender.ip().is_unspecified() && sender.port() != 0, "{sender}");
                assert_eq!(datagram.into_message().to_vec(), [number]);
                push_to(&mut libos, qd, &[number + 10], sender);
            }
            // Who works goes on: the last one may have to find its way.
            side.poll_until(&mut libos, STEP, 1);
        })
        .client(|side| {
            let mut libos = side.libos();
            let to = side.announced();
            let pairs = [(side.host(), side.backend.host), (side.other(), side.backend.other)];
            for (number, (own, server)) in pairs.into_iter().enumerate() {
                let qd = side.datagram(&mut libos);
                libos.bind(qd, with_ip(side.at(0), own)).unwrap();
                push_to(&mut libos, qd, &[number as u8], with_ip(to, server));
                let answer = pop(&mut libos, qd);
                assert_eq!(answer.sender().port(), to.port());
                assert_eq!(answer.into_message().to_vec(), [number as u8 + 10]);
            }
            side.board.set(STEP, 1);
        })
        .run();
}

/// A connected socket pushes without an address, hears its peer only, and can be given another.
pub fn connected_filter(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos();
        let (first, to_first) = side.bound_datagram(&mut libos);
        let (second, to_second) = side.bound_datagram(&mut libos);
        let (qd, own) = side.bound_datagram(&mut libos);
        let begun = libos.connect(qd, to_first).unwrap();
        assert!(matches!(wait(&mut libos, begun).outcome, Outcome::Connect));
        assert_eq!(libos.peer_address(qd).unwrap(), to_first);
        assert_eq!(libos.local_address(qd).unwrap().port(), own.port());
        let qt = libos.push(qd, b"to the first").unwrap();
        done(&mut libos, qt);
        let datagram = pop(&mut libos, first);
        assert_eq!(datagram.sender(), own);
        assert_eq!(datagram.into_message().to_vec(), b"to the first");
        push_to(&mut libos, second, b"from the second", own);
        push_to(&mut libos, first, b"from the first", own);
        let datagram = pop(&mut libos, qd);
        assert_eq!((datagram.sender(), datagram.into_message().to_vec()), (to_first, b"from the first".to_vec()));
        assert_silent(&mut libos, qd);
        // Another peer.
        let begun = libos.connect(qd, to_second).unwrap();
        assert!(matches!(wait(&mut libos, begun).outcome, Outcome::Connect));
        assert_eq!(libos.peer_address(qd).unwrap(), to_second);
        let qt = libos.push(qd, b"to the second").unwrap();
        done(&mut libos, qt);
        assert_eq!(pop(&mut libos, second).into_message().to_vec(), b"to the second");
        assert_silent(&mut libos, first);
        push_to(&mut libos, second, b"welcome", own);
        loop {
            // What it said before may have been on its way until now.
            let datagram = pop(&mut libos, qd);
            assert_eq!(datagram.sender(), to_second);
            let bytes = datagram.into_message().to_vec();
            if bytes == b"welcome" {
                break;
            }
            assert_eq!(bytes, b"from the second");
        }
    });
}

/// Two connected to each other, as a stream would be; an empty datagram is no end.
pub fn connected_both_ways(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos();
        let ((one, at_one), (two, at_two)) = (side.bound_datagram(&mut libos), side.bound_datagram(&mut libos));
        for (qd, to) in [(one, at_two), (two, at_one)] {
            let begun = libos.connect(qd, to).unwrap();
            assert!(matches!(wait(&mut libos, begun).outcome, Outcome::Connect));
        }
        for number in 0..200 {
            for (from, to) in [(one, two), (two, one)] {
                let len = [0, 1, 500, 5000][number as usize % 4];
                let qt = libos.push(from, &message(len, side.seed, number)[..]).unwrap();
                done(&mut libos, qt);
                let datagram = pop(&mut libos, to);
                assert_eq!(datagram.len(), len);
                assert!(matches(&datagram.into_message(), side.seed, number));
            }
        }
        libos.shutdown(one, Shutdown::Write).unwrap();
        assert_eq!(errno(libos.push(one, b"late")), Errno::PIPE);
        assert_eq!(errno(libos.push_to(one, b"late", at_two)), Errno::PIPE);
        let qt = libos.push(two, b"still heard").unwrap();
        done(&mut libos, qt);
        assert_eq!(pop(&mut libos, one).into_message().to_vec(), b"still heard");
        close(&mut libos, one);
        close(&mut libos, two);
        assert_eq!(libos.queues(), 0);
    });
}

/// What a pop's size cuts off is lost; the next datagram is whole.
pub fn sized_pops(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos();
        let (qd, to) = side.bound_datagram(&mut libos);
        let client = side.datagram(&mut libos);
        for number in 0..10 {
            push_to(&mut libos, client, &message(3000, side.seed, number), to);
        }
        for number in 0..10 {
            let size = [1, 100, 2999, 3000, 1 << 20][number as usize % 5];
            let qt = libos.pop(qd, Some(size)).unwrap();
            let datagram = wait(&mut libos, qt).into_datagram().unwrap();
            assert_eq!(datagram.sender().port(), libos.local_address(client).unwrap().port());
            assert_eq!(datagram.len(), size.min(3000));
            let expected = message(3000, side.seed, number);
            assert!(datagram.into_message().to_vec() == expected[..size.min(3000)], "datagram {number}");
        }
        assert_silent(&mut libos, qd);
    });
}

/// Pops that wait are served in order, and end with the socket.
pub fn pops_wait(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos();
        let (qd, to) = side.bound_datagram(&mut libos);
        let pops: Vec<Qt> = (0..6).map(|_| libos.pop(qd, None).unwrap()).collect();
        let client = side.datagram(&mut libos);
        libos.cancel(pops[1]).unwrap();
        assert_eq!(ends_with(&mut libos, pops[1]), Errno::CANCELED);
        for number in 0..3 {
            push_to(&mut libos, client, &[number], to);
        }
        for (number, index) in [0, 2, 3].into_iter().enumerate() {
            let datagram = wait(&mut libos, pops[index]).into_datagram().unwrap();
            assert_eq!(datagram.into_message().to_vec(), [number as u8]);
        }
        let closed = libos.close(qd).unwrap();
        for index in [4, 5] {
            assert_eq!(ends_with(&mut libos, pops[index]), Errno::CANCELED);
        }
        assert!(matches!(libos.wait(closed, LIMIT).unwrap().outcome, Outcome::Close));
    });
}
