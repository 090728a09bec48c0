// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the programs come from: cargo has built the examples in Rust beside this test; those in C are built here, by
//! their own Makefile against the library of this very build.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

pub use super::tools::has;

#[derive(Clone, Copy, Debug)]
pub enum Language {
    Rust,
    C,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The directory of this test, where cargo has put `libmargay.so` as well.
pub fn library() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its path");
    let deps = test.parent().expect("a file has a directory");
    assert!(deps.join("libmargay.so").is_file(), "no libmargay.so in {}", deps.display());
    deps.to_path_buf()
}

/// The executable of an example.
pub fn program(language: Language, name: &str) -> PathBuf {
    let directory = match language {
        Language::Rust => rust(),
        Language::C => c(),
    };
    directory.join(name)
}

/// The files of a folder and of those in it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the sources are there");
    let paths = entries.map(|entry| entry.expect("a folder can be listed").path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// `cargo test` has built most examples, unless it was told to build this test alone; then they may be missing or old; and of
/// those that have tests themselves it has built the tests alone.
fn rust() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let deps = library();
        let profile = deps.parent().expect("a folder is in another");
        let built = profile.join("examples");
        let time = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
        let sources = files(&root().join("examples/rust"));
        let newest = sources.iter().chain([&deps.join("libmargay.so")]).filter_map(|path| time(path)).max();
        let programs = super::PAIRS.iter().chain(&super::SERVERS);
        let oldest = programs.map(|name| time(&built.join(name)).unwrap_or(SystemTime::UNIX_EPOCH)).min();
        if oldest < newest {
            let mut command = Command::new(env!("CARGO"));
            command.args(["build", "--quiet", "--examples", "--manifest-path"]).arg(root().join("Cargo.toml"));
            command.arg("--target-dir").arg(profile.parent().expect("a folder is in another"));
            if profile.ends_with("release") {
                command.arg("--release");
            }
            assert!(command.status().expect("cargo starts").success(), "the examples cannot be built");
        }
        built
    })
}

fn compiler() -> String {
    std::env::var("CC").unwrap_or_else(|_| "cc".into())
}

/// Whether there is all that the C examples are built with.
pub fn has_compiler(test: &str) -> bool {
    has(test, &[&compiler(), "make", "pkg-config"])
}

/// Builds the C examples as a user does: make, and pkg-config for an installed library.
fn c() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("examples-c");
        std::fs::create_dir_all(&directory).expect("a folder");
        for entry in std::fs::read_dir(root().join("examples/c")).expect("the sources are there") {
            let from = entry.expect("a folder can be listed").path();
            let name = from.file_name().expect("a file has a name");
            let source = from.extension().is_some_and(|extension| extension == "c" || extension == "h");
            if source || name == "Makefile" {
                std::fs::copy(&from, directory.join(name)).expect("a source can be copied");
            }
        }
        let package = std::fs::read_to_string(root().join("margay.pc.in")).expect("the template is there");
        let package = package
            .replace("@VERSION@", env!("CARGO_PKG_VERSION"))
            .replace("@PREFIX@", &root().to_string_lossy())
            .replace("libdir=${exec_prefix}/lib", &format!("libdir={}", library().display()));
        std::fs::write(directory.join("margay.pc"), package).expect("margay.pc is written");
        let output = Command::new("make")
            .arg("-C")
            .arg(&directory)
            .arg(format!("CC={}", compiler()))
            .env("PKG_CONFIG_PATH", &directory)
            .env_remove("MAKEFLAGS")
            .env_remove("CFLAGS")
            .output()
            .expect("make starts");
        assert!(
            output.status.success(),
            "the C examples cannot be built: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        directory
    })
}
