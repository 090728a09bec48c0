// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ends: half-closed, closed, reset, lingering, undone, and everything dropped at once.

use super::*;

#[test]
fn the_end_comes_once_behind_everything() {
    let mut side = Side::new();
    let (near, far) = side.pair();
    let mut message = side.message(&bytes(500_000));
    assert!(side.push(near, &mut message).is_pending());
    assert!(side.collar.shutdown(near).is_pending(), "it waits for the push");
    assert_eq!(side.pop_exactly(far, 500_000), bytes(500_000));
    assert_eq!(finish(&mut side, |side| side.push(near, &mut message)), Ok(()));
    assert_eq!(side.collar.shutdown(near), Poll::Ready(Ok(())));
    assert_eq!(side.pop_some(far), Ok(Vec::new()));
    for _ in 0..3 {
        assert_eq!(side.pop(far), Poll::Ready(Err(Errno::PIPE)));
    }
    // The other way is open.
    assert_eq!(side.push_all(far, b"still"), Ok(()));
    assert_eq!(side.pop_some(near), Ok(b"still".to_vec()));
    side.close(far);
    assert_eq!(side.pop_some(near), Ok(Vec::new()));
}

#[test]
fn pushes_to_a_peer_that_has_gone_fail() {
    let mut side = Side::new();
    let (near, far) = side.pair();
    side.close(far);
    let failed = until(&mut side, |side| side.push_all(near, b"anybody?").err());
    assert_eq!(failed, Errno::PIPE);
    side.close(near);
    side.assert_no_buffers();
}

#[test]
fn a_reset_is_no_end() {
    let mut side = Side::new();
    let (near, far) = side.pair();
    assert_eq!(side.push_all(near, b"before"), Ok(()));
    assert_eq!(side.pop_some(far), Ok(b"before".to_vec()));
    assert!(side.pop(far).is_pending());
    side.collar.set_option(near, SocketOption::Linger(Some(Duration::ZERO))).unwrap();
    side.close(near);
    assert_eq!(side.pop_some(far), Err(Errno::CONNRESET));
    assert_eq!(side.pop(far), Poll::Ready(Err(Errno::CONNRESET)));
    assert_eq!(side.push_all(far, b"to nobody"), Err(Errno::CONNRESET));
    side.close(far);
}

#[test]
fn a_close_lingers_until_the_peer_has_everything() {
    let mut side = Side::new();
    let (near, far) = side.pair();
    side.collar.set_option(near, SocketOption::Linger(Some(Duration::from_mins(1)))).unwrap();
    side.collar.set_option(near, SocketOption::SendBuffer(300_000)).unwrap();
    side.collar.set_option(far, SocketOption::ReceiveBuffer(60_000)).unwrap();
    // More than the peer's kernel takes, so that some is with this one.
    let mut pushed = 0;
    loop {
        let mut message = side.message(&bytes(60_000));
        assert!(side.push(near, &mut message).is_pending(), "it cannot be known so soon");
        for _ in 0..10 {
            side.round(Duration::ZERO);
        }
        match side.push(near, &mut message) {
            Poll::Ready(done) => done.unwrap(),
            Poll::Pending => break,
        }
        pushed += 60_000;
    }
    side.collar.canceled(near, Direction::Push);
    for _ in 0..50 {
        assert!(side.collar.close(near).is_pending());
        side.round(NAP);
    }
    let mut popped = 0;
    finish(&mut side, |side| {
        if let Poll::Ready(Ok(bytes)) = side.pop(far) {
            popped += bytes.len();
        }
        side.collar.close(near)
    })
    .unwrap();
    loop {
        match side.pop_some(far) {
            Ok(bytes) if bytes.is_empty() => break,
            Ok(bytes) => popped += bytes.len(),
            Err(error) => panic!("{error:?}"),
        }
    }
    assert!(popped >= pushed, "{popped} bytes of {pushed}");
}

/// The time to linger is over: the close is done, whatever the peer has.
#[test]
fn a_close_lingers_no_longer_than_it_may() {
    let mut side = Side::new();
    let (near, _far) = side.pair();
    side.collar.set_option(near, SocketOption::Linger(Some(Duration::from_millis(20)))).unwrap();
    loop {
        let mut message = side.message(&bytes(1 << 20));
        let _ = side.push(near, &mut message);
        for _ in 0..10 {
            side.round(Duration::ZERO);
        }
        if side.push(near, &mut message).is_pending() {
            break;
        }
    }
    side.collar.canceled(near, Direction::Push);
    assert!(side.collar.close(near).is_pending());
    side.close(near);
    side.assert_no_buffers();
}

#[test]
fn a_close_that_is_pending_is_undone() {
    let mut side = Side::new();
    let (near, far) = side.pair();
    assert!(side.pop(near).is_pending());
    side.round(Duration::ZERO);
    assert!(side.collar.close(near).is_pending(), "a request is with the kernel");
    side.collar.canceled(near, Direction::Push);
    assert_eq!(side.push_all(far, b"still there?"), Ok(()));
    assert_eq!(side.pop_some(near), Ok(b"still there?".to_vec()));
    assert_eq!(side.push_all(near, b"yes"), Ok(()));
    assert_eq!(side.pop_some(far), Ok(b"yes".to_vec()));
    side.close(near);
    assert_eq!(side.pop_some(far), Ok(Vec::new()));
}

#[test]
fn closed_with_sends_in_flight() {
    let mut side = Side::new();
    for round in 0..20 {
        let (near, far) = side.pair();
        let mut message = side.message(&bytes(8 << 20));
        assert!(side.push(near, &mut message).is_pending());
        assert!(side.pop(near).is_pending());
        for _ in 0..round % 4 {
            side.round(Duration::ZERO);
        }
        side.collar.canceled(near, Direction::Push);
        side.collar.canceled(near, Direction::Pop);
        side.close(near);
        let mut got = 0;
        loop {
            match side.pop_some(far) {
                Ok(popped) if popped.is_empty() => break,
                Ok(popped) => {
                    assert!(popped.iter().enumerate().all(|(i, &byte)| byte == ((got + i) % 251) as u8));
                    got += popped.len();
                }
                Err(error) => panic!("{error:?}"),
            }
        }
        side.close(far);
        side.assert_no_buffers();
    }
    assert_eq!(side.collar.sockets.len(), 0, "every handle is free again");
}

/// Bytes and the end come at once, before the kernel has looked: neither is missed.
#[test]
fn the_end_comes_together_with_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("listener");
    let mut side = Side::new();
    let listener = side.socket(Domain::Unix, Kind::Stream);
    side.collar.bind_path(listener, path.as_os_str().as_encoded_bytes()).unwrap();
    side.collar.listen(listener, 4).unwrap();
    for round in 0..20 {
        let mut peer = std::os::unix::net::UnixStream::connect(&path).unwrap();
        let far = finish(&mut side, |side| side.accept(listener)).unwrap();
        assert!(side.pop(far).is_pending());
        for _ in 0..3 {
            side.round(Duration::ZERO);
        }
        std::io::Write::write_all(&mut peer, &bytes(100 + 5000 * round)).unwrap();
        drop(peer);
        assert_eq!(side.pop_exactly(far, 100 + 5000 * round), bytes(100 + 5000 * round));
        assert_eq!(side.pop_some(far), Ok(Vec::new()), "round {round}");
        assert_eq!(side.pop(far), Poll::Ready(Err(Errno::PIPE)));
        side.close(far);
    }
}

/// Handles and descriptors come back: the tables do not grow.
#[test]
fn nothing_is_left_of_a_thousand_connections() {
    let mut side = Side::new();
    let before = std::fs::read_dir("/proc/self/fd").unwrap().count();
    for round in 0..1000_u32 {
        let (near, far) = side.pair();
        assert!(near < 4 && far < 4, "handles are used again");
        assert!(side.pop(far).is_pending());
        if round % 3 == 0 {
            assert_eq!(side.push_all(near, b"x"), Ok(()));
        }
        side.close(far);
        side.close(near);
    }
    assert_eq!(side.collar.sockets.len(), 0);
    // Other tests of this process have descriptors of their own.
    assert!(std::fs::read_dir("/proc/self/fd").unwrap().count() < before + 500);
    side.assert_no_buffers();
}

/// The whole transport goes while everything is under way: the kernel has let go of all memory, and the peer reads what was
/// sent and the end.
#[test]
fn dropped_with_everything_in_flight() {
    for round in 0..8 {
        let mut side = Side::new();
        let mut peer = Side::new();
        let (listener, address) = side.listen("127.0.0.1:0", 8);
        let near = peer.begin(address);
        until(&mut side, |side| {
            peer.round(Duration::ZERO);
            match (peer.connected(near), side.wakes.is_empty()) {
                (Poll::Ready(done), _) => Some(done),
                (Poll::Pending, _) => None,
            }
        })
        .unwrap();
        let far = finish(&mut side, |side| side.accept(listener)).unwrap();
        let (bound, _) = side.bound("127.0.0.1:0");
        assert!(side.collar.pop(bound, PopMode::Whole).is_pending());
        assert!(side.accept(listener).is_pending());
        assert!(side.pop(far).is_pending());
        let mut message = side.message(&bytes(16 << 20));
        assert!(side.push(far, &mut message).is_pending());
        for _ in 0..round {
            side.round(Duration::ZERO);
        }
        let Side { collar, pools, .. } = side;
        drop(collar);
        assert_eq!(pools.stats().map(|stats| stats.in_use), [0; 3]);
        let mut got = 0;
        loop {
            match peer.pop_some(near) {
                Ok(popped) if popped.is_empty() => break,
                Ok(popped) => got += popped.len(),
                Err(error) => {
                    assert_eq!(error, Errno::CONNRESET);
                    break;
                }
            }
        }
        assert!(got <= 16 << 20);
    }
}
