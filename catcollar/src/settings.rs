// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be set.

use core::time::Duration;

/// What can be set, in range: the configuration's check has seen to it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Entries of the submission queue, a power of two.
    pub entries: u32,
    /// Entries of the completion queue, a power of two, not below `entries`.
    pub completions: u32,
    /// Buffers that the kernel fills, a power of two.
    pub buffers: u16,
    /// Bytes in one of them.
    pub buffer_size: usize,
    /// How long the kernel's submission thread looks for work before it sleeps; `None`: there is no such thread.
    pub sqpoll: Option<Duration>,
    /// How long the kernel polls a network device for a socket that waits (NAPI); zero: not at all.
    pub busy_poll: Duration,
    /// Slots for registered descriptors; `None`: there are none.
    pub registered_sockets: Option<u32>,
    /// Messages of at least so many bytes are sent without a copy; `None`: never.
    pub zero_copy: Option<usize>,
}
