// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages that nothing else would be handed over with: they go by `send(2)`, or what there is room for does.

use super::*;

/// A connection on which the last thing that was found is one message, at the side that is returned first.
fn asked(side: &mut Side) -> (Handle, Handle) {
    let (near, far) = side.pair();
    assert!(side.pop(far).is_pending());
    side.round(Duration::ZERO);
    ask(side, near, far);
    (far, near)
}

fn ask(side: &mut Side, near: Handle, far: Handle) {
    // By a call of its own, so that the side's ring hears of the message alone.
    let kernel = side.collar.sockets.get(near).unwrap().kernel.as_ref().unwrap();
    assert_eq!(rustix::net::send(kernel, b"question", rustix::net::SendFlags::empty()), Ok(8));
    assert_eq!(side.pop_some(far), Ok(b"question".to_vec()));
    until(side, |side| side.collar.alone.then_some(()));
}

#[test]
fn an_answer_takes_one_call_and_is_done_at_once() {
    let mut side = Side::new();
    let (far, near) = asked(&mut side);
    for round in 0..10_u8 {
        let before = (side.collar.counters().system_calls, side.collar.ring.counts());
        let mut message = side.message(&[round; 100]);
        assert_eq!(side.push(far, &mut message), Poll::Ready(Ok(())));
        assert!(message.has_no_segment());
        assert_eq!(side.collar.counters().system_calls, before.0 + 1);
        assert_eq!(side.collar.ring.counts(), before.1);
        // The second is handed over with what may follow.
        let mut second = side.message(b"second");
        assert!(side.push(far, &mut second).is_pending());
        let mut expected = vec![round; 100];
        expected.extend(b"second");
        assert_eq!(side.pop_exactly(near, 106), expected);
        assert_eq!(finish(&mut side, |side| side.push(far, &mut second)), Ok(()));
        ask(&mut side, near, far);
    }
    side.assert_no_buffers();
}

/// What there is no room for goes by the ring, behind what went.
#[test]
fn a_long_answer_arrives_whole() {
    let mut side = Side::new();
    let (far, near) = asked(&mut side);
    let mut message = side.message(&bytes(16 << 20));
    assert!(side.push(far, &mut message).is_pending());
    let taken = side.collar.sockets.get(far).unwrap().sending.taken;
    assert!(taken > 0 && taken < 16 << 20, "{taken} bytes went at once");
    assert!(side.pop_exactly(near, 16 << 20) == bytes(16 << 20));
    assert_eq!(finish(&mut side, |side| side.push(far, &mut message)), Ok(()));
    side.assert_no_buffers();
}

#[test]
fn a_reset_is_told_to_the_answer_and_to_all_that_follow() {
    let mut side = Side::new();
    let (far, near) = asked(&mut side);
    side.collar.set_option(near, SocketOption::Linger(Some(Duration::ZERO))).unwrap();
    side.close(near);
    // As if nothing had been heard of it.
    side.collar.alone = true;
    let mut message = side.message(b"to nobody");
    let pushed = finish(&mut side, |side| side.push(far, &mut message));
    assert_eq!(pushed, Err(Errno::CONNRESET));
    for _ in 0..3 {
        assert_eq!(side.push_all(far, b"again"), Err(Errno::CONNRESET));
        assert_eq!(side.pop_some(far), Err(Errno::CONNRESET));
    }
    side.close(far);
}
