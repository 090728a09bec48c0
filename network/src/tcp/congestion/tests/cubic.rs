// SPDX-License-Identifier: MIT OR Apache-2.0
//! CUBIC against the formulas of RFC 9438, in floating point.

use core::time::Duration;

use proptest::prelude::*;

use super::flow::{Flow, MSS};
use crate::tcp::congestion::cubic::cube_root;
use crate::tcp::congestion::{Congested, Controller};
use crate::tcp::settings::Algorithm;

const C: f64 = 0.4;
const BETA: f64 = 0.7;

/// Lets so many segments be acknowledged between one loss and the next, for some losses; the mean window behind the first
/// ones, by which it has come away from what it began with.
fn mean(rtt: Duration, between: u32, losses: u32, model: f64) -> f64 {
    let mut flow = Flow::at(Algorithm::Cubic, rtt, model as u32);
    flow.lose();
    let skip = 60;
    for loss in 0..losses + skip {
        if loss == skip {
            flow.measure();
        }
        let mut left = between;
        while left > 0 {
            flow.fill();
            // An ACK for each two segments, evenly in the round trip.
            let acked = (2 * MSS).min(flow.in_flight()).min(left * MSS);
            let part = u64::from(flow.in_flight() / acked).max(1);
            flow.ack(acked, 0, rtt / part as u32);
            left -= (acked / MSS).min(left);
        }
        flow.lose();
    }
    flow.mean()
}

/// RFC 9438 section 5.1: the mean window under losses that come regularly, in the cubic's region. The model's window is not
/// one of whole segments, and with those the flat part of the cubic is a second or two wide.
#[test]
fn the_mean_window_is_that_of_the_model() {
    for (millis, between, losses) in [(100, 10_000, 40), (100, 100_000, 60), (200, 10_000, 40), (50, 300_000, 40)] {
        let rtt = millis as f64 / 1000.0;
        let model = (C * (3.0 + BETA) / (4.0 * (1.0 - BETA))).powf(0.25) * (rtt * f64::from(between)).powf(0.75);
        let measured = mean(Duration::from_millis(millis), between, losses, model);
        let ratio = measured / model;
        assert!((0.92..1.08).contains(&ratio), "RTT {rtt}, p 1/{between}: {measured:.1}, model {model:.1}");
    }
}

/// RFC 9438 section 5.1, table: with short round trips and many losses it is as fast as Reno, whose mean window is the square
/// root of 1.5 / p.
#[test]
fn where_reno_is_faster_it_is_as_fast() {
    for (millis, between, losses) in [(10, 1000, 200), (10, 10_000, 40), (1, 100_000, 6), (100, 1000, 200)] {
        let model = (1.5 * f64::from(between)).sqrt();
        let measured = mean(Duration::from_millis(millis), between, losses, model);
        let ratio = measured / model;
        assert!((0.9..1.15).contains(&ratio), "RTT {millis} ms, p 1/{between}: {measured:.1}, model {model:.1}");
    }
}

/// RFC 9438 section 4.2, figure 1: after a loss the window follows the cubic, concave to the old maximum and convex beyond
/// it, a round trip ahead at most.
#[test]
fn the_window_follows_the_cubic() {
    for (millis, segments) in [(100, 500), (100, 3000), (30, 2000), (250, 200)] {
        let rtt = Duration::from_millis(millis);
        let mut flow = Flow::at(Algorithm::Cubic, rtt, segments);
        let max = f64::from(flow.control.window()) / f64::from(MSS);
        flow.lose();
        let low = f64::from(flow.control.window()) / f64::from(MSS);
        assert!((low / max - BETA).abs() < 0.01, "{low} of {max}");
        let k = ((max - low) / C).cbrt();
        let began = flow.now;
        let cubic = |t: f64| C * (t - k).powi(3) + max;
        let mut last = 0.0;
        while last < 2.0 * k {
            flow.round();
            last = (flow.now - began).as_secs_f64();
            let window = f64::from(flow.control.window()) / f64::from(MSS);
            // It is late by the round trip in which it grows to its target.
            let (least, most) = (cubic(last - 2.0 * rtt.as_secs_f64()), cubic(last + rtt.as_secs_f64()));
            let slack = 2.0 + max * 0.01;
            assert!(
                window > least.max(low) - slack && window < most + slack,
                "{last} s: {window}, cubic {least} to {most}"
            );
        }
        assert!(f64::from(flow.control.window()) / f64::from(MSS) > max * 1.2);
    }
}

/// RFC 9438 section 4.3: in the Reno-friendly region, 9/17 of a segment per round trip up to the window before the loss, then
/// a whole one.
#[test]
fn the_reno_friendly_region_has_two_slopes() {
    let rtt = Duration::from_millis(2);
    let mut flow = Flow::at(Algorithm::Cubic, rtt, 100);
    let prior = flow.segments();
    flow.lose();
    flow.round();
    let low = flow.segments();
    assert_eq!(low, prior * 7 / 10);
    let mut rounds = 0;
    while flow.segments() < prior {
        flow.round();
        rounds += 1;
    }
    let model = f64::from(prior - low) / (9.0 / 17.0);
    assert!((f64::from(rounds) / model - 1.0).abs() < 0.05, "{rounds} rounds, model {model}");
    for _ in 0..20 {
        flow.round();
    }
    assert!((19..=21).contains(&(flow.segments() - prior)), "{} of {prior}", flow.segments());
}

/// RFC 9438 section 4.6: β = 0.7, two segments at least after a loss and one after a mark.
#[test]
fn a_loss_leaves_seven_tenths() {
    for (congested, least) in [(Congested::Loss, 2), (Congested::Marked, 1)] {
        let mut flow = Flow::at(Algorithm::Cubic, Duration::from_millis(20), 100);
        flow.fill();
        let in_flight = flow.in_flight();
        flow.control.on_congestion(congested, flow.now, in_flight);
        assert_eq!(flow.control.window(), in_flight * 7 / 10);
        assert_eq!(flow.control.threshold(), in_flight * 7 / 10);
        // What was not in flight does not count.
        flow.control.on_congestion(congested, flow.now, 20 * MSS);
        assert_eq!(flow.control.window(), 14 * MSS);
        for _ in 0..20 {
            flow.control.on_congestion(congested, flow.now, flow.control.window());
        }
        assert_eq!(flow.segments(), least);
        assert_eq!(flow.control.threshold(), 2 * MSS);
    }
}

/// How long it takes after the last of two losses until the window is that again which it had before the first.
fn back(second_at: Option<f64>) -> f64 {
    let rtt = Duration::from_millis(100);
    let mut flow = Flow::at(Algorithm::Cubic, rtt, 1000);
    let max = f64::from(flow.control.window());
    flow.lose();
    let began = flow.now;
    if let Some(part) = second_at {
        while f64::from(flow.control.window()) < max * part {
            flow.round();
        }
        flow.lose();
    }
    let second = if second_at.is_some() { flow.now } else { began };
    while f64::from(flow.control.window()) < max * 0.99 {
        flow.round();
    }
    (flow.now - second).as_secs_f64()
}

/// RFC 9438 section 4.7: a loss below the last maximum lowers the maximum to (1 + β) / 2 of the window.
#[test]
fn a_loss_below_the_maximum_gives_room_to_others() {
    let rtt = Duration::from_millis(100);
    let mut flow = Flow::at(Algorithm::Cubic, rtt, 1000);
    flow.lose();
    for _ in 0..3 {
        flow.round();
    }
    let window = f64::from(flow.control.window());
    flow.lose();
    let low = f64::from(flow.control.window());
    // The plateau is at W_max: where growth is slowest.
    let (mut slowest, mut at) = (f64::MAX, 0.0);
    for _ in 0..400 {
        let before = f64::from(flow.control.window());
        flow.round();
        flow.round();
        let grown = f64::from(flow.control.window()) - before;
        if grown < slowest {
            (slowest, at) = (grown, before);
        }
        if before > window {
            break;
        }
    }
    let model = window * (1.0 + BETA) / 2.0;
    assert!(low < at && (at / model - 1.0).abs() < 0.03, "flat at {at}, model {model}");
    assert!(back(Some(0.95)) > back(None));
}

/// RFC 9438 section 4.8: the stage behind a timeout begins flat, where slow start has ended.
#[test]
fn behind_a_timeout_the_cubic_begins_flat() {
    let rtt = Duration::from_millis(100);
    let mut flow = Flow::at(Algorithm::Cubic, rtt, 1000);
    flow.control.on_timeout(flow.now, flow.in_flight(), true);
    flow.next = flow.una;
    while flow.control.in_slow_start() {
        flow.round();
    }
    let (start, began) = (f64::from(flow.control.window()) / f64::from(MSS), flow.now);
    for _ in 0..50 {
        flow.round();
        let t = (flow.now - began).as_secs_f64();
        let window = f64::from(flow.control.window()) / f64::from(MSS);
        // At first NewReno would be faster (section 4.3).
        let (least, most) = (start + C * (t - 0.2).powi(3), start + (C * (t + 0.1).powi(3)).max(t / 0.1));
        assert!(window > least - 2.0 && window < most + 4.0, "{t} s: {window}, cubic {least} to {most}");
    }
}

/// RFC 9438 section 4.9: the stage that a loss for nothing has ended goes on.
#[test]
fn undone_the_cubic_goes_on_as_if_nothing_had_been() {
    let rtt = Duration::from_millis(100);
    let mut flow = Flow::at(Algorithm::Cubic, rtt, 1000);
    flow.lose();
    for _ in 0..20 {
        flow.round();
    }
    let mut other = flow.clone();
    flow.control.on_congestion(Congested::Loss, flow.now, flow.in_flight());
    flow.control.undo();
    for _ in 0..100 {
        flow.round();
        other.round();
        assert_eq!(flow.control.window(), other.control.window());
    }
}

/// RFC 9438 section 5.8: a pause is not part of the time since the loss.
#[test]
fn the_cubic_waits_in_a_pause() {
    let rtt = Duration::from_millis(100);
    let mut flow = Flow::at(Algorithm::Cubic, rtt, 1000);
    flow.lose();
    for _ in 0..5 {
        flow.round();
    }
    while flow.in_flight() > 0 {
        flow.ack(MSS, 0, Duration::ZERO);
    }
    let mut other = flow.clone();
    other.now += Duration::from_secs(5);
    for _ in 0..60 {
        flow.round();
        other.round();
        assert_eq!(flow.control.window(), other.control.window());
    }
}

/// A target is at most half as much again (RFC 9438 section 4.2), however long the cubic has run, and nothing overflows.
#[test]
fn an_hour_of_growth_ends_at_the_bound() {
    let mut flow = Flow::at(Algorithm::Cubic, Duration::from_secs(30), 100);
    flow.lose();
    for _ in 0..200 {
        let before = flow.control.window();
        flow.fill();
        for _ in 0..16 {
            let bytes = flow.in_flight() / 16;
            flow.ack(bytes, 0, flow.rtt / 16);
        }
        assert!(flow.control.window() <= before + before / 2 + 32 * MSS);
    }
    assert_eq!(flow.control.window(), crate::limits::CONGESTION_WINDOW_MAX);
}

#[test]
fn cube_roots() {
    for value in [0, 1, 7, 8, 9, 26, 27, 28, 63, 64, 999_999_999, 1_000_000_000, (1 << 63) - 1] {
        let root = u128::from(cube_root(value));
        assert!(root.pow(3) <= u128::from(value) && (root + 1).pow(3) > u128::from(value), "{value}: {root}");
    }
}

/// What an idle connection holds.
#[test]
fn the_state_is_small() {
    assert!(size_of::<Controller>() <= 160, "{}", size_of::<Controller>());
}

proptest! {
    #[test]
    fn a_cube_root_is_the_largest_whose_cube_fits(value in 0..u64::MAX >> 1) {
        let root = u128::from(cube_root(value));
        prop_assert!(root.pow(3) <= u128::from(value) && (root + 1).pow(3) > u128::from(value));
    }
}
