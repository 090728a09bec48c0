// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ten thousand pipes opened and closed leave nothing: no descriptor, no memory, no mapping, no file.

use crate::harness::system::{descriptors, mappings, pipes, private_kib};
use crate::harness::{Context, done, pair, pop_message, push_message};
use core::time::Duration;
use margay::LibOs;

const PIPES: u64 = 10_000;
const MADE: usize = 0;
const ENDED: usize = 1;

/// What this process has of each.
struct Held {
    descriptors: usize,
    mappings: usize,
    kib: u64,
}

impl Held {
    fn now() -> Self {
        Self { descriptors: descriptors(), mappings: mappings(), kib: private_kib() }
    }

    /// Nothing has grown; the allocator may have a few pages more.
    fn compare(&self, before: &Self) {
        assert_eq!(self.descriptors, before.descriptors, "descriptors");
        assert!(self.mappings <= before.mappings + 4, "{} mappings, before {}", self.mappings, before.mappings);
        assert!(self.kib <= before.kib + 512, "{} KiB, before {}", self.kib, before.kib);
    }
}

/// `step` for every pipe; the first thousand may still grow tables.
fn many(context: &Context, mut step: impl FnMut(&mut LibOs, u64)) {
    let mut libos = context.libos();
    let mut before = None;
    for pipe in 0..PIPES {
        step(&mut libos, pipe);
        if pipe == PIPES / 10 {
            before = Some(Held::now());
        }
    }
    assert_eq!(libos.queues(), 0);
    Held::now().compare(&before.unwrap());
}

#[test]
fn ten_thousand_pipes_between_processes() {
    let report = pair!()
        .deadline(Duration::from_mins(2))
        .server(|context| {
            many(context, |libos, pipe| {
                let qd = libos.create_pipe(&format!("p{}", pipe % 100)).unwrap();
                context.board.set(MADE, pipe + 1);
                assert_eq!(pop_message(libos, qd).to_vec(), pipe.to_le_bytes());
                let closed = libos.close(qd).unwrap();
                done(libos, closed);
                context.board.wait(ENDED, pipe + 1);
            });
        })
        .client(|context| {
            many(context, |libos, pipe| {
                context.board.wait(MADE, pipe + 1);
                let qd = libos.open_pipe(&format!("p{}", pipe % 100)).unwrap();
                push_message(libos, qd, &pipe.to_le_bytes());
                assert!(pop_message(libos, qd).is_empty());
                let closed = libos.close(qd).unwrap();
                done(libos, closed);
                context.board.set(ENDED, pipe + 1);
            });
        })
        .run();
    report.assert_no_pipes();
}

/// In one process, and half of them with operations that are still pending, messages that are held, or nobody there.
#[test]
fn ten_thousand_pipes_in_one_process() {
    pair!()
        .deadline(Duration::from_mins(2))
        .server(|context| {
            let large = vec![1; 100_000];
            many(context, |libos, pipe| {
                let made = libos.create_pipe("own").unwrap();
                let mut tokens = Vec::new();
                let mut held = None;
                if pipe % 4 != 0 {
                    let opened = libos.open_pipe("own").unwrap();
                    if pipe % 4 != 1 {
                        push_message(libos, opened, &[7; 1000]);
                        let qt = libos.pop_in_place(made).unwrap();
                        held = Some(libos.wait(qt, crate::harness::LIMIT).unwrap());
                    }
                    if pipe % 4 == 3 {
                        tokens.extend((0..4).map(|_| libos.push(opened, &large[..]).unwrap()));
                        tokens.extend((0..4).map(|_| libos.pop(opened, None).unwrap()));
                    }
                    tokens.push(libos.close(opened).unwrap());
                }
                tokens.push(libos.close(made).unwrap());
                for qt in tokens {
                    libos.wait(qt, crate::harness::LIMIT).unwrap();
                }
                drop(held);
            });
            assert_eq!(pipes(&context.pipes), 0);
        })
        .run();
}

/// LibOs after LibOs.
#[test]
fn libos_itself_leaves_nothing() {
    // Large blocks go back to the kernel as they are freed (mallopt(3)). Else the allocator keeps them, in pieces, and as many more as it takes for a
    // large one to lie in one of them.
    const LARGE: i32 = 128 << 10;
    pair!()
        .server(|context| {
            // SAFETY: it changes a number of the allocator's.
            assert_eq!(unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) }, 1);
            let mut before = None;
            // What the allocator keeps of the small ones takes some rounds to settle; a leak would go on.
            for round in 0..400 {
                let mut libos = context.libos();
                let made = libos.create_pipe("own").unwrap();
                let opened = libos.open_pipe("own").unwrap();
                push_message(&mut libos, opened, b"x");
                libos.pop(opened, None).unwrap();
                assert_eq!(pop_message(&mut libos, made).len(), 1);
                drop(libos);
                if round == 200 {
                    before = Some(Held::now());
                }
            }
            Held::now().compare(&before.unwrap());
        })
        .run();
}
