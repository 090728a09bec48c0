// SPDX-License-Identifier: MIT OR Apache-2.0
//! Addresses of the interface: which are used, for how long, and as which packet's source.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use proptest::prelude::*;
use runtime::Errno;
use runtime::time::Time;

use super::{Address, Addresses, Class, Event, Lifetimes, State};
use crate::ip::Prefix;
use crate::limits::ADDRESSES_MAX;

const START: Time = Time::from_nanos(1 << 40);

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

fn after(seconds: u64) -> Time {
    START + Duration::from_secs(seconds)
}

fn lifetimes(preferred: u64, valid: u64) -> Lifetimes {
    Lifetimes { preferred: after(preferred), valid: after(valid) }
}

/// Those with a `!` in front are deprecated.
fn addresses(prefixes: &[&str]) -> Addresses {
    let mut all = Addresses::new();
    for text in prefixes {
        let deprecated = text.starts_with('!');
        let times = if deprecated { Lifetimes { preferred: START, ..Lifetimes::FOREVER } } else { Lifetimes::FOREVER };
        all.add(prefix(text.trim_start_matches('!')), false, times, START).unwrap();
    }
    all
}

/// RFC 6724 §10.1, without care-of and temporary addresses; and what IPv4 has of that.
/// RFC 6724 §2.1, §2.2, §3.1, §3.2, §5; RFC 4291 §2.7.
#[test]
fn sources_of_the_examples() {
    for (destination, candidates, expected) in [
        ("2001:db8:1::1", &["2001:db8:3::1/64", "fe80::1/64"][..], "2001:db8:3::1"),
        ("ff05::1", &["2001:db8:3::1/64", "fe80::1/64"], "2001:db8:3::1"),
        ("ff02::1", &["2001:db8:3::1/64", "fe80::1/64"], "fe80::1"),
        ("2001:db8:1::1", &["!2001:db8:1::1/64", "2001:db8:2::1/64"], "2001:db8:1::1"),
        ("fe80::1", &["!fe80::2/64", "2001:db8:1::1/64"], "fe80::2"),
        ("2001:db8:1::1", &["2001:db8:1::2/64", "2001:db8:3::2/64"], "2001:db8:1::2"),
        ("2001:db8:1::1", &["2001:db8:3::2/64", "!2001:db8:1::2/64"], "2001:db8:3::2"),
        (
            "2002:c633:6401::1",
            &["2001:db8:1::2/64", "2002:c633:6401::d5e3:7953:13eb:22e8/64"],
            "2002:c633:6401::d5e3:7953:13eb:22e8",
        ),
        // A unique local address is for unique local destinations (label 13), whatever the bits.
        ("fd00:1::1", &["2001:db8:1::2/64", "fdff:2::1/64"], "fdff:2::1"),
        ("2001:db8:1::1", &["fd00:1::1/64", "2001:db8:3::1/64"], "2001:db8:3::1"),
        // Site-local, the old kind: larger than the link, smaller than the world.
        ("fec0::1", &["2001:db8:1::2/64", "fe80::1/64", "fec0::2/64"], "fec0::2"),
        ("fec0::1", &["fe80::1/64", "2001:db8:1::2/64"], "2001:db8:1::2"),
        ("2001:db8::1", &["fe80::1/64", "fec0::2/64"], "fec0::2"),
        // Nothing better than a source that does not reach far enough.
        ("2001:db8::1", &["fe80::1/64"], "fe80::1"),
        ("192.0.2.1", &["169.254.1.1/16", "10.0.0.1/24"], "10.0.0.1"),
        ("169.254.7.7", &["10.0.0.1/24", "169.254.1.1/16"], "169.254.1.1"),
        ("224.0.0.1", &["10.0.0.1/24", "169.254.1.1/16"], "169.254.1.1"),
        ("239.255.0.1", &["169.254.1.1/16", "10.0.0.1/24"], "10.0.0.1"),
        ("10.2.3.4", &["10.1.0.1/16", "10.2.0.1/16"], "10.2.0.1"),
        ("255.255.255.255", &["10.1.0.1/16", "10.2.0.1/16"], "10.1.0.1"),
        // Bits behind the prefix of the source do not count: the first stays (RFC 6724 §2.2).
        ("10.2.3.4", &["10.2.9.9/16", "10.2.3.5/16"], "10.2.9.9"),
        ("192.0.2.1", &["2001:db8::1/64", "10.0.0.1/24"], "10.0.0.1"),
    ] {
        let found = addresses(candidates).source_for(address(destination));
        assert_eq!(found, Some(address(expected)), "{destination} {candidates:?}");
    }
}

/// RFC 5771 §4, RFC 2365 §6: how far groups of IPv4 reach, by RFC 6724 §3.2.
#[test]
fn groups_of_ipv4_have_scopes() {
    let here = addresses(&["10.0.0.1/24", "169.254.1.1/16"]);
    let source = |to: &str| here.source_for(to.parse().unwrap()).unwrap().to_string();
    assert_eq!(source("224.0.0.251"), "169.254.1.1", "of the link");
    for further in ["239.255.1.1", "224.0.1.1", "232.1.2.3"] {
        assert_eq!(source(further), "10.0.0.1", "{further}");
    }
}

/// RFC 4862 §5.4.
#[test]
fn no_source_of_that_family_and_none_that_is_tentative() {
    let mut all = addresses(&["10.0.0.1/24"]);
    assert_eq!(all.source_for(address("2001:db8::1")), None);
    all.add(prefix("2001:db8::7/64"), true, Lifetimes::FOREVER, START).unwrap();
    assert_eq!(all.source_for(address("2001:db8::1")), None);
    assert_eq!(all.source_for(address("2001:db8::7")), None);
    assert!(all.claimed(address("2001:db8::7"), START));
    assert_eq!(all.source_for(address("2001:db8::1")), Some(address("2001:db8::7")));
    // What is for this host itself comes from itself.
    assert_eq!(all.source_for(address("127.0.0.9")), Some(address("127.0.0.9")));
    assert_eq!(all.source_for(address("10.0.0.1")), Some(address("10.0.0.1")));
}

/// RFC 1122 §3.2.1.3, §3.3.6; RFC 4291 §2.5.3.
#[test]
fn destinations_have_a_class() {
    let mut all = addresses(&["10.0.0.1/24", "192.0.2.2/31", "2001:db8::1/64"]);
    all.add(prefix("2001:db8::2/64"), true, Lifetimes::FOREVER, START).unwrap();
    for (destination, class) in [
        ("10.0.0.1", Class::Ours),
        ("192.0.2.2", Class::Ours),
        ("2001:db8::1", Class::Ours),
        ("2001:db8::2", Class::Tentative),
        ("10.0.0.2", Class::Other),
        ("192.0.2.3", Class::Other),
        ("2001:db8::3", Class::Other),
        ("::ffff:10.0.0.1", Class::Other),
        ("255.255.255.255", Class::Broadcast),
        ("10.0.0.255", Class::Broadcast),
        ("10.0.0.0", Class::Broadcast),
        ("10.0.1.255", Class::Other),
        ("224.0.0.1", Class::Multicast),
        ("ff02::1", Class::Multicast),
        ("127.1.2.3", Class::Loopback),
        ("::1", Class::Loopback),
        ("0.0.0.0", Class::Unspecified),
        ("::", Class::Unspecified),
    ] {
        assert_eq!(all.class(address(destination)), class, "{destination}");
        assert_eq!(all.is_ours(address(destination)), class == Class::Ours, "{destination}");
        assert_eq!(all.is_broadcast(address(destination)), class == Class::Broadcast, "{destination}");
    }
}

#[test]
fn some_addresses_are_no_hosts() {
    let mut all = Addresses::new();
    for bad in [
        "0.0.0.0/24",
        "127.0.0.1/8",
        "224.0.0.1/24",
        "255.255.255.255/32",
        "10.0.0.255/24",
        "10.0.0.0/24",
        "::/64",
        "::1/128",
        "ff02::1/64",
    ] {
        let added = all.add(prefix(bad), false, Lifetimes::FOREVER, START);
        assert_eq!(added.unwrap_err().errno(), Errno::INVAL, "{bad}");
    }
    for good in ["10.0.0.0/31", "10.0.0.255/32", "10.0.0.255/16", "2001:db8::/64"] {
        all.add(prefix(good), false, Lifetimes::FOREVER, START).unwrap();
    }
}

/// RFC 4862 §5.5.4.
#[test]
fn address_is_preferred_then_deprecated_then_gone() {
    let mut all = Addresses::new();
    all.add(prefix("2001:db8::1/64"), true, lifetimes(10, 20), START).unwrap();
    assert!(!all.is_ours(address("2001:db8::1")));
    // Whoever is still looking whether it is taken does not hear that it is deprecated.
    assert_eq!((all.next_deadline(), all.poll(after(15))), (Some(after(20)), None));
    assert!(all.claimed(address("2001:db8::1"), after(1)));
    assert!(!all.claimed(address("2001:db8::1"), after(1)));
    assert_eq!((all.next_deadline(), all.poll(after(9))), (Some(after(10)), None));
    assert_eq!(all.poll(after(10)), Some(Event::Deprecated(address("2001:db8::1"))));
    assert!(all.is_ours(address("2001:db8::1")));
    assert_eq!((all.next_deadline(), all.poll(after(19))), (Some(after(20)), None));
    assert_eq!(all.poll(after(20)), Some(Event::Expired(prefix("2001:db8::1/64"))));
    assert_eq!((all.next_deadline(), all.poll(Time::MAX)), (None, None));
    assert!(!all.is_ours(address("2001:db8::1")));
}

#[test]
fn lifetimes_are_renewed() {
    let mut all = addresses(&["10.0.0.1/24"]);
    assert_eq!((all.next_deadline(), all.poll(Time::MAX)), (None, None));
    all.add(prefix("10.0.0.1/16"), true, lifetimes(10, 5), START).unwrap();
    let expected = Address { prefix: prefix("10.0.0.1/16"), state: State::Preferred, lifetimes: lifetimes(5, 5) };
    assert_eq!(all.iter().copied().collect::<Vec<_>>(), [expected]);
    all.add(prefix("10.0.0.1/16"), false, lifetimes(0, 50), START).unwrap();
    assert_eq!(all.iter().next().unwrap().state, State::Deprecated);
    all.add(prefix("10.0.0.1/16"), false, lifetimes(40, 50), after(7)).unwrap();
    assert_eq!(all.iter().next().unwrap().state, State::Preferred);
    // One that is tentative stays so, and may be deprecated by the time that it is used.
    all.add(prefix("10.0.0.2/16"), true, lifetimes(1, 60), START).unwrap();
    all.add(prefix("10.0.0.2/16"), false, lifetimes(2, 60), START).unwrap();
    assert_eq!(all.class(address("10.0.0.2")), Class::Tentative);
    assert!(all.claimed(address("10.0.0.2"), after(3)));
    assert_eq!(all.remove(address("10.0.0.2")).unwrap().state, State::Deprecated);
    assert_eq!(all.remove(address("10.0.0.2")), None);
}

#[test]
fn table_is_bounded() {
    let mut all = Addresses::new();
    let numbered = |number: usize| prefix(&format!("10.0.1.{}/16", number + 1));
    (0..ADDRESSES_MAX).for_each(|number| all.add(numbered(number), false, Lifetimes::FOREVER, START).unwrap());
    let more = all.add(numbered(ADDRESSES_MAX), false, Lifetimes::FOREVER, START);
    assert_eq!(more.unwrap_err().errno(), Errno::MFILE);
    all.add(numbered(0), false, lifetimes(1, 2), START).unwrap();
}

fn some_address() -> impl Strategy<Value = Prefix> {
    let v4 = (any::<u32>(), 8..=32_u8).prop_map(|(bits, length)| {
        Prefix::new(Ipv4Addr::from_bits(bits & 0x0003_0003 | 0x0a00_0004).into(), length).unwrap()
    });
    let heads = vec![0xfe80_u128, 0xfec0, 0xfd00, 0x2001, 0x2002, 0x3ffe, 0x2a00];
    let v6 =
        (prop::sample::select(heads), 0..4_u128, 0..4_u128, 16..=128_u8).prop_map(|(head, middle, low, length)| {
            Prefix::new(Ipv6Addr::from_bits(head << 112 | middle << 64 | (low + 1)).into(), length).unwrap()
        });
    prop_oneof![v4, v6]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The rules order addresses totally: the source does not depend on the order of the candidates, but for those that
    /// are as good; and it beats each of the others alone.
    #[test]
    fn source_beats_every_other_one(
        candidates in prop::collection::vec((some_address(), any::<bool>()), 1..8),
        to in some_address(),
    ) {
        let add = |some: &[(Prefix, bool)]| {
            let mut all = Addresses::new();
            for (prefix, deprecated) in some {
                let times = if *deprecated { lifetimes(0, 9) } else { lifetimes(9, 9) };
                // An address may come twice, and one may be the broadcast address of its own prefix.
                let _ = all.add(*prefix, false, times, START);
            }
            all
        };
        let all = add(&candidates);
        let to = to.address();
        let source = all.source_for(to);
        let same_family = all.iter().filter(|here| here.prefix.address().is_ipv4() == to.is_ipv4()).count();
        prop_assert_eq!(source.is_some(), same_family > 0);
        let Some(source) = source else { return Ok(()) };
        prop_assert!(all.is_ours(source));
        let best = *all.iter().find(|here| here.prefix.address() == source).unwrap();
        for here in all.iter().filter(|here| here.prefix.address() != source) {
            let pair = |one: &Address, two: &Address| {
                add(&[one, two].map(|here| (here.prefix, here.state == State::Deprecated))).source_for(to)
            };
            prop_assert!(pair(&best, here) == Some(source));
        }
    }
}
