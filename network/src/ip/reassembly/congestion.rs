// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the fragments of a datagram say about congestion, all together (RFC 3168 §5.3).
//!
//! What must always hold: a mark on one fragment is a mark on the datagram, so that the sender hears of it; and a mark beside
//! a fragment whose sender knows of none loses the datagram, which that sender will hear of.

use crate::wire::Ecn;

/// Which of the four codepoints were seen: a bit for each.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen(u8);

impl Seen {
    /// Takes in what a packet says, from its IP header on.
    pub fn add(&mut self, packet: &[u8]) {
        let ecn = match *packet {
            [first, second, ..] if first >> 4 == 6 => second >> 4,
            [_, second, ..] => second,
            _ => 0,
        };
        self.0 |= 1 << (ecn & 3);
    }

    const fn has(self, ecn: Ecn) -> bool {
        self.0 & 1 << ecn as u8 != 0
    }

    /// Whether they contradict each other.
    pub const fn is_contradiction(self) -> bool {
        self.has(Ecn::NotCapable) && self.has(Ecn::Congestion)
    }

    /// What they say together. Of those that may be marked in two ways, and of those that may be beside those that may not,
    /// the RFC leaves the choice.
    pub const fn together(self) -> Ecn {
        if self.has(Ecn::Congestion) {
            Ecn::Congestion
        } else if self.has(Ecn::NotCapable) {
            Ecn::NotCapable
        } else if self.has(Ecn::Capable0) {
            Ecn::Capable0
        } else {
            Ecn::Capable1
        }
    }
}
