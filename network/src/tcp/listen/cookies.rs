// SPDX-License-Identifier: MIT OR Apache-2.0
//! SYN cookies (RFC 4987 section 3.6, after D. J. Bernstein): while nothing more can be remembered, our SYN's number and clock
//! remember what was agreed on, and come back with its acknowledgment.
//!
//! ```text
//! number   5 bits: when, in turns of 2^36 ns · 3 bits: the MSS, of eight · 24 bits: keyed hash of ends, their number and these
//! clock    the lowest 6 bits: ECN · SACK · 4 bits of window scale, 15 for none
//! ```
//!
//! What must always hold: what comes back was made here, for these ends and this number, within the last two turns (69 to 137 s):
//! a guess is right once in some millions. Without timestamps there is no place for scale, SACK and ECN, and the connection has
//! none of them. Our clock never shows more for it than it would have, so that it does not run back.

use runtime::time::Time;

use super::{Handshake, Local};
use crate::keyed::Secret;
use crate::tcp::clock;
use crate::tcp::connection::{first_window, window_scale};
use crate::tcp::segment::{Incoming, Outgoing};
use crate::tcp::seq::Seq;
use crate::tcp::settings::Settings;
use crate::tcp::table::Flow;
use crate::wire::tcp::options::WINDOW_SCALE_MAX;

/// The segment sizes that a cookie can name: those of common links, without and with tunnels, and of jumbo frames.
const SIZES: [u16; 8] = [48, 536, 1220, 1380, 1440, 1460, 4312, 8940];
const TURN_SHIFT: u32 = 36;
const HASH: u32 = (1 << 24) - 1;
/// Of the clock.
const OPTIONS: u32 = (1 << 6) - 1;
const NO_SCALE: u32 = 15;

/// Makes cookies and reads them.
#[derive(Debug)]
pub struct Cookies {
    secret: Secret,
}

impl Cookies {
    /// Those of this secret.
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        Self { secret: secret.derive("cookies") }
    }

    fn number(&self, flow: &Flow, irs: Seq, turn: u64, size: u32) -> Seq {
        let hash = self.secret.hash(&(flow, irs, turn, size)) as u32;
        Seq((turn as u32) << 27 | size << 24 | hash & HASH)
    }

    /// The answer to a SYN, which is not remembered otherwise.
    #[must_use]
    pub fn answer(&self, flow: &Flow, syn: &Incoming, local: &Local, settings: &Settings, now: Time) -> Outgoing {
        let agreed = Handshake::new(syn, local, settings, now);
        // The largest that is not too large; the smallest is what a path has at least.
        let size = SIZES.iter().rposition(|size| *size <= agreed.mss).unwrap_or(0) as u32;
        let iss = self.number(flow, syn.seq, now.as_nanos() >> TURN_SHIFT, size);
        let clock = now.as_nanos();
        let mut agreed = Handshake { iss, ..agreed };
        if agreed.clocks.is_none() {
            agreed = Handshake { scales: None, sack: false, ecn: false, ..agreed };
        }
        let options = u32::from(agreed.ecn) << 5
            | u32::from(agreed.sack) << 4
            | agreed.scales.map_or(NO_SCALE, |(theirs, _)| u32::from(theirs));
        let shown = clock::ticks(Time::from_nanos(clock), 0);
        let mut marked = shown & !OPTIONS | options;
        if marked > shown {
            marked = marked.wrapping_sub(OPTIONS + 1);
        }
        agreed.answer(local.link, marked.wrapping_add(local.clock))
    }

    /// What a cookie remembers that comes back with this segment; `None` if it is none. `local.iss` is not looked at.
    #[must_use]
    pub fn read(
        &self,
        flow: &Flow,
        ack: &Incoming,
        local: &Local,
        settings: &Settings,
        now: Time,
    ) -> Option<Handshake> {
        let (iss, irs) = (ack.ack - 1, ack.seq - 1);
        let this = now.as_nanos() >> TURN_SHIFT;
        let size = iss.0 >> 24 & 7;
        let turns = [Some(this), this.checked_sub(1)];
        turns.into_iter().flatten().find(|turn| self.number(flow, irs, *turn, size) == iss)?;
        let marks = ack.options.timestamps.filter(|_| settings.timestamps);
        let options = marks.map(|theirs| theirs.echo.wrapping_sub(local.clock) & OPTIONS);
        let scale = options.map(|options| options & 15).filter(|scale| *scale <= u32::from(WINDOW_SCALE_MAX));
        let scales = scale.map(|theirs| (theirs as u8, window_scale(settings)));
        Some(Handshake {
            iss,
            irs,
            // Theirs was not remembered; the segment itself says more, and a field that is scaled never says too much here.
            window: ack.window,
            offered: first_window(settings),
            mss: SIZES.get(size as usize).copied().unwrap_or(SIZES[0]).min(local.link),
            path: local.path,
            scales,
            sack: options.is_some_and(|options| options & 1 << 4 != 0),
            clocks: marks.map(|theirs| (local.clock, theirs.value)),
            ecn: options.is_some_and(|options| options & 1 << 5 != 0),
            early: None,
            grants: false,
            sent: None,
        })
    }
}
