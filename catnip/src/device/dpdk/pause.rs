// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sleeping where nothing interrupts, or while something waits to be sent: a timer (`timerfd_create(2)`) ends each sleep after a short while, and the port is looked at.
//!
//! The longer nothing has come, the longer the sleeps, within bounds: so an idle program takes little of its processor, and one that was
//! busy a moment ago answers soon.

use super::limits::{PAUSE_LONGEST, PAUSE_SHORTEST};
use core::time::Duration;
use runtime::{Error, Result};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The timer.
pub struct Pause {
    timer: OwnedFd,
    next: Duration,
    set: bool,
    /// It was set for the last sleep, and nothing has come since.
    in_vain: bool,
}

impl Pause {
    /// One that is not set.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn new() -> Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)
            .map_err(|errno| Error::os(errno, "timerfd_create: to look at a port of DPDK again"))?;
        Ok(Self { timer, next: PAUSE_SHORTEST, set: false, in_vain: false })
    }

    /// What becomes readable.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }

    /// Sets the timer. False: it does not work, so do not sleep.
    pub fn begin(&mut self) -> bool {
        self.set = self.put(self.next);
        self.in_vain = self.set;
        self.next = (self.next * 2).min(PAUSE_LONGEST);
        self.set
    }

    /// Awake again.
    #[inline]
    pub fn end(&mut self) {
        if self.set {
            self.set = !self.put(Duration::ZERO);
        }
    }

    /// Something has come.
    #[inline]
    pub fn busy(&mut self) {
        self.next = PAUSE_SHORTEST;
        self.in_vain = false;
    }

    /// Another sleep is about to begin, maybe one that this does not end.
    pub fn forget(&mut self) {
        self.in_vain = false;
    }

    /// Whether it was set for the last sleep, and nothing has come since.
    pub fn was_in_vain(&self) -> bool {
        self.in_vain
    }

    /// To this time from now; zero takes it back, and what has run out with it.
    #[cold]
    fn put(&self, after: Duration) -> bool {
        let it_value = Timespec { tv_sec: after.as_secs().cast_signed(), tv_nsec: after.subsec_nanos().into() };
        let spec = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &spec).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, poll};

    fn is_readable(pause: &Pause, wait: i64) -> bool {
        let descriptor = pause.descriptor();
        let timeout = Timespec { tv_sec: wait, tv_nsec: 0 };
        poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&timeout)).unwrap() == 1
    }

    #[test]
    fn each_sleep_ends_and_they_grow() {
        let mut pause = Pause::new().unwrap();
        assert!(!is_readable(&pause, 0));
        let mut before = Duration::ZERO;
        for _ in 0..20 {
            assert!(pause.next >= before && pause.next <= PAUSE_LONGEST);
            before = pause.next;
            assert!(pause.begin());
            assert!(is_readable(&pause, 10), "it ends by itself");
            assert!(pause.was_in_vain());
            pause.end();
            assert!(!is_readable(&pause, 0), "and is quiet until it is set again");
        }
        assert_eq!(pause.next, PAUSE_LONGEST);
        pause.busy();
        assert_eq!(pause.next, PAUSE_SHORTEST);
        assert!(!pause.was_in_vain());
        assert!(pause.begin() && pause.was_in_vain());
        pause.end();
        pause.forget();
        assert!(!pause.was_in_vain(), "the next sleep ends otherwise");
    }
}
