// SPDX-License-Identifier: MIT OR Apache-2.0
//! RFC 6298, and what follows a timeout (RFC 5681 section 3.1).

use core::time::Duration;

use runtime::time::Time;

use super::hand::{ALL, Hand, MSS, ms, nothing, settings};
use crate::limits::RTT_GRANULARITY;
use crate::tcp::recovery::{Acknowledgment, Expired, Features, Rto, State};
use crate::tcp::settings::Settings;

/// Sections 2.2 and 2.3: SRTT, RTTVAR and RTO after each sample, with a floor of 1 ms, in microseconds.
#[test]
fn samples_give_the_timeout_of_the_formulas() {
    let mut rto = Rto::new(&Settings { rto_min: ms(1), ..settings() });
    assert_eq!(rto.get(), ms(1000));
    let table = [
        (100_000, 100_000, 50_000, 300_000),
        (140_000, 105_000, 47_500, 295_000),
        (105_000, 105_000, 35_625, 247_500),
        (25_000, 95_000, 46_718, 281_875),
    ];
    for (sample, srtt, variance, timeout) in table {
        let sample = Duration::from_micros(sample);
        rto.measured(sample, sample, Time::ZERO);
        assert_eq!([rto.srtt(), rto.rttvar(), rto.get()].map(|each| each.as_micros()), [srtt, variance, timeout]);
    }
    assert_eq!(rto.min_rtt(), ms(25));
}

/// RFC 6298, section 2: a sample is no shorter than the clock can tell, so that what was measured is never taken for nothing.
#[test]
fn a_sample_of_no_time_is_one() {
    let mut rto = Rto::new(&settings());
    for _ in 0..100 {
        rto.measured(Duration::ZERO, Duration::ZERO, Time::ZERO);
        assert_eq!((rto.srtt(), rto.get()), (RTT_GRANULARITY, ms(200) + RTT_GRANULARITY));
    }
}

/// Section 2.4, as Linux has it: the floor stands in the place of four times the variation.
#[test]
fn a_steady_path_has_the_floor_above_its_round_trip() {
    let mut rto = Rto::new(&settings());
    for _ in 0..100 {
        rto.measured(ms(300), ms(300), Time::ZERO);
    }
    assert_eq!(rto.get(), ms(500));
}

/// Sections 2.5 and 5.5.
#[test]
fn doubling_ends_at_the_maximum_and_with_a_sample() {
    let mut rto = Rto::new(&settings());
    rto.measured(ms(100), ms(100), Time::ZERO);
    for expected in [300, 600, 1200, 2400, 4800, 9600, 19_200, 38_400, 76_800, 120_000, 120_000] {
        assert_eq!(rto.get(), ms(expected));
        rto.double();
    }
    rto.measured(ms(100), ms(100), Time::ZERO);
    assert!(rto.get() < ms(301));
    // Nothing overflows, whatever the settings are: an hour is counted with.
    let mut rto = Rto::new(&Settings { rto_min: Duration::MAX, rto_max: Duration::MAX, ..settings() });
    rto.measured(Duration::MAX, Duration::MAX, Time::ZERO);
    for _ in 0..50 {
        rto.double();
        assert!(rto.get() > Duration::from_hours(1));
    }
}

/// The shortest round trip is forgotten after some minutes.
#[test]
fn the_shortest_round_trip_grows_old() {
    let mut rto = Rto::new(&settings());
    rto.measured(ms(10), ms(10), Time::ZERO);
    rto.measured(ms(30), ms(30), Time::from_nanos(299_000_000_000));
    assert_eq!(rto.min_rtt(), ms(10));
    rto.measured(ms(30), ms(20), Time::from_nanos(301_000_000_000));
    assert_eq!(rto.min_rtt(), ms(20));
}

/// Section 5: 5.1 armed by the first segment and not moved by the next, 5.3 begun anew by an ACK of something new, 5.2 off when
/// nothing is outstanding.
#[test]
fn the_timer_follows_the_left_edge() {
    let mut hand = Hand::with(&Settings { rack: false, ..settings() }, ALL, Some(100));
    assert_eq!(hand.deadline(), None);
    hand.at(0).send(1).at(50).send(1);
    assert_eq!(hand.deadline(), Some(300));
    hand.at(100).ack(1000, &[]);
    assert_eq!(hand.deadline(), Some(100 + hand.recovery.rto().as_millis() as u64));
    hand.at(150).ack(2000, &[]);
    assert_eq!(hand.deadline(), None);
}

/// Sections 5.4 to 5.6; the window is one segment, and the threshold half of what was in flight, once (RFC 5681 section 3.1).
#[test]
fn a_timeout_sends_the_first_segment_again() {
    let mut hand = Hand::with(&Settings { rack: false, ..settings() }, ALL, Some(100));
    hand.at(0).send(8);
    assert_eq!(hand.at(299).expired(), Expired::Nothing);
    assert_eq!(hand.at(300).expired(), Expired::Timeout { count: 1 });
    assert_eq!((hand.resend(), hand.window(), hand.recovery.controller().threshold()), (vec![0], MSS, 4 * MSS));
    assert_eq!((hand.deadline(), hand.recovery.room()), (Some(900), 0));
    assert_eq!(hand.at(900).expired(), Expired::Timeout { count: 2 });
    assert_eq!((hand.resend(), hand.recovery.controller().threshold()), (vec![0], 4 * MSS));
    assert_eq!(hand.deadline(), Some(2100));
    // What was sent is sent again as the window grows, in whole segments (RFC 5681 section 4.3 has no more to say).
    hand.at(1000).ack(1000, &[]);
    assert_eq!(hand.recovery.timeouts(), 0);
    assert_eq!(hand.resend(), [1000, 2000]);
    hand.at(1100).ack(8000, &[]);
    assert_eq!((hand.recovery.state(), hand.recovery.in_flight(), hand.recovery.is_idle()), (State::Open, 0, true));
}

/// Short segments go together when they go again.
#[test]
fn short_segments_are_sent_again_as_whole_ones() {
    let mut hand = Hand::with(&Settings { rack: false, ..settings() }, ALL, Some(100));
    for _ in 0..25 {
        hand.at(0).send_bytes(100);
    }
    hand.at(300).expired();
    let (start, end) = hand.recovery.lost().unwrap();
    assert_eq!(end.since(start), MSS);
    hand.resend();
    hand.at(400).ack(1000, &[]);
    assert_eq!(hand.resend(), [1000, 2000]);
    assert_eq!((hand.recovery.in_flight(), hand.recovery.retransmits()), (1500, 3));
}

/// Section 3, Karn: what was sent twice gives no round trip, but for its timestamp (RFC 7323 section 4); until then the timeout
/// stays doubled.
#[test]
fn what_was_sent_twice_is_not_measured() {
    for timestamps in [false, true] {
        let mut hand = Hand::with(&Settings { rack: false, ..settings() }, Features { timestamps, ..ALL }, Some(100));
        hand.at(0).send(1).at(300).expired();
        hand.resend();
        let rtt = timestamps.then_some(ms(50));
        hand.at(350).full(1000, &[], Acknowledgment { rtt, ..nothing() });
        let (srtt, rto) = if timestamps { (93_750, 293_750) } else { (100_000, 600_000) };
        assert_eq!((hand.recovery.srtt().as_micros(), hand.recovery.rto().as_micros()), (srtt, rto));
    }
}

/// Section 5.7: 3 s for the data of a connection whose SYN was lost; RFC 5681 section 3.1: one segment.
#[test]
fn a_lost_syn_makes_careful() {
    let mut hand = Hand::with(&settings(), ALL, None);
    hand.recovery.opened(None, true, hand.now());
    assert_eq!((hand.recovery.rto(), hand.window()), (ms(3000), MSS));
    assert_eq!(hand.recovery.controller().threshold(), u32::MAX);
}

/// RFC 5681 section 4.1: after an idle time of more than a timeout, the window is the initial one at most.
#[test]
fn an_idle_connection_starts_anew() {
    let mut hand = Hand::new();
    for round in 0..4 {
        let before = hand.recovery.next().since(hand.recovery.una());
        assert_eq!(before, 0);
        let segments = hand.window() / MSS;
        hand.at(round * 100).send(segments);
        let all = hand.recovery.next();
        for _ in 0..segments {
            let ack = hand.recovery.una() + MSS;
            hand.at(round * 100 + 100);
            hand.recovery.acknowledged(&Acknowledgment { ack, ..nothing() }, hand.now());
        }
        assert_eq!(hand.recovery.una(), all);
    }
    let grown = hand.window();
    assert!(grown > 40 * MSS);
    hand.at(500).send(1);
    assert_eq!(hand.window(), grown);
    let all = hand.recovery.next();
    let now = hand.at(600).now();
    hand.recovery.acknowledged(&Acknowledgment { ack: all, ..nothing() }, now);
    hand.at(10_000).send(1);
    assert_eq!(hand.window(), 10 * MSS);
}

/// Sections 3 and 5.5: what was sent once and what was sent again are acknowledged together, which is no sample; but the timeout need
/// not be doubled beyond the time that what was sent once has taken.
#[test]
fn an_answer_to_what_was_sent_once_ends_the_doubling() {
    let mut hand = Hand::with(&settings(), Features { timestamps: false, ..ALL }, Some(100));
    hand.at(0).send(1);
    hand.at(300);
    assert_eq!(hand.expired(), Expired::Probe);
    hand.at(600);
    assert_eq!(hand.expired(), Expired::Timeout { count: 1 });
    hand.resend();
    assert_eq!(hand.recovery.rto(), ms(600));
    hand.at(700).ack(1000, &[]);
    assert_eq!(hand.recovery.rto(), ms(600), "of two copies nobody knows which was answered");
    let srtt = hand.recovery.srtt();
    // The last of three is sent again as a probe, and all are acknowledged with it.
    hand.at(1000).send(3);
    hand.at(1200);
    assert_eq!(hand.expired(), Expired::Probe);
    let (start, end) = hand.recovery.probe().unwrap();
    let now = hand.now();
    hand.recovery.resent(start, end, now);
    hand.at(1300).ack(4000, &[]);
    assert_eq!((hand.recovery.rto(), hand.recovery.srtt()), (ms(300), srtt));
    // Not further than what it has taken.
    let mut rto = Rto::new(&settings());
    rto.measured(ms(100), ms(100), Time::ZERO);
    for _ in 0..5 {
        rto.double();
    }
    rto.answered(ms(900));
    assert_eq!(rto.get(), ms(1200));
    rto.answered(ms(300));
    assert_eq!(rto.get(), ms(300));
}
