// SPDX-License-Identifier: MIT OR Apache-2.0
//! Selective acknowledgments: the examples of RFC 2018 section 5 and RFC 2883 section 4.

use super::*;

/// Segments of 500 bytes from 5000 on, as both RFCs have them; the stream begins at 0 here.
fn feed_up_to(to: usize) -> Feed {
    let mut feed = Feed::new();
    for start in (0..to).step_by(500) {
        feed.take(start, 500.min(to - start));
        feed.acknowledge();
    }
    feed
}

/// RFC 2018 section 4.
#[test]
fn the_most_recent_comes_first() {
    // RFC 2018, case 3: of eight segments the second, fourth, sixth and eighth are lost.
    let mut feed = Feed::new();
    feed.take(0, 500);
    feed.take(1000, 500);
    assert_eq!(feed.sack(4), [(1000, 1500)]);
    feed.take(2000, 500);
    assert_eq!(feed.sack(4), [(2000, 2500), (1000, 1500)]);
    feed.take(3000, 500);
    assert_eq!(feed.sack(4), [(3000, 3500), (2000, 2500), (1000, 1500)]);
    // The fourth comes in the end: its neighbours become one with it.
    feed.take(1500, 500);
    assert_eq!(feed.sack(4), [(1000, 2500), (3000, 3500)]);
    feed.take(500, 500);
    assert_eq!((feed.next(), feed.sack(4)), (2500, vec![(3000, 3500)]));
}

#[test]
fn no_more_blocks_than_there_is_room_for_and_older_ones_where_there_is() {
    let mut feed = Feed::new();
    for hole in 1..=6 {
        feed.take(hole * 1000, 100);
    }
    assert_eq!(feed.sack(0), []);
    assert_eq!(feed.sack(3), [(6000, 6100), (5000, 5100), (4000, 4100)]);
    // Three of the last four grow together with others: old ones fill the list.
    feed.take(5100, 900);
    feed.take(4100, 900);
    assert_eq!(feed.sack(4), [(4000, 6100), (3000, 3100), (1000, 1100), (2000, 2100)]);
}

#[test]
fn a_full_duplicate_below_the_acknowledgment_is_told_once() {
    // RFC 2883 section 4.1.1: 3500-4000 comes again.
    let mut feed = feed_up_to(4000);
    assert_eq!(feed.take(3500, 500), Taken::Duplicate);
    assert_eq!(feed.need(), Need::Now);
    assert_eq!(feed.sack(3), [(3500, 4000)]);
    assert_eq!(feed.sack(3), []);
    // Section 4.1.2: while something else is missing.
    feed.take(4500, 500);
    feed.take(3000, 500);
    assert_eq!(feed.sack(3), [(3000, 3500), (4500, 5000)]);
    assert_eq!(feed.sack(3), [(4500, 5000)]);
}

#[test]
fn a_duplicate_above_the_acknowledgment_stands_in_front_of_its_block() {
    // RFC 2883 section 4.1.3: 3000-3500 is missing, 5000-5500 comes twice.
    let mut feed = feed_up_to(3000);
    for start in [3500, 4000, 4500, 5000] {
        feed.take(start, 500);
    }
    assert_eq!(feed.sack(3), [(3500, 5500)]);
    assert_eq!(feed.take(5000, 500), Taken::Duplicate);
    assert_eq!(feed.sack(3), [(5000, 5500), (3500, 5500)]);
}

#[test]
fn of_a_segment_that_came_in_part_only_that_part_is_told() {
    // RFC 2883 section 4.2.1: 500-1000 is missing, 1500-2000 is here, then 1000-2000 comes.
    let mut feed = feed_up_to(500);
    feed.take(1500, 500);
    feed.take(2500, 500);
    feed.sack(3);
    assert_eq!(feed.take(1000, 1000), Taken::OutOfOrder);
    assert_eq!(feed.sack(3), [(1500, 2000), (1000, 2000), (2500, 3000)]);
    // Section 4.2.3: several parts, of which the first is told.
    feed.take(1000, 2500);
    assert_eq!(feed.sack(3), [(1000, 2000), (1000, 3500)]);
    // Below and above the acknowledgment: the old part.
    feed.take(0, 1000);
    assert_eq!((feed.next(), feed.sack(3)), (3500, vec![(0, 500)]));
}

#[test]
fn what_was_not_acceptable_is_told_as_far_as_it_came_before() {
    let mut feed = feed_up_to(1000);
    assert!(!feed.receiver.is_acceptable(FIRST + 500, 500));
    feed.receiver.unacceptable(FIRST + 500, 500);
    assert_eq!((feed.need(), feed.sack(3)), (Need::Now, vec![(500, 1000)]));
    // A keep-alive has no bytes to tell of.
    feed.acknowledge();
    feed.receiver.unacceptable(FIRST + 999, 0);
    assert_eq!((feed.need(), feed.sack(3)), (Need::Now, vec![]));
    // Nor has what lies beyond the window.
    feed.receiver.unacceptable(FIRST + 10_000_000, 100);
    assert_eq!(feed.sack(3), []);
}

#[test]
fn a_peer_that_knows_no_sack_is_told_nothing_later_either() {
    let mut feed = feed_up_to(1000);
    feed.take(500, 500);
    assert_eq!(feed.sack(0), []);
    feed.acknowledge();
    assert_eq!(feed.sack(4), []);
}
