// SPDX-License-Identifier: MIT OR Apache-2.0
//! A device that disturbs what passes, as bad networks do: frames are dropped, doubled, damaged, delayed and overtake each other, in both
//! directions. The same seed and the same frames give the same disturbance.

use super::clock::Clock;
use super::copy_frame;
use core::time::Duration;
use runtime::Result;
use runtime::buf::{Pools, Sga};
use runtime::device::{BURST_FRAMES_MAX, Burst, Caps, Checksum, Device, DeviceCounters, Frame};
use runtime::time::Time;
use std::collections::VecDeque;
use std::os::fd::BorrowedFd;

/// Of so many frames.
pub const MILLION: u32 = 1_000_000;
/// Frames that are delayed at once in each direction; more pass without a delay.
const HELD_MAX: usize = 16 * BURST_FRAMES_MAX;

/// How often what happens. Frequencies are of a million frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Where chance begins.
    pub seed: u64,
    /// Lost.
    pub drop: u32,
    /// Come twice.
    pub duplicate: u32,
    /// Held back so long that others overtake them: twice [`delay`](Self::delay), and a millisecond.
    pub reorder: u32,
    /// One bit is turned.
    pub corrupt: u32,
    /// How long every frame takes.
    pub delay: Duration,
}

/// What was done. All of them only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Frames that were lost here.
    pub dropped: u64,
    /// That came twice.
    pub duplicated: u64,
    /// That were held back.
    pub reordered: u64,
    /// That were damaged.
    pub corrupted: u64,
}

/// SplitMix64 (Steele, Lea, Flood 2014): enough for accidents.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// Whether it happens that is to happen so often.
    fn hits(&mut self, of_a_million: u32) -> bool {
        of_a_million != 0 && self.below(MILLION.into()) < of_a_million.into()
    }
}

/// Frames of one direction that are on their way, the next first.
#[derive(Default)]
struct Way(VecDeque<(Time, Frame)>);

impl Way {
    /// Lets a frame arrive at a time, behind all that arrive no later.
    fn add(&mut self, due: Time, frame: Frame) {
        let at = self.0.partition_point(|&(other, _)| other <= due);
        self.0.insert(at, (due, frame));
    }

    /// Moves what has arrived into the burst.
    fn arrive(&mut self, now: Time, burst: &mut Burst) {
        while !burst.is_full()
            && self.0.front().is_some_and(|&(due, _)| due <= now)
            && let Some((_, frame)) = self.0.pop_front()
        {
            // There is room.
            let _ = burst.push(frame);
        }
    }
}

/// What disturbs.
struct Disturber {
    settings: Settings,
    chance: Chance,
    pools: Pools,
    done: Done,
}

impl Disturber {
    /// Sends a frame on its way, or not.
    fn send(&mut self, frame: Frame, now: Time, way: &mut Way) {
        let Settings { drop, duplicate, reorder, corrupt, delay, seed: _ } = self.settings;
        if self.chance.hits(drop) {
            self.done.dropped += 1;
            return;
        }
        let second = if self.chance.hits(duplicate) { self.copy(&frame) } else { None };
        self.done.duplicated += u64::from(second.is_some());
        for mut frame in core::iter::once(frame).chain(second) {
            if self.chance.hits(corrupt) {
                self.damage(&mut frame);
            }
            let late = self.chance.hits(reorder) && way.0.len() < HELD_MAX;
            self.done.reordered += u64::from(late);
            let takes = if late { delay * 3 + Duration::from_millis(1) } else { delay };
            way.add(now + takes, frame);
        }
    }

    /// The same frame in memory of its own; `None` if there is none.
    fn copy(&self, frame: &Frame) -> Option<Frame> {
        let buffer = self.pools.alloc_filled(frame.data.len(), |to| copy_frame(frame, to)).ok()?;
        Some(Frame { data: Sga::from(buffer), checksum: frame.checksum, segmentation: frame.segmentation })
    }

    /// Turns a bit of a frame whose checksum can show it.
    fn damage(&mut self, frame: &mut Frame) {
        if matches!(frame.checksum, Checksum::Partial { .. }) || frame.data.is_empty() {
            return;
        }
        let bit = self.chance.below(8 * frame.data.len() as u64) as usize;
        let Ok(buffer) = self.pools.alloc_filled(frame.data.len(), |to| {
            frame.data.copy_to_slice(to);
            if let Some(byte) = to.get_mut(bit / 8) {
                *byte ^= 1 << (bit % 8);
            }
        }) else {
            return;
        };
        *frame = Frame { data: Sga::from(buffer), checksum: Checksum::Complete, segmentation: frame.segmentation };
        self.done.corrupted += 1;
    }
}

/// The decorator.
pub struct Faults {
    device: Box<dyn Device>,
    disturber: Disturber,
    clock: Clock,
    incoming: Way,
    outgoing: Way,
    /// From the device.
    coming: Burst,
    /// To the device, as far as it had room.
    leaving: Burst,
}

impl Faults {
    /// Wraps a device. Copies of frames take memory from `pools`.
    #[must_use]
    pub fn new(device: Box<dyn Device>, settings: Settings, clock: Clock, pools: Pools) -> Self {
        let disturber = Disturber { settings, chance: Chance(settings.seed), pools, done: Done::default() };
        let (incoming, outgoing) = (Way::default(), Way::default());
        Self { device, disturber, clock, incoming, outgoing, coming: Burst::new(), leaving: Burst::new() }
    }

    /// What has been done so far.
    #[must_use]
    pub fn done(&self) -> Done {
        self.disturber.done
    }

    /// Hands what has arrived on the way out to the device.
    fn forward(&mut self) -> Result<()> {
        self.outgoing.arrive(self.clock.now(), &mut self.leaving);
        if self.leaving.is_empty() && !self.device.is_sending() { Ok(()) } else { self.device.tx(&mut self.leaving) }
    }
}

impl Device for Faults {
    fn name(&self) -> &'static str {
        self.device.name()
    }

    fn address(&self) -> Option<[u8; 6]> {
        self.device.address()
    }

    fn caps(&self) -> Caps {
        self.device.caps()
    }

    fn rx(&mut self, burst: &mut Burst) -> Result<()> {
        let now = self.clock.now();
        if self.incoming.0.len() < HELD_MAX {
            self.device.rx(&mut self.coming)?;
            while let Some(frame) = self.coming.pop() {
                self.disturber.send(frame, now, &mut self.incoming);
            }
        }
        self.incoming.arrive(now, burst);
        self.forward()
    }

    fn tx(&mut self, burst: &mut Burst) -> Result<()> {
        let now = self.clock.now();
        while self.outgoing.0.len() < HELD_MAX
            && let Some(frame) = burst.pop()
        {
            self.disturber.send(frame, now, &mut self.outgoing);
        }
        self.forward()
    }

    fn counters(&self) -> DeviceCounters {
        self.device.counters()
    }

    fn extended_counters(&mut self, tell: &mut dyn FnMut(&str, u64)) {
        self.device.extended_counters(tell);
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.device.descriptor()
    }

    fn is_sending(&self) -> bool {
        !(self.outgoing.0.is_empty() && self.leaving.is_empty()) || self.device.is_sending()
    }

    /// While frames are on their way, it has to be looked at.
    fn arm(&mut self) -> bool {
        !(self.incoming.0.is_empty() && self.outgoing.0.is_empty() && self.leaving.is_empty()) || self.device.arm()
    }

    fn disarm(&mut self) {
        self.device.disarm();
    }

    fn slept_in_vain(&self) -> bool {
        self.device.slept_in_vain()
    }
}
