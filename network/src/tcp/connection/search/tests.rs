// SPDX-License-Identifier: MIT OR Apache-2.0
//! Searches on paths that are known to the test.

use super::*;
use core::time::Duration;

const NOW: Time = Time::from_nanos(1_000_000_000);

/// Searches until the search rests, with `fits` as the longest size that the path takes; gives what was tried, and the size found.
fn run(search: &mut Search, mut low: u16, most: u16, fits: u16, now: Time) -> (Vec<u16>, u16) {
    let mut tried = vec![];
    while let Some(size) = search.next(low, most, now) {
        assert!(low < size && size <= most, "{size} in {low}..={most}");
        assert!(tried.len() < 16, "{tried:?}");
        tried.push(size);
        search.sent(Seq(1), Seq(1) + u32::from(size), size);
        assert_eq!(search.next(low, most, now), None, "one at a time");
        if size <= fits {
            low = size;
            search.arrived(low, now);
        } else {
            search.lost();
            search.failed(low, now, now);
        }
    }
    (tried, low)
}

/// RFC 4821 section 7.3: the range is halved until what is left of it is not worth a loss.
#[test]
fn every_size_is_found() {
    for (low, most) in [(536, 1460), (730, 1460), (536, 8960), (1220, 65_495)] {
        for fits in (low..most).step_by(7) {
            let mut search = Search::in_silence(most, NOW);
            let (tried, found) = run(&mut search, low, most, fits, NOW);
            assert!(found <= fits && fits - found < TCP_PROBE_RANGE, "{fits}: {tried:?}");
            assert!(!search.is_due(NOW + TCP_PROBE_AGAIN - Duration::from_nanos(1)));
        }
    }
}

/// An outage is over: one probe, and all is as before.
#[test]
fn the_longest_is_tried_first() {
    let mut search = Search::in_silence(1460, NOW);
    assert_eq!(run(&mut search, 730, 1460, 1460, NOW), (vec![1460], 1460));
}

/// RFC 1191 section 6.3: ten minutes later the path may be another.
#[test]
fn after_ten_minutes_nothing_is_known() {
    let mut search = Search::in_silence(1460, NOW);
    let (tried, low) = run(&mut search, 730, 1460, 1000, NOW);
    assert!(tried.len() > 3 && low < 1001);
    let then = NOW + TCP_PROBE_AGAIN;
    assert!(search.is_due(then));
    assert_eq!(run(&mut search, low, 1460, 1460, then), (vec![1460], 1460));
    // What a router has said is believed for as long.
    let mut search = Search::told(1360, NOW);
    assert!(!search.is_due(then - Duration::from_nanos(1)) && search.next(1360, 1460, NOW).is_none());
    assert_eq!(search.next(1360, 1460, then), Some(1460));
}

/// RFC 4821 section 7.6.2: what a router says of a probe is the next size, or the end.
#[test]
fn a_router_says_the_size() {
    let later = NOW + Duration::from_secs(1);
    let mut search = Search::in_silence(1460, NOW);
    search.sent(Seq(1), Seq(1461), 1460);
    assert_eq!(search.bounded(1460, 730, later, NOW), None, "it fits");
    let probe = search.bounded(1360, 730, later, NOW).unwrap();
    assert_eq!((probe.size, search.probe()), (1460, None));
    assert_eq!((search.next(730, 1460, NOW), search.next(730, 1460, later)), (None, Some(1360)));
    search.sent(Seq(1), Seq(1361), 1360);
    search.arrived(1360, later);
    assert_eq!(search.next(1360, 1460, later), None, "no more fits");
    // No more than what works.
    let mut search = Search::in_silence(1460, NOW);
    search.sent(Seq(1), Seq(1461), 1460);
    assert!(search.bounded(730, 730, later, NOW).is_some() && !search.is_due(later));
    // While it rests, what is new is believed for ten minutes, and what is old no longer than that.
    let mut search = Search::told(1360, NOW);
    assert_eq!(search.bounded(1360, 1360, later, later), None);
    assert!(search.is_due(NOW + TCP_PROBE_AGAIN));
}

/// RFC 4821 section 7.6.4: the same size again; RFC 8899 sections 5.1.2 and 5.1.3: not for ever.
#[test]
fn what_is_unclear_is_tried_again() {
    let mut search = Search::in_silence(1460, NOW);
    for _ in 0..TCP_PROBES_UNCLEAR {
        assert_eq!(search.next(730, 1460, NOW), Some(1460));
        search.sent(Seq(1), Seq(1461), 1460);
        search.is_unclear(730, NOW, NOW);
    }
    assert_eq!(search.next(730, 1460, NOW), Some(1095));
}

/// Segments get shorter while a probe is under way: it begins anew, and what was thought to fit may fit yet.
#[test]
fn a_fall_begins_anew() {
    let mut search = Search::in_silence(1460, NOW);
    search.sent(Seq(1), Seq(1461), 1460);
    search.failed(1000, NOW, NOW);
    search.fell(1000, NOW);
    assert_eq!(search.next(536, 1460, NOW), Some(1459));
}
