// SPDX-License-Identifier: MIT OR Apache-2.0
//! The thread-safe front of a [`LibOs`]: closures that other threads hand to it, run by its rounds.
//!
//! What must always hold: a closure is out of the queue before it runs, runs at most once, and not inside another one; a
//! LibOs with something to run does not sleep, unless it is a closure that waits; a round runs a bounded number. An idle
//! round pays one load.

use super::{LibOs, WakeHandle};
use core::fmt;
use runtime::limits::{SUBMISSIONS_MAX, SUBMISSIONS_PER_ROUND};
use runtime::submit::{self, Submissions};
use runtime::{Qt, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};

type Job = Box<dyn FnOnce(&mut LibOs) + Send>;

/// Hands work to a [`LibOs`] from any thread. Made by [`LibOs::submitter`]; may be cloned, sent, and outlive its LibOs.
#[derive(Clone)]
pub struct Submitter(submit::Submitter<Job>);

impl Submitter {
    /// Has the LibOs run this closure, in its next `wait` or [`poll`](LibOs::poll), on its own thread. One that sleeps is
    /// woken, but its wait goes on: it does not end with `EINTR`. What one thread submits runs in this order.
    ///
    /// The closure may make any call. While it waits for a completion no other closure runs, so that completion must not
    /// depend on one. If it panics, it ends there: the panic hook has told of it, and the LibOs goes on. If the LibOs is
    /// dropped first, so is the closure.
    ///
    /// # Errors
    /// `EAGAIN` 1,024 closures are waiting already; `ECANCELED` the LibOs is gone. The closure is dropped then.
    ///
    /// ```
    /// use margay::{Config, Errno, LibOs};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    ///
    /// let mut libos = LibOs::new(&config)?;
    /// let (made, opened) = (libos.create_pipe("work")?, libos.open_pipe("work")?);
    /// let submitter = libos.submitter();
    /// let thread = std::thread::spawn(move || {
    ///     submitter.submit(move |libos| {
    ///         // The token is not needed: whoever waits for any completion meets it, or nobody does.
    ///         let _ = libos.push(made, b"from another thread");
    ///     })?;
    ///     Ok::<_, margay::Error>(submitter)
    /// });
    ///
    /// let popped = libos.pop(opened, None)?;
    /// assert_eq!(libos.wait(popped, None)?.into_message()?.to_vec(), b"from another thread");
    ///
    /// let submitter = thread.join().unwrap()?;
    /// drop(libos);
    /// assert_eq!(submitter.submit(|_| ()).unwrap_err().errno(), Errno::CANCELED);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn submit(&self, job: impl FnOnce(&mut LibOs) + Send + 'static) -> Result<()> {
        self.0.submit(Box::new(job)).map_err(|(_, error)| error)
    }
}

impl fmt::Debug for Submitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submitter").finish_non_exhaustive()
    }
}

/// What was submitted to one LibOs.
pub(super) struct Submitted {
    jobs: Submissions<Job>,
    running: bool,
    /// How many were begun.
    pub(super) run: u64,
}

impl Submitted {
    pub(super) fn new(handle: WakeHandle) -> Self {
        Self { jobs: Submissions::new(SUBMISSIONS_MAX, handle), running: false, run: 0 }
    }

    /// Whether something is to be run. Before a sleep: asked after it was announced.
    #[inline]
    pub(super) fn is_due(&self) -> bool {
        !self.jobs.is_empty() && !self.running
    }
}

impl LibOs {
    /// A handle by which other threads hand work to this LibOs. See [`Submitter::submit`].
    ///
    /// ```
    /// let mut libos = margay::LibOs::new(&margay::Config::default())?;
    /// let (send, receive) = std::sync::mpsc::channel();
    /// let submitter = libos.submitter();
    /// let thread = std::thread::spawn(move || submitter.submit(move |libos| send.send(libos.queues()).unwrap()));
    /// thread.join().unwrap()?;
    /// libos.poll();
    /// assert_eq!(receive.recv()?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn submitter(&self) -> Submitter {
        Submitter(self.submitted.jobs.submitter())
    }

    /// Runs what was submitted: one bounded batch.
    #[inline]
    pub(super) fn run_submitted(&mut self) {
        if self.submitted.is_due() {
            self.run_batch();
        }
    }

    #[cold]
    fn run_batch(&mut self) {
        for _ in 0..SUBMISSIONS_PER_ROUND {
            let Some(job) = self.submitted.jobs.take() else { return };
            self.submitted.run += 1;
            self.submitted.running = true;
            // The caller of `wait` has no part in a panic of another thread's work, and would lose its completion by it.
            // Every call leaves the LibOs whole when it returns, and the closure is outside of all of them.
            let panicked = catch_unwind(AssertUnwindSafe(|| job(self)));
            self.submitted.running = false;
            drop(panicked);
        }
    }

    /// Asks for these tokens again if closures were begun since `run` of them had been: one may have taken a token of the
    /// list, or have asked for others.
    #[inline]
    pub(super) fn ask_again(&mut self, qts: &[Qt], run: &mut u64) -> Result<()> {
        if *run != self.submitted.run {
            *run = self.submitted.run;
            self.ops.ask(qts)?;
        }
        Ok(())
    }
}
