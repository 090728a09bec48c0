// SPDX-License-Identifier: MIT OR Apache-2.0
//! Calls on sockets: their arguments are checked as they will be, and the answer is `ENOTSUP`, because no back end serves
//! sockets.

use core::ffi::{c_int, c_void};

use runtime::{Errno, Error, Result};

use super::arguments::{descriptor, present, read};
use super::state::{State, call};
use super::types::{SgArray, SockAddrIn};

const NO_SOCKETS: Error = Error::new(Errno::NOTSUP, "no configured back end serves sockets");
const ADDRESS: Error = Error::new(Errno::INVAL, "the size of an address is not that of struct sockaddr_in");
const BACKLOG: Error = Error::new(Errno::INVAL, "the backlog is below 1");

/// The answer for any queue that is there.
fn unsupported(state: &mut State, qd: c_int) -> Result<()> {
    state.libos.check(descriptor(qd)?)?;
    Err(NO_SOCKETS)
}

/// An address that C passes in.
fn given(address: *const c_void, size: u32) -> Result<()> {
    present(address)?;
    if size as usize == size_of::<SockAddrIn>() { Ok(()) } else { Err(ADDRESS) }
}

/// Room for an address that C wants.
///
/// # Safety
/// `size` is null or valid for a read.
unsafe fn wanted(address: *mut c_void, size: *const u32) -> Result<()> {
    present(address)?;
    // SAFETY: as the caller promises.
    let size = unsafe { read(size) }? as usize;
    if size < size_of::<SockAddrIn>() { Err(ADDRESS) } else { Ok(()) }
}

/// `demi_socket`.
#[unsafe(no_mangle)]
pub extern "C" fn demi_socket(sockqd_out: *mut c_int, _domain: c_int, _type: c_int, _protocol: c_int) -> c_int {
    call(|_| {
        present(sockqd_out)?;
        Err(NO_SOCKETS)
    })
}

/// `demi_bind`.
#[unsafe(no_mangle)]
pub extern "C" fn demi_bind(sockqd: c_int, addr: *const c_void, size: u32) -> c_int {
    call(|state| {
        given(addr, size)?;
        unsupported(state, sockqd)
    })
}

/// `demi_listen`.
#[unsafe(no_mangle)]
pub extern "C" fn demi_listen(sockqd: c_int, backlog: c_int) -> c_int {
    call(|state| if backlog < 1 { Err(BACKLOG) } else { unsupported(state, sockqd) })
}

/// `demi_accept`.
#[unsafe(no_mangle)]
pub extern "C" fn demi_accept(qt_out: *mut u64, sockqd: c_int) -> c_int {
    call(|state| {
        present(qt_out)?;
        unsupported(state, sockqd)
    })
}

/// `demi_connect`.
#[unsafe(no_mangle)]
pub extern "C" fn demi_connect(qt_out: *mut u64, sockqd: c_int, addr: *const c_void, size: u32) -> c_int {
    call(|state| {
        present(qt_out)?;
        given(addr, size)?;
        unsupported(state, sockqd)
    })
}

/// `demi_pushto`.
#[unsafe(no_mangle)]
pub extern "C" fn demi_pushto(
    qt_out: *mut u64,
    sockqd: c_int,
    sga: *const SgArray,
    dest_addr: *const c_void,
    size: u32,
) -> c_int {
    call(|state| {
        present(qt_out)?;
        present(sga)?;
        given(dest_addr, size)?;
        unsupported(state, sockqd)
    })
}

/// `demi_setsockopt`.
#[unsafe(no_mangle)]
pub extern "C" fn demi_setsockopt(
    qd: c_int,
    _level: c_int,
    _optname: c_int,
    optval: *const c_void,
    _optlen: u32,
) -> c_int {
    call(|state| {
        present(optval)?;
        unsupported(state, qd)
    })
}

/// `demi_getsockopt`.
#[unsafe(no_mangle)]
pub extern "C" fn demi_getsockopt(
    qd: c_int,
    _level: c_int,
    _optname: c_int,
    optval: *mut c_void,
    optlen: *mut u32,
) -> c_int {
    call(|state| {
        present(optval)?;
        present(optlen)?;
        unsupported(state, qd)
    })
}

/// `demi_getpeername`.
///
/// # Safety
/// `addrlen` is null or valid for a read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn demi_getpeername(qd: c_int, addr: *mut c_void, addrlen: *mut u32) -> c_int {
    call(|state| {
        // SAFETY: as C promises.
        unsafe { wanted(addr, addrlen) }?;
        unsupported(state, qd)
    })
}

/// `demi_getsockname`.
///
/// # Safety
/// `addrlen` is null or valid for a read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn demi_getsockname(qd: c_int, addr: *mut c_void, addrlen: *mut u32) -> c_int {
    call(|state| {
        // SAFETY: as C promises.
        unsafe { wanted(addr, addrlen) }?;
        unsupported(state, qd)
    })
}
