// SPDX-License-Identifier: MIT OR Apache-2.0
//! The transport, driven as a LibOs does: an operation that had to wait is tried again only after it was woken, so that a lost wake-up is
//! a test that fails. Against another one over Unix sockets, and against the kernel over TAP and packet sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where what it stands on is missing")]

#[cfg(feature = "dpdk")]
mod cuts;
mod kernel;
#[path = "../devices/network.rs"]
mod network;
mod pairs;

use catnip::{Catnip, Settings, Wire};
use core::net::SocketAddr;
use core::task::Poll;
use core::time::Duration;
use runtime::buf::{Classes, Pools, Sga};
use runtime::op::{Datagram, Direction, Wakes};
use runtime::reactor::{Events, Reactor};
use runtime::socket::{Domain, Kind};
use runtime::transport::{Armed, Handle, PopMode, QueueId, Transport};
use runtime::{Errno, Result};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::rc::Rc;

/// One round's longest sleep, and how many rounds there are before a test gives up: some ten seconds of nothing.
const NAP: Duration = Duration::from_micros(500);
const ROUNDS: usize = 20_000;

type Outcome<T> = core::result::Result<T, Errno>;

/// One LibOs, reduced to what its transport needs.
struct Side {
    reactor: Rc<Reactor>,
    catnip: Catnip,
    pools: Pools,
    wakes: Wakes,
    events: Events,
    queues: HashMap<Handle, QueueId>,
    next: QueueId,
    woken: HashSet<(QueueId, bool)>,
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Bytes that tell where they are.
fn bytes(len: usize, number: usize) -> Vec<u8> {
    (0..len).map(|at| ((at + number * 7) % 251) as u8).collect()
}

/// One end of a wire in a folder, with addresses.
fn end(folder: &Path, own: &str, other: &str, addresses: &[&str]) -> Settings {
    let mut settings = Settings::new(Wire::Socket { path: folder.join(own), peer: folder.join(other) });
    settings.addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
    settings
}

impl Drop for Side {
    fn drop(&mut self) {
        // As the LibOs does: a coroutine that sleeps until a deadline holds the reactor, which holds the coroutine.
        self.reactor.shutdown();
    }
}

impl Side {
    fn new(settings: &Settings) -> Self {
        let reactor = Reactor::new().unwrap();
        let pools = Pools::new(&Classes { small_count: 1024, large_count: 64, ..Classes::default() }).unwrap();
        let catnip = Catnip::new(settings, &reactor, pools.clone(), 3 << 48).unwrap();
        let mut wakes = Wakes::default();
        wakes.grow(1 << 12);
        let (queues, woken) = (HashMap::new(), HashSet::new());
        Self { reactor, catnip, pools, wakes, events: Events::new(), queues, next: 0, woken }
    }

    /// What a LibOs does that has nothing to do. Whether it slept.
    fn round(&mut self, timeout: Duration) -> bool {
        let mut slept = false;
        if self.reactor.announce_sleep() {
            if self.catnip.arm() == Armed::Quiet {
                let timer = self.reactor.next_deadline().map(|at| at.saturating_since(self.reactor.now()));
                self.collect(timer.map_or(timeout, |timer| timer.min(timeout)));
                self.catnip.disarm();
                slept = true;
            }
            self.reactor.retract_sleep();
        }
        self.look();
        slept
    }

    fn collect(&mut self, timeout: Duration) {
        self.reactor.collect(Some(timeout), &mut self.events).unwrap();
        self.reactor.refresh_clock();
        for &event in &self.events.clone() {
            self.catnip.event(event, &mut self.wakes);
        }
    }

    fn look(&mut self) {
        self.reactor.refresh_clock();
        self.reactor.run_tasks(64);
        self.catnip.poll(&mut self.wakes);
        while let Some((queue, direction)) = self.wakes.take() {
            self.woken.insert((queue, direction == Direction::Pop));
        }
    }

    fn take_wake(&mut self, handle: Handle, direction: Direction) -> bool {
        self.woken.remove(&(self.queues[&handle], direction == Direction::Pop))
    }

    fn socket(&mut self, domain: Domain) -> Handle {
        self.next += 1;
        let handle = self.catnip.socket(self.next, domain, Kind::Datagram).unwrap();
        self.queues.insert(handle, self.next);
        handle
    }

    fn stream(&mut self, address: &SocketAddr) -> Handle {
        self.next += 1;
        let handle = self.catnip.socket(self.next, Domain::of(address), Kind::Stream).unwrap();
        self.queues.insert(handle, self.next);
        handle
    }

    /// A connection from here to there.
    fn connects(&mut self, server: &mut Side, to: SocketAddr) -> (Handle, Handle) {
        let listening = server.stream(&to);
        server.catnip.bind(listening, to).unwrap();
        server.catnip.listen(listening, 1).unwrap();
        let client = self.stream(&to);
        self.catnip.connect(client, to).unwrap();
        self.until(client, Direction::Push, &mut [server], |catnip| catnip.connected(client)).unwrap();
        server.next += 1;
        let queue = server.next;
        let accepted =
            server.until(listening, Direction::Pop, &mut [self], |catnip| catnip.accept(listening, queue)).unwrap();
        server.queues.insert(accepted, queue);
        (client, accepted)
    }

    fn bound(&mut self, address: &str) -> (Handle, SocketAddr) {
        let address = at(address);
        let handle = self.socket(Domain::of(&address));
        self.catnip.bind(handle, address).unwrap();
        (handle, self.catnip.local_address(handle).unwrap())
    }

    fn message(&self, bytes: &[u8]) -> Sga {
        if bytes.is_empty() { Sga::new() } else { self.pools.alloc_copy(bytes).unwrap().into() }
    }

    /// Tries until it is done; again only after a wake. `others` work meanwhile.
    fn until<T>(
        &mut self,
        handle: Handle,
        direction: Direction,
        others: &mut [&mut Side],
        mut attempt: impl FnMut(&mut Catnip) -> Poll<Result<T>>,
    ) -> Outcome<T> {
        let mut worth = true;
        for _ in 0..ROUNDS {
            if worth && let Poll::Ready(done) = attempt(&mut self.catnip) {
                return done.map_err(runtime::Error::errno);
            }
            self.round(NAP);
            for other in others.iter_mut() {
                other.look();
            }
            worth = self.take_wake(handle, direction);
        }
        panic!("it was not woken; drops: {:?}", self.catnip.counters());
    }

    fn push_to(&mut self, handle: Handle, bytes: &[u8], to: SocketAddr) -> Outcome<()> {
        let mut message = self.message(bytes);
        self.until(handle, Direction::Push, &mut [], |catnip| catnip.push_to(handle, &mut message, to))
    }

    fn pop(&mut self, handle: Handle, others: &mut [&mut Side]) -> Outcome<(SocketAddr, Vec<u8>)> {
        self.until(handle, Direction::Pop, others, |catnip| catnip.pop(handle, PopMode::Whole)).map(|chain| {
            let datagram = Datagram::from_chain(chain);
            (datagram.sender(), datagram.into_message().to_vec())
        })
    }

    /// Works until this holds.
    fn work_until(&mut self, others: &mut [&mut Side], mut holds: impl FnMut(&mut Self) -> bool) {
        for _ in 0..ROUNDS {
            if holds(self) {
                return;
            }
            self.round(NAP);
            for other in others.iter_mut() {
                other.look();
            }
        }
        panic!("it did not come true");
    }
}
