// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernels that have less: every set of flags, every feature missing, and the kernel's submission thread.

use super::*;
use crate::ring::STEPS;

/// What a server does: connections that come and go, messages of all sizes, many at once.
fn exercise(mut side: Side) {
    let pairs: Vec<_> = (0..6).map(|_| side.pair()).collect();
    for round in 0..30_u8 {
        for &(near, far) in &pairs {
            for len in [10, 1500, 10_000] {
                let mut message = side.message(&vec![round; len]);
                let _ = side.push(near, &mut message);
                assert_eq!(side.pop_exactly(far, len), vec![round; len]);
                assert_eq!(finish(&mut side, |side| side.push(near, &mut message)), Ok(()));
            }
        }
    }
    let ((near, from), (far, to)) = (side.bound("127.0.0.1:0"), side.bound("127.0.0.1:0"));
    for round in 0..30_u8 {
        assert_eq!(super::datagrams::push_to(&mut side, near, &[round; 3000], to), Ok(()));
        let datagram = super::datagrams::pop(&mut side, far).unwrap();
        assert_eq!((datagram.sender(), datagram.len()), (from, 3000));
    }
    for (near, far) in pairs {
        assert!(side.pop(far).is_pending());
        side.close(near);
        assert_eq!(side.pop_some(far), Ok(Vec::new()));
        side.close(far);
    }
    side.close(near);
    side.close(far);
    assert_eq!(side.collar.sockets.len(), 0);
    side.assert_no_buffers();
}

#[test]
fn every_set_of_flags() {
    for first in 0..STEPS.len() {
        exercise(Side::with(&settings(), first, Features::ALL));
    }
}

#[test]
fn every_feature_missing() {
    let all = Features::ALL;
    for allowed in [
        Features::NONE,
        Features { multishot_accept: false, ..all },
        Features { multishot_receive: false, ..all },
        Features { bundles: false, ..all },
        Features { registered_ring: false, ..all },
        Features { registered_files: false, ..all },
        Features { no_iowait: false, ..all },
    ] {
        exercise(Side::with(&settings(), 0, allowed));
        exercise(Side::with(&settings(), STEPS.len() - 1, allowed));
    }
}

/// Without a request that accepts again and again, a connection that waits is taken at once, by a call; an idle listener costs
/// nothing.
#[test]
fn connections_are_taken_by_calls() {
    let allowed = Features { multishot_accept: false, ..Features::ALL };
    let mut side = Side::with(&settings(), 0, allowed);
    let (listener, address) = side.listen("127.0.0.1:0", 4);
    for _ in 0..3 {
        let _peer = std::net::TcpStream::connect(address).unwrap();
        assert!(matches!(side.accept(listener), Poll::Ready(Ok(_))), "it was there");
    }
    assert!(side.accept(listener).is_pending());
    side.round(Duration::ZERO);
    let before = side.collar.counters().system_calls;
    for _ in 0..100 {
        side.collar.poll(&mut side.wakes);
        assert!(side.wakes.is_empty());
    }
    assert_eq!(side.collar.counters().system_calls, before);
    let _peer = std::net::TcpStream::connect(address).unwrap();
    finish(&mut side, |side| side.accept(listener)).unwrap();
}

/// A request that ends because there is nothing now is not made again and again.
#[test]
fn an_accept_that_does_not_wait_is_none() {
    let mut side = Side::new();
    let (listener, address) = side.listen("127.0.0.1:0", 4);
    assert!(side.accept(listener).is_pending());
    side.round(Duration::ZERO);
    // As the first kernels with such requests answer.
    let id = side.collar.sockets.get(listener).unwrap().accepting.request.unwrap();
    side.collar.ring.cancel(id);
    let socket = side.collar.sockets.get(listener).unwrap();
    socket.accepting.canceled = true;
    until(&mut side, |side| side.collar.sockets.get(listener).unwrap().accepting.request.is_none().then_some(()));
    side.collar.sockets.get(listener).unwrap().requests += 1;
    side.collar.accepted(crate::ring::Done::of_accept(id, listener, -libc::EAGAIN));
    let _peer = std::net::TcpStream::connect(address).unwrap();
    assert!(matches!(side.accept(listener), Poll::Ready(Ok(_))), "it is taken by a call");
    assert!(side.accept(listener).is_pending());
    let before = side.collar.ring.counts().requests;
    for _ in 0..20 {
        side.round(Duration::ZERO);
        assert!(side.accept(listener).is_pending());
    }
    assert_eq!(side.collar.ring.counts().requests, before);
}

/// Errors of one connection are stepped over; a shortage is told, and tried again after a pause.
#[test]
fn errors_of_accepts() {
    let mut side = Side::new();
    let (listener, address) = side.listen("127.0.0.1:0", 4);
    let answer = |side: &mut Side, errno: i32| {
        assert!(side.accept(listener).is_pending());
        side.round(Duration::ZERO);
        let id = side.collar.sockets.get(listener).unwrap().accepting.request.unwrap();
        side.collar.ring.cancel(id);
        side.collar.sockets.get(listener).unwrap().accepting.canceled = true;
        until(side, |side| side.collar.sockets.get(listener).unwrap().accepting.request.is_none().then_some(()));
        let socket = side.collar.sockets.get(listener).unwrap();
        (socket.requests, socket.pop_waits) = (socket.requests + 1, true);
        side.collar.accepted(crate::ring::Done::of_accept(id, listener, -errno));
    };
    for errno in
        [libc::ECONNABORTED, libc::EPERM, libc::ENETDOWN, libc::EHOSTUNREACH, libc::ENOPROTOOPT, libc::EOPNOTSUPP]
    {
        answer(&mut side, errno);
        assert!(side.accept(listener).is_pending(), "errno {errno} is about one connection");
    }
    for errno in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM] {
        answer(&mut side, errno);
        assert_eq!(side.accept(listener), Poll::Ready(Err(Errno::from_raw(errno))));
        assert!(side.accept(listener).is_pending());
        side.round(Duration::ZERO);
        let before = side.collar.ring.counts().requests;
        for _ in 0..100 {
            assert!(side.accept(listener).is_pending());
            side.collar.poll(&mut side.wakes);
        }
        // One more if the pause is over: whoever waits is woken, and the kernel is asked.
        assert!(side.collar.ring.counts().requests - before <= 1);
    }
    let _peer = std::net::TcpStream::connect(address).unwrap();
    finish(&mut side, |side| side.accept(listener)).unwrap();
}

#[test]
fn the_kernel_submits() {
    exercise(Side::of(&Settings { sqpoll: Some(Duration::from_millis(5)), ..settings() }));
}

#[test]
fn the_network_device_is_polled() {
    exercise(Side::of(&Settings { busy_poll: Duration::from_micros(50), ..settings() }));
}
