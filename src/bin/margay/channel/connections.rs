// SPDX-License-Identifier: MIT OR Apache-2.0
//! What one thread does alone with connections of Margay's own stack: those that come and go, one beside many that are idle, and many
//! bytes over one, beside the least that has to be done to them.

use super::Bulk;
use crate::clock;
use crate::measure;
use crate::memory::{IDLE, Memory};
use crate::process::job::Report;
use crate::process::worker::Teller;
use anyhow::{Result, ensure};
use baselines::bulk;
use baselines::connections::{Crowd, Visits};

/// The facts that tell how many nanoseconds a look at the stack's timers takes, and how many bytes an idle connection has at either end.
pub const POLL: &str = "nanoseconds of a poll";
/// See [`POLL`].
pub const IDLE_BYTES: &str = "bytes of an idle connection";

/// Connections before those that are timed: each port has been used then, and what is remembered is at its bound.
const WARM_UP: u32 = 70_000;
/// Messages before those that are timed: with the step that the clock makes for each, more than the longest of the timers.
const MESSAGES: u32 = 1 << 16;
/// Looks at the timers for one figure, and figures.
const POLLS: u32 = 10_000;
const FIGURES: u32 = 32;

/// Connections one after the other.
pub fn come_and_go(blocks: u32, per_block: u32, teller: &mut Teller<'_>) -> Result<Report> {
    let mut visits = Visits::new()?;
    let mut visit = || {
        ensure!(visits.visit(), "a connection did not come or go as it should");
        Ok(())
    };
    for _ in 0..WARM_UP {
        visit()?;
    }
    measure::in_blocks(blocks, per_block, teller, visit).map(Report::of_blocks)
}

/// Messages on one connection beside `idle` others, and looks at the timers of all.
pub fn beside(idle: u32, blocks: u32, per_block: u32, teller: &mut Teller<'_>) -> Result<Report> {
    // What cannot be read shows as no memory at all.
    let mut crowd = Crowd::new(idle, || Memory::now().map_or(0, |memory| memory.private))?;
    ensure!(crowd.connections() == idle + 1, "{} of {} connections stand", crowd.connections(), idle + 1);
    let poll = |_| {
        let start = clock::now();
        (0..POLLS).for_each(|_| crowd.poll());
        clock::nanoseconds_since(start) as f64 / f64::from(POLLS)
    };
    let polls: Vec<f64> = (0..FIGURES).map(poll).collect();
    let mut message = || {
        let done = crowd.message();
        ensure!(done > 0, "a message did not arrive");
        Ok(())
    };
    for _ in 0..MESSAGES {
        message()?;
    }
    let mut report = Report::of_blocks(measure::in_blocks(blocks, per_block, teller, message)?);
    report.facts.insert(POLL.to_owned(), crate::bench::median(&polls));
    report.facts.insert(IDLE.to_owned(), f64::from(idle));
    report.facts.insert(IDLE_BYTES.to_owned(), crowd.bytes() as f64);
    Ok(report)
}

/// Messages of many bytes.
pub fn bulk(bulk: Bulk, size: usize, blocks: u32, per_block: u32, teller: &mut Teller<'_>) -> Result<Report> {
    ensure!(size == bulk::MESSAGE, "messages have {} bytes", bulk::MESSAGE);
    let mut through: Box<dyn FnMut() -> usize> = match bulk {
        Bulk::Stream => {
            let mut stream = bulk::Bulk::new()?;
            Box::new(move || stream.message())
        }
        Bulk::BothEnds | Bulk::Once => {
            let mut copied = bulk::Copied::new(bulk == Bulk::BothEnds);
            Box::new(move || copied.message())
        }
    };
    // Windows have grown by then.
    let mut bytes = 0;
    for _ in 0..MESSAGES / 16 {
        bytes += through();
    }
    ensure!(bytes == size * (MESSAGES / 16) as usize, "not all bytes arrived");
    let figures = measure::in_blocks(blocks, per_block, teller, || {
        let done = through();
        ensure!(done == size, "{done} of the {size} bytes of a message arrived");
        Ok(())
    });
    figures.map(Report::of_blocks)
}
