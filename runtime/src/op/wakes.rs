// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which queues' directions can go on: one bit each, found by bit scan over words, with a word of words above them.

use super::Direction;
use crate::transport::QueueId;

/// Bits of woken queues and directions. For one thread; other threads go through the reactor.
#[derive(Debug, Default)]
pub struct Wakes {
    /// Bit i: `words[i]` is not zero, for 64 words each.
    summary: Vec<u64>,
    /// Bit 2q is queue q's [`Direction::Push`], bit 2q + 1 its [`Direction::Pop`].
    words: Vec<u64>,
    /// The bit behind the one that was taken last: the next scan starts there, so that no queue waits for ever.
    cursor: usize,
}

impl Wakes {
    /// Room for the queues `0..queues`. Called when the queue table grows.
    pub fn grow(&mut self, queues: usize) {
        let words = (queues * 2).div_ceil(64);
        if words > self.words.len() {
            self.words.resize(words, 0);
            self.summary.resize(words.div_ceil(64), 0);
        }
    }

    /// The queue's operation in this direction shall be tried again. Unknown queues are ignored.
    #[inline]
    pub fn wake(&mut self, queue: QueueId, direction: Direction) {
        let bit = queue as usize * 2 + direction as usize;
        let word = bit / 64;
        if let Some(w) = self.words.get_mut(word) {
            *w |= 1 << (bit % 64);
            self.summary[word / 64] |= 1 << (word % 64);
        }
    }

    /// Whether nothing is woken.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.summary.iter().all(|&word| word == 0)
    }

    /// Takes one woken queue and direction, going round.
    #[inline]
    pub fn take(&mut self) -> Option<(QueueId, Direction)> {
        if self.is_empty() {
            return None;
        }
        let (word, bit) = self.next_bit()?;
        self.words[word] &= !(1 << bit);
        if self.words[word] == 0 {
            self.summary[word / 64] &= !(1 << (word % 64));
        }
        self.cursor = word * 64 + bit + 1;
        let direction = if bit.is_multiple_of(2) { Direction::Push } else { Direction::Pop };
        Some(((word * 64 + bit) as u32 / 2, direction))
    }

    /// The first set bit at or behind the cursor, going round.
    #[inline]
    fn next_bit(&self) -> Option<(usize, usize)> {
        let (word, shift) = (self.cursor / 64, self.cursor % 64);
        let rest = self.words.get(word).map_or(0, |bits| bits & (u64::MAX << shift));
        if rest != 0 {
            return Some((word, rest.trailing_zeros() as usize));
        }
        let word = self.next_word(word + 1)?;
        Some((word, self.words[word].trailing_zeros() as usize))
    }

    /// The first word with a set bit at or behind this one, going round.
    fn next_word(&self, start: usize) -> Option<usize> {
        let start = if start < self.words.len() { start } else { 0 };
        let (from, shift) = (start / 64, start % 64);
        let first = self.summary[from] & (u64::MAX << shift);
        if first != 0 {
            return Some(from * 64 + first.trailing_zeros() as usize);
        }
        let groups = self.summary.len();
        (1..=groups)
            .map(|step| (from + step) % groups)
            .find(|&group| self.summary[group] != 0)
            .map(|group| group * 64 + self.summary[group].trailing_zeros() as usize)
    }
}
