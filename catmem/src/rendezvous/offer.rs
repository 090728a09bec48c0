// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages of a handshake in which the connection itself is the doorbell: the offer brings nothing but the memory.

use super::fdpass::{receive, send};
use super::message::{Hello, Reply};
use runtime::{Errno, Error, Result};
use std::os::fd::{AsFd, OwnedFd};

/// Sends a message without descriptors.
///
/// # Errors
///
/// `ECONNRESET` if the peer is gone, else what `sendmsg` says.
pub fn send_bytes(socket: impl AsFd, bytes: &[u8]) -> Result<()> {
    send(socket.as_fd(), bytes, &[])
}

/// Receives a message of exactly `N` bytes, or `None` if it is not there yet.
///
/// # Errors
///
/// `EPROTO` for another length, or if descriptors came with it; `ECONNRESET` if the peer is gone.
pub fn recv_bytes<const N: usize>(socket: impl AsFd) -> Result<Option<[u8; N]>> {
    match receive(socket.as_fd())? {
        None => Ok(None),
        Some((bytes, fds)) if fds.is_empty() => Ok(Some(bytes)),
        Some(_) => Err(Error::new(Errno::PROTO, "the peer sent descriptors that nobody asked for")),
    }
}

/// Sends the layout with the memory, which the caller keeps its own descriptor of.
///
/// # Errors
///
/// `ECONNRESET` if the peer is gone, else what `sendmsg` says.
pub fn send_offer(socket: impl AsFd, hello: &Hello, memory: impl AsFd) -> Result<()> {
    send(socket.as_fd(), &Reply::Hello(*hello).to_bytes(), &[memory.as_fd()])
}

/// Receives the layout with the memory, or `None` if it is not there yet.
///
/// # Errors
///
/// The peer's own number if it refused, `EPROTO` for anything but one well-formed offer with one descriptor,
/// `ECONNRESET` if the peer is gone.
pub fn recv_offer(socket: impl AsFd) -> Result<Option<(Hello, OwnedFd)>> {
    let socket = socket.as_fd();
    let received = match receive(socket) {
        // A peer that closes with our message unread leaves this in front of its last one; see `recv_hello`.
        Err(error) if error.errno() == Errno::CONNRESET => receive(socket)?,
        other => other?,
    };
    let Some((bytes, mut fds)) = received else { return Ok(None) };
    match (Reply::from_bytes(&bytes)?, fds.len()) {
        (Reply::Hello(hello), 1) => Ok(fds.pop().map(|memory| (hello, memory))),
        (Reply::Refused(errno), 0) => Err(Error::new(errno, "the listener refused this connection")),
        _ => Err(Error::new(Errno::PROTO, "the peer sent a wrong number of descriptors")),
    }
}
