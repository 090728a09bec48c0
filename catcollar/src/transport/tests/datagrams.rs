// SPDX-License-Identifier: MIT OR Apache-2.0
//! Datagrams: each whole, with its sender.

use super::*;
use runtime::op::Datagram;
use runtime::socket::SocketOption;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixDatagram;

pub fn pop(side: &mut Side, socket: Handle) -> std::result::Result<Datagram, Errno> {
    pop_as(side, socket, PopMode::Whole)
}

fn pop_as(side: &mut Side, socket: Handle, mode: PopMode) -> std::result::Result<Datagram, Errno> {
    finish(side, |side| side.collar.pop(socket, mode)).map(Datagram::from_chain).map_err(Error::errno)
}

pub fn push_to(side: &mut Side, socket: Handle, bytes: &[u8], to: SocketAddr) -> std::result::Result<(), Errno> {
    let mut message = side.message(bytes);
    finish(side, |side| side.collar.push_to(socket, &mut message, to)).map_err(Error::errno)
}

#[test]
fn boundaries_and_senders() {
    for allowed in [Features::ALL, Features::NONE] {
        let mut side = Side::with(&settings(), 0, allowed);
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let ((near, from), (far, to)) = (side.bound(address), side.bound(address));
            let longest = if address.starts_with('[') { 65_527 } else { 65_507 };
            for len in [0, 1, 1024, 1025, 4096, 9000, longest] {
                assert_eq!(push_to(&mut side, near, &bytes(len), to), Ok(()));
                let datagram = pop(&mut side, far).unwrap();
                assert_eq!((datagram.sender(), datagram.len()), (from, len));
                assert!(datagram.into_message().to_vec() == bytes(len));
            }
            assert_eq!(push_to(&mut side, near, &bytes(longest + 1), to), Err(Errno::MSGSIZE));
            side.close(near);
            side.close(far);
        }
        side.assert_no_buffers();
    }
}

/// `UDP_SEGMENT`: the kernel cuts what one push has given it.
#[test]
fn one_push_leaves_as_datagrams_of_a_size() {
    for allowed in [Features::ALL, Features::NONE] {
        let mut side = Side::with(&settings(), 0, allowed);
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let ((near, from), (far, to)) = (side.bound(address), side.bound(address));
            side.collar.set_option(near, SocketOption::SegmentSize(1000)).unwrap();
            for len in [40_500, 5500, 1000, 7] {
                assert_eq!(push_to(&mut side, near, &bytes(len), to), Ok(()));
                for expected in bytes(len).chunks(1000) {
                    let datagram = pop(&mut side, far).unwrap();
                    assert_eq!((datagram.sender(), datagram.len()), (from, expected.len()), "{len}");
                    assert!(datagram.into_message().to_vec() == expected);
                }
            }
            side.close(near);
            side.close(far);
        }
        side.assert_no_buffers();
    }
}

#[test]
fn a_size_cuts_off_the_rest() {
    let mut side = Side::new();
    let ((near, from), (far, to)) = (side.bound("127.0.0.1:0"), side.bound("127.0.0.1:0"));
    for size in [1, 100, 1025, 2999, 3000, 50_000] {
        assert_eq!(push_to(&mut side, near, &bytes(3000), to), Ok(()));
        let datagram = pop_as(&mut side, far, PopMode::AtMost(size.try_into().unwrap())).unwrap();
        assert_eq!(datagram.sender(), from);
        assert!(datagram.into_message().to_vec() == bytes(3000)[..size.min(3000)], "{size}");
    }
    assert_eq!(push_to(&mut side, near, b"whole", to), Ok(()));
    assert_eq!(pop(&mut side, far).unwrap().into_message().to_vec(), b"whole");
}

#[test]
fn many_wait_in_order() {
    let mut side = Side::new();
    let ((near, _), (far, to)) = (side.bound("127.0.0.1:0"), side.bound("127.0.0.1:0"));
    assert!(side.collar.pop(far, PopMode::Whole).is_pending());
    // More than the socket holds back before its request is cancelled, fewer than the kernel keeps.
    for number in 0..100_u8 {
        assert_eq!(push_to(&mut side, near, &[number; 10], to), Ok(()));
    }
    for number in 0..100_u8 {
        assert_eq!(pop(&mut side, far).unwrap().into_message().to_vec(), [number; 10]);
    }
    side.assert_no_buffers();
}

#[test]
fn a_connected_socket_is_told_that_nobody_is_there() {
    let mut side = Side::new();
    let (gone, to) = side.bound("127.0.0.1:0");
    side.close(gone);
    let socket = side.socket(Domain::V4, Kind::Datagram);
    let mut message = side.message(b"x");
    assert_eq!(side.push(socket, &mut message), Poll::Ready(Err(Errno::DESTADDRREQ)));
    side.collar.connect(socket, to).unwrap();
    assert_eq!(finish(&mut side, |side| side.connected(socket)), Ok(()));
    // By a pop, which waits, and by a push.
    assert!(side.pop(socket).is_pending());
    assert_eq!(side.push_all(socket, b"hello?"), Ok(()));
    assert_eq!(side.pop_some(socket), Err(Errno::CONNREFUSED));
    let refused = until(&mut side, |side| side.push_all(socket, b"hello?").err());
    assert_eq!(refused, Errno::CONNREFUSED);
    // It can still be used.
    let (there, to) = side.bound("127.0.0.1:0");
    side.collar.connect(socket, to).unwrap();
    assert_eq!(finish(&mut side, |side| side.connected(socket)), Ok(()));
    until(&mut side, |side| side.push_all(socket, b"at last").ok());
    assert_eq!(pop(&mut side, there).unwrap().into_message().to_vec(), b"at last");
}

#[test]
fn unix_datagrams_know_their_senders() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let mut side = Side::new();
    let server = side.socket(Domain::Unix, Kind::Datagram);
    side.collar.bind_path(server, path("server").as_os_str().as_bytes()).unwrap();
    let client = side.socket(Domain::Unix, Kind::Datagram);
    let to = path("server");
    let to = to.as_os_str().as_bytes();
    for name in [None, Some(path("client"))] {
        if let Some(name) = &name {
            side.collar.bind_path(client, name.as_os_str().as_bytes()).unwrap();
        }
        for len in [0, 3, 5000] {
            let mut message = side.message(&bytes(len));
            let pushed = finish(&mut side, |side| side.collar.push_to_path(client, &mut message, to));
            pushed.unwrap();
            let datagram = pop(&mut side, server).unwrap();
            assert_eq!(datagram.sender_path(), Some(name.as_deref().unwrap_or("".as_ref())));
            assert_eq!(datagram.into_message().to_vec(), bytes(len));
        }
    }
    // Answered by name.
    let mut message = side.message(b"answer");
    let name = path("client");
    finish(&mut side, |side| side.collar.push_to_path(server, &mut message, name.as_os_str().as_bytes())).unwrap();
    assert_eq!(pop(&mut side, client).unwrap().into_message().to_vec(), b"answer");
    let nobody = path("nobody");
    let mut message = side.message(b"x");
    let failed =
        finish(&mut side, |side| side.collar.push_to_path(server, &mut message, nobody.as_os_str().as_bytes()));
    assert_eq!(failed.unwrap_err().errno(), Errno::NOENT);
}

/// What comes from outside can be longer than datagrams are here: it is no message, and the next one is whole.
#[test]
fn a_datagram_that_is_too_long_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("server");
    for allowed in [Features::ALL, Features::NONE] {
        let _ = std::fs::remove_file(&path);
        let mut side = Side::with(&settings(), 0, allowed);
        let server = side.socket(Domain::Unix, Kind::Datagram);
        side.collar.bind_path(server, path.as_os_str().as_bytes()).unwrap();
        let peer = UnixDatagram::unbound().unwrap();
        peer.send_to(&bytes(70_000), &path).unwrap();
        peer.send_to(b"whole", &path).unwrap();
        assert_eq!(pop(&mut side, server).unwrap_err(), Errno::MSGSIZE);
        assert_eq!(pop(&mut side, server).unwrap().into_message().to_vec(), b"whole");
        assert_eq!(side.collar.counters().drops, 1);
    }
}

/// A push that waits for room at its receiver tries seldom, and more seldom each time.
#[test]
fn waiting_for_a_receiver_costs_little() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("full");
    let receiver = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    let mut side = Side::new();
    let near = side.socket(Domain::Unix, Kind::Datagram);
    let name = path.as_os_str().as_encoded_bytes();
    let mut message = side.message(b"x");
    let mut sent = 0;
    'full: loop {
        for _ in 0..50 {
            if side.collar.push_to_path(near, &mut message, name).is_ready() {
                message = side.message(b"x");
                sent += 1;
                continue 'full;
            }
            side.round(NAP);
        }
        break;
    }
    let before = side.collar.ring.counts().requests;
    let begun = side.reactor.now();
    while side.reactor.now().saturating_since(begun) < Duration::from_millis(300) {
        side.round(NAP);
    }
    let requests = side.collar.ring.counts().requests - before;
    assert!((2..100).contains(&requests), "{requests} requests in 300 ms");
    // It goes as soon as there is room, or little later.
    receiver.recv(&mut [0; 8]).unwrap();
    assert!(matches!(finish(&mut side, |side| side.collar.push_to_path(near, &mut message, name)), Ok(())));
    for _ in 0..sent {
        receiver.recv(&mut [0; 8]).unwrap();
    }
}
