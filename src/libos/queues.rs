// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table behind queue descriptors.

use runtime::op::Fifo;
use runtime::{Errno, Error, Qd, Result};

/// One queue.
pub struct Queue {
    /// Which back end serves it, and the back end's name for it.
    pub backend: u8,
    pub handle: u32,
    /// Operations that could not finish at once, per direction.
    pub fifos: [Fifo; 2],
    /// Shut down for writing: no further pushes.
    pub shut: bool,
    /// A close is pending: no further calls.
    pub closing: bool,
}

struct Slot {
    generation: u32,
    queue: Option<Queue>,
}

/// The queues of one LibOs.
pub struct Queues {
    slots: Vec<Slot>,
    free: Vec<u32>,
    limit: usize,
    open: usize,
}

const STALE: Error = Error::new(Errno::BADF, "this queue descriptor is closed or was never given out");

impl Queues {
    pub fn new(limit: usize) -> Self {
        Self { slots: Vec::new(), free: Vec::new(), limit: limit.min(Qd::SLOTS_MAX), open: 0 }
    }

    /// The index that the next queue will have.
    pub fn reserve(&self) -> Result<u32> {
        match self.free.last() {
            Some(&index) => Ok(index),
            None if self.slots.len() < self.limit => Ok(self.slots.len() as u32),
            None => Err(Error::new(Errno::MFILE, "too many queues are open (limits.queues)")),
        }
    }

    /// Puts a queue at the index that `reserve` gave.
    pub fn insert(&mut self, index: u32, backend: u8, handle: u32) -> Qd {
        let queue = Some(Queue { backend, handle, fifos: Default::default(), shut: false, closing: false });
        self.open += 1;
        if self.free.last() == Some(&index) {
            self.free.pop();
            let slot = &mut self.slots[index as usize];
            slot.queue = queue;
            return Qd::new(index, slot.generation);
        }
        // The first descriptor of a slot looks like a small number, as a file descriptor does.
        self.slots.push(Slot { generation: 0, queue });
        Qd::new(index, 0)
    }

    #[inline]
    fn slot(&mut self, qd: Qd) -> Result<&mut Queue> {
        match self.slots.get_mut(qd.index()) {
            Some(Slot { generation, queue: Some(queue) }) if Qd::new(qd.index() as u32, *generation) == qd => Ok(queue),
            _ => Err(STALE),
        }
    }

    /// An open queue.
    #[inline]
    pub fn get(&mut self, qd: Qd) -> Result<&mut Queue> {
        self.slot(qd).and_then(|queue| if queue.closing { Err(STALE) } else { Ok(queue) })
    }

    /// An open queue, or one whose close is pending.
    pub fn get_closing(&mut self, qd: Qd) -> Result<&mut Queue> {
        self.slot(qd)
    }

    /// The queue at an index, if there is one.
    #[inline]
    pub fn at(&mut self, index: u32) -> Option<(Qd, &mut Queue)> {
        let slot = self.slots.get_mut(index as usize)?;
        let qd = Qd::new(index, slot.generation);
        slot.queue.as_mut().map(|queue| (qd, queue))
    }

    pub fn remove(&mut self, qd: Qd) {
        if self.slot(qd).is_ok() {
            let slot = &mut self.slots[qd.index()];
            slot.queue = None;
            slot.generation = slot.generation.wrapping_add(1);
            self.free.push(qd.index() as u32);
            self.open -= 1;
        }
    }

    pub fn len(&self) -> usize {
        self.open
    }

    pub fn open(&self) -> impl Iterator<Item = Qd> {
        self.slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| slot.queue.is_some())
            .map(|(index, slot)| Qd::new(index as u32, slot.generation))
    }
}
