// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ending: half-close, close, and operations that are given up.
//!
//! The kernel closes a socket when nothing uses it any more, so a close cancels the socket's requests first and waits for
//! them, which takes one look. `SO_LINGER` with a time would block this thread in `close(2)`: here the end is sent, and the
//! ring's clock looks again and again whether the peer has everything. A socket whose peer may still be sending is closed for the
//! application, and stays until that is over (`kernel`'s [`Draining`]).

use crate::Catcollar;
use crate::ring::Kind;
use crate::socket::{Closing, End, Sent, pause};
use core::task::Poll;
use core::time::Duration;
use kernel::{Drained, Draining};
use runtime::Result;
use runtime::limits::LINGER_PAUSE_MAX;
use runtime::op::Direction;
use runtime::transport::Handle;
use rustix::net::sockopt;

/// System calls of a stream that is left, as a rule: its end, a receive, what is unsent.
const CALLS_TO_LEAVE: u64 = 3;
/// System calls of a look at one that is left.
const CALLS_TO_DRAIN: u64 = 2;

impl Catcollar {
    pub(crate) fn end_stream(&mut self, handle: Handle) -> Poll<Result<()>> {
        self.counters.system_calls += 1;
        let socket = self.sockets.get(handle)?;
        let kernel = socket.kernel()?;
        let connecting = kernel.is_connecting();
        if connecting || matches!(socket.sending.state, Sent::Going | Sent::Abandoned) {
            socket.push_waits = true;
            return Poll::Pending;
        }
        Poll::Ready(socket.kernel()?.shutdown_write())
    }

    pub(crate) fn go_on_closing(&mut self, handle: Handle) -> Poll<Result<()>> {
        let socket = self.sockets.get(handle)?;
        if socket.closing.is_open() {
            socket.closing = Closing::Ending;
            let sending = socket.sending.request.filter(|_| socket.sending.state == Sent::Going);
            if sending.is_some() {
                socket.sending.state = Sent::Abandoned;
            }
            let receiving = socket.receiving.request.filter(|_| !socket.receiving.canceled);
            let accepting = socket.accepting.request.filter(|_| !socket.accepting.canceled);
            (socket.receiving.canceled, socket.accepting.canceled) = (true, true);
            let requests = [sending, receiving, accepting, socket.connecting, socket.receiving.hangup];
            requests.into_iter().flatten().for_each(|request| self.ring.cancel(request));
        }
        let socket = self.sockets.get(handle)?;
        if socket.requests > 0 {
            socket.push_waits = true;
            return Poll::Pending;
        }
        if self.lingers(handle)? {
            return Poll::Pending;
        }
        if !self.leaves(handle) {
            self.finish_close(handle);
        }
        Poll::Ready(Ok(()))
    }

    /// Whether the close has to wait for the peer.
    fn lingers(&mut self, handle: Handle) -> Result<bool> {
        let now = self.reactor.now();
        let socket = self.sockets.get(handle)?;
        let stream = socket.is_stream();
        let closing = socket.closing;
        let kernel = socket.kernel()?;
        let (until, in_vain) = match (kernel.linger(), closing) {
            (Some(Duration::ZERO), _) if stream => {
                // What cannot be reset is closed all the same.
                let _ = kernel.reset_on_close();
                return Ok(false);
            }
            (Some(_), Closing::Lingering(until, in_vain)) => (until, in_vain),
            (Some(time), _) if stream && kernel.is_connected() => {
                // The peer may have gone, and then nothing is unsent.
                let _ = kernel.shutdown_write();
                (now + time, 0)
            }
            _ => return Ok(false),
        };
        self.counters.system_calls += 2;
        let unsent = kernel::unsent(&*kernel).unwrap_or(0);
        // A connection that is broken keeps its count.
        let broken = sockopt::socket_error(&*kernel).is_ok_and(|error| error.is_err());
        let broken = broken || socket.sending.failed.is_some();
        if now >= until || unsent == 0 || broken {
            return Ok(false);
        }
        socket.closing = Closing::Lingering(until, in_vain.saturating_add(1));
        socket.requests += 1;
        socket.push_waits = true;
        let time = pause(in_vain, LINGER_PAUSE_MAX).min(until.saturating_since(now));
        self.ring.pause(handle, Kind::Linger, time);
        Ok(true)
    }

    /// Ends a stream whose peer may still be sending. True: the socket stays for that.
    fn leaves(&mut self, handle: Handle) -> bool {
        let now = self.reactor.now();
        let Ok(socket) = self.sockets.get(handle) else { return false };
        if socket.sending.failed.is_some() || matches!(socket.receiving.end, Some(End::Failed(_))) {
            return false;
        }
        let Some(kernel) = socket.kernel.as_ref().filter(|kernel| kernel.linger() != Some(Duration::ZERO)) else {
            return false;
        };
        self.counters.system_calls += CALLS_TO_LEAVE;
        let unread = !socket.receiving.ready.is_empty();
        let Some(draining) = Draining::begin(kernel, unread, now) else { return false };
        // Nobody pops it.
        socket.receiving.ready.clear();
        self.leave_for_a_while(handle, draining, 0);
        true
    }

    fn leave_for_a_while(&mut self, handle: Handle, draining: Draining, in_vain: u8) {
        let Ok(socket) = self.sockets.get(handle) else { return };
        socket.closing = Closing::Leaving(draining, in_vain.saturating_add(1));
        socket.requests += 1;
        self.ring.pause(handle, Kind::Linger, pause(in_vain, LINGER_PAUSE_MAX));
    }

    /// It is time to look at a socket that is closed, or is being closed.
    pub(crate) fn paused(&mut self, handle: Handle) {
        let Ok(socket) = self.sockets.get(handle) else { return };
        let Closing::Leaving(mut draining, in_vain) = socket.closing else { return self.ended(handle) };
        socket.requests -= 1;
        self.counters.system_calls += CALLS_TO_DRAIN;
        let now = self.reactor.now();
        match socket.kernel.as_ref().map(|kernel| draining.look(kernel, now)) {
            Some(Drained::More) => self.leave_for_a_while(handle, draining, 0),
            Some(Drained::Until(_)) => {
                // Where something comes, more does.
                let in_vain = if draining.has_heard_at(now) { 0 } else { in_vain };
                self.leave_for_a_while(handle, draining, in_vain);
            }
            Some(Drained::Over) | None => self.finish_close(handle),
        }
    }

    fn finish_close(&mut self, handle: Handle) {
        self.counters.system_calls += 1;
        if let Ok(socket) = self.sockets.get(handle) {
            self.ring.unregister(socket.slot.take());
            drop(socket.kernel.take());
            socket.receiving.ready.clear();
            socket.accepting.ready.clear();
            (socket.push_waits, socket.pop_waits) = (false, false);
        }
        self.sockets.forget(handle);
    }

    /// The operation that waited in this direction was given up.
    pub(crate) fn give_up(&mut self, handle: Handle, direction: Direction) {
        let Ok(socket) = self.sockets.get(handle) else { return };
        if direction == Direction::Pop {
            // What comes stays for the next pop.
            socket.pop_waits = false;
            return;
        }
        socket.push_waits = false;
        if !socket.closing.is_open() {
            socket.closing = Closing::Open;
            return;
        }
        if let Some(kernel) = socket.kernel.as_mut().filter(|kernel| kernel.is_connecting()) {
            kernel.give_up_connect();
            self.counters.system_calls += 1;
            let request = socket.connecting.take();
            // Whoever pops has nothing to wait for.
            socket.wake_pop(&mut self.woken);
            if let Some(request) = request {
                self.ring.cancel(request);
            }
            return;
        }
        match socket.sending.state {
            Sent::Going => {
                socket.sending.state = Sent::Abandoned;
                if let Some(request) = socket.sending.request {
                    self.ring.cancel(request);
                }
            }
            Sent::Done(_) => socket.sending.state = Sent::Nothing,
            Sent::Nothing | Sent::Abandoned => {}
        }
    }
}
