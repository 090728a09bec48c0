// SPDX-License-Identifier: MIT OR Apache-2.0
//! Multicast groups from C: `struct ip_mreq` and `struct ip_mreqn` of `ip(7)`, `struct ipv6_mreq` of `ipv6(7)`.

use core::ffi::{c_int, c_void};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::num::NonZeroU32;

use runtime::socket::MulticastInterface;
use runtime::{Errno, Error, Result};

use super::arguments::read;

const SHORT: Error = Error::new(Errno::INVAL, "the size of the value is too small for a group and its interface");

/// Levels and names of Linux.
const IPPROTO_IP: c_int = 0;
const IPPROTO_IPV6: c_int = 41;
const IP_ADD_MEMBERSHIP: c_int = 35;
const IP_DROP_MEMBERSHIP: c_int = 36;
const IPV6_JOIN_GROUP: c_int = 20;
const IPV6_LEAVE_GROUP: c_int = 21;

/// `struct ip_mreq`: group and address of the interface, in network order.
type Mreq = [[u8; 4]; 2];
/// What `struct ip_mreqn` has behind that: the index of the interface, before which the address counts for nothing.
const MREQN: usize = size_of::<Mreq>() + size_of::<c_int>();

/// `struct ipv6_mreq`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Ipv6Mreq {
    group: [u8; 16],
    index: u32,
}

/// Whether this option joins a group, or leaves one; `None`: it is another option.
pub fn joins(level: c_int, name: c_int) -> Option<bool> {
    match (level, name) {
        (IPPROTO_IP, IP_ADD_MEMBERSHIP) | (IPPROTO_IPV6, IPV6_JOIN_GROUP) => Some(true),
        (IPPROTO_IP, IP_DROP_MEMBERSHIP) | (IPPROTO_IPV6, IPV6_LEAVE_GROUP) => Some(false),
        _ => None,
    }
}

/// The group and the interface of a request.
///
/// # Safety
/// `value` is null or valid for a read of `len` bytes.
pub unsafe fn given(level: c_int, value: *const c_void, len: u32) -> Result<(IpAddr, MulticastInterface)> {
    let len = len as usize;
    let with_index = |index| NonZeroU32::new(index).map(MulticastInterface::Index);
    if level == IPPROTO_IPV6 {
        if len < size_of::<Ipv6Mreq>() {
            return Err(SHORT);
        }
        // SAFETY: the caller promises `len` readable bytes, and there are enough.
        let request: Ipv6Mreq = unsafe { read(value.cast()) }?;
        return Ok((Ipv6Addr::from(request.group).into(), with_index(request.index).unwrap_or_default()));
    }
    if len < size_of::<Mreq>() {
        return Err(SHORT);
    }
    // SAFETY: as above.
    let [group, address]: Mreq = unsafe { read(value.cast()) }?;
    let address = Ipv4Addr::from(address);
    let by_address =
        if address.is_unspecified() { MulticastInterface::ByRoute } else { MulticastInterface::WithAddress(address) };
    let index = if len < MREQN {
        0
    } else {
        // SAFETY: as above; the index is behind the two addresses.
        unsafe { read::<u32>(value.byte_add(size_of::<Mreq>()).cast()) }?
    };
    Ok((Ipv4Addr::from(group).into(), with_index(index).unwrap_or(by_address)))
}
