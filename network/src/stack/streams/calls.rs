// SPDX-License-Identifier: MIT OR Apache-2.0
//! What applications do with stream sockets: `listen(2)`, `accept(2)`, `connect(2)`, and what goes over connections.

use alloc::boxed::Box;
use core::net::{IpAddr, SocketAddr};
use core::task::Poll;

use runtime::buf::Sga;
use runtime::time::Time;
use runtime::{Errno, Error, Result};

use super::StreamId;
use super::socket::{Kind, Listener, Open, Stream};
use crate::ip::addresses::Class;
use crate::limits::STREAM_BUFFERS_MIN;
use crate::stack::Stack;
use crate::tcp::connection::{Connection, Info};
use crate::tcp::listen::Backlog;
use crate::tcp::seq::Seq;
use crate::tcp::table::{Flow, Place};
use crate::udp::{Path, Readiness};

const NOT_BOUND: Error = Error::new(Errno::DESTADDRREQ, "the socket has no address yet");
const LISTENS: Error = Error::new(Errno::ADDRINUSE, "the socket listens already");
const LISTENED_AT: Error = Error::new(Errno::ADDRINUSE, "another socket listens at this address");
const CONNECTED: Error = Error::new(Errno::INVAL, "the socket is connected");
const CONNECTING: Error = Error::new(Errno::ADDRINUSE, "the socket is connecting");
const NO_LISTENER: Error = Error::new(Errno::INVAL, "the socket does not listen");
const LISTENER: Error = Error::new(Errno::OPNOTSUPP, "the socket listens");
const BEGUN: Error = Error::new(Errno::ALREADY, "the socket is connecting already");
const IS_CONNECTED: Error = Error::new(Errno::ISCONN, "the socket is connected already");
const NO_SUCH_PORT: Error = Error::new(Errno::ADDRNOTAVAIL, "nobody can be at port 0");
const NO_PORT: Error = Error::new(Errno::ADDRNOTAVAIL, "no port is free for this peer");
const TO_MANY: Error = Error::new(Errno::NETUNREACH, "a stream has one peer, not many");
const NOT_CONNECTED: Error = Error::new(Errno::NOTCONN, "the socket is not connected");
const SHUT: Error = Error::new(Errno::PIPE, "the socket was shut down");

impl Stack {
    /// From now on others can connect to the socket; at most so many, and one, wait to be accepted.
    ///
    /// # Errors
    /// `EBADF`, `EDESTADDRREQ` not bound, `EADDRINUSE` it listens or connects already, or another listens at its address,
    /// `EINVAL` connected.
    pub fn stream_listen(&mut self, id: StreamId, backlog: usize) -> Result<()> {
        let (settings, room) = (self.streams.settings, self.streams.receive_room);
        let stream = self.streams.get(id)?;
        match &stream.kind {
            Kind::Listening(_) => return Err(LISTENS),
            Kind::Open(open) if open.connection.connected().is_pending() => return Err(CONNECTING),
            Kind::Open(_) => return Err(CONNECTED),
            Kind::Idle => {}
        }
        let (Some(hold), (address, port), sharing) = (stream.hold(), stream.local, stream.sharing()) else {
            return Err(NOT_BOUND);
        };
        if self.streams.ports.is_listened_at(port, hold, sharing) {
            return Err(LISTENED_AT);
        }
        let stream = self.streams.get(id)?;
        let settings = stream.options().settings(&settings, room);
        stream.kind = Kind::Listening(Box::new(Listener { backlog: Backlog::new(backlog), settings }));
        self.streams.ports.set_listening(port, hold, sharing, true);
        self.streams.listeners.insert(address, port, id.0.index);
        Ok(())
    }

    /// Takes the next connection that waits. `Pending`: the listener is woken as readable.
    ///
    /// Errors: `EBADF`, `EINVAL` it does not listen.
    pub fn stream_accept(&mut self, id: StreamId, now: Time) -> Poll<Result<StreamId>> {
        self.streams.now = now;
        let stream = match self.streams.get(id) {
            Ok(stream) => stream,
            Err(error) => return Poll::Ready(Err(error)),
        };
        let Kind::Listening(listener) = &mut stream.kind else { return Poll::Ready(Err(NO_LISTENER)) };
        let Some(key) = listener.backlog.pop() else { return Poll::Pending };
        let Some(accepted) = self.streams.slab.get_mut(key) else { return Poll::Pending };
        accepted.waits = false;
        if core::mem::take(&mut accepted.news) != Readiness::default() {
            self.streams.wake(key.index, Readiness { readable: true, writable: true });
        }
        Poll::Ready(Ok(StreamId(key)))
    }

    /// Begins a connection; [`stream_connected`](Self::stream_connected) tells what became of it.
    ///
    /// # Errors
    /// `EBADF`, `EAFNOSUPPORT`, `EADDRNOTAVAIL` port 0, or no port is free, `ENETUNREACH`, `EOPNOTSUPP` it listens, `EALREADY`,
    /// `EISCONN`.
    pub fn stream_connect(&mut self, id: StreamId, to: SocketAddr, now: Time) -> Result<()> {
        self.streams.now = now;
        let stream = self.streams.get(id)?;
        match &stream.kind {
            Kind::Idle => {}
            Kind::Listening(_) => return Err(LISTENER),
            Kind::Open(open) if !open.told && open.connection.connected().is_pending() => return Err(BEGUN),
            Kind::Open(_) => return Err(IS_CONNECTED),
        }
        let (mut address, port) = stream.admit(to)?;
        if port == 0 {
            return Err(NO_SUCH_PORT);
        }
        let own = Some(stream.local.0).filter(|own| !own.is_unspecified());
        if address.is_unspecified() {
            // As everywhere: to this host itself.
            address = if address.is_ipv4() { [127, 0, 0, 1].into() } else { core::net::Ipv6Addr::LOCALHOST.into() };
        }
        if matches!(self.addresses.class(address), Class::Broadcast | Class::Multicast) {
            return Err(TO_MANY);
        }
        let path = self.route(address, own)?;
        let (flow, hash, behind) = self.choose_flow(id, &path, port, now)?;
        self.begin(id, path, &flow, hash, behind, now);
        Ok(())
    }

    /// The ends of a connection to a peer, which no other has; and behind which number it has to begin, if there was one.
    fn choose_flow(&mut self, id: StreamId, path: &Path, remote: u16, now: Time) -> Result<(Flow, u32, Option<Seq>)> {
        let bound = self.streams.get(id)?.local.1;
        let between = |local| Flow { local: (path.source, local), remote: (path.destination, remote) };
        let local = if bound == 0 {
            // One who calls a port of his own from that port would meet himself (RFC 9293 section 3.5, simultaneous open), where nobody listens.
            let itself = path.source == path.destination;
            let is_free = |local| !(itself && local == remote) && self.streams.find(&between(local)).1.is_none();
            let choice = self.streams.ports.choose_for(&between(0), is_free).ok_or(NO_PORT)?;
            self.streams.ports.take(choice)
        } else {
            bound
        };
        let flow = between(local);
        match self.streams.find(&flow) {
            (hash, None) => Ok((flow, hash, None)),
            // One that has ended makes place, if its peer can tell old segments from new ones (RFC 6191 section 3).
            (hash, Some(Place::TimeWait(index))) => {
                let behind = self.reuse_time_wait(index, now).ok_or(NO_PORT)?;
                Ok((flow, hash, Some(behind)))
            }
            (_, Some(_)) => Err(NO_PORT),
        }
    }

    fn begin(&mut self, id: StreamId, path: Path, flow: &Flow, hash: u32, behind: Option<Seq>, now: Time) {
        let (link, room_on_path) = (self.link_mss(path.destination), self.path_mss(path.destination, now));
        let mtus = self.stream_mtus.version();
        let streams = &mut self.streams;
        let iss = streams.first_sequence(flow, behind, now);
        let clock = streams.origins.clock(flow);
        let (settings, room) = (streams.settings, streams.receive_room);
        let Ok(stream) = streams.get(id) else { return };
        let options = stream.options();
        let mut connection = Connection::connect(&options.settings(&settings, room), iss, link, clock, now);
        connection.set_path(room_on_path, now);
        connection.set_receive_room(room);
        options.apply(&mut connection, now);
        if settings.fast_open {
            streams.call_early(&mut connection, flow, now);
        }
        let Ok(stream) = streams.get(id) else { return };
        stream.local = flow.local;
        stream.kind = Kind::Open(Open { mtus, ..Open::new(connection, path, flow.remote.1, hash) });
        streams.table.insert(hash, Place::Connection(id.0.index));
        self.settle(id.0.index, now);
    }

    /// Whether the connection that was begun stands. `Pending`: the socket is woken as writable. After an error the socket is as
    /// it was before it connected.
    ///
    /// Errors: `EBADF`, `ENOTCONN` none was begun, `ECONNREFUSED`, `ETIMEDOUT`, `EHOSTUNREACH` and what else ICMP says.
    pub fn stream_connected(&mut self, id: StreamId) -> Poll<Result<()>> {
        let stream = match self.streams.get(id) {
            Ok(stream) => stream,
            Err(error) => return Poll::Ready(Err(error)),
        };
        let Kind::Open(open) = &mut stream.kind else { return Poll::Ready(Err(NOT_CONNECTED)) };
        if open.told {
            return Poll::Ready(Ok(()));
        }
        match open.connection.connected() {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) => {
                open.told = true;
                self.counters.connected += 1;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => {
                self.unconnect(id.0.index);
                Poll::Ready(Err(error))
            }
        }
    }

    /// The connection of a socket whose handshake is done; `Pending` while it is not.
    #[inline]
    fn connection(stream: &mut Stream) -> Poll<Result<&mut Open>> {
        let Kind::Open(open) = &mut stream.kind else { return Poll::Ready(Err(NOT_CONNECTED)) };
        if !open.told {
            match open.connection.connected() {
                Poll::Pending => return Poll::Pending,
                // What went wrong, the connect tells.
                Poll::Ready(Err(_)) => return Poll::Ready(Err(NOT_CONNECTED)),
                Poll::Ready(Ok(())) => {}
            }
        }
        Poll::Ready(Ok(open))
    }

    /// Sends a message. On `Ready(Ok)` it is taken and empty. `Pending`: there is no room, or the completion that is asked for has
    /// not come; the message, or the rest of it, is to be pushed again once the socket is woken as writable.
    ///
    /// Errors: `EBADF`, `ENOTCONN`, `EPIPE` after a shutdown or the peer's end and a reset, `ECONNRESET`, `ETIMEDOUT` and others.
    pub fn stream_push(&mut self, id: StreamId, message: &mut Sga, now: Time) -> Poll<Result<()>> {
        self.streams.now = now;
        let (scarce, full) = (self.streams.held >= self.streams.push_max, self.streams.is_full());
        let open = match self.streams.get(id).map(Self::connection) {
            Ok(Poll::Ready(Ok(open))) => open,
            Ok(Poll::Pending) if scarce => return Poll::Pending,
            Ok(Poll::Pending) => return self.push_early(id, message, now),
            Ok(Poll::Ready(Err(error))) | Err(error) => return Poll::Ready(Err(error)),
        };
        if scarce
            && (full || open.connection.buffers() >= STREAM_BUFFERS_MIN)
            && !message.has_no_segment()
            && open.connection.state().may_push()
        {
            return self.push_starves(id, message, full, now);
        }
        let pushed = open.connection.push(message, now);
        if !matches!(pushed, Poll::Ready(Err(_))) {
            self.settle(id.0.index, now);
        }
        pushed
    }

    /// A push for which there are no buffers, unless a closed connection gives some back.
    #[cold]
    #[inline(never)]
    fn push_starves(&mut self, id: StreamId, message: &mut Sga, full: bool, now: Time) -> Poll<Result<()>> {
        let Some(open) = self.streams.get(id)?.open() else { return Poll::Pending };
        let has_share = open.connection.buffers() >= STREAM_BUFFERS_MIN;
        if !has_share && self.take_from_the_closed(now) {
            return self.stream_push(id, message, now);
        }
        let Some(open) = self.streams.get(id)?.open() else { return Poll::Pending };
        open.starves = true;
        let listed = core::mem::replace(&mut open.listed, true);
        self.streams.refuses |= full;
        if !listed {
            self.streams.starved.push_back(id.0.index);
        }
        Poll::Pending
    }

    /// Whether something that was pushed has not left: what the peer says may let it go.
    #[inline]
    #[must_use]
    pub fn stream_holds_back(&self, id: StreamId) -> bool {
        match self.streams.peek(id).map(|stream| &stream.kind) {
            Ok(Kind::Open(open)) => open.connection.holds_back(),
            _ => false,
        }
    }

    /// Takes what has come, at most so many bytes. The end is an empty message once, then `EPIPE`. `Pending`: the socket is woken
    /// as readable.
    ///
    /// Errors: `EBADF`, `ENOTCONN`, `EPIPE`, `ECONNRESET`, `ETIMEDOUT` and others.
    pub fn stream_pop(&mut self, id: StreamId, at_most: Option<usize>, now: Time) -> Poll<Result<Sga>> {
        self.streams.now = now;
        let open = match self.streams.get(id).map(Self::connection) {
            Ok(Poll::Ready(Ok(open))) => open,
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(Err(error))) | Err(error) => return Poll::Ready(Err(error)),
        };
        let popped = open.connection.pop(at_most, now);
        if matches!(popped, Poll::Ready(Ok(_))) {
            // The window may have opened so far that the peer is to hear of it; mostly, there only is memory again.
            if open.connection.wants_to_send() || open.starves {
                self.settle(id.0.index, now);
            } else {
                let held = open.connection.held();
                let before = core::mem::replace(&mut open.held, held);
                self.streams.held = (self.streams.held + held as usize).saturating_sub(before as usize);
                self.streams.feed_if_room();
            }
        }
        popped
    }

    /// Says that no more will be pushed. The other way stays open.
    ///
    /// # Errors
    /// `EBADF`, `ENOTCONN`, `EPIPE` it was shut down before.
    pub fn stream_shutdown(&mut self, id: StreamId, now: Time) -> Result<()> {
        self.streams.now = now;
        let open = self.streams.get(id)?.open().ok_or(NOT_CONNECTED)?;
        if matches!(open.connection.connected(), Poll::Ready(Err(_))) && !open.told {
            return Err(NOT_CONNECTED);
        }
        if core::mem::replace(&mut open.shut, true) {
            return Err(SHUT);
        }
        open.connection.shutdown(now);
        self.settle(id.0.index, now);
        Ok(())
    }

    /// How a connection does.
    ///
    /// # Errors
    /// `EBADF`, `ENOTCONN`.
    pub fn stream_info(&self, id: StreamId, now: Time) -> Result<Info> {
        match &self.streams.peek(id)?.kind {
            Kind::Open(open) => Ok(open.connection.info(now)),
            _ => Err(NOT_CONNECTED),
        }
    }

    /// A stream socket that is worth trying again; each at most once until something happens to it again. Readable is also who
    /// has a connection to accept; writable also who has connected, or has lingered enough.
    #[inline]
    pub fn stream_woken(&mut self) -> Option<(StreamId, Readiness)> {
        if self.streams.woken.is_empty() {
            return None;
        }
        self.streams.woken()
    }

    /// How many stream sockets there are, connections that end by themselves after their close included.
    #[must_use]
    pub fn streams(&self) -> u32 {
        self.streams.slab.len()
    }

    /// What a segment without options has room for on the way to an address, in bytes.
    #[inline]
    pub(super) fn path_mss(&self, destination: IpAddr, now: Time) -> u16 {
        self.stream_mtus.get(destination, now).bytes.saturating_sub(headers(destination))
    }

    /// What one may have from there to us.
    pub(super) fn link_mss(&self, destination: IpAddr) -> u16 {
        self.stream_mtus.link(destination).bytes.saturating_sub(headers(destination))
    }
}

/// Bytes of the headers of IP and TCP without options.
const fn headers(destination: IpAddr) -> u16 {
    if destination.is_ipv4() { 40 } else { 60 }
}
