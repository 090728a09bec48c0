// SPDX-License-Identifier: MIT OR Apache-2.0
//! All of them do the same: whole bursts, the same bytes, checksums verified and computed, without allocating.

use super::frame::{HEADERS, PEER, datagram, payload};
use super::smoltcp::Memory;
use super::{BURST, Bare, Copy, Datagrams, Margay, Smoltcp, frame_len};
use crate::allocations;
use ::smoltcp::socket::udp::Socket;
use std::task::Poll;

const SIZES: [usize; 4] = [0, 1, 64, 1460];

fn all(size: usize) -> [(&'static str, Box<dyn Datagrams>); 4] {
    [
        ("margay", Box::new(Margay::new(size).expect("memory"))),
        ("smoltcp", Box::new(Smoltcp::new(size).expect("a free port"))),
        ("copy", Box::new(Copy::new(size))),
        ("bare", Box::new(Bare::new(size).expect("memory"))),
    ]
}

#[test]
fn whole_bursts_come_and_go() {
    for size in SIZES {
        for (name, mut stack) in all(size) {
            for _ in 0..3 {
                assert_eq!(stack.receive(), BURST * size, "{name}, {size} B");
                assert_eq!(stack.send(), BURST * frame_len(size), "{name}, {size} B");
            }
        }
    }
}

#[test]
fn neither_way_allocates() {
    for size in SIZES {
        for (name, mut stack) in all(size) {
            // The first ones make queues as long as they need to be.
            stack.receive();
            stack.send();
            let before = allocations();
            for _ in 0..1000 {
                stack.receive();
                stack.send();
            }
            assert_eq!(allocations() - before, 0, "{name}, {size} B");
        }
    }
}

/// What Margay's stack sends, as bytes.
fn sent(margay: &mut Margay) -> Vec<u8> {
    assert!(margay.push());
    margay.stack.transmit().expect("a frame").data.to_vec()
}

/// The payload of the one datagram that has come.
fn taken(margay: &mut Margay) -> Option<Vec<u8>> {
    match margay.stack.receive_from(margay.socket) {
        Poll::Ready(Ok((from, message))) => {
            assert_eq!(from, (PEER.address, PEER.port).into());
            Some(message.to_vec())
        }
        _ => None,
    }
}

/// The same of smoltcp.
fn taken_by_smoltcp(smoltcp: &mut Smoltcp) -> Option<Vec<u8>> {
    let socket = smoltcp.sockets.get_mut::<Socket<'_>>(smoltcp.socket);
    socket.recv().ok().map(|(message, _)| message.to_vec())
}

#[test]
fn both_send_the_same_bytes() {
    for size in SIZES {
        let (mut margay, mut smoltcp) = (Margay::new(size).expect("memory"), Smoltcp::new(size).expect("a port"));
        let ours = sent(&mut margay);
        smoltcp.send();
        let Memory { outgoing, last, .. } = &smoltcp.device;
        let theirs = &outgoing[..*last];
        assert_eq!(ours.len(), theirs.len(), "{size} B");
        for (index, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
            // smoltcp counts its packets' identifications up, and has checksums to match.
            if !(18..20).contains(&index) && !(24..26).contains(&index) {
                assert_eq!(ours, theirs, "{size} B: byte {index}");
            }
        }
        // What either sends the other would take, were it the other's: with the ends exchanged, the checksums stay right.
        let back = turned(&ours);
        margay.take_in(&turned(theirs));
        assert_eq!(taken(&mut margay), Some(payload(size)), "{size} B");
        smoltcp.device.frame = back;
        smoltcp.take_in(1);
        assert_eq!(taken_by_smoltcp(&mut smoltcp), Some(payload(size)), "{size} B");
    }
}

/// The same frame with its ends exchanged, which no checksum sees.
fn turned(frame: &[u8]) -> Vec<u8> {
    let mut turned = frame.to_vec();
    let mut exchange = |one: usize, other: usize, len: usize| {
        for index in 0..len {
            turned.swap(one + index, other + index);
        }
    };
    exchange(0, 6, 6);
    exchange(26, 30, 4);
    exchange(34, 36, 2);
    turned
}

#[test]
fn both_verify_checksums() {
    // A byte of the IP header, of its checksum, of the payload, and of UDP's checksum.
    for at in [22, 24, HEADERS + 63, 40] {
        let mut frame = datagram(64);
        frame[at] ^= 0x10;
        let (mut margay, mut smoltcp) = (Margay::new(64).expect("memory"), Smoltcp::new(64).expect("a port"));
        margay.take_in(&frame);
        assert_eq!(taken(&mut margay), None, "byte {at}");
        assert_eq!(margay.stack.counters().drops(), 1, "byte {at}");
        smoltcp.device.frame = frame;
        smoltcp.take_in(1);
        assert_eq!(taken_by_smoltcp(&mut smoltcp), None, "byte {at}");
    }
}
