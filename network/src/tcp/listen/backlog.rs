// SPDX-License-Identifier: MIT OR Apache-2.0
//! [`Backlog`]: how many connections a listener has that are not done or not accepted, as `listen(2)` has it.
//!
//! What must always hold: neither kind is more than its bound; a cookie is believed only for a while after one was sent, so that
//! an ACK from nowhere is not a connection where there was no need of cookies (RFC 4987 section 3.6).

use alloc::collections::VecDeque;
use core::time::Duration;

use runtime::slab::Key;
use runtime::time::Time;

use crate::limits::{ACCEPT_QUEUE_MAX, FAST_OPEN_PENDING_MAX, SYN_QUEUE_MAX, SYN_QUEUE_MIN};

/// How long after a cookie was sent one may come back: as long as the oldest that is believed.
const COOKIES_FOR: Duration = Duration::from_secs(140);

/// What becomes of a SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is remembered.
    Remember,
    /// It is answered by a cookie.
    Cookie,
    /// It is dropped: the peer tries again later.
    Drop,
}

/// What waits at a listener.
#[derive(Debug)]
pub struct Backlog {
    limit: usize,
    ready: VecDeque<Key>,
    half_open: usize,
    /// Of those, the ones whose data were taken with their SYN.
    early: usize,
    cookies_until: Option<Time>,
}

impl Backlog {
    /// Nobody waits yet, and at most `backlog` and one may for being accepted.
    #[must_use]
    pub fn new(backlog: usize) -> Self {
        Self {
            limit: backlog.min(ACCEPT_QUEUE_MAX),
            ready: VecDeque::new(),
            half_open: 0,
            early: 0,
            cookies_until: None,
        }
    }

    /// Another bound, for those that come from now on.
    pub fn set_limit(&mut self, backlog: usize) {
        self.limit = backlog.min(ACCEPT_QUEUE_MAX);
    }

    /// What becomes of a SYN. `full`: the stack remembers as many as it may; `cookies`: whether they are sent.
    pub fn admit(&mut self, full: bool, cookies: bool, now: Time) -> Admission {
        if self.is_full() {
            return Admission::Drop;
        }
        if !full && self.half_open < self.limit.clamp(SYN_QUEUE_MIN, SYN_QUEUE_MAX) {
            return Admission::Remember;
        }
        if !cookies {
            return Admission::Drop;
        }
        self.cookies_until = Some(now + COOKIES_FOR);
        Admission::Cookie
    }

    /// Whether a cookie may come back.
    #[must_use]
    pub fn expects_cookies(&self, now: Time) -> bool {
        self.cookies_until.is_some_and(|until| now <= until)
    }

    /// Whether no more can wait for being accepted.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.ready.len() > self.limit
    }

    /// Whether data may be taken with a SYN (RFC 7413 section 5.1).
    #[must_use]
    pub fn takes_early(&self) -> bool {
        self.early < FAST_OPEN_PENDING_MAX && !self.is_full()
    }

    /// One more is remembered. `early`: whether data were taken with its SYN.
    pub fn remember(&mut self, early: bool) {
        self.half_open += 1;
        self.early += usize::from(early);
    }

    /// One less is.
    pub fn forget(&mut self, early: bool) {
        self.half_open = self.half_open.saturating_sub(1);
        self.early = self.early.saturating_sub(early.into());
    }

    /// One is done, and waits to be accepted.
    pub fn push(&mut self, connection: Key) {
        self.ready.push_back(connection);
    }

    /// The first that waits.
    pub fn pop(&mut self) -> Option<Key> {
        self.ready.pop_front()
    }

    /// How many are remembered, and how many wait to be accepted.
    #[must_use]
    pub fn len(&self) -> (usize, usize) {
        (self.half_open, self.ready.len())
    }
}
