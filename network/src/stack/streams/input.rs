// SPDX-License-Identifier: MIT OR Apache-2.0
//! Segments on their way to connections (RFC 9293 section 3.10.7), and to those who listen.
//!
//! What must always hold: a segment that is not whole, not for one host or not from one is dropped before anybody sees it; what
//! nobody expects is answered by an RST, never by one for an RST, and not too often.

use runtime::buf::Sga;
use runtime::time::Time;

use super::socket::Kind;
use crate::counters::Reason;
use crate::ip::addresses::Class;
use crate::limits::STREAM_BUFFERS_MIN;
use crate::stack::input::Packet;
use crate::stack::{Stack, message};
use crate::tcp::connection::{Env, Verdict};
use crate::tcp::segment::{Incoming, Outgoing};
use crate::tcp::seq::Seq;
use crate::tcp::table::{Flow, Place};
use crate::tcp::time_wait::Late;
use crate::wire::checksum::pseudo_header;
use crate::wire::tcp::{Flags, Header, Options, View};
use crate::wire::{Ecn, Protocol, tcp};

impl Stack {
    /// Takes in a segment.
    #[inline]
    pub(in crate::stack) fn receive_tcp(&mut self, mut packet: Packet, now: Time) {
        self.streams.now = now;
        // RFC 9293 section 3.9.2.3 (MUST-57): to one host only, and from one (MUST-63).
        if !matches!(packet.class, Class::Ours | Class::Loopback) || packet.source.is_multicast() {
            return self.counters.drop(Reason::Tcp);
        }
        if message::front(&packet.data).len() < packet.at + tcp::HEADER_MAX.min(packet.len)
            && message::gather(&mut packet.data, packet.at + tcp::HEADER_MAX, &self.pools).is_err()
        {
            return self.counters.drop(Reason::NoBuffer);
        }
        let front = message::front(&packet.data);
        let bytes = front.get(packet.at..front.len().min(packet.at + packet.len)).unwrap_or_default();
        let parsed = View::new(bytes).and_then(|view| Ok((Header::parse(&view)?, view.header_len())));
        let Ok((header, header_len)) = parsed else { return self.counters.drop(Reason::Tcp) };
        if !packet.verified {
            let mut sum = pseudo_header(packet.source, packet.destination, Protocol::TCP.0, packet.len as u32);
            message::sum(&packet.data, packet.at, packet.at + packet.len, &mut sum);
            if !sum.is_right() {
                return self.counters.drop(Reason::TcpChecksum);
            }
        }
        packet.data.trim_front(packet.at + header_len);
        let Packet { source, destination, ecn, data, len, .. } = packet;
        // What carries nothing has no segments, so that it is told apart at a glance.
        let data = if len == header_len { Sga::new() } else { data };
        let flow = Flow { local: (destination, header.destination), remote: (source, header.source) };
        let segment = Incoming {
            seq: Seq(header.sequence),
            ack: Seq(header.acknowledgment),
            flags: header.flags,
            window: header.window,
            options: header.options,
            ecn,
            payload: data,
        };
        self.counters.segments_received += 1;
        let (hash, place) = self.streams.find(&flow);
        match place {
            Some(Place::Connection(index)) => {
                // The short way takes frames from the network, and looks at no source: none has one of ours, or a loopback one (RFC 1122
                // section 3.2.1.3).
                if !(flow.remote.0.is_loopback() || self.addresses.is_ours(flow.remote.0)) {
                    self.streams.recents.put(&flow, index, self.epoch);
                }
                if segment.flags.contains(Flags::SYN) {
                    self.learn_cookie(index, &flow, &segment, now);
                }
                self.receive_at(index, segment, now);
            }
            Some(Place::HalfOpen(index)) => self.receive_answer(index, segment, now),
            Some(Place::TimeWait(index)) => self.receive_late(index, &flow, hash, segment, now),
            None => self.receive_new(&flow, hash, segment, now),
        }
    }

    /// A segment for a connection.
    #[inline]
    pub(super) fn receive_at(&mut self, index: u32, mut segment: Incoming, now: Time) {
        let super::Streams { slab, challenges, held, row, take_max, hold_max, .. } = &mut self.streams;
        let held = &(*held + row.buffers as usize);
        let mut refused = false;
        let Some(Kind::Open(open)) = slab.at_mut(index).map(|stream| &mut stream.kind) else { return };
        if held >= take_max
            && !segment.payload.has_no_segment()
            && (held >= hold_max
                || open.connection.waiting() >= STREAM_BUFFERS_MIN
                || open.connection.is_early(segment.seq))
            && !open.connection.is_missing(segment.seq)
        {
            // As if its payload had been lost on the way; what it acknowledges counts. But its sender hears that somebody is here: of who does not
            // answer what probes a closed window, he thinks that he has gone (RFC 9293 section 3.8.6.1).
            refused = true;
            segment.payload = Sga::new();
            segment.flags = Flags(segment.flags.0 & !(Flags::FIN | Flags::PSH).0);
            self.counters.drop(Reason::ReceiveFull);
        }
        let buffers = segment.payload.segments() as u32;
        let verdict = open.connection.receive(&mut segment, &mut Env { challenges }, now);
        if refused && verdict == Verdict::Fine {
            open.connection.answer();
        } else if verdict == Verdict::Fine && open.connection.is_in_order() {
            return self.settle_later(index, buffers, now);
        }
        match verdict {
            Verdict::Fine => {}
            Verdict::Dropped(reason) => self.counters.drop(reason),
            Verdict::Reset => self.refuse_segment(index, &segment, now),
        }
        self.settle(index, now);
    }

    #[cold]
    fn refuse_segment(&mut self, index: u32, segment: &Incoming, now: Time) {
        self.counters.drop(Reason::TcpUnacceptable);
        if let Some(flow) = self.streams.slab.at(index).and_then(|stream| stream.flow()) {
            self.send_reset(&flow, segment, now);
        }
    }

    /// A segment for one that has ended.
    #[cold]
    fn receive_late(&mut self, index: u32, flow: &Flow, hash: u32, segment: Incoming, now: Time) {
        let Some(waiting) = self.streams.time_waits.get(index) else { return };
        let state = waiting.state;
        match state.judge(&segment) {
            Late::Drop => self.counters.drop(Reason::TcpLate),
            Late::Again => {
                let time = self.streams.settings.time_wait;
                self.streams.time_waits.restart(index, now, time);
                self.answer_late(flow, &state, now);
            }
            Late::Challenge => {
                self.counters.drop(Reason::TcpLate);
                if self.streams.challenges.take(now) {
                    self.answer_late(flow, &state, now);
                }
            }
            Late::Reopen => match self.streams.listener_for(flow, hash) {
                Some(listener) => self.receive_call(listener, flow, hash, segment, Some(index), now),
                // If nobody listens any more, what has ended stays as it is.
                None => self.receive_new(flow, hash, segment, now),
            },
        }
    }

    fn answer_late(&mut self, flow: &Flow, state: &crate::tcp::time_wait::TimeWait, now: Time) {
        let acknowledgment = Outgoing {
            seq: state.next,
            ack: state.expected,
            flags: Flags::ACK,
            window: state.window,
            options: Options { timestamps: state.timestamps(now), ..Options::default() },
            ecn: Ecn::NotCapable,
            payload: runtime::buf::Sga::new(),
            segment: 0,
        };
        self.send_apart(flow, None, acknowledgment, now);
    }

    /// A segment of a flow that is not known.
    #[cold]
    pub(super) fn receive_new(&mut self, flow: &Flow, hash: u32, segment: Incoming, now: Time) {
        if segment.flags.contains(Flags::RST) {
            return self.counters.drop(Reason::TcpNobody);
        }
        if let Some(listener) = self.streams.listener_for(flow, hash) {
            return self.receive_call(listener, flow, hash, segment, None, now);
        }
        self.counters.drop(Reason::TcpNobody);
        self.send_reset(flow, &segment, now);
    }
}
