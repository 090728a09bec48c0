// SPDX-License-Identifier: MIT OR Apache-2.0
//! How streams end: half-closed, closed, reset.

use super::*;

#[test]
fn half_closed_by_the_peer() {
    let mut side = Side::new();
    let (near, mut peer) = with_std(&mut side);
    peer.write_all(b"last words").unwrap();
    peer.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(side.popped(near), Ok(b"last words".to_vec()));
    assert_eq!(side.popped(near), Ok(vec![]));
    for _ in 0..3 {
        assert_eq!(side.popped(near), Err(Errno::PIPE));
    }
    // The other way is open.
    side.push_now(near, b"an answer");
    let mut answer = [0; 9];
    peer.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"an answer");
    assert_eq!(side.close(near), Poll::Ready(Ok(())));
    assert_eq!(peer.read(&mut answer).unwrap(), 0);
}

/// The end comes while a pop waits, and behind data that a short read has taken.
#[test]
fn the_end_wakes() {
    let mut side = Side::new();
    let (near, mut peer) = with_std(&mut side);
    for len in [0, 1, 2048, 5000] {
        assert_eq!(side.pop(near), Poll::Pending);
        peer.write_all(&bytes(0, len)).unwrap();
        if len == 5000 {
            drop(peer);
            assert_eq!(side.pop_all(near, len), bytes(0, len));
            assert_eq!(side.popped(near), Ok(vec![]));
            return;
        }
        assert_eq!(side.pop_all(near, len), bytes(0, len));
    }
}

#[test]
fn half_closed_here() {
    let mut side = Side::new();
    let (near, mut peer) = with_std(&mut side);
    side.push_now(near, b"last words");
    assert_eq!(side.catnap.shutdown(near), Poll::Ready(Ok(())));
    let mut all = Vec::new();
    peer.read_to_end(&mut all).unwrap();
    assert_eq!(all, b"last words");
    peer.write_all(b"an answer").unwrap();
    assert_eq!(side.popped(near), Ok(b"an answer".to_vec()));
    drop(peer);
    assert_eq!(side.popped(near), Ok(vec![]));
    let fresh = side.stream();
    assert_eq!(side.catnap.shutdown(fresh).map_err(Error::errno), Poll::Ready(Err(Errno::NOTCONN)));
}

/// What came before a reset is popped; then every pop and push says so, whichever of them heard of it first.
#[test]
fn a_reset() {
    for push_first in [false, true] {
        let mut side = Side::new();
        let (near, mut peer) = with_std(&mut side);
        peer.write_all(b"last words").unwrap();
        rustix::net::sockopt::set_socket_linger(&peer, Some(Duration::ZERO)).unwrap();
        drop(peer);
        if push_first {
            let mut message = side.message(b"x");
            assert_eq!(side.push(near, &mut message), Poll::Ready(Err(Errno::CONNRESET)));
        }
        assert_eq!(side.popped(near), Ok(b"last words".to_vec()));
        for _ in 0..3 {
            assert_eq!(side.popped(near), Err(Errno::CONNRESET));
            let mut message = side.message(b"x");
            assert_eq!(side.push(near, &mut message), Poll::Ready(Err(Errno::CONNRESET)));
            assert_eq!(side.catnap.push_bytes(near, b"x").map_err(Error::errno), Ok(false));
        }
        // The address of who it was is known all the same.
        side.catnap.peer_address(near).unwrap();
        assert_eq!(side.close(near), Poll::Ready(Ok(())));
        assert_no_buffers(&side);
    }
}

/// A reset ends a push that waits for room, and a pop that waits for data.
#[test]
fn a_reset_wakes() {
    let mut side = Side::new();
    let (near, peer) = with_std(&mut side);
    let mut message = side.message(&bytes(0, 16 << 20));
    assert_eq!(side.push(near, &mut message), Poll::Pending);
    assert_eq!(side.pop(near), Poll::Pending);
    rustix::net::sockopt::set_socket_linger(&peer, Some(Duration::ZERO)).unwrap();
    drop(peer);
    let pushed = side.finish(near, Direction::Push, |side| side.push(near, &mut message));
    assert_eq!(pushed, Err(Errno::CONNRESET));
    assert_eq!(side.popped(near), Err(Errno::CONNRESET));
}

/// The peer has closed: pushes end with `EPIPE`, and no signal.
#[test]
fn nobody_reads() {
    let mut side = Side::new();
    let (near, peer) = with_std(&mut side);
    drop(peer);
    assert_eq!(side.popped(near), Ok(vec![]));
    let failed = (0..ROUNDS).find_map(|_| {
        side.round(NAP);
        let mut message = side.message(b"to nobody");
        match side.push(near, &mut message) {
            Poll::Ready(Ok(())) => None,
            other => Some(other),
        }
    });
    assert_eq!(failed, Some(Poll::Ready(Err(Errno::PIPE))));
    let mut message = side.message(b"to nobody");
    assert_eq!(side.push(near, &mut message), Poll::Ready(Err(Errno::PIPE)));
    assert_eq!(side.catnap.push_bytes(near, b"to nobody").map_err(Error::errno), Err(Errno::PIPE));
    assert_eq!(side.popped(near), Err(Errno::PIPE));
}

/// Closed with operations that wait: nothing is left of them.
#[test]
fn closed_under_operations() {
    let mut side = Side::new();
    let [near, far] = pair(&mut side);
    let mut message = side.message(&bytes(0, 16 << 20));
    assert_eq!(side.push(near, &mut message), Poll::Pending);
    assert_eq!(side.pop(near), Poll::Pending);
    side.catnap.canceled(near, Direction::Push);
    side.catnap.canceled(near, Direction::Pop);
    assert_eq!(side.close(near), Poll::Ready(Ok(())));
    drop(message);
    let mut got = 0;
    loop {
        match side.popped(far) {
            Ok(part) if part.is_empty() => break,
            Ok(part) => {
                assert!(part == bytes(got, part.len()));
                got += part.len();
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    assert!(got > 0);
    assert_eq!(side.close(far), Poll::Ready(Ok(())));
    side.settle();
    assert_eq!(side.close(near), Poll::Ready(Err(Errno::BADF)));
    assert_eq!(side.pop(near), Poll::Ready(Err(Errno::BADF)));
    assert_eq!(side.catnap.shared.waiting, 0);
    assert_no_buffers(&side);
}
