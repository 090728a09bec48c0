// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a request costs a server in system calls and allocations, between two of its answers.

use crate::allocations;

/// What requests have cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// System calls, whatever they did.
    pub system_calls: u64,
    /// Allocations of memory.
    pub allocations: u64,
}

/// Counts answers, and takes the readings.
#[derive(Clone, Copy, Debug)]
pub struct Meter {
    first: u64,
    last: u64,
    answers: u64,
    before: Cost,
    after: Cost,
}

impl Meter {
    /// One for what comes after the answer `first`, up to the answer `last`.
    #[must_use]
    pub fn new(first: u64, last: u64) -> Self {
        Self { first, last, answers: 0, before: Cost::default(), after: Cost::default() }
    }

    /// An answer was given. `system_calls` tells how many there were so far; it is asked twice only.
    #[inline]
    pub fn answered(&mut self, system_calls: impl FnOnce() -> u64) {
        self.answers += 1;
        if self.answers == self.first || self.answers == self.last {
            self.read(system_calls());
        }
    }

    #[cold]
    fn read(&mut self, system_calls: u64) {
        let cost = Cost { system_calls, allocations: allocations() };
        if self.answers == self.first {
            self.before = cost;
        } else {
            self.after = cost;
        }
    }

    /// Answers so far.
    #[must_use]
    pub fn answers(&self) -> u64 {
        self.answers
    }

    /// System calls and allocations per answer, once the last one that counts was given.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "figures are told with three digits")]
    pub fn per_answer(&self) -> Option<(f64, f64)> {
        let share = |before: u64, after: u64| (after - before) as f64 / (self.last - self.first) as f64;
        (self.answers >= self.last && self.last > self.first).then(|| {
            (
                share(self.before.system_calls, self.after.system_calls),
                share(self.before.allocations, self.after.allocations),
            )
        })
    }
}
