// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is measured of sockets over shared memory, and what is asked of them.

use super::plan::{Asked, Goal, Item, Plan, SIZES, Suite, Told, Turns, goal};
use super::report;
use crate::channel::{Batch, Kind, MargayUse, Over, Read, Sockets, Wait, Write};
use crate::cost::Effort;
use crate::process::job::Pattern;

/// The bench of the sockets.
pub static SUITE: Suite = Suite {
    name: "catloop",
    body: report::standard,
    plan,
    columns: ["margay / other", "other"],
    goals: &GOALS,
    groups: &[],
    bars: &[],
    timed: &[
        ("Margay", "margay/round trip/64"),
        ("two cache lines (limit)", "two lines, loaded/round trip/64"),
        ("one word each way", "two lines/round trip/8"),
        ("TCP over loopback", "tcp/round trip/64"),
        ("Unix stream socket", "unix socket/round trip/64"),
    ],
    one_way: &[
        ("Margay", "margay"),
        ("bare copy (limit)", "bare copy"),
        ("TCP over loopback", "tcp"),
        ("Unix stream socket", "unix socket"),
    ],
    crowds: &[
        ("wait set", ["margay/wait set/few", "margay/wait set/some", "margay/wait set/many"]),
        ("wait_next_n", ["margay/wait next/few", "margay/wait next/some", "margay/wait next/many"]),
    ],
};

const OVER: Over = Over::Socket(Sockets::Catloop);
/// Connections that idle beside those that work.
const IDLE: [u32; 3] = [10, 1000, 10_000];
const IDLE_QUICK: [u32; 3] = [10, 100, 1000];

fn plan(quick: bool) -> Plan {
    let effort = Effort::for_rounds(quick);
    let margay = |size| Kind::margay(OVER, size);
    let tcp = |size| Kind::Tcp { size };
    let socket = |size| Kind::UnixSocket { size };
    let mut list = Turns::new(if quick { 7 } else { 25 });
    list.add("two lines/round trip", 8, Kind::TwoLine { loaded: false }, |kind| effort.round_trip(kind));
    list.add("margay/round trip", 64, margay(64), |kind| effort.round_trip(kind));
    list.add("two lines, loaded/round trip", 64, Kind::TwoLine { loaded: true }, |kind| effort.round_trip(kind));
    list.add("tcp/round trip", 64, tcp(64), |kind| effort.round_trip(kind));
    list.add("unix socket/round trip", 64, socket(64), |kind| effort.round_trip(kind));
    for size in SIZES {
        let kind = Kind::CopyRing { size, read: Read::Copy };
        list.add("bare copy/one way", size, kind, |kind| effort.one_way(kind));
        list.add("margay/one way", size, margay(size), |kind| effort.one_way(kind));
        list.add("tcp/one way", size, tcp(size), |kind| effort.one_way(kind));
        list.add("unix socket/one way", size, socket(size), |kind| effort.one_way(kind));
    }
    let mut slow = Turns { fresh: true, ..Turns::new(if quick { 1 } else { 5 }) };
    let visits = Pattern::Visits { blocks: if quick { 16 } else { 64 }, per_block: 10 };
    slow.add("margay/visits", 0, margay(64), |_| visits);
    slow.add("tcp/visits", 0, tcp(64), |_| visits);
    for (batch, crowd) in [(Batch::Set, SUITE.crowds[0]), (Batch::Next, SUITE.crowds[1])] {
        for (key, idle) in crowd.1.into_iter().zip(if quick { IDLE_QUICK } else { IDLE }) {
            let use_of_it = MargayUse { over: OVER, size: 64, read: Read::Copy, write: Write::Bytes, wait: Wait::Poll };
            slow.items.push(Item {
                key: key.to_owned(),
                size: 64,
                kind: Kind::Margay(use_of_it),
                pattern: Pattern::Crowd { idle, batch, blocks: if quick { 32 } else { 200 }, per_block: 512 },
            });
        }
    }
    Plan(vec![list, slow])
}

const GOALS: [Goal; 13] = [
    goal(
        "64 B round trip / two cache lines",
        "margay/round trip/64",
        Some("two lines, loaded/round trip/64"),
        Told::Time,
        Asked::TimesLimit(1.6),
    ),
    goal(
        "64 B round trip / one word each way",
        "margay/round trip/64",
        Some("two lines/round trip/8"),
        Told::Time,
        Asked::Nothing,
    ),
    goal(
        "64 B round trip / TCP over loopback",
        "margay/round trip/64",
        Some("tcp/round trip/64"),
        Told::Time,
        Asked::TimesFaster(20.0),
    ),
    goal("64 B one way / bare copy", "margay/one way/64", Some("bare copy/one way/64"), Told::Rate, Asked::Nothing),
    goal(
        "1 KiB stream / bare copy",
        "margay/one way/1024",
        Some("bare copy/one way/1024"),
        Told::Bandwidth,
        Asked::Nothing,
    ),
    goal(
        "16 KiB stream / bare copy",
        "margay/one way/16384",
        Some("bare copy/one way/16384"),
        Told::Bandwidth,
        Asked::OfLimit(0.80),
    ),
    goal(
        "64 KiB stream / bare copy",
        "margay/one way/65536",
        Some("bare copy/one way/65536"),
        Told::Bandwidth,
        Asked::Nothing,
    ),
    goal(
        "16 KiB stream / TCP over loopback",
        "margay/one way/16384",
        Some("tcp/one way/16384"),
        Told::Bandwidth,
        Asked::Nothing,
    ),
    goal(
        "connect, accept, close / TCP over loopback",
        "margay/visits/0",
        Some("tcp/visits/0"),
        Told::Rate,
        Asked::AtLeast(5000.0),
    ),
    goal(
        "wait set, some idle / few idle",
        "margay/wait set/some",
        Some("margay/wait set/few"),
        Told::Time,
        Asked::TimesLimit(1.2),
    ),
    goal(
        "wait set, many idle / few idle",
        "margay/wait set/many",
        Some("margay/wait set/few"),
        Told::Time,
        Asked::TimesLimit(1.2),
    ),
    goal(
        "wait_next_n, some idle / few idle",
        "margay/wait next/some",
        Some("margay/wait next/few"),
        Told::Time,
        Asked::TimesLimit(1.2),
    ),
    goal(
        "wait_next_n, many idle / few idle",
        "margay/wait next/many",
        Some("margay/wait next/few"),
        Told::Time,
        Asked::TimesLimit(1.2),
    ),
];
