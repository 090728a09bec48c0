// SPDX-License-Identifier: MIT OR Apache-2.0
//! redis-cli(1), redis-benchmark(1) and `kv-server`.

use crate::hosts;
use crate::programs::build::Language::Rust;
use crate::programs::stage::{Running, Stage};
use crate::tools::{Input, noise, run, succeed};
use std::fmt::Write;

struct Keys {
    stage: Stage,
    server: Running,
    host: String,
    port: String,
}

impl Keys {
    fn new(libos: &'static str) -> Self {
        let stage = hosts::stage(libos);
        let mut server = stage.start(Rust, "kv-server", &["--server", &stage.any_port()]);
        let place = server.place();
        let (host, port) = place.rsplit_once(':').expect("a port");
        let (host, port) = (host.to_owned(), port.to_owned());
        Self { stage, server, host, port }
    }

    /// Where it is, as its clients are told.
    fn place(&self) -> [&str; 4] {
        ["-h", &self.host, "-p", &self.port]
    }

    /// What redis-cli says to one command.
    #[track_caller]
    fn ask(&self, command: &[&str]) -> String {
        succeed("redis-cli", &[&self.place()[..], command].concat()).trim_end().to_owned()
    }

    fn stop(self) {
        self.server.stop();
        self.stage.assert_empty();
    }
}

pub fn commands(libos: &'static str) {
    let keys = Keys::new(libos);
    for (command, reply) in [
        ("PING", "PONG"),
        ("ECHO hello", "hello"),
        ("GET key", ""),
        ("SET key value", "OK"),
        ("GET key", "value"),
        ("EXISTS key none", "1"),
        ("INCR number", "1"),
        ("INCR number", "2"),
        ("GET number", "2"),
        ("INCR key", "ERR value is not an integer or out of range"),
        ("DEL key number none", "2"),
        ("GET key", ""),
        ("DBSIZE", "0"),
        ("CONFIG GET save", "save"),
        ("COMMAND DOCS", ""),
        ("NONSENSE a", "ERR unknown command 'NONSENSE', with args beginning with: 'a'"),
        ("QUIT", "OK"),
    ] {
        let words: Vec<&str> = command.split(' ').collect();
        assert_eq!(keys.ask(&words), reply, "{command}");
    }
    // One connection, many commands; the way people use it.
    let said = run("redis-cli", &keys.place(), Input::Whole(b"SET a 1\nINCR a\nGET a\nSET b \"x y\"\nGET b\n"));
    assert_eq!(said.text(), "OK\n2\n2\nOK\nx y\n", "{}", said.errors);
    keys.stop();
}

pub fn binary_values(libos: &'static str) {
    let keys = Keys::new(libos);
    for len in [1, 1000, 100_000, 1 << 20] {
        let value = noise(len);
        let said = run("redis-cli", &[&keys.place()[..], &["-x", "SET", "key"]].concat(), Input::Whole(&value));
        assert_eq!(said.text(), "OK\n", "{}", said.errors);
        let said = run("redis-cli", &[&keys.place()[..], &["GET", "key"]].concat(), Input::Nothing);
        // It puts a line end behind what is no terminal's.
        assert!(said.bytes.strip_suffix(b"\n") == Some(&value[..]), "{} of {len} bytes", said.bytes.len());
    }
    // Beyond the bound: told so, and closed; the next one is served.
    let said =
        run("redis-cli", &[&keys.place()[..], &["-x", "SET", "key"]].concat(), Input::Whole(&noise((1 << 20) + 1)));
    assert!(said.text().contains("invalid bulk length") || said.errors.contains("reset"), "{}", said.text());
    assert_eq!(keys.ask(&["STRLEN", "key"]), "1048576");
    keys.stop();
}

pub fn mass_insertion(libos: &'static str) {
    const MANY: usize = 20_000;
    let keys = Keys::new(libos);
    let mut commands = String::new();
    for number in 0..MANY {
        let (key, value) = (format!("key:{number}"), number.to_string());
        let (key_len, len) = (key.len(), value.len());
        write!(commands, "*3\r\n$3\r\nSET\r\n${key_len}\r\n{key}\r\n${len}\r\n{value}\r\n").expect("text");
    }
    let said = run("redis-cli", &[&keys.place()[..], &["--pipe"]].concat(), Input::Whole(commands.as_bytes()));
    assert!(said.text().contains(&format!("errors: 0, replies: {MANY}")), "{}{}", said.text(), said.errors);
    assert_eq!(keys.ask(&["DBSIZE"]), MANY.to_string());
    assert_eq!(keys.ask(&["GET", "key:12345"]), "12345");
    keys.stop();
}

/// Runs the usual commands, and looks at what they have left behind.
fn benchmark(libos: &'static str, requests: u64, options: &[&str], size: u64) {
    let keys = Keys::new(libos);
    let (count, size) = (requests.to_string(), size.to_string());
    let common = ["-t", "ping,set,get,incr", "-c", "50", "-n", &count, "-d", &size, "--csv"];
    let said = run("redis-benchmark", &[&keys.place()[..], &common, options].concat(), Input::Nothing);
    assert_eq!((said.code, said.errors.as_str()), (Some(0), ""), "{}", said.text());
    let text = said.text();
    for test in ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR"] {
        let line = text.lines().find(|line| line.starts_with(&format!("\"{test}\",")));
        let rate = line.and_then(|line| line.split('"').nth(3)).and_then(|rate| rate.parse::<f64>().ok());
        assert!(rate.is_some_and(|rate| rate > 0.0), "{test}: {text}");
    }
    assert!(!text.to_ascii_lowercase().contains("error"), "{text}");
    // Each increment has counted, and only once.
    assert_eq!(keys.ask(&["GET", "counter:__rand_int__"]), count);
    assert_eq!(keys.ask(&["STRLEN", "key:__rand_int__"]), size);
    keys.stop();
}

pub fn benchmark_one_by_one(libos: &'static str) {
    benchmark(libos, 20_000, &["-P", "1"], 3);
}

pub fn benchmark_of_pipelines(libos: &'static str) {
    benchmark(libos, 100_000, &["-P", "16"], 3);
}

pub fn benchmark_of_large_values(libos: &'static str) {
    benchmark(libos, 1000, &["-P", "4"], 100_000);
}
