// SPDX-License-Identifier: MIT OR Apache-2.0
//! The connector's side, without sockets: it is told what happened and when, and says what to do next.
//!
//! ```text
//!   dial the next name ──waiting──▶ asked ──offer──▶ established
//!      ▲    │ nobody: the next; all of them: refused      │ refused · hung up: refused · the time is over
//!      │    └ full: later ─┐                              ▼
//!      └───────────────────┘                            failed
//! ```

use core::time::Duration;
use runtime::time::Time;
use runtime::{Errno, Error};

/// How long after a full listener the next attempt is made.
pub const RETRY: Duration = Duration::from_millis(5);

const NOBODY: Error = Error::new(Errno::CONNREFUSED, "nobody listens at this address and port");
const WENT_AWAY: Error = Error::new(Errno::CONNREFUSED, "the listener went away before it had answered");
const TIMED_OUT: Error = Error::new(Errno::TIMEDOUT, "the listener did not answer within catloop.connect_timeout");

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Nobody has the name that was dialled.
    Nobody,
    /// Too many wait at the name that was dialled.
    Full,
    /// The name answers: the request was sent.
    Asked,
    /// The offer came, and its memory is mapped.
    Joined,
    /// The listener hung up.
    HungUp,
    /// It said no, or something went wrong for good.
    Failed(Error),
    /// Nothing; some time has passed.
    Tick,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Dial the name of this number, and tell what came of it.
    Dial(usize),
    /// Tell when something happens, or at this time.
    Wait(Time),
    /// The connection is made.
    Done,
    /// It never will be.
    Fail(Error),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Dialing(usize),
    Later(Time),
    Asked,
    Done,
    Failed(Error),
}

/// One attempt to connect.
#[derive(Clone, Copy, Debug)]
pub struct Connector {
    names: usize,
    /// Somebody is at a name that was dialled, but is full.
    full: bool,
    deadline: Time,
    state: State,
}

impl Connector {
    /// Begins, with that many names to try; the first action is to dial the first.
    pub fn new(names: usize, now: Time, limit: Duration) -> Self {
        Self { names, full: false, deadline: now + limit, state: State::Dialing(0) }
    }

    /// What happened at this time; and what to do.
    pub fn on(&mut self, event: Event, now: Time) -> Action {
        self.state = self.next(event, now);
        match self.state {
            State::Dialing(name) => Action::Dial(name),
            State::Later(at) => Action::Wait(at.min(self.deadline)),
            State::Asked => Action::Wait(self.deadline),
            State::Done => Action::Done,
            State::Failed(error) => Action::Fail(error),
        }
    }

    fn next(&mut self, event: Event, now: Time) -> State {
        match (self.state, event) {
            (State::Done | State::Failed(_), _) => self.state,
            (_, Event::Failed(error)) => State::Failed(error),
            (State::Asked, Event::Joined) => State::Done,
            // While dialling: it took the connection, and was gone before the request was sent.
            (State::Asked | State::Dialing(_), Event::HungUp) => State::Failed(WENT_AWAY),
            (State::Dialing(_), Event::Asked) => State::Asked,
            (State::Dialing(name), Event::Nobody | Event::Full) => {
                self.full |= event == Event::Full;
                if name + 1 < self.names {
                    State::Dialing(name + 1)
                } else if !self.full {
                    State::Failed(NOBODY)
                } else if now >= self.deadline {
                    State::Failed(TIMED_OUT)
                } else {
                    State::Later(now + RETRY)
                }
            }
            (_, _) if now >= self.deadline => State::Failed(TIMED_OUT),
            (State::Later(at), _) if now >= at => {
                self.full = false;
                State::Dialing(0)
            }
            (state, _) => state,
        }
    }
}
