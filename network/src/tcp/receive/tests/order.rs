// SPDX-License-Identifier: MIT OR Apache-2.0
//! Order, holes, overlaps and the FIN.

use super::*;

#[test]
fn what_comes_in_order_is_popped_as_it_lies() {
    let mut feed = Feed::new();
    assert_eq!(feed.take(0, 100), Taken::InOrder { bytes: 100 });
    assert_eq!(feed.take(100, 1), Taken::InOrder { bytes: 1 });
    assert_eq!((feed.receiver.readable(), feed.next(), feed.receiver.segments()), (101, 101, 2));
    let popped = feed.receiver.pop(None, || Duration::ZERO, feed.now).unwrap().unwrap();
    assert_eq!((popped.segments(), popped.to_vec()), (2, bytes(0, 101)));
    assert!(feed.receiver.pop(None, || Duration::ZERO, feed.now).unwrap().is_none());
    assert_eq!((feed.receiver.readable(), feed.receiver.memory()), (0, 0));
}

#[test]
fn a_pop_takes_what_it_asks_for_and_splits_a_buffer_for_it() {
    let mut feed = Feed::new();
    for start in [0, 100, 200] {
        feed.take(start, 100);
    }
    assert_eq!([30, 70, 150, 500].map(|most| feed.pop(Some(most))), [30, 70, 150, 50]);
    assert_eq!(feed.pop(Some(1)), 0);
}

#[test]
fn a_pop_holds_no_more_buffers_than_a_message_may() {
    let mut feed = Feed::new();
    for start in 0..100 {
        feed.take(start * 1000, 1000);
        feed.acknowledge();
    }
    assert_eq!([feed.pop(None), feed.pop(None), feed.pop(None)], [64_000, 36_000, 0]);
}

#[test]
fn without_second_views_a_short_pop_fails_and_nothing_is_lost() {
    let pool = runtime::buf::Pool::heap(2048, 4, 0, 0).unwrap();
    let mut receiver = receiver(&Settings::default());
    receiver.take(FIRST, pool.alloc_copy(&bytes(0, 100)).unwrap().into(), false, false, Time::ZERO);
    assert_eq!(receiver.pop(Some(10), || Duration::ZERO, Time::ZERO).unwrap_err().errno(), runtime::Errno::NOBUFS);
    assert_eq!(receiver.pop(Some(100), || Duration::ZERO, Time::ZERO).unwrap().unwrap().to_vec(), bytes(0, 100));
}

#[test]
fn holes_are_filled_from_either_side() {
    let mut feed = Feed::new();
    assert_eq!(feed.take(200, 100), Taken::OutOfOrder);
    assert_eq!(feed.take(400, 100), Taken::OutOfOrder);
    assert_eq!(feed.take(300, 100), Taken::OutOfOrder);
    assert_eq!(feed.take(100, 100), Taken::OutOfOrder);
    assert_eq!(feed.sack(4), [(100, 500)]);
    assert_eq!((feed.next(), feed.receiver.readable()), (0, 0));
    assert_eq!(feed.take(0, 100), Taken::InOrder { bytes: 500 });
    assert_eq!((feed.next(), feed.pop(None)), (500, 500));
    assert_eq!(feed.sack(4), []);
}

#[test]
fn overlaps_on_every_side_count_once() {
    // Held: 100..200 and 300..400. Each piece is then put in, and the rest behind it.
    for (start, end, runs) in [
        (50, 100, vec![(50, 200), (300, 400)]),
        (50, 150, vec![(50, 200), (300, 400)]),
        (50, 200, vec![(50, 200), (300, 400)]),
        (50, 250, vec![(50, 250), (300, 400)]),
        (50, 300, vec![(50, 400)]),
        (50, 350, vec![(50, 400)]),
        (50, 450, vec![(50, 450)]),
        (100, 200, vec![(100, 200), (300, 400)]),
        (100, 250, vec![(100, 250), (300, 400)]),
        (120, 180, vec![(100, 200), (300, 400)]),
        (150, 350, vec![(100, 400)]),
        (200, 300, vec![(100, 400)]),
        (201, 299, vec![(100, 200), (201, 299), (300, 400)]),
        (150, 450, vec![(100, 450)]),
        (400, 401, vec![(100, 200), (300, 401)]),
    ] {
        let mut feed = Feed::new();
        feed.take(100, 100);
        feed.take(300, 100);
        feed.sack(4);
        let held: usize = runs.iter().map(|(start, end)| end - start).sum();
        let expected = if held == 200 { Taken::Duplicate } else { Taken::OutOfOrder };
        assert_eq!(feed.take(start, end - start), expected, "{start}..{end}");
        let disorder = feed.receiver.disorder.as_ref().unwrap();
        let ranges = disorder.assembler.iter().map(|range| (range.start.since(FIRST), range.end.since(FIRST)));
        let runs: Vec<_> = runs.iter().map(|(start, end)| (*start as u32, *end as u32)).collect();
        assert_eq!(ranges.collect::<Vec<_>>(), runs, "{start}..{end}");
        for hole in [0, 200, 400] {
            feed.take(hole, 100);
        }
        assert_eq!((feed.next(), feed.pop(None)), (500, 500), "{start}..{end}");
        assert_eq!(feed.receiver.memory(), 0);
    }
}

#[test]
fn the_next_segment_may_reach_into_what_is_held_and_beyond() {
    for end in [150, 200, 250, 300, 350, 450] {
        let mut feed = Feed::new();
        feed.take(100, 100);
        feed.take(300, 100);
        let reached =
            [end, 200, 400][usize::from((100..=200).contains(&end)) + 2 * usize::from((300..=400).contains(&end))];
        assert_eq!(feed.take(0, end), Taken::InOrder { bytes: reached as u32 }, "{end}");
        assert_eq!((feed.next(), feed.pop(None)), (reached, reached), "{end}");
    }
}

#[test]
fn what_is_old_is_cut_off() {
    let mut feed = Feed::new();
    feed.take(0, 100);
    assert_eq!(feed.take(0, 100), Taken::Duplicate);
    assert_eq!(feed.take(50, 100), Taken::InOrder { bytes: 50 });
    assert_eq!(feed.take(10, 20), Taken::Duplicate);
    assert_eq!((feed.next(), feed.pop(None)), (150, 150));
}

#[test]
fn the_end_comes_with_bytes_alone_early_and_twice() {
    let mut feed = Feed::new();
    assert_eq!(feed.take_with(100, 50, true), Taken::OutOfOrder);
    assert!(!feed.receiver.has_end());
    // The FIN is acknowledged selectively with the bytes in front of it.
    assert_eq!(feed.sack(3), [(100, 151)]);
    assert_eq!(feed.take(0, 100), Taken::InOrder { bytes: 150 });
    assert!(feed.receiver.has_end());
    assert_eq!((feed.next(), feed.pop(None), feed.need()), (151, 150, Need::Now));
    assert_eq!(feed.take_with(150, 0, true), Taken::Duplicate);
    assert_eq!(feed.take_with(100, 50, true), Taken::Duplicate);
    assert_eq!(feed.sack(3), [(100, 151)]);
    assert_eq!(feed.take(151, 10), Taken::Refused);

    let mut feed = Feed::new();
    assert_eq!(feed.take_with(0, 0, true), Taken::InOrder { bytes: 0 });
    assert!(feed.receiver.has_end());
    assert_eq!(feed.next(), 1);

    let mut feed = Feed::new();
    assert_eq!(feed.take_with(10, 0, true), Taken::OutOfOrder);
    assert_eq!(feed.take(0, 10), Taken::InOrder { bytes: 10 });
    assert_eq!((feed.next(), feed.receiver.has_end()), (11, true));
}

#[test]
fn nothing_comes_behind_the_end() {
    let mut feed = Feed::new();
    feed.take(200, 100);
    feed.take(50, 20);
    // What was held from behind it goes, what comes from there is cut off, and another end is none.
    assert_eq!(feed.take_with(100, 50, true), Taken::OutOfOrder);
    assert_eq!(feed.take(140, 100), Taken::Duplicate);
    assert_eq!(feed.take(150, 100), Taken::Refused);
    assert_eq!(feed.take_with(70, 10, true), Taken::OutOfOrder);
    assert_eq!(feed.take(0, 200), Taken::InOrder { bytes: 150 });
    assert!(feed.receiver.has_end());
    assert_eq!((feed.next(), feed.pop(None), feed.receiver.memory()), (151, 150, 0));

    let mut feed = Feed::new();
    feed.take(0, 100);
    assert_eq!(feed.take_with(0, 50, true), Taken::Duplicate, "an end in front of what has come");
    assert!(!feed.receiver.has_end());
}

#[test]
fn a_block_of_several_buffers_is_taken_whole() {
    let mut feed = Feed::new();
    let mut payload = Sga::new();
    for start in [0, 10, 20] {
        payload.push_back(feed.pools.alloc_copy(&bytes(start, 10)).unwrap()).unwrap();
    }
    let early = payload.view().unwrap();
    assert_eq!(feed.receiver.take(FIRST, payload, false, false, feed.now), Taken::InOrder { bytes: 30 });
    assert_eq!(feed.receiver.take(FIRST, early, false, false, feed.now), Taken::Duplicate);
    assert_eq!(feed.pop(None), 30);
}
