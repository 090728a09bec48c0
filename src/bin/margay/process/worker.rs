// SPDX-License-Identifier: MIT OR Apache-2.0
//! One of the two processes: takes jobs from its standard input, which is a [`Link`], until that is closed.

use super::job::{Answer, Job, Progress, Role};
use super::link::Link;
use crate::{channel, clock, pin};
use anyhow::{Context, Result};
use rustix::process::{Signal, set_parent_process_death_signal};
use std::time::Instant;

/// At most so many milliseconds apart, the other process is told how far it is: a message costs it a wake-up.
const TELL_EVERY: u128 = 100;

/// Tells the process that started this one how far it has come.
pub struct Teller<'a> {
    link: &'a Link,
    last: Instant,
}

impl Teller<'_> {
    /// The server can be reached.
    pub fn ready(&self) -> Result<()> {
        self.link.send(&Answer::Ready { port: None }, &[])
    }

    /// The server can be reached at this port.
    pub fn ready_at(&self, port: u16) -> Result<()> {
        self.link.send(&Answer::Ready { port: Some(port) }, &[])
    }

    /// A block took so many nanoseconds per message.
    pub fn block(&mut self, nanoseconds: f64) -> Result<()> {
        let now = clock::now();
        if now.duration_since(self.last).as_millis() < TELL_EVERY {
            return Ok(());
        }
        self.last = now;
        self.link.send(&Answer::Progress(Progress { nanoseconds }), &[])
    }
}

/// Works until there is nothing more to do.
pub fn run(core: usize) -> Result<()> {
    // Nobody is left to stop a process that polls without end.
    set_parent_process_death_signal(Some(Signal::KILL))
        .context("cannot tie this process to the one that started it")?;
    pin::to_core(core)?;
    let link = Link::inherited()?;
    let hint = "`margay worker` is started by `margay demo` and `margay bench`, not by hand";
    while let Some((job, descriptors)) = link.receive::<Job>().context(hint)? {
        let mut teller = Teller { link: &link, last: clock::now() };
        let answer = match channel::perform(&job, descriptors, &mut teller) {
            Ok(report) => Answer::Done(report),
            Err(error) => {
                let role = if job.role == Role::Server { "server" } else { "client" };
                Answer::Failed(format!("the {role} failed: {error:#}"))
            }
        };
        link.send(&answer, &[])?;
    }
    Ok(())
}
