// SPDX-License-Identifier: MIT OR Apache-2.0
//! From bursts into the port's transmit queue.
//!
//! A frame becomes a chain of packet buffers: short pieces are copied together, long ones attached. Nothing is begun that cannot be ended:
//! all packet buffers are at hand first, and if there are not enough the frame stays in the burst.

use super::cleanup::Cleanup;
use super::limits::{COPIED_MAX, LOANS_MAX, SPARE, TRIES_PER_LINK, WAITING_MAX};
use super::loans::Loans;
use super::packets::Packets;
use super::pieces::{Pieces, Place, Walk};
use super::plan::Plan;
use super::port::{Port, link_up};
use super::reach::Reach;
use super::turns::Turn;
use super::work::work;
use core::ptr::NonNull;
use dpdk_sys::{
    MARGAY_FLAG_TX_UDP_CKSUM, MARGAY_PACKET_UDP, margay_attach, margay_chain, margay_extend, margay_finish,
    margay_free, margay_prepare, margay_send, margay_set_work, rte_eth_tx_done_cleanup, rte_mbuf,
};
use runtime::Result;
use runtime::device::{Burst, Checksum, DeviceCounters, ETHERNET_HEADER, Frame};
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
    cleanup: Cleanup,
    pieces: Pieces,
    segment: usize,
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
            cleanup: Cleanup::default(),
            pieces: Pieces::new(plan),
            segment: plan.segment as usize,
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

    /// Says from where the port can send, once it has started; until then that is nowhere but from copies.
    pub fn set_reach(&mut self, reach: Reach) {
        self.pieces.reach = reach;
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

    /// Drops views that the driver is done with, and now and then has it say with which.
    #[inline]
    pub fn look(&mut self) {
        if let Some((_, loans)) = &mut self.attached {
            self.cleanup.look(loans, || free_sent(self.port, &self.turn));
        }
    }

    /// The same before a sleep. Whether that should end by itself, because the driver may be done with more of them soon.
    #[cold]
    pub fn look_before_a_sleep(&mut self) -> bool {
        let Some((_, loans)) = &mut self.attached else { return false };
        self.cleanup.before_a_sleep(loans, || free_sent(self.port, &self.turn))
    }

    /// A sleep begins that does.
    #[cold]
    pub fn sleeps(&mut self) {
        self.cleanup.sleeps();
    }

    /// Sends from the front of the burst.
    #[inline]
    pub fn send(&mut self, burst: &mut Burst, counters: &mut DeviceCounters) {
        self.hand_over();
        if let Some((_, loans)) = &mut self.attached {
            loans.take_back();
        }
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
        let odd = self.sums && matches!(frame.checksum, Checksum::Partial { .. }) && is_odd_within(frame);
        let available = self.attached.as_ref().map_or(0, |(_, loans)| loans.available());
        let divided = if len > COPIED_MAX && available > 0 && !odd { self.pieces.divide(frame) } else { None };
        let (copies, attached) = match divided.filter(|(_, attached)| (1..=available).contains(attached)) {
            Some(divided) => divided,
            // One copy of the whole.
            None => match self.pieces.copies(frame) {
                Some(copies) => (copies, 0),
                None => return Fate::Refuse,
            },
        };
        let bare = self.attached.as_ref().map(|(bare, _)| bare);
        if stock(&mut self.plain, Some(&self.packets), copies) && stock(&mut self.bare, bare, attached) {
            Fate::Send { copies, attached }
        } else {
            Fate::Wait
        }
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

    /// Attaches the frame's long pieces, and copies what is between, as [`Pieces::divide`] has counted.
    fn attach_pieces(&mut self, mut frame: Frame) -> Packet {
        let mut packet = Packet::default();
        let mut walk = Walk::default();
        while let Some(piece) = frame.data.pop_front() {
            // Counted before, so that it goes somewhere.
            let Some(place) = walk.next(&self.pieces, &piece) else { return packet };
            if place == Place::Attached {
                let (data, len) = (piece.as_ptr().cast_mut(), piece.len() as u16);
                let (Some(mbuf), Some((_, loans))) = (self.bare.pop(), &mut self.attached) else { return packet };
                packet.add(mbuf);
                let Ok(loan) = loans.take(piece) else { return packet };
                // SAFETY: a packet buffer without data, and memory that the loan's view keeps as it is until the driver is done.
                unsafe { margay_attach(mbuf.as_ptr(), loan.as_ptr(), data, len) };
            } else if !piece.is_empty() {
                if place == Place::Begun {
                    let Some(mbuf) = self.plain.pop() else { return packet };
                    packet.add(mbuf);
                }
                let Some((_, data)) = packet.last.and_then(|last| extend(last, piece.len())) else { return packet };
                data.copy_from_slice(&piece);
            }
        }
        self.cleanup.attached();
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

/// Has the driver free what it has sent; what it says to that. `None`: it is not to be asked now.
fn free_sent(port: u16, turn: &Turn) -> Option<core::ffi::c_int> {
    let _turn = turn.begin()?;
    // SAFETY: the port is this LibOs' own, has this queue, and runs; nobody sends on it meanwhile. 0: all.
    Some(unsafe { rte_eth_tx_done_cleanup(port, 0, 0) })
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
