// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the back ends over kernel sockets share: making sockets, naming them, their options and their errors.
//!
//! What must always hold: no call blocks; an errno of the kernel reaches the caller as it is; what the API documents and
//! Linux does otherwise (or does silently, such as binding by itself) is decided by [`Socket`], before the kernel is asked.

pub mod address;
mod draining;
mod group;
pub mod option;
mod raw;
mod socket;

pub use draining::{Drained, Draining};
pub use raw::{Done, ZERO_COPY, dropped, enable_zero_copy, events_now, taken, unsent};
pub use socket::{Connecting, NOT_CONNECTED, Socket, is_of_one_connection, is_shortage};
