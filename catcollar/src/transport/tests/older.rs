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
        Features { no_iowait: false, ..all },
    ] {
        exercise(Side::with(&settings(), 0, allowed));
        exercise(Side::with(&settings(), STEPS.len() - 1, allowed));
    }
}

#[test]
fn the_kernel_submits() {
    exercise(Side::of(&Settings { sqpoll: Some(Duration::from_millis(5)), ..settings() }));
}

#[test]
fn the_network_device_is_polled() {
    exercise(Side::of(&Settings { busy_poll: Duration::from_micros(50), ..settings() }));
}
