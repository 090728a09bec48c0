// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bucket gives what its rate says, whoever asks.

use core::time::Duration;

use proptest::prelude::*;

use super::*;

const START: Time = Time::from_nanos(1_000_000_000);

/// Releases segments as soon as they may leave, for a time; how many.
fn released(rate: u64, bytes: u32, time: Duration) -> u64 {
    let (mut pacer, mut now, mut count) = (Pacer::new(START), START, 0);
    while now - START < time {
        if let Some(at) = pacer.ready_at(now) {
            assert!(at > now);
            now = at;
            continue;
        }
        pacer.release(now, bytes, rate);
        count += 1;
    }
    count
}

#[test]
fn the_rate_is_kept() {
    for (rate, bytes) in
        [(125_000, 1448), (12_500_000, 1448), (1_250_000_000, 65_160), (12_500_000_000, 65_160), (3, 2)]
    {
        let time = Duration::from_secs(2);
        let sent = released(rate, bytes, time) * u64::from(bytes);
        let burst = u64::from(PACING_BURST).min(rate / 1000) + u64::from(bytes);
        let range = rate * 2 - rate / 500..=rate * 2 + rate / 500 + 2 * burst;
        assert!(range.contains(&sent), "{rate}: {sent}, {range:?}");
    }
}

/// After a pause a burst may leave at once, of 64 KiB or of what the rate gives in a millisecond.
#[test]
fn a_pause_gives_one_burst() {
    for (rate, burst) in [(1_000_000_000, 65_536), (10_000_000, 10_000)] {
        let mut pacer = Pacer::new(START);
        pacer.release(START, 1000, rate);
        let now = START + Duration::from_secs(1);
        let mut sent = 0;
        while pacer.ready_at(now).is_none() {
            pacer.release(now, 1000, rate);
            sent += 1000;
        }
        assert!((burst..=burst + 1000).contains(&sent), "{rate}: {sent}");
    }
}

#[test]
fn numbers_without_sense_do_no_harm() {
    let mut pacer = Pacer::new(Time::ZERO);
    pacer.release(Time::ZERO, u32::MAX, 0);
    assert!(pacer.ready_at(Time::ZERO).is_some());
    pacer.release(Time::MAX, u32::MAX, 0);
    pacer.release(Time::MAX, 0, u64::MAX);
    assert_eq!(pacer.ready_at(Time::MAX), None);
}

proptest! {
    /// Whoever asks late, early or with segments of any size: in no span more than the rate, a burst and one release.
    #[test]
    fn no_span_has_more_than_rate_and_burst(
        rate in 1000_u64..10_000_000_000,
        steps in prop::collection::vec((0_u64..3_000_000, 1_u32..70_000), 1..200),
    ) {
        let (mut pacer, mut now) = (Pacer::new(START), START);
        let mut released: Vec<(Time, u32)> = Vec::new();
        for (later, bytes) in steps {
            now += Duration::from_nanos(later);
            if pacer.ready_at(now).is_none() {
                pacer.release(now, bytes, rate);
                released.push((now, bytes));
            }
        }
        let burst = u64::from(PACING_BURST).min(rate / 1000) + 2;
        for (first, (start, _)) in released.iter().enumerate() {
            let mut sum = 0;
            for (end, bytes) in &released[first..] {
                let span = u64::try_from((*end - *start).as_nanos()).unwrap();
                let gives = u64::try_from(u128::from(rate) * u128::from(span) / 1_000_000_000).unwrap();
                // What each division cuts off is less than a nanosecond per release.
                let cut = (rate / 1_000_000_000 + 1) * released.len() as u64;
                prop_assert!(sum <= gives + burst + cut, "{sum} in {span} ns at {rate}");
                sum += u64::from(*bytes);
            }
        }
    }
}
