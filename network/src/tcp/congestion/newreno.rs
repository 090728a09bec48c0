// SPDX-License-Identifier: MIT OR Apache-2.0
//! NewReno (RFC 5681 section 3.1, RFC 6582): one segment more per round trip, half of it after a loss.

use core::time::Duration;

use runtime::time::Time;

use super::window::Window;
use super::{Ack, Congested, Control};

/// The state of NewReno.
#[derive(Clone, Debug)]
pub struct NewReno {
    pub window: Window,
    /// Bytes acknowledged since the window last grew.
    acked: u32,
    /// Window and threshold before the last reduction; zero: there is none to undo.
    saved: (u32, u32),
}

impl NewReno {
    pub fn new(mss: u32) -> Self {
        Self { window: Window::new(mss), acked: 0, saved: (0, 0) }
    }

    /// Keeps what [`Control::undo`] goes back to.
    pub fn save(&mut self) {
        self.saved = (self.window.bytes, self.window.threshold);
        self.acked = 0;
    }

    /// Growth by an ACK that has been noted in the window.
    #[inline]
    pub fn grow(&mut self, ack: &Ack) {
        // An ACK that tells of a mark opens nothing (RFC 3168 section 6.1.2).
        if ack.in_recovery || ack.marked > 0 || !self.window.is_used() {
            return;
        }
        if self.window.in_slow_start() {
            self.window.slow_start(ack.acked, 0);
            return;
        }
        // A segment for each window that is acknowledged, by bytes (RFC 5681 section 3.1, RFC 3465 section 2.1).
        self.acked = self.acked.saturating_add(ack.acked);
        if self.acked >= self.window.bytes {
            self.acked = (self.acked - self.window.bytes).min(self.window.bytes);
            self.window.set(self.window.bytes + self.window.mss());
        }
    }
}

impl Control for NewReno {
    #[inline]
    fn window(&self) -> &Window {
        &self.window
    }

    #[inline]
    fn window_mut(&mut self) -> &mut Window {
        &mut self.window
    }

    #[inline]
    fn on_ack(&mut self, ack: &Ack) {
        self.window.on_ack(ack);
        self.grow(ack);
    }

    /// RFC 5681 section 3.1, equation 4; a mark counts as a loss (RFC 3168 section 6.1.2).
    fn on_congestion(&mut self, _congested: Congested, _now: Time, in_flight: u32) {
        self.save();
        self.window.set_threshold(self.window.flight(in_flight) / 2);
        self.window.set(self.window.threshold);
    }

    /// RFC 5681 section 3.1: the threshold stays when the same data are lost again.
    fn on_timeout(&mut self, _now: Time, in_flight: u32, first: bool) {
        if first {
            self.save();
            self.window.set_threshold(self.window.flight(in_flight) / 2);
        }
        self.window.set(self.window.mss());
        self.acked = 0;
    }

    fn undo(&mut self) {
        let (bytes, threshold) = core::mem::take(&mut self.saved);
        if bytes > 0 {
            self.window.set(self.window.bytes.max(bytes));
            self.window.threshold = self.window.threshold.max(threshold);
        }
    }

    fn on_idle(&mut self, _now: Time, idle: Duration, rto: Duration) {
        if self.window.restart(idle, rto) {
            self.acked = 0;
        }
    }
}
