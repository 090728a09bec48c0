// SPDX-License-Identifier: MIT OR Apache-2.0
//! Multicast and broadcast among several hosts.

use crate::support::{Run, ip, number, payload, seeds};
use core::time::Duration;
use network::counters::Reason;
use network::sim::{Chance, Conditions, Fate, Loss, NodeId};
use network::stack::{Setting, SocketId};

const GROUPS: [(&str, &str); 2] = [("239.1.2.3", "[::ffff:239.1.2.3]:7"), ("ff15::77", "[ff15::77]:7")];

/// Five hosts with a socket each at port 7; those that `members` names are in the group.
fn party(run: &mut Run, group: &str, members: &[usize]) -> (network::sim::LinkId, Vec<(NodeId, SocketId)>) {
    let (lan, hosts) = run.hosts(5);
    let wildcard = if group.contains(':') { "[::]:7" } else { "0.0.0.0:7" };
    let sockets: Vec<_> = hosts.iter().map(|&host| (host, run.udp(host, wildcard))).collect();
    for &member in members {
        let (node, id) = sockets[member];
        run.call(node, |host, now| host.stack.join(id, ip(group), now).unwrap());
    }
    run.run(Duration::from_secs(15));
    (lan, sockets)
}

#[test]
fn members_hear_each_datagram_once() {
    for seed in seeds(0..4) {
        for (group, to) in GROUPS {
            let mut run = Run::new(seed);
            let to = to.replace("::ffff:", "");
            let to = if group.contains(':') { to } else { to.replace(['[', ']'], "") };
            let (_, sockets) = party(&mut run, group, &[1, 2, 4]);
            let (sender, member) = (sockets[0], sockets[2]);
            for number in 0..50 {
                let (node, id) = if number % 2 == 0 { sender } else { member };
                run.send(node, id, &payload(number, 200), &to);
                run.run(Duration::from_millis(1));
            }
            run.run(Duration::from_secs(1));
            for (index, &(node, id)) in sockets.iter().enumerate() {
                let came: Vec<_> = run.take(node, id).iter().map(|(_, bytes)| number(bytes)).collect();
                // Also of its own, since that comes back.
                let expected = if [1, 2, 4].contains(&index) { (0..50).collect() } else { vec![] };
                let mut sorted = came.clone();
                sorted.sort_unstable();
                assert_eq!(sorted, expected, "host {index} of {group}");
            }
            // One leaves: the others go on.
            let (node, id) = sockets[1];
            run.call(node, |host, now| host.stack.leave(id, ip(group), now).unwrap());
            run.run(Duration::from_secs(5));
            run.send(sender.0, sender.1, &payload(99, 10), &to);
            run.run(Duration::from_secs(1));
            let heard = [1, 2, 4].map(|index: usize| run.take(sockets[index].0, sockets[index].1).len());
            assert_eq!(heard, [0, 1, 1]);
            run.finish(&sockets);
        }
    }
}

#[test]
fn what_members_miss_was_lost_by_the_link() {
    for seed in seeds(0..4) {
        for (group, to) in [("239.1.2.3", "239.1.2.3:7"), ("ff15::77", "[ff15::77]:7")] {
            let mut run = Run::new(seed);
            let members = [1, 2, 3];
            let (lan, sockets) = party(&mut run, group, &members);
            run.watch(lan, 100_000);
            let conditions = Conditions {
                loss: Loss::Random(Chance::percent(20)),
                duplicate: Chance::percent(10),
                jitter: Duration::from_millis(2),
                ..Conditions::default()
            };
            run.set_conditions(lan, conditions);
            for number in 0..200 {
                run.send(sockets[0].0, sockets[0].1, &payload(number, 100), to);
                run.run(Duration::from_millis(2));
            }
            run.run(Duration::from_secs(1));
            for &member in &members {
                let (node, id) = sockets[member];
                let came = run.take(node, id);
                let arrived = run
                    .records(lan)
                    .iter()
                    .filter(|record| matches!(record.fate, Fate::Arrives { to, .. } if to == node))
                    .filter(|record| record.from == sockets[0].0 && crate::support::is_udp(&record.bytes))
                    .count();
                assert_eq!(came.len(), arrived);
                for (_, bytes) in &came {
                    number(bytes);
                }
            }
            // It is in no group, and its counter says so.
            let before = run.dropped(sockets[4].0, Reason::OtherHost);
            assert!(before > 0, "the switch sends a group to all");
            run.finish(&sockets);
        }
    }
}

#[test]
fn everybody_hears_a_broadcast() {
    let mut run = Run::new(1);
    let (_, hosts) = run.hosts(5);
    let sockets: Vec<_> = hosts.iter().map(|&host| (host, run.udp(host, "0.0.0.0:7"))).collect();
    let (node, id) = sockets[0];
    run.call(node, |host, _| host.stack.set(id, Setting::Broadcast(true)).unwrap());
    for (number, to) in ["10.0.0.255:7", "255.255.255.255:7"].into_iter().enumerate() {
        run.send(node, id, &payload(number as u32, 3000), to);
    }
    run.run(Duration::from_secs(1));
    for &(node, id) in &sockets[1..] {
        let came: Vec<_> = run.take(node, id).iter().map(|(_, bytes)| number(bytes)).collect();
        assert_eq!(came, [0, 1]);
    }
    run.finish(&sockets);
}
