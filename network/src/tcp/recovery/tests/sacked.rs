// SPDX-License-Identifier: MIT OR Apache-2.0
//! The scoreboard and its blocks (RFC 2018, 2883, 6675), without RACK.

use super::hand::{ALL, Hand, MSS, settings};
use crate::tcp::recovery::board::Marks;
use crate::tcp::recovery::{Expired, State, sack};
use crate::tcp::seq::Seq;
use crate::tcp::settings::Settings;
use crate::wire::tcp::SackBlock;

fn without_rack() -> Hand {
    Hand::with(&Settings { rack: false, ..settings() }, ALL, Some(100))
}

/// RFC 2883 section 4: its examples, as ACK, blocks, what came twice and what is new; then what cannot be.
/// RFC 6675 section 3.
#[test]
fn blocks_are_read_as_the_examples_have_them() {
    type Ranges = &'static [(u32, u32)];
    type Case = (u32, Ranges, Option<(u32, u32)>, Ranges);
    let table: [Case; 14] = [
        // 4.1.1 to 4.1.3: a whole segment twice, below the ACK.
        (4000, &[(3000, 3500)], Some((3000, 3500)), &[]),
        (4000, &[(3000, 3500), (4500, 5000)], Some((3000, 3500)), &[(4500, 5000)]),
        (4000, &[(5000, 5500), (4500, 5500)], Some((5000, 5500)), &[(4500, 5500)]),
        // 4.2.1 to 4.2.3: a part of one.
        (1500, &[(1000, 1500)], Some((1000, 1500)), &[]),
        (1000, &[(2000, 2500), (2000, 3000), (4000, 4500)], Some((2000, 2500)), &[(2000, 3000), (4000, 4500)]),
        (1500, &[(500, 1000), (2000, 3000)], Some((500, 1000)), &[(2000, 3000)]),
        // RFC 2018 section 3: the newest comes first; here the lowest.
        (1000, &[(6000, 7000), (2000, 3000), (4000, 5000)], None, &[(2000, 3000), (4000, 5000), (6000, 7000)]),
        // Inverted, empty, at the left edge, over it, behind what was sent.
        (1000, &[(3000, 2000)], None, &[]),
        (1000, &[(2000, 2000)], None, &[]),
        (1000, &[(1000, 2000)], None, &[]),
        (1000, &[(500, 2000)], None, &[]),
        (1000, &[(9000, 10_001)], None, &[]),
        (1000, &[(2_147_490_000, 2_147_491_000)], None, &[]),
        // A block below the ACK that does not come first was overtaken.
        (4000, &[(5000, 6000), (3000, 3500)], None, &[(5000, 6000)]),
    ];
    for (ack, blocks, twice, ranges) in table {
        let blocks: Vec<SackBlock> = blocks.iter().map(|&(start, end)| SackBlock { start, end }).collect();
        let read = sack::read(&blocks, Seq(ack), Seq(ack), Seq(10_000));
        assert_eq!(read.twice.map(|(start, end)| (start.0, end.0)), twice, "{blocks:?}");
        let read: Vec<_> = read.ranges.iter().map(|(start, end)| (start.0, end.0)).collect();
        assert_eq!(read, ranges, "{blocks:?}");
    }
}

/// RFC 6675 section 5: with the third duplicate, or with more than two segments behind a gap, the first is lost. Section 4: pipe.
/// RFC 6675 section 2.
#[test]
fn three_segments_behind_a_gap_show_a_loss() {
    let mut hand = without_rack();
    hand.at(0).send(10);
    hand.at(100).ack(0, &[(1000, 2000)]);
    assert_eq!((hand.resend(), hand.recovery.in_flight()), (vec![], 9 * MSS));
    hand.ack(0, &[(1000, 3000)]);
    assert_eq!((hand.resend(), hand.recovery.state()), (vec![], State::Open));
    let outcome = hand.ack(0, &[(1000, 4000)]);
    assert_eq!((outcome.lost, outcome.reduced, outcome.delivered), (MSS, true, MSS));
    assert_eq!((hand.recovery.state(), hand.window(), hand.recovery.in_flight()), (State::Recovery, 5 * MSS, 6 * MSS));
    assert_eq!(hand.resend(), [0]);
    assert_eq!(hand.recovery.in_flight(), 7 * MSS);
    hand.at(200).ack(10_000, &[]);
    assert_eq!((hand.recovery.state(), hand.window(), hand.recovery.in_flight()), (State::Open, 5 * MSS, 0));
}

/// One ACK that tells of all at once, as after lost ACKs, is as good as three.
#[test]
fn one_block_of_three_segments_is_enough() {
    let mut hand = without_rack();
    hand.at(0).send(10);
    hand.at(100).ack(0, &[(1000, 4000)]);
    assert_eq!(hand.resend(), [0]);
}

/// Section 4, `IsLost()`: each gap that has three segments behind it, the lowest first; the window is reduced once.
#[test]
fn several_gaps_are_filled_lowest_first() {
    let mut hand = without_rack();
    hand.at(0).send(10);
    let outcome = hand.at(100).ack(0, &[(7000, 10_000), (4000, 6000), (1000, 2000)]);
    assert_eq!((outcome.lost, hand.recovery.in_flight()), (4 * MSS, 0));
    let mut sent = hand.resend();
    let mut at = 200;
    while sent.last() != Some(&6000) {
        let ack = [1000, 2000, 3000, 4000, 6000].into_iter().rfind(|&ack| sent.iter().any(|&sent| sent < ack)).unwrap();
        let ack = if sent.last() == Some(&0) { 2000 } else { ack };
        assert!(!hand.at(at).ack(ack, &[(7000, 10_000), (4000, 6000)]).reduced);
        sent.extend(hand.resend());
        at += 1;
    }
    assert_eq!((sent, hand.window()), (vec![0, 2000, 3000, 6000], 5 * MSS));
}

/// Section 3: a record counts when all of it has arrived; one that stands for several segments is cut between them.
#[test]
fn blocks_count_in_whole_segments() {
    let mut hand = without_rack();
    hand.at(0).send_bytes(5 * MSS).send(2);
    assert_eq!(hand.at(100).ack(0, &[(1500, 4500)]).delivered, 2 * MSS);
    assert_eq!((hand.recovery.sacked(), hand.recovery.in_flight()), (2 * MSS, 5 * MSS));
    // The same, and then the rest of it.
    assert_eq!(hand.ack(0, &[(1500, 4500)]).delivered, 0);
    assert_eq!(hand.ack(0, &[(1000, 6000)]).delivered, 3 * MSS);
    // A part of what is one segment does not count.
    assert_eq!(hand.ack(0, &[(6100, 7000)]).delivered, 0);
    assert_eq!(hand.ack(0, &[(6000, 6999)]).delivered, 0);
    assert_eq!(hand.ack(500, &[(1000, 6000)]).acked, 500);
    // The rest of the first is lost.
    assert_eq!((hand.recovery.missing(), hand.recovery.in_flight()), (500, MSS));
}

/// RFC 2018 section 8: the left edge stands where something was selectively acknowledged, so the peer has thrown it away.
/// The timer runs out soon, and all is sent again.
#[test]
fn what_the_peer_takes_back_is_sent_again() {
    for rack in [false, true] {
        let mut hand = Hand::with(&Settings { rack, ..settings() }, ALL, Some(100));
        hand.at(0).send(4);
        hand.at(100).ack(0, &[(1000, 4000)]);
        hand.resend();
        hand.at(200).ack(1000, &[]);
        let deadline = hand.deadline().unwrap();
        assert!(deadline <= 200 + 60, "{deadline}");
        assert_eq!(hand.at(deadline).expired(), Expired::Timeout { count: 1 });
        assert_eq!((hand.recovery.sacked(), hand.resend()), (0, vec![1000]));
        hand.at(400).ack(2000, &[]);
        assert_eq!(hand.resend(), [2000, 3000]);
        hand.at(500).ack(4000, &[]);
        assert!(hand.recovery.is_idle());
    }
}

/// Blocks of a peer that lies: nothing outside of what was sent counts, nothing overflows, and no record of one segment is cut.
#[test]
fn hostile_blocks_change_nothing() {
    let mut hand = without_rack();
    hand.at(0).send(4);
    for blocks in [
        &[(0, 4000)][..],
        &[(1000, 5000)],
        &[(3000, 1000)],
        &[(u32::MAX, 1000)],
        &[(2_147_483_648, 2_147_483_647)],
        &[(4000, 4000), (4000, 5000), (1, 999), (3001, 3999)],
    ] {
        hand.at(100).ack(0, blocks);
        assert_eq!((hand.recovery.sacked(), hand.recovery.in_flight()), (0, 4 * MSS), "{blocks:?}");
    }
    assert_eq!(hand.recovery.board.records().count(), 4);
    // All but the first at once, and again in other pieces.
    hand.ack(0, &[(1000, 2000), (3000, 4000)]);
    hand.ack(0, &[(1000, 3500), (1500, 4000), (1000, 4000), (2000, 3000)]);
    assert_eq!((hand.recovery.sacked(), hand.recovery.board.records().count()), (3 * MSS, 4));
    assert!(hand.recovery.board.records().skip(1).all(|record| record.marks.has(Marks::SACKED)));
}
