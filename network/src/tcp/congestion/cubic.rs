// SPDX-License-Identifier: MIT OR Apache-2.0
//! CUBIC (RFC 9438) with HyStart++: after a loss the window comes back to what it was along a cubic of the time since, flat
//! where the loss had been, and goes on beyond it; never slower than NewReno would.
//!
//! In integers: bytes, and time in [`TICK`]s of 2^20 ns, about a millisecond, so that the cubic takes three
//! multiplications and no division.

use alloc::boxed::Box;
use core::time::Duration;

use runtime::time::Time;

use super::hystart::{Growth, HyStart};
use super::window::Window;
use super::{Ack, Congested, Control};

/// A tick is this power of two of nanoseconds.
const TICK: u32 = 20;
/// C = 0.4 segments / s^3 (section 4.1.2) in segments / tick^3 times 2^64: 0.4 × (2^20 / 10^9)^3 × 2^64.
const C: u64 = 8_507_059_173;
/// The inverse, in tick^3 / segment.
const C_INVERSE: u64 = 2_168_404_345;
/// Ticks from the flat part beyond which the cubic is not followed, 18 minutes: 430 million segments.
const FAR: u64 = 1 << 20;

/// β = 7/10 (section 4.6) of it.
fn beta(bytes: u32) -> u32 {
    (u64::from(bytes) * 7 / 10) as u32
}

/// One stage of congestion avoidance (section 4.1.2).
#[derive(Clone, Debug)]
struct Stage {
    /// When it began, later by all times without use; nothing: it begins with the next ACK.
    began: Option<Time>,
    /// W_max: the window before the last reduction, where the cubic is flat. 0: none; it will be the one it begins with.
    max: u32,
    /// K, in ticks: when it is there.
    k: u32,
    /// W_est: what NewReno would have.
    estimate: u32,
    /// cwnd_prior: beyond it, NewReno's window grows by a whole segment.
    prior: u32,
}

impl Stage {
    const NONE: Self = Self { began: None, max: 0, k: 0, estimate: 0, prior: 0 };
}

/// Congestion avoidance.
#[derive(Clone, Debug)]
struct Avoidance {
    stage: Stage,
    /// Acknowledged bytes times what the window is short of its target, since it last grew; a whole window times a segment
    /// is one segment.
    credit: u64,
    /// The same for the estimate: bytes times 17ths.
    estimate_credit: u64,
    /// Acknowledged bytes that are in neither yet: a few ACKs are worked off together.
    acked: u32,
    /// The tick of the stage for which the target is; `u32::MAX`: it is for none.
    tick: u32,
    /// When the last ACK came.
    acked_at: Time,
    /// Where the cubic is a round trip ahead; 0: it is behind NewReno.
    target: u32,
    /// Window, threshold and stage before the last reduction; a window of zero: there is none to undo.
    saved: (u32, u32, Stage),
}

impl Avoidance {
    const NONE: Self = Self {
        stage: Stage::NONE,
        credit: 0,
        estimate_credit: 0,
        acked: 0,
        tick: u32::MAX,
        acked_at: Time::ZERO,
        target: 0,
        saved: (0, 0, Stage::NONE),
    };

    /// W_cubic (section 4.2, figure 1) after so many ticks.
    #[inline]
    fn at(&self, ticks: u64, mss: u32) -> u32 {
        let k = u64::from(self.stage.k);
        let away = ticks.abs_diff(k).min(FAR);
        // 2^60 × (2^33 × 2^16): what is above 2^64 are bytes.
        let bytes = (u128::from(away * away * away) * u128::from(C * u64::from(mss))) >> 64;
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        if ticks < k { self.stage.max.saturating_sub(bytes) } else { self.stage.max.saturating_add(bytes) }
    }

    /// A stage begins (section 4.2; section 4.10 and, after a timeout, section 4.8 for that without a known maximum).
    #[cold]
    fn begin(&mut self, bytes: u32, mss: u32, now: Time) {
        let stage = &mut self.stage;
        if stage.max <= bytes {
            stage.max = bytes;
            stage.k = 0;
        } else {
            // K = cbrt((W_max - cwnd_epoch) / C): 2^30 × 2^31 fits.
            let cubed = u64::from(stage.max - bytes) * C_INVERSE / u64::from(mss);
            stage.k = cube_root(cubed);
        }
        if stage.prior == 0 {
            stage.prior = bytes;
        }
        stage.estimate = bytes;
        stage.began = Some(now);
        self.credit = 0;
        self.estimate_credit = 0;
        self.acked = 0;
        self.tick = u32::MAX;
    }

    /// Looks where the cubic is, a tick of the stage having passed.
    #[inline(never)]
    fn aim(&mut self, tick: u32, mss: u32, ack: &Ack) {
        self.tick = tick;
        let ticks = u64::from(tick);
        // Section 4.3: where it is behind NewReno, that is what counts.
        let is_behind = self.at(ticks, mss) < self.stage.estimate;
        self.target = if is_behind { 0 } else { self.at(ticks + (nanos(ack.srtt) >> TICK), mss) };
    }

    /// Congestion avoidance (sections 4.3 to 4.5).
    #[inline]
    fn avoid(&mut self, window: &mut Window, ack: &Ack) {
        let (bytes, mss) = (window.bytes, window.mss());
        let Some(began) = self.stage.began else {
            self.begin(bytes, mss, ack.now);
            return;
        };
        self.acked = self.acked.saturating_add(ack.acked);
        if self.acked < bytes >> 5 {
            return;
        }
        let acked = u64::from(core::mem::take(&mut self.acked));
        // α = 3 (1 - β) / (1 + β) = 9/17, and 1 beyond what had been reached before the loss (section 4.3).
        let alpha = if self.stage.estimate < self.stage.prior { 9 } else { 17 };
        self.estimate_credit += acked * alpha;
        let whole = u64::from(bytes) * 17;
        if self.estimate_credit >= whole {
            let segments = grown(&mut self.estimate_credit, whole);
            self.stage.estimate = self.stage.estimate.saturating_add(segments.saturating_mul(mss));
            self.tick = u32::MAX;
        }
        let tick = (ack.now.as_nanos().saturating_sub(began.as_nanos()) >> TICK).min(FAR * 2) as u32;
        if tick != self.tick {
            self.aim(tick, mss, ack);
        }
        if self.target == 0 {
            window.set(bytes.max(self.stage.estimate));
            return;
        }
        // Section 4.2: not more than half as much again in a round trip.
        let target = self.target.clamp(bytes, bytes + bytes / 2);
        self.credit += acked * u64::from(target - bytes);
        let whole = u64::from(bytes) * u64::from(mss);
        if self.credit >= whole {
            let segments = grown(&mut self.credit, whole);
            window.set(bytes.saturating_add(segments.saturating_mul(mss)).min(target.max(bytes + mss)));
        }
    }

    /// Time has passed since the last ACK that is not part of the stage.
    #[inline]
    fn wait(&mut self, now: Time) {
        if let Some(began) = &mut self.stage.began {
            let passed = now.as_nanos().saturating_sub(self.acked_at.as_nanos());
            *began = Time::from_nanos(began.as_nanos().saturating_add(passed));
        }
        self.acked_at = now;
    }
}

/// The state of CUBIC.
#[derive(Clone, Debug)]
pub struct Cubic {
    window: Window,
    hystart: HyStart,
    /// There once the first slow start is over: most connections that are idle are still in it, and pay a pointer for it.
    avoidance: Option<Box<Avoidance>>,
}

impl Cubic {
    pub fn new(mss: u32) -> Self {
        Self { window: Window::new(mss), hystart: HyStart::new(), avoidance: None }
    }

    /// What only congestion avoidance needs, from its beginning on.
    fn avoidance(&mut self) -> &mut Avoidance {
        self.avoidance.get_or_insert_with(|| Box::new(Avoidance::NONE))
    }

    /// Time has passed since the last ACK in which the window did not hold the sender back, or nothing was in flight: it is
    /// not part of the stage (section 5.8).
    #[inline]
    fn wait(&mut self, now: Time) {
        if let Some(avoidance) = &mut self.avoidance {
            avoidance.wait(now);
        }
    }

    /// An ACK has come that leaves the window as it is, or in slow start.
    #[inline]
    fn heard(&mut self, now: Time) {
        if let Some(avoidance) = &mut self.avoidance {
            avoidance.acked_at = now;
        }
    }

    /// Sections 4.6 and 4.7, but for the window itself.
    fn reduce(&mut self, in_flight: u32) {
        let (bytes, threshold) = (self.window.bytes, self.window.threshold);
        let avoidance = self.avoidance();
        let stage = &mut avoidance.stage;
        avoidance.saved = (bytes, threshold, stage.clone());
        // Fast convergence: who lost before it came back to where it was leaves room for a new flow.
        stage.max = if bytes < stage.max { (u64::from(bytes) * 17 / 20) as u32 } else { bytes };
        stage.prior = bytes;
        stage.began = None;
        self.window.set_threshold(beta(self.window.flight(in_flight)));
    }
}

/// A duration in nanoseconds; what is longer than 584 years is taken for that.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Takes whole parts out of a credit that has at least one: nearly always one, so that nothing is divided.
#[inline]
fn grown(credit: &mut u64, whole: u64) -> u32 {
    *credit -= whole;
    if *credit < whole {
        return 1;
    }
    let more = *credit / whole;
    *credit -= more * whole;
    u32::try_from(more).unwrap_or(u32::MAX - 1) + 1
}

/// The integer cube root, a bit at a time.
pub fn cube_root(value: u64) -> u32 {
    let (mut rest, mut root) = (value, 0_u64);
    for bit in (0..22).rev() {
        root *= 2;
        // (root + 1)^3 - root^3
        let step = 3 * root * (root + 1) + 1;
        if rest >> (3 * bit) >= step {
            rest -= step << (3 * bit);
            root += 1;
        }
    }
    root as u32
}

impl Control for Cubic {
    #[inline]
    fn window(&self) -> &Window {
        &self.window
    }

    #[inline]
    fn window_mut(&mut self) -> &mut Window {
        &mut self.window
    }

    #[inline]
    fn on_sent(&mut self, now: Time, in_flight: u32, bytes: u32) {
        if in_flight == 0 {
            self.wait(now);
        }
        self.window.on_sent(in_flight, bytes);
    }

    #[inline]
    fn on_ack(&mut self, ack: &Ack) {
        let ends = self.window.on_ack(ack);
        // An ACK that tells of a mark opens nothing (RFC 3168 section 6.1.2).
        if ack.in_recovery || ack.marked > 0 {
            self.heard(ack.now);
            return;
        }
        if !self.window.is_used() {
            self.wait(ack.now);
            return;
        }
        if !self.window.in_slow_start() {
            let avoidance = self.avoidance.get_or_insert_with(|| Box::new(Avoidance::NONE));
            avoidance.acked_at = ack.now;
            avoidance.avoid(&mut self.window, ack);
            return;
        }
        self.heard(ack.now);
        // RFC 9406 section 4.3: for the first slow start only.
        let growth = if self.window.threshold == u32::MAX { self.hystart.on_ack(ack, ends) } else { Growth::By(0) };
        match growth {
            Growth::By(shift) => self.window.slow_start(ack.acked, shift),
            Growth::Ends => self.window.threshold = self.window.bytes,
        }
    }

    fn on_congestion(&mut self, congested: Congested, _now: Time, in_flight: u32) {
        self.reduce(in_flight);
        let flight = beta(self.window.flight(in_flight));
        let least = if congested == Congested::Loss { 2 } else { 1 };
        self.window.set(flight.max(self.window.mss() * least));
    }

    /// Section 4.8. The threshold stays when the same data are lost again (RFC 5681 section 3.1).
    fn on_timeout(&mut self, _now: Time, in_flight: u32, first: bool) {
        if first {
            self.reduce(in_flight);
        }
        // The stage behind it knows no maximum.
        if let Some(avoidance) = &mut self.avoidance {
            avoidance.stage = Stage { max: 0, prior: 0, began: None, ..avoidance.stage.clone() };
        }
        self.window.set(self.window.mss());
    }

    /// Section 4.9.
    fn undo(&mut self) {
        let Some(avoidance) = &mut self.avoidance else { return };
        let (bytes, threshold) = (core::mem::take(&mut avoidance.saved.0), avoidance.saved.1);
        if bytes > 0 {
            avoidance.stage = avoidance.saved.2.clone();
            avoidance.tick = u32::MAX;
            self.window.set(self.window.bytes.max(bytes));
            self.window.threshold = self.window.threshold.max(threshold);
        }
    }

    fn on_idle(&mut self, _now: Time, idle: Duration, rto: Duration) {
        if self.window.restart(idle, rto)
            && let Some(avoidance) = &mut self.avoidance
        {
            // Slow start comes first, and then a new stage.
            avoidance.stage.began = None;
        }
    }
}
