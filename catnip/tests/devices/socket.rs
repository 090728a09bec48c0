// SPDX-License-Identifier: MIT OR Apache-2.0
//! The wire over Unix sockets.

use crate::{all, frame, pools, receive, send};
use catnip::device::socket::Socket;
use runtime::Errno;
use runtime::buf::{Classes, Pools, Sga};
use runtime::device::{BURST_FRAMES_MAX, Burst, Device, Frame};
use std::os::unix::net::UnixDatagram;

fn pair(folder: &tempfile::TempDir) -> (Socket, Socket) {
    let at = |name| folder.path().join(name);
    let end = |own, other| Socket::open(&at(own), &at(other), 1500, pools()).unwrap();
    (end("a", "b"), end("b", "a"))
}

#[test]
fn frames_of_every_length_pass_both_ways() {
    let folder = tempfile::tempdir().unwrap();
    let (mut near, mut far) = pair(&folder);
    let pools = pools();
    for len in 14..=1518 {
        let bytes: Vec<u8> = (0..len).map(|at| (at * 7 + len) as u8).collect();
        // In one piece, and in many.
        let mut data = Sga::new();
        for piece in bytes.chunks(bytes.len().div_ceil(1 + len % 5)) {
            data.push_back(pools.alloc_copy(piece).unwrap()).unwrap();
        }
        send(&mut near, [Frame::from(data)]);
        let (there, came) = receive(&mut far, |_, _| true);
        assert_eq!((came == bytes, there.data.segments()), (true, 1), "{len} bytes");
        send(&mut far, [there]);
        assert!(receive(&mut near, |_, _| true).1 == bytes, "{len} bytes back");
    }
    let (one, other) = (near.counters(), far.counters());
    assert_eq!((one.sent, one.sent_bytes), (other.received, other.received_bytes));
    assert_eq!((one.sent, one.receive_drops, one.send_drops), (1505, 0, 0));
}

#[test]
fn what_has_no_room_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (mut near, mut far) = pair(&folder);
    let pools = pools();
    let mut burst = Burst::new();
    let mut number = 0_u32;
    // Until the kernel's queue is full.
    let full = (0..1000).any(|_| {
        while !burst.is_full() {
            burst.push(frame(&pools, &[&[0; 20][..], &number.to_be_bytes()].concat())).unwrap();
            number += 1;
        }
        near.tx(&mut burst).unwrap();
        !burst.is_empty()
    });
    assert!(full, "the queue has no bound");
    let (mut came, mut back) = (0, Burst::new());
    while came < number {
        far.rx(&mut back).unwrap();
        assert!(!back.is_empty(), "{came} of {number} have come");
        while let Some(frame) = back.pop() {
            assert_eq!(frame.data.to_vec()[20..], came.to_be_bytes(), "in order, and none is missing");
            came += 1;
        }
        near.tx(&mut burst).unwrap();
    }
    assert_eq!((near.counters().sent, near.counters().send_drops), (number.into(), 0));
}

#[test]
fn frames_to_nobody_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (mut near, far) = pair(&folder);
    drop(far);
    let pools = pools();
    send(&mut near, (0..10).map(|_| frame(&pools, &[1; 60])));
    assert_eq!((near.counters().sent, near.counters().send_drops), (0, 10));
    // And come through once somebody is there.
    let mut far = Socket::open(&folder.path().join("b"), &folder.path().join("a"), 1500, pools.clone()).unwrap();
    send(&mut near, [frame(&pools, &[2; 60])]);
    assert_eq!(receive(&mut far, |_, _| true).1, [2; 60]);
}

#[test]
fn too_long_frames_are_dropped_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (mut near, far) = pair(&folder);
    drop(far);
    let other = UnixDatagram::bind(folder.path().join("b")).unwrap();
    for len in [1519, 1518, 9000] {
        other.send_to(&vec![5; len], folder.path().join("a")).unwrap();
    }
    assert_eq!(all(&mut near, 5), [vec![5; 1518]]);
    assert_eq!((near.counters().received, near.counters().receive_drops), (1, 2));
}

#[test]
fn without_buffers_frames_are_dropped_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let few = Classes { small_count: 2, large_count: 1, ..Classes::default() };
    let at = |name| folder.path().join(name);
    let mut near = Socket::open(&at("a"), &at("b"), 1500, Pools::new(&few).unwrap()).unwrap();
    let other = UnixDatagram::bind(at("b")).unwrap();
    for number in 0..5_u8 {
        other.send_to(&[number; 60], at("a")).unwrap();
    }
    let mut held = Burst::new();
    near.rx(&mut held).unwrap();
    assert_eq!((held.len(), near.counters().receive_drops), (2, 3));
    held.pop();
    other.send_to(&[9; 60], at("a")).unwrap();
    assert_eq!(receive(&mut near, |_, _| true).1, [9; 60]);
}

/// However many frames there are to be dropped, a look ends.
#[test]
fn a_look_drops_so_many_only() {
    let few = Classes { small_count: 1, large_count: 1, ..Classes::default() };
    // They are too long, or there is no buffer for them.
    for (len, buffers) in [(9000, 1), (60, 0)] {
        let folder = tempfile::tempdir().unwrap();
        let at = |name| folder.path().join(name);
        let pools = Pools::new(&few).unwrap();
        let _held = (buffers == 0).then(|| pools.alloc(60).unwrap());
        let mut near = Socket::open(&at("a"), &at("b"), 1500, pools.clone()).unwrap();
        let other = UnixDatagram::bind(at("b")).unwrap();
        other.set_nonblocking(true).unwrap();
        let mut burst = Burst::new();
        let sent = (0..200).filter(|_| other.send_to(&vec![5; len], at("a")).is_ok()).count() as u64;
        let mut looks = 0;
        while near.counters().receive_drops < sent {
            near.rx(&mut burst).unwrap();
            looks += 1;
            assert!(looks <= sent && near.counters().receive_drops <= looks * BURST_FRAMES_MAX as u64);
        }
        assert!(burst.is_empty());
    }
}

#[test]
fn paths_are_taken_replaced_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let open = |own: &str| Socket::open(&at(own), &at("b"), 1500, pools());
    let first = open("a").unwrap();
    assert_eq!(open("a").err().unwrap().errno(), Errno::ADDRINUSE);
    drop(first);
    assert!(!at("a").exists());
    // A file that somebody left behind who was killed.
    drop(UnixDatagram::bind(at("a")).unwrap());
    assert!(at("a").exists());
    drop(open("a").unwrap());
    // Any other file stays, also behind a link.
    std::fs::write(at("kept"), b"of somebody").unwrap();
    std::os::unix::fs::symlink(at("kept"), at("link")).unwrap();
    for name in ["kept", "link"] {
        assert_eq!(open(name).err().unwrap().errno(), Errno::ADDRINUSE);
        assert_eq!(std::fs::read(at(name)).unwrap(), b"of somebody");
    }
    assert_eq!(Socket::open(&at("a"), &at(&"x".repeat(110)), 1500, pools()).err().unwrap().errno(), Errno::NAMETOOLONG);
    assert_eq!(open(&"x".repeat(110)).err().unwrap().errno(), Errno::NAMETOOLONG);
    assert_eq!(open("no/such").err().unwrap().errno(), Errno::NOENT);
}
