// SPDX-License-Identifier: MIT OR Apache-2.0
//! A minute of everything at once, on each back end with sockets: eight processes open, push, pop, half-close and close
//! pipes, stream sockets and datagram sockets at random, and are killed and started again.
//!
//! - Every byte that is accepted is accounted for: each stream is made of frames with a number and a running hash, and its
//!   end comes behind a last frame (`frames`). A stream may be cut only by a reset, or by a kernel that closes for the dead.
//! - At the end nothing is left: no process, no descriptor, no shared memory, no file.
//!
//! `MARGAY_SOAK_SECONDS` shortens it, `MARGAY_TEST_SEED` repeats its choices (not its timing).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where what it stands on is missing")]

mod frames;
#[path = "../common/harness/mod.rs"]
mod harness;
mod link;
mod worker;

use core::time::Duration;
use harness::board::Board;
use harness::system::{descriptors, files, now, sleep};
use harness::{LIMIT, Random};
use margay::{Config, Domain, Kind, LibOs};
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

const WORKERS: usize = 8;
const SECONDS: u64 = 60;

/// What a worker finds in its environment.
const WORKER: &str = "MARGAY_SOAK_WORKER";
const DIRECTORY: &str = "MARGAY_SOAK_DIRECTORY";
const LIBOS: &str = "MARGAY_SOAK_LIBOS";
const SEED: &str = "MARGAY_TEST_SEED";
const PARENT: &str = "MARGAY_SOAK_PARENT";

/// Words of the board. One for each worker: ports, the number of the pipe that it offers, and a heartbeat.
const STREAM_PORT: usize = 0;
const DATAGRAM_PORT: usize = 8;
const PIPE: usize = 16;
const BEAT: usize = 24;
/// Not zero: all are to come to an end.
const STOP: usize = 32;
/// What all workers have done together.
const TOTALS: [(&str, usize); 8] = [
    ("connections accepted", 33),
    ("pipes opened", 34),
    ("frames checked", 35),
    ("bytes checked", 36),
    ("streams read to their end", 37),
    ("streams cut by a reset", 38),
    ("datagrams checked", 39),
    ("LibOses made", 40),
];
const ACCEPTED: usize = 33;
const OPENED: usize = 34;
const FRAMES: usize = 35;
const BYTES: usize = 36;
const ENDS: usize = 37;
const RESETS: usize = 38;
const DATAGRAMS: usize = 39;
const LIBOSES: usize = 40;

/// What all workers are started with.
struct Common {
    /// The name of the test, and of the back end for sockets.
    test: &'static str,
    libos: &'static str,
    directory: PathBuf,
    seed: u64,
}

struct Worker {
    child: Child,
    log: PathBuf,
    beat: (u64, u64),
}

impl Worker {
    fn start(index: usize, generation: u64, common: &Common) -> Self {
        let Common { test, libos, ref directory, seed } = *common;
        let log = directory.join(format!("worker-{index}.log"));
        let output = File::create(&log).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
        command
            .env(WORKER, index.to_string())
            .env(LIBOS, libos)
            .env(DIRECTORY, directory)
            .env(PARENT, std::process::id().to_string());
        command.env(SEED, (seed ^ generation << 8 ^ index as u64).to_string());
        command.env_remove("CONFIG_PATH").env_remove("LIBOS");
        command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        Self { child: command.spawn().unwrap(), log, beat: (0, now()) }
    }
}

/// The processes; none of them outlives this.
struct Workers {
    all: Vec<Worker>,
    seed: u64,
}

impl Workers {
    fn fail(&mut self, index: usize, why: &str) -> ! {
        let log = std::fs::read(&self.all[index].log).unwrap_or_default();
        println!("---- worker {index}\n{}", String::from_utf8_lossy(&log[log.len().saturating_sub(16 << 10)..]));
        panic!("worker {index} {why}; again with MARGAY_TEST_SEED={}", self.seed);
    }

    /// Each is alive and goes on.
    fn check(&mut self, board: &Board) {
        for index in 0..self.all.len() {
            if let Some(status) = self.all[index].child.try_wait().unwrap() {
                self.fail(index, &format!("ended with {status}"));
            }
            let (beat, at) = (board.get(BEAT + index), now());
            let worker = &mut self.all[index];
            if beat != worker.beat.0 {
                worker.beat = (beat, at);
            } else if at - worker.beat.1 > LIMIT.unwrap().as_nanos() as u64 {
                self.fail(index, "does not go on");
            }
        }
    }

    /// All come to an end by themselves.
    fn stop(&mut self, board: &Board) {
        board.set(STOP, 1);
        let deadline = now() + 3 * LIMIT.unwrap().as_nanos() as u64;
        for index in 0..self.all.len() {
            loop {
                match self.all[index].child.try_wait().unwrap() {
                    Some(status) if status.success() => break,
                    Some(status) => self.fail(index, &format!("ended with {status}")),
                    None if now() > deadline => self.fail(index, "does not come to an end"),
                    None => sleep(1_000_000),
                }
            }
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for worker in &mut self.all {
            // It may have ended.
            let _ = worker.child.kill();
            let _ = worker.child.wait();
        }
    }
}

fn config(libos: &str, pipes: &Path) -> Config {
    let mut config = Config { libos: Some(libos.to_owned()), ..Config::default() };
    config.catmem.directory = Some(pipes.to_owned());
    config
}

/// Processes that have this directory in their environment.
fn processes_of(directory: &Path) -> usize {
    let needle = format!("{DIRECTORY}={}", directory.display());
    let environments = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path().join("environ"));
    environments
        .filter(|path| {
            std::fs::read(path).is_ok_and(|text| text.split(|&byte| byte == 0).any(|word| word == needle.as_bytes()))
        })
        .count()
}

/// Shared memory of Margay that this process has, or that has a name.
fn shared_memory() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let named = std::fs::read_dir("/dev/shm").map_or(0, |entries| {
        entries.flatten().filter(|entry| entry.file_name().to_string_lossy().contains("margay")).count()
    });
    maps.lines().filter(|line| line.contains("margay-")).count() + named
}

#[test]
fn of_catloop() {
    soak("of_catloop", "catloop", SECONDS, || true);
}

#[test]
fn of_catnap() {
    soak_of_the_kernel("of_catnap", "catnap");
}

#[test]
fn of_catcollar() {
    soak_of_the_kernel("of_catcollar", "catcollar");
}

/// In a network of its own, whose buffers are so small that pushes wait.
fn soak_of_the_kernel(test: &'static str, libos: &'static str) {
    soak(test, libos, SECONDS / 2, || {
        if !harness::network::own(test) {
            return false;
        }
        for (name, value) in [
            ("ipv4.tcp_rmem", "4096 16384 65536"),
            ("ipv4.tcp_wmem", "4096 16384 65536"),
            ("ipv4.tcp_syn_retries", "2"),
            ("ipv4.tcp_syncookies", "0"),
        ] {
            harness::network::sysctl(name, value);
        }
        true
    });
}

/// One at a time: each takes all processors, and counts what this process has.
static ONE: Mutex<()> = Mutex::new(());

fn soak(test: &'static str, libos: &'static str, seconds: u64, prepare: impl FnOnce() -> bool) {
    if let Ok(index) = std::env::var(WORKER) {
        worker::run(index.parse().unwrap());
    }
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    if !prepare() {
        return;
    }
    let seconds = std::env::var("MARGAY_SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(seconds);
    let seed = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| Random::new(now() ^ u64::from(std::process::id()) << 40).next());
    println!("{seconds} s with MARGAY_TEST_SEED={seed}");
    let before = (descriptors(), shared_memory());
    let directory = tempfile::Builder::new().prefix("margay-soak-").tempdir().unwrap();
    let pipes = directory.path().join("pipes");
    std::fs::create_dir(&pipes).unwrap();
    std::fs::set_permissions(&pipes, PermissionsExt::from_mode(0o700)).unwrap();
    let board = Board::open(directory.path());
    let common = Common { test, libos, directory: directory.path().to_owned(), seed };
    let all = (0..WORKERS).map(|index| Worker::start(index, 0, &common)).collect();
    let mut workers = Workers { all, seed };

    let mut random = Random::new(seed);
    let mut kills = 0;
    let end = now() + seconds * 1_000_000_000;
    let mut next_kill = now() + 300_000_000;
    while now() < end {
        sleep(2_000_000);
        workers.check(&board);
        if now() >= next_kill {
            next_kill = now() + random.below(700_000_000);
            let index = random.below(WORKERS as u64) as usize;
            let victim = &mut workers.all[index];
            victim.child.kill().unwrap();
            let status = victim.child.wait().unwrap();
            if status.signal() != Some(9) {
                workers.fail(index, &format!("ended with {status}"));
            }
            for word in [STREAM_PORT, DATAGRAM_PORT, PIPE] {
                board.set(word + index, 0);
            }
            kills += 1;
            workers.all[index] = Worker::start(index, kills, &common);
        }
    }
    workers.stop(&board);
    for (what, word) in TOTALS {
        println!("{:>12} {what}", board.get(word));
    }
    println!("{kills:>12} processes killed");
    for (what, word) in TOTALS {
        assert_ne!(board.get(word), 0, "no {what}");
    }
    assert_ne!(kills, 0);
    drop(workers);

    // Whoever comes next sweeps what the dead have left.
    let mut libos = LibOs::new(&config(libos, &pipes)).unwrap();
    libos.create_pipe("last").unwrap();
    for domain in [Domain::V4, Domain::V6] {
        let qd = libos.socket(domain, Kind::Stream).unwrap();
        let any = if domain == Domain::V4 { "127.0.0.1:0" } else { "[::1]:0" };
        libos.bind(qd, any.parse().unwrap()).unwrap();
    }
    drop(libos);
    assert_eq!(files(&pipes), [""; 0], "files are left");
    assert_eq!(processes_of(directory.path()), 0, "processes are left");
    drop(board);
    drop(directory);
    assert_eq!((descriptors(), shared_memory()), before, "descriptors or shared memory are left");
}

/// How long anything that is under way may take, in nanoseconds.
fn patience() -> u64 {
    LIMIT.map_or(Duration::ZERO, |limit| limit).as_nanos() as u64
}
