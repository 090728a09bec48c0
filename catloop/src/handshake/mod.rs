// SPDX-License-Identifier: MIT OR Apache-2.0
//! How two sockets come to be connected: pure state machines of both sides, and what goes between them.
//!
//! ```text
//!   connector                                  listener's LibOs
//!   connect(2) to the name's socket   ──▶      accept(2), uid checked
//!   Request                           ──▶      room in the backlog? memory is made
//!   mapped; connected                 ◀──      Hello with the memory, or a refusal
//! ```
//!
//! What always holds: neither side blocks or waits without a bound; what the other says is checked before it is used.

pub mod acceptor;
pub mod connector;
mod message;
#[cfg(test)]
mod tests;

pub use acceptor::{Acceptor, BacklogFull, Verdict};
pub use connector::{Action, Connector};
pub use message::Request;
