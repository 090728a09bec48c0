// SPDX-License-Identifier: MIT OR Apache-2.0
//! Closing: at once, with a reset, or after the peer has everything (`SO_LINGER`, `socket(7)`).
//!
//! The kernel would block the thread to linger. Here the stream is ended, and the socket waits for the edge that comes when
//! the peer has acknowledged the end; the deadline is a timer.

use crate::entry::{Closing, Entry};
use crate::shared::Shared;
use core::task::Poll;
use core::time::Duration;
use kernel::unsent;
use runtime::Result;
use runtime::op::Direction;
use runtime::socket::Kind;
use runtime::transport::Handle;

/// What is to be done with a socket that is being closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Not yet: it lingers.
    Lingers,
    /// Its descriptor is closed.
    Closed,
    /// It stays until the kernel has done with its memory.
    Orphaned,
}

impl Entry {
    /// Begins to close, or looks whether a lingering close is over.
    pub fn close(&mut self, handle: Handle, shared: &mut Shared) -> Ending {
        if self.closing == Closing::Lingering {
            // Without a deadline its time is over.
            if self.deadline.is_some() && self.has_unsent() {
                shared.park(self, Direction::Push);
                return Ending::Lingers;
            }
            return self.end(handle, shared);
        }
        let open = self.socket.kind() == Kind::Stream && self.socket.is_connected() && self.failed.is_none();
        match self.socket.linger() {
            // It can fail only where nothing is left to be reset.
            Some(Duration::ZERO) if open => drop(self.socket.reset_on_close()),
            // Without a timer there is nothing to wait by; the kernel sends the rest all the same.
            Some(time) if open && self.ends_unsent() && shared.later(self, handle, time) => {
                self.closing = Closing::Lingering;
                self.set_ready(Direction::Push, false);
                shared.park(self, Direction::Push);
                return Ending::Lingers;
            }
            _ => {}
        }
        self.end(handle, shared)
    }

    /// Ends the stream. Whether the peer has yet to take something.
    fn ends_unsent(&self) -> bool {
        self.socket.shutdown_write().is_ok() && self.has_unsent()
    }

    fn has_unsent(&self) -> bool {
        unsent(&self.socket).is_ok_and(|bytes| bytes != 0)
    }

    fn end(&mut self, handle: Handle, shared: &mut Shared) -> Ending {
        shared.no_deadline(self, handle);
        shared.forget(self);
        if let Some(flights) = &mut self.flights {
            flights.give_up();
        }
        self.reap(shared);
        if !self.flights.as_ref().is_some_and(|flights| flights.is_busy()) {
            return Ending::Closed;
        }
        if self.socket.linger() == Some(Duration::ZERO) {
            // What is on its way is dropped, and its memory comes back.
            self.socket.reset();
        } else {
            // Where this fails, nothing is on its way.
            let _: Result<()> = self.socket.shutdown_write();
        }
        self.closing = Closing::Orphan;
        shared.waiting += 1;
        Ending::Orphaned
    }

    /// The close is not waited for any more; the stream has ended all the same.
    pub fn stop_lingering(&mut self, handle: Handle, shared: &mut Shared) {
        if self.closing == Closing::Lingering {
            self.closing = Closing::No;
            shared.no_deadline(self, handle);
            self.set_ready(Direction::Push, true);
        }
    }
}

/// What `close` gives the LibOs.
pub const fn closed(ending: Ending) -> Poll<Result<()>> {
    match ending {
        Ending::Lingers => Poll::Pending,
        Ending::Closed | Ending::Orphaned => Poll::Ready(Ok(())),
    }
}
