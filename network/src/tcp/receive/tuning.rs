// SPDX-License-Identifier: MIT OR Apache-2.0
//! The receive buffer grows with what the application reads in a round trip ("dynamic right-sizing", Fisk and Feng 2001): a
//! buffer that is read empty once in each is what keeps the sender from sending more.
//!
//! What must always hold: it only grows, up to what the settings allow, and only by what was read.

use core::time::Duration;

use runtime::time::Time;

use crate::tcp::seq::Seq;
use crate::tcp::settings::Settings;

#[derive(Debug)]
pub(super) struct Tuning {
    /// When the present look ends.
    until: Time,
    /// Bytes that were popped in it.
    popped: u32,
    /// The most that was popped in a round trip.
    most: u32,
    /// How far the buffer may go; 0: it is set by hand.
    max: u32,
    /// Where the window ended when the look began.
    whole: Seq,
}

impl Tuning {
    pub fn new(settings: &Settings, next: Seq, now: Time) -> Self {
        Self {
            until: now,
            popped: 0,
            // What the buffer has room for as it is, twice over for a sender that doubles it.
            most: super::window::bounded(settings.receive_buffer) / 4,
            max: super::window::bounded(settings.receive_buffer_max),
            whole: next,
        }
    }

    /// It never goes beyond this.
    pub fn bound(&mut self, room: u32) {
        self.max = self.max.min(room);
    }

    /// The buffer stays as it is from now on.
    pub const fn stop(&mut self) {
        self.max = 0;
    }

    /// So many bytes were popped. `next..edge` is the window; `rtt` the round trip, zero if it was not measured. Says what the buffer
    /// is to be, if it is to be larger.
    #[inline]
    pub fn popped(
        &mut self,
        bytes: usize,
        next: Seq,
        edge: Seq,
        mss: u32,
        rtt: impl Fn() -> Duration,
        now: Time,
    ) -> Option<u32> {
        self.popped = self.popped.saturating_add(bytes as u32);
        // A whole window takes a round trip at least: that does for one where none was measured.
        if now < self.until || (next.is_before(self.whole) && rtt().is_zero()) {
            return None;
        }
        self.look(edge, mss, rtt(), now)
    }

    #[cold]
    fn look(&mut self, edge: Seq, mss: u32, rtt: Duration, now: Time) -> Option<u32> {
        self.whole = edge;
        self.until = now + rtt;
        let popped = core::mem::take(&mut self.popped);
        if popped <= self.most || self.max == 0 {
            return None;
        }
        // In the next round trip it may be twice as much, while a sender finds out what the way carries; and the more it was
        // than before, the more it will be.
        let ahead = popped.saturating_add(popped - self.most).saturating_mul(2);
        self.most = popped;
        Some(ahead.saturating_add(mss.saturating_mul(16)).min(self.max))
    }
}
