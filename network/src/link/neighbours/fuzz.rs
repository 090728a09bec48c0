// SPDX-License-Identifier: MIT OR Apache-2.0
//! The neighbour cache under any packets, calls and times, in any order.
//!
//! The fuzzer invents them; the tests run those that were kept, and random ones. What must always hold: each packet has
//! one fate; packets to one neighbour keep their order, but where it was forgotten between them; nobody is sent to whose MAC
//! address was never heard of, and what is static stays; once a poll gives nothing, the next deadline is to come.

#![expect(clippy::unwrap_used, reason = "what is not there is a finding")]

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use runtime::buf::{Pool, Sga};
use runtime::time::Time;

use super::{Action, Heard, Kind, Neighbours, Resolved};
use crate::keyed::Secret;
use crate::wire::MacAddress;

/// How many neighbours there are, of both families.
const NEIGHBOURS: usize = 6;
/// More packets than can wait.
const PACKETS: u32 = 1024;
/// What the MAC address of a static neighbour ends in; others are told of smaller ones.
const STATIC: u8 = 9;

fn address(neighbour: usize) -> IpAddr {
    if neighbour.is_multiple_of(2) {
        Ipv4Addr::new(10, 0, 0, neighbour as u8).into()
    } else {
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, neighbour as u16).into()
    }
}

fn mac(last: u8) -> MacAddress {
    MacAddress([2, 0, 0, 0, 0, last])
}

fn number(packet: &Sga) -> u32 {
    u32::from_be_bytes(packet.to_vec().try_into().unwrap())
}

/// What is known of one neighbour from outside.
#[derive(Clone, Default)]
struct Known {
    macs: Vec<MacAddress>,
    is_static: bool,
    /// The last packet that went to it.
    last: Option<u32>,
}

struct World {
    pool: Pool,
    cache: Neighbours,
    now: Time,
    /// To whom each packet was given.
    given: Vec<usize>,
    known: [Known; NEIGHBOURS],
    sent: u64,
    dropped: u64,
}

impl World {
    fn was_sent(&mut self, to: MacAddress, packet: &Sga) {
        let number = number(packet);
        let known = &mut self.known[self.given[number as usize]];
        assert!(known.macs.contains(&to), "{to} was never heard of");
        assert!(known.last.replace(number).is_none_or(|before| before < number), "out of order");
        self.sent += 1;
    }

    fn resolve(&mut self, to: usize) {
        let number = self.given.len() as u32;
        self.given.push(to);
        let packet = self.pool.alloc_copy(&number.to_be_bytes()).unwrap();
        match self.cache.resolve(address(to), packet.into(), self.now) {
            Resolved::Send(mac_address, packet) => {
                assert!(!self.known[to].is_static || mac_address == mac(STATIC));
                self.was_sent(mac_address, &packet);
            }
            Resolved::Waits => {}
            Resolved::Dropped(_) => self.dropped += 1,
        }
    }

    fn heard(&mut self, of: usize, claim: u8, kind: Kind) {
        let mac = (claim < 0xe0).then(|| mac(claim % 3));
        self.known[of].macs.extend(mac);
        self.cache.heard(Heard { address: address(of), mac, kind }, self.now);
    }

    fn poll(&mut self) {
        match self.cache.poll(self.now) {
            Some(Action::Send(to, packet)) => self.was_sent(to, &packet),
            Some(Action::Unreachable(to, packet)) => {
                assert_eq!(address(self.given[number(&packet) as usize]), to);
                self.dropped += 1;
            }
            Some(Action::Solicit { .. } | Action::NoRouter(_)) => {}
            None => assert!(self.cache.next_deadline().is_none_or(|due| due > self.now), "a caller would spin"),
        }
    }

    fn check(&self) {
        let waiting = self.cache.packets.len();
        assert_eq!(self.pool.stats().in_use, waiting, "each packet is in one place");
        let counters = self.cache.counters();
        let fates = self.sent + self.dropped + counters.displaced + counters.lost + u64::from(waiting);
        assert_eq!(fates, self.given.len() as u64);
        let unresolved = self.cache.iter(self.now).filter(|neighbour| neighbour.mac.is_none()).count();
        assert_eq!(unresolved, self.cache.unresolved.len());
        for (place, index) in self.cache.unresolved.iter().enumerate() {
            assert_eq!(self.cache.entries.at(*index).unwrap().place as usize, place);
        }
        assert_eq!(self.cache.index.len(), self.cache.entries.len() as usize);
    }
}

/// Four bytes are one step: a packet to a neighbour, one that speaks of it, a call, or some time.
///
/// # Panics
/// If the cache does what it must not do.
pub fn neighbours(bytes: &[u8]) {
    let now = Time::from_nanos(1 << 40);
    let mut world = World {
        pool: Pool::heap(16, PACKETS, 0, 0).unwrap(),
        cache: Neighbours::new(&Secret([7; 16]), now),
        now,
        given: Vec::new(),
        known: Default::default(),
        sent: 0,
        dropped: 0,
    };
    for &[what, who, how, much] in bytes.as_chunks::<4>().0 {
        let who = usize::from(who) % NEIGHBOURS;
        match what % 32 {
            0..8 => world.resolve(who),
            8 => world.heard(who, how, Kind::Request),
            9..11 => world.heard(who, how, Kind::Reply),
            11 => world.heard(who, how, Kind::Gratuitous),
            12 => world.heard(who, how, Kind::Solicitation),
            13 => world.heard(who, how, Kind::Router),
            14..17 => {
                let [solicited, override_, router] = [1, 2, 4].map(|bit| much & bit != 0);
                world.heard(who, how, Kind::Advertisement { solicited, override_, router });
            }
            17 => world.cache.confirm(address(who), world.now),
            18 if much < 32 => {
                world.cache.insert_static(address(who), mac(STATIC)).unwrap();
                world.known[who].macs.push(mac(STATIC));
                world.known[who].is_static = true;
            }
            19 if much < 64 => {
                world.cache.remove(address(who));
                world.known[who].is_static = false;
            }
            20 if much < 32 => world.cache.flush(),
            // Microseconds, or up to a minute.
            21..25 => world.now += Duration::from_micros(u64::from(how) << (much % 19)),
            _ => (0..how % 8).for_each(|_| world.poll()),
        }
        world.check();
    }
}
