// SPDX-License-Identifier: MIT OR Apache-2.0
//! BBR on a link: what it learns of it, and what it does with losses that are not its own.

use core::time::Duration;

use super::link::{Link, Net};
use crate::tcp::congestion::Kind;
use crate::tcp::congestion::bbr::Phase;
use crate::tcp::settings::Algorithm;

/// Part of the link that is used in twenty seconds after five, the mean wait, the part that is lost.
fn run(algorithm: Algorithm, link: Link) -> (f64, Duration, f64) {
    let mut net = Net::new(link, 3);
    net.add(algorithm);
    net.run(Duration::from_secs(5));
    net.measure();
    let time = Duration::from_secs(20);
    net.run(time);
    println!("{algorithm:?} {link:?}: {:.3} used, {:?} wait, {:.5} lost", net.used(time), net.wait(), net.lost());
    (net.used(time), net.wait(), net.lost())
}

/// It finds the rate of the link and keeps a queue much shorter than the buffer.
#[test]
fn the_link_is_full_and_the_queue_short() {
    for (megabits, millis) in [(10, 40), (100, 20), (100, 100)] {
        let link = Link::new(megabits, millis, 4.0);
        let (used, wait, lost) = run(Algorithm::Bbr, link);
        assert!(used > 0.9, "{megabits} Mbit/s, {millis} ms: {used}");
        assert!(wait < link.delay && lost < 0.001, "{megabits} Mbit/s, {millis} ms: {wait:?}, {lost}");
    }
}

/// One segment in a hundred lost by chance is below the 2 % that it takes for congestion; CUBIC takes it for that.
#[test]
fn losses_by_chance_do_not_slow_it() {
    let mut link = Link::new(50, 50, 2.0);
    link.loss = 100;
    let (bbr, ..) = run(Algorithm::Bbr, link);
    let (cubic, ..) = run(Algorithm::Cubic, link);
    assert!(bbr > 0.5 && bbr > 4.0 * cubic, "{bbr}, CUBIC {cubic}");
}

/// With a buffer far below the product of rate and round trip it does not lose without end.
#[test]
fn a_short_buffer_is_found() {
    let (used, _, lost) = run(Algorithm::Bbr, Link::new(100, 40, 0.1));
    assert!(used > 0.7 && lost < 0.05, "{used}, {lost}");
}

/// When the path becomes slower or faster, so does it.
#[test]
fn it_follows_the_rate_of_the_path() {
    let mut net = Net::new(Link::new(100, 40, 2.0), 3);
    net.add(Algorithm::Bbr);
    net.run(Duration::from_secs(5));
    for megabits in [20, 100] {
        net.link.rate = megabits * 125_000;
        net.run(Duration::from_secs(15));
        net.measure();
        let time = Duration::from_secs(10);
        net.run(time);
        println!("{megabits}: {} {:?}", net.used(time), net.wait());
        assert!(
            net.used(time) > 0.8 && net.wait() < Duration::from_millis(80),
            "{megabits}: {} {:?}",
            net.used(time),
            net.wait()
        );
    }
}

/// Two flows share, though not as evenly as CUBIC's.
#[test]
fn two_flows_share() {
    let mut net = Net::new(Link::new(50, 40, 1.0), 3);
    net.add(Algorithm::Bbr);
    net.run(Duration::from_secs(3));
    net.add(Algorithm::Bbr);
    net.run(Duration::from_secs(20));
    net.measure();
    let time = Duration::from_secs(40);
    net.run(time);
    println!("{} {}", net.fairness(), net.used(time));
    assert!(net.fairness() > 0.8 && net.used(time) > 0.9, "{} {}", net.fairness(), net.used(time));
}

/// The phases of a flow, each with when it began, in milliseconds.
fn phases(link: Link, time: u64) -> Vec<(Phase, u64)> {
    let mut net = Net::new(link, 3);
    net.add(Algorithm::Bbr);
    let mut seen: Vec<(Phase, u64)> = Vec::new();
    for millis in 0..time {
        let Kind::Bbr(bbr) = &net.flows[0].control.0 else { unreachable!("it is BBR") };
        if seen.last().is_none_or(|last| last.0 != bbr.phase()) {
            seen.push((bbr.phase(), millis));
        }
        net.run(Duration::from_millis(1));
    }
    seen
}

/// Startup, drain, and then round and round; every five seconds without a shorter round trip it is measured.
#[test]
fn the_phases_come_in_their_order() {
    let seen = phases(Link::new(10, 40, 2.0), 30_000);
    let first: Vec<Phase> = seen.iter().take(2).map(|seen| seen.0).collect();
    assert_eq!(first, [Phase::Startup, Phase::Drain]);
    for pair in seen.windows(2) {
        let ((from, at), (to, then)) = (pair[0], pair[1]);
        let follows = match from {
            Phase::Startup => to == Phase::Drain,
            // What is drained at once is seen in the next phase only.
            Phase::Drain => matches!(to, Phase::Down | Phase::Cruise | Phase::ProbeRtt),
            Phase::Down => matches!(to, Phase::Cruise | Phase::Refill | Phase::ProbeRtt),
            Phase::Cruise => matches!(to, Phase::Refill | Phase::ProbeRtt),
            Phase::Refill => matches!(to, Phase::Up | Phase::ProbeRtt),
            Phase::Up => matches!(to, Phase::Down | Phase::Cruise | Phase::ProbeRtt),
            Phase::ProbeRtt => to == Phase::Cruise,
        };
        assert!(follows, "{from:?} at {at} ms, {to:?} at {then} ms");
        if from == Phase::ProbeRtt {
            assert!((200..400).contains(&(then - at)), "{at} to {then} ms");
        }
    }
    let measured: Vec<u64> = seen.iter().filter(|seen| seen.0 == Phase::ProbeRtt).map(|seen| seen.1).collect();
    assert!((3..=6).contains(&measured.len()), "{measured:?}");
    assert!(measured.windows(2).all(|pair| pair[1] - pair[0] > 5000), "{measured:?}");
    let probes: Vec<u64> = seen.iter().filter(|seen| seen.0 == Phase::Up).map(|seen| seen.1).collect();
    // 34 segments fill the pipe: as a Reno flow would, it probes after as many rounds, which is sooner than two seconds.
    assert!((10..=25).contains(&probes.len()), "{probes:?}");
    assert!(probes.windows(2).all(|pair| pair[1] - pair[0] < 3500), "{probes:?}");
}

/// A probe that loses ends at once, and the next ones stay below what it has shown.
#[test]
fn a_probe_that_loses_ends() {
    let mut net = Net::new(Link::new(50, 40, 0.2), 3);
    net.add(Algorithm::Bbr);
    net.run(Duration::from_secs(10));
    net.measure();
    let time = Duration::from_secs(20);
    net.run(time);
    assert!(net.lost() < 0.02 && net.used(time) > 0.8, "{} lost, {} used", net.lost(), net.used(time));
}
