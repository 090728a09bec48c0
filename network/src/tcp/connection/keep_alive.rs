// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keep-alive (RFC 9293 section 3.8.4): off unless it is asked for; a peer that has been silent is asked, and is given up when
//! it does not answer several times.

use core::time::Duration;

use runtime::time::Time;

use super::State;
use super::open::{Due, Open};

/// What keep-alive is set to. The defaults are those of `tcp(7)`.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeepAlive {
    pub on: bool,
    /// Probes in a row without an answer after which the peer counts as dead.
    pub count: u8,
    /// Of those, how many have left.
    pub sent: u8,
    /// Silence before the first, in seconds.
    pub idle: u16,
    /// From one to the next, in seconds.
    pub interval: u16,
}

impl KeepAlive {
    pub const OFF: Self = Self { on: false, count: 9, sent: 0, idle: 7200, interval: 75 };

    pub fn idle(self) -> Duration {
        Duration::from_secs(self.idle.into())
    }

    pub fn interval(self) -> Duration {
        Duration::from_secs(self.interval.into())
    }
}

impl Open {
    /// Keep-alive was set to something else.
    pub fn arm_keep_alive(&mut self, now: Time) {
        if self.keep_alive.on && self.state.is_synchronized() {
            self.timers.keep_alive = (self.heard + self.keep_alive.idle()).max(now);
        } else if self.timers.keep_alive < Time::MAX {
            self.timers.keep_alive = Time::MAX;
        }
    }

    pub fn keep_alive_expired(&mut self, now: Time) {
        if !self.keep_alive.on || matches!(self.state, State::TimeWait | State::Closed) {
            self.timers.keep_alive = Time::MAX;
            return;
        }
        let due = self.heard + self.keep_alive.idle();
        // What is sent anyway asks too.
        if due > now || !self.is_drained() {
            self.timers.keep_alive = due.max(now + self.keep_alive.interval());
            return;
        }
        if self.keep_alive.sent >= self.keep_alive.count {
            self.due.set(Due::RESET);
            return self.fail(self.silence());
        }
        self.keep_alive.sent += 1;
        self.due.set(Due::KEEP_ALIVE);
        self.timers.keep_alive = now + self.keep_alive.interval();
    }
}
