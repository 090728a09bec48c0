// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a connection ends: by both FINs, by an RST, or because the peer is given up (RFC 9293 sections 3.6 and 3.10.4 to
//! 3.10.5).

use alloc::boxed::Box;
use core::time::Duration;

use runtime::limits::{DRAINED_FOR, DRAINED_MAX, DRAINED_SILENCE};
use runtime::time::Time;
use runtime::{Errno, Error};

use super::open::{Due, Open};
use super::timers::Slow;
use super::{ABORTED, State};
use crate::tcp::time_wait::TimeWait;

const RESET: Error = Error::new(Errno::CONNRESET, "the peer has reset the connection");
/// As on Linux: the peer's end had come before.
const RESET_BEHIND_END: Error = Error::new(Errno::PIPE, "the peer has reset the connection behind its end");

/// What still comes to a connection that nobody reads any more is answered by an RST (RFC 9293 section 3.6.1, RFC 2525 section
/// 2.17). A peer loses by that what it has not heard of; so what comes is thrown away, as long as it is not too much, while something
/// that was pushed is on its way, or if the peer was sending when the application closed.
#[derive(Debug)]
pub(super) struct Orphan {
    /// When the application closed.
    pub closed: Time,
    until: Time,
    /// When a peer that was sending has been silent for long enough.
    silent: Time,
    left: usize,
    /// Something has come since.
    sends: bool,
}

/// A time in milliseconds.
pub(super) const fn millis(time: u32) -> Duration {
    Duration::from_millis(time as u64)
}

impl Open {
    /// Our stream ends behind what was pushed (RFC 9293 section 3.10.4).
    pub fn shutdown(&mut self, now: Time) {
        if self.fin || !self.state.may_push() {
            return;
        }
        self.fin = true;
        self.stirred = true;
        self.enter(self.state.ended_here(), now);
    }

    /// As [`shutdown`](Self::shutdown), and what comes is thrown away.
    pub fn close(&mut self, now: Time) {
        if self.orphan.is_some() {
            return;
        }
        self.shutdown(now);
        let left = DRAINED_MAX.saturating_sub(self.receiver.readable());
        let was_sending = self.receiver.readable() > 0 || self.receiver.has_hole();
        let silent = if was_sending { now + DRAINED_SILENCE } else { now };
        self.orphan = Some(Box::new(Orphan { closed: now, until: now + DRAINED_FOR, silent, left, sends: false }));
        if self.timers.probes.sent > 0 {
            // What was asked before was asked for the application, and the time of who has none begins now.
            self.timers.probes.sent = 0;
        }
        self.throw_away(now);
        if self.state == State::FinWait2 {
            self.timers.end = now + millis(self.fin_wait);
        }
        self.stirred = true;
    }

    /// Drops what has come in order.
    pub fn throw_away(&mut self, now: Time) {
        while let Ok(Some(_)) = self.receiver.pop(None, || Duration::ZERO, now) {}
    }

    /// So many bytes have come that nobody will read. Whether that is too much.
    #[cold]
    pub fn is_unwanted(&mut self, bytes: usize, now: Time) -> bool {
        let Some(orphan) = &mut self.orphan else { return false };
        orphan.sends = true;
        let is_heard = now >= orphan.silent && self.queue.is_empty();
        if is_heard || now >= orphan.until || bytes > orphan.left {
            return true;
        }
        orphan.left -= bytes;
        orphan.silent = now + DRAINED_SILENCE;
        false
    }

    /// Whether the peer has sent something that nobody will read since the application closed.
    #[must_use]
    pub fn is_sent_to(&self) -> bool {
        self.orphan.as_ref().is_some_and(|orphan| orphan.sends)
    }

    /// Ends it at once (RFC 9293 section 3.10.5); the peer gets an RST, if it may still wait for something.
    pub fn abort(&mut self) {
        match self.state {
            State::Closed | State::TimeWait => {}
            _ => self.due.set(Due::RESET),
        }
        self.fail(ABORTED);
    }

    /// The peer has sent an RST, in the place where it counts.
    pub fn reset(&mut self) {
        match self.state {
            // RFC 1337 section 3: an old one would end TIME-WAIT before its time.
            State::TimeWait | State::Closed => {}
            State::CloseWait => self.fail(RESET_BEHIND_END),
            _ => self.fail(RESET),
        }
    }

    /// It is broken. What has come in order can still be popped.
    pub fn fail(&mut self, error: Error) {
        if self.state != State::Closed {
            self.error = Some(error);
            self.over();
        }
    }

    /// The time of TIME-WAIT, or of FIN-WAIT-2 without an application, is over.
    pub fn ended(&mut self) {
        self.error = None;
        self.over();
    }

    fn over(&mut self) {
        self.state = State::Closed;
        self.timers = Slow::NONE;
        self.queue.clear();
        self.news.readable = true;
        self.news.writable = true;
        self.stirred = true;
    }

    /// Goes to a state, and arms the timer that belongs to it.
    pub fn enter(&mut self, state: State, now: Time) {
        if state == self.state {
            return;
        }
        self.state = state;
        match state {
            State::TimeWait => {
                self.timers = Slow::NONE;
                self.timers.end = now + millis(self.time_wait);
                self.news.writable = true;
            }
            State::FinWait2 if self.orphan.is_some() => self.timers.end = now + millis(self.fin_wait),
            State::Closed => self.ended(),
            _ => {}
        }
    }

    /// What a table keeps in place of this.
    pub fn time_wait(&self) -> Option<(TimeWait, Time)> {
        (self.state == State::TimeWait && !self.stirred).then(|| {
            let clocks = self.stamps.map(|stamps| (stamps.origin, stamps.recent));
            let place =
                TimeWait { next: self.recovery.next(), expected: self.receiver.next(), window: self.offered, clocks };
            (place, self.timers.end)
        })
    }
}
