// SPDX-License-Identifier: MIT OR Apache-2.0
//! What time makes stream sockets do: connections, SYNs that were not answered, those that have ended; and who found no room in the
//! output.

use runtime::time::Time;

use super::socket::Kind;
use crate::limits::{ACTIONS_PER_POLL, STREAM_TIMERS_PER_POLL};
use crate::stack::Stack;
use crate::stack::timers::earlier;
use crate::tcp::table::Place;
use crate::udp::Readiness;

impl super::Streams {
    /// When [`Stack::poll_streams`] has something to do.
    #[inline]
    pub(in crate::stack) fn next_deadline(&self) -> Option<Time> {
        let due = earlier(self.timers.next_deadline(), self.time_waits.next_deadline());
        if self.lacks_room() { earlier(due, Some(self.search.at)) } else { due }
    }

    /// Whether a connection waits for room in the output.
    #[inline]
    pub(in crate::stack) fn is_crowded(&self) -> bool {
        !self.crowd.is_empty()
    }
}

impl Stack {
    /// Does what is due: one bounded batch.
    pub(in crate::stack) fn poll_streams(&mut self, now: Time) {
        self.streams.now = now;
        if self.streams.next_deadline().is_none_or(|due| due > now) {
            return;
        }
        let mut fired = core::mem::take(&mut self.streams.fired);
        self.streams.timers.advance(now, STREAM_TIMERS_PER_POLL, |word| fired.push(word));
        for word in fired.drain(..) {
            match Place::unpack(word) {
                Place::Connection(index) => self.expire(index, now),
                Place::HalfOpen(index) => self.expire_half_open(index, now),
                Place::TimeWait(_) => {}
            }
        }
        self.streams.fired = fired;
        self.look_for_room(now);
        for _ in 0..STREAM_TIMERS_PER_POLL {
            let Some(index) = self.streams.time_waits.expired(now) else { break };
            self.streams.forget_time_wait(index);
        }
    }

    /// The timer of a connection has fired.
    fn expire(&mut self, index: u32, now: Time) {
        let Some(stream) = self.streams.slab.at_mut(index) else { return };
        let Kind::Open(open) = &mut stream.kind else { return };
        open.fires = Time::MAX;
        let lingered = open.lingers <= now;
        if open.connection.deadline().is_some_and(|due| due <= now) {
            let was_early = open.connection.calls_early();
            open.connection.expired(now);
            if was_early {
                self.avoid_early(index, now);
            }
        }
        if lingered {
            self.streams.wake(index, Readiness { readable: false, writable: true });
        }
        self.settle(index, now);
    }

    /// There is room in the output: those that wait for it send, as long as there is.
    #[cold]
    pub(in crate::stack) fn make_room_for_streams(&mut self) {
        let now = self.streams.now;
        for _ in 0..ACTIONS_PER_POLL {
            if !self.has_room() {
                return;
            }
            let Some(index) = self.streams.crowd.pop_front() else { return };
            if let Some(open) = self.streams.slab.at_mut(index).and_then(|stream| stream.open()) {
                open.crowded = false;
                self.settle(index, now);
            }
        }
    }
}
