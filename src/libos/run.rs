// SPDX-License-Identifier: MIT OR Apache-2.0
//! Making pending operations go on.
//!
//! A *look* asks the transports, which look at memory, and tries what they wake. A *round* also reads the clock, runs
//! coroutines, timers and what other threads submitted, and now and then collects events from the kernel. Each does one
//! bounded batch of everything, so that neither a busy application nor busy background work starves the other.

use super::LibOs;
use core::task::Poll;
use core::time::Duration;
use runtime::buf::Sga;
use runtime::limits::{BACKGROUND_PER_ROUND, OPERATIONS_PER_QUEUE, QUEUES_PER_LOOK};
use runtime::op::{Datagram, Direction, Outcome, Tried, Work};
use runtime::socket::Destination;
use runtime::transport::Armed;
use runtime::{Errno, Qd, Result};

/// Completions that are handed out before the LibOs looks around, for the sake of timers, events and other queues.
pub(super) const LOOK_AROUND: u32 = 1024;
/// Rounds between two collections of events while spinning.
pub(super) const ROUNDS_PER_COLLECT: u32 = 16;

impl LibOs {
    /// One bounded batch of everything that is due, without waiting. For those who own the LibOs by its
    /// [`readiness_fd`](Self::readiness_fd); the wait calls do it themselves.
    ///
    /// ```
    /// let mut libos = margay::LibOs::new(&margay::Config::default())?;
    /// libos.poll();
    /// # Ok::<(), margay::StartError>(())
    /// ```
    pub fn poll(&mut self) {
        self.collect(Some(Duration::ZERO));
        self.round();
    }

    /// Announces that the caller will wait for [`readiness_fd`](Self::readiness_fd). False: do not, something is ready;
    /// call [`poll`](Self::poll) and take completions first.
    ///
    /// # Errors
    /// `EMFILE` or `ENOMEM` if a timer is pending and the kernel refuses a timerfd.
    ///
    /// ```
    /// use margay::{Config, LibOs};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// let qd = libos.create_pipe("owned")?;
    /// libos.push(qd, b"done at once")?;
    /// assert!(!libos.arm()?, "a completion can be taken");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn arm(&mut self) -> Result<bool> {
        if self.ops.has_done() || self.ops.has_done_in_sets() || !self.wakes.is_empty() {
            return Ok(false);
        }
        self.publish();
        if !self.reactor.announce_sleep() {
            return Ok(false);
        }
        if self.submitted.is_due() || self.backends.arm_for_owner() == Armed::Ready {
            self.reactor.retract_sleep();
            return Ok(false);
        }
        self.reactor.arm_timerfd()?;
        Ok(true)
    }

    /// The clock, coroutines and timers, what was submitted, then a look.
    pub(super) fn round(&mut self) {
        self.reactor.refresh_clock();
        if self.reactor.has_ready_tasks() {
            // A deadline may have passed while the application computed: what came before it is heard first.
            self.collect(Some(Duration::ZERO));
        }
        if self.stats.is_due(self.reactor.now()) {
            self.publish();
        }
        self.reactor.run_tasks(BACKGROUND_PER_ROUND);
        self.run_submitted();
        self.look();
    }

    /// Asks the transports, and tries what they wake.
    #[inline]
    pub(super) fn look(&mut self) {
        self.backends.poll(&mut self.wakes);
        for _ in 0..QUEUES_PER_LOOK {
            let Some((queue, direction)) = self.wakes.take() else { break };
            self.run_queue(queue, direction);
        }
    }

    fn run_queue(&mut self, id: u32, direction: Direction) {
        for _ in 0..OPERATIONS_PER_QUEUE {
            if !self.try_first(id, direction) {
                return;
            }
        }
        // It may have more: behind the others.
        self.wakes.wake(id, direction);
    }

    /// Tries the first operation of a queue's direction. True if it finished.
    #[inline]
    pub(super) fn try_first(&mut self, id: u32, direction: Direction) -> bool {
        let Some((qd, queue)) = self.queues.at(id) else { return false };
        let fifo = &mut queue.fifos[direction as usize];
        let Some(work) = self.ops.first(*fifo) else { return false };
        if let Work::Accept = work {
            return self.try_accept(qd);
        }
        let backend = self.backends.get(queue.backend);
        let datagrams = queue.datagrams;
        let counted = &mut self.counted;
        let (tried, closed) = match work {
            Work::Push(message) => (finished(backend.push(queue.handle, message), |()| Outcome::Push), false),
            Work::Pop(mode) => {
                let popped = |message: Sga| {
                    if datagrams {
                        let datagram = Datagram::from_chain(message);
                        counted.popped(datagram.len());
                        return Outcome::Datagram(datagram);
                    }
                    counted.popped(message.len());
                    Outcome::Pop(message)
                };
                (finished(backend.pop(queue.handle, *mode), popped), false)
            }
            Work::PushTo(datagram) => {
                let pushed = datagram.send(|message, to| match to {
                    Destination::Address(to) => backend.push_to(queue.handle, message, to),
                    Destination::Path(to) => backend.push_to_path(queue.handle, message, to),
                });
                (finished(pushed, |()| Outcome::Push), false)
            }
            Work::Connect => (finished(backend.connected(queue.handle), |()| Outcome::Connect), false),
            // Handled above: it needs the whole table.
            Work::Accept => (Tried::Pending, false),
            Work::Shutdown => {
                let shut = backend.shutdown(queue.handle);
                // The connect in front of it has failed: another may follow.
                if let Poll::Ready(Err(error)) = shut {
                    queue.shut = error.errno() != Errno::NOTCONN;
                }
                (finished(shut, |()| Outcome::Push), false)
            }
            Work::Close => (finished(backend.close(queue.handle), |()| Outcome::Close), true),
        };
        match tried {
            Tried::Pending => false,
            Tried::Done(outcome) => {
                self.ops.finish_first(fifo, outcome);
                if closed {
                    self.queues.remove(qd);
                }
                true
            }
        }
    }

    fn try_accept(&mut self, qd: Qd) -> bool {
        let Some(outcome) = self.take_connection(qd) else { return false };
        let Ok(queue) = self.queues.get_closing(qd) else { return false };
        self.ops.finish_first(&mut queue.fifos[Direction::Pop as usize], outcome);
        true
    }

    /// Events from the kernel, waiting for them for at most `timeout`.
    pub(super) fn collect(&mut self, timeout: Option<Duration>) {
        self.counted.collected();
        // An epoll set that is open gives no error but EINTR, which the reactor handles; if one came, the next round
        // would try again.
        if self.reactor.collect(timeout, &mut self.events).is_err() {
            return;
        }
        if !self.events.as_slice().is_empty() {
            // It may have slept: what the events begin must not be measured from before that.
            self.reactor.refresh_clock();
        }
        for index in 0..self.events.as_slice().len() {
            let event = self.events.as_slice()[index];
            self.backends.event(event, &mut self.wakes);
        }
    }

    /// Sleeps until an event, a timer, a wake or the timeout. True: in vain, since only a back end that nothing tells of what has come has ended
    /// it, to look for that, and has found nothing.
    pub(super) fn sleep(&mut self, timeout: Option<Duration>) -> bool {
        self.publish();
        let mut looker = None;
        if self.wakes.is_empty() && self.reactor.announce_sleep() {
            if !self.submitted.is_due() && self.backends.arm() == Armed::Quiet {
                let timer = self.reactor.next_deadline().map(|at| at.saturating_since(self.reactor.now()));
                let timeout = match (timeout, timer) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
                let slept = self.backends.sleep(self.reactor.fd(), timeout);
                self.collect(if slept { Some(Duration::ZERO) } else { timeout });
                self.backends.disarm();
                if let [event] = self.events.as_slice() {
                    looker = Some(*event);
                }
            }
            self.reactor.retract_sleep();
        }
        self.round();
        looker.is_some_and(|event| self.backends.slept_in_vain(event))
    }
}

#[inline]
fn finished<T>(polled: Poll<Result<T>>, done: impl FnOnce(T) -> Outcome) -> Tried {
    match polled {
        Poll::Pending => Tried::Pending,
        Poll::Ready(Ok(value)) => Tried::Done(done(value)),
        Poll::Ready(Err(error)) => Tried::Done(Outcome::Failed(error)),
    }
}
