// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sockets: make, bind, listen, accept, connect, push to an address, ask for addresses.

use core::ffi::{c_int, c_void};

use runtime::socket::{Domain, Kind};
use runtime::{Errno, Error, Result};

use super::address::{self, Address, Wanted};
use super::arguments::{Out, descriptor, read};
use super::state::{State, call};
use super::types::SgArray;
use crate::LibOs;

/// Types and protocols of `socket(2)` on Linux.
const SOCK_STREAM: c_int = 1;
const SOCK_DGRAM: c_int = 2;
const IPPROTO_TCP: c_int = 6;
const IPPROTO_UDP: c_int = 17;

const DOMAIN: Error = Error::new(Errno::NOTSUP, "the domain is not AF_INET, AF_INET6 or AF_UNIX");
const TYPE: Error = Error::new(Errno::NOTSUP, "the type is neither SOCK_STREAM nor SOCK_DGRAM");
const PROTOCOL: Error = Error::new(Errno::PROTONOSUPPORT, "the protocol does not follow from the type: pass 0");
const BACKLOG: Error = Error::new(Errno::INVAL, "the backlog is below 1");

fn kind(domain: c_int, kind: c_int, protocol: c_int) -> Result<(Domain, Kind)> {
    let domain = match u16::try_from(domain) {
        Ok(address::AF_INET) => Domain::V4,
        Ok(address::AF_INET6) => Domain::V6,
        Ok(address::AF_UNIX) => Domain::Unix,
        _ => return Err(DOMAIN),
    };
    let ip = domain != Domain::Unix;
    match (kind, protocol) {
        (SOCK_STREAM, 0) => Ok((domain, Kind::Stream)),
        (SOCK_DGRAM, 0) => Ok((domain, Kind::Datagram)),
        (SOCK_STREAM, IPPROTO_TCP) if ip => Ok((domain, Kind::Stream)),
        (SOCK_DGRAM, IPPROTO_UDP) if ip => Ok((domain, Kind::Datagram)),
        (SOCK_STREAM | SOCK_DGRAM, _) => Err(PROTOCOL),
        _ => Err(TYPE),
    }
}

/// `demi_socket`: [`LibOs::socket`](crate::LibOs::socket).
///
/// # Safety
/// `sockqd_out` is null or valid for a write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn demi_socket(sockqd_out: *mut c_int, domain: c_int, r#type: c_int, protocol: c_int) -> c_int {
    call(|state| {
        // SAFETY: as C promises.
        let out = unsafe { Out::new(sockqd_out) }?;
        let (domain, kind) = kind(domain, r#type, protocol)?;
        out.put(state.libos.socket(domain, kind)?.to_raw());
        Ok(())
    })
}

/// `demi_bind`: [`LibOs::bind`](crate::LibOs::bind) and [`LibOs::bind_path`](crate::LibOs::bind_path).
///
/// # Safety
/// `addr` is null or valid for a read of `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn demi_bind(sockqd: c_int, addr: *const c_void, size: u32) -> c_int {
    call(|state| {
        // SAFETY: as C promises.
        let address = unsafe { address::given(addr, size) }?;
        let qd = descriptor(sockqd)?;
        match address {
            Address::Ip(address) => state.libos.bind(qd, address),
            Address::Unix(name) => state.libos.bind_path(qd, name.path()),
        }
    })
}

/// `demi_listen`: [`LibOs::listen`](crate::LibOs::listen).
#[unsafe(no_mangle)]
pub extern "C" fn demi_listen(sockqd: c_int, backlog: c_int) -> c_int {
    call(|state| match usize::try_from(backlog) {
        Ok(backlog @ 1..) => state.libos.listen(descriptor(sockqd)?, backlog),
        _ => Err(BACKLOG),
    })
}

/// `demi_accept`: [`LibOs::accept`](crate::LibOs::accept).
///
/// # Safety
/// `qt_out` is null or valid for a write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn demi_accept(qt_out: *mut u64, sockqd: c_int) -> c_int {
    call(|state| {
        // SAFETY: as C promises.
        let out = unsafe { Out::new(qt_out) }?;
        out.put(state.libos.accept(descriptor(sockqd)?)?.to_raw());
        Ok(())
    })
}

/// `demi_connect`: [`LibOs::connect`](crate::LibOs::connect) and [`LibOs::connect_path`](crate::LibOs::connect_path).
///
/// # Safety
/// `qt_out` is null or valid for a write, `addr` null or valid for a read of `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn demi_connect(qt_out: *mut u64, sockqd: c_int, addr: *const c_void, size: u32) -> c_int {
    call(|state| {
        // SAFETY: as C promises.
        let (out, address) = unsafe { (Out::new(qt_out)?, address::given(addr, size)?) };
        let qd = descriptor(sockqd)?;
        let qt = match address {
            Address::Ip(address) => state.libos.connect(qd, address),
            Address::Unix(name) => state.libos.connect_path(qd, name.path()),
        }?;
        out.put(qt.to_raw());
        Ok(())
    })
}

/// `demi_pushto`: [`LibOs::push_to`](crate::LibOs::push_to) and [`LibOs::push_to_path`](crate::LibOs::push_to_path).
///
/// # Safety
/// `qt_out` is null or valid for a write, `sga` null or valid for a read, `dest_addr` null or valid for a read of `size`
/// bytes; a segment without a handle is readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn demi_pushto(
    qt_out: *mut u64,
    sockqd: c_int,
    sga: *const SgArray,
    dest_addr: *const c_void,
    size: u32,
) -> c_int {
    call(|State { memory, libos, .. }| {
        // SAFETY: as C promises.
        let (out, array, address) = unsafe { (Out::new(qt_out)?, read(sga)?, address::given(dest_addr, size)?) };
        let qd = descriptor(sockqd)?;
        libos.check(qd)?;
        let segment = memory.segment(libos, &array)?;
        let qt = match address {
            Address::Ip(address) => libos.push_to(qd, segment, address),
            Address::Unix(name) => libos.push_to_path(qd, segment, name.path()),
        }?;
        out.put(qt.to_raw());
        Ok(())
    })
}

/// `demi_getpeername`: [`LibOs::peer_address`](crate::LibOs::peer_address) and [`LibOs::peer_path`](crate::LibOs::peer_path).
///
/// # Safety
/// `addrlen` is null or valid for a read and a write, `addr` null or valid for writes of `*addrlen` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn demi_getpeername(qd: c_int, addr: *mut c_void, addrlen: *mut u32) -> c_int {
    call(|state| {
        // SAFETY: as C promises.
        let wanted = unsafe { Wanted::new(addr, addrlen) }?;
        wanted.put_end(&mut state.libos, descriptor(qd)?, LibOs::peer_address, LibOs::peer_path)
    })
}

/// `demi_getsockname`: [`LibOs::local_address`](crate::LibOs::local_address) and [`LibOs::local_path`](crate::LibOs::local_path).
///
/// # Safety
/// As [`demi_getpeername`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn demi_getsockname(qd: c_int, addr: *mut c_void, addrlen: *mut u32) -> c_int {
    call(|state| {
        // SAFETY: as C promises.
        let wanted = unsafe { Wanted::new(addr, addrlen) }?;
        wanted.put_end(&mut state.libos, descriptor(qd)?, LibOs::local_address, LibOs::local_path)
    })
}

/// `margay_sender`: [`Datagram::sender`](crate::Datagram::sender) and
/// [`Datagram::sender_path`](crate::Datagram::sender_path).
///
/// # Safety
/// `sga` is null or valid for a read; `addr` and `addrlen` as for [`demi_getpeername`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn margay_sender(sga: *const SgArray, addr: *mut c_void, addrlen: *mut u32) -> c_int {
    call(|state| {
        // SAFETY: as C promises.
        let (array, wanted) = unsafe { (read(sga)?, Wanted::new(addr, addrlen)?) };
        wanted.put_sender(state.memory.sender(array.handle)?)
    })
}
