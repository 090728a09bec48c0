// SPDX-License-Identifier: MIT OR Apache-2.0
//! From bursts into the port's transmit queue.
//!
//! A frame becomes a chain of packet buffers: short pieces are copied together, long ones attached. Nothing is begun that cannot be ended:
//! all packet buffers are at hand first, and if there are not enough the frame stays in the burst.

use super::limits::{COPIED_MAX, COPIED_PIECE_MAX, LOANS_MAX, SPARE, TRIES_PER_LINK, WAITING_MAX};
use super::loans::Loans;
use super::packets::Packets;
use super::plan::Plan;
use super::port::{Port, link_up};
use super::turns::Turn;
use core::ptr::NonNull;
use dpdk_sys::{
    MARGAY_FLAG_TX_IP_CKSUM, MARGAY_FLAG_TX_IPV4, MARGAY_FLAG_TX_IPV6, MARGAY_FLAG_TX_TCP_CKSUM,
    MARGAY_FLAG_TX_TCP_SEG, MARGAY_FLAG_TX_UDP_CKSUM, MARGAY_PACKET_UDP, margay_attach, margay_chain, margay_extend,
    margay_finish, margay_free, margay_prepare, margay_send, margay_set_work, margay_work, rte_mbuf,
};
use runtime::Result;
use runtime::buf::Buf;
use runtime::device::{Burst, Checksum, DeviceCounters, ETHERNET_HEADER, Frame, SegmentKind};
use runtime::limits::SGA_SEGMENTS_MAX;

/// What becomes of a frame.
enum Fate {
    /// So many packet buffers with copies, and so many attached.
    Send { copies: usize, attached: usize },
    /// There is not enough for it now.
    Wait,
    /// It can never be sent.
    Refuse,
}

/// The sending half of a port.
#[expect(clippy::struct_excessive_bools, reason = "three are what the port does, two what has happened")]
pub struct Transmitter {
    port: u16,
    turn: Turn,
    /// Packet buffers to copy into.
    packets: Packets,
    /// Those without data, and what is attached to them.
    attached: Option<(Packets, Loans)>,
    segment: usize,
    chains: Option<usize>,
    longest: usize,
    /// What the port does by itself.
    checksum: bool,
    segmentation: bool,
    /// Whether it may do so by software that is right under conditions only.
    sums: bool,
    /// What the driver had no room for, from `at` on.
    waiting: Vec<*mut rte_mbuf>,
    at: usize,
    /// How often the driver has taken nothing, one time after the other.
    refused: u32,
    /// Something was dropped for want of a link.
    unlinked: bool,
    /// A frame was left in the burst for want of packet buffers.
    short: bool,
    /// Taken out of the pools for frames to come.
    plain: Vec<NonNull<rte_mbuf>>,
    bare: Vec<NonNull<rte_mbuf>>,
}

impl Transmitter {
    /// With packet buffers for all descriptors.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new(port: &Port, plan: &Plan) -> Result<Self> {
        let count = u32::from(plan.transmit) + SPARE + WAITING_MAX as u32 * SGA_SEGMENTS_MAX as u32 / 4;
        let packets = Packets::new("transmit", count, plan.segment, port.node())?;
        let attached = if plan.attach {
            Some((Packets::new("attached", LOANS_MAX + SPARE, 0, port.node())?, Loans::new(LOANS_MAX)?))
        } else {
            None
        };
        Ok(Self {
            port: port.id(),
            turn: port.turn().clone(),
            packets,
            attached,
            segment: plan.segment as usize,
            chains: plan.chains,
            longest: super::super::frame_max(plan.mtu),
            checksum: plan.checksum,
            segmentation: plan.segmentation,
            sums: plan.sums,
            waiting: Vec::with_capacity(WAITING_MAX),
            at: 0,
            refused: 0,
            unlinked: false,
            short: false,
            plain: Vec::with_capacity(SGA_SEGMENTS_MAX),
            bare: Vec::with_capacity(SGA_SEGMENTS_MAX),
        })
    }

    /// Whether payloads are attached.
    pub const fn attaches(&self) -> bool {
        self.attached.is_some()
    }

    /// Packet buffers that are out.
    pub fn in_use(&self) -> u32 {
        self.packets.in_use() + self.attached.as_ref().map_or(0, |(bare, _)| bare.in_use())
    }

    /// Whether something is ready that the driver had no room for.
    #[inline]
    pub fn waits(&self) -> bool {
        self.at < self.waiting.len()
    }

    /// Whether there was no link for something that was to be sent since the last call.
    #[inline]
    pub fn take_unlinked(&mut self) -> bool {
        core::mem::take(&mut self.unlinked)
    }

    /// Whether something is to be sent that could not be sent since the last call.
    pub fn take_stuck(&mut self) -> bool {
        core::mem::take(&mut self.short) || self.waits()
    }

    /// Drops views that the driver is done with.
    #[inline]
    pub fn take_back(&mut self) {
        if let Some((_, loans)) = &mut self.attached {
            loans.take_back();
        }
    }

    /// Sends from the front of the burst.
    #[inline]
    pub fn send(&mut self, burst: &mut Burst, counters: &mut DeviceCounters) {
        self.hand_over();
        self.take_back();
        if self.refused >= TRIES_PER_LINK {
            self.see_to_the_link(counters);
        }
        while !burst.is_empty() && !self.waits() {
            self.waiting.clear();
            self.at = 0;
            let mut works = false;
            while self.waiting.len() < WAITING_MAX
                && let Some(front) = burst.front()
            {
                match self.fate(front) {
                    Fate::Wait => {
                        self.short = true;
                        break;
                    }
                    Fate::Refuse => {
                        counters.send_drops += 1;
                        burst.pop();
                    }
                    Fate::Send { copies, attached } => {
                        let Some(frame) = burst.pop() else { break };
                        works |= matches!(frame.checksum, Checksum::Partial { .. });
                        self.begin(frame, copies + attached, attached > 0, counters);
                    }
                }
            }
            if self.waiting.is_empty() {
                break;
            }
            if works {
                self.prepare(counters);
            }
            self.hand_over();
        }
    }

    /// Gives what waits to the driver.
    #[inline]
    fn hand_over(&mut self) {
        if !self.waits() {
            // While the port does not run, that is how it is found out.
            self.refused = self.refused.saturating_add(u32::from(self.turn.is_stopped()));
            return;
        }
        let Some(_turn) = self.turn.begin() else {
            self.refused = self.refused.saturating_add(1);
            return;
        };
        while let Some(rest) = self.waiting.get_mut(self.at..).filter(|rest| !rest.is_empty()) {
            // SAFETY: the port is this LibOs' own, and the packets are whole and nobody else's; those that it takes are the driver's.
            let went = unsafe { margay_send(self.port, 0, rest.as_mut_ptr(), rest.len() as u16) };
            if went == 0 {
                self.refused = self.refused.saturating_add(1);
                return;
            }
            self.refused = 0;
            self.at += usize::from(went).min(rest.len());
        }
        self.waiting.clear();
        self.at = 0;
    }

    /// Where there is no link, what waits goes to nobody, as on a wire that is pulled out.
    #[cold]
    fn see_to_the_link(&mut self, counters: &mut DeviceCounters) {
        self.refused = 0;
        // To look may be to talk to the peer (net_virtio_user), as the interrupt thread may be doing.
        let turn = self.turn.take_now();
        if turn.is_none() || link_up(self.port) {
            return;
        }
        drop(turn);
        self.unlinked = true;
        for packet in self.waiting.drain(..).skip(self.at) {
            // SAFETY: the driver has not taken it.
            unsafe { margay_free(packet) };
            counters.send_drops += 1;
            counters.sent = counters.sent.saturating_sub(1);
        }
        self.at = 0;
    }

    /// Has the driver see to what it is to do to the packets; those that it cannot do are dropped.
    #[cold]
    fn prepare(&mut self, counters: &mut DeviceCounters) {
        let mut done = 0;
        while let Some(rest) = self.waiting.get_mut(done..).filter(|rest| !rest.is_empty()) {
            // SAFETY: as for `hand_over`; it changes headers only, which are of these frames alone.
            let good = unsafe { margay_prepare(self.port, 0, rest.as_mut_ptr(), rest.len() as u16) };
            done += usize::from(good);
            if done < self.waiting.len() {
                // SAFETY: the driver has not taken it.
                unsafe { margay_free(self.waiting.remove(done)) };
                counters.send_drops += 1;
                counters.sent = counters.sent.saturating_sub(1);
            }
        }
    }

    /// What becomes of a frame. If it is sent, as many packet buffers as it takes are at hand.
    #[inline]
    fn fate(&mut self, frame: &Frame) -> Fate {
        let len = frame.data.len();
        let too_long = if frame.segmentation.is_some() { !self.segmentation } else { len > self.longest };
        let undone = matches!(frame.checksum, Checksum::Partial { .. }) && !(self.checksum && work(frame).is_some());
        if too_long || undone || len < ETHERNET_HEADER {
            return Fate::Refuse;
        }
        let (mut copies, mut attached) = (1, 0);
        let odd = self.sums && matches!(frame.checksum, Checksum::Partial { .. }) && is_odd_within(frame);
        if len > COPIED_MAX && self.attached.is_some() && !odd {
            (copies, attached) = self.pieces(frame);
        }
        let available = self.attached.as_ref().map_or(0, |(_, loans)| loans.available());
        if attached == 0 || attached > available || self.chains.is_some_and(|most| copies + attached > most) {
            // One copy of the whole.
            (copies, attached) = (len.div_ceil(self.segment), 0);
            if copies > self.chains.unwrap_or(1) {
                return Fate::Refuse;
            }
        }
        let bare = self.attached.as_ref().map(|(bare, _)| bare);
        if stock(&mut self.plain, Some(&self.packets), copies) && stock(&mut self.bare, bare, attached) {
            Fate::Send { copies, attached }
        } else {
            Fate::Wait
        }
    }

    /// How many packet buffers a frame takes if long pieces are attached: with copies, and without.
    #[inline]
    fn pieces(&self, frame: &Frame) -> (usize, usize) {
        let (mut copies, mut attached, mut room) = (0, 0, 0);
        for piece in &frame.data {
            if is_attached(piece) {
                attached += 1;
                room = 0;
            } else if piece.len() <= room {
                room -= piece.len();
            } else {
                // A short piece is no longer than a packet buffer has room; a very long one is not attached either, and makes all copied.
                if piece.len() > self.segment {
                    return (0, 0);
                }
                copies += 1;
                room = self.segment - piece.len();
            }
        }
        (copies, attached)
    }

    /// Makes the packet of a frame for which all is at hand.
    #[inline]
    fn begin(&mut self, frame: Frame, pieces: usize, attach: bool, counters: &mut DeviceCounters) {
        let len = frame.data.len();
        let mut work = work(&frame);
        if let Some(work) = work.as_mut().filter(|work| self.sums && work.flags & MARGAY_FLAG_TX_UDP_CKSUM != 0) {
            work.packet_type = MARGAY_PACKET_UDP;
        }
        let packet = if attach { self.attach_pieces(frame) } else { self.copy_all(&frame) };
        let Some(head) = packet.head else {
            counters.send_drops += 1;
            return;
        };
        // SAFETY: the packet's first segment.
        let segments = unsafe { margay_finish(head.as_ptr()) };
        debug_assert_eq!(usize::from(segments), pieces);
        if let Some(work) = work {
            // SAFETY: the same, and a structure that it reads.
            unsafe { margay_set_work(head.as_ptr(), &raw const work) };
        }
        self.waiting.push(head.as_ptr());
        super::super::sent(counters, len);
    }

    /// Copies the frame into as many packet buffers as it takes.
    fn copy_all(&mut self, frame: &Frame) -> Packet {
        let (mut packet, mut left) = (Packet::default(), frame.data.len());
        let mut room: &mut [u8] = &mut [];
        for piece in &frame.data {
            let mut from: &[u8] = piece;
            while !from.is_empty() {
                if room.is_empty() {
                    let now = left.min(self.segment);
                    let Some((mbuf, data)) = self.plain.pop().and_then(|mbuf| extend(mbuf, now)) else { return packet };
                    packet.add(mbuf);
                    (room, left) = (data, left - now);
                }
                let (now, later) = from.split_at(from.len().min(room.len()));
                let (filled, free) = room.split_at_mut(now.len());
                filled.copy_from_slice(now);
                (from, room) = (later, free);
            }
        }
        packet
    }

    /// Attaches the frame's long pieces, and copies what is between, as [`pieces`](Self::pieces) has counted.
    fn attach_pieces(&mut self, mut frame: Frame) -> Packet {
        let mut packet = Packet::default();
        let mut room = 0;
        while let Some(piece) = frame.data.pop_front() {
            if is_attached(&piece) {
                room = 0;
                let (data, len) = (piece.as_ptr().cast_mut(), piece.len() as u16);
                let (Some(mbuf), Some((_, loans))) = (self.bare.pop(), &mut self.attached) else { return packet };
                packet.add(mbuf);
                let Ok(loan) = loans.take(piece) else { return packet };
                // SAFETY: a packet buffer without data, and memory that the loan's view keeps as it is until the driver is done.
                unsafe { margay_attach(mbuf.as_ptr(), loan.as_ptr(), data, len) };
            } else if !piece.is_empty() {
                if piece.len() > room {
                    let Some(mbuf) = self.plain.pop() else { return packet };
                    packet.add(mbuf);
                    room = self.segment;
                }
                let Some((_, data)) = packet.last.and_then(|last| extend(last, piece.len())) else { return packet };
                data.copy_from_slice(&piece);
                room -= piece.len();
            }
        }
        packet
    }
}

impl Drop for Transmitter {
    fn drop(&mut self) {
        for &packet in &self.waiting[self.at..] {
            // SAFETY: the driver has not taken it.
            unsafe { margay_free(packet) };
        }
        for mbuf in self.plain.drain(..).chain(self.bare.drain(..)) {
            // SAFETY: taken out of a pool, and not used.
            unsafe { margay_free(mbuf.as_ptr()) };
        }
    }
}

/// Segments that are one packet.
#[derive(Default)]
struct Packet {
    head: Option<NonNull<rte_mbuf>>,
    last: Option<NonNull<rte_mbuf>>,
}

impl Packet {
    /// Hangs a segment behind the last.
    #[inline]
    fn add(&mut self, mbuf: NonNull<rte_mbuf>) {
        match self.last.replace(mbuf) {
            // SAFETY: two packet buffers that are nobody else's.
            Some(last) => unsafe { margay_chain(last.as_ptr(), mbuf.as_ptr()) },
            None => self.head = Some(mbuf),
        }
    }
}

/// Whether a piece of the frame ends at an odd place before the frame does.
fn is_odd_within(frame: &Frame) -> bool {
    let mut end = 0;
    frame.data.iter().any(|piece| {
        let odd = end % 2 == 1;
        end += piece.len();
        odd
    })
}

/// Whether a piece of a frame is attached: it is long enough, and its length fits the field for it.
#[inline]
fn is_attached(piece: &Buf) -> bool {
    (COPIED_PIECE_MAX + 1..=usize::from(u16::MAX)).contains(&piece.len())
}

/// Sees to it that so many packet buffers are at hand.
#[inline]
fn stock(hand: &mut Vec<NonNull<rte_mbuf>>, packets: Option<&Packets>, wanted: usize) -> bool {
    while hand.len() < wanted {
        let Some(mbuf) = packets.and_then(Packets::take) else { return false };
        hand.push(mbuf);
    }
    true
}

/// Makes the data of a packet buffer longer, and gives what is new to write to.
#[inline]
fn extend<'a>(mbuf: NonNull<rte_mbuf>, len: usize) -> Option<(NonNull<rte_mbuf>, &'a mut [u8])> {
    let narrow = u16::try_from(len).ok()?;
    // SAFETY: a packet buffer that is nobody else's.
    let data = NonNull::new(unsafe { margay_extend(mbuf.as_ptr(), narrow) })?;
    // SAFETY: so many bytes of its block, which only this function's caller has a reference to until it is handed to the driver.
    Some((mbuf, unsafe { core::slice::from_raw_parts_mut(data.as_ptr(), len) }))
}

/// Where the type of what an Ethernet header carries stands, and the type of a VLAN tag, behind which it stands again.
const TYPE_AT: usize = 12;
const TAGGED: [u8; 2] = [0x81, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];
/// Where the checksum stands in the header of TCP (RFC 9293 section 3.1).
const TCP_CHECKSUM: u16 = 16;

/// What the port is to do to a frame.
#[inline]
fn work(frame: &Frame) -> Option<margay_work> {
    let Checksum::Partial { start, offset } = frame.checksum else { return None };
    let head = frame.data.iter().next()?;
    let kind_at = |at: usize| head.get(at..at + 2);
    let (kind, link_len) = match kind_at(TYPE_AT) {
        Some(kind) if kind == TAGGED => {
            (kind_at(TYPE_AT + super::super::VLAN_TAG), ETHERNET_HEADER + super::super::VLAN_TAG)
        }
        kind => (kind, ETHERNET_HEADER),
    };
    let six = kind == Some(&IPV6[..]);
    let tcp = offset == TCP_CHECKSUM;
    let mut work = margay_work {
        flags: if six { MARGAY_FLAG_TX_IPV6 } else { MARGAY_FLAG_TX_IPV4 },
        packet_type: 0,
        link_len: link_len as u16,
        network_len: start.checked_sub(link_len as u16)?,
        transport_len: 0,
        segment_size: 0,
    };
    work.flags |= if tcp { MARGAY_FLAG_TX_TCP_CKSUM } else { MARGAY_FLAG_TX_UDP_CKSUM };
    if let Some(cut) = frame.segmentation.filter(|cut| cut.kind != SegmentKind::Udp) {
        // Each segment has a header of IP of its own, so that the port does its checksum, too.
        work.flags |= MARGAY_FLAG_TX_TCP_SEG | if six { 0 } else { MARGAY_FLAG_TX_IP_CKSUM };
        work.transport_len = cut.header.checked_sub(start)?;
        work.segment_size = cut.size;
    }
    Some(work)
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::buf::{Classes, Pools, Sga};
    use runtime::device::Segmentation;

    fn frame(head: &[u8], checksum: Checksum, segmentation: Option<Segmentation>) -> Frame {
        let pools = Pools::new(&Classes { small_count: 1, large_count: 1, ..Classes::default() }).unwrap();
        Frame { data: Sga::from(pools.alloc_copy(head).unwrap()), checksum, segmentation }
    }

    fn words(frame: &Frame) -> Option<(u64, u16, u16, u16, u16)> {
        work(frame).map(|work| (work.flags, work.link_len, work.network_len, work.transport_len, work.segment_size))
    }

    #[test]
    fn what_the_port_is_to_do() {
        let head = |kind: &[u8]| [&[0; 12][..], kind, &[0; 60]].concat();
        let udp = Checksum::Partial { start: 34, offset: 6 };
        let flags = MARGAY_FLAG_TX_IPV4 | MARGAY_FLAG_TX_UDP_CKSUM;
        assert_eq!(words(&frame(&head(&[8, 0]), udp, None)), Some((flags, 14, 20, 0, 0)));
        assert_eq!(words(&frame(&head(&[8, 0]), Checksum::Complete, None)), None);
        // Behind a tag, and IPv6.
        let tcp = Checksum::Partial { start: 58, offset: 16 };
        let flags = MARGAY_FLAG_TX_IPV6 | MARGAY_FLAG_TX_TCP_CKSUM;
        assert_eq!(words(&frame(&head(&[0x81, 0, 0, 7, 0x86, 0xdd]), tcp, None)), Some((flags, 18, 40, 0, 0)));
        let cut = Segmentation { kind: SegmentKind::TcpV4, size: 1448, header: 66 };
        let tcp = Checksum::Partial { start: 34, offset: 16 };
        let flags = MARGAY_FLAG_TX_IPV4 | MARGAY_FLAG_TX_TCP_CKSUM | MARGAY_FLAG_TX_TCP_SEG | MARGAY_FLAG_TX_IP_CKSUM;
        assert_eq!(words(&frame(&head(&[8, 0]), tcp, Some(cut))), Some((flags, 14, 20, 32, 1448)));
        // What cannot be is left alone.
        let before = Checksum::Partial { start: 10, offset: 6 };
        assert_eq!(words(&frame(&head(&[8, 0]), before, None)), None);
        assert_eq!(words(&frame(&[0; 4], udp, None)).map(|one| one.1), Some(14));
    }
}
