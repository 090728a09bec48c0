// SPDX-License-Identifier: MIT OR Apache-2.0
//! Processes that find each other in a directory of their own, and do not outlive their test. With a network stack of their own, each is a
//! host, in the order in which they are started, and a wire of the stage's own connects them.

use super::build::{self, Language};
use margay::Config;
use rustix::process::{Pid, Signal, kill_process};
use std::cell::Cell;
use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;
use tempfile::TempDir;

/// The deadline that the programs set themselves, in seconds, and that of their test, which is later.
const OWN_SECONDS: &str = "60";
const SECONDS: u32 = 90;

/// What is between processes that are hosts of their own. A stage without such is one host.
pub trait Wires {
    /// The configuration of the next host, as a file has it.
    fn join(&self, host: usize) -> String;
    /// The address of a host.
    fn address(&self, host: usize, is_v4: bool) -> IpAddr;
    /// The address of the kernel, where it is a host among them.
    fn kernel(&self, is_v4: bool) -> IpAddr;
}

/// A directory in which the processes of one test meet, and the back end that they use.
pub struct Stage {
    runtime: TempDir,
    libos: &'static str,
    wires: Option<Box<dyn Wires>>,
    /// How many have been started.
    started: Cell<usize>,
}

impl Stage {
    pub fn new(libos: &'static str) -> Self {
        Self { runtime: tempfile::tempdir().expect("a folder"), libos, wires: None, started: Cell::new(0) }
    }

    /// Each process is a host.
    pub fn of_hosts(libos: &'static str, wires: Box<dyn Wires>) -> Self {
        Self { wires: Some(wires), ..Self::new(libos) }
    }

    /// The address of the process that is started as this one, from 0 on.
    pub fn address(&self, host: usize) -> IpAddr {
        self.wires.as_ref().map_or(Ipv4Addr::LOCALHOST.into(), |wires| wires.address(host, true))
    }

    /// The same in IPv6.
    pub fn address_v6(&self, host: usize) -> IpAddr {
        self.wires.as_ref().map_or(Ipv6Addr::LOCALHOST.into(), |wires| wires.address(host, false))
    }

    /// The address of the process that is started next.
    pub fn next(&self) -> IpAddr {
        self.address(self.started.get())
    }

    /// Any port of the process that is started next.
    pub fn any_port(&self) -> String {
        format!("{}:0", self.next())
    }

    /// The same in IPv6.
    pub fn any_port_v6(&self) -> String {
        format!("[{}]:0", self.address_v6(self.started.get()))
    }

    /// The address of the programs of others, which are the kernel's.
    pub fn kernel(&self) -> IpAddr {
        self.wires.as_ref().map_or(Ipv4Addr::LOCALHOST.into(), |wires| wires.kernel(true))
    }

    /// The back end of this test's own process: the stage's, as the next host on its wire if it has one.
    pub fn own_config(&self) -> Config {
        let host = self.started.replace(self.started.get() + 1);
        let mut config = match &self.wires {
            Some(wires) => Config::from_yaml("host.yaml", &wires.join(host)).expect("as for programs"),
            None => Config::default(),
        };
        config.libos = Some(self.libos.to_owned());
        config.catmem.directory = Some(self.directory());
        config
    }

    /// That of a client of the stage's programs in this test's process: where they are hosts of their own, the kernel.
    pub fn client_config(&self) -> Config {
        let libos = if self.wires.is_some() { "catnap" } else { self.libos };
        let mut config = Config { libos: Some(libos.to_owned()), ..Config::default() };
        config.catmem.directory = Some(self.directory());
        config
    }

    /// Where the processes find what they share.
    pub fn directory(&self) -> PathBuf {
        self.runtime.path().join("margay")
    }

    /// Starts an example.
    pub fn start(&self, language: Language, name: &'static str, options: &[&str]) -> Running {
        let mut command = Command::new(build::program(language, name));
        let ends = if super::SERVERS.contains(&name) { "--seconds" } else { "--timeout" };
        if !options.contains(&ends) && !options.contains(&"--help") && !options.is_empty() {
            command.args([ends, OWN_SECONDS]);
        }
        command.args(options).env("XDG_RUNTIME_DIR", self.runtime.path());
        command.env("LIBOS", self.libos).env_remove("CONFIG_PATH");
        let host = self.started.replace(self.started.get() + 1);
        if let Some(wires) = &self.wires {
            let file = self.runtime.path().join(format!("host-{host}.yaml"));
            std::fs::write(&file, wires.join(host)).expect("room for a file");
            command.env("CONFIG_PATH", file);
        }
        // Cargo's own path may have a library of another build in front.
        command.env("LD_LIBRARY_PATH", build::library());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the example starts");
        let stdout = child.stdout.take().expect("standard output is piped");
        let mut stderr = child.stderr.take().expect("standard error is piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // Nobody reads on after a test has failed.
                let _ = sender.send(line);
            }
        });
        let errors = std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).expect("text is UTF-8");
            text
        });
        Running { name, child, lines, said: String::new(), errors: Some(errors) }
    }

    /// Nothing of the processes is left behind.
    #[track_caller]
    pub fn assert_empty(&self) {
        let left: Vec<_> = std::fs::read_dir(self.runtime.path().join("margay"))
            .into_iter()
            .flatten()
            .map(|entry| entry.expect("a folder can be listed").file_name())
            .filter(|name| !name.to_string_lossy().starts_with('.'))
            .collect();
        assert!(left.is_empty(), "left behind: {left:?}");
    }
}

/// A process of a test; killed if the test fails.
pub struct Running {
    name: &'static str,
    child: Child,
    lines: Receiver<String>,
    said: String,
    errors: Option<JoinHandle<String>>,
}

impl Running {
    /// Where the server says it is.
    pub fn place(&mut self) -> String {
        loop {
            match self.lines.recv_timeout(Duration::from_secs(SECONDS.into())) {
                Ok(line) => {
                    self.note(&line);
                    if let Some(place) = line.strip_prefix("serving at ") {
                        return place.to_owned();
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("{} did not say where it is", self.name),
                Err(RecvTimeoutError::Disconnected) => {
                    let (status, said, errors) = self.end();
                    panic!("{} ended with {status} before it served: {said}{errors}", self.name);
                }
            }
        }
    }

    /// Waits for its end, which must be a success, and gives what it said.
    pub fn finish(mut self) -> String {
        let (status, said, errors) = self.end();
        assert!(status.success(), "{} ended with {status}: {said}{errors}", self.name);
        assert_eq!(errors, "", "{} complained", self.name);
        said
    }

    /// Tells it to end, and waits for that.
    pub fn stop(self) -> String {
        kill_process(self.pid(), Signal::TERM).expect("it runs");
        self.finish()
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits for its end, which must be with this exit code, and gives its complaint.
    pub fn fail(mut self, code: i32) -> String {
        let (status, said, errors) = self.end();
        assert_eq!(status.code(), Some(code), "{}: {said}{errors}", self.name);
        errors
    }

    fn note(&mut self, line: &str) {
        self.said.push_str(line);
        self.said.push('\n');
    }

    fn end(&mut self) -> (ExitStatus, String, String) {
        let mut status = None;
        for _ in 0..SECONDS * 100 {
            status = self.child.try_wait().expect("a child can be waited for");
            if status.is_some() {
                break;
            }
            sleep(Duration::from_millis(10));
        }
        let late = status.is_none();
        if late {
            self.child.kill().expect("a child can be killed");
        }
        let status = self.child.wait().expect("a child can be waited for");
        // The end of the child is the end of its output.
        while let Ok(line) = self.lines.recv() {
            self.note(&line);
        }
        let errors = self.errors.take().map(|errors| errors.join().expect("a reader ends")).unwrap_or_default();
        assert!(!late, "{} was not done within {SECONDS} s: {}{errors}", self.name, self.said);
        (status, std::mem::take(&mut self.said), errors)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended, and been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
