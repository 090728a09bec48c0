// SPDX-License-Identifier: MIT OR Apache-2.0
//! A sender that knows nothing but [`Recovery`], a path that loses, delays, reorders and repeats, and a receiver that answers with
//! cumulative acknowledgments, SACK and D-SACK blocks. Segments and ACKs are ranges of numbers; time is virtual.

use core::time::Duration;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use runtime::time::Time;

use crate::limits::{CONGESTION_WINDOW_MAX, TCP_RECORDS_MAX};
use crate::tcp::recovery::board::Marks;
use crate::tcp::recovery::{Acknowledgment, Expired, Features, Recovery, State};
use crate::tcp::seq::Seq;
use crate::tcp::settings::Settings;
use crate::wire::tcp::SackBlock;

/// A source of chance that gives the same for the same seed.
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound.max(1)
    }

    pub fn hits(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Path {
    /// Of a thousand segments, and of a thousand ACKs.
    pub lost: u64,
    pub acks_lost: u64,
    pub repeated: u64,
    /// Of a thousand that are delayed by up to `jitter` more.
    pub delayed: u64,
    pub jitter: Duration,
    pub delay: Duration,
}

#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub bytes: u32,
    pub mss: u32,
    /// Segments that leave at once at most.
    pub burst: u32,
    /// Of a thousand segments, how many are shorter.
    pub short: u64,
    /// The peer throws away what it has not acknowledged, of a thousand ACKs.
    pub reneges: u64,
    /// ACKs of every second segment.
    pub delays_acks: bool,
    /// ACKs with ECE, of a thousand.
    pub marked: u64,
    /// After so many events the path has room for half as long segments only; 0: never.
    pub narrows_at: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Segment { start: u32, end: u32, clock: u64 },
    Ack { number: u32 },
    Delayed { number: u32 },
}

#[derive(Clone, Debug)]
struct Ack {
    ack: u32,
    blocks: Vec<(u32, u32)>,
    echo: u64,
    has_data: bool,
}

/// The receiver: offsets from the first number.
#[derive(Default)]
struct Receiver {
    next: u32,
    ranges: BTreeMap<u32, u32>,
    recent: Vec<u32>,
    echo: u64,
    waiting: u32,
}

impl Receiver {
    /// Takes a segment; what of it came before.
    fn take(&mut self, start: u32, end: u32) -> Option<(u32, u32)> {
        if end <= self.next {
            return Some((start, end));
        }
        if let Some((&at, &until)) = self.ranges.range(..=start).next_back()
            && at <= start
            && end <= until
        {
            return Some((start, end));
        }
        let (mut from, mut to) = (start.max(self.next), end);
        let touched: Vec<u32> =
            self.ranges.range(..=to).filter(|&(_, &until)| until >= from).map(|(&at, _)| at).collect();
        for at in touched {
            let until = self.ranges.remove(&at).unwrap();
            (from, to) = (from.min(at), to.max(until));
        }
        self.ranges.insert(from, to);
        self.recent.retain(|&at| at != from);
        self.recent.insert(0, from);
        if self.ranges.contains_key(&self.next) {
            self.next = self.ranges.remove(&self.next).unwrap();
        }
        None
    }

    fn blocks(&mut self, room: usize) -> Vec<(u32, u32)> {
        let ranges = &self.ranges;
        self.recent.retain(|at| ranges.contains_key(at));
        self.recent.iter().take(room).map(|at| (*at, ranges[at])).collect()
    }
}

impl Recovery {
    /// What must always hold.
    pub(super) fn check(&mut self) {
        let is_calm = self.is_calm;
        self.settle_down();
        assert_eq!(is_calm, self.is_calm, "an ACK would take the wrong way");
        let outstanding = self.next.since(self.una);
        self.board.check(self.una, self.next);
        let gone = self.board.sacked() + self.board.lost() + self.duplicates.bytes();
        assert!(gone <= outstanding + self.board.copied(), "in flight is less than nothing");
        assert!(self.in_flight() <= outstanding.saturating_mul(2));
        assert!(outstanding == 0 || self.deadline().is_some(), "something is outstanding and no timer runs");
        assert!(self.board.records().count() <= TCP_RECORDS_MAX * 2);
        assert!((1..=CONGESTION_WINDOW_MAX).contains(&self.controller.window()));
    }
}

pub struct Run {
    pub recovery: Recovery,
    pub now: Time,
    pub end: u32,
    first: Seq,
    load: Load,
    path: Path,
    has_sack: bool,
    has_timestamps: bool,
    chance: Chance,
    events: BinaryHeap<Reverse<(Time, u64, Event)>>,
    order: u64,
    acks: BTreeMap<u32, Ack>,
    receiver: Receiver,
    /// When each range left last, by its first number.
    left: BTreeMap<u32, (u32, Time)>,
    /// When that left which left last of all that has arrived, as the sender knows.
    newest: Option<(Time, u32)>,
    pub timeouts: u32,
    pub probes: u32,
    pub undone: u32,
    pub lost: u64,
    pub steps: u32,
    longest: Duration,
    has_narrowed: bool,
}

impl Run {
    pub fn new(settings: &Settings, features: Features, load: Load, path: Path, seed: u64) -> Self {
        let first = Seq(u32::MAX - 20_000);
        let now = Time::from_nanos(5_000_000_000);
        let mut recovery = Recovery::new(settings, features, load.mss, first, now);
        recovery.opened(Some(path.delay * 2), false, now);
        Self {
            recovery,
            now,
            end: load.bytes,
            first,
            load,
            path,
            has_sack: features.sack,
            has_timestamps: features.timestamps,
            chance: Chance(seed),
            events: BinaryHeap::new(),
            order: 0,
            acks: BTreeMap::new(),
            receiver: Receiver::default(),
            left: BTreeMap::new(),
            newest: None,
            timeouts: 0,
            probes: 0,
            undone: 0,
            lost: 0,
            steps: 0,
            longest: Duration::ZERO,
            has_narrowed: false,
        }
    }

    fn offset(&self, seq: Seq) -> u32 {
        seq.since(self.first)
    }

    fn at(&mut self, time: Time, event: Event) {
        self.order += 1;
        self.events.push(Reverse((time, self.order, event)));
    }

    fn delay(&mut self) -> Duration {
        let jitter = self.path.jitter.as_nanos() as u64;
        let more = if self.chance.hits(self.path.delayed) { self.chance.below(jitter.max(1)) } else { 0 };
        self.path.delay + Duration::from_nanos(more)
    }

    /// Puts a range on the path, segment by segment.
    fn put(&mut self, start: Seq, end: Seq) {
        let (start, end) = (self.offset(start), self.offset(end));
        // What left last of a range that was sent with others stands for itself.
        let mut overlapped: Vec<(u32, u32, Time)> = Vec::new();
        self.left.retain(|&at, &mut (until, time)| {
            let is_clear = until <= start || at >= end;
            if !is_clear {
                overlapped.push((at, until, time));
            }
            is_clear
        });
        for (at, until, time) in overlapped {
            if at < start {
                self.left.insert(at, (start, time));
            }
            if until > end {
                self.left.insert(end, (until, time));
            }
        }
        self.left.insert(start, (end, self.now));
        let mut at = start;
        while at < end {
            let until = end.min(at + self.load.mss);
            let clock = self.now.as_nanos();
            let copies = if self.chance.hits(self.path.repeated) { 2 } else { 1 };
            for _ in 0..copies {
                if !self.chance.hits(self.path.lost) {
                    let when = self.now + self.delay();
                    self.at(when, Event::Segment { start: at, end: until, clock });
                }
            }
            at = until;
        }
    }

    /// A round of sending.
    fn transmit(&mut self) {
        loop {
            if let Some((start, end)) = self.recovery.lost() {
                assert!(end.since(start) <= self.load.mss && end.is_behind(start));
                self.recovery.resent(start, end, self.now);
                self.put(start, end);
                continue;
            }
            let next = self.offset(self.recovery.next());
            let room = self.recovery.room();
            let is_last = self.end - next <= self.load.mss;
            if next == self.end
                || room == 0
                || (room < self.load.mss && !is_last)
                || (is_last && room < self.end - next)
            {
                break;
            }
            let segments = room.min(self.load.mss * self.load.burst) / self.load.mss;
            let mut bytes = (segments * self.load.mss).max(1).min(room).min(self.end - next);
            if self.chance.hits(self.load.short) {
                bytes = bytes.min(1 + self.chance.below(u64::from(self.load.mss)) as u32);
            }
            self.send(bytes);
        }
        self.recovery.limited();
    }

    fn send(&mut self, bytes: u32) {
        let start = self.recovery.next();
        self.recovery.sent(start + bytes, self.now);
        self.put(start, start + bytes);
    }

    /// The receiver answers.
    fn answer(&mut self, twice: Option<(u32, u32)>) {
        let mut blocks = Vec::new();
        if self.has_sack {
            blocks.extend(twice);
            let room = (if self.has_timestamps { 3 } else { 4 }) - blocks.len();
            blocks.extend(self.receiver.blocks(room));
        }
        self.receiver.waiting = 0;
        if self.chance.hits(self.load.reneges) {
            self.receiver.ranges.clear();
            self.receiver.recent.clear();
        }
        let number = self.order as u32;
        self.acks.insert(number, Ack { ack: self.receiver.next, blocks, echo: self.receiver.echo, has_data: false });
        if !self.chance.hits(self.path.acks_lost) {
            let when = self.now + self.delay();
            self.at(when, Event::Ack { number });
        }
    }

    fn arrived(&mut self, start: u32, end: u32, clock: u64) {
        let before = self.receiver.next;
        if start <= before {
            self.receiver.echo = clock;
        }
        let twice = self.receiver.take(start, end);
        let is_in_order = twice.is_none() && before == start && self.receiver.ranges.is_empty();
        if self.load.delays_acks && is_in_order && self.receiver.waiting == 0 {
            self.receiver.waiting = self.order as u32 + 1;
            let number = self.receiver.waiting;
            self.at(self.now + Duration::from_millis(40), Event::Delayed { number });
            return;
        }
        self.answer(twice);
    }

    fn acknowledged(&mut self, ack: &Ack) {
        let blocks: Vec<SackBlock> = ack
            .blocks
            .iter()
            .map(|&(start, end)| SackBlock { start: (self.first + start).0, end: (self.first + end).0 })
            .collect();
        let tick = 1 << 20;
        let echo = Time::from_nanos((ack.echo / tick + 1) * tick - 1);
        let rtt = self.now - Time::from_nanos(ack.echo / tick * tick);
        let una = self.offset(self.recovery.una());
        let unsent = self.offset(self.recovery.next()) != self.end;
        self.learn(una, ack);
        let outcome = self.recovery.acknowledged(
            &Acknowledgment {
                ack: self.first + ack.ack,
                sack: &blocks,
                rtt: self.has_timestamps.then_some(rtt),
                echo: self.has_timestamps.then_some(echo),
                has_data: ack.has_data,
                window_changed: false,
                unsent,
                ece: self.chance.hits(self.load.marked),
                marked: 0,
            },
            self.now,
        );
        assert_eq!(outcome.acked, ack.ack.saturating_sub(una));
        self.undone += u32::from(outcome.undone);
        self.lost += u64::from(outcome.lost);
        if outcome.lost != 0 {
            self.check_losses();
        }
    }

    /// What the sender may know from an ACK of when that left which has arrived.
    fn learn(&mut self, una: u32, ack: &Ack) {
        let mut ranges = vec![(una, ack.ack)];
        ranges.extend(&ack.blocks);
        for (start, end) in ranges {
            for (&at, &(until, time)) in self.left.range(..end) {
                if until > start {
                    self.newest = self.newest.max(Some((time, until.max(at))));
                }
            }
        }
    }

    /// RFC 8985 section 6.2: whatever was found lost left before something that has arrived, and a round trip ago at least.
    fn check_losses(&self) {
        if !self.recovery.has_rack || self.has_narrowed {
            return;
        }
        let newest = self.newest.expect("something has arrived");
        for record in self.recovery.board.records() {
            if record.marks.has(Marks::LOST) && !record.marks.has(Marks::RESENT) && self.recovery.state() != State::Loss
            {
                let end = self.offset(record.end);
                assert!((record.sent, end) < newest, "lost, but nothing that left later has arrived");
                assert!(self.now - record.sent >= self.path.delay * 2, "lost before its round trip was over");
            }
        }
    }

    fn check(&mut self) {
        // A timer that was armed before a round trip was measured keeps its time.
        self.longest = self.longest.max(self.recovery.rto());
        self.recovery.check();
        if let Some(deadline) = self.recovery.deadline().filter(|_| !self.recovery.is_idle()) {
            assert!(deadline <= self.now + self.longest, "a timer that runs longer than it may");
        }
    }

    /// Runs until all has arrived and is acknowledged.
    pub fn run(&mut self) {
        self.transmit();
        while self.recovery.una() != self.first + self.end {
            self.steps += 1;
            assert!(self.steps < 400_000, "no end of it: {:#?}", self.recovery);
            self.check();
            if u64::from(self.steps) == self.load.narrows_at {
                self.load.mss = self.load.mss / 2 + 1;
                self.recovery.set_mss(self.load.mss);
                self.has_narrowed = true;
                self.transmit();
            }
            let event = self.events.peek().map_or(Time::MAX, |Reverse((time, _, _))| *time);
            let deadline = self.recovery.deadline().expect("a timer runs");
            if deadline < event {
                self.now = self.now.max(deadline);
                self.expired();
            } else {
                let Reverse((time, _, event)) = self.events.pop().unwrap();
                self.now = self.now.max(time);
                match event {
                    Event::Segment { start, end, clock } => self.arrived(start, end, clock),
                    Event::Ack { number } => {
                        let ack = self.acks.remove(&number).unwrap();
                        self.acknowledged(&ack);
                    }
                    Event::Delayed { number } => {
                        if self.receiver.waiting == number {
                            self.answer(None);
                        }
                        continue;
                    }
                }
            }
            self.check();
            self.transmit();
        }
        assert_eq!(self.receiver.next, self.end);
        self.check();
        assert_eq!(self.recovery.in_flight(), 0);
    }

    fn expired(&mut self) {
        match self.recovery.expired(self.now) {
            Expired::Nothing => {}
            Expired::Reordered { .. } => self.check_losses(),
            Expired::Probe => {
                self.probes += 1;
                let next = self.offset(self.recovery.next());
                if next < self.end {
                    self.send(self.load.mss.min(self.end - next));
                } else {
                    let (start, end) = self.recovery.probe().expect("something is outstanding");
                    self.recovery.resent(start, end, self.now);
                    self.put(start, end);
                }
            }
            Expired::Timeout { .. } => {
                self.timeouts += 1;
                assert!(self.recovery.lost().is_some(), "a timeout, and nothing to send");
            }
        }
    }
}
