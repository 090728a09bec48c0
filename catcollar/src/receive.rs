// SPDX-License-Identifier: MIT OR Apache-2.0
//! Receiving: one request per socket stays with the kernel, and gives buffer after buffer.
//!
//! It is made when somebody pops and finds nothing, so a socket that nobody pops from holds no buffers. It is cancelled when
//! [`RECEIVED_MAX`] buffers wait to be popped; what the kernel holds then makes the peer wait. A request that found no
//! buffer, or a kernel without buffer rings, takes the older way: wait until there is something, then receive it into a
//! buffer that is brought along. (That is also how the rest of a stream is received whose peer has gone, because a request
//! that stays can miss the end: where bytes and the end come at once, the kernel looks for the bytes and then waits for
//! another event, which does not come. So another request waits for the peer to go.) So a socket that somebody pops from gets its bytes also while others hold all buffers.

use crate::Catcollar;
use crate::direct::stream_buffer;
use crate::ring::{Done, Group, Memory, PAYLOAD_AT, Peer, Record, Ring};
use crate::socket::{End, Socket};
use core::task::Poll;
use kernel::NOT_CONNECTED;
use runtime::buf::{Buf, Pool, Pools, Sga};
use runtime::limits::{DATAGRAM_ROOM, RECEIVED_MAX, RECEIVED_PER_POP};
use runtime::op::Datagram;
use runtime::socket::Kind;
use runtime::transport::{Handle, PopMode};
use runtime::{Errno, Error, Result};

/// Up to so many bytes are copied out of the buffer that the kernel has filled, which then is free at once: a short message
/// that an application keeps must not keep a large buffer.
pub(crate) const COPY_MAX: usize = 1024;

const ENDED: Error = Error::new(Errno::PIPE, "the peer has ended the stream, and its end was popped");
const NO_BUFFER: Error = Error::new(Errno::NOBUFS, "no buffer for what has arrived; it is still there");
const TRUNCATED: Error = Error::new(Errno::MSGSIZE, "a datagram came that is longer than datagrams can be here");

/// An errno of a completion.
pub(crate) fn errno(result: i32, call: &'static str) -> Error {
    Error::new(Errno::from_raw(result.wrapping_neg()), call)
}

impl Socket {
    pub(crate) fn is_stream(&self) -> bool {
        self.kernel.as_ref().is_some_and(|kernel| kernel.kind() == Kind::Stream)
    }

    /// Makes a request, if there is none and something can come.
    #[inline]
    pub(crate) fn arm(&mut self, handle: Handle, ring: &mut Ring) {
        if self.receiving.request.is_none() && self.receiving.end.is_none() && self.closing.is_open() {
            self.request(handle, ring);
        }
    }

    fn request(&mut self, handle: Handle, ring: &mut Ring) {
        let stream = self.is_stream();
        self.enroll(ring);
        let group = if stream { Group::Streams } else { Group::Datagrams };
        let starved = core::mem::take(&mut self.receiving.starved);
        let hangs = self.receiving.hangup.is_none();
        let Some(on) = self.target() else { return };
        let many = ring.provides(group) && !starved && !self.receiving.hung && ring.has_buffers(group);
        let hangup = (many && stream && hangs).then(|| ring.await_hangup(on, handle));
        let request = match (many, stream) {
            (true, true) => ring.receive_many(on, handle),
            (true, false) => ring.receive_datagrams(on, handle),
            (false, _) => ring.await_readable(on, handle),
        };
        self.receiving.request = Some(request);
        if hangup.is_some() {
            self.receiving.hangup = hangup;
            self.requests += 1;
        }
        self.receiving.canceled = false;
        self.requests += 1;
    }

    /// The request that waits for the peer to go was cancelled by a close that was undone, and a receive was made meanwhile that counts on it.
    #[cold]
    fn watch_again(&mut self, handle: Handle, ring: &mut Ring) {
        let receiving = &self.receiving;
        let goes_on = receiving.request.is_some() && !receiving.canceled && receiving.end.is_none();
        if goes_on
            && self.closing.is_open()
            && let Some(on) = self.target()
        {
            self.receiving.hangup = Some(ring.await_hangup(on, handle));
            self.requests += 1;
        }
    }

    /// A request has ended as its socket did. True: it did not, and another has to follow.
    fn failed(&mut self, result: i32) -> bool {
        let error = errno(result, "recv");
        match error.errno() {
            Errno::CANCELED | Errno::AGAIN | Errno::INTR => return true,
            // There was no memory to receive: nothing has happened to what waits.
            _ if !self.is_stream() || error.errno() == Errno::NOMEM => {
                // Or what came of an earlier datagram: the socket is as before.
                self.receiving.failed = Some(error);
            }
            _ => self.broken(error),
        }
        false
    }

    /// The stream is broken.
    #[cold]
    pub(crate) fn broken(&mut self, error: Error) {
        self.receiving.end.get_or_insert(End::Failed(error));
        self.sending.failed.get_or_insert(error);
    }
}

impl Catcollar {
    #[inline]
    pub(crate) fn receive(&mut self, handle: Handle, mode: PopMode) -> Poll<Result<Sga>> {
        let socket = self.sockets.get(handle)?;
        if !socket.receiving.ready.is_empty() {
            if !socket.is_stream() {
                return self.pop_datagram(handle, mode);
            }
            return Poll::Ready(self.take_received(handle, mode));
        }
        if let Some(error) = socket.receiving.failed.take() {
            return Poll::Ready(Err(error));
        }
        match socket.receiving.end {
            None => {}
            Some(End::Untold) => {
                socket.receiving.end = Some(End::Told);
                return Poll::Ready(Ok(Sga::new()));
            }
            Some(End::Told) => return Poll::Ready(Err(ENDED)),
            Some(End::Failed(error)) => return Poll::Ready(Err(error)),
        }
        let kernel = socket.kernel()?;
        if kernel.kind() == Kind::Stream && !kernel.is_connected() && !kernel.is_connecting() {
            return Poll::Ready(Err(NOT_CONNECTED));
        }
        if !kernel.is_connecting() {
            socket.arm(handle, &mut self.ring);
        }
        socket.pop_waits = true;
        Poll::Pending
    }

    /// Bytes of a stream, of which some are there.
    #[inline]
    pub(crate) fn take_received(&mut self, handle: Handle, mode: PopMode) -> Result<Sga> {
        let ready = &mut self.sockets.get(handle)?.receiving.ready;
        if let (PopMode::AtMost(size), Some(first)) = (mode, ready.front_mut())
            && first.len() > size.get()
        {
            return part(first, size.get(), &self.pools).map(Sga::from).map_err(|_| NO_BUFFER);
        }
        let mut message =
            ready.pop_front().map_or_else(Sga::new, |first| small(first, &self.streams, &self.pools).into());
        if matches!(mode, PopMode::AtMost(_)) {
            return Ok(message);
        }
        for _ in 1..RECEIVED_PER_POP {
            let Some(next) = ready.pop_front() else { break };
            message.push_back(small(next, &self.streams, &self.pools))?;
        }
        Ok(message)
    }

    /// Bytes of a stream have come, or its end.
    #[inline]
    pub(crate) fn received(&mut self, mut done: Done) {
        let handle = done.handle;
        let Ok(socket) = self.sockets.get(handle) else { return };
        let receiving = &mut socket.receiving;
        if let Some(first) = done.buffer {
            keep(receiving, &mut self.ring, first, usize::try_from(done.result).unwrap_or(0), self.streams.slot_size());
        } else if let Memory::Buffer(mut buf) = core::mem::take(&mut done.memory)
            && let Ok(len @ 1..) = usize::try_from(done.result)
            && buf.truncate(len).is_ok()
        {
            receiving.ready.push_back(buf);
        }
        if done.more {
            if receiving.ready.len() > RECEIVED_MAX && !receiving.canceled {
                receiving.canceled = true;
                self.ring.cancel(done.id);
            }
            socket.wake_pop(&mut self.woken);
            return;
        }
        self.receive_ended(handle, done.result);
    }

    /// A request has ended, after so many bytes, at the end of the stream, or with an error.
    fn receive_ended(&mut self, handle: Handle, result: i32) {
        let Ok(socket) = self.sockets.get(handle) else { return };
        socket.receiving.request = None;
        let again = match result {
            1.. => false,
            0 => {
                // The end of a connection that a push has found broken is no end.
                let end = socket.sending.failed.map_or(End::Untold, End::Failed);
                socket.receiving.end.get_or_insert(end);
                false
            }
            _ if Errno::from_raw(-result) == Errno::NOBUFS => {
                let group = if socket.is_stream() { Group::Streams } else { Group::Datagrams };
                self.ring.exhausted(group);
                socket.receiving.starved = !self.ring.has_buffers(group);
                true
            }
            _ => socket.failed(result),
        };
        if again && socket.pop_waits && socket.receiving.ready.is_empty() {
            socket.arm(handle, &mut self.ring);
        } else {
            socket.wake_pop(&mut self.woken);
        }
        self.ended(handle);
    }

    /// The peer has gone, or has ended the stream.
    pub(crate) fn hung_up(&mut self, done: &Done) {
        let Ok(socket) = self.sockets.get(done.handle) else { return };
        let receiving = &mut socket.receiving;
        receiving.hangup = None;
        if done.result >= 0 {
            receiving.hung = true;
            if let (Some(request), None, false) = (receiving.request, receiving.end, receiving.canceled) {
                receiving.canceled = true;
                self.ring.cancel(request);
            }
        } else if errno(done.result, "poll").errno() == Errno::CANCELED {
            socket.watch_again(done.handle, &mut self.ring);
        }
        self.ended(done.handle);
    }

    /// Something can be received: it is, into a buffer that is brought along.
    #[cold]
    pub(crate) fn readable(&mut self, done: &Done) {
        let handle = done.handle;
        let Ok(socket) = self.sockets.get(handle) else { return };
        let stream = socket.is_stream();
        if done.result < 0 || !socket.pop_waits {
            // Cancelled, or given up.
            socket.receiving.request = None;
            if socket.pop_waits {
                socket.arm(handle, &mut self.ring);
            }
            return self.ended(handle);
        }
        let buf = if stream {
            stream_buffer(&self.streams, &self.pools)
        } else {
            let size = PAYLOAD_AT + DATAGRAM_ROOM;
            let own = self.datagrams.as_ref().and_then(|pool| pool.alloc(size).ok());
            own.map_or_else(|| self.pools.alloc(size), Ok)
        };
        if let (Ok(buf), Some(on)) = (buf, socket.target()) {
            let request = if stream {
                self.ring.receive_one(on, handle, buf)
            } else {
                self.ring.receive_datagram(on, handle, buf)
            };
            socket.receiving.request = Some(request);
            socket.requests += 1;
        } else {
            socket.receiving.request = None;
            socket.receiving.failed = Some(NO_BUFFER);
            socket.wake_pop(&mut self.woken);
        }
        self.ended(handle);
    }

    /// A datagram has come.
    pub(crate) fn received_datagram(&mut self, mut done: Done) {
        let handle = done.handle;
        let Ok(socket) = self.sockets.get(handle) else { return };
        let length = usize::try_from(done.result);
        let buf = match (done.buffer, length) {
            (Some(number), Ok(len)) => self.ring.take_buffer(Group::Datagrams, number, len),
            (Some(number), Err(_)) => {
                drop(self.ring.take_buffer(Group::Datagrams, number, 0));
                None
            }
            (None, len) => {
                let memory = core::mem::take(&mut done.memory);
                self.ring.datagram_of(memory, len.unwrap_or(0)).filter(|_| len.is_ok())
            }
        };
        let came = buf.is_some();
        if let Some(buf) = buf {
            socket.receiving.ready.push_back(buf);
        }
        if done.more {
            if socket.receiving.ready.len() > RECEIVED_MAX && !socket.receiving.canceled {
                socket.receiving.canceled = true;
                self.ring.cancel(done.id);
            }
            socket.wake_pop(&mut self.woken);
            return;
        }
        // An empty datagram is no end.
        self.receive_ended(handle, if came { 1 } else { done.result.min(-libc::EPERM) });
    }

    /// A datagram that has come.
    fn pop_datagram(&mut self, handle: Handle, mode: PopMode) -> Poll<Result<Sga>> {
        let receiving = &mut self.sockets.get(handle)?.receiving;
        let Some(buf) = receiving.ready.pop_front() else { return Poll::Pending };
        let popped = match Record::read(&buf) {
            Some(Record { truncated: true, .. }) => Err(TRUNCATED),
            Some(Record { peer, .. }) => payload(&buf, mode, &self.pools).and_then(|copy| match peer {
                Peer::Ip(sender) => Datagram::new(sender, copy, &self.pools),
                Peer::Path(sender) => Datagram::with_path(sender, copy, &self.pools),
            }),
            None => Err(Error::new(Errno::PROTO, "a datagram came without a sender")),
        };
        if popped.as_ref().is_err_and(|error| error.errno() == Errno::NOBUFS) {
            receiving.ready.push_front(buf);
            return Poll::Ready(Err(NO_BUFFER));
        }
        self.counters.drops += u64::from(popped.is_err());
        Poll::Ready(popped.map(Datagram::into_chain))
    }
}

/// Takes the buffers that the kernel has filled with `len` bytes, the first of which has this number.
#[inline]
fn keep(receiving: &mut crate::socket::Receiving, ring: &mut Ring, first: u16, len: usize, size: usize) {
    let (mut number, mut left) = (first, len);
    loop {
        // Asked first: the buffer's place in the ring is free once it is taken.
        let behind = if left > size { ring.buffer_behind(Group::Streams, number) } else { None };
        let Some(buf) = ring.take_buffer(Group::Streams, number, left) else { return };
        if !buf.is_empty() {
            receiving.ready.push_back(buf);
        }
        left = left.saturating_sub(size);
        let Some(behind) = behind else { return };
        number = behind;
    }
}

/// A short message in one of the ring's buffers gets one of its size.
#[inline]
fn small(buf: Buf, streams: &Pool, pools: &Pools) -> Buf {
    if buf.len() > COPY_MAX || !buf.belongs_to(streams) {
        return buf;
    }
    pools.alloc_copy(&buf).unwrap_or(buf)
}

/// The first bytes of a buffer that has more.
fn part(buf: &mut Buf, len: usize, pools: &Pools) -> Result<Buf> {
    if len > COPY_MAX
        && let Ok(front) = buf.split_front(len)
    {
        return Ok(front);
    }
    let copy = pools.alloc_copy(&buf[..len])?;
    buf.trim_front(len)?;
    Ok(copy)
}

/// A datagram's payload, or its beginning.
fn payload(buf: &Buf, mode: PopMode, pools: &Pools) -> Result<Sga> {
    let bytes = buf.get(PAYLOAD_AT..).unwrap_or_default();
    let len = if let PopMode::AtMost(size) = mode { bytes.len().min(size.get()) } else { bytes.len() };
    if len == 0 {
        return Ok(Sga::new());
    }
    if len <= COPY_MAX {
        return pools.alloc_copy(&bytes[..len]).map(Sga::from);
    }
    let mut view = buf.view()?;
    view.trim_front(PAYLOAD_AT)?;
    view.truncate(len)?;
    Ok(view.into())
}
