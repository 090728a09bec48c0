// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bounded table of neighbours: finding, making place, and what must change together.

use core::hash::{BuildHasher, Hasher};
use core::net::IpAddr;

use runtime::time::Time;

use super::Neighbours;
use super::entry::Entry;
use super::types::State;
use crate::keyed::Keyed;
use crate::limits::{NEIGHBOURS_LOOK_MAX, NEIGHBOURS_MAX, NEIGHBOURS_UNRESOLVED_MAX};

/// The hash of an address: of its bits alone, in one word or two, which is less work than the `Hash` of the type.
#[inline]
fn hash(hasher: &Keyed, address: IpAddr) -> u64 {
    let mut hasher = hasher.build_hasher();
    match address {
        IpAddr::V4(address) => hasher.write_u32(address.to_bits()),
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            hasher.write_u64((bits >> 64) as u64);
            hasher.write_u64(bits as u64);
        }
    }
    hasher.finish()
}

impl Neighbours {
    /// Where the entry of an address is.
    #[inline]
    pub(super) fn find(&mut self, address: IpAddr) -> Option<u32> {
        if self.entries.at(self.recent).is_none_or(|entry| entry.address != address) {
            self.recent = self.position(address)?;
        }
        Some(self.recent)
    }

    /// The same for one that is not expected to be asked for again.
    pub(super) fn position(&self, address: IpAddr) -> Option<u32> {
        let is_it = |index: &u32| self.entries.at(*index).is_some_and(|entry| entry.address == address);
        self.index.find(hash(&self.hasher, address), is_it).copied()
    }

    /// Puts in an entry that is not there yet. If the table is full, one of the next `look` entries makes place; where that
    /// is all of them, and each is in use, the one that was not sent to for the longest time: a peer that makes us answer
    /// many addresses of his must not keep us from finding others.
    pub(super) fn insert(&mut self, entry: Entry, look: u32, now: Time) -> Option<u32> {
        let address = entry.address;
        if entry.is_unresolved() && self.unresolved.len() >= NEIGHBOURS_UNRESOLVED_MAX as usize {
            // Those that failed before those that may still answer, the oldest first.
            self.evict(NEIGHBOURS_LOOK_MAX, true, |entry| Some((entry.state == State::Incomplete, entry.used)))?;
        } else if self.entries.len() >= NEIGHBOURS_MAX {
            let evicted = self.evict(look, false, |entry| entry.is_evictable(now).then_some((false, entry.used)));
            let last = look >= NEIGHBOURS_MAX;
            evicted.or_else(|| self.evict(if last { look } else { 0 }, false, Entry::last_resort))?;
        }
        let key = self.entries.insert(entry).ok()?;
        let (entries, hasher) = (&self.entries, &self.hasher);
        self.index.insert_unique(hash(hasher, address), key.index, |index| {
            entries.at(*index).map_or(0, |entry| hash(hasher, entry.address))
        });
        self.count_in(key.index);
        Some(key.index)
    }

    /// Forgets the one of the next `look` entries, of all or of those without an answer, that `rank` puts first. An entry
    /// without a rank stays.
    fn evict(&mut self, look: u32, unresolved: bool, rank: impl Fn(&Entry) -> Option<(bool, Time)>) -> Option<()> {
        let end = if unresolved { self.unresolved.len() as u32 } else { self.entries.slots() };
        let mut first = None;
        for _ in 0..look.min(end) {
            self.hand = if self.hand + 1 < end { self.hand + 1 } else { 0 };
            let index = if unresolved { *self.unresolved.get(self.hand as usize)? } else { self.hand };
            if let Some(rank) = self.entries.at(index).and_then(&rank)
                && first.is_none_or(|(before, _)| rank < before)
            {
                first = Some((rank, index));
            }
        }
        self.forget(first?.1);
        self.counters.evicted += 1;
        Some(())
    }

    /// Lists an entry if its MAC address is not known; `count_out` before it changes its state undoes it.
    fn count_in(&mut self, index: u32) {
        if let Some(entry) = self.entries.at_mut(index)
            && entry.is_unresolved()
        {
            entry.place = self.unresolved.len() as u32;
            self.unresolved.push(index);
        }
    }

    fn count_out(&mut self, index: u32) {
        let Some(place) = self.entries.at(index).filter(|entry| entry.is_unresolved()).map(|entry| entry.place) else {
            return;
        };
        if (place as usize) < self.unresolved.len() {
            self.unresolved.swap_remove(place as usize);
        }
        if let Some(&moved) = self.unresolved.get(place as usize)
            && let Some(moved) = self.entries.at_mut(moved)
        {
            moved.place = place;
        }
    }

    /// Takes an entry out, with its timer and its packets.
    pub(super) fn forget(&mut self, index: u32) {
        let Some(key) = self.entries.key_at(index) else { return };
        let Some(entry) = self.entries.at(index) else { return };
        let hash = hash(&self.hasher, entry.address);
        if let Ok(found) = self.index.find_entry(hash, |other| *other == index) {
            found.remove();
        }
        self.count_out(index);
        let Some(mut entry) = self.entries.remove(key) else { return };
        if let Some(timer) = entry.timer {
            self.timers.cancel(timer);
        }
        self.counters.lost += u64::from(self.packets.clear(&mut entry.queue));
    }

    /// Changes the state of an entry; what belonged to the last one ends.
    pub(super) fn enter(&mut self, index: u32, state: State) {
        self.count_out(index);
        let Some(entry) = self.entries.at_mut(index) else { return };
        entry.state = state;
        entry.solicits = 0;
        entry.ask = false;
        entry.fresh_until = Time::ZERO;
        if let Some(timer) = entry.timer.take() {
            self.timers.cancel(timer);
        }
        self.count_in(index);
    }

    /// Sets the timer of an entry instead of the one that it has.
    pub(super) fn set_timer(&mut self, index: u32, deadline: Time) {
        let Some(entry) = self.entries.at_mut(index) else { return };
        if let Some(timer) = entry.timer.take() {
            self.timers.cancel(timer);
        }
        // There is a timer for each entry of the table.
        entry.timer = self.timers.insert(deadline, index).ok();
    }

    /// Has the next polls look at an entry.
    pub(super) fn list(&mut self, index: u32) {
        if let Some(listed) = self.listed.get_mut(index as usize)
            && !*listed
        {
            *listed = true;
            self.due.push_back(index);
        }
    }

    /// The same, if packets wait for it.
    pub(super) fn list_waiting(&mut self, index: u32) {
        if self.entries.at(index).is_some_and(|entry| !entry.queue.is_empty()) {
            self.list(index);
        }
    }
}
