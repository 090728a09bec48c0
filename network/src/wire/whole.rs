// SPDX-License-Identifier: MIT OR Apache-2.0
//! A UDP datagram that is whole in one frame and has nothing optional in it: Ethernet without a tag, IPv4 without options or
//! IPv6 without extension headers, UDP (RFC 894, RFC 791, RFC 2464, RFC 8200, RFC 768). All of its headers are one array, which
//! is read and written a word at a time.
//!
//! What must always hold: a frame that is found here is one that the views of the three protocols accept, and they find the
//! same in it; what is written here is what their headers write. They allow more, and what is not found here is for them.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::bytes::{get, get_u16, get_u32, get_v4, get_v6, set, space};
use super::checksum::{Sum, fold_two};
use super::{EtherType, MacAddress, Protocol, ethernet, ipv4, ipv6, udp};

/// Where in a frame UDP's header begins.
const TRANSPORT_V4: usize = ethernet::HEADER + ipv4::HEADER;
const TRANSPORT_V6: usize = ethernet::HEADER + ipv6::HEADER;
/// Bytes of all headers.
pub const HEADERS_V4: usize = TRANSPORT_V4 + udp::HEADER;
/// The same with IPv6.
pub const HEADERS_V6: usize = TRANSPORT_V6 + udp::HEADER;

/// The type of the frame, and the version and header length of IPv4, in front of the class of service.
const IS_V4: u32 = (EtherType::IPV4.0 as u32) << 16 | 0x4500;
/// The type of the frame and the version of IPv6, in front of the traffic class.
const IS_V6: u32 = (EtherType::IPV6.0 as u32) << 16 | 0x6000;
/// No more fragments, at no offset; beside the hops, the protocol.
const WHOLE: u32 = 0x3fff_00ff;
const UDP: u32 = Protocol::UDP.0 as u32;
const DONT_FRAGMENT: u32 = 0x4000;

/// A station as a frame begins with it: a word that the six bytes of its address end.
#[derive(Clone, Copy, Debug)]
pub struct Station(u64);

impl Station {
    /// On a VLAN there is none: its frames have tags.
    pub const fn new(mac: MacAddress, vlan: Option<u16>) -> Self {
        if vlan.is_some() {
            // No frame has what stands in front of the six bytes.
            return Self(u64::MAX);
        }
        let [first, second, third, fourth, fifth, sixth] = mac.0;
        Self(u64::from_le_bytes([0, 0, first, second, third, fourth, fifth, sixth]))
    }

    /// Whether a frame that begins with these bytes is for this station, and from no group.
    #[inline(always)]
    pub(super) const fn is_it(self, bytes: [u8; 8]) -> bool {
        u64::from_le_bytes(bytes) << 16 == self.0 && bytes[6] & 1 == 0
    }
}

/// A datagram over IPv4, where it lies.
#[derive(Clone, Copy, Debug)]
pub struct V4<'a> {
    headers: &'a [u8; HEADERS_V4],
    /// Without what stands behind it.
    payload: &'a [u8],
}

impl<'a> V4<'a> {
    /// Does not look at checksums, nor whether the addresses make sense.
    #[inline(always)]
    pub fn new(frame: &'a [u8]) -> Option<Self> {
        let (headers, behind) = frame.split_first_chunk::<HEADERS_V4>()?;
        if get_u32::<12, _>(headers) & 0xffff_ff00 != IS_V4 || get_u32::<20, _>(headers) & WHOLE != UDP {
            return None;
        }
        let (total, len) = (get_u16::<16, _>(headers), get_u16::<38, _>(headers));
        // That UDP is shorter than the packet is allowed, but no longer ordinary.
        if total.wrapping_sub(len) != ipv4::HEADER as u16 {
            return None;
        }
        Some(Self { headers, payload: payload(behind, len)? })
    }

    /// Whether it is for this station alone, and from one.
    #[inline(always)]
    pub fn is_between(&self, station: Station) -> bool {
        station.is_it(get::<0, 8, _>(self.headers))
    }

    /// The source and the destination, as they stand there.
    #[inline(always)]
    pub fn addresses(&self) -> u64 {
        u64::from_ne_bytes(get::<26, 8, _>(self.headers))
    }

    /// The source's port, then the destination's.
    #[inline(always)]
    pub fn ports(&self) -> u32 {
        get_u32::<34, _>(self.headers)
    }

    /// From whom.
    #[inline(always)]
    pub fn source(&self) -> Ipv4Addr {
        get_v4::<26, _>(self.headers)
    }

    /// Over how many more routers it may go.
    #[inline(always)]
    pub const fn hops(&self) -> u8 {
        self.headers[22]
    }

    /// Bytes of the payload.
    #[inline(always)]
    pub const fn payload_len(&self) -> usize {
        self.payload.len()
    }

    /// Whether the checksum of the IP header is right.
    #[inline(always)]
    pub fn header_is_right(&self) -> bool {
        Sum::new().and(&get::<14, { ipv4::HEADER }, _>(self.headers)).is_right()
    }

    /// Whether UDP's checksum is right, or there is none.
    #[inline(always)]
    pub fn datagram_is_right(&self) -> bool {
        // The addresses stand right in front of UDP's header.
        get_u16::<40, _>(self.headers) == 0
            || is_right(Sum::new().and(&get::<26, { 8 + udp::HEADER }, _>(self.headers)), self.payload)
    }
}

/// A datagram over IPv6, where it lies.
#[derive(Clone, Copy, Debug)]
pub struct V6<'a> {
    headers: &'a [u8; HEADERS_V6],
    payload: &'a [u8],
}

impl<'a> V6<'a> {
    /// As [`V4::new`].
    #[inline]
    pub fn new(frame: &'a [u8]) -> Option<Self> {
        let (headers, behind) = frame.split_first_chunk::<HEADERS_V6>()?;
        if get_u32::<12, _>(headers) & 0xffff_f000 != IS_V6 || headers[20] != Protocol::UDP.0 {
            return None;
        }
        if get::<18, 2, _>(headers) != get::<58, 2, _>(headers) {
            return None;
        }
        Some(Self { headers, payload: payload(behind, get_u16::<58, _>(headers))? })
    }

    /// Whether it is for this station alone, and from one.
    #[inline]
    pub fn is_between(&self, station: Station) -> bool {
        station.is_it(get::<0, 8, _>(self.headers))
    }

    /// The source and the destination, as they stand there.
    #[inline]
    pub fn addresses(&self) -> [u64; 4] {
        words(&get::<22, 32, _>(self.headers))
    }

    /// The source's port, then the destination's.
    #[inline]
    pub fn ports(&self) -> u32 {
        get_u32::<54, _>(self.headers)
    }

    /// From whom.
    #[inline]
    pub fn source(&self) -> Ipv6Addr {
        get_v6::<22, _>(self.headers)
    }

    /// Over how many more routers it may go.
    #[inline]
    pub const fn hops(&self) -> u8 {
        self.headers[21]
    }

    /// Bytes of the payload.
    #[inline]
    pub const fn payload_len(&self) -> usize {
        self.payload.len()
    }

    /// Whether there is a checksum, without which no datagram is valid (RFC 8200 section 8.1).
    #[inline]
    pub fn has_checksum(&self) -> bool {
        get_u16::<60, _>(self.headers) != 0
    }

    /// Whether the checksum is right.
    #[inline(always)]
    pub fn datagram_is_right(&self) -> bool {
        self.has_checksum() && is_right(Sum::new().and(&get::<22, { 32 + udp::HEADER }, _>(self.headers)), self.payload)
    }
}

/// What UDP's header says is its payload: `len` counts the header, too.
#[inline(always)]
fn payload(behind: &[u8], len: u16) -> Option<&[u8]> {
    // One that is shorter than its header is longer than any frame here.
    behind.get(..usize::from(len).wrapping_sub(udp::HEADER))
}

/// Whether a datagram with its checksum is whole; `sum` is that of the addresses and UDP's header.
#[inline(always)]
fn is_right(mut sum: Sum, payload: &[u8]) -> bool {
    // What the pseudo-header has beside the addresses. Both are shorter than a word.
    sum.add_u32(u32::from(Protocol::UDP.0) << 16 | (udp::HEADER + payload.len()) as u32 & 0xffff);
    sum.add(payload);
    sum.is_right()
}

/// The source and the destination as they stand in a packet, as [`V4::addresses`] gives them.
#[inline]
pub fn addresses_v4(source: Ipv4Addr, destination: Ipv4Addr) -> u64 {
    let mut both = [0; 8];
    set::<0, 4, _>(&mut both, source.octets());
    set::<4, 4, _>(&mut both, destination.octets());
    u64::from_ne_bytes(both)
}

/// The same of IPv6.
#[inline]
pub fn addresses_v6(source: Ipv6Addr, destination: Ipv6Addr) -> [u64; 4] {
    let mut both = [0; 32];
    set::<0, 16, _>(&mut both, source.octets());
    set::<16, 16, _>(&mut both, destination.octets());
    words(&both)
}

#[inline]
fn words(bytes: &[u8; 32]) -> [u64; 4] {
    [
        u64::from_ne_bytes(get::<0, 8, _>(bytes)),
        u64::from_ne_bytes(get::<8, 8, _>(bytes)),
        u64::from_ne_bytes(get::<16, 8, _>(bytes)),
        u64::from_ne_bytes(get::<24, 8, _>(bytes)),
    ]
}

/// What stands in the headers of a datagram beside its length, and the station that it goes to.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// From which station.
    pub mac: MacAddress,
    /// From whom, by which port.
    pub source: (IpAddr, u16),
    /// To whom, at which port; of the same family.
    pub destination: (IpAddr, u16),
    /// Over how many routers it may go.
    pub hops: u8,
}

/// All headers of the datagrams that go one way, but for what differs from one to the next. Routers may not fragment them.
#[derive(Clone, Copy, Debug)]
pub struct Template {
    bytes: [u8; HEADERS_V6],
    is_v4: bool,
    /// The sum of the IP header of IPv4.
    header: u16,
    /// The sum of the pseudo-header without the length, and the same with the ports.
    pseudo: u16,
    datagram: u16,
}

impl Template {
    /// None if the addresses are of different families.
    pub fn new(header: &Header) -> Option<Self> {
        let Header { mac, source, destination, hops } = *header;
        let mut bytes = [0; HEADERS_V6];
        set::<6, 6, _>(&mut bytes, mac.0);
        let ports = u32::from(source.1) << 16 | u32::from(destination.1);
        let (is_v4, sum) = match (source.0, destination.0) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                set::<12, 4, _>(&mut bytes, IS_V4.to_be_bytes());
                set::<20, 4, _>(&mut bytes, (DONT_FRAGMENT << 16 | u32::from(hops) << 8 | UDP).to_be_bytes());
                set::<26, 4, _>(&mut bytes, source.octets());
                set::<30, 4, _>(&mut bytes, destination.octets());
                set::<34, 4, _>(&mut bytes, ports.to_be_bytes());
                (true, Sum::new().and(&get::<26, 8, _>(&bytes)))
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                set::<12, 4, _>(&mut bytes, IS_V6.to_be_bytes());
                set::<20, 2, _>(&mut bytes, [Protocol::UDP.0, hops]);
                set::<22, 16, _>(&mut bytes, source.octets());
                set::<38, 16, _>(&mut bytes, destination.octets());
                set::<54, 4, _>(&mut bytes, ports.to_be_bytes());
                (false, Sum::new().and(&get::<22, 32, _>(&bytes)))
            }
            _ => return None,
        };
        let mut pseudo = sum;
        pseudo.add_u16(Protocol::UDP.0.into());
        let mut datagram = pseudo;
        datagram.add_u32(ports);
        let header = Sum::new().and(&get::<14, { ipv4::HEADER }, _>(&bytes)).folded();
        Some(Self { bytes, is_v4, header, pseudo: pseudo.folded(), datagram: datagram.folded() })
    }

    /// Whether it has [`HEADERS_V4`] bytes, and not [`HEADERS_V6`].
    #[inline]
    pub const fn is_v4(&self) -> bool {
        self.is_v4
    }

    /// Bytes of all headers.
    #[inline]
    pub const fn len(&self) -> usize {
        if self.is_v4 { HEADERS_V4 } else { HEADERS_V6 }
    }

    /// UDP's checksum of a datagram with this payload, as it stands in its header.
    #[inline(always)]
    pub fn checksum(&self, payload: &[u8]) -> [u8; 2] {
        let len = udp_len(payload.len() as u16);
        // The length stands in the pseudo-header and in the header.
        let mut sum = Sum::of_words(u64::from(self.datagram) + 2 * u64::from(len.to_be()));
        sum.add(payload);
        let checksum = !sum.folded();
        // A zero is sent as all ones (RFC 768).
        (if checksum == 0 { 0xffff } else { checksum }).to_ne_bytes()
    }

    /// The sum of the pseudo-header, which stands in its place where a device will fill it in.
    #[inline(always)]
    pub fn partial(&self, payload_len: u16) -> [u8; 2] {
        with(self.pseudo, udp_len(payload_len)).to_ne_bytes()
    }

    /// Writes all headers, which are so many bytes, to the front of `out`, for so many bytes of payload and with this in the place
    /// of UDP's checksum.
    #[inline(always)]
    pub fn emit<const HEADERS: usize>(&self, out: &mut [u8], to: MacAddress, payload_len: u16, checksum: [u8; 2]) {
        let len = udp_len(payload_len);
        let Some(out) = space::<HEADERS>(out) else { return };
        *out = get::<0, HEADERS, _>(&self.bytes);
        set::<0, 6, _>(out, to.0);
        if HEADERS == HEADERS_V4 {
            let total = len.wrapping_add(ipv4::HEADER as u16);
            set::<16, 2, _>(out, total.to_be_bytes());
            set::<24, 2, _>(out, (!with(self.header, total)).to_ne_bytes());
            set::<38, 2, _>(out, len.to_be_bytes());
            set::<40, 2, _>(out, checksum);
        } else {
            set::<18, 2, _>(out, len.to_be_bytes());
            // Where the last four bytes are, whichever it is.
            let Some(end) = out.last_chunk_mut::<4>() else { return };
            set::<0, 2, _>(end, len.to_be_bytes());
            set::<2, 2, _>(end, checksum);
        }
    }
}

/// Bytes of UDP's header and of a payload that fits behind it.
#[inline(always)]
const fn udp_len(payload_len: u16) -> u16 {
    payload_len.wrapping_add(udp::HEADER as u16)
}

/// A sum that is folded, with a number behind it.
#[inline(always)]
const fn with(sum: u16, number: u16) -> u16 {
    // The sum's words are as the machine has them.
    fold_two(sum as u32 + number.to_be() as u32)
}
