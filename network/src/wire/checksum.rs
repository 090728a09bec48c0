// SPDX-License-Identifier: MIT OR Apache-2.0
//! The Internet checksum (RFC 1071), its pseudo-headers (RFC 768, RFC 9293 section 3.1, RFC 8200 section 8.1), and its
//! update when one word changes (RFC 1624).
//!
//! A sum of ones' complement does not depend on byte order but for a swap at its end (RFC 1071 section 2 B), nor on the
//! width of what is added (2 C): words of 64 bits are added in the machine's order, with what they carry over.

use core::net::IpAddr;

use runtime::buf::Sga;

/// A sum that grows: bytes may come in pieces of any length, also odd ones.
///
/// ```
/// use network::wire::checksum::Sum;
///
/// let mut sum = Sum::new();
/// sum.add(&[0x00, 0x01, 0xf2]);
/// sum.add(&[0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
/// assert_eq!(sum.finish(), !0xddf2); // RFC 1071 section 3
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct Sum {
    /// Of words of the machine's order; what goes beyond 64 bits is added at the other end.
    total: u64,
    /// Whether an odd number of bytes came.
    odd: bool,
}

/// The sum of bytes.
#[inline]
pub fn sum(bytes: &[u8]) -> Sum {
    let mut sum = Sum::new();
    sum.add(bytes);
    sum
}

/// The sum of a message's segments, one behind the other.
#[inline]
pub fn sum_of(message: &Sga) -> Sum {
    let mut sum = Sum::new();
    message.iter().for_each(|segment| sum.add(segment));
    sum
}

/// The sum of what a transport's checksum covers beside the transport's own bytes: `length` of those, header and payload.
#[inline]
pub fn pseudo_header(source: IpAddr, destination: IpAddr, protocol: u8, length: u32) -> Sum {
    let mut sum = Sum::new();
    for address in [source, destination] {
        match address {
            IpAddr::V4(address) => sum.add_words(&address.octets()),
            IpAddr::V6(address) => sum.add_words(&address.octets()),
        }
    }
    sum.add_u32(length);
    sum.add_u16(u16::from(protocol));
    sum
}

/// The checksum after one of the words that it covers has changed (RFC 1624 section 3, equation 3).
///
/// Not for UDP's field when it is zero, which means that there is none.
#[inline]
#[must_use]
pub const fn update(old_checksum: u16, old_word: u16, new_word: u16) -> u16 {
    let sum = !old_checksum as u32 + !old_word as u32 + new_word as u32;
    !fold(sum as u64)
}

impl Sum {
    /// Of nothing.
    #[inline]
    pub const fn new() -> Self {
        Self { total: 0, odd: false }
    }

    /// Of words of the machine's order, added up.
    #[inline]
    pub(super) const fn of_words(total: u64) -> Self {
        Self { total, odd: false }
    }

    /// Adds bytes.
    #[inline(always)]
    pub fn add(&mut self, bytes: &[u8]) {
        if self.odd {
            self.add_part(total_elsewhere(0, bytes));
        } else {
            self.total = total_elsewhere(self.total, bytes);
        }
        self.odd ^= !bytes.len().is_multiple_of(2);
    }

    /// Adds an array of whole words, its length known when this is compiled.
    #[inline(always)]
    pub(super) fn add_words<const N: usize>(&mut self, bytes: &[u8; N]) {
        const { assert!(N.is_multiple_of(4)) };
        let mut wide = Wide { low: 0, carried: 0 };
        wide.add(bytes);
        if let Some(last) = bytes.as_chunks::<8>().1.first_chunk::<4>() {
            wide.add_word(u32::from_ne_bytes(*last).into());
        }
        self.add_part(wide.total());
    }

    /// With an array of whole words behind it.
    #[inline(always)]
    pub(super) fn and<const N: usize>(mut self, bytes: &[u8; N]) -> Self {
        self.add_words(bytes);
        self
    }

    /// Adds bytes that stand in front of all others: an even number of them, at an even place.
    #[inline]
    pub(super) fn add_in_front(&mut self, bytes: &[u8]) {
        self.total = total(self.total, bytes);
    }

    /// Adds words of the machine's order, which stand behind the others.
    #[inline(always)]
    const fn add_part(&mut self, part: u64) {
        let (total, carry) = self.total.overflowing_add(if self.odd { swap(part) } else { part });
        self.total = total + carry as u64;
    }

    /// Adds the two bytes of a word, in network byte order.
    #[inline]
    pub const fn add_u16(&mut self, word: u16) {
        self.add_part(word.to_be() as u64);
    }

    /// Adds the four bytes of a word, in network byte order.
    #[inline]
    pub const fn add_u32(&mut self, word: u32) {
        self.add_part(word.to_be() as u64);
    }

    /// Adds a sum of bytes that stand behind those of this one.
    #[inline]
    pub const fn add_sum(&mut self, other: Sum) {
        self.add_part(other.total);
        self.odd ^= other.odd;
    }

    /// The checksum: the complement, as the number that stands in network byte order in the header.
    #[inline]
    #[must_use]
    pub const fn finish(self) -> u16 {
        !u16::from_be(fold(self.total))
    }

    /// The sum itself, not complemented: what stands in the field while a device is to fill it in
    /// ([`runtime::device::Checksum::Partial`]).
    #[inline]
    #[must_use]
    pub const fn partial(self) -> u16 {
        u16::from_be(fold(self.total))
    }

    /// The words of all bytes, as the machine has them, folded to 16 bits. Of a sum to which something is added at an even place.
    #[inline]
    pub(super) const fn folded(self) -> u16 {
        fold(self.total)
    }

    /// Whether bytes that contain their checksum are whole (RFC 1071 section 1).
    #[inline]
    #[must_use]
    pub const fn is_right(self) -> bool {
        fold(self.total) == 0xffff
    }
}

/// The low 16 bits, their bytes exchanged: the sum of the same bytes one place further (RFC 1071 section 2 B).
#[inline]
const fn swap(part: u64) -> u64 {
    (fold(part).swap_bytes()) as u64
}

/// Adds the two halves, and what that carries, until 16 bits are left.
#[inline]
pub(super) const fn fold(sum: u64) -> u16 {
    // In the upper half of the sum of a word and its halves exchanged stands the sum of both, with the lower half's carry.
    let sum = (sum.wrapping_add(sum.rotate_left(32)) >> 32) as u32;
    (sum.wrapping_add(sum.rotate_left(16)) >> 16) as u16
}

/// As [`fold`], of the sum of two words.
#[inline]
pub(super) const fn fold_two(sum: u32) -> u16 {
    (sum + (sum >> 16)) as u16
}

/// `start` and the words of the bytes, in the machine's order, a last odd byte with a zero behind it.
#[inline(always)]
fn total(start: u64, bytes: &[u8]) -> u64 {
    let Some(end) = bytes.last_chunk::<8>() else { return total_of_few(start, bytes) };
    let mut wide = Wide { low: start, carried: 0 };
    let (blocks, mut rest) = bytes.as_chunks::<128>();
    if !blocks.is_empty() {
        // Two sums, neither of which waits for the other.
        let mut other = Wide { low: 0, carried: 0 };
        for block in blocks {
            if let [front, back] = block.as_chunks::<64>().0 {
                wide.add(front);
                other.add(back);
            }
        }
        wide.add_word(other.total());
    }
    // Of what is left, each piece at most once.
    wide.add_from::<64>(&mut rest);
    wide.add_from::<32>(&mut rest);
    wide.add_from::<16>(&mut rest);
    wide.add_from::<8>(&mut rest);
    if !rest.is_empty() {
        // The word that ends where the bytes end, without what stands in front of the rest.
        let word = u64::from_le_bytes(*end) >> (64 - 8 * rest.len());
        wide.add_word(word.to_le());
    }
    wide.total()
}

/// The same, behind a call.
#[inline(never)]
fn total_elsewhere(start: u64, bytes: &[u8]) -> u64 {
    total(start, bytes)
}

/// The same of fewer bytes than a word has.
#[cold]
#[inline(never)]
fn total_of_few(start: u64, bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    for (to, from) in word.iter_mut().zip(bytes) {
        *to = *from;
    }
    let mut wide = Wide { low: start, carried: 0 };
    wide.add(&word);
    wide.total()
}

/// A sum of words of 64 bits, and what it has carried over.
struct Wide {
    low: u64,
    carried: u64,
}

impl Wide {
    /// Adds the words of a block: one addition for each, with what the one before has carried over.
    #[inline(always)]
    fn add<const N: usize>(&mut self, block: &[u8; N]) {
        let mut carry = false;
        for word in block.as_chunks::<8>().0 {
            (self.low, carry) = self.low.carrying_add(u64::from_ne_bytes(*word), carry);
        }
        self.carried += u64::from(carry);
    }

    #[inline(always)]
    fn add_word(&mut self, word: u64) {
        self.add(&word.to_ne_bytes());
    }

    /// Adds a block of this length from the front of `rest`, if it is as long as that.
    #[inline(always)]
    fn add_from<const N: usize>(&mut self, rest: &mut &[u8]) {
        if let Some((block, behind)) = rest.split_first_chunk::<N>() {
            self.add(block);
            *rest = behind;
        }
    }

    /// Both, added at the other end.
    #[inline(always)]
    const fn total(self) -> u64 {
        let (total, carry) = self.low.overflowing_add(self.carried);
        total + carry as u64
    }
}
