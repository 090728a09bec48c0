// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finding each other: orders of connect and accept, addresses, and every way to be refused.

use super::*;

#[test]
fn a_connect_completes_before_anybody_accepts() {
    let directory = directory();
    let (mut server, mut client) = (Side::new(&directory), Side::new(&directory));
    let (listener, address) = server.listen("127.0.0.1:0", 4);
    assert_eq!(names(&directory), [format!("tcp-127.0.0.1-{}.sock", address.port())]);
    let connecting = client.begin(address);
    assert!(client.connected(connecting).is_pending());
    assert_eq!(finish(&mut [&mut client, &mut server], |sides| sides[0].connected(connecting)), Ok(()));
    assert_eq!(client.push(connecting, b"early"), Poll::Ready(Ok(())));

    let Poll::Ready(accepted) = server.accept(listener) else { panic!("nobody to accept") };
    assert_eq!(finish(&mut [&mut server], |sides| sides[0].pop(accepted)), Ok(b"early".to_vec()));
    assert!(server.accept(listener).is_pending());
    let ends = [(&mut server, accepted), (&mut client, connecting)]
        .map(|(side, end)| (side.catloop.local_address(end).unwrap(), side.catloop.peer_address(end).unwrap()));
    assert_eq!(ends[0].0, address);
    assert_eq!(ends[0], (ends[1].1, ends[1].0));
    assert!((32768..=60999).contains(&ends[1].0.port()));
}

#[test]
fn an_answer_in_time_counts_however_late_it_is_looked_at() {
    let directory = directory();
    let limit = Duration::from_millis(20);
    let mut server = Side::new(&directory);
    let mut client = Side::with(Settings { connect_timeout: limit, ..settings(directory.path()) });
    let (listener, address) = server.listen("127.0.0.1:0", 1);
    let connecting = client.begin(address);
    assert!(finish(&mut [&mut server], |sides| sides[0].accept(listener)) != connecting);
    // The application was busy; then timers fire before events are collected.
    std::thread::sleep(2 * limit);
    for _ in 0..2 {
        client.reactor.refresh_clock();
        client.reactor.run_tasks(64);
        client.catloop.poll(&mut client.wakes);
    }
    assert_eq!(client.connected(connecting), Poll::Ready(Ok(())));
}

#[test]
fn an_accept_that_came_first_is_woken() {
    let directory = directory();
    let (mut server, mut client) = (Side::new(&directory), Side::new(&directory));
    let (listener, address) = server.listen("127.0.0.1:0", 1);
    assert!(server.accept(listener).is_pending());
    let connecting = client.begin(address);
    server.woken();
    client.woken();
    until(&mut [&mut server], |sides| sides[0].woken().contains(&(1, Direction::Pop)).then_some(()));
    assert!(server.accept(listener).is_ready());
    until(&mut [&mut client], |sides| sides[0].woken().contains(&(1, Direction::Push)).then_some(()));
    assert_eq!(client.connected(connecting), Poll::Ready(Ok(())));
}

#[test]
fn one_transport_can_connect_to_itself() {
    let directory = directory();
    let mut side = Side::new(&directory);
    let (listener, address) = side.listen("[::1]:0", 1);
    let connecting = side.begin(address);
    assert_eq!(finish(&mut [&mut side], |sides| sides[0].connected(connecting)), Ok(()));
    let accepted = finish(&mut [&mut side], |sides| sides[0].accept(listener));
    for (from, to) in [(connecting, accepted), (accepted, connecting)] {
        assert_eq!(side.push(from, b"to myself"), Poll::Ready(Ok(())));
        assert_eq!(finish(&mut [&mut side], |sides| sides[0].pop(to)), Ok(b"to myself".to_vec()));
    }
}

#[test]
fn nobody_there_is_a_refusal_at_once() {
    let directory = directory();
    let mut client = Side::new(&directory);
    for to in ["127.0.0.1:9", "[::1]:9"] {
        let connecting = client.begin(at(to));
        assert_eq!(client.connected(connecting), Poll::Ready(Err(Errno::CONNREFUSED)), "{to}");
        assert_eq!(client.push(connecting, b"x"), Poll::Ready(Err(Errno::NOTCONN)));
        assert_eq!(client.pop(connecting), Poll::Ready(Err(Errno::NOTCONN)));
        // It can be tried again.
        client.catloop.connect(connecting, at(to)).unwrap();
        assert_eq!(client.connected(connecting), Poll::Ready(Err(Errno::CONNREFUSED)));
        client.close(connecting);
    }
    assert_eq!(client.catloop.counters().refused, 4);
}

#[test]
fn wildcards_are_found_behind_exact_addresses() {
    let directory = directory();
    let (mut server, mut client) = (Side::new(&directory), Side::new(&directory));
    let (any, address) = server.listen("0.0.0.0:0", 4);
    let port = address.port();
    let connecting = client.begin(SocketAddr::new("127.7.7.7".parse().unwrap(), port));
    let accepted = finish(&mut [&mut server, &mut client], |sides| sides[0].accept(any));
    let local = server.catloop.local_address(accepted).unwrap();
    assert_eq!(local, SocketAddr::new("127.7.7.7".parse().unwrap(), port), "where it was connected to");
    finish(&mut [&mut client], |sides| sides[0].connected(connecting)).unwrap();
    assert_eq!(client.catloop.peer_address(connecting), Ok(local));
    server.close(any);

    // Both families.
    let (any, address) = server.listen("[::]:0", 4);
    for to in ["[::1]", "127.0.0.1"] {
        let to = at(&format!("{to}:{}", address.port()));
        let connecting = client.begin(to);
        let accepted = finish(&mut [&mut server, &mut client], |sides| sides[0].accept(any));
        finish(&mut [&mut client], |sides| sides[0].connected(connecting)).unwrap();
        let peer = server.catloop.peer_address(accepted).unwrap();
        assert!(peer.is_ipv6(), "{peer}: the accepted socket is one of IPv6");
        assert_eq!(peer.ip().to_canonical(), client.catloop.local_address(connecting).unwrap().ip());
        assert_eq!(client.catloop.peer_address(connecting), Ok(to));
    }
}

#[test]
fn a_mapped_address_reaches_a_listener_of_the_other_family() {
    let directory = directory();
    let mut side = Side::new(&directory);
    let (listener, address) = side.listen("127.0.0.1:0", 4);
    let socket = side.socket(Domain::V6);
    side.catloop.connect(socket, at(&format!("[::ffff:127.0.0.1]:{}", address.port()))).unwrap();
    let accepted = finish(&mut [&mut side], |sides| sides[0].accept(listener));
    finish(&mut [&mut side], |sides| sides[0].connected(socket)).unwrap();
    assert!(side.catloop.peer_address(accepted).unwrap().is_ipv4());
    assert!(side.catloop.local_address(socket).unwrap().is_ipv6());
}

#[test]
fn a_bound_socket_connects_from_its_address() {
    let directory = directory();
    let mut side = Side::new(&directory);
    let (listener, address) = side.listen("127.0.0.1:0", 4);
    for bound in ["127.3.2.1:0", "0.0.0.0:0"] {
        let socket = side.socket(Domain::V4);
        side.catloop.bind(socket, at(bound)).unwrap();
        let before = side.catloop.local_address(socket).unwrap();
        side.catloop.connect(socket, address).unwrap();
        let accepted = finish(&mut [&mut side], |sides| sides[0].accept(listener));
        finish(&mut [&mut side], |sides| sides[0].connected(socket)).unwrap();
        let local = side.catloop.local_address(socket).unwrap();
        assert_eq!(local.port(), before.port());
        assert!(!local.ip().is_unspecified());
        assert_eq!(side.catloop.peer_address(accepted), Ok(local));
    }
}

#[test]
fn wrong_calls_have_their_numbers() {
    let directory = directory();
    let mut side = Side::new(&directory);
    let errno = |result: Result<()>| result.unwrap_err().errno();
    let loopback = at("127.0.0.1:0");

    let fresh = side.socket(Domain::V4);
    assert_eq!(side.catloop.local_address(fresh), Ok(at("0.0.0.0:0")));
    assert_eq!(side.catloop.peer_address(fresh).unwrap_err().errno(), Errno::NOTCONN);
    assert_eq!(errno(side.catloop.listen(fresh, 1)), Errno::DESTADDRREQ);
    assert!(matches!(side.catloop.accept(fresh, 9), Poll::Ready(Err(error)) if error.errno() == Errno::INVAL));
    assert_eq!(errno(side.catloop.bind(fresh, at("[::1]:0"))), Errno::AFNOSUPPORT);
    assert_eq!(errno(side.catloop.bind(fresh, at("8.8.8.8:0"))), Errno::ADDRNOTAVAIL);
    assert_eq!(errno(side.catloop.connect(fresh, at("8.8.8.8:1"))), Errno::NETUNREACH);
    assert_eq!(errno(side.catloop.connect(fresh, loopback)), Errno::ADDRNOTAVAIL);
    assert_eq!(errno(side.catloop.connect(fresh, at("[::1]:1"))), Errno::AFNOSUPPORT);
    let mut message = side.message(b"x");
    let pushed = side.catloop.push_to(fresh, &mut message, loopback).map_err(Error::errno);
    assert_eq!(pushed, Poll::Ready(Err(Errno::NOTCONN)));
    assert!(matches!(side.catloop.shutdown(fresh), Poll::Ready(Err(error)) if error.errno() == Errno::NOTCONN));
    side.catloop.bind(fresh, loopback).unwrap();
    assert_eq!(errno(side.catloop.bind(fresh, loopback)), Errno::INVAL);

    let (listener, address) = side.listen("127.0.0.1:0", 1);
    assert_eq!(errno(side.catloop.listen(listener, 1)), Errno::ADDRINUSE);
    assert_eq!(errno(side.catloop.connect(listener, address)), Errno::OPNOTSUPP);
    assert_eq!(side.pop(listener), Poll::Ready(Err(Errno::NOTCONN)));
    let other = side.socket(Domain::V4);
    assert_eq!(errno(side.catloop.bind(other, address)), Errno::ADDRINUSE);

    let connecting = side.begin(address);
    assert_eq!(errno(side.catloop.connect(connecting, address)), Errno::ALREADY);
    assert_eq!(errno(side.catloop.listen(connecting, 1)), Errno::ADDRINUSE);
    assert_eq!(errno(side.catloop.bind(connecting, loopback)), Errno::INVAL);
    assert!(side.pop(connecting).is_pending(), "it waits for the connection");
    finish(&mut [&mut side], |sides| sides[0].connected(connecting)).unwrap();
    assert_eq!(errno(side.catloop.connect(connecting, address)), Errno::ISCONN);
    assert_eq!(errno(side.catloop.listen(connecting, 1)), Errno::INVAL);
    let pushed = side.catloop.push_to(connecting, &mut message, address).map_err(Error::errno);
    assert_eq!(pushed, Poll::Ready(Err(Errno::ISCONN)));

    side.close(fresh);
    assert_eq!(errno(side.catloop.bind(fresh, loopback)), Errno::BADF);
    assert!(matches!(side.catloop.close(fresh), Poll::Ready(Err(error)) if error.errno() == Errno::BADF));
}

#[test]
fn a_listener_that_goes_away_refuses_those_who_wait() {
    let directory = directory();
    let (mut server, mut client) = (Side::new(&directory), Side::new(&directory));
    let (listener, address) = server.listen("127.0.0.1:0", 1);
    let connecting = client.begin(address);
    server.close(listener);
    assert_eq!(names(&directory), [""; 0]);
    assert_eq!(finish(&mut [&mut client], |sides| sides[0].connected(connecting)), Err(Errno::CONNREFUSED));
}

#[test]
fn a_listener_that_does_nothing_is_given_up() {
    let directory = directory();
    let mut server = Side::new(&directory);
    let mut client = Side::with(Settings { connect_timeout: Duration::from_millis(20), ..settings(directory.path()) });
    let (_listener, address) = server.listen("127.0.0.1:0", 1);
    let connecting = client.begin(address);
    assert_eq!(finish(&mut [&mut client], |sides| sides[0].connected(connecting)), Err(Errno::TIMEDOUT));
}

#[test]
fn a_connect_can_be_canceled() {
    let directory = directory();
    let (mut server, mut client) = (Side::new(&directory), Side::new(&directory));
    let (listener, address) = server.listen("127.0.0.1:0", 4);
    let connecting = client.begin(address);
    assert!(client.pop(connecting).is_pending());
    client.catloop.canceled(connecting, Direction::Push);
    assert_eq!(client.connected(connecting), Poll::Ready(Err(Errno::NOTCONN)));
    // A pop that waited for the connection hears of it.
    assert_eq!(client.catloop.arm(), Armed::Ready);
    client.round(Duration::ZERO);
    assert!(client.woken().contains(&(1, Direction::Pop)));
    assert_eq!(client.pop(connecting), Poll::Ready(Err(Errno::NOTCONN)));
    client.catloop.connect(connecting, address).unwrap();
    assert_eq!(finish(&mut [&mut client, &mut server], |sides| sides[0].connected(connecting)), Ok(()));
    // The first one was gone before it was greeted, or is a connection that is reset.
    let mut talking = Vec::new();
    while let Poll::Ready(accepted) = server.accept(listener) {
        assert_eq!(client.push(connecting, b"hello"), Poll::Ready(Ok(())));
        let popped = finish(&mut [&mut server], |sides| sides[0].pop(accepted));
        talking.push(popped);
    }
    assert_eq!(talking.iter().filter(|popped| popped.is_ok()).count(), 1);
    assert!(talking.iter().all(|popped| popped.is_ok() || *popped == Err(Errno::CONNRESET)), "{talking:?}");
}

#[test]
fn a_name_that_a_dead_process_left_is_nobody_and_is_cleared_away() {
    let directory = directory();
    for name in ["tcp-127.0.0.1-7777.sock", "tcp-0.0.0.0-8888.sock", "keep.pipe"] {
        // Bound, and closed without a listener: what a killed process leaves.
        drop(std::os::unix::net::UnixDatagram::bind(directory.path().join(name)).unwrap());
    }
    let mut side = Side::new(&directory);
    let connecting = side.begin(at("127.0.0.1:7777"));
    assert_eq!(side.connected(connecting), Poll::Ready(Err(Errno::CONNREFUSED)));
    assert_eq!(names(&directory), [""; 0], "swept when the directory was opened");
    assert!(directory.path().join("keep.pipe").exists());

    // One that is left while the directory is open is replaced.
    drop(std::os::unix::net::UnixDatagram::bind(directory.path().join("tcp-127.0.0.1-7777.sock")).unwrap());
    side.catloop.connect(connecting, at("127.0.0.1:7777")).unwrap();
    assert_eq!(side.connected(connecting), Poll::Ready(Err(Errno::CONNREFUSED)));
    let (listener, address) = side.listen("127.0.0.1:7777", 1);
    let other = side.begin(address);
    finish(&mut [&mut side], |sides| sides[0].accept(listener));
    finish(&mut [&mut side], |sides| sides[0].connected(other)).unwrap();
}
