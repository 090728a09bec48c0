// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is measured of Margay's own network stack over a port of DPDK, between two processes: round trips over `net_memif` beside bare
//! frames on the same kind of wire, and requests of many sockets; beside both, the kernel's sockets. And in one thread over `net_ring`, what
//! the stack alone costs.

mod show;

use super::plan::{Asked, Goal, Of, Plan, Suite, Told, Turns, goal};
use crate::channel::{Carries, Ends, Kind, Memif, Server};
use crate::cost::Effort;

/// Bytes of a message, of a request, and of its answer.
const SIZE: usize = 64;
/// Sockets that each have a request under way.
const CONNECTIONS: [u32; 3] = [1, 64, 1000];
/// Who answers requests: what it is called, and what it runs on.
const SERVERS: [(&str, Kind); 3] = [
    ("UDP", Kind::Memif { what: Memif::Datagrams, size: SIZE }),
    ("TCP", Kind::Memif { what: Memif::Stream, size: SIZE }),
    ("epoll", Kind::Echo { server: Server::Epoll, size: SIZE }),
];

/// What goes there and back in one thread, over ports of `net_ring`.
const ALONE: [(&str, Memif); 3] = [("bare frames", Memif::Frames), ("UDP", Memif::Datagrams), ("TCP", Memif::Stream)];

const FRAMES: &str = "frames/round trip/64";
const UDP: &str = "udp/round trip/64";
const TCP: &str = "tcp/round trip/64";
const KERNEL_UDP: &str = "kernel, udp/round trip/64";
const KERNEL_TCP: &str = "kernel, tcp/round trip/64";

/// What is timed one by one: over shared memory, then over a veth pair.
const TIMED: [(&str, &str); 5] = [
    ("bare frames over memif (limit)", FRAMES),
    ("Margay, UDP over memif", UDP),
    ("Margay, TCP over memif", TCP),
    ("the kernel, UDP over veth", KERNEL_UDP),
    ("the kernel, TCP over veth", KERNEL_TCP),
];
/// How many of them take no veth pair.
const OVER_MEMIF: usize = 3;

/// The bench of ports of DPDK; `apart`: also over a veth pair.
pub fn suite(apart: bool) -> &'static Suite {
    // As long as the command, of which there is one for each process.
    Box::leak(Box::new(Suite {
        name: "dpdk",
        body: show::body,
        plan: if apart { |quick| plan(quick, true) } else { |quick| plan(quick, false) },
        columns: ["Margay / other", "other"],
        goals: goals(apart).leak(),
        groups: &[],
        bars: &[],
        timed: if apart { &TIMED } else { &TIMED[..OVER_MEMIF] },
        one_way: &[],
        crowds: &[],
    }))
}

/// The series of a server under load.
fn point(server: &str, connections: u32) -> String {
    format!("{server}, {connections} sockets/{SIZE}")
}

/// The series of one thread.
fn alone(name: &str) -> String {
    format!("{name} over net_ring/{SIZE}")
}

fn plan(quick: bool, apart: bool) -> Plan {
    let effort = Effort::for_rounds(quick);
    let mut list = Turns::new(if quick { 5 } else { 25 });
    for (name, what) in [("frames", Memif::Frames), ("udp", Memif::Datagrams), ("tcp", Memif::Stream)] {
        let kind = Kind::Memif { what, size: SIZE };
        list.add(&format!("{name}/round trip"), SIZE, kind, |kind| effort.round_trip(kind));
    }
    for (name, what) in ALONE {
        let kind = Kind::Ring { what, size: SIZE };
        list.add(&format!("{name} over net_ring"), SIZE, kind, |kind| effort.one_thread(kind));
    }
    let load = Effort::for_load(quick);
    let mut loads = Turns::new(if quick { 1 } else { 7 });
    for connections in CONNECTIONS {
        for (name, kind) in SERVERS {
            loads.add(&format!("{name}, {connections} sockets"), SIZE, kind, |_| load.load(connections, SIZE));
        }
    }
    let mut plan = vec![list, loads];
    if apart {
        let mut pair = Turns { apart: true, ..Turns::new(if quick { 3 } else { 9 }) };
        for (name, carries) in [("kernel, udp", Carries::Datagrams), ("kernel, tcp", Carries::Stream)] {
            let kind = Kind::Veth { ends: Ends::Kernel, carries, size: SIZE };
            pair.add(&format!("{name}/round trip"), SIZE, kind, |kind| effort.round_trip(kind));
        }
        plan.push(pair);
    }
    Plan(plan)
}

fn goals(apart: bool) -> Vec<Goal> {
    let rate = |title, server: &str, least| {
        goal(title, point(server, CONNECTIONS[1]).leak(), None, Told::Rate, Asked::AtLeast(least))
    };
    let mut goals = vec![
        goal("64 B UDP round trip / bare frames", UDP, Some(FRAMES), Told::Time, Asked::TimesLimit(1.5)),
        goal("64 B TCP round trip / bare frames", TCP, Some(FRAMES), Told::Time, Asked::TimesLimit(2.0)),
        rate("UDP requests of 64 sockets", "UDP", 1.5e6),
        rate("TCP requests of 64 sockets", "TCP", 1.0e6),
    ];
    if apart {
        for (title, ours, theirs) in [
            ("64 B UDP round trip / the kernel over veth, p50", UDP, KERNEL_UDP),
            ("64 B TCP round trip / the kernel over veth, p50", TCP, KERNEL_TCP),
        ] {
            let beside = goal(title, ours, Some(theirs), Told::Time, Asked::Nothing);
            goals.push(Goal { of: Of::Percentile(50.0), ..beside });
        }
    }
    goals
}
