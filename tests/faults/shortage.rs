// SPDX-License-Identifier: MIT OR Apache-2.0
//! No descriptors, and no buffers: the call that lacks one says so, what was there goes on, and with the first that comes
//! back so does the rest.

use crate::harness::bytes::Stream;
use crate::harness::system::{descriptors, processor_time};
use crate::peer;
use crate::subject::{Subject, accept, close, errno, poll_for, pop_rest, pop_stream, push_stream, wait};
use core::time::Duration;
use margay::{Errno, LibOs, Outcome, Qd, Sga};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::net::{Shutdown, TcpStream};
use std::os::fd::OwnedFd;

const STEP: usize = 0;

/// So many descriptors more can be made, as long as what this gives is held.
fn allow_descriptors(more: usize) -> Vec<OwnedFd> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(256);
    setrlimit(Resource::Nofile, limit).unwrap();
    let mut taken = Vec::new();
    while let Ok(descriptor) = rustix::io::dup(std::io::stdin()) {
        taken.push(descriptor);
    }
    taken.truncate(taken.len() - more);
    taken
}

/// Accepts fail with `EMFILE` while there are no descriptors, without a loop that spins, and go on when there are: all
/// who connected are served.
pub fn descriptors_for_accepts(subject: &Subject) {
    const PEERS: usize = 12;
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos();
            let listening = side.serve(&mut libos, 64);
            let witness = accept(&mut libos, listening);
            side.board.wait(STEP, 1);
            let _taken = allow_descriptors(5);
            let (mut waiting, mut served, mut refused) = (Vec::<Qd>::new(), 0, 0);
            while served < PEERS {
                let qt = libos.accept(listening).unwrap();
                match libos.wait(qt, Some(Duration::from_millis(200))) {
                    Ok(completion) => match completion.outcome {
                        Outcome::Accept(qd) => {
                            waiting.push(qd);
                            if waiting.len() + served < PEERS {
                                continue;
                            }
                        }
                        Outcome::Failed(error) => {
                            assert_eq!(error.errno(), Errno::MFILE);
                            refused += 1;
                        }
                        other => panic!("{other:?}"),
                    },
                    Err(error) => {
                        // It waits on for a descriptor.
                        assert_eq!(error.errno(), Errno::TIMEDOUT);
                        libos.cancel(qt).unwrap();
                    }
                }
                if refused == 1 {
                    // Nobody spins for what is not to be had: neither with an accept that waits, nor without.
                    let popped = libos.pop(witness, None).unwrap();
                    let before = processor_time();
                    let error = libos.wait(popped, Some(Duration::from_millis(500))).unwrap_err();
                    let used = processor_time() - before;
                    assert_eq!(error.errno(), Errno::TIMEDOUT);
                    assert!(used < 50_000_000, "{used} ns of processor time in 500 ms");
                    libos.cancel(popped).unwrap();
                    refused += 1;
                }
                let qd = waiting.pop().expect("there were descriptors for some");
                pop_rest(&mut libos, qd, &mut Stream::new(side.seed), 100);
                push_stream(&mut libos, qd, &mut Stream::new(side.seed + 1), 100);
                close(&mut libos, qd);
                served += 1;
            }
            // One that keeps its sockets in the ring's own table may need no descriptors.
            assert!(refused > 0 || side.backend.libos == "catcollar", "there were descriptors for all");
            pop_stream(&mut libos, witness, &mut Stream::new(side.seed), 100);
            push_stream(&mut libos, witness, &mut Stream::new(side.seed + 1), 100);
            side.board.set(STEP, 2);
        })
        .client(|side| {
            let witness = peer::call(side);
            let streams: Vec<TcpStream> = (0..PEERS).map(|_| peer::call(side)).collect();
            peer::write(&witness, &mut Stream::new(0), 0);
            for stream in &streams {
                peer::write(stream, &mut Stream::new(side.seed), 100);
                stream.shutdown(Shutdown::Write).unwrap();
            }
            side.board.set(STEP, 1);
            for stream in streams.iter().rev() {
                let mut answer = Stream::new(side.seed + 1);
                peer::read_to_the_end(stream, &mut answer).unwrap();
                assert_eq!(answer.at(), 100);
            }
            peer::write(&witness, &mut Stream::new(side.seed), 100);
            peer::read(&witness, &mut Stream::new(side.seed + 1), 100);
            side.board.wait(STEP, 2);
        })
        .run();
}

/// Sockets that cannot be made are `EMFILE`, so is a LibOs; with the next that is closed another can be made.
pub fn descriptors_for_sockets(subject: &Subject) {
    subject.alone(|side| {
        let (mut libos, [near, far]) = side.both_ends();
        let _taken = allow_descriptors(8);
        let before = descriptors();
        for _ in 0..50 {
            let mut qds = Vec::new();
            while let Ok(qd) = libos.socket(side.backend.domain, margay::Kind::Stream) {
                qds.push(qd);
                if qds.len() == 200 {
                    break;
                }
            }
            // One that keeps its sockets in the ring's own table may need no descriptors.
            if qds.len() < 200 {
                assert_eq!(errno(libos.socket(side.backend.domain, margay::Kind::Stream)), Errno::MFILE);
                assert_eq!(errno(libos.socket(side.backend.domain, margay::Kind::Datagram)), Errno::MFILE);
                assert_eq!(LibOs::new(&side.config()).err().unwrap().error().errno(), Errno::MFILE);
                close(&mut libos, qds.pop().expect("there were descriptors for some"));
                qds.push(side.stream(&mut libos));
            }
            push_stream(&mut libos, near, &mut Stream::new(side.seed), 1000);
            pop_stream(&mut libos, far, &mut Stream::new(side.seed), 1000);
            for qd in qds {
                close(&mut libos, qd);
            }
            poll_for(&mut libos, Duration::from_millis(1));
            assert_eq!(descriptors(), before);
        }
    });
}

/// The application keeps what it pops until there are no buffers: nothing is lost, and with those that it gives back the
/// streams go on.
pub fn buffers(subject: &Subject) {
    const PEERS: usize = 8;
    const LEN: usize = 400_000;
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos_with(|config| {
                (config.buffers.small_count, config.buffers.large_count) = (16, 1);
                config.buffers.oversize_limit = 0;
                (config.catcollar.buffers, config.catcollar.buffer_size) = (16, 4096);
            });
            let listening = side.serve(&mut libos, 64);
            let qds: Vec<Qd> = (0..PEERS).map(|_| accept(&mut libos, listening)).collect();
            let mut streams: Vec<Stream> = (0..PEERS as u64).map(|number| Stream::new(side.seed + number)).collect();
            for &qd in &qds {
                libos.pop(qd, None).unwrap();
            }
            let (mut held, mut out, mut open, mut ran_out) = (Vec::<Sga>::new(), Vec::new(), PEERS, 0);
            while open > 0 {
                if let Err(error) = libos.wait_next_n(&mut out, 16, Some(Duration::from_millis(100))) {
                    // All are held here: nothing comes.
                    assert_eq!(error.errno(), Errno::TIMEDOUT);
                    assert!(!held.is_empty(), "{open} streams do not go on");
                    held.clear();
                    ran_out += 1;
                }
                for completion in out.drain(..) {
                    let qd = completion.qd;
                    let index = qds.iter().position(|&other| other == qd).unwrap();
                    match completion.outcome {
                        Outcome::Pop(end) if end.is_empty() => {
                            assert_eq!(streams[index].at(), LEN as u64, "stream {index}");
                            open -= 1;
                            continue;
                        }
                        Outcome::Pop(message) => {
                            streams[index].check(&message);
                            held.push(message);
                        }
                        Outcome::Failed(error) => {
                            assert_eq!(error.errno(), Errno::NOBUFS);
                            held.clear();
                            ran_out += 1;
                        }
                        other => panic!("{other:?}"),
                    }
                    libos.pop(qd, None).unwrap();
                }
            }
            assert_ne!(ran_out, 0, "there were buffers for all");
            println!("{ran_out} times out of buffers");
            drop(held);
            for qd in qds {
                close(&mut libos, qd);
            }
            crate::assert_buffers_are_back(&libos);
            // With all of them back a new connection has what it needs.
            let [near, far] = side.two_ends(&mut libos);
            let qt = libos.push(near, &[3; 1500]).unwrap();
            assert!(matches!(wait(&mut libos, qt).outcome, Outcome::Push));
            assert_eq!(crate::subject::pop(&mut libos, far).to_vec(), [3; 1500]);
        })
        .client(|side| {
            let (to, seed) = (side.announced(), side.seed);
            let threads: Vec<_> = (0..PEERS as u64)
                .map(|number| {
                    // One after another, so that their numbers are those of the accepts.
                    let stream = peer::connect(to);
                    std::thread::spawn(move || peer::write(&stream, &mut Stream::new(seed + number), LEN))
                })
                .collect();
            for thread in threads {
                thread.join().unwrap();
            }
        })
        .run();
}
