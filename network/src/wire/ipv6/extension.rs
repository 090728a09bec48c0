// SPDX-License-Identifier: MIT OR Apache-2.0
//! IPv6 extension headers (RFC 8200 section 4): hop-by-hop and destination options, routing, fragment.
//!
//! The walk is bounded by [`EXTENSION_HEADERS_MAX`] and by the packet. It ends at a fragment header: what stands behind that
//! is read with [`walk`] once the datagram is whole (RFC 6946 section 4: at once, if the fragment is the whole of it).
//! Authentication and encryption are not known, and so their headers count as protocols that nobody serves.

use crate::limits::EXTENSION_HEADERS_MAX;
use crate::wire::bytes::{front, get_u16, get_u32, set, space};
use crate::wire::{Malformed, Protocol};

/// What a packet carries behind its extension headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upper {
    /// The protocol; behind a fragment header it may be another extension header.
    pub protocol: Protocol,
    /// Where it begins, in bytes from the IPv6 header's start.
    pub offset: usize,
    /// Where in the packet its number stands, for a sender that is told that nobody serves it (RFC 4443 section 3.4).
    pub named_at: usize,
    /// The fragment header in front of it.
    pub fragment: Option<Fragment>,
    /// Whether the hop-by-hop options have the router alert (RFC 2711), as MLD's messages must.
    pub router_alert: bool,
}

/// What a packet was refused for, and what its sender may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub why: Malformed,
    /// What the sender is to be told, if anything.
    pub problem: Option<Problem>,
}

/// The parameter problem that a sender is to be told (RFC 4443 section 3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Problem {
    /// 0: a wrong field; 1: an unknown next header; 2: an unknown option.
    pub code: u8,
    /// Where in the packet, in bytes from the IPv6 header's start.
    pub pointer: u32,
    /// Whether also if the packet went to a group.
    pub also_multicast: bool,
}

impl From<Malformed> for Refused {
    fn from(why: Malformed) -> Self {
        Self { why, problem: None }
    }
}

impl From<Refused> for Malformed {
    fn from(refused: Refused) -> Self {
        refused.why
    }
}

/// Bytes of a fragment header.
pub const FRAGMENT: usize = 8;

/// A fragment header (RFC 8200 section 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// What the whole datagram carries behind the header.
    pub next_header: Protocol,
    /// Where in the datagram this one stands, in bytes, a multiple of 8.
    pub offset: u16,
    /// Whether more follow.
    pub more: bool,
    /// What fragments of one datagram have in common.
    pub identification: u32,
}

impl Fragment {
    /// Reads it from the front of the bytes.
    ///
    /// # Errors
    /// Too short.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let (header, _) = front::<FRAGMENT>(bytes)?;
        let word = get_u16::<2, _>(header);
        Ok(Self {
            next_header: Protocol(header[0]),
            offset: word & !7,
            more: word & 1 != 0,
            identification: get_u32::<4, _>(header),
        })
    }

    /// Whether it is the whole datagram (RFC 6946).
    #[inline]
    pub const fn is_atomic(&self) -> bool {
        self.offset == 0 && !self.more
    }

    /// Bytes that [`emit`](Self::emit) writes.
    #[expect(clippy::len_without_is_empty, reason = "a header is never empty")]
    pub const fn len(&self) -> usize {
        FRAGMENT
    }

    /// Writes it to the front of `out`.
    pub fn emit(&self, out: &mut [u8]) {
        let Some(out) = space::<FRAGMENT>(out) else { return };
        set::<0, 2, _>(out, [self.next_header.0, 0]);
        set::<2, 2, _>(out, (self.offset & !7 | u16::from(self.more)).to_be_bytes());
        set::<4, 4, _>(out, self.identification.to_be_bytes());
    }
}

/// Bytes of the hop-by-hop header with a router alert.
pub const ROUTER_ALERT: usize = 8;

/// The hop-by-hop header with the router alert of MLD (RFC 2711 section 2.1) and padding, in front of `next`.
pub const fn router_alert(next: Protocol) -> [u8; ROUTER_ALERT] {
    [next.0, 0, OPTION_ROUTER_ALERT, 2, 0, 0, 1, 0]
}

const OPTION_PAD1: u8 = 0;
const OPTION_PADN: u8 = 1;
const OPTION_ROUTER_ALERT: u8 = 5;

/// Whether an IPv6 header of this number is one that [`walk`] reads.
#[inline]
pub const fn is_extension(next: Protocol) -> bool {
    matches!(next, Protocol::HOP_BY_HOP | Protocol::ROUTING | Protocol::FRAGMENT | Protocol::DESTINATION_OPTIONS)
}

/// Goes over the extension headers at the front of `bytes`, the first of which is of kind `next`. `named_at` is where in the
/// packet that number stands, and `offset` where `bytes` begin, both counted from the IPv6 header's start.
///
/// # Errors
/// A header is cut off, out of place (RFC 8200 section 4.1: hop-by-hop comes first), one too many, a routing header that has
/// segments left (RFC 5095 section 3 for type 0; RFC 8200 section 4.4 for those that are not known, as all are not), or has
/// an unknown option that forbids to go on (section 4.2).
#[cold]
pub fn walk(next: Protocol, named_at: usize, bytes: &[u8], offset: usize) -> Result<Upper, Refused> {
    let upper = Upper { protocol: next, offset, named_at, fragment: None, router_alert: false };
    let mut walk = Walk { upper, rest: bytes };
    for position in 0..=EXTENSION_HEADERS_MAX {
        let protocol = walk.upper.protocol;
        if !is_extension(protocol) || walk.upper.fragment.is_some() {
            return Ok(walk.upper);
        }
        if position == EXTENSION_HEADERS_MAX {
            break;
        }
        match protocol {
            Protocol::HOP_BY_HOP if position > 0 || offset != super::HEADER => {
                // Known behind the IPv6 header only; elsewhere an unknown number.
                let pointer = walk.upper.named_at as u32;
                let problem = Problem { code: 1, pointer, also_multicast: false };
                return Err(Refused { why: Malformed::Extension, problem: Some(problem) });
            }
            Protocol::FRAGMENT => walk.fragment()?,
            Protocol::ROUTING => walk.routing()?,
            _ => walk.options()?,
        }
    }
    Err(Malformed::Extension.into())
}

struct Walk<'a> {
    upper: Upper,
    rest: &'a [u8],
}

impl<'a> Walk<'a> {
    /// Takes the next header, whose length stands in its second byte, in units of 8 bytes without the first 8.
    fn header(&mut self) -> Result<&'a [u8], Refused> {
        let (start, _) = front::<2>(self.rest)?;
        let len = (usize::from(start[1]) + 1) * 8;
        let (header, rest) = self.rest.split_at_checked(len).ok_or(Malformed::Truncated)?;
        self.upper.protocol = Protocol(start[0]);
        self.upper.named_at = self.upper.offset;
        self.upper.offset += len;
        self.rest = rest;
        Ok(header)
    }

    fn fragment(&mut self) -> Result<(), Refused> {
        let fragment = Fragment::parse(self.rest)?;
        self.rest = self.rest.get(FRAGMENT..).unwrap_or_default();
        self.upper.named_at = self.upper.offset;
        self.upper.offset += FRAGMENT;
        self.upper.protocol = fragment.next_header;
        self.upper.fragment = Some(fragment);
        Ok(())
    }

    fn routing(&mut self) -> Result<(), Refused> {
        let start = self.upper.offset;
        let header = self.header()?;
        // With no segments left it has done its work, and is passed over.
        if header.get(3).is_some_and(|&left| left > 0) {
            let problem = Problem { code: 0, pointer: start as u32 + 2, also_multicast: false };
            return Err(Refused { why: Malformed::Extension, problem: Some(problem) });
        }
        Ok(())
    }

    fn options(&mut self) -> Result<(), Refused> {
        let start = self.upper.offset;
        let hop_by_hop = self.upper.protocol == Protocol::HOP_BY_HOP;
        let header = self.header()?;
        let mut at = 2;
        while let Some(&kind) = header.get(at) {
            if kind == OPTION_PAD1 {
                at += 1;
                continue;
            }
            let &len = header.get(at + 1).ok_or(Malformed::Options)?;
            let end = at + 2 + usize::from(len);
            let option = header.get(at..end).ok_or(Malformed::Options)?;
            match kind {
                OPTION_PADN => {}
                OPTION_ROUTER_ALERT if hop_by_hop && option.len() == 4 => self.upper.router_alert = true,
                _ => unknown(kind, start + at)?,
            }
            at = end;
        }
        Ok(())
    }
}

/// What the two high bits of an unknown option's kind ask for (RFC 8200 section 4.2).
fn unknown(kind: u8, at: usize) -> Result<(), Refused> {
    let problem = match kind >> 6 {
        0 => return Ok(()),
        1 => None,
        bits => Some(Problem { code: 2, pointer: at as u32, also_multicast: bits == 2 }),
    };
    Err(Refused { why: Malformed::Options, problem })
}
