// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random numbers by seed, and messages that can be checked: their bytes follow from a seed and their number.

use margay::Sga;

/// SplitMix64: small, and the same everywhere.
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    /// The numbers of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A length from 1 to `most`, small ones as likely as large ones.
    pub fn length(&mut self, most: usize) -> usize {
        let orders = u64::from(usize::BITS - most.leading_zeros());
        let order = self.below(orders);
        (1 + self.below(2 << order) as usize).min(most)
    }
}

/// Fills a message with the bytes that belong to this seed and number.
pub fn fill(bytes: &mut [u8], seed: u64, number: u64) {
    let mut random = Random::new(seed ^ number.rotate_left(32));
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = random.next().to_le_bytes();
    }
    let last = random.next().to_le_bytes();
    rest.copy_from_slice(&last[..rest.len()]);
}

/// The message of this seed and number.
pub fn message(len: usize, seed: u64, number: u64) -> Vec<u8> {
    let mut bytes = vec![0; len];
    fill(&mut bytes, seed, number);
    bytes
}

/// The bytes of a stream, which follow from a seed and their place, in whatever pieces they come.
#[derive(Clone)]
pub struct Stream {
    seed: u64,
    at: u64,
}

impl Stream {
    /// The stream of this seed, from its first byte.
    pub fn new(seed: u64) -> Self {
        Self { seed, at: 0 }
    }

    /// Bytes so far.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Writes the next bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let word = self.word();
            let within = (self.at % 8) as usize;
            let len = rest.len().min(8 - within);
            let (now, later) = rest.split_at_mut(len);
            now.copy_from_slice(&word[within..within + len]);
            self.at += len as u64;
            rest = later;
        }
    }

    /// The next bytes.
    pub fn take(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.fill(&mut bytes);
        bytes
    }

    /// These are the next bytes.
    #[track_caller]
    pub fn check(&mut self, popped: &Sga) {
        for segment in popped {
            let from = self.at;
            let expected = self.take(segment.len());
            assert!(segment[..] == expected[..], "{} bytes from byte {from} of the stream are others", segment.len());
        }
    }

    fn word(&self) -> [u8; 8] {
        Random::new(self.seed.wrapping_add((self.at / 8).wrapping_mul(0x9e37_79b9_7f4a_7c15))).next().to_le_bytes()
    }
}

/// Whether a popped message is the one of this seed and number, at any length.
pub fn matches(popped: &Sga, seed: u64, number: u64) -> bool {
    popped.to_vec() == message(popped.len(), seed, number)
}
