// SPDX-License-Identifier: MIT OR Apache-2.0
//! `docs/rfc.md` is what the stack's sources say: a row for each section of an RFC that the code cites, with the files that
//! cite it and the tests whose doc comment does, the scripts of packets (`network/tests/packet`) among them, whose second line
//! does. No row is without a test.
//!
//! `MARGAY_WRITE=1 cargo test --test rfc_table` writes the table anew. A citation is `RFC 1122 section 3.2.2` or
//! `RFC 1122 §3.2.2, §3.3`; further sections follow with commas or "and".

#![allow(clippy::expect_used, reason = "a test ends where what it stands on is missing")]

#[path = "rfc_table/citations.rs"]
mod citations;
#[path = "rfc_table/titles.rs"]
mod titles;

use citations::{Citation, citations, tests_of};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

const HEAD: &str = "# RFCs of the network stack

Which section is met where, and which tests hold it. `where` are files of `network/src`; tests are named as `cargo test -p network`
takes them, scripts of packets by their files (`cargo test -p network --test tcp -- NAME`). The table is made of the sources: a file cites the section at the rule, a test in its doc comment
(`MARGAY_WRITE=1 cargo test --test rfc_table` writes it anew). \"whole\" stands for an RFC of which no section is named.

| RFC | | section | where | tests |
|---|---|---|---|---|
";

/// Where a section is met, and by which tests it is held.
#[derive(Default)]
struct Row {
    files: BTreeSet<String>,
    tests: BTreeSet<String>,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below `folder`, but for the simulation, which is there for tests.
fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the stack").flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("sim") {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// `ip/errors/tests.rs` is `ip::errors::tests`; what a file has beside its tests is in a module `tests` of its own.
fn module(file: &str) -> String {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod").replace('/', "::");
    if path.split("::").any(|part| part == "tests") { path } else { path + "::tests" }
}

/// The rows, by number and section.
fn rows() -> BTreeMap<(u32, Vec<u32>), Row> {
    let folder = root().join("network/src");
    let mut files = Vec::new();
    sources(&folder, &mut files);
    assert!(files.len() > 50, "the stack's sources are elsewhere");
    let mut rows = BTreeMap::<_, Row>::new();
    let mut tests = Vec::new();
    for path in files {
        let file = path.strip_prefix(&folder).expect("below").to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).expect("a source file");
        for (name, doc) in tests_of(&text) {
            tests.extend(citations(&doc).into_iter().map(|citation| (citation, format!("{}::{name}", module(&file)))));
        }
        let is_test = file.split('/').any(|part| part == "tests" || part == "tests.rs" || part == "fuzz.rs");
        let code = text.split("#[cfg(test)]\nmod tests {").next().filter(|_| !is_test);
        for Citation { rfc, section } in citations(code.unwrap_or_default()) {
            rows.entry((rfc, section)).or_default().files.insert(file.clone());
        }
    }
    tests.extend(scripts());
    // An RFC is named as a whole only where none of its sections is.
    let with_sections: BTreeSet<u32> =
        rows.keys().filter(|(_, section)| !section.is_empty()).map(|row| row.0).collect();
    rows.retain(|(rfc, section), _| !section.is_empty() || !with_sections.contains(rfc));
    for (Citation { rfc, section }, test) in &tests {
        let (rfc, section) = (*rfc, section.clone());
        // One that holds a whole section holds what is in it.
        for (row, Row { tests, .. }) in rows.range_mut((rfc, section.clone())..) {
            if row.0 != rfc || !row.1.starts_with(&section) {
                break;
            }
            if !section.is_empty() || row.1.is_empty() {
                tests.insert(test.clone());
            }
        }
    }
    // A section of which only parts are tested by name is held by the tests of its parts.
    for ((rfc, section), row) in rows.iter_mut().filter(|(_, row)| row.tests.is_empty()) {
        let parts = tests.iter().filter(|(test, _)| test.rfc == *rfc && test.section.starts_with(section));
        row.tests.extend(parts.map(|(_, name)| name.clone()));
    }
    rows
}

/// What the scripts of packets cite, and their names.
fn scripts() -> Vec<(Citation, String)> {
    let folder = root().join("network/tests/packet");
    let mut found = Vec::new();
    for of_rfc in fs::read_dir(&folder).expect("the scripts").flatten().filter(|entry| entry.path().is_dir()) {
        for script in fs::read_dir(of_rfc.path()).expect("a folder of scripts").flatten() {
            let text = fs::read_to_string(script.path()).expect("a script");
            let rule = text.lines().nth(1).unwrap_or_default();
            let name = script.path().with_extension("");
            let name = name.strip_prefix(&folder).expect("below").to_string_lossy().into_owned();
            found.extend(citations(rule).into_iter().map(|citation| (citation, name.clone())));
        }
    }
    assert!(found.len() > 100, "the scripts of packets are elsewhere");
    found.sort_by(|one, other| one.1.cmp(&other.1));
    found
}

fn table() -> String {
    let mut out = HEAD.to_owned();
    let quoted = |names: &BTreeSet<String>| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" ");
    for ((rfc, section), Row { files, tests }) in rows() {
        let title = titles::of(rfc).unwrap_or_default();
        let numbers: Vec<_> = section.iter().map(u32::to_string).collect();
        let section = if numbers.is_empty() { "whole".to_owned() } else { numbers.join(".") };
        let _ = writeln!(out, "| {rfc} | {title} | {section} | {} | {} |", quoted(&files), quoted(&tests));
    }
    out
}

#[test]
fn the_table_is_what_the_sources_say() {
    let path = root().join("docs/rfc.md");
    let table = table();
    if std::env::var_os("MARGAY_WRITE").is_some() {
        fs::write(&path, &table).expect("docs/rfc.md is written");
    }
    let written = fs::read_to_string(&path).expect("docs/rfc.md");
    let differs = written.lines().zip(table.lines()).find(|(written, made)| written != made);
    assert!(
        differs.is_none() && written.len() == table.len(),
        "docs/rfc.md is old: MARGAY_WRITE=1 cargo test --test rfc_table writes it; first {differs:?}"
    );
}

#[test]
fn every_section_has_a_test() {
    let without: Vec<_> = rows()
        .into_iter()
        .filter(|(_, row)| row.tests.is_empty())
        .map(|(section, row)| format!("{section:?} of {:?}", row.files))
        .collect();
    assert!(without.is_empty(), "no test cites:\n{}", without.join("\n"));
}

#[test]
fn every_rfc_has_a_title() {
    let rfcs: BTreeSet<u32> = rows().keys().map(|row| row.0).collect();
    assert!(rfcs.len() > 50, "the code names {} RFCs only", rfcs.len());
    let missing: Vec<_> = rfcs.iter().filter(|rfc| titles::of(**rfc).is_none()).collect();
    assert!(missing.is_empty(), "no title for RFC {missing:?}");
    let idle: Vec<_> = titles::all().filter(|rfc| !rfcs.contains(rfc)).collect();
    assert!(idle.is_empty(), "titles of RFCs that no code names: {idle:?}");
}
