// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stacks on one wire in memory, under a clock that jumps to what is due next.

mod addresses;
mod datagrams;
mod echo;
mod errors;
mod groups;
mod input;
mod leases;
mod narrow_paths;
mod ports;
mod redirects;
mod rows;
mod segments;
mod sources;
mod streams;
mod streams_bounds;
mod streams_raw;

use super::*;
use crate::counters::Reason;
use crate::keyed::Secret;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::task::Poll;
use core::time::Duration;
use runtime::buf::Classes;
use runtime::device::Checksum;
use runtime::socket::Domain;

const CAPS: Caps = Caps { mtu: 1500, headroom: 0, checksum: false, segments_tcp: false, segments_udp: false };

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn errno<T: core::fmt::Debug>(result: Poll<runtime::Result<T>>) -> Errno {
    match result {
        Poll::Ready(Err(error)) => error.errno(),
        other => panic!("no error but {other:?}"),
    }
}

fn done<T>(result: Poll<runtime::Result<T>>) -> T {
    match result {
        Poll::Ready(result) => result.unwrap(),
        Poll::Pending => panic!("it waits"),
    }
}

/// Bytes that tell where they should be.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at.wrapping_mul(31) >> 3) as u8).collect()
}

fn mac(host: u8) -> MacAddress {
    MacAddress([2, 0, 0, 0, 0, host])
}

/// Host number `host` of a network of both families.
fn config(host: u8) -> Config {
    let mut config = Config::new(mac(host), CAPS, Secret([host; 16]));
    config.addresses = vec![format!("10.0.0.{host}/24").parse().unwrap(), format!("fd00::{host}/64").parse().unwrap()];
    config
}

fn pools() -> Pools {
    Pools::new(&Classes { small_count: 2048, large_count: 32, ..Classes::default() }).unwrap()
}

/// What a wire does to a frame: `None` loses it.
type Fate = Box<dyn FnMut(usize, &[u8]) -> Option<Vec<u8>>>;

/// Stacks on one wire.
struct Wire {
    stacks: Vec<Stack>,
    pools: Vec<Pools>,
    now: Time,
    fate: Fate,
    /// Every frame that was sent, and by whom.
    seen: Vec<(usize, Vec<u8>)>,
}

impl Wire {
    fn of(configs: Vec<Config>) -> Self {
        let now = Time::from_nanos(1_000_000_000);
        let pools: Vec<_> = configs.iter().map(|_| pools()).collect();
        let stacks = configs
            .into_iter()
            .zip(&pools)
            .map(|(config, pools)| Stack::new(config, pools.clone(), now).unwrap())
            .collect();
        Self { stacks, pools, now, fate: Box::new(|_, frame| Some(frame.to_vec())), seen: Vec::new() }
    }

    /// Two hosts, 1 and 2.
    fn pair() -> Self {
        Self::of(vec![config(1), config(2)])
    }

    fn message(&self, bytes: &[u8]) -> Sga {
        self.pools[0].alloc_copy(bytes).unwrap().into()
    }

    /// Carries every frame that waits; true if there was one.
    fn carry(&mut self) -> bool {
        let mut any = false;
        for from in 0..self.stacks.len() {
            while let Some(frame) = self.stacks[from].transmit() {
                any = true;
                let bytes = frame.data.to_vec();
                assert!(bytes.len() <= usize::from(CAPS.mtu) + 18, "{} bytes in a frame", bytes.len());
                self.seen.push((from, bytes.clone()));
                let Some(bytes) = (self.fate)(from, &bytes) else { continue };
                for to in (0..self.stacks.len()).filter(|&to| to != from) {
                    let data = self.pools[to].alloc_copy(&bytes).unwrap().into();
                    let frame = Frame { data, checksum: frame.checksum, segmentation: None };
                    self.stacks[to].receive(frame, self.now);
                }
            }
        }
        any
    }

    /// Runs until nothing is left to do at this moment.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            let mut busy = self.carry();
            for stack in &mut self.stacks {
                if stack.next_deadline().is_some_and(|due| due <= self.now) {
                    stack.poll(self.now);
                    busy = true;
                }
            }
            if !busy {
                return;
            }
        }
        panic!("the stacks find no end");
    }

    /// Runs for so long, from one deadline to the next.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.settle();
            let next = self.stacks.iter().filter_map(Stack::next_deadline).min();
            match next {
                Some(next) if next <= end => self.now = next.max(self.now),
                _ => break,
            }
        }
        self.now = end;
        self.settle();
    }

    fn udp(&mut self, host: usize, address: &str) -> SocketId {
        let address = at(address);
        let id = self.stacks[host].udp_socket(Domain::of(&address)).unwrap();
        self.stacks[host].bind(id, address).unwrap();
        id
    }

    fn send(&mut self, host: usize, id: SocketId, bytes: &[u8], to: &str) {
        let mut message = self.message(bytes);
        done(self.stacks[host].send(id, &mut message, Some(at(to)), self.now));
        assert!(message.has_no_segment());
    }

    #[track_caller]
    fn take(&mut self, host: usize, id: SocketId) -> (SocketAddr, Vec<u8>) {
        let (from, message) = done(self.stacks[host].receive_from(id));
        (from, message.to_vec())
    }

    /// Drops of what was for this host. (Reports to routers, for one, go to groups that it is not in.)
    fn lost(&self, host: usize) -> u64 {
        self.stacks[host].counters().drops() - self.dropped(host, Reason::OtherHost)
    }

    fn dropped(&self, host: usize, reason: Reason) -> u64 {
        self.stacks[host].counters().dropped(reason)
    }

    /// Neither a buffer nor a view is out.
    fn assert_all_back(&self) {
        for pools in &self.pools {
            assert_eq!(pools.stats().map(|stats| (stats.in_use, stats.views_in_use)), [(0, 0); 3]);
        }
    }
}
