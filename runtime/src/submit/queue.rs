// SPDX-License-Identifier: MIT OR Apache-2.0
//! The queue itself, without the wake: a locked inbox, a batch that the consumer has to itself, and a count of both.
//!
//! ```text
//! producers ──lock──> inbox ──lock, swap when the batch is used up──> batch ──> consumer
//!                     └──────────────── count: items in both ────────────────┘
//! ```
//!
//! What must always hold: whenever the lock is free and the consumer is not in `take`, the count is the number of items in
//! the inbox and the batch. It grows under the lock only, behind its item, and shrinks only by the consumer. So a producer
//! that sees it below the capacity may put one, a consumer that sees it at zero has nothing to take, and one that sees more
//! finds an item in its batch, or in the inbox once it has the lock. The lock orders the items themselves, so the count needs
//! no order of its own; whoever must not miss an item was told of it by the wake word.
//!
//! Nothing is dropped and no foreign code runs under the lock, so it is never poisoned, and an item may submit when it is
//! dropped.

use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, Mutex};
use std::collections::VecDeque;
use std::sync::PoisonError;

/// Why an item was not taken in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    Full,
    Gone,
}

struct Inbox<T> {
    items: VecDeque<T>,
    /// The consumer is gone.
    closed: bool,
}

struct Shared<T> {
    count: AtomicUsize,
    capacity: usize,
    inbox: Mutex<Inbox<T>>,
}

impl<T> Shared<T> {
    fn with_inbox<R>(&self, change: impl FnOnce(&mut Inbox<T>) -> R) -> R {
        change(&mut self.inbox.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

pub(super) struct Producer<T>(Arc<Shared<T>>);

impl<T> Producer<T> {
    /// Adds an item at the end, or gives it back.
    pub(super) fn put(&self, item: T) -> Result<(), (T, Refusal)> {
        self.0.with_inbox(|inbox| {
            if inbox.closed {
                return Err((item, Refusal::Gone));
            }
            // An old value may be too high, never too low: all that grows it is ordered by the lock.
            if self.0.count.load(Ordering::Relaxed) >= self.0.capacity {
                return Err((item, Refusal::Full));
            }
            inbox.items.push_back(item);
            self.0.count.fetch_add(1, Ordering::Relaxed);
            Ok(())
        })
    }
}

impl<T> Clone for Producer<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

pub(super) struct Consumer<T> {
    shared: Arc<Shared<T>>,
    /// Older than all in the inbox.
    batch: VecDeque<T>,
}

impl<T> Consumer<T> {
    pub(super) fn new(capacity: usize) -> Self {
        let inbox = Mutex::new(Inbox { items: VecDeque::new(), closed: false });
        Self { shared: Arc::new(Shared { count: AtomicUsize::new(0), capacity, inbox }), batch: VecDeque::new() }
    }

    pub(super) fn producer(&self) -> Producer<T> {
        Producer(self.shared.clone())
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.shared.count.load(Ordering::Relaxed) == 0
    }

    pub(super) fn take(&mut self) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        if self.batch.is_empty() {
            // The empty one goes there with its memory, so that two of them serve for ever.
            self.shared.with_inbox(|inbox| core::mem::swap(&mut inbox.items, &mut self.batch));
        }
        let item = self.batch.pop_front()?;
        self.shared.count.fetch_sub(1, Ordering::Relaxed);
        Some(item)
    }
}

impl<T> Drop for Consumer<T> {
    fn drop(&mut self) {
        let left = self.shared.with_inbox(|inbox| {
            inbox.closed = true;
            core::mem::take(&mut inbox.items)
        });
        // Oldest first, as they would have been taken.
        self.batch.clear();
        drop(left);
    }
}
