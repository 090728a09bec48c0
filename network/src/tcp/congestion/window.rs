// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the algorithms that govern by a window have in common: the first window, slow start, rounds, whether the window is
//! used at all, and the restart after an idle time.
//!
//! What must always hold: the window is from one segment to [`CONGESTION_WINDOW_MAX`]; it grows only while it is what holds the sender
//! back (RFC 7661 section 4.3, RFC 9438 section 5.8).

use core::time::Duration;

use super::Ack;
use crate::limits::{CONGESTION_WINDOW_MAX, SLOW_START_SEGMENTS};
use crate::tcp::seq::Seq;

/// The window of a connection that begins (RFC 6928 section 2).
#[must_use]
pub const fn initial(mss: u32) -> u32 {
    let ten = mss.saturating_mul(10);
    let two = mss.saturating_mul(2);
    let bytes = if two > 14_600 { two } else { 14_600 };
    if ten < bytes { ten } else { bytes }
}

/// A segment's size as it is kept.
fn bounded(mss: u32) -> u16 {
    mss.clamp(1, u16::MAX.into()) as u16
}

/// A congestion window.
#[derive(Clone, Debug)]
pub struct Window {
    pub bytes: u32,
    pub threshold: u32,
    /// The most that was in flight in this round.
    peak: u32,
    /// The round ends when something beyond this is acknowledged.
    round_end: Seq,
    mss: u16,
    /// Whether a round has begun: not before the first ACK.
    in_round: bool,
}

impl Window {
    pub fn new(mss: u32) -> Self {
        let mss = bounded(mss);
        let bytes = initial(mss.into());
        Self { bytes, threshold: u32::MAX, peak: 0, round_end: Seq(0), mss, in_round: false }
    }

    /// The payload bytes of a segment.
    #[inline]
    pub fn mss(&self) -> u32 {
        self.mss.into()
    }

    #[inline]
    pub fn in_slow_start(&self) -> bool {
        self.bytes < self.threshold
    }

    #[inline]
    pub fn on_sent(&mut self, in_flight: u32, bytes: u32) {
        // With nothing in flight, what was is of no account any more.
        let peak = if in_flight == 0 { 0 } else { self.peak };
        self.peak = peak.max(in_flight.saturating_add(bytes));
    }

    /// Something was to be sent for which the window had no room.
    #[inline]
    pub fn filled(&mut self) {
        self.peak = self.peak.max(self.bytes);
    }

    /// Notes an ACK; true if a round ends with it, because it acknowledges what was sent after the round had begun (RFC 9406
    /// section 4.2, RFC 8257 section 3.3).
    #[inline]
    pub fn on_ack(&mut self, ack: &Ack) -> bool {
        let ends = !self.in_round || ack.una.is_behind(self.round_end);
        if ends {
            self.round_end = ack.next;
            self.in_round = true;
            self.peak = ack.in_flight;
        } else {
            self.peak = self.peak.max(ack.in_flight);
        }
        ends
    }

    /// Whether the window was filled in this round: in slow start, where it has doubled within it, by half (RFC 7661 section
    /// 4.3); else but for what segments that leave together may leave free.
    #[inline]
    pub fn is_used(&self) -> bool {
        if self.in_slow_start() {
            self.peak >= self.bytes / 2
        } else {
            self.peak.saturating_add((self.bytes >> 3).max(self.mss() * 3)) >= self.bytes
        }
    }

    /// Slow start (RFC 5681 section 3.1), by what is acknowledged over `divisor` (a shift): not beyond the threshold.
    /// Segments are not paced, so one ACK gives room for [`SLOW_START_SEGMENTS`] only (RFC 9406 section 4.2).
    #[inline]
    pub fn slow_start(&mut self, acked: u32, divisor: u32) {
        let most = self.mss() * SLOW_START_SEGMENTS;
        self.set((self.bytes + (acked.min(most) >> divisor)).min(self.threshold));
    }

    /// Sets the window, within its bounds.
    #[inline]
    pub fn set(&mut self, bytes: u32) {
        self.bytes = bytes.clamp(self.mss(), CONGESTION_WINDOW_MAX);
    }

    /// What was under way of this window when it turned out too large. FlightSize (RFC 5681 section 3.1) is less than the
    /// window when data lacked, and more by what limited transmit has sent, which is not to count.
    pub fn flight(&self, in_flight: u32) -> u32 {
        in_flight.min(self.bytes)
    }

    /// Sets the threshold, which is at least two segments (RFC 5681 section 3.1, equation 4).
    pub fn set_threshold(&mut self, bytes: u32) {
        self.threshold = bytes.max(self.mss() * 2);
    }

    /// Segments are of another size. A window that nothing has changed yet is the first one of the new size; any other stays
    /// (RFC 1191 section 6.5: no slow start because of it).
    pub fn set_mss(&mut self, mss: u32) {
        let fresh = self.bytes == initial(self.mss()) && self.threshold == u32::MAX;
        self.mss = bounded(mss);
        self.set(if fresh { initial(self.mss()) } else { self.bytes });
        self.set_threshold(self.threshold);
    }

    /// After a silence of more than a timeout nothing is known of the path: back to what a connection begins with (RFC 5681
    /// section 4.1), from where slow start leads back to three quarters of what was (RFC 7661 section 4.4.3).
    pub fn restart(&mut self, idle: Duration, rto: Duration) -> bool {
        let late = idle > rto;
        if late {
            self.threshold = self.threshold.max(self.bytes - self.bytes / 4);
            self.set(self.bytes.min(initial(self.mss())));
        }
        late
    }

    /// Bytes per second: the window in a round trip, with twice the room in slow start and a fifth more beyond it, so that
    /// who sends at this rate is not held back from filling a window that grows.
    pub fn rate(&self, srtt: Duration) -> u64 {
        let nanos = u64::try_from(srtt.as_nanos()).unwrap_or(u64::MAX).max(1000);
        let bytes = u64::from(self.bytes);
        let bytes = if self.in_slow_start() { bytes * 2 } else { bytes + bytes / 5 };
        bytes.saturating_mul(1_000_000_000) / nanos
    }
}
