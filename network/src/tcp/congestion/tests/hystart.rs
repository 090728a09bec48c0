// SPDX-License-Identifier: MIT OR Apache-2.0
//! HyStart++ by the round trips that it is shown (RFC 9406 section 4).

use core::time::Duration;

use super::flow::{Flow, MSS};
use crate::tcp::settings::Algorithm;

/// Rounds whose every round trip is so many microseconds; the window behind each.
fn rounds(micros: &[u64]) -> (Vec<u32>, Flow) {
    let mut flow = Flow::new(Algorithm::Cubic, Duration::from_micros(micros[0]));
    let mut windows = Vec::new();
    for &rtt in micros {
        flow.rtt = Duration::from_micros(rtt);
        flow.round();
        windows.push(flow.segments());
    }
    (windows, flow)
}

/// RFC 9406 section 4.2: with a rise of an eighth, at least 4 ms and at most 16 ms, growth falls to a quarter.
#[test]
fn a_longer_round_trip_slows_growth() {
    // From, to, whether that is a rise.
    let table = [
        (10_000, 13_900, false),
        (10_000, 14_000, true),
        (64_000, 71_900, false),
        (64_000, 72_000, true),
        (400_000, 415_000, false),
        (400_000, 416_000, true),
    ];
    for (from, to, rises) in table {
        let (windows, flow) = rounds(&[from, from, to]);
        assert_eq!(windows[..2], [20, 40]);
        if rises {
            // Eight samples of the round had come before it was seen.
            assert!(windows[2] < 60, "{from} to {to}: {windows:?}");
        } else {
            assert_eq!(windows[2], 80, "{from} to {to}");
        }
        assert!(flow.control.in_slow_start());
    }
}

/// RFC 9406 section 4.2: after five rounds of it, congestion avoidance, from where it is.
#[test]
fn five_rounds_of_slow_growth_end_slow_start() {
    let mut flow = Flow::new(Algorithm::Cubic, Duration::from_millis(20));
    flow.round();
    flow.round();
    flow.rtt = Duration::from_millis(30);
    // The round in which it is seen counts as one.
    for round in 0..5 {
        let before = f64::from(flow.control.window());
        flow.round();
        let growth = f64::from(flow.control.window()) / before;
        assert!(flow.control.in_slow_start(), "round {round}");
        assert!(if round == 0 { growth < 1.45 } else { (1.2..1.3).contains(&growth) }, "round {round}: {growth}");
    }
    flow.round();
    assert!(!flow.control.in_slow_start());
    let (window, threshold) = (flow.control.window(), flow.control.threshold());
    assert!(threshold <= window && window - threshold <= 2 * MSS);
}

/// RFC 9406 section 4.2: if the round trip falls below what the slow growth began with, slow start goes on.
#[test]
fn a_rise_by_chance_is_forgotten() {
    let (windows, flow) = rounds(&[20_000, 20_000, 30_000, 20_000, 20_000, 20_000]);
    assert!(windows[2] < 60 && flow.control.in_slow_start());
    let last = f64::from(windows[5]) / f64::from(windows[4]);
    assert!(last > 1.9, "{windows:?}");
}

/// RFC 9406 section 4.3: only the first slow start, whose threshold nothing has set.
#[test]
fn later_slow_starts_double_whatever_the_round_trip_is() {
    let mut flow = Flow::at(Algorithm::Cubic, Duration::from_millis(20), 300);
    flow.control.on_timeout(flow.now, flow.in_flight(), true);
    flow.next = flow.una;
    for round in 1..7 {
        flow.rtt += Duration::from_millis(20);
        flow.round();
        assert_eq!(flow.segments(), 1 << round);
    }
}

/// NewReno has none of it.
#[test]
fn others_grow_until_a_loss() {
    let mut flow = Flow::new(Algorithm::NewReno, Duration::from_millis(20));
    for round in 1..10 {
        flow.rtt += Duration::from_millis(20);
        flow.round();
        assert_eq!(flow.segments(), 10 << round);
    }
}
