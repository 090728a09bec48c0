// SPDX-License-Identifier: MIT OR Apache-2.0
//! A sender that fills its window on a path of a given round trip that loses nothing by itself.

use core::time::Duration;

use runtime::time::Time;

use crate::tcp::congestion::{Ack, Congested, Controller};
use crate::tcp::seq::Seq;
use crate::tcp::settings::Algorithm;

pub const MSS: u32 = 1000;

/// One flow with its congestion control.
#[derive(Clone)]
pub struct Flow {
    pub control: Controller,
    pub now: Time,
    pub rtt: Duration,
    pub una: Seq,
    pub next: Seq,
    pub in_recovery: bool,
    /// Window times nanoseconds, and those, since [`Flow::measure`].
    area: u128,
    since: Time,
}

impl Flow {
    pub fn new(algorithm: Algorithm, rtt: Duration) -> Self {
        let now = Time::from_nanos(1_000_000_000);
        let control = Controller::new(algorithm, MSS, now);
        // Near the end of the circle, which must not matter.
        let start = Seq(u32::MAX - 100_000);
        Self { control, now, rtt, una: start, next: start, in_recovery: false, area: 0, since: now }
    }

    /// One that has left slow start, with a window of so many segments.
    pub fn at(algorithm: Algorithm, rtt: Duration, segments: u32) -> Self {
        let mut flow = Self::new(algorithm, rtt);
        while flow.segments() < segments {
            flow.round();
        }
        flow
    }

    pub fn in_flight(&self) -> u32 {
        self.next.since(self.una)
    }

    /// The window in whole segments.
    pub fn segments(&self) -> u32 {
        self.control.window() / MSS
    }

    /// Sends what the window has room for.
    pub fn fill(&mut self) {
        while self.in_flight() + MSS <= self.control.window() {
            self.send(MSS);
        }
    }

    pub fn send(&mut self, bytes: u32) {
        self.control.on_sent(self.now, self.in_flight(), bytes);
        self.next += bytes;
    }

    /// An ACK of that many bytes, `later` after the last.
    pub fn ack(&mut self, bytes: u32, marked: u32, later: Duration) {
        self.area += u128::from(self.control.window()) * later.as_nanos();
        self.now += later;
        let in_flight = self.in_flight();
        self.una += bytes;
        self.control.on_ack(&Ack {
            now: self.now,
            delivered: bytes,
            acked: bytes,
            in_flight,
            lost: 0,
            rtt: Some(self.rtt),
            srtt: self.rtt,
            marked,
            una: self.una,
            next: self.next,
            rate: None,
            in_recovery: self.in_recovery,
        });
    }

    /// A round trip in which all is acknowledged, segment by segment, and the window kept full.
    pub fn round(&mut self) {
        self.fill();
        let segments = self.in_flight() / MSS;
        for _ in 0..segments {
            self.ack(MSS, 0, self.rtt / segments);
            self.fill();
        }
    }

    /// A loss, after which what is beyond the window has left the network.
    pub fn lose(&mut self) {
        self.control.on_congestion(Congested::Loss, self.now, self.in_flight());
        self.next = self.una + self.in_flight().min(self.control.window());
    }

    /// Begins to measure the mean window.
    pub fn measure(&mut self) {
        (self.area, self.since) = (0, self.now);
    }

    /// The mean window in segments since then.
    pub fn mean(&self) -> f64 {
        self.area as f64 / (self.now - self.since).as_nanos() as f64 / f64::from(MSS)
    }
}
