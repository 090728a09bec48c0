// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sockets for echo requests, the ping of both families (RFC 792, RFC 4443 section 4). Each has an identifier of its own, by
//! which its answers find it.

use core::net::{IpAddr, SocketAddr};
use core::task::Poll;

use runtime::buf::Sga;
use runtime::limits::{DATAGRAM_MAX, UDP_MAX};
use runtime::socket::Domain;
use runtime::time::Time;
use runtime::{Errno, Error, Result};

use super::Stack;
use super::output::{Head, How};
use crate::udp::{Kind, Setting, SocketId, Target};
use crate::wire::{icmpv4, icmpv6};

const NOT_ECHO: Error = Error::new(Errno::OPNOTSUPP, "the socket is not for echo requests");
const TOO_LONG: Error = Error::new(Errno::MSGSIZE, "longer than a packet can be");

/// An answer to an echo request.
#[derive(Debug)]
pub struct EchoReply {
    /// Who answered.
    pub from: IpAddr,
    /// The number that the request had.
    pub sequence: u16,
    /// What the request carried.
    pub payload: Sga,
    /// Hops that the answer had left.
    pub hops: u8,
}

impl Stack {
    /// A socket for echo requests to addresses of this family.
    ///
    /// # Errors
    /// `EMFILE` too many, `EAFNOSUPPORT` no IP domain, `EADDRINUSE` no identifier is free.
    pub fn echo_socket(&mut self, domain: Domain) -> Result<SocketId> {
        let id = self.sockets.open(domain, Kind::Echo)?;
        let wildcard = self.sockets.get(id)?.wildcard();
        let bound = self.sockets.set(id, Setting::V6Only(true)).and_then(|()| self.sockets.bind(id, wildcard, 0));
        if let Err(error) = bound {
            self.sockets.close(id)?;
            return Err(error);
        }
        Ok(id)
    }

    /// Sends an echo request. On `Ready(Ok)` the payload is taken. `Pending`: the output is full; the socket is woken as
    /// writable. Errors are those of [`send`](Self::send).
    pub fn echo_send(
        &mut self,
        id: SocketId,
        to: IpAddr,
        sequence: u16,
        payload: &mut Sga,
        now: Time,
    ) -> Poll<Result<()>> {
        if !self.has_room() {
            return self.crowded(id);
        }
        Poll::Ready(self.send_echo(id, to, sequence, payload, now))
    }

    fn send_echo(&mut self, id: SocketId, to: IpAddr, sequence: u16, payload: &mut Sga, now: Time) -> Result<()> {
        let socket = self.sockets.get(id)?;
        if socket.kind != Kind::Echo {
            return Err(NOT_ECHO);
        }
        if let Some(error) = socket.error.take() {
            return Err(error);
        }
        let (to, _) = socket.admit(SocketAddr::new(to, 0))?;
        let identifier = socket.local.1;
        // ICMP's header is as long as UDP's.
        if payload.len() > if to.is_ipv4() { DATAGRAM_MAX } else { UDP_MAX } {
            return Err(TOO_LONG);
        }
        let path = self.path_for(id, to)?;
        let socket = self.sockets.get(id)?;
        let hops = match path.target {
            Target::Group(_) => socket.multicast_hops,
            _ => socket.hops.unwrap_or(self.hops_to(to)),
        };
        if hops == 0 {
            // It does not leave this host (RFC 1122 section 3.2.1.7), where nobody answers what goes to a group.
            *payload = Sga::new();
            return Ok(());
        }
        let head = if to.is_ipv4() {
            Head::Icmpv4(icmpv4::Header::EchoRequest { identifier, sequence })
        } else {
            Head::Icmpv6(icmpv6::Header::EchoRequest { identifier, sequence })
        };
        self.send_packet(&path, &How { hops, head }, payload, now)
    }

    /// Takes the next answer. `Pending`: the socket is woken as readable. Errors: `EBADF`, and what ICMP, or a neighbour that
    /// does not answer, says of a request (`EHOSTUNREACH` and others); each is told once.
    pub fn echo_receive(&mut self, id: SocketId) -> Poll<Result<EchoReply>> {
        let socket = match self.sockets.get(id) {
            Ok(socket) if socket.kind == Kind::Echo => socket,
            Ok(_) => return Poll::Ready(Err(NOT_ECHO)),
            Err(error) => return Poll::Ready(Err(error)),
        };
        if let Some(error) = socket.error.take() {
            return Poll::Ready(Err(error));
        }
        let Some(reply) = socket.take() else { return Poll::Pending };
        self.held = self.held.saturating_sub(reply.data.segments());
        Poll::Ready(Ok(EchoReply {
            from: reply.from.ip(),
            sequence: reply.sequence,
            payload: reply.data,
            hops: reply.hops,
        }))
    }
}
