// SPDX-License-Identifier: MIT OR Apache-2.0
//! What Margay is measured against.
//!
//! Echo servers as an expert writes them by hand, one on epoll and one on io_uring, for `margay bench catcollar catnap`.
//! Both serve the same thing: so many stream connections, on each of which the client sends a request of a fixed size,
//! waits for an answer of that size, and sends the next. A request is read whole before it is answered. Both poll
//! without end, as Margay does in that bench, and both end once every client has closed its connection, or reset it.
//!
//! A datagram's way through a network stack, in [`datagrams`], for `margay bench network`: Margay's own, smoltcp, and a loop that
//! only copies; a TCP connection between two stacks of a kind, in [`streams`], and many bytes over one, in [`bulk`]; [`connections`] by their
//! number; loops over [`bytes`]; and, for `margay bench dpdk`, [`rounds`] over devices that give back what they are given.
//!
//! Nothing here is part of Margay: the command uses it, and the test that counts instructions.

mod allocations;
pub mod bulk;
pub mod bytes;
pub mod connections;
pub mod datagrams;
pub mod epoll;
mod hosts;
pub mod io_uring;
mod meter;
pub mod rounds;
pub mod streams;
#[cfg(test)]
mod tests;

pub use allocations::{Counting, allocations};
pub use meter::{Cost, Meter};

/// What a server serves.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// Connections that come, all in all.
    pub connections: usize,
    /// Bytes of a request, and of its answer.
    pub size: usize,
}
