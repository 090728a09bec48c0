// SPDX-License-Identifier: MIT OR Apache-2.0
//! What catloop can be set to.

use crate::handshake::BacklogFull;
use core::net::IpAddr;
use core::time::Duration;
use std::path::PathBuf;

/// What catloop can be set to.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The runtime directory; `None` for the default.
    pub directory: Option<PathBuf>,
    /// Addresses of this host beside 127.0.0.0/8 and `::1`.
    pub addresses: Vec<IpAddr>,
    /// Bytes of each ring of a connection; a power of two.
    pub ring: usize,
    /// Bytes of one slot for messages by reference; a power of two.
    pub slot: usize,
    /// Slots of each direction; 0: none.
    pub slots: u16,
    /// How long a connect waits for the listener's answer.
    pub connect_timeout: Duration,
    /// What a listener does with connectors beyond its backlog.
    pub backlog_full: BacklogFull,
    /// How long one that has connected may take to say what it wants.
    pub handshake_timeout: Duration,
    /// Bytes of each ring of a pair of datagram sockets; a power of two.
    pub datagram_ring: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            directory: None,
            addresses: Vec::new(),
            ring: 512 << 10,
            slot: 64 << 10,
            slots: 4,
            connect_timeout: Duration::from_secs(5),
            backlog_full: BacklogFull::Wait,
            handshake_timeout: Duration::from_secs(1),
            datagram_ring: 256 << 10,
        }
    }
}
