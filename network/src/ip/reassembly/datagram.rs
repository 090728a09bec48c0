// SPDX-License-Identifier: MIT OR Apache-2.0
//! The fragments of one datagram.
//!
//! What must always hold: pieces are sorted by where they start, do not overlap, are not empty and end no later than
//! the last one that is known to be the last. So the datagram is whole when their lengths add up to where that one
//! ends.

use alloc::vec::Vec;

use runtime::buf::{Buf, Sga};
use runtime::time::Time;

use super::congestion::Seen;
use super::{Key, Refusal};
use crate::limits::FRAGMENTS_PER_DATAGRAM_MAX;

/// One packet, or several whose payloads were put together in one buffer.
pub(super) struct Piece {
    pub start: u32,
    /// Bytes of the packet in front of the payload.
    pub headers: usize,
    pub packet: Buf,
    /// The length of the packet as it came, before payloads of later ones were put behind it.
    pub original: usize,
}

impl Piece {
    pub fn new(start: u16, packet: Buf, headers: usize) -> Self {
        Self { start: u32::from(start), headers, original: packet.len(), packet }
    }

    pub fn payload(&self) -> &[u8] {
        self.packet.get(self.headers..).unwrap_or_default()
    }

    pub fn end(&self) -> u32 {
        self.start.saturating_add(u32::try_from(self.payload().len()).unwrap_or(u32::MAX))
    }

    /// Whether this has, at the same place, what the other has: as one packet, or as a part of several.
    fn repeats(&self, other: &Piece) -> bool {
        let exact = self.start == other.start && self.end() == other.end();
        let merged = self.packet.len() > self.original;
        let Some(from) = other.start.checked_sub(self.start) else { return false };
        (exact || merged) && self.payload().get(from as usize..).is_some_and(|here| here.starts_with(other.payload()))
    }

    /// Copies the next piece behind this one, if it adjoins and there is room.
    fn absorb(&mut self, next: &Piece) -> bool {
        if self.end() != next.start {
            return false;
        }
        let bytes = next.payload();
        let Ok(room) = self.packet.append(bytes.len()) else { return false };
        room.copy_from_slice(bytes);
        true
    }
}

/// What is there of one datagram.
pub(super) struct Datagram {
    pub key: Key,
    /// When it is given up.
    pub deadline: Time,
    /// It was given up for an overlap, and what comes of it yet is not taken (RFC 5722 §4).
    pub poisoned: bool,
    pub pieces: Vec<Piece>,
    /// Bytes of all pieces.
    held: u32,
    /// Where it ends, once the last fragment has come.
    end: Option<u32>,
    /// What the first fragment says.
    pub protocol: u8,
    /// What they say about congestion.
    pub seen: Seen,
}

impl Datagram {
    /// `pieces` is empty, and given for its memory.
    pub fn new(key: Key, deadline: Time, pieces: Vec<Piece>) -> Self {
        Self {
            key,
            deadline,
            poisoned: false,
            pieces,
            held: 0,
            end: None,
            protocol: key.protocol,
            seen: Seen::default(),
        }
    }

    /// Takes a piece in, which is not empty, or gives it back.
    pub fn insert(&mut self, piece: Piece, more: bool, protocol: u8) -> Result<(), (Refusal, Piece)> {
        if self.poisoned {
            return Err((Refusal::Overlap, piece));
        }
        let (start, end) = (piece.start, piece.end());
        let mut at = self.pieces.partition_point(|before| before.start <= start);
        let before = at.checked_sub(1).and_then(|at| self.pieces.get(at));
        let behind = self.pieces.get(at);
        let consistent =
            if more { self.end.is_none_or(|last| end < last) } else { self.end.is_none_or(|last| end == last) };
        if consistent_duplicate(before, &piece, more, self.end) {
            return Err((Refusal::Duplicate, piece));
        }
        let beyond_the_end = !more && self.pieces.last().is_some_and(|last| last.end() > end);
        let overlaps =
            before.is_some_and(|before| before.end() > start) || behind.is_some_and(|behind| behind.start < end);
        if !consistent || beyond_the_end || overlaps {
            return Err((Refusal::Overlap, piece));
        }
        let mut seen = self.seen;
        seen.add(&piece.packet);
        if seen.is_contradiction() {
            return Err((Refusal::Congestion, piece));
        }
        if self.pieces.len() >= FRAGMENTS_PER_DATAGRAM_MAX {
            self.pieces.dedup_by(|next, before| before.absorb(next));
            if self.pieces.len() >= FRAGMENTS_PER_DATAGRAM_MAX {
                return Err((Refusal::TooMany, piece));
            }
            at = self.pieces.partition_point(|before| before.start <= start);
        }
        if !more {
            self.end = Some(end);
        }
        if start == 0 {
            self.protocol = protocol;
        }
        self.seen = seen;
        self.held += end - start; // no more than 65,535, since nothing overlaps
        self.pieces.insert(at, piece);
        Ok(())
    }

    pub fn is_whole(&self) -> bool {
        self.end == Some(self.held)
    }

    /// The payload of a whole datagram. The pieces are gone then.
    pub fn assemble(&mut self) -> runtime::Result<Sga> {
        let mut payload = Sga::new();
        for mut piece in self.pieces.drain(..) {
            piece.packet.trim_front(piece.headers)?;
            payload.push_back(piece.packet)?;
        }
        Ok(payload)
    }

    /// The packet of the first fragment, as it came.
    pub fn take_first(&mut self) -> Option<Buf> {
        if self.pieces.first()?.start > 0 {
            return None;
        }
        let Piece { mut packet, original, .. } = self.pieces.swap_remove(0);
        packet.truncate(original).ok()?;
        Some(packet)
    }
}

/// Whether the piece in front of `piece`, or at its place, has all of it, and it says the same of what is behind it.
fn consistent_duplicate(before: Option<&Piece>, piece: &Piece, more: bool, end: Option<u32>) -> bool {
    before.is_some_and(|before| before.repeats(piece)) && more == (end != Some(piece.end()))
}
