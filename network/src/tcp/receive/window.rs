// SPDX-License-Identifier: MIT OR Apache-2.0
//! The window that is offered (RFC 9293 section 3.8.6), how it avoids to be silly (section 3.8.6.2.2), and its scale (RFC 7323
//! section 2).
//!
//! What must always hold: the right edge never moves left. What is written into a header is cut to a multiple of the scale
//! (RFC 7323 section 2.3), and may by that alone fall short of the edge; bytes up to the edge are taken all the same.

use crate::limits::{TCP_MEMORY_FACTOR, TCP_RECEIVE_BUFFER_MAX, TCP_SPARSE_MEMORY};
use crate::tcp::seq::Seq;
use crate::tcp::settings::Settings;
use crate::wire::tcp::options::WINDOW_SCALE_MAX;

/// The window of a SYN, which is never scaled (RFC 7323 section 2.2), as this host sends it: [`Receiver::new`] takes it for
/// offered.
///
/// [`Receiver::new`]: super::Receiver::new
#[must_use]
pub fn initial_window(settings: &Settings) -> u16 {
    u16::try_from(settings.receive_buffer).unwrap_or(u16::MAX)
}

/// The shift by which windows have to be scaled for the largest receive buffer (RFC 7323 section 2.3); 0 if scaling is off.
#[must_use]
pub fn window_scale(settings: &Settings) -> u8 {
    let largest = settings.receive_buffer_max.max(settings.receive_buffer);
    let mut scale = 0;
    while settings.window_scaling && scale < WINDOW_SCALE_MAX && largest >> scale > usize::from(u16::MAX) {
        scale += 1;
    }
    scale
}

/// A buffer's size as it is kept.
pub(super) fn bounded(bytes: usize) -> u32 {
    bytes.min(TCP_RECEIVE_BUFFER_MAX) as u32
}

#[derive(Debug)]
pub(super) struct Window {
    /// The right edge that was offered: the first number that the peer may not send yet.
    edge: Seq,
    /// The same as the last header said it, which may be a little less.
    told: Seq,
    /// Bytes that may wait to be popped.
    pub buffer: u32,
    /// The longest payload of one segment.
    mss: u16,
    scale: u8,
    /// Nothing that it depends on has changed since it was offered.
    pub settled: bool,
}

impl Window {
    pub fn new(settings: &Settings, next: Seq, scale: u8, mss: u32) -> Self {
        let edge = next + u32::from(initial_window(settings));
        let (buffer, mss) = (bounded(settings.receive_buffer), super::delay::short(mss));
        Self { edge, told: edge, buffer, mss, scale, settled: false }
    }

    /// The longest payload of one segment.
    #[inline]
    pub fn mss(&self) -> u32 {
        self.mss.into()
    }

    /// How much of what was offered is left.
    #[inline]
    pub const fn left(&self, next: Seq) -> u32 {
        self.edge.since(next)
    }

    /// What is taken of the buffer: bytes that wait, or the memory that they keep if that is much more.
    #[inline]
    const fn used(readable: usize, memory: usize) -> usize {
        let kept = memory.saturating_sub(TCP_SPARSE_MEMORY) / TCP_MEMORY_FACTOR;
        if kept > readable { kept } else { readable }
    }

    /// What could be offered.
    #[inline]
    fn space(&self, used: usize) -> u32 {
        let most = u32::from(u16::MAX) << self.scale;
        ((self.buffer as usize).saturating_sub(used) as u32).min(most)
    }

    /// What the last header has offered, if it is to be offered again.
    #[inline]
    pub fn offered(&self, next: Seq) -> Option<u32> {
        self.settled.then(|| self.told.since(next))
    }

    /// What the header is to offer, in bytes, a multiple of the scale.
    #[inline]
    pub fn offer(&mut self, next: Seq, readable: usize, memory: usize) -> u32 {
        self.settled = true;
        let window = self.choose(next, Self::used(readable, memory));
        self.told = next + window;
        self.edge = self.edge.max(self.told);
        window
    }

    #[inline]
    fn choose(&self, next: Seq, used: usize) -> u32 {
        let unit = 1 << self.scale;
        let (space, left, told) = (self.space(used), self.left(next), self.told.since(next));
        // Section 3.8.6.2.2: the edge moves by a segment or half of the buffer, not by less.
        let step = self.mss().min(self.buffer / 2);
        if space >= told + step {
            // A unit that is larger than the buffer is offered all the same: less cannot be said.
            let window = (space & !(unit - 1)).max(unit);
            if window >= left && (window >= told + step || told == 0) {
                return window;
            }
        }
        if left & (unit - 1) == 0 {
            return left;
        }
        // Rather a little more than less: a window that shrinks is discouraged. A unit beyond the buffer is the limit, else an
        // edge that moves on by a byte for each that comes would never be reached.
        let up = (left | (unit - 1)) + 1;
        if used + up as usize <= (self.buffer + unit) as usize { up } else { left & !(unit - 1) }
    }

    /// Whether the peer knows of so much room that whatever has come free is [not worth telling](Self::is_worth_telling).
    #[inline]
    pub const fn is_plenty(&self, next: Seq) -> bool {
        self.buffer / 2 < self.told.since(next)
    }

    /// Whether so much room has come free that the peer should hear of it: twice what it knows of, and two segments or half of
    /// the buffer more.
    #[inline]
    pub fn is_worth_telling(&self, next: Seq, readable: usize, memory: usize) -> bool {
        let (space, told) = (self.space(Self::used(readable, memory)), self.told.since(next));
        space / 2 >= told && space - told >= (2 * self.mss()).min(self.buffer / 2)
    }
}
