// SPDX-License-Identifier: MIT OR Apache-2.0
//! What sockets are made of and can be set to, whatever carries them: the vocabulary of `socket(2)`, `socket(7)` and
//! `tcp(7)`.

use core::time::Duration;

/// The address family of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Domain {
    /// IPv4: `AF_INET`.
    V4,
    /// IPv6: `AF_INET6`. A socket that is bound to `[::]` serves IPv4 too, as on Linux.
    V6,
}

impl Domain {
    /// The family of an address.
    #[must_use]
    pub const fn of(address: &core::net::SocketAddr) -> Self {
        match address {
            core::net::SocketAddr::V4(_) => Self::V4,
            core::net::SocketAddr::V6(_) => Self::V6,
        }
    }

    /// The wildcard address with port 0: what an unbound socket of this family has.
    #[must_use]
    pub const fn unspecified(self) -> core::net::SocketAddr {
        use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
        match self {
            Self::V4 => SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
            Self::V6 => SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0),
        }
    }
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
}

impl core::ops::AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        // In full, so that a new counter does not compile before it is added here.
        let Self { messages_pushed, bytes_pushed, messages_popped, bytes_popped, accepted, connected, refused, drops } =
            other;
        self.messages_pushed += messages_pushed;
        self.bytes_pushed += bytes_pushed;
        self.messages_popped += messages_popped;
        self.bytes_popped += bytes_popped;
        self.accepted += accepted;
        self.connected += connected;
        self.refused += refused;
        self.drops += drops;
    }
}
