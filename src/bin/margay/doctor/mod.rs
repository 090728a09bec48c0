// SPDX-License-Identifier: MIT OR Apache-2.0
//! `margay doctor`: what this machine lets the library do, what that means, and what to do about it.
//!
//! What always holds: nothing is changed or left behind, and a finding that is not `ok` says what to do. `facts` asks the
//! machine, `judge` says what the answers mean, and can be tested with made-up ones; `uring` is that for `io_uring`, `dpdk` for
//! ports of DPDK, asked for by that name.

mod directory;
mod dpdk;
mod facts;
mod judge;
#[cfg(test)]
mod tests;
mod uring;

use crate::cli::{About, DoctorOptions};
use crate::table;
use anyhow::{Context, Result};
use comfy_table::ContentArrangement;
use facts::Facts;
use margay::{Config, stats};
use serde_json::json;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

/// Columns of the table where there is no terminal to ask.
const WIDTH: u16 = 120;
/// Columns that the table has at least, however small the terminal says it is.
const WIDTH_MIN: u16 = 72;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    Ok,
    /// It works, with less than there could be.
    Limited,
    /// A back end cannot run.
    Missing,
}

impl State {
    const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Limited => "limited",
            Self::Missing => "missing",
        }
    }
}

/// One line: how something is, what that means, and what to do about it.
#[derive(Debug)]
pub struct Finding {
    what: &'static str,
    state: State,
    found: String,
    means: String,
    /// Empty where there is nothing to do.
    todo: String,
}

impl Finding {
    fn ok(what: &'static str, found: impl Into<String>, means: impl Into<String>) -> Self {
        Self { what, state: State::Ok, found: found.into(), means: means.into(), todo: String::new() }
    }

    fn limited(
        what: &'static str,
        found: impl Into<String>,
        means: impl Into<String>,
        todo: impl Into<String>,
    ) -> Self {
        Self { what, state: State::Limited, found: found.into(), means: means.into(), todo: todo.into() }
    }

    fn missing(
        what: &'static str,
        found: impl Into<String>,
        means: impl Into<String>,
        todo: impl Into<String>,
    ) -> Self {
        Self { what, state: State::Missing, found: found.into(), means: means.into(), todo: todo.into() }
    }
}

/// Looks and tells. Fails only if that cannot be done; what is missing is the exit code.
pub fn run(options: &DoctorOptions) -> Result<ExitCode> {
    let config = Config::from_env()?;
    let directory = options.directory.clone().unwrap_or_else(|| stats::directory(&config));
    let facts = Facts::gather(&config, &directory);
    let findings = match options.about {
        Some(About::Dpdk) => dpdk::judge(&facts, &dpdk::Host::look(Path::new("/"))),
        None => judge::all(&facts),
    };
    let text = if options.json { json(&facts, &findings)? } else { table(&findings, options.about) };
    match writeln!(std::io::stdout().lock(), "{text}") {
        // Whoever read it has had enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
        written => written.context("cannot write to standard output")?,
    }
    let missing = findings.iter().any(|finding| finding.state == State::Missing);
    Ok(if missing { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn table(findings: &[Finding], about: Option<About>) -> String {
    let mut table = table::new(&["", "state", "found", "what it means"], 4);
    let width = if std::io::stdout().is_terminal() {
        rustix::termios::tcgetwinsize(std::io::stdout()).map_or(WIDTH, |size| size.ws_col.max(WIDTH_MIN))
    } else {
        WIDTH
    };
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    for Finding { what, state, found, means, todo } in findings {
        let means = if todo.is_empty() { means.clone() } else { format!("{means}\nDo: {todo}") };
        table.add_row([*what, state.name(), found.as_str(), means.as_str()]);
    }
    let count = |state| findings.iter().filter(|finding| finding.state == state).count();
    format!("{}\n\n{}", table.trim_fmt(), summary(about, count(State::Limited), count(State::Missing)))
}

fn summary(about: Option<About>, limited: usize, missing: usize) -> String {
    match (about, limited, missing) {
        (_, 0, 0) => "Everything is as it should be.".to_owned(),
        (None, _, 0) => format!("Every back end can run; {limited} limited."),
        (None, ..) => format!("Not every back end can run: {missing} missing, {limited} limited."),
        (Some(About::Dpdk), _, 0) => format!("Ports of DPDK can be used; {limited} limited."),
        (Some(About::Dpdk), ..) => format!("Ports of DPDK cannot be used: {missing} missing, {limited} limited."),
    }
}

/// The same as JSON; `margay-doctor(1)` documents it. The schema's number changes when a key changes its meaning or goes.
fn json(facts: &Facts, findings: &[Finding]) -> Result<String> {
    let finding = |Finding { what, state, found, means, todo }: &Finding| {
        let todo = (!todo.is_empty()).then_some(todo);
        json!({ "what": what, "state": state.name(), "found": found, "means": means, "do": todo })
    };
    Ok(serde_json::to_string(&json!({
        "schema": "margay-doctor/1", "kernel": facts.kernel, "directory": facts.directory.path.display().to_string(),
        "findings": findings.iter().map(finding).collect::<Vec<_>>(),
    }))?)
}
