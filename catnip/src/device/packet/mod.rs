// SPDX-License-Identifier: MIT OR Apache-2.0
//! An interface of the kernel, shared with it: a packet socket (`packet(7)`) with rings in memory, whose frames do not pass the queueing
//! disciplines (`PACKET_QDISC_BYPASS`).
//!
//! Ours is a hardware address that the interface does not have, and IP addresses that the kernel does not have. So the kernel takes
//! our frames for those of another host (`PACKET_OTHERHOST`), and answers none of them; it does hear what is for
//! groups, as every host does. Frames for our address are let in by the interface's own filter (`PACKET_MR_UNICAST`; promiscuous where
//! that is not enough), and all others are kept out by ours, which is there before the socket is bound.
//!
//! Between hosts of one machine, frames come with checksums that nobody has filled in, because they never were in danger, and many
//! datagrams or segments as one frame. Virtio's header in front of each says so (`PACKET_VNET_HDR`). Frames that are longer than a slot
//! come as a copy through the socket itself.

mod filter;
mod ring;

use super::raw::{bind_packet, filter as attach, kick, mtu, packet_statistics, set};
use super::vnet::{self, HEADER};
use super::{Came, VLAN_TAG, copy_frame, frame_max, received, sent};
use core::cell::Cell;
use ring::Rings;
use runtime::buf::{Buf, Pools, Sga};
use runtime::device::{BURST_FRAMES_MAX, Burst, Caps, Checksum, Device, DeviceCounters, Frame, Segmentation};
use runtime::{Errno, Error, Result};
use rustix::io::{Errno as Os, IoSliceMut, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvFlags, SocketFlags, SocketType, netdevice, recvmsg, socket_with,
};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Where a VLAN tag stands in a frame: behind both addresses.
const TAG_AT: usize = 12;
/// What an interface can let in, in the type of its field: for another address of this host, for all groups, everything.
const UNICAST: libc::c_ushort = libc::PACKET_MR_UNICAST as libc::c_ushort;
const ALL_GROUPS: libc::c_ushort = libc::PACKET_MR_ALLMULTI as libc::c_ushort;
const PROMISCUOUS: libc::c_ushort = libc::PACKET_MR_PROMISC as libc::c_ushort;
/// The longest frame that comes as a copy.
const COPY_MAX: usize = frame_max(u16::MAX);
/// Bytes that the socket holds of such.
const RECEIVE_BUFFER: usize = 4 << 20;

/// How an interface is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Our hardware address on it; zeros: none, so that only what is for groups comes.
    pub address: [u8; 6],
    /// Frames that may wait to be received.
    pub receive: usize,
    /// Frames that may wait to be sent.
    pub transmit: usize,
    /// Whether the interface lets everything in: for one that knows a single address.
    pub promiscuous: bool,
}

/// The socket.
pub struct Packet {
    rings: Rings,
    socket: OwnedFd,
    pools: Pools,
    mtu: u16,
    counters: DeviceCounters,
    /// The kernel has not taken all that is in the ring.
    stalled: bool,
    /// What the kernel had no room for, which it tells once.
    dropped: Cell<u64>,
}

impl Packet {
    /// Shares the interface `name`.
    ///
    /// # Errors
    /// `EPERM` it takes `CAP_NET_RAW`; `ENODEV` no such interface; `ENOMEM` no memory for the rings; `EINVAL` they are too large.
    pub fn open(name: &str, settings: &Settings, pools: Pools) -> Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // Without a protocol it receives nothing before it is bound.
        let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)
            .map_err(|errno| Error::os(errno, "socket: a packet socket takes root, or CAP_NET_RAW"))?;
        let interface = netdevice::name_to_index(&socket, name)
            .map_err(|errno| Error::os(errno, "SIOCGIFINDEX: is there an interface with this name?"))?;
        let mtu = mtu(&socket, name)?;
        let fd = socket.as_fd();
        attach(fd, &filter::program(settings.address))?;
        let packet = |option, value: libc::c_int, name| set(fd, libc::SOL_PACKET, option, &value, name);
        packet(libc::PACKET_QDISC_BYPASS, 1, "PACKET_QDISC_BYPASS")?;
        // A frame that cannot be sent is skipped, not waited for.
        packet(libc::PACKET_LOSS, 1, "PACKET_LOSS")?;
        packet(libc::PACKET_COPY_THRESH, 1, "PACKET_COPY_THRESH")?;
        packet(libc::PACKET_VNET_HDR, 1, "PACKET_VNET_HDR")?;
        // Behind those, which a socket with rings refuses.
        let rings = Rings::new(fd, settings.receive, settings.transmit, frame_max(mtu))?;
        // What the kernel has by itself does, too.
        let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER);
        if settings.address != [0; 6] {
            join(fd, interface, UNICAST, settings.address)?;
        }
        join(fd, interface, ALL_GROUPS, [0; 6])?;
        if settings.promiscuous {
            join(fd, interface, PROMISCUOUS, [0; 6])?;
        }
        bind_packet(fd, interface)?;
        let (counters, dropped) = (DeviceCounters::default(), Cell::new(0));
        Ok(Self { rings, socket, pools, mtu, counters, stalled: false, dropped })
    }

    /// Takes a copy of the frame in the ring's first slot.
    fn take(&self) -> Came {
        let Some(slot) = self.rings.frame() else { return Came::Nothing };
        if slot.bytes.len() < slot.len {
            return (slot.status & libc::TP_STATUS_COPY != 0).then(|| self.copy(slot.len, slot.vlan)).flatten().into();
        }
        let tag = if slot.vlan.is_some() { VLAN_TAG } else { 0 };
        let Some((checksum, segmentation)) = left_to_us(&slot.vnet, slot.bytes.len(), tag) else {
            return Came::Dropped;
        };
        let buffer = match (slot.vlan, slot.bytes.split_at_checked(TAG_AT)) {
            (Some((kind, tag)), Some((addresses, rest))) => {
                self.pools.alloc_filled(slot.bytes.len() + VLAN_TAG, |to| put_tag(to, addresses, kind, tag, rest))
            }
            _ => self.pools.alloc_copy(slot.bytes),
        };
        buffer.ok().map(|buffer| Frame { data: Sga::from(buffer), checksum, segmentation }).into()
    }

    /// A frame that was too long for its slot: it waits in the socket, and is taken from there whatever comes of it, or the next one
    /// would find it. `None`: there is no buffer for it.
    #[cold]
    fn copy(&self, len: usize, vlan: Option<(u16, u16)>) -> Option<Frame> {
        let lead = if vlan.is_some() { VLAN_TAG } else { 0 };
        let mut buffer = self.pools.alloc(lead + len.min(COPY_MAX)).ok();
        let bytes = buffer.as_mut().and_then(Buf::get_mut).and_then(|bytes| bytes.get_mut(lead..));
        let (mut header, room) = ([0; HEADER], bytes.unwrap_or_default());
        let flags = RecvFlags::TRUNC | RecvFlags::DONTWAIT;
        let mut take = || {
            retry_on_intr(|| {
                let mut parts = [IoSliceMut::new(&mut header), IoSliceMut::new(&mut *room)];
                recvmsg(&self.socket, &mut parts, &mut RecvAncillaryBuffer::default(), flags)
            })
        };
        let came = match take() {
            // The link went down meanwhile, which is told once, in place of the frame.
            Err(Os::NETDOWN) => take(),
            came => came,
        };
        // Of one that did not fit, the length is told all the same.
        let whole = came.is_ok_and(|came| came.bytes == HEADER + len) && room.len() == len;
        let mut buffer = buffer.filter(|_| whole)?;
        let (checksum, segmentation) = left_to_us(&header, len, lead)?;
        if let Some((kind, tag)) = vlan {
            let front = buffer.get_mut()?.get_mut(..TAG_AT + VLAN_TAG)?;
            front.copy_within(VLAN_TAG.., 0);
            front[TAG_AT..][..2].copy_from_slice(&kind.to_be_bytes());
            front[TAG_AT + 2..].copy_from_slice(&tag.to_be_bytes());
        }
        Some(Frame { data: Sga::from(buffer), checksum, segmentation })
    }
}

/// What virtio's header says of a frame of `len` bytes, which the tag in front of its payload will make `tag` bytes longer.
fn left_to_us(header: &[u8; HEADER], len: usize, tag: usize) -> Option<(Checksum, Option<Segmentation>)> {
    let (mut checksum, mut segmentation) = vnet::parse(&vnet::in_order_of_this_host(*header), len)?;
    let tag = tag as u16; // none, or that of a VLAN
    if let Checksum::Partial { start, .. } = &mut checksum {
        *start = start.checked_add(tag)?;
    }
    if let Some(Segmentation { header, .. }) = &mut segmentation {
        *header = header.checked_add(tag)?;
    }
    Some((checksum, segmentation))
}

/// Writes a frame with a tag in its place.
fn put_tag(to: &mut [u8], addresses: &[u8], kind: u16, tag: u16, rest: &[u8]) {
    let Some((first, to)) = to.split_at_mut_checked(addresses.len()) else { return };
    let Some((middle, last)) = to.split_at_mut_checked(VLAN_TAG) else { return };
    first.copy_from_slice(addresses);
    middle[..2].copy_from_slice(&kind.to_be_bytes());
    middle[2..].copy_from_slice(&tag.to_be_bytes());
    last.copy_from_slice(rest);
}

/// Has the interface let more in, for as long as the socket is open.
fn join(fd: BorrowedFd<'_>, interface: u32, kind: libc::c_ushort, address: [u8; 6]) -> Result<()> {
    let mut request = libc::packet_mreq {
        mr_ifindex: interface.cast_signed(),
        mr_type: kind,
        mr_alen: address.len() as libc::c_ushort,
        mr_address: [0; 8],
    };
    request.mr_address[..address.len()].copy_from_slice(&address);
    set(fd, libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &request, "PACKET_ADD_MEMBERSHIP")
}

impl Device for Packet {
    fn name(&self) -> &'static str {
        "packet"
    }

    fn address(&self) -> Option<[u8; 6]> {
        None
    }

    fn caps(&self) -> Caps {
        Caps { mtu: self.mtu, headroom: 0, checksum: false, segments_tcp: false, segments_udp: false }
    }

    #[inline]
    fn rx(&mut self, burst: &mut Burst) -> Result<()> {
        // What is dropped counts as well: who sends nothing else must not keep this going.
        for _ in burst.len()..BURST_FRAMES_MAX {
            match self.take() {
                Came::Nothing => break,
                Came::Dropped => self.counters.receive_drops += 1,
                Came::Frame(frame) => {
                    received(&mut self.counters, frame.data.len());
                    // There is room.
                    let _ = burst.push(frame);
                }
            }
            self.rings.release();
        }
        Ok(())
    }

    fn tx(&mut self, burst: &mut Burst) -> Result<()> {
        while let Some(frame) = burst.front() {
            let len = frame.data.len();
            if len > frame_max(self.mtu).min(self.rings.frame_max()) {
                self.counters.send_drops += 1;
            } else if self.rings.put(vnet::in_order_of_this_host(vnet::emit(frame)), len, |to| copy_frame(frame, to)) {
                sent(&mut self.counters, len);
            } else {
                break;
            }
            burst.pop();
        }
        if !self.rings.is_sending() {
            return Ok(());
        }
        let mut kicked = retry_on_intr(|| kick(self.socket.as_fd()));
        if kicked == Err(Os::NETDOWN) {
            // That may be old news, which the call has taken away.
            kicked = retry_on_intr(|| kick(self.socket.as_fd()));
        }
        self.stalled = matches!(kicked, Err(Os::AGAIN | Os::NOBUFS | Os::NOMEM));
        match kicked {
            Err(Os::NXIO) => Err(Error::new(Errno::NETDOWN, "the interface is gone")),
            // What there is no room for goes with the next call, what finds the interface down goes once it is up and something is sent
            // again, and a frame that the kernel refuses has been skipped.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn is_sending(&self) -> bool {
        self.stalled && self.rings.is_sending()
    }

    fn counters(&self) -> DeviceCounters {
        let told = packet_statistics(self.socket.as_fd());
        self.dropped.set(self.dropped.get() + u64::from(told.tp_drops));
        DeviceCounters { receive_drops: self.counters.receive_drops + self.dropped.get(), ..self.counters }
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.socket.as_fd())
    }

    fn arm(&mut self) -> bool {
        self.rings.has_frame() || self.stalled
    }

    fn disarm(&mut self) {
        // That the interface went down makes the descriptor readable until it is told.
        let _ = rustix::net::sockopt::socket_error(&self.socket);
    }
}
