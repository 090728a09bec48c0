// SPDX-License-Identifier: MIT OR Apache-2.0
//! A network in memory: hosts with a [`Stack`](crate::stack::Stack) each, links that treat frames as badly as they are told
//! to, routers, and a clock that jumps to what happens next. By it the stack is proved.
//!
//! ```
//! use core::time::Duration;
//! use network::sim::{Chance, Conditions, Loss, Sim};
//! use runtime::socket::Domain;
//!
//! let mut sim = Sim::new(7);
//! let lan = sim.switch();
//! let conditions = Conditions { loss: Loss::Random(Chance::percent(10)), ..Conditions::default() };
//! let (one, two) = (sim.config(1), sim.config(2));
//! let (one, two) = (sim.host(lan, one)?, sim.host(lan, two)?);
//! sim.set_conditions(lan, conditions);
//! let server = sim.call(two, |host, _| {
//!     let id = host.stack.udp_socket(Domain::V4)?;
//!     host.stack.bind(id, "10.0.0.2:7".parse().unwrap()).map(|()| id)
//! })?;
//! sim.call(one, |host, now| {
//!     let id = host.stack.udp_socket(Domain::V4)?;
//!     let mut message = host.message(b"hello")?;
//!     let _ = host.stack.send(id, &mut message, Some("10.0.0.2:7".parse().unwrap()), now);
//!     Ok::<_, runtime::Error>(())
//! })?;
//! sim.run(Duration::from_secs(5));
//! assert!(sim.host_mut(two).stack.receive_from(server).is_ready());
//! # Ok::<(), runtime::Error>(())
//! ```
//!
//! A node is a host, a [`Router`], or a station: a function of the test that is given frames and gives frames. What a test
//! does with a host goes through [`Sim::call`], or comes from an [`Application`] that runs whenever a socket of its host is
//! woken or its alarm goes off. After each, the frames that the stack has made are on their way.
//!
//! What must always hold:
//!
//! - One seed makes the run: two simulations that were told the same have the same [`hash`](Sim::hash).
//! - Time moves on: what finds no end at one moment is a defect of the stack, and a panic.
//! - Nothing is lost without count: see [`LinkCounters`].

mod conditions;
mod events;
pub mod frames;
#[cfg(any(fuzzing, test))]
pub mod fuzz;
mod host;
mod link;
mod pcapng;
mod router;
#[cfg(test)]
mod tests;
mod trace;

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use runtime::Result;
use runtime::device::Caps;
use runtime::time::Time;

use crate::ip::Prefix;
use crate::keyed::{Random, Secret};
use crate::limits::{SIM_EVENTS_AT_ONCE, SIM_FRAMES_AT_ONCE};
use crate::stack::Config;
use crate::wire::MacAddress;
use events::Event;
use link::Wires;

pub use conditions::{Chance, Conditions, Loss};
pub use host::{Application, Host, Wake};
pub use link::LinkCounters;
pub use router::{Router, RouterCounters};
pub use trace::{Fate, Record};

/// Names a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

/// Names a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(u32);

/// Where a node is on a link.
#[derive(Clone, Copy)]
struct Plug {
    link: LinkId,
    port: u32,
}

/// What a station does with a frame: it adds those that it answers.
pub type Station = Box<dyn FnMut(&[u8], Time, &mut Vec<Vec<u8>>)>;

enum Kind {
    Host(Box<Host>),
    Router(Box<Router>),
    Station(Station),
}

struct Node {
    kind: Kind,
    plugs: Vec<Plug>,
    /// When the next turn of it is on the list.
    listed: Option<Time>,
}

/// A network in memory. See the module's first lines.
pub struct Sim {
    secret: Secret,
    random: Random,
    nodes: Vec<Node>,
    wires: Wires,
    events: u64,
    /// How many of those happened at this moment.
    still: u32,
}

impl Sim {
    /// An empty network, at one second past the clock's origin.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        let (secret, now) = (Secret(key), Time::from_nanos(1_000_000_000));
        let random = Random::new(secret.derive("test"));
        Self { secret, random, nodes: Vec::new(), wires: Wires::new(&secret, now), events: 0, still: 0 }
    }

    /// Random numbers of the seed, for what a test leaves to chance.
    pub const fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// The settings of host `number`: 10.0.0.`number`/24, fd00::`number`/64, 1,500 bytes, a secret of the seed.
    #[must_use]
    pub fn config(&self, number: u8) -> Config {
        let caps = Caps { mtu: 1500, headroom: 0, checksum: false, segments_tcp: false, segments_udp: false };
        let mut config = Config::new(mac(number), caps, self.secret.derive(&alloc::format!("host {number}")));
        let v4 = Prefix::new(Ipv4Addr::new(10, 0, 0, number).into(), 24);
        let v6 = Prefix::new(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, u16::from(number)).into(), 64);
        config.addresses = [v4, v6].into_iter().filter_map(Result::ok).collect();
        config
    }

    /// A wire or a switch: a frame goes to the port where its station is, if that is known, else to all.
    pub fn switch(&mut self) -> LinkId {
        self.wires.add(Some(self.secret.derive("stations").hasher()))
    }

    /// A wire or a hub: each frame goes to all other ports.
    pub fn hub(&mut self) -> LinkId {
        self.wires.add(None)
    }

    fn node(&mut self, kind: Kind) -> NodeId {
        self.nodes.push(Node { kind, plugs: Vec::new(), listed: None });
        NodeId(self.nodes.len() as u32 - 1)
    }

    fn plug(&mut self, node: NodeId, link: LinkId) {
        let port = self.wires.attach(link, node, Conditions::default());
        self.nodes[node.0 as usize].plugs.push(Plug { link, port });
    }

    /// A host on a link.
    ///
    /// # Errors
    /// Those of [`Stack::new`](crate::stack::Stack::new).
    pub fn host(&mut self, link: LinkId, config: Config) -> Result<NodeId> {
        let host = Host::new(config, self.wires.now)?;
        let node = self.node(Kind::Host(Box::new(host)));
        self.plug(node, link);
        self.settle(node);
        Ok(node)
    }

    /// A router, whose interfaces are on these links, in their order.
    pub fn router(&mut self, router: Router, links: &[LinkId]) -> NodeId {
        let node = self.node(Kind::Router(Box::new(router)));
        for &link in links {
            self.plug(node, link);
        }
        node
    }

    /// A station on a link: frames that come to it go to a function.
    pub fn station(&mut self, link: LinkId, station: Station) -> NodeId {
        let node = self.node(Kind::Station(station));
        self.plug(node, link);
        node
    }

    /// What happens from now on to frames that anybody on a link sends.
    pub fn set_conditions(&mut self, link: LinkId, conditions: Conditions) {
        self.wires.conditions(link, None).for_each(|of_port| *of_port = conditions);
    }

    /// What happens from now on to frames that one node sends on a link.
    pub fn set_conditions_of(&mut self, link: LinkId, node: NodeId, conditions: Conditions) {
        self.wires.conditions(link, Some(node)).for_each(|of_port| *of_port = conditions);
    }

    /// Gives a host its application.
    ///
    /// # Panics
    /// If the node is no host.
    pub fn run_on(&mut self, node: NodeId, application: Application) {
        self.host_mut(node).application = Some(application);
        self.settle(node);
    }

    /// Does something with a host at the present moment; what it makes the stack send goes out.
    ///
    /// # Panics
    /// If the node is no host.
    pub fn call<T>(&mut self, node: NodeId, call: impl FnOnce(&mut Host, Time) -> T) -> T {
        let now = self.now();
        let result = call(self.host_mut(node), now);
        self.settle(node);
        result
    }

    /// A host, to look at. What sends goes by [`call`](Self::call).
    ///
    /// # Panics
    /// If the node is no host.
    pub fn host_mut(&mut self, node: NodeId) -> &mut Host {
        match &mut self.nodes[node.0 as usize].kind {
            Kind::Host(host) => host,
            _ => panic!("node {} is no host", node.0),
        }
    }

    /// A router.
    ///
    /// # Panics
    /// If the node is none.
    pub fn router_mut(&mut self, node: NodeId) -> &mut Router {
        match &mut self.nodes[node.0 as usize].kind {
            Kind::Router(router) => router,
            _ => panic!("node {} is no router", node.0),
        }
    }

    /// Every host.
    pub fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.nodes.iter().filter_map(|node| match &node.kind {
            Kind::Host(host) => Some(&**host),
            _ => None,
        })
    }

    /// Puts a frame on the first link of a node, as if it had sent it.
    pub fn inject(&mut self, node: NodeId, frame: Vec<u8>) {
        if let Some(&Plug { link, port }) = self.nodes[node.0 as usize].plugs.first() {
            self.wires.send(link, port, frame);
        }
    }

    /// The time.
    #[must_use]
    pub const fn now(&self) -> Time {
        self.wires.now
    }

    /// Runs until something has to happen after `end`; the time is then `end`.
    pub fn run_until(&mut self, end: Time) {
        while self.step(end) {}
        self.wires.now = self.wires.now.max(end);
        self.still = 0;
    }

    /// Runs for so long.
    pub fn run(&mut self, time: Duration) {
        self.run_until(self.now() + time);
    }

    /// Runs until `done` says so; false if it has not after so long.
    pub fn run_while_not(&mut self, time: Duration, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now() + time;
        while !done(self) {
            if !self.step(end) {
                return false;
            }
        }
        true
    }

    /// Lets the next thing happen, if that is not after `end`; false: nothing did.
    ///
    /// # Panics
    /// If the time does not move on.
    pub fn step(&mut self, end: Time) -> bool {
        if self.wires.events.next().is_none_or(|at| at > end) {
            return false;
        }
        let Some((at, event)) = self.wires.events.pop() else { return false };
        if at > self.wires.now {
            self.wires.now = at;
            self.still = 0;
        }
        self.still += 1;
        assert!(self.still <= SIM_EVENTS_AT_ONCE, "{} events at {at:?}, {event:?} the last: no end", self.still);
        self.events += 1;
        match event {
            Event::Arrive { link, port, frame } => self.arrive(LinkId(link), port, frame),
            Event::Turn(node) => {
                let now = self.wires.now;
                let node = NodeId(node);
                let of_node = &mut self.nodes[node.0 as usize];
                // One that was brought forward is on the list twice.
                if of_node.listed == Some(at) {
                    of_node.listed = None;
                    match &mut of_node.kind {
                        Kind::Host(host) => host.turn(now),
                        Kind::Router(router) => router.poll(now),
                        Kind::Station(_) => {}
                    }
                    self.settle(node);
                }
            }
        }
        true
    }

    fn arrive(&mut self, link: LinkId, port: u32, frame: Vec<u8>) {
        self.wires.arrived(link);
        let now = self.wires.now;
        let node = self.wires.node(link, port);
        let Node { kind, plugs, .. } = &mut self.nodes[node.0 as usize];
        match kind {
            Kind::Host(host) => host.receive(&frame, now),
            Kind::Router(router) => {
                let interface = plugs.iter().position(|plug| plug.link == link).unwrap_or(0);
                router.receive(interface, &frame, now);
            }
            Kind::Station(station) => {
                let mut answers = vec![];
                station(&frame, now, &mut answers);
                for answer in answers {
                    self.wires.send(link, port, answer);
                }
            }
        }
        self.wires.recycle(frame);
        self.settle(node);
    }

    /// After a node was touched: its application runs, its frames go out, and its next turn is put on the list.
    fn settle(&mut self, id: NodeId) {
        let Self { nodes, wires, .. } = self;
        let Node { kind, plugs, listed } = &mut nodes[id.0 as usize];
        let now = wires.now;
        let due = match kind {
            Kind::Host(host) => {
                let Some(&Plug { link, port }) = plugs.first() else { return };
                let mut sent = 0;
                let room_at = loop {
                    // Also of sockets that there is room for again, now that a frame is gone.
                    host.wake(now);
                    if let Some(at) = wires.room_at(link, port) {
                        break Some(at);
                    }
                    let mut frame = wires.frame();
                    if !host.transmit(&mut frame) {
                        wires.recycle(frame);
                        break None;
                    }
                    wires.send(link, port, frame);
                    sent += 1;
                    assert!(sent <= SIM_FRAMES_AT_ONCE, "a host sends without end");
                };
                [host.next_deadline(), room_at].into_iter().flatten().min()
            }
            Kind::Router(router) => {
                while let Some((interface, frame)) = router.transmit() {
                    if let Some(&Plug { link, port }) = plugs.get(interface) {
                        wires.send(link, port, frame);
                    }
                }
                router.next_deadline()
            }
            Kind::Station(_) => None,
        };
        if let Some(due) = due {
            let due = due.max(now);
            if listed.is_none_or(|listed| due < listed) {
                *listed = Some(due);
                wires.events.push(due, Event::Turn(id.0));
            }
        }
    }

    /// What a link has counted.
    #[must_use]
    pub fn counters(&self, link: LinkId) -> LinkCounters {
        self.wires.counters(link)
    }

    /// How many things have happened.
    #[must_use]
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// A hash over all that has happened: each frame, when it was sent, and what became of it.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.wires.hash()
    }

    /// From now on the frames of a link are recorded, so many at most.
    pub fn watch(&mut self, link: LinkId, limit: usize) {
        self.wires.watch(link, limit);
    }

    /// What was recorded, in the order in which it was sent.
    #[must_use]
    pub fn records(&self, link: LinkId) -> &[Record] {
        self.wires.capture(link).map_or(&[], |capture| &capture.records)
    }

    /// What was recorded, as a file for Wireshark.
    #[must_use]
    pub fn pcapng(&self, link: LinkId) -> Vec<u8> {
        pcapng::file(&self.wires.nodes(link), self.records(link))
    }
}

/// The hardware address of host `number`.
#[must_use]
pub const fn mac(number: u8) -> MacAddress {
    MacAddress([2, 0, 0, 0, 0, number])
}

impl core::fmt::Debug for Sim {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut shown = f.debug_struct("Sim");
        shown.field("now", &self.now()).field("nodes", &self.nodes.len()).field("events", &self.events);
        shown.finish_non_exhaustive()
    }
}
