// SPDX-License-Identifier: MIT OR Apache-2.0
//! ARP for IPv4 over Ethernet (RFC 826).

use core::net::Ipv4Addr;

use super::bytes::{front, get_mac, get_u16, get_v4, set, space};
use super::{EtherType, MacAddress, Malformed};

/// Bytes of a packet.
pub const PACKET: usize = 28;

/// The number of Ethernet among the kinds of hardware.
const ETHERNET: u16 = 1;

/// What a packet wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Who has the target address?
    Request,
    /// The sender has the sender address.
    Reply,
}

/// A packet where it lies.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    header: &'a [u8; PACKET],
    payload: &'a [u8],
}

impl<'a> View<'a> {
    /// # Errors
    /// Too short, or not about IPv4 over Ethernet.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (header, payload) = front::<PACKET>(bytes)?;
        if get_u16::<0, _>(header) != ETHERNET || get_u16::<2, _>(header) != EtherType::IPV4.0 {
            return Err(Malformed::Field);
        }
        if header[4] != 6 || header[5] != 4 {
            return Err(Malformed::Length);
        }
        Ok(Self { header, payload })
    }

    /// The operation's number.
    #[inline]
    pub fn operation(&self) -> u16 {
        get_u16::<6, _>(self.header)
    }

    /// The hardware address of who asks or answers.
    #[inline]
    pub fn sender_mac(&self) -> MacAddress {
        get_mac::<8, _>(self.header)
    }

    /// The protocol address of who asks or answers; unspecified in a probe (RFC 5227 section 1.1).
    #[inline]
    pub fn sender(&self) -> Ipv4Addr {
        get_v4::<14, _>(self.header)
    }

    /// The hardware address of who is asked for; means nothing in a request.
    #[inline]
    pub fn target_mac(&self) -> MacAddress {
        get_mac::<18, _>(self.header)
    }

    /// The protocol address of who is asked for.
    #[inline]
    pub fn target(&self) -> Ipv4Addr {
        get_v4::<24, _>(self.header)
    }

    /// Bytes of the packet.
    #[inline]
    pub const fn header_len(&self) -> usize {
        PACKET
    }

    /// What stands behind the packet: padding.
    #[inline]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// A packet as a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What it wants.
    pub operation: Operation,
    /// The hardware address of who asks or answers.
    pub sender_mac: MacAddress,
    /// The protocol address of who asks or answers; unspecified in a probe.
    pub sender: Ipv4Addr,
    /// The hardware address of who is asked for; means nothing in a request.
    pub target_mac: MacAddress,
    /// The protocol address of who is asked for.
    pub target: Ipv4Addr,
}

impl Header {
    /// # Errors
    /// Another operation, or a sender that cannot be a host.
    #[inline]
    pub fn parse(view: &View<'_>) -> Result<Self, Malformed> {
        let operation = match view.operation() {
            1 => Operation::Request,
            2 => Operation::Reply,
            _ => return Err(Malformed::Field),
        };
        let (sender_mac, sender) = (view.sender_mac(), view.sender());
        if !sender_mac.is_unicast() || sender.is_multicast() || sender.is_broadcast() {
            return Err(Malformed::Field);
        }
        Ok(Self { operation, sender_mac, sender, target_mac: view.target_mac(), target: view.target() })
    }

    /// Bytes that [`emit`](Self::emit) writes.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "a packet is never empty")]
    pub const fn len(&self) -> usize {
        PACKET
    }

    /// Writes it to the front of `out`.
    #[inline]
    pub fn emit(&self, out: &mut [u8]) {
        let Some(out) = space::<PACKET>(out) else { return };
        set::<0, 2, _>(out, ETHERNET.to_be_bytes());
        set::<2, 2, _>(out, EtherType::IPV4.0.to_be_bytes());
        set::<4, 2, _>(out, [6, 4]);
        let operation = match self.operation {
            Operation::Request => 1_u16,
            Operation::Reply => 2,
        };
        set::<6, 2, _>(out, operation.to_be_bytes());
        set::<8, 6, _>(out, self.sender_mac.0);
        set::<14, 4, _>(out, self.sender.octets());
        set::<18, 6, _>(out, self.target_mac.0);
        set::<24, 4, _>(out, self.target.octets());
    }
}
