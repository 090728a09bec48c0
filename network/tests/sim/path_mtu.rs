// SPDX-License-Identifier: MIT OR Apache-2.0
//! Paths through routers whose links are narrower than the host's own (RFC 1191, RFC 8201, RFC 2923).

use crate::support::{Run, at, ip, number, payload, prefix, seeds};
use core::task::Poll;
use core::time::Duration;
use network::ip::{Hop, Prefix, Route};
use network::sim::{Chance, Conditions, LinkId, Loss, NodeId, Router};
use network::stack::{Setting, SocketId};
use runtime::Errno;

/// Host 1 on the first link, host 2 on the second, a router between.
struct Path {
    links: [LinkId; 2],
    hosts: [NodeId; 2],
    router: NodeId,
    sockets: [SocketId; 2],
}

/// Where host 2 is.
const TARGETS: [&str; 2] = ["[::ffff:10.0.1.2]:7", "[fd01::2]:7"];

fn path(run: &mut Run, mtu: u16) -> Path {
    let (links, hosts, router) = run.routed(mtu);
    let sockets = hosts.map(|host| run.udp(host, "[::]:7"));
    Path { links, hosts, router, sockets }
}

impl Path {
    fn send(&self, run: &mut Run, number: u32, len: usize, to: &str) {
        run.send(self.hosts[0], self.sockets[0], &payload(number, len), to);
        run.run(Duration::from_secs(1));
    }

    fn came(&self, run: &mut Run) -> Vec<u32> {
        run.take(self.hosts[1], self.sockets[1]).iter().map(|(_, bytes)| number(bytes)).collect()
    }

    fn finish(&self, run: &mut Run) {
        run.finish(&[(self.hosts[0], self.sockets[0]), (self.hosts[1], self.sockets[1])]);
    }
}

#[test]
fn the_second_long_datagram_comes_through() {
    for seed in seeds(0..3) {
        for to in TARGETS {
            for mtu in [1499, 1400, 1280] {
                let mut run = Run::new(seed);
                let path = path(&mut run, mtu);
                path.send(&mut run, 1, 100, to);
                assert_eq!(path.came(&mut run), [1]);
                // As long as a packet of 1,500 bytes can carry.
                let len = if to.contains('.') { 1472 } else { 1452 };
                path.send(&mut run, 2, len, to);
                assert_eq!(run.router_mut(path.router).counters().too_big, 1);
                assert_eq!(path.came(&mut run), [0; 0]);
                for number in 3..6 {
                    path.send(&mut run, number, len, to);
                }
                // In fragments of the same MTU.
                path.send(&mut run, 6, 20_000, to);
                assert_eq!(path.came(&mut run), [3, 4, 5, 6]);
                assert_eq!(run.router_mut(path.router).counters().too_big, 1, "it is told once");
                assert_eq!(run.router_mut(path.router).counters().cut, 0, "the sender cuts, not the router");
                path.finish(&mut run);
            }
        }
    }
}

#[test]
fn answers_are_for_who_sent_and_the_way_back_is_another() {
    let mut run = Run::new(1);
    let path = path(&mut run, 1300);
    for to in TARGETS {
        path.send(&mut run, 1, 1400, to);
        path.send(&mut run, 2, 1400, to);
        let (from, bytes) = run.take(path.hosts[1], path.sockets[1]).pop().unwrap();
        assert_eq!(number(&bytes), 2);
        // Nothing narrows the way back: whole, and the router has nothing to say.
        let before = run.router_mut(path.router).counters();
        run.send(path.hosts[1], path.sockets[1], &payload(3, 1400), &from.to_string());
        run.run(Duration::from_secs(1));
        assert_eq!(run.take(path.hosts[0], path.sockets[0]).len(), 1);
        let after = run.router_mut(path.router).counters();
        assert_eq!((after.too_big, after.forwarded - before.forwarded), (before.too_big, 1));
    }
}

#[test]
fn two_narrow_links_take_two_rounds() {
    for (to, host) in [("[::ffff:10.0.2.2]:7", "10.0.2.2/24"), ("[fd02::2]:7", "fd02::2/64")] {
        let mut run = Run::new(2);
        let path = path(&mut run, 1400);
        let far = run.lan();
        let second = Router::new(9)
            .unwrap()
            .on(prefix("10.0.1.9/24"), prefix("fd01::9/64"), 1400)
            .on(prefix("10.0.2.1/24"), prefix("fd02::1/64"), 1300)
            .via(prefix("10.0.0.0/24"), 0, ip("10.0.1.1"))
            .via(prefix("fd00::/64"), 0, ip("fd01::1"));
        let second = run.router(second, &[path.links[1], far]);
        let first = Router::new(8)
            .unwrap()
            .on(prefix("10.0.0.9/24"), prefix("fd00::9/64"), 1500)
            .on(prefix("10.0.1.8/24"), prefix("fd01::8/64"), 1400)
            .via(prefix("10.0.2.0/24"), 1, ip("10.0.1.9"))
            .via(prefix("fd02::/64"), 1, ip("fd01::9"));
        let first = run.router(first, &path.links);
        let mut config = run.config(3);
        config.addresses = vec![prefix("10.0.0.7/24"), prefix("fd00::7/64")];
        config.routes = [(Prefix::DEFAULT_V4, "10.0.0.9"), (Prefix::DEFAULT_V6, "fd00::9")]
            .map(|(prefix, gateway)| Route { prefix, hop: Hop::Gateway(ip(gateway)), metric: 0 })
            .to_vec();
        let near = run.host(path.links[0], config).unwrap();
        let mut config = run.config(4);
        config.addresses = vec![prefix(host)];
        config.routes = [(Prefix::DEFAULT_V4, "10.0.2.1"), (Prefix::DEFAULT_V6, "fd02::1")]
            .map(|(prefix, gateway)| Route { prefix, hop: Hop::Gateway(ip(gateway)), metric: 0 })
            .to_vec();
        let end = run.host(far, config).unwrap();
        let (from, server) = (run.udp(near, "[::]:1"), run.udp(end, "[::]:7"));
        let mut came = vec![];
        for number in 1..=4 {
            run.send(near, from, &payload(number, 1450), to);
            run.run(Duration::from_secs(2));
            came.extend(run.take(end, server).iter().map(|(_, bytes)| crate::support::number(bytes)));
        }
        let told = [first, second].map(|router| run.router_mut(router).counters().too_big);
        if to.contains('.') {
            // Fragments of IPv4 may be cut again.
            assert_eq!((came, told), (vec![2, 3, 4], [1, 0]));
        } else {
            assert_eq!((came, told), (vec![3, 4], [1, 1]));
        }
        run.finish(&[(near, from), (end, server)]);
    }
}

#[test]
fn a_silent_router_swallows_long_datagrams_only() {
    for to in TARGETS {
        let mut run = Run::new(3);
        let path = path(&mut run, 1300);
        run.router_mut(path.router).silent = true;
        for number in 0..20 {
            path.send(&mut run, number, if number % 2 == 0 { 1400 } else { 1000 }, to);
        }
        assert_eq!(path.came(&mut run), [1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
        assert_eq!(run.router_mut(path.router).counters().too_big, 10);
        path.finish(&mut run);
    }
}

#[test]
fn a_path_that_widens_is_tried_again() {
    for to in TARGETS {
        let mut run = Run::new(4);
        let path = path(&mut run, 1300);
        for number in 0..2 {
            path.send(&mut run, number, 1400, to);
        }
        assert_eq!(path.came(&mut run), [1]);
        run.router_mut(path.router).set_mtu(1, 1500);
        let before = run.router_mut(path.router).counters().forwarded;
        path.send(&mut run, 2, 1400, to);
        assert_eq!(run.router_mut(path.router).counters().forwarded - before, 2, "two fragments yet");
        // What was learnt is forgotten after ten minutes.
        run.run(Duration::from_secs(601));
        let before = run.router_mut(path.router).counters().forwarded;
        path.send(&mut run, 3, 1400, to);
        assert_eq!(run.router_mut(path.router).counters().forwarded - before, 1);
        assert_eq!(path.came(&mut run), [2, 3]);
        path.finish(&mut run);
    }
}

/// Below what is believed the sender allows routers to cut.
#[test]
fn a_very_narrow_link_is_the_routers_business() {
    let mut run = Run::new(5);
    let path = path(&mut run, 300);
    for number in 0..3 {
        path.send(&mut run, number, 1400, TARGETS[0]);
    }
    assert_eq!(path.came(&mut run), [1, 2]);
    let counters = run.router_mut(path.router).counters();
    assert!(counters.cut >= 2 && counters.too_big == 1, "{counters:?}");
    path.finish(&mut run);
}

#[test]
fn hops_and_routes_end() {
    let mut run = Run::new(6);
    let path = path(&mut run, 1500);
    for (own, to, nowhere) in
        [("10.0.0.2:1", "10.0.1.2:7", "192.0.2.1:7"), ("[fd00::2]:1", "[fd01::2]:7", "[2001:db8::1]:7")]
    {
        for (to, hops, errno) in [(to, 1, Errno::HOSTUNREACH), (nowhere, 64, Errno::NETUNREACH)] {
            let id = run.udp(path.hosts[0], own);
            run.call(path.hosts[0], |host, now| {
                host.stack.set(id, Setting::Hops(hops)).unwrap();
                host.stack.connect(id, at(to), now).unwrap();
            });
            run.send(path.hosts[0], id, b"far", to);
            run.run(Duration::from_secs(1));
            assert_eq!(run.error(path.hosts[0], id), errno, "{to} by {hops} hops");
            run.call(path.hosts[0], |host, now| host.stack.close(id, now).unwrap());
        }
    }
    path.finish(&mut run);
}

/// The path's MTU is found though half of what the router says is lost, and nobody is the worse for it.
#[test]
fn lost_words_of_the_router_are_said_again() {
    for seed in seeds(0..6) {
        for to in TARGETS {
            let mut run = Run::new(seed);
            let path = path(&mut run, 1300);
            path.send(&mut run, 0, 10, to);
            let lossy = Conditions { loss: Loss::Random(Chance::percent(50)), ..Conditions::default() };
            run.set_conditions_of(path.links[0], path.router, lossy);
            let mut came = vec![];
            for number in 1..60 {
                let sent = run.try_send(path.hosts[0], path.sockets[0], &payload(number, 1400), at(to));
                assert!(matches!(sent, Poll::Ready(Ok(()) | Err(_))));
                run.run(Duration::from_secs(1));
                came.extend(path.came(&mut run));
            }
            assert!(came.len() > 20, "{} came", came.len());
            path.finish(&mut run);
        }
    }
}
