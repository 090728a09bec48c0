// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a run over kernel sockets has measured, for people.

use super::{BULK, BY_HAND, bulk, point, points, servers};
use crate::bench::Run;
use crate::bench::plan::{Goal, Of, Told};
use crate::bench::report::{goals, judge, percentiles};
use crate::bench::stats::Series;
use crate::channel::{ALLOCATIONS, CONNECTIONS, SYSTEM_CALLS, Server, Sockets, Write as Pushed};
use crate::{table, units};
use anyhow::Result;
use std::fmt::Write;

/// Everything.
pub fn body(run: &Run) -> Result<String> {
    let which: Vec<Sockets> =
        [Sockets::Catnap, Sockets::Catcollar].into_iter().filter(|&sockets| is_in(run, sockets)).collect();
    let mut text = String::new();
    writeln!(
        text,
        "Requests per second: connections, each with one request under way, × bytes of request and answer\n"
    )?;
    writeln!(text, "{}\n", rates(run, &which)?)?;
    writeln!(text, "System calls and allocations of the server for each request\n")?;
    writeln!(text, "{}\n", costs(run, &which))?;
    writeln!(text, "Round trip of 64 B on one connection, timed one by one\n")?;
    writeln!(text, "{}\n", percentiles(run))?;
    writeln!(
        text,
        "One way over loopback, each push completed before the next: a copy by the kernel, and none (`zero_copy`)\n"
    )?;
    writeln!(text, "{}\n", without_a_copy(run, &which))?;
    let crowd = |name: &str| {
        let series = run.get(&format!("epoll/{name}/64"));
        series.and_then(|series| series.fact(CONNECTIONS)).unwrap_or_default()
    };
    writeln!(
        text,
        "A crowd: {:.0} connections of which {:.0} work, beside these alone; a server of {:.0} idle ones\n",
        crowd("crowd"),
        crowd("alone"),
        crowd("crowd")
    )?;
    writeln!(text, "{}\n", goals(run, |goal| !is_shown_by_load(goal))?)?;
    let mut held = (0, 0);
    for goal in run.suite.goals {
        let holds = judge(run, goal)?.holds;
        held.0 += u32::from(holds == Some(true));
        held.1 += u32::from(holds.is_some());
    }
    write!(text, "{} of {} goals hold", held.0, held.1)?;
    Ok(text)
}

fn is_in(run: &Run, sockets: Sockets) -> bool {
    run.get(&format!("{}/idle/64", sockets.name())).is_some()
}

/// Goals that the tables by load show, or that are too many of one kind to be told one by one.
fn is_shown_by_load(goal: &Goal) -> bool {
    goal.told == Told::Rate || goal.of == Of::Fact(ALLOCATIONS)
}

/// What a load is called.
fn load((connections, size): (u32, usize)) -> String {
    format!("{connections} × {}", units::size(size))
}

fn rates(run: &Run, which: &[Sockets]) -> Result<String> {
    let mut header = vec![""];
    header.extend(servers(which).flat_map(|server| match server {
        Server::Epoll | Server::IoUring => vec![server.name()],
        Server::Margay(Sockets::Catcollar) => vec!["catcollar", "/ epoll", "/ io_uring"],
        Server::Margay(_) => vec!["catnap", "/ epoll"],
    }));
    let mut table = table::new(&header, 1);
    for (connections, size) in points() {
        let mut row = vec![load((connections, size))];
        for server in servers(which) {
            let key = point(server, connections, size);
            row.push(run.get(&key).map_or_else(String::new, |series| units::rate(1e9 / series.median())));
            for goal in run.suite.goals.iter().filter(|goal| goal.key == key && goal.told == Told::Rate) {
                let verdict = judge(run, goal)?;
                let missed = if verdict.holds == Some(false) { " missed" } else { "" };
                row.push(format!("{:.2}{missed}", verdict.ratio.unwrap_or_default()));
            }
        }
        table.add_row(row);
    }
    Ok(table.trim_fmt())
}

fn costs(run: &Run, which: &[Sockets]) -> String {
    let mut header = vec![""];
    header.extend(servers(which).map(Server::name));
    header.extend(which.iter().map(|sockets| match sockets {
        Sockets::Catcollar => "catcollar allocates",
        _ => "catnap allocates",
    }));
    let mut table = table::new(&header, 1);
    for (connections, size) in points() {
        let fact = |server, name| {
            let series = run.get(&point(server, connections, size));
            series.and_then(|series| series.fact(name)).map_or_else(|| "-".to_owned(), |fact| format!("{fact:.2}"))
        };
        let mut row = vec![load((connections, size))];
        row.extend(BY_HAND.map(|server| fact(server, SYSTEM_CALLS)));
        row.extend(which.iter().map(|&sockets| fact(Server::Margay(sockets), SYSTEM_CALLS)));
        row.extend(which.iter().map(|&sockets| fact(Server::Margay(sockets), ALLOCATIONS)));
        table.add_row(row);
    }
    table.trim_fmt()
}

fn without_a_copy(run: &Run, which: &[Sockets]) -> String {
    let mut header = vec![""];
    for sockets in which {
        header.extend(match sockets {
            Sockets::Catcollar => ["catcollar, copied", "without", "ratio"],
            _ => ["catnap, copied", "without", "ratio"],
        });
    }
    let mut table = table::new(&header, 1);
    for size in BULK {
        let mut row = vec![units::size(size)];
        for &sockets in which {
            let time = |write| run.get(&bulk(sockets, write, size)).map(Series::median);
            let (copied, without) = (time(Pushed::Buffer), time(Pushed::ZeroCopy));
            let told =
                |time: Option<f64>| time.map_or_else(String::new, |time| units::bandwidth(size as f64 * 1e9 / time));
            row.extend([told(copied), told(without)]);
            row.push(
                copied.zip(without).map_or_else(String::new, |(copied, without)| format!("{:.2}", copied / without)),
            );
        }
        table.add_row(row);
    }
    table.trim_fmt()
}
