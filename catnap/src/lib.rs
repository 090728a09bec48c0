// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernel sockets by `epoll(7)`: runs on any Linux, without any right.
//!
//! [`Catnap`] is the transport. Each socket is watched once, edge-triggered, in both directions, and remembers what the kernel
//! said last. What must always hold:
//!
//! - A direction that is not ready is asked by no system call: the next edge makes it ready. It stops being ready when the
//!   kernel says `EAGAIN`, or takes or gives less than there was room for (`epoll(7)`, questions and answers). The end and
//!   errors make no second edge, so once one was announced only `EAGAIN` counts.
//! - An operation that had to wait is woken by the edge that it waits for; the set is asked only while one does.
//! - Nothing blocks but [`sleep`](runtime::transport::Transport::sleep).
//!
//! - `poller`: the epoll set, and how it and the reactor's sleep as one. `events`: what comes of it.
//! - `table`, `entry`: the sockets. `connections`: connecting and accepting.
//! - `receive`, `send`, `zero_copy`: the data. `close`: lingering, and what is left to do
//!   for sockets that are closed. `drops`: what the kernel has dropped.

mod close;
mod connections;
mod drops;
mod entry;
mod events;
mod poller;
mod receive;
mod send;
mod settings;
mod shared;
mod table;
mod transport;
mod zero_copy;

pub use settings::Settings;
pub use transport::Catnap;
