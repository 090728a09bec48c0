// SPDX-License-Identifier: MIT OR Apache-2.0
//! VLAN tags (IEEE 802.1Q, 9.6), as they stand behind an Ethernet header of type [`EtherType::VLAN`].

use super::bytes::{front, get_u16, set, space};
use super::{EtherType, Malformed};

/// Bytes of a tag.
pub const HEADER: usize = 4;

/// A tag and what follows, where they lie.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    header: &'a [u8; HEADER],
    payload: &'a [u8],
}

impl<'a> View<'a> {
    /// A view of an Ethernet frame's payload.
    ///
    /// # Errors
    /// Shorter than a tag.
    #[inline]
    pub const fn new(bytes: &'a [u8]) -> Result<Self, Malformed> {
        match front(bytes) {
            Ok((header, payload)) => Ok(Self { header, payload }),
            Err(malformed) => Err(malformed),
        }
    }

    /// The VLAN, 0 to 4095; 0 says that only the priority counts.
    #[inline]
    pub fn id(&self) -> u16 {
        get_u16::<0, _>(self.header) & 0x0fff
    }

    /// The priority, 0 to 7.
    #[inline]
    pub const fn priority(&self) -> u8 {
        self.header[0] >> 5
    }

    /// Whether it is to be dropped first.
    #[inline]
    pub const fn drop_eligible(&self) -> bool {
        self.header[0] & 0x10 != 0
    }

    /// What the frame carries.
    #[inline]
    pub fn ether_type(&self) -> EtherType {
        EtherType(get_u16::<2, _>(self.header))
    }

    /// Bytes of the tag.
    #[inline]
    pub const fn header_len(&self) -> usize {
        HEADER
    }

    /// What stands behind the tag.
    #[inline]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// A tag as a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The VLAN, 0 to 4094.
    pub id: u16,
    /// The priority, 0 to 7.
    pub priority: u8,
    /// Whether it is to be dropped first.
    pub drop_eligible: bool,
    /// What the frame carries.
    pub ether_type: EtherType,
}

impl Header {
    /// # Errors
    /// The VLAN 4095, which is reserved; a second tag; a length for a type.
    #[inline]
    pub fn parse(view: &View<'_>) -> Result<Self, Malformed> {
        let ether_type = view.ether_type();
        if view.id() == 0x0fff || ether_type == EtherType::VLAN || ether_type.is_length() {
            return Err(Malformed::Field);
        }
        Ok(Self { id: view.id(), priority: view.priority(), drop_eligible: view.drop_eligible(), ether_type })
    }

    /// Bytes that [`emit`](Self::emit) writes.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "a tag is never empty")]
    pub const fn len(&self) -> usize {
        HEADER
    }

    /// Writes it to the front of `out`.
    #[inline]
    pub fn emit(&self, out: &mut [u8]) {
        let Some(out) = space::<HEADER>(out) else { return };
        let control = u16::from(self.priority & 7) << 13 | u16::from(self.drop_eligible) << 12 | self.id & 0x0fff;
        set::<0, 2, _>(out, control.to_be_bytes());
        set::<2, 2, _>(out, self.ether_type.0.to_be_bytes());
    }
}
