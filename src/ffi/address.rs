// SPDX-License-Identifier: MIT OR Apache-2.0
//! `struct sockaddr_in` and `struct sockaddr_in6` (`ip(7)`, `ipv6(7)`), from C and back.

use core::ffi::c_void;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use runtime::{Errno, Error, Result};

use super::arguments::{present, read};
use super::types::SockAddrIn;

/// Sizes of the two structures.
const V4_LEN: usize = 16;
const V6_LEN: usize = 28;
/// `AF_INET` and `AF_INET6` of Linux.
pub(super) const AF_INET: u16 = 2;
pub(super) const AF_INET6: u16 = 10;

const SIZE: Error = Error::new(Errno::INVAL, "the size of an address is not that of its structure");
const FAMILY: Error = Error::new(Errno::INVAL, "the family of an address is neither AF_INET nor AF_INET6");

/// An address that C passes in.
///
/// # Safety
/// `address` is null or valid for a read of `size` bytes.
pub(super) unsafe fn given(address: *const c_void, size: u32) -> Result<SocketAddr> {
    present(address)?;
    let size = size as usize;
    if size != V4_LEN && size != V6_LEN {
        return Err(SIZE);
    }
    let mut b = [0; V6_LEN];
    // SAFETY: the caller promises `size` readable bytes, and `b` has room for the larger size; a local never overlaps.
    unsafe { core::ptr::copy_nonoverlapping(address.cast::<u8>(), b.as_mut_ptr(), size) };
    let port = u16::from_be_bytes([b[2], b[3]]);
    match (u16::from_ne_bytes([b[0], b[1]]), size) {
        (AF_INET, V4_LEN) => Ok(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(b[4], b[5], b[6], b[7]), port))),
        (AF_INET6, V6_LEN) => {
            let mut ip = [0; 16];
            ip.copy_from_slice(&b[8..24]);
            // The flow information is in network order, the scope in the machine's own.
            let flow = u32::from_be_bytes([b[4], b[5], b[6], b[7]]);
            let scope = u32::from_ne_bytes([b[24], b[25], b[26], b[27]]);
            Ok(SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::from(ip), port, flow, scope)))
        }
        (AF_INET | AF_INET6, _) => Err(SIZE),
        _ => Err(FAMILY),
    }
}

/// An address as C has it, and how many of the bytes it takes.
fn encode(address: SocketAddr) -> ([u8; V6_LEN], usize) {
    let mut b = [0; V6_LEN];
    b[2..4].copy_from_slice(&address.port().to_be_bytes());
    match address {
        SocketAddr::V4(v4) => {
            b[..2].copy_from_slice(&AF_INET.to_ne_bytes());
            b[4..8].copy_from_slice(&v4.ip().octets());
            (b, V4_LEN)
        }
        SocketAddr::V6(v6) => {
            b[..2].copy_from_slice(&AF_INET6.to_ne_bytes());
            b[4..8].copy_from_slice(&v6.flowinfo().to_be_bytes());
            b[8..24].copy_from_slice(&v6.ip().octets());
            b[24..].copy_from_slice(&v6.scope_id().to_ne_bytes());
            (b, V6_LEN)
        }
    }
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

    /// Writes the address and its size.
    pub(super) fn put(self, address: SocketAddr) -> Result<()> {
        let (bytes, len) = encode(address);
        if self.room < len {
            return Err(Error::new(Errno::INVAL, "there is no room for an IPv6 address: pass a struct sockaddr_in6"));
        }
        // SAFETY: `new` was promised `room` writable bytes, and the size is writable too; a local never overlaps.
        unsafe {
            core::ptr::copy_nonoverlapping(bytes.as_ptr(), self.address, len);
            self.size.write_unaligned(len as u32);
        }
        Ok(())
    }
}

impl From<SocketAddr> for SockAddrIn {
    /// An IPv6 address does not fit the structure: only its family and port are told.
    fn from(address: SocketAddr) -> Self {
        let (bytes, _) = encode(address);
        let mut short = [0; V4_LEN];
        short[..4].copy_from_slice(&bytes[..4]);
        if address.is_ipv4() {
            short.copy_from_slice(&bytes[..V4_LEN]);
        }
        Self(short)
    }
}
