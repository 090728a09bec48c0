// SPDX-License-Identifier: MIT OR Apache-2.0
//! Push, pop and cancel.

use core::ffi::c_int;

use runtime::buf::{SGA_SEGMENTS_MAX, Sga};
use runtime::{Errno, Error, Qt};

use super::arguments::{Out, descriptor, present, read};
use super::state::{State, call};
use super::types::SgArray;

/// `demi_push`: [`LibOs::push`](crate::LibOs::push) of a second view, so that the array stays the application's.
///
/// # Safety
/// `qt_out` is null or valid for a write, `sga` null or valid for a read; a segment without a handle is readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn demi_push(qt_out: *mut u64, qd: c_int, sga: *const SgArray) -> c_int {
    call(|State { memory, libos, .. }| {
        // SAFETY: as C promises.
        let (out, array) = unsafe { (Out::new(qt_out)?, read(sga)?) };
        let qd = descriptor(qd)?;
        let segment = memory.segment(libos, &array)?;
        out.put(libos.push(qd, segment)?.to_raw());
        Ok(())
    })
}

/// `margay_pushv`: [`LibOs::push`](crate::LibOs::push) of a message in pieces.
///
/// # Safety
/// `qt_out` is null or valid for a write, `sgas` null or valid for `n` reads; segments without a handle are readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn margay_pushv(qt_out: *mut u64, qd: c_int, sgas: *const SgArray, n: usize) -> c_int {
    const COUNT: Error = Error::new(Errno::INVAL, "a message has 1 to 64 pieces");
    call(|State { memory, libos, .. }| {
        // SAFETY: as C promises.
        let out = unsafe { Out::new(qt_out) }?;
        present(sgas)?;
        let qd = descriptor(qd)?;
        if n == 0 || n > SGA_SEGMENTS_MAX {
            return Err(COUNT);
        }
        let mut message = Sga::new();
        for i in 0..n {
            // SAFETY: C promises `n` arrays, and i < n.
            let array = unsafe { read(sgas.add(i)) }?;
            message.push_back(memory.segment(libos, &array)?)?;
        }
        out.put(libos.push(qd, message)?.to_raw());
        Ok(())
    })
}

/// `demi_pop`: [`LibOs::pop`](crate::LibOs::pop) of a whole message.
///
/// # Safety
/// `qt_out` is null or valid for a write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn demi_pop(qt_out: *mut u64, qd: c_int) -> c_int {
    call(|state| {
        // SAFETY: as C promises.
        let out = unsafe { Out::new(qt_out) }?;
        out.put(state.libos.pop(descriptor(qd)?, None)?.to_raw());
        Ok(())
    })
}

/// `margay_pop`: [`LibOs::pop`](crate::LibOs::pop) of at most `size` bytes.
///
/// # Safety
/// `qt_out` is null or valid for a write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn margay_pop(qt_out: *mut u64, qd: c_int, size: usize) -> c_int {
    const NOTHING: Error = Error::new(Errno::INVAL, "a pop of zero bytes");
    call(|state| {
        // SAFETY: as C promises.
        let out = unsafe { Out::new(qt_out) }?;
        let qd = descriptor(qd)?;
        if size == 0 {
            return Err(NOTHING);
        }
        out.put(state.libos.pop(qd, Some(size))?.to_raw());
        Ok(())
    })
}

/// `margay_pop_in_place`: [`LibOs::pop_in_place`](crate::LibOs::pop_in_place).
///
/// # Safety
/// `qt_out` is null or valid for a write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn margay_pop_in_place(qt_out: *mut u64, qd: c_int) -> c_int {
    call(|state| {
        // SAFETY: as C promises.
        let out = unsafe { Out::new(qt_out) }?;
        out.put(state.libos.pop_in_place(descriptor(qd)?)?.to_raw());
        Ok(())
    })
}

/// `margay_cancel`: [`LibOs::cancel`](crate::LibOs::cancel).
#[unsafe(no_mangle)]
pub extern "C" fn margay_cancel(qt: u64) -> c_int {
    call(|state| state.libos.cancel(Qt::from_raw(qt)))
}
