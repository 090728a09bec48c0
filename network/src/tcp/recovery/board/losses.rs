// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is lost, and what of it is to be sent again next.
//!
//! Losses are looked for in the order of time: what was sent once stands in the order of its numbers, and what was sent again
//! in a queue of its own. Both are looked at from where the last look ended, and only as far as something is due.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use runtime::time::Time;

use super::{Board, Marks, Record, Resent};
use crate::tcp::rate::Stamp;
use crate::tcp::seq::Seq;

/// Who is told of each record that is found lost, before it is marked.
pub type Tell<'a> = &'a mut dyn FnMut(&Record);

/// What a look at a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgment {
    /// It is lost.
    Lost,
    /// It will be lost then, if nothing comes.
    At(Time),
    /// Nothing can be said of it, nor of those that were sent after it.
    Open,
}

impl Board {
    /// Looks at what was sent once. Gives when to look again, if that is known.
    pub fn judge(&mut self, judge: impl Fn(&Record) -> Judgment, tell: Tell<'_>) -> Option<Time> {
        let mut index = self.index(self.judged);
        let mut again = None;
        while let Some(record) = self.records.get(index) {
            if record.marks.has(Marks::SACKED) {
                index += record.run.max(1) as usize;
                continue;
            }
            if !record.marks.has(Marks::LOST) && !record.marks.has(Marks::RESENT) {
                match judge(record) {
                    Judgment::Lost => self.mark_lost(index, tell),
                    Judgment::At(time) => {
                        again = Some(time);
                        break;
                    }
                    Judgment::Open => break,
                }
            }
            index += 1;
        }
        self.judged = self.place(index.min(self.records.len()));
        again
    }

    /// Looks at what was sent again, in the order in which that left.
    pub fn judge_copies(&mut self, judge: impl Fn(&Record) -> Judgment, tell: Tell<'_>) -> Option<Time> {
        while let Some(&copy) = self.copies.as_ref().and_then(|copies| copies.front()) {
            let mut index = self.find(copy.start);
            while let Some(record) = self.records.get(index)
                && record.start.is_before(copy.end)
            {
                // What is acknowledged meanwhile, or was sent once more, is no matter of this copy.
                if record.marks.has(Marks::RESENT) && record.sent == copy.sent {
                    match judge(record) {
                        Judgment::Lost => self.mark_lost(index, tell),
                        Judgment::At(time) => return Some(time),
                        Judgment::Open => return None,
                    }
                }
                index += 1;
            }
            if let Some(copies) = &mut self.copies {
                copies.pop_front();
            }
        }
        None
    }

    /// What was sent of the record is lost, each time.
    pub(super) fn mark_lost(&mut self, index: usize, tell: Tell<'_>) {
        let Some(record) = self.records.get_mut(index) else { return };
        if record.marks.has(Marks::SACKED) || record.marks.is_waiting() {
            return;
        }
        let (marks, bytes) = (record.marks, record.len());
        tell(record);
        record.marks.clear(Marks::RESENT);
        record.marks.set(Marks::LOST);
        self.settle(marks, bytes);
        self.lost += bytes;
        self.waiting += bytes;
        if index < self.index(self.resume) {
            self.resume = self.place(index);
        }
    }

    /// The first segment is lost, unless it is known to be or under way again.
    pub fn lose_first(&mut self, mss: u32, tell: Tell<'_>) {
        let Some(first) = self.records.front() else { return };
        if first.marks.has(Marks::LOST) || first.marks.has(Marks::RESENT) || first.marks.has(Marks::SACKED) {
            return;
        }
        // Of a probe all is lost: it was one segment.
        if !first.marks.has(Marks::PROBE) {
            self.cut(0, first.start + mss);
        }
        self.mark_lost(0, tell);
    }

    /// What has three segments selectively acknowledged behind it is lost (RFC 6675 section 4).
    pub fn lose_below(&mut self, mss: u32, tell: Tell<'_>) {
        let Some(below) = self.three_above(mss) else { return };
        let judge = |record: &Record| if record.end.is_behind(below) { Judgment::Open } else { Judgment::Lost };
        self.judge(judge, tell);
    }

    /// The retransmission timer ran out: the first segment is lost, and what `is_late` (RFC 8985 section 6.3).
    #[cold]
    pub fn lose_late(&mut self, mss: u32, is_late: impl Fn(&Record) -> bool, tell: Tell<'_>) {
        if let Some(first) = self.records.front() {
            self.cut(0, first.start + mss);
        }
        for index in 0..self.records.len() {
            if index == 0 || self.records.get(index).is_some_and(&is_late) {
                self.mark_lost(index, tell);
            }
        }
        self.judged = self.taken;
        self.resume = self.taken;
    }

    /// Whatever left in longer segments is lost: the path has become narrower. Gives whether anything is.
    #[cold]
    pub fn lose_longer(&mut self, mss: u32) -> bool {
        for index in 0..self.records.len() {
            if self.records.get(index).is_some_and(|record| record.len() > mss) {
                self.mark_lost(index, &mut |_| {});
            }
        }
        self.waiting != 0
    }

    /// It turned out that nothing was lost.
    #[cold]
    pub fn forget_lost(&mut self) {
        for record in &mut self.records {
            record.marks.clear(Marks::LOST);
        }
        self.lost = 0;
        self.waiting = 0;
        self.judged = self.taken;
        self.resume = self.taken;
    }

    /// What is to be sent again next: at most `mss`, of several records if they are short.
    pub fn next_lost(&mut self, mss: u32) -> Option<(Seq, Seq)> {
        if self.waiting == 0 {
            return None;
        }
        let mut index = self.index(self.resume);
        let start = loop {
            let record = self.records.get(index)?;
            if record.marks.is_waiting() {
                break record.start;
            }
            index += if record.marks.has(Marks::SACKED) { record.run.max(1) as usize } else { 1 };
        };
        self.resume = self.place(index);
        let most = start + mss;
        let mut end = start;
        while let Some(record) = self.records.get(index)
            && record.marks.is_waiting()
            && end.is_before(most)
        {
            end = record.end;
            index += 1;
        }
        Some((start, end.min(most)))
    }

    /// Those bytes have left again.
    pub fn resent(&mut self, start: Seq, end: Seq, sent: Time, stamp: Stamp) {
        let mut index = self.find(start);
        let mut any = false;
        while let Some(record) = self.records.get(index)
            && record.start.is_before(end)
        {
            if !record.marks.has(Marks::SACKED) {
                if record.start.is_before(start) && self.cut(index, start) {
                    index += 1;
                }
                // If there are too many records to cut one, all of it counts as sent again.
                self.cut(index, end);
                let Some(record) = self.records.get_mut(index) else { break };
                let (marks, bytes) = (record.marks, record.len());
                if marks.is_waiting() {
                    self.waiting -= bytes;
                }
                if !marks.has(Marks::RESENT) {
                    self.resent += bytes;
                }
                record.marks.set(Marks::RESENT);
                record.marks.set(Marks::EVER_RESENT);
                record.sent = sent;
                record.stamp = stamp;
                any = true;
            }
            index += 1;
        }
        if any {
            let copies = self.copies.get_or_insert_default();
            copies.push_back(Resent { start, end, sent });
            if copies.len() > self.records.len().saturating_mul(2).saturating_add(16) {
                self.clean_copies();
            }
        }
    }

    /// Throws away what was settled meanwhile.
    #[cold]
    fn clean_copies(&mut self) {
        let Some(copies) = self.copies.take() else { return };
        let mut kept = VecDeque::with_capacity(self.records.len());
        for copy in *copies {
            let from = self.find(copy.start);
            let open = self
                .records
                .range(from.min(self.records.len())..)
                .take_while(|record| record.start.is_before(copy.end))
                .any(|record| record.marks.has(Marks::RESENT) && record.sent == copy.sent);
            if open {
                kept.push_back(copy);
            }
        }
        self.copies = Some(Box::new(kept));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::seq::Seq;

    /// Places are counted round: one of which nothing was heard for 2 GiB of segments looks like one to come.
    #[test]
    fn a_place_of_long_ago_is_the_first() {
        let mut board = Board::new(Seq(0));
        for taken in [0, 1, 1 << 31, (1 << 31) + 1, 3 << 30, u32::MAX] {
            board.taken = taken;
            assert_eq!(board.index(0), 0, "{taken}");
            assert_eq!(board.index(board.place(0)), 0);
        }
    }
}
