// SPDX-License-Identifier: MIT OR Apache-2.0
//! Waiting, over sockets and pipes together: which completion comes, that no token starves, and what a timeout leaves.

use crate::harness::{LIMIT, done, pop_message, push_message};
use crate::subject::{Side, Subject, accept, close, ends_with, errno, poll_for, poll_until, wait};
use core::time::Duration;
use margay::{Config, Errno, LibOs, Outcome, Qd, Qt, SocketOption};
use std::collections::HashMap;

const STEP: usize = 0;
const ORDER: [usize; 8] = [3, 1, 7, 0, 5, 2, 6, 4];

/// The server's ends of eight queues: pipes and sockets in turn.
fn served(side: &Side<'_>, libos: &mut LibOs) -> Vec<Qd> {
    let pipes: Vec<Qd> = (0..4).map(|pipe| libos.create_pipe(&format!("p{pipe}")).unwrap()).collect();
    let listening = side.serve(libos, 8);
    let qds: Vec<Qd> = pipes.into_iter().flat_map(|pipe| [pipe, accept(libos, listening)]).collect();
    // From here on both sides have the memory, so what is pushed is there at once.
    for &qd in &qds {
        assert_eq!(pop_message(libos, qd).to_vec(), b"here");
    }
    qds
}

/// The client's ends of the same.
fn called(side: &Side<'_>, libos: &mut LibOs) -> Vec<Qd> {
    let qds: Vec<Qd> = (0..4).flat_map(|pipe| [side.open(libos, &format!("p{pipe}")), side.call(libos)]).collect();
    for &qd in &qds {
        push_message(libos, qd, b"here");
    }
    qds
}

/// Pushes to the queues in this order, one step of the board each, and stays until the client has closed all.
fn pusher(side: &Side<'_>, order: &[usize]) {
    let mut libos = side.libos();
    let qds = served(side, &mut libos);
    for (step, &queue) in order.iter().enumerate() {
        side.board.wait(STEP, 2 * step as u64 + 1);
        push_message(&mut libos, qds[queue], &[queue as u8; 3]);
        side.board.set(STEP, 2 * step as u64 + 2);
    }
    for qd in qds {
        assert!(pop_message(&mut libos, qd).is_empty());
    }
}

/// Lets the server make its next push, and finds it.
fn step(side: &Side<'_>, libos: &mut LibOs, step: u64) {
    side.board.set(STEP, 2 * step + 1);
    side.board.wait(STEP, 2 * step + 2);
    if side.backend.host_goes_with_libos() {
        // It has to cross a wire first.
        poll_for(libos, Duration::from_millis(5));
    }
    for _ in 0..4 {
        libos.poll();
    }
}

/// Words are not held back until those in front of them are acknowledged.
fn at_once(config: &mut Config) {
    config.catnip.tcp.no_delay = true;
}

fn assert_message(message: margay::Completion, queue: usize) {
    assert_eq!(message.into_message().unwrap().to_vec(), [queue as u8; 3]);
}

pub fn wait_any_gives_the_oldest(subject: &Subject) {
    subject
        .pair()
        .server(|side| pusher(side, &ORDER))
        .client(|side| {
            let mut libos = side.libos();
            let qds = called(side, &mut libos);
            let mut qts: Vec<Qt> = qds.iter().map(|&qd| libos.pop(qd, None).unwrap()).collect();
            // All are pushed before anything is taken.
            for number in 0..8 {
                step(side, &mut libos, number);
            }
            for queue in ORDER {
                let (index, completion) = libos.wait_any(&qts, LIMIT).unwrap();
                assert_eq!((completion.qd, completion.qt), (qds[queue], qts.remove(index)));
                assert_message(completion, queue);
            }
        })
        .run();
}

pub fn wait_next_n_gives_the_oldest(subject: &Subject) {
    subject
        .pair()
        .server(|side| pusher(side, &ORDER))
        .client(|side| {
            let mut libos = side.libos();
            let qds = called(side, &mut libos);
            for &qd in &qds {
                libos.pop(qd, None).unwrap();
            }
            for number in 0..8 {
                step(side, &mut libos, number);
            }
            let mut out = Vec::new();
            while out.len() < 8 {
                let before = out.len();
                let taken = libos.wait_next_n(&mut out, 3, LIMIT).unwrap();
                assert!((1..=3).contains(&taken) && out.len() == before + taken);
            }
            for (completion, queue) in out.into_iter().zip(ORDER) {
                assert_eq!(completion.qd, qds[queue]);
                assert_message(completion, queue);
            }
        })
        .run();
}

pub fn wait_sets_give_the_oldest_of_their_own(subject: &Subject) {
    subject
        .pair()
        .server(|side| pusher(side, &ORDER))
        .client(|side| {
            let mut libos = side.libos();
            let qds = called(side, &mut libos);
            let qts: Vec<Qt> = qds.iter().map(|&qd| libos.pop(qd, None).unwrap()).collect();
            // Each has pipes and sockets.
            let sets = [libos.wait_set(), libos.wait_set()];
            for (queue, &qt) in qts.iter().enumerate() {
                libos.add_to_wait_set(&sets[queue / 2 % 2], qt).unwrap();
                assert_eq!(errno(libos.add_to_wait_set(&sets[0], qt)), Errno::EXIST);
            }
            for number in 0..8 {
                step(side, &mut libos, number);
            }
            assert_eq!(errno(libos.wait_next_n(&mut Vec::new(), 1, Some(Duration::ZERO))), Errno::TIMEDOUT);
            for number in [1, 0] {
                for queue in ORDER.into_iter().filter(|queue| queue / 2 % 2 == number) {
                    let completion = libos.wait_in_set(&sets[number], LIMIT).unwrap();
                    assert_eq!((completion.qd, completion.qt), (qds[queue], qts[queue]));
                    assert_message(completion, queue);
                }
                assert_eq!(errno(libos.wait_in_set(&sets[number], LIMIT)), Errno::INVAL);
            }
            for set in sets {
                libos.close_wait_set(set).unwrap();
            }
        })
        .run();
}

/// A queue that always has something does not keep the others waiting, be it a socket or a pipe, however it is waited. What others have
/// under way is on a wire, too, which may stand still on a machine that is busy: then it is tried again.
fn fair(subject: &Subject, busy: usize) {
    const COUNT: u64 = 20_000;
    const EVERY: u64 = 1000;
    const TRIES: u64 = 4;
    const FAIR: usize = STEP + 1;
    subject
        .pair()
        .server(move |side| {
            let mut libos = side.libos_with(at_once);
            let qds = served(side, &mut libos);
            for (_, &qd) in qds.iter().enumerate().filter(|(queue, _)| *queue != busy) {
                // Or a TCP waits for the acknowledgment of what it sent last, which may come as late as all of the busy one.
                if let Err(error) = libos.set_option(qd, SocketOption::NoDelay(true)) {
                    // Pipes and Unix sockets, which hold nothing back.
                    assert!([Errno::OPNOTSUPP, Errno::NOPROTOOPT].contains(&error.errno()), "{error}");
                }
            }
            let (mut out, mut under_way) = (Vec::with_capacity(64), 0);
            for round in 1..=TRIES {
                for number in 0..COUNT {
                    libos.push(qds[busy], &number.to_le_bytes()).unwrap();
                    under_way += 1;
                    if number % EVERY == 0 {
                        for (_, &qd) in qds.iter().enumerate().filter(|(queue, _)| *queue != busy) {
                            libos.push(qd, &number.to_le_bytes()).unwrap();
                            under_way += 1;
                        }
                    }
                    while under_way >= 64 {
                        under_way -= libos.wait_next_n(&mut out, 64, LIMIT).unwrap();
                        out.drain(..).for_each(|completion| completion.ok().unwrap());
                    }
                }
                while under_way > 0 {
                    under_way -= libos.wait_next_n(&mut out, 64, LIMIT).unwrap();
                    out.drain(..).for_each(|completion| completion.ok().unwrap());
                }
                side.poll_until(&mut libos, STEP, round);
                if side.board.get(FAIR) == 1 {
                    break;
                }
            }
            assert!(pop_message(&mut libos, qds[busy]).is_empty());
        })
        .client(move |side| {
            let mut libos = side.libos_with(at_once);
            let qds = called(side, &mut libos);
            // Words of eight bytes: a stream may cut them anywhere.
            let mut parts: [Vec<u8>; 8] = Default::default();
            for &qd in &qds {
                for _ in 0..16 {
                    libos.pop(qd, Some(8)).unwrap();
                }
            }
            let mut out = Vec::with_capacity(16);
            for round in 1..=TRIES {
                let (mut last, mut bytes) = ([0; 8], [0; 8]);
                let (mut total, mut unfair) = (0, None);
                while total < COUNT + 7 * (COUNT / EVERY) {
                    libos.wait_next_n(&mut out, 16, LIMIT).unwrap();
                    for completion in out.drain(..) {
                        let queue = qds.iter().position(|&qd| qd == completion.qd).unwrap();
                        let part = &mut parts[queue];
                        part.extend(completion.into_message().unwrap().to_vec());
                        if let Some(word) = part.get(..8) {
                            last[queue] = u64::from_le_bytes(word.try_into().unwrap());
                            part.drain(..8);
                            bytes[queue] += 8;
                            total += 1;
                        }
                        libos.pop(qds[queue], Some(8)).unwrap();
                    }
                    // The busy one is never far ahead of what the others were sent at the same time.
                    let behind = (0..8).filter(|&queue| queue != busy).map(|queue| last[queue]).min().unwrap();
                    if last[busy] >= behind + EVERY + 16_384 {
                        unfair = unfair.or(Some(last));
                    }
                }
                let whole = |(queue, &len): (usize, &u64)| len == 8 * if queue == busy { COUNT } else { COUNT / EVERY };
                assert!(bytes.iter().enumerate().all(whole), "{bytes:?}");
                side.board.set(FAIR, unfair.is_none().into());
                side.board.set(STEP, round);
                match unfair {
                    None => return,
                    Some(last) => println!("round {round}: {last:?}"),
                }
            }
            panic!("the busy one was far ahead each time");
        })
        .run();
}

pub fn a_busy_socket_starves_nobody(subject: &Subject) {
    fair(subject, 1);
}

pub fn a_busy_pipe_starves_nobody(subject: &Subject) {
    fair(subject, 0);
}

/// Under a flood on one socket new connections are accepted, and `wait_any` gives the accept its turn.
pub fn a_flood_does_not_starve_accept(subject: &Subject) {
    const CALLS: u64 = 20;
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos();
            let listening = side.serve(&mut libos, 1);
            let flooded = accept(&mut libos, listening);
            let mut tokens = [libos.pop(flooded, None).unwrap(), libos.accept(listening).unwrap()];
            let (mut accepted, mut bytes) = (0, 0);
            while accepted < CALLS {
                let (index, completion) = libos.wait_any(&tokens, LIMIT).unwrap();
                match completion.outcome {
                    Outcome::Pop(message) => {
                        bytes += message.len();
                        tokens[index] = libos.pop(flooded, None).unwrap();
                    }
                    Outcome::Accept(_) => {
                        accepted += 1;
                        tokens[index] = libos.accept(listening).unwrap();
                    }
                    other => panic!("{other:?}"),
                }
            }
            side.board.set(STEP, 1);
            assert_ne!(bytes, 0);
        })
        .client(|side| {
            let (mut libos, qd) = side.called();
            side.board.set(STEP + 1, 1);
            let mut out = Vec::new();
            let mut under_way = 0;
            while side.board.get(STEP) == 0 {
                while under_way < 32 {
                    if libos.push(qd, &[5; 500]).is_err() {
                        return;
                    }
                    under_way += 1;
                }
                under_way -= libos.wait_next_n(&mut out, 32, LIMIT).unwrap();
                out.clear();
            }
        })
        .third(|side| {
            side.board.wait(STEP + 1, 1);
            let mut libos = side.libos();
            let qds: Vec<Qd> = (0..CALLS).map(|_| side.call(&mut libos)).collect();
            side.board.wait(STEP, 1);
            drop(qds);
        })
        .run();
}

/// Every token gets its own completion: hundreds of operations of all kinds under way, taken in a random order.
pub fn each_token_its_own_completion(subject: &Subject) {
    #[derive(Debug, PartialEq)]
    enum Begun {
        Accept,
        Connect,
        Push,
        Pop(u8),
    }
    subject.alone(|side| {
        let mut libos = side.libos();
        let mut random = side.random();
        println!("seed {}", side.seed);
        for _ in 0..20 {
            let (listening, address) = side.listen(&mut libos, 64);
            let mut begun = HashMap::new();
            let mut pairs: Vec<[Qd; 2]> = (0..8).map(|_| side.two_ends(&mut libos)).collect();
            let pipe = format!("own{}", random.next());
            pairs.push([libos.create_pipe(&pipe).unwrap(), libos.open_pipe(&pipe).unwrap()]);
            let mut calls = Vec::new();
            for round in 0..200 {
                let &[near, far] = &pairs[random.below(pairs.len() as u64) as usize];
                let tag = random.next() as u8;
                match round % 4 {
                    0 => {
                        begun.insert(libos.pop(far, Some(1)).unwrap(), (far, Begun::Pop(0)));
                    }
                    1 => {
                        begun.insert(libos.push(near, &[tag]).unwrap(), (near, Begun::Push));
                    }
                    2 => {
                        begun.insert(libos.accept(listening).unwrap(), (listening, Begun::Accept));
                    }
                    _ => {
                        let qd = side.stream(&mut libos);
                        calls.push(qd);
                        begun.insert(side.begin(&mut libos, qd, address).unwrap(), (qd, Begun::Connect));
                    }
                }
            }
            // Whatever has been pushed and popped so often meets; the rest is made up for.
            for &[near, far] in &pairs {
                for _ in 0..200 {
                    begun.insert(libos.push(near, &[1]).unwrap(), (near, Begun::Push));
                }
                libos.poll();
                let _ = far;
            }
            let mut left: Vec<Qt> = begun.keys().copied().collect();
            left.sort_unstable();
            while !left.is_empty() {
                let qt = left.swap_remove(random.below(left.len() as u64) as usize);
                let completion = wait(&mut libos, qt);
                let (qd, what) = begun.remove(&qt).unwrap();
                assert_eq!((completion.qd, completion.qt), (qd, qt), "{what:?}");
                match (&what, &completion.outcome) {
                    (Begun::Accept, Outcome::Accept(_))
                    | (Begun::Connect, Outcome::Connect)
                    | (Begun::Push, Outcome::Push) => {}
                    (Begun::Pop(_), Outcome::Pop(message)) => assert_eq!(message.len(), 1),
                    (what, outcome) => panic!("{outcome:?} for {what:?}"),
                }
                if let Outcome::Accept(qd) = completion.outcome {
                    close(&mut libos, qd);
                }
            }
            for qd in pairs.into_iter().flatten().chain(calls).chain([listening]) {
                close(&mut libos, qd);
            }
            assert_eq!(libos.queues(), 0);
        }
    });
}

/// A wait set has an accept, pops of sockets and of a pipe, and a connect; closed, its tokens can be waited for otherwise.
pub fn one_set_for_everything(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos();
        let (listening, address) = side.listen(&mut libos, 4);
        let [near, far] = side.two_ends(&mut libos);
        let (made, opened) = (libos.create_pipe("in-the-set").unwrap(), libos.open_pipe("in-the-set").unwrap());
        let set = libos.wait_set();
        let calling = side.stream(&mut libos);
        let accepting = libos.accept(listening).unwrap();
        let popping = [libos.pop(far, None).unwrap(), libos.pop(made, None).unwrap(), libos.pop(near, None).unwrap()];
        let connecting = side.begin(&mut libos, calling, address).unwrap();
        for qt in [accepting, connecting].into_iter().chain(popping) {
            libos.add_to_wait_set(&set, qt).unwrap();
        }
        let (socket, pipe) = (libos.push(near, b"by socket").unwrap(), libos.push(opened, b"by pipe").unwrap());
        let mut seen = Vec::new();
        for _ in 0..4 {
            let completion = libos.wait_in_set(&set, LIMIT).unwrap();
            completion.ok().unwrap();
            seen.push(completion.qt);
        }
        seen.sort_unstable();
        let mut expected = vec![accepting, connecting, popping[0], popping[1]];
        expected.sort_unstable();
        assert_eq!(seen, expected);
        done(&mut libos, socket);
        done(&mut libos, pipe);
        libos.close_wait_set(set).unwrap();
        let closed = libos.close(near).unwrap();
        assert_eq!(ends_with(&mut libos, popping[2]), Errno::CANCELED);
        poll_until(&mut libos, |libos| libos.try_wait(closed).is_ok_and(|done| done.is_some()));
    });
}
