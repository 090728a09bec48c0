// SPDX-License-Identifier: MIT OR Apache-2.0
//! The directory where pipes have their names, and what is done to names in it.
//!
//! What always holds: the directory belongs to our user and nobody else can write it; it is opened once and all names
//! are looked up from that descriptor, so it cannot be exchanged for another one later. Who makes or removes a name
//! holds the directory's lock, so of two processes that find a dead creator's socket exactly one replaces it.
//!
//! Socket addresses go through `/proc/self/fd`, which keeps them inside the 108 bytes of `sun_path` however long the
//! directory's own path is. Texts: `unix(7)`, `flock(2)`, `proc_pid_fd(5)`, XDG Base Directory Specification.

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use runtime::{Errno, Error, Result};
use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno as OsErrno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::listener::{BACKLOG, Listener};
use super::name::{FileName, PipeName};
use super::peer;

/// How often, and how far apart, the lock is tried: together well above what any number of honest processes needs.
const LOCK_TRIES: u32 = 5_000;
const LOCK_PAUSE: Duration = Duration::from_micros(200);

/// An open directory of pipe names. Clones share one descriptor.
#[derive(Clone, Debug)]
pub struct Directory {
    fd: Rc<OwnedFd>,
}

impl Directory {
    /// Where pipes are by default: `$XDG_RUNTIME_DIR/margay`, or `/tmp/margay-<uid>` where that is not set.
    #[must_use]
    pub fn default_path() -> PathBuf {
        Self::path_for(std::env::var_os("XDG_RUNTIME_DIR"))
    }

    /// The XDG specification wants relative paths ignored.
    pub(super) fn path_for(runtime_dir: Option<OsString>) -> PathBuf {
        match runtime_dir.map(PathBuf::from) {
            Some(path) if path.is_absolute() => path.join("margay"),
            _ => PathBuf::from(format!("/tmp/margay-{}", rustix::process::geteuid().as_raw())),
        }
    }

    /// Opens the directory, and makes it (mode 0700, parents too) if it is missing.
    ///
    /// # Errors
    ///
    /// `EACCES` if it is a symbolic link, belongs to another user or can be written by group or others; else what the
    /// system says, such as `ENOTDIR`.
    pub fn open(path: &Path) -> Result<Self> {
        // Without trailing slashes, behind which O_NOFOLLOW would follow a link.
        let path: PathBuf = path.components().collect();
        DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(|error| {
            let errno = error.raw_os_error().map_or(OsErrno::INVAL, OsErrno::from_raw_os_error);
            Error::os(errno, "cannot make the directory of the pipes: check catmem.directory")
        })?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::open(&path, flags, Mode::empty()).map_err(|errno| {
            if path.is_symlink() {
                return Error::new(Errno::ACCESS, "the directory of the pipes must not be a symbolic link");
            }
            Error::os(errno, "cannot open the directory of the pipes: check catmem.directory")
        })?;
        let stat = rustix::fs::fstat(&fd).map_err(|errno| Error::os(errno, "fstat"))?;
        if stat.st_uid != rustix::process::geteuid().as_raw() {
            return Err(Error::new(Errno::ACCESS, "the directory of the pipes belongs to another user"));
        }
        if Mode::from_raw_mode(stat.st_mode).intersects(Mode::WGRP | Mode::WOTH) {
            return Err(Error::new(Errno::ACCESS, "others can write the directory of the pipes: chmod 0700"));
        }
        Ok(Self { fd: Rc::new(fd) })
    }

    /// Takes a name and listens on it. A name that a dead process left behind is taken over.
    ///
    /// # Errors
    ///
    /// `EEXIST` if another process listens there, or something that is no socket has the name; `EBUSY` if another
    /// process keeps the directory locked.
    pub fn listen(&self, name: &PipeName) -> Result<Listener> {
        self.listen_on(name.file_name(), BACKLOG)
    }

    /// As [`listen`](Self::listen), on a file of any name; at most `backlog` connections wait to be accepted.
    ///
    /// # Errors
    ///
    /// As [`listen`](Self::listen).
    pub fn listen_on(&self, file_name: FileName, backlog: i32) -> Result<Listener> {
        let socket = new_socket()?;
        // The mode of the socket's file comes from here, less the umask: only our user may connect.
        rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR).map_err(|errno| Error::os(errno, "fchmod"))?;
        let address = self.address(&file_name)?;

        let lock = self.lock()?;
        match rustix::net::bind(&socket, &address) {
            Err(OsErrno::ADDRINUSE) => {
                self.remove_stale(&file_name, &address)?;
                rustix::net::bind(&socket, &address)
            }
            other => other,
        }
        .map_err(|errno| Error::os(errno, "bind"))?;
        // From here on the name goes away with the listener, which takes the lock for that.
        let listener = Listener::new(self.clone(), file_name, socket)?;
        let listening = rustix::net::listen(listener.as_fd(), backlog);
        drop(lock);
        listening.map_err(|errno| Error::os(errno, "listen"))?;
        Ok(listener)
    }

    /// Connects to the creator of a pipe. The connection does not block, and nothing is sent yet.
    ///
    /// # Errors
    ///
    /// `ENOENT` if nobody made that name, `ECONNREFUSED` if the one who made it is dead, `EACCES` if it runs under
    /// another uid, `EAGAIN` if so many openers wait for it that one has to try again later.
    pub fn connect(&self, name: &PipeName) -> Result<OwnedFd> {
        let socket = new_socket()?;
        connect(&socket, &self.address(&name.file_name())?).map_err(|errno| match errno {
            OsErrno::NOENT => Error::new(Errno::NOENT, "nobody created a pipe of this name"),
            OsErrno::CONNREFUSED => Error::new(Errno::CONNREFUSED, "the pipe's creator is gone"),
            OsErrno::ACCESS => Error::new(Errno::ACCESS, "the pipe belongs to another user"),
            OsErrno::AGAIN => Error::new(Errno::AGAIN, "too many openers wait for this pipe: try again"),
            OsErrno::PROTOTYPE => Error::new(Errno::PROTO, "the name belongs to a socket that is no pipe"),
            errno => Error::os(errno, "connect"),
        })?;
        if !peer::is_same_user(socket.as_fd())? {
            return Err(Error::new(Errno::ACCESS, "the pipe's creator runs under another uid"));
        }
        Ok(socket)
    }

    /// Waits for the lock of the directory, which is let go when the guard drops or this process dies.
    ///
    /// It is tried and not waited for, so that a process that stops while it holds the lock cannot stop this one too.
    pub(super) fn lock(&self) -> Result<Lock> {
        // Locks belong to the open file, which clones and threads share; a file opened anew excludes them as well.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(self.as_fd(), ".", flags, Mode::empty())
            .map_err(|errno| Error::os(errno, "cannot open the directory of the pipes again"))?;
        for _ in 0..LOCK_TRIES {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Lock { file }),
                Err(OsErrno::AGAIN | OsErrno::INTR) => runtime::pause(LOCK_PAUSE),
                Err(errno) => return Err(Error::os(errno, "flock")),
            }
        }
        Err(Error::new(Errno::BUSY, "another process keeps the directory of the pipes locked"))
    }

    /// The address of a name in this directory.
    pub(super) fn address(&self, file_name: &FileName) -> Result<SocketAddrUnix> {
        let mut path = format!("/proc/self/fd/{}/", self.fd.as_raw_fd()).into_bytes();
        path.extend_from_slice(file_name.as_str().as_bytes());
        SocketAddrUnix::new(path).map_err(|errno| Error::os(errno, "the pipe's address is too long"))
    }

    /// Removes the socket of a dead process. The lock is held.
    fn remove_stale(&self, file_name: &FileName, address: &SocketAddrUnix) -> Result<()> {
        const TAKEN: Error = Error::new(Errno::EXIST, "another process has a pipe of this name");
        let stat = match rustix::fs::statat(self.as_fd(), file_name.as_ref(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(OsErrno::NOENT) => return Ok(()),
            Err(errno) => return Err(Error::os(errno, "stat")),
        };
        // To connect to a plain file is refused too: it would be taken for a dead socket.
        if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
            return Err(Error::new(Errno::EXIST, "a file that is no pipe has this name"));
        }
        match connect(&probe()?, address) {
            Err(OsErrno::CONNREFUSED) => match rustix::fs::unlinkat(self.as_fd(), file_name.as_ref(), AtFlags::empty())
            {
                Ok(()) | Err(OsErrno::NOENT) => Ok(()),
                Err(errno) => Err(Error::os(errno, "unlink")),
            },
            Err(OsErrno::NOENT) => Ok(()),
            // Somebody is there.
            Ok(()) | Err(OsErrno::AGAIN | OsErrno::PROTOTYPE | OsErrno::ACCESS | OsErrno::PERM) => Err(TAKEN),
            Err(errno) => Err(Error::os(errno, "connect")),
        }
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The held lock of a directory.
pub(super) struct Lock {
    file: OwnedFd,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a process forked meanwhile has the same open file, and would keep the lock.
        let _ = rustix::fs::flock(&self.file, FlockOperation::Unlock);
    }
}

pub(super) fn new_socket() -> Result<OwnedFd> {
    socket(SocketType::SEQPACKET)
}

/// A socket of another type than any listener's. The kernel says whether somebody is there before it says that the types
/// differ, so a live listener hears nothing of a probe.
pub(super) fn probe() -> Result<OwnedFd> {
    socket(SocketType::STREAM)
}

fn socket(kind: SocketType) -> Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::net::socket_with(AddressFamily::UNIX, kind, flags, None).map_err(|errno| Error::os(errno, "socket"))
}

pub(super) fn connect(socket: &OwnedFd, address: &SocketAddrUnix) -> rustix::io::Result<()> {
    rustix::io::retry_on_intr(|| rustix::net::connect(socket, address))
}
