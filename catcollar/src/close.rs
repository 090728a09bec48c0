// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ending: half-close, close, and operations that are given up.
//!
//! The kernel closes a socket when nothing uses it any more, so a close cancels the socket's requests first and waits for
//! them, which takes one look. `SO_LINGER` with a time would block this thread in `close(2)`: here the end is sent, and the
//! ring's clock looks again and again whether the peer has everything.

use crate::Catcollar;
use crate::ring::Kind;
use crate::socket::{Closing, Sent};
use core::task::Poll;
use core::time::Duration;
use runtime::Result;
use runtime::op::Direction;
use runtime::transport::Handle;
use rustix::net::sockopt;

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
        if socket.closing == Closing::Open {
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
        self.finish_close(handle);
        Poll::Ready(Ok(()))
    }

    /// Whether the close has to wait for the peer.
    fn lingers(&mut self, handle: Handle) -> Result<bool> {
        let now = self.reactor.now();
        let socket = self.sockets.get(handle)?;
        let stream = socket.is_stream();
        let closing = socket.closing;
        let kernel = socket.kernel()?;
        let until = match (kernel.linger(), closing) {
            (Some(Duration::ZERO), _) if stream => {
                // What cannot be reset is closed all the same.
                let _ = kernel.reset_on_close();
                return Ok(false);
            }
            (Some(_), Closing::Lingering(until)) => until,
            (Some(time), _) if stream && kernel.is_connected() => {
                // The peer may have gone, and then nothing is unsent.
                let _ = kernel.shutdown_write();
                now + time
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
        socket.closing = Closing::Lingering(until);
        socket.requests += 1;
        socket.push_waits = true;
        self.ring.pause(handle, Kind::Linger);
        Ok(true)
    }

    fn finish_close(&mut self, handle: Handle) {
        self.counters.system_calls += 1;
        if let Ok(socket) = self.sockets.get(handle) {
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
        if socket.closing != Closing::Open {
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
