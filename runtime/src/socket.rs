// SPDX-License-Identifier: MIT OR Apache-2.0
//! What sockets are made of and can be set to, whatever carries them: the vocabulary of `socket(2)`, `socket(7)`,
//! `tcp(7)`, `udp(7)`, `ip(7)`, `ipv6(7)` and `unix(7)`.

use crate::limits::UNIX_PATH_MAX;
use crate::{Errno, Error, Result};
use core::net::{Ipv4Addr, SocketAddr};
use core::num::NonZeroU32;
use core::time::Duration;

/// The address family of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Domain {
    /// IPv4: `AF_INET`.
    V4,
    /// IPv6: `AF_INET6`. A socket that is bound to `[::]` serves IPv4 too, as on Linux.
    V6,
    /// Between processes of one host: `AF_UNIX`. Its sockets are named by paths; back ends that hand everything to the
    /// kernel have them.
    Unix,
}

impl Domain {
    /// The family of an address.
    #[must_use]
    pub const fn of(address: &SocketAddr) -> Self {
        match address {
            SocketAddr::V4(_) => Self::V4,
            SocketAddr::V6(_) => Self::V6,
        }
    }

    /// The wildcard address with port 0: what an unbound socket of this family has. Unix sockets have no IP address; for
    /// them it is that of IPv4, which names nobody.
    #[must_use]
    pub const fn unspecified(self) -> SocketAddr {
        use core::net::{IpAddr, Ipv6Addr};
        match self {
            Self::V4 | Self::Unix => SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
            Self::V6 => SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0),
        }
    }
}

/// Where a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination<'a> {
    /// To an IP address and port.
    Address(SocketAddr),
    /// To a name of `unix(7)`, which [`check_path`] has found right.
    Path(&'a [u8]),
}

/// Whether these bytes can name a Unix socket: a path, or an abstract name, which begins with a NUL byte and may have
/// others.
///
/// # Errors
/// `EINVAL` empty, or a path with a NUL byte in it; `ENAMETOOLONG` more than `sun_path` of `unix(7)` has room for.
pub fn check_path(path: &[u8]) -> Result<()> {
    const EMPTY: Error = Error::new(Errno::INVAL, "the name of a Unix socket is empty");
    const NUL: Error = Error::new(Errno::INVAL, "the path of a Unix socket has a NUL byte in it");
    const LONG: Error = Error::new(Errno::NAMETOOLONG, "the name of a Unix socket is longer than unix(7) allows");
    let is_abstract = match path {
        [] => return Err(EMPTY),
        [first, rest @ ..] if *first != 0 && rest.contains(&0) => return Err(NUL),
        [first, ..] => *first == 0,
    };
    // A path is followed by a NUL byte.
    if path.len() + usize::from(!is_abstract) > UNIX_PATH_MAX { Err(LONG) } else { Ok(()) }
}

/// The type of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A stream of bytes between two ends: `SOCK_STREAM`.
    Stream,
    /// Messages, each whole or lost: `SOCK_DGRAM`.
    Datagram,
}

/// An option of a socket with its value.
///
/// Each back end takes all of them. Where one has nothing to act on (no segments to delay, no silent peer to probe), it
/// is kept and given back, so that a program runs unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketOption {
    /// `SO_LINGER`: how long a close waits for the peer to take what was pushed. `None`: not at all, and it is delivered
    /// in the background. Zero: it is not waited for, and the peer reads a reset in place of the end.
    Linger(Option<Duration>),
    /// `TCP_NODELAY`: small segments are sent at once.
    NoDelay(bool),
    /// `SO_KEEPALIVE`: a silent peer is probed.
    KeepAlive(bool),
    /// `TCP_KEEPIDLE`: silence before the first probe, whole seconds from 1 to 32,767.
    KeepIdle(Duration),
    /// `TCP_KEEPINTVL`: time between probes, whole seconds from 1 to 32,767.
    KeepInterval(Duration),
    /// `TCP_KEEPCNT`: probes without an answer before the peer counts as dead, 1 to 127.
    KeepCount(u32),
    /// `SO_SNDBUF`: bytes that may be on their way. Brought into the back end's range, as Linux does.
    SendBuffer(usize),
    /// `SO_RCVBUF`: bytes that may wait to be popped. Brought into the back end's range.
    ReceiveBuffer(usize),
    /// `SO_REUSEADDR`: an address may be bound again while old connections of it linger.
    ReuseAddress(bool),
    /// `UDP_SEGMENT`: a push leaves as datagrams of so many bytes, the last one of what is left, at most 128 of them; 0: as
    /// one. Each has to fit into a packet of the path (`EMSGSIZE`). Between processes of one host without packets it is kept,
    /// and a push is one datagram.
    SegmentSize(u16),
    /// `IP_MULTICAST_TTL`, `IPV6_MULTICAST_HOPS`: how many hops what is sent to a group may take, 0 (to members on this host alone)
    /// to 255. At first 1 (RFC 1112, 6.1).
    MulticastHops(u8),
    /// `IP_MULTICAST_LOOP`, `IPV6_MULTICAST_LOOP`: what is sent to a group comes to its members on this host as well. At first true.
    MulticastLoop(bool),
}

/// The interface on which a socket is a member of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MulticastInterface {
    /// The one of the route to the group.
    #[default]
    ByRoute,
    /// The one that has this address.
    WithAddress(Ipv4Addr),
    /// The one with this index, as `if_nametoindex(3)` gives it. Our own stack has a single interface and no index for it.
    Index(NonZeroU32),
}

/// The name of a socket option; see [`SocketOption`] for what each means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionName {
    /// `SO_LINGER`.
    Linger,
    /// `TCP_NODELAY`.
    NoDelay,
    /// `SO_KEEPALIVE`.
    KeepAlive,
    /// `TCP_KEEPIDLE`.
    KeepIdle,
    /// `TCP_KEEPINTVL`.
    KeepInterval,
    /// `TCP_KEEPCNT`.
    KeepCount,
    /// `SO_SNDBUF`.
    SendBuffer,
    /// `SO_RCVBUF`.
    ReceiveBuffer,
    /// `SO_REUSEADDR`.
    ReuseAddress,
    /// `UDP_SEGMENT`.
    SegmentSize,
    /// `IP_MULTICAST_TTL`, `IPV6_MULTICAST_HOPS`.
    MulticastHops,
    /// `IP_MULTICAST_LOOP`, `IPV6_MULTICAST_LOOP`.
    MulticastLoop,
}

/// What a back end, or a whole LibOs, has done so far. All of them only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages that were taken from the application.
    pub messages_pushed: u64,
    /// Their bytes.
    pub bytes_pushed: u64,
    /// Messages that were given to the application.
    pub messages_popped: u64,
    /// Their bytes.
    pub bytes_popped: u64,
    /// Connections that were accepted.
    pub accepted: u64,
    /// Connections that were made.
    pub connected: u64,
    /// Connections that were refused or given up: nobody there, the backlog full, a handshake that broke the rules.
    pub refused: u64,
    /// Datagrams that were dropped: no room, nobody there, no right to it.
    pub drops: u64,
    /// System calls that back ends over kernel sockets have made, and collections of events by the LibOs.
    pub system_calls: u64,
}

impl core::ops::AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        // In full, so that a new counter does not compile before it is added here.
        let Self {
            messages_pushed,
            bytes_pushed,
            messages_popped,
            bytes_popped,
            accepted,
            connected,
            refused,
            drops,
            system_calls,
        } = other;
        self.messages_pushed += messages_pushed;
        self.bytes_pushed += bytes_pushed;
        self.messages_popped += messages_popped;
        self.bytes_popped += bytes_popped;
        self.accepted += accepted;
        self.connected += connected;
        self.refused += refused;
        self.drops += drops;
        self.system_calls += system_calls;
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn names_of_unix_sockets_are_checked() {
        let right: [&[u8]; 6] = [b"s", b"/run/server", b"\0", b"\0abstract", b"\0a\0b\0", &[b'x'; 107]];
        for path in right {
            assert_eq!(check_path(path), Ok(()), "{path:?}");
        }
        assert_eq!(check_path(&[0; 108]), Ok(()));
        let wrong: [(&[u8], Errno); 6] = [
            (b"", Errno::INVAL),
            (b"a\0", Errno::INVAL),
            (b"/run/\0server", Errno::INVAL),
            (&[b'x'; 108], Errno::NAMETOOLONG),
            (&[0; 109], Errno::NAMETOOLONG),
            (&[b'x'; 5000], Errno::NAMETOOLONG),
        ];
        for (path, errno) in wrong {
            assert_eq!(check_path(path).map_err(Error::errno), Err(errno), "{path:?}");
        }
    }

    #[test]
    fn families_have_their_wildcards() {
        for (domain, text) in [(Domain::V4, "0.0.0.0:0"), (Domain::V6, "[::]:0"), (Domain::Unix, "0.0.0.0:0")] {
            let address = domain.unspecified();
            assert_eq!(address.to_string(), text);
            assert_eq!(Domain::of(&address) == domain, domain != Domain::Unix);
        }
    }
}
