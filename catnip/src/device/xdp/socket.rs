// SPDX-License-Identifier: MIT OR Apache-2.0
//! One queue of the interface: an XDP socket with its four rings (`af_xdp.rst`), and what goes through them.
//!
//! The first queue's socket has the memory registered, and the others share it; the first alone sends.

use super::super::raw::{kick, set};
use super::super::received;
use super::ring::{Consumer, Producer};
use super::umem::Umem;
use super::way::Way;
use core::time::Duration;
use runtime::buf::{Buf, Sga};
use runtime::device::{BURST_FRAMES_MAX, Burst, DeviceCounters, Frame};
use runtime::limits::{SGA_SEGMENTS_MAX, XDP_BUSY_POLL_BUDGET, XDP_KICKS_MAX, XDP_QUEUE_PATIENCE, XDP_QUEUE_PAUSE};
use runtime::{Errno, Error, Result};
use rustix::io::{Errno as Os, retry_on_intr};
use rustix::net::sockopt::{
    set_xdp_rx_ring_size, set_xdp_tx_ring_size, set_xdp_umem_completion_ring_size, set_xdp_umem_fill_ring_size,
    set_xdp_umem_reg, xdp_mmap_offsets, xdp_options, xdp_statistics,
};
use rustix::net::xdp::{
    SocketAddrXdp, SocketAddrXdpFlags as Flags, SocketAddrXdpWithSharedUmem, XDP_PGOFF_RX_RING, XDP_PGOFF_TX_RING,
    XDP_UMEM_PGOFF_COMPLETION_RING, XDP_UMEM_PGOFF_FILL_RING, XdpDesc, XdpDescOptions, XdpMmapOffsets, XdpOptionsFlags,
    XdpStatistics, XdpUmemReg, XdpUmemRegFlags,
};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

const GONE: Error = Error::new(Errno::NETDOWN, "the interface is gone");

/// A queue.
pub struct Queue {
    receive: Consumer<XdpDesc>,
    fill: Producer<u64>,
    /// Blocks that the kernel has to fill, and how many it is to have.
    filling: u32,
    target: u32,
    /// The pieces of a frame whose last has not come, and whether it is lost already.
    begun: Sga,
    broken: bool,
    /// An empty look asks the driver.
    polls: bool,
    socket: OwnedFd,
}

/// The way out, of the first queue.
pub struct Transmit {
    transmit: Producer<XdpDesc>,
    completion: Consumer<u64>,
}

/// A socket whose memory is registered, and which is not bound yet.
pub struct Unbound {
    socket: OwnedFd,
    ring: u32,
    transmit: u32,
}

impl Unbound {
    /// With rings of so many entries, powers of two.
    ///
    /// # Errors
    /// `EPERM`, `EAFNOSUPPORT`, `ENOMEM` and others of the calls.
    pub fn new(ring: u32, transmit: u32) -> Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let _making = super::super::making_xdp_sockets();
        let socket = socket_with(AddressFamily::XDP, SocketType::RAW, flags, None).map_err(|errno| {
            Error::os(errno, "socket: an XDP socket takes root, or CAP_NET_RAW, and a kernel that has them")
        })?;
        let sized = set_xdp_umem_fill_ring_size(&socket, ring)
            .and_then(|()| set_xdp_umem_completion_ring_size(&socket, 2 * transmit))
            .and_then(|()| set_xdp_rx_ring_size(&socket, ring))
            .and_then(|()| set_xdp_tx_ring_size(&socket, transmit));
        sized.map_err(|errno| Error::os(errno, "setsockopt: the rings of an XDP socket"))?;
        Ok(Self { socket, ring, transmit })
    }

    /// Shares this memory with the kernel.
    ///
    /// # Errors
    /// `ENOBUFS` it is more than may be locked; `EINVAL` it is not as the kernel wants it.
    pub fn register(&self, umem: &Umem) -> Result<()> {
        let (base, len) = umem.place();
        let flags =
            if umem.is_aligned() { XdpUmemRegFlags::empty() } else { XdpUmemRegFlags::XDP_UMEM_UNALIGNED_CHUNK_FLAG };
        let memory = XdpUmemReg {
            addr: base as u64,
            len: len as u64,
            chunk_size: umem.chunk() as u32,
            headroom: 0,
            flags,
            tx_metadata_len: 0,
        };
        // The memory is a pool's, which `umem` keeps, and which is dropped after this socket. The kernel writes only to what is lent
        // to it.
        set_xdp_umem_reg(&self.socket, memory).map_err(|errno| match errno {
            Os::NOBUFS => Error::os(errno, "XDP_UMEM_REG: the buffers are more than may be locked: raise `ulimit -l`"),
            _ => Error::os(errno, "XDP_UMEM_REG: to share the buffers with the kernel"),
        })
    }

    /// Binds it to a queue of an interface, in the best of these ways.
    ///
    /// # Errors
    /// `EBUSY` somebody else has the queue; `ENODEV`, `EINVAL` there is none; `ENETDOWN` the interface is down.
    pub fn bind(&self, interface: u32, queue: u32, ways: &[Way]) -> Result<Way> {
        let mut refused = Error::new(Errno::INVAL, "no way to bind an XDP socket");
        for &way in ways {
            let mut flags = if way.zero_copy { Flags::XDP_ZEROCOPY } else { Flags::XDP_COPY };
            flags.set(Flags::XDP_USE_SG, way.pieces);
            flags |= Flags::XDP_USE_NEED_WAKEUP;
            match patiently(|| bind(&self.socket, &SocketAddrXdp::new(flags, interface, queue))) {
                Ok(()) => {
                    let zero_copy = xdp_options(&self.socket)
                        .is_ok_and(|options| options.contains(XdpOptionsFlags::XDP_OPTIONS_ZEROCOPY));
                    return Ok(Way { zero_copy, ..way });
                }
                Err(errno @ (Os::BUSY | Os::NODEV | Os::NETDOWN)) => return Err(bind_error(errno)),
                Err(errno) => refused = bind_error(errno),
            }
        }
        Err(refused)
    }

    /// Binds it to a further queue, with the memory of the first one's socket.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn bind_shared(&self, interface: u32, queue: u32, first: BorrowedFd<'_>) -> Result<()> {
        let addr = SocketAddrXdp::new(Flags::XDP_SHARED_UMEM, interface, queue);
        let addr = SocketAddrXdpWithSharedUmem { addr, shared_umem_fd: first };
        patiently(|| bind(&self.socket, &addr)).map_err(bind_error)
    }

    /// Its rings; the kernel is to have `target` blocks to fill.
    ///
    /// # Errors
    /// Those of `mmap(2)`; `EIO` the kernel says nonsense.
    pub fn open(self, target: u32, busy_poll: Duration) -> Result<(Queue, Transmit)> {
        let Self { socket, ring, transmit } = self;
        let fd = socket.as_fd();
        let places: XdpMmapOffsets =
            xdp_mmap_offsets(fd).map_err(|errno| Error::os(errno, "getsockopt: XDP_MMAP_OFFSETS"))?;
        let out = Transmit {
            transmit: Producer::new(fd, XDP_PGOFF_TX_RING, &places.tx, transmit)?,
            completion: Consumer::new(fd, XDP_UMEM_PGOFF_COMPLETION_RING, &places.cr, 2 * transmit)?,
        };
        let receive = Consumer::new(fd, XDP_PGOFF_RX_RING, &places.rx, ring)?;
        let fill = Producer::new(fd, XDP_UMEM_PGOFF_FILL_RING, &places.fr, ring)?;
        let polls = !busy_poll.is_zero();
        if polls {
            let time = busy_poll.as_micros().clamp(1, 1_000_000) as libc::c_int;
            let option = |option, value: libc::c_int, name| set(fd, libc::SOL_SOCKET, option, &value, name);
            option(libc::SO_PREFER_BUSY_POLL, 1, "SO_PREFER_BUSY_POLL (Linux 5.11 or later)")?;
            option(libc::SO_BUSY_POLL, time, "SO_BUSY_POLL")?;
            option(libc::SO_BUSY_POLL_BUDGET, XDP_BUSY_POLL_BUDGET, "SO_BUSY_POLL_BUDGET")?;
        }
        let queue = Queue {
            receive,
            fill,
            filling: 0,
            target: target.min(ring),
            begun: Sga::new(),
            broken: false,
            polls,
            socket,
        };
        Ok((queue, out))
    }
}

impl AsFd for Unbound {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Binds, and waits some time for a queue that is not free: the kernel gives back that of a process that has ended only after its
/// sockets are closed.
fn patiently(mut bind: impl FnMut() -> rustix::io::Result<()>) -> rustix::io::Result<()> {
    let mut waited = Duration::ZERO;
    loop {
        match retry_on_intr(&mut bind) {
            Err(Os::BUSY) if waited < XDP_QUEUE_PATIENCE => {
                runtime::pause(XDP_QUEUE_PAUSE);
                waited += XDP_QUEUE_PAUSE;
            }
            bound => return bound,
        }
    }
}

fn bind_error(errno: Os) -> Error {
    match errno {
        Os::BUSY => Error::os(errno, "bind: another XDP socket has this queue of the interface"),
        Os::NETDOWN => Error::os(errno, "bind: the interface of an XDP socket must be up (`ip link set .. up`)"),
        _ => Error::os(errno, "bind: an XDP socket to a queue of its interface"),
    }
}

impl Queue {
    /// Whether something has come.
    #[inline]
    pub fn has_frame(&self) -> bool {
        // What it cannot say, the next look does.
        self.receive.ready() != Ok(0)
    }

    /// Puts what has come into the burst, and gives the kernel new blocks.
    ///
    /// # Errors
    /// `EIO` the kernel's side of a ring is broken.
    pub fn receive(&mut self, umem: &mut Umem, burst: &mut Burst, counters: &mut DeviceCounters) -> Result<()> {
        let room = (BURST_FRAMES_MAX - burst.len()) as u32;
        let mut ready = self.receive.ready()?.min(room);
        if ready == 0 && self.polls {
            // The driver works in this call; that nothing has come is no error.
            let _ = recv(&self.socket, &mut [0_u8; 0][..], RecvFlags::DONTWAIT);
            ready = self.receive.ready()?.min(room);
        }
        for _ in 0..ready {
            let XdpDesc { addr, len, options } = self.receive.take();
            self.filling = self.filling.saturating_sub(1);
            let piece = umem.filled(addr, len);
            self.add(piece, options.contains(XdpDescOptions::XDP_PKT_CONTD), burst, counters);
        }
        if ready != 0 {
            self.receive.release();
        }
        self.refill(umem)
    }

    /// Adds a piece to the frame that has begun, and hands that on with its last one.
    fn add(&mut self, piece: Option<Buf>, goes_on: bool, burst: &mut Burst, counters: &mut DeviceCounters) {
        let added = piece.is_some_and(|piece| self.begun.push_back(piece).is_ok());
        self.broken |= !added;
        if goes_on {
            return;
        }
        let data = core::mem::take(&mut self.begun);
        if core::mem::take(&mut self.broken) {
            counters.receive_drops += 1;
            return;
        }
        received(counters, data.len());
        // No more are taken than there is room for.
        let _ = burst.push(Frame::from(data));
    }

    /// Gives the kernel as many blocks as it is to have, or as there are.
    ///
    /// # Errors
    /// `EIO` the kernel's side of the ring is broken.
    pub fn refill(&mut self, umem: &mut Umem) -> Result<()> {
        if self.filling < self.target {
            let wanted = (self.target - self.filling).min(self.fill.free()?);
            let before = self.filling;
            for _ in 0..wanted {
                let Some(address) = umem.lend_to_fill() else { break };
                self.fill.put(address);
                self.filling += 1;
            }
            if self.filling != before {
                self.fill.publish();
            }
        }
        if self.fill.needs_wakeup() {
            // As above: what it says is seen in the ring.
            let _ = recv(&self.socket, &mut [0_u8; 0][..], RecvFlags::DONTWAIT);
        }
        Ok(())
    }

    /// Frames that the kernel had for us and dropped.
    pub fn dropped(&self) -> u64 {
        self.statistics().map_or(0, |told| told.rx_dropped + told.rx_ring_full.unwrap_or_default())
    }

    /// What the kernel counts for this socket, if it does.
    pub fn statistics(&self) -> Option<XdpStatistics> {
        xdp_statistics(&self.socket).ok()
    }

    /// Frames that the kernel did not send.
    pub fn refused(&self) -> u64 {
        self.statistics().map_or(0, |told| told.tx_invalid_descs)
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Transmit {
    /// Takes back what has been sent.
    ///
    /// # Errors
    /// `EIO` the kernel's side of the ring is broken.
    #[inline]
    pub fn reap(&mut self, umem: &mut Umem) -> Result<()> {
        let ready = self.completion.ready()?;
        for _ in 0..ready {
            // What the kernel did not have, nobody misses.
            umem.sent(self.completion.take());
        }
        if ready != 0 {
            self.completion.release();
        }
        Ok(())
    }

    /// How many pieces there is room for.
    ///
    /// # Errors
    /// As [`reap`](Self::reap).
    #[inline]
    pub fn room(&self, umem: &Umem) -> Result<usize> {
        Ok(umem.room().min(self.transmit.free()? as usize))
    }

    /// Puts a frame in, all of whose segments the memory has, and for which there is room.
    pub fn put(&mut self, umem: &mut Umem, data: Sga) {
        debug_assert!(data.segments() <= SGA_SEGMENTS_MAX);
        let mut left = data.segments();
        for segment in data {
            left -= 1;
            let len = segment.len() as u32;
            let options = if left == 0 { XdpDescOptions::empty() } else { XdpDescOptions::XDP_PKT_CONTD };
            // It is there, and there is room.
            if let Some(addr) = umem.lend_to_send(segment) {
                self.transmit.put(XdpDesc { addr, len, options });
            }
        }
    }

    /// Shows the kernel what was put in, and has it send that. True: it has not taken all of it.
    ///
    /// # Errors
    /// `ENETDOWN` the interface is gone; `EIO` the kernel's side of the ring is broken.
    pub fn send(&mut self, socket: BorrowedFd<'_>) -> Result<bool> {
        self.transmit.publish();
        let mut pending = self.transmit.pending()?;
        for _ in 0..XDP_KICKS_MAX {
            if pending == 0 || !self.transmit.needs_wakeup() {
                return Ok(false);
            }
            let kicked = retry_on_intr(|| kick(socket));
            let before = core::mem::replace(&mut pending, self.transmit.pending()?);
            match kicked {
                Err(Os::NXIO | Os::NODEV) => return Err(GONE),
                // Down: what is in the ring goes once it is up and something is sent again.
                Err(Os::NETDOWN) => return Ok(false),
                // One call takes some frames only; or there is no room further on.
                Ok(()) | Err(_) if pending < before => {}
                Ok(()) | Err(_) => break,
            }
        }
        Ok(pending != 0)
    }
}
