// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sockets, and the table of them.
//!
//! What must always hold: a socket keeps its handle until the last completion of its requests has come, also after it was
//! closed; so a completion never reaches another socket. Its descriptor stays open until no request uses it any more.

use crate::ready::Ready;
use crate::ring::{Id, Registered, Ring, Target};
use core::time::Duration;
use kernel::Socket as Kernel;
use runtime::limits::UNIX_PAUSE;
use runtime::transport::{Handle, QueueId};
use runtime::{Errno, Error, Result};
use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};

const GONE: Error = Error::new(Errno::BADF, "no such socket");

/// A socket.
pub struct Socket {
    /// The queue to wake.
    pub queue: QueueId,
    /// `None`: closed, and only what the kernel still has keeps the handle.
    pub kernel: Option<Kernel>,
    /// Its slot among the registered descriptors, once it was asked for one and there was one.
    pub slot: Option<Registered>,
    pub asked: bool,
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
    /// Pauses in a row that were in vain, while a connect waits for room in a backlog.
    pub pauses: u8,
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
    /// Pauses in a row that were in vain, while a datagram waits for room.
    pub pauses: u8,
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
    /// The kernel's requests do not do it here: they wait, and `accept4(2)` takes.
    pub by_call: bool,
    /// There were no descriptors or no memory: the next try comes after a pause.
    pub short: bool,
}

/// How far a close has come.
#[derive(Clone, Copy, Debug, Default)]
pub enum Closing {
    /// It is open.
    #[default]
    Open,
    /// It waits for its requests to end.
    Ending,
    /// The end was sent; it waits until the peer has everything, or for this moment. So many pauses were in vain.
    Lingering(runtime::time::Time, u8),
    /// Closed for the application; what the peer still sends is read away. So many pauses in a row were in vain.
    Leaving(kernel::Draining, u8),
}

impl Closing {
    /// Whether nobody has closed it.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Open)
    }
}

/// How long to pause after so many pauses in vain: twice as long each time, up to `most`.
pub fn pause(in_vain: u8, most: Duration) -> Duration {
    UNIX_PAUSE.saturating_mul(1 << in_vain.min(16)).min(most)
}

impl Socket {
    pub fn new(queue: QueueId, kernel: Kernel) -> Self {
        Self {
            queue,
            kernel: Some(kernel),
            slot: None,
            asked: false,
            requests: 0,
            held: 0,
            receiving: Receiving::default(),
            sending: Sending::default(),
            accepting: Accepting::default(),
            connecting: None,
            pauses: 0,
            closing: Closing::Open,
            push_waits: false,
            pop_waits: false,
        }
    }

    /// What its requests work on.
    #[inline]
    pub fn target(&self) -> Option<Target<'_>> {
        self.kernel.as_ref().map(|kernel| Target::new(kernel.as_fd(), self.slot.as_ref()))
    }

    /// Asks for a slot, once: a socket that is received from is worth one.
    #[inline]
    pub fn enroll(&mut self, ring: &mut Ring) {
        if !self.asked {
            self.asked = true;
            self.slot = self.kernel.as_ref().and_then(|kernel| ring.register(kernel.as_fd()));
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
