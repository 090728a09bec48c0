// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether a segment belongs to the connection at all: its age (RFC 7323 section 5.3), its numbers (RFC 9293 section 3.10.7.4),
//! and what forged ones would do (RFC 5961).
//!
//! What must always hold: what is refused here has changed nothing but counters and an answer to send, and answers to segments
//! without data are so rare that two ends that refuse each other's answers do not talk for ever.

use core::time::Duration;

use runtime::time::Time;

use super::ending::millis;
use super::open::{Due, Open};
use super::{Env, State, Verdict};
use crate::counters::Reason;
use crate::limits::TCP_ANSWER_INTERVAL;
use crate::tcp::segment::Incoming;
use crate::tcp::seq::Seq;
use crate::wire::tcp::Flags;

impl Open {
    /// What is no plain segment in the window: `Err` is what became of it, `Ok` goes on.
    #[cold]
    pub fn check(
        &mut self,
        segment: &Incoming,
        env: &mut Env<'_>,
        silence: Duration,
        now: Time,
    ) -> Result<(), Verdict> {
        let flags = segment.flags;
        let reset = flags.contains(Flags::RST);
        // RFC 7323 section 5.3, R1: an RST is taken at any age, and without timestamps.
        if !reset && let Some(stamps) = &self.stamps {
            match segment.options.timestamps {
                Some(stamp) if stamps.is_old(stamp.value, silence) => return Err(self.refuse(segment, now)),
                Some(_) => {}
                // RFC 7323 section 3.2: dropped in silence.
                None => return Err(Verdict::Dropped(Reason::TcpUnacceptable)),
            }
        }
        // RFC 5961 section 4.2: wherever it lies; a peer that has begun anew answers the challenge with an RST. It comes
        // before the look at the number, which would answer without a bound in common.
        if flags.contains(Flags::SYN) && !reset {
            return Err(self.challenge(env, now));
        }
        if !self.receiver.is_acceptable(segment.seq, segment.len()) {
            // What came again, since our acknowledgment was lost: the echo of its own timestamp tells the peer how long the way is,
            // and not how long it has waited (RFC 7323 section 4.3).
            if self.is_copy(segment)
                && let (Some(stamps), Some(stamp)) = (&mut self.stamps, segment.options.timestamps)
                && stamp.value.wrapping_sub(stamps.recent).cast_signed() > 0
            {
                stamps.recent = stamp.value;
            }
            return Err(if reset { Verdict::Dropped(Reason::TcpUnacceptable) } else { self.refuse(segment, now) });
        }
        if reset {
            // RFC 5961 section 3.2: only the number that is expected next ends the connection.
            if segment.seq == self.receiver.next() {
                self.reset();
                return Err(Verdict::Fine);
            }
            return Err(self.challenge(env, now));
        }
        if !flags.contains(Flags::ACK) {
            return Err(Verdict::Dropped(Reason::TcpUnacceptable));
        }
        Ok(())
    }

    /// Whether all of a segment that is not acceptable came before, since our last acknowledgment but one. Its timestamp is believed, so it must
    /// be as hard to forge as data are that would be taken: with one too high, nothing that the peer sends is young enough any more.
    fn is_copy(&self, segment: &Incoming) -> bool {
        let (next, len) = (self.receiver.next(), segment.len());
        segment.flags.contains(Flags::ACK)
            && !segment.flags.contains(Flags::RST)
            && len > 0
            && !segment.seq.is_behind(self.acknowledged)
            && !(segment.seq + len).is_behind(next)
            && next.since(segment.seq) as usize <= self.receiver.buffer()
            && self.is_acknowledgment_acceptable(segment.ack)
    }

    /// Whether the acknowledgment is of something that was sent, and not too long ago (RFC 5961 section 5.2).
    #[inline]
    pub fn is_acknowledgment_acceptable(&self, ack: Seq) -> bool {
        let una = self.recovery.una();
        !ack.is_behind(self.sent_up_to()) && !ack.is_before(una - self.window.largest().min(1 << 30))
    }

    /// Answers what may be forged, unless too many answers have left of late (RFC 5961 section 7).
    #[cold]
    pub fn challenge(&mut self, env: &mut Env<'_>, now: Time) -> Verdict {
        if env.challenges.take(now) {
            self.due.set(Due::ANSWER);
        }
        Verdict::Dropped(Reason::TcpUnacceptable)
    }

    /// Answers a segment that is not acceptable (RFC 9293 section 3.10.7.4).
    fn refuse(&mut self, segment: &Incoming, now: Time) -> Verdict {
        if self.state == State::TimeWait && segment.flags.contains(Flags::FIN) {
            // RFC 9293 section 3.10.7.4, eighth: our ACK was lost. The time begins anew.
            self.timers.end = now + millis(self.time_wait);
        }
        let rare = self.answered == Time::ZERO || now - self.answered >= TCP_ANSWER_INTERVAL;
        if rare || !segment.is_empty() {
            self.answered = now;
            self.receiver.unacceptable(segment.seq, segment.len());
            self.due.set(Due::ANSWER);
        }
        Verdict::Dropped(Reason::TcpUnacceptable)
    }
}
