// SPDX-License-Identifier: MIT OR Apache-2.0
//! [`Config`]: what a stack is told when it is made.

use alloc::vec::Vec;
use core::net::IpAddr;

use runtime::device::Caps;

use crate::ip::{Prefix, Route};
use crate::keyed::Secret;
use crate::tcp::settings::Settings;
use crate::wire::MacAddress;

/// What a stack is told when it is made. One interface, of any number of addresses.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its hardware address.
    pub mac: MacAddress,
    /// The longest packet, in bytes: from 576 (and 1,280 where IPv6 is used) to what the device has. 0: what the device has.
    pub mtu: u16,
    /// Its addresses with their networks. Without any IPv6 address there is no IPv6, unless `slaac` is set.
    pub addresses: Vec<Prefix>,
    /// Ways to networks that none of the addresses is in.
    pub routes: Vec<Route>,
    /// Hardware addresses that need not be asked for.
    pub neighbours: Vec<(IpAddr, MacAddress)>,
    /// The VLAN whose tag (IEEE 802.1Q) each frame bears, 1 to 4094.
    pub vlan: Option<u16>,
    /// What the device does.
    pub caps: Caps,
    /// Whether an IPv4 address is asked for by DHCP (RFC 2131).
    pub dhcp: bool,
    /// Whether IPv6 addresses are made of what routers advertise (RFC 4862), the link-local one among them.
    pub slaac: bool,
    /// Whether an address is used only after nobody has claimed it (RFC 4862, 5.4; RFC 5227). Takes some seconds.
    pub detect_duplicates: bool,
    /// How many hops a packet may make, if its socket does not say otherwise.
    pub hops: u8,
    /// What TCP is set to.
    pub tcp: Settings,
    /// The key of everything that a peer must not foresee. Never the same for two stacks, but in tests.
    pub secret: Secret,
}

impl Config {
    /// A stack of this hardware address over a device of these abilities, with no address, and 64 hops.
    #[must_use]
    pub const fn new(mac: MacAddress, caps: Caps, secret: Secret) -> Self {
        Self {
            mac,
            mtu: 0,
            addresses: Vec::new(),
            routes: Vec::new(),
            neighbours: Vec::new(),
            vlan: None,
            caps,
            dhcp: false,
            slaac: false,
            detect_duplicates: false,
            hops: 64,
            tcp: Settings::DEFAULT,
            secret,
        }
    }
}
