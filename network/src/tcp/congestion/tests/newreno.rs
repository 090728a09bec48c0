// SPDX-License-Identifier: MIT OR Apache-2.0
//! NewReno, and what it has in common with the others.

use core::time::Duration;

use runtime::time::Time;

use super::flow::{Flow, MSS};
use crate::tcp::congestion::{Congested, Controller};
use crate::tcp::settings::Algorithm;

const RTT: Duration = Duration::from_millis(50);
const ALL: [Algorithm; 3] = [Algorithm::Cubic, Algorithm::NewReno, Algorithm::Dctcp];

/// RFC 6928 section 2: min(10 MSS, max(2 MSS, 14600)).
#[test]
fn the_first_window_is_ten_segments_or_less() {
    let table = [(536, 5360), (1220, 12_200), (1448, 14_480), (1460, 14_600), (1461, 14_600), (8960, 17_920)];
    for algorithm in [Algorithm::Cubic, Algorithm::NewReno, Algorithm::Dctcp, Algorithm::Bbr] {
        for (mss, window) in table {
            let mut control = Controller::new(algorithm, mss, Time::ZERO);
            assert_eq!((control.window(), control.algorithm()), (window, algorithm), "MSS {mss}");
            assert!(control.in_slow_start());
            // A window that was never used is that of the segments it turns out to be for.
            control.set_mss(1220);
            assert_eq!(control.window(), 12_200, "MSS {mss}, then 1220");
        }
    }
}

/// RFC 5681 section 3.1: slow start doubles per round trip.
#[test]
fn slow_start_doubles() {
    for algorithm in ALL {
        let mut flow = Flow::new(algorithm, RTT);
        for round in 0..8 {
            assert_eq!(flow.control.window(), (10 * MSS) << round, "{algorithm:?} round {round}");
            flow.round();
        }
    }
}

/// RFC 9406 section 4.2: one ACK opens an unpaced window by eight segments at most.
#[test]
fn one_ack_does_not_release_a_burst() {
    for algorithm in ALL {
        let mut flow = Flow::new(algorithm, RTT);
        flow.fill();
        flow.ack(10 * MSS, 0, RTT);
        assert_eq!(flow.segments(), 18, "{algorithm:?}");
    }
}

/// RFC 5681 section 3.1, equations 3 and 4: half of what was in flight, then one segment per round trip.
#[test]
fn a_loss_halves_and_then_it_grows_by_a_segment() {
    let mut flow = Flow::at(Algorithm::NewReno, RTT, 160);
    flow.round();
    flow.lose();
    assert_eq!((flow.segments(), flow.control.threshold()), (160, 160 * MSS));
    assert!(!flow.control.in_slow_start());
    for round in 0..20 {
        assert_eq!(flow.segments(), 160 + round);
        flow.round();
    }
}

/// RFC 6582 section 3.2: the window does not grow in fast recovery.
/// RFC 5681 section 3.2.
#[test]
fn fast_recovery_does_not_grow() {
    for algorithm in ALL {
        let mut flow = Flow::at(algorithm, RTT, 80);
        flow.lose();
        let window = flow.control.window();
        flow.in_recovery = true;
        flow.round();
        flow.round();
        assert_eq!(flow.control.window(), window, "{algorithm:?}");
        flow.control.on_recovery_end(flow.now);
        flow.in_recovery = false;
        for _ in 0..3 {
            flow.round();
        }
        assert!(flow.control.window() > window, "{algorithm:?}");
    }
}

/// RFC 5681 section 3.1: after a timeout one segment; the threshold is half of what was in flight, and stays when the same
/// data are lost again.
#[test]
fn a_timeout_leaves_one_segment() {
    for (algorithm, part) in [(Algorithm::NewReno, 5), (Algorithm::Dctcp, 5), (Algorithm::Cubic, 7)] {
        let mut flow = Flow::at(algorithm, RTT, 100);
        flow.fill();
        let in_flight = flow.in_flight();
        flow.control.on_timeout(flow.now, in_flight, true);
        let threshold = u64::from(in_flight) * part / 10;
        assert_eq!((flow.control.window(), u64::from(flow.control.threshold())), (MSS, threshold), "{algorithm:?}");
        assert!(flow.control.in_slow_start());
        flow.control.on_timeout(flow.now, MSS, false);
        assert_eq!((flow.control.window(), u64::from(flow.control.threshold())), (MSS, threshold), "{algorithm:?}");
        // Slow start leads to the threshold and not beyond it.
        flow.next = flow.una;
        while flow.control.in_slow_start() {
            flow.round();
        }
        assert_eq!(u64::from(flow.control.window()), threshold, "{algorithm:?}");
    }
}

/// RFC 5681 section 3.1: the threshold is at least two segments.
#[test]
fn the_threshold_is_two_segments_at_least() {
    for algorithm in ALL {
        let mut flow = Flow::new(algorithm, RTT);
        for _ in 0..10 {
            flow.lose();
        }
        assert_eq!((flow.segments(), flow.control.threshold()), (2, 2 * MSS), "{algorithm:?}");
        flow.control.on_timeout(flow.now, 0, true);
        assert_eq!((flow.segments(), flow.control.threshold()), (1, 2 * MSS), "{algorithm:?}");
    }
}

/// RFC 3522, RFC 4015 section 3.3: what was reduced for nothing is given back, once.
#[test]
fn a_reduction_for_nothing_is_undone() {
    for algorithm in ALL {
        for timeout in [false, true] {
            let mut flow = Flow::at(algorithm, RTT, 100);
            flow.lose();
            for _ in 0..5 {
                flow.round();
            }
            let before = (flow.control.window(), flow.control.threshold());
            if timeout {
                flow.control.on_timeout(flow.now, flow.in_flight(), true);
                flow.control.on_timeout(flow.now, flow.in_flight(), false);
            } else {
                flow.control.on_congestion(Congested::Loss, flow.now, flow.in_flight());
            }
            assert!(flow.control.window() < before.0);
            flow.control.undo();
            assert_eq!((flow.control.window(), flow.control.threshold()), before, "{algorithm:?} timeout {timeout}");
            flow.control.on_congestion(Congested::Loss, flow.now, flow.in_flight());
            flow.control.undo();
            let again = flow.control.window();
            flow.control.undo();
            assert_eq!(flow.control.window(), again);
        }
    }
}

/// RFC 7661 section 4.3, RFC 9438 section 5.8: a window that is not used does not grow.
#[test]
fn what_is_not_used_does_not_grow() {
    for algorithm in ALL {
        let mut flow = Flow::new(algorithm, RTT);
        for _ in 0..50 {
            flow.send(MSS);
            flow.ack(MSS, 0, RTT);
        }
        assert_eq!(flow.segments(), 10, "{algorithm:?} in slow start");
        let mut flow = Flow::at(algorithm, RTT, 80);
        flow.lose();
        while flow.in_flight() > 0 {
            flow.ack(MSS, 0, Duration::ZERO);
        }
        let window = flow.control.window();
        for _ in 0..50 {
            for _ in 0..30 {
                flow.send(MSS);
            }
            for _ in 0..30 {
                flow.ack(MSS, 0, RTT / 30);
            }
        }
        assert!(flow.control.window() - window <= MSS, "{algorithm:?}: {window} to {}", flow.control.window());
        // The cubic has waited: it does not leap when the window is used again.
        flow.round();
        flow.round();
        assert!(flow.control.window() - window <= 4 * MSS, "{algorithm:?}: {window} to {}", flow.control.window());
    }
}

/// RFC 5681 section 4.1: after more than a timeout without sending, the first window again; RFC 7661 section 4.4.3: the
/// threshold remembers three quarters of what was.
#[test]
fn after_silence_it_begins_again() {
    let rto = Duration::from_millis(200);
    for algorithm in ALL {
        let mut flow = Flow::at(algorithm, RTT, 100);
        flow.lose();
        for _ in 0..30 {
            flow.round();
        }
        let window = flow.control.window();
        flow.control.on_idle(flow.now, rto, rto);
        assert_eq!(flow.control.window(), window, "{algorithm:?}: not yet");
        flow.control.on_idle(flow.now, rto + Duration::from_nanos(1), rto);
        assert_eq!(flow.segments(), 10, "{algorithm:?}");
        assert!(flow.control.threshold() >= window - window / 4);
        assert!(flow.control.in_slow_start());
        // A window that is smaller than the first stays.
        flow.control.on_timeout(flow.now, 10 * MSS, true);
        flow.control.on_idle(flow.now, 2 * rto, rto);
        assert_eq!(flow.segments(), 1, "{algorithm:?}");
    }
}

/// RFC 3465 section 2.1: ACKs of any size make the same growth.
#[test]
fn growth_is_by_bytes() {
    for bytes in [100, 500, 1000, 2000, 10_000] {
        let mut flow = Flow::at(Algorithm::NewReno, RTT, 80);
        flow.round();
        flow.lose();
        let window = flow.control.window();
        flow.fill();
        let mut acked = 0;
        while acked < 3 * window {
            flow.ack(bytes, 0, Duration::from_millis(1));
            flow.fill();
            acked += bytes;
        }
        assert_eq!((flow.control.window() - window) / MSS, 2, "ACKs of {bytes}");
    }
}

/// RFC 3168 section 6.1.2: an ACK that tells of a mark does not open the window.
#[test]
fn a_mark_opens_nothing() {
    for algorithm in ALL {
        let mut flow = Flow::new(algorithm, RTT);
        flow.fill();
        for _ in 0..10 {
            flow.ack(MSS, MSS, RTT / 10);
        }
        assert_eq!(flow.segments(), 10, "{algorithm:?}");
    }
}
