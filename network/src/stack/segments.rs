// SPDX-License-Identifier: MIT OR Apache-2.0
//! One send that leaves as many datagrams (`UDP_SEGMENT` of `udp(7)`): as one frame where the device cuts it, which costs the
//! stack what one datagram costs; else cut here, without a copy of the payload.
//!
//! What must always hold: each datagram fits into a packet, since pieces that are fragments in turn would be what this is to
//! save; and all of them go, or none but for want of buffers.

use runtime::Result;
use runtime::buf::Sga;
use runtime::device::{Checksum, Frame, SegmentKind, Segmentation};
use runtime::time::Time;
use runtime::{Errno, Error};

use super::output::{HEADERS_MAX, TOO_LONG, emit_ip, ether_type};
use super::{Stack, message};
use crate::limits::UDP_SEGMENTS_MAX;
use crate::udp::{Path, SocketId, Target};
use crate::wire::checksum::pseudo_header;
use crate::wire::{Protocol, ipv4, ipv6, udp};

const TOO_MANY: Error = Error::new(Errno::MSGSIZE, "more datagrams than one push may make");

impl Stack {
    /// Sends a message as datagrams of `segment` bytes each and a last one of what is left; it is longer than that. Hops and
    /// ports as of [`send_one`](Self::send_one).
    #[inline(never)]
    pub(super) fn send_segments(
        &mut self,
        id: SocketId,
        path: &Path,
        how: (u8, u16, u16),
        payload: &mut Sga,
        segment: usize,
        now: Time,
    ) -> Result<()> {
        let len = payload.len();
        let ip_len = if path.source.is_ipv4() { ipv4::HEADER } else { ipv6::HEADER };
        let whole_fits = path.target == Target::Loop
            || ip_len + udp::HEADER + segment <= usize::from(self.path_mtus.get(path.destination, now).bytes);
        if !whole_fits {
            return Err(TOO_LONG);
        }
        let count = len.div_ceil(segment);
        if count > UDP_SEGMENTS_MAX {
            return Err(TOO_MANY);
        }
        self.has_not_failed(path.target, now)?;
        if self.caps.segments_udp
            && self.caps.checksum
            // What a router may cut has a name of its own each, which the device does not know.
            && self.path_mtus.get(path.destination, now).dont_fragment
            && let Target::Neighbour(neighbour) = path.target
            && let Some(mac) = self.neighbours.lookup(neighbour, now)
        {
            let frame = self.segmented(path, how, payload, (mac, segment))?;
            let bytes = frame.data.len();
            self.push_frame(frame, bytes);
            self.counters.datagrams_sent += count as u64;
            return Ok(());
        }
        while payload.len() > segment {
            let mut front = payload.split_front(segment)?;
            self.send_one(id, path, how, &mut front, now)?;
        }
        self.send_one(id, path, how, payload, now)
    }

    /// The frame that stands for all of them. Its lengths are those of the whole, and the sum of the pseudo-header goes by
    /// them: the device puts each datagram's own in their place, as Linux's own drivers have it.
    fn segmented(
        &mut self,
        path: &Path,
        (hops, source, port): (u8, u16, u16),
        payload: &mut Sga,
        (mac, segment): (crate::wire::MacAddress, usize),
    ) -> Result<Frame> {
        let (link_len, ip_len) = (self.link_len(), if path.source.is_ipv4() { ipv4::HEADER } else { ipv6::HEADER });
        let at = link_len + ip_len;
        let len = udp::HEADER + payload.len();
        let mut headers = [0; HEADERS_MAX];
        let headers = headers.get_mut(..at + udp::HEADER).unwrap_or_default();
        self.emit_link(headers, mac, ether_type(path.source));
        emit_ip(headers.get_mut(link_len..).unwrap_or_default(), path, hops, Protocol::UDP, len, None);
        let transport = headers.get_mut(at..).unwrap_or_default();
        // A datagram that is too long was refused.
        udp::Header { source, destination: port, payload_len: payload.len() as u16 }.emit(transport);
        udp::partial(transport, pseudo_header(path.source, path.destination, Protocol::UDP.0, len as u32));
        let header = headers.len() as u16;
        message::prepend(payload, headers, usize::from(self.caps.headroom), &self.pools)?;
        Ok(Frame {
            data: core::mem::take(payload),
            checksum: Checksum::Partial { start: at as u16, offset: udp::CHECKSUM as u16 },
            segmentation: Some(Segmentation { kind: SegmentKind::Udp, size: segment as u16, header }),
        })
    }
}
