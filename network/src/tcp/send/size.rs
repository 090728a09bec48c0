// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much leaves at once: whole segments, and a small one only if it does not have to wait for company.
//!
//! RFC 9293 section 3.8.6.2.1 keeps the sender out of silly windows; section 3.7.4 is Nagle's algorithm, here as its
//! appendix A.3 has it: a small segment waits for another small one only, not for full ones.

/// What a decision is made of; all of it in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    /// What waits to be sent for the first time.
    pub waiting: u32,
    /// What of the peer's window is left (RFC 9293: U).
    pub window: u32,
    /// The largest window that the peer had.
    pub largest: u32,
    /// What congestion control allows.
    pub room: u32,
    /// A segment's payload.
    pub segment: u32,
    /// What one frame takes.
    pub most: u32,
    /// Small segments do not wait: `TCP_NODELAY`, or nothing will come behind.
    pub eager: bool,
    /// A small segment is under way.
    pub small: bool,
    /// Nothing is under way.
    pub idle: bool,
}

/// How many bytes leave now.
#[inline]
pub fn amount(offer: &Offer) -> u32 {
    let Offer { waiting, window, segment, .. } = *offer;
    let fits = waiting.min(window).min(offer.most.max(segment));
    if fits <= segment {
        if fits == 0 || offer.room < fits {
            return 0;
        }
        // A full one; the last one; or as much as a small window ever takes.
        let leaves = fits == segment
            || (fits == waiting && (offer.eager || !offer.small))
            || (fits >= offer.largest / 2 && (offer.eager || offer.idle));
        return if leaves { fits } else { 0 };
    }
    several(offer, fits)
}

/// As [`amount`], of more than one segment.
fn several(offer: &Offer, fits: u32) -> u32 {
    let fits = fits.min(offer.room);
    let tail = fits.checked_rem(offer.segment).unwrap_or(0);
    if tail == 0 || (fits == offer.waiting && (offer.eager || !offer.small)) { fits } else { fits - tail }
}
