// SPDX-License-Identifier: MIT OR Apache-2.0
//! In steady state a datagram costs the stack no allocation, in or out, in either family, in fragments or to itself; nor does a
//! packet that is dropped, nor a message over a stream, with its acknowledgments. The global allocator counts per thread.

#![allow(clippy::unwrap_used, reason = "a test ends where what it stands on is missing")]

use core::task::Poll;
use core::time::Duration;
use network::keyed::Secret;
use network::stack::{Config, SocketId, Stack, StreamId};
use network::wire::MacAddress;
use runtime::buf::{Classes, Pools, Sga};
use runtime::device::{Caps, Frame};
use runtime::socket::Domain;
use runtime::time::Time;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    /// Bytes that were asked for and not given back.
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: passes everything on to the system's allocator, unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that is ending has no counter any more.
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        let _ = BYTES.try_with(|bytes| bytes.set(bytes.get().wrapping_add(layout.size())));
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        let _ = BYTES.try_with(|bytes| bytes.set(bytes.get().wrapping_sub(layout.size())));
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Host {
    stack: Stack,
    pools: Pools,
    socket: SocketId,
}

fn host(number: u8) -> Host {
    let caps = Caps { mtu: 1500, headroom: 0, checksum: false, segments_tcp: false, segments_udp: false };
    let mut config = Config::new(MacAddress([2, 0, 0, 0, 0, number]), caps, Secret([number; 16]));
    config.addresses =
        vec![format!("10.0.0.{number}/24").parse().unwrap(), format!("fd00::{number}/64").parse().unwrap()];
    let pools = Pools::new(&Classes::default()).unwrap();
    let mut stack = Stack::new(config, pools.clone(), Time::ZERO).unwrap();
    let socket = stack.udp_socket(Domain::V6).unwrap();
    stack.bind(socket, "[::]:7".parse().unwrap()).unwrap();
    Host { stack, pools, socket }
}

/// Carries frames both ways, each copied into one buffer as a device would.
fn carry(hosts: &mut [Host; 2], now: Time) {
    for _ in 0..4 {
        for from in 0..2 {
            while let Some(frame) = hosts[from].stack.transmit() {
                let to = &mut hosts[1 - from];
                let data = to.pools.alloc_filled(frame.data.len(), |bytes| {
                    frame.data.copy_to_slice(bytes);
                });
                let data = data.unwrap().into();
                to.stack.receive(Frame { data, checksum: frame.checksum, segmentation: None }, now);
            }
        }
        for host in hosts.iter_mut() {
            host.stack.poll(now);
        }
    }
}

/// Allocations while `to` is sent datagrams of so many bytes in steady state.
fn allocations(to: &str, receiver: usize, len: usize) -> u64 {
    let mut hosts = [host(1), host(2)];
    let (to, bytes) = (to.parse().unwrap(), vec![7; len]);
    let mut now = Time::ZERO;
    let mut before = 0;
    for round in 0..400 {
        if round == 200 {
            before = ALLOCATIONS.with(Cell::get);
        }
        // From time to time, the neighbour has to be looked for anew.
        now += Duration::from_millis(200);
        let mut message: Sga = hosts[0].pools.alloc_copy(&bytes).unwrap().into();
        let socket = hosts[0].socket;
        assert_eq!(hosts[0].stack.send(socket, &mut message, Some(to), now), Poll::Ready(Ok(())));
        carry(&mut hosts, now);
        let host = &mut hosts[receiver];
        while host.stack.woken().is_some() {}
        if to.port() == 7 {
            let Poll::Ready(Ok((_, message))) = host.stack.receive_from(host.socket) else { panic!("it came") };
            assert_eq!(message.len(), len);
        }
    }
    ALLOCATIONS.with(Cell::get) - before
}

#[test]
fn datagrams_cost_no_allocation() {
    for to in ["[::ffff:10.0.0.2]:7", "[fd00::2]:7"] {
        for len in [0, 64, 1400, 9000, 60_000] {
            assert_eq!(allocations(to, 1, len), 0, "{len} bytes to {to}");
        }
    }
}

#[test]
fn datagrams_to_oneself_cost_no_allocation() {
    for len in [64, 9000] {
        assert_eq!(allocations("[fd00::1]:7", 0, len), 0, "{len} bytes");
    }
}

#[test]
fn refused_datagrams_cost_no_allocation() {
    for to in ["[::ffff:10.0.0.2]:9", "[fd00::2]:9"] {
        assert_eq!(allocations(to, 1, 64), 0, "to {to}");
    }
}

const LISTENER: &str = "[::]:80";
/// What an idle connection may take, in bytes, with its place in every table.
const IDLE_MAX: usize = 1024;

/// One connection more between both, as each end has it.
fn connect(hosts: &mut [Host; 2], listener: StreamId, to: &str, now: Time) -> [StreamId; 2] {
    let near = hosts[0].stack.stream_socket(Domain::V6).unwrap();
    hosts[0].stack.stream_connect(near, to.parse().unwrap(), now).unwrap();
    carry(hosts, now);
    assert_eq!(hosts[0].stack.stream_connected(near), Poll::Ready(Ok(())));
    let Poll::Ready(Ok(far)) = hosts[1].stack.stream_accept(listener, now) else { panic!("it was accepted") };
    [near, far]
}

fn listen(host: &mut Host) -> StreamId {
    let listener = host.stack.stream_socket(Domain::V6).unwrap();
    host.stack.stream_bind(listener, LISTENER.parse().unwrap()).unwrap();
    host.stack.stream_listen(listener, 16).unwrap();
    listener
}

/// Bytes that a socket gives out now.
fn popped(host: &mut Host, stream: StreamId, now: Time) -> usize {
    let mut bytes = 0;
    while host.stack.stream_woken().is_some() {}
    while let Poll::Ready(popped) = host.stack.stream_pop(stream, None, now) {
        bytes += popped.unwrap().len();
    }
    bytes
}

/// Allocations while messages of so many bytes go over a connection, there alone or there and back.
fn stream_allocations(to: &str, len: usize, is_answered: bool) -> u64 {
    let mut hosts = [host(1), host(2)];
    let listener = listen(&mut hosts[1]);
    let mut now = Time::ZERO;
    let streams = connect(&mut hosts, listener, to, now);
    let bytes = vec![7; len];
    let mut before = 0;
    for round in 0..600 {
        if round == 300 {
            before = ALLOCATIONS.with(Cell::get);
        }
        // Delayed acknowledgments leave when their time has come, and the neighbour has to be looked for anew.
        now += Duration::from_millis(if round % 3 == 0 { 50 } else { 1 });
        for from in [0, 1].into_iter().filter(|from| *from == 0 || is_answered) {
            let mut message: Sga = hosts[from].pools.alloc_copy(&bytes).unwrap().into();
            let pushed = hosts[from].stack.stream_push(streams[from], &mut message, now);
            assert_eq!(pushed, Poll::Ready(Ok(())), "round {round}");
            let mut got = 0;
            for _ in 0..100 {
                carry(&mut hosts, now);
                got += popped(&mut hosts[1 - from], streams[1 - from], now);
                if got >= len {
                    break;
                }
                now += Duration::from_millis(1);
            }
            assert_eq!(got, len, "round {round}");
        }
    }
    ALLOCATIONS.with(Cell::get) - before
}

#[test]
fn streams_cost_no_allocation() {
    for to in ["[::ffff:10.0.0.2]:80", "[fd00::2]:80"] {
        for len in [1, 64, 1400, 9000, 60_000] {
            for is_answered in [false, true] {
                assert_eq!(stream_allocations(to, len, is_answered), 0, "{len} bytes to {to}, answered: {is_answered}");
            }
        }
    }
}

#[test]
fn an_idle_connection_is_small() {
    const CONNECTIONS: usize = 2048;
    let mut hosts = [host(1), host(2)];
    let listener = listen(&mut hosts[1]);
    let mut now = Time::ZERO;
    let mut before = 0;
    // Tables double: between two powers of two, each connection costs what it costs on the whole.
    for number in 0..2 * CONNECTIONS {
        if number == CONNECTIONS {
            before = BYTES.with(Cell::get);
        }
        let streams = connect(&mut hosts, listener, "[::ffff:10.0.0.2]:80", now);
        for (from, stream) in streams.into_iter().enumerate() {
            let mut message: Sga = hosts[from].pools.alloc_copy(b"hello").unwrap().into();
            assert_eq!(hosts[from].stack.stream_push(stream, &mut message, now), Poll::Ready(Ok(())));
            carry(&mut hosts, now);
            assert_eq!(popped(&mut hosts[1 - from], streams[1 - from], now), 5);
        }
        now += Duration::from_millis(50);
        carry(&mut hosts, now);
    }
    // Both ends are counted.
    let each = (BYTES.with(Cell::get) - before) / CONNECTIONS / 2;
    println!("an idle connection: {each} bytes");
    assert!((200..=IDLE_MAX).contains(&each), "{each} bytes");
}
