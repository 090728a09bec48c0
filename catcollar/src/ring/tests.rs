// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ring alone, with real sockets.

use super::*;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::os::fd::{AsFd, OwnedFd};

const TRIES: u32 = 200;

fn settings() -> Settings {
    Settings {
        entries: 8,
        completions: 16,
        buffers: 16,
        buffer_size: 256,
        sqpoll: None,
        busy_poll: Duration::ZERO,
        registered_sockets: Some(16),
        zero_copy: None,
    }
}

/// A ring of each set of flags that this kernel takes.
fn rings() -> Vec<Ring> {
    (0..STEPS.len()).filter_map(|first| Ring::new(&settings(), first, Features::ALL).ok()).collect()
}

fn pair() -> (OwnedFd, OwnedFd) {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap()
}

/// The next completion, waited for.
fn next(ring: &mut Ring) -> Done {
    for _ in 0..TRIES {
        if let Some(done) = ring.next() {
            return done;
        }
        if ring.is_due() {
            ring.enter();
            continue;
        }
        ring.sleep(Some(Duration::from_millis(100)));
    }
    panic!("no completion came");
}

fn read(fd: &OwnedFd) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    let len = rustix::io::read(fd, &mut bytes[..]).unwrap();
    bytes.truncate(len);
    bytes
}

#[test]
fn messages_are_sent_and_received_on_every_kind_of_ring() {
    let pools = runtime::buf::Pools::new(&runtime::buf::Classes::default()).unwrap();
    let mut seen = Vec::new();
    for mut ring in rings() {
        seen.push(ring.setup());
        let (near, far) = pair();
        ring.provide(Group::Streams, &runtime::buf::Pool::heap(256, 16, 0, 0).unwrap()).unwrap();
        let receiving = ring.receive_many(far.as_fd().into(), 7);
        for round in 0..100_u8 {
            let message = pools.alloc_copy(&[round; 100]).unwrap().into();
            let sending = ring.send(near.as_fd().into(), 3, message, 0, None, false);
            let (mut sent, mut received) = (false, false);
            while !sent || !received {
                let done = next(&mut ring);
                if done.id == sending {
                    assert_eq!((done.kind, done.handle, done.result, done.more), (Kind::Send, 3, 100, false));
                    assert_eq!(ring.message_of(done.memory).len(), 100);
                    sent = true;
                } else {
                    assert_eq!((done.id, done.kind, done.handle), (receiving, Kind::Receive, 7));
                    assert!(done.more);
                    let buf = ring
                        .take_buffer(Group::Streams, done.buffer.unwrap(), usize::try_from(done.result).unwrap())
                        .unwrap();
                    assert_eq!(buf[..], [round; 100]);
                    received = true;
                }
            }
            ring.refill();
        }
        ring.cancel(receiving);
        let done = next(&mut ring);
        assert_eq!((done.id, done.result, done.more), (receiving, -libc::ECANCELED, false));
        assert_eq!(ring.flights.len(), 0);
    }
    assert!(seen.contains(&STEPS[5]), "a ring without flags is always there");
    assert_eq!(pools.stats().map(|stats| stats.in_use), [0; 3]);
}

#[test]
fn parts_and_rests_of_messages_are_sent() {
    let pools = runtime::buf::Pools::new(&runtime::buf::Classes::default()).unwrap();
    let mut ring = Ring::new(&settings(), 0, Features::ALL).unwrap();
    let (near, far) = pair();
    for skip in [0, 1, 3, 5, 6, 8] {
        for zero_copy in [false, true] {
            let mut message = runtime::buf::Sga::new();
            for part in [&b"abc"[..], b"de", b"fghi"] {
                message.push_back(pools.alloc_copy(part).unwrap()).unwrap();
            }
            ring.send(near.as_fd().into(), 0, message, skip, None, zero_copy);
            let done = next(&mut ring);
            if zero_copy {
                // Unix sockets copy anyhow, or refuse.
                if done.result < 0 {
                    assert!(!done.more || next(&mut ring).released);
                    continue;
                }
            }
            assert_eq!(usize::try_from(done.result).unwrap(), 9 - skip);
            assert_eq!(read(&far), b"abcdefghi"[skip..]);
            if done.more {
                assert!(next(&mut ring).released);
            }
        }
    }
    let whole = pools.alloc_copy(b"single").unwrap();
    ring.send(near.as_fd().into(), 0, whole.into(), 4, None, false);
    assert_eq!(next(&mut ring).result, 2);
    assert_eq!(read(&far), b"le");
}

#[test]
fn a_full_queue_keeps_requests_in_order() {
    let pools = runtime::buf::Pools::new(&runtime::buf::Classes::default()).unwrap();
    let mut ring = Ring::new(&settings(), 0, Features::ALL).unwrap();
    let (near, far) = pair();
    // Four times the submission queue, twice the completion queue.
    let mut expected = Vec::new();
    for number in 0..32_u8 {
        ring.send(near.as_fd().into(), 0, pools.alloc_copy(&[number]).unwrap().into(), 0, None, false);
        expected.push(number);
    }
    for _ in 0..32 {
        assert_eq!(next(&mut ring).result, 1);
    }
    assert_eq!(read(&far), expected);
    assert_eq!(ring.flights.len(), 0);
    assert!(ring.counts().enters <= 12, "{:?}", ring.counts());
}

#[test]
fn memory_of_what_is_in_flight_is_back_at_the_end() {
    let pools = runtime::buf::Pools::new(&runtime::buf::Classes::default()).unwrap();
    for mut ring in rings() {
        let (near, far) = pair();
        ring.provide(Group::Streams, &runtime::buf::Pool::heap(256, 16, 0, 0).unwrap()).unwrap();
        ring.receive_many(far.as_fd().into(), 0);
        ring.receive_one(near.as_fd().into(), 0, pools.alloc(100).unwrap());
        let (stuck, _kept) = pair();
        for _ in 0..4 {
            ring.send(stuck.as_fd().into(), 0, pools.alloc(1 << 20).unwrap().into(), 0, None, false);
        }
        ring.enter();
        ring.watch(near.as_fd());
        drop(ring);
        assert_eq!(pools.stats().map(|stats| stats.in_use), [0; 3]);
    }
}

#[test]
fn a_sleep_ends_with_its_time_with_a_completion_and_with_what_is_watched() {
    let mut ring = Ring::new(&settings(), 0, Features::ALL).unwrap();
    ring.sleep(Some(Duration::from_millis(1)));
    assert!(ring.next().is_none());
    let (near, far) = pair();
    ring.watch(far.as_fd());
    ring.sleep(Some(Duration::from_millis(1)));
    assert!(ring.next().is_none());
    let writer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        rustix::io::write(&near, b"x").unwrap();
        near
    });
    let done = next(&mut ring);
    assert_eq!(done.kind, Kind::Watch);
    writer.join().unwrap();
}

#[test]
fn requests_name_a_slot() {
    let pools = runtime::buf::Pools::new(&runtime::buf::Classes::default()).unwrap();
    let mut ring = Ring::new(&settings(), 0, Features::ALL).unwrap();
    let (near, far) = pair();
    let slots: Vec<_> = (0..16).map(|_| ring.register(near.as_fd()).unwrap()).collect();
    assert!(ring.register(far.as_fd()).is_none(), "there are sixteen");
    for slot in slots {
        ring.unregister(Some(slot));
    }
    let (to, from) = (ring.register(near.as_fd()).unwrap(), ring.register(far.as_fd()).unwrap());
    // The number of a slot is no descriptor's: it is found by what is sent through it.
    ring.send(Target::new(near.as_fd(), Some(&to)), 1, pools.alloc_copy(b"slot").unwrap().into(), 0, None, false);
    assert_eq!(next(&mut ring).result, 4);
    ring.receive_one(Target::new(far.as_fd(), Some(&from)), 2, pools.alloc(100).unwrap());
    assert_eq!(next(&mut ring).result, 4);
    // A slot that was emptied has nothing behind it.
    let number = format!("{to:?}");
    ring.unregister(Some(to));
    let again = ring.register(far.as_fd()).unwrap();
    assert_eq!(format!("{again:?}"), number);
}

#[test]
fn memory_is_registered_once_and_found_by_its_address() {
    let pools = runtime::buf::Pools::new(&runtime::buf::Classes::default()).unwrap();
    let mut ring = Ring::new(&settings(), 0, Features::ALL).unwrap();
    let [small, large] = pools.slotted();
    if !ring.register_memory(vec![small.clone(), large.clone()]) {
        println!("ignored: RLIMIT_MEMLOCK allows less than the pools have");
        return;
    }
    let regions = ring.regions.as_ref().unwrap();
    for (len, index) in [(1, Some(0)), (2048, Some(0)), (2049, Some(1)), (65_536, Some(1)), (65_537, None)] {
        assert_eq!(regions.index_of(&pools.alloc(len).unwrap()), index, "{len} bytes");
    }
    let all: Vec<_> = (0..256).map(|_| pools.alloc(65_536).unwrap()).collect();
    assert!(all.iter().all(|buf| regions.index_of(buf) == Some(1)));
    drop(ring);
    drop(all);
}
