// SPDX-License-Identifier: MIT OR Apache-2.0
//! `margay bench`: every figure of a back end beside its limit and its goal.
//!
//! `plan` has the words in which `catmem`, `catloop`, `sockets`, `network` and `dpdk` say what is measured and what is asked of it, `stats` makes
//! figures of blocks, and `report`, `json` and `svg` show them.

pub mod catloop;
pub mod catmem;
pub mod dpdk;
mod json;
mod machine;
pub mod network;
mod plan;
mod report;
pub mod sockets;
mod stats;
mod svg;

use crate::channel::WORKING;
use crate::cli::BenchOptions;
use crate::memory::allow_descriptors;
use crate::pin::Cores;
use crate::process::Pair;
use crate::units;
use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use machine::Machine;
use plan::Plan;
pub use plan::Suite;
use stats::Series;
pub use stats::median;
use std::path::Path;

/// Descriptors that a process needs beside those of its connections.
const DESCRIPTORS_BESIDE: u64 = 256;

/// Everything that one run has measured.
pub struct Run {
    suite: &'static Suite,
    machine: Machine,
    quick: bool,
    rounds: u32,
    series: Vec<Series>,
}

impl Run {
    /// The series of a key that the plan has.
    fn get(&self, key: &str) -> Option<&Series> {
        self.series.iter().find(|series| series.key == key)
    }
}

/// Measures, and writes what was asked for.
pub fn run(suite: &'static Suite, options: &BenchOptions) -> Result<()> {
    let cores = Cores::choose(options.cores)?;
    if !cores.are_two() {
        bail!(
            "two processes that poll need two cores, and this process may use only core {}; allow it another one, such \
             as with `taskset -c 0,1 margay bench catmem`",
            cores.server
        );
    }
    // Before the time that measuring takes.
    for file in [&options.json, &options.svg].into_iter().flatten() {
        can_be_written(file)?;
    }
    let run = measure(suite, cores, options.quick)?;
    println!("{}", report::all(&run)?);
    if let Some(file) = &options.json {
        std::fs::write(file, json::text(&run)?).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if let Some(file) = &options.svg {
        std::fs::write(file, svg::draw(&run)?).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

fn can_be_written(file: &Path) -> Result<()> {
    let opened = std::fs::OpenOptions::new().append(true).create(true).open(file);
    opened.map(drop).with_context(|| format!("cannot write {}; name a file in a folder that is there", file.display()))
}

fn measure(suite: &'static Suite, cores: Cores, quick: bool) -> Result<Run> {
    let mut plan = (suite.plan)(quick);
    // Before the two processes start, which inherit what is allowed.
    bound_crowds(&mut plan);
    let mut series = Vec::new();
    let bar = ProgressBar::new(plan.0.iter().map(|turns| u64::from(turns.rounds) * turns.items.len() as u64).sum());
    bar.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len}  {wide_msg}")?);
    let mut pair = Pair::start(cores)?;
    for turns in &plan.0 {
        if turns.apart {
            pair = Pair::start_apart(cores)?;
        }
        let mut of_turns: Vec<Series> = turns.items.iter().map(Series::new).collect::<Result<_>>()?;
        for _ in 0..turns.rounds {
            for (item, series) in turns.items.iter().zip(&mut of_turns) {
                bar.set_message(item.key.clone());
                if turns.fresh {
                    pair = Pair::start(cores)?;
                }
                let report = pair.run(item.kind, item.pattern, &mut |progress| {
                    bar.set_message(format!("{}  {}", item.key, units::time(progress.nanoseconds)));
                })?;
                series.add(&report);
                bar.inc(1);
            }
        }
        series.extend(of_turns);
    }
    bar.finish_and_clear();
    Ok(Run { suite, machine: Machine::here(cores), quick, rounds: plan.rounds(), series })
}

/// Sees to it that there are enough descriptors for the largest crowd, or makes the crowds smaller.
fn bound_crowds(plan: &mut Plan) {
    let mut idle: Vec<&mut u32> = plan.crowds().collect();
    let Some(largest) = idle.iter().map(|idle| **idle).max() else { return };
    // One for each connection's end. Twice as many leave room for whatever a handshake holds meanwhile.
    let beside = DESCRIPTORS_BESIDE + u64::from(WORKING);
    let allowed = allow_descriptors(2 * u64::from(largest) + beside);
    let most = u32::try_from(allowed.saturating_sub(beside)).unwrap_or(u32::MAX);
    if most < largest {
        eprintln!(
            "margay: {allowed} descriptors are allowed, so no more than {most} idle connections are measured; raise the \
             limit for more, as with `ulimit -n {}`",
            2 * u64::from(largest) + beside
        );
    }
    for idle in &mut idle {
        **idle = most.min(**idle);
    }
}
