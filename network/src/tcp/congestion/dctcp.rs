// SPDX-License-Identifier: MIT OR Apache-2.0
//! DCTCP (RFC 8257): the window shrinks by how much of a round trip was marked, not by half. For networks whose switches
//! mark as soon as a short queue stands.
//!
//! Losses are answered as NewReno does (section 3.5).

use core::time::Duration;

use runtime::time::Time;

use super::newreno::NewReno;
use super::window::Window;
use super::{Ack, Congested, Control};

/// One, of the estimate.
const ONE: u32 = 1 << 20;
/// g = 1/16 (section 4.2), a shift.
const G: u32 = 4;

/// The state of DCTCP.
#[derive(Clone, Debug)]
pub struct Dctcp {
    reno: NewReno,
    /// DCTCP.Alpha: the part of the bytes that are marked, of late.
    alpha: u32,
    /// Of this round: bytes acknowledged, and those that came marked.
    acked: u32,
    marked: u32,
}

impl Dctcp {
    pub fn new(mss: u32) -> Self {
        // Section 4.2: as if all were marked, so that the first mark halves.
        Self { reno: NewReno::new(mss), alpha: ONE, acked: 0, marked: 0 }
    }

    /// Section 3.3, steps 5 to 7: once per round.
    #[inline(never)]
    fn estimate(&mut self) {
        let marked = u64::from(self.marked.min(self.acked)) * u64::from(ONE);
        if let Some(fraction) = marked.checked_div(u64::from(self.acked)) {
            self.alpha = self.alpha - (self.alpha >> G) + (fraction as u32 >> G);
            // What the shift cuts off would keep it from ever becoming zero.
            if fraction == 0 && self.alpha < 1 << G {
                self.alpha = 0;
            }
        }
        self.acked = 0;
        self.marked = 0;
    }
}

impl Control for Dctcp {
    #[inline]
    fn window(&self) -> &Window {
        &self.reno.window
    }

    #[inline]
    fn window_mut(&mut self) -> &mut Window {
        &mut self.reno.window
    }

    #[inline]
    fn on_ack(&mut self, ack: &Ack) {
        self.acked = self.acked.saturating_add(ack.delivered);
        self.marked = self.marked.saturating_add(ack.marked);
        if self.reno.window.on_ack(ack) {
            self.estimate();
        }
        self.reno.grow(ack);
    }

    fn on_congestion(&mut self, congested: Congested, now: Time, in_flight: u32) {
        match congested {
            Congested::Loss => self.reno.on_congestion(congested, now, in_flight),
            // Section 3.3: cwnd = cwnd × (1 - DCTCP.Alpha / 2).
            Congested::Marked => {
                self.reno.save();
                let window = &mut self.reno.window;
                let less = (u64::from(window.bytes) * u64::from(self.alpha) / u64::from(2 * ONE)) as u32;
                window.set_threshold(window.bytes - less);
                window.set(window.threshold);
            }
        }
    }

    fn on_timeout(&mut self, now: Time, in_flight: u32, first: bool) {
        self.reno.on_timeout(now, in_flight, first);
    }

    fn undo(&mut self) {
        self.reno.undo();
    }

    fn on_idle(&mut self, now: Time, idle: Duration, rto: Duration) {
        self.reno.on_idle(now, idle, rto);
    }
}
