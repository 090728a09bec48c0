// SPDX-License-Identifier: MIT OR Apache-2.0
//! The window, its silliness, its scale, and how the buffer grows.

use super::*;
use core::time::Duration;

fn settings(buffer: usize, most: usize) -> Settings {
    Settings { receive_buffer: buffer, receive_buffer_max: most, ..Settings::default() }
}

#[test]
fn the_scale_is_that_of_the_largest_buffer() {
    for (most, scale) in
        [(65_535, 0), (65_536, 1), (131_070, 1), (131_072, 2), (6 << 20, 7), (1 << 30, 14), (usize::MAX, 14)]
    {
        assert_eq!(window_scale(&settings(4096, most)), scale, "{most}");
    }
    assert_eq!(window_scale(&Settings { window_scaling: false, ..Settings::default() }), 0);
    assert_eq!(initial_window(&settings(5000, 1)), 5000);
    assert_eq!(initial_window(&Settings::default()), 65_535);
}

#[test]
fn the_table_of_acceptable_segments() {
    let mut feed = Feed::with(&Settings { window_scaling: false, ..settings(1000, 1000) });
    assert_eq!(feed.acknowledge(), 1000);
    let acceptable =
        |feed: &Feed, seq: i32, len| feed.receiver.is_acceptable(Seq(FIRST.0.wrapping_add_signed(seq)), len);
    for (seq, len, expected) in [
        (0, 0, true),
        (-1, 0, false),
        (999, 0, true),
        (1000, 0, true), // A peer that has filled the window.
        (1001, 0, false),
        (0, 1, true),
        (-1, 1, false),
        (-1, 2, true),
        (999, 1, true),
        (999, 5, true),
        (1000, 1, false),
        (-100, 100, false),
        (-100, 101, true),
        (-100, 5000, true),
        (1 << 30, 10, false),
        (-(1 << 30), 10, false),
        (i32::MIN, 1, false),
        (i32::MIN, 0, false),
    ] {
        assert_eq!(acceptable(&feed, seq, len), expected, "{seq} {len}");
    }
    feed.take(0, 1000);
    assert_eq!(feed.acknowledge(), 0);
    for (seq, len, expected) in [(1000, 0, true), (1000, 1, true), (1001, 0, false), (1001, 1, false), (999, 1, false)]
    {
        assert_eq!(acceptable(&feed, seq, len), expected, "{seq} {len}, the window zero");
    }
}

#[test]
fn a_full_buffer_closes_the_window_and_a_probe_is_answered() {
    let mut feed = Feed::with(&Settings { window_scaling: false, ..settings(3000, 3000) });
    assert_eq!(feed.acknowledge(), 3000);
    feed.take(0, 1460);
    assert_eq!(feed.acknowledge(), 1540);
    feed.take(1460, 1460);
    assert_eq!(feed.acknowledge(), 80);
    // Beyond the edge nothing is taken.
    assert_eq!(feed.take(2920, 1460), Taken::InOrder { bytes: 80 });
    assert_eq!((feed.next(), feed.acknowledge()), (3000, 0));
    assert_eq!(feed.take(3000, 1), Taken::Refused);
    assert_eq!((feed.need(), feed.next()), (Need::Now, 3000));
    assert_eq!(feed.acknowledge(), 0);
    // A bare FIN needs no room.
    assert_eq!(feed.take_with(3000, 0, true), Taken::InOrder { bytes: 0 });
}

#[test]
fn it_opens_by_a_segment_or_half_of_the_buffer_and_that_is_told() {
    let mut feed = Feed::with(&Settings { window_scaling: false, ..settings(20_000, 20_000) });
    feed.acknowledge();
    for start in (0..20_000).step_by(1000) {
        feed.take(start, 1000);
    }
    assert_eq!(feed.acknowledge(), 0);
    assert_eq!((feed.pop(Some(1000)), feed.need(), feed.receiver.window()), (1000, Need::Nothing, 0));
    assert_eq!((feed.pop(Some(1000)), feed.need(), feed.receiver.window()), (1000, Need::Nothing, 2000));
    // Of the rest the peer hears when it is two segments more than it knows of, and twice as much.
    assert_eq!((feed.pop(Some(2000)), feed.need()), (2000, Need::Nothing));
    assert_eq!((feed.pop(Some(1000)), feed.need()), (1000, Need::Now));
    assert_eq!(feed.acknowledge(), 5000);

    // A buffer smaller than two segments.
    let mut feed = Feed::with(&Settings { window_scaling: false, ..settings(1000, 1000) });
    feed.take(0, 1000);
    assert_eq!(feed.acknowledge(), 0);
    feed.pop(Some(499));
    assert_eq!((feed.need(), feed.receiver.window()), (Need::Nothing, 0));
    feed.pop(Some(1));
    assert_eq!((feed.need(), feed.acknowledge()), (Need::Now, 500));
}

#[test]
fn a_scaled_window_is_a_multiple_of_its_unit_and_reaches_no_further_than_one_beyond_the_buffer() {
    let mut feed = Feed::with(&settings(100_000, 1 << 30));
    let unit = 1 << 14;
    let (mut at, mut edge) = (0, 65_535);
    // Ten bytes at a time, never popped.
    for _ in 0..20_000 {
        let window = feed.acknowledge() as usize;
        assert_eq!(window % unit, 0);
        assert!(at + window <= 100_000 + unit, "{at} {window}");
        assert!(at + window + unit > edge, "short of the edge by less than a unit");
        edge = edge.max(at + window);
        if let Taken::InOrder { bytes } = feed.take(at, 10) {
            at += bytes as usize;
        }
    }
    assert!((100_000..=100_000 + unit).contains(&at), "{at}");
    assert_eq!(feed.acknowledge(), 0);
}

#[test]
fn a_unit_that_is_larger_than_the_buffer_is_offered_while_there_is_room() {
    let mut feed = Feed::with(&settings(4000, 1 << 30));
    feed.receiver.set_buffer(4000);
    for round in 0..3 {
        // Of what it never reads, the peer can send no more than a unit beyond the buffer.
        while feed.acknowledge() > 0 {
            assert!(matches!(feed.take(feed.next(), 1300), Taken::InOrder { .. }), "{round}");
        }
        assert!((4000..=4000 + 16_384).contains(&feed.receiver.readable()), "{round}");
        while feed.pop(None) > 0 {}
        assert_eq!((feed.need(), feed.acknowledge()), (Need::Now, 16_384), "{round}");
    }
}

/// A sender that fills the window in every round trip, and an application that pops all of it. Says the buffer at the end.
fn stream(feed: &mut Feed, rtt: Option<Duration>, rounds: usize, per_round: usize) -> usize {
    let mut at = feed.next();
    for _ in 0..rounds {
        if let Some(rtt) = rtt {
            feed.rtt = rtt;
        }
        let window = feed.acknowledge() as usize;
        let end = at + window.min(per_round);
        while at < end {
            let len = (end - at).min(MSS as usize);
            feed.take(at, len);
            at += len;
            feed.pop(None);
        }
        feed.now += rtt.unwrap_or(Duration::from_millis(10));
    }
    feed.receiver.buffer()
}

#[test]
fn the_buffer_grows_with_what_is_read_in_a_round_trip() {
    let rtt = Duration::from_millis(10);
    let mut feed = Feed::new();
    assert_eq!(stream(&mut feed, Some(rtt), 40, usize::MAX), 6 << 20);
    // Where the sender has no more, twice that is enough.
    let mut feed = Feed::new();
    let buffer = stream(&mut feed, Some(rtt), 40, 300_000);
    assert!((600_000..1_300_000).contains(&buffer), "{buffer}");
    let mut feed = Feed::new();
    assert_eq!(stream(&mut feed, Some(rtt), 40, 30_000), 131_072);
    // Without a round trip that was measured, a window's time does.
    let mut feed = Feed::new();
    assert_eq!(stream(&mut feed, None, 40, usize::MAX), 6 << 20);
}

#[test]
fn what_is_not_read_does_not_let_it_grow_nor_does_one_that_was_set() {
    let rtt = Duration::from_millis(10);
    let mut feed = Feed::new();
    feed.rtt = rtt;
    for round in 0..10 {
        feed.acknowledge();
        feed.take(round * 10_000, 10_000);
        feed.now += rtt;
    }
    assert_eq!(feed.receiver.buffer(), 131_072);
    let mut feed = Feed::new();
    feed.receiver.set_buffer(200_000);
    assert_eq!(stream(&mut feed, Some(rtt), 40, usize::MAX), 200_000);
    feed.receiver.set_buffer(1);
    assert_eq!(feed.receiver.buffer(), 2304);
}

#[test]
fn the_edge_stays_where_it_was_when_the_buffer_is_made_smaller() {
    let mut feed = Feed::new();
    let before = feed.acknowledge();
    feed.receiver.set_buffer(4096);
    assert_eq!(feed.acknowledge(), before);
    assert_eq!(feed.take(before as usize - 10, 10), Taken::OutOfOrder);
}
