// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connections that others begin: from the SYN to the queue of those that wait to be accepted (RFC 9293 section 3.10.7.2, RFC
//! 4987).
//!
//! What must always hold: what comes on a SYN beside it is not taken and not acknowledged, so that the peer sends it again once
//! the handshake is done; a connection is made when the peer has shown that it sees what is sent to its address, and not before: by
//! its answer, or by a cookie (`early`).

use runtime::buf::Sga;
use runtime::slab::Key;
use runtime::time::Time;

use super::socket::{Hold, Kind, Open, Stream};
use super::{Answered, Streams};
use crate::counters::Reason;
use crate::limits::HALF_OPEN_MAX;
use crate::stack::Stack;
use crate::tcp::clock;
use crate::tcp::connection::Connection;
use crate::tcp::listen::{Admission, Answer, HalfOpen, Handshake, Local};
use crate::tcp::segment::Incoming;
use crate::tcp::seq::Seq;
use crate::tcp::table::{Flow, Place};
use crate::udp::Readiness;
use crate::wire::tcp::Flags;

/// By how much a connection begins behind the last number of the one before between its ends (RFC 9293 section 3.6.1): more than
/// what may be on its way.
const APART: u32 = 1 << 20;

impl Streams {
    /// Who listens for a flow.
    pub(super) fn listener_for(&self, flow: &Flow, hash: u32) -> Option<u32> {
        let (address, port) = flow.local;
        self.listeners
            .find(address, port, hash, |index| self.slab.at(index).is_some_and(|stream| stream.serves(address)))
    }

    /// The number with which a connection begins.
    pub(super) fn first_sequence(&self, flow: &Flow, behind: Option<Seq>, now: Time) -> Seq {
        let sequence = self.origins.sequence(flow, now);
        match behind {
            Some(last) if !sequence.is_behind(last) => last + APART,
            _ => sequence,
        }
    }

    /// What listens at an index.
    fn listener(&mut self, index: u32) -> Option<(&mut super::socket::Listener, Option<u8>)> {
        let stream = self.slab.at_mut(index)?;
        let hops = stream.hops;
        match &mut stream.kind {
            Kind::Listening(listener) => Some((listener, hops)),
            _ => None,
        }
    }
}

impl Stack {
    /// What this end brings into a handshake.
    fn local_end(&self, flow: &Flow, behind: Option<Seq>, now: Time) -> Local {
        Local {
            iss: self.streams.first_sequence(flow, behind, now),
            clock: self.streams.origins.clock(flow),
            path: self.path_mss(flow.remote.0, now),
            link: self.link_mss(flow.remote.0),
            usual: if flow.remote.0.is_ipv4() { 536 } else { 1220 },
        }
    }

    /// A segment for one that listens (RFC 9293 section 3.10.7.2). `late`: the connection between these ends that has ended, and makes
    /// place if the new one is begun, which has to begin behind its numbers (RFC 9293 section 3.6.1, RFC 6191 section 2).
    pub(super) fn receive_call(
        &mut self,
        listener: u32,
        flow: &Flow,
        hash: u32,
        segment: Incoming,
        late: Option<u32>,
        now: Time,
    ) {
        if segment.flags.contains(Flags::ACK) {
            return self.receive_cookie(listener, flow, hash, segment, now);
        }
        // A SYN that ends at once is nobody's.
        if !segment.flags.contains(Flags::SYN) || segment.flags.contains(Flags::FIN) {
            return self.counters.drop(Reason::TcpUnacceptable);
        }
        let behind = late.and_then(|late| self.streams.time_waits.get(late)).map(|waiting| waiting.state.next);
        let local = self.local_end(flow, behind, now);
        let full = self.streams.half_open.len() >= HALF_OPEN_MAX;
        let Some((at, hops)) = self.streams.listener(listener) else { return };
        let settings = at.settings;
        // The number of a cookie is behind no other.
        match at.backlog.admit(full, settings.cookies && late.is_none(), now) {
            Admission::Drop => self.counters.drop(Reason::TcpBacklog),
            Admission::Cookie => {
                self.counters.cookies_sent += 1;
                let answer = self.streams.cookies.answer(flow, &segment, &local, &settings, now);
                self.send_apart(flow, hops, answer, now);
            }
            Admission::Remember => {
                if let Some(late) = late {
                    self.streams.forget_time_wait(late);
                }
                let mut handshake = Handshake::new(&segment, &local, &settings, now);
                let early = if settings.fast_open {
                    self.answer_cookie(listener, flow, hash, &mut handshake, segment, now)
                } else {
                    None
                };
                self.remember(listener, flow, hash, handshake, early, now);
                if let Some(key) = early {
                    self.settle(key.index, now);
                }
            }
        }
    }

    /// Remembers a SYN, and answers it.
    fn remember(&mut self, listener: u32, flow: &Flow, hash: u32, handshake: Handshake, early: Option<Key>, now: Time) {
        let streams = &mut self.streams;
        let Some(key) = streams.slab.key_at(listener) else { return };
        let half = HalfOpen { flow: *flow, hash, listener: key, handshake, tries: 0, early, ended: false };
        let due = now + half.patience(&streams.settings);
        // There is room: the listener was asked.
        let Ok(at) = streams.half_open.insert(Answered { half, timer: None }) else {
            return self.counters.drop(Reason::TcpBacklog);
        };
        let place = Place::HalfOpen(at.index);
        if let Some(answered) = streams.half_open.at_mut(at.index) {
            // There is room for as many.
            answered.timer = streams.timers.insert(due, place.pack()).ok();
        }
        streams.table.insert(hash, place);
        if let Some((listener, _)) = streams.listener(listener) {
            listener.backlog.remember(early.is_some());
        }
        self.answer_call(at.index, now);
    }

    /// Sends our SYN.
    fn answer_call(&mut self, index: u32, now: Time) {
        let Some(answered) = self.streams.half_open.at(index) else { return };
        let (flow, handshake, listener) = (answered.half.flow, answered.half.handshake, answered.half.listener);
        let hops = self.streams.slab.get_mut(listener).and_then(|stream| stream.hops);
        let shown = handshake.clocks.map_or(0, |(origin, _)| clock::ticks(now, origin));
        let mut answer = handshake.answer(self.link_mss(flow.remote.0), shown);
        if handshake.grants {
            answer.options.fast_open = Some(self.streams.mint.cookie(flow.local.0, flow.remote.0, now));
        }
        self.send_apart(&flow, hops, answer, now);
    }

    /// A segment for a SYN that was answered.
    #[inline(never)]
    pub(super) fn receive_answer(&mut self, index: u32, segment: Incoming, now: Time) {
        let Some(answered) = self.streams.half_open.at(index) else { return };
        let half = &answered.half;
        let (flow, handshake, listener, hash) = (half.flow, half.handshake, half.listener, half.hash);
        let sent = match half.early.map(|key| self.streams.early_sent_up_to(key)) {
            None => handshake.iss + 1,
            Some(Some(sent)) => sent,
            Some(None) => {
                // The connection has ended here meanwhile: what comes is nobody's.
                self.forget_half_open(index);
                return self.receive_new(&flow, hash, segment, now);
            }
        };
        match half.judge(&segment, sent) {
            Answer::Accept | Answer::Forget if half.early.is_some() => self.receive_early_answer(index, segment, now),
            Answer::Accept => {
                if self.establish(listener, &flow, hash, &handshake, Some(index), now) {
                    self.receive_first(&flow, segment, now);
                }
            }
            Answer::Drop => self.counters.drop(Reason::TcpUnacceptable),
            Answer::Again => {
                // Of one that was sent twice nobody knows which is acknowledged (RFC 6298 section 3).
                if let Some(answered) = self.streams.half_open.at_mut(index) {
                    answered.half.handshake.sent = None;
                }
                self.answer_call(index, now);
            }
            Answer::Challenge => {
                self.counters.drop(Reason::TcpUnacceptable);
                if self.streams.challenges.take(now) {
                    self.send_apart(&flow, None, handshake.acknowledgment(sent, now), now);
                }
            }
            Answer::Reset => {
                // A cookie may have answered the same SYN before there was room to remember it (RFC 4987 section 3.6).
                let read = if half.early.is_none() { self.read_cookie(listener, &flow, &segment, now) } else { None };
                let Some(handshake) = read else {
                    self.counters.drop(Reason::TcpUnacceptable);
                    return self.send_reset(&flow, &segment, now);
                };
                self.counters.cookies_received += 1;
                if self.establish(listener, &flow, hash, &handshake, Some(index), now) {
                    self.receive_first(&flow, segment, now);
                }
            }
            Answer::Forget => self.forget_half_open(index),
        }
    }

    /// An acknowledgment of nothing that is remembered: of a cookie, or of nothing.
    #[cold]
    fn receive_cookie(&mut self, listener: u32, flow: &Flow, hash: u32, segment: Incoming, now: Time) {
        let Some(key) = self.streams.slab.key_at(listener) else { return };
        let Some(handshake) = self.read_cookie(key, flow, &segment, now) else {
            self.counters.drop(Reason::TcpNobody);
            return self.send_reset(flow, &segment, now);
        };
        self.counters.cookies_received += 1;
        if self.establish(key, flow, hash, &handshake, None, now) {
            self.receive_first(flow, segment, now);
        }
    }

    /// What a cookie remembers that an acknowledgment brings back, if one may come back to that listener at all.
    fn read_cookie(&self, listener: Key, flow: &Flow, segment: &Incoming, now: Time) -> Option<Handshake> {
        let local = self.local_end(flow, None, now);
        let Kind::Listening(at) = &self.streams.slab.get(listener)?.kind else { return None };
        if segment.flags.contains(Flags::SYN) || !at.backlog.expects_cookies(now) {
            return None;
        }
        self.streams.cookies.read(flow, segment, &local, &at.settings, now)
    }

    /// The handshake is done: a connection waits to be accepted. False if there is no room for it: the peer tries again. `from`:
    /// where its SYN was remembered.
    fn establish(
        &mut self,
        listener: Key,
        flow: &Flow,
        hash: u32,
        handshake: &Handshake,
        from: Option<u32>,
        now: Time,
    ) -> bool {
        let Some(key) = self.make(listener, flow, hash, handshake, None, now) else { return false };
        let streams = &mut self.streams;
        let place = Place::Connection(key.index);
        match from {
            Some(index) => {
                streams.table.move_to(hash, Place::HalfOpen(index), place);
                streams.drop_half_open(index);
            }
            None => streams.table.insert(hash, place),
        }
        true
    }

    /// Makes a connection, which has no place yet, and has it wait to be accepted. `None` if there is no room for it. `early`: what
    /// has come with its SYN.
    pub(super) fn make(
        &mut self,
        listener: Key,
        flow: &Flow,
        hash: u32,
        handshake: &Handshake,
        early: Option<Sga>,
        now: Time,
    ) -> Option<Key> {
        let Ok(path) = self.route(flow.remote.0, Some(flow.local.0)) else {
            self.counters.drop(Reason::NoRoute);
            return None;
        };
        let mtus = self.stream_mtus.version();
        // Routers may have said something since the SYN came.
        let handshake = &Handshake { path: self.path_mss(flow.remote.0, now), ..*handshake };
        let streams = &mut self.streams;
        let room = streams.receive_room;
        let parent = streams.slab.get_mut(listener)?;
        let options = parent.options.clone();
        let mut stream = Stream {
            v6_only: parent.v6_only,
            reuse_address: parent.reuse_address,
            reuse_port: parent.reuse_port,
            waits: true,
            hops: parent.hops,
            local: flow.local,
            hold: Hold::Own,
            ..Stream::new(parent.domain)
        };
        let Kind::Listening(at) = &mut parent.kind else { return None };
        if at.backlog.is_full() {
            self.counters.drop(Reason::TcpBacklog);
            return None;
        }
        let mut connection = match early {
            None => Connection::accept(&at.settings, handshake, now),
            Some(data) => Connection::accept_early(&at.settings, handshake, data, now),
        };
        connection.set_receive_room(room);
        if let Some(options) = options {
            options.apply(&mut connection, now);
            stream.options = Some(options);
        }
        let sharing = stream.sharing();
        stream.kind = Kind::Open(Open { mtus, told: true, ..Open::new(connection, path, flow.remote.1, hash) });
        let Ok(key) = streams.slab.insert(stream.into()) else {
            self.counters.drop(Reason::TcpBacklog);
            return None;
        };
        streams.ports.hold(flow.local.1, flow.local.0, sharing);
        if let Some((at, _)) = streams.listener(listener.index) {
            at.backlog.push(key);
        }
        streams.wake(listener.index, Readiness { readable: true, writable: false });
        self.counters.accepted += 1;
        Some(key)
    }

    /// The segment that has made a connection is its first.
    pub(super) fn receive_first(&mut self, flow: &Flow, segment: Incoming, now: Time) {
        if let (_, Some(Place::Connection(index))) = self.streams.find(flow) {
            self.receive_at(index, segment, now);
        }
    }

    /// Our SYN was not answered in time: it is sent again, or given up.
    pub(super) fn expire_half_open(&mut self, index: u32, now: Time) {
        let streams = &mut self.streams;
        let settings = streams.settings;
        let Some(answered) = streams.half_open.at_mut(index) else { return };
        answered.timer = None;
        let early = answered.half.early;
        if answered.half.ended || early.is_some_and(|key| streams.early_sent_up_to(key).is_none()) {
            return self.forget_half_open(index);
        }
        let Some(answered) = streams.half_open.at_mut(index) else { return };
        if let Some(due) = answered.half.expired(&settings, now) {
            answered.timer = streams.timers.insert(due, Place::HalfOpen(index).pack()).ok();
            return self.answer_call(index, now);
        }
        self.forget_half_open(index);
        if let Some(key) = early {
            self.give_up_early(key, now);
        }
    }

    /// A SYN that was answered comes to nothing.
    pub(super) fn forget_half_open(&mut self, index: u32) {
        if let Some(half) = self.streams.drop_half_open(index) {
            self.streams.table.remove(half.hash, Place::HalfOpen(index));
        }
    }
}

impl Streams {
    /// Takes one out of those that are remembered, but not out of the table.
    pub(super) fn drop_half_open(&mut self, index: u32) -> Option<HalfOpen> {
        let key = self.half_open.key_at(index)?;
        let Answered { half, timer } = self.half_open.remove(key)?;
        if let Some(timer) = timer {
            self.timers.cancel(timer);
        }
        if let Some(Kind::Listening(listener)) = self.slab.get_mut(half.listener).map(|stream| &mut stream.kind) {
            listener.backlog.forget(half.early.is_some());
        }
        Some(half)
    }
}
