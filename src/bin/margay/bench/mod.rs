// SPDX-License-Identifier: MIT OR Apache-2.0
//! `margay bench catmem`: every figure of the pipes beside its limit and its goal.
//!
//! `catmem` is the list of what is measured and what is asked of it, `stats` makes figures of blocks, and `report`,
//! `json` and `svg` show them.

mod catmem;
mod json;
mod machine;
mod report;
mod stats;
mod svg;

use crate::cli::BenchOptions;
use crate::pin::Cores;
use crate::process::Pair;
use crate::units;
use anyhow::{Context, Result, bail};
use catmem::Plan;
use indicatif::{ProgressBar, ProgressStyle};
use machine::Machine;
use stats::Series;
pub use stats::median;
use std::path::Path;

/// Everything that one run has measured.
pub struct Run {
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
pub fn catmem(options: &BenchOptions) -> Result<()> {
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
    let run = measure(cores, options.quick)?;
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

fn measure(cores: Cores, quick: bool) -> Result<Run> {
    let plan = Plan::new(quick);
    let mut series: Vec<Series> = plan.items.iter().map(Series::new).collect::<Result<_>>()?;
    let bar = ProgressBar::new(u64::from(plan.rounds) * plan.items.len() as u64 + plan.once.len() as u64);
    bar.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len}  {wide_msg}")?);
    let mut pair = Pair::start(cores)?;
    for _ in 0..plan.rounds {
        for (item, series) in plan.items.iter().zip(&mut series) {
            bar.set_message(item.key.clone());
            let report = pair.run(item.kind, item.pattern, &mut |progress| {
                bar.set_message(format!("{}  {}", item.key, units::time(progress.nanoseconds)));
            })?;
            series.add(&report);
            bar.inc(1);
        }
    }
    for item in &plan.once {
        bar.set_message(item.key.clone());
        let mut one = Series::new(item)?;
        one.add(&pair.run(item.kind, item.pattern, &mut |_| ())?);
        series.push(one);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(Run { machine: Machine::here(cores), quick, rounds: plan.rounds, series })
}
