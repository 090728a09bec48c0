// SPDX-License-Identifier: MIT OR Apache-2.0
//! Seeds, replay, captures; and the calls that most tests make.

use core::net::{IpAddr, SocketAddr};
use core::task::Poll;
use network::counters::Reason;
use network::ip::{Hop, Prefix, Route};
use network::sim::{Fate, LinkId, NodeId, Record, Router, Sim, mac};
use network::stack::SocketId;
use runtime::socket::Domain;
use runtime::{Errno, Result};
use std::ops::{Deref, DerefMut, Range};
use std::path::Path;

/// The seeds that a test runs under: these, or the one of `MARGAY_SIM_SEED`.
pub fn seeds(range: Range<u64>) -> Vec<u64> {
    match std::env::var("MARGAY_SIM_SEED") {
        Ok(seed) => vec![seed.parse().expect("MARGAY_SIM_SEED is a number")],
        Err(_) => range.collect(),
    }
}

/// The command that runs a test again.
pub fn replay(test: &str, seed: u64) -> String {
    format!("MARGAY_SIM_SEED={seed} cargo test -p network --test sim -- --exact {test}")
}

/// A simulation under a seed, which says how to repeat it if the test fails.
pub struct Run {
    sim: Sim,
    pub seed: u64,
    test: String,
    pcap: Option<String>,
    links: Vec<LinkId>,
}

impl Run {
    pub fn new(seed: u64) -> Self {
        let test = std::thread::current().name().unwrap_or("?").to_string();
        let pcap = std::env::var("MARGAY_SIM_PCAP").ok();
        Self { sim: Sim::new(seed), seed, test, pcap, links: vec![] }
    }

    /// A switch whose frames are recorded, if anybody asks for it.
    pub fn lan(&mut self) -> LinkId {
        let link = self.sim.switch();
        if self.pcap.is_some() {
            self.sim.watch(link, 1_000_000);
        }
        self.links.push(link);
        link
    }

    /// Hosts 1 to `n` on one switch.
    pub fn hosts(&mut self, n: u8) -> (LinkId, Vec<NodeId>) {
        let lan = self.lan();
        let nodes = (1..=n)
            .map(|number| {
                let config = self.sim.config(number);
                self.sim.host(lan, config).unwrap()
            })
            .collect();
        (lan, nodes)
    }

    /// Host 1 on the first link, host 2 on the second, and a router between, whose far link has this MTU. Their addresses are
    /// 10.0.SIDE.2 and fd0SIDE::2.
    pub fn routed(&mut self, mtu: u16) -> ([LinkId; 2], [NodeId; 2], NodeId) {
        let links = [self.lan(), self.lan()];
        let hosts = [0, 1].map(|side: u8| {
            let mut config = self.config(1);
            config.mac = mac(side + 1);
            config.addresses = vec![prefix(&format!("10.0.{side}.2/24")), prefix(&format!("fd0{side}::2/64"))];
            let gateways =
                [(Prefix::DEFAULT_V4, format!("10.0.{side}.1")), (Prefix::DEFAULT_V6, format!("fd0{side}::1"))];
            config.routes =
                gateways.map(|(prefix, gateway)| Route { prefix, hop: Hop::Gateway(ip(&gateway)), metric: 0 }).to_vec();
            self.host(links[usize::from(side)], config).unwrap()
        });
        let router = Router::new(self.seed).unwrap().on(prefix("10.0.0.1/24"), prefix("fd00::1/64"), 1500).on(
            prefix("10.0.1.1/24"),
            prefix("fd01::1/64"),
            mtu,
        );
        let router = self.router(router, &links);
        (links, hosts, router)
    }

    /// A UDP socket at this address.
    #[track_caller]
    pub fn udp(&mut self, node: NodeId, address: &str) -> SocketId {
        let address = at(address);
        self.sim.call(node, |host, _| {
            let id = host.stack.udp_socket(Domain::of(&address)).unwrap();
            host.stack.bind(id, address).unwrap();
            id
        })
    }

    /// Sends, or gives the error.
    pub fn try_send(&mut self, node: NodeId, id: SocketId, bytes: &[u8], to: SocketAddr) -> Poll<Result<()>> {
        let sent = self.sim.call(node, |host, now| {
            let mut message = host.message(bytes)?;
            Ok(host.stack.send(id, &mut message, Some(to), now))
        });
        sent.unwrap_or_else(|error| Poll::Ready(Err(error)))
    }

    #[track_caller]
    pub fn send(&mut self, node: NodeId, id: SocketId, bytes: &[u8], to: &str) {
        let sent = self.try_send(node, id, bytes, at(to));
        assert_eq!(sent, Poll::Ready(Ok(())));
    }

    /// All that waits in a socket.
    pub fn take(&mut self, node: NodeId, id: SocketId) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut taken = vec![];
        while let Poll::Ready(Ok((from, message))) = self.sim.host_mut(node).stack.receive_from(id) {
            taken.push((from, message.to_vec()));
        }
        taken
    }

    /// What a call says is wrong.
    #[track_caller]
    pub fn error(&mut self, node: NodeId, id: SocketId) -> Errno {
        match self.sim.host_mut(node).stack.receive_from(id) {
            Poll::Ready(Err(error)) => error.errno(),
            other => panic!("no error but {other:?}"),
        }
    }

    pub fn dropped(&mut self, node: NodeId, reason: Reason) -> u64 {
        self.sim.host_mut(node).stack.counters().dropped(reason)
    }

    /// Closes every socket of these, and sees that nothing is kept: each buffer is back, each frame accounted for.
    #[track_caller]
    pub fn finish(&mut self, sockets: &[(NodeId, SocketId)]) {
        for &(node, id) in sockets {
            self.sim.call(node, |host, now| host.stack.close(id, now).unwrap());
        }
        // Fragments of IPv6 are waited for longest.
        self.sim.run(core::time::Duration::from_secs(100));
        for (number, host) in self.sim.hosts().enumerate() {
            assert_eq!(host.buffers_out(), 0, "buffers of host {number}");
        }
        for &link in &self.links {
            assert_eq!(self.sim.counters(link).under_way(), 0, "{:?}", self.sim.counters(link));
        }
    }
}

impl Deref for Run {
    type Target = Sim;

    fn deref(&self) -> &Sim {
        &self.sim
    }
}

impl DerefMut for Run {
    fn deref_mut(&mut self) -> &mut Sim {
        &mut self.sim
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}; again: {}", self.seed, replay(&self.test, self.seed));
        }
        let Some(directory) = &self.pcap else { return };
        for (number, link) in self.links.iter().enumerate() {
            let name = format!("{}-{}-link{number}.pcapng", self.test.replace("::", "-"), self.seed);
            let file = Path::new(directory).join(name);
            match std::fs::write(&file, self.sim.pcapng(*link)) {
                Ok(()) => eprintln!("wrote {}", file.display()),
                Err(error) => eprintln!("{}: {error}", file.display()),
            }
        }
    }
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

pub fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A payload that says its number and is not like any other's: wrong bytes would show.
pub fn payload(number: u32, len: usize) -> Vec<u8> {
    let mut state = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ len as u64;
    let mut bytes = number.to_be_bytes().to_vec();
    while bytes.len() < len {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.push((state >> 56) as u8);
    }
    bytes.truncate(len.max(4));
    bytes
}

/// The number of a payload, whose bytes are all right.
#[track_caller]
pub fn number(bytes: &[u8]) -> u32 {
    let number = u32::from_be_bytes(bytes[..4].try_into().unwrap());
    assert!(bytes == payload(number, bytes.len()), "wrong bytes in {number}, {} bytes", bytes.len());
    number
}

/// Whether a frame has an IP packet of UDP in it, or a fragment of one.
pub fn is_udp(frame: &[u8]) -> bool {
    match frame.get(12..14) {
        Some([8, 0]) => frame.get(23) == Some(&17),
        Some([0x86, 0xdd]) => frame.get(20) == Some(&17) || (frame.get(20) == Some(&44) && frame.get(54) == Some(&17)),
        _ => false,
    }
}

/// The frames that came out, in the order in which they did.
pub fn arrivals<'a>(records: impl IntoIterator<Item = &'a Record>, to: NodeId) -> Vec<&'a Record> {
    let mut arrivals: Vec<_> = records
        .into_iter()
        .filter_map(|record| match record.fate {
            Fate::Arrives { to: node, at, .. } if node == to => Some((at, record)),
            _ => None,
        })
        .collect();
    // Stable, as the simulation's order of what happens at one moment.
    arrivals.sort_by_key(|(at, _)| *at);
    arrivals.into_iter().map(|(_, record)| record).collect()
}
