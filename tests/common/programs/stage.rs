// SPDX-License-Identifier: MIT OR Apache-2.0
//! Processes that find each other in a directory of their own, and do not outlive their test.

use super::build::{self, Language};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;
use tempfile::TempDir;

/// The deadline that the programs set themselves, in seconds, and that of their test, which is later.
const OWN_SECONDS: &str = "60";
const SECONDS: u32 = 90;

/// A directory in which the processes of one test meet, and the back end that they use.
pub struct Stage {
    runtime: TempDir,
    libos: &'static str,
}

impl Stage {
    pub fn new(libos: &'static str) -> Self {
        Self { runtime: tempfile::tempdir().expect("a folder"), libos }
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
