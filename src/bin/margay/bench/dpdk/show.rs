// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a run over ports of DPDK has measured, for people.

use super::{ALONE, CONNECTIONS, KERNEL_UDP, SERVERS, alone, point};
use crate::bench::Run;
use crate::bench::report::{goals, percentiles};
use crate::bench::stats::Series;
use crate::process::apart;
use crate::{table, units};
use anyhow::Result;
use std::fmt::Write;

/// Everything.
pub fn body(run: &Run) -> Result<String> {
    let mut text = String::new();
    writeln!(text, "{}\n", goals(run, |_| true)?)?;
    writeln!(text, "Round trip of 64 B between two processes, both polling, timed one by one\n")?;
    writeln!(text, "{}\n", percentiles(run))?;
    if run.get(KERNEL_UDP).is_none() {
        let why = apart::why_not().unwrap_or_else(|| "it could not be done when the run began".to_owned());
        writeln!(text, "skipped: the kernel's sockets over a veth pair: {why}\n")?;
    }
    writeln!(
        text,
        "Requests per second of 64 B, one under way on each socket: Margay over memif at both ends; a server written by hand\n\
         on epoll over loopback, loaded by the kernel's sockets\n"
    )?;
    writeln!(text, "{}\n", loads(run))?;
    writeln!(
        text,
        "Round trip of 64 B in one thread over two ports of net_ring, which give back what they are given: what the stacks\n\
         take more than bare frames is what they cost alone, four times through\n"
    )?;
    write!(text, "{}", in_one_thread(run))?;
    Ok(text)
}

fn loads(run: &Run) -> String {
    let mut table = table::new(&["sockets", "UDP over memif", "TCP over memif", "TCP on epoll"], 1);
    for connections in CONNECTIONS {
        let mut row = vec![connections.to_string()];
        for (server, _) in SERVERS {
            let series = run.get(&point(server, connections));
            row.push(series.map(|series| units::rate(1e9 / series.median())).unwrap_or_default());
        }
        table.add_row(row);
    }
    table.trim_fmt()
}

fn in_one_thread(run: &Run) -> String {
    let mut table = table::new(&["over net_ring", "round trip", "more than frames"], 1);
    let frames = run.get(&alone(ALONE[0].0)).map(Series::median);
    for (name, _) in ALONE {
        let Some(time) = run.get(&alone(name)).map(Series::median) else { continue };
        let more = frames.map(|frames| units::time((time - frames).max(0.0))).unwrap_or_default();
        table.add_row([name.to_owned(), units::time(time), if name == ALONE[0].0 { "-".to_owned() } else { more }]);
    }
    table.trim_fmt()
}
