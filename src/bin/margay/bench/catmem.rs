// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is measured of the pipes, and what is asked of them.

use crate::channel::{Kind, PipeUse, Read, Wait};
use crate::cost::Effort;
use crate::process::job::Pattern;

/// Message sizes of what goes one way.
pub const SIZES: [usize; 4] = [64, 1 << 10, 16 << 10, 64 << 10];

/// One thing to measure.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its name: who, how, and bytes per message.
    pub key: String,
    /// Bytes per message.
    pub size: usize,
    /// What carries the messages.
    pub kind: Kind,
    /// How they go.
    pub pattern: Pattern,
}

/// Everything to measure.
pub struct Plan {
    /// How often the items take turns.
    pub rounds: u32,
    /// What takes turns, each limit beside what is compared with it.
    pub items: Vec<Item>,
    /// What is measured once, at the end.
    pub once: Vec<Item>,
}

impl Plan {
    /// The plan; less of everything if `quick`.
    pub fn new(quick: bool) -> Self {
        let effort = if quick {
            Effort { blocks: 16, milliseconds: 0.5, timed_milliseconds: 4.0 }
        } else {
            Effort { blocks: 32, milliseconds: 0.5, timed_milliseconds: 8.0 }
        };
        let wake_up = Pattern::WakeUp { wakes: if quick { 20 } else { 40 }, pause: 1000 };
        let mut list = List(Vec::new());
        list.add("two lines/round trip", 8, Kind::TwoLine { loaded: false }, |kind| effort.round_trip(kind));
        list.add("margay/round trip", 64, Kind::margay(64), |kind| effort.round_trip(kind));
        list.add("two lines, loaded/round trip", 64, Kind::TwoLine { loaded: true }, |kind| effort.round_trip(kind));
        for size in SIZES {
            let kind = Kind::CopyRing { size, read: Read::Copy };
            list.add("bare copy/one way", size, kind, |kind| effort.one_way(kind));
            list.add("margay/one way", size, Kind::margay(size), |kind| effort.one_way(kind));
        }
        for (size, handed_over, name) in [(1 << 10, false, "in place"), (64 << 10, true, "handed over")] {
            let kind = Kind::CopyRing { size, read: Read::InPlace };
            list.add("bare copy/read in place", size, kind, |kind| effort.one_way(kind));
            let kind = Kind::Margay(PipeUse { size, read: Read::InPlace, handed_over, wait: Wait::Poll });
            list.add(&format!("margay/{name}"), size, kind, |kind| effort.one_way(kind));
        }
        let sleepy = PipeUse { size: 64, read: Read::Copy, handed_over: false, wait: Wait::ServerSleeps };
        list.add("futex/wake-up", 4, Kind::Futex, |_| wake_up);
        list.add("margay/wake-up", 64, Kind::Margay(sleepy), |_| wake_up);
        list.add("margay/one thread", 64, Kind::margay(64), |_| effort.one_thread());
        let socket = |size| Kind::UnixSocket { size };
        let pipe = |size| Kind::KernelPipe { size };
        list.add("unix socket/round trip", 64, socket(64), |kind| effort.round_trip(kind));
        list.add("kernel pipe/round trip", 64, pipe(64), |kind| effort.round_trip(kind));
        for size in SIZES {
            list.add("unix socket/one way", size, socket(size), |kind| effort.one_way(kind));
            list.add("kernel pipe/one way", size, pipe(size), |kind| effort.one_way(kind));
        }
        let mut once = List(Vec::new());
        let idle = Kind::Margay(PipeUse { wait: Wait::Default, ..sleepy });
        once.add("margay/idle", 64, idle, |_| Pattern::Idle { milliseconds: 2000 });
        Self { rounds: if quick { 7 } else { 25 }, items: list.0, once: once.0 }
    }
}

struct List(Vec<Item>);

impl List {
    fn add(&mut self, name: &str, size: usize, kind: Kind, pattern: impl FnOnce(Kind) -> Pattern) {
        self.0.push(Item { key: format!("{name}/{size}"), size, kind, pattern: pattern(kind) });
    }
}

/// How a goal's figure is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Time per message or round trip.
    Time,
    /// Messages per second.
    Rate,
    /// Bytes per second.
    Bandwidth,
    /// Share of a core.
    Share,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Asked {
    /// At most so many times the limit's time.
    TimesLimit(f64),
    /// At least this share of the limit's bandwidth.
    OfLimit(f64),
    /// At most this figure.
    AtMost(f64),
    /// At least this figure.
    AtLeast(f64),
    /// Nothing: shown beside its limit.
    Nothing,
}

/// One figure of Margay's, with its limit and what is asked of it.
#[derive(Clone, Copy, Debug)]
pub struct Goal {
    /// What people call it.
    pub title: &'static str,
    /// The series of the figure.
    pub key: &'static str,
    /// The series of the limit.
    pub limit: Option<&'static str>,
    /// How it is told.
    pub told: Told,
    /// What is asked.
    pub asked: Asked,
}

const fn goal(title: &'static str, key: &'static str, limit: Option<&'static str>, told: Told, asked: Asked) -> Goal {
    Goal { title, key, limit, told, asked }
}

/// All of them, in the order in which they are shown.
pub const GOALS: [Goal; 11] = [
    goal(
        "64 B round trip",
        "margay/round trip/64",
        Some("two lines/round trip/8"),
        Told::Time,
        Asked::TimesLimit(1.35),
    ),
    goal("64 B one way", "margay/one way/64", Some("bare copy/one way/64"), Told::Rate, Asked::AtLeast(20e6)),
    goal("1 KiB copy", "margay/one way/1024", Some("bare copy/one way/1024"), Told::Bandwidth, Asked::OfLimit(0.70)),
    goal("16 KiB copy", "margay/one way/16384", Some("bare copy/one way/16384"), Told::Bandwidth, Asked::OfLimit(0.90)),
    goal("64 KiB copy", "margay/one way/65536", Some("bare copy/one way/65536"), Told::Bandwidth, Asked::OfLimit(0.90)),
    goal(
        "1 KiB popped in place",
        "margay/in place/1024",
        Some("bare copy/read in place/1024"),
        Told::Bandwidth,
        Asked::OfLimit(0.90),
    ),
    goal(
        "64 KiB handed over",
        "margay/handed over/65536",
        Some("bare copy/read in place/65536"),
        Told::Bandwidth,
        Asked::Nothing,
    ),
    goal("wake-up of a sleeper", "margay/wake-up/64", Some("futex/wake-up/4"), Told::Time, Asked::TimesLimit(1.5)),
    goal("push, pop on one thread", "margay/one thread/64", None, Told::Time, Asked::AtMost(60.0)),
    goal("idle wait", "margay/idle/64", None, Told::Share, Asked::AtMost(0.01)),
    goal(
        "64 B round trip, loaded limit",
        "margay/round trip/64",
        Some("two lines, loaded/round trip/64"),
        Told::Time,
        Asked::Nothing,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_goal_is_measured_and_every_key_is_there_once() {
        let plan = Plan::new(true);
        let mut keys: Vec<&str> = plan.items.iter().chain(&plan.once).map(|item| item.key.as_str()).collect();
        for goal in GOALS {
            assert!(keys.contains(&goal.key), "{}", goal.key);
            assert!(goal.limit.is_none_or(|limit| keys.contains(&limit)), "{}", goal.title);
        }
        keys.sort_unstable();
        keys.windows(2).for_each(|pair| assert_ne!(pair[0], pair[1]));
    }
}
