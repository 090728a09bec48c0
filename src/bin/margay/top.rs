// SPDX-License-Identifier: MIT OR Apache-2.0
//! `margay top`: the LibOses of this user on this host, as they work.
//!
//! Each publishes a page with counters (`margay::stats`); what is shown are the differences between two readings. A page
//! is written at most every 100 ms, and not at all while nothing happens. So what it says holds for a moment between
//! its writing and its reading, but no more than those 100 ms before the reading: rates are taken between such moments.

mod show;

use crate::cli::TopOptions;
use crate::clock;
use anyhow::{Context, Result};
use margay::stats::{self, Connection, DeviceCounter, Page};
use margay::{Config, Counters};
use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

/// How old the figures of a LibOs that is busy may be.
const PERIOD: Duration = Duration::from_millis(100);

/// What was read at one time.
struct Reading {
    at: Duration,
    pages: Vec<(String, Page)>,
    connections: HashMap<String, Vec<Connection>>,
    devices: HashMap<String, Vec<DeviceCounter>>,
    refused: usize,
}

impl Reading {
    fn take(directory: &Path) -> Result<Self> {
        let published =
            stats::published(directory).with_context(|| format!("cannot look into {}", directory.display()))?;
        for (path, why) in &published.refused {
            log::info!("{}: {why}", path.display());
        }
        Ok(Self {
            at: clock::since_boot(),
            pages: published.pages,
            connections: published.connections.into_iter().collect(),
            devices: published.devices.into_iter().collect(),
            refused: published.refused.len(),
        })
    }

    /// The moment for which a page's counters hold.
    fn moment(&self, page: &Page) -> Duration {
        page.written.clamp(self.at.saturating_sub(PERIOD), self.at)
    }
}

/// One LibOs.
#[derive(Clone, Debug)]
struct Row {
    page: Page,
    rates: Rates,
    connections: Vec<Connection>,
    device: Vec<DeviceCounter>,
}

/// What happens in a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Rates {
    messages_pushed: f64,
    bytes_pushed: f64,
    messages_popped: f64,
    bytes_popped: f64,
    drops: f64,
}

impl Rates {
    fn between(before: &Counters, after: &Counters, time: Duration) -> Self {
        let seconds = time.as_secs_f64();
        // Counters only grow; where they do not, it is another LibOs, which has no rates yet.
        let rate = |a: u64, b: u64| if seconds > 0.0 { b.saturating_sub(a) as f64 / seconds } else { 0.0 };
        Self {
            messages_pushed: rate(before.messages_pushed, after.messages_pushed),
            bytes_pushed: rate(before.bytes_pushed, after.bytes_pushed),
            messages_popped: rate(before.messages_popped, after.messages_popped),
            bytes_popped: rate(before.bytes_popped, after.bytes_popped),
            drops: rate(before.drops, after.drops),
        }
    }

    fn add(&mut self, other: &Self) {
        self.messages_pushed += other.messages_pushed;
        self.bytes_pushed += other.bytes_pushed;
        self.messages_popped += other.messages_popped;
        self.bytes_popped += other.bytes_popped;
        self.drops += other.drops;
    }

    fn messages(&self) -> f64 {
        self.messages_pushed + self.messages_popped
    }
}

/// Shows until it is interrupted, or once.
pub fn run(options: &TopOptions) -> Result<()> {
    let directory = match &options.directory {
        Some(directory) => directory.clone(),
        None => stats::directory(&Config::from_env()?),
    };
    let redrawn = !options.once && !options.json && std::io::stdout().is_terminal();
    let mut before = Reading::take(&directory)?;
    loop {
        std::thread::sleep(options.interval);
        let after = Reading::take(&directory)?;
        let rows = rows(&before, &after);
        let text = if options.json {
            show::json(&directory, &rows, after.refused)?
        } else {
            show::table(&directory, &rows, after.refused, redrawn)
        };
        match write(&text, redrawn) {
            // Whoever read it has had enough.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            written => written.context("cannot write to standard output")?,
        }
        if options.once {
            return Ok(());
        }
        before = after;
    }
}

fn write(text: &str, redrawn: bool) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if redrawn {
        // To the corner, and clear what was below (ECMA-48: CUP, ED).
        out.write_all(b"\x1b[H\x1b[J")?;
    }
    writeln!(out, "{text}")?;
    out.flush()
}

/// One row for each LibOs that is there now, the busiest first.
fn rows(before: &Reading, after: &Reading) -> Vec<Row> {
    let known: HashMap<&str, &Page> = before.pages.iter().map(|(name, page)| (name.as_str(), page)).collect();
    let row = |(name, page): &(String, Page)| {
        let rates = known.get(name.as_str()).map_or_else(Rates::default, |old| {
            let time = after.moment(page).saturating_sub(before.moment(old));
            Rates::between(&old.counters, &page.counters, time)
        });
        let connections = after.connections.get(name).cloned().unwrap_or_default();
        Row { page: *page, rates, connections, device: after.devices.get(name).cloned().unwrap_or_default() }
    };
    let mut rows: Vec<Row> = after.pages.iter().map(row).collect();
    // Stable: those that are equally busy, such as idle ones, stay in the order of their processes.
    rows.sort_by(|a, b| b.rates.messages().total_cmp(&a.rates.messages()));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(messages: u64) -> Counters {
        Counters { messages_pushed: messages, bytes_pushed: 10 * messages, drops: 1, ..Counters::default() }
    }

    #[test]
    fn rates_are_differences_over_time() {
        let rates = Rates::between(&counters(100), &counters(400), Duration::from_millis(500));
        assert!((rates.messages_pushed - 600.0).abs() < 1e-9 && (rates.bytes_pushed - 6000.0).abs() < 1e-9);
        assert_eq!((rates.messages_popped, rates.drops), (0.0, 0.0));
        assert_eq!(Rates::between(&counters(100), &counters(400), Duration::ZERO), Rates::default());
        assert_eq!(Rates::between(&counters(400), &counters(100), Duration::from_secs(1)), Rates::default());
    }

    #[test]
    fn old_figures_hold_until_shortly_before_they_are_read() {
        let directory = tempfile::tempdir().expect("a folder");
        let mut config = Config::default();
        config.catmem.directory = Some(directory.path().into());
        let mut libos = margay::LibOs::new(&config).expect("a LibOs");
        libos.create_pipe("p").expect("a pipe");
        let mut reading = Reading::take(directory.path()).expect("a reading");
        let page = reading.pages[0].1;
        reading.at = page.written + Duration::from_millis(30);
        assert_eq!(reading.moment(&page), page.written);
        reading.at = page.written + Duration::from_hours(1);
        assert_eq!(reading.moment(&page) + PERIOD, reading.at);
        reading.at = page.written.saturating_sub(Duration::from_nanos(1));
        assert_eq!(reading.moment(&page), reading.at);
    }

    #[test]
    fn the_busiest_is_first_and_idle_ones_keep_their_order() {
        let directory = tempfile::tempdir().expect("a folder");
        let mut config = Config::default();
        config.catmem.directory = Some(directory.path().into());
        let mut liboses = Vec::new();
        for name in ["a", "b", "c"] {
            let mut libos = margay::LibOs::new(&config).expect("a LibOs");
            libos.create_pipe(name).expect("a pipe");
            liboses.push(libos);
        }
        let before = Reading::take(directory.path()).expect("a reading");
        let mut after = Reading::take(directory.path()).expect("a reading");
        after.at = before.at + Duration::from_secs(1);
        after.pages[2].1.counters.messages_pushed += 5;
        let rows = rows(&before, &after);
        let pushed: Vec<u64> = rows.iter().map(|row| row.page.counters.messages_pushed).collect();
        assert_eq!(pushed, [5, 0, 0]);
        assert!(rows[0].rates.messages_pushed > 0.0 && rows[1].rates == Rates::default());
    }
}
