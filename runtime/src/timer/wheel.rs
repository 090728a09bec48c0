// SPDX-License-Identifier: MIT OR Apache-2.0
//! A hierarchical timing wheel: O(1) insert and cancel, each timer moved at most eight times before it fires.
//!
//! After G. Varghese and A. Lauck, "Hashed and Hierarchical Timing Wheels" (1987), scheme 7. A deadline, counted in
//! ticks of 1024 ns and rounded up, has nine digits to the base 64. A timer lies on the level of the highest digit in
//! which its deadline differs from `elapsed`, in the slot that this digit names:
//!
//! ```text
//! level 0   64 slots of   1 tick      the next 65 µs
//! level 1   64 slots of  64 ticks     the next 4 ms
//! level 2   64 slots of 4096 ticks    the next 268 ms     ... level 8: the rest of the clock, so there is no overflow list
//! ```
//!
//! What must always hold: on each level only slots after `elapsed`'s own digit are in use, so the first set bit of the
//! lowest level in use is the slot that is due first. The exceptions are the slot that is being emptied when a budget
//! runs out, which `cascading` remembers, and on level 0 the slot of `elapsed` itself, whose timers are due.

use crate::error::{Errno, Error, Result};
use crate::slab::{Key, Slab};
use crate::time::Time;
use alloc::{boxed::Box, vec};

/// Nanoseconds in a tick: 2^10.
const TICK_SHIFT: u32 = 10;
const DIGIT_BITS: u32 = 6;
const SLOTS: usize = 1 << DIGIT_BITS;
/// Nine digits of six bits hold every tick of a 64-bit nanosecond clock (54 bits).
const LEVELS: usize = 9;
const TICK_MAX: u64 = (1 << (64 - TICK_SHIFT)) - 1;
/// Ends a list: no timer has this index.
const NONE: u32 = u32::MAX;
/// Later than any tick.
const NEVER: u64 = u64::MAX;

/// Names one timer of a wheel; stale once it has fired or was cancelled.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TimerId(Key);

impl TimerId {
    /// Names no timer.
    pub const NONE: Self = Self(Key { index: NONE, generation: 0 });
}

/// One timer, linked into the list of its slot.
struct Timer {
    due: u64,
    key: u32,
    previous: u32,
    next: u32,
    place: Place,
}

/// A slot of a level.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    level: u8,
    slot: u8,
}

impl Place {
    fn index(self) -> usize {
        usize::from(self.level) * SLOTS + usize::from(self.slot)
    }

    /// The first tick of this slot, in the turn of the wheel that `elapsed` is in.
    fn start(self, elapsed: u64) -> u64 {
        let shift = u32::from(self.level) * DIGIT_BITS;
        (elapsed >> (shift + DIGIT_BITS) << (shift + DIGIT_BITS)) | (u64::from(self.slot) << shift)
    }

    /// Where a timer belongs.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "`due` has 54 bits: the level is below nine; the slot is masked"
    )]
    fn of(due: u64, elapsed: u64) -> Self {
        let level = (due ^ elapsed).checked_ilog2().unwrap_or(0) / DIGIT_BITS;
        let slot = (due >> (level * DIGIT_BITS)) & (SLOTS as u64 - 1);
        Self { level: level as u8, slot: slot as u8 }
    }
}

/// The list of a slot: first in, first out.
#[derive(Clone, Copy)]
struct List {
    head: u32,
    tail: u32,
    /// Not later than any timer in the list; what was cancelled may keep it early.
    earliest: u64,
}

const EMPTY: List = List { head: NONE, tail: NONE, earliest: NEVER };

/// A bounded set of timers, each with a key that is handed out when it fires.
pub struct Wheel {
    timers: Slab<Timer>,
    lists: Box<[List]>,
    /// Per level one bit for each slot whose list is not empty.
    occupied: [u64; LEVELS],
    /// Every timer that was due before this tick has fired.
    elapsed: u64,
    cascading: Option<Place>,
    /// What [`Wheel::soonest`] says, which is asked far more often than it changes.
    next: u64,
}

impl Wheel {
    /// An empty wheel of at most `capacity` timers that starts at `now`.
    #[must_use]
    pub fn new(now: Time, capacity: u32) -> Self {
        Self {
            timers: Slab::new(capacity),
            lists: vec![EMPTY; LEVELS * SLOTS].into_boxed_slice(),
            occupied: [0; LEVELS],
            elapsed: now.as_nanos() >> TICK_SHIFT,
            cascading: None,
            next: NEVER,
        }
    }

    /// How many timers are set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.timers.len() as usize
    }

    /// Whether no timer is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.timers.len() == 0
    }

    /// Sets a timer. It fires at the first [`Wheel::advance`] at or after `deadline`, at most 1024 ns late and never
    /// early; a deadline in the past fires at the next one.
    ///
    /// # Errors
    ///
    /// `EMFILE` if the wheel is full.
    pub fn insert(&mut self, deadline: Time, key: u32) -> Result<TimerId> {
        let due = deadline.as_nanos().div_ceil(1 << TICK_SHIFT).clamp(self.elapsed, TICK_MAX);
        let place = Place::of(due, self.elapsed);
        let timer = Timer { due, key, previous: NONE, next: NONE, place };
        match self.timers.insert(timer) {
            Ok(id) => {
                self.link(id.index);
                self.next = self.next.min(due);
                Ok(TimerId(id))
            }
            Err(_) => Err(Error::new(Errno::MFILE, "the timer table is full")),
        }
    }

    /// Takes a timer out before it fires; false if it has fired or was cancelled already.
    pub fn cancel(&mut self, id: TimerId) -> bool {
        if self.timers.get_mut(id.0).is_none() {
            return false;
        }
        if self.unlink(id.0.index) {
            self.next = self.soonest();
        }
        self.timers.remove(id.0).is_some()
    }

    /// Fires what is due at `now`, earliest first, and returns how many timers that were.
    ///
    /// Does at most `budget` steps, where a step fires a timer or moves it one level down; if that was not enough,
    /// [`Wheel::next_deadline`] is still not after `now`. Once everything due has fired, it is after `now`.
    pub fn advance(&mut self, now: Time, budget: usize, fire: impl FnMut(u32)) -> usize {
        let fired = self.advance_to(now.as_nanos() >> TICK_SHIFT, budget, fire);
        self.next = self.soonest();
        fired
    }

    fn advance_to(&mut self, now: u64, budget: usize, mut fire: impl FnMut(u32)) -> usize {
        let mut fired = 0;
        for _ in 0..budget {
            let Some(place) = self.first().filter(|place| place.start(self.elapsed) <= now) else {
                // Nothing is due up to `now`, so no timer changes its place by this step.
                self.elapsed = self.elapsed.max(now);
                return fired;
            };
            self.elapsed = self.elapsed.max(place.start(self.elapsed));
            let index = self.lists[place.index()].head;
            self.unlink(index);
            if place.level == 0 {
                if let Some(timer) = self.timers.key_at(index).and_then(|id| self.timers.remove(id)) {
                    fired += 1;
                    fire(timer.key);
                }
            } else {
                self.cascading = (self.lists[place.index()].head != NONE).then_some(place);
                if let Some(timer) = self.timers.at_mut(index) {
                    timer.place = Place::of(timer.due, self.elapsed);
                    self.link(index);
                }
            }
        }
        fired
    }

    /// When to call [`Wheel::advance`] next: not later than the next timer fires, `None` if none is set.
    ///
    /// Exact unless a timer that shared a slot with the next one was cancelled, or work was left over by a budget.
    #[inline]
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        debug_assert_eq!(self.next, self.soonest(), "it was kept");
        (self.next != NEVER).then(|| Time::from_nanos(self.next << TICK_SHIFT))
    }

    /// The tick of the next deadline.
    fn soonest(&self) -> u64 {
        match self.first() {
            None => NEVER,
            Some(place) if self.cascading == Some(place) => self.elapsed,
            Some(place) => self.lists[place.index()].earliest,
        }
    }

    /// The slot that is due first.
    #[expect(clippy::cast_possible_truncation, reason = "there are nine levels and 64 slots")]
    fn first(&self) -> Option<Place> {
        if self.cascading.is_some() {
            return self.cascading;
        }
        let level = self.occupied.iter().position(|slots| *slots != 0)?;
        Some(Place { level: level as u8, slot: self.occupied[level].trailing_zeros() as u8 })
    }

    /// Appends a timer to the list of its place.
    fn link(&mut self, index: u32) {
        let Some(timer) = self.timers.at_mut(index) else { return };
        let place = timer.place;
        let list = &mut self.lists[place.index()];
        let tail = list.tail;
        timer.previous = tail;
        timer.next = NONE;
        list.tail = index;
        list.earliest = list.earliest.min(timer.due);
        if tail == NONE {
            list.head = index;
            self.occupied[usize::from(place.level)] |= 1 << place.slot;
        } else if let Some(before) = self.timers.at_mut(tail) {
            before.next = index;
        }
    }

    /// Takes a timer out of the list of its place. True: that is empty now.
    fn unlink(&mut self, index: u32) -> bool {
        let Some(&Timer { previous, next, place, .. }) = self.timers.at(index) else { return false };
        let list = &mut self.lists[place.index()];
        match self.timers.at_mut(previous) {
            Some(before) => before.next = next,
            None => list.head = next,
        }
        match self.timers.at_mut(next) {
            Some(after) => after.previous = previous,
            None => list.tail = previous,
        }
        if list.head != NONE {
            return false;
        }
        *list = EMPTY;
        self.occupied[usize::from(place.level)] &= !(1 << place.slot);
        if self.cascading == Some(place) {
            self.cascading = None;
        }
        true
    }
}
