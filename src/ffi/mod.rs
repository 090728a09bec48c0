// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C interface: Demikernel's `demi_*` calls and Margay's own `margay_*` calls, as `include/demi/*.h` and
//! `include/margay.h` declare and document them.
//!
//! What must always hold:
//!
//! - No call unwinds into C: a panic becomes `EIO`.
//! - Every pointer is checked for null and every size for range before anything else happens; `EINVAL`.
//! - A call that fails leaves its out-parameters and every token as they were.
//! - A thread has one LibOs, and sees no other; before `demi_init` every call is `ENOSYS`, as in Demikernel.
//! - Memory handles name their table and carry a generation, so a second `demi_sgafree`, or one from another thread, is
//!   an error and never somebody else's memory.
//! - The child of a fork has no LibOs: it never touches its parent's pipes, not even when it exits.
//!
//! The headers are the reference for users; here each function only says what it adds to the Rust call of its name.

mod address;
mod arguments;
mod error;
mod init;
mod io;
mod membership;
mod memory;
mod options;
mod pipes;
mod result;
mod sets;
mod sockets;
mod state;
#[cfg(test)]
mod tests;
mod types;
mod wait;
mod wake;

pub use error::{margay_last_errno, margay_last_error, margay_strerror};
pub use init::{demi_init, margay_fini};
pub use io::{demi_pop, demi_push, margay_cancel, margay_pop, margay_pop_in_place, margay_pushv};
pub use memory::{demi_sgaalloc, demi_sgafree, margay_sgaalloc_on};
pub use options::{demi_getsockopt, demi_setsockopt};
pub use pipes::{demi_close, demi_create_pipe, demi_open_pipe, margay_close, margay_shutdown};
pub use sets::{margay_waitset_add, margay_waitset_create, margay_waitset_destroy, margay_waitset_take};
pub use sockets::{
    demi_accept, demi_bind, demi_connect, demi_getpeername, demi_getsockname, demi_listen, demi_pushto, demi_socket,
    margay_sender,
};
pub use types::{AcceptResult, Args, QResult, ResultValue, SgArray, SgSegment, SockAddrIn, Timespec};
pub use wait::{demi_timedwait, demi_wait, demi_wait_any, demi_wait_next_n};
pub use wake::{
    margay_arm, margay_poll, margay_readiness_fd, margay_wake, margay_wake_handle_create, margay_wake_handle_destroy,
};
