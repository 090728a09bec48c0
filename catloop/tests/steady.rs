// SPDX-License-Identifier: MIT OR Apache-2.0
//! Datagrams in steady state allocate nothing: neither one that is pushed to the address of the one before, nor one that
//! goes to another address that was pushed to before.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use catloop::{Catloop, Settings};
use core::net::SocketAddr;
use core::task::Poll;
use core::time::Duration;
use runtime::buf::{Classes, Pools};
use runtime::op::{Datagram, Direction, Wakes};
use runtime::reactor::{Events, Reactor};
use runtime::socket::{Domain, Kind};
use runtime::transport::{Handle, PopMode, Transport};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::rc::Rc;

struct Counting;

thread_local! {
    /// Of each thread, for the runner of the tests allocates too.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator with its arguments as they are.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that is ending has no counter any more.
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Both ends in one transport; what is between them is the same as between two.
struct Node {
    reactor: Rc<Reactor>,
    catloop: Catloop,
    pools: Pools,
    wakes: Wakes,
    events: Events,
}

impl Node {
    fn socket(&mut self, queue: u32, address: &str) -> (Handle, SocketAddr) {
        let socket = self.catloop.socket(queue, Domain::V4, Kind::Datagram).unwrap();
        self.catloop.bind(socket, address.parse().unwrap()).unwrap();
        (socket, self.catloop.local_address(socket).unwrap())
    }

    fn push(&mut self, socket: Handle, bytes: &[u8], to: SocketAddr) {
        let mut message = self.pools.alloc_copy(bytes).unwrap().into();
        assert_eq!(self.catloop.push_to(socket, &mut message, to), Poll::Ready(Ok(())));
    }

    fn round(&mut self) {
        self.reactor.collect(Some(Duration::ZERO), &mut self.events).unwrap();
        for index in 0..self.events.as_slice().len() {
            self.catloop.event(self.events.as_slice()[index], &mut self.wakes);
        }
        self.reactor.run_tasks(64);
        self.catloop.poll(&mut self.wakes);
        while self.wakes.take().is_some() {}
    }

    fn pop(&mut self, socket: Handle) -> SocketAddr {
        for _ in 0..1000 {
            match self.catloop.pop(socket, PopMode::Whole) {
                Poll::Ready(chain) => return Datagram::from_chain(chain.unwrap()).sender(),
                Poll::Pending if self.catloop.spin(socket, Direction::Pop, 16) => {}
                Poll::Pending => self.round(),
            }
        }
        panic!("no datagram came");
    }
}

#[test]
fn datagrams_allocate_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let reactor = Reactor::new().unwrap();
    let pools = Pools::new(&Classes { small_count: 256, large_count: 4, ..Classes::default() }).unwrap();
    let settings = Settings { directory: Some(directory.path().into()), ..Settings::default() };
    let catloop = Catloop::new(settings, Rc::clone(&reactor), pools.clone(), 1 << 48);
    let (mut wakes, events) = (Wakes::default(), Events::new());
    wakes.grow(64);
    let mut node = Node { reactor, catloop, pools, wakes, events };
    let (server, at) = node.socket(0, "127.0.0.1:53");
    let clients = [1, 2, 3].map(|queue| node.socket(queue, "127.0.0.1:0").0);
    for counted in [false, true] {
        let before = ALLOCATIONS.get();
        for round in 0..1000 {
            // One after the other, and all at once.
            for &client in &clients {
                node.push(client, b"question", at);
                if round % 2 == 0 {
                    let sender = node.pop(server);
                    node.push(server, b"answer", sender);
                }
            }
            for _ in clients.iter().filter(|_| round % 2 == 1) {
                let sender = node.pop(server);
                node.push(server, b"answer", sender);
            }
            for &client in &clients {
                assert_eq!(node.pop(client), at);
            }
            node.round();
        }
        let made = ALLOCATIONS.get() - before;
        assert!(made > 0 || counted, "nothing was counted at all");
        assert!(made == 0 || !counted, "{made} allocations in steady state");
    }
    assert_eq!(node.catloop.counters().drops, 0);
}
