// SPDX-License-Identifier: MIT OR Apache-2.0
//! When which queue of a transport has to be looked at though nothing has happened: one moment for each, and one coroutine
//! for all.

use crate::Result;
use crate::reactor::{Reactor, TaskId};
use crate::time::Time;
use crate::transport::Handle;
use core::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;

/// The deadlines of all queues of one transport.
pub struct Deadlines {
    reactor: Rc<Reactor>,
    all: BTreeSet<(Time, Handle)>,
    /// The coroutine that sleeps until the first of them, or until an earlier moment.
    sleeper: Option<(Time, TaskId)>,
    /// It has woken.
    due: Rc<Cell<bool>>,
}

impl Deadlines {
    /// None yet.
    #[must_use]
    pub fn new(reactor: Rc<Reactor>) -> Self {
        Self { reactor, all: BTreeSet::new(), sleeper: None, due: Rc::default() }
    }

    /// Gives a queue a deadline, or takes it away; `place` is where the queue keeps it.
    ///
    /// # Errors
    /// `EMFILE` if there are too many coroutines, `ECANCELED` while the LibOs is being dropped. The queue has none then.
    pub fn set(&mut self, handle: Handle, place: &mut Option<Time>, at: Option<Time>) -> Result<()> {
        if *place == at {
            return Ok(());
        }
        if let Some(old) = place.take() {
            self.all.remove(&(old, handle));
        }
        if let Some(at) = at {
            self.all.insert((at, handle));
            if let Err(error) = self.sleep() {
                self.all.remove(&(at, handle));
                return Err(error);
            }
            *place = Some(at);
        }
        Ok(())
    }

    /// Sees to it that the first deadline is slept for.
    fn sleep(&mut self) -> Result<()> {
        let Some(&(first, _)) = self.all.first() else { return Ok(()) };
        if self.sleeper.is_some_and(|(at, _)| at <= first) {
            return Ok(());
        }
        let (reactor, due) = (Rc::clone(&self.reactor), Rc::clone(&self.due));
        let sleeper = self.reactor.spawn(async move {
            // Without a timer it wakes at once, and whoever looks sees that it is too early.
            let _ = reactor.sleep_until(first).await;
            due.set(true);
        })?;
        if let Some((_, old)) = self.sleeper.replace((first, sleeper)) {
            self.reactor.abort(old);
        }
        Ok(())
    }

    /// Whether [`pop_due`](Self::pop_due) has something to give.
    #[inline]
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.due.get()
    }

    /// A queue whose deadline has passed; it has none afterwards. `None`: no more for now.
    pub fn pop_due(&mut self) -> Option<Handle> {
        let first = self.all.first().copied().filter(|&(at, _)| at <= self.reactor.now());
        if let Some(first) = first {
            self.all.remove(&first);
        } else {
            self.due.set(false);
            self.sleeper = None;
            // It can fail only if the LibOs has used up its coroutines; then the next deadline that is set tries again.
            let _ = self.sleep();
        }
        first.map(|(_, handle)| handle)
    }
}
