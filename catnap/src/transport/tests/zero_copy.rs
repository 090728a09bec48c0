// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pushes without a copy: complete when the kernel has done with the memory, which is held until then whatever happens.

use super::*;

const LEAST: usize = 10_000;

fn side() -> Side {
    Side::with(Settings { zero_copy: Some(LEAST), ..settings() })
}

fn held(side: &Side) -> u32 {
    side.pools.stats().iter().map(|stats| stats.in_use).sum()
}

/// Reads everything until the end, in another thread.
fn reader(mut peer: TcpStream) -> std::thread::JoinHandle<std::io::Result<Vec<u8>>> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        peer.read_to_end(&mut all).map(|_| all)
    })
}

#[test]
fn everything_arrives() {
    let mut side = side();
    let (near, peer) = with_std(&mut side);
    let reader = reader(peer);
    let mut sent = 0;
    // Short ones are copied, and go in their turn.
    for len in [LEAST, 5, 50_000, LEAST - 1, 3 << 20, 1, 200_000] {
        let mut message = Sga::new();
        for piece in bytes(sent, len).chunks(len.div_ceil(10)) {
            message.push_back(side.pools.alloc_copy(piece).unwrap()).unwrap();
        }
        sent += len;
        assert_eq!(side.finish(near, Direction::Push, |side| side.push(near, &mut message)), Ok(()));
        drop(message);
        assert_eq!(held(&side), 0, "{len} bytes are complete: the memory is back");
    }
    assert_eq!(side.close(near), Poll::Ready(Ok(())));
    assert!(reader.join().unwrap().unwrap() == bytes(0, sent));
}

/// Nobody reads: the push is not complete though everything may be sent, and its memory is held.
#[test]
fn memory_is_held() {
    let mut side = side();
    let (near, peer) = with_std(&mut side);
    let mut message = side.message(&bytes(0, 32 << 20));
    for _ in 0..20 {
        assert_eq!(side.push(near, &mut message), Poll::Pending);
        side.round(NAP);
    }
    drop(message);
    assert_ne!(held(&side), 0);
    // Given up: what the kernel reads stays, what comes next is no part of it.
    side.catnap.canceled(near, Direction::Push);
    assert_ne!(held(&side), 0);
    let reader = reader(peer);
    let mut last = side.message(b"the end");
    assert_eq!(side.finish(near, Direction::Push, |side| side.push(near, &mut last)), Ok(()));
    drop(last);
    for _ in 0..ROUNDS {
        if held(&side) == 0 {
            break;
        }
        // As if somebody waited: what is given up has no operation of its own.
        assert!(side.pop(near).is_pending());
        side.round(NAP);
    }
    assert_eq!(held(&side), 0);
    assert_eq!(side.close(near), Poll::Ready(Ok(())));
    let all = reader.join().unwrap().unwrap();
    let cut = all.len() - b"the end".len();
    assert!(all[..cut] == bytes(0, cut) && &all[cut..] == b"the end");
}

/// Closed with sends in flight: the close is done, the peer gets what was sent, and only then the memory comes back.
#[test]
fn closed_in_flight() {
    for linger in [None, Some(Duration::ZERO)] {
        let mut side = side();
        let (near, peer) = with_std(&mut side);
        side.catnap.set_option(near, SocketOption::Linger(linger)).unwrap();
        let mut message = side.message(&bytes(0, 32 << 20));
        for _ in 0..5 {
            assert_eq!(side.push(near, &mut message), Poll::Pending);
            side.round(NAP);
        }
        side.catnap.canceled(near, Direction::Push);
        assert_eq!(side.close(near), Poll::Ready(Ok(())));
        let reader = reader(peer);
        for _ in 0..ROUNDS {
            if held(&side) == 0 {
                break;
            }
            side.round(NAP);
        }
        assert_eq!((held(&side), side.catnap.shared.waiting), (0, 0));
        match (linger, reader.join().unwrap()) {
            (None, Ok(all)) => assert!(!all.is_empty() && all == bytes(0, all.len())),
            (Some(_), Err(error)) => assert_eq!(error.raw_os_error(), Some(Errno::CONNRESET.raw())),
            (linger, read) => panic!("{linger:?}: {:?}", read.map(|all| all.len())),
        }
    }
}

/// A peer that never reads what it was sent: the socket that was closed goes when its time is over, and its memory comes back.
#[test]
fn nobody_reads_what_a_closed_socket_has_sent() {
    let mut side = side();
    let (near, mut peer) = with_std(&mut side);
    let mut message = side.message(&bytes(0, 32 << 20));
    for _ in 0..5 {
        assert_eq!(side.push(near, &mut message), Poll::Pending);
        side.round(NAP);
    }
    side.catnap.canceled(near, Direction::Push);
    drop(message);
    side.reactor.refresh_clock();
    assert_eq!(side.close(near), Poll::Ready(Ok(())));
    let now = side.reactor.now();
    let orphan = side.catnap.table.get(near).unwrap().orphan.as_mut().unwrap();
    assert!(orphan.until <= now + runtime::limits::ORPHANED_FOR);
    for _ in 0..20 {
        side.round(NAP);
    }
    assert_ne!(held(&side), 0);
    // As if it had lasted so long.
    side.catnap.table.get(near).unwrap().orphan.as_mut().unwrap().until = side.reactor.now();
    side.settle();
    assert_eq!(held(&side), 0);
    assert!(side.catnap.table.get(near).is_err());
    let error = peer.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(Errno::CONNRESET.raw()));
}

/// The transport goes with sends in flight: the peer gets the right bytes, whatever the memory is used for later.
#[test]
fn dropped_in_flight() {
    let mut side = side();
    let (near, peer) = with_std(&mut side);
    let mut message = side.message(&bytes(0, 32 << 20));
    for _ in 0..5 {
        assert_eq!(side.push(near, &mut message), Poll::Pending);
        side.round(NAP);
    }
    drop(message);
    drop(side);
    let _other: Vec<Vec<u8>> = (0..64).map(|_| vec![0xee; 1 << 20]).collect();
    let all = reader(peer).join().unwrap().unwrap();
    assert!(!all.is_empty() && all == bytes(0, all.len()));
}

/// The peer resets: the push fails, and the memory comes back.
#[test]
fn reset_in_flight() {
    let mut side = side();
    let (near, peer) = with_std(&mut side);
    let mut message = side.message(&bytes(0, 32 << 20));
    for _ in 0..5 {
        assert_eq!(side.push(near, &mut message), Poll::Pending);
        side.round(NAP);
    }
    rustix::net::sockopt::set_socket_linger(&peer, Some(Duration::ZERO)).unwrap();
    drop(peer);
    let pushed = side.finish(near, Direction::Push, |side| side.push(near, &mut message));
    assert_eq!(pushed, Err(Errno::CONNRESET));
    assert_eq!(side.close(near), Poll::Ready(Ok(())));
    for _ in 0..ROUNDS {
        if held(&side) == 0 {
            break;
        }
        side.round(NAP);
    }
    assert_eq!((held(&side), side.catnap.shared.waiting), (0, 0));
}
