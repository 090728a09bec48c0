// SPDX-License-Identifier: MIT OR Apache-2.0
//! Probes of the path: segments that are longer than the others, so that their loss says that they were too long, and not that the
//! path is full (RFC 4821 section 7.6.2). A probe that was lost alone is made good in [`State::Repair`], with the window as it is;
//! as soon as something else is found lost, that is congestion like any other.

use runtime::time::Time;

use super::Recovery;
use super::board::Record;
use super::sampling::Sampling;
use super::types::State;
use crate::tcp::congestion::Controller;
use crate::tcp::seq::Seq;

/// What one look has found lost, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    pub bytes: u32,
    /// Of those, what left as a probe.
    probe: u32,
}

impl Found {
    pub fn add(&mut self, record: &Record, sampling: &mut Sampling, controller: &mut Controller) {
        self.bytes += record.len();
        if record.is_probe() {
            self.probe += record.len();
        } else {
            sampling.lost(record, controller);
        }
    }
}

impl Recovery {
    /// Whether a probe may leave, as far as what is under way is concerned: nothing is missing or in doubt (RFC 4821 section 7.4), nor
    /// are the segments of another size, whose ends nobody knows any more when a device has cut them.
    pub fn may_probe(&self) -> bool {
        self.state == State::Open
            && self.board.is_calm()
            && self.tlp.is_off()
            && self.duplicates.is_none()
            && !self.is_guarded
            && !self.recovers()
    }

    /// Whether what was under way when `recover` was set still is. A connection without a loss does not touch that, and after 2 GiB it would seem to
    /// lie ahead.
    fn recovers(&self) -> bool {
        self.una.is_before(self.recover) && !self.next.is_before(self.recover)
    }

    /// What left last, in one segment, was a probe.
    pub fn sent_probe(&mut self) {
        self.board.mark_probe();
    }

    /// Whether the probe that begins there is thought lost, or was.
    pub fn is_probe_lost(&self, start: Seq) -> bool {
        self.board.is_lost(start)
    }

    /// A router has said that the probe with these numbers was too long: it leaves again at once, in shorter segments.
    #[cold]
    pub fn lose_probe(&mut self, start: Seq, end: Seq) {
        if self.board.lose_probe(start, end) {
            self.bound_duplicates();
            if self.state == State::Open {
                self.begin_repair();
            }
            self.settle_down();
        }
    }

    /// Without SACK a duplicate stands for a segment that has arrived: not for one of those that are lost.
    fn bound_duplicates(&mut self) {
        self.duplicates.bound(self.next.since(self.una).saturating_sub(self.board.lost()));
    }

    fn begin_repair(&mut self) {
        self.state = State::Repair;
        self.recover = self.next;
        self.is_guarded = !self.has_sack;
        self.is_forced = true;
        self.undo.cancel();
        self.tlp.cancel();
        self.timers.no_probe();
    }

    /// Losses were looked for: what follows of what was found. `outstanding` and `unsettled` are those of
    /// [`enter_recovery`](Self::enter_recovery). Gives whether the window was reduced.
    #[cold]
    pub(super) fn looked(&mut self, found: Found, outstanding: u32, unsettled: u32, now: Time) -> bool {
        // Of a probe, or a part of one, more is lost at once than a segment has.
        if found.bytes != 0 {
            self.bound_duplicates();
        }
        let lost = self.board.lost();
        match self.state {
            State::Open if lost == 0 => false,
            State::Open if lost == found.probe => {
                self.begin_repair();
                false
            }
            State::Repair if found.bytes == found.probe => false,
            State::Open | State::Repair => self.enter_recovery(outstanding, unsettled, now),
            State::Recovery | State::Loss => false,
        }
    }
}
