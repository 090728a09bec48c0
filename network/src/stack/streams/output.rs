// SPDX-License-Identifier: MIT OR Apache-2.0
//! Segments on their way out: what connections have to send becomes packets, with "don't fragment" set (RFC 1191 section 3), cut
//! by the device where it can (TSO).
//!
//! What must always hold: the payload is not copied, but for a few bytes behind their headers; what finds no room in the output
//! stays with its connection, which is asked again once there is room. A segment that cannot leave is lost like one on the way: TCP sends it again.

use core::net::IpAddr;

use runtime::buf::Sga;
use runtime::device::{Checksum, Frame, SegmentKind, Segmentation};
use runtime::time::Time;
use runtime::{Errno, Error, Result};

use super::socket::{Hold, Kind};
use crate::counters::Reason;
use crate::limits::{LOOPBACK_MAX, STREAM_TIMER_STAYS};
use crate::stack::output::{NO_NEIGHBOUR, ether_type, v4_header, v6_header};
use crate::stack::{Stack, message};
use crate::tcp::connection::{Limit, Look};
use crate::tcp::segment::{Incoming, Outgoing};
use crate::tcp::table::{Flow, Place};
use crate::udp::{Path, Readiness, Target};
use crate::wire::checksum::pseudo_header;
use crate::wire::tcp::{Flags, Header, Options};
use crate::wire::{Ecn, Protocol, ethernet, ipv4, ipv6, tcp, vlan};

/// The headers of the longest kind: Ethernet, a VLAN tag, IPv6, TCP with all options.
const HEADERS_MAX: usize = ethernet::HEADER + vlan::HEADER + ipv6::HEADER + tcp::HEADER_MAX;
/// Bytes of payload of one frame that a device cuts: with the headers no more than an IP packet can have.
const CUT_MAX: u32 = 65_535 - 120;

const NO_BUFFER: Error = Error::new(Errno::NOBUFS, "no buffer for the headers of a segment");
const NOT_OURS: Error = Error::new(Errno::NETUNREACH, "the address of the connection is not ours any more");

/// How the segments of one flow go out.
#[derive(Clone, Copy)]
pub(super) struct Way {
    pub path: Path,
    /// Ours, then theirs.
    pub ports: (u16, u16),
    pub hops: u8,
}

impl Stack {
    /// What follows whatever has called a connection: its segments leave, its owner is told, its timer is set; and when it is
    /// over, it goes.
    #[inline]
    pub(super) fn settle(&mut self, index: u32, now: Time) {
        if let Some(stream) = self.streams.slab.at_mut(index)
            && let Kind::Open(open) = &mut stream.kind
            && open.connection.wants_to_send()
        {
            self.flush(index, now);
        }
        let streams = &mut self.streams;
        let Some(stream) = streams.slab.at_mut(index) else { return };
        let (orphan, Kind::Open(open)) = (stream.orphan, &mut stream.kind) else { return };
        let Look { mut news, pushed, held, mut due, has_ended } = open.connection.look();
        if open.starves || open.lingers < Time::MAX {
            due = due.min(open.look_at_owner(&mut news, now));
        }
        let at = open.fires;
        // A timer that is early looks again when it fires. What is due now and finds no room leaves when there is room. One that is
        // far away with nothing to wait for, as that of a handshake, would only wake an idle host.
        let is_late = due < at && !(open.crowded && due <= now);
        let is_vain = due == Time::MAX && at < Time::MAX && at > now + STREAM_TIMER_STAYS;
        let ends = has_ended && (open.linked || orphan);
        // Who is not accepted yet has nobody who could be told.
        if news != Readiness::default() {
            let tell = stream.news == Readiness::default() && !orphan && !stream.waits;
            stream.news.readable |= news.readable;
            stream.news.writable |= news.writable;
            if tell {
                streams.woken.push_back(index);
            }
        }
        if (held, pushed) != (open.held, open.pushed) {
            let before = core::mem::replace(&mut open.held, held);
            streams.held = (streams.held + held as usize).saturating_sub(before as usize);
            let before = core::mem::replace(&mut open.pushed, pushed);
            streams.pushed = (streams.pushed + pushed as usize).saturating_sub(before as usize);
            streams.feed_if_room();
        }
        if is_late || is_vain {
            streams.set_timer(index, due);
        }
        if ends {
            self.bury(index);
        }
    }

    /// Takes a connection that has ended out of the table, where what is remembered of it takes its place; and altogether, if
    /// nobody has its socket.
    #[cold]
    fn bury(&mut self, index: u32) {
        let streams = &mut self.streams;
        let Some(stream) = streams.slab.at_mut(index) else { return };
        let (flow, orphan) = (stream.flow(), stream.orphan);
        let holds = (stream.hold != Hold::Nowhere).then_some((stream.reuse_address, stream.reuse_port));
        let (Some(flow), Kind::Open(open)) = (flow, &mut stream.kind) else { return };
        let waits = open.connection.time_wait();
        if !open.connection.is_over() && waits.is_none() {
            return;
        }
        if let Some((state, until)) = waits
            && open.linked
        {
            let hash = open.hash;
            streams.unlink(index);
            if let Some(oldest) = (streams.time_waits.len() >= crate::limits::TIME_WAITS_MAX)
                .then(|| streams.time_waits.oldest())
                .flatten()
            {
                streams.forget_time_wait(oldest);
            }
            if let Some(at) = streams.time_waits.insert(flow, hash, holds, state, until) {
                streams.table.insert(hash, Place::TimeWait(at));
                if let Some(reuse) = holds {
                    let (address, port) = flow.local;
                    streams.ports.hold(port, address, super::ports::Sharing::of_the_dead(reuse));
                }
            }
        } else {
            streams.unlink(index);
        }
        if orphan {
            streams.remove(index);
        }
    }

    /// Sends what a connection has to send, as far as there is room.
    #[inline(never)]
    pub(super) fn flush(&mut self, index: u32, now: Time) {
        loop {
            let room = self.has_room();
            let Some(open) = self.streams.slab.at_mut(index).and_then(|stream| stream.open()) else { return };
            if !open.connection.wants_to_send() {
                return;
            }
            if !room {
                if !core::mem::replace(&mut open.crowded, true) {
                    self.streams.crowd.push_back(index);
                }
                return;
            }
            if open.path.epoch != self.epoch || open.mtus != self.stream_mtus.version() {
                self.look_again(index, now);
                continue;
            }
            match self.send_segment_quickly(index, self.caps.segments_tcp, now) {
                Some(true) => {}
                None if self.send_slowly(index, now) => {}
                Some(false) | None => return,
            }
        }
    }

    /// Sends the next segment of a connection, for which there is room, and says whether there was one.
    #[inline(never)]
    fn send_slowly(&mut self, index: u32, now: Time) -> bool {
        let (hops_v4, hops_v6, cuts) = (self.hops, self.hops_v6, self.caps.segments_tcp);
        let Some(stream) = self.streams.slab.at_mut(index) else { return false };
        let (hops, local) = (stream.hops, stream.local.1);
        let Kind::Open(open) = &mut stream.kind else { return false };
        // What a router may cut has a name of its own each, which the device does not know.
        let is_whole = self.stream_mtus.get(open.path.destination, now).dont_fragment;
        let cuts = cuts && is_whole && !matches!(open.path.target, Target::Loop);
        let most = if cuts { CUT_MAX } else { 0 };
        let Some(segment) = open.connection.transmit(Limit { most }, now) else { return false };
        if !open.ours {
            self.counters.drop(Reason::NoRoute);
            self.not_sent(index, NOT_OURS);
            return true;
        }
        self.counters.resets_sent += u64::from(segment.flags.contains(Flags::RST));
        let is_v4 = open.path.source.is_ipv4();
        let hops = hops.unwrap_or(if is_v4 { hops_v4 } else { hops_v6 });
        let way = Way { path: open.path, ports: (local, open.remote), hops };
        let is_new = open.neighbour.is_none();
        if let Err(error) = self.send_segment(&way, segment, now) {
            self.not_sent(index, error);
        }
        if is_new {
            self.make_quick(index, now);
        }
        true
    }

    /// A segment could not leave. Whoever connects hears why; else it is sent again in time.
    #[cold]
    fn not_sent(&mut self, index: u32, error: Error) {
        if error.errno() == Errno::NOBUFS {
            return self.counters.drop(Reason::NoBuffer);
        }
        if let Some(open) = self.streams.slab.at_mut(index).and_then(|stream| stream.open()) {
            open.connection.unreachable(error, false);
        }
    }

    /// Routes or path MTUs have changed: looks both up again.
    #[cold]
    fn look_again(&mut self, index: u32, now: Time) {
        let (epoch, mtus) = (self.epoch, self.stream_mtus.version());
        let Some(open) = self.streams.slab.at_mut(index).and_then(|stream| stream.open()) else { return };
        let (mut path, mut ours) = (open.path, open.ours);
        if path.epoch != epoch {
            // Without a way, the old one may still lead there; but not from an address that is another's by now (RFC 1122 section
            // 3.2.1.3, RFC 2131 section 4.4.5, RFC 5227 section 2.4). If it comes back, this is looked at again.
            (path, ours) = if let Ok(path) = self.route(path.destination, Some(path.source)) {
                (path, true)
            } else {
                let is_local = path.source.is_loopback() && path.target == Target::Loop;
                (Path { epoch, ..path }, is_local || self.addresses.is_ours(path.source))
            };
        }
        let (mss, link) = (self.path_mss(path.destination, now), self.link_mss(path.destination));
        if let Some(open) = self.streams.slab.at_mut(index).and_then(|stream| stream.open()) {
            (open.path, open.ours, open.mtus, open.neighbour) = (path, ours, mtus, None);
            open.connection.set_path(mss, now);
            open.connection.set_link(link);
        }
    }

    /// Sends a segment of no connection: of a handshake, or for one that has ended. Lost if there is no room, or no way.
    pub(super) fn send_apart(&mut self, flow: &Flow, hops: Option<u8>, segment: Outgoing, now: Time) {
        if !self.has_room() {
            return self.counters.drop(Reason::OutputFull);
        }
        let Ok(path) = self.route(flow.remote.0, Some(flow.local.0)) else {
            return self.counters.drop(Reason::NoRoute);
        };
        let hops = hops.unwrap_or(self.hops_to(flow.remote.0));
        let way = Way { path, ports: (flow.local.1, flow.remote.1), hops };
        if let Err(error) = self.send_segment(&way, segment, now)
            && error.errno() == Errno::NOBUFS
        {
            self.counters.drop(Reason::NoBuffer);
        }
    }

    /// Tells the sender of a segment that there is no such connection (RFC 9293 sections 3.5.2 and 3.10.7.1), unless too many were
    /// told already.
    #[cold]
    pub(super) fn send_reset(&mut self, flow: &Flow, offender: &Incoming, now: Time) {
        if offender.flags.contains(Flags::RST) || !self.streams.resets.take(now) {
            return;
        }
        let (seq, ack, flags) = if offender.flags.contains(Flags::ACK) {
            (offender.ack, crate::tcp::seq::Seq(0), Flags::RST)
        } else {
            (crate::tcp::seq::Seq(0), offender.seq + offender.len(), Flags::RST | Flags::ACK)
        };
        let reset = Outgoing {
            seq,
            ack,
            flags,
            window: 0,
            options: Options::default(),
            ecn: Ecn::NotCapable,
            payload: Sga::new(),
            segment: 0,
        };
        self.counters.resets_sent += 1;
        self.send_apart(flow, None, reset, now);
    }

    /// Sends a segment, or a frame that the device cuts into several. What is lost on the way to the link is counted there.
    ///
    /// # Errors
    /// `EHOSTUNREACH` the next hop does not answer, `ENOBUFS`.
    #[inline]
    pub(super) fn send_segment(&mut self, way: &Way, segment: Outgoing, now: Time) -> Result<()> {
        let Outgoing { seq, ack, flags, window, options, ecn, mut payload, segment: size } = segment;
        let path = &way.path;
        let is_v4 = path.source.is_ipv4();
        let header = Header {
            source: way.ports.0,
            destination: way.ports.1,
            sequence: seq.0,
            acknowledgment: ack.0,
            flags,
            window,
            urgent: 0,
            options,
        };
        let (ip_len, tcp_len, payload_len) =
            (if is_v4 { ipv4::HEADER } else { ipv6::HEADER }, header.len(), payload.len());
        let len = tcp_len + payload_len;
        self.counters.segments_sent += 1;
        let (link_len, mac) = match path.target {
            Target::Neighbour(neighbour) => match self.neighbours.lookup(neighbour, now) {
                Some(mac) => (self.link_len(), mac),
                None => return self.send_segment_later(way, neighbour, header, ecn, payload, size, now),
            },
            Target::Loop => return self.loop_segment(way, &header, ecn, payload),
            // A connection has no such path.
            Target::Broadcast | Target::Group(_) => return Ok(()),
        };
        let mut headers = [0; HEADERS_MAX];
        let Some(headers) = headers.get_mut(..link_len + ip_len + tcp_len) else { return Err(NO_BUFFER) };
        self.emit_link(headers, mac, ether_type(path.source));
        let at = link_len + ip_len;
        self.emit_packet(headers.get_mut(link_len..at).unwrap_or_default(), way, ecn, len, now);
        let transport = headers.get_mut(at..).unwrap_or_default();
        header.emit(transport);
        let mut sum = pseudo_header(path.source, path.destination, Protocol::TCP.0, len as u32);
        let checksum = if self.caps.checksum || size > 0 {
            tcp::partial(transport, sum);
            Checksum::Partial { start: at as u16, offset: tcp::CHECKSUM as u16 }
        } else {
            message::sum(&payload, 0, payload_len, &mut sum);
            tcp::complete(transport, sum);
            Checksum::Complete
        };
        let whole = headers.len();
        let segmentation = (size > 0).then_some(Segmentation {
            kind: if is_v4 { SegmentKind::TcpV4 } else { SegmentKind::TcpV6 },
            size,
            header: whole as u16,
        });
        message::prepend(&mut payload, headers, usize::from(self.caps.headroom), &self.pools)?;
        self.push_frame(Frame { data: payload, checksum, segmentation }, whole + payload_len);
        Ok(())
    }

    /// Writes the IP header of a segment of `len` bytes.
    #[inline]
    fn emit_packet(&mut self, out: &mut [u8], way: &Way, ecn: Ecn, len: usize, now: Time) {
        match (way.path.source, way.path.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let dont_fragment = self.stream_mtus.get(way.path.destination, now).dont_fragment;
                let identification = if dont_fragment {
                    // One that is not fragmented needs none (RFC 6864 section 4.1).
                    0
                } else {
                    self.identifications.next(way.path.source, way.path.destination, Protocol::TCP.0) as u16
                };
                let header = v4_header(source, destination, way.hops, Protocol::TCP);
                let payload_len = len as u16;
                ipv4::Header { ecn, payload_len, identification, dont_fragment, ..header }.emit(out);
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let header = v6_header(source, destination, way.hops, Protocol::TCP, len);
                ipv6::Header { ecn, ..header }.emit(out);
            }
            _ => debug_assert!(false, "a path has one family"),
        }
    }

    /// A segment to this host itself: it waits until the next poll.
    fn loop_segment(&mut self, way: &Way, header: &Header, ecn: Ecn, mut payload: Sga) -> Result<()> {
        if self.loopback.len() >= LOOPBACK_MAX {
            self.counters.drop(Reason::LoopbackFull);
            return Ok(());
        }
        // What the sender keeps to send it again must not be what the receiver's application may write to.
        if !payload.has_no_segment() {
            payload = message::copy(&payload, &self.pools)?.into();
        }
        let ip_len = if way.path.source.is_ipv4() { ipv4::HEADER } else { ipv6::HEADER };
        let mut headers = [0; HEADERS_MAX];
        let headers = headers.get_mut(..ip_len + header.len()).unwrap_or_default();
        let len = header.len() + payload.len();
        self.emit_packet(headers, way, ecn, len, Time::ZERO);
        // Nobody looks at the checksum.
        header.emit(headers.get_mut(ip_len..).unwrap_or_default());
        message::prepend(&mut payload, headers, 0, &self.pools)?;
        self.counters.looped += 1;
        self.loopback.push_back(payload);
        Ok(())
    }

    /// A segment whose next hop's hardware address is not known yet; several of them one by one.
    #[cold]
    #[expect(clippy::too_many_arguments, reason = "the parts of one segment")]
    fn send_segment_later(
        &mut self,
        way: &Way,
        neighbour: IpAddr,
        mut header: Header,
        ecn: Ecn,
        mut payload: Sga,
        size: u16,
        now: Time,
    ) -> Result<()> {
        self.has_not_failed(way.path.target, now)?;
        let last = header.flags;
        while size > 0 && payload.len() > usize::from(size) {
            let front = payload.split_front(usize::from(size))?;
            // What ends the stream, or a message, stands in the last; the other bits that stand once in the first (RFC 3168
            // section 6.1.2).
            header.flags = Flags(header.flags.0 & !(Flags::FIN | Flags::PSH).0);
            self.send_one_later(way, neighbour, &header, ecn, front, now)?;
            header.sequence = header.sequence.wrapping_add(u32::from(size));
            header.flags = Flags(last.0 & !Flags::CWR.0);
        }
        self.send_one_later(way, neighbour, &header, ecn, payload, now)
    }

    fn send_one_later(
        &mut self,
        way: &Way,
        neighbour: IpAddr,
        header: &Header,
        ecn: Ecn,
        mut payload: Sga,
        now: Time,
    ) -> Result<()> {
        let ip_len = if way.path.source.is_ipv4() { ipv4::HEADER } else { ipv6::HEADER };
        let mut headers = [0; HEADERS_MAX];
        let headers = headers.get_mut(..ip_len + header.len()).unwrap_or_default();
        let len = header.len() + payload.len();
        self.emit_packet(headers, way, ecn, len, now);
        let transport = headers.get_mut(ip_len..).unwrap_or_default();
        header.emit(transport);
        let mut sum = pseudo_header(way.path.source, way.path.destination, Protocol::TCP.0, len as u32);
        message::sum(&payload, 0, payload.len(), &mut sum);
        tcp::complete(transport, sum);
        message::prepend(&mut payload, headers, usize::from(self.caps.headroom) + self.link_len(), &self.pools)?;
        match self.hand_to(neighbour, payload, now) {
            // Counted there; it is lost, and no more.
            Err(error) if error != NO_NEIGHBOUR => Ok(()),
            handed => handed,
        }
    }
}
