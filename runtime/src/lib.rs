// SPDX-License-Identifier: MIT OR Apache-2.0
//! The vocabulary that every Margay crate speaks.
pub mod buf;
pub mod deadlines;
mod error;
pub mod limits;
pub mod op;
mod queue;
pub mod reactor;
mod slab;
pub mod socket;
pub mod submit;
mod sync;
pub mod task;
pub mod time;
pub mod timer;
pub mod transport;
pub use error::{Errno, Error, Result};
pub use queue::{Qd, Qt};
