// SPDX-License-Identifier: MIT OR Apache-2.0
//! One datagram socket: its ends, its options, and what waits in it.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;

use runtime::buf::Sga;
use runtime::socket::{Domain, OptionName, SocketOption};
use runtime::{Errno, Error, Result};

use super::Readiness;
use super::key::{Flow, Kind, Local};
use super::path::Path;
use crate::limits::{DATAGRAM_OVERHEAD, RECEIVE_BUFFER, RECEIVE_BUFFER_RANGE, SOCKET_DATAGRAMS_MAX};
use crate::ring::Ring;

const OTHER_FAMILY: Error = Error::new(Errno::AFNOSUPPORT, "an address of another family than the socket's");
const NOT_V4: Error = Error::new(Errno::NETUNREACH, "an IPv4 address for a socket that is IPv6 only");

/// What has come and was not popped.
#[derive(Debug)]
pub struct Datagram {
    /// From whom; port 0 for an echo reply.
    pub from: SocketAddr,
    /// Hops that it had left.
    pub hops: u8,
    /// Of an echo reply.
    pub sequence: u16,
    pub data: Sga,
    /// Bytes of `data`.
    pub len: u32,
}

/// Options that datagrams have no use for: kept and given back.
#[derive(Clone, Copy, Debug)]
struct Kept {
    linger: Option<Duration>,
    no_delay: bool,
    keep_alive: bool,
    keep_idle: Duration,
    keep_interval: Duration,
    keep_count: u32,
    send_buffer: usize,
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of socket(7), ip(7) or ipv6(7)")]
pub struct Socket {
    pub domain: Domain,
    pub kind: Kind,
    /// The address and port; unspecified and 0 while not bound. Never v4-mapped.
    pub local: (IpAddr, u16),
    /// Whether the address was named by `bind`, and stays whatever is connected to.
    pub named: bool,
    pub peer: Option<(IpAddr, u16)>,
    pub v6_only: bool,
    pub reuse_address: bool,
    pub reuse_port: bool,
    pub broadcast: bool,
    pub hops: Option<u8>,
    pub multicast_hops: u8,
    pub multicast_loop: bool,
    pub groups: Vec<IpAddr>,
    /// What one send is cut into, in bytes of payload each; 0: it is one datagram.
    pub segment: u16,
    /// What ICMP said, until a call tells it.
    pub error: Option<Error>,
    /// Whether a send waits for room.
    pub wants_room: bool,
    /// What the owner has to be told.
    pub dirty: Readiness,
    /// The way to where was sent last.
    pub path: Option<Path>,
    /// The next of those with the same key.
    pub next: u32,
    queue: Ring<Datagram, SOCKET_DATAGRAMS_MAX>,
    queued: usize,
    receive_buffer: usize,
    kept: Kept,
}

impl Socket {
    pub fn new(domain: Domain, kind: Kind) -> Self {
        Self {
            domain,
            kind,
            local: (domain.unspecified().ip(), 0),
            named: false,
            peer: None,
            v6_only: false,
            reuse_address: false,
            reuse_port: false,
            broadcast: false,
            hops: None,
            multicast_hops: 1, // RFC 1112, 6.1
            multicast_loop: true,
            groups: Vec::new(),
            segment: 0,
            error: None,
            wants_room: false,
            dirty: Readiness::default(),
            path: None,
            next: super::NONE,
            queue: Ring::new(),
            queued: 0,
            receive_buffer: RECEIVE_BUFFER,
            kept: Kept {
                linger: None,
                no_delay: false,
                keep_alive: false,
                keep_idle: Duration::from_hours(2),
                keep_interval: Duration::from_secs(75),
                keep_count: 9,
                send_buffer: RECEIVE_BUFFER,
            },
        }
    }

    /// What the socket is found by, once it is bound.
    pub fn key(&self) -> Local {
        Local { kind: self.kind, address: self.local.0, port: self.local.1 }
    }

    /// As [`key`](Self::key), once it is connected.
    pub fn flow(&self) -> Option<Flow> {
        self.peer.map(|(address, port)| Flow { local: self.key(), address, port })
    }

    /// Whether a packet of this family can be for it, if its address is.
    #[inline]
    pub fn serves(&self, address: IpAddr) -> bool {
        match self.local.0 {
            IpAddr::V4(_) => address.is_ipv4(),
            IpAddr::V6(own) => address.is_ipv6() || (own.is_unspecified() && !self.v6_only),
        }
    }

    /// An address as the stack uses it, from one as the socket's user writes it.
    pub fn admit(&self, address: SocketAddr) -> Result<(IpAddr, u16)> {
        match (self.domain, address.ip()) {
            (Domain::V4, IpAddr::V4(_)) => Ok((address.ip(), address.port())),
            (Domain::V6, IpAddr::V6(v6)) => match v6.to_ipv4_mapped() {
                Some(_) if self.v6_only => Err(NOT_V4),
                Some(v4) => Ok((IpAddr::V4(v4), address.port())),
                None => Ok((address.ip(), address.port())),
            },
            _ => Err(OTHER_FAMILY),
        }
    }

    /// The other way: v4-mapped for a socket of IPv6 (RFC 3493, 3.7).
    #[inline]
    pub fn show(&self, address: SocketAddr) -> SocketAddr {
        match address {
            SocketAddr::V4(v4) if self.domain == Domain::V6 => {
                SocketAddr::new(IpAddr::V6(v4.ip().to_ipv6_mapped()), v4.port())
            }
            _ => address,
        }
    }

    /// The wildcard for a destination: that of its family, for a socket that is not bound.
    pub const fn wildcard(&self) -> IpAddr {
        match self.domain {
            Domain::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            Domain::V4 | Domain::Unix => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        }
    }

    /// Whether it was joined to a group.
    pub fn is_member(&self, group: IpAddr) -> bool {
        self.groups.contains(&group)
    }

    /// Puts a datagram of so many bytes behind those that wait; false if there is no room, and it is dropped. A socket with
    /// nothing in it takes any. `scarce`: the sockets together hold as many buffers as they may.
    #[inline(always)]
    pub fn deliver(&mut self, len: u32, datagram: impl FnOnce() -> Datagram, scarce: bool) -> bool {
        let queued = self.queued + len as usize + DATAGRAM_OVERHEAD;
        let has_room = self.queued == 0 || !(scarce || queued > self.receive_buffer);
        if !has_room || !self.queue.push_back_with(datagram) {
            return false;
        }
        self.queued = queued;
        true
    }

    /// Takes the first of those that wait.
    #[inline]
    pub fn take(&mut self) -> Option<Datagram> {
        let datagram = self.queue.pop_front()?;
        self.queued -= datagram.len as usize + DATAGRAM_OVERHEAD;
        Some(datagram)
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Buffers that hold what waits.
    pub fn buffers(&self) -> usize {
        self.queue.iter().map(|datagram| datagram.data.segments()).sum()
    }

    /// Drops what is not from the peer: it came before the peer was named. Says how many datagrams that were.
    pub fn forget_others(&mut self) -> u64 {
        let before = self.queue.len();
        let peer = self.peer;
        self.queue.retain(|datagram| peer.is_none_or(|peer| peer == (datagram.from.ip(), datagram.from.port())));
        self.queued = self.queue.iter().map(|datagram| datagram.len as usize + DATAGRAM_OVERHEAD).sum();
        (before - self.queue.len()) as u64
    }

    pub fn set_option(&mut self, option: SocketOption) {
        let kept = &mut self.kept;
        match option {
            SocketOption::Linger(time) => kept.linger = time,
            SocketOption::NoDelay(on) => kept.no_delay = on,
            SocketOption::KeepAlive(on) => kept.keep_alive = on,
            SocketOption::KeepIdle(time) => kept.keep_idle = time,
            SocketOption::KeepInterval(time) => kept.keep_interval = time,
            SocketOption::KeepCount(count) => kept.keep_count = count,
            SocketOption::SendBuffer(size) => {
                kept.send_buffer = size.clamp(RECEIVE_BUFFER_RANGE.0, RECEIVE_BUFFER_RANGE.1);
            }
            SocketOption::ReceiveBuffer(size) => {
                self.receive_buffer = size.clamp(RECEIVE_BUFFER_RANGE.0, RECEIVE_BUFFER_RANGE.1);
            }
            SocketOption::ReuseAddress(on) => self.reuse_address = on,
            SocketOption::SegmentSize(size) => self.segment = size,
            SocketOption::MulticastHops(hops) => self.multicast_hops = hops,
            SocketOption::MulticastLoop(on) => self.multicast_loop = on,
        }
    }

    pub const fn option(&self, name: OptionName) -> SocketOption {
        let kept = &self.kept;
        match name {
            OptionName::Linger => SocketOption::Linger(kept.linger),
            OptionName::NoDelay => SocketOption::NoDelay(kept.no_delay),
            OptionName::KeepAlive => SocketOption::KeepAlive(kept.keep_alive),
            OptionName::KeepIdle => SocketOption::KeepIdle(kept.keep_idle),
            OptionName::KeepInterval => SocketOption::KeepInterval(kept.keep_interval),
            OptionName::KeepCount => SocketOption::KeepCount(kept.keep_count),
            OptionName::SendBuffer => SocketOption::SendBuffer(kept.send_buffer),
            OptionName::ReceiveBuffer => SocketOption::ReceiveBuffer(self.receive_buffer),
            OptionName::ReuseAddress => SocketOption::ReuseAddress(self.reuse_address),
            OptionName::SegmentSize => SocketOption::SegmentSize(self.segment),
            OptionName::MulticastHops => SocketOption::MulticastHops(self.multicast_hops),
            OptionName::MulticastLoop => SocketOption::MulticastLoop(self.multicast_loop),
        }
    }
}
