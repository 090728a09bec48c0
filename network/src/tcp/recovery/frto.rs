// SPDX-License-Identifier: MIT OR Apache-2.0
//! F-RTO (RFC 5682 section 3.1, with SACK; section 2.1 without): after a timeout, the next two ACKs tell whether anything was
//! lost, or all of it was late.

/// How far that is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Frto {
    /// Not asked, or answered.
    #[default]
    Off,
    /// Step 1: the first segment is sent again, and nothing else.
    First,
    /// Step 2b: the left edge has moved; new data leave instead of old, two segments at most.
    Second,
}

/// What an ACK says of a timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing yet.
    Unknown,
    /// Something was lost (steps 2a and 3a).
    Lost,
    /// Nothing was (step 3b).
    Spurious,
    /// Send new data, and see.
    TryNew,
}

impl Frto {
    /// An ACK has come that does not acknowledge all that was sent before the timeout. `has_moved`: it moves the left edge;
    /// `has_original`: it acknowledges, selectively or not, what was sent once, and before the timeout; `has_other`: it is a
    /// duplicate, or acknowledges selectively what was sent after the timeout; `unsent`: new data wait and may be sent.
    #[expect(clippy::fn_params_excessive_bools, reason = "what an ACK says, each for itself")]
    pub fn acknowledged(&mut self, has_moved: bool, has_original: bool, has_other: bool, unsent: bool) -> Verdict {
        match *self {
            Self::Off => Verdict::Unknown,
            Self::First if has_original && has_moved => self.end(Verdict::Spurious),
            Self::Second if has_original => self.end(Verdict::Spurious),
            Self::First if has_moved && unsent => {
                *self = Self::Second;
                Verdict::TryNew
            }
            _ if has_moved || has_original || has_other => self.end(Verdict::Lost),
            _ => Verdict::Unknown,
        }
    }

    fn end(&mut self, verdict: Verdict) -> Verdict {
        *self = Self::Off;
        verdict
    }
}
