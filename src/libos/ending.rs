// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ending things: half-close, close, cancel.

use super::queues::{Deaf, Queue};
use super::{CLOSED_UNDER, LibOs, SHUT};
use core::task::Poll;
use runtime::op::{Direction, Outcome, Work};
use runtime::{Errno, Error, Qd, Qt, Result};
use std::net::Shutdown;

const DEAF: Error = Error::new(Errno::PIPE, "the queue was shut down for reading before");
const CANCELED: Error = Error::new(Errno::CANCELED, "the operation was cancelled");

impl LibOs {
    /// Ends the queue in one direction, or in both.
    ///
    /// - `Write`: the peer reads the end after everything that was pushed before; pops go on here.
    /// - `Read`: pops here give the end once, then `EPIPE`, whatever the peer has pushed or will push; it is not told.
    /// - `Both`: what of the two has not been done yet.
    ///
    /// # Errors
    /// `EBADF`; `EPIPE` if it was shut down so before, or the peer has gone; `EAGAIN` too many tokens are open. Sockets:
    /// `ENOTCONN`; `EOPNOTSUPP` reading of datagrams.
    ///
    /// ```
    /// # use margay::{Config, Errno, LibOs};
    /// use std::net::Shutdown;
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// let (made, opened) = (libos.create_pipe("half")?, libos.open_pipe("half")?);
    /// libos.push(made, b"last words")?;
    /// libos.shutdown(made, Shutdown::Write)?;
    /// assert_eq!(libos.push(made, b"more").unwrap_err().errno(), Errno::PIPE);
    /// for expected in [&b"last words"[..], b""] {
    ///     let popped = libos.pop(opened, None)?;
    ///     assert_eq!(libos.wait(popped, None)?.into_message()?.to_vec(), expected);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shutdown(&mut self, qd: Qd, how: Shutdown) -> Result<()> {
        match how {
            Shutdown::Read => self.stop_reading(qd),
            Shutdown::Write => self.stop_writing(qd),
            Shutdown::Both => {
                let queue = self.queues.get(qd)?;
                let (read, written) = (queue.deaf != Deaf::No, queue.shut);
                if !read || written {
                    self.stop_reading(qd)?;
                }
                if written { Ok(()) } else { self.stop_writing(qd) }
            }
        }
    }

    fn stop_reading(&mut self, qd: Qd) -> Result<()> {
        let queue = self.queues.get(qd)?;
        if queue.datagrams {
            return Err(Error::new(Errno::OPNOTSUPP, "a datagram socket cannot be shut down for reading: close it"));
        }
        if queue.deaf != Deaf::No {
            return Err(DEAF);
        }
        // A socket without a peer has nothing to end; the back end knows. A pipe has no addresses, and always may.
        let backend = self.backends.get(queue.backend);
        let peer = if queue.unix {
            backend.peer_path(queue.handle).map(drop)
        } else {
            backend.peer_address(queue.handle).map(drop)
        };
        if let Err(error) = peer
            && error.errno() == Errno::NOTCONN
        {
            return Err(error);
        }
        queue.deaf = Deaf::Untold;
        let fifo = &mut queue.fifos[Direction::Pop as usize];
        if !fifo.is_empty() {
            self.backends.get(queue.backend).canceled(queue.handle, Direction::Pop);
        }
        while !queue.fifos[Direction::Pop as usize].is_empty() {
            let end = queue.end();
            self.ops.finish_first(&mut queue.fifos[Direction::Pop as usize], end);
        }
        Ok(())
    }

    fn stop_writing(&mut self, qd: Qd) -> Result<()> {
        let queue = self.queues.get(qd)?;
        if queue.shut {
            return Err(SHUT);
        }
        self.ops.reserve()?;
        let fifo = &mut queue.fifos[Direction::Push as usize];
        if fifo.is_empty()
            && let Poll::Ready(done) = self.backends.get(queue.backend).shutdown(queue.handle)
        {
            // Without a peer nothing has ended, and the queue can still get one.
            queue.shut = !done.is_err_and(|error| error.errno() == Errno::NOTCONN);
            return done;
        }
        queue.shut = true;
        self.ops.park(qd, Work::Shutdown, fifo).map(|_| ())
    }

    /// Closes the queue. Its pending operations end with `ECANCELED`; the peer reads the end after everything that was
    /// pushed before. The descriptor is gone once the token has completed, which it nearly always has at once.
    ///
    /// A TCP socket of the kernel whose peer still sends, or has not taken everything, stays open for the LibOs alone: while
    /// that is waited on or polled, what comes is read away, because the kernel would reset the connection for it. At most
    /// for five seconds and 64 MiB, and not with a linger of zero. A LibOs that is dropped reads away what is there.
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
        // A socket may linger, from now on.
        self.reactor.refresh_clock();
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

    pub(super) fn cancel_all(&mut self, qd: Qd, direction: Direction, error: Error) -> Result<()> {
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

    /// Ends an operation early: its token completes with `ECANCELED`. Of a message that was being pushed, the peer of a
    /// pipe sees all or nothing; on a stream socket what was sent stays sent. A close that
    /// is pending is undone; that of a socket that lingers has ended the stream already, and only the waiting is.
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
        let fifo = &mut queue.fifos[direction as usize];
        let is_early = self.ops.is_behind_connect(qt, *fifo);
        if self.ops.cancel(qt, fifo, CANCELED)? {
            self.backends.get(queue.backend).canceled(queue.handle, direction);
            queue.closing = false;
            // The operation behind it is the first now: it is tried at the next look.
            self.wakes.wake(qd.index() as u32, direction);
        } else if is_early {
            self.backends.get(queue.backend).forget_early(queue.handle);
        }
        Ok(())
    }
}
