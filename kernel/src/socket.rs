// SPDX-License-Identifier: MIT OR Apache-2.0
//! [`Socket`]: a kernel socket that knows what it is, so that a call at the wrong time gives the errno that the API names.
//!
//! ```text
//! idle ── bind ──> idle, bound ── listen ──> listening ── accept ──> (a connected one)
//!   └──── connect ──> connecting ── connected ──> connected
//!             ^            └─ failed or given up ──┐
//!             └────────────── idle ────────────────┘
//! ```
//!
//! A connect is asked about by connecting once more (`connect(2)`): the kernel answers `EALREADY` while it is under way, and
//! what came of it otherwise. So no event has to be trusted, and none can be missed.

mod names;

use crate::address::{check_destination, check_family, internet, unix};
use crate::{group, option, raw};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use names::peer_of;
use runtime::limits::ABORTED_PER_ACCEPT;
use runtime::socket::{Domain, Kind, MulticastInterface, OptionName, SocketOption};
use runtime::tcp_info::TcpInfo;
use runtime::{Errno, Error, Result};
use rustix::io::Errno as Os;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The socket has no peer.
pub const NOT_CONNECTED: Error = Error::new(Errno::NOTCONN, "the socket is not connected");
const BOUND: Error = Error::new(Errno::INVAL, "the socket has an address already");
const NO_STREAM: Error = Error::new(Errno::OPNOTSUPP, "a datagram socket has no connections");
const NO_IP: Error = Error::new(Errno::AFNOSUPPORT, "a Unix socket is named by a path");

/// How far a connect has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connecting {
    /// The socket is connected.
    Done,
    /// The answer of the peer is awaited: the socket becomes writable.
    Pending,
    /// A Unix listener has a full backlog, and the kernel will not say when there is room: ask again after a while.
    Full,
}

/// Where a connect goes, or has gone.
#[derive(Clone, Debug)]
enum Peer {
    Internet(SocketAddr),
    Path(Box<[u8]>),
    /// Whoever was accepted from a Unix socket.
    Unix,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Listening,
    Connecting,
    Connected,
}

/// A non-blocking kernel socket and its state. What sends and receives ask for stands first.
#[derive(Debug)]
#[repr(C)]
pub struct Socket {
    fd: OwnedFd,
    domain: Domain,
    kind: Kind,
    bound: bool,
    state: State,
    /// While it connects or is connected.
    peer: Option<Peer>,
    linger: Option<Duration>,
}

const FLAGS: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);

impl Socket {
    /// Makes a socket. One of IPv6 serves IPv4, too, if it is bound to `[::]`.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOBUFS`, `EAFNOSUPPORT` and others from the kernel.
    pub fn open(domain: Domain, kind: Kind) -> Result<Self> {
        let family = match domain {
            Domain::V4 => AddressFamily::INET,
            Domain::V6 => AddressFamily::INET6,
            Domain::Unix => AddressFamily::UNIX,
        };
        let of_kind = match kind {
            Kind::Stream => SocketType::STREAM,
            Kind::Datagram => SocketType::DGRAM,
        };
        let fd = net::socket_with(family, of_kind, FLAGS, None).map_err(|errno| Error::os(errno, "socket"))?;
        if domain == Domain::V6 {
            // What `net.ipv6.bindv6only` says is for programs that do not say it themselves.
            sockopt::set_ipv6_v6only(&fd, false).map_err(|errno| Error::os(errno, "setsockopt: IPV6_V6ONLY"))?;
        }
        Ok(Self { fd, domain, kind, bound: false, state: State::Idle, peer: None, linger: None })
    }

    /// The socket of a connection that `listener` has accepted; `peer` as the accept gave it, and asked of the kernel if it
    /// did not.
    ///
    /// # Errors
    /// `ENOTCONN` the peer has gone meanwhile, and nobody knows who it was.
    pub fn accepted(fd: OwnedFd, peer: Option<SocketAddr>, listener: &Self) -> Result<Self> {
        let peer = match peer {
            _ if listener.domain == Domain::Unix => Peer::Unix,
            Some(peer) => Peer::Internet(peer),
            None => Peer::Internet(peer_of(fd.as_fd())?),
        };
        let Self { domain, kind, linger, .. } = *listener;
        Ok(Self { fd, domain, kind, bound: true, state: State::Connected, peer: Some(peer), linger })
    }

    /// The socket's family.
    #[inline]
    #[must_use]
    pub const fn domain(&self) -> Domain {
        self.domain
    }

    /// The socket's type.
    #[inline]
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether it has a peer.
    #[inline]
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        matches!(self.state, State::Connected)
    }

    /// Whether a connect is under way.
    #[inline]
    #[must_use]
    pub const fn is_connecting(&self) -> bool {
        matches!(self.state, State::Connecting)
    }

    /// Whether it listens.
    #[inline]
    #[must_use]
    pub const fn is_listening(&self) -> bool {
        matches!(self.state, State::Listening)
    }

    /// `SO_LINGER`, which the kernel is not told.
    #[must_use]
    pub const fn linger(&self) -> Option<Duration> {
        self.linger
    }

    /// Gives it a local address.
    ///
    /// # Errors
    /// `EAFNOSUPPORT`, `EINVAL` it has one, `EADDRNOTAVAIL`, `EADDRINUSE`, `EACCES`.
    pub fn bind(&mut self, address: SocketAddr) -> Result<()> {
        check_family(self.domain, &address)?;
        self.bind_to(&address)
    }

    /// As [`bind`](Self::bind), for a Unix socket.
    ///
    /// # Errors
    /// `EAFNOSUPPORT`, `EINVAL` it has one or this is none, `ENAMETOOLONG`, `EADDRINUSE`, and those of the path.
    pub fn bind_path(&mut self, name: &[u8]) -> Result<()> {
        self.check_paths()?;
        self.bind_to(&unix(name)?)
    }

    fn bind_to(&mut self, address: &impl net::addr::SocketAddrArg) -> Result<()> {
        if self.bound || !matches!(self.state, State::Idle) {
            return Err(BOUND);
        }
        net::bind(&self.fd, address).map_err(|errno| Error::os(errno, "bind"))?;
        self.bound = true;
        Ok(())
    }

    /// Lets others connect.
    ///
    /// # Errors
    /// `EOPNOTSUPP` datagrams, `EDESTADDRREQ` not bound, `EADDRINUSE` listening or connecting, `EINVAL` connected.
    pub fn listen(&mut self, backlog: usize) -> Result<()> {
        if self.kind == Kind::Datagram {
            return Err(NO_STREAM);
        }
        match self.state {
            State::Idle if !self.bound => {
                return Err(Error::new(Errno::DESTADDRREQ, "the socket has no address to listen at: bind it"));
            }
            State::Idle => {}
            State::Listening | State::Connecting => {
                return Err(Error::new(Errno::ADDRINUSE, "the socket listens or connects already"));
            }
            State::Connected => return Err(Error::new(Errno::INVAL, "the socket is connected")),
        }
        let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
        net::listen(&self.fd, backlog).map_err(|errno| Error::os(errno, "listen"))?;
        self.state = State::Listening;
        Ok(())
    }

    /// Whether an accept makes sense.
    ///
    /// # Errors
    /// `EINVAL` it does not listen, `EOPNOTSUPP` datagrams.
    pub fn can_accept(&self) -> Result<()> {
        match self.state {
            _ if self.kind == Kind::Datagram => Err(NO_STREAM),
            State::Listening => Ok(()),
            _ => Err(Error::new(Errno::INVAL, "the socket does not listen")),
        }
    }

    /// Takes a connection that waits; `None` if there is none. One that broke before it was taken is none
    /// (`accept(2)`, error handling).
    ///
    /// # Errors
    /// As [`can_accept`](Self::can_accept); `EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`: the connection waits on.
    pub fn accept(&self) -> Result<Option<Self>> {
        self.can_accept()?;
        for _ in 0..ABORTED_PER_ACCEPT {
            match net::acceptfrom_with(&self.fd, FLAGS) {
                Ok((fd, peer)) => {
                    let peer = peer.and_then(|peer| internet(peer).ok());
                    if let Ok(accepted) = Self::accepted(fd, peer, self) {
                        return Ok(Some(accepted));
                    }
                }
                Err(Os::AGAIN) => return Ok(None),
                Err(errno) if is_of_one_connection(errno) => {}
                Err(errno) => return Err(Error::os(errno, "accept4")),
            }
        }
        // Others have their turn; an edge-triggered watcher must not wait for one.
        Err(Error::new(Errno::CONNABORTED, "too many connections broke before they were accepted"))
    }

    /// Whether a connect makes sense.
    ///
    /// # Errors
    /// `EALREADY` under way, `EISCONN`, `EOPNOTSUPP` listening.
    fn check_connect(&self) -> Result<()> {
        match self.state {
            State::Idle => Ok(()),
            State::Listening => Err(Error::new(Errno::OPNOTSUPP, "the socket listens")),
            State::Connecting => Err(Error::new(Errno::ALREADY, "a connect is under way")),
            // A datagram socket can be given another peer at any time.
            State::Connected if self.kind == Kind::Datagram => Ok(()),
            State::Connected => Err(Error::new(Errno::ISCONN, "the socket is connected")),
        }
    }

    /// Says whom to connect to, and, for a stream, asks the kernel for nothing: [`connecting`](Self::connecting) does, or a back end that
    /// has its own way, which then says what came of it by [`connect_ended`](Self::connect_ended).
    ///
    /// # Errors
    /// `EAFNOSUPPORT`, `EADDRNOTAVAIL` port 0, `EALREADY` under way, `EISCONN`, `EOPNOTSUPP` listening.
    pub fn begin_connect(&mut self, to: SocketAddr) -> Result<()> {
        if self.domain == Domain::Unix {
            return Err(NO_IP);
        }
        check_family(self.domain, &to)?;
        self.check_connect()?;
        check_destination(self.domain, &to)?;
        self.begin(&to, Peer::Internet(to))
    }

    /// As [`begin_connect`](Self::begin_connect), for a Unix socket.
    ///
    /// # Errors
    /// `EAFNOSUPPORT`, `EINVAL` no such name, `ENAMETOOLONG`, and as `begin_connect`.
    pub fn begin_connect_path(&mut self, name: &[u8]) -> Result<()> {
        self.check_paths()?;
        let to = unix(name)?;
        self.check_connect()?;
        self.begin(&to, Peer::Path(name.into()))
    }

    fn begin(&mut self, to: &impl net::addr::SocketAddrArg, peer: Peer) -> Result<()> {
        if self.kind == Kind::Stream {
            (self.state, self.peer) = (State::Connecting, Some(peer));
            return Ok(());
        }
        // Nobody has to answer. If it cannot be done, the socket keeps the peer that it had.
        net::connect(&self.fd, to).map_err(|errno| Error::os(errno, "connect"))?;
        (self.state, self.peer) = (State::Connected, Some(self.known(peer)));
        Ok(())
    }

    /// The wildcard stands for this host; the kernel knows by which address.
    fn known(&self, peer: Peer) -> Peer {
        match peer {
            Peer::Internet(to) if to.ip().is_unspecified() => Peer::Internet(peer_of(self.as_fd()).unwrap_or(to)),
            peer => peer,
        }
    }

    /// Asks the kernel to connect, or what has come of it. After an error the socket is as before, and can connect again.
    ///
    /// # Errors
    /// `ENOTCONN` no connect was begun; all those of `connect(2)`.
    pub fn connecting(&mut self) -> Result<Connecting> {
        let asked = match (self.state, &self.peer) {
            (State::Connected, _) => return Ok(Connecting::Done),
            (State::Connecting, Some(Peer::Internet(to))) => net::connect(&self.fd, to),
            (State::Connecting, Some(Peer::Path(name))) => net::connect(&self.fd, &unix(name)?),
            _ => return Err(NOT_CONNECTED),
        };
        match asked {
            // Interrupted: it goes on in the background, as one that is non-blocking does anyhow.
            Err(Os::INPROGRESS | Os::ALREADY | Os::INTR) => Ok(Connecting::Pending),
            Err(Os::AGAIN) if self.domain == Domain::Unix => Ok(Connecting::Full),
            Ok(()) | Err(Os::ISCONN) => self.connect_ended(Ok(())).map(|()| Connecting::Done),
            // It came about, and the peer has ended and reset it meanwhile: what the kernel has for that is for writers.
            Err(Os::PIPE) => self.connect_ended(Err(Error::os(Os::CONNRESET, "connect"))).map(|()| Connecting::Done),
            Err(errno) => self.connect_ended(Err(Error::os(errno, "connect"))).map(|()| Connecting::Done),
        }
    }

    /// What came of a connect.
    ///
    /// # Errors
    /// `outcome` itself.
    pub fn connect_ended(&mut self, outcome: Result<()>) -> Result<()> {
        let (state, peer) = (core::mem::replace(&mut self.state, State::Idle), self.peer.take());
        if let (State::Connecting, Some(peer), Ok(())) = (state, peer, outcome) {
            (self.state, self.peer) = (State::Connected, Some(self.known(peer)));
        }
        outcome
    }

    /// Gives a connect up: nobody hears of it any more, and the socket can connect again.
    pub fn give_up_connect(&mut self) {
        if !self.is_connecting() {
            return;
        }
        (self.state, self.peer) = (State::Idle, None);
        // A connection that has come about meanwhile is reset. Where this is not known (Unix), nothing was under way.
        let _ = net::connect_unspec(&self.fd);
        // What became of the old one is no news for the next.
        let _ = sockopt::socket_error(&self.fd);
    }

    /// Ends the stream from this side. Of a datagram socket nobody has to be told.
    ///
    /// # Errors
    /// `ENOTCONN`.
    pub fn shutdown_write(&self) -> Result<()> {
        if !self.is_connected() {
            return Err(NOT_CONNECTED);
        }
        if self.kind == Kind::Datagram {
            return Ok(());
        }
        match net::shutdown(&self.fd, net::Shutdown::Write) {
            // The peer has gone: the end that it would read is read by nobody.
            Ok(()) | Err(Os::NOTCONN) => Ok(()),
            Err(errno) => Err(Error::os(errno, "shutdown")),
        }
    }

    /// Makes that closing resets the connection: `SO_LINGER` of zero.
    ///
    /// # Errors
    /// From `setsockopt(2)`.
    pub fn reset_on_close(&self) -> Result<()> {
        sockopt::set_socket_linger(&self.fd, Some(Duration::ZERO))
            .map_err(|errno| Error::os(errno, "setsockopt: SO_LINGER"))
    }

    /// Resets the connection now; what was sent and not acknowledged is dropped.
    pub fn reset(&mut self) {
        (self.state, self.peer) = (State::Idle, None);
        // It can fail only where there is no connection.
        let _ = net::connect_unspec(&self.fd);
    }

    /// Sets an option.
    ///
    /// # Errors
    /// `ENOPROTOOPT` such a socket does not have it; what the kernel says.
    pub fn set_option(&mut self, option: SocketOption) -> Result<()> {
        option::set(self.fd.as_fd(), self.domain, self.kind, &mut self.linger, option)
    }

    /// Reads an option.
    ///
    /// # Errors
    /// As [`set_option`](Self::set_option).
    pub fn option(&self, name: OptionName) -> Result<SocketOption> {
        option::get(self.fd.as_fd(), self.domain, self.kind, self.linger, name)
    }

    /// Makes it a member of a group, or ends that.
    ///
    /// # Errors
    /// `ENOPROTOOPT` no UDP socket, `EAFNOSUPPORT`, `ENODEV`; what the kernel says: `EADDRINUSE` a member already, `EADDRNOTAVAIL` no
    /// member, `ENODEV`, `ENOBUFS`.
    pub fn change_membership(&mut self, group: IpAddr, interface: MulticastInterface, join: bool) -> Result<()> {
        group::change(self.fd.as_fd(), (self.domain, self.kind), group, interface, join)
    }

    /// How its connection fares: `TCP_INFO` of `tcp(7)`.
    ///
    /// # Errors
    /// `ENOPROTOOPT` the socket is not TCP's.
    pub fn tcp_info(&self) -> Result<TcpInfo> {
        const NO_TCP: Error = Error::new(Errno::NOPROTOOPT, "the socket is not one of TCP");
        match (self.domain, self.kind) {
            (Domain::V4 | Domain::V6, Kind::Stream) => raw::tcp_info(self.fd.as_fd()),
            _ => Err(NO_TCP),
        }
    }
}

impl AsFd for Socket {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Errors of `accept(2)` that are about the one connection that would have been taken, and not about the listener.
#[must_use]
pub const fn is_of_one_connection(errno: Os) -> bool {
    matches!(
        errno,
        Os::INTR
            | Os::CONNABORTED
            | Os::PROTO
            | Os::NETDOWN
            | Os::NETUNREACH
            | Os::HOSTDOWN
            | Os::HOSTUNREACH
            | Os::NONET
            | Os::NOPROTOOPT
            | Os::OPNOTSUPP
            | Os::PERM
    )
}

/// Errors of `accept(2)` after which the connection waits on, until there are descriptors or memory for it.
#[must_use]
pub const fn is_shortage(errno: Os) -> bool {
    matches!(errno, Os::MFILE | Os::NFILE | Os::NOBUFS | Os::NOMEM)
}

#[cfg(test)]
mod tests;
