// SPDX-License-Identifier: MIT OR Apache-2.0
//! Record headers: one 64-bit word in front of every record, which is also its commit word.
//!
//! ```text
//!  63        40 39     32 31                     0
//! ┌────────────┬─────────┬────────────────────────┐
//! │ 0 (must be)│  kind   │  payload length, bytes │   zero = nothing published here yet
//! └────────────┴─────────┴────────────────────────┘
//! ```
//!
//! A header comes from a peer that may be hostile: it is loaded once, decoded here, and only the decoded value is used.

use runtime::{Errno, Error, Result};

/// Bytes of a header; records start on multiples of it.
pub const HEADER: usize = 8;
/// Bytes of one descriptor in a [`Kind::Descriptors`] record.
pub const DESCRIPTOR: usize = 16;
/// Bytes of the total length that leads the payload of a [`Kind::First`] record.
pub const TOTAL: usize = 8;

/// What a record carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A whole message.
    Whole = 1,
    /// The message's total length (u64), then its first bytes; more records follow.
    First = 2,
    /// Further bytes of the message.
    Next = 3,
    /// The last bytes of the message.
    Last = 4,
    /// A whole message by reference: descriptors of memory in the sender's arena.
    Descriptors = 5,
    /// The message that `First` began will not be finished: forget it.
    Abort = 6,
    /// The end of the stream.
    End = 7,
    /// A whole message without a byte: an empty datagram.
    Empty = 8,
}

/// A header that has been checked against the ring that it was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// What the record carries.
    pub kind: Kind,
    /// Payload bytes, at most what fits into the ring.
    pub len: usize,
}

/// Bytes of a record with `len` bytes of payload, without what [`behind`] may leave free after it.
#[must_use]
pub const fn footprint(len: usize) -> usize {
    HEADER + len.next_multiple_of(HEADER)
}

/// Payloads from this length on move the record behind them to where its payload starts on a cache line.
///
/// Copies of some KiB to or from an odd address take a quarter longer, and if the one address is a few bytes above the other,
/// counted from the start of a page, twenty times as long: what `rep movsb` does on several processors.
pub const LONG: usize = 4096;
const LINE: u64 = 64;

/// The position behind a record with `len` bytes of payload at `position`: where the next one begins. Both sides compute it.
#[inline]
#[must_use]
pub const fn behind(position: u64, len: usize) -> u64 {
    let end = position + footprint(len) as u64;
    if len < LONG { end } else { (end + HEADER as u64).next_multiple_of(LINE) - HEADER as u64 }
}

impl Record {
    /// The header word that publishes this record. Never zero.
    #[must_use]
    pub const fn encode(self) -> u64 {
        ((self.kind as u64) << 32) | (self.len as u64 & 0xffff_ffff)
    }

    /// Decodes a word that the peer wrote, if it is the usual one: a whole message that fits.
    #[inline(always)]
    pub fn decode_whole(word: u64, capacity: usize) -> Option<Self> {
        let len = (word & 0xffff_ffff) as usize;
        // One compare of the upper half says both "Whole" and "reserved bits are zero".
        (word >> 32 == Kind::Whole as u64 && len != 0 && len <= capacity - 2 * HEADER)
            .then_some(Self { kind: Kind::Whole, len })
    }

    /// Decodes a word that the peer wrote; `capacity` is that of the ring. A word that no honest peer writes is `EPROTO`.
    #[inline]
    pub fn decode(word: u64, capacity: usize) -> Result<Self> {
        const BROKEN: Error = Error::new(Errno::PROTO, "the peer published a record that cannot be");
        let len = (word & 0xffff_ffff) as usize;
        if let Some(record) = Self::decode_whole(word, capacity) {
            return Ok(record);
        }
        if len > capacity - 2 * HEADER {
            return Err(BROKEN);
        }
        let kind = match word >> 32 {
            2 if len > TOTAL => Kind::First,
            3 if len != 0 => Kind::Next,
            4 if len != 0 => Kind::Last,
            5 if len != 0 && len.is_multiple_of(DESCRIPTOR) => Kind::Descriptors,
            6 if len == 0 => Kind::Abort,
            7 if len == 0 => Kind::End,
            8 if len == 0 => Kind::Empty,
            _ => return Err(BROKEN),
        };
        Ok(Self { kind, len })
    }
}
