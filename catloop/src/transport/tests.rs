// SPDX-License-Identifier: MIT OR Apache-2.0
//! Transports in one process, driven step by step. What is tested with other processes stands in the `tests` of the whole.

mod backlog;
mod connect;
mod datagram;
mod ending;
mod hostile;
mod killed;
mod many;
mod stream;

use super::*;
use crate::BacklogFull;
use core::time::Duration;
use runtime::buf::Classes;
use runtime::reactor::Events;
use std::path::Path;
use tempfile::TempDir;

/// One round's longest sleep, and how many rounds there are before a test gives up: ten seconds of nothing.
const NAP: Duration = Duration::from_millis(1);
const ROUNDS: usize = 10_000;

/// One LibOs, reduced to what its transport needs.
pub struct Side {
    reactor: Rc<Reactor>,
    pub catloop: Catloop,
    pools: Pools,
    wakes: Wakes,
    events: Events,
    queues: QueueId,
}

pub fn settings(directory: &Path) -> Settings {
    Settings { directory: Some(directory.into()), ring: 16 << 10, slot: 4096, slots: 2, ..Settings::default() }
}

pub fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

impl Drop for Side {
    fn drop(&mut self) {
        // As the LibOs does: a coroutine that sleeps until a deadline holds the reactor, which holds the coroutine.
        self.reactor.shutdown();
    }
}

impl Side {
    pub fn new(directory: &TempDir) -> Self {
        Self::with(settings(directory.path()))
    }

    pub fn with(settings: Settings) -> Self {
        let reactor = Reactor::new().unwrap();
        let pools = Pools::new(&Classes { small_count: 256, large_count: 16, ..Classes::default() }).unwrap();
        let catloop = Catloop::new(settings, Rc::clone(&reactor), pools.clone(), 3 << 48);
        let mut wakes = Wakes::default();
        wakes.grow(1 << 16);
        Self { reactor, catloop, pools, wakes, events: Events::new(), queues: 0 }
    }

    pub fn queue(&mut self) -> QueueId {
        self.queues += 1;
        self.queues
    }

    /// What the LibOs does in one round, waiting for events for so long.
    pub fn round(&mut self, timeout: Duration) {
        let timeout = if self.reactor.has_ready_tasks() { Duration::ZERO } else { timeout };
        self.reactor.collect(Some(timeout), &mut self.events).unwrap();
        for &event in &self.events.clone() {
            self.catloop.event(event, &mut self.wakes);
        }
        self.reactor.refresh_clock();
        self.reactor.run_tasks(64);
        self.catloop.poll(&mut self.wakes);
    }

    pub fn woken(&mut self) -> Vec<(QueueId, Direction)> {
        std::iter::from_fn(|| self.wakes.take()).collect()
    }

    pub fn socket(&mut self, domain: Domain) -> Handle {
        let queue = self.queue();
        self.catloop.socket(queue, domain, Kind::Stream).unwrap()
    }

    pub fn message(&self, bytes: &[u8]) -> Sga {
        self.pools.alloc_copy(bytes).unwrap().into()
    }

    /// A socket that listens at this address; gives the address with its port.
    pub fn listen(&mut self, address: &str, backlog: usize) -> (Handle, SocketAddr) {
        let socket = self.socket(Domain::of(&at(address)));
        self.catloop.bind(socket, at(address)).unwrap();
        self.catloop.listen(socket, backlog).unwrap();
        (socket, self.catloop.local_address(socket).unwrap())
    }

    pub fn begin(&mut self, to: SocketAddr) -> Handle {
        let socket = self.socket(Domain::of(&to));
        self.catloop.connect(socket, to).unwrap();
        socket
    }

    pub fn connected(&mut self, socket: Handle) -> Poll<std::result::Result<(), Errno>> {
        self.catloop.connected(socket).map_err(Error::errno)
    }

    pub fn accept(&mut self, listener: Handle) -> Poll<Handle> {
        let queue = self.queue();
        self.catloop.accept(listener, queue).map(Result::unwrap)
    }

    pub fn push(&mut self, socket: Handle, bytes: &[u8]) -> Poll<std::result::Result<(), Errno>> {
        let mut message = self.message(bytes);
        self.catloop.push(socket, &mut message).map_err(Error::errno)
    }

    pub fn pop(&mut self, socket: Handle) -> Poll<std::result::Result<Vec<u8>, Errno>> {
        self.catloop.pop(socket, PopMode::Whole).map_ok(|message| message.to_vec()).map_err(Error::errno)
    }

    pub fn close(&mut self, socket: Handle) {
        assert_eq!(self.catloop.close(socket), Poll::Ready(Ok(())));
    }
}

/// Lets all sides work until there is an answer.
pub fn until<T>(sides: &mut [&mut Side], mut answer: impl FnMut(&mut [&mut Side]) -> Option<T>) -> T {
    for _ in 0..ROUNDS {
        if let Some(answer) = answer(sides) {
            return answer;
        }
        for side in &mut *sides {
            side.round(NAP / 4);
        }
    }
    panic!("no answer in {ROUNDS} rounds");
}

/// Lets all sides work until an operation has finished.
pub fn finish<T>(sides: &mut [&mut Side], mut operation: impl FnMut(&mut [&mut Side]) -> Poll<T>) -> T {
    until(sides, |sides| match operation(sides) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    })
}

/// Two transports with a connection: the server's end and the client's.
pub fn pair(directory: &TempDir) -> ([Side; 2], [Handle; 2]) {
    let (mut server, mut client) = (Side::new(directory), Side::new(directory));
    let (listener, address) = server.listen("127.0.0.1:0", 1);
    let connecting = client.begin(address);
    assert_eq!(finish(&mut [&mut client, &mut server], |sides| sides[0].connected(connecting)), Ok(()));
    let accepted = finish(&mut [&mut server], |sides| sides[0].accept(listener));
    server.close(listener);
    ([server, client], [accepted, connecting])
}

pub fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

pub fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

/// The names in the directory, without the file of the ports.
pub fn names(directory: &TempDir) -> Vec<String> {
    let files = std::fs::read_dir(directory.path()).unwrap();
    let mut names: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(crate::names::SUFFIX));
    names.sort();
    names
}
