// SPDX-License-Identifier: MIT OR Apache-2.0
//! The transport against real sockets, of its own and of `std`, driven as a LibOs does: an operation that had to wait is
//! tried again only after it was woken, so that a lost wake-up is a test that fails.

mod accepting;
mod connecting;
mod datagrams;
mod ending;
mod lingering;
mod sleeping;
mod streams;
mod unix;
mod zero_copy;

use super::*;
use runtime::buf::Classes;
use runtime::reactor::Events;
use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

/// One round's longest sleep, and how many rounds there are before a test gives up: some ten seconds of nothing.
const NAP: Duration = Duration::from_micros(500);
const ROUNDS: usize = 20_000;

type Outcome<T> = core::result::Result<T, Errno>;

/// One LibOs, reduced to what its transport needs.
pub struct Side {
    pub reactor: Rc<Reactor>,
    pub catnap: Catnap,
    pub pools: Pools,
    wakes: Wakes,
    events: Events,
    queues: HashMap<Handle, QueueId>,
    next: QueueId,
    woken: HashSet<(QueueId, bool)>,
}

pub fn settings() -> Settings {
    Settings { receive: 64 << 10, zero_copy: None }
}

pub fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Bytes that tell where in a stream they are.
pub fn bytes(from: usize, len: usize) -> Vec<u8> {
    (from..from + len).map(|i| (i % 251) as u8).collect()
}

impl Drop for Side {
    fn drop(&mut self) {
        // As the LibOs does: a coroutine that sleeps until a deadline holds the reactor, which holds the coroutine.
        self.reactor.shutdown();
    }
}

impl Side {
    pub fn new() -> Self {
        Self::with(settings())
    }

    pub fn with(settings: Settings) -> Self {
        Self::of(settings, &Classes { small_count: 256, large_count: 16, ..Classes::default() })
    }

    pub fn with_pools(classes: &Classes) -> Self {
        Self::of(settings(), classes)
    }

    fn of(settings: Settings, classes: &Classes) -> Self {
        let reactor = Reactor::new().unwrap();
        let pools = Pools::new(classes).unwrap();
        let catnap = Catnap::new(settings, &reactor, pools.clone(), 3 << 48).unwrap();
        let mut wakes = Wakes::default();
        wakes.grow(1 << 12);
        reactor.refresh_clock();
        let (queues, woken) = (HashMap::new(), HashSet::new());
        Self { reactor, catnap, pools, wakes, events: Events::new(), queues, next: 0, woken }
    }

    /// Works until nothing is left of what was closed, and nothing waits.
    pub fn settle(&mut self) {
        for _ in 0..ROUNDS {
            if self.catnap.shared.waiting == 0 {
                return;
            }
            self.round(NAP);
        }
        panic!("{} wait", self.catnap.shared.waiting);
    }

    /// What a LibOs does that has nothing to do, and then.
    pub fn round(&mut self, timeout: Duration) {
        if self.reactor.announce_sleep() {
            if self.catnap.arm() == Armed::Quiet {
                let reactor = Rc::clone(&self.reactor);
                assert!(self.catnap.sleep(reactor.fd(), Some(timeout)));
                self.collect();
            }
            self.reactor.retract_sleep();
        }
        self.look();
    }

    pub fn collect(&mut self) {
        self.reactor.collect(Some(Duration::ZERO), &mut self.events).unwrap();
        for &event in &self.events.clone() {
            self.catnap.event(event, &mut self.wakes);
        }
    }

    pub fn look(&mut self) {
        self.reactor.refresh_clock();
        self.reactor.run_tasks(64);
        self.catnap.poll(&mut self.wakes);
        while let Some((queue, direction)) = self.wakes.take() {
            self.woken.insert((queue, direction == Direction::Pop));
        }
    }

    fn queue(&mut self) -> QueueId {
        self.next += 1;
        self.next
    }

    fn take_wake(&mut self, handle: Handle, direction: Direction) -> bool {
        self.woken.remove(&(self.queues[&handle], direction == Direction::Pop))
    }

    pub fn socket(&mut self, domain: Domain, kind: Kind) -> Handle {
        let queue = self.queue();
        let handle = self.catnap.socket(queue, domain, kind).unwrap();
        self.queues.insert(handle, queue);
        handle
    }

    pub fn stream(&mut self) -> Handle {
        self.socket(Domain::V4, Kind::Stream)
    }

    pub fn listen(&mut self, address: &str, backlog: usize) -> (Handle, SocketAddr) {
        let socket = self.socket(Domain::of(&at(address)), Kind::Stream);
        self.catnap.bind(socket, at(address)).unwrap();
        self.catnap.listen(socket, backlog).unwrap();
        (socket, self.catnap.local_address(socket).unwrap())
    }

    pub fn accept(&mut self, listener: Handle) -> Poll<Outcome<Handle>> {
        let queue = self.queue();
        self.catnap.accept(listener, queue).map_err(Error::errno).map_ok(|handle| {
            self.queues.insert(handle, queue);
            handle
        })
    }

    pub fn message(&self, bytes: &[u8]) -> Sga {
        self.pools.alloc_copy(bytes).unwrap().into()
    }

    pub fn connected(&mut self, socket: Handle) -> Poll<Outcome<()>> {
        self.catnap.connected(socket).map_err(Error::errno)
    }

    pub fn push(&mut self, socket: Handle, message: &mut Sga) -> Poll<Outcome<()>> {
        self.catnap.push(socket, message).map_err(Error::errno)
    }

    pub fn push_now(&mut self, socket: Handle, bytes: &[u8]) {
        let mut message = self.message(bytes);
        assert_eq!(self.push(socket, &mut message), Poll::Ready(Ok(())));
    }

    pub fn pop(&mut self, socket: Handle) -> Poll<Outcome<Vec<u8>>> {
        self.catnap.pop(socket, PopMode::Whole).map_ok(|message| message.to_vec()).map_err(Error::errno)
    }

    pub fn close(&mut self, socket: Handle) -> Poll<Outcome<()>> {
        self.catnap.close(socket).map_err(Error::errno)
    }

    pub fn calls(&self) -> u64 {
        self.catnap.counters().system_calls
    }

    /// Tries an operation until it is done; again only after a wake.
    #[track_caller]
    pub fn finish<T>(
        &mut self,
        handle: Handle,
        direction: Direction,
        mut operation: impl FnMut(&mut Self) -> Poll<T>,
    ) -> T {
        self.finish_beside(handle, direction, &mut operation, |_| ())
    }

    /// The same, while something else happens between the rounds.
    #[track_caller]
    pub fn finish_beside<T>(
        &mut self,
        handle: Handle,
        direction: Direction,
        mut operation: impl FnMut(&mut Self) -> Poll<T>,
        mut beside: impl FnMut(&mut Self),
    ) -> T {
        if let Poll::Ready(done) = operation(self) {
            return done;
        }
        for _ in 0..ROUNDS {
            beside(self);
            self.round(NAP);
            if self.take_wake(handle, direction)
                && let Poll::Ready(done) = operation(self)
            {
                return done;
            }
        }
        panic!("not done in {ROUNDS} rounds")
    }

    #[track_caller]
    pub fn popped(&mut self, handle: Handle) -> Outcome<Vec<u8>> {
        self.finish(handle, Direction::Pop, |side| side.pop(handle))
    }

    #[track_caller]
    pub fn accepted(&mut self, listener: Handle) -> Handle {
        self.finish(listener, Direction::Pop, |side| side.accept(listener)).unwrap()
    }

    #[track_caller]
    pub fn connect(&mut self, socket: Handle, to: SocketAddr) -> Outcome<()> {
        self.catnap.connect(socket, to).map_err(Error::errno)?;
        self.finish(socket, Direction::Push, |side| side.connected(socket))
    }

    /// Pops so many bytes.
    #[track_caller]
    pub fn pop_all(&mut self, handle: Handle, len: usize) -> Vec<u8> {
        let mut got = Vec::new();
        while got.len() < len {
            let more = self.popped(handle).unwrap();
            assert!(!more.is_empty(), "the end after {} bytes", got.len());
            got.extend(more);
        }
        got
    }
}

/// A connection within one side: the end that was accepted and the one that connected.
pub fn pair(side: &mut Side) -> [Handle; 2] {
    let (listener, address) = side.listen("127.0.0.1:0", 4);
    let calling = side.stream();
    assert_eq!(side.connect(calling, address), Ok(()));
    let accepted = side.accepted(listener);
    assert_eq!(side.close(listener), Poll::Ready(Ok(())));
    [accepted, calling]
}

/// A connection with a socket of `std`, which blocks, but not for ever.
pub fn with_std(side: &mut Side) -> (Handle, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let calling = side.stream();
    assert_eq!(side.connect(calling, listener.local_addr().unwrap()), Ok(()));
    let (peer, _) = listener.accept().unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    (calling, peer)
}

/// Nothing of what was popped or pushed is held any more but the buffers that are received into.
pub fn assert_no_buffers(side: &Side) {
    let [small, large, oversize] = side.pools.stats().map(|stats| stats.in_use);
    assert!(small == 0 && large <= 2 && oversize == 0, "{small} small, {large} large, {oversize} oversize");
}
