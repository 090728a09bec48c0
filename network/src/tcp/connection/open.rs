// SPDX-License-Identifier: MIT OR Apache-2.0
//! [`Open`]: a connection whose ends know each other, in the states from ESTABLISHED on; what of it is left when it is closed.

use alloc::boxed::Box;
use core::time::Duration;

use runtime::Error;
use runtime::buf::Sga;
use runtime::time::Time;

use super::State;
use super::ecn::Ecn;
use super::ending::Orphan;
use super::keep_alive::KeepAlive;
use super::path::Mss;
use super::stamps::Stamps;
use super::timers::Slow;
use crate::tcp::listen::Handshake;
use crate::tcp::receive::Receiver;
use crate::tcp::recovery::{Features, Recovery};
use crate::tcp::send::{Completions, Queue, Window};
use crate::tcp::seq::Seq;
use crate::tcp::settings::{Algorithm, Settings};
use crate::udp::Readiness;

/// What is to leave beside data that may: one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Due(u8);

impl Due {
    /// An RST: the connection is closed.
    pub const RESET: u8 = 1;
    /// An acknowledgment, whatever the receiver thinks of it.
    pub const ANSWER: u8 = 2;
    /// An acknowledgment up to where ECE changed (RFC 8257 section 3.2).
    pub const EARLY: u8 = 4;
    /// A probe of the end of what is under way (RFC 8985 section 7.3).
    pub const TAIL: u8 = 8;
    /// A probe of the peer's window.
    pub const WINDOW: u8 = 16;
    /// A probe of a silent peer.
    pub const KEEP_ALIVE: u8 = 32;

    #[inline]
    pub const fn set(&mut self, what: u8) {
        self.0 |= what;
    }

    #[inline]
    pub const fn has(self, what: u8) -> bool {
        self.0 & what != 0
    }

    /// Whether it was there; it no longer is.
    #[inline]
    pub const fn take(&mut self, what: u8) -> bool {
        let had = self.has(what);
        self.0 &= !what;
        had
    }

    #[inline]
    pub const fn is_nothing(self) -> bool {
        self.0 == 0
    }
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub segments_received: u32,
    pub segments_sent: u32,
    pub bytes_received: u64,
    pub bytes_acknowledged: u64,
}

/// Milliseconds, at most seven weeks.
fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

/// A connection whose ends know each other.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Open {
    pub state: State,
    pub due: Due,
    /// Something has happened since there was nothing to send.
    pub stirred: bool,
    /// Nothing more will be pushed: the FIN stands behind what was.
    pub fin: bool,
    pub no_delay: bool,
    /// Both read selective acknowledgments.
    pub sack: bool,
    /// A push waits for room or for its completion.
    pub awaits_room: bool,
    /// A pop has said that the stream has ended.
    pub told: bool,
    pub news: Readiness,
    /// What our window field is shifted by, and theirs.
    pub shifts: (u8, u8),
    pub scaled: bool,
    /// How often in a row data are sent again.
    pub retries: u8,
    pub ecn: Ecn,
    pub mss: Mss,
    pub window: Window,
    pub stamps: Option<Stamps>,
    /// Last.ACK.sent (RFC 7323 section 4.3).
    pub acknowledged: Seq,
    /// The window field of the last segment that left.
    pub offered: u16,
    /// Where ECE changed, if [`Due::EARLY`] is set.
    pub early: Seq,
    /// Where the last small segment ends (RFC 9293 appendix A.3).
    pub small: Seq,
    pub queue: Queue,
    pub recovery: Recovery,
    pub receiver: Receiver,
    /// None if a push is done when it stands in the queue.
    pub completions: Option<Box<Completions>>,
    pub timers: Slow,
    pub keep_alive: KeepAlive,
    /// In milliseconds; 0: there is none.
    pub user_timeout: u32,
    /// When a segment came last.
    pub heard: Time,
    /// When something was acknowledged last, or sent with nothing under way.
    pub progress: Time,
    /// When an acknowledgment was last sent because of a segment that was not acceptable.
    pub answered: Time,
    /// In milliseconds, as is the next.
    pub time_wait: u32,
    pub fin_wait: u32,
    /// In CLOSED, what broke it. Before, what ICMP said, which counts only once the peer is given up (RFC 5927 section 5.2).
    pub error: Option<Error>,
    /// Nobody will push or pop any more.
    pub orphan: Option<Box<Orphan>>,
    pub counts: Counts,
}

impl Open {
    /// What the SYNs have agreed on, whose answer has come or comes next.
    pub fn new(settings: &Settings, syn: &Handshake, now: Time) -> Self {
        let mss = Mss::new(syn.mss, syn.path, syn.clocks.is_some());
        let (theirs, ours) = syn.scales.unwrap_or((0, 0));
        let (first, expected) = (syn.iss + 1, syn.expected());
        let features = Features { sack: syn.sack, timestamps: syn.clocks.is_some(), ecn: syn.ecn };
        let mut recovery = Recovery::new(settings, features, mss.payload(), first, now);
        // The answer of one that began with data on its SYN comes later.
        let answered = syn.sent.filter(|_| syn.early.is_none());
        recovery.opened(answered.map(|sent| now - sent), answered.is_none() && syn.early.is_none(), now);
        Self {
            state: State::Established,
            due: Due::default(),
            stirred: true,
            fin: false,
            no_delay: settings.no_delay,
            sack: syn.sack,
            awaits_room: false,
            told: false,
            news: Readiness { readable: false, writable: true },
            shifts: (ours, theirs),
            scaled: syn.scales.is_some(),
            retries: settings.retries,
            ecn: Ecn::new(syn.ecn, settings.algorithm == Algorithm::Dctcp),
            mss,
            window: Window::new(syn.window, theirs, syn.irs, first),
            stamps: syn.clocks.map(|(origin, recent)| Stamps { origin, recent }),
            acknowledged: expected,
            offered: syn.offered,
            early: expected,
            small: first,
            queue: Queue::new(first, settings.send_buffer),
            recovery,
            receiver: Receiver::new(settings, expected, ours, mss.payload_of(mss.most()), now),
            completions: Completions::new(settings.completion).map(Box::new),
            timers: Slow::searching(mss.search(now)),
            keep_alive: KeepAlive::OFF,
            user_timeout: settings.user_timeout.map_or(0, |timeout| millis(timeout).max(1)),
            heard: now,
            progress: now,
            answered: Time::ZERO,
            time_wait: millis(settings.time_wait),
            fin_wait: millis(settings.fin_wait),
            error: None,
            orphan: None,
            counts: Counts::default(),
        }
    }

    /// What came with the peer's SYN; its numbers are counted already.
    pub fn receive_early(&mut self, data: Sga) {
        self.counts.bytes_received += data.len() as u64;
        self.news.readable = !data.is_empty();
        self.receiver.begin_with(data);
    }

    /// See [`Connection::confirmed`](super::Connection::confirmed).
    pub fn confirmed(&mut self, rtt: Option<Duration>, now: Time) {
        // What has left since is measured by itself.
        if self.counts.segments_sent == 0 {
            self.recovery.opened(rtt, false, now);
        }
    }

    /// Behind the last number that the peer may acknowledge: SND.NXT, and what a probe of the window had.
    #[inline]
    pub fn sent_up_to(&self) -> Seq {
        self.recovery.next() + u32::from(self.timers.probes.last < Time::MAX)
    }

    /// See [`Connection::is_in_order`](super::Connection::is_in_order).
    #[inline]
    pub fn is_in_order(&self) -> bool {
        self.state == State::Established
            && self.due.is_nothing()
            && !self.receiver.has_sack()
            && self.recovery.is_calm()
            && self.ecn.is_quiet()
            && self.orphan.is_none()
    }

    /// Whether something waits to be sent for the first time, the FIN included.
    #[inline]
    pub fn has_unsent(&self) -> bool {
        self.recovery.next().is_before(self.queue.end() + u32::from(self.fin))
    }

    /// Whether all that was pushed is acknowledged, and the FIN if there is one.
    #[inline]
    pub fn is_drained(&self) -> bool {
        self.state == State::Closed || (self.recovery.is_idle() && !self.has_unsent())
    }
}
