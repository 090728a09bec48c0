// SPDX-License-Identifier: MIT OR Apache-2.0
//! Closing: at once, with a reset, or after the peer has everything (`SO_LINGER`, `socket(7)`).
//!
//! The kernel would block the thread to linger. Here the stream is ended, and the socket waits for the edge that comes when
//! the peer has acknowledged the end; the deadline is a timer.
//!
//! A socket that is closed for the application can have something left to do: its peer may still be sending (`kernel`'s
//! [`Draining`]), or the kernel still reads memory of its pushes. It keeps its descriptor for that, for [`ORPHANED_FOR`] at most.

use crate::entry::{Closing, Entry, Orphan};
use crate::shared::Shared;
use core::task::Poll;
use core::time::Duration;
use kernel::{Drained, Draining, unsent};
use runtime::Result;
use runtime::limits::ORPHANED_FOR;
use runtime::op::Direction;
use runtime::socket::Kind;
use runtime::time::Time;
use runtime::transport::Handle;

/// System calls of a stream that is left, as a rule: its end, a receive, what is unsent.
const CALLS_TO_LEAVE: u64 = 3;
/// System calls of a look at one that is left.
const CALLS_TO_DRAIN: u64 = 2;

/// What is to be done with a socket that is being closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Not yet: it lingers.
    Lingers,
    /// Its descriptor is closed.
    Closed,
    /// It is closed for the application, and stays until nothing is left to do.
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
        // Without a timer there is nothing to wait by; the kernel sends the rest all the same.
        if let Some(time) = self.socket.linger().filter(|time| open && !time.is_zero())
            && self.ends_unsent()
            && shared.later(self, handle, time)
        {
            self.closing = Closing::Lingering;
            self.set_ready(Direction::Push, false);
            shared.park(self, Direction::Push);
            return Ending::Lingers;
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
        let now = shared.reactor.now();
        let draining = self.leave(now);
        shared.counters.system_calls += CALLS_TO_LEAVE;
        if draining.is_none() && !self.is_read() {
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
        self.orphan = Some(Box::new(Orphan { draining, until: now + ORPHANED_FOR }));
        shared.waiting += 1;
        // What has come meanwhile makes no further edge.
        shared.list(self, handle);
        Ending::Orphaned
    }

    /// Ends a stream as its option says, and reads away what is there. `None`: the socket can be closed.
    pub fn leave(&self, now: Time) -> Option<Draining> {
        if !self.is_open_stream() || self.failed.is_some() {
            return None;
        }
        if self.socket.linger() == Some(Duration::ZERO) {
            // It can fail only where nothing is left to be reset.
            let _: Result<()> = self.socket.reset_on_close();
            return None;
        }
        Draining::begin(&self.socket, false, now)
    }

    /// Whether the kernel reads memory of pushes.
    fn is_read(&self) -> bool {
        self.flights.as_ref().is_some_and(|flights| flights.is_busy())
    }

    /// Does what is to be done for a socket that was closed. True: nothing is, any more.
    pub fn look_after(&mut self, handle: Handle, shared: &mut Shared) -> bool {
        self.reap(shared);
        let now = shared.reactor.now();
        let Some(orphan) = &mut self.orphan else { return true };
        let mut until = orphan.until;
        if let Some(draining) = &mut orphan.draining {
            shared.counters.system_calls += CALLS_TO_DRAIN;
            match draining.look(&self.socket, now) {
                Drained::Over => orphan.draining = None,
                Drained::Until(at) => until = until.min(at),
                Drained::More => until = now,
            }
        }
        let draining = orphan.draining.is_some();
        if now >= orphan.until {
            // Whoever does not take it has had his time. What a device still holds comes back soon.
            orphan.until = now + ORPHANED_FOR;
            until = orphan.until;
            self.socket.reset();
            self.reap(shared);
        }
        if !draining && !self.is_read() {
            shared.waiting -= 1;
            shared.no_deadline(self, handle);
            return true;
        }
        if shared.until(self, handle, until) {
            return false;
        }
        // Without a timer nothing would end it.
        self.socket.reset();
        self.reap(shared);
        if self.is_read() {
            return false;
        }
        shared.waiting -= 1;
        true
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
