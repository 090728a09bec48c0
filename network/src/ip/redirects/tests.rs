// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which redirects are believed, and for how long.

use core::net::{IpAddr, Ipv4Addr};

use super::Redirects;
use crate::ip::Hop;
use crate::limits::REDIRECTS_MAX;

fn v4(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0a00_0000 + number).into()
}

fn far(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(0xc000_0200 + number).into()
}

fn by(router: u32) -> Hop {
    Hop::Gateway(v4(router))
}

/// RFC 1122 §3.2.2.2, RFC 4861 §8.1: from the present first hop alone.
#[test]
fn only_the_present_next_hop_is_believed() {
    let mut redirects = Redirects::new();
    assert_eq!(redirects.next_hop(far(1), by(1)), v4(1));
    assert!(!redirects.heard(v4(9), far(1), v4(2), by(1)), "a stranger");
    assert!(!redirects.heard(v4(1), far(1), v4(1), by(1)), "to itself");
    assert!(!redirects.heard(v4(1), far(1), "fe80::1".parse().unwrap(), by(1)), "another family");
    assert!(!redirects.heard(far(1), far(1), v4(2), Hop::OnLink), "what is on the link has no router");
    assert!(redirects.is_empty());
    assert!(redirects.heard(v4(1), far(1), v4(2), by(1)));
    assert_eq!((redirects.next_hop(far(1), by(1)), redirects.next_hop(far(2), by(1))), (v4(2), v4(1)));
    // The router that was named may name another one in turn; the first has nothing to say any more.
    assert!(!redirects.heard(v4(1), far(1), v4(5), by(1)));
    assert!(redirects.heard(v4(2), far(1), v4(3), by(1)));
    assert_eq!((redirects.next_hop(far(1), by(1)), redirects.len()), (v4(3), 1));
}

/// RFC 1122 §3.3.1.4, §3.3.1.2.
#[test]
fn it_ends_with_its_router_and_with_its_target() {
    let mut redirects = Redirects::new();
    assert!(redirects.heard(v4(1), far(1), v4(2), by(1)));
    assert_eq!(redirects.next_hop(far(1), by(7)), v4(7), "the routes say otherwise now");
    assert_eq!(redirects.next_hop(far(1), Hop::OnLink), far(1));
    assert_eq!(redirects.next_hop(far(1), by(1)), v4(2));
    assert!(!redirects.gone(v4(1)) && redirects.gone(v4(2)) && !redirects.gone(v4(2)));
    assert_eq!(redirects.next_hop(far(1), by(1)), v4(1));
}

#[test]
fn there_are_only_so_many_and_the_oldest_goes() {
    let mut redirects = Redirects::new();
    let max = REDIRECTS_MAX as u32;
    // In an order that is not theirs.
    for number in (0..max + 10).map(|number| number * 7919 % (max + 10)) {
        assert!(redirects.heard(v4(1), far(number), v4(2), by(1)));
        assert!(redirects.len() <= REDIRECTS_MAX);
    }
    let gone: Vec<_> = (0..max + 10).filter(|number| redirects.next_hop(far(*number), by(1)) == v4(1)).collect();
    let mut first: Vec<_> = (0..10).map(|number| number * 7919 % (max + 10)).collect();
    first.sort_unstable();
    assert_eq!(gone, first);
}
