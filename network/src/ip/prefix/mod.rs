// SPDX-License-Identifier: MIT OR Apache-2.0
//! An address with the length of its prefix: what an interface has, and what a route leads to (RFC 4632, RFC 4291
//! §2.3).
//!
//! What must always hold: the length is at most that of the address, 32 or 128 bits.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use runtime::{Errno, Error, Result};

const NOT_AN_ADDRESS: Error = Error::new(Errno::INVAL, "not an IP address in front of the '/'");
const NO_LENGTH: Error = Error::new(Errno::INVAL, "a prefix is ADDRESS/LENGTH, such as 10.0.0.1/24");
const TOO_LONG: Error = Error::new(Errno::INVAL, "a prefix length is at most 32 in IPv4 and 128 in IPv6");

/// An address and how many of its leading bits name the network.
///
/// ```
/// use network::ip::Prefix;
///
/// let prefix: Prefix = "10.0.0.1/24".parse()?;
/// assert!(prefix.contains("10.0.0.200".parse().unwrap()));
/// assert_eq!(prefix.network().to_string(), "10.0.0.0/24");
/// # Ok::<(), runtime::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

/// How many bits an address of this family has.
pub(crate) const fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The address as the high bits of one number, so that prefixes of both families are compared the same way.
pub(crate) const fn high_bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => (address.to_bits() as u128) << 96,
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The address of `like`'s family with these high bits.
const fn from_high_bits(bits: u128, like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits((bits >> 96) as u32)),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(bits)),
    }
}

/// So many ones, at the high end.
pub(crate) const fn high_mask(length: u8) -> u128 {
    match u128::MAX.checked_shr(length as u32) {
        Some(low) => !low,
        None => u128::MAX,
    }
}

impl Prefix {
    /// # Errors
    /// `EINVAL` if the length is beyond 32 for IPv4 or 128 for IPv6.
    pub const fn new(address: IpAddr, length: u8) -> Result<Self> {
        if length <= width(address) { Ok(Self { address, length }) } else { Err(TOO_LONG) }
    }

    /// The prefix of one address alone.
    #[must_use]
    pub const fn host(address: IpAddr) -> Self {
        Self { address, length: width(address) }
    }

    /// What leads everywhere in IPv4.
    pub const DEFAULT_V4: Self = Self { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), length: 0 };

    /// What leads everywhere in IPv6.
    pub const DEFAULT_V6: Self = Self { address: IpAddr::V6(Ipv6Addr::UNSPECIFIED), length: 0 };

    /// The prefix of every IPv6 link, fe80::/64 (RFC 4291 §2.5.6).
    pub const LINK_LOCAL: Self = Self { address: IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), length: 64 };

    /// The address, with the bits behind the prefix.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// The length of the prefix in bits.
    #[must_use]
    pub const fn length(&self) -> u8 {
        self.length
    }

    /// Whether the address lies in it. One of the other family does not, a v4-mapped one included.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4()
            && (high_bits(self.address) ^ high_bits(address)) & high_mask(self.length) == 0
    }

    /// The same prefix with the bits behind it cleared.
    #[must_use]
    pub const fn network(&self) -> Self {
        let network = high_bits(self.address) & high_mask(self.length);
        Self { address: from_high_bits(network, self.address), length: self.length }
    }

    /// The length as a mask, such as 255.255.255.0.
    #[must_use]
    pub const fn mask(&self) -> IpAddr {
        from_high_bits(high_mask(self.length), self.address)
    }

    /// The directed broadcast address (RFC 1122 §3.2.1.3 d): none in IPv6, and none where there is no room for one, on
    /// a link between two (RFC 3021) and for a single host.
    #[must_use]
    pub const fn broadcast(&self) -> Option<Ipv4Addr> {
        match self.address {
            IpAddr::V4(address) if self.length < 31 => {
                Some(Ipv4Addr::from_bits(address.to_bits() | !((high_mask(self.length) >> 96) as u32)))
            }
            IpAddr::V4(_) | IpAddr::V6(_) => None,
        }
    }

    /// Whether the address is that of the network itself: the old form of a broadcast, which is accepted and never sent
    /// (RFC 1122 §3.3.6), and in IPv6 the routers' anycast address (RFC 4291 §2.6.1). Not on a link between two (RFC
    /// 3021, RFC 6164).
    #[must_use]
    pub fn is_network_address(&self, address: IpAddr) -> bool {
        self.length < width(self.address) - 1 && self.network().address == address
    }
}

impl FromStr for Prefix {
    type Err = Error;

    /// Reads `ADDRESS/LENGTH`; the length is not left out, since a forgotten one is the usual mistake.
    fn from_str(text: &str) -> Result<Self> {
        let (address, length) = text.split_once('/').ok_or(NO_LENGTH)?;
        let address = address.parse().map_err(|_| NOT_AN_ADDRESS)?;
        // Digits only: no sign, which `parse` would take.
        if length.is_empty() || !length.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NO_LENGTH);
        }
        Self::new(address, length.parse().map_err(|_| TOO_LONG)?)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
