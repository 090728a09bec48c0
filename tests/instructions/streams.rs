// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages over an established TCP connection between two stacks in memory, and between two of smoltcp in the same way. Counted is
//! what the stacks and the application do; the wire, which copies each frame, and the look at the clock are not.

use baselines::streams::{Margay, Smoltcp, Streams};

const SMALL: usize = 64;
/// As many bytes as an Ethernet frame has room for behind IPv4, TCP and timestamps.
const FULL: usize = 1448;

/// A message one way, pushed and popped, and what acknowledges it.
fn one_way(mut streams: impl Streams, size: usize, iterations: u64) {
    for _ in 0..iterations {
        assert_eq!(streams.message(0), size);
    }
}

pub fn stream_message(iterations: u64) {
    one_way(Margay::new(SMALL).unwrap(), SMALL, iterations);
}

/// The same again: each row is a program of its own.
pub use {stream_message as stream_in, stream_message as stream_out};

/// One there and one back, each of which acknowledges the other.
pub fn stream_round_trip(iterations: u64) {
    let mut streams = Margay::new(SMALL).unwrap();
    for _ in 0..iterations {
        assert_eq!(streams.round_trip(), 2 * SMALL);
    }
}

pub fn stream_full_message(iterations: u64) {
    one_way(Margay::new(FULL).unwrap(), FULL, iterations);
}

pub fn smoltcp_message(iterations: u64) {
    one_way(Smoltcp::new(SMALL).unwrap(), SMALL, iterations);
}

pub fn smoltcp_full_message(iterations: u64) {
    one_way(Smoltcp::new(FULL).unwrap(), FULL, iterations);
}
