// SPDX-License-Identifier: MIT OR Apache-2.0
//! Clocks, rates, percentiles, random numbers, hexadecimal.

use margay::{LibOs, Sga};
use std::fmt::Write;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

/// Bytes of a message that [`head`] shows.
const SHOWN: usize = 16;
/// Parts of each power of two that a [`Latencies`] tells apart: its percentiles are right to one sixteenth.
const PARTS: u64 = 16;
/// Longest sleep between two looks at the queues.
const NAP: Duration = Duration::from_millis(1);

/// The time, as seen from outside the library.
#[expect(clippy::disallowed_methods, reason = "an example measures from outside")]
pub fn now() -> Instant {
    Instant::now()
}

/// How many a second.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub fn per_second(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64().max(1e-9)
}

/// Nanoseconds for each of `count`.
pub fn each(took: Duration, count: u64) -> u128 {
    took.as_nanos() / u128::from(count.max(1))
}

/// How long things took: counted by length, in a fixed amount of memory.
pub struct Latencies {
    counts: Vec<u64>,
    total: u64,
}

impl Latencies {
    pub fn new() -> Self {
        Self { counts: vec![0; 64 * PARTS as usize], total: 0 }
    }

    pub fn add(&mut self, took: Duration) {
        let nanoseconds = took.as_nanos() as u64;
        // Below PARTS each length has a place of its own; from there on, each power of two has PARTS.
        let shift = (nanoseconds | PARTS).ilog2() - PARTS.ilog2();
        let place = u64::from(shift) * PARTS + (nanoseconds >> shift);
        self.counts[place as usize] += 1;
        self.total += 1;
    }

    /// So many of a hundred took at most this long, in microseconds.
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub fn percentile(&self, percent: u64) -> f64 {
        let wanted = (self.total * percent).div_ceil(100);
        let mut seen = 0;
        for (place, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                let shift = (place as u64 / PARTS).saturating_sub(1);
                return ((place as u64 - shift * PARTS) << shift) as f64 * 1e-3;
            }
        }
        0.0
    }
}

/// SplitMix64.
pub struct Random(u64);

impl Random {
    /// The numbers of this seed, or of a new one if it is 0; says which.
    pub fn new(seed: u64) -> Self {
        let seed = if seed == 0 { RandomState::new().hash_one(seed) } else { seed };
        println!("seed {seed}");
        Self(seed)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    }
}

/// So many things a second, evenly.
pub struct Pace {
    start: Instant,
    rate: u64,
}

impl Pace {
    /// Begins now. A rate of 0 never waits.
    pub fn new(rate: u64) -> Self {
        Self { start: now(), rate }
    }

    /// Waits until thing `number` is due. Meanwhile the LibOs goes on with its work.
    pub fn wait(&self, libos: &mut LibOs, number: u64) {
        if self.rate == 0 {
            return;
        }
        let due = Duration::from_nanos((u128::from(number) * 1_000_000_000 / u128::from(self.rate)) as u64);
        loop {
            let left = due.saturating_sub(self.start.elapsed());
            if left.is_zero() {
                return;
            }
            libos.poll();
            std::thread::sleep(left.min(NAP));
        }
    }

    /// Since the beginning.
    pub fn took(&self) -> Duration {
        self.start.elapsed()
    }
}

/// The first bytes of a message, in hexadecimal.
pub fn head(message: &Sga) -> String {
    let mut bytes = [0; SHOWN];
    let len = message.copy_to_slice(&mut bytes);
    let mut text = String::new();
    for byte in &bytes[..len] {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x} ");
    }
    if message.len() > SHOWN {
        text.push_str("...");
    }
    text.trim_end().to_owned()
}
