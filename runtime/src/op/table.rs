// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table of operations.
//!
//! A slot is free, parked in its queue's FIFO, or done and linked into the list of whoever may take it: the list of all,
//! or that of one wait set. A token names a slot and a generation; the generation changes when a completion is taken.

use super::list::{List, NONE};
use super::{Completion, Outcome};
use crate::buf::Sga;
use crate::transport::PopMode;
use crate::{Errno, Error, Qd, Qt, Result};

/// Which of a queue's two FIFOs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Pushes and the half-close behind them.
    Push = 0,
    /// Pops.
    Pop = 1,
}

/// What a parked operation still has to do.
#[derive(Debug)]
pub enum Work {
    /// Push the rest of this message.
    Push(Sga),
    /// Pop a message.
    Pop(PopMode),
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

/// A wait set's index and generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetId {
    index: u32,
    generation: u32,
}

#[derive(Debug)]
enum State {
    Free,
    Parked(Work),
    Done(Outcome),
}

#[derive(Debug)]
struct Slot {
    state: State,
    generation: u32,
    qd: Qd,
    prev: u32,
    next: u32,
    /// The wait set that gets the completion, or `NONE`.
    set: u32,
    /// The `wait_any` call that asked for this token last, and where it stood in its list.
    asked: u32,
    position: u32,
    /// When it finished, in completions.
    finished: u64,
}

#[derive(Debug, Default)]
struct Set {
    generation: u32,
    open: bool,
    done: List,
    /// Tokens in the set that have not been taken.
    members: usize,
}

/// The operations of one LibOs.
#[derive(Debug)]
pub struct Ops {
    slots: Vec<Slot>,
    free: u32,
    limit: usize,
    done: List,
    finished: u64,
    sets: Vec<Set>,
    /// The number of the current `wait_any`, and the first of its tokens that finished.
    call: u32,
    hit: Option<u32>,
}

const STALE: Error = Error::new(Errno::INVAL, "this token is not pending: it was taken before or never given out");

impl Ops {
    /// A table that grows to at most `limit` operations.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        let limit = limit.min(NONE as usize - 1);
        Self {
            slots: Vec::new(),
            free: NONE,
            limit,
            done: List::EMPTY,
            finished: 0,
            sets: Vec::new(),
            call: 0,
            hit: None,
        }
    }

    /// Takes a slot. `EAGAIN` when `limit` tokens are open: take completions first.
    #[inline]
    fn take_slot(&mut self, qd: Qd, state: State) -> Result<u32> {
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
    fn grow(&mut self) -> Result<()> {
        if self.slots.len() >= self.limit {
            return Err(Error::new(Errno::AGAIN, "too many operations are outstanding: wait for some first"));
        }
        let index = self.slots.len() as u32;
        self.slots.push(Slot {
            state: State::Free,
            generation: 1,
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

    /// Whether a further operation can begin.
    ///
    /// # Errors
    /// `EAGAIN` when the limit of open tokens is reached.
    #[inline]
    pub fn reserve(&mut self) -> Result<()> {
        if self.free == NONE { self.grow() } else { Ok(()) }
    }

    fn link(slots: &mut [Slot], list: &mut List, index: u32) {
        slots[index as usize].prev = list.tail;
        slots[index as usize].next = NONE;
        if list.tail == NONE {
            list.head = index;
        } else {
            slots[list.tail as usize].next = index;
        }
        list.tail = index;
    }

    fn unlink(slots: &mut [Slot], list: &mut List, index: u32) {
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

    /// An operation that finished at once.
    ///
    /// # Errors
    /// `EAGAIN` when the limit of open tokens is reached.
    #[inline]
    pub fn finished(&mut self, qd: Qd, outcome: Outcome) -> Result<Qt> {
        let index = self.take_slot(qd, State::Done(outcome))?;
        self.finished += 1;
        let slot = &mut self.slots[index as usize];
        slot.finished = self.finished;
        let qt = Qt::new(index, slot.generation);
        Self::link(&mut self.slots, &mut self.done, index);
        Ok(qt)
    }

    /// An operation that has to wait its turn, or for the transport.
    ///
    /// # Errors
    /// `EAGAIN` when the limit of open tokens is reached.
    pub fn park(&mut self, qd: Qd, work: Work, fifo: &mut Fifo) -> Result<Qt> {
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

    /// Ends a parked operation early. True if it was its FIFO's first, the one that the transport was trying.
    pub fn cancel(&mut self, qt: Qt, fifo: &mut Fifo, error: Error) -> Result<bool> {
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
        slot.generation = match slot.generation.wrapping_add(1) {
            0 => 1,
            next => next,
        };
        slot.set = NONE;
        slot.next = self.free;
        self.free = index;
        core::mem::replace(&mut slot.state, State::Free)
    }

    #[inline]
    fn index(&self, qt: Qt) -> Result<u32> {
        match self.slots.get(qt.index()) {
            Some(slot) if slot.generation == qt.generation() && !matches!(slot.state, State::Free) => {
                Ok(qt.index() as u32)
            }
            _ => Err(STALE),
        }
    }

    /// Takes the completion of this token if it has finished.
    ///
    /// # Errors
    /// `EINVAL` for a token that is not pending.
    #[inline]
    pub fn take(&mut self, qt: Qt) -> Result<Option<Completion>> {
        let index = self.index(qt)?;
        if !matches!(self.slots[index as usize].state, State::Done(_)) {
            return Ok(None);
        }
        Ok(Some(self.deliver(index)))
    }

    /// Unlinks a finished operation and hands out its completion.
    #[inline]
    fn deliver(&mut self, index: u32) -> Completion {
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

    /// The queue and direction of a token that has not finished.
    ///
    /// # Errors
    /// `EINVAL` for a token that is not pending.
    #[inline]
    pub fn parked(&self, qt: Qt) -> Result<Option<(Qd, Direction)>> {
        let slot = &self.slots[self.index(qt)? as usize];
        Ok(match &slot.state {
            State::Parked(Work::Pop(_)) => Some((slot.qd, Direction::Pop)),
            State::Parked(_) => Some((slot.qd, Direction::Push)),
            _ => None,
        })
    }

    /// The oldest completion that belongs to no wait set.
    pub fn take_oldest(&mut self) -> Option<Completion> {
        match self.done.head {
            NONE => None,
            index => Some(self.deliver(index)),
        }
    }

    /// Begins a `wait_any` over these tokens: the first of them to finish is noted from now on.
    ///
    /// # Errors
    /// `EINVAL` if one of them is not pending.
    pub fn ask(&mut self, qts: &[Qt]) -> Result<()> {
        self.call = self.call.wrapping_add(1).max(1);
        self.hit = None;
        let mut oldest: Option<u64> = None;
        for (position, &qt) in qts.iter().enumerate() {
            let index = self.index(qt)?;
            let slot = &mut self.slots[index as usize];
            slot.asked = self.call;
            slot.position = position as u32;
            if matches!(slot.state, State::Done(_)) && oldest.is_none_or(|finished| slot.finished < finished) {
                oldest = Some(slot.finished);
                self.hit = Some(index);
            }
        }
        Ok(())
    }

    /// The first of the asked tokens that finished, with its place in the list.
    pub fn take_asked(&mut self) -> Option<(usize, Completion)> {
        let index = self.hit.take()?;
        let position = self.slots[index as usize].position as usize;
        Some((position, self.deliver(index)))
    }

    /// Makes a wait set.
    pub fn open_set(&mut self) -> SetId {
        let index = match self.sets.iter().position(|set| !set.open) {
            Some(index) => index,
            None => {
                self.sets.push(Set::default());
                self.sets.len() - 1
            }
        };
        let set = &mut self.sets[index];
        set.open = true;
        SetId { index: index as u32, generation: set.generation }
    }

    fn set(&self, id: SetId) -> Result<usize> {
        match self.sets.get(id.index as usize) {
            Some(set) if set.open && set.generation == id.generation => Ok(id.index as usize),
            _ => Err(Error::new(Errno::INVAL, "this wait set is closed")),
        }
    }

    /// The completion of `qt` goes to this set.
    ///
    /// # Errors
    /// `EINVAL` for a token that is not pending or a closed set, `EEXIST` if the token is in a set already.
    pub fn add_to_set(&mut self, id: SetId, qt: Qt) -> Result<()> {
        let set = self.set(id)?;
        let index = self.index(qt)?;
        let slot = &mut self.slots[index as usize];
        if slot.set != NONE {
            return Err(Error::new(Errno::EXIST, "the token is in a wait set already"));
        }
        slot.set = set as u32;
        self.sets[set].members += 1;
        if matches!(slot.state, State::Done(_)) {
            Self::unlink(&mut self.slots, &mut self.done, index);
            Self::link(&mut self.slots, &mut self.sets[set].done, index);
        }
        Ok(())
    }

    /// The oldest completion of this set; `None` if none has finished.
    ///
    /// # Errors
    /// `EINVAL` for a closed set.
    pub fn take_from_set(&mut self, id: SetId) -> Result<Option<Completion>> {
        let set = self.set(id)?;
        Ok(match self.sets[set].done.head {
            NONE => None,
            index => Some(self.deliver(index)),
        })
    }

    /// Tokens of this set that have not been taken.
    ///
    /// # Errors
    /// `EINVAL` for a closed set.
    pub fn set_len(&self, id: SetId) -> Result<usize> {
        Ok(self.sets[self.set(id)?].members)
    }

    /// Closes a set; its tokens are free again, to be waited for otherwise. Takes time in the number of open tokens.
    ///
    /// # Errors
    /// `EINVAL` if it is closed already.
    pub fn close_set(&mut self, id: SetId) -> Result<()> {
        let set = self.set(id)?;
        while let Some(index) = Some(self.sets[set].done.head).filter(|&head| head != NONE) {
            Self::unlink(&mut self.slots, &mut self.sets[set].done, index);
            Self::link(&mut self.slots, &mut self.done, index);
        }
        for slot in self.slots.iter_mut().filter(|slot| slot.set == set as u32) {
            slot.set = NONE;
        }
        let entry = &mut self.sets[set];
        entry.open = false;
        entry.generation = entry.generation.wrapping_add(1);
        entry.members = 0;
        Ok(())
    }

    /// Completions that nobody has taken and that belong to no set.
    #[must_use]
    pub fn has_done(&self) -> bool {
        !self.done.is_empty()
    }

    /// Whether any set has a completion to take.
    #[must_use]
    pub fn has_done_in_sets(&self) -> bool {
        self.sets.iter().any(|set| !set.done.is_empty())
    }
}
