// SPDX-License-Identifier: MIT OR Apache-2.0
//! Unix sockets: names in place of addresses, as `unix(7)` has them.
//!
//! A name is a path, or an abstract name that begins with a NUL byte. What always holds: a back end gets a path only for a
//! Unix socket, and only one that [`check_path`] has found right, and an address only for the other families.

use super::queues::Queue;
use super::{IntoMessage, LibOs};
use crate::backend::Backends;
use runtime::socket::{Destination, check_path};
use runtime::{Errno, Error, Qd, Qt, Result};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

const NO_SOCKET: Error = Error::new(Errno::OPNOTSUPP, "this queue is no socket");
const NO_PATHS: Error = Error::new(Errno::AFNOSUPPORT, "this socket has addresses: a path is for Unix sockets");
const NO_ADDRESSES: Error = Error::new(Errno::AFNOSUPPORT, "a Unix socket has a path, not an address");

impl Queue {
    /// Whether the queue can be told an IP address: all but Unix sockets; the back end knows more.
    pub fn takes_addresses(&self) -> Result<()> {
        if self.unix { Err(NO_ADDRESSES) } else { Ok(()) }
    }

    fn takes_paths(&self) -> Result<()> {
        if self.unix {
            return Ok(());
        }
        Err(if self.backend == Backends::pipes() { NO_SOCKET } else { NO_PATHS })
    }

    pub fn takes(&self, to: Destination<'_>) -> Result<()> {
        match to {
            Destination::Address(_) => self.takes_addresses(),
            Destination::Path(_) => self.takes_paths(),
        }
    }
}

fn bytes(path: &Path) -> Result<&[u8]> {
    let bytes = path.as_os_str().as_bytes();
    check_path(bytes).map(|()| bytes)
}

impl LibOs {
    /// Whether this queue has names in place of addresses.
    pub(crate) fn is_unix(&mut self, qd: Qd) -> Result<bool> {
        self.queues.get(qd).map(|queue| queue.unix)
    }

    /// Gives a Unix socket its name: the path of a file that it makes there, or an abstract name, which begins with a NUL
    /// byte and is no file. A file stays when the socket is closed, and must be removed before the path is bound again.
    ///
    /// # Errors
    /// `EBADF`; `EAFNOSUPPORT` no Unix socket; `EINVAL` bound already, an empty name, or a path with a NUL byte in it;
    /// `ENAMETOOLONG` more than 107 bytes; `EADDRINUSE` the name is taken, or a file is there; `ENOENT`, `ENOTDIR`,
    /// `EACCES` what is wrong with the folder; `EOPNOTSUPP` the queue is no socket.
    ///
    /// ```
    /// use margay::{Config, Domain, Kind, LibOs};
    /// let directory = tempfile::tempdir()?;
    /// let mut config = Config::default();
    /// config.libos = Some("catnap".into());
    ///
    /// let mut libos = LibOs::new(&config)?;
    /// let listening = libos.socket(Domain::Unix, Kind::Stream)?;
    /// let path = directory.path().join("server");
    /// libos.bind_path(listening, &path)?;
    /// libos.listen(listening, 16)?;
    ///
    /// let calling = libos.socket(Domain::Unix, Kind::Stream)?;
    /// let (connecting, accepting) = (libos.connect_path(calling, &path)?, libos.accept(listening)?);
    /// libos.wait(connecting, None)?.ok()?;
    /// let served = libos.wait(accepting, None)?.accepted()?;
    /// assert_eq!((libos.local_path(served)?, libos.peer_path(calling)?), (path.clone(), path));
    ///
    /// let (pushed, popped) = (libos.push(calling, b"hello")?, libos.pop(served, None)?);
    /// assert_eq!(libos.wait(popped, None)?.into_message()?.to_vec(), b"hello");
    /// libos.wait(pushed, None)?.ok()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn bind_path(&mut self, qd: Qd, path: impl AsRef<Path>) -> Result<()> {
        let queue = self.queues.get(qd)?;
        queue.takes_paths()?;
        self.backends.get(queue.backend).bind_path(queue.handle, bytes(path.as_ref())?)
    }

    /// Connects a Unix socket to the one that has this name: as [`connect`](Self::connect).
    ///
    /// # Errors
    /// `EBADF`; `EAFNOSUPPORT` no Unix socket; `EINVAL` an empty name, or a path with a NUL byte in it; `ENAMETOOLONG`;
    /// `EALREADY`, `EISCONN`; `EOPNOTSUPP` it listens, or is no socket; `EAGAIN` too many tokens are open. With the call or
    /// with the completion: `ENOENT` there is no such file; `ECONNREFUSED` nobody listens there; `EACCES` no right to write
    /// to it; `EPROTOTYPE` it is a socket of the other kind. See [`bind_path`](Self::bind_path) for an example.
    ///
    /// ```
    /// # use margay::{Config, Domain, Errno, Kind, LibOs};
    /// # let mut config = Config::default();
    /// # config.libos = Some("catnap".into());
    /// let mut libos = LibOs::new(&config)?;
    /// let socket = libos.socket(Domain::Unix, Kind::Stream)?;
    /// let connected = match libos.connect_path(socket, "\0nobody has this abstract name") {
    ///     Ok(connecting) => libos.wait(connecting, None)?.ok(),
    ///     Err(error) => Err(error),
    /// };
    /// assert_eq!(connected.unwrap_err().errno(), Errno::CONNREFUSED);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn connect_path(&mut self, qd: Qd, path: impl AsRef<Path>) -> Result<Qt> {
        let queue = self.queues.get(qd)?;
        queue.takes_paths()?;
        self.connect_by(qd, Destination::Path(bytes(path.as_ref())?))
    }

    /// Pushes one datagram to the Unix socket that has this name: as [`push_to`](Self::push_to), but it is not lost if there
    /// is no room: the push waits.
    ///
    /// # Errors
    /// `EBADF`; `EOPNOTSUPP` no datagram socket; `EINVAL` an empty name, or a path with a NUL byte in it; `ENAMETOOLONG`;
    /// `EPIPE` after [`shutdown`](Self::shutdown); `EAGAIN` too many tokens are open; `ENOBUFS` no buffer to copy the bytes
    /// into. With the completion: `EAFNOSUPPORT` no Unix socket; `EMSGSIZE`; `ENOENT`, `ECONNREFUSED` nobody is there;
    /// `EACCES`; `EPROTOTYPE` a stream socket is there.
    ///
    /// ```
    /// # use margay::{Config, Domain, Kind, LibOs};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.libos = Some("catnap".into());
    /// let mut libos = LibOs::new(&config)?;
    /// let (server, client) = (libos.socket(Domain::Unix, Kind::Datagram)?, libos.socket(Domain::Unix, Kind::Datagram)?);
    /// let (asked, asking) = (directory.path().join("asked"), directory.path().join("asking"));
    /// libos.bind_path(server, &asked)?;
    /// // Who wants an answer has a name.
    /// libos.bind_path(client, &asking)?;
    /// libos.push_to_path(client, b"who are you?", &asked)?;
    /// let popped = libos.pop(server, None)?;
    /// let question = libos.wait(popped, None)?.into_datagram()?;
    /// assert_eq!(question.sender_path(), Some(asking.as_path()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn push_to_path(&mut self, qd: Qd, message: impl IntoMessage, path: impl AsRef<Path>) -> Result<Qt> {
        self.queues.get(qd)?;
        self.push_by(qd, message, Destination::Path(bytes(path.as_ref())?))
    }

    /// The name of a Unix socket; empty as long as it has none. An abstract one begins with a NUL byte.
    ///
    /// # Errors
    /// `EBADF`; `EAFNOSUPPORT` no Unix socket; `EOPNOTSUPP` no socket. See [`bind_path`](Self::bind_path) for an example.
    ///
    /// ```
    /// # use margay::{Config, Domain, Kind, LibOs};
    /// # let mut config = Config::default();
    /// # config.libos = Some("catnap".into());
    /// let mut libos = LibOs::new(&config)?;
    /// let socket = libos.socket(Domain::Unix, Kind::Stream)?;
    /// assert_eq!(libos.local_path(socket)?.as_os_str(), "");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn local_path(&mut self, qd: Qd) -> Result<PathBuf> {
        let queue = self.queues.get(qd)?;
        queue.takes_paths()?;
        self.backends.get(queue.backend).local_path(queue.handle).map(OsString::from_vec).map(PathBuf::from)
    }

    /// The name of a connected Unix socket's peer; empty if it has none, as one that has connected mostly has not.
    ///
    /// # Errors
    /// `EBADF`; `ENOTCONN`; `EAFNOSUPPORT` no Unix socket; `EOPNOTSUPP` no socket. See [`bind_path`](Self::bind_path) for an
    /// example.
    ///
    /// ```
    /// # use margay::{Config, Domain, Errno, Kind, LibOs};
    /// # let mut config = Config::default();
    /// # config.libos = Some("catnap".into());
    /// let mut libos = LibOs::new(&config)?;
    /// let socket = libos.socket(Domain::Unix, Kind::Stream)?;
    /// assert_eq!(libos.peer_path(socket).unwrap_err().errno(), Errno::NOTCONN);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn peer_path(&mut self, qd: Qd) -> Result<PathBuf> {
        let queue = self.queues.get(qd)?;
        queue.takes_paths()?;
        self.backends.get(queue.backend).peer_path(queue.handle).map(OsString::from_vec).map(PathBuf::from)
    }
}
