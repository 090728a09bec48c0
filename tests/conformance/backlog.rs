// SPDX-License-Identifier: MIT OR Apache-2.0
//! The backlog: how many connections wait to be accepted, what becomes of those who come beyond that, and of all of them
//! when the listener is closed.

use crate::harness::{LIMIT, push_message};
use crate::subject::{Subject, accept, close, connected, ends_with, errno, fails, pop, push_until_it_fails, wait};
use core::time::Duration;
use margay::config::BacklogFull;
use margay::{Errno, Outcome, Qd, Qt};

const STEP: usize = 0;

/// The backlog is a real bound: who comes beyond it waits, and gets in when others have been accepted.
pub fn a_full_backlog_waits(subject: &Subject) {
    const BACKLOG: u64 = 3;
    const IN: usize = 1;
    let room = BACKLOG + subject.backend().beyond_backlog;
    // The kernel looks again after a second only.
    let calls = if subject.backend().kernel_answers() { room + 2 } else { 4 * BACKLOG };
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos();
            let listening = side.serve(&mut libos, BACKLOG as usize);
            for accepted in 0..calls {
                let most = (room + accepted).min(calls);
                side.poll_until(&mut libos, IN, most);
                // Time for others to come in that must not.
                for _ in 0..20 {
                    libos.poll();
                    crate::harness::system::sleep(50_000);
                }
                // Of several that try at the same time, TCP tells each that it is in, and lets one in; with the kernel they do so only
                // when they try again.
                let host_goes = side.backend.host_goes_with_libos();
                let exact = (accepted == 0 && !host_goes) || !side.backend.kernel_answers();
                assert!(!exact || side.board.get(IN) == most, "{} are in, {accepted} accepted", side.board.get(IN));
                let qd = accept(&mut libos, listening);
                assert_eq!(pop(&mut libos, qd).len(), 4);
            }
            side.board.set(STEP, 1);
        })
        .client(|side| {
            let mut libos = side.libos_with(|config| config.catloop.connect_timeout = Duration::from_mins(1));
            let to = side.announced();
            let qds: Vec<Qd> = (0..calls).map(|_| side.stream(&mut libos)).collect();
            for &qd in &qds {
                side.begin(&mut libos, qd, to).unwrap();
            }
            let mut out = Vec::new();
            for number in 0..calls {
                libos.wait_next_n(&mut out, 1, LIMIT).unwrap();
                let completion = out.pop().unwrap();
                assert!(matches!(completion.outcome, Outcome::Connect), "call {number}: {:?}", completion.outcome);
                // In front of the word, so that it does not count as one of the completions.
                let pushed = libos.push(completion.qd, b"here").unwrap();
                assert!(matches!(libos.wait(pushed, LIMIT).unwrap().outcome, Outcome::Push));
                side.board.set(IN, number + 1);
            }
            // Who was told too early that it is in has to say again what was not heard.
            side.poll_until(&mut libos, STEP, 1);
        })
        .run();
}

/// The backlog stays full: `ETIMEDOUT` after some time. Whoever gave up is accepted by nobody.
pub fn a_full_backlog_times_out(subject: &Subject) {
    // Long enough for those who get in, on a machine that has much else to do.
    const PATIENCE: Duration = Duration::from_secs(1);
    let room = 2 + subject.backend().beyond_backlog;
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos();
            let listening = side.serve(&mut libos, 2);
            side.poll_until(&mut libos, STEP, 1);
            for _ in 0..room {
                let qd = accept(&mut libos, listening);
                assert_eq!(pop(&mut libos, qd).to_vec(), b"in");
            }
            let qt = libos.accept(listening).unwrap();
            side.board.set(STEP, 2);
            let qd = wait(&mut libos, qt).accepted().unwrap();
            assert_eq!(pop(&mut libos, qd).to_vec(), b"again");
        })
        .client(|side| {
            let mut libos = side.libos_with(|config| (side.backend.give_up)(config, PATIENCE));
            let to = side.announced();
            for _ in 0..room {
                let qd = side.connect(&mut libos, to);
                push_message(&mut libos, qd, b"in");
            }
            let qds: Vec<Qd> = (0..5).map(|_| side.stream(&mut libos)).collect();
            let begun = crate::harness::system::now();
            let tokens: Vec<Qt> = qds.iter().map(|&qd| side.begin(&mut libos, qd, to).unwrap()).collect();
            // It waits for the connection; without one there is nothing to end.
            libos.shutdown(qds[0], std::net::Shutdown::Write).unwrap();
            assert_eq!(errno(libos.push(qds[0], b"late")), Errno::PIPE);
            for qt in tokens {
                assert_eq!(ends_with(&mut libos, qt), Errno::TIMEDOUT);
            }
            // Never too early.
            assert!(u128::from(crate::harness::system::now() - begun) >= PATIENCE.as_nanos());
            side.board.set(STEP, 1);
            side.board.wait(STEP, 2);
            let begun = side.begin(&mut libos, qds[0], to).unwrap();
            connected(&mut libos, begun);
            push_message(&mut libos, qds[0], b"again");
            assert!(pop(&mut libos, qds[0]).is_empty());
        })
        .run();
}

/// The same with `refuse`: `ECONNREFUSED` at once.
pub fn a_full_backlog_refuses(subject: &Subject) {
    if subject.backend().kernel_answers() {
        // The kernel has no such setting: `tcp_abort_on_overflow` looks at the last packet of a handshake only.
        return;
    }
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos_with(|config| config.catloop.backlog_full = BacklogFull::Refuse);
            let listening = side.serve(&mut libos, 2);
            side.poll_until(&mut libos, STEP, 1);
            let qds: Vec<Qd> = (0..2).map(|_| accept(&mut libos, listening)).collect();
            side.board.set(STEP, 2);
            for qd in qds {
                assert_eq!(pop(&mut libos, qd).to_vec(), b"in");
            }
            let qd = accept(&mut libos, listening);
            assert_eq!(pop(&mut libos, qd).to_vec(), b"again");
            assert_eq!(libos.counters().refused, 5);
        })
        .client(|side| {
            let mut libos = side.libos_with(|config| {
                config.catloop.backlog_full = BacklogFull::Refuse;
                config.catloop.connect_timeout = Duration::from_mins(1);
            });
            let to = side.announced();
            for _ in 0..2 {
                let qd = side.connect(&mut libos, to);
                push_message(&mut libos, qd, b"in");
            }
            let qd = side.stream(&mut libos);
            for _ in 0..5 {
                let begun = side.begin(&mut libos, qd, to);
                assert_eq!(fails(&mut libos, begun), Errno::CONNREFUSED);
            }
            side.board.set(STEP, 1);
            side.board.wait(STEP, 2);
            let begun = side.begin(&mut libos, qd, to).unwrap();
            connected(&mut libos, begun);
            push_message(&mut libos, qd, b"again");
            assert!(pop(&mut libos, qd).is_empty());
        })
        .run();
}

/// A listener is closed with connections that nobody has accepted: those who connected read the end or a reset, and
/// those who still wait are refused. None of them hangs.
pub fn closed_with_a_backlog(subject: &Subject) {
    let room = 4 + subject.backend().beyond_backlog;
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos();
            let listening = side.serve(&mut libos, 4);
            side.poll_until(&mut libos, STEP, 1);
            close(&mut libos, listening);
            side.board.set(STEP, 2);
            side.poll_until(&mut libos, STEP, 3);
            assert_eq!(libos.queues(), 0);
        })
        .client(|side| {
            let mut libos = side.libos_with(|config| config.catloop.connect_timeout = Duration::from_mins(1));
            let to = side.announced();
            let qds: Vec<Qd> = (0..room).map(|_| side.connect(&mut libos, to)).collect();
            let waiting: Vec<Qd> = (0..4).map(|_| side.stream(&mut libos)).collect();
            let connects: Vec<Qt> = waiting.iter().map(|&qd| side.begin(&mut libos, qd, to).unwrap()).collect();
            push_message(&mut libos, qds[0], b"to be lost");
            let pops: Vec<Qt> = qds.iter().map(|&qd| libos.pop(qd, None).unwrap()).collect();
            side.board.set(STEP, 1);
            for qt in pops {
                match wait(&mut libos, qt).into_message() {
                    Ok(end) => assert!(end.is_empty()),
                    Err(error) => assert_eq!(error.errno(), Errno::CONNRESET),
                }
            }
            for qd in qds {
                let said = push_until_it_fails(&mut libos, qd);
                assert!([Errno::PIPE, Errno::CONNRESET].contains(&said), "{said:?}");
                close(&mut libos, qd);
            }
            for qt in connects {
                assert_eq!(ends_with(&mut libos, qt), Errno::CONNREFUSED);
            }
            side.board.wait(STEP, 2);
            let begun = side.begin(&mut libos, waiting[0], to);
            assert_eq!(fails(&mut libos, begun), Errno::CONNREFUSED);
            side.board.set(STEP, 3);
        })
        .run();
}
