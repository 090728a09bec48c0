// SPDX-License-Identifier: MIT OR Apache-2.0
//! Samples of paths whose rate is known (draft-cheng-iccrg-delivery-rate-estimation, section 3).

use proptest::prelude::*;

use super::*;

const MSS: u32 = 1000;
const RTT: Duration = Duration::from_millis(10);

fn at(micros: u64) -> Time {
    Time::from_nanos(5_000_000_000 + micros * 1000)
}

/// The sample of an ACK for that one segment.
fn ack(rate: &mut Rate, (sent, stamp): (Time, Stamp), now: Time, min_rtt: Duration) -> Option<Sample> {
    let mut collected = Collected::default();
    rate.delivered(&mut collected, &stamp, sent, MSS, now);
    rate.finish(collected, min_rtt)
}

/// Sends segments `send` µs apart, which are acknowledged `acks` µs apart from a round trip behind the first on; the last
/// sample. `held`: all ACKs come together, when the last would.
fn run(segments: u64, send: u64, acks: u64, held: bool) -> Sample {
    let mut rate = Rate::new(at(0));
    let mut sent = Vec::new();
    for number in 0..segments {
        let now = at(number * send);
        sent.push((now, rate.sent(now, number as u32 * MSS, MSS)));
    }
    let mut last = None;
    for (number, segment) in (0..).zip(sent) {
        let now = at(10_000 + if held { segments - 1 } else { number } * acks);
        last = ack(&mut rate, segment, now, RTT).or(last);
    }
    last.unwrap()
}

/// A flow in which each ACK lets a segment go has the rate of the path.
#[test]
fn a_steady_flow_has_the_rate_of_its_path() {
    let mut rate = Rate::new(at(0));
    let mut segments = std::collections::VecDeque::new();
    for number in 0..10 {
        segments.push_back((at(number * 100), rate.sent(at(number * 100), number as u32 * MSS, MSS)));
    }
    for number in 0..100_u64 {
        // The path takes one segment in a millisecond.
        let now = at(10_000 + number * 1000);
        let sample = ack(&mut rate, segments.pop_front().unwrap(), now, RTT).unwrap();
        if number >= 20 {
            assert_eq!((sample.rate(), sample.delivered), (1_000_000, 10 * MSS), "{number}");
        }
        segments.push_back((now, rate.sent(now, 9 * MSS, MSS)));
    }
}

/// ACKs that come together do not make the path faster than the sender was; nor segments that leave together, faster than
/// the ACKs.
#[test]
fn the_longer_interval_counts() {
    // 20 segments over 19 ms and a round trip.
    let spread = run(20, 1000, 1000, false);
    let held = run(20, 1000, 1000, true);
    let burst = run(20, 0, 1000, false);
    for sample in [spread, held, burst] {
        assert!(sample.rate() <= 20 * 1_000_000 / 19, "{sample:?}");
        assert_eq!(sample.delivered, 20 * MSS);
    }
}

/// Section 3.4: marked from when data lack until what was in flight then is acknowledged.
#[test]
fn lack_of_data_is_told() {
    let mut rate = Rate::new(at(0));
    let first = (at(0), rate.sent(at(0), 0, MSS));
    rate.application_limited(MSS);
    let second = (at(1000), rate.sent(at(1000), MSS, MSS));
    assert!(!ack(&mut rate, first, at(10_000), RTT).unwrap().app_limited);
    let third = (at(10_500), rate.sent(at(10_500), MSS, MSS));
    assert!(ack(&mut rate, second, at(11_000), RTT).unwrap().app_limited);
    // All that was in flight then is delivered: what leaves now is bounded by the path.
    let fourth = (at(11_500), rate.sent(at(11_500), MSS, MSS));
    assert!(ack(&mut rate, third, at(20_500), RTT).unwrap().app_limited);
    assert!(!ack(&mut rate, fourth, at(21_500), RTT).unwrap().app_limited);
}

/// Section 3.2: a pause is part of no interval.
#[test]
fn a_pause_does_not_count() {
    let mut rate = Rate::new(at(0));
    let first = (at(0), rate.sent(at(0), 0, MSS));
    ack(&mut rate, first, at(10_000), RTT).unwrap();
    let second = (at(900_000), rate.sent(at(900_000), 0, MSS));
    let sample = ack(&mut rate, second, at(910_000), RTT).unwrap();
    assert_eq!((sample.interval, sample.delivered), (RTT, MSS));
}

/// Section 3.3: an ACK in less than the shortest round trip is that of a segment whose first copy had arrived.
#[test]
fn what_is_too_fast_is_no_sample() {
    let mut rate = Rate::new(at(0));
    let segment = (at(0), rate.sent(at(0), 0, MSS));
    assert_eq!(ack(&mut rate, segment, at(9_999), RTT), None);
    assert_eq!(rate.finish(Collected::default(), RTT), None);
    let segment = (at(10_000), rate.sent(at(10_000), 0, MSS));
    assert_eq!(ack(&mut rate, segment, at(10_000), Duration::ZERO), None);
}

/// The newest segment of an ACK makes the sample, in whatever order they are named.
#[test]
fn the_newest_counts() {
    let samples = [[0, 1, 2], [2, 1, 0], [1, 2, 0]].map(|order| {
        let mut rate = Rate::new(at(0));
        let first = (at(0), rate.sent(at(0), 0, MSS));
        ack(&mut rate, first, at(10_000), RTT);
        let mut later = Vec::new();
        for number in 0..3_u64 {
            later.push((at(10_000 + number * 1000), rate.sent(at(10_000 + number * 1000), number as u32 * MSS, MSS)));
        }
        let mut collected = Collected::default();
        for number in order {
            let (sent, stamp) = later[number];
            rate.delivered(&mut collected, &stamp, sent, MSS, at(22_000));
        }
        rate.finish(collected, RTT).unwrap()
    });
    assert!(samples.iter().all(|sample| *sample == samples[0]), "{samples:?}");
    assert_eq!((samples[0].delivered, samples[0].prior_delivered, samples[0].in_flight), (3 * MSS, MSS, 3 * MSS));
}

#[test]
fn losses_are_counted_from_when_a_segment_left() {
    let mut rate = Rate::new(at(0));
    let one = rate.sent(at(0), 0, MSS);
    let two = rate.sent(at(0), MSS, MSS);
    assert_eq!(rate.lost(&one, MSS), Lost { bytes: MSS, in_flight: MSS, since: MSS, app_limited: false });
    let three = (at(1000), rate.sent(at(1000), 2 * MSS, MSS));
    assert_eq!(rate.lost(&two, 500), Lost { bytes: 500, in_flight: 2 * MSS, since: 1500, app_limited: false });
    assert_eq!(ack(&mut rate, three, at(11_000), RTT).unwrap().lost, 500);
}

/// What each sent segment costs.
#[test]
fn a_stamp_is_small() {
    assert!(size_of::<Stamp>() <= 32 && size_of::<Rate>() <= 32, "{} {}", size_of::<Stamp>(), size_of::<Rate>());
}

proptest! {
    /// No sample is faster than what left, or than what arrived, whatever the order of ACKs; and counters go round.
    #[test]
    fn no_sample_is_faster_than_the_path(
        steps in prop::collection::vec((1_u64..3000, 0_usize..4, any::<bool>()), 1..300),
        start in any::<u32>(),
    ) {
        let mut rate = Rate::new(at(0));
        rate.delivered = start;
        let mut now = 0;
        let mut out: Vec<(Time, Stamp)> = Vec::new();
        for (later, which, sends) in steps {
            now += later;
            if sends || out.is_empty() {
                out.push((at(now), rate.sent(at(now), out.len() as u32 * MSS, MSS)));
                continue;
            }
            let segment = out.remove(which.min(out.len() - 1));
            // Segments and ACKs come one by one, at least a microsecond apart.
            if let Some(sample) = ack(&mut rate, segment, at(now), Duration::from_micros(1)) {
                prop_assert!(u128::from(sample.delivered / MSS) <= sample.interval.as_micros() + 1);
                prop_assert_eq!(sample.total_delivered, sample.prior_delivered.wrapping_add(sample.delivered));
            }
        }
    }
}
