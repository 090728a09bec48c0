// SPDX-License-Identifier: MIT OR Apache-2.0
//! The same in one thread over two ports of `net_ring`, each of which gives back what it is given.

use super::Memif;
use crate::measure;
use crate::process::job::Report;
use crate::process::worker::Teller;
use anyhow::{Result, ensure};
use baselines::rounds::{Rounds, What};
use catnip::device::dpdk::{Dpdk, Settings};

/// Rounds before those that are timed: with the step that the clock makes for each, more than half a second.
const WARM_UP: u32 = 1 << 16;

/// Round trips of one size.
pub fn rounds(what: Memif, size: usize, blocks: u32, per_block: u32, teller: &mut Teller<'_>) -> Result<Report> {
    let what = match what {
        Memif::Frames => What::Frames,
        Memif::Datagrams => What::Datagrams,
        Memif::Stream => What::Stream,
    };
    let mut names = ["net_ring0", "net_ring1"].into_iter();
    let mut rounds =
        Rounds::new(what, size, |pools| Dpdk::open(&Settings::new(names.next().unwrap_or_default()), pools))?;
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
