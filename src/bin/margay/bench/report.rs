// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a run has measured, for people: goals, percentiles, rates, and where there are any, crowds of connections.

use super::Run;
use super::plan::{Asked, Goal, Of, SIZES, Told};
use super::stats::{PERCENTILES, Series};
use crate::memory::{CLIENT, IDLE, KERNEL, SERVER, SHARED};
use crate::{channel, table, units};
use anyhow::{Context, Result};
use std::fmt::Write;

/// A goal with its figures.
pub struct Verdict {
    /// Margay's figure, in the goal's unit.
    pub figure: f64,
    /// The limit's.
    pub limit: Option<f64>,
    /// Time as a multiple of the limit's (how many times faster, if that is asked), or bandwidth and rate as a share of it.
    pub ratio: Option<f64>,
    /// Whether it holds; `None` if nothing is asked.
    pub holds: Option<bool>,
}

/// Compares a goal with what was measured.
pub fn judge(run: &Run, goal: &Goal) -> Result<Verdict> {
    let series = |key: &str| run.get(key).with_context(|| format!("{key} was not measured"));
    let value = |series: &Series| -> Result<f64> {
        let value = match goal.of {
            Of::Blocks => series.median(),
            // Of a series that was too short for it, the longest that there was.
            Of::Percentile(percentile) => series.timed.value_at_percentile(percentile) as f64,
            Of::Fact(name) => series.fact(name).with_context(|| format!("{}: nobody told {name}", series.key))?,
        };
        Ok(match goal.told {
            Told::Time | Told::Share | Told::Count => value,
            Told::Rate => 1e9 / value,
            Told::Bandwidth => series.size as f64 * 1e9 / value,
        })
    };
    let ours = series(goal.key)?;
    let theirs = goal.limit.map(series).transpose()?;
    let figure = value(ours)?;
    let limit = theirs.map(value).transpose()?;
    let ratio = theirs.map(|theirs| match (goal.told, goal.asked) {
        _ if goal.of != Of::Blocks => limit.map_or(0.0, |limit| figure / limit),
        (Told::Rate | Told::Bandwidth, _) | (_, Asked::TimesFaster(_)) => theirs.times(ours),
        (Told::Time | Told::Share | Told::Count, _) => ours.times(theirs),
    });
    let holds = match (goal.asked, ratio) {
        (Asked::TimesLimit(most), Some(ratio)) => Some(ratio <= most),
        (Asked::OfLimit(least) | Asked::TimesFaster(least), Some(ratio)) => Some(ratio >= least),
        (Asked::AtMost(most), _) => Some(figure <= most),
        (Asked::AtLeast(least), _) => Some(figure >= least),
        (Asked::Nothing | Asked::TimesLimit(_) | Asked::TimesFaster(_) | Asked::OfLimit(_), _) => None,
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
    text.push_str(&(run.suite.body)(run)?);
    Ok(text)
}

/// What is shown of pipes and of sockets over shared memory.
pub fn standard(run: &Run) -> Result<String> {
    let mut text = String::new();
    writeln!(text, "{}\n", goals(run, |_| true)?)?;
    writeln!(text, "Round trip of 64 B, timed one by one (with about two readings of the clock in each)\n")?;
    writeln!(text, "{}\n", percentiles(run))?;
    writeln!(text, "One way, messages and bytes per second\n")?;
    write!(text, "{}", one_way(run))?;
    if !run.suite.crowds.is_empty() {
        writeln!(
            text,
            "\n\nA server with many connections, {} of which work: time per message, there and back\n",
            channel::WORKING
        )?;
        writeln!(text, "{}\n", crowds(run))?;
        writeln!(text, "What an idle connection takes, and how many descriptors each side has for it\n")?;
        write!(text, "{}", costs(run))?;
    }
    Ok(text)
}

/// Those of the goals that are wanted, as a table.
pub fn goals(run: &Run, wanted: impl Fn(&Goal) -> bool) -> Result<String> {
    let mut table = table::new(&[run.suite.columns[0], run.suite.columns[1], "margay", "ratio", "goal", ""], 1);
    for goal in run.suite.goals.iter().filter(|goal| wanted(goal)) {
        let verdict = judge(run, goal)?;
        let tell = |value| tell(goal.told, value);
        let asked = match goal.asked {
            Asked::TimesLimit(most) => format!("≤ {most:.2} ×"),
            Asked::TimesFaster(least) => format!("≥ {least:.0} × faster"),
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
        Told::Count => format!("{value:.2}"),
    }
}

/// The percentiles of all that was timed one by one.
pub fn percentiles(run: &Run) -> String {
    let mut header = vec![String::new()];
    header.extend(PERCENTILES.map(|percentile| format!("p{percentile}")));
    header.push("block median".to_owned());
    let mut table = table::new(&header.iter().map(String::as_str).collect::<Vec<_>>(), 1);
    for (title, series) in run.suite.timed.iter().filter_map(|(title, key)| run.get(key).map(|series| (title, series)))
    {
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
    for (title, name) in run.suite.one_way {
        let mut row = vec![(*title).to_owned()];
        for series in SIZES.iter().filter_map(|size| run.get(&format!("{name}/one way/{size}"))) {
            let rate = 1e9 / series.median();
            row.push(units::rate(rate));
            row.push(units::bandwidth(rate * series.size as f64));
        }
        table.add_row(row);
    }
    table.trim_fmt()
}

fn crowds(run: &Run) -> String {
    let mut header = vec!["waits with".to_owned()];
    if let Some((_, keys)) = run.suite.crowds.first() {
        header.extend(keys.iter().map(|key| format!("{} idle", run.get(key).and_then(idle).unwrap_or("-".to_owned()))));
    }
    let mut table = table::new(&header.iter().map(String::as_str).collect::<Vec<_>>(), 1);
    for (title, keys) in run.suite.crowds {
        let mut row = vec![(*title).to_owned()];
        row.extend(keys.iter().filter_map(|key| run.get(key)).map(|series| units::time(series.median())));
        table.add_row(row);
    }
    table.trim_fmt()
}

fn idle(series: &Series) -> Option<String> {
    series.fact(IDLE).map(|idle| format!("{idle:.0}"))
}

/// The crowds that are large enough to tell what a single connection takes.
fn costs(run: &Run) -> String {
    let header = ["", "connections", "server", "client", "shared", "kernel", "in all", "descriptors"];
    let mut table = table::new(&header, 1);
    for (title, keys) in run.suite.crowds {
        for series in keys[1..].iter().filter_map(|key| run.get(key)) {
            let fact = |name: &str| series.fact(name).unwrap_or(0.0);
            let side = |side: &str, what: &str| fact(&format!("{side} {what}"));
            let parts = [side(SERVER, "private bytes"), side(CLIENT, "private bytes"), fact(SHARED), fact(KERNEL)];
            let mut row = vec![(*title).to_owned(), idle(series).unwrap_or_default()];
            row.extend(parts.iter().chain([&parts.iter().sum()]).map(|bytes| format!("{:.2} KiB", bytes / 1024.0)));
            row.push(format!("{:.2}, {:.2}", side(SERVER, "descriptors"), side(CLIENT, "descriptors")));
            table.add_row(row);
        }
    }
    table.trim_fmt()
}
