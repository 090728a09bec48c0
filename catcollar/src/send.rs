// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sending: one message of a socket at a time, whose memory the ring has until the kernel is done with it.
//!
//! Of a stream's message the kernel takes what there is room for; the rest follows with another request. With `zero_copy`
//! the kernel reads the memory after the send is done, until its second completion. A push is done with the first one if
//! nobody but the ring has a view of the memory; else somebody could still write there, and the push is done with the second.
//!
//! The ring pays by handing over many requests with one call. A stream's message that would be handed over alone goes by
//! `send(2)`, which is the shorter call; what that leaves goes by the ring. Whether it would be alone is guessed: the last look found a
//! single completion, nothing else is queued, and it is the first message since.

use crate::Catcollar;
use crate::receive::errno;
use crate::ring::{Done, Memory, Name, Target};
use crate::socket::{Sending, Sent, pause};
use core::task::Poll;
use kernel::Socket as Kernel;
use runtime::buf::Sga;
use runtime::limits::UNIX_PAUSE_MAX;
use runtime::socket::{Domain, Kind};
use runtime::transport::Handle;
use runtime::{Errno, Error, Result};
use rustix::io::Errno as Os;
use rustix::net::SendFlags;
use std::os::fd::AsFd;

/// Only what there is room for.
const AT_ONCE: SendFlags = SendFlags::NOSIGNAL.union(SendFlags::DONTWAIT);

const CUT: Error = Error::new(Errno::IO, "the kernel took a part only");

/// Whether a failed send was the end of its stream, so that pops are told the same: the kernel says it once. `EPIPE` is about sending alone, and
/// the others about this message.
fn ends_the_stream(error: &Error) -> bool {
    let of_the_message = matches!(
        error.errno(),
        Errno::PIPE | Errno::NOMEM | Errno::NOBUFS | Errno::MSGSIZE | Errno::INVAL | Errno::CANCELED
    );
    !of_the_message && *error != CUT
}

/// Whether a failure is that of a pop, for which there was no memory, and not of an earlier datagram.
fn of_pops(error: &Error) -> bool {
    matches!(error.errno(), Errno::NOBUFS | Errno::NOMEM)
}

impl Catcollar {
    /// Pushes a message to where `check` says, if it says that a push makes sense.
    #[inline]
    pub(crate) fn send(
        &mut self,
        handle: Handle,
        message: &mut Sga,
        check: impl FnOnce(&Kernel) -> Result<Option<Name>>,
    ) -> Poll<Result<()>> {
        let socket = self.sockets.get(handle)?;
        match socket.sending.state {
            Sent::Nothing => {}
            Sent::Going | Sent::Abandoned => {
                socket.push_waits = true;
                return Poll::Pending;
            }
            Sent::Done(result) => {
                socket.sending.state = Sent::Nothing;
                return Poll::Ready(result);
            }
        }
        let kernel = socket.kernel.as_ref().ok_or(kernel::NOT_CONNECTED)?;
        if kernel.is_connecting() {
            socket.push_waits = true;
            return Poll::Pending;
        }
        let to = check(kernel)?;
        if let Some(error) = socket.sending.failed {
            return Poll::Ready(Err(error));
        }
        let len = message.len();
        // What came of an earlier datagram, if no pop has heard of it.
        if kernel.kind() == Kind::Datagram
            && let Some(error) = socket.receiving.failed.take_if(|error| !of_pops(error))
        {
            return Poll::Ready(Err(error));
        }
        let zero_copy = self.zero_copy.is_some_and(|least| len >= least)
            && self.ring.features().zero_copy
            && kernel.kind() == Kind::Stream
            && kernel.domain() != Domain::Unix;
        let mut taken = 0;
        if core::mem::take(&mut self.alone)
            && !zero_copy
            && kernel.kind() == Kind::Stream
            && !self.ring.has_queued()
            && let Some(single) = message.as_single().filter(|single| !single.is_empty())
        {
            self.counters.system_calls += 1;
            taken = match rustix::net::send(kernel, single, AT_ONCE) {
                Ok(taken) => taken,
                Err(Os::AGAIN | Os::INTR) => 0,
                Err(errno) => {
                    let error = Error::os(errno, "send");
                    // As of a send that the ring has done.
                    socket.sending.failed = Some(error).filter(ends_the_stream);
                    return Poll::Ready(Err(error));
                }
            };
            if taken == len {
                drop(core::mem::take(message));
                return Poll::Ready(Ok(()));
            }
        }
        let message = core::mem::take(message);
        let sole = zero_copy && message.iter().all(|segment| segment.ref_count() == 1);
        let on = Target::new(kernel.as_fd(), socket.slot.as_ref());
        let request = if kernel.kind() == Kind::Datagram {
            let datagram = self.ring.datagram(message, to.as_ref());
            self.ring.send_datagram(on, handle, datagram)
        } else {
            self.ring.send(on, handle, message, taken, to.as_ref(), zero_copy)
        };
        let failed = socket.sending.failed;
        socket.sending =
            Sending { state: Sent::Going, request: Some(request), len, taken, pauses: 0, zero_copy, sole, failed };
        socket.requests += 1;
        socket.push_waits = true;
        Poll::Pending
    }

    /// A message was sent, or a part of it, or the kernel has let go of its memory.
    #[inline]
    pub(crate) fn sent(&mut self, done: Done) {
        let Ok(socket) = self.sockets.get(done.handle) else { return };
        if done.more {
            // It does not use the descriptor any more.
            socket.held += 1;
        } else if done.released {
            return self.released(done);
        }
        if socket.sending.request != Some(done.id) {
            // Nobody waits for it.
            drop(self.ring.message_of(done.memory));
            return self.ended(done.handle);
        }
        let stream = socket.is_stream();
        let sending = &mut socket.sending;
        let outcome = if let Ok(taken) = usize::try_from(done.result) {
            sending.taken += taken;
            if sending.taken >= sending.len { Some(Ok(())) } else { None }
        } else {
            let error = errno(done.result, "send");
            match error.errno() {
                Errno::AGAIN | Errno::INTR => None,
                // Nothing more may be locked in memory (`RLIMIT_MEMLOCK`): the rest is copied.
                Errno::NOMEM | Errno::NOBUFS if sending.zero_copy => {
                    sending.zero_copy = false;
                    None
                }
                // What broke the connection was told to a receive.
                Errno::PIPE => Some(Err(sending.failed.unwrap_or(error))),
                _ => Some(Err(error)),
            }
        };
        let abandoned = sending.state == Sent::Abandoned;
        match outcome {
            // The rest goes when the memory is back.
            None if !abandoned && done.more => {}
            None if !abandoned && stream => self.send_rest(done.handle, done.memory),
            None if !abandoned => self.wait_for_room(done.handle, done.memory),
            // Whoever has a view of it may write there once the push is done.
            Some(Ok(())) if done.more && !sending.sole && !abandoned => {}
            outcome => {
                drop(self.ring.message_of(done.memory));
                self.finish_push(done.handle, outcome.unwrap_or(Err(CUT)));
            }
        }
        self.ended(done.handle);
    }

    /// The kernel has let go of the memory of a send without a copy.
    #[cold]
    fn released(&mut self, done: Done) {
        let Ok(socket) = self.sockets.get(done.handle) else { return };
        socket.held -= 1;
        if socket.sending.request != Some(done.id) {
            drop(self.ring.message_of(done.memory));
            return self.sockets.forget(done.handle);
        }
        if socket.sending.taken >= socket.sending.len || socket.sending.state == Sent::Abandoned {
            drop(self.ring.message_of(done.memory));
            self.finish_push(done.handle, Ok(()));
        } else if socket.is_stream() {
            self.send_rest(done.handle, done.memory);
        } else {
            self.wait_for_room(done.handle, done.memory);
        }
        self.sockets.forget(done.handle);
    }

    /// A datagram has found no room.
    #[cold]
    fn wait_for_room(&mut self, handle: Handle, datagram: Memory) {
        let Ok(socket) = self.sockets.get(handle) else { return };
        let Some(kernel) = &socket.kernel else { return };
        let time = (kernel.domain() == Domain::Unix).then(|| pause(socket.sending.pauses, UNIX_PAUSE_MAX));
        socket.sending.pauses = socket.sending.pauses.saturating_add(1);
        socket.sending.request = Some(self.ring.await_room(kernel.as_fd().into(), handle, datagram, time));
        socket.requests += 1;
    }

    /// There may be room for a datagram that has found none.
    #[cold]
    pub(crate) fn try_again(&mut self, done: Done) {
        let Ok(socket) = self.sockets.get(done.handle) else { return };
        let wanted = socket.sending.request == Some(done.id);
        if wanted
            && socket.sending.state == Sent::Going
            && let Some(on) = socket.target()
        {
            socket.sending.request = Some(self.ring.send_datagram(on, done.handle, done.memory));
            socket.requests += 1;
        } else {
            drop(self.ring.message_of(done.memory));
            if wanted {
                self.finish_push(done.handle, Err(CUT));
            }
        }
        self.ended(done.handle);
    }

    /// Sends what is left of a message.
    #[cold]
    fn send_rest(&mut self, handle: Handle, memory: Memory) {
        let message = self.ring.message_of(memory);
        let Ok(socket) = self.sockets.get(handle) else { return };
        let Some(on) = socket.target() else { return };
        let Sending { taken, zero_copy, .. } = socket.sending;
        // A stream has one peer.
        let request = self.ring.send(on, handle, message, taken, None, zero_copy);
        socket.sending.request = Some(request);
        socket.requests += 1;
    }

    /// The message that is under way is done.
    #[inline]
    fn finish_push(&mut self, handle: Handle, result: Result<()>) {
        let Ok(socket) = self.sockets.get(handle) else { return };
        let stream = socket.is_stream();
        let sending = &mut socket.sending;
        sending.request = None;
        sending.state = if sending.state == Sent::Abandoned { Sent::Nothing } else { Sent::Done(result) };
        if let Err(error) = result
            && stream
            && ends_the_stream(&error)
        {
            sending.failed.get_or_insert(error);
        }
        socket.wake_push(&mut self.woken);
    }
}
