// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the machine answers when it is asked. No judgement here.
//!
//! Texts: `proc_pid_status(5)`, `proc_sys_kernel(5)`, `proc_meminfo(5)`, `capabilities(7)`, `membarrier(2)`, `seccomp(2)`,
//! `ip(7)`.

use super::directory::{self, Directory};
use catcollar::Probe;
use margay::{Config, Error, LibOs, StartError};
use rustix::net::{AddressFamily, SocketType, socket};
use rustix::process::{Resource, getrlimit};
use rustix::thread::{MembarrierQuery, membarrier_query};
use std::fs::read_to_string;
use std::path::Path;

/// Bits of `capabilities(7)`.
pub const NET_BIND_SERVICE: u32 = 10;
/// See [`NET_BIND_SERVICE`].
pub const NET_ADMIN: u32 = 12;
/// See [`NET_BIND_SERVICE`].
pub const IPC_LOCK: u32 = 14;
/// See [`NET_BIND_SERVICE`].
pub const NET_RAW: u32 = 13;
/// See [`NET_BIND_SERVICE`].
pub const BPF: u32 = 39;

/// A limit of `getrlimit(2)`; `None`: unlimited.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// What is in force.
    pub current: Option<u64>,
    /// How far the process may raise it.
    pub maximum: Option<u64>,
}

/// All that is asked.
#[derive(Debug)]
pub struct Facts {
    /// The kernel's release, such as `6.1.0-28-amd64`.
    pub kernel: String,
    /// Cores that this process may run on.
    pub cores: usize,
    /// A filter forbids some system calls (`Seccomp: 2`).
    pub seccomp: bool,
    /// `kernel.io_uring_disabled`, where the kernel has it (6.6).
    pub uring_disabled: Option<u64>,
    /// What `io_uring` can do here, or why it cannot be used.
    pub uring: Probe,
    /// Why a LibOs with catcollar does not start, with this configuration.
    pub catcollar: Option<Error>,
    /// `RLIMIT_MEMLOCK`, bytes.
    pub memlock: Limit,
    /// `RLIMIT_NOFILE`.
    pub descriptors: Limit,
    /// The runtime directory.
    pub directory: Directory,
    /// Whether a sealed piece of shared memory could be made, and if not, why.
    pub shared: Result<(), String>,
    /// Bytes of memory that can still be had, if the kernel says it.
    pub available: Option<u64>,
    /// The effective capabilities, as bits.
    pub capabilities: u64,
    /// The first port that needs no capability.
    pub first_port: u64,
    /// `membarrier(2)` has global expedited barriers.
    pub membarrier: bool,
    /// The kernel has XDP sockets, whoever may make one.
    pub xdp: bool,
}

impl Facts {
    /// Asks this machine.
    pub fn gather(config: &Config, directory: &Path) -> Self {
        let status = read_to_string("/proc/self/status").unwrap_or_default();
        let limit = |resource| {
            let limit = getrlimit(resource);
            Limit { current: limit.current, maximum: limit.maximum }
        };
        let global = MembarrierQuery::GLOBAL_EXPEDITED | MembarrierQuery::REGISTER_GLOBAL_EXPEDITED;
        Self {
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            seccomp: after(&status, "Seccomp:").is_some_and(|mode| mode == "2"),
            uring_disabled: number("/proc/sys/kernel/io_uring_disabled"),
            uring: catcollar::probe(),
            catcollar: start(config, "catcollar"),
            memlock: limit(Resource::Memlock),
            descriptors: limit(Resource::Nofile),
            directory: Directory::look(directory),
            shared: directory::make_shared(),
            available: available(&read_to_string("/proc/meminfo").unwrap_or_default()),
            capabilities: capabilities(&status),
            first_port: number("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap_or(1024),
            membarrier: membarrier_query().contains(global),
            xdp: !matches!(socket(AddressFamily::XDP, SocketType::RAW, None), Err(rustix::io::Errno::AFNOSUPPORT)),
        }
    }

    /// Whether the process has a capability.
    pub const fn can(&self, capability: u32) -> bool {
        self.capabilities & 1 << capability != 0
    }
}

/// Starts a LibOs with a back end, and ends it; why it does not start. It writes nothing: it makes no queue.
fn start(config: &Config, libos: &str) -> Option<Error> {
    match LibOs::new(&Config { libos: Some(libos.to_owned()), ..config.clone() }) {
        Err(StartError::System(error)) => Some(error),
        // The configuration was checked when it was loaded.
        Ok(_) | Err(_) => None,
    }
}

/// The first word behind a name, in a list of lines such as `Seccomp: 0`.
fn after<'a>(list: &'a str, name: &str) -> Option<&'a str> {
    list.lines().find_map(|line| line.strip_prefix(name)).and_then(|rest| rest.split_whitespace().next())
}

fn capabilities(status: &str) -> u64 {
    after(status, "CapEff:").and_then(|bits| u64::from_str_radix(bits, 16).ok()).unwrap_or(0)
}

fn available(meminfo: &str) -> Option<u64> {
    after(meminfo, "MemAvailable:")
        .and_then(|kibibytes| kibibytes.parse::<u64>().ok())
        .map(|kibibytes| kibibytes * 1024)
}

/// The number in a file of `/proc/sys`.
fn number(file: &str) -> Option<u64> {
    read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_the_kernel_are_understood() {
        let status = "Name:\tmargay\nCapEff:\t0000000000000400\nSeccomp:\t2\nSeccomp_filters:\t1\n";
        assert_eq!((after(status, "Seccomp:"), capabilities(status)), (Some("2"), 1 << NET_BIND_SERVICE));
        assert_eq!((after("Seccomp:", "Seccomp:"), capabilities("CapEff:\tmuch"), capabilities("")), (None, 0, 0));
        assert_eq!(available("MemTotal: 9 kB\nMemAvailable:       8 kB\n"), Some(8192));
        assert_eq!((available("MemAvailable: ? kB"), number("/no-such-file")), (None, None));
    }
}
