// SPDX-License-Identifier: MIT OR Apache-2.0
//! One end of a pipe: its halves, its state, and what became of the peer.

mod adopted;

use crate::arena::Outgoing;
use crate::doorbell::Doorbell;
use crate::eventfd::Eventfd;
use crate::handshake::Offer;
use crate::inbox::Inbox;
use crate::layout::{Layout, Side};
use crate::mapping::Mapping;
use crate::outbox::Outbox;
use crate::rendezvous::Hello;
use crate::ring::{Producer, SharedMemory};
use crate::state::{Half, Machine, Prepared};
use core::ptr::NonNull;
use core::sync::atomic::AtomicU64;
use core::task::Poll;
use runtime::buf::{Buf, Pools, Sga};
use runtime::op::{Direction, Wakes};
use runtime::transport::{PopMode, QueueId};
use runtime::{Errno, Error, Result};
use rustix::net::{RecvFlags, recv};
use std::os::fd::OwnedFd;
use std::rc::Rc;

const ENDED: Error = Error::new(Errno::PIPE, "the stream has ended, and the end was read");
const SHUT: Error = Error::new(Errno::PIPE, "the pipe was shut down for writing");
const LEFT: Error = Error::new(Errno::PIPE, "the peer has closed the pipe");
const DIED: Error = Error::new(Errno::CONNRESET, "the peer died, or left without closing");
/// What an end sends on the connection before it closes it, so that the peer can tell a close from a death.
const BYE: [u8; 1] = [b'.'];

/// Both halves over the shared segment.
pub struct Ends {
    /// Messages out.
    pub outbox: Outbox,
    /// Messages in.
    pub inbox: Inbox,
    /// Wakes the peer.
    pub bell: Rc<Doorbell>,
    /// Wakes this side; `None` if the connection does.
    pub mine: Option<Rc<Eventfd>>,
}

impl Ends {
    /// This side's halves of the segment.
    pub fn new(
        mapping: &Rc<Mapping>,
        hello: &Hello,
        side: Side,
        bell: Rc<Doorbell>,
        mine: Option<Rc<Eventfd>>,
        (pools, max_message): (&Pools, usize),
    ) -> Self {
        let directions = hello.directions();
        let layout = Layout::new(directions);
        let arena_len =
            |side: Side| directions[side as usize].slot_size() * usize::from(directions[side as usize].slots());
        let ring = |writer: Side| {
            let capacity = directions[writer as usize].ring_size();
            assert!(layout.total <= mapping.len() && layout.ring[writer as usize] + capacity <= mapping.len());
            // SAFETY: the offsets lie inside the mapping (checked above; the layout gives page-aligned rings and 8-aligned
            // credit words), both halves keep the mapping alive, and no reference to its memory is ever made.
            unsafe {
                let data = mapping.base().add(layout.ring[writer as usize]);
                let credit: NonNull<AtomicU64> = mapping.base().add(Layout::credit(writer)).cast();
                SharedMemory::new(data, capacity, credit)
            }
        };
        let slots = directions[side as usize];
        let outgoing = Outgoing::new(
            mapping,
            layout.arena[side as usize],
            slots.slot_size(),
            slots.slots(),
            Layout::returns(side),
        );
        let peer = side.peer();
        let arena = layout.arena[peer as usize]..layout.arena[peer as usize] + arena_len(peer);
        Self {
            outbox: Outbox::new(Producer::new(ring(side)), outgoing, max_message),
            inbox: Inbox::new(mapping, ring(peer), arena, Layout::returns(peer), &bell, (pools, max_message)),
            bell,
            mine,
        }
    }
}

/// What became of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    /// It has not come, or is there.
    Expected,
    /// It closed its end.
    Left,
    /// It hung up without closing.
    Died,
}

/// One end of a pipe.
pub struct Pipe {
    /// The queue to wake.
    pub queue: QueueId,
    /// Never used twice, so that letters of a former pipe in the same slot are known as such.
    pub serial: u64,
    /// The opener has them once the handshake is done, the creator from the start.
    pub ends: Option<Ends>,
    /// The creator's, until somebody has opened.
    pub offer: Option<Rc<Offer>>,
    /// The handshake's coroutine.
    pub task: Option<runtime::task::TaskId>,
    /// Nothing is sent on it but [`BYE`] and, if it is the doorbell, rings. It says when the peer is gone.
    pub connection: Option<Rc<OwnedFd>>,
    /// What operations give while nothing joins the pipe to a peer; `None`: they wait.
    pub idle: Option<Error>,
    /// An operation is parked, per direction.
    pub wants: [bool; 2],
    /// It is looked at in every poll.
    pub hot: bool,
    /// Since which stretch of looks.
    pub hot_since: u32,
    machine: Machine,
    peer: Peer,
    failed: Option<Error>,
    closing: Option<Prepared>,
    said_bye: bool,
}

impl Pipe {
    /// An end whose peer has not come yet.
    pub fn new(queue: QueueId, serial: u64) -> Self {
        Self {
            queue,
            serial,
            ends: None,
            offer: None,
            task: None,
            connection: None,
            idle: None,
            wants: [false; 2],
            hot: false,
            hot_since: 0,
            machine: Machine::new(),
            peer: Peer::Expected,
            failed: None,
            closing: None,
            said_bye: false,
        }
    }

    /// The handshake is done.
    pub fn joined(&mut self, connection: impl Into<Rc<OwnedFd>>) {
        self.connection = Some(connection.into());
        self.machine.joined();
    }

    /// Nothing more can come of this pipe: `EPROTO` of a peer that broke the rules, or a failed handshake.
    pub fn fail(&mut self, error: Error) {
        self.failed.get_or_insert(error);
        self.ends = None;
    }

    /// Whether `fail` was called.
    pub fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// Pushes the message or a part of it.
    #[inline]
    pub fn push(&mut self, message: &mut Sga) -> Poll<Result<()>> {
        if self.peer != Peer::Expected || self.machine.write() == Half::Ended {
            return Poll::Ready(Err(self.cannot_push()));
        }
        let Some(ends) = &mut self.ends else { return self.not_yet() };
        let pushed = ends.outbox.push(message);
        // Also while it is pending: a part may be published, and room for the rest comes only when the peer reads that.
        if !matches!(pushed, Poll::Ready(Err(_))) {
            ends.bell.notify(crate::doorbell::DATA);
        }
        pushed
    }

    /// Pushes bytes as one record, if nothing stands in the way.
    #[inline(always)]
    pub fn push_now(&mut self, bytes: &[u8]) -> bool {
        if self.peer != Peer::Expected || self.machine.write() == Half::Ended {
            return false;
        }
        let Some(ends) = &mut self.ends else { return false };
        let pushed = ends.outbox.push_now(bytes);
        if pushed {
            ends.bell.notify(crate::doorbell::DATA);
        }
        pushed
    }

    /// Pushes bytes as one record, if there is room for it now.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    #[inline]
    pub fn push_bytes(&mut self, bytes: &[u8]) -> Result<bool> {
        if self.peer != Peer::Expected || self.machine.write() == Half::Ended {
            return Err(self.cannot_push());
        }
        let Some(ends) = &mut self.ends else { return self.failed.or(self.idle).map_or(Ok(false), Err) };
        let pushed = ends.outbox.push_bytes(bytes)?;
        if pushed {
            ends.bell.notify(crate::doorbell::DATA);
        }
        Ok(pushed)
    }

    #[cold]
    fn cannot_push(&self) -> Error {
        match (self.failed, self.peer) {
            (Some(error), _) => error,
            (None, Peer::Left) => LEFT,
            (None, Peer::Died) => DIED,
            (None, Peer::Expected) => SHUT,
        }
    }

    #[cold]
    fn not_yet<T>(&self) -> Poll<Result<T>> {
        match self.failed.or(self.idle) {
            Some(error) => Poll::Ready(Err(error)),
            None => Poll::Pending,
        }
    }

    /// Pops a message, or the end.
    #[inline]
    pub fn pop(&mut self, mode: PopMode) -> Poll<Result<Sga>> {
        let Some(ends) = &mut self.ends else { return self.not_yet() };
        if self.machine.read() == Half::Ended {
            return Poll::Ready(Err(ENDED));
        }
        match ends.inbox.pop(mode) {
            Poll::Ready(Ok(message)) => {
                if message.iter().next().is_none() {
                    self.machine.end_read();
                }
                Poll::Ready(Ok(message))
            }
            // The peer was known to be gone before the look at the ring, so what it published has all been popped.
            Poll::Pending if self.peer != Peer::Expected && !ends.inbox.is_ready() => Poll::Ready(Err(DIED)),
            other => other,
        }
    }

    /// Pops a whole message that is there, if nothing stands in the way.
    #[inline(always)]
    pub fn pop_now(&mut self, mode: PopMode) -> Sga {
        match &mut self.ends {
            Some(ends) if self.machine.read() == Half::Open => ends.inbox.pop_now(mode),
            _ => Sga::new(),
        }
    }

    /// Looks for a message up to `looks` times, in as short a loop as can be.
    #[inline]
    pub fn spin(&mut self, looks: u32) -> bool {
        // Behind the end nothing comes, and pops have an answer all the same.
        self.ends.as_mut().is_some_and(|ends| ends.inbox.spin(looks) || self.machine.read() == Half::Ended)
    }

    /// Looks for a message up to `looks` times, and takes it if it is one that takes nothing but a copy or a loan.
    #[inline]
    pub fn spin_for_message(&mut self, mode: PopMode, looks: u32) -> Sga {
        match &mut self.ends {
            Some(ends) if self.machine.read() == Half::Open => ends.inbox.spin_for_message(mode, looks),
            _ => Sga::new(),
        }
    }

    /// Looks for what a parked push lacks.
    pub fn spin_for_room(&mut self, looks: u32) -> bool {
        // Each look takes several times as long as one for a message.
        self.ends.as_mut().is_none_or(|ends| (0..looks.div_ceil(8)).any(|_| ends.outbox.has_news().unwrap_or(true)))
    }

    /// Publishes the end of what this side writes.
    pub fn shutdown(&mut self) -> Poll<Result<()>> {
        if self.peer != Peer::Expected {
            return Poll::Ready(Err(self.cannot_push()));
        }
        let Some(ends) = &mut self.ends else { return self.not_yet() };
        Poll::Ready(self.machine.end_write().map(|()| {
            ends.outbox.end();
            ends.bell.notify(crate::doorbell::DATA);
        }))
    }

    /// Closes this end; `Pending` while an opener is in the middle of its handshake, which can be aborted until then.
    pub fn close(&mut self) -> Poll<Result<()>> {
        let prepared = match self.closing.take() {
            Some(prepared) => prepared,
            None => match self.machine.prepare_close() {
                Ok(prepared) => prepared,
                Err(error) => return Poll::Ready(Err(error)),
            },
        };
        if self.connection.is_none()
            && let Some(offer) = &self.offer
        {
            offer.closing.set(true);
            if offer.greeting.get() {
                self.closing = Some(prepared);
                return Poll::Pending;
            }
            self.connection = offer.last_call().map(Rc::new);
        }
        let adopted = self.is_adopted();
        if let Some(ends) = &mut self.ends {
            ends.outbox.abandon();
            if self.machine.end_write().is_ok() {
                ends.outbox.end();
            }
            // Where the connection is the bell, the goodbye rings it.
            if !adopted {
                ends.bell.notify(crate::doorbell::DATA);
            }
        }
        self.say_bye();
        self.machine.commit_close(prepared);
        Poll::Ready(Ok(()))
    }

    /// The push, half-close or close that was being tried will not go on.
    pub fn canceled(&mut self) {
        if let Some(prepared) = self.closing.take() {
            self.machine.abort_close(prepared);
            if let Some(offer) = &self.offer {
                offer.closing.set(false);
            }
        } else if let Some(ends) = &mut self.ends {
            ends.outbox.abandon();
        }
    }

    /// Memory that can be handed over without a copy.
    ///
    /// # Errors
    /// `ENOTCONN` before the handshake is done, else as the arena.
    pub fn alloc(&mut self, len: usize) -> Result<Buf> {
        match (&mut self.ends, self.failed) {
            (Some(ends), _) => ends.outbox.alloc(len),
            (None, Some(error)) => Err(error),
            (None, None) => {
                Err(Error::new(Errno::NOTCONN, "the pipe's memory is not here before the peer has answered"))
            }
        }
    }

    /// The connection has an event: learns whether the peer has left or died. True if so.
    pub fn look_at_connection(&mut self) -> bool {
        let Some(connection) = &self.connection else { return false };
        // At most one honest byte comes; a peer that sends more than a few breaks the rules and counts as dead.
        for _ in 0..4 {
            let mut byte = [0];
            match recv(&**connection, &mut byte, RecvFlags::DONTWAIT) {
                Ok((1.., _)) if byte == BYE => self.peer = Peer::Left,
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return false,
                Ok(_) | Err(_) => {
                    if self.peer == Peer::Expected {
                        self.peer = Peer::Died;
                    }
                    return true;
                }
            }
        }
        self.peer = Peer::Died;
        true
    }

    /// Whether an operation that was parked may go on, per direction: push, pop.
    #[inline]
    pub fn news(&mut self) -> [bool; 2] {
        let gone = self.peer != Peer::Expected || self.failed.is_some();
        match &mut self.ends {
            None => [gone; 2],
            Some(ends) => [
                self.wants[0] && (gone || ends.outbox.has_news().unwrap_or(true)),
                self.wants[1] && (gone || ends.inbox.is_ready() || self.machine.read() == Half::Ended),
            ],
        }
    }

    /// Looks once, and wakes what may go on. Whether something is parked still.
    #[inline]
    pub fn stays_hot(&mut self, wakes: &mut Wakes) -> bool {
        let [push, pop] = self.news();
        if push {
            self.wants[0] = false;
            wakes.wake(self.queue, Direction::Push);
        }
        if pop {
            self.wants[1] = false;
            wakes.wake(self.queue, Direction::Pop);
        }
        self.hot = self.wants != [false; 2];
        self.hot
    }

    /// The doorbell bits for what is parked.
    pub fn wanted(&self) -> u32 {
        use crate::doorbell::{CREDIT, DATA};
        (if self.wants[0] { CREDIT } else { 0 }) | (if self.wants[1] { DATA } else { 0 })
    }
}
