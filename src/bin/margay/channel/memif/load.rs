// SPDX-License-Identifier: MIT OR Apache-2.0
//! A load generator on Margay's own stack, one request under way on each socket; and the server that sends datagrams back.

use super::{Memif, server};
use crate::channel::echo::facts;
use crate::measure::{self, all};
use crate::process::job::{Pattern, Report};
use crate::process::worker::Teller;
use anyhow::{Context, Result, bail, ensure};
use baselines::Meter;
use margay::{Buf, Completion, Domain, Kind, LibOs, Outcome, Qd, SocketOption};
use std::net::SocketAddr;
use std::time::Duration;

/// Completions that are taken at once.
const BATCH: usize = 64;
/// How long an answer may take: a datagram that was dropped does not come again.
const LOST: Duration = Duration::from_secs(5);
/// How long the server waits for a request: longer than its client takes to come.
const SILENCE: Duration = Duration::from_secs(20);

/// The generator.
struct Load {
    libos: LibOs,
    what: Memif,
    size: usize,
    request: Buf,
    sockets: u32,
    /// None are sent any more.
    ends: bool,
    /// What is done and was not looked at.
    done: Vec<Completion>,
}

/// Does the client's half of a [`Pattern::Load`].
pub fn call(libos: LibOs, what: Memif, size: usize, pattern: Pattern, teller: &mut Teller<'_>) -> Result<Report> {
    let Pattern::Load { connections, blocks, per_block, .. } = pattern else { bail!("a load generator makes load") };
    let mut load = Load::new(libos, what, size)?;
    for _ in 0..connections {
        let qd = load.connected()?;
        load.send(qd)?;
        load.libos.pop(qd, None)?;
        if load.sockets == 1 {
            load.meet()?;
        }
    }
    let blocks = measure::in_blocks(blocks, per_block, teller, || load.answer())?;
    load.end();
    Ok(Report::of_blocks(blocks))
}

impl Load {
    fn new(mut libos: LibOs, what: Memif, size: usize) -> Result<Self> {
        let request = crate::channel::margay::filled(&mut libos, size)?;
        Ok(Self { libos, what, size, request, sockets: 0, ends: false, done: Vec::with_capacity(BATCH) })
    }

    /// One more socket.
    fn connected(&mut self) -> Result<Qd> {
        let kind = if self.what == Memif::Stream { Kind::Stream } else { Kind::Datagram };
        let qd = self.libos.socket(Domain::V4, kind)?;
        if kind == Kind::Stream {
            self.libos.set_option(qd, SocketOption::NoDelay(true))?;
        }
        let qt = self.libos.connect(qd, server().into())?;
        self.libos.wait(qt, Some(LOST))?.ok().context("connect")?;
        self.sockets += 1;
        Ok(qd)
    }

    /// Until the first answer is there. While a stack asks for the server's link address, it keeps so many datagrams back and drops the
    /// others.
    fn meet(&mut self) -> Result<()> {
        while self.done.iter().all(|completion| matches!(completion.outcome, Outcome::Push)) {
            self.libos.wait_next_n(&mut self.done, BATCH, Some(LOST)).context("the first answer did not come")?;
        }
        Ok(())
    }

    #[inline]
    fn send(&mut self, qd: Qd) -> Result<()> {
        let view = self.request.view()?;
        self.libos.push(qd, view)?;
        Ok(())
    }

    /// Takes the next answer of any socket, and sends that socket's next request.
    #[inline]
    fn answer(&mut self) -> Result<()> {
        loop {
            while let Some(completion) = self.done.pop() {
                let len = match completion.outcome {
                    Outcome::Push => continue,
                    Outcome::Pop(answer) => answer.len(),
                    Outcome::Datagram(answer) => answer.len(),
                    Outcome::Failed(error) => return Err(error).context("a request"),
                    other => bail!("{other:?} was not asked for"),
                };
                ensure!(len == self.size, "an answer of {len} bytes came");
                if !self.ends {
                    self.send(completion.qd)?;
                    self.libos.pop(completion.qd, None)?;
                }
                return Ok(());
            }
            self.libos.wait_next_n(&mut self.done, BATCH, Some(LOST)).context("an answer did not come")?;
        }
    }

    /// What is still under way is waited for, so that the server has all its requests; if it goes before its last answers came, they are
    /// not missed.
    fn end(mut self) {
        self.ends = true;
        for _ in 0..self.sockets {
            if self.answer().is_err() {
                return;
            }
        }
    }
}

/// Serves the datagrams of a [`Pattern::Load`].
pub fn serve(mut libos: LibOs, pattern: Pattern, teller: &Teller<'_>) -> Result<Report> {
    let Pattern::Load { connections, blocks, per_block, .. } = pattern else { bail!("a server of many has a load") };
    let qd = libos.socket(Domain::V4, Kind::Datagram)?;
    libos.bind(qd, SocketAddr::from(server())).context("bind")?;
    teller.ready()?;
    let mut meter = Meter::new(per_block.into(), all(blocks, per_block));
    let mut done = Vec::with_capacity(BATCH);
    for _ in 0..BATCH / 2 {
        libos.pop(qd, None)?;
    }
    while meter.answers() < requests(pattern)? {
        libos.wait_next_n(&mut done, BATCH, Some(SILENCE)).context("requests are missing")?;
        for completion in done.drain(..) {
            match completion.outcome {
                Outcome::Push => {}
                Outcome::Datagram(request) => {
                    let sender = request.sender();
                    libos.push_to(qd, request.into_message(), sender)?;
                    meter.answered(|| libos.counters().system_calls);
                    libos.pop(qd, None)?;
                }
                Outcome::Failed(error) => return Err(error).context("an operation"),
                other => bail!("{other:?} was not asked for"),
            }
        }
    }
    facts(connections, &meter)
}

/// Requests of a [`Pattern::Load`]: for each answer one, and one more on each socket.
pub fn requests(pattern: Pattern) -> Result<u64> {
    let Pattern::Load { connections, blocks, per_block, .. } = pattern else { bail!("a server of many has a load") };
    Ok(all(blocks, per_block) + u64::from(connections))
}
