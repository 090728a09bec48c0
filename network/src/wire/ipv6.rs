// SPDX-License-Identifier: MIT OR Apache-2.0
//! IPv6 headers (RFC 8200 section 3). What may stand between them and the payload is in [`extension`].

use core::net::{IpAddr, Ipv6Addr};

use super::bytes::{front, get_u16, get_u32, get_v6, set, space};
use super::checksum::{self, Sum};
use super::{Ecn, Malformed, Protocol};

pub mod extension;

pub use extension::{Fragment, Problem, Refused, Upper, walk};

/// Bytes of a header.
pub const HEADER: usize = 40;
/// Where in the header the number of what follows stands.
pub const NEXT_HEADER: usize = 6;
/// The shortest MTU of a link (RFC 8200 section 5).
pub const MTU_MIN: usize = 1280;

/// A packet where it lies.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    header: &'a [u8; HEADER],
    payload: &'a [u8],
}

impl<'a> View<'a> {
    /// Bytes beyond the payload length are padding of the link, and left out. Jumbograms (RFC 2675) are not known here.
    ///
    /// # Errors
    /// Shorter than its length, another version.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let view = Self::quoted(bytes)?;
        if view.payload.len() < usize::from(view.payload_len()) {
            return Err(Malformed::Truncated);
        }
        Ok(view)
    }

    /// A view of a packet that an ICMP error quotes: its end may be missing (RFC 4443 section 3).
    ///
    /// # Errors
    /// Shorter than a header, another version.
    #[inline]
    pub fn quoted(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (header, rest) = front::<HEADER>(bytes)?;
        if header[0] >> 4 != 6 {
            return Err(Malformed::Version);
        }
        let payload = rest.get(..usize::from(get_u16::<4, _>(header))).unwrap_or(rest);
        Ok(Self { header, payload })
    }

    /// Bytes of the header, extension headers not counted.
    #[inline]
    pub const fn header_len(&self) -> usize {
        HEADER
    }

    /// The class of service, 0 to 63.
    #[inline]
    pub fn dscp(&self) -> u8 {
        (get_u16::<0, _>(self.header) >> 6) as u8 & 0x3f
    }

    /// Congestion notification.
    #[inline]
    pub const fn ecn(&self) -> Ecn {
        Ecn::of(self.header[1] >> 4)
    }

    /// The flow label, 20 bits (RFC 6437).
    #[inline]
    pub fn flow_label(&self) -> u32 {
        get_u32::<0, _>(self.header) & 0x000f_ffff
    }

    /// Bytes behind the header, extension headers included.
    #[inline]
    pub fn payload_len(&self) -> u16 {
        get_u16::<4, _>(self.header)
    }

    /// What follows: a protocol or an extension header.
    #[inline]
    pub const fn next_header(&self) -> Protocol {
        Protocol(self.header[6])
    }

    /// Over how many more routers it may go.
    #[inline]
    pub const fn hop_limit(&self) -> u8 {
        self.header[7]
    }

    /// From whom.
    #[inline]
    pub fn source(&self) -> Ipv6Addr {
        get_v6::<8, _>(self.header)
    }

    /// To whom.
    #[inline]
    pub fn destination(&self) -> Ipv6Addr {
        get_v6::<24, _>(self.header)
    }

    /// What the packet carries behind its extension headers.
    ///
    /// # Errors
    /// As [`walk`].
    #[inline]
    pub fn upper(&self) -> Result<Upper, Refused> {
        let next = self.next_header();
        if extension::is_extension(next) {
            return walk(next, NEXT_HEADER, self.payload, HEADER);
        }
        Ok(Upper { protocol: next, offset: HEADER, named_at: NEXT_HEADER, fragment: None, router_alert: false })
    }

    /// The pseudo-header's sum for a transport of `length` bytes.
    #[inline]
    pub fn pseudo_header(&self, protocol: Protocol, length: u32) -> Sum {
        let (source, destination) = (IpAddr::V6(self.source()), IpAddr::V6(self.destination()));
        checksum::pseudo_header(source, destination, protocol.0, length)
    }

    /// What stands behind the header, extension headers included, without the link's padding.
    #[inline]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// A header as a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The class of service, 0 to 63.
    pub dscp: u8,
    /// Congestion notification.
    pub ecn: Ecn,
    /// The flow label, 20 bits.
    pub flow_label: u32,
    /// Bytes behind the header, extension headers included.
    pub payload_len: u16,
    /// What follows: a protocol or an extension header.
    pub next_header: Protocol,
    /// Over how many routers it may go.
    pub hop_limit: u8,
    /// From whom.
    pub source: Ipv6Addr,
    /// To whom.
    pub destination: Ipv6Addr,
}

impl Header {
    /// # Errors
    /// The source is a group, or the destination nobody (RFC 4291 sections 2.5.2 and 2.7).
    #[inline]
    pub fn parse(view: &View<'_>) -> Result<Self, Malformed> {
        let (source, destination) = (view.source(), view.destination());
        if source.is_multicast() || destination.is_unspecified() {
            return Err(Malformed::Field);
        }
        Ok(Self {
            dscp: view.dscp(),
            ecn: view.ecn(),
            flow_label: view.flow_label(),
            payload_len: view.payload_len(),
            next_header: view.next_header(),
            hop_limit: view.hop_limit(),
            source,
            destination,
        })
    }

    /// Bytes that [`emit`](Self::emit) writes.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "a header is never empty")]
    pub const fn len(&self) -> usize {
        HEADER
    }

    /// Writes it to the front of `out`.
    #[inline]
    pub fn emit(&self, out: &mut [u8]) {
        let Some(out) = space::<HEADER>(out) else { return };
        let class = u32::from(self.dscp & 0x3f) << 2 | self.ecn as u32;
        set::<0, 4, _>(out, (6 << 28 | class << 20 | self.flow_label & 0x000f_ffff).to_be_bytes());
        set::<4, 2, _>(out, self.payload_len.to_be_bytes());
        set::<6, 2, _>(out, [self.next_header.0, self.hop_limit]);
        set::<8, 16, _>(out, self.source.octets());
        set::<24, 16, _>(out, self.destination.octets());
    }

    /// The pseudo-header's sum for a transport of `length` bytes.
    #[inline]
    pub fn pseudo_header(&self, protocol: Protocol, length: u32) -> Sum {
        checksum::pseudo_header(IpAddr::V6(self.source), IpAddr::V6(self.destination), protocol.0, length)
    }
}
