// SPDX-License-Identifier: MIT OR Apache-2.0
//! ECN (RFC 3168 section 6.1), and what a receiver of DCTCP does otherwise (RFC 8257 section 3.2).
//!
//! What must always hold: a segment that is sent again, a probe of the window and one without data are not marked as capable
//! (RFC 3168 sections 6.1.4 to 6.1.6).

use crate::wire::tcp::Flags;

/// What both ends tell each other of marks.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Ecn {
    /// Both take part.
    pub on: bool,
    /// What comes marked is said mark by mark.
    exact: bool,
    /// ECE stands in what is sent.
    echo: bool,
    /// The next new data say that the window was reduced.
    pub reduced: bool,
}

impl Ecn {
    pub const fn new(on: bool, exact: bool) -> Self {
        Self { on, exact, echo: false, reduced: false }
    }

    /// A segment with data has come, with these control bits, marked or not. Returns whether what came before it has to be
    /// acknowledged by itself first, since ECE changes with it.
    #[inline]
    pub fn received(&mut self, flags: Flags, marked: bool) -> bool {
        if !self.on {
            return false;
        }
        if self.exact {
            // RFC 8257 section 3.2, figure 1.
            return core::mem::replace(&mut self.echo, marked) != marked;
        }
        // RFC 3168 section 6.1.3: from the mark on until the sender has heard of it; a mark on the segment that says so is a
        // new one.
        if flags.contains(Flags::CWR) {
            self.echo = false;
        }
        self.echo |= marked;
        false
    }

    /// Whether segments have neither ECE nor CWR.
    #[inline]
    pub const fn says_nothing(self) -> bool {
        !(self.echo || self.reduced)
    }

    /// Whether an unmarked segment without CWR changes nothing.
    #[inline]
    pub const fn is_quiet(self) -> bool {
        !(self.on && self.exact && self.echo)
    }

    /// The bits of whatever is sent.
    #[inline]
    pub const fn echo(self) -> Flags {
        if self.echo { Flags::ECE } else { Flags(0) }
    }

    /// The bits of an acknowledgment of what came before ECE changed.
    pub const fn echo_before(self) -> Flags {
        if self.echo { Flags(0) } else { Flags::ECE }
    }
}
