// SPDX-License-Identifier: MIT OR Apache-2.0
//! A segment as the state machine sees it: without ports and addresses, its payload where it lies.

use runtime::buf::Sga;

use super::seq::Seq;
use crate::wire::Ecn;
use crate::wire::tcp::{Flags, Options};

/// A segment that has come, its checksum right.
#[derive(Debug)]
pub struct Incoming {
    /// The number of its first byte, or of its SYN.
    pub seq: Seq,
    /// What the sender expects next; counts with [`Flags::ACK`].
    pub ack: Seq,
    /// Its control bits.
    pub flags: Flags,
    /// The window as it stands there, not scaled.
    pub window: u16,
    /// Its options.
    pub options: Options,
    /// What routers say about congestion.
    pub ecn: Ecn,
    /// What it carries.
    pub payload: Sga,
}

impl Incoming {
    /// The length in sequence space: bytes, and one each for SYN and FIN (RFC 9293 section 3.4).
    #[inline]
    #[must_use]
    pub fn len(&self) -> u32 {
        self.payload.len() as u32
            + u32::from(self.flags.contains(Flags::SYN))
            + u32::from(self.flags.contains(Flags::FIN))
    }

    /// Whether it takes no sequence space.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A segment to send, or several of the same header that are cut from one payload.
#[derive(Debug)]
pub struct Outgoing {
    /// The number of its first byte, or of its SYN.
    pub seq: Seq,
    /// What is expected next; zero without [`Flags::ACK`].
    pub ack: Seq,
    /// Its control bits.
    pub flags: Flags,
    /// The window as it stands there, scaled already.
    pub window: u16,
    /// Its options.
    pub options: Options,
    /// Whether it may be marked instead of dropped.
    pub ecn: Ecn,
    /// What it carries: views of what was pushed.
    pub payload: Sga,
    /// Payload bytes of each segment that it stands for but the last; 0: it is one.
    pub segment: u16,
}
