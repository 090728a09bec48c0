// SPDX-License-Identifier: MIT OR Apache-2.0
//! A link: two ports are a wire, more are a switch, which learns where stations are, or a hub, which does not care.
//!
//! What must always hold: a frame is decided about when it is sent, and has one fate, counted: it finds its port's queue full,
//! is too long, or sets out in one copy for each port that it is for; and of copies, `copies + duplicated = lost + delivered`
//! and those on their way.

use alloc::vec::Vec;
use core::time::Duration;

use hashbrown::HashMap;
use runtime::time::Time;

use super::conditions::{Conditions, damage};
use super::events::{Event, Events};
use super::trace::{Capture, Fate, Trace};
use super::{LinkId, NodeId};
use crate::keyed::{Keyed, Random, Secret};
use crate::limits::{SIM_SPARE_FRAMES, SIM_STATIONS_MAX};
use crate::wire::{EtherType, MacAddress, ethernet, vlan};

/// What a link has counted, over all its ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkCounters {
    /// Frames that were given to it.
    pub sent: u64,
    /// Of those, that found their port's queue full.
    pub queue_full: u64,
    /// Of those, that were longer than its MTU.
    pub too_long: u64,
    /// Copies that set out, one for each port that the frame is for.
    pub copies: u64,
    /// Copies that were lost.
    pub lost: u64,
    /// Copies that became two.
    pub duplicated: u64,
    /// Copies that were held back.
    pub reordered: u64,
    /// Copies of which a byte was changed.
    pub corrupted: u64,
    /// Copies that have arrived.
    pub delivered: u64,
}

impl LinkCounters {
    /// Copies that are on their way.
    #[must_use]
    pub const fn under_way(&self) -> u64 {
        (self.copies + self.duplicated).saturating_sub(self.lost + self.delivered)
    }
}

struct Port {
    node: NodeId,
    conditions: Conditions,
    /// The state of burst loss.
    bad: bool,
    /// When the last bit of what was sent so far has left.
    busy_until: Time,
    /// When the last frame that was not held back arrives.
    last_arrival: Time,
}

impl Port {
    /// Bytes that wait in the port.
    fn backlog(&self, now: Time) -> usize {
        let Some(rate) = self.conditions.rate else { return 0 };
        let bits = self.busy_until.saturating_since(now).as_nanos() * u128::from(rate) / 1_000_000_000;
        usize::try_from(bits / 8).unwrap_or(usize::MAX)
    }
}

/// One link.
pub(super) struct Link {
    ports: Vec<Port>,
    /// Where stations are; `None` for a hub.
    stations: Option<HashMap<MacAddress, u32, Keyed>>,
    capture: Option<Capture>,
    counters: LinkCounters,
}

/// All links, and the time.
pub(super) struct Wires {
    pub now: Time,
    pub events: Events,
    links: Vec<Link>,
    random: Random,
    trace: Trace,
    /// Memory of frames that are gone.
    spare: Vec<Vec<u8>>,
}

impl Wires {
    pub fn new(secret: &Secret, now: Time) -> Self {
        Self {
            now,
            events: Events::default(),
            links: Vec::new(),
            random: Random::new(secret.derive("wires")),
            trace: Trace::default(),
            spare: Vec::new(),
        }
    }

    pub fn add(&mut self, learns: Option<Keyed>) -> LinkId {
        let stations = learns.map(HashMap::with_hasher);
        self.links.push(Link { ports: Vec::new(), stations, capture: None, counters: LinkCounters::default() });
        LinkId(self.links.len() as u32 - 1)
    }

    pub fn attach(&mut self, link: LinkId, node: NodeId, conditions: Conditions) -> u32 {
        let now = self.now;
        let ports = &mut self.link_mut(link).ports;
        ports.push(Port { node, conditions, bad: false, busy_until: now, last_arrival: now });
        ports.len() as u32 - 1
    }

    fn link(&self, id: LinkId) -> &Link {
        &self.links[id.0 as usize]
    }

    fn link_mut(&mut self, id: LinkId) -> &mut Link {
        &mut self.links[id.0 as usize]
    }

    pub fn counters(&self, link: LinkId) -> LinkCounters {
        self.link(link).counters
    }

    pub fn node(&self, link: LinkId, port: u32) -> NodeId {
        self.link(link).ports[port as usize].node
    }

    pub fn nodes(&self, link: LinkId) -> Vec<NodeId> {
        self.link(link).ports.iter().map(|port| port.node).collect()
    }

    /// The conditions of what a node sends, or of what everybody sends.
    pub fn conditions(&mut self, link: LinkId, node: Option<NodeId>) -> impl Iterator<Item = &mut Conditions> {
        let ports = self.link_mut(link).ports.iter_mut();
        ports.filter(move |port| node.is_none_or(|node| node == port.node)).map(|port| &mut port.conditions)
    }

    pub fn watch(&mut self, link: LinkId, limit: usize) {
        self.link_mut(link).capture = Some(Capture { records: Vec::new(), limit });
    }

    pub fn capture(&self, link: LinkId) -> Option<&Capture> {
        self.link(link).capture.as_ref()
    }

    pub fn hash(&self) -> u64 {
        self.trace.hash()
    }

    /// When a port whose queue is full takes a frame again; `None`: now.
    pub fn room_at(&self, link: LinkId, port: u32) -> Option<Time> {
        let port = &self.link(link).ports[port as usize];
        let rate = port.conditions.rate.filter(|_| port.conditions.waits)?;
        let over = port.backlog(self.now).checked_sub(port.conditions.queue)?;
        // Later than now, also where a byte takes less than the clock's tick.
        Some(self.now + send_time(over as u64 + 1, rate).max(Duration::from_nanos(1)))
    }

    /// Memory for a frame.
    pub fn frame(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Takes memory back.
    pub fn recycle(&mut self, mut frame: Vec<u8>) {
        if self.spare.len() < SIM_SPARE_FRAMES {
            frame.clear();
            self.spare.push(frame);
        }
    }

    /// A frame has come out.
    pub fn arrived(&mut self, link: LinkId) {
        self.link_mut(link).counters.delivered += 1;
    }

    /// Takes a frame from a port, and decides what becomes of it.
    pub fn send(&mut self, id: LinkId, from: u32, frame: Vec<u8>) {
        let now = self.now;
        self.trace.add(now, id.0 << 16 | from, &frame);
        let link = &mut self.links[id.0 as usize];
        link.counters.sent += 1;
        let port = &mut link.ports[from as usize];
        let (conditions, node) = (port.conditions, port.node);
        let fate = if frame.len() > usize::from(conditions.mtu) + header_len(&frame) {
            link.counters.too_long += 1;
            Some(Fate::TooLong)
        } else if !conditions.waits && port.backlog(now) + frame.len() > conditions.queue && conditions.rate.is_some() {
            link.counters.queue_full += 1;
            Some(Fate::QueueFull)
        } else {
            None
        };
        if let Some(fate) = fate {
            if let Some(capture) = &mut link.capture {
                capture.add(now, node, fate, &frame);
            }
            return self.recycle(frame);
        }
        if let Some(rate) = conditions.rate {
            port.busy_until = port.busy_until.max(now) + send_time(frame.len() as u64, rate);
        } else {
            port.busy_until = now;
        }
        let mut to = link.first_for(from, &frame);
        let mut frame = Some(frame);
        while let Some(port) = to {
            to = self.links[id.0 as usize].next_for(from, port, frame.as_deref().unwrap_or_default());
            let copy = if to.is_some() { self.copy(frame.as_deref()) } else { frame.take() };
            self.carry(id, from, port, copy.unwrap_or_default(), &conditions);
        }
        if let Some(frame) = frame {
            self.recycle(frame);
        }
    }

    fn copy(&mut self, frame: Option<&[u8]>) -> Option<Vec<u8>> {
        let mut copy = self.frame();
        copy.extend_from_slice(frame?);
        Some(copy)
    }

    /// One copy on its way to one port.
    fn carry(&mut self, id: LinkId, from: u32, to: u32, mut frame: Vec<u8>, conditions: &Conditions) {
        let random = &mut self.random;
        let link = &mut self.links[id.0 as usize];
        link.counters.copies += 1;
        let node = link.ports[to as usize].node;
        let port = &mut link.ports[from as usize];
        let sender = port.node;
        if conditions.loss.strikes(&mut port.bad, random) {
            link.counters.lost += 1;
            self.trace.add(self.now, u32::MAX, &[]);
            if let Some(capture) = &mut link.capture {
                capture.add(self.now, sender, Fate::Lost { to: node }, &frame);
            }
            return self.recycle(frame);
        }
        let twice = conditions.duplicate.happens(random);
        let mut second = None;
        for duplicate in [false, true] {
            if duplicate {
                let Some(copy) = second.take() else { break };
                frame = copy;
                self.links[id.0 as usize].counters.duplicated += 1;
            } else if twice {
                second = self.copy(Some(&frame));
            }
            let random = &mut self.random;
            let link = &mut self.links[id.0 as usize];
            let port = &mut link.ports[from as usize];
            let jitter = if conditions.jitter.is_zero() {
                Duration::ZERO
            } else {
                random.between(Duration::ZERO, conditions.jitter)
            };
            let mut at = (port.busy_until + conditions.delay + jitter).max(port.last_arrival);
            if conditions.reorder.happens(random) {
                link.counters.reordered += 1;
                at += conditions.reorder_by;
            } else {
                port.last_arrival = at;
            }
            let corrupt = conditions.corrupt.happens(random);
            if corrupt {
                link.counters.corrupted += 1;
                damage(&mut frame, random);
                self.trace.add(at, to, &frame);
            } else {
                self.trace.add(at, to, &[]);
            }
            if let Some(capture) = &mut link.capture {
                capture.add(self.now, sender, Fate::Arrives { to: node, at, duplicate, corrupt }, &frame);
            }
            self.events.push(at, Event::Arrive { link: id.0, port: to, frame: core::mem::take(&mut frame) });
        }
    }
}

impl Link {
    /// The first port that a frame goes to.
    fn first_for(&mut self, from: u32, frame: &[u8]) -> Option<u32> {
        if let (Some(stations), Ok(view)) = (&mut self.stations, ethernet::View::new(frame)) {
            let source = view.source();
            if source.is_unicast() && (stations.len() < SIM_STATIONS_MAX || stations.contains_key(&source)) {
                stations.insert(source, from);
            }
            if let Some(&port) = stations.get(&view.destination()) {
                return (port != from).then_some(port);
            }
        }
        self.other_than(from, 0)
    }

    /// And the one after `before`.
    fn next_for(&self, from: u32, before: u32, frame: &[u8]) -> Option<u32> {
        let known = self.stations.as_ref().is_some_and(|stations| {
            ethernet::View::new(frame).is_ok_and(|view| stations.contains_key(&view.destination()))
        });
        if known { None } else { self.other_than(from, before + 1) }
    }

    fn other_than(&self, from: u32, first: u32) -> Option<u32> {
        let next = if first == from { first + 1 } else { first };
        ((next as usize) < self.ports.len()).then_some(next)
    }
}

/// Bytes of Ethernet's header, and of the tag behind it.
fn header_len(frame: &[u8]) -> usize {
    let tagged = ethernet::View::new(frame).is_ok_and(|view| view.ether_type() == EtherType::VLAN);
    ethernet::HEADER + if tagged { vlan::HEADER } else { 0 }
}

/// How long so many bytes take.
fn send_time(bytes: u64, rate: u64) -> Duration {
    Duration::from_nanos((u128::from(bytes) * 8 * 1_000_000_000 / u128::from(rate.max(1))) as u64)
}
