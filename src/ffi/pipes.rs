// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pipes: create, open, half-close, close.

use core::ffi::{c_char, c_int};
use std::net::Shutdown;

use runtime::op::Outcome;
use runtime::{Errno, Error};

use super::arguments::{Out, descriptor, name};
use super::state::call;

/// `how` of shutdown(2), as `<sys/socket.h>` has it.
const SHUT_RD: c_int = 0;
const SHUT_WR: c_int = 1;
const SHUT_RDWR: c_int = 2;

/// `demi_create_pipe`: [`LibOs::create_pipe`](crate::LibOs::create_pipe).
///
/// # Safety
/// `memqd_out` is null or valid for a write, `pipe` is null or a NUL-terminated string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn demi_create_pipe(memqd_out: *mut c_int, pipe: *const c_char) -> c_int {
    call(|state| {
        // SAFETY: as C promises.
        let (out, pipe) = unsafe { (Out::new(memqd_out)?, name(pipe)?) };
        out.put(state.libos.create_pipe(pipe)?.to_raw());
        Ok(())
    })
}

/// `demi_open_pipe`: [`LibOs::open_pipe`](crate::LibOs::open_pipe).
///
/// # Safety
/// `memqd_out` is null or valid for a write, `pipe` is null or a NUL-terminated string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn demi_open_pipe(memqd_out: *mut c_int, pipe: *const c_char) -> c_int {
    call(|state| {
        // SAFETY: as C promises.
        let (out, pipe) = unsafe { (Out::new(memqd_out)?, name(pipe)?) };
        out.put(state.libos.open_pipe(pipe)?.to_raw());
        Ok(())
    })
}

/// `demi_close`: [`LibOs::close`](crate::LibOs::close) and the wait for it.
#[unsafe(no_mangle)]
pub extern "C" fn demi_close(qd: c_int) -> c_int {
    call(|state| {
        let qt = state.libos.close(descriptor(qd)?)?;
        let mut woken = false;
        let closed = loop {
            match state.libos.wait(qt, None) {
                // Nobody but this call knows the token, so a wake-up must not leave it behind.
                Err(error) if error.errno() == Errno::INTR => woken = true,
                closed => break closed,
            }
        };
        if woken {
            // It was meant for the thread's next wait.
            state.libos.wake_handle().wake();
        }
        match closed?.outcome {
            Outcome::Failed(error) => Err(error),
            _ => Ok(()),
        }
    })
}

/// `margay_close`: [`LibOs::close`](crate::LibOs::close).
///
/// # Safety
/// `qt_out` is null or valid for a write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn margay_close(qt_out: *mut u64, qd: c_int) -> c_int {
    call(|state| {
        // SAFETY: as C promises.
        let out = unsafe { Out::new(qt_out) }?;
        out.put(state.libos.close(descriptor(qd)?)?.to_raw());
        Ok(())
    })
}

/// `margay_shutdown`: [`LibOs::shutdown`](crate::LibOs::shutdown).
#[unsafe(no_mangle)]
pub extern "C" fn margay_shutdown(qd: c_int, how: c_int) -> c_int {
    const UNKNOWN: Error = Error::new(Errno::INVAL, "how is none of SHUT_RD, SHUT_WR, SHUT_RDWR");
    call(|state| match how {
        SHUT_RD => state.libos.shutdown(descriptor(qd)?, Shutdown::Read),
        SHUT_WR => state.libos.shutdown(descriptor(qd)?, Shutdown::Write),
        SHUT_RDWR => state.libos.shutdown(descriptor(qd)?, Shutdown::Both),
        _ => Err(UNKNOWN),
    })
}
