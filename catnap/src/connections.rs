// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connecting and accepting.

use crate::entry::{End, Entry};
use crate::shared::Shared;
use core::task::Poll;
use kernel::{Connecting, Socket};
use runtime::limits::ACCEPT_PAUSE;
use runtime::op::Direction;
use runtime::socket::{Domain, Kind};
use runtime::transport::Handle;
use runtime::{Errno, Result};

impl Entry {
    /// Sees to it that the epoll set has the socket.
    ///
    /// # Errors
    /// `ENOMEM`, `ENOSPC`.
    pub fn watch(&mut self, name: u64, shared: &mut Shared) -> Result<()> {
        if !self.watched {
            shared.called();
            shared.poller.watch(&self.socket, name)?;
            self.watched = true;
        }
        Ok(())
    }

    /// Forgets what was known of a connection that did not come about.
    pub fn start_over(&mut self) {
        self.ready = [true; 2];
        (self.leaves, self.large, self.end, self.failed, self.skip) =
            (self.socket.domain() == Domain::Unix, false, End::Open, None, 0);
        self.pauses = 0;
    }

    /// What came of a connect.
    pub fn connected(&mut self, handle: Handle, shared: &mut Shared) -> Poll<Result<()>> {
        if !self.socket.is_connecting() {
            // A datagram socket is connected at once.
            return Poll::Ready(self.socket.peer_address().map(drop));
        }
        shared.called();
        match self.socket.connecting() {
            Ok(Connecting::Pending) => {}
            Ok(Connecting::Full) => {
                if !shared.pause(self, handle) {
                    return Poll::Ready(self.refused(Errno::AGAIN, handle, shared));
                }
            }
            Ok(Connecting::Done) => {
                shared.counters.connected += 1;
                self.pauses = 0;
                shared.no_deadline(self, handle);
                self.set_ready(Direction::Push, true);
                // Pops wait for this, too.
                shared.list(self, handle);
                return Poll::Ready(Ok(()));
            }
            Err(error) => {
                self.not_connected(handle, shared);
                shared.counters.refused += 1;
                return Poll::Ready(Err(error));
            }
        }
        self.set_ready(Direction::Push, false);
        shared.park(self, Direction::Push);
        Poll::Pending
    }

    #[cold]
    fn refused(&mut self, errno: Errno, handle: Handle, shared: &mut Shared) -> Result<()> {
        self.give_up_connect(handle, shared);
        Err(runtime::Error::new(errno, "the backlog is full, and there is no timer to try again by"))
    }

    /// Gives a connect up.
    pub fn give_up_connect(&mut self, handle: Handle, shared: &mut Shared) {
        self.socket.give_up_connect();
        self.not_connected(handle, shared);
    }

    /// What waited for the connection is told that there is none.
    fn not_connected(&mut self, handle: Handle, shared: &mut Shared) {
        shared.no_deadline(self, handle);
        self.start_over();
        shared.list(self, handle);
    }

    /// Takes a connection that waits.
    pub fn accept(&mut self, handle: Handle, shared: &mut Shared) -> Poll<Result<Socket>> {
        let accepted = self.try_accept(handle, shared);
        if accepted.is_pending() {
            shared.park(self, Direction::Pop);
        }
        accepted
    }

    fn try_accept(&mut self, handle: Handle, shared: &mut Shared) -> Poll<Result<Socket>> {
        if let Err(error) = self.socket.can_accept() {
            return Poll::Ready(Err(error));
        }
        if !self.is_ready(Direction::Pop) {
            return Poll::Pending;
        }
        shared.called();
        match self.socket.accept() {
            Ok(Some(socket)) => {
                shared.counters.accepted += 1;
                Poll::Ready(Ok(socket))
            }
            Ok(None) => {
                self.set_ready(Direction::Pop, false);
                Poll::Pending
            }
            // Others come first; it is still ready.
            Err(error) if error.errno() == Errno::CONNABORTED => {
                shared.list(self, handle);
                Poll::Pending
            }
            Err(error) => {
                // The connection waits on, and makes no second edge. A server that accepts again at once does not spin.
                if shared.later(self, handle, ACCEPT_PAUSE) {
                    self.set_ready(Direction::Pop, false);
                }
                Poll::Ready(Err(error))
            }
        }
    }

    /// Whether the application can push and pop: a stream that is connected.
    pub fn is_open_stream(&self) -> bool {
        self.socket.kind() == Kind::Stream && self.socket.is_connected()
    }
}
