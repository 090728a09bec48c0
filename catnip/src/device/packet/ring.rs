// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rings that a packet socket shares with the kernel, in the form `TPACKET_V2` (`Documentation/networking/packet_mmap.rst`).
//!
//! ```text
//! mapping:  | receive slots ..           | transmit slots ..                 |
//! slot:     | status | len | snaplen | mac .. (32 bytes) | .. vnet | frame    |
//! ```
//!
//! The status word of a slot says whose it is, and is stored last by whoever gives it away. V2 rather than V3, which hands over
//! blocks of many frames, and one that is not full only after a timer of a millisecond or more.
//!
//! What must always hold: a slot's bytes are touched only while the slot is ours; what the kernel says of places in it is checked
//! all the same.

use super::super::raw::set;
use super::super::vnet::HEADER;
use core::ffi::c_void;
use core::mem::{offset_of, size_of};
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicU32, Ordering};
use runtime::{Errno, Error, Result};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::os::fd::BorrowedFd;

/// Bytes in front of a frame in a slot that we fill: `TPACKET2_HDRLEN` without the address.
const TRANSMIT_OFFSET: usize = size_of::<libc::tpacket2_hdr>().next_multiple_of(libc::TPACKET_ALIGNMENT);
/// Bytes in front of a frame in a slot that the kernel fills, at most: header, address, room to align the network header, and
/// virtio's header.
const RECEIVE_OFFSET: usize = TRANSMIT_OFFSET + size_of::<libc::sockaddr_ll>() + 16 + 16 + HEADER;
/// Bytes of a block, of which the kernel allocates several: each is contiguous memory.
const BLOCK: usize = 64 << 10;

const TOO_LARGE: Error = Error::new(Errno::INVAL, "the rings of a packet socket are too large");

/// A frame in a slot of the receive ring, which is ours until [`Rings::release`].
pub struct Slot<'a> {
    /// What its sender has left to do: virtio's header.
    pub vnet: [u8; HEADER],
    /// Its bytes, as far as they fitted.
    pub bytes: &'a [u8],
    /// Its length on the wire.
    pub len: usize,
    /// `TP_STATUS_*`.
    pub status: u32,
    /// The VLAN tag that the kernel has taken out of it: its kind and its contents.
    pub vlan: Option<(u16, u16)>,
}

/// Both rings of one socket.
pub struct Rings {
    memory: NonNull<u8>,
    len: usize,
    slot_size: usize,
    /// How many slots each has, and which is next.
    receive: (usize, usize),
    transmit: (usize, usize),
}

impl Rings {
    /// Rings of at least so many slots, for frames of up to `frame_max` bytes, at a socket that is not bound yet.
    ///
    /// # Errors
    /// `EINVAL` too large, `ENOMEM` no memory for it.
    pub fn new(fd: BorrowedFd<'_>, receive: usize, transmit: usize, frame_max: usize) -> Result<Self> {
        let version: libc::c_int = libc::tpacket_versions::TPACKET_V2 as libc::c_int;
        set(fd, libc::SOL_PACKET, libc::PACKET_VERSION, &version, "PACKET_VERSION")?;
        let slot_size = (RECEIVE_OFFSET + frame_max).next_power_of_two();
        let block = BLOCK.max(slot_size);
        let request = |slots: usize| -> Result<(libc::tpacket_req, usize)> {
            let bytes = slots.max(1).checked_mul(slot_size).ok_or(TOO_LARGE)?;
            let blocks = bytes.div_ceil(block);
            let slots = blocks * (block / slot_size);
            let narrow = |n: usize| u32::try_from(n).map_err(|_| TOO_LARGE);
            let request = libc::tpacket_req {
                tp_block_size: narrow(block)?,
                tp_block_nr: narrow(blocks)?,
                tp_frame_size: narrow(slot_size)?,
                tp_frame_nr: narrow(slots)?,
            };
            Ok((request, slots))
        };
        let (receive_request, receive) = request(receive)?;
        let (transmit_request, transmit) = request(transmit)?;
        set(fd, libc::SOL_PACKET, libc::PACKET_RX_RING, &receive_request, "PACKET_RX_RING")?;
        set(fd, libc::SOL_PACKET, libc::PACKET_TX_RING, &transmit_request, "PACKET_TX_RING")?;
        let len = (receive + transmit).checked_mul(slot_size).ok_or(TOO_LARGE)?;
        // SAFETY: a new mapping, which takes nobody's place.
        let memory = unsafe { mmap(ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, fd, 0) };
        let memory = memory.map_err(|errno| Error::os(errno, "mmap: the rings of a packet socket"))?;
        let memory = NonNull::new(memory.cast()).ok_or(TOO_LARGE)?;
        Ok(Self { memory, len, slot_size, receive: (receive, 0), transmit: (transmit, 0) })
    }

    /// The slot with this number, counted over both rings.
    fn slot(&self, number: usize) -> NonNull<u8> {
        debug_assert!((number + 1) * self.slot_size <= self.len);
        // SAFETY: numbers come from below, and stay below the number of slots, as many of which the mapping has.
        unsafe { self.memory.add(number * self.slot_size) }
    }

    fn status(&self, number: usize) -> &AtomicU32 {
        let word = self.slot(number).as_ptr().wrapping_add(offset_of!(libc::tpacket2_hdr, tp_status));
        // SAFETY: inside the mapping, which lives as long as this; aligned, as slots and the field are; both sides use it as one
        // word that is loaded and stored whole.
        unsafe { AtomicU32::from_ptr(word.cast()) }
    }

    /// Whether a frame has come.
    #[inline]
    pub fn has_frame(&self) -> bool {
        self.status(self.receive.1).load(Ordering::Relaxed) & libc::TP_STATUS_USER != 0
    }

    /// The frame that came first; `None` if there is none. It stays there until [`release`](Self::release).
    #[inline]
    pub fn frame(&self) -> Option<Slot<'_>> {
        let number = self.receive.1;
        // The kernel has stored the status behind the frame.
        let status = self.status(number).load(Ordering::Acquire);
        if status & libc::TP_STATUS_USER == 0 {
            return None;
        }
        let slot = self.slot(number);
        // SAFETY: the slot is ours, begins with this header, and is aligned for it; the kernel does not write to it until the
        // status says that it is the kernel's.
        let header = unsafe { slot.cast::<libc::tpacket2_hdr>().read() };
        let len = header.tp_snaplen as usize;
        let place = usize::from(header.tp_mac).checked_sub(HEADER).zip(len.checked_add(HEADER));
        let (start, whole) = place.filter(|(start, whole)| start + whole <= self.slot_size).unwrap_or_default();
        // SAFETY: inside the slot, whose memory is initialised, as the kernel gives it out; ours until `release`, which takes
        // this by `&mut`.
        let bytes = unsafe { core::slice::from_raw_parts(slot.as_ptr().add(start), whole) };
        let (vnet, bytes) = bytes.split_first_chunk().map_or(([0; HEADER], bytes), |(vnet, bytes)| (*vnet, bytes));
        let tagged = status & libc::TP_STATUS_VLAN_VALID != 0;
        let known = status & libc::TP_STATUS_VLAN_TPID_VALID != 0;
        let kind = if known { header.tp_vlan_tpid } else { libc::ETH_P_8021Q as u16 };
        Some(Slot {
            vnet,
            bytes,
            len: header.tp_len as usize,
            status,
            vlan: tagged.then_some((kind, header.tp_vlan_tci)),
        })
    }

    /// Gives the slot of [`frame`](Self::frame) back to the kernel.
    #[inline]
    pub fn release(&mut self) {
        let (slots, number) = self.receive;
        self.status(number).store(libc::TP_STATUS_KERNEL, Ordering::Release);
        self.receive.1 = if number + 1 == slots { 0 } else { number + 1 };
    }

    /// Writes a frame of `len` bytes, which fits, with its header into the next slot of the transmit ring, and gives it to the
    /// kernel. False: that slot is not free yet.
    #[inline]
    pub fn put(&mut self, vnet: [u8; HEADER], len: usize, fill: impl FnOnce(&mut [u8])) -> bool {
        let (slots, number) = self.transmit;
        let number = self.receive.0 + number;
        if self.status(number).load(Ordering::Acquire) != libc::TP_STATUS_AVAILABLE || len > self.frame_max() {
            return false;
        }
        let (slot, len) = (self.slot(number), HEADER + len);
        // SAFETY: the slot is ours, as its status says, and `len` bytes from there are inside it. They are initialised: the
        // kernel gives its memory out cleared.
        let bytes = unsafe { core::slice::from_raw_parts_mut(slot.as_ptr().add(TRANSMIT_OFFSET), len) };
        if let Some((head, frame)) = bytes.split_first_chunk_mut() {
            *head = vnet;
            fill(frame);
        }
        // SAFETY: ours, inside the slot, and aligned as the field is.
        unsafe { (&raw mut (*slot.cast::<libc::tpacket2_hdr>().as_ptr()).tp_len).write(len as u32) };
        self.status(number).store(libc::TP_STATUS_SEND_REQUEST, Ordering::Release);
        self.transmit.1 = if self.transmit.1 + 1 == slots { 0 } else { self.transmit.1 + 1 };
        true
    }

    /// Whether the kernel has yet to send something.
    pub fn is_sending(&self) -> bool {
        let (slots, next) = self.transmit;
        let last = if next == 0 { slots - 1 } else { next - 1 };
        self.status(self.receive.0 + last).load(Ordering::Relaxed) & libc::TP_STATUS_SEND_REQUEST != 0
    }

    /// The longest frame that [`put`](Self::put) takes.
    pub fn frame_max(&self) -> usize {
        self.slot_size - TRANSMIT_OFFSET - HEADER
    }
}

impl Drop for Rings {
    fn drop(&mut self) {
        // SAFETY: the mapping of `new`, of which no reference is left. Where it fails it stays, which harms nobody.
        let _ = unsafe { munmap(self.memory.as_ptr().cast::<c_void>(), self.len) };
    }
}
