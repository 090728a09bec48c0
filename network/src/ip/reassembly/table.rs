// SPDX-License-Identifier: MIT OR Apache-2.0
//! The datagrams that are being reassembled, and what bounds them.
//!
//! What must always hold: `pieces` is the number of buffers held by all datagrams together. The table is so small that
//! it is searched from end to end, which takes the same time whatever keys a peer chooses.

use alloc::vec::Vec;

use runtime::buf::Buf;
use runtime::time::Time;

use super::congestion::Seen;
use super::datagram::{Datagram as Held, Piece};
use super::{Datagram, Expired, Key, Outcome, Refusal};
use crate::limits::{REASSEMBLY_DATAGRAMS_MAX, REASSEMBLY_PER_SOURCE_MAX, REASSEMBLY_TIME_V4, REASSEMBLY_TIME_V6};

/// The datagrams of one stack that are being reassembled.
pub struct Reassembly {
    /// Oldest first.
    datagrams: Vec<Held>,
    /// Buffers held, and the most that may be.
    pieces: usize,
    pieces_max: usize,
    /// No deadline is before this.
    earliest: Time,
    /// Empty lists, kept for their memory.
    spare: Vec<Vec<Piece>>,
    evicted: u64,
}

impl Reassembly {
    /// Holds at most so many buffers, and half of them for one source. It is to be a part of those that the device
    /// receives into, which has none for anything else while they are held here.
    #[must_use]
    pub const fn new(buffers: usize) -> Self {
        Self {
            datagrams: Vec::new(),
            pieces: 0,
            pieces_max: buffers,
            earliest: Time::MAX,
            spare: Vec::new(),
            evicted: 0,
        }
    }

    /// Takes a fragment in.
    ///
    /// `packet` is all of it, trimmed to the length that its IP header says, with `headers` bytes in front of the
    /// fragment's payload (in IPv6 the last eight of them are the fragment header); `offset` is in bytes. That the
    /// first fragment of IPv6 has all headers up to the upper layer's (RFC 8200 §4.5) is checked by the caller.
    pub fn insert(&mut self, key: Key, offset: u16, more: bool, packet: Buf, headers: usize, now: Time) -> Outcome {
        let piece = Piece::new(offset, packet, headers);
        let (whole, len) = (offset == 0 && !more, piece.payload().len());
        if headers > piece.packet.len() || (len == 0 && !whole) || (more && !len.is_multiple_of(8)) {
            return Outcome::Refused(Refusal::Length, piece.packet);
        }
        // What the length field of the whole datagram would count: in IPv4 the header, in IPv6 what stands between it
        // and the fragment header, which is gone then.
        let counted = if key.source.is_ipv4() { headers } else { headers.saturating_sub(40 + 8) };
        if (piece.end() as usize).saturating_add(counted) > usize::from(u16::MAX) {
            return Outcome::Refused(Refusal::TooLong, piece.packet);
        }
        if whole {
            let Piece { mut packet, .. } = piece;
            let mut seen = Seen::default();
            seen.add(&packet);
            let ecn = seen.together();
            return match packet.trim_front(headers) {
                Ok(()) => Outcome::Complete(Datagram { protocol: key.protocol, payload: packet.into(), ecn }),
                Err(_) => Outcome::Refused(Refusal::Length, packet),
            };
        }
        // From the newest, which is the likeliest.
        let here = self.datagrams.iter().rposition(|here| here.key.same_datagram(&key));
        let at = here.unwrap_or_else(|| self.open(key, now));
        self.take_in(at, piece, more, key.protocol)
    }

    /// Begins a datagram, for which others may have to go, and says where it stands.
    fn open(&mut self, key: Key, now: Time) -> usize {
        let full = self.datagrams.len() >= REASSEMBLY_DATAGRAMS_MAX;
        let from_there = |here: &Held| here.key.source == key.source;
        if self.datagrams.len() >= REASSEMBLY_PER_SOURCE_MAX
            && self.datagrams.iter().filter(|here| from_there(here)).count() >= REASSEMBLY_PER_SOURCE_MAX
        {
            self.evict(from_there);
        } else if full {
            self.evict(|_| true);
        }
        let deadline = now + if key.source.is_ipv4() { REASSEMBLY_TIME_V4 } else { REASSEMBLY_TIME_V6 };
        self.earliest = self.earliest.min(deadline);
        let pieces = self.spare.pop().unwrap_or_default();
        self.datagrams.push(Held::new(key, deadline, pieces));
        self.datagrams.len() - 1
    }

    /// Takes a piece into the datagram at `at`.
    fn take_in(&mut self, at: usize, piece: Piece, more: bool, protocol: u8) -> Outcome {
        let room = self.make_room(at);
        let at = room.unwrap_or(at);
        let Some(datagram) = self.datagrams.get_mut(at) else {
            return Outcome::Refused(Refusal::TooMany, piece.packet);
        };
        let before = datagram.pieces.len();
        let taken =
            if room.is_some() { datagram.insert(piece, more, protocol) } else { Err((Refusal::TooMany, piece)) };
        self.pieces = self.pieces + datagram.pieces.len() - before; // fewer than before, if some were put together
        match taken {
            Ok(()) if datagram.is_whole() => {
                self.pieces -= datagram.pieces.len();
                let payload = datagram.assemble();
                let (protocol, ecn) = (datagram.protocol, datagram.seen.together());
                self.remove(at);
                // Every piece has its headers, and there are no more than a message may have segments.
                payload.map_or(Outcome::Waits, |payload| Outcome::Complete(Datagram { protocol, payload, ecn }))
            }
            Ok(()) => Outcome::Waits,
            Err((refusal @ (Refusal::Overlap | Refusal::Congestion), piece)) if datagram.key.source.is_ipv6() => {
                // It stays, empty, until its time is over: what is still to come of it must not begin a new one. (Not
                // so in IPv4, where the same identification may soon be that of another datagram.)
                self.pieces -= datagram.pieces.len();
                datagram.pieces.clear();
                datagram.poisoned = true;
                Outcome::Refused(refusal, piece.packet)
            }
            Err((refusal, piece)) => {
                if refusal != Refusal::Duplicate {
                    self.remove(at);
                }
                Outcome::Refused(refusal, piece.packet)
            }
        }
    }

    /// Makes room for one more piece of the datagram at `at`, which stands where this says then; `None` if there is
    /// nothing else that could go.
    fn make_room(&mut self, mut at: usize) -> Option<usize> {
        let key = self.datagrams.get(at)?.key;
        let share = self.pieces_max.div_ceil(2);
        let other = |here: &Held| !here.pieces.is_empty() && !here.key.same_datagram(&key);
        let from_there = |here: &Held| here.key.source == key.source;
        if self.pieces >= share {
            let theirs = self.datagrams.iter().filter(|here| from_there(here)).map(|here| here.pieces.len());
            if theirs.sum::<usize>() >= share {
                at -= usize::from(self.evict(|here| other(here) && from_there(here))? < at);
            }
        }
        if self.pieces >= self.pieces_max {
            at -= usize::from(self.evict(other)? < at);
        }
        Some(at)
    }

    /// The oldest of those goes; says where it stood.
    fn evict(&mut self, of: impl Fn(&Held) -> bool) -> Option<usize> {
        let oldest = self.datagrams.iter().position(of)?;
        self.remove(oldest);
        self.evicted += 1;
        Some(oldest)
    }

    /// Takes a datagram out, and gives what is left of it.
    fn remove(&mut self, at: usize) -> Option<(Key, Option<Buf>)> {
        if at >= self.datagrams.len() {
            return None;
        }
        let mut datagram = self.datagrams.remove(at);
        self.pieces -= datagram.pieces.len();
        let first = datagram.take_first();
        datagram.pieces.clear();
        self.spare.push(datagram.pieces);
        if self.datagrams.is_empty() {
            self.earliest = Time::MAX;
        }
        Some((datagram.key, first))
    }

    /// A datagram whose time is over; to be called until there is none.
    pub fn poll(&mut self, now: Time) -> Option<Expired> {
        if now < self.earliest {
            return None;
        }
        if let Some(at) = self.datagrams.iter().position(|here| here.deadline <= now) {
            return self.remove(at).map(|(key, first)| Expired { key, first });
        }
        self.earliest = self.datagrams.iter().map(|here| here.deadline).min().unwrap_or(Time::MAX);
        None
    }

    /// When [`poll`](Self::poll) is to be called. There may then be nothing to do, if the datagram came to its end
    /// before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        (self.earliest < Time::MAX).then_some(self.earliest)
    }

    /// Datagrams that had to go before their time, for others.
    #[must_use]
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Datagrams of which something has come.
    #[must_use]
    pub fn len(&self) -> usize {
        self.datagrams.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// Buffers held.
    #[must_use]
    pub const fn buffers(&self) -> usize {
        self.pieces
    }
}
