// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bounds of memory and of work.

use super::hand::{ALL, Hand, MSS, nothing, settings};
use crate::limits::{TCP_RECORDS_KEPT, TCP_RECORDS_MAX};
use crate::tcp::recovery::{Acknowledgment, Expired, Features, Recovery, State};
use crate::tcp::seq::Seq;
use crate::tcp::settings::Settings;
use crate::wire::tcp::SackBlock;

/// An idle connection holds little: what a burst needed is given back after a while.
#[test]
fn an_idle_connection_gives_memory_back() {
    assert!(size_of::<Recovery>() <= 496, "{}", size_of::<Recovery>());
    let mut hand = Hand::new();
    assert!(!hand.recovery.board.is_large());
    hand.at(0).send(200);
    hand.at(100).ack(200_000, &[]);
    assert_eq!((hand.recovery.is_idle(), hand.deadline()), (true, Some(1100)));
    assert_eq!(hand.at(1100).expired(), Expired::Nothing);
    assert_eq!((hand.deadline(), hand.recovery.board.is_large()), (None, false));
    // A request at a time costs no more than that, and no timer.
    for round in 0..10 {
        hand.at(2000 + round * 200).send(TCP_RECORDS_KEPT as u32);
        let (ack, now) = (hand.recovery.next(), hand.at(2100 + round * 200).now());
        hand.recovery.acknowledged(&Acknowledgment { ack, ..nothing() }, now);
        assert_eq!(hand.deadline(), None);
    }
}

/// A connection that has lost nothing for 2 GiB may be probed for longer segments, as any that has lost nothing.
#[test]
fn what_was_recovered_long_ago_is_no_bound() {
    let mut hand = Hand::new();
    hand.at(0).send(4);
    assert!(hand.recovery.may_probe());
    for ago in [1_u32, 1000, 1 << 31, (1 << 31) + 5000, 3 << 30] {
        hand.recovery.recover = Seq(hand.recovery.una().0.wrapping_sub(ago));
        assert!(hand.recovery.may_probe(), "{ago}");
    }
    hand.recovery.recover = hand.recovery.next();
    assert!(!hand.recovery.may_probe());
}

/// As many records as are allowed: then nothing more is let out, however short the segments are and large the window is.
#[test]
fn there_are_so_many_records_at_most() {
    let mut hand = Hand::with(&settings(), ALL, Some(100));
    for _ in 0..TCP_RECORDS_MAX {
        hand.at(0).send_bytes(1);
    }
    assert_eq!(hand.recovery.room(), 0);
    hand.at(100).ack(1, &[]);
    assert_eq!(hand.recovery.board.records().count(), TCP_RECORDS_MAX - 1);
}

/// A peer that acknowledges each second segment of large records cuts them into no more pieces than segments; one that does so
/// beyond the bound cuts no more.
#[test]
fn pieces_are_segments_at_most() {
    let mut hand = Hand::new();
    for _ in 0..4 {
        hand.at(0).send_bytes(16 * MSS);
    }
    for segment in (1..64).step_by(2) {
        hand.at(100).ack(0, &[(segment * MSS, segment * MSS + MSS)]);
        hand.at(100).ack(0, &[(segment * MSS + 1, segment * MSS + MSS + 1)]);
    }
    assert_eq!((hand.recovery.board.records().count(), hand.recovery.sacked()), (64, 32 * MSS));
    let mut hand = Hand::new();
    for _ in 0..TCP_RECORDS_MAX {
        hand.at(0).send_bytes(4 * MSS);
    }
    for record in 0..TCP_RECORDS_MAX as u32 {
        let start = record * 4 * MSS + MSS;
        let blocks = [start, start + 2 * MSS]
            .map(|at| SackBlock { start: (hand.recovery.una() + at).0, end: (hand.recovery.una() + at + MSS).0 });
        let ack = hand.recovery.una();
        hand.recovery.acknowledged(&Acknowledgment { ack, sack: &blocks, ..nothing() }, hand.now());
    }
    assert!(hand.recovery.board.records().count() <= 2 * TCP_RECORDS_MAX);
    hand.recovery.board.check(hand.recovery.una(), hand.recovery.next());
}

/// Numbers go round: what was remembered of a loss or a mark more than half of the circle ago stands in nobody's way.
#[test]
fn nothing_of_long_ago_counts() {
    let features = [ALL, Features { sack: false, timestamps: false, ecn: true }];
    for features in features {
        let mut hand = Hand::with(&Settings { rack: false, ..settings() }, features, Some(100));
        let lose = |hand: &mut Hand| {
            let una = hand.recovery.una();
            hand.send(5);
            let block = [SackBlock { start: (una + MSS).0, end: (una + 4 * MSS).0 }];
            let sack: &[SackBlock] = if features.sack { &block } else { &[] };
            for _ in 0..3 {
                hand.recovery.acknowledged(&Acknowledgment { ack: una, sack, ..nothing() }, hand.now());
            }
            assert_eq!((hand.recovery.state(), hand.resend().len()), (State::Recovery, 1));
            let ack = hand.recovery.next();
            hand.recovery.acknowledged(&Acknowledgment { ack, ..nothing() }, hand.now());
        };
        let mark = |hand: &mut Hand| {
            hand.send(1);
            let ack = hand.recovery.next();
            let outcome = hand.recovery.acknowledged(&Acknowledgment { ack, ece: true, ..nothing() }, hand.now());
            assert!(outcome.reduced);
        };
        lose(&mut hand);
        hand.at(100).send(1);
        let ack = hand.recovery.next();
        hand.recovery.acknowledged(&Acknowledgment { ack, ..nothing() }, hand.now());
        mark(&mut hand);
        for round in 0..6000 {
            hand.at(200 + round).send_bytes(1 << 19);
            let ack = hand.recovery.next();
            hand.recovery.acknowledged(&Acknowledgment { ack, ..nothing() }, hand.now());
        }
        lose(&mut hand);
        hand.at(7000).send(1);
        let ack = hand.recovery.next();
        hand.recovery.acknowledged(&Acknowledgment { ack, ..nothing() }, hand.now());
        mark(&mut hand);
    }
}
