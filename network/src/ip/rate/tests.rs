// SPDX-License-Identifier: MIT OR Apache-2.0
//! The token bucket: the burst, the rate, and that it does not come out even.

use core::time::Duration;

use proptest::prelude::*;
use runtime::time::Time;

use super::Bucket;
use crate::keyed::{Random, Secret};

const START: Time = Time::from_nanos(1 << 40);

fn bucket(burst: u32, per_second: u32, seed: u8) -> Bucket {
    Bucket::new(burst, per_second, Random::new(Secret([seed; 16])))
}

/// How many tokens there are at once.
fn drain(bucket: &mut Bucket, now: Time) -> u32 {
    let mut taken = 0;
    while bucket.take(now) {
        taken += 1;
        assert!(taken < 10_000);
    }
    taken
}

/// RFC 4443 §2.4, RFC 1812 §4.3.2.8.
#[test]
fn burst_then_rate() {
    let mut bucket = bucket(50, 1000, 1);
    let burst = drain(&mut bucket, START);
    assert!((17..=50).contains(&burst), "{burst}");
    assert!(!bucket.take(START));
    let again = drain(&mut bucket, START + Duration::from_secs(10));
    assert!((17..=50).contains(&again), "{again}");
    // The clock standing still, or going back, gives nothing.
    assert!(!bucket.take(START));
    assert!(!bucket.take(START + Duration::from_secs(10)));
}

#[test]
fn burst_varies_so_that_it_tells_nothing() {
    let bursts: Vec<u32> = (0..20).map(|seed| drain(&mut bucket(50, 1000, seed), START)).collect();
    assert!(bursts.iter().any(|burst| *burst != bursts[0]), "{bursts:?}");
}

#[test]
fn nothing_is_given_without_rate_or_burst() {
    assert!(!bucket(0, 1000, 1).take(START));
    assert!(!bucket(50, 0, 1).take(START));
    assert!(bucket(1, u32::MAX, 1).take(START));
    assert!(bucket(u32::MAX, 1, 1).take(Time::MAX));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// RFC 1812 §4.3.2.8.
    #[test]
    fn no_span_has_more_than_burst_and_rate(
        burst in 1..20_u32,
        per_second in 1..2000_u32,
        waits in prop::collection::vec(0..2_000_000_u64, 1..300),
        seed: u8,
    ) {
        let mut bucket = bucket(burst, per_second, seed);
        let mut now = START;
        let mut given = vec![];
        for wait in waits {
            now += Duration::from_nanos(wait);
            if bucket.take(now) {
                given.push(now);
            }
        }
        let token = 1_000_000_000 / u64::from(per_second);
        for (at, first) in given.iter().enumerate() {
            for (more, last) in given[at..].iter().enumerate() {
                let span = last.saturating_since(*first).as_nanos();
                prop_assert!((more as u128) < u128::from(burst) + span / u128::from(token));
            }
        }
    }
}
