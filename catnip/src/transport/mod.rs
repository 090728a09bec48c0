// SPDX-License-Identifier: MIT OR Apache-2.0
//! The stack's sockets as a [`Transport`].
//!
//! A look is a turn of the [`Nic`]: what has come goes up into the sockets, and what they have sent goes out. Pushes go out at once.
//!
//! - `datagrams`, `streams`: what differs by the kind of socket. `last`: what is still done when the LibOs goes.

mod datagrams;
mod last;
mod streams;

use crate::entry::{Socket, Table};
use crate::nic::Nic;
use crate::settings::Settings;
use core::net::{IpAddr, SocketAddr};
use core::task::Poll;
use network::counters::Reason;
use network::stack::{SocketId, Stack};
use runtime::buf::{Buf, Pools, Sga};
use runtime::deadlines::Deadlines;
use runtime::limits::STUCK_PAUSE;
use runtime::op::{Direction, Wakes};
use runtime::reactor::{Event, Interest, Reactor};
use runtime::socket::{Counters, Domain, Kind, MulticastInterface, OptionName, SocketOption};
use runtime::tcp_info::TcpInfo;
use runtime::time::Time;
use runtime::transport::{Armed, Handle, PopMode, QueueId, Transport};
use runtime::{Errno, Error, Result};
use std::rc::Rc;

/// Looks at memory that take about as long as a system call that finds nothing.
const LOOKS_PER_CALL: u32 = 64;
/// The one deadline's name: the transport has a single one, that of its stack.
const ALARM: Handle = 0;
const NO_PATHS: Error =
    Error::new(Errno::AFNOSUPPORT, "catnip has IP addresses only: for Unix sockets set libos to catcollar or catnap");
const NOT_CONNECTED: Error = Error::new(Errno::NOTCONN, "the socket is not connected");
const UNNAMED: Error = Error::new(Errno::OPNOTSUPP, "a stream has one peer: push without an address");
const DATAGRAMS: Error = Error::new(Errno::OPNOTSUPP, "a datagram socket has no connections");
const NO_TCP: Error = Error::new(Errno::NOPROTOOPT, "a datagram socket has no TCP");
const NO_MEMBER: Error = Error::new(Errno::NOPROTOOPT, "only datagram sockets can be members of a group");
const NO_INTERFACE: Error =
    Error::new(Errno::NODEV, "the stack has one interface, that of its addresses, and no index for it");

/// The sockets of one LibOs over its own stack.
pub struct Catnip {
    nic: Nic,
    table: Table,
    reactor: Rc<Reactor>,
    pools: Pools,
    deadlines: Deadlines,
    counters: Counters,
    /// For when the reactor has a timer.
    alarm: Option<Time>,
    /// The last turn has not done everything.
    more: bool,
    /// The application was told that the device is broken.
    told: bool,
}

impl Catnip {
    /// No sockets yet. `token` is what the reactor calls the device's events.
    ///
    /// # Errors
    /// Those of the device, `EINVAL` settings that do not go together, `ENOMEM`, `ENOSPC`.
    pub fn new(settings: &Settings, reactor: &Rc<Reactor>, pools: Pools, token: u64) -> Result<Self> {
        reactor.refresh_clock();
        let nic = Nic::open(settings, &pools, reactor.now())?;
        if let Some(descriptor) = nic.descriptor() {
            reactor.watch(descriptor, Interest::READABLE, token)?;
        }
        Ok(Self {
            nic,
            table: Table::default(),
            reactor: Rc::clone(reactor),
            pools,
            deadlines: Deadlines::new(Rc::clone(reactor)),
            counters: Counters::default(),
            alarm: None,
            more: false,
            told: false,
        })
    }

    fn stack(&mut self) -> &mut Stack {
        &mut self.nic.stack
    }

    #[inline]
    fn socket_of(&mut self, handle: Handle) -> Result<Socket> {
        self.table.get(handle).map(|entry| entry.socket)
    }

    /// The datagram socket that is, or will be, a member of a group on this interface.
    fn member(&mut self, handle: Handle, interface: MulticastInterface) -> Result<SocketId> {
        let Socket::Datagram(id) = self.socket_of(handle)? else { return Err(NO_MEMBER) };
        let is_ours = match interface {
            MulticastInterface::ByRoute => true,
            MulticastInterface::WithAddress(address) => {
                self.nic.stack.addresses().any(|own| own.prefix.address() == IpAddr::V4(address))
            }
            MulticastInterface::Index(_) => false,
        };
        if is_ours { Ok(id) } else { Err(NO_INTERFACE) }
    }

    /// A turn, and what it has brought.
    #[inline]
    fn look(&mut self) {
        self.more = self.nic.turn(self.reactor.now());
        self.hear();
    }

    /// Sends what the stack has to send, now.
    #[inline]
    fn flush(&mut self) {
        self.more |= self.nic.flush(self.reactor.now());
        self.hear();
    }

    /// Takes the stack's news in.
    #[inline]
    fn hear(&mut self) {
        while let Some((id, readiness)) = self.nic.stack.woken() {
            self.table.note(Socket::Datagram(id), readiness);
        }
        while let Some((id, readiness)) = self.nic.stack.stream_woken() {
            self.table.note(Socket::Stream(id), readiness);
        }
        if self.nic.failed().is_some() && !self.told {
            self.told = true;
            self.table.note_all();
            if let Some(descriptor) = self.nic.descriptor() {
                // It would stay readable. Where it is not watched any more, it does no harm.
                let _ = self.reactor.unwatch(descriptor);
            }
        }
    }

    #[inline]
    fn tell(&mut self, wakes: &mut Wakes) {
        if self.table.has_news() {
            self.table.tell(|queue, direction| wakes.wake(queue, direction));
        }
    }

    /// A socket, as long as the device works.
    #[inline]
    fn working(&mut self, handle: Handle) -> Result<Socket> {
        match self.nic.failed() {
            None => self.socket_of(handle),
            Some(error) => Err(error),
        }
    }

    /// Sees to it that a sleep ends when the stack has something to do. True: the reactor has to take that in first.
    fn set_alarm(&mut self) -> bool {
        let now = self.reactor.now();
        let stuck = self.nic.is_stuck().then(|| now + STUCK_PAUSE);
        let deadline = self.nic.next_deadline();
        let Some(at) = deadline.into_iter().chain(stuck).min() else { return false };
        // One that is earlier finds nothing to do, and sets the next.
        if at > now && self.alarm.is_some_and(|alarm| alarm <= at) {
            return false;
        }
        // Without a timer it stays awake.
        let _ = self.deadlines.set(ALARM, &mut self.alarm, Some(at));
        true
    }

    #[cold]
    fn alarmed(&mut self) {
        while self.deadlines.pop_due().is_some() {
            self.alarm = None;
        }
    }
}

impl Transport for Catnip {
    fn name(&self) -> &'static str {
        "catnip"
    }

    fn socket(&mut self, queue: QueueId, domain: Domain, kind: Kind) -> Result<Handle> {
        let socket = match (domain, kind) {
            (Domain::Unix, _) => return Err(NO_PATHS),
            (_, Kind::Stream) => Socket::Stream(self.stack().stream_socket(domain)?),
            (_, Kind::Datagram) => Socket::Datagram(self.stack().udp_socket(domain)?),
        };
        Ok(self.table.insert(socket, queue))
    }

    fn bind(&mut self, handle: Handle, address: SocketAddr) -> Result<()> {
        match self.socket_of(handle)? {
            Socket::Datagram(id) => self.stack().bind(id, address),
            Socket::Stream(id) => self.stack().stream_bind(id, address),
        }
    }

    fn listen(&mut self, handle: Handle, backlog: usize) -> Result<()> {
        self.begin_listen(handle, backlog)
    }

    fn can_accept(&mut self, handle: Handle) -> Result<()> {
        self.listens(handle)
    }

    fn accept(&mut self, handle: Handle, queue: QueueId) -> Poll<Result<Handle>> {
        let accepted = self.take_connection(handle, queue);
        self.table.tried(handle, Direction::Pop, accepted.is_pending());
        accepted
    }

    fn connect(&mut self, handle: Handle, to: SocketAddr) -> Result<()> {
        match self.working(handle)? {
            Socket::Datagram(id) => {
                let now = self.reactor.now();
                self.stack().connect(id, to, now)
            }
            Socket::Stream(id) => self.begin_connect(handle, id, to),
        }
    }

    fn connected(&mut self, handle: Handle) -> Poll<Result<()>> {
        match self.socket_of(handle) {
            // A datagram socket is connected by saying so.
            Ok(Socket::Datagram(id)) => Poll::Ready(self.stack().peer(id).map(drop)),
            Ok(Socket::Stream(id)) => {
                let connected = self.try_connected(handle, id);
                if connected.is_pending() {
                    self.table.tried(handle, Direction::Push, true);
                }
                connected
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn push_to(&mut self, handle: Handle, message: &mut Sga, to: SocketAddr) -> Poll<Result<()>> {
        match self.working(handle) {
            Ok(Socket::Datagram(id)) => {
                let sent = self.send(id, message, Some(to));
                self.table.tried(handle, Direction::Push, sent.is_pending());
                sent
            }
            Ok(Socket::Stream(_)) => Poll::Ready(Err(UNNAMED)),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn local_address(&mut self, handle: Handle) -> Result<SocketAddr> {
        match self.socket_of(handle)? {
            Socket::Datagram(id) => self.stack().local(id),
            Socket::Stream(id) => self.stack().stream_local(id),
        }
    }

    fn peer_address(&mut self, handle: Handle) -> Result<SocketAddr> {
        match self.socket_of(handle)? {
            Socket::Datagram(id) => self.stack().peer(id),
            Socket::Stream(id) => self.stack().stream_peer(id),
        }
    }

    fn set_option(&mut self, handle: Handle, option: SocketOption) -> Result<()> {
        match self.socket_of(handle)? {
            Socket::Datagram(id) => self.stack().set_option(id, option),
            Socket::Stream(id) => self.stack().stream_set_option(id, option),
        }
    }

    fn option(&mut self, handle: Handle, name: OptionName) -> Result<SocketOption> {
        match self.socket_of(handle)? {
            Socket::Datagram(id) => self.stack().option(id, name),
            Socket::Stream(id) => self.stack().stream_option(id, name),
        }
    }

    fn join_group(&mut self, handle: Handle, group: IpAddr, interface: MulticastInterface) -> Result<()> {
        let (id, now) = (self.member(handle, interface)?, self.reactor.now());
        self.stack().join(id, group, now)?;
        self.flush();
        Ok(())
    }

    fn leave_group(&mut self, handle: Handle, group: IpAddr, interface: MulticastInterface) -> Result<()> {
        let (id, now) = (self.member(handle, interface)?, self.reactor.now());
        self.stack().leave(id, group, now)?;
        self.flush();
        Ok(())
    }

    fn device_counters(&mut self, tell: &mut dyn FnMut(&str, u64)) {
        self.nic.tell_counters(tell);
    }

    fn tcp_info(&mut self, handle: Handle) -> Result<TcpInfo> {
        self.socket_of(handle).and_then(|socket| match socket {
            Socket::Datagram(_) => Err(NO_TCP),
            Socket::Stream(id) => self.info_of_stream(handle, id),
        })
    }

    fn counters(&self) -> Counters {
        let stack = self.nic.stack.counters();
        let device = self.nic.device_counters();
        // Datagrams for or from this host. What concerns others, or nobody, is no drop of an application's.
        let drops = [
            Reason::UdpChecksum,
            Reason::ReceiveFull,
            Reason::FragmentFull,
            Reason::FragmentLate,
            Reason::NeighbourFull,
            Reason::NeighbourFailed,
            Reason::NoBuffer,
            Reason::OutputFull,
            Reason::LoopbackFull,
        ];
        let drops: u64 = drops.into_iter().map(|reason| stack.dropped(reason)).sum();
        Counters { drops: drops + device.receive_drops + device.send_drops, ..self.counters }
    }

    #[inline]
    fn push(&mut self, handle: Handle, message: &mut Sga) -> Poll<Result<()>> {
        match self.working(handle) {
            Ok(Socket::Datagram(id)) => {
                let sent = self.send(id, message, None);
                self.table.tried(handle, Direction::Push, sent.is_pending());
                sent
            }
            Ok(Socket::Stream(id)) => self.push_stream(handle, id, message),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    #[inline]
    fn pop(&mut self, handle: Handle, mode: PopMode) -> Poll<Result<Sga>> {
        let popped = match self.socket_of(handle) {
            Ok(Socket::Datagram(id)) => self.receive(id, mode),
            Ok(Socket::Stream(id)) => self.pop_stream(id, mode),
            Err(error) => return Poll::Ready(Err(error)),
        };
        self.table.tried(handle, Direction::Pop, popped.is_pending());
        match self.nic.failed() {
            // What had come before is popped first.
            Some(error) if popped.is_pending() => Poll::Ready(Err(error)),
            _ => popped,
        }
    }

    /// Turns, until there is something for this socket. Where the device shows in memory whether a frame has come, the turns are only
    /// for those; elsewhere a look is a system call.
    fn spin(&mut self, handle: Handle, direction: Direction, looks: u32) -> bool {
        let peeks = self.nic.peeks();
        let rounds = if peeks { looks } else { (looks / LOOKS_PER_CALL).max(1) };
        for _ in 0..rounds {
            if self.table.get(handle).map_or(true, |entry| entry.ready[direction as usize]) {
                return true;
            }
            if !peeks || self.nic.has_news() || self.more {
                self.look();
            }
            core::hint::spin_loop();
        }
        self.table.get(handle).map_or(true, |entry| entry.ready[direction as usize])
    }

    fn shutdown(&mut self, handle: Handle) -> Poll<Result<()>> {
        Poll::Ready(self.socket_of(handle).and_then(|socket| match socket {
            // The LibOs refuses what is pushed from now on. Only who has a peer can end what it says to it, as on Linux.
            Socket::Datagram(id) => self.stack().peer(id).map(drop).map_err(|error| match error.errno() {
                Errno::NOTCONN => NOT_CONNECTED,
                _ => error,
            }),
            Socket::Stream(id) => self.shut_stream(id),
        }))
    }

    fn close(&mut self, handle: Handle) -> Poll<Result<()>> {
        let closed = match self.socket_of(handle) {
            Ok(Socket::Datagram(id)) => {
                let now = self.reactor.now();
                let closed = self.stack().close(id, now);
                self.flush();
                Poll::Ready(closed)
            }
            Ok(Socket::Stream(id)) => self.close_stream(handle, id),
            Err(error) => Poll::Ready(Err(error)),
        };
        if closed.is_ready() {
            self.table.remove(handle);
        }
        closed
    }

    fn push_early(&mut self, handle: Handle, message: &mut Sga) {
        if let Ok(Socket::Stream(id)) = self.socket_of(handle) {
            self.push_with_syn(id, message);
        }
    }

    fn forget_early(&mut self, handle: Handle) {
        if let Ok(Socket::Stream(id)) = self.socket_of(handle) {
            self.stack().stream_forget_push(id);
        }
    }

    fn canceled(&mut self, handle: Handle, direction: Direction) {
        // A datagram goes whole or not at all, so nothing is left half way; and a pop leaves nothing either.
        if direction == Direction::Push
            && let Ok(Socket::Stream(id)) = self.socket_of(handle)
        {
            self.called_off(handle, id);
        }
    }

    /// A buffer with room for headers in front: what is in it is sent from there.
    fn alloc(&mut self, handle: Handle, len: usize) -> Result<Buf> {
        if let Socket::Stream(id) = self.socket_of(handle)? {
            self.stack().stream_peer(id)?;
        }
        self.pools.alloc(len)
    }

    #[inline]
    fn poll(&mut self, wakes: &mut Wakes) {
        if self.deadlines.is_due() {
            self.alarmed();
        }
        self.look();
        self.tell(wakes);
    }

    fn event(&mut self, event: Event, wakes: &mut Wakes) {
        if event.hangup {
            self.nic.woken();
        }
        self.look();
        self.tell(wakes);
    }

    fn arm(&mut self) -> Armed {
        let busy = self.more || self.table.has_news() || self.deadlines.is_due();
        if busy || self.set_alarm() || self.nic.has_news() { Armed::Ready } else { Armed::Quiet }
    }

    fn slept_in_vain(&self) -> bool {
        self.nic.slept_in_vain()
    }
}
