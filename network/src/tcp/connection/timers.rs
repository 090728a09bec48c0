// SPDX-License-Identifier: MIT OR Apache-2.0
//! The timers of an open connection but those of recovery and of the receiver, and what happens when one of them all is over.
//!
//! Timers that every segment would move are not moved: when one is over, what has come meanwhile says whether it counts.

use alloc::boxed::Box;
use core::ops::{Deref, DerefMut};
use core::time::Duration;

use runtime::time::Time;
use runtime::{Errno, Error};

use super::State;
use super::open::{Due, Open};
use super::persist::Probes;
use super::search::{Probe, Search};
use crate::limits::{TCP_ORPHAN_PATIENCE, TCP_ORPHAN_RETRIES};
use crate::tcp::recovery::Expired;

/// The peer has not answered for too long.
pub(super) const SILENT: Error = Error::new(Errno::TIMEDOUT, "the peer does not answer");

/// When each is over; [`Time::MAX`]: it is not armed.
#[derive(Debug)]
pub(super) struct Timers {
    /// Of keep-alive.
    pub keep_alive: Time,
    /// Of the peer's closed window.
    pub persist: Time,
    /// Of data that are not acknowledged (RFC 9293 section 3.8.3, RFC 5482).
    pub user: Time,
    /// Of FIN-WAIT-2 without an application, and TIME-WAIT.
    pub end: Time,
    /// What could be sent could not leave yet: for pacing, or for want of a buffer.
    pub resume: Time,
    /// What the peer's closed window was asked.
    pub probes: Probes,
    /// How much the path has room for again, once segments were made shorter for it. It has no deadline: a probe is data that would leave
    /// anyway.
    pub search: Option<Box<Search>>,
}

impl Timers {
    pub const NONE: Self = Self {
        keep_alive: Time::MAX,
        persist: Time::MAX,
        user: Time::MAX,
        end: Time::MAX,
        resume: Time::MAX,
        probes: Probes::NONE,
        search: None,
    };

    #[inline]
    fn first(&self) -> Time {
        self.keep_alive.min(self.persist).min(self.user).min(self.end).min(self.resume)
    }
}

/// The timers, which most connections need none of most of the time: there only once one is armed.
#[derive(Debug)]
pub(super) struct Slow(Option<Box<Timers>>);

impl Slow {
    pub const NONE: Self = Self(None);

    /// No timer is armed; maybe a path's size is searched for from the beginning.
    pub fn searching(search: Option<Box<Search>>) -> Self {
        Self(search.map(|search| Box::new(Timers { search: Some(search), ..Timers::NONE })))
    }

    /// The search of a path's size, if there is one.
    pub fn search_mut(&mut self) -> Option<&mut Search> {
        self.0.as_deref_mut()?.search.as_deref_mut()
    }

    /// The probe of the path that is under way.
    #[inline]
    pub fn probe(&self) -> Option<&Probe> {
        self.0.as_deref()?.search.as_deref()?.probe()
    }

    /// Whether a probe of the path may leave, as far as the time is concerned.
    #[inline]
    pub fn is_search_due(&self, now: Time) -> bool {
        self.0.as_deref().and_then(|timers| timers.search.as_deref()).is_some_and(|search| search.is_due(now))
    }

    /// Whether no probe awaits its answer: neither of the peer's window nor of the path.
    #[inline]
    pub fn asks_nothing(&self) -> bool {
        match self.0.as_deref() {
            None => true,
            Some(timers) => timers.probes.last == Time::MAX && timers.probes.sent == 0 && self.probe().is_none(),
        }
    }
}

impl Deref for Slow {
    type Target = Timers;

    #[inline]
    fn deref(&self) -> &Timers {
        self.0.as_deref().unwrap_or(&Timers::NONE)
    }
}

impl DerefMut for Slow {
    fn deref_mut(&mut self) -> &mut Timers {
        self.0.get_or_insert_with(|| Box::new(Timers::NONE))
    }
}

impl Open {
    /// When [`expired`](Self::expired) is to be called.
    #[inline]
    pub fn deadline(&self) -> Option<Time> {
        Some(self.due()).filter(|due| *due < Time::MAX)
    }

    /// The same; [`Time::MAX`]: it is not to be called.
    #[inline]
    pub fn due(&self) -> Time {
        if self.state == State::Closed {
            return Time::MAX;
        }
        let first = self.recovery.due().min(self.receiver.due());
        match &self.timers.0 {
            None => first,
            Some(slow) => first.min(slow.first()),
        }
    }

    /// Does what the time has come for.
    pub fn expired(&mut self, now: Time) {
        if self.state == State::Closed {
            return;
        }
        // An acknowledgment may have waited long enough; the receiver says so when it is asked.
        self.stirred = true;
        if self.recovery.deadline().is_some_and(|deadline| deadline <= now) {
            self.recovery_expired(now);
        }
        if self.timers.first() <= now {
            self.timer_expired(now);
        }
    }

    fn recovery_expired(&mut self, now: Time) {
        match self.recovery.expired(now) {
            Expired::Nothing => self.queue.trim(),
            Expired::Probe => self.due.set(Due::TAIL),
            Expired::Reordered { reduced } => self.ecn.reduced |= reduced && self.ecn.on,
            Expired::Timeout { count } => {
                // RFC 3168 section 6.1.2: the peer is told of each reduction, whatever it is for.
                self.ecn.reduced = self.ecn.on;
                self.timed_out(count, now);
            }
        }
        if self.timers.probe().is_some() {
            self.look_at_probe(now);
        }
    }

    /// Data were not acknowledged in time for the `count`th time in a row (RFC 9293 section 3.8.3).
    fn timed_out(&mut self, count: u8, now: Time) {
        self.timers.probes.unanswered = self.timers.probes.unanswered.saturating_add(1);
        // Without an application that would wait for ever, each counts.
        let silent = if self.orphan.is_some() { count } else { self.timers.probes.unanswered };
        if silent > self.retries(now) {
            // RFC 9293 section 3.8.3, R2.
            return self.fail(self.silence());
        }
        if self.window.size() > 0 {
            self.shrink_for_black_hole(silent, now);
        }
        self.user_timer(now);
    }

    fn timer_expired(&mut self, now: Time) {
        if self.timers.resume <= now {
            self.timers.resume = Time::MAX;
        }
        if self.timers.persist <= now {
            self.persist_expired(now);
        }
        if self.timers.keep_alive <= now {
            self.keep_alive_expired(now);
        }
        if self.timers.user <= now {
            self.timers.user = Time::MAX;
            self.user_timer(now);
        }
        if self.timers.end <= now {
            self.ended();
        }
    }

    /// How often what is not answered is sent again: fewer times once nobody has an interest in it, as on Linux; but for a while, however short
    /// the timeouts are.
    pub(super) fn retries(&self, now: Time) -> u8 {
        match &self.orphan {
            Some(orphan) if now.saturating_since(orphan.closed.max(self.progress)) >= TCP_ORPHAN_PATIENCE => {
                self.retries.min(TCP_ORPHAN_RETRIES)
            }
            _ => self.retries,
        }
    }

    /// What is said of a peer that is given up.
    pub fn silence(&self) -> Error {
        self.error.unwrap_or(SILENT)
    }

    /// Arms the user timer if something is to be acknowledged, or gives up if that has taken too long.
    pub fn user_timer(&mut self, now: Time) {
        if self.user_timeout == 0 || self.is_drained() {
            return;
        }
        let timeout = Duration::from_millis(self.user_timeout.into());
        if self.progress + timeout <= now {
            return self.fail(self.silence());
        }
        self.timers.user = self.progress + timeout;
    }
}
