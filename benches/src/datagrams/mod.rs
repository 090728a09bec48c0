// SPDX-License-Identifier: MIT OR Apache-2.0
//! UDP datagrams of one size through a network stack, in or out, over a device that is memory, so that only the stack is
//! measured.
//!
//! All have the same work: Ethernet, IPv4 and UDP, the same addresses, the same frame in; a neighbour that was found by
//! ARP; checksums of IP and UDP verified on the way in and computed on the way out. In bursts, as devices give them.
//!
//! - In: the frame lies in the device's memory, whose blocks are taken for it and given back (no NIC has to be paid for), the
//!   stack delivers it to a socket, and the application takes it out and lets it go.
//! - Out: the application has its bytes and pushes them to an address; the stack makes frames, and the device takes these.
//!
//! smoltcp's path is the shortest that its interface has: one look at ingress or egress for each packet, no timers between, and
//! the datagram read where its socket holds it. It is built without everything that this path does not need.

mod bare;
mod copy;
pub(crate) mod frame;
mod margay;
mod smoltcp;
#[cfg(test)]
mod tests;

pub use bare::Bare;
pub use copy::Copy;
pub use margay::Margay;
pub use smoltcp::Smoltcp;

/// Datagrams of a burst.
pub const BURST: usize = 32;

/// A stack that is measured.
pub trait Datagrams {
    /// A burst of frames comes in, and its datagrams are taken out. Gives the bytes of their payloads.
    fn receive(&mut self) -> usize;

    /// A burst of datagrams is pushed, and goes out as frames. Gives the bytes of those.
    fn send(&mut self) -> usize;
}

/// Bytes of a frame with a payload of `size`.
#[must_use]
pub const fn frame_len(size: usize) -> usize {
    frame::HEADERS + size
}
