// SPDX-License-Identifier: MIT OR Apache-2.0
//! The back ends that the suite holds to it, each in its families: what differs between them, and nothing else.

#![allow(dead_code, reason = "each test binary takes a part of it")]

use crate::harness::Role;
use crate::harness::network::{OTHER_V6, SILENT_V4, SILENT_V6, sysctl};
use crate::wires::Ports;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;
use margay::config::catnip::Wire;
use margay::{Config, Domain};
use runtime::limits::XDP_FILL_SHARE;

/// What carries the bytes: from it follows what a connection's other end can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// Shared memory. A death is told apart from a close, what was pushed stays there whoever dies, and each datagram
    /// that is lost is counted.
    Memory,
    /// TCP and UDP of the kernel, `tcp(7)` and `udp(7)`. Whose process dies has closed, as far as its peer can see; who
    /// closes with something unread resets the connection; what a close lingers for is that the peer's kernel has it all.
    Kernel,
    /// Our own stack, on such a wire. Each role is a host of its own, with addresses of its own.
    Stack(Wire),
    /// Both of these: this role's host is the kernel, with its sockets, the others' are our own stack on such a wire.
    Mixed(Role, Wire),
    /// `unix(7)`: as `Kernel`, but all that was pushed is with the peer at once, so there is nothing to linger for.
    Unix,
}

/// A back end in one address family.
pub struct Backend {
    /// Its name in the configuration.
    pub libos: &'static str,
    /// What carries its bytes.
    pub carrier: Carrier,
    /// What ports of DPDK are, where they do.
    pub ports: Ports,
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
    ports: Ports::AfPacket,
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

/// Our own stack on the wire that the configuration says; by its other name it is on packet sockets, whatever that says.
const CATNIP: &str = "catnip";

/// Our own stack over Unix sockets, IPv4.
pub const CATNIP_SOCKET_V4: Backend = Backend {
    libos: CATNIP,
    carrier: Carrier::Stack(Wire::Socket),
    host: IpAddr::V4(Ipv4Addr::new(10, 11, 0, 1)),
    other: IpAddr::V4(Ipv4Addr::new(10, 11, 0, 11)),
    // As the kernel has it.
    beyond_backlog: 1,
    // What is remembered of thousands of connections takes memory.
    configure: |config| config.catnip.tcp.time_wait = Duration::from_millis(100),
    narrow: |config, bytes| {
        let (tcp, bytes) = (&mut config.catnip.tcp, bytes.max(4096));
        (tcp.send_buffer, tcp.receive_buffer, tcp.receive_buffer_max) = (bytes, bytes, bytes);
    },
    // One try again, twice as long after the first as that was after the beginning.
    give_up: |config, after| {
        (config.catnip.tcp.syn_retries, config.catnip.tcp.rto_initial) = (1, after / 2);
    },
    ..CATLOOP_V4
};

/// The same over IPv6.
pub const CATNIP_SOCKET_V6: Backend = Backend {
    domain: Domain::V6,
    host: IpAddr::V6(Ipv6Addr::new(0xfd11, 0, 0, 0, 0, 0, 0, 1)),
    other: IpAddr::V6(Ipv6Addr::new(0xfd11, 0, 0, 0, 0, 0, 0, 0x11)),
    foreign: FOREIGN_V6,
    longest: 65_527,
    ..CATNIP_SOCKET_V4
};

/// Both ends take data with SYNs (RFC 7413): what is pushed behind a connect goes with it.
pub const CATNIP_FAST_OPEN_V4: Backend = Backend {
    configure: |config| {
        (CATNIP_SOCKET_V4.configure)(config);
        config.catnip.tcp.fast_open = true;
    },
    ..CATNIP_SOCKET_V4
};

/// Over TAP devices, which a bridge of the kernel connects.
pub const CATNIP_TAP_V4: Backend = Backend { carrier: Carrier::Stack(Wire::Tap), ..CATNIP_SOCKET_V4 };

/// The same over IPv6.
pub const CATNIP_TAP_V6: Backend = Backend { carrier: Carrier::Stack(Wire::Tap), ..CATNIP_SOCKET_V6 };

/// Over packet sockets, each on its end of a veth pair, whose other ends a bridge connects. Under Demikernel's name for it.
pub const CATNIP_PACKET_V4: Backend =
    Backend { libos: "catpowder", carrier: Carrier::Stack(Wire::Packet), ..CATNIP_SOCKET_V4 };

/// The same over IPv6.
pub const CATNIP_PACKET_V6: Backend =
    Backend { libos: "catpowder", carrier: Carrier::Stack(Wire::Packet), ..CATNIP_SOCKET_V6 };

/// Over XDP sockets, on the same ends, IPv4.
pub const CATNIP_XDP_V4: Backend = Backend { carrier: Carrier::Stack(Wire::Xdp), ..CATNIP_SOCKET_V4 };

/// The same over IPv6.
pub const CATNIP_XDP_V6: Backend = Backend { carrier: Carrier::Stack(Wire::Xdp), ..CATNIP_SOCKET_V6 };

/// Our own stack over ports of DPDK, which are the kernel's interfaces, IPv4.
pub const CATNIP_DPDK_V4: Backend = Backend { carrier: Carrier::Stack(Wire::Dpdk), ..CATNIP_SOCKET_V4 };

/// The same over IPv6.
pub const CATNIP_DPDK_V6: Backend = Backend { carrier: Carrier::Stack(Wire::Dpdk), ..CATNIP_SOCKET_V6 };

/// Over shared memory between two processes, IPv4.
pub const CATNIP_MEMIF_V4: Backend = Backend { ports: Ports::Memif, ..CATNIP_DPDK_V4 };

/// The same over IPv6.
pub const CATNIP_MEMIF_V6: Backend = Backend { ports: Ports::Memif, ..CATNIP_DPDK_V6 };

/// Over a virtual machine's card and its host, which are two processes here, IPv4.
pub const CATNIP_VHOST_V4: Backend = Backend { ports: Ports::Vhost, ..CATNIP_DPDK_V4 };

/// The same over IPv6.
pub const CATNIP_VHOST_V6: Backend = Backend { ports: Ports::Vhost, ..CATNIP_DPDK_V6 };

/// The same with segmentation left to the host, IPv4.
pub const CATNIP_VHOST_TSO_V4: Backend = Backend { ports: Ports::VhostTso, ..CATNIP_DPDK_V4 };

/// The same over IPv6.
pub const CATNIP_VHOST_TSO_V6: Backend = Backend { ports: Ports::VhostTso, ..CATNIP_DPDK_V6 };

/// As over a card and its host, with the card as the one that makes the socket, IPv4.
pub const CATNIP_VHOST_CLIENT_V4: Backend = Backend { ports: Ports::VhostClient, ..CATNIP_DPDK_V4 };

/// The same over IPv6.
pub const CATNIP_VHOST_CLIENT_V6: Backend = Backend { ports: Ports::VhostClient, ..CATNIP_DPDK_V6 };

/// A server on the kernel's sockets, whose clients are on our own stack, IPv4.
pub const KERNEL_SERVER_V4: Backend = Backend {
    carrier: Carrier::Mixed(Role::Server, Wire::Packet),
    // Of this network, but nobody's: no kernel can be kept from answering.
    silent: Some(IpAddr::V4(Ipv4Addr::new(10, 11, 0, 99))),
    narrow: |config, bytes| {
        (CATNIP_PACKET_V4.narrow)(config, bytes);
        (CATNAP_V4.narrow)(config, bytes);
    },
    give_up: |config, after| {
        (CATNIP_PACKET_V4.give_up)(config, after);
        (CATNAP_V4.give_up)(config, after);
    },
    ..CATNIP_PACKET_V4
};

/// The same over IPv6.
pub const KERNEL_SERVER_V6: Backend = Backend {
    carrier: Carrier::Mixed(Role::Server, Wire::Packet),
    silent: Some(IpAddr::V6(Ipv6Addr::new(0xfd11, 0, 0, 0, 0, 0, 0, 0x99))),
    narrow: KERNEL_SERVER_V4.narrow,
    give_up: KERNEL_SERVER_V4.give_up,
    ..CATNIP_PACKET_V6
};

/// A client on the kernel's sockets, whose server is on our own stack, IPv4.
pub const KERNEL_CLIENT_V4: Backend =
    Backend { carrier: Carrier::Mixed(Role::Client, Wire::Packet), ..KERNEL_SERVER_V4 };

/// The same over IPv6.
pub const KERNEL_CLIENT_V6: Backend =
    Backend { carrier: Carrier::Mixed(Role::Client, Wire::Packet), ..KERNEL_SERVER_V6 };

/// The kernel's sockets as the server of clients on our own stack over XDP sockets, IPv4.
pub const KERNEL_SERVER_XDP_V4: Backend =
    Backend { libos: CATNIP, carrier: Carrier::Mixed(Role::Server, Wire::Xdp), ..KERNEL_SERVER_V4 };

/// The kernel's sockets as the client of a server on our own stack over XDP sockets, IPv6.
pub const KERNEL_CLIENT_XDP_V6: Backend =
    Backend { libos: CATNIP, carrier: Carrier::Mixed(Role::Client, Wire::Xdp), ..KERNEL_SERVER_V6 };

/// The kernel's sockets as the server of clients on a port of DPDK, its `net_af_packet`, IPv4.
pub const KERNEL_SERVER_DPDK_V4: Backend =
    Backend { libos: CATNIP, carrier: Carrier::Mixed(Role::Server, Wire::Dpdk), ..KERNEL_SERVER_V4 };

/// The same with a client of the kernel, over IPv6.
pub const KERNEL_CLIENT_DPDK_V6: Backend =
    Backend { libos: CATNIP, carrier: Carrier::Mixed(Role::Client, Wire::Dpdk), ..KERNEL_SERVER_V6 };

/// The same on DPDK's `net_af_xdp`, with a client of the kernel.
pub const KERNEL_CLIENT_AF_XDP_V4: Backend =
    Backend { ports: Ports::AfXdp, carrier: Carrier::Mixed(Role::Client, Wire::Dpdk), ..KERNEL_SERVER_DPDK_V4 };

/// The same on DPDK's `net_af_xdp`, with a server of the kernel, over IPv6.
pub const KERNEL_SERVER_AF_XDP_V6: Backend =
    Backend { ports: Ports::AfXdp, carrier: Carrier::Mixed(Role::Server, Wire::Dpdk), ..KERNEL_CLIENT_DPDK_V6 };

/// The same on DPDK's `net_tap`, with a server of the kernel, IPv4.
pub const KERNEL_SERVER_NET_TAP_V4: Backend = Backend { ports: Ports::Tap, ..KERNEL_SERVER_DPDK_V4 };

/// The same over IPv6.
pub const KERNEL_SERVER_NET_TAP_V6: Backend = Backend { ports: Ports::Tap, ..KERNEL_SERVER_AF_XDP_V6 };

/// The same on DPDK's `net_tap`, with a client of the kernel, IPv4.
pub const KERNEL_CLIENT_NET_TAP_V4: Backend = Backend { ports: Ports::Tap, ..KERNEL_CLIENT_AF_XDP_V4 };

/// The same over IPv6.
pub const KERNEL_CLIENT_NET_TAP_V6: Backend = Backend { ports: Ports::Tap, ..KERNEL_CLIENT_DPDK_V6 };

impl Backend {
    /// The back end of a role.
    pub fn libos_of(&self, role: Role) -> &'static str {
        if matches!(self.carrier, Carrier::Mixed(kernel, _) if kernel == role) { CATNAP_V4.libos } else { self.libos }
    }

    /// The wire that a role's own stack is on, if it has one.
    pub fn wire_of(&self, role: Role) -> Option<Wire> {
        match self.carrier {
            Carrier::Stack(wire) => Some(wire),
            Carrier::Mixed(kernel, wire) => (kernel != role).then_some(wire),
            _ => None,
        }
    }

    /// Whether the wire is memory that two processes share.
    pub fn wire_is_memory(&self) -> bool {
        self.carrier == Carrier::Stack(Wire::Dpdk) && self.ports.are_memory()
    }

    /// Whether each role has a host of its own.
    pub fn has_hosts(&self) -> bool {
        matches!(self.carrier, Carrier::Stack(_) | Carrier::Mixed(..))
    }

    /// Whether the other end of a connection whose process dies reads a reset, and what was pushed before it.
    pub fn tells_death(&self) -> bool {
        self.carrier == Carrier::Memory
    }

    /// Whether what is sent to who has closed is taken for some time, and thrown away.
    pub fn takes_what_is_late(&self) -> bool {
        self.has_tcp() && self.domain != Domain::Unix
    }

    /// Whether connections are those of TCP, whoever does it.
    pub fn has_tcp(&self) -> bool {
        self.carrier == Carrier::Kernel || self.has_hosts()
    }

    /// Whether the host goes with its LibOs, so that nobody is left to refuse.
    pub fn host_goes_with_libos(&self) -> bool {
        self.has_hosts()
    }

    /// Of so many small buffers, those that a device of its own may keep to receive into.
    pub fn kept_by_device(&self, buffers: u32) -> u32 {
        // A share of them is the kernel's to fill.
        64 + if matches!(self.carrier, Carrier::Stack(Wire::Xdp) | Carrier::Mixed(_, Wire::Xdp)) {
            buffers / XDP_FILL_SHARE
        } else {
            0
        }
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

    /// Whether a connect is answered by the kernel, or by our own stack, whatever the listener does.
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
