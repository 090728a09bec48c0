// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names of sockets, and pipes: made by the first datagram to an address, and let go.

use super::drops::Reason;
use super::greeting::{Greeting, say};
use super::socket::Bound;
use super::{CLOSED, Datagrams, NAMES};
use crate::handshake::Request;
use crate::names::{candidates, file_name};
use crate::places::Places;
use catmem::Carries;
use catmem::doorbell::can_membarrier;
use catmem::rendezvous::{Dial, Direction as Sizes};
use core::net::SocketAddr;
use core::task::Poll;
use runtime::limits::{DATAGRAM_PEERS_MAX, EVICTED_MAX, KNOCKING_MAX};
use runtime::reactor::Interest;
use runtime::socket::Kind;
use runtime::transport::{Handle, PopMode, Transport};
use runtime::{Errno, Error, Result};
use std::os::fd::OwnedFd;
use std::rc::Rc;

/// What operations on a pipe give that is not joined yet. Nobody sees it.
pub(super) const UNJOINED: Error = Error::new(Errno::NOTCONN, "the pipe of the datagrams is not joined");

impl Datagrams {
    /// Claims a canonical address for the socket, and listens under its name.
    pub(super) fn take_name(&mut self, handle: Handle, address: SocketAddr) -> Result<()> {
        let places = self.places.open()?;
        let claim = places.ports.claim(Kind::Datagram, address)?;
        let name = file_name(Kind::Datagram, claim.address())?;
        let listener = places.directory.listen_on(name, KNOCKING_MAX).map_err(|error| {
            if error.errno() != Errno::EXIST {
                return error;
            }
            // Without a claim: not one of us.
            Error::new(Errno::ADDRINUSE, "another process has the name of this address")
        })?;
        self.reactor.watch(&listener, Interest::READABLE, self.token | NAMES | u64::from(handle))?;
        self.at(handle)?.bound = Some(Bound { listener, claim });
        Ok(())
    }

    /// The canonical address that `to` sees of this socket, which gets one if it has none.
    pub(super) fn source(&mut self, handle: Handle, to: SocketAddr) -> Result<SocketAddr> {
        let bound = self.at(handle)?.bound.as_ref().map(|bound| bound.claim.address());
        let ip = self.hosts.source(bound.map(|address| address.ip()), to.ip())?;
        let port = if let Some(address) = bound {
            address.port()
        } else {
            self.take_name(handle, SocketAddr::new(ip, 0)).map_err(|error| match error.errno() {
                Errno::ADDRINUSE => Error::new(Errno::ADDRNOTAVAIL, "no port of the ephemeral range is free"),
                _ => error,
            })?;
            self.at(handle)?.bound.as_ref().ok_or(CLOSED)?.claim.address().port()
        };
        Ok(SocketAddr::new(ip, port))
    }

    /// Makes a pipe from this canonical address to whoever serves that one. It carries datagrams at once; nobody has it before
    /// [`present`](Self::present).
    ///
    /// # Errors
    /// Why the datagram is lost.
    pub(super) fn dial(
        &mut self,
        handle: Handle,
        source: SocketAddr,
        to: SocketAddr,
    ) -> core::result::Result<(u32, Greeting), Reason> {
        let connection = reach(&self.places, to)?;
        self.make_room(handle);
        let pipe = self.pipes.reserve(self.peers.next_id(), Some(UNJOINED));
        let greeting = match self.prepare(handle, pipe, Rc::new(connection), source, to) {
            Ok(greeting) => greeting,
            Err(error) => {
                self.pipes.abort(pipe);
                return Err(unmade(to, error));
            }
        };
        let id = self.insert(handle, to, pipe).ok_or(Reason::Unmade)?;
        Ok((id, greeting))
    }

    fn prepare(
        &mut self,
        handle: Handle,
        pipe: Handle,
        connection: Rc<OwnedFd>,
        source: SocketAddr,
        to: SocketAddr,
    ) -> Result<Greeting> {
        let options = self.at(handle)?.options;
        let (send_order, receive_order) = (options.send_order, options.receive_order);
        // The slots' size means nothing without slots.
        let sizes = [Sizes::new(send_order, 12, 0)?, Sizes::new(receive_order, 12, 0)?];
        // Nothing is known of the receiver: full barriers on this side.
        let (hello, memory) = self.pipes.host(pipe, &connection, sizes, false, Carries::Datagrams)?;
        // From here on the inner transport waits for the first answer. While nobody has the memory there is none yet; a look
        // later on could find one, and would have to keep it.
        let nothing = self.pipes.pop(pipe, PopMode::Whole);
        debug_assert!(nothing.is_pending());
        let membarrier = can_membarrier();
        let kind = Kind::Datagram;
        let request = Request { kind, membarrier, source, destination: to, send_order, receive_order };
        Ok(Greeting { connection, request, hello, memory })
    }

    /// Hands the pipe over, with what was put into it.
    ///
    /// # Errors
    /// Why that is lost. The peer is gone then.
    pub(super) fn present(&mut self, id: u32, greeting: &Greeting) -> core::result::Result<(), Reason> {
        let said = say(greeting);
        #[cfg(test)]
        super::tests::said();
        said.map_err(|error| {
            self.remove(id);
            unmade(greeting.request.destination, error)
        })
    }

    /// Adds a peer whose pipe was reserved for the number that is next.
    pub(super) fn insert(&mut self, handle: Handle, address: SocketAddr, pipe: Handle) -> Option<u32> {
        let Some(Some(socket)) = self.sockets.get_mut(handle as usize) else { return None };
        let id = socket.group.insert(&mut self.peers, handle, address, pipe);
        socket.watched.get_or_insert(id);
        self.inner.grow(self.peers.numbers());
        Some(id)
    }

    /// Sees to it that the socket can have one more peer.
    pub(super) fn make_room(&mut self, handle: Handle) {
        let Ok(socket) = self.at(handle) else { return };
        if socket.group.len() < DATAGRAM_PEERS_MAX {
            return;
        }
        let Some(id) = socket.group.least_used() else { return };
        for _ in 0..EVICTED_MAX {
            match self.take(id, PopMode::Whole) {
                Poll::Ready(Ok(Some(_))) => self.drops.count(Reason::Evicted),
                // Counted already.
                Poll::Ready(Err(error)) if error.errno() == Errno::MSGSIZE => {}
                _ => break,
            }
        }
        self.remove(id);
    }

    /// Takes a peer out of its socket, and closes its pipe.
    pub(super) fn remove(&mut self, id: u32) {
        let Some(peer) = self.peers.get(id) else { return };
        let (handle, pipe) = (peer.socket, peer.pipe);
        if let Some(Some(socket)) = self.sockets.get_mut(handle as usize) {
            socket.forget(id);
            socket.group.remove(&mut self.peers, id);
            if socket.watched.is_none() {
                socket.watched = socket.group.least_used();
            }
        }
        // Only the close of a pipe with a name ever has to wait.
        let _ = self.pipes.close(pipe);
    }

    /// Nothing can be pushed to this peer any more. It stays for what it has left to pop, if that is anything.
    pub(super) fn lose(&mut self, id: u32) {
        let Some(peer) = self.peers.get(id) else { return };
        if peer.gone {
            return;
        }
        let handle = peer.socket;
        if let Some(Some(socket)) = self.sockets.get_mut(handle as usize) {
            socket.group.lost(&mut self.peers, id);
            socket.last = socket.last.filter(|&(_, last)| last != id);
        }
        match self.take(id, PopMode::Whole) {
            Poll::Ready(Ok(Some(message))) => {
                if let Some(peer) = self.peers.get(id) {
                    peer.stash = Some(message);
                }
                self.news_of(id);
            }
            // No buffer for it now, or not quite at the end: pops will see.
            Poll::Pending | Poll::Ready(Err(_)) => self.news_of(id),
            Poll::Ready(Ok(None)) => self.remove(id),
        }
    }

    /// The peer has something, and its socket's pops may be parked.
    fn news_of(&mut self, id: u32) {
        let Some(peer) = self.peers.get(id) else { return };
        let handle = peer.socket;
        if let Some(Some(socket)) = self.sockets.get_mut(handle as usize) {
            socket.group.make_ready(&mut self.peers, id);
            self.try_again(handle);
        }
    }
}

fn unmade(to: SocketAddr, error: Error) -> Reason {
    log::debug!("a pipe for datagrams to {to} could not be made: {error}");
    Reason::Unmade
}

/// Connects to the socket that serves this address.
fn reach(places: &Places, to: SocketAddr) -> core::result::Result<OwnedFd, Reason> {
    let dial = || {
        let directory = &places.open()?.directory;
        let connection = directory.socket()?;
        for candidate in candidates(to) {
            match directory.dial(&connection, &file_name(Kind::Datagram, candidate)?)? {
                Dial::Nobody => {}
                Dial::Waiting => return Ok(Ok(connection)),
                Dial::Full => return Ok(Err(Reason::Full)),
            }
        }
        Ok(Err(Reason::Nobody))
    };
    dial().unwrap_or_else(|error: Error| {
        log::debug!("nobody could be asked for {to}: {error}");
        Err(Reason::Unmade)
    })
}
