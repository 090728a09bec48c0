// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernel sockets as a [`Transport`]: each call finds its socket; events find those who wait.

use crate::close::{Ending, closed};
use crate::drops::Drops;
use crate::entry::{End, Entry};
use crate::settings::Settings;
use crate::shared::Shared;
use crate::table::Table;
use core::net::{IpAddr, SocketAddr};
use core::task::Poll;
use core::time::Duration;
use kernel::{NOT_CONNECTED, Socket};
use runtime::buf::{Buf, Pools, Sga};
use runtime::op::{Direction, Wakes};
use runtime::reactor::{Event, Reactor};
use runtime::socket::{Counters, Domain, Kind, MulticastInterface, OptionName, SocketOption};
use runtime::tcp_info::TcpInfo;
use runtime::transport::{Armed, Handle, PopMode, QueueId, Transport};
use runtime::{Errno, Error, Result};
use std::os::fd::BorrowedFd;
use std::rc::Rc;

/// Looks at memory that take about as long as a system call that finds nothing.
const LOOKS_PER_CALL: u32 = 64;

const NO_LOAN: Error = Error::new(Errno::NOTSUP, "datagrams are always copied");

/// The kernel sockets of one LibOs.
pub struct Catnap {
    pub(crate) table: Table,
    pub(crate) shared: Shared,
    /// Events were collected since the last look.
    pub(crate) collected: bool,
    /// Looks with few who wait.
    pub(crate) guesses: u32,
    drops: Drops,
}

impl Catnap {
    /// No sockets yet. `token` has its low 48 bits clear.
    ///
    /// # Errors
    /// From the kernel: `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn new(settings: Settings, reactor: &Rc<Reactor>, pools: Pools, token: u64) -> Result<Self> {
        let shared = Shared::new(settings, reactor, pools, token)?;
        Ok(Self { table: Table::default(), shared, collected: false, guesses: 0, drops: Drops::default() })
    }

    fn entry(&mut self, handle: Handle) -> Result<(&mut Entry, &mut Shared)> {
        Ok((self.table.get(handle)?, &mut self.shared))
    }

    /// Begins to watch the socket, and connects it as `begin` does.
    fn begin_connect(&mut self, handle: Handle, begin: impl FnOnce(&mut Socket) -> Result<()>) -> Result<()> {
        let name = self.table.name(handle);
        let (entry, shared) = self.entry(handle)?;
        begin(&mut entry.socket)?;
        if entry.socket.is_connecting() {
            entry.start_over();
            if let Err(error) = entry.watch(name, shared) {
                return entry.socket.connect_ended(Err(error));
            }
        }
        Ok(())
    }

    /// The rest of a queue's operations, if this one did not wait to be woken but others behind it do.
    #[inline]
    fn and_others(entry: &mut Entry, handle: Handle, direction: Direction, shared: &mut Shared) {
        if entry.parked[direction as usize] && entry.is_ready(direction) {
            shared.list(entry, handle);
        }
    }
}

impl Transport for Catnap {
    fn name(&self) -> &'static str {
        "catnap"
    }

    fn socket(&mut self, queue: QueueId, domain: Domain, kind: Kind) -> Result<Handle> {
        self.shared.called();
        let handle = self.table.insert(Entry::new(Socket::open(domain, kind)?, queue));
        if kind == Kind::Datagram {
            let name = self.table.name(handle);
            let watched = self.table.get(handle).and_then(|entry| entry.watch(name, &mut self.shared));
            if let Err(error) = watched {
                drop(self.table.remove(handle));
                return Err(error);
            }
            self.drops.add(handle);
        }
        Ok(handle)
    }

    fn bind(&mut self, handle: Handle, address: SocketAddr) -> Result<()> {
        self.table.get(handle)?.socket.bind(address)
    }

    fn bind_path(&mut self, handle: Handle, path: &[u8]) -> Result<()> {
        self.table.get(handle)?.socket.bind_path(path)
    }

    fn listen(&mut self, handle: Handle, backlog: usize) -> Result<()> {
        let name = self.table.name(handle);
        let (entry, shared) = self.entry(handle)?;
        // First: what fails leaves a socket that does not listen.
        entry.watch(name, shared)?;
        entry.socket.listen(backlog)
    }

    fn can_accept(&mut self, handle: Handle) -> Result<()> {
        self.table.get(handle)?.socket.can_accept()
    }

    fn accept(&mut self, handle: Handle, queue: QueueId) -> Poll<Result<Handle>> {
        let Self { table, shared, .. } = self;
        let socket = match table.get(handle).map(|entry| {
            let accepted = entry.accept(handle, shared);
            if accepted.is_ready() {
                Self::and_others(entry, handle, Direction::Pop, shared);
            }
            accepted
        }) {
            Ok(Poll::Ready(Ok(socket))) => socket,
            Ok(Poll::Ready(Err(error))) | Err(error) => return Poll::Ready(Err(error)),
            Ok(Poll::Pending) => return Poll::Pending,
        };
        let connection = table.insert(Entry::new(socket, queue));
        let name = table.name(connection);
        let watched = table.get(connection).and_then(|entry| entry.watch(name, shared));
        Poll::Ready(match watched {
            Ok(()) => Ok(connection),
            Err(error) => {
                drop(table.remove(connection));
                Err(error)
            }
        })
    }

    fn connect(&mut self, handle: Handle, to: SocketAddr) -> Result<()> {
        self.begin_connect(handle, |socket| socket.begin_connect(to))
    }

    fn connect_path(&mut self, handle: Handle, path: &[u8]) -> Result<()> {
        self.begin_connect(handle, |socket| socket.begin_connect_path(path))
    }

    fn connected(&mut self, handle: Handle) -> Poll<Result<()>> {
        match self.entry(handle) {
            Ok((entry, shared)) => entry.connected(handle, shared),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn local_address(&mut self, handle: Handle) -> Result<SocketAddr> {
        self.table.get(handle)?.socket.local_address()
    }

    fn peer_address(&mut self, handle: Handle) -> Result<SocketAddr> {
        self.table.get(handle)?.socket.peer_address()
    }

    fn local_path(&mut self, handle: Handle) -> Result<Vec<u8>> {
        self.table.get(handle)?.socket.local_path()
    }

    fn peer_path(&mut self, handle: Handle) -> Result<Vec<u8>> {
        self.table.get(handle)?.socket.peer_path()
    }

    fn set_option(&mut self, handle: Handle, option: SocketOption) -> Result<()> {
        self.table.get(handle)?.socket.set_option(option)
    }

    fn option(&mut self, handle: Handle, name: OptionName) -> Result<SocketOption> {
        self.table.get(handle)?.socket.option(name)
    }

    fn join_group(&mut self, handle: Handle, group: IpAddr, interface: MulticastInterface) -> Result<()> {
        self.table.get(handle)?.socket.change_membership(group, interface, true)
    }

    fn leave_group(&mut self, handle: Handle, group: IpAddr, interface: MulticastInterface) -> Result<()> {
        self.table.get(handle)?.socket.change_membership(group, interface, false)
    }

    fn tcp_info(&mut self, handle: Handle) -> Result<TcpInfo> {
        self.table.get(handle)?.socket.tcp_info()
    }

    fn counters(&self) -> Counters {
        let drops = self.drops.read(|handle| self.table.at(handle).map(|entry| &entry.socket));
        Counters { drops: drops + self.shared.counters.drops, ..self.shared.counters }
    }

    #[inline]
    fn push(&mut self, handle: Handle, message: &mut Sga) -> Poll<Result<()>> {
        let Self { table, shared, .. } = self;
        match table.get(handle) {
            Ok(entry) => {
                let pushed = entry.push(message, handle, shared);
                if pushed.is_ready() {
                    Self::and_others(entry, handle, Direction::Push, shared);
                }
                pushed
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    #[inline]
    fn push_bytes(&mut self, handle: Handle, bytes: &[u8]) -> Result<bool> {
        self.table.get(handle)?.push_bytes(bytes, &mut self.shared)
    }

    fn push_to(&mut self, handle: Handle, message: &mut Sga, to: SocketAddr) -> Poll<Result<()>> {
        match self.entry(handle) {
            Ok((entry, shared)) => entry.push_to(message, to, handle, shared),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn push_to_path(&mut self, handle: Handle, message: &mut Sga, path: &[u8]) -> Poll<Result<()>> {
        match self.entry(handle) {
            Ok((entry, shared)) => entry.push_to_path(message, path, handle, shared),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    #[inline]
    fn pop(&mut self, handle: Handle, mode: PopMode) -> Poll<Result<Sga>> {
        let Self { table, shared, .. } = self;
        match table.get(handle) {
            Ok(entry) => {
                let popped = entry.pop(mode, shared);
                if popped.is_ready() {
                    shared.served = handle;
                    Self::and_others(entry, handle, Direction::Pop, shared);
                }
                popped
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// One look is what is known already. With more of them a pop is worth a try: it asks the kernel, and finds what a poll
    /// of the whole set would find later.
    #[inline]
    fn spin(&mut self, handle: Handle, direction: Direction, looks: u32) -> bool {
        let Ok(entry) = self.table.get(handle) else { return true };
        if direction == Direction::Pop && looks > 1 && entry.may_have_data() {
            entry.set_ready(direction, true);
        }
        entry.is_ready(direction)
    }

    fn spin_for_message(&mut self, handle: Handle, mode: PopMode, looks: u32) -> Sga {
        let Self { table, shared, .. } = self;
        let Ok(entry) = table.get(handle) else { return Sga::new() };
        if !entry.is_open_stream() || entry.end != End::Open {
            return Sga::new();
        }
        for _ in 0..(looks / LOOKS_PER_CALL).max(1) {
            entry.set_ready(Direction::Pop, true);
            match entry.receive(mode, shared) {
                Poll::Pending => {}
                Poll::Ready(Ok(message)) if !message.has_no_segment() => {
                    shared.served = handle;
                    Self::and_others(entry, handle, Direction::Pop, shared);
                    return message;
                }
                Poll::Ready(_) => {
                    // The pop itself gives it: an end is not told yet, and an error stays.
                    if entry.end == End::Told {
                        entry.end = End::Come;
                    }
                    break;
                }
            }
        }
        Sga::new()
    }

    fn shutdown(&mut self, handle: Handle) -> Poll<Result<()>> {
        self.shared.called();
        Poll::Ready(self.table.get(handle).and_then(|entry| entry.socket.shutdown_write()))
    }

    fn close(&mut self, handle: Handle) -> Poll<Result<()>> {
        let (entry, shared) = match self.entry(handle) {
            Ok(found) => found,
            Err(error) => return Poll::Ready(Err(error)),
        };
        shared.called();
        let ending = entry.close(handle, shared);
        if ending == Ending::Closed
            && let Some(entry) = self.table.remove(handle)
        {
            self.drops.remove(handle, &entry.socket);
        }
        closed(ending)
    }

    fn canceled(&mut self, handle: Handle, direction: Direction) {
        let Ok((entry, shared)) = self.entry(handle) else { return };
        if direction == Direction::Pop {
            return;
        }
        if entry.socket.is_connecting() {
            entry.give_up_connect(handle, shared);
        }
        entry.stop_lingering(handle, shared);
        if let Some(flights) = &mut entry.flights {
            flights.give_up();
        }
    }

    fn alloc(&mut self, handle: Handle, len: usize) -> Result<Buf> {
        let (entry, shared) = self.entry(handle)?;
        match entry.socket.kind() {
            Kind::Datagram => Err(NO_LOAN),
            Kind::Stream if entry.socket.is_connected() => shared.pools.alloc(len),
            Kind::Stream => Err(NOT_CONNECTED),
        }
    }

    #[inline]
    fn poll(&mut self, wakes: &mut Wakes) {
        if self.shared.deadlines.is_due() {
            self.tick();
        }
        self.hear();
        if !self.shared.news.is_empty() {
            self.tell(wakes);
        }
    }

    fn event(&mut self, _event: Event, wakes: &mut Wakes) {
        self.collect(Some(Duration::ZERO));
        self.tell(wakes);
    }

    fn arm(&mut self) -> Armed {
        // Whatever comes from now on ends the sleep, as the kernel looks before it puts anybody to sleep.
        let busy = self.shared.deadlines.is_due() || !self.shared.news.is_empty();
        if busy || self.shared.poller.sleep_here().is_err() { Armed::Ready } else { Armed::Quiet }
    }

    fn arm_for_owner(&mut self) -> Armed {
        let busy = self.shared.deadlines.is_due() || !self.shared.news.is_empty();
        if busy || self.shared.poller.sleep_in_the_reactor().is_err() { Armed::Ready } else { Armed::Quiet }
    }

    fn sleep(&mut self, _reactor: BorrowedFd<'_>, timeout: Option<Duration>) -> bool {
        self.collect(timeout);
        true
    }
}

impl Drop for Catnap {
    fn drop(&mut self) {
        let now = self.shared.reactor.now();
        // The kernel sends what was pushed all the same; what it still reads for that must not become somebody else's memory.
        for mut entry in self.table.drain() {
            entry.leave(now);
            entry.reap(&mut self.shared);
            if let Some(flights) = entry.flights.take() {
                flights.leak();
            }
        }
    }
}

#[cfg(test)]
mod tests;
