// SPDX-License-Identifier: MIT OR Apache-2.0
//! Closing while the peer still sends: it reads what was pushed and the end all the same, unless the option says to reset it
//! (RFC 9112, 9.6; RFC 2525, 2.17).

use crate::harness::bytes::Stream;
use crate::harness::system::descriptors;
use crate::peer;
use crate::subject::{Subject, accept, close, poll_for, poll_until, push_stream, wait};
use core::time::Duration;
use margay::SocketOption;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

const STEP: usize = 0;
const ANSWER: usize = 1 << 20;

/// A client that does as curl does: it sends and reads at once, and goes on sending until it is told to stop, or all is sent.
/// Gives how the answer has ended.
fn upload_while_reading(stream: &TcpStream, answer: &mut Stream, len: usize) -> Result<(), ErrorKind> {
    let sends = stream.try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        let piece = vec![7; 64 << 10];
        for _ in 0..len / piece.len() {
            if (&sends).write_all(&piece).is_err() {
                return;
            }
        }
    });
    let ended = peer::read_to_the_end(stream, answer);
    stream.shutdown(std::net::Shutdown::Both).unwrap_or(());
    sender.join().unwrap();
    ended
}

/// A server that has seen enough of an upload answers with a megabyte and closes. The client reads all of it, and then the end.
pub fn answered_early(subject: &Subject) {
    const ROUNDS: u64 = 12;
    const UPLOAD: usize = 32 << 20;
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos();
            let listening = side.serve(&mut libos, 4);
            let before = descriptors();
            for round in 0..ROUNDS {
                let qd = accept(&mut libos, listening);
                let popped = libos.pop(qd, None).unwrap();
                assert!(!wait(&mut libos, popped).into_message().unwrap().is_empty());
                // Closed with a pop under way, or without.
                if round % 2 == 0 {
                    libos.pop(qd, None).unwrap();
                }
                push_stream(&mut libos, qd, &mut Stream::new(side.seed + round), ANSWER);
                // What comes is there already, or comes later.
                poll_for(&mut libos, Duration::from_millis(round % 3));
                close(&mut libos, qd);
                side.poll_until(&mut libos, STEP, round + 1);
            }
            // The sockets are left to themselves for some time only.
            poll_until(&mut libos, |_| descriptors() == before);
        })
        .client(|side| {
            for round in 0..ROUNDS {
                let stream = peer::call(side);
                let mut answer = Stream::new(side.seed + round);
                if round % 4 < 2 {
                    assert_eq!(upload_while_reading(&stream, &mut answer, UPLOAD), Ok(()), "round {round}");
                } else {
                    // One that reads nothing before it has sent everything.
                    (&stream).write_all(&vec![7; UPLOAD]).expect("what it sends is read");
                    assert_eq!(peer::read_to_the_end(&stream, &mut answer), Ok(()), "round {round}");
                }
                assert_eq!(answer.at(), ANSWER as u64, "round {round}");
                drop(stream);
                side.board.set(STEP, round + 1);
            }
        })
        .run();
}

/// The same of a LibOs that is dropped: what is there is read away, and the peer has everything.
pub fn dropped_with_something_unread(subject: &Subject) {
    subject
        .pair()
        .server(|side| {
            let (mut libos, qd) = side.served();
            let popped = libos.pop(qd, None).unwrap();
            assert!(!wait(&mut libos, popped).into_message().unwrap().is_empty());
            push_stream(&mut libos, qd, &mut Stream::new(side.seed), 100_000);
            side.board.wait(STEP, 1);
            drop(libos);
            side.board.set(STEP, 2);
        })
        .client(|side| {
            let stream = peer::call(side);
            (&stream).write_all(&[7; 1000]).unwrap();
            let mut first = Stream::new(side.seed);
            peer::read(&stream, &mut first, 1);
            (&stream).write_all(&vec![7; 50_000]).unwrap();
            side.board.set(STEP, 1);
            side.board.wait(STEP, 2);
            assert_eq!(peer::read_to_the_end(&stream, &mut first), Ok(()));
            assert_eq!(first.at(), 100_000);
        })
        .run();
}

/// A peer that neither reads nor ends: the close is done, and the descriptor comes back though it never sends the end.
pub fn a_peer_that_stays(subject: &Subject) {
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos();
            let listening = side.serve(&mut libos, 4);
            let before = descriptors();
            let qd = accept(&mut libos, listening);
            side.board.wait(STEP, 1);
            push_stream(&mut libos, qd, &mut Stream::new(side.seed), 100);
            close(&mut libos, qd);
            assert_eq!(libos.queues(), 1);
            poll_until(&mut libos, |_| descriptors() == before);
            side.board.set(STEP, 2);
        })
        .client(|side| {
            let stream = peer::call(side);
            (&stream).write_all(&[7; 5000]).unwrap();
            side.board.set(STEP, 1);
            side.board.wait(STEP, 2);
            let mut answer = Stream::new(side.seed);
            assert_eq!(peer::read_to_the_end(&stream, &mut answer), Ok(()));
            assert_eq!(answer.at(), 100);
        })
        .run();
}

/// Linger of zero resets, whatever there is.
pub fn zero_resets(subject: &Subject) {
    subject
        .pair()
        .server(|side| {
            let (mut libos, qd) = side.served();
            libos.set_option(qd, SocketOption::Linger(Some(Duration::ZERO))).unwrap();
            side.board.wait(STEP, 1);
            push_stream(&mut libos, qd, &mut Stream::new(side.seed), 100);
            close(&mut libos, qd);
            side.board.set(STEP, 2);
        })
        .client(|side| {
            let stream = peer::call(side);
            (&stream).write_all(&[7; 5000]).unwrap();
            side.board.set(STEP, 1);
            side.board.wait(STEP, 2);
            let error = loop {
                match (&stream).read(&mut [0; 100]) {
                    Ok(0) => panic!("it has ended as if nothing had been"),
                    Ok(_) => {}
                    Err(error) => break error,
                }
            };
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        })
        .run();
}
