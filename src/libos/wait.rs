// SPDX-License-Identifier: MIT OR Apache-2.0
//! Waiting for completions: spin for a while, then sleep in one place.

use super::LibOs;
use super::run::{LOOK_AROUND, ROUNDS_PER_COLLECT};
use core::task::Poll;
use core::time::Duration;
use runtime::buf::Sga;
use runtime::op::{Completion, Datagram, Direction, Outcome, SetId, Work};
use runtime::time::Time;
use runtime::{Errno, Error, Qd, Qt, Result};

/// Looks at one queue between two rounds while spinning: some microseconds. A round reads the clock, and what answers
/// sooner must not meet it.
const SPINS: u32 = 4096;
/// Looks at everything between two rounds.
const LOOKS: u32 = 64;

const TIMED_OUT: Error = Error::new(Errno::TIMEDOUT, "the time limit passed; the token is still pending");
const WOKEN: Error = Error::new(Errno::INTR, "another thread has woken this LibOs");

/// A set of tokens whose completions are taken together: what a server with thousands of queues waits on.
///
/// Made by [`LibOs::wait_set`]. Close it with [`LibOs::close_wait_set`]; one that is dropped without that keeps its
/// tokens to itself until its LibOs is gone.
#[derive(Debug)]
pub struct WaitSet(SetId);

/// How far a wait has come.
#[derive(Default)]
struct Waiting {
    /// When the current spin began; unknown before the first clock reading.
    since: Option<Time>,
    deadline: Option<Time>,
    /// The last sleep has ended for nothing: no spin before the next.
    in_vain: bool,
}

impl LibOs {
    /// Waits for one operation. `None` waits for ever, zero looks once.
    ///
    /// # Errors
    /// `EINVAL` the token is not pending; `ETIMEDOUT`, and `EINTR` when a [`WakeHandle`](super::WakeHandle) was used: the
    /// token is pending as before. The operation's own failure is in the completion.
    ///
    /// ```
    /// # use margay::{Config, Errno, LibOs};
    /// # use std::time::Duration;
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// let (made, opened) = (libos.create_pipe("w")?, libos.open_pipe("w")?);
    /// let popped = libos.pop(made, None)?;
    /// let limit = Some(Duration::from_millis(1));
    /// assert_eq!(libos.wait(popped, limit).unwrap_err().errno(), Errno::TIMEDOUT);
    /// libos.push(opened, b"now")?;
    /// assert_eq!(libos.wait(popped, None)?.into_message()?.to_vec(), b"now");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn wait(&mut self, qt: Qt, timeout: Option<Duration>) -> Result<Completion> {
        // First: looking around may finish other operations, and so move the fresh completion to where the others are.
        self.served(1);
        // The usual cases: the operation that was begun last has finished at once, or is a pop whose message comes now. In the
        // others the completion is brought to where the former's is.
        if !self.ops.is_fresh(qt) {
            let message = self.wait_for_message(qt, timeout);
            if !message.has_no_segment() {
                self.counted.popped(message.len());
                return Ok(Completion { qd: self.ops.queue_of_spent(qt), qt, outcome: Outcome::Pop(message) });
            }
            self.wait_other(qt, timeout)?;
        }
        Ok(self.ops.take_fresh())
    }

    /// The message of a parked pop, if it comes while this spins; the token is spent then. Without segments: it has not come,
    /// or this is no such operation, or it ended otherwise.
    ///
    /// The way from a message to whoever waits for it, with all that can be asked asked before it comes, and nothing between
    /// the transport and the caller but one word.
    #[inline(never)]
    fn wait_for_message(&mut self, qt: Qt, timeout: Option<Duration>) -> Sga {
        let spins = !(timeout.is_some_and(|timeout| timeout.is_zero()) || self.sleeps_at_once());
        if !spins {
            return Sga::new();
        }
        let Ok(Some((qd, Direction::Pop))) = self.ops.parked(qt) else { return Sga::new() };
        let Ok(queue) = self.queues.get_closing(qd) else { return Sga::new() };
        let fifo = &mut queue.fifos[Direction::Pop as usize];
        if !self.ops.is_first(*fifo, qt) {
            return Sga::new();
        }
        let Some(Work::Pop(mode)) = self.ops.first(*fifo) else { return Sga::new() };
        let message = self.backends.get(queue.backend).spin_for_message(queue.handle, *mode, SPINS);
        if !message.has_no_segment() {
            self.ops.spend_first(fifo);
        }
        message
    }

    #[inline(never)]
    fn wait_other(&mut self, qt: Qt, timeout: Option<Duration>) -> Result<()> {
        if self.ops.freshen(qt)? {
            return Ok(());
        }
        let Some((qd, direction)) = self.ops.parked(qt)? else { return Err(TIMED_OUT) };
        // Only the queue that is waited for: the shortest way from its memory to its completion.
        self.wait_until(timeout, SPINS, |libos, looks| Ok(libos.attempt(qt, qd, direction, looks)?.then_some(())))
    }

    /// Looks up to `looks` times at the queue of a parked operation, and finishes it if that can be done. True: its
    /// completion is the fresh one.
    #[inline]
    fn attempt(&mut self, qt: Qt, qd: Qd, direction: Direction, looks: u32) -> Result<bool> {
        let Ok(queue) = self.queues.get_closing(qd) else { return self.ops.freshen(qt) };
        let fifo = &mut queue.fifos[direction as usize];
        if !self.ops.is_first(*fifo, qt) {
            self.look();
            return self.ops.freshen(qt);
        }
        let backend = self.backends.get(queue.backend);
        if !backend.spin(queue.handle, direction, looks) {
            return Ok(false);
        }
        if let Some(Work::Pop(mode)) = self.ops.first(*fifo) {
            match backend.pop(queue.handle, *mode) {
                Poll::Ready(Ok(message)) => {
                    let outcome = if queue.datagrams {
                        let datagram = Datagram::from_chain(message);
                        self.counted.popped(datagram.len());
                        Outcome::Datagram(datagram)
                    } else {
                        self.counted.popped(message.len());
                        Outcome::Pop(message)
                    };
                    self.ops.freshen_first(fifo, outcome);
                }
                Poll::Ready(Err(error)) => self.ops.freshen_first(fifo, Outcome::Failed(error)),
                Poll::Pending => return Ok(false),
            }
            return Ok(true);
        }
        self.try_first(qd.index() as u32, direction);
        self.ops.freshen(qt)
    }

    /// The completion of one operation if it has finished; looks once. It counts as a wait: a [`wake`](crate::WakeHandle::wake) that has come ends with
    /// it, and `None` may mean that.
    ///
    /// # Errors
    /// `EINVAL` the token is not pending.
    ///
    /// ```
    /// # use margay::{Config, LibOs};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// let qd = libos.create_pipe("t")?;
    /// let popped = libos.pop(qd, None)?;
    /// assert!(libos.try_wait(popped)?.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_wait(&mut self, qt: Qt) -> Result<Option<Completion>> {
        match self.wait(qt, Some(Duration::ZERO)) {
            Ok(completion) => Ok(Some(completion)),
            Err(error) if matches!(error.errno(), Errno::TIMEDOUT | Errno::INTR) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Waits for the first of these operations to finish, and says which it was. If several have, it is the one that
    /// finished first. Takes time in the length of the list: with many tokens, use a [`WaitSet`].
    ///
    /// # Errors
    /// As [`wait`](Self::wait); `EINVAL` too for an empty list.
    ///
    /// ```
    /// # use margay::{Config, LibOs};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// let (made, opened) = (libos.create_pipe("any")?, libos.open_pipe("any")?);
    /// let pops = [libos.pop(made, None)?, libos.pop(opened, None)?];
    /// libos.push(made, b"for the second")?;
    /// let (which, completion) = libos.wait_any(&pops, None)?;
    /// assert_eq!((which, completion.into_message()?.len()), (1, 14));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_any(&mut self, qts: &[Qt], timeout: Option<Duration>) -> Result<(usize, Completion)> {
        if let [qt] = qts {
            return self.wait(*qt, timeout).map(|completion| (0, completion));
        }
        if qts.is_empty() {
            return Err(Error::new(Errno::INVAL, "there is no token to wait for"));
        }
        self.ops.ask(qts)?;
        if let Some(hit) = self.ops.take_asked() {
            self.served(1);
            return Ok(hit);
        }
        let mut run = self.submitted.run;
        self.wait_looking(timeout, |libos| {
            libos.ask_again(qts, &mut run)?;
            Ok(libos.ops.take_asked())
        })
    }

    /// Waits for operations of any queue, oldest completion first, and appends up to `n` of them to `out`; says how many.
    /// Tokens of wait sets are left out.
    ///
    /// # Errors
    /// `EINVAL` if `n` is zero; `ETIMEDOUT` and `EINTR` as [`wait`](Self::wait).
    ///
    /// ```
    /// # use margay::{Config, LibOs};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// let qd = libos.create_pipe("many")?;
    /// let tokens = [libos.push(qd, b"one")?, libos.push(qd, b"two")?];
    /// let mut done = Vec::with_capacity(8);
    /// assert_eq!(libos.wait_next_n(&mut done, 8, None)?, 2);
    /// assert_eq!([done[0].qt, done[1].qt], tokens);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_next_n(&mut self, out: &mut Vec<Completion>, n: usize, timeout: Option<Duration>) -> Result<usize> {
        if n == 0 {
            return Err(Error::new(Errno::INVAL, "there is no room for a completion"));
        }
        let first = match self.ops.take_oldest() {
            Some(first) => first,
            None => self.wait_looking(timeout, |libos| Ok(libos.ops.take_oldest()))?,
        };
        out.push(first);
        let mut taken = 1;
        while taken < n
            && let Some(next) = self.ops.take_oldest()
        {
            out.push(next);
            taken += 1;
        }
        self.served(u32::try_from(taken).unwrap_or(LOOK_AROUND));
        Ok(taken)
    }

    /// Makes an empty wait set.
    ///
    /// ```
    /// # use margay::{Config, LibOs};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// let (made, opened) = (libos.create_pipe("set")?, libos.open_pipe("set")?);
    /// let set = libos.wait_set();
    /// let popped = libos.pop(made, None)?;
    /// libos.add_to_wait_set(&set, popped)?;
    /// libos.push(opened, b"served")?;
    /// assert_eq!(libos.wait_in_set(&set, None)?.qt, popped);
    /// libos.close_wait_set(set)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_set(&mut self) -> WaitSet {
        WaitSet(self.ops.open_set())
    }

    /// Puts a token into a set: its completion is then taken from there. See [`wait_set`](Self::wait_set).
    ///
    /// # Errors
    /// `EINVAL` the token is not pending; `EEXIST` it is in a set already.
    ///
    /// ```
    /// # use margay::{Config, Errno, LibOs};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// let qd = libos.create_pipe("added")?;
    /// let (set, pushed) = (libos.wait_set(), libos.push(qd, b"x")?);
    /// libos.add_to_wait_set(&set, pushed)?;
    /// assert_eq!(libos.add_to_wait_set(&set, pushed).unwrap_err().errno(), Errno::EXIST);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn add_to_wait_set(&mut self, set: &WaitSet, qt: Qt) -> Result<()> {
        self.ops.add_to_set(set.0, qt)
    }

    /// Waits for the oldest completion of a set. The cost does not grow with the tokens in it. See
    /// [`wait_set`](Self::wait_set).
    ///
    /// # Errors
    /// `EINVAL` the set is empty: nothing could ever come; `ETIMEDOUT` and `EINTR` as [`wait`](Self::wait).
    ///
    /// ```
    /// # use margay::{Config, Errno, LibOs};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// let qd = libos.create_pipe("taken")?;
    /// let (set, pushed) = (libos.wait_set(), libos.push(qd, b"x")?);
    /// libos.add_to_wait_set(&set, pushed)?;
    /// assert_eq!(libos.wait_in_set(&set, None)?.qt, pushed);
    /// assert_eq!(libos.wait_in_set(&set, None).unwrap_err().errno(), Errno::INVAL);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_in_set(&mut self, set: &WaitSet, timeout: Option<Duration>) -> Result<Completion> {
        if let Some(completion) = self.ops.take_from_set(set.0)? {
            self.served(1);
            return Ok(completion);
        }
        self.wait_looking(timeout, |libos| match libos.ops.take_from_set(set.0)? {
            // A closure that runs meanwhile may have taken the last one.
            None if libos.ops.set_len(set.0)? == 0 => Err(Error::new(Errno::INVAL, "the wait set is empty")),
            found => Ok(found),
        })
    }

    /// Closes a set. Tokens that are still in it can be waited for otherwise. See [`wait_set`](Self::wait_set).
    ///
    /// # Errors
    /// `EINVAL` the set is of another LibOs.
    ///
    /// ```
    /// # use margay::{Config, LibOs};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// let qd = libos.create_pipe("closed")?;
    /// let (set, pushed) = (libos.wait_set(), libos.push(qd, b"x")?);
    /// libos.add_to_wait_set(&set, pushed)?;
    /// libos.close_wait_set(set)?;
    /// assert_eq!(libos.wait(pushed, None)?.qt, pushed);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[expect(clippy::needless_pass_by_value, reason = "a closed set must not be used again")]
    pub fn close_wait_set(&mut self, set: WaitSet) -> Result<()> {
        self.ops.close_set(set.0)
    }

    /// Completions are handed out without a look around; now and then one is due all the same.
    #[inline]
    pub(super) fn served(&mut self, completions: u32) {
        self.busy += completions;
        if self.busy >= LOOK_AROUND {
            self.look_around();
        }
    }

    #[cold]
    fn look_around(&mut self) {
        self.busy = 0;
        self.poll();
    }

    /// Looks at everything until `take` has an answer.
    fn wait_looking<T>(
        &mut self,
        timeout: Option<Duration>,
        mut take: impl FnMut(&mut Self) -> Result<Option<T>>,
    ) -> Result<T> {
        self.wait_until(timeout, LOOKS, |libos, looks| {
            for _ in 0..looks {
                libos.look();
                if let Some(done) = take(libos)? {
                    libos.served(1);
                    return Ok(Some(done));
                }
            }
            take(libos)
        })
    }

    /// Asks `attempt`, which looks as often as it is told, until it has an answer; spins first and sleeps then.
    #[inline]
    fn wait_until<T>(
        &mut self,
        timeout: Option<Duration>,
        looks: u32,
        mut attempt: impl FnMut(&mut Self, u32) -> Result<Option<T>>,
    ) -> Result<T> {
        let mut waiting = Waiting::default();
        let looks = if timeout.is_some_and(|timeout| timeout.is_zero()) || self.sleeps_at_once() { 1 } else { looks };
        loop {
            if let Some(done) = attempt(self, if waiting.in_vain { 1 } else { looks })? {
                return Ok(done);
            }
            self.wait_round();
            if let Some(done) = attempt(self, 1)? {
                return Ok(done);
            }
            self.wait_more(timeout, &mut waiting)?;
        }
    }

    fn sleeps_at_once(&self) -> bool {
        self.spin.is_some_and(|spin| spin.is_zero())
    }

    /// Everything else that this LibOs has to do.
    #[cold]
    fn wait_round(&mut self) {
        self.rounds = self.rounds.wrapping_add(1);
        if self.rounds.is_multiple_of(ROUNDS_PER_COLLECT) {
            self.collect(Some(Duration::ZERO));
        }
        self.round();
    }

    /// Nothing was found: gives up at the deadline or when woken, sleeps once the spin has lasted.
    #[cold]
    fn wait_more(&mut self, timeout: Option<Duration>, waiting: &mut Waiting) -> Result<()> {
        if self.reactor.take_wake() {
            return Err(WOKEN);
        }
        let now = self.reactor.now();
        let since = *waiting.since.get_or_insert(now);
        if waiting.deadline.is_none() {
            waiting.deadline = timeout.map(|timeout| now + timeout);
        }
        let left = waiting.deadline.map(|deadline| deadline.saturating_since(now));
        if left.is_some_and(|left| left.is_zero()) {
            return Err(TIMED_OUT);
        }
        if waiting.in_vain || self.spin.is_some_and(|spin| now.saturating_since(since) >= spin) {
            waiting.in_vain = self.sleep(left);
            waiting.since = None;
        }
        Ok(())
    }
}
