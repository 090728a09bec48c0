// SPDX-License-Identifier: MIT OR Apache-2.0
//! The requests, one call each: `io_uring_enter(2)` has their names.
//!
//! Each takes over the memory that it reads or writes, puts it into the table of what is in flight, and queues an entry
//! that points there. A descriptor must stay open until the request's last completion, or the request may reach another
//! socket; that endangers no memory.

use super::files::Target;
use super::flight::{Header, Id, Kind, Memory};
use super::name::{NAME_MAX, Name};
use super::record::{NAME_AT, PAYLOAD_AT};
use super::{CANCEL, Group, Ring};
use core::time::Duration;
use io_uring::types::{Fd, Timespec};
use io_uring::{opcode, squeue};
use runtime::buf::{Buf, Sga};
use std::os::fd::{AsRawFd, BorrowedFd};

/// No signal for a peer that is gone. A part of a message comes back as such: to send it whole, the kernel would in the end
/// put a thread of its own before each slow peer, and an error behind a part would be lost.
const SEND_FLAGS: i32 = libc::MSG_NOSIGNAL;
/// A datagram goes at once or comes back. The kernel must not try it again by itself: it would send what the first try has
/// left of it, an empty datagram.
const DATAGRAM_FLAGS: i32 = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
/// The longest piece of one request; the rest follows.
const SEND_MAX: usize = 1 << 30;
const POLLIN: u32 = libc::POLLIN.cast_unsigned() as u32;
const POLLRDHUP: u32 = libc::POLLRDHUP.cast_unsigned() as u32;
const POLLOUT: u32 = libc::POLLOUT.cast_unsigned() as u32;
const ACCEPT_FLAGS: i32 = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;

/// Pauses before something is looked at again of which the kernel does not say when it is ready: 1 ms, and each twice as long as the
/// one before it.
static PAUSES: [Timespec; 8] = {
    let mut pauses = [Timespec::new(); 8];
    let mut step = 0;
    while step < pauses.len() {
        pauses[step] = Timespec::new().nsec(1_000_000 << step);
        step += 1;
    }
    pauses
};

/// The longest of them that is no longer than this, or the shortest.
fn pause_of(time: Duration) -> *const Timespec {
    let step = time.as_millis().checked_ilog2().unwrap_or(0) as usize;
    &raw const PAUSES[step.min(PAUSES.len() - 1)]
}

impl Ring {
    /// # Safety
    /// What the entry points to is in `flights`, or stays until nothing is in flight.
    #[inline]
    unsafe fn queue(&mut self, entry: &squeue::Entry) {
        self.counts.requests += 1;
        // SAFETY: the caller's promise.
        if self.backlog.is_empty() && unsafe { self.io.submission().push(entry) }.is_ok() {
            self.queued += 1;
            return;
        }
        self.queue_behind(entry);
    }

    /// The queue is full: hands it over.
    #[cold]
    fn queue_behind(&mut self, entry: &squeue::Entry) {
        self.backlog.push_back(entry.clone());
        // Not with an enter that collects: completions are taken where they are looked for.
        self.enter();
        self.flush_backlog();
    }

    /// Receives message after message of a stream, into buffers of the ring.
    pub fn receive_many(&mut self, on: Target<'_>, handle: u32) -> Id {
        let id = self.flights.insert(Kind::Receive, handle, Memory::None);
        let group = Group::Streams as u16;
        let entry = if self.features.bundles {
            opcode::RecvMultiBundle::new(on.fd(), group).build()
        } else {
            opcode::RecvMulti::new(on.fd(), group).build()
        };
        // SAFETY: it points to nothing; the buffers are those of the group.
        unsafe { self.queue(&entry.flags(on.flags()).user_data(u64::from(id))) };
        id
    }

    /// Receives once, into this buffer.
    pub fn receive_one(&mut self, on: Target<'_>, handle: u32, buf: Buf) -> Id {
        let (start, len) = (buf.as_ptr().cast_mut(), buf.len() as u32); // a buffer is shorter than u32::MAX
        let id = self.flights.insert(Kind::Receive, handle, Memory::Buffer(buf));
        let entry = opcode::Recv::new(on.fd(), start, len).build().flags(on.flags()).user_data(u64::from(id));
        // SAFETY: the buffer is in `flights`; it was just taken from its pool by the caller, who has given away its only view.
        unsafe { self.queue(&entry) };
        id
    }

    /// Receives datagram after datagram, each with its sender's name in front, into buffers of the ring.
    pub fn receive_datagrams(&mut self, on: Target<'_>, handle: u32) -> Id {
        let id = self.flights.insert(Kind::ReceiveDatagram, handle, Memory::None);
        let header = &raw const self.datagrams.message;
        let entry = opcode::RecvMsgMulti::new(on.fd(), header, Group::Datagrams as u16).build();
        // SAFETY: the header stays until nothing is in flight; the buffers are those of the group.
        unsafe { self.queue(&entry.flags(on.flags()).user_data(u64::from(id))) };
        id
    }

    /// Receives one datagram into this buffer, which then holds what [`receive_datagrams`](Self::receive_datagrams) gives,
    /// but the numbers at its front.
    pub fn receive_datagram(&mut self, on: Target<'_>, handle: u32, buf: Buf) -> Id {
        let start = buf.as_ptr().cast_mut();
        let payload = buf.len().saturating_sub(PAYLOAD_AT);
        let mut header = self.header();
        // In front of the payload there is room for the numbers and the longest name, or the buffer is too short for any.
        let (name, bytes) = (start.wrapping_add(NAME_AT), start.wrapping_add(PAYLOAD_AT));
        header.parts[0] = libc::iovec { iov_base: bytes.cast(), iov_len: payload };
        let Header { message, parts, .. } = &mut *header;
        message.msg_iov = parts.as_mut_ptr();
        message.msg_iovlen = 1;
        message.msg_name = name.cast();
        message.msg_namelen = if payload > 0 { NAME_MAX as u32 } else { 0 };
        let message = &raw mut *message;
        let id = self.flights.insert(Kind::ReceiveDatagram, handle, Memory::Datagram(header, buf));
        let entry = opcode::RecvMsg::new(on.fd(), message).build().flags(on.flags()).user_data(u64::from(id));
        // SAFETY: header and buffer are in `flights`, where the box keeps its place; the buffer as in `receive_one`.
        unsafe { self.queue(&entry) };
        id
    }

    /// Sends a message but its first `skip` bytes, to `to` or to the peer.
    pub fn send(
        &mut self,
        on: Target<'_>,
        handle: u32,
        message: Sga,
        skip: usize,
        to: Option<&Name>,
        zero_copy: bool,
    ) -> Id {
        let fd = on.fd();
        if let (Some(single), None) = (message.as_single(), to) {
            let bytes = single.get(skip..).unwrap_or_default();
            let (start, len) = (bytes.as_ptr(), bytes.len().min(SEND_MAX) as u32);
            let region = self.regions.as_ref().filter(|_| zero_copy).and_then(|regions| regions.index_of(single));
            let id = self.flights.insert(Kind::Send, handle, Memory::Message(message));
            let entry = if zero_copy {
                opcode::SendZc::new(fd, start, len).flags(SEND_FLAGS).buf_index(region).build()
            } else {
                opcode::Send::new(fd, start, len).flags(SEND_FLAGS).build()
            };
            // SAFETY: the message is in `flights`; moving it moves no segment.
            unsafe { self.queue(&entry.flags(on.flags()).user_data(u64::from(id))) };
            return id;
        }
        let mut header = self.header();
        fill(&mut header, &message, skip, to);
        let parts = &raw const header.message;
        let id = self.flights.insert(Kind::Send, handle, Memory::Parts(header, message));
        let entry = if zero_copy {
            opcode::SendMsgZc::new(fd, parts).flags(SEND_FLAGS as u32).build()
        } else {
            opcode::SendMsg::new(fd, parts).flags(SEND_FLAGS as u32).build()
        };
        // SAFETY: header and message are in `flights`; the box keeps its place, and moving the message moves no segment.
        unsafe { self.queue(&entry.flags(on.flags()).user_data(u64::from(id))) };
        id
    }

    /// A datagram that goes to `to` or to the peer, as [`send_datagram`](Self::send_datagram) wants it.
    pub fn datagram(&mut self, message: Sga, to: Option<&Name>) -> Memory {
        if let (Some(_), None) = (message.as_single(), to) {
            return Memory::Message(message);
        }
        let mut header = self.header();
        fill(&mut header, &message, 0, to);
        Memory::Parts(header, message)
    }

    /// Sends a datagram, if there is room for it at once; if not, its memory comes back as it was.
    pub fn send_datagram(&mut self, on: Target<'_>, handle: u32, datagram: Memory) -> Id {
        let fd = on.fd();
        let entry = match &datagram {
            Memory::Message(message) => {
                let bytes = message.as_single().map_or(&[][..], |single| single);
                opcode::Send::new(fd, bytes.as_ptr(), bytes.len() as u32).flags(DATAGRAM_FLAGS).build()
            }
            Memory::Parts(header, _) => {
                opcode::SendMsg::new(fd, &raw const header.message).flags(DATAGRAM_FLAGS as u32).build()
            }
            Memory::None | Memory::Buffer(_) | Memory::Datagram(..) => opcode::Nop::new().build(),
        };
        let id = self.flights.insert(Kind::Send, handle, datagram);
        // SAFETY: header and message are in `flights`; the box keeps its place, and moving the message moves no segment.
        unsafe { self.queue(&entry.flags(on.flags()).user_data(u64::from(id))) };
        id
    }

    /// Waits until a datagram that came back can be tried again, and holds it meanwhile. The kernel says when the socket's
    /// own buffer has room; of the queue of a Unix socket's peer it says nothing: that takes a `pause`.
    pub fn await_room(&mut self, on: Target<'_>, handle: u32, datagram: Memory, pause: Option<Duration>) -> Id {
        let id = self.flights.insert(Kind::Room, handle, datagram);
        let entry = if let Some(pause) = pause {
            opcode::Timeout::new(pause_of(pause)).build()
        } else {
            opcode::PollAdd::new(on.fd(), libc::POLLOUT as u32).build().flags(on.flags())
        };
        // SAFETY: it points to nothing but a static.
        unsafe { self.queue(&entry.user_data(u64::from(id))) };
        id
    }

    /// Accepts connection after connection.
    pub fn accept(&mut self, fd: BorrowedFd<'_>, handle: u32) -> Id {
        let id = self.flights.insert(Kind::Accept, handle, Memory::None);
        let entry = opcode::AcceptMulti::new(Fd(fd.as_raw_fd())).flags(ACCEPT_FLAGS).build();
        // SAFETY: it points to nothing.
        unsafe { self.queue(&entry.user_data(u64::from(id))) };
        id
    }

    /// Waits until a connection can be accepted.
    pub fn await_connection(&mut self, fd: BorrowedFd<'_>, handle: u32) -> Id {
        self.poll(fd.into(), handle, Kind::Backlog, POLLIN)
    }

    /// Waits until a connect has ended.
    pub fn await_connect(&mut self, fd: BorrowedFd<'_>, handle: u32) -> Id {
        self.poll(fd.into(), handle, Kind::Connect, POLLOUT)
    }

    /// Waits until another descriptor is readable.
    pub fn watch(&mut self, fd: BorrowedFd<'_>) -> Id {
        self.poll(fd.into(), u32::MAX, Kind::Watch, POLLIN)
    }

    fn poll(&mut self, on: Target<'_>, handle: u32, kind: Kind, events: u32) -> Id {
        let id = self.flights.insert(kind, handle, Memory::None);
        let entry = opcode::PollAdd::new(on.fd(), events).build().flags(on.flags()).user_data(u64::from(id));
        // SAFETY: it points to nothing.
        unsafe { self.queue(&entry) };
        id
    }

    /// Waits until something can be received.
    pub fn await_readable(&mut self, on: Target<'_>, handle: u32) -> Id {
        self.poll(on, handle, Kind::Readable, POLLIN)
    }

    /// Waits until the peer of a stream has gone, or has ended it.
    pub fn await_hangup(&mut self, on: Target<'_>, handle: u32) -> Id {
        self.poll(on, handle, Kind::Hangup, POLLRDHUP)
    }

    /// Completes after about so long, as if it were of this kind.
    pub fn pause(&mut self, handle: u32, kind: Kind, time: Duration) -> Id {
        let id = self.flights.insert(kind, handle, Memory::None);
        let entry = opcode::Timeout::new(pause_of(time)).build().user_data(u64::from(id));
        // SAFETY: it points to a static.
        unsafe { self.queue(&entry) };
        id
    }

    /// Ends a request: its last completion comes soon, with what was done until then.
    pub fn cancel(&mut self, id: Id) {
        if self.flights.get(id).is_none() {
            return;
        }
        // Its number cannot have been given to another when the kernel takes this entry, because that other one's would
        // stand behind it.
        let entry = opcode::AsyncCancel::new(u64::from(id)).build().user_data(CANCEL);
        // SAFETY: it points to nothing.
        unsafe { self.queue(&entry) };
    }

    /// A header that is not in use.
    fn header(&mut self) -> Box<Header> {
        self.spare.pop().unwrap_or_else(Header::new)
    }

    /// Takes a message out of the memory that came back, and keeps the rest for the next.
    pub fn message_of(&mut self, memory: Memory) -> Sga {
        match memory {
            Memory::Message(message) => message,
            Memory::Parts(header, message) => {
                self.keep(header);
                message
            }
            Memory::None | Memory::Buffer(_) | Memory::Datagram(..) => Sga::new(),
        }
    }

    /// Takes a datagram out of the memory that came back, with the numbers at its front written.
    pub fn datagram_of(&mut self, memory: Memory, payload: usize) -> Option<Buf> {
        let Memory::Datagram(header, mut buf) = memory else { return None };
        let numbers = [header.message.msg_namelen, 0, payload as u32, header.message.msg_flags.cast_unsigned()];
        self.keep(header);
        for (at, number) in buf.get_mut()?.as_chunks_mut::<4>().0.iter_mut().zip(numbers) {
            *at = number.to_ne_bytes();
        }
        buf.truncate(PAYLOAD_AT + payload).ok()?;
        Some(buf)
    }
}

/// Writes the parts of a message behind its first `skip` bytes, and where it goes.
fn fill(header: &mut Header, message: &Sga, mut skip: usize, to: Option<&Name>) {
    let Header { message: head, parts, name } = header;
    let mut count = 0;
    let mut left = SEND_MAX;
    for segment in message {
        let bytes = segment.get(skip..).unwrap_or_default();
        skip = skip.saturating_sub(segment.len());
        let len = bytes.len().min(left);
        if len > 0 {
            // A message has at most as many segments.
            let Some(part) = parts.get_mut(count) else { break };
            *part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: len };
            count += 1;
            left -= len;
        }
    }
    head.msg_iov = parts.as_mut_ptr();
    head.msg_iovlen = count;
    (head.msg_name, head.msg_namelen) = match to {
        None => (core::ptr::null_mut(), 0),
        Some(to) => {
            *name = to.clone();
            (name.as_mut_ptr().cast(), name.len())
        }
    };
}
