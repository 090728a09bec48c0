// SPDX-License-Identifier: MIT OR Apache-2.0
//! When an acknowledgment is sent: delayed, in the hope that an answer takes it along (RFC 9293 section 3.8.6.3), but for every
//! second full segment at least, for one with a short one as company, and at once where the sender can use it: while it begins, and whenever something is missing,
//! comes twice or fills a hole (RFC 5681 section 4.2).

use runtime::time::Time;

use super::Need;
use crate::limits::{TCP_ACK_DELAY_MAX, TCP_QUICK_ACKS};
use crate::tcp::settings::Settings;

/// A segment that is no shorter than this counts as a full one until a longer one has come (RFC 9293 section 3.7.1).
const FULL_AT_FIRST: u32 = 536;

/// A payload's length as it is kept: no packet has more than 64 KiB.
#[inline]
pub(super) fn short(bytes: u32) -> u16 {
    bytes.min(u16::MAX.into()) as u16
}

#[derive(Debug)]
pub(super) struct Delay {
    /// When the acknowledgment has to leave; [`Time::MAX`]: there is none.
    due: Time,
    /// How long one may wait, in nanoseconds: not half a second.
    longest: u32,
    /// Bytes in order that were not acknowledged; a full segment counts nearly as two.
    pending: u32,
    /// What a full segment is: the longest that has come, at most the MSS.
    full: u16,
    mss: u16,
    /// Full segments that are still acknowledged one by one.
    quick: u8,
    /// Whether the last segment was marked by a router.
    marked: bool,
}

impl Delay {
    pub fn new(settings: &Settings, mss: u32) -> Self {
        Self {
            due: Time::MAX,
            longest: settings.ack_delay.min(TCP_ACK_DELAY_MAX).subsec_nanos(),
            pending: 0,
            full: short(mss.min(FULL_AT_FIRST)),
            mss: short(mss),
            quick: TCP_QUICK_ACKS,
            marked: false,
        }
    }

    /// A segment in order.
    #[inline]
    pub fn in_order(&mut self, len: u32, marked: bool, now: Time) {
        if marked != self.marked {
            self.marked = marked;
            // The sender is told where marks begin and end (RFC 8257 section 3.2).
            self.due = Time::ZERO;
        }
        let mut counts = len;
        if len >= self.full.into() {
            self.full = short(len.min(self.mss.into()));
            // Whatever comes behind it is told at once, as Linux does: a sender whose small segment waits for that of another one
            // (Nagle's algorithm), or whose send buffer is full, would wait for the delay.
            counts = len.max(2 * u32::from(self.full) - 1);
            if self.quick > 0 {
                self.quick -= 1;
                self.due = Time::ZERO;
            }
        }
        self.pending = self.pending.saturating_add(counts);
        if self.pending >= 2 * u32::from(self.full) {
            self.due = Time::ZERO;
        } else if self.due == Time::MAX {
            self.due = Time::from_nanos(now.as_nanos().saturating_add(self.longest.into()));
        }
    }

    /// Something is missing, or has come twice, or the stream ends.
    pub const fn disorder(&mut self, marked: bool) {
        self.marked = marked;
        self.quick = TCP_QUICK_ACKS;
        self.at_once();
    }

    /// The next acknowledgment waits no longer.
    #[inline]
    pub const fn at_once(&mut self) {
        self.due = Time::ZERO;
    }

    /// One has left.
    #[inline]
    pub const fn sent(&mut self) {
        self.pending = 0;
        self.due = Time::MAX;
    }

    /// Until when an acknowledgment may wait; [`Time::MAX`]: there is none.
    #[inline]
    pub const fn due(&self) -> Time {
        self.due
    }

    #[inline]
    pub fn need(&self, now: Time) -> Need {
        if self.due == Time::MAX {
            Need::Nothing
        } else if self.due <= now {
            Need::Now
        } else {
            Need::At(self.due)
        }
    }
}
