// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs the scripts of `tests/packet`: each is a conversation between a stack and a peer that is only in the script, packet by
//! packet, in virtual time. What the stack sends must be what stands there, when it stands there, and nothing else.
//!
//! ```text
//! # RFC 9293 section 3.5: the rule that is checked, in words
//! set rack off                      settings of the stack (`run.rs`), `set family v6`, `set mtu 576`, `set peer-first N`
//! listen                            a call (below)
//! < S 0:0 win 65535 <mss 1460>      a segment comes to the stack
//! > S. 0:0 ack 1 <mss 1460, ...>    the stack sends one, now
//! +10ms < . 1:1 ack 1               10 ms after the line before
//! +200ms..300ms > . 1:1 ack 1       the stack sends it in that time; with one time, within 2 ms of it
//! +1s quiet                         for one second it sends nothing
//! ```
//!
//! A segment: flags (`S F R P E W U`, `.` for ACK, `-` for none), `[ect0] [ect1] [ce]`, FROM:TO in numbers that count from the
//! sender's SYN (which is 0), `ack N`, `win N` in bytes (unscaled), options in `< >`: `mss N`, `sackOK`, `wscale N`, `ts N ecr N`
//! (ours count from our first; `*`: any; `last`: the last that the stack sent; `ts` alone: as a clock has it), `sack A:B ..`,
//! `tfo` (asks for a cookie), `tfo 01 02 ..`, `tfo last` (the last that the stack gave), `tfo *`, `nop`, `eol`, `raw 1e 04 ..`; `x3`: cut into three; `badsum`. Of what the stack sends, all that stands there must be so; flags
//! and numbers always, PSH only if it stands there, options all or, with `...`, those; without `< >` any but SACK. Payloads are made
//! by position, and looked at always.
//!
//! Calls, each with what must become of it (`pending`, an errno; else it must succeed): `listen [BACKLOG]`, `accept`, `connect`,
//! `connect push N` (both before the stack is polled), `connected`, `push N`, `push again`, `pop N [freely]` (no bound on each), `pop end`, `shutdown`, `close`, `unlisten`, `option NAME
//! VALUE`, `state NAME`, `info FIELD N[..M]`, `icmp WHAT [MTU] SEQ`, `flow N [to PORT]` (another connection from here on), `skip`
//! (whatever was sent), `count N..M` (segments that were sent, whatever they are), `established [active] [rtt T] [mss N] [sack] [ts] [wscale N] [win N] [ecn]` (a handshake that is not looked
//! at).
//!
//! Scripts that are known to fail stand in `tests/packet/known-failures`, each with the reason; they count as ignored, and one of them
//! that passes is a failure. `MARGAY_PACKET=rfc9293 cargo test -p network --test tcp` runs those whose name has that in it, as an argument does.

#![allow(clippy::cast_sign_loss, reason = "times in scripts are not negative")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where what it stands on is missing")]

mod calls;
mod run;
mod script;
mod segment;
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// How many scripts there are at least.
const SCRIPTS_MIN: usize = 150;

fn scripts(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("the directory of scripts") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            scripts(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "pkt") {
            found.push(path);
        }
    }
}

/// Names of scripts that are known to fail, and why.
fn known_failures(root: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(root.join("known-failures")).unwrap_or_default();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(": ")).map(|(name, why)| (name.to_string(), why.to_string())).collect()
}

fn run_file(path: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let script = script::Script::parse(&text)?;
    let result = catch_unwind(AssertUnwindSafe(|| run::run(&script))).unwrap_or_else(|_| Err("a panic".into()));
    result.map_err(|what| format!("{}\n{what}", script.rule))
}

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packet");
    let mut paths = vec![];
    scripts(&root, &mut paths);
    let mut named: Vec<(String, PathBuf)> = paths
        .into_iter()
        .map(|path| (path.strip_prefix(&root).expect("below it").with_extension("").display().to_string(), path))
        .collect();
    named.sort();
    let all = named.len();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        for (name, _) in &named {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<String> = arguments
        .into_iter()
        .filter(|argument| !argument.starts_with('-'))
        .chain(std::env::var("MARGAY_PACKET"))
        .collect();
    named.retain(|(name, _)| wanted.is_empty() || wanted.iter().any(|part| name.contains(part)));
    let mut known = known_failures(&root);
    let (mut passed, mut ignored, mut failed) = (0, 0, vec![]);
    println!("\nrunning {} scripts", named.len());
    for (name, path) in &named {
        match (run_file(path), known.remove(name)) {
            (Ok(()), None) => passed += 1,
            (Ok(()), Some(_)) => failed.push((name, "it passes: strike it from known-failures".into())),
            (Err(_), Some(why)) => {
                println!("script {name} ... ignored, {why}");
                ignored += 1;
            }
            (Err(what), None) => failed.push((name, what)),
        }
    }
    if wanted.is_empty() {
        let missing = String::from("it is in known-failures, and there is no such script");
        let missing: Vec<_> = known.keys().map(|name| (name, missing.clone())).collect();
        if all < SCRIPTS_MIN {
            println!("there are {all} scripts, fewer than {SCRIPTS_MIN}");
            return ExitCode::FAILURE;
        }
        failed.extend(missing);
    }
    for (name, what) in &failed {
        println!("\n---- {name}\n{what}");
    }
    let outcome = if failed.is_empty() { "ok" } else { "FAILED" };
    let filtered = all - named.len();
    println!(
        "\ntest result: {outcome}. {passed} passed; {} failed; {ignored} ignored; 0 measured; {filtered} filtered out\n",
        failed.len()
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
