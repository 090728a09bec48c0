// SPDX-License-Identifier: MIT OR Apache-2.0
//! A sender that is led by hand: segments of 1000 bytes, numbers and milliseconds from zero.

use core::time::Duration;

use runtime::time::Time;

use crate::tcp::recovery::{Acknowledgment, Expired, Features, Outcome, Recovery};
use crate::tcp::seq::Seq;
use crate::tcp::settings::{Algorithm, Settings};
use crate::wire::tcp::SackBlock;

pub const MSS: u32 = 1000;
/// Close to the end of the circle, so that each test crosses it.
const FIRST: Seq = Seq(u32::MAX - 3499);
const BEGIN: Time = Time::from_nanos(1_000_000_000_000);

pub const ALL: Features = Features { sack: true, timestamps: true, ecn: true };

pub struct Hand {
    pub recovery: Recovery,
    now: Time,
}

pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub fn settings() -> Settings {
    Settings { algorithm: Algorithm::NewReno, ..Settings::default() }
}

pub fn nothing() -> Acknowledgment<'static> {
    Acknowledgment {
        ack: FIRST,
        sack: &[],
        rtt: None,
        echo: None,
        has_data: false,
        window_changed: false,
        unsent: false,
        ece: false,
        marked: 0,
    }
}

impl Hand {
    /// With SACK and all else, a round trip of 100 ms measured.
    pub fn new() -> Self {
        Self::with(&settings(), ALL, Some(100))
    }

    pub fn with(settings: &Settings, features: Features, rtt: Option<u64>) -> Self {
        let mut recovery = Recovery::new(settings, features, MSS, FIRST, BEGIN);
        recovery.opened(rtt.map(ms), false, BEGIN);
        Self { recovery, now: BEGIN }
    }

    /// It is so many milliseconds after the begin.
    pub fn at(&mut self, at: u64) -> &mut Self {
        self.now = BEGIN + ms(at);
        self
    }

    pub fn now(&self) -> Time {
        self.now
    }

    /// Segments leave.
    pub fn send(&mut self, segments: u32) -> &mut Self {
        for _ in 0..segments {
            let end = self.recovery.next() + MSS;
            self.recovery.sent(end, self.now);
        }
        self
    }

    /// One record of so many bytes leaves.
    pub fn send_bytes(&mut self, bytes: u32) -> &mut Self {
        let end = self.recovery.next() + bytes;
        self.recovery.sent(end, self.now);
        self
    }

    pub fn full(&mut self, ack: u32, blocks: &[(u32, u32)], rest: Acknowledgment<'_>) -> Outcome {
        let blocks: Vec<SackBlock> =
            blocks.iter().map(|&(start, end)| SackBlock { start: (FIRST + start).0, end: (FIRST + end).0 }).collect();
        let outcome = self.recovery.acknowledged(&Acknowledgment { ack: FIRST + ack, sack: &blocks, ..rest }, self.now);
        self.recovery.board.check(self.recovery.una(), self.recovery.next());
        outcome
    }

    /// An ACK comes; numbers are in bytes.
    pub fn ack(&mut self, ack: u32, blocks: &[(u32, u32)]) -> Outcome {
        self.full(ack, blocks, nothing())
    }

    /// What is lost leaves again, as far as the window lets it: the first numbers of what did.
    pub fn resend(&mut self) -> Vec<u32> {
        let mut sent = Vec::new();
        while let Some((start, end)) = self.recovery.lost() {
            sent.push(start.since(FIRST));
            self.recovery.resent(start, end, self.now);
        }
        sent
    }

    /// Milliseconds from the begin to the deadline.
    pub fn deadline(&self) -> Option<u64> {
        self.recovery.deadline().map(|at| (at - BEGIN).as_millis() as u64)
    }

    pub fn expired(&mut self) -> Expired {
        let expired = self.recovery.expired(self.now);
        self.recovery.board.check(self.recovery.una(), self.recovery.next());
        expired
    }

    pub fn window(&self) -> u32 {
        self.recovery.controller().window()
    }
}
