// SPDX-License-Identifier: MIT OR Apache-2.0
//! What was not lost after all: F-RTO (RFC 5682), Eifel (RFC 3522), D-SACK (RFC 3708).

use super::hand::{ALL, Hand, MSS, nothing, settings};
use crate::tcp::recovery::{Acknowledgment, Expired, Features, Outcome, State};
use crate::tcp::settings::Settings;

const PLAIN: Features = Features { sack: false, timestamps: false, ecn: false };

fn unsent() -> Acknowledgment<'static> {
    Acknowledgment { unsent: true, ..nothing() }
}

/// Eight segments, a timeout, and the first again.
fn timed_out(features: Features) -> Hand {
    let mut hand = Hand::with(&Settings { rack: false, ..settings() }, features, Some(100));
    hand.at(0).send(8);
    assert_eq!(hand.at(300).expired(), Expired::Timeout { count: 1 });
    assert_eq!(hand.resend(), [0]);
    hand
}

/// RFC 5682 section 2.1: the first ACK moves the left edge, new data leave (2b), the second moves it over what was sent once
/// (3b): nothing was lost.
#[test]
fn late_acks_after_a_timeout_undo_it() {
    let mut hand = timed_out(PLAIN);
    let first = hand.at(310).full(1000, &[], unsent());
    assert_eq!((first.undone, hand.resend(), hand.recovery.room()), (false, vec![], 2 * MSS));
    hand.send(2);
    assert_eq!(hand.recovery.room(), 0);
    let second = hand.at(311).full(2000, &[], unsent());
    assert!(second.undone);
    assert_eq!((hand.recovery.state(), hand.window(), hand.recovery.missing()), (State::Open, 10 * MSS, 0));
    assert_eq!((hand.resend(), hand.recovery.retransmits()), (vec![], 1));
    hand.at(320).ack(10_000, &[]);
    assert!(hand.recovery.is_idle());
}

/// Step 3a: the second is a duplicate: it was a loss. All goes again, in slow start.
#[test]
fn a_duplicate_after_the_new_data_proves_the_loss() {
    let mut hand = timed_out(PLAIN);
    hand.at(400).full(1000, &[], unsent());
    hand.send(2);
    assert_eq!(hand.at(500).full(1000, &[], unsent()), Outcome::default());
    assert_eq!(hand.recovery.state(), State::Loss);
    assert_eq!(hand.resend(), []);
    hand.at(501).full(1000, &[], unsent());
    assert_eq!(hand.recovery.in_flight(), 2 * MSS);
}

/// Step 2a: the first is a duplicate, or there is nothing new to send: it is taken for a loss.
#[test]
fn without_new_data_there_is_no_test() {
    let mut hand = timed_out(PLAIN);
    hand.at(400).full(1000, &[], nothing());
    assert_eq!(hand.resend(), [1000, 2000]);
    let mut hand = timed_out(PLAIN);
    hand.at(400).full(0, &[], unsent());
    hand.at(410).full(1000, &[], unsent());
    assert_eq!(hand.resend(), [1000, 2000]);
    // There was, but nothing left.
    let mut hand = timed_out(PLAIN);
    hand.at(400).full(1000, &[], unsent());
    assert_eq!(hand.resend(), []);
    hand.recovery.limited();
    assert_eq!(hand.resend(), [1000, 2000]);
}

/// Section 3.1: with SACK, an ACK that acknowledges what was sent once, and was not selectively acknowledged, is proof enough.
/// RFC 5682 section 3.1.
#[test]
fn with_sack_one_ack_can_be_enough() {
    let mut hand = timed_out(ALL);
    assert!(hand.at(310).full(3000, &[], unsent()).undone);
    assert_eq!((hand.recovery.state(), hand.window()), (State::Open, 10 * MSS));
    // But a block is not, while the left edge stands: the first segment may well be lost.
    let mut hand = timed_out(ALL);
    assert!(!hand.at(310).full(0, &[(1000, 2000)], unsent()).undone);
    assert_eq!(hand.recovery.state(), State::Loss);
}

/// Without SACK, what is acknowledged beyond the retransmission may have lain at the peer all the time.
#[test]
fn a_filled_gap_proves_nothing_without_sack() {
    let mut hand = timed_out(PLAIN);
    assert!(!hand.at(400).full(5000, &[], unsent()).undone);
    assert_eq!((hand.recovery.state(), hand.recovery.room()), (State::Loss, 2 * MSS));
}

/// RFC 3522: the timestamp that is echoed says that what was sent first has arrived.
#[test]
fn an_older_echo_undoes_a_timeout() {
    let mut hand = timed_out(ALL);
    let late = Some(hand.at(299).now());
    assert!(hand.at(320).full(1000, &[], Acknowledgment { echo: late, ..nothing() }).undone);
    assert_eq!((hand.window(), hand.resend()), (10 * MSS, vec![]));
    // The same moment is no proof.
    let mut hand = timed_out(ALL);
    let same = Some(hand.at(300).now());
    assert!(!hand.at(320).full(1000, &[], Acknowledgment { echo: same, ..nothing() }).undone);
}

/// The same in fast recovery: the segment was only out of order.
#[test]
fn an_older_echo_undoes_a_recovery() {
    let mut hand = Hand::new();
    hand.at(0).send(6);
    hand.at(100).ack(0, &[(1000, 4000)]);
    assert_eq!((hand.resend(), hand.window()), (vec![0], 3 * MSS));
    let echo = Some(hand.at(1).now());
    assert!(hand.at(110).full(4000, &[], Acknowledgment { echo, ..nothing() }).undone);
    assert_eq!((hand.recovery.state(), hand.window()), (State::Open, 10 * MSS));
}

/// RFC 3708: each segment that was sent again came twice. Also when recovery is over, for a round trip.
#[test]
fn duplicates_of_all_retransmissions_undo() {
    for late in [0, 1, 2] {
        let mut hand = Hand::with(&Settings { rack: false, ..settings() }, ALL, Some(100));
        hand.at(0).send(10);
        hand.at(100).ack(0, &[(2000, 6000)]);
        assert_eq!(hand.resend(), [0, 1000][..1]);
        hand.ack(0, &[(2000, 8000)]);
        hand.resend();
        assert_eq!(hand.recovery.retransmits(), 2);
        hand.at(150).ack(8000, &[]);
        assert!(!hand.at(200).ack(8000, &[(0, 1000)]).undone);
        if late != 0 {
            hand.at(210).ack(10_000, &[]);
            assert_eq!(hand.recovery.state(), State::Open);
        }
        if late == 2 {
            // More than a round trip later it no longer counts.
            hand.at(220).send(2);
            hand.at(320).ack(12_000, &[]);
            assert!(!hand.at(330).ack(12_000, &[(1000, 2000)]).undone);
            continue;
        }
        let ack = if late == 0 { 8000 } else { 10_000 };
        let undone = hand.at(211).ack(ack, &[(1000, 2000)]).undone;
        assert!(undone, "{late}");
        assert!(hand.window() >= 10 * MSS);
    }
}

/// What came twice before, or something else, is no proof.
#[test]
fn other_duplicates_do_not_undo() {
    let mut hand = Hand::new();
    hand.at(0).send(10);
    hand.at(50).ack(2000, &[]);
    hand.at(100).ack(2000, &[(3000, 6000)]);
    assert_eq!(hand.resend(), [2000]);
    assert!(!hand.at(110).ack(2000, &[(0, 1000), (3000, 6000)]).undone);
    assert_eq!(hand.recovery.state(), State::Recovery);
}
