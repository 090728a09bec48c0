// SPDX-License-Identifier: MIT OR Apache-2.0
//! Margay's own network stack over a [`Device`](runtime::device::Device): sockets whose packets no kernel has seen.
//!
//! [`Catnip`] is the transport, [`Settings`] what it is told, [`Nic`] a stack and its device without sockets' queues around them. What must
//! always hold:
//!
//! - Frames go in and out in bursts, one call of the device for each; what the device has no room for stays here, and what the
//!   stack then has no room for waits in the sockets.
//! - Time is the reactor's, which was read once for a round; the stack's next deadline is a timer of the reactor while nobody looks.
//! - The kernel has neither our hardware address nor our IP addresses, so it answers nobody in our name.
//!
//! - `settings`: what can be set. `nic`: the stack over its device. `transport`, `entry`: the sockets.

pub mod device;
mod entry;
mod nic;
mod settings;
mod transport;

pub use network::ip::{Hop, Prefix, Route};
pub use network::stack::{SocketId, StreamId};
pub use network::tcp::settings as tcp;
pub use network::wire::MacAddress;
pub use nic::Nic;
pub use settings::{Settings, Wire};
pub use transport::Catnip;
