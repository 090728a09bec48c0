// SPDX-License-Identifier: MIT OR Apache-2.0
//! A Margay pipe, used as an application would: push, wait; pop, wait.

use super::copy_ring::fold;
use super::{Channel, PipeUse, Read, Wait};
use crate::clock;
use crate::measure;
use crate::process::job::{Place, Report, Role};
use crate::process::worker::Teller;
use anyhow::{Context, Result, bail, ensure};
use margay::config::Spin;
use margay::{Buf, Config, Errno, LibOs, Outcome, Qd};
use std::hint::black_box;
use std::time::Duration;

/// How long a pipe's own memory may be used up before something is wrong.
const MEMORY_DEADLINE: Duration = Duration::from_secs(10);

/// One end.
pub struct Pipe {
    libos: LibOs,
    qd: Qd,
    how: PipeUse,
    message: Buf,
}

impl Pipe {
    /// The end of `role`: the server makes the pipe, the client opens it.
    pub fn new(place: &Place, role: Role, how: PipeUse) -> Result<Self> {
        let mut libos = LibOs::new(&config(place, how.wait, role)?)?;
        let qd = match role {
            Role::Server => libos.create_pipe(&place.name),
            Role::Client => libos.open_pipe(&place.name),
        };
        let qd = qd.with_context(|| format!("cannot get at the pipe in {}", place.directory.display()))?;
        let message = filled(&mut libos, how.size)?;
        Ok(Self { libos, qd, how, message })
    }

    /// Memory of the pipe itself; waits while all of it is with the reader.
    fn memory(&mut self) -> Result<Buf> {
        let mut since = None;
        loop {
            match self.libos.alloc_on(self.qd, self.how.size) {
                Err(error) if error.errno() == Errno::NOBUFS => {}
                other => return other.context("alloc_on"),
            }
            if clock::now().duration_since(*since.get_or_insert_with(clock::now)) > MEMORY_DEADLINE {
                bail!("the reader does not give the pipe's memory back");
            }
            // A reader that has not come yet is let in by this.
            self.libos.poll();
        }
    }
}

impl Channel for Pipe {
    #[inline]
    fn send(&mut self) -> Result<()> {
        let qt = if self.how.handed_over {
            let mut memory = self.memory()?;
            memory.get_mut().context("new memory has no second view")?.copy_from_slice(&self.message);
            self.libos.push(self.qd, memory)?
        } else {
            self.libos.push(self.qd, &self.message[..])?
        };
        match self.libos.wait(qt, None)?.outcome {
            Outcome::Push => Ok(()),
            Outcome::Failed(error) => Err(error).context("push"),
            other => bail!("a push ended as {other:?}"),
        }
    }

    #[inline]
    fn receive(&mut self) -> Result<()> {
        let qt = match self.how.read {
            Read::Copy => self.libos.pop(self.qd, None)?,
            Read::InPlace => self.libos.pop_in_place(self.qd)?,
        };
        let message = self.libos.wait(qt, None)?.into_message().context("pop")?;
        ensure!(message.len() == self.how.size, "a message of another length came, or the end");
        if self.how.read == Read::InPlace {
            for part in &message {
                black_box(fold(part));
            }
        }
        Ok(())
    }

    fn wait_in_vain(&mut self, time: Duration) -> Result<()> {
        let qt = self.libos.pop(self.qd, None)?;
        match self.libos.wait(qt, Some(time)) {
            Err(error) if error.errno() == Errno::TIMEDOUT => {}
            Err(error) => return Err(error.into()),
            Ok(_) => bail!("a message came that nobody had sent"),
        }
        self.libos.cancel(qt)?;
        Ok(())
    }
}

/// Both ends in one LibOs: push, wait, pop, wait.
pub fn one_thread(place: &Place, how: PipeUse, blocks: u32, per_block: u32, teller: &mut Teller<'_>) -> Result<Report> {
    let mut libos = LibOs::new(&config(place, how.wait, Role::Client)?)?;
    let (made, opened) = (libos.create_pipe(&place.name)?, libos.open_pipe(&place.name)?);
    let message = filled(&mut libos, how.size)?;
    let blocks = measure::in_blocks(blocks, per_block, teller, || {
        let qt = libos.push(opened, &message[..])?;
        ensure!(matches!(libos.wait(qt, None)?.outcome, Outcome::Push), "a push failed");
        let qt = libos.pop(made, None)?;
        let popped = libos.wait(qt, None)?.into_message().context("pop")?;
        ensure!(popped.len() == how.size, "a message of another length came");
        Ok(())
    })?;
    Ok(Report { blocks, timed: Vec::new() })
}

fn filled(libos: &mut LibOs, size: usize) -> Result<Buf> {
    let mut message = libos.alloc(size)?;
    message.get_mut().context("a new buffer has no second view")?.fill(7);
    Ok(message)
}

fn config(place: &Place, wait: Wait, role: Role) -> Result<Config> {
    let mut config = match wait {
        Wait::Configured => Config::from_env()?,
        _ => Config::default(),
    };
    config.catmem.directory = Some(place.directory.clone());
    match (wait, role) {
        (Wait::Poll, _) | (Wait::ServerSleeps, Role::Client) => config.wait.spin = Spin::Forever,
        (Wait::ServerSleeps, Role::Server) => config.wait.spin = Spin::For(Duration::ZERO),
        (Wait::Configured | Wait::Default, _) => {}
    }
    Ok(config)
}
