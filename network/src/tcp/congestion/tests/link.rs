// SPDX-License-Identifier: MIT OR Apache-2.0
//! Flows that share a link of a fixed rate and delay with a buffer before it, packet by packet. Every packet is acknowledged;
//! one that is overtaken is lost. Only congestion control decides what is sent.

use core::cmp::Reverse;
use core::time::Duration;
use std::collections::{BinaryHeap, VecDeque};

use runtime::time::Time;

use crate::tcp::congestion::{Ack, Congested, Controller};
use crate::tcp::pacing::Pacer;
use crate::tcp::rate::{Collected, Rate, Stamp};
use crate::tcp::seq::Seq;
use crate::tcp::settings::Algorithm;

pub const MSS: u32 = 1448;
const RTO: Duration = Duration::from_millis(200);

/// What all flows share.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// Bytes per second.
    pub rate: u64,
    /// There and back, without waiting.
    pub delay: Duration,
    /// Bytes that wait before it, at most.
    pub buffer: u64,
    /// Bytes that wait before it, above which packets are marked.
    pub mark: Option<u64>,
    /// One packet of so many is lost by chance; 0: none.
    pub loss: u64,
}

impl Link {
    /// One of megabits per second, a round trip of milliseconds, and a buffer in parts of their product.
    pub fn new(megabits: u64, millis: u64, buffer: f64) -> Self {
        let rate = megabits * 125_000;
        let product = (rate * millis / 1000) as f64;
        Self { rate, delay: Duration::from_millis(millis), buffer: (product * buffer) as u64, mark: None, loss: 0 }
    }
}

struct Record {
    number: u32,
    sent: Time,
    stamp: Stamp,
}

/// One sender.
pub struct Sender {
    pub control: Controller,
    rate: Rate,
    pacer: Pacer,
    records: VecDeque<Record>,
    next: u32,
    una: u32,
    /// Recovery and the reaction to marks end when this is acknowledged.
    recovery: Option<u32>,
    marked_until: u32,
    srtt: Duration,
    min_rtt: Duration,
    heard: Time,
    wakes: bool,
    pub delivered: u64,
    pub lost: u64,
    pub sent: u64,
}

impl Sender {
    fn new(algorithm: Algorithm, now: Time) -> Self {
        Self {
            control: Controller::new(algorithm, MSS, now),
            rate: Rate::new(now),
            pacer: Pacer::new(now),
            records: VecDeque::new(),
            next: 0,
            una: 0,
            recovery: None,
            marked_until: 0,
            srtt: Duration::ZERO,
            min_rtt: Duration::MAX,
            heard: now,
            wakes: false,
            delivered: 0,
            lost: 0,
            sent: 0,
        }
    }

    fn in_flight(&self) -> u32 {
        self.records.len() as u32 * MSS
    }

    fn lose(&mut self, record: &Record) {
        self.lost += 1;
        let lost = self.rate.lost(&record.stamp, MSS);
        self.control.on_lost(&lost);
    }

    fn ack(&mut self, now: Time, number: u32, marked: bool) {
        self.heard = now;
        let flight = self.in_flight();
        let mut lost = 0;
        while self.records.front().is_some_and(|record| record.number < number) {
            let record = self.records.pop_front().unwrap();
            self.lose(&record);
            lost += MSS;
        }
        let Some(record) = self.records.pop_front_if(|record| record.number == number) else {
            return;
        };
        let rtt = now - record.sent;
        self.min_rtt = self.min_rtt.min(rtt);
        self.srtt = if self.srtt.is_zero() { rtt } else { (self.srtt * 7 + rtt) / 8 };
        let mut collected = Collected::default();
        self.rate.delivered(&mut collected, &record.stamp, record.sent, MSS, now);
        self.una = number + 1;
        self.delivered += u64::from(MSS);
        if self.recovery.is_some_and(|point| number >= point) {
            self.recovery = None;
            self.control.on_recovery_end(now);
        }
        if lost > 0 && self.recovery.is_none() {
            self.recovery = Some(self.next);
            self.control.on_congestion(Congested::Loss, now, flight);
        } else if marked && number >= self.marked_until && self.recovery.is_none() {
            self.marked_until = self.next;
            self.control.on_congestion(Congested::Marked, now, flight);
        }
        self.control.on_ack(&Ack {
            now,
            delivered: MSS,
            acked: MSS,
            in_flight: flight - lost,
            lost,
            rtt: Some(rtt),
            srtt: self.srtt,
            marked: if marked { MSS } else { 0 },
            una: Seq(self.una.wrapping_mul(MSS)),
            next: Seq(self.next.wrapping_mul(MSS)),
            rate: self.rate.finish(collected, self.min_rtt),
            in_recovery: self.recovery.is_some(),
        });
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrived { number: u32, marked: bool },
    Wake,
    Timer,
}

/// The flows and what is under way between them.
pub struct Net {
    pub link: Link,
    pub now: Time,
    pub flows: Vec<Sender>,
    /// Time, flow, event.
    events: BinaryHeap<Reverse<(Time, usize, Event)>>,
    /// When the link has sent all that waits.
    free: Time,
    chance: u64,
    /// The longest wait before the link, and the sum of all, since [`Net::measure`].
    pub longest: Duration,
    waits: Duration,
    packets: u32,
}

impl Net {
    pub fn new(link: Link, seed: u64) -> Self {
        Self {
            link,
            now: Time::from_nanos(1_000_000),
            flows: Vec::new(),
            events: BinaryHeap::new(),
            free: Time::ZERO,
            chance: seed.wrapping_mul(2).wrapping_add(1),
            longest: Duration::ZERO,
            waits: Duration::ZERO,
            packets: 0,
        }
    }

    /// A flow begins.
    pub fn add(&mut self, algorithm: Algorithm) {
        self.flows.push(Sender::new(algorithm, self.now));
        let flow = self.flows.len() - 1;
        self.events.push(Reverse((self.now + RTO, flow, Event::Timer)));
        self.send(flow);
    }

    fn loses(&mut self) -> bool {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        self.link.loss > 0 && self.chance.is_multiple_of(self.link.loss)
    }

    fn send(&mut self, flow: usize) {
        loop {
            let now = self.now;
            let sender = &mut self.flows[flow];
            let in_flight = sender.in_flight();
            if in_flight + MSS > sender.control.window() {
                sender.control.set_application_limited(false);
                return;
            }
            if let Some(rate) = sender.control.pacing_rate(sender.srtt) {
                if let Some(at) = sender.pacer.ready_at(now) {
                    if !core::mem::replace(&mut sender.wakes, true) {
                        self.events.push(Reverse((at, flow, Event::Wake)));
                    }
                    return;
                }
                sender.pacer.release(now, MSS, rate);
            }
            let stamp = sender.rate.sent(now, in_flight, MSS);
            sender.control.on_sent(now, in_flight, MSS);
            let number = sender.next;
            sender.records.push_back(Record { number, sent: now, stamp });
            sender.next += 1;
            sender.sent += 1;
            let free = self.free.max(now);
            let wait = free - now;
            let waiting = u64::try_from(wait.as_nanos()).unwrap() * (self.link.rate / 1000) / 1_000_000;
            if waiting + u64::from(MSS) > self.link.buffer.max(u64::from(MSS)) || self.loses() {
                continue;
            }
            let marked = self.link.mark.is_some_and(|mark| waiting > mark);
            self.longest = self.longest.max(wait);
            self.waits += wait;
            self.packets += 1;
            self.free = free + Duration::from_nanos(u64::from(MSS) * 1_000_000_000 / self.link.rate);
            self.events.push(Reverse((self.free + self.link.delay, flow, Event::Arrived { number, marked })));
        }
    }

    /// Lets so much time pass.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(Reverse((at, flow, event))) = self.events.peek().copied().filter(|event| event.0.0 <= end) {
            self.events.pop();
            self.now = at;
            let sender = &mut self.flows[flow];
            match event {
                Event::Arrived { number, marked } => sender.ack(at, number, marked),
                Event::Wake => sender.wakes = false,
                Event::Timer => {
                    let rto = RTO.max(sender.srtt * 2);
                    if at - sender.heard >= rto && !sender.records.is_empty() {
                        let flight = sender.in_flight();
                        while let Some(record) = sender.records.pop_front() {
                            sender.lose(&record);
                        }
                        sender.recovery = None;
                        sender.control.on_timeout(at, flight, true);
                        sender.heard = at;
                    }
                    self.events.push(Reverse((sender.heard + rto, flow, Event::Timer)));
                }
            }
            self.send(flow);
        }
        self.now = end;
    }

    /// Begins to count anew.
    pub fn measure(&mut self) {
        for flow in &mut self.flows {
            (flow.delivered, flow.lost, flow.sent) = (0, 0, 0);
        }
        (self.longest, self.waits, self.packets) = (Duration::ZERO, Duration::ZERO, 0);
    }

    /// The part of the link's rate that the flows have had in that time.
    pub fn used(&self, time: Duration) -> f64 {
        let delivered: u64 = self.flows.iter().map(|flow| flow.delivered).sum();
        delivered as f64 / (self.link.rate as f64 * time.as_secs_f64())
    }

    /// The mean wait of a packet before the link.
    pub fn wait(&self) -> Duration {
        self.waits / self.packets.max(1)
    }

    /// The part of the packets that were lost.
    pub fn lost(&self) -> f64 {
        let (lost, sent): (u64, u64) =
            self.flows.iter().fold((0, 0), |sum, flow| (sum.0 + flow.lost, sum.1 + flow.sent));
        lost as f64 / sent.max(1) as f64
    }

    /// Jain's index of what the flows have had.
    pub fn fairness(&self) -> f64 {
        let sum: f64 = self.flows.iter().map(|flow| flow.delivered as f64).sum();
        let squares: f64 = self.flows.iter().map(|flow| (flow.delivered as f64).powi(2)).sum();
        sum * sum / (self.flows.len() as f64 * squares)
    }
}
