// SPDX-License-Identifier: MIT OR Apache-2.0
//! Receiving, with one system call for each message, into buffers that suit its size.
//!
//! A stream is received into a small buffer, and once that was full into a large one, until less comes. What is short does
//! not stay in a large buffer: it is copied into a small one, which costs less than the call, so that a connection that says
//! little holds little. A datagram's size is not known beforehand, so it comes into a large one always.

use crate::entry::{End, Entry};
use crate::shared::Shared;
use core::task::Poll;
use kernel::{NOT_CONNECTED, address};
use runtime::buf::{Buf, Sga};
use runtime::limits::{UDP_MAX, UNIX_PATH_MAX};
use runtime::op::{Datagram, Direction};
use runtime::socket::{Domain, Kind};
use runtime::transport::PopMode;
use runtime::{Errno, Error, Result};
use rustix::io::{Errno as Os, retry_on_intr};
use rustix::net::{RecvFlags, recv, recvfrom};

const ENDED: Error = Error::new(Errno::PIPE, "the stream has ended, and a pop has said so");
const TOO_LONG: Error = Error::new(Errno::MSGSIZE, "a datagram came that is longer than buffers can be here");
const BROKEN: Error = Error::new(Errno::FAULT, "a new buffer has a second view");

/// Bytes that go in front of a datagram, at most: the sender's address.
const SENDER_MAX: usize = 2 + UNIX_PATH_MAX;

/// How many bytes a pop may take.
const fn bound(mode: PopMode, most: usize) -> usize {
    match mode {
        PopMode::AtMost(size) if size.get() < most => size.get(),
        _ => most,
    }
}

impl Entry {
    /// Pops what is there. `Pending`: it waits to be woken.
    #[inline]
    pub fn pop(&mut self, mode: PopMode, shared: &mut Shared) -> Poll<Result<Sga>> {
        let popped = if self.socket.kind() == Kind::Datagram {
            self.receive_datagram(mode, shared)
        } else if self.socket.is_connected() {
            self.receive(mode, shared)
        } else if self.socket.is_connecting() {
            Poll::Pending
        } else {
            Poll::Ready(Err(NOT_CONNECTED))
        };
        if popped.is_pending() {
            shared.park(self, Direction::Pop);
        }
        popped
    }

    /// Receives from a stream that is connected.
    #[inline]
    pub fn receive(&mut self, mode: PopMode, shared: &mut Shared) -> Poll<Result<Sga>> {
        if self.end != End::Open {
            return Poll::Ready(self.tell_the_end());
        }
        if !self.is_ready(Direction::Pop) {
            return Poll::Pending;
        }
        let bound = bound(mode, shared.settings.receive);
        let small = shared.pools.small_size();
        if self.large
            && bound > small
            && let Some(received) = self.receive_large(bound, small, shared)
        {
            return received;
        }
        let room = bound.min(small);
        let mut buf = match shared.pools.alloc(room) {
            Ok(buf) => buf,
            Err(error) => return Poll::Ready(Err(error)),
        };
        let Some(bytes) = buf.get_mut() else { return Poll::Ready(Err(BROKEN)) };
        match self.receive_into(bytes, shared) {
            Poll::Ready(Ok(len)) => {
                self.large = len == small;
                Poll::Ready(buf.truncate(len).map(|()| buf.into()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(self.cut_short(error)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// As [`receive`](Self::receive), into a large buffer; `None` if there is none left.
    fn receive_large(&mut self, bound: usize, small: usize, shared: &mut Shared) -> Option<Poll<Result<Sga>>> {
        let mut spare = match shared.spare.take() {
            Some(spare) => spare,
            None => shared.pools.alloc(shared.settings.receive).ok()?,
        };
        let bytes = spare.get_mut()?.get_mut(..bound)?;
        let received = self.receive_into(bytes, shared);
        Some(match received {
            Poll::Ready(Ok(len)) if len > small => Poll::Ready(spare.truncate(len).map(|()| spare.into())),
            Poll::Ready(Ok(len)) => {
                self.large = len == small;
                let copied = spare.get(..len).and_then(|bytes| shared.pools.alloc_copy(bytes).ok());
                if let Some(copy) = copied {
                    shared.spare = Some(spare);
                    return Some(Poll::Ready(Ok(copy.into())));
                }
                Poll::Ready(spare.truncate(len).map(|()| spare.into()))
            }
            Poll::Ready(Err(error)) => {
                shared.spare = Some(spare);
                Poll::Ready(self.cut_short(error))
            }
            Poll::Pending => {
                shared.spare = Some(spare);
                Poll::Pending
            }
        })
    }

    /// One receive; at the end of the stream it fails with [`END`].
    #[inline]
    fn receive_into(&mut self, bytes: &mut [u8], shared: &mut Shared) -> Poll<Result<usize>> {
        let room = bytes.len();
        shared.called();
        match retry_on_intr(|| recv(&self.socket, &mut *bytes, RecvFlags::empty())) {
            Ok((0, _)) => Poll::Ready(Err(END)),
            Ok((len, _)) => {
                shared.typical = (shared.typical * 7 + len) / 8;
                if len < room && !self.leaves {
                    self.set_ready(Direction::Pop, false);
                }
                Poll::Ready(Ok(len))
            }
            Err(Os::AGAIN) => {
                self.set_ready(Direction::Pop, false);
                Poll::Pending
            }
            Err(errno) => Poll::Ready(Err(Error::os(errno, "recv"))),
        }
    }

    /// No more comes: the end, or what happened instead.
    #[cold]
    fn cut_short(&mut self, error: Error) -> Result<Sga> {
        if matches!(error.errno(), Errno::NOMEM | Errno::NOBUFS) {
            return Err(error);
        }
        if error != END {
            self.failed.get_or_insert(error);
        }
        self.end = End::Come;
        self.tell_the_end()
    }

    /// What pops give that come behind everything: the end once, then `EPIPE`; or what broke the connection, each time.
    #[cold]
    fn tell_the_end(&mut self) -> Result<Sga> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        match core::mem::replace(&mut self.end, End::Told) {
            End::Told => Err(ENDED),
            End::Open | End::Come => Ok(Sga::new()),
        }
    }

    /// Receives a datagram.
    fn receive_datagram(&mut self, mode: PopMode, shared: &mut Shared) -> Poll<Result<Sga>> {
        if !self.is_ready(Direction::Pop) {
            return Poll::Pending;
        }
        let received = self.try_datagram(mode, shared);
        match received {
            Err(error) if error.errno() == Errno::AGAIN => {
                self.set_ready(Direction::Pop, false);
                Poll::Pending
            }
            received => Poll::Ready(received),
        }
    }

    fn try_datagram(&mut self, mode: PopMode, shared: &mut Shared) -> Result<Sga> {
        // All that is needed is there before the kernel gives the datagram away.
        let sender = shared.pools.alloc(SENDER_MAX)?;
        let mut small = shared.pools.alloc(shared.pools.small_size())?;
        let mut spare = self.datagram_buffer(shared)?;
        let Some(bytes) = spare.get_mut() else { return Err(BROKEN) };
        let bound = bound(mode, bytes.len());
        shared.called();
        let received = retry_on_intr(|| recvfrom(&self.socket, &mut bytes[..bound], RecvFlags::empty()));
        let (len, from) = match received {
            Ok((len, _, from)) => (len, from),
            Err(errno) => {
                shared.spare_datagram = Some(spare);
                return Err(Error::os(errno, "recvfrom"));
            }
        };
        let payload = if len <= small.len() {
            small.truncate(len)?;
            if let Some((to, from)) = small.get_mut().zip(spare.get(..len)) {
                to.copy_from_slice(from);
            }
            shared.spare_datagram = Some(spare);
            small
        } else {
            spare.truncate(len)?;
            spare
        };
        drop(sender);
        let message = if len == 0 { Sga::new() } else { payload.into() };
        let datagram = match from {
            Some(from) if self.socket.domain() == Domain::Unix => {
                Datagram::with_path(address::path(&from)?, message, &shared.pools)
            }
            Some(from) => Datagram::new(address::internet(from)?, message, &shared.pools),
            None if self.socket.domain() == Domain::Unix => Datagram::with_path(b"", message, &shared.pools),
            None => Datagram::new(self.socket.domain().unspecified(), message, &shared.pools),
        };
        datagram.map(Datagram::into_chain)
    }

    /// A buffer for whatever datagram comes next. Those of Unix sockets may be as long as the sender's buffer, so that the
    /// kernel has to be asked.
    fn datagram_buffer(&mut self, shared: &mut Shared) -> Result<Buf> {
        if self.socket.domain() == Domain::Unix {
            shared.called();
            let peek = RecvFlags::PEEK | RecvFlags::TRUNC;
            let (_, len) = retry_on_intr(|| recv(&self.socket, &mut [0_u8; 0][..], peek))
                .map_err(|errno| Error::os(errno, "recv"))?;
            if len > UDP_MAX {
                if len > shared.pools.longest() {
                    return Err(self.too_long(shared));
                }
                return shared.pools.alloc(len);
            }
        }
        match shared.spare_datagram.take() {
            Some(spare) if spare.len() == UDP_MAX => Ok(spare),
            _ => shared.pools.alloc(UDP_MAX),
        }
    }

    /// There never will be a buffer for the datagram that comes next: it is taken away, because nobody behind it would come
    /// through.
    #[cold]
    fn too_long(&self, shared: &mut Shared) -> Error {
        shared.called();
        shared.counters.drops += 1;
        // A datagram is taken as a whole, however little is read of it.
        let _ = retry_on_intr(|| recv(&self.socket, &mut [0_u8; 0][..], RecvFlags::empty()));
        TOO_LONG
    }
}

/// What [`Entry::receive_into`] fails with at the end of a stream; nobody else sees it.
const END: Error = Error::new(Errno::PIPE, "the end of the stream");
