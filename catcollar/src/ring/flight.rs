// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests in flight, and the memory that the kernel reads or writes on their behalf.
//!
//! What must always hold: from the moment at which a request is queued until its last completion has been taken, its memory
//! is in this table, and nowhere else. So nothing that an application or a transport does with its own values can free or
//! reuse what the kernel still has.

use super::name::Name;
use runtime::buf::{Buf, Sga};

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Receives bytes of a stream.
    Receive,
    /// Waits until something can be received.
    Readable,
    /// Receives datagrams.
    ReceiveDatagram,
    /// Sends.
    Send,
    /// Waits until a datagram can be tried again, which is its memory.
    Room,
    /// Accepts connections.
    Accept,
    /// Waits until a connection can be accepted, or for a moment after which that is tried again.
    Backlog,
    /// Waits until the peer of a stream has gone, or has ended it.
    Hangup,
    /// Waits until a connect has ended, or for a moment after which it is tried again.
    Connect,
    /// Waits for a moment, to look whether a closed socket has sent everything, or what its peer still sends.
    Linger,
    /// Watches another descriptor while this thread sleeps in the ring.
    Watch,
}

/// The parts of a `sendmsg(2)` or `recvmsg(2)`, which point at each other, so that they stay where they are.
pub struct Header {
    pub message: libc::msghdr,
    pub parts: [libc::iovec; runtime::limits::SGA_SEGMENTS_MAX],
    pub name: Name,
}

impl Header {
    pub fn new() -> Box<Self> {
        let part = libc::iovec { iov_base: core::ptr::null_mut(), iov_len: 0 };
        let message = libc::msghdr {
            msg_name: core::ptr::null_mut(),
            msg_namelen: 0,
            msg_iov: core::ptr::null_mut(),
            msg_iovlen: 0,
            msg_control: core::ptr::null_mut(),
            msg_controllen: 0,
            msg_flags: 0,
        };
        Box::new(Self { message, parts: [part; runtime::limits::SGA_SEGMENTS_MAX], name: Name::new() })
    }
}

/// What a request reads or writes.
#[derive(Default)]
pub enum Memory {
    /// Nothing, or buffers of a ring.
    #[default]
    None,
    /// A message of one segment that is sent.
    Message(Sga),
    /// A message that is sent in parts, or to a name.
    Parts(Box<Header>, Sga),
    /// A buffer that is filled.
    Buffer(Buf),
    /// A buffer that is filled with a datagram, and its sender's name.
    Datagram(Box<Header>, Buf),
}

/// The index of a request in flight; the kernel gives it back with each completion.
pub type Id = u32;

const NONE: u32 = u32::MAX;

struct Slot {
    memory: Memory,
    /// `None`: free.
    kind: Option<Kind>,
    /// Of the socket; of the next free slot while this one is free.
    handle: u32,
}

/// All requests in flight.
pub struct Flights {
    slots: Vec<Slot>,
    free: u32,
    count: u32,
}

impl Flights {
    pub const fn new() -> Self {
        Self { slots: Vec::new(), free: NONE, count: 0 }
    }

    /// How many there are.
    pub fn len(&self) -> u32 {
        self.count
    }

    /// A new one.
    #[inline]
    pub fn insert(&mut self, kind: Kind, handle: u32, memory: Memory) -> Id {
        self.count += 1;
        let id = self.free;
        if let Some(slot) = self.slots.get_mut(id as usize) {
            self.free = slot.handle;
            *slot = Slot { memory, kind: Some(kind), handle };
            return id;
        }
        self.slots.push(Slot { memory, kind: Some(kind), handle });
        // Far fewer than that: each stands for a request of a bounded table of sockets.
        self.slots.len() as u32 - 1
    }

    /// What it does, and for which socket.
    #[inline]
    pub fn get(&self, id: Id) -> Option<(Kind, u32)> {
        let slot = self.slots.get(id as usize)?;
        Some((slot.kind?, slot.handle))
    }

    /// Its last completion is here: gives its memory back.
    #[inline]
    pub fn remove(&mut self, id: Id) -> Memory {
        let Some(slot) = self.slots.get_mut(id as usize) else { return Memory::None };
        if slot.kind.take().is_none() {
            return Memory::None;
        }
        slot.handle = self.free;
        self.free = id;
        self.count -= 1;
        core::mem::take(&mut slot.memory)
    }

    /// Those that are in flight.
    pub fn ids(&self) -> impl Iterator<Item = Id> {
        self.slots.iter().enumerate().filter(|(_, slot)| slot.kind.is_some()).map(|(id, _)| id as Id)
    }
}
