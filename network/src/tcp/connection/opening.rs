// SPDX-License-Identifier: MIT OR Apache-2.0
//! [`Opening`]: from our SYN until both ends know each other (RFC 9293 sections 3.5 and 3.10.7.3): SYN-SENT, and SYN-RECEIVED of
//! two ends that have opened at once. A listener's SYN-RECEIVED is in `listen`.

use alloc::boxed::Box;
use core::task::Poll;
use core::time::Duration;

use runtime::buf::Sga;
use runtime::time::Time;
use runtime::{Errno, Error, Result};

use super::early::Early;
use super::open::Open;
use super::options::Later;
use super::timers::SILENT;
use super::{ABORTED, Env, Info, NOT_CONNECTED, State, Verdict};
use crate::counters::Reason;
use crate::limits::TCP_MSS_MIN;
use crate::tcp::clock::ticks;
use crate::tcp::listen::Handshake;
use crate::tcp::receive::{initial_window, window_scale};
use crate::tcp::segment::{Incoming, Outgoing};
use crate::tcp::seq::Seq;
use crate::tcp::settings::{Completion, Settings};
use crate::udp::Readiness;
use crate::wire::Ecn;
use crate::wire::tcp::{Cookie, Flags, Options, Timestamps};

const REFUSED: Error = Error::new(Errno::CONNREFUSED, "nobody listens there");
/// The MSS of a peer that says none (RFC 9293 section 3.7.1, MUST-15).
const MSS_UNSAID: u16 = 536;

/// What comes of a segment.
pub(super) enum Next {
    Stay(Verdict),
    /// Both know each other; the segment is to be looked at once more.
    Open(Box<Open>),
}

/// A connection that is being opened.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Opening {
    settings: Settings,
    state: Phase,
    iss: Seq,
    /// What a segment without options may have on the link, and what the path has room for so far.
    mss: u16,
    path: u16,
    /// The origin of our timestamps.
    clock: u32,
    /// How often the SYN was sent again.
    again: u8,
    /// Whether it is to be sent now.
    send: bool,
    /// An acknowledgment is due; an RST.
    answer: bool,
    reset: bool,
    /// Nothing will be pushed; nobody will pop.
    shut: bool,
    closed: bool,
    timeout: Duration,
    deadline: Time,
    /// When the SYN left first.
    sent: Option<Time>,
    hint: Option<Error>,
    /// What goes with the first SYN beside what each has.
    early: Option<Early>,
    pub later: Later,
    pub news: Readiness,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    SynSent,
    /// The peer's SYN has come, but no acknowledgment of ours.
    SynReceived(Handshake),
    Failed(Error),
}

impl Opening {
    pub fn new(settings: &Settings, iss: Seq, mss: u16, clock: u32, now: Time) -> Self {
        Self {
            settings: *settings,
            state: Phase::SynSent,
            iss,
            mss,
            path: mss,
            clock,
            again: 0,
            send: true,
            answer: false,
            reset: false,
            shut: false,
            closed: false,
            timeout: settings.rto_initial,
            deadline: now + settings.rto_initial,
            sent: None,
            hint: None,
            early: None,
            later: Later::new(settings),
            news: Readiness::default(),
        }
    }

    pub const fn state(&self) -> State {
        match self.state {
            Phase::SynSent => State::SynSent,
            Phase::SynReceived(_) => State::SynReceived,
            Phase::Failed(_) => State::Closed,
        }
    }

    pub fn outcome(&self) -> Poll<Result<()>> {
        match self.state {
            Phase::Failed(error) => Poll::Ready(Err(error)),
            _ => Poll::Pending,
        }
    }

    /// The first SYN asks for a cookie, or shows this one: then it waits for data until the time next moves, and takes no more of them
    /// than `mss` has room for (RFC 7413 sections 4.2.1 and 4.2.2). Before anything is sent.
    pub fn call_early(&mut self, cookie: Cookie, mss: u16, now: Time) {
        let room = self.whole().min(if mss == 0 { MSS_UNSAID } else { mss });
        self.early = Some(Early::new(cookie, room));
        if !cookie.is_empty() {
            self.send = false;
            self.deadline = now;
        }
    }

    /// Takes the beginning of a message, if it can go with the SYN.
    pub fn push(&mut self, message: &mut Sga, now: Time) -> Poll<Result<()>> {
        let waits = matches!(self.state, Phase::SynSent) && self.waits_for_data() && !self.shut;
        let options = if waits { self.syn(now).options.len() } else { 0 };
        if !waits || !self.early.as_mut().is_some_and(|early| early.take(message, options)) {
            return self.not_yet();
        }
        self.call(now);
        let is_done = message.has_no_segment() && self.settings.completion == Completion::Queued;
        if is_done { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// Whether the SYN has not left, because data may come that can go with it.
    fn waits_for_data(&self) -> bool {
        self.early.is_some() && self.sent.is_none() && !self.send
    }

    /// The SYN is to leave.
    fn call(&mut self, now: Time) {
        self.send = true;
        self.deadline = now + self.timeout;
    }

    /// Whether what is on its way is a SYN that is more than a SYN.
    pub fn calls_early(&self) -> bool {
        matches!(self.state, Phase::SynSent) && self.early.is_some() && self.sent.is_some() && self.again == 0
    }

    /// Bytes of data that the peer may acknowledge with our SYN.
    fn early_sent(&self) -> u32 {
        self.early.as_ref().map_or(0, |early| early.sent)
    }

    /// Whether a segment answers our SYN: how many bytes went with that, and how many it acknowledges.
    pub fn answered(&self, segment: &Incoming) -> Option<(u32, u32)> {
        let sent = self.early_sent();
        let first = self.iss + 1;
        let is_answer = matches!(self.state, Phase::SynSent)
            && self.early.is_some()
            && self.sent.is_some()
            && segment.flags.contains(Flags::SYN | Flags::ACK)
            && !segment.flags.contains(Flags::RST)
            && segment.ack.is_in(first, first + sent + 1);
        is_answer.then(|| (sent, segment.ack.since(first)))
    }

    /// How many buffers wait here to be sent.
    pub fn buffers(&self) -> usize {
        self.early.as_ref().map_or(0, |early| early.data.segments())
    }

    /// Nobody waits for the message that goes with the SYN any more.
    pub fn forget_push(&mut self) {
        if let Some(early) = &mut self.early {
            early.forget_push();
        }
    }

    /// What push and pop have to wait for.
    pub fn not_yet(&self) -> Poll<Result<()>> {
        match self.state {
            Phase::Failed(_) => Poll::Ready(Err(NOT_CONNECTED)),
            _ => Poll::Pending,
        }
    }

    pub const fn wants_to_send(&self) -> bool {
        self.send || self.answer || self.reset
    }

    pub const fn is_drained(&self) -> bool {
        matches!(self.state, Phase::Failed(_))
    }

    pub fn deadline(&self) -> Option<Time> {
        (!matches!(self.state, Phase::Failed(_))).then_some(self.deadline)
    }

    pub fn is_in_flight(&self, seq: Seq) -> bool {
        self.sent.is_some() && seq == self.iss
    }

    pub fn set_path(&mut self, mss: u16) {
        self.path = mss.max(TCP_MSS_MIN);
    }

    /// The longest segment, without options.
    fn whole(&self) -> u16 {
        self.mss.min(self.path)
    }

    fn fail(&mut self, error: Error) {
        self.state = Phase::Failed(error);
        self.send = false;
        self.answer = false;
        self.news = Readiness { readable: true, writable: true };
    }

    /// RFC 5927 section 5.2 has errors of all kinds end an attempt to open, as Linux does.
    pub fn unreachable(&mut self, error: Error, hard: bool) {
        match self.state {
            Phase::SynSent => self.fail(error),
            Phase::SynReceived(_) if hard => self.fail(error),
            _ => self.hint = Some(error),
        }
    }

    pub fn shutdown(&mut self) {
        self.shut = true;
    }

    /// RFC 9293 section 3.10.4: SYN-SENT is forgotten, SYN-RECEIVED comes to its end by itself.
    pub fn close(&mut self) {
        match self.state {
            // What was taken is delivered.
            Phase::SynSent if self.buffers() > 0 => (self.shut, self.closed) = (true, true),
            Phase::SynSent => self.fail(ABORTED),
            Phase::SynReceived(_) => (self.shut, self.closed) = (true, true),
            Phase::Failed(_) => {}
        }
    }

    /// RFC 9293 section 3.10.5.
    pub fn abort(&mut self) {
        self.reset = matches!(self.state, Phase::SynReceived(_));
        if !matches!(self.state, Phase::Failed(_)) {
            self.fail(ABORTED);
        }
    }

    pub fn expired(&mut self, now: Time) {
        if self.deadline > now {
            return;
        }
        let retries = match self.state {
            Phase::SynSent => self.settings.syn_retries,
            Phase::SynReceived(_) => self.settings.syn_ack_retries,
            Phase::Failed(_) => return,
        };
        if self.waits_for_data() {
            return self.call(now);
        }
        if self.again >= retries {
            return self.fail(self.hint.unwrap_or(SILENT));
        }
        self.again += 1;
        self.send = true;
        // RFC 6298 section 5.5.
        self.timeout = self.timeout.saturating_mul(2).min(self.settings.rto_max);
        self.deadline = now + self.timeout;
    }

    pub fn transmit(&mut self, now: Time) -> Option<Outgoing> {
        if core::mem::take(&mut self.reset) {
            return Some(self.segment(Flags::RST, self.iss + 1, now));
        }
        if core::mem::take(&mut self.send) {
            self.answer = false;
            let is_first = self.sent.is_none();
            self.sent.get_or_insert(now);
            return Some(if is_first { self.first_syn(now) } else { self.syn(now) });
        }
        core::mem::take(&mut self.answer).then(|| self.segment(Flags::ACK, self.iss + 1, now))
    }

    fn segment(&self, flags: Flags, seq: Seq, now: Time) -> Outgoing {
        let timestamps = match self.state {
            Phase::SynReceived(Handshake { clocks: Some((origin, recent)), .. }) => {
                Some(Timestamps { value: ticks(now, origin), echo: recent })
            }
            _ => None,
        };
        let (flags, ack) = match self.state {
            Phase::SynReceived(peer) => (flags | Flags::ACK, peer.irs + 1),
            _ => (flags, Seq(0)),
        };
        Outgoing {
            seq,
            ack,
            flags,
            window: initial_window(&self.settings),
            options: Options { timestamps, ..Options::default() },
            ecn: Ecn::NotCapable,
            payload: Sga::new(),
            segment: 0,
        }
    }

    /// Our first SYN, with what can go with it.
    fn first_syn(&mut self, now: Time) -> Outgoing {
        let mut syn = self.syn(now);
        if let Some(early) = &mut self.early {
            syn.payload = early.view();
            if early.sent > 0 {
                syn.flags |= Flags::PSH;
            }
        }
        syn
    }

    /// Our SYN, with an acknowledgment if the peer's has come.
    fn syn(&self, now: Time) -> Outgoing {
        let mut syn = self.segment(Flags::SYN, self.iss, now);
        syn.options.mss = Some(self.mss);
        let settings = &self.settings;
        if let Phase::SynReceived(peer) = self.state {
            syn.options.window_scale = peer.scales.map(|(_, ours)| ours);
            syn.options.sack_permitted = peer.sack;
            if peer.ecn {
                syn.flags |= Flags::ECE;
            }
            return syn;
        }
        syn.options.window_scale = settings.window_scaling.then(|| window_scale(settings));
        syn.options.sack_permitted = settings.sack;
        syn.options.timestamps = settings.timestamps.then(|| Timestamps { value: ticks(now, self.clock), echo: 0 });
        // RFC 7413 section 4.1.3.1: once it was lost, what is sent again is what any path lets through.
        syn.options.fast_open = self.early.as_ref().filter(|_| self.again == 0).map(|early| early.cookie);
        // RFC 3168 section 6.1.1; section 6.1.1.1: what stands in the way of such a SYN does not of the next.
        if settings.ecn && self.again == 0 {
            syn.flags |= Flags::ECE | Flags::CWR;
        }
        syn
    }

    /// Takes a segment.
    pub fn receive(&mut self, segment: &Incoming, env: &mut Env<'_>, now: Time) -> Next {
        match self.state {
            Phase::SynSent => self.receive_in_syn_sent(segment, now),
            Phase::SynReceived(peer) => self.receive_in_syn_received(&peer, segment, env, now),
            Phase::Failed(_) if segment.flags.contains(Flags::RST) => Next::Stay(Verdict::Fine),
            Phase::Failed(_) => Next::Stay(Verdict::Reset),
        }
    }

    /// RFC 9293 section 3.10.7.3.
    fn receive_in_syn_sent(&mut self, segment: &Incoming, now: Time) -> Next {
        const REFUSED_SEGMENT: Next = Next::Stay(Verdict::Dropped(Reason::TcpUnacceptable));
        let flags = segment.flags;
        let acknowledges = flags.contains(Flags::ACK);
        let first = self.iss + 1;
        if acknowledges && (!segment.ack.is_in(first, first + self.early_sent() + 1) || self.sent.is_none()) {
            return if flags.contains(Flags::RST) { REFUSED_SEGMENT } else { Next::Stay(Verdict::Reset) };
        }
        if flags.contains(Flags::RST) {
            if !acknowledges {
                return REFUSED_SEGMENT;
            }
            self.fail(REFUSED);
            return Next::Stay(Verdict::Fine);
        }
        if !flags.contains(Flags::SYN) {
            return REFUSED_SEGMENT;
        }
        let peer = self.agree(segment, acknowledges);
        if acknowledges {
            return self.open(&peer, segment.ack, now);
        }
        // Both have opened at once: our SYN once more, with an acknowledgment (RFC 9293 section 3.5, figure 7).
        self.state = Phase::SynReceived(peer);
        self.send = true;
        self.again = 0;
        self.timeout = self.settings.rto_initial;
        self.deadline = now + self.timeout;
        Next::Stay(Verdict::Fine)
    }

    /// RFC 9293 section 3.10.7.4, of SYN-RECEIVED.
    fn receive_in_syn_received(&mut self, peer: &Handshake, segment: &Incoming, env: &mut Env<'_>, now: Time) -> Next {
        const REFUSED_SEGMENT: Next = Next::Stay(Verdict::Dropped(Reason::TcpUnacceptable));
        let expected = peer.irs + 1;
        let flags = segment.flags;
        // The peer's SYN with an acknowledgment of ours is not acceptable by its number, but it is what figure 7 has.
        let syn_again = flags.contains(Flags::SYN) && segment.seq == peer.irs;
        let acceptable = syn_again || segment.seq.is_in(expected, expected + u32::from(peer.offered).max(1));
        if flags.contains(Flags::RST) {
            if segment.seq == expected {
                self.fail(REFUSED);
                return Next::Stay(Verdict::Fine);
            }
            self.answer |= acceptable && env.challenges.take(now);
            return REFUSED_SEGMENT;
        }
        if !acceptable || (flags.contains(Flags::SYN) && !syn_again) {
            self.answer |= env.challenges.take(now);
            return REFUSED_SEGMENT;
        }
        if !flags.contains(Flags::ACK) {
            // The same SYN: our answer may be lost.
            self.send |= syn_again;
            return REFUSED_SEGMENT;
        }
        let first = self.iss + 1;
        if !segment.ack.is_in(first, first + self.early_sent() + 1) {
            return Next::Stay(Verdict::Reset);
        }
        self.open(peer, segment.ack, now)
    }

    /// Both know each other. `ack`: what the peer expects next, behind our SYN and what of its data it has taken.
    fn open(&mut self, peer: &Handshake, ack: Seq, now: Time) -> Next {
        let mut open = Box::new(Open::new(&self.settings, &Handshake { iss: ack - 1, path: self.path, ..*peer }, now));
        self.later.apply(&mut open, now);
        if let Some(early) = &mut self.early {
            early.move_to(&mut open, ack.since(self.iss + 1), now);
        }
        if self.shut {
            open.shutdown(now);
        }
        if self.closed {
            open.close(now);
        }
        Next::Open(open)
    }

    /// What both SYNs say: an option counts if both have it.
    fn agree(&self, syn: &Incoming, answered: bool) -> Handshake {
        let settings = &self.settings;
        let options = &syn.options;
        let ours = settings.window_scaling.then(|| window_scale(settings));
        let asked = settings.ecn && self.again == 0;
        let ecn = if answered {
            // RFC 3168 section 6.1.1: ECE alone says yes.
            asked && syn.flags.contains(Flags::ECE) && !syn.flags.contains(Flags::CWR)
        } else {
            syn.flags.contains(Flags::ECE | Flags::CWR)
        };
        Handshake {
            iss: self.iss,
            irs: syn.seq,
            window: syn.window,
            offered: initial_window(settings),
            mss: self.mss.min(options.mss.unwrap_or(MSS_UNSAID)),
            path: self.path,
            scales: options.window_scale.zip(ours),
            sack: settings.sack && options.sack_permitted,
            clocks: options.timestamps.filter(|_| settings.timestamps).map(|stamp| (self.clock, stamp.value)),
            ecn,
            early: None,
            grants: false,
            sent: self.sent.filter(|_| self.again == 0),
        }
    }

    pub fn info(&self) -> Info {
        Info {
            state: self.state(),
            mss: self.whole(),
            rto: self.timeout,
            retransmits: self.again.into(),
            segments_sent: u64::from(self.sent.is_some()) + u64::from(self.again),
            ..Info::NOTHING
        }
    }
}
