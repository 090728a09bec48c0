// SPDX-License-Identifier: MIT OR Apache-2.0
//! Doubly linked lists through a table's own slots: everything costs the same for any number of entries, and nothing
//! allocates.

/// No entry.
const NONE: u32 = u32::MAX;

/// An entry's place in one list.
#[derive(Clone, Copy, Debug)]
pub struct Links {
    before: u32,
    behind: u32,
    linked: bool,
}

impl Links {
    /// In no list.
    pub const FREE: Self = Self { before: NONE, behind: NONE, linked: false };

    /// Whether it is in the list.
    pub const fn is_linked(&self) -> bool {
        self.linked
    }

    /// The next entry of the list.
    pub const fn behind(&self) -> Option<u32> {
        if self.behind == NONE { None } else { Some(self.behind) }
    }
}

/// Where the links of an entry are. An entry that is not there is not in a list either.
pub trait Slots {
    /// The links of an entry.
    fn links(&mut self, entry: u32) -> Option<&mut Links>;
}

/// The two ends of a list. An entry is in it once or not at all.
#[derive(Clone, Copy, Debug)]
pub struct List {
    front: u32,
    back: u32,
}

impl List {
    /// Nothing in it.
    pub const EMPTY: Self = Self { front: NONE, back: NONE };

    /// The first entry.
    #[inline]
    pub fn front(self) -> Option<u32> {
        (self.front != NONE).then_some(self.front)
    }

    /// Puts an entry behind the last one. One that is in the list stays where it is.
    pub fn push_back(&mut self, slots: &mut impl Slots, entry: u32) {
        let back = self.back;
        let Some(links) = slots.links(entry) else { return };
        if links.linked {
            return;
        }
        *links = Links { before: back, behind: NONE, linked: true };
        match slots.links(back) {
            Some(last) => last.behind = entry,
            None => self.front = entry,
        }
        self.back = entry;
    }

    /// Takes an entry out, wherever it is.
    pub fn remove(&mut self, slots: &mut impl Slots, entry: u32) {
        let Some(links) = slots.links(entry) else { return };
        let Links { before, behind, linked } = core::mem::replace(links, Links::FREE);
        if !linked {
            return;
        }
        match slots.links(before) {
            Some(links) => links.behind = behind,
            None => self.front = behind,
        }
        match slots.links(behind) {
            Some(links) => links.before = before,
            None => self.back = before,
        }
    }

    /// Puts an entry of the list behind all others.
    #[inline]
    pub fn move_back(&mut self, slots: &mut impl Slots, entry: u32) {
        if self.back != entry {
            self.remove(slots, entry);
            self.push_back(slots, entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    const ENTRIES: u32 = 8;

    impl Slots for Vec<Links> {
        fn links(&mut self, entry: u32) -> Option<&mut Links> {
            self.get_mut(entry as usize)
        }
    }

    proptest! {
        #[test]
        fn a_list_is_a_queue(steps in vec((0_u8..4, 0..ENTRIES), 0..200)) {
            let mut slots = vec![Links::FREE; ENTRIES as usize];
            let (mut list, mut oracle) = (List::EMPTY, VecDeque::new());
            for (step, entry) in steps {
                match step {
                    0 => {
                        list.push_back(&mut slots, entry);
                        if !oracle.contains(&entry) {
                            oracle.push_back(entry);
                        }
                    }
                    1 => {
                        list.remove(&mut slots, entry);
                        oracle.retain(|&other| other != entry);
                    }
                    2 if oracle.contains(&entry) => {
                        list.move_back(&mut slots, entry);
                        oracle.retain(|&other| other != entry);
                        oracle.push_back(entry);
                    }
                    2 => {}
                    _ => {
                        let front = list.front();
                        prop_assert_eq!(front, oracle.pop_front());
                        front.inspect(|&front| list.remove(&mut slots, front));
                    }
                }
                prop_assert!((0..ENTRIES).all(|entry| slots[entry as usize].is_linked() == oracle.contains(&entry)));
            }
            while let Some(front) = list.front() {
                prop_assert_eq!(Some(front), oracle.pop_front());
                list.remove(&mut slots, front);
            }
            prop_assert!(oracle.is_empty());
        }
    }
}
