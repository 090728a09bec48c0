// SPDX-License-Identifier: MIT OR Apache-2.0
//! More connections than there is room for, and many at once.

use crate::harness::LIMIT;
use crate::harness::bytes::Stream;
use crate::harness::network::sysctl;
use crate::harness::system::descriptors;
use crate::peer;
use crate::subject::{Subject, accept, close, poll_until, pop_rest, push_stream};
use margay::Outcome;
use std::net::Shutdown;

const STEP: usize = 0;

/// More peers than the backlog has room for, before anybody accepts: the kernel lets them try again, and all are served.
pub fn beyond_the_backlog(subject: &Subject) {
    const PEERS: u64 = 12;
    subject
        .pair()
        .server(|side| {
            // With cookies the kernel tells peers that they are in, and forgets them.
            sysctl("ipv4.tcp_syncookies", "0");
            let mut libos = side.libos();
            let listening = side.serve(&mut libos, 2);
            side.board.wait(STEP, 1);
            for _ in 0..PEERS {
                let qd = accept(&mut libos, listening);
                pop_rest(&mut libos, qd, &mut Stream::new(side.seed), 100);
                push_stream(&mut libos, qd, &mut Stream::new(side.seed + 1), 100);
                close(&mut libos, qd);
            }
            assert_eq!((libos.queues(), libos.counters().accepted), (1, PEERS));
            side.board.wait(STEP, 2);
        })
        .client(|side| {
            let (to, seed) = (side.announced(), side.seed);
            let threads: Vec<_> = (0..PEERS)
                .map(|_| {
                    std::thread::spawn(move || {
                        let stream = peer::connect(to);
                        peer::write(&stream, &mut Stream::new(seed), 100);
                        stream.shutdown(Shutdown::Write).unwrap();
                        let mut answer = Stream::new(seed + 1);
                        peer::read_to_the_end(&stream, &mut answer).unwrap();
                        assert_eq!(answer.at(), 100);
                    })
                })
                .collect();
            crate::harness::system::sleep(50_000_000);
            side.board.set(STEP, 1);
            for thread in threads {
                thread.join().unwrap();
            }
            side.board.set(STEP, 2);
        })
        .run();
}

/// Hundreds of short connections at once, some of which are reset: each of the others is served, and nothing stays.
pub fn hundreds_at_once(subject: &Subject) {
    const THREADS: u64 = 4;
    const EACH: u64 = 150;
    const DONE: usize = 1;
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos();
            let listening = side.serve(&mut libos, 1024);
            let before = descriptors();
            libos.accept(listening).unwrap();
            let (mut out, mut served) = (Vec::new(), 0);
            while side.board.get(DONE) == 0 {
                let waited = libos.wait_next_n(&mut out, 64, Some(core::time::Duration::from_millis(10)));
                assert!(waited.is_ok_and(|count| count > 0) || out.is_empty());
                for completion in out.drain(..) {
                    let qd = completion.qd;
                    match completion.outcome {
                        Outcome::Accept(qd) => {
                            libos.pop(qd, None).unwrap();
                            libos.accept(listening).unwrap();
                        }
                        Outcome::Pop(message) if !message.is_empty() => {
                            served += 1;
                            libos.push(qd, message).unwrap();
                            libos.pop(qd, None).unwrap();
                        }
                        Outcome::Push | Outcome::Close => {}
                        Outcome::Pop(_) | Outcome::Failed(_) => {
                            // Its end or its reset, of a pop or of a push; the other one may be there, too.
                            if libos.check(qd).is_ok() {
                                libos.close(qd).unwrap();
                            }
                        }
                        other => panic!("{other:?}"),
                    }
                }
            }
            assert!(served >= THREADS * EACH * 3 / 4, "{served} were served");
            let limit = crate::harness::system::now() + LIMIT.unwrap().as_nanos() as u64;
            while libos.queues() > 1 {
                assert!(crate::harness::system::now() < limit, "{} queues are left", libos.queues());
                if libos.wait_next_n(&mut out, 64, Some(core::time::Duration::from_millis(1))).is_ok() {
                    for completion in out.drain(..) {
                        let ended = matches!(&completion.outcome, Outcome::Pop(end) if end.is_empty())
                            || matches!(&completion.outcome, Outcome::Failed(_));
                        if ended && libos.check(completion.qd).is_ok() {
                            libos.close(completion.qd).unwrap();
                        }
                        if let Outcome::Accept(qd) = completion.outcome {
                            libos.pop(qd, None).unwrap();
                        }
                    }
                }
            }
            poll_until(&mut libos, |_| descriptors() <= before);
            crate::assert_buffers_are_back(&libos);
        })
        .client(|side| {
            let to = side.announced();
            std::thread::scope(|scope| {
                for _ in 0..THREADS {
                    scope.spawn(move || {
                        for number in 0..EACH {
                            let stream = peer::connect(to);
                            peer::write(&stream, &mut Stream::new(number), 200);
                            if number % 4 == 3 {
                                peer::reset(stream);
                                continue;
                            }
                            peer::read(&stream, &mut Stream::new(number), 200);
                        }
                    });
                }
            });
            side.board.set(DONE, 1);
        })
        .run();
}
