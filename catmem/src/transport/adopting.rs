// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pipes without names, for a transport above this one that makes its own handshakes.
//!
//! ```text
//!   reserve ──host / join──▶ a pipe like any other, until close or abort
//! ```
//!
//! What always holds: such a pipe costs one descriptor, the connection that came out of the handshake. It is watched under
//! [`Catmem::connection_token`] from then on, hang-ups included.

use super::{CLOSED, CONNECTION, Catmem, unwatch};
use crate::doorbell::{Doorbell, can_membarrier};
use crate::layout::{Layout, Side};
use crate::mapping::Mapping;
use crate::pipe::{Ends, Pipe};
use crate::rendezvous::{Direction as Sizes, Hello};
use core::task::Poll;
use runtime::op::{Direction, Wakes};
use runtime::reactor::{Event, Interest};
use runtime::transport::{Handle, QueueId};
use runtime::{Errno, Error, Result};
use std::os::fd::OwnedFd;
use std::rc::Rc;

/// What the pipe carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carries {
    /// Messages, each popped whole.
    Messages,
    /// A stream of bytes: long messages are popped in pieces as they come.
    Stream,
    /// Messages, of which some may be empty. The end has no segments, an empty message has one.
    Datagrams,
}

impl Catmem {
    /// A pipe that is joined to nobody yet. Until it is, its operations fail with `idle`, or wait if there is none.
    pub fn reserve(&mut self, queue: QueueId, idle: Option<Error>) -> Handle {
        let serial = self.next_serial();
        self.insert(Pipe::reserved(queue, serial, idle))
    }

    /// Changes what operations give until the pipe is joined. Those that wait hear of it with the next poll.
    pub fn set_idle(&mut self, handle: Handle, idle: Option<Error>) {
        let Ok(pipe) = self.pipe(handle) else { return };
        pipe.idle = idle;
        let queue = pipe.queue;
        if idle.is_some() {
            self.failed.push(queue);
        }
    }

    /// The queue to wake from now on.
    pub fn assign(&mut self, handle: Handle, queue: QueueId) {
        if let Ok(pipe) = self.pipe(handle) {
            pipe.queue = queue;
        }
    }

    /// The token under which this pipe's connection is watched.
    #[must_use]
    pub fn connection_token(&self, handle: Handle) -> u64 {
        self.token(handle, CONNECTION)
    }

    /// The handle in a token of this transport.
    #[must_use]
    pub fn handle_of(&self, token: u64) -> Handle {
        ((token & !self.token) >> 1) as Handle
    }

    /// Makes the memory for a reserved pipe and joins it. Gives what the peer has to [`join`](Self::join) with; it is to be
    /// sent before the application gets the pipe. `membarrier` is what the peer said of itself. From here on the
    /// connection is watched.
    ///
    /// # Errors
    /// `ENOMEM`, `EMFILE` and the like; the pipe is as it was.
    pub fn host(
        &mut self,
        handle: Handle,
        connection: &Rc<OwnedFd>,
        sizes: [Sizes; 2],
        membarrier: bool,
        carries: Carries,
    ) -> Result<(Hello, OwnedFd)> {
        let total = Layout::new(sizes).total;
        let hello = Hello::new(sizes, total as u64, can_membarrier())?;
        let (mapping, memory) = Mapping::create(total)?;
        self.adopt(handle, connection, &hello, mapping, Side::Creator, membarrier, carries)?;
        self.reactor.watch(&**connection, Interest::READABLE, self.connection_token(handle)).inspect_err(|_| {
            if let Ok(pipe) = self.pipe(handle) {
                pipe.connection = None;
                pipe.ends = None;
            }
        })?;
        Ok((hello, memory))
    }

    /// Joins a reserved pipe with what its host has sent. The caller watches the connection under this pipe's token
    /// already.
    ///
    /// # Errors
    /// `EPROTO` if it is not what an honest host sends; `ENOMEM` and the like. The pipe is as it was.
    pub fn join(
        &mut self,
        handle: Handle,
        connection: &Rc<OwnedFd>,
        hello: &Hello,
        memory: OwnedFd,
        carries: Carries,
    ) -> Result<()> {
        let total = Layout::new(hello.directions()).total;
        if hello.total_len() != total as u64 {
            return Err(Error::new(Errno::PROTO, "the peer's segment does not have the size that its parts add up to"));
        }
        let mapping = Mapping::attach(memory, total)?;
        self.adopt(handle, connection, hello, mapping, Side::Opener, hello.membarrier(), carries)
    }

    #[expect(clippy::too_many_arguments, reason = "what both sides of a handshake have come to")]
    fn adopt(
        &mut self,
        handle: Handle,
        connection: &Rc<OwnedFd>,
        hello: &Hello,
        mapping: Mapping,
        side: Side,
        membarrier: bool,
        carries: Carries,
    ) -> Result<()> {
        let mapping = Rc::new(mapping);
        let (mine, theirs) = (Layout::wake(side), Layout::wake(side.peer()));
        let bell = Rc::new(Doorbell::new(Rc::clone(&mapping), mine, theirs, Rc::clone(connection)));
        bell.use_membarrier(membarrier);
        let stream = carries == Carries::Stream;
        let max_message = if stream { usize::MAX } else { self.settings.max_message };
        let ends = Ends::new(&mapping, hello, side, bell, None, (&self.pools, max_message));
        self.pipe(handle)?.adopt(ends, Rc::clone(connection), carries);
        Ok(())
    }

    /// The connection of an adopted pipe has an event.
    pub(super) fn bell_rang(&mut self, handle: Handle, event: Event, wakes: &mut Wakes) {
        let Ok(pipe) = self.pipe(handle) else { return };
        let queue = pipe.queue;
        if pipe.read_connection(event.hangup)
            && let Some(connection) = pipe.connection.take()
        {
            let _ = self.reactor.unwatch(&*connection);
        }
        wakes.wake(queue, Direction::Push);
        wakes.wake(queue, Direction::Pop);
    }

    /// Publishes the end and says goodbye; the pipe stays, for [`drained`](Self::drained), until it is closed.
    ///
    /// # Errors
    /// What became of the pipe, if nothing can be published any more.
    pub fn take_leave(&mut self, handle: Handle) -> Result<()> {
        self.pipe(handle)?.take_leave()
    }

    /// `Ready` once the peer has read all that was published, has closed or is gone. While it is `Pending` the queue's
    /// [`Direction::Push`] is woken when that changes.
    pub fn drained(&mut self, handle: Handle) -> Poll<()> {
        let drained = self.pipe(handle).map_or(Poll::Ready(()), Pipe::drained);
        if drained.is_pending() {
            self.parked(handle, Direction::Push);
        }
        drained
    }

    /// Whether the pipe has a peer that has neither closed nor died.
    #[must_use]
    pub fn is_joined(&self, handle: Handle) -> bool {
        matches!(self.pipes.get(handle as usize), Some(Some(pipe)) if pipe.has_peer())
    }

    /// Whether the peer has ended what it writes, and all before that was popped. Looks at memory alone, and so knows of a
    /// close before the connection's event has come.
    #[inline]
    #[must_use]
    pub fn is_at_end(&self, handle: Handle) -> bool {
        matches!(self.pipes.get(handle as usize), Some(Some(pipe)) if pipe.is_at_end())
    }

    /// Pushes a message without a byte, if there is room, on a pipe that carries datagrams.
    pub fn push_empty(&mut self, handle: Handle) -> Poll<Result<()>> {
        let Ok(pipe) = self.pipe(handle) else { return Poll::Ready(Err(CLOSED)) };
        match pipe.push_empty() {
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.checked(handle, error))),
            other => other,
        }
    }

    /// Ends a pipe without a goodbye: the peer reads what was published, then that this end has died.
    pub fn abort(&mut self, handle: Handle) {
        let reactor = Rc::clone(&self.reactor);
        let Some(Some(mut pipe)) = self.pipes.get_mut(handle as usize).map(Option::take) else { return };
        unwatch(&reactor, &pipe);
        pipe.hang_up();
        self.hot.retain(|&other| other != handle);
        self.free.push(handle);
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
