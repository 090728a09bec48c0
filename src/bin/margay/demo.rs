// SPDX-License-Identifier: MIT OR Apache-2.0
//! `margay demo`: two processes talk, and everybody can see how fast.

use crate::channel::{Kind, MargayUse, Over, Read, Sockets, Wait, Write};
use crate::cost::Effort;
use crate::measure::histogram;
use crate::pin::Cores;
use crate::process::Pair;
use crate::process::job::{Pattern, Progress, Report};
use crate::{table, units};
use anyhow::Result;
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

const SIZES: [usize; 4] = [64, 1 << 10, 16 << 10, 64 << 10];
const EFFORT: Effort = Effort { blocks: 200, milliseconds: 0.5, timed_milliseconds: 40.0 };

/// Runs and prints it.
pub fn run(cores: Option<Cores>) -> Result<()> {
    let cores = Cores::choose(cores)?;
    let mut pair = Pair::start(cores)?;
    let (server, client) = pair.ids();
    println!("server: process {server} on core {}    client: process {client} on core {}", cores.server, cores.client);
    if !cores.are_two() {
        println!("This process may use one core only, so the two take turns; with two cores it is far faster.");
    }
    println!();
    let line = ProgressBar::new_spinner();
    line.set_style(ProgressStyle::with_template("{spinner} {wide_msg}")?);
    line.enable_steady_tick(Duration::from_millis(250));
    let mut table = table::new(&["", "message", "p50", "p99", "p99.9", "messages/s", "bytes/s"], 1);
    for size in SIZES {
        let pipe = MargayUse { over: Over::Pipe, size, read: Read::Copy, write: Write::Bytes, wait: Wait::Configured };
        let ways = [
            ("Margay pipe", Kind::Margay(pipe)),
            ("Margay socket", Kind::Margay(MargayUse { over: Over::Socket(Sockets::Catloop), ..pipe })),
            ("kernel pipe", Kind::KernelPipe { size }),
            ("Unix stream socket", Kind::UnixSocket { size }),
            ("TCP over loopback", Kind::Tcp { size }),
        ];
        for (title, kind) in ways {
            let round_trips = watched(&mut pair, &line, kind, EFFORT.round_trip(kind))?;
            let one_way = watched(&mut pair, &line, kind, EFFORT.one_way(kind))?;
            let times = times(&round_trips)?;
            let percentile = |percentile| units::time(times.value_at_percentile(percentile) as f64);
            let rate = 1e9 / crate::bench::median(&one_way.blocks);
            table.add_row([
                title.to_owned(),
                units::size(size),
                percentile(50.0),
                percentile(99.0),
                percentile(99.9),
                units::rate(rate),
                units::bandwidth(rate * size as f64),
            ]);
        }
    }
    line.finish_and_clear();
    println!("{}\n", table.trim_fmt());
    println!(
        "p50, p99, p99.9: round trips, each timed by itself. messages/s, bytes/s: one way, from server to client."
    );
    println!(
        "`margay bench catmem` and `margay bench catloop` compare pipes and sockets with the limits of this machine."
    );
    Ok(())
}

/// Runs one measurement with a line that lives.
fn watched(pair: &mut Pair, line: &ProgressBar, kind: Kind, pattern: Pattern) -> Result<Report> {
    let back = matches!(pattern, Pattern::RoundTrip { .. });
    line.set_message(kind.title());
    pair.run(kind, pattern, &mut |Progress { nanoseconds }| {
        let rate = units::rate(1e9 / nanoseconds);
        line.set_message(if back {
            format!("{}: {} round trip, {rate}", kind.title(), units::time(nanoseconds))
        } else {
            format!("{}: {rate} one way", kind.title())
        });
    })
}

fn times(report: &Report) -> Result<Histogram<u64>> {
    let mut times = histogram()?;
    for &(value, count) in &report.timed {
        times.saturating_record_n(value, count);
    }
    Ok(times)
}
