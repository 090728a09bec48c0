// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whom a packet is for (RFC 768, RFC 1122 section 4.1): one socket by the pair of its ends, or each that hears a group or a
//! broadcast.
//!
//! What must always hold: every search is by keys, so that it takes the same time however many sockets there are elsewhere.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Flow, Local, NONE, Socket, Sockets};

impl Sockets {
    /// The socket that a packet is for.
    pub fn find(&self, flow: &Flow) -> Option<u32> {
        if !self.connected.is_empty()
            && let Some(&index) = self.connected.get(flow)
        {
            return Some(index);
        }
        let local = flow.local;
        if self.named > 0
            && let Some(&head) = self.bound.get(&local)
        {
            return self.pick(head, flow);
        }
        let wildcards = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
        // Of IPv6 packets, the second alone.
        let first = usize::from(local.address.is_ipv6());
        wildcards.into_iter().skip(first).find_map(|address| {
            let head = *self.bound.get(&Local { address, ..local })?;
            self.pick(head, flow)
        })
    }

    /// Of a chain, the one for this flow: the newest, or with `SO_REUSEPORT` the one that the flow's hash says.
    fn pick(&self, head: u32, flow: &Flow) -> Option<u32> {
        let serving = || self.chain(head).filter(|(_, socket)| socket.serves(flow.local.address));
        let (first, socket) = serving().next()?;
        if !socket.reuse_port || socket.next == NONE {
            return Some(first);
        }
        let sharing = || serving().filter(|(_, socket)| socket.reuse_port);
        let count = sharing().count();
        let hash = core::hash::BuildHasher::hash_one(&self.hasher, flow) as usize;
        sharing().nth(hash.checked_rem(count)?).map(|(index, _)| index)
    }

    fn chain(&self, head: u32) -> impl Iterator<Item = (u32, &Socket)> {
        core::iter::successors(self.slab.at(head).map(|socket| (head, socket)), |(_, socket)| {
            self.slab.at(socket.next).map(|next| (socket.next, next))
        })
    }

    /// Puts into `found` the sockets that a packet to a group or to everybody is for. `own` are the addresses of this host, at
    /// each of which a socket may be connected to the sender.
    ///
    /// A group's datagram is for those that have joined it, a broadcast for all that are at the port. They are looked up by
    /// their keys, so that a flood costs no more where there are many sockets at other ports.
    pub fn find_many(&self, flow: &Flow, own: impl Iterator<Item = IpAddr>, found: &mut Vec<u32>) {
        let local = flow.local;
        if !self.ports.contains_key(&(local.kind as u8, local.port)) {
            return;
        }
        let at = |address| Local { address, ..local };
        let is_for = |socket: &Socket| {
            socket.serves(local.address) && (!local.address.is_multicast() || socket.is_member(local.address))
        };
        let wildcards = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
        for address in wildcards.into_iter().chain([local.address]) {
            if let Some(&head) = self.bound.get(&at(address)) {
                found.extend(self.chain(head).filter(|(_, socket)| is_for(socket)).map(|(index, _)| index));
            }
        }
        if self.connected.is_empty() {
            return;
        }
        for address in own.chain([local.address]).filter(|address| address.is_ipv4() == local.address.is_ipv4()) {
            if let Some(&head) = self.connected.get(&Flow { local: at(address), ..*flow }) {
                // One that has named an address hears that one only.
                let hears = |socket: &Socket| is_for(socket) && (!socket.named || address == local.address);
                found.extend(self.chain(head).filter(|(_, socket)| hears(socket)).map(|(index, _)| index));
            }
        }
    }
}
