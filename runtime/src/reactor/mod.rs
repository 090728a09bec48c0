// SPDX-License-Identifier: MIT OR Apache-2.0
//! The reactor of one LibOs: coroutines, timers and file descriptors, and the one place where it sleeps.
//!
//! The owner's loop, once per poll:
//!
//! ```text
//! refresh_clock()  ->  collect(0)  ->  its own events  ->  run_tasks(budget)
//! nothing to do:  announce_sleep()?  ->  look again at what has no descriptor  ->  collect(timeout)  ->  retract_sleep()
//! ```
//!
//! What must always hold: nothing here blocks but [`Reactor::collect`]; work per call is bounded by its budget; a
//! wake from any thread between the announcement and the sleep ends the sleep.

mod alarm;
mod clock;
mod events;
mod poller;
mod readable;
mod sleep;

pub use crate::task::{TaskId, WakeHandle};
pub use events::{EVENTS_MAX, Event, Events, Interest};
pub use readable::Readable;
pub use sleep::Sleep;

use crate::error::{Errno, Error, Result};
use crate::task::{CALL, Executor, TASK};
use crate::time::Time;
use alarm::Alarm;
use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::Poll;
use core::time::Duration;
use poller::Poller;
use sleep::Timers;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;

pub use crate::limits::{COROUTINES_MAX, SOURCES_MAX, TIMERS_MAX};

/// Coroutines, timers, file descriptors and wake-ups of one LibOs; lives on one thread.
pub struct Reactor {
    executor: Executor,
    timers: Rc<Timers>,
    poller: Rc<Poller>,
    alarm: Alarm,
    handle: WakeHandle,
}

impl Reactor {
    /// A reactor with an epoll set and a wake handle of its own.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE` or `ENOMEM` from the kernel.
    pub fn new() -> Result<Rc<Self>> {
        let handle = WakeHandle::new()?;
        let poller = Poller::new(SOURCES_MAX)?;
        poller.watch_return(handle.bell())?;
        Ok(Rc::new(Self {
            executor: Executor::new(COROUTINES_MAX, handle.clone()),
            timers: Rc::new(Timers::new(TIMERS_MAX)),
            poller: Rc::new(poller),
            alarm: Alarm::new(),
            handle,
        }))
    }

    /// The time as of the last [`Reactor::refresh_clock`].
    #[must_use]
    pub fn now(&self) -> Time {
        self.timers.clock.now()
    }

    /// Reads the clock; once per poll, and after a sleep.
    pub fn refresh_clock(&self) {
        self.timers.clock.refresh();
    }

    /// Adds a coroutine; it is polled first by [`Reactor::run_tasks`].
    ///
    /// # Errors
    ///
    /// `EMFILE` if the table is full, `ECANCELED` after [`Reactor::shutdown`].
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) -> Result<TaskId> {
        self.executor.spawn(future)
    }

    /// Ends a coroutine and drops it; false if it has ended already.
    ///
    /// One that is being polled is dropped as soon as the poll returns.
    pub fn abort(&self, id: TaskId) -> bool {
        self.executor.abort(id)
    }

    /// How many coroutines have not ended.
    #[must_use]
    pub fn coroutines(&self) -> usize {
        self.executor.len()
    }

    /// Drops all coroutines and refuses new ones.
    ///
    /// The owner calls this before it goes: a coroutine that holds an `Rc` of the reactor would keep both alive.
    pub fn shutdown(&self) {
        self.executor.shutdown();
    }

    /// Waits, inside a coroutine, until the deadline has passed.
    pub fn sleep_until(&self, deadline: Time) -> Sleep {
        Sleep::new(self.timers.clone(), deadline)
    }

    /// Awaits `future`, but not beyond the deadline: then the future is dropped.
    ///
    /// # Errors
    ///
    /// `ETIMEDOUT` after the deadline, `EMFILE` if the timer table is full.
    pub fn timeout<F: Future>(&self, future: F, deadline: Time) -> impl Future<Output = Result<F::Output>> + use<F> {
        let mut sleep = self.sleep_until(deadline);
        async move {
            let mut future = pin!(future);
            poll_fn(|context| {
                if let Poll::Ready(output) = future.as_mut().poll(context) {
                    return Poll::Ready(Ok(output));
                }
                Pin::new(&mut sleep).poll(context).map(|slept| {
                    slept.and(Err(Error::new(Errno::TIMEDOUT, "the deadline passed before the operation was done")))
                })
            })
            .await
        }
    }

    /// Waits, inside a coroutine, until the descriptor is readable, has an error or its peer hung up.
    pub fn readable(&self, fd: impl AsFd) -> Readable {
        Readable::new(self.poller.clone(), fd.as_fd())
    }

    /// Gives out events of a descriptor under a token, until [`Reactor::unwatch`] or until its file is closed.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a token of more than 63 bits; `EEXIST` if it is watched already, `EPERM` for a regular file,
    /// `ENOMEM` or `ENOSPC` from the kernel.
    pub fn watch(&self, fd: impl AsFd, interest: Interest, token: u64) -> Result<()> {
        self.poller.watch(fd.as_fd(), interest, token)
    }

    /// Ends a [`Reactor::watch`]. An event that was collected before may still be in the owner's hands.
    ///
    /// # Errors
    ///
    /// `ENOENT` if the descriptor is not watched.
    pub fn unwatch(&self, fd: impl AsFd) -> Result<()> {
        self.poller.unwatch(fd.as_fd())
    }

    /// Collects events with one system call, and sleeps in it for at most `timeout` (`None`: for ever) if there are none.
    ///
    /// Wakes coroutines itself and gives out the events of what is watched; both may be none: after a signal, a wake,
    /// or a sleep of more than twelve days. It does not look at timers: the owner bounds `timeout` by
    /// [`Reactor::next_deadline`].
    ///
    /// # Errors
    ///
    /// Those of `epoll_wait(2)` other than `EINTR`, none of which an open epoll set gives.
    pub fn collect(&self, timeout: Option<Duration>, out: &mut Events) -> Result<()> {
        self.poller.collect(timeout, out)
    }

    /// Does one bounded batch of each: fires timers that are due, then polls woken coroutines; `budget` bounds both.
    /// Returns how many timers fired and coroutines ran.
    pub fn run_tasks(&self, budget: usize) -> usize {
        self.handle.take(TASK);
        let fired = self.timers.expire(budget);
        fired + self.executor.run(budget)
    }

    /// Whether [`Reactor::run_tasks`] has something to do.
    #[must_use]
    pub fn has_ready_tasks(&self) -> bool {
        self.executor.has_ready() || self.timers.is_due()
    }

    /// When the next timer fires, or a little earlier; `None` if no coroutine sleeps.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.timers.next_deadline()
    }

    /// A handle by which other threads wake this LibOs.
    #[must_use]
    pub fn wake_handle(&self) -> WakeHandle {
        self.handle.clone()
    }

    /// Says that a sleep is coming: from now on wakers make [`Reactor::collect`] return. False if there is no reason
    /// to sleep: a wake is pending ([`Reactor::take_wake`] takes it) or a coroutine is ready.
    #[must_use]
    pub fn announce_sleep(&self) -> bool {
        // The wakes of coroutines that have run meanwhile are no reason to stay awake.
        self.handle.take(TASK);
        !self.has_ready_tasks() && self.handle.announce_sleep()
    }

    /// Says that the sleep is over, or did not come: wakers need no system call any more.
    pub fn retract_sleep(&self) {
        self.handle.retract_sleep();
    }

    /// Whether [`WakeHandle::wake`] was called since the last time; takes the wake.
    #[must_use]
    pub fn take_wake(&self) -> bool {
        self.handle.take(CALL)
    }

    /// The epoll set itself: readable when [`Reactor::collect`] has something to collect.
    ///
    /// To own it by another event loop: [`Reactor::announce_sleep`], then [`Reactor::arm_timerfd`], then wait for it.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.poller.fd()
    }

    /// Makes [`Reactor::fd`] readable at [`Reactor::next_deadline`].
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`, `ENOMEM` or `ENOSPC` from the kernel, at the first call with a deadline.
    pub fn arm_timerfd(&self) -> Result<()> {
        self.alarm.set(&self.poller, self.next_deadline())
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
