// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the kernel says of the sockets, and who is woken for it.
//!
//! A socket with news is in the list once. What waits of it is woken a few at a time, so that what was received is still in
//! the cache when it is answered.

use crate::entry::{Closing, Entry};
use crate::poller::EventFlags;
use crate::transport::Catnap;
use core::time::Duration;
use runtime::limits::{DEADLINES_PER_LOOK, SOCKETS_PER_LOOK};
use runtime::op::{Direction, Wakes};
use runtime::socket::Kind;
use runtime::transport::Handle;

/// Bytes of messages that are on their way through the application at once.
const BURST: usize = 16 << 10;
/// Messages that are, however long they are.
const BURST_MIN: usize = 1;

/// So few wait that one of them is asked by itself: a server's accept and one connection.
const FEW: usize = 2;
/// Of so many looks with few who wait, one asks for all of them.
const GUESSES: u32 = 8;

const DIRECTIONS: [Direction; 2] = [Direction::Push, Direction::Pop];

impl Catnap {
    /// Takes events in, sleeping for the first at most so long.
    #[inline]
    pub(crate) fn collect(&mut self, timeout: Option<Duration>) {
        self.shared.called();
        let Self { table, shared, .. } = self;
        // The list is out of its place while the poller, which is beside it, is borrowed.
        let mut news = core::mem::take(&mut shared.news);
        let mut errors = false;
        shared.poller.wait(timeout, |name, flags| {
            let Some((handle, entry)) = table.named(name) else { return };
            entry.note(flags);
            errors |= flags.contains(EventFlags::ERR) && entry.flights.is_some();
            if !entry.listed {
                entry.listed = true;
                news.push(handle);
            }
        });
        shared.news = news;
        if errors {
            self.reap();
        }
        self.collected = true;
    }

    /// Asks the kernel what there is: only while somebody waits, not again right after a sleep, and not before those had their
    /// turn who have news.
    #[inline]
    pub(crate) fn hear(&mut self) {
        let collected = core::mem::take(&mut self.collected);
        let waiting = self.shared.waiting;
        if waiting != 0 && !collected && self.shared.news.is_empty() && !(waiting <= FEW && self.guess()) {
            self.collect(Some(Duration::ZERO));
            self.collected = false;
        }
    }

    /// The error queues of those that have news say what the kernel has done with.
    #[cold]
    fn reap(&mut self) {
        for index in 0..self.shared.news.len() {
            let handle = self.shared.news[index];
            if let Ok(entry) = self.table.get(handle) {
                entry.reap(&mut self.shared);
            }
        }
    }

    /// Wakes what waits and is worth a try: so many at once that their messages stay in the cache until they are answered. The
    /// others have their turn at the next look.
    #[inline]
    pub(crate) fn tell(&mut self, wakes: &mut Wakes) {
        let mut room = (BURST / (self.shared.typical + 1)).clamp(BURST_MIN, SOCKETS_PER_LOOK);
        let mut told = 0;
        while let Some(&handle) = self.shared.news.get(told)
            && room > 0
        {
            told += 1;
            let Ok(entry) = self.table.get(handle) else { continue };
            entry.listed = false;
            for direction in DIRECTIONS {
                if entry.parked[direction as usize] && entry.is_ready(direction) {
                    entry.parked[direction as usize] = false;
                    self.shared.waiting -= 1;
                    wakes.wake(entry.queue, direction);
                    room = room.saturating_sub(1);
                }
            }
            if entry.closing == Closing::Orphan {
                self.look_after(handle);
            }
        }
        self.shared.news.drain(..told);
    }

    /// While few wait, mostly the one that was served last has the next message. Its pop is tried as it is, which saves asking
    /// the whole set; now and then that is asked all the same. False: it is to be asked now.
    #[inline]
    fn guess(&mut self) -> bool {
        self.guesses = self.guesses.wrapping_add(1);
        if self.guesses.is_multiple_of(GUESSES) {
            return false;
        }
        let handle = self.shared.served;
        let Ok(entry) = self.table.get(handle) else { return false };
        if !entry.parked[Direction::Pop as usize] || !entry.may_have_data() {
            return false;
        }
        entry.set_ready(Direction::Pop, true);
        self.shared.list(entry, handle);
        true
    }

    /// A socket that is closed for the application.
    #[cold]
    fn look_after(&mut self, handle: Handle) {
        if self.table.get(handle).is_ok_and(|entry| entry.look_after(handle, &mut self.shared)) {
            drop(self.table.remove(handle));
        }
    }

    /// Sockets that have to be looked at though nothing has happened.
    #[cold]
    pub(crate) fn tick(&mut self) {
        for _ in 0..DEADLINES_PER_LOOK {
            let Some(handle) = self.shared.deadlines.pop_due() else { return };
            let Ok(entry) = self.table.get(handle) else { continue };
            entry.deadline = None;
            entry.ready = [true; 2];
            self.shared.list(entry, handle);
        }
    }
}

impl Entry {
    /// Whether the kernel can be asked for data.
    #[inline]
    pub fn may_have_data(&self) -> bool {
        self.socket.kind() == Kind::Datagram || self.socket.is_connected()
    }

    /// What the kernel says of the socket.
    #[inline]
    fn note(&mut self, flags: EventFlags) {
        if flags.contains(EventFlags::IN) {
            self.set_ready(Direction::Pop, true);
        }
        // A datagram that found no room at its receiver makes an edge of its own, which says nothing.
        if flags.contains(EventFlags::OUT) && self.pauses == 0 {
            self.set_ready(Direction::Push, true);
        }
        if flags.intersects(EventFlags::HUP | EventFlags::RDHUP | EventFlags::ERR | EventFlags::PRI) {
            self.note_end(flags);
        }
    }

    #[cold]
    fn note_end(&mut self, flags: EventFlags) {
        // Of an error queue alone no end is to be expected.
        self.leaves |= flags.intersects(EventFlags::HUP | EventFlags::RDHUP | EventFlags::PRI);
        self.ready = [true; 2];
    }
}
