// SPDX-License-Identifier: MIT OR Apache-2.0
//! What stands behind a page, where there is anything to tell: records of one length.
//!
//! ```text
//! offset  bytes   all numbers little-endian
//!      0      8   what the section is
//!      8      4   how many records follow
//!     12      4   zero
//!     16    r n   the records
//!      +      8   FNV-1a of all that stands above
//! ```
//! What stands behind the sum is of an earlier time, when there was more.

use core::slice::ChunksExact;

const HEADER: usize = 16;
const SUM: usize = 8;

/// A kind of section.
pub(super) struct Section {
    /// Its first bytes.
    pub magic: [u8; 8],
    /// Bytes of a record.
    pub record: usize,
    /// Records, at most.
    pub most: usize,
    /// Where in the file it begins.
    pub at: u64,
}

impl Section {
    /// Bytes of the longest.
    pub const fn len_max(&self) -> usize {
        HEADER + self.most * self.record + SUM
    }

    /// Begins one, in memory that is kept.
    pub fn begin(&self, bytes: &mut Vec<u8>) {
        bytes.clear();
        bytes.extend(self.magic);
        bytes.extend([0; HEADER - 8]);
    }

    /// Whether there is room for one more record.
    pub fn has_room(&self, bytes: &[u8]) -> bool {
        bytes.len() + self.record + SUM <= self.len_max()
    }

    /// Ends it, behind its last record.
    pub fn end(&self, bytes: &mut Vec<u8>) {
        let count = bytes.len().saturating_sub(HEADER) / self.record;
        if let Some(place) = bytes.get_mut(8..12) {
            place.copy_from_slice(&(count as u32).to_le_bytes());
        }
        let sum = super::page::sum(bytes);
        bytes.extend(sum.to_le_bytes());
    }

    /// The records of a section that is whole. `None`: no LibOs has written this, or one was about to.
    pub fn records<'a>(&self, bytes: &'a [u8]) -> Option<ChunksExact<'a, u8>> {
        let (magic, rest) = bytes.split_first_chunk()?;
        let count = u32::from_le_bytes(*rest.first_chunk()?) as usize;
        if *magic != self.magic || count > self.most {
            return None;
        }
        let (told, sum) = bytes.split_at_checked(HEADER + count * self.record)?;
        if u64::from_le_bytes(*sum.first_chunk()?) != super::page::sum(told) {
            return None;
        }
        Some(told.get(HEADER..)?.chunks_exact(self.record))
    }
}
