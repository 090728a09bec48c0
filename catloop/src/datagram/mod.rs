// SPDX-License-Identifier: MIT OR Apache-2.0
//! Datagram sockets: UDP's service over pipes, one for each pair of sockets that talk.
//!
//! [`Datagrams`] has a table of sockets with handles of its own, an inner [`Catmem`] for the pipes, and an inner [`Wakes`]
//! whose queues are the peers' numbers. The transport around it hands on calls, events, polls and arms.
//!
//! - `socket`: one socket. `peers`, `list`: its pipes. `drops`: what is lost, counted by reason.
//! - `naming`: names, and the pipes that are made and let go. `greeting`: what a sender says first. `arriving`: senders that
//!   come.
//! - `sending`, `receiving`: datagrams.
//!
//! What always holds: a datagram arrives whole or not at all, and is counted as dropped if not; a push never waits; each
//! peer either stands in its socket's ready list or is waited for by the inner transport; nothing here is done for every peer
//! of a socket except when the socket closes.

mod arriving;
mod drops;
mod greeting;
mod list;
mod naming;
mod peers;
mod receiving;
mod sending;
mod socket;
#[cfg(test)]
mod tests;

use crate::address::Hosts;
use crate::places::Places;
use crate::settings::Settings;
use catmem::{Catmem, Sizes};
use core::net::SocketAddr;
use core::time::Duration;
use drops::Drops;
use greeting::Mailbox;
use peers::Peers;
use runtime::buf::Pools;
use runtime::limits::DATAGRAM_MAX;
use runtime::op::{Direction, Wakes};
use runtime::reactor::{Event, Reactor};
use runtime::socket::{Domain, OptionName, SocketOption};
use runtime::transport::{Armed, Handle, QueueId, Transport};
use runtime::{Errno, Error, Result};
use socket::Socket;
use std::rc::Rc;

/// In a token: a name, not a pipe. Tokens use the bits up to this one.
pub const NAMES: u64 = 1 << 40;

const CLOSED: Error = Error::new(Errno::BADF, "the socket is closed");
const NOT_CONNECTED: Error = Error::new(Errno::NOTCONN, "the datagram socket is not connected");

/// The datagram sockets of one LibOs.
pub struct Datagrams {
    reactor: Rc<Reactor>,
    pools: Pools,
    hosts: Rc<Hosts>,
    places: Rc<Places>,
    ring: usize,
    handshake_timeout: Duration,
    /// Or-ed into every token that the reactor gets from here.
    token: u64,
    pipes: Catmem,
    /// For the pipes: its queues are peers.
    inner: Wakes,
    sockets: Vec<Option<Socket>>,
    free: Vec<Handle>,
    serial: u64,
    peers: Peers,
    mailbox: Rc<Mailbox>,
    /// A clone for each newcomer that is waited for.
    waiting: Rc<()>,
    /// Sockets that stopped in the middle, or learned something in a call: their pops are tried again.
    again: Vec<Handle>,
    drops: Drops,
    refused: u64,
}

impl Datagrams {
    /// No sockets yet. `token` has its low 41 bits clear.
    pub fn new(
        settings: &Settings,
        (hosts, places): (&Rc<Hosts>, &Rc<Places>),
        reactor: Rc<Reactor>,
        pools: Pools,
        token: u64,
    ) -> Self {
        let inner = catmem::Settings {
            directory: None,
            // Those of named pipes, of which there are none here.
            sizes: Sizes { ring_order: 12, slot_order: 12, slots: 0 },
            max_message: DATAGRAM_MAX,
            handshake_timeout: settings.handshake_timeout,
        };
        Self {
            pipes: Catmem::new(inner, Rc::clone(&reactor), pools.clone(), token),
            reactor,
            pools,
            hosts: Rc::clone(hosts),
            places: Rc::clone(places),
            ring: settings.datagram_ring,
            handshake_timeout: settings.handshake_timeout,
            token,
            inner: Wakes::default(),
            sockets: Vec::new(),
            free: Vec::new(),
            serial: 0,
            peers: Peers::default(),
            mailbox: Rc::default(),
            waiting: Rc::new(()),
            again: Vec::new(),
            drops: Drops::default(),
            refused: 0,
        }
    }

    /// Whether there has ever been a socket.
    #[inline]
    pub fn is_used(&self) -> bool {
        !self.sockets.is_empty()
    }

    /// Makes a socket.
    pub fn socket(&mut self, queue: QueueId, domain: Domain) -> Handle {
        self.serial += 1;
        let socket = Some(Socket::new(queue, self.serial, domain, self.ring));
        if let Some(handle) = self.free.pop() {
            self.sockets[handle as usize] = socket;
            return handle;
        }
        self.sockets.push(socket);
        self.sockets.len() as Handle - 1
    }

    #[inline]
    fn at(&mut self, handle: Handle) -> Result<&mut Socket> {
        match self.sockets.get_mut(handle as usize) {
            Some(Some(socket)) => Ok(socket),
            _ => Err(CLOSED),
        }
    }

    /// Gives a socket its address. Port 0: any that is free.
    ///
    /// # Errors
    /// `EINVAL` bound already, `EAFNOSUPPORT`, `EADDRNOTAVAIL`, `EADDRINUSE`; else what the system says.
    pub fn bind(&mut self, handle: Handle, address: SocketAddr) -> Result<()> {
        let hosts = &self.hosts;
        let Some(Some(socket)) = self.sockets.get_mut(handle as usize) else { return Err(CLOSED) };
        if socket.bound.is_some() {
            return Err(Error::new(Errno::INVAL, "the socket has an address already"));
        }
        let address = hosts.to_bind(socket.domain, address)?;
        self.take_name(handle, address)
    }

    /// Says whom the socket talks to: datagrams of others are dropped from now on. A socket without an address gets one.
    /// It can be connected again, to another peer.
    ///
    /// # Errors
    /// `EAFNOSUPPORT`, `ENETUNREACH`, `EADDRNOTAVAIL` port 0, or no local port is free; else what the system says.
    pub fn connect(&mut self, handle: Handle, to: SocketAddr) -> Result<()> {
        let domain = self.at(handle)?.domain;
        let to = self.hosts.to_reach(domain, to)?;
        self.source(handle, to)?;
        let socket = self.at(handle)?;
        socket.connected = Some(to);
        socket.error = None;
        Ok(())
    }

    /// The socket's own address; of a connected one, that which its peer sees.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn local_address(&mut self, handle: Handle) -> Result<SocketAddr> {
        let hosts = &self.hosts;
        let Some(Some(socket)) = self.sockets.get(handle as usize) else { return Err(CLOSED) };
        let Some(bound) = &socket.bound else { return Ok(socket.domain.unspecified()) };
        let mut address = bound.claim.address();
        if let Some(to) = socket.connected {
            address.set_ip(hosts.source(Some(address.ip()), to.ip())?);
        }
        Ok(if address.ip().is_unspecified() { address } else { socket.show(address) })
    }

    /// Whom it is connected to.
    ///
    /// # Errors
    /// `ENOTCONN`.
    pub fn peer_address(&mut self, handle: Handle) -> Result<SocketAddr> {
        let socket = self.at(handle)?;
        socket.connected.map(|address| socket.show(address)).ok_or(NOT_CONNECTED)
    }

    /// Sets an option. Sizes hold for pipes that are made afterwards.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn set_option(&mut self, handle: Handle, option: SocketOption) -> Result<()> {
        self.at(handle)?.options.set(option);
        Ok(())
    }

    /// Reads an option.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn option(&mut self, handle: Handle, name: OptionName) -> Result<SocketOption> {
        Ok(self.at(handle)?.options.get(name))
    }

    /// Ends what the socket sends: nobody has to be told.
    ///
    /// # Errors
    /// `ENOTCONN`, as `shutdown(2)` has it.
    pub fn shutdown(&mut self, handle: Handle) -> Result<()> {
        self.at(handle)?.connected.map(drop).ok_or(NOT_CONNECTED)
    }

    /// Ends a socket. What it has pushed can still be popped; what it has not popped is lost.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn close(&mut self, handle: Handle) -> Result<()> {
        while let Some(peer) = self.at(handle)?.group.least_used() {
            self.remove(peer);
        }
        if let Some(Some(Socket { bound: Some(bound), .. })) = self.sockets.get(handle as usize) {
            // Not watched while it waits for descriptors to come free.
            let _ = self.reactor.unwatch(&bound.listener);
        }
        self.sockets[handle as usize] = None;
        self.free.push(handle);
        Ok(())
    }

    /// Looks once at all that is watched by looking, and wakes what can go on.
    pub fn poll(&mut self, wakes: &mut Wakes) {
        // Only those that are there now: what comes of one may be another one.
        for _ in 0..self.mailbox.len() {
            let Some((handle, serial, letter)) = self.mailbox.take() else { break };
            self.letter(handle, serial, letter, wakes);
        }
        self.pipes.poll(&mut self.inner);
        self.translate(wakes);
        while let Some(handle) = self.again.pop() {
            if let Ok(socket) = self.at(handle) {
                socket.again = false;
                wakes.wake(socket.queue, Direction::Pop);
            }
        }
    }

    /// The socket's pops are tried again at the next poll.
    fn try_again(&mut self, handle: Handle) {
        if let Some(Some(socket)) = self.sockets.get_mut(handle as usize)
            && !core::mem::replace(&mut socket.again, true)
        {
            self.again.push(handle);
        }
    }

    /// A descriptor that is watched here has an event.
    pub fn event(&mut self, event: Event, wakes: &mut Wakes) {
        if event.token & NAMES == 0 {
            self.pipes.event(event, &mut self.inner);
            self.translate(wakes);
        } else {
            self.knocked((event.token & (NAMES - 1)) as Handle, wakes);
        }
    }

    /// From peers to the queues of their sockets.
    fn translate(&mut self, wakes: &mut Wakes) {
        while let Some((id, direction)) = self.inner.take() {
            let Some(peer) = self.peers.get(id) else { continue };
            let (handle, pipe, gone) = (peer.socket, peer.pipe, peer.gone);
            // Pushes never wait here, so this one says that the connection had something to say.
            if direction == Direction::Push && (gone || self.pipes.is_joined(pipe)) {
                continue;
            }
            let Some(Some(socket)) = self.sockets.get_mut(handle as usize) else { continue };
            wakes.wake(socket.queue, Direction::Pop);
            if direction == Direction::Push {
                self.lose(id);
            } else {
                socket.group.make_ready(&mut self.peers, id);
            }
        }
    }

    /// The LibOs is about to sleep.
    pub fn arm(&mut self) -> Armed {
        if !self.again.is_empty() || self.mailbox.len() != 0 { Armed::Ready } else { self.pipes.arm() }
    }

    /// The LibOs is awake again.
    pub fn disarm(&mut self) {
        self.pipes.disarm();
    }

    /// Datagrams that were dropped, and senders that were sent away.
    pub fn counts(&self) -> (u64, u64) {
        (self.drops.total(), self.refused)
    }
}
