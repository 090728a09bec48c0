// SPDX-License-Identifier: MIT OR Apache-2.0
//! Buffers that have arrived and were not popped, oldest first.
//!
//! Mostly there is one: it lies in the socket itself, so that a message on its way to a pop that waits touches no other
//! memory. What always holds: while there is no first, there is no other.

use runtime::buf::Buf;
use std::collections::VecDeque;

/// A queue of buffers.
#[derive(Default)]
pub struct Ready {
    first: Option<Buf>,
    others: VecDeque<Buf>,
}

impl Ready {
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    #[inline]
    pub fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.others.len()
    }

    /// The oldest.
    #[inline]
    pub fn front_mut(&mut self) -> Option<&mut Buf> {
        self.first.as_mut()
    }

    /// Takes the oldest.
    #[inline]
    pub fn pop_front(&mut self) -> Option<Buf> {
        let front = self.first.take()?;
        if !self.others.is_empty() {
            self.first = self.others.pop_front();
        }
        Some(front)
    }

    /// Puts back what was the oldest.
    pub fn push_front(&mut self, buf: Buf) {
        if let Some(second) = self.first.replace(buf) {
            self.others.push_front(second);
        }
    }

    /// Adds the newest.
    #[inline]
    pub fn push_back(&mut self, buf: Buf) {
        if self.first.is_none() {
            self.first = Some(buf);
        } else {
            self.others.push_back(buf);
        }
    }

    /// Drops them all.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use runtime::buf::Pool;

    proptest! {
        #[test]
        fn it_is_a_queue(steps in proptest::collection::vec(0..4_u8, 0..200)) {
            let pool = Pool::heap(1, 64, 0, 0).unwrap();
            let (mut ready, mut model) = (Ready::default(), VecDeque::new());
            for (number, step) in steps.into_iter().enumerate() {
                let byte = number as u8;
                match step {
                    0 | 1 if model.len() < 60 => {
                        ready.push_back(pool.alloc_copy(&[byte]).unwrap());
                        model.push_back(byte);
                    }
                    2 => {
                        let popped = ready.pop_front();
                        prop_assert_eq!(popped.as_ref().map(|buf| buf[0]), model.pop_front());
                        if let Some(buf) = popped.filter(|_| number % 3 == 0) {
                            model.push_front(buf[0]);
                            ready.push_front(buf);
                        }
                    }
                    _ => prop_assert_eq!(ready.front_mut().map(|buf| buf[0]), model.front().copied()),
                }
                prop_assert_eq!((ready.len(), ready.is_empty()), (model.len(), model.is_empty()));
            }
            ready.clear();
            prop_assert_eq!((ready.len(), pool.available()), (0, 64));
        }
    }
}
