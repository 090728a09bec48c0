// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reassembly: what has come early, as ranges of the stream with holes between them (RFC 9293 section 3.10.7.4, "segments with
//! higher beginning sequence numbers should be held").
//!
//! What must always hold: the ranges are in order, none is empty, and between two lies at least one byte that is missing; of
//! bytes that come twice the first ones stay, unless the others stand in a segment that has more on both sides of them.

use alloc::collections::VecDeque;

use runtime::buf::Chain;

use super::sparse;
use crate::limits::TCP_RANGES_MAX;
use crate::tcp::seq::Seq;

/// A piece of the stream, `start..end`.
#[derive(Debug)]
pub(super) struct Range {
    pub start: Seq,
    pub end: Seq,
    data: Chain,
}

/// What became of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It is here.
    Held,
    /// It was here, all of it.
    Duplicate,
    /// There is no room for it.
    Refused,
}

/// The first part of a piece that had come before, `start..end`.
pub(super) type Twice = Option<(Seq, Seq)>;

#[derive(Debug, Default)]
pub(super) struct Assembler {
    ranges: VecDeque<Range>,
    held: Held,
}

/// What chains hold together.
#[derive(Debug, Default)]
struct Held {
    memory: usize,
    segments: usize,
}

impl Held {
    fn add(&mut self, chain: &Chain) {
        self.memory += chain.memory();
        self.segments += chain.segments();
    }

    /// One that was added as it is now.
    fn sub(&mut self, chain: &Chain) {
        self.memory -= chain.memory();
        self.segments -= chain.segments();
    }
}

impl Assembler {
    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Bytes of the blocks that are held.
    pub const fn memory(&self) -> usize {
        self.held.memory
    }

    /// Buffers that are held.
    pub const fn segments(&self) -> usize {
        self.held.segments
    }

    /// [`segments`](Self::segments), counted.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.ranges.iter().map(|range| range.data.iter().count()).sum()
    }

    /// The ranges in order.
    pub fn iter(&self) -> impl Iterator<Item = &Range> {
        self.ranges.iter()
    }

    /// The range that a number lies in.
    pub fn find(&self, seq: Seq) -> Option<&Range> {
        self.ranges.get(self.place(seq + 1)).filter(|range| !range.start.is_behind(seq))
    }

    /// The first range that ends at this number or behind it.
    fn place(&self, seq: Seq) -> usize {
        match self.ranges.back() {
            // Mostly what comes follows what came last.
            Some(last) if last.start.is_before(seq) && !last.end.is_before(seq) => self.ranges.len() - 1,
            _ => self.ranges.partition_point(|range| range.end.is_before(seq)),
        }
    }

    /// Takes in a piece that begins at `start`. `room`: bytes of memory that may be held more.
    pub fn put(&mut self, start: Seq, mut data: Chain, room: usize) -> (Put, Twice) {
        let mut end = start + data.len() as u32;
        let at = self.place(start);
        let mut twice = None;
        // What it continues or overlaps at its front.
        let joined = self.ranges.get(at).filter(|range| !range.start.is_behind(start)).map(|range| range.end);
        if let Some(held) = joined {
            if !end.is_behind(held) {
                return (Put::Duplicate, Some((start, end)));
            }
            if held.is_behind(start) {
                twice = Some((start, held));
                data.trim_front(held.since(start) as usize);
            }
        }
        // Those behind that it reaches.
        let first = at + usize::from(joined.is_some());
        let mut covered = first;
        while let Some(range) = self.ranges.get(covered).filter(|range| !range.start.is_behind(end)) {
            let common = range.end.min(end);
            if common.is_behind(range.start) {
                twice = twice.or(Some((range.start, common)));
            }
            if range.end.is_behind(end) {
                data.truncate(data.len().saturating_sub(end.since(range.start) as usize));
                end = range.start;
                break;
            }
            covered += 1;
        }
        let reaches = self.ranges.get(covered).is_some_and(|range| range.start == end);
        let gone = covered - first;
        let grows = joined.is_none() && !reaches && gone == 0;
        if grows && self.ranges.len() >= TCP_RANGES_MAX {
            return (Put::Refused, twice);
        }
        let before = joined.is_some().then(|| self.ranges.get_mut(at)).flatten();
        if data.memory() > room {
            // A few bytes may fit behind those that are there.
            let copied = before.is_some_and(|range| sparse::copy_behind(&mut range.data, &data));
            if !copied {
                return (Put::Refused, twice);
            }
            data = Chain::new();
        } else if let Some(range) = before {
            self.held.sub(&range.data);
            sparse::attach(&mut range.data, core::mem::take(&mut data));
            self.held.add(&range.data);
        } else {
            self.held.add(&data);
        }
        for range in self.ranges.drain(first..covered) {
            self.held.sub(&range.data);
        }
        // What is left of `data` begins a range of its own; then the last that was reached is put behind.
        let behind = if reaches { self.ranges.remove(first) } else { None };
        if joined.is_none() {
            self.ranges.insert(at, Range { start, end, data });
        }
        if let Some(range) = self.ranges.get_mut(at) {
            range.end = end;
            if let Some(behind) = behind {
                range.end = behind.end;
                range.data.append(behind.data);
            }
        }
        (Put::Held, twice)
    }

    /// A piece `..end` has come in order, `data`, which is cut where something is held already; what then follows it is put
    /// behind. Says where the stream goes on.
    pub fn join(&mut self, data: &mut Chain, end: Seq) -> (Seq, Twice) {
        let mut twice = None;
        while let Some(range) = self.ranges.front().filter(|range| !range.start.is_behind(end)) {
            let common = range.end.min(end);
            if common.is_behind(range.start) {
                twice = twice.or(Some((range.start, common)));
            }
            let Some(range) = self.ranges.pop_front() else { break };
            self.held.sub(&range.data);
            if range.end.is_behind(end) {
                data.truncate(data.len().saturating_sub(end.since(range.start) as usize));
                data.append(range.data);
                return (range.end, twice);
            }
        }
        (end, twice)
    }

    /// Gives up what lies farthest ahead until no more than `most` bytes of memory are held. The peer sends it again: it may
    /// not rely on what was acknowledged selectively (RFC 2018 section 8).
    pub fn shrink(&mut self, most: usize) {
        while self.held.memory > most
            && let Some(range) = self.ranges.pop_back()
        {
            self.held.sub(&range.data);
        }
    }

    /// Gives up the ranges that reach behind the stream's end.
    pub fn end_at(&mut self, end: Seq) {
        while let Some(range) = self.ranges.pop_back_if(|range| range.end.is_behind(end)) {
            self.held.sub(&range.data);
        }
    }
}
