// SPDX-License-Identifier: MIT OR Apache-2.0
//! The SACK blocks of an ACK: which of them can be believed, and which of them says that something came twice (RFC 2883
//! section 4).

use arrayvec::ArrayVec;

use crate::tcp::seq::Seq;
use crate::wire::tcp::SackBlock;

/// Blocks that an option has room for (RFC 2018 section 3).
const BLOCKS: usize = 4;

/// What the blocks say.
#[derive(Clone, Debug, Default)]
pub struct Blocks {
    /// What is acknowledged beyond `una`, lowest first, so that order on the path is judged rightly.
    pub ranges: ArrayVec<(Seq, Seq), BLOCKS>,
    /// What came twice.
    pub twice: Option<(Seq, Seq)>,
}

/// Reads blocks of an ACK of `ack`. What lies outside of `una..next` is left out: it says nothing of what is under way.
pub fn read(blocks: &[SackBlock], ack: Seq, una: Seq, next: Seq) -> Blocks {
    let mut read = Blocks::default();
    for (index, block) in blocks.iter().take(BLOCKS).enumerate() {
        let (start, end) = (Seq(block.start), Seq(block.end));
        if !start.is_before(end) || end.is_behind(next) {
            continue;
        }
        if index == 0 {
            let is_within = |second: &SackBlock| {
                !start.is_before(Seq(second.start))
                    && !end.is_behind(Seq(second.end))
                    && Seq(second.start).is_behind(ack)
            };
            if !end.is_behind(ack) || blocks.get(1).is_some_and(is_within) {
                read.twice = Some((start, end));
                continue;
            }
        }
        // The byte at the left edge is missing, else the edge would not be there (RFC 2018 section 3).
        if start.is_behind(una) && start.is_behind(ack) {
            let at = read.ranges.iter().position(|&(other, _)| start.is_before(other)).unwrap_or(read.ranges.len());
            read.ranges.insert(at, (start, end));
        }
    }
    read
}
