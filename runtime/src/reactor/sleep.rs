// SPDX-License-Identifier: MIT OR Apache-2.0
//! Coroutines that wait for a moment: the timers of a reactor, and the future over them.
//!
//! What must always hold: no borrow of the table is held while a waker runs, is cloned or is dropped.

use super::clock::Clock;
use crate::error::{Errno, Error, Result};
use crate::slab::{Key, Slab};
use crate::time::Time;
use crate::timer::{TimerId, Wheel};
use core::cell::RefCell;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::rc::Rc;

/// Timers fire in batches of this size, because no waker may run while the wheel turns.
const BATCH: usize = 64;

struct Table {
    wheel: Wheel,
    /// Who is to be woken; the keys of the wheel are indices into this.
    sleepers: Slab<Option<Waker>>,
}

/// The clock, and all that waits for it.
pub(super) struct Timers {
    pub(super) clock: Clock,
    table: RefCell<Table>,
}

/// One registered sleeper.
struct Entry {
    timer: TimerId,
    sleeper: Key,
}

impl Timers {
    pub(super) fn new(capacity: u32) -> Self {
        let clock = Clock::new();
        let table = Table { wheel: Wheel::new(clock.now(), capacity), sleepers: Slab::new(capacity) };
        Self { clock, table: RefCell::new(table) }
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.table.borrow().wheel.next_deadline()
    }

    pub(super) fn is_due(&self) -> bool {
        self.next_deadline().is_some_and(|deadline| deadline <= self.clock.now())
    }

    /// Wakes whose deadline has passed, in at most `budget` steps of the wheel; returns how many.
    pub(super) fn expire(&self, budget: usize) -> usize {
        let mut left = budget;
        let mut woken = 0;
        while left > 0 && self.is_due() {
            let steps = left.min(BATCH);
            left -= steps;
            let mut due = [0; BATCH];
            let mut slots = due.iter_mut();
            // At most `steps` fire, so there is a slot for each.
            let fired = self.table.borrow_mut().wheel.advance(self.clock.now(), steps, |key| {
                if let Some(slot) = slots.next() {
                    *slot = key;
                }
            });
            for sleeper in due.iter().take(fired) {
                let waker = self.table.borrow_mut().sleepers.at_mut(*sleeper).and_then(Option::take);
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            woken += fired;
        }
        woken
    }

    fn insert(&self, deadline: Time, waker: Waker) -> Result<Entry> {
        let full = Error::new(Errno::MFILE, "too many coroutines sleep");
        let mut table = self.table.borrow_mut();
        // Both tables have the same bound, so the second insertion succeeds if the first does.
        let inserted = table.sleepers.insert(None).map_err(|_| full).and_then(|sleeper| {
            let timer = table.wheel.insert(deadline, sleeper.index)?;
            Ok(Entry { timer, sleeper })
        });
        drop(table);
        let entry = inserted?;
        self.set_waker(&entry, waker);
        Ok(entry)
    }

    fn set_waker(&self, entry: &Entry, waker: Waker) {
        let mut table = self.table.borrow_mut();
        let old = table.sleepers.get_mut(entry.sleeper).map(|slot| slot.replace(waker));
        drop(table);
        drop(old);
    }

    fn remove(&self, entry: &Entry) {
        let mut table = self.table.borrow_mut();
        table.wheel.cancel(entry.timer);
        let removed = table.sleepers.remove(entry.sleeper);
        drop(table);
        drop(removed);
    }
}

/// Resolves at the first poll of the reactor at or after its deadline. Dropping it takes its timer out.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Sleep {
    timers: Rc<Timers>,
    deadline: Time,
    entry: Option<Entry>,
}

impl Sleep {
    pub(super) fn new(timers: Rc<Timers>, deadline: Time) -> Self {
        Self { timers, deadline, entry: None }
    }

    /// When it resolves.
    #[must_use]
    pub fn deadline(&self) -> Time {
        self.deadline
    }
}

impl Future for Sleep {
    /// Fails with `EMFILE` if the timer table is full.
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        if self.timers.clock.now() >= self.deadline {
            return Poll::Ready(Ok(()));
        }
        let waker = context.waker().clone();
        match &self.entry {
            Some(entry) => self.timers.set_waker(entry, waker),
            None => match self.timers.insert(self.deadline, waker) {
                Ok(entry) => self.entry = Some(entry),
                Err(error) => return Poll::Ready(Err(error)),
            },
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(entry) = &self.entry {
            self.timers.remove(entry);
        }
    }
}
