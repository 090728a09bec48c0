// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the figures belong to: the machine, as far as it says what it is.

use crate::pin::Cores;
use serde::Serialize;
use std::fs::read_to_string;

/// The machine of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// The kernel's release.
    pub kernel: String,
    /// The server's core, then the client's.
    pub cores: [usize; 2],
}

impl Machine {
    /// This one.
    pub fn here(cores: Cores) -> Self {
        let info = read_to_string("/proc/cpuinfo").unwrap_or_default();
        let named = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let release = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            processor: named.map_or("an unnamed processor", |(_, name)| name.trim()).to_owned(),
            kernel: release.trim().to_owned(),
            cores: [cores.server, cores.client],
        }
    }
}
