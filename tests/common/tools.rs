// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs of others that a test needs. Test binaries take it in by its path.

use std::io::Write;

/// Whether all these programs are installed. If not, says so past the capture of output: `scripts/test` counts such lines.
///
/// # Panics
/// If one is missing where nothing may be skipped: `scripts/setup` has installed them there.
pub fn has(test: &str, tools: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = |tool: &str| std::env::split_paths(&path).any(|folder| folder.join(tool).is_file());
    let Some(tool) = tools.iter().find(|tool| !there(tool)) else { return true };
    assert!(std::env::var_os("CI").is_none(), "there is no {tool}, which scripts/setup installs");
    writeln!(std::io::stderr(), "skipped - {test}: there is no {tool}").expect("stderr");
    false
}
