// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sends without a copy: their memory is held until the kernel is done with it.

use super::*;

fn side() -> Side {
    Side::of(&Settings { zero_copy: Some(4096), ..settings() })
}

#[test]
fn long_messages_go_without_a_copy() {
    let mut side = side();
    let (near, far) = side.pair();
    for len in [4095, 4096, 60_000, 3 << 20] {
        let mut message = side.message(&bytes(len));
        assert!(side.push_by_ring(near, &mut message).is_pending());
        assert!(side.pop_exactly(far, len) == bytes(len));
        assert_eq!(finish(&mut side, |side| side.push(near, &mut message)), Ok(()));
    }
    until(&mut side, |side| (side.pools.stats().map(|stats| stats.in_use) == [0; 3]).then_some(()));
    assert_eq!(side.collar.sockets.get(near).unwrap().held, 0);
}

/// Somebody has a second view, and may write there once the push is done: it is done when the kernel has let go.
#[test]
fn a_push_whose_memory_is_shared_waits_for_the_kernel() {
    let mut side = side();
    let (near, far) = side.pair();
    let buf = side.pools.alloc_copy(&bytes(8192)).unwrap();
    let mut view = buf.view().unwrap();
    let mut message = Sga::from(buf);
    assert!(side.push_by_ring(near, &mut message).is_pending());
    let mut pushed = Poll::Pending;
    let mut got = Vec::new();
    while got.len() < 8192 || pushed.is_pending() {
        if pushed.is_pending() {
            pushed = side.push(near, &mut message);
            if pushed.is_ready() {
                assert!(view.get_mut().is_some(), "nobody else has it");
            }
        }
        if got.len() < 8192
            && let Poll::Ready(popped) = side.pop(far)
        {
            got.extend(popped.unwrap());
        }
        side.round(NAP);
    }
    assert!(got == bytes(8192));
    assert_eq!(side.collar.sockets.get(near).unwrap().held, 0);
}

#[test]
fn parts_go_without_a_copy() {
    let mut side = side();
    let (near, far) = side.pair();
    let mut message = Sga::new();
    for index in 0..40_u8 {
        message.push_back(side.pools.alloc_copy(&[index; 500]).unwrap()).unwrap();
    }
    assert!(side.push_by_ring(near, &mut message).is_pending());
    let expected: Vec<u8> = (0..40_u8).flat_map(|index| [index; 500]).collect();
    assert_eq!(side.pop_exactly(far, 20_000), expected);
    assert_eq!(finish(&mut side, |side| side.push(near, &mut message)), Ok(()));
    until(&mut side, |side| (side.pools.stats()[0].in_use == 0).then_some(()));
}

#[test]
fn closed_and_dropped_while_the_kernel_has_the_memory() {
    for dropped in [false, true] {
        let mut side = side();
        for round in 0..5 {
            let (near, far) = side.pair();
            for _ in 0..round {
                let mut message = side.message(&bytes(50_000));
                assert!(side.push_by_ring(near, &mut message).is_pending());
                side.round(Duration::ZERO);
                if side.push(near, &mut message).is_pending() {
                    side.collar.canceled(near, Direction::Push);
                    break;
                }
            }
            side.close(near);
            let mut got = 0;
            loop {
                let popped = side.pop_some(far).unwrap();
                if popped.is_empty() {
                    break;
                }
                assert!(popped.iter().enumerate().all(|(i, &byte)| byte == ((got + i) % 50_000 % 251) as u8));
                got += popped.len();
            }
            if !dropped {
                side.close(far);
            }
        }
        let Side { collar, pools, reactor, .. } = side;
        drop((collar, reactor));
        assert_eq!(pools.stats().map(|stats| stats.in_use), [0; 3]);
    }
}

#[test]
fn unix_sockets_copy() {
    let mut side = side();
    let (server, name) = (side.socket(Domain::Unix, Kind::Datagram), b"\0catcollar's test of copies");
    side.collar.bind_path(server, name).unwrap();
    let client = side.socket(Domain::Unix, Kind::Datagram);
    let mut message = side.message(&bytes(9000));
    finish(&mut side, |side| side.collar.push_to_path(client, &mut message, name)).unwrap();
    assert_eq!(super::datagrams::pop(&mut side, server).unwrap().into_message().to_vec(), bytes(9000));
}
