// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a process and the machine hold just now: memory by whose it is, and descriptors.
//!
//! Texts: `proc_pid_smaps(5)` (`smaps_rollup`), `proc_meminfo(5)`. What the kernel holds is the whole machine's: beside
//! ten thousand connections other processes hardly count, beside ten they do.

use anyhow::{Context, Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, getuid, setrlimit};
use std::fs::{read_dir, read_to_string};

/// Names of facts: how many connections were idle, and bytes for each that are in shared memory and in the kernel.
pub const IDLE: &str = "idle connections";
/// See [`IDLE`].
pub const SHARED: &str = "shared bytes";
/// See [`IDLE`].
pub const KERNEL: &str = "kernel bytes";
/// The sides, in the names of their facts: `<side> private bytes`, `<side> descriptors`.
pub const SERVER: &str = "server";
/// See [`SERVER`].
pub const CLIENT: &str = "client";

/// What is held, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// This process's own.
    pub private: u64,
    /// The machine's shared memory, by whoever it is mapped.
    pub shared: u64,
    /// The kernel's own on this machine: its objects, page tables and stacks.
    pub kernel: u64,
    /// Descriptors that this process has open.
    pub descriptors: u64,
}

impl Memory {
    /// As it is now.
    pub fn now() -> Result<Self> {
        let read = |path: &str| read_to_string(path).with_context(|| format!("cannot read {path}"));
        let own = read("/proc/self/smaps_rollup")?;
        let machine = read("/proc/meminfo")?;
        Ok(Self {
            private: value(&own, "Anonymous")?,
            shared: value(&machine, "Shmem")?,
            kernel: ["Slab", "PageTables", "KernelStack", "Percpu"]
                .into_iter()
                .map(|name| value(&machine, name))
                .sum::<Result<u64>>()?,
            descriptors: read_dir("/proc/self/fd").context("cannot read /proc/self/fd")?.count() as u64,
        })
    }
}

/// The bytes behind a name, in a list of lines such as `Shmem:   12 kB`.
fn value(list: &str, name: &str) -> Result<u64> {
    let line = list.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let Some(Ok(kibibytes)) = line.and_then(|rest| rest.split_whitespace().next()).map(str::parse::<u64>) else {
        bail!("the kernel does not say what {name} is")
    };
    Ok(kibibytes * 1024)
}

/// Lets this process and those that it starts have `wanted` descriptors each, or as many as may be. Says how many.
pub fn allow_descriptors(wanted: u64) -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let unlimited = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
    if unlimited(limit.current) < wanted {
        let within = unlimited(limit.maximum).min(wanted);
        // Only root can go beyond the hard limit, and not in every container.
        let beyond = Rlimit { current: Some(wanted), maximum: Some(unlimited(limit.maximum).max(wanted)) };
        if !(within < wanted && getuid().is_root() && setrlimit(Resource::Nofile, beyond).is_ok()) {
            // What was refused shows in what the limit then is.
            let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(within), ..limit });
        }
    }
    unlimited(getrlimit(Resource::Nofile).current)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_the_kernel_are_understood() {
        let list = "MemTotal:  5 kB\nShmem:              12 kB\nShmemHugePages: 7 kB\n";
        assert_eq!(value(list, "Shmem").expect("it is there"), 12 * 1024);
        assert!(value(list, "Slab").is_err() && value("Slab: much", "Slab").is_err());
    }

    #[test]
    fn what_is_held_grows_with_what_is_held() {
        let before = Memory::now().expect("Linux says so");
        let file = std::fs::File::open("/proc/self/status").expect("it is there");
        let more = vec![1_u8; 8 << 20];
        let after = Memory::now().expect("Linux says so");
        assert!(after.private >= before.private + (4 << 20), "{before:?} {after:?}");
        assert!(before.shared > 0 || before.kernel > 0);
        drop((file, more));
    }

    #[test]
    fn a_small_number_of_descriptors_is_always_allowed() {
        assert!(allow_descriptors(16) >= 16);
    }
}
