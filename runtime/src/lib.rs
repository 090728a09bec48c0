// SPDX-License-Identifier: MIT OR Apache-2.0
//! The vocabulary that every Margay crate speaks.
//!
//! Without the feature `std` there is what a network stack needs, on `core` and `alloc` alone: buffers, errors, time, timers,
//! the words of sockets and of devices. With it come the scheduler, the reactor and the trait of back ends.
#![cfg_attr(not(feature = "std"), no_std)]
extern crate alloc;

pub mod buf;
#[cfg(feature = "std")]
pub mod deadlines;
pub mod device;
mod error;
pub mod limits;
#[cfg(feature = "std")]
pub mod op;
#[cfg(feature = "std")]
mod pause;
mod queue;
#[cfg(feature = "std")]
pub mod reactor;
pub mod slab;
pub mod socket;
#[cfg(feature = "std")]
pub mod submit;
#[cfg(feature = "std")]
mod sync;
#[cfg(feature = "std")]
pub mod task;
pub mod tcp_info;
pub mod time;
pub mod timer;
#[cfg(feature = "std")]
pub mod transport;
pub use error::{Errno, Error, Result};
#[cfg(feature = "std")]
pub use pause::pause;
pub use queue::{Qd, Qt};
