// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a run over the network stack has measured, for people.

use super::{
    BULK, BULKS, CROWDS, OVER_TAP, SIZES, STACKS, SUMMED, TIMED, VISIT, WORKS, over, point, points, through, title,
};
use crate::bench::Run;
use crate::bench::report::{goals, percentiles};
use crate::channel::{Bulk, IDLE_BYTES, POLL, Work};
use crate::memory::IDLE;
use crate::process::apart;
use crate::{table, units};
use anyhow::Result;
use std::fmt::Write;

/// Everything.
pub fn body(run: &Run) -> Result<String> {
    let mut text = String::new();
    writeln!(text, "{}\n", goals(run, |_| true)?)?;
    writeln!(
        text,
        "UDP datagrams between a socket and a device that is memory, and messages over a TCP stream between two stacks, with\n\
         what acknowledges them: time for each, and how many a second\n"
    )?;
    writeln!(text, "{}\n", stacks(run))?;
    writeln!(text, "{} that lie in the cache\n", units::size(SUMMED))?;
    writeln!(text, "{}\n", bytes(run))?;
    writeln!(text, "{} over a TCP stream between two stacks, in segments of an Ethernet frame\n", units::size(BULK))?;
    writeln!(text, "{}\n", bulk(run))?;
    writeln!(text, "Connections between two stacks in one thread\n")?;
    writeln!(text, "{}\n", connections(run))?;
    if run.get(TIMED[0].1).is_some() {
        writeln!(text, "Round trip of 64 B over a veth pair, both ends polling, timed one by one\n")?;
        writeln!(text, "{}\n", percentiles(run))?;
        writeln!(text, "{} over TCP one way, both ends polling, with what the interfaces offer\n", units::size(BULK))?;
        write!(text, "{}", over_tap(run))?;
    } else {
        let why = apart::why_not().unwrap_or_else(|| "it could not be done when the run began".to_owned());
        write!(text, "skipped: the round trip over a veth pair, beside the kernel's sockets: {why}")?;
    }
    Ok(text)
}

fn stacks(run: &Run) -> String {
    let mut header = vec![String::new()];
    header.extend(points().flat_map(|(way, size)| [point(way, size), String::new()]));
    let mut table = table::new(&header.iter().map(String::as_str).collect::<Vec<_>>(), 1);
    for stack in STACKS {
        let mut row = vec![title(stack).to_owned()];
        for (way, size) in points() {
            let Some(series) = run.get(&through(stack, way, size)) else { continue };
            row.push(units::time(series.median()));
            row.push(units::rate(1e9 / series.median()));
        }
        table.add_row(row);
    }
    table.trim_fmt()
}

fn bytes(run: &Run) -> String {
    let mut table = table::new(&["", "time", "bytes per second"], 1);
    for work in WORKS {
        let Some(series) = run.get(&over(work)) else { continue };
        let title = match work {
            Work::Checksum => "Margay's checksum",
            Work::Read => "bare read (limit)",
            Work::Copy => "bare copy",
        };
        let median = series.median();
        table.add_row([title.to_owned(), units::time(median), units::bandwidth(SUMMED as f64 * 1e9 / median)]);
    }
    table.trim_fmt()
}

fn bulk(run: &Run) -> String {
    let mut table = table::new(&["", "time", "bytes per second"], 1);
    for bulk in BULKS {
        let Some(series) = run.get(&format!("{}/bulk/{BULK}", bulk.name())) else { continue };
        let title = match bulk {
            Bulk::Stream => "Margay",
            Bulk::BothEnds => "copied once, summed at both ends (limit)",
            Bulk::Once => "copied and summed once",
        };
        table.add_row(row(title, series.median()));
    }
    table.trim_fmt()
}

fn over_tap(run: &Run) -> String {
    let mut table = table::new(&["", "time", "bytes per second"], 1);
    for (title, key) in OVER_TAP {
        if let Some(series) = run.get(key) {
            table.add_row(row(title, series.median()));
        }
    }
    table.trim_fmt()
}

/// What so many bytes take.
fn row(title: &str, nanoseconds: f64) -> [String; 3] {
    [title.to_owned(), units::time(nanoseconds), units::bandwidth(BULK as f64 * 1e9 / nanoseconds)]
}

fn connections(run: &Run) -> String {
    let header = ["", "made and closed", "64 B message", "a poll", "bytes at each end"];
    let mut table = table::new(&header, 1);
    if let Some(series) = run.get(VISIT) {
        table.add_row(["one after the other", &units::rate(1e9 / series.median()), "", "", ""]);
    }
    for (name, _) in CROWDS {
        let Some(series) = run.get(&format!("{name}/{}", SIZES[0])) else { continue };
        let fact = |name: &str| series.fact(name).unwrap_or_default();
        let title = format!("beside {:.0} idle ones", fact(IDLE));
        let bytes = format!("{:.0}", fact(IDLE_BYTES));
        table.add_row([title, String::new(), units::time(series.median()), units::time(fact(POLL)), bytes]);
    }
    table.trim_fmt()
}
