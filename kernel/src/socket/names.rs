// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who a socket is, who its peer is, and whether it can be pushed to.

use super::{NOT_CONNECTED, Peer, Socket, State};
use crate::address::{check_destination, internet, path};
use core::net::SocketAddr;
use runtime::socket::{Domain, Kind};
use runtime::{Errno, Error, Result};
use rustix::io::retry_on_intr;
use rustix::net;
use std::os::fd::BorrowedFd;

const NO_PATHS: Error = Error::new(Errno::AFNOSUPPORT, "this socket is no Unix socket");

impl Socket {
    pub(super) fn check_paths(&self) -> Result<()> {
        if self.domain == Domain::Unix { Ok(()) } else { Err(NO_PATHS) }
    }

    /// The socket's own address; the wildcard with port 0 if it has none, and of a Unix socket always.
    ///
    /// # Errors
    /// From `getsockname(2)`.
    pub fn local_address(&self) -> Result<SocketAddr> {
        if self.domain == Domain::Unix {
            return Ok(self.domain.unspecified());
        }
        net::getsockname(&self.fd).map_err(|errno| Error::os(errno, "getsockname")).and_then(internet)
    }

    /// The address of its peer, also after the peer has gone. Of a Unix socket it is the wildcard.
    ///
    /// # Errors
    /// `ENOTCONN`.
    pub fn peer_address(&self) -> Result<SocketAddr> {
        match (self.state, &self.peer) {
            (State::Connected, Some(Peer::Internet(peer))) => Ok(*peer),
            (State::Connected, Some(Peer::Path(_) | Peer::Unix)) => Ok(self.domain.unspecified()),
            _ => Err(NOT_CONNECTED),
        }
    }

    /// The name of a Unix socket; empty if it has none.
    ///
    /// # Errors
    /// `EAFNOSUPPORT` no Unix socket.
    pub fn local_path(&self) -> Result<Vec<u8>> {
        self.check_paths()?;
        let name = net::getsockname(&self.fd).map_err(|errno| Error::os(errno, "getsockname"))?;
        path(&name).map(<[u8]>::to_vec)
    }

    /// The name of a Unix socket's peer; empty if it has none.
    ///
    /// # Errors
    /// `ENOTCONN`, `EAFNOSUPPORT` no Unix socket.
    pub fn peer_path(&self) -> Result<Vec<u8>> {
        self.check_paths()?;
        match (self.state, &self.peer) {
            (State::Connected, Some(Peer::Path(name))) => Ok(name.to_vec()),
            (State::Connected, _) => match net::getpeername(&self.fd) {
                Ok(Some(name)) => path(&name).map(<[u8]>::to_vec),
                Ok(None) => Ok(Vec::new()),
                Err(errno) => Err(Error::os(errno, "getpeername")),
            },
            _ => Err(NOT_CONNECTED),
        }
    }

    /// Whether a push to an address makes sense: a stream has one peer.
    ///
    /// # Errors
    /// `EISCONN` or `ENOTCONN` a stream, `EAFNOSUPPORT`, `EADDRNOTAVAIL` port 0.
    #[inline]
    pub fn check_push_to(&self, to: &SocketAddr) -> Result<()> {
        self.check_datagram()?;
        check_destination(self.domain, to)
    }

    /// As [`check_push_to`](Self::check_push_to), to a name.
    ///
    /// # Errors
    /// `EISCONN` or `ENOTCONN` a stream, `EAFNOSUPPORT` no Unix socket.
    pub fn check_push_to_path(&self) -> Result<()> {
        self.check_datagram()?;
        self.check_paths()
    }

    fn check_datagram(&self) -> Result<()> {
        match self.kind {
            Kind::Datagram => Ok(()),
            Kind::Stream if self.is_connected() => {
                Err(Error::new(Errno::ISCONN, "a stream has one peer: push without an address"))
            }
            Kind::Stream => Err(NOT_CONNECTED),
        }
    }

    /// Whether a push without an address makes sense.
    ///
    /// # Errors
    /// `ENOTCONN` a stream without a peer, `EDESTADDRREQ` datagrams without one.
    #[inline]
    pub fn check_push(&self) -> Result<()> {
        match (self.is_connected(), self.kind) {
            (true, _) => Ok(()),
            (false, Kind::Stream) => Err(NOT_CONNECTED),
            (false, Kind::Datagram) => Err(Error::new(Errno::DESTADDRREQ, "the datagram socket is not connected")),
        }
    }
}

/// Whom the kernel knows as the peer.
pub(super) fn peer_of(fd: BorrowedFd<'_>) -> Result<SocketAddr> {
    match retry_on_intr(|| net::getpeername(fd)) {
        Ok(Some(peer)) => internet(peer),
        Ok(None) => Err(NOT_CONNECTED),
        Err(errno) => Err(Error::os(errno, "getpeername")),
    }
}
