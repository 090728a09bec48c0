// SPDX-License-Identifier: MIT OR Apache-2.0
//! [`LibOs`]: the queue API over every transport at once.
//!
//! - `queues`: the table behind queue descriptors.
//! - `run`: making pending operations go on: looking, collecting events, sleeping.
//! - `wait`: the calls that wait for completions.
//!
//! `push`, `pop` and `close` first try to finish at once; what cannot is parked, and tried again when its transport says
//! so. Nothing here allocates once the tables have grown to what is in flight.

mod queues;
mod run;
#[cfg(test)]
mod tests;
mod wait;

pub use wait::WaitSet;

use crate::backend::Backends;
use crate::config::{Config, ConfigError, Spin};
use core::num::NonZeroUsize;
use core::task::Poll;
use core::time::Duration;
use queues::{Queue, Queues};
use runtime::buf::{Buf, Classes, Pools, Sga};
use runtime::op::{Direction, Ops, Outcome, Wakes, Work};
use runtime::reactor::{Events, Reactor};
use runtime::transport::PopMode;
use runtime::{Errno, Error, Qd, Qt, Result};
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;

pub use runtime::task::WakeHandle;

const CANCELED: Error = Error::new(Errno::CANCELED, "the operation was cancelled");
const CLOSED_UNDER: Error = Error::new(Errno::CANCELED, "the queue was closed before the operation was done");
const SHUT: Error = Error::new(Errno::PIPE, "the queue was shut down for writing");

/// A library operating system: queues, their operations, and all the transports that serve them.
///
/// It belongs to one thread; make one per thread and core. Other threads reach it by its [`WakeHandle`].
///
/// ```
/// use margay::{Config, LibOs};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let mut config = Config::default();
/// # config.catmem.directory = Some(directory.path().into());
/// let mut server = LibOs::new(&config)?;
/// let mut client = LibOs::new(&config)?;
///
/// let listening = server.create_pipe("greetings")?;
/// let calling = client.open_pipe("greetings")?;
///
/// // Pushing before the server has looked at its queue is fine.
/// let pushed = client.push(calling, b"hello")?;
/// while client.try_wait(pushed)?.is_none() {
///     server.poll();
/// }
///
/// let popped = server.pop(listening, None)?;
/// let message = server.wait(popped, None)?.into_message()?;
/// assert_eq!(message.to_vec(), b"hello");
/// # Ok(())
/// # }
/// ```
pub struct LibOs {
    // Dropped before the backends: a completion may hold memory that a pipe lent.
    ops: Ops,
    queues: Queues,
    backends: Backends,
    wakes: Wakes,
    pools: Pools,
    reactor: Rc<Reactor>,
    events: Box<Events>,
    spin: Option<Duration>,
    /// Calls that were served without looking around; see `run::LOOK_AROUND`.
    busy: u32,
}

/// Something that can be pushed: a buffer, a list of them, or bytes that are copied into a buffer of the LibOs first.
pub trait IntoMessage {
    /// The message, with buffers from these pools if it needs any.
    ///
    /// # Errors
    /// `ENOBUFS` if it needs a buffer and there is none.
    fn into_message(self, pools: &Pools) -> Result<Sga>;
}

impl IntoMessage for Sga {
    #[inline]
    fn into_message(self, _pools: &Pools) -> Result<Sga> {
        Ok(self)
    }
}

impl IntoMessage for Buf {
    #[inline]
    fn into_message(self, _pools: &Pools) -> Result<Sga> {
        Ok(self.into())
    }
}

impl IntoMessage for &[u8] {
    #[inline]
    fn into_message(self, pools: &Pools) -> Result<Sga> {
        if self.is_empty() {
            return Ok(Sga::new());
        }
        pools.alloc_copy(self).map(Sga::from)
    }
}

impl<const N: usize> IntoMessage for &[u8; N] {
    #[inline]
    fn into_message(self, pools: &Pools) -> Result<Sga> {
        self.as_slice().into_message(pools)
    }
}

/// Why a LibOs could not be made.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration is not right; the message says where and what to do.
    Config(ConfigError),
    /// A system call failed.
    System(Error),
}

impl StartError {
    /// The same as an errno with a short reason: what C gets.
    #[must_use]
    pub fn error(&self) -> Error {
        match self {
            Self::Config(error) => Error::new(error.errno(), "the configuration is not right"),
            Self::System(error) => *error,
        }
    }
}

impl core::fmt::Display for StartError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::System(error) => write!(f, "the LibOs could not start: {error}"),
        }
    }
}

impl core::error::Error for StartError {}

impl From<ConfigError> for StartError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<Error> for StartError {
    fn from(error: Error) -> Self {
        Self::System(error)
    }
}

impl LibOs {
    /// A LibOs set up as `config` says.
    ///
    /// # Errors
    /// [`StartError::Config`] for a value out of range, [`StartError::System`] if the kernel refuses an epoll or an eventfd.
    ///
    /// ```
    /// let libos = margay::LibOs::new(&margay::Config::default())?;
    /// # drop(libos);
    /// # Ok::<(), margay::StartError>(())
    /// ```
    pub fn new(config: &Config) -> core::result::Result<Self, StartError> {
        config.check()?;
        let b = &config.buffers;
        // `check` has bounded all of these far below u32::MAX.
        let pools = Pools::new(&Classes {
            small_size: b.small_size as u32,
            small_count: b.small_count as u32,
            large_size: b.large_size as u32,
            large_count: b.large_count as u32,
            headroom: b.headroom as u32,
            oversize_limit: b.oversize_limit,
            ..Classes::default()
        })?;
        let reactor = Reactor::new()?;
        Ok(Self {
            ops: Ops::new(config.limits.operations),
            queues: Queues::new(config.limits.queues),
            backends: Backends::new(config, &reactor, &pools),
            wakes: Wakes::default(),
            pools,
            reactor,
            events: Box::new(Events::new()),
            spin: match config.wait.spin {
                Spin::For(duration) => Some(duration),
                Spin::Forever => None,
            },
            busy: 0,
        })
    }

    /// A LibOs set up as the environment says: `CONFIG_PATH` names a YAML file, `LIBOS` the transport. Both may be unset.
    ///
    /// # Errors
    /// As [`LibOs::new`], and whatever is wrong with the file.
    ///
    /// ```
    /// let libos = margay::LibOs::from_env()?;
    /// # drop(libos);
    /// # Ok::<(), margay::StartError>(())
    /// ```
    pub fn from_env() -> core::result::Result<Self, StartError> {
        Self::new(&Config::from_env()?)
    }

    /// Makes a pipe that one other LibOs, in this process or another of the same user, can open by name. Returns at once;
    /// what is pushed before anybody has opened waits in the pipe.
    ///
    /// # Errors
    /// `EINVAL` empty or over-long name, or one with a slash or NUL; `EEXIST` taken; `EACCES` the directory is not the
    /// user's own; `EMFILE` too many queues.
    ///
    /// ```
    /// # use margay::{Config, Errno, LibOs};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// let _qd = libos.create_pipe("orders")?;
    /// assert_eq!(libos.create_pipe("orders").unwrap_err().errno(), Errno::EXIST);
    /// assert_eq!(libos.create_pipe("a/b").unwrap_err().errno(), Errno::INVAL);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create_pipe(&mut self, name: &str) -> Result<Qd> {
        self.new_queue(|backends, id| {
            let index = backends.pipes();
            backends.get(index).create_pipe(id, name).map(|handle| (index, handle))
        })
    }

    /// Opens a pipe that another LibOs has made. The handshake goes on in the background: pushes and pops that are begun
    /// before it is done wait for it.
    ///
    /// # Errors
    /// `EINVAL` bad name; `ENOENT` nobody made it; `ECONNREFUSED` whoever made it is gone; `EACCES` it belongs to another
    /// user; `EMFILE` too many queues. What goes wrong later comes with the first push or pop.
    ///
    /// ```
    /// # use margay::{Config, Errno, LibOs};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// assert_eq!(libos.open_pipe("nobody").unwrap_err().errno(), Errno::NOENT);
    ///
    /// // A pipe to oneself works.
    /// let made = libos.create_pipe("me")?;
    /// let opened = libos.open_pipe("me")?;
    /// let (pushed, popped) = (libos.push(opened, b"note")?, libos.pop(made, None)?);
    /// assert_eq!(libos.wait(popped, None)?.into_message()?.to_vec(), b"note");
    /// libos.wait(pushed, None)?.ok()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_pipe(&mut self, name: &str) -> Result<Qd> {
        self.new_queue(|backends, id| {
            let index = backends.pipes();
            backends.get(index).open_pipe(id, name).map(|handle| (index, handle))
        })
    }

    fn new_queue(&mut self, make: impl FnOnce(&mut Backends, u32) -> Result<(u8, u32)>) -> Result<Qd> {
        let id = self.queues.reserve()?;
        let (backend, handle) = make(&mut self.backends, id)?;
        self.wakes.grow(id as usize + 1);
        Ok(self.queues.insert(id, backend, handle))
    }

    /// A private buffer of `len` bytes, whose contents are whatever was in it before.
    ///
    /// # Errors
    /// `ENOBUFS` if the pool is empty: drop buffers, or configure more.
    ///
    /// ```
    /// let mut libos = margay::LibOs::new(&margay::Config::default())?;
    /// let mut buf = libos.alloc(5)?;
    /// buf.get_mut().expect("a new buffer has no second view").copy_from_slice(b"hello");
    /// assert_eq!(&buf[..], b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn alloc(&mut self, len: usize) -> Result<Buf> {
        self.pools.alloc(len)
    }

    /// Memory that this queue can hand over without a copy: for a pipe, a slot of the shared segment. Once pushed it
    /// belongs to the reader, who reads it in place; get a new one for the next message.
    ///
    /// # Errors
    /// `EBADF`; `ENOBUFS` all slots are out; `EMSGSIZE` larger than a slot (`catmem.slot`); `ENOTCONN` the handshake of a
    /// pipe that was opened here is not done.
    ///
    /// ```
    /// # use margay::{Config, LibOs};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// let made = libos.create_pipe("frames")?;
    /// let opened = libos.open_pipe("frames")?;
    /// let mut frame = libos.alloc_on(made, 60_000)?;
    /// frame.get_mut().expect("a new buffer has no second view").fill(7);
    /// let (_, popped) = (libos.push(made, frame)?, libos.pop(opened, None)?);
    /// let message = libos.wait(popped, None)?.into_message()?;
    /// assert!(message.len() == 60_000 && message.iter().all(|part| part.iter().all(|&byte| byte == 7)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn alloc_on(&mut self, qd: Qd, len: usize) -> Result<Buf> {
        let queue = self.queues.get(qd)?;
        self.backends.get(queue.backend).alloc(queue.handle, len)
    }

    /// Pushes a message: a [`Buf`], an [`Sga`], or bytes. The token completes once the transport has taken all of it.
    ///
    /// # Errors
    /// `EBADF`; `EINVAL` empty message; `EPIPE` after [`shutdown`](Self::shutdown); `EAGAIN` too many tokens are open;
    /// `ENOBUFS` no buffer to copy the bytes into. What goes wrong later comes with the completion: `EPIPE` the peer has
    /// closed, `ECONNRESET` it died, `EPROTO` it broke the rules, `EMSGSIZE` the message is over the configured limit.
    ///
    /// ```
    /// # use margay::{Config, LibOs, Outcome};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// let qd = libos.create_pipe("log")?;
    /// let qt = libos.push(qd, b"a line")?;
    /// assert!(matches!(libos.wait(qt, None)?.outcome, Outcome::Push));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn push(&mut self, qd: Qd, message: impl IntoMessage) -> Result<Qt> {
        let queue = self.queues.get(qd)?;
        if queue.shut {
            return Err(SHUT);
        }
        let mut message = message.into_message(&self.pools)?;
        if message.is_empty() {
            return Err(Error::new(Errno::INVAL, "an empty message cannot be pushed: it would mean the end"));
        }
        self.ops.reserve()?;
        if queue.fifos[Direction::Push as usize].is_empty() {
            match self.backends.get(queue.backend).push(queue.handle, &mut message) {
                Poll::Ready(Ok(())) => return self.ops.finished(qd, Outcome::Push),
                Poll::Ready(Err(error)) => return self.ops.finished(qd, Outcome::Failed(error)),
                Poll::Pending => {}
            }
        }
        self.ops.park(qd, Work::Push(message), &mut queue.fifos[Direction::Push as usize])
    }

    /// Pops a message, or with a `size` at most so many bytes of it; the rest stays for the next pop. At the end of the
    /// stream one pop completes with an empty message, and those after it with `EPIPE`.
    ///
    /// # Errors
    /// `EBADF`; `EINVAL` for a size of zero; `EAGAIN` too many tokens are open. With the completion: `ECONNRESET` the peer
    /// died and all that it had published was popped, `EPROTO` it broke the rules, `ENOBUFS` no buffer for the message,
    /// which is still there.
    ///
    /// ```
    /// # use margay::{Config, LibOs};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// let (made, opened) = (libos.create_pipe("bytes")?, libos.open_pipe("bytes")?);
    /// libos.push(opened, b"abcdef")?;
    /// for part in [&b"abcd"[..], b"ef"] {
    ///     let popped = libos.pop(made, Some(4))?;
    ///     assert_eq!(libos.wait(popped, None)?.into_message()?.to_vec(), part);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn pop(&mut self, qd: Qd, size: Option<usize>) -> Result<Qt> {
        let mode = match size {
            None => PopMode::Whole,
            Some(size) => match NonZeroUsize::new(size) {
                Some(size) => PopMode::AtMost(size),
                None => return Err(Error::new(Errno::INVAL, "a pop of zero bytes would mean the end")),
            },
        };
        self.pop_as(qd, mode)
    }

    /// Pops a message where it lies, without copying it if the transport can: for a pipe, in the shared ring. Its room is
    /// given back when the message is dropped, so drop it soon. A peer of the same user that breaks the rules can change
    /// the bytes while they are read; [`pop`](Self::pop) copies first.
    ///
    /// # Errors
    /// As [`pop`](Self::pop).
    ///
    /// ```
    /// # use margay::{Config, LibOs};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// let (made, opened) = (libos.create_pipe("big")?, libos.open_pipe("big")?);
    /// libos.push(opened, &[1; 1024])?;
    /// let popped = libos.pop_in_place(made)?;
    /// assert_eq!(libos.wait(popped, None)?.into_message()?.len(), 1024);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn pop_in_place(&mut self, qd: Qd) -> Result<Qt> {
        self.pop_as(qd, PopMode::InPlace)
    }

    #[inline]
    fn pop_as(&mut self, qd: Qd, mode: PopMode) -> Result<Qt> {
        let queue = self.queues.get(qd)?;
        self.ops.reserve()?;
        if queue.fifos[Direction::Pop as usize].is_empty() {
            match self.backends.get(queue.backend).pop(queue.handle, mode) {
                Poll::Ready(Ok(message)) => return self.ops.finished(qd, Outcome::Pop(message)),
                Poll::Ready(Err(error)) => return self.ops.finished(qd, Outcome::Failed(error)),
                Poll::Pending => {}
            }
        }
        self.ops.park(qd, Work::Pop(mode), &mut queue.fifos[Direction::Pop as usize])
    }

    /// Half-closes the queue: the peer reads the end after everything that was pushed before, pops go on here.
    ///
    /// # Errors
    /// `EBADF`; `EPIPE` if it was shut down before, or the peer has gone; `EAGAIN` too many tokens are open.
    ///
    /// ```
    /// # use margay::{Config, Errno, LibOs};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// let (made, opened) = (libos.create_pipe("half")?, libos.open_pipe("half")?);
    /// libos.push(made, b"last words")?;
    /// libos.shutdown(made)?;
    /// assert_eq!(libos.push(made, b"more").unwrap_err().errno(), Errno::PIPE);
    /// for expected in [&b"last words"[..], b""] {
    ///     let popped = libos.pop(opened, None)?;
    ///     assert_eq!(libos.wait(popped, None)?.into_message()?.to_vec(), expected);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shutdown(&mut self, qd: Qd) -> Result<()> {
        let queue = self.queues.get(qd)?;
        if queue.shut {
            return Err(SHUT);
        }
        self.ops.reserve()?;
        let fifo = &mut queue.fifos[Direction::Push as usize];
        if fifo.is_empty()
            && let Poll::Ready(done) = self.backends.get(queue.backend).shutdown(queue.handle)
        {
            queue.shut = true;
            return done;
        }
        queue.shut = true;
        self.ops.park(qd, Work::Shutdown, fifo).map(|_| ())
    }

    /// Closes the queue. Its pending operations end with `ECANCELED`; the peer reads the end after everything that was
    /// pushed before. The descriptor is gone once the token has completed, which it nearly always has at once.
    ///
    /// # Errors
    /// `EBADF`; `EAGAIN` too many tokens are open.
    ///
    /// ```
    /// # use margay::{Config, Errno, LibOs, Outcome};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// let qd = libos.create_pipe("short-lived")?;
    /// let popped = libos.pop(qd, None)?;
    /// let closed = libos.close(qd)?;
    /// assert_eq!(libos.wait(popped, None)?.ok().unwrap_err().errno(), Errno::CANCELED);
    /// assert!(matches!(libos.wait(closed, None)?.outcome, Outcome::Close));
    /// assert_eq!(libos.pop(qd, None).unwrap_err().errno(), Errno::BADF);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&mut self, qd: Qd) -> Result<Qt> {
        self.queues.get(qd)?;
        self.ops.reserve()?;
        for direction in [Direction::Push, Direction::Pop] {
            self.cancel_all(qd, direction, CLOSED_UNDER)?;
        }
        let queue = self.queues.get(qd)?;
        match self.backends.get(queue.backend).close(queue.handle) {
            Poll::Ready(done) => {
                self.queues.remove(qd);
                self.ops.finished(qd, done.map_or_else(Outcome::Failed, |()| Outcome::Close))
            }
            Poll::Pending => {
                queue.closing = true;
                self.ops.park(qd, Work::Close, &mut queue.fifos[Direction::Push as usize])
            }
        }
    }

    fn cancel_all(&mut self, qd: Qd, direction: Direction, error: Error) -> Result<()> {
        let Queue { fifos, backend, handle, .. } = self.queues.get(qd)?;
        let fifo = &mut fifos[direction as usize];
        if !fifo.is_empty() {
            self.backends.get(*backend).canceled(*handle, direction);
        }
        while !fifo.is_empty() {
            self.ops.finish_first(fifo, Outcome::Failed(error));
        }
        Ok(())
    }

    /// Ends an operation early: its token completes with `ECANCELED`. Of a message that was being pushed, the peer sees
    /// all or nothing. A close that is pending is undone.
    ///
    /// # Errors
    /// `EINVAL` the token is not pending; `EALREADY` the operation has finished: wait for it.
    ///
    /// ```
    /// # use margay::{Config, Errno, LibOs};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// let qd = libos.create_pipe("quiet")?;
    /// let popped = libos.pop(qd, None)?;
    /// libos.cancel(popped)?;
    /// assert_eq!(libos.wait(popped, None)?.ok().unwrap_err().errno(), Errno::CANCELED);
    /// assert_eq!(libos.cancel(popped).unwrap_err().errno(), Errno::INVAL);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cancel(&mut self, qt: Qt) -> Result<()> {
        let Some((qd, direction)) = self.ops.parked(qt)? else {
            return Err(Error::new(Errno::ALREADY, "the operation has finished: wait for its token"));
        };
        let queue = self.queues.get_closing(qd)?;
        if self.ops.cancel(qt, &mut queue.fifos[direction as usize], CANCELED)? {
            self.backends.get(queue.backend).canceled(queue.handle, direction);
            queue.closing = false;
            // The operation behind it is the first now: it is tried at the next look.
            self.wakes.wake(qd.index() as u32, direction);
        }
        Ok(())
    }

    /// A handle by which another thread makes this LibOs' current or next blocking wait return `EINTR`.
    ///
    /// ```
    /// use margay::{Config, Errno, LibOs};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    ///
    /// let mut libos = LibOs::new(&config)?;
    /// let qd = libos.create_pipe("idle")?;
    /// let popped = libos.pop(qd, None)?;
    /// let handle = libos.wake_handle();
    /// std::thread::spawn(move || handle.wake());
    /// assert_eq!(libos.wait(popped, None).unwrap_err().errno(), Errno::INTR);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn wake_handle(&self) -> WakeHandle {
        self.reactor.wake_handle()
    }

    /// A file descriptor that becomes readable when this LibOs has something to do, for an epoll or tokio loop that owns
    /// it. Before each wait for it, call [`arm`](Self::arm); after it, [`poll`](Self::poll).
    ///
    /// ```
    /// use std::os::fd::AsRawFd;
    ///
    /// let libos = margay::LibOs::new(&margay::Config::default())?;
    /// assert!(libos.readiness_fd().as_raw_fd() >= 0);
    /// # Ok::<(), margay::StartError>(())
    /// ```
    #[must_use]
    pub fn readiness_fd(&self) -> BorrowedFd<'_> {
        self.reactor.fd()
    }

    /// How much of each buffer class is in use.
    #[must_use]
    pub fn pool_stats(&self) -> [runtime::buf::Stats; 3] {
        self.pools.stats()
    }

    /// Whether this descriptor names an open queue.
    ///
    /// # Errors
    /// `EBADF` if not.
    pub fn check(&mut self, qd: Qd) -> Result<()> {
        self.queues.get(qd).map(|_| ())
    }

    /// Queues that are open.
    #[must_use]
    pub fn queues(&self) -> usize {
        self.queues.len()
    }
}

impl AsFd for LibOs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.readiness_fd()
    }
}

impl Drop for LibOs {
    fn drop(&mut self) {
        // Coroutines hold the reactor, which holds them.
        self.reactor.shutdown();
        // As close would: the peers read the end, not a death.
        let open: Vec<Qd> = self.queues.open().collect();
        for qd in open {
            for direction in [Direction::Push, Direction::Pop] {
                // It is in the table, so it cannot fail.
                let _ = self.cancel_all(qd, direction, CLOSED_UNDER);
            }
            if let Ok(queue) = self.queues.get_closing(qd) {
                let _ = self.backends.get(queue.backend).close(queue.handle);
            }
        }
    }
}
