// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a server grants.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use arrayvec::ArrayVec;
use runtime::time::Time;

use crate::ip::{Hop, Prefix, Route};
use crate::limits::{DHCP_ROUTES_MAX, DHCP_SERVERS_MAX};
use crate::wire::dhcpv4::{Header, Options, Servers};

/// A lease without an end (RFC 2131 section 3.3).
const FOR_EVER: u32 = u32::MAX;

/// An address and what belongs to it, for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The address, with the length of its network.
    pub prefix: Prefix,
    /// The ways out: the classless ones if the server said any, or the default one by each router, the preferred first. The
    /// way to the network of the address is not among them.
    pub routes: ArrayVec<Route, { DHCP_ROUTES_MAX + DHCP_SERVERS_MAX }>,
    /// Name servers.
    pub name_servers: Servers,
    /// The link's MTU, if the server said one, in bytes.
    pub mtu: Option<u16>,
    /// Who granted it.
    pub server: Ipv4Addr,
    /// When it ends; `None` for never.
    pub until: Option<Time>,
    /// When its server is asked to let it go on (T1).
    pub(super) renew_at: Option<Time>,
    /// When any server is (T2).
    pub(super) rebind_at: Option<Time>,
}

impl Lease {
    /// The address.
    #[must_use]
    pub const fn address(&self) -> Ipv4Addr {
        match self.prefix.address() {
            IpAddr::V4(address) => address,
            IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
        }
    }

    /// Reads an acknowledgement to what was asked at `asked`; `None` if it says too little.
    pub(super) fn granted(message: &Header, server: Ipv4Addr, asked: Time) -> Option<Self> {
        let options = &message.options;
        if !is_host(message.yours) {
            return None;
        }
        let length = options.subnet_mask.map_or_else(|| class(message.yours), |mask| mask.to_bits().count_ones() as u8);
        let prefix = Prefix::new(message.yours.into(), length).ok()?;
        let seconds = options.lease.filter(|seconds| *seconds > 0)?;
        let (mut until, mut renew_at, mut rebind_at) = (None, None, None);
        if seconds != FOR_EVER {
            let (renew, rebind) = times(seconds, options);
            until = Some(asked + Duration::from_secs(seconds.into()));
            renew_at = Some(asked + renew);
            rebind_at = Some(asked + rebind);
        }
        Some(Self {
            prefix,
            routes: routes(options),
            name_servers: options.name_servers.clone(),
            mtu: options.mtu,
            server,
            until,
            renew_at,
            rebind_at,
        })
    }
}

/// T1 and T2 (RFC 2131 section 4.4.5), unless the server's own make no sense.
fn times(seconds: u32, options: &Options) -> (Duration, Duration) {
    let lease = Duration::from_secs(seconds.into());
    let rebind = options.rebinding.filter(|rebind| *rebind > 0 && *rebind <= seconds);
    let rebind = rebind.map_or(lease * 7 / 8, |rebind| Duration::from_secs(rebind.into()));
    let renew = options.renewal.filter(|renew| *renew > 0).map(|renew| Duration::from_secs(renew.into()));
    (renew.filter(|renew| *renew <= rebind).unwrap_or((lease / 2).min(rebind)), rebind)
}

/// The ways out that a server says.
fn routes(options: &Options) -> ArrayVec<Route, { DHCP_ROUTES_MAX + DHCP_SERVERS_MAX }> {
    let hop = |router: Ipv4Addr| if router.is_unspecified() { Hop::OnLink } else { Hop::Gateway(router.into()) };
    if options.classless_routes.is_empty() {
        let routers = options.routers.iter().filter(|router| is_host(**router)).zip(0..);
        return routers
            .map(|(router, metric)| Route { prefix: Prefix::DEFAULT_V4, hop: hop(*router), metric })
            .collect();
    }
    // RFC 3442: with them, the option of the routers does not count.
    let routes = options.classless_routes.iter().filter(|route| route.router.is_unspecified() || is_host(route.router));
    routes
        .filter_map(|route| {
            let prefix = Prefix::new(route.destination.into(), route.length).ok()?;
            Some(Route { prefix, hop: hop(route.router), metric: 0 })
        })
        .collect()
}

/// Whether an address can be that of a host.
pub(super) fn is_host(address: Ipv4Addr) -> bool {
    !address.is_unspecified() && !address.is_multicast() && !address.is_broadcast() && !address.is_loopback()
}

/// The length of a network whose mask nobody says (RFC 791 section 2.3).
fn class(address: Ipv4Addr) -> u8 {
    match address.octets()[0] {
        ..128 => 8,
        128..192 => 16,
        192.. => 24,
    }
}
