// SPDX-License-Identifier: MIT OR Apache-2.0
//! How sockets end: closed, with and without linger (`SO_LINGER` of `socket(7)`), called off, and all of them at once.

use core::task::Poll;
use core::time::Duration;

use runtime::slab::Key;
use runtime::time::Time;
use runtime::{Errno, Error, Result};

use super::StreamId;
use super::socket::Kind;
use crate::stack::Stack;
use crate::tcp::connection::{Connection, State};
use crate::tcp::seq::Seq;
use crate::tcp::table::Place;

const CLOSED: Error = Error::new(Errno::BADF, "the socket is closed");

/// How long a connection that has ended must have been silent for a new one between its ends to be begun from here.
const QUIET: Duration = Duration::from_secs(1);

impl Stack {
    /// Ends a socket. What was pushed is still delivered, unless it lingers for no time: then the peer hears a reset. `Pending`:
    /// it lingers (`SO_LINGER`), and is to be closed again when it is woken as writable.
    ///
    /// Errors: `EBADF`.
    pub fn stream_close(&mut self, id: StreamId, now: Time) -> Poll<Result<()>> {
        self.streams.now = now;
        let index = id.0.index;
        let Ok(stream) = self.streams.get(id) else { return Poll::Ready(Err(CLOSED)) };
        let linger = stream.options().linger;
        let open = match &mut stream.kind {
            Kind::Open(open) => open,
            Kind::Idle => {
                self.streams.remove(index);
                return Poll::Ready(Ok(()));
            }
            Kind::Listening(_) => {
                self.end_listener(id.0, now);
                return Poll::Ready(Ok(()));
            }
        };
        match linger {
            Some(Duration::ZERO) => self.stream_abort(id, now),
            Some(time) if open.told && !open.connection.is_over() => {
                if open.lingers == Time::MAX {
                    open.lingers = (now + time).min(Time::from_nanos(u64::MAX - 1));
                    open.connection.shutdown(now);
                    self.settle(index, now);
                }
                let waits = self.streams.get(id).ok().and_then(|stream| stream.open()).is_some_and(|open| {
                    !open.connection.is_drained() && !open.connection.is_over() && now < open.lingers
                });
                if waits {
                    return Poll::Pending;
                }
                self.orphan(index, now);
            }
            _ => self.orphan(index, now),
        }
        Poll::Ready(Ok(()))
    }

    /// Nobody names the socket any more: its connection ends by itself.
    fn orphan(&mut self, index: u32, now: Time) {
        if let Some(stream) = self.streams.slab.at_mut(index) {
            stream.orphan = true;
            if let Kind::Open(open) = &mut stream.kind {
                (open.lingers, open.closed) = (Time::MAX, now);
                open.connection.close(now);
            }
        }
        self.settle(index, now);
    }

    /// Ends what listens. Those that wait to be accepted hear a reset; those that are not done yet hear one when they try.
    fn end_listener(&mut self, key: Key, now: Time) {
        for index in 0..self.streams.half_open.slots() {
            let streams = &self.streams;
            let is_vain = streams.half_open.at(index).is_some_and(|answered| {
                // A connection that was accepted before its peer has answered goes on.
                answered.half.listener == key && !answered.half.early.is_some_and(|early| streams.is_accepted(early))
            });
            if is_vain {
                self.forget_half_open(index);
            }
        }
        while let Some(Kind::Listening(listener)) = self.streams.slab.get_mut(key).map(|stream| &mut stream.kind)
            && let Some(waiting) = listener.backlog.pop()
        {
            self.abort_at(waiting.index, now);
        }
        self.streams.unlisten(key.index);
        self.streams.remove(key.index);
    }

    pub(super) fn abort_at(&mut self, index: u32, now: Time) {
        if let Some(stream) = self.streams.slab.at_mut(index) {
            stream.orphan = true;
            if let Kind::Open(open) = &mut stream.kind {
                open.connection.abort();
            }
        }
        self.settle(index, now);
    }

    /// Calls a push off: what stands in the queue is sent all the same, and nobody waits for it.
    pub fn stream_forget_push(&mut self, id: StreamId) {
        if let Some(open) = self.streams.get(id).ok().and_then(|stream| stream.open()) {
            open.connection.forget_push();
            open.starves = false;
        }
    }

    /// Calls a connect off: the socket is as it was before it. Without effect on one that does not connect.
    pub fn stream_give_up(&mut self, id: StreamId, now: Time) {
        self.streams.now = now;
        let Ok(stream) = self.streams.get(id) else { return };
        if let Kind::Open(open) = &mut stream.kind
            && !open.told
        {
            // A peer that has answered meanwhile hears that nobody is here.
            open.connection.abort();
            self.flush(id.0.index, now);
            self.unconnect(id.0.index);
        }
    }

    /// The socket of a connect that came to nothing is as it was before.
    pub(super) fn unconnect(&mut self, index: u32) {
        self.streams.unlink(index);
        self.streams.holds_none(index);
        let Some(stream) = self.streams.slab.at_mut(index) else { return };
        let before = core::mem::replace(&mut stream.kind, Kind::Idle);
        stream.local = match stream.hold() {
            Some(address) => (address, stream.local.1),
            None => (stream.wildcard(), 0),
        };
        if let Kind::Open(open) = before {
            self.streams.timers.cancel(open.timer);
        }
    }

    /// Calls a close off that lingers: what was shut stays so, but the socket is open, and the next close judges anew.
    pub fn stream_keep(&mut self, id: StreamId) {
        if let Some(open) = self.streams.get(id).ok().and_then(|stream| stream.open()) {
            open.lingers = Time::MAX;
        }
    }

    /// Ends a socket as a close does whose linger time is zero: the peer hears a reset, and nothing is left.
    pub fn stream_abort(&mut self, id: StreamId, now: Time) {
        self.streams.now = now;
        match self.streams.get(id).map(|stream| &stream.kind) {
            Ok(Kind::Open(_)) => self.abort_at(id.0.index, now),
            Ok(Kind::Listening(_)) => self.end_listener(id.0, now),
            Ok(Kind::Idle) => drop(self.streams.remove(id.0.index)),
            Err(_) => {}
        }
    }

    /// How many connections that were closed still have something of their own to send, or have not heard that it has arrived.
    #[must_use]
    pub fn streams_unfinished(&self) -> u32 {
        let streams = &self.streams;
        let unfinished = (0..streams.slab.slots()).filter_map(|index| streams.slab.at(index)).filter(|stream| {
            stream.orphan
                && matches!(&stream.kind, Kind::Open(open) if !matches!(
                    open.connection.state(),
                    State::FinWait2 | State::TimeWait | State::Closed
                ))
        });
        unfinished.count() as u32
    }

    /// How many connections that were closed wait for nothing but their peers' end.
    #[must_use]
    pub fn streams_ending(&self) -> u32 {
        (0..self.streams.slab.slots()).filter(|&index| self.is_ending(index)).count() as u32
    }

    /// Whether a connection was closed, and all that was pushed has arrived.
    fn is_ending(&self, index: u32) -> bool {
        self.streams.slab.at(index).is_some_and(|stream| {
            stream.orphan && matches!(&stream.kind, Kind::Open(open) if open.connection.state() == State::FinWait2)
        })
    }

    /// Ends all that is left of all connections: their peers hear a reset. But not those who have everything and have not ended yet
    /// (FIN-WAIT-2): what such a peer has not read it would lose (RFC 9293 section 3.10.7.4). One that has sent more since has to hear
    /// that nobody takes it (section 3.6.1), or it would send it again and again to somebody who is gone.
    pub fn abort_streams(&mut self, now: Time) {
        self.streams.now = now;
        for index in 0..self.streams.slab.slots() {
            let open = self.streams.slab.at(index).and_then(|stream| match &stream.kind {
                Kind::Open(open) => Some(&open.connection),
                _ => None,
            });
            let is_sent_to = open.is_some_and(Connection::is_sent_to);
            if open.is_some() && (is_sent_to || !self.is_ending(index)) {
                self.abort_at(index, now);
            }
        }
    }

    /// A connection that has ended makes place for a new one between its ends, if it can be told from it by its clock and was
    /// silent for a while (RFC 6191 section 3): behind which number the new one has to begin.
    pub(super) fn reuse_time_wait(&mut self, index: u32, now: Time) -> Option<Seq> {
        let waiting = self.streams.time_waits.get(index)?;
        let since = now + self.streams.settings.time_wait;
        if waiting.state.clocks.is_none() || waiting.until() + QUIET > since {
            return None;
        }
        let behind = waiting.state.next;
        self.streams.forget_time_wait(index);
        Some(behind)
    }
}

impl super::Streams {
    /// One that has ended is forgotten.
    pub(super) fn forget_time_wait(&mut self, index: u32) {
        let Some(waiting) = self.time_waits.remove(index) else { return };
        self.table.remove(waiting.hash, Place::TimeWait(index));
        if let Some(reuse) = waiting.holds {
            let (address, port) = waiting.flow.local;
            self.ports.release(port, address, super::ports::Sharing::of_the_dead(reuse));
        }
    }

    /// A socket does not listen any more.
    pub(super) fn unlisten(&mut self, index: u32) {
        let Some(stream) = self.slab.at_mut(index) else { return };
        if let (Kind::Listening(_), Some(hold)) = (&stream.kind, stream.hold()) {
            stream.kind = Kind::Idle;
            let (port, sharing) = (stream.local.1, stream.sharing());
            self.ports.set_listening(port, hold, sharing, false);
            self.listeners.remove(hold, port, index);
        }
    }
}
