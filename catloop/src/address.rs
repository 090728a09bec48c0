// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which IP addresses are of this host, and how an address looks to a socket of either family.
//!
//! Inside catloop every address is canonical: an IPv4 address in its IPv6 form (`::ffff:127.0.0.1`) is an IPv4 address, and
//! flow information and scope are left out. Only a socket's own calls see the other form. Texts: RFC 4291 §2.5, `ipv6(7)`.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use runtime::socket::Domain;
use runtime::{Errno, Error, Result};

const OTHER_FAMILY: Error = Error::new(Errno::AFNOSUPPORT, "the address is of another family than the socket");
const NOT_HERE: Error =
    Error::new(Errno::ADDRNOTAVAIL, "this is no address of this host: use loopback, or add it to catloop.addresses");
const NO_WAY: Error =
    Error::new(Errno::NETUNREACH, "only addresses of this host can be reached: loopback, or one of catloop.addresses");
const NO_PORT: Error = Error::new(Errno::ADDRNOTAVAIL, "port 0 is nobody's: name the port to connect to");

/// The addresses of this host.
#[derive(Clone, Debug)]
pub struct Hosts {
    /// Beside 127.0.0.0/8 and `::1`.
    further: Vec<IpAddr>,
}

impl Hosts {
    /// Loopback, and these.
    pub fn new(further: &[IpAddr]) -> Self {
        Self { further: further.iter().map(IpAddr::to_canonical).collect() }
    }

    fn has(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || self.further.contains(&ip)
    }

    /// The canonical form of an address that a socket of this family is to be bound to.
    ///
    /// # Errors
    /// `EAFNOSUPPORT`, `EADDRNOTAVAIL`.
    pub fn to_bind(&self, domain: Domain, address: SocketAddr) -> Result<SocketAddr> {
        let address = canonical(domain, address)?;
        // The IPv4 wildcard cannot be asked of a socket of the other family in any form.
        let wildcard = address.ip().is_unspecified() && Domain::of(&address) == domain;
        if wildcard || self.has(address.ip()) { Ok(address) } else { Err(NOT_HERE) }
    }

    /// The canonical form of an address that a socket of this family is to reach. The wildcard means this host.
    ///
    /// # Errors
    /// `EAFNOSUPPORT`, `EADDRNOTAVAIL` for port 0, `ENETUNREACH`.
    pub fn to_reach(&self, domain: Domain, address: SocketAddr) -> Result<SocketAddr> {
        let mut address = canonical(domain, address)?;
        if address.port() == 0 {
            return Err(NO_PORT);
        }
        if address.ip().is_unspecified() {
            address.set_ip(loopback(address.ip()));
        }
        if self.has(address.ip()) { Ok(address) } else { Err(NO_WAY) }
    }

    /// The address that a socket has which reaches `to`; `bound` is what it was bound to, if it was.
    ///
    /// # Errors
    /// `ENETUNREACH` if `to` cannot be reached, or not from there.
    pub fn source(&self, bound: Option<IpAddr>, to: IpAddr) -> Result<IpAddr> {
        match bound {
            Some(ip) if !ip.is_unspecified() => (ip.is_ipv4() == to.is_ipv4()).then_some(ip).ok_or(NO_WAY),
            // `[::]` serves both families.
            Some(IpAddr::V4(_)) if to.is_ipv6() => Err(NO_WAY),
            _ if to.is_loopback() => Ok(loopback(to)),
            _ => self.has(to).then_some(to).ok_or(NO_WAY),
        }
    }
}

fn loopback(family: IpAddr) -> IpAddr {
    match family {
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    }
}

/// The canonical form of an address that was given to a socket of this family.
///
/// # Errors
/// `EAFNOSUPPORT`.
pub fn canonical(domain: Domain, address: SocketAddr) -> Result<SocketAddr> {
    if Domain::of(&address) != domain {
        return Err(OTHER_FAMILY);
    }
    Ok(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

/// A canonical address as a socket of this family shows it.
pub fn shown(domain: Domain, address: SocketAddr) -> SocketAddr {
    match (domain, address.ip()) {
        (Domain::V6, IpAddr::V4(ip)) => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
        _ => address,
    }
}

/// Whether a listener that is bound to `bound` serves `to`.
pub fn serves(bound: SocketAddr, to: SocketAddr) -> bool {
    let ip = match bound.ip() {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => true,
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => to.is_ipv4(),
        ip => ip == to.ip(),
    };
    ip && bound.port() == to.port()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn hosts() -> Hosts {
        Hosts::new(&["10.1.2.3".parse().unwrap(), "fd00::1".parse().unwrap(), "::ffff:10.9.9.9".parse().unwrap()])
    }

    #[test]
    fn bind_takes_addresses_of_this_host_and_wildcards() {
        for text in ["127.0.0.1:1", "127.255.0.9:0", "0.0.0.0:80", "10.1.2.3:9", "10.9.9.9:9"] {
            assert_eq!(hosts().to_bind(Domain::V4, at(text)), Ok(at(text)));
        }
        for text in ["[::1]:1", "[::]:80", "[fd00::1]:9"] {
            assert_eq!(hosts().to_bind(Domain::V6, at(text)), Ok(at(text)));
        }
        assert_eq!(hosts().to_bind(Domain::V6, at("[::ffff:127.0.0.1]:5")), Ok(at("127.0.0.1:5")));
        let errno = |domain, text| hosts().to_bind(domain, at(text)).map_err(Error::errno);
        for text in ["10.1.2.4:1", "8.8.8.8:1", "255.255.255.255:1", "224.0.0.1:1"] {
            assert_eq!(errno(Domain::V4, text), Err(Errno::ADDRNOTAVAIL), "{text}");
        }
        for text in ["[::2]:1", "[fe80::1%1]:1", "[ff02::1]:1", "[::ffff:8.8.8.8]:1", "[::ffff:0.0.0.0]:1"] {
            assert_eq!(errno(Domain::V6, text), Err(Errno::ADDRNOTAVAIL), "{text}");
        }
        assert_eq!(errno(Domain::V4, "[::1]:1"), Err(Errno::AFNOSUPPORT));
        assert_eq!(errno(Domain::V6, "127.0.0.1:1"), Err(Errno::AFNOSUPPORT));
    }

    #[test]
    fn reach_takes_addresses_of_this_host_with_a_port() {
        let reach = |domain, text| hosts().to_reach(domain, at(text)).map_err(Error::errno);
        assert_eq!(reach(Domain::V4, "127.3.0.1:7"), Ok(at("127.3.0.1:7")));
        assert_eq!(reach(Domain::V4, "0.0.0.0:7"), Ok(at("127.0.0.1:7")));
        assert_eq!(reach(Domain::V6, "[::]:7"), Ok(at("[::1]:7")));
        assert_eq!(reach(Domain::V6, "[::ffff:10.1.2.3]:7"), Ok(at("10.1.2.3:7")));
        assert_eq!(reach(Domain::V4, "127.0.0.1:0"), Err(Errno::ADDRNOTAVAIL));
        assert_eq!(reach(Domain::V4, "192.168.0.1:7"), Err(Errno::NETUNREACH));
        assert_eq!(reach(Domain::V4, "[::1]:7"), Err(Errno::AFNOSUPPORT));
    }

    #[test]
    fn the_source_is_what_the_peer_can_answer() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let source = |bound: Option<&str>, to| hosts().source(bound.map(ip), ip(to)).map_err(Error::errno);
        assert_eq!(source(None, "127.9.9.9"), Ok(ip("127.0.0.1")));
        assert_eq!(source(Some("0.0.0.0"), "127.9.9.9"), Ok(ip("127.0.0.1")));
        assert_eq!(source(Some("::"), "127.9.9.9"), Ok(ip("127.0.0.1")));
        assert_eq!(source(Some("127.5.5.5"), "127.9.9.9"), Ok(ip("127.5.5.5")));
        assert_eq!(source(None, "10.1.2.3"), Ok(ip("10.1.2.3")));
        assert_eq!(source(None, "::1"), Ok(ip("::1")));
        assert_eq!(source(None, "10.1.2.4"), Err(Errno::NETUNREACH));
        assert_eq!(source(Some("::1"), "127.0.0.1"), Err(Errno::NETUNREACH));
        assert_eq!(source(Some("0.0.0.0"), "::1"), Err(Errno::NETUNREACH));
    }

    #[test]
    fn sockets_show_addresses_of_their_own_family() {
        assert_eq!(shown(Domain::V4, at("127.0.0.1:5")), at("127.0.0.1:5"));
        assert_eq!(shown(Domain::V6, at("[::1]:5")), at("[::1]:5"));
        assert_eq!(shown(Domain::V6, at("127.0.0.1:5")), at("[::ffff:127.0.0.1]:5"));
    }

    #[test]
    fn wildcards_serve_all_of_their_family() {
        for (bound, to, yes) in [
            ("127.0.0.1:5", "127.0.0.1:5", true),
            ("127.0.0.1:5", "127.0.0.2:5", false),
            ("127.0.0.1:5", "127.0.0.1:6", false),
            ("0.0.0.0:5", "127.0.0.2:5", true),
            ("0.0.0.0:5", "[::1]:5", false),
            ("[::]:5", "[::1]:5", true),
            ("[::]:5", "127.0.0.1:5", true),
            ("[::]:5", "127.0.0.1:6", false),
            ("[::1]:5", "127.0.0.1:5", false),
        ] {
            assert_eq!(serves(at(bound), at(to)), yes, "{bound} {to}");
        }
    }
}
