// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sockets by handle, and under the names that the epoll set knows them by.
//!
//! A name is a handle and a generation: an event of a descriptor that is closed here and still open in a forked process
//! finds nobody.

use crate::entry::Entry;
use core::mem::offset_of;
use runtime::transport::Handle;
use runtime::{Errno, Error, Result};

const CLOSED: Error = Error::new(Errno::BADF, "the socket is closed");

/// In two cache lines, the first of which has what is asked for again and again.
#[derive(Default)]
#[repr(align(64))]
struct Slot(Option<Entry>);

// The state of the socket, which stands behind its descriptor and its kind, is the last of that.
const _: () = assert!(offset_of!(Entry, socket) + 8 < 64 && size_of::<Slot>() == 128);

/// The sockets of one LibOs.
#[derive(Default)]
pub struct Table {
    slots: Vec<Slot>,
    /// Of each slot: how many sockets were there.
    generations: Vec<u32>,
    free: Vec<Handle>,
}

impl Table {
    /// Takes a socket in.
    pub fn insert(&mut self, mut entry: Entry) -> Handle {
        let handle = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.generations.push(0);
            self.slots.len() as Handle - 1
        });
        // Every free handle is one of a slot, and the new one as well.
        entry.generation = self.generations[handle as usize];
        self.slots[handle as usize].0 = Some(entry);
        handle
    }

    /// Gives a socket out.
    pub fn remove(&mut self, handle: Handle) -> Option<Entry> {
        let entry = self.slots.get_mut(handle as usize)?.0.take()?;
        let generation = &mut self.generations[handle as usize];
        // Not with all bits: of a name, which has this in its upper half, not all may be set.
        *generation = generation.wrapping_add(1) & (u32::MAX >> 1);
        self.free.push(handle);
        Some(entry)
    }

    /// The socket of this handle.
    ///
    /// # Errors
    /// `EBADF` there is none.
    #[inline]
    pub fn get(&mut self, handle: Handle) -> Result<&mut Entry> {
        self.slots.get_mut(handle as usize).and_then(|slot| slot.0.as_mut()).ok_or(CLOSED)
    }

    /// The name that a socket is watched under.
    pub fn name(&self, handle: Handle) -> u64 {
        let generation = self.generations.get(handle as usize).copied().unwrap_or(0);
        u64::from(generation) << 32 | u64::from(handle)
    }

    /// The socket of this name, if it is still there, and its handle.
    #[inline]
    pub fn named(&mut self, name: u64) -> Option<(Handle, &mut Entry)> {
        let (handle, generation) = (name as Handle, (name >> 32) as u32);
        let entry = self.slots.get_mut(handle as usize)?.0.as_mut()?;
        (entry.generation == generation).then_some((handle, entry))
    }

    /// The socket of this handle, to look at.
    pub fn at(&self, handle: Handle) -> Option<&Entry> {
        self.slots.get(handle as usize)?.0.as_ref()
    }

    /// All of them, taken out.
    pub fn drain(&mut self) -> impl Iterator<Item = Entry> {
        self.free.clear();
        self.generations.clear();
        self.slots.drain(..).filter_map(|slot| slot.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::Socket;
    use runtime::socket::{Domain, Kind};

    fn entry(queue: u32) -> Entry {
        Entry::new(Socket::open(Domain::V4, Kind::Datagram).unwrap(), queue)
    }

    #[test]
    fn names_of_the_closed_find_nobody() {
        let mut table = Table::default();
        let (first, second) = (table.insert(entry(1)), table.insert(entry(2)));
        let old = table.name(first);
        assert_eq!(table.named(old).map(|(handle, entry)| (handle, entry.queue)), Some((first, 1)));
        assert_eq!(table.remove(first).unwrap().queue, 1);
        assert!(table.remove(first).is_none() && table.get(first).is_err() && table.named(old).is_none());
        // Its place is used again, under another name.
        assert_eq!(table.insert(entry(3)), first);
        assert!(table.named(old).is_none());
        assert_eq!((table.get(first).unwrap().queue, table.get(second).unwrap().queue), (3, 2));
        assert_ne!(table.name(first), old);
        assert_eq!(table.drain().map(|entry| entry.queue).collect::<Vec<_>>(), [3, 2]);
        assert!(table.get(second).is_err() && table.at(0).is_none());
        assert!(table.slots.is_empty());
    }
}
