// SPDX-License-Identifier: MIT OR Apache-2.0
//! Both do the same: every message arrives whole, whichever way it goes, and neither allocates for it.

use super::{ENDS, Margay, Smoltcp, Streams};
use crate::allocations;

const SIZES: [usize; 3] = [1, 64, 1400];

fn all(size: usize) -> [(&'static str, Box<dyn Streams>); 3] {
    [
        ("margay", Box::new(Margay::new(size).expect("they meet"))),
        ("margay, ready", Box::new(Margay::ready(size).expect("they meet"))),
        ("smoltcp", Box::new(Smoltcp::new(size).expect("they meet"))),
    ]
}

#[test]
fn messages_arrive_whole() {
    for size in SIZES {
        for (name, mut streams) in all(size) {
            for _ in 0..100 {
                assert_eq!(streams.message(0), size, "{name}, {size} B");
                assert_eq!(streams.round_trip(), ENDS.len() * size, "{name}, {size} B");
                assert_eq!(streams.burst(8), 8 * size, "{name}, {size} B");
            }
        }
    }
}

#[test]
fn no_message_allocates() {
    for size in SIZES {
        for (name, mut streams) in all(size) {
            let mut turns = |count: usize| {
                let before = allocations();
                for _ in 0..count {
                    streams.message(0);
                    streams.round_trip();
                }
                allocations() - before
            };
            // The first ones make queues as long as they need to be.
            turns(200);
            assert_eq!(turns(1000), 0, "{name}, {size} B");
        }
    }
}
