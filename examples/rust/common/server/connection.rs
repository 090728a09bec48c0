// SPDX-License-Identifier: MIT OR Apache-2.0
//! One connection of a server: what came and is not answered yet, the replies that are not pushed yet, and when its time is
//! up.
//!
//! It ends as RFC 9112, section 9.6 advises: behind the last reply only the sending direction is shut, and what still comes
//! is read and forgotten until the peer ends as well. A close with bytes unread would be a reset, which can take the last
//! reply from the peer.

use super::{Bounds, Service, Step};
use margay::{Errno, Error, LibOs, Qd, Qt, Sga};
use std::net::Shutdown;
use std::time::{Duration, Instant};

/// Bytes of one push.
const CHUNK: usize = 64 * 1024;
/// Pushes on their way to a peer, before the connection is read from again.
const PUSHES_MAX: usize = 4;
/// Memory that a connection keeps while it is idle, for requests and for replies.
const KEPT: usize = 16 * 1024;
/// Bytes that are forgotten behind the last reply, and the time for it.
const DRAINED_MAX: usize = 16 << 20;
const DRAIN: Duration = Duration::from_secs(2);

/// What becomes of a connection after it has done what it can.
pub enum Fate {
    /// It waits for an operation.
    Stays,
    /// It found no buffer: it has to try again.
    Stalls,
    /// It is to be closed.
    Goes,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// No request follows.
    Last,
    /// The sending direction is shut.
    Draining,
}

/// What a deadline is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waits {
    /// The next request.
    Idle,
    /// The rest of a request.
    Request,
    /// The peer to take its replies.
    Progress,
    /// The peer's end.
    End,
}

pub struct Connection<T> {
    pub qd: Qd,
    /// Whether the server knows that it has to try again.
    pub stalled: bool,
    /// What the server has counted of the bytes that are held here.
    pub counted: usize,
    session: T,
    input: Vec<u8>,
    /// From `sent` on, to be pushed.
    output: Vec<u8>,
    sent: usize,
    popping: Option<Qt>,
    pushes: usize,
    state: State,
    /// The peer sends nothing more.
    ended: bool,
    drained: usize,
    /// Requests answered since they were asked for.
    answered: u64,
    waits: Waits,
    deadline: Instant,
}

impl<T> Connection<T> {
    pub fn new(qd: Qd, now: Instant) -> Self
    where
        T: Default,
    {
        Self {
            qd,
            stalled: false,
            counted: 0,
            session: T::default(),
            input: Vec::new(),
            output: Vec::new(),
            sent: 0,
            popping: None,
            pushes: 0,
            state: State::Open,
            ended: false,
            drained: 0,
            answered: 0,
            waits: Waits::Progress,
            deadline: now,
        }
    }

    /// Bytes of requests and replies.
    pub fn held(&self) -> usize {
        self.input.len() + self.output.len()
    }

    pub fn popped(&mut self, message: &Sga) {
        self.popping = None;
        if message.is_empty() {
            self.ended = true;
        } else if self.state == State::Open {
            message.iter().for_each(|segment| self.input.extend_from_slice(segment));
        } else {
            self.drained += message.len();
        }
    }

    pub fn pushed(&mut self) {
        self.pushes = self.pushes.saturating_sub(1);
    }

    /// Whether the operation that failed was a pop for which there was no buffer: what it would have popped is still there.
    pub fn can_pop_later(&mut self, qt: Qt, error: Error) -> bool {
        let later = self.popping == Some(qt) && stalls(error);
        if later {
            self.popping = None;
        }
        later
    }

    /// How many requests were answered since the last call.
    pub fn take_answered(&mut self) -> u64 {
        if self.answered > 0 {
            // The next request has its own time.
            self.waits = Waits::Idle;
        }
        std::mem::take(&mut self.answered)
    }

    /// Answers, pushes and pops as far as that goes now.
    pub fn advance<S: Service<Session = T>>(&mut self, libos: &mut LibOs, service: &mut S) -> Fate {
        loop {
            if let Err(fate) = self.flush(libos, service) {
                return fate;
            }
            if !self.is_flushed(service) {
                // Back-pressure: the next push that is done goes on.
                return Fate::Stays;
            }
            if self.state != State::Open || !self.answer(service) {
                break;
            }
        }
        self.release();
        self.listen(libos).unwrap_or_else(|error| if stalls(error) { Fate::Stalls } else { Fate::Goes })
    }

    /// Everything is pushed: ends, or pops.
    fn listen(&mut self, libos: &mut LibOs) -> margay::Result<Fate> {
        if self.ended {
            // A close would cancel what is on its way.
            return Ok(if self.pushes == 0 { Fate::Goes } else { Fate::Stays });
        }
        if self.state == State::Last {
            libos.shutdown(self.qd, Shutdown::Write)?;
            self.state = State::Draining;
            self.input = Vec::new();
        }
        if self.drained > DRAINED_MAX {
            return Ok(Fate::Goes);
        }
        if self.popping.is_none() && self.pushes < PUSHES_MAX {
            self.popping = Some(libos.pop(self.qd, None)?);
        }
        Ok(Fate::Stays)
    }

    fn is_flushed<S: Service<Session = T>>(&self, service: &S) -> bool {
        self.output.is_empty() && service.left(&self.session) == 0
    }

    /// Pushes replies, then what is left behind them, as long as not too much is on its way.
    fn flush<S: Service<Session = T>>(&mut self, libos: &mut LibOs, service: &mut S) -> Result<(), Fate> {
        let fate = |error| if stalls(error) { Fate::Stalls } else { Fate::Goes };
        while self.pushes < PUSHES_MAX {
            if self.sent < self.output.len() {
                let end = self.output.len().min(self.sent + CHUNK);
                libos.push(self.qd, &self.output[self.sent..end]).map_err(fate)?;
                self.sent = end;
                if self.sent == self.output.len() {
                    self.output.clear();
                    self.sent = 0;
                }
            } else {
                let left = service.left(&self.session).min(CHUNK as u64) as usize;
                if left == 0 {
                    break;
                }
                let mut buf = libos.alloc(left).map_err(fate)?;
                let bytes = buf.get_mut().ok_or(Fate::Goes)?;
                service.fill(&mut self.session, bytes).map_err(|_| Fate::Goes)?;
                // These bytes cannot be taken a second time.
                libos.push(self.qd, buf).map_err(|_| Fate::Goes)?;
            }
            self.pushes += 1;
        }
        Ok(())
    }

    /// Answers what has come, until there is enough to push. False: there was nothing to answer.
    fn answer<S: Service<Session = T>>(&mut self, service: &mut S) -> bool {
        let mut taken = 0;
        while taken < self.input.len() && self.output.len() < CHUNK && service.left(&self.session) == 0 {
            match service.serve(&mut self.session, &self.input[taken..], &mut self.output) {
                Step::Incomplete => break,
                Step::Next(bytes) => taken += bytes,
                Step::Last(bytes) => {
                    taken += bytes;
                    self.state = State::Last;
                }
            }
            taken = taken.min(self.input.len());
            self.answered += 1;
            if self.state == State::Last {
                break;
            }
        }
        self.input.drain(..taken);
        taken > 0
    }

    /// An idle connection keeps little memory.
    fn release(&mut self) {
        for bytes in [&mut self.input, &mut self.output] {
            if bytes.is_empty() && bytes.capacity() > KEPT {
                *bytes = Vec::new();
            }
        }
    }

    /// Says until when the connection has time, after [`advance`](Self::advance).
    pub fn set_deadline(&mut self, now: Instant, bounds: &Bounds) {
        let (waits, limit) = if self.pushes > 0 || !self.output.is_empty() {
            (Waits::Progress, bounds.idle)
        } else if self.state != State::Open {
            (Waits::End, DRAIN)
        } else if self.input.is_empty() {
            (Waits::Idle, bounds.idle)
        } else {
            (Waits::Request, bounds.request)
        };
        // Single bytes now and then do not lengthen the time of a request, nor that of the end.
        if waits != self.waits || matches!(waits, Waits::Idle | Waits::Progress) {
            self.deadline = now + limit;
        }
        self.waits = waits;
    }

    pub fn is_late(&self, now: Instant) -> bool {
        self.deadline <= now
    }

    /// Whether only the peer's end is missing.
    pub fn is_ending(&self) -> bool {
        self.waits == Waits::End
    }

    /// The time is up. True: the peer is told so, and the connection goes on to its end; false: it must be closed.
    pub fn say_late<S: Service<Session = T>>(&mut self, service: &mut S) -> bool {
        let speaks = self.waits == Waits::Request && self.state == State::Open;
        if speaks {
            self.state = State::Last;
            service.late(&mut self.output);
        }
        speaks
    }
}

/// Whether an error says that buffers or operations are used up at the moment.
fn stalls(error: Error) -> bool {
    matches!(error.errno(), Errno::NOBUFS | Errno::AGAIN)
}
