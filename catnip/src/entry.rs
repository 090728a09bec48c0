// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sockets of one LibOs, by the stack's own numbers.

use network::stack::{Readiness, SocketId, StreamId};
use runtime::op::Direction;
use runtime::transport::{Handle, QueueId};
use runtime::{Errno, Error, Result};

const UNKNOWN: Error = Error::new(Errno::BADF, "the back end has no such socket");

/// What the stack calls a socket. Datagram and stream sockets are numbered apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Socket {
    /// A datagram socket.
    Datagram(SocketId),
    /// A stream socket.
    Stream(StreamId),
}

impl Socket {
    /// What the LibOs calls it: the stack's number, and in the lowest bit of which kind it is.
    #[inline]
    pub const fn handle(self) -> Handle {
        match self {
            Self::Datagram(id) => id.index() << 1,
            Self::Stream(id) => id.index() << 1 | 1,
        }
    }
}

/// What a stream socket is doing, as far as the LibOs can call it off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Nothing of that kind.
    Nothing,
    /// It listens, for ever.
    Listening,
    /// A connect is under way.
    Connecting,
    /// A close lingers.
    Lingering,
}

/// A socket.
#[derive(Debug)]
pub struct Entry {
    /// What the stack calls it.
    pub socket: Socket,
    /// Its index in the LibOs' table.
    pub queue: QueueId,
    /// By direction: it was worth a try when it was asked last, or something has happened since.
    pub ready: [bool; 2],
    /// By direction: an operation waits to be woken.
    pub parked: [bool; 2],
    /// Of a stream socket.
    pub doing: Doing,
    /// It is in the list of those that have news.
    listed: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Table {
    /// Datagram sockets, and stream sockets.
    entries: [Vec<Option<Entry>>; 2],
    /// Those that have news.
    news: Vec<Handle>,
}

impl Table {
    #[inline]
    fn at(&mut self, handle: Handle) -> Option<&mut Entry> {
        // The list is there for either value of the bit.
        self.entries[(handle & 1) as usize].get_mut((handle >> 1) as usize).and_then(Option::as_mut)
    }

    /// Puts a new socket in.
    pub fn insert(&mut self, socket: Socket, queue: QueueId) -> Handle {
        let handle = socket.handle();
        let (entries, index) = (&mut self.entries[(handle & 1) as usize], (handle >> 1) as usize);
        if entries.len() <= index {
            entries.resize_with(index + 1, || None);
        }
        if let Some(place) = entries.get_mut(index) {
            *place = Some(Entry {
                socket,
                queue,
                ready: [true; 2],
                parked: [false; 2],
                doing: Doing::Nothing,
                listed: false,
            });
        }
        handle
    }

    /// A socket by its handle.
    ///
    /// # Errors
    /// `EBADF`: the LibOs has used a handle after its close.
    #[inline]
    pub fn get(&mut self, handle: Handle) -> Result<&mut Entry> {
        self.at(handle).ok_or(UNKNOWN)
    }

    /// Takes a socket out.
    pub fn remove(&mut self, handle: Handle) {
        if let Some(place) = self.entries[(handle & 1) as usize].get_mut((handle >> 1) as usize) {
            *place = None;
        }
    }

    /// The stack says that a socket is worth a try.
    #[inline]
    pub fn note(&mut self, socket: Socket, readiness: Readiness) {
        let handle = socket.handle();
        // What happened to one that was closed concerns nobody who has its number now.
        let Some(entry) = self.at(handle).filter(|entry| entry.socket == socket) else { return };
        entry.ready[Direction::Pop as usize] |= readiness.readable;
        entry.ready[Direction::Push as usize] |= readiness.writable;
        if !entry.listed {
            entry.listed = true;
            self.news.push(handle);
        }
    }

    /// What came of an operation: one that waits is woken when the socket is ready, and after one that did not wait others that do may
    /// have their turn.
    #[inline]
    pub fn tried(&mut self, handle: Handle, direction: Direction, pending: bool) {
        let Some(entry) = self.at(handle) else { return };
        let index = direction as usize;
        entry.ready[index] = !pending;
        if pending {
            entry.parked[index] = true;
        } else if entry.parked[index] && !entry.listed {
            entry.listed = true;
            self.news.push(handle);
        }
    }

    /// Every socket is worth a try.
    #[cold]
    pub fn note_all(&mut self) {
        let sockets: Vec<Socket> = self.sockets().collect();
        for socket in sockets {
            self.note(socket, Readiness { readable: true, writable: true });
        }
    }

    /// All that are in it.
    pub fn sockets(&self) -> impl Iterator<Item = Socket> {
        self.entries.iter().flatten().flatten().map(|entry| entry.socket)
    }

    /// Whether the LibOs has to be told something.
    #[inline]
    pub fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// Tells all news: the queue, and what is worth a try.
    #[inline]
    pub fn tell(&mut self, mut tell: impl FnMut(QueueId, Direction)) {
        let Self { entries, news } = self;
        for handle in news.drain(..) {
            let entries = &mut entries[(handle & 1) as usize];
            let Some(Some(entry)) = entries.get_mut((handle >> 1) as usize) else { continue };
            entry.listed = false;
            for direction in [Direction::Push, Direction::Pop] {
                let index = direction as usize;
                if entry.ready[index] && core::mem::take(&mut entry.parked[index]) {
                    tell(entry.queue, direction);
                }
            }
        }
    }
}
