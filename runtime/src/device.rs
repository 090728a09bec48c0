// SPDX-License-Identifier: MIT OR Apache-2.0
//! [`Device`]: what carries Ethernet frames, a burst at a time.
//!
//! A device never blocks and loses nothing silently: what it could not send stays in the burst, and what it had to drop on
//! the way in is counted. The checksum and segmentation words of a frame are those of virtio's network header (virtio 1.2,
//! 5.1.6), which TAP, vhost-user and AF_PACKET speak.

use crate::Result;
use crate::buf::Sga;
use alloc::collections::VecDeque;

pub use crate::limits::BURST_FRAMES_MAX;

/// Bytes of an Ethernet header without a VLAN tag.
pub const ETHERNET_HEADER: usize = 14;

/// What a frame's sender has left to the device, or the device has done already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksum {
    /// Sent: complete. Received: nobody has looked at it.
    #[default]
    Complete,
    /// Received only: the device has found the transport's checksum right.
    Verified,
    /// The sum from `start` to the frame's end belongs at `start + offset`, where that of the pseudo-header stands. Sent: the
    /// device fills it in. Received: it came from a host of this machine, and never was in danger.
    Partial {
        /// Where the transport's header begins in the frame, in bytes.
        start: u16,
        /// Where in it the checksum stands, in bytes.
        offset: u16,
    },
}

/// What a frame that is longer than the MTU is to be cut into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentKind {
    /// TCP segments over IPv4.
    TcpV4,
    /// TCP segments over IPv6.
    TcpV6,
    /// UDP datagrams, each with a header of its own (`UDP_SEGMENT` of `udp(7)`).
    Udp,
}

/// A frame that stands for many, of the same headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segmentation {
    /// Of which protocol.
    pub kind: SegmentKind,
    /// Payload bytes of each but the last.
    pub size: u16,
    /// Bytes of all headers in front of the payload, Ethernet's among them.
    pub header: u16,
}

/// One Ethernet frame from its destination address on, without the frame check sequence.
#[derive(Debug, Default)]
pub struct Frame {
    /// Its bytes.
    pub data: Sga,
    /// Its checksum.
    pub checksum: Checksum,
    /// Whether it stands for many. Its checksum is then [`Checksum::Partial`].
    pub segmentation: Option<Segmentation>,
}

impl From<Sga> for Frame {
    fn from(data: Sga) -> Self {
        Self { data, checksum: Checksum::Complete, segmentation: None }
    }
}

/// What a device can do. What it cannot is done by the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// The longest packet behind the Ethernet header, in bytes.
    pub mtu: u16,
    /// Bytes that it wants free in front of a frame, for a header of its own.
    pub headroom: u16,
    /// Whether it fills in checksums that are [`Checksum::Partial`].
    pub checksum: bool,
    /// Whether it cuts TCP segments.
    pub segments_tcp: bool,
    /// Whether it cuts UDP datagrams.
    pub segments_udp: bool,
}

/// What a device has counted. All of them only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceCounters {
    /// Frames that came.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Frames that went.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Frames that came and were dropped: no buffer, too long, or the kernel's own count of those that found its ring full.
    pub receive_drops: u64,
    /// Frames that could never be sent: too long, or of a kind that the device refused.
    pub send_drops: u64,
}

/// Frames on their way to or from a device: a queue of at most [`BURST_FRAMES_MAX`], which allocates once.
#[derive(Debug)]
pub struct Burst(VecDeque<Frame>);

impl Burst {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self(VecDeque::with_capacity(BURST_FRAMES_MAX))
    }

    /// Puts a frame behind the others; gives it back if the burst is full.
    ///
    /// # Errors
    /// The frame.
    #[inline]
    pub fn push(&mut self, frame: Frame) -> core::result::Result<(), Frame> {
        if self.is_full() {
            return Err(frame);
        }
        self.0.push_back(frame);
        Ok(())
    }

    /// Takes the first.
    #[inline]
    pub fn pop(&mut self) -> Option<Frame> {
        self.0.pop_front()
    }

    /// Takes all, first to last.
    #[inline]
    pub fn drain(&mut self) -> impl ExactSizeIterator<Item = Frame> {
        self.0.drain(..)
    }

    /// Puts one back in front: a device that could not send it after all. There is room, since it came from here.
    #[inline]
    pub fn put_back(&mut self, frame: Frame) {
        self.0.push_front(frame);
    }

    /// The first, which stays.
    #[inline]
    #[must_use]
    pub fn front(&self) -> Option<&Frame> {
        self.0.front()
    }

    /// How many there are.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is no room.
    #[inline]
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.len() >= BURST_FRAMES_MAX
    }

    /// Each, first to last.
    pub fn iter(&self) -> impl Iterator<Item = &Frame> {
        self.0.iter()
    }
}

impl Default for Burst {
    fn default() -> Self {
        Self::new()
    }
}

/// What carries Ethernet frames.
pub trait Device {
    /// The name that the configuration uses.
    fn name(&self) -> &'static str;

    /// The hardware address that it has of its own, if it has one; else the configuration or chance gives one.
    fn address(&self) -> Option<[u8; 6]>;

    /// What it can do.
    fn caps(&self) -> Caps;

    /// Puts what has come into the burst, until that is full, as many were dropped, or nothing is left.
    ///
    /// # Errors
    /// The device is broken (`ENETDOWN`, `EIO` and others); a frame that is dropped is no error.
    fn rx(&mut self, burst: &mut Burst) -> Result<()>;

    /// Sends from the front of the burst. What stays was not sent: try again later.
    ///
    /// # Errors
    /// As [`rx`](Self::rx).
    fn tx(&mut self, burst: &mut Burst) -> Result<()>;

    /// Whether frames that [`tx`](Self::tx) took are still to leave, and are lost if the device is closed now. Each `tx` tries again.
    fn is_sending(&self) -> bool {
        false
    }

    /// What it has counted.
    fn counters(&self) -> DeviceCounters;

    /// Hands over what else its driver, or the kernel behind it, has counted and is not zero: a name of theirs and a value at a time. It may
    /// take some time, for a driver may ask its card.
    fn extended_counters(&mut self, _tell: &mut dyn FnMut(&str, u64)) {}

    /// What to sleep on: readable when frames have come, while the device is armed. None: it can only be looked at.
    #[cfg(feature = "std")]
    fn descriptor(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        None
    }

    /// Whether something has come that `rx` would give, and if not, that [`descriptor`](Self::descriptor) will say so once it has.
    fn arm(&mut self) -> bool {
        false
    }

    /// Awake again.
    fn disarm(&mut self) {}

    /// Whether the sleep that is over was to end by itself, because nothing tells this device of frames, and [`rx`](Self::rx) has given none
    /// since.
    fn slept_in_vain(&self) -> bool {
        false
    }
}
