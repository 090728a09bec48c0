// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernel sockets by io_uring.
//!
//! [`Catcollar`] is the transport. From the outside in: `transport` (each call), `receive`, `direct`, `send`, `connect`, `close` (what
//! the calls do, and what their completions mean), `progress` (each look), `sleep`, `socket` and `ready` (the table, and what
//! waits in it), and `ring` (requests and the memory that the kernel has; all unsafe code is there). `probe` says what a
//! kernel has.

mod close;
mod connect;
mod direct;
mod probe;
mod progress;
mod ready;
mod receive;
mod ring;
mod send;
mod settings;
mod sleep;
mod socket;
mod transport;

pub use probe::{Probe, probe};
pub use settings::Settings;
pub use transport::Catcollar;
