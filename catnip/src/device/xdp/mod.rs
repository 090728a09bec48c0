// SPDX-License-Identifier: MIT OR Apache-2.0
//! An interface of the kernel by `AF_XDP` (`Documentation/networking/af_xdp.rst`): frames pass between the driver and our buffers, and the
//! kernel's own stack does not see them.
//!
//! The memory that is shared is that of the LibOs' small buffers. What comes is handed on in the block into which the driver, or
//! the kernel, has put it; what is sent from such a block goes from where it is, and everything else is copied into one first. So is
//! what is in several of them, if the kernel copies it anyhow: without zero copy it gives each piece but the first a page of its own. Where the
//! frame is handed on as it is (`veth(4)`), that page is what its receiver's buffer is charged with, and a TCP of Linux that once got
//! 1,428 bytes in 29,504 promises no more than a twentieth of its buffer from then on.
//!
//! The interface stays the kernel's: a program takes what is for our addresses (`program`), and passes on the rest. What
//! is for groups is for both; a packet socket ([`Packet`]) gives us a copy, and what comes on a queue that has no XDP
//! socket besides.
//!
//! What must always hold: program, maps and sockets are descriptors of this process and nothing else, so that they end with
//! it; the sockets are closed before the memory goes back to its pool.
//!
//! - `program`: which frames are ours. `bpf`: loading and attaching it. `umem`: the memory, and who has what of it. `ring`: one
//!   ring. `socket`: a queue with its rings. `way`: how it is bound, and of how many pieces a frame may be then.

mod bpf;
mod program;
mod ring;
mod socket;
mod umem;
mod way;

use super::packet::{self, Packet};
use super::raw::{hardware_address, mtu, queues};
use super::{copy_frame, frame_max, sent};
use bpf::{Addresses, Program, Sockets};
use core::cell::Cell;
use core::net::IpAddr;
use core::time::Duration;
use program::Filter;
use runtime::buf::{Pools, Sga};
use runtime::device::{Burst, Caps, Checksum, Device, DeviceCounters, ETHERNET_HEADER, Frame};
use runtime::limits::{XDP_FILL_SHARE, XDP_QUEUES_MAX};
use runtime::{Errno, Error, Result};
use rustix::event::epoll;
use rustix::net::{AddressFamily, SocketFlags, SocketType, netdevice, socket_with};
use socket::{Queue, Transmit, Unbound};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use umem::Umem;
use way::Way;

/// Frames that wait in the packet socket: those for groups come there.
const SHARED_FRAMES: usize = 256;
/// Nobody's address: a packet socket with it is given what is for groups alone.
const NOBODY: [u8; 6] = [0; 6];
const TOO_FEW: Error = Error::new(
    Errno::INVAL,
    "an eighth of the small buffers does not do for all queues: more buffers.small_count, or fewer catnip.xdp.queues",
);

const NOT_ALL: Error = Error::new(
    Errno::INVAL,
    "catnip.mac is the interface's own, and not all of its queues are taken: on the others our frames would be the kernel's; set \
     catnip.xdp.queues to all, have fewer queues (`ethtool -L NAME combined 64`), or give catnip.mac an address of our own",
);

/// Where in the driver the program runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// As `Native` if the driver can, else as `Generic`.
    #[default]
    Auto,
    /// In the driver, before the kernel has made anything of a frame.
    Native,
    /// In the kernel, on what the driver has given it: works with every driver, and is slower.
    Generic,
}

/// How an interface is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Frames that may wait to be received, on each queue.
    pub receive: usize,
    /// Frames that may wait to be sent.
    pub transmit: usize,
    /// Everything that comes is ours, and the kernel's stack is given nothing.
    pub promiscuous: bool,
    /// Where the program runs.
    pub mode: Mode,
    /// Whether the driver may read and write our memory itself, if it can.
    pub zero_copy: bool,
    /// How many queues of the interface are taken, from the first on; 0: all.
    pub queues: usize,
    /// How long a look at an empty queue works in the driver for us; zero: not at all.
    pub busy_poll: Duration,
}

impl Settings {
    /// What is taken where nothing is said.
    pub const DEFAULT: Self = Self {
        receive: 1024,
        transmit: 256,
        promiscuous: false,
        mode: Mode::Auto,
        zero_copy: true,
        queues: 0,
        busy_poll: Duration::ZERO,
    };
}

/// Who we are on the interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ours {
    /// Our hardware address, which may be the interface's own.
    pub mac: [u8; 6],
    /// Our IP addresses.
    pub addresses: Vec<IpAddr>,
    /// Their VLAN.
    pub vlan: Option<u16>,
}

/// The device.
pub struct Xdp {
    // In the order in which they are to go.
    /// The program is attached as long as this is open.
    _link: OwnedFd,
    /// To sleep on all at once.
    all: OwnedFd,
    out: Transmit,
    queues: Vec<Queue>,
    shared: Packet,
    umem: Umem,
    pools: Pools,
    mtu: u16,
    way: Way,
    native: bool,
    /// Which queue is looked at first.
    first: usize,
    /// The kernel has not taken all that is in the ring.
    stalled: bool,
    counters: DeviceCounters,
    /// What the kernel has told of drops, which it does no more once the interface is gone.
    told: Cell<(u64, u64)>,
}

impl Xdp {
    /// Shares the interface `name`.
    ///
    /// # Errors
    /// `EPERM` it takes `CAP_BPF`, `CAP_NET_ADMIN` and `CAP_NET_RAW`; `ENODEV` no such interface; `ENETDOWN` it is down; `EBUSY` somebody
    /// else has its queues, or another program is attached; `EINVAL` the buffers are too small; `EOPNOTSUPP` the driver does not have
    /// what is asked for.
    pub fn open(name: &str, settings: &Settings, ours: &Ours, pools: Pools) -> Result<Self> {
        let any = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
            .map_err(|errno| Error::os(errno, "socket: to ask for an interface"))?;
        let interface = netdevice::name_to_index(&any, name)
            .map_err(|errno| Error::os(errno, "SIOCGIFINDEX: is there an interface with this name?"))?;
        let kernels = hardware_address(&any, name)? == ours.mac;
        let there = queues(&any, name);
        let wanted = if settings.queues == 0 { there } else { settings.queues };
        let count = wanted.min(there).clamp(1, XDP_QUEUES_MAX);
        if kernels && count < there {
            // A packet socket gives us what comes there by our hardware address, which tells nothing here.
            return Err(NOT_ALL);
        }

        let ring = |frames: usize| frames.next_power_of_two() as u32;
        let (receive, transmit) = (ring(settings.receive), ring(settings.transmit));
        let [small, _] = pools.slotted();
        let share = small.capacity() / XDP_FILL_SHARE / count as u32;
        if share == 0 {
            return Err(TOO_FEW);
        }
        let mut umem = Umem::new(small.clone(), 2 * transmit)?;

        // The packet socket is first: from its opening on, nothing that is for us is lost.
        let shared = packet::Settings {
            address: if kernels { NOBODY } else { ours.mac },
            receive: SHARED_FRAMES,
            transmit: 1,
            promiscuous: settings.promiscuous,
        };
        let shared = Packet::open(name, &shared, pools.clone())?;
        let first = Unbound::new(receive, transmit)?;
        first.register(&umem)?;
        let way = first.bind(interface, 0, Way::all(settings.zero_copy && umem.is_aligned()))?;
        if way.zero_copy {
            umem.linger();
        }
        let (sockets, addresses) = (Sockets::new(count as u32)?, Addresses::new(&ours.addresses)?);
        let (first, out) = first.open(share, settings.busy_poll)?;
        let mut queues = vec![first];
        for queue in 1..count as u32 {
            let further = Unbound::new(receive, 1)?;
            further.bind_shared(interface, queue, queues[0].as_fd())?;
            queues.push(further.open(share, settings.busy_poll)?.0);
        }
        let all = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|errno| Error::os(errno, "epoll_create1"))?;
        for (queue, number) in queues.iter_mut().zip(0..) {
            queue.refill(&mut umem)?;
            sockets.insert(number, queue.as_fd())?;
            watch(&all, queue.as_fd())?;
        }
        if let Some(shared) = shared.descriptor() {
            watch(&all, shared)?;
        }
        let filter =
            Filter { address: (!kernels).then_some(ours.mac), vlan: ours.vlan, everything: settings.promiscuous };
        let program =
            Program::load(&sockets, &addresses, |sockets, addresses| program::program(&filter, sockets, addresses))?;
        let (link, native) = match settings.mode {
            Mode::Native => (program.attach(interface, true)?, true),
            Mode::Generic => (program.attach(interface, false)?, false),
            Mode::Auto => match program.attach(interface, true) {
                Ok(link) => (link, true),
                Err(error) if error.errno() == Errno::BUSY => return Err(error),
                Err(_) => (program.attach(interface, false)?, false),
            },
        };
        let longest = (umem.receives() * way.blocks_max()).saturating_sub(frame_max(0));
        let mtu = mtu(&any, name)?.min(u16::try_from(longest).unwrap_or(u16::MAX));
        Ok(Self {
            _link: link,
            all,
            out,
            queues,
            shared,
            umem,
            pools,
            mtu,
            way,
            native,
            first: 0,
            stalled: false,
            counters: DeviceCounters::default(),
            told: Cell::default(),
        })
    }

    /// Whether the driver reads and writes our memory itself.
    #[must_use]
    pub const fn is_zero_copy(&self) -> bool {
        self.way.zero_copy
    }

    /// Whether the program runs in the driver.
    #[must_use]
    pub const fn is_native(&self) -> bool {
        self.native
    }

    /// How many queues it has.
    #[must_use]
    pub const fn queues(&self) -> usize {
        self.queues.len()
    }

    /// Whether a frame can be sent from where it is.
    fn has(&self, data: &Sga) -> bool {
        self.way.takes(data.segments()) && data.iter().all(|segment| self.umem.has(segment))
    }

    /// A copy of a frame in as few blocks as it takes; `None` while there are none.
    fn copy(&self, frame: &Frame) -> Option<Sga> {
        let (len, block) = (frame.data.len(), self.umem.receives());
        if len <= block {
            return self.umem.pool().alloc_filled(len, |to| copy_frame(frame, to)).ok().map(Sga::from);
        }
        let whole = self.pools.alloc_filled(len, |to| copy_frame(frame, to)).ok()?;
        let mut copy = Sga::new();
        for piece in whole.chunks(block) {
            copy.push_back(self.umem.pool().alloc_copy(piece).ok()?).ok()?;
        }
        Some(copy)
    }
}

/// Has the whole become readable with this one.
fn watch(all: &OwnedFd, one: BorrowedFd<'_>) -> Result<()> {
    epoll::add(all, one, epoll::EventData::new_u64(0), epoll::EventFlags::IN)
        .map_err(|errno| Error::os(errno, "epoll_ctl: an XDP socket"))
}

impl Device for Xdp {
    fn name(&self) -> &'static str {
        "xdp"
    }

    fn address(&self) -> Option<[u8; 6]> {
        None
    }

    fn caps(&self) -> Caps {
        Caps { mtu: self.mtu, headroom: 0, checksum: false, segments_tcp: false, segments_udp: false }
    }

    #[inline]
    fn rx(&mut self, burst: &mut Burst) -> Result<()> {
        self.out.reap(&mut self.umem)?;
        self.shared.rx(burst)?;
        let count = self.queues.len();
        for step in 0..count {
            let at = if self.first + step < count { self.first + step } else { self.first + step - count };
            let Some(queue) = self.queues.get_mut(at) else { break };
            queue.receive(&mut self.umem, burst, &mut self.counters)?;
        }
        // None of them is always the last.
        self.first = if self.first + 1 < count { self.first + 1 } else { 0 };
        Ok(())
    }

    fn tx(&mut self, burst: &mut Burst) -> Result<()> {
        self.out.reap(&mut self.umem)?;
        let mut room = self.out.room(&self.umem)?;
        while let Some(frame) = burst.front() {
            let len = frame.data.len();
            let left = matches!(frame.checksum, Checksum::Partial { .. }) || frame.segmentation.is_some();
            if !(ETHERNET_HEADER..=frame_max(self.mtu)).contains(&len) || left {
                self.counters.send_drops += 1;
                burst.pop();
                continue;
            }
            if room == 0 {
                break;
            }
            let has = self.has(&frame.data);
            let whole = has && self.way.is_whole(frame.data.segments(), len, self.umem.receives());
            let copy = if whole { None } else { self.copy(frame) };
            // Where there is no block for a copy, it goes in all its pieces rather than not at all, if it can.
            let pieces = match &copy {
                Some(copy) => copy.segments(),
                None if has => frame.data.segments(),
                None => break,
            };
            if pieces > room {
                break;
            }
            let Some(frame) = burst.pop() else { break };
            room -= pieces;
            self.out.put(&mut self.umem, copy.unwrap_or(frame.data));
            sent(&mut self.counters, len);
        }
        self.stalled = self.out.send(self.queues[0].as_fd())?;
        Ok(())
    }

    fn is_sending(&self) -> bool {
        // The NIC may have read nothing yet of what is in the ring; without zero copy the kernel has it all.
        self.stalled || (self.way.zero_copy && self.umem.lends_to_send())
    }

    fn counters(&self) -> DeviceCounters {
        let dropped = self.queues.iter().map(Queue::dropped).sum::<u64>();
        let refused = self.queues.first().map_or(0, Queue::refused);
        let (before, before_refused) = self.told.get();
        let told = (dropped.max(before), refused.max(before_refused));
        self.told.set(told);
        let shared = self.shared.counters();
        let own = self.counters;
        DeviceCounters {
            received: own.received + shared.received,
            received_bytes: own.received_bytes + shared.received_bytes,
            receive_drops: own.receive_drops + shared.receive_drops + told.0,
            send_drops: own.send_drops + told.1,
            ..own
        }
    }

    /// Those of `XDP_STATISTICS`, of all queues together.
    fn extended_counters(&mut self, tell: &mut dyn FnMut(&str, u64)) {
        let all = || self.queues.iter().filter_map(Queue::statistics);
        for (name, value) in [
            ("rx_dropped", all().map(|told| told.rx_dropped).sum()),
            ("rx_invalid_descs", all().map(|told| told.rx_invalid_descs).sum()),
            ("rx_ring_full", all().filter_map(|told| told.rx_ring_full).sum()),
            ("rx_fill_ring_empty_descs", all().filter_map(|told| told.rx_fill_ring_empty_descs).sum()),
            ("tx_invalid_descs", all().map(|told| told.tx_invalid_descs).sum()),
            ("tx_ring_empty_descs", all().filter_map(|told| told.tx_ring_empty_descs).sum::<u64>()),
        ] {
            if value > 0 {
                tell(name, value);
            }
        }
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.all.as_fd())
    }

    #[inline]
    fn arm(&mut self) -> bool {
        self.stalled || self.queues.iter().any(Queue::has_frame) || self.shared.arm()
    }

    fn disarm(&mut self) {
        self.shared.disarm();
    }
}
