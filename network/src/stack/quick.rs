// SPDX-License-Identifier: MIT OR Apache-2.0
//! The short way of most datagrams, in and out: whole, in one buffer, between a socket and a neighbour that were both just
//! found for the same ends.
//!
//! What must always hold: this way gives what the long one gives, only sooner. Whatever is out of the ordinary (tags, options,
//! extension headers, fragments, a wrong checksum, a flow that was not seen under the present addresses and sockets; an error
//! to tell, a neighbour to ask, a payload in pieces or without room in front) is left to the long way, which also counts it.

use alloc::boxed::Box;
use core::net::{SocketAddr, SocketAddrV4, SocketAddrV6};

use runtime::buf::{Buf, Sga};
use runtime::device::{Checksum, Frame};
use runtime::slab::Key;
use runtime::time::Time;

use super::Stack;
use crate::counters::Reason;
use crate::limits::RECENT_FLOWS;
use crate::udp::{Datagram, Kind, SocketId, Target};
use crate::wire::whole::{Header, Template};
use crate::wire::{ethernet, udp, whole};

/// A way out that was taken of late.
struct Way {
    /// From which socket, to what the caller has named, and a word of that.
    id: SocketId,
    to: Option<SocketAddr>,
    word: u64,
    /// The state in which it was looked up: that the socket is open, what it is set to, and that it has no error to tell, too.
    state: u64,
    neighbour: Key,
    /// Bytes of the longest payload.
    room: usize,
    template: Template,
}

impl Way {
    /// Whether it is the one to what a caller has named, in this state.
    #[expect(clippy::ref_option, reason = "it is read where it lies: a reference to what is in it costs a look more")]
    #[inline(always)]
    fn leads(&self, id: SocketId, to: &Option<SocketAddr>, word: u64, state: u64) -> bool {
        // Of IPv6, the word is a part only.
        self.id == id && self.word == word && self.state == state && (word >> 48 < 2 || self.to == *to)
    }
}

/// The ways out that were taken of late, for the next datagram is mostly for one of them. Destinations that share a place here
/// only cost what a first one costs.
pub(super) struct Ready(Box<[Option<Way>; RECENT_FLOWS]>);

impl Default for Ready {
    fn default() -> Self {
        Self(Box::new([const { None }; RECENT_FLOWS]))
    }
}

/// A word of what the caller has named: all of it for IPv4.
#[expect(clippy::ref_option, reason = "it is read where it lies: a reference to what is in it costs a look more")]
#[inline]
fn word(to: &Option<SocketAddr>) -> u64 {
    match to {
        None => 0,
        Some(SocketAddr::V4(to)) => 1 << 48 | u64::from(to.ip().to_bits()) << 16 | u64::from(to.port()),
        Some(SocketAddr::V6(to)) => {
            2 << 48 | (to.ip().to_bits() as u64) << 16 & 0xffff_ffff_0000 | u64::from(to.port())
        }
    }
}

/// Where a way would be among those.
#[inline]
const fn place(id: SocketId, word: u64) -> usize {
    (id.index() as usize ^ word as usize) % RECENT_FLOWS
}

impl Stack {
    /// Delivers an ordinary datagram; gives the frame back if it is none.
    #[inline(always)]
    pub(super) fn receive_quickly(&mut self, frame: Buf, verified: bool, now: Time) -> Option<Buf> {
        let Some(found) = whole::V4::new(&frame) else { return self.receive_others_quickly(frame, verified, now) };
        if !found.is_between(self.station) {
            return Some(frame);
        }
        let ports = found.ports();
        let Some(index) = self.sockets.recent_v4(found.addresses(), ports, self.epoch) else { return Some(frame) };
        if !found.header_is_right() || !(verified || found.datagram_is_right()) {
            return Some(frame);
        }
        let from = SocketAddr::V4(SocketAddrV4::new(found.source(), (ports >> 16) as u16));
        let (hops, len) = (found.hops(), found.payload_len());
        self.take_up(frame, index, from, hops, whole::HEADERS_V4, len);
        None
    }

    #[inline(never)]
    fn receive_others_quickly(&mut self, frame: Buf, verified: bool, now: Time) -> Option<Buf> {
        let frame = self.receive_segment_quickly(frame, verified, now)?;
        self.receive_quickly_v6(frame, verified)
    }

    #[inline(never)]
    fn receive_quickly_v6(&mut self, frame: Buf, verified: bool) -> Option<Buf> {
        let Some(found) = whole::V6::new(&frame) else { return Some(frame) };
        if !found.is_between(self.station) {
            return Some(frame);
        }
        let ports = found.ports();
        let Some(index) = self.sockets.recent_v6(found.addresses(), ports, self.epoch) else { return Some(frame) };
        // One without a checksum is for the long way, even if the device has found nothing wrong.
        if !(if verified { found.has_checksum() } else { found.datagram_is_right() }) {
            return Some(frame);
        }
        let from = SocketAddr::V6(SocketAddrV6::new(found.source(), (ports >> 16) as u16, 0, 0));
        let (hops, len) = (found.hops(), found.payload_len());
        self.take_up(frame, index, from, hops, whole::HEADERS_V6, len);
        None
    }

    /// Gives the datagram of a frame, behind so many bytes of headers, to a socket.
    #[inline(always)]
    fn take_up(&mut self, mut frame: Buf, index: u32, from: SocketAddr, hops: u8, headers: usize, len: usize) {
        // The frame has that many bytes, and perhaps padding behind them.
        let _ = frame.narrow(headers, len);
        let datagram = || Datagram { from, hops, sequence: 0, data: frame.into(), len: len as u32 };
        if self.sockets.deliver(index, len as u32, datagram, self.held >= self.held_max) {
            self.held += 1;
            self.counters.datagrams_received += 1;
        } else {
            self.counters.drop(Reason::ReceiveFull);
        }
    }

    /// Sends an ordinary datagram, for which there is room, on a way that was taken before; false leaves everything as it is.
    #[expect(clippy::ref_option, reason = "it is read where it lies: a reference to what is in it costs a look more")]
    #[inline(never)]
    pub(super) fn send_quickly(&mut self, id: SocketId, message: &mut Sga, to: &Option<SocketAddr>, now: Time) -> bool {
        let word = word(to);
        let place = place(id, word);
        match self.ready.0.get(place) {
            Some(Some(way)) if way.leads(id, to, word, self.state()) => {
                if way.template.is_v4() {
                    self.go::<{ whole::HEADERS_V4 }>(place, message, now).is_some()
                } else {
                    self.go_v6(place, message, now)
                }
            }
            _ => false,
        }
    }

    /// Sends a datagram on the way at this place, behind so many bytes of headers.
    #[inline(always)]
    fn go<const HEADERS: usize>(&mut self, place: usize, message: &mut Sga, now: Time) -> Option<()> {
        let way = self.ready.0.get(place)?.as_ref()?;
        let mac = self.neighbours.lookup_fresh(way.neighbour, now)?;
        let payload = message.as_single()?;
        let len = payload.len();
        if len > way.room || payload.headroom() < HEADERS + usize::from(self.caps.headroom) {
            return None;
        }
        let (field, checksum) = if self.caps.checksum {
            let (start, offset) = ((HEADERS - udp::HEADER) as u16, udp::CHECKSUM as u16);
            (way.template.partial(len as u16), Checksum::Partial { start, offset })
        } else {
            (way.template.checksum(payload), Checksum::Complete)
        };
        let mut frame = message.take_single()?;
        let Ok(room) = frame.prepend(HEADERS) else {
            // Somebody else sees the memory.
            *message = frame.into();
            return None;
        };
        way.template.emit::<HEADERS>(room, *mac, len as u16, field);
        self.push_frame_with(|| Frame { data: frame.into(), checksum, segmentation: None }, HEADERS + len);
        self.counters.datagrams_sent += 1;
        Some(())
    }

    #[inline(never)]
    fn go_v6(&mut self, place: usize, message: &mut Sga, now: Time) -> bool {
        self.go::<{ whole::HEADERS_V6 }>(place, message, now).is_some()
    }

    /// The state of sockets, addresses, routes and paths.
    #[inline]
    const fn state(&self) -> u64 {
        // Both only grow, so that no change of one undoes that of the other.
        self.sockets.state(self.epoch.wrapping_add(self.path_mtus.version()))
    }

    /// Keeps the way of the datagram that the socket has just sent, if it is an ordinary one, for the next.
    #[inline(never)]
    pub(super) fn make_ready(&mut self, id: SocketId, to: Option<SocketAddr>, now: Time) {
        let word = word(&to);
        let (place, state) = (place(id, word), self.state());
        if let Some(Some(way)) = self.ready.0.get(place)
            && way.leads(id, &to, word, state)
        {
            return;
        }
        if let Some(way) = self.way(id, to, now)
            && let Some(place) = self.ready.0.get_mut(place)
        {
            *place = Some(way);
        }
    }

    fn way(&mut self, id: SocketId, to: Option<SocketAddr>, now: Time) -> Option<Way> {
        let socket = self.sockets.get(id).ok()?;
        let destination = match to {
            Some(to) => socket.admit(to).ok()?,
            None => socket.peer?,
        };
        let path = socket.path.as_ref()?;
        let Target::Neighbour(neighbour) = path.target else { return None };
        let is_known = path.epoch == self.epoch && path.destination == destination.0;
        if socket.error.is_some() || socket.segment != 0 {
            return None;
        }
        if !is_known || socket.kind != Kind::Udp || socket.local.1 == 0 || destination.1 == 0 || self.vlan.is_some() {
            return None;
        }
        let (source, hops) = ((path.source, socket.local.1), socket.hops);
        let mtu = self.path_mtus.get(destination.0, now);
        if mtu != self.path_mtus.link(destination.0) {
            // It will be believed for a while only.
            return None;
        }
        let header = Header { mac: self.mac, source, destination, hops: hops.unwrap_or(self.hops_to(destination.0)) };
        let template = Template::new(&header)?;
        let room = usize::from(mtu.bytes).checked_sub(template.len() - ethernet::HEADER)?;
        let neighbour = self.neighbours.key(neighbour)?;
        Some(Way { id, to, word: word(&to), state: self.state(), neighbour, room, template })
    }
}

#[cfg(test)]
mod tests;
