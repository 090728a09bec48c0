// SPDX-License-Identifier: MIT OR Apache-2.0
//! What one thread does alone: datagrams and messages of streams through a stack over a device that is memory, and loops over bytes.

use super::{Stack, Way, Work};
use crate::measure;
use crate::process::job::Report;
use crate::process::worker::Teller;
use anyhow::{Context, Result, ensure};
use baselines::allocations;
use baselines::bytes::Bytes;
use baselines::datagrams::{BURST, Copy, Datagrams, Margay, Smoltcp, frame_len};
use baselines::streams::{self, Streams};
use std::hint::black_box;

/// The fact that tells how often a datagram allocates.
pub const PER_DATAGRAM: &str = "allocations per datagram";

/// Messages before those that are timed: with the step that the clock makes for each, more than half a second.
const WARM_UP: u32 = 1 << 16;

/// Datagrams of one size through a stack.
pub fn through(
    stack: Stack,
    way: Way,
    size: usize,
    blocks: u32,
    per_block: u32,
    teller: &mut Teller<'_>,
) -> Result<Report> {
    if way == Way::Stream {
        return match stack {
            Stack::Margay => messages(&mut streams::Margay::new(size)?, size, blocks, per_block, teller),
            Stack::Smoltcp => {
                let mut smoltcp = streams::Smoltcp::new(size).context("smoltcp's ends do not meet")?;
                messages(&mut smoltcp, size, blocks, per_block, teller)
            }
            Stack::Copy => bursts(&mut Copy::new(size), way, size, blocks, per_block, teller),
        };
    }
    match stack {
        Stack::Margay => bursts(&mut Margay::new(size)?, way, size, blocks, per_block, teller),
        Stack::Smoltcp => bursts(&mut Smoltcp::new(size)?, way, size, blocks, per_block, teller),
        Stack::Copy => bursts(&mut Copy::new(size), way, size, blocks, per_block, teller),
    }
}

fn bursts(
    stack: &mut impl Datagrams,
    way: Way,
    size: usize,
    blocks: u32,
    per_block: u32,
    teller: &mut Teller<'_>,
) -> Result<Report> {
    let (mut counted, mut bursts) = (0, 0_u64);
    let mut burst = |counts: bool| -> Result<()> {
        let before = allocations();
        let (done, all) = match way {
            Way::In => (stack.receive(), BURST * size),
            Way::Out => (stack.send(), BURST * frame_len(size)),
            Way::Stream => (stack.send() + stack.receive(), BURST * (frame_len(size) + size)),
        };
        if counts {
            counted += allocations() - before;
            bursts += 1;
        }
        ensure!(done == all, "{done} of the {all} bytes of a burst went through");
        Ok(())
    };
    // The first one makes the queues as long as they have to be.
    burst(false)?;
    let figures = measure::in_blocks(blocks, per_block.div_ceil(BURST as u32), teller, || burst(true))?;
    let mut report = Report::of_blocks(figures.iter().map(|burst| burst / BURST as f64).collect());
    report.facts.insert(PER_DATAGRAM.to_owned(), counted as f64 / (bursts * BURST as u64) as f64);
    Ok(report)
}

/// A loop over bytes in the cache.
pub fn over(work: Work, size: usize, blocks: u32, per_block: u32, teller: &mut Teller<'_>) -> Result<Report> {
    let mut bytes = Bytes::new(size);
    let figures = match work {
        Work::Checksum => measure::in_blocks(blocks, per_block, teller, || {
            black_box(bytes.checksum());
            Ok(())
        }),
        Work::Read => measure::in_blocks(blocks, per_block, teller, || {
            black_box(bytes.read());
            Ok(())
        }),
        Work::Copy => measure::in_blocks(blocks, per_block, teller, || {
            bytes.copy();
            Ok(())
        }),
    };
    figures.map(Report::of_blocks)
}

/// Messages of one size over a stream.
fn messages(
    ends: &mut impl Streams,
    size: usize,
    blocks: u32,
    per_block: u32,
    teller: &mut Teller<'_>,
) -> Result<Report> {
    let (mut counted, mut messages) = (0, 0_u64);
    let mut message = |counts: bool| -> Result<()> {
        let before = allocations();
        let done = ends.message(0);
        if counts {
            counted += allocations() - before;
            messages += 1;
        }
        ensure!(done == size, "{done} of the {size} bytes of a message arrived");
        Ok(())
    };
    // The first ones make queues and tables as long as they have to be: each timer has fired once by then.
    for _ in 0..WARM_UP {
        message(false)?;
    }
    let figures = measure::in_blocks(blocks, per_block, teller, || message(true))?;
    let mut report = Report::of_blocks(figures);
    report.facts.insert(PER_DATAGRAM.to_owned(), counted as f64 / messages as f64);
    Ok(report)
}
