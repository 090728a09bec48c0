// SPDX-License-Identifier: MIT OR Apache-2.0
//! A load generator on Margay's own stack, one request under way on each socket; and the server that sends datagrams back.

use super::{Memif, server};
use crate::channel::echo::facts;
use crate::measure::{self, all};
use crate::process::job::{Pattern, Report};
use crate::process::worker::Teller;
use anyhow::{Context, Result, bail, ensure};
use baselines::Meter;
use margay::{Buf, Completion, Domain, Kind, LibOs, Outcome, Qd, Qt, SocketOption};
use std::net::SocketAddr;
use std::time::Duration;

/// Completions that are taken at once.
const BATCH: usize = 64;
/// How long an answer may take: a datagram that was dropped does not come again.
const LOST: Duration = Duration::from_secs(5);
/// What ends the server of datagrams: one without a byte.
const END: &[u8] = &[];

/// The generator.
struct Load {
    libos: LibOs,
    what: Memif,
    size: usize,
    request: Buf,
    sockets: Vec<Qd>,
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
    }
    let blocks = measure::in_blocks(blocks, per_block, teller, || load.answer())?;
    load.end()?;
    Ok(Report::of_blocks(blocks))
}

impl Load {
    fn new(mut libos: LibOs, what: Memif, size: usize) -> Result<Self> {
        let request = crate::channel::margay::filled(&mut libos, size)?;
        Ok(Self { libos, what, size, request, sockets: Vec::new(), done: Vec::with_capacity(BATCH) })
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
        self.sockets.push(qd);
        Ok(qd)
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
                self.send(completion.qd)?;
                self.libos.pop(completion.qd, None)?;
                return Ok(());
            }
            self.libos.wait_next_n(&mut self.done, BATCH, Some(LOST)).context("an answer did not come")?;
        }
    }

    /// Tells a server of datagrams that this was all, and closes everything, which tells one of streams.
    fn end(mut self) -> Result<()> {
        if self.what == Memif::Datagrams {
            let qd = self.connected()?;
            let qt = self.libos.push(qd, END)?;
            self.libos.wait(qt, Some(LOST))?.ok().context("push")?;
        }
        let closes = self.sockets.drain(..).map(|qd| self.libos.close(qd)).collect::<Result<Vec<Qt>, _>>()?;
        for qt in closes {
            // A request is under way on each: its answer may come too late for a quiet end.
            let _ = self.libos.wait(qt, Some(LOST))?;
        }
        Ok(())
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
    loop {
        libos.wait_next_n(&mut done, BATCH, None)?;
        for completion in done.drain(..) {
            match completion.outcome {
                Outcome::Push => {}
                Outcome::Datagram(request) if request.is_empty() => return facts(connections, &meter),
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
}
