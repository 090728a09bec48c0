// SPDX-License-Identifier: MIT OR Apache-2.0
//! In steady state no call of the data path allocates: what it needs has grown to what is in flight, and is used again.
//!
//! The global allocator counts per thread, so that other threads of the test runner do not disturb.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where what it stands on is missing")]

use margay::config::Spin;
use margay::{Completion, Config, Domain, Kind, LibOs, Outcome, Qd, Sga, SocketOption};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

const LIMIT: Option<Duration> = Some(Duration::from_secs(20));
/// Before it is counted, each loop runs so often; then so often again.
const WARM: usize = 3000;
const COUNTED: usize = 20_000;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    /// Bytes that were allocated and not given back.
    static HELD: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

fn count() {
    // A thread that is ending has no counter any more.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

fn hold(more: usize, less: usize) {
    let _ = HELD.try_with(|held| held.set(held.get() + more.cast_signed() - less.cast_signed()));
}

// SAFETY: passes everything on to the system's allocator, unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        hold(layout.size(), 0);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        hold(layout.size(), 0);
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        hold(size, layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        hold(0, layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of this thread while `step` runs in its steady state.
fn allocations(mut step: impl FnMut()) -> u64 {
    (0..WARM).for_each(|_| step());
    let before = ALLOCATIONS.get();
    (0..COUNTED).for_each(|_| step());
    ALLOCATIONS.get() - before
}

fn libos(directory: &tempfile::TempDir, spin: Spin) -> LibOs {
    libos_of("catloop", directory, spin)
}

fn libos_of(name: &str, directory: &tempfile::TempDir, spin: Spin) -> LibOs {
    let mut config = Config { libos: Some(name.to_owned()), ..Config::default() };
    config.catmem.directory = Some(directory.path().into());
    config.wait.spin = spin;
    LibOs::new(&config).unwrap()
}

/// A LibOs with both ends of a pipe.
fn own_pipe() -> (tempfile::TempDir, LibOs, Qd, Qd) {
    let directory = tempfile::tempdir().unwrap();
    let mut libos = libos(&directory, Spin::For(Duration::from_micros(50)));
    let (made, opened) = (libos.create_pipe("own").unwrap(), libos.open_pipe("own").unwrap());
    (directory, libos, made, opened)
}

fn message(completion: Completion) -> Sga {
    completion.into_message().unwrap()
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), COUNTED as u64);
    let before = HELD.get();
    let (kept, mut grown) = (std::hint::black_box(Box::new(1_u64)), Vec::<u8>::with_capacity(10));
    grown.reserve_exact(100);
    assert_eq!(HELD.get() - before, 108);
    drop((kept, grown));
    assert_eq!(HELD.get(), before);
}

/// LibOs after LibOs, each with a pipe, a message, and an operation that is still pending: no byte stays. What the system's allocator makes of that
/// is its own.
#[test]
fn a_libos_that_ends_leaves_no_memory() {
    for name in ["catloop", "catnap", "catcollar"] {
        let directory = tempfile::tempdir().unwrap();
        let round = || {
            let mut libos = libos_of(name, &directory, Spin::For(Duration::from_micros(50)));
            let (made, opened) = (libos.create_pipe("own").unwrap(), libos.open_pipe("own").unwrap());
            let pushed = libos.push(opened, b"x").unwrap();
            libos.wait(pushed, LIMIT).unwrap().ok().unwrap();
            libos.pop(opened, None).unwrap();
            let popped = libos.pop(made, None).unwrap();
            assert_eq!(message(libos.wait(popped, LIMIT).unwrap()).len(), 1);
        };
        (0..3).for_each(|_| round());
        let before = HELD.get();
        (0..50).for_each(|_| round());
        assert_eq!(HELD.get() - before, 0, "{name}: bytes that fifty have left");
    }
}

#[test]
fn push_pop_and_wait() {
    let (_directory, mut libos, made, opened) = own_pipe();
    for len in [1, 64, 2048, 10_000, 65_000, 200_000] {
        let bytes = vec![7; len];
        let count = allocations_of(len, || {
            let popped = libos.pop(opened, None).unwrap();
            let pushed = libos.push(made, &bytes[..]).unwrap();
            assert_eq!(message(libos.wait(popped, LIMIT).unwrap()).len(), len);
            libos.wait(pushed, LIMIT).unwrap().ok().unwrap();
        });
        // Above the largest pooled buffer each message has a block of its own, at either side.
        let oversize = len > Config::default().buffers.large_size;
        assert!(oversize || count == 0, "{count} allocations for messages of {len} bytes");
    }
}

/// Large messages are slow; fewer of them will do.
fn allocations_of(len: usize, mut step: impl FnMut()) -> u64 {
    let every = len.div_ceil(2048);
    let mut call = 0;
    allocations(|| {
        if call % every == 0 {
            step();
        }
        call += 1;
    })
}

#[test]
fn private_and_shared_memory() {
    let (_directory, mut libos, made, opened) = own_pipe();
    // The handshake.
    let pushed = libos.push(opened, b"x").unwrap();
    let popped = libos.pop(made, None).unwrap();
    message(libos.wait(popped, LIMIT).unwrap());
    libos.wait(pushed, LIMIT).unwrap().ok().unwrap();
    for shared in [false, true] {
        for in_place in [false, true] {
            let count = allocations(|| {
                let mut buf = if shared { libos.alloc_on(made, 5000) } else { libos.alloc(1500) }.unwrap();
                buf.get_mut().unwrap()[0] = 1;
                let pushed = libos.push(made, buf).unwrap();
                let popped =
                    if in_place { libos.pop_in_place(opened) } else { libos.pop(opened, Some(10_000)) }.unwrap();
                assert_eq!(message(libos.wait(popped, LIMIT).unwrap()).iter().next().unwrap()[0], 1);
                libos.wait(pushed, LIMIT).unwrap().ok().unwrap();
            });
            assert_eq!(count, 0, "shared {shared}, in place {in_place}");
        }
    }
}

/// A stream socket that listens.
fn listen(libos: &mut LibOs) -> (Qd, SocketAddr) {
    let listening = libos.socket(Domain::V4, Kind::Stream).unwrap();
    libos.bind(listening, "127.0.0.1:0".parse().unwrap()).unwrap();
    libos.listen(listening, 64).unwrap();
    (listening, libos.local_address(listening).unwrap())
}

/// Both ends of a connection.
fn connection(libos: &mut LibOs) -> [Qd; 2] {
    let (listening, address) = listen(libos);
    let near = libos.socket(Domain::V4, Kind::Stream).unwrap();
    let (accepting, connecting) = (libos.accept(listening).unwrap(), libos.connect(near, address).unwrap());
    libos.wait(connecting, LIMIT).unwrap().ok().unwrap();
    let far = libos.wait(accepting, LIMIT).unwrap().accepted().unwrap();
    let closed = libos.close(listening).unwrap();
    libos.wait(closed, LIMIT).unwrap().ok().unwrap();
    [near, far]
}

/// Pops exactly so many bytes, in whatever pieces they come.
fn pop_bytes(libos: &mut LibOs, qd: Qd, mut len: usize) {
    while len > 0 {
        let popped = libos.pop(qd, Some(len)).unwrap();
        len -= message(libos.wait(popped, LIMIT).unwrap()).len();
    }
}

fn sockets(name: &str) {
    let directory = tempfile::tempdir().unwrap();
    let mut libos = libos_of(name, &directory, Spin::For(Duration::from_micros(50)));
    let [near, far] = connection(&mut libos);
    for len in [1, 64, 2048, 16_384, 50_000] {
        let bytes = vec![7; len];
        let count = allocations_of(len, || {
            let pushed = libos.push(near, &bytes[..]).unwrap();
            pop_bytes(&mut libos, far, len);
            libos.wait(pushed, LIMIT).unwrap().ok().unwrap();
        });
        assert_eq!(count, 0, "streams, {len} bytes");
    }
    // A pop that waits, of the application's own memory, and one that is given up.
    let streams = allocations(|| {
        let popped = libos.pop(far, None).unwrap();
        let mut buf = libos.alloc(64).unwrap();
        buf.get_mut().unwrap()[0] = 1;
        let pushed = libos.push(near, buf).unwrap();
        assert_eq!(message(libos.wait(popped, LIMIT).unwrap()).len(), 64);
        libos.wait(pushed, LIMIT).unwrap().ok().unwrap();
        let popped = libos.pop(far, None).unwrap();
        libos.cancel(popped).unwrap();
        libos.wait(popped, LIMIT).unwrap();
    });

    let server = libos.socket(Domain::V4, Kind::Datagram).unwrap();
    libos.bind(server, "127.0.0.1:0".parse().unwrap()).unwrap();
    let (to, client) = (libos.local_address(server).unwrap(), libos.socket(Domain::V4, Kind::Datagram).unwrap());
    let datagrams = allocations(|| {
        let popped = libos.pop(server, None).unwrap();
        let pushed = libos.push_to(client, &[7; 64], to).unwrap();
        assert_eq!(libos.wait(popped, LIMIT).unwrap().into_datagram().unwrap().len(), 64);
        libos.wait(pushed, LIMIT).unwrap().ok().unwrap();
    });
    assert_eq!((streams, datagrams), (0, 0));
}

#[test]
fn sockets_of_catloop() {
    sockets("catloop");
}

#[test]
fn sockets_of_catnap() {
    sockets("catnap");
}

#[test]
fn sockets_of_catcollar() {
    sockets("catcollar");
}

/// A server with many connections, of which some are active at a time, with one `wait` for all.
fn many_connections(name: &str) {
    const CONNECTIONS: usize = 32;
    let directory = tempfile::tempdir().unwrap();
    let mut libos = libos_of(name, &directory, Spin::For(Duration::from_micros(50)));
    let ends: Vec<[Qd; 2]> = (0..CONNECTIONS).map(|_| connection(&mut libos)).collect();
    for &[_, far] in &ends {
        libos.pop(far, None).unwrap();
    }
    let mut out = Vec::with_capacity(64);
    let mut turn = 0;
    let count = allocations(|| {
        for number in 0..4 {
            libos.push(ends[(turn * 7 + number * 5) % CONNECTIONS][0], &[9; 100]).unwrap();
        }
        turn += 1;
        let (mut pushed, mut bytes) = (0, 0);
        while pushed < 4 || bytes < 400 {
            libos.wait_next_n(&mut out, 64, LIMIT).unwrap();
            for completion in out.drain(..) {
                match completion.outcome {
                    Outcome::Push => pushed += 1,
                    Outcome::Pop(message) => {
                        bytes += message.len();
                        libos.pop(completion.qd, None).unwrap();
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    });
    assert_eq!(count, 0);
}

#[test]
fn many_connections_of_catloop() {
    many_connections("catloop");
}

#[test]
fn many_connections_of_catnap() {
    many_connections("catnap");
}

#[test]
fn many_connections_of_catcollar() {
    many_connections("catcollar");
}

#[test]
fn partial_pops_and_cancel() {
    let (_directory, mut libos, made, opened) = own_pipe();
    let count = allocations(|| {
        let pushed = libos.push(made, &[1; 100]).unwrap();
        for len in [60, 40] {
            let popped = libos.pop(opened, Some(60)).unwrap();
            assert_eq!(message(libos.wait(popped, LIMIT).unwrap()).len(), len);
        }
        libos.wait(pushed, LIMIT).unwrap().ok().unwrap();
        let waiting = libos.pop(opened, None).unwrap();
        libos.cancel(waiting).unwrap();
        libos.wait(waiting, LIMIT).unwrap();
    });
    assert_eq!(count, 0);
}

#[test]
fn every_way_to_wait() {
    let (_directory, mut libos, made, opened) = own_pipe();
    let set = libos.wait_set();
    let mut out = Vec::with_capacity(16);
    let count = allocations(|| {
        let pops: [_; 4] = core::array::from_fn(|_| libos.pop(opened, None).unwrap());
        let pushes: [_; 4] = core::array::from_fn(|_| libos.push(made, &[1; 64]).unwrap());
        libos.add_to_wait_set(&set, pops[2]).unwrap();
        libos.add_to_wait_set(&set, pops[3]).unwrap();
        assert_eq!(libos.wait_any(&pops[..2], LIMIT).unwrap().1.qt, pops[0]);
        libos.wait(pushes[3], LIMIT).unwrap().ok().unwrap();
        let mut taken = 0;
        while taken < 4 {
            taken += libos.wait_next_n(&mut out, 4 - taken, LIMIT).unwrap();
        }
        for completion in out.drain(..) {
            assert!(matches!(completion.outcome, Outcome::Push | Outcome::Pop(_)));
        }
        for qt in &pops[2..] {
            assert_eq!(libos.wait_in_set(&set, LIMIT).unwrap().qt, *qt);
        }
        // One that looks and finds nothing.
        assert!(libos.wait_next_n(&mut out, 1, Some(Duration::ZERO)).is_err());
    });
    assert_eq!(count, 0);
    libos.close_wait_set(set).unwrap();
}

/// One of two that push to each other a window of messages, which may be cut or joined on their way. Gives its allocations.
fn play(mut libos: LibOs, qd: Qd, first: bool) -> u64 {
    const TURNS: usize = 3000;
    // Of a pipe there is nothing to be set.
    let _ = libos.set_option(qd, SocketOption::NoDelay(true));
    let mut out = Vec::with_capacity(64);
    let mut counted = 0;
    for turn in 0..TURNS {
        if turn == TURNS / 3 {
            counted = ALLOCATIONS.get();
        }
        // The first pushes, then both pop and push back. All tables grow to more than they need later.
        let window = if turn < TURNS / 3 { 64 } else { 1 + turn % 16 };
        let mut pushes = 0;
        if first {
            for _ in 0..window {
                libos.push(qd, &[2; 300]).unwrap();
                pushes += 1;
            }
        }
        let mut left = 300 * window;
        while left > 0 {
            let popped = libos.pop(qd, None).unwrap();
            let message = message(libos.wait(popped, LIMIT).unwrap());
            left -= message.len();
            if !first {
                libos.push(qd, message).unwrap();
                pushes += 1;
            }
        }
        while pushes > 0 {
            pushes -= libos.wait_next_n(&mut out, 64, LIMIT).unwrap();
            out.drain(..).for_each(|completion| completion.ok().unwrap());
        }
    }
    let count = ALLOCATIONS.get() - counted;
    // Neither leaves while the other is busy.
    libos.shutdown(qd, Shutdown::Write).unwrap();
    let popped = libos.pop(qd, None).unwrap();
    assert!(message(libos.wait(popped, LIMIT).unwrap()).is_empty());
    count
}

/// Two LibOs on two threads, which sleep for each other.
fn two_threads(spin: Spin) {
    let directory = tempfile::tempdir().unwrap();
    let (made, ready) = std::sync::mpsc::channel();
    let directory = &directory;
    let counts = std::thread::scope(|scope| {
        let server = scope.spawn(|| {
            let mut libos = libos(directory, spin);
            let qd = libos.create_pipe("threads").unwrap();
            made.send(()).unwrap();
            play(libos, qd, false)
        });
        let client = scope.spawn(move || {
            ready.recv_timeout(LIMIT.unwrap()).unwrap();
            let mut libos = libos(directory, spin);
            let qd = libos.open_pipe("threads").unwrap();
            play(libos, qd, true)
        });
        [server.join().unwrap(), client.join().unwrap()]
    });
    assert_eq!(counts, [0, 0]);
}

#[test]
fn two_threads_that_spin() {
    two_threads(Spin::For(Duration::from_micros(50)));
}

#[test]
fn two_threads_that_sleep() {
    two_threads(Spin::For(Duration::ZERO));
}

/// The same with a connection.
fn two_sockets(name: &str, spin: Spin) {
    let directory = tempfile::tempdir().unwrap();
    let (made, ready) = std::sync::mpsc::channel();
    let directory = &directory;
    let counts = std::thread::scope(|scope| {
        let server = scope.spawn(|| {
            let mut libos = libos_of(name, directory, spin);
            let (listening, address) = listen(&mut libos);
            let accepting = libos.accept(listening).unwrap();
            made.send(address).unwrap();
            let qd = libos.wait(accepting, LIMIT).unwrap().accepted().unwrap();
            play(libos, qd, false)
        });
        let client = scope.spawn(move || {
            let address = ready.recv_timeout(LIMIT.unwrap()).unwrap();
            let mut libos = libos_of(name, directory, spin);
            let qd = libos.socket(Domain::V4, Kind::Stream).unwrap();
            let connecting = libos.connect(qd, address).unwrap();
            libos.wait(connecting, LIMIT).unwrap().ok().unwrap();
            play(libos, qd, true)
        });
        [server.join().unwrap(), client.join().unwrap()]
    });
    // In how many pieces a stream comes is a matter of time: a queue may be longer than ever once more, but not often.
    assert!(counts.iter().all(|&count| count <= 8), "{counts:?} allocations for thousands of messages on {name}");
}

#[test]
fn two_sockets_that_spin() {
    for name in ["catloop", "catnap", "catcollar"] {
        two_sockets(name, Spin::For(Duration::from_micros(50)));
    }
}

#[test]
fn two_sockets_that_sleep() {
    for name in ["catloop", "catnap", "catcollar"] {
        two_sockets(name, Spin::For(Duration::ZERO));
    }
}
