// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sockets: making, naming, listening, accepting, connecting, and pushing datagrams. `paths` has the names of Unix sockets.

use super::queues::Queue;
use super::{IntoMessage, LibOs, SHUT};
use core::net::{IpAddr, SocketAddr};
use core::task::Poll;
use core::time::Duration;
use runtime::limits::BACKLOG_MAX;
use runtime::op::{Datagram, Direction, Outcome, Work};
use runtime::socket::{Destination, Domain, Kind, MulticastInterface, OptionName, SocketOption};
use runtime::tcp_info::TcpInfo;
use runtime::{Errno, Error, Qd, Qt, Result};

const NO_SOCKETS: Error = Error::new(Errno::NOTSUP, "no configured back end serves sockets: set libos");
const NO_DATAGRAMS: Error = Error::new(Errno::OPNOTSUPP, "this queue is no datagram socket");
const RANGE: Error = Error::new(Errno::INVAL, "the value of the socket option is out of its range");

/// Longest times and counts that `tcp(7)` takes for keep-alive.
const KEEP_SECONDS_MAX: u64 = 32_767;
const KEEP_COUNT_MAX: u32 = 127;
/// Longest `SO_LINGER`, as an `int` of seconds that Linux takes.
const LINGER_MAX: Duration = Duration::from_secs(65_535);

impl LibOs {
    /// Makes a socket, served by the back end that the configuration names (`libos`, or the variable `LIBOS`). Unix sockets
    /// are named by paths: see [`bind_path`](Self::bind_path).
    ///
    /// # Errors
    /// `ENOTSUP` that back end has none of this kind; `EAFNOSUPPORT` none of this family; `EMFILE` too many queues.
    ///
    /// ```
    /// use margay::{Config, Domain, Kind, LibOs};
    /// use std::net::SocketAddr;
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    ///
    /// let mut libos = LibOs::new(&config)?;
    /// let listening = libos.socket(Domain::V4, Kind::Stream)?;
    /// libos.bind(listening, "127.0.0.1:0".parse()?)?;
    /// libos.listen(listening, 16)?;
    /// let address: SocketAddr = libos.local_address(listening)?;
    ///
    /// // A connection to oneself works, and is made before it is accepted.
    /// let calling = libos.socket(Domain::V4, Kind::Stream)?;
    /// let connecting = libos.connect(calling, address)?;
    /// libos.wait(connecting, None)?.ok()?;
    /// let accepting = libos.accept(listening)?;
    /// let served = libos.wait(accepting, None)?.accepted()?;
    /// assert_eq!(libos.peer_address(served)?, libos.local_address(calling)?);
    ///
    /// let (pushed, popped) = (libos.push(calling, b"hello")?, libos.pop(served, None)?);
    /// assert_eq!(libos.wait(popped, None)?.into_message()?.to_vec(), b"hello");
    /// libos.wait(pushed, None)?.ok()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn socket(&mut self, domain: Domain, kind: Kind) -> Result<Qd> {
        let index = self.backends.sockets().ok_or(NO_SOCKETS)?;
        let qd =
            self.new_queue(|backends, id| backends.get(index).socket(id, domain, kind).map(|handle| (index, handle)))?;
        let queue = self.queues.get(qd)?;
        queue.datagrams = kind == Kind::Datagram;
        queue.unix = domain == Domain::Unix;
        Ok(qd)
    }

    /// Gives a socket its local address. Port 0 takes any that is free; [`local_address`](Self::local_address) says which.
    ///
    /// # Errors
    /// `EBADF`; `EAFNOSUPPORT` an address of the other family; `EINVAL` bound already; `EADDRNOTAVAIL` not an address of
    /// this host; `EADDRINUSE` taken; `EOPNOTSUPP` the queue is no socket.
    ///
    /// ```
    /// # use margay::{Config, Domain, Errno, Kind, LibOs};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// let (first, second) = (libos.socket(Domain::V4, Kind::Stream)?, libos.socket(Domain::V4, Kind::Stream)?);
    /// libos.bind(first, "127.0.0.1:7".parse()?)?;
    /// assert_eq!(libos.bind(second, "127.0.0.1:7".parse()?).unwrap_err().errno(), Errno::ADDRINUSE);
    /// assert_eq!(libos.bind(second, "192.0.2.1:7".parse()?).unwrap_err().errno(), Errno::ADDRNOTAVAIL);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn bind(&mut self, qd: Qd, address: SocketAddr) -> Result<()> {
        let queue = self.queues.get(qd)?;
        queue.takes_addresses()?;
        self.backends.get(queue.backend).bind(queue.handle, address)
    }

    /// Lets others connect to a bound stream socket. At most `backlog` connections (1 to 4,096) wait to be accepted;
    /// who comes beyond that waits, or is refused, as the configuration says.
    ///
    /// # Errors
    /// `EBADF`; `EDESTADDRREQ` not bound; `EADDRINUSE` it listens or connects already; `EINVAL` it is connected;
    /// `EOPNOTSUPP` no stream socket. See [`socket`](Self::socket) for an example.
    ///
    /// ```
    /// # use margay::{Config, Domain, Errno, Kind, LibOs};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// let socket = libos.socket(Domain::V4, Kind::Stream)?;
    /// assert_eq!(libos.listen(socket, 1).unwrap_err().errno(), Errno::DESTADDRREQ);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn listen(&mut self, qd: Qd, backlog: usize) -> Result<()> {
        let queue = self.queues.get(qd)?;
        self.backends.get(queue.backend).listen(queue.handle, backlog.clamp(1, BACKLOG_MAX))
    }

    /// Accepts one connection of a listening socket: completes with [`Outcome::Accept`] and the connection's queue.
    ///
    /// # Errors
    /// `EBADF`; `EINVAL` the socket does not listen; `EOPNOTSUPP` no stream socket; `EAGAIN` too many tokens are open.
    /// With the completion: `EMFILE` too many queues are open; the connection then waits on, and every accept that is pending
    /// ends so. See
    /// [`socket`](Self::socket) for an example.
    ///
    /// ```
    /// # use margay::{Config, Domain, Errno, Kind, LibOs};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// let socket = libos.socket(Domain::V4, Kind::Stream)?;
    /// assert_eq!(libos.accept(socket).unwrap_err().errno(), Errno::INVAL);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn accept(&mut self, qd: Qd) -> Result<Qt> {
        let queue = self.queues.get(qd)?;
        self.backends.get(queue.backend).can_accept(queue.handle)?;
        self.ops.reserve()?;
        if queue.fifos[Direction::Pop as usize].is_empty()
            && let Some(outcome) = self.take_connection(qd)
        {
            return self.ops.finished(qd, outcome);
        }
        let queue = self.queues.get(qd)?;
        self.ops.park(qd, Work::Accept, &mut queue.fifos[Direction::Pop as usize])
    }

    /// Takes a connection that waits to be accepted, and gives it a queue.
    pub(super) fn take_connection(&mut self, qd: Qd) -> Option<Outcome> {
        let id = match self.queues.reserve() {
            Ok(id) => id,
            Err(error) => return Some(Outcome::Failed(error)),
        };
        let &mut Queue { backend, handle, unix, .. } = self.queues.get(qd).ok()?;
        match self.backends.get(backend).accept(handle, id) {
            Poll::Pending => None,
            Poll::Ready(Err(error)) => Some(Outcome::Failed(error)),
            Poll::Ready(Ok(connection)) => {
                self.wakes.grow(id as usize + 1);
                let accepted = self.queues.insert(id, backend, connection);
                if let Ok(queue) = self.queues.get(accepted) {
                    queue.unix = unix;
                }
                Some(Outcome::Accept(accepted))
            }
        }
    }

    /// Connects a socket: completes with [`Outcome::Connect`]. What is pushed before that waits for it. For a datagram
    /// socket it only says whom it talks to.
    ///
    /// # Errors
    /// `EBADF`; `EAFNOSUPPORT` an address of the other family; `EALREADY` it is connecting; `EISCONN` it is connected;
    /// `EADDRNOTAVAIL` port 0, or no local port is free; `ENETUNREACH` not an address that this back end reaches;
    /// `EOPNOTSUPP` it listens, or is no socket; `EAGAIN` too many tokens are open. With the completion: `ECONNREFUSED`
    /// nobody listens there; `ETIMEDOUT` the backlog was full for too long; `EACCES` it belongs to another user; `ENOBUFS` the
    /// listener has no memory or descriptors left. See
    /// [`socket`](Self::socket) for an example.
    ///
    /// ```
    /// # use margay::{Config, Domain, Errno, Kind, LibOs};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// let socket = libos.socket(Domain::V4, Kind::Stream)?;
    /// let connecting = libos.connect(socket, "127.0.0.1:9".parse()?)?;
    /// assert_eq!(libos.wait(connecting, None)?.ok().unwrap_err().errno(), Errno::CONNREFUSED);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn connect(&mut self, qd: Qd, to: SocketAddr) -> Result<Qt> {
        self.connect_by(qd, Destination::Address(to))
    }

    pub(super) fn connect_by(&mut self, qd: Qd, to: Destination<'_>) -> Result<Qt> {
        let queue = self.queues.get(qd)?;
        queue.takes(to)?;
        self.ops.reserve()?;
        // Its deadline counts from now, not from the last wait.
        self.reactor.refresh_clock();
        let backend = self.backends.get(queue.backend);
        match to {
            Destination::Address(to) => backend.connect(queue.handle, to)?,
            Destination::Path(to) => backend.connect_path(queue.handle, to)?,
        }
        match backend.connected(queue.handle) {
            Poll::Ready(done) => self.ops.finished(qd, done.map_or_else(Outcome::Failed, |()| Outcome::Connect)),
            Poll::Pending => self.ops.park(qd, Work::Connect, &mut queue.fifos[Direction::Push as usize]),
        }
    }

    /// Pushes one datagram to an address. An empty one is a datagram, too.
    ///
    /// # Errors
    /// `EBADF`; `EOPNOTSUPP` the queue is no datagram socket; `EPIPE` after [`shutdown`](Self::shutdown); `EAGAIN` too
    /// many tokens are open; `ENOBUFS` no buffer to copy the bytes into. With the completion: `EAFNOSUPPORT` an address of
    /// the other family; `EMSGSIZE` too long for a datagram; `ENETUNREACH` not an address that this back end reaches;
    /// `EADDRNOTAVAIL` port 0, or no local port is free; `ECONNREFUSED` a connected socket's peer was not there for an
    /// earlier one. A datagram that nobody takes is lost without an error.
    ///
    /// ```
    /// # use margay::{Config, Domain, Kind, LibOs};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// let (server, client) = (libos.socket(Domain::V4, Kind::Datagram)?, libos.socket(Domain::V4, Kind::Datagram)?);
    /// libos.bind(server, "127.0.0.1:53".parse()?)?;
    /// libos.push_to(client, b"who are you?", "127.0.0.1:53".parse()?)?;
    /// let popped = libos.pop(server, None)?;
    /// let question = libos.wait(popped, None)?.into_datagram()?;
    /// assert_eq!(question.sender(), libos.local_address(client)?);
    /// assert_eq!(question.into_message().to_vec(), b"who are you?");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn push_to(&mut self, qd: Qd, message: impl IntoMessage, to: SocketAddr) -> Result<Qt> {
        self.push_by(qd, message, Destination::Address(to))
    }

    pub(super) fn push_by(&mut self, qd: Qd, message: impl IntoMessage, to: Destination<'_>) -> Result<Qt> {
        let queue = self.queues.get(qd)?;
        if !queue.datagrams {
            return Err(NO_DATAGRAMS);
        }
        if queue.shut {
            return Err(SHUT);
        }
        self.ops.reserve()?;
        if let Err(error) = queue.takes(to) {
            return self.ops.finished(qd, Outcome::Failed(error));
        }
        let mut message = message.into_message(&self.pools)?;
        let len = message.len();
        let fifo = &mut queue.fifos[Direction::Push as usize];
        let asked = fifo.is_empty();
        if asked {
            let backend = self.backends.get(queue.backend);
            let pushed = match to {
                Destination::Address(to) => backend.push_to(queue.handle, &mut message, to),
                Destination::Path(to) => backend.push_to_path(queue.handle, &mut message, to),
            };
            match pushed {
                Poll::Ready(Ok(())) => {
                    self.counted.pushed(len);
                    return self.ops.pushed(qd);
                }
                Poll::Ready(Err(error)) => return self.ops.finished(qd, Outcome::Failed(error)),
                Poll::Pending => {}
            }
        }
        let datagram = Datagram::to(to, message, &self.pools).inspect_err(|_| {
            if asked {
                // It may have taken the message already: what comes of that belongs to no token.
                self.backends.get(queue.backend).canceled(queue.handle, Direction::Push);
            }
        })?;
        self.counted.pushed(len);
        self.ops.park(qd, Work::PushTo(datagram), fifo)
    }

    /// A socket's own address: the wildcard with port 0 as long as it has none.
    ///
    /// # Errors
    /// `EBADF`; `EOPNOTSUPP` the queue is no socket; `EAFNOSUPPORT` it is a Unix socket.
    ///
    /// ```
    /// # use margay::{Config, Domain, Kind, LibOs};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// let socket = libos.socket(Domain::V6, Kind::Stream)?;
    /// assert_eq!(libos.local_address(socket)?, "[::]:0".parse()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn local_address(&mut self, qd: Qd) -> Result<SocketAddr> {
        let queue = self.queues.get(qd)?;
        queue.takes_addresses()?;
        self.backends.get(queue.backend).local_address(queue.handle)
    }

    /// The address of a connected socket's peer.
    ///
    /// # Errors
    /// `EBADF`; `ENOTCONN`; `EOPNOTSUPP` the queue is no socket; `EAFNOSUPPORT` it is a Unix socket. See
    /// [`socket`](Self::socket) for an example.
    ///
    /// ```
    /// # use margay::{Config, Domain, Errno, Kind, LibOs};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// let socket = libos.socket(Domain::V4, Kind::Stream)?;
    /// assert_eq!(libos.peer_address(socket).unwrap_err().errno(), Errno::NOTCONN);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn peer_address(&mut self, qd: Qd) -> Result<SocketAddr> {
        let queue = self.queues.get(qd)?;
        queue.takes_addresses()?;
        self.backends.get(queue.backend).peer_address(queue.handle)
    }

    /// Sets an option of a socket. Connections that a listening socket accepts have its options.
    ///
    /// # Errors
    /// `EBADF`; `EINVAL` the value is out of its range; `ENOPROTOOPT` this socket does not have the option; `EOPNOTSUPP`
    /// the queue is no socket.
    ///
    /// ```
    /// # use margay::{Config, Domain, Kind, LibOs, OptionName, SocketOption};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// let socket = libos.socket(Domain::V4, Kind::Stream)?;
    /// libos.set_option(socket, SocketOption::NoDelay(true))?;
    /// assert_eq!(libos.option(socket, OptionName::NoDelay)?, SocketOption::NoDelay(true));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_option(&mut self, qd: Qd, option: SocketOption) -> Result<()> {
        let queue = self.queues.get(qd)?;
        check(option)?;
        self.backends.get(queue.backend).set_option(queue.handle, option)
    }

    /// Reads an option of a socket. See [`set_option`](Self::set_option).
    ///
    /// # Errors
    /// `EBADF`; `ENOPROTOOPT` this socket does not have the option; `EOPNOTSUPP` the queue is no socket.
    ///
    /// ```
    /// # use margay::{Config, Domain, Kind, LibOs, OptionName, SocketOption};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// let socket = libos.socket(Domain::V4, Kind::Stream)?;
    /// assert_eq!(libos.option(socket, OptionName::Linger)?, SocketOption::Linger(None));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn option(&mut self, qd: Qd, name: OptionName) -> Result<SocketOption> {
        let queue = self.queues.get(qd)?;
        self.backends.get(queue.backend).option(queue.handle, name)
    }

    /// Makes a datagram socket a member of a multicast group: it hears what is sent to the group and the port that it is bound to, for as
    /// long as it is open. `IP_ADD_MEMBERSHIP` of `ip(7)`, `IPV6_ADD_MEMBERSHIP` of `ipv6(7)`.
    ///
    /// # Errors
    /// `EBADF`; `EINVAL` no multicast address; `EAFNOSUPPORT` not of the socket's family (an IPv6 socket takes groups of IPv4 as v4-mapped);
    /// `EADDRINUSE` a member already; `ENODEV` no such interface, or no route to the group; `ENOBUFS` too many groups; `ENOPROTOOPT` no
    /// datagram socket; `EOPNOTSUPP` the queue is no socket, or its back end has no groups.
    ///
    /// ```
    /// # use margay::{Config, Domain, Kind, LibOs, MulticastInterface};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config { libos: Some("catnap".to_owned()), ..Config::default() };
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// let socket = libos.socket(Domain::V4, Kind::Datagram)?;
    /// libos.bind(socket, "0.0.0.0:0".parse()?)?;
    /// let loopback = MulticastInterface::WithAddress("127.0.0.1".parse()?);
    /// libos.join_group(socket, "239.1.2.3".parse()?, loopback)?;
    /// libos.leave_group(socket, "239.1.2.3".parse()?, loopback)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join_group(&mut self, qd: Qd, group: IpAddr, interface: MulticastInterface) -> Result<()> {
        let queue = self.queues.get(qd)?;
        check_group(group)?;
        self.backends.get(queue.backend).join_group(queue.handle, group, interface)
    }

    /// Ends what [`join_group`](Self::join_group) began, with the same interface.
    ///
    /// # Errors
    /// `EADDRNOTAVAIL` it is no member there; else as `join_group`, where there is an example.
    pub fn leave_group(&mut self, qd: Qd, group: IpAddr, interface: MulticastInterface) -> Result<()> {
        let queue = self.queues.get(qd)?;
        check_group(group)?;
        self.backends.get(queue.backend).leave_group(queue.handle, group, interface)
    }

    /// How the connection of a socket fares: `TCP_INFO` of `tcp(7)`, by whoever does TCP for it. A socket that has no connection says so by its
    /// [state](TcpInfo::state).
    ///
    /// # Errors
    /// `EBADF`; `ENOPROTOOPT` the socket has no TCP; `EOPNOTSUPP` the queue is no socket, or its back end needs no TCP.
    ///
    /// ```
    /// # use margay::{Config, Domain, Kind, LibOs, TcpState};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config { libos: Some("catnap".to_owned()), ..Config::default() };
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// let socket = libos.socket(Domain::V4, Kind::Stream)?;
    /// assert_eq!(libos.tcp_info(socket)?.state, TcpState::Closed);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn tcp_info(&mut self, qd: Qd) -> Result<TcpInfo> {
        let queue = self.queues.get(qd)?;
        self.backends.get(queue.backend).tcp_info(queue.handle)
    }
}

fn check_group(group: IpAddr) -> Result<()> {
    const NO_GROUP: Error = Error::new(Errno::INVAL, "not a multicast address");
    if group.to_canonical().is_multicast() { Ok(()) } else { Err(NO_GROUP) }
}

fn check(option: SocketOption) -> Result<()> {
    let whole_seconds = |time: Duration| time.subsec_nanos() == 0 && (1..=KEEP_SECONDS_MAX).contains(&time.as_secs());
    let holds = match option {
        SocketOption::Linger(Some(time)) => time <= LINGER_MAX,
        SocketOption::KeepIdle(time) | SocketOption::KeepInterval(time) => whole_seconds(time),
        SocketOption::KeepCount(count) => (1..=KEEP_COUNT_MAX).contains(&count),
        SocketOption::Linger(None)
        | SocketOption::NoDelay(_)
        | SocketOption::KeepAlive(_)
        | SocketOption::SendBuffer(_)
        | SocketOption::ReceiveBuffer(_)
        | SocketOption::ReuseAddress(_)
        | SocketOption::SegmentSize(_)
        | SocketOption::MulticastHops(_)
        | SocketOption::MulticastLoop(_) => true,
    };
    if holds { Ok(()) } else { Err(RANGE) }
}
