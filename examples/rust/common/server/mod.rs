// SPDX-License-Identifier: MIT OR Apache-2.0
//! A server for thousands of connections on one thread: it accepts, pops, hands what came to a [`Service`], and pushes the
//! replies, those of a pipeline together.
//!
//! What must always hold:
//! - Everything is bounded: connections, replies on their way to one peer (whoever does not read is not read from),
//!   and the memory of all together.
//! - Nobody holds a connection for nothing: a request must be complete, and replies must be read, within a time.
//! - One connection's failure ends that connection.
//!
//! - `connection`: one of them, from its accept to its close.

mod connection;

use super::figures::now;
use super::stop::Stop;
use super::{Options, Result, sockets};
use connection::{Connection, Fate};
use margay::{Completion, Errno, LibOs, Outcome, Qd};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Completions taken at once.
const BATCH: usize = 256;
/// Connections that the transport keeps for the next accepts.
const BACKLOG: usize = 1024;
/// Between two looks for connections that are late.
const SWEEP: Duration = Duration::from_secs(1);
/// After so long a connection that found no buffer tries again, if nothing was given back before.
const RETRY: Duration = Duration::from_millis(10);
/// Bytes of all connections together, requests and replies; who needs more is closed.
const HELD_MAX: usize = 256 << 20;

/// What came of one look at the bytes that a connection has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There is no whole request yet.
    Incomplete,
    /// So many bytes were a request, and are answered; at least 1.
    Next(usize),
    /// The same, and the connection ends behind the answer.
    Last(usize),
}

/// A protocol of requests and replies.
pub trait Service {
    /// What is kept of a connection beside its bytes.
    type Session: Default;

    /// Answers the request at the front of `input` behind the `replies` that are there. An input without a whole request is
    /// [`Step::Incomplete`] only as long as the request can still become one within the protocol's bounds.
    fn serve(&mut self, session: &mut Self::Session, input: &[u8], replies: &mut Vec<u8>) -> Step;

    /// Bytes that still follow the replies: a long body, which is taken by [`fill`](Self::fill) as the peer reads it. The
    /// next request is served when there are none.
    fn left(&self, _session: &Self::Session) -> u64 {
        0
    }

    /// Takes the next bytes of what is left; the buffer is no longer than that.
    ///
    /// # Errors
    /// If they cannot be had: the connection is closed, for its peer was promised them.
    fn fill(&mut self, _session: &mut Self::Session, _buffer: &mut [u8]) -> io::Result<()> {
        Ok(())
    }

    /// A request did not become complete in time: the last words to its sender.
    fn late(&mut self, _replies: &mut Vec<u8>) {}

    /// Some completions are about to be served.
    fn tick(&mut self) {}
}

/// What a server allows.
pub struct Bounds {
    /// Connections at once.
    pub clients: usize,
    /// Connections after which it ends; 0: never.
    pub connections: u64,
    /// For the next request to begin, and for replies to be taken.
    pub idle: Duration,
    /// From the first byte of a request to its last.
    pub request: Duration,
}

/// What a server has done.
#[derive(Debug, Default)]
pub struct Figures {
    pub connections: u64,
    pub requests: u64,
    /// Connections that were closed because they were late, or for want of memory.
    pub expired: u64,
}

/// Serves at the address of the options until it is told to stop, or has had its connections.
///
/// # Errors
/// If it cannot listen, or the LibOs fails; what one connection fails with ends that connection alone.
pub fn serve<S: Service>(
    libos: &mut LibOs,
    options: &Options<SocketAddr>,
    stop: &Stop,
    service: S,
    request: Duration,
) -> Result<Figures> {
    let bounds = Bounds { clients: options.clients, connections: options.connections, idle: options.idle, request };
    let listening = sockets::listen(libos, options.place, BACKLOG)?;
    let mut server = Server {
        libos,
        service,
        bounds,
        listening,
        accepting: false,
        connections: Vec::new(),
        open: 0,
        held: 0,
        stalled: Vec::new(),
        now: now(),
        swept: now(),
        figures: Figures::default(),
    };
    server.run(stop)?;
    Ok(server.figures)
}

struct Server<'a, S: Service> {
    libos: &'a mut LibOs,
    service: S,
    bounds: Bounds,
    listening: Qd,
    /// Whether an accept is pending.
    accepting: bool,
    /// By the slots of their queue descriptors.
    connections: Vec<Option<Connection<S::Session>>>,
    open: usize,
    /// Bytes that the connections hold.
    held: usize,
    /// Those that found no buffer.
    stalled: Vec<Qd>,
    /// Read once for each batch.
    now: Instant,
    swept: Instant,
    figures: Figures,
}

impl<S: Service> Server<'_, S> {
    fn run(&mut self, stop: &Stop) -> Result<()> {
        let mut done = Vec::with_capacity(BATCH);
        self.accept();
        while !stop.is_told() && !self.has_had_all() {
            match self.libos.wait_next_n(&mut done, BATCH, self.limit()) {
                Err(error) if !matches!(error.errno(), Errno::TIMEDOUT | Errno::INTR) => return Err(error.into()),
                _ => {}
            }
            self.now = now();
            self.service.tick();
            for completion in done.drain(..) {
                self.complete(completion)?;
            }
            for qd in std::mem::take(&mut self.stalled) {
                if let Some(connection) = find(&mut self.connections, qd) {
                    connection.stalled = false;
                    self.advance(qd);
                }
            }
            if self.now.duration_since(self.swept) >= SWEEP {
                self.sweep();
            }
        }
        Ok(())
    }

    fn has_had_all(&self) -> bool {
        self.bounds.connections > 0 && self.figures.connections >= self.bounds.connections && self.open == 0
    }

    /// How long a wait may be. Without connections nobody can be late.
    fn limit(&self) -> Option<Duration> {
        if !self.stalled.is_empty() {
            return Some(RETRY);
        }
        (self.open > 0 || !self.accepting).then(|| SWEEP.saturating_sub(self.now.duration_since(self.swept)))
    }

    /// Begins an accept, unless there are connections enough.
    fn accept(&mut self) {
        let enough = self.bounds.connections > 0 && self.figures.connections >= self.bounds.connections;
        if !self.accepting && !enough && self.open < self.bounds.clients {
            // Too many operations at once: the next sweep tries again.
            self.accepting = self.libos.accept(self.listening).is_ok();
        }
    }

    fn complete(&mut self, completion: Completion) -> Result<()> {
        let Completion { qd, qt, outcome } = completion;
        if qd == self.listening {
            return self.accepted(&outcome);
        }
        // What was still under way when a connection was closed finds it no more.
        let Some(connection) = find(&mut self.connections, qd) else { return Ok(()) };
        match outcome {
            Outcome::Pop(message) => connection.popped(&message),
            Outcome::Push => connection.pushed(),
            Outcome::Failed(error) if connection.can_pop_later(qt, error) => {}
            Outcome::Failed(_) => {
                self.close(qd);
                return Ok(());
            }
            other => return Err(format!("{qd:?}: {other:?} was not asked for").into()),
        }
        self.advance(qd);
        Ok(())
    }

    fn accepted(&mut self, outcome: &Outcome) -> Result<()> {
        self.accepting = false;
        match outcome {
            &Outcome::Accept(qd) => {
                if self.connections.len() <= qd.index() {
                    self.connections.resize_with(qd.index() + 1, || None);
                }
                self.connections[qd.index()] = Some(Connection::new(qd, self.now));
                self.open += 1;
                self.figures.connections += 1;
                self.accept();
                self.advance(qd);
            }
            // The peer has gone before it was accepted.
            Outcome::Failed(error) if error.errno() == Errno::CONNABORTED => self.accept(),
            Outcome::Failed(error) if matches!(error.errno(), Errno::BADF | Errno::INVAL) => {
                return Err((*error).into());
            }
            // No descriptors or memory at the moment: the next close, or the next sweep, tries again.
            _ => {}
        }
        Ok(())
    }

    /// Does with a connection what can be done now.
    fn advance(&mut self, qd: Qd) {
        let Some(connection) = find(&mut self.connections, qd) else { return };
        let fate = connection.advance(self.libos, &mut self.service);
        self.figures.requests += connection.take_answered();
        connection.set_deadline(self.now, &self.bounds);
        let held = connection.held();
        self.held = self.held - std::mem::replace(&mut connection.counted, held) + held;
        match fate {
            Fate::Stays if self.held <= HELD_MAX => {}
            Fate::Stays => {
                self.figures.expired += 1;
                self.close(qd);
            }
            Fate::Stalls => {
                if !std::mem::replace(&mut connection.stalled, true) {
                    self.stalled.push(qd);
                }
            }
            Fate::Goes => self.close(qd),
        }
    }

    fn close(&mut self, qd: Qd) {
        let Some(place) = self.connections.get_mut(qd.index()) else { return };
        let Some(connection) = place.take_if(|connection| connection.qd == qd) else { return };
        self.held -= connection.counted;
        self.open -= 1;
        // It is open. Should there be too many operations, the LibOs closes it when it ends.
        let _ = self.libos.close(qd);
        self.accept();
    }

    /// Looks for connections that are late, and for room to accept more.
    fn sweep(&mut self) {
        self.swept = self.now;
        for index in 0..self.connections.len() {
            let Some(connection) = &mut self.connections[index] else { continue };
            if !connection.is_late(self.now) {
                continue;
            }
            // Who only does not end its side has had its replies.
            self.figures.expired += u64::from(!connection.is_ending());
            let qd = connection.qd;
            if connection.say_late(&mut self.service) {
                self.advance(qd);
            } else {
                self.close(qd);
            }
        }
        self.accept();
    }
}

fn find<T>(connections: &mut [Option<Connection<T>>], qd: Qd) -> Option<&mut Connection<T>> {
    connections.get_mut(qd.index())?.as_mut().filter(|connection| connection.qd == qd)
}
