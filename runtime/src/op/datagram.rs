// SPDX-License-Identifier: MIT OR Apache-2.0
//! A message with the address that it came from or goes to.
//!
//! The address lies in a buffer of its own in front of the payload's segments, so that a datagram is one pointer wide, as
//! a message is, and completions stay small.

use crate::buf::{Buf, Pools, Sga};
use crate::limits::UNIX_PATH_MAX;
use crate::socket::{Destination, Domain};
use crate::{Errno, Error, Result};
use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Family u16, port u16, flow information u32, scope u32, address 16 bytes; all in the machine's own order: it never
/// leaves the process. Of a Unix socket: family, then its name to the end of the buffer.
const ADDRESS_LEN: usize = 28;
const FAMILY_LEN: usize = 2;
const UNIX: u16 = 1;
const V4: u16 = 4;
const V6: u16 = 6;

const FULL: Error = Error::new(Errno::MSGSIZE, "the datagram has too many segments");
const LONG: Error = Error::new(Errno::NAMETOOLONG, "the name of a Unix socket is longer than unix(7) allows");

/// A message and the address of its other end. An empty one is a message too, and no end.
pub struct Datagram(Sga);

impl Datagram {
    /// A datagram whose payload, of at most 63 segments, follows the address in memory from `pools`.
    ///
    /// # Errors
    /// `ENOBUFS` if the pool is empty, `EMSGSIZE` for too many segments; the message is dropped then.
    pub fn new(address: SocketAddr, message: Sga, pools: &Pools) -> Result<Self> {
        let mut head = pools.alloc(ADDRESS_LEN)?;
        if let Some(bytes) = head.get_mut() {
            write(address, bytes);
        }
        Self::behind(head, message)
    }

    /// As [`new`](Self::new), with the name of a Unix socket; empty for a sender that has none.
    ///
    /// # Errors
    /// As `new`, and `ENAMETOOLONG`.
    pub fn with_path(path: &[u8], message: Sga, pools: &Pools) -> Result<Self> {
        if path.len() > UNIX_PATH_MAX {
            return Err(LONG);
        }
        let mut head = pools.alloc(FAMILY_LEN + path.len())?;
        if let Some((family, name)) = head.get_mut().and_then(|bytes| bytes.split_at_mut_checked(FAMILY_LEN)) {
            family.copy_from_slice(&UNIX.to_ne_bytes());
            name.copy_from_slice(path);
        }
        Self::behind(head, message)
    }

    /// As [`new`](Self::new) or [`with_path`](Self::with_path), by where it goes.
    ///
    /// # Errors
    /// As they.
    pub fn to(destination: Destination<'_>, message: Sga, pools: &Pools) -> Result<Self> {
        match destination {
            Destination::Address(address) => Self::new(address, message, pools),
            Destination::Path(path) => Self::with_path(path, message, pools),
        }
    }

    fn behind(head: Buf, message: Sga) -> Result<Self> {
        let mut chain = Sga::from(head);
        for segment in message {
            chain.push_back(segment).map_err(|_| FULL)?;
        }
        Ok(Self(chain))
    }

    /// The chain as a transport passes it: the address' segment, then the payload's.
    #[must_use]
    pub fn into_chain(self) -> Sga {
        self.0
    }

    /// A datagram from the chain that [`into_chain`](Self::into_chain) gave.
    #[must_use]
    pub fn from_chain(chain: Sga) -> Self {
        Self(chain)
    }

    /// Lends the payload and the destination to `send`, which may take a part of the payload; what it leaves stays.
    pub fn send<T>(&mut self, send: impl FnOnce(&mut Sga, Destination<'_>) -> T) -> T {
        let head = self.0.pop_front();
        let bytes = head.as_deref().unwrap_or_default();
        let to = path_of(bytes).map_or_else(|| Destination::Address(address_of(bytes)), Destination::Path);
        let sent = send(&mut self.0, to);
        if let Some(head) = head {
            let mut chain = Sga::from(head);
            for segment in core::mem::take(&mut self.0) {
                // There were as many before, and the address.
                if chain.push_back(segment).is_err() {
                    break;
                }
            }
            self.0 = chain;
        }
        sent
    }

    /// The chain, for whoever lifts it out of its place.
    #[inline]
    pub(super) fn chain_mut(&mut self) -> &mut Sga {
        &mut self.0
    }

    /// The address of the other end: the sender of what was popped. For a datagram of a Unix socket it is `0.0.0.0:0`, and
    /// [`sender_path`](Self::sender_path) knows more.
    #[must_use]
    pub fn sender(&self) -> SocketAddr {
        address_of(self.head())
    }

    /// The name of the Unix socket at the other end: a path, or an abstract name that begins with a NUL byte; empty if it
    /// has none, and then it cannot be answered. `None` for a datagram that did not come through a Unix socket.
    #[must_use]
    pub fn sender_path(&self) -> Option<&Path> {
        path_of(self.head()).map(|path| Path::new(OsStr::from_bytes(path)))
    }

    fn head(&self) -> &[u8] {
        self.0.iter().next().map_or(&[], |head| head)
    }

    /// Bytes of payload.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().skip(1).map(Buf::len).sum()
    }

    /// Whether there is no payload. That is a message all the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The payload.
    #[must_use]
    pub fn into_message(mut self) -> Sga {
        self.take_message()
    }

    /// Takes the payload, and leaves an empty datagram that still knows its other end.
    #[must_use]
    pub fn take_message(&mut self) -> Sga {
        let head = self.0.pop_front();
        core::mem::replace(&mut self.0, head.map_or_else(Sga::new, Sga::from))
    }
}

impl fmt::Debug for Datagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.sender_path() {
            Some(path) => write!(f, "Datagram({} bytes, {path:?})", self.len()),
            None => write!(f, "Datagram({} bytes, {})", self.len(), self.sender()),
        }
    }
}

/// Writes an address; the slice has [`ADDRESS_LEN`] bytes.
fn write(address: SocketAddr, out: &mut [u8]) {
    let mut bytes = [0; ADDRESS_LEN];
    bytes[2..4].copy_from_slice(&address.port().to_ne_bytes());
    match address {
        SocketAddr::V4(v4) => {
            bytes[..2].copy_from_slice(&V4.to_ne_bytes());
            bytes[12..16].copy_from_slice(&v4.ip().octets());
        }
        SocketAddr::V6(v6) => {
            bytes[..2].copy_from_slice(&V6.to_ne_bytes());
            bytes[4..8].copy_from_slice(&v6.flowinfo().to_ne_bytes());
            bytes[8..12].copy_from_slice(&v6.scope_id().to_ne_bytes());
            bytes[12..].copy_from_slice(&v6.ip().octets());
        }
    }
    let len = out.len().min(ADDRESS_LEN);
    out[..len].copy_from_slice(&bytes[..len]);
}

/// The address in a head; the wildcard if there is none.
fn address_of(head: &[u8]) -> SocketAddr {
    read(head).unwrap_or(Domain::V4.unspecified())
}

/// The name in the head of a Unix socket's datagram.
fn path_of(head: &[u8]) -> Option<&[u8]> {
    let (family, name) = head.split_first_chunk::<FAMILY_LEN>()?;
    (u16::from_ne_bytes(*family) == UNIX).then_some(name)
}

fn read(bytes: &[u8]) -> Option<SocketAddr> {
    let b: &[u8; ADDRESS_LEN] = bytes.try_into().ok()?;
    let port = u16::from_ne_bytes([b[2], b[3]]);
    match u16::from_ne_bytes([b[0], b[1]]) {
        V4 => Some(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(b[12], b[13], b[14], b[15]), port))),
        V6 => {
            let ip: [u8; 16] = b[12..].try_into().ok()?;
            let (flow, scope) =
                (u32::from_ne_bytes([b[4], b[5], b[6], b[7]]), u32::from_ne_bytes([b[8], b[9], b[10], b[11]]));
            Some(SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::from(ip), port, flow, scope)))
        }
        _ => None,
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use crate::buf::Classes;

    #[test]
    fn address_and_payload_come_back() {
        let pools = Pools::new(&Classes { small_count: 16, large_count: 1, ..Classes::default() }).unwrap();
        for address in ["127.1.2.3:65535", "[::1]:9", "[fe80::1%3]:80", "0.0.0.0:0"] {
            let address: SocketAddr = address.parse().unwrap();
            for payload in [&b""[..], b"x", &[7; 3000]] {
                let message = if payload.is_empty() { Sga::new() } else { pools.alloc_copy(payload).unwrap().into() };
                let datagram = Datagram::new(address, message, &pools).unwrap();
                assert_eq!((datagram.sender(), datagram.sender_path()), (address, None));
                assert_eq!((datagram.len(), datagram.is_empty()), (payload.len(), payload.is_empty()));
                let chain = datagram.into_chain();
                assert_eq!(Datagram::from_chain(chain).into_message().to_vec(), payload);
            }
        }
        assert_eq!(pools.stats().map(|stats| stats.in_use), [0; 3]);
    }

    #[test]
    fn path_and_payload_come_back() {
        let pools = Pools::new(&Classes { small_count: 16, large_count: 1, ..Classes::default() }).unwrap();
        // One of them makes a head as long as that of an IP address.
        let paths: [&[u8]; 6] = [b"", b"/run/server", b"\0abstract\0name", b"not \xff text", &[b'p'; 26], &[0; 108]];
        for path in paths {
            let mut datagram = Datagram::with_path(path, pools.alloc_copy(b"payload").unwrap().into(), &pools).unwrap();
            assert_eq!(datagram.sender_path().unwrap().as_os_str().as_bytes(), path);
            assert_eq!((datagram.sender(), datagram.len()), (Domain::Unix.unspecified(), 7));
            let taken = datagram.send(|message, to| {
                assert_eq!(to, Destination::Path(path));
                let mut first = message.pop_front().unwrap();
                let rest = first.split_back(3).unwrap();
                message.push_back(rest).unwrap();
                first.len()
            });
            assert_eq!((taken, datagram.len()), (3, 4));
            assert_eq!(datagram.sender_path().unwrap().as_os_str().as_bytes(), path);
            assert_eq!(datagram.take_message().to_vec(), b"load");
            assert_eq!((datagram.sender_path().unwrap().as_os_str().as_bytes(), datagram.len()), (path, 0));
            assert!(datagram.into_message().is_empty());
        }
        let long = Datagram::with_path(&[b'p'; 109], Sga::new(), &pools).unwrap_err();
        assert_eq!(long.errno(), Errno::NAMETOOLONG);
        assert_eq!(pools.stats().map(|stats| stats.in_use), [0; 3]);
    }

    #[test]
    fn what_is_sent_knows_where_it_goes() {
        let pools = Pools::new(&Classes { small_count: 4, large_count: 1, ..Classes::default() }).unwrap();
        let address = Destination::Address("[::1]:7".parse().unwrap());
        for to in [address, Destination::Path(b"/run/server")] {
            let mut datagram = Datagram::to(to, pools.alloc_copy(b"x").unwrap().into(), &pools).unwrap();
            assert!(datagram.send(|message, seen| seen == to && message.len() == 1));
            assert_eq!(datagram.len(), 1, "what was not taken is still there");
        }
    }

    #[test]
    fn too_many_segments_are_refused() {
        let pools = Pools::new(&Classes { small_count: 80, large_count: 1, ..Classes::default() }).unwrap();
        let mut message = Sga::new();
        for _ in 0..64 {
            message.push_back(pools.alloc_copy(b"s").unwrap()).unwrap();
        }
        let refused = Datagram::new(Domain::V4.unspecified(), message, &pools).unwrap_err();
        assert_eq!(refused.errno(), Errno::MSGSIZE);
        assert_eq!(pools.stats()[0].in_use, 0);
    }
}
