// SPDX-License-Identifier: MIT OR Apache-2.0
//! The same in one thread over two ports of `net_ring`, each of which gives back what it is given.

use super::Memif;
use crate::measure;
use crate::process::job::Report;
use crate::process::worker::Teller;
use anyhow::{Result, ensure};
use baselines::rounds::{Rounds, What};
use catnip::device::dpdk::{Dpdk, Settings};
use core::sync::atomic::{AtomicU32, Ordering};

/// The number of the next port in this process.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// Rounds before those that are timed: with the step that the clock makes for each, more than half a second.
const WARM_UP: u32 = 1 << 16;

/// Round trips of one size.
pub fn rounds(what: Memif, size: usize, blocks: u32, per_block: u32, teller: &mut Teller<'_>) -> Result<Report> {
    let what = match what {
        Memif::Frames => What::Frames,
        Memif::Datagrams => What::Datagrams,
        Memif::Stream => What::Stream,
    };
    let mut rounds = Rounds::new(what, size, |pools| {
        // A port that ends leaves its rings behind: one of the same name would begin with a complaint, and have what was left in them.
        let name = format!("net_ring{}", NEXT.fetch_add(1, Ordering::Relaxed));
        Dpdk::open(&Settings::new(&name), pools)
    })?;
    let mut round = || -> Result<()> {
        let bytes = rounds.round_trip()?;
        ensure!(bytes == 2 * size, "{bytes} of the {} bytes of a round trip came", 2 * size);
        Ok(())
    };
    for _ in 0..WARM_UP {
        round()?;
    }
    Ok(Report::of_blocks(measure::in_blocks(blocks, per_block, teller, round)?))
}
