// SPDX-License-Identifier: MIT OR Apache-2.0
//! Datagrams out. In steady state one costs a comparison of addresses and a record in a ring: no lookup, no allocation, no
//! system call unless the receiver sleeps.

use super::drops::Reason;
use super::{CLOSED, Datagrams};
use core::net::SocketAddr;
use core::task::Poll;
use runtime::buf::Sga;
use runtime::op::Direction;
use runtime::transport::{Handle, Transport};
use runtime::{Errno, Error, Result};

const TOO_LONG: Error =
    Error::new(Errno::MSGSIZE, "the datagram is longer than 65,507 bytes, or than SO_SNDBUF allows");
const NOWHERE: Error = Error::new(Errno::DESTADDRREQ, "the datagram socket is not connected: say where to push");
const REFUSED: Error = Error::new(Errno::CONNREFUSED, "nobody was there for a datagram that was pushed before");

/// What a datagram is made of.
enum Payload<'a> {
    Bytes(&'a [u8]),
    Message(&'a mut Sga),
}

impl Datagrams {
    /// Pushes a datagram to an address, or drops it.
    ///
    /// # Errors
    /// `EMSGSIZE`, `EAFNOSUPPORT`, `EADDRNOTAVAIL` port 0, or none is free for the socket itself, `ENETUNREACH`; `ECONNREFUSED` of a connected socket whose earlier
    /// datagram nobody took.
    pub fn push_to(&mut self, handle: Handle, message: &mut Sga, to: SocketAddr) -> Result<()> {
        self.send(handle, Payload::Message(message), Some(to))
    }

    /// Pushes a datagram to the socket's peer.
    ///
    /// # Errors
    /// `EDESTADDRREQ` it has none; else as [`push_to`](Self::push_to).
    pub fn push(&mut self, handle: Handle, message: &mut Sga) -> Result<()> {
        self.send(handle, Payload::Message(message), None)
    }

    /// As [`push`](Self::push).
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn push_bytes(&mut self, handle: Handle, bytes: &[u8]) -> Result<()> {
        self.send(handle, Payload::Bytes(bytes), None)
    }

    #[inline]
    fn send(&mut self, handle: Handle, mut payload: Payload<'_>, to: Option<SocketAddr>) -> Result<()> {
        let Some(Some(socket)) = self.sockets.get_mut(handle as usize) else { return Err(CLOSED) };
        if let Some(error) = socket.error.take() {
            return Err(error);
        }
        let len = match &payload {
            Payload::Bytes(bytes) => bytes.len(),
            Payload::Message(message) => message.len(),
        };
        if len > socket.longest() {
            return Err(TOO_LONG);
        }
        let to = to.or(socket.connected).ok_or(NOWHERE)?;
        if let Some((last, id)) = socket.last
            && last == to
            && self.put(id, &mut payload, len)
        {
            return Ok(());
        }
        self.send_first(handle, payload, len, to)
    }

    /// To another address than before, or after the pipe there was lost.
    #[cold]
    fn send_first(&mut self, handle: Handle, mut payload: Payload<'_>, len: usize, to: SocketAddr) -> Result<()> {
        let domain = self.at(handle)?.domain;
        // The address that it is connected to is canonical already.
        let address = match self.at(handle)?.connected {
            Some(connected) if connected == to => to,
            _ => self.hosts.to_reach(domain, to)?,
        };
        // A pipe may turn out to be dead, with another one behind it; one that was just made is not tried twice.
        loop {
            let known = self.at(handle)?.group.find(address);
            let (id, greeting) = if let Some(id) = known {
                (id, None)
            } else {
                let source = self.source(handle, address)?;
                match self.dial(handle, source, address) {
                    Ok((id, greeting)) => (id, Some(greeting)),
                    Err(reason) => return self.lost_for(handle, address, reason),
                }
            };
            if self.put(id, &mut payload, len) {
                // A new pipe has room, so the datagram was not dropped: it goes with the memory.
                if let Some(greeting) = greeting
                    && let Err(reason) = self.present(id, &greeting)
                {
                    return self.lost_for(handle, address, reason);
                }
                if self.peers.get(id).is_some() {
                    self.at(handle)?.last = Some((to, id));
                }
                return Ok(());
            }
            if known.is_none() {
                self.remove(id);
                return self.lost_for(handle, address, Reason::Unmade);
            }
        }
    }

    /// Counts a datagram that could not go to this address. A connected socket hears of it at its next call.
    fn lost_for(&mut self, handle: Handle, address: SocketAddr, reason: Reason) -> Result<()> {
        self.drops.count(reason);
        let socket = self.at(handle)?;
        if reason == Reason::Nobody && socket.connected == Some(address) {
            socket.error = Some(REFUSED);
            self.try_again(handle);
        }
        Ok(())
    }

    /// Puts a datagram into a peer's ring, or drops it if the ring is full. False if the peer is lost.
    #[inline]
    fn put(&mut self, id: u32, payload: &mut Payload<'_>, len: usize) -> bool {
        let Some(peer) = self.peers.get(id) else { return false };
        let (handle, pipe) = (peer.socket, peer.pipe);
        // A peer that has just closed would never read this, and another one may have its address by now.
        if self.pipes.is_at_end(pipe) {
            self.lose(id);
            return false;
        }
        let pushed = match payload {
            _ if len == 0 => self.pipes.push_empty(pipe),
            Payload::Bytes(bytes) => at_once(self.pipes.push_bytes(pipe, bytes)),
            Payload::Message(message) => match message.as_single() {
                Some(buf) => at_once(self.pipes.push_bytes(pipe, buf)),
                None => self.pipes.push(pipe, message),
            },
        };
        match pushed {
            Poll::Ready(Ok(())) => {}
            Poll::Pending => {
                // It may be in the ring in part, if its receiver made the ring smaller than ours are.
                self.pipes.canceled(pipe, Direction::Push);
                self.drops.count(Reason::Full);
            }
            Poll::Ready(Err(_)) => {
                self.lose(id);
                return false;
            }
        }
        if let Some(Some(socket)) = self.sockets.get_mut(handle as usize) {
            socket.group.touch(&mut self.peers, id);
        }
        true
    }
}

/// A push of bytes that found room or did not, as that of a message.
#[inline]
fn at_once(pushed: Result<bool>) -> Poll<Result<()>> {
    match pushed {
        Ok(true) => Poll::Ready(Ok(())),
        Ok(false) => Poll::Pending,
        Err(error) => Poll::Ready(Err(error)),
    }
}
