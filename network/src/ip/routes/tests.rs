// SPDX-License-Identifier: MIT OR Apache-2.0
//! The routing table, against a search that looks at every route.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use runtime::Errno;

use super::{Hop, Route, Routes};
use crate::ip::Prefix;
use crate::limits::ROUTES_MAX;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn route(prefix: &str, hop: &str, metric: u32) -> Route {
    let hop = if hop == "link" { Hop::OnLink } else { Hop::Gateway(address(hop)) };
    Route { prefix: prefix.parse().unwrap(), hop, metric }
}

fn table(routes: &[Route]) -> Routes {
    let mut table = Routes::new();
    for route in routes {
        table.add(*route).unwrap();
    }
    table
}

/// RFC 1122 §3.3.1, RFC 4861 §5.2.
#[test]
fn longest_prefix_wins_then_metric_then_age() {
    let table = table(&[
        route("0.0.0.0/0", "10.0.0.1", 0),
        route("10.0.0.7/24", "link", 0),
        route("10.9.0.0/16", "10.0.0.2", 0),
        route("10.9.9.0/24", "10.0.0.3", 9),
        route("10.9.9.0/24", "10.0.0.4", 5),
        route("10.9.9.0/24", "10.0.0.5", 5),
        route("10.9.9.9/32", "10.0.0.6", 99),
        route("::/0", "fe80::1", 0),
        route("2001:db8::/64", "link", 0),
    ]);
    for (to, expected) in [
        ("192.0.2.1", "10.0.0.1"),
        ("10.0.0.200", "10.0.0.200"),
        ("10.9.1.1", "10.0.0.2"),
        ("10.9.9.1", "10.0.0.4"),
        ("10.9.9.9", "10.0.0.6"),
        ("2001:db8::9", "2001:db8::9"),
        ("2001:db9::9", "fe80::1"),
    ] {
        let to = address(to);
        assert_eq!(table.lookup(to).unwrap().neighbour(to), address(expected), "{to}");
    }
}

/// RFC 1122 §3.3.1.1, RFC 4861 §5.1, §5.2.
#[test]
fn some_destinations_need_no_route() {
    let mut table = Routes::new();
    for link in ["224.0.0.1", "239.1.2.3", "255.255.255.255", "ff02::1", "ff05::1:3", "fe80::7"] {
        assert_eq!(table.lookup(address(link)), Some(Hop::OnLink), "{link}");
    }
    assert_eq!(table.lookup(address("10.0.0.1")), None);
    assert_eq!(table.lookup(address("2001:db8::1")), None);
    assert!(table.is_empty());
    // And no route takes them elsewhere.
    table.add(route("0.0.0.0/0", "10.0.0.1", 0)).unwrap();
    table.add(route("fe80::/10", "fe80::1", 0)).unwrap();
    assert_eq!(table.lookup(address("224.0.0.1")), Some(Hop::OnLink));
    assert_eq!(table.lookup(address("fe80::9")), Some(Hop::OnLink));
}

#[test]
fn same_prefix_and_hop_is_the_same_route() {
    let mut table = table(&[route("10.0.0.0/8", "10.0.0.1", 1), route("10.0.0.0/8", "10.0.0.2", 2)]);
    table.add(route("10.99.0.0/8", "10.0.0.1", 3)).unwrap();
    assert_eq!(table.len(), 2);
    assert_eq!(table.lookup(address("10.1.1.1")), Some(Hop::Gateway(address("10.0.0.2"))));
    assert!(table.remove("10.5.5.5/8".parse().unwrap(), Hop::Gateway(address("10.0.0.2"))));
    assert!(!table.remove("10.0.0.0/8".parse().unwrap(), Hop::Gateway(address("10.0.0.2"))));
    assert_eq!(table.iter().copied().collect::<Vec<_>>(), [route("10.0.0.0/8", "10.0.0.1", 3)]);
}

#[test]
fn gateway_is_one_host_of_the_same_family() {
    let mut table = Routes::new();
    for (prefix, gateway) in [
        ("0.0.0.0/0", "fe80::1"),
        ("::/0", "10.0.0.1"),
        ("0.0.0.0/0", "0.0.0.0"),
        ("0.0.0.0/0", "224.0.0.1"),
        ("0.0.0.0/0", "127.0.0.1"),
        ("0.0.0.0/0", "255.255.255.255"),
        ("::/0", "ff02::2"),
        ("::/0", "::1"),
        ("::/0", "::"),
    ] {
        assert_eq!(table.add(route(prefix, gateway, 0)).unwrap_err().errno(), Errno::INVAL, "{prefix} {gateway}");
    }
    assert!(table.is_empty());
}

#[test]
fn table_is_bounded() {
    let mut table = Routes::new();
    let numbered = |number: usize| Route {
        prefix: Prefix::host(Ipv4Addr::from_bits(0x0a00_0000 + number as u32).into()),
        hop: Hop::OnLink,
        metric: 0,
    };
    (0..ROUTES_MAX).for_each(|number| table.add(numbered(number)).unwrap());
    assert_eq!(table.add(numbered(ROUTES_MAX)).unwrap_err().errno(), Errno::MFILE);
    assert_eq!(table.add(route("::/0", "fe80::1", 0)).unwrap_err().errno(), Errno::MFILE);
    // What is here can still be changed.
    table.add(Route { metric: 7, ..numbered(3) }).unwrap();
    assert!(table.remove(numbered(5).prefix, Hop::OnLink));
    table.add(route("::/0", "fe80::1", 0)).unwrap();
    assert_eq!(table.len(), ROUTES_MAX);
}

/// RFC 1122 §3.3.1.4 and §3.3.1.5: the next best of the same prefix, and the first again where none answers.
#[test]
fn gateways_that_do_not_answer_are_passed_over() {
    let mut routes = Routes::new();
    let gateway = |last: u8| IpAddr::from([10, 0, 0, last]);
    let prefix: Prefix = "0.0.0.0/0".parse().unwrap();
    for (last, metric) in [(1, 0), (2, 1), (3, 2)] {
        routes.add(Route { prefix, hop: Hop::Gateway(gateway(last)), metric }).unwrap();
    }
    routes.add(Route { prefix: "192.0.2.0/24".parse().unwrap(), hop: Hop::Gateway(gateway(1)), metric: 0 }).unwrap();
    let (far, alone) = ("198.51.100.1".parse().unwrap(), "192.0.2.1".parse().unwrap());
    let by = |routes: &Routes, to| routes.lookup(to).unwrap();
    assert!(!routes.suspect(gateway(9), true), "no gateway");
    assert!(!routes.suspect(gateway(1), false));
    for (suspects, expected) in [(&[1][..], 2), (&[2], 3), (&[3], 1)] {
        for last in suspects {
            assert!(routes.suspect(gateway(*last), true) && !routes.suspect(gateway(*last), true));
        }
        assert_eq!(by(&routes, far), Hop::Gateway(gateway(expected)));
        assert_eq!(by(&routes, alone), Hop::Gateway(gateway(1)), "there is no other");
    }
    assert!(routes.suspect(gateway(2), false));
    assert_eq!(by(&routes, far), Hop::Gateway(gateway(2)));
    // With its last route a gateway is forgotten.
    routes.remove(prefix, Hop::Gateway(gateway(3)));
    routes.add(Route { prefix, hop: Hop::Gateway(gateway(3)), metric: 0 }).unwrap();
    assert_eq!(by(&routes, far), Hop::Gateway(gateway(3)));
}

/// Addresses that share their first bits often.
fn near_address() -> impl Strategy<Value = IpAddr> {
    let bits = prop::sample::select(vec![0_u32, 1, 2, 0x80, 0x8000, 0x0080_0000, 0x8000_0000, 0xffff_ffff]);
    (bits.clone(), bits, any::<bool>()).prop_map(|(one, two, v4)| {
        let (one, two) = (0x0a00_0000 ^ one, 0x0a00_0000 ^ two);
        if v4 {
            IpAddr::V4(Ipv4Addr::from_bits(one))
        } else {
            let mask = u128::from(two) << 64;
            IpAddr::V6(Ipv6Addr::from_bits((0x2001_0db8 << 96) ^ mask ^ u128::from(one)))
        }
    })
}

#[derive(Clone, Debug)]
enum Op {
    Add(IpAddr, u8, u8, u32),
    Remove(usize),
    Lookup(IpAddr),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (near_address(), 0..=128_u8, 1..4_u8, 0..3_u32)
            .prop_map(|(to, length, hop, metric)| Op::Add(to, length, hop, metric)),
        (0..20_usize).prop_map(Op::Remove),
        near_address().prop_map(Op::Lookup),
    ]
}

/// Looks at all routes, oldest first.
fn naive(routes: &[Route], to: IpAddr) -> Option<Hop> {
    let mut best: Option<&Route> = None;
    for route in routes.iter().filter(|route| route.prefix.contains(to)) {
        let rank = |route: &Route| (u32::from(route.prefix.length()), u32::MAX - route.metric);
        if best.is_none_or(|best| rank(route) > rank(best)) {
            best = Some(route);
        }
    }
    best.map(|route| route.hop)
}

/// What anybody on the link can say neither changes nor takes away what the configuration says.
#[test]
fn what_is_learned_leaves_what_is_configured() {
    for (to, length, gateway) in [("2001:db8::", 64, "fe80::1"), ("10.1.0.0", 16, "10.0.0.1")] {
        let prefix = Prefix::new(address(to), length).unwrap();
        for hop in [Hop::OnLink, Hop::Gateway(address(gateway))] {
            let mut table = Routes::new();
            let (own, said) = (Route { prefix, hop, metric: 0 }, Route { prefix, hop, metric: 1024 });
            table.add(own).unwrap();
            table.learn(said).unwrap();
            assert!(!table.forget(prefix, hop));
            assert_eq!(table.iter().copied().collect::<Vec<_>>(), [own]);
            assert!(table.remove(prefix, hop));

            table.learn(said).unwrap();
            table.learn(Route { metric: 7, ..said }).unwrap();
            assert_eq!(table.iter().map(|route| route.metric).collect::<Vec<_>>(), [7]);
            assert!(table.forget(prefix, hop) && table.is_empty());

            table.learn(said).unwrap();
            table.add(own).unwrap();
            assert!(!table.forget(prefix, hop));
            assert_eq!(table.iter().copied().collect::<Vec<_>>(), [own], "what is configured later counts, too");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lookup_finds_what_a_search_of_all_routes_finds(ops in prop::collection::vec(op(), 1..120)) {
        let mut table = Routes::new();
        let mut model: Vec<Route> = Vec::new();
        for op in ops {
            match op {
                Op::Add(to, length, hop, metric) => {
                    let length = if to.is_ipv4() { length % 33 } else { length };
                    let gateway = if to.is_ipv4() { address("10.0.0.0") } else { address("fe80::") };
                    let gateway = match gateway {
                        IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() + u32::from(hop))),
                        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() + u128::from(hop))),
                    };
                    let hop = if hop == 1 { Hop::OnLink } else { Hop::Gateway(gateway) };
                    let route = Route { prefix: Prefix::new(to, length).unwrap().network(), hop, metric };
                    model.retain(|here| (here.prefix, here.hop) != (route.prefix, route.hop));
                    model.push(route);
                    table.add(route).unwrap();
                }
                Op::Remove(at) if at < model.len() => {
                    let gone = model.remove(at);
                    prop_assert!(table.remove(gone.prefix, gone.hop));
                }
                Op::Remove(_) => {}
                Op::Lookup(to) => prop_assert_eq!(table.lookup(to), naive(&model, to)),
            }
            prop_assert_eq!(table.len(), model.len());
        }
        for route in &model {
            let to = route.prefix.address();
            prop_assert!(to.is_multicast() || table.lookup(to) == naive(&model, to));
        }
    }
}
