// SPDX-License-Identifier: MIT OR Apache-2.0
//! The listener's side, without sockets: whom to take, whom to answer, whom to send away, and when.
//!
//! ```text
//!   waiting at the name ──take──▶ silent ──request──▶ answered ──accept──▶ the application's
//!                                    │ too late         ▲ room
//!                                    ▼                  │
//!                                  dropped            asked (if there is none)
//! ```
//!
//! What always holds: at most `backlog` connections are answered and not accepted; at most [`GREETINGS_MAX`] are taken and
//! not answered, of which silent ones go first, the oldest first; whoever asked is answered in the order of asking.

use super::message::Request;
use crate::address::serves;
use core::net::SocketAddr;
use runtime::limits::GREETINGS_MAX;
use runtime::socket::Kind;
use runtime::time::Time;
use std::collections::{BTreeMap, VecDeque};

/// What to do with a connector beyond the backlog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum BacklogFull {
    /// It waits until there is room, or until its own time is over.
    #[default]
    Wait,
    /// It is refused at once.
    Refuse,
}

/// What to do with one that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Make the connection, and tell [`Acceptor::answered`].
    Answer,
    /// Keep it until it is named by [`Acceptor::next`].
    Keep,
    /// Say that there is no room, and hang up.
    Refuse,
    /// Hang up: what it wants is not here.
    Drop,
}

/// One listener.
#[derive(Debug)]
pub struct Acceptor {
    kind: Kind,
    bound: SocketAddr,
    backlog: usize,
    full: BacklogFull,
    /// Answered, and not accepted.
    queued: usize,
    /// Somebody may wait at the name.
    more: bool,
    /// Taken and silent, with the end of its patience. Numbers grow, so the first is the oldest.
    silent: BTreeMap<u64, Time>,
    /// Taken, asked, and no room.
    asked: VecDeque<(u64, Request)>,
}

impl Acceptor {
    /// A listener at this canonical address, for `backlog` connections.
    pub fn new(kind: Kind, bound: SocketAddr, backlog: usize, full: BacklogFull) -> Self {
        let (silent, asked) = (BTreeMap::new(), VecDeque::new());
        Self { kind, bound, backlog: backlog.max(1), full, queued: 0, more: false, silent, asked }
    }

    fn has_room(&self) -> bool {
        self.queued < self.backlog
    }

    /// Somebody has come to the name.
    pub fn knocked(&mut self) {
        self.more = true;
    }

    /// Nobody is left at the name.
    pub fn deserted(&mut self) {
        self.more = false;
    }

    /// Whether to take the next one from the name.
    pub fn takes(&self) -> bool {
        self.more && self.asked.is_empty() && (self.has_room() || self.full == BacklogFull::Refuse)
    }

    /// This one was taken and has not said anything yet. Gives the one that has to go for it, if any.
    pub fn silent(&mut self, id: u64, until: Time) -> Option<u64> {
        self.silent.insert(id, until);
        let gone = (self.silent.len() > GREETINGS_MAX).then(|| self.silent.pop_first()).flatten();
        gone.map(|(id, _)| id)
    }

    /// This one was taken and has said what it wants, now or after a silence.
    pub fn asked(&mut self, id: u64, request: Request) -> Verdict {
        self.silent.remove(&id);
        if request.kind != self.kind || !serves(self.bound, request.destination) {
            Verdict::Drop
        } else if self.has_room() && self.asked.is_empty() {
            Verdict::Answer
        } else if self.full == BacklogFull::Refuse {
            Verdict::Refuse
        } else if self.asked.len() < GREETINGS_MAX {
            self.asked.push_back((id, request));
            Verdict::Keep
        } else {
            Verdict::Refuse
        }
    }

    /// Who is to be answered now, of those that were kept.
    pub fn next(&mut self) -> Option<(u64, Request)> {
        if self.has_room() { self.asked.pop_front() } else { None }
    }

    /// Whether some of those that were kept can be answered.
    pub fn keeps(&self) -> bool {
        self.has_room() && !self.asked.is_empty()
    }

    /// Everybody who was taken and is not answered.
    pub fn guests(&self) -> impl Iterator<Item = u64> {
        self.silent.keys().copied().chain(self.asked.iter().map(|&(id, _)| id))
    }

    /// This one has hung up, or broke the rules.
    pub fn left(&mut self, id: u64) {
        self.silent.remove(&id);
        self.asked.retain(|&(other, _)| other != id);
    }

    /// A connection was made, and waits to be accepted.
    pub fn answered(&mut self) {
        self.queued += 1;
    }

    /// The application has accepted a connection.
    pub fn accepted(&mut self) {
        self.queued = self.queued.saturating_sub(1);
    }

    /// One whose patience is over at this time; ask again until there is none.
    pub fn expired(&mut self, now: Time) -> Option<u64> {
        let (&id, &until) = self.silent.first_key_value()?;
        (until <= now).then(|| {
            self.silent.remove(&id);
            id
        })
    }

    /// When the next one's patience is over.
    pub fn deadline(&self) -> Option<Time> {
        self.silent.first_key_value().map(|(_, &until)| until)
    }
}
