// SPDX-License-Identifier: MIT OR Apache-2.0
//! Neighbours are found on bad links, forgotten when they are gone, and many fit on one switch.

use crate::support::{Run, at, ip, is_udp, number, payload, seeds};
use core::task::Poll;
use core::time::Duration;
use network::counters::Reason;
use network::link::neighbours::State;
use network::sim::{Chance, Conditions, Fate, Loss, NodeId, frames, mac};
use runtime::Errno;

/// Each of many hosts speaks to each, while a third of all frames is lost.
#[test]
fn many_hosts_find_each_other() {
    const HOSTS: u8 = 16;
    for seed in seeds(0..3) {
        let mut run = Run::new(seed);
        let (lan, hosts) = run.hosts(HOSTS);
        run.watch(lan, 100_000);
        run.set_conditions(lan, Conditions { loss: Loss::Random(Chance::percent(30)), ..Conditions::default() });
        let sockets: Vec<_> = hosts.iter().map(|&host| (host, run.udp(host, "[::]:7"))).collect();
        let mut sent = 0_u64;
        let mut refused = 0_u64;
        for round in 0..3 {
            for from in 0..HOSTS {
                for to in (0..HOSTS).filter(|&to| to != from) {
                    let address = if (from + to + round) % 2 == 0 {
                        format!("[::ffff:10.0.0.{}]:7", to + 1)
                    } else {
                        format!("[fd00::{:x}]:7", to + 1)
                    };
                    let (node, id) = sockets[usize::from(from)];
                    match run.try_send(node, id, &payload(u32::from(to), 50), at(&address)) {
                        Poll::Ready(Ok(())) => sent += 1,
                        Poll::Ready(Err(error)) if error.errno() == Errno::HOSTUNREACH => refused += 1,
                        other => panic!("{other:?}"),
                    }
                    run.run(Duration::from_millis(5));
                }
            }
            run.run(Duration::from_secs(10));
        }
        let mut delivered = 0;
        for (index, &(node, id)) in sockets.iter().enumerate() {
            for (_, bytes) in run.take(node, id) {
                assert_eq!(number(&bytes), index as u32);
                delivered += 1;
            }
        }
        let lost = |record: &&network::sim::Record| matches!(record.fate, Fate::Lost { .. }) && is_udp(&record.bytes);
        let lost = run.records(lan).iter().filter(lost).count() as u64;
        let mut failed = 0;
        for &host in &hosts {
            failed += run.dropped(host, Reason::NeighbourFailed);
        }
        // Those that were refused at once are counted under that reason, too.
        assert_eq!(sent, delivered + lost + (failed - refused), "{delivered} delivered, {lost} lost, {failed} failed");
        assert!(delivered > sent / 2 && failed > 0);
        let seconds = run.now().as_nanos() / 1_000_000_000;
        assert!(run.events() / seconds < 1000, "{} events in {seconds} s", run.events());
        run.finish(&sockets);
    }
}

fn state(run: &mut Run, node: NodeId, address: &str) -> Option<State> {
    let now = run.now();
    let address = ip(address);
    run.host_mut(node).stack.neighbours(now).find(|known| known.address == address).map(|known| known.state)
}

#[test]
fn one_that_goes_away_is_noticed_and_one_that_comes_back_is_found() {
    for seed in seeds(0..4) {
        for (own, to) in [("10.0.0.1:1", "10.0.0.2"), ("[fd00::1]:1", "fd00::2")] {
            let mut run = Run::new(seed);
            let (lan, hosts) = run.hosts(2);
            let peer = std::net::SocketAddr::new(to.parse().unwrap(), 7);
            let (id, server) = (run.udp(hosts[0], own), run.udp(hosts[1], "[::]:7"));
            run.call(hosts[0], |host, now| host.stack.connect(id, peer, now).unwrap());
            // An announcement that comes while it is asked for would leave it unconfirmed.
            run.run(Duration::from_secs(10));
            run.send(hosts[0], id, &payload(1, 10), &peer.to_string());
            run.run(Duration::from_secs(1));
            assert_eq!(run.take(hosts[1], server).len(), 1);
            assert_eq!(state(&mut run, hosts[0], to), Some(State::Reachable));
            run.run(Duration::from_mins(1));
            assert_eq!(state(&mut run, hosts[0], to), Some(State::Stale));
            // It is silent now. What is sent first goes to where it was; then it is asked for.
            run.set_conditions_of(
                lan,
                hosts[1],
                Conditions { loss: Loss::Random(Chance::ALWAYS), ..Conditions::default() },
            );
            let mut errors = vec![];
            for number in 0..30 {
                if let Poll::Ready(Err(error)) = run.try_send(hosts[0], id, &payload(number, 10), peer) {
                    errors.push(error.errno());
                }
                run.run(Duration::from_secs(1));
            }
            assert!(errors.len() > 3 && errors.iter().all(|errno| *errno == Errno::HOSTUNREACH), "{errors:?}");
            run.take(hosts[1], server);
            run.set_conditions(lan, Conditions::default());
            // Once the failure is forgotten, it is asked for again.
            run.run(Duration::from_secs(20));
            while let Poll::Ready(Err(_)) = run.host_mut(hosts[0]).stack.receive_from(id) {}
            run.send(hosts[0], id, &payload(99, 10), &peer.to_string());
            run.run(Duration::from_secs(1));
            assert_eq!(run.take(hosts[1], server).last().map(|(_, bytes)| number(bytes)), Some(99));
            run.finish(&[(hosts[0], id), (hosts[1], server)]);
        }
    }
}

#[test]
fn a_host_with_another_card_is_found_by_its_announcement() {
    let mut run = Run::new(1);
    let lan = run.lan();
    let config = run.config(1);
    let one = run.host(lan, config).unwrap();
    let config = run.config(2);
    let old = run.host(lan, config).unwrap();
    let (id, server) = (run.udp(one, "10.0.0.1:1"), run.udp(old, "10.0.0.2:7"));
    run.send(one, id, b"1", "10.0.0.2:7");
    run.run(Duration::from_mins(1));
    assert_eq!(run.take(old, server).len(), 1);
    run.set_conditions_of(lan, old, Conditions { loss: Loss::Random(Chance::ALWAYS), ..Conditions::default() });
    let mut config = run.config(2);
    config.mac = mac(77);
    let new = run.host(lan, config).unwrap();
    let new_server = run.udp(new, "10.0.0.2:7");
    run.run(Duration::from_secs(5));
    run.send(one, id, b"2", "10.0.0.2:7");
    run.run(Duration::from_secs(1));
    assert_eq!(run.take(new, new_server).len(), 1);
}

/// A station that answers for everybody, unasked: it gets nobody's packets but of those whom nobody knows yet.
#[test]
fn unasked_answers_poison_nobody() {
    let mut run = Run::new(2);
    let (lan, hosts) = run.hosts(2);
    let (id, server) = (run.udp(hosts[0], "[::]:1"), run.udp(hosts[1], "[::]:7"));
    let liar = run.station(lan, Box::new(|_, _, _| {}));
    for to in ["[::ffff:10.0.0.2]:7", "[fd00::2]:7"] {
        run.send(hosts[0], id, &payload(1, 10), to);
    }
    run.run(Duration::from_secs(1));
    for _ in 0..20 {
        let reply = network::wire::arp::Header {
            operation: network::wire::arp::Operation::Reply,
            sender_mac: mac(66),
            sender: "10.0.0.2".parse().unwrap(),
            target_mac: mac(1),
            target: "10.0.0.1".parse().unwrap(),
        };
        run.inject(liar, frames::arp_frame(mac(1), &reply));
        let lie = network::wire::ndp::Header::NeighbourAdvertisement {
            target: "fd00::2".parse().unwrap(),
            router: false,
            solicited: false,
            override_: false,
            target_mac: Some(mac(66)),
        };
        let packet = frames::ndp_packet("fd00::2".parse().unwrap(), "ff02::1".parse().unwrap(), &lie);
        let group = network::wire::MacAddress([0x33, 0x33, 0, 0, 0, 1]);
        run.inject(liar, frames::ip_frame(group, mac(66), &packet));
        run.run(Duration::from_millis(20));
        for to in ["[::ffff:10.0.0.2]:7", "[fd00::2]:7"] {
            run.send(hosts[0], id, &payload(2, 10), to);
        }
    }
    run.run(Duration::from_secs(1));
    assert_eq!(run.take(hosts[1], server).len(), 2 + 40);
    run.finish(&[(hosts[0], id), (hosts[1], server)]);
}
