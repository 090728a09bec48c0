// SPDX-License-Identifier: MIT OR Apache-2.0
//! Neighbour discovery (RFC 4861 section 4), the messages that stand in ICMPv6 over Ethernet (RFC 2464 section 6).
//!
//! What RFC 4861 asks of the IPv6 header too (sections 6.1 and 7.1: hop limit 255, which addresses) and the checksum are the
//! caller's to check.

use arrayvec::ArrayVec;
use core::net::Ipv6Addr;

use super::bytes::{Writer, front, get_mac, get_u16, get_u32, get_v6};
use super::{MacAddress, Malformed};
use crate::limits::ADVERTISED_PREFIXES_MAX;

const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const REDIRECT: u8 = 137;

const OPTION_SOURCE: u8 = 1;
const OPTION_TARGET: u8 = 2;
const OPTION_PREFIX: u8 = 3;
const OPTION_MTU: u8 = 5;

/// Bytes of an option with a hardware address.
const MAC_OPTION: usize = 8;
const PREFIX_OPTION: usize = 32;
const MTU_OPTION: usize = 8;

const ROUTER: u32 = 1 << 31;
const SOLICITED: u32 = 1 << 30;
const OVERRIDE: u32 = 1 << 29;
const MANAGED: u8 = 0x80;
const OTHER: u8 = 0x40;
const ON_LINK: u8 = 0x80;
const AUTONOMOUS: u8 = 0x40;

/// A message where it lies, from the ICMPv6 header on.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    fixed: &'a [u8],
    options: &'a [u8],
}

impl<'a> View<'a> {
    /// Walks the options: one without a length, or that is cut off, spoils the message (RFC 4861 section 4.6).
    ///
    /// # Errors
    /// Another kind of message, a code that is not zero, too short, options as above.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (start, _) = front::<8>(bytes)?;
        let fixed_len = match start[0] {
            ROUTER_SOLICITATION => 8,
            ROUTER_ADVERTISEMENT => 16,
            NEIGHBOUR_SOLICITATION | NEIGHBOUR_ADVERTISEMENT => 24,
            REDIRECT => 40,
            _ => return Err(Malformed::Field),
        };
        if start[1] != 0 {
            return Err(Malformed::Field);
        }
        let (fixed, options) = bytes.split_at_checked(fixed_len).ok_or(Malformed::Truncated)?;
        let view = Self { fixed, options };
        let walked: usize = view.options().map(|(_, option)| option.len()).sum();
        if walked == options.len() { Ok(view) } else { Err(Malformed::Options) }
    }

    /// The message's type.
    #[inline]
    pub fn kind(&self) -> u8 {
        self.fixed.first().copied().unwrap_or_default()
    }

    /// Bytes in front of the options.
    #[inline]
    pub const fn header_len(&self) -> usize {
        self.fixed.len()
    }

    /// The options' bytes.
    #[inline]
    pub const fn payload(&self) -> &'a [u8] {
        self.options
    }

    /// The options: kind, and all bytes with the kind's.
    pub fn options(&self) -> impl Iterator<Item = (u8, &'a [u8])> + use<'a> {
        let mut rest = self.options;
        core::iter::from_fn(move || {
            let &[kind, units, ..] = rest else { return None };
            let (option, behind) =
                rest.split_at_checked(usize::from(units) * 8).filter(|(option, _)| !option.is_empty())?;
            rest = behind;
            Some((kind, option))
        })
    }

    /// The hardware address in the first option of the kind.
    fn mac(&self, kind: u8) -> Result<Option<MacAddress>, Malformed> {
        self.options()
            .find(|option| option.0 == kind)
            .map(|(_, bytes)| sized::<MAC_OPTION>(bytes).map(get_mac::<2, _>))
            .transpose()
    }

    /// The fixed part, whose length is that of the kind.
    fn fixed<const N: usize>(&self) -> Result<&'a [u8; N], Malformed> {
        Ok(front(self.fixed)?.0)
    }
}

/// An option of known length.
fn sized<const N: usize>(option: &[u8]) -> Result<&[u8; N], Malformed> {
    option.try_into().map_err(|_| Malformed::Options)
}

/// A message as a value. Options that it does not name are skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "short-lived; a box would be an allocation")]
pub enum Header {
    /// Which routers are there?
    RouterSolicitation {
        /// Who asks, unless it has no address yet.
        source_mac: Option<MacAddress>,
    },
    /// Here is a router.
    RouterAdvertisement(RouterAdvertisement),
    /// Who has this address?
    NeighbourSolicitation {
        /// The address.
        target: Ipv6Addr,
        /// Who asks, unless it has no address yet.
        source_mac: Option<MacAddress>,
    },
    /// Here is the address.
    NeighbourAdvertisement {
        /// The address.
        target: Ipv6Addr,
        /// Whether it is a router.
        router: bool,
        /// Whether it was asked for.
        solicited: bool,
        /// Whether it replaces what is known.
        override_: bool,
        /// Who has it; may be missing in the answer to a probe.
        target_mac: Option<MacAddress>,
    },
    /// A router says that another next hop is better.
    Redirect {
        /// The better next hop; the destination itself if that is on the link.
        target: Ipv6Addr,
        /// For packets to this address.
        destination: Ipv6Addr,
        /// The hardware address of the target.
        target_mac: Option<MacAddress>,
    },
}

/// What a router tells the hosts of its link (RFC 4861 section 4.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouterAdvertisement {
    /// The hop limit to send with; zero: not said.
    pub hop_limit: u8,
    /// Whether addresses come by DHCPv6.
    pub managed: bool,
    /// Whether other configuration does.
    pub other: bool,
    /// For how many seconds it is a default router; zero: it is none.
    pub lifetime: u16,
    /// For how many milliseconds a neighbour counts as reachable; zero: not said.
    pub reachable: u32,
    /// Milliseconds between solicitations; zero: not said.
    pub retransmit: u32,
    /// The router's hardware address.
    pub source_mac: Option<MacAddress>,
    /// The link's MTU.
    pub mtu: Option<u32>,
    /// The link's prefixes; of more than fit, the first.
    pub prefixes: ArrayVec<PrefixInformation, ADVERTISED_PREFIXES_MAX>,
}

/// A prefix of the link (RFC 4861 section 4.6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixInformation {
    /// The prefix; bits beyond its length mean nothing.
    pub prefix: Ipv6Addr,
    /// How many of its bits count, at most 128.
    pub length: u8,
    /// Whether such addresses are on the link.
    pub on_link: bool,
    /// Whether hosts make addresses of it.
    pub autonomous: bool,
    /// Seconds that it is valid; all ones: for ever.
    pub valid: u32,
    /// Seconds that its addresses are preferred; all ones: for ever.
    pub preferred: u32,
}

impl Header {
    /// # Errors
    /// A target that is a group (RFC 4861 section 7.1), an option that is known and has a wrong length.
    pub fn parse(view: &View<'_>) -> Result<Self, Malformed> {
        match view.kind() {
            ROUTER_SOLICITATION => Ok(Self::RouterSolicitation { source_mac: view.mac(OPTION_SOURCE)? }),
            ROUTER_ADVERTISEMENT => RouterAdvertisement::parse(view).map(Self::RouterAdvertisement),
            NEIGHBOUR_SOLICITATION => {
                let target = unicast(get_v6::<8, _>(view.fixed::<24>()?))?;
                Ok(Self::NeighbourSolicitation { target, source_mac: view.mac(OPTION_SOURCE)? })
            }
            NEIGHBOUR_ADVERTISEMENT => {
                let fixed = view.fixed::<24>()?;
                let flags = get_u32::<4, _>(fixed);
                Ok(Self::NeighbourAdvertisement {
                    target: unicast(get_v6::<8, _>(fixed))?,
                    router: flags & ROUTER != 0,
                    solicited: flags & SOLICITED != 0,
                    override_: flags & OVERRIDE != 0,
                    target_mac: view.mac(OPTION_TARGET)?,
                })
            }
            REDIRECT => {
                let fixed = view.fixed::<40>()?;
                let (target, destination) = (get_v6::<8, _>(fixed), unicast(get_v6::<24, _>(fixed))?);
                // RFC 4861 section 8.1: a router by its link-local address, or the destination itself.
                if target != destination && !target.is_unicast_link_local() {
                    return Err(Malformed::Field);
                }
                Ok(Self::Redirect { target, destination, target_mac: view.mac(OPTION_TARGET)? })
            }
            _ => Err(Malformed::Field),
        }
    }

    /// Bytes that [`emit`](Self::emit) writes.
    #[expect(clippy::len_without_is_empty, reason = "a message is never empty")]
    pub fn len(&self) -> usize {
        let mac = |mac: &Option<MacAddress>| if mac.is_some() { MAC_OPTION } else { 0 };
        match self {
            Self::RouterSolicitation { source_mac } => 8 + mac(source_mac),
            Self::RouterAdvertisement(router) => {
                let mtu = if router.mtu.is_some() { MTU_OPTION } else { 0 };
                16 + mac(&router.source_mac) + mtu + router.prefixes.len() * PREFIX_OPTION
            }
            Self::NeighbourSolicitation { source_mac, .. } => 24 + mac(source_mac),
            Self::NeighbourAdvertisement { target_mac, .. } => 24 + mac(target_mac),
            Self::Redirect { target_mac, .. } => 40 + mac(target_mac),
        }
    }

    /// Writes it to the front of `out`, the checksum zero: see [`icmpv6::complete_whole`](super::icmpv6::complete_whole).
    pub fn emit(&self, out: &mut [u8]) {
        let mut out = Writer::new(out);
        let mac = |out: &mut Writer<'_>, kind: u8, mac: Option<MacAddress>| {
            if let Some(mac) = mac {
                out.put(&[kind, 1]);
                out.put(&mac.0);
            }
        };
        match self {
            Self::RouterSolicitation { source_mac } => {
                out.put(&[ROUTER_SOLICITATION, 0, 0, 0, 0, 0, 0, 0]);
                mac(&mut out, OPTION_SOURCE, *source_mac);
            }
            Self::RouterAdvertisement(router) => {
                router.emit(&mut out);
                mac(&mut out, OPTION_SOURCE, router.source_mac);
            }
            Self::NeighbourSolicitation { target, source_mac } => {
                out.put(&[NEIGHBOUR_SOLICITATION, 0, 0, 0, 0, 0, 0, 0]);
                out.put(&target.octets());
                mac(&mut out, OPTION_SOURCE, *source_mac);
            }
            Self::NeighbourAdvertisement { target, router, solicited, override_, target_mac } => {
                out.put(&[NEIGHBOUR_ADVERTISEMENT, 0, 0, 0]);
                let flag = |set: bool, bit: u32| if set { bit } else { 0 };
                out.u32(flag(*router, ROUTER) | flag(*solicited, SOLICITED) | flag(*override_, OVERRIDE));
                out.put(&target.octets());
                mac(&mut out, OPTION_TARGET, *target_mac);
            }
            Self::Redirect { target, destination, target_mac } => {
                out.put(&[REDIRECT, 0, 0, 0, 0, 0, 0, 0]);
                out.put(&target.octets());
                out.put(&destination.octets());
                mac(&mut out, OPTION_TARGET, *target_mac);
            }
        }
    }
}

fn unicast(address: Ipv6Addr) -> Result<Ipv6Addr, Malformed> {
    if address.is_multicast() { Err(Malformed::Field) } else { Ok(address) }
}

impl RouterAdvertisement {
    fn parse(view: &View<'_>) -> Result<Self, Malformed> {
        let fixed = view.fixed::<16>()?;
        let mut router = Self {
            hop_limit: fixed[4],
            managed: fixed[5] & MANAGED != 0,
            other: fixed[5] & OTHER != 0,
            lifetime: get_u16::<6, _>(fixed),
            reachable: get_u32::<8, _>(fixed),
            retransmit: get_u32::<12, _>(fixed),
            source_mac: view.mac(OPTION_SOURCE)?,
            mtu: None,
            prefixes: ArrayVec::new(),
        };
        for (kind, bytes) in view.options() {
            match kind {
                OPTION_MTU => router.mtu = Some(get_u32::<4, _>(sized::<MTU_OPTION>(bytes)?)),
                OPTION_PREFIX => {
                    let prefix = PrefixInformation::parse(sized(bytes)?)?;
                    let _ = router.prefixes.try_push(prefix);
                }
                _ => {}
            }
        }
        Ok(router)
    }

    fn emit(&self, out: &mut Writer<'_>) {
        let flags = if self.managed { MANAGED } else { 0 } | if self.other { OTHER } else { 0 };
        out.put(&[ROUTER_ADVERTISEMENT, 0, 0, 0, self.hop_limit, flags]);
        out.u16(self.lifetime);
        out.u32(self.reachable);
        out.u32(self.retransmit);
        if let Some(mtu) = self.mtu {
            out.put(&[OPTION_MTU, 1, 0, 0]);
            out.u32(mtu);
        }
        self.prefixes.iter().for_each(|prefix| prefix.emit(out));
    }
}

impl PrefixInformation {
    fn parse(option: &[u8; PREFIX_OPTION]) -> Result<Self, Malformed> {
        let (length, flags) = (option[2], option[3]);
        if length > 128 {
            return Err(Malformed::Options);
        }
        Ok(Self {
            prefix: get_v6::<16, _>(option),
            length,
            on_link: flags & ON_LINK != 0,
            autonomous: flags & AUTONOMOUS != 0,
            valid: get_u32::<4, _>(option),
            preferred: get_u32::<8, _>(option),
        })
    }

    fn emit(&self, out: &mut Writer<'_>) {
        let flags = if self.on_link { ON_LINK } else { 0 } | if self.autonomous { AUTONOMOUS } else { 0 };
        out.put(&[OPTION_PREFIX, 4, self.length, flags]);
        out.u32(self.valid);
        out.u32(self.preferred);
        out.u32(0);
        out.put(&self.prefix.octets());
    }
}
