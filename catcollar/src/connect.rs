// SPDX-License-Identifier: MIT OR Apache-2.0
//! Accepting and connecting.
//!
//! One request accepts connection after connection, for as long as somebody accepts here; it is cancelled when
//! [`ACCEPTED_MAX`] of them wait, so that a backlog stays one. A connect is begun by `connect(2)`, which does not block; the
//! ring says when it has ended, and `connect(2)` again what has come of it.

use crate::Catcollar;
use crate::receive::errno;
use crate::ring::{Done, Kind};
use crate::socket::Socket;
use core::task::Poll;
use kernel::{Connecting, Socket as Kernel};
use runtime::limits::ACCEPTED_MAX;
use runtime::transport::{Handle, QueueId};
use runtime::{Errno, Result};
use std::os::fd::AsFd;

impl Catcollar {
    pub(crate) fn take_connection(&mut self, handle: Handle, queue: QueueId) -> Poll<Result<Handle>> {
        let socket = self.sockets.get(handle)?;
        socket.kernel()?.can_accept()?;
        while let Some(fd) = socket.accepting.ready.pop_front() {
            self.counters.system_calls += 1;
            // One that is gone already was none.
            if let Ok(accepted) = Kernel::accepted(fd, None, socket.kernel()?) {
                self.counters.accepted += 1;
                return Poll::Ready(Ok(self.sockets.insert(Socket::new(queue, accepted))));
            }
        }
        if let Some(error) = socket.accepting.failed.take() {
            return Poll::Ready(Err(error));
        }
        if socket.accepting.request.is_none()
            && let Some(kernel) = &socket.kernel
        {
            socket.accepting.request = Some(self.ring.accept(kernel.as_fd(), handle));
            socket.accepting.canceled = false;
            socket.requests += 1;
        }
        socket.pop_waits = true;
        Poll::Pending
    }

    /// A connection has come, or an error.
    pub(crate) fn accepted(&mut self, mut done: Done) {
        let fd = done.descriptor();
        let Ok(socket) = self.sockets.get(done.handle) else { return };
        let accepting = &mut socket.accepting;
        let came = fd.is_some();
        accepting.ready.extend(fd);
        if done.more {
            if accepting.ready.len() > ACCEPTED_MAX && !accepting.canceled {
                accepting.canceled = true;
                self.ring.cancel(done.id);
            }
            return socket.wake_pop(&mut self.woken);
        }
        accepting.request = None;
        if !came {
            let error = errno(done.result, "accept");
            match error.errno() {
                // The listener is as before: whoever accepts asks again.
                Errno::CANCELED | Errno::AGAIN | Errno::INTR | Errno::CONNABORTED | Errno::PROTO => {}
                // It waits on, and so does the next.
                _ if socket.pop_waits => accepting.failed = Some(error),
                _ => {}
            }
        }
        socket.wake_pop(&mut self.woken);
        self.ended(done.handle);
    }

    pub(crate) fn go_on_connecting(&mut self, handle: Handle) -> Poll<Result<()>> {
        self.counters.system_calls += 1;
        let socket = self.sockets.get(handle)?;
        if socket.connecting.is_some() {
            socket.push_waits = true;
            return Poll::Pending;
        }
        let before = socket.kernel()?.is_connecting();
        let asked = socket.kernel()?.connecting();
        let wait = match asked {
            Ok(Connecting::Done) => {
                self.counters.connected += u64::from(before && socket.is_stream());
                socket.sending.failed = None;
                socket.receiving.end = None;
                socket.receiving.hung = false;
                None
            }
            Ok(Connecting::Pending) => Some(true),
            Ok(Connecting::Full) => Some(false),
            Err(error) => {
                self.counters.refused += u64::from(error.errno() == Errno::CONNREFUSED);
                // Whoever pops has nothing to wait for.
                socket.wake_pop(&mut self.woken);
                return Poll::Ready(Err(error));
            }
        };
        let (Some(answers), Some(kernel)) = (wait, &socket.kernel) else {
            socket.wake_pop(&mut self.woken);
            return Poll::Ready(Ok(()));
        };
        let request = if answers {
            self.ring.await_connect(kernel.as_fd(), handle)
        } else {
            self.ring.pause(handle, Kind::Connect)
        };
        socket.connecting = Some(request);
        socket.requests += 1;
        socket.push_waits = true;
        Poll::Pending
    }

    /// Something has come of a connect, or it is time to try again.
    pub(crate) fn connect_moved(&mut self, done: &Done) {
        let Ok(socket) = self.sockets.get(done.handle) else { return };
        if socket.connecting == Some(done.id) {
            socket.connecting = None;
            socket.wake_push(&mut self.woken);
        }
        self.ended(done.handle);
    }
}
