// SPDX-License-Identifier: MIT OR Apache-2.0
//! The scoreboard (RFC 6675 section 3): what was sent and is not acknowledged, as records in the order of their numbers, and
//! how much of it is selectively acknowledged, lost, or under way a second time.
//!
//! What must always hold: the records cover SND.UNA to SND.NXT without gap or overlap; the sums are those of the records; a
//! record that is selectively acknowledged is neither lost nor under way. An ACK costs what it acknowledges, and a block that
//! was seen before costs next to nothing: a run of acknowledged records is stepped over at once.

mod cut;
mod losses;
mod probe;
mod sacked;

pub use losses::Judgment;

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use runtime::time::Time;

use crate::limits::{TCP_RECORDS_KEPT, TCP_RECORDS_MAX};
use crate::tcp::rate::Stamp;
use crate::tcp::seq::Seq;

/// What is known of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks(u8);

impl Marks {
    /// Nothing: it was sent once.
    pub const NONE: Self = Self(0);
    /// Selectively acknowledged.
    pub const SACKED: Self = Self(1);
    /// Thought lost: that which was sent first, if it is under way again.
    pub const LOST: Self = Self(2);
    /// Under way a second time.
    pub const RESENT: Self = Self(4);
    /// Was sent again at some time: what an ACK of it says is ambiguous (Karn).
    pub const EVER_RESENT: Self = Self(8);
    /// Left as a probe of the path: one segment, longer than the others.
    pub const PROBE: Self = Self(16);

    #[inline]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    const fn set(&mut self, other: Self) {
        self.0 |= other.0;
    }

    const fn clear(&mut self, other: Self) {
        self.0 &= !other.0;
    }

    /// Whether it waits to be sent again.
    const fn is_waiting(self) -> bool {
        self.0 & (Self::LOST.0 | Self::RESENT.0) == Self::LOST.0
    }
}

/// Bytes that left together.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    pub start: Seq,
    pub end: Seq,
    /// When it left the last time.
    pub sent: Time,
    /// What had been delivered then.
    pub stamp: Stamp,
    pub marks: Marks,
    /// How many records from here on are selectively acknowledged in a row, at least.
    run: u32,
}

impl Record {
    #[inline]
    pub const fn len(&self) -> u32 {
        self.end.since(self.start)
    }
}

/// What was sent again at once, in the order of time.
#[derive(Clone, Copy, Debug)]
struct Resent {
    start: Seq,
    end: Seq,
    sent: Time,
}

/// All records of a connection.
#[derive(Debug)]
pub struct Board {
    records: VecDeque<Record>,
    /// How many records were taken from the front: places count from there, so that they stay as they are.
    taken: u32,
    /// What was sent again, oldest first; some of it may be settled already. Not there before anything is.
    #[expect(clippy::box_collection, reason = "most connections never have one, and pay a pointer for it")]
    copies: Option<Box<VecDeque<Resent>>>,
    sacked: u32,
    sacked_records: u32,
    lost: u32,
    resent: u32,
    /// Of what is lost, what is not under way again.
    waiting: u32,
    /// The place before which each record is selectively acknowledged, lost or was sent again.
    judged: u32,
    /// The place before which no record waits to be sent again.
    resume: u32,
    /// Behind the last number that was selectively acknowledged.
    highest: Seq,
}

impl Board {
    pub const fn new(una: Seq) -> Self {
        Self {
            records: VecDeque::new(),
            taken: 0,
            copies: None,
            sacked: 0,
            sacked_records: 0,
            lost: 0,
            resent: 0,
            waiting: 0,
            judged: 0,
            resume: 0,
            highest: una,
        }
    }

    /// Bytes selectively acknowledged.
    #[inline]
    pub const fn sacked(&self) -> u32 {
        self.sacked
    }

    /// Bytes thought lost, whether they are under way again or not.
    #[inline]
    pub const fn lost(&self) -> u32 {
        self.lost
    }

    /// Bytes under way a second time.
    #[inline]
    pub const fn copied(&self) -> u32 {
        self.resent
    }

    /// Bytes that wait to be sent again.
    #[inline]
    pub const fn waiting(&self) -> u32 {
        self.waiting
    }

    /// Whether nothing is out of the ordinary.
    #[inline]
    pub const fn is_calm(&self) -> bool {
        self.sacked | self.lost | self.resent == 0
    }

    /// Whether three segments are selectively acknowledged (RFC 8985 section 6.2, DupThresh).
    pub const fn has_three_sacked(&self, mss: u32) -> bool {
        self.sacked_records >= 3 || self.sacked > mss.saturating_mul(2)
    }

    /// Whether the first record is selectively acknowledged: the peer would have acknowledged it, so it has thrown it away
    /// (RFC 2018 section 8).
    pub fn has_reneged(&self) -> bool {
        self.records.front().is_some_and(|first| first.marks.has(Marks::SACKED))
    }

    /// Whether nothing more should be sent, since there are so many records.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.records.len() >= TCP_RECORDS_MAX
    }

    /// Where the last segment begins.
    pub fn last_segment(&self, mss: u32) -> Option<Seq> {
        let last = self.records.back()?;
        let whole = (last.len() - 1) / mss * mss;
        Some(last.start + whole)
    }

    /// Bytes left for the first time.
    #[inline]
    pub fn push(&mut self, start: Seq, end: Seq, sent: Time, stamp: Stamp) {
        if self.records.capacity() == 0 {
            self.begin();
        }
        self.records.push_back(Record { start, end, sent, stamp, marks: Marks::NONE, run: 0 });
    }

    /// Many connections never have more than one record: the first place is one, and only then are there several.
    #[cold]
    fn begin(&mut self) {
        self.records.reserve_exact(1);
    }

    /// All before `ack` is acknowledged. `each` is told the record and how many bytes of it, those selectively acknowledged
    /// before included.
    pub fn acknowledge(&mut self, ack: Seq, mut each: impl FnMut(&Record, Seq, u32)) {
        while let Some(first) = self.records.front_mut() {
            if !first.start.is_before(ack) {
                break;
            }
            let end = first.end.min(ack);
            let bytes = end.since(first.start);
            each(first, end, bytes);
            let marks = first.marks;
            let is_whole = end == first.end;
            if is_whole {
                self.records.pop_front();
                self.taken = self.taken.wrapping_add(1);
            } else {
                first.start = end;
            }
            if marks != Marks::NONE {
                self.settle(marks, bytes);
                self.sacked_records -= u32::from(is_whole && marks.has(Marks::SACKED));
            }
            if !is_whole {
                break;
            }
        }
    }

    /// The same where nothing is selectively acknowledged, lost or under way twice. Gives when the first and the last left, if all of
    /// it was sent once.
    #[inline]
    pub fn acknowledge_in_order(&mut self, ack: Seq) -> Option<(Time, Time)> {
        let mut times = None;
        let mut marks = Marks::NONE;
        while let Some(first) = self.records.front_mut() {
            if !first.start.is_before(ack) {
                break;
            }
            marks.set(first.marks);
            times = Some((times.map_or(first.sent, |(earliest, _)| earliest), first.sent));
            if ack.is_before(first.end) {
                first.start = ack;
                break;
            }
            self.records.pop_front();
            self.taken = self.taken.wrapping_add(1);
        }
        if marks == Marks::NONE { times } else { None }
    }

    /// Bytes with these marks are no longer there, or no longer so.
    fn settle(&mut self, marks: Marks, bytes: u32) {
        if marks.has(Marks::SACKED) {
            self.sacked -= bytes;
        }
        if marks.has(Marks::LOST) {
            self.lost -= bytes;
        }
        if marks.has(Marks::RESENT) {
            self.resent -= bytes;
        }
        if marks.is_waiting() {
            self.waiting -= bytes;
        }
    }

    /// The place of a record as an index into the deque; the first if it was taken, however long ago.
    #[inline]
    fn index(&self, place: u32) -> usize {
        let index = place.wrapping_sub(self.taken) as usize;
        if index > self.records.len() { 0 } else { index }
    }

    #[inline]
    fn place(&self, index: usize) -> u32 {
        self.taken.wrapping_add(index as u32)
    }

    /// The index of the record in which `seq` lies, or of the next one.
    fn find(&self, seq: Seq) -> usize {
        self.records.partition_point(|record| !record.end.is_behind(seq))
    }

    /// Whether memory is held that an idle connection should not hold.
    #[inline]
    pub fn is_large(&self) -> bool {
        self.records.capacity() > TCP_RECORDS_KEPT || self.copies.is_some()
    }

    /// Gives memory back, if there is nothing in it.
    #[cold]
    pub fn release(&mut self) {
        if self.records.is_empty() {
            self.copies = None;
            self.records.shrink_to(TCP_RECORDS_KEPT);
        }
    }

    /// The records, first to last.
    #[cfg(test)]
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.iter()
    }

    /// Whether sums and records agree, counted anew.
    #[cfg(test)]
    pub fn check(&self, una: Seq, next: Seq) {
        let (mut sacked, mut lost, mut resent, mut waiting, mut count, mut at) = (0, 0, 0, 0, 0, una);
        for (index, record) in self.records.iter().enumerate() {
            assert_eq!(record.start, at, "a gap or an overlap");
            assert!(record.start.is_before(record.end), "an empty record");
            at = record.end;
            let is = |mark| if record.marks.has(mark) { record.len() } else { 0 };
            sacked += is(Marks::SACKED);
            lost += is(Marks::LOST);
            resent += is(Marks::RESENT);
            waiting += if record.marks.is_waiting() { record.len() } else { 0 };
            if record.marks.has(Marks::SACKED) {
                count += 1;
                assert!(!record.marks.has(Marks::LOST) && !record.marks.has(Marks::RESENT));
                for other in self.records.range(index..index + record.run.max(1) as usize) {
                    assert!(other.marks.has(Marks::SACKED), "a run that is none");
                }
            }
            if index < self.index(self.judged) {
                let is_known = [Marks::SACKED, Marks::LOST, Marks::RESENT].iter().any(|&mark| record.marks.has(mark));
                assert!(is_known, "a record that nobody would look at");
            }
            if index < self.index(self.resume) {
                assert!(!record.marks.is_waiting(), "a record that nobody would send again");
            }
        }
        assert_eq!(at, next);
        let sums = (self.sacked, self.lost, self.resent, self.waiting, self.sacked_records);
        assert_eq!(sums, (sacked, lost, resent, waiting, count));
    }
}
