// SPDX-License-Identifier: MIT OR Apache-2.0
//! BBR, third version (draft-ietf-ccwg-bbr): a model of the path, of its bandwidth and its shortest round trip, says how
//! fast to send and how much may be in flight; losses bound the model and are not its signal. Experimental.
//!
//! - [`model`]: what the ACKs say about the path.
//! - [`phases`]: when to look for more bandwidth, when to drain the queue, when to measure the round trip.
//! - [`bounds`]: what rate and window follow from it.
//!
//! Names are the draft's. Bandwidths are bytes per second, gains are 256ths.
//!
//! What must always hold: without a sample nothing is learned, but the window still follows the model; it is never below
//! four segments but behind a timeout.

mod bounds;
mod model;
mod phases;

use core::time::Duration;

use runtime::time::Time;

use self::model::{Aggregation, FullBandwidth, MaxFilter};
use super::window::Window;
use super::{Ack, Congested, Control};
use crate::tcp::rate::{Lost, Sample};

/// What the sender does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Doubles its rate until the bandwidth is found.
    Startup,
    /// Gives back the queue that this has made.
    Drain,
    /// Sends more slowly than the path is, after a probe.
    Down,
    /// Sends as fast as the path is, with room left for others.
    Cruise,
    /// Fills the pipe before a probe.
    Refill,
    /// Looks for more bandwidth.
    Up,
    /// Has little in flight, to see the round trip without a queue.
    ProbeRtt,
}

/// Of which part of a probe the present ACKs tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Acks {
    Init,
    Refilling,
    Starting,
    Feedback,
    Stopping,
}

/// What was before a reduction.
#[derive(Clone, Debug)]
struct Undo {
    phase: Phase,
    bw_shortterm: u64,
    inflight_shortterm: u32,
    inflight_longterm: u32,
}

/// The state of BBR.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the draft")]
pub struct Bbr {
    /// The congestion window. Its threshold is what recovery is to keep in flight.
    window: Window,
    phase: Phase,
    pacing_rate: u64,
    /// The rate is one as if a round trip took a millisecond, since none was measured (BBRInitPacingRate).
    nominal: bool,
    /// The window before recovery or before the round trip is measured.
    prior_window: u32,
    undo: Option<Undo>,
    delivered: u32,
    /// When something was last told.
    now: Time,

    // The model of the path.
    max_bw: MaxFilter,
    /// The least of the long-term and the short-term bandwidth.
    bw: u64,
    bw_shortterm: u64,
    inflight_shortterm: u32,
    inflight_longterm: u32,
    min_rtt: Duration,
    min_rtt_at: Time,
    aggregation: Aggregation,
    full: FullBandwidth,

    // Rounds, and what was seen in them.
    next_round: u32,
    round_start: bool,
    loss_round: u32,
    loss_round_start: bool,
    loss_in_round: bool,
    /// Segments found lost in this round.
    losses: u32,
    bw_latest: u64,
    inflight_latest: u32,

    // The cycle of probes.
    acks: Acks,
    probe_samples: bool,
    rounds_since_probe: u32,
    probe_wait: Duration,
    cycle_at: Time,
    probe_up_rounds: u32,
    probe_up_acks: u32,
    probe_up_each: u32,

    // The measurement of the round trip.
    probe_rtt_min: Duration,
    probe_rtt_min_at: Time,
    probe_rtt_expired: bool,
    probe_rtt_done: Option<Time>,
    probe_rtt_round_done: bool,
    idle_restart: bool,
}

impl Bbr {
    pub fn new(mss: u32, now: Time) -> Self {
        let window = Window::new(mss);
        Self {
            phase: Phase::Startup,
            pacing_rate: bounds::startup_rate(window.bytes, Duration::from_millis(1)),
            nominal: true,
            prior_window: 0,
            undo: None,
            delivered: 0,
            now,
            max_bw: MaxFilter::default(),
            bw: 0,
            bw_shortterm: u64::MAX,
            inflight_shortterm: u32::MAX,
            inflight_longterm: u32::MAX,
            min_rtt: Duration::MAX,
            min_rtt_at: now,
            aggregation: Aggregation::new(now),
            full: FullBandwidth::default(),
            next_round: 0,
            round_start: false,
            loss_round: 0,
            loss_round_start: false,
            loss_in_round: false,
            losses: 0,
            bw_latest: 0,
            inflight_latest: 0,
            acks: Acks::Init,
            probe_samples: false,
            rounds_since_probe: 0,
            probe_wait: Duration::ZERO,
            cycle_at: now,
            probe_up_rounds: 0,
            probe_up_acks: 0,
            probe_up_each: u32::MAX,
            probe_rtt_min: Duration::MAX,
            probe_rtt_min_at: now,
            probe_rtt_expired: false,
            probe_rtt_done: None,
            probe_rtt_round_done: false,
            idle_restart: false,
            window,
        }
    }

    /// BBRUpdateModelAndState.
    fn update(&mut self, ack: &Ack, sample: &Sample) {
        let in_flight = ack.in_flight.saturating_sub(ack.delivered).saturating_sub(ack.lost);
        let rate = sample.rate();
        self.update_latest_signals(sample, rate);
        self.update_congestion_signals(ack);
        let acked = ack.delivered;
        let reached = self.full.reached;
        self.aggregation.update(ack.now, acked, self.bw, self.window.bytes, self.round_start, reached);
        // What little is in flight while the round trip is measured tells nothing of the bandwidth.
        if self.round_start && !sample.app_limited && self.phase != Phase::ProbeRtt {
            self.full.update(rate);
        }
        self.check_startup_done(ack, sample);
        self.check_drain_done(ack.now, in_flight);
        self.update_cycle(ack, sample, rate, in_flight);
        self.update_min_rtt(ack);
        self.check_probe_rtt(ack.now, in_flight);
        self.idle_restart = false;
        if self.loss_round_start {
            self.bw_latest = rate;
            self.inflight_latest = sample.delivered;
        }
        self.bw = self.max_bw.get().min(self.bw_shortterm);
    }

    /// For tests: what it does now.
    #[cfg(test)]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    fn save_window(&mut self, in_recovery: bool) {
        let kept = if in_recovery || self.phase == Phase::ProbeRtt { self.prior_window } else { 0 };
        self.prior_window = self.window.bytes.max(kept);
    }

    fn restore_window(&mut self) {
        self.window.set(self.window.bytes.max(self.prior_window));
    }

    fn save_undo(&mut self) {
        self.undo = Some(Undo {
            phase: self.phase,
            bw_shortterm: self.bw_shortterm,
            inflight_shortterm: self.inflight_shortterm,
            inflight_longterm: self.inflight_longterm,
        });
    }
}

impl Control for Bbr {
    #[inline]
    fn window(&self) -> &Window {
        &self.window
    }

    #[inline]
    fn window_mut(&mut self) -> &mut Window {
        &mut self.window
    }

    /// BBRHandleRestartFromIdle.
    fn on_sent(&mut self, now: Time, in_flight: u32, bytes: u32) {
        self.now = now;
        self.window.on_sent(in_flight, bytes);
        if in_flight > 0 {
            return;
        }
        self.idle_restart = true;
        self.aggregation.restart(now);
        if self.phase.probes_bandwidth() {
            self.set_pacing_rate(bounds::ONE);
        } else if self.phase == Phase::ProbeRtt {
            self.check_probe_rtt_done(now);
        }
    }

    // Not inlined: the others' way would have to save the registers that this one takes.
    #[inline(never)]
    fn on_ack(&mut self, ack: &Ack) {
        self.now = ack.now;
        self.window.on_ack(ack);
        if self.nominal && !ack.srtt.is_zero() {
            self.nominal = false;
            self.pacing_rate = bounds::startup_rate(self.window.bytes, ack.srtt);
        }
        if let Some(sample) = &ack.rate {
            self.update(ack, sample);
        }
        self.set_pacing_rate(self.phase.pacing_gain());
        self.set_window(ack);
    }

    /// BBRHandleLostPacket.
    fn on_lost(&mut self, lost: &Lost) {
        self.loss_in_round = true;
        self.losses = self.losses.saturating_add(lost.bytes.div_ceil(self.window.mss()));
        if self.probe_samples && model::is_too_high(lost.since, lost.in_flight) {
            let in_flight = model::in_flight_at_loss(lost);
            self.handle_too_high(in_flight, lost.app_limited);
        }
    }

    fn on_congestion(&mut self, congested: Congested, _now: Time, _in_flight: u32) {
        self.save_undo();
        self.loss_in_round = true;
        if congested == Congested::Loss {
            self.save_window(false);
        }
        self.window.threshold = self.window.bytes;
    }

    /// What was in flight is gone.
    fn on_timeout(&mut self, _now: Time, _in_flight: u32, first: bool) {
        if first {
            self.save_undo();
            self.save_window(true);
        }
        self.loss_in_round = true;
        self.window.set(self.window.mss());
        self.window.threshold = self.window.bytes.max(self.window.mss() * 2);
    }

    fn on_recovery_end(&mut self, _now: Time) {
        if self.phase != Phase::ProbeRtt {
            self.restore_window();
        }
    }

    /// BBRHandleSpuriousLossDetection.
    fn undo(&mut self) {
        let Some(undo) = self.undo.take() else { return };
        self.loss_in_round = false;
        self.full.reset(0);
        self.bw_shortterm = self.bw_shortterm.max(undo.bw_shortterm);
        self.inflight_shortterm = self.inflight_shortterm.max(undo.inflight_shortterm);
        self.inflight_longterm = self.inflight_longterm.max(undo.inflight_longterm);
        if self.phase != Phase::ProbeRtt {
            self.restore_window();
            if undo.phase == Phase::Startup && self.phase != Phase::Startup {
                self.enter_startup();
            }
        }
    }

    /// The model says what the path bears; a pause does not change it.
    fn on_idle(&mut self, _now: Time, _idle: Duration, _rto: Duration) {}

    fn rate(&self, _srtt: Duration) -> u64 {
        self.pacing_rate.max(1)
    }
}
