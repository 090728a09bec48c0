// SPDX-License-Identifier: MIT OR Apache-2.0
//! Path MTUs: what is believed, for how long, and of how many destinations.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;
use std::collections::HashMap;

use proptest::prelude::*;
use runtime::time::Time;

use super::{PathMtu, PathMtus};
use crate::limits::{PATH_MTU_AGE, PATH_MTUS_MAX};

const START: Time = Time::from_nanos(1 << 40);

fn v4(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0a00_0000 + number).into()
}

fn v6(number: u32) -> IpAddr {
    Ipv6Addr::from_bits((0x2001_0db8 << 96) + u128::from(number)).into()
}

fn path(bytes: u16, dont_fragment: bool) -> PathMtu {
    PathMtu { bytes, dont_fragment }
}

/// RFC 1191 §3, RFC 8201 §4.
#[test]
fn messages_lower_an_estimate_and_never_raise_it() {
    let mut paths = PathMtus::new(1500);
    assert_eq!(paths.get(v4(1), START), path(1500, true));
    assert_eq!(paths.too_big(v4(1), 1400, 1500, START), Some(path(1400, true)));
    assert_eq!(paths.too_big(v4(1), 1450, 1500, START), None);
    assert_eq!(paths.too_big(v4(1), 1400, 1500, START), None);
    assert_eq!(paths.too_big(v4(1), 9000, 1500, START), None);
    assert_eq!(paths.too_big(v4(2), 1500, 1500, START), None);
    assert_eq!(paths.too_big(v6(1), 1300, 1500, START), Some(path(1300, true)));
    assert_eq!(paths.too_big(v6(1), u32::MAX, 1500, START), None);
    assert_eq!(paths.get(v4(1), START), path(1400, true));
    assert_eq!(paths.get(v6(1), START), path(1300, true));
    assert_eq!((paths.get(v4(2), START), paths.len()), (path(1500, true), 2));
}

/// RFC 791 §3.2, RFC 8201 §4, RFC 8200 §5.
#[test]
fn floors() {
    let mut paths = PathMtus::new(1500);
    // RFC 8201 §4.
    assert_eq!(paths.too_big(v6(1), 1279, 1500, START), None);
    assert_eq!(paths.too_big(v6(1), 0, 1500, START), None);
    assert_eq!(paths.too_big(v6(1), 1280, 1500, START), Some(path(1280, true)));
    // Below what is believed, routers are let fragment; once they are, they stay so.
    assert_eq!(paths.too_big(v4(1), 300, 1500, START), Some(path(552, false)));
    assert_eq!(paths.too_big(v4(1), 300, 552, START), None);
    assert_eq!(paths.too_big(v4(1), 552, 552, START), None);
    assert_eq!(paths.get(v4(1), START), path(552, false));
    assert_eq!(paths.too_big(v4(2), 552, 1500, START), Some(path(552, true)));
    assert_eq!(paths.too_big(v4(2), 68, 552, START), Some(path(552, false)));
}

/// RFC 1191 §5, §7.1.
#[test]
fn routers_that_do_not_say_how_much_get_the_next_size_down() {
    let mut paths = PathMtus::new(1500);
    let mut sent = 1500;
    for (expected, dont_fragment) in [(1492, true), (1006, true), (552, false)] {
        assert_eq!(paths.too_big(v4(1), 0, sent, START), Some(path(expected, dont_fragment)));
        sent = expected;
    }
    assert_eq!(paths.too_big(v4(1), 0, sent, START), None);
    assert_eq!(paths.too_big(v4(2), 0, 508, START), None);
    assert_eq!(paths.too_big(v4(2), 67, 1492, START), Some(path(1006, true)));
}

/// RFC 1191 §6.3, RFC 8201 §5.3.
#[test]
fn estimates_age() {
    let mut paths = PathMtus::new(1500);
    paths.too_big(v4(1), 1400, 1500, START).unwrap();
    let last = START + PATH_MTU_AGE - Duration::from_nanos(1);
    assert_eq!(paths.get(v4(1), last).bytes, 1400);
    assert_eq!(paths.get(v4(1), START + PATH_MTU_AGE).bytes, 1500);
    // Then a larger one is news.
    assert_eq!(paths.too_big(v4(1), 1450, 1500, START + PATH_MTU_AGE), Some(path(1450, true)));
    assert_eq!((paths.get(v4(1), START + PATH_MTU_AGE).bytes, paths.len()), (1450, 1));
}

/// RFC 4861 §6.3.4.
#[test]
fn link_bounds_every_path_of_ipv6() {
    let mut paths = PathMtus::new(9000);
    paths.too_big(v6(1), 4000, 9000, START).unwrap();
    paths.too_big(v6(2), 1400, 9000, START).unwrap();
    paths.too_big(v4(1), 4000, 9000, START).unwrap();
    paths.set_link_v6(1500);
    assert_eq!(
        [v6(1), v6(2), v6(3), v4(1), v4(2)].map(|to| paths.get(to, START).bytes),
        [1500, 1400, 1500, 4000, 9000]
    );
}

#[test]
fn oldest_goes_when_there_are_too_many() {
    let mut paths = PathMtus::new(1500);
    for number in 0..PATH_MTUS_MAX as u32 {
        paths.too_big(v4(number * 7919), 1400, 1500, START + Duration::from_millis(number.into())).unwrap();
    }
    let later = START + Duration::from_secs(30);
    paths.too_big(v6(1), 1400, 1500, later).unwrap();
    assert_eq!(paths.len(), PATH_MTUS_MAX);
    assert_eq!(paths.get(v4(0), later).bytes, 1500);
    assert_eq!(paths.get(v4(7919), later).bytes, 1400);
    assert_eq!(paths.get(v6(1), later).bytes, 1400);
    // Those that are over go first, all at once.
    paths.too_big(v6(2), 1400, 1500, START + PATH_MTU_AGE + Duration::from_millis(900)).unwrap();
    assert!(paths.len() < PATH_MTUS_MAX - 800);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// For sizes that are said and believed, the estimate is the smallest of those heard since the first that has not
    /// aged.
    #[test]
    fn estimate_is_the_smallest_that_is_young(messages in prop::collection::vec((0..6_u32, 1280..1600_u32, 0..200_u64, any::<bool>()), 1..60)) {
        let mut paths = PathMtus::new(1500);
        let mut model: HashMap<IpAddr, (u16, Time)> = HashMap::new();
        let mut now = START;
        for (number, said, wait, four) in messages {
            now += Duration::from_secs(wait);
            let to = if four { v4(number) } else { v6(number) };
            let young = model.get(&to).filter(|(_, heard)| now.saturating_since(*heard) < PATH_MTU_AGE);
            let before = young.map_or(1500, |(bytes, _)| *bytes);
            let news = said < u32::from(before);
            prop_assert_eq!(paths.too_big(to, said, 1500, now), news.then_some(path(said as u16, true)));
            if news {
                model.insert(to, (said as u16, now));
            }
            for (to, (bytes, heard)) in &model {
                let young = now.saturating_since(*heard) < PATH_MTU_AGE;
                prop_assert_eq!(paths.get(*to, now).bytes, if young { *bytes } else { 1500 });
            }
        }
    }
}
