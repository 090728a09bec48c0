// SPDX-License-Identifier: MIT OR Apache-2.0
//! The descriptor behind a doorbell: an `eventfd(2)` that two processes share.
//!
//! What always holds: it is non-blocking and close-on-exec from the moment that this process has it. A counter that the
//! other process has filled up does not make a ring fail: the bell is ringing then anyway.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use runtime::{Errno, Error, Result};
use rustix::event::EventfdFlags;
use rustix::fs::OFlags;
use rustix::io::Errno as OsErrno;

#[cfg(test)]
mod tests;

/// What `/proc/self/fd` says of an eventfd. No file can have this name: theirs begin with a slash.
const LINK: &[u8] = b"anon_inode:[eventfd]";

/// One eventfd, ours or a peer's.
#[derive(Debug)]
pub struct Eventfd(OwnedFd);

impl Eventfd {
    /// Makes a quiet one.
    ///
    /// # Errors
    ///
    /// What `eventfd` says, such as `EMFILE`.
    pub fn new() -> Result<Self> {
        rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map(Self)
            .map_err(|errno| Error::os(errno, "eventfd"))
    }

    /// Takes a descriptor that came from a peer, and makes it non-blocking.
    ///
    /// # Errors
    ///
    /// `EPROTO` if it is no eventfd; it is closed then.
    pub fn from_peer(fd: OwnedFd) -> Result<Self> {
        let link = rustix::fs::readlinkat(rustix::fs::CWD, format!("/proc/self/fd/{}", fd.as_raw_fd()), Vec::new())
            .map_err(|errno| Error::os(errno, "readlink of /proc/self/fd: is /proc mounted?"))?;
        if link.as_bytes() != LINK {
            return Err(Error::new(Errno::PROTO, "the peer's doorbell is no eventfd"));
        }
        let flags = rustix::fs::fcntl_getfl(&fd).map_err(|errno| Error::os(errno, "fcntl(F_GETFL)"))?;
        rustix::fs::fcntl_setfl(&fd, flags | OFlags::NONBLOCK).map_err(|errno| Error::os(errno, "fcntl(F_SETFL)"))?;
        Ok(Self(fd))
    }

    /// Makes the descriptor readable, and wakes whoever waits for that.
    ///
    /// # Errors
    ///
    /// What `write` says, which on an eventfd is nothing but a full counter, and that counts as rung.
    pub fn ring(&self) -> Result<()> {
        loop {
            match rustix::io::write(&self.0, &1_u64.to_ne_bytes()) {
                Ok(_) | Err(OsErrno::AGAIN) => return Ok(()),
                Err(OsErrno::INTR) => {}
                Err(errno) => return Err(Error::os(errno, "write to a doorbell")),
            }
        }
    }

    /// Takes back all rings, and says whether there were any.
    ///
    /// # Errors
    ///
    /// What `read` says.
    pub fn drain(&self) -> Result<bool> {
        loop {
            match rustix::io::read(&self.0, &mut [0; 8]) {
                Ok(_) => return Ok(true),
                Err(OsErrno::AGAIN) => return Ok(false),
                Err(OsErrno::INTR) => {}
                Err(errno) => return Err(Error::os(errno, "read of a doorbell")),
            }
        }
    }
}

impl AsFd for Eventfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<Eventfd> for OwnedFd {
    fn from(eventfd: Eventfd) -> Self {
        eventfd.0
    }
}
