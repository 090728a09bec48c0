// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the ACKs say about the path: its bandwidth, its shortest round trip, how ACKs come in bunches, and what losses say
//! about the bounds of all this.

use core::time::Duration;

use runtime::time::Time;

use super::{Bbr, Phase};
use crate::tcp::congestion::Ack;
use crate::tcp::rate::{Lost, Sample};

/// BBRMinRTTFilterLen and BBRProbeRTTInterval.
const MIN_RTT_FILTER: Duration = Duration::from_secs(10);
const PROBE_RTT_INTERVAL: Duration = Duration::from_secs(5);
/// Rounds of the filter of aggregation (BBRExtraAckedFilterLen), in two halves.
const EXTRA_ACKED_ROUNDS: u32 = 10;

/// BBRBeta = 0.7 of it.
pub fn beta(value: u64) -> u64 {
    value / 10 * 7 + value % 10 * 7 / 10
}

/// Whether more than BBRLossThresh = 2 % of what was in flight is lost (BBRIsInflightTooHigh).
pub fn is_too_high(lost: u32, in_flight: u32) -> bool {
    u64::from(lost) * 50 > u64::from(in_flight)
}

/// How much was in flight when the loss went beyond what is borne, within the lost segment
/// (BBRInflightAtLoss).
pub fn in_flight_at_loss(lost: &Lost) -> u32 {
    let in_flight_before = lost.in_flight.saturating_sub(lost.bytes);
    let lost_before = lost.since.saturating_sub(lost.bytes);
    // lost_before + x = (in_flight_before + x) / 50, solved for x.
    let room = (u64::from(in_flight_before) / 50).saturating_sub(u64::from(lost_before)) * 50 / 49;
    in_flight_before.saturating_add(u32::try_from(room).unwrap_or(u32::MAX))
}

/// The most of the last two cycles.
#[derive(Clone, Copy, Debug, Default)]
pub struct MaxFilter {
    last: u64,
    current: u64,
}

impl MaxFilter {
    pub fn get(&self) -> u64 {
        self.last.max(self.current)
    }

    fn add(&mut self, value: u64) {
        self.current = self.current.max(value);
    }

    /// A cycle begins; one without a sample is none.
    pub fn advance(&mut self) {
        if self.current > 0 {
            self.last = core::mem::take(&mut self.current);
        }
    }
}

/// How much more is acknowledged at once than the bandwidth explains (BBRUpdateACKAggregation).
#[derive(Clone, Debug)]
pub struct Aggregation {
    began: Time,
    delivered: u64,
    extra: [u32; 2],
    rounds: u32,
}

impl Aggregation {
    pub fn new(now: Time) -> Self {
        Self { began: now, delivered: 0, extra: [0; 2], rounds: 0 }
    }

    pub fn restart(&mut self, now: Time) {
        self.began = now;
        self.delivered = 0;
    }

    pub fn get(&self) -> u32 {
        self.extra[0].max(self.extra[1])
    }

    pub fn update(&mut self, now: Time, acked: u32, bw: u64, window: u32, round_start: bool, full: bool) {
        let rounds = if full { EXTRA_ACKED_ROUNDS / 2 } else { 1 };
        if round_start {
            self.rounds += 1;
            if self.rounds >= rounds {
                self.extra = [self.extra[1], 0];
                self.rounds = 0;
            }
        }
        let mut expected = in_time(bw, now - self.began);
        if self.delivered <= expected {
            self.restart(now);
            expected = 0;
        }
        self.delivered = self.delivered.saturating_add(u64::from(acked));
        let extra = self.delivered.saturating_sub(expected).min(u64::from(window)) as u32;
        self.extra[1] = self.extra[1].max(extra);
    }
}

/// Bytes that a bandwidth delivers in a time.
pub fn in_time(bw: u64, time: Duration) -> u64 {
    let bytes = u128::from(bw) * time.as_nanos() / 1_000_000_000;
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Whether more is sent without more being delivered (BBRCheckFullBWReached).
#[derive(Clone, Debug, Default)]
pub struct FullBandwidth {
    bw: u64,
    count: u8,
    /// It is so now.
    pub now: bool,
    /// It was so once: startup is over.
    pub reached: bool,
}

impl FullBandwidth {
    pub fn reset(&mut self, bw: u64) {
        (self.bw, self.count, self.now) = (bw, 0, false);
    }

    /// A round with a rate that lack of data has not bounded: three of them without a quarter more are enough.
    pub fn update(&mut self, rate: u64) {
        if self.now {
            return;
        }
        if rate >= self.bw.saturating_add(self.bw / 4) {
            self.reset(rate);
            return;
        }
        self.count += 1;
        self.now = self.count >= 3;
        self.reached |= self.now;
    }
}

impl Bbr {
    /// A round begins: it ends when what is sent from now on is acknowledged.
    pub fn start_round(&mut self) {
        self.next_round = self.delivered;
    }

    /// BBRUpdateLatestDeliverySignals, BBRUpdateRound and BBRUpdateMaxBw.
    pub fn update_latest_signals(&mut self, sample: &Sample, rate: u64) {
        self.delivered = sample.total_delivered;
        self.loss_round_start = false;
        self.bw_latest = self.bw_latest.max(rate);
        self.inflight_latest = self.inflight_latest.max(sample.delivered);
        if is_reached(sample.prior_delivered, self.loss_round) {
            self.loss_round = sample.total_delivered;
            self.loss_round_start = true;
        }
        self.round_start = is_reached(sample.prior_delivered, self.next_round);
        if self.round_start {
            self.start_round();
            self.rounds_since_probe = self.rounds_since_probe.saturating_add(1);
        }
        if rate >= self.max_bw.get() || !sample.app_limited {
            self.max_bw.add(rate);
        }
    }

    /// BBRUpdateCongestionSignals: once in a round with a loss, the short-term bounds go down to what was delivered, but
    /// not below seven tenths.
    pub fn update_congestion_signals(&mut self, ack: &Ack) {
        self.loss_in_round |= ack.lost > 0;
        if !self.loss_round_start {
            return;
        }
        if self.loss_in_round && !matches!(self.phase, Phase::Startup | Phase::Refill | Phase::Up) {
            if self.bw_shortterm == u64::MAX {
                self.bw_shortterm = self.max_bw.get();
            }
            if self.inflight_shortterm == u32::MAX {
                self.inflight_shortterm = self.window.bytes;
            }
            self.bw_shortterm = self.bw_latest.max(beta(self.bw_shortterm));
            self.inflight_shortterm = self.inflight_latest.max(beta(u64::from(self.inflight_shortterm)) as u32);
        }
        self.loss_in_round = false;
    }

    /// BBRResetShortTermModel.
    pub fn reset_shortterm(&mut self) {
        self.bw_shortterm = u64::MAX;
        self.inflight_shortterm = u32::MAX;
    }

    /// BBRResetCongestionSignals.
    pub fn reset_congestion_signals(&mut self) {
        self.loss_in_round = false;
        self.bw_latest = 0;
        self.inflight_latest = 0;
    }

    /// BBRUpdateMinRTT: two filters, of five seconds and of ten.
    pub fn update_min_rtt(&mut self, ack: &Ack) {
        self.probe_rtt_expired = ack.now > self.probe_rtt_min_at + PROBE_RTT_INTERVAL;
        if let Some(rtt) = ack.rtt
            && (rtt < self.probe_rtt_min || self.probe_rtt_expired)
        {
            self.probe_rtt_min = rtt;
            self.probe_rtt_min_at = ack.now;
        }
        if self.probe_rtt_min < self.min_rtt || ack.now > self.min_rtt_at + MIN_RTT_FILTER {
            self.min_rtt = self.probe_rtt_min;
            self.min_rtt_at = self.probe_rtt_min_at;
        }
    }
}

/// Whether one count, which goes round, has come to another.
fn is_reached(count: u32, other: u32) -> bool {
    count.wrapping_sub(other).cast_signed() >= 0
}
