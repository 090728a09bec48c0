// SPDX-License-Identifier: MIT OR Apache-2.0
//! One socket, and what is known of it.

use crate::zero_copy::Flights;
use kernel::{Draining, Socket};
use runtime::Error;
use runtime::op::Direction;
use runtime::socket::Domain;
use runtime::time::Time;
use runtime::transport::QueueId;

/// How much of a stream's end the application has been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It has not come.
    Open,
    /// It has come, and the next pop gives it.
    Come,
    /// A pop has given it.
    Told,
}

/// How far a socket's close has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// It is open.
    No,
    /// The stream has ended, and the close waits until the peer has everything or until the socket's deadline.
    Lingering,
    /// Closed for the application: its peer may still be sending, or the kernel still reads memory of its pushes.
    Orphan,
}

/// What is left to do for a socket that is closed for the application.
pub struct Orphan {
    /// What its peer sends is read away.
    pub draining: Option<Draining>,
    /// The kernel may read memory of its pushes until then.
    pub until: Time,
}

/// A socket. What a push, a pop and an event ask for stands first, so that it is in one cache line: of ten thousand
/// connections each is looked at so seldom that every line is a miss.
#[repr(C)]
pub struct Entry {
    /// How many sockets had its handle before it; see the table.
    pub generation: u32,
    /// Its index in the LibOs' table.
    pub queue: QueueId,
    /// By direction: the kernel has not said that there is nothing to do.
    pub ready: [bool; 2],
    /// By direction: an operation waits to be woken.
    pub parked: [bool; 2],
    /// It is in the list of those that have news.
    pub listed: bool,
    /// A receive that comes back short may leave something behind, of which no further edge tells: an end or an error that was announced, what
    /// follows an urgent byte (`tcp(7)`), and on Unix streams what follows a message with descriptors (`unix(7)`).
    pub leaves: bool,
    /// The epoll set has it.
    pub watched: bool,
    /// What came last filled more than a small buffer.
    pub large: bool,
    /// Of a stream.
    pub end: End,
    /// Of its close.
    pub closing: Closing,
    /// Pauses in a row that were in vain.
    pub pauses: u8,
    /// Bytes of the next push that are sent already.
    pub skip: u32,
    /// What ended the connection before its time.
    pub failed: Option<Error>,
    /// Pushes whose memory the kernel reads, once there was one.
    pub flights: Option<Box<Flights>>,
    /// The kernel's.
    pub socket: Socket,
    /// When it has to be looked at though nothing has happened.
    pub deadline: Option<Time>,
    /// Once it is one.
    pub orphan: Option<Box<Orphan>>,
}

impl Entry {
    /// A socket of which nothing is known: both directions are worth a try.
    pub fn new(socket: Socket, queue: QueueId) -> Self {
        Self {
            generation: 0,
            queue,
            ready: [true; 2],
            parked: [false; 2],
            listed: false,
            leaves: socket.domain() == Domain::Unix,
            watched: false,
            large: false,
            end: End::Open,
            closing: Closing::No,
            pauses: 0,
            skip: 0,
            failed: None,
            flights: None,
            socket,
            deadline: None,
            orphan: None,
        }
    }

    /// Whether it is worth trying.
    #[inline]
    pub const fn is_ready(&self, direction: Direction) -> bool {
        self.ready[direction as usize]
    }

    /// The kernel said whether there is something to do.
    #[inline]
    pub const fn set_ready(&mut self, direction: Direction, ready: bool) {
        self.ready[direction as usize] = ready;
    }
}
