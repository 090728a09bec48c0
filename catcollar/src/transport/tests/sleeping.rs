// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sleeping in the ring, and in the reactor of somebody who owns it; looks that make no system call.

use super::*;
use runtime::reactor::Interest;
use std::os::fd::AsFd;

fn enters(side: &Side) -> u64 {
    side.collar.counters().system_calls
}

#[test]
fn nothing_to_do_takes_no_system_call() {
    let mut side = Side::new();
    let (near, far) = side.pair();
    assert!(side.pop(far).is_pending());
    for _ in 0..10 {
        side.collar.poll(&mut side.wakes);
    }
    let before = enters(&side);
    for _ in 0..1000 {
        side.collar.poll(&mut side.wakes);
    }
    assert!(!side.collar.spin(far, Direction::Pop, 1000));
    assert!(side.collar.spin_for_message(far, PopMode::Whole, 1000).has_no_segment());
    assert_eq!(enters(&side), before);
    // A message: one call hands it over, and at most one more lets it in.
    let mut message = side.message(b"now");
    assert!(side.push_by_ring(near, &mut message).is_pending());
    let popped = until(&mut side, |side| {
        let message = side.collar.spin_for_message(far, PopMode::Whole, 100);
        (!message.has_no_segment()).then_some(message)
    });
    assert_eq!(popped.to_vec(), b"now");
    assert!(enters(&side) - before <= 2, "{} calls", enters(&side) - before);
    assert!(side.collar.spin(near, Direction::Push, 1));
    assert_eq!(side.push(near, &mut message), Poll::Ready(Ok(())));
}

#[test]
fn many_messages_go_with_one_call() {
    let mut side = Side::of(&Settings { entries: 512, completions: 1024, buffers: 512, ..settings() });
    let pairs: Vec<_> = (0..100).map(|_| side.pair()).collect();
    for &(_, far) in &pairs {
        assert!(side.pop(far).is_pending());
    }
    side.collar.poll(&mut side.wakes);
    let before = enters(&side);
    for round in 0..10_u8 {
        let mut messages: Vec<Sga> = pairs.iter().map(|_| side.message(&[round; 64])).collect();
        for (&(near, _), message) in pairs.iter().zip(&mut messages) {
            assert!(side.push_by_ring(near, message).is_pending());
        }
        for (&(near, far), message) in pairs.iter().zip(&mut messages) {
            assert_eq!(side.pop_exactly(far, 64), [round; 64]);
            assert_eq!(finish(&mut side, |side| side.push(near, message)), Ok(()));
        }
    }
    let calls = enters(&side) - before;
    assert!(calls < 200, "{calls} calls for 1000 messages");
}

#[test]
fn a_sleep_ends_with_data_with_an_event_and_with_its_time() {
    let mut side = Side::new();
    let (near, far) = side.pair();
    assert!(side.pop(far).is_pending());
    while side.collar.arm() == Armed::Ready {
        side.collar.poll(&mut side.wakes);
    }
    let reactor = Rc::clone(&side.reactor);
    assert!(side.collar.sleep(reactor.fd(), Some(Duration::from_millis(5))));
    assert_eq!(side.pop(far), Poll::Pending);
    // An event of the reactor, at any time: before the sleep, and in it.
    let (reader, writer) = std::os::unix::net::UnixStream::pair().unwrap();
    side.reactor.watch(&reader, Interest::READABLE, 77).unwrap();
    for early in [true, false, true, false] {
        let (writer, reader) = (writer.try_clone().unwrap(), reader.try_clone().unwrap());
        let write = move || {
            if !early {
                std::thread::sleep(Duration::from_millis(20));
            }
            rustix::io::write(&writer, b"x").unwrap();
        };
        let thread = std::thread::spawn(write);
        if early {
            thread.join().unwrap();
            assert!(side.collar.sleep(reactor.fd(), None));
        } else {
            assert!(side.collar.sleep(reactor.fd(), None));
            thread.join().unwrap();
        }
        side.reactor.collect(Some(Duration::ZERO), &mut side.events).unwrap();
        assert_eq!(side.events.as_slice()[0].token, 77);
        rustix::io::read(&reader, &mut [0; 8]).unwrap();
        side.reactor.collect(Some(Duration::ZERO), &mut side.events).unwrap();
        assert!(side.events.as_slice().is_empty());
        side.collar.poll(&mut side.wakes);
    }
    let mut peer =
        side.collar.sockets.get(near).unwrap().kernel.as_ref().unwrap().as_fd().try_clone_to_owned().unwrap();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        rustix::io::write(&mut peer, b"data").unwrap();
    });
    assert!(side.collar.sleep(reactor.fd(), None));
    side.collar.poll(&mut side.wakes);
    assert_eq!(side.wakes.take().map(|(_, direction)| direction), Some(Direction::Pop));
    assert_eq!(side.pop_some(far), Ok(b"data".to_vec()));
    thread.join().unwrap();
}

/// Somebody else sleeps on the reactor's descriptor, then this thread in the ring, and again: each hears of everything, and
/// none of the other's own doing.
#[test]
fn both_kinds_of_sleep_by_turns() {
    let mut side = Side::new();
    let (near, far) = side.pair();
    let reactor = Rc::clone(&side.reactor);
    for round in 0..20_u8 {
        assert!(side.pop(far).is_pending());
        let peer =
            side.collar.sockets.get(near).unwrap().kernel.as_ref().unwrap().as_fd().try_clone_to_owned().unwrap();
        let write = move || {
            std::thread::sleep(Duration::from_millis(5));
            rustix::io::write(&peer, &[round]).unwrap();
        };
        if round % 2 == 0 {
            until(&mut side, |side| {
                side.collar.poll(&mut side.wakes);
                (side.collar.arm_for_owner() == Armed::Quiet).then_some(())
            });
            side.reactor.collect(Some(Duration::from_millis(1)), &mut side.events).unwrap();
            assert!(side.events.as_slice().is_empty(), "an event of nothing, round {round}");
            let thread = std::thread::spawn(write);
            side.reactor.collect(Some(Duration::from_secs(20)), &mut side.events).unwrap();
            assert_eq!(side.events.as_slice().len(), 1, "round {round}");
            let event = side.events.as_slice()[0];
            side.collar.event(event, &mut side.wakes);
            thread.join().unwrap();
        } else {
            while side.collar.arm() == Armed::Ready {
                side.collar.poll(&mut side.wakes);
            }
            let thread = std::thread::spawn(write);
            assert!(side.collar.sleep(reactor.fd(), Some(Duration::from_secs(20))));
            thread.join().unwrap();
        }
        side.collar.poll(&mut side.wakes);
        assert_eq!(side.pop_some(far), Ok(vec![round]));
        // Nothing is left that would end the next sleep.
        assert!(side.pop(far).is_pending());
        let before = enters(&side);
        until(&mut side, |side| {
            side.collar.poll(&mut side.wakes);
            (side.collar.arm() == Armed::Quiet).then_some(())
        });
        assert!(side.collar.sleep(reactor.fd(), Some(Duration::from_millis(2))));
        assert!(enters(&side) - before < 10, "the two wake each other");
    }
}
