// SPDX-License-Identifier: MIT OR Apache-2.0
//! How two processes find each other by a pipe's name, and how the creator hands the memory over.
//!
//! The creator listens on a Unix `SOCK_SEQPACKET` socket, `<name>.pipe`, in a directory that only its user can write.
//! The opener connects and sends an [`OpenRequest`]; the creator answers with a [`Hello`] that carries three
//! descriptors: the sealed memory and two doorbells. From then on the connection carries nothing, and is watched for
//! one event only: that it hangs up, which says at once that the other process is gone.
//!
//! What always holds: both sides know that the other runs under their own uid before they say anything; a message is
//! accepted only whole and with exactly the descriptors that belong to it, all others are closed; no call blocks for
//! long, and nothing of a process that was killed keeps its successor from listening.
//!
//! Texts: `unix(7)`, `cmsg(3)`, `flock(2)`.

mod connect;
mod directory;
mod fdpass;
mod listener;
mod message;
mod name;
mod offer;
mod peer;
mod sweep;
#[cfg(test)]
mod tests;

pub use connect::Dial;
pub use directory::Directory;
pub use fdpass::{recv_hello, recv_request, send_hello, send_refusal, send_request};
pub(crate) use listener::BACKLOG;
pub use listener::{Caller, Listener};
pub use message::{Direction, Hello, OpenRequest};
pub use name::{FileName, PipeName};
pub use offer::{recv_bytes, recv_offer, send_bytes, send_offer};

/// For the fuzzer: a creator's message that is accepted is what would be sent for it.
#[cfg(any(fuzzing, all(test, not(loom))))]
pub(crate) fn check_hello(bytes: &[u8; Hello::LEN]) {
    if let Ok(reply) = message::Reply::from_bytes(bytes) {
        assert_eq!(reply.to_bytes(), *bytes);
    }
}
