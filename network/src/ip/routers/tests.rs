// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a host does by router advertisements: routes, addresses, lifetimes; and how it asks for them.

use alloc::collections::BTreeMap;
use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;

use proptest::prelude::*;
use runtime::time::Time;

use super::{Action, METRIC, METRIC_SUSPECT, Parameters, Routers, identifier, stable_address};
use crate::ip::addresses::Lifetimes;
use crate::ip::{Addresses, Hop, Prefix, Route, Routes};
use crate::keyed::{Random, Secret};
use crate::limits::{ANNOUNCED_PREFIXES_MAX, ROUTERS_MAX, STABLE_ADDRESS_TRIES};
use crate::wire::ndp::{PrefixInformation, RouterAdvertisement};

const START: Time = Time::from_nanos(1 << 40);
const SECRET: Secret = Secret([9; 16]);
const ROUTER: Ipv6Addr = router(1);

const fn router(number: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, number)
}

fn after(seconds: u64) -> Time {
    START + Duration::from_secs(seconds)
}

fn v6(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn information(prefix: &str, valid: u32, preferred: u32) -> PrefixInformation {
    let (prefix, length) = prefix.split_once('/').unwrap();
    let (prefix, length) = (v6(prefix), length.parse().unwrap());
    PrefixInformation { prefix, length, on_link: true, autonomous: true, valid, preferred }
}

fn advertisement(lifetime: u16, prefixes: &[PrefixInformation]) -> RouterAdvertisement {
    RouterAdvertisement { lifetime, prefixes: prefixes.iter().copied().collect(), ..RouterAdvertisement::default() }
}

fn actions(routers: &mut Routers, now: Time) -> Vec<Action> {
    std::iter::from_fn(|| routers.poll(now)).collect()
}

/// One whose first actions, an address of the link and a solicitation, are done.
fn started() -> Routers {
    let mut routers = Routers::new(SECRET, Random::new(SECRET), 1500, START - Duration::from_secs(1));
    let first = actions(&mut routers, START);
    assert!(matches!(first[..], [Action::Address(prefix, Lifetimes::FOREVER), Action::Solicit]
        if Some(prefix.address()) == stable_address(&SECRET, Prefix::LINK_LOCAL, 0).map(IpAddr::V6)));
    routers
}

/// What is to be done after an advertisement of the first router.
fn heard(routers: &mut Routers, advertisement: &RouterAdvertisement, now: Time) -> Vec<Action> {
    assert!(routers.heard_advertisement(ROUTER, advertisement, now));
    actions(routers, now)
}

fn default_route(number: u16, metric: u32) -> Route {
    Route { prefix: Prefix::DEFAULT_V6, hop: Hop::Gateway(router(number).into()), metric }
}

/// The address of a prefix and until when it is preferred and valid, if these are all there is to do, beside another
/// solicitation.
fn address_of(actions: &[Action]) -> (IpAddr, Time, Time) {
    match actions {
        [Action::Address(prefix, lifetimes)] | [Action::Address(prefix, lifetimes), Action::Solicit] => {
            (prefix.address(), lifetimes.preferred, lifetimes.valid)
        }
        other => panic!("{other:?}"),
    }
}

/// RFC 7559 §2, RFC 4861 §6.3.7, §10; RFC 8415 §15.
#[test]
fn solicits_until_a_router_answers() {
    let mut routers = Routers::new(SECRET, Random::new(SECRET), 1500, START);
    let mut sent = vec![];
    let end = START + Duration::from_hours(24);
    while let Some(now) = routers.next_deadline().filter(|now| *now < end) {
        assert!(now >= START);
        assert_eq!(
            actions(&mut routers, now - Duration::from_nanos(1)).iter().filter(|it| **it == Action::Solicit).count(),
            0
        );
        assert_eq!(actions(&mut routers, now), [Action::Solicit]);
        sent.push(now);
    }
    // RFC 7559 §2: within a second, then 4 s later, then twice as much each time, up to an hour; a tenth more or less.
    assert!(sent[0] <= after(1));
    let waits: Vec<f64> = sent.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
    assert!((3.6..=4.4).contains(&waits[0]));
    for pair in waits.windows(2) {
        let base = 2.0 * pair[0];
        let expected = if base <= 3600.0 { base - 0.1001 * pair[0]..=base + 0.1001 * pair[0] } else { 3240.0..=3960.0 };
        assert!(expected.contains(&pair[1]), "{waits:?}");
    }
    assert!(waits.len() > 30 && waits.windows(2).skip(12).any(|pair| (pair[0] - pair[1]).abs() > 1.0));
    // One that is no default router is no answer.
    let now = after(100_000);
    heard(&mut routers, &advertisement(0, &[]), now);
    assert!(routers.next_deadline().is_some());
    heard(&mut routers, &advertisement(1800, &[]), now);
    assert_eq!(routers.next_deadline(), Some(now + Duration::from_mins(30)));
}

/// RFC 4861 §6.3.7.
#[test]
fn solicits_once_even_if_a_router_has_spoken_before() {
    let mut routers = Routers::new(SECRET, Random::new(SECRET), 1500, START);
    heard(&mut routers, &advertisement(1800, &[]), START);
    assert_eq!(actions(&mut routers, after(1)), [Action::Solicit]);
    assert_eq!(actions(&mut routers, after(1000)), []);
}

/// RFC 4861 §6.3.
#[test]
fn default_router_comes_and_goes() {
    let mut routers = started();
    assert_eq!(heard(&mut routers, &advertisement(100, &[]), START), [Action::Route(default_route(1, METRIC))]);
    // Said again, it is there for longer, and there is nothing to do.
    assert_eq!(heard(&mut routers, &advertisement(100, &[]), after(50)), []);
    assert_eq!((routers.next_deadline(), actions(&mut routers, after(149))), (Some(after(150)), vec![]));
    let hop = Hop::Gateway(ROUTER.into());
    assert_eq!(actions(&mut routers, after(150)), [Action::Unroute(Prefix::DEFAULT_V6, hop)]);
    // A lifetime of zero ends it at once (RFC 4861 §6.3.4), and says nothing of one that is not known.
    heard(&mut routers, &advertisement(100, &[]), after(200));
    assert_eq!(heard(&mut routers, &advertisement(0, &[]), after(201)), [Action::Unroute(Prefix::DEFAULT_V6, hop)]);
    assert_eq!(heard(&mut routers, &advertisement(0, &[]), after(202)), []);
}

/// RFC 4861 §6.1.2.
#[test]
fn router_has_a_link_local_address() {
    let mut routers = started();
    for source in ["2001:db8::1", "::", "ff02::1", "fec0::1"] {
        assert!(!routers.heard_advertisement(
            v6(source),
            &advertisement(100, &[information("2001:db8::/64", 9, 9)]),
            START
        ));
    }
    assert_eq!(actions(&mut routers, START), []);
}

/// RFC 4861 §6.3.6.
#[test]
fn router_that_does_not_answer_is_the_last_to_be_taken() {
    let mut routers = started();
    for number in [1, 2] {
        assert!(routers.heard_advertisement(router(number), &advertisement(100, &[]), START));
    }
    assert_eq!(actions(&mut routers, START), [1, 2].map(|number| Action::Route(default_route(number, METRIC))));
    assert!(routers.reachable(router(1), false));
    assert_eq!(actions(&mut routers, START), [Action::Route(default_route(1, METRIC + METRIC_SUSPECT))]);
    assert!(
        routers.reachable(router(1), false)
            && routers.reachable(router(2), true)
            && !routers.reachable(router(3), false)
    );
    assert_eq!(actions(&mut routers, START), []);
    assert!(routers.reachable(router(1), true));
    assert_eq!(actions(&mut routers, START), [Action::Route(default_route(1, METRIC))]);
    // One that speaks again is worth a try.
    routers.reachable(router(1), false);
    assert_eq!(actions(&mut routers, START), [Action::Route(default_route(1, METRIC + METRIC_SUSPECT))]);
    let said = heard(&mut routers, &advertisement(100, &[]), START);
    assert_eq!(said, [Action::Route(default_route(1, METRIC))]);
    // RFC 4861 §7.2.5.
    routers.resigned(router(2), START);
    routers.resigned(router(3), START);
    let gone = Hop::Gateway(router(2).into());
    assert_eq!(actions(&mut routers, START), [Action::Unroute(Prefix::DEFAULT_V6, gone)]);
}

/// RFC 4862 §5.5, RFC 4861 §6.3.4.
#[test]
fn prefix_makes_a_route_and_an_address() {
    let mut routers = started();
    let said = advertisement(0, &[information("2001:db8::77/64", 100, 50)]);
    let prefix: Prefix = "2001:db8::/64".parse().unwrap();
    let own = stable_address(&SECRET, prefix, 0).unwrap();
    let address = Prefix::new(own.into(), 64).unwrap();
    let lifetimes = Lifetimes { preferred: after(50), valid: after(100) };
    assert_eq!(
        heard(&mut routers, &said, START),
        [Action::Route(Route { prefix, hop: Hop::OnLink, metric: METRIC }), Action::Address(address, lifetimes)]
    );
    assert_eq!(routers.next_deadline().unwrap().min(after(100)), routers.next_deadline().unwrap());
    let end = actions(&mut routers, after(100));
    assert!(end.contains(&Action::Unroute(prefix, Hop::OnLink)));
    assert!(!end.iter().any(|action| matches!(action, Action::Address(..))));
    // Anew, it is the same address (RFC 7217).
    let again = heard(&mut routers, &said, after(200));
    assert!(matches!(again[1], Action::Address(again, _) if again == address));
}

/// RFC 4862 §5.5.3.
#[test]
fn flags_and_lengths_say_what_a_prefix_is_for() {
    let mut routers = started();
    let base = information("2001:db8::/64", 100, 50);
    let only_link = PrefixInformation { autonomous: false, ..base };
    assert!(matches!(heard(&mut routers, &advertisement(0, &[only_link]), START)[..], [Action::Route(_)]));
    let only_addresses = PrefixInformation { on_link: false, ..information("2001:db8:1::/64", 100, 50) };
    assert!(matches!(heard(&mut routers, &advertisement(0, &[only_addresses]), START)[..], [Action::Address(..)]));
    let ignored = [
        information("fe80::/64", 100, 50),
        information("ff02::/64", 100, 50),
        PrefixInformation { length: 129, ..information("2001:db8:2::/64", 100, 50) },
        // Preferred for longer than valid, not 64 bits, and not valid at all: no address.
        PrefixInformation { on_link: false, ..information("2001:db8:3::/64", 50, 100) },
        PrefixInformation { on_link: false, ..information("2001:db8:4::/48", 100, 50) },
        information("2001:db8:5::/64", 0, 0),
    ];
    assert_eq!(heard(&mut routers, &advertisement(0, &ignored), START), []);
    assert!(matches!(
        heard(&mut routers, &advertisement(0, &[information("2001:db8:6::/48", 9, 9)]), START)[..],
        [Action::Route(_)]
    ));
}

/// RFC 4862 §5.5.3 e.
#[test]
fn lifetimes_are_not_cut_below_two_hours() {
    const HOUR: u32 = 3600;
    let said = |valid, preferred| {
        advertisement(0, &[PrefixInformation { on_link: false, ..information("2001:db8::/64", valid, preferred) }])
    };
    let mut routers = started();
    let mut expect = |valid: u32, preferred: u32, now: u64, until: u64| {
        let (_, preferred_until, valid_until) = address_of(&heard(&mut routers, &said(valid, preferred), after(now)));
        assert_eq!((preferred_until, valid_until), (after(now + u64::from(preferred)), after(until)));
    };
    let hour = u64::from(HOUR);
    expect(10 * HOUR, 5 * HOUR, 0, 10 * hour);
    // More than two hours: as said, even if shorter.
    expect(3 * HOUR, HOUR, 10, 10 + 3 * hour);
    // Less: two hours; and the preferred lifetime as said.
    expect(HOUR, 0, 20, 20 + 2 * hour);
    expect(0, 0, 30, 30 + 2 * hour - 10);
    // Less than two hours left: they stay, unless more is said.
    expect(10, 10, 1000, 20 + 2 * hour);
    expect(2620, 2000, 1000 + hour, 20 + 2 * hour);
    expect(2621, 2000, 1000 + hour, 21 + 2 * hour);
    expect(u32::MAX - 1, 0, 2 * hour, 2 * hour + u64::from(u32::MAX) - 1);
}

#[test]
fn all_ones_is_for_ever() {
    let mut routers = started();
    heard(&mut routers, &advertisement(1, &[]), START);
    actions(&mut routers, after(1));
    let found = heard(&mut routers, &advertisement(0, &[information("2001:db8::/64", u32::MAX, u32::MAX)]), START);
    assert!(matches!(found[1], Action::Address(_, Lifetimes::FOREVER)));
    // The router has answered, so that nothing more will happen by itself.
    assert_eq!(routers.next_deadline(), None);
}

/// RFC 7217 §6.
#[test]
fn taken_addresses_give_way_to_others_a_few_times() {
    let mut routers = started();
    let prefix: Prefix = "2001:db8::/64".parse().unwrap();
    heard(&mut routers, &advertisement(0, &[information("2001:db8::/64", 100, 50)]), START);
    let mut seen = vec![];
    for conflicts in 0..STABLE_ADDRESS_TRIES {
        let taken = stable_address(&SECRET, prefix, conflicts).unwrap();
        assert!(!seen.contains(&taken));
        seen.push(taken);
        assert!(routers.conflict(taken));
        assert!(!routers.conflict(taken));
        let next = actions(&mut routers, START);
        if conflicts + 1 < STABLE_ADDRESS_TRIES {
            assert_eq!(Some(address_of(&next).0), stable_address(&SECRET, prefix, conflicts + 1).map(IpAddr::V6));
        } else {
            assert_eq!(next, []);
        }
    }
    // It is remembered while the prefix is announced, and concerns no other one.
    assert!(
        !heard(&mut routers, &advertisement(0, &[information("2001:db8::/64", 200, 50)]), START)
            .iter()
            .any(|action| matches!(action, Action::Address(..)))
    );
    assert!(!routers.conflict(v6("2001:db8::1")));
    let link_local = stable_address(&SECRET, Prefix::LINK_LOCAL, 0).unwrap();
    assert!(routers.conflict(link_local));
    let next = stable_address(&SECRET, Prefix::LINK_LOCAL, 1).unwrap();
    assert_eq!(address_of(&actions(&mut routers, START)).0, IpAddr::V6(next));
}

/// RFC 7217 §5, RFC 5453 §3.
#[test]
fn identifiers_are_stable_and_say_nothing() {
    let (one, two): (Prefix, Prefix) = ("2001:db8::/64".parse().unwrap(), "2001:db8:0:1::/64".parse().unwrap());
    let low = |address: Option<Ipv6Addr>| address.unwrap().to_bits() as u64;
    let here = stable_address(&SECRET, one, 0);
    assert_eq!(here, stable_address(&SECRET, "2001:db8::dead:beef/64".parse().unwrap(), 0));
    assert!(one.contains(here.unwrap().into()));
    assert_ne!(low(here), low(stable_address(&SECRET, two, 0)));
    assert_ne!(low(here), low(stable_address(&SECRET, one, 1)));
    assert_ne!(low(here), low(stable_address(&Secret([8; 16]), one, 0)));
    for bad in ["2001:db8::/63", "2001:db8::/128", "10.0.0.0/24"] {
        assert_eq!(stable_address(&SECRET, bad.parse().unwrap(), 0), None);
    }
    for (identifier, reserved) in [
        (0, true),
        (1, false),
        (0x0200_5eff_fe00_0000, true),
        (0x0200_5eff_fe00_5213, true),
        (0x0200_5eff_fdff_ffff, false),
        (0x0200_5eff_ff00_0000, false),
        (0xfdff_ffff_ffff_ff7f, false),
        (0xfdff_ffff_ffff_ff80, true),
        (0xfdff_ffff_ffff_ffff, true),
        (0xfe00_0000_0000_0000, false),
    ] {
        assert_eq!(identifier::is_reserved(identifier), reserved, "{identifier:x}");
    }
}

/// RFC 4861 §6.3.4, §6.2.1, §6.3.2.
#[test]
fn parameters_are_taken_if_they_make_sense() {
    let mut routers = started();
    assert_eq!(routers.parameters(), Parameters::defaults(1500));
    let said = RouterAdvertisement {
        hop_limit: 99,
        reachable: 7000,
        retransmit: 250,
        mtu: Some(1400),
        ..RouterAdvertisement::default()
    };
    let expected = Parameters {
        hop_limit: 99,
        mtu: 1400,
        reachable_time: Duration::from_secs(7),
        retransmit_timer: Duration::from_millis(250),
    };
    assert_eq!(heard(&mut routers, &said, START), [Action::Parameters(expected)]);
    assert_eq!(heard(&mut routers, &said, START), []);
    // What is not said, and what cannot be, changes nothing.
    for mtu in [None, Some(0), Some(1279), Some(1501), Some(65_536 + 1400), Some(u32::MAX)] {
        let said = RouterAdvertisement { mtu, reachable: 3_600_001, ..RouterAdvertisement::default() };
        assert_eq!(heard(&mut routers, &said, START), [], "{mtu:?}");
    }
    for mtu in [1280, 1500] {
        let said = RouterAdvertisement { mtu: Some(mtu), ..RouterAdvertisement::default() };
        assert_eq!(heard(&mut routers, &said, START), [Action::Parameters(Parameters { mtu: mtu as u16, ..expected })]);
    }
    assert_eq!(routers.parameters(), Parameters { mtu: 1500, ..expected });
}

/// RFC 4861 §6.3.4.
#[test]
fn lists_are_bounded() {
    let mut routers = started();
    for number in 0..3 * ROUTERS_MAX as u16 {
        assert!(routers.heard_advertisement(router(number + 1), &advertisement(100, &[]), START));
    }
    assert_eq!(actions(&mut routers, START).len(), ROUTERS_MAX);
    for number in 0..3 * ANNOUNCED_PREFIXES_MAX {
        heard(&mut routers, &advertisement(100, &[information(&format!("2001:db8:{number:x}::/64"), 100, 50)]), START);
    }
    let end = actions(&mut routers, after(100));
    assert_eq!(end.len(), ROUTERS_MAX + ANNOUNCED_PREFIXES_MAX);
    // Then there is room for others, and the address of the link is there still.
    assert_eq!(
        heard(&mut routers, &advertisement(0, &[information("2001:db8:ffff::/64", 100, 50)]), after(101)).len(),
        2
    );
    assert!(routers.conflict(stable_address(&SECRET, Prefix::LINK_LOCAL, 0).unwrap()));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whoever does what is said has, at any time, the routes and addresses whose lifetime is not over, and no others.
    #[test]
    fn routes_and_addresses_are_those_that_are_announced(
        events in prop::collection::vec((1..4_u16, 0..50_u16, 0..4_u16, 0..60_u32, 0..60_u32, 0..20_u64, any::<[bool; 2]>()), 1..60),
    ) {
        let mut routers = started();
        let (mut routes, mut addresses) = (Routes::new(), Addresses::new());
        let mut model: BTreeMap<String, Time> = BTreeMap::new();
        let mut owned: BTreeMap<u16, Time> = BTreeMap::new();
        let mut now = START;
        for (number, lifetime, network, valid, preferred, wait, [on_link, autonomous]) in events {
            now += Duration::from_secs(wait);
            let text = format!("2001:db8:{:x}::/64", network + 1);
            let said = PrefixInformation { on_link, autonomous, ..information(&text, valid, preferred) };
            prop_assert!(routers.heard_advertisement(router(number), &advertisement(lifetime, &[said]), now));
            model.insert(format!("::/0 {}", router(number)), now + Duration::from_secs(lifetime.into()));
            let end = now + Duration::from_secs(valid.into());
            if on_link {
                model.insert(text, end);
            }
            if autonomous && preferred <= valid {
                // All is within two hours: an address that is there is never valid for shorter than it was.
                let here = owned.get(&network).copied().filter(|until| now < *until).unwrap_or(Time::ZERO);
                owned.insert(network, end.max(here));
            }
            while let Some(action) = routers.poll(now) {
                match action {
                    Action::Route(route) => routes.add(route).unwrap(),
                    Action::Unroute(prefix, hop) => drop(routes.remove(prefix, hop)),
                    Action::Address(prefix, lifetimes) => addresses.add(prefix, false, lifetimes, now).unwrap(),
                    Action::Solicit | Action::Parameters(_) => {}
                }
            }
            while addresses.poll(now).is_some() {}
            model.retain(|_, until| now < *until);
            owned.retain(|_, until| now < *until);
            let mut found: Vec<String> = routes.iter().map(|route| match route.hop {
                Hop::OnLink => format!("{}", route.prefix),
                Hop::Gateway(gateway) => format!("{} {gateway}", route.prefix),
            }).collect();
            found.sort();
            prop_assert_eq!(found, model.keys().cloned().collect::<Vec<_>>());
            for network in 0..4 {
                let prefix: Prefix = format!("2001:db8:{:x}::/64", network + 1).parse().unwrap();
                let own = stable_address(&SECRET, prefix, 0).unwrap();
                prop_assert_eq!(addresses.is_ours(own.into()), owned.contains_key(&network));
            }
            prop_assert!(routers.next_deadline().is_none_or(|deadline| deadline > now));
        }
    }
}
