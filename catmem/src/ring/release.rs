// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the reader is done with, and telling the writer so in batches.
//!
//! Records are read in order, but a record that the application reads in place is done with only when it drops its
//! buffer, in any order. Credit is given up to the first record that is still held. It is given in batches of an eighth
//! of the ring, so that the writer's cached copy of it is seldom out of date and the cache line seldom moves.

use super::memory::Memory;
use core::cell::{Cell, OnceCell};

/// Records that may be held (read in place) at once, per ring.
pub use runtime::limits::HELD_MESSAGES_MAX as HELD_MAX;

#[derive(Clone, Copy)]
struct Held {
    /// The position behind the record.
    end: u64,
    /// The application has dropped it, or it was never held.
    done: bool,
}

/// The reader's side of the credit. Shared between the consumer and the buffers that it lent out.
pub struct Release<M> {
    memory: M,
    /// Everything before this position is done with.
    done: Cell<u64>,
    /// What the writer has been told.
    given: Cell<u64>,
    /// So many bytes have to come together before the writer is told.
    batch: Cell<u64>,
    /// Free-running indices into `held`.
    first: Cell<u64>,
    last: Cell<u64>,
    /// Made when the first record is held: most rings never hold any.
    held: OnceCell<Box<[Cell<Held>; HELD_MAX]>>,
}

impl<M: Memory> Release<M> {
    /// Nothing read yet.
    pub fn new(memory: M) -> Self {
        Self {
            batch: Cell::new(memory.capacity() as u64 / 8),
            memory,
            done: Cell::new(0),
            given: Cell::new(0),
            first: Cell::new(0),
            last: Cell::new(0),
            held: OnceCell::new(),
        }
    }

    /// The memory of the ring.
    #[inline]
    pub fn memory(&self) -> &M {
        &self.memory
    }

    #[inline]
    fn slot(&self, index: u64) -> &Cell<Held> {
        let held = self.held.get_or_init(|| Box::new([const { Cell::new(Held { end: 0, done: false }) }; HELD_MAX]));
        &held[(index as usize) % HELD_MAX]
    }

    /// Whether no record is held.
    #[inline]
    pub fn is_idle(&self) -> bool {
        self.first.get() == self.last.get()
    }

    /// A record that ends at `end` was copied out. True if the writer was told of it, and may have to be woken.
    #[inline]
    pub fn consumed(&self, end: u64) -> bool {
        if self.is_idle() {
            self.consumed_idle(end)
        } else {
            self.append(end);
            false
        }
    }

    /// As [`consumed`](Self::consumed), where [`is_idle`](Self::is_idle) was asked.
    #[inline(always)]
    pub fn consumed_idle(&self, end: u64) -> bool {
        self.done.set(end);
        self.give(self.batch.get())
    }

    /// Behind records that are still held: credit for this one comes with theirs.
    #[cold]
    fn append(&self, end: u64) {
        let newest = self.slot(self.last.get() - 1);
        if newest.get().done {
            newest.set(Held { end, done: true });
        } else {
            self.slot(self.last.get()).set(Held { end, done: true });
            self.last.set(self.last.get() + 1);
        }
    }

    /// Whether a further record can be consumed or held.
    #[inline]
    pub fn has_room(&self) -> bool {
        self.last.get() - self.first.get() < HELD_MAX as u64 - 1
    }

    /// The token that [`hold`](Self::hold) gives next.
    #[inline]
    pub fn next_token(&self) -> u64 {
        self.last.get()
    }

    /// The record that ends at `end` is read in place; the token says which one it was. The caller asked `has_room`.
    #[inline]
    pub fn hold(&self, end: u64) -> u64 {
        let token = self.last.get();
        self.slot(token).set(Held { end, done: false });
        self.last.set(token + 1);
        token
    }

    /// The application dropped the buffer of `token`. True if the writer was told of it, and may have to be woken.
    #[inline]
    pub fn release(&self, token: u64) -> bool {
        debug_assert!(token >= self.first.get() && token < self.last.get());
        let slot = self.slot(token);
        if token != self.first.get() {
            // Its room comes back with that of the one in front of it.
            slot.set(Held { done: true, ..slot.get() });
            return false;
        }
        self.done.set(slot.get().end);
        self.first.set(token + 1);
        if !self.is_idle() {
            self.release_followers();
        }
        self.give(self.batch.get())
    }

    /// Those that were dropped before the first one was, and stand behind it.
    fn release_followers(&self) {
        while !self.is_idle() {
            let oldest = self.slot(self.first.get()).get();
            if !oldest.done {
                break;
            }
            self.done.set(oldest.end);
            self.first.set(self.first.get() + 1);
        }
    }

    /// Tells the writer, if at least `batch` bytes have come together. True if so.
    #[inline]
    fn give(&self, batch: u64) -> bool {
        let due = self.done.get() - self.given.get() >= batch;
        if due {
            self.memory.give_credit(self.done.get());
            self.given.set(self.done.get());
        }
        due
    }

    /// Tells the writer now, whatever has come together: before a sleep, and when the ring has run empty. True if there was
    /// something to tell.
    pub fn flush(&self) -> bool {
        self.give(1)
    }

    /// As [`flush`](Self::flush), now and whenever something that is held is released: nothing more will be read.
    pub fn finish(&self) -> bool {
        self.batch.set(1);
        self.flush()
    }
}
