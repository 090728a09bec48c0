// SPDX-License-Identifier: MIT OR Apache-2.0
//! One socket, and what is known of it.

use crate::zero_copy::Flights;
use core::cell::Cell;
use kernel::Socket;
use runtime::Error;
use runtime::op::Direction;
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
    /// Closed for the application; the kernel still reads memory of its pushes.
    Orphan,
}

/// A socket.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and all of them are read on the hot path"
)]
pub struct Entry {
    /// The kernel's.
    pub socket: Socket,
    /// Its index in the LibOs' table.
    pub queue: QueueId,
    /// By direction: the kernel has not said that there is nothing to do.
    pub ready: [bool; 2],
    /// By direction: an operation waits to be woken.
    pub parked: [bool; 2],
    /// It is in the list of those that have news.
    pub listed: bool,
    /// The kernel has announced an end or an error, which makes no further edge.
    pub hung: bool,
    /// The epoll set has it.
    pub watched: bool,
    /// What came last filled more than a small buffer.
    pub large: bool,
    /// Of a stream.
    pub end: End,
    /// Of its close.
    pub closing: Closing,
    /// Bytes of the next push that are sent already.
    pub skip: usize,
    /// What ended the connection before its time.
    pub failed: Option<Error>,
    /// When it has to be looked at though nothing has happened.
    pub deadline: Option<Time>,
    /// Pushes whose memory the kernel reads, once there was one.
    pub flights: Option<Box<Flights>>,
    /// What the kernel had dropped when it was asked last.
    pub dropped: Cell<u32>,
}

impl Entry {
    /// A socket of which nothing is known: both directions are worth a try.
    pub fn new(socket: Socket, queue: QueueId) -> Self {
        Self {
            socket,
            queue,
            ready: [true; 2],
            parked: [false; 2],
            listed: false,
            hung: false,
            watched: false,
            large: false,
            end: End::Open,
            closing: Closing::No,
            skip: 0,
            failed: None,
            deadline: None,
            flights: None,
            dropped: Cell::new(0),
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
