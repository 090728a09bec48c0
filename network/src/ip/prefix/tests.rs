// SPDX-License-Identifier: MIT OR Apache-2.0
//! Prefixes: what they are read from, and what lies in them, bit by bit.

use alloc::string::ToString;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use runtime::Errno;

use super::Prefix;

fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The bits of an address, first to last.
fn bits(address: IpAddr) -> Vec<bool> {
    let octets = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    octets.iter().flat_map(|octet| (0..8).map(move |bit| octet & (0x80 >> bit) != 0)).collect()
}

/// RFC 4632, RFC 4291 §2.3.
#[test]
fn text_is_an_address_and_a_length() {
    for good in ["10.0.0.1/24", "0.0.0.0/0", "255.255.255.255/32", "::/0", "2001:db8::1/64", "fe80::1/128"] {
        assert_eq!(prefix(good).to_string(), good);
    }
    for bad in [
        "",
        "/",
        "10.0.0.1",
        "10.0.0.1/",
        "/24",
        "10.0.0/24",
        "10.0.0.1/33",
        "::1/129",
        "10.0.0.1/+8",
        "10.0.0.1/-1",
        "10.0.0.1/8/8",
        "10.0.0.1/999",
        " 10.0.0.1/8",
        "::1%1/64",
    ] {
        assert_eq!(bad.parse::<Prefix>().unwrap_err().errno(), Errno::INVAL, "{bad}");
    }
}

/// RFC 1122 §3.2.1.3, RFC 4291 §2.5.6.
#[test]
fn network_mask_and_broadcast() {
    for (text, network, mask, broadcast) in [
        ("10.1.2.3/24", "10.1.2.0/24", "255.255.255.0", Some("10.1.2.255")),
        ("10.1.2.3/0", "0.0.0.0/0", "0.0.0.0", Some("255.255.255.255")),
        ("10.1.2.3/30", "10.1.2.0/30", "255.255.255.252", Some("10.1.2.3")),
        // Between two, each has one of the two addresses (RFC 3021).
        ("10.1.2.3/31", "10.1.2.2/31", "255.255.255.254", None),
        ("10.1.2.3/32", "10.1.2.3/32", "255.255.255.255", None),
        ("2001:db8::7/64", "2001:db8::/64", "ffff:ffff:ffff:ffff::", None),
        ("2001:db8::7/0", "::/0", "::", None),
        ("2001:db8::7/128", "2001:db8::7/128", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None),
    ] {
        let prefix = prefix(text);
        assert_eq!(prefix.network().to_string(), network);
        assert_eq!(prefix.mask(), address(mask));
        assert_eq!(prefix.broadcast().map(|address| address.to_string()).as_deref(), broadcast, "{text}");
    }
}

/// RFC 1122 §3.3.6, RFC 4291 §2.6.1, RFC 3021, RFC 6164.
#[test]
fn address_of_the_network_is_none_where_hosts_need_it() {
    for (text, network, expected) in [
        ("10.1.2.3/24", "10.1.2.0", true),
        ("10.1.2.3/24", "10.1.2.1", false),
        ("10.1.2.3/31", "10.1.2.2", false),
        ("10.1.2.3/32", "10.1.2.3", false),
        ("2001:db8::7/64", "2001:db8::", true),
        ("2001:db8::7/127", "2001:db8::6", false),
        ("0.0.0.0/8", "::", false),
    ] {
        assert_eq!(prefix(text).is_network_address(address(network)), expected, "{text} {network}");
    }
}

#[test]
fn families_do_not_mix() {
    assert!(!Prefix::DEFAULT_V4.contains(address("::")));
    assert!(!Prefix::DEFAULT_V6.contains(address("0.0.0.0")));
    assert!(!prefix("10.0.0.0/8").contains(address("::ffff:10.0.0.1")));
    assert!(!prefix("::ffff:10.0.0.0/104").contains(address("10.0.0.1")));
    assert_eq!(Prefix::host(address("::1")), prefix("::1/128"));
    assert!(Prefix::LINK_LOCAL.contains(address("fe80::1")));
}

fn any_address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
        any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_lies_in_it_has_the_same_first_bits(one in any_address(), two in any_address(), length in 0..=128_u8, flip in 0..128_usize) {
        let here = bits(one);
        let made = Prefix::new(one, length);
        prop_assert_eq!(made.is_ok(), usize::from(length) <= here.len());
        let Ok(prefix) = made else { return Ok(()) };
        let first = usize::from(length);
        let same = |other: IpAddr| {
            let other = bits(other);
            other.len() == here.len() && other[..first] == here[..first]
        };
        prop_assert_eq!(prefix.contains(two), same(two));
        // An address that differs in one bit.
        let near = match one {
            IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() ^ (1 << (flip % 32)))),
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() ^ (1 << flip))),
        };
        prop_assert_eq!(prefix.contains(near), same(near));
        let network = bits(prefix.network().address());
        prop_assert!(network[first..].iter().all(|bit| !bit) && network[..first] == here[..first]);
        prop_assert_eq!(bits(prefix.mask()), (0..here.len()).map(|at| at < first).collect::<Vec<_>>());
        prop_assert_eq!(prefix.to_string().parse::<Prefix>().unwrap(), prefix);
        if let Some(broadcast) = prefix.broadcast() {
            let broadcast = bits(broadcast.into());
            prop_assert!(broadcast[first..].iter().all(|bit| *bit) && broadcast[..first] == here[..first]);
        }
    }
}
