// SPDX-License-Identifier: MIT OR Apache-2.0
//! The wheel against an ordered map.

use super::*;
use crate::error::Errno;
use crate::time::Time;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

const TICK: u64 = 1024;

/// Advances without a limit and returns the keys in the order in which they fired.
fn drain(wheel: &mut Wheel, now: Time) -> Vec<u32> {
    let mut keys = Vec::new();
    wheel.advance(now, usize::MAX, |key| keys.push(key));
    keys
}

#[test]
fn fires_at_its_tick_and_not_before() {
    let start = Time::from_nanos(12_345_678_901);
    let mut wheel = Wheel::new(start, 8);
    let deadline = start + Duration::from_secs(3);
    wheel.insert(deadline, 7).unwrap();
    let due = wheel.next_deadline().unwrap();
    assert!(due >= deadline && due - deadline < Duration::from_nanos(TICK));
    assert_eq!(drain(&mut wheel, due - Duration::from_nanos(1)), []);
    assert_eq!(wheel.next_deadline(), Some(due), "a timer alone in its slot has an exact deadline");
    assert_eq!(drain(&mut wheel, due), [7]);
    assert!(wheel.is_empty());
    assert_eq!(wheel.next_deadline(), None);
}

#[test]
fn same_tick_fires_first_in_first_out() {
    let mut wheel = Wheel::new(Time::ZERO, 8);
    for key in 0..5 {
        wheel.insert(Time::from_nanos(1_000_000), key).unwrap();
    }
    assert_eq!(drain(&mut wheel, Time::from_nanos(2_000_000)), [0, 1, 2, 3, 4]);
}

#[test]
fn past_and_farthest_deadlines() {
    let now = Time::from_nanos(1 << 40);
    let mut wheel = Wheel::new(now, 8);
    wheel.insert(Time::ZERO, 1).unwrap();
    wheel.insert(Time::MAX, 2).unwrap();
    assert!(wheel.next_deadline().unwrap() <= now);
    assert_eq!(drain(&mut wheel, now), [1]);
    assert_eq!(drain(&mut wheel, Time::from_nanos(u64::MAX / 2)), []);
    assert_eq!(drain(&mut wheel, Time::MAX), [2]);
    // A clock that goes back changes nothing.
    wheel.insert(Time::ZERO, 3).unwrap();
    assert_eq!(drain(&mut wheel, Time::MAX), [3]);
}

#[test]
fn full_and_stale() {
    let mut wheel = Wheel::new(Time::ZERO, 2);
    let first = wheel.insert(Time::from_nanos(10), 0).unwrap();
    wheel.insert(Time::from_nanos(20), 1).unwrap();
    assert_eq!(wheel.insert(Time::from_nanos(30), 2).unwrap_err().errno(), Errno::MFILE);
    assert!(wheel.cancel(first));
    assert!(!wheel.cancel(first));
    let third = wheel.insert(Time::from_nanos(30), 2).unwrap();
    assert!(!wheel.cancel(first), "the slot is used again, the name is not");
    assert_eq!(wheel.len(), 2);
    assert_eq!(drain(&mut wheel, Time::from_nanos(2048)), [1, 2]);
    assert!(!wheel.cancel(third));
}

#[test]
fn budget_bounds_a_cascade_and_loses_nothing() {
    let mut wheel = Wheel::new(Time::ZERO, 1000);
    let deadline = Time::from_nanos(5_000_000_000);
    for key in 0..1000 {
        wheel.insert(deadline, key).unwrap();
    }
    let mut fired = 0;
    let mut rounds = 0;
    while wheel.next_deadline().is_some_and(|due| due <= Time::MAX) {
        let step = wheel.advance(Time::MAX, 10, |_| {});
        assert!(step <= 10);
        fired += step;
        rounds += 1;
        assert!(rounds <= 1000, "at most nine steps for each timer");
    }
    assert_eq!(fired, 1000);
}

#[derive(Clone, Debug)]
enum Step {
    Insert { after: u64 },
    Cancel { pick: usize },
    Advance { by: u64, budget: usize },
}

/// Spans from within a tick to years, so that every level is met.
fn span() -> impl Strategy<Value = u64> {
    (0u32..57, any::<u64>()).prop_map(|(bits, value)| value & ((1 << bits) - 1))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => span().prop_map(|after| Step::Insert { after }),
        // Close deadlines share slots.
        3 => (0u64..200_000).prop_map(|after| Step::Insert { after }),
        2 => any::<usize>().prop_map(|pick| Step::Cancel { pick }),
        2 => (span(), prop_oneof![Just(usize::MAX), 0usize..6]).prop_map(|(by, budget)| Step::Advance { by, budget }),
        3 => (0u64..100_000, prop_oneof![Just(usize::MAX), 0usize..6]).prop_map(|(by, budget)| Step::Advance { by, budget }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn agrees_with_an_ordered_map(origin in 0u64..1 << 50, steps in prop::collection::vec(step(), 1..150)) {
        let mut now = Time::from_nanos(origin);
        let mut wheel = Wheel::new(now, 64);
        // Key to the tick at which it is due; keys are never used twice.
        let mut live: BTreeMap<u32, u64> = BTreeMap::new();
        let mut ids: Vec<(TimerId, u32)> = Vec::new();
        for (serial, step) in steps.into_iter().enumerate() {
            let serial = u32::try_from(serial).unwrap();
            match step {
                Step::Insert { after } => {
                    let deadline = now + Duration::from_nanos(after);
                    match wheel.insert(deadline, serial) {
                        Ok(id) => {
                            live.insert(serial, deadline.as_nanos().div_ceil(TICK));
                            ids.push((id, serial));
                        }
                        Err(error) => {
                            prop_assert_eq!(error.errno(), Errno::MFILE);
                            prop_assert_eq!(live.len(), 64);
                        }
                    }
                }
                Step::Cancel { pick } if !ids.is_empty() => {
                    let (id, key) = ids[pick % ids.len()];
                    prop_assert_eq!(wheel.cancel(id), live.remove(&key).is_some());
                }
                Step::Cancel { .. } => {}
                Step::Advance { by, budget } => {
                    now += Duration::from_nanos(by);
                    let mut keys = Vec::new();
                    let count = wheel.advance(now, budget, |key| keys.push(key));
                    prop_assert_eq!(count, keys.len());
                    prop_assert!(count <= budget);
                    let mut last = 0;
                    for key in keys {
                        let due = live.remove(&key);
                        prop_assert!(due.is_some(), "fired twice, or after it was cancelled");
                        let due = due.unwrap();
                        prop_assert!(due * TICK <= now.as_nanos(), "fired early");
                        prop_assert!(due >= last, "fired out of order");
                        last = due;
                    }
                    if budget == usize::MAX {
                        prop_assert!(live.values().all(|due| due * TICK > now.as_nanos()), "late");
                        prop_assert!(wheel.next_deadline().is_none_or(|due| due > now), "a caller would spin");
                    }
                }
            }
            prop_assert_eq!(wheel.len(), live.len());
            match (wheel.next_deadline(), live.values().min()) {
                (Some(deadline), Some(due)) => prop_assert!(deadline.as_nanos() <= (due * TICK).max(now.as_nanos())),
                (None, None) => {}
                (deadline, due) => prop_assert!(false, "{:?} against {:?}", deadline, due),
            }
        }
        while !wheel.is_empty() {
            wheel.advance(Time::MAX, 3, |key| { live.remove(&key); });
        }
        prop_assert!(live.is_empty());
    }
}
