// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connecting a stream socket: the shell around [`Connector`].

use super::{State, Stream};
use crate::handshake::{Action, Connector, Request};
use crate::names::{candidates, file_name};
use crate::ports::Claim;
use crate::socket::{NOT_CONNECTED, Shared};
use catmem::Carries;
use catmem::doorbell::can_membarrier;
use catmem::rendezvous::{Dial, recv_offer, send_bytes};
use core::net::SocketAddr;
use core::task::Poll;
use runtime::reactor::Interest;
use runtime::socket::Kind;
use runtime::time::Time;
use runtime::transport::Handle;
use runtime::{Errno, Error, Result};
use std::os::fd::OwnedFd;
use std::rc::Rc;

pub use crate::handshake::connector::Event;

const NO_PORT: Error = Error::new(Errno::ADDRNOTAVAIL, "no port of the ephemeral range is free");

/// A connect that is under way.
pub struct Attempt {
    connector: Connector,
    request: Request,
    socket: Rc<OwnedFd>,
    /// It is watched under the pipe's token.
    watched: bool,
    /// When it is looked at at the latest.
    pub deadline: Option<Time>,
}

impl Stream {
    /// Begins to connect. What comes of it is asked of [`connected`](Self::connected).
    ///
    /// # Errors
    /// `EALREADY`, `EISCONN`, `EOPNOTSUPP` listening, `EAFNOSUPPORT`, `EADDRNOTAVAIL`, `ENETUNREACH`; what the system says.
    pub fn connect(&mut self, handle: Handle, to: SocketAddr, shared: &mut Shared) -> Result<()> {
        match self.state {
            State::Idle | State::Failed(_) => {}
            State::Connecting(_) => return Err(Error::new(Errno::ALREADY, "a connect is under way")),
            State::Listening(_) => return Err(Error::new(Errno::OPNOTSUPP, "a listening socket cannot connect")),
            State::Connected { .. } | State::Lingering(_) => {
                return Err(Error::new(Errno::ISCONN, "the socket is connected"));
            }
        }
        let destination = shared.hosts.to_reach(self.domain, to)?;
        let bound = self.claim.as_ref().map(Claim::address);
        let source = shared.hosts.source(bound.map(|address| address.ip()), destination.ip())?;
        let places = Rc::clone(&shared.places);
        let places = places.open()?;
        let port = if let Some(bound) = bound {
            bound.port()
        } else {
            let claim = places.ports.claim(Kind::Stream, SocketAddr::new(source, 0)).map_err(|error| {
                let full = error.errno() == Errno::ADDRINUSE;
                if full { NO_PORT } else { error }
            })?;
            self.claim.insert(claim).address().port()
        };
        let request = Request {
            kind: Kind::Stream,
            membarrier: can_membarrier(),
            source: SocketAddr::new(source, port),
            destination,
            send_order: self.options.send_order,
            receive_order: self.options.receive_order,
        };
        let names = candidates(destination).count();
        self.state = State::Connecting(Box::new(Attempt {
            connector: Connector::new(names, shared.reactor.now(), shared.settings.connect_timeout),
            request,
            socket: Rc::new(places.directory.socket()?),
            watched: false,
            deadline: None,
        }));
        // What is popped before it is connected waits for that.
        shared.pipes.set_idle(handle, None);
        self.went_on(handle, Event::Tick, shared);
        Ok(())
    }

    /// Something has happened to the connect that is under way. True if it has ended.
    pub fn went_on(&mut self, handle: Handle, event: Event, shared: &mut Shared) -> bool {
        let State::Connecting(attempt) = &mut self.state else { return false };
        let mut action = attempt.connector.on(event, shared.reactor.now());
        let ended = loop {
            match action {
                Action::Dial(name) => {
                    let event = attempt.dial(name, handle, shared).unwrap_or_else(Event::Failed);
                    action = attempt.connector.on(event, shared.reactor.now());
                }
                Action::Wait(at) => match shared.deadlines.set(handle, &mut attempt.deadline, Some(at)) {
                    Ok(()) => return false,
                    Err(error) => break Err(error),
                },
                Action::Done => break Ok(()),
                Action::Fail(error) => break Err(error),
            }
        };
        let (local, peer) = (attempt.request.source, attempt.request.destination);
        match ended {
            Ok(()) => {
                // It cannot fail: only setting one can.
                let _ = shared.deadlines.set(handle, &mut attempt.deadline, None);
                shared.counters.connected += 1;
                self.state = State::Connected { local, peer };
            }
            Err(error) => {
                shared.counters.refused += 1;
                self.give_up(handle, State::Failed(error), shared);
            }
        }
        true
    }

    /// The connection has an event while it is not joined. True if the connect has ended.
    pub fn answered(&mut self, handle: Handle, shared: &mut Shared) -> bool {
        let State::Connecting(attempt) = &mut self.state else { return false };
        if !attempt.watched {
            return false;
        }
        let event = match recv_offer(&*attempt.socket) {
            Ok(None) => return false,
            Ok(Some((hello, memory))) => {
                match shared.pipes.join(handle, &attempt.socket, &hello, memory, Carries::Stream) {
                    Ok(()) => Event::Joined,
                    Err(error) => Event::Failed(error),
                }
            }
            Err(error) if error.errno() == Errno::CONNRESET => Event::HungUp,
            Err(error) => Event::Failed(error),
        };
        self.went_on(handle, event, shared)
    }

    /// What came of the connect.
    pub fn connected(&mut self) -> Poll<Result<()>> {
        match self.state {
            State::Connecting(_) => Poll::Pending,
            State::Connected { .. } => Poll::Ready(Ok(())),
            State::Failed(error) => {
                self.state = State::Idle;
                Poll::Ready(Err(error))
            }
            State::Idle | State::Listening(_) | State::Lingering(_) => Poll::Ready(Err(NOT_CONNECTED)),
        }
    }

    /// Ends the connect that is under way; the listener sees a hang-up.
    pub fn give_up(&mut self, handle: Handle, state: State, shared: &mut Shared) {
        let State::Connecting(attempt) = &mut self.state else { return };
        let _ = shared.deadlines.set(handle, &mut attempt.deadline, None);
        if attempt.watched {
            let _ = shared.reactor.unwatch(&*attempt.socket);
        }
        shared.pipes.set_idle(handle, Some(NOT_CONNECTED));
        self.state = state;
    }
}

impl Attempt {
    fn dial(&mut self, name: usize, handle: Handle, shared: &mut Shared) -> Result<Event> {
        let Some(candidate) = candidates(self.request.destination).nth(name) else { return Ok(Event::Nobody) };
        let directory = &shared.places.open()?.directory;
        match directory.dial(&self.socket, &file_name(Kind::Stream, candidate)?)? {
            Dial::Nobody => return Ok(Event::Nobody),
            Dial::Full => return Ok(Event::Full),
            Dial::Waiting => {}
        }
        if let Err(error) = send_bytes(&*self.socket, &self.request.to_bytes()) {
            // It has gone; a refusal that came first is heard.
            return match recv_offer(&*self.socket) {
                Err(refusal) if refusal.errno() != Errno::CONNRESET => Err(refusal),
                _ if error.errno() == Errno::CONNRESET => Ok(Event::HungUp),
                _ => Err(error),
            };
        }
        shared.reactor.watch(&*self.socket, Interest::READABLE, shared.pipes.connection_token(handle))?;
        self.watched = true;
        Ok(Event::Asked)
    }
}
