// SPDX-License-Identifier: MIT OR Apache-2.0
//! [`Window`]: what the peer has said of its window (RFC 9293 section 3.10.7.4, SND.WND, SND.WL1 and SND.WL2).

use crate::tcp::seq::Seq;

/// The peer's window.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// SND.WND in bytes.
    size: u32,
    /// The largest that it has been, which is what silly windows are measured by (RFC 9293 section 3.8.6.2.1).
    largest: u32,
    /// SND.WL1 and SND.WL2: the segment that it came in.
    seq: Seq,
    ack: Seq,
    scale: u8,
}

impl Window {
    /// As the SYN had it, which is not scaled; later ones are, by `scale`.
    pub const fn new(size: u16, scale: u8, seq: Seq, ack: Seq) -> Self {
        Self { size: size as u32, largest: size as u32, seq, ack, scale }
    }

    /// Bytes behind SND.UNA that the peer takes.
    #[inline]
    pub const fn size(&self) -> u32 {
        self.size
    }

    /// The largest that it has been.
    #[inline]
    pub const fn largest(&self) -> u32 {
        self.largest
    }

    /// The window field of a segment whose acknowledgment is acceptable. Old segments, which come late, say nothing. Returns
    /// whether it is another than before.
    #[inline]
    pub fn update(&mut self, seq: Seq, ack: Seq, field: u16) -> bool {
        if self.seq.is_before(seq) || (self.seq == seq && !self.ack.is_behind(ack)) {
            let size = u32::from(field) << self.scale;
            (self.seq, self.ack) = (seq, ack);
            let changed = size != self.size;
            self.size = size;
            self.largest = self.largest.max(size);
            return changed;
        }
        false
    }
}
