// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tail loss probe (RFC 8985 section 7): if nothing is heard for two round trips, one segment is sent, so that the ACK of
//! it shows what is missing, without the retransmission timer.

use crate::tcp::seq::Seq;

/// The probe that is under way.
#[derive(Clone, Copy, Debug)]
pub struct Tlp {
    /// SND.NXT behind it (TLP.end_seq), while it is under way.
    end: Seq,
    is_under_way: bool,
    /// It was a retransmission (TLP.is_retrans).
    is_copy: bool,
    /// The timer has run out, and what is sent next is the probe.
    is_due: bool,
}

/// What an ACK says of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing, or that nothing was lost.
    Fine,
    /// What it repeated had been lost, and the probe has made that good (section 7.4.2).
    Repaired,
}

impl Tlp {
    /// None is under way nor due.
    pub const OFF: Self = Self { end: Seq(0), is_under_way: false, is_copy: false, is_due: false };

    /// Whether none is under way nor due.
    #[inline]
    pub const fn is_off(self) -> bool {
        !self.is_under_way && !self.is_due
    }

    /// The timer has run out.
    pub const fn due(&mut self) {
        self.is_due = true;
    }

    /// Something has left.
    #[inline]
    pub const fn sent(&mut self, next: Seq, is_copy: bool) {
        if self.is_due {
            *self = Self { end: next, is_under_way: true, is_copy, is_due: false };
        }
    }

    /// Recovery has begun: the probe has nothing more to say.
    pub const fn cancel(&mut self) {
        *self = Self::OFF;
    }

    /// An ACK has come (`TLP_process_ack`). `dsack` is what it says came twice, `is_bare` whether it is a duplicate without SACK
    /// blocks.
    pub fn acknowledged(&mut self, una: Seq, dsack: Option<(Seq, Seq)>, is_bare: bool) -> Verdict {
        let end = self.end;
        if !self.is_under_way || una.is_before(end) {
            return Verdict::Fine;
        }
        if !self.is_copy || dsack.is_some_and(|(_, twice)| twice == end) {
            self.is_under_way = false;
        } else if una.is_behind(end) {
            self.is_under_way = false;
            return Verdict::Repaired;
        } else if is_bare {
            self.is_under_way = false;
        }
        Verdict::Fine
    }
}
