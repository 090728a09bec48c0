// SPDX-License-Identifier: MIT OR Apache-2.0
//! What hostile peers can make a connection hold.

use super::*;
use crate::limits::{TCP_RANGES_MAX, TCP_SPARSE_MEMORY};
use runtime::buf::Pool;

/// Bytes of a block of the small class, its headroom included.
const BLOCK: usize = 2048 + 128;

#[test]
fn an_idle_receiver_is_small_and_holds_nothing() {
    assert!(size_of::<Receiver>() <= 208, "{}", size_of::<Receiver>());
    let mut feed = Feed::new();
    feed.take(2000, 100);
    assert!(feed.receiver.disorder.is_some());
    feed.take(0, 2000);
    feed.pop(None);
    assert!(feed.receiver.disorder.is_none());
    assert_eq!((feed.receiver.memory(), feed.receiver.segments()), (0, 0));
    assert_eq!(feed.pools.slotted()[0].stats().in_use, 0);
}

#[test]
fn short_segments_are_copied_together_once_they_hold_much() {
    let mut feed = Feed::new();
    for at in 0..60_000 {
        assert_eq!(feed.take(at, 1), Taken::InOrder { bytes: 1 });
    }
    let blocks = feed.pools.slotted()[0].stats().in_use as usize;
    assert!(blocks * BLOCK <= 60_000 * 2 + TCP_SPARSE_MEMORY + BLOCK, "{blocks} blocks");
    assert_eq!(feed.receiver.memory(), blocks * BLOCK);
    // All of them are there.
    while feed.pop(None) > 0 {}
    assert_eq!(feed.popped, 60_000);
    // The first few are handed over as they lie.
    let mut feed = Feed::new();
    for at in 0..8 {
        feed.take(at, 1);
    }
    assert_eq!(feed.receiver.segments(), 8);
}

#[test]
fn the_same_holds_for_what_comes_early() {
    let mut feed = Feed::new();
    for at in 1..60_000 {
        assert_eq!(feed.take(at, 1), Taken::OutOfOrder);
    }
    let blocks = feed.pools.slotted()[0].stats().in_use as usize;
    assert!(blocks * BLOCK <= 60_000 * 2 + TCP_SPARSE_MEMORY + BLOCK, "{blocks} blocks");
    assert_eq!(feed.take(0, 1), Taken::InOrder { bytes: 60_000 });
    while feed.pop(None) > 0 {}
    assert_eq!(feed.popped, 60_000);
}

#[test]
fn holes_are_bounded_by_memory_and_by_number() {
    let settings = Settings { receive_buffer: 60_000, ..Settings::default() };
    let mut feed = Feed::with(&settings);
    feed.acknowledge();
    let taken = (1..30_000).filter(|hole| feed.take(hole * 2, 1) == Taken::OutOfOrder).count();
    assert_eq!(taken, feed.receiver.memory_max() / BLOCK);
    assert!(feed.receiver.memory() <= feed.receiver.memory_max());
    // The stream goes on all the same: what is next has the place of what is farthest ahead.
    for at in 0..50_000 {
        if at == feed.next() {
            assert!(matches!(feed.take(at, 1), Taken::InOrder { .. }), "{at}");
        }
        assert!(feed.receiver.memory() <= feed.receiver.memory_max() + BLOCK);
    }
    assert_eq!(feed.next(), 50_000);

    // With blocks that are small enough, the number counts.
    let pool = Pool::heap(8, 10_000, 0, 0).unwrap();
    let mut receiver = receiver(&Settings::default());
    let take = |at: usize, receiver: &mut Receiver| {
        receiver.take(FIRST + at as u32, pool.alloc_copy(&bytes(at, 1)).unwrap().into(), false, false, Time::ZERO)
    };
    let taken = (1..=5000).filter(|hole| take(hole * 2, &mut receiver) == Taken::OutOfOrder).count();
    assert_eq!(taken, TCP_RANGES_MAX);
    // What makes two into one, or one longer, has a place.
    let taken = [4096, 3, 2047, 4096].map(|at| take(at, &mut receiver));
    assert_eq!(taken, [Taken::Refused, Taken::OutOfOrder, Taken::OutOfOrder, Taken::OutOfOrder]);
    assert_eq!(take(4098, &mut receiver), Taken::OutOfOrder);
    assert_eq!(take(4100, &mut receiver), Taken::Refused);
}

#[test]
fn blocks_without_room_are_refused_once_they_hold_too_much() {
    let settings = Settings { receive_buffer: 8192, ..Settings::default() };
    // Only headroom, so that nothing can be copied behind.
    let pool = Pool::heap(1, 1000, 2047, 0).unwrap();
    for early in [0, 1] {
        let mut receiver = receiver(&settings);
        let mut take = |at: usize| {
            receiver.take(FIRST + at as u32, pool.alloc_copy(&bytes(at, 1)).unwrap().into(), false, false, Time::ZERO)
        };
        let taken = (early..1000).filter(|at| take(*at) != Taken::Refused).count();
        assert_eq!(taken, (8192 * 2 + TCP_SPARSE_MEMORY) / 2048);
        assert_eq!(receiver.segments(), taken);
        // What was refused was not lost for good.
        assert_eq!(receiver.next(), FIRST + [taken as u32, 0][early]);
        drop(receiver);
        assert_eq!(pool.available(), 1000);
    }
}

#[test]
fn one_segment_is_taken_however_large_its_block() {
    let settings = Settings { receive_buffer: 2304, ..Settings::default() };
    let pool = Pool::heap(200_000, 4, 0, 0).unwrap();
    let mut receiver = receiver(&settings);
    let take = |at: usize, receiver: &mut Receiver| {
        receiver.take(FIRST + at as u32, pool.alloc_copy(&bytes(at, 1000)).unwrap().into(), false, false, Time::ZERO)
    };
    assert_eq!(take(1000, &mut receiver), Taken::Refused, "early ones can wait");
    assert_eq!(take(0, &mut receiver), Taken::InOrder { bytes: 1000 });
    assert_eq!(take(1000, &mut receiver), Taken::InOrder { bytes: 1000 }, "it fits behind that");
    assert_eq!((receiver.segments(), receiver.readable()), (1, 2000));
}

#[test]
fn a_window_shrinks_with_the_memory_that_is_kept() {
    let mut feed = Feed::with(&Settings { window_scaling: false, receive_buffer: 60_000, ..Settings::default() });
    feed.acknowledge();
    // Full segments: only their bytes count.
    for at in 0..10 {
        feed.take(at * 1460, 1460);
    }
    assert_eq!(feed.receiver.window.offer(feed.receiver.next(), 14_600, feed.receiver.memory()), 60_000 - 14_600);
    // A block for each few bytes: half of the memory counts, and the edge does not move on.
    let next = feed.receiver.next();
    let left = feed.receiver.window.left(next);
    assert_eq!(feed.receiver.window.offer(next, 100, 100_000), left);
    assert_eq!(feed.receiver.window.offer(next, 100, 0), 60_000 - 100);
}
