// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is to happen, by time; of one moment, in the order in which it was said.

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::{Ordering, Reverse};

use runtime::time::Time;

/// Something that happens to a node.
#[derive(Debug)]
pub(super) enum Event {
    /// A frame comes out of a link at one of its ports.
    Arrive { link: u32, port: u32, frame: Vec<u8> },
    /// The node has something to do: a timer, an alarm, room in the queue of its port.
    Turn(u32),
}

#[derive(Debug)]
struct Entry {
    at: Time,
    number: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// The events that are to come.
#[derive(Debug, Default)]
pub(super) struct Events {
    heap: BinaryHeap<Reverse<Entry>>,
    number: u64,
}

impl Events {
    pub fn push(&mut self, at: Time, event: Event) {
        self.number += 1;
        self.heap.push(Reverse(Entry { at, number: self.number, event }));
    }

    /// When the next one happens.
    pub fn next(&self) -> Option<Time> {
        self.heap.peek().map(|entry| entry.0.at)
    }

    pub fn pop(&mut self) -> Option<(Time, Event)> {
        self.heap.pop().map(|Reverse(Entry { at, event, .. })| (at, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_in_order() {
        let mut events = Events::default();
        for (at, node) in [(5, 0), (3, 1), (5, 2), (0, 3), (3, 4)] {
            events.push(Time::from_nanos(at), Event::Turn(node));
        }
        assert_eq!(events.next(), Some(Time::ZERO));
        let mut order = vec![];
        while let Some((at, Event::Turn(node))) = events.pop() {
            order.push((at.as_nanos(), node));
        }
        assert_eq!(order, [(0, 3), (3, 1), (3, 4), (5, 0), (5, 2)]);
        assert_eq!(events.next(), None);
    }
}
