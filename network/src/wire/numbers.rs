// SPDX-License-Identifier: MIT OR Apache-2.0
//! Numbers that more than one protocol uses: EtherTypes (IEEE 802), protocol numbers (IANA; RFC 8200 section 4.1) and the
//! bits of explicit congestion notification (RFC 3168 section 5).

/// What an Ethernet frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EtherType(pub u16);

impl EtherType {
    /// IPv4 (RFC 894).
    pub const IPV4: Self = Self(0x0800);
    /// ARP (RFC 826).
    pub const ARP: Self = Self(0x0806);
    /// A VLAN tag (IEEE 802.1Q).
    pub const VLAN: Self = Self(0x8100);
    /// IPv6 (RFC 2464).
    pub const IPV6: Self = Self(0x86dd);

    /// Whether it is no type but the length of an IEEE 802.3 frame: RFC 1122 section 2.3.3 leaves those to others.
    #[inline]
    pub const fn is_length(self) -> bool {
        self.0 < 0x0600
    }
}

/// What an IP packet, or an IPv6 extension header, carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Protocol(pub u8);

impl Protocol {
    /// IPv6 hop-by-hop options.
    pub const HOP_BY_HOP: Self = Self(0);
    /// ICMP of IPv4.
    pub const ICMPV4: Self = Self(1);
    /// IGMP.
    pub const IGMP: Self = Self(2);
    /// TCP.
    pub const TCP: Self = Self(6);
    /// UDP.
    pub const UDP: Self = Self(17);
    /// IPv6 routing header.
    pub const ROUTING: Self = Self(43);
    /// IPv6 fragment header.
    pub const FRAGMENT: Self = Self(44);
    /// ICMP of IPv6.
    pub const ICMPV6: Self = Self(58);
    /// Nothing follows.
    pub const NO_NEXT_HEADER: Self = Self(59);
    /// IPv6 destination options.
    pub const DESTINATION_OPTIONS: Self = Self(60);
}

/// Explicit congestion notification: the two low bits of the traffic class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Ecn {
    /// The transport does not take part.
    #[default]
    NotCapable = 0,
    /// Capable, ECT(1).
    Capable1 = 1,
    /// Capable, ECT(0): what senders use.
    Capable0 = 2,
    /// Congestion experienced: a router has said so.
    Congestion = 3,
}

impl Ecn {
    /// That of a traffic class byte.
    #[inline]
    pub const fn of(traffic_class: u8) -> Self {
        match traffic_class & 3 {
            0 => Self::NotCapable,
            1 => Self::Capable1,
            2 => Self::Capable0,
            _ => Self::Congestion,
        }
    }
}
