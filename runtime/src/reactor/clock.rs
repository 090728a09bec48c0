// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one place that reads a clock: `CLOCK_MONOTONIC`, kept until it is read again.
//!
//! What must always hold: the kept time never goes back.

use crate::time::Time;
use core::cell::Cell;
use core::time::Duration;
use rustix::time::{ClockId, clock_gettime};

pub(super) struct Clock {
    now: Cell<Time>,
}

impl Clock {
    pub(super) fn new() -> Self {
        let clock = Self { now: Cell::new(Time::ZERO) };
        clock.refresh();
        clock
    }

    /// The time as of the last [`Clock::refresh`].
    pub(super) fn now(&self) -> Time {
        self.now.get()
    }

    /// Reads the clock: no system call, `clock_gettime(2)` is served by the vDSO.
    pub(super) fn refresh(&self) {
        // The monotonic clock starts near zero and is never negative; if it were, the kept time would stay.
        let read = Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default();
        self.now.set(self.now.get().max(Time::ZERO + read));
    }
}
