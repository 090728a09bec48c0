// SPDX-License-Identifier: MIT OR Apache-2.0
//! The back ends that the suite holds to it, each in both families: what differs between them, and nothing else.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use margay::{Config, Domain};

/// A back end in one address family.
pub struct Backend {
    /// Its name in the configuration.
    pub libos: &'static str,
    /// The family of the sockets.
    pub domain: Domain,
    /// The address that servers are bound to.
    pub host: IpAddr,
    /// Another address of this host.
    pub other: IpAddr,
    /// An address that is not of this host, and cannot be reached.
    pub foreign: IpAddr,
    /// What it needs in the configuration.
    pub configure: fn(&mut Config),
    /// Makes that no more than about so many bytes, a power of two, are under way on a connection in one direction.
    pub narrow: fn(&mut Config, usize),
}

const OTHER_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);

/// Sockets over shared memory, IPv4.
pub const CATLOOP_V4: Backend = Backend {
    libos: "catloop",
    domain: Domain::V4,
    host: IpAddr::V4(Ipv4Addr::LOCALHOST),
    other: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)),
    foreign: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    configure: |_| (),
    narrow: |config, bytes| config.catloop.ring = bytes,
};

/// The same over IPv6.
pub const CATLOOP_V6: Backend = Backend {
    libos: "catloop",
    domain: Domain::V6,
    host: IpAddr::V6(Ipv6Addr::LOCALHOST),
    other: IpAddr::V6(OTHER_V6),
    foreign: IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
    configure: |config| config.catloop.addresses = vec![IpAddr::V6(OTHER_V6)],
    narrow: |config, bytes| config.catloop.ring = bytes,
};
