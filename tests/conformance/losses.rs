// SPDX-License-Identifier: MIT OR Apache-2.0
//! Datagrams that are lost: to a full queue, to nobody, to the dead. Whatever is lost is counted, and nothing else is,
//! by back ends that can know.

use crate::datagrams::{assert_silent, pop, pop_within, push_to};
use crate::harness::bytes::{matches, message};
use crate::harness::system::stay_on_one_processor;
use crate::harness::{LIMIT, Role, done};
use crate::subject::{Side, Subject, close, poll_for, poll_until, wait};
use core::net::SocketAddr;
use core::time::Duration;
use margay::{Errno, Outcome, Qd};

const STEP: usize = 0;
/// Milliseconds without a datagram after which those that are missing have been lost, for back ends that do not count them.
const PAUSE: u64 = 50;

/// A device that has no room drops and counts whatever comes: questions and answers about neighbours and groups among it, so many at most.
fn no_datagrams(side: &Side<'_>) -> u64 {
    if side.backend.has_hosts() { 50 } else { 0 }
}

/// The queue is bounded: what does not fit is dropped, and everything that was pushed was either popped or counted.
pub fn drops_are_counted(subject: &Subject) {
    const COUNT: u64 = 5000;
    const PUSHED: usize = 1;
    const DROPS: usize = 2;
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos();
            let (qd, address) = side.bound_datagram(&mut libos);
            side.announce(address);
            // Nobody pops until all are pushed, but the LibOs works.
            side.poll_until(&mut libos, PUSHED, 1);
            let (mut popped, mut last) = (0, None);
            while popped + libos.counters().drops + side.board.get(DROPS) < COUNT {
                let Some(datagram) = pop_within(&mut libos, qd, PAUSE) else {
                    // Counts change meanwhile: a datagram that is not popped may be counted a little later, and the first one
                    // may have to find its way.
                    if side.backend.counts_drops() || popped == 0 {
                        continue;
                    }
                    break;
                };
                let bytes = datagram.into_message().to_vec();
                let number = u64::from_le_bytes(bytes[..8].try_into().unwrap());
                assert!(Some(number) > last && number < COUNT, "{number} after {last:?}");
                assert!(bytes[8..] == message(1000, side.seed, number), "datagram {number}");
                last = Some(number);
                popped += 1;
            }
            if side.backend.counts_drops() {
                assert_silent(&mut libos, qd);
            }
            let mut dropped = libos.counters().drops + side.board.get(DROPS);
            if !side.backend.counts_drops() {
                // The kernel tells of some, or of none.
                assert!(popped + dropped <= COUNT + no_datagrams(side), "{popped} popped, {dropped} dropped");
                dropped = COUNT - popped;
            }
            assert_eq!(popped + dropped, COUNT);
            assert!(popped > 0 && dropped > 0, "{popped} popped, {dropped} dropped");
            side.board.set(STEP, 1);
        })
        .client(|side| {
            let mut libos = side.libos();
            let (qd, to) = (side.datagram(&mut libos), side.announced());
            for number in 0..COUNT {
                let mut bytes = number.to_le_bytes().to_vec();
                bytes.extend(message(1000, side.seed, number));
                push_to(&mut libos, qd, &bytes, to);
            }
            side.board.set(PUSHED, 1);
            poll_until(&mut libos, |libos| {
                side.board.set(DROPS, libos.counters().drops);
                side.board.get(STEP) == 1
            });
            assert_eq!(libos.counters().messages_pushed, COUNT);
        })
        .run();
}

/// Many senders at once: each one's datagrams come in its order, and none is counted twice.
pub fn order_of_each_sender(subject: &Subject) {
    const SOCKETS: u64 = 8;
    const EACH: u64 = 2000;
    const DROPS: [usize; 2] = [1, 2];
    /// Whether a sender's first words were heard.
    const HEARD: [usize; 2] = [3, 4];
    const HELLO: &[u8] = b"hello from ";
    fn sends(side: &Side<'_>) {
        let mut libos = side.libos();
        let (qds, to) = ((0..SOCKETS).map(|_| side.datagram(&mut libos)).collect::<Vec<_>>(), side.announced());
        if side.backend.has_hosts() {
            // Kernels keep no order between what waits for a neighbour and what comes when it was found, nor between what one process
            // sends from two processors.
            stay_on_one_processor();
            let sender = usize::from(side.role == Role::Client);
            for tries in 0.. {
                assert!(tries < 500, "the server does not hear");
                push_to(&mut libos, qds[0], &[HELLO, &[sender as u8]].concat(), to);
                poll_for(&mut libos, Duration::from_millis(20));
                if side.board.get(HEARD[sender]) == 1 {
                    break;
                }
            }
        }
        for number in 0..EACH {
            for (index, &qd) in qds.iter().enumerate() {
                let id = if side.role == Role::Client { 0 } else { SOCKETS } + index as u64;
                let mut bytes = [id, number].map(u64::to_le_bytes).concat();
                bytes.extend(message(100, side.seed ^ id, number));
                push_to(&mut libos, qd, &bytes, to);
            }
        }
        let word = DROPS[usize::from(side.role == Role::Client)];
        poll_until(&mut libos, |libos| {
            // One more, so that zero says "not yet".
            side.board.set(word, libos.counters().drops + 1);
            side.board.get(STEP) == 1
        });
    }
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos();
            let (qd, address) = side.bound_datagram(&mut libos);
            side.announce(address);
            let mut next = vec![0; 2 * SOCKETS as usize];
            let mut ports: Vec<Option<SocketAddr>> = vec![None; next.len()];
            let mut popped = 0;
            loop {
                let dropped = libos.counters().drops + DROPS.map(|word| side.board.get(word)).iter().sum::<u64>();
                if DROPS.iter().all(|&word| side.board.get(word) > 0) && popped + dropped - 2 >= 2 * SOCKETS * EACH {
                    break;
                }
                let all_sent = DROPS.iter().all(|&word| side.board.get(word) > 0);
                let Some(datagram) = pop_within(&mut libos, qd, PAUSE) else {
                    if side.backend.counts_drops() || !all_sent || popped == 0 {
                        continue;
                    }
                    break;
                };
                let sender = datagram.sender();
                let bytes = datagram.into_message().to_vec();
                if let Some(&[who]) = bytes.strip_prefix(HELLO) {
                    side.board.set(HEARD[usize::from(who)], 1);
                    continue;
                }
                let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
                let (id, number) = (word(0), word(8));
                let last = &mut next[id as usize];
                assert!(number >= *last, "{number} of sender {id} after {last}");
                *last = number + 1;
                assert!(bytes[16..] == message(100, side.seed ^ id, number));
                assert_eq!(*ports[id as usize].get_or_insert(sender), sender);
                popped += 1;
            }
            let dropped = libos.counters().drops + DROPS.map(|word| side.board.get(word)).iter().sum::<u64>() - 2;
            let (known, all) = (popped + dropped, 2 * SOCKETS * EACH);
            let fair = if side.backend.counts_drops() { known == all } else { known <= all + no_datagrams(side) };
            assert!(fair && popped != 0, "{popped} popped, {dropped} dropped");
            if side.backend.counts_drops() {
                assert_silent(&mut libos, qd);
            }
            side.board.set(STEP, 1);
        })
        .client(sends)
        .third(sends)
        .run();
}

/// Nobody is there: a datagram is lost and counted; a connected socket is told with a later one.
pub fn to_nobody(subject: &Subject) {
    subject.alone(|side| {
        let mut libos = side.libos();
        let (gone, to) = side.bound_datagram(&mut libos);
        close(&mut libos, gone);
        let qd = side.datagram(&mut libos);
        for number in 1..=20 {
            push_to(&mut libos, qd, b"hello?", to);
            if side.backend.counts_drops() {
                poll_until(&mut libos, |libos| libos.counters().drops == number);
            }
        }
        let begun = libos.connect(qd, to).unwrap();
        assert!(matches!(wait(&mut libos, begun).outcome, Outcome::Connect));
        let mut refused = false;
        // Those before may have used up the answers that the host gives in some milliseconds.
        for _ in 0..100_000 {
            let qt = libos.push(qd, b"hello?").unwrap();
            match wait(&mut libos, qt).outcome {
                Outcome::Push => libos.poll(),
                Outcome::Failed(error) => {
                    assert_eq!(error.errno(), Errno::CONNREFUSED);
                    refused = true;
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(refused, "a connected socket is told that nobody is there");
        // Somebody comes: the socket works.
        let server = side.datagram(&mut libos);
        libos.bind(server, to).unwrap();
        let mut tries = 0;
        loop {
            let qt = libos.push(qd, b"at last").unwrap();
            let pushed = wait(&mut libos, qt).ok();
            if let Some(datagram) = pop_within(&mut libos, server, 20) {
                assert_eq!(datagram.into_message().to_vec(), b"at last");
                break;
            }
            tries += 1;
            assert!(tries < 10, "it is still refused: {pushed:?}");
        }
    });
}

/// The server goes and another comes at its address, for a client that does not know.
pub fn the_server_comes_back(subject: &Subject) {
    subject
        .pair()
        .server(|side| {
            for round in 0..5 {
                let mut libos = side.libos();
                let qd = side.datagram(&mut libos);
                if round == 0 {
                    libos.bind(qd, side.at(0)).unwrap();
                    side.announce(libos.local_address(qd).unwrap());
                } else {
                    libos.bind(qd, side.announced()).unwrap();
                }
                let datagram = pop(&mut libos, qd);
                let sender = datagram.sender();
                push_to(&mut libos, qd, &[round as u8], sender);
                side.poll_until(&mut libos, STEP, round + 1);
            }
        })
        .client(|side| {
            let mut libos = side.libos();
            let (qd, to) = (side.datagram(&mut libos), side.announced());
            for round in 0..5 {
                // What meets nobody, or the last server, is lost: it asks until it is answered.
                for tries in 0.. {
                    push_to(&mut libos, qd, b"who is there?", to);
                    let answer = pop_within(&mut libos, qd, 20).map(|answer| answer.into_message().to_vec());
                    if answer == Some(vec![round as u8]) {
                        break;
                    }
                    assert!(tries < 500, "round {round} is not answered");
                }
                side.board.set(STEP, round + 1);
            }
        })
        .run();
}

/// A peer that is killed is nobody: no pop fails for that, and others are served.
pub fn a_killed_peer(subject: &Subject) {
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos();
            let (qd, address) = side.bound_datagram(&mut libos);
            side.announce(address);
            let first = pop(&mut libos, qd);
            let dead = first.sender();
            side.board.set(STEP, 1);
            // The living one speaks when the other has died.
            let qt = libos.pop(qd, None).unwrap();
            let datagram = wait(&mut libos, qt).into_datagram().unwrap();
            let alive = datagram.sender();
            assert_ne!(dead, alive);
            assert_eq!(datagram.into_message().to_vec(), b"alive");
            for _ in 0..10 {
                push_to(&mut libos, qd, b"to the dead", dead);
            }
            if side.backend.counts_drops() {
                poll_until(&mut libos, |libos| libos.counters().drops >= 10);
            }
            push_to(&mut libos, qd, b"to the living", alive);
            // It may have to find its way.
            side.poll_until(&mut libos, STEP, 2);
        })
        .client(|side| {
            let mut libos = side.libos();
            let (qd, to) = (side.datagram(&mut libos), side.announced());
            push_to(&mut libos, qd, b"mortal", to);
            let popped = libos.pop(qd, None).unwrap();
            let _ = libos.wait(popped, LIMIT);
            crate::harness::system::sleep(30_000_000_000);
        })
        .third(|side| {
            side.board.wait(STEP, 1);
            crate::harness::system::sleep(100_000_000);
            let mut libos = side.libos();
            let (qd, to) = (side.datagram(&mut libos), side.announced());
            push_to(&mut libos, qd, b"alive", to);
            assert_eq!(pop(&mut libos, qd).into_message().to_vec(), b"to the living");
            side.board.set(STEP, 2);
        })
        .kill(Role::Client, STEP, Duration::from_millis(10))
        .run();
}

/// More peers than a back end may keep something for: all of them are served, and what is lost on the way was counted.
pub fn hundreds_of_peers(subject: &Subject) {
    const PEERS: u64 = 400;
    const DROPS: usize = 1;
    const LOST: usize = 2;
    let report = subject
        .pair()
        .server(|side| {
            let mut libos = side.libos();
            let (qd, address) = side.bound_datagram(&mut libos);
            side.announce(address);
            while side.board.get(STEP) == 0 {
                side.board.set(DROPS, libos.counters().drops);
                let Some(datagram) = pop_within(&mut libos, qd, 50) else { continue };
                let sender = datagram.sender();
                let qt = libos.push_to(qd, datagram.into_message(), sender).unwrap();
                done(&mut libos, qt);
            }
        })
        .client(|side| {
            let mut libos = side.libos();
            let to = side.announced();
            let qds: Vec<Qd> = (0..PEERS).map(|_| side.datagram(&mut libos)).collect();
            let mut lost = 0;
            for round in 0..3 {
                for (index, &qd) in qds.iter().enumerate() {
                    let number = round * PEERS + index as u64;
                    push_to(&mut libos, qd, &message(64, side.seed, number), to);
                    let mut tries = 0;
                    loop {
                        let Some(answer) = pop_within(&mut libos, qd, 2000) else {
                            (lost, tries) = (lost + 1, tries + 1);
                            assert!(tries < 5, "question {number} is not answered");
                            push_to(&mut libos, qd, &message(64, side.seed, number), to);
                            continue;
                        };
                        assert_eq!(answer.sender(), to);
                        if matches(&answer.into_message(), side.seed, number) {
                            break;
                        }
                        // One that was not lost, but late.
                        lost -= 1;
                    }
                }
            }
            let counted = || side.board.get(DROPS);
            if side.backend.counts_drops() {
                poll_until(&mut libos, |libos| libos.counters().drops + counted() >= lost);
            }
            assert!(lost <= PEERS / 10, "{lost} were lost");
            side.board.set(LOST, lost);
            side.board.set(STEP, 1);
        })
        .run();
    println!("{} datagrams were lost", report.board.get(LOST));
}
