// SPDX-License-Identifier: MIT OR Apache-2.0
//! What SACK blocks do to the scoreboard (RFC 6675 section 4, `Update()`), and what happens when the peer takes them back.
//!
//! A record counts as acknowledged in whole segments: a block that begins or ends within one does not count for that one, as
//! honest peers acknowledge what they got.

use super::{Board, Marks, Record};
use crate::tcp::seq::Seq;

impl Board {
    /// `start..end` lies between SND.UNA and SND.NXT and is acknowledged. `each` is told the records for which that is new.
    pub fn sack(&mut self, start: Seq, end: Seq, mss: u32, mut each: impl FnMut(&Record, Seq, u32)) {
        let mut index = self.find(start);
        if let Some(record) = self.records.get(index)
            && record.start.is_before(start)
            && !record.marks.has(Marks::SACKED)
        {
            // Up to the next segment, which is in the next record if this is of one segment.
            let at = record.start + start.since(record.start).div_ceil(mss).saturating_mul(mss);
            self.cut(index, at);
            index += 1;
        }
        let first = index;
        while let Some(record) = self.records.get(index) {
            if !record.start.is_before(end) {
                break;
            }
            if record.marks.has(Marks::SACKED) {
                index += record.run.max(1) as usize;
                continue;
            }
            if record.end.is_behind(end) {
                // Down to the end of a segment.
                let at = record.start + end.since(record.start) / mss * mss;
                if !self.cut(index, at) {
                    break;
                }
            }
            let Some(record) = self.records.get_mut(index) else { break };
            let (marks, bytes, until) = (record.marks, record.len(), record.end);
            each(record, until, bytes);
            record.marks.clear(Marks::LOST);
            record.marks.clear(Marks::RESENT);
            record.marks.set(Marks::SACKED);
            record.run = 1;
            self.settle(marks, bytes);
            // What was the highest before the last gap may be half of the circle away.
            self.highest = if self.sacked == 0 { until } else { self.highest.max(until) };
            self.sacked += bytes;
            self.sacked_records += 1;
            index += 1;
        }
        // The next block that begins here steps over them at once.
        if let Some(record) = self.records.get_mut(first)
            && record.marks.has(Marks::SACKED)
        {
            record.run = record.run.max((index - first) as u32);
        }
    }

    /// The peer has thrown away what it had acknowledged selectively, or may have: nothing is any more (RFC 2018 section 8).
    #[cold]
    pub fn forget_sacked(&mut self, una: Seq) {
        for record in &mut self.records {
            record.marks.clear(Marks::SACKED);
            record.run = 0;
        }
        self.sacked = 0;
        self.sacked_records = 0;
        self.highest = una;
        self.judged = self.taken;
    }

    /// Behind the last number of which it holds that three segments behind it are selectively acknowledged (RFC 6675 section
    /// 4, `IsLost()`): three runs, or more than two segments' bytes.
    pub(super) fn three_above(&self, mss: u32) -> Option<Seq> {
        let (mut bytes, mut runs, mut in_run) = (0_u32, 0, false);
        let above = self.find(self.highest);
        for record in self.records.range(..above.min(self.records.len())).rev() {
            let sacked = record.marks.has(Marks::SACKED);
            if sacked {
                bytes = bytes.saturating_add(record.len());
                runs += u32::from(!in_run);
                if runs >= 3 || bytes > mss.saturating_mul(2) {
                    return Some(record.start);
                }
            }
            in_run = sacked;
        }
        None
    }
}
