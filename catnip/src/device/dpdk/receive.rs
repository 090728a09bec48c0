// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the port's receive queues into bursts.
//!
//! A packet buffer that nobody else has becomes the frame's memory. One that somebody has, too, is copied (a frame that was sent on
//! `net_ring` is its sender's still), and so are all while the views hold so many that the port might be left without.

use super::Settings;
use super::limits::SPARE;
use super::packets::Packets;
use super::plan::Plan;
use super::port::Port;
use super::turns::Turn;
use core::ptr::{NonNull, null_mut};
use dpdk_sys::{
    MARGAY_SUMS_BAD, MARGAY_SUMS_GOOD, margay_free, margay_free_segment, margay_look, margay_receive, margay_segment,
    rte_mbuf,
};
use runtime::Result;
use runtime::buf::{Buf, Pool, Pools, Release, Sga};
use runtime::device::{BURST_FRAMES_MAX, Burst, Checksum, DeviceCounters, Frame};
use runtime::limits::SGA_SEGMENTS_MAX;
use std::rc::Rc;

/// Where a VLAN tag stands in a frame, and its kind (IEEE 802.1Q).
const TAG_AT: usize = 12;
const TAG: usize = super::super::VLAN_TAG;
const TAG_KIND: [u8; 2] = [0x81, 0x00];

/// Gives packet buffers back; with it goes their pool.
struct Back(#[expect(dead_code, reason = "kept until the last buffer is back")] Rc<Packets>);

impl Release for Back {
    #[inline]
    fn release(&self, token: u64) {
        // SAFETY: the address of a packet buffer that was lent, whose last view is gone.
        unsafe { margay_free_segment(core::ptr::with_exposed_provenance_mut(token as usize)) };
    }
}

/// The receiving half of a port.
pub struct Receiver {
    port: u16,
    queues: u16,
    /// The queue that is looked at first the next time.
    queue: u16,
    packets: Rc<Packets>,
    lent: Pool,
    turn: Turn,
    /// Packets that the port is asked for at once, and how many ahead each is fetched.
    burst: u16,
    prefetch: u16,
    /// Packet buffers that views may hold.
    lendable: u32,
    pools: Pools,
    /// What a look has found, from `at` to `end`.
    found: Box<[margay_segment; BURST_FRAMES_MAX]>,
    at: usize,
    end: usize,
    /// A look did not get the port's turn.
    unseen: bool,
    /// The last look has left something, or may have.
    more: bool,
}

impl Receiver {
    /// With a pool of as many packet buffers as the descriptors and the views take, those like the LibOs' `small` buffers.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new(port: &Port, plan: &Plan, settings: &Settings, small: u32, pools: Pools) -> Result<Self> {
        let descriptors = u32::from(plan.receive) * u32::from(plan.queues) + port.kept(plan.queues) + SPARE;
        // A second port's own are in the peer's queues as well, where packets are handed on as they are (net_ring).
        let count = settings.buffers.unwrap_or(descriptors + small).max(descriptors + BURST_FRAMES_MAX as u32);
        let make = if port.shares_its_pool() { Packets::dense } else { Packets::new };
        let packets = Rc::new(make("receive", count, plan.segment, port.node())?);
        let views = pools.stats()[0].view_capacity;
        let lent = Pool::lent_whole(Box::new(Back(Rc::clone(&packets))), count.saturating_add(views))?;
        Ok(Self {
            port: port.id(),
            queues: plan.queues,
            queue: 0,
            packets,
            lent,
            turn: port.turn().clone(),
            burst: settings.burst.clamp(1, BURST_FRAMES_MAX as u16),
            prefetch: settings.prefetch,
            lendable: count - descriptors,
            pools,
            found: Box::new([margay_segment::default(); BURST_FRAMES_MAX]),
            at: 0,
            end: 0,
            more: false,
            unseen: false,
        })
    }

    /// The pool of packet buffers.
    pub fn packets(&self) -> &Packets {
        &self.packets
    }

    /// The buffers that it gives.
    pub const fn lent(&self) -> &Pool {
        &self.lent
    }

    /// Looks whether something has come; what has is kept for the next [`receive`](Self::receive).
    pub fn look(&mut self) -> bool {
        if self.at == self.end {
            self.fetch();
        }
        self.at < self.end
    }

    /// Whether the port's queues could not be looked at some time since this was asked last: what is in them is not known then.
    pub fn take_unseen(&mut self) -> bool {
        core::mem::take(&mut self.unseen)
    }

    /// Takes a burst from the first queue that has something.
    #[inline]
    fn fetch(&mut self) {
        (self.at, self.end) = (0, 0);
        let Some(_turn) = self.turn.begin() else {
            self.unseen = true;
            return;
        };
        for _ in 0..self.queues {
            // SAFETY: the port is this LibOs' own, the queue one of its, and there is room for as many: a burst is no longer than `found`.
            let came =
                unsafe { margay_receive(self.port, self.queue, self.found.as_mut_ptr(), self.burst, self.prefetch) };
            self.end = usize::from(came).min(BURST_FRAMES_MAX);
            self.more = self.queues > 1 || came >= self.burst;
            if self.queues > 1 {
                self.queue = (self.queue + 1) % self.queues;
            }
            if self.end > 0 {
                break;
            }
        }
    }

    /// Fills the burst with what has come. Whether something has.
    #[inline]
    pub fn receive(&mut self, burst: &mut Burst, counters: &mut DeviceCounters) -> bool {
        let mut came = false;
        // What is dropped counts as well: who sends nothing else must not keep this going.
        for _ in burst.len()..BURST_FRAMES_MAX {
            // Nobody waits for a second look where the first one has emptied the only queue.
            if (came && self.at == self.end && !self.more) || !self.look() {
                break;
            }
            let first = self.found[self.at];
            self.at += 1;
            came = true;
            match self.take(&first) {
                Some(frame) => {
                    super::super::received(counters, frame.data.len());
                    // There is room.
                    let _ = burst.push(frame);
                }
                None => counters.receive_drops += 1,
            }
        }
        came
    }

    /// The frame in a packet; `None`: it was dropped. The packet is this function's to free or to lend.
    #[inline]
    fn take(&self, first: &margay_segment) -> Option<Frame> {
        let checksum = match first.sums {
            MARGAY_SUMS_BAD => return Self::drop_packet(first.mbuf),
            MARGAY_SUMS_GOOD => Checksum::Verified,
            _ => Checksum::Complete,
        };
        let mut data = if first.segments == 1 && self.can_lend(first) {
            match self.lend(first) {
                Some(buffer) => Sga::from(buffer),
                None => self.copy(first)?,
            }
        } else {
            self.take_long(first)?
        };
        if first.tagged {
            data = tagged(data, first.tag, &self.pools)?;
        }
        Some(Frame { data, checksum, segmentation: None })
    }

    #[cold]
    fn drop_packet(mbuf: *mut rte_mbuf) -> Option<Frame> {
        // SAFETY: a packet that this has received and not lent.
        unsafe { margay_free(mbuf) };
        None
    }

    #[inline]
    fn can_lend(&self, segment: &margay_segment) -> bool {
        segment.alone && self.lent.stats().in_use < self.lendable
    }

    /// A buffer over a segment's block; `None`: it is still the caller's.
    #[inline]
    fn lend(&self, segment: &margay_segment) -> Option<Buf> {
        let block = NonNull::new(segment.block)?;
        let token = segment.mbuf.expose_provenance() as u64;
        // SAFETY: nobody else has the packet buffer (`alone`), whose block this is; it stays as it is until it is freed by the hook. The
        // view is held against the block's length.
        unsafe { self.lent.lend(block, segment.block_len, segment.offset, segment.len, token) }.ok()
    }

    /// A packet of several segments, or one that somebody else has, too.
    #[cold]
    fn take_long(&self, first: &margay_segment) -> Option<Sga> {
        let (mut segment, mut all, mut len) = (*first, true, 0_u32);
        for _ in 1..first.segments {
            all &= segment.alone;
            len = len.saturating_add(segment.len);
            if segment.next.is_null() {
                return Self::drop_packet(first.mbuf).map(|frame| frame.data);
            }
            // SAFETY: a segment of the packet.
            segment = unsafe { look(segment.next) };
        }
        let enough = self.lent.stats().in_use + u32::from(first.segments) < self.lendable;
        let fits = usize::from(first.segments) < SGA_SEGMENTS_MAX;
        if !(all && segment.alone && enough && fits) || len.saturating_add(segment.len) != first.packet_len {
            return self.copy(first);
        }
        let (mut data, mut next) = (Sga::new(), first.mbuf);
        while !next.is_null() {
            // SAFETY: a segment of the packet that was not lent yet.
            let segment = unsafe { look(next) };
            let lent = self.lend(&segment).map(|buffer| data.push_back(buffer));
            if !matches!(lent, Some(Ok(()))) {
                // What is in `data` goes back by itself; what was not lent hangs on this one.
                // SAFETY: as above; a segment whose buffer was refused has been given back, and the others are behind it.
                unsafe { margay_free(if lent.is_none() { next } else { segment.next }) };
                return None;
            }
            next = segment.next;
        }
        Some(data)
    }

    /// A copy of a packet, which is freed.
    #[cold]
    fn copy(&self, first: &margay_segment) -> Option<Sga> {
        let len = first.packet_len as usize;
        let mut filled = 0;
        let buffer = self.pools.alloc_filled(len, |to| {
            let mut next = first.mbuf;
            while !next.is_null() {
                // SAFETY: a segment of the packet, whose data lie in its block, which nobody writes to meanwhile.
                let (segment, from) = unsafe {
                    let segment = look(next);
                    let within = segment.offset.saturating_add(segment.len) <= segment.block_len;
                    let len = if within && !segment.block.is_null() { segment.len as usize } else { 0 };
                    let start = if len == 0 {
                        NonNull::dangling().as_ptr()
                    } else {
                        segment.block.add(segment.offset as usize)
                    };
                    (segment, core::slice::from_raw_parts(start, len))
                };
                if let Some(room) = to.get_mut(filled..filled + from.len()) {
                    room.copy_from_slice(from);
                    filled += from.len();
                }
                next = segment.next;
            }
        });
        // SAFETY: a packet that was not lent.
        unsafe { margay_free(first.mbuf) };
        buffer.ok().filter(|_| filled == len).map(Sga::from)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        for segment in &self.found[self.at..self.end] {
            // SAFETY: received, and nobody's yet.
            unsafe { margay_free(segment.mbuf) };
        }
    }
}

/// What a segment is.
///
/// # Safety
/// It is one of a packet that the caller has.
unsafe fn look(mbuf: *mut rte_mbuf) -> margay_segment {
    let mut segment = margay_segment { mbuf: null_mut(), ..margay_segment::default() };
    // SAFETY: a packet buffer, and a structure that is filled in.
    unsafe { margay_look(mbuf, &raw mut segment) };
    segment
}

/// The frame with a tag that the port, or the kernel behind it, has taken out.
#[cold]
fn tagged(mut data: Sga, tag: u16, pools: &Pools) -> Option<Sga> {
    let mut head = data.pop_front()?;
    if head.len() < TAG_AT {
        return None;
    }
    if head.prepend(TAG).is_err() {
        let longer = pools.alloc_filled(head.len() + TAG, |to| to[TAG..].copy_from_slice(&head)).ok()?;
        head = longer;
    }
    let bytes = head.get_mut()?;
    bytes.copy_within(TAG..TAG + TAG_AT, 0);
    bytes[TAG_AT..][..2].copy_from_slice(&TAG_KIND);
    bytes[TAG_AT + 2..][..2].copy_from_slice(&tag.to_be_bytes());
    data.push_front(head).ok()?;
    Some(data)
}
