// SPDX-License-Identifier: MIT OR Apache-2.0
//! Datagrams: each goes whole or not at all, and is popped with its sender in front.

use super::Catnip;
use core::net::SocketAddr;
use core::task::Poll;
use network::stack::SocketId;
use runtime::Result;
use runtime::buf::Sga;
use runtime::limits::SGA_SEGMENTS_MAX;
use runtime::op::Datagram;
use runtime::transport::PopMode;

/// Bytes that the sender's address takes in front of a datagram, at most.
const SENDER: usize = 32;

impl Catnip {
    /// Sends a datagram, at once if there is room.
    #[inline]
    pub(super) fn send(&mut self, id: SocketId, message: &mut Sga, to: Option<SocketAddr>) -> Poll<Result<()>> {
        let now = self.reactor.now();
        let sent = self.stack().send(id, message, to, now);
        // What has no room now may have some after what is there has gone.
        if self.nic.stack.unresolved() == 0 {
            self.flush();
        } else {
            // Who only pushes would never take in who has the hardware address that these wait for.
            self.look();
        }
        if sent.is_pending() { self.stack().send(id, message, to, now) } else { sent }
    }

    /// Takes a datagram that has come.
    #[inline]
    pub(super) fn receive(&mut self, id: SocketId, mode: PopMode) -> Poll<Result<Sga>> {
        // All that is needed is there before the stack gives the datagram away.
        let sender = match self.pools.alloc(SENDER) {
            Ok(sender) => sender,
            Err(error) => return Poll::Ready(Err(error)),
        };
        let (from, mut message) = match self.nic.stack.receive_from(id) {
            Poll::Ready(Ok(datagram)) => datagram,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => return Poll::Pending,
        };
        drop(sender);
        if let PopMode::AtMost(size) = mode
            && size.get() < message.len()
        {
            message = beginning(message, size.get());
        }
        if message.segments() >= SGA_SEGMENTS_MAX {
            message = match self.joined(&message) {
                Ok(joined) => joined,
                Err(error) => return Poll::Ready(Err(error)),
            };
        }
        Poll::Ready(Datagram::new(from, message, &self.pools).map(Datagram::into_chain))
    }

    /// A message of too many pieces in one.
    #[cold]
    fn joined(&self, message: &Sga) -> Result<Sga> {
        let fill = |to: &mut [u8]| {
            message.copy_to_slice(to);
        };
        self.pools.alloc_filled(message.len(), fill).map(Sga::from)
    }
}

/// The first bytes of a datagram, which is longer; the others are dropped.
fn beginning(mut message: Sga, mut left: usize) -> Sga {
    let mut front = Sga::new();
    while left > 0
        && let Some(mut segment) = message.pop_front()
    {
        // Neither can fail: one that is longer is made shorter, and there were as many before.
        let _ = segment.truncate(left.min(segment.len()));
        left -= segment.len();
        let _ = front.push_back(segment);
    }
    front
}
