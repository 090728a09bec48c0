// SPDX-License-Identifier: MIT OR Apache-2.0
//! [`Stream`]: one stream socket, whatever it is at the moment: named or not, listening, connected.

use alloc::boxed::Box;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use runtime::slab::Key;
use runtime::socket::Domain;
use runtime::time::Time;
use runtime::timer::TimerId;
use runtime::{Errno, Error, Result};

use super::options::Options;
use super::ports::Sharing;
use crate::limits::STREAM_BUFFERS_MIN;
use crate::tcp::connection::Connection;
use crate::tcp::listen::Backlog;
use crate::tcp::settings::Settings;
use crate::tcp::table::Flow;
use crate::udp::{Path, Readiness};

const OTHER_FAMILY: Error = Error::new(Errno::AFNOSUPPORT, "an address of another family than the socket's");
const NOT_V4: Error = Error::new(Errno::NETUNREACH, "an IPv4 address for a socket that is IPv6 only");

/// A connection, and how its segments go.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each says something else of it")]
pub(super) struct Open {
    pub connection: Connection,
    /// The way to the peer, from our address to its.
    pub path: Path,
    /// Whether its own address is one of ours; while it is not, nothing leaves.
    pub ours: bool,
    /// The next hop, if it is a neighbour to whom all of the link's packets get.
    pub neighbour: Option<Key>,
    /// The peer's port.
    pub remote: u16,
    /// The hash of both ends.
    pub hash: u32,
    /// The state of path MTUs that its MSS comes from.
    pub mtus: u32,
    /// Its timer, and when that fires: no later than its deadline; [`Time::MAX`]: there is none.
    pub timer: TimerId,
    pub fires: Time,
    /// Until when a close lingers; [`Time::MAX`]: none does.
    pub lingers: Time,
    /// Since when nobody names it any more; [`Time::MAX`]: somebody does.
    pub closed: Time,
    /// Whether the table has it.
    pub linked: bool,
    /// Buffers that it holds, both ways.
    pub held: u32,
    /// Of those, what was pushed and is not acknowledged.
    pub pushed: u32,
    /// Whether it waits for room in the output.
    pub crowded: bool,
    /// Whether a push waits until it, or others, hold less.
    pub starves: bool,
    /// Whether it is among those that are looked at once others hold less.
    pub listed: bool,
    /// Whether its owner has heard that it stands.
    pub told: bool,
    /// Whether it was shut down by its owner.
    pub shut: bool,
}

impl Open {
    pub const fn new(connection: Connection, path: Path, remote: u16, hash: u32) -> Self {
        Self {
            connection,
            path,
            ours: true,
            neighbour: None,
            remote,
            hash,
            mtus: 0,
            timer: TimerId::NONE,
            fires: Time::MAX,
            lingers: Time::MAX,
            closed: Time::MAX,
            linked: true,
            held: 0,
            pushed: 0,
            crowded: false,
            starves: false,
            listed: false,
            told: false,
            shut: false,
        }
    }
}

impl Open {
    /// What its owner waits for beside the connection's own news; says when a close has lingered enough.
    #[cold]
    pub fn look_at_owner(&mut self, news: &mut Readiness, now: Time) -> Time {
        // Its share it has in any case: what others hold, or what it has not popped itself, must not keep it waiting.
        if self.starves && self.connection.buffers() < STREAM_BUFFERS_MIN {
            self.starves = false;
            news.writable = true;
        }
        if self.lingers < Time::MAX && (self.connection.is_drained() || self.connection.is_over()) {
            news.writable = true;
        }
        // That a close has lingered enough is told once.
        if self.lingers > now { self.lingers } else { Time::MAX }
    }
}

/// What listens.
#[derive(Debug)]
pub(super) struct Listener {
    pub backlog: Backlog,
    /// What its connections are set to.
    pub settings: Settings,
}

/// What a socket is at the moment.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are connections, and each is in memory of its own")]
pub(super) enum Kind {
    /// Neither connected nor listening.
    Idle,
    /// It listens.
    Listening(Box<Listener>),
    /// It is connected, or was, or will be.
    Open(Open),
}

/// At which address a socket holds its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// It holds none.
    Nowhere,
    /// At its own.
    Own,
    /// At the wildcards, whatever address it has by its connection.
    AnyV4,
    AnyV6,
}

impl Hold {
    /// Of a socket that is bound to this address.
    pub const fn at(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Self::AnyV4,
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Self::AnyV6,
            _ => Self::Own,
        }
    }
}

/// One stream socket.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of socket(7) or says something else of it")]
pub(super) struct Stream {
    pub domain: Domain,
    pub v6_only: bool,
    pub reuse_address: bool,
    pub reuse_port: bool,
    /// Its owner has closed it.
    pub orphan: bool,
    /// It waits to be accepted.
    pub waits: bool,
    pub hops: Option<u8>,
    /// What its owner is to be told.
    pub news: Readiness,
    /// The address and port; unspecified and 0 while not bound. Never v4-mapped.
    pub local: (IpAddr, u16),
    /// Where it holds its port; see [`hold`](Self::hold).
    pub hold: Hold,
    /// What it was set to, if to anything.
    pub options: Option<Box<Options>>,
    pub kind: Kind,
}

impl Stream {
    pub fn new(domain: Domain) -> Self {
        Self {
            domain,
            v6_only: false,
            reuse_address: false,
            reuse_port: false,
            orphan: false,
            waits: false,
            hops: None,
            news: Readiness::default(),
            local: (domain.unspecified().ip(), 0),
            hold: Hold::Nowhere,
            options: None,
            kind: Kind::Idle,
        }
    }

    /// Whether it is the connection between these ends.
    #[inline]
    pub fn is_between(&self, flow: &Flow) -> bool {
        match &self.kind {
            Kind::Open(open) => {
                open.remote == flow.remote.1
                    && self.local.1 == flow.local.1
                    && open.path.destination == flow.remote.0
                    && open.path.source == flow.local.0
            }
            _ => false,
        }
    }

    /// Both ends of a connection.
    pub fn flow(&self) -> Option<Flow> {
        match &self.kind {
            Kind::Open(open) => {
                Some(Flow { local: (open.path.source, self.local.1), remote: (open.path.destination, open.remote) })
            }
            _ => None,
        }
    }

    /// The address at which it holds its port, if it does.
    pub const fn hold(&self) -> Option<IpAddr> {
        match self.hold {
            Hold::Nowhere => None,
            Hold::Own => Some(self.local.0),
            Hold::AnyV4 => Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            Hold::AnyV6 => Some(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
        }
    }

    /// The connection, if it has one.
    #[inline]
    pub fn open(&mut self) -> Option<&mut Open> {
        match &mut self.kind {
            Kind::Open(open) => Some(open),
            _ => None,
        }
    }

    /// What it is set to.
    pub fn options(&self) -> Options {
        self.options.as_deref().copied().unwrap_or_default()
    }

    /// With whom it shares its address.
    pub const fn sharing(&self) -> Sharing {
        Sharing { v6_only: self.v6_only, address: self.reuse_address, port: self.reuse_port }
    }

    /// Whether a packet to such an address can be for it, if it listens there.
    pub const fn serves(&self, address: IpAddr) -> bool {
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

    /// The other way: v4-mapped for a socket of IPv6 (RFC 3493 section 3.7).
    pub const fn show(&self, (address, port): (IpAddr, u16)) -> SocketAddr {
        match address {
            IpAddr::V4(v4) if matches!(self.domain, Domain::V6) => {
                SocketAddr::new(IpAddr::V6(v4.to_ipv6_mapped()), port)
            }
            _ => SocketAddr::new(address, port),
        }
    }

    /// The wildcard of its family.
    pub const fn wildcard(&self) -> IpAddr {
        match self.domain {
            Domain::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            Domain::V4 | Domain::Unix => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        }
    }

    /// Its own address, as its user sees it.
    pub fn shown_local(&self) -> SocketAddr {
        match self.local {
            (address, port) if address.is_unspecified() => SocketAddr::new(self.wildcard(), port),
            local => self.show(local),
        }
    }
}
