// SPDX-License-Identifier: MIT OR Apache-2.0
//! TIME-WAIT in compact form (RFC 9293 section 3.6.1): what is remembered of a connection that has ended, so that what is late
//! of it does not get into the next one between the same ends.
//!
//! What must always hold: the one that ends first is the first of the list, for all wait equally long; of more than there is
//! room for, the oldest goes. An RST ends no wait (RFC 1337 section 3, fix F1).

use core::time::Duration;

use runtime::slab::Slab;
use runtime::time::Time;

use super::clock;
use super::segment::Incoming;
use super::seq::Seq;
use super::table::Flow;
use crate::wire::tcp::{Flags, Timestamps};

/// What is left of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeWait {
    /// SND.NXT: behind our FIN.
    pub next: Seq,
    /// RCV.NXT: behind theirs.
    pub expected: Seq,
    /// The window field that our last segment had.
    pub window: u16,
    /// If both have sent timestamps: the origin of our clock, and what theirs has shown last (TS.Recent).
    pub clocks: Option<(u32, u32)>,
}

/// What to do about a segment for a connection that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Late {
    /// Nothing.
    Drop,
    /// The peer has not heard our last acknowledgment: it is sent again, and the wait begins anew.
    Again,
    /// It is none that the peer should send: it is told where we are (RFC 9293 section 3.10.7.4, RFC 5961 section 4).
    Challenge,
    /// It begins a new connection (RFC 6191 section 2), whose number is to lie behind those of the old one.
    Reopen,
}

impl TimeWait {
    /// What to do about a segment.
    #[must_use]
    pub fn judge(&self, segment: &Incoming) -> Late {
        if segment.flags.contains(Flags::RST) {
            return Late::Drop;
        }
        if segment.flags.contains(Flags::SYN) {
            let opens = !segment.flags.intersects(Flags::ACK | Flags::FIN) && self.is_newer(segment);
            return if opens { Late::Reopen } else { Late::Challenge };
        }
        if !segment.flags.contains(Flags::ACK) {
            return Late::Drop;
        }
        // An old duplicate, by its clock (RFC 7323 section 5.3).
        if let (Some((_, recent)), Some(theirs)) = (self.clocks, segment.options.timestamps)
            && Seq(theirs.value).is_before(Seq(recent))
        {
            return Late::Challenge;
        }
        match (segment.flags.contains(Flags::FIN), segment.len()) {
            // What the peer sends once it has heard all.
            (_, 0) if segment.seq == self.expected => Late::Drop,
            (true, len) if segment.seq + len == self.expected => Late::Again,
            _ => Late::Challenge,
        }
    }

    /// Whether a SYN is certainly none of the old connection: by its clock, else by its number (RFC 6191 section 2).
    fn is_newer(&self, syn: &Incoming) -> bool {
        let by_number = syn.seq.is_behind(self.expected);
        match (self.clocks, syn.options.timestamps) {
            (Some((_, recent)), Some(theirs)) if theirs.value != recent => Seq(theirs.value).is_behind(Seq(recent)),
            _ => by_number,
        }
    }

    /// What our answer shows of the clocks.
    #[must_use]
    pub fn timestamps(&self, now: Time) -> Option<Timestamps> {
        self.clocks.map(|(origin, recent)| Timestamps { value: clock::ticks(now, origin), echo: recent })
    }
}

/// Ends the list.
const NONE: u32 = u32::MAX;

/// One that waits.
#[derive(Debug)]
pub struct Waiting {
    /// Between whom it was.
    pub flow: Flow,
    /// The hash of that.
    pub hash: u32,
    /// If it holds its port: whether that may be bound meanwhile, by `SO_REUSEADDR` and by `SO_REUSEPORT`.
    pub holds: Option<(bool, bool)>,
    /// What is remembered.
    pub state: TimeWait,
    until: Time,
    previous: u32,
    next: u32,
}

impl Waiting {
    /// When it has waited enough.
    #[must_use]
    pub const fn until(&self) -> Time {
        self.until
    }
}

/// Those that wait, the one that ends first in front.
pub struct TimeWaits {
    waiting: Slab<Waiting>,
    first: u32,
    last: u32,
}

impl TimeWaits {
    /// Nobody; at most so many.
    #[must_use]
    pub const fn new(capacity: u32) -> Self {
        Self { waiting: Slab::new(capacity), first: NONE, last: NONE }
    }

    /// Puts one behind the others. If there is no room, [`oldest`](Self::oldest) is to be removed first.
    pub fn insert(
        &mut self,
        flow: Flow,
        hash: u32,
        holds: Option<(bool, bool)>,
        state: TimeWait,
        until: Time,
    ) -> Option<u32> {
        let waiting = Waiting { flow, hash, holds, state, until, previous: NONE, next: NONE };
        let index = self.waiting.insert(waiting).ok()?.index;
        self.link(index);
        Some(index)
    }

    /// The one at an index.
    #[must_use]
    pub fn get(&self, index: u32) -> Option<&Waiting> {
        self.waiting.at(index)
    }

    /// Takes one out.
    pub fn remove(&mut self, index: u32) -> Option<Waiting> {
        let key = self.waiting.key_at(index)?;
        self.unlink(index);
        self.waiting.remove(key)
    }

    /// Lets one wait for so long from now on.
    pub fn restart(&mut self, index: u32, now: Time, time: Duration) {
        if self.waiting.at(index).is_none() {
            return;
        }
        self.unlink(index);
        if let Some(waiting) = self.waiting.at_mut(index) {
            waiting.until = now + time;
        }
        self.link(index);
    }

    /// The one that has waited longest.
    #[must_use]
    pub fn oldest(&self) -> Option<u32> {
        self.waiting.at(self.first).map(|_| self.first)
    }

    /// One whose time is over.
    #[must_use]
    pub fn expired(&self, now: Time) -> Option<u32> {
        self.waiting.at(self.first).filter(|waiting| waiting.until <= now).map(|_| self.first)
    }

    /// When the first has waited enough.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.waiting.at(self.first).map(|waiting| waiting.until)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.waiting.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Puts one where its time has it: behind all, unless the time that all wait was changed.
    fn link(&mut self, index: u32) {
        let Some(until) = self.waiting.at(index).map(|waiting| waiting.until) else { return };
        let mut before = self.last;
        while let Some(waiting) = self.waiting.at(before).filter(|waiting| waiting.until > until) {
            before = waiting.previous;
        }
        let after = self.waiting.at(before).map_or(self.first, |waiting| waiting.next);
        if let Some(waiting) = self.waiting.at_mut(index) {
            (waiting.previous, waiting.next) = (before, after);
        }
        match self.waiting.at_mut(before) {
            Some(waiting) => waiting.next = index,
            None => self.first = index,
        }
        match self.waiting.at_mut(after) {
            Some(waiting) => waiting.previous = index,
            None => self.last = index,
        }
    }

    fn unlink(&mut self, index: u32) {
        let Some((before, after)) = self.waiting.at(index).map(|waiting| (waiting.previous, waiting.next)) else {
            return;
        };
        match self.waiting.at_mut(before) {
            Some(waiting) => waiting.next = after,
            None => self.first = after,
        }
        match self.waiting.at_mut(after) {
            Some(waiting) => waiting.previous = before,
            None => self.last = before,
        }
    }
}

impl core::fmt::Debug for TimeWaits {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TimeWaits").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
