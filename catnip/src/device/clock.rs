// SPDX-License-Identifier: MIT OR Apache-2.0
//! The time, for those who are not given it with their calls.

use core::cell::Cell;
use runtime::time::Time;
use std::rc::Rc;

/// What time it is, as of the owner's last look. A clone tells the same.
#[derive(Clone, Debug, Default)]
pub struct Clock(Rc<Cell<Time>>);

impl Clock {
    /// It is now `now`.
    #[inline]
    pub fn set(&self, now: Time) {
        self.0.set(now);
    }

    /// The time that was set last.
    #[inline]
    #[must_use]
    pub fn now(&self) -> Time {
        self.0.get()
    }
}
