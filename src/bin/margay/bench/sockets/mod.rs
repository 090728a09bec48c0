// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is measured of kernel sockets, and what is asked of them: echo servers on Margay beside servers written by hand, all
//! under the same load.

mod show;

use super::plan::{Asked, Goal, Item, Of, Plan, Suite, Told, Turns, goal};
use crate::channel::{ALLOCATIONS, Kind, MargayUse, Over, Read, SYSTEM_CALLS, Server, Sockets, Wait, Write};
use crate::cost::Effort;
use crate::process::job::Pattern;
use crate::units;

/// Connections of a server, all of which work.
const CONNECTIONS: [u32; 3] = [1, 64, 1000];
/// Bytes of a request, and of its answer.
const SIZES: [usize; 3] = [64, 1 << 10, 16 << 10];
/// Bytes of what is sent one way, by a copy and without one.
const BULK: [usize; 5] = [4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20];
/// The servers that are the limit.
const BY_HAND: [Server; 2] = [Server::Epoll, Server::IoUring];

/// Of a crowd so many connections are open, and so many of these work.
#[derive(Clone, Copy)]
struct Crowd {
    open: u32,
    working: u32,
}

const CROWD: Crowd = Crowd { open: 10_000, working: 1000 };
const CROWD_QUICK: Crowd = Crowd { open: 1000, working: 100 };

/// What a round trip takes with Demikernel at both ends, on this kind of machine.
const DEMIKERNEL: [(Sockets, f64); 2] = [(Sockets::Catnap, 24_000.0), (Sockets::Catcollar, 35_000.0)];

/// The bench of these back ends for kernel sockets, in one run.
pub fn suite(which: &[Sockets]) -> &'static Suite {
    let (catnap, catcollar) = (which.contains(&Sockets::Catnap), which.contains(&Sockets::Catcollar));
    let plan: fn(bool) -> Plan = match (catnap, catcollar) {
        (true, false) => |quick| plan(&[Sockets::Catnap], quick),
        (false, true) => |quick| plan(&[Sockets::Catcollar], quick),
        _ => |quick| plan(&[Sockets::Catnap, Sockets::Catcollar], quick),
    };
    let mut which = which.to_vec();
    which.sort_unstable();
    which.dedup();
    // As long as the command, of which there is one for each process.
    Box::leak(Box::new(Suite {
        name: "kernel-sockets",
        body: show::body,
        plan,
        columns: ["Margay / other", "other"],
        goals: goals(&which).leak(),
        groups: &[],
        bars: &[],
        timed: timed(&which).leak(),
        one_way: &[],
        crowds: &[],
    }))
}

/// The series of a server with so many connections.
fn point(server: Server, connections: u32, size: usize) -> String {
    format!("{}/{connections} connections/{size}", server.name())
}

/// The series of what is sent one way.
fn bulk(sockets: Sockets, write: Write, size: usize) -> String {
    let how = if write == Write::ZeroCopy { "without a copy" } else { "copied" };
    format!("{}, {how}/{size}", sockets.name())
}

/// Everyone who serves, those of Margay last.
fn servers(which: &[Sockets]) -> impl Iterator<Item = Server> {
    BY_HAND.into_iter().chain(which.iter().copied().map(Server::Margay))
}

/// All loads, smallest first.
fn points() -> impl Iterator<Item = (u32, usize)> {
    CONNECTIONS.into_iter().flat_map(|connections| SIZES.map(|size| (connections, size)))
}

fn plan(which: &[Sockets], quick: bool) -> Plan {
    let effort = Effort::for_load(quick);
    let mut list = Turns::new(if quick { 3 } else { 25 });
    for (connections, size) in points() {
        // Those that are compared stand next to each other.
        for server in servers(which) {
            list.items.push(Item {
                key: point(server, connections, size),
                size,
                kind: Kind::Echo { server, size },
                pattern: effort.load(connections, size),
            });
        }
    }
    let effort = Effort::for_rounds(quick);
    list.add("tcp, polled/round trip", 64, Kind::SpinningTcp { size: 64 }, |kind| effort.round_trip(kind));
    for &sockets in which {
        let kind = Kind::margay(Over::Socket(sockets), 64);
        list.add(&format!("{}/round trip", sockets.name()), 64, kind, |kind| effort.round_trip(kind));
    }
    let mut one_way = Turns::new(if quick { 3 } else { 9 });
    for size in BULK {
        for &sockets in which {
            for write in [Write::Buffer, Write::ZeroCopy] {
                let over = Over::Socket(sockets);
                let kind = Kind::Margay(MargayUse { over, size, read: Read::Copy, write, wait: Wait::Poll });
                let key = bulk(sockets, write, size);
                one_way.items.push(Item { key, size, kind, pattern: effort.one_way(kind) });
            }
        }
    }
    let Crowd { open, working } = if quick { CROWD_QUICK } else { CROWD };
    let mut crowds = Turns { fresh: true, ..Turns::new(if quick { 1 } else { 5 }) };
    for server in servers(which) {
        for (name, connections) in [("alone", working), ("crowd", open)] {
            crowds.add(&format!("{}/{name}", server.name()), 64, Kind::Echo { server, size: 64 }, |_| Pattern::Load {
                connections,
                active: working,
                blocks: 4,
                per_block: 4 * working,
                timed: 20 * working,
            });
        }
    }
    let mut idle = Turns { fresh: true, ..Turns::new(1) };
    for &sockets in which {
        let kind = Kind::Echo { server: Server::Margay(sockets), size: 64 };
        let milliseconds = if quick { 500 } else { 3000 };
        idle.add(&format!("{}/idle", sockets.name()), 64, kind, |_| Pattern::Asleep {
            connections: open,
            milliseconds,
        });
    }
    Plan(vec![list, one_way, crowds, idle])
}

fn timed(which: &[Sockets]) -> Vec<(&'static str, &'static str)> {
    let server = |server| -> (&'static str, &'static str) {
        let title = match server {
            Server::Epoll => "server by hand on epoll",
            Server::IoUring => "server by hand on io_uring",
            Server::Margay(Sockets::Catcollar) => "Margay server on catcollar",
            Server::Margay(_) => "Margay server on catnap",
        };
        (title, point(server, 1, 64).leak())
    };
    let mut timed = vec![("two polled sockets (limit)", "tcp, polled/round trip/64")];
    timed.extend(servers(which).map(server));
    timed.extend(which.iter().map(|sockets| match sockets {
        Sockets::Catcollar => ("Margay at both ends, catcollar", "catcollar/round trip/64"),
        _ => ("Margay at both ends, catnap", "catnap/round trip/64"),
    }));
    timed
}

fn goals(which: &[Sockets]) -> Vec<Goal> {
    let mut goals = Vec::new();
    for (connections, size) in points() {
        let load = format!("{connections} × {}", units::size(size));
        for &sockets in which {
            let ours = point(Server::Margay(sockets), connections, size).leak();
            let least: &[(Server, f64)] = match sockets {
                Sockets::Catcollar => &[(Server::Epoll, 1.0), (Server::IoUring, 0.95)],
                _ => &[(Server::Epoll, 0.95)],
            };
            for &(server, least) in least {
                let title = format!("{load}, {} / {}", sockets.name(), server.name()).leak();
                let theirs = point(server, connections, size).leak();
                goals.push(goal(title, ours, Some(theirs), Told::Rate, Asked::OfLimit(least)));
            }
            let title = format!("{load}, {}: allocations per request", sockets.name()).leak();
            // Not none at all: ten times a second a LibOs tells about itself.
            let none = goal(title, ours, None, Told::Count, Asked::AtMost(0.001));
            goals.push(Goal { of: Of::Fact(ALLOCATIONS), ..none });
            if sockets == Sockets::Catcollar && connections == CONNECTIONS[2] {
                let title = format!("{load}, catcollar: system calls per request").leak();
                let few = goal(title, ours, None, Told::Count, Asked::AtMost(0.2));
                goals.push(Goal { of: Of::Fact(SYSTEM_CALLS), ..few });
            }
        }
    }
    for &(sockets, limit) in DEMIKERNEL.iter().filter(|(sockets, _)| which.contains(sockets)) {
        let title = format!("64 B round trip, {} at both ends", sockets.name()).leak();
        let key = format!("{}/round trip/64", sockets.name()).leak();
        goals.push(goal(title, key, Some("tcp, polled/round trip/64"), Told::Time, Asked::AtMost(limit)));
    }
    for server in servers(which) {
        for percentile in [50.0, 99.0] {
            let name = server.name();
            let title = format!("latency in a crowd / alone, p{percentile}, {name}").leak();
            let keys = ["crowd", "alone"].map(|what| &*format!("{name}/{what}/64").leak());
            let asked = if BY_HAND.contains(&server) { Asked::Nothing } else { Asked::TimesLimit(1.2) };
            goals.push(Goal {
                of: Of::Percentile(percentile),
                ..goal(title, keys[0], Some(keys[1]), Told::Time, asked)
            });
        }
    }
    for sockets in which {
        let title = format!("idle server of a crowd, {}", sockets.name()).leak();
        let key = format!("{}/idle/64", sockets.name()).leak();
        goals.push(goal(title, key, None, Told::Share, Asked::AtMost(0.01)));
    }
    goals
}
