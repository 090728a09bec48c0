// SPDX-License-Identifier: MIT OR Apache-2.0
//! UDP datagrams (RFC 768; RFC 8200 section 8.1 for IPv6).

use super::Malformed;
use super::bytes::{front, get_u16, set, space};
use super::checksum::Sum;

/// Bytes of a header.
pub const HEADER: usize = 8;
/// Where in the header the checksum stands.
pub const CHECKSUM: usize = 6;

/// A datagram where it lies.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    header: &'a [u8; HEADER],
    payload: &'a [u8],
}

impl<'a> View<'a> {
    /// Bytes beyond the datagram's length are left out.
    ///
    /// # Errors
    /// Shorter than its length, or a length shorter than the header.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Result<Self, Malformed> {
        Self::of_front(bytes, bytes.len())
    }

    /// A view of the first bytes of a datagram, of which `length` bytes came in all: [`payload`](Self::payload) is what of it
    /// stands here.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    #[inline]
    pub fn of_front(bytes: &'a [u8], length: usize) -> Result<Self, Malformed> {
        let (header, rest) = front::<HEADER>(bytes)?;
        let len = usize::from(get_u16::<4, _>(header));
        let payload_len = len.checked_sub(HEADER).ok_or(Malformed::Length)?;
        if len > length {
            return Err(Malformed::Truncated);
        }
        Ok(Self { header, payload: rest.get(..payload_len).unwrap_or(rest) })
    }

    /// The sender's port, or zero.
    #[inline]
    pub fn source(&self) -> u16 {
        get_u16::<0, _>(self.header)
    }

    /// The receiver's port.
    #[inline]
    pub fn destination(&self) -> u16 {
        get_u16::<2, _>(self.header)
    }

    /// Bytes of the datagram, header included.
    #[inline]
    pub fn length(&self) -> u16 {
        get_u16::<4, _>(self.header)
    }

    /// The checksum; zero says that there is none, which IPv6 does not allow.
    #[inline]
    pub fn checksum(&self) -> u16 {
        get_u16::<CHECKSUM, _>(self.header)
    }

    /// Whether the checksum is right, if all bytes are here; `pseudo_header` is for [`length`](Self::length) bytes. Does not
    /// know that zero is none.
    #[inline]
    pub fn checksum_is_right(&self, mut pseudo_header: Sum) -> bool {
        pseudo_header.add_words(self.header);
        pseudo_header.add(self.payload);
        pseudo_header.is_right()
    }

    /// Bytes of the header.
    #[inline]
    pub const fn header_len(&self) -> usize {
        HEADER
    }

    /// What stands behind the header.
    #[inline]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// A header as a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The sender's port, or zero.
    pub source: u16,
    /// The receiver's port, not zero.
    pub destination: u16,
    /// Bytes behind the header, at most 65,527.
    pub payload_len: u16,
}

impl Header {
    /// Does not look at the checksum.
    ///
    /// # Errors
    /// The destination is zero.
    #[inline]
    pub fn parse(view: &View<'_>) -> Result<Self, Malformed> {
        if view.destination() == 0 {
            return Err(Malformed::Field);
        }
        let payload_len = view.length().saturating_sub(HEADER as u16);
        Ok(Self { source: view.source(), destination: view.destination(), payload_len })
    }

    /// Bytes that [`emit`](Self::emit) writes.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "a header is never empty")]
    pub const fn len(&self) -> usize {
        HEADER
    }

    /// Writes it to the front of `out`, the checksum zero: see [`complete`].
    #[inline]
    pub fn emit(&self, out: &mut [u8]) {
        let Some(out) = space::<HEADER>(out) else { return };
        set::<0, 2, _>(out, self.source.to_be_bytes());
        set::<2, 2, _>(out, self.destination.to_be_bytes());
        set::<4, 2, _>(out, self.payload_len.saturating_add(HEADER as u16).to_be_bytes());
        set::<6, 2, _>(out, [0, 0]);
    }
}

/// Fills in the checksum of a header whose field is zero; `rest` is the sum of pseudo-header and payload. A zero is sent as
/// all ones (RFC 768).
#[inline]
pub fn complete(out: &mut [u8], mut rest: Sum) {
    let Some(out) = space::<HEADER>(out) else { return };
    rest.add_in_front(out);
    let checksum = match rest.finish() {
        0 => 0xffff,
        checksum => checksum,
    };
    set::<CHECKSUM, 2, _>(out, checksum.to_be_bytes());
}

/// Puts the pseudo-header's sum where a device will fill in the checksum ([`runtime::device::Checksum::Partial`], its offset
/// [`CHECKSUM`]).
#[inline]
pub fn partial(out: &mut [u8], pseudo_header: Sum) {
    let Some(out) = space::<HEADER>(out) else { return };
    set::<CHECKSUM, 2, _>(out, pseudo_header.partial().to_be_bytes());
}
