// SPDX-License-Identifier: MIT OR Apache-2.0
//! Datagram sockets: UDP's (RFC 768, RFC 1122 section 4.1, RFC 8085) and those for echo requests, which are the same but for
//! what stands in their packets.
//!
//! What must always hold:
//!
//! - A datagram is given to the socket that is connected to its sender, else to one at its destination address, else to one
//!   at the wildcard; of several that share an address by `SO_REUSEPORT`, always to the same one for one sender.
//! - The tables are keyed by a secret: no peer can choose addresses that collide.
//! - A bound socket is in the table of its address, and if it is connected in that of its ends instead; `ports` counts both.
//! - A socket is in the list of those to wake once, however much has come.

mod find;
mod key;
mod path;
mod ports;
mod socket;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::net::{IpAddr, SocketAddr};

use hashbrown::HashMap;
use runtime::slab::{Key, Slab};
use runtime::socket::{Domain, SocketOption};
use runtime::{Errno, Error, Result};

use crate::keyed::{Keyed, Secret};
use crate::limits::{RECENT_FLOWS, SOCKET_GROUPS_MAX, SOCKETS_MAX};
use crate::wire::whole::{addresses_v4, addresses_v6};
use ports::Ports;

pub(crate) use key::{Flow, Kind, Local};
pub(crate) use path::{Path, Target};
pub(crate) use socket::{Datagram, Socket};

/// Ends a chain of sockets.
const NONE: u32 = u32::MAX;

const CLOSED: Error = Error::new(Errno::BADF, "the socket is closed");
const TOO_MANY: Error = Error::new(Errno::MFILE, "the stack has as many sockets as it may");
const NO_IP: Error = Error::new(Errno::AFNOSUPPORT, "a Unix socket is none of the network's");
const BOUND: Error = Error::new(Errno::INVAL, "the socket is bound already");
const TAKEN: Error = Error::new(Errno::ADDRINUSE, "another socket has this address");
const NO_PORT: Error = Error::new(Errno::ADDRINUSE, "no port is free");
const NOT_MEMBER: Error = Error::new(Errno::ADDRNOTAVAIL, "the socket has not joined this group");
const MEMBER: Error = Error::new(Errno::ADDRINUSE, "the socket has joined this group already");
const GROUPS_FULL: Error = Error::new(Errno::NOBUFS, "the socket has joined as many groups as it may");
const NO_HOPS: Error = Error::new(Errno::INVAL, "a packet makes 1 to 255 hops");

/// Names a socket of one stack: an index and a generation, so that the name of a closed one finds nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SocketId(Key);

impl SocketId {
    /// A number that no other open socket of the stack has, from 0 on: for tables.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.0.index
    }
}

/// What a socket may be tried for again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// Something has come, or gone wrong: receive.
    pub readable: bool,
    /// There is room again: send.
    pub writable: bool,
}

/// What a socket can be set to beyond [`runtime::socket::SocketOption`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// `SO_REUSEPORT`: several sockets share one address, and each peer speaks to one of them. Set before `bind`.
    ReusePort(bool),
    /// `IPV6_V6ONLY`: a socket at `[::]` does not serve IPv4. Set before `bind`.
    V6Only(bool),
    /// `SO_BROADCAST`: datagrams to a broadcast address are allowed; else they are `EACCES`.
    Broadcast(bool),
    /// `IP_TTL`, `IPV6_UNICAST_HOPS`: 1 to 255.
    Hops(u8),
    /// `IP_MULTICAST_TTL`, `IPV6_MULTICAST_HOPS`: 0 (nobody but this host) to 255. At first 1.
    MulticastHops(u8),
    /// `UDP_SEGMENT` of `udp(7)`: one send leaves as datagrams of so many bytes, the last one of what is left; 0: as one.
    SegmentSize(u16),
    /// `IP_MULTICAST_LOOP`, `IPV6_MULTICAST_LOOP`: what is sent to a group comes back to members on this host. At first true.
    MulticastLoop(bool),
}

/// A flow as its packets have it, the socket that it was for, and the state of tables and addresses in which that was so. `A`
/// is what a packet has for both addresses.
#[derive(Clone, Copy)]
struct Recent<A> {
    addresses: A,
    /// The sender's port, then ours.
    ports: u32,
    index: u32,
    state: u64,
}

impl<A: Copy + PartialEq> Recent<A> {
    /// Between no ports, as no packet is.
    const fn nobody(addresses: A) -> Self {
        Self { addresses, ports: 0, index: NONE, state: u64::MAX }
    }

    #[inline]
    fn find(all: &[Self; RECENT_FLOWS], addresses: A, ports: u32, state: u64) -> Option<u32> {
        let recent = all.get(place(ports))?;
        (recent.addresses == addresses && recent.ports == ports && recent.state == state).then_some(recent.index)
    }

    fn put(self, all: &mut [Self; RECENT_FLOWS]) {
        if let Some(place) = all.get_mut(place(self.ports)) {
            *place = self;
        }
    }
}

/// Where a flow would be among the recent ones.
#[inline]
const fn place(ports: u32) -> usize {
    (ports ^ ports >> 16) as usize % RECENT_FLOWS
}

/// The datagram sockets of one stack.
pub(crate) struct Sockets {
    slab: Slab<Socket>,
    /// The newest of those that are bound to an address and not connected.
    bound: HashMap<Local, u32, Keyed>,
    /// How many of those keys name an address, and are no wildcard.
    named: usize,
    /// The newest of those with these ends.
    connected: HashMap<Flow, u32, Keyed>,
    /// How many sockets have a port.
    ports: HashMap<(u8, u16), u32, Keyed>,
    ephemeral: Ports,
    hasher: Keyed,
    /// Flows that datagrams came in of late, and their sockets: the next is mostly of one of them. A peer that chooses flows that
    /// share a place here only makes them cost what a first one costs.
    recent_v4: Box<[Recent<u64>; RECENT_FLOWS]>,
    recent_v6: Box<[Recent<[u64; 4]>; RECENT_FLOWS]>,
    /// Changes with every change of the tables, of what a socket is set to, and with every error that it is to tell.
    stamp: u32,
    woken: VecDeque<u32>,
    /// Sockets whose sends wait for room.
    crowd: VecDeque<u32>,
}

impl Sockets {
    pub fn new(secret: &Secret) -> Self {
        let hasher = secret.derive("sockets").hasher();
        Self {
            slab: Slab::new(SOCKETS_MAX),
            bound: HashMap::with_hasher(hasher),
            named: 0,
            connected: HashMap::with_hasher(hasher),
            ports: HashMap::with_hasher(hasher),
            ephemeral: Ports::new(secret),
            hasher,
            recent_v4: Box::new([const { Recent::nobody(0) }; RECENT_FLOWS]),
            recent_v6: Box::new([const { Recent::nobody([0; 4]) }; RECENT_FLOWS]),
            stamp: 0,
            woken: VecDeque::new(),
            crowd: VecDeque::new(),
        }
    }

    pub fn open(&mut self, domain: Domain, kind: Kind) -> Result<SocketId> {
        if domain == Domain::Unix {
            return Err(NO_IP);
        }
        self.slab.insert(Socket::new(domain, kind)).map(SocketId).map_err(|_| TOO_MANY)
    }

    #[inline]
    pub fn get(&mut self, id: SocketId) -> Result<&mut Socket> {
        self.slab.get_mut(id.0).ok_or(CLOSED)
    }

    pub fn peek(&self, id: SocketId) -> Result<&Socket> {
        match self.slab.key_at(id.0.index) {
            Some(key) if key == id.0 => self.slab.at(id.0.index).ok_or(CLOSED),
            _ => Err(CLOSED),
        }
    }

    /// Takes a socket out of the tables and gives it back.
    pub fn close(&mut self, id: SocketId) -> Result<Socket> {
        self.get(id)?;
        self.unlink(id.0.index);
        let socket = self.slab.remove(id.0).ok_or(CLOSED)?;
        self.release_port(&socket);
        if socket.dirty != Readiness::default() {
            self.woken.retain(|&index| index != id.0.index);
        }
        if socket.wants_room {
            self.crowd.retain(|&index| index != id.0.index);
        }
        Ok(socket)
    }

    fn release_port(&mut self, socket: &Socket) {
        let key = (socket.kind as u8, socket.local.1);
        if let Some(count) = self.ports.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.ports.remove(&key);
            }
        }
    }

    /// Gives a socket its address; port 0: a free one. The address is one that this host may have.
    pub fn bind(&mut self, id: SocketId, address: IpAddr, port: u16) -> Result<()> {
        let socket = self.get(id)?;
        if socket.local.1 != 0 {
            return Err(BOUND);
        }
        let port = if port == 0 {
            self.free_port(id, address)?
        } else if self.is_taken(id, address, port) {
            return Err(TAKEN);
        } else {
            port
        };
        let socket = self.get(id)?;
        socket.local = (address, port);
        socket.named = !address.is_unspecified();
        let kind = socket.kind;
        *self.ports.entry((kind as u8, port)).or_insert(0) += 1;
        self.link(id.0.index);
        Ok(())
    }

    fn free_port(&mut self, id: SocketId, address: IpAddr) -> Result<u16> {
        let kind = self.peek(id)?.kind as u8;
        let Self { ephemeral, ports, .. } = self;
        if let Some(port) = ephemeral.choose(|port| !ports.contains_key(&(kind, port))) {
            return Ok(port);
        }
        // Each port has a socket, but perhaps at another address.
        (crate::limits::EPHEMERAL_FIRST..=u16::MAX).find(|&port| !self.is_taken(id, address, port)).ok_or(NO_PORT)
    }

    /// Whether another socket keeps this one from the address: one at the same or at a wildcard that covers it, unless both
    /// share it (`SO_REUSEADDR`, `SO_REUSEPORT` of `socket(7)`).
    fn is_taken(&self, id: SocketId, address: IpAddr, port: u16) -> bool {
        let Ok(new) = self.peek(id) else { return false };
        if !self.ports.contains_key(&(new.kind as u8, port)) {
            return false;
        }
        let covers = |wildcard: IpAddr, v6_only: bool, other: IpAddr| {
            wildcard.is_unspecified() && (wildcard.is_ipv4() == other.is_ipv4() || (wildcard.is_ipv6() && !v6_only))
        };
        (0..self.slab.slots()).filter(|&index| index != id.0.index).filter_map(|index| self.slab.at(index)).any(|old| {
            let shared = (new.reuse_address && old.reuse_address) || (new.reuse_port && old.reuse_port);
            let meets = old.local.0 == address
                || covers(old.local.0, old.v6_only, address)
                || covers(address, new.v6_only, old.local.0);
            old.kind == new.kind && old.local.1 == port && meets && !shared
        })
    }

    /// Gives a bound socket a peer, and the source address that leads there; or takes both away again.
    pub fn connect(&mut self, id: SocketId, peer: Option<(IpAddr, u16)>, source: IpAddr) -> Result<()> {
        self.get(id)?;
        self.unlink(id.0.index);
        let socket = self.get(id)?;
        socket.peer = peer;
        socket.path = None;
        if !socket.named {
            socket.local.0 = source;
        }
        self.link(id.0.index);
        Ok(())
    }

    /// Puts a bound socket into the table that it belongs to, in front of others with its key.
    fn link(&mut self, index: u32) {
        self.stamp = self.stamp.wrapping_add(1);
        let Some(socket) = self.slab.at_mut(index) else { return };
        let (local, flow) = (socket.key(), socket.flow());
        let before = if let Some(flow) = flow {
            self.connected.insert(flow, index)
        } else {
            let before = self.bound.insert(local, index);
            self.named += usize::from(before.is_none() && !local.address.is_unspecified());
            before
        };
        socket.next = before.unwrap_or(NONE);
    }

    /// Takes a socket out of its table, if it is in one.
    fn unlink(&mut self, index: u32) {
        self.stamp = self.stamp.wrapping_add(1);
        let Some(socket) = self.slab.at_mut(index) else { return };
        let (local, flow, next) = (socket.key(), socket.flow(), socket.next);
        socket.next = NONE;
        if local.port == 0 {
            return;
        }
        let head = match &flow {
            Some(flow) => self.connected.get_mut(flow),
            None => self.bound.get_mut(&local),
        };
        let Some(head) = head else { return };
        if *head != index {
            let mut at = *head;
            while let Some(before) = self.slab.at_mut(at) {
                if before.next == index {
                    before.next = next;
                    return;
                }
                at = before.next;
            }
        } else if next != NONE {
            *head = next;
        } else if let Some(flow) = flow {
            self.connected.remove(&flow);
        } else {
            self.bound.remove(&local);
            self.named -= usize::from(!local.address.is_unspecified());
        }
    }

    /// The socket that a packet with these ends, as they stand in it, was for a moment ago, if nothing has changed since.
    #[inline]
    pub fn recent_v4(&self, addresses: u64, ports: u32, epoch: u32) -> Option<u32> {
        Recent::find(&self.recent_v4, addresses, ports, self.state(epoch))
    }

    /// The same in IPv6.
    #[inline]
    pub fn recent_v6(&self, addresses: [u64; 4], ports: u32, epoch: u32) -> Option<u32> {
        Recent::find(&self.recent_v6, addresses, ports, self.state(epoch))
    }

    /// The state of the tables, and that of addresses and routes: what was looked up in another one is not believed.
    #[inline]
    pub const fn state(&self, epoch: u32) -> u64 {
        (self.stamp as u64) << 32 | epoch as u64
    }

    /// Keeps what [`find`](Self::find) gave for a flow of UDP to an address of ours.
    #[inline]
    pub fn remember(&mut self, flow: &Flow, index: u32, epoch: u32) {
        let (ports, state) = (u32::from(flow.port) << 16 | u32::from(flow.local.port), self.state(epoch));
        match (flow.address, flow.local.address) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                Recent { addresses: addresses_v4(from, to), ports, index, state }.put(&mut self.recent_v4);
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                Recent { addresses: addresses_v6(from, to), ports, index, state }.put(&mut self.recent_v6);
            }
            _ => {}
        }
    }

    /// Puts a datagram of so many bytes into a socket, which is worth trying again then; false if there is no room. `scarce`:
    /// see [`Socket::deliver`].
    #[inline(always)]
    pub fn deliver(&mut self, index: u32, len: u32, datagram: impl FnOnce() -> Datagram, scarce: bool) -> bool {
        let Some(socket) = self.slab.at_mut(index) else { return false };
        if !socket.deliver(len, datagram, scarce) {
            return false;
        }
        if !core::mem::replace(&mut socket.dirty.readable, true) && !socket.dirty.writable {
            self.woken.push_back(index);
        }
        true
    }

    /// Marks a socket as worth trying again.
    #[inline]
    pub fn wake(&mut self, index: u32, readable: bool, writable: bool) {
        if let Some(socket) = self.slab.at_mut(index) {
            if socket.dirty == Readiness::default() {
                self.woken.push_back(index);
            }
            socket.dirty.readable |= readable;
            socket.dirty.writable |= writable;
        }
    }

    /// The next that was marked.
    #[inline]
    pub fn woken(&mut self) -> Option<(SocketId, Readiness)> {
        let index = self.woken.pop_front()?;
        let dirty = core::mem::take(&mut self.slab.at_mut(index)?.dirty);
        self.slab.key_at(index).map(|key| (SocketId(key), dirty))
    }

    /// The socket's send has to wait for room.
    pub fn wait_for_room(&mut self, id: SocketId) {
        if let Some(socket) = self.slab.get_mut(id.0)
            && !socket.wants_room
        {
            socket.wants_room = true;
            self.crowd.push_back(id.0.index);
        }
    }

    /// There is room: all that wait for it are woken. Those that find none wait again.
    pub fn room(&mut self) {
        while let Some(index) = self.crowd.pop_front() {
            if let Some(socket) = self.slab.at_mut(index) {
                socket.wants_room = false;
            }
            self.wake(index, false, true);
        }
    }

    /// Whether a send waits for room.
    #[inline]
    pub fn is_crowded(&self) -> bool {
        !self.crowd.is_empty()
    }

    pub fn set_option(&mut self, id: SocketId, option: SocketOption) -> Result<()> {
        self.get(id)?.set_option(option);
        self.stamp = self.stamp.wrapping_add(1);
        Ok(())
    }

    pub fn set(&mut self, id: SocketId, setting: Setting) -> Result<()> {
        self.stamp = self.stamp.wrapping_add(1);
        let socket = self.get(id)?;
        let is_bound = socket.local.1 != 0;
        match setting {
            Setting::ReusePort(_) | Setting::V6Only(_) if is_bound => return Err(BOUND),
            Setting::ReusePort(on) => socket.reuse_port = on,
            Setting::V6Only(on) => socket.v6_only = on,
            Setting::Broadcast(on) => socket.broadcast = on,
            Setting::Hops(0) => return Err(NO_HOPS),
            Setting::Hops(hops) => socket.hops = Some(hops),
            Setting::MulticastHops(hops) => socket.multicast_hops = hops,
            Setting::MulticastLoop(on) => socket.multicast_loop = on,
            Setting::SegmentSize(size) => socket.segment = size,
        }
        Ok(())
    }

    pub fn join(&mut self, id: SocketId, group: IpAddr) -> Result<()> {
        let socket = self.get(id)?;
        if socket.is_member(group) {
            return Err(MEMBER);
        }
        if socket.groups.len() >= SOCKET_GROUPS_MAX {
            return Err(GROUPS_FULL);
        }
        socket.groups.push(group);
        Ok(())
    }

    pub fn leave(&mut self, id: SocketId, group: IpAddr) -> Result<()> {
        let groups = &mut self.get(id)?.groups;
        let at = groups.iter().position(|joined| *joined == group).ok_or(NOT_MEMBER)?;
        groups.swap_remove(at);
        Ok(())
    }

    /// Tells the sender of a packet what became of it: a connected UDP socket with these ends, or the echo socket.
    pub fn fail(&mut self, flow: &Flow, error: Error) -> bool {
        let index = match flow.local.kind {
            Kind::Udp => self.connected.get(flow).copied(),
            Kind::Echo => self.find(flow),
        };
        let Some(index) = index else { return false };
        if let Some(socket) = self.slab.at_mut(index) {
            socket.error = Some(error);
        }
        self.stamp = self.stamp.wrapping_add(1);
        self.wake(index, true, true);
        true
    }

    /// Whether a socket has sent, or could have sent, a packet with these ends.
    pub fn has_sent(&self, flow: &Flow) -> bool {
        self.find(flow).is_some()
    }

    /// How many there are.
    pub fn len(&self) -> u32 {
        self.slab.len()
    }
}

/// What is shown of a socket's own address.
pub(crate) fn shown_local(socket: &Socket) -> SocketAddr {
    match socket.local {
        (address, port) if address.is_unspecified() => SocketAddr::new(socket.wildcard(), port),
        (address, port) => socket.show(SocketAddr::new(address, port)),
    }
}
