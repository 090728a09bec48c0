// SPDX-License-Identifier: MIT OR Apache-2.0
//! Claims against the schedules of RFC 5227 and RFC 4862.

use super::*;
use crate::keyed::Secret;

const START: Time = Time::from_nanos(5_000_000_000);
const SECOND: Duration = Duration::from_secs(1);

fn random() -> Random {
    Random::new(Secret([3; 16]))
}

fn v4() -> IpAddr {
    "10.0.0.1".parse().unwrap()
}

fn v6() -> IpAddr {
    "fe80::1".parse().unwrap()
}

/// Polls at each deadline until there is none, and gives what was said and when.
fn run(claim: &mut Claim, random: &mut Random) -> Vec<(Action, Time)> {
    let mut said = Vec::new();
    while let Some(at) = claim.next_deadline() {
        assert_eq!(claim.poll(random, at - Duration::from_nanos(1)), None);
        said.extend(claim.poll(random, at).map(|action| (action, at)));
        assert!(said.len() < 20);
    }
    said
}

fn words(said: &[(Action, Time)]) -> Vec<Action> {
    said.iter().map(|(action, _)| *action).collect()
}

/// RFC 5227 §1.1, §2.1.1, §2.3.
#[test]
fn ipv4_is_probed_three_times_then_announced_twice() {
    use Action::{Announce, Claimed, Probe};
    for seed in 0..20 {
        let mut random = Random::new(Secret([seed; 16]));
        let mut claim = Claim::new(v4(), &mut random, START);
        let said = run(&mut claim, &mut random);
        assert_eq!(words(&said), [Probe, Probe, Probe, Claimed, Announce, Announce]);
        let gaps: Vec<_> = said.windows(2).map(|pair| pair[1].1 - pair[0].1).collect();
        assert!(said[0].1 - START <= SECOND);
        assert!(gaps[..2].iter().all(|gap| (SECOND..=2 * SECOND).contains(gap)));
        assert_eq!(gaps[2..], [2 * SECOND, Duration::ZERO, 2 * SECOND]);
        assert!(claim.is_claimed());
    }
}

/// RFC 4862 §5.4, §5.4.2.
#[test]
fn ipv6_is_probed_once() {
    let mut random = random();
    let mut claim = Claim::new(v6(), &mut random, START);
    let said = run(&mut claim, &mut random);
    assert_eq!(words(&said), [Action::Probe, Action::Claimed]);
    assert!(said[0].1 - START <= SECOND);
    assert_eq!(said[1].1 - said[0].1, SECOND);
}

/// RFC 5227 §2.1.1; RFC 4862 §5.4.3, §5.4.4.
#[test]
fn anybody_else_ends_the_detection() {
    let mut random = random();
    for address in [v4(), v6()] {
        for evidence in [Evidence::Use, Evidence::Probe] {
            for polls in 0..2 {
                let mut claim = Claim::new(address, &mut random, START);
                let mut now = START;
                for _ in 0..polls {
                    now = claim.next_deadline().unwrap();
                    assert_eq!(claim.poll(&mut random, now), Some(Action::Probe));
                }
                claim.heard(evidence, now);
                assert!(!claim.is_claimed());
                assert_eq!(words(&run(&mut claim, &mut random)), [Action::Conflict]);
                claim.heard(evidence, now);
                assert_eq!(words(&run(&mut claim, &mut random)), []);
            }
        }
    }
}

/// RFC 5227 §2.4.
#[test]
fn an_address_in_use_is_defended_once_in_ten_seconds() {
    let mut random = random();
    let mut claim = Claim::new(v4(), &mut random, START);
    let mut now = run(&mut claim, &mut random).last().unwrap().1;
    claim.heard(Evidence::Probe, now);
    assert_eq!(claim.next_deadline(), None, "who asks is answered by ARP itself");
    for _ in 0..3 {
        now += 10 * SECOND;
        claim.heard(Evidence::Use, now);
        assert!(claim.is_claimed());
        assert_eq!(run(&mut claim, &mut random), [(Action::Announce, now)]);
    }
    claim.heard(Evidence::Use, now + 9 * SECOND);
    assert_eq!(words(&run(&mut claim, &mut random)), [Action::Conflict]);
}

/// RFC 5227 §2.3, §2.4.
#[test]
fn a_configured_address_is_used_at_once_and_never_given_up() {
    let mut random = random();
    let mut claim = Claim::announced(v4(), START);
    assert_eq!(claim.address(), v4());
    let said = run(&mut claim, &mut random);
    assert_eq!(words(&said), [Action::Claimed, Action::Announce, Action::Announce]);
    assert_eq!(said[1].1, START);
    let now = START + 60 * SECOND;
    let mut announced = 0;
    for n in 0..100 {
        claim.heard(Evidence::Use, now + n * SECOND / 10);
        announced += run(&mut claim, &mut random).len();
    }
    assert!(claim.is_claimed());
    assert_eq!(announced, 1, "others cannot make us flood the link");
    let mut claim = Claim::announced(v6(), START);
    assert_eq!(words(&run(&mut claim, &mut random)), [Action::Claimed]);
    claim.heard(Evidence::Use, now);
    assert!(claim.is_claimed() && claim.next_deadline().is_none());
    // Nor is it before the first poll.
    for evidence in [Evidence::Use, Evidence::Probe] {
        for (address, expected) in [(v4(), &said[..]), (v6(), &said[..1])] {
            let mut claim = Claim::announced(address, START);
            claim.heard(evidence, START);
            claim.heard(evidence, START);
            assert!(claim.is_claimed());
            assert_eq!(run(&mut claim, &mut random), expected);
        }
    }
}
