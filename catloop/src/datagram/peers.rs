// SPDX-License-Identifier: MIT OR Apache-2.0
//! The pipes of all datagram sockets of a LibOs, and for each socket which of them has something, which was used last, and
//! which leads to an address.
//!
//! What always holds: a peer's number is the inner pipe's queue; each peer is in its socket's list by use, and in its ready
//! list or waited for by the inner transport; an address leads to a peer that is thought to be alive, or to none. Two
//! sockets that push to each other at the same moment make two pipes: then one of them has the address, and the other one
//! takes its place when it goes.

use super::list::{Links, List, Slots};
use core::net::SocketAddr;
use runtime::buf::Sga;
use runtime::transport::Handle;
use std::collections::HashMap;

/// The other end of one pipe.
#[derive(Debug)]
pub struct Peer {
    /// The socket that it belongs to.
    pub socket: Handle,
    /// Its canonical address: what was dialed, or what it said.
    pub address: SocketAddr,
    /// The inner pipe.
    pub pipe: Handle,
    /// It has left or died: nothing can be pushed there.
    pub gone: bool,
    /// A datagram that was popped from the pipe and not by the application yet.
    pub stash: Option<Sga>,
    ready: Links,
    used: Links,
}

/// The table of peers.
#[derive(Debug, Default)]
pub struct Peers {
    slots: Vec<Option<Peer>>,
    free: Vec<u32>,
}

struct Ready<'a>(&'a mut Peers);
struct Used<'a>(&'a mut Peers);

impl Slots for Ready<'_> {
    #[inline]
    fn links(&mut self, entry: u32) -> Option<&mut Links> {
        self.0.get(entry).map(|peer| &mut peer.ready)
    }
}

impl Slots for Used<'_> {
    #[inline]
    fn links(&mut self, entry: u32) -> Option<&mut Links> {
        self.0.get(entry).map(|peer| &mut peer.used)
    }
}

impl Peers {
    /// How many numbers have been given out so far.
    pub fn numbers(&self) -> usize {
        self.slots.len()
    }

    /// The peer of this number.
    #[inline]
    pub fn get(&mut self, id: u32) -> Option<&mut Peer> {
        self.slots.get_mut(id as usize)?.as_mut()
    }

    /// The number that [`Group::insert`] gives next.
    pub fn next_id(&self) -> u32 {
        self.free.last().copied().unwrap_or(self.slots.len() as u32)
    }

    fn insert(&mut self, peer: Peer) -> u32 {
        if let Some(id) = self.free.pop() {
            self.slots[id as usize] = Some(peer);
            return id;
        }
        self.slots.push(Some(peer));
        self.slots.len() as u32 - 1
    }

    fn remove(&mut self, id: u32) -> Option<Peer> {
        let peer = self.slots.get_mut(id as usize)?.take()?;
        self.free.push(id);
        Some(peer)
    }
}

/// The peers of one socket. All calls are for one and the same table.
#[derive(Debug)]
pub struct Group {
    by_address: HashMap<SocketAddr, u32>,
    ready: List,
    /// The one that was not used for longest is in front.
    used: List,
    len: usize,
    /// Those that are not gone.
    alive: usize,
}

impl Group {
    /// Nobody.
    pub fn new() -> Self {
        Self { by_address: HashMap::new(), ready: List::EMPTY, used: List::EMPTY, len: 0, alive: 0 }
    }

    /// How many there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The peer that datagrams to this address go to.
    #[inline]
    pub fn find(&self, address: SocketAddr) -> Option<u32> {
        self.by_address.get(&address).copied()
    }

    /// Adds a peer, which takes the address unless another one has it.
    pub fn insert(&mut self, peers: &mut Peers, socket: Handle, address: SocketAddr, pipe: Handle) -> u32 {
        let (ready, used) = (Links::FREE, Links::FREE);
        let id = peers.insert(Peer { socket, address, pipe, gone: false, stash: None, ready, used });
        self.by_address.entry(address).or_insert(id);
        self.used.push_back(&mut Used(peers), id);
        self.len += 1;
        self.alive += 1;
        id
    }

    /// Takes a peer out.
    pub fn remove(&mut self, peers: &mut Peers, id: u32) -> Option<Peer> {
        self.lost(peers, id);
        self.ready.remove(&mut Ready(peers), id);
        self.used.remove(&mut Used(peers), id);
        let peer = peers.remove(id)?;
        self.len -= 1;
        Some(peer)
    }

    /// Nothing can be pushed to this peer any more: its address leads to another pipe of the same address, if there is one.
    pub fn lost(&mut self, peers: &mut Peers, id: u32) {
        let Some(peer) = peers.get(id) else { return };
        if core::mem::replace(&mut peer.gone, true) {
            return;
        }
        let address = peer.address;
        self.alive -= 1;
        if self.find(address) != Some(id) {
            return;
        }
        self.by_address.remove(&address);
        // As many addresses as pipes: there is no second pipe to any.
        if self.alive > self.by_address.len()
            && let Some(other) = self.other(peers, address)
        {
            self.by_address.insert(address, other);
        }
    }

    /// A peer of this address that is not gone.
    fn other(&self, peers: &mut Peers, address: SocketAddr) -> Option<u32> {
        let mut next = self.used.front();
        while let Some(id) = next {
            let peer = peers.get(id)?;
            if peer.address == address && !peer.gone {
                break;
            }
            next = peer.used.behind();
        }
        next
    }

    /// The peer that has had something for longest.
    #[inline]
    pub fn first_ready(&self) -> Option<u32> {
        self.ready.front()
    }

    /// This one has something, or may have. True if that is new.
    #[inline]
    pub fn make_ready(&mut self, peers: &mut Peers, id: u32) -> bool {
        match peers.get(id) {
            Some(peer) if !peer.ready.is_linked() => {
                self.ready.push_back(&mut Ready(peers), id);
                true
            }
            _ => false,
        }
    }

    /// This one has nothing now.
    #[inline]
    pub fn make_idle(&mut self, peers: &mut Peers, id: u32) {
        self.ready.remove(&mut Ready(peers), id);
    }

    /// This one had its turn: the others come first.
    #[inline]
    pub fn had_turn(&mut self, peers: &mut Peers, id: u32) {
        self.ready.move_back(&mut Ready(peers), id);
    }

    /// This one was used.
    #[inline]
    pub fn touch(&mut self, peers: &mut Peers, id: u32) {
        self.used.move_back(&mut Used(peers), id);
    }

    /// The one that was not used for longest.
    #[inline]
    pub fn least_used(&self) -> Option<u32> {
        self.used.front()
    }
}

#[cfg(test)]
mod tests;
