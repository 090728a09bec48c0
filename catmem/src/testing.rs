// SPDX-License-Identifier: MIT OR Apache-2.0
//! What several tests need: scratch directories, a count of open descriptors, and second processes.
//!
//! A second process is this test binary again, told to run one test. It talks in lines that start with `@`, and is
//! told to go on by a line on its standard input. Every wait has a deadline.

#![expect(clippy::disallowed_methods, reason = "deadlines of other processes are in real time")]

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_mins(1);
const ISOLATED: &str = "MARGAY_TEST_ISOLATED";

/// A directory of its own for one test, removed at the end.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("margay-test-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// How many descriptors this process has open.
pub(crate) fn open_fds() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Runs a test's body in a process of its own, where no other test opens descriptors or changes limits.
///
/// `test` is the test's full path, as `module_path!` and its name give it.
pub(crate) fn isolated(test: &str, body: impl FnOnce()) {
    if std::env::var_os(ISOLATED).is_some() {
        body();
    } else {
        TestProcess::start(test, &[(ISOLATED, OsStr::new("1"))]).finish();
    }
}

/// Says why a test does nothing here. Continuous integration counts these lines.
pub(crate) fn skipped(test: &str, reason: &str) {
    println!("\nskipped: {test}: {reason}");
}

/// The same test binary in a second process, killed on drop.
pub(crate) struct TestProcess {
    child: Child,
    lines: Receiver<String>,
    log: Vec<String>,
}

impl TestProcess {
    /// Starts the test of that path, with environment variables that tell it its part.
    pub(crate) fn start(test: &str, environment: &[(&str, &OsStr)]) -> Self {
        // The harness leaves the crate's name out.
        let test = test.split_once("::").unwrap().1;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture", "--test-threads=1"])
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines, log: Vec::new() }
    }

    /// Waits for the next line that the process [`say`]s.
    pub(crate) fn hear(&mut self) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => match line.strip_prefix('@') {
                    Some(said) => return said.to_owned(),
                    None => self.log.push(line),
                },
                Err(error) => panic!("the second process said nothing ({error}):\n{}", self.log.join("\n")),
            }
        }
    }

    /// Lets the process go on from [`wait_to_go_on`].
    pub(crate) fn go_on(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    /// SIGKILL, and waits until it is dead.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until the process ends, and checks that its test passed.
    pub(crate) fn finish(mut self) {
        let status = self.wait();
        self.log.extend(self.lines.iter());
        assert!(status.success(), "the second process failed ({status}):\n{}", self.log.join("\n"));
        assert!(self.log.iter().any(|line| line.contains("1 passed")), "no such test:\n{}", self.log.join("\n"));
    }

    fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the second process did not end");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for TestProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In a second process: says one line to the first.
pub(crate) fn say(text: &str) {
    // The harness does not end its own line before the test's output.
    println!("\n@{text}");
}

/// In a second process: waits for the first one's [`TestProcess::go_on`].
pub(crate) fn wait_to_go_on() {
    let mut line = String::new();
    assert_eq!(std::io::stdin().read_line(&mut line).unwrap(), 1, "the first process is gone");
}
