// SPDX-License-Identifier: MIT OR Apache-2.0
//! Packets that wait for a neighbour's MAC address: many short queues in one bounded table.

use runtime::buf::Sga;
use runtime::slab::Slab;

const NONE: u32 = u32::MAX;

struct Waiting {
    packet: Sga,
    next: u32,
}

/// The queue of one neighbour: first in, first out. Its packets lie in [`Packets`].
#[derive(Clone, Copy)]
pub(super) struct Queue {
    head: u32,
    tail: u32,
    len: u32,
}

impl Queue {
    pub(super) const EMPTY: Self = Self { head: NONE, tail: NONE, len: 0 };

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.head == NONE
    }

    pub(super) fn len(&self) -> u32 {
        self.len
    }
}

/// The packets of all queues.
pub(super) struct Packets {
    table: Slab<Waiting>,
}

impl Packets {
    pub(super) const fn new(capacity: u32) -> Self {
        Self { table: Slab::new(capacity) }
    }

    /// How many packets wait.
    pub(super) fn len(&self) -> u32 {
        self.table.len()
    }

    /// Puts a packet behind the others, or gives it back if the table is full.
    pub(super) fn push(&mut self, queue: &mut Queue, packet: Sga) -> Result<(), Sga> {
        let key = self.table.insert(Waiting { packet, next: NONE }).map_err(|waiting| waiting.packet)?;
        match self.table.at_mut(queue.tail) {
            Some(last) => last.next = key.index,
            None => queue.head = key.index,
        }
        queue.tail = key.index;
        queue.len += 1;
        Ok(())
    }

    /// Takes the oldest packet out.
    pub(super) fn pop(&mut self, queue: &mut Queue) -> Option<Sga> {
        let key = self.table.key_at(queue.head)?;
        let Waiting { packet, next } = self.table.remove(key)?;
        queue.head = next;
        queue.len -= 1;
        if next == NONE {
            queue.tail = NONE;
        }
        Some(packet)
    }

    /// Drops every packet of a queue and says how many that were.
    pub(super) fn clear(&mut self, queue: &mut Queue) -> u32 {
        let len = queue.len;
        while self.pop(queue).is_some() {}
        len
    }
}
