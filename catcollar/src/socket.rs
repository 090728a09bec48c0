// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sockets, and the table of them.
//!
//! What must always hold: a socket keeps its handle until the last completion of its requests has come, also after it was
//! closed; so a completion never reaches another socket. Its descriptor stays open until no request uses it any more.

use crate::ready::Ready;
use crate::ring::Id;
use kernel::Socket as Kernel;
use runtime::transport::{Handle, QueueId};
use runtime::{Errno, Error, Result};
use std::collections::VecDeque;
use std::os::fd::OwnedFd;

const GONE: Error = Error::new(Errno::BADF, "no such socket");

/// A socket.
pub struct Socket {
    /// The queue to wake.
    pub queue: QueueId,
    /// `None`: closed, and only what the kernel still has keeps the handle.
    pub kernel: Option<Kernel>,
    /// Requests that use the descriptor.
    pub requests: u32,
    /// Sends without a copy whose memory the kernel still has.
    pub held: u32,
    /// What arrives.
    pub receiving: Receiving,
    /// What is sent.
    pub sending: Sending,
    /// Connections that arrive, once it listens.
    pub accepting: Accepting,
    /// The connect that is under way.
    pub connecting: Option<Id>,
    /// Its close.
    pub closing: Closing,
    /// The push direction waits.
    pub push_waits: bool,
    /// The pop direction waits.
    pub pop_waits: bool,
}

/// How the stream from the peer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By its end, which nobody has been told.
    Untold,
    /// By its end, and the application knows.
    Told,
    /// By an error, which every pop gives.
    Failed(Error),
}

/// What arrives.
#[derive(Default)]
pub struct Receiving {
    /// The request that is under way.
    pub request: Option<Id>,
    /// It was cancelled.
    pub canceled: bool,
    /// The request that waits for the peer to go.
    pub hangup: Option<Id>,
    /// The peer has gone, or has ended the stream: what is left is asked for one by one.
    pub hung: bool,
    /// The kernel found no buffer: the next request waits first, and brings one of its own.
    pub starved: bool,
    /// Arrived and not popped, oldest first.
    pub ready: Ready,
    /// The stream has ended behind those.
    pub end: Option<End>,
    /// What the next pop is told, once.
    pub failed: Option<Error>,
}

/// What is sent: one message at a time.
#[derive(Default)]
pub struct Sending {
    /// How far it has come.
    pub state: Sent,
    /// The request that is under way.
    pub request: Option<Id>,
    /// Bytes of the message, and those that the kernel has taken.
    pub len: usize,
    pub taken: usize,
    /// It goes without a copy, and nobody here can write to it meanwhile.
    pub zero_copy: bool,
    pub sole: bool,
    /// What every further push is told.
    pub failed: Option<Error>,
}

/// How far a message has come.
#[derive(Default, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// There is none.
    #[default]
    Nothing,
    /// It is under way.
    Going,
    /// It is under way, and whoever pushed it has given it up.
    Abandoned,
    /// It is done, and nobody has been told.
    Done(Result<()>),
}

/// Connections that arrive.
#[derive(Default)]
pub struct Accepting {
    /// The request that is under way.
    pub request: Option<Id>,
    /// It was cancelled.
    pub canceled: bool,
    /// Arrived and not accepted.
    pub ready: VecDeque<OwnedFd>,
    /// What the next accept is told, once.
    pub failed: Option<Error>,
}

/// How far a close has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Closing {
    /// It is open.
    #[default]
    Open,
    /// It waits for its requests to end.
    Ending,
    /// The end was sent; it waits until the peer has everything, or for this moment.
    Lingering(runtime::time::Time),
}

impl Socket {
    pub fn new(queue: QueueId, kernel: Kernel) -> Self {
        Self {
            queue,
            kernel: Some(kernel),
            requests: 0,
            held: 0,
            receiving: Receiving::default(),
            sending: Sending::default(),
            accepting: Accepting::default(),
            connecting: None,
            closing: Closing::Open,
            push_waits: false,
            pop_waits: false,
        }
    }

    /// The kernel's socket.
    ///
    /// # Errors
    /// `EBADF` it is closed.
    #[inline]
    pub fn kernel(&mut self) -> Result<&mut Kernel> {
        self.kernel.as_mut().ok_or(GONE)
    }
}

struct Slot {
    socket: Option<Socket>,
    /// The next free slot, while this one is free.
    next: Handle,
}

const NONE: Handle = Handle::MAX;

/// All sockets of one LibOs.
pub struct Sockets {
    slots: Vec<Slot>,
    free: Handle,
}

impl Sockets {
    pub const fn new() -> Self {
        Self { slots: Vec::new(), free: NONE }
    }

    /// Adds a socket.
    pub fn insert(&mut self, socket: Socket) -> Handle {
        let handle = self.free;
        if let Some(slot) = self.slots.get_mut(handle as usize) {
            self.free = slot.next;
            slot.socket = Some(socket);
            return handle;
        }
        self.slots.push(Slot { socket: Some(socket), next: NONE });
        // Far fewer than that: the table of queues is bounded.
        self.slots.len() as Handle - 1
    }

    /// A socket.
    ///
    /// # Errors
    /// `EBADF` there is none.
    #[inline]
    pub fn get(&mut self, handle: Handle) -> Result<&mut Socket> {
        self.slots.get_mut(handle as usize).and_then(|slot| slot.socket.as_mut()).ok_or(GONE)
    }

    /// Frees the handle of a socket that is closed, if the kernel has nothing of it.
    pub fn forget(&mut self, handle: Handle) {
        let Ok(socket) = self.get(handle) else { return };
        if socket.kernel.is_none() && socket.requests == 0 && socket.held == 0 {
            self.slots[handle as usize] = Slot { socket: None, next: self.free };
            self.free = handle;
        }
    }

    /// All that have a handle.
    pub fn iter(&self) -> impl Iterator<Item = &Socket> {
        self.slots.iter().filter_map(|slot| slot.socket.as_ref())
    }

    /// How many have a handle.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.iter().count()
    }
}
