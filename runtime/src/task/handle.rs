// SPDX-License-Identifier: MIT OR Apache-2.0
//! Waking a LibOs from another thread, with no system call unless it sleeps.
//!
//! One word says what is pending and whether the owner announced that it is about to sleep:
//!
//! ```text
//!                wake: fetch_or(why)                    wake: fetch_or(why) sees SLEEPING: writes the eventfd
//! 0 (idle) ───────────────────────────> why (awake)     SLEEPING ───────────────────────> SLEEPING | why
//!    │ announce: 0 -> SLEEPING, else refused               │ retract: clears SLEEPING
//!    └──────────────────────────────────> SLEEPING         └──────────────────────────> 0 | why
//! ```
//!
//! What must always hold: a wake between the owner's last `take` and its sleep either makes `announce` fail or sees
//! SLEEPING and rings. Every step is a read-modify-write of the one word, so there is no third case. The eventfd is
//! registered edge-triggered (`epoll(7)`): each write is a new edge, and nobody reads the counter.

use crate::error::{Error, Result};
use crate::sync::atomic::{AtomicU32, Ordering};
use core::fmt;
use rustix::event::{EventfdFlags, eventfd};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// A coroutine was woken, or work was submitted: a reason to look, but none to end a wait.
pub(crate) const TASK: u32 = 1;
/// [`WakeHandle::wake`] was called.
pub(crate) const CALL: u32 = 2;
const SLEEPING: u32 = 4;

/// The word, apart from the eventfd so that it can be modelled.
pub(crate) struct SleepWord(AtomicU32);

impl SleepWord {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Leaves word that the owner is wanted; true if it sleeps or is about to, so that the bell must be rung.
    pub(crate) fn wake(&self, why: u32) -> bool {
        // SYNC POINT: release, with the acquire of `announce` and `take`.
        self.0.fetch_or(why, Ordering::AcqRel) & (SLEEPING | CALL | TASK) == SLEEPING
    }

    /// Owner: from now on wakers ring. False if a wake is pending already. To announce twice is the same as once.
    pub(crate) fn announce(&self) -> bool {
        match self.0.compare_exchange(0, SLEEPING, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(now) => now == SLEEPING,
        }
    }

    /// Owner: wakers need not ring any more.
    pub(crate) fn retract(&self) {
        self.0.fetch_and(!SLEEPING, Ordering::AcqRel);
    }

    /// Owner: takes a pending wake; what its waker wrote before is visible then.
    pub(crate) fn take(&self, why: u32) -> bool {
        self.0.load(Ordering::Relaxed) & why != 0 && self.0.fetch_and(!why, Ordering::AcqRel) & why != 0
    }
}

struct Shared {
    word: SleepWord,
    bell: OwnedFd,
}

/// Wakes one LibOs, from any thread and at any time, even after the LibOs is gone.
#[derive(Clone)]
pub struct WakeHandle(Arc<Shared>);

impl WakeHandle {
    /// A handle with an eventfd of its own.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE` or `ENOMEM`, from `eventfd(2)`.
    pub fn new() -> Result<Self> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|errno| Error::os(errno, "eventfd for the wake handle"))?;
        Ok(Self(Arc::new(Shared { word: SleepWord::new(), bell })))
    }

    /// Makes the LibOs look: ends its sleep, or keeps it from falling asleep.
    ///
    /// A system call is made only if it sleeps. What the caller wrote before is visible to the LibOs when it looks.
    pub fn wake(&self) {
        self.leave_word(CALL);
    }

    pub(crate) fn leave_word(&self, why: u32) {
        if self.0.word.wake(why) {
            // It fails only when the counter is full, and then the bell has been rung 2^64 times.
            let _ = rustix::io::write(&self.0.bell, &1u64.to_ne_bytes());
        }
    }

    pub(crate) fn announce_sleep(&self) -> bool {
        self.0.word.announce()
    }

    pub(crate) fn retract_sleep(&self) {
        self.0.word.retract();
    }

    pub(crate) fn take(&self, why: u32) -> bool {
        self.0.word.take(why)
    }

    pub(crate) fn bell(&self) -> BorrowedFd<'_> {
        self.0.bell.as_fd()
    }
}

impl fmt::Debug for WakeHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WakeHandle").finish_non_exhaustive()
    }
}
