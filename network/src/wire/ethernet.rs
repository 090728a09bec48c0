// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ethernet II frames (RFC 894, IEEE 802.3) without preamble and frame check sequence.

use super::bytes::{front, get_mac, get_u16, set, space};
use super::{EtherType, MacAddress, Malformed};

/// Bytes of a header.
pub const HEADER: usize = 14;

/// A frame where it lies.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    header: &'a [u8; HEADER],
    payload: &'a [u8],
}

impl<'a> View<'a> {
    /// # Errors
    /// Shorter than a header.
    #[inline]
    pub const fn new(bytes: &'a [u8]) -> Result<Self, Malformed> {
        match front(bytes) {
            Ok((header, payload)) => Ok(Self { header, payload }),
            Err(malformed) => Err(malformed),
        }
    }

    /// To whom.
    #[inline]
    pub fn destination(&self) -> MacAddress {
        get_mac::<0, _>(self.header)
    }

    /// From whom.
    #[inline]
    pub fn source(&self) -> MacAddress {
        get_mac::<6, _>(self.header)
    }

    /// What it carries.
    #[inline]
    pub fn ether_type(&self) -> EtherType {
        EtherType(get_u16::<12, _>(self.header))
    }

    /// Bytes of the header.
    #[inline]
    pub const fn header_len(&self) -> usize {
        HEADER
    }

    /// What stands behind the header, padding included.
    #[inline]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// A header as a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// To whom.
    pub destination: MacAddress,
    /// From whom.
    pub source: MacAddress,
    /// What it carries.
    pub ether_type: EtherType,
}

impl Header {
    /// # Errors
    /// The source is a group (IEEE 802.3, 3.2.3), or the type is a length.
    #[inline]
    pub fn parse(view: &View<'_>) -> Result<Self, Malformed> {
        let header = Self { destination: view.destination(), source: view.source(), ether_type: view.ether_type() };
        if header.source.is_multicast() || header.ether_type.is_length() {
            return Err(Malformed::Field);
        }
        Ok(header)
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
        set::<0, 6, _>(out, self.destination.0);
        set::<6, 6, _>(out, self.source.0);
        set::<12, 2, _>(out, self.ether_type.0.to_be_bytes());
    }
}
