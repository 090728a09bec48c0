// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the two processes are told to do, and what they answer: one JSON message each.

use crate::channel::{Batch, Kind};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Which half of a measurement a process is. The client measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Starts first, answers round trips, sends what goes one way.
    Server,
    /// Holds the clock.
    Client,
}

/// How messages go, and how many. Each block gives one figure; one more goes before them, to warm up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pattern {
    /// There and back. The blocks are timed as a whole, then `timed` round trips each by itself.
    RoundTrip {
        /// Blocks that count.
        blocks: u32,
        /// Round trips in each.
        per_block: u32,
        /// Round trips that are timed one by one.
        timed: u32,
    },
    /// From the server to the client, as fast as they go.
    OneWay {
        /// Blocks that count.
        blocks: u32,
        /// Messages in each.
        per_block: u32,
    },
    /// Round trips to a server that sleeps, timed one by one.
    WakeUp {
        /// How many.
        wakes: u32,
        /// Microseconds between them, for the server to fall asleep.
        pause: u32,
    },
    /// There and back within one thread.
    OneThread {
        /// Blocks that count.
        blocks: u32,
        /// Messages in each.
        per_block: u32,
    },
    /// Connections one after the other: made, accepted, closed by the server, the end read and closed by the client.
    Visits {
        /// Blocks that count.
        blocks: u32,
        /// Connections in each.
        per_block: u32,
    },
    /// Round trips on a few connections of a server that waits for all of its connections at once.
    Crowd {
        /// Connections on which nothing happens.
        idle: u32,
        /// How the server takes completions.
        batch: Batch,
        /// Blocks that count.
        blocks: u32,
        /// Messages in each.
        per_block: u32,
    },
    /// Requests of a load generator, which keeps one under way on each connection that works.
    Load {
        /// Connections that are open.
        connections: u32,
        /// Of those, so many work, spread evenly over the others.
        active: u32,
        /// Blocks that count.
        blocks: u32,
        /// Requests in each.
        per_block: u32,
        /// Requests that are timed one by one.
        timed: u32,
    },
    /// A server of many connections on which nothing happens; the figure is the share of a core that it takes.
    Asleep {
        /// Connections that are open.
        connections: u32,
        /// For so long.
        milliseconds: u32,
    },
    /// Nothing comes; the figure is the share of a core that waiting takes.
    Idle {
        /// For so long.
        milliseconds: u32,
    },
}

/// One measurement, as told to one of the two processes. Descriptors come along with it, as `channel` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Which half.
    pub role: Role,
    /// What carries the messages.
    pub kind: Kind,
    /// How they go.
    pub pattern: Pattern,
    /// Where the two sides meet.
    pub place: Place,
    /// The core that the server runs on.
    pub server_core: usize,
}

/// Where the two sides of a pipe or connection meet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// A private folder.
    pub directory: PathBuf,
    /// A name in it that no other measurement has.
    pub name: String,
    /// The port for sockets over shared memory, which no other measurement in that folder has; for the client of kernel
    /// sockets the one that the server listens at.
    pub port: u16,
}

/// What a process says about its job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// The server is there; the client can come.
    Ready {
        /// The port where the server listens, if the kernel has chosen it.
        port: Option<u16>,
    },
    /// A block is done.
    Progress(Progress),
    /// All is done.
    Done(Report),
    /// It failed, and why.
    Failed(String),
}

/// How far a job has come.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The last block's figure: nanoseconds per message or round trip.
    pub nanoseconds: f64,
}

/// What the client has measured; the server mostly has no figures, but may have facts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// One figure per block: nanoseconds per message or round trip; for [`Pattern::Idle`] and
    /// [`Pattern::Asleep`] the share of a core.
    pub blocks: Vec<f64>,
    /// Of those that were timed one by one: nanoseconds, and how often.
    pub timed: Vec<(u64, u64)>,
    /// What else was found, by name.
    pub facts: BTreeMap<String, f64>,
}

impl Report {
    /// Nothing but figures of blocks.
    pub fn of_blocks(blocks: Vec<f64>) -> Self {
        Self { blocks, ..Self::default() }
    }
}
