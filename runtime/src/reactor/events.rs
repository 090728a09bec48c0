// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the owner of a LibOs watches file descriptors for, and what it is told.

use rustix::event::epoll::EventFlags;

pub use crate::limits::EVENTS_MAX;

/// What to watch a file descriptor for. Hang-ups and errors are always reported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interest {
    /// There is something to read or to accept, or the peer has shut down its sending side.
    pub readable: bool,
    /// There is room to write, or a connection attempt has ended.
    pub writable: bool,
    /// Report each change once (`EPOLLET`), instead of again and again for as long as it holds.
    pub edge: bool,
}

impl Interest {
    /// Reading, level-triggered.
    pub const READABLE: Self = Self { readable: true, writable: false, edge: false };

    /// Writing, level-triggered.
    pub const WRITABLE: Self = Self { readable: false, writable: true, edge: false };

    /// Reading and writing, level-triggered.
    pub const BOTH: Self = Self { readable: true, writable: true, edge: false };

    /// The same, edge-triggered. A doorbell eventfd that is watched so never has to be read.
    #[must_use]
    pub const fn edge(self) -> Self {
        Self { edge: true, ..self }
    }

    pub(super) fn flags(self) -> EventFlags {
        let mut flags = EventFlags::empty();
        flags.set(EventFlags::IN | EventFlags::RDHUP, self.readable);
        flags.set(EventFlags::OUT, self.writable);
        flags.set(EventFlags::ET, self.edge);
        flags
    }
}

/// One watched file descriptor is ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Event {
    /// The token that the descriptor is watched under.
    pub token: u64,
    /// Reading will not block.
    pub readable: bool,
    /// Writing will not block.
    pub writable: bool,
    /// The peer hung up, in one direction at least, or the descriptor has an error.
    pub hangup: bool,
}

impl Event {
    pub(super) fn new(token: u64, flags: EventFlags) -> Self {
        Self {
            token,
            readable: flags.contains(EventFlags::IN),
            writable: flags.contains(EventFlags::OUT),
            hangup: flags.intersects(EventFlags::HUP | EventFlags::RDHUP | EventFlags::ERR),
        }
    }
}

/// The events of one collection, in a fixed array.
#[derive(Clone, Debug)]
pub struct Events {
    list: [Event; EVENTS_MAX],
    len: usize,
}

impl Events {
    /// No events yet.
    #[must_use]
    pub fn new() -> Self {
        Self { list: [Event::default(); EVENTS_MAX], len: 0 }
    }

    /// The events, in the order in which the kernel gave them.
    #[must_use]
    pub fn as_slice(&self) -> &[Event] {
        self.list.get(..self.len).unwrap_or_default()
    }

    /// The events one by one.
    pub fn iter(&self) -> core::slice::Iter<'_, Event> {
        self.as_slice().iter()
    }

    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    /// The kernel gives out at most [`EVENTS_MAX`] at once; more than that would be left out.
    pub(super) fn push(&mut self, event: Event) {
        if let Some(slot) = self.list.get_mut(self.len) {
            *slot = event;
            self.len += 1;
        }
    }
}

impl Default for Events {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> IntoIterator for &'a Events {
    type Item = &'a Event;
    type IntoIter = core::slice::Iter<'a, Event>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
