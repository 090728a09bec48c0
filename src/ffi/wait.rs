// SPDX-License-Identifier: MIT OR Apache-2.0
//! Waiting, by Demikernel's four calls.
//!
//! Room for a popped message is reserved before each wait, so that a completion which was taken is never lost.

use core::ffi::c_int;
use core::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

use runtime::{Errno, Error, Qt, Result};

use runtime::limits::C_BATCH_MAX as BATCH_MAX;

use super::arguments::{Out, duration, present, read, timeout};
use super::result::result;
use super::state::{State, call};
use super::types::{QResult, Timespec};

/// `demi_wait`: [`LibOs::wait`](crate::LibOs::wait).
///
/// # Safety
/// `qr_out` is null or valid for a write, `limit` null or valid for a read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn demi_wait(qr_out: *mut QResult, qt: u64, limit: *const Timespec) -> c_int {
    call(|state| {
        // SAFETY: as C promises.
        let (out, limit) = unsafe { (Out::new(qr_out)?, timeout(limit)?) };
        wait_for(state, out, qt, limit)
    })
}

/// `demi_timedwait`: [`LibOs::wait`](crate::LibOs::wait) until a point of the wall clock.
///
/// # Safety
/// `qr_out` is null or valid for a write, `abstime` null or valid for a read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn demi_timedwait(qr_out: *mut QResult, qt: u64, abstime: *const Timespec) -> c_int {
    call(|state| {
        // SAFETY: as C promises.
        let (out, end) = unsafe { (Out::new(qr_out)?, duration(read(abstime)?)?) };
        wait_for(state, out, qt, Some(end.saturating_sub(since_epoch())))
    })
}

/// The wall clock; one before 1970 leaves the whole span to wait.
fn since_epoch() -> Duration {
    #[expect(clippy::disallowed_methods, reason = "C gives a point of the wall clock, which the reactor does not read")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO)
}

fn wait_for(state: &mut State, out: Out<QResult>, qt: u64, limit: Option<Duration>) -> Result<()> {
    let State { memory, libos, .. } = state;
    memory.reserve(1)?;
    out.put(result(libos.wait(Qt::from_raw(qt), limit)?, memory, libos));
    Ok(())
}

/// `demi_wait_any`: [`LibOs::wait_any`](crate::LibOs::wait_any).
///
/// # Safety
/// `qr_out` and `ready_offset` are null or valid for a write, `qts` null or valid for `num_qts` reads and aligned, `limit`
/// null or valid for a read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn demi_wait_any(
    qr_out: *mut QResult,
    ready_offset: *mut c_int,
    qts: *const u64,
    num_qts: c_int,
    limit: *const Timespec,
) -> c_int {
    const COUNT: Error = Error::new(Errno::INVAL, "the number of tokens is below 1");
    const ALIGNMENT: Error = Error::new(Errno::INVAL, "the list of tokens is not aligned");
    call(|State { memory, libos, .. }| {
        // SAFETY: as C promises.
        let (out, offset_out, limit) = unsafe { (Out::new(qr_out)?, Out::new(ready_offset)?, timeout(limit)?) };
        present(qts)?;
        let count = usize::try_from(num_qts).ok().filter(|&count| count > 0).ok_or(COUNT)?;
        if !qts.is_aligned() {
            return Err(ALIGNMENT);
        }
        // SAFETY: C promises `num_qts` tokens; `Qt` is a transparent `u64`; the pointer is aligned and not null.
        let tokens = unsafe { core::slice::from_raw_parts(qts.cast::<Qt>(), count) };
        memory.reserve(1)?;
        let (offset, completion) = libos.wait_any(tokens, limit)?;
        // An offset into `num_qts` entries fits the type of `num_qts`.
        offset_out.put(c_int::try_from(offset).unwrap_or(c_int::MAX));
        out.put(result(completion, memory, libos));
        Ok(())
    })
}

/// `demi_wait_next_n`: [`LibOs::wait_next_n`](crate::LibOs::wait_next_n).
///
/// # Safety
/// `qr_out` is null or valid for `qr_out_size` writes, `qr_written` null or valid for a write, `limit` null or valid for a
/// read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn demi_wait_next_n(
    qr_out: *mut QResult,
    qr_out_size: c_int,
    qr_written: *mut c_int,
    limit: *const Timespec,
) -> c_int {
    const COUNT: Error = Error::new(Errno::INVAL, "there is room for less than 1 result");
    const MEMORY: Error = Error::new(Errno::NOMEM, "no memory for the list of completions");
    let mut taken: c_int = 0;
    let errno = call(|State { memory, libos, completions, .. }| {
        present(qr_out)?;
        present(qr_written)?;
        // SAFETY: as C promises.
        let limit = unsafe { timeout(limit) }?;
        let room = usize::try_from(qr_out_size).ok().filter(|&room| room > 0).ok_or(COUNT)?.min(BATCH_MAX);
        completions.clear();
        completions.try_reserve(room).map_err(|_| MEMORY)?;
        memory.reserve(room)?;
        libos.wait_next_n(completions, room, limit)?;
        for (i, completion) in completions.drain(..).take(room).enumerate() {
            // SAFETY: C promises room for `qr_out_size` results, and i < room <= qr_out_size.
            unsafe { qr_out.add(i).write_unaligned(result(completion, memory, libos)) };
            taken += 1;
        }
        Ok(())
    });
    // Whatever happened, the count says how many of the results are there.
    // SAFETY: as C promises.
    if let Ok(written) = unsafe { Out::new(qr_written) } {
        written.put(taken);
    }
    errno
}
