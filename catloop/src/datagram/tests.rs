// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tables of datagram sockets that talk to each other in one process, driven step by step.

mod addresses;
mod killed;
mod lost;
mod many;
mod newcomers;
mod whole;

use super::drops::Reason;
use super::*;
use core::cell::RefCell;
use core::num::NonZeroUsize;
use core::task::Poll;
use runtime::buf::{Classes, Sga};
use runtime::op::Datagram;
use runtime::reactor::Events;
use runtime::transport::PopMode;
use std::path::Path;
use tempfile::TempDir;

/// One round's longest sleep, and how many rounds there are before a test gives up.
const NAP: Duration = Duration::from_millis(1);
const ROUNDS: usize = 10_000;
const RING: usize = 256 << 10;

thread_local! {
    static WHEN_SAID: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

/// A sender has just handed its pipe over: what a test has ready for that moment happens.
pub(super) fn said() {
    if let Some(happens) = WHEN_SAID.take() {
        happens();
    }
}

/// One LibOs, reduced to its datagram sockets.
struct Node {
    reactor: Rc<Reactor>,
    sockets: Datagrams,
    pools: Pools,
    wakes: Wakes,
    events: Events,
    queues: QueueId,
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn settings(path: &Path) -> Settings {
    Settings { directory: Some(path.into()), ..Settings::default() }
}

impl Node {
    fn new(directory: &TempDir) -> Self {
        Self::with(&settings(directory.path()))
    }

    fn with(settings: &Settings) -> Self {
        Self::with_buffers(settings, &Classes { small_count: 4096, large_count: 64, ..Classes::default() })
    }

    fn with_buffers(settings: &Settings, classes: &Classes) -> Self {
        let reactor = Reactor::new().unwrap();
        let pools = Pools::new(classes).unwrap();
        let (hosts, places) = (Rc::new(Hosts::new(&settings.addresses)), Places::new(settings.directory.clone()));
        let sockets = Datagrams::new(settings, (&hosts, &places), Rc::clone(&reactor), pools.clone(), 5 << 41);
        let mut wakes = Wakes::default();
        wakes.grow(1 << 14);
        Self { reactor, sockets, pools, wakes, events: Events::new(), queues: 0 }
    }

    fn round(&mut self, timeout: Duration) {
        let timeout = if self.reactor.has_ready_tasks() { Duration::ZERO } else { timeout };
        self.reactor.collect(Some(timeout), &mut self.events).unwrap();
        for &event in &self.events.clone() {
            self.sockets.event(event, &mut self.wakes);
        }
        self.reactor.refresh_clock();
        self.reactor.run_tasks(64);
        self.sockets.poll(&mut self.wakes);
    }

    fn woken(&mut self) -> Vec<(QueueId, Direction)> {
        std::iter::from_fn(|| self.wakes.take()).collect()
    }

    fn socket(&mut self) -> Handle {
        self.queues += 1;
        self.sockets.socket(self.queues, Domain::V4)
    }

    /// A socket with this address.
    fn bound(&mut self, address: &str) -> Handle {
        let address = at(address);
        self.queues += 1;
        let socket = self.sockets.socket(self.queues, Domain::of(&address));
        self.sockets.bind(socket, address).unwrap();
        socket
    }

    fn address(&mut self, socket: Handle) -> SocketAddr {
        self.sockets.local_address(socket).unwrap()
    }

    fn message(&self, bytes: &[u8]) -> Sga {
        if bytes.is_empty() { Sga::new() } else { self.pools.alloc_copy(bytes).unwrap().into() }
    }

    fn push_to(&mut self, socket: Handle, bytes: &[u8], to: SocketAddr) -> core::result::Result<(), Errno> {
        let mut message = self.message(bytes);
        self.sockets.push_to(socket, &mut message, to).map_err(Error::errno)
    }

    fn push(&mut self, socket: Handle, bytes: &[u8]) -> core::result::Result<(), Errno> {
        let mut message = self.message(bytes);
        self.sockets.push(socket, &mut message).map_err(Error::errno)
    }

    fn try_pop(&mut self, socket: Handle) -> Option<core::result::Result<(Vec<u8>, SocketAddr), Errno>> {
        match self.sockets.pop(socket, PopMode::Whole) {
            Poll::Pending => None,
            Poll::Ready(Err(error)) => Some(Err(error.errno())),
            Poll::Ready(Ok(chain)) => {
                let datagram = Datagram::from_chain(chain);
                let sender = datagram.sender();
                Some(Ok((datagram.into_message().to_vec(), sender)))
            }
        }
    }

    /// Pops as a LibOs does: tries, and tries again when woken.
    fn pop(&mut self, socket: Handle) -> (Vec<u8>, SocketAddr) {
        let queue = self.sockets.at(socket).unwrap().queue;
        let mut popped = self.try_pop(socket);
        for _ in 0..ROUNDS {
            if let Some(popped) = popped {
                return popped.unwrap();
            }
            self.round(NAP);
            if self.woken().contains(&(queue, Direction::Pop)) {
                popped = self.try_pop(socket);
            }
        }
        panic!("no datagram came");
    }

    /// All that can be popped, after all that is on its way has come.
    fn drain(&mut self, socket: Handle) -> usize {
        let mut count = 0;
        for _ in 0..8 {
            self.round(Duration::ZERO);
            while let Some(popped) = self.try_pop(socket) {
                popped.unwrap();
                count += 1;
            }
        }
        count
    }

    /// Rounds until something holds.
    fn until(&mut self, mut holds: impl FnMut(&mut Self) -> bool) {
        for _ in 0..ROUNDS {
            if holds(self) {
                return;
            }
            self.round(NAP);
        }
        panic!("it did not come about");
    }

    fn dropped(&self, reason: Reason) -> u64 {
        self.sockets.drops.of(reason)
    }

    fn peers(&mut self, socket: Handle) -> usize {
        self.sockets.at(socket).unwrap().group.len()
    }
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

fn files(path: &Path) -> Vec<String> {
    std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
