// SPDX-License-Identifier: MIT OR Apache-2.0
//! The smallest windows, the largest pushes, and memory that the kernel still reads when its socket is closed.

use crate::harness::bytes::Stream;
use crate::harness::done;
use crate::peer;
use crate::subject::{
    Side, Subject, accept, close, poll_for, poll_until, pop_rest, pop_stream, push_stream, read_end, wait,
};
use core::time::Duration;
use margay::{Errno, LibOs, Outcome, Qd, Qt, SocketOption};
use std::io::{ErrorKind, Read};
use std::net::Shutdown;

const STEP: usize = 0;
/// Bytes whose push has completed.
const PUSHED: usize = 1;
/// Rounds for which somebody listens.
const SERVES: usize = 2;

/// A peer that has the smallest window there is, and reads byte by byte; then the same the other way round.
pub fn windows_of_a_byte(subject: &Subject) {
    const SLOW: usize = 3000;
    const LEN: usize = 120_000;
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos();
            let listening = side.serve(&mut libos, 1);
            libos.set_option(listening, SocketOption::ReceiveBuffer(1)).unwrap();
            let qd = accept(&mut libos, listening);
            let mut stream = Stream::new(side.seed);
            let pushes: Vec<Qt> = (0..LEN / 1000).map(|_| libos.push(qd, &stream.take(1000)[..]).unwrap()).collect();
            for qt in pushes {
                done(&mut libos, qt);
            }
            let mut stream = Stream::new(side.seed + 1);
            for _ in 0..SLOW {
                pop_stream(&mut libos, qd, &mut stream, 1);
            }
            pop_rest(&mut libos, qd, &mut stream, LEN - SLOW);
        })
        .client(|side| {
            let stream = peer::connect_narrow(side.announced());
            let mut theirs = Stream::new(side.seed);
            for _ in 0..SLOW {
                peer::read(&stream, &mut theirs, 1);
            }
            peer::read(&stream, &mut theirs, LEN - SLOW);
            peer::write(&stream, &mut Stream::new(side.seed + 1), LEN);
            stream.shutdown(Shutdown::Write).unwrap();
            assert_eq!((&stream).read(&mut [0]).unwrap(), 0);
        })
        .run();
}

/// One push of 64 MiB arrives, and so do 64 MiB from a peer.
pub fn sixty_four_mebibytes(subject: &Subject) {
    const LEN: usize = 64 << 20;
    subject
        .pair()
        .deadline(Duration::from_mins(2))
        .server(|side| {
            let (mut libos, qd) = side.served();
            push_stream(&mut libos, qd, &mut Stream::new(side.seed), LEN);
            pop_stream(&mut libos, qd, &mut Stream::new(side.seed + 1), LEN);
            libos.shutdown(qd, Shutdown::Write).unwrap();
            read_end(&mut libos, qd);
            close(&mut libos, qd);
            crate::assert_buffers_are_back(&libos);
        })
        .client(|side| {
            let stream = peer::call(side);
            let mut theirs = Stream::new(side.seed);
            let mut mine = Stream::new(side.seed + 1);
            for _ in 0..LEN >> 20 {
                peer::read(&stream, &mut theirs, 1 << 20);
            }
            for _ in 0..LEN >> 20 {
                peer::write(&stream, &mut mine, 1 << 20);
            }
            peer::read_to_the_end(&stream, &mut theirs).unwrap();
            assert_eq!(theirs.at(), LEN as u64);
        })
        .run();
}

/// Sends without a copy of so many bytes and more.
fn zero_copy(side: &Side<'_>) -> LibOs {
    side.libos_with(|config| {
        config.catnap.zero_copy = Some(4096);
        config.catcollar.zero_copy = Some(4096);
    })
}

const PIECE: usize = 32 << 10;
const PIECES: usize = 200;

/// More than there is room for, of memory of the LibOs.
fn push_pieces(libos: &mut LibOs, qd: Qd, stream: &mut Stream) -> Vec<Qt> {
    let mut pushes = Vec::new();
    for _ in 0..PIECES {
        let mut buf = libos.alloc(PIECE).unwrap();
        stream.fill(buf.get_mut().unwrap());
        pushes.push(libos.push(qd, buf).unwrap());
    }
    pushes
}

/// Whatever memory is free is written over.
fn write_over_free_memory(libos: &mut LibOs) {
    let mut all = Vec::new();
    while let Ok(mut buf) = libos.alloc(PIECE) {
        buf.get_mut().unwrap().fill(0xff);
        all.push(buf);
        if all.len() == 2 * PIECES {
            break;
        }
    }
}

/// A peer that reads when it may, and takes nothing but a beginning of the stream that has all that was pushed.
fn late_reader(side: &Side<'_>, rounds: u64) {
    for round in 0..rounds {
        side.board.wait(SERVES, round + 1);
        let stream = peer::call(side);
        side.board.wait(STEP, 2 * round + 1);
        let mut theirs = Stream::new(side.seed + round);
        let end = peer::read_to_the_end(&stream, &mut theirs);
        assert!(matches!(end, Ok(()) | Err(ErrorKind::ConnectionReset)), "{end:?}");
        let pushed = side.board.get(PUSHED);
        assert!(end.is_err() || theirs.at() >= pushed, "{} bytes of {pushed} have come", theirs.at());
        println!("round {round}: {} bytes, {pushed} pushed, {end:?}", theirs.at());
        side.board.set(STEP, 2 * round + 2);
    }
}

/// A socket is closed while the kernel still sends from memory of the application: each token ends, the peer reads what
/// was pushed and nothing else, and the memory comes back.
pub fn closed_with_sends_under_way(subject: &Subject) {
    const ROUNDS: u64 = 5;
    subject
        .pair()
        .server(|side| {
            let mut libos = zero_copy(side);
            let listening = side.serve(&mut libos, 1);
            side.board.set(SERVES, ROUNDS);
            for round in 0..ROUNDS {
                let qd = accept(&mut libos, listening);
                let pushes = push_pieces(&mut libos, qd, &mut Stream::new(side.seed + round));
                poll_for(&mut libos, Duration::from_millis(round * 5));
                let closed = libos.close(qd).unwrap();
                let mut pushed = 0;
                for qt in pushes {
                    match wait(&mut libos, qt).outcome {
                        Outcome::Push => pushed += PIECE as u64,
                        Outcome::Failed(error) => assert_eq!(error.errno(), Errno::CANCELED),
                        other => panic!("{other:?}"),
                    }
                }
                write_over_free_memory(&mut libos);
                side.board.set(PUSHED, pushed);
                side.board.set(STEP, 2 * round + 1);
                assert!(matches!(wait(&mut libos, closed).outcome, Outcome::Close));
                poll_for(&mut libos, Duration::from_millis(1));
                write_over_free_memory(&mut libos);
                side.poll_until(&mut libos, STEP, 2 * round + 2);
                poll_until(&mut libos, |libos| libos.pool_stats().iter().all(|stats| stats.in_use <= 1));
                assert_eq!(libos.queues(), 1);
            }
        })
        .client(|side| late_reader(side, ROUNDS))
        .run();
}

/// The same with the whole LibOs.
pub fn dropped_with_sends_under_way(subject: &Subject) {
    const ROUNDS: u64 = 5;
    subject
        .pair()
        .server(|side| {
            let before = crate::harness::system::descriptors();
            for round in 0..ROUNDS {
                let mut libos = zero_copy(side);
                let listening = side.serve(&mut libos, 1);
                side.board.set(SERVES, round + 1);
                let qd = accept(&mut libos, listening);
                push_pieces(&mut libos, qd, &mut Stream::new(side.seed + round));
                poll_for(&mut libos, Duration::from_millis(round * 5));
                drop(libos);
                // The next one may get the very same memory.
                let mut libos = side.libos();
                write_over_free_memory(&mut libos);
                side.board.set(STEP, 2 * round + 1);
                side.poll_until(&mut libos, STEP, 2 * round + 2);
                drop(libos);
                assert_eq!(crate::harness::system::descriptors(), before);
            }
        })
        .client(|side| late_reader(side, ROUNDS))
        .run();
}
