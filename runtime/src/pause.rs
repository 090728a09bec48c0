// SPDX-License-Identifier: MIT OR Apache-2.0
//! [`pause`]: sleeping for a while where nothing tells when to go on. For what is rare, and never between two messages.

use core::time::Duration;
use rustix::io::Errno;
use rustix::thread::{ClockId, Timespec, clock_nanosleep_absolute};
use rustix::time::clock_gettime;

/// Keeps this thread asleep for at least so long, whatever signals it gets.
///
/// Until a point in time (`TIMER_ABSTIME`, `clock_nanosleep(2)`): of a sleep for a duration the kernel says after each signal how much is left, and adds the
/// timer's slack of 50 us to that, so that signals in quick succession make `std::thread::sleep` longer and longer.
pub fn pause(duration: Duration) {
    const FOR_EVER: Timespec = Timespec { tv_sec: i64::MAX, tv_nsec: 0 };
    let now = clock_gettime(ClockId::Monotonic);
    let end = Timespec::try_from(duration).ok().and_then(|duration| now.checked_add(duration)).unwrap_or(FOR_EVER);
    while clock_nanosleep_absolute(ClockId::Monotonic, &end) == Err(Errno::INTR) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lasts_as_long_as_said() {
        let duration = Duration::from_millis(5);
        let before = clock_gettime(ClockId::Monotonic);
        pause(duration);
        assert!(clock_gettime(ClockId::Monotonic) - before >= Timespec::try_from(duration).unwrap());
        pause(Duration::ZERO);
    }
}
