// SPDX-License-Identifier: MIT OR Apache-2.0
//! A timerfd that makes the epoll set ready at the next deadline, for those who wait for its descriptor elsewhere.
//!
//! Made when it is first needed. It is registered edge-triggered and never read: `timerfd_settime(2)` clears it.

use super::poller::Poller;
use crate::error::{Errno, Error, Result};
use crate::time::Time;
use core::cell::OnceCell;
use core::time::Duration;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use std::os::fd::{AsFd, OwnedFd};

pub(super) struct Alarm {
    fd: OnceCell<OwnedFd>,
}

impl Alarm {
    pub(super) const fn new() -> Self {
        Self { fd: OnceCell::new() }
    }

    /// Sets the alarm, at once if the deadline has passed, or clears it.
    pub(super) fn set(&self, poller: &Poller, deadline: Option<Time>) -> Result<()> {
        let fd = match (self.fd.get(), deadline) {
            (Some(fd), _) => fd,
            (None, None) => return Ok(()),
            (None, Some(_)) => {
                let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)
                    .map_err(|errno| Error::os(errno, "timerfd_create"))?;
                poller.watch_return(fd.as_fd())?;
                self.fd.get_or_init(|| fd)
            }
        };
        // An alarm at zero would be no alarm.
        let nanos = deadline.map_or(0, |deadline| deadline.as_nanos().max(1));
        let it_value = Timespec::try_from(Duration::from_nanos(nanos))
            .map_err(|_| Error::new(Errno::INVAL, "the deadline does not fit the timerfd"))?;
        let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        timerfd_settime(fd, TimerfdTimerFlags::ABSTIME, &Itimerspec { it_interval, it_value })
            .map_err(|errno| Error::os(errno, "timerfd_settime"))?;
        Ok(())
    }
}
