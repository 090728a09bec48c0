// SPDX-License-Identifier: MIT OR Apache-2.0
//! An `http-server` with files, and what is beside them.

use crate::hosts;
use crate::programs::build::Language::Rust;
use crate::programs::stage::{Running, Stage};
use crate::tools::noise;
use std::path::Path;
use tempfile::TempDir;

/// Bytes of the big file, and of the middle one.
pub const BIG: usize = 32 << 20;
pub const MIDDLE: usize = 300_000;

pub struct Web {
    pub stage: Stage,
    folder: TempDir,
    server: Running,
    /// Address and port.
    pub place: String,
    pub big: Vec<u8>,
}

impl Web {
    pub fn new(libos: &'static str) -> Self {
        Self::with(libos, &[])
    }

    pub fn with(libos: &'static str, options: &[&str]) -> Self {
        Self::at(libos, Stage::any_port, options)
    }

    pub fn v6(libos: &'static str) -> Self {
        Self::at(libos, Stage::any_port_v6, &[])
    }

    fn at(libos: &'static str, at: fn(&Stage) -> String, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        let big = noise(BIG);
        std::fs::create_dir_all(root.join("sub")).unwrap();
        std::fs::write(root.join("index.html"), "<p>index").unwrap();
        std::fs::write(root.join("hello.txt"), "hello, world\n").unwrap();
        std::fs::write(root.join("data.json"), "{}").unwrap();
        std::fs::write(root.join("empty"), "").unwrap();
        std::fs::write(root.join("sub/index.html"), "<p>sub").unwrap();
        std::fs::write(root.join("middle.bin"), &big[..MIDDLE]).unwrap();
        std::fs::write(root.join("big.bin"), &big).unwrap();
        std::fs::write(folder.path().join("secret"), "secret").unwrap();
        let stage = hosts::stage(libos);
        let at = &at(&stage);
        let root = root.to_str().expect("a path is text").to_owned();
        let mut server = stage.start(Rust, "http-server", &[&["--server", at, "--root", &root], options].concat());
        let place = server.place();
        Self { stage, folder, server, place, big }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.place)
    }

    /// A folder for what is fetched.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The most memory that the server has had, in KiB.
    pub fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.server.pid().as_raw_nonzero()));
        let status = status.expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("the kernel counts memory");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
    }

    /// Ends the server, then the clients that are in this process, and gives what the server counted: requests, connections,
    /// and those that were too slow.
    pub fn stop<T>(self, clients: T) -> [u64; 3] {
        let said = self.server.stop();
        drop(clients);
        self.stage.assert_empty();
        let line = said.lines().last().expect("the server says what it did");
        let numbers: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
        numbers.try_into().unwrap_or_else(|_| panic!("{said}"))
    }
}
