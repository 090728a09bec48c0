// SPDX-License-Identifier: MIT OR Apache-2.0
//! [`Ring`]: a bounded queue, whose memory is a power of two of places, so that a place in it costs no look at its end.

use alloc::vec::Vec;

/// A queue of at most `N` values. Its memory grows by need, doubled each time, and is kept.
#[derive(Debug)]
pub(crate) struct Ring<T, const N: usize> {
    /// A power of two of them, or none.
    slots: Vec<Option<T>>,
    head: usize,
    len: usize,
}

impl<T, const N: usize> Ring<T, N> {
    /// An empty one, which has allocated nothing yet.
    pub const fn new() -> Self {
        const { assert!(N.is_power_of_two()) };
        Self { slots: Vec::new(), head: 0, len: 0 }
    }

    #[inline]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Puts a value behind the others; false if there is no room, and the value is dropped.
    #[inline]
    pub fn push_back(&mut self, value: T) -> bool {
        self.push_back_with(|| value)
    }

    /// The same with a value that is made where it is to lie, once there is room.
    #[inline(always)]
    pub fn push_back_with(&mut self, make: impl FnOnce() -> T) -> bool {
        if self.len >= self.slots.len() && !self.grow() {
            return false;
        }
        let at = self.at(self.len);
        let Some(slot) = self.slots.get_mut(at) else { return false };
        // There was none: nothing has to be dropped.
        core::mem::forget(slot.replace(make()));
        self.len += 1;
        true
    }

    /// Takes the first.
    #[inline]
    pub fn pop_front(&mut self) -> Option<T> {
        if self.len == 0 {
            return None;
        }
        let next = self.at(1);
        let slot = self.slots.get_mut(self.head)?;
        (self.head, self.len) = (next, self.len - 1);
        // There is one, and it moves as it is.
        slot.take()
    }

    /// Each, first to last.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        (0..self.len).filter_map(|index| self.slots.get(self.at(index))?.as_ref())
    }

    /// Drops those that are not to be kept.
    pub fn retain(&mut self, mut keeps: impl FnMut(&T) -> bool) {
        for _ in 0..self.len {
            if let Some(value) = self.pop_front()
                && keeps(&value)
            {
                // A place has just become free.
                self.push_back(value);
            }
        }
    }

    /// Where the value lies that has so many in front of it.
    #[inline(always)]
    const fn at(&self, index: usize) -> usize {
        (self.head + index) & self.slots.len().wrapping_sub(1)
    }

    /// Doubles the memory, all of which is in use; false if it is as large as it may be.
    #[cold]
    #[inline(never)]
    fn grow(&mut self) -> bool {
        const FIRST: usize = 8;
        if self.len >= N {
            return false;
        }
        let places = (2 * self.len).clamp(FIRST.min(N), N);
        self.slots.rotate_left(self.head);
        self.slots.resize_with(places, || None);
        self.head = 0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::VecDeque;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_a_bounded_queue(steps in prop::collection::vec(any::<Option<u8>>(), 0..100)) {
            let (mut ring, mut oracle) = (Ring::<u8, 16>::new(), VecDeque::new());
            for step in steps {
                match step {
                    Some(value) if oracle.len() < 16 => {
                        prop_assert!(ring.push_back(value));
                        oracle.push_back(value);
                    }
                    Some(value) => prop_assert!(!ring.push_back(value)),
                    None => prop_assert_eq!(ring.pop_front(), oracle.pop_front()),
                }
                prop_assert_eq!(ring.len(), oracle.len());
                prop_assert!(ring.iter().eq(&oracle));
            }
            ring.retain(|value| value % 2 == 0);
            oracle.retain(|value| value % 2 == 0);
            prop_assert!(ring.iter().eq(&oracle));
        }
    }
}
