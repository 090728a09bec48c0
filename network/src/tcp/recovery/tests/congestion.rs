// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much may leave: PRR (RFC 6937, 9937), limited transmit (RFC 3042), recovery without SACK (RFC 5681, 6582), ECN (RFC 3168).

use super::hand::{ALL, Hand, MSS, nothing, settings};
use crate::tcp::recovery::prr::Prr;
use crate::tcp::recovery::{Acknowledgment, Features, State};
use crate::tcp::settings::Settings;

const PLAIN: Features = Features { sack: false, timestamps: false, ecn: false };

/// RFC 6937 section 3.1: with half of the window as the goal, one segment leaves for two that arrive.
#[test]
fn half_of_what_arrives_leaves() {
    let mut prr = Prr::begin(20 * MSS, MSS);
    let mut sent = Vec::new();
    for round in 0..10 {
        prr.delivered(MSS, (20 - round) * MSS, 10 * MSS, MSS, false);
        let segments = prr.budget() / MSS;
        prr.sent(segments * MSS);
        sent.push(segments);
    }
    // The first left at once.
    assert_eq!(sent, [1, 0, 0, 1, 0, 1, 0, 1, 0, 1]);
}

/// RFC 9937 section 6: below the goal, as much leaves as arrives, and a segment more if nothing further is lost; never above it.
#[test]
fn below_the_goal_what_arrives_is_replaced() {
    for (is_safe, in_flight, expected) in [(false, 4, 1), (true, 4, 2), (true, 9, 1), (true, 10, 0)] {
        let mut prr = Prr::begin(20 * MSS, MSS);
        prr.delivered(MSS, 12 * MSS, 10 * MSS, MSS, false);
        prr.sent(MSS);
        prr.delivered(MSS, in_flight * MSS, 10 * MSS, MSS, is_safe);
        assert_eq!(prr.budget() / MSS, expected, "{is_safe} {in_flight}");
    }
}

/// The first retransmission always leaves.
#[test]
fn the_first_retransmission_is_free() {
    let mut prr = Prr::begin(20 * MSS, MSS);
    assert_eq!(prr.budget(), MSS);
    prr.delivered(1, 30 * MSS, MSS, MSS, false);
    assert_eq!(prr.budget(), MSS);
    // No count overflows.
    let mut prr = Prr::begin(0, MSS);
    prr.sent(u32::MAX);
    prr.sent(u32::MAX);
    prr.delivered(u32::MAX, u32::MAX, u32::MAX - 1, MSS, true);
    prr.delivered(u32::MAX, 0, u32::MAX, MSS, true);
    assert_eq!(prr.budget(), u32::MAX);
}

/// In recovery the window shrinks over a round trip: what leaves while half of it arrives is a quarter.
#[test]
fn recovery_sends_in_proportion() {
    let mut hand = Hand::with(&Settings { rack: false, ..settings() }, ALL, Some(100));
    hand.at(0).send(10);
    hand.at(100).ack(0, &[(1000, 4000)]);
    let mut sent = hand.resend().len() as u32;
    for behind in 5..=10 {
        hand.at(100 + u64::from(behind)).ack(0, &[(1000, behind * 1000)]);
        assert_eq!(hand.resend(), []);
        let segments = hand.recovery.room() / MSS;
        hand.send(segments);
        sent += segments;
    }
    // Nine of ten have arrived: half of it has left, and that is what is in flight.
    assert_eq!((sent, hand.recovery.in_flight()), (5, 5 * MSS));
}

/// RFC 3042: each of the first two duplicates lets a segment of new data leave, and no window grows.
#[test]
fn duplicates_let_new_data_leave() {
    for features in [ALL, PLAIN] {
        let mut hand = Hand::with(&Settings { rack: false, ..settings() }, features, Some(100));
        hand.at(0).send(10);
        assert_eq!(hand.recovery.room(), 0);
        for behind in 2..4 {
            let block = [(1000, behind * 1000)];
            hand.at(100).ack(0, if features.sack { &block } else { &[] });
            assert_eq!((hand.recovery.room(), hand.window()), (MSS, 10 * MSS));
            hand.send(1);
        }
        assert_eq!((hand.recovery.state(), hand.recovery.in_flight()), (State::Open, 10 * MSS));
    }
}

/// RFC 6582 section 3.2: three duplicates, a partial acknowledgment for each further gap, and the end with what had been sent.
#[test]
fn without_sack_partial_acknowledgments_lead() {
    let mut hand = Hand::with(&settings(), PLAIN, Some(100));
    hand.at(0).send(10);
    hand.at(100).ack(0, &[]);
    hand.ack(0, &[]);
    assert_eq!(hand.resend(), []);
    let third = hand.ack(0, &[]);
    assert_eq!((third.lost, third.reduced, hand.resend()), (MSS, true, vec![0]));
    for _ in 0..4 {
        assert_eq!(hand.ack(0, &[]).lost, 0);
    }
    // 3 and 6 are missing, too.
    assert_eq!((hand.at(200).ack(3000, &[]).lost, hand.resend()), (MSS, vec![3000]));
    assert_eq!((hand.at(300).ack(6000, &[]).lost, hand.resend()), (MSS, vec![6000]));
    let full = hand.at(400).ack(10_000, &[]);
    assert_eq!((full.reduced, hand.recovery.state(), hand.window()), (false, State::Open, 5 * MSS));
    assert_eq!((hand.recovery.retransmits(), hand.recovery.in_flight()), (3, 0));
}

/// Section 3.2, step 3: the segment at the left edge leaves at once, though the duplicates before have let as much leave as PRR
/// allows.
#[test]
fn a_partial_acknowledgment_always_sends() {
    let mut hand = Hand::with(&settings(), PLAIN, Some(100));
    hand.at(0).send(10);
    for _ in 0..3 {
        hand.at(100).ack(0, &[]);
    }
    assert_eq!(hand.resend(), [0]);
    hand.at(200).ack(4000, &[]);
    assert_eq!(hand.resend(), [4000]);
}

/// RFC 1191 section 6.5: what was too long for the path goes again at once in shorter segments, and the window is not reduced.
/// RFC 8201 section 5.4.
#[test]
fn a_narrower_path_is_no_congestion() {
    let mut hand = Hand::new();
    hand.at(0).send(3).send_bytes(400);
    hand.recovery.set_mss(600);
    assert_eq!((hand.resend(), hand.recovery.in_flight()), (vec![0, 600, 1200, 1800, 2400], 3400));
    assert!(hand.window() >= 10 * 600 && hand.recovery.controller().threshold() == u32::MAX);
    assert!(!hand.at(100).ack(600, &[]).reduced);
    hand.at(110).ack(3400, &[]);
    assert_eq!((hand.recovery.state(), hand.recovery.controller().threshold()), (State::Open, u32::MAX));
}

/// Section 3.2, step 2: duplicates of what was sent before that (sent again without need) begin no second recovery.
#[test]
fn duplicates_of_what_was_made_good_begin_nothing() {
    let mut hand = Hand::with(&settings(), PLAIN, Some(100));
    hand.at(0).send(10);
    for _ in 0..3 {
        hand.at(100).ack(0, &[]);
    }
    hand.resend();
    hand.at(200).ack(10_000, &[]);
    hand.send(4);
    for _ in 0..4 {
        assert_eq!(hand.at(210).ack(10_000, &[]).lost, 0);
    }
    assert_eq!(hand.recovery.state(), State::Open);
    // Beyond it they do.
    hand.at(300).ack(11_000, &[]);
    for _ in 0..3 {
        hand.at(310).ack(11_000, &[]);
    }
    assert_eq!((hand.recovery.state(), hand.resend()), (State::Recovery, vec![11_000]));
}

/// RFC 5681 section 2: what carries data or changes the window is no duplicate; nor is one for an old number.
#[test]
fn some_repetitions_are_no_duplicates() {
    let mut hand = Hand::with(&settings(), PLAIN, Some(100));
    hand.at(0).send(5);
    hand.at(50).ack(1000, &[]);
    for _ in 0..5 {
        hand.full(1000, &[], Acknowledgment { has_data: true, ..nothing() });
        hand.full(1000, &[], Acknowledgment { window_changed: true, ..nothing() });
        hand.full(0, &[], nothing());
    }
    assert_eq!((hand.recovery.state(), hand.recovery.in_flight()), (State::Open, 4 * MSS));
}

/// RFC 3168 section 6.1.2: ECE reduces the window once in a round trip, and not where a loss has done so.
#[test]
fn echoed_marks_count_once_in_a_window() {
    let ece = || Acknowledgment { ece: true, ..nothing() };
    let mut hand = Hand::new();
    hand.at(0).send(10);
    assert!(hand.at(100).full(1000, &[], ece()).reduced);
    assert_eq!(hand.window(), 5 * MSS);
    assert!(!hand.at(101).full(2000, &[], ece()).reduced);
    assert!(!hand.at(102).full(9000, &[], ece()).reduced);
    hand.at(103).send(2);
    // This may have been sent before CWR came; the next was not.
    assert!(!hand.at(104).full(10_000, &[], ece()).reduced);
    assert!(hand.at(105).full(11_000, &[], ece()).reduced);
    let window = hand.window();
    // What is lost within the same window costs nothing more.
    hand.at(110).send(3);
    let outcome = hand.at(210).full(11_000, &[(12_000, 15_000)], nothing());
    assert_eq!((outcome.reduced, hand.recovery.state(), hand.window()), (false, State::Recovery, window));
    assert!(!hand.at(211).full(11_000, &[(12_000, 15_000)], ece()).reduced);
    // Nor does a mark of the window in which something was lost, though it comes with what makes that good.
    let mut hand = Hand::new();
    hand.at(0).send(10);
    assert!(hand.at(100).full(0, &[(1000, 4000)], ece()).reduced);
    let window = hand.window();
    assert_eq!(hand.resend(), [0]);
    assert!(!hand.at(200).full(10_000, &[], ece()).reduced);
    assert_eq!((hand.recovery.state(), hand.window()), (State::Open, window));
    assert!(hand.at(201).send(2).at(301).full(12_000, &[], ece()).reduced);
    // A peer that was not asked is not believed.
    let mut hand = Hand::with(&settings(), PLAIN, Some(100));
    hand.at(0).send(10);
    assert!(!hand.at(100).full(1000, &[], ece()).reduced);
}
