// SPDX-License-Identifier: MIT OR Apache-2.0
//! Handing work to a LibOs from other threads: a bounded queue of many producers and one consumer, whose reactor is woken.
//!
//! ```text
//! producer:  put into the queue  ──>  leave word (TASK); ring if the owner sleeps
//! owner:     announce the sleep  ──>  look at the queue again  ──>  sleep
//! ```
//!
//! What must always hold: an item is put before its word is left, and the owner looks after it has announced. The word is
//! one atomic that both change by read-modify-write, so either the producer comes first, and the owner's look finds the item,
//! or the announcement does, and the producer rings. The word is the coroutines' own (`TASK`): it ends a sleep, but no
//! wait. `loom_tests` walks through all of it, and shows that an owner that does not look again can sleep for ever.

mod queue;

use crate::error::{Errno, Error};
use crate::task::{TASK, WakeHandle};
use core::fmt;
use queue::{Consumer, Producer, Refusal};

/// The consumer's side of a submit queue; lives with the reactor that it wakes.
///
/// When it is dropped, so is what nobody took, and every later submission is refused.
///
/// ```
/// use runtime::Errno;
/// use runtime::reactor::Reactor;
/// use runtime::submit::Submissions;
///
/// let reactor = Reactor::new()?;
/// let mut submissions = Submissions::new(2, reactor.wake_handle());
/// let submitter = submissions.submitter();
/// let thread = std::thread::spawn(move || {
///     submitter.submit("one").map_err(|(_, error)| error)?;
///     submitter.submit("two").map_err(|(_, error)| error)?;
///     let (back, error) = submitter.submit("three").unwrap_err();
///     assert_eq!((back, error.errno()), ("three", Errno::AGAIN));
///     Ok::<(), runtime::Error>(())
/// });
/// thread.join().unwrap()?;
///
/// assert_eq!([submissions.take(), submissions.take(), submissions.take()], [Some("one"), Some("two"), None]);
/// assert!(!reactor.take_wake(), "a submission is no call of `WakeHandle::wake`");
/// # Ok::<(), runtime::Error>(())
/// ```
pub struct Submissions<T> {
    consumer: Consumer<T>,
    handle: WakeHandle,
}

impl<T: Send> Submissions<T> {
    /// An empty queue in which `capacity` items can wait, and whose submissions end the sleep of this handle's reactor.
    #[must_use]
    pub fn new(capacity: usize, handle: WakeHandle) -> Self {
        Self { consumer: Consumer::new(capacity), handle }
    }

    /// A handle for producers.
    #[must_use]
    pub fn submitter(&self) -> Submitter<T> {
        Submitter { producer: self.consumer.producer(), handle: self.handle.clone() }
    }

    /// Whether nothing waits: one atomic load.
    ///
    /// Before a sleep the owner asks after [`Reactor::announce_sleep`](crate::reactor::Reactor::announce_sleep): what is
    /// submitted later than this answer ends the sleep.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.consumer.is_empty()
    }

    /// Takes the oldest item. The lock is taken only if there is one, and once for all that were there then.
    pub fn take(&mut self) -> Option<T> {
        self.consumer.take()
    }
}

impl<T> fmt::Debug for Submissions<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submissions").finish_non_exhaustive()
    }
}

/// The producers' side of a submit queue: to be cloned and sent to any thread.
pub struct Submitter<T> {
    producer: Producer<T>,
    handle: WakeHandle,
}

impl<T: Send> Submitter<T> {
    /// Hands over an item, and ends the consumer's sleep. What one thread submits is taken in this order.
    ///
    /// What the caller wrote before is visible to the consumer when it takes the item.
    ///
    /// # Errors
    /// The item comes back with `EAGAIN` if the queue is full, with `ECANCELED` if the consumer is gone.
    pub fn submit(&self, item: T) -> Result<(), (T, Error)> {
        match self.producer.put(item) {
            Ok(()) => {
                self.handle.leave_word(TASK);
                Ok(())
            }
            Err((item, refusal)) => Err((item, refusal.into())),
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Full => {
                Self::new(Errno::AGAIN, "the submit queue is full: try again when some of it has been run")
            }
            Refusal::Gone => Self::new(Errno::CANCELED, "the LibOs is gone"),
        }
    }
}

impl<T> Clone for Submitter<T> {
    fn clone(&self) -> Self {
        Self { producer: self.producer.clone(), handle: self.handle.clone() }
    }
}

impl<T> fmt::Debug for Submitter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submitter").finish_non_exhaustive()
    }
}

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;
