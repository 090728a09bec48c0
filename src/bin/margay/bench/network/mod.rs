// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is measured of Margay's own network stack, and what is asked of it: a datagram's way through the stack alone, and a
//! message's over a stream between two of them, beside smoltcp and beside a bare copy; the checksum; many bytes over a stream, beside the
//! least that has to be done to them; connections by their number; round trips over a veth pair, and many bytes through a TAP device,
//! beside the kernel's sockets.

mod show;

use super::plan::{Asked, Goal, Of, Plan, Suite, Told, Turns, goal};
use crate::channel::{Bulk, Carries, Connections, Ends, IDLE_BYTES, Kind, PER_DATAGRAM, POLL, Stack, Way, Work};
use crate::cost::Effort;
use crate::process::job::{Pattern, Role};
use crate::units;

/// Bytes of a datagram: a small request, and about as many as a packet of Ethernet has room for.
const SIZES: [usize; 2] = [64, 1460];
/// The same of a message over a stream: a full one fits behind TCP's header with timestamps.
const STREAM_SIZES: [usize; 2] = [64, 1448];
/// Bytes whose checksum is computed.
const SUMMED: usize = 1460;
/// What a datagram, or a message, goes through; those that are compared stand next to each other.
const STACKS: [Stack; 3] = [Stack::Copy, Stack::Margay, Stack::Smoltcp];
const WAYS: [Way; 3] = [Way::In, Way::Out, Way::Stream];
const WORKS: [Work; 3] = [Work::Read, Work::Checksum, Work::Copy];

const BULKS: [Bulk; 3] = [Bulk::BothEnds, Bulk::Stream, Bulk::Once];
/// Bytes of a message of many.
const BULK: usize = baselines::bulk::MESSAGE;

/// What is timed one by one: Margay's, then the kernel's, of datagrams and of streams.
const TIMED: [(&str, &str); 4] = [
    ("UDP, Margay (catnip over packet)", "catnip/round trip/64"),
    ("UDP, the kernel", "kernel/round trip/64"),
    ("TCP, Margay (catnip over packet)", "catnip, tcp/round trip/64"),
    ("TCP, the kernel", "kernel, tcp/round trip/64"),
];
/// What goes over a veth pair in the kernel alone, and over a TAP device from Margay's stack and to it.
const OVER_TAP: [(&str, &str); 3] = [
    ("the kernel over veth", "kernel, tcp/one way/65536"),
    ("from Margay over tap", "from catnip/one way/65536"),
    ("to Margay over tap", "to catnip/one way/65536"),
];
/// Connections that come and go.
const VISIT: &str = "margay/visit/0";
/// Beside few idle connections, and beside many.
const CROWDS: [(&str, u32); 2] = [("crowd of few", 1_000), ("crowd of many", 1_000_000)];
/// How many are many in a quick run.
const MANY_QUICK: u32 = 20_000;

/// The bench of the network stack; `apart`: also over a veth pair.
pub fn suite(apart: bool) -> &'static Suite {
    // As long as the command, of which there is one for each process.
    Box::leak(Box::new(Suite {
        name: "network",
        body: show::body,
        plan: if apart { |quick| plan(quick, true) } else { |quick| plan(quick, false) },
        columns: ["Margay / other", "other"],
        goals: goals(apart).leak(),
        groups: points().map(|(way, size)| &*point(way, size).leak()).collect::<Vec<_>>().leak(),
        bars: STACKS.map(|stack| (title(stack), bars(stack))).to_vec().leak(),
        timed: if apart { &TIMED } else { &[] },
        one_way: &[],
        crowds: &[],
    }))
}

const fn way_name(way: Way) -> &'static str {
    match way {
        Way::In => "in",
        Way::Out => "out",
        Way::Stream => "stream",
    }
}

/// What stands over the figures of a stack.
const fn title(stack: Stack) -> &'static str {
    match stack {
        Stack::Margay => "Margay",
        Stack::Smoltcp => "smoltcp",
        Stack::Copy => "bare copy (limit)",
    }
}

/// All ways, each with all its sizes.
fn points() -> impl Iterator<Item = (Way, usize)> {
    WAYS.into_iter().flat_map(|way| if way == Way::Stream { STREAM_SIZES } else { SIZES }.map(|size| (way, size)))
}

/// What a point is called.
fn point(way: Way, size: usize) -> String {
    format!("{} {}", units::size(size), way_name(way))
}

fn bars(stack: Stack) -> &'static [&'static str] {
    points().map(|(way, size)| &*through(stack, way, size).leak()).collect::<Vec<_>>().leak()
}

/// The series of a stack.
fn through(stack: Stack, way: Way, size: usize) -> String {
    format!("{}/{}/{size}", stack.name(), way_name(way))
}

/// The series of a loop over bytes.
fn over(work: Work) -> String {
    format!("{}/bytes/{SUMMED}", work.name())
}

fn plan(quick: bool, apart: bool) -> Plan {
    let effort = Effort::for_rounds(quick);
    let rounds = if quick { 7 } else { 25 };
    let mut list = Turns::new(rounds);
    for (way, size) in points() {
        for stack in STACKS {
            let name = format!("{}/{}", stack.name(), way_name(way));
            list.add(&name, size, Kind::Stack { stack, way, size }, |kind| effort.one_thread(kind));
        }
    }
    for work in WORKS {
        let kind = Kind::Bytes { work, size: SUMMED };
        list.add(&format!("{}/bytes", work.name()), SUMMED, kind, |kind| effort.one_thread(kind));
    }
    for bulk in BULKS {
        list.add(&format!("{}/bulk", bulk.name()), BULK, Kind::Bulk { bulk, size: BULK }, |kind| {
            effort.one_thread(kind)
        });
    }
    list.add("margay/visit", 0, Kind::Connections(Connections::Visit), |kind| effort.one_thread(kind));
    // Each in new processes, whose memory is that of their connections.
    let mut crowds = Turns { fresh: true, ..Turns::new(if quick { 1 } else { 3 }) };
    for (name, idle) in CROWDS {
        let idle = if quick { idle.min(MANY_QUICK) } else { idle };
        crowds.add(name, SIZES[0], Kind::Connections(Connections::Crowd(idle)), |kind| effort.one_thread(kind));
    }
    let mut plan = vec![list, crowds];
    if apart {
        let mut pair = Turns { apart: true, ..Turns::new(rounds) };
        for (what, carries) in [("", Carries::Datagrams), (", tcp", Carries::Stream)] {
            for (name, ends) in [("kernel", Ends::Kernel), ("catnip", Ends::Catnip)] {
                let kind = Kind::Veth { ends, carries, size: 64 };
                pair.add(&format!("{name}{what}/round trip"), 64, kind, |kind| effort.round_trip(kind));
            }
        }
        // Long enough for buffers of some MiB to be little beside it.
        let many = Pattern::OneWay { blocks: 4, per_block: if quick { 128 } else { 1024 } };
        let kernel = Kind::Veth { ends: Ends::Kernel, carries: Carries::Stream, size: BULK };
        pair.add("kernel, tcp/one way", BULK, kernel, |_| many);
        for (name, catnip) in [("from catnip", Role::Server), ("to catnip", Role::Client)] {
            pair.add(&format!("{name}/one way"), BULK, Kind::Tap { catnip, size: BULK }, |_| many);
        }
        plan.push(pair);
    }
    Plan(plan)
}

fn goals(apart: bool) -> Vec<Goal> {
    let mut goals = Vec::new();
    for (other, asked) in [(Stack::Smoltcp, Asked::TimesLimit(1.0)), (Stack::Copy, Asked::Nothing)] {
        for (way, size) in points() {
            let title = format!("{} / {}", point(way, size), other.name()).leak();
            let keys = [Stack::Margay, other].map(|stack| &*through(stack, way, size).leak());
            goals.push(goal(title, keys[0], Some(keys[1]), Told::Time, asked));
        }
    }
    for (way, size) in points() {
        let title = format!("{}: {PER_DATAGRAM}", point(way, size)).leak();
        let none = goal(title, through(Stack::Margay, way, size).leak(), None, Told::Count, Asked::AtMost(0.0));
        goals.push(Goal { of: Of::Fact(PER_DATAGRAM), ..none });
    }
    let title = format!("checksum of {} / bare read", units::size(SUMMED)).leak();
    let keys = [Work::Checksum, Work::Read].map(|work| &*over(work).leak());
    goals.push(goal(title, keys[0], Some(keys[1]), Told::Bandwidth, Asked::AtLeast(10e9)));
    goals.extend(by_number());
    if apart {
        goals.extend(over_interfaces());
    }
    goals
}

/// Of many bytes, and of many connections.
fn by_number() -> Vec<Goal> {
    let through = |bulk: Bulk| &*format!("{}/bulk/{BULK}", bulk.name()).leak();
    let [least, ours, once] = BULKS.map(through);
    let [few, many] = CROWDS.map(|(name, _)| &*format!("{name}/{}", SIZES[0]).leak());
    let poll = goal("a poll beside many idle connections / few", many, Some(few), Told::Time, Asked::TimesLimit(1.25));
    let bytes = goal("bytes of an idle connection, each end", many, None, Told::Count, Asked::AtMost(1024.0));
    let message = "64 B over a stream beside many idle connections / few";
    vec![
        goal(
            "64 KiB in segments / copied, summed at both ends",
            ours,
            Some(least),
            Told::Bandwidth,
            Asked::OfLimit(0.5),
        ),
        goal("64 KiB in segments / copied, summed once", ours, Some(once), Told::Bandwidth, Asked::Nothing),
        goal("connect and close", VISIT, None, Told::Rate, Asked::AtLeast(50_000.0)),
        goal(message, many, Some(few), Told::Time, Asked::TimesLimit(1.1)),
        Goal { of: Of::Fact(POLL), ..poll },
        Goal { of: Of::Fact(IDLE_BYTES), ..bytes },
    ]
}

/// Over a veth pair and a TAP device.
fn over_interfaces() -> Vec<Goal> {
    let mut goals = Vec::new();
    for (name, pair) in ["", "TCP "].into_iter().zip(TIMED.chunks(2)) {
        let &[(_, ours), (_, theirs)] = pair else { continue };
        for (name_of, percentile) in [("p50", 50.0), ("p99", 99.0)] {
            let title = format!("64 B {name}round trip over veth / the kernel's sockets, {name_of}").leak();
            let round_trip = goal(title, ours, Some(theirs), Told::Time, Asked::TimesLimit(1.0));
            goals.push(Goal { of: Of::Percentile(percentile), ..round_trip });
        }
    }
    let [(_, kernel), ours @ ..] = OVER_TAP;
    for (name, key) in ours {
        let title = format!("64 KiB {name} / the kernel over veth").leak();
        goals.push(goal(title, key, Some(kernel), Told::Bandwidth, Asked::OfLimit(0.7)));
    }
    goals
}
