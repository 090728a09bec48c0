// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much may be under way.
//!
//! A [`Controller`] is told what was sent, acknowledged and lost, and says how many bytes may be in flight and, if it paces,
//! how fast they may leave. It neither finds losses nor knows which bytes they are: that is recovery's, which calls
//! [`Controller::on_congestion`] once for each window in which something was lost (RFC 5681 section 3.1).
//!
//! What must always hold: the window is never below one segment, and never overflows, whatever is told.

mod bbr;
mod cubic;
mod dctcp;
mod hystart;
mod newreno;
mod window;

use alloc::boxed::Box;
use core::time::Duration;

use runtime::time::Time;

use self::bbr::Bbr;
use self::cubic::Cubic;
use self::dctcp::Dctcp;
use self::newreno::NewReno;
use self::window::Window;
use super::rate;
use super::seq::Seq;
use super::settings::Algorithm;

/// What one ACK says, for congestion control.
#[derive(Clone, Copy, Debug)]
pub struct Ack {
    /// When it came.
    pub now: Time,
    /// Bytes that it acknowledges for the first time, selectively or not.
    pub delivered: u32,
    /// Bytes by which it moves the left edge.
    pub acked: u32,
    /// Bytes in flight before it.
    pub in_flight: u32,
    /// Bytes that were found lost because of it.
    pub lost: u32,
    /// The round trip that it measures, if it does.
    pub rtt: Option<Duration>,
    /// The smoothed round trip; zero before the first was measured.
    pub srtt: Duration,
    /// Of the delivered bytes, those that the peer says came marked.
    pub marked: u32,
    /// The left edge, behind it.
    pub una: Seq,
    /// The next number to be sent.
    pub next: Seq,
    /// The delivery rate that it measures.
    pub rate: Option<rate::Sample>,
    /// Whether fast recovery is under way, in which PRR says what may be sent and the window does not grow. Not after a timeout:
    /// then slow start makes the loss good.
    pub in_recovery: bool,
}

/// What has shown that the path is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Congested {
    /// Something was lost.
    Loss,
    /// A router has marked instead (RFC 3168).
    Marked,
}

/// What each algorithm does; what stands here is right for those that govern by a window.
trait Control {
    fn window(&self) -> &Window;
    fn window_mut(&mut self) -> &mut Window;
    fn on_ack(&mut self, ack: &Ack);
    fn on_congestion(&mut self, congested: Congested, now: Time, in_flight: u32);
    fn on_timeout(&mut self, now: Time, in_flight: u32, first: bool);
    fn undo(&mut self);
    fn on_idle(&mut self, now: Time, idle: Duration, rto: Duration);

    #[inline]
    fn on_sent(&mut self, _now: Time, in_flight: u32, bytes: u32) {
        self.window_mut().on_sent(in_flight, bytes);
    }

    #[inline]
    fn on_lost(&mut self, _lost: &rate::Lost) {}

    #[inline]
    fn on_recovery_end(&mut self, _now: Time) {}

    fn rate(&self, srtt: Duration) -> u64 {
        self.window().rate(srtt)
    }
}

/// Congestion control of one connection.
#[derive(Clone, Debug)]
pub struct Controller(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Cubic(Cubic),
    NewReno(NewReno),
    Dctcp(Dctcp),
    /// Larger than the others together.
    Bbr(Box<Bbr>),
}

/// Calls the same of whatever algorithm it is.
macro_rules! each {
    ($controller:expr, $control:ident => $call:expr) => {
        match $controller {
            Kind::Cubic($control) => $call,
            Kind::NewReno($control) => $call,
            Kind::Dctcp($control) => $call,
            Kind::Bbr($control) => $call,
        }
    };
}

impl Controller {
    /// For a connection that has sent nothing, with segments of at most `mss` bytes of payload. The window is that of RFC
    /// 6928.
    #[must_use]
    pub fn new(algorithm: Algorithm, mss: u32, now: Time) -> Self {
        Self(match algorithm {
            Algorithm::Cubic => Kind::Cubic(Cubic::new(mss)),
            Algorithm::NewReno => Kind::NewReno(NewReno::new(mss)),
            Algorithm::Dctcp => Kind::Dctcp(Dctcp::new(mss)),
            Algorithm::Bbr => Kind::Bbr(Box::new(Bbr::new(mss, now))),
        })
    }

    /// Which algorithm it is.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match self.0 {
            Kind::Cubic(_) => Algorithm::Cubic,
            Kind::NewReno(_) => Algorithm::NewReno,
            Kind::Dctcp(_) => Algorithm::Dctcp,
            Kind::Bbr(_) => Algorithm::Bbr,
        }
    }

    /// Bytes that may be in flight.
    #[inline]
    #[must_use]
    pub fn window(&self) -> u32 {
        each!(&self.0, control => control.window().bytes)
    }

    /// The window at which slow start ends, in bytes; `u32::MAX` before anything was lost.
    #[inline]
    #[must_use]
    pub fn threshold(&self) -> u32 {
        each!(&self.0, control => control.window().threshold)
    }

    /// Whether the window grows by what is acknowledged.
    #[inline]
    #[must_use]
    pub fn in_slow_start(&self) -> bool {
        each!(&self.0, control => control.window().in_slow_start())
    }

    /// Bytes have left, new ones or old ones; `in_flight` were under way before them.
    #[inline]
    pub fn on_sent(&mut self, now: Time, in_flight: u32, bytes: u32) {
        each!(&mut self.0, control => control.on_sent(now, in_flight, bytes));
    }

    /// An ACK came, of new data or old. Whatever was found lost because of it is told first, by [`Self::on_lost`].
    #[inline]
    pub fn on_ack(&mut self, ack: &Ack) {
        each!(&mut self.0, control => control.on_ack(ack));
    }

    /// A segment was found lost, by an ACK or by time. BBR looks at each; the others only at [`Self::on_congestion`].
    #[inline]
    pub fn on_lost(&mut self, lost: &rate::Lost) {
        each!(&mut self.0, control => control.on_lost(lost));
    }

    /// The path is full: recovery is entered, or ECE came for the first time in a window. `in_flight` is what was sent and is
    /// not acknowledged (FlightSize of RFC 5681), what is thought lost included. The window is the reduced one afterwards;
    /// recovery spreads the reduction over a round trip. What was before is kept for [`Self::undo`].
    pub fn on_congestion(&mut self, congested: Congested, now: Time, in_flight: u32) {
        each!(&mut self.0, control => control.on_congestion(congested, now, in_flight));
    }

    /// The retransmission timer has run out, for this data for the first time or again; `in_flight` as in
    /// [`Self::on_congestion`]. The window is one segment afterwards.
    pub fn on_timeout(&mut self, now: Time, in_flight: u32, first: bool) {
        each!(&mut self.0, control => control.on_timeout(now, in_flight, first));
    }

    /// All that was sent before the loss was found is acknowledged: fast recovery, or what followed a timeout, is over.
    pub fn on_recovery_end(&mut self, now: Time) {
        each!(&mut self.0, control => control.on_recovery_end(now));
    }

    /// The last reduction was for nothing: what was "lost" had only been late. A second call does nothing.
    pub fn undo(&mut self) {
        each!(&mut self.0, control => control.undo());
    }

    /// Something is to be sent after nothing was for a time, with nothing in flight.
    pub fn on_idle(&mut self, now: Time, idle: Duration, rto: Duration) {
        each!(&mut self.0, control => control.on_idle(now, idle, rto));
    }

    /// Segments are of another size from now on.
    pub fn set_mss(&mut self, mss: u32) {
        each!(&mut self.0, control => control.window_mut().set_mss(mss));
    }

    /// Bytes per second at which segments are to leave; nothing: as soon as the window lets them. Only BBR paces.
    #[inline]
    #[must_use]
    pub fn pacing_rate(&self, srtt: Duration) -> Option<u64> {
        matches!(self.0, Kind::Bbr(_)).then(|| self.rate(srtt))
    }

    /// Bytes per second that the window is good for, whether it paces or not.
    #[must_use]
    pub fn rate(&self, srtt: Duration) -> u64 {
        each!(&self.0, control => control.rate(srtt))
    }

    /// Why sending has stopped: for lack of data or of the peer's window (true), or because the window is full (false). A
    /// window that is not filled once in a round trip does not grow.
    #[inline]
    pub fn set_application_limited(&mut self, limited: bool) {
        if !limited {
            each!(&mut self.0, control => control.window_mut().filled());
        }
    }
}

#[cfg(test)]
mod tests;
