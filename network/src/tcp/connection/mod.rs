// SPDX-License-Identifier: MIT OR Apache-2.0
//! [`Connection`]: one connection from its handshake to its end (RFC 9293 section 3.10).
//!
//! Segments, calls and the time go in; [`transmit`](Connection::transmit) gives what is to be sent, and
//! [`deadline`](Connection::deadline) says when time alone changes something. It knows neither addresses nor ports.
//!
//! ```text
//!   Opening ── the SYNs have met ──▶ Open: ESTABLISHED … TIME-WAIT ──▶ Open: CLOSED, what was not popped still is there
//!      └── refused, given up ──▶ Opening: CLOSED
//! ```
//!
//! What must always hold:
//!
//! - SND.UNA ≤ SND.NXT, and nothing is acknowledged that was not sent.
//! - As long as something is not acknowledged, or waits for a window, a timer is armed.
//! - A connection that has failed has sent its last segment, but for one RST.

mod calls;
mod checks;
mod early;
mod ecn;
mod ending;
mod info;
mod input;
mod keep_alive;
mod open;
mod opening;
mod options;
mod output;
mod path;
mod persist;
mod probing;
mod quick;
mod search;
mod stamps;
mod state;
mod timers;

use core::task::Poll;

use runtime::buf::Sga;
use runtime::socket::{OptionName, SocketOption};
use runtime::time::Time;
use runtime::{Errno, Error, Result};

use crate::counters::Reason;
use crate::ip::rate::Bucket;
use crate::tcp::listen::Handshake;
use crate::tcp::segment::{Incoming, Outgoing};
use crate::tcp::seq::Seq;
use crate::tcp::settings::Settings;
use crate::tcp::time_wait::TimeWait;
use crate::udp::Readiness;
use crate::wire::tcp::Flags;
use open::{Due, Open};
use opening::Opening;

pub use crate::tcp::receive::{initial_window as first_window, window_scale};
pub use info::Info;
pub(crate) use quick::Payload;
pub use state::State;

const NOT_CONNECTED: Error = Error::new(Errno::NOTCONN, "not connected");
const ABORTED: Error = Error::new(Errno::CONNABORTED, "the connection was aborted here");

/// How much one call of [`Connection::transmit`] may give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Payload bytes of one frame; with fewer than those of two segments, each leaves by itself.
    pub most: u32,
}

/// What a connection shares with the others of its stack.
#[derive(Debug)]
pub struct Env<'a> {
    /// How many challenge ACKs may leave (RFC 5961 section 7).
    pub challenges: &'a mut Bucket,
}

/// What became of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was taken, all or some of it.
    Fine,
    /// It was dropped.
    Dropped(Reason),
    /// It was dropped, and is to be answered by an RST as if there were no connection (RFC 9293 section 3.5.2).
    Reset,
}

/// What [`Connection::look`] sees.
#[derive(Debug)]
pub(crate) struct Look {
    /// What has changed since the last look.
    pub news: Readiness,
    /// Buffers of what was pushed and is not acknowledged.
    pub pushed: u32,
    /// The same with those of what was not popped.
    pub held: u32,
    /// The [deadline](Connection::deadline); [`Time::MAX`]: there is none.
    pub due: Time,
    /// Whether it is in TIME-WAIT or CLOSED.
    pub has_ended: bool,
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    phase: Phase,
}

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "most are open, and a box would be one allocation and one step more for each"
)]
enum Phase {
    Opening(Opening),
    Open(Open),
}

impl Connection {
    /// Opens actively: the SYN is what [`transmit`](Self::transmit) gives first. `mss` is what the link has room for, without
    /// options (the path may have less: [`set_path`](Self::set_path)); `iss` and the origin of the timestamps' `clock` come from the secret of the stack.
    #[must_use]
    pub fn connect(settings: &Settings, iss: Seq, mss: u16, clock: u32, now: Time) -> Self {
        Self { phase: Phase::Opening(Opening::new(settings, iss, mss, clock, now)) }
    }

    /// A connection whose peer has answered our SYN. Its ACK is given to [`receive`](Self::receive) then.
    #[must_use]
    pub fn accept(settings: &Settings, syn: &Handshake, now: Time) -> Self {
        Self { phase: Phase::Open(Open::new(settings, syn, now)) }
    }

    /// Takes a segment; its payload goes out of it.
    #[inline]
    pub fn receive(&mut self, segment: &mut Incoming, env: &mut Env<'_>, now: Time) -> Verdict {
        match &mut self.phase {
            Phase::Open(open) => open.receive(segment, env, now),
            Phase::Opening(_) => self.receive_opening(segment, env, now),
        }
    }

    #[cold]
    fn receive_opening(&mut self, segment: &mut Incoming, env: &mut Env<'_>, now: Time) -> Verdict {
        let Phase::Opening(opening) = &mut self.phase else { return Verdict::Fine };
        match opening.receive(segment, env, now) {
            opening::Next::Stay(verdict) => verdict,
            opening::Next::Open(mut open) => {
                let verdict = if segment.flags.contains(Flags::SYN) {
                    open.receive_syn(segment, now)
                } else {
                    open.receive(segment, env, now)
                };
                self.phase = Phase::Open(*open);
                verdict
            }
        }
    }

    /// The next segment to send, if there is one: call it until there is none.
    #[inline]
    pub fn transmit(&mut self, limit: Limit, now: Time) -> Option<Outgoing> {
        match &mut self.phase {
            Phase::Open(open) => open.transmit(limit, now),
            Phase::Opening(opening) => opening.transmit(now),
        }
    }

    /// Whether [`transmit`](Self::transmit) may have something.
    #[inline]
    #[must_use]
    pub const fn wants_to_send(&self) -> bool {
        match &self.phase {
            Phase::Open(open) => open.stirred,
            Phase::Opening(opening) => opening.wants_to_send(),
        }
    }

    /// When [`expired`](Self::expired) is to be called.
    #[inline]
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        match &self.phase {
            Phase::Open(open) => open.deadline(),
            Phase::Opening(opening) => opening.deadline(),
        }
    }

    /// Does what the time has come for; nothing, if that is nothing.
    pub fn expired(&mut self, now: Time) {
        match &mut self.phase {
            Phase::Open(open) => open.expired(now),
            Phase::Opening(opening) => opening.expired(now),
        }
    }

    /// Puts a message behind what waits to be sent. `Pending`: the buffer is full, or the completion that the settings ask for
    /// has not come; `message` is what is left to be pushed then, nothing if only the completion is waited for.
    ///
    /// # Errors
    /// `EPIPE` after [`shutdown`](Self::shutdown) or the end of the connection; `ENOBUFS` no view to split a buffer by;
    /// `ENOTCONN` it never was connected; else what broke it.
    #[inline]
    pub fn push(&mut self, message: &mut Sga, now: Time) -> Poll<Result<()>> {
        match &mut self.phase {
            Phase::Open(open) => open.push(message, now),
            Phase::Opening(opening) => opening.not_yet(),
        }
    }

    /// Takes what has come, at most so many bytes of it; the end of the stream is one empty message.
    ///
    /// # Errors
    /// `EPIPE` behind the end; what broke the connection, each time; `ENOTCONN` it never was connected; `ENOBUFS` no view to
    /// split a buffer by.
    #[inline]
    pub fn pop(&mut self, at_most: Option<usize>, now: Time) -> Poll<Result<Sga>> {
        match &mut self.phase {
            Phase::Open(open) => open.pop(at_most, now),
            Phase::Opening(opening) => opening.not_yet().map(|result| result.map(|()| Sga::new())),
        }
    }

    /// Ends our stream behind what was pushed; the peer's goes on.
    pub fn shutdown(&mut self, now: Time) {
        match &mut self.phase {
            Phase::Open(open) => open.shutdown(now),
            Phase::Opening(opening) => opening.shutdown(),
        }
    }

    /// Nobody will push or pop any more: what was pushed is delivered, and the connection ends by itself. What still comes is
    /// thrown away for some time; then it is answered by an RST (RFC 9293 section 3.6.1).
    pub fn close(&mut self, now: Time) {
        match &mut self.phase {
            Phase::Open(open) => open.close(now),
            Phase::Opening(opening) => opening.close(),
        }
    }

    /// Ends it at once; the peer gets an RST.
    pub fn abort(&mut self) {
        match &mut self.phase {
            Phase::Open(open) => open.abort(),
            Phase::Opening(opening) => opening.abort(),
        }
    }

    /// Whether the handshake is done.
    ///
    /// # Errors
    /// `ECONNREFUSED` the peer said no; `ETIMEDOUT` it said nothing; what ICMP said.
    #[inline]
    pub fn connected(&self) -> Poll<Result<()>> {
        match &self.phase {
            Phase::Open(_) => Poll::Ready(Ok(())),
            Phase::Opening(opening) => opening.outcome(),
        }
    }

    /// Where it stands.
    #[inline]
    #[must_use]
    pub const fn state(&self) -> State {
        match &self.phase {
            Phase::Open(open) => open.state,
            Phase::Opening(opening) => opening.state(),
        }
    }

    /// Whether it is over: closed, and nothing is left to be sent. What was not popped still can be.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.state(), State::Closed) && !self.wants_to_send()
    }

    /// Whether all that was pushed is acknowledged, and our end too if there was one: what a close that lingers waits for.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        match &self.phase {
            Phase::Open(open) => open.is_drained(),
            Phase::Opening(opening) => opening.is_drained(),
        }
    }

    /// Whether the peer has sent something that nobody will read since the application closed.
    #[must_use]
    pub fn is_sent_to(&self) -> bool {
        matches!(&self.phase, Phase::Open(open) if open.is_sent_to())
    }

    /// Whether it is as an ordinary segment in order leaves it: nothing is owed to the peer but an acknowledgment, which can wait for
    /// that of the next such segment.
    #[inline]
    #[must_use]
    pub fn is_in_order(&self) -> bool {
        matches!(&self.phase, Phase::Open(open) if open.is_in_order())
    }

    /// How many buffers what was pushed and is not acknowledged holds.
    #[inline]
    #[must_use]
    pub fn buffers(&self) -> usize {
        match &self.phase {
            Phase::Open(open) => open.queue.buffers(),
            Phase::Opening(opening) => opening.buffers(),
        }
    }

    /// How many buffers what has come and was not popped holds.
    #[inline]
    #[must_use]
    pub fn waiting(&self) -> usize {
        match &self.phase {
            Phase::Open(open) => open.receiver.segments(),
            Phase::Opening(_) => 0,
        }
    }

    /// Whether a segment with this number is what those that came early wait for, with nothing else to be popped: no memory comes
    /// back before it is there. With something to pop, its owner can make room; so a peer that keeps a gap open gets no more.
    #[must_use]
    pub fn is_missing(&self, seq: Seq) -> bool {
        match &self.phase {
            Phase::Open(open) => {
                open.receiver.has_hole() && open.receiver.readable() == 0 && !seq.is_behind(open.receiver.next())
            }
            Phase::Opening(_) => false,
        }
    }

    /// Whether something is missing in front of a segment with this number: what it brings lets nobody pop anything.
    #[must_use]
    pub fn is_early(&self, seq: Seq) -> bool {
        match &self.phase {
            Phase::Open(open) => seq.is_behind(open.receiver.next()),
            Phase::Opening(_) => false,
        }
    }

    /// Whether something that was pushed has not left yet: it waits for a window, for company, or for its turn.
    #[inline]
    #[must_use]
    pub fn holds_back(&self) -> bool {
        match &self.phase {
            Phase::Open(open) => open.has_unsent(),
            Phase::Opening(_) => false,
        }
    }

    /// How many buffers it holds, both ways.
    #[inline]
    pub(crate) fn held(&self) -> u32 {
        match &self.phase {
            Phase::Open(open) => (open.queue.buffers() + open.receiver.segments()) as u32,
            Phase::Opening(opening) => opening.buffers() as u32,
        }
    }

    /// What has become of it since the last call, for whoever keeps it.
    #[inline(always)]
    pub(crate) fn look(&mut self) -> Look {
        match &mut self.phase {
            Phase::Open(open) => {
                let pushed = open.queue.buffers() as u32;
                Look {
                    news: core::mem::take(&mut open.news),
                    pushed,
                    held: pushed + open.receiver.segments() as u32,
                    due: open.due(),
                    has_ended: matches!(open.state, State::TimeWait | State::Closed),
                }
            }
            Phase::Opening(opening) => Look {
                news: core::mem::take(&mut opening.news),
                pushed: opening.buffers() as u32,
                held: opening.buffers() as u32,
                due: opening.deadline().unwrap_or(Time::MAX),
                has_ended: opening.state() == State::Closed,
            },
        }
    }

    /// What has changed since the last call.
    #[inline]
    pub fn news(&mut self) -> Readiness {
        let news = match &mut self.phase {
            Phase::Open(open) => &mut open.news,
            Phase::Opening(opening) => &mut opening.news,
        };
        core::mem::take(news)
    }

    /// The path has room for segments of so many bytes, without options, as far as somebody has said.
    pub fn set_path(&mut self, mss: u16, now: Time) {
        match &mut self.phase {
            Phase::Open(open) => open.set_path(mss, now),
            Phase::Opening(opening) => opening.set_path(mss),
        }
    }

    /// The peer is to hear what is expected of it, without a further reason.
    pub fn answer(&mut self) {
        if let Phase::Open(open) = &mut self.phase {
            open.due.set(Due::ANSWER);
        }
    }

    /// The link takes segments of so many bytes, without options, and no longer ones.
    pub fn set_link(&mut self, mss: u16) {
        if let Phase::Open(open) = &mut self.phase {
            open.set_link(mss);
        }
    }

    /// ICMP says that the segment with this number was too long, and that so much would fit. The caller has made sure, by
    /// [`is_in_flight`](Self::is_in_flight), that it is about a segment of this connection.
    pub fn too_big(&mut self, seq: Seq, mss: u16, now: Time) {
        match &mut self.phase {
            Phase::Open(open) => open.too_big(seq, mss, now),
            Phase::Opening(opening) => opening.set_path(mss),
        }
    }

    /// ICMP says that the peer cannot be reached; `hard`: that it stays so. The caller has made sure, by
    /// [`is_in_flight`](Self::is_in_flight), that it is about a segment of this connection (RFC 5927 section 4.1).
    pub fn unreachable(&mut self, error: Error, hard: bool) {
        match &mut self.phase {
            // RFC 5927 section 5.2: once both ends know each other, no error is hard.
            Phase::Open(open) => open.hint(error),
            Phase::Opening(opening) => opening.unreachable(error, hard),
        }
    }

    /// Whether a segment with this number has left and was not acknowledged.
    #[must_use]
    pub fn is_in_flight(&self, seq: Seq) -> bool {
        match &self.phase {
            Phase::Open(open) => seq.is_in(open.recovery.una(), open.sent_up_to()),
            Phase::Opening(opening) => opening.is_in_flight(seq),
        }
    }

    /// The stack has memory for so many received bytes; its window never promises more, however far the settings let it grow. To be
    /// called before anything has come.
    pub fn set_receive_room(&mut self, bytes: usize) {
        match &mut self.phase {
            Phase::Open(open) => open.receiver.set_room(bytes),
            Phase::Opening(opening) => opening.later.receive_room = bytes,
        }
    }

    /// Sets an option; those that a connection has no use for are ignored.
    pub fn set_option(&mut self, option: SocketOption, now: Time) {
        match &mut self.phase {
            Phase::Open(open) => open.set_option(option, now),
            Phase::Opening(opening) => opening.later.set(option),
        }
    }

    /// An option of the connection; `None` for those that it has no use for.
    #[must_use]
    pub fn option(&self, name: OptionName) -> Option<SocketOption> {
        match &self.phase {
            Phase::Open(open) => open.option(name),
            Phase::Opening(opening) => opening.later.get(name),
        }
    }

    /// How it fares.
    #[must_use]
    pub fn info(&self, now: Time) -> Info {
        match &self.phase {
            Phase::Open(open) => open.info(now),
            Phase::Opening(opening) => opening.info(),
        }
    }

    /// What a table keeps in its place, once it is in TIME-WAIT and nothing is left to send, and until when.
    #[must_use]
    pub fn time_wait(&self) -> Option<(TimeWait, Time)> {
        match &self.phase {
            Phase::Open(open) => open.time_wait(),
            Phase::Opening(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
