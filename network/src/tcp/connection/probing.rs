// SPDX-License-Identifier: MIT OR Apache-2.0
//! Probes of the path: when one leaves, and what has become of it (RFC 4821 sections 7.4 to 7.6). A probe is new data like any other,
//! in one segment that is longer than the rest.

use core::time::Duration;

use runtime::time::Time;

use super::Limit;
use super::open::Open;
use crate::limits::{TCP_PROBE_AGAIN, TCP_PROBE_BEHIND, TCP_PROBE_TIMEOUT_FACTOR, TCP_PROBE_WINDOW};
use crate::tcp::recovery::State;
use crate::tcp::segment::Outgoing;
use crate::tcp::send::Offer;

/// Whether a probe leaves now.
pub(super) enum Turn {
    Leaves(Outgoing),
    /// As soon as what is under way has made room for it; other data wait for that.
    Waits,
    /// Data leave as always.
    Passes,
}

impl Open {
    /// Sends a probe, if one is due and all is as it must be.
    #[cold]
    pub fn probe_path(&mut self, waiting: u32, limit: Limit, now: Time) -> Turn {
        let (low, most) = (self.mss.whole(), self.mss.most());
        let Some(size) = self.timers.search_mut().and_then(|search| search.next(low, most, now)) else {
            return Turn::Passes;
        };
        let (len, segment) = (self.mss.payload_of(size), self.mss.payload());
        let offer = Offer { segment: len, ..self.offer(waiting, limit) };
        // Section 7.4: enough behind it that duplicate acknowledgments show its loss.
        let needed = len + segment * TCP_PROBE_BEHIND;
        let window = self.recovery.controller().window();
        if waiting.min(offer.window) < needed
            || window < needed.max(segment * TCP_PROBE_WINDOW)
            || !self.recovery.may_probe()
        {
            return Turn::Passes;
        }
        if offer.room < len {
            // Section 7.4: what is acknowledged makes the room, and until then nothing else takes it.
            return if offer.idle { Turn::Passes } else { Turn::Waits };
        }
        let start = self.recovery.next();
        let is_one = self.queue.slice(start, len).is_ok_and(|views| views.len() == len as usize);
        let sent = if is_one { self.fresh(len, &offer, now) } else { None };
        let at = now + self.until_next_probe();
        let Some(search) = self.timers.search_mut() else { return Turn::Passes };
        let Some(sent) = sent else {
            // It lies in too many pieces for one segment.
            search.later(at);
            return Turn::Passes;
        };
        search.sent(start, start + len, size);
        self.recovery.sent_probe();
        Turn::Leaves(sent)
    }

    /// Looks what has become of the probe, after an acknowledgment or when a timer has run out.
    #[cold]
    pub fn look_at_probe(&mut self, now: Time) {
        let (low, wait) = (self.mss.whole(), self.until_next_probe());
        let (state, una) = (self.recovery.state(), self.recovery.una());
        let Some(&probe) = self.timers.probe() else { return };
        let has_come = !una.is_before(probe.end);
        let is_lost = probe.lost || (!has_come && self.recovery.is_probe_lost(probe.start));
        let Some(search) = self.timers.search_mut() else { return };
        match state {
            State::Repair if is_lost => search.lost(),
            State::Open if probe.lost && has_come => search.failed(low, now + wait, now),
            State::Loss if is_lost => search.is_unclear(low, now + wait * TCP_PROBE_TIMEOUT_FACTOR, now),
            _ if is_lost => search.is_unclear(low, now, now),
            _ if has_come => {
                search.arrived(probe.size, now);
                self.set_segments(probe.size);
                if !super::search::is_worthwhile(probe.size, self.mss.most()) {
                    self.timers.search = None;
                }
            }
            _ => {}
        }
    }

    /// How long no probe leaves after one was lost: longer than it takes congestion control to lose something, which is as many round
    /// trips as there are segments in the window (section 7.6.2).
    pub fn until_next_probe(&self) -> Duration {
        let controller = self.recovery.controller();
        let bytes = match self.recovery.state() {
            State::Loss => controller.threshold(),
            _ => controller.window(),
        };
        let rtt = if self.recovery.srtt().is_zero() { self.recovery.rto() } else { self.recovery.srtt() };
        rtt.saturating_mul(bytes / self.mss.payload() + 1).min(TCP_PROBE_AGAIN)
    }
}
