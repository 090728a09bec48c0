// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ten seconds of everything at once: four producers hand work of five kinds to two LibOses, which push messages to each
//! other, hand work to each other, and fall asleep whenever they can. Everything is counted and checksummed.
//!
//! Each closure carries a [`Ticket`] with its producer and number. A LibOs sees the numbers of each producer without a gap
//! and in order, so what was accepted ran once; tickets that were made are dropped, whether they ran or not. The same
//! goes for the messages, by their sender, number and bytes.

use super::{LIMIT, start};
use crate::harness::bytes::fill;
use crate::harness::system::{now, sleep};
use crate::harness::{Context, Random, done, pair, pop_message, push_message};
use core::time::Duration;
use margay::{Errno, LibOs, Outcome, Qd, Submitter};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, mpsc};

const PRODUCERS: usize = 4;
/// Producers and, behind them, the two LibOses, which submit to each other.
const SOURCES: usize = PRODUCERS + 2;
const PHASES: u64 = 5;
const PHASE: Duration = Duration::from_secs(2);
/// Messages of one producer that may be under way.
const WINDOW: u64 = 64;
const HEADER: usize = 16;
/// The source that a LibOs's last message names.
const END: u64 = u64::MAX;

/// What one LibOs was given and what became of it, by source.
#[derive(Default)]
struct Side {
    accepted: [AtomicU64; SOURCES],
    sum_accepted: [AtomicU64; SOURCES],
    ran: [AtomicU64; SOURCES],
    sum_ran: [AtomicU64; SOURCES],
    /// Messages that its peer has received from it.
    received: [AtomicU64; SOURCES],
    made: AtomicU64,
    dropped: AtomicU64,
    refused: AtomicU64,
    /// Pushes that its closures began.
    pushes: AtomicU64,
    ended: AtomicBool,
    /// What went wrong in a closure, where an assertion would be lost.
    wrong: AtomicU64,
}

fn add(counter: &AtomicU64, value: u64) {
    counter.fetch_add(value, Ordering::Relaxed);
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

struct Ticket {
    side: Arc<Side>,
    source: usize,
    number: u64,
    value: u64,
}

impl Ticket {
    /// Counted as run, in its order.
    fn run(&self) {
        let in_order = self.side.ran[self.source].fetch_add(1, Ordering::Relaxed) == self.number;
        add(&self.side.sum_ran[self.source], self.value.wrapping_mul(self.number + 1));
        self.check(in_order);
    }

    fn check(&self, right: bool) {
        add(&self.side.wrong, u64::from(!right));
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        add(&self.side.dropped, 1);
    }
}

/// Where work goes: one LibOs, its end of the pipe, and its books.
#[derive(Clone)]
struct Target {
    submitter: Submitter,
    qd: Qd,
    side: Arc<Side>,
}

impl Target {
    /// Submits with the next ticket of this source; only one thread may do so for each. False: refused.
    fn submit(&self, source: usize, value: u64, job: impl FnOnce(&mut LibOs, &Ticket) + Send + 'static) -> bool {
        let side = &self.side;
        let ticket = Ticket { side: side.clone(), source, number: get(&side.accepted[source]), value };
        let number = ticket.number;
        add(&side.made, 1);
        let result = self.submitter.submit(move |libos| {
            ticket.run();
            job(libos, &ticket);
        });
        match result {
            Ok(()) => {
                add(&side.accepted[source], 1);
                add(&side.sum_accepted[source], value.wrapping_mul(number + 1));
            }
            Err(error) => {
                assert_eq!(error.errno(), Errno::AGAIN);
                add(&side.refused, 1);
            }
        }
        result.is_ok()
    }
}

/// The message of a source and number: those, and bytes that follow from them.
fn packet(source: u64, number: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; HEADER + len];
    bytes[..8].copy_from_slice(&source.to_le_bytes());
    bytes[8..HEADER].copy_from_slice(&number.to_le_bytes());
    fill(&mut bytes[HEADER..], source, number);
    bytes
}

fn push(libos: &mut LibOs, ticket: &Ticket, qd: Qd, message: &[u8]) {
    let begun = libos.push(qd, message).is_ok();
    add(&ticket.side.pushes, u64::from(begun));
    ticket.check(begun);
}

/// Opens a pipe of its own, sends a message through it and waits for everything.
fn blocks(libos: &mut LibOs, name: &str) -> bool {
    let (made, opened) = super::pipe(libos, name);
    push_message(libos, made, name.as_bytes());
    let whole = pop_message(libos, opened).to_vec() == name.as_bytes();
    for qd in [made, opened] {
        let closed = libos.close(qd).unwrap();
        done(libos, closed);
    }
    whole
}

fn produce(source: usize, mut random: Random, targets: &[Target; 2], stop: &AtomicBool) {
    let mut pushed = [0; 2];
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..=random.below(60) {
            let own = random.below(2) as usize;
            let (target, value) = (&targets[own], random.next());
            match random.below(2000) {
                0 => drop(target.submit(source, value, |_, _| std::panic::resume_unwind(Box::new("expected")))),
                1..4 => {
                    let name = format!("own-{own}-{source}-{value}");
                    target.submit(source, value, move |libos, ticket| {
                        // `blocks` may panic: then nobody takes this back.
                        add(&ticket.side.wrong, 1);
                        if blocks(libos, &name) {
                            ticket.side.wrong.fetch_sub(1, Ordering::Relaxed);
                        }
                    });
                }
                4..600 if pushed[own] - get(&target.side.received[source]) < WINDOW => {
                    let (qd, message) = (target.qd, packet(source as u64, pushed[own], random.length(6000)));
                    pushed[own] += u64::from(target.submit(source, value, move |libos, ticket| {
                        push(libos, ticket, qd, &message);
                    }));
                }
                600..800 => {
                    let other = targets[1 - own].clone();
                    target.submit(source, value, move |_, _| _ = other.submit(PRODUCERS + own, value, |_, _| ()));
                }
                _ => drop(target.submit(source, value, |_, _| ())),
            }
        }
        match random.below(4) {
            0 => {}
            1 => std::thread::yield_now(),
            _ => sleep(random.below(400_000)),
        }
    }
}

/// One LibOs: takes what comes, until its own last message is gone and its peer's is here.
fn serve(libos: &mut LibOs, qd: Qd, own: usize, sides: &[Arc<Side>; 2], mut random: Random) {
    let (side, peer) = (&sides[own], &sides[1 - own]);
    let (mut pushes, mut ended, mut out) = (0, false, Vec::with_capacity(64));
    for _ in 0..4 {
        libos.pop(qd, None).unwrap();
    }
    while !(ended && side.ended.load(Ordering::Relaxed) && pushes == get(&side.pushes)) {
        // A wake-up that is lost is one that never comes: these waits have no end of their own, but the process has one.
        let timeout = [None, None, Some(Duration::ZERO), Some(Duration::from_micros(300))][random.below(4) as usize];
        if let Err(error) = libos.wait_next_n(&mut out, 64, timeout) {
            assert_eq!(error.errno(), Errno::TIMEDOUT, "no submission interrupts a wait");
        }
        for completion in out.drain(..) {
            let message = match completion.outcome {
                Outcome::Push => {
                    pushes += 1;
                    continue;
                }
                // The peer has gone, which it may after its last message.
                Outcome::Pop(message) if ended && message.is_empty() => continue,
                Outcome::Failed(error) if ended && error.errno() == Errno::PIPE => continue,
                Outcome::Pop(message) => message.to_vec(),
                other => panic!("{other:?}"),
            };
            let word = |at: usize| u64::from_le_bytes(message[at..at + 8].try_into().unwrap());
            let (source, number) = (word(0), word(8));
            assert!(!ended, "nothing comes after the last");
            if source == END {
                ended = true;
                continue;
            }
            assert_eq!(number, peer.received[source as usize].fetch_add(1, Ordering::Relaxed));
            assert!(message == packet(source, number, message.len() - HEADER), "{source}: message {number} is damaged");
            libos.pop(qd, None).unwrap();
        }
    }
    // All that the peer has submitted is here, but may not have run.
    let deadline = now() + LIMIT.unwrap().as_nanos() as u64;
    while get(&side.ran[PRODUCERS + 1 - own]) < get(&side.accepted[PRODUCERS + 1 - own]) {
        assert!(now() < deadline, "what was submitted is not run");
        libos.poll();
    }
}

/// One phase: both LibOses start, are worked on for a while, and end with nothing left. Gives its closures and messages.
fn phase(context: &Context, number: u64) -> [u64; 2] {
    let sides: [Arc<Side>; 2] = Default::default();
    let seed = |thread: u64| Random::new(context.seed ^ number << 40 ^ thread << 32);
    let (there, targets) = mpsc::channel();
    let (config, name, made) = (context.config(), format!("phase-{number}"), Barrier::new(2));
    std::thread::scope(|scope| {
        let serving: Vec<_> = (0..2)
            .map(|own| {
                let (there, sides, random) = (there.clone(), &sides, seed(own));
                let (config, name, made) = (&config, &name, &made);
                scope.spawn(move || {
                    // One sleeps at once, the other spins first; in the next phase it is the other way round.
                    let spin = Duration::from_micros(50 * ((own + number) % 2));
                    let mut libos = start(config, spin);
                    let own = own as usize;
                    let first = (own == 0).then(|| libos.create_pipe(name).unwrap());
                    made.wait();
                    let qd = first.unwrap_or_else(|| libos.open_pipe(name).unwrap());
                    let target = Target { submitter: libos.submitter(), qd, side: sides[own].clone() };
                    there.send((own, target)).unwrap();
                    serve(&mut libos, qd, own, sides, random);
                })
            })
            .collect();
        let mut both = [0; 2].map(|_| targets.recv_timeout(LIMIT.unwrap()).expect("both start"));
        both.sort_by_key(|(own, _)| *own);
        let targets = both.map(|(_, target)| target);

        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for source in 0..PRODUCERS {
                let (targets, stop, random) = (&targets, &stop, seed(2 + source as u64));
                scope.spawn(move || produce(source, random, targets, stop));
            }
            sleep(PHASE.as_nanos() as u64);
            stop.store(true, Ordering::Relaxed);
        });
        // The producers are done, so this is the last that each is given by anyone but its peer.
        for target in &targets {
            let deadline = now() + LIMIT.unwrap().as_nanos() as u64;
            let last = || {
                let qd = target.qd;
                target.submit(0, 1, move |libos, ticket| {
                    push(libos, ticket, qd, &packet(END, 0, 0));
                    ticket.side.ended.store(true, Ordering::Relaxed);
                })
            };
            while !last() {
                assert!(now() < deadline, "the queue stays full");
                std::thread::yield_now();
            }
        }
        for thread in serving {
            thread.join().unwrap();
        }
        for target in &targets {
            let refused = target.submitter.submit(|_| ());
            assert_eq!(refused.unwrap_err().errno(), Errno::CANCELED);
        }
    });
    check(&sides, number)
}

fn check(sides: &[Arc<Side>; 2], number: u64) -> [u64; 2] {
    let sum = |counters: &[AtomicU64]| counters.iter().map(get).sum::<u64>();
    let mut totals = [0; 2];
    for (own, side) in sides.iter().enumerate() {
        assert_eq!(get(&side.wrong), 0, "closures saw something wrong");
        assert_eq!(side.accepted.each_ref().map(get), side.ran.each_ref().map(get), "by source");
        assert_eq!(side.sum_accepted.each_ref().map(get), side.sum_ran.each_ref().map(get), "by source");
        assert_eq!(sum(&side.accepted) + get(&side.refused), get(&side.made));
        assert_eq!(get(&side.made), get(&side.dropped), "closures that were neither run nor dropped");
        // The last message is not counted at its end.
        assert_eq!(get(&side.pushes), sum(&side.received) + 1);
        assert_eq!(Arc::strong_count(side), 1, "nobody holds a closure any more");
        let (ran, messages, refused) = (sum(&side.ran), get(&side.pushes), get(&side.refused));
        println!("phase {number}, LibOs {own}: {ran} closures run, {refused} refused, {messages} messages");
        assert!(ran > 100 && messages > 10, "the phase did some work");
        totals[0] += ran;
        totals[1] += messages;
    }
    totals
}

#[test]
fn stress() {
    pair!()
        .server(|context| {
            println!("seed {}", context.seed);
            let totals = (0..PHASES).map(|number| phase(context, number));
            let [closures, messages] = totals.fold([0; 2], |sum, more| [sum[0] + more[0], sum[1] + more[1]]);
            println!("{closures} closures, {messages} messages");
        })
        .run();
}
