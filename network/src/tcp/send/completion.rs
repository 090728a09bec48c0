// SPDX-License-Identifier: MIT OR Apache-2.0
//! [`Completions`]: pushes that are done only when their last byte has left, or is acknowledged.

use alloc::collections::VecDeque;

use crate::tcp::seq::Seq;
use crate::tcp::settings::Completion;

/// Where the pushes end that are waited for, in their order.
#[derive(Debug)]
pub struct Completions {
    level: Completion,
    ends: VecDeque<Seq>,
}

impl Completions {
    /// None yet; nobody has to wait if a push is done when it is queued.
    pub fn new(level: Completion) -> Option<Self> {
        (level != Completion::Queued).then(|| Self { level, ends: VecDeque::new() })
    }

    /// A push has put its last byte in front of `end`.
    pub fn pushed(&mut self, end: Seq) {
        self.ends.push_back(end);
    }

    /// Whether the first that is waited for is done, which it tells once; none being waited for, that is so too.
    pub fn take(&mut self, una: Seq, next: Seq) -> bool {
        let Some(&end) = self.ends.front() else { return true };
        let reached = if self.level == Completion::Sent { next } else { una };
        if reached.is_before(end) {
            return false;
        }
        self.ends.pop_front();
        if self.ends.is_empty() {
            self.ends.shrink_to(0);
        }
        true
    }

    /// Nobody waits any more: the push was called off, and there is one at a time.
    pub fn forget(&mut self) {
        self.ends = VecDeque::new();
    }

    /// Whether somebody waits.
    #[inline]
    pub fn is_awaited(&self) -> bool {
        !self.ends.is_empty()
    }
}
