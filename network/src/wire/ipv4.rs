// SPDX-License-Identifier: MIT OR Apache-2.0
//! IPv4 headers (RFC 791 section 3.1, RFC 2474 section 3, RFC 3168 section 5, RFC 1122 section 3.2.1).
//!
//! Options are walked, so that a cut one is found, and skipped; the router alert (RFC 2113) is told, as IGMP needs it. Packets
//! with a source route are refused, which RFC 7126 sections 4.3 and 4.4 advise.

use core::net::{IpAddr, Ipv4Addr};

use super::bytes::{front, get_u16, get_v4, set, space};
use super::checksum::{self, Sum};
use super::{Ecn, Malformed, Protocol};

/// Bytes of a header without options.
pub const HEADER: usize = 20;
/// Bytes of the longest header.
pub const HEADER_MAX: usize = 60;
/// The shortest MTU of a link (RFC 791 section 3.2).
pub const MTU_MIN: usize = 68;

const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
/// The router alert, whole (RFC 2113 section 2.1).
const ROUTER_ALERT: [u8; 4] = [148, 4, 0, 0];

/// A packet where it lies.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    header: &'a [u8; HEADER],
    options: &'a [u8],
    payload: &'a [u8],
}

impl<'a> View<'a> {
    /// Bytes beyond the total length are padding of the link, and left out.
    ///
    /// # Errors
    /// Shorter than its lengths, lengths that contradict each other, another version.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (header, rest) = front::<HEADER>(bytes)?;
        if header[0] >> 4 != 4 {
            return Err(Malformed::Version);
        }
        let header_len = usize::from(header[0] & 0x0f) * 4;
        let total_len = usize::from(get_u16::<2, _>(header));
        let options_len = header_len.checked_sub(HEADER).ok_or(Malformed::Length)?;
        let payload_len = total_len.checked_sub(header_len).ok_or(Malformed::Length)?;
        let (options, rest) = rest.split_at_checked(options_len).ok_or(Malformed::Truncated)?;
        let payload = rest.get(..payload_len).ok_or(Malformed::Truncated)?;
        let view = Self { header, options, payload };
        // No datagram is longer than the total length can say (RFC 791 section 3.1).
        if usize::from(view.fragment_offset()) + total_len > 0xffff {
            return Err(Malformed::Length);
        }
        Ok(view)
    }

    /// A view of a packet that an ICMP error quotes: its end may be missing (RFC 1122 section 3.2.2).
    ///
    /// # Errors
    /// As [`new`](Self::new), but for a payload that is shorter than the length says.
    pub fn quoted(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (header, rest) = front::<HEADER>(bytes)?;
        if header[0] >> 4 != 4 {
            return Err(Malformed::Version);
        }
        let header_len = usize::from(header[0] & 0x0f) * 4;
        let options_len = header_len.checked_sub(HEADER).ok_or(Malformed::Length)?;
        let (options, rest) = rest.split_at_checked(options_len).ok_or(Malformed::Truncated)?;
        let payload_len = usize::from(get_u16::<2, _>(header)).checked_sub(header_len).ok_or(Malformed::Length)?;
        let payload = rest.get(..payload_len).unwrap_or(rest);
        Ok(Self { header, options, payload })
    }

    /// Bytes of the header with its options.
    #[inline]
    pub const fn header_len(&self) -> usize {
        HEADER + self.options.len()
    }

    /// Bytes of header and payload.
    #[inline]
    pub fn total_len(&self) -> usize {
        usize::from(get_u16::<2, _>(self.header))
    }

    /// The class of service, 0 to 63.
    #[inline]
    pub const fn dscp(&self) -> u8 {
        self.header[1] >> 2
    }

    /// Congestion notification.
    #[inline]
    pub const fn ecn(&self) -> Ecn {
        Ecn::of(self.header[1])
    }

    /// What fragments of one datagram have in common.
    #[inline]
    pub fn identification(&self) -> u16 {
        get_u16::<4, _>(self.header)
    }

    /// Whether routers must not fragment it.
    #[inline]
    pub fn dont_fragment(&self) -> bool {
        get_u16::<6, _>(self.header) & DONT_FRAGMENT != 0
    }

    /// Whether more fragments follow this one.
    #[inline]
    pub fn more_fragments(&self) -> bool {
        get_u16::<6, _>(self.header) & MORE_FRAGMENTS != 0
    }

    /// Where in the datagram's payload this one stands, in bytes.
    #[inline]
    pub fn fragment_offset(&self) -> u16 {
        get_u16::<6, _>(self.header) << 3
    }

    /// Whether it is no whole datagram.
    #[inline]
    pub fn is_fragment(&self) -> bool {
        get_u16::<6, _>(self.header) & !(DONT_FRAGMENT | 0x8000) != 0
    }

    /// Over how many more routers it may go.
    #[inline]
    pub const fn ttl(&self) -> u8 {
        self.header[8]
    }

    /// What it carries.
    #[inline]
    pub const fn protocol(&self) -> Protocol {
        Protocol(self.header[9])
    }

    /// From whom.
    #[inline]
    pub fn source(&self) -> Ipv4Addr {
        get_v4::<12, _>(self.header)
    }

    /// To whom.
    #[inline]
    pub fn destination(&self) -> Ipv4Addr {
        get_v4::<16, _>(self.header)
    }

    /// Whether the header's checksum is right.
    #[inline]
    pub fn checksum_is_right(&self) -> bool {
        let mut sum = Sum::new();
        sum.add_words(self.header);
        if !self.options.is_empty() {
            sum.add(self.options);
        }
        sum.is_right()
    }

    /// The pseudo-header's sum for a transport of `length` bytes.
    #[inline]
    pub fn pseudo_header(&self, length: u32) -> Sum {
        let (source, destination) = (IpAddr::V4(self.source()), IpAddr::V4(self.destination()));
        checksum::pseudo_header(source, destination, self.protocol().0, length)
    }

    /// The options, end and padding included.
    #[inline]
    pub const fn options(&self) -> &'a [u8] {
        self.options
    }

    /// What stands behind the header, without the link's padding.
    #[inline]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// A header as a value. Of the options it keeps the router alert only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The class of service, 0 to 63.
    pub dscp: u8,
    /// Congestion notification.
    pub ecn: Ecn,
    /// Bytes behind the header, options not counted: at most 65,535 without the header's length.
    pub payload_len: u16,
    /// What fragments of one datagram have in common.
    pub identification: u16,
    /// Whether routers must not fragment it.
    pub dont_fragment: bool,
    /// Whether more fragments follow this one.
    pub more_fragments: bool,
    /// Where in the datagram's payload this one stands, in bytes, a multiple of 8.
    pub fragment_offset: u16,
    /// Over how many routers it may go.
    pub ttl: u8,
    /// What it carries.
    pub protocol: Protocol,
    /// From whom.
    pub source: Ipv4Addr,
    /// To whom.
    pub destination: Ipv4Addr,
    /// Whether every router looks at it, as at IGMP's messages.
    pub router_alert: bool,
}

impl Header {
    /// # Errors
    /// The checksum is wrong, an option is cut off or a source route, or the source cannot be a host (RFC 1122 section
    /// 3.2.1.3).
    #[inline]
    pub fn parse(view: &View<'_>) -> Result<Self, Malformed> {
        if !view.checksum_is_right() {
            return Err(Malformed::Checksum);
        }
        let router_alert = !view.options.is_empty() && walk_options(view.options)?;
        let source = view.source();
        if source.is_multicast() || source.is_broadcast() {
            return Err(Malformed::Field);
        }
        Ok(Self {
            dscp: view.dscp(),
            ecn: view.ecn(),
            payload_len: view.payload.len() as u16,
            identification: view.identification(),
            dont_fragment: view.dont_fragment(),
            more_fragments: view.more_fragments(),
            fragment_offset: view.fragment_offset(),
            ttl: view.ttl(),
            protocol: view.protocol(),
            source,
            destination: view.destination(),
            router_alert,
        })
    }

    /// Bytes that [`emit`](Self::emit) writes.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "a header is never empty")]
    pub const fn len(&self) -> usize {
        if self.router_alert { HEADER + ROUTER_ALERT.len() } else { HEADER }
    }

    /// Writes it to the front of `out`, with its checksum.
    #[inline]
    pub fn emit(&self, out: &mut [u8]) {
        let len = self.len();
        if let Some(options) = out.get_mut(HEADER..len)
            && self.router_alert
        {
            options.copy_from_slice(&ROUTER_ALERT);
        }
        let Some(out) = space::<HEADER>(out) else { return };
        set::<0, 2, _>(out, [0x40 | (len / 4) as u8, self.dscp << 2 | self.ecn as u8]);
        set::<2, 2, _>(out, self.payload_len.saturating_add(len as u16).to_be_bytes());
        set::<4, 2, _>(out, self.identification.to_be_bytes());
        let mut fragment = self.fragment_offset >> 3;
        if self.dont_fragment {
            fragment |= DONT_FRAGMENT;
        }
        if self.more_fragments {
            fragment |= MORE_FRAGMENTS;
        }
        set::<6, 2, _>(out, fragment.to_be_bytes());
        set::<8, 4, _>(out, [self.ttl, self.protocol.0, 0, 0]);
        set::<12, 4, _>(out, self.source.octets());
        set::<16, 4, _>(out, self.destination.octets());
        let mut sum = Sum::new();
        sum.add_words(out);
        if self.router_alert {
            sum.add_words(&ROUTER_ALERT);
        }
        set::<10, 2, _>(out, sum.finish().to_be_bytes());
    }

    /// The pseudo-header's sum for a transport of `length` bytes.
    #[inline]
    pub fn pseudo_header(&self, length: u32) -> Sum {
        checksum::pseudo_header(IpAddr::V4(self.source), IpAddr::V4(self.destination), self.protocol.0, length)
    }
}

/// Goes over all options (RFC 791 section 3.1) and says whether the router alert was among them.
#[cold]
fn walk_options(mut options: &[u8]) -> Result<bool, Malformed> {
    let mut router_alert = false;
    while let Some((&kind, rest)) = options.split_first() {
        options = match kind {
            0 => break,
            1 => rest,
            // Loose and strict source route.
            131 | 137 => return Err(Malformed::Options),
            _ => {
                let &len = rest.first().ok_or(Malformed::Options)?;
                let (option, behind) = options.split_at_checked(usize::from(len.max(1))).ok_or(Malformed::Options)?;
                if option.len() < 2 {
                    return Err(Malformed::Options);
                }
                router_alert |= option == ROUTER_ALERT;
                behind
            }
        };
    }
    Ok(router_alert)
}
