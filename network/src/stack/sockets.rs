// SPDX-License-Identifier: MIT OR Apache-2.0
//! What applications do with datagram sockets: the calls of `socket(7)`, `udp(7)`, `ip(7)` and `ipv6(7)`.

use core::net::{IpAddr, SocketAddr};
use core::task::Poll;

use runtime::buf::Sga;
use runtime::limits::{DATAGRAM_MAX, UDP_MAX};
use runtime::socket::{Domain, OptionName, SocketOption};
use runtime::time::Time;
use runtime::{Errno, Error, Result};

use super::Stack;
use super::output::{Head, How};
use crate::counters::Reason;
use crate::ip::addresses::Class;
use crate::limits::OUTPUT_FRAMES_MAX;
use crate::udp::{Kind, Path, Readiness, Setting, SocketId, Target, shown_local};
use crate::wire::udp;

const NOT_OURS: Error = Error::new(Errno::ADDRNOTAVAIL, "not an address of this host");
const NO_PORT: Error = Error::new(Errno::ADDRNOTAVAIL, "nobody can be at port 0");
const NO_PEER: Error = Error::new(Errno::DESTADDRREQ, "to whom? the socket is not connected");
const NOT_CONNECTED: Error = Error::new(Errno::NOTCONN, "the socket is not connected");
const NO_BROADCAST: Error = Error::new(Errno::ACCESS, "a broadcast address, and the socket does not allow them");
const TOO_LONG: Error = Error::new(Errno::MSGSIZE, "longer than a datagram can be");
const NO_GROUP: Error = Error::new(Errno::INVAL, "not a multicast address");
const NOT_UDP: Error = Error::new(Errno::OPNOTSUPP, "the socket is for echo requests");

impl Stack {
    /// A UDP socket.
    ///
    /// # Errors
    /// `EMFILE` too many, `EAFNOSUPPORT` no IP domain.
    pub fn udp_socket(&mut self, domain: Domain) -> Result<SocketId> {
        self.sockets.open(domain, Kind::Udp)
    }

    /// Gives a socket its local address: one of ours, a wildcard, a group or a broadcast address. Port 0: any that is free.
    ///
    /// # Errors
    /// `EBADF`, `EAFNOSUPPORT` the other family, `EINVAL` bound already, `EADDRNOTAVAIL` not an address of this host,
    /// `EADDRINUSE` taken.
    pub fn bind(&mut self, id: SocketId, address: SocketAddr) -> Result<()> {
        let (ip, port) = self.sockets.get(id)?.admit(address)?;
        if matches!(self.addresses.class(ip), Class::Other | Class::Tentative) {
            return Err(NOT_OURS);
        }
        self.sockets.bind(id, ip, port)
    }

    /// From now on the socket speaks to this peer only, and hears only it. A second call names another peer.
    ///
    /// # Errors
    /// `EBADF`, `EAFNOSUPPORT`, `EADDRNOTAVAIL` port 0 or none free, `ENETUNREACH`, `EACCES` broadcast.
    pub fn connect(&mut self, id: SocketId, to: SocketAddr, now: Time) -> Result<()> {
        let _ = now;
        let socket = self.sockets.get(id)?;
        if socket.kind != Kind::Udp {
            return Err(NOT_UDP);
        }
        let peer = socket.admit(to)?;
        if peer.1 == 0 {
            return Err(NO_PORT);
        }
        let own = socket.named.then_some(socket.local.0);
        let may_broadcast = socket.broadcast;
        let path = self.route(peer.0, self.as_source(own))?;
        if path.target == Target::Broadcast && !may_broadcast {
            return Err(NO_BROADCAST);
        }
        self.bind_if_needed(id)?;
        self.sockets.connect(id, Some(peer), path.source)?;
        let socket = self.sockets.get(id)?;
        socket.path = Some(path);
        // What came from others before stays theirs to have sent, and is not for this socket any more.
        let held = socket.buffers();
        let forgotten = socket.forget_others();
        let held = held - socket.buffers();
        self.held = self.held.saturating_sub(held);
        self.counters.add(Reason::NoSocket, forgotten);
        Ok(())
    }

    /// The address that a socket was bound to, if packets can come from it: a group or everybody is nobody's source
    /// (RFC 1122 section 3.2.1.3).
    fn as_source(&self, own: Option<IpAddr>) -> Option<IpAddr> {
        own.filter(|own| !own.is_multicast() && !self.addresses.is_broadcast(*own))
    }

    /// A socket that sends before it was bound is bound to the wildcard.
    fn bind_if_needed(&mut self, id: SocketId) -> Result<()> {
        let socket = self.sockets.get(id)?;
        if socket.local.1 == 0 {
            let wildcard = socket.wildcard();
            self.sockets.bind(id, wildcard, 0)?;
        }
        Ok(())
    }

    /// Sends a datagram: to `to`, or to the peer that the socket is connected to. On `Ready(Ok)` the message is taken and
    /// empty, else it is as it was, but for `ENOBUFS`, which may lose it. `Pending`: the output is full; the socket is woken as
    /// writable.
    ///
    /// Errors: `EBADF`, `EDESTADDRREQ` to whom?, `EAFNOSUPPORT`, `EADDRNOTAVAIL` port 0, `EMSGSIZE`, `ENETUNREACH` no route,
    /// `EHOSTUNREACH` the next hop does not answer, `EACCES` broadcast, `ENOBUFS`, and what ICMP said of an earlier one
    /// (`ECONNREFUSED` and others), which is then told once.
    #[inline]
    pub fn send(&mut self, id: SocketId, message: &mut Sga, to: Option<SocketAddr>, now: Time) -> Poll<Result<()>> {
        if self.output.len() < OUTPUT_FRAMES_MAX && self.send_quickly(id, message, &to, now) {
            return Poll::Ready(Ok(()));
        }
        if !self.has_room() {
            return self.crowded(id);
        }
        let sent = self.send_datagram(id, message, to, now);
        if sent.is_ok() {
            self.make_ready(id, to, now);
        }
        Poll::Ready(sent)
    }

    #[cold]
    pub(super) fn crowded(&mut self, id: SocketId) -> Poll<Result<()>> {
        match self.sockets.get(id) {
            Ok(_) => {
                self.sockets.wait_for_room(id);
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    #[inline]
    fn send_datagram(&mut self, id: SocketId, message: &mut Sga, to: Option<SocketAddr>, now: Time) -> Result<()> {
        let (epoch, default_hops) = (self.epoch, [self.hops_v6, self.hops]);
        let socket = self.sockets.get(id)?;
        if let Some(error) = socket.error.take() {
            return Err(error);
        }
        if socket.kind != Kind::Udp {
            return Err(NOT_UDP);
        }
        let (address, port) = match to {
            Some(to) => socket.admit(to)?,
            None => socket.peer.ok_or(NO_PEER)?,
        };
        if port == 0 {
            return Err(NO_PORT);
        }
        let len = message.len();
        if len > if address.is_ipv4() { DATAGRAM_MAX } else { UDP_MAX } {
            return Err(TOO_LONG);
        }
        let path = match socket.path {
            Some(path) if path.destination == address && path.epoch == epoch => path,
            _ => self.path_for(id, address)?,
        };
        let socket = self.sockets.get(id)?;
        let segment = usize::from(socket.segment);
        let hops = match path.target {
            Target::Group(_) => socket.multicast_hops,
            _ => socket.hops.unwrap_or(default_hops[usize::from(address.is_ipv4())]),
        };
        let source = if socket.local.1 == 0 {
            self.bind_if_needed(id)?;
            self.sockets.get(id)?.local.1
        } else {
            socket.local.1
        };
        if segment > 0 && len > segment {
            return self.send_segments(id, &path, (hops, source, port), message, segment, now);
        }
        self.send_one(id, &path, (hops, source, port), message, now)
    }

    /// Sends one datagram, by its hops and its ports, on a way that is known.
    #[inline]
    pub(super) fn send_one(
        &mut self,
        id: SocketId,
        path: &Path,
        (hops, source, port): (u8, u16, u16),
        message: &mut Sga,
        now: Time,
    ) -> Result<()> {
        let len = message.len();
        if matches!(path.target, Target::Group(_)) {
            self.send_to_members(id, path, hops, source, port, message, now)?;
            if hops == 0 {
                *message = Sga::new();
                return Ok(());
            }
        }
        let header = udp::Header { source, destination: port, payload_len: len as u16 };
        self.send_packet(path, &How { hops, head: Head::Udp(header) }, message, now)?;
        self.counters.datagrams_sent += 1;
        Ok(())
    }

    /// Looks up the way of a socket's datagrams, and keeps it.
    #[inline(never)]
    pub(super) fn path_for(&mut self, id: SocketId, destination: IpAddr) -> Result<Path> {
        let socket = self.sockets.get(id)?;
        // A connected socket's address is for its peer, who knows no other: it stays while it is valid, though there may be a
        // better one by now (RFC 4862 section 5.5.4). To others it sends as if it were not connected.
        let is_peer = socket.peer.is_some_and(|peer| peer.0 == destination);
        let own = (socket.named || is_peer).then_some(socket.local.0);
        let may_broadcast = socket.broadcast;
        let path = self.route(destination, self.as_source(own))?;
        if path.target == Target::Broadcast && !may_broadcast {
            return Err(NO_BROADCAST);
        }
        self.sockets.get(id)?.path = Some(path);
        Ok(path)
    }

    /// A copy for the members of a group on this host (RFC 1112 section 6.1).
    #[expect(clippy::too_many_arguments, reason = "the parts of one datagram")]
    #[cold]
    fn send_to_members(
        &mut self,
        id: SocketId,
        path: &Path,
        hops: u8,
        source: u16,
        port: u16,
        message: &Sga,
        now: Time,
    ) -> Result<()> {
        if !self.sockets.get(id)?.multicast_loop || !self.is_in_group(path.destination) {
            return Ok(());
        }
        let mut copied = Sga::from(super::message::copy(message, &self.pools)?);
        let header = udp::Header { source, destination: port, payload_len: copied.len() as u16 };
        let here = Path { target: Target::Loop, ..*path };
        self.send_packet(&here, &How { hops, head: Head::Udp(header) }, &mut copied, now)
    }

    /// Takes the next datagram, with its sender's address. `Pending`: the socket is woken as readable.
    ///
    /// Errors: `EBADF`, and what ICMP said of a datagram that was sent (`ECONNREFUSED` and others), which is told once.
    // Not inlined: an address that goes through memory is two loads and two stores, one that is taken apart many.
    #[inline(never)]
    pub fn receive_from(&mut self, id: SocketId) -> Poll<Result<(SocketAddr, Sga)>> {
        let socket = match self.sockets.get(id) {
            Ok(socket) => socket,
            Err(error) => return Poll::Ready(Err(error)),
        };
        if socket.error.is_some() {
            return socket.error.take().map_or(Poll::Pending, |error| Poll::Ready(Err(error)));
        }
        let Some(datagram) = socket.take() else { return Poll::Pending };
        let buffers = if datagram.data.as_single().is_some() { 1 } else { datagram.data.segments() };
        self.held = self.held.saturating_sub(buffers);
        if socket.domain == Domain::V6 && datagram.from.is_ipv4() {
            return Poll::Ready(Ok((socket.show(datagram.from), datagram.data)));
        }
        Poll::Ready(Ok((datagram.from, datagram.data)))
    }

    /// How many datagrams wait in a socket.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn waiting(&self, id: SocketId) -> Result<usize> {
        self.sockets.peek(id).map(crate::udp::Socket::waiting)
    }

    /// The socket's own address; the wildcard with port 0 if it is not bound.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn local(&self, id: SocketId) -> Result<SocketAddr> {
        self.sockets.peek(id).map(shown_local)
    }

    /// The address of the socket's peer.
    ///
    /// # Errors
    /// `EBADF`, `ENOTCONN`.
    pub fn peer(&self, id: SocketId) -> Result<SocketAddr> {
        let socket = self.sockets.peek(id)?;
        let (address, port) = socket.peer.ok_or(NOT_CONNECTED)?;
        Ok(socket.show(SocketAddr::new(address, port)))
    }

    /// Sets an option, whose value is in its range. Those that datagrams have no use for are kept.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn set_option(&mut self, id: SocketId, option: SocketOption) -> Result<()> {
        self.sockets.set_option(id, option)
    }

    /// Reads an option.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn option(&self, id: SocketId, name: OptionName) -> Result<SocketOption> {
        Ok(self.sockets.peek(id)?.option(name))
    }

    /// Sets what [`SocketOption`] does not have.
    ///
    /// # Errors
    /// `EBADF`; `EINVAL` bound already, or out of range.
    pub fn set(&mut self, id: SocketId, setting: Setting) -> Result<()> {
        self.sockets.set(id, setting)
    }

    /// From now on the socket hears what is sent to this group.
    ///
    /// # Errors
    /// `EBADF`, `EINVAL` no multicast address, `EAFNOSUPPORT`, `EADDRINUSE` joined already, `ENOBUFS` too many.
    pub fn join(&mut self, id: SocketId, group: IpAddr, now: Time) -> Result<()> {
        let (group, _) = self.sockets.get(id)?.admit(SocketAddr::new(group, 0))?;
        if !group.is_multicast() {
            return Err(NO_GROUP);
        }
        self.sockets.join(id, group)?;
        self.join_group(group, now).inspect_err(|_| {
            // It was put there just now.
            let _ = self.sockets.leave(id, group);
        })
    }

    /// Ends what [`join`](Self::join) began.
    ///
    /// # Errors
    /// `EBADF`, `EAFNOSUPPORT`, `EADDRNOTAVAIL` not joined.
    pub fn leave(&mut self, id: SocketId, group: IpAddr, now: Time) -> Result<()> {
        let (group, _) = self.sockets.get(id)?.admit(SocketAddr::new(group, 0))?;
        self.sockets.leave(id, group)?;
        self.leave_group(group, now);
        Ok(())
    }

    /// Ends a socket. What it has sent goes out; what has come and was not taken is dropped.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn close(&mut self, id: SocketId, now: Time) -> Result<()> {
        let socket = self.sockets.close(id)?;
        self.held = self.held.saturating_sub(socket.buffers());
        for group in &socket.groups {
            self.leave_group(*group, now);
        }
        Ok(())
    }

    /// A socket that is worth trying again; each at most once until something happens to it again.
    #[inline]
    pub fn woken(&mut self) -> Option<(SocketId, Readiness)> {
        self.sockets.woken()
    }

    /// How many sockets are open.
    pub fn sockets(&self) -> u32 {
        self.sockets.len()
    }
}
