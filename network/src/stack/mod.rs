// SPDX-License-Identifier: MIT OR Apache-2.0
//! [`Stack`]: one interface from its frames to its sockets.
//!
//! ```text
//!   send ──▶ route ─▶ path MTU ─▶ fragments ─▶ neighbour ─▶ headers ──▶ transmit
//!              └── to this host itself ──▶ loopback ─┐ (poll)
//!   receive ──▶ Ethernet ─▶ VLAN ─▶ ARP              │
//!                             └───▶ IP ◀─────────────┘
//!                                   └─▶ fragments ─▶ UDP ──▶ socket ──▶ woken, receive_from
//!                                                 ├─▶ ICMP ─▶ echo, errors to sockets, path MTU
//!                                                 └─▶ NDP, MLD, IGMP, DHCP
//! ```
//!
//! What must always hold: a call does a bounded amount of work, whatever a packet says; in steady state none allocates.
//! `epoch` changes with every change of routes and addresses, and nothing that was looked up before is believed after.
//! `due` is no later than any timer but the neighbours', which say their own.

mod arp;
mod config;
mod datagrams;
mod echo;
mod groups;
mod icmp;
mod input;
mod lease;
mod message;
mod ndp;
mod output;
mod own;
mod quick;
mod redirected;
mod segments;
mod sockets;
mod streams;
mod timers;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};

use runtime::buf::{Pools, SGA_SEGMENTS_MAX, Sga};
use runtime::device::{Caps, Frame};
use runtime::time::Time;
use runtime::{Errno, Error, Result};

use crate::counters::Counters;
use crate::dhcp::{Client, Lease};
use crate::ip::addresses::Address;
use crate::ip::fragment::Identifications;
use crate::ip::path_mtu::PathMtus;
use crate::ip::rate::Bucket;
use crate::ip::reassembly::Reassembly;
use crate::ip::redirects::Redirects;
use crate::ip::routers::{Routers, stable_address};
use crate::ip::{Addresses, Prefix, Route, Routes};
use crate::keyed::Random;
use crate::limits::{
    ICMP_ERRORS_BURST, ICMP_ERRORS_PER_SECOND, MTU_MIN_V6, OUTPUT_FRAMES_MAX, OUTPUT_SPARE, PATH_MTU_MIN_V4,
    REASSEMBLY_BUFFERS, REASSEMBLY_SHARE, SOCKETS_SHARE,
};
use crate::link::claim::Claim;
use crate::link::neighbours::{Neighbour, Neighbours};
use crate::multicast::Groups;
use crate::ring::Ring;
use crate::udp::Sockets;
use crate::wire::MacAddress;
use crate::wire::whole::Station;
use quick::Ready;
use streams::Streams;

pub use crate::udp::{Readiness, Setting, SocketId};
pub use config::Config;
pub use echo::EchoReply;
pub use streams::{StreamCounts, StreamId};

const NO_STATION: Error = Error::new(Errno::INVAL, "the hardware address is that of a group, or zero");
const NO_VLAN: Error = Error::new(Errno::INVAL, "a VLAN is 1 to 4094");
const SMALL_MTU: Error = Error::new(Errno::INVAL, "the MTU is at least 576, and 1280 for IPv6");
const LARGE_MTU: Error = Error::new(Errno::INVAL, "the MTU is longer than the device's");
const NO_HOPS: Error = Error::new(Errno::INVAL, "a packet makes 1 to 255 hops");

/// One interface from its frames to its sockets. See the module's first lines.
pub struct Stack {
    mac: MacAddress,
    vlan: Option<u16>,
    mtu: u16,
    hops: u8,
    caps: Caps,
    /// The same for IPv6, where routers may say it.
    hops_v6: u8,
    /// Whether there is IPv6 at all.
    v6: bool,
    pools: Pools,
    random: Random,
    epoch: u32,
    due: Option<Time>,
    addresses: Addresses,
    claims: Vec<Claim>,
    routes: Routes,
    routers: Option<Routers>,
    neighbours: Neighbours,
    groups: Groups,
    reassembly: Reassembly,
    /// By what routers say of any packet of ours: for datagrams.
    path_mtus: PathMtus,
    /// By what they say of segments on their way, which nobody off the path can know: for streams (RFC 5927 section 4.1, RFC 8899 section 4.6.1).
    stream_mtus: PathMtus,
    identifications: Identifications,
    errors: Bucket,
    dhcp: Option<Box<Client>>,
    /// The lease whose routes are in the table.
    leased: Option<Lease>,
    /// The address of one that was given back, while its server may not know yet, and until when at most.
    released: Option<(Ipv4Addr, Time)>,
    redirects: Redirects,
    /// Packets that the neighbour cache had lost when it was last looked at.
    neighbours_lost: u64,
    /// Buffers that hold datagrams in sockets, and how many may.
    held: usize,
    held_max: usize,
    /// The sockets that the last packet for many was for; kept for its memory.
    hearers: Vec<u32>,
    detect_duplicates: bool,
    sockets: Sockets,
    streams: Streams,
    ready: Ready,
    station: Station,
    loopback: VecDeque<Sga>,
    output: Ring<Frame, { OUTPUT_FRAMES_MAX + OUTPUT_SPARE }>,
    counters: Counters,
}

impl Stack {
    /// A stack that takes headers, copies and answers from `pools`, whose headroom should have room for the headers of
    /// Ethernet, IPv6 and UDP: 66 bytes, and what the device wants.
    ///
    /// # Errors
    /// `EINVAL` for a hardware address, MTU, VLAN, address, route or neighbour that cannot be; `EMFILE` too many of them.
    pub fn new(config: Config, pools: Pools, now: Time) -> Result<Self> {
        let wants_v6 = config.slaac || config.addresses.iter().any(|prefix| prefix.address().is_ipv6());
        let mtu = check(&config, wants_v6)?;
        let secret = config.secret;
        let random = |label| Random::new(secret.derive(label));
        let buffers = pools.stats()[0].capacity as usize;
        let mut stack = Self {
            mac: config.mac,
            vlan: config.vlan,
            mtu,
            hops: config.hops,
            hops_v6: config.hops,
            caps: config.caps,
            v6: wants_v6,
            pools,
            random: random("claims"),
            epoch: 0,
            due: None,
            addresses: Addresses::new(),
            claims: Vec::new(),
            routes: Routes::new(),
            routers: None,
            neighbours: Neighbours::new(&secret, now),
            groups: Groups::new(random("groups")),
            reassembly: Reassembly::new((buffers / REASSEMBLY_SHARE).clamp(2 * SGA_SEGMENTS_MAX, REASSEMBLY_BUFFERS)),
            path_mtus: PathMtus::new(mtu),
            stream_mtus: PathMtus::new(mtu),
            identifications: Identifications::new(secret.derive("identifications")),
            errors: Bucket::new(ICMP_ERRORS_BURST, ICMP_ERRORS_PER_SECOND, random("errors")),
            dhcp: None,
            leased: None,
            released: None,
            redirects: Redirects::new(),
            neighbours_lost: 0,
            held: 0,
            held_max: buffers / SOCKETS_SHARE,
            hearers: Vec::new(),
            detect_duplicates: config.detect_duplicates,
            sockets: Sockets::new(&secret),
            streams: Streams::new(config.tcp, &secret, buffers, mtu, now),
            ready: Ready::default(),
            station: Station::new(config.mac, config.vlan),
            loopback: VecDeque::new(),
            output: Ring::new(),
            counters: Counters::default(),
        };
        for prefix in config.addresses {
            stack.add_network(prefix, config.detect_duplicates, now)?;
        }
        stack.claims.iter_mut().for_each(Claim::keep);
        let identifiers = secret.derive("interface identifiers");
        if config.slaac {
            stack.routers = Some(Routers::new(identifiers, random("routers"), mtu, now));
        } else if wants_v6 && !stack.addresses.iter().any(|here| Prefix::LINK_LOCAL.contains(here.prefix.address())) {
            // Each interface has a link-local address (RFC 4291 section 2.8).
            if let Some(address) = stable_address(&identifiers, Prefix::LINK_LOCAL, 0) {
                let prefix = Prefix::new(address.into(), Prefix::LINK_LOCAL.length())?;
                stack.add_network(prefix, config.detect_duplicates, now)?;
            }
        }
        for route in config.routes {
            stack.routes.add(route)?;
        }
        for (address, mac) in config.neighbours {
            stack.neighbours.insert_static(address, mac)?;
        }
        if config.dhcp {
            stack.dhcp = Some(Box::new(Client::new(config.mac, random("dhcp"), now)));
        }
        stack.poll_routers(now);
        stack.set_due();
        Ok(stack)
    }

    /// The next frame to send, if there is one.
    // Not inlined: a frame that goes through memory is two loads and two stores, one that is taken apart many.
    #[inline(never)]
    pub fn transmit(&mut self) -> Option<Frame> {
        if self.sockets.is_crowded() || self.streams.is_crowded() {
            return self.transmit_crowded();
        }
        self.output.pop_front()
    }

    #[cold]
    fn transmit_crowded(&mut self) -> Option<Frame> {
        let frame = self.output.pop_front();
        self.make_room();
        frame
    }

    /// Wakes the sockets that wait for room, once there is plenty.
    pub(crate) fn make_room(&mut self) {
        if self.output.len() > OUTPUT_FRAMES_MAX / 2 || !self.loopback.is_empty() {
            return;
        }
        if self.sockets.is_crowded() {
            self.sockets.room();
        }
        if self.streams.is_crowded() {
            self.make_room_for_streams();
        }
    }

    /// The longest packet of IPv4 that the link takes.
    fn set_link_v4(&mut self, mtu: u16) {
        self.path_mtus.set_link_v4(mtu);
        self.stream_mtus.set_link_v4(mtu);
    }

    /// The same of IPv6.
    fn set_link_v6(&mut self, mtu: u16) {
        self.path_mtus.set_link_v6(mtu);
        self.stream_mtus.set_link_v6(mtu);
    }

    /// Its hardware address.
    #[must_use]
    pub const fn mac(&self) -> MacAddress {
        self.mac
    }

    /// The longest packet that leaves in one piece, in bytes.
    #[must_use]
    pub const fn mtu(&self) -> u16 {
        self.mtu
    }

    /// The hop limit of packets to such an address, if their socket does not say otherwise.
    #[inline]
    const fn hops_to(&self, destination: IpAddr) -> u8 {
        if destination.is_ipv4() { self.hops } else { self.hops_v6 }
    }

    /// Its addresses, those that are not in use yet included.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.addresses.iter()
    }

    /// Its routes, in the order in which they are tried.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter()
    }

    /// The neighbours that it knows, in no order.
    pub fn neighbours(&self, now: Time) -> impl Iterator<Item = Neighbour> + '_ {
        self.neighbours.iter(now)
    }

    /// How many packets wait for the hardware address of their next hop: until frames are received, they stay.
    #[inline]
    #[must_use]
    pub fn unresolved(&self) -> u32 {
        self.neighbours.waiting()
    }

    /// What it has counted.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }
}

impl core::fmt::Debug for Stack {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Stack").field("mac", &self.mac).field("sockets", &self.sockets.len()).finish_non_exhaustive()
    }
}

/// Checks what a configuration says, and gives the MTU.
fn check(config: &Config, wants_v6: bool) -> Result<u16> {
    if !config.mac.is_unicast() {
        return Err(NO_STATION);
    }
    if config.vlan.is_some_and(|vlan| !(1..=4094).contains(&vlan)) {
        return Err(NO_VLAN);
    }
    if config.hops == 0 {
        return Err(NO_HOPS);
    }
    let mtu = if config.mtu == 0 { config.caps.mtu } else { config.mtu };
    if mtu > config.caps.mtu {
        return Err(LARGE_MTU);
    }
    if mtu < if wants_v6 { MTU_MIN_V6 } else { 576.max(PATH_MTU_MIN_V4) } {
        return Err(SMALL_MTU);
    }
    Ok(mtu)
}

#[cfg(test)]
mod tests;
