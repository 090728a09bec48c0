// SPDX-License-Identifier: MIT OR Apache-2.0
//! Local and remote addresses: who has which, for how long, and that both ends tell the truth about them.

use crate::harness::bytes::Stream;
use crate::harness::{Role, done};
use crate::subject::{Side, Subject, accept, close, errno, fails, pop_stream, push_stream, with_ip};
use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use margay::{Domain, Errno, Kind, LibOs, Qd};
use std::collections::HashSet;
use std::fmt::Write;

const STEP: usize = 0;

fn bound(side: &Side<'_>, libos: &mut LibOs, kind: Kind, to: SocketAddr) -> Qd {
    let qd = libos.socket(side.backend.domain, kind).unwrap();
    libos.bind(qd, to).unwrap();
    qd
}

fn bind_errno(side: &Side<'_>, libos: &mut LibOs, kind: Kind, to: SocketAddr) -> Errno {
    let qd = libos.socket(side.backend.domain, kind).unwrap();
    let said = errno(libos.bind(qd, to));
    close(libos, qd);
    said
}

fn wildcard(side: &Side<'_>) -> IpAddr {
    side.backend.domain.unspecified().ip()
}

/// Port 0: some port that nobody has, the same every time it is asked for.
pub fn port_zero(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos();
        for kind in [Kind::Stream, Kind::Datagram] {
            let mut ports = HashSet::new();
            for round in 0..300 {
                let ip = if round % 3 == 0 { wildcard(side) } else { side.backend.host };
                let qd = libos.socket(side.backend.domain, kind).unwrap();
                assert_eq!(libos.local_address(qd).unwrap(), side.backend.domain.unspecified());
                libos.bind(qd, SocketAddr::new(ip, 0)).unwrap();
                let address = libos.local_address(qd).unwrap();
                assert_eq!(address.ip(), ip);
                assert!(address.port() >= 1024, "{address}");
                assert!(ports.insert(address.port()), "{address} was given out twice");
                assert_eq!(libos.local_address(qd).unwrap(), address);
            }
        }
    });
}

/// Three processes bind to port 0 at once: no port is given out twice.
pub fn port_zero_across_processes(subject: &Subject) {
    const EACH: usize = 500;
    fn role(side: &Side<'_>) {
        let mut libos = side.libos();
        side.board.word(STEP).fetch_add(1, core::sync::atomic::Ordering::AcqRel);
        side.board.wait(STEP, 3);
        let mut ports = String::new();
        for _ in 0..EACH {
            let qd = bound(side, &mut libos, Kind::Stream, side.at(0));
            writeln!(ports, "{}", libos.local_address(qd).unwrap().port()).unwrap();
        }
        let file = |role: Role| side.pipes.parent().unwrap().join(format!("{role:?}.ports"));
        std::fs::write(file(side.role), ports).unwrap();
        side.board.word(STEP).fetch_add(1, core::sync::atomic::Ordering::AcqRel);
        side.board.wait(STEP, 6);
        if side.role == Role::Server {
            let all =
                [Role::Server, Role::Client, Role::Intruder].map(|role| std::fs::read_to_string(file(role)).unwrap());
            let all: Vec<u16> = all.iter().flat_map(|ports| ports.lines()).map(|port| port.parse().unwrap()).collect();
            assert_eq!(all.len(), 3 * EACH);
            assert_eq!(all.iter().collect::<HashSet<_>>().len(), 3 * EACH, "a port was given out twice");
        }
        side.board.word(STEP).fetch_add(1, core::sync::atomic::Ordering::AcqRel);
        // Nobody's ports are free before all are compared.
        side.board.wait(STEP, 9);
    }
    subject.pair().server(role).client(role).third(role).run();
}

/// An address has one owner: in a LibOs, and between two. Another address, port or kind of socket is another owner's.
pub fn one_owner(subject: &Subject) {
    subject.alone(|side| {
        let (mut libos, mut other) = (side.libos(), side.libos());
        for kind in [Kind::Stream, Kind::Datagram] {
            let qd = bound(side, &mut libos, kind, side.at(0));
            let address = libos.local_address(qd).unwrap();
            let elsewhere = with_ip(address, side.backend.other);
            for taken in [address, with_ip(address, wildcard(side))] {
                assert_eq!(bind_errno(side, &mut libos, kind, taken), Errno::ADDRINUSE, "{taken}");
                assert_eq!(bind_errno(side, &mut other, kind, taken), Errno::ADDRINUSE, "{taken}");
            }
            let second = bound(side, &mut other, kind, elsewhere);
            assert_eq!(bind_errno(side, &mut libos, kind, elsewhere), Errno::ADDRINUSE);
            // While one of the two is there, the wildcard is not free.
            close(&mut libos, qd);
            assert_eq!(bind_errno(side, &mut libos, kind, with_ip(address, wildcard(side))), Errno::ADDRINUSE);
            close(&mut other, second);
            let all = bound(side, &mut libos, kind, with_ip(address, wildcard(side)));
            for taken in [address, elsewhere, with_ip(address, wildcard(side))] {
                assert_eq!(bind_errno(side, &mut libos, kind, taken), Errno::ADDRINUSE, "{taken}");
                assert_eq!(bind_errno(side, &mut other, kind, taken), Errno::ADDRINUSE, "{taken}");
            }
            close(&mut libos, all);
            let again = bound(side, &mut other, kind, address);
            close(&mut other, again);
        }
        let stream = bound(side, &mut libos, Kind::Stream, side.at(0));
        let address = libos.local_address(stream).unwrap();
        bound(side, &mut libos, Kind::Datagram, address);
    });
}

/// Another process has the address, for as long as it has the socket and no longer.
pub fn one_owner_across_processes(subject: &Subject) {
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos();
            let qd = side.serve(&mut libos, 1);
            side.board.wait(STEP, 1);
            close(&mut libos, qd);
            side.board.set(STEP, 2);
            side.board.wait(STEP, 3);
            let to = side.announced();
            assert_eq!(bind_errno(side, &mut libos, Kind::Stream, to), Errno::ADDRINUSE);
            side.board.set(STEP, 4);
        })
        .client(|side| {
            let mut libos = side.libos();
            let address = side.announced();
            for taken in [address, with_ip(address, wildcard(side))] {
                assert_eq!(bind_errno(side, &mut libos, Kind::Stream, taken), Errno::ADDRINUSE);
            }
            let datagram = bound(side, &mut libos, Kind::Datagram, address);
            close(&mut libos, datagram);
            side.board.set(STEP, 1);
            side.board.wait(STEP, 2);
            bound(side, &mut libos, Kind::Stream, address);
            side.board.set(STEP, 3);
            side.board.wait(STEP, 4);
        })
        .run();
}

/// The owner is killed: its address is free at once, and nobody listens there.
pub fn a_killed_owner(subject: &Subject) {
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos();
            let qd = side.serve(&mut libos, 4);
            let address = libos.local_address(qd).unwrap();
            bound(side, &mut libos, Kind::Datagram, address);
            side.poll_until(&mut libos, STEP + 2, 1);
        })
        .client(|side| {
            let mut libos = side.libos();
            let address = side.announced();
            let near = side.connect(&mut libos, address);
            side.board.set(STEP + 1, 1);
            let begun = libos.pop(near, None);
            // Nobody had accepted it, so it is no end, whoever closes for the dead.
            assert_eq!(fails(&mut libos, begun), Errno::CONNRESET);
            for kind in [Kind::Stream, Kind::Datagram] {
                // Its descriptors are closed one after another.
                for tries in 0.. {
                    let qd = libos.socket(side.backend.domain, kind).unwrap();
                    let said = libos.bind(qd, address);
                    close(&mut libos, qd);
                    match said {
                        Ok(()) => break,
                        Err(error) => assert_eq!(error.errno(), Errno::ADDRINUSE),
                    }
                    assert!(tries < 5000, "the address is still taken");
                    crate::harness::system::sleep(1_000_000);
                }
            }
            let qd = side.stream(&mut libos);
            let begun = libos.connect(qd, address);
            assert_eq!(fails(&mut libos, begun), Errno::CONNREFUSED);
            let listening = bound(side, &mut libos, Kind::Stream, address);
            libos.listen(listening, 1).unwrap();
            side.connect(&mut libos, address);
            accept(&mut libos, listening);
        })
        .kill(Role::Server, STEP + 1, Duration::from_millis(1))
        .run();
}

/// The addresses are those of the connection, seen from both ends.
pub fn both_ends_tell_the_truth(subject: &Subject) {
    const ROUNDS: u64 = 4;
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos();
            let listening = bound(side, &mut libos, Kind::Stream, SocketAddr::new(wildcard(side), 0));
            libos.listen(listening, 4).unwrap();
            let own = libos.local_address(listening).unwrap();
            assert_eq!(own.ip(), wildcard(side));
            side.announce(own);
            for _ in 0..ROUNDS {
                let far = accept(&mut libos, listening);
                let (local, peer) = (libos.local_address(far).unwrap(), libos.peer_address(far).unwrap());
                assert_eq!(local.port(), own.port());
                // What the client thinks, in its own words.
                let thinks = crate::subject::pop(&mut libos, far).to_vec();
                assert_eq!(String::from_utf8(thinks).unwrap(), format!("{peer} to {local}"));
                close(&mut libos, far);
                assert_eq!(libos.local_address(listening).unwrap(), own);
                assert_eq!(errno(libos.peer_address(listening)), Errno::NOTCONN);
            }
        })
        .client(|side| {
            let mut libos = side.libos();
            let to = side.announced();
            for round in 0..ROUNDS {
                let qd = side.stream(&mut libos);
                let to = if round % 2 == 0 { to } else { with_ip(to, side.backend.other) };
                if round >= 2 {
                    let own = if round % 2 == 0 { side.host() } else { side.other() };
                    libos.bind(qd, SocketAddr::new(own, 0)).unwrap();
                }
                let bound = libos.local_address(qd).unwrap();
                let qt = libos.connect(qd, to).unwrap();
                crate::subject::connected(&mut libos, qt);
                let (local, peer) = (libos.local_address(qd).unwrap(), libos.peer_address(qd).unwrap());
                assert_eq!(peer, to);
                assert_ne!(local.port(), 0);
                assert!(!local.ip().is_unspecified(), "{local}");
                assert!(round < 2 || local == bound, "{local}, bound to {bound}");
                let thinks = format!("{local} to {peer}");
                let pushed = libos.push(qd, thinks.as_bytes()).unwrap();
                done(&mut libos, pushed);
                assert!(crate::subject::pop(&mut libos, qd).is_empty());
                close(&mut libos, qd);
            }
        })
        .run();
}

/// Who is bound to one address is not found under another.
pub fn only_where_it_is_bound(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos();
        let (_listening, address) = side.listen(&mut libos, 4);
        let (closed, gone) = side.listen(&mut libos, 4);
        close(&mut libos, closed);
        let silent = bound(side, &mut libos, Kind::Stream, side.at(0));
        let silent = libos.local_address(silent).unwrap();
        for nobody in [with_ip(address, side.backend.other), gone, silent] {
            let qd = side.stream(&mut libos);
            let begun = libos.connect(qd, nobody);
            assert_eq!(fails(&mut libos, begun), Errno::CONNREFUSED, "{nobody}");
            // And can try elsewhere.
            let begun = libos.connect(qd, address).unwrap();
            crate::subject::connected(&mut libos, begun);
        }
    });
}

/// A server at the wildcard of IPv6 serves IPv4, too, and owns the port in both.
pub fn dual_stack(subject: &Subject) {
    subject.alone(|side| {
        let (mut libos, mut calling) = (side.libos(), side.libos());
        let listening = libos.socket(Domain::V6, Kind::Stream).unwrap();
        libos.bind(listening, "[::]:0".parse().unwrap()).unwrap();
        libos.listen(listening, 4).unwrap();
        let port = libos.local_address(listening).unwrap().port();
        for taken in ["127.0.0.1", "0.0.0.0", "::1"] {
            let taken = SocketAddr::new(taken.parse().unwrap(), port);
            let qd = calling.socket(Domain::of(&taken), Kind::Stream).unwrap();
            assert_eq!(errno(calling.bind(qd, taken)), Errno::ADDRINUSE, "{taken}");
        }
        let to = side.at(port);
        let near = calling.socket(Domain::of(&to), Kind::Stream).unwrap();
        let connecting = calling.connect(near, to).unwrap();
        let accepting = libos.accept(listening).unwrap();
        let far = libos.wait(accepting, crate::harness::LIMIT).unwrap().accepted().unwrap();
        crate::subject::connected(&mut calling, connecting);
        let as_v6 = |address: SocketAddr| match address.ip() {
            IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
            IpAddr::V6(_) => address,
        };
        assert_eq!(libos.peer_address(far).unwrap(), as_v6(calling.local_address(near).unwrap()));
        assert_eq!(libos.local_address(far).unwrap(), as_v6(to));
        let (mut sent, mut got) = (Stream::new(side.seed), Stream::new(side.seed));
        push_stream(&mut calling, near, &mut sent, 1000);
        pop_stream(&mut libos, far, &mut got, 1000);
        // A socket that is bound to one address of IPv6 does not.
        let narrow = libos.socket(Domain::V6, Kind::Stream).unwrap();
        libos.bind(narrow, SocketAddr::new(Ipv6Addr::LOCALHOST.into(), 0)).unwrap();
        libos.listen(narrow, 1).unwrap();
        let port = libos.local_address(narrow).unwrap().port();
        let qd = calling.socket(Domain::V4, Kind::Stream).unwrap();
        let begun = calling.connect(qd, SocketAddr::new([127, 0, 0, 1].into(), port));
        assert_eq!(fails(&mut calling, begun), Errno::CONNREFUSED);
    });
}
