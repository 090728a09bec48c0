// SPDX-License-Identifier: MIT OR Apache-2.0
//! A bounded table whose keys are an index and a generation.
//!
//! What must always hold: a key finds the value that it was given out for, or nothing; a freed slot bumps its
//! generation, so a stale key never reaches the next value. Slots are reused last in, first out, and memory grows
//! by need up to the bound and is never given back, so a table in steady state does not allocate.

use alloc::vec::Vec;

/// Ends the list of free slots; no slot has this index, because a table has at most `u32::MAX` of them.
const NONE: u32 = u32::MAX;

/// Where a value is, and which of the slot's values.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Key {
    /// The slot.
    pub index: u32,
    /// How often the slot had been freed before.
    pub generation: u32,
}

/// The generation stands in both, so that the next free slot lies beside it: of a box the entry takes two words.
enum Entry<T> {
    Free { generation: u32, next: u32 },
    Used { generation: u32, value: T },
}

/// A bounded table of values. See the module's first lines.
pub struct Slab<T> {
    entries: Vec<Entry<T>>,
    free: u32,
    used: u32,
    capacity: u32,
}

impl<T> Slab<T> {
    /// An empty table of at most `capacity` values; allocates nothing yet.
    pub const fn new(capacity: u32) -> Self {
        Self { entries: Vec::new(), free: NONE, used: 0, capacity }
    }

    /// How many values are in the table.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.used
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// How many slots have ever been used: indices are below this.
    pub fn slots(&self) -> u32 {
        // The length is at most `capacity`, which is a u32.
        u32::try_from(self.entries.len()).unwrap_or(u32::MAX)
    }

    /// Stores a value, or gives it back if the table is full.
    pub fn insert(&mut self, value: T) -> Result<Key, T> {
        let index = self.free;
        if let Some(entry) = self.entries.get_mut(index as usize)
            && let Entry::Free { generation, next } = *entry
        {
            self.free = next;
            *entry = Entry::Used { generation, value };
            self.used += 1;
            return Ok(Key { index, generation });
        }
        let index = self.slots();
        if index >= self.capacity {
            return Err(value);
        }
        self.entries.push(Entry::Used { generation: 0, value });
        self.used += 1;
        Ok(Key { index, generation: 0 })
    }

    /// Takes a value out; its key and all copies of it are stale from then on.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let entry = self.entries.get_mut(key.index as usize)?;
        match entry {
            Entry::Used { generation, .. } if *generation == key.generation => {}
            _ => return None,
        }
        let free = Entry::Free { generation: key.generation.wrapping_add(1), next: self.free };
        let before = core::mem::replace(entry, free);
        self.free = key.index;
        self.used -= 1;
        match before {
            Entry::Used { value, .. } => Some(value),
            Entry::Free { .. } => None,
        }
    }

    /// The value that a key was given out for.
    #[must_use]
    pub fn get(&self, key: Key) -> Option<&T> {
        match self.entries.get(key.index as usize)? {
            Entry::Used { generation, value } if *generation == key.generation => Some(value),
            _ => None,
        }
    }

    /// The value that a key was given out for.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        match self.entries.get_mut(key.index as usize)? {
            Entry::Used { generation, value } if *generation == key.generation => Some(value),
            _ => None,
        }
    }

    /// The value at an index, whatever its generation.
    pub fn at(&self, index: u32) -> Option<&T> {
        match self.entries.get(index as usize)? {
            Entry::Used { value, .. } => Some(value),
            Entry::Free { .. } => None,
        }
    }

    /// The value at an index, whatever its generation.
    pub fn at_mut(&mut self, index: u32) -> Option<&mut T> {
        match self.entries.get_mut(index as usize)? {
            Entry::Used { value, .. } => Some(value),
            Entry::Free { .. } => None,
        }
    }

    /// The key of the value that is at an index now.
    pub fn key_at(&self, index: u32) -> Option<Key> {
        match self.entries.get(index as usize)? {
            Entry::Used { generation, .. } => Some(Key { index, generation: *generation }),
            Entry::Free { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
