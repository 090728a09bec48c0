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

/// The connection whose segments are taken in at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Row {
    /// No burst: what follows from a segment follows at once.
    #[default]
    Never,
    /// A burst, of which nothing is left to be done.
    Nobody,
    /// Of this one, so many segments.
    Of(u32, u32),
}

impl Stack {
    /// A burst begins.
    #[inline]
    pub(in crate::stack) fn begin_row(&mut self) {
        self.streams.row = Row::Nobody;
    }

    /// It has ended.
    #[inline]
    pub(in crate::stack) fn end_row(&mut self, now: Time) {
        self.settle_row(now);
        self.streams.row = Row::Never;
    }

    /// What follows from the segments up to here follows now.
    #[inline]
    pub(in crate::stack) fn settle_row(&mut self, now: Time) {
        if let Row::Of(index, _) = self.streams.row {
            self.streams.row = Row::Nobody;
            self.settle(index, now);
        }
    }

    /// A connection has taken a segment with which a row may go on.
    #[inline(always)]
    pub(super) fn settle_later(&mut self, index: u32, now: Time) {
        match self.streams.row {
            Row::Never => self.settle(index, now),
            Row::Of(of, segments) if of == index && segments + 1 < TCP_ROW_MAX => {
                self.streams.row = Row::Of(index, segments + 1);
            }
            row => self.settle_other(row, index, now),
        }
    }

    /// The row is full, or is one of another connection.
    #[inline(never)]
    fn settle_other(&mut self, row: Row, index: u32, now: Time) {
        match row {
            Row::Of(of, _) if of == index => {
                self.streams.row = Row::Nobody;
                self.settle(index, now);
            }
            _ => {
                self.settle_row(now);
                self.streams.row = Row::Of(index, 1);
            }
        }
    }
}
