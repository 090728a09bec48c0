// SPDX-License-Identifier: MIT OR Apache-2.0
//! A Margay pipe or stream socket, used as an application would: push, wait; pop, wait.

use super::copy_ring::fold;
use super::{Channel, MargayUse, Over, Read, Sockets, Wait, Write};
use crate::clock;
use crate::measure;
use crate::process::job::{Place, Report, Role};
use crate::process::worker::Teller;
use anyhow::{Context, Result, bail, ensure};
use margay::config::Spin;
use margay::{Buf, Config, Domain, Errno, Kind, LibOs, Outcome, Qd, SocketOption};
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// How long a pipe's own memory may be used up before something is wrong.
const MEMORY_DEADLINE: Duration = Duration::from_secs(10);

/// Connections that may wait to be accepted.
const BACKLOG: usize = 128;
/// A kernel that has no room for one lets it try again a second later.
const BACKLOG_OF_KERNEL: usize = 4096;

/// One end.
pub struct Margay {
    libos: LibOs,
    qd: Qd,
    /// The queue listens, and the connection has yet to come.
    listens: bool,
    how: MargayUse,
    message: Buf,
    /// Bytes of a stream that have come beyond the messages that were taken.
    ahead: usize,
}

impl Margay {
    /// The end of `role`: the server makes the pipe or listens, the client opens or connects.
    pub fn new(place: &Place, role: Role, how: MargayUse) -> Result<Self> {
        let mut libos = libos(place, how, role)?;
        let listens = how.over != Over::Pipe && role == Role::Server;
        let qd = match (how.over, role) {
            (Over::Pipe, Role::Server) => libos.create_pipe(&place.name).context("create_pipe"),
            (Over::Pipe, Role::Client) => libos.open_pipe(&place.name).context("open_pipe"),
            (Over::Socket(sockets), Role::Server) => listen(&mut libos, sockets, place),
            (Over::Socket(_), Role::Client) => connect(&mut libos, place, 1).map(|connections| connections[0]),
        };
        let qd = qd.with_context(|| format!("in {}", place.directory.display()))?;
        let message = filled(&mut libos, how.size)?;
        Ok(Self { libos, qd, listens, how, message, ahead: 0 })
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

impl Channel for Margay {
    fn port(&mut self) -> Result<Option<u16>> {
        let chosen = self.listens && self.how.over.is_kernel();
        chosen.then(|| port(&mut self.libos, self.qd)).transpose()
    }

    fn meet(&mut self) -> Result<()> {
        if self.listens {
            self.qd = accept(&mut self.libos, self.qd)?;
            self.listens = false;
        }
        Ok(())
    }

    #[inline]
    fn send(&mut self) -> Result<()> {
        let qt = match self.how.write {
            Write::Bytes => self.libos.push(self.qd, &self.message[..])?,
            Write::HandedOver => {
                let mut memory = self.memory()?;
                memory.get_mut().context("new memory has no second view")?.copy_from_slice(&self.message);
                self.libos.push(self.qd, memory)?
            }
            Write::Buffer | Write::ZeroCopy => self.libos.push(self.qd, self.message.view()?)?,
        };
        match self.libos.wait(qt, None)?.outcome {
            Outcome::Push => Ok(()),
            Outcome::Failed(error) => Err(error).context("push"),
            other => bail!("a push ended as {other:?}"),
        }
    }

    #[inline]
    fn receive(&mut self) -> Result<()> {
        // A pipe gives whole messages; a stream gives bytes, which mostly are whole messages, too.
        while self.ahead < self.how.size {
            let qt = match self.how.read {
                Read::Copy => self.libos.pop(self.qd, None)?,
                Read::InPlace => self.libos.pop_in_place(self.qd)?,
            };
            let message = self.libos.wait(qt, None)?.into_message().context("pop")?;
            let len = message.len();
            ensure!(len > 0, "the end came");
            ensure!(len == self.how.size || self.how.over != Over::Pipe, "a message of another length came");
            if self.how.read == Read::InPlace {
                for part in &message {
                    black_box(fold(part));
                }
            }
            self.ahead += len;
        }
        self.ahead -= self.how.size;
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
pub fn one_thread(
    place: &Place,
    how: MargayUse,
    blocks: u32,
    per_block: u32,
    teller: &mut Teller<'_>,
) -> Result<Report> {
    let mut libos = libos(place, how, Role::Client)?;
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
    Ok(Report::of_blocks(blocks))
}

/// A LibOs for one side.
pub fn libos(place: &Place, how: MargayUse, role: Role) -> Result<LibOs> {
    let mut config = match how.wait {
        Wait::Configured => Config::from_env()?,
        _ => Config::default(),
    };
    config.catmem.directory = Some(place.directory.clone());
    if let Over::Socket(sockets) = how.over {
        config.libos = Some(sockets.name().to_owned());
    }
    if how.write == Write::ZeroCopy {
        config.catnap.zero_copy = Some(how.size);
        config.catcollar.zero_copy = Some(how.size);
    }
    match (how.wait, role) {
        (Wait::Poll, _) | (Wait::ServerSleeps, Role::Client) => config.wait.spin = Spin::Forever,
        (Wait::ServerSleeps, Role::Server) => config.wait.spin = Spin::For(Duration::ZERO),
        (Wait::Configured | Wait::Default, _) => {}
    }
    Ok(LibOs::new(&config)?)
}

fn address(place: &Place) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, place.port).into()
}

/// A socket that listens at the place, or one of the kernel that listens wherever it can.
pub fn listen(libos: &mut LibOs, sockets: Sockets, place: &Place) -> Result<Qd> {
    let qd = libos.socket(Domain::V4, Kind::Stream)?;
    let address = if sockets.is_kernel() { (Ipv4Addr::LOCALHOST, 0).into() } else { address(place) };
    libos.bind(qd, address).context("bind")?;
    if sockets.is_kernel() {
        // As whatever it is compared with.
        libos.set_option(qd, SocketOption::NoDelay(true)).context("TCP_NODELAY")?;
    }
    libos.listen(qd, if sockets.is_kernel() { BACKLOG_OF_KERNEL } else { BACKLOG }).context("listen")?;
    Ok(qd)
}

/// The port that a socket is bound to.
pub fn port(libos: &mut LibOs, qd: Qd) -> Result<u16> {
    Ok(libos.local_address(qd).context("getsockname")?.port())
}

/// The next connection.
pub fn accept(libos: &mut LibOs, listening: Qd) -> Result<Qd> {
    let qt = libos.accept(listening)?;
    libos.wait(qt, None)?.accepted().context("accept")
}

/// Connections to who listens at the place, so many at once.
pub fn connect(libos: &mut LibOs, place: &Place, count: usize) -> Result<Vec<Qd>> {
    let mut begun = Vec::with_capacity(count);
    for _ in 0..count {
        let qd = libos.socket(Domain::V4, Kind::Stream)?;
        begun.push(libos.connect(qd, address(place)).context("connect")?);
    }
    let mut connections = Vec::with_capacity(count);
    for qt in begun {
        let connected = libos.wait(qt, None)?;
        connections.push(connected.qd);
        connected.ok().context("connect")?;
    }
    Ok(connections)
}

/// A private buffer full of something.
pub fn filled(libos: &mut LibOs, size: usize) -> Result<Buf> {
    let mut message = libos.alloc(size)?;
    message.get_mut().context("a new buffer has no second view")?.fill(7);
    Ok(message)
}
