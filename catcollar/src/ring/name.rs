// SPDX-License-Identifier: MIT OR Apache-2.0
//! Socket addresses in the kernel's form, as requests carry them: `sockaddr_in`, `sockaddr_in6` and `sockaddr_un` of `ip(7)`,
//! `ipv6(7)` and `unix(7)`.
//!
//! What comes from the kernel is read with every length checked.

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use runtime::{Errno, Error, Result};

/// Bytes of the longest name, a `sockaddr_un`, rounded up so that what lies behind it is aligned.
pub const NAME_MAX: usize = 112;
/// Bytes of the longest path, or abstract name with its leading NUL.
const PATH_MAX: usize = 108;
const FAMILY: usize = 2;

/// A name in the kernel's form.
#[derive(Clone)]
#[repr(C, align(8))]
pub struct Name {
    bytes: [u8; NAME_MAX],
    len: u32,
}

/// Whose name was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer<'a> {
    /// An IP socket's.
    Ip(SocketAddr),
    /// A Unix socket's; empty if it has none.
    Path(&'a [u8]),
}

const LONG: Error = Error::new(Errno::INVAL, "the name of a Unix socket has 1 to 108 bytes");

impl Name {
    /// No name.
    pub const fn new() -> Self {
        Self { bytes: [0; NAME_MAX], len: 0 }
    }

    /// An IP address.
    pub fn ip(address: SocketAddr) -> Self {
        let mut name = Self::new();
        let b = &mut name.bytes;
        b[2..4].copy_from_slice(&address.port().to_be_bytes());
        match address {
            SocketAddr::V4(v4) => {
                b[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
                b[4..8].copy_from_slice(&v4.ip().octets());
                name.len = 16;
            }
            SocketAddr::V6(v6) => {
                b[..2].copy_from_slice(&(libc::AF_INET6 as u16).to_ne_bytes());
                b[4..8].copy_from_slice(&v6.flowinfo().to_be_bytes());
                b[8..24].copy_from_slice(&v6.ip().octets());
                b[24..28].copy_from_slice(&v6.scope_id().to_ne_bytes());
                name.len = 28;
            }
        }
        name
    }

    /// The name of a Unix socket.
    ///
    /// # Errors
    /// `EINVAL` if it is empty or too long, or a path with a NUL byte.
    pub fn path(path: &[u8]) -> Result<Self> {
        if path.is_empty() || path.len() > PATH_MAX || (path[0] != 0 && path.contains(&0)) {
            return Err(LONG);
        }
        let mut name = Self::new();
        name.bytes[..FAMILY].copy_from_slice(&(libc::AF_UNIX as u16).to_ne_bytes());
        name.bytes[FAMILY..FAMILY + path.len()].copy_from_slice(path);
        // A path ends with a NUL where there is room for one; an abstract name ends with its length.
        let end = usize::from(path[0] != 0 && path.len() < PATH_MAX);
        name.len = (FAMILY + path.len() + end) as u32;
        Ok(name)
    }

    /// The name itself.
    #[cfg(test)]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len as usize]
    }

    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.bytes.as_mut_ptr()
    }

    /// Its length in bytes.
    pub fn len(&self) -> u32 {
        self.len
    }
}

/// Reads a name; `None` if it is of no family that is served.
pub fn read(bytes: &[u8]) -> Option<Peer<'_>> {
    // A Unix socket without a name has none at all, or the family alone.
    let Some(family) = bytes.get(..FAMILY) else { return Some(Peer::Path(&[])) };
    let family = i32::from(u16::from_ne_bytes([family[0], family[1]]));
    let port = || Some(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]));
    let four = |at: usize| -> Option<[u8; 4]> { bytes.get(at..at + 4)?.try_into().ok() };
    match family {
        libc::AF_INET => Some(Peer::Ip(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::from(four(4)?), port()?)))),
        libc::AF_INET6 => {
            let ip: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
            let (flow, scope) = (u32::from_be_bytes(four(4)?), u32::from_ne_bytes(four(24)?));
            Some(Peer::Ip(SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::from(ip), port()?, flow, scope))))
        }
        libc::AF_UNIX => {
            let path = &bytes[FAMILY..];
            Some(Peer::Path(match path.first() {
                None | Some(0) => path,
                // A path ends at its first NUL.
                Some(_) => path.split(|&byte| byte == 0).next().unwrap_or_default(),
            }))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ip_addresses_come_back() {
        for address in ["127.1.2.3:65535", "[::1]:9", "[fe80::1%3]:80", "0.0.0.0:0"] {
            let address: SocketAddr = address.parse().unwrap();
            let name = Name::ip(address);
            assert_eq!(read(name.bytes()), Some(Peer::Ip(address)));
        }
    }

    #[test]
    fn paths_and_abstract_names_come_back() {
        for path in [&b"/run/a"[..], b"\0abstract", b"\0with\0nul", &[b'p'; PATH_MAX], b"p"] {
            let name = Name::path(path).unwrap();
            assert_eq!(read(name.bytes()), Some(Peer::Path(path)));
        }
        for bad in [&b""[..], b"nul\0inside", &[b'p'; PATH_MAX + 1]] {
            assert_eq!(Name::path(bad).err().unwrap().errno(), Errno::INVAL);
        }
        assert_eq!(read(&[]), Some(Peer::Path(&[])));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..NAME_MAX)) {
            if let Some(Peer::Path(path)) = read(&bytes) {
                prop_assert!(path.len() <= bytes.len());
            }
        }
    }
}
