// SPDX-License-Identifier: MIT OR Apache-2.0
//! Delivery rates and pacing, for congestion control that asks for them (BBR); others pay neither their memory nor their time.

use alloc::boxed::Box;
use core::time::Duration;

use runtime::time::Time;

use super::board::Record;
use super::fresh::Fresh;
use crate::tcp::congestion::Controller;
use crate::tcp::pacing::Pacer;
use crate::tcp::rate::{Rate, Sample, Stamp};

/// What is measured, if anything is.
#[derive(Debug)]
pub struct Sampling(Option<Box<Measured>>);

#[derive(Debug)]
struct Measured {
    rate: Rate,
    pacer: Pacer,
    last: Option<Sample>,
}

impl Sampling {
    pub fn new(is_wanted: bool, now: Time) -> Self {
        Self(is_wanted.then(|| Box::new(Measured { rate: Rate::new(now), pacer: Pacer::new(now), last: None })))
    }

    #[inline]
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// The stamp of what leaves now.
    #[inline]
    pub fn sent(&mut self, now: Time, in_flight: u32, bytes: u32) -> Stamp {
        match &mut self.0 {
            Some(measured) => measured.rate.sent(now, in_flight, bytes),
            None => Stamp::UNUSED,
        }
    }

    /// A part of a record has arrived.
    pub fn delivered(&mut self, fresh: &mut Fresh, record: &Record, bytes: u32, now: Time) {
        if let Some(measured) = &mut self.0 {
            measured.rate.delivered(&mut fresh.collected, &record.stamp, record.sent, bytes, now);
        }
    }

    /// A record was found lost.
    pub fn lost(&mut self, record: &Record, controller: &mut Controller) {
        if let Some(measured) = &mut self.0 {
            controller.on_lost(&measured.rate.lost(&record.stamp, record.len()));
        }
    }

    /// What the ACK says as a whole.
    pub fn finish(&mut self, fresh: &Fresh, min_rtt: Duration) -> Option<Sample> {
        let measured = self.0.as_mut()?;
        let sample = measured.rate.finish(fresh.collected, min_rtt);
        measured.last = sample.or(measured.last);
        sample
    }

    /// The sender lacks data.
    #[inline]
    pub fn limited(&mut self, in_flight: u32) {
        if let Some(measured) = &mut self.0 {
            measured.rate.application_limited(in_flight);
        }
    }

    /// The last that was measured.
    pub fn last(&self) -> Option<Sample> {
        self.0.as_ref()?.last
    }

    /// Bytes have left, at a rate in bytes per second.
    pub fn paced(&mut self, now: Time, bytes: u32, rate: Option<u64>) {
        if let (Some(measured), Some(rate)) = (&mut self.0, rate) {
            measured.pacer.release(now, bytes, rate);
        }
    }

    /// When the next segment may leave, if not now.
    #[inline]
    pub fn ready_at(&self, now: Time) -> Option<Time> {
        self.0.as_ref()?.pacer.ready_at(now)
    }
}
