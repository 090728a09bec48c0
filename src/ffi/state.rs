// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a thread that speaks C has: its LibOs, the memory that C holds, its wait sets; and the one way into it.

use core::cell::RefCell;
use core::ffi::c_int;
use core::mem::ManuallyDrop;
use core::sync::atomic::{AtomicU32, Ordering};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

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

/// A thread's state, and the number of forks behind the process that made it.
///
/// The child of a fork has a copy of its parent's memory, and shares with it the pipes and the descriptors. What it did
/// with them, even only to close them at its exit, would happen to its parent's. So a state from before a fork is left
/// alone for ever: not used, and not dropped.
struct Place {
    state: ManuallyDrop<Option<State>>,
    forks: u32,
}

impl Place {
    fn is_inherited(&self) -> bool {
        self.forks != FORKS.load(Ordering::Relaxed)
    }

    /// The state, if it is this process' own; what a parent left is forgotten.
    fn own(&mut self) -> &mut Option<State> {
        if self.is_inherited() {
            self.state = ManuallyDrop::new(None);
            self.forks = FORKS.load(Ordering::Relaxed);
        }
        &mut self.state
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.is_inherited() {
            self.state.take();
        }
    }
}

thread_local! {
    static PLACE: RefCell<Place> = const { RefCell::new(Place { state: ManuallyDrop::new(None), forks: 0 }) };
}

/// Forks between the process that first called [`count_forks`] and this one.
static FORKS: AtomicU32 = AtomicU32::new(0);

extern "C" fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// From now on children know that they are children.
pub(super) fn count_forks() -> Result<()> {
    type Handler = Option<extern "C" fn()>;
    // SAFETY: this is the declaration of pthread_atfork(3). It keeps the handlers and touches no other memory of ours; when
    // the library is unloaded they go with it.
    unsafe extern "C" {
        safe fn pthread_atfork(prepare: Handler, parent: Handler, child: Handler) -> c_int;
    }
    static REGISTERED: OnceLock<c_int> = OnceLock::new();
    match *REGISTERED.get_or_init(|| pthread_atfork(None, None, Some(forked))) {
        0 => Ok(()),
        errno => Err(Error::new(Errno::from_raw(errno), "pthread_atfork for the LibOs")),
    }
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
        let run = |place: &RefCell<Place>| body(place.try_borrow_mut().map_err(|_| INSIDE)?.own());
        PLACE.try_with(run).unwrap_or(Err(ENDING))
    })
}

/// Runs the body of a call on the thread's state.
pub(super) fn call(body: impl FnOnce(&mut State) -> Result<()>) -> c_int {
    with_place(|place| body(place.as_mut().ok_or(NONE)?))
}
