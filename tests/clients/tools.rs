// SPDX-License-Identifier: MIT OR Apache-2.0
//! Running programs of others: with something on their standard input, and with a deadline.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

/// The deadline of each program, in steps of its watcher.
const STEPS: u32 = 60_000;
const STEP: Duration = Duration::from_millis(1);

/// How standard input comes.
#[derive(Clone, Copy)]
pub enum Input<'a> {
    Nothing,
    /// At once; then it ends.
    Whole(&'a [u8]),
    /// Each byte on its own; then it ends.
    Bytes(&'a [u8]),
    /// At once; it ends only when the program does.
    Open(&'a [u8]),
}

/// What came of a program.
pub struct Output {
    pub code: Option<i32>,
    pub bytes: Vec<u8>,
    pub errors: String,
}

impl Output {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// A program, killed when it is dropped.
pub struct Tool {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    output: Option<JoinHandle<Vec<u8>>>,
    errors: Option<JoinHandle<Vec<u8>>>,
}

impl Tool {
    pub fn start(name: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(name);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Neither proxies nor translations.
        for variable in ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"] {
            command.env_remove(variable);
        }
        command.env("LC_ALL", "C").env("CURL_HOME", "/nonexistent");
        let mut child = command.spawn().expect("the program starts");
        let stdin = child.stdin.take();
        let output = child.stdout.take().map(read_all);
        let errors = child.stderr.take().map(read_all);
        Self { name: format!("{name} {}", arguments.join(" ")), child, stdin, output, errors }
    }

    /// Gives it its input and waits for its end.
    pub fn finish(mut self, input: Input<'_>) -> Output {
        let mut stdin = self.stdin.take();
        // A program that ends early does not read everything.
        match (input, &mut stdin) {
            (Input::Whole(bytes) | Input::Open(bytes), Some(stdin)) => drop(stdin.write_all(bytes)),
            (Input::Bytes(bytes), Some(stdin)) => {
                for &byte in bytes {
                    let _ = stdin.write_all(&[byte]);
                    sleep(STEP / 2);
                }
            }
            _ => {}
        }
        let open = stdin.filter(|_| matches!(input, Input::Open(_)));
        let ended = (0..STEPS).find_map(|_| {
            let ended = self.child.try_wait().expect("a child can be waited for");
            if ended.is_none() {
                sleep(STEP);
            }
            ended
        });
        drop(open);
        if ended.is_none() {
            let _ = self.child.kill();
        }
        let bytes = self.output.take().map(|reader| reader.join().expect("a reader ends")).unwrap_or_default();
        let errors = self.errors.take().map(|reader| reader.join().expect("a reader ends")).unwrap_or_default();
        let errors = String::from_utf8_lossy(&errors).into_owned();
        let Some(status) = ended else {
            panic!("{} was not done in time: {}{errors}", self.name, String::from_utf8_lossy(&bytes))
        };
        Output { code: status.code(), bytes, errors }
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        // It may have ended, and been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_all(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What cannot be read is missing in the comparison.
        let _ = from.read_to_end(&mut bytes);
        bytes
    })
}

/// Runs a program to its end.
pub fn run(name: &str, arguments: &[&str], input: Input<'_>) -> Output {
    Tool::start(name, arguments).finish(input)
}

/// Runs a program that must succeed without input, and gives what it wrote.
#[track_caller]
pub fn succeed(name: &str, arguments: &[&str]) -> String {
    let output = run(name, arguments, Input::Nothing);
    assert_eq!(output.code, Some(0), "{name} {arguments:?}: {}{}", output.text(), output.errors);
    output.text()
}

/// Bytes without a pattern.
pub fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}
