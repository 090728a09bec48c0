// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connecting to a name of which nobody knows whether it is there, one of several that a listener may have.

use super::directory::{Directory, connect, new_socket};
use super::{FileName, peer};
use runtime::{Errno, Error, Result};
use rustix::io::Errno as OsErrno;
use std::os::fd::{AsFd, OwnedFd};

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dial {
    /// The connection waits to be accepted.
    Waiting,
    /// Nobody has this name, or the one who had it is dead.
    Nobody,
    /// So many wait there that one has to try again later.
    Full,
}

impl Directory {
    /// A socket to [`dial`](Self::dial) with: once it is `Waiting`, a connection. It does not block.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE` or `ENOMEM` from the kernel.
    pub fn socket(&self) -> Result<OwnedFd> {
        new_socket()
    }

    /// Connects the socket to whoever listens on this file. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// `EACCES` if the listener runs under another uid, `EPROTO` if it is no listener, else what the system says.
    pub fn dial(&self, socket: &OwnedFd, file_name: &FileName) -> Result<Dial> {
        match connect(socket, &self.address(file_name)?) {
            Ok(()) => {}
            Err(OsErrno::NOENT | OsErrno::CONNREFUSED) => return Ok(Dial::Nobody),
            Err(OsErrno::AGAIN) => return Ok(Dial::Full),
            Err(OsErrno::ACCESS) => return Err(Error::new(Errno::ACCESS, "the address belongs to another user")),
            Err(OsErrno::PROTOTYPE) => {
                return Err(Error::new(Errno::PROTO, "the name belongs to another kind of socket"));
            }
            Err(errno) => return Err(Error::os(errno, "connect")),
        }
        if peer::is_same_user(socket.as_fd())? {
            Ok(Dial::Waiting)
        } else {
            Err(Error::new(Errno::ACCESS, "the listener runs under another uid"))
        }
    }
}
