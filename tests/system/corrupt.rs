// SPDX-License-Identifier: MIT OR Apache-2.0
//! A third process writes nonsense into the shared segment while both sides use it: neither crashes, panics or hangs.
//! What may happen is that a message is not the one that was sent, that one side waits for what was overwritten, and
//! that the pipe ends with an error.

use crate::harness::bytes::{fill, message};
use crate::harness::system::{now, sleep};
use crate::harness::{Context, Random, pair};
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use margay::{Errno, LibOs, Outcome, Qd};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::fs::File;

/// The server's process.
const SERVER: usize = 0;
/// Rounds whose pipe is made, mapped by the intruder, given up by the client, closed by the server.
const MADE: usize = 1;
const MAPPED: usize = 2;
const CLIENT_DONE: usize = 3;
const SERVER_DONE: usize = 4;
/// Rounds by what they came to at either side.
const COUNTED: usize = 8;
const BROKEN: usize = COUNTED;
const RESET: usize = COUNTED + 1;
const ENDED: usize = COUNTED + 2;
const SPOILT: usize = COUNTED + 3;
const STALLED: usize = COUNTED + 4;
const OTHER: usize = COUNTED + 5;

const ROUNDS: u64 = 250;
/// How long the two sides go on, in nanoseconds.
const ROUND: u64 = 30_000_000;
const LEN: usize = 4096 + 2 * 8192 + 2 * 4 * 4096;

/// Pushes and pops of every kind until the pipe ends or the time is over.
fn traffic(context: &Context, libos: &mut LibOs, qd: Qd, random: &mut Random) {
    let end = now() + ROUND;
    let mut out = Vec::new();
    let mut held = Vec::new();
    let (mut pushes, mut pops, mut got) = (0_u32, 0_u32, 0);
    let mut result = STALLED;
    let mut spoilt = false;
    'round: while now() < end {
        for _ in pushes..8 {
            let most = if random.below(10) == 0 { 20_000 } else { 1000 };
            let len = random.length(most);
            let shared = if random.below(3) == 0 { libos.alloc_on(qd, len).ok() } else { None };
            let pushed = match shared {
                Some(mut buf) => {
                    if let Some(bytes) = buf.get_mut() {
                        fill(bytes, 1, 1);
                    }
                    libos.push(qd, buf)
                }
                None => libos.push(qd, &message(len, 1, 1)[..]),
            };
            match pushed {
                Ok(_) => pushes += 1,
                Err(_) => break,
            }
        }
        for _ in pops..4 {
            let popped = match random.below(3) {
                0 => libos.pop_in_place(qd),
                1 => libos.pop(qd, Some(random.length(3000))),
                _ => libos.pop(qd, None),
            };
            match popped {
                Ok(_) => pops += 1,
                Err(_) => break,
            }
        }
        if libos.wait_next_n(&mut out, 16, Some(Duration::from_millis(2))).is_err() {
            continue;
        }
        result = OTHER;
        for completion in out.drain(..) {
            match completion.outcome {
                Outcome::Push => pushes -= 1,
                Outcome::Pop(popped) => {
                    pops -= 1;
                    got += 1;
                    if popped.is_empty() {
                        result = ENDED;
                        break 'round;
                    }
                    spoilt |= popped.to_vec() != message(popped.len(), 1, 1);
                    held.push(popped);
                    if held.len() > 6 {
                        held.swap_remove(random.below(6) as usize);
                    }
                }
                Outcome::Failed(error) => {
                    result = match error.errno() {
                        Errno::PROTO => BROKEN,
                        Errno::CONNRESET => RESET,
                        Errno::PIPE => ENDED,
                        Errno::NOBUFS | Errno::MSGSIZE => {
                            pops = pops.saturating_sub(1);
                            continue;
                        }
                        other => panic!("{other:?} after {got} messages"),
                    };
                    break 'round;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    let count = |word: usize| context.board.word(word).fetch_add(1, Ordering::AcqRel);
    count(result);
    if spoilt {
        count(SPOILT);
    }
    let closed = libos.close(qd).unwrap();
    libos.wait(closed, Some(Duration::from_secs(5))).unwrap();
    drop(held);
    // What was pending has ended with the close.
    while libos.wait_next_n(&mut out, 64, Some(Duration::ZERO)).is_ok() {
        out.clear();
    }
}

/// The newest segment of another process, by the descriptor that it keeps until somebody has opened.
fn segment(process: u64) -> File {
    let folder = format!("/proc/{process}/fd");
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if std::fs::read_link(&path).is_ok_and(|target| target.to_string_lossy().starts_with("/memfd:")) {
            return File::options().read(true).write(true).open(path).unwrap();
        }
    }
    panic!("process {process} has no segment");
}

fn intruder(context: &Context) {
    let mut random = context.random();
    let process = context.board.wait(SERVER, 1);
    for round in 1..=ROUNDS {
        context.board.wait(MADE, round);
        let file = segment(process);
        assert_eq!(file.metadata().unwrap().len(), LEN as u64);
        // SAFETY: a new mapping; the segment is sealed, so it keeps its length.
        let base = unsafe {
            mmap(core::ptr::null_mut(), LEN, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, &file, 0).unwrap()
        };
        drop(file);
        context.board.set(MAPPED, round);
        // Each round has its own manner: everywhere, the control page, the headers of the rings; rarely or all the time.
        let (from, to) = [(0, LEN), (0, 4096), (128, 640), (4096, 4096 + 2 * 8192)][random.below(4) as usize];
        let pause = [0, 1_000, 20_000, 200_000][random.below(4) as usize];
        let end = now() + ROUND;
        while now() < end && context.board.get(CLIENT_DONE) < round {
            let at = (from + random.below((to - from) as u64) as usize) & !7;
            // SAFETY: inside the mapping, aligned; others use it as atomics or copy it.
            let word = unsafe { base.cast::<AtomicU64>().byte_add(at).as_ref().unwrap() };
            let value = match random.below(6) {
                0 => random.next(),
                1 => word.load(Ordering::Relaxed) ^ 1 << random.below(64),
                2 => random.below(8) << 32 | random.below(1 << 14),
                3 => word.load(Ordering::Relaxed).wrapping_add(random.below(64)).wrapping_sub(32),
                4 => u64::MAX,
                _ => random.below(1 << 14),
            };
            word.store(value, Ordering::Relaxed);
            if pause != 0 {
                sleep(pause);
            }
        }
        // SAFETY: mapped above, and no word of it is used any more.
        unsafe { munmap(base, LEN).unwrap() };
    }
}

#[test]
fn corrupted_segment_hurts_nobody() {
    let report = pair!()
        .server(|context| {
            let mut libos = context.libos_with(|config| {
                config.catmem.ring = 8192;
                config.catmem.slot = 4096;
                config.catmem.slots = 4;
            });
            let mut random = context.random();
            for round in 1..=ROUNDS {
                let qd = libos.create_pipe("target").unwrap();
                context.board.set(SERVER, std::process::id().into());
                context.board.set(MADE, round);
                context.board.wait(MAPPED, round);
                traffic(context, &mut libos, qd, &mut random);
                context.board.set(SERVER_DONE, round);
                context.board.wait(CLIENT_DONE, round);
            }
            assert_eq!(libos.queues(), 0);
        })
        .client(|context| {
            let mut libos = context.libos();
            let mut random = context.random();
            for round in 1..=ROUNDS {
                context.board.wait(MAPPED, round);
                if let Ok(qd) = libos.open_pipe("target") {
                    traffic(context, &mut libos, qd, &mut random);
                }
                context.board.wait(SERVER_DONE, round);
                context.board.set(CLIENT_DONE, round);
            }
            assert_eq!(libos.queues(), 0);
        })
        .intruder(intruder)
        .run();
    let counts: Vec<u64> = (COUNTED..COUNTED + 6).map(|word| report.board.get(word)).collect();
    println!("EPROTO, ECONNRESET, end, spoilt messages, stalled, went on: {counts:?}");
    assert!(counts[0] > 0, "the nonsense was never found");
}
