// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a thread that speaks C has: its LibOs, the memory that C holds, its wait sets; and the one way into it.

use core::cell::RefCell;
use core::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};

use runtime::op::Completion;
use runtime::{Errno, Error, Result};

use super::error;
use super::memory::Table;
use super::sets::Sets;
use crate::LibOs;

/// Everything behind one thread's calls. Messages that C holds go first when it is dropped, then the sets, then the LibOs.
pub(super) struct State {
    pub(super) memory: Table,
    pub(super) sets: Sets,
    /// Room for the completions of one `demi_wait_next_n`, kept so that a call allocates nothing.
    pub(super) completions: Vec<Completion>,
    pub(super) libos: LibOs,
}

thread_local! {
    static STATE: RefCell<Option<State>> = const { RefCell::new(None) };
}

const ENDING: Error = Error::new(Errno::NOSYS, "the thread is ending");
const INSIDE: Error = Error::new(Errno::BUSY, "the call was made from inside another one");
const NONE: Error = Error::new(Errno::NOSYS, "this thread has not called demi_init()");
const PANIC: Error = Error::new(Errno::IO, "an internal fault was caught");

/// Runs the body of a call that needs no LibOs: a panic becomes `EIO`, an error its errno, noted for the thread.
pub(super) fn guarded(body: impl FnOnce() -> Result<()>) -> c_int {
    // What a panic leaves half done stays inside the LibOs of this thread, whose calls keep checking their arguments.
    match catch_unwind(AssertUnwindSafe(body)).unwrap_or(Err(PANIC)) {
        Ok(()) => 0,
        Err(reason) => {
            error::note(reason);
            reason.errno().raw()
        }
    }
}

/// Runs the body of a call on the place where the thread's state is, or is to be.
pub(super) fn with_place(body: impl FnOnce(&mut Option<State>) -> Result<()>) -> c_int {
    guarded(|| {
        let run = |place: &RefCell<Option<State>>| body(&mut *place.try_borrow_mut().map_err(|_| INSIDE)?);
        STATE.try_with(run).unwrap_or(Err(ENDING))
    })
}

/// Runs the body of a call on the thread's state.
pub(super) fn call(body: impl FnOnce(&mut State) -> Result<()>) -> c_int {
    with_place(|place| body(place.as_mut().ok_or(NONE)?))
}
