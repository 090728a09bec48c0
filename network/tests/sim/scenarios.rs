// SPDX-License-Identifier: MIT OR Apache-2.0
//! Networks, conditions and calls that chance makes, one of each for many seeds. What must hold, whatever happens: no panic;
//! what is delivered was sent, byte for byte; a socket that has something says so; time moves on, with a bounded number of
//! events in each second; and in the end nothing is kept.

use crate::support::{Run, at, ip, number, payload, seeds};
use core::net::SocketAddr;
use core::task::Poll;
use core::time::Duration;
use network::ip::{Hop, Prefix, Route};
use network::sim::{Chance, Conditions, LinkId, Loss, NodeId, Router};
use network::stack::{Setting, SocketId};
use runtime::socket::Domain;
use std::collections::HashSet;

/// Steps of one scenario.
const STEPS: usize = 150;

struct Socket {
    node: NodeId,
    id: SocketId,
    /// Nothing was there when it was looked at last, and nobody has said otherwise.
    quiet: bool,
}

struct Scenario {
    run: Run,
    links: Vec<LinkId>,
    hosts: Vec<(NodeId, [String; 2])>,
    sockets: Vec<Socket>,
    sent: HashSet<Vec<u8>>,
    delivered: u64,
    next: u32,
}

impl Scenario {
    fn new(seed: u64) -> Self {
        let mut run = Run::new(seed);
        let links: Vec<_> = (0..=run.random().below(2)).map(|_| run.lan()).collect();
        let mut hosts = vec![];
        for (side, &link) in links.iter().enumerate() {
            for number in 2..4 + run.random().below(3) as u8 {
                let mut config = run.config(number + 10 * side as u8);
                let own = [format!("10.0.{side}.{number}"), format!("fd0{side}::{number}")];
                let prefixes = [format!("{}/24", own[0]), format!("{}/64", own[1])];
                config.addresses = prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect();
                let gateways =
                    [(Prefix::DEFAULT_V4, format!("10.0.{side}.1")), (Prefix::DEFAULT_V6, format!("fd0{side}::1"))];
                config.routes = gateways
                    .map(|(prefix, gateway)| Route { prefix, hop: Hop::Gateway(ip(&gateway)), metric: 0 })
                    .to_vec();
                config.detect_duplicates = run.random().below(4) == 0;
                config.caps.checksum = run.random().below(2) == 0;
                hosts.push((run.host(link, config).unwrap(), own));
            }
        }
        if links.len() == 2 {
            let mtu = [1500, 1400, 1280, 576][run.random().below(4) as usize];
            let router = Router::new(seed)
                .unwrap()
                .on("10.0.0.1/24".parse().unwrap(), "fd00::1/64".parse().unwrap(), 1500)
                .on("10.0.1.1/24".parse().unwrap(), "fd01::1/64".parse().unwrap(), mtu);
            run.router(router, &links);
        }
        let (sockets, sent) = (vec![], HashSet::new());
        Self { run, links, hosts, sockets, sent, delivered: 0, next: 0 }
    }

    fn below(&mut self, n: usize) -> usize {
        self.run.random().below(n as u32) as usize
    }

    fn chance(&mut self, most: usize) -> Chance {
        if self.below(2) == 0 { Chance::NEVER } else { Chance::percent(self.below(most) as u32) }
    }

    /// Any host, and its addresses.
    fn host(&mut self) -> (NodeId, [String; 2]) {
        let index = self.below(self.hosts.len());
        self.hosts[index].clone()
    }

    fn conditions(&mut self) -> Conditions {
        let loss = match self.below(3) {
            0 => Loss::None,
            1 => Loss::Random(self.chance(40)),
            _ => Loss::Burst {
                enter: Chance::percent(5),
                leave: Chance::percent(20),
                good: Chance::NEVER,
                bad: self.chance(100),
            },
        };
        Conditions {
            rate: [None, Some(1_000_000), Some(100_000_000)][self.below(3)],
            queue: 2000 << self.below(7),
            waits: self.below(2) == 0,
            delay: Duration::from_micros(1 << self.below(17)),
            jitter: Duration::from_micros(1 << self.below(15)),
            loss,
            duplicate: self.chance(20),
            reorder: self.chance(30),
            reorder_by: Duration::from_micros(1 << self.below(17)),
            corrupt: self.chance(10),
            mtu: if self.below(8) == 0 { 1300 } else { 1500 },
        }
    }

    fn step(&mut self) {
        match self.below(20) {
            0..2 => self.open(),
            2 => self.close(),
            3 => {
                let index = self.below(self.links.len());
                let link = self.links[index];
                let conditions = self.conditions();
                if self.below(2) == 0 {
                    self.run.set_conditions(link, conditions);
                } else {
                    let node = self.host().0;
                    self.run.set_conditions_of(link, node, conditions);
                }
            }
            4..6 => self.configure(),
            6..14 => self.send(),
            14..16 => self.receive(),
            16 => self.run.run(Duration::from_secs(1)),
            _ => {
                let time = Duration::from_micros(1 << self.below(19));
                self.run.run(time);
            }
        }
    }

    fn open(&mut self) {
        let (node, own) = self.host();
        let family = self.below(2);
        let port = 5 + self.below(3);
        let address = match self.below(3) {
            0 => ["0.0.0.0", "[::]"][family].to_string(),
            _ if family == 0 => own[0].clone(),
            _ => format!("[{}]", own[1]),
        };
        let address = at(&format!("{address}:{port}"));
        let shared = self.below(3) == 0;
        let id = self.run.call(node, |host, _| {
            let id = host.stack.udp_socket(Domain::of(&address)).unwrap();
            host.stack.set(id, Setting::Broadcast(true)).unwrap();
            host.stack.set(id, Setting::ReusePort(shared)).unwrap();
            // Another may have the address, or it is not ours yet: then it gets a port when it sends.
            let _ = host.stack.bind(id, address);
            id
        });
        self.sockets.push(Socket { node, id, quiet: false });
    }

    fn close(&mut self) {
        if !self.sockets.is_empty() {
            let index = self.below(self.sockets.len());
            let socket = self.sockets.swap_remove(index);
            self.run.call(socket.node, |host, now| host.stack.close(socket.id, now).unwrap());
        }
    }

    fn target(&mut self) -> SocketAddr {
        let own = self.host().1;
        let address = match self.below(12) {
            0 => "239.1.1.1",
            1 => "ff15::1",
            2 => "255.255.255.255",
            3 => "10.0.0.99",
            4 => "fd00::99",
            _ => &own[self.below(2)],
        };
        SocketAddr::new(ip(address), 5 + self.below(3) as u16)
    }

    fn configure(&mut self) {
        if self.sockets.is_empty() {
            return;
        }
        let index = self.below(self.sockets.len());
        let Socket { node, id, .. } = self.sockets[index];
        let (to, what) = (self.target(), self.below(4));
        self.run.call(node, |host, now| {
            // Each may be refused, of another family for one.
            let _ = match what {
                0 => host.stack.connect(id, to, now),
                1 if to.is_ipv4() => host.stack.join(id, ip("239.1.1.1"), now),
                1 => host.stack.join(id, ip("ff15::1"), now),
                2 => host.stack.leave(id, ip("239.1.1.1"), now),
                _ => host.stack.set(id, Setting::MulticastHops(to.port() as u8)),
            };
        });
    }

    fn send(&mut self) {
        if self.sockets.is_empty() {
            return self.open();
        }
        let index = self.below(self.sockets.len());
        let Socket { node, id, .. } = self.sockets[index];
        for _ in 0..=self.below(8) {
            let to = self.target();
            let len = match self.below(8) {
                0 => self.below(40_000),
                1 => self.below(3000),
                _ => self.below(1400),
            };
            self.next += 1;
            let bytes = payload(self.next, len);
            if self.run.try_send(node, id, &bytes, to) == Poll::Ready(Ok(())) {
                self.sent.insert(bytes);
            }
        }
    }

    fn receive(&mut self) {
        // What woke whom.
        for (node, _) in self.hosts.clone() {
            while let Some((id, readiness)) = self.run.host_mut(node).stack.woken() {
                let socket = self.sockets.iter_mut().find(|socket| (socket.node, socket.id) == (node, id));
                let socket = socket.expect("a closed socket is not woken");
                assert!(readiness.readable || readiness.writable);
                socket.quiet &= !readiness.readable;
            }
        }
        for index in 0..self.sockets.len() {
            let Socket { node, id, quiet } = self.sockets[index];
            let mut taken = 0;
            let quiet_now = loop {
                match self.run.host_mut(node).stack.receive_from(id) {
                    Poll::Ready(Ok((_, message))) => {
                        let bytes = message.to_vec();
                        number(&bytes);
                        assert!(self.sent.contains(&bytes), "nobody has sent that");
                        taken += 1;
                    }
                    Poll::Ready(Err(_)) => taken += 1,
                    Poll::Pending => break true,
                }
            };
            assert!(!quiet || taken == 0, "something came and nobody said so");
            self.sockets[index].quiet = quiet_now;
            self.delivered += taken;
        }
    }

    fn run(mut self) -> (u64, u64, u64) {
        for _ in 0..2 * self.hosts.len() {
            self.open();
        }
        for _ in 0..STEPS {
            let (time, events) = (self.run.now(), self.run.events());
            self.step();
            let seconds = (self.run.now() - time).as_secs();
            let events = self.run.events() - events;
            // No step makes more than 9 datagrams of 28 fragments, each for all of 10 hosts, twice; the rest is timers.
            assert!(events <= 20_000 * (1 + seconds), "{events} events in {seconds} s");
        }
        for link in self.links.clone() {
            self.run.set_conditions(link, Conditions::default());
        }
        self.run.run(Duration::from_secs(100));
        self.receive();
        let events = self.run.events();
        self.run.run(Duration::from_secs(10));
        // Nobody speaks, but for probes of neighbours at first.
        assert!(self.run.events() - events < 1000, "{} events in ten idle seconds", self.run.events() - events);
        let sockets: Vec<_> = self.sockets.iter().map(|socket| (socket.node, socket.id)).collect();
        self.run.finish(&sockets);
        (self.run.hash(), self.delivered, self.run.events())
    }
}

#[test]
fn nothing_goes_wrong_in_two_hundred_networks() {
    let (mut delivered, mut events) = (0, 0);
    let all = seeds(0..200);
    for &seed in &all {
        let run = Scenario::new(seed).run();
        delivered += run.1;
        events += run.2;
        if seed % 40 == 0 {
            assert_eq!(Scenario::new(seed).run(), run, "seed {seed} once more");
        }
    }
    println!("{delivered} datagrams and errors came, {events} events");
    assert!(all.len() < 200 || delivered > 4000, "{delivered} in all");
}
