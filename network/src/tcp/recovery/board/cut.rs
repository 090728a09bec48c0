// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cutting a record in two. A cut costs a move of the records behind it; records of one segment are never cut by what a peer
//! says, so that there are at most as many as segments. What is selectively acknowledged is never cut: runs stay whole.

use super::{Board, Marks};
use crate::limits::TCP_RECORDS_MAX;
use crate::tcp::seq::Seq;

impl Board {
    /// Makes two records of one that reaches over `at`; false if there are too many already, or nothing to cut.
    pub(super) fn cut(&mut self, index: usize, at: Seq) -> bool {
        if self.records.len() >= TCP_RECORDS_MAX * 2 {
            return false;
        }
        let Some(record) = self.records.get_mut(index) else { return false };
        if record.marks.has(Marks::SACKED) || !at.is_behind(record.start) || !at.is_before(record.end) {
            return false;
        }
        let mut rest = *record;
        rest.start = at;
        record.end = at;
        self.records.insert(index + 1, rest);
        if self.index(self.judged) > index {
            self.judged = self.judged.wrapping_add(1);
        }
        if self.index(self.resume) > index {
            self.resume = self.resume.wrapping_add(1);
        }
        true
    }
}
