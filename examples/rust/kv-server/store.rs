// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keys and values in a bounded amount of memory. The keys come from outside, so their hashes are keyed (the default of
//! `HashMap`).

use std::collections::HashMap;

/// What is counted for an entry beside its bytes.
const OVERHEAD: usize = 96;

/// There is no room.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

pub struct Store {
    values: HashMap<Box<[u8]>, Box<[u8]>>,
    used: usize,
    most: usize,
}

impl Store {
    /// For so many bytes.
    pub fn new(most: usize) -> Self {
        Self { values: HashMap::new(), used: 0, most }
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Bytes in use, and how many there are.
    pub fn memory(&self) -> (usize, usize) {
        (self.used, self.most)
    }

    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.values.get(key).map(AsRef::as_ref)
    }

    /// # Errors
    /// If there is no room; the old value stays.
    pub fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), Full> {
        let old = self.values.get_mut(key);
        let size = |value: &[u8]| key.len() + value.len() + OVERHEAD;
        let used = self.used - old.as_ref().map_or(0, |old| size(old)) + size(value);
        if used > self.most {
            return Err(Full);
        }
        self.used = used;
        match old {
            // Often the same memory will do.
            Some(old) if old.len() == value.len() => old.copy_from_slice(value),
            Some(old) => *old = value.into(),
            None => drop(self.values.insert(key.into(), value.into())),
        }
        Ok(())
    }

    /// Whether it was there.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        let old = self.values.remove(key);
        if let Some(old) = &old {
            self.used -= key.len() + old.len() + OVERHEAD;
        }
        old.is_some()
    }

    pub fn clear(&mut self) {
        self.values = HashMap::new();
        self.used = 0;
    }
}
