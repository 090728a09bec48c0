// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long segments are: by what the peer takes, what the path has room for, and, where nobody says what that is, by trying
//! (RFC 9293 section 3.7.1, RFC 1191, RFC 4821).
//!
//! What must always hold: segments become longer only when one of that length has arrived; a connection whose segments never were made
//! shorter knows nothing of all this.

use alloc::boxed::Box;

use runtime::Error;
use runtime::time::Time;

use super::State;
use super::open::Open;
use super::search::{self, Search};
use crate::limits::{TCP_BLACK_HOLE_MSS, TCP_BLACK_HOLE_TIMEOUTS, TCP_MSS_MIN};
use crate::tcp::seq::Seq;

/// Bytes that the timestamps of a segment take (RFC 7323 appendix A).
const TIMESTAMPS: u16 = 12;

/// The longest segment, in bytes of payload and options together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mss {
    /// What both the peer and the link take.
    most: u16,
    /// What it is now.
    now: u16,
    timestamps: bool,
}

impl Mss {
    /// What both ends take, and what the path has room for so far.
    pub fn new(most: u16, path: u16, timestamps: bool) -> Self {
        let most = most.max(TCP_MSS_MIN);
        Self { most, now: path.clamp(TCP_MSS_MIN, most), timestamps }
    }

    /// Payload and options together.
    #[inline]
    pub const fn whole(self) -> u16 {
        self.now
    }

    /// The payload of a segment that has no options but those that every one has (RFC 6691).
    #[inline]
    pub const fn payload(self) -> u32 {
        self.payload_of(self.now)
    }

    /// The same of a segment of another length.
    #[inline]
    pub const fn payload_of(self, whole: u16) -> u32 {
        (whole - if self.timestamps { TIMESTAMPS } else { 0 }) as u32
    }

    /// The longest that the peer and the link take.
    pub const fn most(self) -> u16 {
        self.most
    }

    /// The search for more with which a connection begins, if a router has said before that the path is narrow.
    pub fn search(self, now: Time) -> Option<Box<Search>> {
        search::is_worthwhile(self.now, self.most).then(|| Box::new(Search::told(self.now, now)))
    }
}

impl Open {
    /// What ICMP says of the peer.
    pub fn hint(&mut self, error: Error) {
        if self.state != State::Closed {
            self.error = Some(error);
        }
    }

    /// The path has room for so much now, as far as somebody has said; what it has more than before is tried (RFC 4821 section 7).
    pub fn set_path(&mut self, mss: u16, now: Time) {
        let path = mss.clamp(TCP_MSS_MIN, self.mss.most);
        if path < self.mss.now {
            self.set_segments(path);
            if let Some(search) = self.mss.search(now) {
                self.timers.search = Some(search);
            }
            return;
        }
        let (low, at) = (self.mss.now, now + self.until_next_probe());
        if let Some(probe) = self.timers.search_mut().and_then(|search| search.bounded(path, low, at, now)) {
            self.recovery.lose_probe(probe.start, probe.end);
            self.stirred = true;
        }
    }

    /// The link takes no more than this any longer: nothing longer is tried. [`set_path`](Self::set_path) has heard of it before.
    pub fn set_link(&mut self, mss: u16) {
        self.mss.most = self.mss.most.min(mss).max(self.mss.now);
    }

    /// The segment with this number was too long, and so much would fit. Of a probe that says nothing of the size that works (RFC
    /// 4821 section 7.6.2): an old router only guesses.
    pub fn too_big(&mut self, seq: Seq, mss: u16, now: Time) {
        let is_probe = self.timers.probe().is_some_and(|probe| probe.start == seq);
        self.set_path(if is_probe { mss.max(self.mss.now) } else { mss }, now);
    }

    /// The same was lost again and again: perhaps it is too long for the path, and nobody says so (RFC 4821 section 7.7).
    pub fn shrink_for_black_hole(&mut self, timeouts: u8, now: Time) {
        let before = self.mss.now;
        if timeouts < TCP_BLACK_HOLE_TIMEOUTS || before <= TCP_BLACK_HOLE_MSS {
            return;
        }
        self.set_segments((before / 2).max(TCP_BLACK_HOLE_MSS));
        match &mut self.timers.search {
            Some(search) => search.fell(before, now),
            none => *none = Some(Box::new(Search::in_silence(before, now))),
        }
    }

    /// Segments are so long from now on.
    pub(super) fn set_segments(&mut self, whole: u16) {
        self.mss.now = whole;
        self.recovery.set_mss(self.mss.payload());
        self.stirred = true;
    }
}
