// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be set.

/// What can be set, in range: the configuration's check has seen to it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Bytes that one pop of a stream takes at most, so far as they are there.
    pub receive: usize,
    /// Messages of at least so many bytes are sent with `MSG_ZEROCOPY`; `None`: never.
    pub zero_copy: Option<usize>,
}
