// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sending: a message with one system call, as far as the kernel takes it; the rest goes when there is room again.

use crate::entry::Entry;
use crate::shared::Shared;
use core::net::SocketAddr;
use core::task::Poll;
use kernel::address;
use runtime::buf::{SGA_SEGMENTS_MAX, Sga};
use runtime::limits::UNIX_PAUSE_MAX;
use runtime::op::Direction;
use runtime::socket::{Domain, Kind};
use runtime::transport::Handle;
use runtime::{Errno, Error, Result};
use rustix::io::{Errno as Os, retry_on_intr};
use rustix::net::addr::SocketAddrArg;
use rustix::net::{SendAncillaryBuffer, SendFlags, send, sendmsg, sendmsg_addr, sendto};
use std::io::IoSlice;

/// Bytes that are sent from where the application has them, without a buffer in between. Longer ones are mostly sent in
/// parts, and then need the buffer anyhow.
const DIRECT_MAX: usize = 64 << 10;

/// The segments of a message for the kernel, without its first `skip` bytes.
pub struct Vector<'a> {
    slices: [IoSlice<'a>; SGA_SEGMENTS_MAX],
    len: usize,
}

impl<'a> Vector<'a> {
    pub fn new(message: &'a Sga, mut skip: usize) -> Self {
        let mut vector = Self { slices: [IoSlice::new(&[]); SGA_SEGMENTS_MAX], len: 0 };
        for segment in message {
            let cut = skip.min(segment.len());
            skip -= cut;
            if let Some(slice) = vector.slices.get_mut(vector.len)
                && cut < segment.len()
            {
                *slice = IoSlice::new(&segment[cut..]);
                vector.len += 1;
            }
        }
        vector
    }

    pub fn slices(&self) -> &[IoSlice<'a>] {
        self.slices.get(..self.len).unwrap_or_default()
    }
}

/// Takes the first `len` bytes off a message, which has so many.
pub fn advance(message: &mut Sga, mut len: usize) {
    while let Some(front) = message.iter().next() {
        if len == 0 {
            return;
        }
        if front.len() <= len {
            len -= front.len();
            drop(message.pop_front());
            continue;
        }
        let Some(mut front) = message.pop_front() else { return };
        // It is longer than that, and a chain of as many segments as before is not too long.
        let _ = front.trim_front(len);
        let mut rest = Sga::from(front);
        for segment in core::mem::take(message) {
            let _ = rest.push_back(segment);
        }
        *message = rest;
        return;
    }
}

fn send_message(entry: &Entry, message: &Sga) -> rustix::io::Result<usize> {
    retry_on_intr(|| {
        if let Some(segment) = message.as_single() {
            return send(&entry.socket, segment, SendFlags::NOSIGNAL);
        }
        let (vector, mut control) = (Vector::new(message, 0), SendAncillaryBuffer::default());
        sendmsg(&entry.socket, vector.slices(), &mut control, SendFlags::NOSIGNAL)
    })
}

impl Entry {
    /// Pushes a message, or what is left of it. `Pending`: the rest waits for room.
    #[inline]
    pub fn push(&mut self, message: &mut Sga, handle: Handle, shared: &mut Shared) -> Poll<Result<()>> {
        let pushed = self.try_push(message, handle, shared);
        if pushed.is_pending() {
            shared.park(self, Direction::Push);
        }
        pushed
    }

    fn try_push(&mut self, message: &mut Sga, handle: Handle, shared: &mut Shared) -> Poll<Result<()>> {
        if let Err(error) = self.socket.check_push() {
            return if self.socket.is_connecting() { Poll::Pending } else { Poll::Ready(Err(error)) };
        }
        if let Some(error) = self.failed {
            return Poll::Ready(Err(error));
        }
        if self.skip != 0 {
            advance(message, core::mem::take(&mut self.skip) as usize);
        }
        if self.flies(message, shared) {
            return self.fly(message, shared);
        }
        if !self.is_ready(Direction::Push) {
            return Poll::Pending;
        }
        let len = message.len();
        shared.called();
        match send_message(self, message) {
            Ok(sent) if sent >= len => {
                self.pauses = 0;
                Poll::Ready(Ok(()))
            }
            Ok(sent) => {
                advance(message, sent);
                self.set_ready(Direction::Push, false);
                Poll::Pending
            }
            Err(errno) => self.not_sent(errno, false, handle, shared),
        }
    }

    /// Pushes bytes, if all of them can go at once. False: what could not go is to be pushed as a message, with all of them.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    #[inline]
    pub fn push_bytes(&mut self, bytes: &[u8], shared: &mut Shared) -> Result<bool> {
        let direct = self.socket.is_connected()
            && self.failed.is_none()
            && self.is_ready(Direction::Push)
            && bytes.len() <= DIRECT_MAX
            && self.flights.is_none()
            && shared.settings.zero_copy.is_none_or(|least| bytes.len() < least);
        if !direct {
            return Ok(false);
        }
        // If only a part goes, the caller needs a buffer for the message. The one that is given back here is there for it.
        let insurance = shared.pools.alloc(bytes.len());
        if insurance.is_err() {
            return Ok(false);
        }
        shared.called();
        match retry_on_intr(|| send(&self.socket, bytes, SendFlags::NOSIGNAL)) {
            Ok(sent) if sent >= bytes.len() => Ok(true),
            Ok(sent) => {
                self.skip = sent as u32; // at most DIRECT_MAX
                self.set_ready(Direction::Push, false);
                Ok(false)
            }
            Err(Os::AGAIN) => {
                // The push of a datagram, which follows, asks again by itself, and says how it is to be waited for.
                if self.socket.kind() == Kind::Stream {
                    self.set_ready(Direction::Push, false);
                }
                Ok(false)
            }
            Err(errno) => Err(self.broken(errno)),
        }
    }

    /// Pushes a datagram to an address.
    pub fn push_to(&mut self, message: &Sga, to: SocketAddr, handle: Handle, shared: &mut Shared) -> Poll<Result<()>> {
        match self.socket.check_push_to(&to) {
            Ok(()) => self.send_to(message, &to, handle, shared),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Pushes a datagram to a Unix socket.
    pub fn push_to_path(
        &mut self,
        message: &Sga,
        path: &[u8],
        handle: Handle,
        shared: &mut Shared,
    ) -> Poll<Result<()>> {
        match self.socket.check_push_to_path().and_then(|()| address::unix(path)) {
            Ok(to) => self.send_to(message, &to, handle, shared),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn send_to(
        &mut self,
        message: &Sga,
        to: &impl SocketAddrArg,
        handle: Handle,
        shared: &mut Shared,
    ) -> Poll<Result<()>> {
        let mut pushed = Poll::Pending;
        if self.is_ready(Direction::Push) {
            shared.called();
            let sent = retry_on_intr(|| {
                if let Some(segment) = message.as_single() {
                    return sendto(&self.socket, segment, SendFlags::NOSIGNAL, to);
                }
                let (vector, mut control) = (Vector::new(message, 0), SendAncillaryBuffer::default());
                sendmsg_addr(&self.socket, to, vector.slices(), &mut control, SendFlags::NOSIGNAL)
            });
            pushed = match sent {
                Ok(_) => {
                    self.pauses = 0;
                    Poll::Ready(Ok(()))
                }
                Err(errno) => self.not_sent(errno, true, handle, shared),
            };
        }
        if pushed.is_pending() {
            shared.park(self, Direction::Push);
        }
        pushed
    }

    /// A send failed; `named`: to an address. `Pending`: there was no room.
    #[cold]
    fn not_sent(&mut self, errno: Os, named: bool, handle: Handle, shared: &mut Shared) -> Poll<Result<()>> {
        if errno != Os::AGAIN {
            self.pauses = 0;
            return Poll::Ready(Err(self.broken(errno)));
        }
        self.set_ready(Direction::Push, false);
        if self.socket.domain() != Domain::Unix || self.socket.kind() != Kind::Datagram {
            return Poll::Pending;
        }
        // Of room in the queue of a Unix datagram socket the kernel says nothing to one that is not connected to it.
        let timed = if named { shared.pause(self, handle) } else { shared.later(self, handle, UNIX_PAUSE_MAX) };
        if !timed {
            return Poll::Ready(Err(Error::os(errno, "sendto: the receiver's queue is full")));
        }
        Poll::Pending
    }

    /// A send failed. If that was the end of a stream, what comes later is told the same; `EPIPE` is about sending alone.
    #[cold]
    pub fn broken(&mut self, errno: Os) -> Error {
        let error = Error::os(errno, "send");
        let passes =
            matches!(error.errno(), Errno::PIPE | Errno::NOMEM | Errno::NOBUFS | Errno::MSGSIZE | Errno::INVAL);
        if self.socket.kind() == Kind::Stream && !passes {
            self.failed = Some(error);
        }
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use runtime::buf::{Classes, Pools};

    fn chain(pools: &Pools, pieces: &[Vec<u8>]) -> Sga {
        let mut message = Sga::new();
        for piece in pieces {
            message.push_back(pools.alloc_copy(piece).unwrap()).unwrap();
        }
        message
    }

    proptest! {
        /// However the kernel takes a message, in as many parts, every byte goes once and in order.
        #[test]
        fn every_part_goes_once(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..SGA_SEGMENTS_MAX),
            cuts in proptest::collection::vec(0_usize..50, 0..30),
        ) {
            let pools = Pools::new(&Classes { small_count: 80, large_count: 1, ..Classes::default() }).unwrap();
            let whole = pieces.concat();
            let mut left = chain(&pools, &pieces);
            let mut sent = Vec::new();
            for cut in cuts {
                let cut = cut.min(left.len());
                let flat: Vec<u8> = Vector::new(&left, 0).slices().iter().flat_map(|slice| slice.to_vec()).collect();
                prop_assert_eq!(&flat, &whole[sent.len()..]);
                let behind: Vec<u8> = Vector::new(&left, cut).slices().iter().flat_map(|slice| slice.to_vec()).collect();
                prop_assert_eq!(&behind, &flat[cut..]);
                prop_assert!(Vector::new(&left, cut).slices().iter().all(|slice| !slice.is_empty()));
                sent.extend_from_slice(&flat[..cut]);
                advance(&mut left, cut);
            }
            prop_assert_eq!([sent, left.to_vec()].concat(), whole);
            drop(left);
            prop_assert_eq!(pools.stats().map(|stats| stats.in_use), [0; 3]);
        }
    }
}
