// SPDX-License-Identifier: MIT OR Apache-2.0
//! Transports in one process over loopback, driven step by step. What is tested with other processes stands in the `tests`
//! of the whole.

mod alone;
mod datagrams;
mod direct;
mod ending;
mod exhausted;
mod older;
mod registered;
mod sleeping;
mod streams;
mod zero_copy;

use super::*;
use crate::ring::Features;
use runtime::buf::Classes;
use runtime::reactor::Events;
use runtime::{Errno, Error};

/// One round's longest sleep, and how many rounds there are before a test gives up: twenty seconds of nothing.
const NAP: Duration = Duration::from_millis(1);
const ROUNDS: usize = 20_000;

/// One LibOs, reduced to what its transport needs.
pub struct Side {
    pub reactor: Rc<Reactor>,
    pub pools: Pools,
    pub wakes: Wakes,
    events: Events,
    queues: QueueId,
    pub collar: Catcollar,
}

pub fn settings() -> Settings {
    Settings {
        entries: 64,
        completions: 128,
        buffers: 64,
        buffer_size: 4096,
        sqpoll: None,
        busy_poll: Duration::ZERO,
        registered_sockets: Some(64),
        zero_copy: None,
    }
}

pub fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

impl Side {
    pub fn new() -> Self {
        Self::with(&settings(), 0, Features::ALL)
    }

    pub fn of(settings: &Settings) -> Self {
        Self::with(settings, 0, Features::ALL)
    }

    /// As if the kernel knew only those flags and features.
    pub fn with(settings: &Settings, first: usize, allowed: Features) -> Self {
        let reactor = Reactor::new().unwrap();
        let pools = Pools::new(&Classes { small_count: 256, large_count: 16, ..Classes::default() }).unwrap();
        let collar = Catcollar::with(settings, &reactor, pools.clone(), 3 << 48, first, allowed).unwrap();
        let mut wakes = Wakes::default();
        wakes.grow(1 << 16);
        Self { reactor, pools, wakes, events: Events::new(), queues: 0, collar }
    }

    pub fn queue(&mut self) -> QueueId {
        self.queues += 1;
        self.queues
    }

    /// What the LibOs does in one round, sleeping for at most so long.
    pub fn round(&mut self, timeout: Duration) {
        self.collar.poll(&mut self.wakes);
        if self.wakes.is_empty() && self.collar.arm() == Armed::Quiet {
            let reactor = Rc::clone(&self.reactor);
            assert!(self.collar.sleep(reactor.fd(), Some(timeout)));
        }
        self.reactor.collect(Some(Duration::ZERO), &mut self.events).unwrap();
        for &event in &self.events.clone() {
            self.collar.event(event, &mut self.wakes);
        }
        self.reactor.refresh_clock();
        self.collar.poll(&mut self.wakes);
        while self.wakes.take().is_some() {}
    }

    pub fn socket(&mut self, domain: Domain, kind: Kind) -> Handle {
        let queue = self.queue();
        self.collar.socket(queue, domain, kind).unwrap()
    }

    pub fn message(&self, bytes: &[u8]) -> Sga {
        if bytes.is_empty() { Sga::new() } else { self.pools.alloc_copy(bytes).unwrap().into() }
    }

    /// A socket that listens at a free port.
    pub fn listen(&mut self, address: &str, backlog: usize) -> (Handle, SocketAddr) {
        let socket = self.socket(Domain::of(&at(address)), Kind::Stream);
        self.collar.bind(socket, at(address)).unwrap();
        self.collar.listen(socket, backlog).unwrap();
        (socket, self.collar.local_address(socket).unwrap())
    }

    /// A datagram socket at a free port.
    pub fn bound(&mut self, address: &str) -> (Handle, SocketAddr) {
        let socket = self.socket(Domain::of(&at(address)), Kind::Datagram);
        self.collar.bind(socket, at(address)).unwrap();
        (socket, self.collar.local_address(socket).unwrap())
    }

    pub fn begin(&mut self, to: SocketAddr) -> Handle {
        let socket = self.socket(Domain::of(&to), Kind::Stream);
        self.collar.connect(socket, to).unwrap();
        socket
    }

    pub fn connected(&mut self, socket: Handle) -> Poll<std::result::Result<(), Errno>> {
        self.collar.connected(socket).map_err(Error::errno)
    }

    pub fn accept(&mut self, listener: Handle) -> Poll<std::result::Result<Handle, Errno>> {
        let queue = self.queue();
        self.collar.accept(listener, queue).map_err(Error::errno)
    }

    /// Tries a push that may have been tried before: what is left of the message is in it.
    pub fn push(&mut self, socket: Handle, message: &mut Sga) -> Poll<std::result::Result<(), Errno>> {
        self.collar.push(socket, message).map_err(Error::errno)
    }

    /// As [`push`](Self::push), by the ring in any case: as if other messages were handed over with it.
    pub fn push_by_ring(&mut self, socket: Handle, message: &mut Sga) -> Poll<std::result::Result<(), Errno>> {
        self.collar.alone = false;
        self.push(socket, message)
    }

    pub fn pop(&mut self, socket: Handle) -> Poll<std::result::Result<Vec<u8>, Errno>> {
        self.collar.pop(socket, PopMode::Whole).map_ok(|message| message.to_vec()).map_err(Error::errno)
    }

    /// A connection within this side: who called, and who was called.
    pub fn pair(&mut self) -> (Handle, Handle) {
        self.pair_at("127.0.0.1:0")
    }

    pub fn pair_at(&mut self, address: &str) -> (Handle, Handle) {
        let (listener, address) = self.listen(address, 4);
        let near = self.begin(address);
        assert_eq!(finish(self, |side| side.connected(near)), Ok(()));
        let far = finish(self, |side| side.accept(listener)).unwrap();
        self.close(listener);
        (near, far)
    }

    /// Pushes, and waits until it is done.
    pub fn push_all(&mut self, socket: Handle, bytes: &[u8]) -> std::result::Result<(), Errno> {
        let mut message = self.message(bytes);
        finish(self, |side| side.push(socket, &mut message))
    }

    /// Pops once, waiting for it.
    pub fn pop_some(&mut self, socket: Handle) -> std::result::Result<Vec<u8>, Errno> {
        finish(self, |side| side.pop(socket))
    }

    /// Pops exactly so many bytes.
    pub fn pop_exactly(&mut self, socket: Handle, len: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < len {
            let mode = PopMode::AtMost((len - all.len()).try_into().unwrap());
            let message = finish(self, |side| side.collar.pop(socket, mode)).unwrap();
            assert!(!message.is_empty(), "the end came after {} bytes of {len}", all.len());
            all.extend(message.to_vec());
        }
        all
    }

    pub fn close(&mut self, socket: Handle) {
        assert_eq!(finish(self, |side| side.collar.close(socket)), Ok(()));
    }

    /// Nothing of what was received or sent is out any more.
    pub fn assert_no_buffers(&self) {
        assert_eq!(self.pools.stats().map(|stats| stats.in_use), [0; 3]);
    }
}

/// Lets a side work until there is an answer.
pub fn until<T>(side: &mut Side, mut answer: impl FnMut(&mut Side) -> Option<T>) -> T {
    for _ in 0..ROUNDS {
        if let Some(answer) = answer(side) {
            return answer;
        }
        side.round(NAP);
    }
    panic!("no answer in {ROUNDS} rounds");
}

/// Lets a side work until an operation has finished.
pub fn finish<T>(side: &mut Side, mut operation: impl FnMut(&mut Side) -> Poll<T>) -> T {
    until(side, |side| match operation(side) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    })
}
