// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whatever is told, in whatever order.

use core::time::Duration;

use proptest::prelude::*;
use runtime::time::Time;

use crate::limits::CONGESTION_WINDOW_MAX;
use crate::tcp::congestion::{Ack, Congested, Controller};
use crate::tcp::rate::{Lost, Sample};
use crate::tcp::seq::Seq;
use crate::tcp::settings::Algorithm;

#[derive(Clone, Debug)]
enum Event {
    Sent(u32, u32),
    Ack { delivered: u32, acked: u32, in_flight: u32, rtt: Option<u64>, marked: u32, edges: (u32, u32), recovers: bool },
    Sampled { delivered: u32, nanos: u64, prior: u32, lost: u32 },
    Lost(u32, u32, u32),
    Congested(bool, u32),
    Timeout(u32, bool),
    RecoveryEnd,
    Undo,
    Idle(u64, u64),
    Mss(u32),
    Limited(bool),
}

fn bytes() -> impl Strategy<Value = u32> {
    prop_oneof![0..3000_u32, 0..2_000_000_u32, any::<u32>()]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (bytes(), bytes()).prop_map(|(in_flight, bytes)| Event::Sent(in_flight, bytes)),
        8 => (bytes(), bytes(), bytes(), any::<Option<u64>>(), bytes(), any::<(u32, u32)>(), any::<bool>()).prop_map(
            |(delivered, acked, in_flight, rtt, marked, edges, recovers)| Event::Ack {
                delivered, acked, in_flight, rtt, marked, edges, recovers
            }
        ),
        4 => (bytes(), any::<u64>(), bytes(), bytes())
            .prop_map(|(delivered, nanos, prior, lost)| Event::Sampled { delivered, nanos: nanos >> 20, prior, lost }),
        2 => (bytes(), bytes(), bytes()).prop_map(|(bytes, in_flight, since)| Event::Lost(bytes, in_flight, since)),
        1 => (any::<bool>(), bytes()).prop_map(|(lost, in_flight)| Event::Congested(lost, in_flight)),
        1 => (bytes(), any::<bool>()).prop_map(|(in_flight, first)| Event::Timeout(in_flight, first)),
        1 => Just(Event::RecoveryEnd),
        1 => Just(Event::Undo),
        1 => any::<(u64, u64)>().prop_map(|(idle, rto)| Event::Idle(idle, rto)),
        1 => any::<u32>().prop_map(|mss| Event::Mss(mss >> 16)),
        1 => any::<bool>().prop_map(Event::Limited),
    ]
}

fn tell(control: &mut Controller, event: &Event, now: Time) {
    let ack = Ack {
        now,
        delivered: 0,
        acked: 0,
        in_flight: 0,
        lost: 0,
        rtt: None,
        srtt: Duration::from_millis(10),
        marked: 0,
        una: Seq(0),
        next: Seq(0),
        rate: None,
        in_recovery: false,
    };
    match *event {
        Event::Sent(in_flight, bytes) => control.on_sent(now, in_flight, bytes),
        Event::Ack { delivered, acked, in_flight, rtt, marked, edges: (una, next), recovers } => {
            let rtt = rtt.map(Duration::from_nanos);
            let srtt = rtt.unwrap_or_default();
            let (una, next) = (Seq(una), Seq(next));
            control.on_ack(&Ack {
                delivered,
                acked,
                in_flight,
                rtt,
                srtt,
                marked,
                una,
                next,
                in_recovery: recovers,
                ..ack
            });
        }
        Event::Sampled { delivered, nanos, prior, lost } => {
            let rate = Some(Sample {
                delivered,
                interval: Duration::from_nanos(nanos.max(1)),
                app_limited: nanos.is_multiple_of(3),
                prior_delivered: prior,
                total_delivered: prior.wrapping_add(delivered),
                in_flight: delivered,
                lost,
            });
            let rtt = Some(Duration::from_nanos(nanos));
            control.on_ack(&Ack { delivered, acked: delivered, in_flight: delivered, lost, rtt, rate, ..ack });
        }
        Event::Lost(bytes, in_flight, since) => {
            control.on_lost(&Lost { bytes, in_flight, since, app_limited: bytes.is_multiple_of(2) });
        }
        Event::Congested(lost, in_flight) => {
            control.on_congestion(if lost { Congested::Loss } else { Congested::Marked }, now, in_flight);
        }
        Event::Timeout(in_flight, first) => control.on_timeout(now, in_flight, first),
        Event::RecoveryEnd => control.on_recovery_end(now),
        Event::Undo => control.undo(),
        Event::Idle(idle, rto) => control.on_idle(now, Duration::from_nanos(idle), Duration::from_nanos(rto)),
        Event::Mss(mss) => control.set_mss(mss),
        Event::Limited(limited) => control.set_application_limited(limited),
    }
}

proptest! {
    #[test]
    fn the_window_is_from_one_segment_to_the_bound(
        events in prop::collection::vec((event(), any::<u32>()), 1..400),
        mss in 1_u32..70_000,
    ) {
        for algorithm in [Algorithm::Cubic, Algorithm::NewReno, Algorithm::Dctcp, Algorithm::Bbr] {
            let mut now = Time::ZERO;
            let mut control = Controller::new(algorithm, mss, now);
            let mut size = mss.min(65_535);
            for (event, later) in &events {
                now += Duration::from_nanos(u64::from(*later) << (later % 8));
                if let Event::Mss(mss) = event {
                    size = (*mss).max(1);
                }
                tell(&mut control, event, now);
                prop_assert!((size..=CONGESTION_WINDOW_MAX).contains(&control.window()), "{algorithm:?}: {}", control.window());
                prop_assert!(control.threshold() >= size);
                let _ = control.rate(Duration::ZERO).max(control.rate(Duration::MAX));
                prop_assert_ne!(control.pacing_rate(Duration::from_millis(1)), Some(0));
            }
        }
    }
}
