// SPDX-License-Identifier: MIT OR Apache-2.0
//! The lock file: byte-range locks of an open file description, `F_OFD_SETLK` of `fcntl(2)`.
//!
//! What always holds: while this is open and nobody but Margay touches the file, it has its name. Each user has a shared
//! lock on one byte, its presence; who leaves and gets that byte for itself alone is the last, and removes the file. Who
//! opens it meanwhile finds the byte taken, or the file without a name, and opens it again. The kernel takes all locks
//! back when the description is closed, however the process ends. (A child that was forked and did not exec keeps it open.)

use catmem::rendezvous::Directory;
use runtime::limits::PORT_FILE_TRIES;
use runtime::{Errno, Error, Result};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno as OsErrno;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

/// The file's name in the runtime directory.
pub const FILE: &str = "ports";
/// Between two tries to open the file while its last user removes it.
const PAUSE: Duration = Duration::from_micros(200);
/// Behind every byte that stands for a port.
pub const PRESENCE: i64 = 1 << 60;

/// How a byte is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Together with others that hold it so.
    Shared,
    /// Alone.
    Exclusive,
}

/// The lock file, open.
#[derive(Debug)]
pub struct LockFile {
    file: OwnedFd,
    directory: Directory,
}

impl LockFile {
    /// Opens the file, and makes it if it is missing.
    ///
    /// # Errors
    /// `EBUSY` if another process keeps the presence byte to itself, `EACCES` if something else has the name; else what
    /// the system says.
    pub fn open(directory: &Directory) -> Result<Self> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        for _ in 0..PORT_FILE_TRIES {
            let file =
                rustix::fs::openat(directory, FILE, flags, Mode::RUSR | Mode::WUSR).map_err(|errno| match errno {
                    OsErrno::LOOP | OsErrno::ISDIR | OsErrno::NXIO => ODD,
                    errno => Error::os(errno, "cannot open the lock file of the ports"),
                })?;
            let stat = rustix::fs::fstat(&file).map_err(|errno| Error::os(errno, "fstat"))?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
                return Err(ODD);
            }
            // Made before the lock: if the file turns out to have lost its name, the drop does not find it.
            let this = Self { file, directory: directory.clone() };
            if this.lock(PRESENCE, Hold::Shared)? && this.has_name() {
                return Ok(this);
            }
            drop(this);
            runtime::pause(PAUSE);
        }
        Err(Error::new(Errno::BUSY, "another process keeps the lock file of the ports to itself"))
    }

    /// Tries to lock a byte; false if another open description has it. What this one had of it before is replaced.
    ///
    /// # Errors
    /// What the system says, such as `ENOLCK`.
    pub fn lock(&self, byte: i64, hold: Hold) -> Result<bool> {
        let kind = match hold {
            Hold::Shared => libc::F_RDLCK,
            Hold::Exclusive => libc::F_WRLCK,
        };
        match self.call(libc::F_OFD_SETLK, kind, byte, 1) {
            Ok(_) => Ok(true),
            Err(OsErrno::AGAIN | OsErrno::ACCESS) => Ok(false),
            Err(errno) => Err(Error::os(errno, "fcntl(F_OFD_SETLK) on the lock file of the ports")),
        }
    }

    /// Gives a byte back.
    pub fn unlock(&self, byte: i64) {
        // The kernel refuses only for want of memory, when one range becomes two. Then the byte stays ours until this
        // file is closed, and can be locked again by it.
        let _ = self.call(libc::F_OFD_SETLK, libc::F_UNLCK, byte, 1);
    }

    /// The end (exclusive) of the range that another holds and this byte is in; the next byte if it is free by now.
    pub fn end_of_run(&self, byte: i64) -> i64 {
        match self.call(libc::F_OFD_GETLK, libc::F_WRLCK, byte, 1) {
            Ok(found) if i32::from(found.l_type) != libc::F_UNLCK => match found.l_len {
                0 => i64::MAX,
                len => found.l_start.saturating_add(len).max(byte + 1),
            },
            _ => byte + 1,
        }
    }

    /// Whether the name still leads to this file.
    fn has_name(&self) -> bool {
        let (Ok(here), Ok(there)) =
            (rustix::fs::fstat(&self.file), rustix::fs::statat(&self.directory, FILE, AtFlags::SYMLINK_NOFOLLOW))
        else {
            return false;
        };
        (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
    }

    /// All bytes of a range for itself alone, as a hostile process could.
    #[cfg(test)]
    pub fn lock_range(&self, start: i64, len: i64) -> rustix::io::Result<()> {
        self.call(libc::F_OFD_SETLK, libc::F_WRLCK, start, len).map(drop)
    }

    fn call(&self, command: libc::c_int, kind: libc::c_int, start: i64, len: i64) -> rustix::io::Result<libc::flock> {
        // The constants are small, and are i32 on some targets while the fields are i16.
        let mut lock = libc::flock {
            l_type: kind as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: start,
            l_len: len,
            l_pid: 0,
        };
        // SAFETY: the descriptor is open as long as `self`, and these commands read and write one `flock`, which the
        // pointer leads to and nothing else uses meanwhile.
        let result = unsafe { libc::fcntl(self.file.as_raw_fd(), command, &raw mut lock) };
        if result == 0 {
            return Ok(lock);
        }
        Err(std::io::Error::last_os_error().raw_os_error().map_or(OsErrno::IO, OsErrno::from_raw_os_error))
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // First: of two that leave at once, neither could get the byte for itself while the other still shares it.
        self.unlock(PRESENCE);
        // The last one, and the name is this file's: nobody else can remove it now, for that takes the presence byte.
        if self.lock(PRESENCE, Hold::Exclusive) == Ok(true) && self.has_name() {
            // If it stays, the next one that leaves removes it.
            let _ = rustix::fs::unlinkat(&self.directory, FILE, AtFlags::empty());
        }
        // A process forked meanwhile has the same description: the locks must not outlive us in it.
        self.unlock(PRESENCE);
    }
}

const ODD: Error = Error::new(Errno::ACCESS, "something that is no file has the name of the lock file of the ports");
