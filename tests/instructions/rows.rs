// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is counted: what the command's bench measures in time, with both ends on one thread.

use margay::config::Spin;
use margay::{Buf, Config, LibOs, Outcome, Qd};
use std::hint::black_box;
use tempfile::TempDir;

/// Both ends, each in a LibOs of its own.
struct Pair {
    writer: LibOs,
    reader: LibOs,
    out: Qd,
    into: Qd,
    _directory: TempDir,
}

fn libos(directory: &TempDir) -> LibOs {
    let mut config = Config::default();
    config.catmem.directory = Some(directory.path().into());
    config.libos = Some("catloop".to_owned());
    config.wait.spin = Spin::Forever;
    LibOs::new(&config).unwrap()
}

fn filled(libos: &mut LibOs, size: usize) -> Buf {
    let mut message = libos.alloc(size).unwrap();
    message.get_mut().unwrap().fill(7);
    message
}

#[inline(always)]
fn push(libos: &mut LibOs, qd: Qd, message: &[u8]) {
    let qt = libos.push(qd, message).unwrap();
    assert!(matches!(libos.wait(qt, None).unwrap().outcome, Outcome::Push));
}

#[inline(always)]
fn pop(libos: &mut LibOs, qd: Qd, len: usize) {
    let qt = libos.pop(qd, None).unwrap();
    assert_eq!(libos.wait(qt, None).unwrap().into_message().unwrap().len(), len);
}

#[inline(always)]
fn pop_in_place(libos: &mut LibOs, qd: Qd, len: usize) {
    let qt = libos.pop_in_place(qd).unwrap();
    let message = libos.wait(qt, None).unwrap().into_message().unwrap();
    assert_eq!(message.len(), len);
    for part in &message {
        black_box(part.as_ptr());
    }
}

impl Pair {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (mut writer, mut reader) = (libos(&directory), libos(&directory));
        let into = reader.create_pipe("pair").unwrap();
        let out = writer.open_pipe("pair").unwrap();
        Self { writer, reader, out, into, _directory: directory }.met()
    }

    /// One message, with which the handshake ends. In this order no step of it has to wait for an event of the kernel: there
    /// are versions of valgrind that do not know `epoll_pwait2(2)`.
    fn met(mut self) -> Self {
        self.reader.poll();
        self.writer.poll();
        push(&mut self.writer, self.out, b"hello");
        pop(&mut self.reader, self.into, 5);
        self
    }
}

/// Push, wait, pop, wait.
pub fn one_thread(iterations: u64) {
    let directory = tempfile::tempdir().unwrap();
    let mut libos = libos(&directory);
    let (made, opened) = (libos.create_pipe("both").unwrap(), libos.open_pipe("both").unwrap());
    let message = filled(&mut libos, 64);
    for _ in 0..iterations {
        push(&mut libos, opened, &message);
        pop(&mut libos, made, 64);
    }
}

/// Messages that wait for their reader, as in a stream.
fn stream(iterations: u64, size: usize, pop: impl Fn(&mut LibOs, Qd, usize)) {
    const BURST: u64 = 40;
    let mut pair = Pair::new();
    let message = filled(&mut pair.writer, size);
    for _ in 0..iterations / BURST {
        for _ in 0..BURST {
            push(&mut pair.writer, pair.out, &message);
        }
        for _ in 0..BURST {
            pop(&mut pair.reader, pair.into, size);
        }
    }
}

/// Messages that lie there when they are popped.
pub fn one_way(iterations: u64) {
    stream(iterations, 64, pop);
}

/// The reader reads where the bytes lie.
pub fn in_place(iterations: u64) {
    stream(iterations, 1024, pop_in_place);
}

/// In the pipe's own memory, without a copy.
pub fn handed_over(iterations: u64) {
    let mut pair = Pair::new();
    for _ in 0..iterations {
        let memory = pair.writer.alloc_on(pair.out, 65536).unwrap();
        let qt = pair.writer.push(pair.out, memory).unwrap();
        assert!(matches!(pair.writer.wait(qt, None).unwrap().outcome, Outcome::Push));
        pop_in_place(&mut pair.reader, pair.into, 65536);
    }
}

/// Each pop is begun before its message is there.
fn ping_pong(mut pair: Pair, iterations: u64) {
    let message = filled(&mut pair.writer, 64);
    let mut asked = pair.reader.pop(pair.into, None).unwrap();
    for _ in 0..iterations {
        push(&mut pair.writer, pair.out, &message);
        let answered = pair.writer.pop(pair.out, None).unwrap();
        assert_eq!(pair.reader.wait(asked, None).unwrap().into_message().unwrap().len(), 64);
        push(&mut pair.reader, pair.into, &message);
        asked = pair.reader.pop(pair.into, None).unwrap();
        assert_eq!(pair.writer.wait(answered, None).unwrap().into_message().unwrap().len(), 64);
    }
}

/// There and back, with each pop begun before its message comes.
pub fn round_trip(iterations: u64) {
    ping_pong(Pair::new(), iterations);
}
