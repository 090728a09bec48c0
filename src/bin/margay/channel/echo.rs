// SPDX-License-Identifier: MIT OR Apache-2.0
//! Echo servers of many connections: Margay's, and how those written by hand are started.
//!
//! Margay's is what an application would write, no more: it accepts, pops, pushes what it has popped, and takes completions
//! with `wait_next_n`. All of them read a whole request before they answer, and end when all clients have gone.

use super::margay::{libos, listen, port};
use super::{MargayUse, Over, Read, Server, Sockets, Wait, Write};
use crate::clock;
use crate::measure::all;
use crate::process::job::{Pattern, Place, Report, Role};
use crate::process::worker::Teller;
use anyhow::{Context, Result, bail, ensure};
use baselines::{Meter, Service, epoll, io_uring};
use margay::{Domain, Errno, Kind, LibOs, Outcome, Qd, Sga, SocketOption};
use rustix::net::sockopt::set_tcp_nodelay;
use rustix::net::{
    AddressFamily, SocketAddrV4, SocketFlags, SocketType, bind, getsockname, listen as listen_on, socket_with,
};
use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Names of facts: what the server needed for each request.
pub const SYSTEM_CALLS: &str = "system calls per request";
/// See [`SYSTEM_CALLS`].
pub const ALLOCATIONS: &str = "allocations per request";
/// How many connections there were.
pub const CONNECTIONS: &str = "connections";

/// Completions that are taken at once.
const BATCH: usize = 64;
/// Connections that may wait to be accepted: what Linux allows unless told otherwise.
const BACKLOG: i32 = 4096;
/// How long a server is left alone before it is looked whether it sleeps.
const SETTLE: Duration = Duration::from_millis(200);

/// Serves the clients of a [`Pattern::Load`], or of a [`Pattern::Asleep`].
pub fn serve(server: Server, size: usize, pattern: Pattern, place: &Place, teller: &Teller<'_>) -> Result<Report> {
    let (connections, mut meter) = match pattern {
        Pattern::Load { connections, blocks, per_block, .. } => {
            (connections, Meter::new(per_block.into(), all(blocks, per_block)))
        }
        Pattern::Asleep { connections, .. } => (connections, Meter::new(0, 0)),
        _ => bail!("an echo server answers many connections, or sleeps"),
    };
    let service = Service { connections: connections as usize, size };
    match (server, pattern) {
        (Server::Margay(sockets), Pattern::Asleep { milliseconds, .. }) => {
            let mut echo = Echo::new(sockets, service, Wait::Default, place)?;
            teller.ready_at(port(&mut echo.libos, echo.listening)?)?;
            let share = echo.asleep(Duration::from_millis(milliseconds.into()))?;
            let facts = BTreeMap::from([(CONNECTIONS.to_owned(), f64::from(connections))]);
            return Ok(Report { facts, ..Report::of_blocks(vec![share]) });
        }
        (Server::Margay(sockets), _) => {
            let mut echo = Echo::new(sockets, service, Wait::Poll, place)?;
            teller.ready_at(port(&mut echo.libos, echo.listening)?)?;
            echo.serve(&mut meter, u64::MAX)?;
        }
        (Server::Epoll | Server::IoUring, _) => {
            let (listener, port) = listener()?;
            teller.ready_at(port)?;
            let serve = if server == Server::Epoll { epoll::serve } else { io_uring::serve };
            serve(listener, service, &mut meter)?;
        }
    }
    facts(connections, &meter)
}

/// Serves the clients of a [`Pattern::Load`] with a LibOs that is there, until so many requests are answered.
pub fn serve_over(
    mut libos: LibOs,
    at: SocketAddr,
    size: usize,
    pattern: Pattern,
    requests: u64,
    teller: &Teller<'_>,
) -> Result<Report> {
    let Pattern::Load { connections, blocks, per_block, .. } = pattern else { bail!("an echo server answers many") };
    let listening = libos.socket(Domain::V4, Kind::Stream)?;
    libos.set_option(listening, SocketOption::NoDelay(true))?;
    libos.bind(listening, at).context("bind")?;
    libos.listen(listening, BACKLOG as usize).context("listen")?;
    teller.ready()?;
    let mut meter = Meter::new(per_block.into(), all(blocks, per_block));
    let service = Service { connections: connections as usize, size };
    let mut echo = Echo { libos, listening, service, accepted: 0, closed: 0, parts: HashMap::new() };
    echo.serve(&mut meter, requests)?;
    facts(connections, &meter)
}

/// What a server tells when its clients have gone.
pub fn facts(connections: u32, meter: &Meter) -> Result<Report> {
    let (system_calls, allocations) = meter.per_answer().context("the clients left before they had all answers")?;
    let facts = [(CONNECTIONS, f64::from(connections)), (SYSTEM_CALLS, system_calls), (ALLOCATIONS, allocations)];
    Ok(Report { facts: facts.map(|(name, figure)| (name.to_owned(), figure)).into(), ..Report::default() })
}

/// A socket of the kernel that listens on a free port of the loopback interface, and does not block.
fn listener() -> Result<(OwnedFd, u16)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).context("socket")?;
    set_tcp_nodelay(&fd, true).context("TCP_NODELAY")?;
    bind(&fd, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).context("bind")?;
    listen_on(&fd, BACKLOG).context("listen")?;
    let address = SocketAddr::try_from(getsockname(&fd).context("getsockname")?).context("getsockname")?;
    Ok((fd, address.port()))
}

/// Margay's.
struct Echo {
    libos: LibOs,
    listening: Qd,
    service: Service,
    accepted: usize,
    closed: usize,
    /// Requests of which only a part has come.
    parts: HashMap<Qd, Sga>,
}

impl Echo {
    fn new(sockets: Sockets, service: Service, wait: Wait, place: &Place) -> Result<Self> {
        let over = Over::Socket(sockets);
        let how = MargayUse { over, size: service.size, read: Read::Copy, write: Write::Bytes, wait };
        let mut libos = libos(place, how, Role::Server)?;
        let listening = listen(&mut libos, sockets, place)?;
        Ok(Self { libos, listening, service, accepted: 0, closed: 0, parts: HashMap::new() })
    }

    /// Until all clients have gone, or so many requests are answered.
    fn serve(&mut self, meter: &mut Meter, requests: u64) -> Result<()> {
        let mut done = Vec::with_capacity(BATCH);
        self.libos.accept(self.listening)?;
        while self.closed < self.service.connections && meter.answers() < requests {
            self.libos.wait_next_n(&mut done, BATCH, None)?;
            for completion in done.drain(..) {
                let qd = completion.qd;
                match completion.outcome {
                    Outcome::Accept(connection) => self.accepted(connection)?,
                    Outcome::Pop(end) if end.is_empty() => drop(self.libos.close(qd)?),
                    Outcome::Pop(part) => self.popped(qd, part)?,
                    Outcome::Push => {
                        meter.answered(|| self.libos.counters().system_calls);
                        self.libos.pop(qd, None)?;
                    }
                    Outcome::Close => self.closed += 1,
                    Outcome::Failed(error) if matches!(error.errno(), Errno::CONNRESET | Errno::PIPE) => {
                        self.libos.close(qd)?;
                    }
                    Outcome::Failed(error) => return Err(error).context("an operation of a connection"),
                    other => bail!("{other:?} was not asked for"),
                }
            }
        }
        Ok(())
    }

    fn accepted(&mut self, connection: Qd) -> Result<()> {
        self.accepted += 1;
        self.libos.pop(connection, None)?;
        if self.accepted < self.service.connections {
            self.libos.accept(self.listening)?;
        }
        Ok(())
    }

    /// Answers a request that is whole; waits for the rest of one that is not.
    fn popped(&mut self, qd: Qd, part: Sga) -> Result<()> {
        let mut request = part;
        if !self.parts.is_empty()
            && let Some(mut before) = self.parts.remove(&qd)
        {
            for buf in request {
                before.push_back(buf)?;
            }
            request = before;
        }
        let missing = self.service.size.checked_sub(request.len()).context("a request came before its turn")?;
        if missing == 0 {
            self.libos.push(qd, request)?;
        } else {
            self.parts.insert(qd, request);
            self.libos.pop(qd, None)?;
        }
        Ok(())
    }

    /// Waits for all connections, then for requests that do not come. The share of a core that this takes.
    fn asleep(&mut self, time: Duration) -> Result<f64> {
        self.libos.accept(self.listening)?;
        while self.accepted < self.service.connections {
            let mut done = Vec::with_capacity(BATCH);
            self.libos.wait_next_n(&mut done, BATCH, None)?;
            for completion in done {
                self.accepted(completion.accepted().context("accept")?)?;
            }
        }
        self.wait_in_vain(SETTLE)?;
        let (start, used) = (clock::now(), clock::processor_time());
        self.wait_in_vain(time)?;
        let used = clock::processor_time().saturating_sub(used);
        Ok(used.as_secs_f64() / clock::now().duration_since(start).as_secs_f64())
    }

    fn wait_in_vain(&mut self, time: Duration) -> Result<()> {
        let waited = self.libos.wait_next_n(&mut Vec::new(), BATCH, Some(time));
        ensure!(waited.is_err_and(|error| error.errno() == Errno::TIMEDOUT), "a request came that nobody had sent");
        Ok(())
    }
}
