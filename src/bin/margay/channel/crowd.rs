// SPDX-License-Identifier: MIT OR Apache-2.0
//! A server with many connections, of which few do anything: what a completion costs it, and what a connection takes.
//!
//! Every connection has a pop pending, and the server waits for all of them at once. The client keeps one message under
//! way on each of the few connections that work, which are spread evenly over the others.

use super::margay::{accept, connect, filled, libos, listen};
use super::{Batch, MargayUse, Sockets};
use crate::measure;
use crate::memory::{self, Memory};
use crate::process::job::{Place, Report};
use crate::process::worker::Teller;
use anyhow::{Context, Result, ensure};
use margay::{Buf, Completion, LibOs, Outcome, Qd, WaitSet};
use std::collections::BTreeMap;

/// Connections that work.
pub const WORKING: u32 = 8;
/// Connections that are made at a time, fewer than the server's backlog.
const AT_ONCE: usize = 64;
/// Completions that `wait_next_n` may give at once.
const BATCH: usize = 32;

/// One crowd.
#[derive(Clone, Copy)]
pub struct Crowd<'a> {
    /// Where the two sides meet.
    pub place: &'a Place,
    /// How the sockets are used.
    pub how: MargayUse,
    /// Connections on which nothing happens.
    pub idle: u32,
    /// How the server takes completions.
    pub batch: Batch,
    /// Blocks that count.
    pub blocks: u32,
    /// Messages in each.
    pub per_block: u32,
}

impl Crowd<'_> {
    fn connections(&self) -> u32 {
        self.idle + WORKING
    }

    /// Steps of [`WORKING`] messages.
    fn steps(&self) -> u32 {
        (self.per_block / WORKING).max(1)
    }

    /// What each of its connections took, as this side sees it.
    fn facts(&self, side: &str, before: &Memory, after: &Memory) -> BTreeMap<String, f64> {
        let each = |a: u64, b: u64| (b as f64 - a as f64) / f64::from(self.connections());
        let mut facts = BTreeMap::from([
            (format!("{side} private bytes"), each(before.private, after.private)),
            (format!("{side} descriptors"), each(before.descriptors, after.descriptors)),
        ]);
        // What belongs to no process is seen by both, and told by the one that sees all of it come.
        if side == memory::SERVER {
            facts.insert(memory::SHARED.to_owned(), each(before.shared, after.shared));
            facts.insert(memory::KERNEL.to_owned(), each(before.kernel, after.kernel));
            facts.insert(memory::IDLE.to_owned(), f64::from(self.idle));
        }
        facts
    }

    /// The server's half.
    pub fn serve(&self, teller: &Teller<'_>) -> Result<Report> {
        let mut libos = libos(self.place, self.how, crate::process::job::Role::Server)?;
        let listening = listen(&mut libos, Sockets::Catloop, self.place)?;
        let before = Memory::now()?;
        teller.ready()?;
        let accepted = (0..self.connections()).map(|_| accept(&mut libos, listening));
        let connections: Vec<Qd> = accepted.collect::<Result<_>>()?;
        let reply = filled(&mut libos, self.how.size)?;
        let set = (self.batch == Batch::Set).then(|| libos.wait_set());
        for qd in connections {
            next(&mut libos, qd, set.as_ref())?;
        }
        // As a server keeps them: with a pop pending on each. The client has sent no more than one message on a few.
        let facts = self.facts(memory::SERVER, &before, &Memory::now()?);
        let mut left = u64::from(self.blocks + 1) * u64::from(self.steps()) * u64::from(WORKING);
        let mut batch = Vec::with_capacity(BATCH);
        while left > 0 {
            take(&mut libos, set.as_ref(), &mut batch)?;
            for completion in batch.drain(..) {
                answer(&mut libos, completion, &reply, set.as_ref())?;
                left -= 1;
            }
        }
        // The client closes first, having read everything.
        take(&mut libos, set.as_ref(), &mut batch)?;
        for end in batch {
            ensure!(end.into_message().context("pop")?.is_empty(), "a message came that was not asked for");
        }
        Ok(Report { facts, ..Report::default() })
    }

    /// The client's half.
    pub fn call(&self, teller: &mut Teller<'_>) -> Result<Report> {
        let mut libos = libos(self.place, self.how, crate::process::job::Role::Client)?;
        let before = Memory::now()?;
        let mut connections = Vec::new();
        while connections.len() < self.connections() as usize {
            let left = self.connections() as usize - connections.len();
            connections.extend(connect(&mut libos, self.place, left.min(AT_ONCE))?);
        }
        let facts = self.facts(memory::CLIENT, &before, &Memory::now()?);
        let message = filled(&mut libos, self.how.size)?;
        let apart = connections.len() / WORKING as usize;
        let working: Vec<Qd> = connections.iter().copied().step_by(apart).take(WORKING as usize).collect();
        let mut blocks = measure::in_blocks(self.blocks, self.steps(), teller, || {
            for &qd in &working {
                push(&mut libos, qd, &message)?;
            }
            for &qd in &working {
                let qt = libos.pop(qd, None)?;
                let popped = libos.wait(qt, None)?.into_message().context("pop")?;
                ensure!(popped.len() == self.how.size, "a message of another length came, or the end");
            }
            Ok(())
        })?;
        for block in &mut blocks {
            *block /= f64::from(WORKING);
        }
        Ok(Report { facts, ..Report::of_blocks(blocks) })
    }
}

/// Takes the next message of a connection, whenever it comes.
fn next(libos: &mut LibOs, qd: Qd, set: Option<&WaitSet>) -> Result<()> {
    let qt = libos.pop(qd, None)?;
    if let Some(set) = set {
        libos.add_to_wait_set(set, qt)?;
    }
    Ok(())
}

/// Waits for completions of any connection.
fn take(libos: &mut LibOs, set: Option<&WaitSet>, into: &mut Vec<Completion>) -> Result<()> {
    match set {
        Some(set) => into.push(libos.wait_in_set(set, None)?),
        None => {
            libos.wait_next_n(into, BATCH, None)?;
        }
    }
    Ok(())
}

fn answer(libos: &mut LibOs, completion: Completion, reply: &Buf, set: Option<&WaitSet>) -> Result<()> {
    let qd = completion.qd;
    let message = completion.into_message().context("pop")?;
    ensure!(message.len() == reply.len(), "a message of another length came, or the end");
    push(libos, qd, reply)?;
    next(libos, qd, set)
}

fn push(libos: &mut LibOs, qd: Qd, message: &Buf) -> Result<()> {
    let qt = libos.push(qd, &message[..])?;
    ensure!(matches!(libos.wait(qt, None)?.outcome, Outcome::Push), "a push failed");
    Ok(())
}
