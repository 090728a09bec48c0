// SPDX-License-Identifier: MIT OR Apache-2.0
//! What stream sockets are called: `bind(2)`, and who is at either end.

use core::net::SocketAddr;

use runtime::socket::Domain;
use runtime::{Errno, Error, Result};

use super::StreamId;
use super::socket::{Hold, Kind, Stream};
use crate::ip::addresses::Class;
use crate::stack::Stack;

const NO_IP: Error = Error::new(Errno::AFNOSUPPORT, "a Unix socket is none of the network's");
const TOO_MANY: Error = Error::new(Errno::MFILE, "the stack has as many stream sockets as it may");
const BOUND: Error = Error::new(Errno::INVAL, "the socket is bound already");
const NOT_OURS: Error = Error::new(Errno::ADDRNOTAVAIL, "not an address of this host");
const TAKEN: Error = Error::new(Errno::ADDRINUSE, "another socket has this address");
const NO_PORT: Error = Error::new(Errno::ADDRINUSE, "no port is free");
const NOT_CONNECTED: Error = Error::new(Errno::NOTCONN, "the socket is not connected");

impl Stack {
    /// A stream socket.
    ///
    /// # Errors
    /// `EMFILE` too many, `EAFNOSUPPORT` no IP domain.
    pub fn stream_socket(&mut self, domain: Domain) -> Result<StreamId> {
        if domain == Domain::Unix {
            return Err(NO_IP);
        }
        self.streams.slab.insert(Stream::new(domain).into()).map(StreamId).map_err(|_| TOO_MANY)
    }

    /// Gives a socket its local address: one of ours or a wildcard. Port 0: any that is free.
    ///
    /// # Errors
    /// `EBADF`, `EAFNOSUPPORT` the other family, `EINVAL` bound already, `EADDRNOTAVAIL` not an address of this host,
    /// `EADDRINUSE` taken.
    pub fn stream_bind(&mut self, id: StreamId, address: SocketAddr) -> Result<()> {
        let stream = self.streams.get(id)?;
        let (ip, port) = stream.admit(address)?;
        if stream.local.1 != 0 || !matches!(stream.kind, Kind::Idle) {
            return Err(BOUND);
        }
        let sharing = stream.sharing();
        if !matches!(self.addresses.class(ip), Class::Ours | Class::Loopback | Class::Unspecified) {
            return Err(NOT_OURS);
        }
        let ports = &mut self.streams.ports;
        let port = if port == 0 {
            ports.choose(ip, sharing).ok_or(NO_PORT)?
        } else if ports.is_taken(port, ip, sharing) {
            return Err(TAKEN);
        } else {
            port
        };
        ports.hold(port, ip, sharing);
        let stream = self.streams.get(id)?;
        stream.local = (ip, port);
        stream.hold = Hold::at(ip);
        Ok(())
    }

    /// The socket's own address; the wildcard with port 0 if it is not bound.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn stream_local(&self, id: StreamId) -> Result<SocketAddr> {
        self.streams.peek(id).map(Stream::shown_local)
    }

    /// The address of the socket's peer.
    ///
    /// # Errors
    /// `EBADF`, `ENOTCONN`.
    pub fn stream_peer(&self, id: StreamId) -> Result<SocketAddr> {
        let stream = self.streams.peek(id)?;
        match &stream.kind {
            Kind::Open(open) if open.told || matches!(open.connection.connected(), core::task::Poll::Ready(Ok(()))) => {
                Ok(stream.show((open.path.destination, open.remote)))
            }
            _ => Err(NOT_CONNECTED),
        }
    }
}
