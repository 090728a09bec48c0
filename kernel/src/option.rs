// SPDX-License-Identifier: MIT OR Apache-2.0
//! Options of a kernel socket (`socket(7)`, `tcp(7)`, `udp(7)`), all but `SO_LINGER`: the kernel would block for that in `close`, so
//! that [`Socket`](crate::Socket) keeps it.

use crate::{group, raw};
use core::time::Duration;
use runtime::socket::{Domain, Kind, OptionName, SocketOption};
use runtime::{Errno, Error, Result};
use rustix::net::sockopt;
use std::os::fd::BorrowedFd;

const NOT_HERE: Error = Error::new(Errno::NOPROTOOPT, "only TCP sockets have this option");
const NOT_DATAGRAMS: Error = Error::new(Errno::NOPROTOOPT, "only UDP sockets have this option");

/// The largest size that the kernel takes; it halves it first, and bounds it by `net.core.wmem_max` and `rmem_max`.
const SIZE_MAX: usize = i32::MAX as usize / 2;

/// Whether a socket of this kind has the option at all.
fn check(name: OptionName, domain: Domain, kind: Kind) -> Result<()> {
    use OptionName::{KeepCount, KeepIdle, KeepInterval, MulticastHops, MulticastLoop, NoDelay, SegmentSize};
    let tcp = kind == Kind::Stream && domain != Domain::Unix;
    let udp = kind == Kind::Datagram && domain != Domain::Unix;
    match name {
        NoDelay | KeepIdle | KeepInterval | KeepCount if !tcp => Err(NOT_HERE),
        SegmentSize | MulticastHops | MulticastLoop if !udp => Err(NOT_DATAGRAMS),
        _ => Ok(()),
    }
}

const fn name_of(option: &SocketOption) -> OptionName {
    match option {
        SocketOption::Linger(_) => OptionName::Linger,
        SocketOption::NoDelay(_) => OptionName::NoDelay,
        SocketOption::KeepAlive(_) => OptionName::KeepAlive,
        SocketOption::KeepIdle(_) => OptionName::KeepIdle,
        SocketOption::KeepInterval(_) => OptionName::KeepInterval,
        SocketOption::KeepCount(_) => OptionName::KeepCount,
        SocketOption::SendBuffer(_) => OptionName::SendBuffer,
        SocketOption::ReceiveBuffer(_) => OptionName::ReceiveBuffer,
        SocketOption::ReuseAddress(_) => OptionName::ReuseAddress,
        SocketOption::SegmentSize(_) => OptionName::SegmentSize,
        SocketOption::MulticastHops(_) => OptionName::MulticastHops,
        SocketOption::MulticastLoop(_) => OptionName::MulticastLoop,
    }
}

/// Sets an option; `linger` is where the socket keeps that one.
///
/// # Errors
/// `ENOPROTOOPT` such a socket does not have it; what the kernel says.
pub fn set(
    fd: BorrowedFd<'_>,
    domain: Domain,
    kind: Kind,
    linger: &mut Option<Duration>,
    option: SocketOption,
) -> Result<()> {
    check(name_of(&option), domain, kind)?;
    match option {
        SocketOption::Linger(time) => {
            *linger = time;
            Ok(())
        }
        SocketOption::NoDelay(on) => sockopt::set_tcp_nodelay(fd, on),
        SocketOption::KeepAlive(on) => sockopt::set_socket_keepalive(fd, on),
        SocketOption::KeepIdle(time) => sockopt::set_tcp_keepidle(fd, time),
        SocketOption::KeepInterval(time) => sockopt::set_tcp_keepintvl(fd, time),
        SocketOption::KeepCount(count) => sockopt::set_tcp_keepcnt(fd, count),
        SocketOption::SendBuffer(size) => sockopt::set_socket_send_buffer_size(fd, size.min(SIZE_MAX)),
        SocketOption::ReceiveBuffer(size) => sockopt::set_socket_recv_buffer_size(fd, size.min(SIZE_MAX)),
        SocketOption::ReuseAddress(on) => sockopt::set_socket_reuseaddr(fd, on),
        SocketOption::SegmentSize(size) => return raw::set_segment_size(fd, size),
        SocketOption::MulticastHops(hops) => return group::set_hops(fd, domain, hops),
        SocketOption::MulticastLoop(on) => return group::set_loop(fd, domain, on),
    }
    .map_err(|errno| Error::os(errno, "setsockopt"))
}

/// Reads an option; sizes are what the kernel has set aside, its own bookkeeping included.
///
/// # Errors
/// As [`set`].
pub fn get(
    fd: BorrowedFd<'_>,
    domain: Domain,
    kind: Kind,
    linger: Option<Duration>,
    name: OptionName,
) -> Result<SocketOption> {
    check(name, domain, kind)?;
    match name {
        OptionName::Linger => Ok(SocketOption::Linger(linger)),
        OptionName::NoDelay => sockopt::tcp_nodelay(fd).map(SocketOption::NoDelay),
        OptionName::KeepAlive => sockopt::socket_keepalive(fd).map(SocketOption::KeepAlive),
        OptionName::KeepIdle => sockopt::tcp_keepidle(fd).map(SocketOption::KeepIdle),
        OptionName::KeepInterval => sockopt::tcp_keepintvl(fd).map(SocketOption::KeepInterval),
        OptionName::KeepCount => sockopt::tcp_keepcnt(fd).map(SocketOption::KeepCount),
        OptionName::SendBuffer => sockopt::socket_send_buffer_size(fd).map(SocketOption::SendBuffer),
        OptionName::ReceiveBuffer => sockopt::socket_recv_buffer_size(fd).map(SocketOption::ReceiveBuffer),
        OptionName::ReuseAddress => sockopt::socket_reuseaddr(fd).map(SocketOption::ReuseAddress),
        OptionName::SegmentSize => return raw::segment_size(fd).map(SocketOption::SegmentSize),
        OptionName::MulticastHops => return group::hops(fd, domain).map(SocketOption::MulticastHops),
        OptionName::MulticastLoop => return group::is_looped(fd, domain).map(SocketOption::MulticastLoop),
    }
    .map_err(|errno| Error::os(errno, "getsockopt"))
}
