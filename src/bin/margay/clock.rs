// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one place where this command reads a clock.

use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};

/// The time now, to measure from.
#[inline]
#[expect(clippy::disallowed_methods, reason = "measuring is what this command is for")]
pub fn now() -> Instant {
    Instant::now()
}

/// Nanoseconds since `start`.
#[inline]
pub fn nanoseconds_since(start: Instant) -> u64 {
    u64::try_from(now().duration_since(start).as_nanos()).unwrap_or(u64::MAX)
}

/// The time since this machine was started, as statistics are stamped with.
pub fn since_boot() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default()
}

/// The processor time that this process has used so far, in user code and in the kernel.
pub fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
