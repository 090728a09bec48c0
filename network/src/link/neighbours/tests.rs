// SPDX-License-Identifier: MIT OR Apache-2.0
//! The neighbour cache against the tables of its RFCs, and random runs against what must always hold.

use super::*;
use crate::limits::{NEIGHBOURS_LOOK_MAX, NEIGHBOURS_UNRESOLVED_MAX};
use core::net::Ipv4Addr;
use proptest::prelude::*;
use runtime::buf::Pool;
use std::path::Path;

const SECRET: Secret = Secret([7; 16]);
const START: Time = Time::from_nanos(1_000_000_000_000);
const SECOND: Duration = Duration::from_secs(1);

fn v4(last: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + last))
}

fn v6(last: u16) -> IpAddr {
    IpAddr::V6(core::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, last))
}

fn mac(last: u8) -> MacAddress {
    MacAddress([2, 0, 0, 0, 0, last])
}

fn cache() -> Neighbours {
    Neighbours::new(&SECRET, START)
}

fn pool() -> Pool {
    Pool::heap(16, 4096, 0, 0).unwrap()
}

fn packet(pool: &Pool, number: u32) -> Sga {
    pool.alloc_copy(&number.to_be_bytes()).unwrap().into()
}

fn number(packet: &Sga) -> u32 {
    u32::from_be_bytes(packet.to_vec().try_into().unwrap())
}

fn says(address: IpAddr, mac: MacAddress, kind: Kind) -> Heard {
    Heard { address, mac: Some(mac), kind }
}

fn advertises(address: IpAddr, mac: Option<MacAddress>, solicited: bool, override_: bool) -> Heard {
    Heard { address, mac, kind: Kind::Advertisement { solicited, override_, router: false } }
}

/// Everything that is due at `now`, in words.
fn actions(cache: &mut Neighbours, now: Time) -> Vec<String> {
    core::iter::from_fn(|| cache.poll(now))
        .map(|action| match action {
            Action::Solicit { target, to: None } => format!("who has {target}"),
            Action::Solicit { target, to: Some(mac) } => format!("{mac}: are you {target}"),
            Action::Send(mac, packet) => format!("{} to {mac}", number(&packet)),
            Action::Unreachable(address, packet) => format!("{} cannot reach {address}", number(&packet)),
            Action::NoRouter(address) => format!("{address} is no router"),
        })
        .collect()
}

fn state(cache: &Neighbours, address: IpAddr, now: Time) -> Option<State> {
    cache.get(address, now).map(|neighbour| neighbour.state)
}

/// A cache in which this neighbour has just answered.
fn reachable(address: IpAddr) -> Neighbours {
    let mut cache = cache();
    assert!(matches!(cache.resolve(address, packet(&pool(), 0), START), Resolved::Waits));
    match address {
        IpAddr::V4(_) => cache.heard(says(address, mac(1), Kind::Reply), START),
        IpAddr::V6(_) => cache.heard(advertises(address, Some(mac(1)), true, true), START),
    }
    actions(&mut cache, START);
    assert_eq!(state(&cache, address, START), Some(State::Reachable));
    cache
}

/// The same after it was not heard from for a while, at the time that is given back.
fn stale(address: IpAddr) -> (Neighbours, Time) {
    let now = START + 50 * SECOND;
    let cache = reachable(address);
    assert_eq!(state(&cache, address, now), Some(State::Stale));
    (cache, now)
}

/// The same after it was used again, and 5 s passed.
fn probed(address: IpAddr) -> (Neighbours, Time) {
    let (mut cache, mut now) = stale(address);
    assert_eq!(cache.lookup(address, now), Some(mac(1)));
    now = now + 5 * SECOND + Duration::from_micros(2);
    assert_eq!(actions(&mut cache, now), [format!("{}: are you {address}", mac(1))]);
    assert_eq!(state(&cache, address, now), Some(State::Probe));
    (cache, now)
}

/// RFC 826; RFC 1122 §2.3.2, §2.3.2.2; RFC 4861 §7.2.2.
#[test]
fn packets_wait_for_the_answer_and_leave_in_order() {
    let (mut cache, pool) = (cache(), pool());
    assert_eq!(cache.lookup(v4(1), START), None);
    for number in 1..=3 {
        assert!(matches!(cache.resolve(v4(1), packet(&pool, number), START), Resolved::Waits));
    }
    assert_eq!(cache.next_deadline(), Some(Time::ZERO));
    assert_eq!(actions(&mut cache, START), ["who has 10.0.0.1"], "asked once");
    cache.heard(says(v4(1), mac(1), Kind::Reply), START);
    // What comes before those that wait are away waits behind them.
    assert_eq!(cache.lookup(v4(1), START), None);
    assert!(matches!(cache.resolve(v4(1), packet(&pool, 4), START), Resolved::Waits));
    let sent: Vec<_> = (1..=4).map(|number| format!("{number} to {}", mac(1))).collect();
    assert_eq!(actions(&mut cache, START), sent);
    assert!(matches!(cache.resolve(v4(1), packet(&pool, 5), START), Resolved::Send(to, _) if to == mac(1)));
    assert_eq!(cache.next_deadline(), None, "a reachable neighbour needs no timer");
}

/// RFC 1122 §2.3.2.1; RFC 4861 §7.2.2, §10.
#[test]
fn who_does_not_answer_is_asked_three_times_and_then_fails_for_a_while() {
    for address in [v4(9), v6(9)] {
        let (mut cache, pool) = (cache(), pool());
        let mut now = START;
        for number in 0..2 {
            cache.resolve(address, packet(&pool, number), now);
        }
        for round in 1..=3 {
            assert_eq!(actions(&mut cache, now), [format!("who has {address}")], "round {round}");
            assert_eq!(actions(&mut cache, now + SECOND - Duration::from_micros(2)), [""; 0]);
            now = cache.next_deadline().unwrap();
        }
        let lost: Vec<_> = (0..2).map(|number| format!("{number} cannot reach {address}")).collect();
        assert_eq!(actions(&mut cache, now), lost);
        let again = cache.resolve(address, packet(&pool, 2), now + SECOND);
        assert!(matches!(again, Resolved::Dropped(Reason::Unreachable)));
        // It comes back by itself: a request is heard.
        cache.heard(says(address, mac(3), Kind::Request), now + SECOND);
        assert_eq!(cache.lookup(address, now + SECOND), Some(mac(3)));
        assert_eq!(cache.counters().failed, 1);
    }
}

#[test]
fn a_failure_is_forgotten() {
    let (mut cache, pool) = (cache(), pool());
    cache.resolve(v4(9), packet(&pool, 0), START);
    let mut now = START;
    while state(&cache, v4(9), now) != Some(State::Failed) {
        actions(&mut cache, now);
        now = cache.next_deadline().unwrap();
    }
    now = now + FAILED_HOLD + SECOND;
    actions(&mut cache, now);
    assert_eq!(state(&cache, v4(9), now), None);
    assert!(matches!(cache.resolve(v4(9), packet(&pool, 1), now), Resolved::Waits));
    assert_eq!(actions(&mut cache, now), ["who has 10.0.0.9"]);
    assert_eq!(pool.available(), 4095, "nothing but the waiting packet is kept");
}

/// RFC 4861 §7.3.2, §7.3.3.
#[test]
fn a_stale_neighbour_is_used_then_probed_then_forgotten() {
    for address in [v4(1), v6(1)] {
        let mut cache = probed(address).0;
        for _ in 0..2 {
            let now = cache.next_deadline().unwrap();
            assert_eq!(cache.lookup(address, now), Some(mac(1)), "used as long as it is asked");
            assert_eq!(actions(&mut cache, now), [format!("{}: are you {address}", mac(1))]);
        }
        let now = cache.next_deadline().unwrap();
        assert_eq!(actions(&mut cache, now), [""; 0]);
        assert_eq!(state(&cache, address, now), None);
        assert_eq!(cache.next_deadline(), None);
    }
}

/// RFC 4861 §7.3.1, §7.
#[test]
fn an_upper_layer_or_an_answer_saves_the_probe() {
    let (mut cache, now) = probed(v4(1));
    cache.heard(says(v4(1), mac(1), Kind::Reply), now);
    assert_eq!(state(&cache, v4(1), now), Some(State::Reachable));
    let (mut cache, now) = probed(v6(1));
    cache.heard(advertises(v6(1), None, true, false), now);
    assert_eq!(state(&cache, v6(1), now), Some(State::Reachable), "an answer to one host may leave its option out");
    let (mut cache, now) = stale(v6(1));
    cache.lookup(v6(1), now);
    cache.confirm(v6(1), now);
    assert_eq!(state(&cache, v6(1), now), Some(State::Reachable));
    assert_eq!(cache.next_deadline(), None);
    // Nobody can be confirmed who is not known.
    cache.confirm(v6(2), now);
    cache.resolve(v6(2), packet(&pool(), 0), now);
    cache.confirm(v6(2), now);
    assert_eq!(state(&cache, v6(2), now), Some(State::Incomplete));
}

/// RFC 4861 §6.3.2, §10.
#[test]
fn how_long_a_neighbour_is_reachable_is_random_and_bounded() {
    let cache = reachable(v4(1));
    assert_eq!(state(&cache, v4(1), START + 15 * SECOND), Some(State::Reachable));
    assert_eq!(state(&cache, v4(1), START + 45 * SECOND), Some(State::Stale));
    let ends: Vec<_> = (0..32)
        .map(|seed| {
            let mut timing = Timing::new();
            timing.reachable(&mut Random::new(Secret([seed; 16])), START)
        })
        .collect();
    assert!(ends.iter().all(|end| (15 * SECOND..=45 * SECOND).contains(end)) && ends.iter().any(|end| *end != ends[0]));
}

/// RFC 826; RFC 4861 §7.2.3, §7.2.5.
#[test]
fn what_nobody_asked_for_makes_no_entry() {
    let mut cache = cache();
    cache.heard(says(v4(1), mac(1), Kind::Reply), START);
    cache.heard(says(v4(1), mac(1), Kind::Gratuitous), START);
    cache.heard(advertises(v6(1), Some(mac(1)), true, true), START);
    cache.heard(Heard { address: v6(1), mac: None, kind: Kind::Solicitation }, START);
    assert_eq!(cache.iter(START).count(), 0);
    cache.heard(says(v4(1), mac(1), Kind::Request), START);
    cache.heard(says(v6(1), mac(1), Kind::Solicitation), START);
    cache.heard(says(v6(2), mac(2), Kind::Router), START);
    assert!(
        cache
            .iter(START)
            .all(|neighbour| neighbour.state == State::Stale && neighbour.router == (neighbour.address == v6(2)))
    );
    assert_eq!(cache.iter(START).count(), 3);
}

/// RFC 1812 §3.3.2.
#[test]
fn addresses_that_no_host_has_are_refused() {
    let mut cache = cache();
    for bad in [MacAddress::BROADCAST, MacAddress::UNSPECIFIED, MacAddress([1, 0, 0x5e, 0, 0, 1])] {
        cache.heard(says(v4(1), bad, Kind::Request), START);
        assert_eq!(cache.insert_static(v4(1), bad).unwrap_err().errno(), Errno::INVAL);
    }
    for bad in ["0.0.0.0", "224.0.0.1", "255.255.255.255", "127.0.0.1", "::", "::1", "ff02::1"] {
        cache.heard(says(bad.parse().unwrap(), mac(1), Kind::Request), START);
    }
    assert_eq!((cache.counters().refused, cache.iter(START).count()), (10, 0));
}

/// RFC 826.
#[test]
fn an_arp_entry_is_locked_for_a_second_then_follows_what_is_said() {
    let mut cache = reachable(v4(1));
    for kind in [Kind::Reply, Kind::Gratuitous, Kind::Request] {
        cache.heard(says(v4(1), mac(2), kind), START + SECOND / 2);
        assert_eq!(cache.lookup(v4(1), START), Some(mac(1)), "{kind:?}");
    }
    assert_eq!(cache.counters().locked, 3);
    // The same as is known proves nothing, and changes nothing.
    cache.heard(says(v4(1), mac(1), Kind::Gratuitous), START + 2 * SECOND);
    assert_eq!(state(&cache, v4(1), START + 2 * SECOND), Some(State::Reachable));
    cache.heard(says(v4(1), mac(2), Kind::Gratuitous), START + 2 * SECOND);
    assert_eq!(state(&cache, v4(1), START + 2 * SECOND), Some(State::Stale));
    assert_eq!(cache.lookup(v4(1), START + 2 * SECOND), Some(mac(2)));
    // And is locked again.
    cache.heard(says(v4(1), mac(3), Kind::Gratuitous), START + 2 * SECOND);
    assert_eq!(cache.lookup(v4(1), START + 2 * SECOND), Some(mac(2)));
}

#[test]
fn a_probe_that_another_host_answers_proves_nothing() {
    let (mut cache, now) = probed(v4(1));
    cache.heard(says(v4(1), mac(2), Kind::Reply), now);
    assert_eq!(state(&cache, v4(1), now), Some(State::Stale));
    assert_eq!(cache.lookup(v4(1), now), Some(mac(2)));
}

#[test]
fn a_static_neighbour_is_never_asked_for_and_never_changes() {
    let mut cache = cache();
    cache.resolve(v4(1), packet(&pool(), 8), START);
    cache.insert_static(v4(1), mac(1)).unwrap();
    assert_eq!(actions(&mut cache, START), [format!("8 to {}", mac(1))], "what waited for it goes");
    for kind in [Kind::Request, Kind::Reply, Kind::Gratuitous, Kind::Solicitation, Kind::Router] {
        cache.heard(says(v4(1), mac(2), kind), START + 9 * SECOND);
    }
    cache.heard(advertises(v4(1), Some(mac(2)), true, true), START + 9 * SECOND);
    let late = START + Duration::from_hours(999);
    assert_eq!((cache.lookup(v4(1), late), cache.next_deadline()), (Some(mac(1)), None));
    cache.heard(says(v4(2), mac(2), Kind::Request), START);
    cache.flush();
    let rest: Vec<_> = cache.iter(START).collect();
    assert_eq!(rest, [Neighbour { address: v4(1), mac: Some(mac(1)), state: State::Static, router: false }]);
    assert!(cache.remove(v4(1)) && !cache.remove(v4(1)));
}

/// RFC 4861 appendix C, the rows of neighbour advertisements: state, what the option says, solicited, override → state and
/// whether the new MAC address counts.
/// RFC 4861 §7.2.5.
#[test]
fn advertisements_follow_the_table() {
    use State::{Incomplete, Probe, Reachable, Stale};
    let (none, same, other) = (None, Some(mac(1)), Some(mac(2)));
    let rows = [
        (Incomplete, none, true, true, Incomplete, false),
        (Incomplete, other, false, false, Stale, true),
        (Incomplete, other, true, false, Reachable, true),
        (Reachable, same, false, true, Reachable, false),
        (Reachable, other, true, false, Stale, false),
        (Reachable, other, false, false, Stale, false),
        (Reachable, other, false, true, Stale, true),
        (Stale, other, true, false, Stale, false),
        (Stale, same, false, true, Stale, false),
        (Stale, none, false, true, Stale, false),
        (Stale, other, false, true, Stale, true),
        (Probe, other, true, false, Probe, false),
        (Probe, same, true, false, Reachable, false),
        (Probe, none, true, true, Reachable, false),
        (Probe, other, true, true, Reachable, true),
        (Probe, other, false, true, Stale, true),
        (Probe, same, false, false, Probe, false),
    ];
    for row in rows {
        let (before, option, solicited, override_, after, learned) = row;
        let (mut cache, now) = match before {
            Incomplete => {
                let mut cache = cache();
                cache.resolve(v6(1), packet(&pool(), 0), START);
                (cache, START)
            }
            Reachable => (reachable(v6(1)), START),
            Stale => stale(v6(1)),
            _ => probed(v6(1)),
        };
        cache.heard(advertises(v6(1), option, solicited, override_), now);
        let neighbour = cache.get(v6(1), now).unwrap();
        assert_eq!(neighbour.state, after, "{row:?}");
        assert_eq!(neighbour.mac == Some(mac(2)), learned, "{row:?}");
    }
}

#[test]
fn an_answer_that_was_not_asked_for_is_no_proof() {
    // Stricter than the table: the flag of an advertisement is believed only while a question is open.
    let (mut cache, now) = stale(v6(1));
    cache.heard(advertises(v6(1), Some(mac(2)), true, true), now);
    assert_eq!(cache.get(v6(1), now).unwrap().mac, Some(mac(2)));
    assert_eq!(state(&cache, v6(1), now), Some(State::Stale));
}

/// RFC 4861 §7.2.5.
#[test]
fn a_router_that_resigns_is_told() {
    let mut cache = cache();
    cache.heard(says(v6(1), mac(1), Kind::Router), START);
    assert!(cache.get(v6(1), START).unwrap().router);
    cache.heard(advertises(v6(1), None, false, true), START);
    assert_eq!(actions(&mut cache, START), ["fe80::1 is no router"]);
    cache.heard(advertises(v6(1), None, false, true), START);
    assert_eq!(actions(&mut cache, START), [""; 0]);
}

/// RFC 4861 §7.2.2.
#[test]
fn queues_are_bounded_each_and_in_all() {
    let (mut cache, pool) = (cache(), pool());
    for number in 0..NEIGHBOUR_PACKETS_MAX + 2 {
        assert!(matches!(cache.resolve(v4(0), packet(&pool, number), START), Resolved::Waits));
    }
    assert_eq!(cache.counters().displaced, 2, "the oldest go");
    for number in NEIGHBOUR_PACKETS_MAX..NEIGHBOURS_PACKETS_MAX {
        let to = v4(number / NEIGHBOUR_PACKETS_MAX);
        assert!(matches!(cache.resolve(to, packet(&pool, number), START), Resolved::Waits));
    }
    assert!(matches!(cache.resolve(v4(9), packet(&pool, 1), START), Resolved::Dropped(Reason::QueueFull)));
    assert!(matches!(cache.resolve(v4(3), packet(&pool, 1), START), Resolved::Waits));
    assert_eq!(cache.counters().displaced, 3, "it pushes out its own");
    cache.heard(says(v4(0), mac(1), Kind::Reply), START);
    let sent = actions(&mut cache, START).into_iter().filter(|action| action.ends_with(&mac(1).to_string()));
    let expected: Vec<_> = (2..NEIGHBOUR_PACKETS_MAX + 2).map(|number| format!("{number} to {}", mac(1))).collect();
    assert_eq!(sent.collect::<Vec<_>>(), expected);
    let out = 4096 - pool.available();
    assert_eq!(out, NEIGHBOURS_PACKETS_MAX - NEIGHBOUR_PACKETS_MAX);
    cache.flush();
    assert_eq!(pool.available(), 4096);
}

/// The issue of RFC 826's update rule: an answer that was not asked for changes nothing, however old the entry is.
#[test]
fn an_answer_that_nobody_asked_for_poisons_nothing() {
    let mut cache = reachable(v4(1));
    for seconds in [2, 20, 60] {
        let now = START + seconds * SECOND;
        cache.heard(says(v4(1), mac(66), Kind::Reply), now);
        assert_eq!(cache.lookup(v4(1), now), Some(mac(1)), "{seconds} s");
    }
    assert_eq!(cache.counters().locked, 3);
}

#[test]
fn a_full_table_of_neighbours_in_use_has_place_for_one_that_is_looked_for() {
    let mut cache = cache();
    let mut now = START;
    for n in 0..NEIGHBOURS_MAX {
        let kind = if n == 3 { Kind::Router } else { Kind::Request };
        cache.heard(says(v4(n), mac(1), kind), now);
        cache.lookup(v4(n), now);
        cache.confirm(v4(n), now);
        now += Duration::from_micros(1);
    }
    // What others say finds none.
    cache.heard(says(v4(9000), mac(2), Kind::Request), now);
    assert_eq!(state(&cache, v4(9000), now), None);
    for n in 0..4 {
        assert!(matches!(cache.resolve(v4(5000 + n), packet(&pool(), 0), now), Resolved::Waits), "{n}");
    }
    let gone: Vec<_> = (0..NEIGHBOURS_MAX).filter(|n| state(&cache, v4(*n), now).is_none()).collect();
    assert_eq!(gone, [0, 1, 2, 4], "those not sent to for the longest time, and routers last");
}

#[test]
fn a_flood_of_questions_evicts_nobody_in_use() {
    let mut cache = cache();
    let mut now = START;
    // Half of the table is in use.
    for n in 0..NEIGHBOURS_MAX / 2 {
        cache.heard(says(v4(n), mac(1), Kind::Request), now);
        cache.lookup(v4(n), now);
        cache.confirm(v4(n), now);
    }
    for n in 0..100_000 {
        cache.heard(says(v4(1_000_000 + n), mac(2), Kind::Request), now);
        now += Duration::from_micros(10);
    }
    assert_eq!(cache.iter(now).count(), NEIGHBOURS_MAX as usize);
    assert!((0..NEIGHBOURS_MAX / 2).all(|n| state(&cache, v4(n), now) == Some(State::Reachable)));
    // And a new neighbour of ours finds a place.
    assert!(matches!(cache.resolve(v4(5_000_000), packet(&pool(), 0), now), Resolved::Waits));
}

#[test]
fn neighbours_that_do_not_answer_push_out_one_another_only() {
    let (mut cache, pool) = (cache(), pool());
    for n in 0..200 {
        cache.heard(says(v4(n), mac(1), Kind::Request), START);
        cache.lookup(v4(n), START);
    }
    let mut now = START;
    let mut waits = 0;
    for n in 0..5000 {
        now += Duration::from_micros(100);
        waits += u32::from(matches!(cache.resolve(v4(10_000 + n), packet(&pool, n), now), Resolved::Waits));
        if n % 7 == 0 {
            actions(&mut cache, now);
        }
    }
    assert_eq!(cache.unresolved.len(), NEIGHBOURS_UNRESOLVED_MAX as usize);
    assert_eq!(waits, 5000, "each found a place");
    assert!((0..200).all(|n| state(&cache, v4(n), now) == Some(State::Delay)));
    assert!(cache.due.len() <= NEIGHBOURS_MAX as usize);
    // A neighbour that answers soon gets its packet even so.
    cache.resolve(v4(1_000_000), packet(&pool, 9), now);
    cache.heard(says(v4(1_000_000), mac(5), Kind::Reply), now);
    assert!(actions(&mut cache, now).contains(&format!("9 to {}", mac(5))));
}

#[test]
fn the_one_unused_longest_makes_place() {
    let mut cache = cache();
    // One is never used, and heard of last.
    for n in 0..NEIGHBOURS_MAX {
        cache.heard(says(v4(n), mac(1), Kind::Request), START);
    }
    let mut now = START;
    for n in (0..NEIGHBOURS_MAX).rev().filter(|n| *n != 77) {
        now += Duration::from_millis(1);
        cache.lookup(v4(n), now);
        cache.confirm(v4(n), now);
    }
    now += Duration::from_mins(2);
    cache.resolve(v4(5000), packet(&pool(), 0), now);
    assert_eq!(state(&cache, v4(77), now), None);
    cache.resolve(v4(5001), packet(&pool(), 0), now);
    assert_eq!(state(&cache, v4(NEIGHBOURS_MAX - 1), now), None, "the first that was used");
    // Where nobody may go, there is no place.
    for n in 0..NEIGHBOURS_MAX {
        let _ = cache.insert_static(v4(n), mac(1));
    }
    cache.flush();
    for n in 0..NEIGHBOURS_MAX {
        let _ = cache.insert_static(v4(n), mac(1));
    }
    assert_eq!(cache.insert_static(v4(9999), mac(1)).unwrap_err().errno(), Errno::MFILE);
    assert!(matches!(cache.resolve(v4(9999), packet(&pool(), 0), now), Resolved::Dropped(Reason::TableFull)));
    assert_eq!(NEIGHBOURS_LOOK_MAX, 32, "what a peer's packet may cost");
}

/// RFC 4861 §6.3.4.
#[test]
fn a_router_sets_the_times_of_ipv6_within_bounds() {
    let mut cache = cache();
    cache.set_times(Duration::ZERO, Duration::from_nanos(1));
    for address in [v4(1), v6(1)] {
        cache.resolve(address, packet(&pool(), 0), START);
    }
    actions(&mut cache, START);
    let first = cache.next_deadline().unwrap() - START;
    assert!((Duration::from_millis(100)..Duration::from_millis(101)).contains(&first));
    cache.set_times(Duration::from_hours(9999), Duration::from_hours(9999));
    assert!(cache.v6.reachable(&mut Random::new(SECRET), START) <= Duration::from_mins(90));
    assert_eq!(cache.v6.retransmit(), Duration::from_mins(1));
    assert_eq!(cache.v4.retransmit(), SECOND);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn packets_are_neither_lost_nor_doubled_nor_reordered(steps in prop::collection::vec(any::<[u8; 4]>(), 1..250)) {
        fuzz::neighbours(steps.as_flattened());
    }
}

/// What the fuzzer has found worth keeping, cut anywhere.
#[test]
fn the_corpus_holds() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/link_neighbours");
    let mut files = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        (0..=bytes.len()).step_by(4).for_each(|len| fuzz::neighbours(&bytes[..len]));
        files += 1;
    }
    assert!(files > 0);
}
