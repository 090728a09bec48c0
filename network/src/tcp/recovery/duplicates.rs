// SPDX-License-Identifier: MIT OR Apache-2.0
//! Duplicate acknowledgments (RFC 5681 section 2): with SACK but without RACK three of them show a loss (RFC 6675 section 5);
//! without SACK each also stands for a segment that has arrived (RFC 5681 section 3.2, RFC 6582).

/// After so many something is lost (DupThresh).
const THRESHOLD: u8 = 3;

/// What was counted since the left edge has moved.
#[derive(Clone, Copy, Debug, Default)]
pub struct Duplicates {
    count: u8,
    /// Bytes that they stand for, without SACK.
    bytes: u32,
}

impl Duplicates {
    #[inline]
    pub const fn is_none(self) -> bool {
        self.count == 0 && self.bytes == 0
    }

    /// Bytes that have arrived behind a gap.
    #[inline]
    pub const fn bytes(self) -> u32 {
        self.bytes
    }

    /// Whether they show a loss.
    pub const fn is_enough(self) -> bool {
        self.count >= THRESHOLD
    }

    /// One came, with SACK.
    pub const fn came(&mut self) {
        self.count = self.count.saturating_add(1);
    }

    /// One came, without SACK; `most` is what of all that is not acknowledged may have arrived. Gives the bytes that it stands for.
    pub fn stands_for(&mut self, mss: u32, most: u32) -> u32 {
        self.came();
        let before = self.bytes;
        self.bytes = before.saturating_add(mss).min(most).max(before);
        self.bytes - before
    }

    /// The left edge has moved: what was counted behind a gap is acknowledged now, but for the segment in the gap. Gives how
    /// many of those bytes had been counted.
    pub fn moved(&mut self, acked: u32, mss: u32, most: u32, in_recovery: bool) -> u32 {
        let before = self.bytes;
        self.count = 0;
        self.bytes = if in_recovery { before.saturating_sub(acked.saturating_sub(mss)) } else { 0 };
        self.bytes = self.bytes.min(most);
        (before - self.bytes).min(acked)
    }

    /// No more than so many bytes can have arrived.
    pub fn bound(&mut self, most: u32) {
        self.bytes = self.bytes.min(most);
    }

    /// None was.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}
