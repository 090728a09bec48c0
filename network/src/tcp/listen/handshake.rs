// SPDX-License-Identifier: MIT OR Apache-2.0
//! [`Handshake`]: what both ends have agreed on by the time the third segment comes (RFC 9293 section 3.5), be it remembered
//! or read from a cookie.

use runtime::buf::Sga;
use runtime::time::Time;

use crate::limits::TCP_MSS_MIN;
use crate::tcp::clock;
use crate::tcp::connection::{first_window, window_scale};
use crate::tcp::segment::{Incoming, Outgoing};
use crate::tcp::seq::Seq;
use crate::tcp::settings::Settings;
use crate::wire::Ecn;
use crate::wire::tcp::{Flags, Options, Timestamps};

/// What both ends of a connection that the other has begun have agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The number of our SYN.
    pub iss: Seq,
    /// The number of theirs.
    pub irs: Seq,
    /// The window of their SYN, which is never scaled, in bytes.
    pub window: u16,
    /// What our SYN offered, which is not scaled either, in bytes.
    pub offered: u16,
    /// Payload bytes of a segment without options, to them: what they take, and no more than the link does.
    pub mss: u16,
    /// What the path has room for so far, which may be less.
    pub path: u16,
    /// The shifts of their window field and of ours, if both have asked for scaling (RFC 7323 section 2).
    pub scales: Option<(u8, u8)>,
    /// Whether both read selective acknowledgments (RFC 2018).
    pub sack: bool,
    /// If both have sent timestamps (RFC 7323 section 3): the origin of our clock, and what theirs has shown.
    pub clocks: Option<(u32, u32)>,
    /// Whether both know ECN (RFC 3168).
    pub ecn: bool,
    /// Of a SYN with a cookie of ours: how many bytes came with it and were taken (RFC 7413 section 4.2.2).
    pub early: Option<u16>,
    /// Whether our SYN gives them a cookie.
    pub grants: bool,
    /// When our SYN left, if it left once only: its acknowledgment measures the round trip. Of a cookie nobody knows.
    pub sent: Option<Time>,
}

/// What this end brings into a handshake.
#[derive(Clone, Copy, Debug)]
pub struct Local {
    /// The number of our SYN.
    pub iss: Seq,
    /// The origin of our clock.
    pub clock: u32,
    /// What a segment without options has room for on the path to them, in bytes.
    pub path: u16,
    /// What one may have to us, in bytes: our MSS option.
    pub link: u16,
    /// What a peer takes that does not say so (RFC 9293 section 3.7.1, MUST-15).
    pub usual: u16,
}

impl Handshake {
    /// What a SYN and this end agree on.
    #[must_use]
    pub fn new(syn: &Incoming, local: &Local, settings: &Settings, now: Time) -> Self {
        let theirs = &syn.options;
        let clocks = theirs.timestamps.filter(|_| settings.timestamps).map(|theirs| (local.clock, theirs.value));
        let scale = theirs.window_scale.filter(|_| settings.window_scaling);
        Self {
            iss: local.iss,
            irs: syn.seq,
            window: syn.window,
            offered: first_window(settings),
            mss: theirs.mss.unwrap_or(local.usual).max(TCP_MSS_MIN).min(local.link),
            path: local.path,
            scales: scale.map(|theirs| (theirs, window_scale(settings))),
            sack: theirs.sack_permitted && settings.sack,
            clocks,
            // RFC 3168 section 6.1.1: an ECN-setup SYN has both bits.
            ecn: syn.flags.contains(Flags::ECE | Flags::CWR),
            early: None,
            grants: false,
            sent: Some(now),
        }
    }

    /// What is expected next: what is behind their SYN, and behind what came with it.
    #[must_use]
    pub fn expected(&self) -> Seq {
        self.irs + 1 + u32::from(self.early.unwrap_or(0))
    }

    /// Our SYN, which acknowledges theirs. `mss`: what a segment may have to us; `clock`: what our clock shows.
    #[must_use]
    pub fn answer(&self, mss: u16, clock: u32) -> Outgoing {
        let mut flags = Flags::SYN | Flags::ACK;
        if self.ecn {
            flags |= Flags::ECE;
        }
        Outgoing {
            seq: self.iss,
            ack: self.expected(),
            flags,
            window: self.offered,
            options: Options {
                mss: Some(mss),
                window_scale: self.scales.map(|(_, ours)| ours),
                sack_permitted: self.sack,
                timestamps: self.clocks.map(|(_, theirs)| Timestamps { value: clock, echo: theirs }),
                ..Options::default()
            },
            // RFC 3168 section 6.1.1: not on a SYN.
            ecn: Ecn::NotCapable,
            payload: Sga::new(),
            segment: 0,
        }
    }

    /// An acknowledgment of what has come, which is their SYN and what was taken with it. `next`: what we send next.
    #[must_use]
    pub fn acknowledgment(&self, next: Seq, now: Time) -> Outgoing {
        let timestamps =
            self.clocks.map(|(origin, theirs)| Timestamps { value: clock::ticks(now, origin), echo: theirs });
        Outgoing {
            seq: next,
            ack: self.expected(),
            flags: Flags::ACK,
            window: self.offered >> self.scales.map_or(0, |(_, ours)| ours),
            options: Options { timestamps, ..Options::default() },
            ecn: Ecn::NotCapable,
            payload: Sga::new(),
            segment: 0,
        }
    }
}
