// SPDX-License-Identifier: MIT OR Apache-2.0
//! The trait that every back end implements: what serves the queues.
//!
//! A transport never blocks and never calls up. An operation that cannot finish now answers `Pending`; it is tried again
//! after the transport has woken that queue's direction through [`Wakes`]. One operation per queue and direction is tried
//! at a time, in the order in which they were begun, so a transport sees a queue's pushes, and its pops, one after the
//! other.

use crate::buf::{Buf, Sga};
use crate::op::{Direction, Wakes};
use crate::reactor::Event;
use crate::socket::{Counters, Domain, Kind, MulticastInterface, OptionName, SocketOption};
use crate::tcp_info::TcpInfo;
use crate::{Errno, Error, Result};
use core::net::{IpAddr, SocketAddr};
use core::num::NonZeroUsize;
use core::task::Poll;
use core::time::Duration;
use std::os::fd::BorrowedFd;

/// The index of a queue in its LibOs' table: what a transport wakes.
pub type QueueId = u32;

/// A transport's own name for one of its queues, given to the LibOs when the queue was made.
pub type Handle = u32;

/// How a pop takes the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PopMode {
    /// The whole message, in memory that nobody else writes (memory that was handed over by reference excepted).
    Whole,
    /// At most so many bytes of the message; the rest stays for the next pop.
    AtMost(NonZeroUsize),
    /// The whole message where it lies, without a copy if the transport can. Its room comes back when it is dropped.
    InPlace,
}

/// What [`Transport::arm`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Armed {
    /// Nothing is ready, and an event will come through the reactor once something is.
    Quiet,
    /// Something became ready meanwhile: poll again, do not sleep.
    Ready,
}

const NO_SOCKET: Error = Error::new(Errno::OPNOTSUPP, "this queue is no socket");
const NO_PATHS: Error = Error::new(Errno::AFNOSUPPORT, "this queue is no Unix socket");
const NO_TCP: Error = Error::new(Errno::OPNOTSUPP, "what carries this queue is not TCP");
const NO_GROUPS: Error = Error::new(Errno::OPNOTSUPP, "this back end has no multicast groups");
const NOT_HERE: Error = Error::new(Errno::NOTSUP, "this back end does not have this call");

/// What serves queues: pipes, sockets.
pub trait Transport {
    /// The name that the configuration uses.
    fn name(&self) -> &'static str;

    /// Makes a named pipe and waits in the background for its one peer.
    ///
    /// # Errors
    /// `EINVAL` bad name, `EEXIST` taken, `ENOTSUP` no pipes here.
    fn create_pipe(&mut self, _queue: QueueId, _name: &str) -> Result<Handle> {
        Err(NOT_HERE)
    }

    /// Opens a named pipe that another LibOs has made.
    ///
    /// # Errors
    /// `EINVAL`, `ENOENT`, `ECONNREFUSED`, `EACCES`, `ENOTSUP` no pipes here.
    fn open_pipe(&mut self, _queue: QueueId, _name: &str) -> Result<Handle> {
        Err(NOT_HERE)
    }

    /// Makes a socket.
    ///
    /// # Errors
    /// `ENOTSUP` no sockets here, or not of this kind; `EMFILE`.
    fn socket(&mut self, _queue: QueueId, _domain: Domain, _kind: Kind) -> Result<Handle> {
        Err(NOT_HERE)
    }

    /// Gives a socket its local address. Port 0: any that is free.
    ///
    /// # Errors
    /// `EAFNOSUPPORT` the other family, `EINVAL` bound already, `EADDRNOTAVAIL` not an address of this host,
    /// `EADDRINUSE` taken.
    fn bind(&mut self, _handle: Handle, _address: SocketAddr) -> Result<()> {
        Err(NO_SOCKET)
    }

    /// From now on others can connect; `backlog` connections, at least one, may wait to be accepted.
    ///
    /// # Errors
    /// `EDESTADDRREQ` not bound, `EADDRINUSE` listening or connecting already, `EINVAL` connected, `EOPNOTSUPP` datagrams.
    fn listen(&mut self, _handle: Handle, _backlog: usize) -> Result<()> {
        Err(NO_SOCKET)
    }

    /// Whether [`accept`](Self::accept) makes sense for this socket.
    ///
    /// # Errors
    /// `EINVAL` it does not listen, `EOPNOTSUPP` no stream socket.
    fn can_accept(&mut self, _handle: Handle) -> Result<()> {
        Err(NO_SOCKET)
    }

    /// Takes a connection that waits to be accepted. `queue` is the index that it will have in the LibOs' table.
    /// `Pending`: the listening queue's [`Direction::Pop`] is woken when there is one.
    fn accept(&mut self, _handle: Handle, _queue: QueueId) -> Poll<Result<Handle>> {
        Poll::Ready(Err(NO_SOCKET))
    }

    /// Begins to connect; [`connected`](Self::connected) says what comes of it.
    ///
    /// # Errors
    /// `EAFNOSUPPORT`, `EALREADY` under way, `EISCONN`, `EOPNOTSUPP` listening, `EADDRNOTAVAIL` port 0 or none free,
    /// `ENETUNREACH`.
    fn connect(&mut self, _handle: Handle, _to: SocketAddr) -> Result<()> {
        Err(NO_SOCKET)
    }

    /// What came of a connect: `ECONNREFUSED`, `ETIMEDOUT` and others come here. `Pending`: the queue's
    /// [`Direction::Push`] is woken when it is known.
    fn connected(&mut self, _handle: Handle) -> Poll<Result<()>> {
        Poll::Ready(Err(NO_SOCKET))
    }

    /// Pushes a datagram to an address, as [`push`](Self::push).
    fn push_to(&mut self, _handle: Handle, _message: &mut Sga, _to: SocketAddr) -> Poll<Result<()>> {
        Poll::Ready(Err(NO_SOCKET))
    }

    /// The socket's own address; the wildcard with port 0 if it is not bound.
    ///
    /// # Errors
    /// `EOPNOTSUPP` no socket.
    fn local_address(&mut self, _handle: Handle) -> Result<SocketAddr> {
        Err(NO_SOCKET)
    }

    /// The address of the socket's peer.
    ///
    /// # Errors
    /// `ENOTCONN`; `EOPNOTSUPP` no socket.
    fn peer_address(&mut self, _handle: Handle) -> Result<SocketAddr> {
        Err(NO_SOCKET)
    }

    /// Sets an option of a socket, whose value is in its range.
    ///
    /// # Errors
    /// `ENOPROTOOPT` this socket does not have it; `EOPNOTSUPP` no socket.
    fn set_option(&mut self, _handle: Handle, _option: SocketOption) -> Result<()> {
        Err(NO_SOCKET)
    }

    /// Reads an option of a socket.
    ///
    /// # Errors
    /// As [`set_option`](Self::set_option).
    fn option(&mut self, _handle: Handle, _name: OptionName) -> Result<SocketOption> {
        Err(NO_SOCKET)
    }

    /// Makes a datagram socket a member of a group, which is a multicast address.
    ///
    /// # Errors
    /// `EAFNOSUPPORT` not of the socket's family, `EADDRINUSE` a member already, `ENODEV` no such interface, `ENOBUFS` too many groups,
    /// `ENOPROTOOPT` no datagram socket; `EOPNOTSUPP` no socket, or a back end without groups.
    fn join_group(&mut self, _handle: Handle, _group: IpAddr, _interface: MulticastInterface) -> Result<()> {
        Err(NO_GROUPS)
    }

    /// Ends what [`join_group`](Self::join_group) began.
    ///
    /// # Errors
    /// `EADDRNOTAVAIL` no member there; else as `join_group`.
    fn leave_group(&mut self, _handle: Handle, _group: IpAddr, _interface: MulticastInterface) -> Result<()> {
        Err(NO_GROUPS)
    }

    /// How the connection of a TCP socket fares.
    ///
    /// # Errors
    /// `ENOPROTOOPT` this socket has no TCP; `EOPNOTSUPP` no socket, or a back end without TCP.
    fn tcp_info(&mut self, _handle: Handle) -> Result<TcpInfo> {
        Err(NO_TCP)
    }

    /// Hands over what its device has counted, if it has one of its own: a name and a value at a time. It may take some time, for a driver
    /// may ask its card: not for the way of a message.
    fn device_counters(&mut self, _tell: &mut dyn FnMut(&str, u64)) {}

    /// As [`bind`](Self::bind), to a name of `unix(7)`: a path, or an abstract name that begins with a NUL byte.
    ///
    /// # Errors
    /// `EAFNOSUPPORT` no Unix socket, `EINVAL` bound already or no such name, `EADDRINUSE`, and those of `bind(2)`.
    fn bind_path(&mut self, _handle: Handle, _path: &[u8]) -> Result<()> {
        Err(NO_PATHS)
    }

    /// As [`connect`](Self::connect), to a name of `unix(7)`.
    ///
    /// # Errors
    /// `EAFNOSUPPORT` no Unix socket, and those of `connect`.
    fn connect_path(&mut self, _handle: Handle, _path: &[u8]) -> Result<()> {
        Err(NO_PATHS)
    }

    /// As [`push_to`](Self::push_to), to a name of `unix(7)`.
    fn push_to_path(&mut self, _handle: Handle, _message: &mut Sga, _path: &[u8]) -> Poll<Result<()>> {
        Poll::Ready(Err(NO_PATHS))
    }

    /// The name of a Unix socket; empty if it has none.
    ///
    /// # Errors
    /// `EAFNOSUPPORT` no Unix socket.
    fn local_path(&mut self, _handle: Handle) -> Result<Vec<u8>> {
        Err(NO_PATHS)
    }

    /// The name of a Unix socket's peer; empty if it has none.
    ///
    /// # Errors
    /// `ENOTCONN`; `EAFNOSUPPORT` no Unix socket.
    fn peer_path(&mut self, _handle: Handle) -> Result<Vec<u8>> {
        Err(NO_PATHS)
    }

    /// What this back end has counted: connections and drops. Messages and bytes are counted by the LibOs.
    fn counters(&self) -> Counters {
        Counters::default()
    }

    /// Pushes the message, or what is left of it: on `Pending` the transport may have taken a part, and must be given the
    /// same message again.
    fn push(&mut self, handle: Handle, message: &mut Sga) -> Poll<Result<()>>;

    /// Pushes these bytes, of which there are some, as a whole message, if that takes nothing but a copy; false, and nothing has
    /// happened, if not. The next [`push_bytes`](Self::push_bytes) or [`push`](Self::push) then says why.
    fn push_now(&mut self, _handle: Handle, _bytes: &[u8]) -> bool {
        false
    }

    /// Pops a message, if it is an ordinary one that is there. Without segments if not, and nothing has happened; the next
    /// [`pop`](Self::pop) then says why. A queue of datagrams never gives one here.
    fn pop_now(&mut self, _handle: Handle, _mode: PopMode) -> Sga {
        Sga::new()
    }

    /// Pushes these bytes as a whole message, if that can be done at once; false says that it takes a buffer.
    ///
    /// # Errors
    /// As `push`.
    fn push_bytes(&mut self, _handle: Handle, _bytes: &[u8]) -> Result<bool> {
        Ok(false)
    }

    /// Pops a message. An empty one is the end of the stream. A datagram socket gives a
    /// [`Datagram`](crate::op::Datagram)'s chain: the sender's address in front.
    fn pop(&mut self, handle: Handle, mode: PopMode) -> Poll<Result<Sga>>;

    /// Looks up to `looks` times, and nothing else, whether an operation that was `Pending` is worth trying again. A
    /// transport that cannot look cheaply says yes.
    fn spin(&mut self, _handle: Handle, _direction: Direction, _looks: u32) -> bool {
        true
    }

    /// Looks up to `looks` times, as [`spin`](Self::spin) does, and pops what it finds if it is an ordinary message: what a wait
    /// for one pop begins with. Without segments if there was nothing, or something else, which the next `pop` then gives.
    fn spin_for_message(&mut self, _handle: Handle, _mode: PopMode, _looks: u32) -> Sga {
        Sga::new()
    }

    /// A message that stands right behind a connect that goes on. What of it can go with the handshake (TCP Fast Open, RFC 7413) is taken from
    /// it; what is left, though it be nothing, is for [`push`](Self::push) once the connect is done.
    fn push_early(&mut self, _handle: Handle, _message: &mut Sga) {}

    /// Nobody waits for the push of [`push_early`](Self::push_early) any more. What was taken goes all the same.
    fn forget_early(&mut self, _handle: Handle) {}

    /// Ends the stream from this side, after all pushes before it.
    fn shutdown(&mut self, handle: Handle) -> Poll<Result<()>>;

    /// Ends the queue. No call with this handle follows one that was `Ready`.
    fn close(&mut self, handle: Handle) -> Poll<Result<()>>;

    /// The operation that was being tried in this direction will not be tried again.
    fn canceled(&mut self, handle: Handle, direction: Direction);

    /// Memory that this queue can hand over without a copy.
    ///
    /// # Errors
    /// `ENOBUFS` none left, `EMSGSIZE` larger than the pieces it has, `ENOTSUP` no such memory.
    fn alloc(&mut self, _handle: Handle, _len: usize) -> Result<Buf> {
        Err(NOT_HERE)
    }

    /// Looks once at everything that is watched by looking, and wakes what can go on. One bounded batch.
    fn poll(&mut self, wakes: &mut Wakes);

    /// A file descriptor that this transport watches has an event.
    fn event(&mut self, event: Event, wakes: &mut Wakes);

    /// The LibOs is about to sleep.
    fn arm(&mut self) -> Armed;

    /// As [`arm`](Self::arm), for somebody else who will sleep on the reactor's descriptor: an event must come through it.
    fn arm_for_owner(&mut self) -> Armed {
        self.arm()
    }

    /// Sleeps in the reactor's stead, after [`arm`](Self::arm) was `Quiet`: until this transport has something, `reactor` is
    /// readable, or the time is over. False at once: this transport has no place of its own to sleep in.
    fn sleep(&mut self, _reactor: BorrowedFd<'_>, _timeout: Option<Duration>) -> bool {
        false
    }

    /// The LibOs is awake again.
    fn disarm(&mut self) {}

    /// Whether the sleep that is over was to end by itself, so that this transport looks for what nothing tells it of, and it has found nothing:
    /// then there is no reason to spin before the next one.
    fn slept_in_vain(&self) -> bool {
        false
    }
}
