// SPDX-License-Identifier: MIT OR Apache-2.0
//! [`LibOs`]: the queue API over every transport at once.
//!
//! - `pipes`, `sockets`, `paths`, `io`, `ending`: the calls, by what they do. `message`: what can be pushed.
//! - `queues`: the table behind queue descriptors.
//! - `run`: making pending operations go on: looking, collecting events, sleeping.
//! - `wait`: the calls that wait for completions. `submit`: closures of other threads.
//!
//! `push`, `pop` and `close` first try to finish at once; what cannot is parked, and tried again when its transport says
//! so. Nothing here allocates once the tables have grown to what is in flight.

mod counted;
mod ending;
mod io;
mod message;
mod paths;
mod pipes;
mod queues;
mod run;
mod sockets;
mod start;
mod submit;
#[cfg(test)]
mod tests;
mod wait;

pub use message::IntoMessage;
pub use start::StartError;
pub use submit::Submitter;
pub use wait::WaitSet;

use crate::backend::Backends;
use crate::config::{Config, Spin};
use crate::stats::Publisher;
use core::time::Duration;
use queues::Queues;
use runtime::buf::{Classes, Pools};
use runtime::op::{Direction, Ops, Wakes};
use runtime::reactor::{Events, Reactor};
use runtime::{Errno, Error, Qd, Result};
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;

pub use runtime::task::WakeHandle;

const CLOSED_UNDER: Error = Error::new(Errno::CANCELED, "the queue was closed before the operation was done");
const SHUT: Error = Error::new(Errno::PIPE, "the queue was shut down for writing");

/// A library operating system: queues, their operations, and all the transports that serve them.
///
/// It belongs to one thread; make one per thread and core. Other threads reach it by its [`WakeHandle`], and hand work to it
/// by its [`Submitter`].
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
    submitted: submit::Submitted,
    spin: Option<Duration>,
    /// Calls that were served without looking around; see `run::LOOK_AROUND`.
    busy: u32,
    counted: counted::Counted,
    stats: Publisher,
    /// Rounds of waits so far; see `run::ROUNDS_PER_COLLECT`.
    rounds: u32,
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
            backends: Backends::new(config, &reactor, &pools)?,
            wakes: Wakes::default(),
            pools,
            submitted: submit::Submitted::new(reactor.wake_handle()),
            reactor,
            events: Box::new(Events::new()),
            spin: match config.wait.spin {
                Spin::For(duration) => Some(duration),
                Spin::Forever => None,
            },
            busy: 0,
            counted: counted::Counted::default(),
            stats: Publisher::new(config),
            rounds: 0,
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

    /// How much of each buffer class is in use: small, large, oversize.
    ///
    /// ```
    /// let mut libos = margay::LibOs::new(&margay::Config::default())?;
    /// let _buf = libos.alloc(64)?;
    /// assert_eq!(libos.pool_stats()[0].in_use, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn pool_stats(&self) -> [runtime::buf::Stats; 3] {
        self.pools.stats()
    }

    /// Whether this descriptor names an open queue.
    ///
    /// # Errors
    /// `EBADF` if not.
    ///
    /// ```
    /// # use margay::{Config, Errno, LibOs};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// let qd = libos.create_pipe("checked")?;
    /// libos.check(qd)?;
    /// libos.close(qd)?;
    /// assert_eq!(libos.check(qd).unwrap_err().errno(), Errno::BADF);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn check(&mut self, qd: Qd) -> Result<()> {
        self.queues.get(qd).map(|_| ())
    }

    /// Queues that are open.
    ///
    /// ```
    /// # use margay::{Config, LibOs};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// libos.create_pipe("counted")?;
    /// assert_eq!(libos.queues(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
