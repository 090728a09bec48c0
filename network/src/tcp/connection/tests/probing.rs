// SPDX-License-Identifier: MIT OR Apache-2.0
//! Paths that become narrow and wide again (RFC 4821 section 7), with every algorithm and every way to find losses.

use super::super::*;
use super::pair::*;
use crate::tcp::settings::Algorithm;
use core::cell::Cell;
use core::time::Duration;
use std::rc::Rc;

const SECOND: Duration = Duration::from_secs(1);
const FULL: u16 = MSS - 12;

/// Two ends on a path that takes so many bytes of payload and options, and says nothing of what is longer.
fn on_path(settings: Settings, room: u32) -> (Pair, Rc<Cell<u32>>) {
    let room = Rc::new(Cell::new(room));
    let mut pair = Pair::connected(settings);
    let width = room.clone();
    pair.wire = Box::new(move |seen| {
        let is_long = seen.len + seen.options.len() as u32 > width.get();
        if is_long { Fate::Drop } else { Fate::Deliver }
    });
    (pair, room)
}

/// A connection whose segments were made shorter by a silence, on a path that has room for all again.
fn after_silence(settings: Settings) -> (Pair, Rc<Cell<u32>>) {
    let (mut pair, room) = on_path(settings, 730);
    assert!(pair.push(CLIENT, &pattern(1000)).is_ready());
    while mss(&mut pair) >= 1000 {
        assert!(pair.step(pair.now + Duration::from_mins(1)), "{}", pair.text());
    }
    room.set(65_535);
    pair.run_for(Duration::from_mins(1));
    assert_eq!(pair.received[SERVER].len(), 1000, "{}", pair.text());
    assert_eq!(mss(&mut pair), 718, "with so little to send nothing is tried");
    pair.trace.clear();
    (pair, room)
}

fn mss(pair: &mut Pair) -> u16 {
    let now = pair.now;
    pair.end(CLIENT).info(now).mss
}

fn window(pair: &mut Pair) -> u32 {
    let now = pair.now;
    pair.end(CLIENT).info(now).congestion_window
}

/// Every way in which losses are found.
fn ways() -> Vec<Settings> {
    let mut ways = vec![];
    for algorithm in [Algorithm::Cubic, Algorithm::NewReno, Algorithm::Dctcp, Algorithm::Bbr] {
        for (sack, timestamps, rack) in
            [(true, true, true), (true, true, false), (false, true, false), (true, false, true), (false, false, false)]
        {
            ways.push(Settings { algorithm, sack, timestamps, rack, ..Settings::default() });
        }
    }
    ways
}

/// Sections 7.6.1 and 7.7: an outage was taken for a path that drops long segments; one probe, and all is as before.
#[test]
fn an_outage_costs_one_probe() {
    for settings in ways().into_iter().filter(|way| way.timestamps) {
        let (mut pair, _) = after_silence(settings);
        pair.push_all(CLIENT, &pattern(400_000), 50_000);
        pair.run_for(10 * SECOND);
        assert_eq!((mss(&mut pair), pair.received[SERVER].len()), (FULL, 401_000), "{settings:?}\n{}", pair.text());
        let lens: Vec<u32> = pair.sent_by(CLIENT).map(|seen| seen.len).filter(|len| *len > 718).collect();
        assert!(lens.len() > 100 && lens[0] == u32::from(FULL), "{settings:?} {}", lens.len());
        let now = pair.now;
        assert!(pair.end(CLIENT).info(now).retransmits < 10, "{settings:?}");
    }
}

/// Sections 7.3 and 7.6.2: the size is found, and what that costs is no congestion.
#[test]
fn the_size_of_a_silent_path_is_found() {
    for settings in ways() {
        for fits in [600, 800, 1000, 1207, 1450] {
            let (mut pair, _) = on_path(settings, fits);
            let data = pattern(2_000_000);
            // As many round trips as there are segments in the window lie between two that are lost.
            for part in data.chunks(100_000) {
                pair.push_all(CLIENT, part, 50_000);
                pair.run_for(Duration::from_secs(20));
            }
            assert!(pair.received[SERVER] == data, "{settings:?} {fits}\n{}", pair.text());
            let options = if settings.timestamps { 12 } else { 0 };
            let found = u32::from(mss(&mut pair)) + options;
            assert!(found <= fits && fits - found < 8, "{settings:?}: {found} of {fits}\n{}", pair.text());
        }
    }
}

/// Section 7.6.2: the loss of a probe alone does not reduce the window, and it leaves again in segments that fit.
#[test]
fn a_lost_probe_is_no_congestion() {
    for settings in ways().into_iter().filter(|way| way.timestamps && way.algorithm != Algorithm::Bbr) {
        let (mut pair, room) = after_silence(settings);
        room.set(1000);
        pair.push_all(CLIENT, &pattern(120_000), 60_000);
        let (mut before, mut lost) = (0, 0);
        let until = pair.now + 2 * SECOND;
        while pair.step(until) {
            let now = window(&mut pair);
            assert!(now >= before, "{settings:?}: {now} after {before}\n{}", pair.text());
            before = now;
            lost = pair.sent_by(CLIENT).filter(|seen| seen.fate == Fate::Drop).count();
        }
        assert!((1..6).contains(&lost), "{settings:?} {lost}\n{}", pair.text());
        assert_eq!(pair.received[SERVER].len(), 121_000);
        for probe in pair.sent_by(CLIENT).filter(|seen| seen.fate == Fate::Drop) {
            let again: Vec<&Seen> = pair
                .sent_by(CLIENT)
                .filter(|seen| seen.fate == Fate::Deliver && seen.seq.is_in(probe.seq, probe.seq + probe.len))
                .collect();
            assert!((2..=3).contains(&again.len()), "{settings:?}\n{}", pair.text());
            let last = again[again.len() - 1];
            assert_eq!((again[0].seq, last.seq + last.len), (probe.seq, probe.seq + probe.len));
            // Duplicate acknowledgments have shown it, and not the timer.
            assert!(last.at - probe.at < Duration::from_millis(90), "{settings:?}\n{}", pair.text());
        }
    }
}

/// Section 7.6.4: something else was lost with it, which is congestion, and says nothing of the size.
#[test]
fn a_probe_that_is_lost_with_others_says_nothing() {
    for settings in ways().into_iter().filter(|way| way.timestamps && way.algorithm != Algorithm::Bbr) {
        let (mut pair, _) = after_silence(settings);
        let (mut probe, mut drop) = (None, 0);
        pair.wire = Box::new(move |seen| {
            let is_first = seen.len > 718 && probe.is_none();
            if is_first {
                (probe, drop) = (Some(seen.seq), 3);
            }
            drop -= i32::from(seen.from == CLIENT && drop > 0);
            // The probe, and the one behind it.
            if is_first || (seen.from == CLIENT && drop == 1) { Fate::Drop } else { Fate::Deliver }
        });
        pair.push_all(CLIENT, &pattern(400_000), 50_000);
        let until = pair.now + 10 * SECOND;
        let (mut before, mut was_reduced) = (0, false);
        while pair.step(until) {
            let now = window(&mut pair);
            was_reduced |= now < before;
            before = now;
        }
        assert!(was_reduced, "{settings:?}\n{}", pair.text());
        // Nothing shorter was tried.
        let lens = pair.sent_by(CLIENT).map(|seen| seen.len).filter(|len| *len > 718);
        assert_eq!(lens.take(3).collect::<Vec<_>>(), [u32::from(FULL); 3], "{settings:?}");
        assert_eq!((mss(&mut pair), pair.received[SERVER].len()), (FULL, 401_000), "{settings:?}\n{}", pair.text());
    }
}

/// A device that cuts gets a probe as one segment, with nothing to cut.
#[test]
fn a_probe_is_one_segment() {
    let (mut pair, room) = after_silence(Settings::default());
    pair.limit = Limit { most: 64_000 };
    room.set(1100);
    for _ in 0..20 {
        pair.push_all(CLIENT, &pattern(100_000), 60_000);
        pair.run_for(20 * SECOND);
    }
    assert_eq!(pair.received[SERVER].len(), 2_001_000, "{}", pair.text());
    let lens: Vec<u32> = pair.sent_by(CLIENT).map(|seen| seen.len).filter(|len| *len > 718).collect();
    assert!(lens[0] == u32::from(FULL) && lens.iter().filter(|len| **len > 1088).count() < 10, "{lens:?}");
    assert!((1081..=1088).contains(&mss(&mut pair)), "{}", mss(&mut pair));
}

/// Section 7.4: what is pushed in small messages gives no probe, and goes on as ever.
#[test]
fn little_data_give_no_probe() {
    let (mut pair, _) = after_silence(Settings::default());
    for _ in 0..100 {
        assert!(pair.push(CLIENT, &pattern(3000)).is_ready());
        pair.run_for(Duration::from_millis(100));
    }
    assert_eq!((mss(&mut pair), pair.received[SERVER].len()), (718, 301_000));
    assert!(pair.sent_by(CLIENT).all(|seen| seen.len <= 718));
}

/// RFC 1191 section 6.3, RFC 4821 section 7.6.2: a router says what fits, ten minutes later that the probe does not.
#[test]
fn a_router_answers_a_probe() {
    for settings in ways() {
        let (mut pair, _) = on_path(settings, 1000);
        pair.call(CLIENT, |connection, now| connection.set_path(900, now));
        pair.run_for(Duration::from_mins(10));
        pair.trace.clear();
        let all = pattern(300_000);
        let mut message: Sga = pair.pools.alloc_copy(&all[..60_000]).unwrap().into();
        let _ = pair.call(CLIENT, |connection, now| connection.push(&mut message, now));
        let is_probe = |seen: &&Seen| seen.fate == Fate::Drop;
        while pair.sent_by(CLIENT).find(is_probe).is_none() {
            assert!(pair.step(pair.now + SECOND), "{settings:?}\n{}", pair.text());
        }
        let probe = pair.sent_by(CLIENT).find(is_probe).unwrap().clone();
        let before = window(&mut pair);
        let retransmits = |pair: &mut Pair| {
            let now = pair.now;
            pair.end(CLIENT).info(now).retransmits
        };
        assert_eq!(retransmits(&mut pair), 0);
        pair.call(CLIENT, |connection, now| connection.too_big(probe.seq, 1000, now));
        assert!(retransmits(&mut pair) > 0, "{settings:?}\n{}", pair.text());
        assert!(window(&mut pair) >= before);
        pair.run_for(5 * SECOND);
        pair.push_all(CLIENT, &all[60_000..], 60_000);
        pair.run_for(5 * SECOND);
        let options = if settings.timestamps { 12 } else { 0 };
        assert_eq!(mss(&mut pair), 1000 - options, "{settings:?}\n{}", pair.text());
        assert_eq!(pair.sent_by(CLIENT).filter(is_probe).count(), 1, "{settings:?}");
        assert!(pair.received[SERVER] == all);
    }
}

/// RFC 4861 section 6.3.4: a link that takes less than before is not tried with more.
#[test]
fn a_link_that_has_become_narrow_is_not_probed() {
    for settings in ways() {
        let (mut pair, _) = on_path(settings, 9000);
        pair.call(CLIENT, |connection, now| {
            connection.set_path(900, now);
            connection.set_link(950);
        });
        pair.run_for(Duration::from_mins(10));
        pair.trace.clear();
        pair.push_all(CLIENT, &pattern(300_000), 60_000);
        pair.run_for(5 * SECOND);
        assert_eq!(pair.sent_by(CLIENT).map(|seen| seen.len).max(), Some(if settings.timestamps { 938 } else { 950 }));
    }
}

/// The same of an old router, which only guesses: what works stays.
#[test]
fn a_guess_shrinks_nothing() {
    let (mut pair, _) = on_path(Settings::default(), 1000);
    pair.call(CLIENT, |connection, now| connection.set_path(990, now));
    pair.run_for(Duration::from_mins(10));
    pair.trace.clear();
    let mut message: Sga = pair.pools.alloc_copy(&pattern(60_000)).unwrap().into();
    let _ = pair.call(CLIENT, |connection, now| connection.push(&mut message, now));
    while pair.sent_by(CLIENT).all(|seen| seen.fate != Fate::Drop) {
        assert!(pair.step(pair.now + SECOND), "{}", pair.text());
    }
    let probe = pair.sent_by(CLIENT).find(|seen| seen.fate == Fate::Drop).unwrap().seq;
    pair.call(CLIENT, |connection, now| connection.too_big(probe, 966, now));
    pair.run_for(5 * SECOND);
    assert_eq!((mss(&mut pair), pair.received[SERVER].len()), (978, 60_000), "{}", pair.text());
}

/// Loss, disorder and a path that changes its mind: whatever is tried, everything arrives.
#[test]
fn everything_arrives_on_paths_that_change() {
    for (round, settings) in (0_u64..).zip(ways()) {
        let mut random = crate::keyed::Random::new(crate::keyed::Secret([round as u8; 16]));
        let mut pair = Pair::connected(settings);
        let mut room = 65_535;
        pair.wire = Box::new(move |seen| {
            if random.below(2000) == 0 {
                room = 600 + random.below(1000);
            }
            match random.below(200) {
                _ if seen.len > room => Fate::Drop,
                0 => Fate::Drop,
                1 => Fate::Late(Duration::from_millis(5)),
                2 => Fate::Twice,
                _ => Fate::Deliver,
            }
        });
        let data = pattern(3_000_000);
        pair.push_all(CLIENT, &data, 50_000);
        pair.run_for(Duration::from_mins(20));
        assert!(pair.received[SERVER] == data, "{settings:?}\n{}", pair.text());
    }
}
