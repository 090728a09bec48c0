// SPDX-License-Identifier: MIT OR Apache-2.0
//! Links do to frames what they are told to, no more: the ruler that the other tests measure with.

use crate::support::{Run, arrivals, is_udp, number, payload};
use core::time::Duration;
use network::sim::{Chance, Conditions, Fate, LinkId, Loss, NodeId};
use network::stack::SocketId;

/// Two hosts that know each other, and the first's socket.
fn pair(run: &mut Run, seconds: u64) -> (LinkId, Vec<NodeId>, [SocketId; 2]) {
    let (lan, hosts) = run.hosts(2);
    let sockets = [run.udp(hosts[0], "10.0.0.1:1"), run.udp(hosts[1], "10.0.0.2:7")];
    run.send(hosts[0], sockets[0], &payload(0, 4), "10.0.0.2:7");
    run.run(Duration::from_secs(seconds));
    assert_eq!(run.take(hosts[1], sockets[1]).len(), 1);
    run.watch(lan, 100_000);
    (lan, hosts, sockets)
}

#[test]
fn rate_and_delay_say_when_a_frame_arrives() {
    let mut run = Run::new(1);
    let (lan, hosts, [from, _]) = pair(&mut run, 10);
    let delay = Duration::from_millis(20);
    run.set_conditions(lan, Conditions { rate: Some(8_000_000), delay, ..Conditions::default() });
    let start = run.now();
    for number in 0..10 {
        // With its headers 1,000 bytes: a millisecond each.
        run.send(hosts[0], from, &payload(number, 1000 - 42), "10.0.0.2:7");
    }
    run.run(Duration::from_millis(100));
    let times: Vec<_> = arrivals(run.records(lan), hosts[1])
        .iter()
        .filter(|record| is_udp(&record.bytes))
        .map(|record| match record.fate {
            Fate::Arrives { at, .. } => (at - start).as_millis() as u64,
            _ => 0,
        })
        .collect();
    assert_eq!(times, (21..=30).collect::<Vec<_>>());
}

#[test]
fn a_full_queue_drops_its_tail_or_holds_the_host_back() {
    for waits in [false, true] {
        let mut run = Run::new(2);
        let (lan, hosts, [from, to]) = pair(&mut run, 10);
        run.set_conditions(lan, Conditions { rate: Some(8_000_000), queue: 10_000, waits, ..Conditions::default() });
        for number in 0..100 {
            run.send(hosts[0], from, &payload(number, 958), "10.0.0.2:7");
        }
        run.run(Duration::from_secs(1));
        let came: Vec<_> = run.take(hosts[1], to).iter().map(|(_, bytes)| number(bytes)).collect();
        let counters = run.counters(lan);
        if waits {
            assert_eq!((came, counters.queue_full), ((0..100).collect(), 0));
        } else {
            assert_eq!((came, counters.queue_full), ((0..10).collect(), 90));
        }
        run.finish(&[(hosts[0], from), (hosts[1], to)]);
    }
}

#[test]
fn jitter_keeps_order_and_reordering_does_not() {
    for (reorder, in_order) in [(Chance::NEVER, true), (Chance::percent(20), false)] {
        let mut run = Run::new(3);
        let (lan, hosts, [from, to]) = pair(&mut run, 10);
        let conditions = Conditions { jitter: Duration::from_millis(5), reorder, ..Conditions::default() };
        run.set_conditions(lan, conditions);
        for number in 0..200 {
            run.send(hosts[0], from, &payload(number, 100), "10.0.0.2:7");
            run.run(Duration::from_micros(100));
        }
        run.run(Duration::from_secs(1));
        let came: Vec<_> = run.take(hosts[1], to).iter().map(|(_, bytes)| number(bytes)).collect();
        assert_eq!(came.len(), 200);
        assert_eq!(came.is_sorted(), in_order);
        assert_eq!(run.counters(lan).reordered > 0, !in_order);
    }
}

#[test]
fn what_is_too_long_vanishes() {
    let mut run = Run::new(4);
    let (lan, hosts, [from, to]) = pair(&mut run, 10);
    run.set_conditions(lan, Conditions { mtu: 1000, ..Conditions::default() });
    for len in [972, 973] {
        run.send(hosts[0], from, &payload(1, len), "10.0.0.2:7");
    }
    run.run(Duration::from_secs(1));
    assert_eq!(run.take(hosts[1], to), [("10.0.0.1:1".parse().unwrap(), payload(1, 972))]);
    assert_eq!(run.counters(lan).too_long, 1);
}

#[test]
fn one_way_can_be_worse_than_the_other() {
    let mut run = Run::new(5);
    let (lan, hosts, sockets) = pair(&mut run, 10);
    let deaf = Conditions { loss: Loss::Random(Chance::ALWAYS), ..Conditions::default() };
    run.set_conditions_of(lan, hosts[0], deaf);
    run.send(hosts[0], sockets[0], &payload(1, 10), "10.0.0.2:7");
    run.send(hosts[1], sockets[1], &payload(2, 10), "10.0.0.1:1");
    run.run(Duration::from_secs(1));
    assert_eq!((run.take(hosts[1], sockets[1]).len(), run.take(hosts[0], sockets[0]).len()), (0, 1));
}

#[test]
fn a_switch_learns_and_a_hub_does_not() {
    for learns in [true, false] {
        let mut run = Run::new(6);
        let lan = if learns { run.switch() } else { run.hub() };
        let hosts: Vec<_> = (1..=4)
            .map(|number| {
                let config = run.config(number);
                run.host(lan, config).unwrap()
            })
            .collect();
        let (from, to) = (run.udp(hosts[0], "10.0.0.1:1"), run.udp(hosts[1], "10.0.0.2:7"));
        run.run(Duration::from_secs(10));
        run.watch(lan, 1000);
        run.send(hosts[0], from, &payload(1, 10), "10.0.0.2:7");
        run.run(Duration::from_secs(1));
        assert_eq!(run.take(hosts[1], to).len(), 1);
        let copies = |to: NodeId| arrivals(run.records(lan), to).iter().filter(|record| is_udp(&record.bytes)).count();
        assert_eq!(copies(hosts[2]) + copies(hosts[3]), if learns { 0 } else { 2 });
    }
}

#[test]
fn burst_loss_and_duplicates_are_counted() {
    let mut run = Run::new(7);
    let (lan, hosts, [from, to]) = pair(&mut run, 10);
    let before = run.counters(lan);
    let loss = Loss::Burst {
        enter: Chance::percent(2),
        leave: Chance::percent(20),
        good: Chance::NEVER,
        bad: Chance::percent(90),
    };
    run.set_conditions(lan, Conditions { loss, duplicate: Chance::percent(10), ..Conditions::default() });
    let mut came = 0;
    for number in 0..1000 {
        run.send(hosts[0], from, &payload(number, 10), "10.0.0.2:7");
        run.run(Duration::from_millis(1));
        came += run.take(hosts[1], to).len() as u64;
    }
    run.run(Duration::from_secs(1));
    came += run.take(hosts[1], to).len() as u64;
    let after = run.counters(lan);
    let (lost, twice) = (after.lost - before.lost, after.duplicated - before.duplicated);
    assert!(lost > 20 && twice > 20, "{after:?}");
    // Probes of neighbours are frames too.
    let others = run.records(lan).iter().filter(|record| !is_udp(&record.bytes));
    let (mut others_lost, mut others_twice) = (0, 0);
    for record in others {
        match record.fate {
            Fate::Lost { .. } => others_lost += 1,
            Fate::Arrives { duplicate: true, .. } => others_twice += 1,
            _ => {}
        }
    }
    assert_eq!(came, 1000 - (lost - others_lost) + (twice - others_twice));
}
