// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ends: half-closed, closed, reset, lingering, undone, and everything dropped at once.

use super::*;

#[test]
fn the_end_comes_once_behind_everything() {
    let mut side = Side::new();
    let (near, far) = side.pair();
    let mut message = side.message(&bytes(500_000));
    assert!(side.push_by_ring(near, &mut message).is_pending());
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

/// What broke a connection is said once by the kernel, here to a push: `ss -K` is one way to it that takes no time, a peer that has vanished
/// another. A pop must not take the stream for one that is complete.
#[test]
fn what_broke_a_push_is_no_end() {
    for by_ring in [false, true] {
        let mut side = Side::new();
        let (near, far) = side.pair();
        let [own, peer] = [side.collar.local_address(near), side.collar.peer_address(near)].map(Result::unwrap);
        let destroyed = std::process::Command::new("ss")
            .args(["-K", "-t", "src", &own.ip().to_string(), "sport", "=", &own.port().to_string()])
            .args(["dport", "=", &peer.port().to_string()])
            .output()
            .unwrap();
        assert!(destroyed.status.success(), "{destroyed:?}");
        let mut message = side.message(b"into nothing");
        let pushed = finish(&mut side, |side| {
            if by_ring { side.push_by_ring(near, &mut message) } else { side.push(near, &mut message) }
        });
        assert_eq!(pushed, Err(Errno::CONNABORTED), "by the ring: {by_ring}");
        for _ in 0..2 {
            assert_eq!(side.pop_some(near), Err(Errno::CONNABORTED), "by the ring: {by_ring}");
            assert_eq!(side.push_all(near, b"again"), Err(Errno::CONNABORTED));
        }
        side.close(near);
        side.close(far);
    }
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
        assert!(side.push_by_ring(near, &mut message).is_pending(), "it cannot be known so soon");
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
    let (mut popped, mut ended) = (0, false);
    let mut pop = |side: &mut Side| match side.pop(far) {
        Poll::Ready(Ok(bytes)) => {
            popped += bytes.len();
            ended |= bytes.is_empty();
            ended
        }
        Poll::Ready(Err(error)) => {
            assert!(ended, "{error:?}");
            true
        }
        Poll::Pending => false,
    };
    finish(&mut side, |side| {
        pop(side);
        side.collar.close(near)
    })
    .unwrap();
    until(&mut side, |side| pop(side).then_some(()));
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
    // Both requests were cancelled, and are made again for whoever pops: a receive that stays does not see every end by itself.
    assert!(side.pop(near).is_pending());
    for _ in 0..4 {
        side.round(Duration::ZERO);
    }
    let receiving = &side.collar.sockets.get(near).unwrap().receiving;
    assert!(receiving.request.is_some() && receiving.hangup.is_some());
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
        assert!(side.push_by_ring(near, &mut message).is_pending());
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
    // Every handle is free again.
    until(&mut side, |side| (side.collar.sockets.len() == 0).then_some(()));
}

/// A close that lingers looks seldom: each pause is twice as long as the one before it.
#[test]
fn a_close_that_lingers_costs_little() {
    let mut side = Side::new();
    let (near, _far) = side.pair();
    side.collar.set_option(near, SocketOption::Linger(Some(Duration::from_mins(1)))).unwrap();
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
    let before = side.collar.ring.counts().requests;
    let begun = side.reactor.now();
    while side.reactor.now().saturating_since(begun) < Duration::from_millis(400) {
        assert!(side.collar.close(near).is_pending());
        side.round(NAP);
        // As its LibOs does: it is tried again when it was woken.
        while !side.collar.sockets.get(near).unwrap().push_waits {
            assert!(side.collar.close(near).is_pending());
        }
    }
    let requests = side.collar.ring.counts().requests - before;
    assert!(requests < 20, "{requests} requests in 400 ms");
}

/// What has come and was not popped does not turn the end into a reset.
#[test]
fn closed_with_bytes_that_nobody_pops() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("listener");
    let mut side = Side::new();
    let unix = side.socket(Domain::Unix, Kind::Stream);
    side.collar.bind_path(unix, path.as_os_str().as_encoded_bytes()).unwrap();
    side.collar.listen(unix, 4).unwrap();
    let (tcp, address) = side.listen("127.0.0.1:0", 4);
    for round in 0..6 {
        let mut peers: [(Handle, Box<dyn ReadWrite>); 2] = [
            (tcp, Box::new(std::net::TcpStream::connect(address).unwrap())),
            (unix, Box::new(std::os::unix::net::UnixStream::connect(&path).unwrap())),
        ];
        for (listener, peer) in &mut peers {
            let far = finish(&mut side, |side| side.accept(*listener)).unwrap();
            std::io::Write::write_all(peer, &bytes(3000)).unwrap();
            if round % 2 == 0 {
                assert!(!side.pop_some(far).unwrap().is_empty());
                assert!(side.pop(far).is_pending() || round > 0);
                std::io::Write::write_all(peer, &bytes(3000)).unwrap();
            }
            assert_eq!(side.push_all(far, b"all the same"), Ok(()));
            side.close(far);
            let mut answer = Vec::new();
            std::io::Read::read_to_end(peer, &mut answer).unwrap();
            assert_eq!(answer, b"all the same");
        }
    }
    side.close(tcp);
    side.close(unix);
    until(&mut side, |side| (side.collar.sockets.len() == 0).then_some(()));
}

trait ReadWrite: std::io::Read + std::io::Write {}
impl<T: std::io::Read + std::io::Write> ReadWrite for T {}

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

/// What the ring has received and nobody has popped counts as unread: the peer, which may still be sending, is not reset.
#[test]
fn what_was_received_and_not_popped_is_unread() {
    let mut side = Side::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let near = side.begin(listener.local_addr().unwrap());
    assert_eq!(finish(&mut side, |side| side.connected(near)), Ok(()));
    let mut peer = listener.accept().unwrap().0;
    assert!(side.pop(near).is_pending());
    let send = |peer: &mut std::net::TcpStream| std::io::Write::write_all(peer, b"a part of it");
    send(&mut peer).unwrap();
    let has_come = |side: &mut Side| !side.collar.sockets.get(near).unwrap().receiving.ready.is_empty();
    until(&mut side, |side| has_come(side).then_some(()));
    assert_eq!(side.push_all(near, b"enough"), Ok(()));
    // The peer has taken it: that alone would not keep the socket.
    until(&mut side, |side| {
        let kernel = side.collar.sockets.get(near).unwrap().kernel.as_ref().unwrap();
        (kernel::unsent(kernel).unwrap() == 0).then_some(())
    });
    side.close(near);
    for round in 0..10 {
        assert!(send(&mut peer).is_ok(), "it was reset, round {round}");
        side.round(NAP);
        std::thread::sleep(NAP);
    }
    peer.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    assert_eq!(std::io::Read::read_to_end(&mut peer, &mut answer).unwrap(), 6);
    until(&mut side, |side| (side.collar.sockets.len() == 0).then_some(()));
    side.assert_no_buffers();
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
        // One that nobody has popped from stays until its peer has ended, too.
        until(&mut side, |side| (side.collar.sockets.len() == 0).then_some(()));
    }
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
        assert!(side.push_by_ring(far, &mut message).is_pending());
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
