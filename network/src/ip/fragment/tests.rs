// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fragments of payloads of any size in any number of segments; and identifications.

use core::net::IpAddr;

use proptest::prelude::*;
use runtime::Errno;
use runtime::buf::{Pool, Sga};

use super::{Identifications, fragments};
use crate::keyed::Secret;
use crate::limits::IDENTIFICATION_COUNTERS;

#[test]
fn what_fits_is_not_cut() {
    let pool = Pool::heap(64, 4, 0, 0).unwrap();
    for (len, each) in [(0, 0), (0, 8), (7, 7), (8, 8), (20, 20), (20, 1480)] {
        let payload = Sga::from(pool.alloc(len).unwrap());
        let all: Vec<_> = fragments(payload, each).unwrap().map(Result::unwrap).collect();
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].offset, all[0].more, all[0].payload.len()), (0, false, len));
    }
}

#[test]
fn no_room_and_no_end() {
    let pool = Pool::heap(65_536, 1, 0, 0).unwrap();
    let cut = |len, each| fragments(pool.alloc(len).unwrap().into(), each).map(|_| ()).map_err(runtime::Error::errno);
    assert_eq!(cut(9, 7), Err(Errno::MSGSIZE));
    assert_eq!(cut(9, 0), Err(Errno::MSGSIZE));
    assert_eq!(cut(65_536, 1480), Err(Errno::MSGSIZE));
    assert_eq!(cut(65_535, 1480), Ok(()));
    assert_eq!(cut(65_535, usize::MAX), Ok(()));
    assert_eq!(pool.available(), 1);
}

#[test]
fn too_few_views_end_it_and_nothing_is_lost_to_the_pool() {
    let pool = Pool::heap(64, 1, 0, 1).unwrap();
    let mut cut = fragments(pool.alloc(24).unwrap().into(), 8).unwrap();
    let first = cut.next().unwrap().unwrap();
    assert_eq!(cut.next().unwrap().unwrap_err().errno(), Errno::NOBUFS);
    assert!(cut.next().is_none());
    drop((first, cut));
    assert_eq!((pool.stats().in_use, pool.stats().views_in_use), (0, 0));
}

fn address(last: u32) -> IpAddr {
    core::net::Ipv4Addr::from_bits(0x0a00_0000 + last).into()
}

/// RFC 6864 §4, RFC 7739 §5.3.
#[test]
fn identifications_of_one_pair_do_not_come_twice() {
    let mut ids = Identifications::new(Secret([3; 16]));
    let mut seen = vec![false; 1 << 16];
    for _ in 0..1 << 16 {
        let id = ids.next(address(1), address(2), 17) as u16;
        assert!(!core::mem::replace(&mut seen[usize::from(id)], true));
    }
}

/// RFC 7739 §5.3.
#[test]
fn identifications_of_others_are_not_told() {
    let mut ids = Identifications::new(Secret([3; 16]));
    let mut other = Identifications::new(Secret([4; 16]));
    let firsts: Vec<u32> = (0..64).map(|to| ids.next(address(1), address(to), 17)).collect();
    let others: Vec<u32> = (0..64).map(|to| other.next(address(1), address(to), 17)).collect();
    let near = |a: &u32, b: &u32| a.wrapping_sub(*b).min(b.wrapping_sub(*a)) <= IDENTIFICATION_COUNTERS as u32;
    // Of 64 random numbers no two are expected to lie so near, by one destination or by one secret.
    for (at, first) in firsts.iter().enumerate() {
        assert!(!firsts[at + 1..].iter().any(|second| near(first, second)));
        assert!(!near(first, &others[at]));
    }
    // The protocol and the source count too.
    assert!(!near(&ids.next(address(1), address(2), 17), &ids.next(address(1), address(2), 1)));
    assert!(!near(&ids.next(address(1), address(2), 17), &ids.next(address(3), address(2), 17)));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// RFC 791 §2.3, RFC 8200 §4.5.
    #[test]
    fn fragments_are_the_payload(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..12),
        each in 8..300_usize,
    ) {
        let pool = Pool::heap(200, 12, 0, 400).unwrap();
        let mut payload = Sga::new();
        for part in &parts {
            payload.push_back(pool.alloc_copy(part).unwrap()).unwrap();
        }
        let bytes = parts.concat();
        let mut read = vec![];
        let mut last = None;
        for fragment in fragments(payload, each).unwrap() {
            let fragment = fragment.unwrap();
            prop_assert!(last != Some(false), "one behind the last");
            prop_assert_eq!(usize::from(fragment.offset), read.len());
            prop_assert!(fragment.payload.len() <= each);
            prop_assert!(!fragment.more || (fragment.payload.len() % 8 == 0 && !fragment.payload.is_empty()));
            read.extend(fragment.payload.to_vec());
            last = Some(fragment.more);
        }
        prop_assert_eq!(last, Some(false));
        prop_assert_eq!(read, bytes);
        prop_assert_eq!(pool.available(), 12);
    }
}
