// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the streams carry: frames that prove that nothing is missing, doubled or changed.
//!
//! Each has its number and the running hash of all payload so far. The last one says that it is; a stream that ends
//! without it, or in the middle of a frame, has lost something.

use crate::harness::Random;

const HEADER: usize = 24;
const MORE: u32 = 0x4d4f_5245;
const LAST: u32 = 0x4c41_5354;

/// A running hash: order, value and place of each word matter.
#[derive(Clone, Copy, Default)]
struct Hash(u64);

impl Hash {
    fn add(&mut self, bytes: &[u8]) {
        let mut mix = |word: u64| {
            self.0 = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        };
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            mix(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        mix(u64::from_le_bytes(last));
        mix(bytes.len() as u64);
    }
}

/// The sending half of a stream.
#[derive(Clone, Default)]
pub struct Sender {
    number: u64,
    hash: Hash,
}

impl Sender {
    /// The next frame, with `len` random bytes.
    pub fn frame(&mut self, random: &mut Random, len: usize, last: bool) -> Vec<u8> {
        let mut frame = vec![0; HEADER + len];
        let (header, payload) = frame.split_at_mut(HEADER);
        crate::harness::bytes::fill(payload, random.next(), self.number);
        self.hash.add(payload);
        header[..4].copy_from_slice(&(if last { LAST } else { MORE }).to_le_bytes());
        header[4..8].copy_from_slice(&(len as u32).to_le_bytes());
        header[8..16].copy_from_slice(&self.number.to_le_bytes());
        header[16..].copy_from_slice(&self.hash.0.to_le_bytes());
        self.number += 1;
        frame
    }
}

/// The receiving half.
#[derive(Default)]
pub struct Receiver {
    buffer: Vec<u8>,
    number: u64,
    hash: Hash,
    last: bool,
}

impl Receiver {
    /// Takes what was popped; gives how many frames it made complete.
    ///
    /// # Panics
    /// If a byte is not what was sent.
    pub fn take(&mut self, bytes: &[u8]) -> u64 {
        self.buffer.extend_from_slice(bytes);
        let (mut at, before) = (0, self.number);
        while let Some(header) = self.buffer.get(at..at + HEADER) {
            assert!(!self.last, "bytes behind the last frame");
            let word = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("it has four bytes"));
            let long = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().expect("it has eight bytes"));
            let (kind, len, number, hash) = (word(0), word(4) as usize, long(8), long(16));
            assert!(kind == MORE || kind == LAST, "no frame begins here: {header:?}");
            assert_eq!(number, self.number, "the number of a frame");
            let Some(payload) = self.buffer.get(at + HEADER..at + HEADER + len) else { break };
            self.hash.add(payload);
            assert_eq!(hash, self.hash.0, "the running hash of frame {number}, {len} bytes");
            self.last = kind == LAST;
            self.number += 1;
            at += HEADER + len;
        }
        self.buffer.drain(..at);
        self.number - before
    }

    /// Whether everything has come.
    pub fn is_whole(&self) -> bool {
        self.last && self.buffer.is_empty()
    }

    /// The end was popped.
    ///
    /// # Panics
    /// If something is missing before it.
    pub fn end(&self) {
        assert!(self.is_whole(), "the stream ends too soon, in front of frame {}", self.number);
    }

    /// Whether anything has come.
    pub fn has_begun(&self) -> bool {
        self.number > 0
    }
}
