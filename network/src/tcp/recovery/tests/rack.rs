// SPDX-License-Identifier: MIT OR Apache-2.0
//! RACK (RFC 8985 section 6).

use super::hand::{ALL, Hand, MSS, nothing, settings};
use crate::tcp::recovery::{Acknowledgment, Expired, State};
use crate::tcp::settings::Settings;

/// Section 6.2: one segment behind a gap: a quarter of the shortest round trip is waited for it, then it is lost.
#[test]
fn a_gap_waits_for_the_reordering_window() {
    let mut hand = Hand::new();
    hand.at(0).send(3);
    assert_eq!(hand.at(100).ack(0, &[(1000, 2000)]).lost, 0);
    assert_eq!((hand.deadline(), hand.resend()), (Some(125), vec![]));
    assert_eq!(hand.at(124).expired(), Expired::Nothing);
    assert_eq!(hand.at(125).expired(), Expired::Reordered { reduced: true });
    assert_eq!((hand.recovery.state(), hand.resend()), (State::Recovery, vec![0]));
}

/// The window is of use: what comes within it was not lost, and from then on three segments behind a gap prove nothing.
#[test]
fn what_comes_within_it_was_late() {
    let mut hand = Hand::new();
    hand.at(0).send(3);
    hand.at(100).ack(0, &[(1000, 2000)]);
    hand.at(110).ack(2000, &[]);
    assert_eq!(hand.at(125).expired(), Expired::Nothing);
    hand.at(120).ack(3000, &[]);
    hand.at(130).send(6);
    assert_eq!(hand.at(230).ack(3000, &[(4000, 9000)]).lost, 0);
    assert_eq!(hand.deadline(), Some(255));
    assert_eq!((hand.recovery.state(), hand.recovery.retransmits()), (State::Open, 0));
}

/// Step 4: where nothing was seen to be out of order, three segments behind a gap are enough at once.
#[test]
fn three_segments_behind_a_gap_are_enough() {
    let mut hand = Hand::new();
    hand.at(0).send(5);
    hand.at(100).ack(0, &[(1000, 3000)]);
    assert_eq!(hand.resend(), []);
    assert_eq!(hand.ack(0, &[(1000, 4000)]).lost, MSS);
    // What left at the same time behind what has arrived is not judged.
    assert_eq!((hand.resend(), hand.recovery.in_flight()), (vec![0], 2 * MSS));
}

/// A retransmission that is lost shows by what left after it (section 3.1, the second example).
#[test]
fn a_lost_retransmission_is_found() {
    let mut hand = Hand::new();
    hand.at(0).send(4);
    hand.at(100).ack(0, &[(1000, 4000)]);
    assert_eq!(hand.resend(), [0]);
    hand.at(101).send(1);
    // Something that left after the retransmission arrives: no window in recovery.
    let outcome = hand.at(201).ack(0, &[(1000, 5000)]);
    assert_eq!((outcome.lost, outcome.reduced), (MSS, false));
    assert_eq!((hand.resend(), hand.recovery.retransmits()), (vec![0], 2));
    hand.at(301).ack(5000, &[]);
    assert_eq!((hand.recovery.state(), hand.recovery.in_flight()), (State::Open, 0));
}

/// Step 2: an ACK of something that was sent again, sooner than a round trip can be, is of what was sent first: it proves nothing
/// of what left between.
#[test]
fn an_answer_that_is_too_soon_is_of_the_original() {
    let mut hand = Hand::new();
    hand.at(0).send(4);
    hand.at(100).ack(0, &[(1000, 4000)]);
    hand.resend();
    hand.at(101).send(1);
    hand.at(102).resend();
    // 1 ms after it was sent again.
    hand.at(103).ack(4000, &[]);
    assert_eq!((hand.recovery.missing(), hand.recovery.in_flight()), (0, MSS));
    // The same by the timestamp, long after.
    let mut hand = Hand::new();
    hand.at(0).send(4);
    hand.at(100).ack(0, &[(1000, 4000)]);
    hand.resend();
    let echo = Some(hand.at(0).now());
    let outcome = hand.at(300).full(4000, &[], Acknowledgment { echo, ..nothing() });
    assert!(outcome.undone);
}

/// Step 4: a D-SACK makes the window wider, once in a round trip, and sixteen recoveries without one give that up.
#[test]
fn a_duplicate_widens_the_window() {
    let mut hand = Hand::new();
    let mut at = 0;
    let mut base = 0;
    // Each sends something out of order, and takes the time until it is lost.
    let mut wait = |hand: &mut Hand, twice: bool| {
        hand.at(at).send(3);
        at += 100;
        let behind = (base + 1000, base + 2000);
        let blocks: &[(u32, u32)] = if twice { &[(base - 1000, base), behind] } else { &[behind] };
        hand.at(at).ack(base, blocks);
        let waited = hand.deadline().unwrap() - at;
        at += waited;
        assert_eq!(hand.at(at).expired(), Expired::Reordered { reduced: true });
        hand.resend();
        at += 100;
        base += 3000;
        hand.at(at).ack(base, &[]);
        at += 1000;
        waited
    };
    assert_eq!(wait(&mut hand, false), 25);
    assert_eq!(wait(&mut hand, true), 50);
    assert_eq!(wait(&mut hand, true), 75);
    for _ in 0..14 {
        assert_eq!(wait(&mut hand, false), 75);
    }
    assert_eq!(wait(&mut hand, false), 75);
    assert_eq!(wait(&mut hand, false), 25);
}

/// Section 6.3: a timeout loses the first segment and what is late, but not what left just before.
#[test]
fn a_timeout_spares_what_has_just_left() {
    let mut hand = Hand::with(&Settings { rto_min: super::hand::ms(300), ..settings() }, ALL, Some(100));
    hand.at(0).send(1);
    hand.at(100).ack(1000, &[]);
    hand.at(200).send(2);
    // The probe goes at 700, and its timer begins anew.
    let mut at = hand.deadline().unwrap();
    assert_eq!(hand.at(at).expired(), Expired::Probe);
    hand.send(1);
    at = hand.deadline().unwrap();
    hand.at(at - 10).send(1);
    assert_eq!(hand.at(at).expired(), Expired::Timeout { count: 1 });
    assert_eq!((hand.recovery.missing(), hand.recovery.in_flight()), (3 * MSS, MSS));
}
