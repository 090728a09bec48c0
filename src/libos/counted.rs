// SPDX-License-Identifier: MIT OR Apache-2.0
//! What this LibOs has moved: plain additions on the data path.

use super::LibOs;
use super::queues::Queues;
use crate::backend::Backends;
use crate::stats::Connection;
use runtime::socket::Counters;

/// Queues, from the first on, that are asked whether they are a connection to be told about.
const QUEUES_ASKED: u32 = 1024;

/// How the connection at an index fares, if there is one whose TCP is Margay's own: nothing of this is a system call.
fn connection(queues: &mut Queues, backends: &mut Backends, index: u32) -> Option<Connection> {
    let (qd, queue) = queues.at(index)?;
    if queue.datagrams || queue.closing || !backends.does_tcp(queue.backend) {
        return None;
    }
    let (backend, handle) = (backends.get(queue.backend), queue.handle);
    let peer = backend.peer_address(handle).ok()?;
    Some(Connection { qd, local: backend.local_address(handle).ok()?, peer, info: backend.tcp_info(handle).ok()? })
}

/// Messages and bytes, counted where they are taken from the application and given to it.
#[derive(Default)]
pub(super) struct Counted {
    // What counts together does not lie together: two plain additions are shorter than one of a vector.
    messages_pushed: u64,
    messages_popped: u64,
    bytes_pushed: u64,
    bytes_popped: u64,
    /// Collections of kernel events; the back ends count their own calls.
    collections: u64,
}

impl Counted {
    #[inline]
    pub(super) fn pushed(&mut self, bytes: usize) {
        self.messages_pushed += 1;
        self.bytes_pushed += bytes as u64;
    }

    #[inline]
    pub(super) fn popped(&mut self, bytes: usize) {
        self.messages_popped += 1;
        self.bytes_popped += bytes as u64;
    }

    #[inline]
    pub(super) fn collected(&mut self) {
        self.collections += 1;
    }
}

impl LibOs {
    /// A queue was made: from the first one on, the page of statistics is there.
    pub(super) fn begin_publishing(&mut self) {
        if self.stats.begin() {
            self.publish();
        }
    }

    /// Brings the page of statistics up to date. Not on the way of a message: see [`crate::stats`].
    #[cold]
    pub(super) fn publish(&mut self) {
        if self.stats.is_on() {
            let counters = self.counters();
            let Self { stats, reactor, queues, backends, .. } = self;
            if stats.wants_connections(reactor.now(), queues.len()) {
                let mut indices = 0..QUEUES_ASKED;
                stats.publish_connections(queues.len(), || {
                    indices.find_map(|index| connection(queues, backends, index))
                });
            }
            if stats.wants_device(reactor.now()) {
                stats.publish_device(reactor.now(), |tell| backends.device_counters(tell));
            }
            let used = backends.names().enumerate().filter(|&(index, _)| queues.of_backend(index) > 0);
            stats.publish(reactor.now(), queues.len(), counters, used.map(|(_, name)| name));
        }
    }

    /// What this LibOs has done since it was made.
    ///
    /// ```
    /// # use margay::{Config, LibOs};
    /// # let directory = tempfile::tempdir()?;
    /// # let mut config = Config::default();
    /// # config.catmem.directory = Some(directory.path().into());
    /// let mut libos = LibOs::new(&config)?;
    /// let qd = libos.create_pipe("counted")?;
    /// libos.push(qd, b"five.")?;
    /// let counters = libos.counters();
    /// assert_eq!((counters.messages_pushed, counters.bytes_pushed, counters.messages_popped), (1, 5, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn counters(&self) -> Counters {
        let Counted { messages_pushed, bytes_pushed, messages_popped, bytes_popped, collections } = self.counted;
        let of_backends = self.backends.counters();
        let system_calls = of_backends.system_calls + collections;
        Counters { messages_pushed, bytes_pushed, messages_popped, bytes_popped, system_calls, ..of_backends }
    }
}
