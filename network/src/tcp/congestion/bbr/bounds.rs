// SPDX-License-Identifier: MIT OR Apache-2.0
//! What rate and window follow from the model.

use core::time::Duration;

use super::model::in_time;
use super::{Bbr, Phase};
use crate::limits::{CONGESTION_WINDOW_MAX, PACING_BURST};
use crate::tcp::congestion::{Ack, window};

/// A gain of one.
pub const ONE: u64 = 256;

/// A gain of it.
pub fn gain(value: u64, gain: u64) -> u64 {
    u64::try_from(u128::from(value) * u128::from(gain) / u128::from(ONE)).unwrap_or(u64::MAX)
}

/// What a connection begins with: its window in a round trip, with the gain of startup.
pub fn startup_rate(window: u32, rtt: Duration) -> u64 {
    let nanos = u64::try_from(rtt.as_nanos()).unwrap_or(u64::MAX).max(1);
    gain(u64::from(window) * 1_000_000_000 / nanos, Phase::Startup.pacing_gain())
}

impl Phase {
    /// 2.77, 0.35, 0.9 and 1.25.
    pub fn pacing_gain(self) -> u64 {
        match self {
            Phase::Startup => 709,
            Phase::Drain => 90,
            Phase::Down => 230,
            Phase::Cruise | Phase::Refill | Phase::ProbeRtt => ONE,
            Phase::Up => 320,
        }
    }

    /// 2, 2.25 while probing, and 0.5.
    fn window_gain(self) -> u64 {
        match self {
            Phase::Up => 576,
            Phase::ProbeRtt => ONE / 2,
            _ => ONE * 2,
        }
    }
}

impl Bbr {
    /// BBRSetPacingRateWithGain: 1 % below what the model says. Before the bandwidth is known it only rises.
    pub fn set_pacing_rate(&mut self, pacing_gain: u64) {
        let rate = gain(self.bw, pacing_gain);
        let rate = rate - rate / 100;
        if rate > 0 && (self.full.reached || rate > self.pacing_rate) {
            self.pacing_rate = rate;
        }
    }

    /// BBRMinPipeCwnd: with less, delayed acknowledgments would stop the flow.
    pub fn least_window(&self) -> u32 {
        self.window.mss() * 4
    }

    /// BBRBDPMultiple.
    fn product(&self, bw: u64, by: u64) -> u32 {
        if self.min_rtt == Duration::MAX {
            return window::initial(self.window.mss());
        }
        let bytes = gain(in_time(bw, self.min_rtt), by);
        bytes.min(u64::from(CONGESTION_WINDOW_MAX)) as u32
    }

    /// BBRQuantizationBudget: room for what leaves together, at each end and on the way.
    fn quantized(&self, bytes: u32) -> u32 {
        let least = self.window.mss() * if self.pacing_rate < 150_000 { 1 } else { 2 };
        let quantum = in_time(self.pacing_rate, Duration::from_millis(1)).min(u64::from(PACING_BURST)) as u32;
        let bytes = bytes.max(quantum.max(least).saturating_mul(3)).max(self.least_window());
        if self.phase == Phase::Up { bytes.saturating_add(self.window.mss() * 2) } else { bytes }
    }

    /// BBRInflight.
    pub fn inflight(&self, bw: u64, by: u64) -> u32 {
        self.quantized(self.product(bw, by))
    }

    /// What a probe must leave at least: the present estimate, or the window if that is less.
    pub fn target_inflight(&self) -> u32 {
        self.product(self.bw, ONE).min(self.window.bytes)
    }

    /// BBRInflightWithHeadroom: 15 % for others.
    pub fn inflight_with_headroom(&self) -> u32 {
        if self.inflight_longterm == u32::MAX {
            return u32::MAX;
        }
        let headroom = (self.inflight_longterm / 100 * 15).max(self.window.mss());
        self.inflight_longterm.saturating_sub(headroom).max(self.least_window())
    }

    /// BBRProbeRTTCwnd.
    pub fn probe_rtt_window(&self) -> u32 {
        self.product(self.bw, Phase::ProbeRtt.window_gain()).max(self.least_window())
    }

    /// BBRSetCwnd and BBRBoundCwndForModel.
    pub fn set_window(&mut self, ack: &Ack) {
        let product = self.product(self.bw, self.phase.window_gain());
        let most = self.quantized(product.saturating_add(self.aggregation.get()));
        let grown = self.window.bytes.saturating_add(ack.delivered);
        let mut bytes = if self.full.reached {
            grown.min(most)
        } else if self.window.bytes < most || self.delivered < window::initial(self.window.mss()) {
            grown
        } else {
            self.window.bytes
        };
        bytes = bytes.max(self.least_window());
        let cap = match self.phase {
            Phase::Startup | Phase::Drain => u32::MAX,
            Phase::Down | Phase::Refill | Phase::Up => self.inflight_longterm,
            Phase::Cruise => self.inflight_with_headroom(),
            Phase::ProbeRtt => self.inflight_with_headroom().min(self.probe_rtt_window()),
        };
        bytes = bytes.min(cap.min(self.inflight_shortterm).max(self.least_window()));
        self.window.set(bytes);
        // Recovery keeps in flight what the model says, and does not begin a slow start of its own.
        let grows = self.phase == Phase::Startup && !ack.in_recovery;
        self.window.threshold = if grows { u32::MAX } else { self.window.bytes };
    }
}
