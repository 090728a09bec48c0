// SPDX-License-Identifier: MIT OR Apache-2.0
//! Segments of one connection in a row, out of one burst: each is taken in as it comes, but what follows from them (the
//! acknowledgment, what may be sent now, the owner's wake-up, the timer) follows once. It is what coalescing them in front of the connection
//! would give, without a second look at their headers.
//!
//! What must always hold: a row ends with its burst, so that no call of the application and no timer meets a connection that has one; all
//! of its segments were in order and left the connection in ESTABLISHED with nothing owed to the peer but an ordinary acknowledgment.

use runtime::time::Time;

use crate::limits::TCP_ROW_MAX;
use crate::stack::Stack;

/// The index of no connection.
const NOBODY: u32 = u32::MAX;

/// The connection whose segments are taken in at the moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// Whether another frame of the burst comes behind this one; else what follows from a segment follows at once.
    goes_on: bool,
    /// The connection, or [`NOBODY`].
    index: u32,
    segments: u32,
    /// Buffers that they have brought, which are not among those held yet.
    pub buffers: u32,
}

impl Row {
    pub const NONE: Self = Self { goes_on: false, index: NOBODY, segments: 0, buffers: 0 };
}

impl Stack {
    /// Whether there is another frame behind the one that is taken in next.
    #[inline]
    pub(in crate::stack) fn row_goes_on(&mut self, goes_on: bool) {
        self.streams.row.goes_on = goes_on;
    }

    /// What follows from the segments up to here follows now.
    #[inline]
    pub(in crate::stack) fn settle_row(&mut self, now: Time) {
        let row = &mut self.streams.row;
        let index = core::mem::replace(&mut row.index, NOBODY);
        if index != NOBODY {
            (row.segments, row.buffers) = (0, 0);
            self.settle(index, now);
        }
    }

    /// A connection has taken a segment with which a row may go on, and so many buffers with it.
    #[inline(always)]
    pub(super) fn settle_later(&mut self, index: u32, buffers: u32, now: Time) {
        let row = &self.streams.row;
        if row.goes_on || row.index != NOBODY {
            self.lengthen_row(index, buffers, now);
        } else {
            self.settle(index, now);
        }
    }

    #[inline(never)]
    fn lengthen_row(&mut self, index: u32, buffers: u32, now: Time) {
        if self.streams.row.index != index {
            self.settle_row(now);
        }
        let row = &mut self.streams.row;
        row.index = index;
        row.segments += 1;
        row.buffers += buffers;
        if row.segments >= TCP_ROW_MAX || !row.goes_on {
            self.settle_row(now);
        }
    }
}
