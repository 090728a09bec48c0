// SPDX-License-Identifier: MIT OR Apache-2.0
//! Data that go with SYNs, ours and others' (RFC 7413).
//!
//! A connection whose data were taken with its SYN is there from then on, and waits to be accepted; its place in the table stays with
//! the SYN that was answered until the peer has answered in turn. What comes until then is judged there; what the connection sends
//! leaves at once.
//!
//! What must always hold: nothing is taken from a SYN without a cookie of ours for the address that it comes from, and no more such
//! SYNs are unanswered than a listener may have.

use core::task::Poll;

use runtime::Result;
use runtime::buf::Sga;
use runtime::slab::Key;
use runtime::time::Time;

use super::socket::Kind;
use super::{StreamId, Streams};
use crate::stack::Stack;
use crate::tcp::connection::Connection;
use crate::tcp::fast_open::{Call, Shown};
use crate::tcp::listen::Handshake;
use crate::tcp::segment::Incoming;
use crate::tcp::table::{Flow, Place};
use crate::wire::tcp::{Cookie, Flags};

impl Streams {
    /// What a SYN of ours says beyond others.
    pub(super) fn call_early(&self, connection: &mut Connection, flow: &Flow, now: Time) {
        match self.known.call(flow.local.0, flow.remote.0, now) {
            Call::Early { cookie, mss } => connection.call_early(cookie, mss, now),
            Call::Ask => connection.call_early(Cookie::default(), 0, now),
            Call::Plainly => {}
        }
    }

    /// Behind what a connection has sent whose peer has not answered yet; `None` if it has ended.
    pub(super) fn early_sent_up_to(&self, key: Key) -> Option<crate::tcp::seq::Seq> {
        match &self.slab.get(key)?.kind {
            Kind::Open(open) => open.connection.sent_up_to(),
            _ => None,
        }
    }

    /// Whether somebody has accepted such a connection, or has had it.
    pub(super) fn is_accepted(&self, key: Key) -> bool {
        self.slab.get(key).is_some_and(|stream| !stream.waits)
    }
}

impl Stack {
    /// A push to a connection that is being opened.
    #[cold]
    pub(super) fn push_early(&mut self, id: StreamId, message: &mut Sga, now: Time) -> Poll<Result<()>> {
        let Ok(stream) = self.streams.get(id) else { return Poll::Pending };
        let Kind::Open(open) = &mut stream.kind else { return Poll::Pending };
        let pushed = open.connection.push_early(message, now);
        if open.connection.wants_to_send() {
            self.settle(id.0.index, now);
        }
        pushed
    }

    /// A SYN that may show a cookie, or ask for one: says in the handshake whether ours is to give one, and gives the connection, if
    /// data are taken.
    pub(super) fn answer_cookie(
        &mut self,
        listener: u32,
        flow: &Flow,
        hash: u32,
        handshake: &mut Handshake,
        syn: Incoming,
        now: Time,
    ) -> Option<Key> {
        let cookie = syn.options.fast_open?;
        let (streams, data) = (&mut self.streams, syn.payload);
        let shown = streams.mint.judge(flow.local.0, flow.remote.0, &cookie, now);
        handshake.grants = shown != Shown::Good;
        let takes = matches!(&streams.slab.at(listener)?.kind, Kind::Listening(at) if at.backlog.takes_early());
        // Like data for one that has more than its share, when others hold much.
        let is_scarce = streams.held >= streams.take_max;
        if shown == Shown::None || !takes || is_scarce || data.len() > usize::from(handshake.offered) {
            return None;
        }
        let key = self.streams.slab.key_at(listener)?;
        handshake.early = Some(data.len() as u16);
        let made = self.make(key, flow, hash, handshake, Some(data), now);
        match made {
            Some(_) => self.counters.fast_opens_received += 1,
            None => handshake.early = None,
        }
        made
    }

    /// A segment for a connection whose peer has not answered until now: it has its place from here on. An RST is for it, too, but
    /// the place among those that have not answered stays taken for a while (RFC 7413 section 5.1).
    pub(super) fn receive_early_answer(&mut self, index: u32, segment: Incoming, now: Time) {
        let Some(answered) = self.streams.half_open.at_mut(index) else { return };
        let half = &mut answered.half;
        let (flow, hash, sent, Some(key)) = (half.flow, half.hash, half.handshake.sent, half.early) else { return };
        let is_reset = segment.flags.contains(Flags::RST);
        half.ended = is_reset;
        self.streams.table.move_to(hash, Place::HalfOpen(index), Place::Connection(key.index));
        if !is_reset {
            self.streams.drop_half_open(index);
            if let Some(open) = self.streams.slab.get_mut(key).and_then(|stream| stream.open()) {
                open.connection.confirmed(sent.map(|sent| now - sent), now);
            }
        }
        self.receive_first(&flow, segment, now);
    }

    /// The peer of a connection has not answered, and is given up.
    pub(super) fn give_up_early(&mut self, key: Key, now: Time) {
        if let Some(open) = self.streams.slab.get_mut(key).and_then(|stream| stream.open()) {
            open.connection.give_up();
            self.settle(key.index, now);
        }
    }

    /// What the answer to a SYN of ours says about the next ones to the same host.
    #[cold]
    pub(super) fn learn_cookie(&mut self, index: u32, flow: &Flow, segment: &Incoming, now: Time) {
        let Some(Kind::Open(open)) = self.streams.slab.at(index).map(|stream| &stream.kind) else { return };
        let Some((sent, acknowledged)) = open.connection.early_answered(segment) else { return };
        let (ours, theirs) = (flow.local.0, flow.remote.0);
        match segment.options.fast_open {
            Some(cookie) if !cookie.is_empty() => {
                self.streams.known.give(ours, theirs, cookie, segment.options.mss, now);
            }
            _ if acknowledged < sent => self.streams.known.forget(ours, theirs),
            _ => {}
        }
        self.counters.fast_opens_sent += u64::from(acknowledged > 0);
    }

    /// A SYN of ours that was more than a SYN was not answered.
    #[cold]
    pub(super) fn avoid_early(&mut self, index: u32, now: Time) {
        if let Some(flow) = self.streams.slab.at(index).and_then(|stream| stream.flow()) {
            self.streams.known.avoid(flow.local.0, flow.remote.0, now);
        }
    }
}
