// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ends of a doubly linked list whose links lie in the table's slots.

/// No slot.
pub(super) const NONE: u32 = u32::MAX;

/// The two ends of a list of slots.
#[derive(Clone, Copy, Debug)]
pub struct List {
    pub(super) head: u32,
    pub(super) tail: u32,
}

impl List {
    /// Nothing in it.
    pub const EMPTY: Self = Self { head: NONE, tail: NONE };

    /// Whether nothing is in it.
    #[inline]
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.head == NONE
    }
}

impl Default for List {
    fn default() -> Self {
        Self::EMPTY
    }
}
