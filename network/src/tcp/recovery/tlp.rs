// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tail loss probe (RFC 8985 section 7): if nothing is heard for two round trips, one segment is sent, so that the ACK of
//! it shows what is missing, without the retransmission timer.

use crate::tcp::seq::Seq;

/// The probe that is under way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tlp {
    /// SND.NXT behind it (TLP.end_seq); nothing: none is under way.
    end: Option<Seq>,
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
    /// Whether none is under way nor due.
    #[inline]
    pub const fn is_off(&self) -> bool {
        self.end.is_none() && !self.is_due
    }

    /// The timer has run out.
    pub const fn due(&mut self) {
        self.is_due = true;
    }

    /// Something has left.
    #[inline]
    pub const fn sent(&mut self, next: Seq, is_copy: bool) {
        if self.is_due {
            *self = Self { end: Some(next), is_copy, is_due: false };
        }
    }

    /// Recovery has begun: the probe has nothing more to say.
    pub const fn cancel(&mut self) {
        *self = Self { end: None, is_copy: false, is_due: false };
    }

    /// An ACK has come (`TLP_process_ack`). `dsack` is what it says came twice, `is_bare` whether it is a duplicate without SACK
    /// blocks.
    pub fn acknowledged(&mut self, una: Seq, dsack: Option<(Seq, Seq)>, is_bare: bool) -> Verdict {
        let Some(end) = self.end else { return Verdict::Fine };
        if una.is_before(end) {
            return Verdict::Fine;
        }
        if !self.is_copy || dsack.is_some_and(|(_, twice)| twice == end) {
            self.end = None;
        } else if una.is_behind(end) {
            self.end = None;
            return Verdict::Repaired;
        } else if is_bare {
            self.end = None;
        }
        Verdict::Fine
    }
}
