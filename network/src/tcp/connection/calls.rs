// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the application calls: push and pop (RFC 9293 sections 3.10.2 and 3.10.3).

use core::task::Poll;
use core::time::Duration;

use runtime::buf::Sga;
use runtime::time::Time;
use runtime::{Errno, Error, Result};

use super::State;
use super::open::Open;
use crate::tcp::receive::Need;

const SHUT: Error = Error::new(Errno::PIPE, "the stream was shut down for writing");
const ENDED: Error = Error::new(Errno::PIPE, "the stream has ended, and a pop has said so");

impl Open {
    #[inline]
    pub fn push(&mut self, message: &mut Sga, now: Time) -> Poll<Result<()>> {
        if !self.state.may_push() {
            return self.refuse_push(message);
        }
        if message.has_no_segment() {
            return self.completed();
        }
        if self.user_timeout > 0 {
            self.watch_push(now);
        }
        if let Err(error) = self.queue.push(message) {
            return Poll::Ready(Err(error));
        }
        self.stirred = true;
        if message.has_no_segment() {
            let Some(completions) = &mut self.completions else { return Poll::Ready(Ok(())) };
            completions.pushed(self.queue.end());
        }
        self.awaits_room = true;
        Poll::Pending
    }

    /// All of a message stands in the queue, or is acknowledged already, that came before there was a connection.
    pub fn pushed_whole(&mut self, now: Time) {
        if self.user_timeout > 0 && !self.queue.is_empty() {
            self.start_user_timer(now);
        }
        if let Some(completions) = &mut self.completions {
            completions.pushed(self.queue.end());
            self.awaits_room = true;
        }
    }

    /// The time of what is pushed now begins (RFC 5482).
    #[cold]
    fn watch_push(&mut self, now: Time) {
        if self.is_drained() {
            // A timer of what was acknowledged long ago may still be armed: it looks at this when it is over.
            self.progress = now;
        }
        if self.timers.user == Time::MAX {
            self.timers.user = self.progress + Duration::from_millis(self.user_timeout.into());
        }
    }

    #[cold]
    fn start_user_timer(&mut self, now: Time) {
        if self.recovery.is_idle() {
            self.progress = now;
        }
        self.user_timer(now);
    }

    /// What was pushed before is asked for again.
    #[cold]
    fn completed(&mut self) -> Poll<Result<()>> {
        let (una, next) = (self.recovery.una(), self.recovery.next());
        if self.completions.as_mut().is_none_or(|completions| completions.take(una, next)) {
            return Poll::Ready(Ok(()));
        }
        self.awaits_room = true;
        Poll::Pending
    }

    /// Nothing may be pushed any more; what was, may still be waited for.
    #[cold]
    fn refuse_push(&mut self, message: &Sga) -> Poll<Result<()>> {
        match self.error {
            Some(error) if self.state == State::Closed => Poll::Ready(Err(error)),
            _ if message.has_no_segment() && self.awaits_completion() => self.completed(),
            _ => Poll::Ready(Err(SHUT)),
        }
    }

    #[inline]
    pub fn pop(&mut self, at_most: Option<usize>, now: Time) -> Poll<Result<Sga>> {
        if self.receiver.is_dry() {
            return self.nothing_to_pop();
        }
        let (counts, recovery, queue, fin) = (&self.counts, &self.recovery, &self.queue, self.fin);
        // The handshake's is one of short packets, and perhaps long ago: something behind it must have been acknowledged, be it our FIN.
        let rtt = || {
            let is_measured = counts.bytes_acknowledged > 0 || (fin && recovery.una().is_behind(queue.end()));
            if is_measured { recovery.srtt() } else { Duration::ZERO }
        };
        match self.receiver.pop(at_most, rtt, now) {
            // A message without a byte would say that the stream has ended.
            Ok(Some(popped)) if !popped.is_empty() => {
                // The window has more room, of which the peer may have to hear.
                self.stirred |= self.receiver.acknowledge(now) == Need::Now;
                Poll::Ready(Ok(popped))
            }
            Ok(_) => self.nothing_to_pop(),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn nothing_to_pop(&mut self) -> Poll<Result<Sga>> {
        if self.receiver.has_end() {
            return Poll::Ready(if core::mem::replace(&mut self.told, true) { Err(ENDED) } else { Ok(Sga::new()) });
        }
        if self.state != State::Closed {
            return Poll::Pending;
        }
        Poll::Ready(Err(self.error.unwrap_or(ENDED)))
    }

    fn awaits_completion(&self) -> bool {
        self.completions.as_ref().is_some_and(|completions| completions.is_awaited())
    }

    /// Wakes whoever waits for room, once there is plenty, or for a completion.
    #[inline]
    pub fn make_room(&mut self) {
        if self.awaits_room && (self.queue.is_roomy() || self.awaits_completion()) {
            self.awaits_room = false;
            self.news.writable = true;
        }
    }
}
