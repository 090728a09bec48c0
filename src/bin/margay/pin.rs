// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which two cores a measurement runs on, and how a process gets onto its own.
//!
//! Two hardware threads of one core share its caches and its pipeline, so they say nothing about two cores; they are
//! taken only if there is nothing else. Text: `sched_setaffinity(2)`,
//! `/sys/devices/system/cpu/cpuN/topology/thread_siblings_list`.

use anyhow::{Context, Result, bail};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::str::FromStr;

/// The cores of the two processes. The same one twice if there is only one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cores {
    /// The server's.
    pub server: usize,
    /// The client's.
    pub client: usize,
}

impl FromStr for Cores {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once(',').map(|(a, b)| (a.trim().parse(), b.trim().parse()));
        match parsed {
            Some((Ok(server), Ok(client))) if server != client => Ok(Self { server, client }),
            _ => Err("give the numbers of two different cores with a comma between them, such as 0,1".to_owned()),
        }
    }
}

impl Cores {
    /// The cores asked for, or two of those that this process may use.
    pub fn choose(asked: Option<Self>) -> Result<Self> {
        let set = sched_getaffinity(None).context("cannot learn which cores this process may use")?;
        let allowed: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&core| set.is_set(core)).collect();
        if let Some(cores) = asked {
            for core in [cores.server, cores.client] {
                if !allowed.contains(&core) {
                    bail!("core {core} is not among those that this process may use, which are {allowed:?}");
                }
            }
            return Ok(cores);
        }
        let Some(&server) = allowed.first() else { bail!("this process may use no core at all") };
        let siblings = siblings_of(server);
        let apart = allowed.iter().find(|core| !siblings.contains(core));
        let client = apart.or(allowed.get(1)).copied().unwrap_or(server);
        Ok(Self { server, client })
    }

    /// Whether both processes have a core of their own.
    pub fn are_two(self) -> bool {
        self.server != self.client
    }
}

/// Puts this process onto one core.
pub fn to_core(core: usize) -> Result<()> {
    if core >= CpuSet::MAX_CPU {
        bail!("there is no core {core}");
    }
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).with_context(|| format!("cannot run on core {core}"))
}

fn siblings_of(core: usize) -> Vec<usize> {
    let path = format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list");
    // A machine that does not say has no siblings that we could know of.
    std::fs::read_to_string(path).map_or_else(|_| vec![core], |text| parse_list(&text))
}

/// The kernel's list format: `0,2-4`.
fn parse_list(text: &str) -> Vec<usize> {
    let mut cores = Vec::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<usize>(), last.parse::<usize>()) {
            cores.extend(first..=last.min(CpuSet::MAX_CPU));
        }
    }
    cores
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lists_are_understood() {
        assert_eq!(parse_list("0\n"), [0]);
        assert_eq!(parse_list("0,64\n"), [0, 64]);
        assert_eq!(parse_list("2-4,7"), [2, 3, 4, 7]);
        assert_eq!(parse_list(""), [0_usize; 0]);
    }

    #[test]
    fn chosen_cores_can_be_used() {
        let cores = Cores::choose(None).expect("some core can be used");
        assert_eq!(Cores::choose(Some(cores)).expect("so can the same ones"), cores);
        let beyond = Cores { server: cores.server, client: CpuSet::MAX_CPU + 1 };
        assert!(Cores::choose(Some(beyond)).is_err());
    }
}
