// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ports of DPDK: a NIC that is bound to it, or one of its virtual devices (`net_af_packet`, `net_memif`, `net_vhost`, `net_tap` and others).
//!
//! All but [`Settings`] is there only with the feature `dpdk`.
//!
//! A received packet goes up without a copy: its buffer is lent to a [`Buf`](runtime::buf::Buf), and is back in DPDK's pool when
//! the last view of it drops. A frame to be sent goes down without a copy where that pays: the payload's memory is attached to a packet buffer,
//! and its view is kept until the driver is done.
//!
//! What must always hold:
//!
//! - Every packet buffer is in one place: DPDK's pool, the driver, a view, or what waits here to be sent.
//! - What the driver does not take waits here and in the burst; nothing is dropped but what could never be sent, and that is counted.
//! - One port belongs to one LibOs and its thread. Buffers that a driver frees on another thread come back through a ring.
//! - No driver takes memory away during a burst.
//! - No frame is slept through, and no sleep ends at once time and again.
//!
//! - `device`: the port as a device. `eal`: the environment, once for each process. `port`: finding, starting and ending it. `plan`: what it is
//!   set to. `packets`: pools of packet buffers. `receive`, `transmit`, `loans`: the data path. `pieces`: how a frame becomes packet
//!   buffers. `work`: what the port does to it. `reach`: which memory it can send from. `cleanup`: when payloads are asked back. `interrupts`:
//!   sleeping until a frame comes.
//!   `pause`: sleeping for a while. `knock`: whether a server of `net_memif` is there. `turns`: bursts beside DPDK's interrupt thread.
//!   `leftovers`: what a driver forgets to close.

#[cfg(feature = "dpdk")]
mod cleanup;
#[cfg(feature = "dpdk")]
mod device;
#[cfg(feature = "dpdk")]
mod eal;
#[cfg(feature = "dpdk")]
mod extended;
#[cfg(feature = "dpdk")]
mod interrupts;
#[cfg(feature = "dpdk")]
mod knock;
#[cfg(feature = "dpdk")]
mod leftovers;
#[cfg(feature = "dpdk")]
mod limits;
#[cfg(feature = "dpdk")]
mod loans;
#[cfg(feature = "dpdk")]
mod packets;
#[cfg(feature = "dpdk")]
mod pause;
#[cfg(feature = "dpdk")]
mod pieces;
#[cfg(feature = "dpdk")]
mod plan;
#[cfg(feature = "dpdk")]
mod port;
#[cfg(feature = "dpdk")]
mod reach;
#[cfg(feature = "dpdk")]
mod receive;
#[cfg(feature = "dpdk")]
mod transmit;
#[cfg(feature = "dpdk")]
mod turns;
#[cfg(feature = "dpdk")]
mod work;

#[cfg(feature = "dpdk")]
pub use device::Dpdk;
#[cfg(feature = "dpdk")]
pub use eal::version;
#[cfg(feature = "dpdk")]
pub use packets::pools;

/// Whether this build has ports of DPDK.
pub const BUILT: bool = cfg!(feature = "dpdk");

/// How a port is used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the configuration")]
pub struct Settings {
    /// Which: a virtual device with its arguments (`net_memif0,role=client,socket=/run/a.sock,socket-abstract=no`), a PCI address, or a hardware address.
    pub port: String,
    /// More arguments for EAL, which counts for the first port of a process.
    pub eal: Vec<String>,
    /// MiB that DPDK takes from the system where there are no huge pages; for the first port of a process.
    pub memory: usize,
    /// Queues in each direction.
    pub queues: u16,
    /// Descriptors of a receive queue.
    pub receive: u16,
    /// Descriptors of a transmit queue.
    pub transmit: u16,
    /// Packets that the port is asked for at once: 4 to 32. Drivers that work on several at a time give nothing to whoever asks for less.
    pub burst: u16,
    /// How many packets ahead a received one is fetched into the cache: 0 (not at all) to 8.
    pub prefetch: u16,
    /// Packet buffers to receive into; `None`: what the descriptors and the LibOs' small buffers are, together.
    pub buffers: Option<u32>,
    /// Whether payloads are attached instead of copied, where the driver allows it.
    pub attach: bool,
    /// Whether the port interrupts a sleep when a frame comes, where the driver can do that; else a timer ends each sleep.
    pub interrupts: bool,
    /// Whether checksums are left to the port, as far as it can.
    pub checksum: bool,
    /// Whether segmentation is left to the port, if it can.
    pub segmentation: bool,
    /// Whether everything is let in.
    pub promiscuous: bool,
    /// The hardware address that the port is to have; `None`: its own.
    pub address: Option<[u8; 6]>,
    /// The longest packet; `None`: what the port has.
    pub mtu: Option<u16>,
}

impl Settings {
    /// A port as it is mostly used.
    #[must_use]
    pub fn new(port: &str) -> Self {
        Self {
            port: port.to_owned(),
            eal: Vec::new(),
            memory: 256,
            queues: 1,
            receive: 1024,
            transmit: 256,
            burst: 32,
            prefetch: 1,
            buffers: None,
            attach: true,
            interrupts: true,
            checksum: true,
            segmentation: true,
            promiscuous: false,
            address: None,
            mtu: None,
        }
    }
}
