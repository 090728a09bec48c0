// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stream sockets: what each of them is, and the calls that neither listen nor connect.

pub mod accept;
pub mod close;
pub mod connect;

use crate::address::shown;
use crate::options::Options;
use crate::ports::Claim;
use crate::socket::{NOT_CONNECTED, Shared};
use accept::Listening;
use connect::Attempt;
use core::net::SocketAddr;
use runtime::socket::{Domain, Kind};
use runtime::time::Time;
use runtime::transport::{Handle, QueueId};
use runtime::{Errno, Error, Result};

/// A stream socket.
pub struct Stream {
    /// The queue to wake.
    pub queue: QueueId,
    /// The family that it was made for.
    pub domain: Domain,
    /// Its options.
    pub options: Options,
    /// The address that it was bound to, or got to connect from; an accepted one has none of its own.
    pub claim: Option<Claim>,
    /// Where it stands.
    pub state: State,
}

/// Where a stream socket stands.
pub enum State {
    /// Neither listening nor connecting.
    Idle,
    /// Others can connect.
    Listening(Box<Listening>),
    /// A connect is under way.
    Connecting(Box<Attempt>),
    /// A connect has failed, and nobody has heard so yet.
    Failed(Error),
    /// Its pipe is joined; both addresses are canonical.
    Connected {
        /// This end.
        local: SocketAddr,
        /// The other end.
        peer: SocketAddr,
    },
    /// A close waits until the peer has read everything, or until this moment; `None`: it has passed.
    Lingering(Option<Time>),
}

impl Stream {
    /// A new socket.
    pub fn new(queue: QueueId, domain: Domain, ring: usize) -> Self {
        Self { queue, domain, options: Options::new(ring), claim: None, state: State::Idle }
    }

    /// Takes an address.
    ///
    /// # Errors
    /// `EINVAL` if it has one or is in use, `EAFNOSUPPORT`, `EADDRNOTAVAIL`, `EADDRINUSE`.
    pub fn bind(&mut self, address: SocketAddr, shared: &Shared) -> Result<()> {
        if self.claim.is_some() || !matches!(self.state, State::Idle | State::Failed(_)) {
            return Err(Error::new(Errno::INVAL, "the socket has an address already"));
        }
        let address = shared.hosts.to_bind(self.domain, address)?;
        self.claim = Some(shared.places.open()?.ports.claim(Kind::Stream, address)?);
        Ok(())
    }

    /// Its own address.
    pub fn local_address(&self) -> SocketAddr {
        let canonical = match (&self.state, &self.claim) {
            (&State::Connected { local, .. }, _) => local,
            (_, Some(claim)) => claim.address(),
            (_, None) => return self.domain.unspecified(),
        };
        shown(self.domain, canonical)
    }

    /// Its peer's address.
    ///
    /// # Errors
    /// `ENOTCONN`.
    pub fn peer_address(&self) -> Result<SocketAddr> {
        match self.state {
            State::Connected { peer, .. } => Ok(shown(self.domain, peer)),
            _ => Err(NOT_CONNECTED),
        }
    }

    /// Its deadline has passed. True if an operation can go on.
    pub fn tick(&mut self, handle: Handle, shared: &mut Shared) -> bool {
        match &mut self.state {
            State::Connecting(attempt) => {
                attempt.deadline = None;
                // The answer may be there since long before, if nobody has collected events for a while.
                self.answered(handle, shared) || self.went_on(handle, connect::Event::Tick, shared)
            }
            State::Lingering(until) => {
                *until = None;
                true
            }
            _ => false,
        }
    }
}
