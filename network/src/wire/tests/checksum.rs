// SPDX-License-Identifier: MIT OR Apache-2.0
//! The checksum against the sum as RFC 1071 writes it down, word by word.

use crate::wire::checksum::{Sum, pseudo_header, sum, sum_of, update};
use core::net::IpAddr;
use proptest::prelude::*;
use runtime::buf::{Pool, Sga};

/// Section 1 to the letter.
fn slow(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// RFC 1071 §3.
#[test]
fn example_of_rfc_1071() {
    assert_eq!(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]).partial(), 0xddf2);
}

#[test]
fn header_of_a_real_packet() {
    let header = [0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7];
    assert!(sum(&header).is_right());
}

#[test]
fn of_nothing_and_of_the_largest() {
    assert_eq!(Sum::new().finish(), 0xffff);
    assert_eq!(sum(&[]).finish(), 0xffff);
    for len in [65_534, 65_535, 1 << 20] {
        let bytes = vec![0xff; len];
        assert_eq!(sum(&bytes).finish(), slow(&bytes), "{len} bytes");
    }
    // A sum that goes on and on does not overflow.
    let mut long = Sum::new();
    for _ in 0..100_000 {
        long.add(&[0xff; 1459]);
        long.add_u32(u32::MAX);
    }
    assert_eq!(long.finish(), 0);
}

/// RFC 768, RFC 9293 §3.1, RFC 8200 §8.1.
#[test]
fn pseudo_headers() {
    let v4 = |text: &str| text.parse::<IpAddr>().unwrap();
    let bytes = [10, 0, 0, 1, 192, 168, 3, 4, 0, 17, 0x12, 0x34];
    assert_eq!(pseudo_header(v4("10.0.0.1"), v4("192.168.3.4"), 17, 0x1234).finish(), slow(&bytes));
    let (from, to) = ("2001:db8::1", "fe80::2:3");
    let (IpAddr::V6(a), IpAddr::V6(b)) = (v4(from), v4(to)) else { unreachable!("both are IPv6") };
    let bytes = [&a.octets()[..], &b.octets(), &0x0012_3456_u32.to_be_bytes(), &[0, 0, 0, 58]].concat();
    assert_eq!(pseudo_header(v4(from), v4(to), 58, 0x0012_3456).finish(), slow(&bytes));
}

proptest! {
    /// RFC 1071 §1.
    #[test]
    fn is_that_of_the_rfc(bytes in prop::collection::vec(any::<u8>(), 0..2000), at in 0_usize..16) {
        prop_assert_eq!(sum(&bytes).finish(), slow(&bytes));
        // Wherever the bytes begin in memory.
        let rest = bytes.get(at..).unwrap_or_default();
        prop_assert_eq!(sum(rest).finish(), slow(rest));
    }

    /// RFC 1071 §2.
    #[test]
    fn pieces_make_the_whole(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..12)) {
        let whole = pieces.concat();
        let (mut added, mut summed) = (Sum::new(), Sum::new());
        for piece in &pieces {
            added.add(piece);
            summed.add_sum(sum(piece));
        }
        prop_assert_eq!(added.finish(), slow(&whole));
        prop_assert_eq!(summed.finish(), slow(&whole));
        let pool = Pool::heap(64, 16, 0, 0).unwrap();
        let mut message = Sga::new();
        for piece in &pieces {
            message.push_back(pool.alloc_copy(piece).unwrap()).unwrap();
        }
        prop_assert_eq!(sum_of(&message).finish(), slow(&whole));
    }

    #[test]
    fn words_are_their_bytes(front in prop::collection::vec(any::<u8>(), 0..4), half: u16, whole: u32) {
        let (mut words, mut bytes) = (sum(&front), sum(&front));
        words.add_u16(half);
        words.add_u32(whole);
        bytes.add(&half.to_be_bytes());
        bytes.add(&whole.to_be_bytes());
        prop_assert_eq!(words.finish(), bytes.finish());
    }

    #[test]
    fn a_right_one_makes_it_right(mut bytes in prop::collection::vec(any::<u8>(), 2..200), wrong in 1_u16..) {
        bytes[..2].fill(0);
        let checksum = sum(&bytes).finish();
        bytes[..2].copy_from_slice(&checksum.to_be_bytes());
        prop_assert!(sum(&bytes).is_right());
        bytes[..2].copy_from_slice(&(checksum ^ wrong).to_be_bytes());
        // All ones and all zeros are the same number here.
        prop_assert_eq!(sum(&bytes).is_right(), wrong == 0xffff && [0, 0xffff].contains(&checksum));
    }

    /// RFC 1624 §3.
    #[test]
    fn update_is_a_new_sum(mut bytes in prop::collection::vec(any::<u8>(), 4..60), at in 0_usize..60, new: u16) {
        bytes.truncate(bytes.len() / 2 * 2);
        let at = at % (bytes.len() / 2) * 2;
        let checksum = sum(&bytes).finish();
        let old = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        bytes[at..at + 2].copy_from_slice(&new.to_be_bytes());
        let (updated, right) = (update(checksum, old, new), sum(&bytes).finish());
        // Of bytes that are all zero, the sum is the other zero (RFC 1624 section 3).
        prop_assert!(updated == right || bytes.iter().all(|byte| *byte == 0), "{updated:#x} {right:#x}");
    }
}
