// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table of operations.
//!
//! A slot is free, parked in its queue's FIFO, or done and linked into the list of whoever may take it: the list of all,
//! or that of one wait set. A token names a slot and a generation; the generation changes when a completion is taken.

use super::fresh::Fresh;
use super::list::{List, NONE};
use super::sets::Set;
use super::{Completion, Datagram, Outcome};
use crate::buf::Sga;
use crate::transport::PopMode;
use crate::{Errno, Error, Qd, Qt, Result};
use core::sync::atomic::{AtomicU32, Ordering};

/// Which of a queue's two FIFOs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Pushes, the connect before them and the half-close behind them.
    Push = 0,
    /// Pops and accepts.
    Pop = 1,
}

/// What a parked operation still has to do.
#[derive(Debug)]
pub enum Work {
    /// Push the rest of this message.
    Push(Sga),
    /// Pop a message.
    Pop(PopMode),
    /// Push the rest of this datagram.
    PushTo(Datagram),
    /// Accept a connection.
    Accept,
    /// Finish a connect that was begun.
    Connect,
    /// Half-close; nobody holds its token.
    Shutdown,
    /// Close the queue.
    Close,
}

/// The result of trying a FIFO's first operation.
pub enum Tried {
    /// It cannot finish yet.
    Pending,
    /// It finished.
    Done(Outcome),
}

/// One queue's operations in one direction, oldest first.
pub type Fifo = List;

#[derive(Debug)]
pub(super) enum State {
    Free,
    Parked(Work),
    Done(Outcome),
}

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) state: State,
    pub(super) generation: u32,
    pub(super) qd: Qd,
    pub(super) prev: u32,
    pub(super) next: u32,
    /// The wait set that gets the completion, or `NONE`.
    pub(super) set: u32,
    /// The `wait_any` call that asked for this token last, and where it stood in its list.
    pub(super) asked: u64,
    pub(super) position: u32,
    /// When it finished, in completions.
    pub(super) finished: u64,
}

/// The operations of one LibOs.
///
/// The operation that finished last, if it did so at once, stands in `fresh` and has no slot yet: its token names the
/// first free slot. Mostly it is waited for next, and then it never needs one. Every other call gives it its slot first.
#[derive(Debug)]
pub struct Ops {
    pub(super) fresh: Fresh,
    /// The token of the first free slot, where it is known and no fresh completion has it; else 0. See `fresh`.
    pub(super) next: u64,
    pub(super) slots: Vec<Slot>,
    pub(super) free: u32,
    limit: usize,
    pub(super) done: List,
    pub(super) finished: u64,
    pub(super) sets: Vec<Set>,
    /// Of each slot and each set: far from where other tables of this process begin.
    pub(super) first_generation: u32,
    /// The number of the current `wait_any`, and the first of its tokens that finished.
    pub(super) call: u64,
    pub(super) hit: Option<u32>,
}

/// Number of the next table.
static TABLES: AtomicU32 = AtomicU32::new(0);
/// Odd, so that each number gives another product, and those of numbers that follow each other lie far apart: 2^32 by the golden ratio.
const FAR_APART: u32 = 0x9e37_79b9;

pub(super) const STALE: Error =
    Error::new(Errno::INVAL, "this token is not pending: it was taken before or never given out");

/// Generations go round, and leave out zero, so that no token is zero.
#[inline]
pub(super) const fn next_generation(generation: u32) -> u32 {
    match generation.wrapping_add(1) {
        0 => 1,
        next => next,
    }
}

impl Ops {
    /// A table that grows to at most `limit` operations.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        let limit = limit.min(NONE as usize - 1);
        // A token of another LibOs, or of one that has ended, is to be as stale as one that was spent.
        let number = TABLES.fetch_add(1, Ordering::Relaxed);
        Self {
            fresh: Fresh { qt: 0, qd: Qd::new(0, 0), outcome: Outcome::Push },
            next: 0,
            slots: Vec::new(),
            free: NONE,
            limit,
            done: List::EMPTY,
            finished: 0,
            sets: Vec::new(),
            first_generation: next_generation(number.wrapping_mul(FAR_APART)),
            call: 0,
            hit: None,
        }
    }

    /// Takes a slot. `EAGAIN` when `limit` tokens are open: take completions first.
    #[inline(always)]
    pub(super) fn take_slot(&mut self, qd: Qd, state: State) -> Result<u32> {
        if self.free == NONE {
            self.grow()?;
        }
        let index = self.free;
        let slot = &mut self.slots[index as usize];
        self.free = slot.next;
        slot.state = state;
        slot.qd = qd;
        slot.prev = NONE;
        slot.next = NONE;
        Ok(index)
    }

    #[cold]
    pub(super) fn grow(&mut self) -> Result<()> {
        if self.slots.len() >= self.limit {
            return Err(Error::new(Errno::AGAIN, "too many operations are outstanding: wait for some first"));
        }
        let index = self.slots.len() as u32;
        self.slots.push(Slot {
            state: State::Free,
            generation: self.first_generation,
            qd: Qd::new(0, 0),
            prev: NONE,
            next: self.free,
            set: NONE,
            asked: 0,
            position: 0,
            finished: 0,
        });
        self.free = index;
        Ok(())
    }

    pub(super) fn link(slots: &mut [Slot], list: &mut List, index: u32) {
        slots[index as usize].prev = list.tail;
        slots[index as usize].next = NONE;
        if list.tail == NONE {
            list.head = index;
        } else {
            slots[list.tail as usize].next = index;
        }
        list.tail = index;
    }

    pub(super) fn unlink(slots: &mut [Slot], list: &mut List, index: u32) {
        let (prev, next) = (slots[index as usize].prev, slots[index as usize].next);
        if prev == NONE {
            list.head = next;
        } else {
            slots[prev as usize].next = next;
        }
        if next == NONE {
            list.tail = prev;
        } else {
            slots[next as usize].prev = prev;
        }
    }

    /// An operation that has to wait its turn, or for the transport.
    ///
    /// # Errors
    /// `EAGAIN` when the limit of open tokens is reached.
    pub fn park(&mut self, qd: Qd, work: Work, fifo: &mut Fifo) -> Result<Qt> {
        self.settle();
        let index = self.take_slot(qd, State::Parked(work))?;
        Self::link(&mut self.slots, fifo, index);
        Ok(Qt::new(index, self.slots[index as usize].generation))
    }

    /// The work of the FIFO's first operation.
    #[inline]
    pub fn first(&mut self, fifo: Fifo) -> Option<&mut Work> {
        match &mut self.slots.get_mut(fifo.head as usize)?.state {
            State::Parked(work) => Some(work),
            _ => None,
        }
    }

    /// The FIFO's first operation ended so. One that nobody holds a token of is gone with that.
    pub fn finish_first(&mut self, fifo: &mut Fifo, outcome: Outcome) {
        if fifo.head != NONE {
            self.finish(fifo, fifo.head, outcome);
        }
    }

    fn finish(&mut self, fifo: &mut Fifo, index: u32, outcome: Outcome) {
        self.settle();
        Self::unlink(&mut self.slots, fifo, index);
        let slot = &mut self.slots[index as usize];
        let silent = matches!(slot.state, State::Parked(Work::Shutdown));
        slot.state = State::Done(outcome);
        if silent {
            self.release(index);
            return;
        }
        self.finished += 1;
        slot.finished = self.finished;
        if slot.asked == self.call && self.call != 0 && self.hit.is_none() {
            self.hit = Some(index);
        }
        let list = match slot.set {
            NONE => &mut self.done,
            set => &mut self.sets[set as usize].done,
        };
        Self::link(&mut self.slots, list, index);
    }

    /// Whether a connect that goes on is all that stands in this FIFO.
    pub fn only_connects(&self, fifo: Fifo) -> bool {
        fifo.head == fifo.tail && self.is_connect(fifo.head)
    }

    /// Whether a parked operation stands right behind a connect that goes on.
    pub fn is_behind_connect(&self, qt: Qt, fifo: Fifo) -> bool {
        self.index(qt).is_ok_and(|index| self.slots[index as usize].prev == fifo.head) && self.is_connect(fifo.head)
    }

    fn is_connect(&self, index: u32) -> bool {
        self.slots.get(index as usize).is_some_and(|slot| matches!(slot.state, State::Parked(Work::Connect)))
    }

    /// Ends a parked operation early. True if it was its FIFO's first, the one that the transport was trying.
    pub fn cancel(&mut self, qt: Qt, fifo: &mut Fifo, error: Error) -> Result<bool> {
        self.settle();
        let index = self.index(qt)?;
        match self.slots[index as usize].state {
            State::Parked(_) => {
                let first = fifo.head == index;
                self.finish(fifo, index, Outcome::Failed(error));
                Ok(first)
            }
            _ => Err(Error::new(Errno::ALREADY, "the operation has finished: wait for its token")),
        }
    }

    /// Frees a slot and gives the state that it had.
    #[inline]
    fn release(&mut self, index: u32) -> State {
        let slot = &mut self.slots[index as usize];
        slot.generation = next_generation(slot.generation);
        slot.set = NONE;
        slot.next = self.free;
        self.free = index;
        core::mem::replace(&mut slot.state, State::Free)
    }

    /// The slot of a token that is open. The fresh one has none, and a half-close has a slot whose token nobody holds.
    #[inline]
    pub(super) fn index(&self, qt: Qt) -> Result<u32> {
        match self.slots.get(qt.index()) {
            Some(slot) if slot.generation == qt.generation() => match slot.state {
                State::Free | State::Parked(Work::Shutdown) => Err(STALE),
                _ => Ok(qt.index() as u32),
            },
            _ => Err(STALE),
        }
    }

    /// Takes the completion of this token if it has finished.
    ///
    /// # Errors
    /// `EINVAL` for a token that is not pending.
    #[inline]
    pub fn take(&mut self, qt: Qt) -> Result<Option<Completion>> {
        if self.is_fresh(qt) { Ok(Some(self.take_fresh())) } else { self.take_settled(qt) }
    }

    /// As [`take`](Self::take), for a token that is not the fresh one.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub(super) fn take_settled(&mut self, qt: Qt) -> Result<Option<Completion>> {
        self.settle();
        let index = self.index(qt)?;
        if !matches!(self.slots[index as usize].state, State::Done(_)) {
            return Ok(None);
        }
        Ok(Some(self.deliver(index)))
    }

    /// Unlinks a finished operation and hands out its completion.
    #[inline]
    pub(super) fn deliver(&mut self, index: u32) -> Completion {
        let slot = &self.slots[index as usize];
        let (qd, qt, set) = (slot.qd, Qt::new(index, slot.generation), slot.set);
        if set == NONE {
            Self::unlink(&mut self.slots, &mut self.done, index);
        } else {
            let set = &mut self.sets[set as usize];
            set.members -= 1;
            Self::unlink(&mut self.slots, &mut set.done, index);
        }
        let outcome = match self.release(index) {
            State::Done(outcome) => outcome,
            // Not reached: every caller has seen that the slot is done. A wrong answer here would still be an error.
            State::Free | State::Parked(_) => Outcome::Failed(STALE),
        };
        Completion { qd, qt, outcome }
    }

    /// Whether this token's operation is its FIFO's first, and its completion belongs to no wait set.
    #[inline]
    pub fn is_first(&self, fifo: Fifo, qt: Qt) -> bool {
        match self.slots.get(fifo.head as usize) {
            Some(slot) => fifo.head as usize == qt.index() && slot.generation == qt.generation() && slot.set == NONE,
            None => false,
        }
    }

    /// The queue and direction of a token that has not finished.
    ///
    /// # Errors
    /// `EINVAL` for a token that is not pending.
    #[inline]
    pub fn parked(&mut self, qt: Qt) -> Result<Option<(Qd, Direction)>> {
        self.settle();
        let slot = &self.slots[self.index(qt)? as usize];
        Ok(match &slot.state {
            State::Parked(Work::Pop(_) | Work::Accept) => Some((slot.qd, Direction::Pop)),
            State::Parked(_) => Some((slot.qd, Direction::Push)),
            _ => None,
        })
    }

    /// The oldest completion that belongs to no wait set.
    pub fn take_oldest(&mut self) -> Option<Completion> {
        self.settle();
        match self.done.head {
            NONE => None,
            index => Some(self.deliver(index)),
        }
    }

    /// Completions that nobody has taken and that belong to no set.
    #[must_use]
    pub fn has_done(&self) -> bool {
        self.fresh.qt != 0 || !self.done.is_empty()
    }

    /// Whether any set has a completion to take.
    #[must_use]
    pub fn has_done_in_sets(&self) -> bool {
        self.sets.iter().any(|set| !set.done.is_empty())
    }
}
