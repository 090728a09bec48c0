// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a run has measured, for people: three tables.

use super::Run;
use super::catmem::{Asked, GOALS, Goal, SIZES, Told};
use super::stats::{PERCENTILES, Series};
use crate::{table, units};
use anyhow::{Context, Result};
use std::fmt::Write;

/// A goal with its figures.
pub struct Verdict {
    /// Margay's figure, in the goal's unit.
    pub figure: f64,
    /// The limit's.
    pub limit: Option<f64>,
    /// Time as a multiple of the limit's, or bandwidth and rate as a share of it.
    pub ratio: Option<f64>,
    /// Whether it holds; `None` if nothing is asked.
    pub holds: Option<bool>,
}

/// Compares a goal with what was measured.
pub fn judge(run: &Run, goal: &Goal) -> Result<Verdict> {
    let series = |key: &str| run.get(key).with_context(|| format!("{key} was not measured"));
    let value = |series: &Series| match goal.told {
        Told::Time | Told::Share => series.median(),
        Told::Rate => 1e9 / series.median(),
        Told::Bandwidth => series.size as f64 * 1e9 / series.median(),
    };
    let ours = series(goal.key)?;
    let theirs = goal.limit.map(series).transpose()?;
    let figure = value(ours);
    let limit = theirs.map(value);
    let ratio = theirs.map(|theirs| match goal.told {
        Told::Time | Told::Share => ours.times(theirs),
        Told::Rate | Told::Bandwidth => theirs.times(ours),
    });
    let holds = match (goal.asked, ratio) {
        (Asked::TimesLimit(most), Some(ratio)) => Some(ratio <= most),
        (Asked::OfLimit(least), Some(ratio)) => Some(ratio >= least),
        (Asked::AtMost(most), _) => Some(figure <= most),
        (Asked::AtLeast(least), _) => Some(figure >= least),
        (Asked::Nothing | Asked::TimesLimit(_) | Asked::OfLimit(_), _) => None,
    };
    Ok(Verdict { figure, limit, ratio, holds })
}

/// All tables.
pub fn all(run: &Run) -> Result<String> {
    let mut text = String::new();
    let machine = &run.machine;
    let [server, client] = machine.cores;
    writeln!(text, "{}, Linux {}, cores {server} and {client}", machine.processor, machine.kernel)?;
    writeln!(
        text,
        "medians of blocks; ratios are medians of {} rounds{}\n",
        run.rounds,
        if run.quick { " (quick)" } else { "" }
    )?;
    writeln!(text, "{}\n", goals(run)?)?;
    writeln!(text, "Round trip of 64 B, timed one by one (with about two readings of the clock in each)\n")?;
    writeln!(text, "{}\n", percentiles(run))?;
    writeln!(text, "One way, messages and bytes per second\n")?;
    write!(text, "{}", one_way(run))?;
    Ok(text)
}

fn goals(run: &Run) -> Result<String> {
    let mut table = table::new(&["", "limit", "margay", "ratio", "goal", ""], 1);
    for goal in &GOALS {
        let verdict = judge(run, goal)?;
        let tell = |value| tell(goal.told, value);
        let asked = match goal.asked {
            Asked::TimesLimit(most) => format!("≤ {most:.2} ×"),
            Asked::OfLimit(least) => format!("≥ {least:.2}"),
            Asked::AtMost(most) => format!("≤ {}", tell(most)),
            Asked::AtLeast(least) => format!("≥ {}", tell(least)),
            Asked::Nothing => String::new(),
        };
        let ratio = match (goal.told, verdict.ratio) {
            (_, None) => String::new(),
            (Told::Time, Some(ratio)) => format!("{ratio:.2} ×"),
            (_, Some(ratio)) => format!("{ratio:.2}"),
        };
        table.add_row([
            goal.title.to_owned(),
            verdict.limit.map(tell).unwrap_or_default(),
            tell(verdict.figure),
            ratio,
            asked,
            verdict.holds.map(|holds| if holds { "holds" } else { "missed" }).unwrap_or_default().to_owned(),
        ]);
    }
    Ok(table.trim_fmt())
}

fn tell(told: Told, value: f64) -> String {
    match told {
        Told::Time => units::time(value),
        Told::Rate => units::rate(value),
        Told::Bandwidth => units::bandwidth(value),
        Told::Share => format!("{:.2} %", value * 100.0),
    }
}

/// What has percentiles, and what it is called.
pub const TIMED: [(&str, &str); 4] = [
    ("Margay", "margay/round trip/64"),
    ("two cache lines (limit)", "two lines/round trip/8"),
    ("kernel pipe", "kernel pipe/round trip/64"),
    ("Unix stream socket", "unix socket/round trip/64"),
];

fn percentiles(run: &Run) -> String {
    let mut header = vec![String::new()];
    header.extend(PERCENTILES.map(|percentile| format!("p{percentile}")));
    header.push("block median".to_owned());
    let mut table = table::new(&header.iter().map(String::as_str).collect::<Vec<_>>(), 1);
    for (title, series) in TIMED.iter().filter_map(|(title, key)| run.get(key).map(|series| (title, series))) {
        let mut row = vec![(*title).to_owned()];
        row.extend(PERCENTILES.map(|percentile| {
            series.percentile(percentile).map_or_else(|| "-".to_owned(), |value| units::time(value as f64))
        }));
        row.push(units::time(series.median()));
        table.add_row(row);
    }
    table.trim_fmt()
}

fn one_way(run: &Run) -> String {
    let mut table = table::new(&["", "64 B", "", "1 KiB", "", "16 KiB", "", "64 KiB", ""], 1);
    for (title, name) in [
        ("Margay", "margay"),
        ("bare copy (limit)", "bare copy"),
        ("kernel pipe", "kernel pipe"),
        ("Unix stream socket", "unix socket"),
    ] {
        let mut row = vec![title.to_owned()];
        for series in SIZES.iter().filter_map(|size| run.get(&format!("{name}/one way/{size}"))) {
            let rate = 1e9 / series.median();
            row.push(units::rate(rate));
            row.push(units::bandwidth(rate * series.size as f64));
        }
        table.add_row(row);
    }
    table.trim_fmt()
}
