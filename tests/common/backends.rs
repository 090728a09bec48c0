// SPDX-License-Identifier: MIT OR Apache-2.0
//! The back ends that the suite holds to it, each in its families: what differs between them, and nothing else.

#![allow(dead_code, reason = "each test binary takes a part of it")]

use crate::harness::network::{OTHER_V6, SILENT_V4, SILENT_V6, sysctl};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;
use margay::{Config, Domain};

/// What carries the bytes: from it follows what a connection's other end can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// Shared memory. A death is told apart from a close, what was pushed stays there whoever dies, and each datagram
    /// that is lost is counted.
    Memory,
    /// TCP and UDP of the kernel, `tcp(7)` and `udp(7)`. Whose process dies has closed, as far as its peer can see; who
    /// closes with something unread resets the connection; what a close lingers for is that the peer's kernel has it all.
    Kernel,
    /// `unix(7)`: as `Kernel`, but all that was pushed is with the peer at once, so there is nothing to linger for.
    Unix,
}

/// A back end in one address family.
pub struct Backend {
    /// Its name in the configuration.
    pub libos: &'static str,
    /// What carries its bytes.
    pub carrier: Carrier,
    /// The family of the sockets.
    pub domain: Domain,
    /// The address that servers are bound to.
    pub host: IpAddr,
    /// Another address of this host.
    pub other: IpAddr,
    /// An address that is not of this host, and cannot be reached.
    pub foreign: IpAddr,
    /// A host that never answers, if there is one. If there is none, a LibOs that does not work answers nobody.
    pub silent: Option<IpAddr>,
    /// Bytes in the longest datagram.
    pub longest: usize,
    /// How many connections more than the backlog get in before anybody accepts: `sk_acceptq_is_full` compares with ">".
    pub beyond_backlog: u64,
    /// What it needs in the configuration.
    pub configure: fn(&mut Config),
    /// Makes that few bytes, near this power of two if the back end can, are under way on a connection in one direction.
    pub narrow: fn(&mut Config, usize),
    /// Makes that a connect which nobody answers ends after about this time, or as soon as the back end can.
    pub give_up: fn(&mut Config, Duration),
}

const LOOPBACK_V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LOOPBACK_V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
const OTHER: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
/// RFC 5737 and RFC 3849: for documentation, so nobody's.
const FOREIGN_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const FOREIGN_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));

/// Sockets over shared memory, IPv4.
pub const CATLOOP_V4: Backend = Backend {
    libos: "catloop",
    carrier: Carrier::Memory,
    domain: Domain::V4,
    host: LOOPBACK_V4,
    other: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)),
    foreign: FOREIGN_V4,
    silent: None,
    longest: 65_507,
    beyond_backlog: 0,
    configure: |_| (),
    narrow: |config, bytes| config.catloop.ring = bytes,
    give_up: |config, after| config.catloop.connect_timeout = after,
};

/// The same over IPv6.
pub const CATLOOP_V6: Backend = Backend {
    domain: Domain::V6,
    host: LOOPBACK_V6,
    other: IpAddr::V6(OTHER),
    foreign: FOREIGN_V6,
    configure: |config| config.catloop.addresses = vec![IpAddr::V6(OTHER)],
    ..CATLOOP_V4
};

/// Sockets of the kernel by epoll, IPv4.
pub const CATNAP_V4: Backend = Backend {
    libos: "catnap",
    carrier: Carrier::Kernel,
    silent: Some(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 2))),
    beyond_backlog: 1,
    narrow: |_, bytes| {
        // Both are per network; a socket has what was set when it was made.
        let bytes = bytes.max(NARROWEST);
        sysctl("ipv4.tcp_rmem", &format!("4096 {bytes} {bytes}"));
        sysctl("ipv4.tcp_wmem", &format!("4096 {bytes} {bytes}"));
    },
    // One try again, a second after the first.
    give_up: |_, _| sysctl("ipv4.tcp_syn_retries", "1"),
    ..CATLOOP_V4
};

/// The kernel makes less to no less than about half of this.
const NARROWEST: usize = 8 << 10;

/// The same over IPv6.
pub const CATNAP_V6: Backend = Backend {
    domain: Domain::V6,
    host: LOOPBACK_V6,
    other: IpAddr::V6(OTHER),
    foreign: FOREIGN_V6,
    silent: Some(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 2))),
    // No header of IP is in the length that IPv6 gives.
    longest: 65_527,
    ..CATNAP_V4
};

/// Unix-domain sockets by epoll; the addresses stand for paths.
pub const CATNAP_UNIX: Backend = Backend {
    carrier: Carrier::Unix,
    domain: Domain::Unix,
    // A listener that nobody works for has its connections made by the kernel.
    silent: None,
    narrow: |_, _| (),
    give_up: |_, _| (),
    ..CATNAP_V4
};

/// Sockets of the kernel by io_uring, IPv4.
pub const CATCOLLAR_V4: Backend = Backend { libos: "catcollar", ..CATNAP_V4 };

/// The same over IPv6.
pub const CATCOLLAR_V6: Backend = Backend { libos: "catcollar", ..CATNAP_V6 };

/// Unix-domain sockets by io_uring.
pub const CATCOLLAR_UNIX: Backend = Backend { libos: "catcollar", ..CATNAP_UNIX };

impl Backend {
    /// Whether the other end of a connection whose process dies reads a reset, and what was pushed before it.
    pub fn tells_death(&self) -> bool {
        self.carrier == Carrier::Memory
    }

    /// Whether who closes with something unread resets the connection.
    pub fn unread_resets(&self) -> bool {
        self.carrier != Carrier::Memory
    }

    /// Whether a close that lingers waits for the peer to read, and not only for its kernel to have it.
    pub fn lingers_until_read(&self) -> bool {
        self.carrier == Carrier::Memory
    }

    /// Whether every datagram that is lost is counted.
    pub fn counts_drops(&self) -> bool {
        self.carrier == Carrier::Memory
    }

    /// Whether a connection has memory of its own that is handed over without a copy.
    pub fn has_own_memory(&self) -> bool {
        self.carrier == Carrier::Memory
    }

    /// Whether a connect is answered by the kernel, whatever the listener does.
    pub fn kernel_answers(&self) -> bool {
        self.carrier != Carrier::Memory
    }
}

#[test]
fn the_network_has_these_hosts() {
    let is = |ip: Option<IpAddr>, text: &str| assert_eq!(ip, text.parse().ok());
    is(CATNAP_V4.silent, SILENT_V4);
    is(CATNAP_V6.silent, SILENT_V6);
    is(Some(CATNAP_V6.other), OTHER_V6);
}
