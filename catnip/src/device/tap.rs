// SPDX-License-Identifier: MIT OR Apache-2.0
//! TAP: a virtual Ethernet device of the kernel, whose wire ends here (`Documentation/networking/tuntap.rst`, `linux/if_tun.h`).
//!
//! The kernel's end is an interface like any other, with a hardware address of its own; ours has another one. In front of each
//! frame stands virtio's header, by which either side leaves checksums and segmentation to the other: a frame between the two
//! never was on a wire.

use super::raw::{attach_tap, mtu, offload};
use super::vnet::{self, HEADER};
use super::{Came, frame_max, received, sent};
use runtime::buf::{Buf, Pools, Sga};
use runtime::device::{BURST_FRAMES_MAX, Burst, Caps, Device, DeviceCounters, Frame};
use runtime::limits::SGA_SEGMENTS_MAX;
use runtime::{Error, Result};
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno as Os, IoSlice, IoSliceMut, read, readv, retry_on_intr, writev};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The longest frame that stands for many: an IP packet of 65,535 bytes, and what is in front of it.
const SEGMENTED_MAX: usize = frame_max(u16::MAX);

/// What the kernel may leave to us, the best first.
const SEGMENTATION: [libc::c_uint; 2] = [
    libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_USO4 | libc::TUN_F_USO6,
    libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6,
];

/// What the two ends leave to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offloads {
    /// Checksums.
    pub checksum: bool,
    /// Cutting TCP segments and UDP datagrams; takes `checksum` as well.
    pub segmentation: bool,
}

/// Our end of the device.
pub struct Tap {
    tun: OwnedFd,
    caps: Caps,
    pools: Pools,
    /// A buffer for the next frame, and one for what is too long for that.
    small: Option<Buf>,
    large: Option<Buf>,
    /// Whether a frame may be longer than a small buffer.
    long: bool,
    counters: DeviceCounters,
}

impl Tap {
    /// The wire of the interface `name`, which is made if there is none; then it is gone when this is dropped. It carries frames once it
    /// is up (`ip link set NAME up`).
    ///
    /// # Errors
    /// `EPERM` no right to it; `EBUSY` somebody has it; `EINVAL` no TAP device, or no name; `ENOENT`, `EACCES` of `/dev/net/tun`.
    pub fn open(name: &str, offloads: Offloads, pools: Pools) -> Result<Self> {
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let tun = rustix::fs::open("/dev/net/tun", flags, Mode::empty()).map_err(|errno| {
            Error::os(errno, "open: /dev/net/tun (it takes the module `tun`, and the right to read and write the file)")
        })?;
        attach_tap(tun.as_fd(), name)?;
        let checksum = offloads.checksum || offloads.segmentation;
        let best =
            offloads.segmentation.then(|| SEGMENTATION.into_iter().find(|&all| offload(tun.as_fd(), all))).flatten();
        if best.is_none() {
            // Whatever it refuses it does itself.
            offload(tun.as_fd(), if checksum { libc::TUN_F_CSUM } else { 0 });
        }
        let any = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
            .map_err(|errno| Error::os(errno, "socket: to ask for the MTU"))?;
        let mtu = mtu(any, name)?;
        let longest = if best.is_some() { SEGMENTED_MAX } else { frame_max(mtu) };
        // As many bytes as there is room for: the frame was cut.
        let long = longest >= pools.small_size();
        Ok(Self {
            caps: Caps {
                mtu,
                headroom: 0,
                checksum,
                segments_tcp: best.is_some(),
                segments_udp: best == Some(SEGMENTATION[0]),
            },
            tun,
            pools,
            small: None,
            large: None,
            long,
            counters: DeviceCounters::default(),
        })
    }

    /// Reads one frame.
    fn read(&mut self) -> core::result::Result<Came, Os> {
        if self.small.is_none() {
            self.small = self.pools.alloc(self.pools.small_size()).ok();
        }
        if self.long && self.large.is_none() {
            self.large = self.pools.alloc(SEGMENTED_MAX + 1 - self.pools.small_size().min(SEGMENTED_MAX)).ok();
        }
        let mut header = [0; HEADER];
        let small = self.small.as_mut().and_then(Buf::get_mut);
        let large = self.large.as_mut().and_then(Buf::get_mut);
        let room = small.as_ref().map_or(0, |small| small.len()) + large.as_ref().map_or(0, |large| large.len());
        let count = match (small, large) {
            (Some(small), Some(large)) => {
                readv(&self.tun, &mut [IoSliceMut::new(&mut header), IoSliceMut::new(small), IoSliceMut::new(large)])
            }
            (Some(small), None) => readv(&self.tun, &mut [IoSliceMut::new(&mut header), IoSliceMut::new(small)]),
            // No buffer: it is taken from the kernel all the same, and dropped.
            (None, _) => read(&self.tun, &mut header[..]),
        };
        let len = match count {
            Ok(count) => count.saturating_sub(HEADER),
            // There is none; or the interface is down, and none comes until it is up.
            Err(Os::AGAIN | Os::IO) => return Ok(Came::Nothing),
            Err(errno) => return Err(errno),
        };
        if len >= room || len == 0 {
            return Ok(Came::Dropped);
        }
        Ok(self.frame(&header, len).into())
    }

    /// The frame that has just been read into the buffers.
    fn frame(&mut self, header: &[u8; HEADER], len: usize) -> Option<Frame> {
        let (checksum, segmentation) = vnet::parse(header, len)?;
        let mut small = self.small.take()?;
        let rest = len.saturating_sub(small.len());
        let mut data = if rest == 0 {
            small.truncate(len).ok()?;
            return Some(Frame { data: Sga::from(small), checksum, segmentation });
        } else {
            Sga::from(small)
        };
        let mut large = self.large.take()?;
        large.truncate(rest).ok()?;
        data.push_back(large).ok()?;
        Some(Frame { data, checksum, segmentation })
    }
}

impl Device for Tap {
    fn name(&self) -> &'static str {
        "tap"
    }

    fn address(&self) -> Option<[u8; 6]> {
        None
    }

    fn caps(&self) -> Caps {
        self.caps
    }

    fn rx(&mut self, burst: &mut Burst) -> Result<()> {
        // What is dropped counts as well: who sends nothing else must not keep this going.
        for _ in burst.len()..BURST_FRAMES_MAX {
            match self.read() {
                Ok(Came::Nothing) => return Ok(()),
                Ok(Came::Frame(frame)) => {
                    received(&mut self.counters, frame.data.len());
                    // There is room.
                    let _ = burst.push(frame);
                }
                Ok(Came::Dropped) => self.counters.receive_drops += 1,
                Err(Os::INTR) => {}
                Err(errno) => return Err(Error::os(errno, "read: a TAP device")),
            }
        }
        Ok(())
    }

    fn tx(&mut self, burst: &mut Burst) -> Result<()> {
        while let Some(frame) = burst.front() {
            let header = vnet::emit(frame);
            let mut slices = [IoSlice::new(&[]); SGA_SEGMENTS_MAX + 1];
            slices[0] = IoSlice::new(&header);
            let mut used = 1;
            for (segment, slice) in frame.data.iter().zip(&mut slices[1..]) {
                *slice = IoSlice::new(segment);
                used += 1;
            }
            let len = frame.data.len();
            match retry_on_intr(|| writev(&self.tun, &slices[..used])) {
                Ok(_) => sent(&mut self.counters, len),
                Err(Os::AGAIN | Os::NOBUFS | Os::NOMEM) => return Ok(()),
                Err(Os::BADFD) => return Err(Error::os(Os::BADFD, "write: the TAP device is gone")),
                // The interface is down, or does not take this frame: it is lost, as on a wire.
                Err(_) => self.counters.send_drops += 1,
            }
            burst.pop();
        }
        Ok(())
    }

    fn counters(&self) -> DeviceCounters {
        self.counters
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.tun.as_fd())
    }
}
