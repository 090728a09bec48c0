// SPDX-License-Identifier: MIT OR Apache-2.0
//! The fuzzer's harness on stable, and what the simulation itself must notice.

use super::*;
use proptest::prelude::*;
use std::path::Path;

#[test]
fn the_corpus_holds() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/stack");
    let mut files: Vec<_> = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 4, "the corpus is not there");
    // What the kept runs come to, so that they go on to be worth it.
    let (mut datagrams, mut reassembled, mut echoed, mut told) = (0, 0, 0, 0);
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        println!("{}, {} bytes", file.display(), bytes.len());
        for counters in fuzz::run(&bytes) {
            datagrams += counters.datagrams_received;
            reassembled += counters.reassembled;
            echoed += counters.echoed;
            told += counters.errors_received;
        }
        // The same on each kind of network.
        for mode in 0..8 {
            let mut changed = bytes.clone();
            changed[0] = 0x25 << mode | u8::from(mode % 2 == 0);
            fuzz::stack(&changed);
        }
    }
    println!("{datagrams} datagrams, {reassembled} from fragments, {echoed} echoes, {told} errors told");
    assert!(datagrams > 10 && reassembled > 5 && echoed > 1 && told > 3);
}

#[test]
fn the_corpus_of_tcp_holds() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/tcp");
    let mut files: Vec<_> = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 6, "the corpus is not there");
    let (mut accepted, mut popped, mut resent, mut ended) = (0, 0, 0, 0);
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        let tally = fuzz::run_tcp(&bytes);
        println!("{}, {} bytes: {tally:?}", file.display(), bytes.len());
        accepted += tally.accepted;
        popped += tally.popped;
        resent += tally.resent;
        ended += tally.ended;
        // The same with other settings, and on a wire that forges.
        for mode in 0..8 {
            let mut changed = bytes.clone();
            changed[0] = 0x25 << mode | u8::from(mode % 2 == 0);
            changed[1] = 0x4b_u8.rotate_left(mode);
            fuzz::tcp(&changed);
        }
    }
    assert!(accepted > 5 && popped > 10_000 && resent > 5 && ended > 1, "{accepted} {popped} {resent} {ended}");
}

/// A connection that is given a cookie, and then steps that connect, push, pop and end.
fn fast_open_steps(mode: u8, more: u8, steps: &[(u8, bool, [u8; 2])]) -> Vec<u8> {
    const WIRE: [u8; 8] = [0x0b, 5, 0x8b, 5, 0x0b, 5, 0x8b, 5];
    let mut bytes = vec![mode, more | 0x80, 0, 0, 0];
    bytes.extend(WIRE);
    for &(kind, other, [first, second]) in steps {
        let side = u8::from(other) << 7;
        match kind {
            0..3 => bytes.extend([0, first % 8, second]),
            3 => bytes.extend([side + 2, first, 0, second]),
            4..7 => bytes.extend([side + 4, first, 0]),
            7..10 => bytes.extend([side + 11, first]),
            10 => bytes.extend([18, first]),
            11 => bytes.extend([19, 16 + first % 16, second]),
            12 => bytes.extend([side + [7, 9, 10][usize::from(first % 3)], second]),
            _ => bytes.extend(WIRE),
        }
    }
    bytes
}

#[test]
fn data_come_with_syns() {
    let connects = [(0, false, [0, 200]), (13, false, [0, 0]), (4, true, [0, 0]), (4, true, [1, 0]), (4, true, [2, 0])];
    let tally = fuzz::run_tcp(&fast_open_steps(0, 0, &connects.repeat(3)));
    assert!(tally.early >= 2 && tally.popped > 100, "{tally:?}");
}

proptest! {
    #[test]
    fn any_steps_of_streams_hold(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        fuzz::tcp(&bytes);
    }

    /// One connection that is made first, and then pushes, pops, ends, time and accidents as often as they have something to do
    /// with each other. The model is the streams themselves: what is popped must be what was pushed.
    #[test]
    fn steps_of_one_connection_hold(
        mode: u8,
        more: u8,
        steps in prop::collection::vec((0_u8..12, any::<bool>(), any::<[u8; 2]>()), 20..200),
    ) {
        const WIRE: [u8; 8] = [0x0b, 5, 0x8b, 5, 0x0b, 5, 0x8b, 5];
        // On a wire that forges nothing.
        let mut bytes = vec![mode & 0xfe, more & 0x7f, 0, 0];
        bytes.extend(WIRE);
        bytes.extend([0x84, 0, 0]);
        for (kind, other, [first, second]) in steps {
            let side = u8::from(other) << 7;
            match kind {
                0..3 => bytes.extend([side + 2, 0, first, second]),
                3..6 => bytes.extend([side + 4, 0, if first < 128 { 0 } else { second }]),
                6..9 => bytes.extend([side + 11, first]),
                9 => bytes.extend([18, first]),
                // Less than a millisecond to some seconds.
                10 => bytes.extend([19, 16 + first % 10, second]),
                // An end is seldom.
                _ if first < 16 => bytes.extend([side + 7, 0]),
                _ => bytes.extend(WIRE),
            }
        }
        fuzz::tcp(&bytes);
    }

    /// Connections whose SYNs have data (RFC 7413), on a wire that loses, doubles and holds back, and whose ends come at any time.
    #[test]
    fn steps_of_connections_with_data_on_their_syns_hold(
        mode: u8,
        more: u8,
        steps in prop::collection::vec((0_u8..14, any::<bool>(), any::<[u8; 2]>()), 20..200),
    ) {
        fuzz::tcp(&fast_open_steps(mode & 0xfe, more, &steps));
    }

    #[test]
    fn any_steps_hold(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        fuzz::stack(&bytes);
    }

    /// Fewer kinds of steps, so that they have more to do with each other.
    #[test]
    fn steps_of_a_few_kinds_hold(
        mode: u8,
        kinds in prop::collection::vec(any::<u8>(), 3..6),
        steps in prop::collection::vec((any::<prop::sample::Index>(), prop::collection::vec(0_u8..16, 4..12)), 0..100),
    ) {
        let mut bytes = vec![mode];
        for (kind, parameters) in steps {
            bytes.push(*kind.get(&kinds));
            bytes.extend(parameters);
        }
        fuzz::stack(&bytes);
    }
}

#[test]
#[should_panic(expected = "no end")]
fn a_run_without_end_is_noticed() {
    let mut sim = Sim::new(1);
    let link = sim.hub();
    sim.set_conditions(link, Conditions::default());
    let echo = |frame: &[u8], _: Time, answers: &mut Vec<Vec<u8>>| answers.push(frame.to_vec());
    let one = sim.station(link, Box::new(echo));
    sim.station(link, Box::new(echo));
    sim.set_conditions(link, Conditions { delay: Duration::ZERO, ..Conditions::default() });
    sim.inject(one, vec![0; 60]);
    sim.run(Duration::from_secs(1));
}

#[test]
fn alarms_wake_applications() {
    let mut sim = Sim::new(2);
    let link = sim.switch();
    let config = sim.config(1);
    let node = sim.host(link, config).unwrap();
    let seen = std::rc::Rc::new(std::cell::RefCell::new(vec![]));
    let log = seen.clone();
    sim.run_on(
        node,
        Box::new(move |host, wake, now| {
            log.borrow_mut().push((wake, now));
            host.alarm(now + Duration::from_secs(2));
        }),
    );
    let start = sim.now();
    sim.call(node, |host, now| host.alarm(now + Duration::from_secs(1)));
    sim.run(Duration::from_secs(6));
    let times = [1, 3, 5].map(|seconds| (Wake::Alarm, start + Duration::from_secs(seconds)));
    assert_eq!(*seen.borrow(), times);
    assert_eq!(sim.now(), start + Duration::from_secs(6));
}
