// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table and the JSON of `margay top`.
//!
//! ```text
//! { "schema": "margay-top/1",                     changes when a key changes its meaning or goes
//!   "directory": "/run/user/1000/margay", "unreadable": 0,
//!   "liboses": [ { "pid", "process", "backends": ["catmem"], "queues",
//!                  "counters": { "messages_pushed", .. }, "per_second": { "messages_pushed", .. },
//!                  "connections": [ { "qd", "state", "local", "peer", "rtt_ns", "window", "threshold", "in_flight",
//!                                     "retransmits", "pacing", "delivered" } ],         TCP of Margay's own
//!                  "device": { "received", .. } } ],    what its device and that one's driver have counted
//!   "per_second": { .. } }                        of all of them
//! ```

use super::{Rates, Row};
use crate::{table, units};
use anyhow::Result;
use margay::stats::{Connection, DeviceCounter};
use margay::{Counters, TcpInfo};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;

/// Rows that are always shown, however small the terminal says it is.
const ROWS_MIN: usize = 3;
/// Counters of devices in a line.
const COUNTERS_IN_LINE: usize = 4;
/// Lines around the rows: the header with its line, the sum, what is left out, what cannot be read, the cursor's.
const LINES_AROUND: usize = 6;
/// The same around connections: an empty one, the header with its line.
const LINES_OF_CONNECTIONS: usize = 3;

/// All rows and their sum; if the table is redrawn, as many rows as the terminal has room for.
pub fn table(directory: &Path, rows: &[Row], refused: usize, redrawn: bool) -> String {
    let mut text = String::new();
    if rows.is_empty() {
        // Writing to a String cannot fail; so it is below.
        let _ = write!(
            text,
            "No LibOs has open queues in {}.\nEach shows itself from its first queue on. If a program has its runtime \
             directory elsewhere\n(catmem.directory in its configuration), name that one with --directory, or its \
             configuration in CONFIG_PATH.",
            directory.display()
        );
    } else {
        let room = redrawn.then(terminal_rows).flatten().map_or(usize::MAX, |rows| rows.saturating_sub(LINES_AROUND));
        let shown = &rows[..rows.len().min(room.max(ROWS_MIN))];
        text.push_str(&figures(shown, rows));
        if shown.len() < rows.len() {
            let _ = write!(text, "\n and {} more, less busy", rows.len() - shown.len());
        }
        let left = room.saturating_sub(shown.len()).saturating_sub(LINES_OF_CONNECTIONS);
        if let Some(connections) = connections(shown, left) {
            let _ = write!(text, "\n\n{connections}");
        }
        let left = room.saturating_sub(text.lines().count()).saturating_sub(LINES_OF_CONNECTIONS);
        if let Some(devices) = devices(shown, left) {
            let _ = write!(text, "\n\n{devices}");
        }
    }
    if refused > 0 {
        let _ = write!(text, "\n{refused} cannot be read; RUST_LOG=info says why");
    }
    text
}

/// So many of the connections of these LibOses, those of the busiest first; nothing if there are none, or no room for them.
fn connections(shown: &[Row], most: usize) -> Option<String> {
    let header = [
        "pid",
        "qd",
        "TCP",
        "state",
        "peer",
        "rtt",
        "window",
        "threshold",
        "in flight",
        "sent again",
        "pacing",
        "delivered",
    ];
    let mut table = table::new(&header, 3);
    let all = shown.iter().flat_map(|row| row.connections.iter().map(|connection| (row.page.pid, connection)));
    let mut is_empty = true;
    for (pid, Connection { qd, local, peer, info }) in all.take(most) {
        is_empty = false;
        let bytes = |bytes: u64| units::bytes(bytes as f64);
        let rate = |rate: Option<u64>| rate.map_or_else(|| "-".to_owned(), |rate| units::bandwidth(rate as f64));
        table.add_row([
            pid.to_string(),
            qd.to_raw().to_string(),
            local.to_string(),
            state(info),
            peer.to_string(),
            units::time(info.rtt.as_nanos() as f64),
            bytes(info.congestion_window),
            info.threshold.map_or_else(|| "-".to_owned(), bytes),
            bytes(info.in_flight),
            info.retransmits.to_string(),
            rate(info.pacing_rate),
            rate(info.delivery_rate),
        ]);
    }
    (!is_empty).then(|| table.trim_fmt())
}

/// What the devices of these LibOses have counted, in as many lines; nothing if there are none, or no room for them.
fn devices(shown: &[Row], most: usize) -> Option<String> {
    let counters = shown.iter().flat_map(|row| {
        row.device.chunks(COUNTERS_IN_LINE).map(|line| {
            let counter = |counter: &DeviceCounter| format!("{} {}", counter.name, counter.value);
            (row.page.pid, line.iter().map(counter))
        })
    });
    let header: Vec<&str> = ["pid", "device"].into_iter().chain([""; COUNTERS_IN_LINE - 1]).collect();
    let mut table = table::new(&header, 1 + COUNTERS_IN_LINE);
    let mut is_empty = true;
    for (pid, line) in counters.take(most) {
        is_empty = false;
        table.add_row([pid.to_string()].into_iter().chain(line));
    }
    (!is_empty).then(|| table.trim_fmt())
}

/// The state of a connection in words.
fn state(info: &TcpInfo) -> String {
    format!("{:?}", info.state)
}

fn figures(shown: &[Row], all: &[Row]) -> String {
    let header =
        ["process", "back end", "pid", "queues", "pushed", "", "popped", "", "drops", "pushed in all", "popped in all"];
    let mut table = table::new(&header, 2);
    for Row { page, rates, .. } in shown {
        let mut backends = page.backends().collect::<Vec<_>>().join(" ");
        if backends.is_empty() {
            backends.push('-');
        }
        let mut row = vec![page.process().to_owned(), backends, page.pid.to_string(), page.queues.to_string()];
        row.extend(in_a_second(rates));
        row.extend([page.counters.bytes_pushed, page.counters.bytes_popped].map(|bytes| units::bytes(bytes as f64)));
        table.add_row(row);
    }
    let (queues, rates, counters) = sum(all);
    let mut row = vec!["all".to_owned(), String::new(), String::new(), queues.to_string()];
    row.extend(in_a_second(&rates));
    row.extend([counters.bytes_pushed, counters.bytes_popped].map(|bytes| units::bytes(bytes as f64)));
    table.add_row(row);
    table.trim_fmt()
}

fn in_a_second(rates: &Rates) -> [String; 5] {
    // What does not happen is quiet: the eye finds what does.
    let told = |figure: f64, tell: fn(f64) -> String| if figure > 0.0 { tell(figure) } else { "-".to_owned() };
    [
        told(rates.messages_pushed, units::rate),
        told(rates.bytes_pushed, units::bandwidth),
        told(rates.messages_popped, units::rate),
        told(rates.bytes_popped, units::bandwidth),
        told(rates.drops, units::rate),
    ]
}

fn sum(rows: &[Row]) -> (u64, Rates, Counters) {
    let mut sum = (0, Rates::default(), Counters::default());
    for Row { page, rates, .. } in rows {
        sum.0 += u64::from(page.queues);
        sum.1.add(rates);
        sum.2 = saturating_sum(sum.2, page.counters);
    }
    sum
}

/// Pages come from outside: their sum must not overflow.
fn saturating_sum(a: Counters, b: Counters) -> Counters {
    Counters {
        bytes_pushed: a.bytes_pushed.saturating_add(b.bytes_pushed),
        bytes_popped: a.bytes_popped.saturating_add(b.bytes_popped),
        ..a
    }
}

/// The terminal's height, if it says it.
fn terminal_rows() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    (size.ws_row > 0).then_some(usize::from(size.ws_row))
}

/// One line.
pub fn json(directory: &Path, rows: &[Row], refused: usize) -> Result<String> {
    let libos = |Row { page, rates, connections, device }: &Row| {
        let counters = &page.counters;
        json!({
            "pid": page.pid, "process": page.process(), "backends": page.backends().collect::<Vec<_>>(),
            "queues": page.queues,
            "counters": {
                "messages_pushed": counters.messages_pushed, "bytes_pushed": counters.bytes_pushed,
                "messages_popped": counters.messages_popped, "bytes_popped": counters.bytes_popped,
                "accepted": counters.accepted, "connected": counters.connected, "refused": counters.refused,
                "drops": counters.drops,
            },
            "per_second": per_second(rates),
            "connections": connections.iter().map(of_connection).collect::<Vec<_>>(),
            "device": device.iter().map(|counter| (counter.name.clone(), counter.value.into())).collect::<serde_json::Map<_, Value>>(),
        })
    };
    let (_, all, _) = sum(rows);
    Ok(serde_json::to_string(&json!({
        "schema": "margay-top/1", "directory": directory.display().to_string(), "unreadable": refused,
        "liboses": rows.iter().map(libos).collect::<Vec<_>>(), "per_second": per_second(&all),
    }))?)
}

fn of_connection(Connection { qd, local, peer, info }: &Connection) -> Value {
    json!({
        "qd": qd.to_raw(), "state": state(info), "local": local.to_string(), "peer": peer.to_string(),
        "rtt_ns": info.rtt.as_nanos() as u64, "window": info.congestion_window, "threshold": info.threshold,
        "in_flight": info.in_flight, "retransmits": info.retransmits, "pacing": info.pacing_rate,
        "delivered": info.delivery_rate,
    })
}

fn per_second(rates: &Rates) -> Value {
    json!({
        "messages_pushed": rates.messages_pushed, "bytes_pushed": rates.bytes_pushed,
        "messages_popped": rates.messages_popped, "bytes_popped": rates.bytes_popped, "drops": rates.drops,
    })
}
