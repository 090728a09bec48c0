// SPDX-License-Identifier: MIT OR Apache-2.0
//! Datagrams in fragments on bad links. A model that sees what comes out of the link says which are whole.

use crate::support::{Run, arrivals, is_udp, number, payload, seeds};
use core::time::Duration;
use network::counters::Reason;
use network::sim::{Chance, Conditions, Loss, NodeId, Sim, mac};
use network::wire::{ipv4, ipv6};
use std::collections::HashMap;

/// What has come of one datagram: where pieces are, and where it ends.
#[derive(Default)]
struct Pieces {
    offsets: HashMap<usize, usize>,
    end: Option<usize>,
}

impl Pieces {
    fn is_whole(&self) -> bool {
        self.end == Some(self.offsets.values().sum())
    }
}

/// Identification, offset, bytes, and whether more come; `None`: no fragment.
fn fragment(frame: &[u8]) -> Option<(u32, usize, usize, bool)> {
    if frame[12..14] == [8, 0] {
        let view = ipv4::View::new(&frame[14..]).unwrap();
        let (offset, len) = (usize::from(view.fragment_offset()), view.payload().len());
        view.is_fragment().then(|| (u32::from(view.identification()), offset, len, view.more_fragments()))
    } else {
        let view = ipv6::View::new(&frame[14..]).unwrap();
        let upper = view.upper().unwrap();
        let fragment = upper.fragment?;
        let len = frame.len() - 14 - upper.offset;
        Some((fragment.identification, usize::from(fragment.offset), len, fragment.more))
    }
}

/// What the model says: datagrams that are whole, fragments that came twice, and datagrams that never became whole.
fn expect(run: &Sim, lan: network::sim::LinkId, to: NodeId) -> (u64, u64, u64) {
    let mut pieces: HashMap<u32, Pieces> = HashMap::new();
    let (mut whole, mut twice) = (0, 0);
    for record in arrivals(run.records(lan), to) {
        if !is_udp(&record.bytes) {
            continue;
        }
        let Some((id, offset, len, more)) = fragment(&record.bytes) else {
            whole += 1;
            continue;
        };
        let datagram = pieces.entry(id).or_default();
        if datagram.offsets.insert(offset, len).is_some() {
            twice += 1;
        }
        if !more {
            datagram.end = Some(offset + len);
        }
        if datagram.is_whole() {
            whole += 1;
            pieces.remove(&id);
        }
    }
    (whole, twice, pieces.len() as u64)
}

#[test]
fn what_comes_whole_is_delivered_and_the_rest_is_counted() {
    for seed in seeds(0..4) {
        for (to, conditions) in [
            ("[::ffff:10.0.0.2]:7", Conditions::default()),
            ("[fd00::2]:7", Conditions::default()),
            ("[::ffff:10.0.0.2]:7", bad()),
            ("[fd00::2]:7", bad()),
        ] {
            let mut run = Run::new(seed);
            let lan = run.lan();
            let hosts = [1, 2].map(|number| {
                let mut config = run.config(number);
                config.neighbours = vec![
                    (format!("10.0.0.{}", 3 - number).parse().unwrap(), mac(3 - number)),
                    (format!("fd00::{}", 3 - number).parse().unwrap(), mac(3 - number)),
                ];
                run.host(lan, config).unwrap()
            });
            run.run(Duration::from_secs(30));
            run.watch(lan, 100_000);
            run.set_conditions(lan, conditions);
            let (from, receiver) = (run.udp(hosts[0], "[::]:1"), run.udp(hosts[1], "[::]:7"));
            let mut delivered = vec![];
            for number in 0..100 {
                // Whole, of two pieces, of many; and the longest.
                let most = [1400, 3000, 10_000, 25_000][run.random().below(4) as usize];
                let len = if number == 50 { 65_507 } else { 4 + run.random().below(most) as usize };
                run.send(hosts[0], from, &payload(number, len), to);
                run.run(Duration::from_secs(1));
                delivered.extend(run.take(hosts[1], receiver));
            }
            run.run(Duration::from_secs(100));
            delivered.extend(run.take(hosts[1], receiver));
            let (whole, twice, incomplete) = expect(&run, lan, hosts[1]);
            for (_, bytes) in &delivered {
                number(bytes);
            }
            assert_eq!(run.dropped(hosts[1], Reason::FragmentFull), 0, "the model knows no bounds");
            assert_eq!(delivered.len() as u64, whole);
            assert_eq!(run.dropped(hosts[1], Reason::FragmentBad), twice);
            assert_eq!(run.dropped(hosts[1], Reason::FragmentLate), incomplete);
            if conditions == Conditions::default() {
                assert_eq!((whole, twice, incomplete), (100, 0, 0));
            } else {
                assert!(whole > 20 && twice > 0 && incomplete > 0, "{whole} {twice} {incomplete}");
            }
            run.finish(&[(hosts[0], from), (hosts[1], receiver)]);
        }
    }
}

fn bad() -> Conditions {
    Conditions {
        loss: Loss::Random(Chance::percent(2)),
        duplicate: Chance::percent(3),
        reorder: Chance::percent(20),
        jitter: Duration::from_micros(500),
        ..Conditions::default()
    }
}

#[test]
fn corrupted_fragments_make_no_wrong_datagram() {
    for seed in seeds(0..4) {
        for to in ["[::ffff:10.0.0.2]:7", "[fd00::2]:7"] {
            let mut run = Run::new(seed);
            let (lan, hosts) = run.hosts(2);
            let (from, receiver) = (run.udp(hosts[0], "[::]:1"), run.udp(hosts[1], "[::]:7"));
            run.send(hosts[0], from, &payload(0, 4), to);
            run.run(Duration::from_secs(1));
            run.set_conditions(
                lan,
                Conditions { corrupt: Chance::percent(10), duplicate: Chance::percent(10), ..Conditions::default() },
            );
            let mut delivered = vec![];
            for number in 0..100 {
                let len = 4 + run.random().below(8000) as usize;
                // What is corrupt may be an answer to a question for a neighbour, whom packets then miss for a while.
                let _ = run.try_send(hosts[0], from, &payload(number, len), to.parse().unwrap());
                run.run(Duration::from_millis(700));
                delivered.extend(run.take(hosts[1], receiver));
            }
            for (_, bytes) in &delivered {
                number(bytes);
            }
            assert!(delivered.len() > 20 && run.counters(lan).corrupted > 20, "{}", delivered.len());
            run.finish(&[(hosts[0], from), (hosts[1], receiver)]);
        }
    }
}

/// More datagrams begun than may be: the bounds hold, what is pushed out is counted, and later ones come through.
#[test]
fn a_flood_of_first_fragments_is_bounded() {
    for seed in seeds(0..2) {
        let mut run = Run::new(seed);
        let (lan, hosts) = run.hosts(2);
        let (from, receiver) = (run.udp(hosts[0], "[::]:1"), run.udp(hosts[1], "[::]:7"));
        run.send(hosts[0], from, &payload(0, 4), "[fd00::2]:7");
        run.run(Duration::from_secs(1));
        let mut most = 0;
        for number in 0..300 {
            // All but the first frame of each is too late for this link's queue.
            run.set_conditions(lan, Conditions { rate: Some(1_000_000_000), queue: 1600, ..Conditions::default() });
            run.send(hosts[0], from, &payload(number, 3000), "[fd00::2]:7");
            run.run(Duration::from_millis(1));
            most = most.max(run.host_mut(hosts[1]).buffers_out());
        }
        assert!((64..=66).contains(&most), "{most} fragments of one source are kept");
        run.set_conditions(lan, Conditions::default());
        run.take(hosts[1], receiver);
        run.send(hosts[0], from, &payload(1000, 30_000), "[fd00::2]:7");
        run.run(Duration::from_secs(1));
        assert_eq!(run.take(hosts[1], receiver).len(), 1);
        run.finish(&[(hosts[0], from), (hosts[1], receiver)]);
    }
}
