// SPDX-License-Identifier: MIT OR Apache-2.0
//! The persist timer (RFC 9293 section 3.8.6.1): a peer whose window is closed is asked again and again, since the segment that
//! opens it may be lost; and a window that stays too small for what is to be sent is used as it is (section 3.8.6.2.1, the
//! override timeout).
//!
//! A probe is one byte that the peer does not take, or the FIN. It leaves SND.NXT where it is: a window that opens begins with
//! that byte.

use core::time::Duration;

use runtime::time::Time;

use super::open::{Due, Open};

/// The longest time between two probes, as on BSD and Linux at least.
const LONGEST: Duration = Duration::from_mins(1);

/// What was asked of a closed window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probes {
    /// How many have left since it closed.
    pub sent: u8,
    /// How many in a row nobody has answered, and timeouts: without an acknowledgment of something new, or, at a closed window, without any.
    pub unanswered: u8,
    /// When the last left, of which the byte may be taken yet; [`Time::MAX`]: there is none.
    pub last: Time,
}

impl Probes {
    pub const NONE: Self = Self { sent: 0, unanswered: 0, last: Time::MAX };

    /// Whether something is asked, so that an answer counts.
    #[inline]
    pub fn asked(&self) -> bool {
        self.last < Time::MAX || self.sent > 0 || self.unanswered > 0
    }
}

impl Open {
    /// Something waits, nothing is under way, and the window has no room: asks later.
    #[cold]
    pub fn arm_persist(&mut self, now: Time) {
        if self.timers.persist == Time::MAX {
            let rto = self.recovery.rto();
            self.timers.persist = now + rto.saturating_mul(1 << self.timers.probes.sent.min(16)).min(LONGEST.max(rto));
        }
    }

    pub fn persist_expired(&mut self, now: Time) {
        self.timers.persist = Time::MAX;
        if !self.recovery.is_idle() || !self.has_unsent() {
            return;
        }
        // RFC 9293 section 3.8.6.1 (MUST-37): as long as the peer answers, the connection stays; without an application
        // that would be for ever.
        let asked = if self.orphan.is_some() { self.timers.probes.sent } else { self.timers.probes.unanswered };
        if asked >= self.retries(now) {
            if self.orphan.is_some() {
                self.due.set(Due::RESET);
            }
            return self.fail(self.silence());
        }
        self.user_timer(now);
        self.due.set(Due::WINDOW);
        self.timers.probes.sent = self.timers.probes.sent.saturating_add(1);
        self.timers.probes.unanswered = self.timers.probes.unanswered.saturating_add(1);
        self.arm_persist(now);
    }

    /// The window has room.
    #[cold]
    pub fn disarm_persist(&mut self) {
        self.timers.persist = Time::MAX;
        self.timers.probes.unanswered = 0;
        // A peer could open its window by a byte each time, and keep what nobody asks for any more for as long as it likes.
        let is_worth = self.window.size() >= self.mss.payload().min(self.window.largest() / 2);
        if self.orphan.is_none() || is_worth {
            self.timers.probes.sent = 0;
        }
    }
}
