// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hardware addresses (IEEE 802, 48 bits), and those of multicast groups (RFC 1112 section 6.4, RFC 2464 section 7).

use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

/// A hardware address, the byte that is sent first at the front.
///
/// ```
/// use network::wire::MacAddress;
///
/// let mac: MacAddress = "02:00:5e:10:00:01".parse()?;
/// assert_eq!(mac, MacAddress([0x02, 0x00, 0x5e, 0x10, 0x00, 0x01]));
/// assert_eq!(mac.to_string(), "02:00:5e:10:00:01");
/// # Ok::<(), network::wire::NotMac>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// Everybody on the link.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// None: what stands in ARP where the address is not known.
    pub const UNSPECIFIED: Self = Self([0; 6]);

    /// Whether it names a group; the broadcast address does.
    #[inline]
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// Whether it is that of everybody.
    #[inline]
    pub const fn is_broadcast(self) -> bool {
        matches!(self.0, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff])
    }

    /// Whether it can be that of one host: no group, not zero.
    #[inline]
    pub const fn is_unicast(self) -> bool {
        !self.is_multicast() && !matches!(self.0, [0, 0, 0, 0, 0, 0])
    }

    /// Where packets to a multicast address go: its low 23 bits behind 01:00:5e, or its low 32 behind 33:33. Of an address
    /// that is no multicast one, the result means nothing.
    #[inline]
    pub const fn multicast_of(group: IpAddr) -> Self {
        match group {
            IpAddr::V4(group) => {
                let [_, a, b, c] = group.octets();
                Self([0x01, 0x00, 0x5e, a & 0x7f, b, c])
            }
            IpAddr::V6(group) => {
                let [.., a, b, c, d] = group.octets();
                Self([0x33, 0x33, a, b, c, d])
            }
        }
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, rest @ ..] = self.0;
        write!(f, "{first:02x}")?;
        rest.iter().try_for_each(|byte| write!(f, ":{byte:02x}"))
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no hardware address: six pairs of hexadecimal digits, with colons between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotMac;

impl fmt::Display for NotMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a hardware address is six pairs of hexadecimal digits with colons between, such as 02:00:00:00:00:01",
        )
    }
}

impl core::error::Error for NotMac {}

impl FromStr for MacAddress {
    type Err = NotMac;

    fn from_str(text: &str) -> Result<Self, NotMac> {
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().ok_or(NotMac)?;
            // `from_str_radix` would take a sign.
            if part.len() != 2 || !part.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(NotMac);
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| NotMac)?;
        }
        if parts.next().is_some() { Err(NotMac) } else { Ok(Self(bytes)) }
    }
}
