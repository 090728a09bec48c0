// SPDX-License-Identifier: MIT OR Apache-2.0
//! The neighbour cache: which MAC address belongs to an IP address of the link, for ARP (RFC 826, RFC 1122 section 2.3.2) and
//! for Neighbor Discovery (RFC 4861 section 7) by one state machine.
//!
//! ```text
//!            resolve                 answer                  time                 use
//! (nothing) ────────▶ Incomplete ───────────▶ Reachable ───────────▶ Stale ───────────▶ Delay
//!     ▲                   │ no answer             ▲ answer, or an upper layer heard of it │ 5 s
//!     │ 3 s               ▼                       │                                       ▼
//!     └──────────────── Failed                    └──────────────────────────────────── Probe ──▶ (nothing)
//! ```
//!
//! What must always hold:
//! - What nobody asked for makes no entry, except a request for an address of ours, whose sender is about to be answered
//!   (RFC 826; RFC 4861 section 7.2.3); such an entry is the first to make place.
//! - A neighbour that is configured, in use or just heard from makes no place for what others say, however many packets
//!   arrive; those without an answer have a share of the table and push out one another. Where all are in use, the one that
//!   was not sent to for the longest time makes place for one that we look for, routers and static ones last and never.
//! - Packets to one neighbour leave in the order in which they were given. Those that wait are bounded for each and in all;
//!   the newest of a neighbour pushes out its oldest (RFC 4861 section 7.2.2).
//! - A neighbour is in the list of due work at most once, so the list is as bounded as the table.

mod entry;
#[cfg(any(fuzzing, test))]
pub mod fuzz;
mod heard;
mod table;
#[cfg(test)]
mod tests;
mod timing;
mod types;
mod waiting;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use hashbrown::HashTable;
use runtime::buf::Sga;
use runtime::slab::{Key, Slab};
use runtime::time::Time;
use runtime::timer::Wheel;
use runtime::{Errno, Error, Result};

use crate::keyed::{Keyed, Random, Secret};
use crate::limits::{NEIGHBOUR_PACKETS_MAX, NEIGHBOURS_MAX, NEIGHBOURS_PACKETS_MAX};
use crate::wire::MacAddress;
use entry::Entry;
use timing::{DELAY_FIRST_PROBE, FAILED_HOLD, MULTICAST_SOLICITS_MAX, Timing, UNICAST_SOLICITS_MAX};
use waiting::Packets;

pub use types::{Action, Counters, Heard, Kind, Neighbour, Reason, Resolved, State};

/// The neighbours of one interface. See the module's first lines.
pub struct Neighbours {
    /// Indices of `entries`, by address.
    index: HashTable<u32>,
    entries: Slab<Entry>,
    /// The entry that was looked up last: mostly the next one too.
    recent: u32,
    /// Where the search for an entry that makes place goes on, in whichever list that is.
    hand: u32,
    /// Indices of the entries whose MAC address is not known.
    unresolved: Vec<u32>,
    packets: Packets,
    timers: Wheel,
    /// Entries whose packets, solicitations or news the next polls give out, and for each index whether it is among them.
    due: VecDeque<u32>,
    listed: Box<[bool]>,
    v4: Timing,
    v6: Timing,
    hasher: Keyed,
    random: Random,
    counters: Counters,
}

impl Neighbours {
    /// A cache that knows nobody yet.
    #[must_use]
    pub fn new(secret: &Secret, now: Time) -> Self {
        Self {
            index: HashTable::with_capacity(NEIGHBOURS_MAX as usize),
            entries: Slab::new(NEIGHBOURS_MAX),
            recent: 0,
            hand: 0,
            unresolved: Vec::new(),
            packets: Packets::new(NEIGHBOURS_PACKETS_MAX),
            timers: Wheel::new(now, NEIGHBOURS_MAX),
            due: VecDeque::new(),
            listed: vec![false; NEIGHBOURS_MAX as usize].into_boxed_slice(),
            v4: Timing::new(),
            v6: Timing::new(),
            hasher: secret.derive("neighbour table").hasher(),
            random: Random::new(secret.derive("neighbour times")),
            counters: Counters::default(),
        }
    }

    /// The MAC address that a packet to this neighbour goes to, if it is known and no other packet waits for it. Counts as
    /// use: a neighbour that was not heard from lately will be asked whether it is still there.
    #[inline]
    pub fn lookup(&mut self, to: IpAddr, now: Time) -> Option<MacAddress> {
        let index = self.find(to)?;
        let entry = self.entries.at_mut(index)?;
        entry.used = now;
        if now < entry.fresh_until && entry.queue.is_empty() {
            return Some(entry.mac);
        }
        self.look_closer(index, now)
    }

    /// What a neighbour is found by again, sooner than by its address.
    pub fn key(&mut self, address: IpAddr) -> Option<Key> {
        let index = self.find(address)?;
        self.entries.key_at(index)
    }

    /// As [`lookup`](Self::lookup), for one that was heard from lately; nothing if there is more to be looked at.
    #[inline(always)]
    pub fn lookup_fresh(&mut self, key: Key, now: Time) -> Option<&MacAddress> {
        let entry = self.entries.get_mut(key)?;
        if now >= entry.fresh_until || !entry.queue.is_empty() {
            return None;
        }
        entry.used = now;
        Some(&entry.mac)
    }

    /// Finds the neighbour that a packet goes to, and keeps the packet until it answers.
    #[inline]
    pub fn resolve(&mut self, to: IpAddr, packet: Sga, now: Time) -> Resolved {
        match self.lookup(to, now) {
            Some(mac) => Resolved::Send(mac, packet),
            None => self.wait(to, packet, now),
        }
    }

    /// An upper layer has heard of this neighbour what it can only have sent in answer (RFC 4861 section 7.3.1): new data
    /// acknowledged, for one.
    pub fn confirm(&mut self, address: IpAddr, now: Time) {
        let Some(index) = self.find(address) else { return };
        let Some(entry) = self.entries.at(index) else { return };
        if matches!(entry.state, State::Reachable | State::Stale | State::Delay | State::Probe) {
            self.reachable(index, now);
        }
    }

    /// What is to be done now; called until it gives nothing.
    pub fn poll(&mut self, now: Time) -> Option<Action> {
        loop {
            if let Some(action) = self.next_due() {
                return Some(action);
            }
            if self.timers.next_deadline().is_none_or(|deadline| deadline > now) {
                return None;
            }
            let mut fired = None;
            self.timers.advance(now, 1, |index| fired = Some(index));
            if let Some(index) = fired {
                self.expire(index, now);
            }
        }
    }

    /// When to poll next: not after now if there is something already.
    pub fn next_deadline(&self) -> Option<Time> {
        if self.due.is_empty() { self.timers.next_deadline() } else { Some(Time::ZERO) }
    }

    /// Sets the MAC address of a neighbour for good.
    ///
    /// # Errors
    /// `EINVAL` if the addresses cannot be those of a host, `EMFILE` if the table is full.
    pub fn insert_static(&mut self, address: IpAddr, mac: MacAddress) -> Result<()> {
        if !heard::is_host(address) || !mac.is_unicast() {
            return Err(Error::new(Errno::INVAL, "a neighbour has the addresses of one host"));
        }
        let index = match self.find(address) {
            Some(index) => index,
            None => self
                .insert(Entry::new(address, State::Static), NEIGHBOURS_MAX, Time::ZERO)
                .ok_or(Error::new(Errno::MFILE, "the neighbour table is full"))?,
        };
        self.enter(index, State::Static);
        if let Some(entry) = self.entries.at_mut(index) {
            entry.mac = mac;
            entry.fresh_until = Time::MAX;
        }
        self.list_waiting(index);
        Ok(())
    }

    /// How many packets wait for their neighbours.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.packets.len()
    }

    /// Forgets a neighbour, static or not; packets that wait for it are lost. False if it is not known.
    pub fn remove(&mut self, address: IpAddr) -> bool {
        let found = self.find(address);
        if let Some(index) = found {
            self.forget(index);
        }
        found.is_some()
    }

    /// Forgets everybody but the static ones.
    pub fn flush(&mut self) {
        for index in 0..self.entries.slots() {
            if self.entries.at(index).is_some_and(|entry| entry.state != State::Static) {
                self.forget(index);
            }
        }
    }

    /// Takes the times that a router advertises for IPv6 (RFC 4861 section 6.3.4); zero says nothing.
    pub fn set_times(&mut self, reachable: Duration, retransmit: Duration) {
        self.v6.advertised(reachable, retransmit);
    }

    /// Everybody, in no order.
    pub fn iter(&self, now: Time) -> impl Iterator<Item = Neighbour> + '_ {
        (0..self.entries.slots()).filter_map(move |index| self.show(index, now))
    }

    /// What is known of one neighbour.
    pub fn get(&self, address: IpAddr, now: Time) -> Option<Neighbour> {
        self.show(self.position(address)?, now)
    }

    /// What was refused or lost so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn show(&self, index: u32, now: Time) -> Option<Neighbour> {
        let entry = self.entries.at(index)?;
        Some(Neighbour {
            address: entry.address,
            mac: (!entry.is_unresolved()).then_some(entry.mac),
            state: entry.state(now),
            router: entry.router,
        })
    }

    /// The part of [`lookup`](Self::lookup) behind its first look.
    #[inline(never)]
    fn look_closer(&mut self, index: u32, now: Time) -> Option<MacAddress> {
        let entry = self.entries.at_mut(index)?;
        if entry.is_unresolved() || !entry.queue.is_empty() {
            return None;
        }
        let mac = entry.mac;
        if entry.is_evictable(now) {
            // RFC 4861 section 7.3.3: the first packet to a stale neighbour is sent, and starts the delay.
            self.enter(index, State::Delay);
            self.set_timer(index, now + DELAY_FIRST_PROBE);
        }
        Some(mac)
    }

    /// Keeps a packet for a neighbour that it cannot be sent to now.
    #[inline(never)]
    fn wait(&mut self, to: IpAddr, packet: Sga, now: Time) -> Resolved {
        let index = match self.find(to) {
            Some(index) => index,
            None => match self.ask_for(to, now) {
                Some(index) => index,
                None => return Resolved::Dropped(Reason::TableFull),
            },
        };
        let Some(entry) = self.entries.at_mut(index) else { return Resolved::Dropped(Reason::TableFull) };
        if entry.state == State::Failed {
            return Resolved::Dropped(Reason::Unreachable);
        }
        if entry.queue.len() >= NEIGHBOUR_PACKETS_MAX || self.packets.len() >= NEIGHBOURS_PACKETS_MAX {
            // RFC 4861 section 7.2.2: the new packet replaces the oldest of this neighbour.
            if self.packets.pop(&mut entry.queue).is_none() {
                return Resolved::Dropped(Reason::QueueFull);
            }
            self.counters.displaced += 1;
        }
        match self.packets.push(&mut entry.queue, packet) {
            Ok(()) => Resolved::Waits,
            Err(_) => Resolved::Dropped(Reason::QueueFull),
        }
    }

    /// Makes an entry for somebody unknown, and has him asked for.
    fn ask_for(&mut self, address: IpAddr, now: Time) -> Option<u32> {
        let mut entry = Entry::new(address, State::Incomplete);
        entry.used = now;
        let index = self.insert(entry, NEIGHBOURS_MAX, now)?;
        self.solicit(index, now);
        Some(index)
    }

    /// Sends a solicitation, and waits for the answer.
    fn solicit(&mut self, index: u32, now: Time) {
        let Some(entry) = self.entries.at_mut(index) else { return };
        entry.solicits += 1;
        entry.ask = true;
        let timing = if entry.address.is_ipv4() { &self.v4 } else { &self.v6 };
        let deadline = now + timing.retransmit();
        self.set_timer(index, deadline);
        self.list(index);
    }

    /// The time of an entry has passed (RFC 4861 section 7.3.3).
    fn expire(&mut self, index: u32, now: Time) {
        let Some(entry) = self.entries.at_mut(index) else { return };
        entry.timer = None;
        match entry.state {
            State::Incomplete if entry.solicits < MULTICAST_SOLICITS_MAX => self.solicit(index, now),
            State::Probe if entry.solicits < UNICAST_SOLICITS_MAX => self.solicit(index, now),
            State::Incomplete => {
                self.counters.failed += 1;
                self.enter(index, State::Failed);
                self.set_timer(index, now + FAILED_HOLD);
                self.list_waiting(index);
            }
            State::Delay => {
                self.enter(index, State::Probe);
                self.solicit(index, now);
            }
            State::Probe => {
                // The next packet asks everybody: the neighbour may have another MAC address now.
                self.counters.failed += 1;
                self.forget(index);
            }
            State::Failed => self.forget(index),
            State::Reachable | State::Stale | State::Static => {}
        }
    }

    /// The neighbour is there.
    fn reachable(&mut self, index: u32, now: Time) {
        let Some(entry) = self.entries.at(index) else { return };
        let timing = if entry.address.is_ipv4() { &mut self.v4 } else { &mut self.v6 };
        let until = now + timing.reachable(&mut self.random, now);
        self.enter(index, State::Reachable);
        if let Some(entry) = self.entries.at_mut(index) {
            entry.fresh_until = until;
        }
    }

    /// Takes one thing out of the list of due work.
    fn next_due(&mut self) -> Option<Action> {
        while let Some(&index) = self.due.front() {
            if let Some(entry) = self.entries.at_mut(index) {
                if entry.resigned {
                    entry.resigned = false;
                    return Some(Action::NoRouter(entry.address));
                }
                if entry.ask {
                    entry.ask = false;
                    let to = (!entry.is_unresolved()).then_some(entry.mac);
                    return Some(Action::Solicit { target: entry.address, to });
                }
                if entry.state != State::Incomplete
                    && let Some(packet) = self.packets.pop(&mut entry.queue)
                {
                    return Some(if entry.is_unresolved() {
                        Action::Unreachable(entry.address, packet)
                    } else {
                        Action::Send(entry.mac, packet)
                    });
                }
            }
            self.due.pop_front();
            if let Some(listed) = self.listed.get_mut(index as usize) {
                *listed = false;
            }
        }
        None
    }
}
