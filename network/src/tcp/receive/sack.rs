// SPDX-License-Identifier: MIT OR Apache-2.0
//! SACK blocks: what is told to the peer about what has come early (RFC 2018) or twice (RFC 2883).
//!
//! What must always hold: a block is what is held at that moment, whole, its neighbours on both sides missing; the first but
//! a D-SACK is the one that came last; what came twice is told once.

use arrayvec::ArrayVec;

use super::assembler::Assembler;
use crate::tcp::seq::Seq;
use crate::wire::tcp::SackBlock;
use crate::wire::tcp::options::SACK_BLOCKS_MAX;

/// The blocks of one segment.
pub type SackBlocks = ArrayVec<SackBlock, SACK_BLOCKS_MAX>;

/// A number in each range in which something came last, the most recent first.
#[derive(Debug, Default)]
pub(super) struct Recent(ArrayVec<Seq, SACK_BLOCKS_MAX>);

impl Recent {
    /// Something has come in the range that has this number (RFC 2018 section 4: its block goes first).
    pub fn touch(&mut self, seq: Seq, assembler: &Assembler) {
        let Some(range) = assembler.find(seq) else { return };
        let (start, end) = (range.start, range.end);
        if self.0.first().is_some_and(|first| first.is_in(start, end)) {
            return;
        }
        // Ranges that have grown together are one, and those whose bytes are in order are none any more.
        self.0.retain(|other| !other.is_in(start, end) && assembler.find(*other).is_some());
        if self.0.is_full() {
            self.0.pop();
        }
        self.0.insert(0, seq);
    }

    /// Puts the blocks behind those that are there, up to `room` of them, the most recent first, then others as far as there is
    /// room (section 4: as many as possible). `end`: the FIN's number, if that has come.
    pub fn blocks(&self, assembler: &Assembler, end: Option<Seq>, room: usize, blocks: &mut SackBlocks) {
        let first = blocks.len();
        let recent = self.0.iter().filter_map(|seq| assembler.find(*seq));
        for range in recent.chain(assembler.iter().take(2 * SACK_BLOCKS_MAX)) {
            if blocks.len() >= room.min(SACK_BLOCKS_MAX) {
                return;
            }
            // The FIN is held with the bytes in front of it.
            let fin = u32::from(end == Some(range.end));
            let block = SackBlock { start: range.start.0, end: (range.end + fin).0 };
            if !blocks.iter().skip(first).any(|other| *other == block) {
                blocks.push(block);
            }
        }
    }
}
