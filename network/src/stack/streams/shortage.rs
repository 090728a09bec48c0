// SPDX-License-Identifier: MIT OR Apache-2.0
//! Buffers are short: so much of what was pushed is not acknowledged that nobody may push, not even who holds nothing. Then a
//! connection that was closed a while ago, and whose peer takes its time, is reset, as by `tcp_check_oom` of Linux.
//!
//! What must always hold: no connection that somebody has a name for is touched, and none at all while nobody waits; a search looks
//! at a bounded number of sockets, and goes on where the last one in vain has ended.

use runtime::time::Time;

use super::Streams;
use super::socket::Kind;
use crate::limits::{ORPHAN_KEEPS_FOR, ORPHANS_LOOK_AGAIN, ORPHANS_LOOK_ON, ORPHANS_LOOKED_AT, STREAM_BUFFERS_MIN};
use crate::stack::Stack;

/// How far the search for closed connections has come.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// The next socket to look at.
    next: u32,
    /// At how many it has looked in vain.
    looked: u32,
    /// When it goes on, after it was in vain.
    pub at: Time,
}

impl Streams {
    /// Whether a push waits though its connection has less than its share, and what is held still keeps it waiting.
    #[inline]
    pub(super) const fn lacks_room(&self) -> bool {
        self.refuses && self.is_full()
    }

    /// Of the next sockets, the closed connection that has pushed most, and was closed long enough ago.
    fn find_largest_orphan(&mut self, now: Time) -> Option<u32> {
        let (slots, mut largest) = (self.slab.slots(), (0, None));
        let looked = slots.min(ORPHANS_LOOKED_AT);
        for _ in 0..looked {
            let index = if self.search.next < slots { self.search.next } else { 0 };
            self.search.next = index + 1;
            let Some(stream) = self.slab.at(index) else { continue };
            if let Kind::Open(open) = &stream.kind
                && stream.orphan
                && open.pushed > largest.0
                && now.saturating_since(open.closed) >= ORPHAN_KEEPS_FOR
            {
                largest = (open.pushed, Some(index));
            }
        }
        let search = &mut self.search;
        if let Some(index) = largest.1 {
            // Where one is there may be more.
            (search.next, search.looked) = (index, 0);
        } else {
            search.looked = search.looked.saturating_add(looked);
            let is_round = search.looked >= slots;
            search.at = now + if is_round { ORPHANS_LOOK_AGAIN } else { ORPHANS_LOOK_ON };
            if is_round {
                search.looked = 0;
            }
        }
        largest.1
    }

    /// Whether anybody whose push waits is still there; forgets those who are not.
    fn has_starved(&mut self) -> bool {
        while let Some(&index) = self.starved.front() {
            if let Some(stream) = self.slab.at_mut(index)
                && let (orphan, Some(open)) = (stream.orphan, stream.open())
            {
                if open.starves && !orphan {
                    return true;
                }
                open.listed = false;
            }
            self.starved.pop_front();
        }
        false
    }
}

impl Streams {
    /// Whether one of those who wait has less than its share: nobody is reset for those who have theirs.
    fn lacks_a_share(&self) -> bool {
        self.starved.iter().take(ORPHANS_LOOKED_AT as usize).any(|&index| match self.slab.at(index) {
            Some(stream) if !stream.orphan => match &stream.kind {
                Kind::Open(open) => open.starves && open.connection.buffers() < STREAM_BUFFERS_MIN,
                _ => false,
            },
            _ => false,
        })
    }
}

impl Stack {
    /// Resets a closed connection that holds much, if there is one. Whether others may push then, who are told.
    #[cold]
    pub(super) fn take_from_the_closed(&mut self, now: Time) -> bool {
        if now < self.streams.search.at {
            return false;
        }
        let Some(index) = self.streams.find_largest_orphan(now) else { return false };
        self.abort_at(index, now);
        let streams = &mut self.streams;
        let has_room = !streams.is_full();
        if has_room && streams.refuses {
            streams.feed();
        }
        has_room
    }

    /// Looks for room while a push waits for it, whose owner will not ask again.
    #[inline]
    pub(super) fn look_for_room(&mut self, now: Time) {
        if self.streams.lacks_room() && now >= self.streams.search.at {
            self.make_room_for_the_starved(now);
        }
    }

    #[cold]
    fn make_room_for_the_starved(&mut self, now: Time) {
        let streams = &mut self.streams;
        if !streams.has_starved() {
            streams.refuses = false;
        } else if streams.lacks_a_share() {
            self.take_from_the_closed(now);
        } else {
            streams.search.at = now + ORPHANS_LOOK_AGAIN;
        }
    }
}
