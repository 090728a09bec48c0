// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C interface as C sees it: what the headers declare is what `libmargay.so` exports, and the C tests
//! (`tests/c/run.sh`) pass against the library of this very build.
//!
//! Where there is no C compiler each test says so, and passes.

#![allow(clippy::expect_used, reason = "a test ends where it cannot go on")]

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const HEADERS: [&str; 5] = ["margay.h", "demi/libos.h", "demi/sga.h", "demi/types.h", "demi/wait.h"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The directory of the `libmargay.so` that cargo has built for this test: it builds the package's library in all its
/// crate types, and puts it beside the tests.
fn library() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its path");
    let deps = test.parent().expect("a file has a directory");
    assert!(deps.join("libmargay.so").is_file(), "no libmargay.so in {}", deps.display());
    deps.to_path_buf()
}

fn compiler() -> String {
    std::env::var("CC").unwrap_or_else(|_| "cc".into())
}

/// Whether there is a C compiler. If not, says so past the capture of output: `scripts/test` counts such lines.
fn has_compiler(test: &str) -> bool {
    let quiet = || Stdio::null();
    let found =
        Command::new(compiler()).arg("--version").stdout(quiet()).stderr(quiet()).status().is_ok_and(|s| s.success());
    if !found {
        writeln!(std::io::stderr(), "skipped - c_abi::{test}: there is no C compiler {}", compiler()).expect("stderr");
    }
    found
}

fn run(variant: &str) {
    if !has_compiler(variant) {
        return;
    }
    let output = Command::new("sh")
        .arg(root().join("tests/c/run.sh"))
        .arg(library())
        .arg(variant)
        // The programs end by themselves, each by its own alarm(2).
        .output()
        .expect("sh starts");
    let text = String::from_utf8_lossy(&output.stdout);
    for line in text.lines().filter(|line| line.starts_with("skipped - ")) {
        writeln!(std::io::stderr(), "{line}").expect("stderr");
    }
    let result = text.lines().last().unwrap_or_default();
    assert!(
        output.status.success() && result.starts_with("test result: ok."),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    println!("{result}");
}

#[test]
fn headers() {
    run("headers");
}

#[test]
fn plain() {
    run("plain");
}

#[test]
fn sanitized() {
    run("sanitized");
}

/// The calls that a header declares.
fn declared(header: &str) -> BTreeSet<String> {
    let path = root().join("include").join(header);
    let text = std::fs::read_to_string(&path).expect("the header is there");
    // Without comments, the word in front of the first bracket after `extern` is the call's name.
    let code: String = text.split("/*").map(|part| part.split_once("*/").map_or(part, |(_, code)| code)).collect();
    code.split(';')
        .filter_map(|statement| statement.rsplit_once("extern ").map(|(_, declaration)| declaration))
        .filter_map(|declaration| declaration.split_once('('))
        .filter_map(|(before, _)| before.rsplit(|c: char| c != '_' && !c.is_ascii_alphanumeric()).next())
        .filter(|name| is_ours(name))
        .map(str::to_owned)
        .collect()
}

fn is_ours(name: &str) -> bool {
    name.starts_with("demi_") || name.starts_with("margay_")
}

#[test]
fn headers_declare_what_the_library_exports() {
    if !has_compiler("headers_declare_what_the_library_exports") {
        return;
    }
    // nm(1) comes with every compiler's assembler and linker.
    let output = Command::new("nm")
        .args(["-D", "--defined-only"])
        .arg(library().join("libmargay.so"))
        .output()
        .expect("nm starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let exported: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.split(' ').next_back())
        .filter(|name| is_ours(name))
        .map(str::to_owned)
        .collect();
    let declared: BTreeSet<String> = HEADERS.into_iter().flat_map(declared).collect();
    assert!(declared.len() > 30, "the headers were read: {declared:?}");
    assert_eq!(declared, exported);
}
