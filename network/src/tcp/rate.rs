// SPDX-License-Identifier: MIT OR Apache-2.0
//! How fast data reach the peer: a sample of the delivery rate with each ACK (draft-cheng-iccrg-delivery-rate-estimation,
//! and what the BBR draft adds to it).
//!
//! Each sent segment keeps a [`Stamp`] of what had been delivered when it left. When it is acknowledged, what has been
//! delivered since is over the longer of two intervals: that in which it was sent, and that in which it was acknowledged. So
//! a burst of ACKs does not make the path look faster than the sender was, nor a burst of segments.
//!
//! What must always hold: no sample is of an interval shorter than the shortest round trip; counters go round, and only
//! differences of them count.

use core::time::Duration;

use runtime::time::Time;

/// What had been delivered when a segment left; kept with it until it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// When the newest of what had been delivered then was acknowledged.
    delivered_at: Time,
    /// When that had been sent: the sending interval begins there.
    first_sent: Time,
    delivered: u32,
    lost: u32,
    in_flight: u32,
    app_limited: bool,
}

impl Stamp {
    /// Of what nobody measures.
    pub const UNUSED: Self = Self {
        delivered_at: Time::ZERO,
        first_sent: Time::ZERO,
        delivered: 0,
        lost: 0,
        in_flight: 0,
        app_limited: false,
    };
}

/// What one ACK says about the rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Bytes delivered in the interval.
    pub delivered: u32,
    /// How long that took; never zero.
    pub interval: Duration,
    /// Whether the sender lacked data, so that the path may be faster.
    pub app_limited: bool,
    /// The count of delivered bytes when the newest segment of this ACK was sent; goes round.
    pub prior_delivered: u32,
    /// The same count now.
    pub total_delivered: u32,
    /// Bytes in flight when that segment left, itself included.
    pub in_flight: u32,
    /// Bytes found lost since it left.
    pub lost: u32,
}

impl Sample {
    /// Bytes per second.
    #[inline]
    #[must_use]
    pub fn rate(&self) -> u64 {
        let nanos = self.interval.as_nanos().max(1) as u64;
        u64::from(self.delivered).saturating_mul(1_000_000_000) / nanos
    }
}

/// What the loss of a segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Bytes of it.
    pub bytes: u32,
    /// Bytes in flight when it left, itself included.
    pub in_flight: u32,
    /// Bytes found lost since it left, these included.
    pub since: u32,
    /// Whether the sender lacked data then.
    pub app_limited: bool,
}

/// What the segments that one ACK delivers say together; [`Rate::finish`] makes a [`Sample`] of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Collected {
    /// The stamp of the newest, and when that left.
    newest: Option<(Stamp, Time)>,
}

/// A connection's counters.
#[derive(Clone, Debug)]
pub struct Rate {
    delivered_at: Time,
    first_sent: Time,
    delivered: u32,
    lost: u32,
    /// What will have been delivered when the last byte is that left while data lacked.
    limited_until: Option<u32>,
}

impl Rate {
    /// Counters of a connection that has sent nothing.
    #[must_use]
    pub fn new(now: Time) -> Self {
        Self { delivered_at: now, first_sent: now, delivered: 0, lost: 0, limited_until: None }
    }

    /// The stamp of a segment of that many bytes that leaves now, with `in_flight` bytes under way before it.
    #[inline]
    pub fn sent(&mut self, now: Time, in_flight: u32, bytes: u32) -> Stamp {
        if in_flight == 0 {
            // Section 3.2: an idle time is part of no interval.
            self.first_sent = now;
            self.delivered_at = now;
        }
        Stamp {
            delivered_at: self.delivered_at,
            first_sent: self.first_sent,
            delivered: self.delivered,
            lost: self.lost,
            in_flight: in_flight.saturating_add(bytes),
            app_limited: self.limited_until.is_some(),
        }
    }

    /// The sender has nothing to send although the window has room, with `in_flight` bytes under way (section 3.4).
    #[inline]
    pub fn application_limited(&mut self, in_flight: u32) {
        self.limited_until = Some(self.delivered.wrapping_add(in_flight.max(1)));
    }

    /// That many bytes of a segment with this stamp were found lost.
    #[inline]
    pub fn lost(&mut self, stamp: &Stamp, bytes: u32) -> Lost {
        self.lost = self.lost.wrapping_add(bytes);
        Lost {
            bytes,
            in_flight: stamp.in_flight,
            since: self.lost.wrapping_sub(stamp.lost),
            app_limited: stamp.app_limited,
        }
    }

    /// A segment, sent at `sent`, is acknowledged or selectively acknowledged for the first time (section 3.3). The segments
    /// of one ACK come in any order.
    #[inline]
    pub fn delivered(&mut self, collected: &mut Collected, stamp: &Stamp, sent: Time, bytes: u32, now: Time) {
        self.delivered = self.delivered.wrapping_add(bytes);
        self.delivered_at = now;
        let newer = collected.newest.is_none_or(|(best, best_sent)| {
            let ahead = stamp.delivered.wrapping_sub(best.delivered).cast_signed();
            ahead > 0 || (ahead == 0 && sent >= best_sent)
        });
        if newer {
            collected.newest = Some((*stamp, sent));
            self.first_sent = sent;
        }
    }

    /// What the ACK says as a whole; nothing if it delivered nothing, or in less than the shortest round trip, as only ACKs
    /// of retransmissions do that the original has overtaken.
    #[inline]
    pub fn finish(&mut self, collected: Collected, min_rtt: Duration) -> Option<Sample> {
        if self.limited_until.is_some_and(|until| self.delivered.wrapping_sub(until).cast_signed() > 0) {
            self.limited_until = None;
        }
        let (stamp, sent) = collected.newest?;
        let sending = sent.saturating_since(stamp.first_sent);
        let acknowledging = self.delivered_at.saturating_since(stamp.delivered_at);
        let interval = sending.max(acknowledging);
        if interval < min_rtt || interval.is_zero() {
            return None;
        }
        Some(Sample {
            delivered: self.delivered.wrapping_sub(stamp.delivered),
            interval,
            app_limited: stamp.app_limited,
            prior_delivered: stamp.delivered,
            total_delivered: self.delivered,
            in_flight: stamp.in_flight,
            lost: self.lost.wrapping_sub(stamp.lost),
        })
    }
}

#[cfg(test)]
mod tests;
