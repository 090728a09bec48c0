// SPDX-License-Identifier: MIT OR Apache-2.0
//! [`Pair`]: two connections and the wire between them, under virtual time.
//!
//! What must always hold, and is looked at with every segment: nothing is acknowledged that was not sent, the right edge of a
//! window does not move left by more than its scale, nothing lies outside of the peer's window, and a timer is armed while
//! something is not acknowledged.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::super::*;
use crate::keyed::{Random, Secret};
use crate::tcp::listen::{Handshake, Local};
use crate::wire::Ecn;
use crate::wire::tcp::{Flags, Options};
use core::time::Duration;
use runtime::buf::{Classes, Pools};

/// Which end.
pub const CLIENT: usize = 0;
pub const SERVER: usize = 1;

/// What the wire does to a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Deliver,
    Drop,
    /// Comes later by so much.
    Late(Duration),
    Twice,
    /// A router marks it, if it may be.
    Mark,
}

/// A segment as the trace has it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub at: Time,
    pub from: usize,
    pub seq: Seq,
    pub ack: Seq,
    pub flags: Flags,
    pub window: u16,
    pub len: u32,
    pub ecn: Ecn,
    pub options: Options,
    pub fate: Fate,
}

impl Seen {
    pub fn has(&self, flags: Flags) -> bool {
        self.flags.contains(flags)
    }
}

type Wire = Box<dyn FnMut(&Seen) -> Fate>;

pub struct Pair {
    pub now: Time,
    pub settings: [Settings; 2],
    pub mss: u16,
    pub delay: Duration,
    pub ends: [Option<Connection>; 2],
    pub wire: Wire,
    pub trace: Vec<Seen>,
    pub pools: Pools,
    pub received: [Vec<u8>; 2],
    /// What a pop has said last that was no data.
    pub ended: [Option<Result<()>>; 2],
    /// Whether the harness pops what comes.
    pub pops: [bool; 2],
    pub limit: Limit,
    pub verdicts: Vec<(usize, Verdict)>,
    challenges: [Bucket; 2],
    half_open: Option<Handshake>,
    listening: bool,
    flying: BTreeMap<(Time, u64), (usize, Incoming)>,
    count: u64,
    edges: [Option<Seq>; 2],
}

pub const MSS: u16 = 1460;

impl Pair {
    /// Two ends that have not begun.
    pub fn new(settings: Settings) -> Self {
        let bucket = |byte| Bucket::new(1000, 1000, Random::new(Secret([byte; 16])));
        Self {
            now: Time::from_nanos(1_000_000_000),
            settings: [settings; 2],
            mss: MSS,
            delay: Duration::from_millis(10),
            ends: [None, None],
            wire: Box::new(|_| Fate::Deliver),
            trace: Vec::new(),
            pools: Pools::new(&Classes::default()).unwrap(),
            received: [Vec::new(), Vec::new()],
            ended: [None, None],
            pops: [true, true],
            limit: Limit { most: 0 },
            verdicts: Vec::new(),
            challenges: [bucket(1), bucket(2)],
            half_open: None,
            listening: true,
            flying: BTreeMap::new(),
            count: 0,
            edges: [None, None],
        }
    }

    /// Two ends that are connected, and what that took forgotten.
    pub fn connected(settings: Settings) -> Self {
        let mut pair = Self::new(settings);
        pair.connect(CLIENT);
        pair.run_for(Duration::from_millis(100));
        assert_eq!(pair.states(), (State::Established, State::Established), "{}", pair.text());
        pair.trace.clear();
        pair
    }

    pub fn connect(&mut self, end: usize) {
        let iss = Seq([0xffff_fff0, 5000][end]);
        let mut connection = Connection::connect(&self.settings[end], iss, self.mss, 77, self.now);
        self.listening &= end == CLIENT;
        self.pump_one(end, &mut connection);
        self.ends[end] = Some(connection);
    }

    /// Nobody listens.
    pub fn refuse_all(&mut self) {
        self.listening = false;
    }

    pub fn end(&mut self, end: usize) -> &mut Connection {
        self.ends[end].as_mut().expect("it is there")
    }

    pub fn state(&self, end: usize) -> State {
        self.ends[end].as_ref().map_or(State::Closed, Connection::state)
    }

    pub fn states(&self) -> (State, State) {
        (self.state(CLIENT), self.state(SERVER))
    }

    /// Calls an end, and sends what comes of it.
    pub fn call<T>(&mut self, end: usize, call: impl FnOnce(&mut Connection, Time) -> T) -> T {
        let now = self.now;
        let result = call(self.end(end), now);
        self.pump(end);
        result
    }

    /// Pushes bytes that tell where they are from.
    pub fn push(&mut self, end: usize, bytes: &[u8]) -> Poll<Result<()>> {
        let mut message: Sga = self.pools.alloc_copy(bytes).unwrap().into();
        self.call(end, |connection, now| connection.push(&mut message, now))
    }

    /// Pushes all of it in chunks, letting time pass where there is no room.
    pub fn push_all(&mut self, end: usize, bytes: &[u8], chunk: usize) {
        for chunk in bytes.chunks(chunk) {
            let mut message: Sga = self.pools.alloc_copy(chunk).unwrap().into();
            let give_up = self.now + Duration::from_hours(1);
            loop {
                match self.call(end, |connection, now| connection.push(&mut message, now)) {
                    Poll::Ready(result) => break result.unwrap(),
                    Poll::Pending => {
                        assert!(self.step(give_up), "stuck\n{}", self.text());
                    }
                }
            }
        }
    }

    /// Lets time pass until both ends have read the end of the stream, or the time is over.
    pub fn run_to_the_end(&mut self, limit: Duration) {
        let until = self.now + limit;
        while self.ended.iter().any(Option::is_none) && self.step(until) {}
    }

    pub fn pop(&mut self, end: usize, at_most: Option<usize>) -> Poll<Result<Vec<u8>>> {
        self.call(end, |connection, now| connection.pop(at_most, now)).map(|popped| popped.map(|sga| sga.to_vec()))
    }

    pub fn shutdown(&mut self, end: usize) {
        self.call(end, Connection::shutdown);
    }

    pub fn close(&mut self, end: usize) {
        self.call(end, Connection::close);
    }

    pub fn abort(&mut self, end: usize) {
        self.call(end, |connection, _| connection.abort());
    }

    fn pump(&mut self, end: usize) {
        let Some(mut connection) = self.ends[end].take() else { return };
        self.pump_one(end, &mut connection);
        if self.pops[end] && matches!(connection.connected(), Poll::Ready(Ok(()))) {
            loop {
                match connection.pop(None, self.now) {
                    Poll::Ready(Ok(popped)) if !popped.has_no_segment() => {
                        self.received[end].extend(popped.to_vec());
                    }
                    Poll::Ready(result) => {
                        if self.ended[end].is_none() {
                            self.ended[end] = Some(result.map(|_| ()));
                        }
                        break;
                    }
                    Poll::Pending => break,
                }
            }
            self.pump_one(end, &mut connection);
        }
        self.ends[end] = Some(connection);
    }

    fn pump_one(&mut self, end: usize, connection: &mut Connection) {
        for round in 0.. {
            assert!(round < 100_000, "it never ends\n{}", self.text());
            let Some(segment) = connection.transmit(self.limit, self.now) else { break };
            if let Phase::Open(open) = &connection.phase {
                self.check(end, open, &segment);
            }
            self.send(end, segment);
        }
        if let Phase::Open(open) = &connection.phase {
            assert!(
                open.state == State::Closed || open.is_drained() || connection.deadline().is_some(),
                "no timer\n{}",
                self.text()
            );
        }
    }

    /// What holds for each segment.
    fn check(&mut self, end: usize, open: &Open, segment: &Outgoing) {
        if segment.flags.contains(Flags::RST) {
            return;
        }
        assert!(!open.recovery.una().is_behind(open.recovery.next()));
        let edge = segment.ack + (u32::from(segment.window) << open.shifts.0);
        if let Some(before) = self.edges[end] {
            assert!(before.since(edge) < 1 << open.shifts.0, "the window has shrunk\n{}", self.text());
        }
        self.edges[end] = Some(edge);
        let payload = segment.payload.len() as u32;
        if payload > 1 {
            let edge = open.recovery.una() + open.window.size();
            assert!(
                open.window.size() == 0 || !(segment.seq + payload).is_behind(edge.max(open.sent_up_to())),
                "outside of the window\n{}",
                self.text()
            );
        }
        let options = segment.options.len() as u32;
        let one = if segment.segment == 0 { payload } else { segment.segment.into() };
        assert!(one + options <= u32::from(self.mss).max(48), "too long: {one} and {options}\n{}", self.text());
    }

    /// Puts a segment on the wire, cut as a device would.
    pub fn send(&mut self, from: usize, segment: Outgoing) {
        let Outgoing { seq, ack, flags, window, options, ecn, payload, segment: each } = segment;
        let mut rest = payload;
        let mut at = seq;
        loop {
            let part = match each {
                0 => core::mem::take(&mut rest),
                each if rest.len() <= usize::from(each) => core::mem::take(&mut rest),
                each => rest.split_front(each.into()).unwrap(),
            };
            let last = rest.has_no_segment();
            let flags = if last { flags } else { Flags(flags.0 & !(Flags::FIN.0 | Flags::PSH.0)) };
            let len = part.len() as u32;
            // The other end has memory of its own.
            let bytes = part.to_vec();
            let payload = if bytes.is_empty() { Sga::new() } else { self.pools.alloc_copy(&bytes).unwrap().into() };
            self.fly(from, Incoming { seq: at, ack, flags, window, options: options.clone(), ecn, payload });
            at += len;
            if last {
                break;
            }
        }
    }

    fn fly(&mut self, from: usize, mut segment: Incoming) {
        let mut seen = Seen {
            at: self.now,
            from,
            seq: segment.seq,
            ack: segment.ack,
            flags: segment.flags,
            window: segment.window,
            len: segment.payload.len() as u32,
            ecn: segment.ecn,
            options: segment.options.clone(),
            fate: Fate::Deliver,
        };
        seen.fate = (self.wire)(&seen);
        let fate = seen.fate;
        self.trace.push(seen);
        let mut at = self.now + self.delay;
        match fate {
            Fate::Deliver => {}
            Fate::Drop => return,
            Fate::Late(late) => at += late,
            Fate::Twice => {
                let payload = segment.payload.to_vec();
                let payload =
                    if payload.is_empty() { Sga::new() } else { self.pools.alloc_copy(&payload).unwrap().into() };
                let copy = Incoming { payload, options: segment.options.clone(), ..segment };
                self.count += 1;
                self.flying.insert((at, self.count), (1 - from, copy));
            }
            Fate::Mark => {
                if segment.ecn != Ecn::NotCapable {
                    segment.ecn = Ecn::Congestion;
                }
            }
        }
        self.count += 1;
        self.flying.insert((at, self.count), (1 - from, segment));
    }

    /// Gives an end a segment that nobody has sent.
    pub fn forge(&mut self, to: usize, seq: Seq, ack: Seq, flags: Flags, bytes: &[u8]) -> Verdict {
        let payload = if bytes.is_empty() { Sga::new() } else { self.pools.alloc_copy(bytes).unwrap().into() };
        let window = 1000;
        let mut segment =
            Incoming { seq, ack, flags, window, options: Options::default(), ecn: Ecn::NotCapable, payload };
        self.give(to, &mut segment)
    }

    /// Gives an end a segment.
    pub fn give(&mut self, to: usize, segment: &mut Incoming) -> Verdict {
        let now = self.now;
        if self.ends[to].is_none() {
            return self.knock(to, segment);
        }
        let mut env = Env { challenges: &mut self.challenges[to] };
        let verdict = self.ends[to].as_mut().expect("it is there").receive(segment, &mut env, now);
        self.verdicts.push((to, verdict));
        if verdict == Verdict::Reset {
            self.refuse(to, segment);
        }
        self.pump(to);
        verdict
    }

    /// As whoever is nobody answers (RFC 9293 section 3.10.7.1).
    fn refuse(&mut self, from: usize, segment: &Incoming) {
        let (seq, ack, flags) = if segment.flags.contains(Flags::ACK) {
            (segment.ack, Seq(0), Flags::RST)
        } else {
            (Seq(0), segment.seq + segment.len(), Flags::RST | Flags::ACK)
        };
        self.fly(
            from,
            Incoming {
                seq,
                ack,
                flags,
                window: 0,
                options: Options::default(),
                ecn: Ecn::NotCapable,
                payload: Sga::new(),
            },
        );
    }

    /// A segment for an end that listens, or is nobody.
    fn knock(&mut self, to: usize, segment: &mut Incoming) -> Verdict {
        if !self.listening || segment.flags.contains(Flags::RST) {
            if !segment.flags.contains(Flags::RST) {
                self.refuse(to, segment);
            }
            return Verdict::Reset;
        }
        if segment.flags.contains(Flags::SYN) {
            let local = Local { iss: Seq(0x7fff_fff0), clock: 99, path: self.mss, link: self.mss, usual: 536 };
            let mut shake = Handshake::new(segment, &local, &self.settings[to], self.now);
            if self.half_open.is_some() {
                shake.sent = None;
            }
            self.half_open = Some(shake);
            let answer = shake.answer(self.mss, crate::tcp::clock::ticks(self.now, 99));
            self.send(to, answer);
            return Verdict::Fine;
        }
        let Some(shake) = self.half_open.filter(|shake| segment.ack == shake.iss + 1) else {
            self.refuse(to, segment);
            return Verdict::Reset;
        };
        self.ends[to] = Some(Connection::accept(&self.settings[to], &shake, self.now));
        self.give(to, segment)
    }

    /// When something happens next.
    fn next_event(&self) -> Option<Time> {
        let segment = self.flying.keys().next().map(|(at, _)| *at);
        let timers = self.ends.iter().flatten().filter_map(Connection::deadline);
        timers.chain(segment).min()
    }

    /// Goes to the next event that is not later than `until`.
    pub fn step(&mut self, until: Time) -> bool {
        let Some(at) = self.next_event().filter(|at| *at <= until) else {
            self.now = self.now.max(until);
            return false;
        };
        self.now = self.now.max(at);
        while let Some(entry) = self.flying.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            let (to, mut segment) = entry.remove();
            self.give(to, &mut segment);
        }
        for end in [CLIENT, SERVER] {
            let due = self.ends[end].as_ref().and_then(Connection::deadline);
            if due.is_some_and(|due| due <= self.now) {
                self.call(end, Connection::expired);
                let after = self.ends[end].as_ref().and_then(Connection::deadline);
                assert!(after.is_none_or(|after| after > self.now), "the timer stays\n{}", self.text());
            }
        }
        true
    }

    /// Lets so much time pass.
    pub fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        for round in 0.. {
            assert!(round < 2_000_000, "it never ends\n{}", self.text());
            if !self.step(until) {
                break;
            }
        }
    }

    /// Segments of one end.
    pub fn sent_by(&self, end: usize) -> impl Iterator<Item = &Seen> {
        self.trace.iter().filter(move |seen| seen.from == end)
    }

    /// The trace, for who reads why a test has failed: the last of it.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for seen in self.trace.iter().rev().take(60).rev() {
            let Seen { at, from, seq, ack, flags, window, len, ecn, options, fate } = seen;
            let arrow = if *from == CLIENT { "->" } else { "<-" };
            let sack = &options.sack;
            let ms = (at.as_nanos() / 1000) as u32;
            writeln!(
                text,
                "{ms:9} us {arrow} {flags:?} seq {} len {len} ack {} win {window} {ecn:?} {fate:?} sack {sack:?}",
                seq.0, ack.0
            )
            .unwrap();
        }
        text
    }
}

/// Bytes that tell their place.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len as u32).map(|at| (at.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect()
}
