// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernel sockets as a [`Transport`].
//!
//! What is here: the state, and each call on its way to where it belongs. `receive`, `send`, `connect` and `close` hold what
//! the calls do and what their completions mean; `progress` hands over requests and takes completions; `sleep` sleeps.

use crate::Settings;
use crate::direct::Lone;
use crate::ring::{Features, Group, Id, Name, PAYLOAD_AT, Ring};
use crate::socket::{Socket, Sockets};
use core::net::{IpAddr, SocketAddr};
use core::task::Poll;
use core::time::Duration;
use kernel::Socket as Kernel;
use runtime::Result;
use runtime::buf::{Pool, Pools, Sga};
use runtime::limits::{DATAGRAM_BUFFERS, DATAGRAM_ROOM};
use runtime::op::{Direction, Wakes};
use runtime::reactor::{Event, Reactor};
use runtime::socket::{Counters, Domain, Kind, MulticastInterface, OptionName, SocketOption};
use runtime::tcp_info::TcpInfo;
use runtime::transport::{Armed, Handle, PopMode, QueueId, Transport};
use std::os::fd::BorrowedFd;
use std::rc::Rc;

/// Bytes in front of what is received, for whoever sends it on with a header.
const HEADROOM: u32 = 128;
/// Second views of what was received: pops that take a part.
const VIEWS: u32 = 4096;

/// The kernel sockets of one LibOs.
pub struct Catcollar {
    // In this order: the ring's end waits for requests, which the descriptors must outlive.
    pub(crate) ring: Ring,
    pub(crate) sockets: Sockets,
    /// What can go on and was not told yet.
    pub(crate) woken: Vec<(QueueId, Direction)>,
    pub(crate) pools: Pools,
    /// Buffers for what streams receive, and for datagrams, which are made with the first socket for them.
    pub(crate) streams: Pool,
    pub(crate) datagrams: Option<Pool>,
    pub(crate) zero_copy: Option<usize>,
    pub(crate) reactor: Rc<Reactor>,
    pub(crate) token: u64,
    /// Watches the reactor while this thread sleeps in the ring.
    pub(crate) watch: Option<Id>,
    /// The reactor watches the ring's bell, for somebody else who sleeps there.
    pub(crate) watched: bool,
    /// The bell rings.
    pub(crate) armed: bool,
    pub(crate) counters: Counters,
    /// The last look found one completion and nothing else: what is pushed now would be handed over alone.
    pub(crate) alone: bool,
    /// Whose messages come alone.
    pub(crate) lone: Lone,
}

impl Catcollar {
    /// No sockets yet. `token` has its low 48 bits clear.
    ///
    /// # Errors
    /// No ring: `EPERM`, `ENOSYS`, `ENOMEM`, `EMFILE`, with what to do in its reason.
    #[expect(clippy::needless_pass_by_value, reason = "every back end is made in the same way")]
    pub fn new(settings: Settings, reactor: &Rc<Reactor>, pools: Pools, token: u64) -> Result<Self> {
        Self::with(&settings, reactor, pools, token, 0, Features::ALL)
    }

    /// As [`new`](Self::new), as if the kernel knew only the flags from `first` on, and only these features.
    pub(crate) fn with(
        settings: &Settings,
        reactor: &Rc<Reactor>,
        pools: Pools,
        token: u64,
        first: usize,
        allowed: Features,
    ) -> Result<Self> {
        let mut ring = Ring::new(settings, first, allowed)?;
        // In range by the configuration's check, far below u32::MAX.
        let streams = Pool::heap(settings.buffer_size as u32, u32::from(settings.buffers), HEADROOM, VIEWS)?;
        if ring.features().multishot_receive {
            ring.provide(Group::Streams, &streams)?;
        }
        if settings.zero_copy.is_some() && ring.features().zero_copy {
            let [small, large] = pools.slotted();
            let registered = ring.register_memory(vec![small.clone(), large.clone(), streams.clone()]);
            log::debug!("memory for sends without a copy is registered: {registered}");
        }
        Ok(Self {
            ring,
            sockets: Sockets::new(),
            woken: Vec::new(),
            pools,
            streams,
            datagrams: None,
            zero_copy: settings.zero_copy,
            reactor: Rc::clone(reactor),
            token,
            watch: None,
            watched: false,
            armed: false,
            counters: Counters::default(),
            alone: false,
            lone: Lone::default(),
        })
    }

    /// Buffers for datagrams: as long as the longest, with its sender in front.
    fn make_datagram_buffers(&mut self) -> Result<()> {
        if self.datagrams.is_none() {
            let count = self.streams.capacity().min(DATAGRAM_BUFFERS);
            let pool = Pool::heap((PAYLOAD_AT + DATAGRAM_ROOM) as u32, count, 0, VIEWS)?;
            if self.ring.features().multishot_receive {
                self.ring.provide(Group::Datagrams, &pool)?;
            }
            self.datagrams = Some(pool);
        }
        Ok(())
    }

    /// An open socket of the kernel; each such call is a system call of its own.
    fn kernel(&mut self, handle: Handle) -> Result<&mut Kernel> {
        self.counters.system_calls += 1;
        self.sockets.get(handle)?.kernel()
    }
}

impl Transport for Catcollar {
    fn name(&self) -> &'static str {
        "catcollar"
    }

    fn socket(&mut self, queue: QueueId, domain: Domain, kind: Kind) -> Result<Handle> {
        if kind == Kind::Datagram {
            self.make_datagram_buffers()?;
        }
        self.counters.system_calls += 1;
        Ok(self.sockets.insert(Socket::new(queue, Kernel::open(domain, kind)?)))
    }

    fn bind(&mut self, handle: Handle, address: SocketAddr) -> Result<()> {
        self.kernel(handle)?.bind(address)
    }

    fn bind_path(&mut self, handle: Handle, path: &[u8]) -> Result<()> {
        self.kernel(handle)?.bind_path(path)
    }

    fn listen(&mut self, handle: Handle, backlog: usize) -> Result<()> {
        self.kernel(handle)?.listen(backlog)
    }

    fn can_accept(&mut self, handle: Handle) -> Result<()> {
        self.sockets.get(handle)?.kernel()?.can_accept()
    }

    fn accept(&mut self, handle: Handle, queue: QueueId) -> Poll<Result<Handle>> {
        self.take_connection(handle, queue)
    }

    fn connect(&mut self, handle: Handle, to: SocketAddr) -> Result<()> {
        self.sockets.get(handle)?.kernel()?.begin_connect(to)
    }

    fn connect_path(&mut self, handle: Handle, path: &[u8]) -> Result<()> {
        self.sockets.get(handle)?.kernel()?.begin_connect_path(path)
    }

    fn connected(&mut self, handle: Handle) -> Poll<Result<()>> {
        self.go_on_connecting(handle)
    }

    fn push_to(&mut self, handle: Handle, message: &mut Sga, to: SocketAddr) -> Poll<Result<()>> {
        self.send(handle, message, |kernel| kernel.check_push_to(&to).map(|()| Some(Name::ip(to))))
    }

    fn push_to_path(&mut self, handle: Handle, message: &mut Sga, path: &[u8]) -> Poll<Result<()>> {
        self.send(handle, message, |kernel| {
            kernel.check_push_to_path()?;
            Name::path(path).map(Some)
        })
    }

    fn local_address(&mut self, handle: Handle) -> Result<SocketAddr> {
        self.kernel(handle)?.local_address()
    }

    fn peer_address(&mut self, handle: Handle) -> Result<SocketAddr> {
        self.sockets.get(handle)?.kernel()?.peer_address()
    }

    fn local_path(&mut self, handle: Handle) -> Result<Vec<u8>> {
        self.kernel(handle)?.local_path()
    }

    fn peer_path(&mut self, handle: Handle) -> Result<Vec<u8>> {
        self.kernel(handle)?.peer_path()
    }

    fn set_option(&mut self, handle: Handle, option: SocketOption) -> Result<()> {
        self.kernel(handle)?.set_option(option)
    }

    fn option(&mut self, handle: Handle, name: OptionName) -> Result<SocketOption> {
        self.kernel(handle)?.option(name)
    }

    fn join_group(&mut self, handle: Handle, group: IpAddr, interface: MulticastInterface) -> Result<()> {
        self.kernel(handle)?.change_membership(group, interface, true)
    }

    fn leave_group(&mut self, handle: Handle, group: IpAddr, interface: MulticastInterface) -> Result<()> {
        self.kernel(handle)?.change_membership(group, interface, false)
    }

    fn tcp_info(&mut self, handle: Handle) -> Result<TcpInfo> {
        self.kernel(handle)?.tcp_info()
    }

    fn counters(&self) -> Counters {
        let mut counters = self.counters;
        let counts = self.ring.counts();
        counters.system_calls += counts.enters + counts.registers;
        counters
    }

    #[inline]
    fn push(&mut self, handle: Handle, message: &mut Sga) -> Poll<Result<()>> {
        self.send(handle, message, |kernel| kernel.check_push().map(|()| None))
    }

    #[inline]
    fn pop(&mut self, handle: Handle, mode: PopMode) -> Poll<Result<Sga>> {
        self.receive(handle, mode)
    }

    #[inline]
    fn spin(&mut self, handle: Handle, direction: Direction, looks: u32) -> bool {
        self.look_for(handle, direction, looks)
    }

    #[inline]
    fn spin_for_message(&mut self, handle: Handle, mode: PopMode, looks: u32) -> Sga {
        self.look_for_message(handle, mode, looks)
    }

    fn shutdown(&mut self, handle: Handle) -> Poll<Result<()>> {
        self.end_stream(handle)
    }

    fn close(&mut self, handle: Handle) -> Poll<Result<()>> {
        self.go_on_closing(handle)
    }

    fn canceled(&mut self, handle: Handle, direction: Direction) {
        self.give_up(handle, direction);
    }

    #[inline]
    fn poll(&mut self, wakes: &mut Wakes) {
        if self.armed {
            self.disarm_in_the_reactor();
        }
        self.advance();
        for (queue, direction) in self.woken.drain(..) {
            wakes.wake(queue, direction);
        }
    }

    fn event(&mut self, _event: Event, _wakes: &mut Wakes) {
        // The ring is readable: the look that follows takes what is there.
    }

    fn arm(&mut self) -> Armed {
        self.arm_here()
    }

    fn arm_for_owner(&mut self) -> Armed {
        self.arm_in_the_reactor()
    }

    fn sleep(&mut self, reactor: BorrowedFd<'_>, timeout: Option<Duration>) -> bool {
        self.sleep_in_the_ring(reactor, timeout);
        true
    }
}

impl Drop for Catcollar {
    fn drop(&mut self) {
        // What was pushed is handed over first.
        self.ring.enter();
        let now = self.reactor.now();
        // What is still open is closed as its option says, but does not linger.
        for kernel in self.sockets.iter().filter_map(|socket| socket.kernel.as_ref()) {
            if kernel.linger() == Some(Duration::ZERO) {
                // Where this fails there is no connection to reset.
                let _ = kernel.reset_on_close();
            } else {
                let _ = kernel::Draining::begin(kernel, false, now);
            }
        }
    }
}

#[cfg(test)]
mod tests;
