// SPDX-License-Identifier: MIT OR Apache-2.0
//! Accepting and connecting.
//!
//! One request accepts connection after connection, for as long as somebody accepts here; it is cancelled when
//! [`ACCEPTED_MAX`] of them wait, so that a backlog stays one. Where the kernel has no such request, or ends it because there is nothing
//! now, one waits for connections, and `accept4(2)` takes them: the older request does not wait at a descriptor that does not
//! block. A connect is begun by `connect(2)`, which does not block; the
//! ring says when it has ended, and `connect(2)` again what has come of it.

use crate::Catcollar;
use crate::ring::{Done, Kind};
use crate::socket::{Socket, pause};
use core::task::Poll;
use kernel::{Connecting, Socket as Kernel, is_of_one_connection, is_shortage};
use runtime::limits::{ACCEPT_PAUSE, ACCEPTED_MAX, UNIX_PAUSE_MAX};
use runtime::transport::{Handle, QueueId};
use runtime::{Errno, Error, Result};
use rustix::io::Errno as Os;
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
        if socket.accepting.request.is_none() {
            return self.go_on_accepting(handle, queue);
        }
        socket.pop_waits = true;
        Poll::Pending
    }

    /// Nobody waits for connections: takes one, or makes the request that does.
    fn go_on_accepting(&mut self, handle: Handle, queue: QueueId) -> Poll<Result<Handle>> {
        let socket = self.sockets.get(handle)?;
        let by_call = socket.accepting.by_call || !self.ring.features().multishot_accept;
        if by_call && !socket.accepting.short {
            self.counters.system_calls += 1;
            match socket.kernel()?.accept() {
                Ok(Some(accepted)) => {
                    self.counters.accepted += 1;
                    return Poll::Ready(Ok(self.sockets.insert(Socket::new(queue, accepted))));
                }
                Ok(None) => {}
                // The next is waited for, which takes no time if it is there.
                Err(error) if error.errno() == Errno::CONNABORTED => {}
                Err(error) => {
                    socket.accepting.short = true;
                    return Poll::Ready(Err(error));
                }
            }
        }
        let Some(kernel) = &socket.kernel else { return Poll::Pending };
        // A server that accepts again at once does not spin.
        let short = core::mem::take(&mut socket.accepting.short);
        socket.accepting.request = Some(if short {
            self.ring.pause(handle, Kind::Backlog, ACCEPT_PAUSE)
        } else if by_call {
            self.ring.await_connection(kernel.as_fd(), handle)
        } else {
            self.ring.accept(kernel.as_fd(), handle)
        });
        socket.accepting.canceled = false;
        socket.requests += 1;
        socket.pop_waits = true;
        Poll::Pending
    }

    /// There may be connections to take, or it is time to try again.
    pub(crate) fn can_accept_more(&mut self, done: &Done) {
        if let Ok(socket) = self.sockets.get(done.handle) {
            socket.accepting.request = None;
            socket.wake_pop(&mut self.woken);
        }
        self.ended(done.handle);
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
            match Os::from_raw_os_error(done.result.wrapping_neg()) {
                // The listener is as before: whoever accepts asks again.
                Os::CANCELED => {}
                Os::AGAIN => accepting.by_call = true,
                error if is_of_one_connection(error) => {}
                error => {
                    accepting.short = is_shortage(error);
                    // It waits on, and so does the next.
                    accepting.failed = socket.pop_waits.then(|| Error::os(error, "accept"));
                }
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
                socket.pauses = 0;
                self.counters.connected += u64::from(before && socket.is_stream());
                socket.sending.failed = None;
                socket.receiving.end = None;
                socket.receiving.hung = false;
                None
            }
            Ok(Connecting::Pending) => Some(true),
            Ok(Connecting::Full) => Some(false),
            Err(error) => {
                socket.pauses = 0;
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
            let time = pause(socket.pauses, UNIX_PAUSE_MAX);
            socket.pauses = socket.pauses.saturating_add(1);
            self.ring.pause(handle, Kind::Connect, time)
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
