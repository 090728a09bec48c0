// SPDX-License-Identifier: MIT OR Apache-2.0
//! One datagram socket: what it was told, the name that it is found under, and its peers.

use super::peers::Group;
use crate::address::shown;
use crate::options::Options;
use crate::ports::Claim;
use catmem::rendezvous::Listener;
use catmem::ring::record::HEADER;
use core::net::SocketAddr;
use runtime::Error;
use runtime::limits::DATAGRAM_MAX;
use runtime::socket::Domain;
use runtime::transport::QueueId;

/// The name of a bound socket. The name goes before the claim does, so that whoever has the port next finds it free.
pub struct Bound {
    /// Others dial here.
    pub listener: Listener,
    /// The canonical address, for nobody else.
    pub claim: Claim,
}

/// A socket.
pub struct Socket {
    /// The queue to wake.
    pub queue: QueueId,
    /// Never used twice: a letter for a former socket of the same handle is known as such.
    pub serial: u64,
    /// The family that its application uses.
    pub domain: Domain,
    /// What it was set to.
    pub options: Options,
    /// Once it has an address.
    pub bound: Option<Bound>,
    /// The canonical address that it is connected to.
    pub connected: Option<SocketAddr>,
    /// What the next push or pop gives instead: nobody was there for an earlier datagram of a connected socket.
    pub error: Option<Error>,
    /// Its pops are tried again at the next poll.
    pub again: bool,
    /// Its pipes.
    pub group: Group,
    /// Where the last datagram went, as the application wrote the address.
    pub last: Option<(SocketAddr, u32)>,
    /// Whom to look at first for a datagram.
    pub watched: Option<u32>,
}

impl Socket {
    /// A socket that has no address yet.
    pub fn new(queue: QueueId, serial: u64, domain: Domain, ring: usize) -> Self {
        Self {
            queue,
            serial,
            domain,
            options: Options::new(ring),
            bound: None,
            connected: None,
            error: None,
            again: false,
            group: Group::new(),
            last: None,
            watched: None,
        }
    }

    /// The longest datagram that it can push: one record, so that none goes in part.
    #[inline]
    pub fn longest(&self) -> usize {
        DATAGRAM_MAX.min((1 << self.options.send_order) / 4 - HEADER)
    }

    /// A canonical address as its application sees it.
    pub fn show(&self, address: SocketAddr) -> SocketAddr {
        shown(self.domain, address)
    }

    /// This peer is gone: nothing goes there, or is expected from there.
    pub fn forget(&mut self, peer: u32) {
        self.last = self.last.filter(|&(_, last)| last != peer);
        self.watched = self.watched.filter(|&watched| watched != peer);
    }
}
