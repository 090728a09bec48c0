// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is rung: an eventfd of its own, or the connection to the peer, which then carries a byte for each ring.
//!
//! What always holds: ringing never blocks and never raises `SIGPIPE`. A full counter, or a connection that the peer has
//! not read for so long that it is full, is ringing already.

use crate::eventfd::Eventfd;
use rustix::io::Errno as OsErrno;
use rustix::net::{SendFlags, send};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

/// What a ring is on a connection.
pub const RING: u8 = b'!';

/// The way to wake the peer.
pub enum Bell {
    /// It watches this eventfd.
    Eventfd(Rc<Eventfd>),
    /// It reads this connection.
    Connection(Rc<OwnedFd>),
}

impl Bell {
    /// Rings once.
    #[cold]
    pub(super) fn ring(&self) {
        match self {
            // It cannot fail in a way that matters: a full counter wakes as well.
            Self::Eventfd(bell) => drop(bell.ring()),
            Self::Connection(connection) => {
                // Neither can this: the peer is gone, or it has rings that it has not read.
                let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
                while send(&**connection, &[RING], flags) == Err(OsErrno::INTR) {}
            }
        }
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Eventfd(bell) => bell.as_fd(),
            Self::Connection(connection) => connection.as_fd(),
        }
    }
}

impl From<Rc<Eventfd>> for Bell {
    fn from(bell: Rc<Eventfd>) -> Self {
        Self::Eventfd(bell)
    }
}

impl From<Rc<OwnedFd>> for Bell {
    fn from(connection: Rc<OwnedFd>) -> Self {
        Self::Connection(connection)
    }
}
