// SPDX-License-Identifier: MIT OR Apache-2.0
//! The trait that every back end implements: what serves the queues.
//!
//! A transport never blocks and never calls up. An operation that cannot finish now answers `Pending`; it is tried again
//! after the transport has woken that queue's direction through [`Wakes`]. One operation per queue and direction is tried
//! at a time, in the order in which they were begun, so a transport sees a queue's pushes, and its pops, one after the
//! other.

use crate::buf::{Buf, Sga};
use crate::op::{Direction, Wakes};
use crate::reactor::Event;
use crate::{Errno, Error, Result};
use core::num::NonZeroUsize;
use core::task::Poll;

/// The index of a queue in its LibOs' table: what a transport wakes.
pub type QueueId = u32;

/// A transport's own name for one of its queues, given to the LibOs when the queue was made.
pub type Handle = u32;

/// How a pop takes the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PopMode {
    /// The whole message, in memory that nobody else writes (memory that was handed over by reference excepted).
    Whole,
    /// At most so many bytes of the message; the rest stays for the next pop.
    AtMost(NonZeroUsize),
    /// The whole message where it lies, without a copy if the transport can. Its room comes back when it is dropped.
    InPlace,
}

/// What [`Transport::arm`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Armed {
    /// Nothing is ready, and an event will come through the reactor once something is.
    Quiet,
    /// Something became ready meanwhile: poll again, do not sleep.
    Ready,
}

const NOT_HERE: Error = Error::new(Errno::NOTSUP, "this back end does not have this call");

/// What serves queues: pipes, sockets.
pub trait Transport {
    /// The name that the configuration uses.
    fn name(&self) -> &'static str;

    /// Makes a named pipe and waits in the background for its one peer.
    ///
    /// # Errors
    /// `EINVAL` bad name, `EEXIST` taken, `ENOTSUP` no pipes here.
    fn create_pipe(&mut self, _queue: QueueId, _name: &str) -> Result<Handle> {
        Err(NOT_HERE)
    }

    /// Opens a named pipe that another LibOs has made.
    ///
    /// # Errors
    /// `EINVAL`, `ENOENT`, `ECONNREFUSED`, `EACCES`, `ENOTSUP` no pipes here.
    fn open_pipe(&mut self, _queue: QueueId, _name: &str) -> Result<Handle> {
        Err(NOT_HERE)
    }

    /// Pushes the message, or what is left of it: on `Pending` the transport may have taken a part, and must be given the
    /// same message again.
    fn push(&mut self, handle: Handle, message: &mut Sga) -> Poll<Result<()>>;

    /// Pushes these bytes as a whole message, if that can be done at once; `Pending` says that it takes a buffer.
    fn push_bytes(&mut self, _handle: Handle, _bytes: &[u8]) -> Poll<Result<()>> {
        Poll::Pending
    }

    /// Pops a message. An empty one is the end of the stream.
    fn pop(&mut self, handle: Handle, mode: PopMode) -> Poll<Result<Sga>>;

    /// Looks up to `looks` times, and nothing else, whether an operation that was `Pending` is worth trying again. A
    /// transport that cannot look cheaply says yes.
    fn spin(&mut self, _handle: Handle, _direction: Direction, _looks: u32) -> bool {
        true
    }

    /// Ends the stream from this side, after all pushes before it.
    fn shutdown(&mut self, handle: Handle) -> Poll<Result<()>>;

    /// Ends the queue. No call with this handle follows one that was `Ready`.
    fn close(&mut self, handle: Handle) -> Poll<Result<()>>;

    /// The operation that was being tried in this direction will not be tried again.
    fn canceled(&mut self, handle: Handle, direction: Direction);

    /// Memory that this queue can hand over without a copy.
    ///
    /// # Errors
    /// `ENOBUFS` none left, `EMSGSIZE` larger than the pieces it has, `ENOTSUP` no such memory.
    fn alloc(&mut self, _handle: Handle, _len: usize) -> Result<Buf> {
        Err(NOT_HERE)
    }

    /// Looks once at everything that is watched by looking, and wakes what can go on. One bounded batch.
    fn poll(&mut self, wakes: &mut Wakes);

    /// A file descriptor that this transport watches has an event.
    fn event(&mut self, event: Event, wakes: &mut Wakes);

    /// The LibOs is about to sleep.
    fn arm(&mut self) -> Armed;

    /// The LibOs is awake again.
    fn disarm(&mut self) {}
}
