// SPDX-License-Identifier: MIT OR Apache-2.0
//! The IPv4 address that DHCP gives (RFC 2131): the client's messages as packets, and what a lease means for addresses and
//! routes.

use core::net::{IpAddr, Ipv4Addr};

use runtime::time::Time;

use super::input::Packet;
use super::output::{Head, How};
use super::own::link_route;
use super::timers::earlier;
use super::{Stack, message};
use crate::counters::Reason;
use crate::dhcp::{Action, Lease};
use crate::ip::addresses::Lifetimes;
use crate::limits::{LAST_PACKETS_WAIT, PATH_MTU_MIN_V4};
use crate::udp::{Path, Target};
use crate::wire::dhcpv4::{CLIENT_PORT, Header, SERVER_PORT, View};
use crate::wire::{Protocol, udp};

impl Stack {
    /// What DHCP has brought.
    #[must_use]
    pub fn lease(&self) -> Option<&Lease> {
        self.dhcp.as_ref().and_then(|client| client.lease())
    }

    /// Gives DHCP's lease back: the address goes, and no other is asked for. The message to the server goes out at once, or when
    /// the hardware address of its next hop is known ([`unresolved`](Self::unresolved)), which is waited for as long as
    /// [`LAST_PACKETS_WAIT`]; the address goes after it.
    pub fn release_lease(&mut self, now: Time) {
        if let Some(client) = &mut self.dhcp {
            if let Some(lease) = client.lease() {
                self.released = Some((lease.address(), now + LAST_PACKETS_WAIT));
            }
            client.release();
            self.poll_lease(now);
            self.set_due();
        }
    }

    /// Whether a packet may be the answer of a DHCP server, which may come before there is an address (RFC 2131 section 4.1).
    #[cold]
    pub(super) fn is_for_dhcp(&self, packet: &Packet) -> bool {
        let port = message::front(&packet.data).get(packet.at + 2..packet.at + 4);
        self.dhcp.is_some()
            && packet.source.is_ipv4()
            && packet.protocol == Protocol::UDP
            && port == Some(&CLIENT_PORT.to_be_bytes())
    }

    /// Takes in a datagram to the client's port whose checksum was right.
    pub(super) fn receive_dhcp(&mut self, mut packet: Packet, now: Time) {
        let Some(client) = &mut self.dhcp else { return };
        let len = packet.data.len();
        if message::gather(&mut packet.data, len, &self.pools).is_err() {
            return self.counters.drop(Reason::NoBuffer);
        }
        let bytes = message::front(&packet.data).get(packet.at + udp::HEADER..).unwrap_or_default();
        match View::new(bytes).and_then(|view| Header::parse(&view)) {
            Ok(header) => {
                client.heard(&header, now);
                self.set_due();
            }
            Err(_) => self.counters.drop(Reason::Udp),
        }
    }

    pub(super) fn lease_deadline(&self) -> Option<Time> {
        let client = self.dhcp.as_ref().and_then(|client| client.next_deadline());
        earlier(client, self.released.map(|(_, until)| until))
    }

    pub(super) fn poll_lease(&mut self, now: Time) {
        while let Some(action) = self.dhcp.as_mut().and_then(|client| client.poll(now)) {
            match action {
                Action::Send { to, from, message } => self.send_dhcp(to, from, &message, now),
                Action::Bound(lease) => {
                    let detect = self.detect_duplicates;
                    // One that cannot be a host's, or a full table: the server's business, or the configuration's.
                    if self.learn_network(lease.prefix, detect, now).is_ok() {
                        self.take_routes(lease);
                    }
                }
                Action::Renewed(lease) => {
                    self.drop_routes();
                    let _ = self.addresses.add(lease.prefix, false, Lifetimes::FOREVER, now);
                    let _ = self.routes.learn(link_route(lease.prefix));
                    self.take_routes(lease);
                }
                Action::Lost(lease) => {
                    self.drop_routes();
                    if self.released.is_none() {
                        self.remove_address(IpAddr::V4(lease.address()), now);
                    }
                }
            }
        }
        self.end_release(now);
    }

    /// Takes away the address of a lease that was given back, once no packet waits any more: nobody can be asked for his hardware
    /// address from none (RFC 2131 section 4.4.6 has the message come from it).
    fn end_release(&mut self, now: Time) {
        if let Some((address, until)) = self.released
            && (self.neighbours.waiting() == 0 || now >= until)
        {
            self.released = None;
            self.remove_address(IpAddr::V4(address), now);
        }
    }

    fn take_routes(&mut self, lease: Lease) {
        for route in &lease.routes {
            // One that makes no sense, or finds no room, is left out.
            let _ = self.routes.learn(*route);
        }
        // One that is smaller than what any host is to take is no sign of a server that knows its link.
        let mtu = lease.mtu.filter(|mtu| *mtu >= PATH_MTU_MIN_V4).unwrap_or(self.mtu);
        self.set_link_v4(mtu.min(self.mtu));
        self.leased = Some(lease);
        self.epoch = self.epoch.wrapping_add(1);
    }

    fn drop_routes(&mut self) {
        let Some(lease) = self.leased.take() else { return };
        for route in &lease.routes {
            self.routes.forget(route.prefix, route.hop);
        }
        let route = link_route(lease.prefix);
        self.routes.forget(route.prefix, route.hop);
        self.set_link_v4(self.mtu);
        self.epoch = self.epoch.wrapping_add(1);
    }

    /// Another host has the address: its server is told.
    pub(super) fn lose_lease(&mut self, address: IpAddr, now: Time) {
        if let Some(client) = &mut self.dhcp
            && client.lease().is_some_and(|lease| IpAddr::V4(lease.address()) == address)
        {
            client.declined(now);
        }
    }

    fn send_dhcp(&mut self, to: Ipv4Addr, from: Ipv4Addr, message: &Header, now: Time) {
        let (source, destination) = (IpAddr::V4(from), IpAddr::V4(to));
        let path = if to.is_broadcast() {
            Some(Path { source, destination, target: Target::Broadcast, epoch: self.epoch })
        } else {
            self.route(destination, Some(source)).ok()
        };
        let Some(path) = path else { return self.counters.drop(Reason::NoRoute) };
        let len = message.len();
        let Ok(payload) = self.pools.alloc_filled(len, |bytes| message.emit(bytes)) else {
            return self.counters.drop(Reason::NoBuffer);
        };
        let header = udp::Header { source: CLIENT_PORT, destination: SERVER_PORT, payload_len: len as u16 };
        let how = How { hops: self.hops, head: Head::Udp(header) };
        if self.send_packet(&path, &how, &mut payload.into(), now).is_err() {
            self.counters.drop(Reason::NoBuffer);
        }
    }
}
