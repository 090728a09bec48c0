// SPDX-License-Identifier: MIT OR Apache-2.0
//! Wires: what carries Ethernet frames between the stack and somebody else, without a NIC of its own.
//!
//! - `socket`: frames over Unix datagram sockets, without any right. `tap`: a virtual Ethernet device of the kernel.
//!   `packet`: an interface of the kernel, shared with it (`AF_PACKET`). `dpdk` (a feature): ports of DPDK, NICs and virtual ones.
//! - Decorators, which wrap any device: `pcap` writes down what passes, `faults` disturbs it, `counted` says how well bursts
//!   are filled.
//! - `raw`: the system calls that rustix does not have. `vnet`: virtio's network header. `clock`: what time it is for decorators.
//!
//! What must always hold: nothing here blocks; a frame that is dropped is counted; what could not be sent stays in the burst.

pub mod clock;
pub mod counted;
pub mod dpdk;
pub mod faults;
pub mod packet;
pub mod pcap;
mod raw;
pub mod socket;
pub mod tap;
mod vnet;
pub mod xdp;

use runtime::device::{DeviceCounters, ETHERNET_HEADER, Frame};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes of a VLAN tag (IEEE 802.1Q), which may stand in a frame beside the header that the MTU does not count.
const VLAN_TAG: usize = 4;

/// Who makes XDP sockets, one after another: what DPDK has made must be told apart from ours (`dpdk::leftovers`).
static XDP_SOCKETS: Mutex<()> = Mutex::new(());

/// Keeps others in this library from making XDP sockets.
fn making_xdp_sockets() -> MutexGuard<'static, ()> {
    XDP_SOCKETS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The longest frame of a wire with this MTU.
const fn frame_max(mtu: u16) -> usize {
    ETHERNET_HEADER + VLAN_TAG + mtu as usize
}

/// A frame came.
#[inline]
fn received(counters: &mut DeviceCounters, len: usize) {
    counters.received += 1;
    counters.received_bytes += len as u64;
}

/// A frame went.
#[inline]
fn sent(counters: &mut DeviceCounters, len: usize) {
    counters.sent += 1;
    counters.sent_bytes += len as u64;
}

/// What a look for a frame found.
enum Came {
    Nothing,
    /// A frame that had to be dropped.
    Dropped,
    Frame(Frame),
}

impl From<Option<Frame>> for Came {
    fn from(frame: Option<Frame>) -> Self {
        frame.map_or(Self::Dropped, Self::Frame)
    }
}

/// Copies a frame to a place that is as long.
#[inline]
fn copy_frame(frame: &Frame, to: &mut [u8]) {
    frame.data.copy_to_slice(to);
}
