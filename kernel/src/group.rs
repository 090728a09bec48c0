// SPDX-License-Identifier: MIT OR Apache-2.0
//! Multicast with kernel sockets: who hears what is sent to a group, and how far it goes (`ip(7)`, `ipv6(7)`).
//!
//! A socket of IPv6 speaks to groups of IPv4 as well, by v4-mapped addresses, so that both families are set on it.

use core::net::{IpAddr, Ipv4Addr};
use runtime::socket::{Domain, Kind, MulticastInterface};
use runtime::{Errno, Error, Result};
use rustix::net::sockopt;
use std::os::fd::BorrowedFd;

const NO_DATAGRAMS: Error = Error::new(Errno::NOPROTOOPT, "only UDP sockets can be members of a group");
const FAMILY: Error = Error::new(Errno::AFNOSUPPORT, "a group of another family than the socket's");
const NO_SUCH: Error = Error::new(Errno::NODEV, "interfaces of IPv6 are named by their index");

/// Joins a group, or leaves it. The interface of IPv6 is an index; by an address it cannot be found.
///
/// # Errors
/// `ENOPROTOOPT` no UDP socket, `EAFNOSUPPORT`, `ENODEV`; what the kernel says: `EADDRINUSE`, `EADDRNOTAVAIL`, `ENODEV`, `ENOBUFS`.
pub fn change(
    fd: BorrowedFd<'_>,
    (domain, kind): (Domain, Kind),
    group: IpAddr,
    interface: MulticastInterface,
    join: bool,
) -> Result<()> {
    if kind != Kind::Datagram || domain == Domain::Unix {
        return Err(NO_DATAGRAMS);
    }
    if group.is_ipv4() != (domain == Domain::V4) {
        return Err(FAMILY);
    }
    let (address, index) = match interface {
        MulticastInterface::ByRoute => (Ipv4Addr::UNSPECIFIED, 0),
        MulticastInterface::WithAddress(address) => (address, 0),
        MulticastInterface::Index(index) => (Ipv4Addr::UNSPECIFIED, index.get()),
    };
    match (group.to_canonical(), join) {
        (IpAddr::V4(group), true) => sockopt::set_ip_add_membership_with_ifindex(fd, &group, &address, index),
        (IpAddr::V4(group), false) => sockopt::set_ip_drop_membership_with_ifindex(fd, &group, &address, index),
        (IpAddr::V6(_), _) if !address.is_unspecified() => return Err(NO_SUCH),
        (IpAddr::V6(group), true) => sockopt::set_ipv6_add_membership(fd, &group, index),
        (IpAddr::V6(group), false) => sockopt::set_ipv6_drop_membership(fd, &group, index),
    }
    .map_err(|errno| Error::os(errno, if join { "setsockopt: joining a group" } else { "setsockopt: leaving a group" }))
}

pub(crate) fn set_hops(fd: BorrowedFd<'_>, domain: Domain, hops: u8) -> Result<()> {
    sockopt::set_ip_multicast_ttl(fd, hops.into())
        .and_then(|()| if domain == Domain::V6 { sockopt::set_ipv6_multicast_hops(fd, hops.into()) } else { Ok(()) })
        .map_err(|errno| Error::os(errno, "setsockopt: hops to a group"))
}

pub(crate) fn hops(fd: BorrowedFd<'_>, domain: Domain) -> Result<u8> {
    let hops = if domain == Domain::V6 { sockopt::ipv6_multicast_hops(fd) } else { sockopt::ip_multicast_ttl(fd) };
    // The kernel has no more than 255.
    hops.map(|hops| u8::try_from(hops).unwrap_or(u8::MAX))
        .map_err(|errno| Error::os(errno, "getsockopt: hops to a group"))
}

pub(crate) fn set_loop(fd: BorrowedFd<'_>, domain: Domain, on: bool) -> Result<()> {
    sockopt::set_ip_multicast_loop(fd, on)
        .and_then(|()| if domain == Domain::V6 { sockopt::set_ipv6_multicast_loop(fd, on) } else { Ok(()) })
        .map_err(|errno| Error::os(errno, "setsockopt: members on this host"))
}

pub(crate) fn is_looped(fd: BorrowedFd<'_>, domain: Domain) -> Result<bool> {
    if domain == Domain::V6 { sockopt::ipv6_multicast_loop(fd) } else { sockopt::ip_multicast_loop(fd) }
        .map_err(|errno| Error::os(errno, "getsockopt: members on this host"))
}
