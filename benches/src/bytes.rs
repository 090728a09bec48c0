// SPDX-License-Identifier: MIT OR Apache-2.0
//! Loops over bytes that lie in the cache: the Internet checksum, and what it can be compared with.

use network::wire::checksum::sum;
use std::hint::black_box;

/// Bytes of a packet's payload, and a place for their copy.
#[derive(Clone, Debug)]
pub struct Bytes {
    from: Vec<u8>,
    to: Vec<u8>,
}

impl Bytes {
    /// So many.
    #[must_use]
    pub fn new(size: usize) -> Self {
        Self { from: (0..size).map(|index| (index * 7 + 3) as u8).collect(), to: vec![0; size] }
    }

    /// Their checksum, as the stack computes it.
    #[inline]
    #[must_use]
    pub fn checksum(&self) -> u16 {
        sum(black_box(&self.from)).finish()
    }

    /// Reads each of them, as words.
    #[inline]
    #[must_use]
    pub fn read(&self) -> u64 {
        let (words, rest) = black_box(&*self.from).as_chunks::<8>();
        let sum = words.iter().fold(0, |sum, word| sum ^ u64::from_le_bytes(*word));
        rest.iter().fold(sum, |sum, &byte| sum ^ u64::from(byte))
    }

    /// Copies them.
    #[inline]
    pub fn copy(&mut self) {
        self.to.copy_from_slice(black_box(&self.from));
        black_box(&mut self.to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_loop_goes_over_all_bytes() {
        for size in [0, 1, 7, 64, 1460] {
            let mut bytes = Bytes::new(size);
            bytes.copy();
            assert_eq!(bytes.from, bytes.to);
            // RFC 1071, word by word.
            let words =
                bytes.from.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0)));
            let mut sum: u32 = words.sum();
            while sum > 0xffff {
                sum = (sum & 0xffff) + (sum >> 16);
            }
            assert_eq!(bytes.checksum(), !(sum as u16), "{size}");
            let before = bytes.read();
            if let Some(last) = bytes.from.last_mut() {
                *last ^= 1;
                assert_ne!(bytes.read(), before, "{size}");
            }
        }
    }
}
