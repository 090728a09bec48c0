// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a run has done: a hash over all of it, and of links that are watched the frames themselves.

use alloc::vec::Vec;
use runtime::time::Time;

use super::NodeId;

/// What became of a frame, or of one of its copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It comes out at `to`.
    Arrives {
        /// Where.
        to: NodeId,
        /// When.
        at: Time,
        /// Whether it is the second of two.
        duplicate: bool,
        /// Whether a byte of it was changed.
        corrupt: bool,
    },
    /// Lost on the way.
    Lost {
        /// Who does not get it.
        to: NodeId,
    },
    /// It found the queue of its port full.
    QueueFull,
    /// Longer than the link allows.
    TooLong,
}

/// A frame on a link that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When it was given to the link.
    pub sent: Time,
    /// By whom.
    pub from: NodeId,
    /// What became of it.
    pub fate: Fate,
    /// Its bytes, as they arrive.
    pub bytes: Vec<u8>,
}

/// The frames of one link, as many as may be kept.
#[derive(Debug)]
pub(super) struct Capture {
    pub records: Vec<Record>,
    pub limit: usize,
}

impl Capture {
    pub fn add(&mut self, sent: Time, from: NodeId, fate: Fate, bytes: &[u8]) {
        if self.records.len() < self.limit {
            self.records.push(Record { sent, from, fate, bytes: bytes.to_vec() });
        }
    }
}

/// A hash over everything that has happened: each word is mixed in by a long multiplication whose halves are put together,
/// as wyhash does (Wang Yi, 2019), in four lanes that do not wait for each other. Nobody chooses what it is given.
#[derive(Clone, Debug, Default)]
pub(super) struct Trace([u64; 4]);

/// Odd, and half of its bits are ones.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

fn mixed(state: u64, word: u64) -> u64 {
    let product = u128::from(state ^ word) * u128::from(FACTOR);
    // With the addition, zeros change a state of zero, too.
    (product as u64 ^ (product >> 64) as u64).wrapping_add(FACTOR)
}

impl Trace {
    fn mix(&mut self, block: &[u8; 32]) {
        for (lane, word) in self.0.iter_mut().zip(block.as_chunks::<8>().0) {
            *lane = mixed(*lane, u64::from_le_bytes(*word));
        }
    }

    pub fn add(&mut self, now: Time, what: u32, bytes: &[u8]) {
        let [first, second, ..] = &mut self.0;
        *first = mixed(*first, now.as_nanos());
        *second = mixed(*second, u64::from(what) << 32 | bytes.len() as u64);
        let (blocks, rest) = bytes.as_chunks::<32>();
        for block in blocks {
            self.mix(block);
        }
        let mut last = [0; 32];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        self.mix(&last);
    }

    pub fn hash(&self) -> u64 {
        self.0.iter().fold(0, |hash, lane| mixed(hash, *lane))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bit_each_length_and_each_order_has_its_hash() {
        let hash = |parts: &[(u64, u32, &[u8])]| {
            let mut trace = Trace::default();
            for (at, what, bytes) in parts {
                trace.add(Time::from_nanos(*at), *what, bytes);
            }
            trace.hash()
        };
        let mut seen = vec![];
        for len in 0..70 {
            seen.push(hash(&[(0, 0, &vec![0; len])]));
            for bit in 0..len * 8 {
                let mut bytes = vec![0; len];
                bytes[bit / 8] ^= 1 << (bit % 8);
                seen.push(hash(&[(0, 0, &bytes)]));
            }
        }
        seen.push(hash(&[(1, 0, b"")]));
        seen.push(hash(&[(0, 1, b"")]));
        seen.push(hash(&[(0, 0, b"a"), (0, 0, b"b")]));
        seen.push(hash(&[(0, 0, b"b"), (0, 0, b"a")]));
        let all = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), all);
    }
}
