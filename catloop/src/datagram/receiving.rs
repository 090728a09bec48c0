// SPDX-License-Identifier: MIT OR Apache-2.0
//! Datagrams in. Peers that have something take turns, one datagram each; the others are not looked at.

use super::drops::Reason;
use super::{CLOSED, Datagrams};
use core::net::SocketAddr;
use core::task::Poll;
use runtime::buf::{Pools, Sga};
use runtime::limits::DATAGRAM_LOOKS;
use runtime::op::{Datagram, Direction};
use runtime::transport::{Handle, PopMode, Transport};
use runtime::{Errno, Result};

/// Looks at one of several peers while spinning.
const LOOKS_AT_ONE: u32 = 64;

impl Datagrams {
    /// Pops a datagram: its sender's address, then its payload.
    ///
    /// # Errors
    /// `ECONNREFUSED` of a connected socket whose earlier datagram nobody took; `ENOBUFS`, nothing is lost then; `EMSGSIZE`, a
    /// datagram was dropped that no buffer can be long enough for.
    pub fn pop(&mut self, handle: Handle, mode: PopMode) -> Poll<Result<Sga>> {
        for _ in 0..DATAGRAM_LOOKS {
            let Some(Some(socket)) = self.sockets.get_mut(handle as usize) else { return Poll::Ready(Err(CLOSED)) };
            if let Some(error) = socket.error.take() {
                return Poll::Ready(Err(error));
            }
            let Some(id) = socket.group.first_ready() else { return Poll::Pending };
            let (connected, domain) = (socket.connected, socket.domain);
            let Some(peer) = self.peers.get(id) else { return Poll::Pending };
            let sender = peer.address;
            // What a size cuts off is lost, so the pipe must not keep it.
            let whole = if mode == PopMode::InPlace { mode } else { PopMode::Whole };
            let message = match self.take(id, whole) {
                Poll::Ready(Ok(Some(message))) => message,
                Poll::Ready(Ok(None)) => {
                    self.remove(id);
                    continue;
                }
                Poll::Ready(Err(error)) => {
                    // Another peer's may be had: what lacks can be what this one's messages, held in place, have taken.
                    if let Some(Some(socket)) = self.sockets.get_mut(handle as usize) {
                        socket.group.had_turn(&mut self.peers, id);
                    }
                    if error.errno() == Errno::MSGSIZE && connected.is_some_and(|connected| connected != sender) {
                        // Nothing that this socket is to hear of.
                        continue;
                    }
                    return Poll::Ready(Err(error));
                }
                Poll::Pending => {
                    if let Some(Some(socket)) = self.sockets.get_mut(handle as usize) {
                        socket.group.make_idle(&mut self.peers, id);
                    }
                    continue;
                }
            };
            if let Some(Some(socket)) = self.sockets.get_mut(handle as usize) {
                socket.group.had_turn(&mut self.peers, id);
                socket.group.touch(&mut self.peers, id);
                if connected.is_some_and(|connected| connected != sender) {
                    self.drops.count(Reason::Filtered);
                    continue;
                }
                socket.watched = Some(id);
            }
            let shown = crate::address::shown(domain, sender);
            return Poll::Ready(match with_sender(shown, message, mode, &self.pools) {
                Ok(chain) => Ok(chain),
                Err((error, message)) => {
                    if let Some(peer) = self.peers.get(id) {
                        peer.stash = Some(message);
                    }
                    Err(error)
                }
            });
        }
        // There may be more, behind the turn of others.
        self.try_again(handle);
        Poll::Pending
    }

    /// The peer's next datagram; `None` if nothing will come any more.
    ///
    /// # Errors
    /// `ENOBUFS`: the datagram is still there. `EMSGSIZE`: it was too long for any buffer, and is counted as dropped.
    pub(super) fn take(&mut self, id: u32, mode: PopMode) -> Poll<Result<Option<Sga>>> {
        let Some(peer) = self.peers.get(id) else { return Poll::Ready(Ok(None)) };
        if let Some(message) = peer.stash.take() {
            return Poll::Ready(Ok(Some(message)));
        }
        match self.pipes.pop(peer.pipe, mode) {
            Poll::Ready(Ok(message)) => Poll::Ready(Ok((message.segments() != 0).then_some(message))),
            Poll::Ready(Err(error)) if error.errno() == Errno::NOBUFS => Poll::Ready(Err(error)),
            Poll::Ready(Err(error)) if error.errno() == Errno::MSGSIZE => {
                self.drops.count(Reason::TooLong);
                Poll::Ready(Err(error))
            }
            Poll::Ready(Err(_)) => Poll::Ready(Ok(None)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Looks up to `looks` times whether an operation is worth trying again.
    pub fn spin(&mut self, handle: Handle, direction: Direction, looks: u32) -> bool {
        let Some(Some(socket)) = self.sockets.get_mut(handle as usize) else { return true };
        if direction == Direction::Push || socket.error.is_some() || socket.group.first_ready().is_some() {
            return true;
        }
        let Some(id) = socket.watched else { return false };
        let looks = if socket.group.len() == 1 { looks } else { looks.min(LOOKS_AT_ONE) };
        let found = self.peers.get(id).is_some_and(|peer| self.pipes.spin(peer.pipe, direction, looks));
        if found {
            socket.group.make_ready(&mut self.peers, id);
        }
        found
    }
}

/// The chain that a datagram is passed in. An error gives the message back.
fn with_sender(
    sender: SocketAddr,
    message: Sga,
    mode: PopMode,
    pools: &Pools,
) -> core::result::Result<Sga, (runtime::Error, Sga)> {
    let mut chain = match Datagram::new(sender, Sga::new(), pools) {
        Ok(head) => head.into_chain(),
        Err(error) => return Err((error, message)),
    };
    let mut left = if let PopMode::AtMost(size) = mode { size.get() } else { usize::MAX };
    for mut segment in message {
        let len = segment.len().min(left);
        left -= len;
        // It has at least so many bytes; and a datagram that came through a ring has one segment.
        if segment.truncate(len).is_err() || chain.push_back(segment).is_err() {
            break;
        }
    }
    Ok(chain)
}
