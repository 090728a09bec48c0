// SPDX-License-Identifier: MIT OR Apache-2.0
//! Echo servers as an expert writes them by hand, one on epoll and one on io_uring: what Margay's kernel sockets are
//! measured against by `margay bench catcollar catnap`.
//!
//! Both serve the same thing: so many stream connections, on each of which the client sends a request of a fixed size,
//! waits for an answer of that size, and sends the next. A request is read whole before it is answered. Both poll
//! without end, as Margay does in that bench, and both end once every client has closed its connection, or reset it.
//!
//! Nothing here is part of Margay: no crate but the command uses it.

mod allocations;
pub mod epoll;
pub mod io_uring;
mod meter;
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
