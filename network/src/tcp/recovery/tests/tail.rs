// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tail loss probe (RFC 8985 section 7).

use super::hand::{ALL, Hand, MSS, ms, nothing, settings};
use crate::tcp::recovery::{Acknowledgment, Expired, Features, State};
use crate::tcp::settings::Settings;

fn probe(hand: &mut Hand) -> u32 {
    let (start, end) = hand.recovery.probe().unwrap();
    hand.recovery.resent(start, end, hand.now());
    end.since(start)
}

/// Section 7.2: two round trips, and what the peer may delay its ACK if one segment is under way; never later than the
/// retransmission timer.
#[test]
fn the_probe_timer_is_two_round_trips() {
    let mut hand = Hand::new();
    hand.at(0).send(2);
    assert_eq!(hand.deadline(), Some(200));
    hand.at(50).send(1);
    assert_eq!(hand.deadline(), Some(250));
    let mut hand = Hand::with(&Settings { rto_min: ms(50), ..settings() }, ALL, Some(100));
    hand.at(0).send(1);
    assert_eq!(hand.deadline(), Some(250));
    // RTO: 300.
    let mut hand = Hand::new();
    hand.at(0).send(1);
    assert_eq!(hand.deadline(), Some(300));
    assert_eq!(hand.at(300).expired(), Expired::Probe);
    // Nothing measured: 1 s, as the retransmission timer.
    let mut hand = Hand::with(&settings(), ALL, None);
    hand.at(0).send(1);
    assert_eq!((hand.deadline(), hand.at(1000).expired()), (Some(1000), Expired::Probe));
}

/// Section 7.1: not without SACK, nor without RACK.
#[test]
fn there_is_no_probe_without_sack() {
    for (settings, features) in
        [(settings(), Features { sack: false, ..ALL }), (Settings { rack: false, ..settings() }, ALL)]
    {
        let mut hand = Hand::with(&settings, features, Some(100));
        hand.at(0).send(2);
        assert_eq!((hand.deadline(), hand.at(300).expired()), (Some(300), Expired::Timeout { count: 1 }));
    }
}

/// Section 7.3: one probe; the retransmission timer follows. Its ACK shows what is missing (the example of section 3.2: the last
/// segments of a burst are lost).
#[test]
fn a_probe_shows_what_is_missing() {
    let mut hand = Hand::new();
    hand.at(0).send(4);
    hand.at(100).ack(1000, &[]);
    let at = hand.deadline().unwrap();
    assert_eq!((at, hand.at(at).expired()), (300, Expired::Probe));
    assert_eq!((probe(&mut hand), hand.recovery.in_flight()), (MSS, 4 * MSS));
    assert_eq!(hand.deadline(), Some(at + hand.recovery.rto().as_millis() as u64));
    // Of 1 to 3, all are lost; the probe repeats the last.
    let outcome = hand.at(400).ack(1000, &[(3000, 4000)]);
    assert_eq!((outcome.lost, outcome.reduced), (2 * MSS, true));
    assert_eq!(hand.resend(), [1000]);
    hand.at(500).ack(2000, &[(3000, 4000)]);
    assert_eq!(hand.resend(), [2000]);
    hand.at(600).ack(4000, &[]);
    assert_eq!((hand.recovery.state(), hand.recovery.timeouts(), hand.recovery.is_idle()), (State::Open, 0, true));
}

/// Section 7.4.2: if the probe has made the only loss good, the window is reduced all the same.
#[test]
fn a_loss_that_the_probe_made_good_counts() {
    let mut hand = Hand::new();
    hand.at(0).send(10);
    hand.at(100).ack(9000, &[]);
    hand.at(hand.deadline().unwrap()).expired();
    let before = hand.window();
    probe(&mut hand);
    // Something new follows, so that the ACK is beyond the probe.
    hand.send(1);
    let outcome = hand.at(500).ack(11_000, &[]);
    assert!(outcome.reduced && hand.window() < before);
    assert_eq!(hand.recovery.state(), State::Open);
}

/// The same section: a D-SACK, or a duplicate without blocks, says that nothing was lost; also where nothing has left behind the probe, as at
/// the end of an answer.
#[test]
fn a_probe_that_came_twice_costs_nothing() {
    for (with_block, at_the_end) in [(true, false), (false, false), (true, true), (false, true)] {
        let mut hand = Hand::new();
        hand.at(0).send(10);
        hand.at(100).ack(9000, &[]);
        hand.at(hand.deadline().unwrap()).expired();
        probe(&mut hand);
        let before = hand.window();
        hand.at(401).ack(10_000, &[]);
        let blocks: &[(u32, u32)] = if with_block { &[(9000, 10_000)] } else { &[] };
        if !at_the_end {
            hand.at(402).send(1);
        }
        hand.at(403).ack(10_000, blocks);
        if at_the_end {
            hand.at(404).send(1);
        }
        assert!(!hand.at(505).ack(11_000, &[]).reduced, "{with_block} {at_the_end}");
        assert!(hand.window() >= before);
    }
}

/// A probe of new data needs no judgment.
#[test]
fn a_probe_of_new_data_is_data() {
    let mut hand = Hand::new();
    hand.at(0).send(2);
    assert_eq!(hand.at(200).expired(), Expired::Probe);
    hand.send(1);
    assert!(!hand.at(300).ack(3000, &[]).reduced);
    // And the next tail has one again.
    hand.at(400).send(2);
    assert_eq!(hand.at(hand.deadline().unwrap()).expired(), Expired::Probe);
}

/// Section 7.2: no probe while something is selectively acknowledged, nor a second before the first is answered.
#[test]
fn there_is_one_probe_at_a_time() {
    let mut hand = Hand::new();
    hand.at(0).send(2);
    hand.at(200).expired();
    probe(&mut hand);
    hand.at(210).send(1);
    let deadline = hand.deadline().unwrap();
    assert_eq!(hand.at(deadline).expired(), Expired::Timeout { count: 1 });
    // A timeout ends it.
    hand.resend();
    let rest = Acknowledgment { unsent: true, ..nothing() };
    hand.at(deadline + 100).full(3000, &[], rest);
    hand.at(deadline + 200).send(2);
    assert_eq!(hand.at(hand.deadline().unwrap()).expired(), Expired::Probe);
}
