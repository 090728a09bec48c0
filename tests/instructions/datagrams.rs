// SPDX-License-Identifier: MIT OR Apache-2.0
//! Datagrams through the network stack alone, in and out over a device that is memory, and through smoltcp in the same way.

use baselines::datagrams::{BURST, Bare, Datagrams, Margay, Smoltcp, frame_len};

const SMALL: usize = 64;
/// As many as a packet of Ethernet has room for, but for a few.
const LARGE: usize = 1460;

fn receive(mut stack: impl Datagrams, size: usize, iterations: u64) {
    for _ in 0..iterations / BURST as u64 {
        assert_eq!(stack.receive(), BURST * size);
    }
}

fn send(mut stack: impl Datagrams, size: usize, iterations: u64) {
    for _ in 0..iterations / BURST as u64 {
        assert_eq!(stack.send(), BURST * frame_len(size));
    }
}

/// From the device to the application: receive, deliver, pop.
pub fn datagram_in(iterations: u64) {
    receive(Margay::new(SMALL).unwrap(), SMALL, iterations);
}

/// From the application to the device: push, transmit.
pub fn datagram_out(iterations: u64) {
    send(Margay::new(SMALL).unwrap(), SMALL, iterations);
}

/// The buffer that a datagram comes in: taken, handed over, given back.
pub fn datagram_in_bare(iterations: u64) {
    receive(Bare::new(SMALL).unwrap(), SMALL, iterations);
}

/// The buffer that a datagram goes out in: taken, filled, handed over, given back.
pub fn datagram_out_bare(iterations: u64) {
    send(Bare::new(SMALL).unwrap(), SMALL, iterations);
}

pub fn large_datagram_in(iterations: u64) {
    receive(Margay::new(LARGE).unwrap(), LARGE, iterations);
}

pub fn large_datagram_out(iterations: u64) {
    send(Margay::new(LARGE).unwrap(), LARGE, iterations);
}

pub fn smoltcp_in(iterations: u64) {
    receive(Smoltcp::new(SMALL).unwrap(), SMALL, iterations);
}

pub fn smoltcp_out(iterations: u64) {
    send(Smoltcp::new(SMALL).unwrap(), SMALL, iterations);
}

pub fn smoltcp_large_in(iterations: u64) {
    receive(Smoltcp::new(LARGE).unwrap(), LARGE, iterations);
}

pub fn smoltcp_large_out(iterations: u64) {
    send(Smoltcp::new(LARGE).unwrap(), LARGE, iterations);
}
