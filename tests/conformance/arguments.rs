// SPDX-License-Identifier: MIT OR Apache-2.0
//! Calls with wrong arguments, or at the wrong time: each errno that the API's pages name.

use crate::harness::bytes::Stream;
use crate::harness::{done, pop_message, push_message};
use crate::subject::{Side, Subject, accept, close, connected, ends_with, errno, fails, pop_rest, wait, with_ip};
use core::net::SocketAddr;
use core::time::Duration;
use margay::{Errno, Kind, LibOs, OptionName, Qd, Qt, SocketOption};
use std::net::Shutdown;

/// What every call that takes a descriptor says of this one.
fn every_call(side: &Side<'_>, libos: &mut LibOs, qd: Qd) -> Vec<(&'static str, Errno)> {
    let mut said = sockets_only(side, libos, qd);
    said.extend([
        ("push", errno(libos.push(qd, b"x"))),
        ("pop", errno(libos.pop(qd, None))),
        ("pop of a size", errno(libos.pop(qd, Some(1)))),
        ("pop_in_place", errno(libos.pop_in_place(qd))),
        ("alloc_on", errno(libos.alloc_on(qd, 100))),
        ("shutdown for reading", errno(libos.shutdown(qd, Shutdown::Read))),
        ("shutdown for writing", errno(libos.shutdown(qd, Shutdown::Write))),
        ("shutdown of both", errno(libos.shutdown(qd, Shutdown::Both))),
        ("check", errno(libos.check(qd))),
        ("close", errno(libos.close(qd))),
    ]);
    said
}

/// What the calls say of it that only sockets have.
fn sockets_only(side: &Side<'_>, libos: &mut LibOs, qd: Qd) -> Vec<(&'static str, Errno)> {
    vec![
        ("bind", errno(libos.bind(qd, side.at(0)))),
        ("listen", errno(libos.listen(qd, 1))),
        ("accept", errno(libos.accept(qd))),
        ("connect", errno(libos.connect(qd, side.at(9)))),
        ("push_to", errno(libos.push_to(qd, b"x", side.at(9)))),
        ("local_address", errno(libos.local_address(qd))),
        ("peer_address", errno(libos.peer_address(qd))),
        ("set_option", errno(libos.set_option(qd, SocketOption::NoDelay(true)))),
        ("option", errno(libos.option(qd, OptionName::NoDelay))),
    ]
}

pub fn bad_descriptors(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos();
        let (closed, datagram) = (side.stream(&mut libos), side.datagram(&mut libos));
        close(&mut libos, closed);
        close(&mut libos, datagram);
        let [near, far] = side.two_ends(&mut libos);
        close(&mut libos, near);
        // Their numbers are in use again, by others.
        let alive = [side.stream(&mut libos), side.datagram(&mut libos), side.stream(&mut libos)];
        for qd in [Qd::new(77, 0), Qd::new((1 << 20) - 1, 3), closed, datagram, near] {
            assert!(!alive.contains(&qd), "a descriptor was given out twice");
            for (call, said) in every_call(side, &mut libos, qd) {
                assert_eq!(said, Errno::BADF, "{call} of {qd:?}");
            }
        }
        for qd in alive.into_iter().chain([far]) {
            libos.check(qd).unwrap();
        }
        assert_eq!(libos.queues(), 4);
    });
}

pub fn pipes_are_no_sockets(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos();
        let (made, opened) = (libos.create_pipe("no-socket").unwrap(), libos.open_pipe("no-socket").unwrap());
        for (call, said) in sockets_only(side, &mut libos, made) {
            assert_eq!(said, Errno::OPNOTSUPP, "{call} of a pipe");
        }
        push_message(&mut libos, opened, b"still a pipe");
        assert_eq!(pop_message(&mut libos, made).to_vec(), b"still a pipe");
    });
}

/// With a back end that has pipes only there are no sockets.
pub fn sockets_need_a_back_end(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos_with(|config| config.libos = Some("catmem".to_owned()));
        for kind in [Kind::Stream, Kind::Datagram] {
            assert_eq!(errno(libos.socket(side.backend.domain, kind)), Errno::NOTSUP);
        }
        libos.create_pipe("there-are-pipes").unwrap();
        assert_eq!(libos.queues(), 1);
    });
}

pub fn bind(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos();
        let family = if side.backend.host.is_ipv4() { "[::1]:0" } else { "127.0.0.1:0" };
        for kind in [Kind::Stream, Kind::Datagram] {
            let taken = libos.socket(side.backend.domain, kind).unwrap();
            libos.bind(taken, side.at(0)).unwrap();
            let address = libos.local_address(taken).unwrap();
            let qd = libos.socket(side.backend.domain, kind).unwrap();
            let unbound = libos.local_address(qd).unwrap();
            assert_eq!(errno(libos.bind(qd, family.parse().unwrap())), Errno::AFNOSUPPORT);
            assert_eq!(errno(libos.bind(qd, with_ip(side.at(0), side.backend.foreign))), Errno::ADDRNOTAVAIL);
            assert_eq!(errno(libos.bind(qd, with_ip(address, side.backend.foreign))), Errno::ADDRNOTAVAIL);
            assert_eq!(errno(libos.bind(qd, address)), Errno::ADDRINUSE);
            // A bind that fails changes nothing.
            assert_eq!(libos.local_address(qd).unwrap(), unbound);
            libos.bind(qd, side.at(0)).unwrap();
            let bound = libos.local_address(qd).unwrap();
            for again in [side.at(0), bound, address] {
                assert_eq!(errno(libos.bind(qd, again)), Errno::INVAL);
            }
            assert_eq!(libos.local_address(qd).unwrap(), bound);
        }
        let [near, far] = side.two_ends(&mut libos);
        for connected in [near, far] {
            assert_eq!(errno(libos.bind(connected, side.at(0))), Errno::INVAL);
        }
    });
}

pub fn listen(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos();
        let qd = side.stream(&mut libos);
        assert_eq!(errno(libos.listen(qd, 1)), Errno::DESTADDRREQ);
        libos.bind(qd, side.at(0)).unwrap();
        libos.listen(qd, 1).unwrap();
        assert_eq!(errno(libos.listen(qd, 1)), Errno::ADDRINUSE);
        // The refused call changed nothing.
        let address = libos.local_address(qd).unwrap();
        let near = side.connect(&mut libos, address);
        let far = accept(&mut libos, qd);
        for connected in [near, far] {
            assert_eq!(errno(libos.listen(connected, 1)), Errno::INVAL);
        }
        let (datagram, _) = side.bound_datagram(&mut libos);
        assert_eq!(errno(libos.listen(datagram, 1)), Errno::OPNOTSUPP);
        assert_eq!(errno(libos.accept(datagram)), Errno::OPNOTSUPP);
    });
}

/// A backlog of nothing, and of more than anybody has.
pub fn odd_backlogs(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos();
        for backlog in [0, 1, usize::MAX] {
            let (listening, address) = side.listen(&mut libos, backlog);
            let near = side.connect(&mut libos, address);
            let far = accept(&mut libos, listening);
            assert_eq!(libos.peer_address(far).unwrap(), libos.local_address(near).unwrap());
        }
    });
}

pub fn accept_what_does_not_listen(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos();
        let qd = side.stream(&mut libos);
        assert_eq!(errno(libos.accept(qd)), Errno::INVAL);
        libos.bind(qd, side.at(0)).unwrap();
        assert_eq!(errno(libos.accept(qd)), Errno::INVAL);
        let [near, far] = side.two_ends(&mut libos);
        assert_eq!(errno(libos.accept(near)), Errno::INVAL);
        assert_eq!(errno(libos.accept(far)), Errno::INVAL);
        libos.listen(qd, 1).unwrap();
        let qt = libos.accept(qd).unwrap();
        assert!(libos.try_wait(qt).unwrap().is_none());
    });
}

pub fn connect(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos();
        let (listening, address) = side.listen(&mut libos, 4);
        let qd = side.stream(&mut libos);
        let family = if side.backend.host.is_ipv4() { "[::1]:9" } else { "127.0.0.1:9" };
        let begun = libos.connect(qd, family.parse().unwrap());
        assert_eq!(fails(&mut libos, begun), Errno::AFNOSUPPORT);
        let begun = libos.connect(qd, side.at(0));
        assert_eq!(fails(&mut libos, begun), Errno::ADDRNOTAVAIL);
        let begun = libos.connect(qd, with_ip(address, side.backend.foreign));
        assert_eq!(fails(&mut libos, begun), Errno::NETUNREACH);
        let begun = libos.connect(listening, address);
        assert_eq!(fails(&mut libos, begun), Errno::OPNOTSUPP);
        // After all that it can connect.
        let qt = libos.connect(qd, address).unwrap();
        let again = libos.connect(qd, address);
        let said = fails(&mut libos, again);
        connected(&mut libos, qt);
        assert!([Errno::ALREADY, Errno::ISCONN].contains(&said), "{said:?}");
        let begun = libos.connect(qd, address);
        assert_eq!(fails(&mut libos, begun), Errno::ISCONN);
        let far = accept(&mut libos, listening);
        let begun = libos.connect(far, address);
        assert_eq!(fails(&mut libos, begun), Errno::ISCONN);
    });
}

/// What a socket says while its connect is under way, with a listener that does not answer.
pub fn while_connecting(subject: &Subject) {
    const CONNECTING: usize = 0;
    const DONE: usize = 1;
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos();
            let listening = side.serve(&mut libos, 1);
            // Nobody is answered meanwhile.
            side.board.wait(CONNECTING, 1);
            let far = accept(&mut libos, listening);
            pop_rest(&mut libos, far, &mut Stream::new(side.seed), 100);
            side.board.wait(DONE, 1);
        })
        .client(|side| {
            let mut libos = side.libos();
            let to = side.announced();
            let qd = side.stream(&mut libos);
            libos.bind(qd, SocketAddr::new(side.backend.domain.unspecified().ip(), 0)).unwrap();
            let qt = side.call_in_vain(&mut libos, qd);
            assert!(libos.try_wait(qt).unwrap().is_none());
            assert_eq!(errno(libos.connect(qd, to)), Errno::ALREADY);
            assert_eq!(errno(libos.listen(qd, 1)), Errno::ADDRINUSE);
            assert_eq!(errno(libos.accept(qd)), Errno::INVAL);
            assert_eq!(errno(libos.peer_address(qd)), Errno::NOTCONN);
            assert_eq!(errno(libos.bind(qd, side.at(0))), Errno::INVAL);
            side.board.set(CONNECTING, 1);
            side.get_through(&mut libos, qd, qt);
            let pushed = libos.push(qd, &Stream::new(side.seed).take(100)[..]).unwrap();
            done(&mut libos, pushed);
            libos.shutdown(qd, Shutdown::Write).unwrap();
            side.board.set(DONE, 1);
        })
        .run();
}

/// A stream socket that is connected to nobody neither pushes nor pops, and nothing of that stays.
pub fn not_connected(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos();
        let (listening, address) = side.listen(&mut libos, 4);
        let (fresh, bound) = (side.stream(&mut libos), side.stream(&mut libos));
        libos.bind(bound, side.at(0)).unwrap();
        for qd in [fresh, bound, listening] {
            let begun = libos.push(qd, b"x");
            assert_eq!(fails(&mut libos, begun), Errno::NOTCONN);
            let begun = libos.pop(qd, None);
            assert_eq!(fails(&mut libos, begun), Errno::NOTCONN);
            let begun = libos.pop_in_place(qd);
            assert_eq!(fails(&mut libos, begun), Errno::NOTCONN);
            let none = errno(libos.alloc_on(qd, 100));
            assert!(none == Errno::NOTCONN || (none == Errno::NOTSUP && !side.backend.has_own_memory()), "{none:?}");
            assert_eq!(errno(libos.peer_address(qd)), Errno::NOTCONN);
            for how in [Shutdown::Read, Shutdown::Write, Shutdown::Both] {
                assert_eq!(errno(libos.shutdown(qd, how)), Errno::NOTCONN, "{how:?}");
            }
        }
        for qd in [fresh, bound] {
            let qt = libos.connect(qd, address).unwrap();
            connected(&mut libos, qt);
            let far = accept(&mut libos, listening);
            for [from, to] in [[qd, far], [far, qd]] {
                push_message(&mut libos, from, b"as if nothing had been");
                assert_eq!(pop_message(&mut libos, to).to_vec(), b"as if nothing had been");
            }
        }
    });
}

/// Lengths of nothing, and addresses for a stream.
pub fn messages(subject: &Subject) {
    subject.alone(|side| {
        let (mut libos, [near, far]) = side.both_ends();
        assert_eq!(errno(libos.push(near, b"")), Errno::INVAL);
        assert_eq!(errno(libos.push(near, margay::Sga::new())), Errno::INVAL);
        assert_eq!(errno(libos.pop(near, Some(0))), Errno::INVAL);
        assert_eq!(errno(libos.push_to(near, b"x", side.at(9))), Errno::OPNOTSUPP);
        push_message(&mut libos, near, b"x");
        assert_eq!(pop_message(&mut libos, far).to_vec(), b"x");
        let datagram = side.datagram(&mut libos);
        assert_eq!(errno(libos.pop(datagram, Some(0))), Errno::INVAL);
    });
}

/// Tokens that are spent, never were, or belong to another LibOs: an error, and never somebody else's completion.
pub fn stale_tokens(subject: &Subject) {
    subject.alone(|side| {
        let (mut libos, [near, far]) = side.both_ends();
        let spent = libos.push(near, b"x").unwrap();
        done(&mut libos, spent);
        let popped = libos.pop(far, None).unwrap();
        assert_eq!(wait(&mut libos, popped).into_message().unwrap().to_vec(), b"x");
        // Their slots are in use again.
        let pending = [libos.pop(far, None).unwrap(), libos.pop(near, None).unwrap()];
        let set = libos.wait_set();
        for stale in [spent, popped, Qt::from_raw(0), Qt::from_raw(u64::MAX)] {
            assert!(!pending.contains(&stale), "a token was given out twice");
            assert_eq!(errno(libos.wait(stale, None)), Errno::INVAL);
            assert_eq!(errno(libos.try_wait(stale)), Errno::INVAL);
            assert_eq!(errno(libos.wait_any(&[pending[0], stale], None)), Errno::INVAL);
            assert_eq!(errno(libos.cancel(stale)), Errno::INVAL);
            assert_eq!(errno(libos.add_to_wait_set(&set, stale)), Errno::INVAL);
        }
        assert_eq!(errno(libos.wait_any(&[], None)), Errno::INVAL);
        assert_eq!(errno(libos.wait_in_set(&set, None)), Errno::INVAL);
        assert_eq!(errno(libos.wait_next_n(&mut Vec::new(), 0, None)), Errno::INVAL);
        // Those that are pending are as they were.
        assert_eq!(errno(libos.wait_any(&pending, Some(Duration::ZERO))), Errno::TIMEDOUT);
        for qt in pending {
            libos.cancel(qt).unwrap();
            assert_eq!(ends_with(&mut libos, qt), Errno::CANCELED);
            assert_eq!(errno(libos.wait(qt, None)), Errno::INVAL);
        }
    });
}

/// Full tables are an errno, and what was there goes on.
pub fn full_tables(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos_with(|config| {
            config.limits.queues = 4;
            config.limits.operations = 8;
        });
        let (listening, address) = side.listen(&mut libos, 8);
        let near = side.connect(&mut libos, address);
        let far = accept(&mut libos, listening);
        let calling = side.stream(&mut libos);
        assert_eq!(errno(libos.socket(side.backend.domain, Kind::Stream)), Errno::MFILE);
        let qt = libos.connect(calling, address).unwrap();
        connected(&mut libos, qt);
        // Nothing is left for its other end; it waits on.
        let begun = libos.accept(listening);
        assert_eq!(fails(&mut libos, begun), Errno::MFILE);
        close(&mut libos, near);
        let accepted = accept(&mut libos, listening);
        assert_eq!(libos.peer_address(accepted).unwrap(), libos.local_address(calling).unwrap());
        let pops: Vec<Qt> = (0..8).map(|_| libos.pop(calling, None).unwrap()).collect();
        assert_eq!(errno(libos.pop(calling, None)), Errno::AGAIN);
        assert_eq!(errno(libos.push(calling, b"x")), Errno::AGAIN);
        assert_eq!(errno(libos.accept(listening)), Errno::AGAIN);
        assert_eq!(errno(libos.close(calling)), Errno::AGAIN);
        libos.cancel(pops[7]).unwrap();
        assert_eq!(ends_with(&mut libos, pops[7]), Errno::CANCELED);
        push_message(&mut libos, accepted, b"goes on");
        assert_eq!(wait(&mut libos, pops[0]).into_message().unwrap().to_vec(), b"goes on");
        assert!(pop_end(&mut libos, far));
    });
}

/// The end, whose connection is closed at the other side.
fn pop_end(libos: &mut LibOs, qd: Qd) -> bool {
    pop_message(libos, qd).is_empty()
}
