// SPDX-License-Identifier: MIT OR Apache-2.0
//! The files under which sockets are found: one for each protocol, address and port that somebody serves.
//!
//! `tcp-127.0.0.1-8080.sock`, `udp-[::1]-53.sock`; a wildcard has its own: `tcp-0.0.0.0-8080.sock`. Two addresses never
//! have one name. Whoever looks for an address tries the names in the order of [`candidates`].

use catmem::rendezvous::FileName;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use runtime::Result;
use runtime::socket::Kind;

/// What every name ends in, and nothing else in the directory.
pub const SUFFIX: &str = ".sock";

/// The file of a canonical address.
///
/// # Errors
/// None: the longest name is short enough.
pub fn file_name(kind: Kind, address: SocketAddr) -> Result<FileName> {
    let (protocol, port) = (protocol(kind), address.port());
    FileName::new(&match address.ip() {
        IpAddr::V4(ip) => format!("{protocol}-{ip}-{port}{SUFFIX}"),
        IpAddr::V6(ip) => format!("{protocol}-[{ip}]-{port}{SUFFIX}"),
    })
}

/// Where somebody who serves this canonical address may be found: the address, its family's wildcard, and for IPv4 the
/// wildcard that serves both families.
pub fn candidates(address: SocketAddr) -> impl Iterator<Item = SocketAddr> {
    let v4 = address.is_ipv4().then_some(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let wildcards = [v4, Some(IpAddr::V6(Ipv6Addr::UNSPECIFIED))];
    let others = wildcards.into_iter().flatten().map(move |ip| SocketAddr::new(ip, address.port()));
    core::iter::once(address).chain(others)
}

fn protocol(kind: Kind) -> &'static str {
    match kind {
        Kind::Stream => "tcp",
        Kind::Datagram => "udp",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_what_people_expect() {
        let name = |kind, text| file_name(kind, at(text)).unwrap().as_str().to_owned();
        assert_eq!(name(Kind::Stream, "127.0.0.1:8080"), "tcp-127.0.0.1-8080.sock");
        assert_eq!(name(Kind::Datagram, "[::1]:53"), "udp-[::1]-53.sock");
        assert_eq!(name(Kind::Stream, "0.0.0.0:1"), "tcp-0.0.0.0-1.sock");
        assert_eq!(name(Kind::Stream, "[::]:65535"), "tcp-[::]-65535.sock");
    }

    #[test]
    fn the_exact_address_is_tried_first() {
        let all = |text| candidates(at(text)).collect::<Vec<_>>();
        assert_eq!(all("127.0.0.1:5"), [at("127.0.0.1:5"), at("0.0.0.0:5"), at("[::]:5")]);
        assert_eq!(all("[::1]:5"), [at("[::1]:5"), at("[::]:5")]);
    }

    fn address() -> impl Strategy<Value = SocketAddr> {
        let ip = prop_oneof![
            any::<[u8; 4]>().prop_map(IpAddr::from),
            any::<[u16; 8]>().prop_map(IpAddr::from),
            // Many zeros: the form with «::».
            any::<[bool; 8]>().prop_map(|bits| IpAddr::from(bits.map(u16::from))),
        ];
        (ip, any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
    }

    proptest! {
        #[test]
        fn every_address_has_a_name_of_its_own(a in address(), b in address()) {
            let name = |kind, at| file_name(kind, at).unwrap();
            prop_assert_eq!(name(Kind::Stream, a) == name(Kind::Stream, b), a == b);
            prop_assert_ne!(name(Kind::Stream, a), name(Kind::Datagram, b));
            prop_assert!(name(Kind::Stream, a).as_str().ends_with(SUFFIX));
        }
    }
}
