// SPDX-License-Identifier: MIT OR Apache-2.0
//! The words in which a back end says what is measured of it, and what is asked.

use super::Run;
use crate::channel::Kind;
use crate::process::job::Pattern;
use anyhow::Result;

/// Message sizes of what goes one way.
pub const SIZES: [usize; 4] = [64, 1 << 10, 16 << 10, 64 << 10];

/// Everything about the bench of one back end.
pub struct Suite {
    /// The back end.
    pub name: &'static str,
    /// What is measured; less of everything if quick.
    pub plan: fn(quick: bool) -> Plan,
    /// What is shown below the machine.
    pub body: fn(&Run) -> Result<String>,
    /// What stands over the titles of the goals, and over what they are compared with.
    pub columns: [&'static str; 2],
    /// What is asked, in the order in which it is shown.
    pub goals: &'static [Goal],
    /// What is drawn as bars, group by group: what the groups are called.
    pub groups: &'static [&'static str],
    /// What stands in each group: what it is called, and its series, one for each group.
    pub bars: &'static [(&'static str, &'static [&'static str])],
    /// What has percentiles: what it is called, and its series.
    pub timed: &'static [(&'static str, &'static str)],
    /// What goes one way: what it is called, and its series without the sizes.
    pub one_way: &'static [(&'static str, &'static str)],
    /// Servers of crowds: what they wait with, and their series with few, some and many idle connections.
    pub crowds: &'static [(&'static str, [&'static str; 3])],
}

/// One thing to measure.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its name: who, how, and bytes per message.
    pub key: String,
    /// Bytes per message.
    pub size: usize,
    /// What carries the messages.
    pub kind: Kind,
    /// How they go.
    pub pattern: Pattern,
}

/// Items that take turns, each limit beside what is compared with it.
pub struct Turns {
    /// How often.
    pub rounds: u32,
    /// What.
    pub items: Vec<Item>,
    /// Each item in two new processes, whose memory shows nothing of what was before.
    pub fresh: bool,
    /// In two processes that have a network each, joined by a veth pair.
    pub apart: bool,
}

impl Turns {
    /// None yet.
    pub fn new(rounds: u32) -> Self {
        Self { rounds, items: Vec::new(), fresh: false, apart: false }
    }

    /// Adds one with the size of its messages behind its name.
    pub fn add(&mut self, name: &str, size: usize, kind: Kind, pattern: impl FnOnce(Kind) -> Pattern) {
        self.items.push(Item { key: format!("{name}/{size}"), size, kind, pattern: pattern(kind) });
    }
}

/// Everything to measure, one group after the other.
pub struct Plan(pub Vec<Turns>);

impl Plan {
    /// How often the first group, where the ratios come from, takes turns.
    pub fn rounds(&self) -> u32 {
        self.0.first().map_or(0, |turns| turns.rounds)
    }

    /// The numbers of connections of all items that have many.
    pub fn crowds(&mut self) -> impl Iterator<Item = &mut u32> {
        self.0.iter_mut().flat_map(|turns| &mut turns.items).filter_map(|item| match &mut item.pattern {
            Pattern::Crowd { idle: many, .. }
            | Pattern::Load { connections: many, .. }
            | Pattern::Asleep { connections: many, .. } => Some(many),
            _ => None,
        })
    }

    /// All items.
    #[cfg(test)]
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.0.iter().flat_map(|turns| &turns.items)
    }
}

/// How a goal's figure is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Time per message or round trip.
    Time,
    /// Messages, or connections, per second.
    Rate,
    /// Bytes per second.
    Bandwidth,
    /// Share of a core.
    Share,
    /// How many of something for each message.
    Count,
}

/// What of a series is a goal's figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Of {
    /// The median of its blocks, of one round for a ratio.
    Blocks,
    /// A percentile of what was timed one by one.
    Percentile(f64),
    /// What else was found, by its name.
    Fact(&'static str),
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Asked {
    /// At most so many times the time of what it is compared with.
    TimesLimit(f64),
    /// At least so many times faster than what it is compared with.
    TimesFaster(f64),
    /// At least this share of the limit's bandwidth.
    OfLimit(f64),
    /// At most this figure.
    AtMost(f64),
    /// At least this figure.
    AtLeast(f64),
    /// Nothing: shown beside its limit.
    Nothing,
}

/// One figure of Margay's, with its limit and what is asked of it.
#[derive(Clone, Copy, Debug)]
pub struct Goal {
    /// What people call it.
    pub title: &'static str,
    /// The series of the figure.
    pub key: &'static str,
    /// The series of the limit, or of what else it is compared with.
    pub limit: Option<&'static str>,
    /// What of both series.
    pub of: Of,
    /// How it is told.
    pub told: Told,
    /// What is asked.
    pub asked: Asked,
}

/// A goal.
pub const fn goal(
    title: &'static str,
    key: &'static str,
    limit: Option<&'static str>,
    told: Told,
    asked: Asked,
) -> Goal {
    Goal { title, key, limit, of: Of::Blocks, told, asked }
}

#[cfg(test)]
mod tests {
    use super::super::{catloop, catmem, dpdk, network, sockets};
    use super::Suite;
    use crate::channel::Sockets;

    #[test]
    fn every_goal_is_measured_and_every_key_is_there_once() {
        let kernel = |which: &[Sockets]| sockets::suite(which);
        let both = [Sockets::Catcollar, Sockets::Catnap];
        let suites: [&Suite; 9] = [
            &catmem::SUITE,
            &catloop::SUITE,
            kernel(&both),
            kernel(&both[..1]),
            kernel(&both[1..]),
            network::suite(true),
            network::suite(false),
            dpdk::suite(true),
            dpdk::suite(false),
        ];
        for (suite, quick) in suites.into_iter().flat_map(|suite| [(suite, true), (suite, false)]) {
            let plan = (suite.plan)(quick);
            let mut keys: Vec<&str> = plan.items().map(|item| item.key.as_str()).collect();
            for goal in suite.goals {
                assert!(keys.contains(&goal.key), "{}", goal.key);
                assert!(goal.limit.is_none_or(|limit| keys.contains(&limit)), "{}", goal.title);
            }
            let bars = suite.bars.iter().flat_map(|(_, keys)| *keys);
            assert!(suite.bars.iter().all(|(_, keys)| keys.len() == suite.groups.len()));
            let crowds = suite.crowds.iter().flat_map(|(_, keys)| keys);
            for key in suite.timed.iter().map(|(_, key)| key).chain(crowds).chain(bars) {
                assert!(keys.contains(key), "{key}");
            }
            for (title, name) in suite.one_way {
                assert!(
                    super::SIZES.iter().all(|size| keys.contains(&format!("{name}/one way/{size}").as_str())),
                    "{title}"
                );
            }
            keys.sort_unstable();
            keys.windows(2).for_each(|pair| assert_ne!(pair[0], pair[1]));
        }
    }
}
