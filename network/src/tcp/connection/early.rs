// SPDX-License-Identifier: MIT OR Apache-2.0
//! [`Early`]: data that go with the first SYN (RFC 7413 section 4.2.2); and what a connection knows of those that come with the peer's.
//!
//! What must always hold: what was taken from a push is delivered, whatever the peer does with the SYN: what that does not acknowledge
//! is sent again behind the handshake.

use core::task::Poll;
use core::time::Duration;

use runtime::Result;
use runtime::buf::Sga;
use runtime::time::Time;

use super::open::Open;
use super::{Connection, Phase, State};
use crate::tcp::listen::Handshake;
use crate::tcp::segment::Incoming;
use crate::tcp::seq::Seq;
use crate::tcp::settings::Settings;
use crate::wire::tcp::Cookie;

/// What goes with the first SYN.
#[derive(Debug)]
pub(super) struct Early {
    /// Empty: one is asked for, and there are no data.
    pub cookie: Cookie,
    /// Bytes of payload and options that the peer takes in one segment.
    room: u16,
    pub data: Sga,
    /// Whether it is all of a message.
    is_whole: bool,
    /// Bytes that have left with the SYN.
    pub sent: u32,
}

impl Early {
    pub const fn new(cookie: Cookie, room: u16) -> Self {
        Self { cookie, room, data: Sga::new(), is_whole: false, sent: 0 }
    }

    /// Takes as much of a message as there is room for beside so many bytes of options; false if it takes nothing.
    pub fn take(&mut self, message: &mut Sga, options: usize) -> bool {
        let room = usize::from(self.room).saturating_sub(options);
        if message.is_empty() || room == 0 {
            return false;
        }
        self.is_whole = message.len() <= room;
        self.data = if self.is_whole {
            core::mem::take(message)
        } else {
            // Without a view to split it by, all of it waits.
            let Ok(front) = message.split_front(room) else { return false };
            front
        };
        true
    }

    /// Nobody waits for the message any more.
    pub const fn forget_push(&mut self) {
        self.is_whole = false;
    }

    /// The data, as the SYN carries them. None without a view of them: then they go behind the handshake.
    pub fn view(&mut self) -> Sga {
        let data = self.data.view().unwrap_or_default();
        self.sent = data.len() as u32;
        data
    }

    /// Both ends know each other, and so many bytes are acknowledged: the others are to be sent.
    pub fn move_to(&mut self, open: &mut Open, acknowledged: u32, now: Time) {
        let mut data = core::mem::take(&mut self.data);
        if data.has_no_segment() {
            return;
        }
        open.counts.bytes_acknowledged += u64::from(acknowledged);
        data.trim_front(acknowledged as usize);
        if !data.is_empty() {
            // It was taken: however small the send buffer is, or has become, there is room for it, and so nothing is split.
            let limit = open.queue.limit();
            open.queue.set_limit(u32::MAX as usize);
            let _ = open.queue.push(&mut data);
            open.queue.set_limit(limit);
            open.stirred = true;
        }
        if self.is_whole {
            open.pushed_whole(now);
        }
    }
}

impl Connection {
    /// As [`accept`](Self::accept), with what has come with the peer's SYN (RFC 7413 section 4.2.2), whose bytes `syn` counts already.
    #[must_use]
    pub fn accept_early(settings: &Settings, syn: &Handshake, data: Sga, now: Time) -> Self {
        let mut open = Open::new(settings, syn, now);
        open.receive_early(data);
        Self { phase: Phase::Open(open) }
    }

    /// Whoever waits for what was pushed does so no longer: a push that is done later is another one.
    pub fn forget_push(&mut self) {
        match &mut self.phase {
            Phase::Open(open) => {
                if let Some(completions) = &mut open.completions {
                    completions.forget();
                }
            }
            Phase::Opening(opening) => opening.forget_push(),
        }
    }

    /// The first SYN asks for a cookie, or shows this one and waits for data until the time next moves (RFC 7413 sections 4.2.1 and 4.2.2);
    /// `mss` is what the peer has said that it takes, 0 if it has not. To be called before anything is sent.
    pub fn call_early(&mut self, cookie: Cookie, mss: u16, now: Time) {
        if let Phase::Opening(opening) = &mut self.phase {
            opening.call_early(cookie, mss, now);
        }
    }

    /// Whether what is on its way is a SYN that is more than a SYN: should it be lost, that may be why.
    #[must_use]
    pub fn calls_early(&self) -> bool {
        matches!(&self.phase, Phase::Opening(opening) if opening.calls_early())
    }

    /// Whether a segment is the answer to such a SYN: how many bytes went with it, and how many are acknowledged.
    #[must_use]
    pub fn early_answered(&self, segment: &Incoming) -> Option<(u32, u32)> {
        match &self.phase {
            Phase::Opening(opening) => opening.answered(segment),
            Phase::Open(_) => None,
        }
    }

    /// Behind the last number that the peer may acknowledge.
    #[must_use]
    pub fn sent_up_to(&self) -> Option<Seq> {
        match &self.phase {
            Phase::Open(open) if open.state != State::Closed => Some(open.sent_up_to()),
            _ => None,
        }
    }

    /// The peer of a connection that began with data on its SYN has answered: the round trip that this took, if it was measured.
    pub fn confirmed(&mut self, rtt: Option<Duration>, now: Time) {
        if let Phase::Open(open) = &mut self.phase {
            open.confirmed(rtt, now);
        }
    }

    /// The peer does not answer, and is given up.
    pub fn give_up(&mut self) {
        if let Phase::Open(open) = &mut self.phase {
            open.fail(open.silence());
        }
    }

    /// Puts the beginning of a message into the SYN, if that has not left and can have one (RFC 7413 section 4.2.2). `Pending`: what is
    /// left is for [`push`](Self::push), once there is a connection.
    ///
    /// # Errors
    /// `ENOTCONN` it never was connected.
    #[cold]
    pub fn push_early(&mut self, message: &mut Sga, now: Time) -> Poll<Result<()>> {
        match &mut self.phase {
            Phase::Open(_) => Poll::Pending,
            Phase::Opening(opening) => opening.push(message, now),
        }
    }
}
