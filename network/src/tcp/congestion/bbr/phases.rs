// SPDX-License-Identifier: MIT OR Apache-2.0
//! When to look for more bandwidth, when to drain the queue, when to measure the round trip.

use core::time::Duration;

use runtime::time::Time;

use super::bounds::ONE;
use super::model::{beta, is_too_high};
use super::{Acks, Bbr, Phase};
use crate::tcp::congestion::Ack;
use crate::tcp::rate::Sample;

/// BBRStartupFullLossCnt: as many segments must be lost in a round for losses to end startup.
const STARTUP_LOSSES: u32 = 6;
/// BBRProbeRTTDuration.
const PROBE_RTT: Duration = Duration::from_millis(200);
/// After so many rounds at most bandwidth is looked for again, as a Reno flow of a window of so many segments would.
const PROBE_ROUNDS_MAX: u32 = 63;

impl Phase {
    /// Whether it is of the cycle that looks for bandwidth.
    pub fn probes_bandwidth(self) -> bool {
        matches!(self, Phase::Down | Phase::Cruise | Phase::Refill | Phase::Up)
    }
}

impl Bbr {
    pub fn enter_startup(&mut self) {
        self.phase = Phase::Startup;
        self.full.reached = false;
    }

    /// BBRCheckStartupDone: startup ends when the bandwidth does not grow any more, or where too much is lost.
    pub fn check_startup_done(&mut self, ack: &Ack, sample: &Sample) {
        if self.phase == Phase::Startup
            && self.loss_round_start
            && ack.in_recovery
            && self.losses >= STARTUP_LOSSES
            && is_too_high(sample.lost, sample.in_flight)
        {
            self.full.reached = true;
            self.inflight_longterm = self.inflight(self.max_bw.get(), ONE).max(self.inflight_latest);
        }
        if self.loss_round_start {
            self.losses = 0;
        }
        if self.phase == Phase::Startup && self.full.reached {
            self.phase = Phase::Drain;
        }
    }

    /// BBRCheckDrainDone.
    pub fn check_drain_done(&mut self, now: Time, in_flight: u32) {
        if self.phase == Phase::Drain && in_flight <= self.inflight(self.max_bw.get(), ONE) {
            self.start_down(now);
        }
    }

    fn start_down(&mut self, now: Time) {
        self.reset_congestion_signals();
        self.probe_up_each = u32::MAX;
        // Two seconds to three, and a round more or less, so that flows do not probe together. The low bits of the time of an
        // ACK are as good as chance for this.
        let chance = now.as_nanos().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        self.rounds_since_probe = (chance & 1) as u32;
        self.probe_wait = Duration::from_secs(2) + Duration::from_millis((chance >> 1) % 1000);
        self.cycle_at = now;
        self.acks = Acks::Stopping;
        self.start_round();
        self.phase = Phase::Down;
    }

    fn start_refill(&mut self) {
        self.reset_shortterm();
        self.probe_up_rounds = 0;
        self.probe_up_acks = 0;
        self.acks = Acks::Refilling;
        self.start_round();
        self.phase = Phase::Refill;
    }

    fn start_up(&mut self, now: Time, rate: u64) {
        self.acks = Acks::Starting;
        self.start_round();
        self.full.reset(rate);
        self.cycle_at = now;
        self.phase = Phase::Up;
        self.raise_slope();
    }

    /// BBRUpdateProbeBWCyclePhase.
    pub fn update_cycle(&mut self, ack: &Ack, sample: &Sample, rate: u64, in_flight: u32) {
        if !self.full.reached {
            return;
        }
        self.adapt_longterm(ack, sample);
        match self.phase {
            Phase::Down | Phase::Cruise if self.is_time_to_probe(ack.now) => self.start_refill(),
            Phase::Down if self.is_time_to_cruise(in_flight) => self.phase = Phase::Cruise,
            Phase::Refill if self.round_start => {
                self.probe_samples = true;
                self.start_up(ack.now, rate);
            }
            Phase::Up => self.check_up_done(ack.now, rate),
            _ => {}
        }
    }

    /// BBRIsTimeToProbeBW: after two or three seconds, or as many rounds as a Reno flow would take to come back to this window.
    fn is_time_to_probe(&self, now: Time) -> bool {
        let rounds = (self.target_inflight() / self.window.mss()).min(PROBE_ROUNDS_MAX);
        now > self.cycle_at + self.probe_wait || self.rounds_since_probe >= rounds
    }

    /// BBRIsTimeToCruise.
    fn is_time_to_cruise(&self, in_flight: u32) -> bool {
        in_flight <= self.inflight_with_headroom() && in_flight <= self.inflight(self.max_bw.get(), ONE)
    }

    /// While the long-term bound holds it back, it is that which a probe raises; else it ends when the bandwidth does not grow
    /// (BBRIsTimeToGoDown).
    fn check_up_done(&mut self, now: Time, rate: u64) {
        if self.window.is_used() && self.window.bytes >= self.inflight_longterm {
            self.full.reset(rate);
        } else if self.full.now {
            self.start_down(now);
        }
    }

    /// BBRAdaptLongTermModel.
    fn adapt_longterm(&mut self, ack: &Ack, sample: &Sample) {
        if self.acks == Acks::Starting && self.round_start {
            self.acks = Acks::Feedback;
        }
        if self.acks == Acks::Stopping && self.round_start {
            self.probe_samples = false;
            self.acks = Acks::Init;
            if self.phase.probes_bandwidth() && !sample.app_limited {
                self.max_bw.advance();
            }
        }
        if is_too_high(sample.lost, sample.in_flight) {
            if self.probe_samples {
                self.handle_too_high(sample.in_flight, sample.app_limited);
            }
            return;
        }
        if self.inflight_longterm == u32::MAX {
            return;
        }
        self.inflight_longterm = self.inflight_longterm.max(sample.in_flight);
        if self.phase == Phase::Up {
            self.probe_upward(ack.delivered);
        }
    }

    /// BBRHandleInflightTooHigh: a probe went too far, and ends.
    pub fn handle_too_high(&mut self, in_flight: u32, app_limited: bool) {
        self.probe_samples = false;
        if !app_limited {
            let least = beta(u64::from(self.target_inflight())) as u32;
            self.inflight_longterm = in_flight.max(least);
        }
        if self.phase == Phase::Up {
            self.start_down(self.now);
        }
    }

    /// BBRProbeInflightLongTermUpward: the bound grows by one segment, then two, four and so on in a round.
    fn probe_upward(&mut self, acked: u32) {
        if !self.window.is_used() || self.window.bytes < self.inflight_longterm {
            return;
        }
        self.probe_up_acks = self.probe_up_acks.saturating_add(acked);
        if let Some(segments) = self.probe_up_acks.checked_div(self.probe_up_each).filter(|segments| *segments > 0) {
            self.probe_up_acks -= segments * self.probe_up_each;
            self.inflight_longterm =
                self.inflight_longterm.saturating_add(segments.saturating_mul(self.window.mss())).min(u32::MAX - 1);
        }
        if self.round_start {
            self.raise_slope();
        }
    }

    /// BBRRaiseInflightLongTermSlope.
    fn raise_slope(&mut self) {
        self.probe_up_each = (self.window.bytes >> self.probe_up_rounds.min(31)).max(self.window.mss());
        self.probe_up_rounds = (self.probe_up_rounds + 1).min(30);
    }

    /// BBRCheckProbeRTT: every five seconds without a new minimum, the queue is emptied for a moment.
    pub fn check_probe_rtt(&mut self, now: Time, in_flight: u32) {
        if self.phase != Phase::ProbeRtt && self.probe_rtt_expired && !self.idle_restart {
            self.save_window(false);
            self.phase = Phase::ProbeRtt;
            self.probe_rtt_done = None;
            self.acks = Acks::Stopping;
            self.start_round();
        }
        if self.phase != Phase::ProbeRtt {
            return;
        }
        if self.probe_rtt_done.is_none() {
            if in_flight <= self.probe_rtt_window() {
                self.probe_rtt_done = Some(now + PROBE_RTT);
                self.probe_rtt_round_done = false;
                self.start_round();
            }
            return;
        }
        self.probe_rtt_round_done |= self.round_start;
        if self.probe_rtt_round_done {
            self.check_probe_rtt_done(now);
        }
    }

    pub fn check_probe_rtt_done(&mut self, now: Time) {
        if self.probe_rtt_done.is_none_or(|done| now <= done) {
            return;
        }
        // The next one is due an interval from now.
        self.probe_rtt_min_at = now;
        self.restore_window();
        self.reset_shortterm();
        if self.full.reached {
            self.start_down(now);
            self.phase = Phase::Cruise;
        } else {
            self.enter_startup();
        }
    }
}
