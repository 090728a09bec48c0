// SPDX-License-Identifier: MIT OR Apache-2.0
//! The completion that mostly is waited for next, and therefore has no slot.
//!
//! What always holds: while there is one, its token names the first free slot; whoever takes or frees a slot calls
//! `settle` first. A token is spent exactly once, by the change of its slot's generation.
//!
//! While there is none, `Ops::next` may have the token that the next one will get. Then the generation is there, and the one in
//! the slot may be that of an operation before it, until `settle` writes it: so a completion that is waited for next touches
//! no slot at all.

use super::list::NONE;
use super::table::{Fifo, Ops, STALE, State, Work, next_generation};
use super::{Completion, Outcome};
use crate::buf::Sga;
use crate::{Qd, Qt, Result};

/// A completion without a slot. Its parts are read and written one by one: as a whole they would be copied in wider
/// pieces than they were written in, and every such copy waits for the store buffer.
#[derive(Debug)]
pub(super) struct Fresh {
    /// 0, which is no token: there is none.
    pub(super) qt: u64,
    pub(super) qd: Qd,
    pub(super) outcome: Outcome,
}

impl Ops {
    /// Gives the fresh completion its slot, and the first free slot its generation.
    #[inline]
    pub(super) fn settle(&mut self) {
        if self.fresh.qt != 0 {
            self.settle_fresh();
        } else if self.next != 0 {
            let next = core::mem::take(&mut self.next);
            self.write_generation(Qt::from_raw(next));
        }
    }

    #[inline]
    fn write_generation(&mut self, qt: Qt) {
        if let Some(slot) = self.slots.get_mut(qt.index()) {
            slot.generation = qt.generation();
        }
    }

    #[inline(never)]
    fn settle_fresh(&mut self) {
        let qt = core::mem::take(&mut self.fresh.qt);
        self.write_generation(Qt::from_raw(qt));
        let (qd, outcome) = (self.fresh.qd, self.fresh.outcome.lift());
        // It was there when the token was made, and nothing has taken a slot since.
        let Ok(index) = self.take_slot(qd, State::Done(outcome)) else { return };
        self.finished += 1;
        self.slots[index as usize].finished = self.finished;
        Self::link(&mut self.slots, &mut self.done, index);
    }

    /// An operation that finished at once.
    ///
    /// # Errors
    /// `EAGAIN` when the limit of open tokens is reached.
    pub fn finished(&mut self, qd: Qd, outcome: Outcome) -> Result<Qt> {
        let qt = self.fresh(qd)?;
        self.fresh.outcome = outcome;
        Ok(qt)
    }

    /// A push that finished at once.
    ///
    /// # Errors
    /// As [`finished`](Self::finished).
    #[inline(always)]
    pub fn pushed(&mut self, qd: Qd) -> Result<Qt> {
        self.fresh(qd)
    }

    /// A pop that finished at once.
    ///
    /// # Errors
    /// As [`finished`](Self::finished).
    #[inline(always)]
    pub fn popped(&mut self, qd: Qd, message: Sga) -> Result<Qt> {
        let qt = self.fresh(qd)?;
        // What was there is `Push`: nothing to drop.
        core::mem::forget(core::mem::replace(&mut self.fresh.outcome, Outcome::Pop(message)));
        Ok(qt)
    }

    /// The token of the first free slot, for a completion whose outcome is `Push` until it is said otherwise.
    #[inline(always)]
    fn fresh(&mut self, qd: Qd) -> Result<Qt> {
        // Mostly it is known, because the caller has asked `reserve` beforehand.
        self.reserve()?;
        let qt = core::mem::take(&mut self.next);
        self.fresh.qt = qt;
        self.fresh.qd = qd;
        Ok(Qt::from_raw(qt))
    }

    /// Whether a further operation can begin.
    ///
    /// # Errors
    /// `EAGAIN` when the limit of open tokens is reached.
    #[inline(always)]
    pub fn reserve(&mut self) -> Result<()> {
        if self.next != 0 { Ok(()) } else { self.learn_next() }
    }

    /// Finds out the token of the first free slot, which there is or will be.
    #[inline(never)]
    fn learn_next(&mut self) -> Result<()> {
        self.settle();
        if self.free == NONE {
            self.grow()?;
        }
        let Some(slot) = self.slots.get(self.free as usize) else { return Err(STALE) };
        self.next = Qt::new(self.free, slot.generation).to_raw();
        Ok(())
    }

    /// Whether this is the token of the fresh completion.
    #[inline]
    pub fn is_fresh(&self, qt: Qt) -> bool {
        qt.to_raw() != 0 && self.fresh.qt == qt.to_raw()
    }

    /// Takes the fresh completion. The caller knows that there is one; if not, what it gets has failed with `EINVAL`.
    #[inline(always)]
    pub fn take_fresh(&mut self) -> Completion {
        let qt = Qt::from_raw(core::mem::take(&mut self.fresh.qt));
        if qt.to_raw() == 0 {
            return Completion { qd: self.fresh.qd, qt, outcome: Outcome::Failed(STALE) };
        }
        // Its slot is the first free one still, one generation on.
        self.next = qt.next_generation().to_raw();
        Completion { qd: self.fresh.qd, qt, outcome: self.fresh.outcome.lift() }
    }

    /// The FIFO's first operation has ended and is waited for: its completion becomes the fresh one.
    #[inline]
    pub fn freshen_first(&mut self, fifo: &mut Fifo, outcome: Outcome) {
        self.settle();
        let index = fifo.head;
        if index == NONE {
            return;
        }
        Self::unlink(&mut self.slots, fifo, index);
        self.freshen_slot(index);
        self.fresh.outcome = outcome;
    }

    /// The FIFO's first operation, a pop that is waited for, has got its message: frees its slot, and spends its token. The
    /// completion does not go through the table. The caller has asked [`parked`](Self::parked) and [`is_first`](Self::is_first).
    #[inline(always)]
    pub fn spend_first(&mut self, fifo: &mut Fifo) {
        let index = fifo.head;
        // The caller has asked `parked`, which settles, and nothing has ended since.
        debug_assert!(self.fresh.qt == 0 && self.next == 0);
        let Some(slot) = self.slots.get_mut(index as usize) else { return };
        let next = core::mem::replace(&mut slot.next, self.free);
        slot.generation = next_generation(slot.generation);
        // Mostly an answer is pushed next: its token is known already.
        self.next = Qt::new(index, slot.generation).to_raw();
        // A pop that is parked has nothing to drop.
        debug_assert!(matches!(slot.state, State::Parked(Work::Pop(_))) && slot.set == NONE);
        core::mem::forget(core::mem::replace(&mut slot.state, State::Free));
        self.free = index;
        fifo.head = next;
        match self.slots.get_mut(next as usize) {
            Some(slot) => slot.prev = NONE,
            None => fifo.tail = NONE,
        }
    }

    /// The queue of a token whose operation has just ended.
    #[inline]
    pub fn queue_of_spent(&self, qt: Qt) -> Qd {
        self.slots.get(qt.index()).map_or(self.fresh.qd, |slot| slot.qd)
    }

    /// The completion of this token becomes the fresh one, if it has finished. False if it has not.
    ///
    /// # Errors
    /// `EINVAL` for a token that is not pending.
    pub fn freshen(&mut self, qt: Qt) -> Result<bool> {
        if self.is_fresh(qt) {
            return Ok(true);
        }
        let Some(Completion { qd, outcome, .. }) = self.take_settled(qt)? else { return Ok(false) };
        // Taken: its slot is the first free one, one generation on. It is the fresh one's now, as it was before.
        self.slots[qt.index()].generation = qt.generation();
        self.fresh = Fresh { qt: qt.to_raw(), qd, outcome };
        Ok(true)
    }

    /// Frees a slot for the sake of the fresh completion, which keeps its token.
    #[inline]
    fn freshen_slot(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        self.fresh.qt = Qt::new(index, slot.generation).to_raw();
        self.fresh.qd = slot.qd;
        slot.set = NONE;
        slot.next = self.free;
        slot.state = State::Free;
        self.free = index;
    }
}
