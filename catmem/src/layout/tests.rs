// SPDX-License-Identifier: MIT OR Apache-2.0
//! No two parts of a segment overlap, whatever the sizes.

use super::*;
use core::ops::Range;

fn directions(sizes: [(u8, u8, u16); 2]) -> [Direction; 2] {
    sizes.map(|(ring, slot, slots)| Direction::new(ring, slot, slots).unwrap())
}

/// Everything that lies in the control page, with its alignment.
fn control() -> Vec<(Range<usize>, usize)> {
    [Side::Creator, Side::Opener]
        .into_iter()
        .flat_map(|side| {
            let (wake, credit, returns) = (Layout::wake(side), Layout::credit(side), Layout::returns(side));
            [(wake..wake + 4, 128), (credit..credit + 8, 128), (returns..returns + 4 * RETURNS, 128)]
        })
        .collect()
}

#[test]
fn parts_of_every_size_are_apart() {
    let some = [(12, 12, 0), (12, 12, 1), (12, 26, 1024), (18, 16, 16), (26, 12, 1024), (26, 26, 1024)];
    for sizes in some.into_iter().flat_map(|a| some.map(|b| [a, b])) {
        let both = directions(sizes);
        let layout = Layout::new(both);
        let mut parts = control();
        for (index, direction) in both.into_iter().enumerate() {
            let (ring, arena) = (layout.ring[index], layout.arena[index]);
            parts.push((ring..ring + direction.ring_size(), 4096));
            parts.push((arena..arena + direction.slot_size() * usize::from(direction.slots()), 4096));
        }
        parts.sort_by_key(|(part, _)| (part.start, part.end));
        for (part, alignment) in &parts {
            assert!(part.start.is_multiple_of(*alignment), "{part:?} of {sizes:?}");
        }
        for pair in parts.windows(2) {
            assert!(pair[0].0.end <= pair[1].0.start, "{pair:?} of {sizes:?}");
        }
        assert_eq!(parts.last().unwrap().0.end, layout.total);
    }
}

#[test]
fn words_that_different_sides_write_share_no_pair_of_cache_lines() {
    let parts = control();
    for (index, (part, _)) in parts.iter().enumerate() {
        for (other, _) in &parts[index + 1..] {
            assert!((part.end - 1) / 128 < other.start / 128 || (other.end - 1) / 128 < part.start / 128);
        }
    }
}

#[test]
fn sides_are_each_others_peers() {
    assert_eq!((Side::Creator.peer(), Side::Opener.peer()), (Side::Opener, Side::Creator));
}
