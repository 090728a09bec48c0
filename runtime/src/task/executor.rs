// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs coroutines on the thread of their LibOs: a bounded table of boxed futures and one wake bit for each.
//!
//! What must always hold: no borrow of the table is held while a future is polled or dropped, so a coroutine may
//! spawn and abort, itself included; a wake for a slot whose coroutine is gone costs the next one a spurious poll at
//! most; a coroutine that unwinds leaves its slot free.

use super::handle::{TASK, WakeHandle};
use super::words::WakeWords;
use crate::error::{Errno, Error, Result};
use crate::slab::{Key, Slab};
use core::cell::{Cell, RefCell};
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Waker};
use std::sync::Arc;
use std::task::Wake;

type Coroutine = Pin<Box<dyn Future<Output = ()>>>;

/// Names one spawned coroutine; stale once it has ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TaskId(Key);

/// What a [`Waker`] of a coroutine points to; lives as long as the executor or the last waker.
struct TaskWaker {
    words: Arc<WakeWords>,
    index: u32,
    handle: WakeHandle,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.words.wake(self.index);
        self.handle.leave_word(TASK);
    }
}

struct Tasks {
    /// `None` while the coroutine is being polled.
    table: Slab<Option<Coroutine>>,
    /// One waker per slot, made once and used by all coroutines that come to the slot.
    wakers: Vec<Option<Waker>>,
    /// Nothing can be spawned any more.
    closed: bool,
}

/// The coroutines of one LibOs.
pub struct Executor {
    tasks: RefCell<Tasks>,
    words: Arc<WakeWords>,
    handle: WakeHandle,
    running: Cell<bool>,
}

impl Executor {
    /// An executor for at most `capacity` coroutines, whose wakers wake the LibOs by `handle`.
    #[must_use]
    pub fn new(capacity: u32, handle: WakeHandle) -> Self {
        Self {
            tasks: RefCell::new(Tasks { table: Slab::new(capacity), wakers: Vec::new(), closed: false }),
            words: Arc::new(WakeWords::new(capacity)),
            handle,
            running: Cell::new(false),
        }
    }

    /// Adds a coroutine; it is polled first by the next [`Executor::run`], or by this one if called from inside.
    ///
    /// # Errors
    ///
    /// `EMFILE` if the table is full, `ECANCELED` after [`Executor::shutdown`].
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) -> Result<TaskId> {
        if self.tasks.borrow().closed {
            return Err(Error::new(Errno::CANCELED, "the LibOS shuts down"));
        }
        let coroutine: Coroutine = Box::pin(future);
        // A full table gives the coroutine back, and it is dropped after the borrow has ended.
        let inserted = self.tasks.borrow_mut().table.insert(Some(coroutine));
        match inserted {
            Ok(key) => {
                self.words.wake(key.index);
                Ok(TaskId(key))
            }
            Err(_) => Err(Error::new(Errno::MFILE, "the coroutine table is full")),
        }
    }

    /// Ends a coroutine and drops it, at once or, if it is being polled, as soon as the poll returns. False if it has
    /// ended already.
    pub fn abort(&self, id: TaskId) -> bool {
        let removed = self.tasks.borrow_mut().table.remove(id.0);
        removed.is_some()
    }

    /// Polls woken coroutines, at most `budget` and each at most once, going on after the one that ran last; returns
    /// how many were polled.
    ///
    /// A call from inside a coroutine polls nothing.
    pub fn run(&self, budget: usize) -> usize {
        if self.running.replace(true) {
            return 0;
        }
        let _running = Running(&self.running);
        let mut polled = 0;
        self.words.take(budget, |index| polled += usize::from(self.run_one(index)));
        polled
    }

    /// Whether a woken coroutine waits to be polled.
    #[must_use]
    pub fn has_ready(&self) -> bool {
        !self.words.is_empty()
    }

    /// How many coroutines have not ended.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tasks.borrow().table.len() as usize
    }

    /// Whether every coroutine has ended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Aborts all coroutines and refuses new ones. An owner calls this before it goes, because a coroutine may hold a
    /// counted reference to the executor that holds the coroutine.
    pub fn shutdown(&self) {
        self.tasks.borrow_mut().closed = true;
        let slots = self.tasks.borrow().table.slots();
        for index in 0..slots {
            let mut tasks = self.tasks.borrow_mut();
            let removed = tasks.table.key_at(index).and_then(|key| tasks.table.remove(key));
            drop(tasks);
            drop(removed);
        }
    }

    /// Polls the coroutine in a slot; false if there is none.
    fn run_one(&self, index: u32) -> bool {
        let Some((key, mut coroutine, waker)) = self.check_out(index) else { return false };
        let ended = End { executor: self, key };
        let poll = coroutine.as_mut().poll(&mut Context::from_waker(&waker));
        if poll.is_pending() {
            core::mem::forget(ended);
        } else {
            drop(ended);
        }
        // What is left over (it has ended, or was aborted meanwhile) is dropped after the borrow has ended.
        let _left = self.check_in(key, coroutine, waker);
        true
    }

    fn check_out(&self, index: u32) -> Option<(Key, Coroutine, Waker)> {
        let mut tasks = self.tasks.borrow_mut();
        let key = tasks.table.key_at(index)?;
        let coroutine = tasks.table.get_mut(key)?.take()?;
        let waker = tasks.wakers.get_mut(index as usize).and_then(Option::take);
        Some((key, coroutine, waker.unwrap_or_else(|| self.waker(index))))
    }

    /// Puts a coroutine back into its slot, or gives it back if the slot is no longer its own.
    fn check_in(&self, key: Key, coroutine: Coroutine, waker: Waker) -> Option<Coroutine> {
        let mut tasks = self.tasks.borrow_mut();
        let slot = key.index as usize;
        if tasks.wakers.len() <= slot {
            tasks.wakers.resize(slot + 1, None);
        }
        tasks.wakers[slot] = Some(waker);
        match tasks.table.get_mut(key) {
            Some(own) => {
                *own = Some(coroutine);
                None
            }
            None => Some(coroutine),
        }
    }

    fn waker(&self, index: u32) -> Waker {
        Waker::from(Arc::new(TaskWaker { words: self.words.clone(), index, handle: self.handle.clone() }))
    }
}

/// Frees the slot of a coroutine that has ended, by returning or by unwinding.
struct End<'a> {
    executor: &'a Executor,
    key: Key,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        // The slot holds no future while its coroutine is polled, so nothing of the user's is dropped here.
        self.executor.tasks.borrow_mut().table.remove(self.key);
    }
}

/// Marks the end of a run, by returning or by unwinding.
struct Running<'a>(&'a Cell<bool>);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}
