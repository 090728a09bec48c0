// SPDX-License-Identifier: MIT OR Apache-2.0
//! How many instructions a message takes from the call to the completion, counted by valgrind's callgrind.
//!
//! A time depends on who else uses the machine; a count does not. Each row runs twice, in this same program under
//! callgrind, with few and with many iterations; the difference has nothing of start and end in it. The limits stand in
//! one place, below, a few percent above what the code takes; lower them with the code.
//!
//! Only the code as it ships is worth counting: `cargo test --release --no-default-features --test instructions`, which is
//! what `scripts/test instructions` does. Text: valgrind's manual, callgrind.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod datagrams;
mod rows;
mod streams;

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// Instructions for each iteration, at most: pushes, pops and waits of one message, or of one there and one back.
macro_rules! rows {
    ($module:ident: $($name:ident: $limit:literal,)+) => {
        $(#[test]
        fn $name() {
            hold(stringify!($name), $limit, $module::$name);
        })+
    };
}

rows! {
    rows:
    one_thread: 460,
    one_way: 440,
    round_trip: 1680,
    // Two of 1 KiB and of 64 KiB, of which the former has the copy of the C library in it.
    in_place: 740,
    handed_over: 1500,
}

rows! {
    datagrams:
    datagram_in: 395,
    datagram_out: 385,
    large_datagram_in: 635,
    large_datagram_out: 790,
}

/// Rows of which certain functions are counted, and nothing else.
macro_rules! functions {
    ($($name:ident: $limit:literal, $functions:ident,)+) => {
        $(#[test]
        fn $name() {
            hold_functions(stringify!($name), $limit, &$functions, streams::$name);
        })+
    };
}

/// What application and stack do for a push, and for what has come.
const PUSH: [&str; 1] = ["*counted_push*"];
const TAKE: [&str; 1] = ["*counted_take*"];
const BOTH: [&str; 2] = [PUSH[0], TAKE[0]];

functions! {
    stream_message: 2400, BOTH,
    stream_out: 1105, PUSH,
    stream_in: 1280, TAKE,
    // Two messages.
    stream_round_trip: 5470, BOTH,
    stream_full_message: 3760, BOTH,
}

/// What the stack takes of a row: all but what device and application do for the buffer, which a row of its own counts.
macro_rules! parts {
    ($($name:ident: $row:ident, $limit:literal,)+) => {
        $(#[test]
        fn $name() {
            hold_part(stringify!($name), datagrams::$name, stringify!($row), $limit);
        })+
    };
}

parts! {
    datagram_in_bare: datagram_in, 350,
    datagram_out_bare: datagram_out, 305,
}

/// What somebody else takes, and the row of ours that takes less.
macro_rules! others {
    ($($name:ident: $ours:ident,)+) => {
        $(#[test]
        fn $name() {
            beat(stringify!($name), datagrams::$name, stringify!($ours));
        })+
    };
}

others! {
    smoltcp_in: datagram_in,
    smoltcp_out: datagram_out,
    smoltcp_large_in: large_datagram_in,
    smoltcp_large_out: large_datagram_out,
}

/// The same of the functions that are counted of both.
macro_rules! other_functions {
    ($($name:ident: $ours:ident,)+) => {
        $(#[test]
        fn $name() {
            beat_functions(stringify!($name), streams::$name, stringify!($ours), &BOTH);
        })+
    };
}

other_functions! {
    smoltcp_message: stream_message,
    smoltcp_full_message: stream_full_message,
}

/// Set in the program that is counted: how often its row runs.
const ITERATIONS: &str = "MARGAY_ITERATIONS";
const FEW: u64 = 2_080;
/// Both of whole bursts, whichever row has them.
const MANY: u64 = 12_320;
/// The deadline of each program, in steps of its watcher.
const STEPS: u32 = 12_000;
const STEP: Duration = Duration::from_millis(10);

fn hold(row: &str, limit: u64, run: fn(u64)) {
    if !is_counting(row, run) {
        return;
    }
    hold_tenths(row, limit, tenths(row));
}

fn hold_functions(row: &str, limit: u64, functions: &[&str], run: fn(u64)) {
    if is_counting(row, run) {
        hold_tenths(row, limit, tenths_of(row, functions));
    }
}

fn hold_tenths(row: &str, limit: u64, tenths: u64) {
    println!("{row}: {}.{} instructions, at most {limit}", tenths / 10, tenths % 10);
    assert!(tenths <= limit * 10, "{row}: {}.{} instructions, at most {limit}", tenths / 10, tenths % 10);
    // A row that does next to nothing is no measure of anything.
    assert!(tenths > limit * 5, "{row}: half of the limit would do: lower it");
}

fn hold_part(bare: &str, run: fn(u64), row: &str, limit: u64) {
    if !is_counting(bare, run) {
        return;
    }
    let [whole, bare_takes] = [row, bare].map(tenths);
    let part = whole.saturating_sub(bare_takes);
    let told = |tenths: u64| format!("{}.{}", tenths / 10, tenths % 10);
    let text = format!(
        "{row}: {} instructions, {bare} {}: the stack's own {}, at most {limit}",
        told(whole),
        told(bare_takes),
        told(part)
    );
    println!("{text}");
    assert!(part <= limit * 10, "{text}");
    assert!(part > limit * 5, "{text}; half of the limit would do: lower it");
}

fn beat(row: &str, run: fn(u64), ours: &str) {
    if !is_counting(row, run) {
        return;
    }
    compare(row, ours, [row, ours].map(tenths));
}

fn beat_functions(row: &str, run: fn(u64), ours: &str, functions: &[&str]) {
    if is_counting(row, run) {
        compare(row, ours, [row, ours].map(|row| tenths_of(row, functions)));
    }
}

fn compare(row: &str, ours: &str, [theirs, ours_takes]: [u64; 2]) {
    let told = |tenths: u64| format!("{}.{}", tenths / 10, tenths % 10);
    println!("{row}: {} instructions, {ours} {}", told(theirs), told(ours_takes));
    assert!(ours_takes < theirs, "{row}: {} instructions, {ours} {}", told(theirs), told(ours_takes));
}

/// Whether rows are to be counted here and now. In the program that is counted, the row runs instead.
fn is_counting(row: &str, run: fn(u64)) -> bool {
    if let Ok(iterations) = std::env::var(ITERATIONS) {
        run(iterations.parse().expect("a number"));
        return false;
    }
    if cfg!(debug_assertions) {
        skip(row, "this is no release build");
        return false;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&path).any(|folder| folder.join("valgrind").is_file()) {
        assert!(std::env::var_os("CI").is_none(), "there is no valgrind, which scripts/setup installs");
        skip(row, "there is no valgrind");
        return false;
    }
    true
}

/// Instructions of one iteration, times ten.
fn tenths(row: &str) -> u64 {
    tenths_of(row, &[])
}

/// The same of certain functions and what they call; without any, of all.
fn tenths_of(row: &str, functions: &[&str]) -> u64 {
    (count(row, MANY, functions) - count(row, FEW, functions)) * 10 / (MANY - FEW)
}

/// Says so past the capture of output: `scripts/test` counts such lines.
fn skip(row: &str, why: &str) {
    writeln!(std::io::stderr(), "skipped - {row}: {why}").expect("stderr");
}

/// All instructions of a program that runs one row so often, or those of certain functions.
fn count(row: &str, iterations: u64, functions: &[&str]) -> u64 {
    let report = tempfile::NamedTempFile::new().expect("a file");
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    command.args(functions.iter().map(|function| format!("--toggle-collect={function}")));
    command.arg(format!("--log-file={}", report.path().display()));
    command.arg(std::env::current_exe().expect("a test knows its path"));
    command.args([row, "--exact", "--test-threads=1"]).env(ITERATIONS, iterations.to_string());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("valgrind starts");
    let ended = (0..STEPS).find_map(|_| {
        let ended = child.try_wait().expect("a child can be waited for");
        if ended.is_none() {
            sleep(STEP);
        }
        ended
    });
    if ended.is_none() {
        child.kill().and_then(|()| child.wait().map(drop)).expect("a child can be killed");
    }
    let report = std::fs::read_to_string(report.path()).expect("callgrind's report");
    assert!(ended.is_some_and(|status| status.success()), "{row} under callgrind: {ended:?}\n{report}");
    let total = report.lines().find_map(|line| line.split_once("Collected : ")).expect("a total").1;
    total.trim().parse().expect("a total is a number")
}
