// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connections of Margay's stack by their number: how fast they come and go, and what it costs that there are many, between two
//! stacks with memory for a wire, all in one thread.
//!
//! - [`Visits`]: one after the other, made, accepted, closed by the server, its end read and closed by the client. So the server's
//!   end is remembered (TIME-WAIT), and the client comes back at a port that it has had before, as of a client that calls often.
//! - [`Crowd`]: so many on which nothing happens, and one that works.

mod crowd;
#[cfg(test)]
mod tests;
mod visits;

pub use crowd::Crowd;
pub use visits::Visits;

use std::time::Duration;

/// How far the clock goes on with each step.
const STEP: Duration = Duration::from_micros(10);
