// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sockets as a [`Transport`]: each call goes to the kind of socket that its handle stands for.

use crate::datagram::Datagrams;
use crate::greeting::{Guests, Watched};
use crate::settings::Settings;
use crate::socket::{NOT_CONNECTED, Shared, Sockets};
use crate::stream::{self, State, Stream};
use core::net::SocketAddr;
use core::task::Poll;
use runtime::buf::{Buf, Pools, Sga};
use runtime::limits::{DEADLINES_PER_LOOK, TAKEN_PER_LOOK};
use runtime::op::{Direction, Wakes};
use runtime::reactor::{Event, Reactor};
use runtime::socket::{Counters, Domain, Kind, OptionName, SocketOption};
use runtime::transport::{Armed, Handle, PopMode, QueueId, Transport};
use runtime::{Errno, Error, Result};
use std::rc::Rc;

/// In a handle: of a datagram socket; the rest is what [`Datagrams`] calls it.
const DATAGRAM: Handle = 1 << 31;
/// In a token: of a datagram socket.
const DATAGRAMS: u64 = 1 << 45;

/// The sockets of one LibOs.
pub struct Catloop {
    datagrams: Datagrams,
    sockets: Sockets,
    guests: Guests,
    /// Listeners that had more to do than one look allows, or that have room again.
    busy: Vec<Handle>,
    shared: Shared,
}

impl Catloop {
    /// No sockets yet. `token` has its low 48 bits clear.
    #[must_use]
    pub fn new(settings: Settings, reactor: Rc<Reactor>, pools: Pools, token: u64) -> Self {
        let shared = Shared::new(settings, Rc::clone(&reactor), pools.clone(), token);
        let places = (&shared.hosts, &shared.places);
        Self {
            datagrams: Datagrams::new(&shared.settings, places, reactor, pools, token | DATAGRAMS),
            sockets: Sockets::default(),
            guests: Guests::default(),
            busy: Vec::new(),
            shared,
        }
    }

    /// Serves those who come to a listener.
    fn serve(&mut self, handle: Handle, spoke: Option<u64>, wakes: &mut Wakes) {
        let Self { sockets, guests, shared, busy, .. } = self;
        let mut budget = TAKEN_PER_LOOK;
        let made = stream::accept::serve(sockets, handle, spoke, guests, &mut budget, shared);
        if let (true, Ok(listener)) = (made, sockets.get(handle)) {
            wakes.wake(listener.queue, Direction::Pop);
        }
        // Once: in one look each listener has one turn.
        if budget == 0 && !busy.contains(&handle) {
            busy.push(handle);
        }
    }

    /// Sockets that have to be looked at though nothing has happened.
    #[cold]
    fn tick(&mut self, wakes: &mut Wakes) {
        for _ in 0..DEADLINES_PER_LOOK {
            let Some(handle) = self.shared.deadlines.pop_due() else { return };
            let Ok(stream) = self.sockets.get(handle) else { continue };
            if let State::Listening(listening) = &mut stream.state {
                listening.door.tick(handle, &mut self.guests, &mut self.shared);
                if !self.busy.contains(&handle) {
                    self.busy.push(handle);
                }
            } else if stream.tick(handle, &mut self.shared) {
                wake_both(stream, wakes);
            }
        }
    }

    #[cold]
    fn serve_busy(&mut self, wakes: &mut Wakes) {
        for handle in core::mem::take(&mut self.busy) {
            self.serve(handle, None, wakes);
        }
    }
}

/// What [`Datagrams`] calls the socket, if it is a datagram socket.
#[inline]
const fn datagram(handle: Handle) -> Option<Handle> {
    if handle & DATAGRAM != 0 { Some(handle & !DATAGRAM) } else { None }
}

const NO_STREAM: Error = Error::new(Errno::OPNOTSUPP, "a datagram socket has no connections");
const NO_PATHS: Error =
    Error::new(Errno::AFNOSUPPORT, "catloop has IP addresses only: for Unix sockets set libos to catcollar or catnap");
const NO_LOAN: Error = Error::new(Errno::NOTSUP, "datagrams are always copied");

fn wake_both(stream: &Stream, wakes: &mut Wakes) {
    wakes.wake(stream.queue, Direction::Push);
    wakes.wake(stream.queue, Direction::Pop);
}

impl Transport for Catloop {
    fn name(&self) -> &'static str {
        "catloop"
    }

    fn socket(&mut self, queue: QueueId, domain: Domain, kind: Kind) -> Result<Handle> {
        if domain == Domain::Unix {
            return Err(NO_PATHS);
        }
        if kind == Kind::Datagram {
            return Ok(self.datagrams.socket(queue, domain) | DATAGRAM);
        }
        let handle = self.shared.pipes.reserve(queue, Some(NOT_CONNECTED));
        self.sockets.insert(handle, Stream::new(queue, domain, self.shared.settings.ring));
        Ok(handle)
    }

    fn bind(&mut self, handle: Handle, address: SocketAddr) -> Result<()> {
        if let Some(socket) = datagram(handle) {
            return self.datagrams.bind(socket, address);
        }
        self.sockets.get(handle)?.bind(address, &self.shared)
    }

    fn listen(&mut self, handle: Handle, backlog: usize) -> Result<()> {
        if datagram(handle).is_some() {
            return Err(NO_STREAM);
        }
        self.sockets.get(handle)?.listen(handle, backlog, &self.shared)
    }

    fn can_accept(&mut self, handle: Handle) -> Result<()> {
        if datagram(handle).is_some() {
            return Err(NO_STREAM);
        }
        self.sockets.get(handle)?.listening().map(|_| ())
    }

    fn accept(&mut self, handle: Handle, queue: QueueId) -> Poll<Result<Handle>> {
        if datagram(handle).is_some() {
            return Poll::Ready(Err(NO_STREAM));
        }
        stream::accept::accept(&mut self.sockets, handle, queue, &mut self.shared).map_ok(|(connection, more)| {
            if more && !self.busy.contains(&handle) {
                self.busy.push(handle);
            }
            connection
        })
    }

    fn connect(&mut self, handle: Handle, to: SocketAddr) -> Result<()> {
        if let Some(socket) = datagram(handle) {
            return self.datagrams.connect(socket, to);
        }
        self.sockets.get(handle)?.connect(handle, to, &mut self.shared)
    }

    fn connected(&mut self, handle: Handle) -> Poll<Result<()>> {
        if let Some(socket) = datagram(handle) {
            return Poll::Ready(self.datagrams.peer_address(socket).map(drop));
        }
        self.sockets.get(handle).map_or_else(|error| Poll::Ready(Err(error)), Stream::connected)
    }

    fn push_to(&mut self, handle: Handle, message: &mut Sga, to: SocketAddr) -> Poll<Result<()>> {
        if let Some(socket) = datagram(handle) {
            return Poll::Ready(self.datagrams.push_to(socket, message, to));
        }
        Poll::Ready(self.sockets.get(handle).and_then(|stream| match stream.state {
            State::Connected { .. } | State::Lingering(_) => {
                Err(Error::new(Errno::ISCONN, "a stream has one peer: push without an address"))
            }
            _ => Err(NOT_CONNECTED),
        }))
    }

    fn local_address(&mut self, handle: Handle) -> Result<SocketAddr> {
        if let Some(socket) = datagram(handle) {
            return self.datagrams.local_address(socket);
        }
        self.sockets.get(handle).map(|stream| stream.local_address())
    }

    fn peer_address(&mut self, handle: Handle) -> Result<SocketAddr> {
        if let Some(socket) = datagram(handle) {
            return self.datagrams.peer_address(socket);
        }
        self.sockets.get(handle)?.peer_address()
    }

    fn set_option(&mut self, handle: Handle, option: SocketOption) -> Result<()> {
        if let Some(socket) = datagram(handle) {
            return self.datagrams.set_option(socket, option);
        }
        self.sockets.get(handle)?.options.set(option);
        Ok(())
    }

    fn option(&mut self, handle: Handle, name: OptionName) -> Result<SocketOption> {
        if let Some(socket) = datagram(handle) {
            return self.datagrams.option(socket, name);
        }
        self.sockets.get(handle).map(|stream| stream.options.get(name))
    }

    fn counters(&self) -> Counters {
        let (drops, refused) = self.datagrams.counts();
        let mut counters = self.shared.counters;
        counters += Counters { drops, refused, ..Counters::default() };
        counters
    }

    #[inline]
    fn push(&mut self, handle: Handle, message: &mut Sga) -> Poll<Result<()>> {
        if let Some(socket) = datagram(handle) {
            return Poll::Ready(self.datagrams.push(socket, message));
        }
        self.shared.pipes.push(handle, message)
    }

    #[inline]
    fn push_bytes(&mut self, handle: Handle, bytes: &[u8]) -> Result<bool> {
        if let Some(socket) = datagram(handle) {
            return self.datagrams.push_bytes(socket, bytes).map(|()| true);
        }
        self.shared.pipes.push_bytes(handle, bytes)
    }

    #[inline]
    fn push_now(&mut self, handle: Handle, bytes: &[u8]) -> bool {
        datagram(handle).is_none() && self.shared.pipes.push_now(handle, bytes)
    }

    #[inline]
    fn pop_now(&mut self, handle: Handle, mode: PopMode) -> Sga {
        if datagram(handle).is_some() { Sga::new() } else { self.shared.pipes.pop_now(handle, mode) }
    }

    #[inline]
    fn spin_for_message(&mut self, handle: Handle, mode: PopMode, looks: u32) -> Sga {
        // Datagrams have an address, which takes more than this.
        if datagram(handle).is_some() { Sga::new() } else { self.shared.pipes.spin_for_message(handle, mode, looks) }
    }

    #[inline]
    fn pop(&mut self, handle: Handle, mode: PopMode) -> Poll<Result<Sga>> {
        if let Some(socket) = datagram(handle) {
            return self.datagrams.pop(socket, mode);
        }
        self.shared.pipes.pop(handle, mode)
    }

    #[inline]
    fn spin(&mut self, handle: Handle, direction: Direction, looks: u32) -> bool {
        if let Some(socket) = datagram(handle) {
            return self.datagrams.spin(socket, direction, looks);
        }
        self.shared.pipes.spin(handle, direction, looks)
    }

    fn shutdown(&mut self, handle: Handle) -> Poll<Result<()>> {
        if let Some(socket) = datagram(handle) {
            return Poll::Ready(self.datagrams.shutdown(socket));
        }
        self.shared.pipes.shutdown(handle)
    }

    fn close(&mut self, handle: Handle) -> Poll<Result<()>> {
        if let Some(socket) = datagram(handle) {
            return Poll::Ready(self.datagrams.close(socket));
        }
        let Self { sockets, guests, shared, busy, .. } = self;
        busy.retain(|&other| other != handle);
        stream::close::close(sockets, handle, guests, shared)
    }

    fn canceled(&mut self, handle: Handle, direction: Direction) {
        if datagram(handle).is_some() {
            // Nothing of an operation stays behind.
            return;
        }
        let Ok(stream) = self.sockets.get(handle) else { return };
        if direction == Direction::Push && matches!(stream.state, State::Connecting(_)) {
            stream.give_up(handle, State::Idle, &mut self.shared);
        } else {
            self.shared.pipes.canceled(handle, direction);
        }
    }

    fn alloc(&mut self, handle: Handle, len: usize) -> Result<Buf> {
        if datagram(handle).is_some() {
            return Err(NO_LOAN);
        }
        self.shared.pipes.alloc(handle, len)
    }

    #[inline]
    fn poll(&mut self, wakes: &mut Wakes) {
        self.shared.pipes.poll(wakes);
        if self.datagrams.is_used() {
            self.datagrams.poll(wakes);
        }
        if self.shared.deadlines.is_due() {
            self.tick(wakes);
        }
        if !self.busy.is_empty() {
            self.serve_busy(wakes);
        }
    }

    fn event(&mut self, event: Event, wakes: &mut Wakes) {
        if event.token & DATAGRAMS != 0 {
            return self.datagrams.event(event, wakes);
        }
        match Watched::of(event.token, &self.shared) {
            Watched::Pipe(handle) => match self.sockets.get(handle) {
                Ok(stream) if matches!(stream.state, State::Connecting(_)) => {
                    if stream.answered(handle, &mut self.shared) {
                        wake_both(stream, wakes);
                    }
                }
                _ => self.shared.pipes.event(event, wakes),
            },
            Watched::Name(handle) => {
                if let Ok(listening) = self.sockets.get(handle).and_then(Stream::listening) {
                    listening.door.knocked();
                }
                self.serve(handle, None, wakes);
            }
            Watched::Silent(id) => {
                if let Some(handle) = self.guests.host(id) {
                    self.serve(handle, Some(id), wakes);
                }
            }
        }
    }

    fn arm(&mut self) -> Armed {
        if self.shared.deadlines.is_due() || !self.busy.is_empty() {
            return Armed::Ready;
        }
        if self.datagrams.is_used() && self.datagrams.arm() == Armed::Ready {
            return Armed::Ready;
        }
        let armed = self.shared.pipes.arm();
        if armed == Armed::Ready {
            self.datagrams.disarm();
        }
        armed
    }

    fn disarm(&mut self) {
        self.datagrams.disarm();
        self.shared.pipes.disarm();
    }
}

#[cfg(test)]
mod tests;
