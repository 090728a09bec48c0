// SPDX-License-Identifier: MIT OR Apache-2.0
//! What one ACK delivers for the first time, and what that says of the path.

use core::time::Duration;

use runtime::time::Time;

use super::board::{Marks, Record};
use super::rack::Rack;
use super::sampling::Sampling;
use crate::tcp::rate::Collected;
use crate::tcp::seq::Seq;

/// Gathered record by record.
#[derive(Debug, Default)]
pub struct Fresh {
    /// Bytes.
    pub delivered: u32,
    /// What the rate sampler makes of it.
    pub collected: Collected,
    /// When that left which left first of what was sent once.
    pub first: Option<Time>,
    /// The same of what left last.
    pub last: Time,
    /// Something was sent again at some time.
    pub has_resent: bool,
    /// Something was sent once, and before recovery began.
    pub has_original: bool,
    /// Something was sent after that.
    pub has_later: bool,
}

/// What it is judged by.
pub struct Context<'a> {
    pub sampling: &'a mut Sampling,
    pub rack: &'a mut Rack,
    pub recover: Seq,
    pub echo: Option<Time>,
    pub min_rtt: Duration,
    pub now: Time,
}

impl Fresh {
    /// A record has arrived, up to `end`.
    pub fn add(&mut self, record: &Record, end: Seq, bytes: u32, context: &mut Context<'_>) {
        let now = context.now;
        self.delivered += bytes;
        context.sampling.delivered(self, record, bytes, now);
        if record.marks.has(Marks::EVER_RESENT) {
            self.has_resent = true;
            // RFC 8985 section 6.2, step 2: an answer to what left before, as the timestamp says, or the time.
            let is_ambiguous = context.echo.is_some_and(|echo| echo < record.sent)
                || now.saturating_since(record.sent) < context.min_rtt;
            context.rack.arrived(record, end, now, true, is_ambiguous);
            return;
        }
        if self.first.is_none_or(|first| record.sent < first) {
            self.first = Some(record.sent);
        }
        self.last = self.last.max(record.sent);
        if end.is_behind(context.recover) {
            self.has_later = true;
        } else {
            self.has_original = true;
        }
        context.rack.arrived(record, end, now, false, false);
    }
}
