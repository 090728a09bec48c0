// SPDX-License-Identifier: MIT OR Apache-2.0
//! Streams: bytes there and back, long messages, parts, operations that are given up.

use super::*;

#[test]
fn there_and_back_over_every_family() {
    let mut side = Side::new();
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let (near, far) = side.pair_at(address);
        let (local, peer) = (side.collar.local_address(near).unwrap(), side.collar.peer_address(near).unwrap());
        assert_eq!(side.collar.peer_address(far).unwrap(), local);
        assert_eq!(side.collar.local_address(far).unwrap(), peer);
        for len in [1, 64, 1024, 1025, 4096, 4097, 100_000] {
            for (from, to) in [(near, far), (far, near)] {
                let mut message = side.message(&bytes(len));
                assert!(side.push_by_ring(from, &mut message).is_pending());
                assert!(message.has_no_segment(), "the ring has it");
                assert_eq!(side.pop_exactly(to, len), bytes(len));
                assert_eq!(finish(&mut side, |side| side.push(from, &mut message)), Ok(()));
            }
        }
        side.close(near);
        assert_eq!(side.pop_some(far), Ok(Vec::new()));
        side.close(far);
    }
    side.assert_no_buffers();
    let counters = side.collar.counters();
    assert_eq!((counters.accepted, counters.connected), (2, 2));
}

#[test]
fn unix_streams_have_names() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("listener");
    let path = path.as_os_str().as_encoded_bytes();
    let mut side = Side::new();
    for name in [path, b"\0catcollar's test of abstract names"] {
        let listener = side.socket(Domain::Unix, Kind::Stream);
        side.collar.bind_path(listener, name).unwrap();
        side.collar.listen(listener, 2).unwrap();
        let near = side.socket(Domain::Unix, Kind::Stream);
        side.collar.connect_path(near, name).unwrap();
        assert_eq!(finish(&mut side, |side| side.connected(near)), Ok(()));
        let far = finish(&mut side, |side| side.accept(listener)).unwrap();
        assert_eq!(side.collar.peer_path(near).unwrap(), name);
        assert_eq!(side.collar.local_path(far).unwrap(), name);
        let mut message = side.message(&bytes(300_000));
        assert!(side.push_by_ring(near, &mut message).is_pending());
        assert_eq!(side.pop_exactly(far, 300_000), bytes(300_000));
        assert_eq!(finish(&mut side, |side| side.push(near, &mut message)), Ok(()));
        for socket in [near, far, listener] {
            side.close(socket);
        }
    }
}

/// Far more than the kernel holds: the push waits until all of it was popped, or is with the kernel.
#[test]
fn sixty_four_mebibytes_in_one_push() {
    const LEN: usize = 64 << 20;
    let mut side = Side::new();
    let (near, far) = side.pair();
    let mut message = side.message(&bytes(LEN));
    let mut pushed = side.push(near, &mut message);
    let mut at = 0;
    while at < LEN {
        let popped = finish(&mut side, |side| {
            if pushed.is_pending() {
                pushed = side.push(near, &mut message);
            }
            side.collar.pop(far, PopMode::Whole)
        });
        for part in &popped.unwrap() {
            assert!(part.iter().enumerate().all(|(i, &byte)| byte == ((at + i) % 251) as u8), "at {at}");
            at += part.len();
        }
    }
    if pushed.is_pending() {
        assert_eq!(finish(&mut side, |side| side.push(near, &mut message)), Ok(()));
    }
    side.assert_no_buffers();
}

#[test]
fn many_segments_go_as_one_message() {
    let mut side = Side::new();
    let (near, far) = side.pair();
    for round in 0..20 {
        let mut message = Sga::new();
        for index in 0..64 {
            message.push_back(side.pools.alloc_copy(&[index; 7]).unwrap()).unwrap();
        }
        assert!(side.push_by_ring(near, &mut message).is_pending());
        let expected: Vec<u8> = (0..64_u8).flat_map(|index| [index; 7]).collect();
        assert_eq!(side.pop_exactly(far, expected.len()), expected, "round {round}");
        assert_eq!(finish(&mut side, |side| side.push(near, &mut message)), Ok(()));
    }
    side.assert_no_buffers();
}

#[test]
fn parts_of_every_length_are_popped() {
    let mut side = Side::new();
    let (near, far) = side.pair();
    let whole = bytes(20_000);
    for size in [1, 3, 1000, 1024, 1025, 2000, 4096, 30_000] {
        let mut message = side.message(&whole);
        assert!(side.push_by_ring(near, &mut message).is_pending());
        let mut popped = Vec::new();
        while popped.len() < whole.len() {
            let mode = PopMode::AtMost(size.try_into().unwrap());
            let part = finish(&mut side, |side| side.collar.pop(far, mode)).unwrap();
            assert!(!part.is_empty() && part.len() <= size);
            popped.extend(part.to_vec());
        }
        assert!(popped == whole, "parts of {size}");
        assert_eq!(finish(&mut side, |side| side.push(near, &mut message)), Ok(()));
    }
    side.assert_no_buffers();
}

/// A push that is given up half way: what went is its beginning, and the next one is whole.
#[test]
fn a_push_is_given_up() {
    let mut side = Side::new();
    for round in 0..10 {
        let (near, far) = side.pair();
        let mut large = side.message(&bytes(20 << 20));
        assert!(side.push_by_ring(near, &mut large).is_pending());
        for _ in 0..round {
            side.round(Duration::ZERO);
        }
        side.collar.canceled(near, Direction::Push);
        let mut marker = side.message(b"marker");
        let mut pushed = Poll::Pending;
        let mut got = Vec::new();
        while !got.ends_with(b"marker") {
            if pushed.is_pending() {
                pushed = side.push(near, &mut marker);
            }
            if let Poll::Ready(popped) = side.pop(far) {
                got.extend(popped.unwrap());
            }
            side.round(NAP);
        }
        assert!(got[..got.len() - 6] == bytes(20 << 20)[..got.len() - 6], "round {round}");
        assert!(matches!(pushed, Poll::Ready(Ok(()))) || side.push(near, &mut marker) == Poll::Ready(Ok(())));
        side.close(near);
        side.close(far);
    }
    side.assert_no_buffers();
}

#[test]
fn a_pop_is_given_up() {
    let mut side = Side::new();
    let (near, far) = side.pair();
    for round in 0..100_u8 {
        assert!(side.pop(far).is_pending());
        side.collar.canceled(far, Direction::Pop);
        assert_eq!(side.push_all(near, &[round]), Ok(()));
        assert_eq!(side.pop_some(far), Ok(vec![round]));
    }
}

#[test]
fn calls_at_the_wrong_time() {
    let mut side = Side::new();
    let fresh = side.socket(Domain::V4, Kind::Stream);
    let mut message = side.message(b"x");
    assert_eq!(side.push(fresh, &mut message), Poll::Ready(Err(Errno::NOTCONN)));
    assert_eq!(side.pop(fresh), Poll::Ready(Err(Errno::NOTCONN)));
    assert_eq!(side.accept(fresh), Poll::Ready(Err(Errno::INVAL)));
    assert_eq!(side.collar.shutdown(fresh).map_err(Error::errno), Poll::Ready(Err(Errno::NOTCONN)));
    let to = at("127.0.0.1:9");
    assert_eq!(side.collar.push_to(fresh, &mut message, to).map_err(Error::errno), Poll::Ready(Err(Errno::NOTCONN)));
    assert_eq!(message.len(), 1, "it was not taken");
    let (near, _far) = side.pair();
    assert_eq!(side.collar.push_to(near, &mut message, to).map_err(Error::errno), Poll::Ready(Err(Errno::ISCONN)));
    assert_eq!(side.collar.listen(near, 1).unwrap_err().errno(), Errno::INVAL);
    assert_eq!(side.collar.pop(99, PopMode::Whole).map_err(Error::errno).map_ok(|_| ()), Poll::Ready(Err(Errno::BADF)));
}

#[test]
fn connects_are_refused_given_up_and_tried_again() {
    let mut side = Side::new();
    let (listener, address) = side.listen("127.0.0.1:0", 1);
    side.close(listener);
    let socket = side.socket(Domain::V4, Kind::Stream);
    for _ in 0..20 {
        side.collar.connect(socket, address).unwrap();
        assert_eq!(finish(&mut side, |side| side.connected(socket)), Err(Errno::CONNREFUSED));
        assert_eq!(side.pop(socket), Poll::Ready(Err(Errno::NOTCONN)));
    }
    assert_eq!(side.collar.counters().refused, 20);
    let listener = side.socket(Domain::V4, Kind::Stream);
    side.collar.bind(listener, address).unwrap();
    side.collar.listen(listener, 100).unwrap();
    for round in 0..20 {
        side.collar.connect(socket, address).unwrap();
        let begun = side.connected(socket);
        if round % 2 == 0 {
            side.round(Duration::ZERO);
        }
        if begun.is_pending() {
            side.collar.canceled(socket, Direction::Push);
            assert_eq!(side.collar.peer_address(socket).unwrap_err().errno(), Errno::NOTCONN);
        } else {
            break;
        }
    }
    if side.collar.peer_address(socket).is_err() {
        side.collar.connect(socket, address).unwrap();
        assert_eq!(finish(&mut side, |side| side.connected(socket)), Ok(()));
    }
    assert_eq!(side.push_all(socket, b"here"), Ok(()));
    let far = loop {
        let far = finish(&mut side, |side| side.accept(listener)).unwrap();
        match side.pop_some(far) {
            Ok(message) if message == b"here" => break far,
            // One that was given up.
            Ok(message) => assert!(message.is_empty()),
            Err(error) => assert_eq!(error, Errno::CONNRESET),
        }
    };
    assert_eq!(side.push_all(far, b"there"), Ok(()));
    assert_eq!(side.pop_some(socket), Ok(b"there".to_vec()));
}
