// SPDX-License-Identifier: MIT OR Apache-2.0
//! The asymmetric barrier: `membarrier(2)` with `MEMBARRIER_CMD_GLOBAL_EXPEDITED` where the kernel has it, fences where not.

use core::sync::atomic::{Ordering, compiler_fence, fence};
use rustix::thread::{MembarrierCommand, MembarrierQuery, membarrier, membarrier_query};
use std::sync::OnceLock;

/// Whether this process takes part in `membarrier`. Registers it at the first call.
pub fn can_membarrier() -> bool {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    *REGISTERED.get_or_init(|| {
        membarrier_query().contains(MembarrierQuery::GLOBAL_EXPEDITED | MembarrierQuery::REGISTER_GLOBAL_EXPEDITED)
            && membarrier(MembarrierCommand::RegisterGlobalExpedited).is_ok()
    })
}

/// The frequent side's barrier, between its publication and its look at the wake word.
#[inline]
pub fn light(membarrier: bool) {
    if membarrier {
        compiler_fence(Ordering::SeqCst);
    } else {
        fence(Ordering::SeqCst);
    }
}

/// The rare side's barrier, between setting its wake words and its last look at the rings.
pub fn heavy() {
    // The fence stands for the doorbells whose peer does not take part; beside a system call it costs nothing.
    fence(Ordering::SeqCst);
    if can_membarrier() {
        // It cannot fail once registered; if it did, the peer's next message would still be seen at the next wake-up.
        let _ = membarrier(MembarrierCommand::GlobalExpedited);
    }
}
