// SPDX-License-Identifier: MIT OR Apache-2.0
//! Asking for one of many tokens: `wait_any`, which goes through its list once, and wait sets, whose tokens are added once
//! and whose completions are linked into a list of their own.

use super::Completion;
use super::list::{List, NONE};
use super::table::{Ops, Slot, State};
use crate::{Errno, Error, Qt, Result};

/// A wait set's index and generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetId {
    index: u32,
    generation: u32,
}

#[derive(Debug)]
pub(super) struct Set {
    generation: u32,
    open: bool,
    pub(super) done: List,
    /// Tokens in the set that have not been taken.
    pub(super) members: usize,
}

impl Ops {
    /// Begins a `wait_any` over these tokens: the first of them to finish is noted from now on.
    ///
    /// # Errors
    /// `EINVAL` if one of them is not pending.
    pub fn ask(&mut self, qts: &[Qt]) -> Result<()> {
        self.settle();
        self.call += 1;
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
        self.settle();
        let index = self.hit.take()?;
        let position = self.slots[index as usize].position as usize;
        Some((position, self.deliver(index)))
    }

    /// Makes a wait set.
    pub fn open_set(&mut self) -> SetId {
        let index = if let Some(index) = self.sets.iter().position(|set| !set.open) {
            index
        } else {
            let generation = self.first_generation;
            self.sets.push(Set { generation, open: false, done: List::EMPTY, members: 0 });
            self.sets.len() - 1
        };
        let set = &mut self.sets[index];
        set.open = true;
        SetId { index: index as u32, generation: set.generation }
    }

    fn set(&self, id: SetId) -> Result<usize> {
        match self.sets.get(id.index as usize) {
            Some(set) if set.open && set.generation == id.generation => Ok(id.index as usize),
            _ => Err(Error::new(Errno::INVAL, "this wait set is closed, or of another LibOs")),
        }
    }

    /// The completion of `qt` goes to this set.
    ///
    /// # Errors
    /// `EINVAL` for a token that is not pending or a closed set, `EEXIST` if the token is in a set already.
    pub fn add_to_set(&mut self, id: SetId, qt: Qt) -> Result<()> {
        self.settle();
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
            let list = &mut self.sets[set].done;
            let behind = list.tail;
            Self::link_by_age(&mut self.slots, list, index, behind);
        }
        Ok(())
    }

    /// Links a finished operation behind the ones that finished before it, looking from `behind` towards the head.
    /// Gives what it stands behind now.
    fn link_by_age(slots: &mut [Slot], list: &mut List, index: u32, mut behind: u32) -> u32 {
        while behind != NONE && slots[behind as usize].finished > slots[index as usize].finished {
            behind = slots[behind as usize].prev;
        }
        let next = if behind == NONE { list.head } else { slots[behind as usize].next };
        slots[index as usize].prev = behind;
        slots[index as usize].next = next;
        if behind == NONE {
            list.head = index;
        } else {
            slots[behind as usize].next = index;
        }
        if next == NONE {
            list.tail = index;
        } else {
            slots[next as usize].prev = index;
        }
        behind
    }

    /// The oldest completion of this set; `None` if none has finished.
    ///
    /// # Errors
    /// `EINVAL` for a closed set.
    pub fn take_from_set(&mut self, id: SetId) -> Result<Option<Completion>> {
        // The slot that comes free must not get in front of the one that the fresh completion stands for.
        self.settle();
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
        self.settle();
        // Newest first, so that the place in the other list only moves towards its head.
        let mut behind = self.done.tail;
        while let Some(index) = Some(self.sets[set].done.tail).filter(|&tail| tail != NONE) {
            Self::unlink(&mut self.slots, &mut self.sets[set].done, index);
            behind = Self::link_by_age(&mut self.slots, &mut self.done, index, behind);
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
}
