// SPDX-License-Identifier: MIT OR Apache-2.0
//! Wait sets, by handle: an index in the low 16 bits and a generation of 15 bits above it, so that it fits C's `int`.

use core::ffi::c_int;

use runtime::{Errno, Error, Qt, Result};

use super::arguments::{Out, timeout};
use super::result::result;
use runtime::limits::C_WAIT_SETS_MAX as SETS_MAX;

use super::state::{State, call};
use super::types::{QResult, Timespec};
use crate::WaitSet;

const INDEX_BITS: u32 = 16;
const GENERATION_MASK: u32 = 0x7fff;

const STALE: Error = Error::new(Errno::BADF, "there is no such wait set");
const FULL: Error = Error::new(Errno::MFILE, "too many wait sets");

/// The sets of one thread.
pub(super) struct Sets(Vec<(u32, Option<WaitSet>)>);

impl Sets {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    /// An empty place; sets are few and seldom made, so it is looked for.
    fn vacancy(&mut self) -> Result<usize> {
        if let Some(index) = self.0.iter().position(|(_, set)| set.is_none()) {
            return Ok(index);
        }
        if self.0.len() == SETS_MAX || self.0.try_reserve(1).is_err() {
            return Err(FULL);
        }
        self.0.push((1, None));
        Ok(self.0.len() - 1)
    }

    fn place(&mut self, handle: c_int) -> Result<&mut (u32, Option<WaitSet>)> {
        let handle = u32::try_from(handle).map_err(|_| STALE)?;
        let index = (handle & ((1 << INDEX_BITS) - 1)) as usize;
        self.0.get_mut(index).filter(|(generation, _)| *generation == handle >> INDEX_BITS).ok_or(STALE)
    }

    fn find(&mut self, handle: c_int) -> Result<&mut WaitSet> {
        self.place(handle)?.1.as_mut().ok_or(STALE)
    }

    fn remove(&mut self, handle: c_int) -> Result<WaitSet> {
        let (generation, set) = self.place(handle)?;
        let set = set.take().ok_or(STALE)?;
        *generation = (*generation + 1) & GENERATION_MASK;
        Ok(set)
    }
}

/// `margay_waitset_create`: [`LibOs::wait_set`](crate::LibOs::wait_set).
///
/// # Safety
/// `ws_out` is null or valid for a write.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn margay_waitset_create(ws_out: *mut c_int) -> c_int {
    call(|State { sets, libos, .. }| {
        // SAFETY: as C promises.
        let out = unsafe { Out::new(ws_out) }?;
        let index = sets.vacancy()?;
        let Some((generation, set)) = sets.0.get_mut(index) else { return Err(FULL) };
        *set = Some(libos.wait_set());
        // 16 bits of index below SETS_MAX and 15 of generation: never negative.
        out.put((index as u32 | *generation << INDEX_BITS).cast_signed());
        Ok(())
    })
}

/// `margay_waitset_add`: [`LibOs::add_to_wait_set`](crate::LibOs::add_to_wait_set).
#[unsafe(no_mangle)]
pub extern "C" fn margay_waitset_add(ws: c_int, qt: u64) -> c_int {
    call(|State { sets, libos, .. }| libos.add_to_wait_set(sets.find(ws)?, Qt::from_raw(qt)))
}

/// `margay_waitset_take`: [`LibOs::wait_in_set`](crate::LibOs::wait_in_set).
///
/// # Safety
/// `qr_out` is null or valid for a write, `limit` null or valid for a read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn margay_waitset_take(qr_out: *mut QResult, ws: c_int, limit: *const Timespec) -> c_int {
    call(|State { memory, sets, libos, .. }| {
        // SAFETY: as C promises.
        let (out, limit) = unsafe { (Out::new(qr_out)?, timeout(limit)?) };
        memory.reserve(1)?;
        out.put(result(libos.wait_in_set(sets.find(ws)?, limit)?, memory, libos));
        Ok(())
    })
}

/// `margay_waitset_destroy`: [`LibOs::close_wait_set`](crate::LibOs::close_wait_set).
#[unsafe(no_mangle)]
pub extern "C" fn margay_waitset_destroy(ws: c_int) -> c_int {
    call(|State { sets, libos, .. }| libos.close_wait_set(sets.remove(ws)?))
}
