// SPDX-License-Identifier: MIT OR Apache-2.0
//! Handing requests over, and taking completions: what every look does.
//!
//! A look makes a system call only if there are requests to hand over, or the kernel has said in the ring that it has work.
//! What completions wake is kept until the LibOs asks with its list, because looks for one queue come without it.

use crate::Catcollar;
use crate::direct::{Lone, is_of_a_stream};
use crate::ring::{Done, Kind};
use crate::socket::Socket;
use runtime::buf::Sga;
use runtime::limits::COMPLETIONS_PER_LOOK;
use runtime::op::Direction;
use runtime::transport::{Handle, PopMode, QueueId};

/// What can go on and was not told yet.
pub type Woken = Vec<(QueueId, Direction)>;

impl Socket {
    /// Whoever pushes shall try again.
    #[inline]
    pub fn wake_push(&mut self, woken: &mut Woken) {
        if core::mem::take(&mut self.push_waits) {
            woken.push((self.queue, Direction::Push));
        }
    }

    /// Whoever pops or accepts shall try again.
    #[inline]
    pub fn wake_pop(&mut self, woken: &mut Woken) {
        if core::mem::take(&mut self.pop_waits) {
            woken.push((self.queue, Direction::Pop));
        }
    }
}

impl Catcollar {
    /// One look.
    #[inline]
    pub(crate) fn advance(&mut self) {
        if self.ring.is_due() && !self.receive_directly() {
            self.ring.refill();
            self.ring.enter();
        }
        if self.ring.has_completions() {
            self.collect();
        }
    }

    fn collect(&mut self) {
        let mut last = None;
        for taken in 0..COMPLETIONS_PER_LOOK {
            let Some(done) = self.ring.next() else {
                self.alone = taken == 1;
                self.lone = match last {
                    Some(handle) if self.alone && self.ring.defers() => self.lone.came(handle),
                    _ => Lone::Nobody,
                };
                return;
            };
            last = is_of_a_stream(&done).then_some(done.handle);
            self.complete(done);
        }
        self.alone = false;
        self.lone = Lone::Nobody;
    }

    #[inline]
    fn complete(&mut self, done: Done) {
        let handle = done.handle;
        match done.kind {
            Kind::Receive => self.received(done),
            Kind::Send => self.sent(done),
            Kind::Room => self.try_again(done),
            Kind::ReceiveDatagram => self.received_datagram(done),
            Kind::Readable => self.readable(&done),
            Kind::Hangup => self.hung_up(&done),
            Kind::Accept => self.accepted(done),
            Kind::Connect => self.connect_moved(&done),
            Kind::Backlog => self.can_accept_more(&done),
            Kind::Linger => self.paused(handle),
            Kind::Watch => self.watch = None,
        }
    }

    /// A request that used the socket's descriptor has ended.
    #[inline]
    pub(crate) fn ended(&mut self, handle: Handle) {
        let Ok(socket) = self.sockets.get(handle) else { return };
        socket.requests -= 1;
        if !socket.closing.is_open() {
            self.ended_late(handle);
        }
    }

    /// As [`ended`](Self::ended), of a socket that is being closed, or is.
    #[cold]
    pub(crate) fn ended_late(&mut self, handle: Handle) {
        let Ok(socket) = self.sockets.get(handle) else { return };
        if socket.requests == 0 {
            socket.wake_push(&mut self.woken);
        }
        self.sockets.forget(handle);
    }

    /// Whether something else can go on than this: only a round of the LibOs does that. So looks for one operation end
    /// with it; else the next of several pushes would wait for all of them.
    #[inline]
    fn others_can_go_on(&self, queue: QueueId, direction: Direction) -> bool {
        self.woken.iter().any(|&woken| woken != (queue, direction))
    }

    /// Looks up to `looks` times whether whoever waits shall try again.
    pub(crate) fn look_for(&mut self, handle: Handle, direction: Direction, looks: u32) -> bool {
        for _ in 0..looks {
            self.advance();
            let Ok(socket) = self.sockets.get(handle) else { return true };
            let waits = match direction {
                Direction::Push => socket.push_waits,
                Direction::Pop => socket.pop_waits,
            };
            if !waits {
                return true;
            }
            let queue = socket.queue;
            if self.others_can_go_on(queue, direction) {
                break;
            }
            core::hint::spin_loop();
        }
        false
    }

    /// Looks up to `looks` times for bytes of a stream, and gives them.
    pub(crate) fn look_for_message(&mut self, handle: Handle, mode: PopMode, looks: u32) -> Sga {
        for _ in 0..looks {
            self.advance();
            let Ok(socket) = self.sockets.get(handle) else { break };
            if !socket.pop_waits {
                // The end, an error, a datagram: whoever pops sees to that.
                let stream = socket.kernel.as_ref().is_some_and(kernel::Socket::is_connected)
                    && socket.kernel.as_ref().is_some_and(|kernel| kernel.kind() == runtime::socket::Kind::Stream);
                if stream && !socket.receiving.ready.is_empty() {
                    return self.take_received(handle, mode).unwrap_or_default();
                }
                break;
            }
            let queue = socket.queue;
            if self.others_can_go_on(queue, Direction::Pop) {
                break;
            }
            core::hint::spin_loop();
        }
        Sga::new()
    }
}
