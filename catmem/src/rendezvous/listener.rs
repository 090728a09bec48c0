// SPDX-License-Identifier: MIT OR Apache-2.0
//! The creator's end of a name: a listening socket that takes its name away with it.
//!
//! What always holds: only processes of our own uid get through `accept`; the file that is removed at the end is the
//! one that this listener made. The socket keeps that inode alive, so its number cannot have gone to another file.

use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use runtime::{Errno, Error, Result};
use rustix::fs::AtFlags;
use rustix::io::Errno as OsErrno;
use rustix::net::SocketFlags;

use super::directory::Directory;
use super::{FileName, fdpass, peer};

/// How many openers of a pipe may wait to be accepted; and how many strangers are sent away at once.
pub(crate) const BACKLOG: i32 = 128;

/// Who waits at a name.
#[derive(Debug)]
pub enum Caller {
    /// This opener. It may have hung up already: reading from it then says so.
    Opener(OwnedFd),
    /// Many strangers, who were sent away; behind them others may wait.
    Strangers,
    /// Nobody is left.
    Nobody,
}

/// A name that this process listens on. It does not block; its descriptor is readable when an opener waits.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    directory: Directory,
    file_name: FileName,
    /// Device and inode of the socket's file.
    identity: (u64, u64),
    refused: Cell<u64>,
}

impl Listener {
    /// Takes over a socket that was just bound to `file_name` under the directory's lock.
    pub(super) fn new(directory: Directory, file_name: FileName, socket: OwnedFd) -> Result<Self> {
        let identity = identity(&directory, &file_name).map_err(|errno| Error::os(errno, "stat"))?;
        Ok(Self { socket, directory, file_name, identity, refused: Cell::new(0) })
    }

    /// The next opener that waits, if there is one.
    ///
    /// # Errors
    ///
    /// What the system says when it cannot give a descriptor, such as `EMFILE`; the opener then waits on.
    pub fn accept(&self) -> Result<Caller> {
        // Bounded, so that a crowd of strangers cannot keep us here.
        for _ in 0..BACKLOG {
            let socket = match rustix::net::accept_with(&self.socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(socket) => socket,
                Err(OsErrno::AGAIN) => return Ok(Caller::Nobody),
                Err(OsErrno::INTR | OsErrno::CONNABORTED) => continue,
                Err(errno) => return Err(Error::os(errno, "accept")),
            };
            if peer::is_same_user(socket.as_fd())? {
                return Ok(Caller::Opener(socket));
            }
            self.refused.set(self.refused.get().saturating_add(1));
            // The stranger may have gone already, and then needs no answer.
            let _ = fdpass::send_refusal(&socket, Errno::ACCESS);
        }
        Ok(Caller::Strangers)
    }

    /// How many openers were sent away because they run under another uid.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.get()
    }

    /// Removes the name if it is still ours. The directory's lock is held.
    fn remove_name(&self) {
        if identity(&self.directory, &self.file_name) == Ok(self.identity) {
            // If it cannot be removed it is a stale name, which the next creator takes over.
            let _ = rustix::fs::unlinkat(&self.directory, self.file_name.as_ref(), AtFlags::empty());
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Without the lock the name stays: it is stale as soon as the socket closes, and the next creator takes it over.
        if let Ok(_lock) = self.directory.lock() {
            self.remove_name();
        }
    }
}

fn identity(directory: &Directory, file_name: &FileName) -> rustix::io::Result<(u64, u64)> {
    let stat = rustix::fs::statat(directory, file_name.as_ref(), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok((stat.st_dev, stat.st_ino))
}
