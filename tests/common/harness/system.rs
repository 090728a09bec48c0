// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the kernel knows about a process: clocks, descriptors, memory.

use core::time::Duration;
use rustix::thread::{CpuSet, sched_getcpu, sched_setaffinity};
use rustix::time::{ClockId, Timespec, clock_gettime};
use std::path::Path;

fn nanoseconds(time: Timespec) -> u64 {
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

/// The monotonic clock, which all processes share, in nanoseconds.
pub fn now() -> u64 {
    nanoseconds(clock_gettime(ClockId::Monotonic))
}

/// Processor time that this process has used, in nanoseconds.
pub fn processor_time() -> u64 {
    nanoseconds(clock_gettime(ClockId::ProcessCPUTime))
}

/// How long this thread has been ready to run and had no processor, in nanoseconds: `schedstat` of `proc(5)`.
pub fn waited_for_processor() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel counts run delays");
    stat.split_whitespace().nth(1).and_then(|field| field.parse().ok()).expect("it is a number")
}

/// Sleeps for so many nanoseconds.
pub fn sleep(nanoseconds: u64) {
    std::thread::sleep(Duration::from_nanos(nanoseconds));
}

/// Keeps this thread on the processor that it runs on.
pub fn stay_on_one_processor() {
    let mut one = CpuSet::new();
    one.set(sched_getcpu());
    sched_setaffinity(None, &one).expect("it runs there already");
}

/// Open descriptors of this process.
pub fn descriptors() -> usize {
    // The one that lists them is among them.
    std::fs::read_dir("/proc/self/fd").expect("procfs is mounted").count() - 1
}

/// Mappings of this process.
pub fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps").expect("procfs is mounted").lines().count()
}

/// Resident private memory of this process in KiB: what it shares is not counted.
pub fn private_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs is mounted");
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).expect("the kernel counts anonymous memory");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("it is a number")
}

/// Names of files in a directory.
pub fn files(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).expect("the directory is there");
    entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Names of pipes in a directory.
pub fn pipes(directory: &Path) -> usize {
    files(directory).iter().filter(|name| is_pipe(name)).count()
}

/// Whether a file with this name is a pipe.
pub fn is_pipe(name: &str) -> bool {
    Path::new(name).extension() == Some("pipe".as_ref())
}
