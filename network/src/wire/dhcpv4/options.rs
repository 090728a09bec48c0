// SPDX-License-Identifier: MIT OR Apache-2.0
//! The DHCP options that a client needs (RFC 2132; RFC 3442 for classless routes). Others are skipped.

use arrayvec::ArrayVec;
use core::net::Ipv4Addr;

use crate::limits::{DHCP_IDENTIFIER_MAX, DHCP_PARAMETERS_MAX, DHCP_ROUTES_MAX, DHCP_SERVERS_MAX};
use crate::wire::Malformed;
use crate::wire::bytes::Writer;

const PAD: u8 = 0;
/// The subnet mask.
pub const SUBNET_MASK: u8 = 1;
/// Routers, the preferred first.
pub const ROUTERS: u8 = 3;
/// Name servers.
pub const NAME_SERVERS: u8 = 6;
/// The link's MTU.
pub const MTU: u8 = 26;
/// The broadcast address.
pub const BROADCAST_ADDRESS: u8 = 28;
const REQUESTED_ADDRESS: u8 = 50;
/// Seconds of the lease.
pub const LEASE: u8 = 51;
const OVERLOAD: u8 = 52;
pub(super) const KIND: u8 = 53;
const SERVER: u8 = 54;
const PARAMETERS: u8 = 55;
const MESSAGE_SIZE: u8 = 57;
/// Seconds until the lease is renewed.
pub const RENEWAL: u8 = 58;
/// Seconds until it is asked of any server.
pub const REBINDING: u8 = 59;
const IDENTIFIER: u8 = 61;
/// Routes with prefixes of any length.
pub const CLASSLESS_ROUTES: u8 = 121;
pub(super) const END: u8 = 255;

/// Addresses of servers.
pub type Servers = ArrayVec<Ipv4Addr, DHCP_SERVERS_MAX>;
/// Numbers of options.
pub type Parameters = ArrayVec<u8, DHCP_PARAMETERS_MAX>;
/// A client's identifier: a type, and what is of that type.
pub type Identifier = ArrayVec<u8, DHCP_IDENTIFIER_MAX>;

/// A route (RFC 3442).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Whither; bits beyond the prefix are zero.
    pub destination: Ipv4Addr,
    /// How many of its bits count, 0 to 32.
    pub length: u8,
    /// By which router; unspecified: on the link.
    pub router: Ipv4Addr,
}

/// The options of one message. Of lists that are longer, the front is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The subnet mask, whose ones are all in front.
    pub subnet_mask: Option<Ipv4Addr>,
    /// Routers, the preferred first.
    pub routers: Servers,
    /// Name servers.
    pub name_servers: Servers,
    /// The link's MTU in bytes, at least 68.
    pub mtu: Option<u16>,
    /// The broadcast address.
    pub broadcast_address: Option<Ipv4Addr>,
    /// The address that the client wants.
    pub requested_address: Option<Ipv4Addr>,
    /// Seconds of the lease; all ones: for ever.
    pub lease: Option<u32>,
    /// Which server is meant, or speaks.
    pub server: Option<Ipv4Addr>,
    /// Which options the client wants.
    pub parameters: Parameters,
    /// The longest message that the client takes, in bytes with IP and UDP headers.
    pub message_size: Option<u16>,
    /// Seconds until the lease is renewed.
    pub renewal: Option<u32>,
    /// Seconds until it is asked of any server.
    pub rebinding: Option<u32>,
    /// Who the client is.
    pub identifier: Identifier,
    /// Routes; with them, `routers` do not count (RFC 3442).
    pub classless_routes: ArrayVec<Route, DHCP_ROUTES_MAX>,
}

/// What the options say of the message itself.
#[derive(Default)]
pub(super) struct Start {
    pub kind: Option<u8>,
    /// Where more options stand: 1 in the file, 2 in the server's name.
    pub overload: u8,
}

impl Options {
    pub(super) fn read(&mut self, mut bytes: &[u8], start: &mut Start) -> Result<(), Malformed> {
        while let Some((&kind, rest)) = bytes.split_first() {
            bytes = match kind {
                PAD => rest,
                END => break,
                _ => {
                    let (&len, rest) = rest.split_first().ok_or(Malformed::Options)?;
                    let (data, behind) = rest.split_at_checked(usize::from(len)).ok_or(Malformed::Options)?;
                    match kind {
                        KIND => start.kind = Some(u8::from_be_bytes(exact(data)?)),
                        OVERLOAD => start.overload = u8::from_be_bytes(exact(data)?),
                        _ => self.take(kind, data)?,
                    }
                    behind
                }
            };
        }
        Ok(())
    }

    fn take(&mut self, kind: u8, data: &[u8]) -> Result<(), Malformed> {
        match kind {
            SUBNET_MASK => {
                let mask = address(data)?;
                if mask.to_bits().leading_ones() != mask.to_bits().count_ones() {
                    return Err(Malformed::Options);
                }
                self.subnet_mask = Some(mask);
            }
            ROUTERS => self.routers = servers(data)?,
            NAME_SERVERS => self.name_servers = servers(data)?,
            MTU => {
                let mtu = u16::from_be_bytes(exact(data)?);
                if usize::from(mtu) < crate::wire::ipv4::MTU_MIN {
                    return Err(Malformed::Options);
                }
                self.mtu = Some(mtu);
            }
            BROADCAST_ADDRESS => self.broadcast_address = Some(address(data)?),
            REQUESTED_ADDRESS => self.requested_address = Some(address(data)?),
            LEASE => self.lease = Some(u32::from_be_bytes(exact(data)?)),
            SERVER => self.server = Some(address(data)?),
            PARAMETERS => self.parameters = data.iter().copied().take(DHCP_PARAMETERS_MAX).collect(),
            MESSAGE_SIZE => self.message_size = Some(u16::from_be_bytes(exact(data)?)),
            RENEWAL => self.renewal = Some(u32::from_be_bytes(exact(data)?)),
            REBINDING => self.rebinding = Some(u32::from_be_bytes(exact(data)?)),
            IDENTIFIER => self.identifier = data.iter().copied().take(DHCP_IDENTIFIER_MAX).collect(),
            CLASSLESS_ROUTES => self.classless_routes = routes(data)?,
            _ => {}
        }
        Ok(())
    }

    /// Calls `each` with every option that is there.
    fn each(&self, mut each: impl FnMut(u8, &[u8])) {
        let words = [
            (SUBNET_MASK, self.subnet_mask.map(Ipv4Addr::to_bits)),
            (BROADCAST_ADDRESS, self.broadcast_address.map(Ipv4Addr::to_bits)),
            (REQUESTED_ADDRESS, self.requested_address.map(Ipv4Addr::to_bits)),
            (SERVER, self.server.map(Ipv4Addr::to_bits)),
            (LEASE, self.lease),
            (RENEWAL, self.renewal),
            (REBINDING, self.rebinding),
        ];
        for (kind, value) in words {
            if let Some(value) = value {
                each(kind, &value.to_be_bytes());
            }
        }
        for (kind, value) in [(MTU, self.mtu), (MESSAGE_SIZE, self.message_size)] {
            if let Some(value) = value {
                each(kind, &value.to_be_bytes());
            }
        }
        for (kind, servers) in [(ROUTERS, &self.routers), (NAME_SERVERS, &self.name_servers)] {
            let bytes: ArrayVec<u8, { DHCP_SERVERS_MAX * 4 }> = servers.iter().flat_map(Ipv4Addr::octets).collect();
            each_not_empty(kind, &bytes, &mut each);
        }
        each_not_empty(PARAMETERS, &self.parameters, &mut each);
        each_not_empty(IDENTIFIER, &self.identifier, &mut each);
        let mut bytes = ArrayVec::<u8, { DHCP_ROUTES_MAX * 9 }>::new();
        for route in &self.classless_routes {
            let octets = route.destination.octets();
            bytes.push(route.length.min(32));
            bytes.extend(octets.into_iter().take(significant(route.length)));
            bytes.extend(route.router.octets());
        }
        each_not_empty(CLASSLESS_ROUTES, &bytes, &mut each);
    }

    pub(super) fn len(&self) -> usize {
        let mut len = 0;
        self.each(|_, data| len += 2 + data.len());
        len
    }

    pub(super) fn emit(&self, out: &mut Writer<'_>) {
        self.each(|kind, data| {
            // No list above is as long as 256 bytes.
            out.put(&[kind, data.len() as u8]);
            out.put(data);
        });
    }
}

const _: () = assert!(DHCP_ROUTES_MAX * 9 < 256 && DHCP_IDENTIFIER_MAX < 256 && DHCP_SERVERS_MAX * 4 < 256);

fn each_not_empty(kind: u8, data: &[u8], each: &mut impl FnMut(u8, &[u8])) {
    if !data.is_empty() {
        each(kind, data);
    }
}

fn exact<const N: usize>(data: &[u8]) -> Result<[u8; N], Malformed> {
    data.try_into().map_err(|_| Malformed::Options)
}

fn address(data: &[u8]) -> Result<Ipv4Addr, Malformed> {
    exact(data).map(Ipv4Addr::from_octets)
}

fn servers(data: &[u8]) -> Result<Servers, Malformed> {
    let (addresses, rest) = data.as_chunks::<4>();
    if addresses.is_empty() || !rest.is_empty() {
        return Err(Malformed::Options);
    }
    Ok(addresses.iter().take(DHCP_SERVERS_MAX).map(|octets| Ipv4Addr::from_octets(*octets)).collect())
}

/// How many bytes of a destination are sent for a prefix (RFC 3442).
fn significant(length: u8) -> usize {
    usize::from(length.min(32)).div_ceil(8)
}

fn routes(mut data: &[u8]) -> Result<ArrayVec<Route, DHCP_ROUTES_MAX>, Malformed> {
    let mut routes = ArrayVec::new();
    while let Some((&length, rest)) = data.split_first() {
        if length > 32 {
            return Err(Malformed::Options);
        }
        let (front, rest) = rest.split_at_checked(significant(length)).ok_or(Malformed::Options)?;
        let (router, rest) = rest.split_first_chunk::<4>().ok_or(Malformed::Options)?;
        data = rest;
        let mut octets = [0; 4];
        for (to, from) in octets.iter_mut().zip(front) {
            *to = *from;
        }
        let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
        let destination = Ipv4Addr::from_bits(u32::from_be_bytes(octets) & mask);
        let _ = routes.try_push(Route { destination, length, router: Ipv4Addr::from_octets(*router) });
    }
    Ok(routes)
}
