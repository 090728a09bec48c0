// SPDX-License-Identifier: MIT OR Apache-2.0
//! `struct sockaddr_in`, `struct sockaddr_in6` and `struct sockaddr_un` (`ip(7)`, `ipv6(7)`, `unix(7)`), from C and back.

use core::ffi::c_void;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use runtime::limits::UNIX_PATH_MAX;
use runtime::op::Datagram;
use runtime::{Errno, Error, Qd, Result};

use super::arguments::{present, read};
use super::types::SockAddrIn;
use crate::LibOs;

/// Where the name begins in `struct sockaddr_un`.
const FAMILY_LEN: usize = 2;
/// Sizes of the structures.
const V4_LEN: usize = 16;
const V6_LEN: usize = 28;
const UNIX_LEN: usize = FAMILY_LEN + UNIX_PATH_MAX;
/// `AF_UNIX`, `AF_INET` and `AF_INET6` of Linux.
pub(super) const AF_UNIX: u16 = 1;
pub(super) const AF_INET: u16 = 2;
pub(super) const AF_INET6: u16 = 10;

const SIZE: Error = Error::new(Errno::INVAL, "the size of an address is not that of its structure");
const FAMILY: Error = Error::new(Errno::INVAL, "the family of an address is not AF_INET, AF_INET6 or AF_UNIX");
const ROOM: Error = Error::new(Errno::INVAL, "there is no room for the address: pass a struct sockaddr_storage");

/// The name of a Unix socket: a path, or an abstract name, which begins with a NUL byte.
pub(super) struct Name {
    bytes: [u8; UNIX_PATH_MAX],
    len: usize,
}

impl Name {
    /// What `sun_path` says: a path ends with its first NUL byte, an abstract name where the address ends (`unix(7)`).
    fn of(sun_path: &[u8]) -> Self {
        let len = match sun_path {
            [] | [0, ..] => sun_path.len(),
            path => path.iter().position(|&byte| byte == 0).unwrap_or(path.len()),
        };
        let mut bytes = [0; UNIX_PATH_MAX];
        let len = len.min(UNIX_PATH_MAX);
        bytes[..len].copy_from_slice(&sun_path[..len]);
        Self { bytes, len }
    }

    pub(super) fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.bytes[..self.len]))
    }
}

/// An address of one of the families.
pub(super) enum Address {
    Ip(SocketAddr),
    Unix(Name),
}

/// An address that C passes in.
///
/// # Safety
/// `address` is null or valid for a read of `size` bytes.
pub(super) unsafe fn given(address: *const c_void, size: u32) -> Result<Address> {
    present(address)?;
    let size = size as usize;
    if !(FAMILY_LEN..=UNIX_LEN).contains(&size) {
        return Err(SIZE);
    }
    let mut b = [0; UNIX_LEN];
    // SAFETY: the caller promises `size` readable bytes, and `b` has room for so many; a local never overlaps.
    unsafe { core::ptr::copy_nonoverlapping(address.cast::<u8>(), b.as_mut_ptr(), size) };
    let port = u16::from_be_bytes([b[2], b[3]]);
    match (u16::from_ne_bytes([b[0], b[1]]), size) {
        (AF_INET, V4_LEN) => {
            Ok(Address::Ip(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(b[4], b[5], b[6], b[7]), port))))
        }
        (AF_INET6, V6_LEN) => {
            let mut ip = [0; 16];
            ip.copy_from_slice(&b[8..24]);
            // The flow information is in network order, the scope in the machine's own.
            let flow = u32::from_be_bytes([b[4], b[5], b[6], b[7]]);
            let scope = u32::from_ne_bytes([b[24], b[25], b[26], b[27]]);
            Ok(Address::Ip(SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::from(ip), port, flow, scope))))
        }
        // Without a name: to bind to one that the kernel chooses is not served, and there is no other use.
        (AF_UNIX, FAMILY_LEN) | (AF_INET | AF_INET6, _) => Err(SIZE),
        (AF_UNIX, _) => Ok(Address::Unix(Name::of(&b[FAMILY_LEN..size]))),
        _ => Err(FAMILY),
    }
}

/// An address as C has it, in as many of the bytes as it takes.
struct Encoded {
    bytes: [u8; UNIX_LEN],
    len: usize,
}

fn encode(address: SocketAddr) -> Encoded {
    let mut b = [0; UNIX_LEN];
    b[2..4].copy_from_slice(&address.port().to_be_bytes());
    let len = match address {
        SocketAddr::V4(v4) => {
            b[..2].copy_from_slice(&AF_INET.to_ne_bytes());
            b[4..8].copy_from_slice(&v4.ip().octets());
            V4_LEN
        }
        SocketAddr::V6(v6) => {
            b[..2].copy_from_slice(&AF_INET6.to_ne_bytes());
            b[4..8].copy_from_slice(&v6.flowinfo().to_be_bytes());
            b[8..24].copy_from_slice(&v6.ip().octets());
            b[24..V6_LEN].copy_from_slice(&v6.scope_id().to_ne_bytes());
            V6_LEN
        }
    };
    Encoded { bytes: b, len }
}

/// As the kernel gives it: a path with its NUL byte, an abstract name without one, nothing for no name.
fn encode_path(path: &Path) -> Encoded {
    let name = Name::of(path.as_os_str().as_bytes());
    let mut bytes = [0; UNIX_LEN];
    bytes[..FAMILY_LEN].copy_from_slice(&AF_UNIX.to_ne_bytes());
    bytes[FAMILY_LEN..].copy_from_slice(&name.bytes);
    let is_path = name.len > 0 && name.bytes[0] != 0;
    Encoded { bytes, len: (FAMILY_LEN + name.len + usize::from(is_path)).min(UNIX_LEN) }
}

/// Room for an address that C wants.
pub(super) struct Wanted {
    address: *mut u8,
    room: usize,
    size: *mut u32,
}

impl Wanted {
    /// # Safety
    /// `size` is null or valid for a read and a write; `address` is null or valid for writes of `*size` bytes; both until
    /// the call from C returns.
    pub(super) unsafe fn new(address: *mut c_void, size: *mut u32) -> Result<Self> {
        present(address)?;
        // SAFETY: as the caller promises.
        let room = unsafe { read(size.cast_const()) }? as usize;
        if room < V4_LEN { Err(SIZE) } else { Ok(Self { address: address.cast(), room, size }) }
    }

    /// The address of one end of a socket: an IP address, or else the name of a Unix socket.
    pub(super) fn put_end(
        self,
        libos: &mut LibOs,
        qd: Qd,
        address: fn(&mut LibOs, Qd) -> Result<SocketAddr>,
        path: fn(&mut LibOs, Qd) -> Result<std::path::PathBuf>,
    ) -> Result<()> {
        if libos.is_unix(qd)? {
            return self.put(&encode_path(&path(libos, qd)?));
        }
        self.put(&encode(address(libos, qd)?))
    }

    /// The sender of a datagram.
    pub(super) fn put_sender(self, datagram: &Datagram) -> Result<()> {
        self.put(&datagram.sender_path().map_or_else(|| encode(datagram.sender()), encode_path))
    }

    fn put(self, address: &Encoded) -> Result<()> {
        let Encoded { bytes, len } = address;
        if self.room < *len {
            return Err(ROOM);
        }
        // SAFETY: `new` was promised `room` writable bytes, and the size is writable too; a local never overlaps.
        unsafe {
            core::ptr::copy_nonoverlapping(bytes.as_ptr(), self.address, *len);
            self.size.write_unaligned(*len as u32);
        }
        Ok(())
    }
}

impl SockAddrIn {
    /// No address.
    pub(super) const NONE: Self = Self([0; V4_LEN]);

    /// The family of a Unix socket, whose name does not fit the structure.
    pub(super) const fn unix() -> Self {
        let [first, second] = AF_UNIX.to_ne_bytes();
        let mut short = [0; V4_LEN];
        short[0] = first;
        short[1] = second;
        Self(short)
    }
}

impl From<SocketAddr> for SockAddrIn {
    /// An IPv6 address does not fit the structure: only its family and port are told.
    fn from(address: SocketAddr) -> Self {
        let Encoded { bytes, .. } = encode(address);
        let mut short = [0; V4_LEN];
        short[..4].copy_from_slice(&bytes[..4]);
        if address.is_ipv4() {
            short.copy_from_slice(&bytes[..V4_LEN]);
        }
        Self(short)
    }
}

impl From<&Datagram> for SockAddrIn {
    fn from(datagram: &Datagram) -> Self {
        if datagram.sender_path().is_some() { Self::unix() } else { datagram.sender().into() }
    }
}
