// SPDX-License-Identifier: MIT OR Apache-2.0
//! The short way of most segments, in and out: ordinary ones of IPv4, between a connection that was just found for the same ends and
//! a neighbour that was heard from lately.
//!
//! What must always hold: this way gives what the long one gives, only sooner. Whatever is out of the ordinary is left to the long
//! way, which also counts it. Nobody is among the recent whom the table does not have.

use alloc::boxed::Box;
use core::net::IpAddr;

use runtime::buf::{Buf, Sga};
use runtime::device::{Checksum, Frame};
use runtime::slab::Key;
use runtime::time::Time;

use super::Streams;
use super::socket::Kind;
use crate::counters::Reason;
use crate::limits::{RECENT_FLOWS, STREAM_BYTES_COPIED};
use crate::stack::{Stack, message};
use crate::tcp::connection::Payload;
use crate::tcp::table::Flow;
use crate::udp::Target;
use crate::wire::checksum::{sum, sum_of};
use crate::wire::segment::{self, Ends, HEADERS, View};
use crate::wire::{tcp, whole};

/// A flow that was found of late.
#[derive(Clone, Copy)]
struct Recent {
    /// The peer's address, then ours, as they stand in a packet.
    addresses: u64,
    /// The peer's port, then ours.
    ports: u32,
    index: u32,
    /// The state of the addresses of this host.
    epoch: u32,
}

/// The flows that were found of late. Those that share a place only cost what the first segment of each costs.
pub(super) struct Recents(Box<[Recent; RECENT_FLOWS]>);

impl Default for Recents {
    fn default() -> Self {
        // No packet has such ports.
        Self(Box::new([Recent { addresses: 0, ports: 0, index: 0, epoch: 0 }; RECENT_FLOWS]))
    }
}

/// Where a flow would be.
#[inline(always)]
const fn place(ports: u32) -> usize {
    (ports ^ ports >> 16) as usize % RECENT_FLOWS
}

impl Recents {
    #[inline(always)]
    fn find(&self, addresses: u64, ports: u32, epoch: u32) -> Option<u32> {
        let recent = self.0.get(place(ports))?;
        (recent.addresses == addresses && recent.ports == ports && recent.epoch == epoch).then_some(recent.index)
    }

    /// Keeps the place of a flow; of IPv6 there is no short way.
    #[inline]
    pub fn put(&mut self, flow: &Flow, index: u32, epoch: u32) {
        let ports = u32::from(flow.remote.1) << 16 | u32::from(flow.local.1);
        if let (IpAddr::V4(local), IpAddr::V4(remote)) = (flow.local.0, flow.remote.0)
            && let Some(place) = self.0.get_mut(place(ports))
        {
            *place = Recent { addresses: whole::addresses_v4(remote, local), ports, index, epoch };
        }
    }

    /// A flow is no longer in the table.
    pub fn forget(&mut self, flow: &Flow) {
        let ports = u32::from(flow.remote.1) << 16 | u32::from(flow.local.1);
        if let Some(place) = self.0.get_mut(place(ports))
            && place.ports == ports
        {
            place.ports = 0;
        }
    }
}

impl Streams {
    /// A connection's next hop can be found by this key, and all of the link's packets get there.
    #[inline]
    fn neighbour_is(&mut self, index: u32, key: Option<Key>) {
        if let Some(open) = self.slab.at_mut(index).and_then(|stream| stream.open()) {
            open.neighbour = key;
        }
    }
}

impl Stack {
    /// Takes in an ordinary segment; gives the frame back if it is none.
    #[inline(always)]
    pub(in crate::stack) fn receive_segment_quickly(
        &mut self,
        mut frame: Buf,
        verified: bool,
        now: Time,
    ) -> Option<Buf> {
        let Some(found) = View::new(&frame) else { return Some(frame) };
        let streams = &mut self.streams;
        let Some(index) = streams.recents.find(found.addresses(), found.ports(), self.epoch) else {
            return Some(frame);
        };
        if !found.is_between(self.station) || !found.header_is_right() || !(verified || found.segment_is_right()) {
            return Some(frame);
        }
        let (header, len) = (found.header(), found.payload_len());
        let Some(Kind::Open(open)) = streams.slab.at_mut(index).map(|stream| &mut stream.kind) else {
            return Some(frame);
        };
        // With too much held, some segments are not taken: the long way knows which.
        if streams.held + streams.row.buffers as usize >= streams.take_max
            || !open.connection.expects(&header, len as u32)
        {
            return Some(frame);
        }
        self.counters.segments_received += 1;
        streams.now = now;
        let payload = if len == 0 {
            drop(frame);
            None
        } else {
            // The frame has that many bytes, and perhaps padding behind them.
            let _ = frame.narrow(HEADERS, len);
            Some(frame)
        };
        open.connection.take_plain(&header, payload, now);
        self.settle_later(index, u32::from(len > 0), now);
        None
    }

    /// Sends the next segment of a connection, for which there is room, if it is an ordinary one, and says whether there
    /// may be more; `None` leaves everything as it is. `cuts`: the device would cut several of one.
    #[inline(always)]
    pub(super) fn send_segment_quickly(&mut self, index: u32, cuts: bool, now: Time) -> Option<bool> {
        let stream = self.streams.slab.at_mut(index)?;
        let (hops, local) = (stream.hops.unwrap_or(self.hops), stream.local.1);
        let Kind::Open(open) = &mut stream.kind else { return None };
        let (Some(neighbour), IpAddr::V4(source), IpAddr::V4(destination)) =
            (open.neighbour, open.path.source, open.path.destination)
        else {
            return None;
        };
        let &to = self.neighbours.lookup_fresh(neighbour, now)?;
        let ports = (local, open.remote);
        let (header, ecn, more, payload) = open.connection.transmit_plain(STREAM_BYTES_COPIED, cuts, now)?;
        let ends = Ends { mac: self.mac, addresses: (source, destination), ports, hops, ecn };
        let is_partial = self.caps.checksum;
        self.counters.segments_sent += 1;
        let (data, len) = match payload {
            Payload::Short(bytes) => {
                let front = self.pools.alloc_small_filled(HEADERS + bytes.len(), |out| {
                    let added = (!is_partial).then(|| sum(bytes));
                    segment::emit(out, &ends, to, &header, bytes.len(), added);
                    if let Some(room) = out.get_mut(HEADERS..) {
                        room.copy_from_slice(bytes);
                    }
                });
                (front.ok().map(Sga::from), bytes.len())
            }
            Payload::Long(views) => {
                let (len, added) = (views.len(), (!is_partial).then(|| sum_of(&views)));
                let front = self.pools.alloc_small_filled(HEADERS, |out| {
                    segment::emit(out, &ends, to, &header, len, added);
                });
                (front.ok().and_then(|front| message::behind(front, views)), len)
            }
        };
        let Some(data) = data else {
            // It is lost, like one on the way.
            self.counters.drop(Reason::NoBuffer);
            return Some(more);
        };
        let checksum = if is_partial {
            Checksum::Partial { start: segment::AT as u16, offset: tcp::CHECKSUM as u16 }
        } else {
            Checksum::Complete
        };
        self.push_frame_with(|| Frame { data, checksum, segmentation: None }, HEADERS + len);
        Some(more)
    }

    /// Looks whether the next segments of a connection that has just sent one can go the short way.
    #[inline(never)]
    pub(super) fn make_quick(&mut self, index: u32, now: Time) {
        let Some(open) = self.streams.slab.at_mut(index).and_then(|stream| stream.open()) else { return };
        let (Target::Neighbour(hop), destination) = (open.path.target, open.path.destination) else { return };
        // What was heard of a path is believed for a while only.
        let is_whole = self.stream_mtus.get(destination, now) == self.stream_mtus.link(destination);
        let key =
            if destination.is_ipv4() && self.vlan.is_none() && is_whole { self.neighbours.key(hop) } else { None };
        self.streams.neighbour_is(index, key);
    }
}
