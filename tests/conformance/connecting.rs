// SPDX-License-Identifier: MIT OR Apache-2.0
//! Accept and connect: in every order, refused, waiting for room, given up, and closed under.

use crate::harness::bytes::Stream;
use crate::harness::{LIMIT, Role, pop_message, push_message};
use crate::subject::{
    Side, Subject, accept, close, connected, ends_with, errno, fails, poll_until, pop_rest, pop_stream, pop_to_the_end,
    push_stream, push_until_full, push_until_it_fails, read_end, wait,
};
use core::time::Duration;
use margay::{Domain, Errno, LibOs, Outcome, Qd, Qt};

const STEP: usize = 0;

/// A message each way, with bytes that belong to this number.
fn talk(side: &Side<'_>, libos: &mut LibOs, qd: Qd, number: u64) {
    let mine = u64::from(side.role == Role::Server);
    push_stream(libos, qd, &mut Stream::new(side.seed ^ number << 8 ^ mine), 300);
    pop_stream(libos, qd, &mut Stream::new(side.seed ^ number << 8 ^ (1 - mine)), 300);
}

/// Connects are made before anybody accepts them, accepts wait for connects; each gets its own, oldest first.
pub fn either_first(subject: &Subject) {
    const COUNT: u64 = 8;
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos();
            let listening = side.serve(&mut libos, COUNT as usize);
            side.poll_until(&mut libos, STEP, 1);
            let early: Vec<Qd> = (0..COUNT).map(|_| accept(&mut libos, listening)).collect();
            for (number, &qd) in early.iter().enumerate() {
                talk(side, &mut libos, qd, number as u64);
            }
            let accepts: Vec<Qt> = (0..COUNT).map(|_| libos.accept(listening).unwrap()).collect();
            side.board.set(STEP, 2);
            for (number, qt) in accepts.into_iter().enumerate() {
                let completion = wait(&mut libos, qt);
                assert_eq!(completion.qd, listening);
                let qd = completion.accepted().unwrap();
                talk(side, &mut libos, qd, COUNT + number as u64);
            }
            side.board.wait(STEP, 3);
        })
        .client(|side| {
            let mut libos = side.libos();
            let early: Vec<Qd> = (0..COUNT).map(|_| side.call(&mut libos)).collect();
            side.board.set(STEP, 1);
            for (number, &qd) in early.iter().enumerate() {
                talk(side, &mut libos, qd, number as u64);
            }
            side.board.wait(STEP, 2);
            for number in COUNT..2 * COUNT {
                let qd = side.call(&mut libos);
                talk(side, &mut libos, qd, number);
            }
            side.board.set(STEP, 3);
        })
        .run();
}

/// What is pushed and popped before the connect is done goes on after it, in order; what was pushed before the accept
/// is there after it.
pub fn begun_while_connecting(subject: &Subject) {
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos();
            let listening = side.serve(&mut libos, 4);
            side.board.wait(STEP, 1);
            let far = accept(&mut libos, listening);
            push_stream(&mut libos, far, &mut Stream::new(side.seed + 1), 5000);
            pop_rest(&mut libos, far, &mut Stream::new(side.seed), 100 * 1000);
        })
        .client(|side| {
            let mut libos = side.libos_with(|config| side.narrow(config, 16 << 10));
            let to = side.announced();
            let qd = side.stream(&mut libos);
            let connecting = side.begin(&mut libos, qd, to).unwrap();
            let mut stream = Stream::new(side.seed);
            let popped = libos.pop(qd, None).unwrap();
            let pushes: Vec<Qt> = (0..100).map(|_| libos.push(qd, &stream.take(1000)[..]).unwrap()).collect();
            libos.shutdown(qd, std::net::Shutdown::Write).unwrap();
            side.board.set(STEP, 1);
            connected(&mut libos, connecting);
            let mut theirs = Stream::new(side.seed + 1);
            let first = wait(&mut libos, popped).into_message().unwrap();
            assert!(!first.is_empty());
            theirs.check(&first);
            for qt in pushes {
                assert!(matches!(wait(&mut libos, qt).outcome, Outcome::Push));
            }
            pop_rest(&mut libos, qd, &mut theirs, 5000 - first.len());
        })
        .run();
}

/// Nobody listens: refused at once, whatever a connect may take otherwise; the socket can try again.
pub fn refused(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos_with(|config| config.catloop.connect_timeout = Duration::from_mins(1));
        let (listening, address) = side.listen(&mut libos, 4);
        close(&mut libos, listening);
        let qd = side.stream(&mut libos);
        for _ in 0..100 {
            let begun = side.begin(&mut libos, qd, address).unwrap();
            let popped = libos.pop(qd, None);
            let pushed = libos.push(qd, b"to nobody");
            assert_eq!(ends_with(&mut libos, begun), Errno::CONNREFUSED);
            assert_eq!(fails(&mut libos, popped), Errno::NOTCONN);
            assert_eq!(fails(&mut libos, pushed), Errno::NOTCONN);
            assert_eq!(errno(libos.peer_address(qd)), Errno::NOTCONN);
        }
        let counters = libos.counters();
        assert_eq!((counters.refused, counters.connected), (100, 0));
        // Somebody comes.
        let listening = side.stream(&mut libos);
        side.bind(&mut libos, listening, address).unwrap();
        libos.listen(listening, 1).unwrap();
        let begun = side.begin(&mut libos, qd, address).unwrap();
        connected(&mut libos, begun);
        let far = accept(&mut libos, listening);
        push_message(&mut libos, qd, b"at last");
        assert_eq!(pop_message(&mut libos, far).to_vec(), b"at last");
        assert_eq!((libos.counters().accepted, libos.counters().connected), (1, 1));
    });
}

/// Close while accepting, connecting, pushing and popping: `ECANCELED` for each, in order, and the close comes last.
pub fn close_cancels_everything(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos_with(|config| side.narrow(config, 4096));
        let canceled = |libos: &mut LibOs, qd: Qd, tokens: &[Qt]| {
            let closed = libos.close(qd).unwrap();
            assert_eq!(errno(libos.check(qd)), Errno::BADF);
            let mut out = Vec::new();
            while out.len() <= tokens.len() {
                libos.wait_next_n(&mut out, 64, LIMIT).unwrap();
            }
            for (completion, qt) in out.iter().zip(tokens.iter().chain([&closed])) {
                assert_eq!((completion.qd, completion.qt), (qd, *qt), "completions come in order");
                match &completion.outcome {
                    Outcome::Close => assert_eq!(*qt, closed),
                    Outcome::Failed(error) => assert_eq!(error.errno(), Errno::CANCELED),
                    other => panic!("{other:?}"),
                }
            }
        };
        // Accepting.
        let (listening, address) = side.listen(&mut libos, 1);
        let tokens: Vec<Qt> = (0..5).map(|_| libos.accept(listening).unwrap()).collect();
        canceled(&mut libos, listening, &tokens);
        // Connecting, with nobody who answers, and with operations that wait for it.
        let mut silent = side.libos();
        let full = side.stream(&mut silent);
        side.bind(&mut silent, full, address).unwrap();
        silent.listen(full, 1).unwrap();
        side.announce(address);
        let calling = side.stream(&mut libos);
        let mut tokens = vec![side.call_in_vain(&mut libos, calling)];
        tokens.extend((0..5).map(|_| libos.push(calling, b"x").unwrap()));
        tokens.extend((0..5).map(|_| libos.pop(calling, None).unwrap()));
        canceled(&mut libos, calling, &tokens);
        // Pushing where there is no room, and popping.
        let [near, far] = side.two_ends(&mut libos);
        let (stuck, len) = push_until_full(&mut libos, near, &mut Stream::new(side.seed), 500);
        let mut tokens = vec![stuck];
        tokens.extend((0..5).map(|_| libos.push(near, &[9; 500]).unwrap()));
        tokens.extend((0..5).map(|_| libos.pop(near, None).unwrap()));
        canceled(&mut libos, near, &tokens);
        // Of the push that was cut, a part may have gone: bytes of a stream, in order.
        let mut stream = Stream::new(side.seed);
        pop_stream(&mut libos, far, &mut stream, len);
        assert_eq!(pop_to_the_end(&mut libos, far, &mut stream), Errno::PIPE);
        assert!(stream.at() <= len as u64 + 500);
        // The listener that did not answer serves others. Who gave up is not accepted, or is at its end.
        let qd = side.stream(&mut libos);
        let begun = side.begin(&mut libos, qd, address).unwrap();
        loop {
            let accepted = accept(&mut silent, full);
            if silent.peer_address(accepted).unwrap().port() == libos.local_address(qd).unwrap().port() {
                break;
            }
            read_end(&mut silent, accepted);
            libos.poll();
        }
        connected(&mut libos, begun);
    });
}

/// Closed before it is accepted, with all that was said; and closed by who accepted it, before anything was said.
pub fn closed_before_or_after_accept(subject: &Subject) {
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos();
            let listening = side.serve(&mut libos, 4);
            side.poll_until(&mut libos, STEP, 1);
            let far = accept(&mut libos, listening);
            if side.backend.domain != Domain::Unix {
                libos.peer_address(far).unwrap();
            }
            pop_rest(&mut libos, far, &mut Stream::new(side.seed), 3000);
            assert_eq!(push_until_it_fails(&mut libos, far), Errno::PIPE);
            close(&mut libos, far);
            side.board.set(STEP, 2);
            let far = accept(&mut libos, listening);
            // The listener goes first: the connection stays.
            close(&mut libos, listening);
            push_stream(&mut libos, far, &mut Stream::new(side.seed + 1), 3000);
            close(&mut libos, far);
            // Its host has to be there to say so.
            side.poll_until(&mut libos, STEP, 3);
        })
        .client(|side| {
            let (mut libos, near) = side.called();
            push_stream(&mut libos, near, &mut Stream::new(side.seed), 3000);
            close(&mut libos, near);
            side.board.set(STEP, 1);
            side.poll_until(&mut libos, STEP, 2);
            let near = side.call(&mut libos);
            pop_rest(&mut libos, near, &mut Stream::new(side.seed + 1), 3000);
            assert_eq!(push_until_it_fails(&mut libos, near), Errno::PIPE);
            side.board.set(STEP, 3);
        })
        .run();
}

/// Both ends close at the same time, in any state, without waiting for each other: nobody hangs, nothing is left.
pub fn both_close_at_once(subject: &Subject) {
    const ROUNDS: u64 = 200;
    fn end(side: &Side<'_>, libos: &mut LibOs, qd: Qd, round: u64) {
        let mut random = crate::harness::Random::new(side.random().next() ^ round);
        let mut tokens = Vec::new();
        for _ in 0..random.below(6) {
            tokens.push(libos.push(qd, &[3; 3000]).unwrap());
        }
        for _ in 0..random.below(6) {
            tokens.push(libos.pop(qd, None).unwrap());
        }
        for _ in 0..random.below(30) {
            libos.poll();
        }
        if random.below(2) == 0 {
            // The peer may have gone already.
            let _ = libos.shutdown(qd, std::net::Shutdown::Write);
        }
        tokens.push(libos.close(qd).unwrap());
        let order = random.below(2) == 0;
        let last = tokens.len() - 1;
        for index in 0..=last {
            let qt = tokens[if order { index } else { last - index }];
            match wait(libos, qt).outcome {
                Outcome::Push | Outcome::Pop(_) | Outcome::Close => {}
                Outcome::Failed(error) => {
                    let fair = [Errno::CANCELED, Errno::PIPE, Errno::CONNRESET];
                    assert!(fair.contains(&error.errno()), "round {round}: {error}");
                }
                other => panic!("{other:?}"),
            }
        }
    }
    let report = subject
        .pair()
        .server(|side| {
            let mut libos = side.libos_with(|config| side.narrow(config, 4096));
            let listening = side.serve(&mut libos, 4);
            for round in 0..ROUNDS {
                let far = accept(&mut libos, listening);
                end(side, &mut libos, far, round);
                assert_eq!(libos.queues(), 1);
            }
        })
        .client(|side| {
            let mut libos = side.libos();
            for round in 0..ROUNDS {
                let near = side.call(&mut libos);
                end(side, &mut libos, near, round);
                assert_eq!(libos.queues(), 0);
            }
        })
        .run();
    report.assert_no_files();
}

/// A connection to oneself: within one LibOs, and between two of one thread.
pub fn to_oneself(subject: &Subject) {
    subject.alone(|side| {
        let (mut libos, [near, far]) = side.both_ends();
        assert_eq!(libos.peer_address(near).unwrap(), libos.local_address(far).unwrap());
        assert_eq!(libos.peer_address(far).unwrap(), libos.local_address(near).unwrap());
        let mut stream = [Stream::new(side.seed), Stream::new(side.seed)];
        for len in [1, 100, 5000, 100_000] {
            for [from, to] in [[near, far], [far, near]] {
                let mut stream = stream.clone();
                let qt = libos.push(from, &stream[0].take(len)[..]).unwrap();
                pop_stream(&mut libos, to, &mut stream[1], len);
                assert!(matches!(wait(&mut libos, qt).outcome, Outcome::Push));
            }
            for stream in &mut stream {
                stream.take(len);
            }
        }
        close(&mut libos, near);
        read_end(&mut libos, far);
        close(&mut libos, far);
        assert_eq!(libos.queues(), 0);
        let mut other = side.libos();
        let (listening, address) = side.listen(&mut other, 1);
        let near = side.stream(&mut libos);
        let begun = side.begin(&mut libos, near, address).unwrap();
        let far = accept(&mut other, listening);
        connected(&mut libos, begun);
        push_message(&mut libos, near, b"over there");
        assert_eq!(pop_message(&mut other, far).to_vec(), b"over there");
        // The whole LibOs goes: the end, as with a close.
        drop(other);
        read_end(&mut libos, near);
    });
}

/// 32 clients at once, each a LibOs and a thread of its own, that come, talk and go; a server that closes others
/// meanwhile.
pub fn thirty_two_clients_at_once(subject: &Subject) {
    const CLIENTS: u64 = 32;
    const ROUNDS: u64 = 10;
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos_with(|config| side.narrow(config, 16 << 10));
            let listening = side.serve(&mut libos, 4);
            let (mut accepted, mut ended) = (0, 0);
            libos.accept(listening).unwrap();
            let mut out = Vec::new();
            while ended < CLIENTS * ROUNDS {
                libos.wait_next_n(&mut out, 16, LIMIT).unwrap();
                for completion in out.drain(..) {
                    match completion.outcome {
                        Outcome::Accept(qd) => {
                            accepted += 1;
                            libos.pop(qd, None).unwrap();
                            if accepted < CLIENTS * ROUNDS {
                                libos.accept(listening).unwrap();
                            }
                        }
                        Outcome::Pop(message) if message.is_empty() => {
                            libos.close(completion.qd).unwrap();
                            ended += 1;
                        }
                        Outcome::Pop(message) => {
                            libos.push(completion.qd, message).unwrap();
                            libos.pop(completion.qd, None).unwrap();
                        }
                        Outcome::Push | Outcome::Close => {}
                        other => panic!("{other:?}"),
                    }
                }
            }
            poll_until(&mut libos, |libos| libos.queues() == 1);
        })
        .client(|side| {
            let (to, config, seed) = (side.announced(), side.config(), side.seed);
            let domain = side.backend.domain;
            let threads: Vec<_> = (0..CLIENTS)
                .map(|client| {
                    let config = config.clone();
                    std::thread::spawn(move || {
                        let mut libos = LibOs::new(&config).unwrap();
                        for round in 0..ROUNDS {
                            let qd = libos.socket(domain, margay::Kind::Stream).unwrap();
                            let begun = libos.connect(qd, to).unwrap();
                            connected(&mut libos, begun);
                            let seed = seed ^ client << 32 ^ round;
                            let mut streams = [Stream::new(seed), Stream::new(seed)];
                            for _ in 0..20 {
                                push_stream(&mut libos, qd, &mut streams[0], 700);
                                pop_stream(&mut libos, qd, &mut streams[1], 700);
                            }
                            close(&mut libos, qd);
                        }
                    })
                })
                .collect();
            for thread in threads {
                thread.join().unwrap();
            }
        })
        .run();
}
