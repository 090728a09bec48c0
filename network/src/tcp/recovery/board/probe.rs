// SPDX-License-Identifier: MIT OR Apache-2.0
//! Probes of the path on the scoreboard (RFC 4821 section 7): one record each, longer than a segment. It is cut only when it leaves
//! again, in segments that fit; its parts keep the mark.

use super::{Board, Marks, Record};
use crate::tcp::seq::Seq;

impl Record {
    /// Whether it is a probe that left once, so that its size may be why it is lost.
    pub const fn is_probe(&self) -> bool {
        self.is_of_probe() && !self.marks.has(Marks::EVER_RESENT)
    }

    /// Whether it is a probe, or a part of one that has left again.
    pub const fn is_of_probe(&self) -> bool {
        self.marks.has(Marks::PROBE)
    }
}

impl Board {
    /// What left last was a probe.
    #[cold]
    pub fn mark_probe(&mut self) {
        if let Some(last) = self.records.back_mut() {
            last.marks.set(Marks::PROBE);
        }
    }

    /// Whether what is missing first is a probe, or a part of one.
    pub fn begins_with_probe(&self) -> bool {
        self.records.front().is_some_and(Record::is_of_probe)
    }

    /// Whether what begins there is lost, or was sent again because it was.
    #[cold]
    pub fn is_lost(&self, start: Seq) -> bool {
        let record = self.records.get(self.find(start));
        record.is_some_and(|record| record.marks.has(Marks::LOST) || record.marks.has(Marks::EVER_RESENT))
    }

    /// The probe with these numbers is lost, as somebody says who has seen it. Gives whether that is news.
    #[cold]
    pub fn lose_probe(&mut self, start: Seq, end: Seq) -> bool {
        let before = self.lost;
        let mut index = self.find(start);
        while let Some(record) = self.records.get(index)
            && record.start.is_before(end)
        {
            if record.is_probe() {
                self.mark_lost(index, &mut |_| {});
            }
            index += 1;
        }
        self.lost != before
    }
}
