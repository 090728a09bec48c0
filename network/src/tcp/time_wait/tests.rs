// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connections that have ended: what is late, what is new, and in which order they are forgotten.

use super::*;
use crate::wire::Ecn;
use crate::wire::tcp::Options;
use proptest::prelude::*;
use runtime::buf::{Classes, Pools, Sga};

const STATE: TimeWait = TimeWait { next: Seq(1000), expected: Seq(5000), window: 100, clocks: None };
const CLOCKED: TimeWait = TimeWait { clocks: Some((7, 400)), ..STATE };

fn segment(flags: Flags, seq: u32, clock: Option<u32>) -> Incoming {
    let timestamps = clock.map(|value| Timestamps { value, echo: 0 });
    Incoming {
        seq: Seq(seq),
        ack: Seq(1000),
        flags,
        window: 1000,
        options: Options { timestamps, ..Options::default() },
        ecn: Ecn::NotCapable,
        payload: Sga::new(),
    }
}

/// RFC 1337 section 3, fix F1.
#[test]
fn a_reset_ends_no_wait() {
    assert_eq!(STATE.judge(&segment(Flags::RST, 5000, None)), Late::Drop);
    assert_eq!(STATE.judge(&segment(Flags::RST | Flags::ACK, 5000, None)), Late::Drop);
}

/// RFC 9293 section 3.10.7.4: a FIN that comes again is acknowledged, and the wait begins anew.
#[test]
fn a_late_end_is_acknowledged_again() {
    assert_eq!(STATE.judge(&segment(Flags::FIN | Flags::ACK, 4999, None)), Late::Again);
    assert_eq!(CLOCKED.judge(&segment(Flags::FIN | Flags::ACK, 4999, Some(400))), Late::Again);
    assert_eq!(STATE.judge(&segment(Flags::FIN | Flags::ACK, 5000, None)), Late::Challenge);
    // An older clock: a duplicate of long ago.
    assert_eq!(CLOCKED.judge(&segment(Flags::FIN | Flags::ACK, 4999, Some(399))), Late::Challenge);
    assert_eq!(STATE.judge(&segment(Flags::ACK, 5000, None)), Late::Drop);
    assert_eq!(STATE.judge(&segment(Flags(0), 5000, None)), Late::Drop);
    let pools = Pools::new(&Classes::default()).unwrap();
    let mut data = segment(Flags::ACK, 4990, None);
    data.payload = pools.alloc_copy(b"ten bytes!").unwrap().into();
    assert_eq!(STATE.judge(&data), Late::Challenge);
}

/// RFC 6191 section 2, case by case; RFC 9293 section 3.6.1.
/// RFC 6191 section 3.
#[test]
fn a_syn_that_is_certainly_new_opens_again() {
    for (state, seq, clock, late) in [
        (CLOCKED, 1, Some(401), Late::Reopen),
        (CLOCKED, 5001, Some(400), Late::Reopen),
        (CLOCKED, 5000, Some(400), Late::Challenge),
        (CLOCKED, 6000, Some(399), Late::Challenge),
        (CLOCKED, 6000, None, Late::Reopen),
        (CLOCKED, 4000, None, Late::Challenge),
        (STATE, 6000, Some(1), Late::Reopen),
        (STATE, 5000, Some(1), Late::Challenge),
        (STATE, 5001, None, Late::Reopen),
        (STATE, 4999, None, Late::Challenge),
    ] {
        assert_eq!(state.judge(&segment(Flags::SYN, seq, clock)), late, "{state:?} {seq} {clock:?}");
        assert_eq!(state.judge(&segment(Flags::SYN | Flags::ACK, seq, clock)), Late::Challenge);
    }
}

proptest! {
    #[test]
    fn the_oldest_goes_first(steps in prop::collection::vec((0_u8..4, 0_u64..5), 0..300)) {
        const WAIT: Duration = Duration::from_mins(1);
        let flow = Flow::new("10.0.0.1:80".parse().unwrap(), "10.0.0.2:81".parse().unwrap());
        let (mut table, mut oracle, mut now) = (TimeWaits::new(8), Vec::<(Time, u32)>::new(), Time::from_nanos(1));
        for (step, wait) in steps {
            now += Duration::from_secs(wait);
            match step {
                0 | 1 => {
                    let inserted = table.insert(flow, 1, None, STATE, now + WAIT);
                    prop_assert_eq!(inserted.is_some(), oracle.len() < 8);
                    oracle.extend(inserted.map(|index| (now + WAIT, index)));
                }
                2 if !oracle.is_empty() => {
                    let (_, index) = oracle.remove(wait as usize % oracle.len());
                    table.restart(index, now, WAIT);
                    oracle.push((now + WAIT, index));
                }
                _ => {
                    while let Some(index) = table.expired(now) {
                        prop_assert_eq!(table.remove(index).map(|_| index), Some(oracle.remove(0).1));
                    }
                }
            }
            prop_assert_eq!(table.len() as usize, oracle.len());
            prop_assert_eq!(table.oldest(), oracle.first().map(|first| first.1));
            prop_assert_eq!(table.next_deadline(), oracle.first().map(|first| first.0));
        }
    }
}
