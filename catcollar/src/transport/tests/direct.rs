// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one stream that is busy is received from by `recv(2)`: in order, with its end, and only while it is busy alone.

use super::*;
use crate::direct::Lone;
use rustix::net::{SendFlags, Shutdown, send, shutdown};

const ROUNDS: u8 = 40;
const STREAM: usize = 8 << 20;

/// By a call of its own, so that the side's ring has nothing to do with it.
fn say(side: &mut Side, socket: Handle, bytes: &[u8]) {
    let kernel = side.collar.sockets.get(socket).unwrap().kernel.as_ref().unwrap();
    assert_eq!(send(kernel, bytes, SendFlags::empty()), Ok(bytes.len()));
}

/// A message to a pop that waits.
fn alone(side: &mut Side, from: Handle, to: Handle, bytes: &[u8]) {
    assert!(side.pop(to).is_pending());
    // What the kernel says now is of this message.
    until(side, |side| (!side.collar.ring.is_due() && !side.collar.ring.has_completions()).then_some(()));
    say(side, from, bytes);
    assert_eq!(side.pop_some(to), Ok(bytes.to_vec()));
}

/// Who is asked, and who asks: the last messages came alone.
fn busy(side: &mut Side) -> (Handle, Handle) {
    let (near, far) = side.pair();
    assert!(side.pop(far).is_pending());
    until(side, |side| side.collar.sockets.get(far).unwrap().receiving.request.map(|_| ()));
    for round in 0..ROUNDS {
        alone(side, near, far, &[round; 10]);
        if side.collar.lone == Lone::Again(far) {
            return (far, near);
        }
    }
    panic!("{ROUNDS} messages, of which no two came alone")
}

#[test]
fn messages_that_come_alone_need_no_completion() {
    let mut side = Side::new();
    if !side.collar.ring.defers() {
        return assert_eq!(busy_at_all(&mut side), Lone::Nobody);
    }
    let (far, near) = busy(&mut side);
    let mut direct = 0;
    for round in 0..ROUNDS {
        let before = side.collar.ring.counts().completions;
        // Short and long ones, of which the former are copied.
        alone(&mut side, near, far, &vec![round; if round % 2 == 0 { 100 } else { 3000 }]);
        direct += u32::from(side.collar.ring.counts().completions == before);
    }
    // One that has not come when the ring is looked at is what the ring sleeps for.
    assert!(direct > u32::from(ROUNDS) / 2, "{direct} of {ROUNDS} messages");
    side.close(far);
    side.assert_no_buffers();
}

/// What the last of some messages is taken for, on a kernel that works whenever it likes.
fn busy_at_all(side: &mut Side) -> Lone {
    let (near, far) = side.pair();
    for round in 0..ROUNDS {
        alone(side, near, far, &[round]);
    }
    side.collar.lone
}

#[test]
fn nothing_overtakes() {
    let mut side = Side::new();
    let (far, near) = busy(&mut side);
    let kernel = side.collar.sockets.get(near).unwrap().kernel.as_ref().unwrap();
    let peer = rustix::io::dup(kernel).unwrap();
    let all: Vec<u8> = (0..STREAM).map(|i| (i % 251) as u8 ^ (i >> 16) as u8).collect();
    let sent = all.clone();
    // In pieces of all lengths, with pauses in which the other side drains what is there, and without.
    let sender = std::thread::spawn(move || {
        let (mut rest, mut state) = (&sent[..], 7_u64);
        while !rest.is_empty() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let len = ((state >> 33) as usize % 9000 + 1).min(rest.len());
            match send(&peer, &rest[..len], SendFlags::NOSIGNAL) {
                Ok(sent) => rest = &rest[sent..],
                Err(rustix::io::Errno::AGAIN) => std::thread::yield_now(),
                Err(errno) => panic!("{errno}"),
            }
            for _ in 0..(state >> 20) % 2000 {
                core::hint::spin_loop();
            }
        }
    });
    // What is called beside the ring: `recv(2)`.
    let before = side.collar.counters.system_calls;
    let mut came = Vec::with_capacity(STREAM);
    while came.len() < STREAM {
        let bytes = side.pop_some(far).unwrap();
        assert!(!bytes.is_empty(), "the end came after {} bytes", came.len());
        came.extend(bytes);
    }
    sender.join().unwrap();
    assert!(came == all);
    // A sender that is never waited for leaves everything to the ring; then what comes alone behind it does not.
    for round in 0..ROUNDS {
        if side.collar.counters.system_calls > before {
            break;
        }
        alone(&mut side, near, far, &[round; 100]);
    }
    assert!(side.collar.counters.system_calls > before, "everything went by the ring");
    side.close(far);
    side.assert_no_buffers();
}

#[test]
fn a_reset_is_told_once_and_for_all() {
    let mut side = Side::new();
    let (far, near) = busy(&mut side);
    assert!(side.pop(far).is_pending());
    side.collar.set_option(near, SocketOption::Linger(Some(Duration::ZERO))).unwrap();
    side.close(near);
    for _ in 0..3 {
        assert_eq!(side.pop_some(far), Err(Errno::CONNRESET));
        assert_eq!(side.push_all(far, b"to nobody"), Err(Errno::CONNRESET));
    }
    side.close(far);
    side.assert_no_buffers();
}

#[test]
fn an_end_that_comes_with_bytes_is_told_behind_them() {
    let mut side = Side::new();
    let (far, near) = busy(&mut side);
    assert!(side.pop(far).is_pending());
    until(&mut side, |side| (!side.collar.ring.is_due()).then_some(()));
    say(&mut side, near, b"the last");
    let kernel = side.collar.sockets.get(near).unwrap().kernel.as_ref().unwrap();
    shutdown(kernel, Shutdown::Write).unwrap();
    assert_eq!(side.pop_some(far), Ok(b"the last".to_vec()));
    assert_eq!(side.pop_some(far), Ok(Vec::new()));
    assert_eq!(side.pop_some(far), Err(Errno::PIPE));
    side.close(far);
    side.assert_no_buffers();
}

#[test]
fn two_that_take_turns_are_left_to_the_ring() {
    let mut side = Side::new();
    let (first, second) = (side.pair(), side.pair());
    for (_, far) in [first, second] {
        assert!(side.pop(far).is_pending());
    }
    side.round(Duration::ZERO);
    for round in 0..ROUNDS {
        for (near, far) in [first, second] {
            alone(&mut side, near, far, &[round; 10]);
            assert!(!matches!(side.collar.lone, Lone::Again(_) | Lone::Received(_)), "{:?}", side.collar.lone);
        }
    }
}
