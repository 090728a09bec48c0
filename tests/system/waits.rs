// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ways to wait: which completion comes, in which order, and what a timeout leaves behind.

use crate::harness::{Context, LIMIT, done, pair, pop_message, push_message};
use core::time::Duration;
use margay::{Errno, LibOs, Outcome, Qd};

const STEP: usize = 0;

/// A server with `count` pipes that pushes to them in the order that `which` says, one step of the board each.
fn pusher(context: &Context, count: usize, order: &[usize]) {
    let mut libos = context.libos();
    let qds: Vec<Qd> = (0..count).map(|pipe| libos.create_pipe(&format!("w{pipe}")).unwrap()).collect();
    // From here on both sides have the memory, so what is pushed is there at once.
    for &qd in &qds {
        assert_eq!(pop_message(&mut libos, qd).to_vec(), b"here");
    }
    for (step, &pipe) in order.iter().enumerate() {
        context.board.wait(STEP, 2 * step as u64 + 1);
        push_message(&mut libos, qds[pipe], &[pipe as u8; 3]);
        context.board.set(STEP, 2 * step as u64 + 2);
    }
    for qd in qds {
        assert!(pop_message(&mut libos, qd).is_empty());
    }
}

fn open_all(context: &Context, libos: &mut LibOs, count: usize) -> Vec<Qd> {
    let qds: Vec<Qd> = (0..count).map(|pipe| context.open(libos, &format!("w{pipe}"))).collect();
    for &qd in &qds {
        push_message(libos, qd, b"here");
    }
    qds
}

/// Lets the server make its next push, and finds it.
fn step(context: &Context, libos: &mut LibOs, step: u64) {
    context.board.set(STEP, 2 * step + 1);
    context.board.wait(STEP, 2 * step + 2);
    for _ in 0..4 {
        libos.poll();
    }
}

const ORDER: [usize; 8] = [3, 1, 7, 0, 5, 2, 6, 4];

#[test]
fn wait_any_gives_the_oldest_first() {
    pair!()
        .server(|context| pusher(context, 8, &ORDER))
        .client(|context| {
            let mut libos = context.libos();
            let qds = open_all(context, &mut libos, 8);
            let mut qts: Vec<_> = qds.iter().map(|&qd| libos.pop(qd, None).unwrap()).collect();
            // All pushed before anything is taken.
            for number in 0..8 {
                step(context, &mut libos, number);
            }
            for pipe in ORDER {
                let (index, completion) = libos.wait_any(&qts, LIMIT).unwrap();
                assert_eq!(completion.qd, qds[pipe]);
                assert_eq!(completion.qt, qts.remove(index));
                assert_eq!(completion.into_message().unwrap().to_vec(), [pipe as u8; 3]);
            }
        })
        .run();
}

#[test]
fn wait_set_gives_the_oldest_of_its_own() {
    pair!()
        .server(|context| pusher(context, 8, &ORDER))
        .client(|context| {
            let mut libos = context.libos();
            let qds = open_all(context, &mut libos, 8);
            let qts: Vec<_> = qds.iter().map(|&qd| libos.pop(qd, None).unwrap()).collect();
            let (odd, even) = (libos.wait_set(), libos.wait_set());
            for (pipe, &qt) in qts.iter().enumerate() {
                libos.add_to_wait_set(if pipe % 2 == 1 { &odd } else { &even }, qt).unwrap();
            }
            assert_eq!(libos.add_to_wait_set(&odd, qts[1]).unwrap_err().errno(), Errno::EXIST);
            for number in 0..8 {
                step(context, &mut libos, number);
            }
            let mut none = Vec::new();
            let error = libos.wait_next_n(&mut none, 1, Some(Duration::ZERO)).unwrap_err();
            assert_eq!(error.errno(), Errno::TIMEDOUT, "tokens of sets are left to their sets");
            for (set, rest) in [(&odd, 1), (&even, 0)] {
                for pipe in ORDER.into_iter().filter(|pipe| pipe % 2 == rest) {
                    assert_eq!(libos.wait_in_set(set, LIMIT).unwrap().qt, qts[pipe]);
                }
                assert_eq!(libos.wait_in_set(set, LIMIT).unwrap_err().errno(), Errno::INVAL, "it is empty");
            }
            libos.close_wait_set(odd).unwrap();
            libos.close_wait_set(even).unwrap();
        })
        .run();
}

/// A queue that always has something does not keep the others waiting.
#[test]
fn wait_next_n_is_fair() {
    const BUSY: u64 = 20_000;
    pair!()
        .server(|context| {
            let mut libos = context.libos();
            let qds: Vec<Qd> = (0..4).map(|pipe| libos.create_pipe(&format!("w{pipe}")).unwrap()).collect();
            for &qd in &qds {
                assert_eq!(pop_message(&mut libos, qd).to_vec(), b"here");
            }
            let mut out = Vec::with_capacity(64);
            let mut under_way = 0;
            for number in 0..BUSY {
                libos.push(qds[0], &number.to_le_bytes()).unwrap();
                under_way += 1;
                if number % 1000 == 0 {
                    for &qd in &qds[1..] {
                        libos.push(qd, &number.to_le_bytes()).unwrap();
                        under_way += 1;
                    }
                }
                while under_way >= 64 {
                    under_way -= libos.wait_next_n(&mut out, 64, LIMIT).unwrap();
                    out.drain(..).for_each(|completion| completion.ok().unwrap());
                }
            }
            assert!(pop_message(&mut libos, qds[0]).is_empty());
        })
        .client(|context| {
            let mut libos = context.libos();
            let qds = open_all(context, &mut libos, 4);
            let mut last = [0; 4];
            let mut counts = [0; 4];
            for &qd in &qds {
                for _ in 0..32 {
                    libos.pop(qd, None).unwrap();
                }
            }
            let mut out = Vec::with_capacity(16);
            while counts.iter().sum::<u64>() < BUSY + 3 * (BUSY / 1000) {
                libos.wait_next_n(&mut out, 16, LIMIT).unwrap();
                for completion in out.drain(..) {
                    let index = qds.iter().position(|&qd| qd == completion.qd).unwrap();
                    let Outcome::Pop(message) = completion.outcome else { panic!("{:?}", completion.outcome) };
                    last[index] = u64::from_le_bytes(message.to_vec().try_into().unwrap());
                    counts[index] += 1;
                    libos.pop(qds[index], None).unwrap();
                }
                // The busy queue is never far ahead of what the others were sent at the same time.
                if let Some(behind) = last[1..].iter().min() {
                    assert!(last[0] < behind + 1000 + 8192, "{last:?}");
                }
            }
            assert_eq!(counts, [BUSY, BUSY / 1000, BUSY / 1000, BUSY / 1000]);
        })
        .run();
}

/// Zero looks once, a short one comes back, and both leave the token as it was.
#[test]
fn timeouts_leave_the_token() {
    pair!()
        .server(|context| pusher(context, 1, &[0, 0]))
        .client(|context| {
            for spin in [Duration::ZERO, Duration::from_micros(50)] {
                let mut libos = context.libos_with(|config| config.wait.spin = margay::config::Spin::For(spin));
                let own = libos.create_pipe(&format!("own{}", spin.as_micros())).unwrap();
                let qt = libos.pop(own, None).unwrap();
                let other = libos.pop(own, None).unwrap();
                let mut out = Vec::new();
                for timeout in [0, 1, 1_000, 20_000].map(Duration::from_micros).map(Some) {
                    let begun = crate::harness::system::now();
                    assert_eq!(libos.wait(qt, timeout).unwrap_err().errno(), Errno::TIMEDOUT);
                    assert_eq!(libos.wait_any(&[qt, other], timeout).unwrap_err().errno(), Errno::TIMEDOUT);
                    assert_eq!(libos.wait_next_n(&mut out, 4, timeout).unwrap_err().errno(), Errno::TIMEDOUT);
                    // Never too early.
                    let took = crate::harness::system::now() - begun;
                    assert!(u128::from(took) >= 3 * timeout.unwrap().as_nanos(), "{timeout:?} took {took} ns");
                }
                assert!(out.is_empty());
            }
            let mut libos = context.libos();
            let qds = open_all(context, &mut libos, 1);
            let qt = libos.pop(qds[0], None).unwrap();
            assert_eq!(libos.wait(qt, Some(Duration::from_millis(1))).unwrap_err().errno(), Errno::TIMEDOUT);
            context.board.set(STEP, 1);
            assert_eq!(libos.wait(qt, None).unwrap().into_message().unwrap().len(), 3);
            assert_eq!(libos.wait(qt, None).unwrap_err().errno(), Errno::INVAL, "a token is spent once");
            context.board.wait(STEP, 2);
            context.board.set(STEP, 3);
            // The longest timeout that can be said is as good as none.
            let qt = libos.pop(qds[0], None).unwrap();
            assert_eq!(libos.wait(qt, Some(Duration::MAX)).unwrap().into_message().unwrap().len(), 3);
            let closed = libos.close(qds[0]).unwrap();
            done(&mut libos, closed);
        })
        .run();
}
