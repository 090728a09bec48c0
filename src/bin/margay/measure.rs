// SPDX-License-Identifier: MIT OR Apache-2.0
//! How messages are timed, the same way for everything that can carry them.
//!
//! A block is timed as a whole, so that no clock is read between its messages; the first one warms up and does not
//! count. Percentiles come from round trips with a reading of the clock before and after each.

use crate::channel::{Channel, Visits};
use crate::clock;
use crate::process::job::{Pattern, Report, Role};
use crate::process::worker::Teller;
use anyhow::{Result, bail};
use hdrhistogram::Histogram;
use std::time::Duration;

/// The longest time that a histogram tells from longer ones, in nanoseconds.
const LONGEST: u64 = 10_000_000_000;

const NO_CHANNEL: &str = "this is not measured over one channel between two processes";

/// An empty histogram of nanoseconds, three digits deep.
pub fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, LONGEST, 3)?)
}

/// Runs one half of a measurement over a channel.
pub fn run(channel: &mut impl Channel, role: Role, pattern: Pattern, teller: &mut Teller<'_>) -> Result<Report> {
    match role {
        Role::Server => serve(channel, pattern).map(|()| Report::default()),
        Role::Client => call(channel, pattern, teller),
    }
}

/// Answers, or sends, as a pattern wants it.
pub fn serve(channel: &mut impl Channel, pattern: Pattern) -> Result<()> {
    match pattern {
        Pattern::RoundTrip { blocks, per_block, timed } => answer(channel, all(blocks, per_block) + u64::from(timed)),
        Pattern::WakeUp { wakes, .. } => answer(channel, u64::from(wakes)),
        Pattern::OneWay { blocks, per_block } => {
            for _ in 0..all(blocks, per_block) {
                channel.send()?;
            }
            channel.receive()
        }
        Pattern::Idle { .. } => channel.receive(),
        Pattern::OneThread { .. }
        | Pattern::Visits { .. }
        | Pattern::Crowd { .. }
        | Pattern::Load { .. }
        | Pattern::Asleep { .. } => bail!(NO_CHANNEL),
    }
}

fn answer(channel: &mut impl Channel, times: u64) -> Result<()> {
    for _ in 0..times {
        channel.receive()?;
        channel.send()?;
    }
    Ok(())
}

fn call(channel: &mut impl Channel, pattern: Pattern, teller: &mut Teller<'_>) -> Result<Report> {
    match pattern {
        Pattern::RoundTrip { blocks, per_block, timed } => {
            let blocks = in_blocks(blocks, per_block, teller, || {
                channel.send()?;
                channel.receive()
            })?;
            let mut times = histogram()?;
            for _ in 0..timed {
                times.saturating_record(round_trip(channel)?);
            }
            Ok(Report { timed: recorded(&times), ..Report::of_blocks(blocks) })
        }
        Pattern::OneWay { blocks, per_block } => {
            let blocks = in_blocks(blocks, per_block, teller, || channel.receive())?;
            channel.send()?;
            Ok(Report::of_blocks(blocks))
        }
        Pattern::WakeUp { wakes, pause } => {
            let mut times = histogram()?;
            let mut blocks = Vec::with_capacity(wakes as usize);
            for _ in 0..wakes {
                // Awake itself, so that only the other side's waking is measured.
                let start = clock::now();
                while clock::nanoseconds_since(start) < u64::from(pause) * 1000 {
                    std::hint::spin_loop();
                }
                let time = round_trip(channel)?;
                times.saturating_record(time);
                blocks.push(time as f64);
                teller.block(time as f64)?;
            }
            Ok(Report { timed: recorded(&times), ..Report::of_blocks(blocks) })
        }
        Pattern::Idle { milliseconds } => {
            let time = Duration::from_millis(milliseconds.into());
            let (start, used) = (clock::now(), clock::processor_time());
            channel.wait_in_vain(time)?;
            let used = clock::processor_time().saturating_sub(used);
            let share = used.as_secs_f64() / clock::now().duration_since(start).as_secs_f64();
            channel.send()?;
            Ok(Report::of_blocks(vec![share]))
        }
        Pattern::OneThread { .. }
        | Pattern::Visits { .. }
        | Pattern::Crowd { .. }
        | Pattern::Load { .. }
        | Pattern::Asleep { .. } => bail!(NO_CHANNEL),
    }
}

/// Runs one half of a measurement of connections that come and go.
pub fn visits(side: &mut impl Visits, role: Role, pattern: Pattern, teller: &mut Teller<'_>) -> Result<Report> {
    let Pattern::Visits { blocks, per_block } = pattern else { bail!("connections that come and go are visits") };
    if role == Role::Client {
        return in_blocks(blocks, per_block, teller, || side.visit()).map(Report::of_blocks);
    }
    for _ in 0..all(blocks, per_block) {
        side.visit()?;
    }
    Ok(Report::default())
}

fn round_trip(channel: &mut impl Channel) -> Result<u64> {
    let start = clock::now();
    channel.send()?;
    channel.receive()?;
    Ok(clock::nanoseconds_since(start))
}

/// Nanoseconds for one step, once per block.
pub fn in_blocks(
    blocks: u32,
    per_block: u32,
    teller: &mut Teller<'_>,
    mut step: impl FnMut() -> Result<()>,
) -> Result<Vec<f64>> {
    let mut figures = Vec::with_capacity(blocks as usize + 1);
    for _ in 0..=blocks {
        let start = clock::now();
        for _ in 0..per_block {
            step()?;
        }
        let figure = clock::nanoseconds_since(start) as f64 / f64::from(per_block);
        figures.push(figure);
        teller.block(figure)?;
    }
    figures.remove(0);
    Ok(figures)
}

/// What all blocks take, with the one that warms up.
pub fn all(blocks: u32, per_block: u32) -> u64 {
    (u64::from(blocks) + 1) * u64::from(per_block)
}

/// A histogram as a report has it.
pub fn recorded(times: &Histogram<u64>) -> Vec<(u64, u64)> {
    times.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())).collect()
}
