// SPDX-License-Identifier: MIT OR Apache-2.0
//! `SO_LINGER`: not at all, with a reset, until the peer has everything, until the time is over, and not waited for after all.

use super::*;

/// More than the peer's kernel takes while nobody reads.
const MUCH: usize = 16 << 20;

/// A connection whose peer does not read, with as much on its way as there is room for; says how much.
fn full(side: &mut Side, linger: Option<Duration>) -> (Handle, TcpStream, usize) {
    let (near, peer) = with_std(side);
    side.catnap.set_option(near, SocketOption::Linger(linger)).unwrap();
    let mut message = side.message(&bytes(0, MUCH));
    for _ in 0..50 {
        assert_eq!(side.push(near, &mut message), Poll::Pending);
        side.round(NAP);
    }
    side.catnap.canceled(near, Direction::Push);
    (near, peer, MUCH - message.len())
}

#[test]
fn without_it_a_close_is_done_at_once_and_all_arrives() {
    let mut side = Side::new();
    let (near, mut peer, sent) = full(&mut side, None);
    assert_eq!(side.close(near), Poll::Ready(Ok(())));
    drop(side);
    let mut all = Vec::new();
    peer.read_to_end(&mut all).unwrap();
    assert!(all == bytes(0, sent), "{} of {sent} bytes", all.len());
}

#[test]
fn zero_resets() {
    let mut side = Side::new();
    let (near, mut peer, _) = full(&mut side, Some(Duration::ZERO));
    assert_eq!(side.close(near), Poll::Ready(Ok(())));
    let error = peer.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(Errno::CONNRESET.raw()));
}

#[test]
fn it_lasts_until_the_peer_has_everything() {
    let mut side = Side::new();
    let (near, mut peer, sent) = full(&mut side, Some(Duration::from_mins(1)));
    assert_eq!(side.close(near), Poll::Pending);
    for _ in 0..20 {
        side.round(NAP);
        assert!(!side.take_wake(near, Direction::Push) || side.close(near).is_pending());
    }
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        peer.read_to_end(&mut all).unwrap();
        all
    });
    // Wakes may have been taken above: what ends the close makes a further edge.
    for _ in 0..ROUNDS {
        side.round(NAP);
        if side.take_wake(near, Direction::Push) && side.close(near).is_ready() {
            assert!(reader.join().unwrap() == bytes(0, sent));
            assert_eq!(side.catnap.shared.waiting, 0);
            return;
        }
    }
    panic!("it lingers though the peer has everything");
}

/// Nothing on its way: done at once.
#[test]
fn nothing_to_wait_for() {
    let mut side = Side::new();
    let (near, mut peer) = with_std(&mut side);
    side.catnap.set_option(near, SocketOption::Linger(Some(Duration::from_mins(1)))).unwrap();
    assert_eq!(side.finish(near, Direction::Push, |side| side.close(near)), Ok(()));
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    let fresh = side.stream();
    side.catnap.set_option(fresh, SocketOption::Linger(Some(Duration::from_mins(1)))).unwrap();
    assert_eq!(side.close(fresh), Poll::Ready(Ok(())));
}

#[test]
fn it_runs_out() {
    let time = Duration::from_millis(30);
    let mut side = Side::new();
    let (near, mut peer, sent) = full(&mut side, Some(time));
    side.reactor.refresh_clock();
    let begun = side.reactor.now();
    assert_eq!(side.finish(near, Direction::Push, |side| side.close(near)), Ok(()));
    assert!(side.reactor.now().saturating_since(begun) >= time, "too early");
    // The kernel goes on all the same.
    let mut all = Vec::new();
    peer.read_to_end(&mut all).unwrap();
    assert_eq!(all.len(), sent);
}

/// Not waited for any more: the socket is open again, though its stream has ended.
#[test]
fn a_close_is_undone() {
    let mut side = Side::new();
    let (near, mut peer, _) = full(&mut side, Some(Duration::from_mins(1)));
    assert_eq!(side.close(near), Poll::Pending);
    side.catnap.canceled(near, Direction::Push);
    peer.write_all(b"still there?").unwrap();
    assert_eq!(side.popped(near), Ok(b"still there?".to_vec()));
    side.catnap.set_option(near, SocketOption::Linger(None)).unwrap();
    assert_eq!(side.close(near), Poll::Ready(Ok(())));
    drop(peer);
    side.settle();
    assert_eq!(side.catnap.shared.waiting, 0);
}

/// The peer goes without reading: there is nothing to wait for any more.
#[test]
fn the_peer_resets() {
    let mut side = Side::new();
    let (near, peer, _) = full(&mut side, Some(Duration::from_mins(1)));
    assert_eq!(side.close(near), Poll::Pending);
    let mut peer = Some(peer);
    let closed = side.finish_beside(near, Direction::Push, |side| side.close(near), |_| drop(peer.take()));
    assert_eq!(closed, Ok(()));
}
