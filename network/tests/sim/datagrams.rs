// SPDX-License-Identifier: MIT OR Apache-2.0
//! UDP on bad links: each datagram that was sent was delivered, or dropped and counted by its reason, or lost by the link.

use crate::support::{Run, arrivals, is_udp, number, payload, seeds};
use core::task::Poll;
use core::time::Duration;
use network::counters::Reason;
use network::sim::{Chance, Conditions, Fate, LinkId, Loss, NodeId, mac};
use network::stack::SocketId;
use runtime::Errno;

const DATAGRAMS: u32 = 1500;

/// Two hosts that need not ask for each other, quiet.
fn acquainted(run: &mut Run) -> (LinkId, [NodeId; 2]) {
    let lan = run.lan();
    let hosts = [1, 2].map(|number| {
        let mut config = run.config(number);
        let other = 3 - number;
        config.neighbours = vec![
            (format!("10.0.0.{other}").parse().unwrap(), mac(other)),
            (format!("fd00::{other}").parse().unwrap(), mac(other)),
        ];
        run.host(lan, config).unwrap()
    });
    run.run(Duration::from_secs(30));
    run.watch(lan, 100_000);
    (lan, hosts)
}

/// What was sent, and what was taken.
struct Sent {
    sockets: [(NodeId, SocketId); 2],
    delivered: Vec<Vec<u8>>,
}

/// Sends so many datagrams of any length, and takes what comes: after each, or in the end.
fn send_all(run: &mut Run, hosts: [NodeId; 2], to: &str, longest: u32, at_once: bool) -> Sent {
    let (from, receiver) = (run.udp(hosts[0], "[::]:1"), run.udp(hosts[1], "[::]:7"));
    let mut delivered = vec![];
    for number in 0..DATAGRAMS {
        let len = 4 + run.random().below(longest) as usize;
        run.send(hosts[0], from, &payload(number, len), to);
        run.run(Duration::from_micros(200));
        if at_once {
            delivered.extend(run.take(hosts[1], receiver));
        }
    }
    run.run(Duration::from_secs(100));
    delivered.extend(run.take(hosts[1], receiver));
    let delivered = delivered.into_iter().map(|(_, bytes)| bytes).collect();
    Sent { sockets: [(hosts[0], from), (hosts[1], receiver)], delivered }
}

#[test]
fn each_datagram_is_delivered_or_lost_by_the_link() {
    for seed in seeds(0..4) {
        for to in ["[::ffff:10.0.0.2]:7", "[fd00::2]:7"] {
            let mut run = Run::new(seed);
            let (lan, hosts) = acquainted(&mut run);
            let loss = Loss::Burst {
                enter: Chance::percent(3),
                leave: Chance::percent(25),
                good: Chance::percent(1),
                bad: Chance::percent(80),
            };
            let conditions = Conditions {
                loss,
                jitter: Duration::from_millis(3),
                duplicate: Chance::percent(4),
                reorder: Chance::percent(4),
                ..Conditions::default()
            };
            run.set_conditions(lan, conditions);
            let base = run.counters(lan);
            let heard = run.host_mut(hosts[1]).stack.counters().clone();
            // More than the receive buffer holds: some are dropped there.
            let Sent { sockets, delivered } = send_all(&mut run, hosts, to, 1000, false);
            let link = run.counters(lan);
            let sender = run.host_mut(hosts[0]).stack.counters().clone();
            let now = run.host_mut(hosts[1]).stack.counters().clone();
            assert_eq!((sender.datagrams_sent, link.sent - base.sent), (u64::from(DATAGRAMS), u64::from(DATAGRAMS)));
            let (lost, twice) = (link.lost - base.lost, link.duplicated - base.duplicated);
            let frames = now.frames_received - heard.frames_received;
            assert_eq!(u64::from(DATAGRAMS) + twice - lost, frames);
            let full = now.dropped(Reason::ReceiveFull) - heard.dropped(Reason::ReceiveFull);
            assert_eq!(now.drops() - heard.drops(), full, "nothing else is dropped");
            assert_eq!(frames, delivered.len() as u64 + full);
            assert_eq!(now.datagrams_received, delivered.len() as u64);
            assert!(lost > 50 && twice > 20 && full > 100 && !delivered.is_empty());
            // In the order in which they came, and nothing but them.
            let came = arrivals(run.records(lan), hosts[1]);
            let mut came = came.iter();
            for bytes in &delivered {
                number(bytes);
                assert!(came.any(|record| record.bytes.ends_with(bytes)), "not in the order in which it came");
            }
            run.finish(&sockets);
        }
    }
}

#[test]
fn corrupted_datagrams_are_counted_and_never_delivered() {
    for seed in seeds(0..6) {
        for to in ["[::ffff:10.0.0.2]:7", "[fd00::2]:7"] {
            let mut run = Run::new(seed);
            let (lan, hosts) = acquainted(&mut run);
            run.set_conditions(lan, Conditions { corrupt: Chance::percent(40), ..Conditions::default() });
            let heard = run.host_mut(hosts[1]).stack.counters().clone();
            let said = run.host_mut(hosts[0]).stack.counters().frames_sent;
            let Sent { sockets, delivered } = send_all(&mut run, hosts, to, 60, true);
            let now = run.host_mut(hosts[1]).stack.counters().clone();
            let frames = now.frames_received - heard.frames_received;
            let dropped = now.drops() - heard.drops();
            // Seldom, what became something else is answered, and the answer is answered.
            let others = run.host_mut(hosts[0]).stack.counters().frames_sent - said - u64::from(DATAGRAMS);
            assert_eq!(frames, u64::from(DATAGRAMS) + others);
            // Each frame is one datagram: delivered or counted. Those that became something else are counted as that.
            let fates = delivered.len() as u64 + dropped;
            assert!(
                (frames - others..=frames).contains(&fates),
                "{fates} of {frames}: {:?}",
                now.iter().collect::<Vec<_>>()
            );
            assert!(others < 5, "{others} answers");
            // A byte that no checksum covers (hop limit, flow label, the sender's hardware address) harms nothing.
            let whole = arrivals(run.records(lan), hosts[1])
                .iter()
                .filter(|record| matches!(record.fate, Fate::Arrives { corrupt: false, .. }) && is_udp(&record.bytes))
                .count();
            assert!(delivered.len() >= whole && delivered.len() < DATAGRAMS as usize - 100);
            for bytes in &delivered {
                number(bytes);
            }
            run.finish(&sockets);
        }
    }
}

#[test]
fn a_slow_device_holds_its_sockets_back() {
    for seed in seeds(0..2) {
        let mut run = Run::new(seed);
        let (lan, hosts) = acquainted(&mut run);
        let conditions = Conditions { rate: Some(10_000_000), queue: 20_000, waits: true, ..Conditions::default() };
        run.set_conditions(lan, conditions);
        let (from, to) = (run.udp(hosts[0], "[::]:1"), run.udp(hosts[1], "[::]:7"));
        let (mut sent, mut waits) = (0, 0);
        let mut came = vec![];
        while sent < 1000 {
            match run.try_send(hosts[0], from, &payload(sent, 1000), "[fd00::2]:7".parse().unwrap()) {
                Poll::Ready(result) => {
                    result.unwrap();
                    sent += 1;
                }
                Poll::Pending => {
                    waits += 1;
                    assert!(run.call(hosts[0], |host, _| host.stack.woken()).is_none_or(|(_, ready)| !ready.writable));
                    let woken = |run: &mut network::sim::Sim| {
                        let woken = run.host_mut(hosts[0]).stack.woken();
                        woken.is_some_and(|(id, ready)| id == from && ready.writable)
                    };
                    assert!(run.run_while_not(Duration::from_secs(5), woken), "it is never woken");
                    came.extend(run.take(hosts[1], to));
                }
            }
        }
        for _ in 0..50 {
            run.run(Duration::from_millis(100));
            came.extend(run.take(hosts[1], to));
        }
        assert!(waits > 2, "{waits}");
        assert!(came.iter().map(|(_, bytes)| number(bytes)).eq(0..1000), "{} came", came.len());
        run.finish(&[(hosts[0], from), (hosts[1], to)]);
    }
}

#[test]
fn refusals_come_back_through_a_bad_link() {
    for seed in seeds(0..4) {
        let mut run = Run::new(seed);
        let (lan, hosts) = acquainted(&mut run);
        run.set_conditions(lan, Conditions { loss: Loss::Random(Chance::percent(30)), ..Conditions::default() });
        let base = run.host_mut(hosts[1]).stack.counters().errors_sent;
        let mut told = 0;
        let mut sockets = vec![];
        for (own, to) in [("10.0.0.1:1", "10.0.0.2:9"), ("[fd00::1]:1", "[fd00::2]:9")] {
            let id = run.udp(hosts[0], own);
            let to = to.parse().unwrap();
            run.call(hosts[0], |host, now| host.stack.connect(id, to, now).unwrap());
            for number in 0..100 {
                let sent = run.try_send(hosts[0], id, &payload(number, 20), to);
                assert_eq!(sent, Poll::Ready(Ok(())), "each error was taken before");
                run.run(Duration::from_millis(10));
                match run.host_mut(hosts[0]).stack.receive_from(id) {
                    Poll::Pending => {}
                    Poll::Ready(Err(error)) if error.errno() == Errno::CONNREFUSED => told += 1,
                    other @ Poll::Ready(_) => panic!("{other:?}"),
                }
            }
            sockets.push((hosts[0], id));
        }
        // Each refusal was lost, or told.
        let refused = run.host_mut(hosts[1]).stack.counters().errors_sent - base;
        let lost = |record: &&network::sim::Record| matches!(record.fate, Fate::Lost { .. }) && record.from == hosts[1];
        let lost = run.records(lan).iter().filter(lost).count() as u64;
        assert_eq!(told, refused - lost);
        assert_eq!(run.dropped(hosts[1], Reason::NoSocket), refused);
        assert!(told > 50 && lost > 10);
        run.finish(&sockets);
    }
}
