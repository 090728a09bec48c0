// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pipes: shared-memory rings between two processes of one user on one host.
//!
//! [`Catmem`] is the transport. Below it, from the outside in: `rendezvous` (how two processes meet and hand over the
//! memory), `pipe` (one end: state and halves), `outbox` and `inbox` (messages to and from records), `arena` (messages
//! by reference), `ring` (records in shared memory), `doorbell` (waking a sleeper), `mapping` and `layout` (the segment).

mod arena;
pub mod doorbell;
pub mod eventfd;
#[cfg(any(fuzzing, all(test, not(loom))))]
pub mod fuzz;
mod handshake;
mod inbox;
pub mod layout;
pub mod mapping;
mod outbox;
mod pipe;
pub mod rendezvous;
pub mod ring;
mod state;
#[cfg(test)]
mod testing;
mod transport;

pub use handshake::Sizes;
pub use transport::{Carries, Catmem, Settings};
