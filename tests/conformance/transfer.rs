// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is pushed arrives: every byte, once, in order, whatever the sizes and however much is under way. Boundaries of
//! messages are nothing that a stream promises, so bytes are compared.

use crate::harness::bytes::Stream;
use crate::harness::{LIMIT, Random, Role, done, pop_message, push_message};
use crate::subject::{
    Side, Subject, accept, close, poll_until, pop, pop_rest, pop_stream, push_stream, read_end, wait,
};
use core::time::Duration;
use margay::{LibOs, Outcome, Qd, Qt, Sga};
use std::collections::VecDeque;
use std::net::Shutdown;

const STEP: usize = 0;

/// Lengths of one push: around every bound that a back end may have.
const LENGTHS: [usize; 18] = [
    1,
    2,
    7,
    64,
    1460,
    2048,
    4095,
    8193,
    16_384,
    65_535,
    65_536,
    65_537,
    100_000,
    262_144,
    1 << 20,
    5_000_003,
    (16 << 20) - 1,
    16 << 20,
];

/// The next `len` bytes of a stream in so many segments.
fn segments(libos: &mut LibOs, stream: &mut Stream, len: usize, count: usize) -> Sga {
    let mut message = Sga::new();
    for index in 0..count {
        // All lengths differ a little, and together they are `len`.
        let (from, to) = (len * index / count, len * (index + 1) / count);
        let mut segment = libos.alloc(to - from).unwrap();
        stream.fill(segment.get_mut().unwrap());
        message.push_back(segment).unwrap();
    }
    message
}

/// One push of 1 B to 16 MiB in 1 to 64 segments.
pub fn every_length_and_segments(subject: &Subject) {
    const COUNTS: [usize; 6] = [1, 2, 3, 16, 63, 64];
    fn cases() -> impl Iterator<Item = (usize, usize)> {
        LENGTHS.into_iter().enumerate().flat_map(|(index, len)| {
            // Large ones not with every number of segments: each number is had often enough.
            let counts = if len <= 100_000 { &COUNTS[..] } else { &COUNTS[index % 3..][..2] };
            counts
                .iter()
                .filter(move |&&count| count <= len)
                .map(move |&count| (len, count))
                .chain((len > 100_000).then_some((len, 64)))
        })
    }
    subject
        .pair()
        .server(|side| {
            let (mut libos, qd) = side.served();
            let mut stream = Stream::new(side.seed);
            for (len, _) in cases() {
                pop_stream(&mut libos, qd, &mut stream, len);
            }
            read_end(&mut libos, qd);
        })
        .client(|side| {
            let (mut libos, qd) = side.called();
            let mut stream = Stream::new(side.seed);
            for (len, count) in cases() {
                let message = segments(&mut libos, &mut stream, len, count);
                assert_eq!(message.iter().count(), count);
                let qt = libos.push(qd, message).unwrap();
                done(&mut libos, qt);
            }
            close(&mut libos, qd);
            if side.backend.host_goes_with_libos() {
                // When the peer has all of it; the device keeps some to receive into.
                let kept = side.backend.kept_by_device(libos.pool_stats()[0].capacity);
                poll_until(&mut libos, |libos| {
                    libos.pool_stats().map(|stats| stats.in_use).iter().sum::<u32>() <= kept
                });
            } else {
                assert_eq!(libos.pool_stats().map(|stats| stats.in_use), [0; 3], "all buffers are back");
            }
        })
        .run();
}

/// A pop of one byte, of some, and of more than there is: never more than asked for, and never nothing.
pub fn pop_sizes(subject: &Subject) {
    const LEN: usize = 30_000;
    subject
        .pair()
        .server(|side| {
            let (mut libos, qd) = side.served_with(|config| side.narrow(config, 8192));
            let (mut stream, mut random) = (Stream::new(side.seed), side.random());
            while stream.at() < 100 * LEN as u64 {
                let most = [1, random.length(5000), 1 << 20, usize::MAX][random.below(4) as usize];
                let qt = libos.pop(qd, Some(most)).unwrap();
                let popped = wait(&mut libos, qt).into_message().unwrap();
                assert!((1..=most).contains(&popped.len()), "{} bytes of {most}", popped.len());
                stream.check(&popped);
            }
            read_end(&mut libos, qd);
        })
        .client(|side| {
            let (mut libos, qd) = side.called();
            let mut stream = Stream::new(side.seed);
            for _ in 0..100 {
                let mut left = LEN;
                let mut lengths = side.random();
                while left > 0 {
                    let len = lengths.length(LEN).min(left);
                    push_stream(&mut libos, qd, &mut stream, len);
                    left -= len;
                }
            }
            close(&mut libos, qd);
        })
        .run();
}

/// A pop is there before the push, always.
pub fn pop_before_push(subject: &Subject) {
    subject
        .pair()
        .server(|side| {
            let (mut libos, qd) = side.served();
            for round in 0..100 {
                let qt = libos.pop(qd, None).unwrap();
                side.board.set(STEP, round + 1);
                assert_eq!(wait(&mut libos, qt).into_message().unwrap().to_vec(), round.to_le_bytes());
            }
        })
        .client(|side| {
            let (mut libos, qd) = side.called();
            for round in 0..100_u64 {
                side.poll_until(&mut libos, STEP, round + 1);
                push_message(&mut libos, qd, &round.to_le_bytes());
            }
            read_end(&mut libos, qd);
        })
        .run();
}

/// Messages there and back, of every length, as an echo server has them.
pub fn ping_pong(subject: &Subject) {
    subject
        .pair()
        .server(|side| {
            let (mut libos, qd) = side.served();
            loop {
                let message = pop_message(&mut libos, qd);
                if message.is_empty() {
                    break;
                }
                let qt = libos.push(qd, message).unwrap();
                done(&mut libos, qt);
            }
        })
        .client(|side| {
            let (mut libos, qd) = side.called();
            let mut streams = [Stream::new(side.seed), Stream::new(side.seed)];
            for len in LENGTHS {
                for _ in 0..(20_000 / len).clamp(1, 100) {
                    let qt = libos.push(qd, &streams[0].take(len)[..]).unwrap();
                    pop_stream(&mut libos, qd, &mut streams[1], len);
                    done(&mut libos, qt);
                }
            }
            libos.shutdown(qd, Shutdown::Write).unwrap();
            read_end(&mut libos, qd);
        })
        .run();
}

/// A thousand pushes and a thousand pops outstanding at once, each way, through small rings: tokens complete in the order
/// in which they were begun, every token completes, and so do the bytes.
pub fn thousands_outstanding(subject: &Subject) {
    const PUSHES: usize = 10_000;
    const OUTSTANDING: usize = 1000;
    fn both(side: &Side<'_>, libos: &mut LibOs, qd: Qd) {
        let [mine, theirs] = if side.role == Role::Server { [1, 2] } else { [2, 1] };
        let (mut sent, mut got) = (Stream::new(side.seed + mine), Stream::new(side.seed + theirs));
        let (mut lengths, mut expected) = (Random::new(side.seed ^ mine), Random::new(side.seed ^ theirs));
        let total: u64 = (0..PUSHES).map(|_| expected.length(3000) as u64).sum();
        let (mut pushes, mut pops) = (VecDeque::<Qt>::new(), VecDeque::<Qt>::new());
        let (mut begun, mut ends, mut after) = (0, 0, 0);
        let mut out = Vec::with_capacity(64);
        while begun < PUSHES || !pushes.is_empty() || !pops.is_empty() || ends == 0 {
            while begun < PUSHES && pushes.len() < OUTSTANDING {
                pushes.push_back(libos.push(qd, &sent.take(lengths.length(3000))[..]).unwrap());
                begun += 1;
                if begun == PUSHES {
                    libos.shutdown(qd, Shutdown::Write).unwrap();
                }
            }
            while ends == 0 && pops.len() < OUTSTANDING {
                pops.push_back(libos.pop(qd, None).unwrap());
            }
            libos.wait_next_n(&mut out, 64, LIMIT).unwrap();
            for completion in out.drain(..) {
                match completion.outcome {
                    Outcome::Push => assert_eq!(Some(completion.qt), pushes.pop_front(), "pushes complete in order"),
                    Outcome::Pop(message) => {
                        assert_eq!(Some(completion.qt), pops.pop_front(), "pops complete in order");
                        assert_eq!(ends, 0, "nothing comes after the end");
                        ends += u32::from(message.is_empty());
                        got.check(&message);
                    }
                    Outcome::Failed(error) => {
                        assert_eq!(Some(completion.qt), pops.pop_front(), "pops complete in order");
                        assert_eq!((error.errno(), ends), (margay::Errno::PIPE, 1));
                        after += 1;
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        assert_eq!((got.at(), ends), (total, 1));
        assert!(after >= OUTSTANDING - 64, "{after} pops were outstanding behind the end");
    }
    subject
        .pair()
        .server(|side| {
            let (mut libos, qd) = side.served_with(|config| side.narrow(config, 4096));
            both(side, &mut libos, qd);
        })
        .client(|side| {
            let (mut libos, qd) = side.called();
            both(side, &mut libos, qd);
        })
        .run();
}

/// Many pushes under way on many connections at once, all through one wait.
pub fn many_connections_at_once(subject: &Subject) {
    const CONNECTIONS: u64 = 40;
    const LEN: usize = 200_000;
    subject
        .pair()
        .server(|side| {
            let mut libos = side.libos_with(|config| side.narrow(config, 8192));
            let listening = side.serve(&mut libos, 4);
            let qds: Vec<Qd> = (0..CONNECTIONS).map(|_| accept(&mut libos, listening)).collect();
            let mut streams: Vec<Stream> = (0..CONNECTIONS).map(|number| Stream::new(side.seed + number)).collect();
            for _ in 0..3 {
                for &qd in &qds {
                    libos.pop(qd, None).unwrap();
                }
            }
            let mut out = Vec::new();
            let mut open = CONNECTIONS;
            while open > 0 {
                libos.wait_next_n(&mut out, 16, LIMIT).unwrap();
                for completion in out.drain(..) {
                    let index = qds.iter().position(|&qd| qd == completion.qd).unwrap();
                    match completion.outcome {
                        Outcome::Pop(message) if message.is_empty() => {
                            assert_eq!(streams[index].at(), LEN as u64);
                            open -= 1;
                        }
                        Outcome::Pop(message) => {
                            streams[index].check(&message);
                            libos.pop(qds[index], None).unwrap();
                        }
                        Outcome::Failed(error) => assert_eq!(error.errno(), margay::Errno::PIPE),
                        other => panic!("{other:?}"),
                    }
                }
            }
        })
        .client(|side| {
            let mut libos = side.libos();
            let qds: Vec<Qd> = (0..CONNECTIONS).map(|_| side.call(&mut libos)).collect();
            let mut random = side.random();
            let mut streams: Vec<Stream> = (0..CONNECTIONS).map(|number| Stream::new(side.seed + number)).collect();
            let mut pushes = Vec::new();
            while streams.iter().any(|stream| stream.at() < LEN as u64) {
                for (stream, &qd) in streams.iter_mut().zip(&qds) {
                    let len = random.length(9000).min(LEN - stream.at() as usize);
                    if len > 0 {
                        pushes.push(libos.push(qd, &stream.take(len)[..]).unwrap());
                        if stream.at() == LEN as u64 {
                            libos.shutdown(qd, Shutdown::Write).unwrap();
                        }
                    }
                }
                if pushes.len() > 200 {
                    pushes.drain(..).for_each(|qt| done(&mut libos, qt));
                }
            }
            pushes.drain(..).for_each(|qt| done(&mut libos, qt));
            for qd in qds {
                read_end(&mut libos, qd);
            }
        })
        .run();
}

/// Memory that the connection itself has, filled here and read in place there.
pub fn without_a_copy(subject: &Subject) {
    const FRAMES: usize = 2000;
    subject
        .pair()
        .server(|side| {
            let (mut libos, qd) = side.served();
            let (mut stream, mut held) = (Stream::new(side.seed), VecDeque::new());
            loop {
                let qt = libos.pop_in_place(qd).unwrap();
                let message = wait(&mut libos, qt).into_message().unwrap();
                if message.is_empty() {
                    break;
                }
                stream.check(&message);
                held.push_back(message);
                if held.len() > 2 {
                    held.pop_front();
                }
            }
            assert_eq!(stream.at(), 20_000 * FRAMES as u64);
        })
        .client(|side| {
            let (mut libos, qd) = side.called();
            let mut stream = Stream::new(side.seed);
            for _ in 0..FRAMES {
                let mut frame = match libos.alloc_on(qd, 20_000) {
                    Ok(frame) => frame,
                    // All are out, or this back end has none.
                    Err(error) => {
                        assert!([margay::Errno::NOBUFS, margay::Errno::NOTSUP].contains(&error.errno()), "{error}");
                        libos.alloc(20_000).unwrap()
                    }
                };
                stream.fill(frame.get_mut().unwrap());
                let qt = libos.push(qd, frame).unwrap();
                done(&mut libos, qt);
            }
            libos.shutdown(qd, Shutdown::Write).unwrap();
            assert!(pop(&mut libos, qd).is_empty());
        })
        .deadline(Duration::from_mins(2))
        .run();
}

/// The buffers of a message are not the reader's: it can keep what it popped while much else comes.
pub fn what_was_popped_stays(subject: &Subject) {
    subject.alone(|side| {
        let (mut libos, [near, far]) = side.both_ends_with(|config| side.narrow(config, 8192));
        let mut sent = Stream::new(side.seed);
        let mut kept = Vec::new();
        for _ in 0..200 {
            let qt = libos.push(near, &sent.take(1500)[..]).unwrap();
            let mut len = 0;
            while len < 1500 {
                let popped = pop(&mut libos, far);
                len += popped.len();
                kept.push(popped);
            }
            done(&mut libos, qt);
        }
        close(&mut libos, near);
        read_end(&mut libos, far);
        close(&mut libos, far);
        let mut got = Stream::new(side.seed);
        for message in &kept {
            got.check(message);
        }
        assert_eq!(got.at(), sent.at());
    });
}

/// What was sent by a side that has gone is read to its end.
pub fn more_than_the_ring_before_the_end(subject: &Subject) {
    subject
        .pair()
        .server(|side| {
            let (mut libos, qd) = side.served_with(|config| side.narrow(config, 4096));
            let mut stream = Stream::new(side.seed);
            pop_rest(&mut libos, qd, &mut stream, 1_000_000);
        })
        .client(|side| {
            let (mut libos, qd) = side.called();
            let mut stream = Stream::new(side.seed);
            push_stream(&mut libos, qd, &mut stream, 1_000_000);
            close(&mut libos, qd);
        })
        .run();
}
