// SPDX-License-Identifier: MIT OR Apache-2.0
//! What routers have announced, until its lifetime ends: a bounded list, from which news and ends are taken one by one.

use alloc::vec::Vec;

use runtime::time::Time;

/// Something that is announced again and again.
pub(super) trait Item: Copy {
    /// How many of them are known at once.
    const MAX: usize;

    /// Whether both are announcements of one thing.
    fn is_same(&self, other: &Self) -> bool;

    /// Takes over what a later announcement says, and tells whether there is something to do about it.
    fn renew(&mut self, later: &Self) -> bool;
}

#[derive(Debug)]
struct Entry<T> {
    item: T,
    until: Time,
    news: bool,
}

/// A list of such things.
#[derive(Debug)]
pub(super) struct Announced<T>(Vec<Entry<T>>);

impl<T: Item> Announced<T> {
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Takes in what holds until then. If that is over already, what was here of it ends. Beyond the bound nothing new
    /// is taken in.
    pub fn heard(&mut self, item: T, until: Time, now: Time) {
        if let Some(here) = self.0.iter_mut().find(|here| here.item.is_same(&item)) {
            here.until = until;
            here.news |= here.item.renew(&item);
        } else if self.0.len() < T::MAX && now < until {
            self.0.push(Entry { item, until, news: true });
        }
    }

    pub fn find(&self, which: impl Fn(&T) -> bool) -> Option<&T> {
        self.0.iter().map(|entry| &entry.item).find(|item| which(item))
    }

    /// Makes news of those that `change` says it has changed; tells whether there are any.
    pub fn change(&mut self, mut change: impl FnMut(&mut T) -> bool) -> bool {
        let mut any = false;
        for entry in &mut self.0 {
            let changed = change(&mut entry.item);
            entry.news |= changed;
            any |= changed;
        }
        any
    }

    /// Takes out one whose time is over.
    pub fn expired(&mut self, now: Time) -> Option<T> {
        let at = self.0.iter().position(|entry| entry.until <= now)?;
        Some(self.0.remove(at).item)
    }

    /// One that nothing was done about yet.
    pub fn news(&mut self) -> Option<T> {
        let entry = self.0.iter_mut().find(|entry| entry.news)?;
        entry.news = false;
        Some(entry.item)
    }

    /// When the first of them ends.
    pub fn next_end(&self) -> Option<Time> {
        self.0.iter().map(|entry| entry.until).min().filter(|end| *end < Time::MAX)
    }
}
