// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bytes over wires that lose, delay, double and mark: each arrives once and in order.

use super::super::*;
use super::pair::*;
use crate::keyed::{Random, Secret};
use crate::tcp::settings::Algorithm;
use crate::wire::Ecn;
use crate::wire::tcp::Flags;
use core::time::Duration;
use proptest::prelude::*;

/// Of a thousand segments, how many are lost, late, doubled.
#[derive(Clone, Copy, Debug)]
struct Faults {
    lost: u32,
    late: u32,
    twice: u32,
}

fn bad(faults: Faults, seed: u8) -> Box<dyn FnMut(&Seen) -> Fate> {
    let mut random = Random::new(Secret([seed; 16]));
    Box::new(move |_| match random.below(1000) {
        n if n < faults.lost => Fate::Drop,
        n if n < faults.lost + faults.late => Fate::Late(Duration::from_micros(random.below(30_000).into())),
        n if n < faults.lost + faults.late + faults.twice => Fate::Twice,
        _ => Fate::Deliver,
    })
}

/// Both ways, and both ends.
fn carries(settings: Settings, faults: Faults, seed: u8, len: usize, most: u32) {
    println!("seed {seed}, {faults:?}");
    let mut pair = Pair::connected(settings);
    pair.limit = Limit { most };
    pair.wire = bad(faults, seed);
    let data = pattern(len);
    pair.push_all(CLIENT, &data, 1 + usize::from(seed) * 97);
    pair.push_all(SERVER, &data, 1 + usize::from(seed) * 53);
    pair.shutdown(CLIENT);
    pair.shutdown(SERVER);
    pair.run_to_the_end(Duration::from_hours(3));
    for end in [CLIENT, SERVER] {
        assert_eq!(pair.received[end].len(), len, "{} {:?}\n{}", end, pair.ended, pair.text());
        assert!(pair.received[end] == data);
        assert_eq!(pair.ended[end], Some(Ok(())), "{}", pair.text());
    }
}

/// RFC 9293 section 3.4: loss, reordering and duplication, with everything that there is to mend it, and with nothing.
#[test]
fn bad_wires() {
    let plain = Settings {
        sack: false,
        timestamps: false,
        window_scaling: false,
        ecn: false,
        rack: false,
        algorithm: Algorithm::NewReno,
        ..Settings::default()
    };
    for (seed, faults) in [
        Faults { lost: 0, late: 0, twice: 0 },
        Faults { lost: 10, late: 0, twice: 0 },
        Faults { lost: 100, late: 0, twice: 0 },
        Faults { lost: 0, late: 300, twice: 0 },
        Faults { lost: 0, late: 0, twice: 300 },
        Faults { lost: 50, late: 100, twice: 50 },
        Faults { lost: 300, late: 100, twice: 100 },
    ]
    .into_iter()
    .enumerate()
    {
        let seed = seed as u8 + 1;
        carries(Settings::default(), faults, seed, 150_000, 0);
        carries(Settings::default(), faults, seed + 20, 150_000, 20_000);
        carries(plain, faults, seed + 40, 100_000, 0);
        carries(Settings { algorithm: Algorithm::Bbr, ..Settings::datacenter() }, faults, seed + 60, 100_000, 0);
    }
}

/// Messages forth and back: a pop waits while there is nothing, and gives each message once.
/// RFC 9293 section 3.10.2, section 3.10.3, section 3.9.1.2.
#[test]
fn ping_pong() {
    let mut pair = Pair::connected(Settings::default());
    pair.pops = [false, false];
    for round in 0..50_u8 {
        for (from, to) in [(CLIENT, SERVER), (SERVER, CLIENT)] {
            assert!(pair.pop(to, None).is_pending(), "{round}");
            assert!(pair.push(from, &[round; 8]).is_ready());
            assert!(pair.pop(to, None).is_pending(), "{round}");
            pair.run_for(Duration::from_millis(if round % 2 == 0 { 15 } else { 300 }));
            assert_eq!(pair.pop(to, None), Poll::Ready(Ok(vec![round; 8])), "{round}");
            assert!(pair.pop(to, None).is_pending(), "{round}");
        }
    }
}

/// RFC 3168 section 6.1: a mark is echoed until the sender says that it has heard, which it does once.
#[test]
fn marks_are_echoed() {
    let mut pair = Pair::connected(Settings::default());
    let mut marks = 1;
    pair.wire = Box::new(move |seen| {
        if seen.ecn == Ecn::Capable0 && marks > 0 {
            marks -= 1;
            Fate::Mark
        } else {
            Fate::Deliver
        }
    });
    pair.push_all(CLIENT, &pattern(100_000), 10_000);
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.received[SERVER], pattern(100_000));
    assert!(pair.sent_by(SERVER).any(|seen| seen.has(Flags::ECE)), "{}", pair.text());
    let told = pair.trace.iter().filter(|seen| seen.flags.intersects(Flags::ECE | Flags::CWR));
    let told: Vec<_> = told.map(|seen| (seen.at, seen.flags, seen.seq, seen.ack)).collect();
    assert_eq!(told.iter().filter(|seen| seen.1.contains(Flags::CWR)).count(), 1, "{told:?}");
    assert!(!pair.sent_by(SERVER).last().unwrap().has(Flags::ECE), "{}", pair.text());
    let capable = |seen: &&Seen| seen.ecn != Ecn::NotCapable;
    assert!(pair.sent_by(CLIENT).filter(capable).all(|seen| seen.len > 0), "{}", pair.text());
    let info = pair.end(CLIENT).info(Time::ZERO);
    assert!(info.threshold < u32::MAX && info.retransmits == 0, "{info:?}");
}

/// RFC 8257 section 3.2: a receiver of DCTCP says mark by mark what was marked.
#[test]
fn exact_marks() {
    let settings = Settings { algorithm: Algorithm::Dctcp, ..Settings::default() };
    let mut pair = Pair::connected(settings);
    let mut count = 0;
    pair.wire = Box::new(move |seen| {
        if seen.len > 0 {
            count += 1;
        }
        if seen.ecn == Ecn::Capable0 && count % 10 == 0 { Fate::Mark } else { Fate::Deliver }
    });
    pair.push_all(CLIENT, &pattern(200_000), 10_000);
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.received[SERVER], pattern(200_000));
    let echoed = pair.sent_by(SERVER).filter(|seen| seen.has(Flags::ECE)).count();
    assert!((5..40).contains(&echoed), "{echoed}\n{}", pair.text());
}

/// RFC 3168 section 6.1.5: what is sent again is not marked as capable.
#[test]
fn retransmissions_are_not_capable() {
    let mut pair = Pair::connected(Settings::default());
    let mut lost = false;
    pair.wire = Box::new(
        move |seen| {
            if seen.len > 0 && !core::mem::replace(&mut lost, true) { Fate::Drop } else { Fate::Deliver }
        },
    );
    pair.push_all(CLIENT, &pattern(20_000), 10_000);
    let first = pair.trace[0].seq;
    pair.run_for(Duration::from_secs(1));
    let again: Vec<_> = pair.sent_by(CLIENT).filter(|seen| seen.seq == first).collect();
    assert!(again.len() > 1 && again[0].ecn == Ecn::Capable0, "{}", pair.text());
    assert!(again[1..].iter().all(|seen| seen.ecn == Ecn::NotCapable), "{}", pair.text());
    assert_eq!(pair.received[SERVER], pattern(20_000));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Any wire.
    #[test]
    fn any_wire(lost in 0_u32..250, late in 0_u32..300, twice in 0_u32..200, seed in 1_u8..200, len in 0_usize..60_000, most in 0_u32..40_000) {
        carries(Settings::default(), Faults { lost, late, twice }, seed, len, most);
    }
}
