// SPDX-License-Identifier: MIT OR Apache-2.0
//! Registered descriptors: sockets with a slot, without one, and their ends.

use super::*;
use rustix::net::{RecvFlags, recv};
use std::io::Read;
use std::net::{TcpListener, TcpStream};

fn has_slot(side: &mut Side, socket: Handle) -> bool {
    side.collar.sockets.get(socket).unwrap().slot.is_some()
}

/// A connection to a socket of this process that no ring knows.
fn to_the_kernel(side: &mut Side) -> (Handle, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = side.begin(listener.local_addr().unwrap());
    assert_eq!(finish(side, |side| side.connected(near)), Ok(()));
    (near, listener.accept().unwrap().0)
}

/// More sockets than slots: each works, and a slot that is free again has the next one.
#[test]
fn sockets_share_few_slots() {
    let mut side = Side::of(&Settings { registered_sockets: Some(8), ..settings() });
    for round in 0..5_u8 {
        let pairs: Vec<_> = (0..10).map(|_| side.pair()).collect();
        let mut with = 0;
        for &(near, far) in &pairs {
            for (from, to) in [(near, far), (far, near)] {
                assert!(side.pop(to).is_pending());
                assert_eq!(side.push_all(from, &[round; 3000]), Ok(()));
                assert_eq!(side.pop_exactly(to, 3000), [round; 3000]);
                with += u32::from(has_slot(&mut side, to));
            }
        }
        assert_eq!(with, 8, "round {round}");
        for (near, far) in pairs {
            side.close(near);
            assert_eq!(side.pop_some(far), Ok(Vec::new()));
            side.close(far);
        }
    }
    side.assert_no_buffers();
}

/// The table is a reference to the socket, and must not keep its end back: the peer hears of it when the close is done.
#[test]
fn an_end_is_sent_by_the_close() {
    for registered_sockets in [None, Some(64)] {
        let mut side = Side::of(&Settings { registered_sockets, ..settings() });
        for reset in [false, true] {
            let (near, mut peer) = to_the_kernel(&mut side);
            assert!(side.pop(near).is_pending());
            side.round(Duration::ZERO);
            assert_eq!(has_slot(&mut side, near), registered_sockets.is_some());
            if reset {
                side.collar.set_option(near, SocketOption::Linger(Some(Duration::ZERO))).unwrap();
            }
            side.close(near);
            let end = recv(&peer, &mut [0; 8], RecvFlags::DONTWAIT).map(|(len, _)| len);
            assert_eq!(end, if reset { Err(rustix::io::Errno::CONNRESET) } else { Ok(0) });
            assert!(peer.read(&mut [0; 8]).is_ok(), "it is told once");
        }
    }
}

/// So does the end of the whole: the ring itself goes later, in the kernel's own time.
#[test]
fn ends_are_sent_when_all_is_dropped() {
    let mut side = Side::new();
    let (near, peer) = to_the_kernel(&mut side);
    assert!(side.pop(near).is_pending());
    side.round(Duration::ZERO);
    assert!(has_slot(&mut side, near));
    drop(side);
    assert_eq!(recv(&peer, &mut [0; 8], RecvFlags::DONTWAIT).map(|(len, _)| len), Ok(0));
}

/// A thread can register sixteen rings; the others are entered by their descriptors.
#[test]
fn more_rings_than_a_thread_can_register() {
    let mut sides: Vec<Side> = (0..20).map(|_| Side::new()).collect();
    for _ in 0..2 {
        for side in &mut sides {
            let (near, far) = side.pair();
            assert_eq!(side.push_all(near, b"through"), Ok(()));
            assert_eq!(side.pop_some(far), Ok(b"through".to_vec()));
        }
        // Their indices are free again.
        sides.drain(..10);
        sides.extend((0..10).map(|_| Side::new()));
    }
}
