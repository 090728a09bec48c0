// SPDX-License-Identifier: MIT OR Apache-2.0
//! Socket options as `setsockopt(2)`, `socket(7)`, `tcp(7)` and `udp(7)` have them, from C and back.

use core::ffi::{c_int, c_void};
use core::time::Duration;

use runtime::socket::{OptionName, SocketOption};
use runtime::{Errno, Error, Result};

use super::arguments::{descriptor, present, read};
use super::membership;
use super::state::call;

/// Levels and names of Linux on x86-64 and AArch64.
const SOL_SOCKET: c_int = 1;
const IPPROTO_IP: c_int = 0;
const IPPROTO_TCP: c_int = 6;
const IPPROTO_IPV6: c_int = 41;
const SOL_UDP: c_int = 17;
/// Read only: `struct tcp_info` of `linux/tcp.h`.
const TCP_INFO: c_int = 11;
const NAMES: [(c_int, c_int, OptionName); 14] = [
    (SOL_SOCKET, 2, OptionName::ReuseAddress),
    (SOL_SOCKET, 7, OptionName::SendBuffer),
    (SOL_SOCKET, 8, OptionName::ReceiveBuffer),
    (SOL_SOCKET, 9, OptionName::KeepAlive),
    (SOL_SOCKET, 13, OptionName::Linger),
    (IPPROTO_TCP, 1, OptionName::NoDelay),
    (IPPROTO_TCP, 4, OptionName::KeepIdle),
    (IPPROTO_TCP, 5, OptionName::KeepInterval),
    (IPPROTO_TCP, 6, OptionName::KeepCount),
    (SOL_UDP, 103, OptionName::SegmentSize),
    (IPPROTO_IP, 33, OptionName::MulticastHops),
    (IPPROTO_IP, 34, OptionName::MulticastLoop),
    (IPPROTO_IPV6, 18, OptionName::MulticastHops),
    (IPPROTO_IPV6, 19, OptionName::MulticastLoop),
];

const UNKNOWN: Error = Error::new(Errno::NOPROTOOPT, "this level has no such socket option");
const SHORT: Error = Error::new(Errno::INVAL, "the size of the value is too small for the socket option");
const RANGE: Error = Error::new(Errno::INVAL, "the value of the socket option is out of its range");

/// `struct linger`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Linger {
    on: c_int,
    seconds: c_int,
}

fn name(level: c_int, name: c_int) -> Result<OptionName> {
    NAMES.iter().find(|known| (known.0, known.1) == (level, name)).map(|known| known.2).ok_or(UNKNOWN)
}

/// # Safety
/// `value` is null or valid for a read of `len` bytes.
unsafe fn given(name: OptionName, value: *const c_void, len: u32) -> Result<SocketOption> {
    let needed = match name {
        OptionName::Linger => size_of::<Linger>(),
        // An `unsigned char` does, as in `ip(7)`.
        OptionName::MulticastHops | OptionName::MulticastLoop => 1,
        _ => size_of::<c_int>(),
    };
    if (len as usize) < needed {
        return Err(SHORT);
    }
    if name == OptionName::Linger {
        // SAFETY: the caller promises `len` readable bytes, and there are enough.
        let Linger { on, seconds } = unsafe { read(value.cast()) }?;
        let seconds = u64::try_from(seconds).map_err(|_| RANGE)?;
        return Ok(SocketOption::Linger((on != 0).then(|| Duration::from_secs(seconds))));
    }
    let value: c_int = if (len as usize) < size_of::<c_int>() {
        // SAFETY: the caller promises `len` readable bytes, and there is one.
        unsafe { read::<u8>(value.cast()) }?.into()
    } else {
        // SAFETY: as above.
        unsafe { read(value.cast()) }?
    };
    let seconds = || u64::try_from(value).map(Duration::from_secs).map_err(|_| RANGE);
    let bytes = || usize::try_from(value).map_err(|_| RANGE);
    Ok(match name {
        OptionName::NoDelay => SocketOption::NoDelay(value != 0),
        OptionName::KeepAlive => SocketOption::KeepAlive(value != 0),
        OptionName::ReuseAddress => SocketOption::ReuseAddress(value != 0),
        OptionName::KeepIdle => SocketOption::KeepIdle(seconds()?),
        OptionName::KeepInterval => SocketOption::KeepInterval(seconds()?),
        OptionName::KeepCount => SocketOption::KeepCount(u32::try_from(value).map_err(|_| RANGE)?),
        OptionName::SendBuffer => SocketOption::SendBuffer(bytes()?),
        OptionName::SegmentSize => SocketOption::SegmentSize(u16::try_from(value).map_err(|_| RANGE)?),
        // -1 is what a new socket has.
        OptionName::MulticastHops if value == -1 => SocketOption::MulticastHops(1),
        OptionName::MulticastHops => SocketOption::MulticastHops(u8::try_from(value).map_err(|_| RANGE)?),
        OptionName::MulticastLoop => SocketOption::MulticastLoop(value != 0),
        // Linger was handled above.
        OptionName::ReceiveBuffer | OptionName::Linger => SocketOption::ReceiveBuffer(bytes()?),
    })
}

/// `demi_setsockopt`: [`LibOs::set_option`](crate::LibOs::set_option).
///
/// # Safety
/// `optval` is null or valid for a read of `optlen` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn demi_setsockopt(
    qd: c_int,
    level: c_int,
    optname: c_int,
    optval: *const c_void,
    optlen: u32,
) -> c_int {
    call(|state| {
        present(optval)?;
        let qd = descriptor(qd)?;
        state.libos.check(qd)?;
        if let Some(join) = membership::joins(level, optname) {
            // SAFETY: as C promises.
            let (group, interface) = unsafe { membership::given(level, optval, optlen) }?;
            return if join {
                state.libos.join_group(qd, group, interface)
            } else {
                state.libos.leave_group(qd, group, interface)
            };
        }
        // SAFETY: as C promises.
        let option = unsafe { given(name(level, optname)?, optval, optlen) }?;
        state.libos.set_option(qd, option)
    })
}

/// `demi_getsockopt`: [`LibOs::option`](crate::LibOs::option).
///
/// # Safety
/// `optlen` is null or valid for a read and a write, `optval` null or valid for writes of `*optlen` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn demi_getsockopt(
    qd: c_int,
    level: c_int,
    optname: c_int,
    optval: *mut c_void,
    optlen: *mut u32,
) -> c_int {
    call(|state| {
        present(optval)?;
        // SAFETY: as C promises.
        let room = unsafe { read(optlen.cast_const()) }? as usize;
        let qd = descriptor(qd)?;
        state.libos.check(qd)?;
        if (level, optname) == (IPPROTO_TCP, TCP_INFO) {
            let info = state.libos.tcp_info(qd)?.to_linux();
            // Of a longer or shorter structure the caller gets what both know, as the kernel does it.
            let len = room.min(info.len());
            // SAFETY: as C promises; `len` is no more than either has.
            unsafe {
                optval.cast::<u8>().copy_from_nonoverlapping(info.as_ptr(), len);
                optlen.write_unaligned(len as u32);
            }
            return Ok(());
        }
        let as_int = |n: u64| c_int::try_from(n).unwrap_or(c_int::MAX);
        let value = match state.libos.option(qd, name(level, optname)?)? {
            SocketOption::Linger(time) => {
                let linger = Linger { on: time.is_some().into(), seconds: as_int(time.unwrap_or_default().as_secs()) };
                // SAFETY: as C promises.
                return unsafe { put(linger, room, optval, optlen) };
            }
            SocketOption::NoDelay(on)
            | SocketOption::KeepAlive(on)
            | SocketOption::ReuseAddress(on)
            | SocketOption::MulticastLoop(on) => on.into(),
            SocketOption::KeepIdle(time) | SocketOption::KeepInterval(time) => as_int(time.as_secs()),
            SocketOption::KeepCount(count) => as_int(count.into()),
            SocketOption::SegmentSize(size) => size.into(),
            SocketOption::MulticastHops(hops) => hops.into(),
            SocketOption::SendBuffer(bytes) | SocketOption::ReceiveBuffer(bytes) => as_int(bytes as u64),
        };
        // SAFETY: as C promises.
        unsafe { put(value, room, optval, optlen) }
    })
}

/// # Safety
/// `out` is valid for writes of `room` bytes, `len` for one write.
unsafe fn put<T>(value: T, room: usize, out: *mut c_void, len: *mut u32) -> Result<()> {
    if room < size_of::<T>() {
        return Err(SHORT);
    }
    // SAFETY: the caller promises both, and the room was compared with the size.
    unsafe {
        out.cast::<T>().write_unaligned(value);
        len.write_unaligned(size_of::<T>() as u32);
    }
    Ok(())
}
