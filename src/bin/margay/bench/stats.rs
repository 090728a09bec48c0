// SPDX-License-Identifier: MIT OR Apache-2.0
//! Figures from blocks: medians, and percentiles of what was timed one by one.

use super::plan::Item;
use crate::measure::histogram;
use crate::process::job::Report;
use anyhow::Result;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;

/// The percentiles that are shown.
pub const PERCENTILES: [f64; 5] = [50.0, 90.0, 99.0, 99.9, 99.99];

/// All blocks of one item, over all rounds.
pub struct Series {
    /// The item's name.
    pub key: String,
    /// Bytes per message.
    pub size: usize,
    /// One figure per block.
    pub blocks: Vec<f64>,
    /// The median of each round's blocks.
    pub rounds: Vec<f64>,
    /// What was timed one by one, in nanoseconds.
    pub timed: Histogram<u64>,
    /// What else was found, in each round.
    pub facts: BTreeMap<String, Vec<f64>>,
}

impl Series {
    /// An empty one.
    pub fn new(item: &Item) -> Result<Self> {
        Ok(Self {
            key: item.key.clone(),
            size: item.size,
            blocks: Vec::new(),
            rounds: Vec::new(),
            timed: histogram()?,
            facts: BTreeMap::new(),
        })
    }

    /// Adds what a round gave.
    pub fn add(&mut self, report: &Report) {
        self.blocks.extend_from_slice(&report.blocks);
        self.rounds.push(median(&report.blocks));
        for &(value, count) in &report.timed {
            self.timed.saturating_record_n(value, count);
        }
        for (name, &value) in &report.facts {
            self.facts.entry(name.clone()).or_default().push(value);
        }
    }

    /// The median of a fact over the rounds.
    pub fn fact(&self, name: &str) -> Option<f64> {
        self.facts.get(name).map(|values| median(values))
    }

    /// The median of the blocks.
    pub fn median(&self) -> f64 {
        median(&self.blocks)
    }

    /// This series' time as a multiple of another's, round by round, and the median of that: the two of a round are
    /// measured next to each other, so what changes between rounds (a virtual machine's cores move) is left out.
    pub fn times(&self, other: &Self) -> f64 {
        let quotients: Vec<f64> = self.rounds.iter().zip(&other.rounds).map(|(mine, theirs)| mine / theirs).collect();
        median(&quotients)
    }

    /// A percentile in nanoseconds, if enough was timed to know it.
    pub fn percentile(&self, percentile: f64) -> Option<u64> {
        let beyond = self.timed.len() as f64 * (100.0 - percentile) / 100.0;
        // A little below 1, because 100 - 99.9 is not 0.1 to a computer.
        (beyond >= 0.999).then(|| self.timed.value_at_percentile(percentile))
    }
}

/// The middle one, or the mean of the two in the middle; 0 of nothing.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        len if len % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::Kind;
    use crate::process::job::Pattern;

    #[test]
    fn the_median_ignores_what_disturbs() {
        assert_eq!(median(&[]).to_bits(), 0.0_f64.to_bits());
        assert!((median(&[3.0, 1.0, 900.0]) - 3.0).abs() < 1e-9);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
    }

    #[test]
    fn a_ratio_is_taken_within_rounds() {
        let item = Item { key: String::new(), size: 64, kind: Kind::Futex, pattern: Pattern::Idle { milliseconds: 0 } };
        let mut both = [Series::new(&item).expect("empty"), Series::new(&item).expect("empty")];
        for (speed, figure) in [(1.0, 1.5), (4.0, 1.5), (4.0, 1.5)] {
            both[0].add(&Report::of_blocks(vec![100.0 * speed]));
            both[1].add(&Report::of_blocks(vec![100.0 * speed * figure]));
        }
        assert!((both[1].times(&both[0]) - 1.5).abs() < 1e-9);
    }

    #[test]
    fn a_percentile_is_given_only_if_something_lies_beyond_it() {
        let pattern = Pattern::Idle { milliseconds: 0 };
        let item = Item { key: "x".to_owned(), size: 64, kind: Kind::Futex, pattern };
        let mut series = Series::new(&item).expect("an empty series");
        series.add(&Report { timed: vec![(100, 990), (5_000, 10)], ..Report::of_blocks(vec![1.0]) });
        assert_eq!(series.percentile(50.0), Some(100));
        assert!(series.percentile(99.9).is_some_and(|value| value.abs_diff(5_000) < 5));
        assert_eq!(series.percentile(99.99), None);
    }
}
