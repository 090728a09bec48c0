// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long segments are: by what the peer takes, what the path has room for, and, where nobody says what that is, by trying
//! (RFC 9293 section 3.7.1, RFC 1191, RFC 4821).

use runtime::Error;

use super::State;
use super::open::Open;
use crate::limits::{TCP_BLACK_HOLE_MSS, TCP_BLACK_HOLE_TIMEOUTS, TCP_MSS_MIN};

/// Bytes that the timestamps of a segment take (RFC 7323 appendix A).
const TIMESTAMPS: u16 = 12;

/// The longest segment, in bytes of payload and options together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mss {
    /// What both the peer takes and the path has had room for.
    most: u16,
    /// What it is now.
    now: u16,
    timestamps: bool,
}

impl Mss {
    pub const fn new(most: u16, timestamps: bool) -> Self {
        let most = if most < TCP_MSS_MIN { TCP_MSS_MIN } else { most };
        Self { most, now: most, timestamps }
    }

    /// Payload and options together.
    #[inline]
    pub const fn whole(self) -> u16 {
        self.now
    }

    /// The payload of a segment that has no options but those that every one has (RFC 6691).
    #[inline]
    pub const fn payload(self) -> u32 {
        (self.now - if self.timestamps { TIMESTAMPS } else { 0 }) as u32
    }
}

impl Open {
    /// What ICMP says of the peer.
    pub fn hint(&mut self, error: Error) {
        if self.state != State::Closed {
            self.error = Some(error);
        }
    }

    /// The path has room for so much now.
    pub fn set_path(&mut self, mss: u16) {
        let now = mss.clamp(TCP_MSS_MIN, self.mss.most);
        if now != self.mss.now {
            self.mss.now = now;
            self.recovery.set_mss(self.mss.payload());
            self.stirred = true;
        }
    }

    /// The same was lost again and again: perhaps it is too long for the path, and nobody says so (RFC 4821 section 7.7).
    pub fn shrink_for_black_hole(&mut self, timeouts: u8) {
        let now = self.mss.now;
        if timeouts >= TCP_BLACK_HOLE_TIMEOUTS && now > TCP_BLACK_HOLE_MSS {
            self.set_path((now / 2).max(TCP_BLACK_HOLE_MSS));
        }
    }
}
