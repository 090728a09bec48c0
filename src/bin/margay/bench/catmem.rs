// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is measured of the pipes, and what is asked of them.

use super::plan::{Asked, Goal, Plan, SIZES, Suite, Told, Turns, goal};
use super::report;
use crate::channel::{Kind, MargayUse, Over, Read, Wait, Write};
use crate::cost::Effort;
use crate::process::job::Pattern;

/// The bench of the pipes.
pub static SUITE: Suite = Suite {
    name: "catmem",
    body: report::standard,
    plan,
    columns: ["", "limit"],
    goals: &GOALS,
    groups: &[],
    bars: &[],
    timed: &[
        ("Margay", "margay/round trip/64"),
        ("two cache lines (limit)", "two lines, loaded/round trip/64"),
        ("one word each way", "two lines/round trip/8"),
        ("rtrb, two threads", "rtrb/round trip/64"),
        ("kernel pipe", "kernel pipe/round trip/64"),
        ("Unix stream socket", "unix socket/round trip/64"),
    ],
    one_way: &[
        ("Margay", "margay"),
        ("bare copy (limit)", "bare copy"),
        ("kernel pipe", "kernel pipe"),
        ("Unix stream socket", "unix socket"),
    ],
    crowds: &[],
};

fn plan(quick: bool) -> Plan {
    let effort = Effort::for_rounds(quick);
    let wake_up = Pattern::WakeUp { wakes: if quick { 20 } else { 40 }, pause: 1000 };
    let margay = |size| Kind::margay(Over::Pipe, size);
    let mut list = Turns::new(if quick { 7 } else { 25 });
    list.add("two lines/round trip", 8, Kind::TwoLine { loaded: false }, |kind| effort.round_trip(kind));
    list.add("margay/round trip", 64, margay(64), |kind| effort.round_trip(kind));
    list.add("two lines, loaded/round trip", 64, Kind::TwoLine { loaded: true }, |kind| effort.round_trip(kind));
    list.add("rtrb/round trip", 64, Kind::Rtrb, |kind| effort.round_trip(kind));
    for size in SIZES {
        let kind = Kind::CopyRing { size, read: Read::Copy };
        list.add("bare copy/one way", size, kind, |kind| effort.one_way(kind));
        list.add("margay/one way", size, margay(size), |kind| effort.one_way(kind));
    }
    let pipe = MargayUse { over: Over::Pipe, size: 64, read: Read::Copy, write: Write::Bytes, wait: Wait::Poll };
    for (size, write, name) in [(1 << 10, Write::Bytes, "in place"), (64 << 10, Write::HandedOver, "handed over")] {
        let kind = Kind::CopyRing { size, read: Read::InPlace };
        list.add("bare copy/read in place", size, kind, |kind| effort.one_way(kind));
        let kind = Kind::Margay(MargayUse { size, read: Read::InPlace, write, ..pipe });
        list.add(&format!("margay/{name}"), size, kind, |kind| effort.one_way(kind));
    }
    list.add("futex/wake-up", 4, Kind::Futex, |_| wake_up);
    list.add("margay/wake-up", 64, Kind::Margay(MargayUse { wait: Wait::ServerSleeps, ..pipe }), |_| wake_up);
    list.add("margay/one thread", 64, margay(64), |kind| effort.one_thread(kind));
    let socket = |size| Kind::UnixSocket { size };
    let kernel_pipe = |size| Kind::KernelPipe { size };
    list.add("unix socket/round trip", 64, socket(64), |kind| effort.round_trip(kind));
    list.add("kernel pipe/round trip", 64, kernel_pipe(64), |kind| effort.round_trip(kind));
    for size in SIZES {
        list.add("unix socket/one way", size, socket(size), |kind| effort.one_way(kind));
        list.add("kernel pipe/one way", size, kernel_pipe(size), |kind| effort.one_way(kind));
    }
    let mut once = Turns::new(1);
    let idle = Kind::Margay(MargayUse { wait: Wait::Default, ..pipe });
    once.add("margay/idle", 64, idle, |_| Pattern::Idle { milliseconds: 2000 });
    Plan(vec![list, once])
}

const GOALS: [Goal; 12] = [
    goal(
        "64 B round trip",
        "margay/round trip/64",
        Some("two lines, loaded/round trip/64"),
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
        "64 B round trip beside a bare word",
        "margay/round trip/64",
        Some("two lines/round trip/8"),
        Told::Time,
        Asked::Nothing,
    ),
    goal("64 B round trip beside rtrb", "margay/round trip/64", Some("rtrb/round trip/64"), Told::Time, Asked::Nothing),
];
