// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reassembly of fragments (RFC 791 §3.2, RFC 815, RFC 1122 §3.3.2, RFC 8200 §4.5, and RFC 3168 §5.3 for congestion marks).
//!
//! What must always hold:
//!
//! - A datagram is given out when each of its bytes has come exactly once; no byte is copied for it, save where a
//!   datagram has more fragments than a message may have segments.
//! - One with fragments that overlap is given up, whole, and without an ICMP error (RFC 5722 §4, RFC 8200 §4.5; in IPv4
//!   as well, where nothing that is well meant overlaps). An exact duplicate is no overlap.
//! - A fragment that is all of its datagram has nothing to do with others (RFC 6946 §4).
//! - Datagrams, and buffers that they hold, are bounded for each source and in all. Where one bound is reached the
//!   oldest datagram within it goes, so that one source takes nothing from the others before the table as a whole is
//!   full.

mod congestion;
mod datagram;
#[cfg(any(fuzzing, test))]
pub mod fuzz;
mod table;

use core::net::IpAddr;

use runtime::buf::{Buf, Sga};

use crate::wire::Ecn;

pub use table::Reassembly;

/// Which datagram a fragment belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key {
    /// Where it came from.
    pub source: IpAddr,
    /// Where it goes.
    pub destination: IpAddr,
    /// Its identification; 16 bits in IPv4.
    pub id: u32,
    /// The protocol of the payload. It tells datagrams apart in IPv4 (RFC 791 §3.2). In IPv6 it does not, and only that
    /// of the first fragment counts (RFC 8200 §4.5).
    pub protocol: u8,
}

impl Key {
    /// Whether fragments with these two keys belong together.
    fn same_datagram(&self, other: &Key) -> bool {
        self.id == other.id
            && self.source == other.source
            && self.destination == other.destination
            && (self.source.is_ipv6() || self.protocol == other.protocol)
    }
}

/// A datagram that is whole.
#[derive(Debug)]
pub struct Datagram {
    /// The protocol of the payload.
    pub protocol: u8,
    /// What stood behind the IP headers (in IPv6, behind the fragment header) of its fragments. It starts with a
    /// segment of the first fragment, which need not have the whole header of the protocol.
    pub payload: Sga,
    /// What its fragments say about congestion, all together.
    pub ecn: Ecn,
}

/// What became of a fragment.
#[derive(Debug)]
pub enum Outcome {
    /// More have to come.
    Waits,
    /// It was the last that was missing.
    Complete(Datagram),
    /// It was no good; the packet is given back, since an ICMP error may have to quote it.
    Refused(Refusal, Buf),
}

/// Why a fragment was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Refusal {
    /// It is empty, or is not the last and has no multiple of eight bytes. IPv6 answers with a parameter problem, code
    /// 0, that points at the payload length (RFC 8200 §4.5).
    Length,
    /// The datagram would be longer than 65,535 bytes. IPv6 answers with a parameter problem, code 0, that points at
    /// the fragment offset (RFC 8200 §4.5).
    TooLong,
    /// It overlaps with another or contradicts it about where the end is, or did so before: the whole datagram is given
    /// up.
    Overlap,
    /// One fragment says that its sender knows nothing of congestion marks, and another bears one: the datagram is given up
    /// (RFC 3168 §5.3).
    Congestion,
    /// It came before.
    Duplicate,
    /// The datagram has too many fragments, and is given up.
    TooMany,
}

/// A datagram whose time was over before it was whole.
#[derive(Debug)]
pub struct Expired {
    /// Which one.
    pub key: Key,
    /// The packet of its first fragment, from the IP header on, if that one had come: then the source is sent a time
    /// exceeded, code 1, that quotes it (RFC 792, RFC 8200 §4.5).
    pub first: Option<Buf>,
}

#[cfg(test)]
mod tests;
