// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much of a link each algorithm uses, how long a queue it makes, and what it leaves to others.

use core::time::Duration;

use super::link::{Link, Net};
use crate::tcp::settings::Algorithm;

const SECONDS: Duration = Duration::from_secs(20);

/// What one flow has in twenty seconds, after ten, and how long packets wait.
fn one(algorithm: Algorithm, link: Link) -> (f64, Duration, f64) {
    let mut net = Net::new(link, 1);
    net.add(algorithm);
    net.run(Duration::from_secs(10));
    net.measure();
    net.run(SECONDS);
    println!("{algorithm:?} {link:?}: {:.3} used, {:?} wait, {:.5} lost", net.used(SECONDS), net.wait(), net.lost());
    (net.used(SECONDS), net.wait(), net.lost())
}

/// A buffer of one round trip keeps a link busy whatever halves its window (RFC 9438 section 3.3 says what smaller ones ask
/// for).
#[test]
fn a_link_with_a_buffer_is_full() {
    for (megabits, millis) in [(10, 20), (100, 20), (100, 100), (500, 10)] {
        for algorithm in [Algorithm::Cubic, Algorithm::NewReno] {
            let (used, ..) = one(algorithm, Link::new(megabits, millis, 1.0));
            assert!(used > 0.95, "{algorithm:?} at {megabits} Mbit/s, {millis} ms: {used}");
        }
    }
}

/// RFC 9438 section 4.6: who takes seven tenths needs less buffer than who takes half.
#[test]
fn a_short_buffer_costs_cubic_less_than_newreno() {
    let link = Link::new(100, 100, 0.2);
    let (cubic, ..) = one(Algorithm::Cubic, link);
    let (reno, ..) = one(Algorithm::NewReno, link);
    assert!(cubic > 0.8 && cubic > reno, "{cubic}, {reno}");
}

/// RFC 9406: slow start ends before the queue of a path with a long round trip overflows, if that holds two of them: a queue
/// is seen a round trip after it began, and four more pass in slow growth.
#[test]
fn slow_start_ends_without_a_flood_of_losses() {
    for (megabits, millis, buffer, part) in [(50, 40, 2.0, 2), (100, 100, 2.0, 3), (100, 100, 3.0, 3)] {
        let lost = [Algorithm::Cubic, Algorithm::NewReno].map(|algorithm| {
            let mut net = Net::new(Link::new(megabits, millis, buffer), 1);
            net.add(algorithm);
            net.run(Duration::from_secs(3));
            net.flows[0].lost
        });
        assert!(lost[0] * part < lost[1], "{megabits} Mbit/s, {millis} ms, {buffer}: {lost:?}");
    }
}

/// RFC 8257: with marks above a short queue, the link is full, nothing is lost and the queue stays short.
#[test]
fn dctcp_keeps_a_short_queue() {
    let mut link = Link::new(1000, 1, 4.0);
    link.mark = Some(30_000);
    let (used, wait, lost) = one(Algorithm::Dctcp, link);
    assert!(used > 0.95 && lost == 0.0 && wait < Duration::from_micros(500), "{used}, {wait:?}, {lost}");
}

/// Two flows of the same kind, of which one has the link already, come to share it.
#[test]
fn two_flows_share() {
    let mut marks = Link::new(100, 10, 2.0);
    marks.mark = Some(30_000);
    let table = [
        (Algorithm::Cubic, Link::new(100, 20, 1.0), 0.95),
        (Algorithm::Cubic, Link::new(20, 50, 1.0), 0.95),
        (Algorithm::Cubic, Link::new(100, 40, 0.5), 0.95),
        (Algorithm::NewReno, Link::new(100, 20, 1.0), 0.95),
        (Algorithm::Dctcp, marks, 0.95),
    ];
    for (algorithm, link, least) in table {
        let mut net = Net::new(link, 1);
        net.add(algorithm);
        net.run(Duration::from_secs(5));
        net.add(algorithm);
        net.run(Duration::from_secs(30));
        net.measure();
        let time = Duration::from_mins(1);
        net.run(time);
        let (fairness, used) = (net.fairness(), net.used(time));
        println!("{algorithm:?} {link:?}: Jain {fairness:.3}, used {used:.3}");
        assert!(fairness > least && used > 0.9, "{algorithm:?} {link:?}: {fairness}, {used}");
    }
}

/// RFC 9438 section 5.1: the goodput under losses by chance is the model's window over the round trip.
#[test]
fn under_losses_by_chance_goodput_is_that_of_the_model() {
    for (loss, millis) in [(1000, 20), (10_000, 100)] {
        let mut link = Link::new(1000, millis, 4.0);
        link.loss = loss;
        let mut net = Net::new(link, 7);
        net.add(Algorithm::Cubic);
        net.run(Duration::from_secs(10));
        net.measure();
        let time = Duration::from_mins(2);
        net.run(time);
        let (rtt, n) = (millis as f64 / 1000.0, loss as f64);
        let cubic = (0.4 * 3.7 / 1.2_f64).powf(0.25) * (rtt * n).powf(0.75);
        let model = cubic.max((1.5 * n).sqrt()) / rtt;
        let measured = net.flows[0].delivered as f64 / f64::from(super::link::MSS) / time.as_secs_f64();
        let ratio = measured / model;
        println!("loss 1/{loss}, {millis} ms: {measured:.0} segments/s, model {model:.0}");
        // By chance, losses come together more often than the model has it.
        assert!((0.8..1.25).contains(&ratio), "1/{loss}, {millis} ms: {measured}, model {model}");
    }
}
