// SPDX-License-Identifier: MIT OR Apache-2.0
//! DCTCP against the formulas of RFC 8257 section 3.3.

use core::time::Duration;

use super::flow::{Flow, MSS};
use crate::tcp::congestion::Congested;
use crate::tcp::settings::Algorithm;

const RTT: Duration = Duration::from_micros(100);

/// A round of which every `each`th byte is marked; the window is reduced at its end if there was one.
fn round(flow: &mut Flow, each: u32) {
    flow.fill();
    let segments = flow.in_flight() / MSS;
    for _ in 0..segments {
        flow.ack(MSS, MSS.checked_div(each).unwrap_or(0), RTT / segments);
        flow.fill();
    }
}

/// RFC 8257 section 3.3: Alpha = Alpha (1 - g) + g M with g = 1/16, and cwnd = cwnd (1 - Alpha / 2).
#[test]
fn the_reduction_is_by_the_part_that_is_marked() {
    for each in [1, 2, 4, 10] {
        let mut flow = Flow::at(Algorithm::Dctcp, RTT, 100);
        flow.lose();
        let mut alpha = 1.0_f64;
        let part = 1.0 / f64::from(each);
        // Each round's estimate is made with the first ACK of the next.
        for rounds in 0..200 {
            round(&mut flow, each);
            if rounds == 0 {
                continue;
            }
            let mut tried = flow.clone();
            let window = tried.control.window();
            tried.control.on_congestion(Congested::Marked, tried.now, tried.in_flight());
            let kept = f64::from(tried.control.window()) / f64::from(window);
            alpha = if rounds == 1 { (1.0 - kept) * 2.0 } else { alpha * 15.0 / 16.0 + part / 16.0 };
            assert!((kept - (1.0 - alpha / 2.0)).abs() < 0.01, "1/{each}, round {rounds}: {kept}, Alpha {alpha}");
            assert!(alpha < 1.0001);
        }
        assert!((alpha - part).abs() < 0.01);
    }
}

/// RFC 8257 section 4.2: Alpha begins at one, so that the first mark halves.
#[test]
fn the_first_mark_halves() {
    let mut flow = Flow::new(Algorithm::Dctcp, RTT);
    flow.fill();
    flow.control.on_congestion(Congested::Marked, flow.now, flow.in_flight());
    assert_eq!(flow.segments(), 5);
}

/// Without marks Alpha goes to zero, and then a mark takes nothing.
#[test]
fn what_is_not_marked_is_forgotten() {
    let mut flow = Flow::at(Algorithm::Dctcp, RTT, 100);
    flow.lose();
    for _ in 0..300 {
        round(&mut flow, 0);
    }
    let window = flow.control.window();
    flow.control.on_congestion(Congested::Marked, flow.now, flow.in_flight());
    assert_eq!(flow.control.window(), window);
}

/// RFC 8257 section 3.5: a loss halves, whatever Alpha is.
#[test]
fn a_loss_halves_all_the_same() {
    let mut flow = Flow::at(Algorithm::Dctcp, RTT, 100);
    flow.lose();
    for _ in 0..300 {
        round(&mut flow, 0);
    }
    flow.fill();
    let in_flight = flow.in_flight();
    flow.lose();
    assert_eq!(flow.control.window(), in_flight / 2);
}
