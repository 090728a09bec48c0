// SPDX-License-Identifier: MIT OR Apache-2.0
//! [`HalfOpen`]: a SYN that has come and was answered: SYN-RECEIVED in compact form (RFC 9293 section 3.10.7.4).
//!
//! What must always hold: nothing that an attacker can send who does not see our SYN makes a connection of it, or ends it: an
//! acknowledgment must be exact, an RST in its place, and a SYN is answered by what was said already (RFC 5961 sections 3 and 4).

use core::time::Duration;

use runtime::slab::Key;
use runtime::time::Time;

use super::Handshake;
use crate::tcp::segment::Incoming;
use crate::tcp::seq::Seq;
use crate::tcp::settings::Settings;
use crate::tcp::table::Flow;
use crate::wire::tcp::Flags;

/// What to do about a segment that comes for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The handshake is done: the segment is the connection's.
    Accept,
    /// Nothing.
    Drop,
    /// Our SYN is sent again.
    Again,
    /// An acknowledgment tells where we are.
    Challenge,
    /// An RST: it acknowledges what was not sent.
    Reset,
    /// The peer wants no connection any more.
    Forget,
}

/// A SYN that was answered, and the answer to which is waited for.
#[derive(Debug)]
pub struct HalfOpen {
    /// Between whom.
    pub flow: Flow,
    /// The hash of that.
    pub hash: u32,
    /// The socket that listens.
    pub listener: Key,
    /// What both have said.
    pub handshake: Handshake,
    /// How often our SYN was sent again.
    pub tries: u8,
    /// The connection that there is already, since data were taken with the SYN (RFC 7413 section 4.2.2).
    pub early: Option<Key>,
    /// Whether the peer has reset it: only its place is held, so that nobody makes room by calling and hanging up (section 5.1).
    pub ended: bool,
}

impl HalfOpen {
    /// What to do about a segment. In the order of RFC 9293 section 3.10.7.4. `sent`: behind the last number that we have sent.
    #[must_use]
    pub fn judge(&self, segment: &Incoming, sent: Seq) -> Answer {
        let handshake = &self.handshake;
        let expected = handshake.expected();
        let flags = segment.flags;
        if flags.contains(Flags::SYN) && !flags.intersects(Flags::ACK | Flags::RST) && segment.seq == handshake.irs {
            return Answer::Again;
        }
        let end = expected + u32::from(handshake.offered).max(1);
        let acceptable = segment.seq.is_in(expected, end);
        if flags.contains(Flags::RST) {
            return match acceptable {
                true if segment.seq == expected => Answer::Forget,
                true => Answer::Challenge,
                false => Answer::Drop,
            };
        }
        if let Some((_, recent)) = handshake.clocks {
            match segment.options.timestamps {
                // RFC 7323 section 3.2: what was agreed on is in each.
                None => return Answer::Drop,
                Some(theirs) if Seq(theirs.value).is_before(Seq(recent)) => return Answer::Challenge,
                Some(_) => {}
            }
        }
        if !acceptable || flags.contains(Flags::SYN) {
            return Answer::Challenge;
        }
        match flags.contains(Flags::ACK) {
            true if segment.ack.is_in(handshake.iss + 1, sent + 1) => Answer::Accept,
            true => Answer::Reset,
            false => Answer::Drop,
        }
    }

    /// The answer has not come in time: when to look again, our SYN having been sent again; `None` to give up.
    pub fn expired(&mut self, settings: &Settings, now: Time) -> Option<Time> {
        if self.tries >= settings.syn_ack_retries {
            return None;
        }
        self.tries += 1;
        // Of one that was sent twice nobody knows which is acknowledged (RFC 6298 section 3).
        self.handshake.sent = None;
        Some(now + self.patience(settings))
    }

    /// How long the answer is waited for: twice as long each time (RFC 6298 section 5.5).
    #[must_use]
    pub fn patience(&self, settings: &Settings) -> Duration {
        settings.rto_initial.saturating_mul(1 << self.tries.min(16)).min(settings.rto_max)
    }
}
