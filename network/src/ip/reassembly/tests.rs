// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reassembly, against one that sorts what has come and looks whether it is whole.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;
use std::path::Path;

use proptest::prelude::*;
use runtime::buf::{Buf, Pool};
use runtime::time::Time;

use super::fuzz::{Expected, Model};
use super::{Key, Outcome, Reassembly, Refusal, fuzz};
use crate::ip::fragment::fragments;
use crate::limits::{
    FRAGMENTS_PER_DATAGRAM_MAX, REASSEMBLY_DATAGRAMS_MAX, REASSEMBLY_PER_SOURCE_MAX, REASSEMBLY_TIME_V4,
    REASSEMBLY_TIME_V6,
};
use crate::wire::Ecn;

const START: Time = Time::from_nanos(1 << 40);
const V4_HEADER: usize = 20;
const V6_HEADERS: usize = 48;

fn v4(source: u32, id: u32) -> Key {
    let source = Ipv4Addr::from_bits(0x0a00_0000 + source);
    Key { source: source.into(), destination: Ipv4Addr::new(10, 9, 9, 9).into(), id, protocol: 17 }
}

fn v6(source: u32, id: u32) -> Key {
    let source = Ipv6Addr::from_bits((0x2001_0db8 << 96) + u128::from(source));
    Key { source: source.into(), destination: IpAddr::V6(Ipv6Addr::LOCALHOST), id, protocol: 17 }
}

fn headers(key: &Key) -> usize {
    if key.source.is_ipv4() { V4_HEADER } else { V6_HEADERS }
}

fn pool(slots: u32) -> Pool {
    Pool::heap(2048, slots, 0, 0).unwrap()
}

/// A packet with headers that are all `h`.
fn packet(pool: &Pool, key: &Key, payload: &[u8]) -> Buf {
    let headers = headers(key);
    pool.alloc_filled(headers + payload.len(), |bytes| {
        bytes[..headers].fill(b'h');
        bytes[headers..].copy_from_slice(payload);
    })
    .unwrap()
}

fn insert(table: &mut Reassembly, pool: &Pool, key: Key, offset: u16, more: bool, payload: &[u8]) -> Outcome {
    table.insert(key, offset, more, packet(pool, &key, payload), headers(&key), START)
}

fn whole(outcome: Outcome) -> Vec<u8> {
    match outcome {
        Outcome::Complete(datagram) => datagram.payload.to_vec(),
        other => panic!("{other:?}"),
    }
}

fn refusal(outcome: Outcome) -> Refusal {
    match outcome {
        Outcome::Refused(refusal, _) => refusal,
        other => panic!("{other:?}"),
    }
}

/// RFC 791 §3.2, RFC 8200 §4.5, RFC 815.
#[test]
fn pieces_in_any_order_make_the_datagram() {
    let pool = pool(8);
    for key in [v4(1, 7), v6(1, 7)] {
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut table = Reassembly::new(8);
            let pieces: [(u16, bool, &[u8]); 3] =
                [(0, true, b"first 8."), (8, true, b"then 16 of them."), (24, false, b"end")];
            for (done, at) in order.into_iter().enumerate() {
                let (offset, more, payload) = pieces[at];
                let outcome = insert(&mut table, &pool, key, offset, more, payload);
                if done < 2 {
                    assert!(matches!(outcome, Outcome::Waits));
                    assert_eq!((table.len(), table.buffers()), (1, done + 1));
                } else {
                    assert_eq!(whole(outcome), b"first 8.then 16 of them.end");
                }
            }
            assert!(table.is_empty() && table.next_deadline().is_none());
            assert_eq!((table.buffers(), pool.available()), (0, 8));
        }
    }
}

/// RFC 791 §3.2, RFC 8200 §4.5.
#[test]
fn datagrams_are_told_apart_by_all_that_names_them() {
    let pool = pool(32);
    let base = v4(1, 1);
    let others = [
        Key { source: v4(2, 0).source, ..base },
        Key { destination: v4(3, 0).source, ..base },
        Key { id: 2, ..base },
        Key { protocol: 1, ..base },
    ];
    let mut table = Reassembly::new(32);
    for (number, key) in others.into_iter().chain([base]).enumerate() {
        assert!(matches!(insert(&mut table, &pool, key, 0, true, &[number as u8; 8]), Outcome::Waits));
    }
    assert_eq!(table.len(), 5);
    for (number, key) in others.into_iter().chain([base]).enumerate() {
        assert_eq!(whole(insert(&mut table, &pool, key, 8, false, b"end")), [&[number as u8; 8][..], b"end"].concat());
    }
    // In IPv6 the first fragment says what the protocol is, whatever the others say (RFC 8200 §4.5).
    for first_last in [true, false] {
        let (first, last) = (Key { protocol: 17, ..v6(1, 1) }, Key { protocol: 58, ..v6(1, 1) });
        let outcome = if first_last {
            insert(&mut table, &pool, last, 8, false, b"end");
            insert(&mut table, &pool, first, 0, true, b"8 bytes.")
        } else {
            insert(&mut table, &pool, first, 0, true, b"8 bytes.");
            insert(&mut table, &pool, last, 8, false, b"end")
        };
        let Outcome::Complete(datagram) = outcome else { panic!("{outcome:?}") };
        assert_eq!(datagram.protocol, 17);
    }
}

/// RFC 6946 §4.
#[test]
fn atomic_fragment_has_nothing_to_do_with_others() {
    let pool = pool(4);
    let mut table = Reassembly::new(4);
    assert!(matches!(insert(&mut table, &pool, v6(1, 1), 0, true, b"8 bytes."), Outcome::Waits));
    assert_eq!(whole(insert(&mut table, &pool, v6(1, 1), 0, false, b"atomic")), b"atomic");
    assert_eq!(whole(insert(&mut table, &pool, v6(1, 1), 0, false, b"")), b"");
    assert_eq!(whole(insert(&mut table, &pool, v6(1, 1), 8, false, b"end")), b"8 bytes.end");
}

/// RFC 8200 §4.5.
#[test]
fn lengths_that_cannot_be() {
    let pool = pool(4);
    for key in [v4(1, 1), v6(1, 1)] {
        let mut table = Reassembly::new(4);
        let mut try_one = |offset, more, len| refusal(insert(&mut table, &pool, key, offset, more, &vec![0; len]));
        assert_eq!(try_one(0, true, 0), Refusal::Length);
        assert_eq!(try_one(0, true, 7), Refusal::Length);
        assert_eq!(try_one(8, true, 12), Refusal::Length);
        assert_eq!(try_one(8, false, 0), Refusal::Length);
        assert_eq!(try_one(65_528, true, 8), Refusal::TooLong);
        assert_eq!(try_one(65_528, false, 8), Refusal::TooLong);
        let short = table.insert(key, 8, true, pool.alloc(10).unwrap(), 20, START);
        assert_eq!(refusal(short), Refusal::Length);
        assert!(table.is_empty());
    }
    let mut table = Reassembly::new(4);
    // The header of IPv4 counts, that of IPv6 does not.
    assert_eq!(refusal(insert(&mut table, &pool, v4(1, 1), 65_512, false, &[0; 4])), Refusal::TooLong);
    assert!(matches!(insert(&mut table, &pool, v4(1, 1), 65_512, false, &[0; 3]), Outcome::Waits));
    assert!(matches!(insert(&mut table, &pool, v6(1, 1), 65_528, false, &[0; 7]), Outcome::Waits));
    // What is given back is the packet as it came, to be quoted.
    let Outcome::Refused(_, back) = insert(&mut table, &pool, v6(1, 2), 0, true, b"seven b") else { panic!() };
    assert_eq!((&back[..V6_HEADERS], &back[V6_HEADERS..]), (&[b'h'; V6_HEADERS][..], &b"seven b"[..]));
}

/// RFC 5722 §4, RFC 8200 §4.5.
#[test]
fn overlap_gives_the_datagram_up() {
    type Fragment = (u16, bool, &'static [u8]);
    let cases: [(&[Fragment], Fragment); 9] = [
        (&[(0, true, b"8 bytes.")], (0, true, b"8 bytes.and 8 of")),
        (&[(0, true, b"16 bytes of them")], (8, true, b"8 bytes.")),
        (&[(8, true, b"16 bytes of them")], (0, true, b"16 bytes of them")),
        (&[(8, true, b"8 bytes.")], (0, true, b"24 bytes in one fragment")),
        // The same place, other bytes; or the same bytes, and one of them says that it is the last.
        (&[(8, true, b"8 bytes.")], (8, true, b"8 other.")),
        (&[(8, true, b"8 bytes.")], (8, false, b"8 bytes.")),
        (&[(8, false, b"8 bytes.")], (8, true, b"8 bytes.")),
        // Behind the end, and two ends.
        (&[(8, false, b"8 bytes.")], (24, true, b"8 bytes.")),
        (&[(8, false, b"8 bytes.")], (24, false, b"8 bytes.")),
    ];
    for (before, (offset, more, payload)) in cases {
        let pool = pool(8);
        for key in [v4(1, 1), v6(1, 1)] {
            let mut table = Reassembly::new(8);
            for (offset, more, payload) in before {
                assert!(matches!(insert(&mut table, &pool, key, *offset, *more, payload), Outcome::Waits));
            }
            assert_eq!(refusal(insert(&mut table, &pool, key, offset, more, payload)), Refusal::Overlap, "{before:?}");
            assert_eq!((table.buffers(), pool.available()), (0, 8));
            if key.source.is_ipv4() {
                assert!(table.is_empty());
                continue;
            }
            // What is still to come does not count either (RFC 5722 §4), and there is no time exceeded for it.
            for (offset, more, payload) in before {
                assert_eq!(refusal(insert(&mut table, &pool, key, *offset, *more, payload)), Refusal::Overlap);
            }
            assert_eq!(refusal(insert(&mut table, &pool, key, 40, false, b"end")), Refusal::Overlap);
            let expired = table.poll(START + REASSEMBLY_TIME_V6).unwrap();
            assert!(expired.key == key && expired.first.is_none());
            assert!(matches!(insert(&mut table, &pool, key, 40, false, b"end"), Outcome::Waits));
        }
    }
}

#[test]
fn end_in_front_of_what_has_come_gives_the_datagram_up() {
    let pool = pool(8);
    let mut table = Reassembly::new(8);
    assert!(matches!(insert(&mut table, &pool, v4(1, 1), 16, true, b"8 bytes."), Outcome::Waits));
    assert_eq!(refusal(insert(&mut table, &pool, v4(1, 1), 8, false, b"end")), Refusal::Overlap);
    assert!(table.is_empty());
}

/// A packet whose headers bear this codepoint.
fn marked(pool: &Pool, key: &Key, ecn: u8, payload: &[u8]) -> Buf {
    let mut bytes = vec![0; headers(key)];
    if key.source.is_ipv6() {
        bytes[..2].copy_from_slice(&[0x60, ecn << 4 | 0xf]);
    } else {
        bytes[..2].copy_from_slice(&[0x45, 0xfc | ecn]);
    }
    bytes.extend(payload);
    pool.alloc_copy(&bytes).unwrap()
}

/// RFC 3168 §5.3: a mark on any fragment is one on the datagram, and beside one that cannot be marked it is the end of it.
#[test]
fn congestion_marks_of_fragments_become_one() {
    let pool = pool(16);
    for key in [v4(1, 1), v6(1, 1)] {
        for (codepoints, expected) in [
            ([0, 0, 0], Some(Ecn::NotCapable)),
            ([1, 1, 1], Some(Ecn::Capable1)),
            ([2, 2, 2], Some(Ecn::Capable0)),
            ([3, 3, 3], Some(Ecn::Congestion)),
            ([2, 3, 2], Some(Ecn::Congestion)),
            ([3, 1, 1], Some(Ecn::Congestion)),
            ([1, 2, 3], Some(Ecn::Congestion)),
            ([1, 2, 1], Some(Ecn::Capable0)),
            ([0, 2, 2], Some(Ecn::NotCapable)),
            ([0, 3, 3], None),
            ([3, 0, 3], None),
            ([3, 3, 0], None),
            ([0, 2, 3], None),
        ] {
            let mut table = Reassembly::new(16);
            let mut found = None;
            let mut contradicted = false;
            for (at, ecn) in codepoints.into_iter().enumerate() {
                let packet = marked(&pool, &key, ecn, b"fragment");
                match table.insert(key, at as u16 * 8, at < 2, packet, headers(&key), START) {
                    Outcome::Waits => {}
                    Outcome::Complete(datagram) => found = Some(datagram.ecn),
                    Outcome::Refused(refusal, _) => {
                        let rest = key.source.is_ipv6() && contradicted;
                        assert_eq!(refusal, if rest { Refusal::Overlap } else { Refusal::Congestion });
                        contradicted = true;
                    }
                }
            }
            assert_eq!((found, contradicted), (expected, expected.is_none()), "{codepoints:?}");
            // What comes behind begins a datagram that will not be whole, in IPv4.
            let early = codepoints[..2].contains(&0) && codepoints[..2].contains(&3);
            assert_eq!(table.buffers(), usize::from(early && key.source.is_ipv4()), "{codepoints:?}");
        }
        let alone = marked(&pool, &key, 3, b"atomic");
        let mut table = Reassembly::new(16);
        match table.insert(key, 0, false, alone, headers(&key), START) {
            Outcome::Complete(datagram) => assert_eq!(datagram.ecn, Ecn::Congestion),
            other => panic!("{other:?}"),
        }
    }
}

/// RFC 8200 §4.5.
#[test]
fn exact_duplicate_is_dropped_alone() {
    let pool = pool(8);
    for key in [v4(1, 1), v6(1, 1)] {
        let mut table = Reassembly::new(8);
        for (offset, more, payload) in [(0, true, &b"8 bytes."[..]), (16, false, b"end")] {
            assert!(matches!(insert(&mut table, &pool, key, offset, more, payload), Outcome::Waits));
            assert_eq!(refusal(insert(&mut table, &pool, key, offset, more, payload)), Refusal::Duplicate);
        }
        assert_eq!(whole(insert(&mut table, &pool, key, 8, true, b"between.")), b"8 bytes.between.end");
    }
}

/// RFC 1122 §3.3.2, RFC 8200 §4.5, RFC 4963.
#[test]
fn time_ends_and_the_first_fragment_is_there_to_quote() {
    let pool = pool(8);
    let mut table = Reassembly::new(8);
    let at = |seconds| START + Duration::from_secs(seconds);
    let add = |table: &mut Reassembly, key: Key, offset, payload: &[u8], now| {
        assert!(matches!(
            table.insert(key, offset, true, packet(&pool, &key, payload), headers(&key), now),
            Outcome::Waits
        ));
    };
    add(&mut table, v6(1, 1), 0, b"8 bytes.", START);
    add(&mut table, v4(1, 1), 8, b"8 bytes.", START);
    add(&mut table, v4(1, 2), 0, b"8 others", at(2));
    // A later fragment does not make the time longer.
    add(&mut table, v4(1, 1), 24, b"8 bytes.", at(20));
    assert_eq!(table.next_deadline(), Some(START + REASSEMBLY_TIME_V4));
    assert!(table.poll(at(29)).is_none());
    let expired = table.poll(at(30)).unwrap();
    assert!(expired.key == v4(1, 1) && expired.first.is_none());
    assert!(table.poll(at(30)).is_none());
    assert_eq!(table.next_deadline(), Some(at(32)));
    let expired = table.poll(at(100)).unwrap();
    assert_eq!(expired.key, v6(1, 1));
    assert_eq!(&expired.first.unwrap()[..], [&[b'h'; V6_HEADERS][..], b"8 bytes."].concat());
    let expired = table.poll(at(100)).unwrap();
    assert_eq!(expired.key, v4(1, 2));
    assert_eq!(&expired.first.unwrap()[V4_HEADER..], b"8 others");
    assert!(table.poll(at(100)).is_none() && table.next_deadline().is_none());
    assert_eq!((table.buffers(), pool.available(), table.evicted()), (0, 8, 0));
}

/// The pieces of `payload`, as the other side would send them.
fn cut(payload: &[u8], each: usize) -> Vec<(u16, bool, Vec<u8>)> {
    let pool = Pool::heap(65_535, 1, 0, 1500).unwrap();
    let all = fragments(pool.alloc_copy(payload).unwrap().into(), each).unwrap();
    all.map(|fragment| fragment.map(|it| (it.offset, it.more, it.payload.to_vec())).unwrap()).collect()
}

fn counting(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at / 7) as u8).collect()
}

#[test]
fn more_fragments_than_a_message_has_segments_are_put_together() {
    let pool = pool(200);
    let payload = counting(65_507 + 8);
    // By an MTU of 576: 119 fragments.
    let mut pieces = cut(&payload, 556);
    assert!(pieces.len() > FRAGMENTS_PER_DATAGRAM_MAX);
    for reversed in [false, true] {
        let mut table = Reassembly::new(200);
        if reversed {
            pieces.reverse();
        }
        let last = pieces.len() - 1;
        for (at, (offset, more, bytes)) in pieces.iter().enumerate() {
            let outcome = insert(&mut table, &pool, v4(1, 1), *offset, *more, bytes);
            if at == last {
                assert!(whole(outcome) == payload);
            } else {
                assert!(matches!(outcome, Outcome::Waits));
                assert_eq!(pool.stats().in_use as usize, table.buffers());
                // A duplicate of what may have been put behind another is one all the same.
                let (offset, more, bytes) = &pieces[at / 2];
                assert_eq!(refusal(insert(&mut table, &pool, v4(1, 1), *offset, *more, bytes)), Refusal::Duplicate);
            }
        }
        assert_eq!(pool.available(), 200);
    }
}

#[test]
fn first_fragment_is_quoted_as_it_came() {
    let pool = pool(200);
    let mut table = Reassembly::new(200);
    for (offset, more, bytes) in &cut(&counting(50_000), 480)[..100] {
        assert!(matches!(insert(&mut table, &pool, v4(1, 1), *offset, *more, bytes), Outcome::Waits));
    }
    assert!(table.buffers() < 100);
    let first = table.poll(START + REASSEMBLY_TIME_V4).unwrap().first.unwrap();
    assert_eq!((first.len(), &first[V4_HEADER..]), (V4_HEADER + 480, &counting(50_000)[..480]));
}

#[test]
fn datagram_of_too_many_pieces_is_given_up() {
    let pool = pool(100);
    let mut table = Reassembly::new(2 * FRAGMENTS_PER_DATAGRAM_MAX + 2);
    // With holes, so that nothing can be put together.
    for number in 0..FRAGMENTS_PER_DATAGRAM_MAX as u16 {
        assert!(matches!(insert(&mut table, &pool, v6(1, 1), number * 16, true, b"8 bytes."), Outcome::Waits));
    }
    assert_eq!(refusal(insert(&mut table, &pool, v6(1, 1), 8, true, b"8 bytes.")), Refusal::TooMany);
    assert_eq!((table.len(), table.buffers(), pool.available()), (0, 0, 100));
}

#[test]
fn source_takes_only_its_share() {
    let pool = pool(600);
    let mut table = Reassembly::new(600);
    assert!(matches!(insert(&mut table, &pool, v4(9, 1), 0, true, b"8 bytes."), Outcome::Waits));
    for id in 0..200 {
        assert!(matches!(insert(&mut table, &pool, v4(1, id), 0, true, b"8 bytes."), Outcome::Waits));
    }
    assert_eq!((table.len(), table.evicted()), (1 + REASSEMBLY_PER_SOURCE_MAX, 200 - REASSEMBLY_PER_SOURCE_MAX as u64));
    // The others have what they had; of this one the oldest have gone.
    assert_eq!(whole(insert(&mut table, &pool, v4(9, 1), 8, false, b"end")), b"8 bytes.end");
    assert_eq!(whole(insert(&mut table, &pool, v4(1, 199), 8, false, b"end")), b"8 bytes.end");
    assert!(matches!(insert(&mut table, &pool, v4(1, 0), 8, false, b"end"), Outcome::Waits));
}

#[test]
fn table_is_bounded_and_the_oldest_goes() {
    let pool = pool(600);
    let mut table = Reassembly::new(600);
    for source in 0..300 {
        assert!(matches!(insert(&mut table, &pool, v6(source, 1), 0, true, b"8 bytes."), Outcome::Waits));
    }
    assert_eq!((table.len(), table.evicted()), (REASSEMBLY_DATAGRAMS_MAX, 300 - REASSEMBLY_DATAGRAMS_MAX as u64));
    assert_eq!(whole(insert(&mut table, &pool, v6(299, 1), 8, false, b"end")), b"8 bytes.end");
    assert!(matches!(insert(&mut table, &pool, v6(0, 1), 8, false, b"end"), Outcome::Waits));
}

#[test]
fn buffers_are_bounded_for_a_source_and_in_all() {
    let pool = pool(40);
    let mut table = Reassembly::new(20);
    // One source has half of them, and then takes from itself.
    for id in 0..5 {
        for number in 0..4 {
            assert!(matches!(insert(&mut table, &pool, v4(1, id), 8 * number, true, b"8 bytes."), Outcome::Waits));
        }
    }
    // The oldest goes whole: of ten buffers four are given up for the next one.
    assert_eq!((table.buffers(), table.len(), table.evicted()), (8, 2, 3));
    // Another takes what is left, and then from itself as well.
    for number in 0..10 {
        assert!(matches!(insert(&mut table, &pool, v4(2, 1), 8 * number, true, b"8 bytes."), Outcome::Waits));
    }
    assert_eq!((table.buffers(), table.evicted()), (18, 3));
    // A datagram that alone has all that its source may have cannot become whole.
    assert_eq!(refusal(insert(&mut table, &pool, v4(2, 1), 80, true, b"8 bytes.")), Refusal::TooMany);
    assert_eq!((table.buffers(), pool.stats().in_use), (8, 8));
    for source in 3..10 {
        for number in 0..4 {
            assert!(matches!(insert(&mut table, &pool, v4(source, 1), 8 * number, true, b"8 bytes."), Outcome::Waits));
        }
    }
    assert_eq!((table.buffers(), table.len()), (20, 5));
    let mut nothing = Reassembly::new(0);
    assert_eq!(refusal(insert(&mut nothing, &pool, v4(1, 1), 0, true, b"8 bytes.")), Refusal::TooMany);
    assert!(nothing.is_empty());
}

#[test]
fn datagram_that_grows_does_not_go_for_itself() {
    let pool = pool(20);
    for (other_source, buffers) in [(1, 8), (2, 8)] {
        let mut table = Reassembly::new(if other_source == 1 { 2 * buffers } else { buffers });
        for number in 0..4 {
            for key in [v4(1, 1), v4(other_source, 2)] {
                assert!(matches!(insert(&mut table, &pool, key, 8 * number, true, &[number as u8; 8]), Outcome::Waits));
            }
        }
        // It is the oldest, and what is next goes.
        let grown = insert(&mut table, &pool, v4(1, 1), 32, false, b"end");
        if other_source == 1 {
            assert_eq!(whole(grown), [&[0; 8][..], &[1; 8], &[2; 8], &[3; 8], b"end"].concat());
            assert_eq!((table.len(), table.evicted()), (0, 1));
        } else {
            // Half of all that there may be is what one source may have.
            assert_eq!(refusal(grown), Refusal::TooMany);
            assert_eq!((table.len(), table.evicted()), (1, 0));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn outcome_is_that_of_sorting_what_has_come(
        fragments in prop::collection::vec((0..3_u32, 0..7_usize, 1..4_usize, any::<bool>(), 0..10_u8), 1..60),
        ipv6: bool,
    ) {
        let pool = pool(128);
        let mut table = Reassembly::new(128);
        let mut models = vec![Model::default(); 3];
        for (id, start, units, more, odd) in fragments {
            let key = if ipv6 { v6(1, id) } else { v4(1, id) };
            // Mostly what belongs there, so that duplicates are such.
            let mut payload = counting(80)[start * 8..(start + units) * 8].to_vec();
            if odd == 0 {
                payload[0] ^= 1;
            }
            // The end is mostly where the datagram ends.
            let more = if odd < 3 { more } else { start + units < 7 };
            let expected = if start == 0 && !more {
                Expected::Complete(payload.clone())
            } else {
                models[id as usize].insert(start * 8, more, &payload, ipv6)
            };
            let found = match insert(&mut table, &pool, key, start as u16 * 8, more, &payload) {
                Outcome::Waits => Expected::Waits,
                Outcome::Complete(datagram) => Expected::Complete(datagram.payload.to_vec()),
                Outcome::Refused(refusal, _) => Expected::Refused(refusal),
            };
            prop_assert_eq!(found, expected);
            prop_assert_eq!(table.buffers(), models.iter().map(|model| model.pieces.len()).sum::<usize>());
            prop_assert_eq!(table.buffers(), pool.stats().in_use as usize);
        }
    }

    #[test]
    fn what_was_cut_comes_whole_in_any_order(
        lens in prop::collection::vec(0..9000_usize, 1..6),
        each in 64..1480_usize,
        order in prop::collection::vec(any::<prop::sample::Index>(), 800),
        ipv6: bool,
    ) {
        let pool = pool(800);
        let mut table = Reassembly::new(800);
        let mut left = vec![];
        for (id, len) in lens.iter().enumerate() {
            left.extend(cut(&counting(*len), each).into_iter().map(|fragment| (id, fragment)));
        }
        let mut done = 0;
        for index in order {
            if left.is_empty() {
                break;
            }
            let (id, (offset, more, bytes)) = left.swap_remove(index.index(left.len()));
            let key = if ipv6 { v6(id as u32, 5) } else { v4(1, id as u32) };
            match insert(&mut table, &pool, key, offset, more, &bytes) {
                Outcome::Complete(datagram) => {
                    prop_assert!(datagram.payload.to_vec() == counting(lens[id]));
                    done += 1;
                }
                Outcome::Waits => {}
                Outcome::Refused(refusal, _) => {
                    // Only if so many pieces came so far apart that they could not be put together.
                    prop_assert_eq!(refusal, Refusal::TooMany);
                    prop_assert!(lens[id].div_ceil(each & !7) > FRAGMENTS_PER_DATAGRAM_MAX);
                    return Ok(());
                }
            }
        }
        prop_assert!(left.is_empty());
        prop_assert_eq!((done, table.len(), pool.available()), (lens.len(), 0, 800));
    }

    #[test]
    fn bounds_hold_whatever_comes(
        buffers in 1..40_usize,
        fragments in prop::collection::vec((0..4_u32, 0..90_u32, 0..30_u16, 0..4_usize, any::<bool>(), 0..2_000_u64), 1..400),
    ) {
        let pool = pool(64);
        let mut table = Reassembly::new(buffers);
        let mut now = START;
        for (source, id, start, units, more, wait) in fragments {
            now += Duration::from_millis(wait);
            let key = if source % 2 == 0 { v4(source, id) } else { v6(source, id) };
            let payload = vec![7; units * 8];
            drop(table.insert(key, start * 8, more, packet(&pool, &key, &payload), headers(&key), now));
            prop_assert!(table.buffers() <= buffers && table.len() <= REASSEMBLY_DATAGRAMS_MAX);
            prop_assert_eq!(table.buffers(), pool.stats().in_use as usize);
            while let Some(expired) = table.poll(now) {
                prop_assert!(expired.first.is_none_or(|first| first.len() >= V4_HEADER));
            }
            prop_assert!(table.next_deadline().is_none_or(|deadline| deadline > now));
            prop_assert_eq!(table.next_deadline().is_none(), table.is_empty());
        }
        while table.poll(Time::MAX).is_some() {}
        prop_assert_eq!((table.len(), pool.available()), (0, 64));
    }

    #[test]
    fn random_steps(steps in prop::collection::vec(any::<[u8; 4]>(), 1..200)) {
        fuzz::reassembly(steps.as_flattened());
    }
}

/// What the fuzzer has found worth keeping, cut anywhere.
#[test]
fn corpus() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/ip_reassembly");
    let files: Vec<_> = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 4, "the corpus is not there");
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        println!("{}, {} bytes", file.display(), bytes.len());
        (0..=bytes.len()).step_by(4).for_each(|len| fuzz::reassembly(&bytes[..len]));
    }
}
