// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bounds that are reached: buffers, completions, submissions, connections that wait, descriptors.

use super::*;
use crate::ring::Group;
use runtime::limits::{ACCEPTED_MAX, RECEIVED_MAX};

/// The application keeps what it pops until nothing is left: then `ENOBUFS`, and when it drops something, the next bytes.
#[test]
fn all_buffers_are_kept_by_the_application() {
    let mut side = Side::of(&Settings { buffers: 16, ..settings() });
    let (near, far) = side.pair();
    let (mut kept, mut sent, mut got) = (Vec::new(), 0, 0);
    let mut error = None;
    while error.is_none() {
        // Larger than what is copied, so that each keeps a buffer.
        assert!(sent < 1000, "there are not so many buffers");
        let mut message = side.message(&vec![(sent % 251) as u8; 2000]);
        let mut pushed = side.push(near, &mut message);
        let popped = finish(&mut side, |side| {
            if pushed.is_pending() {
                pushed = side.push(near, &mut message);
            }
            side.collar.pop(far, PopMode::Whole)
        });
        if pushed.is_pending() {
            finish(&mut side, |side| side.push(near, &mut message)).unwrap();
        }
        sent += 1;
        match popped {
            Ok(message) => {
                got += message.len();
                kept.push(message);
            }
            Err(failed) => error = Some(failed.errno()),
        }
    }
    assert_eq!(error, Some(Errno::NOBUFS));
    // Those of the ring, and those that were brought along.
    assert!(kept.len() > 16, "{}", kept.len());
    assert_eq!(side.pop_some(far), Err(Errno::NOBUFS), "it is told again");
    let first = kept.remove(0);
    assert_eq!(first.to_vec(), [0; 2000]);
    drop(first);
    kept.truncate(2);
    while got < sent * 2000 {
        let popped = side.pop_some(far).unwrap();
        assert!(popped.iter().all(|&byte| byte == ((sent - 1) % 251) as u8 || got < (sent - 1) * 2000));
        got += popped.len();
    }
    drop(kept);
    for round in 0..200_u8 {
        assert_eq!(side.push_all(near, &[round; 3000]), Ok(()));
        assert_eq!(side.pop_exactly(far, 3000), [round; 3000]);
    }
    side.assert_no_buffers();
}

/// Connections from which nobody pops hold all buffers; one from which somebody does gets its bytes all the same.
#[test]
fn others_hold_all_buffers() {
    let mut side = Side::of(&Settings { buffers: 16, ..settings() });
    let silent: Vec<_> = (0..8).map(|_| side.pair()).collect();
    for &(_, far) in &silent {
        assert!(side.pop(far).is_pending());
        side.collar.canceled(far, Direction::Pop);
    }
    side.round(Duration::ZERO);
    for round in 0..10 {
        for &(near, _) in &silent {
            assert_eq!(side.push_all(near, &[round; 1500]), Ok(()));
            side.round(Duration::ZERO);
        }
    }
    let (near, far) = side.pair();
    for round in 0..100_u8 {
        assert_eq!(side.push_all(near, &[round; 2500]), Ok(()));
        assert_eq!(side.pop_exactly(far, 2500), [round; 2500]);
    }
    // Nothing of the others is lost.
    for &(_, far) in &silent {
        let all = side.pop_exactly(far, 15_000);
        assert!(all.chunks(1500).enumerate().all(|(round, chunk)| chunk == [round as u8; 1500]));
    }
}

/// A peer that pushes without end, to a socket that is popped once: what waits here is bounded, and nothing is lost.
#[test]
fn what_is_not_popped_is_bounded() {
    let mut side = Side::of(&Settings { buffers: 512, ..settings() });
    let (near, far) = side.pair();
    assert!(side.pop(far).is_pending());
    let mut pushed = 0;
    let mut message;
    loop {
        message = side.message(&bytes(4096));
        let _ = side.push(near, &mut message);
        for _ in 0..5 {
            side.round(Duration::ZERO);
        }
        if side.push(near, &mut message).is_pending() {
            break;
        }
        pushed += 4096;
    }
    let waiting = side.collar.sockets.get(far).unwrap().receiving.ready.len();
    // What came in the same moment, in addition.
    assert!(waiting > RECEIVED_MAX && waiting < 4 * RECEIVED_MAX, "{waiting} buffers wait");
    let popped = side.pop_exactly(far, pushed);
    assert!(popped.chunks(4096).all(|chunk| chunk == bytes(4096)));
    assert_eq!(finish(&mut side, |side| side.push(near, &mut message)), Ok(()));
    assert_eq!(side.pop_exactly(far, 4096), bytes(4096));
    side.assert_no_buffers();
}

/// Rings far smaller than what is in flight: requests wait in order, completions that did not fit come later.
#[test]
fn tiny_rings_carry_many_connections() {
    const PAIRS: usize = 40;
    let mut side = Side::of(&Settings { entries: 8, completions: 16, buffers: 16, ..settings() });
    let pairs: Vec<_> = (0..PAIRS).map(|_| side.pair()).collect();
    for round in 0..30_u8 {
        for &(_, far) in &pairs {
            assert!(side.pop(far).is_pending());
        }
        let mut messages: Vec<Sga> = pairs.iter().map(|_| side.message(&[round; 300])).collect();
        for (&(near, _), message) in pairs.iter().zip(&mut messages) {
            assert!(side.push_by_ring(near, message).is_pending());
        }
        for (&(near, far), message) in pairs.iter().zip(&mut messages) {
            assert_eq!(finish(&mut side, |side| side.push(near, message)), Ok(()));
            assert_eq!(side.pop_exactly(far, 300), [round; 300]);
        }
    }
    assert_ne!(side.collar.ring.counts().overflows, 0, "the queue of completions was never full");
    for (near, far) in pairs {
        side.close(near);
        side.close(far);
    }
    assert_eq!(side.collar.sockets.len(), 0);
    side.assert_no_buffers();
}

/// Connections wait with the kernel while nobody accepts.
#[test]
fn accepted_connections_are_bounded() {
    let mut side = Side::new();
    let (listener, address) = side.listen("127.0.0.1:0", 500);
    assert!(side.accept(listener).is_pending());
    side.collar.canceled(listener, Direction::Pop);
    let calls: Vec<Handle> = (0..200)
        .map(|_| {
            let near = side.begin(address);
            assert_eq!(finish(&mut side, |side| side.connected(near)), Ok(()));
            near
        })
        .collect();
    let waiting = side.collar.sockets.get(listener).unwrap().accepting.ready.len();
    assert!(waiting <= ACCEPTED_MAX + 2, "{waiting} connections were taken");
    for near in calls {
        let far = finish(&mut side, |side| side.accept(listener)).unwrap();
        assert_eq!(side.collar.peer_address(far).unwrap(), side.collar.local_address(near).unwrap());
        side.close(far);
        side.close(near);
    }
    side.close(listener);
}

/// The ring of datagram buffers is empty: datagrams wait with the kernel, or come into buffers that are brought along.
#[test]
fn datagrams_without_buffers_of_the_ring() {
    let mut side = Side::of(&Settings { buffers: 16, ..settings() });
    let ((near, from), (far, to)) = (side.bound("127.0.0.1:0"), side.bound("127.0.0.1:0"));
    let mut kept = Vec::new();
    for number in 0..40_u8 {
        assert_eq!(super::datagrams::push_to(&mut side, near, &[number; 2000], to), Ok(()));
        let datagram = super::datagrams::pop(&mut side, far).unwrap();
        assert_eq!(datagram.sender(), from);
        kept.push(datagram);
    }
    assert!(!side.collar.ring.has_buffers(Group::Datagrams));
    for (number, datagram) in kept.drain(..).enumerate() {
        assert_eq!(datagram.into_message().to_vec(), [number as u8; 2000]);
    }
    side.assert_no_buffers();
}
