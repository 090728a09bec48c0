// SPDX-License-Identifier: MIT OR Apache-2.0
//! A TCP segment that is whole in one frame and ordinary: Ethernet without a tag, IPv4 without options, TCP with ACK, perhaps PSH,
//! and timestamps alone as RFC 7323 appendix A lays them out. All of its headers are one array, as those of [`whole`] are.
//!
//! What must always hold: a frame that is found here is one that the views of the three protocols accept, and they find the same
//! in it; what is written here is what their headers write. They allow more, and what is not found here is for them.
//!
//! [`whole`]: super::whole

use core::net::Ipv4Addr;

use super::bytes::{get, get_u16, get_u32, set, space};
use super::checksum::{Sum, fold};
use super::tcp::{self, Flags, Timestamps};
use super::whole::Station;
use super::{Ecn, EtherType, MacAddress, Protocol, ethernet, ipv4};

/// Bytes of TCP's header with timestamps.
const TRANSPORT: usize = tcp::HEADER + 12;
/// Bytes of all headers.
pub const HEADERS: usize = ethernet::HEADER + ipv4::HEADER + TRANSPORT;
/// Where TCP's header begins.
pub const AT: usize = ethernet::HEADER + ipv4::HEADER;

/// The type of the frame, the version and header length of IPv4, no class of service.
const IS_V4: u32 = (EtherType::IPV4.0 as u32) << 16 | 0x4500;
/// No more fragments, at no offset; beside the hops, the protocol.
const WHOLE: u32 = 0x3fff_00ff;
const TCP: u32 = Protocol::TCP.0 as u32;
const DONT_FRAGMENT: u32 = 0x4000;
/// The data offset and ACK, without PSH.
const IS_PLAIN: u16 = (TRANSPORT as u16 / 4) << 12 | Flags::ACK.0 as u16;
/// NOP, NOP, timestamps, ten bytes.
const CLOCKS: u32 = 0x0101_080a;

/// TCP's header, but for the ports.
#[derive(Clone, Copy, Debug)]
pub struct Plain {
    /// The sequence number of the first byte, or of the next if there is none.
    pub sequence: u32,
    /// The sequence number that the sender expects next.
    pub acknowledgment: u32,
    /// ACK, and perhaps PSH.
    pub flags: Flags,
    /// The window, not scaled.
    pub window: u16,
    /// The clocks of both ends.
    pub clocks: Timestamps,
}

/// A segment where it lies.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    headers: &'a [u8; HEADERS],
    /// Without what stands behind it.
    payload: &'a [u8],
}

impl<'a> View<'a> {
    /// Does not look at checksums, nor whether the addresses make sense.
    #[inline(always)]
    pub fn new(frame: &'a [u8]) -> Option<Self> {
        let (headers, behind) = frame.split_first_chunk::<HEADERS>()?;
        // Whether routers may mark it is nothing out of the ordinary, but that one has is.
        let (kind, service) = (get_u32::<12, _>(headers) & !3, headers[15] & 3);
        let is_plain = get_u16::<46, _>(headers) & !u16::from(Flags::PSH.0) == IS_PLAIN;
        if kind != IS_V4 || service == 3 || get_u32::<20, _>(headers) & WHOLE != TCP || !is_plain {
            return None;
        }
        if get_u32::<54, _>(headers) != CLOCKS {
            return None;
        }
        let len = usize::from(get_u16::<16, _>(headers)).wrapping_sub(ipv4::HEADER + TRANSPORT);
        Some(Self { headers, payload: behind.get(..len)? })
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

    /// Bytes of the payload.
    #[inline(always)]
    pub const fn payload_len(&self) -> usize {
        self.payload.len()
    }

    /// TCP's header.
    #[inline(always)]
    pub fn header(&self) -> Plain {
        Plain {
            sequence: get_u32::<38, _>(self.headers),
            acknowledgment: get_u32::<42, _>(self.headers),
            flags: Flags(self.headers[47]),
            window: get_u16::<48, _>(self.headers),
            clocks: Timestamps { value: get_u32::<58, _>(self.headers), echo: get_u32::<62, _>(self.headers) },
        }
    }

    /// Whether the checksum of the IP header is right.
    #[inline(always)]
    pub fn header_is_right(&self) -> bool {
        Sum::new().and(&get::<14, { ipv4::HEADER }, _>(self.headers)).is_right()
    }

    /// Whether TCP's checksum is right.
    #[inline(always)]
    pub fn segment_is_right(&self) -> bool {
        // The addresses stand right in front of TCP's header.
        let mut sum = Sum::new().and(&get::<26, { 8 + TRANSPORT }, _>(self.headers));
        sum.add_u32(TCP << 16 | (TRANSPORT + self.payload.len()) as u32 & 0xffff);
        sum.add(self.payload);
        sum.is_right()
    }
}

/// What stands in the headers beside the segment's own.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    /// From which station.
    pub mac: MacAddress,
    /// From whom, to whom.
    pub addresses: (Ipv4Addr, Ipv4Addr),
    /// From which port, to which.
    pub ports: (u16, u16),
    /// Over how many routers it may go.
    pub hops: u8,
    /// Whether they may mark it.
    pub ecn: Ecn,
}

/// Writes all headers to the front of `out`, for a payload of so many bytes. `payload`: their sum; `None`: the device fills the
/// checksum in, and only the pseudo-header's sum stands there.
#[inline(always)]
pub fn emit(out: &mut [u8], ends: &Ends, to: MacAddress, segment: &Plain, len: usize, payload: Option<Sum>) {
    let Some(out) = space::<HEADERS>(out) else { return };
    let total = (ipv4::HEADER + TRANSPORT + len) as u32;
    set::<0, 6, _>(out, to.0);
    set::<6, 6, _>(out, ends.mac.0);
    set::<12, 4, _>(out, (IS_V4 | ends.ecn as u32).to_be_bytes());
    // One that is not fragmented needs no identification (RFC 6864 section 4.1).
    set::<16, 4, _>(out, (total << 16).to_be_bytes());
    let hops = u32::from(ends.hops) << 8 | TCP;
    set::<20, 4, _>(out, (DONT_FRAGMENT << 16 | hops).to_be_bytes());
    set::<24, 2, _>(out, [0, 0]);
    set::<26, 4, _>(out, ends.addresses.0.octets());
    set::<30, 4, _>(out, ends.addresses.1.octets());
    let ports = u32::from(ends.ports.0) << 16 | u32::from(ends.ports.1);
    set::<34, 4, _>(out, ports.to_be_bytes());
    set::<38, 4, _>(out, segment.sequence.to_be_bytes());
    set::<42, 4, _>(out, segment.acknowledgment.to_be_bytes());
    let plain = u32::from(IS_PLAIN | u16::from(segment.flags.0));
    set::<46, 2, _>(out, (plain as u16).to_be_bytes());
    set::<48, 2, _>(out, segment.window.to_be_bytes());
    set::<50, 4, _>(out, [0; 4]);
    set::<54, 4, _>(out, CLOCKS.to_be_bytes());
    set::<58, 4, _>(out, segment.clocks.value.to_be_bytes());
    set::<62, 4, _>(out, segment.clocks.echo.to_be_bytes());
    // Both sums are of the numbers: to read them back in other pieces than they were written in would wait for the writes. So few
    // of 32 bits do not overflow 64.
    let addresses = u64::from(ends.addresses.0.to_bits()) + u64::from(ends.addresses.1.to_bits());
    let words = IS_V4 & 0xffff | ends.ecn as u32;
    let header = addresses + number(words) + number(total & 0xffff) + number(DONT_FRAGMENT) + number(hops);
    set::<24, 2, _>(out, (!fold(header)).to_be_bytes());
    let pseudo = addresses + number(TCP) + number((TRANSPORT + len) as u32 & 0xffff);
    let checksum = if let Some(payload) = payload {
        let fixed = number(ports) + number(plain) + number(u32::from(segment.window)) + number(CLOCKS);
        let numbers = number(segment.sequence) + number(segment.acknowledgment);
        let clocks = number(segment.clocks.value) + number(segment.clocks.echo);
        !fold(pseudo + fixed + numbers + clocks + number(payload.partial().into()))
    } else {
        fold(pseudo)
    };
    set::<50, 2, _>(out, checksum.to_be_bytes());
}

#[inline(always)]
const fn number(value: u32) -> u64 {
    value as u64
}
