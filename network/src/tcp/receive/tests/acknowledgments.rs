// SPDX-License-Identifier: MIT OR Apache-2.0
//! When acknowledgments leave (RFC 9293 section 3.8.6.3, RFC 5681 section 4.2).

use super::*;
use core::time::Duration;

/// Behind its first quick acknowledgments, everything acknowledged.
fn settled() -> (Feed, usize) {
    let mut feed = Feed::new();
    let mut at = 0;
    for _ in 0..crate::limits::TCP_QUICK_ACKS {
        assert_eq!(feed.take(at, MSS as usize), Taken::InOrder { bytes: MSS });
        assert_eq!(feed.need(), Need::Now, "at the start each is acknowledged");
        feed.acknowledge();
        feed.pop(None);
        at += MSS as usize;
    }
    (feed, at)
}

/// RFC 5681 section 4.2.
#[test]
fn one_segment_waits_and_a_second_full_one_does_not() {
    let (mut feed, at) = settled();
    assert_eq!(feed.need(), Need::Nothing);
    feed.take(at, MSS as usize);
    let due = Time::ZERO + Duration::from_millis(40);
    assert_eq!(feed.need(), Need::At(due));
    feed.now = due;
    assert_eq!(feed.need(), Need::Now);
    feed.now = Time::ZERO;
    feed.take(at + MSS as usize, MSS as usize);
    assert_eq!(feed.need(), Need::Now);
    feed.acknowledge();
    assert_eq!(feed.need(), Need::Nothing);
}

#[test]
fn short_segments_wait_from_the_start_and_the_first_sets_the_time() {
    let mut feed = Feed::new();
    feed.take(0, 10);
    let due = Need::At(Time::ZERO + Duration::from_millis(40));
    assert_eq!(feed.need(), due);
    feed.now = Time::ZERO + Duration::from_millis(20);
    feed.take(10, 10);
    assert_eq!(feed.need(), due);
    feed.acknowledge();
    feed.take(20, 10);
    assert_eq!(feed.need(), Need::At(Time::ZERO + Duration::from_millis(60)));
}

#[test]
fn a_peer_whose_segments_are_shorter_has_every_second_acknowledged() {
    let mut feed = Feed::new();
    let mut at = 0;
    for segment in 0..30 {
        feed.take(at, 700);
        at += 700;
        if segment >= usize::from(crate::limits::TCP_QUICK_ACKS) {
            let waits = matches!(feed.need(), Need::At(_));
            assert_eq!(waits, segment % 2 == 0, "{segment}");
        }
        if feed.need() == Need::Now {
            feed.acknowledge();
        }
        feed.pop(None);
    }
}

#[test]
fn several_segments_in_one_are_acknowledged_at_once() {
    let (mut feed, at) = settled();
    feed.take(at, 3 * MSS as usize);
    assert_eq!(feed.need(), Need::Now);
}

#[test]
fn disorder_is_told_at_once_and_the_next_ones_too() {
    let (mut feed, at) = settled();
    let mss = MSS as usize;
    feed.take(at + mss, mss);
    assert_eq!(feed.need(), Need::Now, "a hole");
    feed.acknowledge();
    feed.take(at, mss);
    assert_eq!(feed.need(), Need::Now, "it is filled");
    feed.acknowledge();
    feed.take(at, mss);
    assert_eq!(feed.need(), Need::Now, "a duplicate");
    feed.acknowledge();
    feed.take(at + 2 * mss, mss);
    assert_eq!(feed.need(), Need::Now, "quick again");
}

#[test]
fn where_marks_begin_and_end_is_told_at_once() {
    let (mut feed, mut at) = settled();
    for (marked, at_once) in [(false, false), (true, true), (true, false), (false, true), (false, false)] {
        let payload = feed.pools.alloc_copy(&bytes(at, 100)).unwrap().into();
        feed.receiver.take(FIRST + at as u32, payload, false, marked, feed.now);
        at += 100;
        assert_eq!(feed.need() == Need::Now, at_once);
        feed.acknowledge();
    }
}

#[test]
fn the_delay_is_that_of_the_settings_and_never_half_a_second() {
    for (set, expected) in [(1, 1), (40, 40), (5000, 499)] {
        let settings = Settings { ack_delay: Duration::from_millis(set), ..Settings::default() };
        let mut feed = Feed::with(&settings);
        feed.take(0, 1);
        assert_eq!(feed.need(), Need::At(Time::ZERO + Duration::from_millis(expected)));
    }
}

#[test]
fn asked_for_it_is_sent() {
    let mut feed = Feed::new();
    assert_eq!(feed.need(), Need::Nothing);
    feed.receiver.acknowledge_now();
    assert_eq!(feed.need(), Need::Now);
}
