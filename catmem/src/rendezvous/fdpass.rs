// SPDX-License-Identifier: MIT OR Apache-2.0
//! The handshake's messages on a socket, with the descriptors that travel with them (`SCM_RIGHTS` of `unix(7)`).
//!
//! No call blocks or raises `SIGPIPE`. Every descriptor that arrives is owned from the first moment, so each way out
//! of here closes what does not belong; all are close-on-exec.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use runtime::{Errno, Error, Result};
use rustix::cmsg_space;
use rustix::io::Errno as OsErrno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

use super::message::{Hello, OpenRequest, REFUSALS, Reply};

/// The memory and two doorbells.
const HELLO_FDS: usize = 3;

pub(super) const GONE: Error = Error::new(Errno::CONNRESET, "the peer hung up during the handshake");

/// Sends the opener's request.
///
/// # Errors
///
/// `ECONNRESET` if the creator is gone, else what `sendmsg` says.
pub fn send_request(socket: impl AsFd, request: OpenRequest) -> Result<()> {
    send(socket.as_fd(), &request.to_bytes(), &[])
}

/// Receives the opener's request, or `None` if it is not there yet.
///
/// # Errors
///
/// `EPROTO` for anything but exactly one well-formed request without descriptors, `ECONNRESET` if the opener is gone.
pub fn recv_request(socket: impl AsFd) -> Result<Option<OpenRequest>> {
    let Some((bytes, fds)) = receive(socket.as_fd())? else { return Ok(None) };
    if !fds.is_empty() {
        return Err(Error::new(Errno::PROTO, "the peer sent descriptors with its request"));
    }
    OpenRequest::from_bytes(&bytes).map(Some)
}

/// Sends the creator's answer with the memory and the doorbells, which the caller keeps its own descriptors of.
///
/// # Errors
///
/// `ECONNRESET` if the opener is gone, else what `sendmsg` says.
pub fn send_hello(socket: impl AsFd, hello: &Hello, memory: impl AsFd, doorbells: [BorrowedFd<'_>; 2]) -> Result<()> {
    let fds = [memory.as_fd(), doorbells[0], doorbells[1]];
    send(socket.as_fd(), &Reply::Hello(*hello).to_bytes(), &fds)
}

/// Tells an opener that it does not get the pipe, and why: `EACCES`, `EBUSY`, `ECONNREFUSED`, `EMFILE`, `ENOBUFS`,
/// `ENOMEM` or `EPROTO`.
///
/// # Errors
///
/// `EINVAL` for another reason than these, `ECONNRESET` if the opener is gone, else what `sendmsg` says.
pub fn send_refusal(socket: impl AsFd, errno: Errno) -> Result<()> {
    if !REFUSALS.contains(&errno) {
        return Err(Error::new(Errno::INVAL, "this is no reason to refuse a pipe"));
    }
    send(socket.as_fd(), &Reply::Refused(errno).to_bytes(), &[])
}

/// Receives the creator's answer with the memory and the doorbells, or `None` if it is not there yet.
///
/// Only the number of the descriptors is checked here: what they are is checked by
/// [`Mapping::attach`](crate::mapping::Mapping::attach) and
/// [`Eventfd::from_peer`](crate::eventfd::Eventfd::from_peer).
///
/// # Errors
///
/// The creator's own number (such as `EACCES`) if it refused, `EPROTO` for anything but exactly one well-formed answer
/// with the descriptors that belong to it, `ECONNRESET` if the creator is gone.
pub fn recv_hello(socket: impl AsFd) -> Result<Option<(Hello, OwnedFd, [OwnedFd; 2])>> {
    let socket = socket.as_fd();
    let received = match receive(socket) {
        // A peer that closes with our request unread leaves ECONNRESET in front of its last message: the kernel reports
        // that error once, and gives the message on the next call.
        Err(error) if error.errno() == Errno::CONNRESET => receive(socket)?,
        other => other?,
    };
    let Some((bytes, fds)) = received else { return Ok(None) };
    match (Reply::from_bytes(&bytes)?, <[OwnedFd; HELLO_FDS]>::try_from(fds)) {
        (Reply::Hello(hello), Ok([memory, to_creator, to_opener])) => {
            Ok(Some((hello, memory, [to_creator, to_opener])))
        }
        (Reply::Refused(errno), Err(fds)) if fds.is_empty() => {
            Err(Error::new(errno, "the pipe's creator refused this process"))
        }
        _ => Err(Error::new(Errno::PROTO, "the peer sent a wrong number of descriptors")),
    }
}

pub(super) fn send(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(HELLO_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Error::new(Errno::INVAL, "too many descriptors for one message"));
    }
    loop {
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        match sendmsg(socket, &[IoSlice::new(bytes)], &mut control, flags) {
            // A seqpacket message goes whole or not at all.
            Ok(_) => return Ok(()),
            Err(OsErrno::INTR) => {}
            Err(OsErrno::PIPE | OsErrno::CONNRESET | OsErrno::NOTCONN) => return Err(GONE),
            Err(errno) => return Err(Error::os(errno, "sendmsg")),
        }
    }
}

/// Receives one message of exactly `N` bytes and what descriptors came with it; `None` if there is none yet.
pub(super) fn receive<const N: usize>(socket: BorrowedFd<'_>) -> Result<Option<([u8; N], Vec<OwnedFd>)>> {
    let mut bytes = [0; N];
    // Room for one descriptor more than any message has, so that too many are seen; the kernel closes what is beyond.
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(HELLO_FDS + 1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = loop {
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        match recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags) {
            Ok(message) => break message,
            Err(OsErrno::INTR) => {}
            Err(OsErrno::AGAIN) => return Ok(None),
            Err(OsErrno::CONNRESET | OsErrno::NOTCONN) => return Err(GONE),
            Err(errno) => return Err(Error::os(errno, "recvmsg")),
        }
    };
    let mut fds = Vec::with_capacity(HELLO_FDS + 1);
    for item in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = item {
            fds.extend(received);
        }
    }
    if message.flags.contains(ReturnFlags::CTRUNC) {
        return Err(Error::new(Errno::PROTO, "too many descriptors came, or this process has none left"));
    }
    // An empty message without descriptors looks the same as the end, and there is nothing that it could mean.
    if message.bytes == 0 && fds.is_empty() {
        return Err(GONE);
    }
    if message.bytes != N || message.flags.contains(ReturnFlags::TRUNC) {
        return Err(Error::new(Errno::PROTO, "the peer's message has a wrong length"));
    }
    Ok(Some((bytes, fds)))
}
